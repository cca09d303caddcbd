import type { Product } from '../catalog.ts';
import type { Context } from '../context.ts';
import type { Policy } from '../policy.ts';
import type { RefusalResult, Result } from '../refusal.ts';
import { refuse } from '../refusal.ts';
import type { Remedy } from '../remedy.ts';
import type { Grant } from './grant.ts';
import { findGrant, limitOf, originalLimitOf } from './grant.ts';
import type { DraftAgreement, Key, Mak } from './key.ts';
import { draftRequest, refuseUnlessLive } from './key.ts';

/** Returns the highest limit that the call center can set: a multiple of the original limit (MAK-4). */
export function callCenterMaximum(key: Pick<Mak, 'grants'>, policy: Policy): number {
  return originalLimitOf(key.grants) * policy.callCenter.increaseUpToTimesOriginal;
}

/** Returns how many activations the call center can still add to this MAK (MAK-4, OVR-5). */
export function callCenterHeadroom(key: Pick<Mak, 'grants'>, policy: Policy): number {
  return Math.max(0, callCenterMaximum(key, policy) - limitOf(key.grants));
}

/**
 * Lists the remedies for a MAK at its limit: an increase by the call center up to double, or a MAKADD request (MAK-4,
 * MAK-5). The draft asks for the original limit once more, or for one more than the call center can add if that is
 * larger.
 */
export function makRemedies(
  key: Pick<Mak, 'type' | 'productGroup' | 'lastFive' | 'grants'>,
  details: { readonly agreement: DraftAgreement; readonly product?: Product },
  policy: Policy,
): readonly Remedy[] {
  const headroom = callCenterHeadroom(key, policy);
  const activationsRequested = Math.max(headroom + 1, originalLimitOf(key.grants));
  return [
    { kind: 'call-center-increase', available: headroom > 0, maximum: headroom },
    {
      kind: 'MAKADD',
      available: true,
      draft: draftRequest(key, { ...details, activationsRequested }, policy),
    },
  ];
}

/** Refuses an activation above the limit of a MAK, with the remedies (MAK-1, MAK-5). */
export function refuseAtLimit(
  key: Pick<Mak, 'type' | 'productGroup' | 'lastFive' | 'grants'>,
  used: number,
  details: { readonly agreement: DraftAgreement; readonly product?: Product },
  policy: Policy,
): RefusalResult {
  const limit = limitOf(key.grants);
  const headroom = callCenterHeadroom(key, policy);
  const remedy =
    headroom > 0
      ? `Ask the call center to add up to ${headroom}, or submit a MAKADD request for more.`
      : 'The call center cannot add any more. Submit a MAKADD request.';
  return refuse(
    'activation-limit-reached',
    `All ${limit} activations of the key ending in ${key.lastFive} are used. ${remedy}`,
    {
      limit,
      used,
      remedies: makRemedies(key, details, policy),
    },
  );
}

export type IncreaseRequest = {
  readonly newLimit: number;
  readonly callReference: string;
  readonly callerName: string;
};

/**
 * Raises the limit of a MAK for a phone call. All calls together can raise it up to double the original limit (MAK-4).
 * A repeated call reference returns the first grant and grants nothing more (OVR-4).
 * Refuses a KMS key, a blocked key, a limit that is not higher than the current one, and a limit above what the call
 * center can grant, with the draft of a MAKADD request (MAK-5).
 */
export function increaseLimit(
  key: Key,
  request: IncreaseRequest,
  agreement: DraftAgreement,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<{ readonly grant: Grant; readonly key: Mak; readonly repeated: boolean }> {
  if (key.type !== 'MAK') {
    return refuse(
      'wrong-key-type',
      'The call center cannot raise the limit of a KMS key. Grant an override to its host instead.',
    );
  }
  const existingGrant = findGrant(key.grants, 'call-center', request.callReference);
  if (existingGrant !== undefined) return { ok: true, grant: existingGrant, key, repeated: true };
  const refusal = refuseUnlessLive(key);
  if (refusal !== undefined) return refusal;
  const limit = limitOf(key.grants);
  if (request.newLimit <= limit) {
    return refuse('limit-not-raised', `The limit is already ${limit}. Enter a new limit above ${limit}.`, { limit });
  }
  const maximumLimit = callCenterMaximum(key, context.policy);
  if (request.newLimit > maximumLimit) {
    return refuse(
      'above-call-center-limit',
      `The call center can raise this key to at most ${maximumLimit}. For a higher limit, submit a MAKADD request.`,
      {
        maximumLimit,
        draft: draftRequest(key, { agreement, activationsRequested: request.newLimit - limit }, context.policy),
      },
    );
  }
  const grant: Grant = {
    kind: 'call-center',
    amount: request.newLimit - limit,
    at: context.now,
    by: context.actor,
    reference: request.callReference,
    approvedBy: null,
  };
  return { ok: true, grant, key: { ...key, grants: [...key.grants, grant] }, repeated: false };
}
