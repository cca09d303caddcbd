import type { Page, PageRequest } from './dynamodb/page.ts';
import { pageOf } from './dynamodb/page.ts';
import type { Item, Store } from './dynamodb/table.ts';
import { query } from './dynamodb/table.ts';
import type { LedgerEntry } from './dynamodb/versioned-item.ts';
import { ledgerEntryHash, ledgerEntrySortKey, ledgerPartition, readItem } from './dynamodb/versioned-item.ts';

/** Whose history it is: an agreement's, a key's or a request's. */
export type Owner = `AGREEMENT#${string}` | `KEY#${string}` | `EXCEPTION#${string}`;

/** The history of an agreement, a key or a request, oldest entry first (LED-1). */
export async function listLedgerEntries(
  store: Store,
  owner: Owner,
  { limit, after }: PageRequest,
): Promise<Page<LedgerEntry>> {
  const entries = await query(store, {
    partition: ['PK', ledgerPartition(owner)],
    sort: {
      name: 'SK',
      condition: '#sort BETWEEN :from AND :to',
      values: { ':from': ledgerEntrySortKey(Math.max(0, Math.trunc(Number(after)) || 0) + 1), ':to': 'ENTRY#~' },
    },
    limit: limit + 1,
  });
  // Entries are written by `writesOf` alone, which gives them this shape.
  return pageOf(entries as (Item & LedgerEntry)[], limit, ({ sequence }) => String(sequence));
}

/** What came of verifying a history: whole, or the first entry at which it is not, and what is wrong there. */
export type LedgerVerificationResult =
  | { readonly kind: 'intact'; readonly entries: number }
  | { readonly kind: 'broken'; readonly sequence: number; readonly because: string };

/** Finds whose history an id names: a key's, a request's or an agreement's; `undefined` when it is nobody's. */
export async function findOwner(store: Store, id: string): Promise<Owner | undefined> {
  for (const kind of ['EXCEPTION', 'KEY', 'AGREEMENT'] as const) {
    if ((await readItem<unknown>(store, { PK: `${kind}#${id}`, SK: kind })) !== undefined) return `${kind}#${id}`;
  }
  return undefined;
}

/**
 * Verifies the chain of a history (LED-2): every entry is there once and in order, carries the hash of the one before it,
 * and says what its own hash was made of; and the last one is the one that its owner remembers.
 */
export async function verifyLedger(store: Store, owner: Owner): Promise<LedgerVerificationResult> {
  const kind = owner.slice(0, owner.indexOf('#'));
  const ledgerHead = (await readItem<unknown>(store, { PK: owner, SK: kind }))?.ledgerHead;
  if (ledgerHead === undefined) throw new Error(`${owner} is not in the table.`);
  let previousHash = '';
  let sequence = 0;
  let after: string | null = null;
  do {
    const page: Page<LedgerEntry> = await listLedgerEntries(store, owner, { limit: 100, after });
    for (const entry of page.items) {
      sequence += 1;
      if (entry.sequence !== sequence) return brokenAt(sequence, 'It is missing.');
      if (entry.previousHash !== previousHash) {
        return brokenAt(sequence, 'It does not carry the hash of the entry before it.');
      }
      if (ledgerEntryHash(owner, entry) !== entry.hash)
        return brokenAt(sequence, 'What it says is not what its hash was made of.');
      previousHash = entry.hash;
    }
    after = page.next;
  } while (after !== null);
  if (sequence < ledgerHead.sequence) return brokenAt(sequence + 1, 'It is missing, though its owner remembers it.');
  if (sequence > ledgerHead.sequence) return brokenAt(ledgerHead.sequence + 1, 'Its owner does not know of it.');
  if (previousHash !== ledgerHead.hash) return brokenAt(sequence, 'Its owner remembers another hash of it.');
  return { kind: 'intact', entries: sequence };
}

function brokenAt(sequence: number, because: string): LedgerVerificationResult {
  return { kind: 'broken', sequence, because };
}
