import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Caller } from '../../../functions/http/caller.ts';
import { accessTo, isContact, isForbidden, isStaffWithoutRole, parseCaller } from '../../../functions/http/caller.ts';
import { staffRoles } from '../../../functions/manifest.ts';
import { agent, anAgreement, ines, mallory, noor, reviewer } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';

/** An event whose token had these claims, as the gateway hands it over. */
function withClaims(claims: unknown): APIGatewayProxyEventV2 {
  return { requestContext: { authorizer: { jwt: { claims, scopes: null } } } } as unknown as APIGatewayProxyEventV2;
}

const customer: Caller = { email: ines.email, roles: [] };
const stranger: Caller = { email: mallory.email, roles: [] };
const inCallCenter: Caller = { email: agent, roles: ['call-center'] };
const inTeam: Caller = { email: reviewer, roles: ['exceptions-team'] };

describe('the caller', () => {
  it('has the email address of the token, in lower case', () => {
    expect(parseCaller(withClaims({ email: ' Ines@Alder.Example ' }))).toEqual({ email: ines.email, roles: [] });
  });

  it('has the roles of the token, in every format of the gateway', () => {
    const ways = [
      (roles: readonly string[]) => roles,
      (roles: readonly string[]) => `[${roles.join(' ')}]`,
      (roles: readonly string[]) => `[${roles.join(', ')}]`,
      (roles: readonly string[]) => roles.join(' '),
      (roles: readonly string[]) => roles.join(','),
    ];
    const others = ['admins', 'call-center-trainees', 'xcall-center', 'call', '', 'Call-Center'];
    fc.assert(
      fc.property(fc.shuffledSubarray([...staffRoles, ...others]), fc.constantFrom(...ways), (groups, asHandedOver) => {
        const caller = parseCaller(withClaims({ email: agent, 'cognito:groups': asHandedOver(groups) }));
        expect(caller?.roles).toEqual(staffRoles.filter((role) => groups.includes(role)));
      }),
    );
  });

  it.each([undefined, null, '', '[]', '[ ]', [], {}, 5])('has no role if the token has none: %j', (groups) => {
    expect(parseCaller(withClaims({ email: agent, 'cognito:groups': groups }))?.roles).toEqual([]);
  });

  it.each([
    {},
    { email: '' },
    { email: '  ' },
    { email: 5 },
    { email: null },
    { email: ['a@b.example'] },
    undefined,
    null,
  ])('is undefined without an email address: %j', (claims) => {
    expect(parseCaller(withClaims(claims))).toBeUndefined();
  });

  it('is undefined without a token', () => {
    expect(parseCaller({ requestContext: {} } as APIGatewayProxyEventV2)).toBeUndefined();
    const noJwt = { requestContext: { authorizer: {} } } as unknown as APIGatewayProxyEventV2;
    expect(parseCaller(noJwt)).toBeUndefined();
  });
});

describe('a route for staff only', () => {
  it('is forbidden without its role; a route that is for customers, too, is open to everybody', () => {
    expect(isForbidden(customer, ['call-center'])).toBe(true);
    expect(isForbidden(inTeam, ['call-center'])).toBe(true);
    expect(isForbidden(inCallCenter, ['call-center'])).toBe(false);
    expect(isForbidden(inTeam, ['exceptions-team', 'call-center'])).toBe(false);
    for (const open of ['customer', 'signed-in', 'device', 'anyone', 'link-holder'] as const) {
      expect(isForbidden(customer, [open, 'call-center'])).toBe(false);
    }
  });

  it('distinguishes staff of another role from callers without a role', () => {
    expect(isStaffWithoutRole(inTeam, ['customer', 'call-center'])).toBe(true);
    expect(isStaffWithoutRole(inCallCenter, ['customer', 'call-center'])).toBe(false);
    expect(isStaffWithoutRole(customer, ['customer', 'call-center'])).toBe(false);
  });
});

describe('access to an agreement', () => {
  const agreement = anAgreement();
  const to = (caller: Caller, ...who: Parameters<typeof accessTo>[2]) => accessTo(agreement, caller, who, mondayTen);

  it('AGR-3 is open to contacts and the Notices Correspondent, and hidden from everybody else', () => {
    expect(to(customer, 'customer')).toBe('open');
    expect(to({ ...customer, email: ines.email.toUpperCase() }, 'customer')).toBe('open');
    expect(to({ email: noor.email, roles: [] }, 'customer')).toBe('open');
    expect(to(stranger, 'customer')).toBe('hidden');
    expect(to(stranger, 'customer', ...staffRoles)).toBe('hidden');
  });

  it('AGR-3 is open to the staff of the route, and forbidden to other staff', () => {
    expect(to(inCallCenter, 'customer', 'call-center')).toBe('open');
    expect(to(inTeam, 'customer', 'call-center')).toBe('forbidden');
    expect(to(inTeam, 'customer')).toBe('forbidden');
  });

  it('AGR-3 is forbidden to its customers on a route that is not for customers', () => {
    expect(to(customer, 'call-center')).toBe('forbidden');
  });

  it('AGR-3 is open to a contact who is also staff', () => {
    expect(to({ ...customer, roles: ['exceptions-team'] }, 'customer')).toBe('open');
  });

  it('AGR-3 does not make everybody who can see an agreement a contact', () => {
    expect(isContact(customer, agreement)).toBe(true);
    expect(isContact({ email: noor.email, roles: [] }, agreement)).toBe(false);
    expect(isContact(stranger, agreement)).toBe(false);
  });
});
