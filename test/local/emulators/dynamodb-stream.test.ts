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

/** Which items a batch is of. */
const itemsIn = (event: unknown) =>
  (event as StreamBatch).Records.map(({ dynamodb }) => String((dynamodb.NewImage?.SK as { S: string } | undefined)?.S));
const sequencesIn = (event: unknown) => (event as StreamBatch).Records.map(({ dynamodb }) => dynamodb.SequenceNumber);

/** Notes the batches, and cannot see to the changes of the items that are named. */
const noting =
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
  it('hands over every change in order, once, from the oldest on, in batches like the deployed ones', async () => {
    const names = Array.from({ length: 230 }, (_, index) => `item ${index}`);
    await putAll(
      store,
      names.slice(0, 200).map((SK) => ({ PK: 'P', SK })),
    );
    const stream = await follow(noting());
    await put(...names.slice(200));
    await stream.whenIdle();
    expect(batches.flat().toSorted()).toEqual(names.toSorted());
    expect(batches.flat().slice(200)).toEqual(names.slice(200));
    expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(100);
    await stream.whenIdle();
    expect(batches.flat()).toHaveLength(230);
  });

  it('hands over what comes while nobody asks', async () => {
    await follow(noting());
    await put('a');
    await vi.waitFor(() => expect(batches).toEqual([['a']]), { timeout: 10_000 });
  });

  it('is quiet only when what the handlers themselves have changed is handled too', async () => {
    const handler: StreamHandler = async (event) => {
      if (itemsIn(event).includes('first')) await put('second');
      return noting()(event, {} as never);
    };
    const stream = await follow(handler);
    await put('first');
    await stream.whenIdle();
    expect(batches).toEqual([['first'], ['second']]);
  });

  it('is read once by several who wait for quiet', async () => {
    const stream = await follow(noting());
    await put('a', 'b');
    await Promise.all([stream.whenIdle(), stream.whenIdle(), stream.whenIdle()]);
    expect(batches).toEqual([['a', 'b']]);
  });

  it('hands over nothing more when it is stopped', async () => {
    const stream = await follow(noting());
    await stream.stop();
    await put('a');
    expect(batches).toEqual([]);
  });
});

describe('a change whose handling fails', () => {
  it('comes again with all that came after it, and is passed over in the end', async () => {
    const complaint = vi.spyOn(console, 'error').mockReturnValue(undefined);
    onTestFinished(() => complaint.mockRestore());
    const stream = await follow(noting('poison'));
    await put('a', 'poison', 'b');
    await stream.whenIdle();
    expect(batches[0]).toEqual(['a', 'poison', 'b']);
    expect(batches.slice(1)).toEqual(Array.from({ length: 5 }, () => ['poison', 'b']));
    expect(complaint).toHaveBeenCalledOnce();
    await put('c');
    await stream.whenIdle();
    expect(batches.at(-1)).toEqual(['c']);
  });

  it('comes again when the function fails as a whole, and not once that has worked', async () => {
    let failures = 2;
    const stream = await follow(async (event, context) => {
      const answer = await noting()(event, context);
      failures -= 1;
      if (failures >= 0) throw new Error('not now');
      return answer;
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
  it('is refused in one clear line', async () => {
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
