import type { RefusalResult } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import { Secret } from '../../domain/secret.ts';
import type { Page, PageRequest } from '../../store/dynamodb/page.ts';
import { sameHash } from '../../store/vault.ts';
import type { Route } from '../manifest.ts';
import { getStore } from '../runtime/store.ts';
import type { Caller } from './caller.ts';
import type { HttpResponse } from './response.ts';

/** A request for a list. The route, parameters, filters, and caller together identify the list. */
type ListRequest = {
  readonly route: Route;
  readonly params: unknown;
  readonly query: { readonly limit: number; readonly cursor?: string | undefined };
  readonly caller: Caller;
};

/** Returns the requested page. Refuses a cursor that this list did not return: cursors are signed and bound to their list. */
export function parsePageRequest(
  apiRequest: ListRequest,
): { readonly ok: true; readonly request: PageRequest } | RefusalResult {
  const { limit, cursor } = apiRequest.query;
  if (cursor === undefined) return { ok: true, request: { limit, after: null } };
  const after = Buffer.from(cursor, 'base64url').toString('utf8').slice(signatureLength);
  return after !== '' && sameHash(createCursor(apiRequest, after), cursor)
    ? { ok: true, request: { limit, after } }
    : refuse('invalid-request', 'This list did not return that cursor. Start again without a cursor.', {
        errors: [{ pointer: '/query/cursor', message: 'is not a cursor that this list returned' }],
      });
}

const signatureLength = 32;

function createCursor({ route, params, query, caller }: ListRequest, position: string): string {
  const { limit: _, cursor: __, ...filter } = query;
  const signedText = JSON.stringify([route, params, filter, caller.email, position]);
  const signature = getStore().vault.hashOf('cursor', new Secret(signedText)).slice(0, signatureLength);
  return Buffer.from(signature + position, 'utf8').toString('base64url');
}

/** Returns a page of a list in the shape of the contract: `items` and `nextCursor`. */
export function listResponse<Entry>(
  apiRequest: ListRequest,
  page: Page<Entry>,
  view: (entry: Entry) => unknown,
): HttpResponse {
  const nextCursor = page.next === null ? null : createCursor(apiRequest, page.next);
  return { status: 200, body: { items: page.items.map(view), nextCursor } };
}
