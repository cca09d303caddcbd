import Holidays from 'date-holidays';
import { describe, expect, it } from 'vitest';
import { observedFederalHolidays } from '../../../domain/calendar/federal-holidays.ts';
import { civilDate, dayNumber, weekdayOf } from '../../../domain/calendar/instant.ts';
import { federalHolidaysAsPublished } from './business-time-oracle.ts';

describe('United States federal holidays', () => {
  it.each(Object.entries(federalHolidaysAsPublished))('SLA-1 in %s are the published days', (year, published) => {
    expect(observedFederalHolidays(Number(year))).toEqual(published);
  });

  it('SLA-1 a holiday on a Saturday is observed on the Friday before', () => {
    expect(observedFederalHolidays(2026)).toContain('2026-07-03');
    expect(observedFederalHolidays(2026)).not.toContain('2026-07-04');
  });

  it('SLA-1 a holiday on a Sunday is observed on the Monday after', () => {
    expect(observedFederalHolidays(2027)).toContain('2027-07-05');
    expect(observedFederalHolidays(2027)).not.toContain('2027-07-04');
  });

  it('SLA-1 New Year’s Day on a Saturday is observed and listed in the year before', () => {
    expect(observedFederalHolidays(2027).at(-1)).toBe('2027-12-31');
    expect(observedFederalHolidays(2028)[0]).toBe('2028-01-17');
    expect(observedFederalHolidays(2032).at(-1)).toBe('2032-12-31');
  });

  it('SLA-1 New Year’s Day on a Sunday is observed on 2 January', () => {
    expect(observedFederalHolidays(2023)[0]).toBe('2023-01-02');
    expect(observedFederalHolidays(2022).at(-1)).toBe('2022-12-26');
  });

  it('SLA-1 Juneteenth is included since 2021', () => {
    expect(observedFederalHolidays(2020).filter((day) => day.startsWith('2020-06'))).toEqual([]);
    expect(observedFederalHolidays(2021).filter((day) => day.startsWith('2021-06'))).toEqual(['2021-06-18']);
  });

  it('SLA-1 Inauguration Day is not included', () => {
    expect(observedFederalHolidays(2029).filter((day) => day.startsWith('2029-01'))).toEqual([
      '2029-01-01',
      '2029-01-15',
    ]);
  });

  it('SLA-1 all are weekdays of their year, in order, with eleven a year on average', () => {
    const years = Array.from({ length: 79 }, (_, index) => 2021 + index);
    for (const year of years) {
      const days = observedFederalHolidays(year);
      expect(days).toEqual(days.toSorted());
      expect(new Set(days).size).toBe(days.length);
      expect(days.every((day) => day.startsWith(`${year}-`))).toBe(true);
      expect(days.every((day) => ![0, 6].includes(weekdayOf(dayNumber(day))))).toBe(true);
    }
    // 1 January is a Friday in 2021 and in 2100, so no New Year’s Day crosses either end of the range.
    expect(years.flatMap(observedFederalHolidays)).toHaveLength(79 * 11);
  });

  it('SLA-1 from 1986 to 2100 match a list from another source', () => {
    const library = new Holidays('US');
    for (let year = 1986; year <= 2100; year += 1) {
      const days = library
        .getHolidays(year)
        // The library lists the observed day of Veterans Day as a bank holiday.
        .filter(({ type, rule }) => type === 'public' || (type === 'bank' && rule.startsWith('substitutes 11-11')))
        .map(({ date }) => date.slice(0, 10))
        // It lists each holiday beside its observed day, and 31 December in both years.
        .filter((date) => date.startsWith(`${year}-`) && ![0, 6].includes(weekdayOf(dayNumber(civilDate(date)))));
      expect(observedFederalHolidays(year)).toEqual(days.toSorted());
    }
  });
});
