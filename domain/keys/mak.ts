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

/** The highest limit that a phone call can give: a multiple of what was originally allocated (MAK-4). */
export function callCenterMaximum(key: Pick<Mak, 'grants'>, policy: Policy): number {
  return originalLimitOf(key.grants) * policy.callCenter.increaseUpToTimesOriginal;
}

/** How many more activations the call centre could still add to this MAK (MAK-4, OVR-5). */
export function callCenterHeadroom(key: Pick<Mak, 'grants'>, policy: Policy): number {
  return Math.max(0, callCenterMaximum(key, policy) - limitOf(key.grants));
}

/**
 * The way out for a MAK that has run out: by phone up to double, beyond that by exception (MAK-4, MAK-5).
 * The request is begun for as many activations again as the key was issued with, at least enough to be an exception.
 */
export function makRemedies(
  key: Pick<Mak, 'type' | 'productGroup' | 'lastFive' | 'grants'>,
  about: { readonly agreement: DraftAgreement; readonly product?: Product },
  policy: Policy,
): readonly Remedy[] {
  const headroom = callCenterHeadroom(key, policy);
  const suggested = Math.max(headroom + 1, originalLimitOf(key.grants));
  return [
    { kind: 'call-center-increase', available: headroom > 0, maximum: headroom },
    {
      kind: 'MAKADD',
      available: true,
      draft: draftRequest(key, { ...about, activationsRequested: suggested }, policy),
    },
  ];
}

/** Refuses the activation past a MAK's limit and says what can be done about it (MAK-1, MAK-5). */
export function refuseAtLimit(
  key: Pick<Mak, 'type' | 'productGroup' | 'lastFive' | 'grants'>,
  used: number,
  about: { readonly agreement: DraftAgreement; readonly product?: Product },
  policy: Policy,
): RefusalResult {
  const limit = limitOf(key.grants);
  const headroom = callCenterHeadroom(key, policy);
  const remedy =
    headroom > 0
      ? `Call the activation call centre, which can add up to ${headroom}, or ask for more by a MAKADD request.`
      : 'It is already at the most that the call centre can give; ask for more by a MAKADD request.';
  return refuse(
    'activation-limit-reached',
    `All ${limit} activations of the key ending in ${key.lastFive} are used. ${remedy}`,
    {
      limit,
      used,
      remedies: makRemedies(key, about, policy),
    },
  );
}

export type IncreaseRequest = {
  readonly newLimit: number;
  readonly callReference: string;
  readonly callerName: string;
};

/**
 * Raises a MAK's limit by phone, over all calls together up to double what was originally allocated (MAK-4).
 * The same call reference on the same key answers with the grant that it gave and gives no more (OVR-4).
 * Refuses a KMS key, a blocked key, a limit that is no raise, and one above the call centre's reach; the last carries
 * the MAKADD request, begun (MAK-5).
 */
export function increaseLimit(
  key: Key,
  request: IncreaseRequest,
  agreement: DraftAgreement,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<{ readonly grant: Grant; readonly key: Mak; readonly repeated: boolean }> {
  if (key.type !== 'MAK') {
    return refuse('wrong-key-type', 'A KMS key has no limit to raise by phone; give its host an override instead.');
  }
  const existingGrant = findGrant(key.grants, 'call-center', request.callReference);
  if (existingGrant !== undefined) return { ok: true, grant: existingGrant, key, repeated: true };
  const refusal = refuseUnlessLive(key);
  if (refusal !== undefined) return refusal;
  const limit = limitOf(key.grants);
  if (request.newLimit <= limit) {
    return refuse('limit-not-raised', `The limit is ${limit} already. Ask for a new limit above that.`, { limit });
  }
  const maximumLimit = callCenterMaximum(key, context.policy);
  if (request.newLimit > maximumLimit) {
    return refuse(
      'above-call-center-limit',
      `By phone this key can be raised to ${maximumLimit} at most. For more, send a MAKADD request.`,
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
