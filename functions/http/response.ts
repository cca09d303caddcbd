import type { Refusal, RefusalResult } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import { problemOf, problems, problemType } from './problems.ts';

export type HttpResponse = {
  readonly status: number;
  /** A value is sent as JSON; a string is sent unchanged, with the content type of the headers. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A page for people, with the headers that it needs. */
export type HtmlPage = { readonly html: string; readonly headers: Readonly<Record<string, string>> };

/** A refusal, where a route answers its code with a status other than the usual one, with a page, or with more headers. */
export type RefusalResponse = RefusalResult & {
  readonly status?: number;
  readonly page?: HtmlPage;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A response as Lambda returns it, and the fields that the log may contain. */
export type RawResponse = {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly logFields: { readonly code?: string; readonly caller?: string };
};

/** Returns the response to a refusal: a problem document (RFC 9457), or the page that the route made for it. */
export function toRawRefusal({ refusal, status, page, headers }: RefusalResponse, caller = ''): RawResponse {
  return {
    statusCode: status ?? problems[refusal.code].status,
    headers: { ...(page?.headers ?? { 'content-type': problemType }), ...headers },
    body: page?.html ?? JSON.stringify(problemOf(refusal, status)),
    logFields: { code: refusal.code, ...(caller === '' ? {} : { caller }) },
  };
}

/** Returns the response that a handler gave, as Lambda returns it. */
export function toRawResponse(response: HttpResponse | RefusalResponse, caller: string): RawResponse {
  if ('ok' in response) return toRawRefusal(response, caller);
  const { status, body, headers = {} } = response;
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const type = body === undefined || typeof body === 'string' ? {} : { 'content-type': 'application/json' };
  return {
    statusCode: status,
    headers: { ...type, ...headers },
    body: text,
    logFields: caller === '' ? {} : { caller },
  };
}

/** Returns the view of a successful update. A refusal is returned unchanged. */
export function respondWith<Value>(
  outcome: { readonly ok: true; readonly value: Value } | RefusalResult,
  view: (value: Value) => HttpResponse,
): HttpResponse | RefusalResult {
  return outcome.ok ? view(outcome.value) : outcome;
}

/** Returns the refusal for something that does not exist, or that this caller may not see: both read the same (AGR-3). */
export function notFound(what: string): { readonly ok: false; readonly refusal: Refusal } {
  return refuse(
    'not-found',
    `This ${what} does not exist, or you do not have access to it. Check the ID in the address.`,
  );
}
