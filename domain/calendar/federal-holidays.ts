import type { CivilDate } from './instant.ts';
import { civilDate, dayNumber, fromDayNumber, weekdayOf } from './instant.ts';

const SUNDAY = 0;
const MONDAY = 1;
const THURSDAY = 4;
const SATURDAY = 6;

/**
 * Lists the observed United States federal holidays of a year (5 U.S.C. 6103), in order (SLA-1).
 *
 * A holiday on a Saturday is observed on the Friday before, and a holiday on a Sunday on the Monday after. It belongs
 * to the year of its observed day. If 1 January is a Saturday, New Year's Day is observed on 31 December of the year
 * before. So a year has ten, eleven, or twelve holidays.
 *
 * Juneteenth is included since 2021, when it became law. The other ten holidays are those of 1986 and later, for any
 * year. Inauguration Day is not included: it is a holiday only in and around Washington. Days on which a President
 * closes the offices by order are not included either: add them to the `closedOn` of the calendar.
 */
export function observedFederalHolidays(year: number): CivilDate[] {
  return [
    observedDay(year, 1, 1), // New Year's Day
    nthWeekday(3, MONDAY, year, 1), // Birthday of Martin Luther King, Jr.
    nthWeekday(3, MONDAY, year, 2), // Washington's Birthday
    lastMondayOfMay(year), // Memorial Day
    ...(year >= 2021 ? [observedDay(year, 6, 19)] : []), // Juneteenth National Independence Day
    observedDay(year, 7, 4), // Independence Day
    nthWeekday(1, MONDAY, year, 9), // Labor Day
    nthWeekday(2, MONDAY, year, 10), // Columbus Day
    observedDay(year, 11, 11), // Veterans Day
    nthWeekday(4, THURSDAY, year, 11), // Thanksgiving Day
    observedDay(year, 12, 25), // Christmas Day
    observedDay(year + 1, 1, 1), // New Year's Day of the next year, which can be observed in this one
  ]
    .map(fromDayNumber)
    .filter((date) => date.startsWith(yearText(year)));
}

function observedDay(year: number, month: number, day: number): number {
  const holiday = dayNumberOf(year, month, day);
  if (weekdayOf(holiday) === SATURDAY) return holiday - 1;
  if (weekdayOf(holiday) === SUNDAY) return holiday + 1;
  return holiday;
}

function nthWeekday(count: number, weekday: number, year: number, month: number): number {
  const first = dayNumberOf(year, month, 1);
  return first + ((weekday - weekdayOf(first) + 7) % 7) + (count - 1) * 7;
}

function lastMondayOfMay(year: number): number {
  return nthWeekday(1, MONDAY, year, 6) - 7;
}

function dayNumberOf(year: number, month: number, day: number): number {
  return dayNumber(civilDate(`${yearText(year)}-${twoDigits(month)}-${twoDigits(day)}`));
}

function yearText(year: number): string {
  return String(year).padStart(4, '0');
}

function twoDigits(part: number): string {
  return String(part).padStart(2, '0');
}
