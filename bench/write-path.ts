import type { UpdateCommandInput } from '@aws-sdk/lib-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { Context } from 'aws-lambda';
import type { Store } from '../store/dynamodb/table.ts';
import type { Activation, Layout } from '../store/mak-activations.ts';
import { bucketKey, bucketNames, homeOf, liveAndLaidOut, markNameOf, markOf } from '../store/mak-activations.ts';
import type { ApiHandler } from './events.ts';
import { activationEvent, environmentOf, hush } from './events.ts';
import { anActivation, makOf, median, newStore, revealed } from './fixture.ts';
import type { Effort, Row } from './report.ts';

/** How large the two keys are: so large that no bucket runs full, since the bare loop would not know where else to look. */
const keySize = 500_000;
/** So many that what the collector of memory does in one round it does in each. */
const inARound = 1_000;
/** Rounds of each that are not counted: the compiler takes some thousand calls to see what is called often. */
const warmUps = 5;

/**
 * Activations a second through the whole handler, in process, one after the other as a Lambda is handed them, beside a bare
 * loop of the very same conditional update through the SDK, on another key of the same size in the same engine; and the
 * processor time that each takes. What is sent is made before the clock runs. Rounds are interleaved, and each ratio is the
 * median of those of neighbours. The handler logs and counts as it does when it is deployed; what it writes is taken from it
 * just before the terminal.
 */
export async function measure({ rounds }: Effort): Promise<readonly Row[]> {
  const store = await newStore();
  const layout = await makOf(store, 'THROUGHPUT', keySize);
  const bareLayout = await makOf(store, 'BARE', keySize);
  Object.assign(process.env, environmentOf(store));
  const { handler } = (await import('../functions/api/activation.ts')) as { handler: ApiHandler };
  const productKey = await revealed(store, layout.keyId);

  const throughHandler = () => {
    const event = activationEvent(productKey);
    return async () => {
      const { statusCode } = await handler(event, {} as Context);
      if (statusCode !== 201) throw new Error(`An activation was answered ${statusCode}.`);
    };
  };
  const bare = () => {
    const input = sameUpdate(store, bareLayout, anActivation());
    return async () => {
      await store.client.send(new UpdateCommand(input));
    };
  };
  const taken = { handler: [] as Taken[], bare: [] as Taken[] };
  const loud = hush();
  for (let turn = 0; turn < warmUps; turn += 1) {
    await round(throughHandler);
    await round(bare);
  }
  for (let turn = 0; turn < rounds; turn += 1) {
    taken.bare.push(await round(bare));
    taken.handler.push(await round(throughHandler));
  }
  loud();
  const perSecond = (some: readonly Taken[]) => inARound / median(some.map(({ seconds }) => seconds));
  const cpu = (some: readonly Taken[]) => (median(some.map(({ cpuSeconds }) => cpuSeconds)) / inARound) * 1e6;
  return [
    {
      what: 'activations a second through the handler',
      measured: perSecond(taken.handler),
      unit: 'a second',
      beside: { what: 'bare', measured: perSecond(taken.bare) },
    },
    {
      what: 'of the bare loop',
      measured: median(taken.handler.map(({ seconds }, turn) => (taken.bare[turn]?.seconds ?? Number.NaN) / seconds)),
      unit: '×',
      reach: { atLeast: 0.85 },
    },
    {
      what: 'processor time an activation',
      measured: cpu(taken.handler),
      unit: 'µs',
      beside: { what: 'µs bare', measured: cpu(taken.bare) },
    },
    {
      what: 'of the bare call',
      measured: median(
        taken.handler.map(({ cpuSeconds }, turn) => cpuSeconds / (taken.bare[turn]?.cpuSeconds ?? Number.NaN)),
      ),
      unit: '×',
      reach: { atMost: 1.25 },
    },
  ];
}

type Taken = { readonly seconds: number; readonly cpuSeconds: number };

async function round(prepare: () => () => Promise<void>): Promise<Taken> {
  const acts = Array.from({ length: inARound }, prepare);
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  for (const act of acts) await act();
  const { user, system } = process.cpuUsage(cpuBefore);
  return { seconds: (performance.now() - before) / 1000, cpuSeconds: (user + system) / 1e6 };
}

/** The update that an activation is, to the letter. */
export function sameUpdate(store: Store, { keyId, bucketCount }: Layout, activation: Activation): UpdateCommandInput {
  const digest = store.vault.digestOf(keyId, activation.installationId);
  return {
    TableName: store.tableName,
    Key: bucketKey(keyId, homeOf(digest, bucketCount)),
    UpdateExpression: 'SET #mark = :mark, #used = #used + :one, #free = #free - :one',
    ConditionExpression: `attribute_not_exists(#mark) AND #free > :none AND ${liveAndLaidOut}`,
    ExpressionAttributeNames: { ...bucketNames, '#mark': markNameOf(activation.installationId) },
    ExpressionAttributeValues: {
      ':mark': markOf(activation),
      ':one': 1,
      ':none': 0,
      ':live': 'live',
      ':bucketCount': bucketCount,
    },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  };
}
