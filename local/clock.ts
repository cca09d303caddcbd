import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Temporal } from 'temporal-polyfill';
import { z } from 'zod';
import type { Instant } from '../domain/calendar/instant.ts';

const CanonicalInstant = z.custom<Instant>(
  (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value),
);

/**
 * The schema of an instant from outside the local system: ISO 8601 with `Z` or an offset. Fractions finer than a
 * millisecond are cut off. The parsed value is in the canonical notation.
 */
export const IsoInstant = z.iso
  .datetime({ offset: true })
  .transform((iso) => new Date(iso).toISOString())
  .pipe(CanonicalInstant);

/** Returns the instant of a Unix time in milliseconds. Throws outside the years 0000 to 9999. */
export function instantAt(epochMilliseconds: number): Instant {
  return CanonicalInstant.parse(new Date(epochMilliseconds).toISOString());
}

export type Clock = {
  /** Returns the time in the local system. It is never earlier than an earlier result. */
  now(): Instant;
  /** Advances the clock to an instant, from which it keeps running. Returns false, and does nothing, if it has passed. */
  advanceTo(target: Instant): boolean;
};

const StoredClock = z.strictObject({ offsetMilliseconds: z.int() });

/**
 * Creates the clock of the local system. It runs at the speed of the wall clock and can be advanced, never set back.
 *
 * `startEpochMilliseconds` is its initial time, by default the time of the wall clock. With a `folder`, its offset is in
 * `clock.json` there and takes precedence over the initial time: after a restart, stored data must not have dates in the
 * future. `wall` is the wall clock. Throws when the file has other content.
 */
export function createClock(
  options: { startEpochMilliseconds?: number; folder?: string; wall?: () => number } = {},
): Clock {
  const { startEpochMilliseconds, folder, wall = Date.now } = options;
  const file = folder === undefined ? undefined : join(folder, 'clock.json');
  let offsetMilliseconds =
    readOffset(file) ?? (startEpochMilliseconds === undefined ? 0 : startEpochMilliseconds - wall());
  let latest = wall() + offsetMilliseconds;

  // A person or a time server can set the wall clock back. This clock then pauses.
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
 * Returns the instant an ISO 8601 duration such as `P1DT2H` after another. Years, months and weeks follow the calendar
 * in UTC, where every day has 24 hours. Returns `undefined` for a text that is not a duration, and for a result outside
 * the years 0000 to 9999.
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
    throw new Error(`${file} has no valid clock offset. Delete the file to start from the current time.`, {
      cause: error,
    });
  }
}

function writeOffset(file: string | undefined, offsetMilliseconds: number): void {
  if (file === undefined) return;
  mkdirSync(join(file, '..'), { recursive: true });
  // The rename is atomic: a process that is killed here leaves the old file or the new one.
  writeFileSync(`${file}.new`, JSON.stringify({ offsetMilliseconds }));
  renameSync(`${file}.new`, file);
}
