import type { AuditAction } from '../audit-event.ts';
import { serviceActor } from '../audit-event.ts';
import type { SupportCalendar } from '../calendar/business-time.ts';
import { addBusinessDays } from '../calendar/business-time.ts';
import type { Instant } from '../calendar/instant.ts';
import { addDuration, isBefore } from '../calendar/instant.ts';
import type { Context } from '../context.ts';
import type { Policy } from '../policy.ts';
import type { Result } from '../refusal.ts';
import { withNotification } from './notification.ts';
import type { ExceptionRequest, RequestState, Transition } from './request.ts';
import { approvalRoundOf, openRoundOf } from './request.ts';
import { inFinalState, involvedParties, refuseUnlessAllowed, toTransition } from './transition.ts';

/** Returns when a request lapses if the Correspondent or the requester, asked at `askedAt`, does not answer (SLA-6). */
export function lapsesAt(askedAt: Instant, policy: Policy): Instant {
  return addBusinessDays(askedAt, policy.exceptions.lapsesAfterBusinessDays, policy.supportCalendar);
}

/** A change of the request that becomes due by the passage of time alone. */
type DeadlineAction = {
  readonly kind: 'remind-correspondent' | 'remind-team' | 'notify-supervisors' | 'lapse';
  readonly at: Instant;
};

/** A notification, a start, or a resume signal that is still pending after its grace period. */
type PendingDelivery = { readonly kind: 'deliver-pending'; readonly at: Instant };

/** The time for a function to deliver what it has written, before the sweep delivers it. */
const graceSeconds = 30;
/** The time for which an execution can run between two waits before the sweep checks that it is alive. */
const runningCheckMinutes = 15;
/** The interval at which the sweep checks that the execution of a waiting request still exists. */
const waitingCheckHours = 24;

/**
 * Returns everything that is scheduled for a request, in no particular order (SLA-5, SLA-6, APR-6): the next reminder
 * of each kind, the lapse, and pending deliveries. The schedule follows from the request alone; no part of it is
 * stored.
 */
export function dueActions(request: ExceptionRequest, policy: Policy): readonly (DeadlineAction | PendingDelivery)[] {
  return [...pendingDeliveries(request), ...deadlineActions(request, policy)];
}

/** Returns when the sweep must process the request next; null when nothing is scheduled. */
export function nextActionAt(request: ExceptionRequest, policy: Policy): Instant | null {
  const times = dueActions(request, policy).map(({ at }) => at);
  return times.reduce<Instant | null>((first, at) => (first === null || isBefore(at, first) ? at : first), null);
}

/**
 * Returns when the sweep must deliver a signal to the execution, or check that the execution is alive; null once ended.
 */
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

function pendingDeliveries(request: ExceptionRequest): readonly PendingDelivery[] {
  const { execution, pendingNotifications } = request;
  const deliveries = pendingNotifications.map(
    ({ claimedUntil }): PendingDelivery => ({
      kind: 'deliver-pending',
      at: claimedUntil ?? addDuration(execution.since, { seconds: graceSeconds }),
    }),
  );
  const executionDue = executionDueAt(request);
  return executionDue === null ? deliveries : [...deliveries, { kind: 'deliver-pending', at: executionDue }];
}

function deadlineActions(request: ExceptionRequest, policy: Policy): readonly DeadlineAction[] {
  const { supportCalendar: calendar, exceptions } = policy;
  const { state, clock, reminded } = request;
  const openRound = openRoundOf(request);
  const actions: DeadlineAction[] = [];
  const add = (kind: DeadlineAction['kind'], at: Instant) => actions.push({ kind, at });

  if (state.status === 'awaiting-requester') {
    add('lapse', lapsesAt(state.askedAt, policy));
  }
  if (openRound !== null) {
    const { askedAt, remindersSent } = openRound;
    const daysAfter = exceptions.correspondentRemindedAfterBusinessDays[remindersSent];
    if (daysAfter !== undefined) add('remind-correspondent', addBusinessDays(askedAt, daysAfter, calendar));
    add('lapse', lapsesAt(askedAt, policy));
  }
  if (clock.status === 'running') {
    const daysBefore = exceptions.teamRemindedBeforeDueBusinessDays[reminded.team];
    if (daysBefore !== undefined) add('remind-team', addBusinessDays(clock.dueAt, -daysBefore, calendar));
    const daysLate = reminded.supervisors * exceptions.supervisorsToldEveryBusinessDays;
    add('notify-supervisors', businessDaysAfterDue(clock.dueAt, daysLate, calendar));
  }
  return actions;
}

// Most answers are due at closing time. A count that starts at closing time starts on the next business day, and would
// skip the first day after a breach. So the last minute before the due time is moved from day to day.
function businessDaysAfterDue(due: Instant, days: number, calendar: SupportCalendar): Instant {
  return addDuration(addBusinessDays(addDuration(due, { minutes: -1 }), days, calendar), { minutes: 1 });
}

/**
 * Applies the first due action: adds a reminder and counts it in the same change, so that retries do not send it twice
 * (SLA-5), or lets the request lapse (SLA-6). Returns `undefined` when nothing is due.
 * A pending delivery changes nothing here: the sweep sends the emails and delivers the signal.
 */
export function applyDueAction(
  request: ExceptionRequest,
  context: Pick<Context, 'now' | 'policy'>,
): Transition | undefined {
  const { now, policy } = context;
  const dueAction = deadlineActions(request, policy)
    .filter(({ at }) => !isBefore(now, at))
    .toSorted((one, other) => one.at.localeCompare(other.at))[0];
  if (dueAction === undefined) return undefined;
  const reference = request.exceptionId;
  const event = (action: AuditAction, detail: string) => ({ actor: serviceActor, action, detail, reference });
  switch (dueAction.kind) {
    case 'lapse': {
      const transition = lapseRequest(request, context);
      return transition.ok ? transition : undefined;
    }
    case 'remind-correspondent': {
      if (request.state.status !== 'awaiting-approval') return undefined;
      const { round } = request.state;
      const remindersSent = round.remindersSent + 1;
      const nextRequest: ExceptionRequest = {
        ...request,
        state: { ...request.state, round: { ...round, remindersSent } },
      };
      return {
        request: withNotification(nextRequest, 'approval-reminder', ['correspondent']),
        event: event(
          'correspondent-reminded',
          `The Notices Correspondent was reminded for the ${ordinal(remindersSent)} time.`,
        ),
      };
    }
    case 'remind-team': {
      const isDueNow = policy.exceptions.teamRemindedBeforeDueBusinessDays[request.reminded.team] === 0;
      const nextRequest = { ...request, reminded: { ...request.reminded, team: request.reminded.team + 1 } };
      return {
        request: withNotification(nextRequest, isDueNow ? 'overdue' : 'due-soon', ['team']),
        event: event('team-reminded', isDueNow ? 'The answer is due now.' : 'The answer is due soon.'),
      };
    }
    case 'notify-supervisors': {
      const nextRequest = {
        ...request,
        reminded: { ...request.reminded, supervisors: request.reminded.supervisors + 1 },
      };
      return {
        request: withNotification(nextRequest, 'overdue', ['supervisors']),
        event: event('supervisors-told', 'The answer is overdue. The supervisors were notified.'),
      };
    }
  }
}

/** Ends a request because its requester or Correspondent did not answer in time (SLA-6). */
export function lapseRequest(request: ExceptionRequest, context: Pick<Context, 'now' | 'policy'>): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'lapse');
  if (refusal !== undefined) return refusal;
  const { now, policy } = context;
  const unresponsiveParty = request.state.status === 'awaiting-requester' ? 'requester' : 'correspondent';
  const state: RequestState = { status: 'lapsed', at: now, unresponsiveParty, round: approvalRoundOf(request) };
  const nextRequest = inFinalState(state, request, context);
  const notifiedRequest = withNotification(nextRequest, 'lapsed', [...involvedParties(request), 'team']);
  const partyName = unresponsiveParty === 'requester' ? 'requester' : 'Notices Correspondent';
  const days = policy.exceptions.lapsesAfterBusinessDays;
  return toTransition(notifiedRequest, {
    actor: serviceActor,
    action: 'lapsed',
    detail: `The ${partyName} did not answer within ${days} business days.`,
  });
}

function ordinal(count: number): string {
  return ['first', 'second', 'third'][count - 1] ?? `${count}th`;
}
