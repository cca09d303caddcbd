import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addDuration,
  civilDate,
  dayNumber,
  epochMilliseconds,
  fromDayNumber,
  fromEpochMilliseconds,
  instant,
  isBefore,
  weekdayOf,
} from '../../../domain/calendar/instant.ts';

const firstMillisecond = Date.parse('0000-01-01T00:00:00.000Z');
const lastMillisecond = Date.parse('9999-12-31T23:59:59.999Z');
const anyMilliseconds = fc.integer({ min: firstMillisecond, max: lastMillisecond });

describe('parsing an instant', () => {
  it.each([
    ['the canonical format', '2026-06-01T16:00:00.000Z', '2026-06-01T16:00:00.000Z'],
    ['no fraction', '2026-06-01T16:00:00Z', '2026-06-01T16:00:00.000Z'],
    ['no seconds', '2026-06-01T16:00Z', '2026-06-01T16:00:00.000Z'],
    ['tenths of a second', '2026-06-01T16:00:00.5Z', '2026-06-01T16:00:00.500Z'],
    ['nanoseconds, which are cut off and not rounded', '2026-06-01T16:00:00.999999999Z', '2026-06-01T16:00:00.999Z'],
    ['an offset to the west', '2026-06-01T09:00:00-07:00', '2026-06-01T16:00:00.000Z'],
    ['an offset to the east', '2026-06-01T00:30:00+05:30', '2026-05-31T19:00:00.000Z'],
    ['an offset without a colon', '2026-06-01T09:00:00-0700', '2026-06-01T16:00:00.000Z'],
    ['an offset in hours only', '2026-06-01T09:00:00-07', '2026-06-01T16:00:00.000Z'],
    ['a leap day', '2028-02-29T00:00:00Z', '2028-02-29T00:00:00.000Z'],
    ['an instant before 1970', '1969-12-31T23:59:59.999Z', '1969-12-31T23:59:59.999Z'],
    ['the last instant with a year of four digits', '9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('accepts %s', (_, text, expected) => {
    expect(instant(text)).toBe(expected);
  });

  it.each([
    ['an empty text', ''],
    ['words', 'next Tuesday'],
    ['a date alone', '2026-06-01'],
    ['a time without a zone', '2026-06-01T16:00:00.000'],
    ['a space for the T', '2026-06-01 16:00:00Z'],
    ['trailing text', '2026-06-01T16:00:00Z please'],
    ['a day that does not exist', '2026-02-30T16:00:00Z'],
    ['29 February of a common year', '2027-02-29T16:00:00Z'],
    ['a thirteenth month', '2026-13-01T16:00:00Z'],
    ['day zero', '2026-06-00T16:00:00Z'],
    ['24:00', '2026-06-01T24:00:00Z'],
    ['a sixtieth minute', '2026-06-01T16:60:00Z'],
    ['a leap second', '2016-12-31T23:59:60Z'],
    ['an offset of a full day', '2026-06-01T16:00:00+24:00'],
    ['an offset of sixty minutes', '2026-06-01T16:00:00+05:60'],
    ['a year of six digits', '+002026-06-01T16:00:00Z'],
    ['an instant in the year 10000 in UTC', '9999-12-31T23:59:59.999-00:01'],
    ['an instant before the year 0 in UTC', '0000-01-01T00:00:00+00:01'],
  ])('throws on %s', (_, text) => {
    expect(() => instant(text)).toThrow(/^not an ISO 8601 instant: |^no such date or time: |^not whole milliseconds /);
  });

  it('returns the milliseconds that any instant was written from', () => {
    fc.assert(
      fc.property(anyMilliseconds, (milliseconds) => {
        const text = fromEpochMilliseconds(milliseconds);
        expect(instant(text)).toBe(text);
        expect(epochMilliseconds(text)).toBe(milliseconds);
      }),
    );
  });

  it.each([
    ['half a millisecond', 0.5],
    ['not a number', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['one after the year 9999', lastMillisecond + 1],
    ['one before the year 0', firstMillisecond - 1],
    ['a number beyond the range of Date', 8.64e15 + 1],
  ])('throws on %s as milliseconds', (_, milliseconds) => {
    expect(() => fromEpochMilliseconds(milliseconds)).toThrow(
      `not whole milliseconds in the years 0000 to 9999: ${milliseconds}`,
    );
  });
});

describe('two instants', () => {
  const nine = instant('2026-06-01T09:00:00-07:00');

  it('are in the order of their texts', () => {
    fc.assert(
      fc.property(anyMilliseconds, anyMilliseconds, (a, b) => {
        expect(isBefore(fromEpochMilliseconds(a), fromEpochMilliseconds(b))).toBe(a < b);
      }),
    );
  });

  it('are not before each other when equal, and are when a millisecond apart', () => {
    const justAfter = instant('2026-06-01T09:00:00.001-07:00');
    expect(isBefore(nine, nine)).toBe(false);
    expect(isBefore(nine, justAfter)).toBe(true);
    expect(isBefore(justAfter, nine)).toBe(false);
  });

  it('differ by the duration that was added', () => {
    expect(addDuration(nine, { seconds: 30 })).toBe('2026-06-01T16:00:30.000Z');
    expect(addDuration(nine, { minutes: 10 })).toBe('2026-06-01T16:10:00.000Z');
    expect(addDuration(nine, { hours: 24 })).toBe('2026-06-02T16:00:00.000Z');
    expect(addDuration(nine, { days: 30 })).toBe('2026-07-01T16:00:00.000Z');
    expect(addDuration(nine, { days: 1, hours: 1, minutes: 1, seconds: 1 })).toBe('2026-06-02T17:01:01.000Z');
    expect(addDuration(nine, { hours: -1 })).toBe('2026-06-01T15:00:00.000Z');
    expect(addDuration(nine, {})).toBe(nine);
  });

  it('differ by 24 hours after a day, even when the clocks go forward in it', () => {
    expect(addDuration(instant('2026-03-07T12:00:00-08:00'), { days: 1 })).toBe(instant('2026-03-08T13:00:00-07:00'));
  });

  it('cannot be moved past the last year', () => {
    expect(() => addDuration(instant('9999-12-31T23:59:59Z'), { seconds: 1 })).toThrow(RangeError);
  });
});

describe('a calendar day', () => {
  it.each(['2026-06-01', '2028-02-29', '2000-02-29', '0000-01-01', '9999-12-31'])('can be %s', (text) => {
    expect(civilDate(text)).toBe(text);
  });

  it.each([
    '2026-02-30',
    '2027-02-29',
    '1900-02-29',
    '2026-04-31',
    '2026-00-01',
    '2026-6-1',
    '2026-06-01T00:00Z',
    '',
    'today',
  ])('cannot be %s', (text) => {
    expect(() => civilDate(text)).toThrow(`no such day: ${text}`);
  });

  it('has a number that converts back to it, and the next day has the next number', () => {
    expect(dayNumber(civilDate('1970-01-01'))).toBe(0);
    expect(dayNumber(civilDate('2026-03-01')) - dayNumber(civilDate('2026-02-28'))).toBe(1);
    expect(dayNumber(civilDate('2028-03-01')) - dayNumber(civilDate('2028-02-28'))).toBe(2);
    fc.assert(
      fc.property(fc.integer({ min: -719_528, max: 2_932_896 }), (number) => {
        expect(dayNumber(fromDayNumber(number))).toBe(number);
      }),
    );
    expect(() => fromDayNumber(2_932_897)).toThrow(RangeError);
  });

  it('has a day of the week, before 1970 and after', () => {
    expect(weekdayOf(dayNumber(civilDate('1970-01-01')))).toBe(4);
    expect(weekdayOf(dayNumber(civilDate('1969-12-27')))).toBe(6);
    expect(weekdayOf(dayNumber(civilDate('1969-12-28')))).toBe(0);
    expect(weekdayOf(dayNumber(civilDate('2026-06-01')))).toBe(1);
  });
});
