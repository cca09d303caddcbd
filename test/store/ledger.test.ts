import { beforeEach, describe, expect, it } from 'vitest';
import { changeContacts } from '../../store/agreements.ts';
import type { Owner } from '../../store/ledger.ts';
import { findOwner, listLedgerEntries, verifyLedger } from '../../store/ledger.ts';
import type { Store } from '../../store/store.ts';
import { context, ines, jorge } from '../builders.ts';
import { tuesdayTen } from '../instants.ts';
import { readAllPages, startTestDynamoDb } from './dynamodb.ts';
import { createLedgers, entriesPerLedger, tamperings } from './ledger-fixture.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
let ledgers: Awaited<ReturnType<typeof createLedgers>>;
beforeEach(async () => {
  store = await dynamoDb.newStore();
  ledgers = await createLedgers(store);
});

const ownerKinds = ['agreement', 'key', 'request'] as const;

describe('an unmodified ledger', () => {
  it.each(ownerKinds)('LED-2 is intact for the %s', async (kind) => {
    expect(await verifyLedger(store, ledgers[kind].owner)).toEqual({ kind: 'intact', entries: entriesPerLedger });
  });

  it('LED-2 is intact if it is longer than one page', async () => {
    const { owner, id } = ledgers.agreement;
    const addedEntries = 100;
    for (let index = 0; index < addedEntries; index += 1) {
      await changeContacts(
        store,
        id,
        index % 2 === 0 ? [ines] : [ines, jorge],
        context({ actor: 'admin', operationId: `more ${index}`, now: tuesdayTen }),
      );
    }
    expect(await verifyLedger(store, owner)).toEqual({ kind: 'intact', entries: entriesPerLedger + addedEntries });
  });

  it('LED-1 is listed oldest first, page by page, each entry chained to the previous one', async () => {
    const entries = await readAllPages((page) => listLedgerEntries(store, ledgers.request.owner, page), 1);
    expect(entries.map(({ action }) => action)).toEqual(['received', 'approval-asked', 'approved', 'fulfilled']);
    expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect(entries.map(({ previousHash }) => previousHash)).toEqual([
      '',
      ...entries.slice(0, -1).map(({ hash }) => hash),
    ]);
    expect(new Set(entries.map(({ hash }) => hash)).size).toBe(entriesPerLedger);
  });
});

describe('a ledger that somebody tampered with', () => {
  describe.each(ownerKinds)('of the %s', (kind) => {
    it.each(tamperings)('LED-2 is broken at the first wrong entry when $name', async ({ apply, brokenAt, because }) => {
      const { owner } = ledgers[kind];
      await apply(store, owner, entriesPerLedger);
      expect(await verifyLedger(store, owner)).toEqual({
        kind: 'broken',
        sequence: brokenAt(entriesPerLedger),
        because,
      });
      // The other ledgers are still intact.
      for (const other of ownerKinds.filter((each) => each !== kind))
        expect(await verifyLedger(store, ledgers[other].owner)).toMatchObject({ kind: 'intact' });
    });
  });
});

describe('the owner of a ledger', () => {
  it.each(ownerKinds)('LED-2 is found by the ID of the %s', async (kind) => {
    expect(await findOwner(store, ledgers[kind].id)).toBe(ledgers[kind].owner);
  });

  it('LED-2 is undefined for an unknown ID, and verifying a ledger without an owner throws', async () => {
    expect(await findOwner(store, 'nobody')).toBeUndefined();
    const unknownOwner: Owner = 'KEY#nobody';
    await expect(verifyLedger(store, unknownOwner)).rejects.toThrow('KEY#nobody is not in the table.');
  });
});
