import { generateKeyPair, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import type { Route } from '../../functions/manifest.ts';
import { allRoutes, needsToken } from '../../functions/manifest.ts';
import { localAudience, localIssuer } from '../../local/emulators/cognito.ts';
import { installationId } from '../builders.ts';
import { expectProblem } from './contract.ts';
import {
  activate,
  issueMak,
  kmsRequestFormOf,
  newCustomer,
  requestFormOf,
  revealProductKey,
  signInStaff,
  submitRequest,
} from './customer.ts';
import type { HttpResponse } from './response.ts';
import { openStore, sortedItems, startSystem } from './system.ts';

const system = await startSystem();
const staff = await signInStaff(system);
const [ours, otherCustomer] = await Promise.all([newCustomer(system, staff), newCustomer(system, staff)]);
const mak = await issueMak(ours);
const productKey = await revealProductKey(ours, mak);
await activate(system, productKey, 1);
const { exceptionId } = await submitRequest(system, ours, requestFormOf(ours, mak));

const callers = {
  nobody: undefined,
  /** A contact on the Authorized Contact List of the agreement. */
  contact: ours.ines,
  /** The Notices Correspondent of the agreement, who is not on the list. */
  correspondent: ours.noor,
  /** A contact of another agreement. */
  stranger: otherCustomer.ines,
  admin: staff.admin,
  agent: staff.agent,
  team: staff.team,
};
type CallerName = keyof typeof callers;

const ids = { agreementId: ours.agreementId, keyId: mak.keyId, exceptionId };
const absent = { agreementId: 'E-00000000', keyId: '0'.repeat(32), exceptionId: 'EX-2222-2222-2222' };

/** The input of a route, and the status for each caller that it refuses. It accepts all other callers. */
type RouteAccess = {
  readonly body?: unknown;
  readonly query?: string;
  readonly refused: Readonly<Partial<Record<CallerName, 403 | 404 | 422>>>;
};

const byViewer: RouteAccess = { refused: { stranger: 404 } };
const byAdmin: RouteAccess['refused'] = { contact: 403, correspondent: 403, stranger: 403, agent: 403, team: 403 };
const byAgent: RouteAccess['refused'] = { contact: 403, correspondent: 403, stranger: 403, admin: 403, team: 403 };
const byTeam: RouteAccess['refused'] = { contact: 403, correspondent: 403, stranger: 403, admin: 403, agent: 403 };
/** The right to view an agreement does not include the right to act for it. */
const byContact: RouteAccess['refused'] = { correspondent: 403, stranger: 404, admin: 403, agent: 403, team: 403 };

/** The access rights in the contract for each route, in the order of the calls in the last test. */
const calls: Readonly<Partial<Record<Route, RouteAccess>>> = {
  'GET /agreements': { refused: {} },
  'GET /agreements/{agreementId}': byViewer,
  'GET /agreements/{agreementId}/keys': byViewer,
  'GET /keys/{keyId}': byViewer,
  'GET /keys/{keyId}/activations': byViewer,
  'GET /keys/{keyId}/grants': byViewer,
  'GET /keys/{keyId}/history': byViewer,
  'GET /keys/{keyId}/allowances': { refused: { stranger: 404, admin: 403, team: 403 } },
  'GET /keys/{keyId}/forecast': byViewer,
  'GET /exceptions': { refused: {} },
  'GET /exceptions/{exceptionId}': byViewer,
  'GET /exceptions/{exceptionId}/history': byViewer,
  'GET /call-center/keys': { query: `?agreementId=${ours.agreementId}`, refused: byAgent },
  'POST /keys/{keyId}/reveal': { refused: byContact },
  'POST /agreements/{agreementId}/keys': {
    body: { type: 'MAK', productGroup: 'server-b' },
    refused: { correspondent: 403, stranger: 404, admin: 403, team: 403 },
  },
  'PUT /agreements/{agreementId}/contacts': { body: { contacts: ours.registration.contacts }, refused: byAdmin },
  'POST /agreements': { body: { ...ours.registration, agreementNumber: 'E-new' }, refused: byAdmin },
  'POST /keys/{keyId}/increases': {
    body: { newLimit: 60, callReference: 'CALL-1', callerName: 'Inés' },
    refused: byAgent,
  },
  'POST /keys/{keyId}/overrides': {
    body: { installationId: installationId(1), callReference: 'CALL-1', callerName: 'Inés' },
    refused: byAgent,
  },
  // A stranger gets the same response as for an agreement that does not exist.
  'POST /exceptions': { body: kmsRequestFormOf(ours), refused: { stranger: 422, admin: 403, team: 403 } },
  'POST /exceptions/{exceptionId}/questions': { body: { text: 'Which schools?' }, refused: byTeam },
  'POST /exceptions/{exceptionId}/answers': { body: { text: 'Elm and Fir.' }, refused: byContact },
  'POST /exceptions/{exceptionId}/review': { body: { decision: 'reject', reason: 'Too many.' }, refused: byTeam },
  'POST /exceptions/{exceptionId}/withdrawal': { body: {}, refused: byContact },
  'POST /plans': { body: { program: 'open', sites: [{ name: 'Elm', client: 30 }] }, refused: {} },
  'PUT /agreements/{agreementId}/deputy': {
    body: { person: ours.registration.contacts[1], from: '2099-01-04', to: '2099-01-05' },
    refused: { contact: 403, stranger: 404, admin: 403, agent: 403, team: 403 },
  },
  'PUT /agreements/{agreementId}/notices-correspondent': {
    body: ours.registration.noticesCorrespondent,
    refused: byAdmin,
  },
  'POST /keys/{keyId}/replacements': {
    body: { reason: 'It was used on client computers.' },
    refused: { correspondent: 403, stranger: 404, admin: 403, team: 403 },
  },
};
const table = Object.entries(calls).map(([route, call]) => ({ route: route as Route, ...call }));

function send(
  { route, body, query = '' }: RouteAccess & { route: Route },
  token: string | undefined,
  pathIds = ids,
): Promise<HttpResponse> {
  const [method = '', path = ''] = route.split(' ');
  const resolvedPath = path.replaceAll(/\{(\w+)\}/g, (_, name: keyof typeof ids) => pathIds[name]);
  return system.send({ method, path: `${resolvedPath}${query}`, token, body });
}

const store = await openStore(system);

/** Returns everything that could distinguish two responses: all except the request ID and the date. */
function comparableParts({ status, headers, text }: HttpResponse) {
  const { 'x-request-id': _, date: __, ...comparableHeaders } = Object.fromEntries(headers);
  return { status, text, comparableHeaders };
}

describe('access to routes', () => {
  it('is listed here for every route that requires a token', () => {
    const routesWithToken = allRoutes().filter(({ audience }) => needsToken(audience));
    expect(table.map(({ route }) => route).toSorted()).toEqual(routesWithToken.map(({ route }) => route).toSorted());
  });

  it.each(table)('AGR-3 $route refuses all other callers and changes nothing', async (call) => {
    const before = await sortedItems(store);
    for (const [name, caller] of Object.entries(callers)) {
      const status = name === 'nobody' ? 401 : call.refused[name as CallerName];
      if (status === undefined) continue;
      const codes = { 401: 'unauthenticated', 403: 'forbidden', 404: 'not-found', 422: 'requester-not-authorized' };
      expectProblem(await send(call, caller?.token), status, codes[status]);
    }
    expect(await sortedItems(store)).toEqual(before);
  });

  it.each(table)(
    'AGR-3 $route gives a stranger the same response for a hidden item as for a missing one',
    async (call) => {
      const absentBody =
        call.route === 'POST /exceptions'
          ? { ...kmsRequestFormOf(ours), agreementNumber: absent.agreementId }
          : call.body;
      const hidden = await send(call, callers.stranger.token);
      const missing = await send({ ...call, body: absentBody }, callers.stranger.token, absent);
      if (call.refused.stranger === undefined) return;
      expect(comparableParts(hidden)).toEqual(comparableParts(missing));
    },
  );

  it('AGR-3 hides the agreement from the lists of a stranger, also with its ID as a filter', async () => {
    for (const path of ['/agreements', '/exceptions', '/exceptions?status=open']) {
      expect((await otherCustomer.ines.get(path)).text).not.toContain(ours.agreementId);
    }
    const hidden = await otherCustomer.ines.get(`/exceptions?agreementId=${ours.agreementId}`);
    expectProblem(hidden, 404, 'not-found');
    expect(comparableParts(hidden)).toEqual(
      comparableParts(await otherCustomer.ines.get(`/exceptions?agreementId=${absent.agreementId}`)),
    );
  });

  it('AGR-3 refuses a call with an unknown ID as not found, for every caller with the right role', async () => {
    for (const call of table.filter(({ route }) => route.includes('{'))) {
      for (const [name, caller] of Object.entries(callers)) {
        const isRefusedByRole =
          [byAdmin, byAgent, byTeam].includes(call.refused) && call.refused[name as CallerName] === 403;
        if (
          caller === undefined ||
          isRefusedByRole ||
          call.route.startsWith('PUT') ||
          call.route.startsWith('POST /exc')
        )
          continue;
        expectProblem(await send(call, caller.token, absent), 404, 'not-found');
      }
    }
  });

  it('accepts all callers that have access', async () => {
    for (const call of table) {
      for (const [name, caller] of Object.entries(callers)) {
        if (caller === undefined || call.refused[name as CallerName] !== undefined) continue;
        const response = await send(call, caller.token);
        expect([200, 201, 202, 409], `${name} ${call.route}: ${response.text}`).toContain(response.status);
        // A request can change only when its workflow waits again.
        if (call.route.startsWith('POST /exceptions')) await system.settle();
      }
    }
  });
});

describe('an invalid token', () => {
  const unsignedToken = (header: object, claims: object) =>
    [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');

  it('is refused with 401, whatever the fault, and changes nothing', async () => {
    const validToken = callers.contact.token;
    const [head = '', claims = '', signature = ''] = validToken.split('.');
    const payload = JSON.parse(Buffer.from(claims, 'base64url').toString());
    const { privateKey } = await generateKeyPair('ES256');
    const signedWithOtherKey = await new SignJWT({ ...payload, 'cognito:groups': ['licensing-admins'] })
      .setProtectedHeader({ alg: 'ES256', kid: 'local' })
      .sign(privateKey);
    const signedWithHmac = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'HS256', kid: 'local' })
      .sign(new TextEncoder().encode('local'.repeat(10)));
    const tampered = Buffer.from(JSON.stringify({ ...payload, 'cognito:groups': ['call-center'] })).toString(
      'base64url',
    );
    const invalidTokens: Readonly<Record<string, string>> = {
      empty: '',
      garbage: 'garbage',
      'three empty parts': '..',
      unsigned: `${unsignedToken({ alg: 'none' }, payload)}.`,
      'unsigned, with another spelling': `${unsignedToken({ alg: 'None', typ: 'JWT' }, payload)}.`,
      'signed with another algorithm': signedWithHmac,
      'signed with another key': signedWithOtherKey,
      'with other claims': `${head}.${tampered}.${signature}`,
      'without a signature': `${head}.${claims}.`,
      truncated: validToken.slice(0, -5),
      'very long': `${validToken}${'x'.repeat(5_000)}`,
      'an approval token': 'A'.repeat(43),
    };
    const before = await sortedItems(store);
    for (const call of table) {
      for (const [fault, token] of Object.entries(invalidTokens)) {
        const response = await send(call, token);
        expect(response.status, `${fault}: ${call.route}`).toBe(401);
        expectProblem(response, 401, 'unauthenticated');
      }
    }
    expect(await sortedItems(store)).toEqual(before);
    expect(payload).toMatchObject({ iss: localIssuer, aud: localAudience });
  });

  it('includes one outside the Authorization header', async () => {
    const { token } = callers.contact;
    const path = `/keys/${mak.keyId}`;
    for (const [url, headers] of [
      [`${path}?access_token=${token}`, {}],
      [path, { Cookie: `token=${token}` }],
      [path, { 'X-Authorization': `Bearer ${token}` }],
      [path, { Authorization: `Basic ${token}` }],
    ] as const) {
      expectProblem(await system.send({ method: 'GET', path: url, headers }), 401, 'unauthenticated');
    }
  });

  it('includes an expired one', async () => {
    expect((await callers.contact.get('/agreements')).status).toBe(200);
    await system.advanceClock('P91D');
    expectProblem(await callers.contact.get('/agreements'), 401, 'unauthenticated');
    const renewed = await system.signIn(callers.contact.email);
    expect((await renewed.get('/agreements')).status).toBe(200);
  });
});
