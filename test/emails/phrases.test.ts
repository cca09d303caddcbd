import { describe, expect, it } from 'vitest';
import { civilDate, instant } from '../../domain/calendar/instant.ts';
import type { Policy } from '../../domain/policy.ts';
import { zoneName } from '../../emails/dates.ts';
import { businessTime, day, moment } from '../../emails/phrases.ts';
import { policy } from '../builders.ts';
import { mondayAfterTheHolidayFive, nextMondayFive } from '../instants.ts';

const withCalendar = (calendar: Partial<Policy['supportCalendar']>): Policy => ({
  ...policy,
  supportCalendar: { ...policy.supportCalendar, ...calendar },
});

describe('a time in an email', () => {
  it('is in the zone of the support team, with the offset of summer and of winter', () => {
    expect(moment(nextMondayFive, policy).text).toBe('Monday 8 June 2026, 17:00 Pacific Time (UTC−7)');
    expect(moment(mondayAfterTheHolidayFive, policy).text).toBe('Monday 16 November 2026, 17:00 Pacific Time (UTC−8)');
  });

  it.each([
    ['UTC', 'Sunday 28 February 2027, 23:05 UTC'],
    ['Etc/GMT+3', 'Sunday 28 February 2027, 20:05 UTC−3'],
    ['Asia/Kolkata', 'Monday 1 March 2027, 04:35 India Standard Time (UTC+5:30)'],
    ['America/St_Johns', 'Sunday 28 February 2027, 19:35 Newfoundland Time (UTC−3:30)'],
    ['Asia/Kathmandu', 'Monday 1 March 2027, 04:50 Nepal Time (UTC+5:45)'],
  ])('is written with the name and the offset of the zone %s', (zone, text) => {
    expect(moment(instant('2027-02-28T23:05:59.999Z'), withCalendar({ zone })).text).toBe(text);
  });

  it('is a day if only the day is known', () => {
    expect(day(civilDate('2028-02-29')).text).toBe('Tuesday 29 February 2028');
  });
});

describe('the name of a time zone', () => {
  it('is the same in summer and in winter, and the identifier if there is no name', () => {
    expect(zoneName('America/Los_Angeles')).toBe('Pacific Time');
    expect(zoneName('UTC')).toBe('UTC');
  });
});

describe('business minutes in words', () => {
  it.each([
    [0, '0 minutes'],
    [1, '1 business minute'],
    [59, '59 business minutes'],
    [60, '1 business hour'],
    [61, '1 business hour and 1 minute'],
    [479, '7 business hours and 59 minutes'],
    [480, '1 business day'],
    [481, '1 business day and 1 minute'],
    [1140, '2 business days and 3 hours'],
    [1141, '2 business days, 3 hours and 1 minute'],
    [480 * 1200, '1200 business days'],
  ])('%i: %s', (minutes, words) => {
    expect(businessTime(minutes, policy).text).toBe(words);
  });

  it('count a business day as long as the support team is open', () => {
    const openLonger = withCalendar({ opensAt: '08:30', closesAt: '17:00' });
    expect(businessTime(509, openLonger).text).toBe('8 business hours and 29 minutes');
    expect(businessTime(510, openLonger).text).toBe('1 business day');
  });
});
