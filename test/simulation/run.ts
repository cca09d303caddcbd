import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { Key } from '../../domain/keys/key.ts';
import { verifyHistory } from '../../store/ledger.ts';
import { checkAgreement, everythingSeen } from '../../store/reconciliation.ts';
import type { Counts, Weather } from './faults.ts';
import { calm, mailStorms, storms } from './faults.ts';
import type { Past } from './invariants.ts';
import { judgeChanges, judgeRest, judgeTable, statesIn } from './invariants.ts';
import { newModel } from './model.ts';
import { Broken } from './network.ts';
import type { Dice } from './prng.ts';
import { diceOf } from './prng.ts';
import type { World } from './system.ts';
import { startWorld } from './system.ts';
import type { Life, Operation } from './workload.ts';
import { deliver, drawGroup, fill, sceneOf, settle, sweep } from './workload.ts';

export type Told = { readonly group: number; readonly lines: readonly string[] };

export type Run = {
  readonly seed: number;
  readonly operations: number;
  readonly calls: number;
  readonly counts: Counts;
  /** The same for the same history. */
  readonly history: string;
  readonly failure: {
    readonly group: number;
    readonly ending: boolean;
    readonly operation: number;
    readonly because: string;
    /** The rule that was broken; null when the simulation itself went wrong. */
    readonly rule: string | null;
  } | null;
  /** What happened, group by group, when it failed. */
  readonly told: readonly Told[];
};

/** A clock that has come so far finds no way to an end. */
const longestEnding = 3_000;

export type Course = {
  readonly seed: number;
  readonly operations: number;
  /** Groups that are left out, to find out which of them matter. */
  readonly leftOut: ReadonlySet<number>;
  /** After which group it is over, and whether everything comes to its end then; null to go on to the last operation. */
  readonly upTo: { readonly group: number; readonly ending: boolean } | null;
};

/** Lives through as many operations as asked for, in groups that run at once, and then lets everything come to its end. */
export async function run({ seed, operations, leftOut, upTo }: Course): Promise<Run> {
  const model = newModel();
  const past: Past = { asked: new Map(), agreements: new Map() };
  let sequence = 0;
  const live: { world: World | undefined } = { world: undefined };
  const stream: Life['stream'] = [];
  const world = await startWorld(seed, (changes, images, by) => {
    for (const image of images) {
      if (!image.key.startsWith('KEY#')) continue;
      sequence += 1;
      stream.push({ ...image, sequence: String(sequence) });
    }
    if (live.world === undefined) return;
    const { wire, clock } = live.world;
    judgeChanges(changes, wire.items, model, past, by, clock.milliseconds, wire.handedOver);
  });
  live.world = world;
  const life: Life = { world, model, stream, again: [], afterwards: [] };
  const { wire } = world;
  const hash = createHash('sha256');
  const told: Told[] = [];
  let done = 0;
  let calls = 0;
  let group = 0;
  let ending = false;
  let failure: Run['failure'] = null;

  const together = async (what: string, some: readonly Operation[], dice: Dice, weather: Weather) => {
    wire.conditions = { dice, weather };
    wire.told.length = 0;
    wire.told.push(`${what} at ${world.now()}: ${some.map((each) => each.what).join(' | ')}`);
    done += some.length;
    try {
      await allOf(some, world);
      for (const judge of life.afterwards.splice(0)) judge();
      judgeTable(wire.items, model, world.clock.milliseconds);
    } finally {
      calls += wire.told.length;
      hash.update(wire.told.join('\n'));
      told.push({ group, lines: wire.told.slice(0, 400) });
    }
  };

  try {
    while (upTo === null ? done < operations : group < upTo.group) {
      group += 1;
      if (leftOut.has(group)) continue;
      const dice = diceOf(seed, 3, group);
      await passTime(life, dice);
      const weather = weatherOf(dice);
      if (group % 40 === 0) {
        const key = sceneOf(life).live.find(({ type }) => type === 'MAK');
        const full = key === undefined ? undefined : fill(life, key, dice);
        if (full !== undefined) await together(`group ${group}`, [full], dice, calm);
      }
      await together(`group ${group}`, drawGroup(life, dice, group), dice, weather);
    }
    if (upTo === null || upTo.ending) {
      ending = true;
      await end(life, diceOf(seed, 4), together);
      await lookAtAll(world);
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    failure = {
      group,
      ending,
      operation: done,
      because: error instanceof Broken ? error.message : String(error.stack),
      rule: error instanceof Broken ? error.rule : null,
    };
  }
  await world.stop();
  const history = hash.digest('hex').slice(0, 16);
  return { seed, operations: done, calls, counts: wire.counts, history, failure, told: failure === null ? [] : told };
}

async function allOf(some: readonly Operation[], world: World): Promise<void> {
  let ended = 0;
  const settled: { error: unknown }[] = [];
  for (const each of some) {
    each.run().then(
      () => {
        ended += 1;
      },
      (error: unknown) => {
        ended += 1;
        settled.push({ error });
      },
    );
  }
  await world.wire.rest();
  const [failed] = settled;
  if (failed !== undefined) throw failed.error;
  if (ended < some.length) throw new Broken('everybody is answered', some.map(({ what }) => what).join(' | '));
}

function weatherOf(dice: Dice): Weather {
  return dice.weighed<Weather>([
    [30, calm],
    [52, { is: 'fair' }],
    [12, { is: 'storm', of: dice.of(storms), over: 'everything' }],
    [6, { is: 'storm', of: dice.of(mailStorms), over: 'mail' }],
  ]);
}

const minute = 60_000;

/** Time passes between what people do: mostly a little. A sweep that should have run by then is late. */
async function passTime({ world }: Life, dice: Dice): Promise<void> {
  const passes = dice.weighed([
    [50, dice.below(5_000)],
    [25, minute * (1 + dice.below(3))],
    [12, 30 * minute],
    [8, 5 * 60 * minute],
    [4, 24 * 60 * minute],
    [1, 3 * 24 * 60 * minute],
  ]);
  if (passes >= minute) await world.wire.late();
  world.clock.milliseconds += passes;
  const waiting = [...world.wire.items.values()].some(
    (item) => Date.parse(String(item.nextActionAt)) < world.clock.milliseconds - 2 * minute,
  );
  if (waiting) world.wire.tally('sweep-late');
}

/** Nothing goes wrong any more: the schedule runs, time passes, and everything has to come to its end. */
async function end(
  life: Life,
  dice: Dice,
  together: (what: string, some: readonly Operation[], dice: Dice, weather: Weather) => Promise<void>,
): Promise<void> {
  const { world } = life;
  await world.wire.late();
  for (let round = 0; ; round += 1) {
    if (round > longestEnding) throw new Broken('everything comes to its end', `after ${round} sweeps it has not`);
    while (life.stream.length > 0) await together('the end', [deliver(life, dice)], dice, calm);
    const decisions = settle(life, dice, `#end-${round}-`);
    await together('the end', [...decisions, sweep(life)], dice, calm);
    const times = [...world.wire.items.values()].map((item) => String(item.nextActionAt ?? '~'));
    const next = times.toSorted()[0] ?? '~';
    if (next === '~' && decisions.length === 0) break;
    if (next !== '~') world.clock.milliseconds = Math.max(world.clock.milliseconds + minute, Date.parse(next));
  }
  judgeRest(world.wire.items, world.wire.handedOver);
  for (const key of statesIn<Key>(world.wire.items, 'KEY').map(({ state }) => state)) {
    const full = key.type === 'MAK' && key.status.is === 'live' ? fill(life, key, dice) : undefined;
    if (full !== undefined) await together('the end', [full], dice, calm);
  }
  while (life.stream.length > 0) await together('the end', [deliver(life, dice)], dice, calm);
  while ([...world.wire.items.keys()].some((name) => name.endsWith(' NOTIFICATION'))) {
    await together('the end', [sweep(life)], dice, calm);
    world.clock.milliseconds += minute;
  }
  const running = world.workflows.executions().filter(({ status }) => status === 'RUNNING');
  if (running.length > 0) throw new Broken('every workflow ends', String(running[0]?.name));
}

/** Looks at the whole table with the product's own eyes, and whether the mirror that was judged was right. */
async function lookAtAll({ store, wire, now }: World): Promise<void> {
  for (const key of wire.items.keys()) {
    const [owner = '', sort = ''] = key.split(' ');
    if (!['KEY', 'EXCEPTION', 'AGREEMENT'].includes(sort) || !owner.startsWith(sort)) continue;
    const verified = await verifyHistory(store, owner as `KEY#${string}`);
    if (verified.is === 'broken')
      throw new Broken('LED-2 every history verifies', `${owner}, entry ${verified.sequence}: ${verified.because}`);
  }
  for (const [agreementId, seen] of await everythingSeen(store)) {
    const { findings } = await checkAgreement(store, agreementId, now(), seen);
    const [first] = findings;
    if (first !== undefined) throw new Broken('check-counts finds nothing', `${first.about}: ${first.wrong}`);
  }
  const seen = new Set<string>();
  let ExclusiveStartKey: Record<string, unknown> | undefined;
  do {
    const page = await store.client.send(
      new ScanCommand({
        TableName: store.tableName,
        ConsistentRead: true,
        ...(ExclusiveStartKey && { ExclusiveStartKey }),
      }),
    );
    for (const item of page.Items ?? []) {
      const key = `${item.PK} ${item.SK}`;
      seen.add(key);
      if (!isDeepStrictEqual(item, wire.items.get(key))) throw new Error(`The mirror is wrong about ${key}.`);
    }
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey !== undefined);
  if (seen.size !== wire.items.size)
    throw new Error(`The mirror has ${wire.items.size} items, and the table ${seen.size}.`);
}
