import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { mapInBatches } from './dynamodb/concurrency.ts';
import type { ItemKey, TransactItem } from './dynamodb/table.ts';
import { attemptsMax, ContentionError, commit, isTransient } from './dynamodb/table.ts';
import type { MakActivationResult } from './mak-activations.ts';
import { recordExhausted, resultFromBucket, splitBucket } from './mak-activations.ts';
import type { Activation, Bucket, BucketLayout } from './mak-bucket.ts';
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
  reserveKey,
} from './mak-bucket.ts';
import type { Store } from './store.ts';

/** One item of a batch: an installation, and the vault's digest of it on this key. */
export type BatchItem = { readonly digest: Buffer; readonly activation: Activation };

/** Batch items with the same home bucket that have no result yet, by their indexes, in the order of the batch. */
type BucketGroup = { readonly homeBucket: number; readonly bucket: Bucket; readonly indexes: readonly number[] };

/** Results by the indexes of their batch items. */
type Results = ReadonlyMap<number, MakActivationResult>;

/** The item has as many available slots as the batch takes from it. */
const slotsAvailable = '#available >= :slotsTaken';

/**
 * Activates a batch on a MAK (MAK-6). Returns one result for each item, in order. If every home bucket has enough slots
 * for its items, each bucket needs one conditional write. Otherwise one transaction transfers slots, and writes each
 * bucket at most once. If there are too few slots, the first items get them, and the rest are refused. Returns
 * `stale-layout` if the number of buckets has grown: read the key again.
 */
export async function activateBatchOnMak(
  store: Store,
  layout: BucketLayout,
  items: readonly BatchItem[],
): Promise<readonly MakActivationResult[] | 'stale-layout'> {
  const results = new Map<number, MakActivationResult>();
  const firstIndexes = new Map(
    items.map(({ activation }, index) => [activation.installationId, index] as const).toReversed(),
  );
  const pendingIndexes = () =>
    [...firstIndexes.values()].filter((index) => !results.has(index)).toSorted((one, other) => one - other);

  for (let attempt = 1; pendingIndexes().length > 0; attempt += 1) {
    if (attempt > attemptsMax)
      throw new ContentionError(`All attempts conflicted with other writes to the buckets of key ${layout.keyId}.`);
    if (attempt > 1) await store.backOff(attempt);
    const grouping = await groupByHomeBucket(store, layout, items, pendingIndexes());
    if (grouping === 'stale-layout') return 'stale-layout';
    for (const [index, result] of grouping.results) results.set(index, result);
    const { groups } = grouping;
    const hasRoom = groups.every(({ bucket, indexes }) => bucket.available >= indexes.length);
    const attempted = hasRoom
      ? await activateGroups(store, layout, items, groups)
      : await allocateSlots(store, layout, items, groups);
    if (attempted === 'stale-layout') return 'stale-layout';
    for (const [index, result] of attempted) results.set(index, result);
  }
  return items.map(({ activation }, index) => {
    const firstIndex = firstIndexes.get(activation.installationId) ?? index;
    const result = results.get(firstIndex);
    if (result === undefined) throw new Error(`Item ${index} of a batch has no result.`);
    // A later item with the same installation finds it activated.
    return index !== firstIndex && result.kind === 'activated' ? { ...result, kind: 'already-activated' } : result;
  });
}

/** Reads the home buckets. Returns the results that follow from them, and groups of the remaining items. */
async function groupByHomeBucket(
  store: Store,
  layout: BucketLayout,
  items: readonly BatchItem[],
  pendingIndexes: readonly number[],
): Promise<{ readonly groups: readonly BucketGroup[]; readonly results: Results } | 'stale-layout'> {
  const indexesByHomeBucket = Map.groupBy(pendingIndexes, (index) =>
    homeBucketOf(itemAt(items, index).digest, layout.bucketCount),
  );
  const homeBuckets = await readBuckets(store, layout.keyId, [...indexesByHomeBucket.keys()]);
  const buckets = new Map(homeBuckets.map((bucket) => [bucketNumberOf(bucket), bucket]));
  const groups: BucketGroup[] = [];
  const results = new Map<number, MakActivationResult>();
  for (const [homeBucket, indexes] of indexesByHomeBucket) {
    const bucket = buckets.get(homeBucket);
    const waitingIndexes: number[] = [];
    let mustSplit = false;
    for (const index of indexes) {
      const result = resultFromBucket(bucket ?? 'no-bucket', layout, activationAt(items, index).installationId);
      if (result === 'needs-split') mustSplit = true;
      else if (result === 'full') waitingIndexes.push(index);
      else if (result.kind === 'stale-layout') return 'stale-layout';
      else results.set(index, result);
    }
    if (mustSplit) {
      const splitResult = await splitBucket(store, layout, homeBucket);
      if (typeof splitResult !== 'string') for (const index of indexes) results.set(index, splitResult);
    } else if (bucket !== undefined && waitingIndexes.length > 0)
      groups.push({ homeBucket, bucket, indexes: waitingIndexes });
  }
  return { groups, results };
}

async function activateGroups(
  store: Store,
  layout: BucketLayout,
  items: readonly BatchItem[],
  groups: readonly BucketGroup[],
): Promise<Results> {
  const results = await mapInBatches(groups, (group) => activateGroup(store, layout, items, group));
  return new Map(results.flatMap((each) => [...each]));
}

/** Activates all items of a group in their home bucket. Returns no results if the bucket changed in the meantime. */
async function activateGroup(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  items: readonly BatchItem[],
  { homeBucket, indexes }: BucketGroup,
): Promise<Results> {
  const { assignments, noneActivated, names, values } = activationExpressions(items, indexes);
  try {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: bucketKey(keyId, homeBucket),
        UpdateExpression: `SET #used = #used + :slotsTaken, #available = #available - :slotsTaken, ${assignments}`,
        ConditionExpression: `${slotsAvailable} AND ${noneActivated} AND ${liveAndCurrentLayout}`,
        ExpressionAttributeNames: { ...bucketAttributeNames, ...names },
        ExpressionAttributeValues: {
          ...values,
          ':slotsTaken': indexes.length,
          ':live': 'live',
          ':bucketCount': bucketCount,
        },
      }),
    );
    return activatedResults(items, indexes);
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException) && !isTransient(error)) throw error;
    return new Map();
  }
}

/** The maximum number of items in a transaction. The next attempt allocates what does not fit. */
const transactionItemsMax = 100;

/** The changes of a transaction to one bucket, or to the reserve: activations to add, and slots to take from it. */
type BucketUpdate = {
  readonly key: ItemKey;
  readonly homeBucket: number | null;
  available: number;
  slotsTaken: number;
  readonly indexes: number[];
};

function newBucketUpdate(key: ItemKey, homeBucket: number | null, available: number): BucketUpdate {
  return { key, homeBucket, available, slotsTaken: 0, indexes: [] };
}

/**
 * Activates items with slots from anywhere, in the order of the batch: from the home bucket first, otherwise from the
 * reserve or another bucket, the one with the most available slots first, so that the transaction writes few items.
 */
async function allocateSlots(
  store: Store,
  layout: BucketLayout,
  items: readonly BatchItem[],
  groups: readonly BucketGroup[],
): Promise<Results | 'stale-layout'> {
  const { keyId, bucketCount } = layout;
  const reserve = await readReserve(store, keyId);
  // With a stale number of buckets, all slots of a raised limit would go to the few buckets that existed before.
  if (grownBucketCountFor(bucketCount, reserve.limit) > bucketCount) return 'stale-layout';
  const allBuckets = await readBuckets(store, keyId, bucketNumbersFrom(0, bucketCount));
  const bucketUpdates = new Map(
    allBuckets.map((bucket) => {
      const number = bucketNumberOf(bucket);
      return [number, newBucketUpdate(bucketKey(keyId, number), number, bucket.available)];
    }),
  );
  const donors = [newBucketUpdate(reserveKey(keyId), null, reserve.available), ...bucketUpdates.values()].toSorted(
    (one, other) => other.available - one.available,
  );
  const pendingItems = groups
    .flatMap(({ homeBucket, indexes }) => indexes.map((index) => ({ homeBucket, index })))
    .toSorted((one, other) => one.index - other.index);
  const slotCount = donors.reduce((sum, { available }) => sum + available, 0);
  const changedDonors = () => donors.filter(({ slotsTaken, indexes }) => slotsTaken > 0 || indexes.length > 0);
  const itemsWithoutHomeSlot: typeof pendingItems = [];
  for (const item of pendingItems.slice(0, slotCount)) {
    const bucket = bucketUpdates.get(item.homeBucket);
    if (bucket !== undefined && bucket.available > 0) assignSlot(bucket, bucket, item.index);
    else itemsWithoutHomeSlot.push(item);
  }
  for (const { homeBucket, index } of itemsWithoutHomeSlot) {
    const donor = donors.find(({ available }) => available > 0);
    const bucket = bucketUpdates.get(homeBucket);
    if (donor === undefined || bucket === undefined || changedDonors().length > transactionItemsMax - 2) break;
    assignSlot(bucket, donor, index);
  }
  const updates = changedDonors();
  if (updates.length > 0) {
    const writes = updates.map((update) => toBucketWrite(layout, items, update));
    if ((await commit(store, writes)) !== 'committed') return new Map();
    return activatedResults(
      items,
      updates.flatMap(({ indexes }) => indexes),
    );
  }
  const isSplit = allBuckets.length === bucketCount && allBuckets.every((each) => each.bucketCount === bucketCount);
  if (!isSplit) {
    for (const number of bucketNumbersFrom(0, bucketCount)) await splitBucket(store, layout, number);
    return new Map();
  }
  // The reads could miss slots that are transferred between them. Used slots that add up to the limit are proof.
  const used = allBuckets.reduce((sum, bucket) => sum + bucket.used, 0);
  if (used !== reserve.limit) return new Map();
  await recordExhausted(store, keyId, reserve.limit);
  const bucketsByNumber = new Map(allBuckets.map((bucket) => [bucketNumberOf(bucket), bucket]));
  return new Map(
    pendingItems.map(({ homeBucket, index }) => {
      // The last slot can have gone to a duplicate of this request, which ran at the same time (MAK-2).
      const bucket = bucketsByNumber.get(homeBucket) ?? 'no-bucket';
      const result = resultFromBucket(bucket, layout, activationAt(items, index).installationId);
      return [index, typeof result === 'string' ? { kind: 'exhausted', used } : result];
    }),
  );
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
  if (homeBucket === null || indexes.length === 0) {
    return {
      Update: {
        Key: key,
        UpdateExpression: 'SET #available = #available - :slotsTaken',
        ConditionExpression: slotsAvailable,
        ExpressionAttributeNames: { '#available': 'available' },
        ExpressionAttributeValues: { ':slotsTaken': slotsTaken },
      },
    };
  }
  const { assignments, noneActivated, names, values } = activationExpressions(items, indexes);
  return {
    Update: {
      Key: key,
      UpdateExpression: `SET #used = #used + :count, #available = #available - :slotsTaken, ${assignments}`,
      ConditionExpression: `${slotsAvailable} AND ${noneActivated} AND ${liveAndCurrentLayout}`,
      ExpressionAttributeNames: { ...bucketAttributeNames, ...names },
      ExpressionAttributeValues: {
        ...values,
        ':count': indexes.length,
        ':slotsTaken': slotsTaken,
        ':live': 'live',
        ':bucketCount': bucketCount,
      },
    },
  };
}

/**
 * Returns the parts of an update that add activation records. `noneActivated`: none of the installations has one yet.
 */
function activationExpressions(items: readonly BatchItem[], indexes: readonly number[]) {
  const entries = indexes.map((index) => ({
    name: `#activation${index}`,
    value: `:activation${index}`,
    activation: activationAt(items, index),
  }));
  return {
    assignments: entries.map(({ name, value }) => `${name} = ${value}`).join(', '),
    noneActivated: entries.map(({ name }) => `attribute_not_exists(${name})`).join(' AND '),
    names: Object.fromEntries(
      entries.map(({ name, activation }) => [name, attributeNameOf(activation.installationId)]),
    ),
    values: Object.fromEntries(entries.map(({ value, activation }) => [value, encodeActivation(activation)])),
  };
}

function activatedResults(items: readonly BatchItem[], indexes: readonly number[]): Results {
  return new Map(indexes.map((index) => [index, { kind: 'activated', activation: activationAt(items, index) }]));
}

function activationAt(items: readonly BatchItem[], index: number): Activation {
  return itemAt(items, index).activation;
}

function itemAt(items: readonly BatchItem[], index: number): BatchItem {
  const item = items[index];
  if (item === undefined) throw new Error(`A batch of ${items.length} has no item ${index}.`);
  return item;
}
