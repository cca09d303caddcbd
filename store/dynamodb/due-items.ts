import type { Instant } from '../../domain/calendar/instant.ts';
import type { Page, PageRequest } from './page.ts';
import { pageOf } from './page.ts';
import type { DueKind } from './schema.ts';
import { dueKinds } from './schema.ts';
import type { Table } from './table.ts';
import { query } from './table.ts';

/** Returns the index keys of an item whose next action is due at this time; none if it has no next action. */
export function dueIndexKeys(kind: DueKind, at: Instant | null): Readonly<Record<string, string>> {
  return at === null ? {} : { nextActionKey: kind, nextActionAt: at };
}

/**
 * Returns a page of the IDs of the items that are due now, earliest first. Many items can be due at the same time, so a
 * cursor position contains both the time and the item.
 */
export async function listDueItems(
  table: Table,
  kind: DueKind,
  now: Instant,
  { limit, after }: PageRequest,
): Promise<Page<string>> {
  const dueItems = await query(table, {
    index: 'next-action',
    partition: ['nextActionKey', kind],
    sort: { name: 'nextActionAt', condition: '#sort <= :now', values: { ':now': now } },
    limit: limit + 1,
    ...(after === null ? {} : { startAfter: exclusiveStartKey(kind, after) }),
  });
  const page = pageOf(dueItems, limit, ({ PK, nextActionAt }) => `${nextActionAt} ${PK}`);
  return { items: page.items.map(({ PK }) => PK.slice(kind.length + 1)), next: page.next };
}

function exclusiveStartKey(kind: DueKind, position: string): Readonly<Record<string, string>> {
  const [nextActionAt = '', PK = ''] = position.split(' ');
  return { nextActionKey: kind, nextActionAt, PK, SK: kind };
}

/** Returns the time of the earliest next action of any item; null if there is none. */
export async function nextDueAt(table: Table): Promise<Instant | null> {
  const firstItems = await Promise.all(
    dueKinds.map((kind) => query(table, { index: 'next-action', partition: ['nextActionKey', kind], limit: 1 })),
  );
  const times = firstItems.flat().map((item) => item.nextActionAt as Instant);
  return times.toSorted()[0] ?? null;
}
