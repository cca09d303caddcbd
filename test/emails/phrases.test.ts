import { describe, expect, it } from 'vitest';
import { civilDate, instant } from '../../domain/calendar/instant.ts';
import type { Policy } from '../../domain/policy.ts';
import { businessTime, day, moment } from '../../emails/phrases.ts';
import { policy } from '../builders.ts';
import { mondayAfterTheHolidayFive, nextMondayFive } from '../instants.ts';

const within = (calendar: Partial<Policy['supportCalendar']>): Policy => ({
  ...policy,
  supportCalendar: { ...policy.supportCalendar, ...calendar },
});

describe('a moment', () => {
  it('is told on the clock of the support team, with the zone and its offset in summer and in winter', () => {
    expect(moment(nextMondayFive, policy).text).toBe('Monday 8 June 2026, 17:00 (America/Los_Angeles, UTC−7)');
    expect(moment(mondayAfterTheHolidayFive, policy).text).toBe(
      'Monday 16 November 2026, 17:00 (America/Los_Angeles, UTC−8)',
    );
  });

  it.each([
    ['UTC', 'Sunday 28 February 2027, 23:05 (UTC, UTC)'],
    ['Asia/Kolkata', 'Monday 1 March 2027, 04:35 (Asia/Kolkata, UTC+5:30)'],
    ['America/St_Johns', 'Sunday 28 February 2027, 19:35 (America/St_Johns, UTC−3:30)'],
    ['Asia/Kathmandu', 'Monday 1 March 2027, 04:50 (Asia/Kathmandu, UTC+5:45)'],
  ])('is told in %s', (zone, told) => {
    expect(moment(instant('2027-02-28T23:05:59.999Z'), within({ zone })).text).toBe(told);
  });

  it('is a day when only the day is known', () => {
    expect(day(civilDate('2028-02-29')).text).toBe('Tuesday 29 February 2028');
  });
});

describe('business minutes', () => {
  it.each([
    [0, 'no time'],
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
  ])('%i are said in words of people: %s', (minutes, words) => {
    expect(businessTime(minutes, policy).text).toBe(words);
  });

  it('count days as long as the support team is open', () => {
    const halfPast = within({ opensAt: '08:30', closesAt: '17:00' });
    expect(businessTime(509, halfPast).text).toBe('8 business hours and 29 minutes');
    expect(businessTime(510, halfPast).text).toBe('1 business day');
  });
});
