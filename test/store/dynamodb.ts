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
import type { Item, Store } from '../../store/dynamodb/table.ts';
import { createDocumentClient } from '../../store/dynamodb/table.ts';
import { openVault } from '../../store/vault.ts';
import { policy } from '../builders.ts';

/** A real engine, for as long as the test file runs. */
export type TestDynamoDb = {
  /** A store with a new and empty table of its own. */
  newStore(): Promise<Store>;
};

/** The root secret of every store of the tests. */
export const testVaultSecret = 'a root secret for tests, of more than 32 bytes';

type TimeoutConfigurable = { updateHttpClientConfig(limit: string, milliseconds: number): void };

/** Starts an engine, or uses the one that the user named, and gives everything back when the file is done. */
export async function startTestDynamoDb(): Promise<TestDynamoDb> {
  const externalEndpoint = process.env.AWS_ENDPOINT_URL_DYNAMODB;
  const dynamoDb = await startDynamoDb(externalEndpoint === undefined ? {} : { externalEndpoint });
  process.env.AWS_ENDPOINT_URL_DYNAMODB = dynamoDb.endpoint;
  process.env.AWS_REGION ??= 'us-east-1';
  process.env.AWS_ACCESS_KEY_ID ??= 'local';
  process.env.AWS_SECRET_ACCESS_KEY ??= 'local';
  const client = createDocumentClient();
  // Hundreds of calls at once on a busy machine take their time: here nothing is given up for being slow.
  const { requestHandler } = client.config as unknown as { readonly requestHandler: TimeoutConfigurable };
  for (const limit of ['connectionTimeout', 'requestTimeout']) requestHandler.updateHttpClientConfig(limit, 0);
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
      const vault = openVault(new Secret(testVaultSecret));
      return { client, tableName, vault, policy, backOff };
    },
  };
}

/** Full jitter like the product's, only shorter: the engine is next door. */
async function backOff(retry: number): Promise<void> {
  await wait(randomInt(Math.min(500, 10 * 2 ** (retry - 1)) + 1));
}

/** Every item of the table: a test may look at all of it, the service never does. */
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

/** A whole list, read page by page. Throws when it does not end. */
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

/** The same store, with somebody between it and the database who sees every call and may do something before and after. */
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

/** The same store, where something happens once: just before the first call of a kind reaches the database. */
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
 * The same store, whose calls reach the database in an order that the scheduler draws: every interleaving of what runs at
 * once can come up, and one that fails can be played again.
 */
export function withScheduler(store: Store, scheduler: Scheduler): Store {
  // The scheduler takes a call that fails for one that nobody heard of, so it is given how the call ended instead.
  const settle = scheduler.scheduleFunction(async (send: () => Promise<unknown>) =>
    send().then(
      (answer) => ({ ok: true, answer }) as const,
      (error: unknown) => ({ ok: false, error }) as const,
    ),
  );
  const scheduledStore = withInterceptor(store, async (_, send) => {
    const result = await settle(send);
    if (!result.ok) throw result.error;
    return result.answer;
  });
  return { ...scheduledStore, backOff: () => scheduler.schedule(Promise.resolve()) };
}
