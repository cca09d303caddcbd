import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  TransactionCanceledException,
} from '@aws-sdk/client-dynamodb';
import {
  BatchGetCommand,
  BatchWriteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  type QueryCommandInput,
  TransactWriteCommand,
  type TransactWriteCommandInput,
} from '@aws-sdk/lib-dynamodb';
import { mapInBatches } from './concurrency.ts';
import { itemIsAbsent } from './conditions.ts';
import type { IndexName } from './schema.ts';
import { itemFormat } from './schema.ts';

/** A table, and the back-off between attempts. */
export type Table = {
  readonly client: DynamoDBDocumentClient;
  readonly tableName: string;
  /** Waits for a random time (full jitter) before this attempt. The caller provides the clock and the randomness. */
  readonly backOff: (attempt: number) => Promise<void>;
};

export type ItemKey = { readonly PK: string; readonly SK: string };
export type Item = ItemKey & Record<string, unknown>;

type TransactWrite = NonNullable<TransactWriteCommandInput['TransactItems']>[number];

/** One write, or one condition, of a transaction. `commit` adds the name of the table. */
export type TransactItem = {
  readonly [Kind in keyof TransactWrite]?: Omit<NonNullable<TransactWrite[Kind]>, 'TableName'>;
};

/** Returns a client that reuses its connection, and whose calls time out before the function does. */
export function createDocumentClient(): DynamoDBDocumentClient {
  return DynamoDBDocumentClient.from(
    new DynamoDBClient({
      maxAttempts: 4,
      // The time limit of a function leaves room for a second attempt. Without `throwOnRequestTimeout`, the SDK only
      // warns.
      requestHandler: { connectionTimeout: 1_000, requestTimeout: 3_000, throwOnRequestTimeout: true },
    }),
    { marshallOptions: { removeUndefinedValues: true } },
  );
}

/** Thrown when every attempt failed because of conflicting writes, or because the database was too busy. */
export class ContentionError extends Error {
  override readonly name = 'ContentionError';
}

/** The number of attempts before a `ContentionError`. */
export const attemptsMax = 10;

/** Reads one item with strong consistency. Returns `undefined` if it does not exist. */
export async function get(table: Table, key: ItemKey): Promise<Item | undefined> {
  const { Item } = await rethrowTransientAsContention(
    table.client.send(new GetCommand({ TableName: table.tableName, Key: key, ConsistentRead: true })),
  );
  return Item === undefined ? undefined : checkFormat(Item as Item);
}

/** Reads many items with strong consistency. Returns them in the order of the keys, without those that do not exist. */
export async function getAll(table: Table, keys: readonly ItemKey[]): Promise<Item[]> {
  const itemsByKey = new Map<string, Item>();
  // DynamoDB rejects a batch that contains a key twice.
  const distinct = [...new Map(keys.map((key) => [`${key.PK} ${key.SK}`, key])).values()];
  for (let start = 0; start < distinct.length; start += 100) {
    let remaining: readonly ItemKey[] = distinct.slice(start, start + 100);
    for (let attempt = 1; remaining.length > 0; attempt += 1) {
      if (attempt > attemptsMax) throw new ContentionError('The database did not process all reads of a batch.');
      if (attempt > 1) await table.backOff(attempt);
      const { Responses, UnprocessedKeys } = await rethrowTransientAsContention(
        table.client.send(
          new BatchGetCommand({ RequestItems: { [table.tableName]: { Keys: [...remaining], ConsistentRead: true } } }),
        ),
      );
      for (const item of (Responses?.[table.tableName] ?? []) as Item[])
        itemsByKey.set(`${item.PK} ${item.SK}`, checkFormat(item));
      remaining = (UnprocessedKeys?.[table.tableName]?.Keys ?? []) as ItemKey[];
    }
  }
  return keys.flatMap((key) => itemsByKey.get(`${key.PK} ${key.SK}`) ?? []);
}

/** Puts many items, in any order and not atomically. Use it only for items that no other process writes. */
export async function putAll(table: Table, items: readonly Item[]): Promise<void> {
  for (let start = 0; start < items.length; start += 25) {
    let remaining: readonly { PutRequest?: { Item: Record<string, unknown> | undefined } | undefined }[] = items
      .slice(start, start + 25)
      .map((item) => ({ PutRequest: { Item: withFormat(item) } }));
    for (let attempt = 1; remaining.length > 0; attempt += 1) {
      if (attempt > attemptsMax) throw new ContentionError('The database did not process all writes of a batch.');
      if (attempt > 1) await table.backOff(attempt);
      const { UnprocessedItems } = await rethrowTransientAsContention(
        table.client.send(new BatchWriteCommand({ RequestItems: { [table.tableName]: [...remaining] } as never })),
      );
      remaining = UnprocessedItems?.[table.tableName] ?? [];
    }
  }
}

/**
 * Puts items that may exist and may be in use; leaves an existing item unchanged. So a late duplicate of the call, sent
 * after another attempt succeeded, does no harm.
 */
export async function putIfAbsent(table: Table, items: readonly Item[]): Promise<void> {
  await mapInBatches(items, async (item) => {
    const Item = withFormat(item);
    try {
      await rethrowTransientAsContention(
        table.client.send(new PutCommand({ TableName: table.tableName, Item, ConditionExpression: itemIsAbsent })),
      );
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
    }
  });
}

export type Range = {
  readonly index?: IndexName;
  readonly partition: readonly [name: string, value: string];
  /** A condition on the sort key in the syntax of DynamoDB, with the name `#sort` and these values. */
  readonly sort?: { readonly name: string; readonly condition: string; readonly values: Record<string, string> };
  readonly limit: number;
  readonly newestFirst?: boolean;
  /**
   * All key attributes of the item after which to start, for an order in which several items can have the same sort
   * key.
   */
  readonly startAfter?: Readonly<Record<string, string>>;
};

/** Reads at most `limit` items of one partition, in the order of the sort key. */
export async function query(table: Table, range: Range): Promise<Item[]> {
  const [name, value] = range.partition;
  const input: QueryCommandInput = {
    TableName: table.tableName,
    KeyConditionExpression: `#partition = :partition${range.sort ? ` AND ${range.sort.condition}` : ''}`,
    ExpressionAttributeNames: { '#partition': name, ...(range.sort ? { '#sort': range.sort.name } : {}) },
    ExpressionAttributeValues: { ':partition': value, ...range.sort?.values },
    Limit: range.limit,
    ScanIndexForward: !range.newestFirst,
    ...(range.startAfter === undefined ? {} : { ExclusiveStartKey: range.startAfter }),
    // Only the table supports strongly consistent reads; an index does not.
    ...(range.index === undefined ? { ConsistentRead: true } : { IndexName: range.index }),
  };
  const { Items } = await rethrowTransientAsContention(table.client.send(new QueryCommand(input)));
  return ((Items ?? []) as Item[]).map((item) => checkFormat(item));
}

/** The result of a transaction. `transient-failure`: a conflict, throttling, a timeout, or a server error; retry it. */
export type CommitResult = 'committed' | 'condition-failed' | 'transient-failure';

const conditionFailed = 'ConditionalCheckFailed';
const transientReasons: readonly (string | undefined)[] = [
  'None',
  'TransactionConflict',
  'ThrottlingError',
  'ProvisionedThroughputExceeded',
];

/**
 * Writes all items in one transaction, or none. Returns a failed condition and a transient failure as results. Throws
 * if any other reason canceled the transaction, because a retry cannot succeed.
 */
export async function commit(table: Table, items: readonly TransactItem[]): Promise<CommitResult> {
  try {
    await table.client.send(
      new TransactWriteCommand({ TransactItems: items.map((item) => withTableName(item, table.tableName)) }),
    );
    return 'committed';
  } catch (error) {
    if (!(error instanceof TransactionCanceledException)) {
      if (isTransient(error)) return 'transient-failure';
      throw error;
    }
    const reasons = (error.CancellationReasons ?? []).map(({ Code }) => Code ?? 'None');
    if (!reasons.every((code) => code === conditionFailed || transientReasons.includes(code)) || reasons.length === 0)
      throw error;
    return reasons.includes(conditionFailed) ? 'condition-failed' : 'transient-failure';
  }
}

/**
 * Returns the result of a call. Throws a `ContentionError` if the call still failed transiently after the retries of
 * the SDK.
 */
export async function rethrowTransientAsContention<Answer>(call: Promise<Answer>): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    if (isTransient(error))
      throw new ContentionError('The database is too busy or does not respond.', { cause: error });
    throw error;
  }
}

/** Returns true for an error that a retry may avoid. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof Error &&
    [
      'ContentionError',
      'TransactionInProgressException',
      'TransactionConflictException',
      'ThrottlingException',
      'ProvisionedThroughputExceededException',
      'RequestLimitExceeded',
      'InternalServerError',
      'TimeoutError',
    ].includes(error.name)
  );
}

function withTableName(item: TransactItem, TableName: string): TransactWrite {
  return {
    ...(item.Put === undefined ? {} : { Put: { ...item.Put, Item: withFormat(item.Put.Item), TableName } }),
    ...(item.Update === undefined ? {} : { Update: { ...item.Update, TableName } }),
    ...(item.Delete === undefined ? {} : { Delete: { ...item.Delete, TableName } }),
    ...(item.ConditionCheck === undefined ? {} : { ConditionCheck: { ...item.ConditionCheck, TableName } }),
  };
}

function withFormat<Some extends object>(item: Some | undefined): Some & { readonly format: number } {
  return { ...(item as Some), format: itemFormat };
}

/**
 * Returns the item unchanged. Throws if its format is newer than this code, which could misread it. An item that comes
 * from an index has no format attribute; only its keys are used.
 */
export function checkFormat<Some extends Readonly<Record<string, unknown>>>(item: Some): Some {
  if (Number(item.format ?? itemFormat) <= itemFormat) return item;
  throw new Error(
    `The item ${item.PK} ${item.SK} has format ${item.format}. This code reads formats up to ${itemFormat}: deploy the newer code.`,
  );
}
