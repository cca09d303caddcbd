import { activateKmsHost, listKeys, readKey } from '../store/keys.ts';
import { activateOnMak, blockBuckets } from '../store/mak-activations.ts';
import { activateOnBaseline, putCounter } from './baseline-counter.ts';
import { meterCapacity } from './capacity-meter.ts';
import {
  drawKey,
  fixedNow,
  issueMakWithLimit,
  newStore,
  quantile,
  randomActivation,
  randomInstallationId,
} from './fixture.ts';
import type { Measurement } from './report.ts';

/** Fills a key from empty to full, one by one, and tells what each new activation used. */
async function fillKey(limit: number) {
  const store = await newStore();
  const layout = await issueMakWithLimit(store, `FILL${limit}`, limit);
  const { usage: used, reset } = meterCapacity(store.client);
  const each: { writeUnits: number; roundTrips: number }[] = [];
  const activations = Array.from({ length: limit }, () => randomActivation());
  for (const activation of activations) {
    reset();
    const digest = store.vault.digestOf(layout.keyId, activation.installationId);
    const outcome = await activateOnMak(store, layout, digest, activation);
    if (outcome.kind !== 'activated') throw new Error(`The key of ${limit} was ${outcome.kind} before it was full.`);
    each.push({ ...used });
  }
  const upTo80 = each.slice(0, Math.floor(limit * 0.8));
  const mean = (some: readonly { writeUnits: number }[]) =>
    some.reduce((sum, { writeUnits }) => sum + writeUnits, 0) / some.length;
  const measureOne = async (act: () => Promise<unknown>) => {
    reset();
    await act();
    return { ...used };
  };
  const firstActivation = activations[0] ?? randomActivation();
  const digestOf = (activation: typeof firstActivation) =>
    store.vault.digestOf(layout.keyId, activation.installationId);
  const repeat = await measureOne(() => activateOnMak(store, layout, digestOf(firstActivation), firstActivation));
  const extraActivation = randomActivation();
  const first = await measureOne(() => activateOnMak(store, layout, digestOf(extraActivation), extraActivation));
  const refusal = await measureOne(() => activateOnMak(store, layout, digestOf(extraActivation), extraActivation));
  await blockBuckets(store, layout);
  const blocked = await measureOne(() => activateOnMak(store, layout, digestOf(extraActivation), extraActivation));
  return {
    upTo80: mean(upTo80),
    toFull: mean(each),
    median: quantile(
      upTo80.map(({ roundTrips }) => roundTrips),
      0.5,
    ),
    p95: quantile(
      upTo80.map(({ roundTrips }) => roundTrips),
      0.95,
    ),
    repeat,
    first,
    refusal,
    blocked,
  };
}

/** The write units of each activation, when the plain design fills a key. */
async function fillBaseline(limit: number): Promise<number> {
  const store = await newStore();
  await putCounter(store);
  const { usage: used } = meterCapacity(store.client);
  for (let count = 0; count < limit; count += 1) {
    const committed = await activateOnBaseline(store, randomInstallationId(), limit);
    if (committed !== 'committed') throw new Error(`A plain activation came out as ${committed}.`);
  }
  return used.writeUnits / limit;
}

/** What is read for a product key that nobody has. */
async function readUnknownKey(): Promise<number> {
  const store = await newStore();
  const { usage: used } = meterCapacity(store.client);
  if ((await readKey(store, store.vault.keyIdOf(drawKey()))) !== undefined) throw new Error('An unknown key is known.');
  return used.readUnits;
}

async function activateKmsHosts(): Promise<number> {
  const store = await newStore();
  await issueMakWithLimit(store, 'KMS', 50);
  const keys = await listKeys(store, 'KMS', { limit: 10, after: null });
  const key = keys.items.find(({ value: state }) => state.type === 'KMS');
  if (key === undefined) throw new Error('The agreement has no KMS key.');
  const { usage: used } = meterCapacity(store.client);
  for (let host = 0; host < 6; host += 1) {
    const { installationId } = randomActivation();
    const request = { installationId, product: 'windows-vista-enterprise', machineName: null } as const;
    for (let use = 0; use < 10; use += 1)
      await activateKmsHost(store, key.value.keyId, request, {
        actor: 'bench',
        operationId: `${host} ${use}`,
        now: fixedNow,
        policy: store.policy,
      });
  }
  return used.writeUnits / 60;
}

/** Write units and round trips of activations, beside the plain design in the same run. */
export async function measure(): Promise<readonly Measurement[]> {
  const baseline = await fillBaseline(500);
  const beside = { what: 'plain', value: baseline };
  const rows: Measurement[] = [];
  for (const limit of [500, 5_000]) {
    const result = await fillKey(limit);
    const key = `key of ${limit.toLocaleString('en-US')}`;
    rows.push(
      {
        what: `${key}: units a new activation, up to 80 %`,
        value: result.upTo80,
        unit: 'WCU',
        baseline: beside,
        target: { atMost: 1.2 },
        isDeterministic: true,
      },
      {
        what: `${key}: units a new activation, to full`,
        value: result.toFull,
        unit: 'WCU',
        baseline: beside,
        target: { atMost: 1.7 },
        isDeterministic: true,
      },
      {
        what: `${key}: round trips up to 80 %, median`,
        value: result.median,
        unit: 'trips',
        target: { atMost: 1 },
        isDeterministic: true,
      },
      {
        what: `${key}: round trips up to 80 %, 95th percentile`,
        value: result.p95,
        unit: 'trips',
        target: { atMost: 1 },
        isDeterministic: true,
      },
      { what: `${key}: a repeat`, value: result.repeat.writeUnits, unit: 'WCU' },
      { what: `${key}: the first refusal at the limit`, value: result.first.readUnits, unit: 'RCU' },
      {
        what: `${key}: each refusal after it`,
        value: result.refusal.writeUnits,
        unit: 'WCU',
        baseline: { what: 'RCU', value: result.refusal.readUnits },
      },
      {
        what: `${key}: on a blocked key`,
        value: result.blocked.writeUnits,
        unit: 'WCU',
        baseline: { what: 'RCU', value: result.blocked.readUnits },
      },
    );
  }
  rows.push(
    { what: 'an unknown key', value: await readUnknownKey(), unit: 'RCU' },
    { what: 'KMS: units an activation', value: await activateKmsHosts(), unit: 'WCU' },
  );
  return rows;
}
