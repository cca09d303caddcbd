import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { Product } from '../domain/catalog.ts';
import { products } from '../domain/catalog.ts';
import type { InstallationId } from '../domain/installation-id.ts';
import { installationIdFrom, withoutCheckDigits } from '../domain/installation-id.ts';
import type { Instant } from '../domain/instant.ts';
import { epochMilliseconds, fromEpochMilliseconds } from '../domain/instant.ts';
import type { Page, PageAsk } from './page.ts';
import { cursorAt, positionOf } from './page.ts';
import type { Item, ItemKey, Store, TransactItem } from './table.ts';
import { Contention, commit, get, getAll, isPassing, maximumAttempts } from './table.ts';

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
 * laid out for (`modulus`) and is split in two by the first activation that finds it laid out for too few.
 */

/** A machine's mark: who it is, when it activated, what it runs, and how it calls itself. */
export type Activation = {
  readonly installationId: InstallationId;
  readonly product: Product;
  readonly machineName: string | null;
  readonly activatedAt: Instant;
};

/** So many places to a bucket: enough to smooth out chance, few enough for an item of about a kilobyte. */
const placesPerBucket = 14;
const maximumBuckets = 1_024;

const markPrefix = '+';

/** How many buckets a limit is dealt out to. */
export function bucketCountFor(limit: number): number {
  return Math.min(maximumBuckets, Math.max(1, Math.ceil(limit / placesPerBucket)));
}

/** How many buckets a raised limit needs: the count is doubled while buckets would be over-full. */
export function bucketCountGrown(bucketCount: number, limit: number): number {
  return limit > bucketCount * placesPerBucket * 2 && bucketCount * 2 <= maximumBuckets
    ? bucketCountGrown(bucketCount * 2, limit)
    : bucketCount;
}

function bucketKey(keyId: string, bucket: number): ItemKey {
  return { PK: `KEY#${keyId}#${bucket}`, SK: 'BUCKET' };
}

function reserveKey(keyId: string): ItemKey {
  return { PK: `KEY#${keyId}`, SK: 'RESERVE' };
}

type Bucket = ItemKey & {
  readonly used: number;
  readonly free: number;
  readonly modulus: number;
  readonly status: 'live' | 'blocked';
} & Readonly<Record<string, unknown>>;

type Reserve = { readonly free: number; readonly total: number; readonly spent?: boolean };

/** The buckets of a new key: equal shares of the limit. What does not divide evenly is in the reserve. */
export function bucketItems(keyId: string, limit: number): Item[] {
  const count = bucketCountFor(limit);
  const free = Math.floor(limit / count);
  return Array.from({ length: count }, (_, bucket) => ({
    ...bucketKey(keyId, bucket),
    used: 0,
    free,
    modulus: count,
    status: 'live',
  }));
}

/** The reserve of a new key: what was not dealt out, and the limit itself. */
export function reserveItem(keyId: string, limit: number): Item {
  return { ...reserveKey(keyId), free: limit % bucketCountFor(limit), total: limit };
}

/** Raises the limit that the buckets count against; goes into the transaction that adds the grant (KEY-8). */
export function reserveRaise(keyId: string, amount: number): TransactItem {
  return {
    Update: {
      TableName: '',
      Key: reserveKey(keyId),
      UpdateExpression: 'SET #free = #free + :amount, #total = #total + :amount REMOVE #spent',
      ConditionExpression: 'attribute_exists(PK)',
      ExpressionAttributeNames: { '#free': 'free', '#total': 'total', '#spent': 'spent' },
      ExpressionAttributeValues: { ':amount': amount },
    },
  };
}

/** How a key's places are laid out, as far as the caller knows; it may have grown since. */
export type Layout = { readonly keyId: string; readonly bucketCount: number };

export type MakOutcome =
  | { readonly is: 'activated'; readonly activation: Activation }
  | { readonly is: 'known'; readonly activation: Activation }
  | { readonly is: 'spent'; readonly used: number }
  | { readonly is: 'blocked' }
  /** The buckets are laid out for another count than the caller knew: read the key again. */
  | { readonly is: 'laid-out-anew' };

/**
 * Activates one installation on a MAK (MAK-1), or answers with the activation that it has already (MAK-2).
 * @param digest the vault's digest of the installation on this key: it chooses the home bucket.
 */
export async function activateOnMak(
  store: Store,
  layout: Layout,
  digest: Buffer,
  activation: Activation,
): Promise<MakOutcome> {
  const home = digest.readUInt32BE(digest.length - 4) % layout.bucketCount;
  for (let attempt = 1; attempt <= maximumAttempts; attempt += 1) {
    if (attempt > 1) await store.pause(attempt);
    const tried = await markHome(store, layout, home, activation);
    if (tried === 'done') return { is: 'activated', activation };
    if (tried === 'in-the-way') continue;
    const judged = judge(tried, layout, activation.installationId);
    if (judged === 'laid-out-for-fewer') {
      await split(store, layout, home);
    } else if (judged !== 'full') {
      return judged;
    } else {
      const placed = await placeFromElsewhere(store, layout, home, activation);
      if (placed !== 'try-again') return placed;
    }
  }
  throw new Contention(`Others kept changing the buckets of key ${layout.keyId}.`);
}

/** The one conditional write of an activation. Answers with the bucket as it was when the write was not possible. */
async function markHome(
  store: Store,
  { keyId, bucketCount }: Layout,
  home: number,
  activation: Activation,
): Promise<'done' | 'in-the-way' | Bucket | 'no-bucket'> {
  try {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: bucketKey(keyId, home),
        UpdateExpression: 'SET #mark = :mark, #used = #used + :one, #free = #free - :one',
        ConditionExpression: `attribute_not_exists(#mark) AND #free > :none AND ${liveAndLaidOut}`,
        ExpressionAttributeNames: {
          ...bucketNames,
          '#mark': markNameOf(activation.installationId),
        },
        ExpressionAttributeValues: {
          ':mark': markOf(activation),
          ':one': 1,
          ':none': 0,
          ':live': 'live',
          ':modulus': bucketCount,
        },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      }),
    );
    return 'done';
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) {
      return error.Item === undefined ? 'no-bucket' : (unmarshall(error.Item) as Bucket);
    }
    if (isPassing(error)) return 'in-the-way';
    throw error;
  }
}

const bucketNames = { '#used': 'used', '#free': 'free', '#status': 'status', '#modulus': 'modulus' } as const;
const liveAndLaidOut = '#status = :live AND #modulus = :modulus';

/** Tells from the bucket as it was why an activation could not be marked in it. */
function judge(
  bucket: Bucket | 'no-bucket',
  layout: Layout,
  installationId: InstallationId,
): Extract<MakOutcome, { is: 'known' | 'blocked' | 'laid-out-anew' }> | 'full' | 'laid-out-for-fewer' {
  if (bucket === 'no-bucket') return 'laid-out-for-fewer';
  const mark = bucket[markNameOf(installationId)];
  if (bucket.status === 'blocked') return { is: 'blocked' };
  if (mark !== undefined) return { is: 'known', activation: activationFrom(installationId, String(mark)) };
  if (bucket.modulus > layout.bucketCount) return { is: 'laid-out-anew' };
  return bucket.modulus < layout.bucketCount ? 'laid-out-for-fewer' : 'full';
}

/** Moves places to a full home bucket, from the reserve or from a bucket that has some, and marks the machine with it. */
async function placeFromElsewhere(
  store: Store,
  layout: Layout,
  home: number,
  activation: Activation,
): Promise<Extract<MakOutcome, { is: 'activated' | 'spent' }> | 'try-again'> {
  const { keyId, bucketCount } = layout;
  const reserve = (await get(store, reserveKey(keyId))) as (Item & Reserve) | undefined;
  if (reserve === undefined) throw new Error(`Key ${keyId} has no reserve; it is written with every MAK.`);
  if (reserve.spent) return { is: 'spent', used: reserve.total };

  if (reserve.free > 0) {
    const take = Math.ceil(reserve.free / (2 * bucketCount));
    return (await movePlaces(store, reserveKey(keyId), layout, home, take, activation)) === 'done'
      ? { is: 'activated', activation }
      : 'try-again';
  }
  // Some of the others first, in an order that differs from machine to machine; all of them before saying that it is spent.
  for (const buckets of [someOf(bucketCount, home), Array.from({ length: bucketCount }, (_, bucket) => bucket)]) {
    const found = (await getAll(
      store,
      buckets.map((bucket) => bucketKey(keyId, bucket)),
    )) as Bucket[];
    const donor = found.reduce<Bucket | undefined>(
      (best, each) => (each.free > (best?.free ?? 0) ? each : best),
      undefined,
    );
    if (donor !== undefined) {
      if (donor.PK === bucketKey(keyId, home).PK) return 'try-again';
      const moved = await movePlaces(
        store,
        { PK: donor.PK, SK: donor.SK },
        layout,
        home,
        Math.ceil(donor.free / 2),
        activation,
      );
      return moved === 'done' ? { is: 'activated', activation } : 'try-again';
    }
    const used = found.reduce((sum, bucket) => sum + bucket.used, 0);
    // Places on the move between two readings could be missed, but a sum of used places that reaches the limit cannot lie.
    if (used === reserve.total) {
      await rememberSpent(store, keyId, reserve.total);
      return { is: 'spent', used };
    }
  }
  return 'try-again';
}

const someBuckets = 16;

function someOf(bucketCount: number, home: number): number[] {
  const count = Math.min(someBuckets, bucketCount - 1);
  return Array.from({ length: count }, (_, step) => (home + 1 + step) % bucketCount);
}

async function movePlaces(
  store: Store,
  from: ItemKey,
  { keyId, bucketCount }: Layout,
  home: number,
  take: number,
  activation: Activation,
): Promise<'done' | 'not-as-expected' | 'in-the-way'> {
  return commit(store, [
    {
      Update: {
        TableName: '',
        Key: from,
        UpdateExpression: 'SET #free = #free - :take',
        ConditionExpression: '#free >= :take',
        ExpressionAttributeNames: { '#free': 'free' },
        ExpressionAttributeValues: { ':take': take },
      },
    },
    {
      Update: {
        TableName: '',
        Key: bucketKey(keyId, home),
        UpdateExpression: 'SET #mark = :mark, #used = #used + :one, #free = #free + :rest',
        ConditionExpression: `attribute_not_exists(#mark) AND ${liveAndLaidOut}`,
        ExpressionAttributeNames: { ...bucketNames, '#mark': markNameOf(activation.installationId) },
        ExpressionAttributeValues: {
          ':mark': markOf(activation),
          ':one': 1,
          ':rest': take - 1,
          ':live': 'live',
          ':modulus': bucketCount,
        },
      },
    },
  ]);
}

/** Remembers that every place is used, so that the next refusal need not look into every bucket again. */
async function rememberSpent(store: Store, keyId: string, total: number): Promise<void> {
  try {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: reserveKey(keyId),
        UpdateExpression: 'SET #spent = :yes',
        ConditionExpression: '#total = :total AND #free = :none',
        ExpressionAttributeNames: { '#spent': 'spent', '#total': 'total', '#free': 'free' },
        ExpressionAttributeValues: { ':yes': true, ':total': total, ':none': 0 },
      }),
    );
  } catch (error) {
    // The limit was raised in between, or the database is busy: then it is simply not remembered.
    if (!(error instanceof ConditionalCheckFailedException) && !isPassing(error)) throw error;
  }
}

/**
 * Splits the bucket that a home bucket is still a part of: the marks that belong to the new half move there with their
 * share of the free places, in one transaction that fails if anything was activated in between. One level at a time.
 */
async function split(store: Store, { keyId, bucketCount }: Layout, home: number): Promise<void> {
  const ancestors = ancestorsOf(bucketCount, home);
  const found = (await getAll(
    store,
    [...new Set(ancestors)].map((bucket) => bucketKey(keyId, bucket)),
  )) as Bucket[];
  const parent = found.toSorted((one, other) => other.modulus - one.modulus)[0];
  if (parent === undefined) throw new Error(`Key ${keyId} has no bucket for home ${home} or any that it came from.`);
  if (parent.modulus >= bucketCount) return;
  const number = Number(parent.PK.slice(parent.PK.lastIndexOf('#') + 1));
  const modulus = parent.modulus * 2;
  const marks = Object.keys(parent).filter((name) => name.startsWith(markPrefix));
  const moving = marks.filter((name) => {
    const digest = store.vault.digestOf(keyId, installationOf(name));
    return digest.readUInt32BE(digest.length - 4) % modulus !== number;
  });
  const free = Math.floor(parent.free / 2);
  const names = Object.fromEntries(moving.map((name, index) => [`#m${index}`, name]));
  await commit(store, [
    {
      Update: {
        TableName: '',
        Key: { PK: parent.PK, SK: parent.SK },
        UpdateExpression: `SET #modulus = :modulus, #used = :used, #free = :free${
          moving.length > 0 ? ` REMOVE ${Object.keys(names).join(', ')}` : ''
        }`,
        ConditionExpression: '#modulus = :before AND #used = :usedBefore AND #free = :freeBefore AND #status = :live',
        ExpressionAttributeNames: { ...bucketNames, ...names },
        ExpressionAttributeValues: {
          ':modulus': modulus,
          ':used': parent.used - moving.length,
          ':free': parent.free - free,
          ':before': parent.modulus,
          ':usedBefore': parent.used,
          ':freeBefore': parent.free,
          ':live': 'live',
        },
      },
    },
    {
      Put: {
        TableName: '',
        Item: {
          ...Object.fromEntries(moving.map((name) => [name, parent[name]])),
          ...bucketKey(keyId, number + parent.modulus),
          used: moving.length,
          free,
          modulus,
          status: 'live',
        },
        ConditionExpression: 'attribute_not_exists(PK)',
      },
    },
  ]);
}

/** The numbers that a bucket had before each doubling, itself first. */
function ancestorsOf(bucketCount: number, bucket: number): number[] {
  const before = bucketCount / 2;
  return Number.isInteger(before) ? [bucket, ...ancestorsOf(before, bucket % before)] : [bucket];
}

/** How many of a MAK's activations are used, as it is now (KEY-7). */
export async function usedOnMak(store: Store, layout: Layout): Promise<number> {
  const buckets = await bucketsOf(store, layout, 0, layout.bucketCount);
  return buckets.reduce((sum, bucket) => sum + bucket.used, 0);
}

async function bucketsOf(store: Store, { keyId }: Layout, from: number, to: number): Promise<Bucket[]> {
  const keys = Array.from({ length: Math.max(0, to - from) }, (_, step) => bucketKey(keyId, from + step));
  return (await getAll(store, keys)) as Bucket[];
}

/** The activations of a MAK, bucket by bucket. The cursor is a bucket and a mark in it, and stays good as more come in. */
export async function activationsOnMak(store: Store, layout: Layout, ask: PageAsk): Promise<Page<Activation>> {
  const [from = '0', after = ''] = ask.cursor === null ? [] : positionOf(ask.cursor).split(' ');
  const found: { readonly position: string; readonly activation: Activation }[] = [];
  const first = Number.parseInt(from, 10) || 0;
  for (let start = first; start < layout.bucketCount && found.length <= ask.limit; start += 25) {
    for (const bucket of await bucketsOf(store, layout, start, Math.min(start + 25, layout.bucketCount))) {
      const number = bucket.PK.slice(bucket.PK.lastIndexOf('#') + 1);
      for (const name of Object.keys(bucket)
        .filter((each) => each.startsWith(markPrefix))
        .toSorted()) {
        if (number === from && name <= after) continue;
        found.push({
          position: `${number} ${name}`,
          activation: activationFrom(installationOf(name), String(bucket[name])),
        });
      }
    }
  }
  const items = found.slice(0, ask.limit);
  const last = items.at(-1);
  return {
    items: items.map(({ activation }) => activation),
    nextCursor: found.length > ask.limit && last !== undefined ? cursorAt(last.position) : null,
  };
}

/** A mark's name holds the installation id in few bytes: its 45 digits as a number, in base 64. */
function markNameOf(installationId: InstallationId): string {
  const hex = BigInt(withoutCheckDigits(installationId)).toString(16);
  return markPrefix + Buffer.from(hex.padStart(38, '0'), 'hex').toString('base64url');
}

function installationOf(markName: string): InstallationId {
  const hex = Buffer.from(markName.slice(markPrefix.length), 'base64url').toString('hex');
  return installationIdFrom(BigInt(`0x${hex}`).toString().padStart(45, '0'));
}

/** A mark's value: when, as milliseconds in base 36, the product by its place in the list, and the machine's name. */
function markOf({ activatedAt, product, machineName }: Activation): string {
  return `${epochMilliseconds(activatedAt).toString(36)}.${products.indexOf(product)}.${machineName ?? ''}`;
}

function activationFrom(installationId: InstallationId, mark: string): Activation {
  const [at = '', product = '', ...name] = mark.split('.');
  const activated = products[Number(product)];
  if (activated === undefined) throw new Error(`A mark names product ${product}, which is not in the list.`);
  const machineName = name.join('.');
  return {
    installationId,
    product: activated,
    machineName: machineName === '' ? null : machineName,
    activatedAt: fromEpochMilliseconds(Number.parseInt(at, 36)),
  };
}
