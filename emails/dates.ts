import type { CivilDate, Instant } from '../domain/calendar/instant.ts';
import { epochMilliseconds } from '../domain/calendar/instant.ts';

/** Returns a day of the calendar: `Friday 12 June 2026`. No time zone can move it. */
export function formatDay(date: CivilDate): string {
  return dayIn('UTC', Date.parse(date));
}

/**
 * Returns the day and the time of an instant in a time zone: `Monday 8 June 2026` and `17:00 Pacific Time (UTC−7)`.
 * Emails and pages both use it, so that a reader sees the same deadline in both.
 */
export function formatInstant(at: Instant, zone: string): { readonly day: string; readonly time: string } {
  const milliseconds = epochMilliseconds(at);
  const clock = new Intl.DateTimeFormat('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZone: zone,
  }).format(milliseconds);
  const name = timeZonePart(zone, 'longGeneric', milliseconds);
  const offset = offsetIn(zone, milliseconds);
  return {
    day: dayIn(zone, milliseconds),
    time: isUnnamed(name) ? `${clock} ${offset}` : `${clock} ${name} (${offset})`,
  };
}

/** Returns the name of a time zone, the same in summer and in winter: `Pacific Time`. */
export function zoneName(zone: string): string {
  const name = timeZonePart(zone, 'longGeneric', 0);
  return isUnnamed(name) ? zone : name;
}

/** UTC, and the few zones that have an offset and no name. */
function isUnnamed(name: string): boolean {
  return name.startsWith('GMT');
}

function offsetIn(zone: string, milliseconds: number): string {
  // A true minus sign is not taken for a hyphen, and no program breaks the line after it.
  return timeZonePart(zone, 'shortOffset', milliseconds)
    .replace(/GMT(?:[+-]0)?$/, 'UTC')
    .replace('GMT', 'UTC')
    .replace('-', '−');
}

function timeZonePart(zone: string, timeZoneName: 'longGeneric' | 'shortOffset', milliseconds: number): string {
  const parts = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName }).formatToParts(milliseconds);
  return parts.find(({ type }) => type === 'timeZoneName')?.value ?? zone;
}

function dayIn(zone: string, milliseconds: number): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeZone: zone }).format(milliseconds).replace(',', '');
}
