import type { Agreement } from '../agreement.ts';
import { initialMakLimit } from '../agreement.ts';
import type { Deed } from '../audit-event.ts';
import type { Instant } from '../calendar/instant.ts';
import { isBefore, later } from '../calendar/instant.ts';
import type { Context } from '../context.ts';
import type { Decided } from '../refusal.ts';
import type { Grant } from './grant.ts';
import { limitOf } from './grant.ts';
import type { InstallationId } from './installation-id.ts';
import type { Key, KeyStatus, KmsKey, Successor } from './key.ts';
import { refusedUnlessLive } from './key.ts';

export type Replacement = { readonly reason: string; readonly reference: string };

/**
 * Begins to replace a key (BLK-2): from here on nothing is granted or activated with it, and its successor is settled, so
 * that whoever completes the replacement completes the same one. Refuses a key that is not live.
 */
export function beginReplacement(
  key: Key,
  ask: Replacement,
  successor: Successor,
  { actor, now }: Pick<Context, 'actor' | 'now'>,
): Decided<{ readonly key: Key; readonly deed: Deed }> {
  const notLive = refusedUnlessLive(key);
  if (notLive !== undefined) return notLive;
  const status: KeyStatus = { is: 'blocking', since: now, by: actor, reason: ask.reason, successor };
  const deed = {
    actor,
    action: 'replacement-begun',
    detail: `The key ending in ${key.lastFive} is being replaced by one ending in ${successor.lastFive}: ${ask.reason}`,
    reference: ask.reference,
  };
  return { ok: true, key: { ...key, status }, deed };
}

/**
 * Completes a replacement that was begun: the old key with both marks, for activation and validation (BLK-1), and the
 * new one of the same kind and group with the standard allowance (BLK-2). `undefined` for a key that is not being replaced.
 */
export function completeReplacement(
  key: Key,
  agreement: Agreement,
  { now, policy }: Pick<Context, 'now' | 'policy'>,
): { readonly blocked: Key; readonly issued: Key; readonly deed: Deed } | undefined {
  if (key.status.is !== 'blocking') return undefined;
  const { successor, by, reason } = key.status;
  const grant: Grant = {
    kind: 'initial',
    amount: key.type === 'MAK' ? initialMakLimit(key.productGroup, agreement, policy) : policy.kms.hostPlaces,
    at: now,
    by,
    reference: key.agreementId,
    approvedBy: null,
  };
  const fresh = {
    keyId: successor.keyId,
    agreementId: key.agreementId,
    productGroup: key.productGroup,
    lastFive: successor.lastFive,
    status: { is: 'live' },
    grants: [grant],
    issuedAt: now,
    replaces: key.keyId,
  } as const;
  const issued: Key =
    key.type === 'MAK' ? { ...fresh, type: 'MAK' } : { ...fresh, type: 'KMS', hosts: [], overrides: [] };
  const deed = {
    actor: by,
    action: 'key-blocked',
    detail: `The key ending in ${key.lastFive} was blocked and replaced by the one ending in ${successor.lastFive}, with a limit of ${limitOf(issued.grants)}: ${reason}`,
    reference: successor.keyId,
  };
  const status: KeyStatus = { is: 'blocked', at: now, validationAt: now, replacedBy: successor };
  return { blocked: { ...key, status }, issued, deed };
}

/**
 * A replaced KMS key without the hosts that have activated with a successor of it (BLK-3). `undefined` when none of them
 * is on it any more, or when it was not replaced.
 */
export function withoutHosts(key: Key, moved: readonly InstallationId[]): KmsKey | undefined {
  if (key.type !== 'KMS' || key.status.is !== 'blocked') return undefined;
  const hosts = key.hosts.filter(({ installationId }) => !moved.includes(installationId));
  return hosts.length === key.hosts.length ? undefined : { ...key, hosts };
}

export type Verdict = {
  readonly genuine: boolean;
  readonly reason: null | 'unknown-key' | 'key-blocked' | 'never-activated';
  readonly graceEndsAt: Instant | null;
};

/**
 * Says whether an installation is genuine, and if not why (VAL-1). The installations of a blocked key stay genuine for a
 * grace, which the answer states.
 * @param key the key that the installation names; `undefined` when no such key was ever issued.
 * @param hasActivated whether this installation has activated with it.
 */
export function validate(
  key: Key | undefined,
  hasActivated: boolean,
  { now, policy }: Pick<Context, 'now' | 'policy'>,
): Verdict {
  if (key === undefined) return { genuine: false, reason: 'unknown-key', graceEndsAt: null };
  if (key.status.is !== 'blocked') {
    return hasActivated
      ? { genuine: true, reason: null, graceEndsAt: null }
      : { genuine: false, reason: 'never-activated', graceEndsAt: null };
  }
  const graceEndsAt = later(key.status.validationAt, { days: policy.validation.graceDays });
  const inGrace = hasActivated && isBefore(now, graceEndsAt);
  return inGrace
    ? { genuine: true, reason: null, graceEndsAt }
    : { genuine: false, reason: 'key-blocked', graceEndsAt };
}
