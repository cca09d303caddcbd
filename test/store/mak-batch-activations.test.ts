import { TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../store/dynamodb/table.ts';
import type { Activation, BucketLayout, MakActivationResult } from '../../store/mak-activations.ts';
import { activateOnMak, blockBuckets, homeBucketOf, listMakActivations } from '../../store/mak-activations.ts';
import { activateBatchOnMak } from '../../store/mak-batch-activations.ts';
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

const engine = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

async function issued(limit: number): Promise<BucketLayout> {
  const { store: generous, layout } = await issueMakWithLimit(store, limit);
  store = generous;
  return layout;
}

function activation(machine: number, facts: Partial<Activation> = {}): Activation {
  return {
    installationId: installationId(machine),
    product: 'windows-vista-business',
    machineName: `machine-${machine}`,
    activatedAt: mondayTen,
    ...facts,
  };
}

const many = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);
const lineOf = ({ keyId }: BucketLayout, asked: Activation) => ({
  digest: store.vault.digestOf(keyId, asked.installationId),
  activation: asked,
});

function batch(layout: BucketLayout, machines: readonly (number | Activation)[], in_ = store) {
  const lines = machines.map((asked) => lineOf(layout, typeof asked === 'number' ? activation(asked) : asked));
  return activateBatchOnMak(in_, layout, lines);
}

/** The answers of a batch whose layout was up to date. */
async function answers(
  layout: BucketLayout,
  machines: readonly number[],
  in_ = store,
): Promise<readonly MakActivationResult[]> {
  const outcomes = await batch(layout, machines, in_);
  if (outcomes === 'stale-layout') throw new Error('the layout was not up to date');
  return outcomes;
}

const kinds = (outcomes: readonly MakActivationResult[]) => outcomes.map(({ kind: is }) => is);
const countOf = (is: MakActivationResult['kind'], outcomes: readonly MakActivationResult[]) =>
  outcomes.filter((each) => each.kind === is).length;

describe('a batch', () => {
  it('MAK-6 of ninety is activated, with an answer for each line in order', async () => {
    const layout = await issued(200);
    const outcomes = await answers(layout, many(90));
    expect(outcomes).toEqual(many(90).map((machine) => ({ kind: 'activated', activation: activation(machine) })));
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 90 });
    const listed = await readAllPages((ask) => listMakActivations(store, layout, ask));
    expect(new Set(listed.map((each) => each.installationId))).toEqual(new Set(many(90).map(installationId)));
  });

  it('MAK-6 MAK-2 that is sent again is known line by line and counts nothing', async () => {
    const layout = await issued(50);
    await answers(layout, many(30));
    const again = await batch(
      layout,
      many(40).map((machine) => activation(machine, { activatedAt: tuesdayTen })),
    );
    expect(again).toEqual([
      ...many(30).map((machine) => ({ kind: 'already-activated', activation: activation(machine) })),
      ...many(10, 30).map((machine) => ({
        kind: 'activated',
        activation: activation(machine, { activatedAt: tuesdayTen }),
      })),
    ]);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 40 });
  });

  it('MAK-6 MAK-2 counts a machine once that is in it several times', async () => {
    const layout = await issued(50);
    expect(kinds(await answers(layout, [1, 2, 1, 1, 2]))).toEqual([
      'activated',
      'activated',
      'already-activated',
      'already-activated',
      'already-activated',
    ]);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 2 });
  });

  it.each([1, 14, 50, 89])(
    'MAK-6 on a MAK of %i grants the first that fit, and refuses the rest by line',
    async (limit) => {
      const layout = await issued(limit);
      const outcomes = await answers(layout, many(90));
      expect(kinds(outcomes)).toEqual([
        ...many(limit).map(() => 'activated'),
        ...many(90 - limit).map(() => 'exhausted'),
      ]);
      expect(outcomes.at(-1)).toEqual({ kind: 'exhausted', used: limit });
      expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: limit, available: 0 });
    },
  );

  it('MAK-1 MAK-6 fills a MAK to its last place, wherever the places are', async () => {
    const layout = await issued(100);
    for (const from of [0, 30, 60]) expect(countOf('activated', await answers(layout, many(30, from)))).toBe(30);
    expect(kinds(await answers(layout, many(12, 90)))).toEqual([
      ...many(10).map(() => 'activated'),
      'exhausted',
      'exhausted',
    ]);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 100, available: 0 });
  });

  it('MAK-6 without lines has no answers', async () => {
    expect(await answers(await issued(14), [])).toEqual([]);
  });
});

describe('batches at once', () => {
  it('MAK-1 MAK-6 activate no more together than the limit', async () => {
    const layout = await issued(50);
    const outcomes = (
      await Promise.all([
        answers(layout, many(40)),
        answers(layout, many(40, 20)),
        ...many(10, 100).map(async (machine) => {
          const asked = activation(machine);
          return [await activateOnMak(store, layout, lineOf(layout, asked).digest, asked)];
        }),
      ])
    ).flat();
    expect(countOf('activated', outcomes)).toBe(50);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 50, available: 0 });
  });

  it('MAK-1 MAK-2 MAK-6 KEY-8 count right in whatever order the database hears of them', async () => {
    const lines = fc.array(fc.nat(9), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 1, max: 8 }),
        fc.array(lines, { minLength: 2, maxLength: 3 }),
        async (scheduler, limit, batches) => {
          store = await engine.newStore();
          const layout = await issued(limit);
          const at = withScheduler(store, scheduler);
          const outcomes = await scheduler.waitFor(
            Promise.all(batches.map((machines) => answers(layout, machines, at))),
          );
          const { used } = await expectMakTotals(store, layout.keyId);
          expect(used).toBe(Math.min(limit, new Set(batches.flat()).size));
          expect(countOf('activated', outcomes.flat())).toBe(used);
          // Nobody is refused who has a place.
          const has = new Set(
            (await readAllPages((ask) => listMakActivations(store, layout, ask))).map((each) => each.installationId),
          );
          for (const [index, machines] of batches.entries()) {
            const refused = machines.filter((_, line) => outcomes[index]?.[line]?.kind === 'exhausted');
            for (const machine of refused) expect(has.has(installationId(machine))).toBe(false);
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  it('MAK-2 MAK-6 know a machine that took the last place meanwhile', async () => {
    const layout = await issued(14);
    await answers(layout, many(13));
    let looked = false;
    const twinned = withInterceptor(store, async (command, send) => {
      const outcome = await send();
      if (!looked && !(command instanceof UpdateCommand)) {
        looked = true;
        const asked = activation(50);
        await activateOnMak(store, layout, lineOf(layout, asked).digest, asked);
      }
      return outcome;
    });
    expect(kinds(await answers(layout, [51, 50], twinned))).toEqual(['exhausted', 'already-activated']);
  });
});

describe('a batch that finds its bucket otherwise than it was', () => {
  type Meanwhile = (layout: BucketLayout) => Promise<unknown>;
  const one =
    (machine: number): Meanwhile =>
    async (layout) => {
      const asked = activation(machine);
      return activateOnMak(store, layout, lineOf(layout, asked).digest, asked);
    };
  /** Machines whose home is a bucket. */
  const machinesOf = (layout: BucketLayout, bucket: number) =>
    many(500, 100).filter(
      (each) => homeBucketOf(lineOf(layout, activation(each)).digest, layout.bucketCount) === bucket,
    );
  const blocked: Meanwhile = (layout) => blockBuckets(store, layout);
  /** Raises the limit so far that the one bucket is split, and lets machines take and bring places there. */
  const split: Meanwhile = async ({ keyId }) => {
    await raiseMakLimit(store, keyId, 300);
    const layout = await bucketLayoutOf(store, keyId);
    for (const machine of machinesOf(layout, 0).slice(0, 3)) await one(machine)(layout);
    const bucket = (await scanAllItems(store)).find(({ PK, SK }) => PK === `KEY#${keyId}#0` && SK === 'BUCKET');
    expect(Number(bucket?.available)).toBeGreaterThan(3);
  };
  /** Raises the limit a little, and lets machines fetch places from the reserve, the first of the batch among them. */
  const refilled: Meanwhile = async (layout) => {
    await raiseMakLimit(store, layout.keyId, 20);
    for (const machine of [50, 60, 61]) await one(machine)(layout);
  };

  it.each<
    [
      rule: string,
      what: string,
      meanwhile: Meanwhile,
      outcomes: MakActivationResult['kind'][] | 'stale-layout',
      used: number,
    ]
  >([
    ['MAK-2', 'one of its machines has come by itself', one(50), ['already-activated', 'activated', 'activated'], 3],
    ['BLK-1', 'the key is blocked', blocked, ['blocked', 'blocked', 'blocked'], 0],
    ['KEY-8', 'the bucket is split', split, 'stale-layout', 3],
    [
      'MAK-1',
      'others have taken its places',
      (layout) => answers(layout, many(12)),
      ['activated', 'activated', 'exhausted'],
      14,
    ],
  ])('%s MAK-6 looks again when %s', async (_, __, meanwhile, outcomes, used) => {
    const layout = await issued(14);
    const found = await batch(
      layout,
      [50, 51, 52],
      withInterruption(store, UpdateCommand, () => meanwhile(layout)),
    );
    expect(found === 'stale-layout' ? found : kinds(found)).toEqual(outcomes);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used });
  });

  it.each<
    [
      rule: string,
      what: string,
      meanwhile: Meanwhile,
      outcomes: MakActivationResult['kind'][] | 'stale-layout',
      used: number,
    ]
  >([
    ['MAK-2', 'one of its machines has come by itself', refilled, ['already-activated', 'activated', 'activated'], 17],
    ['BLK-1', 'the key is blocked', blocked, ['blocked', 'blocked', 'blocked'], 12],
    ['KEY-8', 'the bucket is split', split, 'stale-layout', 15],
    ['MAK-1', 'another has taken a place', one(90), ['activated', 'exhausted', 'exhausted'], 14],
  ])('%s MAK-6 looks again when %s and places are short', async (_, __, meanwhile, outcomes, used) => {
    const layout = await issued(14);
    await answers(layout, many(12));
    const found = await batch(
      layout,
      [50, 51, 52],
      withInterruption(store, TransactWriteCommand, () => meanwhile(layout)),
    );
    expect(found === 'stale-layout' ? found : kinds(found)).toEqual(outcomes);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used });
  });

  it('MAK-1 MAK-6 takes no places that have gone from another bucket', async () => {
    const layout = await issued(28);
    const [here, there] = [machinesOf(layout, 0), machinesOf(layout, 1)];
    await answers(layout, here.slice(0, 14));
    const in_ = withInterruption(store, TransactWriteCommand, () => answers(layout, there.slice(0, 14)));
    expect(kinds(await answers(layout, here.slice(14, 15), in_))).toEqual(['exhausted']);
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 28, available: 0 });
  });
});

describe('a batch on a MAK whose limit is raised', () => {
  it('MAK-6 KEY-8 is told to look again when it knows an older layout, and splits what it needs when it knows the new', async () => {
    const old = await issued(14);
    await answers(old, many(14));
    await raiseMakLimit(store, old.keyId, 300);
    expect(await batch(old, many(20, 100))).toBe('stale-layout');
    const layout = await bucketLayoutOf(store, old.keyId);
    expect(layout.bucketCount).toBe(16);
    const outcomes = await answers(layout, [...many(14), ...many(76, 100)]);
    expect(kinds(outcomes)).toEqual([...many(14).map(() => 'already-activated'), ...many(76).map(() => 'activated')]);
    expect(await batch(old, many(20, 300))).toBe('stale-layout');
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 300, used: 90 });
  });

  it('MAK-1 MAK-6 can be filled to the new limit', async () => {
    const old = await issued(14);
    await raiseMakLimit(store, old.keyId, 60);
    const layout = await bucketLayoutOf(store, old.keyId);
    expect(kinds(await answers(layout, many(70)))).toEqual([
      ...many(60).map(() => 'activated'),
      ...many(10).map(() => 'exhausted'),
    ]);
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ used: 60, available: 0 });
  });
});

describe('a batch on a MAK that is blocked', () => {
  it('BLK-1 MAK-6 activates nobody, in buckets either that were still to be split', async () => {
    const old = await issued(14);
    await answers(old, many(3));
    await blockBuckets(store, old);
    const before = await scanAllItems(store);
    expect(kinds(await answers(old, [1, 2, 30]))).toEqual(['blocked', 'blocked', 'blocked']);
    expect(await scanAllItems(store)).toEqual(before);
    await raiseMakLimit(store, old.keyId, 60);
    const layout = await bucketLayoutOf(store, old.keyId);
    expect(new Set(kinds(await answers(layout, many(20, 100))))).toEqual(new Set(['blocked']));
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ used: 3 });
  });
});
