import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { refuse } from '../../../domain/refusal.ts';
import { Secret } from '../../../domain/secret.ts';
import { createApiHandler } from '../../../functions/http/handler.ts';
import { parseJson } from '../../../functions/http/json.ts';
import { listResponse, parsePageRequest } from '../../../functions/http/paging.ts';
import type { ApiRequest } from '../../../functions/http/parse-request.ts';
import type { HttpResponse, RefusalResponse } from '../../../functions/http/response.ts';
import type { Route } from '../../../functions/manifest.ts';
import { setClock } from '../../../functions/runtime/clock.ts';
import { getStore } from '../../../functions/runtime/store.ts';
import { ContentionError } from '../../../store/dynamodb/table.ts';
import { ines, jorge } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { scanAllItems, startTestDynamoDb } from '../../store/dynamodb.ts';
import { captureOutput } from '../captured-logs.ts';

const engine = await startTestDynamoDb();
const { tableName } = await engine.newStore();
Object.assign(process.env, {
  TABLE_NAME: tableName,
  ROOT_SECRET: 'a root secret for tests, of more than 32 bytes',
  POWERTOOLS_LOG_LEVEL: 'INFO',
});
setClock(() => mondayTen);
const printed = captureOutput();

type Run = (call: ApiRequest<Route>) => Promise<HttpResponse | RefusalResponse>;

/** A function of the portal whose one route does this. */
const metaModule = await import('../../../functions/api/meta.ts');

const withRoute = (route: Route, run: Run) => createApiHandler('customer', { [route]: run } as never);
const planning = (run: Run) => withRoute('POST /plans', run);
const plan = { program: 'open', sites: [{ name: 'Elm', client: 30 }] };

type RequestOptions = {
  readonly route?: string;
  readonly body?: string | undefined;
  readonly base64?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly claims?: object | undefined;
  readonly query?: Readonly<Record<string, string>>;
};

/** Returns an event as the gateway creates it, by default from Inés. */
function event({
  route = 'POST /plans',
  body = JSON.stringify(plan),
  base64 = false,
  headers = {},
  claims = { email: ines.email },
  query = {},
}: RequestOptions): APIGatewayProxyEventV2 {
  const [method = '', path = ''] = route.split(' ');
  return {
    version: '2.0',
    routeKey: route,
    rawPath: path,
    rawQueryString: String(new URLSearchParams(query)),
    headers: { 'content-type': 'application/json', ...headers },
    queryStringParameters: query,
    pathParameters: {},
    body,
    isBase64Encoded: base64,
    requestContext: {
      requestId: randomUUID(),
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'test' },
      authorizer: { jwt: { claims, scopes: null } },
    },
  } as unknown as APIGatewayProxyEventV2;
}

const rawResponseSchema = z.object({
  statusCode: z.int(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
});

async function call(handler: ReturnType<typeof withRoute>, request: RequestOptions | APIGatewayProxyEventV2 = {}) {
  const apiEvent = 'version' in request ? request : event(request as RequestOptions);
  const { statusCode, headers, body } = rawResponseSchema.parse(await handler(apiEvent, {} as Context));
  const json: unknown = body.startsWith('{') ? JSON.parse(body) : undefined;
  return { status: statusCode, headers, body, json, requestId: apiEvent.requestContext.requestId };
}

const fine: Run = () => Promise.resolve({ status: 201, body: { made: 1 } });

describe('a response', () => {
  it('has the ID of the request, is never cached, is JSON, and has the security headers', async () => {
    const { status, headers, json, requestId } = await call(planning(fine));
    expect([status, json]).toEqual([201, { made: 1 }]);
    expect(headers).toEqual({
      'cache-control': 'no-store',
      'content-type': 'application/json',
      'Strict-Transport-Security': 'max-age=63072000',
      'X-Content-Type-Options': 'nosniff',
      'x-request-id': requestId,
    });
  });

  it('can be a page, and can be empty', async () => {
    const page = planning(() =>
      Promise.resolve({ status: 200, body: '<p>', headers: { 'content-type': 'text/html' } }),
    );
    expect(await call(page)).toMatchObject({ body: '<p>', headers: { 'content-type': 'text/html' } });
    const nothing = await call(planning(() => Promise.resolve({ status: 204 })));
    expect(nothing).toMatchObject({ status: 204, body: '' });
    expect(nothing.headers).not.toHaveProperty('content-type');
  });

  it('is a problem document for a refusal, with the status of its code or of the route', async () => {
    const refusal = refuse('key-blocked', 'Use the new key.', { replacedBy: null });
    const usual = await call(planning(() => Promise.resolve(refusal)));
    expect(usual).toMatchObject({ status: 409, headers: { 'content-type': 'application/problem+json' } });
    expect(usual.json).toMatchObject({ status: 409, code: 'key-blocked', replacedBy: null });
    const own = await call(planning(() => Promise.resolve({ ...refusal, status: 403 })));
    expect([own.status, own.json]).toEqual([403, expect.objectContaining({ status: 403 })]);
  });

  it('to a refusal can be a page, and is logged and counted by its code', async () => {
    const page = { html: '<p>', headers: { 'content-type': 'text/html' } };
    const refusal = refuse('key-blocked', 'Use the new key.', { replacedBy: null });
    const response = await call(planning(() => Promise.resolve({ ...refusal, status: 410, page })));
    expect(response).toMatchObject({ status: 410, body: '<p>', headers: { 'content-type': 'text/html' } });
    const lines = printed.lines().filter((line) => line.includes('key-blocked'));
    expect(lines.filter((line) => line.includes('"message":"request completed"'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('"refusals"'))).toHaveLength(1);
  });

  it('is not-found on a route that the function does not have', async () => {
    for (const route of ['$default', 'GET /nothing', 'GET /agreements']) {
      expect((await call(planning(fine), { route })).status, route).toBe(404);
    }
  });
});

describe('a HEAD request', () => {
  it('APR-5 has the status and headers of GET, and no body', async () => {
    const handler = createApiHandler('approvals', {
      'GET /approvals/{token}': () =>
        Promise.resolve({ status: 200, body: '<p>', headers: { 'content-type': 'text/html' } }),
    } as never);
    const get = event({ route: 'GET /approvals/{token}', body: '' });
    const head = event({ route: 'HEAD /approvals/{token}', body: '' });
    expect(await call(handler as never, get)).toMatchObject({ status: 200, body: '<p>' });
    expect(await call(handler as never, head)).toMatchObject({
      status: 200,
      body: '',
      headers: { 'content-type': 'text/html' },
    });
  });
});

describe('an address without a route', () => {
  const { handler } = metaModule;
  const at = (method: string, path: string, accept = '*/*') =>
    call(handler, { ...event({ route: `${method} ${path}`, headers: { accept } }), routeKey: '$default' });

  it('is not-found if no method has a route there', async () => {
    const response = await at('GET', '/nothing-here');
    expect(response).toMatchObject({ status: 404, json: { code: 'not-found' } });
    expect(response.headers).not.toHaveProperty('allow');
  });

  it.each([
    ['GET', '/activations', 'POST'],
    ['DELETE', '/agreements', 'GET, HEAD, POST'],
    ['PATCH', '/keys/0123/reveal', 'POST'],
  ])('is 405 with the other methods in Allow: %s %s', async (method, path, allow) => {
    const response = await at(method, path);
    expect(response).toMatchObject({ status: 405, json: { code: 'method-not-allowed' }, headers: { allow } });
  });

  it('is a page for a browser', async () => {
    for (const path of ['/nothing-here', '/activations']) {
      const response = await at('GET', path, 'text/html,*/*');
      expect(response.headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'referrer-policy': 'no-referrer',
      });
      expect(response.body).toContain('This page does not exist');
    }
  });
});

describe('an unknown query parameter', () => {
  it.each(['POST /plans', 'GET /agreements'] as const)(
    'is refused by a JSON route, with its name: %s',
    async (route) => {
      const response = await call(withRoute(route, fine), {
        route,
        query: { foo: 'bar' },
        ...(route.startsWith('GET') ? { body: '' } : {}),
      });
      expect(response).toMatchObject({
        status: 422,
        json: {
          code: 'invalid-request',
          errors: [{ pointer: '/query/foo', message: 'is not a parameter of this route' }],
        },
      });
    },
  );

  it('is ignored by a page, because email programs add their own', async () => {
    const handler = createApiHandler('approvals', { 'GET /approvals/{token}': fine } as never);
    const response = await call(handler as never, {
      route: 'GET /approvals/{token}',
      body: '',
      query: { utm_source: 'mail' },
    });
    expect(response.status).toBe(201);
  });
});

describe('a request', () => {
  it('reaches the handler parsed: caller, body, and time', async () => {
    const seen: ApiRequest<Route>[] = [];
    const handler = planning((each) => {
      seen.push(each);
      return fine(each);
    });
    await call(handler, { claims: { email: 'Ines@Alder.Example', 'cognito:groups': '[call-center]' } });
    const bytes = Buffer.from(JSON.stringify({ ...plan, sites: [{ name: 'Schüle' }] }));
    await call(handler, { body: bytes.toString('base64'), base64: true });
    expect(seen[0]).toMatchObject({
      caller: { email: ines.email, roles: ['call-center'] },
      body: { program: 'open' },
      now: mondayTen,
    });
    expect(seen[1]?.body).toMatchObject({ sites: [{ name: 'Schüle' }] });
    expect(seen[0]?.operationId).not.toBe(seen[1]?.operationId);
  });

  it('can have headers in any case', async () => {
    const { status } = await call(planning(fine), {
      headers: { 'content-type': '', 'Content-Type': 'Application/JSON; Charset=UTF-8' },
    });
    expect(status).toBe(201);
  });

  it('without a body counts as an empty object', async () => {
    const reveal = withRoute('POST /keys/{keyId}/reveal', fine);
    for (const body of [undefined, '', '  ', '{}']) {
      const sent = { ...event({ route: 'POST /keys/{keyId}/reveal' }), ...(body === undefined ? {} : { body }) };
      if (body === undefined) Reflect.deleteProperty(sent, 'body');
      expect((await call(reveal, sent)).status, String(body)).toBe(201);
    }
  });
});

describe('an error', () => {
  it('of contention says when to try again', async () => {
    const { status, headers, json } = await call(
      planning(() => Promise.reject(new ContentionError('bucket 5 of key 7'))),
    );
    expect([status, headers['retry-after']]).toEqual([503, '2']);
    expect(headers['content-type']).toBe('application/problem+json');
    expect(json).toMatchObject({ status: 503, code: 'busy', title: expect.any(String), detail: expect.any(String) });
    expect(JSON.stringify(json)).not.toContain('bucket 5');
  });

  it('that is a fault shows no details, but the request ID that finds it in the log', async () => {
    const { status, json, requestId } = await call(
      planning(() => Promise.reject(new TypeError('x is not a function'))),
    );
    expect(status).toBe(500);
    expect(json).toMatchObject({ status: 500, code: 'fault', detail: expect.stringContaining(requestId) });
    expect(JSON.stringify(json)).not.toContain('not a function');
    expect(printed.text()).toContain('x is not a function');
    expect(printed.text()).toContain(requestId);
  });

  it('APR-5 is a page for browsers, and a problem document for callers that ask for JSON', async () => {
    const page = (accept: string, requestId: string) =>
      accept === 'application/json'
        ? undefined
        : { html: `<h1>${requestId}</h1>`, headers: { 'content-type': 'text/html', 'referrer-policy': 'no-referrer' } };
    const handler = createApiHandler('customer', { 'POST /plans': () => Promise.reject(new Error('no')) } as never, {
      faultPage: page,
    });
    const shown = await handler(event({ headers: { Accept: 'text/html' } }), {} as Context);
    expect([shown.statusCode, shown.body]).toEqual([500, `<h1>${shown.headers?.['x-request-id']}</h1>`]);
    expect(shown.headers).toMatchObject({ 'content-type': 'text/html', 'referrer-policy': 'no-referrer' });
    const problem = await handler(event({ headers: { Accept: 'application/json' } }), {} as Context);
    expect([problem.statusCode, problem.headers?.['content-type']]).toEqual([500, 'application/problem+json']);
  });

  it('is a fault also when the thrown value is not an Error', async () => {
    expect((await call(planning(() => Promise.reject('a text')))).status).toBe(500);
    expect((await call(planning(() => Promise.reject(undefined)))).status).toBe(500);
  });
});

describe('a request with an idempotency key', () => {
  const header = () => ({ 'idempotency-key': randomUUID() });

  it('takes effect once, and gets the same response again', async () => {
    let done = 0;
    const handler = planning(() => {
      done += 1;
      return Promise.resolve({ status: 201, body: { done } });
    });
    const headers = header();
    const [first, second] = [await call(handler, { headers }), await call(handler, { headers })];
    expect([second.status, second.body, done]).toEqual([first.status, first.body, 1]);
    expect(second.headers['x-request-id']).toBe(second.requestId);
    const byTom = await call(handler, { headers, claims: { email: jorge.email } });
    expect(byTom.json).toEqual({ done: 2 });
  });

  it('is refused while the first one runs', async () => {
    const headers = header();
    const started = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const handler = planning(async () => {
      started.resolve();
      await gate.promise;
      return { status: 201 };
    });
    const first = call(handler, { headers });
    await started.promise;
    const second = await call(handler, { headers });
    expect(second.json).toMatchObject({ status: 409, code: 'request-in-progress' });
    gate.resolve();
    expect((await first).status).toBe(201);
    expect((await call(handler, { headers })).status).toBe(201);
  });

  it('is refused with another body', async () => {
    const headers = header();
    await call(planning(fine), { headers });
    const other = await call(planning(fine), { headers, body: JSON.stringify({ ...plan, program: 'select' }) });
    expect(other.json).toMatchObject({ status: 409, code: 'idempotency-key-reused' });
  });

  it('has the same operation ID each time, also after a fault, which can be retried at once', async () => {
    const headers = header();
    const operations: string[] = [];
    const failingFirst = planning(({ operationId: operation }) => {
      operations.push(operation);
      if (operations.length === 1) return Promise.reject(new Error('cut off'));
      if (operations.length === 2) return Promise.reject(new ContentionError('busy'));
      return Promise.resolve({ status: 201 });
    });
    const statuses: number[] = [];
    for (let tries = 1; tries <= 4; tries += 1) statuses.push((await call(failingFirst, { headers })).status);
    expect(statuses).toEqual([500, 503, 201, 201]);
    expect(operations).toHaveLength(3);
    expect(new Set(operations).size).toBe(1);
  });

  it('succeeds if the response cannot be stored', async () => {
    const headers = header();
    const { client } = getStore();
    const send = client.send.bind(client);
    let calls = 0;
    vi.spyOn(client, 'send').mockImplementation((...command: Parameters<typeof send>) => {
      calls += 1;
      // The first two calls claim the idempotency key. The third one stores the response.
      return calls < 3 ? send(...command) : Promise.reject(new Error('the table is gone'));
    });
    expect((await call(planning(fine), { headers })).status).toBe(201);
    expect(printed.text()).toContain('idempotent response not stored');
  });

  it('KEY-6 stores a response that has a product key encrypted', async () => {
    const headers = header();
    const productKey = 'BCDFG-HJKMP-QRTVW-XY234-6789B';
    const handler = planning(() => Promise.resolve({ status: 200, body: { productKey } }));
    expect((await call(handler, { headers })).body).toContain(productKey);
    expect((await call(handler, { headers })).body).toContain(productKey);
    expect(JSON.stringify(await scanAllItems(getStore()))).not.toContain('HJKMP');
  });
});

describe('the log', () => {
  it('KEY-6 APR-1 has the route, status, code, and caller, and never a body, token, or key', async () => {
    const secrets = ['BCDFG-HJKMP-QRTVW-XY234-6789B', 'a-token-of-256-bits', '123456', 'a-bearer-token'];
    const [productKey = '', token = '', code = '', bearer = ''] = secrets;
    const approving = createApiHandler('approvals', {
      'POST /approvals/{token}': () => Promise.resolve(refuse('wrong-code', 'Try again.', { triesLeft: 4 })),
    } as never);
    const decisionEvent = event({ route: 'POST /approvals/{token}', body: `code=${code}` });
    await approving(
      {
        ...decisionEvent,
        rawPath: `/approvals/${token}`,
        pathParameters: { token },
        headers: { ...decisionEvent.headers, authorization: `Bearer ${bearer}` },
      },
      {} as Context,
    );
    const activating = createApiHandler('activation', {
      'POST /activations': ({ body }: { body: unknown }) => Promise.reject(new Error(`of ${JSON.stringify(body)}`)),
    } as never);
    const body = JSON.stringify({ productKey, installationId: '1', product: 'windows-vista-business' });
    const { statusCode } = rawResponseSchema.parse(
      await activating(event({ route: 'POST /activations', body }), {} as Context),
    );
    await call(planning(() => Promise.reject(new Error(`a fault about ${new Secret(productKey)}`))));
    await call(planning(() => Promise.resolve(refuse('key-not-found', 'No such key.'))));
    expect(statusCode).toBe(500);
    expect(printed.text()).toContain('POST /approvals/{token}');
    expect(printed.text()).toContain('wrong-code');
    expect(printed.text()).toContain(ines.email);
    for (const secret of secrets) expect(printed.text(), secret).not.toContain(secret);
  });

  it('has one JSON line for each response, with its request ID', async () => {
    const { requestId } = await call(planning(fine));
    const lines = printed
      .lines()
      .flatMap((line) => line.split('\n'))
      .filter((line) => line.includes('"request completed"'));
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      requestId,
      route: 'POST /plans',
      status: 201,
      caller: ines.email,
    });
  });
});

describe('a page of a list', () => {
  const list = (overrides: object = {}) => ({
    route: 'GET /agreements' as const,
    params: {},
    query: { limit: 2 },
    caller: { email: ines.email, roles: [] },
    ...overrides,
  });
  const cursorOf = (position: string, overrides: object = {}) => {
    const response = listResponse(list(overrides), { items: [], next: position }, (entry) => entry);
    return z.object({ nextCursor: z.string() }).parse(response.body).nextCursor;
  };

  it('has a cursor to the next page; the last page has none', () => {
    const response = listResponse(list(), { items: [1, 2], next: null }, (entry: number) => entry * 10);
    expect(response).toEqual({ status: 200, body: { items: [10, 20], nextCursor: null } });
    for (const position of ['AGREEMENT#E-1001', '5', 'ü €', '~']) {
      const cursor = cursorOf(position);
      expect(parsePageRequest(list({ query: { limit: 2, cursor } }))).toEqual({
        ok: true,
        request: { limit: 2, after: position },
      });
      // The next page can have another size.
      expect(parsePageRequest(list({ query: { limit: 9, cursor } }))).toMatchObject({ ok: true });
    }
  });

  it('refuses the cursor of another list, filter, or caller', () => {
    const cursor = cursorOf('5');
    for (const overrides of [
      { route: 'GET /keys/{keyId}/grants' },
      { params: { keyId: '2' } },
      { query: { limit: 2, cursor, status: 'open' } },
      { caller: { email: jorge.email, roles: [] } },
    ]) {
      expect(parsePageRequest(list({ query: { limit: 2, cursor }, ...overrides }))).toMatchObject({
        ok: false,
        refusal: { code: 'invalid-request', errors: [{ pointer: '/query/cursor' }] },
      });
    }
  });
});

describe('parsing JSON', () => {
  it.each([
    '{"a":1,"a":2}',
    '{"a":{"b":1,"b":2}}',
    '[{"a":1},{"a":1,"a":1}]',
    '{"a":1,"\\u0061":2}',
    '{"__proto__":1,"__proto__":2}',
    '{"a\\\\":1,"a\\\\":1}',
  ])('refuses an object with a duplicate name: %s', (text) => {
    expect(parseJson(text)).toMatchObject({ ok: false, refusal: { code: 'malformed-json' } });
  });

  it.each([
    '{"a":"a:b","b":"\\"c\\":"}',
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":1}]',
    '{"a\\\\":"a","a":"\\\\"}',
    '{"a" : 1 , "b"\n:\t2}',
    '{"":{"":""}}',
    '"a\\":1"',
  ])('accepts everything else: %s', (text) => {
    expect(parseJson(text)).toEqual({ ok: true, value: JSON.parse(text) });
  });

  it('does not overflow the stack on deep nesting', () => {
    const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
    expect(parseJson(deep).ok).toBe(true);
    expect(parseJson(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`).ok).toBe(true);
  });
});
