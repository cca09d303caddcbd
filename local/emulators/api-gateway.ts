import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Entry } from '../../functions/manifest.ts';
import { allRoutes, manifest, needsToken } from '../../functions/manifest.ts';
import type { Tokens } from './cognito.ts';

export type ApiHandler = (
  event: APIGatewayProxyEventV2,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;
export type ApiHandlers = Readonly<Record<string, ApiHandler>>;

/** Answers a request for what belongs to the local system alone; `undefined` when it is not one of those. */
export type LocalRoutes = (request: LocalRequest) => Promise<LocalAnswer | undefined>;
export type LocalRequest = { readonly method: string; readonly url: URL; readonly body: Buffer };
export type LocalAnswer = { readonly status: number; readonly headers?: Record<string, string>; readonly body: string };

export type Gateway = {
  readonly listener: RequestListener;
  /** Answers when no request of the API is under way. */
  quiet(): Promise<void>;
};

/** What the gateway of AWS takes at most; what a function takes is for it to say. */
const largestRequestBytes = 10 * 1024 * 1024;

/**
 * The API's gateway on one machine: matches the manifest's routes, checks tokens as a JWT authorizer does, and calls the
 * same handlers with the same events as the HTTP API of AWS (payload format 2.0).
 */
export function makeGateway(handlers: ApiHandlers, tokens: Tokens, local: LocalRoutes, now: () => Instant): Gateway {
  // A path that is written out goes before one with parameters, as at AWS.
  const routes = allRoutes()
    .map((each) => ({ ...each, ...patternOf(each.route) }))
    .toSorted((one, other) => one.parameterCount - other.parameterCount);
  const underWay = new Set<Promise<unknown>>();

  const find = (method: string, path: string) => {
    for (const route of routes) {
      const match = route.method === method ? route.pattern.exec(path) : null;
      if (match !== null) return { ...route, parameters: decoded(match.groups ?? {}) };
    }
    return undefined;
  };

  const callHandler = async (request: IncomingMessage, url: URL, body: Buffer): Promise<LocalAnswer> => {
    const found = find(request.method ?? 'GET', url.pathname);
    const matched = found?.parameters === undefined ? undefined : found;
    const claims = matched !== undefined && needsToken(matched.who) ? await claimsOf(request, tokens) : undefined;
    const event = eventOf(request, url, body, now(), {
      routeKey: matched?.route ?? '$default',
      parameters: matched?.parameters ?? {},
      claims,
    });
    const entry = matched?.entry ?? answersTheRest;
    const handler = entry === undefined ? undefined : handlers[entry];
    if (handler === undefined) throw new Error(`The manifest has no entry for this, or ${entry} was not loaded.`);
    const {
      statusCode = 200,
      headers = {},
      body: answered = '',
    } = await handler(event, contextOf(event.requestContext.requestId));
    const named = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
    return { status: statusCode, headers: Object.fromEntries(named), body: answered };
  };

  const answer = async (request: IncomingMessage): Promise<LocalAnswer | undefined> => {
    const url = URL.parse(`http://localhost${request.url ?? '/'}`);
    if (url === null) return gatewayAnswer(400, 'Bad Request');
    const body = await bodyOf(request);
    if (body === 'hung-up') return undefined;
    if (body === 'too-large') return gatewayAnswer(413, 'Request Entity Too Large');
    const localAnswer = await local({ method: request.method ?? 'GET', url, body });
    if (localAnswer !== undefined) return localAnswer;
    // Only these are work of the service: whoever waits for quiet waits for them, and is none of them.
    const handled = callHandler(request, url, body);
    underWay.add(handled);
    return handled.finally(() => underWay.delete(handled));
  };

  return {
    listener: (request, response) => {
      answer(request)
        .catch((error: unknown) => {
          console.error('The local gateway could not answer:', error);
          return gatewayAnswer(500, 'Internal Server Error');
        })
        .then((answered) => {
          if (answered !== undefined) send(response, answered);
        })
        .catch((error: unknown) => {
          console.error('The local gateway could not send its answer:', error);
          response.destroy();
        });
    },
    quiet: async () => {
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
  };
}

/** An answer of the gateway itself, in the words of the one at AWS. */
function gatewayAnswer(status: number, message: string): LocalAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ message }) };
}

/** The function that gets what no route is written for, as by the default route of the deployed API. */
const answersTheRest = Object.entries<Entry>(manifest).find(
  ([, entry]) => entry.is === 'api' && entry.answersTheRest === true,
)?.[0];

function patternOf(route: string) {
  const [method = '', path = ''] = route.split(' ');
  const pattern = path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)');
  return { method, pattern: new RegExp(`^${pattern}$`), parameterCount: path.split('{').length - 1 };
}

/** Path parameters as the gateway hands them over; `undefined` when one of them is not well encoded. */
function decoded(groups: Readonly<Record<string, string>>): Record<string, string> | undefined {
  try {
    return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch {
    return undefined;
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer | 'too-large' | 'hung-up'> {
  if (Number(request.headers['content-length'] ?? 0) > largestRequestBytes) {
    request.resume();
    return 'too-large';
  }
  const body = await buffer(request).catch(() => undefined);
  // The caller went away in the middle of it: there is nobody to answer.
  if (body === undefined) return 'hung-up';
  return body.length > largestRequestBytes ? 'too-large' : body;
}

async function claimsOf(request: IncomingMessage, tokens: Tokens) {
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (bearer === undefined) return undefined;
  const verdict = await tokens.verify(bearer);
  return verdict.ok ? verdict.claims : undefined;
}

function eventOf(
  request: IncomingMessage,
  url: URL,
  body: Buffer,
  now: Instant,
  matched: {
    readonly routeKey: string;
    readonly parameters: Record<string, string>;
    readonly claims: Readonly<Record<string, string>> | undefined;
  },
): APIGatewayProxyEventV2 {
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(',') : value]),
  );
  const text = body.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(body);
  const query = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    query.set(name, query.has(name) ? `${query.get(name)},${value}` : value);
  }
  const { claims } = matched;
  return {
    version: '2.0',
    routeKey: matched.routeKey,
    rawPath: url.pathname,
    rawQueryString: url.search.slice(1),
    headers,
    ...(query.size > 0 ? { queryStringParameters: Object.fromEntries(query) } : {}),
    pathParameters: matched.parameters,
    requestContext: {
      accountId: '000000000000',
      apiId: 'local',
      domainName: request.headers.host ?? 'localhost',
      domainPrefix: 'local',
      http: {
        method: request.method ?? 'GET',
        path: url.pathname,
        protocol: 'HTTP/1.1',
        sourceIp: request.socket.remoteAddress ?? '127.0.0.1',
        userAgent: request.headers['user-agent'] ?? '',
      },
      requestId: randomUUID(),
      routeKey: matched.routeKey,
      stage: '$default',
      time: now,
      timeEpoch: Date.parse(now),
      ...(claims === undefined ? {} : { authorizer: { jwt: { claims, scopes: null } } }),
    } as APIGatewayProxyEventV2['requestContext'],
    ...(body.length > 0 ? { body: isText ? text : body.toString('base64') } : {}),
    isBase64Encoded: !isText,
  };
}

/** As much of a Lambda's context as the handlers are given here. */
export function contextOf(awsRequestId: string): Context {
  return {
    awsRequestId,
    callbackWaitsForEmptyEventLoop: false,
    functionName: 'local',
    functionVersion: '$LATEST',
    invokedFunctionArn: 'local',
    logGroupName: 'local',
    logStreamName: 'local',
    memoryLimitInMB: '1024',
    getRemainingTimeInMillis: () => 30_000,
    done: () => undefined,
    fail: () => undefined,
    succeed: () => undefined,
  };
}

function send(response: ServerResponse, { status, headers = {}, body }: LocalAnswer): void {
  const all = { 'x-request-id': randomUUID(), ...headers };
  response.writeHead(status, status === 204 ? all : { ...all, 'content-length': Buffer.byteLength(body) });
  response.end(status === 204 ? undefined : body);
}
