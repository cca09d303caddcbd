import { TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { fromEpochMilliseconds } from '../../domain/calendar/instant.ts';
import { products } from '../../domain/catalog.ts';
import type { InstallationId } from '../../domain/keys/installation-id.ts';
import { installationIdFrom } from '../../domain/keys/installation-id.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { countUsed, readKey } from '../../store/keys.ts';
import type { Activation, BucketLayout, MakActivationResult } from '../../store/mak-activations.ts';
import {
  activateOnMak,
  attributeNameOf,
  blockBuckets,
  countUsedOnMak,
  encodeActivation,
  listMakActivations,
  readReserve,
  recordExhausted,
} from '../../store/mak-activations.ts';
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

/** Issues a MAK with this very limit, and answers how it is laid out. */
async function issued(limit: number): Promise<BucketLayout> {
  const { store: generous, layout } = await issueMakWithLimit(store, limit);
  store = generous;
  return layout;
}

/** Raises the limit, and answers how the MAK is to be laid out from then on. */
async function raise(keyId: string, newLimit: number, in_ = store): Promise<BucketLayout> {
  await raiseMakLimit(in_, keyId, newLimit);
  return bucketLayoutOf(store, keyId);
}

function activation(machine: number | InstallationId, facts: Partial<Activation> = {}): Activation {
  return {
    installationId: typeof machine === 'number' ? installationId(machine) : machine,
    product: 'windows-vista-business',
    machineName: `machine-${machine}`,
    activatedAt: mondayTen,
    ...facts,
  };
}

function activate(layout: BucketLayout, asked: number | Activation, in_ = store): Promise<MakActivationResult> {
  const machine = typeof asked === 'number' ? activation(asked) : asked;
  return activateOnMak(in_, layout, store.vault.digestOf(layout.keyId, machine.installationId), machine);
}

/** Like a device's request: it learns how the MAK is laid out now as often as it is told that it does not know. */
async function activateAnyhow(
  layout: BucketLayout,
  asked: number | Activation,
  in_ = store,
): Promise<MakActivationResult> {
  const outcome = await activate(layout, asked, in_);
  return outcome.kind === 'stale-layout'
    ? activateAnyhow(await bucketLayoutOf(store, layout.keyId), asked, in_)
    : outcome;
}

const many = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);

/** The bucket that a machine belongs to in a layout. */
function homeOf(machine: number, { keyId, bucketCount }: BucketLayout): number {
  const digest = store.vault.digestOf(keyId, installationId(machine));
  return digest.readUInt32BE(digest.length - 4) % bucketCount;
}

const buckets = async () => (await scanAllItems(store)).filter(({ SK }) => SK === 'BUCKET');

/** How many came out in each way. */
function tally(outcomes: readonly MakActivationResult[]): Partial<Record<MakActivationResult['kind'], number>> {
  const counts: Partial<Record<MakActivationResult['kind'], number>> = {};
  for (const { kind: is } of outcomes) counts[is] = (counts[is] ?? 0) + 1;
  return counts;
}

describe('a MAK', () => {
  it.each([1, 13, 14, 15, 50])(
    'MAK-1 of %i activates every one of that many machines, and no further one',
    async (limit) => {
      const layout = await issued(limit);
      const from = limit * 1_000;
      for (const machine of many(limit, from))
        expect(await activate(layout, machine)).toMatchObject({ kind: 'activated' });
      for (const machine of many(2, 0))
        expect(await activate(layout, machine)).toEqual({ kind: 'exhausted', used: limit });
      expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: limit, available: 0, inReserve: 0 });
    },
  );

  it('MAK-1 of 500 activates every one of that many machines, and no further one', async () => {
    const layout = await issued(500);
    for (const machine of many(500)) expect(await activate(layout, machine)).toMatchObject({ kind: 'activated' });
    expect(await activate(layout, 500)).toEqual({ kind: 'exhausted', used: 500 });
    // Spent is remembered, and is answered from that.
    expect(await activate(layout, 501)).toEqual({ kind: 'exhausted', used: 500 });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 500, available: 0 });
    // Every bucket stays near a kilobyte: one write unit, or two for the fullest.
    const sizes = (await scanAllItems(store))
      .filter(({ SK }) => SK === 'BUCKET')
      .map((bucket) => Object.entries(bucket).reduce((sum, [name, value]) => sum + `${name}${value}`.length, 0));
    expect(Math.max(...sizes)).toBeLessThan(2_048);
    expect(sizes.toSorted((one, other) => one - other)[Math.floor(sizes.length / 2)]).toBeLessThan(1_024);
  });

  it('MAK-1 of 50 activates exactly 50 of 200 machines that come at once', async () => {
    const layout = await issued(50);
    const outcomes = await Promise.all(many(200).map((machine) => activate(layout, machine)));
    expect(tally(outcomes)).toEqual({ activated: 50, exhausted: 150 });
    expect(outcomes.filter(({ kind: is }) => is === 'exhausted')).toEqual(
      many(150).map(() => ({ kind: 'exhausted', used: 50 })),
    );
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 50, available: 0 });
    expect(await countUsedOnMak(store, layout)).toBe(50);
    const kept = await readKey(store, layout.keyId);
    expect(kept && (await countUsed(store, kept))).toBe(50);
  });

  it('MAK-1 MAK-2 KEY-8 counts right in whatever order the database hears of what comes at once', async () => {
    const machines = fc.array(fc.nat(7), { minLength: 3, maxLength: 7 });
    const raised = fc.option(fc.integer({ min: 1, max: 4 }), { nil: 0 });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 1, max: 4 }),
        machines,
        raised,
        async (scheduler, limit, asked, by) => {
          store = await engine.newStore();
          const layout = await issued(limit);
          const at = withScheduler(store, scheduler);
          const raising = by === 0 ? [] : [raise(layout.keyId, limit + by, at)];
          const outcomes = Promise.all(asked.map((machine) => activate(layout, machine, at)));
          const [done] = await scheduler.waitFor(Promise.all([outcomes, ...raising]));
          const different = new Set(asked).size;
          const { used, granted } = await expectMakTotals(store, layout.keyId);
          expect(granted).toBe(limit + by);
          expect(used).toBe(tally(done).activated ?? 0);
          expect(used).toBeGreaterThanOrEqual(Math.min(different, limit));
          expect(used).toBeLessThanOrEqual(Math.min(different, limit + by));
          // Now that it is quiet, the rest fits as far as the limit goes.
          for (const machine of asked) await activate(layout, machine);
          expect((await expectMakTotals(store, layout.keyId)).used).toBe(Math.min(different, limit + by));
        },
      ),
      { numRuns: 10 },
    );
  });
});

describe('a machine that has activated', () => {
  it('MAK-2 is known, with what was recorded at first, and counts nothing, even when all is used', async () => {
    const layout = await issued(14);
    const first = activation(1, { machineName: 'first', activatedAt: mondayTen });
    expect(await activate(layout, first)).toEqual({ kind: 'activated', activation: first });
    const again = activation(1, {
      machineName: 'second',
      activatedAt: tuesdayTen,
      product: 'windows-vista-enterprise',
    });
    expect(await activate(layout, again)).toEqual({ kind: 'already-activated', activation: first });
    for (const machine of many(14, 100)) await activate(layout, machine);
    expect(await activate(layout, 999)).toMatchObject({ kind: 'exhausted' });
    expect(await activate(layout, again)).toEqual({ kind: 'already-activated', activation: first });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 14 });
  });

  it('MAK-2 counts once when it comes twenty times at once, and always gets the same answer', async () => {
    const layout = await issued(50);
    const outcomes = await Promise.all(
      many(20).map((second) => activate(layout, activation(7, { machineName: `at ${second}` }))),
    );
    expect(tally(outcomes)).toEqual({ activated: 1, 'already-activated': 19 });
    const [winner] = outcomes.filter(({ kind: is }) => is === 'activated');
    for (const outcome of outcomes) expect(outcome).toEqual({ ...winner, kind: outcome.kind });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 1 });
  });

  /** Two buckets of ten places, the first of them full; so many places are left in the second. Answers who is at home in the first. */
  async function withFirstBucketFull(
    placesLeft: number,
  ): Promise<{ layout: BucketLayout; strangers: readonly number[] }> {
    const layout = await issued(20);
    const at = (home: number) => many(200, 100).filter((machine) => homeOf(machine, layout) === home);
    for (const machine of [...at(0).slice(0, 10), ...at(1).slice(0, 10 - placesLeft)]) await activate(layout, machine);
    return { layout, strangers: at(0).slice(10) };
  }

  it.each([1, 5])(
    'MAK-2 counts once when it comes ten times at once, its bucket is full, and %i places are left',
    async (left) => {
      const { layout, strangers } = await withFirstBucketFull(left);
      const outcomes = await Promise.all(many(10).map(() => activate(layout, strangers[0] ?? 0)));
      expect(tally(outcomes)).toEqual({ activated: 1, 'already-activated': 9 });
      expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 21 - left });
    },
  );

  it.each([
    ['and is the last', 0],
    ['and others were told since that all is used', 1],
  ])('MAK-2 is known when its twin took the last place while it looked for one, %s', async (_, others) => {
    const { layout, strangers } = await withFirstBucketFull(1);
    const [machine = 0, ...more] = strangers;
    let looked = false;
    const twinned = withInterceptor(store, async (command, send) => {
      const settled = await Promise.allSettled([send()]);
      if (command instanceof UpdateCommand && !looked) {
        looked = true;
        expect(await activate(layout, machine)).toMatchObject({ kind: 'activated' });
        for (const other of more.slice(0, others))
          expect(await activate(layout, other)).toMatchObject({ kind: 'exhausted' });
      }
      const [outcome] = settled;
      if (outcome?.status === 'rejected') throw outcome.reason;
      return outcome?.value;
    });
    expect(await activate(layout, machine, twinned)).toMatchObject({ kind: 'already-activated' });
  });
});

describe('a MAK whose limit is raised', () => {
  it('MAK-4 KEY-8 goes on where it was spent, up to the new limit', async () => {
    const layout = await issued(14);
    await Promise.all(many(20).map((machine) => activate(layout, machine)));
    expect(await activate(layout, 99)).toMatchObject({ kind: 'exhausted' });
    expect(await raise(layout.keyId, 17)).toEqual(layout);
    const outcomes = await Promise.all(many(6, 100).map((machine) => activate(layout, machine)));
    expect(tally(outcomes)).toEqual({ activated: 3, exhausted: 3 });
    expect(outcomes).toContainEqual({ kind: 'exhausted', used: 17 });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({
      granted: 17,
      used: 17,
      available: 0,
      inReserve: 0,
    });
  });

  it('MAK-1 tells a request that knows an older layout to look again, before and after the buckets are split', async () => {
    const old = await issued(14);
    expect(old.bucketCount).toBe(1);
    for (const machine of many(14)) await activate(old, machine);
    const layout = await raise(old.keyId, 60);
    expect(layout.bucketCount).toBe(4);
    expect(await activate(old, 100)).toEqual({ kind: 'stale-layout' });
    // Who is known is known by any layout, as long as it is where that layout looks.
    expect(await activate(old, 3)).toMatchObject({ kind: 'already-activated' });
    for (const machine of many(14))
      expect(await activate(layout, machine)).toMatchObject({ kind: 'already-activated' });
    expect(await activate(layout, 100)).toMatchObject({ kind: 'activated' });
    expect(await activate(old, 101)).toEqual({ kind: 'stale-layout' });
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 60, used: 15 });
  });

  it('MAK-2 lets no request that knows an older layout take a free place of a bucket that was split', async () => {
    const old = await issued(14);
    for (const machine of many(3)) await activate(old, machine);
    const layout = await raise(old.keyId, 60);
    await activate(layout, 3);
    const [first] = (await buckets()).filter(({ PK }) => PK === `KEY#${old.keyId}#0`);
    expect(Number(first?.available)).toBeGreaterThan(0);
    expect(await activate(old, 4)).toEqual({ kind: 'stale-layout' });
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 60, used: 4 });
  });

  it('MAK-1 MAK-2 KEY-8 from 50 to 5,000 splits its buckets under way, and loses and forgets nothing', async () => {
    const old = await issued(50);
    expect(old.bucketCount).toBe(4);
    await Promise.all(many(55).map((machine) => activate(old, machine)));
    const before = await readAllPages((ask) => listMakActivations(store, old, ask));
    expect(before).toHaveLength(50);
    // Some of those who come know how it was laid out, some have come before, all of them at once.
    const raising = raise(old.keyId, 5_000);
    const during = Promise.all(many(30, 30).map((machine) => activateAnyhow(old, machine)));
    const layout = await raising;
    expect(layout.bucketCount).toBe(256);
    const after = await Promise.all(many(40, 50).map((machine) => activateAnyhow(layout, machine)));
    await during;
    expect(tally(after).exhausted).toBeUndefined();
    const known = new Set(before.map(({ installationId: id }) => id));
    const listed = await readAllPages((ask) => listMakActivations(store, layout, ask));
    for (const activated of before) expect(listed).toContainEqual(activated);
    const { used } = await expectMakTotals(store, old.keyId);
    expect(listed).toHaveLength(used);
    expect(new Set(listed.map(({ installationId: id }) => id)).size).toBe(used);
    const again = await Promise.all(before.map((machine) => activateAnyhow(old, machine)));
    expect(
      again.every((outcome) => outcome.kind === 'already-activated' && known.has(outcome.activation.installationId)),
    ).toBe(true);
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 5_000, used });
  });

  it('MAK-1 KEY-8 can be filled to its new limit by machines of buckets that were never split', async () => {
    const old = await issued(28);
    for (const machine of many(28)) await activate(old, machine);
    const layout = await raise(old.keyId, 60);
    expect(layout).toEqual({ ...old, bucketCount: 4 });
    for (const machine of many(32, 100)) expect(await activate(layout, machine)).toMatchObject({ kind: 'activated' });
    for (const machine of many(3, 200))
      expect(await activate(layout, machine)).toEqual({ kind: 'exhausted', used: 60 });
    for (const machine of [...many(28), ...many(32, 100)]) {
      expect(await activate(layout, machine)).toMatchObject({ kind: 'already-activated' });
    }
  });

  it('MAK-1 is not called spent before all of its buckets are split, since one split meanwhile would count twice', async () => {
    const old = await issued(28);
    for (const machine of many(28)) await activate(old, machine);
    const layout = await raise(old.keyId, 60);
    const even = many(200, 100).filter((machine) => homeOf(machine, layout) % 2 === 0);
    for (const machine of even.slice(0, 32))
      expect(await activate(layout, machine)).toMatchObject({ kind: 'activated' });
    expect((await buckets()).map((bucket) => bucket.bucketCount).toSorted()).toEqual([2, 4, 4]);
    expect(await activate(layout, even[32] ?? 0)).toEqual({ kind: 'exhausted', used: 60 });
    expect((await buckets()).map((bucket) => bucket.bucketCount)).toEqual([4, 4, 4, 4]);
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 60, used: 60, available: 0 });
  });

  it.each(['an activation', 'places that leave it', 'a machine that brings its own place'])(
    'MAK-1 KEY-8 does not split a bucket over %s',
    async (what) => {
      const old = await issued(14);
      for (const machine of many(3)) await activate(old, machine);
      const layout = await raise(old.keyId, 40);
      let happened = false;
      const meanwhile = withInterruption(store, TransactWriteCommand, async () => {
        happened = true;
        if (what === 'an activation') expect(await activate(old, 50)).toMatchObject({ kind: 'activated' });
        if (what === 'places that leave it') await add(old.keyId, { available: -2 }, { available: 2 });
        if (what === 'a machine that brings its own place') {
          const mark = { [attributeNameOf(installationId(50))]: encodeActivation(activation(50)) };
          await add(old.keyId, { used: 1 }, { available: -1 }, mark);
        }
      });
      const machine = many(50, 100).find((each) => homeOf(each, layout) === 1) ?? 0;
      expect(await activate(layout, machine, meanwhile)).toMatchObject({ kind: 'activated' });
      expect(happened).toBe(true);
      expect(await expectMakTotals(store, old.keyId)).toMatchObject({ used: what === 'places that leave it' ? 4 : 5 });
      expect((await buckets()).map((bucket) => bucket.bucketCount)).toEqual([2, 2]);
    },
  );

  /** Does by hand to the first bucket and to the reserve what a transaction of the store would do. */
  async function add(
    keyId: string,
    toBucket: Readonly<Record<string, number>>,
    toReserve: Readonly<Record<string, number>>,
    mark: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    for (const [Key, change] of [
      [
        { PK: `KEY#${keyId}#0`, SK: 'BUCKET' },
        { ...toBucket, ...mark },
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

  it('MAK-1 MAK-2 KEY-8 splits right in whatever order the database hears of what comes at once', async () => {
    // Who comes knows the old layout or the new one.
    const machines = fc.array(fc.record({ machine: fc.nat(9), knowsOld: fc.boolean() }), {
      minLength: 2,
      maxLength: 6,
    });
    const before = fc.integer({ min: 0, max: 14 });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), before, fc.boolean(), machines, async (scheduler, first, raisedFirst, asked) => {
        store = await engine.newStore();
        const old = await issued(14);
        for (const machine of many(first, 5)) await activate(old, machine);
        const at = withScheduler(store, scheduler);
        // From one bucket to four.
        const raising = raisedFirst ? raise(old.keyId, 60) : undefined;
        await raising;
        const outcomes = Promise.all(
          asked.map(({ machine, knowsOld }) =>
            activateAnyhow(knowsOld || !raisedFirst ? old : { ...old, bucketCount: 4 }, machine, at),
          ),
        );
        const [done, layout] = await scheduler.waitFor(Promise.all([outcomes, raising ?? raise(old.keyId, 60, at)]));
        expect((await expectMakTotals(store, old.keyId)).used).toBe(first + (tally(done).activated ?? 0));
        const all = new Set([...asked.map(({ machine }) => machine), ...many(first, 5)]);
        for (const machine of [...all, ...many(3, 100)]) await activate(layout, machine);
        expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: 60, used: all.size + 3 });
        expect((await buckets()).length).toBeGreaterThan(1);
      }),
      { numRuns: 10 },
    );
  });
});

describe('a MAK that is blocked', () => {
  it('BLK-1 activates nobody, neither a new machine nor one that is known', async () => {
    const layout = await issued(28);
    for (const machine of many(3)) await activate(layout, machine);
    await blockBuckets(store, layout);
    const before = await scanAllItems(store);
    for (const machine of many(6)) expect(await activate(layout, machine)).toEqual({ kind: 'blocked' });
    expect(await scanAllItems(store)).toEqual(before);
  });

  it('BLK-1 activates nobody in buckets either that were still to be split', async () => {
    const old = await issued(14);
    for (const machine of many(3)) await activate(old, machine);
    await blockBuckets(store, old);
    const layout = await raise(old.keyId, 60);
    for (const machine of many(12, 100)) expect(await activate(layout, machine)).toEqual({ kind: 'blocked' });
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ used: 3 });
  });
});

describe('a MAK that somebody found spent', () => {
  it('MAK-1 is not remembered as spent when its limit was raised meanwhile, even when the reserve is empty again', async () => {
    const layout = await issued(14);
    for (const machine of many(14)) await activate(layout, machine);
    await raise(layout.keyId, 20);
    await activate(layout, 50);
    expect(await readReserve(store, layout.keyId)).toMatchObject({ available: 0, limit: 20 });
    await recordExhausted(store, layout.keyId, 14);
    expect((await readReserve(store, layout.keyId)).exhausted).toBeUndefined();
    await recordExhausted(store, layout.keyId, 20);
    expect((await readReserve(store, layout.keyId)).exhausted).toBe(true);
  });
});

describe('a machine whose place has to be fetched', () => {
  /** One full bucket, and places in the reserve. */
  async function full(): Promise<BucketLayout> {
    const layout = await issued(14);
    for (const machine of many(14)) await activate(layout, machine);
    expect(await raise(layout.keyId, 20)).toEqual(layout);
    return layout;
  }

  const blocking = (layout: BucketLayout) =>
    withInterruption(store, TransactWriteCommand, () => blockBuckets(store, layout));

  it('BLK-1 is not activated when the key is blocked meanwhile', async () => {
    const layout = await full();
    expect(await activate(layout, 50, blocking(layout))).toEqual({ kind: 'blocked' });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 14 });
  });

  it('BLK-1 is not activated either when its bucket was to be split first', async () => {
    const old = await full();
    const layout = await raise(old.keyId, 60);
    expect(await activate(layout, 50, blocking(old))).toEqual({ kind: 'blocked' });
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ used: 14 });
  });

  it('MAK-2 looks for its bucket anew when its own is split meanwhile', async () => {
    const old = await full();
    const splitting = async () => activate(await raise(old.keyId, 300), 60);
    expect(await activate(old, 50, withInterruption(store, TransactWriteCommand, splitting))).toEqual({
      kind: 'stale-layout',
    });
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ used: 15 });
  });
});

describe('the activations of a MAK', () => {
  const name = fc.oneof(
    fc.constantFrom(null, '.', 'a.b.c', '..', 'röchelnd', '机器', '😀', ' ', '+x', '0.0.'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 15 }),
  );
  // Numbers of 45 digits, those that begin with noughts among them.
  const digits = fc.oneof(
    fc.bigInt({ min: 0n, max: 10n ** 45n - 1n }),
    fc.nat().map(BigInt),
    fc.constantFrom(0n, 1n, 10n ** 45n - 1n),
  );
  const machine = fc.record({
    installationId: digits.map((number) => installationIdFrom(number.toString().padStart(45, '0'))),
    product: fc.constantFrom(...products),
    machineName: name,
    activatedAt: fc
      .integer({ min: 0, max: 4_102_444_800_000 })
      .map((milliseconds) => fromEpochMilliseconds(milliseconds)),
  });
  const fleet = fc.uniqueArray(machine, { selector: (each) => each.installationId, minLength: 1, maxLength: 20 });
  const byId = (list: readonly Activation[]) =>
    list.toSorted((one, other) => one.installationId.localeCompare(other.installationId));

  it('KEY-7 MAK-2 are listed each once, whole and right, in pages of any size', async () => {
    await fc.assert(
      fc.asyncProperty(fleet, fc.integer({ min: 1, max: 21 }), async (machines, limit) => {
        store = await engine.newStore();
        const layout = await issued(50);
        await Promise.all(machines.map((each) => activate(layout, each)));
        const listed = await readAllPages((ask) => listMakActivations(store, layout, ask), limit);
        expect(byId(listed)).toEqual(byId(machines));
        for (const each of machines)
          expect(await activate(layout, each)).toEqual({ kind: 'already-activated', activation: each });
      }),
      { numRuns: 6 },
    );
  });

  it('KEY-7 are listed without a name when there is none', async () => {
    const layout = await issued(14);
    await activate(layout, activation(1, { machineName: '' }));
    expect((await listMakActivations(store, layout, { limit: 5, after: null })).items).toEqual([
      activation(1, { machineName: null }),
    ]);
  });

  it('KEY-7 that are many go over many buckets and readings', async () => {
    const layout = await issued(500);
    await Promise.all(many(120).map((each) => activate(layout, each)));
    const listed = await readAllPages((ask) => listMakActivations(store, layout, ask), 50);
    expect(byId(listed)).toEqual(byId(many(120).map((each) => activation(each))));
  });

  it.each(['', ' ', '+', '-5 +', '-1e9 ', '1e9 ', '9999999999 ', '0', 'NaN +x', '1 2 3'])(
    'are a part of the list, or none, after a position that we never gave: %j',
    async (after) => {
      const layout = await issued(28);
      const machines = many(10).map((each) => activation(each));
      await Promise.all(machines.map((each) => activate(layout, each)));
      const { items } = await listMakActivations(store, layout, { limit: 5, after });
      expect(machines).toEqual(expect.arrayContaining([...items]));
    },
  );
});
