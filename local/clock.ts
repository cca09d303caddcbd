import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Temporal } from 'temporal-polyfill';
import { z } from 'zod';
import type { Instant } from '../domain/calendar/instant.ts';

const CanonicalInstant = z.custom<Instant>(
  (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value),
);

/**
 * The door through which the local system takes an instant from outside: ISO 8601 with `Z` or an offset, whose
 * fractions finer than a millisecond are cut off. What comes out is written as everywhere else.
 */
export const IsoInstant = z.iso
  .datetime({ offset: true })
  .transform((iso) => new Date(iso).toISOString())
  .pipe(CanonicalInstant);

/** The instant that many whole milliseconds after 1970 began in UTC. Throws outside the years 0000 to 9999. */
export function instantAt(epochMilliseconds: number): Instant {
  return CanonicalInstant.parse(new Date(epochMilliseconds).toISOString());
}

export type Clock = {
  /** The time in the local system. Never earlier than what it said before. */
  now(): Instant;
  /** Puts the clock on a moment and lets it run on from there; false, and nothing is done, when that has passed. */
  advanceTo(moment: Instant): boolean;
};

const StoredClock = z.strictObject({ offsetMilliseconds: z.int() });

/**
 * The clock of the local system: it runs at the speed of the wall clock and can be wound on, never back.
 *
 * `startEpochMilliseconds` is where it stands at first (the wall clock's time, if absent). With a `folder`, how far it
 * is ahead is kept there in `clock.json`, and what was kept outranks the start: data written late in a story must not
 * lie in the future after a restart. `wall` is the clock that gives the speed. Throws when the kept file is not one of
 * ours.
 */
export function createClock(
  options: { startEpochMilliseconds?: number; folder?: string; wall?: () => number } = {},
): Clock {
  const { startEpochMilliseconds, folder, wall = Date.now } = options;
  const file = folder === undefined ? undefined : join(folder, 'clock.json');
  let offsetMilliseconds = readOffset(file) ?? (startEpochMilliseconds === undefined ? 0 : startEpochMilliseconds - wall());
  let latest = wall() + offsetMilliseconds;

  // The wall clock itself is set back now and then, by a person or by a time server; what was said stays said.
  const milliseconds = () => {
    latest = Math.max(latest, wall() + offsetMilliseconds);
    return latest;
  };
  const now = () => instantAt(milliseconds());

  const advanceTo = (target: Instant): boolean => {
    const targetMilliseconds = Date.parse(target);
    if (targetMilliseconds < milliseconds()) return false;
    offsetMilliseconds = targetMilliseconds - wall();
    latest = targetMilliseconds;
    writeOffset(file, offsetMilliseconds);
    return true;
  };

  return { now, advanceTo };
}

/**
 * The moment that an ISO 8601 duration such as `P1DT2H` after another ends. Years, months and weeks are those of the
 * calendar in UTC, where every day has 24 hours. `undefined` when the text is no duration, or when it leads beyond the
 * years 0000 to 9999.
 */
export function addIsoDuration(start: Instant, duration: string): Instant | undefined {
  try {
    const civil = Temporal.Instant.from(start).toZonedDateTimeISO('UTC');
    const { epochMilliseconds } = civil.add(Temporal.Duration.from(duration));
    return CanonicalInstant.safeParse(new Date(epochMilliseconds).toISOString()).data;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function readOffset(file: string | undefined): number | undefined {
  if (file === undefined) return undefined;
  try {
    return StoredClock.parse(JSON.parse(readFileSync(file, 'utf8'))).offsetMilliseconds;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new Error(`${file} does not say how far the clock is ahead. Delete it to start from the time of day.`, {
      cause: error,
    });
  }
}

function writeOffset(file: string | undefined, offsetMilliseconds: number): void {
  if (file === undefined) return;
  mkdirSync(join(file, '..'), { recursive: true });
  // Written beside and put in its place in one step: a process that is killed meanwhile leaves the old file or the new
  // one.
  writeFileSync(`${file}.new`, JSON.stringify({ offsetMilliseconds }));
  renameSync(`${file}.new`, file);
}
