import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import { itemExists, itemIsAbsent } from './dynamodb/conditions.ts';
import type { CommitResult, ItemKey, TransactItem } from './dynamodb/table.ts';
import { attemptsMax, ContentionError, checkFormat, commit, isTransient } from './dynamodb/table.ts';
import type { Activation, Bucket, BucketLayout } from './mak-bucket.ts';
import {
  activationNamesOf,
  attributeNameOf,
  bucketAttributeNames,
  bucketKey,
  bucketNumberOf,
  decodeActivation,
  encodeActivation,
  grownBucketCountFor,
  homeBucketOf,
  installationIdOf,
  liveAndCurrentLayout,
  readBuckets,
  readReserve,
  reserveKey,
  slotsPerBucket,
  withParentBuckets,
} from './mak-bucket.ts';
import type { Store } from './store.ts';

export type MakActivationResult =
  | { readonly kind: 'activated'; readonly activation: Activation }
  | { readonly kind: 'already-activated'; readonly activation: Activation }
  | { readonly kind: 'exhausted'; readonly used: number }
  | { readonly kind: 'blocked' }
  /** The number of buckets has grown since the caller read it: read the key again. */
  | { readonly kind: 'stale-layout' };

/** The installation has no activation record in the bucket. */
const notActivated = 'attribute_not_exists(#activation)';

/** The bucket has an available slot. */
const slotAvailable = '#available > :none';

/** The item has as many available slots as the transaction takes. */
const slotsAvailable = '#available >= :slotCount';

/** The limit was not raised since it was read. */
const limitUnchanged = '#limit = :limit';

/** The reserve has no available slots. */
const reserveIsEmpty = '#available = :none';

/** No activation and no transfer changed the bucket since it was read, and it was not split. */
const bucketUnchanged = '#bucketCount = :bucketCount AND #used = :used AND #available = :available AND #status = :live';

/**
 * Activates an installation on a MAK (MAK-1), or returns the activation that it already has (MAK-2).
 * @param digest the vault's digest of the installation on this key, which determines the home bucket.
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
  throw new ContentionError(`All attempts conflicted with other writes to the buckets of key ${layout.keyId}.`);
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

/** Runs the conditional write of an activation. If the condition fails, returns the bucket as it was. */
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
        UpdateExpression: 'SET #activation = :activation, #used = #used + :one, #available = #available - :one',
        ConditionExpression: `${notActivated} AND ${slotAvailable} AND ${liveAndCurrentLayout}`,
        ExpressionAttributeNames: {
          ...bucketAttributeNames,
          '#activation': attributeNameOf(activation.installationId),
        },
        ExpressionAttributeValues: {
          ':activation': encodeActivation(activation),
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

/** Determines from a bucket why an installation could not be activated in it. */
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

/**
 * Activates in a full home bucket: transfers slots to it from the reserve, or from a bucket that has available slots.
 */
async function borrowSlots(
  store: Store,
  layout: BucketLayout,
  homeBucket: number,
  activation: Activation,
): Promise<MakActivationResult | 'transient-failure'> {
  const { keyId, bucketCount } = layout;
  const reserve = await readReserve(store, keyId);
  // With a stale number of buckets, all slots of a raised limit would go to the few buckets that existed before.
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
    // Half a bucket at a time, so that the next installations find a slot in their home bucket.
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
    // If the home bucket got slots in the meantime, try to activate in it again.
    if (donor !== undefined) {
      return bucketNumberOf(donor) === homeBucket
        ? 'transient-failure'
        : transferFrom(donor, Math.ceil(donor.available / 2));
    }
    used += buckets.reduce((sum, bucket) => sum + bucket.used, 0);
    const splitNumbers = new Set(buckets.filter((bucket) => bucket.bucketCount === bucketCount).map(bucketNumberOf));
    unsplitNumbers.push(...numbers.filter((number) => !splitNumbers.has(number)));
  }
  // A bucket that is split between two reads would be counted twice, so split all buckets before calling the key
  // exhausted.
  for (const number of unsplitNumbers) await splitBucket(store, layout, number);
  // The reads could miss slots that are transferred between them. Used slots that add up to the limit are proof.
  if (unsplitNumbers.length > 0 || used < reserve.limit) return 'transient-failure';
  await recordExhausted(store, keyId, reserve.limit);
  return exhaustedUnlessActivated(store, layout, { homeBucket, used }, activation);
}

/**
 * Returns `exhausted`, unless the last slot went to a duplicate of this request, which ran at the same time (MAK-2).
 */
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

/**
 * Returns all buckets, in batches, in the order in which to look for slots: from the next one on, the home bucket last.
 */
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

/** Transfers slots to the home bucket and activates with one of them, in one transaction. */
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
        Key: { PK, SK },
        UpdateExpression: 'SET #available = #available - :slotCount',
        ConditionExpression: slotsAvailable,
        ExpressionAttributeNames: { '#available': 'available' },
        ExpressionAttributeValues: { ':slotCount': slotCount },
      },
    },
    {
      Update: {
        Key: bucketKey(keyId, homeBucket),
        UpdateExpression: 'SET #activation = :activation, #used = #used + :one, #available = #available + :rest',
        ConditionExpression: `${notActivated} AND ${liveAndCurrentLayout}`,
        ExpressionAttributeNames: {
          ...bucketAttributeNames,
          '#activation': attributeNameOf(activation.installationId),
        },
        ExpressionAttributeValues: {
          ':activation': encodeActivation(activation),
          ':one': 1,
          ':rest': slotCount - 1,
          ':live': 'live',
          ':bucketCount': bucketCount,
        },
      },
    },
  ]);
}

/**
 * Returns the write that raises the limit in the reserve. It belongs in the transaction that adds the grant (KEY-8).
 */
export function reserveIncreaseWrite(keyId: string, amount: number): TransactItem {
  return {
    Update: {
      Key: reserveKey(keyId),
      UpdateExpression: 'SET #available = #available + :amount, #limit = #limit + :amount REMOVE #exhausted',
      ConditionExpression: itemExists,
      ExpressionAttributeNames: { '#available': 'available', '#limit': 'limit', '#exhausted': 'exhausted' },
      ExpressionAttributeValues: { ':amount': amount },
    },
  };
}

/** Records that every slot is used, so that the next refusal does not have to read every bucket. */
export async function recordExhausted(store: Store, keyId: string, limit: number): Promise<void> {
  try {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: reserveKey(keyId),
        UpdateExpression: 'SET #exhausted = :true',
        ConditionExpression: `${limitUnchanged} AND ${reserveIsEmpty}`,
        ExpressionAttributeNames: { '#exhausted': 'exhausted', '#limit': 'limit', '#available': 'available' },
        ExpressionAttributeValues: { ':true': true, ':limit': limit, ':none': 0 },
      }),
    );
  } catch (error) {
    // The limit was raised in the meantime, or the database is too busy. The record only saves reads, so skip it.
    if (!(error instanceof ConditionalCheckFailedException) && !isTransient(error)) throw error;
  }
}

/**
 * Creates the home bucket for the current number of buckets, by splitting the parent that still contains it, once or
 * several times. A split moves the activation records that belong to the upper half, and half of the available slots,
 * in one transaction. The transaction fails if the bucket changed since it was read.
 */
export async function splitBucket(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  homeBucket: number,
): Promise<'committed' | 'transient-failure' | Extract<MakActivationResult, { kind: 'blocked' }>> {
  let [bucket] = await readBuckets(store, keyId, withParentBuckets(bucketCount, homeBucket));
  if (bucket === undefined) throw new Error(`Key ${keyId} has neither bucket ${homeBucket} nor any parent of it.`);
  while (bucket.bucketCount < bucketCount) {
    if (bucket.status === 'blocked') return { kind: 'blocked' };
    const [lowerHalf, upperHalf]: readonly [Bucket, Bucket] = splitHalves(store, keyId, bucket);
    const commitResult = await commit(store, [
      {
        Put: {
          Item: lowerHalf,
          ConditionExpression: bucketUnchanged,
          ExpressionAttributeNames: bucketAttributeNames,
          ExpressionAttributeValues: {
            ':bucketCount': bucket.bucketCount,
            ':used': bucket.used,
            ':available': bucket.available,
            ':live': 'live',
          },
        },
      },
      { Put: { Item: upperHalf, ConditionExpression: itemIsAbsent } },
    ]);
    if (commitResult !== 'committed') return 'transient-failure';
    bucket = homeBucket % upperHalf.bucketCount === bucketNumberOf(upperHalf) ? upperHalf : lowerHalf;
  }
  return 'committed';
}

/** Returns the two halves of a bucket: the lower half keeps its number, the upper half gets a new one. */
function splitHalves(store: Store, keyId: string, bucket: Bucket): readonly [Bucket, Bucket] {
  const bucketCount = bucket.bucketCount * 2;
  const number = bucketNumberOf(bucket);
  const belongsToUpperHalf = (name: string) =>
    homeBucketOf(store.vault.digestOf(keyId, installationIdOf(name)), bucketCount) !== number;
  const names = activationNamesOf(bucket);
  const upperNames = names.filter(belongsToUpperHalf);
  const lowerNames = names.filter((name) => !belongsToUpperHalf(name));
  const upperAvailable = Math.floor(bucket.available / 2);
  const activations = (of: readonly string[]) => Object.fromEntries(of.map((name) => [name, bucket[name]]));
  return [
    {
      ...activations(lowerNames),
      ...bucketKey(keyId, number),
      used: lowerNames.length,
      available: bucket.available - upperAvailable,
      bucketCount,
      status: 'live',
    },
    {
      ...activations(upperNames),
      ...bucketKey(keyId, number + bucket.bucketCount),
      used: upperNames.length,
      available: upperAvailable,
      bucketCount,
      status: 'live',
    },
  ];
}
