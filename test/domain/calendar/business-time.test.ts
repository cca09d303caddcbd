import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SupportCalendar } from '../../../domain/calendar/business-time.ts';
import {
  addBusinessDays,
  addBusinessMinutes,
  businessMinutesBetween,
  dayIn,
  dueAt,
  startOfBusiness,
  startOfNextDay,
} from '../../../domain/calendar/business-time.ts';
import {
  civilDate,
  epochMilliseconds,
  fromEpochMilliseconds,
  instant,
  isBefore,
} from '../../../domain/calendar/instant.ts';
import * as on from '../../instants.ts';
import { calendars, expectAgreement, losAngeles } from './business-time-oracle.ts';

const fiveDays = 5;
const minutesPerDay = 480;

describe('a request received in a week without a holiday', () => {
  it.each([
    ['on Friday at 16:59 is due the next Friday', on.fridayAlmostFive, on.nextFridayFive],
    ['on Friday at 16:59:59.999 is due the next Friday', on.fridayBeforeFive, on.nextFridayFive],
    [
      'on Friday at 17:00:00 starts on Monday and is due the Monday after next Friday',
      on.fridayFive,
      on.mondayAfterNextFridayFive,
    ],
    ['on that Saturday is due the Monday after next Friday', on.saturdayNoon, on.mondayAfterNextFridayFive],
    ['on that Sunday is due the Monday after next Friday', on.nextSundayNoon, on.mondayAfterNextFridayFive],
    ['on Friday at opening is due the next Friday', on.fridayNine, on.nextFridayFive],
    ['on Monday at 09:00 is due the next Monday', on.mondayNine, on.nextMondayFive],
    ['on Monday just before 09:00 starts that Monday', on.mondayBeforeNine, on.nextMondayFive],
    ['on Monday at 16:59:59.999 is due the next Monday', on.mondayBeforeFive, on.nextMondayFive],
    ['on Monday at 17:00:00 starts on Tuesday and is due the next Tuesday', on.mondayFive, on.nextTuesdayFive],
    ['on Monday evening is due the next Tuesday', on.mondayEvening, on.nextTuesdayFive],
    ['on Tuesday just after midnight is due the next Tuesday', on.tuesdayMidnight, on.nextTuesdayFive],
  ])('SLA-1 %s', (_, receivedAt, due) => {
    expect(dueAt(receivedAt, fiveDays, losAngeles)).toBe(due);
  });

  it('SLA-3 is due five business days later when the policy adds five', () => {
    expect(dueAt(on.mondayNine, 10, losAngeles)).toBe(on.mondayAfterNextFridayFive);
  });

  it('SLA-1 is due at closing of the day on which work starts for zero business days', () => {
    expect(dueAt(on.mondayNine, 0, losAngeles)).toBe(on.mondayFive);
    expect(dueAt(on.saturdayNoon, 0, losAngeles)).toBe(on.nextMondayFive);
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('SLA-1 throws for %s business days', (businessDays) => {
    expect(() => dueAt(on.mondayNine, businessDays, losAngeles)).toThrow(
      new RangeError(`not a number of business days: ${businessDays}`),
    );
  });
});

describe('a request received before a week with a holiday', () => {
  it.each([
    [
      'on Friday at 16:59 is due the Monday after the holiday',
      on.fridayBeforeTheHolidayAlmostFive,
      on.mondayAfterTheHolidayFive,
    ],
    [
      'on that Saturday is due the Tuesday after the holiday',
      on.saturdayBeforeTheHolidayNoon,
      on.tuesdayAfterTheHolidayFive,
    ],
  ])('SLA-1 %s', (_, receivedAt, due) => {
    expect(dueAt(receivedAt, fiveDays, losAngeles)).toBe(due);
  });

  it('SLA-1 ignores the holiday for a calendar without holidays', () => {
    expect(dueAt(on.fridayBeforeTheHolidayAlmostFive, fiveDays, { ...losAngeles, holidays: 'none' })).toBe(
      on.fridayAfterTheHolidayFive,
    );
  });

  it('SLA-1 starts on the next day when it is received on the holiday', () => {
    expect(startOfBusiness(on.holidayNoon, losAngeles)).toBe(on.thursdayAfterTheHolidayNine);
  });

  it('SLA-1 skips a day that the policy closes', () => {
    const closedOnThursday: SupportCalendar = { ...losAngeles, closedOn: [civilDate('2026-11-12')] };
    expect(startOfBusiness(on.holidayNoon, closedOnThursday)).toBe(on.fridayAfterTheHolidayNine);
    expect(dueAt(on.fridayBeforeTheHolidayAlmostFive, fiveDays, closedOnThursday)).toBe(on.tuesdayAfterTheHolidayFive);
  });

  it('SLA-1 skips the last Friday of a year when New Year’s Day is observed on it', () => {
    expect(startOfBusiness(instant('2027-12-31T09:00:00-08:00'), losAngeles)).toBe(
      instant('2028-01-03T09:00:00-08:00'),
    );
  });
});

describe('the start of work', () => {
  it.each([
    ['is immediate at opening', on.mondayNine, on.mondayNine],
    ['is at opening for a request one millisecond before', on.mondayBeforeNine, on.mondayNine],
    ['is immediate, to the millisecond, just before closing', on.mondayBeforeFive, on.mondayBeforeFive],
    ['is the next morning for a request at closing', on.mondayFive, on.tuesdayNine],
    ['is the next morning for a request at night', on.mondayEvening, on.tuesdayNine],
    ['is Monday for a request at the weekend', on.saturdayNoon, on.nextMondayNine],
  ])('SLA-1 %s', (_, at, starts) => {
    expect(startOfBusiness(at, losAngeles)).toBe(starts);
  });
});

describe('business minutes', () => {
  it.each([
    ['zero from an instant to itself', on.mondayTen, on.mondayTen, 0],
    ['sixty in a business hour', on.mondayNine, on.mondayTen, 60],
    ['a day from opening to closing', on.mondayNine, on.mondayFive, minutesPerDay],
    ['zero overnight', on.mondayFive, on.tuesdayNine, 0],
    ['zero at the weekend', on.fridayFive, on.nextMondayNine, 0],
    ['one, across the weekend, from 16:59', on.fridayAlmostFive, on.nextMondayNine, 1],
    ['five days in a week', on.mondayNine, on.nextMondayNine, 5 * minutesPerDay],
    ['zero on a holiday', on.tuesdayBeforeTheHolidayFive, on.thursdayAfterTheHolidayNine, 0],
    [
      'a day from Tuesday to Thursday over a holiday',
      on.tuesdayBeforeTheHolidayTen,
      on.thursdayAfterTheHolidayTen,
      minutesPerDay,
    ],
    [
      'a day over the weekend on which clocks go forward',
      on.fridayBeforeSpringForwardTen,
      on.mondayAfterSpringForwardTen,
      minutesPerDay,
    ],
    [
      'a day over the weekend on which clocks go back',
      on.fridayBeforeFallBackTen,
      on.mondayAfterFallBackTen,
      minutesPerDay,
    ],
  ])('SLA-2 are %s, and negative when reversed', (_, from, to, minutes) => {
    expect(businessMinutesBetween(from, to, losAngeles)).toBe(minutes);
    expect(businessMinutesBetween(to, from, losAngeles)).toBe(0 - minutes);
  });

  it('SLA-2 are counted from the minute of each end', () => {
    const late = instant('2026-06-01T10:00:59.999-07:00');
    const next = instant('2026-06-01T10:01:00.000-07:00');
    expect(businessMinutesBetween(on.mondayTen, late, losAngeles)).toBe(0);
    expect(businessMinutesBetween(on.mondayTen, next, losAngeles)).toBe(1);
    expect(businessMinutesBetween(late, next, losAngeles)).toBe(1);
    expect(businessMinutesBetween(on.mondayBeforeFive, on.mondayFive, losAngeles)).toBe(1);
    expect(businessMinutesBetween(on.mondayBeforeNine, on.mondayNine, losAngeles)).toBe(0);
  });

  it('SLA-2 of 2026 are those of 250 days', () => {
    const [start, end] = [instant('2026-01-01T00:00:00-08:00'), instant('2027-01-01T00:00:00-08:00')];
    // 2026 has 261 weekdays, and all eleven holidays are observed on weekdays.
    expect(businessMinutesBetween(start, end, losAngeles)).toBe(250 * minutesPerDay);
    expect(addBusinessMinutes(start, 250 * minutesPerDay, losAngeles)).toBe(instant('2026-12-31T17:00:00-08:00'));
  });
});

describe('adding business minutes', () => {
  it.each([
    ['forward a business hour', on.mondayNine, 60, on.mondayTen],
    ['forward to one minute before closing', on.mondayNine, minutesPerDay - 1, on.mondayAlmostFive],
    ['forward to closing, not to the next opening', on.mondayNine, minutesPerDay, on.mondayFive],
    ['past closing to the next morning', on.mondayTen, minutesPerDay, on.tuesdayTen],
    ['from the weekend like from Monday at opening', on.saturdayNoon, 60, on.nextMondayTen],
    ['from closing like from the next opening', on.fridayFive, 60, on.nextMondayTen],
    ['from before opening', on.mondayBeforeNine, 60, on.mondayTen],
    ['over a holiday', on.tuesdayBeforeTheHolidayTen, minutesPerDay, on.thursdayAfterTheHolidayTen],
    [
      'over the weekend on which clocks go forward',
      on.fridayBeforeSpringForwardTen,
      minutesPerDay,
      on.mondayAfterSpringForwardTen,
    ],
    ['over the weekend on which clocks go back', on.fridayBeforeFallBackTen, minutesPerDay, on.mondayAfterFallBackTen],
    ['back overnight to one minute before closing', on.tuesdayNine, -1, on.mondayAlmostFive],
    ['back within business hours', on.tuesdayTen, -59, instant('2026-06-02T09:01:00-07:00')],
    ['back to opening, which gives the previous closing', on.tuesdayTen, -60, on.mondayFive],
    ['back over the weekend', on.nextMondayTen, -60 - minutesPerDay, on.thursdayFive],
    ['back over a holiday', on.thursdayAfterTheHolidayTen, -minutesPerDay, on.tuesdayBeforeTheHolidayTen],
    ['nowhere within business hours for zero', on.mondayTen, 0, on.mondayTen],
    ['nowhere at closing for zero', on.mondayFive, 0, on.mondayFive],
    ['to Friday at closing from the weekend for zero', on.saturdayNoon, 0, on.fridayFive],
    ['to the previous closing from opening for zero', on.tuesdayNine, 0, on.mondayFive],
  ])('SLA-2 goes %s', (_, from, minutes, to) => {
    expect(addBusinessMinutes(from, minutes, losAngeles)).toBe(to);
  });

  it('SLA-2 starts at the minute of the given instant', () => {
    expect(addBusinessMinutes(instant('2026-06-01T09:00:59.999-07:00'), 60, losAngeles)).toBe(on.mondayTen);
    expect(addBusinessMinutes(instant('2026-06-01T10:00:59.999-07:00'), 0, losAngeles)).toBe(on.mondayTen);
    expect(addBusinessMinutes(instant('2026-06-01T10:01:59.999-07:00'), -1, losAngeles)).toBe(on.mondayTen);
  });

  it.each([0.5, Number.NaN, Number.NEGATIVE_INFINITY])('SLA-2 throws for %s minutes', (minutes) => {
    expect(() => addBusinessMinutes(on.mondayNine, minutes, losAngeles)).toThrow(
      new RangeError(`not an integer: ${minutes}`),
    );
  });
});

describe('adding business days', () => {
  it.each([
    ['two after Monday noon is Wednesday noon', on.mondayNoon, 2, on.wednesdayNoon],
    ['one after a Saturday is Tuesday at opening', on.saturdayNoon, 1, on.nextTuesdayNine],
    ['one after Friday at closing is Tuesday at opening', on.fridayFive, 1, on.nextTuesdayNine],
    ['one after Friday at opening is Monday at opening', on.fridayNine, 1, on.nextMondayNine],
    ['one after just before opening is the next opening', on.mondayBeforeNine, 1, on.tuesdayNine],
    [
      'one after just before closing keeps the millisecond',
      on.mondayBeforeFive,
      1,
      instant('2026-06-02T16:59:59.999-07:00'),
    ],
    ['four after Monday noon is Friday noon', on.mondayNoon, 4, on.fridayNoon],
    ['five after Friday at opening is the next Friday at opening', on.fridayNine, 5, on.nextFridayNine],
    [
      'one after the day before a holiday is the day after it',
      on.tuesdayBeforeTheHolidayTen,
      1,
      on.thursdayAfterTheHolidayTen,
    ],
    ['one after a holiday is Friday at opening', on.holidayNoon, 1, on.fridayAfterTheHolidayNine],
    [
      'one keeps the time of day when the clocks go forward',
      on.fridayBeforeSpringForwardTen,
      1,
      on.mondayAfterSpringForwardTen,
    ],
    ['one keeps the time of day when the clocks go back', on.fridayBeforeFallBackTen, 1, on.mondayAfterFallBackTen],
  ])('SLA-5 %s', (_, from, days, to) => {
    expect(addBusinessDays(from, days, losAngeles)).toBe(to);
  });
});

describe('subtracting business days', () => {
  it.each([
    ['two before a due time at closing is closing', on.nextFridayFive, -2, on.nextWednesdayFive],
    ['one before a due time at closing is closing', on.nextFridayFive, -1, on.nextThursdayFive],
    ['zero before a due time at closing is that time', on.nextFridayFive, 0, on.nextFridayFive],
    ['two skip the weekend', on.nextMondayFive, -2, on.thursdayFive],
    ['two skip a holiday', on.fridayAfterTheHolidayFive, -2, on.tuesdayBeforeTheHolidayFive],
    ['one before an opening is an opening', on.nextTuesdayNine, -1, on.nextMondayNine],
    ['zero before an opening is that opening', on.mondayNine, 0, on.mondayNine],
    ['zero keeps an instant within business hours, to the millisecond', on.mondayBeforeFive, 0, on.mondayBeforeFive],
    ['two before a Saturday count from Friday at closing', on.saturdayNoon, -2, on.wednesdayFive],
    ['zero before a Saturday is Friday at closing', on.saturdayNoon, 0, on.fridayFive],
    [
      'zero before an instant just before opening is the previous closing',
      on.mondayBeforeNine,
      0,
      instant('2026-05-29T17:00:00-07:00'),
    ],
    ['zero before a millisecond after closing is closing', instant('2026-06-01T17:00:00.001-07:00'), 0, on.mondayFive],
  ])('SLA-5 %s', (_, from, days, to) => {
    expect(addBusinessDays(from, days, losAngeles)).toBe(to);
  });

  it.each([0.5, Number.NaN, Number.POSITIVE_INFINITY])('SLA-5 throws for %s days', (days) => {
    expect(() => addBusinessDays(on.mondayNine, days, losAngeles)).toThrow(new RangeError(`not an integer: ${days}`));
  });
});

describe('a calendar day in a time zone', () => {
  it('OVR-2 ends at midnight in that zone', () => {
    expect(dayIn(on.mondayBeforeMidnight, 'America/Los_Angeles')).toBe('2026-06-01');
    expect(dayIn(on.tuesdayMidnight, 'America/Los_Angeles')).toBe('2026-06-02');
    expect(dayIn(on.mondayBeforeMidnight, 'UTC')).toBe('2026-06-02');
    expect(dayIn(on.mondayNine, 'Pacific/Kiritimati')).toBe('2026-06-02');
  });

  it('OVR-2 is followed by a day that starts at midnight', () => {
    expect(startOfNextDay(on.mondayNine, 'America/Los_Angeles')).toBe(on.tuesdayMidnight);
    expect(startOfNextDay(on.mondayBeforeMidnight, 'America/Los_Angeles')).toBe(on.tuesdayMidnight);
    expect(startOfNextDay(on.tuesdayMidnight, 'America/Los_Angeles')).toBe(instant('2026-06-03T00:00:00-07:00'));
  });

  it('OVR-2 has 23 hours when the clocks go forward and 25 when they go back', () => {
    expect(startOfNextDay(on.springForwardSundayMidnight, 'America/Los_Angeles')).toBe(
      on.mondayAfterSpringForwardMidnight,
    );
    expect(startOfNextDay(on.fallBackSundayMidnight, 'America/Los_Angeles')).toBe(on.mondayAfterFallBackMidnight);
    const lastHour = instant('2026-11-01T23:30:00-08:00');
    expect(dayIn(lastHour, 'America/Los_Angeles')).toBe('2026-11-01');
  });

  it('OVR-2 starts at one o’clock when the clocks skip midnight', () => {
    const thursday = instant('2026-04-23T12:00:00+02:00');
    expect(startOfNextDay(thursday, 'Africa/Cairo')).toBe(instant('2026-04-24T01:00:00+03:00'));
  });

  it('OVR-2 ends after every instant in it, and contains the millisecond before its end', () => {
    fc.assert(
      fc.property(anyInstant, fc.constantFrom(...calendars), (at, { zone }) => {
        const next = startOfNextDay(at, zone);
        expect(isBefore(at, next)).toBe(true);
        expect(dayIn(at, zone) < dayIn(next, zone)).toBe(true);
        expect(dayIn(fromEpochMilliseconds(epochMilliseconds(next) - 1), zone)).toBe(dayIn(at, zone));
      }),
    );
  });

  it('OVR-2 throws for an unknown zone', () => {
    expect(() => dayIn(on.mondayNine, 'America/Redmond')).toThrow(RangeError);
    expect(() => startOfNextDay(on.mondayNine, 'America/Redmond')).toThrow(RangeError);
  });
});

describe('a clock change within opening hours', () => {
  // In Jordan the clocks went back from 01:00 to 00:00 on Friday 29 October 2021.
  const amman: SupportCalendar = {
    zone: 'Asia/Amman',
    opensAt: '00:30',
    closesAt: '09:00',
    holidays: 'none',
    closedOn: [],
  };
  const firstOpening = instant('2021-10-29T00:30:00+03:00');
  const repeatedQuarter = instant('2021-10-29T00:15:00+02:00');

  it('SLA-2 counts a repeated hour twice', () => {
    expect(businessMinutesBetween(firstOpening, instant('2021-10-29T09:00:00+02:00'), amman)).toBe(510 + 60);
    expect(addBusinessMinutes(firstOpening, 45, amman)).toBe(repeatedQuarter);
  });

  it('SLA-1 stays open when the clock goes back to before opening', () => {
    expect(startOfBusiness(repeatedQuarter, amman)).toBe(repeatedQuarter);
  });

  it('SLA-5 uses the opening for a time of day that other days have only before opening', () => {
    expect(addBusinessDays(repeatedQuarter, -1, amman)).toBe(instant('2021-10-28T00:30:00+03:00'));
  });

  // In Egypt the clocks went forward from 00:00 to 01:00 on Friday 24 April 2026.
  const cairo: SupportCalendar = {
    zone: 'Africa/Cairo',
    opensAt: '00:30',
    closesAt: '08:00',
    holidays: 'none',
    closedOn: [],
  };

  it('SLA-1 opens at the clock change when the opening time is skipped', () => {
    const thursdayEvening = instant('2026-04-23T20:00:00+02:00');
    expect(startOfBusiness(thursdayEvening, cairo)).toBe(instant('2026-04-24T01:00:00+03:00'));
    expect(addBusinessMinutes(thursdayEvening, 7 * 60, cairo)).toBe(instant('2026-04-24T08:00:00+03:00'));
    expect(addBusinessDays(instant('2026-04-23T00:45:12+02:00'), 1, cairo)).toBe(instant('2026-04-24T01:00:00+03:00'));
  });

  it('SLA-1 never starts work on a day whose opening hours are all skipped', () => {
    const firstHalfHour: SupportCalendar = { ...cairo, opensAt: '00:15', closesAt: '00:45' };
    const thursdayEvening = instant('2026-04-23T20:00:00+02:00');
    const saturday = instant('2026-04-25T12:00:00+03:00');
    expect(startOfBusiness(thursdayEvening, firstHalfHour)).toBe(instant('2026-04-27T00:15:00+03:00'));
    expect(businessMinutesBetween(thursdayEvening, saturday, firstHalfHour)).toBe(0);
    expect(addBusinessMinutes(saturday, -1, firstHalfHour)).toBe(instant('2026-04-23T00:44:00+02:00'));
    expect(addBusinessDays(saturday, 0, firstHalfHour)).toBe(instant('2026-04-23T00:45:00+02:00'));
  });
});

describe('an invalid calendar', () => {
  it.each([
    ['closes when it opens', { opensAt: '09:00', closesAt: '09:00' }, 'must close after it opens: 09:00 to 09:00'],
    ['closes before it opens', { opensAt: '17:00', closesAt: '09:00' }, 'must close after it opens: 17:00 to 09:00'],
    ['opens at an invalid time', { opensAt: '24:30' }, '24:30'],
    ['has an unknown zone', { zone: 'America/Redmond' }, 'zone'],
  ])('SLA-1 throws when it %s', (_, members, message) => {
    const calendar = { ...losAngeles, ...members };
    expect(() => startOfBusiness(on.mondayNine, calendar)).toThrow(message);
    expect(() => dueAt(on.mondayNine, fiveDays, calendar)).toThrow(RangeError);
    expect(() => businessMinutesBetween(on.mondayNine, on.mondayTen, calendar)).toThrow(RangeError);
    expect(() => addBusinessMinutes(on.mondayNine, 1, calendar)).toThrow(RangeError);
    expect(() => addBusinessDays(on.mondayNine, 1, calendar)).toThrow(RangeError);
  });
});

const anyInstant = fc
  .integer({ min: Date.parse('2024-01-01T00:00Z'), max: Date.parse('2031-12-31T00:00Z') })
  .map(fromEpochMilliseconds);
const anyCalendar = fc.constantFrom(...calendars);
const anyMinutes = fc.integer({ min: -20_000, max: 20_000 });
const anyDays = fc.integer({ min: 0, max: 30 });

describe('business time with any calendar', () => {
  it('SLA-2 the minutes to an instant after n minutes are n', () => {
    fc.assert(
      fc.property(anyCalendar, anyInstant, anyMinutes, (calendar, at, minutes) => {
        expect(businessMinutesBetween(at, addBusinessMinutes(at, minutes, calendar), calendar)).toBe(minutes);
      }),
    );
  });

  it('SLA-2 consecutive intervals add up, in any order of the three instants', () => {
    fc.assert(
      fc.property(anyCalendar, anyInstant, anyInstant, anyInstant, (calendar, a, b, c) => {
        expect(businessMinutesBetween(a, b, calendar) + businessMinutesBetween(b, c, calendar)).toBe(
          businessMinutesBetween(a, c, calendar),
        );
      }),
    );
  });

  it('SLA-2 adding twice equals adding the sum, forward and back', () => {
    fc.assert(
      fc.property(anyCalendar, anyInstant, anyMinutes, anyMinutes, (calendar, at, first, second) => {
        const twoSteps = addBusinessMinutes(addBusinessMinutes(at, first, calendar), second, calendar);
        expect(twoSteps).toBe(addBusinessMinutes(at, first + second, calendar));
      }),
    );
  });

  it('SLA-2 pausing and resuming at once keeps the due time, overdue or not', () => {
    fc.assert(
      fc.property(anyCalendar, anyInstant, anyDays, anyInstant, (calendar, receivedAt, days, now) => {
        const due = dueAt(receivedAt, days, calendar);
        expect(addBusinessMinutes(now, businessMinutesBetween(now, due, calendar), calendar)).toBe(due);
      }),
    );
  });

  it('SLA-2 a pause keeps the remaining minutes', () => {
    fc.assert(
      fc.property(
        anyCalendar,
        anyInstant,
        anyDays,
        anyMinutes,
        anyMinutes,
        (calendar, receivedAt, days, minutesBefore, pauseMinutes) => {
          const due = dueAt(receivedAt, days, calendar);
          const pausedAt = addBusinessMinutes(receivedAt, Math.abs(minutesBefore), calendar);
          const remaining = businessMinutesBetween(pausedAt, due, calendar);
          const resumedAt = addBusinessMinutes(pausedAt, Math.abs(pauseMinutes), calendar);
          const movedDue = addBusinessMinutes(resumedAt, remaining, calendar);
          expect(businessMinutesBetween(resumedAt, movedDue, calendar)).toBe(remaining);
          expect(businessMinutesBetween(due, movedDue, calendar)).toBe(Math.abs(pauseMinutes));
        },
      ),
    );
  });

  it('SLA-1 a later request is never due earlier', () => {
    fc.assert(
      fc.property(anyCalendar, anyInstant, fc.nat({ max: 5 * 86_400_000 }), anyDays, (calendar, at, delay, days) => {
        const after = fromEpochMilliseconds(epochMilliseconds(at) + delay);
        expect(isBefore(dueAt(after, days, calendar), dueAt(at, days, calendar))).toBe(false);
        expect(isBefore(startOfBusiness(after, calendar), startOfBusiness(at, calendar))).toBe(false);
        expect(isBefore(addBusinessDays(after, days, calendar), addBusinessDays(at, days, calendar))).toBe(false);
        expect(isBefore(addBusinessDays(after, -days, calendar), addBusinessDays(at, -days, calendar))).toBe(false);
      }),
    );
  });

  it('SLA-2 more minutes never end earlier, and a later start never ends earlier', () => {
    fc.assert(
      fc.property(anyCalendar, anyInstant, anyMinutes, fc.nat({ max: 3000 }), (calendar, at, minutes, extraMinutes) => {
        const result = addBusinessMinutes(at, minutes, calendar);
        const after = fromEpochMilliseconds(epochMilliseconds(at) + extraMinutes * 60_000);
        expect(isBefore(addBusinessMinutes(at, minutes + extraMinutes, calendar), result)).toBe(false);
        expect(isBefore(addBusinessMinutes(after, minutes, calendar), result)).toBe(false);
      }),
    );
  });

  it('SLA-1 work in progress starts when it started, and is due at least one business day later', () => {
    fc.assert(
      fc.property(anyCalendar, anyInstant, (calendar, at) => {
        const start = startOfBusiness(at, calendar);
        expect(isBefore(start, at)).toBe(false);
        expect(startOfBusiness(start, calendar)).toBe(start);
        expect(businessMinutesBetween(at, start, calendar)).toBe(0);
        expect(isBefore(start, dueAt(at, 0, calendar))).toBe(true);
      }),
    );
  });

  it('SLA-5 going forward and back by the same number of business days returns to the start of work', () => {
    fc.assert(
      fc.property(anyInstant, anyDays, (at, days) => {
        const start = startOfBusiness(at, losAngeles);
        expect(addBusinessDays(addBusinessDays(start, days, losAngeles), -days, losAngeles)).toBe(start);
      }),
    );
  });

  it('SLA-1 SLA-2 SLA-5 agrees with an oracle that walks minute by minute', () => {
    expectAgreement(3000, 'eventful-weeks');
  }, 120_000);
});
