import { setTimeout as wait } from 'node:timers/promises';
import type { Context, DynamoDBBatchResponse } from 'aws-lambda';
import { z } from 'zod';
import { contextOf } from './api-gateway.ts';
import { CannotStart } from './dynamodb.ts';

export type StreamHandler = (event: unknown, context: Context) => Promise<DynamoDBBatchResponse>;

export type Stream = {
  /** Answers when every change of the table so far has been handled. */
  quiet(): Promise<void>;
  /** Follows no further; what is under way ends first. */
  stop(): Promise<void>;
};

/** As many changes at once as the deployed system hands over, and as often tried again. */
const batchSize = 100;
const triesAtMost = 6;
const lookEveryMilliseconds = 500;
const pauseMilliseconds = 50;

const streamsSchema = z.object({ Streams: z.array(z.object({ StreamArn: z.string() })) });
const shardsSchema = z.object({ StreamDescription: z.object({ Shards: z.array(z.object({ ShardId: z.string() })) }) });
const iteratorSchema = z.object({ ShardIterator: z.string() });
const recordsSchema = z.object({
  Records: z.array(z.looseObject({ dynamodb: z.looseObject({ SequenceNumber: z.string() }) })),
  NextShardIterator: z.string().optional(),
});
type Change = z.infer<typeof recordsSchema>['Records'][number];

/**
 * Follows the stream of a table and hands its changes to the functions that watch it, in the events in which Lambda would.
 * It begins with the oldest change that the engine still has: of data that were kept between runs much is handed over
 * again, which the functions must take in any case. A change that keeps failing is told of and passed over, as the deployed
 * system sets it aside.
 * @throws CannotStart when the table has no stream.
 */
export async function followStream(
  { endpoint, tableName }: { readonly endpoint: string; readonly tableName: string },
  handlers: Readonly<Record<string, StreamHandler>>,
): Promise<Stream> {
  const ask = asker(endpoint);
  const { Streams } = await ask('ListStreams', { TableName: tableName }, streamsSchema);
  const StreamArn = Streams.at(-1)?.StreamArn;
  if (StreamArn === undefined) throw new CannotStart(`The table ${tableName} has no stream to follow.`);

  // Where to read on in each shard; undefined in one that has been read to its end.
  const positions = new Map<string, string | undefined>();

  /** Hands over what has come, and answers whether anything had. */
  const look = async (): Promise<boolean> => {
    const { StreamDescription } = await ask('DescribeStream', { StreamArn }, shardsSchema);
    let found = false;
    for (const { ShardId } of StreamDescription.Shards) {
      if (!positions.has(ShardId)) {
        const from = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' };
        positions.set(ShardId, (await ask('GetShardIterator', from, iteratorSchema)).ShardIterator);
      }
      const ShardIterator = positions.get(ShardId);
      if (ShardIterator === undefined) continue;
      const read = await ask('GetRecords', { ShardIterator, Limit: batchSize }, recordsSchema);
      if (read.Records.length > 0) {
        found = true;
        for (const [name, handler] of Object.entries(handlers)) await handOver(read.Records, name, handler);
      }
      positions.set(ShardId, read.NextShardIterator);
    }
    return found;
  };

  let turn: Promise<unknown> = Promise.resolve();
  const lookUntilQuiet = () => {
    const mine = turn.then(async () => {
      while (await look());
    });
    turn = mine.catch(() => undefined);
    return mine;
  };
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    lookUntilQuiet()
      .catch((error: unknown) => console.error('The stream of the table could not be read:', error))
      .finally(() => {
        looking = false;
      });
  }, lookEveryMilliseconds);
  return {
    quiet: lookUntilQuiet,
    stop: async () => {
      clearInterval(timer);
      await turn;
    },
  };
}

/** Hands a batch to a function, and again what it could not see to: from the first such change on, as Lambda does. */
async function handOver(changes: readonly Change[], name: string, handler: StreamHandler): Promise<void> {
  let left = changes;
  for (let count = 1; left.length > 0 && count <= triesAtMost; count += 1) {
    if (count > 1) await wait(pauseMilliseconds * count);
    const failed = await failedOf(left, handler);
    const first = left.findIndex(({ dynamodb }) => failed.includes(dynamodb.SequenceNumber));
    left = first === -1 ? [] : left.slice(first);
  }
  if (left.length > 0) console.error(`${name} could not see to a change of the table, which is passed over.`);
}

async function failedOf(changes: readonly Change[], handler: StreamHandler): Promise<readonly string[]> {
  try {
    const { batchItemFailures } = await handler({ Records: changes }, contextOf('stream'));
    return batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
  } catch {
    return changes.map(({ dynamodb }) => dynamodb.SequenceNumber);
  }
}

/** Speaks the protocol of DynamoDB Streams. An engine on this machine asks nobody who they are, but wants a signature. */
function asker(endpoint: string) {
  return async <Answer extends z.ZodType>(action: string, body: object, answer: Answer): Promise<z.infer<Answer>> => {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/x-amz-json-1.0',
        'X-Amz-Target': `DynamoDBStreams_20120810.${action}`,
        'X-Amz-Date': '20000101T000000Z',
        Authorization:
          'AWS4-HMAC-SHA256 Credential=local/20000101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=none',
      },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`The DynamoDB engine answered ${response.status} to ${action}: ${text}`);
    return answer.parse(JSON.parse(text));
  };
}
