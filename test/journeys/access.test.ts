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
const [ours, theirs] = await Promise.all([newCustomer(system, staff), newCustomer(system, staff)]);
const mak = await issueMak(ours);
const productKey = await revealProductKey(ours, mak);
await activate(system, productKey, 1);
const { exceptionId } = await submitRequest(system, ours, requestFormOf(ours, mak));

const callers = {
  nobody: undefined,
  /** On the Authorized Contact List of the agreement. */
  contact: ours.ines,
  /** Its Notices Correspondent, who is on no list. */
  correspondent: ours.noor,
  /** A contact of another agreement. */
  stranger: theirs.ines,
  admin: staff.admin,
  agent: staff.agent,
  team: staff.team,
};
type CallerName = keyof typeof callers;

const ids = { agreementId: ours.agreementId, keyId: mak.keyId, exceptionId };
const absent = { agreementId: 'E-00000000', keyId: '0'.repeat(32), exceptionId: 'EX-2222-2222-2222' };

/** A call, and what everybody who may not make it is told. Whoever is not named may. */
type RouteAccess = {
  readonly body?: unknown;
  readonly query?: string;
  readonly no: Readonly<Partial<Record<CallerName, 403 | 404 | 422>>>;
};

const seen: RouteAccess = { no: { stranger: 404 } };
const byAdmin: RouteAccess['no'] = { contact: 403, correspondent: 403, stranger: 403, agent: 403, team: 403 };
const byAgent: RouteAccess['no'] = { contact: 403, correspondent: 403, stranger: 403, admin: 403, team: 403 };
const byTeam: RouteAccess['no'] = { contact: 403, correspondent: 403, stranger: 403, admin: 403, agent: 403 };
/** Seeing an agreement is not yet speaking for it. */
const byContact: RouteAccess['no'] = { correspondent: 403, stranger: 404, admin: 403, agent: 403, team: 403 };

/** The contract's “who”, route by route, in the order in which they are called at the end. */
const calls: Readonly<Partial<Record<Route, RouteAccess>>> = {
  'GET /agreements': { no: {} },
  'GET /agreements/{agreementId}': seen,
  'GET /agreements/{agreementId}/keys': seen,
  'GET /keys/{keyId}': seen,
  'GET /keys/{keyId}/activations': seen,
  'GET /keys/{keyId}/grants': seen,
  'GET /keys/{keyId}/history': seen,
  'GET /keys/{keyId}/allowances': { no: { stranger: 404, admin: 403, team: 403 } },
  'GET /keys/{keyId}/forecast': seen,
  'GET /exceptions': { no: {} },
  'GET /exceptions/{exceptionId}': seen,
  'GET /exceptions/{exceptionId}/history': seen,
  'GET /call-center/keys': { query: `?agreementId=${ours.agreementId}`, no: byAgent },
  'POST /keys/{keyId}/reveal': { no: byContact },
  'POST /agreements/{agreementId}/keys': {
    body: { type: 'MAK', productGroup: 'server-b' },
    no: { correspondent: 403, stranger: 404, admin: 403, team: 403 },
  },
  'PUT /agreements/{agreementId}/contacts': { body: { contacts: ours.registration.contacts }, no: byAdmin },
  'POST /agreements': { body: { ...ours.registration, agreementNumber: 'E-new' }, no: byAdmin },
  'POST /keys/{keyId}/increases': { body: { newLimit: 60, callReference: 'CALL-1', callerName: 'Inés' }, no: byAgent },
  'POST /keys/{keyId}/overrides': {
    body: { installationId: installationId(1), callReference: 'CALL-1', callerName: 'Inés' },
    no: byAgent,
  },
  // A stranger is told what anybody is told who names an agreement that is not there.
  'POST /exceptions': { body: kmsRequestFormOf(ours), no: { stranger: 422, admin: 403, team: 403 } },
  'POST /exceptions/{exceptionId}/questions': { body: { text: 'Which schools?' }, no: byTeam },
  'POST /exceptions/{exceptionId}/answers': { body: { text: 'Elm and Fir.' }, no: byContact },
  'POST /exceptions/{exceptionId}/review': { body: { decision: 'reject', reason: 'Too many.' }, no: byTeam },
  'POST /exceptions/{exceptionId}/withdrawal': { body: {}, no: byContact },
  'POST /plans': { body: { program: 'open', sites: [{ name: 'Elm', client: 30 }] }, no: {} },
  'PUT /agreements/{agreementId}/deputy': {
    body: { person: ours.registration.contacts[1], from: '2099-01-04', to: '2099-01-05' },
    no: { contact: 403, stranger: 404, admin: 403, agent: 403, team: 403 },
  },
  'PUT /agreements/{agreementId}/notices-correspondent': { body: ours.registration.noticesCorrespondent, no: byAdmin },
  'POST /keys/{keyId}/replacements': {
    body: { reason: 'It was typed on clients.' },
    no: { correspondent: 403, stranger: 404, admin: 403, team: 403 },
  },
};
const table = Object.entries(calls).map(([route, call]) => ({ route: route as Route, ...call }));

function send(
  { route, body, query = '' }: RouteAccess & { route: Route },
  token: string | undefined,
  named = ids,
): Promise<HttpResponse> {
  const [method = '', path = ''] = route.split(' ');
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: keyof typeof ids) => named[name]);
  return system.send({ method, path: `${filled}${query}`, token, body });
}

const store = await openStore(system);

/** All of an answer that could tell one from another: its headers but for the request's own id and the time. */
function tellingOf({ status, headers, text }: HttpResponse) {
  const { 'x-request-id': _, date: __, ...telling } = Object.fromEntries(headers);
  return { status, text, telling };
}

describe('who may call', () => {
  it('is told here for every route that asks who calls', () => {
    const asking = allRoutes().filter(({ audience: who }) => needsToken(who));
    expect(table.map(({ route }) => route).toSorted()).toEqual(asking.map(({ route }) => route).toSorted());
  });

  it.each(table)('AGR-3 is kept to by $route: everybody else is refused, and nothing changes', async (call) => {
    const before = await sortedItems(store);
    for (const [name, caller] of Object.entries(callers)) {
      const status = name === 'nobody' ? 401 : call.no[name as CallerName];
      if (status === undefined) continue;
      const codes = { 401: 'unauthenticated', 403: 'forbidden', 404: 'not-found', 422: 'requester-not-authorized' };
      expectProblem(await send(call, caller?.token), status, codes[status]);
    }
    expect(await sortedItems(store)).toEqual(before);
  });

  it.each(table)('AGR-3 $route answers a stranger about what is hidden as about what is not there', async (call) => {
    const absentBody =
      call.route === 'POST /exceptions'
        ? { ...kmsRequestFormOf(ours), agreementNumber: absent.agreementId }
        : call.body;
    const hidden = await send(call, callers.stranger.token);
    const notThere = await send({ ...call, body: absentBody }, callers.stranger.token, absent);
    if (call.no.stranger === undefined) return;
    expect(tellingOf(hidden)).toEqual(tellingOf(notThere));
  });

  it('AGR-3 lists of a stranger hold nothing of the agreement, and one asked for by its id is not found', async () => {
    for (const path of ['/agreements', '/exceptions', '/exceptions?status=open']) {
      expect((await theirs.ines.get(path)).text).not.toContain(ours.agreementId);
    }
    const hidden = await theirs.ines.get(`/exceptions?agreementId=${ours.agreementId}`);
    expectProblem(hidden, 404, 'not-found');
    expect(tellingOf(hidden)).toEqual(
      tellingOf(await theirs.ines.get(`/exceptions?agreementId=${absent.agreementId}`)),
    );
  });

  it('AGR-3 a refusal of a call on an id that is not there is not found for everybody else, too', async () => {
    for (const call of table.filter(({ route }) => route.includes('{'))) {
      for (const [name, caller] of Object.entries(callers)) {
        const byRoleAlone = [byAdmin, byAgent, byTeam].includes(call.no) && call.no[name as CallerName] === 403;
        if (caller === undefined || byRoleAlone || call.route.startsWith('PUT') || call.route.startsWith('POST /exc'))
          continue;
        expectProblem(await send(call, caller.token, absent), 404, 'not-found');
      }
    }
  });

  it('lets in whoever may, whatever then becomes of it', async () => {
    for (const call of table) {
      for (const [name, caller] of Object.entries(callers)) {
        if (caller === undefined || call.no[name as CallerName] !== undefined) continue;
        const answer = await send(call, caller.token);
        expect([200, 201, 202, 409], `${name} ${call.route}: ${answer.text}`).toContain(answer.status);
        // A request moves on only once its workflow waits again.
        if (call.route.startsWith('POST /exceptions')) await system.settle();
      }
    }
  });
});

describe('a token that is not good', () => {
  const unsigned = (header: object, claims: object) =>
    [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');

  it('is no token: whatever is wrong with it, the answer is 401, and nothing changes', async () => {
    const good = callers.contact.token;
    const [head = '', claims = '', signature = ''] = good.split('.');
    const claimed = JSON.parse(Buffer.from(claims, 'base64url').toString());
    const { privateKey } = await generateKeyPair('ES256');
    const signedBySomebodyElse = await new SignJWT({ ...claimed, 'cognito:groups': ['licensing-admins'] })
      .setProtectedHeader({ alg: 'ES256', kid: 'local' })
      .sign(privateKey);
    const asSecret = await new SignJWT(claimed)
      .setProtectedHeader({ alg: 'HS256', kid: 'local' })
      .sign(new TextEncoder().encode('local'.repeat(10)));
    const tampered = Buffer.from(JSON.stringify({ ...claimed, 'cognito:groups': ['call-center'] })).toString(
      'base64url',
    );
    const bad: Readonly<Record<string, string>> = {
      empty: '',
      garbage: 'garbage',
      'three parts of nothing': '..',
      'not signed': `${unsigned({ alg: 'none' }, claimed)}.`,
      'not signed, said otherwise': `${unsigned({ alg: 'None', typ: 'JWT' }, claimed)}.`,
      'signed with another method': asSecret,
      'signed by somebody else': signedBySomebodyElse,
      'of other claims': `${head}.${tampered}.${signature}`,
      'without its signature': `${head}.${claims}.`,
      'cut off': good.slice(0, -5),
      'very long': `${good}${'x'.repeat(5_000)}`,
      'one that the page of approval takes': 'A'.repeat(43),
    };
    const before = await sortedItems(store);
    for (const call of table) {
      for (const [what, token] of Object.entries(bad)) {
        const answer = await send(call, token);
        expect(answer.status, `${what}: ${call.route}`).toBe(401);
        expectProblem(answer, 401, 'unauthenticated');
      }
    }
    expect(await sortedItems(store)).toEqual(before);
    expect(claimed).toMatchObject({ iss: localIssuer, aud: localAudience });
  });

  it('is none that came by another way than the Authorization header', async () => {
    const { token } = callers.contact;
    const path = `/keys/${mak.keyId}`;
    for (const [asked, headers] of [
      [`${path}?access_token=${token}`, {}],
      [path, { Cookie: `token=${token}` }],
      [path, { 'X-Authorization': `Bearer ${token}` }],
      [path, { Authorization: `Basic ${token}` }],
    ] as const) {
      expectProblem(await system.send({ method: 'GET', path: asked, headers }), 401, 'unauthenticated');
    }
  });

  it('is one that has expired', async () => {
    expect((await callers.contact.get('/agreements')).status).toBe(200);
    await system.advanceClock('P91D');
    expectProblem(await callers.contact.get('/agreements'), 401, 'unauthenticated');
    const renewed = await system.signIn(callers.contact.email);
    expect((await renewed.get('/agreements')).status).toBe(200);
  });
});
