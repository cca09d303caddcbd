import type { Page, PageRequest } from './dynamodb/page.ts';
import { pageOf } from './dynamodb/page.ts';
import type { Item } from './dynamodb/table.ts';
import { query } from './dynamodb/table.ts';
import type { LedgerEntry } from './dynamodb/versioned-item.ts';
import { ledgerEntryHash, ledgerEntrySortKey, ledgerPartition, readItem } from './dynamodb/versioned-item.ts';
import type { Store } from './store.ts';

/** The owner of a ledger: an agreement, a key, or a request. */
export type Owner = `AGREEMENT#${string}` | `KEY#${string}` | `EXCEPTION#${string}`;

/** Returns a page of the ledger of an agreement, a key, or a request, oldest entry first (LED-1). */
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
  // Only `toWrites` writes entries, with these attributes.
  return pageOf(entries as (Item & LedgerEntry)[], limit, ({ sequence }) => String(sequence));
}

/** `intact`, or `broken` with the first entry that is wrong and the reason. */
export type LedgerVerificationResult =
  | { readonly kind: 'intact'; readonly entries: number }
  | { readonly kind: 'broken'; readonly sequence: number; readonly because: string };

/** Returns the owner with this ID: a request, a key, or an agreement. Returns `undefined` if there is none. */
export async function findOwner(store: Store, id: string): Promise<Owner | undefined> {
  for (const kind of ['EXCEPTION', 'KEY', 'AGREEMENT'] as const) {
    if ((await readItem<unknown>(store, { PK: `${kind}#${id}`, SK: kind })) !== undefined) return `${kind}#${id}`;
  }
  return undefined;
}

/**
 * Verifies the hash chain of a ledger (LED-2). Every entry exists once and in order, contains the hash of the previous
 * entry, and matches its own hash. The last entry is the ledger head that the owner stores.
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
        return brokenAt(sequence, 'It does not contain the hash of the previous entry.');
      }
      if (ledgerEntryHash(owner, entry) !== entry.hash)
        return brokenAt(sequence, 'Its content does not match its hash.');
      previousHash = entry.hash;
    }
    after = page.next;
  } while (after !== null);
  if (sequence < ledgerHead.sequence) return brokenAt(sequence + 1, 'It is missing, but its owner refers to it.');
  if (sequence > ledgerHead.sequence) return brokenAt(ledgerHead.sequence + 1, 'Its owner does not refer to it.');
  if (previousHash !== ledgerHead.hash) return brokenAt(sequence, 'Its owner stores a different hash of it.');
  return { kind: 'intact', entries: sequence };
}

function brokenAt(sequence: number, because: string): LedgerVerificationResult {
  return { kind: 'broken', sequence, because };
}
