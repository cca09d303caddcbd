import { setTimeout as wait } from 'node:timers/promises';
import type { Context, DynamoDBBatchResponse } from 'aws-lambda';
import { z } from 'zod';
import { StartupError } from '../startup-error.ts';
import { lambdaContext } from './api-gateway.ts';

export type StreamHandler = (event: unknown, context: Context) => Promise<DynamoDBBatchResponse>;

export type StreamReader = {
  /** Resolves when the functions have processed all changes of the table so far. */
  whenIdle(): Promise<void>;
  /** Finishes the current batch and stops polling. */
  stop(): Promise<void>;
};

/** The batch size and the number of attempts of the deployed event source. */
const batchSize = 100;
const attemptsMax = 6;
const pollIntervalMilliseconds = 500;
const retryDelayMilliseconds = 50;

const streamsSchema = z.object({ Streams: z.array(z.object({ StreamArn: z.string() })) });
const shardsSchema = z.object({ StreamDescription: z.object({ Shards: z.array(z.object({ ShardId: z.string() })) }) });
const iteratorSchema = z.object({ ShardIterator: z.string() });
const recordsSchema = z.object({
  Records: z.array(z.looseObject({ dynamodb: z.looseObject({ SequenceNumber: z.string() }) })),
  NextShardIterator: z.string().optional(),
});
type StreamRecord = z.infer<typeof recordsSchema>['Records'][number];

/**
 * Follows the stream of a table and passes its changes to the functions that subscribe to it, in the events of Lambda.
 * It starts with the oldest change that the engine still has. With a data folder, a start therefore delivers many changes
 * again, which the functions must tolerate in any case. A change that fails on every attempt is logged and skipped; the
 * deployed system moves it to a queue. Throws StartupError when the table has no stream.
 */
export async function followStream(
  { endpoint, tableName }: { readonly endpoint: string; readonly tableName: string },
  handlers: Readonly<Record<string, StreamHandler>>,
): Promise<StreamReader> {
  const callStreams = createStreamsClient(endpoint);
  const { Streams } = await callStreams('ListStreams', { TableName: tableName }, streamsSchema);
  const StreamArn = Streams.at(-1)?.StreamArn;
  if (StreamArn === undefined) throw new StartupError(`The table ${tableName} has no stream to follow.`);

  // The next iterator of each shard; undefined for a shard that has been read to its end.
  const positions = new Map<string, string | undefined>();

  /** Delivers new changes. Returns false if there were none. */
  const poll = async (): Promise<boolean> => {
    const { StreamDescription } = await callStreams('DescribeStream', { StreamArn }, shardsSchema);
    let hasRecords = false;
    for (const { ShardId } of StreamDescription.Shards) {
      if (!positions.has(ShardId)) {
        const from = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' };
        positions.set(ShardId, (await callStreams('GetShardIterator', from, iteratorSchema)).ShardIterator);
      }
      const ShardIterator = positions.get(ShardId);
      if (ShardIterator === undefined) continue;
      const page = await callStreams('GetRecords', { ShardIterator, Limit: batchSize }, recordsSchema);
      if (page.Records.length > 0) {
        hasRecords = true;
        for (const [name, handler] of Object.entries(handlers)) await deliverBatch(page.Records, name, handler);
      }
      positions.set(ShardId, page.NextShardIterator);
    }
    return hasRecords;
  };

  let queue: Promise<unknown> = Promise.resolve();
  const pollUntilIdle = () => {
    const run = queue.then(async () => {
      while (await poll());
    });
    queue = run.catch(() => undefined);
    return run;
  };
  let isPolling = false;
  const timer = setInterval(() => {
    if (isPolling) return;
    isPolling = true;
    pollUntilIdle()
      .catch((error: unknown) => console.error('The local system failed to read the stream of the table:', error))
      .finally(() => {
        isPolling = false;
      });
  }, pollIntervalMilliseconds);
  return {
    whenIdle: pollUntilIdle,
    stop: async () => {
      clearInterval(timer);
      await queue;
    },
  };
}

/** Passes a batch to a function. As in Lambda, a retry starts at the first change that failed. */
async function deliverBatch(records: readonly StreamRecord[], name: string, handler: StreamHandler): Promise<void> {
  let remaining = records;
  for (let attempt = 1; remaining.length > 0 && attempt <= attemptsMax; attempt += 1) {
    if (attempt > 1) await wait(retryDelayMilliseconds * attempt);
    const failedNumbers = await failedSequenceNumbers(remaining, handler);
    const firstFailed = remaining.findIndex(({ dynamodb }) => failedNumbers.includes(dynamodb.SequenceNumber));
    remaining = firstFailed === -1 ? [] : remaining.slice(firstFailed);
  }
  if (remaining.length > 0)
    console.error(`${name} failed to process a change of the table ${attemptsMax} times. The change is skipped.`);
}

async function failedSequenceNumbers(
  records: readonly StreamRecord[],
  handler: StreamHandler,
): Promise<readonly string[]> {
  try {
    const { batchItemFailures } = await handler({ Records: records }, lambdaContext('stream'));
    return batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
  } catch {
    return records.map(({ dynamodb }) => dynamodb.SequenceNumber);
  }
}

/** Creates a client of DynamoDB Streams. The local engine requires a signature, but does not verify it. */
function createStreamsClient(endpoint: string) {
  return async <Schema extends z.ZodType>(action: string, body: object, schema: Schema): Promise<z.infer<Schema>> => {
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
    if (!response.ok) throw new Error(`The DynamoDB engine refused ${action} with ${response.status}: ${text}`);
    return schema.parse(JSON.parse(text));
  };
}
