import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { Instant } from '../domain/calendar/instant.ts';
import { epochMilliseconds, fromEpochMilliseconds } from '../domain/calendar/instant.ts';
import type { Product } from '../domain/catalog.ts';
import { products } from '../domain/catalog.ts';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import { installationIdFrom, withoutCheckDigits } from '../domain/keys/installation-id.ts';
import type { Page, PageRequest } from './dynamodb/page.ts';
import { pageOf } from './dynamodb/page.ts';
import type { CommitResult, Item, ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import {
  attemptsMax,
  ContentionError,
  checkFormat,
  commit,
  get,
  getAll,
  isTransient,
  mapInBatches,
  rethrowTransientAsContention,
} from './dynamodb/table.ts';

/*
 * How a MAK counts exactly and fast. One counter for all machines would be touched by every activation and would
 * conflict with itself, so the limit is dealt out to buckets, each an item of its own. A machine's home bucket follows
 * from its installation id; its mark and the bucket's count are in the same item. An activation is one conditional
 * update: about one write unit, one round trip, no transaction, and idempotent for ever.
 *
 * What always holds: the used and free places of all buckets and the free ones in the reserve add up to the limit.
 * Places move between them only in transactions of two items. `used` never falls, and places come in only through the
 * reserve; so once the used places add up to the limit, the key is spent until its limit is raised.
 *
 * When a limit is raised far, the number of buckets doubles as often as it takes. A bucket remembers the count it was
 * laid out for (`bucketCount`) and is split in two by the first activation that finds it laid out for too few.
 */

/** A machine's mark: who it is, when it activated, what it runs, and how it calls itself. */
export type Activation = {
  readonly installationId: InstallationId;
  readonly product: Product;
  readonly machineName: string | null;
  readonly activatedAt: Instant;
};

/** So many places to a bucket: enough to smooth out chance, few enough for an item of about a kilobyte. */
const slotsPerBucket = 14;
// Enough for a key of 100,000 to keep its items at a kilobyte. To count a key is to read them all, so there is an end.
const bucketsMax = 8_192;

const activationPrefix = '+';

/** How many buckets a limit is dealt out to. */
export function bucketCountFor(limit: number): number {
  return Math.min(bucketsMax, Math.max(1, Math.ceil(limit / slotsPerBucket)));
}

/** How many buckets a raised limit needs: the count is doubled while buckets would be over-full. */
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

export type Bucket = ItemKey & {
  readonly used: number;
  readonly available: number;
  readonly bucketCount: number;
  readonly status: 'live' | 'blocked';
} & Readonly<Record<string, unknown>>;

type Reserve = { readonly available: number; readonly limit: number; readonly exhausted?: boolean };

/**
 * The buckets of a new key. The whole limit is dealt out, as evenly as it goes: places that are where machines come need
 * not be fetched from a reserve first.
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

/** The reserve of a new key: no places as yet, and the limit itself. */
export function newReserveItem(keyId: string, limit: number): Item {
  return { ...reserveKey(keyId), available: 0, limit };
}

/** Raises the limit that the buckets count against; goes into the transaction that adds the grant (KEY-8). */
export function reserveIncreaseWrite(keyId: string, amount: number): TransactItem {
  return {
    Update: {
      TableName: '',
      Key: reserveKey(keyId),
      UpdateExpression: 'SET #available = #available + :amount, #limit = #limit + :amount REMOVE #exhausted',
      ConditionExpression: 'attribute_exists(PK)',
      ExpressionAttributeNames: { '#available': 'available', '#limit': 'limit', '#exhausted': 'exhausted' },
      ExpressionAttributeValues: { ':amount': amount },
    },
  };
}

/** How a key's places are laid out, as far as the caller knows; it may have grown since. */
export type BucketLayout = { readonly keyId: string; readonly bucketCount: number };

export type MakActivationResult =
  | { readonly kind: 'activated'; readonly activation: Activation }
  | { readonly kind: 'already-activated'; readonly activation: Activation }
  | { readonly kind: 'exhausted'; readonly used: number }
  | { readonly kind: 'blocked' }
  /** The buckets are laid out for another count than the caller knew: read the key again. */
  | { readonly kind: 'stale-layout' };

/**
 * Activates one installation on a MAK (MAK-1), or answers with the activation that it has already (MAK-2).
 * @param digest the vault's digest of the installation on this key: it chooses the home bucket.
 */
export async function activateOnMak(
  store: Store,
  layout: BucketLayout,
  digest: Buffer,
  activation: Activation,
): Promise<MakActivationResult> {
  const homeBucket = homeBucketOf(digest, layout.bucketCount);
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    if (attempt > 1) await store.backOff(attempt);
    const result = await tryActivate(store, layout, homeBucket, activation);
    if (result !== 'transient-failure') return result;
  }
  throw new ContentionError(`Others kept changing the buckets of key ${layout.keyId}.`);
}

/** The bucket that a machine belongs to, out of so many. */
export function homeBucketOf(digest: Buffer, bucketCount: number): number {
  return digest.readUInt32BE(digest.length - 4) % bucketCount;
}

async function tryActivate(
  store: Store,
  layout: BucketLayout,
  homeBucket: number,
  activation: Activation,
): Promise<MakActivationResult | 'transient-failure'> {
  const writeResult = await activateInHomeBucket(store, layout, homeBucket, activation);
  if (writeResult === 'committed') return { kind: 'activated', activation };
  if (writeResult === 'transient-failure') return writeResult;
  const bucketResult = resultFromBucket(writeResult, layout, activation.installationId);
  if (bucketResult === 'full') return borrowSlots(store, layout, homeBucket, activation);
  if (bucketResult !== 'needs-split') return bucketResult;
  const splitResult = await splitBucket(store, layout, homeBucket);
  return splitResult === 'committed' ? tryActivate(store, layout, homeBucket, activation) : splitResult;
}

/** The one conditional write of an activation. Answers with the bucket as it was when the write was not possible. */
async function activateInHomeBucket(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  homeBucket: number,
  activation: Activation,
): Promise<'committed' | 'transient-failure' | Bucket | 'no-bucket'> {
  try {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: bucketKey(keyId, homeBucket),
        UpdateExpression: 'SET #mark = :mark, #used = #used + :one, #available = #available - :one',
        ConditionExpression: `attribute_not_exists(#mark) AND #available > :none AND ${liveAndCurrentLayout}`,
        ExpressionAttributeNames: {
          ...bucketAttributeNames,
          '#mark': attributeNameOf(activation.installationId),
        },
        ExpressionAttributeValues: {
          ':mark': encodeActivation(activation),
          ':one': 1,
          ':none': 0,
          ':live': 'live',
          ':bucketCount': bucketCount,
        },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      }),
    );
    return 'committed';
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) {
      return error.Item === undefined ? 'no-bucket' : checkFormat(unmarshall(error.Item) as Bucket);
    }
    if (isTransient(error)) return 'transient-failure';
    throw error;
  }
}

export const bucketAttributeNames = {
  '#used': 'used',
  '#available': 'available',
  '#status': 'status',
  '#bucketCount': 'bucketCount',
} as const;
export const liveAndCurrentLayout = '#status = :live AND #bucketCount = :bucketCount';

/** Tells from the bucket as it was why an activation could not be marked in it. */
export function resultFromBucket(
  bucket: Bucket | 'no-bucket',
  layout: BucketLayout,
  installationId: InstallationId,
): Extract<MakActivationResult, { kind: 'already-activated' | 'blocked' | 'stale-layout' }> | 'full' | 'needs-split' {
  if (bucket === 'no-bucket') return 'needs-split';
  const encodedActivation = bucket[attributeNameOf(installationId)];
  if (bucket.status === 'blocked') return { kind: 'blocked' };
  if (encodedActivation !== undefined)
    return { kind: 'already-activated', activation: decodeActivation(installationId, String(encodedActivation)) };
  if (bucket.bucketCount > layout.bucketCount) return { kind: 'stale-layout' };
  return bucket.bucketCount < layout.bucketCount ? 'needs-split' : 'full';
}

/** The places that are in no bucket, and the limit itself. */
export async function readReserve(store: Store, keyId: string): Promise<Reserve> {
  const reserve = (await get(store, reserveKey(keyId))) as (Item & Reserve) | undefined;
  if (reserve === undefined) throw new Error(`Key ${keyId} has no reserve; it is written with every MAK.`);
  return reserve;
}

/** Moves places to a full home bucket, from the reserve or from a bucket that has some, and marks the machine with it. */
async function borrowSlots(
  store: Store,
  layout: BucketLayout,
  homeBucket: number,
  activation: Activation,
): Promise<MakActivationResult | 'transient-failure'> {
  const { keyId, bucketCount } = layout;
  const reserve = await readReserve(store, keyId);
  // Whoever still knew the old layout would pile a raised limit up in the few buckets there were.
  if (grownBucketCountFor(bucketCount, reserve.limit) > bucketCount) return { kind: 'stale-layout' };
  if (reserve.exhausted)
    return exhaustedUnlessActivated(store, layout, { homeBucket, used: reserve.limit }, activation);

  const transferFrom = async (
    source: ItemKey,
    slotCount: number,
  ): Promise<MakActivationResult | 'transient-failure'> => {
    const commitResult = await transferSlots(store, layout, { from: source, homeBucket, slotCount }, activation);
    return commitResult === 'committed' ? { kind: 'activated', activation } : 'transient-failure';
  };
  if (reserve.available > 0) {
    // Half a bucket at a time, so that the next machines that come here find a place at once.
    const slotCount = Math.max(slotsPerBucket / 2, Math.ceil(reserve.available / bucketCount));
    return transferFrom(reserveKey(keyId), Math.min(reserve.available, slotCount));
  }
  let used = 0;
  const unsplitNumbers: number[] = [];
  for (const numbers of probeOrderFrom(bucketCount, homeBucket)) {
    const buckets = await readBuckets(store, keyId, numbers);
    const donor = buckets.reduce<Bucket | undefined>(
      (best, each) => (each.available > (best?.available ?? 0) ? each : best),
      undefined,
    );
    // When places came to the home bucket meanwhile, one of them is ours for the trying.
    if (donor !== undefined) {
      return bucketNumberOf(donor) === homeBucket
        ? 'transient-failure'
        : transferFrom(donor, Math.ceil(donor.available / 2));
    }
    used += buckets.reduce((sum, bucket) => sum + bucket.used, 0);
    const splitNumbers = new Set(buckets.filter((bucket) => bucket.bucketCount === bucketCount).map(bucketNumberOf));
    unsplitNumbers.push(...numbers.filter((number) => !splitNumbers.has(number)));
  }
  // A bucket split between two readings would be counted twice, so nothing is called spent before all are split.
  for (const number of unsplitNumbers) await splitBucket(store, layout, number);
  // Places on the move between two readings could be missed, but used places that add up to the limit cannot lie.
  if (unsplitNumbers.length > 0 || used < reserve.limit) return 'transient-failure';
  await recordExhausted(store, keyId, reserve.limit);
  return exhaustedUnlessActivated(store, layout, { homeBucket, used }, activation);
}

/** Looks once more: the last place can have gone to this very machine, which came twice at once (MAK-2). */
async function exhaustedUnlessActivated(
  store: Store,
  layout: BucketLayout,
  { homeBucket, used }: { readonly homeBucket: number; readonly used: number },
  { installationId }: Activation,
): Promise<MakActivationResult> {
  const [bucket = 'no-bucket'] = await readBuckets(store, layout.keyId, [homeBucket]);
  const bucketResult = resultFromBucket(bucket, layout, installationId);
  return typeof bucketResult === 'string' ? { kind: 'exhausted', used } : bucketResult;
}

const firstProbeBuckets = 16;
const probeBucketsMax = 100;

/** All buckets in the order in which one asks them for places: from the next one on, a few at first, itself last. */
function probeOrderFrom(bucketCount: number, homeBucket: number): number[][] {
  const ring = Array.from({ length: bucketCount }, (_, step) => (homeBucket + 1 + step) % bucketCount);
  const rest = ring.slice(firstProbeBuckets);
  return [
    ring.slice(0, firstProbeBuckets),
    ...Array.from({ length: Math.ceil(rest.length / probeBucketsMax) }, (_, part) =>
      rest.slice(part * probeBucketsMax, (part + 1) * probeBucketsMax),
    ),
  ];
}

async function transferSlots(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  { from, homeBucket, slotCount }: { readonly from: ItemKey; readonly homeBucket: number; readonly slotCount: number },
  activation: Activation,
): Promise<CommitResult> {
  const { PK, SK } = from;
  return commit(store, [
    {
      Update: {
        TableName: '',
        Key: { PK, SK },
        UpdateExpression: 'SET #available = #available - :take',
        ConditionExpression: '#available >= :take',
        ExpressionAttributeNames: { '#available': 'available' },
        ExpressionAttributeValues: { ':take': slotCount },
      },
    },
    {
      Update: {
        TableName: '',
        Key: bucketKey(keyId, homeBucket),
        UpdateExpression: 'SET #mark = :mark, #used = #used + :one, #available = #available + :rest',
        ConditionExpression: `attribute_not_exists(#mark) AND ${liveAndCurrentLayout}`,
        ExpressionAttributeNames: { ...bucketAttributeNames, '#mark': attributeNameOf(activation.installationId) },
        ExpressionAttributeValues: {
          ':mark': encodeActivation(activation),
          ':one': 1,
          ':rest': slotCount - 1,
          ':live': 'live',
          ':bucketCount': bucketCount,
        },
      },
    },
  ]);
}

/** Remembers that every place is used, so that the next refusal need not look into every bucket again. */
export async function recordExhausted(store: Store, keyId: string, total: number): Promise<void> {
  try {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: reserveKey(keyId),
        UpdateExpression: 'SET #exhausted = :yes',
        ConditionExpression: '#limit = :limit AND #available = :none',
        ExpressionAttributeNames: { '#exhausted': 'exhausted', '#limit': 'limit', '#available': 'available' },
        ExpressionAttributeValues: { ':yes': true, ':limit': total, ':none': 0 },
      }),
    );
  } catch (error) {
    // The limit was raised in between, or the database is busy: then it is simply not remembered.
    if (!(error instanceof ConditionalCheckFailedException) && !isTransient(error)) throw error;
  }
}

/**
 * Lays a bucket out for the count of today, by splitting the one that it is still a part of as often as it takes. At each
 * split the marks that belong to the new half move there with half of the free places, in one transaction that fails if
 * anything was activated in between.
 */
export async function splitBucket(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  homeBucket: number,
): Promise<'committed' | 'transient-failure' | Extract<MakActivationResult, { kind: 'blocked' }>> {
  let [bucket] = await readBuckets(store, keyId, parentBuckets(bucketCount, homeBucket));
  if (bucket === undefined)
    throw new Error(`Key ${keyId} has no bucket for home ${homeBucket} or any that it came from.`);
  while (bucket.bucketCount < bucketCount) {
    if (bucket.status === 'blocked') return { kind: 'blocked' };
    const [lowerHalf, upperHalf]: readonly [Bucket, Bucket] = splitHalves(store, keyId, bucket);
    const commitResult = await commit(store, [
      {
        Put: {
          TableName: '',
          Item: lowerHalf,
          ConditionExpression:
            '#bucketCount = :bucketCount AND #used = :used AND #available = :available AND #status = :live',
          ExpressionAttributeNames: bucketAttributeNames,
          ExpressionAttributeValues: {
            ':bucketCount': bucket.bucketCount,
            ':used': bucket.used,
            ':available': bucket.available,
            ':live': 'live',
          },
        },
      },
      { Put: { TableName: '', Item: upperHalf, ConditionExpression: 'attribute_not_exists(PK)' } },
    ]);
    if (commitResult !== 'committed') return 'transient-failure';
    bucket = homeBucket % upperHalf.bucketCount === bucketNumberOf(upperHalf) ? upperHalf : lowerHalf;
  }
  return 'committed';
}

/** What stays of a bucket when it is split in two, and what leaves for the new one. */
function splitHalves(store: Store, keyId: string, bucket: Bucket): readonly [Bucket, Bucket] {
  const bucketCount = bucket.bucketCount * 2;
  const number = bucketNumberOf(bucket);
  const belongsToUpperHalf = ([name]: readonly [string, unknown]) =>
    homeBucketOf(store.vault.digestOf(keyId, installationIdOf(name)), bucketCount) !== number;
  const activations = Object.entries(bucket).filter(([name]) => name.startsWith(activationPrefix));
  const upperActivations = activations.filter(belongsToUpperHalf);
  const lowerActivations = activations.filter((activation) => !belongsToUpperHalf(activation));
  const upperAvailable = Math.floor(bucket.available / 2);
  return [
    {
      ...Object.fromEntries(lowerActivations),
      ...bucketKey(keyId, number),
      used: lowerActivations.length,
      available: bucket.available - upperAvailable,
      bucketCount,
      status: 'live',
    },
    {
      ...Object.fromEntries(upperActivations),
      ...bucketKey(keyId, number + bucket.bucketCount),
      used: upperActivations.length,
      available: upperAvailable,
      bucketCount,
      status: 'live',
    },
  ];
}

/** The numbers that a bucket had before each doubling, itself first. */
function parentBuckets(bucketCount: number, bucket: number): number[] {
  const previousCount = bucketCount / 2;
  return Number.isInteger(previousCount) ? [bucket, ...parentBuckets(previousCount, bucket % previousCount)] : [bucket];
}

const usedReadsMax = 5;

/**
 * How many of a MAK's activations are used, as it is now (KEY-7). Buckets are read one after another; one that is split
 * between two readings would be counted twice, or not at all. Their shares tell: together they are the whole key.
 */
export async function countUsedOnMak(store: Store, { keyId, bucketCount }: BucketLayout): Promise<number> {
  let buckets: readonly Bucket[] = [];
  for (let readNumber = 1; readNumber <= usedReadsMax; readNumber += 1) {
    buckets = await readBuckets(store, keyId, bucketNumbersFrom(0, bucketCount));
    const share = buckets.reduce((sum, bucket) => sum + 1 / bucket.bucketCount, 0);
    if (Math.abs(share - 1) < 1e-9) break;
  }
  return buckets.reduce((sum, bucket) => sum + bucket.used, 0);
}

export function bucketNumbersFrom(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, step) => from + step);
}

/** Reads buckets by their numbers, in that order; those that are not split off yet are left out. */
export async function readBuckets(store: Store, keyId: string, numbers: readonly number[]): Promise<Bucket[]> {
  const keys = numbers.map((number) => bucketKey(keyId, number));
  return (await getAll(store, keys)) as Bucket[];
}

export function bucketNumberOf({ PK }: ItemKey): number {
  return Number(PK.slice(PK.lastIndexOf('#') + 1));
}

/** The activations of a MAK, bucket by bucket. A position is a bucket and a mark in it, and stays good as more come in. */
export async function listMakActivations(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  pageRequest: PageRequest,
): Promise<Page<Activation>> {
  const [cursorBucket = '', cursorAttribute = ''] = pageRequest.after?.split(' ') ?? [];
  const first = /^\d+$/.test(cursorBucket) ? Number(cursorBucket) : 0;
  const entries: { readonly position: string; readonly activation: Activation }[] = [];
  for (let start = first; start < bucketCount && entries.length <= pageRequest.limit; start += bucketsPerRead) {
    const numbers = bucketNumbersFrom(start, Math.min(start + bucketsPerRead, bucketCount));
    for (const bucket of await readBuckets(store, keyId, numbers)) {
      const number = bucketNumberOf(bucket);
      for (const name of Object.keys(bucket).toSorted()) {
        if (!name.startsWith(activationPrefix) || (number === first && name <= cursorAttribute)) continue;
        entries.push({
          position: `${number} ${name}`,
          activation: decodeActivation(installationIdOf(name), String(bucket[name])),
        });
      }
    }
  }
  const page = pageOf(entries, pageRequest.limit, ({ position }) => position);
  return { items: page.items.map(({ activation }) => activation), next: page.next };
}

const bucketsPerRead = 25;

/** When each activation of a MAK happened, in no order: what its forecast is made from (ALR-2). */
export async function listMakActivationTimes(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
): Promise<readonly Instant[]> {
  const times: Instant[] = [];
  for (let start = 0; start < bucketCount; start += bucketsPerRead) {
    const numbers = bucketNumbersFrom(start, Math.min(start + bucketsPerRead, bucketCount));
    for (const bucket of await readBuckets(store, keyId, numbers)) {
      for (const [name, encodedActivation] of Object.entries(bucket)) {
        if (name.startsWith(activationPrefix)) times.push(activatedAtOf(String(encodedActivation)));
      }
    }
  }
  return times;
}

/** The machines that have a mark in a bucket and had none in it before. */
export function installationsAdded(before: Item, after: Item): readonly InstallationId[] {
  return Object.keys(after)
    .filter((name) => name.startsWith(activationPrefix) && before[name] === undefined)
    .map(installationIdOf);
}

/**
 * Blocks every bucket of a key (BLK-2). A bucket that was split off meanwhile is found by looking again: once all that
 * are there are blocked, none can be split any more.
 */
export async function blockBuckets(store: Store, { keyId, bucketCount }: BucketLayout): Promise<void> {
  const bucketNumbers = Array.from({ length: bucketCount }, (_, bucket) => bucket);
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const liveBuckets = (await readBuckets(store, keyId, bucketNumbers)).filter(({ status }) => status === 'live');
    if (liveBuckets.length === 0) return;
    await mapInBatches(liveBuckets, ({ PK, SK }) =>
      rethrowTransientAsContention(
        store.client.send(
          new UpdateCommand({
            TableName: store.tableName,
            Key: { PK, SK },
            UpdateExpression: 'SET #status = :blocked',
            ConditionExpression: 'attribute_exists(PK)',
            ExpressionAttributeNames: { '#status': 'status' },
            ExpressionAttributeValues: { ':blocked': 'blocked' },
          }),
        ),
      ),
    );
  }
  throw new ContentionError(`The buckets of key ${keyId} kept being split while they were to be blocked.`);
}

/** Whether an installation has its mark on a MAK now, wherever it is laid out (VAL-1). */
export async function isActivated(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  digest: Buffer,
  installationId: InstallationId,
): Promise<boolean> {
  const numbers = [...new Set(parentBuckets(bucketCount, homeBucketOf(digest, bucketCount)))];
  const buckets = await readBuckets(store, keyId, numbers);
  return buckets.some((bucket) => bucket[attributeNameOf(installationId)] !== undefined);
}

/**
 * Takes the marks of machines off a blocked key that have moved to its successor (BLK-3). What is not there is left, so
 * that it may run any number of times.
 */
export async function removeActivation(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  digest: Buffer,
  installationId: InstallationId,
): Promise<void> {
  const numbers = [...new Set(parentBuckets(bucketCount, homeBucketOf(digest, bucketCount)))];
  const name = attributeNameOf(installationId);
  const bucket = (await readBuckets(store, keyId, numbers)).find((each) => each[name] !== undefined);
  if (bucket === undefined) return;
  try {
    await rethrowTransientAsContention(
      store.client.send(
        new UpdateCommand({
          TableName: store.tableName,
          Key: { PK: bucket.PK, SK: bucket.SK },
          UpdateExpression: 'SET #used = #used - :one, #available = #available + :one REMOVE #mark',
          ConditionExpression: 'attribute_exists(#mark) AND #status = :blocked',
          ExpressionAttributeNames: { '#used': 'used', '#available': 'available', '#status': 'status', '#mark': name },
          ExpressionAttributeValues: { ':one': 1, ':blocked': 'blocked' },
        }),
      ),
    );
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
  }
}

/** A mark's name holds the installation id in few bytes: its 45 digits as a number, in base 64. */
export function attributeNameOf(installationId: InstallationId): string {
  const hex = BigInt(withoutCheckDigits(installationId)).toString(16);
  return activationPrefix + Buffer.from(hex.padStart(38, '0'), 'hex').toString('base64url');
}

function installationIdOf(attributeName: string): InstallationId {
  const hex = Buffer.from(attributeName.slice(activationPrefix.length), 'base64url').toString('hex');
  return installationIdFrom(BigInt(`0x${hex}`).toString().padStart(45, '0'));
}

/** A mark's value: when, as milliseconds in base 36, the product by its place in the list, and the machine's name. */
export function encodeActivation({ activatedAt, product, machineName }: Activation): string {
  return `${epochMilliseconds(activatedAt).toString(36)}.${products.indexOf(product)}.${machineName ?? ''}`;
}

function decodeActivation(installationId: InstallationId, encodedActivation: string): Activation {
  const [, product = '', ...nameParts] = encodedActivation.split('.');
  const activatedProduct = products[Number(product)];
  if (activatedProduct === undefined) throw new Error(`A mark names product ${product}, which is not in the list.`);
  const machineName = nameParts.join('.');
  return {
    installationId,
    product: activatedProduct,
    machineName: machineName === '' ? null : machineName,
    activatedAt: activatedAtOf(encodedActivation),
  };
}

function activatedAtOf(encodedActivation: string): Instant {
  return fromEpochMilliseconds(Number.parseInt(encodedActivation.slice(0, encodedActivation.indexOf('.')), 36));
}
