import type { Entry } from './change.ts';
import { entryKey } from './change.ts';
import type { Page, PageAsk } from './page.ts';
import { pageOf } from './page.ts';
import type { Store } from './table.ts';
import { query } from './table.ts';

/** The history of an agreement, a key or a request, oldest entry first (LED-1). */
export async function historyOf(
  store: Store,
  owner: `AGREEMENT#${string}` | `KEY#${string}` | `EXCEPTION#${string}`,
  { limit, after }: PageAsk,
): Promise<Page<Entry>> {
  const found = await query(store, {
    partition: ['PK', owner],
    sort: {
      name: 'SK',
      condition: '#sort BETWEEN :from AND :to',
      values: { ':from': entryKey(Math.max(0, Number(after) || 0) + 1), ':to': 'ENTRY#~' },
    },
    limit: limit + 1,
  });
  // Entries are written by `writesOf` alone, which gives them this shape.
  return pageOf(found as unknown as readonly Entry[], limit, ({ sequence }) => String(sequence));
}
