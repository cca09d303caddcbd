import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dueAt, startOfBusiness, startOfDay, startOfNextDay } from '../../../domain/calendar/business-time.ts';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { addDuration, fromEpochMilliseconds, instant } from '../../../domain/calendar/instant.ts';
import type { UsageHistory } from '../../../domain/keys/usage-forecast.ts';
import { forecastUsage, medianApprovalBusinessDays } from '../../../domain/keys/usage-forecast.ts';
import { policy } from '../../builders.ts';
import { holidayNoon, mondayNoon } from '../../instants.ts';

const now = mondayNoon;
const { supportCalendar } = policy;
const noForecast = { perDay: null, runsOutOn: null, askBy: null, inWords: null };

/** Returns `aDay` activations for each of the last days. */
function daily(days: number, aDay: number, until: Instant = now): Instant[] {
  return Array.from({ length: days * aDay }, (_, index) =>
    addDuration(until, { days: -(1 + Math.floor(index / aDay)) }),
  );
}

function aHistory(members: Partial<UsageHistory> = {}): UsageHistory {
  return { activatedAt: daily(28, 1), remaining: 10, usualApprovalBusinessDays: 0, ...members };
}

describe('a history that is too short', () => {
  it('ALR-2 gives no forecast before a week has passed, and gives one from then on', () => {
    const first = addDuration(now, { days: -7 });
    const laterActivations = daily(5, 1);
    const almost = fromEpochMilliseconds(Date.parse(first) + 1);
    expect(forecastUsage(aHistory({ activatedAt: [almost, ...laterActivations] }), now, policy)).toEqual(noForecast);
    expect(forecastUsage(aHistory({ activatedAt: [first, ...laterActivations] }), now, policy).perDay).toBeCloseTo(
      6 / 7,
      2,
    );
  });

  it('ALR-2 gives no forecast with fewer than five activations', () => {
    const long = [addDuration(now, { days: -20 })];
    expect(forecastUsage(aHistory({ activatedAt: [...long, ...daily(3, 1)] }), now, policy)).toEqual(noForecast);
    expect(forecastUsage(aHistory({ activatedAt: [...long, ...daily(4, 1)] }), now, policy).perDay).toBe(0.25);
    expect(forecastUsage(aHistory({ activatedAt: [] }), now, policy)).toEqual(noForecast);
  });

  it('ALR-2 counts the activations of the last four weeks only', () => {
    const edge = addDuration(now, { days: -28 });
    const before = fromEpochMilliseconds(Date.parse(edge) - 1);
    const future = fromEpochMilliseconds(Date.parse(now) + 1);
    const four = daily(4, 1);
    expect(forecastUsage(aHistory({ activatedAt: [edge, ...four] }), now, policy).perDay).toBeCloseTo(5 / 28, 2);
    expect(forecastUsage(aHistory({ activatedAt: [before, ...four] }), now, policy)).toEqual(noForecast);
    expect(forecastUsage(aHistory({ activatedAt: [before, ...four, future] }), now, policy)).toEqual(noForecast);
  });
});

describe('the pace', () => {
  it('ALR-2 is that of the last four weeks, or of the complete history if it is shorter', () => {
    expect(forecastUsage(aHistory({ activatedAt: daily(14, 3) }), now, policy).perDay).toBe(3);
    expect(forecastUsage(aHistory({ activatedAt: daily(28, 2) }), now, policy).perDay).toBe(2);
    // A faster pace before the window does not count.
    const old = daily(28, 50, addDuration(now, { days: -28 }));
    expect(forecastUsage(aHistory({ activatedAt: [...old, ...daily(28, 1)] }), now, policy).perDay).toBeCloseTo(1, 0);
  });

  it('ALR-2 gives the day on which the remaining activations are used up', () => {
    const runsOut = (remaining: number, aDay = 1) =>
      forecastUsage(aHistory({ activatedAt: daily(28, aDay), remaining }), now, policy).runsOutOn;
    expect(runsOut(10)).toBe('2026-06-11');
    expect(runsOut(1)).toBe('2026-06-02');
    expect(runsOut(11, 2)).toBe('2026-06-06');
    expect(runsOut(0)).toBe('2026-06-01');
  });

  it('ALR-2 looks three years ahead, and no further', () => {
    const at = (remaining: number) => forecastUsage(aHistory({ remaining }), now, policy);
    expect(at(1_095)).toMatchObject({ perDay: 1, runsOutOn: '2029-05-31' });
    expect(at(1_096)).toEqual({ perDay: 1, runsOutOn: null, askBy: null, inWords: null });
  });

  it('ALR-2 uses the calendar days of the support time zone', () => {
    // It is still Sunday evening in Los Angeles.
    const sundayEvening = instant('2026-06-01T05:00:00Z');
    const history = aHistory({ activatedAt: daily(28, 1, sundayEvening), remaining: 1 });
    expect(forecastUsage(history, sundayEvening, policy).runsOutOn).toBe('2026-06-01');
  });
});

describe('the last safe day to ask', () => {
  const askBy = (remaining: number, usualApprovalBusinessDays = 0, at = now) =>
    forecastUsage(aHistory({ activatedAt: daily(28, 1, at), remaining, usualApprovalBusinessDays }), at, policy);

  it.each<[label: string, remaining: number, runsOutOn: string, askBy: string]>([
    ['a Thursday', 10, '2026-06-11', '2026-06-03'],
    ['a Friday', 11, '2026-06-12', '2026-06-04'],
    ['a Saturday', 12, '2026-06-13', '2026-06-05'],
    ['a Sunday', 13, '2026-06-14', '2026-06-05'],
    ['a Monday', 14, '2026-06-15', '2026-06-05'],
    ['a Tuesday', 15, '2026-06-16', '2026-06-08'],
  ])('ALR-2 SLA-1 is five business days before %s starts', (_, remaining, runsOutOn, day) => {
    expect(askBy(remaining)).toMatchObject({ runsOutOn, askBy: day });
  });

  it('ALR-2 SLA-1 skips a holiday', () => {
    const at = addDuration(holidayNoon, { days: -20 });
    // Veterans Day is Wednesday 11 November. Neither it nor the day after it has a later last safe day.
    expect(askBy(19, 0, at)).toMatchObject({ runsOutOn: '2026-11-10', askBy: '2026-11-02' });
    expect(askBy(20, 0, at)).toMatchObject({ runsOutOn: '2026-11-11', askBy: '2026-11-03' });
    expect(askBy(21, 0, at)).toMatchObject({ runsOutOn: '2026-11-12', askBy: '2026-11-03' });
    expect(askBy(22, 0, at)).toMatchObject({ runsOutOn: '2026-11-13', askBy: '2026-11-04' });
  });

  it('ALR-2 allows for the customer’s usual approval time, in full days', () => {
    expect(askBy(14, 0)).toMatchObject({ runsOutOn: '2026-06-15', askBy: '2026-06-05' });
    expect(askBy(14, 0.1).askBy).toBe('2026-06-04');
    expect(askBy(14, 1).askBy).toBe('2026-06-04');
    expect(askBy(14, 1.01).askBy).toBe('2026-06-03');
  });

  const instants = fc
    .integer({ min: Date.parse('2024-01-01T00:00:00Z'), max: Date.parse('2031-12-31T00:00:00Z') })
    .map(fromEpochMilliseconds);

  it('ALR-2 SLA-1 is the last day on which a request is answered before the key runs out', () => {
    fc.assert(
      fc.property(instants, fc.integer({ min: 0, max: 1_095 }), (at, remaining) => {
        const { runsOutOn, askBy: day } = askBy(remaining, 0, at);
        expect(runsOutOn !== null && day !== null && day < runsOutOn).toBe(true);
        if (runsOutOn === null || day === null) return;
        const { zone } = supportCalendar;
        const runsOutAt = startOfDay(runsOutOn, zone);
        const due = (asked: Instant) => dueAt(asked, policy.exceptions.answerWithinBusinessDays, supportCalendar);
        const opening = startOfBusiness(startOfDay(day, zone), supportCalendar);
        expect(due(opening) < runsOutAt).toBe(true);
        expect(due(startOfBusiness(startOfNextDay(opening, zone), supportCalendar)) >= runsOutAt).toBe(true);
      }),
    );
  });

  it('ALR-2 is never after the day on which the key runs out, and never later for a slower customer', () => {
    const approvalDays = fc.double({ min: 0, max: 20, noNaN: true });
    fc.assert(
      fc.property(instants, fc.integer({ min: 0, max: 1_095 }), approvalDays, (at, remaining, approvalTime) => {
        const quickForecast = askBy(remaining, 0, at);
        const slowForecast = askBy(remaining, approvalTime, at);
        expect(String(slowForecast.askBy) <= String(quickForecast.askBy)).toBe(true);
        expect(String(slowForecast.askBy) < String(slowForecast.runsOutOn)).toBe(true);
        expect(slowForecast.runsOutOn).toBe(quickForecast.runsOutOn);
      }),
    );
  });

  it('ALR-2 is never later when a key is used faster', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 900 }), (aDay, remaining) => {
        const at = (pace: number) => forecastUsage(aHistory({ activatedAt: daily(28, pace), remaining }), now, policy);
        expect(String(at(aDay + 1).askBy) <= String(at(aDay).askBy)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});

describe('the forecast as a sentence', () => {
  const sentenceFor = (members: Partial<UsageHistory>, at = now) =>
    forecastUsage(aHistory(members), at, policy).inWords;

  it.each<[members: Partial<UsageHistory>, sentence: string]>([
    // Friday 19 June is a holiday.
    [{ remaining: 20 }, 'At the pace of the last four weeks, the key runs out on 21 June. Ask by 11 June.'],
    [
      { activatedAt: daily(7, 1), remaining: 20 },
      'At the pace of the last week, the key runs out on 21 June. Ask by 11 June.',
    ],
    [
      { activatedAt: daily(14, 1), remaining: 20 },
      'At the pace of the last two weeks, the key runs out on 21 June. Ask by 11 June.',
    ],
    [
      { activatedAt: daily(9, 1), remaining: 20 },
      'At the pace of the last 9 days, the key runs out on 21 June. Ask by 11 June.',
    ],
    [{ remaining: 217 }, 'At the pace of the last four weeks, the key runs out on 4 January 2027. Ask by 23 December.'],
    [{ remaining: 0 }, 'The key has run out. Ask for more now.'],
  ])('ALR-2 of %o is: %s', (members, sentence) => {
    expect(sentenceFor(members)).toBe(sentence);
  });

  it('ALR-2 writes the number of weeks as a word, for any window of the policy', () => {
    const pace = (weeks: number) => {
      const window = { ...policy.alerts.forecast, windowDays: 7 * weeks };
      const changedPolicy = { ...policy, alerts: { ...policy.alerts, forecast: window } };
      const { inWords } = forecastUsage(aHistory({ activatedAt: daily(7 * weeks, 1) }), now, changedPolicy);
      return /^At the pace of (.*), the key runs out/.exec(inWords ?? '')?.[1];
    };
    expect([1, 2, 3, 4, 5, 6, 7].map(pace)).toEqual([
      'the last week',
      'the last two weeks',
      'the last three weeks',
      'the last four weeks',
      'the last five weeks',
      'the last six weeks',
      'the last 7 weeks',
    ]);
  });

  it('ALR-2 says to ask now from the last safe day on', () => {
    // The answer to a request from Tuesday 2 June is due before Wednesday 10 June.
    expect(sentenceFor({ remaining: 9 })).toBe(
      'At the pace of the last four weeks, the key runs out on 10 June. Ask by 2 June.',
    );
    expect(sentenceFor({ remaining: 8 })).toBe(
      'At the pace of the last four weeks, the key runs out on 9 June. Ask for more now.',
    );
    expect(sentenceFor({ remaining: 1 })).toBe(
      'At the pace of the last four weeks, the key runs out on 2 June. Ask for more now.',
    );
  });
});

describe('the usual approval time', () => {
  const aDay = 8 * 60;

  it.each<[minutes: number[], days: number]>([
    [[], 0],
    [[aDay], 1],
    [[aDay / 2], 0.5],
    [[aDay, 3 * aDay], 2],
    // One long vacation has little weight.
    [[10 * aDay, 0, aDay], 1],
    [[40 * aDay, aDay, 2 * aDay, 0], 1.5],
  ])('ALR-2 is the median: of %j minutes %d business days', (minutes, days) => {
    expect(medianApprovalBusinessDays(minutes, policy)).toBe(days);
  });
});
