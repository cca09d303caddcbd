/** One page of a list and where the next one begins; null when there is none. */
export type Page<Entry> = { readonly items: readonly Entry[]; readonly nextCursor: string | null };

/** Which page is asked for: how many at most, and the cursor that the page before gave. */
export type PageAsk = { readonly limit: number; readonly cursor: string | null };

/**
 * Makes a page out of what was read from a position on: one more than asked for was read, so that a full last page does
 * not promise another. A cursor names only the position after which to go on, so it is good for as long as the list.
 */
export function pageOf<Entry>(
  found: readonly Entry[],
  limit: number,
  positionOf: (entry: Entry) => string,
): Page<Entry> {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: found.length > limit && last !== undefined ? cursorAt(positionOf(last)) : null };
}

/** Writes a position as a cursor: opaque to the caller, who has no business with our sort keys. */
export function cursorAt(position: string): string {
  return Buffer.from(position, 'utf8').toString('base64url');
}

/** Reads a cursor back; one that we did not make is simply a position that nothing has. */
export function positionOf(cursor: string): string {
  return Buffer.from(cursor, 'base64url').toString('utf8');
}
