import type { Page, PageAsk } from './dynamodb/page.ts';
import { pageOf } from './dynamodb/page.ts';
import type { Item, Store } from './dynamodb/table.ts';
import { query } from './dynamodb/table.ts';
import type { Entry } from './dynamodb/versioned-item.ts';
import { entryHash, entryKey, ledgerPartition, read } from './dynamodb/versioned-item.ts';

/** Whose history it is: an agreement's, a key's or a request's. */
export type Owner = `AGREEMENT#${string}` | `KEY#${string}` | `EXCEPTION#${string}`;

/** The history of an agreement, a key or a request, oldest entry first (LED-1). */
export async function historyOf(store: Store, owner: Owner, { limit, after }: PageAsk): Promise<Page<Entry>> {
  const found = await query(store, {
    partition: ['PK', ledgerPartition(owner)],
    sort: {
      name: 'SK',
      condition: '#sort BETWEEN :from AND :to',
      values: { ':from': entryKey(Math.max(0, Math.trunc(Number(after)) || 0) + 1), ':to': 'ENTRY#~' },
    },
    limit: limit + 1,
  });
  // Entries are written by `writesOf` alone, which gives them this shape.
  return pageOf(found as (Item & Entry)[], limit, ({ sequence }) => String(sequence));
}

/** What came of verifying a history: whole, or the first entry at which it is not, and what is wrong there. */
export type Verified =
  | { readonly is: 'whole'; readonly entries: number }
  | { readonly is: 'broken'; readonly sequence: number; readonly because: string };

/** Finds whose history an id names: a key's, a request's or an agreement's; `undefined` when it is nobody's. */
export async function ownerOf(store: Store, id: string): Promise<Owner | undefined> {
  for (const kind of ['EXCEPTION', 'KEY', 'AGREEMENT'] as const) {
    if ((await read<unknown>(store, { PK: `${kind}#${id}`, SK: kind })) !== undefined) return `${kind}#${id}`;
  }
  return undefined;
}

/**
 * Verifies the chain of a history (LED-2): every entry is there once and in order, carries the hash of the one before it,
 * and says what its own hash was made of; and the last one is the one that its owner remembers.
 */
export async function verifyHistory(store: Store, owner: Owner): Promise<Verified> {
  const kind = owner.slice(0, owner.indexOf('#'));
  const head = (await read<unknown>(store, { PK: owner, SK: kind }))?.head;
  if (head === undefined) throw new Error(`${owner} is not in the table.`);
  let previousHash = '';
  let sequence = 0;
  let after: string | null = null;
  do {
    const page: Page<Entry> = await historyOf(store, owner, { limit: 100, after });
    for (const entry of page.items) {
      sequence += 1;
      if (entry.sequence !== sequence) return broken(sequence, 'It is missing.');
      if (entry.previousHash !== previousHash) {
        return broken(sequence, 'It does not carry the hash of the entry before it.');
      }
      if (entryHash(owner, entry) !== entry.hash)
        return broken(sequence, 'What it says is not what its hash was made of.');
      previousHash = entry.hash;
    }
    after = page.next;
  } while (after !== null);
  if (sequence < head.sequence) return broken(sequence + 1, 'It is missing, though its owner remembers it.');
  if (sequence > head.sequence) return broken(head.sequence + 1, 'Its owner does not know of it.');
  if (previousHash !== head.hash) return broken(sequence, 'Its owner remembers another hash of it.');
  return { is: 'whole', entries: sequence };
}

function broken(sequence: number, because: string): Verified {
  return { is: 'broken', sequence, because };
}
