import type { Instant } from '../calendar/instant.ts';
import { addDuration, isBefore } from '../calendar/instant.ts';
import type { Context } from '../context.ts';
import type { Key } from './key.ts';

export type GenuineValidationResult = {
  readonly genuine: boolean;
  readonly reason: null | 'unknown-key' | 'key-blocked' | 'never-activated';
  readonly graceEndsAt: Instant | null;
};

/**
 * Returns whether an installation is genuine, and if not, the reason (VAL-1). The installations of a blocked key stay
 * genuine until the grace period ends, at `graceEndsAt`.
 * @param key the key of the installation; `undefined` when no such key was issued.
 * @param hasActivated true when this installation has activated with the key.
 */
export function validateInstallation(
  key: Key | undefined,
  hasActivated: boolean,
  { now, policy }: Pick<Context, 'now' | 'policy'>,
): GenuineValidationResult {
  if (key === undefined) return { genuine: false, reason: 'unknown-key', graceEndsAt: null };
  if (key.state.status !== 'blocked') {
    return hasActivated
      ? { genuine: true, reason: null, graceEndsAt: null }
      : { genuine: false, reason: 'never-activated', graceEndsAt: null };
  }
  const graceEndsAt = addDuration(key.state.validationAt, { days: policy.validation.graceDays });
  const isInGracePeriod = hasActivated && isBefore(now, graceEndsAt);
  return isInGracePeriod
    ? { genuine: true, reason: null, graceEndsAt }
    : { genuine: false, reason: 'key-blocked', graceEndsAt };
}
