import { expect } from 'vitest';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Item } from '../../store/dynamodb/table.ts';
import { readKey } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import { scanAllItems } from './dynamodb.ts';

/** The totals of a MAK, each read from its own items. */
export type MakTotals = {
  /** The sum of the grants. */
  readonly granted: number;
  /** The limit of the reserve. */
  readonly enforced: number;
  /** The used slots that the buckets count, and the activation records in them. */
  readonly used: number;
  readonly activations: number;
  /** The available slots in the buckets and in the reserve. */
  readonly available: number;
  readonly inReserve: number;
};

/** Adds up the items of a MAK, and expects the invariant: the sums of grants, limit, and slots are equal (KEY-8). */
export async function expectMakTotals(store: Store, keyId: string): Promise<MakTotals> {
  const items = await scanAllItems(store);
  const buckets = items.filter(({ PK, SK }) => PK.startsWith(`KEY#${keyId}#`) && SK === 'BUCKET');
  const reserve = items.find(({ PK, SK }) => PK === `KEY#${keyId}` && SK === 'RESERVE');
  const key = await readKey(store, keyId);
  if (reserve === undefined || key === undefined) throw new Error(`There is no MAK ${keyId}.`);
  const totals = {
    granted: limitOf(key.value.grants),
    enforced: Number(reserve.limit),
    used: sum(buckets, ({ used }) => Number(used)),
    activations: sum(buckets, (bucket) => Object.keys(bucket).filter((name) => name.startsWith('+')).length),
    available: sum(buckets, ({ available }) => Number(available)),
    inReserve: Number(reserve.available),
  };
  const { granted, enforced, used, activations, available, inReserve } = totals;
  expect({ enforced, slots: used + available + inReserve, activations }).toEqual({
    enforced: granted,
    slots: granted,
    activations: used,
  });
  for (const { available } of [...buckets, reserve]) expect(available).toBeGreaterThanOrEqual(0);
  return totals;
}

function sum(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
