import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { recordDecision, requestApproval } from '../../domain/exceptions/approval.ts';
import { changeContacts, registerAgreement } from '../../store/agreements.ts';
import type { Item } from '../../store/dynamodb/table.ts';
import { get } from '../../store/dynamodb/table.ts';
import type { LedgerEntry } from '../../store/dynamodb/versioned-item.ts';
import { ledgerEntryHash, ledgerEntrySortKey, ledgerPartition } from '../../store/dynamodb/versioned-item.ts';
import { createException, fulfillException, transitionException } from '../../store/exceptions.ts';
import { issueMak, revealKey } from '../../store/keys.ts';
import type { Owner } from '../../store/ledger.ts';
import type { Store } from '../../store/store.ts';
import { anAgreement, aRequestForm, context, expectAccepted, ines, jorge, noor, productKey } from '../builders.ts';
import { mondayNine, mondayNoon, mondayTen, tuesdayTen } from '../instants.ts';

// Ledgers written by the store, and ways in which somebody with write access to the table could tamper with one.

/** Creates an agreement, a key, and a request, each with a ledger of four entries. Returns their owners and IDs. */
export async function createLedgers(
  store: Store,
): Promise<Readonly<Record<'agreement' | 'key' | 'request', { readonly owner: Owner; readonly id: string }>>> {
  const agreement = anAgreement();
  const { agreementId } = agreement;
  let drawCount = 100;
  const draw = () => productKey(++drawCount);
  expectAccepted(
    await registerAgreement(
      store,
      agreement,
      draw,
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  for (const [index, contacts] of [[ines], [ines, noor], [ines, jorge]].entries())
    await changeContacts(
      store,
      agreementId,
      contacts,
      context({ actor: 'admin', operationId: `contacts ${index}`, now: mondayTen }),
    );

  const { keyId, lastFive } = expectAccepted(
    await issueMak(
      store,
      agreement,
      { productGroup: 'client', drawKey: draw },
      context({ actor: ines.email, operationId: 'issue', now: mondayTen }),
    ),
  ).value;
  await revealKey(store, keyId, context({ actor: ines.email, operationId: 'reveal', now: mondayTen }));
  await revealKey(store, keyId, context({ actor: jorge.email, operationId: 'reveal again', now: mondayNoon }));

  const id = 'X-1';
  const sender = { maySpeakFor: () => true };
  expectAccepted(
    await createException(
      store,
      { exceptionId: id, form: aRequestForm({ keyLastFive: lastFive }) },
      sender,
      context({ operationId: 'receive', now: mondayTen }),
    ),
  );
  await transitionException(
    store,
    id,
    (request) => requestApproval(request, context({ now: mondayNoon, policy: store.policy })),
    { operationId: 'ask', now: mondayNoon },
  );
  const decision = { decision: 'approve', comment: null } as const;
  await transitionException(
    store,
    id,
    (request) =>
      recordDecision(
        request,
        request.rounds,
        decision,
        context({ actor: noor.email, now: tuesdayTen, policy: store.policy }),
      ),
    { operationId: 'decide', now: tuesdayTen },
  );
  // The grant is the fourth entry of the request and of the key.
  expectAccepted((await fulfillException(store, id, tuesdayTen)) ?? throwMissing(id));
  return {
    agreement: { owner: `AGREEMENT#${agreementId}`, id: agreementId },
    key: { owner: `KEY#${keyId}`, id: keyId },
    request: { owner: `EXCEPTION#${id}`, id },
  };
}

function throwMissing(id: string): never {
  throw new Error(`There is no request ${id}.`);
}

export const entriesPerLedger = 4;

type StoredEntry = Item & LedgerEntry;

async function entryAt(store: Store, owner: Owner, sequence: number): Promise<StoredEntry> {
  const entry = await get(store, { PK: ledgerPartition(owner), SK: ledgerEntrySortKey(sequence) });
  if (entry === undefined) throw new Error(`${owner} has no entry ${sequence}.`);
  return entry as StoredEntry;
}

async function putItem({ client, tableName }: Store, item: Item): Promise<void> {
  await client.send(new PutCommand({ TableName: tableName, Item: item }));
}

async function removeEntry({ client, tableName }: Store, owner: Owner, sequence: number): Promise<void> {
  await client.send(
    new DeleteCommand({ TableName: tableName, Key: { PK: ledgerPartition(owner), SK: ledgerEntrySortKey(sequence) } }),
  );
}

const withHash = (owner: Owner, entry: StoredEntry): StoredEntry => ({ ...entry, hash: ledgerEntryHash(owner, entry) });

/** A way to tamper with a ledger of `last` entries, the entry that is then reported as broken, and the reason. */
export type Tampering = {
  readonly name: string;
  readonly apply: (store: Store, owner: Owner, last: number) => Promise<void>;
  readonly brokenAt: (last: number) => number;
  readonly because: string;
};

export const tamperings: readonly Tampering[] = [
  ...(['actor', 'action', 'detail', 'reference', 'at'] as const).map(
    (member): Tampering => ({
      name: `the ${member} of an entry was changed`,
      apply: async (store, owner) => {
        const entry = await entryAt(store, owner, 2);
        const other = member === 'at' ? '2026-01-01T00:00:00.000Z' : `${entry[member]}.`;
        await putItem(store, { ...entry, [member]: other });
      },
      brokenAt: () => 2,
      because: 'Its content does not match its hash.',
    }),
  ),
  {
    name: 'an entry was changed and its hash recomputed',
    apply: async (store, owner) => {
      const entry = await entryAt(store, owner, 2);
      await putItem(store, withHash(owner, { ...entry, actor: 'somebody.else@alder.example' }));
    },
    brokenAt: () => 3,
    because: 'It does not contain the hash of the previous entry.',
  },
  {
    name: 'all hashes from a changed entry on were recomputed, so that only the ledger head differs',
    apply: async (store, owner, last) => {
      let previousHash = '';
      for (let sequence = 1; sequence <= last; sequence += 1) {
        const entry = await entryAt(store, owner, sequence);
        const actor = sequence === 2 ? 'somebody.else@alder.example' : entry.actor;
        const rehashed = withHash(owner, { ...entry, actor, previousHash });
        await putItem(store, rehashed);
        previousHash = rehashed.hash;
      }
    },
    brokenAt: (last) => last,
    because: 'Its owner stores a different hash of it.',
  },
  {
    name: 'the first entry was removed',
    apply: (store, owner) => removeEntry(store, owner, 1),
    brokenAt: () => 1,
    because: 'It is missing.',
  },
  {
    name: 'an entry in the middle was removed',
    apply: (store, owner) => removeEntry(store, owner, 2),
    brokenAt: () => 2,
    because: 'It is missing.',
  },
  {
    name: 'the last entry was removed',
    apply: (store, owner, last) => removeEntry(store, owner, last),
    brokenAt: (last) => last,
    because: 'It is missing, but its owner refers to it.',
  },
  {
    name: 'all entries were removed',
    apply: async (store, owner, last) => {
      for (let sequence = 1; sequence <= last; sequence += 1) await removeEntry(store, owner, sequence);
    },
    brokenAt: () => 1,
    because: 'It is missing, but its owner refers to it.',
  },
  {
    name: 'an entry was appended with a correct hash',
    apply: async (store, owner, last) => {
      const { hash, ...entry } = await entryAt(store, owner, last);
      const sequence = last + 1;
      const forged = { ...entry, SK: ledgerEntrySortKey(sequence), sequence, previousHash: hash, hash: '' };
      await putItem(store, withHash(owner, forged));
    },
    brokenAt: (last) => last + 1,
    because: 'Its owner does not refer to it.',
  },
  {
    name: 'two entries were swapped with their sequence numbers',
    apply: async (store, owner) => {
      const [second, third] = [await entryAt(store, owner, 2), await entryAt(store, owner, 3)];
      await putItem(store, { ...third, SK: second.SK, sequence: second.sequence });
      await putItem(store, { ...second, SK: third.SK, sequence: third.sequence });
    },
    brokenAt: () => 2,
    because: 'It does not contain the hash of the previous entry.',
  },
  {
    name: 'two entries were swapped without their sequence numbers',
    apply: async (store, owner) => {
      const [second, third] = [await entryAt(store, owner, 2), await entryAt(store, owner, 3)];
      await putItem(store, { ...third, SK: second.SK });
      await putItem(store, { ...second, SK: third.SK });
    },
    brokenAt: () => 2,
    because: 'It is missing.',
  },
];
