import { CreateTableCommand, DeleteTableCommand } from '@aws-sdk/client-dynamodb';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { StreamHandler } from '../../../local/emulators/dynamodb-stream.ts';
import { followStream } from '../../../local/emulators/dynamodb-stream.ts';
import { putAll } from '../../../store/dynamodb/table.ts';
import type { Store } from '../../../store/store.ts';
import type { StreamBatch } from '../../functions/key-change-fixture.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';

const engine = await startTestDynamoDb();
let store: Store;
let batches: (readonly string[])[];
beforeEach(async () => {
  store = await engine.newStore();
  batches = [];
});

const endpoint = () => process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '';

/** Returns the sort keys of the items in a batch. */
const itemsIn = (event: unknown) =>
  (event as StreamBatch).Records.map(({ dynamodb }) => String((dynamodb.NewImage?.SK as { S: string } | undefined)?.S));
const sequencesIn = (event: unknown) => (event as StreamBatch).Records.map(({ dynamodb }) => dynamodb.SequenceNumber);

/** Creates a handler that records the batches, and fails for the changes of the given items. */
const recordingHandler =
  (...failing: readonly string[]): StreamHandler =>
  async (event) => {
    const items = itemsIn(event);
    batches.push(items);
    const failed = sequencesIn(event).filter((_, index) => failing.includes(items[index] ?? ''));
    return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) };
  };

async function follow(handler: StreamHandler) {
  const stream = await followStream({ endpoint: endpoint(), tableName: store.tableName }, { watcher: handler });
  onTestFinished(() => stream.stop());
  return stream;
}

async function put(...names: readonly string[]): Promise<void> {
  for (const SK of names) {
    await store.client.send(new PutCommand({ TableName: store.tableName, Item: { PK: 'P', SK } }));
  }
}

describe('the stream of a table', () => {
  it('delivers every change once, oldest first, in batches of at most 100', async () => {
    const names = Array.from({ length: 230 }, (_, index) => `item ${index}`);
    await putAll(
      store,
      names.slice(0, 200).map((SK) => ({ PK: 'P', SK })),
    );
    const stream = await follow(recordingHandler());
    await put(...names.slice(200));
    await stream.whenIdle();
    expect(batches.flat().toSorted()).toEqual(names.toSorted());
    expect(batches.flat().slice(200)).toEqual(names.slice(200));
    expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(100);
    await stream.whenIdle();
    expect(batches.flat()).toHaveLength(230);
  });

  it('delivers changes also if nothing waits for them', async () => {
    await follow(recordingHandler());
    await put('a');
    await vi.waitFor(() => expect(batches).toEqual([['a']]), { timeout: 10_000 });
  });

  it('is idle only after the changes of the handlers are handled, too', async () => {
    const handler: StreamHandler = async (event) => {
      if (itemsIn(event).includes('first')) await put('second');
      return recordingHandler()(event, {} as never);
    };
    const stream = await follow(handler);
    await put('first');
    await stream.whenIdle();
    expect(batches).toEqual([['first'], ['second']]);
  });

  it('delivers each change once if several callers wait until it is idle', async () => {
    const stream = await follow(recordingHandler());
    await put('a', 'b');
    await Promise.all([stream.whenIdle(), stream.whenIdle(), stream.whenIdle()]);
    expect(batches).toEqual([['a', 'b']]);
  });

  it('delivers nothing after it is stopped', async () => {
    const stream = await follow(recordingHandler());
    await stream.stop();
    await put('a');
    expect(batches).toEqual([]);
  });
});

describe('a change whose handling fails', () => {
  it('is delivered again with all later changes, and is skipped after six attempts', async () => {
    const errorLog = vi.spyOn(console, 'error').mockReturnValue(undefined);
    onTestFinished(() => errorLog.mockRestore());
    const stream = await follow(recordingHandler('poison'));
    await put('a', 'poison', 'b');
    await stream.whenIdle();
    expect(batches[0]).toEqual(['a', 'poison', 'b']);
    expect(batches.slice(1)).toEqual(Array.from({ length: 5 }, () => ['poison', 'b']));
    expect(errorLog).toHaveBeenCalledOnce();
    await put('c');
    await stream.whenIdle();
    expect(batches.at(-1)).toEqual(['c']);
  });

  it('is delivered again with its batch if the function throws, until the function succeeds', async () => {
    let failures = 2;
    const stream = await follow(async (event, context) => {
      const response = await recordingHandler()(event, context);
      failures -= 1;
      if (failures >= 0) throw new Error('injected');
      return response;
    });
    await put('a', 'b');
    await stream.whenIdle();
    expect(batches).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });
});

describe('a table without a stream', () => {
  it('is refused in one line', async () => {
    const TableName = `no-stream-${store.tableName}`;
    await store.client.send(
      new CreateTableCommand({
        TableName,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'PK', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'PK', KeyType: 'HASH' }],
      }),
    );
    onTestFinished(async () => void (await store.client.send(new DeleteTableCommand({ TableName }))));
    await expect(followStream({ endpoint: endpoint(), tableName: TableName }, {})).rejects.toThrow(
      `The table ${TableName} has no stream to follow.`,
    );
  });
});
