import { expect } from 'vitest';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Item, Store } from '../../store/dynamodb/table.ts';
import { readKey } from '../../store/keys.ts';
import { everyItem } from './dynamodb.ts';

/** What the items of a MAK say about its limit, each for itself. */
export type Account = {
  /** The sum of the grants. */
  readonly granted: number;
  /** The limit that the buckets count against. */
  readonly enforced: number;
  /** Places that are used, as the buckets count them, and how many machines are marked in them. */
  readonly used: number;
  readonly marked: number;
  /** Places that are free, in the buckets and in the reserve. */
  readonly free: number;
  readonly inReserve: number;
};

/** Adds up a MAK's items and expects the law that holds whatever happened: grants, limit and places are the same sum (KEY-8). */
export async function accountOf(store: Store, keyId: string): Promise<Account> {
  const items = await everyItem(store);
  const buckets = items.filter(({ PK, SK }) => PK.startsWith(`KEY#${keyId}#`) && SK === 'BUCKET');
  const reserve = items.find(({ PK, SK }) => PK === `KEY#${keyId}` && SK === 'RESERVE');
  const key = await readKey(store, keyId);
  if (reserve === undefined || key === undefined) throw new Error(`There is no MAK ${keyId}.`);
  const account = {
    granted: limitOf(key.state.grants),
    enforced: Number(reserve.limit),
    used: sum(buckets, ({ used }) => Number(used)),
    marked: sum(buckets, (bucket) => Object.keys(bucket).filter((name) => name.startsWith('+')).length),
    free: sum(buckets, ({ free }) => Number(free)),
    inReserve: Number(reserve.free),
  };
  const { granted, enforced, used, marked, free, inReserve } = account;
  expect({ enforced, places: used + free + inReserve, marked }).toEqual({
    enforced: granted,
    places: granted,
    marked: used,
  });
  for (const { free: places } of [...buckets, reserve]) expect(places).toBeGreaterThanOrEqual(0);
  return account;
}

function sum(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
