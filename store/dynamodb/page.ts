/** One page of a list, and the position of its last entry if more entries follow. */
export type Page<Entry> = { readonly items: readonly Entry[]; readonly next: string | null };

/** The maximum number of entries of a page, and the position after which it starts; null for the first page. */
export type PageRequest = { readonly limit: number; readonly after: string | null };

/**
 * Returns a page of the entries read. The caller reads one entry more than `limit`, so that a full last page does not
 * announce another. A position names a place in the order, not an entry, so a cursor never expires.
 */
export function pageOf<Entry>(
  entriesRead: readonly Entry[],
  limit: number,
  positionOf: (entry: Entry) => string,
): Page<Entry> {
  const items = entriesRead.slice(0, limit);
  const last = items.at(-1);
  return { items, next: entriesRead.length > limit && last !== undefined ? positionOf(last) : null };
}

/**
 * Returns the position after which a page starts, within the range from `rangeStart` to `rangeEnd`. Returns the start
 * of the range for a position outside of it: a cursor comes from a client and can hold any text.
 */
export function startAfter(after: string | null, rangeStart: string, rangeEnd?: string): string {
  return after?.startsWith(rangeStart) && (rangeEnd === undefined || after < rangeEnd) ? after : rangeStart;
}

/** Returns a page of a list that is read completely. The position is the number of entries before the page. */
export function pageOfAll<Entry>(entries: readonly Entry[], { limit, after }: PageRequest): Page<Entry> {
  const start = Math.max(0, Math.trunc(Number(after)) || 0);
  const end = start + limit;
  return { items: entries.slice(start, end), next: end < entries.length ? String(end) : null };
}
