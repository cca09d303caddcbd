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
import type { Policy } from '../../domain/policy.ts';
import type { Vault } from '../vault.ts';
import type { IndexName } from './schema.ts';
import { itemFormat } from './schema.ts';

/** What every function of the store is given: the table, the vault that seals what it keeps, the policy, and how to wait. */
export type Store = {
  readonly client: DynamoDBDocumentClient;
  readonly tableName: string;
  readonly vault: Vault;
  readonly policy: Policy;
  /** Waits a random while before the attempt of that number (full jitter); randomness and time come from outside. */
  readonly backOff: (attempt: number) => Promise<void>;
};

export type ItemKey = { readonly PK: string; readonly SK: string };
export type Item = ItemKey & Record<string, unknown>;
export type TransactItem = NonNullable<TransactWriteCommandInput['TransactItems']>[number];

/** The way to the table, with a connection that is kept and calls that give up before the function does. */
export function createDocumentClient(): DynamoDBDocumentClient {
  return DynamoDBDocumentClient.from(
    new DynamoDBClient({
      maxAttempts: 4,
      // A call that hangs is worth one more try within the function's own time. Unless told to throw, the SDK only warns.
      requestHandler: { connectionTimeout: 1_000, requestTimeout: 3_000, throwOnRequestTimeout: true },
    }),
    { marshallOptions: { removeUndefinedValues: true } },
  );
}

/** Thrown when others kept getting in between, or the database was too busy, for all of the attempts we allow. */
export class ContentionError extends Error {
  override readonly name = 'ContentionError';
}

/** How often a change is tried before it is called contention. */
export const attemptsMax = 10;

/** Reads one item as it is now. */
export async function get(store: Store, key: ItemKey): Promise<Item | undefined> {
  const { Item } = await rethrowTransientAsContention(
    store.client.send(new GetCommand({ TableName: store.tableName, Key: key, ConsistentRead: true })),
  );
  return Item === undefined ? undefined : checkFormat(Item as Item);
}

/** Reads many items as they are now, in the order asked for; one that is not there is left out. */
export async function getAll(store: Store, keys: readonly ItemKey[]): Promise<Item[]> {
  const itemsByKey = new Map<string, Item>();
  // The database refuses a batch that asks for the same item twice.
  const distinct = [...new Map(keys.map((key) => [`${key.PK} ${key.SK}`, key])).values()];
  for (let start = 0; start < distinct.length; start += 100) {
    let remaining: readonly ItemKey[] = distinct.slice(start, start + 100);
    for (let attempt = 1; remaining.length > 0; attempt += 1) {
      if (attempt > attemptsMax) throw new ContentionError('The database kept leaving reads of a batch undone.');
      if (attempt > 1) await store.backOff(attempt);
      const { Responses, UnprocessedKeys } = await rethrowTransientAsContention(
        store.client.send(
          new BatchGetCommand({ RequestItems: { [store.tableName]: { Keys: [...remaining], ConsistentRead: true } } }),
        ),
      );
      for (const item of (Responses?.[store.tableName] ?? []) as Item[])
        itemsByKey.set(`${item.PK} ${item.SK}`, checkFormat(item));
      remaining = (UnprocessedKeys?.[store.tableName]?.Keys ?? []) as ItemKey[];
    }
  }
  return keys.flatMap((key) => itemsByKey.get(`${key.PK} ${key.SK}`) ?? []);
}

/** Puts many items that nobody else writes, where their order and their being together do not matter. */
export async function putAll(store: Store, items: readonly Item[]): Promise<void> {
  for (let start = 0; start < items.length; start += 25) {
    let remaining: readonly { PutRequest?: { Item: Record<string, unknown> | undefined } | undefined }[] = items
      .slice(start, start + 25)
      .map((item) => ({ PutRequest: { Item: withFormat(item) } }));
    for (let attempt = 1; remaining.length > 0; attempt += 1) {
      if (attempt > attemptsMax) throw new ContentionError('The database kept leaving writes of a batch undone.');
      if (attempt > 1) await store.backOff(attempt);
      const { UnprocessedItems } = await rethrowTransientAsContention(
        store.client.send(new BatchWriteCommand({ RequestItems: { [store.tableName]: [...remaining] } as never })),
      );
      remaining = UnprocessedItems?.[store.tableName] ?? [];
    }
  }
}

/**
 * Puts items that somebody else may have put already, and may be using: what is there is left as it is. So a copy of the
 * request that arrives late, after the answer to another, does no harm.
 */
export async function putIfAbsent(store: Store, items: readonly Item[]): Promise<void> {
  await mapInBatches(items, async (item) => {
    const Item = withFormat(item);
    try {
      await rethrowTransientAsContention(
        store.client.send(
          new PutCommand({ TableName: store.tableName, Item, ConditionExpression: 'attribute_not_exists(PK)' }),
        ),
      );
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
    }
  });
}

export type Range = {
  readonly index?: IndexName;
  readonly partition: readonly [name: string, value: string];
  /** A condition on the sort key, as DynamoDB writes it, over `#sort` and the values given. */
  readonly sort?: { readonly name: string; readonly condition: string; readonly values: Record<string, string> };
  readonly limit: number;
  readonly newestFirst?: boolean;
  /** All the key attributes of the item after which to begin, for an order in which items can have the same place. */
  readonly startAfter?: Readonly<Record<string, string>>;
};

/** Reads one bounded page of one partition, in the order of its sort key. */
export async function query(store: Store, range: Range): Promise<Item[]> {
  const [name, value] = range.partition;
  const input: QueryCommandInput = {
    TableName: store.tableName,
    KeyConditionExpression: `#partition = :partition${range.sort ? ` AND ${range.sort.condition}` : ''}`,
    ExpressionAttributeNames: { '#partition': name, ...(range.sort ? { '#sort': range.sort.name } : {}) },
    ExpressionAttributeValues: { ':partition': value, ...range.sort?.values },
    Limit: range.limit,
    ScanIndexForward: !range.newestFirst,
    ...(range.startAfter === undefined ? {} : { ExclusiveStartKey: range.startAfter }),
    // An index is read as it is; the table is read as it is now.
    ...(range.index === undefined ? { ConsistentRead: true } : { IndexName: range.index }),
  };
  const { Items } = await rethrowTransientAsContention(store.client.send(new QueryCommand(input)));
  return ((Items ?? []) as Item[]).map((item) => checkFormat(item));
}

/** How a transaction ended: done, or not done because something was not as expected or others were in the way. */
export type CommitResult = 'committed' | 'condition-failed' | 'transient-failure';

const conditionFailed = 'ConditionalCheckFailed';
const transientReasons: readonly (string | undefined)[] = [
  'None',
  'TransactionConflict',
  'ThrottlingError',
  'ProvisionedThroughputExceeded',
];

/**
 * Writes all of it or nothing. A failed condition and a passing conflict are outcomes; a mix with any other reason is
 * permanent and thrown, since trying again could not help.
 */
export async function commit(store: Store, items: readonly TransactItem[]): Promise<CommitResult> {
  try {
    await store.client.send(
      new TransactWriteCommand({ TransactItems: items.map((item) => withTableName(item, store.tableName)) }),
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

/** What came of a call, unless the database was too busy for all of the SDK's own attempts: that is contention. */
export async function rethrowTransientAsContention<Answer>(call: Promise<Answer>): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    if (isTransient(error)) throw new ContentionError('The database is too busy or does not answer.', { cause: error });
    throw error;
  }
}

/** Whether a failure is one of the database's being busy, which trying again may get past. */
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

function withTableName(item: TransactItem, TableName: string): TransactItem {
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
 * Passes on an item that was read. Throws when it was written in a newer format than this code knows: reading on could
 * take it for what it is not. What is read through an index does not show its format, and is only used for its keys.
 */
export function checkFormat<Some extends Readonly<Record<string, unknown>>>(item: Some): Some {
  if (Number(item.format ?? itemFormat) <= itemFormat) return item;
  throw new Error(
    `The item ${item.PK} ${item.SK} has format ${item.format}. This code reads formats up to ${itemFormat}: deploy the newer code.`,
  );
}

const concurrency = 25;

/** Does something for each of many, a bounded number of them at once. */
export async function mapInBatches<Each>(items: readonly Each[], act: (each: Each) => Promise<unknown>): Promise<void> {
  for (let start = 0; start < items.length; start += concurrency)
    await Promise.all(items.slice(start, start + concurrency).map(act));
}
