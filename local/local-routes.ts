import { z } from 'zod';
import { problemOf, problemType } from '../functions/http/problems.ts';
import { staffRoles } from '../functions/manifest.ts';
import type { WindOn } from './advance-clock.ts';
import type { Clock } from './clock.ts';
import { Moment, momentAfter } from './clock.ts';
import type { LocalAnswer, LocalRequest, LocalRoutes } from './emulators/api-gateway.ts';
import type { Tokens } from './emulators/cognito.ts';
import type { MailBox } from './emulators/ses.ts';
import type { StepFunctions } from './emulators/step-functions.ts';
import { framedMail, mailboxPage, mailNumber } from './pages/mailbox.ts';
import { welcomePage } from './pages/welcome.ts';

type Parts = {
  readonly address: string;
  readonly clock: Clock;
  readonly tokens: Tokens;
  readonly mailBox: MailBox;
  /** Takes a mail to the exceptions address, and answers when it has been seen to. */
  readonly arrive: (raw: Buffer, verdict: 'PASS' | 'FAIL') => Promise<string>;
  readonly workflows: StepFunctions;
  readonly windOn: WindOn;
};

type Route = (parts: Parts, request: LocalRequest, parameter: string) => LocalAnswer | Promise<LocalAnswer>;

/** The routes that only the local system has. A path that ends with a slash takes one more part, which is the parameter. */
const routes: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  '/': { GET: welcome },
  '/_local': { GET: welcome },
  '/_local/tokens': { POST: issueToken },
  '/_local/mail': {
    GET: ({ mailBox }, { url }) => json(200, { items: mailBox.mails(url.searchParams.get('to') || undefined) }),
  },
  '/_local/inbound-mail': { POST: receiveMail },
  '/_local/mailbox': { GET: showMails },
  '/_local/mailbox/': { GET: showMails },
  '/_local/clock': { GET: ({ clock }) => json(200, { now: clock.now() }), POST: moveClock },
  '/_local/workflows/': { GET: tellWorkflow },
};

/** Answers what belongs to the local system alone: tokens, the mail box, the clock, and what the workflows did. */
export function localRoutes(parts: Parts): LocalRoutes {
  return async (request) => {
    const { pathname } = request.url;
    if (pathname !== '/' && !/^\/_local(\/|$)/.test(pathname)) return undefined;
    const [, stem = '', parameter = ''] = /^(\/_local\/\w+\/)(.+)$/.exec(pathname) ?? [];
    const methods = routes[pathname] ?? routes[stem];
    if (methods === undefined) return nothing('There is no such route; docs/local.md lists those under /_local.');
    const route = methods[request.method];
    if (route !== undefined) return route(parts, request, parameter);
    const allowed = Object.keys(methods).join(', ');
    const answer = problem(405, 'method-not-allowed', 'Not with this method', `Use ${allowed} here.`);
    return { ...answer, headers: { ...answer.headers, allow: allowed } };
  };
}

function welcome({ address, clock, mailBox }: Parts): LocalAnswer {
  return page(200, welcomePage({ address, now: clock.now(), mails: mailBox.mails().length }));
}

const tokenAsk = z.strictObject({ email: z.email(), roles: z.array(z.enum(staffRoles)).default([]) });

async function issueToken({ tokens }: Parts, request: LocalRequest): Promise<LocalAnswer> {
  const ask = parsed(request, tokenAsk);
  return ask.ok ? json(200, { token: await tokens.issue(ask.value) }) : ask.answer;
}

/** A mail as if it had come to the exceptions address; `?verdict=fail` is one whose sender could not be verified. */
async function receiveMail({ arrive }: Parts, { url, body }: LocalRequest): Promise<LocalAnswer> {
  const verdict = url.searchParams.get('verdict') ?? 'pass';
  if (verdict !== 'pass' && verdict !== 'fail') {
    return invalid([{ pointer: '/query/verdict', message: 'must be pass or fail' }]);
  }
  return json(202, { messageId: await arrive(body, verdict === 'pass' ? 'PASS' : 'FAIL') });
}

const clockAsk = z
  .strictObject({ now: Moment.optional(), advance: z.string().optional() })
  .refine(({ now, advance }) => (now === undefined) !== (advance === undefined), 'must have either now or advance');

async function moveClock({ clock, windOn }: Parts, request: LocalRequest): Promise<LocalAnswer> {
  const ask = parsed(request, clockAsk);
  if (!ask.ok) return ask.answer;
  const { now: moment, advance = '' } = ask.value;
  const moved = await windOn((now) => moment ?? momentAfter(now, advance));
  switch (moved) {
    case 'done':
      return json(200, { now: clock.now() });
    case 'nowhere':
      return invalid([{ pointer: '/advance', message: 'must be an ISO 8601 duration such as P1DT2H' }]);
    case 'backwards':
      return problem(
        409,
        'clock-only-forward',
        'The clock moves forward only',
        `It is ${clock.now()} already. Choose a later moment, or start anew.`,
      );
  }
}

function tellWorkflow({ workflows }: Parts, _: LocalRequest, exceptionId: string): LocalAnswer {
  // A request whose execution was lost has several, one after the other.
  const executions = workflows.executions().filter(({ name }) => name.replace(/-\d+$/, '') === exceptionId);
  if (executions.length === 0) return nothing(`No workflow has been started for a request ${exceptionId}.`);
  return json(200, {
    exceptionId,
    states: executions.flatMap(({ steps }) => steps),
    executions: executions.map(({ name, status, startedAt, failure }) => ({ name, status, startedAt, failure })),
  });
}

/** The mail box, with the mail of that number open, or that mail alone as its frame shows it (`12/html`). */
function showMails({ mailBox, clock }: Parts, { url }: LocalRequest, parameter: string): LocalAnswer {
  const [, digits = '', framed] = /^(\d{1,9})(\/html)?$/.exec(parameter) ?? [];
  const mails = mailBox.mails();
  const mail = mailNumber(mails, Number(digits));
  if (mail !== undefined && framed !== undefined) return frame(framedMail(mail));
  const view = {
    mails,
    to: url.searchParams.get('to') || undefined,
    open: mail === undefined ? undefined : Number(digits),
    as: url.searchParams.get('as') === 'text' ? 'text' : 'laid-out',
    now: clock.now(),
  } as const;
  return page(parameter !== '' && mail === undefined ? 404 : 200, mailboxPage(view));
}

type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly answer: LocalAnswer };

function parsed<Value>({ body }: LocalRequest, schema: z.ZodType<Value>): Parsed<Value> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    const refusal = { code: 'malformed-json', detail: 'The body must be a JSON object.' } as const;
    return { ok: false, answer: problemAnswer(problemOf(refusal)) };
  }
  const judged = schema.safeParse(value);
  if (judged.success) return { ok: true, value: judged.data };
  const errors = judged.error.issues.map(({ path, message }) => ({
    pointer: path.map((part) => `/${String(part)}`).join(''),
    message,
  }));
  return { ok: false, answer: invalid(errors) };
}

function invalid(errors: readonly { readonly pointer: string; readonly message: string }[]): LocalAnswer {
  const named = errors.map(({ pointer, message }) => `${pointer || 'the body'}: ${message}`).join('; ');
  return problemAnswer(
    problemOf({ code: 'invalid-request', detail: `Correct this and send it again. ${named}`, errors }),
  );
}

function nothing(detail: string): LocalAnswer {
  return problemAnswer(problemOf({ code: 'not-found', detail }));
}

function problem(status: number, code: string, title: string, detail: string): LocalAnswer {
  return problemAnswer({ type: `urn:volume-activation:problem:${code}`, title, status, code, detail });
}

function problemAnswer(document: Readonly<Record<string, unknown>>): LocalAnswer {
  return {
    status: Number(document.status),
    headers: { 'content-type': problemType, 'cache-control': 'no-store' },
    body: JSON.stringify(document),
  };
}

function json(status: number, value: unknown): LocalAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify(value),
  };
}

const strict = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

function page(status: number, html: string): LocalAnswer {
  const policy = `${strict}; frame-src 'self'; frame-ancestors 'none'`;
  return { status, headers: { ...pageHeaders, 'content-security-policy': policy }, body: html };
}

/** A mail is somebody else's page: it runs nothing and fetches nothing, whoever opens it. */
function frame(html: string): LocalAnswer {
  const policy = `${strict}; img-src data:; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox`;
  return { status: 200, headers: { ...pageHeaders, 'content-security-policy': policy }, body: html };
}

const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};
