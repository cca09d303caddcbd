// Functions, not the classes of the same package: a function's bundle then holds only what it uses of them.
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
 * When the support team works; policy data (SLA-1).
 *
 * It is open from `opensAt` until just before `closesAt`, both `HH:MM` on the clock of `zone`, Monday to Friday less the
 * holidays and the days in `closedOn`. Opening hours lie within one day: every function below throws a RangeError for a
 * calendar that does not close after it opens, for a time that is none, and for a zone that does not exist. What is worked
 * out about a calendar is remembered for as long as that object lives, so keep one and pass it on.
 */
export type SupportCalendar = {
  readonly zone: string;
  readonly opensAt: string;
  readonly closesAt: string;
  readonly holidays: 'united-states-federal' | 'none';
  readonly closedOn: readonly CivilDate[];
};

/**
 * When work on something that arrives at `at` starts (SLA-1): at once inside opening hours, else at the next opening.
 * The opening moment is inside, the closing moment is not: exactly 17:00:00 starts on the next business day.
 */
export function startOfBusiness(at: Instant, calendar: SupportCalendar): Instant {
  const arrival = epochMilliseconds(at);
  return fromEpochMilliseconds(Math.max(arrival, businessDayOpenFrom(arrival, calendarCacheOf(calendar)).opens));
}

/**
 * When the answer to what was received is due (SLA-1, SLA-3): the closing moment of the n-th business day after the day
 * on which work on it starts. Throws a RangeError unless `businessDays` is a whole number, zero or more.
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
 * The whole minutes of opening time from one moment to another, negative when `to` is the earlier (SLA-2, SLA-4).
 *
 * Both ends are first cut to the minute, so that stretches laid end to end add up exactly. Minutes are those that passed:
 * should the clocks change within opening hours, that day is shorter or longer.
 */
export function businessMinutesBetween(from: Instant, to: Instant, calendar: SupportCalendar): number {
  const start = floorToMinute(from);
  const end = floorToMinute(to);
  const cache = calendarCacheOf(calendar);
  // The difference from nought, and not the negation, which would make -0 of no time at all.
  return end < start ? 0 - openMinutes(end, start, cache) : openMinutes(start, end, cache);
}

/**
 * The moment at which so many minutes of opening time have passed since `from`; before it, if `minutes` is negative (SLA-2).
 *
 * `from` is first cut to the minute. Between a closing and the next opening no time passes, so that many moments would
 * do; the answer is always the closing, the end of the last minute worked. That holds for zero and for negative minutes
 * too: adding nothing on a Saturday, or on Monday at opening, answers Friday at closing. So the laws know no exception:
 * - `businessMinutesBetween(from, addBusinessMinutes(from, n))` is `n`;
 * - adding `m` and then `n` is adding `m + n`, in whatever direction;
 * - a due time, given by `dueAt` or by this function, is found again from any moment `at`, as
 *   `addBusinessMinutes(at, businessMinutesBetween(at, due))`: a clock that stands and at once goes on loses and gains
 *   nothing, even when it is overdue.
 *
 * Throws a RangeError unless `minutes` is a whole number.
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
 * The same time on the wall clock so many business days later, or earlier if `days` is negative (SLA-5, SLA-6).
 *
 * Forward, it counts from when work starts: asked on a Saturday, one business day after is Tuesday at opening; and since
 * the closing moment is outside opening hours, the same holds for Friday at closing. Backward, and for zero days, it
 * counts from the last moment of work: a moment from opening to closing, both included, keeps its time (two business
 * days before a due time at 17:00 is 17:00), and any other counts from the closing before it.
 *
 * Throws a RangeError unless `days` is a whole number.
 */
export function addBusinessDays(from: Instant, days: number, calendar: SupportCalendar): Instant {
  assertInteger(days);
  const moment = epochMilliseconds(from);
  const cache = calendarCacheOf(calendar);
  const day = days > 0 ? businessDayOpenFrom(moment, cache) : businessDayOpenedBy(moment, cache);
  const countedFrom = days > 0 ? Math.max(moment, day.opens) : Math.min(moment, day.closes);
  const target = days > 0 ? businessDaysAfter(day, days, cache) : businessDaysBefore(day, -days, cache);
  // While the clocks run evenly at work, the same time on the clock is the same time after opening.
  if (hasUniformClock(day, cache) && hasUniformClock(target, cache)) {
    return fromEpochMilliseconds(target.opens + (countedFrom - day.opens));
  }
  const timeOfDay = ZonedDateTime.toPlainTime(toZonedDateTime(countedFrom, calendar.zone));
  // A day on which the clocks go back at work can show a time before its opening; no other day is open then.
  return fromEpochMilliseconds(Math.max(firstMoment(target.number, timeOfDay, calendar.zone), target.opens));
}

/** How long a business day is on the clock, in minutes. */
export function businessDayMinutes(calendar: SupportCalendar): number {
  return calendarCacheOf(calendar).openMilliseconds / MINUTE;
}

/** The day on the wall calendar of a zone at a moment (OVR-2). Throws a RangeError for a zone that does not exist. */
export function dayIn(at: Instant, zone: string): CivilDate {
  return civilDate(PlainDate.toString(ZonedDateTime.toPlainDate(toZonedDateTime(epochMilliseconds(at), zone))));
}

/**
 * The moment at which the next day begins in a zone (OVR-2). That is midnight, unless the clocks leap over it. A day of
 * 23 or 25 hours is one day. Throws a RangeError for a zone that does not exist.
 */
export function startOfNextDay(at: Instant, zone: string): Instant {
  const tomorrow = PlainDate.addDays(ZonedDateTime.toPlainDate(toZonedDateTime(epochMilliseconds(at), zone)), 1);
  return fromEpochMilliseconds(PlainDate.toZonedDateTime(tomorrow, zone).epochMilliseconds);
}

/** The instant at which a civil day begins in a zone: midnight, or the first moment after it where the clocks skip that. */
export function startOfDay(day: CivilDate, zone: string): Instant {
  return fromEpochMilliseconds(PlainDate.toZonedDateTime(toPlainDate(dayNumber(day)), zone).epochMilliseconds);
}

/** A day on which the team works, by its day number, and the moments between which it is open, in epoch milliseconds. */
type BusinessDay = { readonly number: number; readonly opens: number; readonly closes: number };

/** What is remembered of a calendar: each day looked at so far, `null` for one on which it is closed. */
type CalendarCache = {
  readonly calendar: SupportCalendar;
  readonly opensAt: PlainTime.Record;
  readonly closesAt: PlainTime.Record;
  readonly openMilliseconds: number;
  readonly closedOn: ReadonlySet<number>;
  readonly holidays: Map<number, ReadonlySet<number>>;
  readonly days: Map<number, BusinessDay | null>;
};

// Turning civil time into a moment costs microseconds, and the same few days are asked for over and over. With each
// day's opening and closing known as moments, everything above is comparing integers.
const calendarCaches = new WeakMap<SupportCalendar, CalendarCache>();

// Some forty years. A bound, because a warm process lives long and a memory that only grows is a leak.
const CACHED_DAYS_MAX = 15_000;

function calendarCacheOf(calendar: SupportCalendar): CalendarCache {
  const cached = calendarCaches.get(calendar);
  if (cached !== undefined) return cached;
  const opensAt = PlainTime.fromString(calendar.opensAt);
  const closesAt = PlainTime.fromString(calendar.closesAt);
  if (PlainTime.compare(opensAt, closesAt) >= 0) {
    throw new RangeError(`a calendar cannot open at ${calendar.opensAt} and close at ${calendar.closesAt}`);
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
        opens: firstMoment(number, cache.opensAt, cache.calendar.zone),
        closes: firstMoment(number, cache.closesAt, cache.calendar.zone),
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

/** The business day with that number, or the nearest after it. */
function businessDayOnOrAfter(number: number, cache: CalendarCache): BusinessDay {
  for (let candidate = number; ; candidate += 1) {
    const day = businessDayOf(candidate, cache);
    if (day !== null) return day;
  }
}

/** The business day with that number, or the nearest before it. */
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

// No zone is a whole day from UTC, so at any moment the day on a wall calendar is the UTC day or a neighbour of it. A
// search that begins at the neighbour cannot miss a day, and needs no conversion to find where to begin.
function dayNumberBefore(moment: number): number {
  return Math.floor(moment / DAY) - 1;
}

function dayNumberAfter(moment: number): number {
  return Math.floor(moment / DAY) + 1;
}

/** The first business day that is still open, or yet to open, at a moment. */
function businessDayOpenFrom(moment: number, cache: CalendarCache): BusinessDay {
  let day = businessDayOnOrAfter(dayNumberBefore(moment), cache);
  while (day.closes <= moment || neverOpens(day)) day = businessDayOnOrAfter(day.number + 1, cache);
  return day;
}

/** The last business day that has opened by a moment. */
function businessDayOpenedBy(moment: number, cache: CalendarCache): BusinessDay {
  let day = businessDayOnOrBefore(dayNumberAfter(moment), cache);
  while (day.opens > moment || neverOpens(day)) day = businessDayOnOrBefore(day.number - 1, cache);
  return day;
}

// Clocks that leap over the whole of the opening hours, as Samoa's did over 30 December 2011, leave a day without any.
function neverOpens(day: BusinessDay): boolean {
  return day.opens === day.closes;
}

/** Whether the clocks do not change within the opening hours of a day. */
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
    // Not at the opening itself: with nothing left there, the answer is the closing before it.
    if (remaining < ends - day.opens) return ends - remaining;
    remaining -= ends - day.opens;
  }
}

// Since 1972 every zone is whole minutes from UTC, so that a minute begins at the same moment on every wall clock.
function floorToMinute(at: Instant): number {
  return Math.floor(epochMilliseconds(at) / MINUTE) * MINUTE;
}

function assertInteger(count: number): void {
  if (!Number.isInteger(count)) throw new RangeError(`not a whole number: ${count}`);
}

function toZonedDateTime(milliseconds: number, zone: string): ZonedDateTime.Record {
  return TemporalInstant.toZonedDateTimeISO(TemporalInstant.fromEpochMilliseconds(milliseconds), zone);
}

function toPlainDate(number: number): PlainDate.Record {
  const midnight = new Date(number * DAY);
  return PlainDate.create(midnight.getUTCFullYear(), midnight.getUTCMonth() + 1, midnight.getUTCDate());
}

/**
 * The first moment of a day at which the wall clock shows a time or has gone past it, in epoch milliseconds.
 *
 * For a time shown twice, when clocks go back, that is the first; for one that is left out, when they go forward, it is
 * the moment of the change. So the later of two times on the clock is never the earlier moment.
 */
function firstMoment(number: number, time: PlainTime.Record, zone: string): number {
  const wallTime = PlainDate.toPlainDateTime(toPlainDate(number), time);
  const zonedTime = PlainDateTime.toZonedDateTime(wallTime, zone);
  if (PlainDateTime.equals(ZonedDateTime.toPlainDateTime(zonedTime), wallTime)) return zonedTime.epochMilliseconds;
  const earlier = PlainDateTime.toZonedDateTime(wallTime, zone, { disambiguation: 'earlier' });
  const transition = ZonedDateTime.getTimeZoneTransition(earlier, 'next');
  return (transition ?? zonedTime).epochMilliseconds;
}
