import { TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { MakActivationResult } from '../../store/mak-activations.ts';
import { activateOnMak } from '../../store/mak-activations.ts';
import { activateBatchOnMak } from '../../store/mak-batch-activations.ts';
import type { Activation, BucketLayout } from '../../store/mak-bucket.ts';
import { homeBucketOf } from '../../store/mak-bucket.ts';
import { blockBuckets, listMakActivations } from '../../store/mak-usage.ts';
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

function activation(machine: number, members: Partial<Activation> = {}): Activation {
  return {
    installationId: installationId(machine),
    product: 'windows-vista-business',
    machineName: `machine-${machine}`,
    activatedAt: mondayTen,
    ...members,
  };
}

const machineNumbers = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);
const batchItemOf = ({ keyId }: BucketLayout, request: Activation) => ({
  digest: store.vault.digestOf(keyId, request.installationId),
  activation: request,
});

function activateBatch(layout: BucketLayout, machines: readonly (number | Activation)[], target = store) {
  const items = machines.map((machine) =>
    batchItemOf(layout, typeof machine === 'number' ? activation(machine) : machine),
  );
  return activateBatchOnMak(target, layout, items);
}

/** Returns the results of a batch. Throws if the layout is stale. */
async function resultsOf(
  layout: BucketLayout,
  machines: readonly number[],
  target = store,
): Promise<readonly MakActivationResult[]> {
  const results = await activateBatch(layout, machines, target);
  if (results === 'stale-layout') throw new Error('the layout is stale');
  return results;
}

const kindsOf = (results: readonly MakActivationResult[]) => results.map(({ kind }) => kind);
const countOf = (kind: MakActivationResult['kind'], results: readonly MakActivationResult[]) =>
  results.filter((each) => each.kind === kind).length;

describe('a batch', () => {
  it('MAK-6 activates 90 machines and returns one result for each, in order', async () => {
    const layout = await issueMak(200);
    const results = await resultsOf(layout, machineNumbers(90));
    expect(results).toEqual(
      machineNumbers(90).map((machine) => ({ kind: 'activated', activation: activation(machine) })),
    );
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 90 });
    const listed = await readAllPages((page) => listMakActivations(store, layout, page));
    expect(new Set(listed.map((each) => each.installationId))).toEqual(new Set(machineNumbers(90).map(installationId)));
  });

  it('MAK-6 MAK-2 uses no slots for machines that are already activated', async () => {
    const layout = await issueMak(50);
    await resultsOf(layout, machineNumbers(30));
    const repeated = await activateBatch(
      layout,
      machineNumbers(40).map((machine) => activation(machine, { activatedAt: tuesdayTen })),
    );
    expect(repeated).toEqual([
      ...machineNumbers(30).map((machine) => ({ kind: 'already-activated', activation: activation(machine) })),
      ...machineNumbers(10, 30).map((machine) => ({
        kind: 'activated',
        activation: activation(machine, { activatedAt: tuesdayTen }),
      })),
    ]);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 40 });
  });

  it('MAK-6 MAK-2 counts a machine once if the batch contains it several times', async () => {
    const layout = await issueMak(50);
    expect(kindsOf(await resultsOf(layout, [1, 2, 1, 1, 2]))).toEqual([
      'activated',
      'activated',
      'already-activated',
      'already-activated',
      'already-activated',
    ]);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 2 });
  });

  it.each([1, 14, 50, 89])(
    'MAK-6 with a limit of %i activates the first machines and refuses the others',
    async (limit) => {
      const layout = await issueMak(limit);
      const results = await resultsOf(layout, machineNumbers(90));
      expect(kindsOf(results)).toEqual([
        ...machineNumbers(limit).map(() => 'activated'),
        ...machineNumbers(90 - limit).map(() => 'exhausted'),
      ]);
      expect(results.at(-1)).toEqual({ kind: 'exhausted', used: limit });
      expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: limit, available: 0 });
    },
  );

  it('MAK-1 MAK-6 uses every available slot, in any bucket', async () => {
    const layout = await issueMak(100);
    for (const from of [0, 30, 60])
      expect(countOf('activated', await resultsOf(layout, machineNumbers(30, from)))).toBe(30);
    expect(kindsOf(await resultsOf(layout, machineNumbers(12, 90)))).toEqual([
      ...machineNumbers(10).map(() => 'activated'),
      'exhausted',
      'exhausted',
    ]);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 100, available: 0 });
  });

  it('MAK-6 returns no results for an empty batch', async () => {
    expect(await resultsOf(await issueMak(14), [])).toEqual([]);
  });
});

describe('simultaneous batches', () => {
  it('MAK-1 MAK-6 do not activate more than the limit together', async () => {
    const layout = await issueMak(50);
    const results = (
      await Promise.all([
        resultsOf(layout, machineNumbers(40)),
        resultsOf(layout, machineNumbers(40, 20)),
        ...machineNumbers(10, 100).map(async (machine) => {
          const request = activation(machine);
          return [await activateOnMak(store, layout, batchItemOf(layout, request).digest, request)];
        }),
      ])
    ).flat();
    expect(countOf('activated', results)).toBe(50);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 50, available: 0 });
  });

  it('MAK-1 MAK-2 MAK-6 KEY-8 count correctly in every order of database operations', async () => {
    const machineLists = fc.array(fc.nat(9), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 1, max: 8 }),
        fc.array(machineLists, { minLength: 2, maxLength: 3 }),
        async (scheduler, limit, batches) => {
          store = await dynamoDb.newStore();
          const layout = await issueMak(limit);
          const scheduledStore = withScheduler(store, scheduler);
          const results = await scheduler.waitFor(
            Promise.all(batches.map((machines) => resultsOf(layout, machines, scheduledStore))),
          );
          const { used } = await expectMakTotals(store, layout.keyId);
          expect(used).toBe(Math.min(limit, new Set(batches.flat()).size));
          expect(countOf('activated', results.flat())).toBe(used);
          // No activated machine is refused.
          const activatedIds = new Set(
            (await readAllPages((page) => listMakActivations(store, layout, page))).map((each) => each.installationId),
          );
          for (const [index, machines] of batches.entries()) {
            const refusedMachines = machines.filter((_, position) => results[index]?.[position]?.kind === 'exhausted');
            for (const machine of refusedMachines) expect(activatedIds.has(installationId(machine))).toBe(false);
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  it('MAK-2 MAK-6 return an activation that took the last slot meanwhile', async () => {
    const layout = await issueMak(14);
    await resultsOf(layout, machineNumbers(13));
    let isActivated = false;
    const interruptedStore = withInterceptor(store, async (command, send) => {
      const result = await send();
      if (!isActivated && !(command instanceof UpdateCommand)) {
        isActivated = true;
        const request = activation(50);
        await activateOnMak(store, layout, batchItemOf(layout, request).digest, request);
      }
      return result;
    });
    expect(kindsOf(await resultsOf(layout, [51, 50], interruptedStore))).toEqual(['exhausted', 'already-activated']);
  });
});

describe('a batch whose bucket changes meanwhile', () => {
  type Meanwhile = (layout: BucketLayout) => Promise<unknown>;
  const activateOne =
    (machine: number): Meanwhile =>
    async (layout) => {
      const request = activation(machine);
      return activateOnMak(store, layout, batchItemOf(layout, request).digest, request);
    };
  /** Returns machines with this home bucket. */
  const machinesOf = (layout: BucketLayout, bucket: number) =>
    machineNumbers(500, 100).filter(
      (each) => homeBucketOf(batchItemOf(layout, activation(each)).digest, layout.bucketCount) === bucket,
    );
  const block: Meanwhile = (layout) => blockBuckets(store, layout);
  /** Raises the limit so far that the bucket is split, and activates machines with borrowed slots in it. */
  const split: Meanwhile = async ({ keyId }) => {
    await raiseMakLimit(store, keyId, 300);
    const layout = await bucketLayoutOf(store, keyId);
    for (const machine of machinesOf(layout, 0).slice(0, 3)) await activateOne(machine)(layout);
    const bucket = (await scanAllItems(store)).find(({ PK, SK }) => PK === `KEY#${keyId}#0` && SK === 'BUCKET');
    expect(Number(bucket?.available)).toBeGreaterThan(3);
  };
  /** Raises the limit a little, and activates machines with slots of the reserve, including the first of the batch. */
  const refill: Meanwhile = async (layout) => {
    await raiseMakLimit(store, layout.keyId, 20);
    for (const machine of [50, 60, 61]) await activateOne(machine)(layout);
  };

  it.each<
    [
      rule: string,
      change: string,
      meanwhile: Meanwhile,
      kinds: MakActivationResult['kind'][] | 'stale-layout',
      used: number,
    ]
  >([
    [
      'MAK-2',
      'one of its machines activates separately',
      activateOne(50),
      ['already-activated', 'activated', 'activated'],
      3,
    ],
    ['BLK-1', 'the key is blocked', block, ['blocked', 'blocked', 'blocked'], 0],
    ['KEY-8', 'the bucket is split', split, 'stale-layout', 3],
    [
      'MAK-1',
      'other machines take its slots',
      (layout) => resultsOf(layout, machineNumbers(12)),
      ['activated', 'activated', 'exhausted'],
      14,
    ],
  ])('%s MAK-6 retries if %s', async (_, __, meanwhile, kinds, used) => {
    const layout = await issueMak(14);
    const results = await activateBatch(
      layout,
      [50, 51, 52],
      withInterruption(store, UpdateCommand, () => meanwhile(layout)),
    );
    expect(results === 'stale-layout' ? results : kindsOf(results)).toEqual(kinds);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used });
  });

  it.each<
    [
      rule: string,
      change: string,
      meanwhile: Meanwhile,
      kinds: MakActivationResult['kind'][] | 'stale-layout',
      used: number,
    ]
  >([
    ['MAK-2', 'one of its machines activates separately', refill, ['already-activated', 'activated', 'activated'], 17],
    ['BLK-1', 'the key is blocked', block, ['blocked', 'blocked', 'blocked'], 12],
    ['KEY-8', 'the bucket is split', split, 'stale-layout', 15],
    ['MAK-1', 'another machine takes a slot', activateOne(90), ['activated', 'exhausted', 'exhausted'], 14],
  ])('%s MAK-6 retries if %s and slots are scarce', async (_, __, meanwhile, kinds, used) => {
    const layout = await issueMak(14);
    await resultsOf(layout, machineNumbers(12));
    const results = await activateBatch(
      layout,
      [50, 51, 52],
      withInterruption(store, TransactWriteCommand, () => meanwhile(layout)),
    );
    expect(results === 'stale-layout' ? results : kindsOf(results)).toEqual(kinds);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used });
  });

  it('MAK-1 MAK-6 does not take slots that another bucket no longer has', async () => {
    const layout = await issueMak(28);
    const [machines, otherMachines] = [machinesOf(layout, 0), machinesOf(layout, 1)];
    await resultsOf(layout, machines.slice(0, 14));
    const interruptedStore = withInterruption(store, TransactWriteCommand, () =>
      resultsOf(layout, otherMachines.slice(0, 14)),
    );
    expect(kindsOf(await resultsOf(layout, machines.slice(14, 15), interruptedStore))).toEqual(['exhausted']);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 28, available: 0 });
  });
});

describe('a batch on a MAK whose limit is raised', () => {
  it('MAK-6 KEY-8 returns a stale layout for the old layout, and splits buckets for the new one', async () => {
    const old = await issueMak(14);
    await resultsOf(old, machineNumbers(14));
    await raiseMakLimit(store, old.keyId, 300);
    expect(await activateBatch(old, machineNumbers(20, 100))).toBe('stale-layout');
    const layout = await bucketLayoutOf(store, old.keyId);
    expect(layout.bucketCount).toBe(16);
    const results = await resultsOf(layout, [...machineNumbers(14), ...machineNumbers(76, 100)]);
    expect(kindsOf(results)).toEqual([
      ...machineNumbers(14).map(() => 'already-activated'),
      ...machineNumbers(76).map(() => 'activated'),
    ]);
    expect(await activateBatch(old, machineNumbers(20, 300))).toBe('stale-layout');
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 300, used: 90 });
  });

  it('MAK-1 MAK-6 can be filled to the new limit', async () => {
    const old = await issueMak(14);
    await raiseMakLimit(store, old.keyId, 60);
    const layout = await bucketLayoutOf(store, old.keyId);
    expect(kindsOf(await resultsOf(layout, machineNumbers(70)))).toEqual([
      ...machineNumbers(60).map(() => 'activated'),
      ...machineNumbers(10).map(() => 'exhausted'),
    ]);
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ used: 60, available: 0 });
  });
});

describe('a batch on a MAK that is blocked', () => {
  it('BLK-1 MAK-6 activates no machine, not even in buckets that are not split yet', async () => {
    const old = await issueMak(14);
    await resultsOf(old, machineNumbers(3));
    await blockBuckets(store, old);
    const before = await scanAllItems(store);
    expect(kindsOf(await resultsOf(old, [1, 2, 30]))).toEqual(['blocked', 'blocked', 'blocked']);
    expect(await scanAllItems(store)).toEqual(before);
    await raiseMakLimit(store, old.keyId, 60);
    const layout = await bucketLayoutOf(store, old.keyId);
    expect(new Set(kindsOf(await resultsOf(layout, machineNumbers(20, 100))))).toEqual(new Set(['blocked']));
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ used: 3 });
  });
});
