import type { Refusal, RefusalCode } from '../../domain/refusal.ts';

/** How each refusal is answered over HTTP: its status and the title that all refusals of the code share (RFC 9457). */
export const problems: Readonly<Record<RefusalCode, { readonly status: number; readonly title: string }>> = {
  'invalid-request': { status: 422, title: 'Some fields are missing or wrong' },
  'malformed-json': { status: 400, title: 'The body is not JSON' },
  'unsupported-media-type': { status: 415, title: 'The body is of the wrong media type' },
  'too-large': { status: 413, title: 'The body is too large' },
  unauthenticated: { status: 401, title: 'Sign in first' },
  forbidden: { status: 403, title: 'Not allowed for this account' },
  'not-found': { status: 404, title: 'Not found' },
  'idempotency-key-reused': { status: 409, title: 'The idempotency key was used for another request' },
  'request-in-progress': { status: 409, title: 'The same request is still running' },
  'agreement-exists': { status: 409, title: 'The agreement is registered already' },
  'mak-already-issued': { status: 409, title: 'There is a live MAK for this product group' },
  'wrong-key-type': { status: 409, title: 'The key is of the other type' },
  'key-blocked': { status: 409, title: 'The key is blocked' },
  'product-not-covered': { status: 422, title: 'The key does not cover the product' },
  'unknown-key': { status: 404, title: 'Unknown product key' },
  'invalid-installation-id': { status: 422, title: 'The installation id has a mistake' },
  'activation-limit-reached': { status: 409, title: 'The activation limit is reached' },
  'override-used-today': { status: 409, title: 'The override of today is used' },
  'overrides-exhausted': { status: 409, title: 'All overrides are used' },
  'above-call-center-limit': { status: 409, title: 'More than the call centre can give' },
  'limit-not-raised': { status: 409, title: 'The limit would not be raised' },
  'requester-not-authorized': { status: 422, title: 'The requester is not on the Authorized Contact List' },
  'key-not-found': { status: 422, title: 'No such key under the agreement' },
  'not-an-exception': { status: 409, title: 'The call centre can give this' },
  'exception-already-open': { status: 409, title: 'A request for this key is open' },
  'not-in-that-state': { status: 409, title: 'The request is not in that state' },
  'link-unknown': { status: 404, title: 'Unknown approval link' },
  'link-void': { status: 410, title: 'The approval link is no longer good' },
  'already-decided': { status: 409, title: 'The request is decided already' },
  'wrong-code': { status: 422, title: 'Wrong code' },
};

export const problemType = 'application/problem+json';

/** A refusal as its problem document. `status` may differ where a route answers a code in another way. */
export function problemOf(refusal: Refusal, status = problems[refusal.code].status): Readonly<Record<string, unknown>> {
  return {
    type: `urn:volume-activation:problem:${refusal.code}`,
    title: problems[refusal.code].title,
    status,
    ...refusal,
  };
}
