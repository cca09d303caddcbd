import type { Store } from '../../store/dynamodb/table.ts';
import { giveIncrease, issueMak, readKey } from '../../store/keys.ts';
import type { Layout } from '../../store/mak-activations.ts';
import { accepted, agent, anAgreement, context, ines, policy, productKey } from '../builders.ts';
import { mondayNine, mondayTen } from '../instants.ts';

// A policy under which a MAK of any limit can be issued, and raised by phone as far as a test likes.

function generous(store: Store, limit: number): Store {
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
let drawn = 0;

/** Issues a MAK with this very limit. Answers how it is laid out, and the store under whose policy that was possible. */
export async function makOf(store: Store, limit: number): Promise<{ readonly store: Store; readonly layout: Layout }> {
  const under = generous(store, limit);
  const draw = () => productKey(++drawn);
  const { answer } = accepted(
    await issueMak(
      under,
      agreement,
      { productGroup: 'client', drawKey: draw },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine, policy: under.policy }),
    ),
  );
  return { store: under, layout: await layoutOf(under, answer.keyId) };
}

/** How a MAK is to be laid out now. */
export async function layoutOf(store: Store, keyId: string): Promise<Layout> {
  const kept = await readKey(store, keyId);
  if (kept === undefined) throw new Error(`There is no key ${keyId}.`);
  return { keyId, bucketCount: kept.kept.bucketCount };
}

/** Raises a MAK's limit. */
export async function raiseMak(store: Store, keyId: string, newLimit: number): Promise<void> {
  const ask = { newLimit, callReference: `to ${newLimit}`, callerName: ines.name };
  const outcome = await giveIncrease(
    store,
    keyId,
    ask,
    context({ actor: agent, operationId: `raise to ${newLimit}`, now: mondayTen, policy: store.policy }),
  );
  if (!outcome?.ok) throw new Error('the limit was not raised');
}
