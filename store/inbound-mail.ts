import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration, epochMilliseconds } from '../domain/calendar/instant.ts';
import { itemFormat } from './dynamodb/schema.ts';
import { attemptsMax, ContentionError, commit } from './dynamodb/table.ts';
import type { Store } from './store.ts';
import { fingerprintOf } from './vault.ts';

/** A received email as raw bytes. If it is too large, only its beginning. */
export type StoredMail = { readonly raw: Buffer; readonly isComplete: boolean };

/** The store of received emails, by the ID that SES gave each. */
export type InboundMailStore = {
  /**
   * Reads at most `bytesMax` bytes of an email. Throws if it does not exist: SES stores an email before it sends the
   * event.
   */
  read(key: string, bytesMax: number): Promise<StoredMail>;
};

/** Returns the store of the S3 bucket into which SES puts received emails. */
export function createInboundMailStore(
  bucket: string,
  client: Pick<S3Client, 'send'> = createS3Client(),
): InboundMailStore {
  return {
    read: async (key, bytesMax) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      if (Body === undefined) throw new Error(`The stored email ${key} has no content.`);
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      // Leaving the loop closes the connection, so the rest is not downloaded.
      for await (const chunk of Body as AsyncIterable<Uint8Array>) {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > bytesMax) break;
      }
      return { raw: Buffer.concat(chunks).subarray(0, bytesMax), isComplete: bytes <= bytesMax };
    },
  };
}

function createS3Client(): S3Client {
  return new S3Client({
    maxAttempts: 4,
    requestHandler: { connectionTimeout: 1_000, requestTimeout: 10_000, throwOnRequestTimeout: true },
  });
}

/** The daily quota is not used up. */
const quotaRemains = 'attribute_not_exists(#count) OR #count < :repliesMax';

/**
 * Counts an automatic reply to an address, per category and day (UTC). Returns true if the reply may be sent. The daily
 * quota stops a loop between two systems that reply to each other.
 */
export async function consumeReplyQuota(
  store: Store,
  {
    category,
    address,
    repliesMax,
  }: { readonly category: string; readonly address: string; readonly repliesMax: number },
  now: Instant,
): Promise<boolean> {
  const key = { PK: `REPLY-COUNT#${fingerprintOf(address)}`, SK: `${now.slice(0, 10)}#${category}` };
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    if (attempt > 1) await store.backOff(attempt);
    const commitResult = await commit(store, [
      {
        Update: {
          Key: key,
          UpdateExpression: 'ADD #count :one SET #expires = :expires, #format = if_not_exists(#format, :format)',
          ConditionExpression: quotaRemains,
          ExpressionAttributeNames: { '#count': 'count', '#expires': 'expiresAtEpochSeconds', '#format': 'format' },
          ExpressionAttributeValues: {
            ':one': 1,
            ':repliesMax': repliesMax,
            ':format': itemFormat,
            ':expires': Math.ceil(epochMilliseconds(addDuration(now, { days: 2 })) / 1000),
          },
        },
      },
    ]);
    if (commitResult !== 'transient-failure') return commitResult === 'committed';
  }
  throw new ContentionError('All attempts to count a reply conflicted with other writes.');
}
