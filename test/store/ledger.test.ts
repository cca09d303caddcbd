import { beforeEach, describe, expect, it } from 'vitest';
import { changeContacts } from '../../store/agreements.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import type { Owner } from '../../store/ledger.ts';
import { findOwner, listLedgerEntries, verifyLedger } from '../../store/ledger.ts';
import { context, ines, jorge } from '../builders.ts';
import { tuesdayTen } from '../instants.ts';
import { readAllPages, startTestDynamoDb } from './dynamodb.ts';
import { createLedgers, entriesPerLedger, tamperings } from './ledger-fixture.ts';

const engine = await startTestDynamoDb();
let store: Store;
let histories: Awaited<ReturnType<typeof createLedgers>>;
beforeEach(async () => {
  store = await engine.newStore();
  histories = await createLedgers(store);
});

const whose = ['agreement', 'key', 'request'] as const;

describe('a history that was left alone', () => {
  it.each(whose)('LED-2 is whole for the %s', async (which) => {
    expect(await verifyLedger(store, histories[which].owner)).toEqual({ kind: 'intact', entries: entriesPerLedger });
  });

  it('LED-2 is whole when it is longer than one page of it', async () => {
    const { owner, id } = histories.agreement;
    const more = 100;
    for (let index = 0; index < more; index += 1) {
      await changeContacts(
        store,
        id,
        index % 2 === 0 ? [ines] : [ines, jorge],
        context({ actor: 'admin', operationId: `more ${index}`, now: tuesdayTen }),
      );
    }
    expect(await verifyLedger(store, owner)).toEqual({ kind: 'intact', entries: entriesPerLedger + more });
  });

  it('LED-1 is read oldest first, page by page, each entry chained to the one before', async () => {
    const entries = await readAllPages((ask) => listLedgerEntries(store, histories.request.owner, ask), 1);
    expect(entries.map(({ action }) => action)).toEqual(['received', 'approval-asked', 'approved', 'fulfilled']);
    expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect(entries.map(({ previousHash }) => previousHash)).toEqual([
      '',
      ...entries.slice(0, -1).map(({ hash }) => hash),
    ]);
    expect(new Set(entries.map(({ hash }) => hash)).size).toBe(entriesPerLedger);
  });
});

describe('a history that somebody meddled with', () => {
  describe.each(whose)('of the %s', (which) => {
    it.each(tamperings)(
      'LED-2 is broken, and where, when $named',
      async ({ apply: inflict, brokenAt: at, because }) => {
        const { owner } = histories[which];
        await inflict(store, owner, entriesPerLedger);
        expect(await verifyLedger(store, owner)).toEqual({ kind: 'broken', sequence: at(entriesPerLedger), because });
        // The others are not touched by it.
        for (const other of whose.filter((each) => each !== which))
          expect(await verifyLedger(store, histories[other].owner)).toMatchObject({ kind: 'intact' });
      },
    );
  });
});

describe('an id', () => {
  it.each(whose)('LED-2 names the history of the %s', async (which) => {
    expect(await findOwner(store, histories[which].id)).toBe(histories[which].owner);
  });

  it('LED-2 that is nobody’s names none, and verifying what is not there is a fault', async () => {
    expect(await findOwner(store, 'nobody')).toBeUndefined();
    const nobody: Owner = 'KEY#nobody';
    await expect(verifyLedger(store, nobody)).rejects.toThrow('KEY#nobody is not in the table.');
  });
});
