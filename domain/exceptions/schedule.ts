import { theService } from '../audit-event.ts';
import type { SupportCalendar } from '../calendar/business-time.ts';
import { addBusinessDays } from '../calendar/business-time.ts';
import type { Instant } from '../calendar/instant.ts';
import { isBefore, later } from '../calendar/instant.ts';
import type { Context } from '../context.ts';
import type { Policy } from '../policy.ts';
import type { Changed, ExceptionRequest } from './request.ts';
import { lapse, write } from './request.ts';

/** When a request lapses whose Correspondent or requester, asked at that moment, stays silent (SLA-6). */
export function lapsesAt(askedAt: Instant, policy: Policy): Instant {
  return addBusinessDays(askedAt, policy.exceptions.lapsesAfterBusinessDays, policy.supportCalendar);
}

/** What the passing of time alone brings about. */
type Timed =
  | { readonly what: 'remind-correspondent' | 'remind-team' | 'tell-supervisors' | 'lapse'; readonly at: Instant }
  /** A letter, a start or a wake-up that is still owed after its moment of grace. */
  | { readonly what: 'pass-on'; readonly at: Instant };

/** How long a function gets to pass on what it has just written before the sweep does it instead. */
const graceSeconds = 30;
/** How long an execution may be on its way between two waits before the sweep looks whether it is still alive. */
const awakeMinutes = 15;
/** How often the sweep looks whether the execution of a waiting request is still there. */
const parkedHours = 24;

/**
 * Everything that is scheduled for a request, in no order (SLA-5, SLA-6, APR-6): the next reminder of each kind, the
 * lapse, and whatever is owed. All of it follows from the request; nothing is remembered elsewhere.
 */
export function scheduled(request: ExceptionRequest, policy: Policy): readonly Timed[] {
  return [...owed(request), ...reminders(request, policy)];
}

/** When the sweep must look at the request next; null when time has nothing more to do with it. */
export function nextActionAt(request: ExceptionRequest, policy: Policy): Instant | null {
  const times = scheduled(request, policy).map(({ at }) => at);
  return times.reduce<Instant | null>((first, at) => (first === null || isBefore(at, first) ? at : first), null);
}

/** When the sweep should see to the workflow of a request: pass on a signal, or look whether its execution is alive. */
export function driveDueAt({ drive }: ExceptionRequest): Instant | null {
  switch (drive.is) {
    case 'to-start':
    case 'to-wake':
      return later(drive.since, { seconds: graceSeconds });
    case 'awake':
      return later(drive.since, { minutes: awakeMinutes });
    case 'parked':
      return later(drive.since, { hours: parkedHours });
    case 'ended':
      return null;
  }
}

function owed(request: ExceptionRequest): readonly Timed[] {
  const { drive, letters } = request;
  const timed: Timed[] = letters.map(({ claimedUntil }) => ({
    what: 'pass-on',
    at: claimedUntil ?? later(drive.since, { seconds: graceSeconds }),
  }));
  const driveDue = driveDueAt(request);
  return driveDue === null ? timed : [...timed, { what: 'pass-on', at: driveDue }];
}

function reminders(request: ExceptionRequest, policy: Policy): readonly Timed[] {
  const { supportCalendar: calendar, exceptions } = policy;
  const { stage, clock, reminded } = request;
  const timed: Timed[] = [];
  const add = (what: Exclude<Timed['what'], 'pass-on'>, at: Instant) => timed.push({ what, at });

  if (stage.is === 'awaiting-requester') {
    add('lapse', lapsesAt(stage.askedAt, policy));
  }
  if (stage.is === 'awaiting-approval' && stage.ask.decision === null) {
    const { askedAt, remindersSent } = stage.ask;
    const after = exceptions.correspondentRemindedAfterBusinessDays[remindersSent];
    if (after !== undefined) add('remind-correspondent', addBusinessDays(askedAt, after, calendar));
    add('lapse', lapsesAt(askedAt, policy));
  }
  if (clock.is === 'running') {
    const before = exceptions.teamRemindedBeforeDueBusinessDays[reminded.team];
    if (before !== undefined) add('remind-team', addBusinessDays(clock.dueAt, -before, calendar));
    const daysLate = reminded.supervisors * exceptions.supervisorsToldEveryBusinessDays;
    add('tell-supervisors', businessDaysAfterDue(clock.dueAt, daysLate, calendar));
  }
  return timed;
}

// Answers are mostly due at closing, and a count that starts at closing starts on the next business day: it would pass
// over the first day after a breach. So it is the last minute before the due time that is carried from day to day.
function businessDaysAfterDue(due: Instant, days: number, calendar: SupportCalendar): Instant {
  return later(addBusinessDays(later(due, { minutes: -1 }), days, calendar), { minutes: 1 });
}

/**
 * Does the one thing of the schedule that is due first: writes a reminder and marks it as written, in one change, so
 * that it is sent once whatever is retried (SLA-5), or lets the request lapse (SLA-6). `undefined` when nothing is due.
 * What is only owed (`pass-on`) is not a change; the sweep does it by delivering letters and waking the workflow.
 */
export function tick(request: ExceptionRequest, context: Pick<Context, 'now' | 'policy'>): Changed | undefined {
  const { now, policy } = context;
  const due = reminders(request, policy)
    .filter(({ at }) => !isBefore(now, at))
    .toSorted((one, other) => one.at.localeCompare(other.at))[0];
  if (due === undefined) return undefined;
  const reference = request.exceptionId;
  const deed = (action: string, detail: string) => ({ actor: theService, action, detail, reference });
  switch (due.what) {
    case 'lapse': {
      const lapsed = lapse(request, context);
      return lapsed.ok ? lapsed : undefined;
    }
    case 'remind-correspondent': {
      if (request.stage.is !== 'awaiting-approval') return undefined;
      const { ask } = request.stage;
      const remindersSent = ask.remindersSent + 1;
      const next = { ...request, stage: { ...request.stage, ask: { ...ask, remindersSent } } };
      return {
        request: write(next, 'approval-reminder', ['correspondent']),
        deed: deed(
          'correspondent-reminded',
          `The Notices Correspondent was reminded for the ${ordinal(remindersSent)} time.`,
        ),
      };
    }
    case 'remind-team': {
      const atDue = policy.exceptions.teamRemindedBeforeDueBusinessDays[request.reminded.team] === 0;
      const next = { ...request, reminded: { ...request.reminded, team: request.reminded.team + 1 } };
      return {
        request: write(next, atDue ? 'overdue' : 'due-soon', ['team']),
        deed: deed('team-reminded', atDue ? 'The answer is due now.' : 'The answer is due soon.'),
      };
    }
    case 'tell-supervisors': {
      const next = { ...request, reminded: { ...request.reminded, supervisors: request.reminded.supervisors + 1 } };
      return {
        request: write(next, 'overdue', ['supervisors']),
        deed: deed('supervisors-told', 'The answer is late; the supervisors were told.'),
      };
    }
    case 'pass-on':
      return undefined;
  }
}

function ordinal(count: number): string {
  return ['first', 'second', 'third'][count - 1] ?? `${count}th`;
}
