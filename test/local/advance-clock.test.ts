import { describe, expect, it, vi } from 'vitest';
import { addDuration, type Instant } from '../../domain/calendar/instant.ts';
import { createAdvanceClock } from '../../local/advance-clock.ts';
import { addIsoDuration, createClock } from '../../local/clock.ts';
import { mondayBeforeNine, mondayNine, mondayTen, tuesdayNine, wednesdayNoon } from '../instants.ts';

/**
 * Creates a simulated system with the times of its due work: `due` for the sweep, and `timeouts`. If `then` is set, each
 * timeout adds more work that is due at that time.
 */
function systemAt(start: Instant, due: readonly Instant[] = [], timeouts: readonly Instant[] = [], then?: Instant) {
  const clock = createClock({ startEpochMilliseconds: Date.parse(start), wall: () => 0 });
  const events: string[] = [];
  const open = { due: [...due], timeouts: [...timeouts] };
  const reached = (times: Instant[]) => times.splice(0).filter((at) => (at <= clock.now() ? true : !times.push(at)));
  const advance = createAdvanceClock({
    clock,
    sweep: async () => {
      const dueItems = reached(open.due);
      if (dueItems.length > 0) events.push(`${clock.now()} sweep: ${dueItems.length}`);
      return open.due.toSorted()[0] ?? null;
    },
    timeouts: {
      nextTimeoutAt: () => open.timeouts.toSorted()[0] ?? null,
      expireTimeouts: () => {
        if (reached(open.timeouts).length === 0) return;
        events.push(`${clock.now()} timed out`);
        if (then !== undefined) open.due.push(then);
      },
    },
    whenIdle: async () => void (await Promise.resolve()),
  });
  return { clock, advance, events, open };
}

describe('advancing the clock', () => {
  it('sets it to the target', async () => {
    const { clock, advance } = systemAt(mondayNine);
    expect(await advance(() => tuesdayNine)).toBe('advanced');
    expect(clock.now()).toBe(tuesdayNine);
    expect(await advance((now) => addIsoDuration(now, 'PT1H'))).toBe('advanced');
    expect(clock.now()).toBe(addDuration(tuesdayNine, { hours: 1 }));
  });

  it('runs due work in order, each at the full minute of its scheduled sweep', async () => {
    const { advance, events } = systemAt(
      mondayNine,
      [addDuration(mondayTen, { seconds: 1 }), mondayTen, addDuration(tuesdayNine, { seconds: -30 })],
      [addDuration(mondayTen, { minutes: 30 })],
    );
    await advance(() => tuesdayNine);
    expect(events).toEqual([
      `${mondayTen} sweep: 1`,
      `${addDuration(mondayTen, { minutes: 1 })} sweep: 1`,
      `${addDuration(mondayTen, { minutes: 30 })} timed out`,
      `${tuesdayNine} sweep: 1`,
    ]);
  });

  it('runs work that is due at the target, and none that is due later', async () => {
    const { advance, events, open } = systemAt(mondayNine, [mondayTen, addDuration(mondayTen, { seconds: 1 })]);
    await advance(() => mondayTen);
    expect(events).toEqual([`${mondayTen} sweep: 1`]);
    expect(open.due).toHaveLength(1);
  });

  it('runs work that was already due at once', async () => {
    const { advance, events } = systemAt(mondayTen, [mondayNine]);
    await advance(() => tuesdayNine);
    expect(events).toEqual([`${mondayTen} sweep: 1`]);
  });

  it('runs work that a timeout makes due', async () => {
    const { clock, advance, events } = systemAt(mondayNine, [], [mondayTen], tuesdayNine);
    await advance(() => wednesdayNoon);
    expect(events).toEqual([`${mondayTen} timed out`, `${tuesdayNine} sweep: 1`]);
    expect(clock.now()).toBe(wednesdayNoon);
  });

  it('refuses a past or missing target, and does nothing', async () => {
    const { clock, advance, events } = systemAt(mondayNine, [mondayNine]);
    expect(await advance(() => mondayBeforeNine)).toBe('in-the-past');
    expect(await advance(() => undefined)).toBe('invalid-target');
    expect(events).toEqual([]);
    expect(clock.now()).toBe(mondayNine);
  });

  it('ends even if some work stays due', async () => {
    let sweeps = 0;
    const clock = createClock({ startEpochMilliseconds: Date.parse(mondayNine), wall: () => 0 });
    const advance = createAdvanceClock({
      clock,
      sweep: async () => {
        sweeps += 1;
        return mondayNine;
      },
      timeouts: { nextTimeoutAt: () => null, expireTimeouts: () => undefined },
      whenIdle: async () => undefined,
    });
    expect(await advance(() => addDuration(mondayNine, { minutes: 5 }))).toBe('advanced');
    expect(sweeps).toBe(6);
  });

  it('runs concurrent calls one after the other', async () => {
    const { clock, advance, events } = systemAt(mondayNine, [mondayTen, addDuration(tuesdayNine, { hours: 1 })]);
    const oneDayLater = (now: Instant) => addIsoDuration(now, 'P1D');
    expect(await Promise.all([advance(oneDayLater), advance(oneDayLater)])).toEqual(['advanced', 'advanced']);
    expect(clock.now()).toBe(addDuration(tuesdayNine, { days: 1 }));
    expect(events).toHaveLength(2);
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
