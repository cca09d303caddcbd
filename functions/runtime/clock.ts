import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Instant } from '../../domain/calendar/instant.ts';
import { fromEpochMilliseconds } from '../../domain/calendar/instant.ts';
import { Secret } from '../../domain/secret.ts';

/** What comes from outside and differs at every look: the time and chance. Read once an event and handed on as a value. */
export type World = {
  now(): Instant;
  /** A uniform whole number from 0 to below the bound, from a cryptographic source. */
  below(bound: number): number;
  /** A token of 256 random bits, fit for a path (APR-1). */
  token(): Secret;
  /** A code of that many decimal digits. */
  code(digits: number): Secret;
  /** A name that nothing else has. */
  uniqueId(): string;
  /** Waits before the attempt of that number: a random time below a bound that doubles with each (full jitter). */
  pause(attempt: number): Promise<void>;
};

const firstPauseMilliseconds = 20;
const longestPauseMilliseconds = 1_000;

export const world: World = {
  now: () => fromEpochMilliseconds(Date.now()),
  below: (bound) => randomInt(bound),
  token: () => new Secret(randomBytes(32).toString('base64url'), '[token]'),
  code: (digits) => new Secret(String(randomInt(10 ** digits)).padStart(digits, '0'), '[code]'),
  uniqueId: () => randomUUID(),
  pause: async (attempt) => {
    const bound = Math.min(longestPauseMilliseconds, firstPauseMilliseconds * 2 ** (attempt - 1));
    await wait(randomInt(bound + 1));
  },
};

/** Lets another clock tell the time: the one that the local system winds on. */
export function keepTimeBy(now: () => Instant): void {
  world.now = now;
}
