import { instant } from '../domain/calendar/instant.ts';

// Named instants in the time zone of Los Angeles, where the support team works. They are written with their UTC offset,
// so that no test depends on the arithmetic that it checks.

// Two weeks without a holiday, 1 to 12 June 2026, in daylight saving time. Opening hours are 09:00 to 17:00.
export const sundayNoon = instant('2026-05-31T12:00:00-07:00');
export const mondayBeforeNine = instant('2026-06-01T08:59:59.999-07:00');
export const mondayNine = instant('2026-06-01T09:00:00-07:00');
export const mondayTen = instant('2026-06-01T10:00:00-07:00');
export const mondayNoon = instant('2026-06-01T12:00:00-07:00');
export const mondayAlmostFive = instant('2026-06-01T16:59:00-07:00');
export const mondayBeforeFive = instant('2026-06-01T16:59:59.999-07:00');
export const mondayFive = instant('2026-06-01T17:00:00-07:00');
export const mondayEvening = instant('2026-06-01T20:00:00-07:00');
export const mondayBeforeMidnight = instant('2026-06-01T23:59:59.999-07:00');
export const tuesdayMidnight = instant('2026-06-02T00:00:00-07:00');
export const tuesdayNine = instant('2026-06-02T09:00:00-07:00');
export const tuesdayTen = instant('2026-06-02T10:00:00-07:00');
export const tuesdayFive = instant('2026-06-02T17:00:00-07:00');
export const wednesdayNoon = instant('2026-06-03T12:00:00-07:00');
export const wednesdayFive = instant('2026-06-03T17:00:00-07:00');
export const thursdayFive = instant('2026-06-04T17:00:00-07:00');
export const fridayNine = instant('2026-06-05T09:00:00-07:00');
export const fridayNoon = instant('2026-06-05T12:00:00-07:00');
export const fridayAlmostFive = instant('2026-06-05T16:59:00-07:00');
export const fridayBeforeFive = instant('2026-06-05T16:59:59.999-07:00');
export const fridayFive = instant('2026-06-05T17:00:00-07:00');
export const saturdayNoon = instant('2026-06-06T12:00:00-07:00');
export const nextSundayNoon = instant('2026-06-07T12:00:00-07:00');
export const nextMondayNine = instant('2026-06-08T09:00:00-07:00');
export const nextMondayTen = instant('2026-06-08T10:00:00-07:00');
export const nextMondayFive = instant('2026-06-08T17:00:00-07:00');
export const nextTuesdayNine = instant('2026-06-09T09:00:00-07:00');
export const nextTuesdayFive = instant('2026-06-09T17:00:00-07:00');
export const nextWednesdayFive = instant('2026-06-10T17:00:00-07:00');
export const nextThursdayFive = instant('2026-06-11T17:00:00-07:00');
export const nextFridayNine = instant('2026-06-12T09:00:00-07:00');
export const nextFridayFive = instant('2026-06-12T17:00:00-07:00');
export const mondayAfterNextFridayFive = instant('2026-06-15T17:00:00-07:00');

// A week with a holiday in the middle, in standard time: Veterans Day is Wednesday 11 November 2026.
export const fridayBeforeTheHolidayAlmostFive = instant('2026-11-06T16:59:00-08:00');
export const saturdayBeforeTheHolidayNoon = instant('2026-11-07T12:00:00-08:00');
export const tuesdayBeforeTheHolidayFive = instant('2026-11-10T17:00:00-08:00');
export const tuesdayBeforeTheHolidayTen = instant('2026-11-10T10:00:00-08:00');
export const holidayNoon = instant('2026-11-11T12:00:00-08:00');
export const thursdayAfterTheHolidayNine = instant('2026-11-12T09:00:00-08:00');
export const thursdayAfterTheHolidayTen = instant('2026-11-12T10:00:00-08:00');
export const thursdayAfterTheHolidayFive = instant('2026-11-12T17:00:00-08:00');
export const fridayAfterTheHolidayNine = instant('2026-11-13T09:00:00-08:00');
export const fridayAfterTheHolidayFive = instant('2026-11-13T17:00:00-08:00');
export const mondayAfterTheHolidayFive = instant('2026-11-16T17:00:00-08:00');
export const tuesdayAfterTheHolidayFive = instant('2026-11-17T17:00:00-08:00');

// The Sundays on which the clocks change, and the business days around them. 02:00 to 03:00 is skipped on 8 March 2026.
// 01:00 to 02:00 is repeated on 1 November 2026.
export const fridayBeforeSpringForwardTen = instant('2026-03-06T10:00:00-08:00');
export const springForwardSundayMidnight = instant('2026-03-08T00:00:00-08:00');
export const mondayAfterSpringForwardMidnight = instant('2026-03-09T00:00:00-07:00');
export const mondayAfterSpringForwardTen = instant('2026-03-09T10:00:00-07:00');
export const fridayBeforeFallBackTen = instant('2026-10-30T10:00:00-07:00');
export const fallBackSundayMidnight = instant('2026-11-01T00:00:00-07:00');
export const mondayAfterFallBackMidnight = instant('2026-11-02T00:00:00-08:00');
export const mondayAfterFallBackTen = instant('2026-11-02T10:00:00-08:00');
