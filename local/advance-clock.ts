import type { Instant } from '../domain/calendar/instant.ts';
import type { Clock } from './clock.ts';
import { momentAt } from './clock.ts';

type Parts = {
  readonly clock: Clock;
  /** Runs the sweep, and says when time has something to do next. */
  readonly sweep: () => Promise<Instant | null>;
  /** Waits that run out by the clock. */
  readonly waits: { nextTimeoutAt(): Instant | null; timeOut(): void };
  /** Answers when nothing is under way. */
  readonly quiet: () => Promise<void>;
};

export type WindOn = (target: (now: Instant) => Instant | undefined) => Promise<'backwards' | 'nowhere' | 'done'>;

const minuteMilliseconds = 60_000;

/**
 * Makes what winds the clock on to the moment that `target` says, seen from now. It stops at every full minute at which
 * the deployed system's schedule would find something due on the way, in order, and runs the schedule there; at all other
 * minutes it would find nothing. Comes back when all is quiet. Two windings at once are done one after the other.
 */
export function makeWindOn({ clock, sweep, waits, quiet }: Parts): WindOn {
  const settle = async () => {
    waits.timeOut();
    await quiet();
    const next = await sweep();
    await quiet();
    return next;
  };

  const windOn: WindOn = async (target) => {
    const now = clock.now();
    const end = target(now);
    if (end === undefined) return 'nowhere';
    if (end < now) return 'backwards';
    let next = await settle();
    for (let stop = nextStop(next); stop !== null && stop < end; stop = nextStop(next)) {
      clock.moveTo(stop);
      next = await settle();
    }
    // The clock runs meanwhile, and may have passed an end that was near.
    clock.moveTo(end);
    await settle();
    return 'done';
  };

  /** The next full minute at which there is something to do. */
  const nextStop = (nextAction: Instant | null): Instant | null => {
    const [due] = [nextAction, waits.nextTimeoutAt()].filter((at) => at !== null).toSorted();
    if (due === undefined) return null;
    const nextMinute = Math.floor(Date.parse(clock.now()) / minuteMilliseconds + 1);
    return momentAt(Math.max(nextMinute, Math.ceil(Date.parse(due) / minuteMilliseconds)) * minuteMilliseconds);
  };

  let turn: Promise<unknown> = Promise.resolve();
  return (target) => {
    const mine = turn.then(() => windOn(target));
    turn = mine.catch(() => undefined);
    return mine;
  };
}
