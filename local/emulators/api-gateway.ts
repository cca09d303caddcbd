import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { ManifestEntry } from '../../functions/manifest.ts';
import { allRoutes, manifest, needsToken } from '../../functions/manifest.ts';
import type { TokenService } from './cognito.ts';

export type ApiHandler = (
  event: APIGatewayProxyEventV2,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;
export type ApiHandlers = Readonly<Record<string, ApiHandler>>;

/** Handles a request to a route that only the local system has. Returns `undefined` for any other request. */
export type LocalRoutes = (request: LocalRequest) => Promise<LocalResponse | undefined>;
export type LocalRequest = { readonly method: string; readonly url: URL; readonly body: Buffer };
export type LocalResponse = {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body: string;
};

export type Gateway = {
  readonly listener: RequestListener;
  /** Resolves when no API request is pending. */
  whenIdle(): Promise<void>;
};

/** The maximum of an HTTP API on AWS. The functions have lower limits of their own. */
const requestBytesMax = 10 * 1024 * 1024;

/**
 * Creates the API gateway of the local system. It matches the routes of the manifest, verifies tokens like a JWT
 * authorizer, and calls the same handlers with the same events as an HTTP API on AWS (payload format 2.0).
 */
export function createGateway(
  handlers: ApiHandlers,
  tokens: TokenService,
  localRoutes: LocalRoutes,
  now: () => Instant,
): Gateway {
  // A path without parameters takes precedence, as on AWS.
  const routes = allRoutes()
    .map((each) => ({ ...each, ...patternOf(each.route) }))
    .toSorted((one, other) => one.parameterCount - other.parameterCount);
  const pending = new Set<Promise<unknown>>();

  const findRoute = (method: string, path: string) => {
    for (const route of routes) {
      const match = route.method === method ? route.pattern.exec(path) : null;
      if (match !== null) return { ...route, parameters: decodeParameters(match.groups ?? {}) };
    }
    return undefined;
  };

  const callHandler = async (request: IncomingMessage, url: URL, body: Buffer): Promise<LocalResponse> => {
    const { method = 'GET' } = request;
    const candidate = findRoute(method === 'HEAD' ? 'GET' : method, url.pathname);
    const matchedRoute = candidate?.parameters === undefined ? undefined : candidate;
    const claims =
      matchedRoute !== undefined && needsToken(matchedRoute.audience) ? await readClaims(request, tokens) : undefined;
    const event = toApiGatewayEvent(request, url, body, now(), {
      // The deployed API has a HEAD route for each GET route.
      routeKey: matchedRoute?.route.replace(/^\w+/, method) ?? '$default',
      parameters: matchedRoute?.parameters ?? {},
      claims,
    });
    const entry = matchedRoute?.entry ?? defaultEntry;
    const handler = entry === undefined ? undefined : handlers[entry];
    if (handler === undefined)
      throw new Error(`The manifest has no default entry, or the handler of ${entry} was not loaded.`);
    const {
      statusCode = 200,
      headers = {},
      body: payload = '',
    } = await handler(event, lambdaContext(event.requestContext.requestId));
    const headerEntries = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
    return { status: statusCode, headers: Object.fromEntries(headerEntries), body: payload };
  };

  const respond = async (request: IncomingMessage): Promise<LocalResponse | undefined> => {
    const url = URL.parse(`http://localhost${request.url ?? '/'}`);
    if (url === null) return gatewayResponse(400, 'Bad Request');
    const body = await readBody(request);
    if (body === 'aborted') return undefined;
    if (body === 'too-large') return gatewayResponse(413, 'Request Entity Too Large');
    const localResponse = await localRoutes({ method: request.method ?? 'GET', url, body });
    if (localResponse !== undefined) return localResponse;
    // Only API requests count as pending work: a local route that waits for `whenIdle` must not wait for itself.
    const call = callHandler(request, url, body);
    pending.add(call);
    return call.finally(() => pending.delete(call));
  };

  return {
    listener: (request, response) => {
      respond(request)
        .catch((error: unknown) => {
          console.error('The local gateway failed to handle a request:', error);
          return gatewayResponse(500, 'Internal Server Error');
        })
        .then((payload) => {
          if (payload !== undefined) sendResponse(response, payload);
        })
        .catch((error: unknown) => {
          console.error('The local gateway failed to send a response:', error);
          response.destroy();
        });
    },
    whenIdle: async () => {
      while (pending.size > 0) await Promise.allSettled(pending);
    },
  };
}

/** Returns a response of the gateway itself, with the same wording as on AWS. */
function gatewayResponse(status: number, message: string): LocalResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ message }) };
}

/** The function for unmatched requests, like the default route of the deployed API. */
const defaultEntry = Object.entries<ManifestEntry>(manifest).find(
  ([, entry]) => entry.kind === 'api' && entry.handlesUnmatchedRoutes === true,
)?.[0];

function patternOf(route: string) {
  const [method = '', path = ''] = route.split(' ');
  const pattern = path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)');
  return { method, pattern: new RegExp(`^${pattern}$`), parameterCount: path.split('{').length - 1 };
}

/** Returns decoded path parameters, or `undefined` when one is not valid percent-encoding. */
function decodeParameters(groups: Readonly<Record<string, string>>): Record<string, string> | undefined {
  try {
    return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch {
    return undefined;
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer | 'too-large' | 'aborted'> {
  if (Number(request.headers['content-length'] ?? 0) > requestBytesMax) {
    request.resume();
    return 'too-large';
  }
  const body = await buffer(request).catch(() => undefined);
  // The client disconnected, so nobody can receive a response.
  if (body === undefined) return 'aborted';
  return body.length > requestBytesMax ? 'too-large' : body;
}

async function readClaims(request: IncomingMessage, tokens: TokenService) {
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (bearer === undefined) return undefined;
  const result = await tokens.verify(bearer);
  return result.ok ? result.claims : undefined;
}

function toApiGatewayEvent(
  request: IncomingMessage,
  url: URL,
  body: Buffer,
  now: Instant,
  matchedRoute: {
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
  const { claims } = matchedRoute;
  return {
    version: '2.0',
    routeKey: matchedRoute.routeKey,
    rawPath: url.pathname,
    rawQueryString: url.search.slice(1),
    headers,
    ...(query.size > 0 ? { queryStringParameters: Object.fromEntries(query) } : {}),
    pathParameters: matchedRoute.parameters,
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
      routeKey: matchedRoute.routeKey,
      stage: '$default',
      time: now,
      timeEpoch: Date.parse(now),
      ...(claims === undefined ? {} : { authorizer: { jwt: { claims, scopes: null } } }),
    } as APIGatewayProxyEventV2['requestContext'],
    ...(body.length > 0 ? { body: isText ? text : body.toString('base64') } : {}),
    isBase64Encoded: !isText,
  };
}

/** Returns a minimal Lambda context. */
export function lambdaContext(awsRequestId: string): Context {
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

function sendResponse(response: ServerResponse, { status, headers = {}, body }: LocalResponse): void {
  const all = { 'x-request-id': randomUUID(), ...headers };
  response.writeHead(status, status === 204 ? all : { ...all, 'content-length': Buffer.byteLength(body) });
  response.end(status === 204 ? undefined : body);
}
