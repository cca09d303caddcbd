import { DynamoDBClient, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import {
  BatchGetCommand,
  BatchWriteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  TransactWriteCommand,
} from '@aws-sdk/lib-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../domain/audit-event.ts';
import type { ItemKey } from '../../../store/dynamodb/table.ts';
import {
  attemptsMax,
  ContentionError,
  createDocumentClient,
  get,
  getAll,
  putAll,
  query,
} from '../../../store/dynamodb/table.ts';
import type { LedgerEntry, Versioned } from '../../../store/dynamodb/versioned-item.ts';
import {
  isProcessed,
  ledgerEntryHash,
  ledgerEntrySortKey,
  ledgerPartition,
  newItem,
  readItem,
  toWrites,
  updateExisting,
  updateWithRetry,
} from '../../../store/dynamodb/versioned-item.ts';
import { listLedgerEntries } from '../../../store/ledger.ts';
import type { Store, UpdateDecision } from '../../../store/store.ts';
import { mondayNine, mondayTen } from '../../instants.ts';
import { readAllPages, scanAllItems, startTestDynamoDb } from '../dynamodb.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
});

// A minimal versioned value.
type Counter = { readonly count: number };
const tally: ItemKey = { PK: 'KEY#tally', SK: 'KEY' };
const other: ItemKey = { PK: 'KEY#other', SK: 'KEY' };

/** The same store without back-off, for updates in which every attempt fails. */
const withoutBackOff = () => ({ ...store, backOff: () => Promise.resolve() });

const counterEvent = (detail: string): AuditEvent => ({
  actor: 'ada',
  action: 'limit-raised',
  detail,
  reference: null,
});

function createCounter(key = tally, operationId = 'create') {
  return updateWithRetry(
    store,
    async (): Promise<UpdateDecision<number>> => ({
      kind: 'write',
      value: 0,
      writes: toWrites(newItem<Counter>(key, { count: 0 }), {
        operationId,
        now: mondayNine,
        event: counterEvent('created'),
      }),
    }),
  );
}

function increment(record: Versioned<Counter>, operationId: string | null): UpdateDecision<number> {
  if (operationId !== null && isProcessed(record, operationId)) return { kind: 'no-change', value: record.value.count };
  const count = record.value.count + 1;
  const event = counterEvent(`counted ${count}`);
  return {
    kind: 'write',
    value: count,
    writes: toWrites({ ...record, value: { count } }, { operationId, now: mondayTen, event }),
  };
}

function count(operationId: string | null, key = tally, target = store) {
  return updateExisting(target, key, (record: Versioned<Counter>) => increment(record, operationId));
}

async function readLedger(key = tally): Promise<readonly LedgerEntry[]> {
  return readAllPages((page) => listLedgerEntries(store, key.PK as `KEY#${string}`, page));
}

/** Returns the number of the first entry that breaks the hash chain, or `undefined` if the chain is intact (LED-2). */
function findBreak(owner: string, entries: readonly LedgerEntry[]): number | undefined {
  let previousHash = '';
  for (const [index, entry] of entries.entries()) {
    const isNext = entry.sequence === index + 1 && entry.previousHash === previousHash;
    if (!isNext || entry.hash !== ledgerEntryHash(owner, entry)) return index + 1;
    previousHash = entry.hash;
  }
  return undefined;
}

describe('an update', () => {
  it('LED-1 writes the value and its ledger entry together', async () => {
    await createCounter();
    expect(await count('one')).toEqual({ ok: true, value: 1 });
    expect(await readItem<Counter>(store, tally)).toMatchObject({
      value: { count: 1 },
      version: 2,
      ledgerHead: { sequence: 2 },
    });
    expect(await readLedger()).toMatchObject([
      { sequence: 1, at: mondayNine, ...counterEvent('created') },
      { sequence: 2, at: mondayTen, ...counterEvent('counted 1') },
    ]);
  });

  it('LED-1 writes nothing if the ledger entry already exists', async () => {
    await createCounter();
    await store.client.send(
      new PutCommand({
        TableName: store.tableName,
        Item: { PK: ledgerPartition(tally.PK), SK: ledgerEntrySortKey(2), intruder: true },
      }),
    );
    await expect(count('one', tally, withoutBackOff())).rejects.toThrow(ContentionError);
    expect(await readItem<Counter>(store, tally)).toMatchObject({
      value: { count: 0 },
      version: 1,
      ledgerHead: { sequence: 1 },
    });
    expect(await get(store, { PK: ledgerPartition(tally.PK), SK: ledgerEntrySortKey(2) })).toMatchObject({
      intruder: true,
    });
  });

  it('returns undefined if the item does not exist', async () => {
    expect(await count('one')).toBeUndefined();
    expect(await scanAllItems(store)).toEqual([]);
  });

  it('LED-1 writes two values with their ledgers, or neither', async () => {
    await createCounter();
    await createCounter(other);
    const countBoth = (asRead: (record: Versioned<Counter>) => Versioned<Counter>) =>
      updateExisting(withoutBackOff(), tally, async (record: Versioned<Counter>): Promise<UpdateDecision<number>> => {
        const otherRecord = await readItem<Counter>(store, other);
        if (otherRecord === undefined) throw new Error('there is no other counter');
        const one = increment(record, null);
        const two = increment(asRead(otherRecord), null);
        if (one.kind !== 'write' || two.kind !== 'write') throw new Error('nothing to write');
        return { ...one, writes: [...one.writes, ...two.writes] };
      });
    await countBoth((record) => record);
    await expect(countBoth((record) => ({ ...record, version: record.version - 1 }))).rejects.toThrow(ContentionError);
    for (const key of [tally, other]) {
      expect(await readItem<Counter>(store, key)).toMatchObject({ value: { count: 1 }, version: 2 });
      expect(await readLedger(key)).toHaveLength(2);
    }
  });
});

describe('simultaneous updates', () => {
  it('LED-1 LED-2 are all applied, in sequence, and their entries are chained', async () => {
    await createCounter();
    const results = await Promise.all(Array.from({ length: 6 }, (_, number) => count(`count ${number}`)));
    expect(results.map((result) => (result?.ok ? result.value : 0)).toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
    const entries = await readLedger();
    expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(findBreak(tally.PK, entries)).toBeUndefined();
  });

  it('fail after a bounded number of attempts, with a back-off before each but the first', async () => {
    await createCounter();
    const backOffs: number[] = [];
    const recordingStore = { ...store, backOff: async (attempt: number) => void backOffs.push(attempt) };
    let attempts = 0;
    const update = updateExisting(recordingStore, tally, async (record: Versioned<Counter>) => {
      attempts += 1;
      // Another update is committed between every read and write.
      await count(null);
      return increment(record, 'conflicting');
    });
    await expect(update).rejects.toThrow(ContentionError);
    expect(attempts).toBe(attemptsMax);
    expect(backOffs).toEqual(Array.from({ length: attemptsMax - 1 }, (_, index) => index + 2));
    expect(await readItem<Counter>(store, tally)).toMatchObject({ value: { count: attemptsMax } });
  });

  it('decide again from the current value', async () => {
    await createCounter();
    let attempts = 0;
    const result = await updateExisting(store, tally, async (record: Versioned<Counter>) => {
      attempts += 1;
      if (attempts === 1) await count(null);
      return increment(record, 'late');
    });
    expect(result).toEqual({ ok: true, value: 2 });
    expect(attempts).toBe(2);
  });
});

describe('a repeated operation', () => {
  it('changes nothing, whether it repeats later or at the same time', async () => {
    await createCounter();
    await Promise.all([count('once'), count('once'), count('once')]);
    await count('another');
    expect(await count('once')).toEqual({ ok: true, value: 2 });
    expect(await readLedger()).toHaveLength(3);
  });

  it('is detected for twenty more operations, and the first one forever', async () => {
    await createCounter();
    for (let number = 1; number <= 21; number += 1) await count(`count ${number}`);
    const record = await readItem<Counter>(store, tally);
    const processed = ['create', 'count 1', 'count 2', 'count 21'].filter(
      (operationId) => record !== undefined && isProcessed(record, operationId),
    );
    expect(processed).toEqual(['create', 'count 2', 'count 21']);
  });

  it('is not detected for operations of the service itself', async () => {
    await createCounter();
    await count(null);
    expect((await readItem<Counter>(store, tally))?.operationIds).toEqual(['create']);
  });
});

describe('a ledger', () => {
  beforeEach(async () => {
    await createCounter();
    for (let number = 1; number <= 4; number += 1) await count(null);
  });

  it('LED-2 shows where an entry was changed, removed, or inserted', async () => {
    const entries = await readLedger();
    expect(entries).toHaveLength(5);
    const members = ['actor', 'action', 'detail', 'reference', 'at', 'previousHash', 'hash', 'sequence'] as const;
    for (const member of members) {
      const broken = entries.map((entry, index) => (index === 2 ? { ...entry, [member]: 'forged' } : entry));
      expect(findBreak(tally.PK, broken as unknown as LedgerEntry[])).toBe(3);
    }
    expect(findBreak(tally.PK, entries.toSpliced(1, 1))).toBe(2);
    expect(findBreak(tally.PK, entries.toSpliced(3, 0, ...entries.slice(2, 3)))).toBe(4);
    expect(findBreak(other.PK, entries)).toBe(1);
  });

  it('LED-2 does not match the next entry after an entry was rewritten', async () => {
    const entries = await readLedger();
    const [first, second, third, ...rest] = entries;
    if (first === undefined || second === undefined || third === undefined) throw new Error('too short');
    const forged = { ...second, detail: 'forged' };
    const rewritten = [first, { ...forged, hash: ledgerEntryHash(tally.PK, forged) }, third, ...rest];
    expect(findBreak(tally.PK, rewritten)).toBe(3);
  });

  it('LED-1 is listed in pages of any size, each entry once and in order', async () => {
    for (const limit of [1, 2, 3, 4, 5, 6]) {
      const entries = await readAllPages((page) => listLedgerEntries(store, 'KEY#tally', page), limit);
      expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
    }
  });
});

describe('batches of items', () => {
  const keys = (count: number) =>
    Array.from({ length: count }, (_, number) => ({ PK: `P#${number % 7}`, SK: `${number}` }));

  it('are returned in the order of the keys, with duplicates, and without those that do not exist', async () => {
    const existing = keys(130);
    await putAll(
      store,
      existing.map((key) => ({ ...key, number: Number(key.SK) })),
    );
    const numbers = fc.array(fc.nat(160), { maxLength: 130 });
    await fc.assert(
      fc.asyncProperty(numbers, async (requested) => {
        const items = await getAll(
          store,
          requested.map((number) => ({ PK: `P#${number % 7}`, SK: `${number}` })),
        );
        expect(items.map(({ number }) => number)).toEqual(requested.filter((number) => number < existing.length));
      }),
      { numRuns: 10 },
    );
  });
});

// The local emulator cannot produce these errors.
describe('a busy database', () => {
  const client = DynamoDBDocumentClient.from(new DynamoDBClient({ region: 'us-east-1' }));
  const mock = mockClient(client);
  const backOffs: number[] = [];
  const busyStore = (): Store => ({ ...store, client, backOff: async (attempt) => void backOffs.push(attempt) });
  const item = {
    ...tally,
    value: { count: 3 },
    internal: {},
    version: 4,
    ledgerHead: { sequence: 0, hash: '' },
    operationIds: [],
  };
  beforeEach(() => {
    mock.reset();
    mock.on(GetCommand).resolves({ Item: item });
    backOffs.length = 0;
  });

  const errorNamed = (name: string) => Object.assign(new Error(name), { name });
  const canceled = (...codes: string[]) =>
    new TransactionCanceledException({
      message: 'canceled',
      $metadata: {},
      CancellationReasons: codes.map((Code) => ({ Code })),
    });
  const countIn = (target: Store) =>
    updateExisting(target, tally, (record: Versioned<Counter>) => increment(record, 'one'));

  it.each([
    ['a conflict with another transaction', canceled('TransactionConflict', 'None')],
    ['throttling of one item', canceled('None', 'ThrottlingError')],
    ['throttling by the capacity of the table', canceled('ProvisionedThroughputExceeded', 'None')],
    ['a failed condition', canceled('ConditionalCheckFailed', 'None')],
    ['a failed condition together with a conflict', canceled('ConditionalCheckFailed', 'TransactionConflict')],
    ['throttling of the call', errorNamed('ThrottlingException')],
    ['too many requests', errorNamed('RequestLimitExceeded')],
    ['a transaction that is still in progress', errorNamed('TransactionInProgressException')],
    ['an internal error', errorNamed('InternalServerError')],
    ['a timeout', errorNamed('TimeoutError')],
  ])('is retried after %s', async (_, error) => {
    mock.on(TransactWriteCommand).rejectsOnce(error).rejectsOnce(error).resolves({});
    expect(await countIn(busyStore())).toEqual({ ok: true, value: 4 });
    expect(mock.commandCalls(TransactWriteCommand)).toHaveLength(3);
    expect(backOffs).toEqual([2, 3]);
  });

  it.each([
    ['repeated conflicts', canceled('TransactionConflict')],
    ['repeated timeouts', errorNamed('TimeoutError')],
  ])('is not retried forever after %s', async (_, error) => {
    mock.on(TransactWriteCommand).rejects(error);
    await expect(countIn(busyStore())).rejects.toThrow(ContentionError);
    expect(mock.commandCalls(TransactWriteCommand)).toHaveLength(attemptsMax);
  });

  it.each([
    ['an invalid write', canceled('None', 'ValidationError')],
    ['an invalid write together with a conflict', canceled('TransactionConflict', 'ValidationError')],
    ['an invalid write together with a failed condition', canceled('ConditionalCheckFailed', 'ValidationError')],
    [
      'an item that is too large together with throttling',
      canceled('ThrottlingError', 'ItemCollectionSizeLimitExceeded'),
    ],
    ['an unknown reason', canceled('Unknown')],
    ['no reason', canceled()],
    ['a call that is not allowed', errorNamed('AccessDeniedException')],
    ['an invalid call', errorNamed('ValidationException')],
    ['a missing table', errorNamed('ResourceNotFoundException')],
    ['an error in our code', new RangeError('injected')],
  ])('is never retried after %s', async (_, error) => {
    mock.on(TransactWriteCommand).rejects(error);
    await expect(countIn(busyStore())).rejects.toBe(error);
    expect(mock.commandCalls(TransactWriteCommand)).toHaveLength(1);
    expect(backOffs).toEqual([]);
  });

  it('is read again after throttling, and not after other errors', async () => {
    mock.on(GetCommand).rejectsOnce(errorNamed('ThrottlingException')).resolves({ Item: item });
    mock.on(TransactWriteCommand).resolves({});
    expect(await countIn(busyStore())).toEqual({ ok: true, value: 4 });
    mock.on(GetCommand).rejects(errorNamed('AccessDeniedException'));
    await expect(countIn(busyStore())).rejects.toThrow('AccessDeniedException');
  });

  it.each([
    ['one item', GetCommand, () => get(busyStore(), tally)],
    ['many items', BatchGetCommand, () => getAll(busyStore(), [tally])],
    ['a page', QueryCommand, () => query(busyStore(), { partition: ['PK', 'KEY#tally'], limit: 1 })],
    ['a batch of puts', BatchWriteCommand, () => putAll(busyStore(), [tally])],
  ] as const)('throws a ContentionError with the cause: %s', async (_, command, call) => {
    const error = errorNamed('ThrottlingException');
    mock.on(command as typeof GetCommand).rejects(error);
    await expect(call()).rejects.toMatchObject({ name: 'ContentionError', cause: error });
  });

  it('gets the unprocessed rest of a batch again', async () => {
    const two = { PK: 'KEY#two', SK: 'KEY' };
    mock
      .on(BatchGetCommand)
      .resolvesOnce({
        Responses: { [store.tableName]: [two] },
        UnprocessedKeys: { [store.tableName]: { Keys: [tally] } },
      })
      .resolves({ Responses: { [store.tableName]: [item] } });
    expect(await getAll(busyStore(), [tally, two])).toEqual([item, two]);
    expect(mock.commandCalls(BatchGetCommand)[1]?.args[0].input.RequestItems?.[store.tableName]?.Keys).toEqual([tally]);

    const put = (key: ItemKey) => ({ PutRequest: { Item: { ...key, format: 1 } } });
    mock
      .on(BatchWriteCommand)
      .resolvesOnce({ UnprocessedItems: { [store.tableName]: [put(two)] } })
      .resolves({});
    await putAll(busyStore(), [item, two]);
    expect(mock.commandCalls(BatchWriteCommand).map(({ args }) => args[0].input.RequestItems)).toEqual([
      { [store.tableName]: [put(item), put(two)] },
      { [store.tableName]: [put(two)] },
    ]);
    expect(backOffs).toEqual([2, 2]);
  });

  it('does not get the rest of a batch forever', async () => {
    mock.on(BatchGetCommand).resolves({ UnprocessedKeys: { [store.tableName]: { Keys: [tally] } } });
    await expect(getAll(busyStore(), [tally])).rejects.toThrow(ContentionError);
    expect(mock.commandCalls(BatchGetCommand)).toHaveLength(attemptsMax);
    const [rest] = [{ PutRequest: { Item: tally } }];
    mock.on(BatchWriteCommand).resolves({ UnprocessedItems: { [store.tableName]: [rest] } });
    await expect(putAll(busyStore(), [tally])).rejects.toThrow(ContentionError);
    expect(mock.commandCalls(BatchWriteCommand)).toHaveLength(attemptsMax);
  });
});

describe('a call that hangs', () => {
  it('throws an error and does not only log a warning', async () => {
    const client = createDocumentClient();
    const handler = client.config.requestHandler as unknown as { readonly configProvider: Promise<object> };
    expect(await handler.configProvider).toMatchObject({ requestTimeout: 3_000, throwOnRequestTimeout: true });
    client.destroy();
  });
});
