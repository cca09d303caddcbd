import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { Instant } from '../domain/calendar/instant.ts';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import { mapInBatches } from './dynamodb/concurrency.ts';
import { itemExists } from './dynamodb/conditions.ts';
import type { Page, PageRequest } from './dynamodb/page.ts';
import { pageOf } from './dynamodb/page.ts';
import { attemptsMax, ContentionError, rethrowTransientAsContention } from './dynamodb/table.ts';
import type { Activation, Bucket, BucketLayout } from './mak-bucket.ts';
import {
  activatedAtOf,
  activationNamesOf,
  attributeNameOf,
  bucketNumberOf,
  bucketNumbersFrom,
  decodeActivation,
  homeBucketOf,
  installationIdOf,
  readBuckets,
  withParentBuckets,
} from './mak-bucket.ts';
import type { Store } from './store.ts';

const bucketsPerRead = 25;
const usedReadsMax = 5;

/** The installation has an activation record in the bucket. */
const isActivatedHere = 'attribute_exists(#activation)';

/** The bucket is blocked, so no activation changes it. */
const bucketIsBlocked = '#status = :blocked';

/**
 * Counts the used activations of a MAK (KEY-7). The buckets are not read at the same time, so a bucket that is split
 * between two reads could be counted twice, or only in part. The sum of the buckets' shares shows it: the share of a
 * bucket is 1 divided by its `bucketCount`, and all shares add up to 1. Otherwise the buckets are read again, up to
 * five times.
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

/**
 * Returns a page of the activations of a MAK, bucket by bucket. The position is a bucket number and an attribute name,
 * and remains valid while activations are added.
 */
export async function listMakActivations(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  { limit, after }: PageRequest,
): Promise<Page<Activation>> {
  const [cursorBucket = '', cursorAttribute = ''] = after?.split(' ') ?? [];
  const first = /^\d+$/.test(cursorBucket) ? Number(cursorBucket) : 0;
  const entries: { readonly position: string; readonly activation: Activation }[] = [];
  for (let start = first; start < bucketCount && entries.length <= limit; start += bucketsPerRead) {
    const numbers = bucketNumbersFrom(start, Math.min(start + bucketsPerRead, bucketCount));
    for (const bucket of await readBuckets(store, keyId, numbers)) {
      const number = bucketNumberOf(bucket);
      for (const name of activationNamesOf(bucket).toSorted()) {
        if (number === first && name <= cursorAttribute) continue;
        entries.push({
          position: `${number} ${name}`,
          activation: decodeActivation(installationIdOf(name), String(bucket[name])),
        });
      }
    }
  }
  const page = pageOf(entries, limit, ({ position }) => position);
  return { items: page.items.map(({ activation }) => activation), next: page.next };
}

/** Returns the times of all activations of a MAK, in no order, for the usage forecast (ALR-2). */
export async function listMakActivationTimes(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
): Promise<readonly Instant[]> {
  const times: Instant[] = [];
  for (let start = 0; start < bucketCount; start += bucketsPerRead) {
    const numbers = bucketNumbersFrom(start, Math.min(start + bucketsPerRead, bucketCount));
    for (const bucket of await readBuckets(store, keyId, numbers)) {
      for (const name of activationNamesOf(bucket)) times.push(activatedAtOf(String(bucket[name])));
    }
  }
  return times;
}

/**
 * Blocks every bucket of a key (BLK-2). It reads the buckets again until none is live, which finds a bucket that was
 * split off in the meantime: once all existing buckets are blocked, none can be split.
 */
export async function blockBuckets(store: Store, { keyId, bucketCount }: BucketLayout): Promise<void> {
  const bucketNumbers = bucketNumbersFrom(0, bucketCount);
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
            ConditionExpression: itemExists,
            ExpressionAttributeNames: { '#status': 'status' },
            ExpressionAttributeValues: { ':blocked': 'blocked' },
          }),
        ),
      ),
    );
  }
  throw new ContentionError(`Activations kept splitting the buckets of key ${keyId} while they were being blocked.`);
}

/**
 * Returns true if the installation has an activation record on the MAK, in its home bucket or a parent of it (VAL-1).
 */
export async function isActivated(
  store: Store,
  layout: BucketLayout,
  digest: Buffer,
  installationId: InstallationId,
): Promise<boolean> {
  return (await findBucketOf(store, layout, digest, installationId)) !== undefined;
}

/**
 * Removes the activation record of an installation that moved to the successor of a blocked key (BLK-3). Does nothing
 * if there is none, so it is safe to repeat.
 */
export async function removeActivation(
  store: Store,
  layout: BucketLayout,
  digest: Buffer,
  installationId: InstallationId,
): Promise<void> {
  const bucket = await findBucketOf(store, layout, digest, installationId);
  if (bucket === undefined) return;
  try {
    await rethrowTransientAsContention(
      store.client.send(
        new UpdateCommand({
          TableName: store.tableName,
          Key: { PK: bucket.PK, SK: bucket.SK },
          UpdateExpression: 'SET #used = #used - :one, #available = #available + :one REMOVE #activation',
          ConditionExpression: `${isActivatedHere} AND ${bucketIsBlocked}`,
          ExpressionAttributeNames: {
            '#used': 'used',
            '#available': 'available',
            '#status': 'status',
            '#activation': attributeNameOf(installationId),
          },
          ExpressionAttributeValues: { ':one': 1, ':blocked': 'blocked' },
        }),
      ),
    );
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
  }
}

/** Returns the bucket that has the activation record: the home bucket, or a parent that is not split yet. */
async function findBucketOf(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  digest: Buffer,
  installationId: InstallationId,
): Promise<Bucket | undefined> {
  const numbers = [...new Set(withParentBuckets(bucketCount, homeBucketOf(digest, bucketCount)))];
  const name = attributeNameOf(installationId);
  return (await readBuckets(store, keyId, numbers)).find((bucket) => bucket[name] !== undefined);
}
