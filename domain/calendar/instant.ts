declare const brand: unique symbol;

/**
 * A moment, as ISO 8601 in UTC and always in the millisecond form `2026-06-01T16:00:00.000Z`.
 *
 * Because every instant has the same shape and the same length, the order of the texts is the order in time: instants
 * can be compared with `<`, sorted, and used as sort keys as they are.
 */
export type Instant = string & { readonly [brand]: 'Instant' };

/** A day on somebody's wall calendar, `YYYY-MM-DD`. It is a moment only together with a time zone. */
export type CivilDate = string & { readonly [brand]: 'CivilDate' };

/** A stretch of elapsed time. A day here is 24 hours, whatever the clocks do; parts may be negative. */
export type Duration = {
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
};

const MILLISECONDS_A_DAY = 86_400_000;

const ISO_INSTANT =
  /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2})(?::(\d{2})(?:\.(\d+))?)?(?:Z|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)$/;

/**
 * Reads an ISO 8601 instant and writes it in the one form that the rest of the code knows.
 *
 * Takes a date and a time with `Z` or an offset (`+05:30`, `+0530`, `+05`); seconds may be missing, and a fraction finer
 * than a millisecond is cut off. Throws a RangeError on anything else: a day that no calendar has, 24:00, a leap
 * second, a time without a zone, or a year that UTC would not write with four digits.
 */
export function instant(iso: string): Instant {
  const match = ISO_INSTANT.exec(iso);
  if (match === null) throw new RangeError(`not an ISO 8601 instant: ${iso}`);
  const [, dateAndMinute = '', second = '00', fraction = '', sign = '+', offsetHours = '0', offsetMinutes = '0'] =
    match;
  const asIfUtc = `${dateAndMinute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}Z`;
  const milliseconds = Date.parse(asIfUtc);
  // Date.parse rolls 30 February over to March, so what it understood is compared with what was written.
  if (Number.isNaN(milliseconds) || new Date(milliseconds).toISOString() !== asIfUtc) {
    throw new RangeError(`no such date or time: ${iso}`);
  }
  const offsetMilliseconds = (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60_000;
  return fromEpochMilliseconds(sign === '-' ? milliseconds + offsetMilliseconds : milliseconds - offsetMilliseconds);
}

/** The instant that many whole milliseconds after 1970 began in UTC. Throws a RangeError outside the years 0000 to 9999. */
export function fromEpochMilliseconds(milliseconds: number): Instant {
  const moment = new Date(milliseconds);
  const year = moment.getUTCFullYear();
  // Outside these years ISO 8601 needs a sign and six digits, and text order would no longer be time order.
  if (!Number.isInteger(milliseconds) || !(year >= 0 && year <= 9999)) {
    throw new RangeError(`not whole milliseconds in the years 0000 to 9999: ${milliseconds}`);
  }
  return moment.toISOString() as Instant;
}

/** Whole milliseconds since 1970 began in UTC. */
export function epochMilliseconds(at: Instant): number {
  return Date.parse(at);
}

/**
 * The instant that much elapsed time after `at` (before it, if negative).
 *
 * For leases, expiries, graces and waiting periods, where a day means 24 hours. What people call "the next day" or "a
 * business day" is civil time and is not reckoned here.
 */
export function addDuration(at: Instant, duration: Duration): Instant {
  const { days = 0, hours = 0, minutes = 0, seconds = 0 } = duration;
  return fromEpochMilliseconds(epochMilliseconds(at) + (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000);
}

/** Whether `a` is earlier than `b`; the same moment is not before itself. */
export function isBefore(a: Instant, b: Instant): boolean {
  return a < b;
}

/** Reads a day of the calendar written `YYYY-MM-DD`. Throws a RangeError when there is no such day, as on 2026-02-30. */
export function civilDate(text: string): CivilDate {
  const milliseconds = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(milliseconds) || new Date(milliseconds).toISOString().slice(0, 10) !== text) {
    throw new RangeError(`no such day: ${text}`);
  }
  return text as CivilDate;
}

/** The number of a day, counting from 1970-01-01 as 0: days become integers that can be added and compared. */
export function dayNumber(date: CivilDate): number {
  return Date.parse(date) / MILLISECONDS_A_DAY;
}

/** The day with that number; the inverse of `dayNumber`. Throws a RangeError outside the years 0000 to 9999. */
export function fromDayNumber(number: number): CivilDate {
  return civilDate(fromEpochMilliseconds(number * MILLISECONDS_A_DAY).slice(0, 10));
}

/** The day of the week of a day number, 0 for Sunday to 6 for Saturday. */
export function weekdayOf(number: number): number {
  // Day 0, 1970-01-01, was a Thursday. The second remainder is for the days before it, which are negative.
  return (((number + 4) % 7) + 7) % 7;
}
