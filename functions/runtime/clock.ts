import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Instant } from '../../domain/calendar/instant.ts';
import { fromEpochMilliseconds } from '../../domain/calendar/instant.ts';
import { Secret } from '../../domain/secret.ts';

/** What comes from outside and differs at every look: the time and chance. Read once an event and handed on as a value. */
export type Runtime = {
  now(): Instant;
  /** A uniform whole number from 0 to below the bound, from a cryptographic source. */
  randomBelow(bound: number): number;
  /** A token of 256 random bits, fit for a path (APR-1). */
  randomToken(): Secret;
  /** A code of that many decimal digits. */
  randomCode(digits: number): Secret;
  /** A name that nothing else has. */
  uniqueId(): string;
  /** Waits before the attempt of that number: a random time below a bound that doubles with each (full jitter). */
  backOff(attempt: number): Promise<void>;
};

const backOffBaseMilliseconds = 20;
const backOffMillisecondsMax = 1_000;

export const runtime: Runtime = {
  now: () => fromEpochMilliseconds(Date.now()),
  randomBelow: (bound) => randomInt(bound),
  randomToken: () => new Secret(randomBytes(32).toString('base64url'), '[token]'),
  randomCode: (digits) => new Secret(String(randomInt(10 ** digits)).padStart(digits, '0'), '[code]'),
  uniqueId: () => randomUUID(),
  backOff: async (attempt) => {
    const bound = Math.min(backOffMillisecondsMax, backOffBaseMilliseconds * 2 ** (attempt - 1));
    await wait(randomInt(bound + 1));
  },
};

/** Lets another clock tell the time: the one that the local system winds on. */
export function setClock(now: () => Instant): void {
  runtime.now = now;
}
