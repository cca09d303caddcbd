import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { businessMinutesBetween } from '../../../domain/calendar/business-time.ts';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { addDuration } from '../../../domain/calendar/instant.ts';
import type { Assignee, SlaClock } from '../../../domain/exceptions/sla-clock.ts';
import {
  assigneeOf,
  assignTo,
  elapsedUntil,
  isOverdue,
  longestAssignee,
  remainingMinutes,
  startClock,
  stopClock,
} from '../../../domain/exceptions/sla-clock.ts';
import { policy } from '../../builders.ts';
import * as on from '../../instants.ts';

const aDay = 8 * 60;
const fiveDays = 5 * aDay;
const noMinutes = { team: 0, requester: 0, correspondent: 0 };

const start = (at: Instant) => startClock(at, true, policy);
const assign = (clock: SlaClock, assignee: Assignee, at: Instant) => assignTo(clock, assignee, at, policy);
const stop = (clock: SlaClock, at: Instant) => stopClock(clock, at, policy);
const minutesLeft = (clock: SlaClock, at: Instant) => remainingMinutes(clock, at, policy);

describe('the clock of a new request', () => {
  it('SLA-1 runs, assigned to the team, until 17:00 of the fifth business day after', () => {
    expect(start(on.mondayTen)).toEqual({
      status: 'running',
      dueAt: on.nextMondayFive,
      assignee: 'team',
      since: on.mondayTen,
      elapsed: noMinutes,
    });
  });

  it('SLA-1 runs a day longer over a holiday, and starts on Monday for a request from Saturday', () => {
    expect(start(on.fridayBeforeTheHolidayAlmostFive)).toMatchObject({ dueAt: on.mondayAfterTheHolidayFive });
    expect(start(on.saturdayBeforeTheHolidayNoon)).toMatchObject({ dueAt: on.tuesdayAfterTheHolidayFive });
  });

  it('SLA-3 runs five business days longer for a request that is not in English', () => {
    expect(startClock(on.mondayTen, false, policy)).toMatchObject({ dueAt: on.mondayAfterNextFridayFive });
  });

  it('SLA-2 shows the minutes left, which only business hours reduce', () => {
    const clock = start(on.mondayTen);
    expect(minutesLeft(clock, on.mondayTen)).toBe(fiveDays + 7 * 60);
    expect(minutesLeft(clock, on.mondayNoon)).toBe(fiveDays + 5 * 60);
    expect(minutesLeft(clock, on.mondayFive)).toBe(fiveDays);
    expect(minutesLeft(clock, on.tuesdayNine)).toBe(fiveDays);
    expect(minutesLeft(clock, on.nextMondayFive)).toBe(0);
    expect(minutesLeft(clock, on.nextTuesdayFive)).toBe(-aDay);
  });
});

describe('a clock that is paused while the requester is asked', () => {
  const paused = assign(start(on.mondayTen), 'requester', on.mondayNoon);

  it('SLA-2 keeps the minutes left, however long it is paused', () => {
    expect(paused).toEqual({
      status: 'paused',
      remainingMinutes: fiveDays + 5 * 60,
      since: on.mondayNoon,
      elapsed: { team: 120, requester: 0, correspondent: 0 },
    });
    expect(minutesLeft(paused, on.mondayNoon)).toBe(fiveDays + 5 * 60);
    expect(minutesLeft(paused, on.nextFridayFive)).toBe(fiveDays + 5 * 60);
    expect(isOverdue(paused, on.nextFridayFive)).toBe(false);
  });

  it('SLA-2 resumes to the minute: a pause of two business days moves the due time by two business days', () => {
    expect(assign(paused, 'team', on.wednesdayNoon)).toEqual({
      status: 'running',
      dueAt: on.nextWednesdayFive,
      assignee: 'team',
      since: on.wednesdayNoon,
      elapsed: { team: 120, requester: 2 * aDay, correspondent: 0 },
    });
  });

  it('SLA-2 keeps the due time for an answer within the same minute, or outside business hours', () => {
    const asked = assign(start(on.mondayTen), 'requester', on.mondayEvening);
    expect(assign(paused, 'team', addDuration(on.mondayNoon, { seconds: 59 }))).toMatchObject({
      dueAt: on.nextMondayFive,
    });
    expect(assign(paused, 'team', addDuration(on.mondayNoon, { seconds: 60 }))).toMatchObject({
      dueAt: addDuration(on.nextTuesdayNine, { minutes: 1 }),
    });
    expect(assign(asked, 'team', on.tuesdayNine)).toMatchObject({ dueAt: on.nextMondayFive });
  });

  it('SLA-2 is paused over a weekend and a holiday, and resumes after both', () => {
    // Friday 10:00 to Thursday 10:00 are a Friday, a Monday and a Tuesday of work: Wednesday is a holiday.
    const received = start(addDuration(on.fridayBeforeTheHolidayAlmostFive, { hours: -7, minutes: 1 }));
    expect(received).toMatchObject({ dueAt: on.mondayAfterTheHolidayFive });
    const asked = assign(
      received,
      'requester',
      addDuration(on.fridayBeforeTheHolidayAlmostFive, { hours: -6, minutes: 1 }),
    );
    const answered = assign(asked, 'team', addDuration(on.thursdayAfterTheHolidayNine, { hours: 2 }));
    expect(asked).toMatchObject({ status: 'paused', remainingMinutes: fiveDays + 6 * 60 });
    expect(answered).toMatchObject({
      status: 'running',
      dueAt: addDuration(on.mondayAfterTheHolidayFive, { days: 3 }),
      elapsed: { team: 60, requester: 3 * aDay, correspondent: 0 },
    });
  });

  it('SLA-2 stays equally overdue when it is paused overdue', () => {
    const late = assign(start(on.mondayTen), 'requester', on.nextTuesdayFive);
    expect(late).toMatchObject({ remainingMinutes: -aDay });
    expect(isOverdue(late, on.nextTuesdayFive)).toBe(true);
    const resumed = assign(late, 'team', on.nextThursdayFive);
    expect(resumed).toMatchObject({ dueAt: on.nextWednesdayFive });
    expect(minutesLeft(resumed, on.nextThursdayFive)).toBe(-aDay);
  });
});

describe('the assignee', () => {
  it('SLA-4 is the team, then whoever is assigned, then nobody', () => {
    const asked = assign(start(on.mondayTen), 'correspondent', on.mondayNoon);
    const paused = assign(asked, 'requester', on.tuesdayTen);
    expect([start(on.mondayTen), asked, paused, stop(paused, on.tuesdayFive)].map(assigneeOf)).toEqual([
      'team',
      'correspondent',
      'requester',
      null,
    ]);
  });

  it('SLA-4 does not pause the clock when it is the Correspondent', () => {
    expect(assign(start(on.mondayTen), 'correspondent', on.mondayNoon)).toEqual({
      status: 'running',
      dueAt: on.nextMondayFive,
      assignee: 'correspondent',
      since: on.mondayNoon,
      elapsed: { team: 120, requester: 0, correspondent: 0 },
    });
  });

  it('SLA-4 changes nothing when it is assigned again', () => {
    const asked = assign(start(on.mondayTen), 'correspondent', on.mondayNoon);
    const paused = assign(asked, 'requester', on.tuesdayTen);
    expect(assign(asked, 'correspondent', on.tuesdayTen)).toBe(asked);
    expect(assign(paused, 'requester', on.wednesdayNoon)).toBe(paused);
  });

  it('SLA-4 has elapsed minutes of its own, up to now', () => {
    const asked = assign(start(on.mondayTen), 'correspondent', on.mondayNoon);
    const back = assign(asked, 'team', on.tuesdayTen);
    const paused = assign(back, 'requester', on.tuesdayFive);
    expect(elapsedUntil(asked, on.mondayFive, policy)).toEqual({ team: 120, requester: 0, correspondent: 300 });
    expect(elapsedUntil(back, on.tuesdayTen, policy)).toEqual({ team: 120, requester: 0, correspondent: 360 });
    expect(elapsedUntil(paused, on.wednesdayFive, policy)).toEqual({ team: 540, requester: 480, correspondent: 360 });
    expect(elapsedUntil(stop(paused, on.wednesdayFive), on.nextFridayFive, policy)).toEqual({
      team: 540,
      requester: 480,
      correspondent: 360,
    });
  });

  it('SLA-4 has no elapsed minutes before the request was assigned', () => {
    expect(elapsedUntil(start(on.tuesdayTen), on.mondayTen, policy)).toEqual(noMinutes);
  });
});

describe('a clock that is stopped', () => {
  it('SLA-4 in time has no breach, even at the due time', () => {
    const stopped = {
      status: 'stopped',
      dueAt: on.nextMondayFive,
      at: on.nextMondayFive,
      breachedBy: null,
      elapsed: { team: fiveDays + 7 * 60, requester: 0, correspondent: 0 },
    };
    expect(stop(start(on.mondayTen), on.nextMondayFive)).toEqual(stopped);
    expect(isOverdue(stop(start(on.mondayTen), on.nextMondayFive), on.nextFridayFive)).toBe(false);
    expect(minutesLeft(stop(start(on.mondayTen), on.wednesdayFive), on.nextFridayFive)).toBe(3 * aDay);
  });

  it('SLA-4 late names who had the request longest', () => {
    const withTeam = stop(start(on.mondayTen), addDuration(on.nextMondayFive, { seconds: 1 }));
    expect(withTeam).toMatchObject({ breachedBy: 'team', at: addDuration(on.nextMondayFive, { seconds: 1 }) });
    expect(isOverdue(withTeam, on.nextFridayFive)).toBe(true);
    const withCorrespondent = stop(assign(start(on.mondayTen), 'correspondent', on.mondayNoon), on.nextTuesdayFive);
    expect(withCorrespondent).toMatchObject({ breachedBy: 'correspondent', dueAt: on.nextMondayFive });
    expect(minutesLeft(withCorrespondent, on.nextFridayFive)).toBe(-aDay);
  });

  it('SLA-4 does not count the time in which the requester was asked', () => {
    expect(longestAssignee({ team: 10, requester: 1000, correspondent: 11 })).toBe('correspondent');
    expect(longestAssignee({ team: 10, requester: 1000, correspondent: 10 })).toBe('team');
  });

  it('SLA-2 while paused was due when the minutes left would have been used', () => {
    const paused = assign(start(on.mondayTen), 'requester', on.mondayNoon);
    expect(stop(paused, on.wednesdayNoon)).toEqual({
      status: 'stopped',
      dueAt: on.nextWednesdayFive,
      at: on.wednesdayNoon,
      breachedBy: null,
      elapsed: { team: 120, requester: 2 * aDay, correspondent: 0 },
    });
  });

  it('SLA-4 does not change any more', () => {
    const stopped = stop(start(on.mondayTen), on.tuesdayTen);
    expect(assign(stopped, 'requester', on.wednesdayNoon)).toBe(stopped);
    expect(stop(stopped, on.nextFridayFive)).toBe(stopped);
  });
});

describe('being overdue', () => {
  it('SLA-1 starts after the due time, not at it', () => {
    const clock = start(on.mondayTen);
    expect(isOverdue(clock, on.nextMondayFive)).toBe(false);
    expect(isOverdue(clock, addDuration(on.nextMondayFive, { seconds: 1 }))).toBe(true);
  });

  it('SLA-2 is false for a paused clock with no minutes left, and true with one minute less', () => {
    const clock = start(on.mondayTen);
    expect(isOverdue(assign(clock, 'requester', on.nextMondayFive), on.nextFridayFive)).toBe(false);
    const aMinuteLater = addDuration(on.nextTuesdayNine, { minutes: 1 });
    expect(isOverdue(assign(clock, 'requester', aMinuteLater), on.nextFridayFive)).toBe(true);
  });
});

describe('any sequence of assignees', () => {
  const assignments = fc.array(
    fc.record({
      assignee: fc.constantFrom<Assignee>('team', 'requester', 'correspondent'),
      seconds: fc.integer({ min: 0, max: 4 * 24 * 3600 }),
    }),
    { maxLength: 12 },
  );
  const instants = fc
    .integer({ min: 0, max: 30 * 24 * 3600 })
    .map((seconds) => addDuration(on.fridayBeforeFallBackTen, { seconds }));

  it('SLA-2 SLA-4 leaves the given minutes less those of the team and the Correspondent, to the minute', () => {
    fc.assert(
      fc.property(instants, fc.boolean(), assignments, (receivedAt, isInEnglish, assignmentList) => {
        const first = startClock(receivedAt, isInEnglish, policy);
        const givenMinutes = remainingMinutes(first, receivedAt, policy);
        let clock: SlaClock = first;
        let now = receivedAt;
        for (const { assignee, seconds } of [...assignmentList, { assignee: 'team', seconds: 0 } as const]) {
          now = addDuration(now, { seconds });
          const elapsed = elapsedUntil(clock, now, policy);
          expect(minutesLeft(clock, now)).toBe(givenMinutes - elapsed.team - elapsed.correspondent);
          expect(elapsed.team + elapsed.correspondent + elapsed.requester).toBe(
            businessMinutesBetween(receivedAt, now, policy.supportCalendar),
          );
          clock = assign(clock, assignee, now);
          expect(elapsedUntil(clock, now, policy)).toEqual(elapsed);
          expect(minutesLeft(clock, now)).toBe(givenMinutes - elapsed.team - elapsed.correspondent);
        }
        const stopped = stop(clock, now);
        expect(minutesLeft(stopped, addDuration(now, { days: 9 }))).toBe(minutesLeft(clock, now));
        expect(stopped).toMatchObject({ dueAt: clock.status === 'running' ? clock.dueAt : expect.anything() });
      }),
    );
  });

  it('SLA-4 never moves the due time unless the requester is asked', () => {
    fc.assert(
      fc.property(instants, assignments, (receivedAt, assignmentList) => {
        const first = start(receivedAt);
        let clock: SlaClock = first;
        let now = receivedAt;
        for (const { assignee, seconds } of assignmentList) {
          now = addDuration(now, { seconds });
          clock = assign(clock, assignee === 'requester' ? 'team' : assignee, now);
        }
        expect(clock).toMatchObject({ dueAt: first.status === 'running' && first.dueAt });
      }),
    );
  });
});
