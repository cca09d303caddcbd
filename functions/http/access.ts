import type { Agreement } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Result } from '../../domain/refusal.ts';
import { findAgreement } from '../../store/agreements.ts';
import type { PageRequest } from '../../store/dynamodb/page.ts';
import type { KeyRecord } from '../../store/keys.ts';
import { readKey } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import type { Audience, Route } from '../manifest.ts';
import { getStore } from '../runtime/store.ts';
import type { Caller } from './caller.ts';
import { accessTo, refuseForbidden } from './caller.ts';
import type { Handler } from './handler.ts';
import { parsePageRequest } from './paging.ts';
import type { ApiRequest } from './parse-request.ts';
import type { HttpResponse, RefusalResponse } from './response.ts';
import { notFound } from './response.ts';

type AccessContext = { readonly caller: Caller; readonly audience: readonly Audience[]; readonly now: Instant };

type Response = Promise<HttpResponse | RefusalResponse>;

type AgreementRoute = Extract<Route, `${string}{agreementId}${string}`>;
type KeyRoute = Extract<Route, `${string}{keyId}${string}`>;
type ListRoute = { [R in Route]: ApiRequest<R>['query'] extends { readonly limit: number } ? R : never }[Route];

/** Returns the handler of a list, for a function that takes the requested page. */
export function withPage<R extends ListRoute>(
  handle: (page: PageRequest, apiRequest: ApiRequest<R>) => Response,
): Handler<R> {
  return async (apiRequest) => {
    const paging = parsePageRequest(apiRequest as ApiRequest<ListRoute>);
    return paging.ok ? handle(paging.request, apiRequest) : paging;
  };
}

/** Adds the requested page to a function that lists what belongs to a key or an agreement. Use it inside the two below. */
export function paged<Subject, R extends ListRoute>(
  handle: (page: PageRequest, subject: Subject, apiRequest: ApiRequest<R>) => Response,
): (subject: Subject, apiRequest: ApiRequest<R>) => Response {
  return async (subject, apiRequest) => {
    const paging = parsePageRequest(apiRequest as ApiRequest<ListRoute>);
    return paging.ok ? handle(paging.request, subject, apiRequest) : paging;
  };
}

/** Returns the handler of a route of an agreement, for a function that takes the agreement (AGR-3). */
export function withAgreement<R extends AgreementRoute>(
  handle: (agreement: Agreement, apiRequest: ApiRequest<R>) => Response,
): Handler<R> {
  return async (apiRequest) => {
    const { agreementId } = apiRequest.params as { readonly agreementId: string };
    const result = await loadAgreementFor(getStore(), agreementId, apiRequest);
    return result.ok ? handle(result.agreement, apiRequest) : result;
  };
}

/** Returns the handler of a route of a key, for a function that takes the key and its agreement (AGR-3). */
export function withKey<R extends KeyRoute>(
  handle: (key: KeyRecord, apiRequest: ApiRequest<R>, agreement: Agreement) => Response,
): Handler<R> {
  return async (apiRequest) => {
    const { keyId } = apiRequest.params as { readonly keyId: string };
    const result = await loadKeyFor(getStore(), keyId, apiRequest);
    return result.ok ? handle(result.key, apiRequest, result.agreement) : result;
  };
}

/**
 * Returns the agreement with this ID, if the caller may do what the route does. An agreement that the caller may not see
 * is refused exactly like one that does not exist (AGR-3). `what` is the noun for the refusal.
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

/** Returns the key with this ID and its agreement, if the caller may do what the route does (AGR-3). */
async function loadKeyFor(
  store: Store,
  keyId: string,
  accessContext: AccessContext,
): Promise<Result<{ readonly key: KeyRecord; readonly agreement: Agreement }>> {
  const key = await readKey(store, keyId);
  if (key === undefined) return notFound('key');
  const result = await loadAgreementFor(store, key.value.agreementId, accessContext, 'key');
  return result.ok ? { ok: true, key, agreement: result.agreement } : result;
}
