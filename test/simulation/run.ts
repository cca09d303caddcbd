import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { Key } from '../../domain/keys/key.ts';
import { verifyLedger } from '../../store/ledger.ts';
import { checkAgreement } from '../../store/reconciliation.ts';
import { scanReferences } from '../../store/table-scan.ts';
import type { FaultCounts, FaultProfile } from './faults.ts';
import { burstFaults, emailBurstFaults, noFaults } from './faults.ts';
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
  /** A hash of the trace: two runs with equal hashes made the same calls in the same order. */
  readonly traceHash: string;
  readonly failure: {
    readonly group: number;
    readonly ending: boolean;
    readonly operation: number;
    readonly because: string;
    /** The violated invariant; null when the simulation itself failed. */
    readonly invariant: string | null;
  } | null;
  /** The events of each group of a failed run; empty for other runs. */
  readonly trace: readonly GroupTrace[];
};

/** The lines of a group's trace that are kept for a failure. */
const traceLinesMax = 400;

/** After this many sweeps at the end, something never ends. */
const finalSweepsMax = 3_000;

export type SimulationOptions = {
  readonly seed: number;
  readonly operations: number;
  /** Groups that are left out, to find out which of them matter to a failure. */
  readonly skippedGroups: ReadonlySet<number>;
  /** The last group, and whether the final phase follows it; null for all operations and the final phase. */
  readonly stopAfter: { readonly group: number; readonly ending: boolean } | null;
};

/** Runs operations in groups of concurrent ones. In the final phase, the clock advances until nothing is due. */
export async function runSimulation({ seed, operations, skippedGroups, stopAfter }: SimulationOptions): Promise<Run> {
  const model = newModel();
  const past: ObservedPast = { rounds: new Map(), agreements: new Map() };
  let sequence = 0;
  const systemReference: { system: SimulatedSystem | undefined } = { system: undefined };
  const pendingChanges: RunContext['pendingChanges'] = [];
  const system = await startSimulatedSystem(seed, (changes, images, by) => {
    for (const image of images) {
      if (!image.key.startsWith('KEY#')) continue;
      sequence += 1;
      pendingChanges.push({ ...image, sequence: String(sequence) });
    }
    if (systemReference.system === undefined) return;
    const { network, clock } = systemReference.system;
    checkWrites(changes, network.items, model, past, by, clock.milliseconds, network.attemptedEmails);
  });
  systemReference.system = system;
  const context: RunContext = { system, model, pendingChanges, repeatable: [], deferredChecks: [] };
  const { network } = system;
  const hash = createHash('sha256');
  const groupTraces: GroupTrace[] = [];
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
      groupTraces.push({ group, lines: network.trace.slice(0, traceLinesMax) });
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
      invariant: error instanceof InvariantViolation ? error.invariant : null,
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
    trace: failure === null ? [] : groupTraces,
  };
}

async function runAll(operations: readonly Operation[], system: SimulatedSystem): Promise<void> {
  let completed = 0;
  const failures: { error: unknown }[] = [];
  for (const operation of operations) {
    operation.run().then(
      () => {
        completed += 1;
      },
      (error: unknown) => {
        completed += 1;
        failures.push({ error });
      },
    );
  }
  await system.network.runUntilIdle();
  const [failure] = failures;
  if (failure !== undefined) throw failure.error;
  if (completed < operations.length)
    throw new InvariantViolation(
      'Every operation completes',
      operations.map(({ description }) => description).join(' | '),
    );
}

function drawFaultProfile(prng: Prng): FaultProfile {
  return prng.weighted<FaultProfile>([
    [30, noFaults],
    [52, { kind: 'low' }],
    [12, { kind: 'burst', faultKind: prng.pick(burstFaults), scope: 'all-services' }],
    [6, { kind: 'burst', faultKind: prng.pick(emailBurstFaults), scope: 'email' }],
  ]);
}

const minute = 60_000;

/** Advances the clock between two groups, mostly a little. A sweep that is due by then is late. */
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
  const isSweepLate = [...system.network.items.values()].some(
    (item) => Date.parse(String(item.nextActionAt)) < system.clock.milliseconds - 2 * minute,
  );
  if (isSweepLate) system.network.countFault('sweep-late');
}

/** Runs the schedule without faults and advances the clock until nothing is due. Then everything must have ended. */
async function runToCompletion(
  context: RunContext,
  prng: Prng,
  runGroup: (description: string, operations: readonly Operation[], prng: Prng, profile: FaultProfile) => Promise<void>,
): Promise<void> {
  const { system } = context;
  await system.network.deliverLate();
  for (let round = 0; ; round += 1) {
    if (round > finalSweepsMax) throw new InvariantViolation('Everything ends', `not within ${round} sweeps`);
    while (context.pendingChanges.length > 0)
      await runGroup('final phase', [deliverChanges(context, prng)], prng, noFaults);
    const decisions = forwardPending(context, prng, `#end-${round}-`);
    await runGroup('final phase', [...decisions, sweep(context)], prng, noFaults);
    const dueTimes = [...system.network.items.values()].flatMap(({ nextActionAt }) =>
      nextActionAt === undefined ? [] : [Date.parse(String(nextActionAt))],
    );
    if (dueTimes.length > 0)
      system.clock.milliseconds = Math.max(system.clock.milliseconds + minute, Math.min(...dueTimes));
    else if (decisions.length === 0) break;
  }
  checkFinalState(system.network.items, system.network.attemptedEmails);
  for (const { value: key } of valuesIn<Key>(system.network.items, 'KEY')) {
    const fillOperation =
      key.type === 'MAK' && key.state.status === 'live' ? fillToLimit(context, key, prng) : undefined;
    if (fillOperation !== undefined) await runGroup('final phase', [fillOperation], prng, noFaults);
  }
  while (context.pendingChanges.length > 0)
    await runGroup('final phase', [deliverChanges(context, prng)], prng, noFaults);
  while ([...system.network.items.keys()].some((name) => name.endsWith(' NOTIFICATION'))) {
    await runGroup('final phase', [sweep(context)], prng, noFaults);
    system.clock.milliseconds += minute;
  }
  const running = system.workflows.executions().filter(({ status }) => status === 'RUNNING');
  if (running.length > 0) throw new InvariantViolation('Every execution ends', String(running[0]?.name));
}

/** Checks the complete table with the product's own functions, and compares it with the mirror that was checked. */
async function auditTable({ store, network, now }: SimulatedSystem): Promise<void> {
  for (const key of network.items.keys()) {
    const [owner = '', sort = ''] = key.split(' ');
    if (!['KEY', 'EXCEPTION', 'AGREEMENT'].includes(sort) || !owner.startsWith(sort)) continue;
    const verified = await verifyLedger(store, owner as `KEY#${string}`);
    if (verified.kind === 'broken')
      throw new InvariantViolation(
        'LED-2 Every ledger verifies',
        `${owner}, entry ${verified.sequence}: ${verified.because}`,
      );
  }
  for (const [agreementId, references] of await scanReferences(store)) {
    const { findings } = await checkAgreement(store, agreementId, now(), references);
    const [finding] = findings;
    if (finding !== undefined)
      throw new InvariantViolation('reconcile finds nothing', `${finding.subject}: ${finding.problem}`);
  }
  const scannedKeys = new Set<string>();
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
      scannedKeys.add(key);
      if (!isDeepStrictEqual(item, network.items.get(key))) throw new Error(`The mirror of ${key} is wrong.`);
    }
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey !== undefined);
  if (scannedKeys.size !== network.items.size)
    throw new Error(`The mirror has ${network.items.size} items, and the table has ${scannedKeys.size}.`);
}
