import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import { attemptsMax, ContentionError, commit, isTransient, mapInBatches } from './dynamodb/table.ts';
import type { Activation, Bucket, BucketLayout, MakActivationResult } from './mak-activations.ts';
import {
  attributeNameOf,
  bucketAttributeNames,
  bucketKey,
  bucketNumberOf,
  bucketNumbersFrom,
  encodeActivation,
  grownBucketCountFor,
  homeBucketOf,
  liveAndCurrentLayout,
  readBuckets,
  readReserve,
  recordExhausted,
  reserveKey,
  resultFromBucket,
  splitBucket,
} from './mak-activations.ts';

/** One line of a batch: an installation, and the vault's digest of it on this key. */
export type BatchItem = { readonly digest: Buffer; readonly activation: Activation };

/** Lines with one home bucket that have no answer yet, in the order of the batch. */
type BucketGroup = { readonly homeBucket: number; readonly bucket: Bucket; readonly indexes: readonly number[] };

/** All lines of a batch, and the answers that are known so far, by the places of their lines. */
type Batch = { readonly lines: readonly BatchItem[]; readonly outcomes: Map<number, MakActivationResult> };

/**
 * Activates a batch on a MAK (MAK-6): one answer for each line, in order. While every home bucket has room for its lines,
 * each is one conditional write. Otherwise places are moved, in one transaction that writes every bucket it touches once;
 * when there are too few for all, the first lines get them and the rest are refused.
 * Answers `laid-out-anew` as a whole when the caller must read the key again.
 */
export async function activateBatchOnMak(
  store: Store,
  layout: BucketLayout,
  items: readonly BatchItem[],
): Promise<readonly MakActivationResult[] | 'stale-layout'> {
  const outcomes = new Map<number, MakActivationResult>();
  const batch: Batch = { lines: items, outcomes };
  const firstIndexes = new Map(
    items.map(({ activation }, index) => [activation.installationId, index] as const).toReversed(),
  );
  const pendingIndexes = () =>
    [...firstIndexes.values()].filter((index) => !outcomes.has(index)).toSorted((one, other) => one - other);

  for (let attempt = 1; pendingIndexes().length > 0; attempt += 1) {
    if (attempt > attemptsMax) throw new ContentionError(`Others kept changing the buckets of key ${layout.keyId}.`);
    if (attempt > 1) await store.backOff(attempt);
    const groups = await groupByHomeBucket(store, layout, batch, pendingIndexes());
    if (groups === 'stale-layout') return groups;
    const hasRoom = groups.every(({ bucket, indexes }) => bucket.available >= indexes.length);
    if (hasRoom) await mapInBatches(groups, (group) => activateGroup(store, layout, batch, group));
    else if ((await allocateSlots(store, layout, batch, groups)) === 'stale-layout') return 'stale-layout';
  }
  return items.map(({ activation }, index) => {
    const first = firstIndexes.get(activation.installationId) ?? index;
    const outcome = outcomes.get(first);
    if (outcome === undefined) throw new Error('A line of a batch was left without an answer.');
    // The same installation further down the batch is known by then.
    return index !== first && outcome.kind === 'activated' ? { ...outcome, kind: 'already-activated' } : outcome;
  });
}

/** Reads the home buckets and answers what they answer at once; the rest comes back in groups. */
async function groupByHomeBucket(
  store: Store,
  layout: BucketLayout,
  { lines: items, outcomes }: Batch,
  pendingIndexes: readonly number[],
): Promise<readonly BucketGroup[] | 'stale-layout'> {
  const indexesByHomeBucket = Map.groupBy(pendingIndexes, (index) =>
    homeBucketOf(digestAt(items, index), layout.bucketCount),
  );
  const homeBuckets = await readBuckets(store, layout.keyId, [...indexesByHomeBucket.keys()]);
  const buckets = new Map(homeBuckets.map((bucket) => [bucketNumberOf(bucket), bucket]));
  const groups: BucketGroup[] = [];
  for (const [homeBucket, indexes] of indexesByHomeBucket) {
    const bucket = buckets.get(homeBucket);
    const waitingIndexes: number[] = [];
    let mustSplit = false;
    for (const index of indexes) {
      const result = resultFromBucket(bucket ?? 'no-bucket', layout, activationAt(items, index).installationId);
      if (result === 'needs-split') mustSplit = true;
      else if (result === 'full') waitingIndexes.push(index);
      else if (result.kind === 'stale-layout') return 'stale-layout';
      else outcomes.set(index, result);
    }
    if (mustSplit) {
      const splitResult = await splitBucket(store, layout, homeBucket);
      if (typeof splitResult !== 'string') for (const index of indexes) outcomes.set(index, splitResult);
    } else if (bucket !== undefined && waitingIndexes.length > 0)
      groups.push({ homeBucket, bucket, indexes: waitingIndexes });
  }
  return groups;
}

/** Marks all lines of a group in their home bucket; when something was different by then, they stay open. */
async function activateGroup(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  { lines: items, outcomes }: Batch,
  { homeBucket, indexes }: BucketGroup,
): Promise<void> {
  const expressions = activationExpressions(items, indexes);
  try {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: bucketKey(keyId, homeBucket),
        UpdateExpression: `SET #used = #used + :count, #available = #available - :count, ${expressions.set}`,
        ConditionExpression: `#available >= :count AND ${expressions.absent} AND ${liveAndCurrentLayout}`,
        ExpressionAttributeNames: { ...bucketAttributeNames, ...expressions.names },
        ExpressionAttributeValues: {
          ...expressions.values,
          ':count': indexes.length,
          ':live': 'live',
          ':bucketCount': bucketCount,
        },
      }),
    );
    recordActivated(items, indexes, outcomes);
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException) && !isTransient(error)) throw error;
  }
}

/** A transaction takes so many items; what does not fit is placed in the next round. */
const transactionItemsMax = 100;

/** What a transaction does to one bucket, or to the reserve: marks lines in it and takes free places out of it. */
type BucketUpdate = {
  readonly key: ItemKey;
  readonly homeBucket: number | null;
  available: number;
  slotsTaken: number;
  readonly indexes: number[];
};

/**
 * Finds places for lines in their order, wherever there are some: in the home bucket first, else in the reserve or in
 * another bucket, the fullest of places first, so that few are touched.
 */
async function allocateSlots(
  store: Store,
  layout: BucketLayout,
  { lines: items, outcomes }: Batch,
  groups: readonly BucketGroup[],
): Promise<'attempted' | 'stale-layout'> {
  const { keyId, bucketCount } = layout;
  const reserve = await readReserve(store, keyId);
  // Whoever still knew the old layout would pile a raised limit up in the few buckets there were.
  if (grownBucketCountFor(bucketCount, reserve.limit) > bucketCount) return 'stale-layout';
  const allBuckets = await readBuckets(store, keyId, bucketNumbersFrom(0, bucketCount));
  const used = allBuckets.reduce((sum, bucket) => sum + bucket.used, 0);
  const newUpdate = (key: ItemKey, homeBucket: number | null, available: number): BucketUpdate => ({
    key,
    homeBucket,
    available,
    slotsTaken: 0,
    indexes: [],
  });
  const bucketUpdates = new Map(
    allBuckets.map((bucket) => [
      bucketNumberOf(bucket),
      newUpdate({ PK: bucket.PK, SK: bucket.SK }, bucketNumberOf(bucket), bucket.available),
    ]),
  );
  const donors = [newUpdate(reserveKey(keyId), null, reserve.available), ...bucketUpdates.values()].toSorted(
    (one, other) => other.available - one.available,
  );
  const pendingItems = groups
    .flatMap(({ homeBucket, indexes }) => indexes.map((index) => ({ home: homeBucket, index })))
    .toSorted((one, other) => one.index - other.index);
  const slotCount = donors.reduce((sum, { available }) => sum + available, 0);
  const placedItems = pendingItems.slice(0, slotCount);
  const itemsWithoutHomeSlot: typeof placedItems = [];
  for (const item of placedItems) {
    const homeBucket = bucketUpdates.get(item.home);
    if (homeBucket !== undefined && homeBucket.available > 0) assignSlot(homeBucket, homeBucket, item.index);
    else itemsWithoutHomeSlot.push(item);
  }
  for (const { home: homeBucket, index } of itemsWithoutHomeSlot) {
    const updateCount = donors.filter(
      ({ slotsTaken, indexes: itemIndexes }) => slotsTaken > 0 || itemIndexes.length > 0,
    ).length;
    const donor = donors.find(({ available }) => available > 0);
    const bucket = bucketUpdates.get(homeBucket);
    // What does not fit into one transaction is placed in the next round.
    if (donor === undefined || bucket === undefined || updateCount > transactionItemsMax - 2) break;
    assignSlot(bucket, donor, index);
  }
  const updates = donors.filter(({ slotsTaken, indexes: itemIndexes }) => slotsTaken > 0 || itemIndexes.length > 0);
  if (updates.length > 0) {
    if (
      (await commit(
        store,
        updates.map((each) => toBucketWrite(layout, items, each)),
      )) !== 'committed'
    )
      return 'attempted';
    for (const { indexes: itemIndexes } of updates) recordActivated(items, itemIndexes, outcomes);
    return 'attempted';
  }
  // Places on the move between two readings could be missed, but used places that add up to the limit cannot lie.
  const isSplit = allBuckets.length === bucketCount && allBuckets.every((bucket) => bucket.bucketCount === bucketCount);
  if (isSplit && used === reserve.limit) {
    await recordExhausted(store, keyId, reserve.limit);
    const bucketsByNumber = new Map(allBuckets.map((bucket) => [bucketNumberOf(bucket), bucket]));
    for (const { home: homeBucket, index } of pendingItems) {
      // The last place can have gone to this very machine, which came twice at once (MAK-2).
      const result = resultFromBucket(
        bucketsByNumber.get(homeBucket) ?? 'no-bucket',
        layout,
        activationAt(items, index).installationId,
      );
      outcomes.set(index, typeof result === 'string' ? { kind: 'exhausted', used } : result);
    }
  } else if (!isSplit) {
    for (const number of bucketNumbersFrom(0, bucketCount)) await splitBucket(store, layout, number);
  }
  return 'attempted';
}

function assignSlot(bucket: BucketUpdate, donor: BucketUpdate, index: number): void {
  bucket.indexes.push(index);
  donor.available -= 1;
  donor.slotsTaken += 1;
}

function toBucketWrite(
  { bucketCount }: BucketLayout,
  items: readonly BatchItem[],
  { key, homeBucket, slotsTaken, indexes }: BucketUpdate,
): TransactItem {
  const attributeNames = { '#available': 'available' };
  if (homeBucket === null || indexes.length === 0) {
    return {
      Update: {
        TableName: '',
        Key: key,
        UpdateExpression: 'SET #available = #available - :taken',
        ConditionExpression: '#available >= :taken',
        ExpressionAttributeNames: attributeNames,
        ExpressionAttributeValues: { ':taken': slotsTaken },
      },
    };
  }
  const expressions = activationExpressions(items, indexes);
  return {
    Update: {
      TableName: '',
      Key: key,
      UpdateExpression: `SET #used = #used + :count, #available = #available - :taken, ${expressions.set}`,
      ConditionExpression: `#available >= :taken AND ${expressions.absent} AND ${liveAndCurrentLayout}`,
      ExpressionAttributeNames: { ...bucketAttributeNames, ...expressions.names },
      ExpressionAttributeValues: {
        ...expressions.values,
        ':count': indexes.length,
        ':taken': slotsTaken,
        ':live': 'live',
        ':bucketCount': bucketCount,
      },
    },
  };
}

/** The parts of an update that set some lines' marks where none of them is yet. */
function activationExpressions(items: readonly BatchItem[], indexes: readonly number[]) {
  const entries = indexes.map((index) => ({
    name: `#mark${index}`,
    value: `:mark${index}`,
    activation: activationAt(items, index),
  }));
  return {
    set: entries.map(({ name, value }) => `${name} = ${value}`).join(', '),
    absent: entries.map(({ name }) => `attribute_not_exists(${name})`).join(' AND '),
    names: Object.fromEntries(
      entries.map(({ name, activation }) => [name, attributeNameOf(activation.installationId)]),
    ),
    values: Object.fromEntries(entries.map(({ value, activation }) => [value, encodeActivation(activation)])),
  };
}

function recordActivated(
  items: readonly BatchItem[],
  indexes: readonly number[],
  outcomes: Map<number, MakActivationResult>,
): void {
  for (const index of indexes) outcomes.set(index, { kind: 'activated', activation: activationAt(items, index) });
}

function activationAt(items: readonly BatchItem[], index: number): Activation {
  return itemAt(items, index).activation;
}

function digestAt(items: readonly BatchItem[], index: number): Buffer {
  return itemAt(items, index).digest;
}

function itemAt(items: readonly BatchItem[], index: number): BatchItem {
  const item = items[index];
  if (item === undefined) throw new Error(`A batch of ${items.length} has no line ${index}.`);
  return item;
}
