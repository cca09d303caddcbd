import type { UpdateCommandInput } from '@aws-sdk/lib-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { Context } from 'aws-lambda';
import type { Activation, BucketLayout } from '../store/mak-bucket.ts';
import {
  attributeNameOf,
  bucketAttributeNames,
  bucketKey,
  encodeActivation,
  homeBucketOf,
  liveAndCurrentLayout,
} from '../store/mak-bucket.ts';
import type { Store } from '../store/store.ts';
import type { ApiHandler } from './events.ts';
import { activationEvent, functionEnvironment, muteStdout } from './events.ts';
import { issueMakWithLimit, median, newStore, randomActivation, revealProductKey } from './fixture.ts';
import type { Measurement, RunOptions } from './report.ts';

/** So large that no bucket becomes full, because the bare loop does not look for slots in other buckets. */
const keySize = 500_000;
/** So many that garbage collection takes about the same time in each round. */
const activationsPerRound = 1_000;
/** The first rounds are discarded: the compiler needs some thousand calls to find the hot code. */
const warmUpRounds = 5;

/**
 * Measures activations through the complete handler, in process, one after the other as Lambda does, and their
 * processor time. The baseline is a loop of the same conditional update through the SDK, on another key of the same
 * size in the same emulator. Requests are created before the clock starts. The rounds alternate, and each ratio is the
 * median of the ratios of adjacent rounds. The handler logs as it does when it is deployed, and its output is
 * discarded.
 */
export async function measure({ rounds }: RunOptions): Promise<readonly Measurement[]> {
  const store = await newStore();
  const layout = await issueMakWithLimit(store, 'THROUGHPUT', keySize);
  const bareLayout = await issueMakWithLimit(store, 'BARE', keySize);
  Object.assign(process.env, functionEnvironment(store));
  const { handler } = (await import('../functions/api/activation.ts')) as { handler: ApiHandler };
  const productKey = await revealProductKey(store, layout.keyId);

  const throughHandler = () => {
    const event = activationEvent(productKey);
    return async () => {
      const { statusCode } = await handler(event, {} as Context);
      if (statusCode !== 201) throw new Error(`An activation returned ${statusCode}.`);
    };
  };
  const bare = () => {
    const input = activationUpdate(store, bareLayout, randomActivation());
    return async () => {
      await store.client.send(new UpdateCommand(input));
    };
  };
  const results = { handler: [] as RoundResult[], bare: [] as RoundResult[] };
  const unmute = muteStdout();
  for (let turn = 0; turn < warmUpRounds; turn += 1) {
    await round(throughHandler);
    await round(bare);
  }
  for (let turn = 0; turn < rounds; turn += 1) {
    results.bare.push(await round(bare));
    results.handler.push(await round(throughHandler));
  }
  unmute();
  const perSecond = (roundResults: readonly RoundResult[]) =>
    activationsPerRound / median(roundResults.map(({ seconds }) => seconds));
  const cpu = (roundResults: readonly RoundResult[]) =>
    (median(roundResults.map(({ cpuSeconds }) => cpuSeconds)) / activationsPerRound) * 1e6;
  return [
    {
      label: 'activations through the handler',
      value: perSecond(results.handler),
      unit: 'per second',
      baseline: { label: 'bare', value: perSecond(results.bare) },
    },
    {
      label: 'relative to the bare loop',
      value: median(results.handler.map(({ seconds }, turn) => (results.bare[turn]?.seconds ?? Number.NaN) / seconds)),
      unit: '×',
      target: { atLeast: 0.85 },
    },
    {
      label: 'processor time per activation',
      value: cpu(results.handler),
      unit: 'µs',
      baseline: { label: 'µs bare', value: cpu(results.bare) },
    },
    {
      label: 'relative to the bare call',
      value: median(
        results.handler.map(({ cpuSeconds }, turn) => cpuSeconds / (results.bare[turn]?.cpuSeconds ?? Number.NaN)),
      ),
      unit: '×',
      target: { atMost: 1.25 },
    },
  ];
}

type RoundResult = { readonly seconds: number; readonly cpuSeconds: number };

async function round(prepare: () => () => Promise<void>): Promise<RoundResult> {
  const actions = Array.from({ length: activationsPerRound }, prepare);
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  for (const action of actions) await action();
  const { user, system } = process.cpuUsage(cpuBefore);
  return { seconds: (performance.now() - startedAt) / 1000, cpuSeconds: (user + system) / 1e6 };
}

/** Returns exactly the update that an activation sends. */
export function activationUpdate(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  activation: Activation,
): UpdateCommandInput {
  const digest = store.vault.digestOf(keyId, activation.installationId);
  return {
    TableName: store.tableName,
    Key: bucketKey(keyId, homeBucketOf(digest, bucketCount)),
    UpdateExpression: 'SET #activation = :activation, #used = #used + :one, #available = #available - :one',
    ConditionExpression: `attribute_not_exists(#activation) AND #available > :none AND ${liveAndCurrentLayout}`,
    ExpressionAttributeNames: { ...bucketAttributeNames, '#activation': attributeNameOf(activation.installationId) },
    ExpressionAttributeValues: {
      ':activation': encodeActivation(activation),
      ':one': 1,
      ':none': 0,
      ':live': 'live',
      ':bucketCount': bucketCount,
    },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  };
}
