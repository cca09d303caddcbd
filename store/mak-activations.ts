import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { Instant } from '../domain/calendar/instant.ts';
import { epochMilliseconds, fromEpochMilliseconds } from '../domain/calendar/instant.ts';
import type { Product } from '../domain/catalog.ts';
import { products } from '../domain/catalog.ts';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import { installationIdFrom, withoutCheckDigits } from '../domain/keys/installation-id.ts';
import type { Page, PageAsk } from './dynamodb/page.ts';
import { pageOf } from './dynamodb/page.ts';
import type { Committed, Item, ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import {
  Contention,
  checkFormat,
  commit,
  get,
  getAll,
  inParallel,
  isPassing,
  maximumAttempts,
  unlessBusy,
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
const placesPerBucket = 14;
// Enough for a key of 100,000 to keep its items at a kilobyte. To count a key is to read them all, so there is an end.
const maximumBuckets = 8_192;

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

export function bucketKey(keyId: string, bucket: number): ItemKey {
  return { PK: `KEY#${keyId}#${bucket}`, SK: 'BUCKET' };
}

export function reserveKey(keyId: string): ItemKey {
  return { PK: `KEY#${keyId}`, SK: 'RESERVE' };
}

export type Bucket = ItemKey & {
  readonly used: number;
  readonly free: number;
  readonly bucketCount: number;
  readonly status: 'live' | 'blocked';
} & Readonly<Record<string, unknown>>;

type Reserve = { readonly free: number; readonly limit: number; readonly exhausted?: boolean };

/**
 * The buckets of a new key. The whole limit is dealt out, as evenly as it goes: places that are where machines come need
 * not be fetched from a reserve first.
 */
export function bucketItems(keyId: string, limit: number): Item[] {
  const count = bucketCountFor(limit);
  return Array.from({ length: count }, (_, bucket) => ({
    ...bucketKey(keyId, bucket),
    used: 0,
    free: Math.floor(limit / count) + (bucket < limit % count ? 1 : 0),
    bucketCount: count,
    status: 'live',
  }));
}

/** The reserve of a new key: no places as yet, and the limit itself. */
export function reserveItem(keyId: string, limit: number): Item {
  return { ...reserveKey(keyId), free: 0, limit };
}

/** Raises the limit that the buckets count against; goes into the transaction that adds the grant (KEY-8). */
export function reserveRaise(keyId: string, amount: number): TransactItem {
  return {
    Update: {
      TableName: '',
      Key: reserveKey(keyId),
      UpdateExpression: 'SET #free = #free + :amount, #limit = #limit + :amount REMOVE #exhausted',
      ConditionExpression: 'attribute_exists(PK)',
      ExpressionAttributeNames: { '#free': 'free', '#limit': 'limit', '#exhausted': 'exhausted' },
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
  const home = homeOf(digest, layout.bucketCount);
  for (let attempt = 1; attempt <= maximumAttempts; attempt += 1) {
    if (attempt > 1) await store.pause(attempt);
    const outcome = await tryToActivate(store, layout, home, activation);
    if (outcome !== 'in-the-way') return outcome;
  }
  throw new Contention(`Others kept changing the buckets of key ${layout.keyId}.`);
}

/** The bucket that a machine belongs to, out of so many. */
export function homeOf(digest: Buffer, bucketCount: number): number {
  return digest.readUInt32BE(digest.length - 4) % bucketCount;
}

async function tryToActivate(
  store: Store,
  layout: Layout,
  home: number,
  activation: Activation,
): Promise<MakOutcome | 'in-the-way'> {
  const tried = await markHome(store, layout, home, activation);
  if (tried === 'done') return { is: 'activated', activation };
  if (tried === 'in-the-way') return tried;
  const judged = judge(tried, layout, activation.installationId);
  if (judged === 'full') return placeFromElsewhere(store, layout, home, activation);
  if (judged !== 'laid-out-for-fewer') return judged;
  const laidOut = await layOut(store, layout, home);
  return laidOut === 'done' ? tryToActivate(store, layout, home, activation) : laidOut;
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
          ':bucketCount': bucketCount,
        },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      }),
    );
    return 'done';
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) {
      return error.Item === undefined ? 'no-bucket' : checkFormat(unmarshall(error.Item) as Bucket);
    }
    if (isPassing(error)) return 'in-the-way';
    throw error;
  }
}

export const bucketNames = {
  '#used': 'used',
  '#free': 'free',
  '#status': 'status',
  '#bucketCount': 'bucketCount',
} as const;
export const liveAndLaidOut = '#status = :live AND #bucketCount = :bucketCount';

/** Tells from the bucket as it was why an activation could not be marked in it. */
export function judge(
  bucket: Bucket | 'no-bucket',
  layout: Layout,
  installationId: InstallationId,
): Extract<MakOutcome, { is: 'known' | 'blocked' | 'laid-out-anew' }> | 'full' | 'laid-out-for-fewer' {
  if (bucket === 'no-bucket') return 'laid-out-for-fewer';
  const mark = bucket[markNameOf(installationId)];
  if (bucket.status === 'blocked') return { is: 'blocked' };
  if (mark !== undefined) return { is: 'known', activation: activationFrom(installationId, String(mark)) };
  if (bucket.bucketCount > layout.bucketCount) return { is: 'laid-out-anew' };
  return bucket.bucketCount < layout.bucketCount ? 'laid-out-for-fewer' : 'full';
}

/** The places that are in no bucket, and the limit itself. */
export async function readReserve(store: Store, keyId: string): Promise<Reserve> {
  const reserve = (await get(store, reserveKey(keyId))) as (Item & Reserve) | undefined;
  if (reserve === undefined) throw new Error(`Key ${keyId} has no reserve; it is written with every MAK.`);
  return reserve;
}

/** Moves places to a full home bucket, from the reserve or from a bucket that has some, and marks the machine with it. */
async function placeFromElsewhere(
  store: Store,
  layout: Layout,
  home: number,
  activation: Activation,
): Promise<MakOutcome | 'in-the-way'> {
  const { keyId, bucketCount } = layout;
  const reserve = await readReserve(store, keyId);
  // Whoever still knew the old layout would pile a raised limit up in the few buckets there were.
  if (bucketCountGrown(bucketCount, reserve.limit) > bucketCount) return { is: 'laid-out-anew' };
  if (reserve.exhausted) return spentUnlessKnown(store, layout, { home, used: reserve.limit }, activation);

  const placed = async (from: ItemKey, take: number): Promise<MakOutcome | 'in-the-way'> => {
    const moved = await movePlaces(store, layout, { from, home, take }, activation);
    return moved === 'done' ? { is: 'activated', activation } : 'in-the-way';
  };
  if (reserve.free > 0) {
    // Half a bucket at a time, so that the next machines that come here find a place at once.
    const take = Math.max(placesPerBucket / 2, Math.ceil(reserve.free / bucketCount));
    return placed(reserveKey(keyId), Math.min(reserve.free, take));
  }
  let used = 0;
  const unsplit: number[] = [];
  for (const numbers of inTurn(bucketCount, home)) {
    const found = await bucketsAt(store, keyId, numbers);
    const donor = found.reduce<Bucket | undefined>(
      (best, each) => (each.free > (best?.free ?? 0) ? each : best),
      undefined,
    );
    // When places came to the home bucket meanwhile, one of them is ours for the trying.
    if (donor !== undefined) {
      return numberOf(donor) === home ? 'in-the-way' : placed(donor, Math.ceil(donor.free / 2));
    }
    used += found.reduce((sum, bucket) => sum + bucket.used, 0);
    const laidOut = new Set(found.filter((bucket) => bucket.bucketCount === bucketCount).map(numberOf));
    unsplit.push(...numbers.filter((number) => !laidOut.has(number)));
  }
  // A bucket split between two readings would be counted twice, so nothing is called spent before all are split.
  for (const number of unsplit) await layOut(store, layout, number);
  // Places on the move between two readings could be missed, but used places that add up to the limit cannot lie.
  if (unsplit.length > 0 || used < reserve.limit) return 'in-the-way';
  await rememberSpent(store, keyId, reserve.limit);
  return spentUnlessKnown(store, layout, { home, used }, activation);
}

/** Looks once more: the last place can have gone to this very machine, which came twice at once (MAK-2). */
async function spentUnlessKnown(
  store: Store,
  layout: Layout,
  { home, used }: { readonly home: number; readonly used: number },
  { installationId }: Activation,
): Promise<MakOutcome> {
  const [bucket = 'no-bucket'] = await bucketsAt(store, layout.keyId, [home]);
  const judged = judge(bucket, layout, installationId);
  return typeof judged === 'string' ? { is: 'spent', used } : judged;
}

const askedFirst = 16;
const askedAfter = 100;

/** All buckets in the order in which one asks them for places: from the next one on, a few at first, itself last. */
function inTurn(bucketCount: number, home: number): number[][] {
  const ring = Array.from({ length: bucketCount }, (_, step) => (home + 1 + step) % bucketCount);
  const rest = ring.slice(askedFirst);
  return [
    ring.slice(0, askedFirst),
    ...Array.from({ length: Math.ceil(rest.length / askedAfter) }, (_, part) =>
      rest.slice(part * askedAfter, (part + 1) * askedAfter),
    ),
  ];
}

async function movePlaces(
  store: Store,
  { keyId, bucketCount }: Layout,
  { from, home, take }: { readonly from: ItemKey; readonly home: number; readonly take: number },
  activation: Activation,
): Promise<Committed> {
  const { PK, SK } = from;
  return commit(store, [
    {
      Update: {
        TableName: '',
        Key: { PK, SK },
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
          ':bucketCount': bucketCount,
        },
      },
    },
  ]);
}

/** Remembers that every place is used, so that the next refusal need not look into every bucket again. */
export async function rememberSpent(store: Store, keyId: string, total: number): Promise<void> {
  try {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: reserveKey(keyId),
        UpdateExpression: 'SET #exhausted = :yes',
        ConditionExpression: '#limit = :limit AND #free = :none',
        ExpressionAttributeNames: { '#exhausted': 'exhausted', '#limit': 'limit', '#free': 'free' },
        ExpressionAttributeValues: { ':yes': true, ':limit': total, ':none': 0 },
      }),
    );
  } catch (error) {
    // The limit was raised in between, or the database is busy: then it is simply not remembered.
    if (!(error instanceof ConditionalCheckFailedException) && !isPassing(error)) throw error;
  }
}

/**
 * Lays a bucket out for the count of today, by splitting the one that it is still a part of as often as it takes. At each
 * split the marks that belong to the new half move there with half of the free places, in one transaction that fails if
 * anything was activated in between.
 */
export async function layOut(
  store: Store,
  { keyId, bucketCount }: Layout,
  home: number,
): Promise<'done' | 'in-the-way' | Extract<MakOutcome, { is: 'blocked' }>> {
  let [bucket] = await bucketsAt(store, keyId, ancestorsOf(bucketCount, home));
  if (bucket === undefined) throw new Error(`Key ${keyId} has no bucket for home ${home} or any that it came from.`);
  while (bucket.bucketCount < bucketCount) {
    if (bucket.status === 'blocked') return { is: 'blocked' };
    const [staying, leaving]: readonly [Bucket, Bucket] = halvesOf(store, keyId, bucket);
    const committed = await commit(store, [
      {
        Put: {
          TableName: '',
          Item: staying,
          ConditionExpression: '#bucketCount = :bucketCount AND #used = :used AND #free = :free AND #status = :live',
          ExpressionAttributeNames: bucketNames,
          ExpressionAttributeValues: {
            ':bucketCount': bucket.bucketCount,
            ':used': bucket.used,
            ':free': bucket.free,
            ':live': 'live',
          },
        },
      },
      { Put: { TableName: '', Item: leaving, ConditionExpression: 'attribute_not_exists(PK)' } },
    ]);
    if (committed !== 'done') return 'in-the-way';
    bucket = home % leaving.bucketCount === numberOf(leaving) ? leaving : staying;
  }
  return 'done';
}

/** What stays of a bucket when it is split in two, and what leaves for the new one. */
function halvesOf(store: Store, keyId: string, bucket: Bucket): readonly [Bucket, Bucket] {
  const bucketCount = bucket.bucketCount * 2;
  const number = numberOf(bucket);
  const leaves = ([name]: readonly [string, unknown]) =>
    homeOf(store.vault.digestOf(keyId, installationOf(name)), bucketCount) !== number;
  const marks = Object.entries(bucket).filter(([name]) => name.startsWith(markPrefix));
  const leaving = marks.filter(leaves);
  const staying = marks.filter((mark) => !leaves(mark));
  const free = Math.floor(bucket.free / 2);
  return [
    {
      ...Object.fromEntries(staying),
      ...bucketKey(keyId, number),
      used: staying.length,
      free: bucket.free - free,
      bucketCount,
      status: 'live',
    },
    {
      ...Object.fromEntries(leaving),
      ...bucketKey(keyId, number + bucket.bucketCount),
      used: leaving.length,
      free,
      bucketCount,
      status: 'live',
    },
  ];
}

/** The numbers that a bucket had before each doubling, itself first. */
function ancestorsOf(bucketCount: number, bucket: number): number[] {
  const before = bucketCount / 2;
  return Number.isInteger(before) ? [bucket, ...ancestorsOf(before, bucket % before)] : [bucket];
}

const looksAtSplits = 5;

/**
 * How many of a MAK's activations are used, as it is now (KEY-7). Buckets are read one after another; one that is split
 * between two readings would be counted twice, or not at all. Their shares tell: together they are the whole key.
 */
export async function usedOnMak(store: Store, { keyId, bucketCount }: Layout): Promise<number> {
  let buckets: readonly Bucket[] = [];
  for (let look = 1; look <= looksAtSplits; look += 1) {
    buckets = await bucketsAt(store, keyId, numbersFrom(0, bucketCount));
    const share = buckets.reduce((sum, bucket) => sum + 1 / bucket.bucketCount, 0);
    if (Math.abs(share - 1) < 1e-9) break;
  }
  return buckets.reduce((sum, bucket) => sum + bucket.used, 0);
}

export function numbersFrom(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, step) => from + step);
}

/** Reads buckets by their numbers, in that order; those that are not split off yet are left out. */
export async function bucketsAt(store: Store, keyId: string, numbers: readonly number[]): Promise<Bucket[]> {
  const keys = numbers.map((number) => bucketKey(keyId, number));
  return (await getAll(store, keys)) as Bucket[];
}

export function numberOf({ PK }: ItemKey): number {
  return Number(PK.slice(PK.lastIndexOf('#') + 1));
}

/** The activations of a MAK, bucket by bucket. A position is a bucket and a mark in it, and stays good as more come in. */
export async function activationsOnMak(
  store: Store,
  { keyId, bucketCount }: Layout,
  ask: PageAsk,
): Promise<Page<Activation>> {
  const [bucketAfter = '', markAfter = ''] = ask.after?.split(' ') ?? [];
  const first = /^\d+$/.test(bucketAfter) ? Number(bucketAfter) : 0;
  const found: { readonly position: string; readonly activation: Activation }[] = [];
  for (let start = first; start < bucketCount && found.length <= ask.limit; start += bucketsPerReading) {
    const numbers = numbersFrom(start, Math.min(start + bucketsPerReading, bucketCount));
    for (const bucket of await bucketsAt(store, keyId, numbers)) {
      const number = numberOf(bucket);
      for (const name of Object.keys(bucket).toSorted()) {
        if (!name.startsWith(markPrefix) || (number === first && name <= markAfter)) continue;
        found.push({
          position: `${number} ${name}`,
          activation: activationFrom(installationOf(name), String(bucket[name])),
        });
      }
    }
  }
  const page = pageOf(found, ask.limit, ({ position }) => position);
  return { items: page.items.map(({ activation }) => activation), next: page.next };
}

const bucketsPerReading = 25;

/** When each activation of a MAK happened, in no order: what its forecast is made from (ALR-2). */
export async function activationTimesOnMak(store: Store, { keyId, bucketCount }: Layout): Promise<readonly Instant[]> {
  const times: Instant[] = [];
  for (let start = 0; start < bucketCount; start += bucketsPerReading) {
    const numbers = numbersFrom(start, Math.min(start + bucketsPerReading, bucketCount));
    for (const bucket of await bucketsAt(store, keyId, numbers)) {
      for (const [name, mark] of Object.entries(bucket)) {
        if (name.startsWith(markPrefix)) times.push(timeOf(String(mark)));
      }
    }
  }
  return times;
}

/** The machines that have a mark in a bucket and had none in it before. */
export function machinesAdded(before: Item, after: Item): readonly InstallationId[] {
  return Object.keys(after)
    .filter((name) => name.startsWith(markPrefix) && before[name] === undefined)
    .map(installationOf);
}

/**
 * Blocks every bucket of a key (BLK-2). A bucket that was split off meanwhile is found by looking again: once all that
 * are there are blocked, none can be split any more.
 */
export async function blockBuckets(store: Store, { keyId, bucketCount }: Layout): Promise<void> {
  const all = Array.from({ length: bucketCount }, (_, bucket) => bucket);
  for (let attempt = 1; attempt <= maximumAttempts; attempt += 1) {
    const live = (await bucketsAt(store, keyId, all)).filter(({ status }) => status === 'live');
    if (live.length === 0) return;
    await inParallel(live, ({ PK, SK }) =>
      unlessBusy(
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
  throw new Contention(`The buckets of key ${keyId} kept being split while they were to be blocked.`);
}

/** Whether an installation has its mark on a MAK now, wherever it is laid out (VAL-1). */
export async function hasMark(
  store: Store,
  { keyId, bucketCount }: Layout,
  digest: Buffer,
  installationId: InstallationId,
): Promise<boolean> {
  const numbers = [...new Set(ancestorsOf(bucketCount, homeOf(digest, bucketCount)))];
  const found = await bucketsAt(store, keyId, numbers);
  return found.some((bucket) => bucket[markNameOf(installationId)] !== undefined);
}

/**
 * Takes the marks of machines off a blocked key that have moved to its successor (BLK-3). What is not there is left, so
 * that it may run any number of times.
 */
export async function dropMark(
  store: Store,
  { keyId, bucketCount }: Layout,
  digest: Buffer,
  installationId: InstallationId,
): Promise<void> {
  const numbers = [...new Set(ancestorsOf(bucketCount, homeOf(digest, bucketCount)))];
  const name = markNameOf(installationId);
  const bucket = (await bucketsAt(store, keyId, numbers)).find((each) => each[name] !== undefined);
  if (bucket === undefined) return;
  try {
    await unlessBusy(
      store.client.send(
        new UpdateCommand({
          TableName: store.tableName,
          Key: { PK: bucket.PK, SK: bucket.SK },
          UpdateExpression: 'SET #used = #used - :one, #free = #free + :one REMOVE #mark',
          ConditionExpression: 'attribute_exists(#mark) AND #status = :blocked',
          ExpressionAttributeNames: { '#used': 'used', '#free': 'free', '#status': 'status', '#mark': name },
          ExpressionAttributeValues: { ':one': 1, ':blocked': 'blocked' },
        }),
      ),
    );
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
  }
}

/** A mark's name holds the installation id in few bytes: its 45 digits as a number, in base 64. */
export function markNameOf(installationId: InstallationId): string {
  const hex = BigInt(withoutCheckDigits(installationId)).toString(16);
  return markPrefix + Buffer.from(hex.padStart(38, '0'), 'hex').toString('base64url');
}

function installationOf(markName: string): InstallationId {
  const hex = Buffer.from(markName.slice(markPrefix.length), 'base64url').toString('hex');
  return installationIdFrom(BigInt(`0x${hex}`).toString().padStart(45, '0'));
}

/** A mark's value: when, as milliseconds in base 36, the product by its place in the list, and the machine's name. */
export function markOf({ activatedAt, product, machineName }: Activation): string {
  return `${epochMilliseconds(activatedAt).toString(36)}.${products.indexOf(product)}.${machineName ?? ''}`;
}

function activationFrom(installationId: InstallationId, mark: string): Activation {
  const [, product = '', ...name] = mark.split('.');
  const activated = products[Number(product)];
  if (activated === undefined) throw new Error(`A mark names product ${product}, which is not in the list.`);
  const machineName = name.join('.');
  return {
    installationId,
    product: activated,
    machineName: machineName === '' ? null : machineName,
    activatedAt: timeOf(mark),
  };
}

function timeOf(mark: string): Instant {
  return fromEpochMilliseconds(Number.parseInt(mark.slice(0, mark.indexOf('.')), 36));
}
