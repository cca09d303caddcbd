import { grantIncrease, issueMak, readKey } from '../../store/keys.ts';
import type { BucketLayout } from '../../store/mak-bucket.ts';
import type { Store } from '../../store/store.ts';
import { agent, anAgreement, context, expectAccepted, ines, policy, productKey } from '../builders.ts';
import { mondayNine, mondayTen } from '../instants.ts';

/**
 * Returns a store whose policy issues a MAK with this limit, and lets the call center raise it almost without a
 * maximum.
 */
function withGenerousPolicy(store: Store, limit: number): Store {
  const { initialMakLimit, callCenter } = policy;
  const perLevel = { none: 1, A: 0.01, B: 1, C: 1, D: 1 };
  return {
    ...store,
    policy: {
      ...policy,
      initialMakLimit: {
        floor: limit,
        roundUpTo: 1,
        activationsPerLicense: { ...initialMakLimit.activationsPerLicense, enterprise: perLevel },
      },
      callCenter: { ...callCenter, increaseUpToTimesOriginal: 1_000 },
    },
  };
}

const agreement = anAgreement({ products: [{ product: 'windows-vista-business', licenses: 1 }] });
let drawCount = 0;

/** Issues a MAK with this limit. Returns its bucket layout, and the store whose policy made that possible. */
export async function issueMakWithLimit(
  store: Store,
  limit: number,
): Promise<{ readonly store: Store; readonly layout: BucketLayout }> {
  const generousStore = withGenerousPolicy(store, limit);
  const drawKey = () => productKey(++drawCount);
  const { value: mak } = expectAccepted(
    await issueMak(
      generousStore,
      agreement,
      { productGroup: 'client', drawKey },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine, policy: generousStore.policy }),
    ),
  );
  return { store: generousStore, layout: await bucketLayoutOf(generousStore, mak.keyId) };
}

/** Returns the current bucket layout of a MAK. */
export async function bucketLayoutOf(store: Store, keyId: string): Promise<BucketLayout> {
  const record = await readKey(store, keyId);
  if (record === undefined) throw new Error(`There is no key ${keyId}.`);
  return { keyId, bucketCount: record.internal.bucketCount };
}

/** Raises the limit of a MAK by phone. */
export async function raiseMakLimit(store: Store, keyId: string, newLimit: number): Promise<void> {
  const request = { newLimit, callReference: `to ${newLimit}`, callerName: ines.name };
  const result = await grantIncrease(
    store,
    keyId,
    request,
    context({ actor: agent, operationId: `raise to ${newLimit}`, now: mondayTen, policy: store.policy }),
  );
  if (!result?.ok) throw new Error('the limit was not raised');
}
