import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Instant } from '../domain/calendar/instant.ts';
import { epochMilliseconds, later } from '../domain/calendar/instant.ts';
import { itemFormat } from './dynamodb/schema.ts';
import type { Store } from './dynamodb/table.ts';
import { Contention, commit, maximumAttempts } from './dynamodb/table.ts';
import { fingerprintOf } from './vault.ts';

/** A mail as it came over the wire; of one that is larger than asked for, only its beginning. */
export type StoredMail = { readonly raw: Buffer; readonly isWhole: boolean };

/** The door to the mails that came in, each by the id that the mail service gave it. */
export type InboundMails = {
  /** Reads at most so many bytes of a mail. Throws when it is not there: the mail service stores before it tells. */
  read(key: string, mostBytes: number): Promise<StoredMail>;
};

/** Opens the bucket in which the mail service puts them. */
export function openInboundMails(bucket: string, client: Pick<S3Client, 'send'> = connect()): InboundMails {
  return {
    read: async (key, mostBytes) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      if (Body === undefined) throw new Error(`The stored mail ${key} came without its content.`);
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      // What is beyond the bound is not even fetched: leaving the loop ends the connection.
      for await (const chunk of Body as AsyncIterable<Uint8Array>) {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > mostBytes) break;
      }
      return { raw: Buffer.concat(chunks).subarray(0, mostBytes), isWhole: bytes <= mostBytes };
    },
  };
}

function connect(): S3Client {
  return new S3Client({
    maxAttempts: 4,
    requestHandler: { connectionTimeout: 1_000, requestTimeout: 10_000, throwOnRequestTimeout: true },
  });
}

/**
 * Counts an answer by mail to an address on its day (UTC), and says whether it may have it: so many a day at the most, so
 * that two machines that answer each other come to an end. `what` tells apart what is counted apart.
 */
export async function mayAnswer(
  store: Store,
  { what, address, most }: { readonly what: string; readonly address: string; readonly most: number },
  now: Instant,
): Promise<boolean> {
  const key = { PK: `REPLY-COUNT#${fingerprintOf(address)}`, SK: `${now.slice(0, 10)}#${what}` };
  for (let attempt = 1; attempt <= maximumAttempts; attempt += 1) {
    if (attempt > 1) await store.pause(attempt);
    const committed = await commit(store, [
      {
        Update: {
          TableName: '',
          Key: key,
          UpdateExpression: 'ADD #count :one SET #expires = :expires, #format = if_not_exists(#format, :format)',
          ConditionExpression: 'attribute_not_exists(#count) OR #count < :most',
          ExpressionAttributeNames: { '#count': 'count', '#expires': 'expiresAtEpochSeconds', '#format': 'format' },
          ExpressionAttributeValues: {
            ':one': 1,
            ':most': most,
            ':format': itemFormat,
            ':expires': Math.ceil(epochMilliseconds(later(now, { days: 2 })) / 1000),
          },
        },
      },
    ]);
    if (committed !== 'in-the-way') return committed === 'done';
  }
  throw new Contention('Others kept counting the same answers.');
}
