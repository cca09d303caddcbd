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

describe('who calls', () => {
  it('is the e-mail of the token, whatever its case', () => {
    expect(parseCaller(withClaims({ email: ' Ines@Alder.Example ' }))).toEqual({ email: ines.email, roles: [] });
  });

  it('has the roles of the token, in whatever shape the gateway hands a list over', () => {
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

  it.each([undefined, null, '', '[]', '[ ]', [], {}, 5])('has no role where the token names none: %j', (groups) => {
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
  ])('is nobody without an e-mail: %j', (claims) => {
    expect(parseCaller(withClaims(claims))).toBeUndefined();
  });

  it('is nobody without a token', () => {
    expect(parseCaller({ requestContext: {} } as APIGatewayProxyEventV2)).toBeUndefined();
    const noJwt = { requestContext: { authorizer: {} } } as unknown as APIGatewayProxyEventV2;
    expect(parseCaller(noJwt)).toBeUndefined();
  });
});

describe('a route for staff only', () => {
  it('is forbidden to everybody without its role, and to nobody where a customer may call as well', () => {
    expect(isForbidden(customer, ['call-center'])).toBe(true);
    expect(isForbidden(inTeam, ['call-center'])).toBe(true);
    expect(isForbidden(inCallCenter, ['call-center'])).toBe(false);
    expect(isForbidden(inTeam, ['exceptions-team', 'call-center'])).toBe(false);
    for (const open of ['customer', 'signed-in', 'device', 'anyone', 'link-holder'] as const) {
      expect(isForbidden(customer, [open, 'call-center'])).toBe(false);
    }
  });

  it('tells staff of another role from those who have none', () => {
    expect(isStaffWithoutRole(inTeam, ['customer', 'call-center'])).toBe(true);
    expect(isStaffWithoutRole(inCallCenter, ['customer', 'call-center'])).toBe(false);
    expect(isStaffWithoutRole(customer, ['customer', 'call-center'])).toBe(false);
  });
});

describe('access to an agreement', () => {
  const agreement = anAgreement();
  const to = (caller: Caller, ...who: Parameters<typeof accessTo>[2]) => accessTo(agreement, caller, who, mondayTen);

  it('AGR-3 is open to its contacts and its Notices Correspondent, and hidden from everybody else', () => {
    expect(to(customer, 'customer')).toBe('open');
    expect(to({ ...customer, email: ines.email.toUpperCase() }, 'customer')).toBe('open');
    expect(to({ email: noor.email, roles: [] }, 'customer')).toBe('open');
    expect(to(stranger, 'customer')).toBe('hidden');
    expect(to(stranger, 'customer', ...staffRoles)).toBe('hidden');
  });

  it('AGR-3 is open to the staff that the route is for, and forbidden to other staff', () => {
    expect(to(inCallCenter, 'customer', 'call-center')).toBe('open');
    expect(to(inTeam, 'customer', 'call-center')).toBe('forbidden');
    expect(to(inTeam, 'customer')).toBe('forbidden');
  });

  it('AGR-3 is forbidden, and not hidden, to a customer on a route that is not for customers', () => {
    expect(to(customer, 'call-center')).toBe('forbidden');
  });

  it('AGR-3 is a customer’s also when they are staff elsewhere', () => {
    expect(to({ ...customer, roles: ['exceptions-team'] }, 'customer')).toBe('open');
  });

  it('AGR-3 to see is not yet to speak for it: only those on the list do', () => {
    expect(isContact(customer, agreement)).toBe(true);
    expect(isContact({ email: noor.email, roles: [] }, agreement)).toBe(false);
    expect(isContact(stranger, agreement)).toBe(false);
  });
});
