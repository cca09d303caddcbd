import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../domain/calendar/instant.ts';
import { addIsoDuration, createClock, IsoInstant, instantAt } from '../../local/clock.ts';
import { mondayBeforeNine, mondayNine, mondayTen, nextMondayNine, tuesdayNine } from '../instants.ts';

const milliseconds = (at: string) => Date.parse(at);

/** A wall clock that stands where it is put. */
const wallAt = (start: string) => {
  let at = milliseconds(start);
  const wall = () => at;
  wall.set = (to: string) => {
    at = milliseconds(to);
  };
  return wall;
};

describe('a clock that nobody has wound', () => {
  it('says what the wall clock says', () => {
    expect(createClock({ wall: wallAt(mondayNine) }).now()).toBe(mondayNine);
  });

  it('starts where it is told to and then runs as fast as the wall clock', () => {
    const wall = wallAt(nextMondayNine);
    const clock = createClock({ startEpochMilliseconds: milliseconds(mondayNine), wall });
    expect(clock.now()).toBe(mondayNine);
    wall.set(addDuration(nextMondayNine, { minutes: 7 }));
    expect(clock.now()).toBe(addDuration(mondayNine, { minutes: 7 }));
  });

  it('stands still while a wall clock that was set back catches up', () => {
    const wall = wallAt(mondayTen);
    const clock = createClock({ wall });
    wall.set(mondayNine);
    expect(clock.now()).toBe(mondayTen);
    wall.set(tuesdayNine);
    expect(clock.now()).toBe(tuesdayNine);
  });
});

describe('moving the clock', () => {
  it('puts it on the moment, from where it runs on', () => {
    const wall = wallAt(mondayNine);
    const clock = createClock({ wall });
    expect(clock.advanceTo(tuesdayNine)).toBe(true);
    expect(clock.now()).toBe(tuesdayNine);
    wall.set(mondayTen);
    expect(clock.now()).toBe(addDuration(tuesdayNine, { hours: 1 }));
  });

  it('takes the moment that it shows, and refuses the millisecond before', () => {
    const clock = createClock({ wall: wallAt(mondayNine) });
    expect(clock.advanceTo(mondayBeforeNine)).toBe(false);
    expect(clock.now()).toBe(mondayNine);
    expect(clock.advanceTo(mondayNine)).toBe(true);
    expect(clock.now()).toBe(mondayNine);
  });

  it('never makes it show a time earlier than one it has shown, whatever is done to it', () => {
    const act = fc.oneof(
      fc.record({ wall: fc.integer({ min: 0, max: 1e12 }) }),
      fc.record({ advanceTo: fc.integer({ min: 0, max: 4e12 }) }),
    );
    fc.assert(
      fc.property(fc.array(act), (acts) => {
        let at = 0;
        const clock = createClock({ wall: () => at });
        let shown = clock.now();
        for (const one of acts) {
          if ('wall' in one) at = one.wall;
          else clock.advanceTo(instantAt(one.advanceTo));
          expect(clock.now() >= shown).toBe(true);
          shown = clock.now();
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
  ])('of %s after Monday at nine leads to %s', (duration, then) => {
    expect(addIsoDuration(mondayNine, duration)).toBe(then);
  });

  it.each(['', '1 day', 'P', 'P8000Y', '-P3000Y', 'P999999999Y'])('of "%s" leads nowhere', (duration) => {
    expect(addIsoDuration(mondayNine, duration)).toBeUndefined();
  });
});

describe('a clock that is kept in a folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'clock-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is as far ahead after a restart as before, whatever start it is then given', () => {
    const wall = wallAt(mondayNine);
    createClock({ wall, folder: join(folder, 'not-there-yet') }).advanceTo(addDuration(mondayNine, { days: 21 }));
    wall.set(mondayTen);
    const again = createClock({ wall, folder: join(folder, 'not-there-yet'), startEpochMilliseconds: 0 });
    expect(again.now()).toBe(addDuration(mondayTen, { days: 21 }));
  });

  it('is not kept when it was only looked at', () => {
    createClock({ folder }).now();
    expect(() => readFileSync(join(folder, 'clock.json'))).toThrow('ENOENT');
  });

  it.each(['', 'not JSON', '{"offsetMilliseconds":"a lot"}'])('does not start from a file that says "%s"', (text) => {
    writeFileSync(join(folder, 'clock.json'), text);
    expect(() => createClock({ folder })).toThrow(/clock\.json does not say how far the clock is ahead\. Delete it/);
  });
});

describe('a moment that somebody wrote', () => {
  it.each([
    ['2026-06-01T16:00:00Z', mondayNine],
    ['2026-06-01T16:00:00.0009Z', mondayNine],
    ['2026-06-01T09:00:00-07:00', mondayNine],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('is taken: %s', (text, moment) => {
    expect(IsoInstant.parse(text)).toBe(moment);
  });

  it.each(['2026-06-01', '2026-06-01T16:00:00', '2026-02-30T16:00:00Z', 'now', 0, '9999-12-31T23:59:59-01:00'])(
    'is not taken: %s',
    (text) => {
      expect(IsoInstant.safeParse(text).success).toBe(false);
    },
  );

  it('is the same as the one at that many milliseconds', () => {
    expect(instantAt(Date.parse(mondayNine))).toBe(mondayNine);
    expect(() => instantAt(253_402_300_800_000)).toThrow();
  });
});
