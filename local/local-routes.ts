import { z } from 'zod';
import { problemOf, problemType } from '../functions/http/problems.ts';
import { staffRoles } from '../functions/manifest.ts';
import type { AdvanceClock } from './advance-clock.ts';
import type { Clock } from './clock.ts';
import { addIsoDuration, IsoInstant } from './clock.ts';
import type { LocalRequest, LocalResponse, LocalRoutes } from './emulators/api-gateway.ts';
import type { TokenService } from './emulators/cognito.ts';
import type { Mailbox } from './emulators/ses.ts';
import type { StepFunctions } from './emulators/step-functions.ts';
import { findEmailByNumber, renderFramedEmail, renderMailbox } from './pages/mailbox.ts';
import { renderWelcome } from './pages/welcome.ts';

type LocalServices = {
  readonly address: string;
  readonly clock: Clock;
  readonly tokens: TokenService;
  readonly mailbox: Mailbox;
  /** Delivers an email to the exceptions address. Returns its message ID once the functions have processed it. */
  readonly deliverEmail: (raw: Buffer, verdict: 'PASS' | 'FAIL') => Promise<string>;
  readonly workflows: StepFunctions;
  readonly advanceClock: AdvanceClock;
};

type Route = (parts: LocalServices, request: LocalRequest, parameter: string) => LocalResponse | Promise<LocalResponse>;

/** The routes that only the local system has. A path that ends with a slash has one more part, its parameter. */
const routes: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  '/': { GET: welcome },
  '/_local': { GET: welcome },
  '/_local/tokens': { POST: issueToken },
  '/_local/mail': {
    GET: ({ mailbox }, { url }) => jsonResponse(200, { items: mailbox.mails(url.searchParams.get('to') || undefined) }),
  },
  '/_local/inbound-mail': { POST: receiveEmail },
  '/_local/mailbox': { GET: showEmails },
  '/_local/mailbox/': { GET: showEmails },
  '/_local/clock': { GET: ({ clock }) => jsonResponse(200, { now: clock.now() }), POST: setClock },
  '/_local/workflows/': { GET: showWorkflow },
};

/** Returns the handler of the routes that only the local system has: tokens, mailbox, clock, and workflows. */
export function localRoutes(parts: LocalServices): LocalRoutes {
  return async (request) => {
    const { pathname } = request.url;
    if (pathname !== '/' && !/^\/_local(\/|$)/.test(pathname)) return undefined;
    const [, stem = '', parameter = ''] = /^(\/_local\/\w+\/)(.+)$/.exec(pathname) ?? [];
    const methods = routes[pathname] ?? routes[stem];
    if (methods === undefined)
      return notFound('This address does not exist. See docs/local.md for the routes under /_local.');
    const route = methods[request.method];
    if (route !== undefined) return route(parts, request, parameter);
    const allowed = Object.keys(methods);
    const response = problemResponse(
      405,
      'method-not-allowed',
      'Method not allowed',
      `${request.method} is not possible at this address. Use ${allowed.join(' or ')}.`,
    );
    return { ...response, headers: { ...response.headers, allow: allowed.join(', ') } };
  };
}

function welcome({ address, clock, mailbox }: LocalServices): LocalResponse {
  return htmlResponse(200, renderWelcome({ address, now: clock.now(), emailCount: mailbox.mails().length }));
}

const tokenRequestSchema = z.strictObject({ email: z.email(), roles: z.array(z.enum(staffRoles)).default([]) });

async function issueToken({ tokens }: LocalServices, request: LocalRequest): Promise<LocalResponse> {
  const input = parseBody(request, tokenRequestSchema);
  return input.ok ? jsonResponse(200, { token: await tokens.issue(input.value) }) : input.response;
}

/** Receives an email to the exceptions address. With `?verdict=fail`, the sender is not verified. */
async function receiveEmail({ deliverEmail }: LocalServices, { url, body }: LocalRequest): Promise<LocalResponse> {
  const verdict = url.searchParams.get('verdict') ?? 'pass';
  if (verdict !== 'pass' && verdict !== 'fail') {
    return invalidRequest([{ pointer: '/query/verdict', message: 'must be pass or fail' }]);
  }
  return jsonResponse(202, { messageId: await deliverEmail(body, verdict === 'pass' ? 'PASS' : 'FAIL') });
}

const clockRequestSchema = z
  .strictObject({ now: IsoInstant.optional(), advance: z.string().optional() })
  .refine(({ now, advance }) => (now === undefined) !== (advance === undefined), 'must have either `now` or `advance`');

async function setClock({ clock, advanceClock }: LocalServices, request: LocalRequest): Promise<LocalResponse> {
  const input = parseBody(request, clockRequestSchema);
  if (!input.ok) return input.response;
  const { now: target, advance = '' } = input.value;
  const result = await advanceClock((now) => target ?? addIsoDuration(now, advance));
  switch (result) {
    case 'advanced':
      return jsonResponse(200, { now: clock.now() });
    case 'invalid-target':
      return invalidRequest([{ pointer: '/advance', message: 'must be an ISO 8601 duration such as P1DT2H' }]);
    case 'in-the-past':
      return problemResponse(
        409,
        'clock-only-forward',
        'The clock only advances',
        `The clock is at ${clock.now()}. Choose a later time, or restart the local system.`,
      );
  }
}

function showWorkflow({ workflows }: LocalServices, _: LocalRequest, exceptionId: string): LocalResponse {
  // A request has more than one execution if the sweep had to restart its workflow.
  const executions = workflows.executions().filter(({ name }) => name.replace(/-\d+$/, '') === exceptionId);
  if (executions.length === 0) return notFound(`There is no workflow for a request ${exceptionId}.`);
  return jsonResponse(200, {
    exceptionId,
    states: executions.flatMap(({ steps }) => steps),
    executions: executions.map(({ name, status, startedAt, failure }) => ({ name, status, startedAt, failure })),
  });
}

/** Shows the mailbox, with the email of that number open, or only the email as its frame shows it (`12/html`). */
function showEmails({ mailbox, clock }: LocalServices, { url }: LocalRequest, parameter: string): LocalResponse {
  const [, digits = '', isFrame] = /^(\d{1,9})(\/html)?$/.exec(parameter) ?? [];
  const emails = mailbox.mails();
  const email = findEmailByNumber(emails, Number(digits));
  if (email !== undefined && isFrame !== undefined) return framedEmailResponse(renderFramedEmail(email));
  const view = {
    emails,
    to: url.searchParams.get('to') || undefined,
    open: email === undefined ? undefined : Number(digits),
    as: url.searchParams.get('as') === 'text' ? 'text' : 'html',
    now: clock.now(),
  } as const;
  return htmlResponse(parameter !== '' && email === undefined ? 404 : 200, renderMailbox(view));
}

type ParseResult<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly response: LocalResponse };

function parseBody<Value>({ body }: LocalRequest, schema: z.ZodType<Value>): ParseResult<Value> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    const refusal = { code: 'malformed-json', detail: 'The body must be a JSON object.' } as const;
    return { ok: false, response: documentResponse(problemOf(refusal)) };
  }
  const result = schema.safeParse(value);
  if (result.success) return { ok: true, value: result.data };
  const errors = result.error.issues.map(({ path, message }) => ({
    pointer: path.map((part) => `/${String(part)}`).join(''),
    message,
  }));
  return { ok: false, response: invalidRequest(errors) };
}

function invalidRequest(errors: readonly { readonly pointer: string; readonly message: string }[]): LocalResponse {
  const summary = errors.map(({ pointer, message }) => `${pointer || 'the body'}: ${message}`).join('; ');
  return documentResponse(
    problemOf({ code: 'invalid-request', detail: `The request is not valid. ${summary}`, errors }),
  );
}

function notFound(detail: string): LocalResponse {
  return documentResponse(problemOf({ code: 'not-found', detail }));
}

function problemResponse(status: number, code: string, title: string, detail: string): LocalResponse {
  return documentResponse({ type: `urn:volume-activation:problem:${code}`, title, status, code, detail });
}

function documentResponse(document: Readonly<Record<string, unknown>>): LocalResponse {
  return {
    status: Number(document.status),
    headers: { 'content-type': problemType, 'cache-control': 'no-store' },
    body: JSON.stringify(document),
  };
}

function jsonResponse(status: number, value: unknown): LocalResponse {
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify(value),
  };
}

const strictPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

function htmlResponse(status: number, html: string): LocalResponse {
  const policy = `${strictPolicy}; frame-src 'self'; frame-ancestors 'none'`;
  return { status, headers: { ...pageHeaders, 'content-security-policy': policy }, body: html };
}

/** Returns an email as a page without scripts or remote content, because its content is not trusted. */
function framedEmailResponse(html: string): LocalResponse {
  const policy = `${strictPolicy}; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox`;
  return { status: 200, headers: { ...pageHeaders, 'content-security-policy': policy }, body: html };
}

const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};
