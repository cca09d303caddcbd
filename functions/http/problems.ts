import type { Refusal, RefusalCode } from '../../domain/refusal.ts';

/** The HTTP status of each refusal code, and the title that all its problem documents share (RFC 9457). */
export const problems: Readonly<Record<RefusalCode, { readonly status: number; readonly title: string }>> = {
  'invalid-request': { status: 422, title: 'Fields are missing or wrong' },
  'malformed-json': { status: 400, title: 'The body is not valid JSON' },
  'unsupported-media-type': { status: 415, title: 'Unsupported media type' },
  'too-large': { status: 413, title: 'The body is too large' },
  unauthenticated: { status: 401, title: 'Sign-in required' },
  forbidden: { status: 403, title: 'Not allowed' },
  'not-found': { status: 404, title: 'Not found' },
  'method-not-allowed': { status: 405, title: 'Method not allowed' },
  'idempotency-key-reused': { status: 409, title: 'Idempotency key used for another request' },
  'request-in-progress': { status: 409, title: 'The same request is still running' },
  'agreement-exists': { status: 409, title: 'Agreement already registered' },
  'mak-already-issued': { status: 409, title: 'MAK already issued for this product group' },
  'wrong-key-type': { status: 409, title: 'Wrong type of key' },
  'key-blocked': { status: 409, title: 'The key is blocked' },
  'product-not-covered': { status: 422, title: 'Product not covered' },
  'unknown-key': { status: 404, title: 'Unknown product key' },
  'invalid-installation-id': { status: 422, title: 'Invalid installation ID' },
  'activation-limit-reached': { status: 409, title: 'Activation limit reached' },
  'override-used-today': { status: 409, title: 'Override already used today' },
  'overrides-exhausted': { status: 409, title: 'No overrides left' },
  'above-call-center-limit': { status: 409, title: 'Above the call-center limit' },
  'limit-not-raised': { status: 409, title: 'Limit not raised' },
  'requester-not-authorized': { status: 422, title: 'Requester not on the Authorized Contact List' },
  'key-not-found': { status: 422, title: 'Key not found in the agreement' },
  'not-an-exception': { status: 409, title: 'The call center can grant this' },
  'exception-already-open': { status: 409, title: 'Request for this key already open' },
  'not-in-that-state': { status: 409, title: 'Not possible in the current status' },
  'link-unknown': { status: 404, title: 'Unknown approval link' },
  'link-void': { status: 410, title: 'Approval link no longer valid' },
  'already-decided': { status: 409, title: 'Already decided' },
  'wrong-code': { status: 422, title: 'Wrong code' },
};

export const problemType = 'application/problem+json';

/** Returns the problem document of a refusal. A route can use another status than the usual one. */
export function problemOf(refusal: Refusal, status = problems[refusal.code].status): Readonly<Record<string, unknown>> {
  return {
    type: `urn:volume-activation:problem:${refusal.code}`,
    title: problems[refusal.code].title,
    status,
    ...refusal,
  };
}
