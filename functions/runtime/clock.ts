import { setTimeout as wait } from 'node:timers/promises';
import type { Instant } from '../../domain/calendar/instant.ts';
import { fromEpochMilliseconds } from '../../domain/calendar/instant.ts';
import { random } from './random.ts';

/** The time. A handler reads it once for each event and passes it on as a value. */
export type Clock = {
  /** Returns the current instant. */
  now(): Instant;
  /** Waits before a retry, where 1 is the first: a random time below a bound that doubles each time (full jitter). */
  backOff(retry: number): Promise<void>;
};

const backOffBaseMilliseconds = 20;
const backOffMillisecondsMax = 1_000;

export const clock: Clock = {
  now: () => fromEpochMilliseconds(Date.now()),
  backOff: async (retry) => {
    await wait(backOffMilliseconds(retry));
  },
};

/** Returns the time to wait before a retry. `below` draws it. */
export function backOffMilliseconds(retry: number, below: (bound: number) => number = random.below): number {
  return below(Math.min(backOffMillisecondsMax, backOffBaseMilliseconds * 2 ** (retry - 1)) + 1);
}

/** Replaces the source of the current time. The local system sets a clock that can be advanced. */
export function setClock(now: () => Instant): void {
  clock.now = now;
}
