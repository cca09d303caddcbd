import { drawProductKey } from '../domain/keys/product-key.ts';
import type { Store } from '../store/dynamodb/table.ts';
import { Contention, maximumAttempts, putAll } from '../store/dynamodb/table.ts';
import type { Activation } from '../store/mak-activations.ts';
import { activateOnMak, bucketCountFor, bucketItems, reserveItem } from '../store/mak-activations.ts';
import type { Dice } from '../test/simulation/prng.ts';
import { diceOf } from '../test/simulation/prng.ts';
import { activatePlainly, putCounter } from './baseline-counter.ts';
import { modelLimits, modelled } from './dynamodb-model.ts';
import { anActivation, newStore } from './fixture.ts';
import type { Effort, Row } from './report.ts';

/** Machines ask in a closed loop: each client sends the next one when the one before was answered. */
const clients = 200;
const plainSeconds = 5;

/** When each activation was acknowledged, and how many requests there had been by then. */
type Acknowledged = readonly { readonly seconds: number; readonly requests: number }[];

/** Lets clients activate for so many seconds, or until one hears that there is no place left. */
async function crowd(
  table: Store,
  seconds: number,
  activate: (store: Store, activation: Activation) => Promise<'activated' | 'in-vain' | 'full'>,
): Promise<Acknowledged> {
  const model = modelLimits(table.client);
  const acknowledged: { seconds: number; requests: number }[] = [];
  let over = false;
  await model.run(
    Array.from({ length: clients }, (_, client) => async () => {
      const dice = diceOf(client, 3);
      const store = { ...table, pause: (attempt: number) => model.wait(pauseOf(attempt, dice)) };
      while (!over) {
        const outcome = await activate(store, anActivation(dice.below));
        over ||= outcome === 'full' || model.now() > seconds * 1_000;
        if (outcome === 'activated' && !over)
          acknowledged.push({ seconds: model.now() / 1_000, requests: model.counted.requests });
      }
    }),
  );
  return acknowledged;
}

/** As a function pauses before an attempt (functions/runtime/clock.ts). */
function pauseOf(attempt: number, dice: Dice): number {
  return dice.below(Math.min(1_000, 20 * 2 ** (attempt - 1)) + 1);
}

/** A MAK from its first place to its last, by the store's own function. */
async function fill(limit: number): Promise<Acknowledged> {
  const table = await newStore();
  const dice = diceOf(limit);
  const keyId = table.vault.keyIdOf(drawProductKey(dice.below));
  await putAll(table, [...bucketItems(keyId, limit), reserveItem(keyId, limit)]);
  const layout = { keyId, bucketCount: bucketCountFor(limit) };
  return crowd(table, Number.POSITIVE_INFINITY, async (store, activation) => {
    const digest = store.vault.digestOf(keyId, activation.installationId);
    try {
      const { is } = await activateOnMak(store, layout, digest, activation);
      if (is !== 'activated' && is !== 'spent') throw new Error(`An activation came out as ${is}.`);
      return is === 'activated' ? is : 'full';
    } catch (error) {
      if (error instanceof Contention) return 'in-vain';
      throw error;
    }
  });
}

/** The plain design for some seconds, tried again as often as the store tries. */
async function fillPlain(): Promise<Acknowledged> {
  const table = await newStore();
  await putCounter(table);
  return crowd(table, plainSeconds, async (store, { installationId }) => {
    for (let attempt = 1; attempt <= maximumAttempts; attempt += 1) {
      if (attempt > 1) await store.pause(attempt);
      if ((await activatePlainly(store, installationId, Number.MAX_SAFE_INTEGER)) === 'done') return 'activated';
    }
    return 'in-vain';
  });
}

/** How it went until so much of it was done, from 0 to 1. */
function upTo(acknowledged: Acknowledged, share: number): { readonly perSecond: number; readonly attempts: number } {
  const count = Math.ceil(acknowledged.length * share);
  const last = acknowledged[count - 1];
  if (last === undefined) throw new Error('Nobody was activated.');
  return { perSecond: count / last.seconds, attempts: last.requests / count };
}

/**
 * One MAK that 200 clients activate on at once, over a model of DynamoDB's limits, beside the plain design in the same
 * model. Every request on the wire is an attempt, also those that only read.
 */
export async function measure({ long }: Effort): Promise<readonly Row[]> {
  const limit = long ? 20_000 : 5_000;
  const ours = await fill(limit);
  const plain = upTo(await fillPlain(), 1);
  const rows = [
    { until: 'up to 80 %', ...upTo(ours, 0.8), reach: { atMost: 1.5 } },
    { until: 'to the last place', ...upTo(ours, 1) },
  ].flatMap(({ until, perSecond, attempts, ...reach }): Row[] => [
    {
      what: `key of ${limit.toLocaleString('en-US')}, ${until}: activations`,
      measured: perSecond,
      unit: 'a second',
      beside: { what: 'plain', measured: plain.perSecond },
      reach: { atLeast: 4_000 },
      counted: true,
    },
    {
      what: `key of ${limit.toLocaleString('en-US')}, ${until}: attempts`,
      measured: attempts,
      unit: 'requests each',
      beside: { what: 'plain', measured: plain.attempts },
      ...reach,
      counted: true,
    },
  ]);
  return [
    ...rows,
    { what: 'modelled: clients, each with one request at a time', measured: clients, unit: 'clients' },
    {
      what: 'modelled: a read or a write of one item',
      measured: modelled.writeMilliseconds,
      unit: 'ms',
      beside: { what: 'ms a transaction', measured: modelled.transactionMilliseconds },
    },
    {
      what: 'modelled: write units of each partition',
      measured: modelled.writeUnitsPerSecond,
      unit: 'a second',
      beside: { what: 'read units', measured: modelled.readUnitsPerSecond },
    },
  ];
}
