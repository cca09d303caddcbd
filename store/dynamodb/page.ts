/** One page of a list, and the position of its last entry when there are more after it. */
export type Page<Entry> = { readonly items: readonly Entry[]; readonly next: string | null };

/** Which page is asked for: how many entries at most, and the position after which it begins; null for the first. */
export type PageRequest = { readonly limit: number; readonly after: string | null };

/**
 * Makes a page out of what was read from a position on: one more than asked for was read, so that a full last page does
 * not promise another. A position names only the place in the order, so it is good for as long as the list.
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
 * The position to begin after, within the part of the order from `begin` to `end`; what is outside is no place in it. A
 * cursor is only a position written otherwise, so anything at all may come back as one.
 */
export function startAfter(after: string | null, rangeStart: string, rangeEnd?: string): string {
  return after?.startsWith(rangeStart) && (rangeEnd === undefined || after < rangeEnd) ? after : rangeStart;
}

/** A page of a list that is read whole anyway: the position is the count of what came before. */
export function pageOfAll<Entry>(entries: readonly Entry[], { limit, after }: PageRequest): Page<Entry> {
  const start = Math.max(0, Math.trunc(Number(after)) || 0);
  const end = start + limit;
  return { items: entries.slice(start, end), next: end < entries.length ? String(end) : null };
}
