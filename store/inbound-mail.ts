import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration, epochMilliseconds } from '../domain/calendar/instant.ts';
import { itemFormat } from './dynamodb/schema.ts';
import type { Store } from './dynamodb/table.ts';
import { attemptsMax, ContentionError, commit } from './dynamodb/table.ts';
import { fingerprintOf } from './vault.ts';

/** A mail as it came over the wire; of one that is larger than asked for, only its beginning. */
export type StoredMail = { readonly raw: Buffer; readonly isComplete: boolean };

/** The door to the mails that came in, each by the id that the mail service gave it. */
export type InboundMailStore = {
  /** Reads at most so many bytes of a mail. Throws when it is not there: the mail service stores before it tells. */
  read(key: string, bytesMax: number): Promise<StoredMail>;
};

/** Opens the bucket in which the mail service puts them. */
export function createInboundMailStore(
  bucket: string,
  client: Pick<S3Client, 'send'> = createS3Client(),
): InboundMailStore {
  return {
    read: async (key, bytesMax) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      if (Body === undefined) throw new Error(`The stored mail ${key} came without its content.`);
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      // What is beyond the bound is not even fetched: leaving the loop ends the connection.
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

/**
 * Counts an answer by mail to an address on its day (UTC), and says whether it may have it: so many a day at the most, so
 * that two machines that answer each other come to an end. `what` tells apart what is counted apart.
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
          TableName: '',
          Key: key,
          UpdateExpression: 'ADD #count :one SET #expires = :expires, #format = if_not_exists(#format, :format)',
          ConditionExpression: 'attribute_not_exists(#count) OR #count < :most',
          ExpressionAttributeNames: { '#count': 'count', '#expires': 'expiresAtEpochSeconds', '#format': 'format' },
          ExpressionAttributeValues: {
            ':one': 1,
            ':most': repliesMax,
            ':format': itemFormat,
            ':expires': Math.ceil(epochMilliseconds(addDuration(now, { days: 2 })) / 1000),
          },
        },
      },
    ]);
    if (commitResult !== 'transient-failure') return commitResult === 'committed';
  }
  throw new ContentionError('Others kept counting the same answers.');
}
