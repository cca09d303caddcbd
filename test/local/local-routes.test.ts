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

async function ask(path: string, { method, body, token }: RequestOptions = {}) {
  const response = await fetch(new URL(path, address), {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
}

/** What a route of the local system answers when it says no. */
const problem = (status: number, code: string) => ({
  status,
  body: { type: `urn:volume-activation:problem:${code}`, status, code, title: expect.any(String) },
});

const tokenFor = async (email: string, roles: readonly string[] = []) =>
  z.object({ token: z.string() }).parse((await ask('/_local/tokens', { body: { email, roles } })).body).token;
const now = async () => z.object({ now: z.string() }).parse((await ask('/_local/clock')).body).now as Instant;

describe('POST /_local/tokens', () => {
  it('gives a token that the API takes, without asking for a content type', async () => {
    const token = await tokenFor('ada.lind@contoso.example');
    expect(await ask('/agreements', { token })).toMatchObject({
      status: 200,
      body: { items: [{ agreementId: contoso.agreementNumber }] },
    });
  });

  it('gives it the roles that are asked for', async () => {
    const path = '/call-center/keys?agreementId=V4407182';
    const agent = await tokenFor('carla.ortiz@vendor.example', ['call-center']);
    expect(await ask(path, { token: agent })).toMatchObject({ status: 200 });
    expect(await ask(path, { token: await tokenFor('carla.ortiz@vendor.example') })).toMatchObject({ status: 403 });
  });

  it.each([
    ['', 400, 'malformed-json'],
    ['{"email":', 400, 'malformed-json'],
    ['[]', 422, 'invalid-request'],
    ['{}', 422, 'invalid-request'],
    ['{"email":"nobody"}', 422, 'invalid-request'],
    ['{"email":"a@b.example","roles":["king"]}', 422, 'invalid-request'],
    ['{"email":"a@b.example","role":"call-center"}', 422, 'invalid-request'],
  ])('answers %j with %i %s', async (body, status, code) => {
    const answer = await ask('/_local/tokens', { method: 'POST', body });
    expect(answer).toMatchObject(problem(status, code));
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });

  it('names the field that is wrong', async () => {
    expect((await ask('/_local/tokens', { body: { email: 'nobody' } })).body).toMatchObject({
      errors: [{ pointer: '/email', message: expect.any(String) }],
    });
  });
});

describe('GET and POST /_local/clock', () => {
  it('tell the time and move it on to a moment, or by a duration', async () => {
    const before = await now();
    expect(await ask('/_local/clock', { body: { advance: 'P1DT2H' } })).toMatchObject({ status: 200 });
    const advanced = await now();
    expect(advanced >= addDuration(before, { hours: 26 })).toBe(true);
    const target = addDuration(advanced, { days: 1 });
    const { status, body } = await ask('/_local/clock', { body: { now: target } });
    expect(status).toBe(200);
    expect(body.now >= target).toBe(true);
    expect((await now()) >= body.now).toBe(true);
  });

  it('take a moment with an offset', async () => {
    const target = `${addDuration(await now(), { days: 1 }).slice(0, 19)}+00:00`;
    expect(await ask('/_local/clock', { body: { now: target } })).toMatchObject({ status: 200 });
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
  ])('answer %j with %i %s, and do not move it', async (body, status, code) => {
    const before = await now();
    expect(await ask('/_local/clock', { method: 'POST', body })).toMatchObject(problem(status, code));
    expect((await now()) < addDuration(before, { minutes: 5 })).toBe(true);
  });

  it('answer both of two who wind it at the same time', async () => {
    const before = await now();
    const wind = () => ask('/_local/clock', { body: { advance: 'P1D' } });
    expect((await Promise.all([wind(), wind()])).map(({ status }) => status)).toEqual([200, 200]);
    expect((await now()) >= addDuration(before, { days: 2 })).toBe(true);
  });
});

describe('a request that takes its time', () => {
  it('has told people, moved its workflow on and reminded when the clock was wound past that', async () => {
    const token = await tokenFor('ada.lind@contoso.example');
    const { body: keys } = await ask('/agreements/V4407182/keys', { token });
    const mak = z
      .array(z.looseObject({ type: z.string(), lastFive: z.string() }))
      .parse(keys.items)
      .find(({ type }) => type === 'MAK');
    const { status, body: request } = await ask('/exceptions', {
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
    // When the answer comes all is quiet: nothing need be waited for.
    await ask('/_local/clock', { body: { advance: 'PT0S' } });
    const toNoor = '/_local/mail?to=NOOR.Haddad@contoso.example';
    const { body: asked } = await ask(toNoor);
    expect(asked.items).toMatchObject([
      {
        to: 'noor.haddad@contoso.example',
        from: expect.stringContaining('@'),
        subject: expect.stringContaining(request.exceptionId),
        text: expect.stringContaining(`${address}/approvals/`),
        html: expect.stringContaining('<html'),
        at: expect.stringMatching(/Z$/),
      },
    ]);

    await ask('/_local/clock', { body: { advance: 'P30D' } });
    const { body: reminded } = await ask(toNoor);
    expect(reminded.items.length).toBeGreaterThan(3);
    const times: string[] = reminded.items.map(({ at }: { at: string }) => at);
    expect(times).toEqual(times.toSorted().toReversed());
    const { body: everything } = await ask('/_local/mail');
    expect(everything.items.length).toBeGreaterThan(reminded.items.length);

    const { body: workflow } = await ask(`/_local/workflows/${request.exceptionId}`);
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
    expect((await ask(`/exceptions/${request.exceptionId}`, { token })).body.status).toBe('lapsed');
  });
});

describe('the mail box page', () => {
  it('shows the mails, one of them open, and that mail as it is in a frame that runs nothing', async () => {
    const list = await ask('/_local/mailbox');
    expect(list.status).toBe(200);
    expect(list.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(list.headers.get('content-security-policy')).toContain("default-src 'none'");
    const [, open = ''] = /href="(\/_local\/mailbox\/\d+)"/.exec(list.text) ?? [];
    expect((await ask(open)).text).toContain(`<iframe`);
    const frame = await ask(`${open}/html`);
    expect(frame.text).toContain('<base target="_blank">');
    expect(frame.headers.get('content-security-policy')).toMatch(
      /sandbox allow-popups allow-popups-to-escape-sandbox$/,
    );
  });

  it('is not found for a mail that there is not, and is still the mail box', async () => {
    for (const path of [
      '/_local/mailbox/99999',
      '/_local/mailbox/0',
      '/_local/mailbox/one',
      '/_local/mailbox/1/text',
    ]) {
      const answer = await ask(path);
      expect({ path, status: answer.status }).toEqual({ path, status: 404 });
      expect(answer.text).toContain('Mailbox');
    }
  });
});

describe('the first page', () => {
  it.each(['/', '/_local'])('at %s says what runs and who can sign in', async (path) => {
    const { status, text } = await ask(path);
    expect(status).toBe(200);
    expect(text).toContain('/_local/mailbox');
    expect(text).toContain('ada.lind@contoso.example');
  });
});

describe('a route that there is not', () => {
  it.each([
    '/_local/nothing',
    '/_local/',
    '/_local/mail/1',
    '/_local/workflows/',
    '/_local/workflows/EX-0',
    '/_local/toString',
  ])('is answered with a problem: %s', async (path) => {
    expect(await ask(path)).toMatchObject(problem(404, 'not-found'));
  });

  it.each([
    ['GET', '/_local/tokens', 'POST'],
    ['DELETE', '/_local/clock', 'GET, POST'],
    ['POST', '/_local/mail', 'GET'],
  ])('by its method is told what there is instead: %s %s', async (method, path, allowed) => {
    const answer = await ask(path, { method });
    expect(answer).toMatchObject(problem(405, 'method-not-allowed'));
    expect(answer.headers.get('allow')).toBe(allowed);
  });

  it('is the API’s, where it does not begin with /_local', async () => {
    for (const path of ['/_locally', '/nothing']) expect(await ask(path)).toMatchObject(problem(404, 'not-found'));
  });
});

describe('the gateway', () => {
  it('names every answer', async () => {
    for (const path of ['/health', '/nothing', '/_local/clock', '/']) {
      expect((await ask(path)).headers.get('x-request-id')).toMatch(/\S/);
    }
  });

  it('refuses more than ten megabytes itself, and less than that by the function', async () => {
    const body = (bytes: number) => 'a'.repeat(bytes);
    expect((await ask('/activations', { body: body(10 * 1024 * 1024 + 1) })).body).toEqual({
      message: 'Request Entity Too Large',
    });
    expect(await ask('/activations', { body: body(100 * 1024) })).toMatchObject(problem(413, 'too-large'));
  });

  it('takes a path that is not well encoded for one that there is not', async () => {
    expect((await ask('/keys/%E0%A4%A', { token: await tokenFor('ada.lind@contoso.example') })).status).toBe(404);
  });

  it('does not take a token that somebody else made', async () => {
    const token = await tokenFor('ada.lind@contoso.example');
    expect(await ask('/agreements', { token: `${token.slice(0, -4)}AAAA` })).toMatchObject(
      problem(401, 'unauthenticated'),
    );
    expect(await ask('/agreements')).toMatchObject(problem(401, 'unauthenticated'));
  });
});

describe('an installation id of the seeded world', () => {
  it('is one that the API takes, and of one machine only', async () => {
    const ids = Array.from({ length: 200 }, (_, machine) => installationIdOf(machine));
    expect(new Set(ids).size).toBe(200);
    for (const installationId of ids.slice(0, 3)) {
      const body = { productKey: 'BCDFG-HJKMP-QRTVW-XY234-6789B', installationId, product: 'windows-vista-enterprise' };
      const token = await tokenFor('ada.lind@contoso.example');
      expect(await ask('/activations', { body, token })).toMatchObject(problem(404, 'unknown-key'));
    }
  });
});
