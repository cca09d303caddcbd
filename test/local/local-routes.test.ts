import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { addDuration, type Instant } from '../../domain/calendar/instant.ts';
import { contoso, installationIdOf } from '../../local/seed.ts';
import { spawnSystem, stopAll, waitForAddress } from './child-process.ts';

let address: string;
beforeAll(async () => {
  address = await waitForAddress(spawnSystem({ SEED: '' }));
});
afterAll(stopAll);

type RequestOptions = { readonly method?: string; readonly body?: unknown; readonly token?: string };

async function request(path: string, { method, body, token }: RequestOptions = {}) {
  const response = await fetch(new URL(path, address), {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
}

/** Returns the expected problem of a local route. */
const problem = (status: number, code: string) => ({
  status,
  body: { type: `urn:volume-activation:problem:${code}`, status, code, title: expect.any(String) },
});

const tokenFor = async (email: string, roles: readonly string[] = []) =>
  z.object({ token: z.string() }).parse((await request('/_local/tokens', { body: { email, roles } })).body).token;
const now = async () => z.object({ now: z.string() }).parse((await request('/_local/clock')).body).now as Instant;

describe('POST /_local/tokens', () => {
  it('issues a token that the API accepts, and needs no content type', async () => {
    const token = await tokenFor('ada.lind@contoso.example');
    expect(await request('/agreements', { token })).toMatchObject({
      status: 200,
      body: { items: [{ agreementId: contoso.agreementNumber }] },
    });
  });

  it('issues a token with the requested roles', async () => {
    const path = '/call-center/keys?agreementId=V4407182';
    const agent = await tokenFor('carla.ortiz@vendor.example', ['call-center']);
    expect(await request(path, { token: agent })).toMatchObject({ status: 200 });
    expect(await request(path, { token: await tokenFor('carla.ortiz@vendor.example') })).toMatchObject({ status: 403 });
  });

  it.each([
    ['', 400, 'malformed-json'],
    ['{"email":', 400, 'malformed-json'],
    ['[]', 422, 'invalid-request'],
    ['{}', 422, 'invalid-request'],
    ['{"email":"nobody"}', 422, 'invalid-request'],
    ['{"email":"a@b.example","roles":["king"]}', 422, 'invalid-request'],
    ['{"email":"a@b.example","role":"call-center"}', 422, 'invalid-request'],
  ])('refuses %j with %i %s', async (body, status, code) => {
    const response = await request('/_local/tokens', { method: 'POST', body });
    expect(response).toMatchObject(problem(status, code));
    expect(response.headers.get('content-type')).toBe('application/problem+json');
  });

  it('names the invalid field', async () => {
    expect((await request('/_local/tokens', { body: { email: 'nobody' } })).body).toMatchObject({
      errors: [{ pointer: '/email', message: expect.any(String) }],
    });
  });
});

describe('GET and POST /_local/clock', () => {
  it('return the time, and advance it to an instant or by a duration', async () => {
    const before = await now();
    expect(await request('/_local/clock', { body: { advance: 'P1DT2H' } })).toMatchObject({ status: 200 });
    const advanced = await now();
    expect(advanced >= addDuration(before, { hours: 26 })).toBe(true);
    const target = addDuration(advanced, { days: 1 });
    const { status, body } = await request('/_local/clock', { body: { now: target } });
    expect(status).toBe(200);
    expect(body.now >= target).toBe(true);
    expect((await now()) >= body.now).toBe(true);
  });

  it('accept an instant with an offset', async () => {
    const target = `${addDuration(await now(), { days: 1 }).slice(0, 19)}+00:00`;
    expect(await request('/_local/clock', { body: { now: target } })).toMatchObject({ status: 200 });
  });

  it.each([
    ['not JSON', 400, 'malformed-json'],
    ['{}', 422, 'invalid-request'],
    ['{"advance":"P1D","now":"2099-01-01T00:00:00Z"}', 422, 'invalid-request'],
    ['{"advance":"1 day"}', 422, 'invalid-request'],
    ['{"advance":1}', 422, 'invalid-request'],
    ['{"now":"tomorrow"}', 422, 'invalid-request'],
    ['{"now":"2000-01-01T00:00:00Z"}', 409, 'clock-only-forward'],
    ['{"advance":"-PT1S"}', 409, 'clock-only-forward'],
  ])('refuse %j with %i %s, and do not advance the clock', async (body, status, code) => {
    const before = await now();
    expect(await request('/_local/clock', { method: 'POST', body })).toMatchObject(problem(status, code));
    expect((await now()) < addDuration(before, { minutes: 5 })).toBe(true);
  });

  it('accept two concurrent advances', async () => {
    const before = await now();
    const advance = () => request('/_local/clock', { body: { advance: 'P1D' } });
    expect((await Promise.all([advance(), advance()])).map(({ status }) => status)).toEqual([200, 200]);
    expect((await now()) >= addDuration(before, { days: 2 })).toBe(true);
  });
});

describe('a request over 30 days', () => {
  it('has sent its emails and reminders, and its workflow has ended, after an advance of the clock', async () => {
    const token = await tokenFor('ada.lind@contoso.example');
    const { body: keys } = await request('/agreements/V4407182/keys', { token });
    const mak = z
      .array(z.looseObject({ type: z.string(), lastFive: z.string() }))
      .parse(keys.items)
      .find(({ type }) => type === 'MAK');
    const { status, body: submitted } = await request('/exceptions', {
      token,
      body: {
        kind: 'MAKADD',
        organizationName: 'Contoso Ltd',
        agreementNumber: 'V4407182',
        requester: contoso.contacts[0],
        product: 'windows-vista-enterprise',
        keyLastFive: mak?.lastFive,
        activationsRequested: 150,
        businessReason: 'A new computer lab.',
        requiredDate: '2099-12-31',
      },
    });
    expect(status).toBe(202);
    // The response comes when no work is pending.
    await request('/_local/clock', { body: { advance: 'PT0S' } });
    const toNoor = '/_local/mail?to=NOOR.Haddad@contoso.example';
    const { body: firstEmails } = await request(toNoor);
    expect(firstEmails.items).toMatchObject([
      {
        to: 'noor.haddad@contoso.example',
        from: expect.stringContaining('@'),
        subject: expect.stringContaining(submitted.exceptionId),
        text: expect.stringContaining(`${address}/approvals/`),
        html: expect.stringContaining('<html'),
        at: expect.stringMatching(/Z$/),
      },
    ]);

    await request('/_local/clock', { body: { advance: 'P30D' } });
    const { body: laterEmails } = await request(toNoor);
    expect(laterEmails.items.length).toBeGreaterThan(3);
    const times: string[] = laterEmails.items.map(({ at }: { at: string }) => at);
    expect(times).toEqual(times.toSorted().toReversed());
    const { body: allEmails } = await request('/_local/mail');
    expect(allEmails.items.length).toBeGreaterThan(laterEmails.items.length);

    const { body: workflow } = await request(`/_local/workflows/${submitted.exceptionId}`);
    const states = z.array(z.object({ state: z.string(), at: z.iso.datetime() })).parse(workflow.states);
    expect(states.map(({ state }) => state)).toEqual([
      'Choose the next step',
      'Go to the next step',
      "Request the Correspondent's approval",
      'Choose the next step',
      'Go to the next step',
      'Request is closed',
    ]);
    expect(states.map(({ at }) => at)).toEqual(states.map(({ at }) => at).toSorted());
    expect((await request(`/exceptions/${submitted.exceptionId}`, { token })).body.status).toBe('lapsed');
  });
});

describe('the mailbox page', () => {
  it('shows the emails, and an open one in a frame without scripts', async () => {
    const list = await request('/_local/mailbox');
    expect(list.status).toBe(200);
    expect(list.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(list.headers.get('content-security-policy')).toContain("default-src 'none'");
    const [, open = ''] = /href="(\/_local\/mailbox\/\d+)"/.exec(list.text) ?? [];
    expect((await request(open)).text).toContain(`<iframe`);
    const frame = await request(`${open}/html`);
    expect(frame.text).toContain('<base target="_blank">');
    expect(frame.headers.get('content-security-policy')).toMatch(
      /sandbox allow-popups allow-popups-to-escape-sandbox$/,
    );
  });

  it('has the status 404 for an unknown email, and still shows the mailbox', async () => {
    for (const path of [
      '/_local/mailbox/99999',
      '/_local/mailbox/0',
      '/_local/mailbox/one',
      '/_local/mailbox/1/text',
    ]) {
      const response = await request(path);
      expect({ path, status: response.status }).toEqual({ path, status: 404 });
      expect(response.text).toContain('Mailbox');
    }
  });
});

describe('the first page', () => {
  it.each(['/', '/_local'])('at %s shows the addresses and who can sign in', async (path) => {
    const { status, text } = await request(path);
    expect(status).toBe(200);
    expect(text).toContain('/_local/mailbox');
    expect(text).toContain('ada.lind@contoso.example');
  });
});

describe('an unknown route', () => {
  it.each([
    '/_local/nothing',
    '/_local/',
    '/_local/mail/1',
    '/_local/workflows/',
    '/_local/workflows/EX-0',
    '/_local/toString',
  ])('gets a problem: %s', async (path) => {
    expect(await request(path)).toMatchObject(problem(404, 'not-found'));
  });

  it.each([
    ['GET', '/_local/tokens', 'POST'],
    ['DELETE', '/_local/clock', 'GET, POST'],
    ['POST', '/_local/mail', 'GET'],
  ])('gets the allowed methods if only the method is wrong: %s %s', async (method, path, allowed) => {
    const response = await request(path, { method });
    expect(response).toMatchObject(problem(405, 'method-not-allowed'));
    expect(response.headers.get('allow')).toBe(allowed);
  });

  it('belongs to the API if it does not begin with /_local', async () => {
    for (const path of ['/_locally', '/nothing']) expect(await request(path)).toMatchObject(problem(404, 'not-found'));
  });
});

describe('the gateway', () => {
  it('gives every response a request ID', async () => {
    for (const path of ['/health', '/nothing', '/_local/clock', '/']) {
      expect((await request(path)).headers.get('x-request-id')).toMatch(/\S/);
    }
  });

  it('refuses more than 10 MB itself, and leaves smaller bodies to the function', async () => {
    const body = (bytes: number) => 'a'.repeat(bytes);
    expect((await request('/activations', { body: body(10 * 1024 * 1024 + 1) })).body).toEqual({
      message: 'Request Entity Too Large',
    });
    expect(await request('/activations', { body: body(100 * 1024) })).toMatchObject(problem(413, 'too-large'));
  });

  it('has no route for a path with invalid encoding', async () => {
    expect((await request('/keys/%E0%A4%A', { token: await tokenFor('ada.lind@contoso.example') })).status).toBe(404);
  });

  it('refuses a token with another signature', async () => {
    const token = await tokenFor('ada.lind@contoso.example');
    expect(await request('/agreements', { token: `${token.slice(0, -4)}AAAA` })).toMatchObject(
      problem(401, 'unauthenticated'),
    );
    expect(await request('/agreements')).toMatchObject(problem(401, 'unauthenticated'));
  });
});

describe('an installation ID of the sample data', () => {
  it('is valid for the API, and unique', async () => {
    const ids = Array.from({ length: 200 }, (_, machine) => installationIdOf(machine));
    expect(new Set(ids).size).toBe(200);
    for (const installationId of ids.slice(0, 3)) {
      const body = { productKey: 'BCDFG-HJKMP-QRTVW-XY234-6789B', installationId, product: 'windows-vista-enterprise' };
      const token = await tokenFor('ada.lind@contoso.example');
      expect(await request('/activations', { body, token })).toMatchObject(problem(404, 'unknown-key'));
    }
  });
});
