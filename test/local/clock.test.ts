import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../domain/calendar/instant.ts';
import { addIsoDuration, createClock, IsoInstant, instantAt } from '../../local/clock.ts';
import { mondayBeforeNine, mondayNine, mondayTen, nextMondayNine, tuesdayNine } from '../instants.ts';

const milliseconds = (at: string) => Date.parse(at);

/** A wall clock that does not run, and that tests can set. */
const wallAt = (start: string) => {
  let at = milliseconds(start);
  const wall = () => at;
  wall.set = (to: string) => {
    at = milliseconds(to);
  };
  return wall;
};

describe('a clock that was not advanced', () => {
  it('shows the time of the wall clock', () => {
    expect(createClock({ wall: wallAt(mondayNine) }).now()).toBe(mondayNine);
  });

  it('starts at the given time and runs at the speed of the wall clock', () => {
    const wall = wallAt(nextMondayNine);
    const clock = createClock({ startEpochMilliseconds: milliseconds(mondayNine), wall });
    expect(clock.now()).toBe(mondayNine);
    wall.set(addDuration(nextMondayNine, { minutes: 7 }));
    expect(clock.now()).toBe(addDuration(mondayNine, { minutes: 7 }));
  });

  it('pauses until a wall clock that was set back catches up', () => {
    const wall = wallAt(mondayTen);
    const clock = createClock({ wall });
    wall.set(mondayNine);
    expect(clock.now()).toBe(mondayTen);
    wall.set(tuesdayNine);
    expect(clock.now()).toBe(tuesdayNine);
  });
});

describe('advancing the clock', () => {
  it('sets the new time, from which the clock keeps running', () => {
    const wall = wallAt(mondayNine);
    const clock = createClock({ wall });
    expect(clock.advanceTo(tuesdayNine)).toBe(true);
    expect(clock.now()).toBe(tuesdayNine);
    wall.set(mondayTen);
    expect(clock.now()).toBe(addDuration(tuesdayNine, { hours: 1 }));
  });

  it('accepts the current time, and refuses the millisecond before', () => {
    const clock = createClock({ wall: wallAt(mondayNine) });
    expect(clock.advanceTo(mondayBeforeNine)).toBe(false);
    expect(clock.now()).toBe(mondayNine);
    expect(clock.advanceTo(mondayNine)).toBe(true);
    expect(clock.now()).toBe(mondayNine);
  });

  it('never makes the clock show an earlier time than before', () => {
    const actionArbitrary = fc.oneof(
      fc.record({ wall: fc.integer({ min: 0, max: 1e12 }) }),
      fc.record({ advanceTo: fc.integer({ min: 0, max: 4e12 }) }),
    );
    fc.assert(
      fc.property(fc.array(actionArbitrary), (actions) => {
        let at = 0;
        const clock = createClock({ wall: () => at });
        let latest = clock.now();
        for (const action of actions) {
          if ('wall' in action) at = action.wall;
          else clock.advanceTo(instantAt(action.advanceTo));
          expect(clock.now() >= latest).toBe(true);
          latest = clock.now();
        }
      }),
    );
  });
});

describe('a duration', () => {
  it.each([
    ['P1DT2H', '2026-06-02T18:00:00.000Z'],
    ['PT90M', '2026-06-01T17:30:00.000Z'],
    ['P3W', '2026-06-22T16:00:00.000Z'],
    ['P1M', '2026-07-01T16:00:00.000Z'],
    ['PT0S', '2026-06-01T16:00:00.000Z'],
    ['-PT1S', '2026-06-01T15:59:59.000Z'],
  ])('of %s after Monday at nine ends at %s', (duration, end) => {
    expect(addIsoDuration(mondayNine, duration)).toBe(end);
  });

  it.each(['', '1 day', 'P', 'P8000Y', '-P3000Y', 'P999999999Y'])('of "%s" has no end', (duration) => {
    expect(addIsoDuration(mondayNine, duration)).toBeUndefined();
  });
});

describe('a clock with a data folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'clock-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('keeps its offset after a restart, and ignores another start time', () => {
    const wall = wallAt(mondayNine);
    createClock({ wall, folder: join(folder, 'not-there-yet') }).advanceTo(addDuration(mondayNine, { days: 21 }));
    wall.set(mondayTen);
    const restarted = createClock({ wall, folder: join(folder, 'not-there-yet'), startEpochMilliseconds: 0 });
    expect(restarted.now()).toBe(addDuration(mondayTen, { days: 21 }));
  });

  it('writes no file when only its time is read', () => {
    createClock({ folder }).now();
    expect(() => readFileSync(join(folder, 'clock.json'))).toThrow('ENOENT');
  });

  it.each(['', 'not JSON', '{"offsetMilliseconds":"a lot"}'])('does not start from a file with "%s"', (text) => {
    writeFileSync(join(folder, 'clock.json'), text);
    expect(() => createClock({ folder })).toThrow(/clock\.json has no valid clock offset\. Delete the file/);
  });
});

describe('an instant from outside', () => {
  it.each([
    ['2026-06-01T16:00:00Z', mondayNine],
    ['2026-06-01T16:00:00.0009Z', mondayNine],
    ['2026-06-01T09:00:00-07:00', mondayNine],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('is accepted: %s', (text, expected) => {
    expect(IsoInstant.parse(text)).toBe(expected);
  });

  it.each(['2026-06-01', '2026-06-01T16:00:00', '2026-02-30T16:00:00Z', 'now', 0, '9999-12-31T23:59:59-01:00'])(
    'is refused: %s',
    (text) => {
      expect(IsoInstant.safeParse(text).success).toBe(false);
    },
  );

  it('equals the instant of its Unix time', () => {
    expect(instantAt(Date.parse(mondayNine))).toBe(mondayNine);
    expect(() => instantAt(253_402_300_800_000)).toThrow();
  });
});
