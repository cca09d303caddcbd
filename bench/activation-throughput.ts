import { generateProductKey } from '../domain/keys/product-key.ts';
import { backOffMilliseconds } from '../functions/runtime/clock.ts';
import { attemptsMax, ContentionError, putAll } from '../store/dynamodb/table.ts';
import { activateOnMak } from '../store/mak-activations.ts';
import type { Activation } from '../store/mak-bucket.ts';
import { bucketCountFor, newBucketItems, newReserveItem } from '../store/mak-bucket.ts';
import type { Store } from '../store/store.ts';
import { createPrng } from '../test/simulation/prng.ts';
import { activateOnBaseline, putCounter } from './baseline-counter.ts';
import { installLimits, limits } from './dynamodb-model.ts';
import { newStore, randomActivation } from './fixture.ts';
import type { Measurement, RunOptions } from './report.ts';

/** The number of clients in a closed loop: each sends its next request when it has the response to the previous one. */
const clients = 200;
const baselineSeconds = 5;

/** The time of each acknowledged activation, and the number of requests by then. */
type ActivationTimes = readonly { readonly seconds: number; readonly requests: number }[];

/** Lets all clients activate for some seconds, or until no slot is available. */
async function runClients(
  baseStore: Store,
  seconds: number,
  activate: (store: Store, activation: Activation) => Promise<'activated' | 'contention' | 'full'>,
): Promise<ActivationTimes> {
  const model = installLimits(baseStore.client);
  const activationTimes: { seconds: number; requests: number }[] = [];
  let isOver = false;
  await model.run(
    Array.from({ length: clients }, (_, client) => async () => {
      const prng = createPrng(client, 3);
      const store = { ...baseStore, backOff: (retry: number) => model.wait(backOffMilliseconds(retry, prng.below)) };
      while (!isOver) {
        const outcome = await activate(store, randomActivation(prng.below));
        isOver ||= outcome === 'full' || model.now() > seconds * 1_000;
        if (outcome === 'activated' && !isOver)
          activationTimes.push({ seconds: model.now() / 1_000, requests: model.counts.requests });
      }
    }),
  );
  return activationTimes;
}

/** Fills a MAK from its first slot to its last, with the store's own function. */
async function fillKey(limit: number): Promise<ActivationTimes> {
  const baseStore = await newStore();
  const prng = createPrng(limit);
  const keyId = baseStore.vault.keyIdOf(generateProductKey(prng.below));
  await putAll(baseStore, [...newBucketItems(keyId, limit), newReserveItem(keyId, limit)]);
  const layout = { keyId, bucketCount: bucketCountFor(limit) };
  return runClients(baseStore, Number.POSITIVE_INFINITY, async (store, activation) => {
    const digest = store.vault.digestOf(keyId, activation.installationId);
    try {
      const { kind } = await activateOnMak(store, layout, digest, activation);
      if (kind !== 'activated' && kind !== 'exhausted') throw new Error(`An activation returned ${kind}.`);
      return kind === 'activated' ? kind : 'full';
    } catch (error) {
      if (error instanceof ContentionError) return 'contention';
      throw error;
    }
  });
}

/** Runs the plain design for some seconds, with as many attempts as the store makes. */
async function fillBaseline(): Promise<ActivationTimes> {
  const baseStore = await newStore();
  await putCounter(baseStore);
  return runClients(baseStore, baselineSeconds, async (store, { installationId }) => {
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      if (attempt > 1) await store.backOff(attempt);
      if ((await activateOnBaseline(store, installationId, Number.MAX_SAFE_INTEGER)) === 'committed')
        return 'activated';
    }
    return 'contention';
  });
}

/** Returns the rates of the first part of a run, up to the given share of its activations (0 to 1). */
function ratesUntil(
  activationTimes: ActivationTimes,
  share: number,
): { readonly perSecond: number; readonly attempts: number } {
  const count = Math.ceil(activationTimes.length * share);
  const last = activationTimes[count - 1];
  if (last === undefined) throw new Error('Nothing was activated.');
  return { perSecond: count / last.seconds, attempts: last.requests / count };
}

/**
 * Measures concurrent activations on one MAK in a model of DynamoDB's limits, and compares them with the plain design
 * in the same model. Every request counts as an attempt, including reads.
 */
export async function measure({ isLong }: RunOptions): Promise<readonly Measurement[]> {
  const limit = isLong ? 20_000 : 5_000;
  const bucketed = await fillKey(limit);
  const baseline = ratesUntil(await fillBaseline(), 1);
  const rows = [
    { until: 'up to 80 %', ...ratesUntil(bucketed, 0.8), attemptsTarget: { target: { atMost: 1.5 } } },
    { until: 'to the last slot', ...ratesUntil(bucketed, 1), attemptsTarget: {} },
  ].flatMap(({ until, perSecond, attempts, attemptsTarget }): Measurement[] => [
    {
      label: `key of ${limit.toLocaleString('en-US')}, ${until}: activations`,
      value: perSecond,
      unit: 'per second',
      baseline: { label: 'plain', value: baseline.perSecond },
      target: { atLeast: 4_000 },
      isDeterministic: true,
    },
    {
      label: `key of ${limit.toLocaleString('en-US')}, ${until}: attempts`,
      value: attempts,
      unit: 'requests per activation',
      baseline: { label: 'plain', value: baseline.attempts },
      ...attemptsTarget,
      isDeterministic: true,
    },
  ]);
  return [
    ...rows,
    { label: 'model: clients, each with one request at a time', value: clients, unit: 'clients' },
    {
      label: 'model: a read or write of one item',
      value: limits.writeMilliseconds,
      unit: 'ms',
      baseline: { label: 'ms, transaction', value: limits.transactionMilliseconds },
    },
    {
      label: 'model: write units of each partition',
      value: limits.writeUnitsPerSecond,
      unit: 'per second',
      baseline: { label: 'read units', value: limits.readUnitsPerSecond },
    },
  ];
}
