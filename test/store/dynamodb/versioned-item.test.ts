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
import type { ItemKey, Store } from '../../../store/dynamodb/table.ts';
import {
  attemptsMax,
  ContentionError,
  createDocumentClient,
  get,
  getAll,
  putAll,
  query,
} from '../../../store/dynamodb/table.ts';
import type { LedgerEntry, UpdateDecision, Versioned } from '../../../store/dynamodb/versioned-item.ts';
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
import { mondayNine, mondayTen } from '../../instants.ts';
import { readAllPages, scanAllItems, startTestDynamoDb } from '../dynamodb.ts';

const engine = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

// Anything with a history will do: here it only counts.
type Counter = { readonly count: number };
const tally: ItemKey = { PK: 'KEY#tally', SK: 'KEY' };
const other: ItemKey = { PK: 'KEY#other', SK: 'KEY' };

/** The same store, for what is bound to be tried in vain. */
const withoutPauses = () => ({ ...store, backOff: () => Promise.resolve() });

const told = (detail: string) => ({ actor: 'ada', action: 'counted', detail, reference: null });

function begin(key = tally, operation = 'begin') {
  return updateWithRetry(store, async () => ({
    kind: 'write',
    value: 0,
    writes: toWrites(newItem<Counter>(key, { count: 0 }), {
      operationId: operation,
      now: mondayNine,
      event: told('begun'),
    }),
  }));
}

function counted(owned: Versioned<Counter>, operation: string | null): UpdateDecision<number> {
  if (operation !== null && isProcessed(owned, operation)) return { kind: 'no-change', value: owned.value.count };
  const count = owned.value.count + 1;
  const deed = told(`counted ${count}`);
  return {
    kind: 'write',
    value: count,
    writes: toWrites({ ...owned, value: { count } }, { operationId: operation, now: mondayTen, event: deed }),
  };
}

function count(operation: string | null, key = tally, in_ = store) {
  return updateExisting<Counter, number>(in_, key, (owned) => counted(owned, operation));
}

async function history(key = tally): Promise<readonly LedgerEntry[]> {
  return readAllPages((ask) => listLedgerEntries(store, key.PK as `KEY#${string}`, ask));
}

/** The number of the first entry that is not as it was written; `undefined` when all are (LED-2). */
function firstBreak(owner: string, entries: readonly LedgerEntry[]): number | undefined {
  let previousHash = '';
  for (const [index, entry] of entries.entries()) {
    const fits = entry.sequence === index + 1 && entry.previousHash === previousHash;
    if (!fits || entry.hash !== ledgerEntryHash(owner, entry)) return index + 1;
    previousHash = entry.hash;
  }
  return undefined;
}

describe('a change', () => {
  it('LED-1 is written together with the entry that tells of it', async () => {
    await begin();
    expect(await count('one')).toEqual({ ok: true, value: 1 });
    expect(await readItem<Counter>(store, tally)).toMatchObject({
      value: { count: 1 },
      version: 2,
      ledgerHead: { sequence: 2 },
    });
    expect(await history()).toMatchObject([
      { sequence: 1, at: mondayNine, ...told('begun') },
      { sequence: 2, at: mondayTen, ...told('counted 1') },
    ]);
  });

  it('LED-1 is not written when its entry cannot be', async () => {
    await begin();
    await store.client.send(
      new PutCommand({
        TableName: store.tableName,
        Item: { PK: ledgerPartition(tally.PK), SK: ledgerEntrySortKey(2), intruder: true },
      }),
    );
    await expect(count('one', tally, withoutPauses())).rejects.toThrow(ContentionError);
    expect(await readItem<Counter>(store, tally)).toMatchObject({
      value: { count: 0 },
      version: 1,
      ledgerHead: { sequence: 1 },
    });
    expect(await get(store, { PK: ledgerPartition(tally.PK), SK: ledgerEntrySortKey(2) })).toMatchObject({
      intruder: true,
    });
  });

  it('answers with nothing when what it changes is not there', async () => {
    expect(await count('one')).toBeUndefined();
    expect(await scanAllItems(store)).toEqual([]);
  });

  it('LED-1 of two histories is written to both or to neither', async () => {
    await begin();
    await begin(other);
    const both = (second: (owned: Versioned<Counter>) => Versioned<Counter>) =>
      updateExisting<Counter, number>(withoutPauses(), tally, async (owned) => {
        const found = await readItem<Counter>(store, other);
        if (found === undefined) throw new Error('not there');
        const one = counted(owned, null);
        const two = counted(second(found), null);
        if (one.kind !== 'write' || two.kind !== 'write') throw new Error('nothing to write');
        return { ...one, writes: [...one.writes, ...two.writes] };
      });
    await both((owned) => owned);
    await expect(both((owned) => ({ ...owned, version: owned.version - 1 }))).rejects.toThrow(ContentionError);
    for (const key of [tally, other]) {
      expect(await readItem<Counter>(store, key)).toMatchObject({ value: { count: 1 }, version: 2 });
      expect(await history(key)).toHaveLength(2);
    }
  });
});

describe('changes at once', () => {
  it('LED-1 LED-2 are all made, one after the other, and chained', async () => {
    await begin();
    const outcomes = await Promise.all(Array.from({ length: 6 }, (_, number) => count(`count ${number}`)));
    expect(outcomes.map((outcome) => (outcome?.ok ? outcome.value : 0)).toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
    const entries = await history();
    expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(firstBreak(tally.PK, entries)).toBeUndefined();
  });

  it('are given up after a bounded number of attempts, with a pause before each but the first', async () => {
    await begin();
    const pauses: number[] = [];
    const patient = { ...store, backOff: async (attempt: number) => void pauses.push(attempt) };
    let attempts = 0;
    const unlucky = updateExisting<Counter, number>(patient, tally, async (owned) => {
      attempts += 1;
      // Somebody gets in between, every time.
      await count(null);
      return counted(owned, 'unlucky');
    });
    await expect(unlucky).rejects.toThrow(ContentionError);
    expect(attempts).toBe(attemptsMax);
    expect(pauses).toEqual(Array.from({ length: attemptsMax - 1 }, (_, index) => index + 2));
    expect(await readItem<Counter>(store, tally)).toMatchObject({ value: { count: attemptsMax } });
  });

  it('decide anew from what is there then', async () => {
    await begin();
    let attempts = 0;
    const outcome = await updateExisting<Counter, number>(store, tally, async (owned) => {
      attempts += 1;
      if (attempts === 1) await count(null);
      return counted(owned, 'late');
    });
    expect(outcome).toEqual({ ok: true, value: 2 });
    expect(attempts).toBe(2);
  });
});

describe('an operation that was done', () => {
  it('changes nothing when it comes again, after others or at once', async () => {
    await begin();
    await Promise.all([count('once'), count('once'), count('once')]);
    await count('another');
    expect(await count('once')).toEqual({ ok: true, value: 2 });
    expect(await history()).toHaveLength(3);
  });

  it('is remembered for twenty more, and the first one for ever', async () => {
    await begin();
    for (let number = 1; number <= 21; number += 1) await count(`count ${number}`);
    const owned = await readItem<Counter>(store, tally);
    const remembered = ['begin', 'count 1', 'count 2', 'count 21'].filter(
      (operation) => owned !== undefined && isProcessed(owned, operation),
    );
    expect(remembered).toEqual(['begin', 'count 2', 'count 21']);
  });

  it('is not remembered when the service may do it again', async () => {
    await begin();
    await count(null);
    expect((await readItem<Counter>(store, tally))?.operationIds).toEqual(['begin']);
  });
});

describe('a history', () => {
  beforeEach(async () => {
    await begin();
    for (let number = 1; number <= 4; number += 1) await count(null);
  });

  it('LED-2 shows where an entry was changed, taken out, or put in the place of another', async () => {
    const entries = await history();
    expect(entries).toHaveLength(5);
    const fields = ['actor', 'action', 'detail', 'reference', 'at', 'previousHash', 'hash', 'sequence'] as const;
    for (const field of fields) {
      const broken = entries.map((entry, index) => (index === 2 ? { ...entry, [field]: 'forged' } : entry));
      expect(firstBreak(tally.PK, broken as unknown as LedgerEntry[])).toBe(3);
    }
    expect(firstBreak(tally.PK, entries.toSpliced(1, 1))).toBe(2);
    expect(firstBreak(tally.PK, entries.toSpliced(3, 0, ...entries.slice(2, 3)))).toBe(4);
    expect(firstBreak(other.PK, entries)).toBe(1);
  });

  it('LED-2 that was rewritten from an entry on no longer fits the entry after', async () => {
    const entries = await history();
    const [first, second, third, ...rest] = entries;
    if (first === undefined || second === undefined || third === undefined) throw new Error('too short');
    const forged = { ...second, detail: 'forged' };
    const rewritten = [first, { ...forged, hash: ledgerEntryHash(tally.PK, forged) }, third, ...rest];
    expect(firstBreak(tally.PK, rewritten)).toBe(3);
  });

  it('LED-1 is read in pages of any size, each entry once and in order', async () => {
    for (const limit of [1, 2, 3, 4, 5, 6]) {
      const entries = await readAllPages((ask) => listLedgerEntries(store, 'KEY#tally', ask), limit);
      expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
    }
  });
});

describe('items read and put many at a time', () => {
  const keys = (count: number) =>
    Array.from({ length: count }, (_, number) => ({ PK: `P#${number % 7}`, SK: `${number}` }));

  it('come back in the order asked for, those that are not there left out, the same one as often as asked', async () => {
    const there = keys(130);
    await putAll(
      store,
      there.map((key) => ({ ...key, number: Number(key.SK) })),
    );
    const numbers = fc.array(fc.nat(160), { maxLength: 130 });
    await fc.assert(
      fc.asyncProperty(numbers, async (asked) => {
        const found = await getAll(
          store,
          asked.map((number) => ({ PK: `P#${number % 7}`, SK: `${number}` })),
        );
        expect(found.map(({ number }) => number)).toEqual(asked.filter((number) => number < there.length));
      }),
      { numRuns: 10 },
    );
  });
});

// What no engine on this machine can be made to say.
describe('a database that is busy', () => {
  const client = DynamoDBDocumentClient.from(new DynamoDBClient({ region: 'us-east-1' }));
  const mock = mockClient(client);
  const pauses: number[] = [];
  const busy = (): Store => ({ ...store, client, backOff: async (attempt) => void pauses.push(attempt) });
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
    pauses.length = 0;
  });

  const named = (name: string) => Object.assign(new Error(name), { name });
  const cancelled = (...codes: string[]) =>
    new TransactionCanceledException({
      message: 'cancelled',
      $metadata: {},
      CancellationReasons: codes.map((Code) => ({ Code })),
    });
  const countIn = (in_: Store) => updateExisting<Counter, number>(in_, tally, (owned) => counted(owned, 'one'));

  it.each([
    ['a conflict with another transaction', cancelled('TransactionConflict', 'None')],
    ['throttling of one item', cancelled('None', 'ThrottlingError')],
    ['throttling by the capacity of the table', cancelled('ProvisionedThroughputExceeded', 'None')],
    ['a failed condition', cancelled('ConditionalCheckFailed', 'None')],
    ['a failed condition beside a conflict', cancelled('ConditionalCheckFailed', 'TransactionConflict')],
    ['throttling of the call', named('ThrottlingException')],
    ['too many requests', named('RequestLimitExceeded')],
    ['a transaction that is still in progress', named('TransactionInProgressException')],
    ['an internal error', named('InternalServerError')],
    ['no answer in time', named('TimeoutError')],
  ])('is asked again after %s', async (_, error) => {
    mock.on(TransactWriteCommand).rejectsOnce(error).rejectsOnce(error).resolves({});
    expect(await countIn(busy())).toEqual({ ok: true, value: 4 });
    expect(mock.commandCalls(TransactWriteCommand)).toHaveLength(3);
    expect(pauses).toEqual([2, 3]);
  });

  it.each([
    ['a conflict that does not end', cancelled('TransactionConflict')],
    ['a database that stays silent', named('TimeoutError')],
  ])('is given up after %s', async (_, error) => {
    mock.on(TransactWriteCommand).rejects(error);
    await expect(countIn(busy())).rejects.toThrow(ContentionError);
    expect(mock.commandCalls(TransactWriteCommand)).toHaveLength(attemptsMax);
  });

  it.each([
    ['a write that is not valid', cancelled('None', 'ValidationError')],
    ['one that is not valid beside a conflict', cancelled('TransactionConflict', 'ValidationError')],
    ['one that is not valid beside a failed condition', cancelled('ConditionalCheckFailed', 'ValidationError')],
    ['an item that is too large beside throttling', cancelled('ThrottlingError', 'ItemCollectionSizeLimitExceeded')],
    ['a reason that we do not know', cancelled('Unheard of')],
    ['no reason at all', cancelled()],
    ['a call that is not allowed', named('AccessDeniedException')],
    ['a call that makes no sense', named('ValidationException')],
    ['a table that is not there', named('ResourceNotFoundException')],
    ['an error that is ours', new RangeError('planted')],
  ])('is never asked again after %s', async (_, error) => {
    mock.on(TransactWriteCommand).rejects(error);
    await expect(countIn(busy())).rejects.toBe(error);
    expect(mock.commandCalls(TransactWriteCommand)).toHaveLength(1);
    expect(pauses).toEqual([]);
  });

  it('is read again when it was too busy to be read, and only then', async () => {
    mock.on(GetCommand).rejectsOnce(named('ThrottlingException')).resolves({ Item: item });
    mock.on(TransactWriteCommand).resolves({});
    expect(await countIn(busy())).toEqual({ ok: true, value: 4 });
    mock.on(GetCommand).rejects(named('AccessDeniedException'));
    await expect(countIn(busy())).rejects.toThrow('AccessDeniedException');
  });

  it.each([
    ['one item', GetCommand, () => get(busy(), tally)],
    ['many items', BatchGetCommand, () => getAll(busy(), [tally])],
    ['a page', QueryCommand, () => query(busy(), { partition: ['PK', 'KEY#tally'], limit: 1 })],
    ['what is put many at a time', BatchWriteCommand, () => putAll(busy(), [tally])],
  ] as const)('never shows its own error, but contention with that as its cause: %s', async (_, command, call) => {
    const error = named('ThrottlingException');
    mock.on(command as typeof GetCommand).rejects(error);
    await expect(call()).rejects.toMatchObject({ name: 'ContentionError', cause: error });
  });

  it('is asked for the rest of a batch that it did in part', async () => {
    const two = { PK: 'KEY#two', SK: 'KEY' };
    mock
      .on(BatchGetCommand)
      .resolvesOnce({
        Responses: { [store.tableName]: [two] },
        UnprocessedKeys: { [store.tableName]: { Keys: [tally] } },
      })
      .resolves({ Responses: { [store.tableName]: [item] } });
    expect(await getAll(busy(), [tally, two])).toEqual([item, two]);
    expect(mock.commandCalls(BatchGetCommand)[1]?.args[0].input.RequestItems?.[store.tableName]?.Keys).toEqual([tally]);

    const put = (key: ItemKey) => ({ PutRequest: { Item: { ...key, format: 1 } } });
    mock
      .on(BatchWriteCommand)
      .resolvesOnce({ UnprocessedItems: { [store.tableName]: [put(two)] } })
      .resolves({});
    await putAll(busy(), [item, two]);
    expect(mock.commandCalls(BatchWriteCommand).map(({ args }) => args[0].input.RequestItems)).toEqual([
      { [store.tableName]: [put(item), put(two)] },
      { [store.tableName]: [put(two)] },
    ]);
    expect(pauses).toEqual([2, 2]);
  });

  it('is not asked for the rest of a batch for ever', async () => {
    mock.on(BatchGetCommand).resolves({ UnprocessedKeys: { [store.tableName]: { Keys: [tally] } } });
    await expect(getAll(busy(), [tally])).rejects.toThrow(ContentionError);
    expect(mock.commandCalls(BatchGetCommand)).toHaveLength(attemptsMax);
    const [rest] = [{ PutRequest: { Item: tally } }];
    mock.on(BatchWriteCommand).resolves({ UnprocessedItems: { [store.tableName]: [rest] } });
    await expect(putAll(busy(), [tally])).rejects.toThrow(ContentionError);
    expect(mock.commandCalls(BatchWriteCommand)).toHaveLength(attemptsMax);
  });
});

describe('a call that hangs', () => {
  it('is broken off by an error, not only warned of', async () => {
    const client = createDocumentClient();
    const handler = client.config.requestHandler as unknown as { readonly configProvider: Promise<object> };
    expect(await handler.configProvider).toMatchObject({ requestTimeout: 3_000, throwOnRequestTimeout: true });
    client.destroy();
  });
});
