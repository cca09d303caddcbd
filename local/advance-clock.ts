import type { Instant } from '../domain/calendar/instant.ts';
import type { Clock } from './clock.ts';
import { instantAt } from './clock.ts';

type ClockDependencies = {
  readonly clock: Clock;
  /** Runs the sweep, and says when time has something to do next. */
  readonly sweep: () => Promise<Instant | null>;
  /** Waits that run out by the clock. */
  readonly timeouts: { nextTimeoutAt(): Instant | null; expireTimeouts(): void };
  /** Answers when nothing is under way. */
  readonly whenIdle: () => Promise<void>;
};

export type AdvanceClock = (target: (now: Instant) => Instant | undefined) => Promise<'in-the-past' | 'invalid-target' | 'advanced'>;

const minuteMilliseconds = 60_000;

/**
 * Makes what winds the clock on to the moment that `target` says, seen from now. It stops at every full minute at which
 * the deployed system's schedule would find something due on the way, in order, and runs the schedule there; at all other
 * minutes it would find nothing. Comes back when all is quiet. Two windings at once are done one after the other.
 */
export function createAdvanceClock({ clock, sweep, timeouts, whenIdle }: ClockDependencies): AdvanceClock {
  const runDueWork = async () => {
    timeouts.expireTimeouts();
    await whenIdle();
    const next = await sweep();
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
    // The clock runs meanwhile, and may have passed an end that was near.
    clock.advanceTo(end);
    await runDueWork();
    return 'advanced';
  };

  /** The next full minute at which there is something to do. */
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
