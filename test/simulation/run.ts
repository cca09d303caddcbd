import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { Key } from '../../domain/keys/key.ts';
import { verifyLedger } from '../../store/ledger.ts';
import { checkAgreement, scanReferences } from '../../store/reconciliation.ts';
import type { FaultCounts, FaultProfile } from './faults.ts';
import { burstFaults, mailBurstFaults, noFaults } from './faults.ts';
import type { ObservedPast } from './invariants.ts';
import { checkFinalState, checkTable, checkWrites, valuesIn } from './invariants.ts';
import { newModel } from './model.ts';
import { InvariantViolation } from './network.ts';
import type { Prng } from './prng.ts';
import { createPrng } from './prng.ts';
import type { SimulatedSystem } from './system.ts';
import { startSimulatedSystem } from './system.ts';
import type { Operation, RunContext } from './workload.ts';
import { deliverChanges, drawGroup, fillToLimit, forwardPending, snapshotOf, sweep } from './workload.ts';

export type GroupTrace = { readonly group: number; readonly lines: readonly string[] };

export type Run = {
  readonly seed: number;
  readonly operations: number;
  readonly calls: number;
  readonly counts: FaultCounts;
  /** The same for the same history. */
  readonly traceHash: string;
  readonly failure: {
    readonly group: number;
    readonly ending: boolean;
    readonly operation: number;
    readonly because: string;
    /** The rule that was broken; null when the simulation itself went wrong. */
    readonly rule: string | null;
  } | null;
  /** What happened, group by group, when it failed. */
  readonly trace: readonly GroupTrace[];
};

/** A clock that has come so far finds no way to an end. */
const finalSweepsMax = 3_000;

export type SimulationOptions = {
  readonly seed: number;
  readonly operations: number;
  /** Groups that are left out, to find out which of them matter. */
  readonly skippedGroups: ReadonlySet<number>;
  /** After which group it is over, and whether everything comes to its end then; null to go on to the last operation. */
  readonly stopAfter: { readonly group: number; readonly ending: boolean } | null;
};

/** Lives through as many operations as asked for, in groups that run at once, and then lets everything come to its end. */
export async function runSimulation({ seed, operations, skippedGroups, stopAfter }: SimulationOptions): Promise<Run> {
  const model = newModel();
  const past: ObservedPast = { rounds: new Map(), agreements: new Map() };
  let sequence = 0;
  const systemReference: { system: SimulatedSystem | undefined } = { system: undefined };
  const stream: RunContext['pendingChanges'] = [];
  const system = await startSimulatedSystem(seed, (changes, images, by) => {
    for (const image of images) {
      if (!image.key.startsWith('KEY#')) continue;
      sequence += 1;
      stream.push({ ...image, sequence: String(sequence) });
    }
    if (systemReference.system === undefined) return;
    const { network, clock } = systemReference.system;
    checkWrites(changes, network.items, model, past, by, clock.milliseconds, network.attemptedEmails);
  });
  systemReference.system = system;
  const context: RunContext = { system, model, pendingChanges: stream, repeatable: [], deferredChecks: [] };
  const { network } = system;
  const hash = createHash('sha256');
  const trace: GroupTrace[] = [];
  let operationCount = 0;
  let calls = 0;
  let group = 0;
  let ending = false;
  let failure: Run['failure'] = null;

  const runGroup = async (
    description: string,
    groupOperations: readonly Operation[],
    prng: Prng,
    profile: FaultProfile,
  ) => {
    network.conditions = { prng, profile };
    network.trace.length = 0;
    network.trace.push(
      `${description} at ${system.now()}: ${groupOperations.map((each) => each.description).join(' | ')}`,
    );
    operationCount += groupOperations.length;
    try {
      await runAll(groupOperations, system);
      for (const check of context.deferredChecks.splice(0)) check();
      checkTable(network.items, model, system.clock.milliseconds);
    } finally {
      calls += network.trace.length;
      hash.update(network.trace.join('\n'));
      trace.push({ group, lines: network.trace.slice(0, 400) });
    }
  };

  try {
    while (stopAfter === null ? operationCount < operations : group < stopAfter.group) {
      group += 1;
      if (skippedGroups.has(group)) continue;
      const prng = createPrng(seed, 3, group);
      await advanceTime(context, prng);
      const profile = drawFaultProfile(prng);
      if (group % 40 === 0) {
        const key = snapshotOf(context).live.find(({ type }) => type === 'MAK');
        const fillOperation = key === undefined ? undefined : fillToLimit(context, key, prng);
        if (fillOperation !== undefined) await runGroup(`group ${group}`, [fillOperation], prng, noFaults);
      }
      await runGroup(`group ${group}`, drawGroup(context, prng, group), prng, profile);
    }
    if (stopAfter === null || stopAfter.ending) {
      ending = true;
      await runToCompletion(context, createPrng(seed, 4), runGroup);
      await auditTable(system);
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    failure = {
      group,
      ending,
      operation: operationCount,
      because: error instanceof InvariantViolation ? error.message : String(error.stack),
      rule: error instanceof InvariantViolation ? error.rule : null,
    };
  }
  await system.stop();
  const traceHash = hash.digest('hex').slice(0, 16);
  return {
    seed,
    operations: operationCount,
    calls,
    counts: network.counts,
    traceHash,
    failure,
    trace: failure === null ? [] : trace,
  };
}

async function runAll(some: readonly Operation[], system: SimulatedSystem): Promise<void> {
  let ended = 0;
  const failures: { error: unknown }[] = [];
  for (const each of some) {
    each.run().then(
      () => {
        ended += 1;
      },
      (error: unknown) => {
        ended += 1;
        failures.push({ error });
      },
    );
  }
  await system.network.runUntilIdle();
  const [failed] = failures;
  if (failed !== undefined) throw failed.error;
  if (ended < some.length)
    throw new InvariantViolation('everybody is answered', some.map(({ description: what }) => what).join(' | '));
}

function drawFaultProfile(prng: Prng): FaultProfile {
  return prng.weighted<FaultProfile>([
    [30, noFaults],
    [52, { kind: 'low' }],
    [12, { kind: 'burst', faultKind: prng.pick(burstFaults), scope: 'all-services' }],
    [6, { kind: 'burst', faultKind: prng.pick(mailBurstFaults), scope: 'mail' }],
  ]);
}

const minute = 60_000;

/** Time passes between what people do: mostly a little. A sweep that should have run by then is late. */
async function advanceTime({ system }: RunContext, prng: Prng): Promise<void> {
  const milliseconds = prng.weighted([
    [50, prng.below(5_000)],
    [25, minute * (1 + prng.below(3))],
    [12, 30 * minute],
    [8, 5 * 60 * minute],
    [4, 24 * 60 * minute],
    [1, 3 * 24 * 60 * minute],
  ]);
  if (milliseconds >= minute) await system.network.deliverLate();
  system.clock.milliseconds += milliseconds;
  const waiting = [...system.network.items.values()].some(
    (item) => Date.parse(String(item.nextActionAt)) < system.clock.milliseconds - 2 * minute,
  );
  if (waiting) system.network.countFault('sweep-late');
}

/** Nothing goes wrong any more: the schedule runs, time passes, and everything has to come to its end. */
async function runToCompletion(
  context: RunContext,
  prng: Prng,
  runGroup: (description: string, some: readonly Operation[], prng: Prng, profile: FaultProfile) => Promise<void>,
): Promise<void> {
  const { system } = context;
  await system.network.deliverLate();
  for (let round = 0; ; round += 1) {
    if (round > finalSweepsMax)
      throw new InvariantViolation('everything comes to its end', `after ${round} sweeps it has not`);
    while (context.pendingChanges.length > 0)
      await runGroup('the end', [deliverChanges(context, prng)], prng, noFaults);
    const decisions = forwardPending(context, prng, `#end-${round}-`);
    await runGroup('the end', [...decisions, sweep(context)], prng, noFaults);
    const times = [...system.network.items.values()].map((item) => String(item.nextActionAt ?? '~'));
    const next = times.toSorted()[0] ?? '~';
    if (next === '~' && decisions.length === 0) break;
    if (next !== '~') system.clock.milliseconds = Math.max(system.clock.milliseconds + minute, Date.parse(next));
  }
  checkFinalState(system.network.items, system.network.attemptedEmails);
  for (const key of valuesIn<Key>(system.network.items, 'KEY').map(({ value: state }) => state)) {
    const fillOperation =
      key.type === 'MAK' && key.state.status === 'live' ? fillToLimit(context, key, prng) : undefined;
    if (fillOperation !== undefined) await runGroup('the end', [fillOperation], prng, noFaults);
  }
  while (context.pendingChanges.length > 0) await runGroup('the end', [deliverChanges(context, prng)], prng, noFaults);
  while ([...system.network.items.keys()].some((name) => name.endsWith(' NOTIFICATION'))) {
    await runGroup('the end', [sweep(context)], prng, noFaults);
    system.clock.milliseconds += minute;
  }
  const running = system.workflows.executions().filter(({ status }) => status === 'RUNNING');
  if (running.length > 0) throw new InvariantViolation('every workflow ends', String(running[0]?.name));
}

/** Looks at the whole table with the product's own eyes, and whether the mirror that was judged was right. */
async function auditTable({ store, network, now }: SimulatedSystem): Promise<void> {
  for (const key of network.items.keys()) {
    const [owner = '', sort = ''] = key.split(' ');
    if (!['KEY', 'EXCEPTION', 'AGREEMENT'].includes(sort) || !owner.startsWith(sort)) continue;
    const verified = await verifyLedger(store, owner as `KEY#${string}`);
    if (verified.kind === 'broken')
      throw new InvariantViolation(
        'LED-2 every history verifies',
        `${owner}, entry ${verified.sequence}: ${verified.because}`,
      );
  }
  for (const [agreementId, seen] of await scanReferences(store)) {
    const { findings } = await checkAgreement(store, agreementId, now(), seen);
    const [first] = findings;
    if (first !== undefined)
      throw new InvariantViolation('check-counts finds nothing', `${first.subject}: ${first.problem}`);
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
      if (!isDeepStrictEqual(item, network.items.get(key))) throw new Error(`The mirror is wrong about ${key}.`);
    }
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey !== undefined);
  if (seen.size !== network.items.size)
    throw new Error(`The mirror has ${network.items.size} items, and the table ${seen.size}.`);
}
