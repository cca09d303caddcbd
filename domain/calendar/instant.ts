declare const brand: unique symbol;

/**
 * An instant in ISO 8601, in UTC, and always with milliseconds: `2026-06-01T16:00:00.000Z`.
 *
 * All instants have the same format and length, so text order is time order. Instants can be compared with `<`, sorted,
 * and used as sort keys.
 */
export type Instant = string & { readonly [brand]: 'Instant' };

/** A calendar day, `YYYY-MM-DD`. It has a start and an end only together with a time zone. */
export type CivilDate = string & { readonly [brand]: 'CivilDate' };

/** An elapsed time. A day is always 24 hours. Parts can be negative. */
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
 * Parses an ISO 8601 instant and returns it in the one format that the code uses.
 *
 * Accepts a date and a time with `Z` or an offset (`+05:30`, `+0530`, `+05`). Seconds are optional, and a fraction
 * finer than a millisecond is cut off. Throws a RangeError for anything else: a day that does not exist, 24:00, a leap
 * second, a time without a zone, or a year outside 0000 to 9999 in UTC.
 */
export function instant(iso: string): Instant {
  const match = ISO_INSTANT.exec(iso);
  if (match === null) throw new RangeError(`not an ISO 8601 instant: ${iso}`);
  const [, dateAndMinute = '', second = '00', fraction = '', sign = '+', offsetHours = '0', offsetMinutes = '0'] =
    match;
  const asIfUtc = `${dateAndMinute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}Z`;
  const milliseconds = Date.parse(asIfUtc);
  // Date.parse rolls 30 February over to March, so the result is compared with the input.
  if (Number.isNaN(milliseconds) || new Date(milliseconds).toISOString() !== asIfUtc) {
    throw new RangeError(`no such date or time: ${iso}`);
  }
  const offsetMilliseconds = (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60_000;
  return fromEpochMilliseconds(sign === '-' ? milliseconds + offsetMilliseconds : milliseconds - offsetMilliseconds);
}

/**
 * Converts integer milliseconds since the Unix epoch to an instant. Throws a RangeError outside the years 0000 to 9999.
 */
export function fromEpochMilliseconds(milliseconds: number): Instant {
  const date = new Date(milliseconds);
  const year = date.getUTCFullYear();
  // Outside these years, ISO 8601 needs a sign and six digits, and text order is not time order.
  if (!Number.isInteger(milliseconds) || !(year >= 0 && year <= 9999)) {
    throw new RangeError(`not whole milliseconds in the years 0000 to 9999: ${milliseconds}`);
  }
  return date.toISOString() as Instant;
}

/** Converts an instant to milliseconds since the Unix epoch. */
export function epochMilliseconds(at: Instant): number {
  return Date.parse(at);
}

/**
 * Adds an elapsed time to an instant; a negative one goes back.
 *
 * Use it for leases, expiry, grace periods, and waiting periods, where a day is 24 hours. "The next day" and "a
 * business day" are civil time: see `business-time.ts`.
 */
export function addDuration(at: Instant, duration: Duration): Instant {
  const { days = 0, hours = 0, minutes = 0, seconds = 0 } = duration;
  return fromEpochMilliseconds(epochMilliseconds(at) + (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000);
}

/** Returns true when `a` is earlier than `b`. An instant is not before itself. */
export function isBefore(a: Instant, b: Instant): boolean {
  return a < b;
}

/** Parses a calendar day `YYYY-MM-DD`. Throws a RangeError for a day that does not exist, such as 2026-02-30. */
export function civilDate(text: string): CivilDate {
  const milliseconds = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(milliseconds) || new Date(milliseconds).toISOString().slice(0, 10) !== text) {
    throw new RangeError(`no such day: ${text}`);
  }
  return text as CivilDate;
}

/** Converts a day to its number, with 1970-01-01 as 0. Day numbers are integers that can be added and compared. */
export function dayNumber(date: CivilDate): number {
  return Date.parse(date) / MILLISECONDS_A_DAY;
}

/** Converts a day number to its day: the inverse of `dayNumber`. Throws a RangeError outside the years 0000 to 9999. */
export function fromDayNumber(number: number): CivilDate {
  return civilDate(fromEpochMilliseconds(number * MILLISECONDS_A_DAY).slice(0, 10));
}

/** Returns the day of the week of a day number, from 0 for Sunday to 6 for Saturday. */
export function weekdayOf(number: number): number {
  // Day 0, 1970-01-01, was a Thursday. The second remainder handles earlier days, whose numbers are negative.
  return (((number + 4) % 7) + 7) % 7;
}
