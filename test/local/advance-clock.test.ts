import { describe, expect, it, vi } from 'vitest';
import { addDuration, type Instant } from '../../domain/calendar/instant.ts';
import { createAdvanceClock } from '../../local/advance-clock.ts';
import { addIsoDuration, createClock } from '../../local/clock.ts';
import { mondayBeforeNine, mondayNine, mondayTen, tuesdayNine, wednesdayNoon } from '../instants.ts';

/**
 * A system of which only the times are known at which it has something to do: the sweep, and waits that run out, of which
 * each makes another thing due if `then` says so.
 */
function systemAt(start: Instant, due: readonly Instant[] = [], timeouts: readonly Instant[] = [], then?: Instant) {
  const clock = createClock({ startEpochMilliseconds: Date.parse(start), wall: () => 0 });
  const happened: string[] = [];
  const open = { due: [...due], timeouts: [...timeouts] };
  const reached = (times: Instant[]) => times.splice(0).filter((at) => (at <= clock.now() ? true : !times.push(at)));
  const windOn = createAdvanceClock({
    clock,
    sweep: async () => {
      const done = reached(open.due);
      if (done.length > 0) happened.push(`${clock.now()} sweep: ${done.length}`);
      return open.due.toSorted()[0] ?? null;
    },
    timeouts: {
      nextTimeoutAt: () => open.timeouts.toSorted()[0] ?? null,
      expireTimeouts: () => {
        if (reached(open.timeouts).length === 0) return;
        happened.push(`${clock.now()} timed out`);
        if (then !== undefined) open.due.push(then);
      },
    },
    whenIdle: async () => void (await Promise.resolve()),
  });
  return { clock, windOn, happened, open };
}

describe('winding the clock on', () => {
  it('puts it where it is told to', async () => {
    const { clock, windOn } = systemAt(mondayNine);
    expect(await windOn(() => tuesdayNine)).toBe('advanced');
    expect(clock.now()).toBe(tuesdayNine);
    expect(await windOn((now) => addIsoDuration(now, 'PT1H'))).toBe('advanced');
    expect(clock.now()).toBe(addDuration(tuesdayNine, { hours: 1 }));
  });

  it('runs what falls due on the way in order, each at the full minute at which the schedule would have', async () => {
    const { windOn, happened } = systemAt(
      mondayNine,
      [addDuration(mondayTen, { seconds: 1 }), mondayTen, addDuration(tuesdayNine, { seconds: -30 })],
      [addDuration(mondayTen, { minutes: 30 })],
    );
    await windOn(() => tuesdayNine);
    expect(happened).toEqual([
      `${mondayTen} sweep: 1`,
      `${addDuration(mondayTen, { minutes: 1 })} sweep: 1`,
      `${addDuration(mondayTen, { minutes: 30 })} timed out`,
      `${tuesdayNine} sweep: 1`,
    ]);
  });

  it('runs what is due at its end, and nothing that is due after', async () => {
    const { windOn, happened, open } = systemAt(mondayNine, [mondayTen, addDuration(mondayTen, { seconds: 1 })]);
    await windOn(() => mondayTen);
    expect(happened).toEqual([`${mondayTen} sweep: 1`]);
    expect(open.due).toHaveLength(1);
  });

  it('runs what was due before it began at once', async () => {
    const { windOn, happened } = systemAt(mondayTen, [mondayNine]);
    await windOn(() => tuesdayNine);
    expect(happened).toEqual([`${mondayTen} sweep: 1`]);
  });

  it('runs what only becomes due by what happens on the way', async () => {
    const { clock, windOn, happened } = systemAt(mondayNine, [], [mondayTen], tuesdayNine);
    await windOn(() => wednesdayNoon);
    expect(happened).toEqual([`${mondayTen} timed out`, `${tuesdayNine} sweep: 1`]);
    expect(clock.now()).toBe(wednesdayNoon);
  });

  it('refuses a moment that has passed and one that there is not, and does nothing then', async () => {
    const { clock, windOn, happened } = systemAt(mondayNine, [mondayNine]);
    expect(await windOn(() => mondayBeforeNine)).toBe('in-the-past');
    expect(await windOn(() => undefined)).toBe('invalid-target');
    expect(happened).toEqual([]);
    expect(clock.now()).toBe(mondayNine);
  });

  it('comes to its end even where something stays due whatever is done', async () => {
    let sweeps = 0;
    const clock = createClock({ startEpochMilliseconds: Date.parse(mondayNine), wall: () => 0 });
    const windOn = createAdvanceClock({
      clock,
      sweep: async () => {
        sweeps += 1;
        return mondayNine;
      },
      timeouts: { nextTimeoutAt: () => null, expireTimeouts: () => undefined },
      whenIdle: async () => undefined,
    });
    expect(await windOn(() => addDuration(mondayNine, { minutes: 5 }))).toBe('advanced');
    expect(sweeps).toBe(6);
  });

  it('is done once after the other when two ask at once, each from where the first left it', async () => {
    const { clock, windOn, happened } = systemAt(mondayNine, [mondayTen, addDuration(tuesdayNine, { hours: 1 })]);
    const aDay = (now: Instant) => addIsoDuration(now, 'P1D');
    expect(await Promise.all([windOn(aDay), windOn(aDay)])).toEqual(['advanced', 'advanced']);
    expect(clock.now()).toBe(addDuration(tuesdayNine, { days: 1 }));
    expect(happened).toHaveLength(2);
  });

  it('EXC-9 goes on when a sweep fails, and retries it at the next full minute', async () => {
    const clock = createClock({ startEpochMilliseconds: Date.parse(mondayNine), wall: () => 0 });
    const errors = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const sweeps: string[] = [];
    const advance = createAdvanceClock({
      clock,
      sweep: () => {
        sweeps.push(clock.now());
        return sweeps.length < 3 ? Promise.reject(new Error('planted')) : Promise.resolve(null);
      },
      timeouts: { nextTimeoutAt: () => null, expireTimeouts: () => undefined },
      whenIdle: async () => undefined,
    });
    expect(await advance(() => mondayTen)).toBe('advanced');
    expect(clock.now()).toBe(mondayTen);
    const afterMinutes = (minutes: number) => addDuration(mondayNine, { minutes });
    expect(sweeps).toEqual([mondayNine, afterMinutes(1), afterMinutes(2), mondayTen]);
    expect(errors.mock.calls).toEqual([['Error: planted'], ['Error: planted']]);
    errors.mockRestore();
  });
});
