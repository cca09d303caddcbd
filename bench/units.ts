import { activateKmsHost, listKeys, readKey } from '../store/keys.ts';
import { activateOnMak } from '../store/mak-activations.ts';
import type { Activation } from '../store/mak-bucket.ts';
import { blockBuckets } from '../store/mak-usage.ts';
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

/** Fills a key from empty to full, one activation at a time, and returns the consumed capacity. */
async function fillKey(limit: number) {
  const store = await newStore();
  const layout = await issueMakWithLimit(store, `FILL${limit}`, limit);
  const { usage, reset } = meterCapacity(store.client);
  const usages: { writeUnits: number; roundTrips: number }[] = [];
  const activations = Array.from({ length: limit }, () => randomActivation());
  for (const activation of activations) {
    reset();
    const digest = store.vault.digestOf(layout.keyId, activation.installationId);
    const outcome = await activateOnMak(store, layout, digest, activation);
    if (outcome.kind !== 'activated') throw new Error(`The key of ${limit} was ${outcome.kind} before it was full.`);
    usages.push({ ...usage });
  }
  const usagesUpTo80 = usages.slice(0, Math.floor(limit * 0.8));
  const roundTrips = usagesUpTo80.map((each) => each.roundTrips);
  const meanWriteUnits = (some: readonly { writeUnits: number }[]) =>
    some.reduce((sum, { writeUnits }) => sum + writeUnits, 0) / some.length;
  const measureActivation = async (activation: Activation) => {
    reset();
    await activateOnMak(store, layout, store.vault.digestOf(layout.keyId, activation.installationId), activation);
    return { ...usage };
  };
  const repeated = await measureActivation(activations[0] ?? randomActivation());
  const extraActivation = randomActivation();
  const firstRefusal = await measureActivation(extraActivation);
  const laterRefusal = await measureActivation(extraActivation);
  await blockBuckets(store, layout);
  const blocked = await measureActivation(extraActivation);
  return {
    writeUnitsUpTo80: meanWriteUnits(usagesUpTo80),
    writeUnitsToFull: meanWriteUnits(usages),
    roundTripsMedian: quantile(roundTrips, 0.5),
    roundTrips95: quantile(roundTrips, 0.95),
    repeated,
    firstRefusal,
    laterRefusal,
    blocked,
  };
}

/** Returns the write units per activation when the plain design fills a key. */
async function fillBaseline(limit: number): Promise<number> {
  const store = await newStore();
  await putCounter(store);
  const { usage } = meterCapacity(store.client);
  for (let count = 0; count < limit; count += 1) {
    const result = await activateOnBaseline(store, randomInstallationId(), limit);
    if (result !== 'committed') throw new Error(`A plain activation returned ${result}.`);
  }
  return usage.writeUnits / limit;
}

/** Returns the read units for a product key that was never issued. */
async function readUnknownKey(): Promise<number> {
  const store = await newStore();
  const { usage } = meterCapacity(store.client);
  if ((await readKey(store, store.vault.keyIdOf(drawKey()))) !== undefined)
    throw new Error('A key that was never issued exists.');
  return usage.readUnits;
}

/** Returns the write units per activation when six hosts activate ten times each on a KMS key. */
async function activateKmsHosts(): Promise<number> {
  const store = await newStore();
  await issueMakWithLimit(store, 'KMS', 50);
  const keys = await listKeys(store, 'KMS', { limit: 10, after: null });
  const key = keys.items.find(({ value }) => value.type === 'KMS');
  if (key === undefined) throw new Error('The agreement has no KMS key.');
  const { usage } = meterCapacity(store.client);
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
  return usage.writeUnits / 60;
}

/** Measures the write units and round trips of activations, and compares them with the plain design. */
export async function measure(): Promise<readonly Measurement[]> {
  const baseline = { label: 'plain', value: await fillBaseline(500) };
  const rows: Measurement[] = [];
  for (const limit of [500, 5_000]) {
    const result = await fillKey(limit);
    const key = `key of ${limit.toLocaleString('en-US')}`;
    rows.push(
      {
        label: `${key}: units per new activation, up to 80 %`,
        value: result.writeUnitsUpTo80,
        unit: 'WCU',
        baseline,
        target: { atMost: 1.2 },
        isDeterministic: true,
      },
      {
        label: `${key}: units per new activation, to full`,
        value: result.writeUnitsToFull,
        unit: 'WCU',
        baseline,
        target: { atMost: 1.7 },
        isDeterministic: true,
      },
      {
        label: `${key}: round trips per activation, up to 80 %, median`,
        value: result.roundTripsMedian,
        unit: 'trips',
        target: { atMost: 1 },
        isDeterministic: true,
      },
      {
        label: `${key}: round trips per activation, up to 80 %, 95th percentile`,
        value: result.roundTrips95,
        unit: 'trips',
        target: { atMost: 1 },
        isDeterministic: true,
      },
      { label: `${key}: a repeated activation`, value: result.repeated.writeUnits, unit: 'WCU' },
      { label: `${key}: the first refusal at the limit`, value: result.firstRefusal.readUnits, unit: 'RCU' },
      {
        label: `${key}: each later refusal`,
        value: result.laterRefusal.writeUnits,
        unit: 'WCU',
        baseline: { label: 'RCU', value: result.laterRefusal.readUnits },
      },
      {
        label: `${key}: a refusal on a blocked key`,
        value: result.blocked.writeUnits,
        unit: 'WCU',
        baseline: { label: 'RCU', value: result.blocked.readUnits },
      },
    );
  }
  rows.push(
    { label: 'a refusal for an unknown key', value: await readUnknownKey(), unit: 'RCU' },
    { label: 'KMS: units per activation', value: await activateKmsHosts(), unit: 'WCU' },
  );
  return rows;
}
