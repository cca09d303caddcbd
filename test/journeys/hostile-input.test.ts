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

// Whatever comes in at the door: the answer is a "no" that helps, never a fault, and nothing changes.

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

/** All that is kept, but for the answers that repeated requests would be given. */
async function allBut() {
  return (await sortedItems(store)).filter(({ PK }) => !PK.startsWith('IDEMPOTENCY#'));
}
const before = await allBut();

async function expectNothingChanged(): Promise<void> {
  expect(await allBut()).toEqual(before);
}

/** What a call of each route may say: complete, and sent as it is it would be taken. */
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
  'POST /keys/{keyId}/replacements': { reason: 'It was typed on clients.', callReference: 'CALL-1' },
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
const withBody = routes.filter(({ route }) => route in bodies).map(({ route, audience: who }) => ({ route, who }));
const sampleOf = (route: Route) => (route in samples ? samples[route as keyof typeof samples] : undefined);

function tokenFor(who: readonly Audience[]): string | undefined {
  if (who.includes('customer') || who.includes('signed-in')) return customer.ines.token;
  if (who.includes('licensing-admins')) return staff.admin.token;
  if (who.includes('call-center')) return staff.agent.token;
  return who.includes('exceptions-team') ? staff.team.token : undefined;
}

function pathOf(route: Route, named = ids): string {
  const [, path = ''] = route.split(' ');
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => named[name] ?? '');
}

/** Sends a body, as it is, to a route by somebody who may call it. */
function send(
  { route, who }: { route: Route; who: readonly Audience[] },
  body: unknown,
  contentType = 'application/json',
) {
  const [method = ''] = route.split(' ');
  const headers = { ...(contentType === '' ? {} : { 'Content-Type': contentType }), Accept: 'application/json' };
  return system.send({ method, path: pathOf(route), token: tokenFor(who), body, headers });
}

function expectHelpfulNo(answer: HttpResponse): ReturnType<typeof expectProblem> {
  expect(answer.status, answer.text).toBeGreaterThanOrEqual(400);
  expect(answer.status, answer.text).toBeLessThan(500);
  const code = (answer.body as { code?: unknown } | undefined)?.code;
  const problem = expectProblem(answer, answer.status, String(code));
  for (const secret of [productKey, productKey.replaceAll('-', ''), token, link.code]) {
    expect(answer.text).not.toContain(secret);
  }
  return problem;
}

describe('a body that is not JSON', () => {
  const notJson: Readonly<Record<string, string | Uint8Array>> = {
    'cut off': '{"text": "a',
    'a comma too many': '{"text": "a",}',
    'single quotes': "{'text': 'a'}",
    'a comment': '{/* a */}',
    'not a number': '{"text": NaN}',
    'two values': '{} {}',
    'a byte order mark': '\uFEFF{}',
    'a NUL': '\u0000',
    'a bare control character': '{"text": "a\u0001b"}',
    'a form': 'text=a',
    markup: '<text>a</text>',
    'ten thousand brackets, never closed': '['.repeat(10_000),
    'bytes that are no UTF-8': new Uint8Array([0x7b, 0x22, 0x74, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
    'a character cut in two': new Uint8Array([0x22, 0xe2, 0x82, 0x22]),
    'a field named twice': '{"text": "a", "text": "b"}',
    'a field named twice, once with an escape': '{"text": "a", "te\\u0078t": "b"}',
    'a field named twice, further in': '{"requester": {"name": "a", "email": "b", "name": "c"}}',
  };

  it.each(withBody)('is refused as such by $route', async (call) => {
    for (const [what, body] of Object.entries(notJson)) {
      const answer = await send(call, body);
      expect(expectHelpfulNo(answer).code, what).toBe('malformed-json');
      expectProblem(answer, 400, 'malformed-json');
    }
    await expectNothingChanged();
  });
});

describe('a body of another media type', () => {
  it.each(withBody)('is refused by $route, which takes JSON only', async (call) => {
    for (const contentType of ['', 'text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'json']) {
      const body = new TextEncoder().encode(JSON.stringify(sampleOf(call.route)));
      const answer = await send(call, body.length > 2 ? body : new TextEncoder().encode('{ }'), contentType);
      expectProblem(answer, 415, 'unsupported-media-type');
    }
    await expectNothingChanged();
  });
});

describe('a body that is too large', () => {
  const limit = 64 * 1024;

  it.each(withBody)('is refused by $route from one byte above 64 KB', async (call) => {
    const padded = (bytes: number) => `{"colour": "${'x'.repeat(bytes - 14)}"}`;
    expect(padded(limit)).toHaveLength(limit);
    expectProblem(await send(call, padded(limit)), 422, 'invalid-request');
    expectProblem(await send(call, padded(limit + 1)), 413, 'too-large');
    // Counted in bytes: a character may take three.
    expectProblem(await send(call, `{"colour": "${'€'.repeat(limit / 3)}"}`), 413, 'too-large');
    await expectNothingChanged();
  });

  it('is refused by the approval page as well', async () => {
    const call = { route: 'POST /approvals/{token}', who: ['link-holder'] } as const;
    expectProblem(await send(call, 'x'.repeat(limit + 1), 'application/x-www-form-urlencoded'), 413, 'too-large');
    await expectNothingChanged();
  });
});

describe('JSON that is no such request', () => {
  it.each(withBody)('is refused by $route when it is not even an object', async (call) => {
    for (const body of ['null', 'true', '5', '"text"', '[]', '[{}]', `${'['.repeat(10_000)}${']'.repeat(10_000)}`]) {
      const { errors } = fieldErrorsSchema.parse(expectHelpfulNo(await send(call, body)));
      expect(
        errors.map(({ pointer }) => pointer),
        body.slice(0, 10),
      ).toContain('');
    }
    await expectNothingChanged();
  });

  it.each(withBody)('is refused by $route with every field that it does not know named', async (call) => {
    const sample = JSON.stringify(sampleOf(call.route)).slice(1, -1);
    const unknown: Readonly<Record<string, string>> = {
      '"colour": "red"': '/colour',
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

  it.each(withBody)('EXC-1 is refused by $route with every field that is missing named at once', async (call) => {
    const optional = ['level', 'machineName', 'language'];
    if (call.route.endsWith('/withdrawal')) optional.push('reason');
    if (call.route.endsWith('/replacements')) optional.push('callReference');
    if (call.route === 'POST /exceptions') optional.push('noticesCorrespondent');
    const fields = Object.keys(sampleOf(call.route) ?? {}).filter((name) => !optional.includes(name));
    const answer = await send(call, { colour: 'red' });
    const { errors } = expectStatus(answer, 422, fieldErrorsSchema);
    const missing = errors.filter(({ pointer }) => pointer !== '/colour');
    // A decision on a review is one of two; which fields go with it shows only once it is made.
    const wanted = call.route.endsWith('/review') ? ['decision'] : fields;
    expect(missing.map(({ pointer }) => pointer.slice(1)).toSorted()).toEqual(wanted.toSorted());
    for (const { pointer, message } of missing)
      expect(message, pointer).toMatch(/^(is missing|must be forward or reject)/);
    await expectNothingChanged();
  });

  it('names no more than a hundred mistakes, so that an answer never grows beyond what a function may send', async () => {
    const body = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`f${index}`, 1]));
    const call = { route: 'POST /activations', who: ['device'] } as const;
    const { errors, detail } = expectStatus(await send(call, body), 422, fieldErrorsSchema);
    expect(errors).toHaveLength(100);
    expect(detail.length).toBeLessThan(500);
    await expectNothingChanged();
  });
});

/** Every place in a sample where a value stands, with the sample that has another value there. */
function replaced(sample: unknown, by: unknown, path: readonly string[] = []): { pointer: string; body: unknown }[] {
  if (typeof sample !== 'object' || sample === null) return [];
  return Object.entries(sample).flatMap(([name, value]) => {
    const put = (next: unknown) =>
      Array.isArray(sample) ? sample.with(Number(name), next) : { ...sample, [name]: next };
    return [
      { pointer: `/${[...path, name].join('/')}`, body: put(by) },
      ...replaced(value, by, [...path, name]).map((each) => ({ ...each, body: put(each.body) })),
    ];
  });
}

describe('a field that holds what it must not', () => {
  // What is no installation id has a line of its own in a batch, and what is no key is not genuine: that is the answer.
  const tells = /batch\/activations\/0\/installationId$|validations\/productKey$/;
  // None of these may stand anywhere in any request.
  const never: Readonly<Record<string, unknown>> = {
    'a truth': true,
    'an empty object': {},
    'a list in a list': [[]],
    'a fraction': 1.5,
    'less than nothing': -1,
    'nothing but spaces': '  ',
    'a NUL inside': 'a\u0000b',
    'an escape sequence': '\u001b[31m',
    'a turned text': 'abc\u202Edef',
    'half a character': '\ud800',
    'a text beyond all bounds': 'x'.repeat(5_000),
  };

  it.each(withBody)('is refused by $route, which names it', async (call) => {
    for (const [what, value] of Object.entries(never)) {
      await Promise.all(
        replaced(sampleOf(call.route), value).map(async ({ pointer, body }) => {
          const answer = await send(call, body);
          if (answer.status === 200 && tells.test(`${call.route}${pointer}`)) return;
          const problem = expectHelpfulNo(answer);
          // A key or an installation id that is none is refused in its own words.
          if (problem.code === 'unknown-key' || problem.code === 'invalid-installation-id') return;
          const { errors } = fieldErrorsSchema.parse(problem);
          const named = errors.map((each) => each.pointer);
          expect(
            named.some((each) => each === pointer || each.startsWith(`${pointer}/`)),
            `${what}: ${named}`,
          ).toBe(true);
          // What is there, though wrong, is not called missing; only what an empty object should have held is.
          const there = errors.find((each) => each.pointer === pointer);
          expect(there?.message ?? '', `${what} in ${pointer}`).not.toContain('missing');
        }),
      );
    }
    await expectNothingChanged();
  });

  it('is refused where a number is beyond all numbers', async () => {
    for (const [route, who, field] of [
      ['POST /keys/{keyId}/increases', ['call-center'], 'newLimit'],
      ['POST /exceptions', ['customer'], 'activationsRequested'],
      ['POST /kms-hosts/client-reports', ['device'], 'clients'],
    ] as const) {
      for (const number of ['1e400', '-1e400', '9007199254740993', '1e21', '-0.5', '0.1', '"5"']) {
        const body = JSON.stringify({ ...sampleOf(route), [field]: '@' }).replace('"@"', number);
        const { errors } = expectStatus(await send({ route, who }, body), 422, fieldErrorsSchema);
        expect(
          errors.map(({ pointer }) => pointer),
          number,
        ).toEqual([`/${field}`]);
      }
    }
    await expectNothingChanged();
  });

  it('is refused where a day is on no calendar', async () => {
    const call = { route: 'POST /exceptions', who: ['customer'] } as const;
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

describe('any JSON at all', () => {
  it('is answered with a helpful no, and changes nothing', async () => {
    const anyCall = fc.constantFrom(...withBody);
    // An empty object is a whole request where no field is needed.
    const anyBody = fc
      .oneof(
        fc.jsonValue({ maxDepth: 4 }),
        fc.dictionary(fc.constantFrom('text', 'reason', 'decision', '__proto__'), fc.jsonValue()),
      )
      .filter((value) => JSON.stringify(value) !== '{}')
      // With one field more than there is, nothing that happens to be right gets through.
      .map((value) =>
        typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value, colour: 1 } : value,
      );
    await fc.assert(
      fc.asyncProperty(anyCall, anyBody, async (call, body) => {
        expectHelpfulNo(await send(call, JSON.stringify(body)));
      }),
      { numRuns: 150 },
    );
    await expectNothingChanged();
  });
});

describe('an address that leads nowhere', () => {
  const hostileIds: Readonly<Record<string, string>> = {
    absent: 'E-nobody',
    'very long': 'x'.repeat(3_000),
    'a NUL': '%00',
    'a slash, encoded': 'a%2Fb',
    'up, encoded': '%2e%2e%2f%2e%2e',
    'a hash, encoded': 'a%23KEY',
    'turned around': '%E2%80%AEabc',
    'a quotation': "'%20OR%20'1'='1",
    'encoded wrongly': '%zz',
    'encoded half': '%e2%82',
    'a percent sign': '%',
    'encoded twice': '%2525',
    'a brace': '%7BkeyId%7D',
  };
  const withIds = routes.filter(({ route }) => route.includes('{'));

  it.each(withIds)('is not found by $route, whatever its id is', async ({ route, audience: who }) => {
    const [method = ''] = route.split(' ');
    for (const [what, id] of Object.entries(hostileIds)) {
      const path = pathOf(route, { agreementId: id, keyId: id, exceptionId: id, token: id });
      const body = sampleOf(route) ?? (method === 'GET' ? undefined : { code: '123456', decision: 'approve' });
      const headers = { Accept: 'application/json' };
      const answer = await system.send({ method, path, token: tokenFor(who), headers, body });
      expect(answer.status, `${what}: ${answer.text}`).toBe(404);
      expect(['not-found', 'link-unknown']).toContain(expectHelpfulNo(answer).code);
    }
    await expectNothingChanged();
  });

  it('is not found where a part of the path is empty, is missing or is too much, or the method is another', async () => {
    const headers = { Authorization: `Bearer ${customer.ines.token}` };
    const nowhere = [
      ['GET', '/nowhere'],
      ['GET', '/agreements/'],
      ['GET', '/agreements//keys'],
      ['GET', '/keys//grants'],
      ['GET', `/keys/${mak.keyId}/`],
      ['GET', `/keys/${mak.keyId}/nothing`],
      ['GET', '/health/'],
      ['GET', '/HEALTH'],
      ['GET', '/constructor'],
      ['GET', '/__proto__'],
      ['DELETE', `/keys/${mak.keyId}`],
      ['PATCH', `/agreements/${customer.agreementId}`],
      ['PUT', `/exceptions/${exceptionId}`],
      ['GET', '/activations'],
      ['HEAD', `/keys/${mak.keyId}`],
    ] as const;
    for (const [method, path] of nowhere) {
      const answer = await system.sendRaw(method, path, headers);
      if (method === 'HEAD') expect(answer.status).toBe(404);
      else expectProblem(answer, 404, 'not-found');
    }
    await expectNothingChanged();
  });

  it('is a no and no fault where the path is no path', async () => {
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
      const answer = await system.sendRaw('GET', path, { Authorization: `Bearer ${customer.ines.token}` });
      expect(answer.status, path.slice(0, 30)).toBeGreaterThanOrEqual(400);
      expect(answer.status, path.slice(0, 30)).toBeLessThan(500);
    }
    await expectNothingChanged();
  });
});

describe('an idempotency key that is none', () => {
  const signedIn = withBody.filter(({ route, who }) => route.startsWith('POST') && tokenFor(who) !== undefined);

  it.each(signedIn)('is refused by $route', async ({ route, who }) => {
    for (const key of ['', 'x'.repeat(256), 'é', 'a\tb']) {
      const headers = { 'Idempotency-Key': key };
      const answer = await system.send({
        method: 'POST',
        path: pathOf(route),
        token: tokenFor(who),
        headers,
        body: sampleOf(route),
      });
      const { errors } = expectStatus(answer, 422, fieldErrorsSchema);
      expect(errors.map(({ pointer }) => pointer)).toEqual(['/headers/idempotency-key']);
    }
    await expectNothingChanged();
  });
});

describe('a form that is no decision', () => {
  const post = (body: string, contentType = 'application/x-www-form-urlencoded') =>
    system.send({
      method: 'POST',
      path: link.path,
      body,
      headers: { 'Content-Type': contentType, Accept: 'application/json' },
    });

  it('APR-2 is refused by the approval page, which names what is wrong, and spends none of the tries', async () => {
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

  it('is refused as JSON too, and by its media type', async () => {
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
