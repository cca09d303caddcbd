import { randomBytes, randomInt } from 'node:crypto';
import { Secret } from '../../domain/secret.ts';

/** Random values from a cryptographic source. */
export type Random = {
  /** Returns a uniform whole number from 0 to below `bound`. */
  below(bound: number): number;
  /** Returns a token of 256 random bits that is safe in a URL path (APR-1). */
  token(): Secret;
  /** Returns a code with this number of decimal digits. */
  code(digits: number): Secret;
};

export const random: Random = {
  below: (bound) => randomInt(bound),
  token: () => new Secret(randomBytes(32).toString('base64url'), '[token]'),
  code: (digits) => new Secret(String(randomInt(10 ** digits)).padStart(digits, '0'), '[code]'),
};
