import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import type { Agreement } from '../../domain/agreement.ts';
import { findContact, isCustomerOf, normalizeEmail } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { RefusalResult } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Audience, StaffRole } from '../manifest.ts';
import { staffRoles } from '../manifest.ts';

/** The signed-in caller: the email address and the staff roles of the token. */
export type Caller = { readonly email: string; readonly roles: readonly StaffRole[] };

/**
 * Returns the caller from the claims that the gateway has verified, or undefined if they have no email address. An HTTP
 * API passes an array claim as one string, `[a b]`.
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

/** Returns whether the roles alone refuse the caller: the route is for staff roles that the caller does not have. */
export function isForbidden(caller: Caller, audience: readonly Audience[]): boolean {
  const isOpenToOthers = audience.some(
    (each) => each !== 'call-center' && each !== 'exceptions-team' && each !== 'licensing-admins',
  );
  return !isOpenToOthers && !caller.roles.some((role) => audience.includes(role));
}

/** Returns whether the caller has staff roles, but none that the route is for. */
export function isStaffWithoutRole(caller: Caller, audience: readonly Audience[]): boolean {
  return caller.roles.length > 0 && !caller.roles.some((role) => audience.includes(role));
}

/** Returns the access of a caller to an agreement on a route: open, forbidden for the role, or hidden (AGR-3). */
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

const audienceName: Partial<Readonly<Record<Audience, string>>> = {
  customer: 'a contact of the customer',
  'call-center': 'the call center',
  'exceptions-team': 'the exceptions team',
  'licensing-admins': 'licensing admins',
};

function audienceNames(audience: readonly Audience[]): string {
  return audience.map((each) => audienceName[each] ?? each).join(' or ');
}

/** Refuses a caller who is not in the audience of the route, and says who can help. */
export function refuseForbidden(audience: readonly Audience[]): RefusalResult {
  const nextStep = audience.includes('customer')
    ? 'Ask a contact of the customer to do it.'
    : 'If it is your task, ask an administrator for the role.';
  return refuse('forbidden', `Only ${audienceNames(audience)} can do this. ${nextStep}`);
}

/** Returns whether the caller is on the Authorized Contact List. A Correspondent who is not can see, but not act. */
export function isContact(caller: Caller, agreement: Agreement): boolean {
  return findContact(caller.email, agreement) !== undefined;
}
