import { z } from 'zod';
import type { Instant } from '../domain/instant.ts';
import { staffRoles } from '../functions/manifest.ts';
import type { Clock } from './clock.ts';
import { after, Moment, momentAt } from './clock.ts';
import type { LocalAnswer, LocalRequest, LocalRoutes } from './gateway.ts';
import type { MailBox } from './mail-box.ts';
import { mailBoxPage, welcomePage } from './pages.ts';
import type { StepFunctions } from './step-functions.ts';
import type { Tokens } from './tokens.ts';

type Parts = {
  readonly clock: Clock;
  readonly tokens: Tokens;
  readonly mailBox: MailBox;
  readonly workflows: StepFunctions;
  /** Runs the sweep, and says when time has something to do next. */
  readonly sweep: () => Promise<Instant | null>;
  readonly quiet: () => Promise<void>;
};

const tokenAsk = z.strictObject({ email: z.email(), roles: z.array(z.enum(staffRoles)).default([]) });
const clockAsk = z.union([z.strictObject({ now: Moment }), z.strictObject({ advance: z.string() })]);

/** The routes that only the local system has: tokens, the mail box, the clock, and what the workflows did. */
export function localRoutes(parts: Parts): LocalRoutes {
  return async (request) => {
    const { method, url } = request;
    const at = `${method} ${url.pathname}`;
    switch (at) {
      case 'GET /':
        return page(welcomePage());
      case 'POST /_local/tokens': {
        const ask = tokenAsk.safeParse(jsonIn(request));
        return ask.success ? json(200, { token: await parts.tokens.issue(ask.data) }) : wrong(ask.error);
      }
      case 'GET /_local/mail': {
        const to = url.searchParams.get('to');
        return json(200, { items: await parts.mailBox.mails(to ?? undefined) });
      }
      case 'GET /_local/mailbox':
        return page(mailBoxPage(await parts.mailBox.mails()));
      case 'GET /_local/clock':
        return json(200, { now: parts.clock.now() });
      case 'POST /_local/clock':
        return windOn(parts, request);
      default:
        return at.startsWith('GET /_local/workflows/')
          ? workflow(parts, url.pathname.slice('/_local/workflows/'.length))
          : notHere();
    }
  };
}

/**
 * Winds the clock on: stops at every minute at which the schedule would find something due on the way, in order, and
 * runs it there. At all other minutes it would find nothing. Answers when all is quiet.
 */
async function windOn(parts: Parts, request: LocalRequest): Promise<LocalAnswer> {
  const { clock, quiet, sweep, workflows } = parts;
  const ask = clockAsk.safeParse(jsonIn(request));
  if (!ask.success) return wrong(ask.error);
  const target = 'now' in ask.data ? ask.data.now : after(Date.parse(clock.now()), ask.data.advance);
  if (target === undefined) return problem(422, 'invalid-request', 'The duration must be ISO 8601, such as P1DT2H.');
  if (target < clock.now())
    return problem(409, 'clock-only-forward', `It is ${clock.now()} already; the clock moves forward only.`);

  await quiet();
  let next = await sweep();
  await quiet();
  for (let stop = nextStop(next, workflows, clock.now()); stop !== null && stop < target; ) {
    clock.moveTo(stop);
    workflows.timeOut();
    next = await sweep();
    await quiet();
    stop = nextStop(next, workflows, clock.now());
  }
  clock.moveTo(target);
  workflows.timeOut();
  await sweep();
  await quiet();
  return json(200, { now: clock.now() });
}

/** The next minute at which there is something to do. */
function nextStop(nextAction: Instant | null, workflows: StepFunctions, now: Instant): Instant | null {
  const due = [nextAction, workflows.nextTimeoutAt()].filter((at) => at !== null).toSorted()[0];
  if (due === undefined) return null;
  const minute = 60_000;
  const earliest = Math.floor(Date.parse(now) / minute + 1) * minute;
  return momentAt(Math.max(earliest, Math.ceil(Date.parse(due) / minute) * minute));
}

function workflow({ workflows }: Parts, exceptionId: string): LocalAnswer {
  // A request whose execution was lost has several, one after the other.
  const executions = workflows.executions().filter(({ name }) => name.replace(/-\d+$/, '') === exceptionId);
  if (executions.length === 0) return problem(404, 'not-found', `No execution since the start was for ${exceptionId}.`);
  return json(200, {
    exceptionId,
    states: executions.flatMap(({ steps }) => steps),
    executions: executions.map(({ name, status, failure }) => ({ name, status, failure })),
  });
}

function jsonIn({ body }: LocalRequest): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function wrong(error: z.ZodError): LocalAnswer {
  return problem(422, 'invalid-request', z.prettifyError(error));
}

function notHere(): LocalAnswer {
  return problem(404, 'not-found', 'The local system has no such route; the README lists those under /_local.');
}

function problem(status: number, code: string, detail: string): LocalAnswer {
  const body = JSON.stringify({ type: `urn:volume-activation:problem:${code}`, title: code, status, code, detail });
  return { status, headers: { 'Content-Type': 'application/problem+json' }, body };
}

function json(status: number, value: unknown): LocalAnswer {
  return {
    status,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' },
    body: JSON.stringify(value),
  };
}

function page(html: string): LocalAnswer {
  const headers = {
    'Content-Type': 'text/html; charset=utf-8',
    'Cache-Control': 'no-store',
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'",
  };
  return { status: 200, headers, body: html };
}
