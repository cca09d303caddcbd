import type { Instant } from '../../domain/calendar/instant.ts';
import type { KeyRecord } from '../../store/keys.ts';
import { countUsed } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import { keyView } from './views.ts';

/** A key as callers see it, with what is used of it now (KEY-7). */
export async function loadKeyView(store: Store, key: KeyRecord, now: Instant) {
  return keyView(key.value, await countUsed(store, key), now, store.policy);
}
