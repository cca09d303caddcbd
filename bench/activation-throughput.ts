import { generateProductKey } from '../domain/keys/product-key.ts';
import type { Store } from '../store/dynamodb/table.ts';
import { attemptsMax, ContentionError, putAll } from '../store/dynamodb/table.ts';
import type { Activation } from '../store/mak-activations.ts';
import { activateOnMak, bucketCountFor, newBucketItems, newReserveItem } from '../store/mak-activations.ts';
import type { Prng } from '../test/simulation/prng.ts';
import { createPrng } from '../test/simulation/prng.ts';
import { activateOnBaseline, putCounter } from './baseline-counter.ts';
import { installLimits, limits } from './dynamodb-model.ts';
import { newStore, randomActivation } from './fixture.ts';
import type { Measurement, RunOptions } from './report.ts';

/** Machines ask in a closed loop: each client sends the next one when the one before was answered. */
const clients = 200;
const baselineSeconds = 5;

/** When each activation was acknowledged, and how many requests there had been by then. */
type ActivationTimes = readonly { readonly seconds: number; readonly requests: number }[];

/** Lets clients activate for so many seconds, or until one hears that there is no place left. */
async function runClients(
  table: Store,
  seconds: number,
  activate: (store: Store, activation: Activation) => Promise<'activated' | 'contention' | 'full'>,
): Promise<ActivationTimes> {
  const model = installLimits(table.client);
  const activationTimes: { seconds: number; requests: number }[] = [];
  let isOver = false;
  await model.run(
    Array.from({ length: clients }, (_, client) => async () => {
      const prng = createPrng(client, 3);
      const store = { ...table, backOff: (retry: number) => model.wait(backOffMilliseconds(retry, prng)) };
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

/** As a function pauses before an attempt (functions/runtime/clock.ts). */
function backOffMilliseconds(retry: number, prng: Prng): number {
  return prng.below(Math.min(1_000, 20 * 2 ** (retry - 1)) + 1);
}

/** A MAK from its first place to its last, by the store's own function. */
async function fillKey(limit: number): Promise<ActivationTimes> {
  const table = await newStore();
  const prng = createPrng(limit);
  const keyId = table.vault.keyIdOf(generateProductKey(prng.below));
  await putAll(table, [...newBucketItems(keyId, limit), newReserveItem(keyId, limit)]);
  const layout = { keyId, bucketCount: bucketCountFor(limit) };
  return runClients(table, Number.POSITIVE_INFINITY, async (store, activation) => {
    const digest = store.vault.digestOf(keyId, activation.installationId);
    try {
      const { kind } = await activateOnMak(store, layout, digest, activation);
      if (kind !== 'activated' && kind !== 'exhausted') throw new Error(`An activation came out as ${kind}.`);
      return kind === 'activated' ? kind : 'full';
    } catch (error) {
      if (error instanceof ContentionError) return 'contention';
      throw error;
    }
  });
}

/** The plain design for some seconds, tried again as often as the store tries. */
async function fillBaseline(): Promise<ActivationTimes> {
  const table = await newStore();
  await putCounter(table);
  return runClients(table, baselineSeconds, async (store, { installationId }) => {
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      if (attempt > 1) await store.backOff(attempt);
      if ((await activateOnBaseline(store, installationId, Number.MAX_SAFE_INTEGER)) === 'committed')
        return 'activated';
    }
    return 'contention';
  });
}

/** How it went until so much of it was done, from 0 to 1. */
function ratesUntil(
  activationTimes: ActivationTimes,
  share: number,
): { readonly perSecond: number; readonly attempts: number } {
  const count = Math.ceil(activationTimes.length * share);
  const last = activationTimes[count - 1];
  if (last === undefined) throw new Error('Nobody was activated.');
  return { perSecond: count / last.seconds, attempts: last.requests / count };
}

/**
 * One MAK that 200 clients activate on at once, over a model of DynamoDB's limits, beside the plain design in the same
 * model. Every request on the wire is an attempt, also those that only read.
 */
export async function measure({ isLong: long }: RunOptions): Promise<readonly Measurement[]> {
  const limit = long ? 20_000 : 5_000;
  const bucketed = await fillKey(limit);
  const baseline = ratesUntil(await fillBaseline(), 1);
  const rows = [
    { until: 'up to 80 %', ...ratesUntil(bucketed, 0.8), reach: { atMost: 1.5 } },
    { until: 'to the last place', ...ratesUntil(bucketed, 1) },
  ].flatMap(({ until, perSecond, attempts, ...reach }): Measurement[] => [
    {
      what: `key of ${limit.toLocaleString('en-US')}, ${until}: activations`,
      value: perSecond,
      unit: 'a second',
      baseline: { what: 'plain', value: baseline.perSecond },
      target: { atLeast: 4_000 },
      isDeterministic: true,
    },
    {
      what: `key of ${limit.toLocaleString('en-US')}, ${until}: attempts`,
      value: attempts,
      unit: 'requests each',
      baseline: { what: 'plain', value: baseline.attempts },
      ...reach,
      isDeterministic: true,
    },
  ]);
  return [
    ...rows,
    { what: 'modelled: clients, each with one request at a time', value: clients, unit: 'clients' },
    {
      what: 'modelled: a read or a write of one item',
      value: limits.writeMilliseconds,
      unit: 'ms',
      baseline: { what: 'ms a transaction', value: limits.transactionMilliseconds },
    },
    {
      what: 'modelled: write units of each partition',
      value: limits.writeUnitsPerSecond,
      unit: 'a second',
      baseline: { what: 'read units', value: limits.readUnitsPerSecond },
    },
  ];
}
