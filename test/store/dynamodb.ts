import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { DeleteTableCommand } from '@aws-sdk/client-dynamodb';
import type { TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { Scheduler } from 'fast-check';
import { afterAll } from 'vitest';
import { Secret } from '../../domain/secret.ts';
import { startDynamoDb } from '../../local/emulators/dynamodb.ts';
import { createTable } from '../../store/dynamodb/create-table.ts';
import type { Page, PageRequest } from '../../store/dynamodb/page.ts';
import type { Item } from '../../store/dynamodb/table.ts';
import { createDocumentClient } from '../../store/dynamodb/table.ts';
import type { Store } from '../../store/store.ts';
import { openVault } from '../../store/vault.ts';
import { policy } from '../builders.ts';

/** The DynamoDB emulator, which runs as long as the test file. */
export type TestDynamoDb = {
  /** Creates a store with its own, empty table. */
  newStore(): Promise<Store>;
};

/** The root secret of every store of the tests. */
export const testRootSecret = 'a root secret for tests, of more than 32 bytes';

type TimeoutConfigurable = { updateHttpClientConfig(timeout: string, milliseconds: number): void };

/**
 * Starts the emulator, or uses the one at `AWS_ENDPOINT_URL_DYNAMODB`. Deletes all tables after the tests of the file.
 */
export async function startTestDynamoDb(): Promise<TestDynamoDb> {
  const externalEndpoint = process.env.AWS_ENDPOINT_URL_DYNAMODB;
  const dynamoDb = await startDynamoDb(externalEndpoint === undefined ? {} : { externalEndpoint });
  process.env.AWS_ENDPOINT_URL_DYNAMODB = dynamoDb.endpoint;
  process.env.AWS_REGION ??= 'us-east-1';
  process.env.AWS_ACCESS_KEY_ID ??= 'local';
  process.env.AWS_SECRET_ACCESS_KEY ??= 'local';
  const client = createDocumentClient();
  // Hundreds of parallel calls on a busy machine are slow, so no call times out here.
  const { requestHandler } = client.config as unknown as { readonly requestHandler: TimeoutConfigurable };
  for (const timeout of ['connectionTimeout', 'requestTimeout']) requestHandler.updateHttpClientConfig(timeout, 0);
  const tables: string[] = [];
  afterAll(async () => {
    for (const TableName of tables) await client.send(new DeleteTableCommand({ TableName }));
    client.destroy();
    await dynamoDb.stop();
  });
  return {
    newStore: async () => {
      const tableName = `store-test-${randomUUID()}`;
      await createTable(tableName);
      tables.push(tableName);
      const vault = openVault(new Secret(testRootSecret));
      return { client, tableName, vault, policy, backOff };
    },
  };
}

/** Backs off with full jitter like the product, but for a shorter time, because the emulator is local. */
async function backOff(retry: number): Promise<void> {
  await wait(randomInt(Math.min(500, 10 * 2 ** (retry - 1)) + 1));
}

/** Returns every item of the table. Only tests scan the table; the service never does. */
export async function scanAllItems({ client, tableName }: Store): Promise<Item[]> {
  const items: Item[] = [];
  let start: Record<string, unknown> | undefined;
  do {
    const page = await client.send(
      new ScanCommand({
        TableName: tableName,
        ConsistentRead: true,
        ...(start === undefined ? {} : { ExclusiveStartKey: start }),
      }),
    );
    items.push(...((page.Items ?? []) as Item[]));
    start = page.LastEvaluatedKey;
  } while (start !== undefined);
  return items;
}

/** Reads all pages of a list. Throws if it does not end. */
export async function readAllPages<Entry>(
  read: (request: PageRequest) => Promise<Page<Entry>>,
  limit = 100,
): Promise<readonly Entry[]> {
  const items: Entry[] = [];
  let after: string | null = null;
  for (let pages = 1; pages <= 200; pages += 1) {
    const page: Page<Entry> = await read({ limit, after });
    if (page.items.length > limit) throw new Error(`A page of ${page.items.length} for a limit of ${limit}.`);
    items.push(...page.items);
    if (page.next === null) return items;
    after = page.next;
  }
  throw new Error('The list does not end.');
}

type Command = Parameters<Store['client']['send']>[0];

/** Returns the store with an interceptor that runs around every database call. */
export function withInterceptor(
  store: Store,
  intercept: (command: Command, send: () => Promise<unknown>) => Promise<unknown>,
): Store {
  const { client } = store;
  const send = (command: Command) => intercept(command, () => client.send(command));
  return {
    ...store,
    client: new Proxy(client, { get: (target, name) => (name === 'send' ? send : Reflect.get(target, name)) }),
  };
}

/** Returns the store with a function that runs once, just before the first call of a kind reaches the database. */
export function withInterruption(
  store: Store,
  kind: typeof TransactWriteCommand | typeof UpdateCommand,
  meanwhile: () => Promise<unknown>,
): Store {
  let hasInterrupted = false;
  return withInterceptor(store, async (command, send) => {
    if (command instanceof kind && !hasInterrupted) {
      hasInterrupted = true;
      await meanwhile();
    }
    return send();
  });
}

/**
 * Returns the store with database calls in a random order of the scheduler. Every interleaving of parallel calls is
 * possible, and a failing one can be replayed.
 */
export function withScheduler(store: Store, scheduler: Scheduler): Store {
  // The scheduler reports a rejected call as unhandled, so it gets the result of the call instead.
  const settle = scheduler.scheduleFunction(async (send: () => Promise<unknown>) =>
    send().then(
      (value) => ({ ok: true, value }) as const,
      (error: unknown) => ({ ok: false, error }) as const,
    ),
  );
  const scheduledStore = withInterceptor(store, async (_, send) => {
    const result = await settle(send);
    if (!result.ok) throw result.error;
    return result.value;
  });
  return { ...scheduledStore, backOff: () => scheduler.schedule(Promise.resolve()) };
}
