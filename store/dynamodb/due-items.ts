import type { Instant } from '../../domain/calendar/instant.ts';
import type { Page, PageRequest } from './page.ts';
import { pageOf } from './page.ts';
import type { Store } from './table.ts';
import { query } from './table.ts';

/** What time may have something to do with: each sort has a partition of its own in the index that the sweep reads. */
export const dueKinds = ['EXCEPTION', 'KEY', 'AGREEMENT', 'NOTIFICATION'] as const;
export type DueKind = (typeof dueKinds)[number];

/** The attributes by which the sweep finds an item at its time; none when time has nothing to do with it. */
export function dueIndexKeys(kind: DueKind, at: Instant | null): Readonly<Record<string, string>> {
  return at === null ? {} : { nextActionKey: kind, nextActionAt: at };
}

/** The ids of what is due by now, earliest first. Many are due at the same closing time, so a position names the item too. */
export async function listDueItems(
  store: Store,
  kind: DueKind,
  now: Instant,
  { limit, after }: PageRequest,
): Promise<Page<string>> {
  const dueItems = await query(store, {
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

/** When time has something to do next with anything; null when it has not. */
export async function nextDueAt(store: Store): Promise<Instant | null> {
  const firstItems = await Promise.all(
    dueKinds.map((kind) => query(store, { index: 'next-action', partition: ['nextActionKey', kind], limit: 1 })),
  );
  const times = firstItems.flat().map((item) => item.nextActionAt as Instant);
  return times.toSorted()[0] ?? null;
}
