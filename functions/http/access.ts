import type { Agreement } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Result } from '../../domain/refusal.ts';
import { findAgreement } from '../../store/agreements.ts';
import type { KeyRecord } from '../../store/keys.ts';
import { readKey } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import type { Audience } from '../manifest.ts';
import type { Caller } from './caller.ts';
import { accessTo, refuseForbidden } from './caller.ts';
import { notFound } from './response.ts';

type AccessContext = { readonly caller: Caller; readonly audience: readonly Audience[]; readonly now: Instant };

/**
 * The agreement with this id, if the caller may do here what the route does. One that the caller may not see answers as
 * one that is not there (AGR-3). `what` is what the caller asked for, in the refusal's words.
 */
export async function loadAgreementFor(
  store: Store,
  agreementId: string,
  { caller, audience, now }: AccessContext,
  what = 'agreement',
): Promise<Result<{ readonly agreement: Agreement }>> {
  const agreement = await findAgreement(store, agreementId);
  const access = agreement === undefined ? 'hidden' : accessTo(agreement, caller, audience, now);
  if (agreement === undefined || access === 'hidden') return notFound(what);
  return access === 'open' ? { ok: true, agreement } : refuseForbidden(audience);
}

/** The key with this id and its agreement, if the caller may do here what the route does (AGR-3). */
export async function loadKeyFor(
  store: Store,
  keyId: string,
  accessContext: AccessContext,
): Promise<Result<{ readonly key: KeyRecord; readonly agreement: Agreement }>> {
  const key = await readKey(store, keyId);
  if (key === undefined) return notFound('key');
  const result = await loadAgreementFor(store, key.value.agreementId, accessContext, 'key');
  return result.ok ? { ok: true, key, agreement: result.agreement } : result;
}
