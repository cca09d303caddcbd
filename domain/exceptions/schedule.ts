import { serviceActor } from '../audit-event.ts';
import type { SupportCalendar } from '../calendar/business-time.ts';
import { addBusinessDays } from '../calendar/business-time.ts';
import type { Instant } from '../calendar/instant.ts';
import { addDuration, isBefore } from '../calendar/instant.ts';
import type { Context } from '../context.ts';
import type { Policy } from '../policy.ts';
import type { ExceptionRequest, Transition } from './request.ts';
import { lapseRequest, withNotification } from './request.ts';

/** When a request lapses whose Correspondent or requester, asked at that moment, stays silent (SLA-6). */
export function lapsesAt(askedAt: Instant, policy: Policy): Instant {
  return addBusinessDays(askedAt, policy.exceptions.lapsesAfterBusinessDays, policy.supportCalendar);
}

/** What the passing of time alone brings about. */
type DueAction =
  | { readonly kind: 'remind-correspondent' | 'remind-team' | 'notify-supervisors' | 'lapse'; readonly at: Instant }
  /** A letter, a start or a wake-up that is still owed after its moment of grace. */
  | { readonly kind: 'deliver-pending'; readonly at: Instant };

/** How long a function gets to pass on what it has just written before the sweep does it instead. */
const graceSeconds = 30;
/** How long an execution may be on its way between two waits before the sweep looks whether it is still alive. */
const runningCheckMinutes = 15;
/** How often the sweep looks whether the execution of a waiting request is still there. */
const waitingCheckHours = 24;

/**
 * Everything that is scheduled for a request, in no order (SLA-5, SLA-6, APR-6): the next reminder of each kind, the
 * lapse, and whatever is owed. All of it follows from the request; nothing is remembered elsewhere.
 */
export function dueActions(request: ExceptionRequest, policy: Policy): readonly DueAction[] {
  return [...pendingActions(request), ...deadlineActions(request, policy)];
}

/** When the sweep must look at the request next; null when time has nothing more to do with it. */
export function nextActionAt(request: ExceptionRequest, policy: Policy): Instant | null {
  const times = dueActions(request, policy).map(({ at }) => at);
  return times.reduce<Instant | null>((first, at) => (first === null || isBefore(at, first) ? at : first), null);
}

/** When the sweep should see to the workflow of a request: pass on a signal, or look whether its execution is alive. */
export function executionDueAt({ execution }: ExceptionRequest): Instant | null {
  switch (execution.status) {
    case 'start-pending':
    case 'resume-pending':
      return addDuration(execution.since, { seconds: graceSeconds });
    case 'running':
      return addDuration(execution.since, { minutes: runningCheckMinutes });
    case 'waiting':
      return addDuration(execution.since, { hours: waitingCheckHours });
    case 'ended':
      return null;
  }
}

function pendingActions(request: ExceptionRequest): readonly DueAction[] {
  const { execution, pendingNotifications } = request;
  const actions = pendingNotifications.map(
    ({ claimedUntil }): DueAction => ({
      kind: 'deliver-pending',
      at: claimedUntil ?? addDuration(execution.since, { seconds: graceSeconds }),
    }),
  );
  const executionDue = executionDueAt(request);
  return executionDue === null ? actions : [...actions, { kind: 'deliver-pending', at: executionDue }];
}

function deadlineActions(request: ExceptionRequest, policy: Policy): readonly DueAction[] {
  const { supportCalendar: calendar, exceptions } = policy;
  const { state, clock, reminded } = request;
  const actions: DueAction[] = [];
  const add = (kind: Exclude<DueAction['kind'], 'deliver-pending'>, at: Instant) => actions.push({ kind, at });

  if (state.status === 'awaiting-requester') {
    add('lapse', lapsesAt(state.askedAt, policy));
  }
  if (state.status === 'awaiting-approval' && state.round.decision === null) {
    const { askedAt, remindersSent } = state.round;
    const after = exceptions.correspondentRemindedAfterBusinessDays[remindersSent];
    if (after !== undefined) add('remind-correspondent', addBusinessDays(askedAt, after, calendar));
    add('lapse', lapsesAt(askedAt, policy));
  }
  if (clock.status === 'running') {
    const before = exceptions.teamRemindedBeforeDueBusinessDays[reminded.team];
    if (before !== undefined) add('remind-team', addBusinessDays(clock.dueAt, -before, calendar));
    const daysLate = reminded.supervisors * exceptions.supervisorsToldEveryBusinessDays;
    add('notify-supervisors', businessDaysAfterDue(clock.dueAt, daysLate, calendar));
  }
  return actions;
}

// Answers are mostly due at closing, and a count that starts at closing starts on the next business day: it would pass
// over the first day after a breach. So it is the last minute before the due time that is carried from day to day.
function businessDaysAfterDue(due: Instant, days: number, calendar: SupportCalendar): Instant {
  return addDuration(addBusinessDays(addDuration(due, { minutes: -1 }), days, calendar), { minutes: 1 });
}

/**
 * Does the one thing of the schedule that is due first: writes a reminder and marks it as written, in one change, so
 * that it is sent once whatever is retried (SLA-5), or lets the request lapse (SLA-6). `undefined` when nothing is due.
 * What is only owed (`pass-on`) is not a change; the sweep does it by delivering letters and waking the workflow.
 */
export function applyDueAction(
  request: ExceptionRequest,
  context: Pick<Context, 'now' | 'policy'>,
): Transition | undefined {
  const { now, policy } = context;
  const due = deadlineActions(request, policy)
    .filter(({ at }) => !isBefore(now, at))
    .toSorted((one, other) => one.at.localeCompare(other.at))[0];
  if (due === undefined) return undefined;
  const reference = request.exceptionId;
  const event = (action: string, detail: string) => ({ actor: serviceActor, action, detail, reference });
  switch (due.kind) {
    case 'lapse': {
      const transition = lapseRequest(request, context);
      return transition.ok ? transition : undefined;
    }
    case 'remind-correspondent': {
      if (request.state.status !== 'awaiting-approval') return undefined;
      const { round } = request.state;
      const remindersSent = round.remindersSent + 1;
      const nextRequest = { ...request, state: { ...request.state, round: { ...round, remindersSent } } };
      return {
        request: withNotification(nextRequest, 'approval-reminder', ['correspondent']),
        event: event(
          'correspondent-reminded',
          `The Notices Correspondent was reminded for the ${ordinal(remindersSent)} time.`,
        ),
      };
    }
    case 'remind-team': {
      const atDue = policy.exceptions.teamRemindedBeforeDueBusinessDays[request.reminded.team] === 0;
      const nextRequest = { ...request, reminded: { ...request.reminded, team: request.reminded.team + 1 } };
      return {
        request: withNotification(nextRequest, atDue ? 'overdue' : 'due-soon', ['team']),
        event: event('team-reminded', atDue ? 'The answer is due now.' : 'The answer is due soon.'),
      };
    }
    case 'notify-supervisors': {
      const nextRequest = {
        ...request,
        reminded: { ...request.reminded, supervisors: request.reminded.supervisors + 1 },
      };
      return {
        request: withNotification(nextRequest, 'overdue', ['supervisors']),
        event: event('supervisors-told', 'The answer is late; the supervisors were told.'),
      };
    }
    case 'deliver-pending':
      return undefined;
  }
}

function ordinal(count: number): string {
  return ['first', 'second', 'third'][count - 1] ?? `${count}th`;
}
