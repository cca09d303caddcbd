import type { Agreement } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Decided } from '../../domain/refusal.ts';
import { findAgreement } from '../../store/agreements.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import type { KeptKey } from '../../store/keys.ts';
import { readKey } from '../../store/keys.ts';
import type { Who } from '../manifest.ts';
import type { Caller } from './caller.ts';
import { accessTo, forbidden } from './caller.ts';
import { notFound } from './handler.ts';

type Asking = { readonly caller: Caller; readonly who: readonly Who[]; readonly now: Instant };

/**
 * The agreement with this id, if the caller may do here what the route does. One that the caller may not see answers as
 * one that is not there (AGR-3). `what` is what the caller asked for, in the refusal's words.
 */
export async function agreementFor(
  store: Store,
  agreementId: string,
  { caller, who, now }: Asking,
  what = 'agreement',
): Promise<Decided<{ readonly agreement: Agreement }>> {
  const agreement = await findAgreement(store, agreementId);
  const access = agreement === undefined ? 'hidden' : accessTo(agreement, caller, who, now);
  if (agreement === undefined || access === 'hidden') return notFound(what);
  return access === 'open' ? { ok: true, agreement } : forbidden(who);
}

/** The key with this id and its agreement, if the caller may do here what the route does (AGR-3). */
export async function keyFor(
  store: Store,
  keyId: string,
  asking: Asking,
): Promise<Decided<{ readonly key: KeptKey; readonly agreement: Agreement }>> {
  const key = await readKey(store, keyId);
  if (key === undefined) return notFound('key');
  const found = await agreementFor(store, key.state.agreementId, asking, 'key');
  return found.ok ? { ok: true, key, agreement: found.agreement } : found;
}
