import fc from 'fast-check';
import * as businessTime from '../../../domain/calendar/business-time.ts';
import type { CivilDate, Instant } from '../../../domain/calendar/instant.ts';
import {
  civilDate,
  dayNumber,
  epochMilliseconds,
  fromDayNumber,
  fromEpochMilliseconds,
  instant,
} from '../../../domain/calendar/instant.ts';
import { assignTo, startClock } from '../../../domain/exceptions/sla-clock.ts';
import { policy } from '../../builders.ts';

/**
 * The observed days of the United States federal holidays, copied from the lists of the Office of Personnel Management
 * and not computed. New Year's Day 2028 is listed on its observed day, the last day of 2027.
 */
export const federalHolidaysAsPublished: Readonly<Record<number, readonly CivilDate[]>> = {
  2024: days(2024, '01-01 01-15 02-19 05-27 06-19 07-04 09-02 10-14 11-11 11-28 12-25'),
  2025: days(2025, '01-01 01-20 02-17 05-26 06-19 07-04 09-01 10-13 11-11 11-27 12-25'),
  2026: days(2026, '01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25'),
  2027: days(2027, '01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31'),
  2028: days(2028, '01-17 02-21 05-29 06-19 07-04 09-04 10-09 11-10 11-23 12-25'),
  2029: days(2029, '01-01 01-15 02-19 05-28 06-19 07-04 09-03 10-08 11-12 11-22 12-25'),
  2030: days(2030, '01-01 01-21 02-18 05-27 06-19 07-04 09-02 10-14 11-11 11-28 12-25'),
  2031: days(2031, '01-01 01-20 02-17 05-26 06-19 07-04 09-01 10-13 11-11 11-27 12-25'),
};

function days(year: number, monthsAndDays: string): CivilDate[] {
  return monthsAndDays.split(' ').map((monthAndDay) => civilDate(`${year}-${monthAndDay}`));
}

export const losAngeles: businessTime.SupportCalendar = {
  zone: 'America/Los_Angeles',
  opensAt: '09:00',
  closesAt: '17:00',
  holidays: 'united-states-federal',
  closedOn: [],
};

/** The calendars to compare: ordinary and unusual ones, and some with clock changes within opening hours. */
export const calendars: readonly businessTime.SupportCalendar[] = [
  losAngeles,
  { ...losAngeles, closedOn: days(2026, '03-09 11-12 11-13 12-24 12-28') },
  { zone: 'Europe/Berlin', opensAt: '08:00', closesAt: '18:30', holidays: 'none', closedOn: days(2026, '12-24 12-25') },
  { zone: 'Asia/Kolkata', opensAt: '09:30', closesAt: '17:45', holidays: 'none', closedOn: days(2026, '01-26') },
  { zone: 'Australia/Lord_Howe', opensAt: '07:10', closesAt: '15:40', holidays: 'united-states-federal', closedOn: [] },
  { zone: 'UTC', opensAt: '00:00', closesAt: '23:59', holidays: 'united-states-federal', closedOn: [] },
  { zone: 'Pacific/Kiritimati', opensAt: '00:00', closesAt: '08:00', holidays: 'united-states-federal', closedOn: [] },
  { zone: 'Pacific/Pago_Pago', opensAt: '14:00', closesAt: '23:59', holidays: 'united-states-federal', closedOn: [] },
  // In Egypt the clocks go forward at midnight before a Friday in April, which skips the opening, and back in October.
  { zone: 'Africa/Cairo', opensAt: '00:00', closesAt: '08:00', holidays: 'none', closedOn: [] },
  { zone: 'Africa/Cairo', opensAt: '22:30', closesAt: '23:45', holidays: 'none', closedOn: [] },
];

const timeOfDay = (minute: number) =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;

/**
 * Returns a calendar for each time zone that Node knows, with random hours, holidays, and closed days from the seed.
 */
export function calendarsOfEveryZone(seed: number): businessTime.SupportCalendar[] {
  const zones = Intl.supportedValuesOf('timeZone');
  // At least four hours: with fewer, many minutes would lead out of the oracle's years.
  const hours = fc.tuple(fc.nat({ max: 1439 - 240 }), fc.nat({ max: 1439 })).map(([opens, open]) => ({
    opensAt: timeOfDay(opens),
    closesAt: timeOfDay(Math.min(1439, opens + Math.max(240, open))),
  }));
  const closedDay = fc
    .integer({ min: dayNumber(civilDate('2024-01-01')), max: dayNumber(civilDate('2031-12-31')) })
    .map(fromDayNumber);
  const drawn = fc.record({
    hours,
    holidays: fc.constantFrom<businessTime.SupportCalendar['holidays'][]>('united-states-federal', 'none'),
    closedOn: fc.uniqueArray(closedDay, { maxLength: 30 }),
  });
  const samples = fc.sample(drawn, { seed, numRuns: zones.length });
  return samples.map(({ hours: open, ...rest }, index) => ({ zone: zones[index] ?? 'UTC', ...open, ...rest }));
}

// Weeks with clock changes, with holidays close together, or with a year that ends on an observed holiday.
const eventful = [
  '2026-03-08', // Los Angeles goes forward
  '2026-03-29', // Berlin goes forward
  '2026-04-05', // Lord Howe goes back, by half an hour
  '2026-04-24', // Cairo goes forward
  '2026-07-03', // Independence Day, observed on Friday
  '2026-10-04', // Lord Howe goes forward
  '2026-10-29', // Cairo, Berlin and Los Angeles go back
  '2026-11-20', // Thanksgiving
  '2026-12-28', // New Year
  '2027-12-27', // New Year's Day 2028, observed in 2027
].map((date) => epochMilliseconds(instant(`${date}T00:00Z`)));

const MINUTE = 60_000;
const DAY_MINUTES = 1440;

// The range of the oracle. It has no holidays outside this range.
const first = epochMilliseconds(instant('2024-01-01T00:00Z')) / MINUTE;
const last = epochMilliseconds(instant('2031-12-31T00:00Z')) / MINUTE;

/** The functions of domain/calendar/business-time.ts, computed by walking through the minutes and reading the clock. */
export type Oracle = {
  startOfBusiness(at: Instant): Instant;
  dueAt(receivedAt: Instant, businessDays: number): Instant;
  businessMinutesBetween(from: Instant, to: Instant): number;
  addBusinessMinutes(from: Instant, minutes: number): Instant;
  addBusinessDays(from: Instant, days: number): Instant;
};

/**
 * Creates the oracle of one calendar. It shares no code with the code under test: it reads the local time through Intl,
 * walks through the minutes one at a time, takes the holidays from the table, and counts.
 */
export function oracleFor(calendar: businessTime.SupportCalendar): Oracle {
  const clock = new Intl.DateTimeFormat('sv-SE', {
    timeZone: calendar.zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  });
  const holidays = calendar.holidays === 'none' ? [] : Object.values(federalHolidaysAsPublished).flat();
  const closedOn = new Set<string>([...holidays, ...calendar.closedOn]);

  // Reading the clock is slow. In these years, clocks change only at quarters of an hour, in any zone. So the clock is
  // read every quarter, and the minutes in between are counted.
  const shownAtQuarter = new Map<number, string>();
  const wall = (minute: number): { date: string; time: string } => {
    const quarter = Math.floor(minute / 15);
    const shown = shownAtQuarter.get(quarter) ?? clock.format(quarter * 15 * MINUTE);
    shownAtQuarter.set(quarter, shown);
    const minuteHand = Number(shown.slice(14, 16)) + (minute - quarter * 15);
    return { date: shown.slice(0, 10), time: `${shown.slice(11, 14)}${String(minuteHand).padStart(2, '0')}` };
  };

  const isBusinessDate = (date: string): boolean => {
    const weekday = new Date(`${date}T00:00:00Z`).getUTCDay();
    return weekday !== 0 && weekday !== 6 && !closedOn.has(date);
  };

  // The state of each minute is cached, because the same minutes are visited again and again: 0 unknown, 1 closed, 2
  // open.
  const margin = 400 * DAY_MINUTES;
  const minuteStates = new Uint8Array(last - first + 2 * margin);

  // Reads the clock for every minute of a date. Support opens when the clock first shows the opening time or later, and
  // closes for that date when it first shows the closing time or later.
  const computeDateOf = (minute: number): void => {
    const { date } = wall(minute);
    const worksThatDate = isBusinessDate(date);
    let m = minute;
    while (wall(m - 1).date === date) m -= 1;
    let hasClosed = false;
    let hasOpened = false;
    for (let shown = wall(m); shown.date === date; shown = wall(m)) {
      const { time } = shown;
      if (time >= calendar.opensAt) hasOpened = true;
      if (time >= calendar.closesAt) hasClosed = true;
      minuteStates[m - first + margin] = worksThatDate && hasOpened && !hasClosed ? 2 : 1;
      m += 1;
    }
  };

  const isOpen = (minute: number): boolean => {
    const at = minute - first + margin;
    if (at < 0 || at >= minuteStates.length) throw new RangeError('out of the range of the oracle');
    if (minuteStates[at] === 0) computeDateOf(minute);
    return minuteStates[at] === 2;
  };

  const minuteOf = (at: Instant): number => Math.floor(epochMilliseconds(at) / MINUTE);
  const atMinute = (minute: number): Instant => fromEpochMilliseconds(minute * MINUTE);

  const startOfBusiness = (at: Instant): Instant => {
    let m = minuteOf(at);
    if (isOpen(m)) return at;
    while (!isOpen(m)) m += 1;
    return atMinute(m);
  };

  // Returns the first open minute of the n-th business day after an open minute.
  const openingAfter = (minute: number, businessDays: number): number => {
    let m = minute;
    for (let n = 0; n < businessDays; n += 1) {
      while (isOpen(m)) m += 1;
      while (!isOpen(m)) m += 1;
    }
    return m;
  };

  const openingBefore = (minute: number, businessDays: number): number => {
    let m = minute;
    for (let n = 0; n < businessDays; n += 1) {
      while (isOpen(m)) m -= 1;
      while (!isOpen(m)) m -= 1;
    }
    while (isOpen(m - 1)) m -= 1;
    return m;
  };

  return {
    startOfBusiness,

    dueAt(receivedAt, businessDays) {
      let m = openingAfter(minuteOf(startOfBusiness(receivedAt)), businessDays);
      while (isOpen(m)) m += 1;
      return atMinute(m);
    },

    businessMinutesBetween(from, to) {
      const [a, b] = [minuteOf(from), minuteOf(to)];
      let minutes = 0;
      for (let m = Math.min(a, b); m < Math.max(a, b); m += 1) if (isOpen(m)) minutes += 1;
      return b < a && minutes > 0 ? -minutes : minutes;
    },

    addBusinessMinutes(from, minutes) {
      let m = minuteOf(from);
      let left = minutes;
      while (left > 0) {
        if (isOpen(m)) left -= 1;
        m += 1;
      }
      while (left < 0) {
        m -= 1;
        if (isOpen(m)) left += 1;
      }
      while (!isOpen(m - 1)) m -= 1;
      return atMinute(m);
    },

    addBusinessDays(from, days) {
      let startAt = from;
      if (days > 0) startAt = startOfBusiness(from);
      else if (!isOpen(minuteOf(from)) && !(isOpen(minuteOf(from) - 1) && epochMilliseconds(from) % MINUTE === 0)) {
        let m = minuteOf(from);
        while (!isOpen(m - 1)) m -= 1;
        startAt = atMinute(m);
      }
      const { time } = wall(minuteOf(startAt));
      // At closing, the last open minute is the one before.
      const atWork = isOpen(minuteOf(startAt)) ? minuteOf(startAt) : minuteOf(startAt) - 1;
      let m = days > 0 ? openingAfter(atWork, days) : openingBefore(atWork, -days);
      // Go back to the opening of the target day, then forward until the clock shows the time or a later one.
      while (isOpen(m - 1)) m -= 1;
      while (wall(m).time < time && isOpen(m)) m += 1;
      const intoMinute = wall(m).time === time ? epochMilliseconds(startAt) % MINUTE : 0;
      return fromEpochMilliseconds(m * MINUTE + intoMinute);
    },
  };
}

/** The starts and ends of two pauses of a request's clock. */
type Pauses = readonly [firstStart: Instant, firstEnd: Instant, secondStart: Instant, secondEnd: Instant];

/** Returns the due time of a request whose clock was paused twice, by the SLA clock. */
function dueAfterPauses(
  at: Instant,
  businessDays: number,
  pauses: Pauses,
  calendar: businessTime.SupportCalendar,
): Instant {
  const exceptions = { ...policy.exceptions, answerWithinBusinessDays: businessDays };
  const pausedPolicy = { ...policy, exceptions, supportCalendar: calendar };
  const clock = pauses.reduce(
    (current, instantOfPause, index) =>
      assignTo(current, index % 2 === 0 ? 'requester' : 'team', instantOfPause, pausedPolicy),
    startClock(at, true, pausedPolicy),
  );
  if (clock.status !== 'running') throw new Error('The clock did not resume.');
  return clock.dueAt;
}

/** Returns the same due time by counting: each open minute of a pause adds one minute at the end. */
function dueWithPausesAdded(at: Instant, businessDays: number, pauses: Pauses, oracle: Oracle): Instant {
  const [firstStart, firstEnd, secondStart, secondEnd] = pauses;
  const paused =
    oracle.businessMinutesBetween(firstStart, firstEnd) + oracle.businessMinutesBetween(secondStart, secondEnd);
  return oracle.addBusinessMinutes(oracle.dueAt(at, businessDays), paused);
}

/**
 * Compares the code under test with the oracle for random questions. Throws at the first difference, with the smallest
 * example.
 *
 * Asks `runs` questions of each kind over all calendars, in the eventful weeks of 2026 and 2027 or in all eight years
 * of the table. A test asks thousands, and `npm run calendar` asks a million.
 */
export function expectAgreement(
  runs: number,
  over: 'eventful-weeks' | 'eight-years',
  { seed, among = calendars }: { seed?: number; among?: readonly businessTime.SupportCalendar[] } = {},
): void {
  const pairs = among.map((calendar) => ({ calendar, oracle: oracleFor(calendar) }));
  fc.assert(
    fc.property(anyQuestion(over, among.length), ({ which, at, other, minutes, businessDays, pauses }) => {
      const pair = pairs[which];
      if (pair === undefined) throw new Error(`There is no calendar ${which}.`);
      const { calendar, oracle } = pair;
      const expectSame = (name: string, actual: string | number, expected: string | number): void => {
        if (actual === expected) return;
        throw new Error(`${name} returned ${actual}, but the oracle ${expected}, for ${JSON.stringify(calendar)}`);
      };
      const later = Math.abs(businessDays);
      expectSame('startOfBusiness', businessTime.startOfBusiness(at, calendar), oracle.startOfBusiness(at));
      expectSame('dueAt', businessTime.dueAt(at, later, calendar), oracle.dueAt(at, later));
      expectSame(
        'between',
        businessTime.businessMinutesBetween(at, other, calendar),
        oracle.businessMinutesBetween(at, other),
      );
      expectSame(
        'addMinutes',
        businessTime.addBusinessMinutes(at, minutes, calendar),
        oracle.addBusinessMinutes(at, minutes),
      );
      expectSame(
        'addDays',
        businessTime.addBusinessDays(at, businessDays, calendar),
        oracle.addBusinessDays(at, businessDays),
      );
      expectSame(
        'the SLA clock',
        dueAfterPauses(at, later, pauses, calendar),
        dueWithPausesAdded(at, later, pauses, oracle),
      );
    }),
    { numRuns: runs, ...(seed === undefined ? {} : { seed }) },
  );
}

function anyQuestion(over: 'eventful-weeks' | 'eight-years', calendarCount: number) {
  const oneDay = 24 * 60 * MINUTE;
  const anywhere = fc.integer({ min: first * MINUTE + 60 * oneDay, max: last * MINUTE - 60 * oneDay });
  const nearby = fc
    .tuple(fc.constantFrom(...eventful), fc.integer({ min: -6 * oneDay, max: 9 * oneDay }))
    .map(([event, distance]) => event + distance);
  // Half of the questions are about full quarters of an hour, so that they include openings and closings exactly.
  const moment = fc
    .tuple(over === 'eight-years' ? anywhere : nearby, fc.boolean())
    .map(([ms, onQuarter]) => (onQuarter ? Math.floor(ms / (15 * MINUTE)) * 15 * MINUTE : ms));
  const wait = fc.nat({ max: 5 * oneDay });
  return fc
    .record({
      which: fc.nat({ max: calendarCount - 1 }),
      moment,
      distance: fc.integer({ min: -12 * oneDay, max: 12 * oneDay }),
      minutes: fc.oneof(
        fc.integer({ min: -3000, max: 3000 }),
        fc.integer({ min: -8, max: 8 }).map((n) => n * 480),
      ),
      businessDays: fc.integer({ min: -10, max: 10 }),
      waits: fc.tuple(wait, wait, wait, wait),
    })
    .map(({ moment: ms, distance, waits: [a, b, c, d], ...rest }) => ({
      ...rest,
      at: fromEpochMilliseconds(ms),
      other: fromEpochMilliseconds(ms + distance),
      pauses: [
        fromEpochMilliseconds(ms + a),
        fromEpochMilliseconds(ms + a + b),
        fromEpochMilliseconds(ms + a + b + c),
        fromEpochMilliseconds(ms + a + b + c + d),
      ] as const,
    }));
}
