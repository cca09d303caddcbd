import { addBusinessMinutes, businessMinutesBetween, dueAt } from '../calendar/business-time.ts';
import type { Instant } from '../calendar/instant.ts';
import { isBefore } from '../calendar/instant.ts';
import type { Policy } from '../policy.ts';

/** Who has the ball. Waiting for the requester stands the clock; waiting for the Correspondent does not (SLA-4). */
export type Holder = 'team' | 'requester' | 'correspondent';

/** Business minutes that each party has had the request for (SLA-4). */
export type Spent = Readonly<Record<Holder, number>>;

/** The clock of one request: running towards its due time, standing while the requester is asked, or stopped for good. */
export type Clock = { readonly spent: Spent } & (
  | {
      readonly is: 'running';
      readonly dueAt: Instant;
      readonly holder: 'team' | 'correspondent';
      readonly since: Instant;
    }
  | { readonly is: 'standing'; readonly remainingMinutes: number; readonly since: Instant }
  | { readonly is: 'stopped'; readonly dueAt: Instant; readonly at: Instant; readonly lateBecauseOf: Holder | null }
);

/** Starts the clock of a complete request, with the team: due as SLA-1 says, later when it is not in English (SLA-3). */
export function startClock(receivedAt: Instant, inEnglish: boolean, policy: Policy): Clock {
  const { answerWithinBusinessDays, notEnglishExtraBusinessDays } = policy.exceptions;
  const businessDays = answerWithinBusinessDays + (inEnglish ? 0 : notEnglishExtraBusinessDays);
  return {
    is: 'running',
    dueAt: dueAt(receivedAt, businessDays, policy.supportCalendar),
    holder: 'team',
    since: receivedAt,
    spent: { team: 0, requester: 0, correspondent: 0 },
  };
}

/** Gives the ball to somebody else: stands the clock for the requester, and lets it run on, to the minute, after (SLA-2). */
export function handOver(clock: Clock, holder: Holder, now: Instant, policy: Policy): Clock {
  if (clock.is === 'stopped' || holderOf(clock) === holder) return clock;
  const spent = spentUntil(clock, now, policy);
  if (holder === 'requester') {
    return { is: 'standing', remainingMinutes: remainingMinutes(clock, now, policy), since: now, spent };
  }
  const due =
    clock.is === 'running' ? clock.dueAt : addBusinessMinutes(now, clock.remainingMinutes, policy.supportCalendar);
  return { is: 'running', dueAt: due, holder, since: now, spent };
}

/** Stops the clock when the request ends. The due time stays as it was, and a late end says with whom it lay (SLA-4). */
export function stopClock(clock: Clock, now: Instant, policy: Policy): Clock {
  if (clock.is === 'stopped') return clock;
  const due =
    clock.is === 'running' ? clock.dueAt : addBusinessMinutes(now, clock.remainingMinutes, policy.supportCalendar);
  const spent = spentUntil(clock, now, policy);
  return { is: 'stopped', dueAt: due, at: now, lateBecauseOf: isBefore(due, now) ? longestHolder(spent) : null, spent };
}

/** Who has the ball; nobody once the clock is stopped. */
export function holderOf(clock: Clock): Holder | null {
  switch (clock.is) {
    case 'running':
      return clock.holder;
    case 'standing':
      return 'requester';
    case 'stopped':
      return null;
  }
}

/** Business minutes that are left; negative once late. While the clock stands: what will be left (SLA-2). */
export function remainingMinutes(clock: Clock, now: Instant, policy: Policy): number {
  switch (clock.is) {
    case 'running':
      return businessMinutesBetween(now, clock.dueAt, policy.supportCalendar);
    case 'standing':
      return clock.remainingMinutes;
    case 'stopped':
      return businessMinutesBetween(clock.at, clock.dueAt, policy.supportCalendar);
  }
}

/** What each party has had the request for, up to now. */
export function spentUntil(clock: Clock, now: Instant, policy: Policy): Spent {
  if (clock.is === 'stopped') return clock.spent;
  const holder = clock.is === 'standing' ? 'requester' : clock.holder;
  const minutes = businessMinutesBetween(clock.since, now, policy.supportCalendar);
  return { ...clock.spent, [holder]: clock.spent[holder] + Math.max(0, minutes) };
}

/** Whether the answer is, or was, late. */
export function isOverdue(clock: Clock, now: Instant): boolean {
  switch (clock.is) {
    case 'running':
      return isBefore(clock.dueAt, now);
    case 'standing':
      return clock.remainingMinutes < 0;
    case 'stopped':
      return isBefore(clock.dueAt, clock.at);
  }
}

/** With whom a breach lay: whoever had the request longest, the requester's own time not counting against the answer. */
export function longestHolder(spent: Spent): Holder {
  return spent.correspondent > spent.team ? 'correspondent' : 'team';
}
