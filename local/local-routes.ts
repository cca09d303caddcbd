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
  readonly mailBox: Mailbox;
  /** Takes a mail to the exceptions address, and answers when it has been seen to. */
  readonly deliverMail: (raw: Buffer, verdict: 'PASS' | 'FAIL') => Promise<string>;
  readonly workflows: StepFunctions;
  readonly advanceClock: AdvanceClock;
};

type Route = (parts: LocalServices, request: LocalRequest, parameter: string) => LocalResponse | Promise<LocalResponse>;

/** The routes that only the local system has. A path that ends with a slash takes one more part, which is the parameter. */
const routes: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  '/': { GET: welcome },
  '/_local': { GET: welcome },
  '/_local/tokens': { POST: issueToken },
  '/_local/mail': {
    GET: ({ mailBox }, { url }) => jsonResponse(200, { items: mailBox.mails(url.searchParams.get('to') || undefined) }),
  },
  '/_local/inbound-mail': { POST: receiveMail },
  '/_local/mailbox': { GET: showMails },
  '/_local/mailbox/': { GET: showMails },
  '/_local/clock': { GET: ({ clock }) => jsonResponse(200, { now: clock.now() }), POST: setClock },
  '/_local/workflows/': { GET: showWorkflow },
};

/** Answers what belongs to the local system alone: tokens, the mail box, the clock, and what the workflows did. */
export function localRoutes(parts: LocalServices): LocalRoutes {
  return async (request) => {
    const { pathname } = request.url;
    if (pathname !== '/' && !/^\/_local(\/|$)/.test(pathname)) return undefined;
    const [, stem = '', parameter = ''] = /^(\/_local\/\w+\/)(.+)$/.exec(pathname) ?? [];
    const methods = routes[pathname] ?? routes[stem];
    if (methods === undefined) return notFound('There is no such route; docs/local.md lists those under /_local.');
    const route = methods[request.method];
    if (route !== undefined) return route(parts, request, parameter);
    const allowed = Object.keys(methods).join(', ');
    const response = problemResponse(405, 'method-not-allowed', 'Not with this method', `Use ${allowed} here.`);
    return { ...response, headers: { ...response.headers, allow: allowed } };
  };
}

function welcome({ address, clock, mailBox }: LocalServices): LocalResponse {
  return htmlResponse(200, renderWelcome({ address, now: clock.now(), emailCount: mailBox.mails().length }));
}

const tokenRequestSchema = z.strictObject({ email: z.email(), roles: z.array(z.enum(staffRoles)).default([]) });

async function issueToken({ tokens }: LocalServices, request: LocalRequest): Promise<LocalResponse> {
  const input = parseBody(request, tokenRequestSchema);
  return input.ok ? jsonResponse(200, { token: await tokens.issue(input.value) }) : input.response;
}

/** A mail as if it had come to the exceptions address; `?verdict=fail` is one whose sender could not be verified. */
async function receiveMail({ deliverMail }: LocalServices, { url, body }: LocalRequest): Promise<LocalResponse> {
  const verdict = url.searchParams.get('verdict') ?? 'pass';
  if (verdict !== 'pass' && verdict !== 'fail') {
    return invalidRequest([{ pointer: '/query/verdict', message: 'must be pass or fail' }]);
  }
  return jsonResponse(202, { messageId: await deliverMail(body, verdict === 'pass' ? 'PASS' : 'FAIL') });
}

const clockRequestSchema = z
  .strictObject({ now: IsoInstant.optional(), advance: z.string().optional() })
  .refine(({ now, advance }) => (now === undefined) !== (advance === undefined), 'must have either now or advance');

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
        'The clock moves forward only',
        `It is ${clock.now()} already. Choose a later moment, or start anew.`,
      );
  }
}

function showWorkflow({ workflows }: LocalServices, _: LocalRequest, exceptionId: string): LocalResponse {
  // A request whose execution was lost has several, one after the other.
  const executions = workflows.executions().filter(({ name }) => name.replace(/-\d+$/, '') === exceptionId);
  if (executions.length === 0) return notFound(`No workflow has been started for a request ${exceptionId}.`);
  return jsonResponse(200, {
    exceptionId,
    states: executions.flatMap(({ steps }) => steps),
    executions: executions.map(({ name, status, startedAt, failure }) => ({ name, status, startedAt, failure })),
  });
}

/** The mail box, with the mail of that number open, or that mail alone as its frame shows it (`12/html`). */
function showMails({ mailBox, clock }: LocalServices, { url }: LocalRequest, parameter: string): LocalResponse {
  const [, digits = '', isFrame] = /^(\d{1,9})(\/html)?$/.exec(parameter) ?? [];
  const mails = mailBox.mails();
  const mail = findEmailByNumber(mails, Number(digits));
  if (mail !== undefined && isFrame !== undefined) return framedMailResponse(renderFramedEmail(mail));
  const view = {
    emails: mails,
    to: url.searchParams.get('to') || undefined,
    open: mail === undefined ? undefined : Number(digits),
    as: url.searchParams.get('as') === 'text' ? 'text' : 'html',
    now: clock.now(),
  } as const;
  return htmlResponse(parameter !== '' && mail === undefined ? 404 : 200, renderMailbox(view));
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
    problemOf({ code: 'invalid-request', detail: `Correct this and send it again. ${summary}`, errors }),
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

/** A mail is somebody else's page: it runs nothing and fetches nothing, whoever opens it. */
function framedMailResponse(html: string): LocalResponse {
  const policy = `${strictPolicy}; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox`;
  return { status: 200, headers: { ...pageHeaders, 'content-security-policy': policy }, body: html };
}

const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};
