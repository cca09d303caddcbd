import { addBusinessMinutes, businessMinutesBetween, dueAt } from '../calendar/business-time.ts';
import type { Instant } from '../calendar/instant.ts';
import { isBefore } from '../calendar/instant.ts';
import type { Policy } from '../policy.ts';

/**
 * The party that the request waits for. The clock is paused while it waits for the requester. It runs while it waits
 * for the Correspondent (SLA-4).
 */
export type Assignee = 'team' | 'requester' | 'correspondent';

/** The business minutes for which each party was the assignee (SLA-4). */
export type ElapsedMinutes = Readonly<Record<Assignee, number>>;

/**
 * The SLA clock of a request: running toward its due time, paused while the requester is asked, or stopped for good.
 */
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

/**
 * Starts the clock of a complete request, assigned to the team (SLA-1). A request that is not in English is due later
 * (SLA-3).
 */
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

/** Changes the assignee. The clock is paused for the requester, and then resumes with the same minutes left (SLA-2). */
export function assignTo(clock: SlaClock, assignee: Assignee, now: Instant, policy: Policy): SlaClock {
  if (clock.status === 'stopped' || assigneeOf(clock) === assignee) return clock;
  const elapsed = elapsedUntil(clock, now, policy);
  if (assignee === 'requester') {
    return { status: 'paused', remainingMinutes: remainingMinutes(clock, now, policy), since: now, elapsed };
  }
  return { status: 'running', dueAt: dueAtIfResumed(clock, now, policy), assignee, since: now, elapsed };
}

/** Stops the clock when the request ends. The due time stays; a late end records who breached it (SLA-4). */
export function stopClock(clock: SlaClock, now: Instant, policy: Policy): SlaClock {
  if (clock.status === 'stopped') return clock;
  const due = dueAtIfResumed(clock, now, policy);
  const elapsed = elapsedUntil(clock, now, policy);
  return {
    status: 'stopped',
    dueAt: due,
    at: now,
    breachedBy: isBefore(due, now) ? longestAssignee(elapsed) : null,
    elapsed,
  };
}

/** Returns the due time of a running clock, or the one that a paused clock gets if it resumes now (SLA-2). */
function dueAtIfResumed(clock: Exclude<SlaClock, { status: 'stopped' }>, now: Instant, policy: Policy): Instant {
  if (clock.status === 'running') return clock.dueAt;
  return addBusinessMinutes(now, clock.remainingMinutes, policy.supportCalendar);
}

/** Returns the current assignee; null once the clock is stopped. */
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

/**
 * Returns the business minutes left, negative when overdue. A paused clock keeps the minutes that it will resume with
 * (SLA-2).
 */
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

/** Returns the business minutes of each party up to now. */
export function elapsedUntil(clock: SlaClock, now: Instant, policy: Policy): ElapsedMinutes {
  if (clock.status === 'stopped') return clock.elapsed;
  const assignee = clock.status === 'paused' ? 'requester' : clock.assignee;
  const minutes = businessMinutesBetween(clock.since, now, policy.supportCalendar);
  return { ...clock.elapsed, [assignee]: clock.elapsed[assignee] + Math.max(0, minutes) };
}

/** Returns true when the answer is late, or was late when the clock stopped. */
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

/** Returns who had the request longest. The requester's time does not count toward the due time, so it is left out. */
export function longestAssignee(elapsed: ElapsedMinutes): Assignee {
  return elapsed.correspondent > elapsed.team ? 'correspondent' : 'team';
}
