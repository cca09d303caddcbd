import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import type { Agreement } from '../../domain/agreement.ts';
import { findContact, isCustomerOf, normalizeEmail } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { RefusalResult } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Audience, StaffRole } from '../manifest.ts';
import { staffRoles } from '../manifest.ts';

/** Who is signed in: the e-mail of the token, and the staff roles that it carries. */
export type Caller = { readonly email: string; readonly roles: readonly StaffRole[] };

/**
 * Reads the caller from the claims that the gateway has checked. `undefined` when there are none, or no e-mail among
 * them. An HTTP API hands an array over as one text, `[a b]`.
 */
export function parseCaller(event: APIGatewayProxyEventV2): Caller | undefined {
  const authorizer = 'authorizer' in event.requestContext ? event.requestContext.authorizer : undefined;
  const claims = (authorizer as { jwt?: { claims?: Record<string, unknown> } } | undefined)?.jwt?.claims;
  const email = claims?.email;
  if (typeof email !== 'string' || email.trim() === '') return undefined;
  const groups = claims?.['cognito:groups'];
  const groupNames = Array.isArray(groups)
    ? groups.map(String)
    : String(groups ?? '')
        .replace(/^\[|\]$/g, '')
        .split(/[\s,]+/);
  return { email: normalizeEmail(email), roles: staffRoles.filter((role) => groupNames.includes(role)) };
}

/** Whether the roles alone already say no: a route for staff only, and the caller is none of them. */
export function isForbidden(caller: Caller, audience: readonly Audience[]): boolean {
  const isOpenToOthers = audience.some(
    (each) => each !== 'call-center' && each !== 'exceptions-team' && each !== 'licensing-admins',
  );
  return !isOpenToOthers && !caller.roles.some((role) => audience.includes(role));
}

/** Whether the caller has staff roles, and none that the route is for. */
export function isStaffWithoutRole(caller: Caller, audience: readonly Audience[]): boolean {
  return caller.roles.length > 0 && !caller.roles.some((role) => audience.includes(role));
}

/** What a caller is to an agreement on a route: let in, known but of the wrong role, or not to know of it (AGR-3). */
export function accessTo(
  agreement: Agreement,
  caller: Caller,
  audience: readonly Audience[],
  now: Instant,
): 'open' | 'forbidden' | 'hidden' {
  if (caller.roles.some((role) => audience.includes(role))) return 'open';
  if (isCustomerOf(caller.email, agreement, now)) return audience.includes('customer') ? 'open' : 'forbidden';
  return caller.roles.length > 0 ? 'forbidden' : 'hidden';
}

/** Refuses whoever may see the agreement but not do this to it. */
export function refuseForbidden(audience: readonly Audience[]): RefusalResult {
  return refuse('forbidden', `You may see this, but only ${audience.join(' or ')} may do it.`);
}

/** Whether a caller is on the Authorized Contact List itself: seeing an agreement is not yet speaking for it. */
export function isContact(caller: Caller, agreement: Agreement): boolean {
  return findContact(caller.email, agreement) !== undefined;
}
