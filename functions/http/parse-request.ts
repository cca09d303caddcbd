import { isUtf8 } from 'node:buffer';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import * as z from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Context } from '../../domain/context.ts';
import type { FieldError, RefusalResult } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Audience, Route } from '../manifest.ts';
import { needsToken } from '../manifest.ts';
import { clock } from '../runtime/clock.ts';
import { getStore } from '../runtime/store.ts';
import type { Caller } from './caller.ts';
import { isForbidden, parseCaller, refuseForbidden } from './caller.ts';
import { parseJson } from './json.ts';
import type { BodyOf, QueryOf } from './request-schemas.ts';
import { bodies, queries } from './request-schemas.ts';
import { fieldErrorsOf, listFieldNames } from './validation-errors.ts';

/** The names in braces of a route's path. */
type ParamsOf<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? { readonly [Each in Name]: string } & ParamsOf<Rest>
  : unknown;

/** A parsed request to a route. After parsing, nothing is checked or cast again. */
export type ApiRequest<R extends Route> = {
  readonly route: R;
  readonly audience: readonly Audience[];
  readonly params: ParamsOf<R>;
  readonly query: QueryOf<R>;
  readonly body: BodyOf<R>;
  /** The signed-in caller. On routes without a token, the anonymous caller. */
  readonly caller: Caller;
  readonly now: Instant;
  /** Identifies the operation, so that a repetition of it has no second effect. */
  readonly operationId: string;
  /** The actor, the operation ID, the time, and the policy. Lambdas without a store never read it. */
  readonly context: Context;
  /** True if a page of another website sent the request (APR-5). */
  readonly isCrossSite: boolean;
  /** The body as received, for routes that do not take JSON, and the media type that the caller accepts. */
  readonly rawBody: { readonly text: string; readonly contentType: string; readonly accept: string };
};

/** A request before the idempotency key has decided its operation ID. */
export type ParsedRequest = Omit<ApiRequest<Route>, 'context'>;

type ParseResult =
  | { readonly ok: true; readonly apiRequest: ParsedRequest; readonly idempotencyKey: string | undefined }
  | RefusalResult;

const bodyBytesMax = 64 * 1024;
/** The maximum length of an ID. No longer ID exists, so the database is not read for one. */
const idCharactersMax = 200;
const validationErrorsMax = 100;

/** The caller of a route without a token. */
const anonymousCaller: Caller = { email: '', roles: [] };

/**
 * Parses and authorizes a request: token, role, size, encoding, parameters, body, query, and idempotency key. Refuses
 * with the first reason; wrong fields are reported all at once.
 */
export function parseRequest(event: APIGatewayProxyEventV2, route: Route, audience: readonly Audience[]): ParseResult {
  const { headers } = event;
  const caller = needsToken(audience) ? parseCaller(event) : anonymousCaller;
  if (caller === undefined) {
    return refuse('unauthenticated', 'Sign in, and send the token in the header “Authorization: Bearer …”.');
  }
  if (isForbidden(caller, audience)) return refuseForbidden(audience);
  const bytes = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
  if (bytes.length > bodyBytesMax) {
    return refuse('too-large', `The body has ${bytes.length} bytes. The maximum is ${bodyBytesMax}.`);
  }
  const contentType = (headers['content-type'] ?? '').toLowerCase();
  const text = bytes.toString('utf8');
  // Bytes that are not UTF-8 would silently become replacement characters.
  if (!isUtf8(bytes)) return refuse('malformed-json', 'The body is not UTF-8 text. Send it in that encoding.');
  const params = Object.values(event.pathParameters ?? {});
  if (params.some((param) => (param ?? '').length > idCharactersMax)) {
    return refuse(
      'not-found',
      `The address has an ID with more than ${idCharactersMax} characters. Check the address.`,
    );
  }
  const body = parseBody(route, text, contentType);
  if (!body.ok) return body;
  const query = parseQuery(event, route, audience);
  const acceptsIdempotencyKey = event.requestContext.http.method === 'POST' && needsToken(audience);
  const idempotencyKey = acceptsIdempotencyKey ? headers['idempotency-key'] : undefined;
  const validationErrors = [
    ...body.errors,
    ...query.errors,
    ...(idempotencyKey === undefined || /^[\x20-\x7E]{1,255}$/.test(idempotencyKey)
      ? []
      : [{ pointer: '/headers/idempotency-key', message: 'must be 1 to 255 visible characters' }]),
  ];
  if (validationErrors.length > 0) {
    // One error for each field is enough: when it is corrected, the next request shows the others.
    const byField = [...Map.groupBy(validationErrors, ({ pointer }) => pointer).values()];
    const errors = byField.flatMap(([first]) => first ?? []).slice(0, validationErrorsMax);
    return refuse('invalid-request', `Correct these fields and send the request again: ${listFieldNames(errors)}.`, {
      errors,
    });
  }
  // The gateway and the schemas have just validated these against the types of the route.
  const apiRequest: ParsedRequest = {
    route,
    audience,
    params: (event.pathParameters ?? {}) as ApiRequest<Route>['params'],
    query: query.value as ApiRequest<Route>['query'],
    body: body.value as ApiRequest<Route>['body'],
    caller,
    now: clock.now(),
    operationId: event.requestContext.requestId,
    isCrossSite: isCrossSite(headers),
    rawBody: { text, contentType, accept: headers.accept ?? '' },
  };
  return { ok: true, apiRequest, idempotencyKey };
}

/** Adds the context. It is created when a handler reads it, because a Lambda without a store has no policy. */
export function withContext(request: ParsedRequest): ApiRequest<Route> {
  return {
    ...request,
    get context() {
      const { caller, operationId, now } = request;
      return { actor: caller.email, operationId, now, policy: getStore().policy };
    },
  };
}

/**
 * Returns whether another website sent a request, by the headers that only browsers set. Our pages send no referrer, so
 * browsers send `Origin: null` from them; other programs send neither header.
 */
function isCrossSite(headers: APIGatewayProxyEventV2['headers']): boolean {
  const fetchSite = headers['sec-fetch-site'];
  if (fetchSite !== undefined) return fetchSite !== 'same-origin' && fetchSite !== 'none';
  const { origin, host } = headers;
  if (origin === undefined || origin === 'null') return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

/** A validated value. It is undefined when there are errors, which the caller reports together. */
type ValidationResult = { readonly ok: true; readonly value: unknown; readonly errors: readonly FieldError[] };

function parseBody(route: Route, text: string, contentType: string): ValidationResult | RefusalResult {
  if (!(route in bodies)) return { ok: true, value: undefined, errors: [] };
  if (text.trim() === '') return validate(bodies, route, {});
  if (!/^application\/(json|[\w.-]+\+json)\s*(;|$)/.test(contentType)) {
    return refuse('unsupported-media-type', 'Send the body as JSON, with “Content-Type: application/json”.');
  }
  const parsedJson = parseJson(text);
  return parsedJson.ok ? validate(bodies, route, parsedJson.value) : parsedJson;
}

/** Returns whether the route answers with a page, whose address email programs may have changed. */
export function isPageRoute(route: Route, audience: readonly Audience[]): boolean {
  return audience.includes('link-holder') || route === 'GET /docs';
}

/** A query without parameters. */
const noParameters = z.lazy(() => z.strictObject({}));

/** Parses the query. Refuses unknown parameters, except on pages: email programs add their own to links. */
function parseQuery(event: APIGatewayProxyEventV2, route: Route, audience: readonly Audience[]): ValidationResult {
  if (isPageRoute(route, audience)) return { ok: true, value: undefined, errors: [] };
  const schema = route in queries ? queries : { [route]: noParameters };
  const { value, errors } = validate(schema, route, event.queryStringParameters ?? {});
  const queryErrors = errors.map(({ pointer, message }) => ({
    pointer: `/query${pointer}`,
    message: message === 'is not a field of this request' ? 'is not a parameter of this route' : message,
  }));
  return { ok: true, value, errors: queryErrors };
}

function validate(schemas: Partial<Record<Route, z.ZodType>>, route: Route, value: unknown): ValidationResult {
  // The issues carry the input, so that a field of the wrong type is not reported as missing.
  const parsed = schemas[route]?.safeParse(value, { reportInput: true });
  if (parsed === undefined) return { ok: true, value: undefined, errors: [] };
  return parsed.success
    ? { ok: true, value: parsed.data, errors: [] }
    : { ok: true, value: undefined, errors: parsed.error.issues.flatMap(fieldErrorsOf) };
}
