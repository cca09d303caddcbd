import type { Store } from '../../store/dynamodb/table.ts';
import { grantIncrease, issueMak, readKey } from '../../store/keys.ts';
import type { BucketLayout } from '../../store/mak-activations.ts';
import { agent, anAgreement, context, expectAccepted, ines, policy, productKey } from '../builders.ts';
import { mondayNine, mondayTen } from '../instants.ts';

// A policy under which a MAK of any limit can be issued, and raised by phone as far as a test likes.

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

/** Issues a MAK with this very limit. Answers how it is laid out, and the store under whose policy that was possible. */
export async function issueMakWithLimit(
  store: Store,
  limit: number,
): Promise<{ readonly store: Store; readonly layout: BucketLayout }> {
  const generousStore = withGenerousPolicy(store, limit);
  const draw = () => productKey(++drawCount);
  const { value: answer } = expectAccepted(
    await issueMak(
      generousStore,
      agreement,
      { productGroup: 'client', drawKey: draw },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine, policy: generousStore.policy }),
    ),
  );
  return { store: generousStore, layout: await bucketLayoutOf(generousStore, answer.keyId) };
}

/** How a MAK is to be laid out now. */
export async function bucketLayoutOf(store: Store, keyId: string): Promise<BucketLayout> {
  const record = await readKey(store, keyId);
  if (record === undefined) throw new Error(`There is no key ${keyId}.`);
  return { keyId, bucketCount: record.internal.bucketCount };
}

/** Raises a MAK's limit. */
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
