import type { UpdateCommandInput } from '@aws-sdk/lib-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { Context } from 'aws-lambda';
import type { Store } from '../store/dynamodb/table.ts';
import type { Activation, BucketLayout } from '../store/mak-activations.ts';
import {
  attributeNameOf,
  bucketAttributeNames,
  bucketKey,
  encodeActivation,
  homeBucketOf,
  liveAndCurrentLayout,
} from '../store/mak-activations.ts';
import type { ApiHandler } from './events.ts';
import { activationEvent, functionEnvironment, muteStdout } from './events.ts';
import { issueMakWithLimit, median, newStore, randomActivation, revealProductKey } from './fixture.ts';
import type { Measurement, RunOptions } from './report.ts';

/** How large the two keys are: so large that no bucket runs full, since the bare loop would not know where else to look. */
const keySize = 500_000;
/** So many that what the collector of memory does in one round it does in each. */
const activationsPerRound = 1_000;
/** Rounds of each that are not counted: the compiler takes some thousand calls to see what is called often. */
const warmUpRounds = 5;

/**
 * Activations a second through the whole handler, in process, one after the other as a Lambda is handed them, beside a bare
 * loop of the very same conditional update through the SDK, on another key of the same size in the same engine; and the
 * processor time that each takes. What is sent is made before the clock runs. Rounds are interleaved, and each ratio is the
 * median of those of neighbours. The handler logs and counts as it does when it is deployed; what it writes is taken from it
 * just before the terminal.
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
      if (statusCode !== 201) throw new Error(`An activation was answered ${statusCode}.`);
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
      what: 'activations a second through the handler',
      value: perSecond(results.handler),
      unit: 'a second',
      baseline: { what: 'bare', value: perSecond(results.bare) },
    },
    {
      what: 'of the bare loop',
      value: median(results.handler.map(({ seconds }, turn) => (results.bare[turn]?.seconds ?? Number.NaN) / seconds)),
      unit: '×',
      target: { atLeast: 0.85 },
    },
    {
      what: 'processor time an activation',
      value: cpu(results.handler),
      unit: 'µs',
      baseline: { what: 'µs bare', value: cpu(results.bare) },
    },
    {
      what: 'of the bare call',
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
  const before = performance.now();
  for (const action of actions) await action();
  const { user, system } = process.cpuUsage(cpuBefore);
  return { seconds: (performance.now() - before) / 1000, cpuSeconds: (user + system) / 1e6 };
}

/** The update that an activation is, to the letter. */
export function activationUpdate(
  store: Store,
  { keyId, bucketCount }: BucketLayout,
  activation: Activation,
): UpdateCommandInput {
  const digest = store.vault.digestOf(keyId, activation.installationId);
  return {
    TableName: store.tableName,
    Key: bucketKey(keyId, homeBucketOf(digest, bucketCount)),
    UpdateExpression: 'SET #mark = :mark, #used = #used + :one, #available = #available - :one',
    ConditionExpression: `attribute_not_exists(#mark) AND #available > :none AND ${liveAndCurrentLayout}`,
    ExpressionAttributeNames: { ...bucketAttributeNames, '#mark': attributeNameOf(activation.installationId) },
    ExpressionAttributeValues: {
      ':mark': encodeActivation(activation),
      ':one': 1,
      ':none': 0,
      ':live': 'live',
      ':bucketCount': bucketCount,
    },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  };
}
