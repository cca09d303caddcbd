import type { Instant } from '../../domain/calendar/instant.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import type { KeptKey } from '../../store/keys.ts';
import { usedOn } from '../../store/keys.ts';
import { keyView } from './views.ts';

/** A key as callers see it, with what is used of it now (KEY-7). */
export async function keyAnswer(store: Store, key: KeptKey, now: Instant) {
  return keyView(key.state, await usedOn(store, key), now, store.policy);
}
