import { activateKmsHost, keysOf, readKey } from '../store/keys.ts';
import { activateOnMak, blockBuckets } from '../store/mak-activations.ts';
import { activatePlainly, putCounter } from './baseline-counter.ts';
import { meter } from './capacity-meter.ts';
import { anActivation, anInstallation, draw, makOf, newStore, quantile, someNow } from './fixture.ts';
import type { Row } from './report.ts';

/** Fills a key from empty to full, one by one, and tells what each new activation used. */
async function fill(limit: number) {
  const store = await newStore();
  const layout = await makOf(store, `FILL${limit}`, limit);
  const { used, reset } = meter(store.client);
  const each: { writeUnits: number; roundTrips: number }[] = [];
  const activations = Array.from({ length: limit }, () => anActivation());
  for (const activation of activations) {
    reset();
    const digest = store.vault.digestOf(layout.keyId, activation.installationId);
    const outcome = await activateOnMak(store, layout, digest, activation);
    if (outcome.is !== 'activated') throw new Error(`The key of ${limit} was ${outcome.is} before it was full.`);
    each.push({ ...used });
  }
  const upTo80 = each.slice(0, Math.floor(limit * 0.8));
  const mean = (some: readonly { writeUnits: number }[]) =>
    some.reduce((sum, { writeUnits }) => sum + writeUnits, 0) / some.length;
  const one = async (act: () => Promise<unknown>) => {
    reset();
    await act();
    return { ...used };
  };
  const again = activations[0] ?? anActivation();
  const digestOf = (activation: typeof again) => store.vault.digestOf(layout.keyId, activation.installationId);
  const repeat = await one(() => activateOnMak(store, layout, digestOf(again), again));
  const late = anActivation();
  const first = await one(() => activateOnMak(store, layout, digestOf(late), late));
  const refusal = await one(() => activateOnMak(store, layout, digestOf(late), late));
  await blockBuckets(store, layout);
  const blocked = await one(() => activateOnMak(store, layout, digestOf(late), late));
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
async function plainFill(limit: number): Promise<number> {
  const store = await newStore();
  await putCounter(store);
  const { used } = meter(store.client);
  for (let count = 0; count < limit; count += 1) {
    const committed = await activatePlainly(store, anInstallation(), limit);
    if (committed !== 'done') throw new Error(`A plain activation came out as ${committed}.`);
  }
  return used.writeUnits / limit;
}

/** What is read for a product key that nobody has. */
async function unknownKey(): Promise<number> {
  const store = await newStore();
  const { used } = meter(store.client);
  if ((await readKey(store, store.vault.keyIdOf(draw()))) !== undefined) throw new Error('An unknown key is known.');
  return used.readUnits;
}

async function kms(): Promise<number> {
  const store = await newStore();
  await makOf(store, 'KMS', 50);
  const keys = await keysOf(store, 'KMS', { limit: 10, after: null });
  const key = keys.items.find(({ state }) => state.type === 'KMS');
  if (key === undefined) throw new Error('The agreement has no KMS key.');
  const { used } = meter(store.client);
  for (let host = 0; host < 6; host += 1) {
    const { installationId } = anActivation();
    const ask = { installationId, product: 'windows-vista-enterprise', machineName: null } as const;
    for (let use = 0; use < 10; use += 1)
      await activateKmsHost(store, key.state.keyId, ask, {
        actor: 'bench',
        operationId: `${host} ${use}`,
        now: someNow,
        policy: store.policy,
      });
  }
  return used.writeUnits / 60;
}

/** Write units and round trips of activations, beside the plain design in the same run. */
export async function measure(): Promise<readonly Row[]> {
  const plain = await plainFill(500);
  const beside = { what: 'plain', measured: plain };
  const rows: Row[] = [];
  for (const limit of [500, 5_000]) {
    const filled = await fill(limit);
    const key = `key of ${limit.toLocaleString('en-US')}`;
    rows.push(
      {
        what: `${key}: units a new activation, up to 80 %`,
        measured: filled.upTo80,
        unit: 'WCU',
        beside,
        reach: { atMost: 1.2 },
        counted: true,
      },
      {
        what: `${key}: units a new activation, to full`,
        measured: filled.toFull,
        unit: 'WCU',
        beside,
        reach: { atMost: 1.7 },
        counted: true,
      },
      {
        what: `${key}: round trips up to 80 %, median`,
        measured: filled.median,
        unit: 'trips',
        reach: { atMost: 1 },
        counted: true,
      },
      {
        what: `${key}: round trips up to 80 %, 95th percentile`,
        measured: filled.p95,
        unit: 'trips',
        reach: { atMost: 1 },
        counted: true,
      },
      { what: `${key}: a repeat`, measured: filled.repeat.writeUnits, unit: 'WCU' },
      { what: `${key}: the first refusal at the limit`, measured: filled.first.readUnits, unit: 'RCU' },
      {
        what: `${key}: each refusal after it`,
        measured: filled.refusal.writeUnits,
        unit: 'WCU',
        beside: { what: 'RCU', measured: filled.refusal.readUnits },
      },
      {
        what: `${key}: on a blocked key`,
        measured: filled.blocked.writeUnits,
        unit: 'WCU',
        beside: { what: 'RCU', measured: filled.blocked.readUnits },
      },
    );
  }
  rows.push(
    { what: 'an unknown key', measured: await unknownKey(), unit: 'RCU' },
    { what: 'KMS: units an activation', measured: await kms(), unit: 'WCU' },
  );
  return rows;
}
