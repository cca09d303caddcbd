import type { Instant } from '../domain/calendar/instant.ts';
import type { Clock } from './clock.ts';
import { instantAt } from './clock.ts';

type ClockDependencies = {
  readonly clock: Clock;
  /** Runs the sweep. Returns the time of the next due work. */
  readonly sweep: () => Promise<Instant | null>;
  /** The timeouts of the workflows. */
  readonly timeouts: { nextTimeoutAt(): Instant | null; expireTimeouts(): void };
  /** Resolves when no work is pending. */
  readonly whenIdle: () => Promise<void>;
};

export type AdvanceClock = (
  target: (now: Instant) => Instant | undefined,
) => Promise<'in-the-past' | 'invalid-target' | 'advanced'>;

const minuteMilliseconds = 60_000;

/**
 * Returns a function that advances the clock to the instant that `target` computes from the current time. On AWS, a
 * schedule runs the sweep every minute. The function stops at each full minute at which that sweep would find due work,
 * in order, and runs it. At all other minutes, the sweep would find nothing. The function returns when no work is
 * pending. Concurrent calls run one after the other.
 */
export function createAdvanceClock({ clock, sweep, timeouts, whenIdle }: ClockDependencies): AdvanceClock {
  const runDueWork = async () => {
    timeouts.expireTimeouts();
    await whenIdle();
    const next = await sweep().catch((error: unknown) => {
      // The schedule, too, runs the next sweep whether or not this one failed.
      console.error(String(error));
      return clock.now();
    });
    await whenIdle();
    return next;
  };

  const advance: AdvanceClock = async (target) => {
    const now = clock.now();
    const end = target(now);
    if (end === undefined) return 'invalid-target';
    if (end < now) return 'in-the-past';
    let next = await runDueWork();
    for (let stop = nextStop(next); stop !== null && stop < end; stop = nextStop(next)) {
      clock.advanceTo(stop);
      next = await runDueWork();
    }
    // The clock also runs by itself, so it can already be past a near end. Then this does nothing.
    clock.advanceTo(end);
    await runDueWork();
    return 'advanced';
  };

  /** Returns the next full minute with due work. */
  const nextStop = (nextAction: Instant | null): Instant | null => {
    const [due] = [nextAction, timeouts.nextTimeoutAt()].filter((at) => at !== null).toSorted();
    if (due === undefined) return null;
    const nextMinute = Math.floor(Date.parse(clock.now()) / minuteMilliseconds + 1);
    return instantAt(Math.max(nextMinute, Math.ceil(Date.parse(due) / minuteMilliseconds)) * minuteMilliseconds);
  };

  let queue: Promise<unknown> = Promise.resolve();
  return (target) => {
    const run = queue.then(() => advance(target));
    queue = run.catch(() => undefined);
    return run;
  };
}
