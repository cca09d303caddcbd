import { TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { fromEpochMilliseconds } from '../../domain/calendar/instant.ts';
import { products } from '../../domain/catalog.ts';
import type { InstallationId } from '../../domain/keys/installation-id.ts';
import { installationIdFrom } from '../../domain/keys/installation-id.ts';
import { countUsed, readKey } from '../../store/keys.ts';
import type { MakActivationResult } from '../../store/mak-activations.ts';
import { activateOnMak, recordExhausted } from '../../store/mak-activations.ts';
import type { Activation, BucketLayout } from '../../store/mak-bucket.ts';
import { attributeNameOf, encodeActivation, readReserve } from '../../store/mak-bucket.ts';
import { blockBuckets, countUsedOnMak, listMakActivations } from '../../store/mak-usage.ts';
import type { Store } from '../../store/store.ts';
import { installationId } from '../builders.ts';
import { mondayTen, tuesdayTen } from '../instants.ts';
import {
  readAllPages,
  scanAllItems,
  startTestDynamoDb,
  withInterceptor,
  withInterruption,
  withScheduler,
} from './dynamodb.ts';
import { bucketLayoutOf, issueMakWithLimit, raiseMakLimit } from './mak-fixture.ts';
import { expectMakTotals } from './mak-totals.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
});

/** Issues a MAK with this limit, and returns its bucket layout. */
async function issueMak(limit: number): Promise<BucketLayout> {
  const { store: generousStore, layout } = await issueMakWithLimit(store, limit);
  store = generousStore;
  return layout;
}

/** Raises the limit, and returns the new bucket layout. */
async function raise(keyId: string, newLimit: number, target = store): Promise<BucketLayout> {
  await raiseMakLimit(target, keyId, newLimit);
  return bucketLayoutOf(store, keyId);
}

function activation(machine: number | InstallationId, members: Partial<Activation> = {}): Activation {
  return {
    installationId: typeof machine === 'number' ? installationId(machine) : machine,
    product: 'windows-vista-business',
    machineName: `machine-${machine}`,
    activatedAt: mondayTen,
    ...members,
  };
}

function activate(layout: BucketLayout, machine: number | Activation, target = store): Promise<MakActivationResult> {
  const request = typeof machine === 'number' ? activation(machine) : machine;
  return activateOnMak(target, layout, store.vault.digestOf(layout.keyId, request.installationId), request);
}

/** Activates like the API: reads the bucket layout again if it is stale, and retries. */
async function activateWithRetry(
  layout: BucketLayout,
  machine: number | Activation,
  target = store,
): Promise<MakActivationResult> {
  const result = await activate(layout, machine, target);
  return result.kind === 'stale-layout'
    ? activateWithRetry(await bucketLayoutOf(store, layout.keyId), machine, target)
    : result;
}

const machineNumbers = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);

/** Returns the home bucket of a machine in a layout. */
function homeBucketOf(machine: number, { keyId, bucketCount }: BucketLayout): number {
  const digest = store.vault.digestOf(keyId, installationId(machine));
  return digest.readUInt32BE(digest.length - 4) % bucketCount;
}

const readAllBuckets = async () => (await scanAllItems(store)).filter(({ SK }) => SK === 'BUCKET');

/** Counts the results of each kind. */
function countByKind(results: readonly MakActivationResult[]): Partial<Record<MakActivationResult['kind'], number>> {
  const counts: Partial<Record<MakActivationResult['kind'], number>> = {};
  for (const { kind } of results) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

describe('a MAK', () => {
  it.each([1, 13, 14, 15, 50])('MAK-1 with a limit of %i activates exactly that many machines', async (limit) => {
    const layout = await issueMak(limit);
    const from = limit * 1_000;
    for (const machine of machineNumbers(limit, from))
      expect(await activate(layout, machine)).toMatchObject({ kind: 'activated' });
    for (const machine of machineNumbers(2, 0))
      expect(await activate(layout, machine)).toEqual({ kind: 'exhausted', used: limit });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: limit, available: 0, inReserve: 0 });
  });

  it('MAK-1 with a limit of 500 activates exactly that many machines', async () => {
    const layout = await issueMak(500);
    for (const machine of machineNumbers(500))
      expect(await activate(layout, machine)).toMatchObject({ kind: 'activated' });
    expect(await activate(layout, 500)).toEqual({ kind: 'exhausted', used: 500 });
    // The reserve records that the key is exhausted.
    expect(await activate(layout, 501)).toEqual({ kind: 'exhausted', used: 500 });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 500, available: 0 });
    // Every bucket is about 1 KB: one write unit, or two for the largest.
    const sizes = (await scanAllItems(store))
      .filter(({ SK }) => SK === 'BUCKET')
      .map((bucket) => Object.entries(bucket).reduce((sum, [name, value]) => sum + `${name}${value}`.length, 0));
    expect(Math.max(...sizes)).toBeLessThan(2_048);
    expect(sizes.toSorted((one, other) => one - other)[Math.floor(sizes.length / 2)]).toBeLessThan(1_024);
  });

  it('MAK-1 with a limit of 50 activates exactly 50 of 200 machines at once', async () => {
    const layout = await issueMak(50);
    const results = await Promise.all(machineNumbers(200).map((machine) => activate(layout, machine)));
    expect(countByKind(results)).toEqual({ activated: 50, exhausted: 150 });
    expect(results.filter(({ kind }) => kind === 'exhausted')).toEqual(
      machineNumbers(150).map(() => ({ kind: 'exhausted', used: 50 })),
    );
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 50, available: 0 });
    expect(await countUsedOnMak(store, layout)).toBe(50);
    const keyRecord = await readKey(store, layout.keyId);
    expect(keyRecord && (await countUsed(store, keyRecord))).toBe(50);
  });

  it('MAK-1 MAK-2 KEY-8 counts correctly in every order of database operations', async () => {
    const machines = fc.array(fc.nat(7), { minLength: 3, maxLength: 7 });
    const increases = fc.option(fc.integer({ min: 1, max: 4 }), { nil: 0 });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 1, max: 4 }),
        machines,
        increases,
        async (scheduler, limit, requested, increase) => {
          store = await dynamoDb.newStore();
          const layout = await issueMak(limit);
          const scheduledStore = withScheduler(store, scheduler);
          const raises = increase === 0 ? [] : [raise(layout.keyId, limit + increase, scheduledStore)];
          const activations = Promise.all(requested.map((machine) => activate(layout, machine, scheduledStore)));
          const [results] = await scheduler.waitFor(Promise.all([activations, ...raises]));
          const distinct = new Set(requested).size;
          const { used, granted } = await expectMakTotals(store, layout.keyId);
          expect(granted).toBe(limit + increase);
          expect(used).toBe(countByKind(results).activated ?? 0);
          expect(used).toBeGreaterThanOrEqual(Math.min(distinct, limit));
          expect(used).toBeLessThanOrEqual(Math.min(distinct, limit + increase));
          // Without conflicts, the remaining machines activate up to the limit.
          for (const machine of requested) await activate(layout, machine);
          expect((await expectMakTotals(store, layout.keyId)).used).toBe(Math.min(distinct, limit + increase));
        },
      ),
      { numRuns: 10 },
    );
  });
});

describe('a machine that is already activated', () => {
  it('MAK-2 gets its first activation record and uses no slot, even if the key is exhausted', async () => {
    const layout = await issueMak(14);
    const first = activation(1, { machineName: 'first', activatedAt: mondayTen });
    expect(await activate(layout, first)).toEqual({ kind: 'activated', activation: first });
    const repeated = activation(1, {
      machineName: 'second',
      activatedAt: tuesdayTen,
      product: 'windows-vista-enterprise',
    });
    expect(await activate(layout, repeated)).toEqual({ kind: 'already-activated', activation: first });
    for (const machine of machineNumbers(14, 100)) await activate(layout, machine);
    expect(await activate(layout, 999)).toMatchObject({ kind: 'exhausted' });
    expect(await activate(layout, repeated)).toEqual({ kind: 'already-activated', activation: first });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 14 });
  });

  it('MAK-2 counts once if it activates twenty times at once, and gets the same activation record', async () => {
    const layout = await issueMak(50);
    const results = await Promise.all(
      machineNumbers(20).map((second) => activate(layout, activation(7, { machineName: `at ${second}` }))),
    );
    expect(countByKind(results)).toEqual({ activated: 1, 'already-activated': 19 });
    const [activated] = results.filter(({ kind }) => kind === 'activated');
    for (const result of results) expect(result).toEqual({ ...activated, kind: result.kind });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 1 });
  });

  /**
   * Creates two buckets of ten slots, a full one and one with some slots. Returns other machines whose home is the full
   * one.
   */
  async function fillFirstBucket(
    slotsLeft: number,
  ): Promise<{ layout: BucketLayout; waitingMachines: readonly number[] }> {
    const layout = await issueMak(20);
    const machinesOf = (bucket: number) =>
      machineNumbers(200, 100).filter((machine) => homeBucketOf(machine, layout) === bucket);
    for (const machine of [...machinesOf(0).slice(0, 10), ...machinesOf(1).slice(0, 10 - slotsLeft)])
      await activate(layout, machine);
    return { layout, waitingMachines: machinesOf(0).slice(10) };
  }

  it.each([1, 5])(
    'MAK-2 counts once if it activates ten times at once, its bucket is full, and %i slots are left',
    async (slotsLeft) => {
      const { layout, waitingMachines } = await fillFirstBucket(slotsLeft);
      const results = await Promise.all(machineNumbers(10).map(() => activate(layout, waitingMachines[0] ?? 0)));
      expect(countByKind(results)).toEqual({ activated: 1, 'already-activated': 9 });
      expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 21 - slotsLeft });
    },
  );

  it.each([
    ['and nothing else happens', 0],
    ['and another machine is refused', 1],
  ])('MAK-2 is already activated if a duplicate takes the last slot meanwhile, %s', async (_, refusedCount) => {
    const { layout, waitingMachines } = await fillFirstBucket(1);
    const [machine = 0, ...otherMachines] = waitingMachines;
    let isActivated = false;
    const interruptedStore = withInterceptor(store, async (command, send) => {
      const [result] = await Promise.allSettled([send()]);
      if (command instanceof UpdateCommand && !isActivated) {
        isActivated = true;
        expect(await activate(layout, machine)).toMatchObject({ kind: 'activated' });
        for (const other of otherMachines.slice(0, refusedCount))
          expect(await activate(layout, other)).toMatchObject({ kind: 'exhausted' });
      }
      if (result?.status === 'rejected') throw result.reason;
      return result?.value;
    });
    expect(await activate(layout, machine, interruptedStore)).toMatchObject({ kind: 'already-activated' });
  });
});

describe('a MAK whose limit is raised', () => {
  it('MAK-4 KEY-8 activates again after it was exhausted, up to the new limit', async () => {
    const layout = await issueMak(14);
    await Promise.all(machineNumbers(20).map((machine) => activate(layout, machine)));
    expect(await activate(layout, 99)).toMatchObject({ kind: 'exhausted' });
    expect(await raise(layout.keyId, 17)).toEqual(layout);
    const results = await Promise.all(machineNumbers(6, 100).map((machine) => activate(layout, machine)));
    expect(countByKind(results)).toEqual({ activated: 3, exhausted: 3 });
    expect(results).toContainEqual({ kind: 'exhausted', used: 17 });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({
      granted: 17,
      used: 17,
      available: 0,
      inReserve: 0,
    });
  });

  it('MAK-1 returns a stale layout for an older layout, before and after the buckets are split', async () => {
    const old = await issueMak(14);
    expect(old.bucketCount).toBe(1);
    for (const machine of machineNumbers(14)) await activate(old, machine);
    const layout = await raise(old.keyId, 60);
    expect(layout.bucketCount).toBe(4);
    expect(await activate(old, 100)).toEqual({ kind: 'stale-layout' });
    // A machine is found through any layout whose home bucket contains it.
    expect(await activate(old, 3)).toMatchObject({ kind: 'already-activated' });
    for (const machine of machineNumbers(14))
      expect(await activate(layout, machine)).toMatchObject({ kind: 'already-activated' });
    expect(await activate(layout, 100)).toMatchObject({ kind: 'activated' });
    expect(await activate(old, 101)).toEqual({ kind: 'stale-layout' });
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 60, used: 15 });
  });

  it('MAK-2 does not activate in a bucket that was split if the layout is older', async () => {
    const old = await issueMak(14);
    for (const machine of machineNumbers(3)) await activate(old, machine);
    const layout = await raise(old.keyId, 60);
    await activate(layout, 3);
    const [first] = (await readAllBuckets()).filter(({ PK }) => PK === `KEY#${old.keyId}#0`);
    expect(Number(first?.available)).toBeGreaterThan(0);
    expect(await activate(old, 4)).toEqual({ kind: 'stale-layout' });
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 60, used: 4 });
  });

  it('MAK-1 MAK-2 KEY-8 splits its buckets from 50 to 5,000 during activations, without losing any', async () => {
    const old = await issueMak(50);
    expect(old.bucketCount).toBe(4);
    await Promise.all(machineNumbers(55).map((machine) => activate(old, machine)));
    const before = await readAllPages((page) => listMakActivations(store, old, page));
    expect(before).toHaveLength(50);
    // Some requests have the old layout, and some are duplicates. All run at once.
    const limitIncrease = raise(old.keyId, 5_000);
    const during = Promise.all(machineNumbers(30, 30).map((machine) => activateWithRetry(old, machine)));
    const layout = await limitIncrease;
    expect(layout.bucketCount).toBe(256);
    const after = await Promise.all(machineNumbers(40, 50).map((machine) => activateWithRetry(layout, machine)));
    await during;
    expect(countByKind(after).exhausted).toBeUndefined();
    const knownIds = new Set(before.map(({ installationId: id }) => id));
    const listed = await readAllPages((page) => listMakActivations(store, layout, page));
    for (const activated of before) expect(listed).toContainEqual(activated);
    const { used } = await expectMakTotals(store, old.keyId);
    expect(listed).toHaveLength(used);
    expect(new Set(listed.map(({ installationId: id }) => id)).size).toBe(used);
    const repeated = await Promise.all(before.map((machine) => activateWithRetry(old, machine)));
    expect(
      repeated.every((result) => result.kind === 'already-activated' && knownIds.has(result.activation.installationId)),
    ).toBe(true);
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 5_000, used });
  });

  it('MAK-1 KEY-8 can be filled to its new limit from buckets that were never split', async () => {
    const old = await issueMak(28);
    for (const machine of machineNumbers(28)) await activate(old, machine);
    const layout = await raise(old.keyId, 60);
    expect(layout).toEqual({ ...old, bucketCount: 4 });
    for (const machine of machineNumbers(32, 100))
      expect(await activate(layout, machine)).toMatchObject({ kind: 'activated' });
    for (const machine of machineNumbers(3, 200))
      expect(await activate(layout, machine)).toEqual({ kind: 'exhausted', used: 60 });
    for (const machine of [...machineNumbers(28), ...machineNumbers(32, 100)]) {
      expect(await activate(layout, machine)).toMatchObject({ kind: 'already-activated' });
    }
  });

  it('MAK-1 is not exhausted before all of its buckets are split, because a split would be counted twice', async () => {
    const old = await issueMak(28);
    for (const machine of machineNumbers(28)) await activate(old, machine);
    const layout = await raise(old.keyId, 60);
    const evenMachines = machineNumbers(200, 100).filter((machine) => homeBucketOf(machine, layout) % 2 === 0);
    for (const machine of evenMachines.slice(0, 32))
      expect(await activate(layout, machine)).toMatchObject({ kind: 'activated' });
    expect((await readAllBuckets()).map((bucket) => bucket.bucketCount).toSorted()).toEqual([2, 4, 4]);
    expect(await activate(layout, evenMachines[32] ?? 0)).toEqual({ kind: 'exhausted', used: 60 });
    expect((await readAllBuckets()).map((bucket) => bucket.bucketCount)).toEqual([4, 4, 4, 4]);
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 60, used: 60, available: 0 });
  });

  it.each(['an activation', 'a transfer of slots', 'an activation with a transferred slot'])(
    'MAK-1 KEY-8 does not lose %s during a split',
    async (change) => {
      const old = await issueMak(14);
      for (const machine of machineNumbers(3)) await activate(old, machine);
      const layout = await raise(old.keyId, 40);
      let isChanged = false;
      const interruptedStore = withInterruption(store, TransactWriteCommand, async () => {
        isChanged = true;
        if (change === 'an activation') expect(await activate(old, 50)).toMatchObject({ kind: 'activated' });
        if (change === 'a transfer of slots') await add(old.keyId, { available: -2 }, { available: 2 });
        if (change === 'an activation with a transferred slot') {
          const activationRecord = { [attributeNameOf(installationId(50))]: encodeActivation(activation(50)) };
          await add(old.keyId, { used: 1 }, { available: -1 }, activationRecord);
        }
      });
      const machine = machineNumbers(50, 100).find((each) => homeBucketOf(each, layout) === 1) ?? 0;
      expect(await activate(layout, machine, interruptedStore)).toMatchObject({ kind: 'activated' });
      expect(isChanged).toBe(true);
      expect(await expectMakTotals(store, old.keyId)).toMatchObject({ used: change === 'a transfer of slots' ? 4 : 5 });
      expect((await readAllBuckets()).map((bucket) => bucket.bucketCount)).toEqual([2, 2]);
    },
  );

  /** Changes the first bucket and the reserve, like a transaction of the store. */
  async function add(
    keyId: string,
    toBucket: Readonly<Record<string, number>>,
    toReserve: Readonly<Record<string, number>>,
    activationRecord: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    for (const [Key, change] of [
      [
        { PK: `KEY#${keyId}#0`, SK: 'BUCKET' },
        { ...toBucket, ...activationRecord },
      ],
      [{ PK: `KEY#${keyId}`, SK: 'RESERVE' }, toReserve],
    ] as const) {
      await store.client.send(
        new UpdateCommand({
          TableName: store.tableName,
          Key,
          AttributeUpdates: Object.fromEntries(
            Object.entries(change).map(([name, Value]) => [
              name,
              { Action: typeof Value === 'number' ? 'ADD' : 'PUT', Value },
            ]),
          ),
        }),
      );
    }
  }

  it('MAK-1 MAK-2 KEY-8 splits correctly in every order of database operations', async () => {
    // A request has the old layout or the new one.
    const requests = fc.array(fc.record({ machine: fc.nat(9), hasOldLayout: fc.boolean() }), {
      minLength: 2,
      maxLength: 6,
    });
    const firstCounts = fc.integer({ min: 0, max: 14 });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        firstCounts,
        fc.boolean(),
        requests,
        async (scheduler, first, isRaisedFirst, requested) => {
          store = await dynamoDb.newStore();
          const old = await issueMak(14);
          for (const machine of machineNumbers(first, 5)) await activate(old, machine);
          const scheduledStore = withScheduler(store, scheduler);
          // From one bucket to four.
          const firstRaise = isRaisedFirst ? raise(old.keyId, 60) : undefined;
          await firstRaise;
          const activations = Promise.all(
            requested.map(({ machine, hasOldLayout }) =>
              activateWithRetry(
                hasOldLayout || !isRaisedFirst ? old : { ...old, bucketCount: 4 },
                machine,
                scheduledStore,
              ),
            ),
          );
          const [results, layout] = await scheduler.waitFor(
            Promise.all([activations, firstRaise ?? raise(old.keyId, 60, scheduledStore)]),
          );
          expect((await expectMakTotals(store, old.keyId)).used).toBe(first + (countByKind(results).activated ?? 0));
          const all = new Set([...requested.map(({ machine }) => machine), ...machineNumbers(first, 5)]);
          for (const machine of [...all, ...machineNumbers(3, 100)]) await activate(layout, machine);
          expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 60, used: all.size + 3 });
          expect((await readAllBuckets()).length).toBeGreaterThan(1);
        },
      ),
      { numRuns: 10 },
    );
  });
});

describe('a MAK that is blocked', () => {
  it('BLK-1 refuses new machines and machines that are already activated', async () => {
    const layout = await issueMak(28);
    for (const machine of machineNumbers(3)) await activate(layout, machine);
    await blockBuckets(store, layout);
    const before = await scanAllItems(store);
    for (const machine of machineNumbers(6)) expect(await activate(layout, machine)).toEqual({ kind: 'blocked' });
    expect(await scanAllItems(store)).toEqual(before);
  });

  it('BLK-1 refuses machines in buckets that are not split yet', async () => {
    const old = await issueMak(14);
    for (const machine of machineNumbers(3)) await activate(old, machine);
    await blockBuckets(store, old);
    const layout = await raise(old.keyId, 60);
    for (const machine of machineNumbers(12, 100)) expect(await activate(layout, machine)).toEqual({ kind: 'blocked' });
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ used: 3 });
  });
});

describe('a MAK that is found exhausted', () => {
  it('MAK-1 is not recorded as exhausted if its limit was raised meanwhile, even if the reserve is empty again', async () => {
    const layout = await issueMak(14);
    for (const machine of machineNumbers(14)) await activate(layout, machine);
    await raise(layout.keyId, 20);
    await activate(layout, 50);
    expect(await readReserve(store, layout.keyId)).toMatchObject({ available: 0, limit: 20 });
    await recordExhausted(store, layout.keyId, 14);
    expect((await readReserve(store, layout.keyId)).exhausted).toBeUndefined();
    await recordExhausted(store, layout.keyId, 20);
    expect((await readReserve(store, layout.keyId)).exhausted).toBe(true);
  });
});

describe('a machine whose home bucket is full', () => {
  /** Creates a full bucket, and available slots in the reserve. */
  async function fillBucket(): Promise<BucketLayout> {
    const layout = await issueMak(14);
    for (const machine of machineNumbers(14)) await activate(layout, machine);
    expect(await raise(layout.keyId, 20)).toEqual(layout);
    return layout;
  }

  const withBlocking = (layout: BucketLayout) =>
    withInterruption(store, TransactWriteCommand, () => blockBuckets(store, layout));

  it('BLK-1 is not activated if the key is blocked meanwhile', async () => {
    const layout = await fillBucket();
    expect(await activate(layout, 50, withBlocking(layout))).toEqual({ kind: 'blocked' });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 14 });
  });

  it('BLK-1 is not activated if the key is blocked before its bucket is split', async () => {
    const old = await fillBucket();
    const layout = await raise(old.keyId, 60);
    expect(await activate(layout, 50, withBlocking(old))).toEqual({ kind: 'blocked' });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 14 });
  });

  it('MAK-2 gets a stale layout if its bucket is split meanwhile', async () => {
    const old = await fillBucket();
    const splitBuckets = async () => activate(await raise(old.keyId, 300), 60);
    expect(await activate(old, 50, withInterruption(store, TransactWriteCommand, splitBuckets))).toEqual({
      kind: 'stale-layout',
    });
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ used: 15 });
  });
});

describe('the activations of a MAK', () => {
  const machineName = fc.oneof(
    fc.constantFrom(null, '.', 'a.b.c', '..', 'röchelnd', '机器', '😀', ' ', '+x', '0.0.'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 15 }),
  );
  // Numbers of 45 digits, including those with leading zeros.
  const digits = fc.oneof(
    fc.bigInt({ min: 0n, max: 10n ** 45n - 1n }),
    fc.nat().map(BigInt),
    fc.constantFrom(0n, 1n, 10n ** 45n - 1n),
  );
  const machine = fc.record({
    installationId: digits.map((number) => installationIdFrom(number.toString().padStart(45, '0'))),
    product: fc.constantFrom(...products),
    machineName,
    activatedAt: fc
      .integer({ min: 0, max: 4_102_444_800_000 })
      .map((milliseconds) => fromEpochMilliseconds(milliseconds)),
  });
  const activations = fc.uniqueArray(machine, { selector: (each) => each.installationId, minLength: 1, maxLength: 20 });
  const byId = (list: readonly Activation[]) =>
    list.toSorted((one, other) => one.installationId.localeCompare(other.installationId));

  it('KEY-7 MAK-2 are listed in pages of any size, each once and with all members', async () => {
    await fc.assert(
      fc.asyncProperty(activations, fc.integer({ min: 1, max: 21 }), async (machines, limit) => {
        store = await dynamoDb.newStore();
        const layout = await issueMak(50);
        await Promise.all(machines.map((each) => activate(layout, each)));
        const listed = await readAllPages((page) => listMakActivations(store, layout, page), limit);
        expect(byId(listed)).toEqual(byId(machines));
        for (const each of machines)
          expect(await activate(layout, each)).toEqual({ kind: 'already-activated', activation: each });
      }),
      { numRuns: 6 },
    );
  });

  it('KEY-7 are listed without a machine name if it is empty', async () => {
    const layout = await issueMak(14);
    await activate(layout, activation(1, { machineName: '' }));
    expect((await listMakActivations(store, layout, { limit: 5, after: null })).items).toEqual([
      activation(1, { machineName: null }),
    ]);
  });

  it('KEY-7 are listed across many buckets and reads', async () => {
    const layout = await issueMak(500);
    await Promise.all(machineNumbers(120).map((each) => activate(layout, each)));
    const listed = await readAllPages((page) => listMakActivations(store, layout, page), 50);
    expect(byId(listed)).toEqual(byId(machineNumbers(120).map((each) => activation(each))));
  });

  it.each(['', ' ', '+', '-5 +', '-1e9 ', '1e9 ', '9999999999 ', '0', 'NaN +x', '1 2 3'])(
    'are part of the list, or empty, after a position that no page returned: %j',
    async (after) => {
      const layout = await issueMak(28);
      const machines = machineNumbers(10).map((each) => activation(each));
      await Promise.all(machines.map((each) => activate(layout, each)));
      const { items } = await listMakActivations(store, layout, { limit: 5, after });
      expect(machines).toEqual(expect.arrayContaining([...items]));
    },
  );
});
