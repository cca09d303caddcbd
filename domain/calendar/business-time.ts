// Import the functions of this package, not its classes, so that a bundle contains only what it uses.
import * as TemporalInstant from 'temporal-polyfill/fns/Instant';
import * as PlainDate from 'temporal-polyfill/fns/PlainDate';
import * as PlainDateTime from 'temporal-polyfill/fns/PlainDateTime';
import * as PlainTime from 'temporal-polyfill/fns/PlainTime';
import * as ZonedDateTime from 'temporal-polyfill/fns/ZonedDateTime';
import { observedFederalHolidays } from './federal-holidays.ts';
import type { CivilDate, Instant } from './instant.ts';
import { civilDate, dayNumber, epochMilliseconds, fromEpochMilliseconds, weekdayOf } from './instant.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
const SUNDAY = 0;
const SATURDAY = 6;

/**
 * The opening hours of the support team, from the policy (SLA-1).
 *
 * Support is open from `opensAt` until just before `closesAt`, both `HH:MM` in the time zone `zone`, from Monday to
 * Friday, except on holidays and on the days in `closedOn`. Opening hours are within one day: every function below
 * throws a RangeError for a calendar that does not close after it opens, for an invalid time, and for an unknown zone.
 * Results are cached for each calendar object, so create one and pass it on.
 */
export type SupportCalendar = {
  readonly zone: string;
  readonly opensAt: string;
  readonly closesAt: string;
  readonly holidays: 'united-states-federal' | 'none';
  readonly closedOn: readonly CivilDate[];
};

/**
 * Returns when work starts on a request that arrives at `at` (SLA-1): immediately inside opening hours, otherwise at
 * the next opening. The opening instant is inside, the closing instant is not: a request at exactly 17:00:00 starts on
 * the next business day.
 */
export function startOfBusiness(at: Instant, calendar: SupportCalendar): Instant {
  const arrival = epochMilliseconds(at);
  return fromEpochMilliseconds(Math.max(arrival, businessDayOpenFrom(arrival, calendarCacheOf(calendar)).opens));
}

/**
 * Returns the due time of the answer to a request (SLA-1, SLA-3): the closing time of the n-th business day after the
 * day on which work starts. Throws a RangeError unless `businessDays` is an integer, zero or more.
 */
export function dueAt(receivedAt: Instant, businessDays: number, calendar: SupportCalendar): Instant {
  if (!Number.isInteger(businessDays) || businessDays < 0) {
    throw new RangeError(`not a number of business days: ${businessDays}`);
  }
  const cache = calendarCacheOf(calendar);
  const firstDay = businessDayOpenFrom(epochMilliseconds(receivedAt), cache);
  return fromEpochMilliseconds(businessDaysAfter(firstDay, businessDays, cache).closes);
}

/**
 * Returns the minutes of opening time from one instant to another, negative when `to` is earlier (SLA-2, SLA-4).
 *
 * Both ends are rounded down to the minute, so that consecutive intervals add up exactly. It counts elapsed minutes: if
 * the clocks change within opening hours, that day is shorter or longer.
 */
export function businessMinutesBetween(from: Instant, to: Instant, calendar: SupportCalendar): number {
  const start = floorToMinute(from);
  const end = floorToMinute(to);
  const cache = calendarCacheOf(calendar);
  // Subtracts from zero, because negation would turn 0 into -0.
  return end < start ? 0 - openMinutes(end, start, cache) : openMinutes(start, end, cache);
}

/**
 * Adds minutes of opening time to an instant; negative `minutes` go back (SLA-2).
 *
 * `from` is rounded down to the minute. No opening time passes between a closing and the next opening, so several
 * instants fit. The result is always the closing, which is the end of the last minute of work. This includes zero and
 * negative minutes: adding zero on a Saturday, or on Monday at opening, returns Friday at closing. So these laws hold
 * without exception:
 * - `businessMinutesBetween(from, addBusinessMinutes(from, n))` is `n`.
 * - Adding `m` and then `n` is the same as adding `m + n`, in either direction.
 * - For a due time `due` from `dueAt` or from this function, and any instant `at`, adding
 *   `businessMinutesBetween(at, due)` to `at` gives `due`. A clock that is paused and resumed at once loses and gains
 *   nothing, even when it is overdue.
 *
 * Throws a RangeError unless `minutes` is an integer.
 */
export function addBusinessMinutes(from: Instant, minutes: number, calendar: SupportCalendar): Instant {
  assertInteger(minutes);
  const start = floorToMinute(from);
  const cache = calendarCacheOf(calendar);
  return fromEpochMilliseconds(
    minutes > 0 ? addOpenTime(start, minutes * MINUTE, cache) : subtractOpenTime(start, -minutes * MINUTE, cache),
  );
}

/**
 * Adds business days to an instant and keeps the time of day; negative `days` go back (SLA-5, SLA-6).
 *
 * Forward, it counts from the start of work. One business day after a Saturday is Tuesday at opening. So is one
 * business day after Friday at closing, because the closing instant is outside opening hours. Backward, and for zero
 * days, it counts from the last instant of work. An instant from opening to closing, both included, keeps its time: two
 * business days before a due time at 17:00 is 17:00. Any other instant counts from the closing before it.
 *
 * Throws a RangeError unless `days` is an integer.
 */
export function addBusinessDays(from: Instant, days: number, calendar: SupportCalendar): Instant {
  assertInteger(days);
  const start = epochMilliseconds(from);
  const cache = calendarCacheOf(calendar);
  const day = days > 0 ? businessDayOpenFrom(start, cache) : businessDayOpenedBy(start, cache);
  const countedFrom = days > 0 ? Math.max(start, day.opens) : Math.min(start, day.closes);
  const target = days > 0 ? businessDaysAfter(day, days, cache) : businessDaysBefore(day, -days, cache);
  // Without a clock change in opening hours, the same time of day is the same duration after opening.
  if (hasUniformClock(day, cache) && hasUniformClock(target, cache)) {
    return fromEpochMilliseconds(target.opens + (countedFrom - day.opens));
  }
  const timeOfDay = ZonedDateTime.toPlainTime(toZonedDateTime(countedFrom, calendar.zone));
  // If the clocks go back in opening hours, the time of day can be before the opening of the target day.
  return fromEpochMilliseconds(Math.max(firstInstantAt(target.number, timeOfDay, calendar.zone), target.opens));
}

/** Returns the length of a business day in minutes, without clock changes. */
export function businessDayMinutes(calendar: SupportCalendar): number {
  return calendarCacheOf(calendar).openMilliseconds / MINUTE;
}

/** Returns the calendar day in a time zone at an instant (OVR-2). Throws a RangeError for an unknown zone. */
export function dayIn(at: Instant, zone: string): CivilDate {
  return civilDate(PlainDate.toString(ZonedDateTime.toPlainDate(toZonedDateTime(epochMilliseconds(at), zone))));
}

/**
 * Returns the start of the next calendar day in a time zone (OVR-2): midnight, or the first instant after it when a
 * clock change skips midnight. A day of 23 or 25 hours is one day. Throws a RangeError for an unknown zone.
 */
export function startOfNextDay(at: Instant, zone: string): Instant {
  const tomorrow = PlainDate.addDays(ZonedDateTime.toPlainDate(toZonedDateTime(epochMilliseconds(at), zone)), 1);
  return fromEpochMilliseconds(PlainDate.toZonedDateTime(tomorrow, zone).epochMilliseconds);
}

/**
 * Returns the start of a calendar day in a time zone: midnight, or the first instant after it when a clock change skips
 * midnight.
 */
export function startOfDay(day: CivilDate, zone: string): Instant {
  return fromEpochMilliseconds(PlainDate.toZonedDateTime(toPlainDate(dayNumber(day)), zone).epochMilliseconds);
}

/** A business day: its day number, and its opening and closing in epoch milliseconds. */
type BusinessDay = { readonly number: number; readonly opens: number; readonly closes: number };

/** The cached values of a calendar. `days` has each day that was requested, with `null` for a closed one. */
type CalendarCache = {
  readonly calendar: SupportCalendar;
  readonly opensAt: PlainTime.Record;
  readonly closesAt: PlainTime.Record;
  readonly openMilliseconds: number;
  readonly closedOn: ReadonlySet<number>;
  readonly holidays: Map<number, ReadonlySet<number>>;
  readonly days: Map<number, BusinessDay | null>;
};

// Converting civil time to an instant takes microseconds, and the same few days are requested again and again. With the
// opening and closing of each day cached as instants, the functions above only compare integers.
const calendarCaches = new WeakMap<SupportCalendar, CalendarCache>();

// About forty years. The cache is bounded, because a warm process runs for long and unbounded growth is a leak.
const CACHED_DAYS_MAX = 15_000;

function calendarCacheOf(calendar: SupportCalendar): CalendarCache {
  const cached = calendarCaches.get(calendar);
  if (cached !== undefined) return cached;
  const opensAt = PlainTime.fromString(calendar.opensAt);
  const closesAt = PlainTime.fromString(calendar.closesAt);
  if (PlainTime.compare(opensAt, closesAt) >= 0) {
    throw new RangeError(`a calendar must close after it opens: ${calendar.opensAt} to ${calendar.closesAt}`);
  }
  const cache: CalendarCache = {
    calendar,
    opensAt,
    closesAt,
    openMilliseconds: PlainTime.diffMilliseconds(opensAt, closesAt),
    closedOn: new Set(calendar.closedOn.map(dayNumber)),
    holidays: new Map(),
    days: new Map(),
  };
  calendarCaches.set(calendar, cache);
  return cache;
}

function businessDayOf(number: number, cache: CalendarCache): BusinessDay | null {
  const cached = cache.days.get(number);
  if (cached !== undefined) return cached;
  const day = isClosed(number, cache)
    ? null
    : {
        number,
        opens: firstInstantAt(number, cache.opensAt, cache.calendar.zone),
        closes: firstInstantAt(number, cache.closesAt, cache.calendar.zone),
      };
  if (cache.days.size >= CACHED_DAYS_MAX) cache.days.clear();
  cache.days.set(number, day);
  return day;
}

function isClosed(number: number, cache: CalendarCache): boolean {
  const weekday = weekdayOf(number);
  return weekday === SATURDAY || weekday === SUNDAY || cache.closedOn.has(number) || isHoliday(number, cache);
}

function isHoliday(number: number, cache: CalendarCache): boolean {
  if (cache.calendar.holidays === 'none') return false;
  const year = new Date(number * DAY).getUTCFullYear();
  const cached = cache.holidays.get(year);
  if (cached !== undefined) return cached.has(number);
  const observed = new Set(observedFederalHolidays(year).map(dayNumber));
  cache.holidays.set(year, observed);
  return observed.has(number);
}

/** Returns the business day with this number, or the next one. */
function businessDayOnOrAfter(number: number, cache: CalendarCache): BusinessDay {
  for (let candidate = number; ; candidate += 1) {
    const day = businessDayOf(candidate, cache);
    if (day !== null) return day;
  }
}

/** Returns the business day with this number, or the previous one. */
function businessDayOnOrBefore(number: number, cache: CalendarCache): BusinessDay {
  for (let candidate = number; ; candidate -= 1) {
    const day = businessDayOf(candidate, cache);
    if (day !== null) return day;
  }
}

function businessDaysAfter(day: BusinessDay, count: number, cache: CalendarCache): BusinessDay {
  let current = day;
  for (let index = 0; index < count; index += 1) current = businessDayOnOrAfter(current.number + 1, cache);
  return current;
}

function businessDaysBefore(day: BusinessDay, count: number, cache: CalendarCache): BusinessDay {
  let current = day;
  for (let index = 0; index < count; index += 1) current = businessDayOnOrBefore(current.number - 1, cache);
  return current;
}

// No time zone is a full day from UTC, so the local day is always the UTC day or one next to it. A search that starts
// at the day next to it cannot miss a day, and needs no conversion to find its start.
function dayNumberBefore(milliseconds: number): number {
  return Math.floor(milliseconds / DAY) - 1;
}

function dayNumberAfter(milliseconds: number): number {
  return Math.floor(milliseconds / DAY) + 1;
}

/** Returns the first business day that has not closed yet at an instant. */
function businessDayOpenFrom(milliseconds: number, cache: CalendarCache): BusinessDay {
  let day = businessDayOnOrAfter(dayNumberBefore(milliseconds), cache);
  while (day.closes <= milliseconds || neverOpens(day)) day = businessDayOnOrAfter(day.number + 1, cache);
  return day;
}

/** Returns the last business day that has opened by an instant. */
function businessDayOpenedBy(milliseconds: number, cache: CalendarCache): BusinessDay {
  let day = businessDayOnOrBefore(dayNumberAfter(milliseconds), cache);
  while (day.opens > milliseconds || neverOpens(day)) day = businessDayOnOrBefore(day.number - 1, cache);
  return day;
}

// A clock change can skip all opening hours of a day. Samoa skipped 30 December 2011.
function neverOpens(day: BusinessDay): boolean {
  return day.opens === day.closes;
}

/** Returns true when no clock change is within the opening hours of a day. */
function hasUniformClock(day: BusinessDay, cache: CalendarCache): boolean {
  return day.closes - day.opens === cache.openMilliseconds;
}

function openMinutes(start: number, end: number, cache: CalendarCache): number {
  let open = 0;
  for (
    let day = businessDayOnOrAfter(dayNumberBefore(start), cache);
    day.opens < end;
    day = businessDayOnOrAfter(day.number + 1, cache)
  ) {
    open += Math.max(0, Math.min(day.closes, end) - Math.max(day.opens, start));
  }
  return open / MINUTE;
}

function addOpenTime(start: number, distance: number, cache: CalendarCache): number {
  let remaining = distance;
  for (let day = businessDayOpenFrom(start, cache); ; day = businessDayOnOrAfter(day.number + 1, cache)) {
    const begins = Math.max(day.opens, start);
    if (remaining <= day.closes - begins) return begins + remaining;
    remaining -= day.closes - begins;
  }
}

function subtractOpenTime(start: number, distance: number, cache: CalendarCache): number {
  let remaining = distance;
  for (let day = businessDayOpenedBy(start, cache); ; day = businessDayOnOrBefore(day.number - 1, cache)) {
    const ends = Math.min(day.closes, start);
    // `<` and not `<=`: with nothing left at the opening itself, the result is the closing before it.
    if (remaining < ends - day.opens) return ends - remaining;
    remaining -= ends - day.opens;
  }
}

// Since 1972, every time zone is an integer number of minutes from UTC, so minutes start at the same instant in all
// zones.
function floorToMinute(at: Instant): number {
  return Math.floor(epochMilliseconds(at) / MINUTE) * MINUTE;
}

function assertInteger(count: number): void {
  if (!Number.isInteger(count)) throw new RangeError(`not an integer: ${count}`);
}

function toZonedDateTime(milliseconds: number, zone: string): ZonedDateTime.Record {
  return TemporalInstant.toZonedDateTimeISO(TemporalInstant.fromEpochMilliseconds(milliseconds), zone);
}

function toPlainDate(number: number): PlainDate.Record {
  const midnight = new Date(number * DAY);
  return PlainDate.create(midnight.getUTCFullYear(), midnight.getUTCMonth() + 1, midnight.getUTCDate());
}

/**
 * Returns the first instant of a day at which the local time is at or after `time`, in epoch milliseconds.
 *
 * For a time that occurs twice, when the clocks go back, it is the first. For a time that is skipped, when they go
 * forward, it is the instant of the change. So a later time of day is never an earlier instant.
 */
function firstInstantAt(number: number, time: PlainTime.Record, zone: string): number {
  const wallTime = PlainDate.toPlainDateTime(toPlainDate(number), time);
  const zonedTime = PlainDateTime.toZonedDateTime(wallTime, zone);
  if (PlainDateTime.equals(ZonedDateTime.toPlainDateTime(zonedTime), wallTime)) return zonedTime.epochMilliseconds;
  const earlier = PlainDateTime.toZonedDateTime(wallTime, zone, { disambiguation: 'earlier' });
  const transition = ZonedDateTime.getTimeZoneTransition(earlier, 'next');
  return (transition ?? zonedTime).epochMilliseconds;
}
