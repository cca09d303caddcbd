import { isUtf8 } from 'node:buffer';
import middy from '@middy/core';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import type * as z from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Context } from '../../domain/context.ts';
import type { FieldError, Refusal, Refused } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import { Secret } from '../../domain/secret.ts';
import type { Page, PageAsk } from '../../store/dynamodb/page.ts';
import { Contention } from '../../store/dynamodb/table.ts';
import type { Repeatable } from '../../store/idempotency.ts';
import { abandon, begin, finish, operationOf } from '../../store/idempotency.ts';
import { fingerprintOf, sameHash } from '../../store/vault.ts';
import type { ApiName, Route, RouteOf, Who } from '../manifest.ts';
import { manifest, needsToken } from '../manifest.ts';
import { world } from '../runtime/clock.ts';
import { countHere, logger } from '../runtime/observability.ts';
import { theStore } from '../runtime/store.ts';
import type { Caller } from './caller.ts';
import { callerFrom, isForbidden } from './caller.ts';
import { problemOf, problems, problemType } from './problems.ts';
import type { BodyOf, QueryOf } from './request-schemas.ts';
import { bodies, queries } from './request-schemas.ts';

/** The names in braces of a route's path. */
type ParamsOf<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? { readonly [Each in Name]: string } & ParamsOf<Rest>
  : unknown;

/** One call of a route, parsed: from here on nothing is checked or cast again. */
export type Call<R extends Route> = {
  readonly route: R;
  readonly who: readonly Who[];
  readonly params: ParamsOf<R>;
  readonly query: QueryOf<R>;
  readonly body: BodyOf<R>;
  /** Who is signed in; routes without a token have nobody. */
  readonly caller: Caller;
  readonly now: Instant;
  /** Names what is done, so that a repetition of it is known as such. */
  readonly operation: string;
  /** Who acts, under which operation, when, and by which policy. Entries without a store never ask for it. */
  readonly context: Context;
  /** The body as it came, for routes that take no JSON, and what the caller wants to read. */
  readonly raw: { readonly text: string; readonly contentType: string; readonly accept: string };
};

export type Answer = {
  readonly status: number;
  /** JSON; a text is sent as it is, under the content type that the headers name. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

/** What people read where they look at pages, with the headers that it needs. */
export type Served = { readonly html: string; readonly headers: Readonly<Record<string, string>> };

/** A refusal, where a route answers its code with another status than the usual one, or with a page. */
export type RefusedAs = Refused & { readonly status?: number; readonly page?: Served };

export type Handler<R extends Route> = (call: Call<R>) => Promise<Answer | RefusedAs>;

/** What people see of a fault where they look at pages; `undefined` for who asked for JSON. */
type FaultPage = (accept: string, requestId: string) => Served | undefined;

const largestBodyBytes = 64 * 1024;
/** Ids are short; a longer one names nothing, and the database would not even look for it. */
const longestIdCharacters = 200;
/** So many mistakes are named at once; who makes more needs no longer list. */
const mistakesNamed = 100;

/**
 * Makes the Lambda of an API entry out of its routes. Owns what every route shares: the token's claims, roles, parsing,
 * paging, idempotency keys, problem answers, headers, logs and metrics. A route only says what it answers.
 */
export function http<Name extends ApiName>(
  name: Name,
  routes: { readonly [R in RouteOf<Name>]: Handler<R & Route> },
  faultPage?: FaultPage,
) {
  const declared: Readonly<Record<string, readonly Who[]>> = manifest[name].routes;
  const handlers: Readonly<Record<string, Handler<Route>>> = routes as never;
  return middy<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2>().handler(async (event) => {
    const requestId = event.requestContext.requestId;
    const route = event.routeKey as Route;
    const answered = await answer(event, { who: declared[route], handler: handlers[route] }, faultPage);
    logger.info('answered', { requestId, route, status: answered.status, ...answered.told });
    if (answered.told.code !== undefined) countHere({ refusals: 1 }, { code: answered.told.code });
    return {
      statusCode: answered.status,
      headers: { 'cache-control': 'no-store', ...answered.headers, 'x-request-id': requestId },
      body: answered.body,
    };
  });
}

/** An answer as it goes out, and what the log may tell of it. */
type Written = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly told: { readonly code?: string; readonly caller?: string };
};

async function answer(
  event: APIGatewayProxyEventV2,
  { who, handler }: { readonly who: readonly Who[] | undefined; readonly handler: Handler<Route> | undefined },
  faultPage: FaultPage | undefined,
): Promise<Written> {
  const route = event.routeKey as Route;
  let repeatable: Repeatable | undefined;
  try {
    if (who === undefined || handler === undefined) {
      return refused(refuse('not-found', 'There is nothing at this address. The routes are described at /docs.'));
    }
    const parsed = parse(event, route, who);
    if (!parsed.ok) return refused(parsed);
    const { call, idempotencyKey } = parsed;
    if (idempotencyKey === undefined) return written(await handler(withContext(call)), call.caller.email);

    const fingerprint = fingerprintOf(JSON.stringify([route, event.rawPath, event.rawQueryString, call.raw.text]));
    repeatable = { caller: call.caller.email, key: idempotencyKey, fingerprint };
    const begun = await begin(theStore(), repeatable, call.now);
    switch (begun.is) {
      case 'answered':
        return { ...begun.answer, told: { caller: call.caller.email } };
      case 'reused':
        repeatable = undefined;
        return refused(
          refuse('idempotency-key-reused', 'This idempotency key came with another request before. Take a new key.'),
        );
      case 'in-progress':
        repeatable = undefined;
        return refused(
          refuse('request-in-progress', 'The same request still runs. Ask again in a moment with the same key.'),
        );
      case 'first': {
        const first = written(
          await handler(withContext({ ...call, operation: operationOf(repeatable) })),
          call.caller.email,
        );
        // It is done, whether or not its answer can be kept: done again, it is known by its operation and answers alike.
        await finish(theStore(), repeatable, first).catch((error: unknown) =>
          logger.error('could not keep an answer', {
            requestId: event.requestContext.requestId,
            error: error as Error,
          }),
        );
        return first;
      }
    }
  } catch (error) {
    return failed(error, event, repeatable, faultPage);
  }
}

/** A call before it is known whether it repeats another. */
type ParsedCall = Omit<Call<Route>, 'context'>;

type Parsed =
  | {
      readonly ok: true;
      readonly call: ParsedCall;
      readonly idempotencyKey: string | undefined;
    }
  | Refused;

function parse(event: APIGatewayProxyEventV2, route: Route, who: readonly Who[]): Parsed {
  const headers = headersOf(event);
  const caller = needsToken(who) ? callerFrom(event) : nobody;
  if (caller === undefined) {
    return refuse('unauthenticated', 'Sign in and send the token as “Authorization: Bearer …”.');
  }
  if (isForbidden(caller, who)) {
    return refuse(
      'forbidden',
      `This is for ${who.join(' or ')} only; ask an administrator for the role if you need it.`,
    );
  }
  const bytes = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
  if (bytes.length > largestBodyBytes) {
    return refuse('too-large', `A body may have ${largestBodyBytes} bytes at most; this has ${bytes.length}.`);
  }
  const contentType = (headers['content-type'] ?? '').toLowerCase();
  const text = bytes.toString('utf8');
  // Bytes that are no UTF-8 would be read as question marks, and nobody would be told.
  if (!isUtf8(bytes)) return refuse('malformed-json', 'The body is not UTF-8 text. Send it in that encoding.');
  const params = Object.values(event.pathParameters ?? {});
  if (params.some((param) => (param ?? '').length > longestIdCharacters)) {
    return refuse('not-found', 'No id is as long as the one in this address. Check the address.');
  }
  const body = bodyOf(route, text, contentType);
  if (!body.ok) return body;
  const query = checked(queries, route, event.queryStringParameters ?? {});
  const mayRepeat = event.requestContext.http.method === 'POST' && needsToken(who);
  const idempotencyKey = mayRepeat ? headers['idempotency-key'] : undefined;
  const faults = [
    ...(body.faults ?? []),
    ...(query.faults ?? []).map(({ pointer, message }) => ({ pointer: `/query${pointer}`, message })),
    ...(idempotencyKey === undefined || /^[\x20-\x7E]{1,255}$/.test(idempotencyKey)
      ? []
      : [{ pointer: '/headers/idempotency-key', message: 'must be 1 to 255 visible characters' }]),
  ];
  if (faults.length > 0) {
    // Of several mistakes in one field the first is enough to mend it.
    const byField = [...Map.groupBy(faults, ({ pointer }) => pointer).values()];
    const errors = byField.flatMap(([first]) => first ?? []).slice(0, mistakesNamed);
    return refuse('invalid-request', `Correct these and send it again: ${namesOf(errors)}.`, { errors });
  }
  // The gateway and the schemas have just made these what the route's types say.
  const call: ParsedCall = {
    route,
    who,
    params: (event.pathParameters ?? {}) as Call<Route>['params'],
    query: query.value as Call<Route>['query'],
    body: body.value as Call<Route>['body'],
    caller,
    now: world.now(),
    operation: event.requestContext.requestId,
    raw: { text, contentType, accept: headers.accept ?? '' },
  };
  return { ok: true, call, idempotencyKey };
}

/** The context is made when a handler asks for it: an entry that never does has no store, and needs none. */
function withContext(call: ParsedCall): Call<Route> {
  return {
    ...call,
    get context() {
      return { actor: call.caller.email, operationId: call.operation, now: call.now, policy: theStore().policy };
    },
  };
}

/** The request's headers by their names in lower case. */
function headersOf(event: APIGatewayProxyEventV2): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(Object.entries(event.headers).map(([key, value]) => [key.toLowerCase(), value]));
}

/** A route without a token is called by nobody that we know. */
const nobody: Caller = { email: '', roles: [] };

type Checked = { readonly ok: true; readonly value: unknown; readonly faults?: readonly FieldError[] };

function bodyOf(route: Route, text: string, contentType: string): Checked | Refused {
  if (!(route in bodies)) return { ok: true, value: undefined };
  if (text.trim() === '') return checked(bodies, route, {});
  if (!/^application\/(json|[\w.-]+\+json)\s*(;|$)/.test(contentType)) {
    return refuse('unsupported-media-type', 'Send the body as JSON, with “Content-Type: application/json”.');
  }
  const parsed = jsonFrom(text);
  return parsed.ok ? checked(bodies, route, parsed.value) : parsed;
}

/** Reads JSON. Refuses what is none, and an object that names a field twice: nobody could say which of the two is meant. */
export function jsonFrom(text: string): { readonly ok: true; readonly value: unknown } | Refused {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return refuse('malformed-json', 'The body is not well-formed JSON. Check quotes, commas and brackets.');
  }
  return namesWritten(text) === namesRead(value)
    ? { ok: true, value }
    : refuse('malformed-json', 'The body names a field twice in one object. Send each field once.');
}

/** How many names a well-formed JSON text writes: the texts that a colon follows. */
function namesWritten(text: string): number {
  let names = 0;
  for (const [, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)) names += colon === undefined ? 0 : 1;
  return names;
}

/** How many names came out of it; of those that were written twice only one. Counts without recursion, however deep. */
function namesRead(value: unknown): number {
  let names = 0;
  const toCount = [value];
  while (toCount.length > 0) {
    const each = toCount.pop();
    if (typeof each !== 'object' || each === null) continue;
    const inside = Object.values(each);
    if (!Array.isArray(each)) names += inside.length;
    toCount.push(...inside);
  }
  return names;
}

function checked(schemas: Partial<Record<Route, z.ZodType>>, route: Route, value: unknown): Checked {
  // With what was sent in its mistakes, so that a field of the wrong type is not taken for a missing one.
  const parsed = schemas[route]?.safeParse(value, { reportInput: true });
  if (parsed === undefined) return { ok: true, value: undefined };
  return parsed.success
    ? { ok: true, value: parsed.data }
    : { ok: true, value: undefined, faults: parsed.error.issues.flatMap(fieldErrorsOf) };
}

/** What one issue of a schema says, by JSON pointer: a field that is not known is named itself. */
export function fieldErrorsOf(issue: z.core.$ZodIssue): readonly FieldError[] {
  const pointer = (path: readonly PropertyKey[]) =>
    path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: pointer([...issue.path, key]),
      message: 'is not a field of this request',
    }));
  }
  return [{ pointer: pointer(issue.path), message: messageOf(issue) }];
}

/** The schemas say most of it in their own words; what they leave to the library is said in the same manner here. */
function messageOf(issue: z.core.$ZodIssue): string {
  const choosing = issue.code === 'invalid_value';
  if (issue.input === undefined && (choosing || issue.code === 'invalid_type')) return 'is missing';
  if (choosing) return `must be ${issue.values.map(String).join(' or ')}`;
  if (issue.code !== 'invalid_type' || !issue.message.startsWith('Invalid input')) return issue.message;
  const wanted: Readonly<Record<string, string>> = { string: 'a text', object: 'an object', array: 'a list' };
  return `must be ${wanted[issue.expected] ?? issue.expected}`;
}

/** Names the first of the fields that are wrong. */
function namesOf(errors: readonly FieldError[]): string {
  const named = errors.slice(0, 10).map(({ pointer }) => (pointer === '' ? 'the body' : pointer.slice(0, 100)));
  const more = errors.length - named.length;
  return more > 0 ? `${named.join(', ')} and ${more} more` : named.join(', ');
}

function refused({ refusal, status, page }: RefusedAs, caller?: string): Written {
  return {
    status: status ?? problems[refusal.code].status,
    headers: page?.headers ?? { 'content-type': problemType },
    body: page?.html ?? JSON.stringify(problemOf(refusal, status)),
    told: { code: refusal.code, ...(caller ? { caller } : {}) },
  };
}

function written(answer: Answer | RefusedAs, caller: string): Written {
  if ('ok' in answer) return refused(answer, caller);
  const { status, body, headers = {} } = answer;
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const type = body === undefined || typeof body === 'string' ? {} : { 'content-type': 'application/json' };
  return { status, headers: { ...type, ...headers }, body: text, told: caller === '' ? {} : { caller } };
}

/** Others kept getting in the way: the caller may try again. Anything else is a fault: logged whole, told without a detail. */
async function failed(
  error: unknown,
  event: APIGatewayProxyEventV2,
  repeatable: Repeatable | undefined,
  faultPage: FaultPage | undefined,
): Promise<Written> {
  const requestId = event.requestContext.requestId;
  if (repeatable !== undefined) {
    await abandon(theStore(), repeatable).catch((cause: unknown) =>
      logger.error('could not abandon', { requestId, cause }),
    );
  }
  const busy = error instanceof Contention;
  if (busy) logger.warn('contention', { requestId, route: event.routeKey, error: error.message });
  else logger.error('fault', { requestId, route: event.routeKey, error: error as Error });
  countHere(busy ? { contentions: 1 } : { faults: 1 });
  const status = busy ? 503 : 500;
  const problem = {
    type: `urn:volume-activation:problem:${busy ? 'busy' : 'fault'}`,
    title: busy ? 'Too busy just now' : 'Something went wrong on our side',
    status,
    code: busy ? 'busy' : 'fault',
    detail: busy
      ? 'Many others change the same thing at this moment. Try again in a few seconds; with an Idempotency-Key it is done once.'
      : `It is not your fault, and it has been reported. Try again later; if it stays, tell us this request id: ${requestId}.`,
  };
  const retry = busy ? { 'retry-after': '2' } : {};
  const told = { code: problem.code };
  const page = faultPage?.(headersOf(event).accept ?? '', requestId);
  return page === undefined
    ? { status, headers: { 'content-type': problemType, ...retry }, body: JSON.stringify(problem), told }
    : { status, headers: { ...page.headers, ...retry }, body: page.html, told };
}

/** A call of a list: which one it is follows from the route, what it is of, how it is filtered, and who asks. */
type ListCall = {
  readonly route: Route;
  readonly params: unknown;
  readonly query: { readonly limit: number; readonly cursor?: string | undefined };
  readonly caller: Caller;
};

/** Which page a list is asked for. A cursor is good only for the list that gave it, and it is signed: no other gets in. */
export function pageAsked(call: ListCall): { readonly ok: true; readonly ask: PageAsk } | Refused {
  const { limit, cursor } = call.query;
  if (cursor === undefined) return { ok: true, ask: { limit, after: null } };
  const after = Buffer.from(cursor, 'base64url').toString('utf8').slice(signatureLength);
  return after !== '' && sameHash(cursorAt(call, after), cursor)
    ? { ok: true, ask: { limit, after } }
    : refuse('invalid-request', 'The cursor is not one that this list gave. Begin again without it.', {
        errors: [{ pointer: '/query/cursor', message: 'is not a cursor that this list gave' }],
      });
}

const signatureLength = 32;

function cursorAt({ route, params, query, caller }: ListCall, position: string): string {
  const { limit: _, cursor: __, ...filter } = query;
  const list = JSON.stringify([route, params, filter, caller.email, position]);
  const signature = theStore().vault.hashOf('cursor', new Secret(list)).slice(0, signatureLength);
  return Buffer.from(signature + position, 'utf8').toString('base64url');
}

/** A page of a list as the contract answers it. */
export function listed<Entry>(call: ListCall, page: Page<Entry>, view: (entry: Entry) => unknown): Answer {
  const nextCursor = page.next === null ? null : cursorAt(call, page.next);
  return { status: 200, body: { items: page.items.map(view), nextCursor } };
}

/** Turns what a change came to into an answer; the refusals answer for themselves. */
export function answerOf<Value>(
  outcome: { readonly ok: true; readonly answer: Value } | Refused,
  view: (value: Value) => Answer,
): Answer | Refused {
  return outcome.ok ? view(outcome.answer) : outcome;
}

/** Nothing is there, or nothing that this caller may see: both are told in the same words (AGR-3). */
export function notFound(what: string): { readonly ok: false; readonly refusal: Refusal } {
  return refuse('not-found', `There is no such ${what}, or it is not yours to see. Check the id in the address.`);
}
