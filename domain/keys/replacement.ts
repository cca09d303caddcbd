import type { Agreement } from '../agreement.ts';
import type { AuditEvent } from '../audit-event.ts';
import type { Context } from '../context.ts';
import type { Result } from '../refusal.ts';
import { limitOf } from './grant.ts';
import type { InstallationId } from './installation-id.ts';
import { issueKmsKey, issueMak } from './issue.ts';
import type { Key, KeyState, KmsKey, Successor } from './key.ts';
import { refuseUnlessLive } from './key.ts';

export type ReplacementRequest = { readonly reason: string; readonly reference: string };

/**
 * Begins the replacement of a key (BLK-2). It stops activations and grants, and fixes the successor, so that a retry
 * completes the same replacement. Refuses a key that is not live.
 */
export function beginReplacement(
  key: Key,
  request: ReplacementRequest,
  successor: Successor,
  { actor, now }: Pick<Context, 'actor' | 'now'>,
): Result<{ readonly key: Key; readonly event: AuditEvent }> {
  const refusal = refuseUnlessLive(key);
  if (refusal !== undefined) return refusal;
  const state: KeyState = { status: 'blocking', since: now, by: actor, reason: request.reason, successor };
  const event: AuditEvent = {
    actor,
    action: 'replacement-begun',
    detail: `The key ending in ${key.lastFive} is being replaced by one ending in ${successor.lastFive}: ${request.reason}`,
    reference: request.reference,
  };
  return { ok: true, key: { ...key, state }, event };
}

/**
 * Completes a replacement: blocks the old key for activation and validation (BLK-1), and issues a key of the same type
 * and group with the standard allowance (BLK-2). `undefined` for a key that is not being replaced.
 */
export function completeReplacement(
  key: Key,
  agreement: Agreement,
  { now, policy }: Pick<Context, 'now' | 'policy'>,
): { readonly blocked: Key; readonly issued: Key; readonly event: AuditEvent } | undefined {
  if (key.state.status !== 'blocking') return undefined;
  const { successor, by, reason } = key.state;
  const issue = key.type === 'MAK' ? issueMak : issueKmsKey;
  const newKey = { ...successor, productGroup: key.productGroup, replaces: key.keyId };
  const issued = issue(newKey, agreement, { actor: by, now, policy });
  const event: AuditEvent = {
    actor: by,
    action: 'key-blocked',
    detail: `The key ending in ${key.lastFive} was blocked and replaced by the one ending in ${successor.lastFive}, with a limit of ${limitOf(issued.grants)}: ${reason}`,
    reference: successor.keyId,
  };
  const state: KeyState = { status: 'blocked', at: now, validationAt: now, replacedBy: successor };
  return { blocked: { ...key, state }, issued, event };
}

/**
 * Removes from a replaced KMS key the hosts that have activated with its successor (BLK-3). `undefined` when the key
 * has none of these hosts, or was not replaced.
 */
export function withoutMovedHosts(key: Key, movedInstallationIds: readonly InstallationId[]): KmsKey | undefined {
  if (key.type !== 'KMS' || key.state.status !== 'blocked') return undefined;
  const hosts = key.hosts.filter(({ installationId }) => !movedInstallationIds.includes(installationId));
  return hosts.length === key.hosts.length ? undefined : { ...key, hosts };
}
