import { addBusinessMinutes, businessMinutesBetween, dueAt } from '../calendar/business-time.ts';
import type { Instant } from '../calendar/instant.ts';
import { isBefore } from '../calendar/instant.ts';
import type { Policy } from '../policy.ts';

/** Who has the ball. Waiting for the requester stands the clock; waiting for the Correspondent does not (SLA-4). */
export type Assignee = 'team' | 'requester' | 'correspondent';

/** Business minutes that each party has had the request for (SLA-4). */
export type ElapsedMinutes = Readonly<Record<Assignee, number>>;

/** The clock of one request: running towards its due time, standing while the requester is asked, or stopped for good. */
export type SlaClock = { readonly elapsed: ElapsedMinutes } & (
  | {
      readonly status: 'running';
      readonly dueAt: Instant;
      readonly assignee: 'team' | 'correspondent';
      readonly since: Instant;
    }
  | { readonly status: 'paused'; readonly remainingMinutes: number; readonly since: Instant }
  | { readonly status: 'stopped'; readonly dueAt: Instant; readonly at: Instant; readonly breachedBy: Assignee | null }
);

/** Starts the clock of a complete request, with the team: due as SLA-1 says, later when it is not in English (SLA-3). */
export function startClock(receivedAt: Instant, isInEnglish: boolean, policy: Policy): SlaClock {
  const { answerWithinBusinessDays, notEnglishExtraBusinessDays } = policy.exceptions;
  const businessDays = answerWithinBusinessDays + (isInEnglish ? 0 : notEnglishExtraBusinessDays);
  return {
    status: 'running',
    dueAt: dueAt(receivedAt, businessDays, policy.supportCalendar),
    assignee: 'team',
    since: receivedAt,
    elapsed: { team: 0, requester: 0, correspondent: 0 },
  };
}

/** Gives the ball to somebody else: stands the clock for the requester, and lets it run on, to the minute, after (SLA-2). */
export function assignTo(clock: SlaClock, assignee: Assignee, now: Instant, policy: Policy): SlaClock {
  if (clock.status === 'stopped' || assigneeOf(clock) === assignee) return clock;
  const elapsed = elapsedUntil(clock, now, policy);
  if (assignee === 'requester') {
    return { status: 'paused', remainingMinutes: remainingMinutes(clock, now, policy), since: now, elapsed };
  }
  const due =
    clock.status === 'running' ? clock.dueAt : addBusinessMinutes(now, clock.remainingMinutes, policy.supportCalendar);
  return { status: 'running', dueAt: due, assignee, since: now, elapsed };
}

/** Stops the clock when the request ends. The due time stays as it was, and a late end says with whom it lay (SLA-4). */
export function stopClock(clock: SlaClock, now: Instant, policy: Policy): SlaClock {
  if (clock.status === 'stopped') return clock;
  const due =
    clock.status === 'running' ? clock.dueAt : addBusinessMinutes(now, clock.remainingMinutes, policy.supportCalendar);
  const elapsed = elapsedUntil(clock, now, policy);
  return {
    status: 'stopped',
    dueAt: due,
    at: now,
    breachedBy: isBefore(due, now) ? longestAssignee(elapsed) : null,
    elapsed,
  };
}

/** Who has the ball; nobody once the clock is stopped. */
export function assigneeOf(clock: SlaClock): Assignee | null {
  switch (clock.status) {
    case 'running':
      return clock.assignee;
    case 'paused':
      return 'requester';
    case 'stopped':
      return null;
  }
}

/** Business minutes that are left; negative once late. While the clock stands: what will be left (SLA-2). */
export function remainingMinutes(clock: SlaClock, now: Instant, policy: Policy): number {
  switch (clock.status) {
    case 'running':
      return businessMinutesBetween(now, clock.dueAt, policy.supportCalendar);
    case 'paused':
      return clock.remainingMinutes;
    case 'stopped':
      return businessMinutesBetween(clock.at, clock.dueAt, policy.supportCalendar);
  }
}

/** What each party has had the request for, up to now. */
export function elapsedUntil(clock: SlaClock, now: Instant, policy: Policy): ElapsedMinutes {
  if (clock.status === 'stopped') return clock.elapsed;
  const assignee = clock.status === 'paused' ? 'requester' : clock.assignee;
  const minutes = businessMinutesBetween(clock.since, now, policy.supportCalendar);
  return { ...clock.elapsed, [assignee]: clock.elapsed[assignee] + Math.max(0, minutes) };
}

/** Whether the answer is, or was, late. */
export function isOverdue(clock: SlaClock, now: Instant): boolean {
  switch (clock.status) {
    case 'running':
      return isBefore(clock.dueAt, now);
    case 'paused':
      return clock.remainingMinutes < 0;
    case 'stopped':
      return isBefore(clock.dueAt, clock.at);
  }
}

/** With whom a breach lay: whoever had the request longest, the requester's own time not counting against the answer. */
export function longestAssignee(elapsed: ElapsedMinutes): Assignee {
  return elapsed.correspondent > elapsed.team ? 'correspondent' : 'team';
}
