import type { Instant } from '../domain/calendar/instant.ts';
import { epochMilliseconds, fromEpochMilliseconds } from '../domain/calendar/instant.ts';
import type { Product } from '../domain/catalog.ts';
import { products } from '../domain/catalog.ts';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import { installationIdFrom, withoutCheckDigits } from '../domain/keys/installation-id.ts';
import type { Item, ItemKey } from './dynamodb/table.ts';
import { get, getAll } from './dynamodb/table.ts';
import type { Store } from './store.ts';

/*
 * The buckets of a MAK, which make counting exact and fast. Every activation would write a single counter, and so conflict with every other
 * activation. So the limit is split across buckets, each in its own item. The installation ID determines the home
 * bucket of an installation. Its activation record and the counters of the bucket are in the same item. An activation
 * is one conditional update: about one write unit, one round trip, no transaction, and idempotent forever.
 *
 * Invariant: the used and available slots of all buckets and the available slots of the reserve add up to the limit.
 * Slots move between items only in transactions. `used` never falls while the key is live, and new slots come only from
 * the reserve. So once the used slots add up to the limit, the key is exhausted until its limit is raised.
 *
 * When a limit is raised far, the number of buckets doubles, once or several times. A bucket stores the number of
 * buckets for which it was created or split (`bucketCount`). The first activation that finds too low a number splits
 * the bucket.
 */

/** An activation record: the installation, the time, the product, and the machine name. */
export type Activation = {
  readonly installationId: InstallationId;
  readonly product: Product;
  readonly machineName: string | null;
  readonly activatedAt: Instant;
};

/**
 * The average number of slots of a bucket: enough to even out random differences, few enough for an item of about 1 KB.
 */
export const slotsPerBucket = 14;
// Enough for a limit of 100,000 with items of 1 KB. There is a maximum, because counting a key reads all of its buckets.
const bucketsMax = 8_192;

const activationPrefix = '+';

/** The number of buckets of a key, as far as the caller knows; it may have grown since. */
export type BucketLayout = { readonly keyId: string; readonly bucketCount: number };

export type Bucket = ItemKey & {
  readonly used: number;
  readonly available: number;
  readonly bucketCount: number;
  readonly status: 'live' | 'blocked';
} & Readonly<Record<string, unknown>>;

type Reserve = { readonly available: number; readonly limit: number; readonly exhausted?: boolean };

/** Returns the number of buckets across which the limit of a new key is split. */
export function bucketCountFor(limit: number): number {
  return Math.min(bucketsMax, Math.max(1, Math.ceil(limit / slotsPerBucket)));
}

/**
 * Returns the number of buckets for a raised limit: doubled as long as the buckets have more than twice their slots.
 */
export function grownBucketCountFor(bucketCount: number, limit: number): number {
  return limit > bucketCount * slotsPerBucket * 2 && bucketCount * 2 <= bucketsMax
    ? grownBucketCountFor(bucketCount * 2, limit)
    : bucketCount;
}

export function bucketKey(keyId: string, bucket: number): ItemKey {
  return { PK: `KEY#${keyId}#${bucket}`, SK: 'BUCKET' };
}

export function reserveKey(keyId: string): ItemKey {
  return { PK: `KEY#${keyId}`, SK: 'RESERVE' };
}

/**
 * Returns the buckets of a new key. The complete limit is split across them evenly, so that activations find slots in
 * their home buckets and do not borrow from the reserve.
 */
export function newBucketItems(keyId: string, limit: number): Item[] {
  const count = bucketCountFor(limit);
  return Array.from({ length: count }, (_, bucket) => ({
    ...bucketKey(keyId, bucket),
    used: 0,
    available: Math.floor(limit / count) + (bucket < limit % count ? 1 : 0),
    bucketCount: count,
    status: 'live',
  }));
}

/** Returns the reserve of a new key: no slots yet, and the limit. */
export function newReserveItem(keyId: string, limit: number): Item {
  return { ...reserveKey(keyId), available: 0, limit };
}

/**
 * Returns the home bucket of an installation.
 * @param digest the vault's digest of the installation on this key.
 */
export function homeBucketOf(digest: Buffer, bucketCount: number): number {
  return digest.readUInt32BE(digest.length - 4) % bucketCount;
}

/**
 * Returns the number of a bucket, then the numbers of its parents: the buckets of its activations before each doubling.
 */
export function withParentBuckets(bucketCount: number, bucket: number): number[] {
  const previousCount = bucketCount / 2;
  return Number.isInteger(previousCount)
    ? [bucket, ...withParentBuckets(previousCount, bucket % previousCount)]
    : [bucket];
}

export function bucketNumberOf({ PK }: ItemKey): number {
  return Number(PK.slice(PK.lastIndexOf('#') + 1));
}

export function bucketNumbersFrom(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, step) => from + step);
}

/** Reads buckets by number, in this order, without those that do not exist because their parent is not split yet. */
export async function readBuckets(store: Store, keyId: string, numbers: readonly number[]): Promise<Bucket[]> {
  const keys = numbers.map((number) => bucketKey(keyId, number));
  return (await getAll(store, keys)) as Bucket[];
}

/** Reads the reserve: the limit, and the slots that are in no bucket. */
export async function readReserve(store: Store, keyId: string): Promise<Reserve> {
  const reserve = (await get(store, reserveKey(keyId))) as (Item & Reserve) | undefined;
  if (reserve === undefined) throw new Error(`Key ${keyId} has no reserve; every MAK is created with one.`);
  return reserve;
}

export const bucketAttributeNames = {
  '#used': 'used',
  '#available': 'available',
  '#status': 'status',
  '#bucketCount': 'bucketCount',
} as const;

/** The bucket is live, and split for the number of buckets that the caller knows. */
export const liveAndCurrentLayout = '#status = :live AND #bucketCount = :bucketCount';

/** Returns the names of the attributes of a bucket that are activation records. */
export function activationNamesOf(bucket: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(bucket).filter((name) => name.startsWith(activationPrefix));
}

/** Returns the installations that have an activation record in a bucket, and had none before. */
export function installationsAdded(before: Item, after: Item): readonly InstallationId[] {
  return activationNamesOf(after)
    .filter((name) => before[name] === undefined)
    .map(installationIdOf);
}

/** Encodes an installation ID as the name of an attribute: its 45 digits as a number, in base64url. */
export function attributeNameOf(installationId: InstallationId): string {
  const hex = BigInt(withoutCheckDigits(installationId)).toString(16);
  return activationPrefix + Buffer.from(hex.padStart(38, '0'), 'hex').toString('base64url');
}

/** Decodes the installation ID of an activation record. */
export function installationIdOf(attributeName: string): InstallationId {
  const hex = Buffer.from(attributeName.slice(activationPrefix.length), 'base64url').toString('hex');
  return installationIdFrom(BigInt(`0x${hex}`).toString().padStart(45, '0'));
}

/**
 * Encodes an activation as the value of an attribute: milliseconds in base 36, position of the product, machine name.
 */
export function encodeActivation({ activatedAt, product, machineName }: Activation): string {
  return `${epochMilliseconds(activatedAt).toString(36)}.${products.indexOf(product)}.${machineName ?? ''}`;
}

/** Decodes an activation record. Throws if its product is not in the list of products. */
export function decodeActivation(installationId: InstallationId, encodedActivation: string): Activation {
  const [, position = '', ...nameParts] = encodedActivation.split('.');
  const product = products[Number(position)];
  if (product === undefined) throw new Error(`An activation record has product ${position}, which is not in the list.`);
  const machineName = nameParts.join('.');
  return {
    installationId,
    product,
    machineName: machineName === '' ? null : machineName,
    activatedAt: activatedAtOf(encodedActivation),
  };
}

/** Decodes the time of an activation record. */
export function activatedAtOf(encodedActivation: string): Instant {
  return fromEpochMilliseconds(Number.parseInt(encodedActivation.slice(0, encodedActivation.indexOf('.')), 36));
}
