import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bodies } from '../../functions/http/request-schemas.ts';
import type { Audience, Route } from '../../functions/manifest.ts';
import { allRoutes } from '../../functions/manifest.ts';
import { installationId } from '../builders.ts';
import { expectProblem, expectStatus, fieldErrorsSchema } from './contract.ts';
import {
  issueMak,
  kmsRequestFormOf,
  newCustomer,
  newestLink,
  requestFormOf,
  revealProductKey,
  signInStaff,
  submitRequest,
} from './customer.ts';
import type { HttpResponse } from './response.ts';
import { openStore, sortedItems, startSystem } from './system.ts';

// Invalid input of any kind gets a helpful 4xx response, never a fault, and changes nothing.

const system = await startSystem();
const staff = await signInStaff(system);
const customer = await newCustomer(system, staff);
const mak = await issueMak(customer);
const productKey = await revealProductKey(customer, mak);
const { exceptionId } = await submitRequest(system, customer, requestFormOf(customer, mak));
const link = await newestLink(system, customer);
const token = link.path.slice('/approvals/'.length);
const ids: Readonly<Record<string, string>> = {
  agreementId: customer.agreementId,
  keyId: mak.keyId,
  exceptionId,
  token,
};
const store = await openStore(system);

/** Returns all items except the stored responses to idempotent requests. */
async function itemsWithoutIdempotency() {
  return (await sortedItems(store)).filter(({ PK }) => !PK.startsWith('IDEMPOTENCY#'));
}
const before = await itemsWithoutIdempotency();

async function expectNothingChanged(): Promise<void> {
  expect(await itemsWithoutIdempotency()).toEqual(before);
}

/** A complete, valid body for each route. */
const samples: Readonly<Record<keyof typeof bodies, Readonly<Record<string, unknown>>>> = {
  'POST /agreements': { ...customer.registration, agreementNumber: 'E-other' },
  'PUT /agreements/{agreementId}/contacts': { contacts: customer.registration.contacts },
  'POST /agreements/{agreementId}/keys': { type: 'MAK', productGroup: 'server-b' },
  'POST /keys/{keyId}/reveal': {},
  'POST /activations': {
    productKey,
    installationId: installationId(1),
    product: 'windows-vista-business',
    machineName: 'PC-1',
  },
  'POST /activations/batch': {
    productKey,
    activations: [{ installationId: installationId(1), product: 'windows-vista-business', machineName: 'PC-1' }],
  },
  'POST /validations': { productKey, installationId: installationId(1) },
  'POST /kms-hosts/client-reports': { productKey, installationId: installationId(1), clients: 30 },
  'POST /keys/{keyId}/overrides': {
    installationId: installationId(1),
    callReference: 'CALL-1',
    callerName: 'Inés Oliveira',
  },
  'POST /keys/{keyId}/increases': { newLimit: 60, callReference: 'CALL-1', callerName: 'Inés Oliveira' },
  'POST /keys/{keyId}/replacements': { reason: 'It was used on client computers.', callReference: 'CALL-1' },
  'PUT /agreements/{agreementId}/notices-correspondent': customer.registration.noticesCorrespondent,
  'PUT /agreements/{agreementId}/deputy': {
    person: customer.registration.noticesCorrespondent,
    from: '2099-01-04',
    to: '2099-01-05',
  },
  'POST /plans': {
    program: 'enterprise',
    sites: [{ name: 'Elm', client: 30, 'server-a': 1, 'server-b': 2, 'server-c': 0 }],
  },
  'POST /exceptions': {
    ...kmsRequestFormOf(customer),
    language: 'en',
    noticesCorrespondent: customer.registration.noticesCorrespondent,
  },
  'POST /exceptions/{exceptionId}/questions': { text: 'Which schools?' },
  'POST /exceptions/{exceptionId}/answers': { text: 'Elm and Fir.' },
  'POST /exceptions/{exceptionId}/review': { decision: 'reject', reason: 'Too many.' },
  'POST /exceptions/{exceptionId}/withdrawal': { reason: 'No longer needed.' },
};

const routes = allRoutes();
const withBody = routes.filter(({ route }) => route in bodies).map(({ route, audience }) => ({ route, audience }));
const sampleOf = (route: Route) => (route in samples ? samples[route as keyof typeof samples] : undefined);

function tokenFor(audience: readonly Audience[]): string | undefined {
  if (audience.includes('customer') || audience.includes('signed-in')) return customer.ines.token;
  if (audience.includes('licensing-admins')) return staff.admin.token;
  if (audience.includes('call-center')) return staff.agent.token;
  return audience.includes('exceptions-team') ? staff.team.token : undefined;
}

function pathOf(route: Route, pathIds = ids): string {
  const [, path = ''] = route.split(' ');
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => pathIds[name] ?? '');
}

/** Sends a body to a route as a caller with access to it. */
function send(
  { route, audience }: { route: Route; audience: readonly Audience[] },
  body: unknown,
  contentType = 'application/json',
) {
  const [method = ''] = route.split(' ');
  const headers = { ...(contentType === '' ? {} : { 'Content-Type': contentType }), Accept: 'application/json' };
  return system.send({ method, path: pathOf(route), token: tokenFor(audience), body, headers });
}

function expectHelpfulRefusal(response: HttpResponse): ReturnType<typeof expectProblem> {
  expect(response.status, response.text).toBeGreaterThanOrEqual(400);
  expect(response.status, response.text).toBeLessThan(500);
  const code = (response.body as { code?: unknown } | undefined)?.code;
  const problem = expectProblem(response, response.status, String(code));
  for (const secret of [productKey, productKey.replaceAll('-', ''), token, link.code]) {
    expect(response.text).not.toContain(secret);
  }
  return problem;
}

describe('a body that is not JSON', () => {
  const notJson: Readonly<Record<string, string | Uint8Array>> = {
    'cut off': '{"text": "a',
    'a trailing comma': '{"text": "a",}',
    'single quotes': "{'text': 'a'}",
    'a comment': '{/* a */}',
    'not a number': '{"text": NaN}',
    'two values': '{} {}',
    'a byte order mark': '\uFEFF{}',
    'a NUL': '\u0000',
    'a bare control character': '{"text": "a\u0001b"}',
    'a form': 'text=a',
    markup: '<text>a</text>',
    '10,000 open brackets': '['.repeat(10_000),
    'bytes that are not UTF-8': new Uint8Array([0x7b, 0x22, 0x74, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
    'a character cut in two': new Uint8Array([0x22, 0xe2, 0x82, 0x22]),
    'a duplicate field': '{"text": "a", "text": "b"}',
    'a duplicate field, with an escape': '{"text": "a", "te\\u0078t": "b"}',
    'a nested duplicate field': '{"requester": {"name": "a", "email": "b", "name": "c"}}',
  };

  it.each(withBody)('is refused by $route', async (call) => {
    for (const [what, body] of Object.entries(notJson)) {
      const response = await send(call, body);
      expect(expectHelpfulRefusal(response).code, what).toBe('malformed-json');
      expectProblem(response, 400, 'malformed-json');
    }
    await expectNothingChanged();
  });
});

describe('a body of another media type', () => {
  it.each(withBody)('is refused by $route', async (call) => {
    for (const contentType of ['', 'text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'json']) {
      const body = new TextEncoder().encode(JSON.stringify(sampleOf(call.route)));
      const response = await send(call, body.length > 2 ? body : new TextEncoder().encode('{ }'), contentType);
      expectProblem(response, 415, 'unsupported-media-type');
    }
    await expectNothingChanged();
  });
});

describe('a body that is too large', () => {
  const limit = 64 * 1024;

  it.each(withBody)('is refused by $route from one byte above 64 KB', async (call) => {
    const padded = (bytes: number) => `{"color": "${'x'.repeat(bytes - 13)}"}`;
    expect(padded(limit)).toHaveLength(limit);
    expectProblem(await send(call, padded(limit)), 422, 'invalid-request');
    expectProblem(await send(call, padded(limit + 1)), 413, 'too-large');
    // The limit is in bytes, and a character can have three.
    expectProblem(await send(call, `{"color": "${'€'.repeat(limit / 3)}"}`), 413, 'too-large');
    await expectNothingChanged();
  });

  it('is refused by the approval page, too', async () => {
    const call = { route: 'POST /approvals/{token}', audience: ['link-holder'] } as const;
    expectProblem(await send(call, 'x'.repeat(limit + 1), 'application/x-www-form-urlencoded'), 413, 'too-large');
    await expectNothingChanged();
  });
});

describe('JSON with other fields than the route has', () => {
  it.each(withBody)('is refused by $route if it is not an object', async (call) => {
    for (const body of ['null', 'true', '5', '"text"', '[]', '[{}]', `${'['.repeat(10_000)}${']'.repeat(10_000)}`]) {
      const { errors } = fieldErrorsSchema.parse(expectHelpfulRefusal(await send(call, body)));
      expect(
        errors.map(({ pointer }) => pointer),
        body.slice(0, 10),
      ).toContain('');
    }
    await expectNothingChanged();
  });

  it.each(withBody)('is refused by $route, which names every unknown field', async (call) => {
    const sample = JSON.stringify(sampleOf(call.route)).slice(1, -1);
    const unknown: Readonly<Record<string, string>> = {
      '"color": "red"': '/color',
      '"a/b~c": 1': '/a~1b~0c',
      '"": 1': '/',
      '"__proto__": {"isAdmin": true}': '/__proto__',
      '"constructor": {"prototype": {"isAdmin": true}}': '/constructor',
      '"toString": 1': '/toString',
      [`"deep": ${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`]: '/deep',
    };
    for (const [field, pointer] of Object.entries(unknown)) {
      const { errors } = expectStatus(
        await send(call, `{${sample}${sample === '' ? '' : ','}${field}}`),
        422,
        fieldErrorsSchema,
      );
      expect(errors).toEqual([{ pointer, message: 'is not a field of this request' }]);
    }
    expect(({} as Record<string, unknown>).isAdmin).toBeUndefined();
    await expectNothingChanged();
  });

  it.each(withBody)('EXC-1 is refused by $route, which names all missing fields', async (call) => {
    const optional = ['level', 'machineName', 'language'];
    if (call.route.endsWith('/withdrawal')) optional.push('reason');
    if (call.route.endsWith('/replacements')) optional.push('callReference');
    if (call.route === 'POST /exceptions') optional.push('noticesCorrespondent');
    const fields = Object.keys(sampleOf(call.route) ?? {}).filter((name) => !optional.includes(name));
    const response = await send(call, { color: 'red' });
    const { errors } = expectStatus(response, 422, fieldErrorsSchema);
    const missing = errors.filter(({ pointer }) => pointer !== '/color');
    // The other fields of a review depend on its decision.
    const expected = call.route.endsWith('/review') ? ['decision'] : fields;
    expect(missing.map(({ pointer }) => pointer.slice(1)).toSorted()).toEqual(expected.toSorted());
    for (const { pointer, message } of missing)
      expect(message, pointer).toMatch(/^(is missing|must be forward or reject)/);
    await expectNothingChanged();
  });

  it('names at most 100 errors, so that the response stays below the limit of Lambda', async () => {
    const body = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`f${index}`, 1]));
    const call = { route: 'POST /activations', audience: ['device'] } as const;
    const { errors, detail } = expectStatus(await send(call, body), 422, fieldErrorsSchema);
    expect(errors).toHaveLength(100);
    expect(detail.length).toBeLessThan(500);
    await expectNothingChanged();
  });
});

/** Returns, for every value in a sample, its pointer and the sample with another value there. */
function replacements(
  sample: unknown,
  by: unknown,
  path: readonly string[] = [],
): { pointer: string; body: unknown }[] {
  if (typeof sample !== 'object' || sample === null) return [];
  return Object.entries(sample).flatMap(([name, value]) => {
    const put = (next: unknown) =>
      Array.isArray(sample) ? sample.with(Number(name), next) : { ...sample, [name]: next };
    return [
      { pointer: `/${[...path, name].join('/')}`, body: put(by) },
      ...replacements(value, by, [...path, name]).map((each) => ({ ...each, body: put(each.body) })),
    ];
  });
}

describe('a field with an invalid value', () => {
  // An invalid installation ID gets its own line in a batch, and an invalid key is not genuine. Both have the status 200.
  const accepted = /batch\/activations\/0\/installationId$|validations\/productKey$/;
  // No field of any request accepts one of these values.
  const invalidValues: Readonly<Record<string, unknown>> = {
    'a boolean': true,
    'an empty object': {},
    'a list in a list': [[]],
    'a fraction': 1.5,
    'a negative number': -1,
    'only spaces': '  ',
    'a NUL inside': 'a\u0000b',
    'an escape sequence': '\u001b[31m',
    'a text with a direction override': 'abc\u202Edef',
    'half a surrogate pair': '\ud800',
    'a very long text': 'x'.repeat(5_000),
  };

  it.each(withBody)('is refused by $route, which names the field', async (call) => {
    for (const [description, value] of Object.entries(invalidValues)) {
      await Promise.all(
        replacements(sampleOf(call.route), value).map(async ({ pointer, body }) => {
          const response = await send(call, body);
          if (response.status === 200 && accepted.test(`${call.route}${pointer}`)) return;
          const problem = expectHelpfulRefusal(response);
          // Keys and installation IDs have their own problem codes.
          if (problem.code === 'unknown-key' || problem.code === 'invalid-installation-id') return;
          const { errors } = fieldErrorsSchema.parse(problem);
          const pointers = errors.map((each) => each.pointer);
          expect(
            pointers.some((each) => each === pointer || each.startsWith(`${pointer}/`)),
            `${description}: ${pointers}`,
          ).toBe(true);
          // The message does not call a present value missing. Only fields of an empty object are missing.
          const error = errors.find((each) => each.pointer === pointer);
          expect(error?.message ?? '', `${description} in ${pointer}`).not.toContain('missing');
        }),
      );
    }
    await expectNothingChanged();
  });

  it('is refused if it is a number out of range', async () => {
    for (const [route, audience, field] of [
      ['POST /keys/{keyId}/increases', ['call-center'], 'newLimit'],
      ['POST /exceptions', ['customer'], 'activationsRequested'],
      ['POST /kms-hosts/client-reports', ['device'], 'clients'],
    ] as const) {
      for (const number of ['1e400', '-1e400', '9007199254740993', '1e21', '-0.5', '0.1', '"5"']) {
        const body = JSON.stringify({ ...sampleOf(route), [field]: '@' }).replace('"@"', number);
        const { errors } = expectStatus(await send({ route, audience }, body), 422, fieldErrorsSchema);
        expect(
          errors.map(({ pointer }) => pointer),
          number,
        ).toEqual([`/${field}`]);
      }
    }
    await expectNothingChanged();
  });

  it('is refused if it is not a calendar date', async () => {
    const call = { route: 'POST /exceptions', audience: ['customer'] } as const;
    for (const requiredDate of [
      '2027-02-29',
      '2027-13-01',
      '2027-1-1',
      '27-01-01',
      '2027-01-01T00:00:00Z',
      'tomorrow',
    ]) {
      const { errors } = expectStatus(
        await send(call, { ...sampleOf(call.route), requiredDate }),
        422,
        fieldErrorsSchema,
      );
      expect(errors).toEqual([{ pointer: '/requiredDate', message: 'must be a date such as 2027-01-31' }]);
    }
    await expectNothingChanged();
  });
});

describe('random JSON', () => {
  it('gets a helpful refusal, and changes nothing', async () => {
    const anyCall = fc.constantFrom(...withBody);
    // An empty object is a valid request if no field is required.
    const anyBody = fc
      .oneof(
        fc.jsonValue({ maxDepth: 4 }),
        fc.dictionary(fc.constantFrom('text', 'reason', 'decision', '__proto__'), fc.jsonValue()),
      )
      .filter((value) => JSON.stringify(value) !== '{}')
      // An unknown field makes sure that no random object is valid.
      .map((value) =>
        typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value, color: 1 } : value,
      );
    await fc.assert(
      fc.asyncProperty(anyCall, anyBody, async (call, body) => {
        expectHelpfulRefusal(await send(call, JSON.stringify(body)));
      }),
      { numRuns: 150 },
    );
    await expectNothingChanged();
  });
});

describe('an unknown address', () => {
  const hostileIds: Readonly<Record<string, string>> = {
    absent: 'E-nobody',
    'very long': 'x'.repeat(3_000),
    'a NUL': '%00',
    'a slash, encoded': 'a%2Fb',
    'parent folders, encoded': '%2e%2e%2f%2e%2e',
    'a hash, encoded': 'a%23KEY',
    'a direction override': '%E2%80%AEabc',
    'a quotation': "'%20OR%20'1'='1",
    'invalid encoding': '%zz',
    'incomplete encoding': '%e2%82',
    'a percent sign': '%',
    'encoded twice': '%2525',
    'a brace': '%7BkeyId%7D',
  };
  const withIds = routes.filter(({ route }) => route.includes('{'));

  it.each(withIds)('is not found by $route, whatever its ID', async ({ route, audience }) => {
    const [method = ''] = route.split(' ');
    for (const [description, id] of Object.entries(hostileIds)) {
      const path = pathOf(route, { agreementId: id, keyId: id, exceptionId: id, token: id });
      const body = sampleOf(route) ?? (method === 'GET' ? undefined : { code: '123456', decision: 'approve' });
      const headers = { Accept: 'application/json' };
      const response = await system.send({ method, path, token: tokenFor(audience), headers, body });
      expect(response.status, `${description}: ${response.text}`).toBe(404);
      expect(['not-found', 'link-unknown']).toContain(expectHelpfulRefusal(response).code);
    }
    await expectNothingChanged();
  });

  it('is not found if a part of its path is empty, missing or unknown', async () => {
    const headers = { Authorization: `Bearer ${customer.ines.token}` };
    const paths = [
      '/nowhere',
      '/agreements/',
      '/agreements//keys',
      '/keys//grants',
      `/keys/${mak.keyId}/`,
      `/keys/${mak.keyId}/nothing`,
      '/health/',
      '/HEALTH',
      '/constructor',
      '/__proto__',
    ];
    for (const path of paths) expectProblem(await system.sendRaw('GET', path, headers), 404, 'not-found');
    expect((await system.sendRaw('HEAD', '/nowhere', headers)).status).toBe(404);
    await expectNothingChanged();
  });

  it('has the status 405 if only the method is wrong', async () => {
    const headers = { Authorization: `Bearer ${customer.ines.token}` };
    const otherMethods = [
      ['DELETE', `/keys/${mak.keyId}`, 'GET, HEAD'],
      ['PATCH', `/agreements/${customer.agreementId}`, 'GET, HEAD'],
      ['PUT', `/exceptions/${exceptionId}`, 'GET, HEAD'],
      ['GET', '/activations', 'POST'],
    ] as const;
    for (const [method, path, allow] of otherMethods) {
      const response = await system.sendRaw(method, path, headers);
      expectProblem(response, 405, 'method-not-allowed');
      expect(response.headers.get('allow')).toBe(allow);
    }
    const head = await system.sendRaw('HEAD', `/keys/${mak.keyId}`, headers);
    expect(head).toMatchObject({ status: 200, text: '' });
    await expectNothingChanged();
  });

  it('gets a 4xx response if it is not a valid path', async () => {
    for (const path of [
      '//',
      '///',
      '//[',
      '//evil.example/health',
      '/\\',
      '/%',
      '/%00',
      `/${'a/'.repeat(3_000)}`,
      '/keys?%zz=%',
    ]) {
      const response = await system.sendRaw('GET', path, { Authorization: `Bearer ${customer.ines.token}` });
      expect(response.status, path.slice(0, 30)).toBeGreaterThanOrEqual(400);
      expect(response.status, path.slice(0, 30)).toBeLessThan(500);
    }
    await expectNothingChanged();
  });
});

describe('an invalid idempotency key', () => {
  const signedIn = withBody.filter(
    ({ route, audience }) => route.startsWith('POST') && tokenFor(audience) !== undefined,
  );

  it.each(signedIn)('is refused by $route', async ({ route, audience }) => {
    for (const key of ['', 'x'.repeat(256), 'é', 'a\tb']) {
      const headers = { 'Idempotency-Key': key };
      const response = await system.send({
        method: 'POST',
        path: pathOf(route),
        token: tokenFor(audience),
        headers,
        body: sampleOf(route),
      });
      const { errors } = expectStatus(response, 422, fieldErrorsSchema);
      expect(errors.map(({ pointer }) => pointer)).toEqual(['/headers/idempotency-key']);
    }
    await expectNothingChanged();
  });
});

describe('an invalid decision form', () => {
  const post = (body: string, contentType = 'application/x-www-form-urlencoded') =>
    system.send({
      method: 'POST',
      path: link.path,
      body,
      headers: { 'Content-Type': contentType, Accept: 'application/json' },
    });

  it('APR-2 is refused by the approval page, which names the errors, and counts as no attempt', async () => {
    for (const [body, pointers] of [
      ['', ['/code', '/decision']],
      ['code=&decision=approve', ['/code']],
      ['code=12345&decision=approve', ['/code']],
      [`code=${link.code}`, ['/decision']],
      [`code=${link.code}&decision=maybe`, ['/decision']],
      [`code=${link.code}&decision=approve&comment=${'x'.repeat(1_001)}`, ['/comment']],
      [`code=${link.code}&decision=approve&comment=a%00b`, ['/comment']],
      [`code=%FF%FE&decision=approve`, ['/code']],
    ] as const) {
      const { errors } = expectStatus(await post(body), 422, fieldErrorsSchema);
      expect(
        errors.map(({ pointer }) => pointer),
        body.slice(0, 40),
      ).toEqual(pointers);
    }
    await expectNothingChanged();
  });

  it('is refused as JSON and by its media type, too', async () => {
    expectProblem(await post('{"code": "1', 'application/json'), 400, 'malformed-json');
    expectProblem(await post('{"decision": "deny", "decision": "approve"}', 'application/json'), 400, 'malformed-json');
    expectProblem(await post('null', 'application/json'), 422, 'invalid-request');
    expectProblem(await post('[]', 'application/json'), 422, 'invalid-request');
    expectProblem(await post('{"code": 5, "decision": {}}', 'application/json'), 422, 'invalid-request');
    expectProblem(await post('code=1', 'multipart/form-data; boundary=a'), 415, 'unsupported-media-type');
    expectProblem(await post('code=1', 'text/plain'), 415, 'unsupported-media-type');
    await expectNothingChanged();
  });
});
