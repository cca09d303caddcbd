import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { askCorrespondent, decide } from '../../domain/exceptions/request.ts';
import { changeContacts, registerAgreement } from '../../store/agreements.ts';
import type { Item, Store } from '../../store/dynamodb/table.ts';
import { get } from '../../store/dynamodb/table.ts';
import type { Entry } from '../../store/dynamodb/versioned-item.ts';
import { entryHash, entryKey, ledgerPartition } from '../../store/dynamodb/versioned-item.ts';
import { fulfilException, moveException, receiveException } from '../../store/exceptions.ts';
import { issueMak, revealKey } from '../../store/keys.ts';
import type { Owner } from '../../store/ledger.ts';
import { accepted, anAgreement, anIntake, carla, context, ines, productKey, tom } from '../builders.ts';
import { mondayNine, mondayNoon, mondayTen, tuesdayTen } from '../instants.ts';

// Histories as the store writes them, and what somebody who may write the table could do to one.

/** An agreement, a key and a request of it, each with a history of four entries: whose they are, and their ids. */
export async function threeHistories(
  store: Store,
): Promise<Readonly<Record<'agreement' | 'key' | 'request', { readonly owner: Owner; readonly id: string }>>> {
  const agreement = anAgreement();
  const { agreementId } = agreement;
  let drawn = 100;
  const draw = () => productKey(++drawn);
  accepted(
    await registerAgreement(
      store,
      agreement,
      draw,
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  for (const [index, contacts] of [[ines], [ines, carla], [ines, tom]].entries())
    await changeContacts(
      store,
      agreementId,
      contacts,
      context({ actor: 'admin', operationId: `contacts ${index}`, now: mondayTen }),
    );

  const { keyId, lastFive } = accepted(
    await issueMak(
      store,
      agreement,
      { productGroup: 'client', drawKey: draw },
      context({ actor: ines.email, operationId: 'issue', now: mondayTen }),
    ),
  ).answer;
  await revealKey(store, keyId, context({ actor: ines.email, operationId: 'reveal', now: mondayTen }));
  await revealKey(store, keyId, context({ actor: tom.email, operationId: 'reveal again', now: mondayNoon }));

  const id = 'X-1';
  const sender = { maySpeakFor: () => true };
  accepted(
    await receiveException(
      store,
      { exceptionId: id, intake: anIntake({ keyLastFive: lastFive }) },
      sender,
      context({ operationId: 'receive', now: mondayTen }),
    ),
  );
  await moveException(
    store,
    id,
    (request) => askCorrespondent(request, context({ now: mondayNoon, policy: store.policy })),
    { operationId: 'ask', now: mondayNoon },
  );
  const choice = { decision: 'approve', comment: null } as const;
  await moveException(
    store,
    id,
    (request) =>
      decide(request, request.asks, choice, context({ actor: carla.email, now: tuesdayTen, policy: store.policy })),
    { operationId: 'decide', now: tuesdayTen },
  );
  // The grant is the fourth entry of the request and of the key.
  accepted((await fulfilException(store, id, tuesdayTen)) ?? missing(id));
  return {
    agreement: { owner: `AGREEMENT#${agreementId}`, id: agreementId },
    key: { owner: `KEY#${keyId}`, id: keyId },
    request: { owner: `EXCEPTION#${id}`, id },
  };
}

function missing(id: string): never {
  throw new Error(`There is no request ${id}.`);
}

export const entriesOfEach = 4;

type Kept = Item & Entry;

async function entryAt(store: Store, owner: Owner, sequence: number): Promise<Kept> {
  const found = await get(store, { PK: ledgerPartition(owner), SK: entryKey(sequence) });
  if (found === undefined) throw new Error(`${owner} has no entry ${sequence}.`);
  return found as Kept;
}

async function put({ client, tableName }: Store, item: Item): Promise<void> {
  await client.send(new PutCommand({ TableName: tableName, Item: item }));
}

async function remove({ client, tableName }: Store, owner: Owner, sequence: number): Promise<void> {
  await client.send(
    new DeleteCommand({ TableName: tableName, Key: { PK: ledgerPartition(owner), SK: entryKey(sequence) } }),
  );
}

const hashed = (owner: Owner, entry: Kept): Kept => ({ ...entry, hash: entryHash(owner, entry) });

/** A way to break a history of so many entries, the entry that is then named, and what is said of it. */
export type Break = {
  readonly named: string;
  readonly inflict: (store: Store, owner: Owner, last: number) => Promise<void>;
  readonly at: (last: number) => number;
  readonly because: string;
};

export const breaks: readonly Break[] = [
  ...(['actor', 'action', 'detail', 'reference', 'at'] as const).map(
    (member): Break => ({
      named: `the ${member} of an entry was changed`,
      inflict: async (store, owner) => {
        const entry = await entryAt(store, owner, 2);
        const other = member === 'at' ? '2026-01-01T00:00:00.000Z' : `${entry[member]}.`;
        await put(store, { ...entry, [member]: other });
      },
      at: () => 2,
      because: 'What it says is not what its hash was made of.',
    }),
  ),
  {
    named: 'an entry was changed and its own hash made anew',
    inflict: async (store, owner) => {
      const entry = await entryAt(store, owner, 2);
      await put(store, hashed(owner, { ...entry, actor: 'somebody.else@alder.example' }));
    },
    at: () => 3,
    because: 'It does not carry the hash of the entry before it.',
  },
  {
    named: 'every hash was made anew from a changed entry on, so that only the owner tells',
    inflict: async (store, owner, last) => {
      let previousHash = '';
      for (let sequence = 1; sequence <= last; sequence += 1) {
        const entry = await entryAt(store, owner, sequence);
        const actor = sequence === 2 ? 'somebody.else@alder.example' : entry.actor;
        const written = hashed(owner, { ...entry, actor, previousHash });
        await put(store, written);
        previousHash = written.hash;
      }
    },
    at: (last) => last,
    because: 'Its owner remembers another hash of it.',
  },
  {
    named: 'the first entry was removed',
    inflict: (store, owner) => remove(store, owner, 1),
    at: () => 1,
    because: 'It is missing.',
  },
  {
    named: 'an entry in the middle was removed',
    inflict: (store, owner) => remove(store, owner, 2),
    at: () => 2,
    because: 'It is missing.',
  },
  {
    named: 'the last entry was removed',
    inflict: (store, owner, last) => remove(store, owner, last),
    at: (last) => last,
    because: 'It is missing, though its owner remembers it.',
  },
  {
    named: 'all entries were removed',
    inflict: async (store, owner, last) => {
      for (let sequence = 1; sequence <= last; sequence += 1) await remove(store, owner, sequence);
    },
    at: () => 1,
    because: 'It is missing, though its owner remembers it.',
  },
  {
    named: 'an entry was put in at the end, chained as it should be',
    inflict: async (store, owner, last) => {
      const { hash, ...entry } = await entryAt(store, owner, last);
      const sequence = last + 1;
      const forged = { ...entry, SK: entryKey(sequence), sequence, previousHash: hash, hash: '' };
      await put(store, hashed(owner, forged));
    },
    at: (last) => last + 1,
    because: 'Its owner does not know of it.',
  },
  {
    named: 'two entries changed their places, numbers and all',
    inflict: async (store, owner) => {
      const [second, third] = [await entryAt(store, owner, 2), await entryAt(store, owner, 3)];
      await put(store, { ...third, SK: second.SK, sequence: second.sequence });
      await put(store, { ...second, SK: third.SK, sequence: third.sequence });
    },
    at: () => 2,
    because: 'It does not carry the hash of the entry before it.',
  },
  {
    named: 'two entries changed their places, and not their numbers',
    inflict: async (store, owner) => {
      const [second, third] = [await entryAt(store, owner, 2), await entryAt(store, owner, 3)];
      await put(store, { ...third, SK: second.SK });
      await put(store, { ...second, SK: third.SK });
    },
    at: () => 2,
    because: 'It is missing.',
  },
];
