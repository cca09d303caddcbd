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
  return fromEpochMilliseconds(Math.max(arrival, dayOfWorkFrom(arrival, diaryOf(calendar)).opens));
}

/**
 * When the answer to what was received is due (SLA-1, SLA-3): the closing moment of the n-th business day after the day
 * on which work on it starts. Throws a RangeError unless `businessDays` is a whole number, zero or more.
 */
export function dueAt(receivedAt: Instant, businessDays: number, calendar: SupportCalendar): Instant {
  if (!Number.isInteger(businessDays) || businessDays < 0) {
    throw new RangeError(`not a number of business days: ${businessDays}`);
  }
  const diary = diaryOf(calendar);
  const firstDay = dayOfWorkFrom(epochMilliseconds(receivedAt), diary);
  return fromEpochMilliseconds(businessDaysAfter(firstDay, businessDays, diary).closes);
}

/**
 * The whole minutes of opening time from one moment to another, negative when `to` is the earlier (SLA-2, SLA-4).
 *
 * Both ends are first cut to the minute, so that stretches laid end to end add up exactly. Minutes are those that passed:
 * should the clocks change within opening hours, that day is shorter or longer.
 */
export function businessMinutesBetween(from: Instant, to: Instant, calendar: SupportCalendar): number {
  const start = wholeMinute(from);
  const end = wholeMinute(to);
  const diary = diaryOf(calendar);
  // The difference from nought, and not the negation, which would make -0 of no time at all.
  return end < start ? 0 - openMinutes(end, start, diary) : openMinutes(start, end, diary);
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
  requireWhole(minutes);
  const start = wholeMinute(from);
  const diary = diaryOf(calendar);
  return fromEpochMilliseconds(
    minutes > 0 ? forward(start, minutes * MINUTE, diary) : backward(start, -minutes * MINUTE, diary),
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
  requireWhole(days);
  const asked = epochMilliseconds(from);
  const diary = diaryOf(calendar);
  const day = days > 0 ? dayOfWorkFrom(asked, diary) : dayOfWorkUpTo(asked, diary);
  const counted = days > 0 ? Math.max(asked, day.opens) : Math.min(asked, day.closes);
  const target = days > 0 ? businessDaysAfter(day, days, diary) : businessDaysBefore(day, -days, diary);
  // While the clocks run evenly at work, the same time on the clock is the same time after opening.
  if (runsEvenly(day, diary) && runsEvenly(target, diary)) {
    return fromEpochMilliseconds(target.opens + (counted - day.opens));
  }
  const timeOfDay = ZonedDateTime.toPlainTime(zoned(counted, calendar.zone));
  // A day on which the clocks go back at work can show a time before its opening; no other day is open then.
  return fromEpochMilliseconds(Math.max(firstMoment(target.number, timeOfDay, calendar.zone), target.opens));
}

/** How long a business day is on the clock, in minutes. */
export function businessDayMinutes(calendar: SupportCalendar): number {
  return diaryOf(calendar).openMilliseconds / MINUTE;
}

/** The day on the wall calendar of a zone at a moment (OVR-2). Throws a RangeError for a zone that does not exist. */
export function dayIn(at: Instant, zone: string): CivilDate {
  return civilDate(PlainDate.toString(ZonedDateTime.toPlainDate(zoned(epochMilliseconds(at), zone))));
}

/**
 * The moment at which the next day begins in a zone (OVR-2). That is midnight, unless the clocks leap over it. A day of
 * 23 or 25 hours is one day. Throws a RangeError for a zone that does not exist.
 */
export function startOfNextDay(at: Instant, zone: string): Instant {
  const tomorrow = PlainDate.addDays(ZonedDateTime.toPlainDate(zoned(epochMilliseconds(at), zone)), 1);
  return fromEpochMilliseconds(PlainDate.toZonedDateTime(tomorrow, zone).epochMilliseconds);
}

/** The instant at which a civil day begins in a zone: midnight, or the first moment after it where the clocks skip that. */
export function startOfDay(day: CivilDate, zone: string): Instant {
  return fromEpochMilliseconds(PlainDate.toZonedDateTime(plainDate(dayNumber(day)), zone).epochMilliseconds);
}

/** A day on which the team works, by its day number, and the moments between which it is open, in epoch milliseconds. */
type BusinessDay = { readonly number: number; readonly opens: number; readonly closes: number };

/** What is remembered of a calendar: each day looked at so far, `null` for one on which it is closed. */
type Diary = {
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
const diaries = new WeakMap<SupportCalendar, Diary>();

// Some forty years. A bound, because a warm process lives long and a memory that only grows is a leak.
const DAYS_REMEMBERED = 15_000;

function diaryOf(calendar: SupportCalendar): Diary {
  const known = diaries.get(calendar);
  if (known !== undefined) return known;
  const opensAt = PlainTime.fromString(calendar.opensAt);
  const closesAt = PlainTime.fromString(calendar.closesAt);
  if (PlainTime.compare(opensAt, closesAt) >= 0) {
    throw new RangeError(`a calendar cannot open at ${calendar.opensAt} and close at ${calendar.closesAt}`);
  }
  const diary: Diary = {
    calendar,
    opensAt,
    closesAt,
    openMilliseconds: PlainTime.diffMilliseconds(opensAt, closesAt),
    closedOn: new Set(calendar.closedOn.map(dayNumber)),
    holidays: new Map(),
    days: new Map(),
  };
  diaries.set(calendar, diary);
  return diary;
}

function dayOf(number: number, diary: Diary): BusinessDay | null {
  const known = diary.days.get(number);
  if (known !== undefined) return known;
  const day = isClosed(number, diary)
    ? null
    : {
        number,
        opens: firstMoment(number, diary.opensAt, diary.calendar.zone),
        closes: firstMoment(number, diary.closesAt, diary.calendar.zone),
      };
  if (diary.days.size >= DAYS_REMEMBERED) diary.days.clear();
  diary.days.set(number, day);
  return day;
}

function isClosed(number: number, diary: Diary): boolean {
  const weekday = weekdayOf(number);
  return weekday === SATURDAY || weekday === SUNDAY || diary.closedOn.has(number) || isHoliday(number, diary);
}

function isHoliday(number: number, diary: Diary): boolean {
  if (diary.calendar.holidays === 'none') return false;
  const year = new Date(number * DAY).getUTCFullYear();
  const known = diary.holidays.get(year);
  if (known !== undefined) return known.has(number);
  const observed = new Set(observedFederalHolidays(year).map(dayNumber));
  diary.holidays.set(year, observed);
  return observed.has(number);
}

/** The business day with that number, or the nearest after it. */
function onOrAfter(number: number, diary: Diary): BusinessDay {
  for (let candidate = number; ; candidate += 1) {
    const day = dayOf(candidate, diary);
    if (day !== null) return day;
  }
}

/** The business day with that number, or the nearest before it. */
function onOrBefore(number: number, diary: Diary): BusinessDay {
  for (let candidate = number; ; candidate -= 1) {
    const day = dayOf(candidate, diary);
    if (day !== null) return day;
  }
}

function businessDaysAfter(day: BusinessDay, count: number, diary: Diary): BusinessDay {
  let reached = day;
  for (let counted = 0; counted < count; counted += 1) reached = onOrAfter(reached.number + 1, diary);
  return reached;
}

function businessDaysBefore(day: BusinessDay, count: number, diary: Diary): BusinessDay {
  let reached = day;
  for (let counted = 0; counted < count; counted += 1) reached = onOrBefore(reached.number - 1, diary);
  return reached;
}

// No zone is a whole day from UTC, so at any moment the day on a wall calendar is the UTC day or a neighbour of it. A
// search that begins at the neighbour cannot miss a day, and needs no conversion to find where to begin.
function dayBefore(moment: number): number {
  return Math.floor(moment / DAY) - 1;
}

function dayAfter(moment: number): number {
  return Math.floor(moment / DAY) + 1;
}

/** The first business day that is still open, or yet to open, at a moment. */
function dayOfWorkFrom(moment: number, diary: Diary): BusinessDay {
  let day = onOrAfter(dayBefore(moment), diary);
  while (day.closes <= moment || neverOpens(day)) day = onOrAfter(day.number + 1, diary);
  return day;
}

/** The last business day that has opened by a moment. */
function dayOfWorkUpTo(moment: number, diary: Diary): BusinessDay {
  let day = onOrBefore(dayAfter(moment), diary);
  while (day.opens > moment || neverOpens(day)) day = onOrBefore(day.number - 1, diary);
  return day;
}

// Clocks that leap over the whole of the opening hours, as Samoa's did over 30 December 2011, leave a day without any.
function neverOpens(day: BusinessDay): boolean {
  return day.opens === day.closes;
}

/** Whether the clocks do not change within the opening hours of a day. */
function runsEvenly(day: BusinessDay, diary: Diary): boolean {
  return day.closes - day.opens === diary.openMilliseconds;
}

function openMinutes(start: number, end: number, diary: Diary): number {
  let open = 0;
  for (let day = onOrAfter(dayBefore(start), diary); day.opens < end; day = onOrAfter(day.number + 1, diary)) {
    open += Math.max(0, Math.min(day.closes, end) - Math.max(day.opens, start));
  }
  return open / MINUTE;
}

function forward(start: number, distance: number, diary: Diary): number {
  let left = distance;
  for (let day = dayOfWorkFrom(start, diary); ; day = onOrAfter(day.number + 1, diary)) {
    const begins = Math.max(day.opens, start);
    if (left <= day.closes - begins) return begins + left;
    left -= day.closes - begins;
  }
}

function backward(start: number, distance: number, diary: Diary): number {
  let left = distance;
  for (let day = dayOfWorkUpTo(start, diary); ; day = onOrBefore(day.number - 1, diary)) {
    const ends = Math.min(day.closes, start);
    // Not at the opening itself: with nothing left there, the answer is the closing before it.
    if (left < ends - day.opens) return ends - left;
    left -= ends - day.opens;
  }
}

// Since 1972 every zone is whole minutes from UTC, so that a minute begins at the same moment on every wall clock.
function wholeMinute(at: Instant): number {
  return Math.floor(epochMilliseconds(at) / MINUTE) * MINUTE;
}

function requireWhole(count: number): void {
  if (!Number.isInteger(count)) throw new RangeError(`not a whole number: ${count}`);
}

function zoned(milliseconds: number, zone: string): ZonedDateTime.Record {
  return TemporalInstant.toZonedDateTimeISO(TemporalInstant.fromEpochMilliseconds(milliseconds), zone);
}

function plainDate(number: number): PlainDate.Record {
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
  const wanted = PlainDate.toPlainDateTime(plainDate(number), time);
  const shown = PlainDateTime.toZonedDateTime(wanted, zone);
  if (PlainDateTime.equals(ZonedDateTime.toPlainDateTime(shown), wanted)) return shown.epochMilliseconds;
  const before = PlainDateTime.toZonedDateTime(wanted, zone, { disambiguation: 'earlier' });
  const change = ZonedDateTime.getTimeZoneTransition(before, 'next');
  return (change ?? shown).epochMilliseconds;
}
