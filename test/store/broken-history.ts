import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import type { Entry } from '../../store/change.ts';
import { entryHash, entryKey } from '../../store/change.ts';
import type { Owner } from '../../store/history.ts';
import type { Item, Store } from '../../store/table.ts';
import { get } from '../../store/table.ts';

// What somebody who may write the table could do to a history. The entries of the one that it is done to are at least four.

type Kept = Item & Entry;

async function entryAt(store: Store, owner: Owner, sequence: number): Promise<Kept> {
  const found = await get(store, { PK: owner, SK: entryKey(sequence) });
  if (found === undefined) throw new Error(`${owner} has no entry ${sequence}.`);
  return found as Kept;
}

async function put({ client, tableName }: Store, item: Item): Promise<void> {
  await client.send(new PutCommand({ TableName: tableName, Item: item }));
}

async function remove({ client, tableName }: Store, owner: Owner, sequence: number): Promise<void> {
  await client.send(new DeleteCommand({ TableName: tableName, Key: { PK: owner, SK: entryKey(sequence) } }));
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
