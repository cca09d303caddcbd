import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { instant } from '../../domain/calendar/instant.ts';
import { createPrng } from '../simulation/prng.ts';
import { auditCustomer, auditTable, countDuplicateEmails } from './audit.ts';
import type { CustomerRecord } from './customer.ts';
import { itemsIn, team, textIn } from './customer.ts';
import type { Statistics } from './statistics.ts';
import type { SendOnce, SystemProcess } from './system-process.ts';
import { createSystemProcess, RunEndedError } from './system-process.ts';
import { runCustomer } from './workload.ts';

export type KillTestOptions = {
  readonly kills: number;
  readonly seed: number;
  /** The number of customers that use the system at the same time. */
  readonly concurrency: number;
  /** The totals that the test adds to. */
  readonly statistics: Statistics;
  /** Aborts the test, which then throws `RunEndedError`. */
  readonly signal?: AbortSignal;
};

/** Longer than any request can be open, including the time to find a lost execution. */
const finalAdvances = ['P20D', 'P20D', 'P20D'];

const acknowledgmentsPerProcessMax = 80;

/** Ten times as long as a customer needs. */
const completionTimeoutMilliseconds = 600_000;

/**
 * Kills the local system repeatedly while customers use it, and checks the table after each start. At the end, it
 * checks that no acknowledged change is lost, nothing is recorded twice, and everything has ended. Stops at the first
 * error and returns the problems. Leaves no process and no folder behind.
 */
export async function runKillTest(options: KillTestOptions): Promise<readonly string[]> {
  if (options.signal?.aborted) throw new RunEndedError();
  const folder = mkdtempSync(join(tmpdir(), 'kill-'));
  const system = createSystemProcess(folder, options.statistics);
  options.signal?.addEventListener('abort', () => void system.end());
  try {
    return await runKills(options, folder, system);
  } finally {
    await system.end();
    // An emulator that was still starting ends a moment after the process that started it.
    rmSync(folder, { recursive: true, maxRetries: 20, retryDelay: 50 });
  }
}

async function runKills(options: KillTestOptions, folder: string, system: SystemProcess): Promise<readonly string[]> {
  const { kills, seed, concurrency, statistics, signal } = options;
  const { problems } = system;
  const prng = createPrng(seed, 1);
  const customerRecords: CustomerRecord[] = [];
  const activeCustomers = new Set<CustomerRecord>();
  let customers = 0;
  let stopping = false;

  const untilStopping = async (act: () => Promise<void>) => {
    try {
      while (!stopping) await act();
    } catch (error) {
      if (!(error instanceof RunEndedError))
        problems.push(error instanceof Error ? String(error.stack) : String(error));
    }
  };
  const runNextCustomer = async () => {
    customers += 1;
    const onStart = (customerRecord: CustomerRecord) => {
      statistics.customers += 1;
      customerRecords.push(customerRecord);
      activeCustomers.add(customerRecord);
    };
    activeCustomers.delete(await runCustomer(system, createPrng(seed, 2, customers), 1_000 + customers, onStart));
  };
  const clockPrng = createPrng(seed, 3);
  // A long advance lets requests lapse that are about to be decided. Both outcomes are intended.
  const advanceClock = async () => {
    await sleep(400 + clockPrng.below(1_200));
    await system.advanceClock(
      clockPrng.weighted([
        [6, 'PT10M'],
        [3, 'PT3H'],
        [1, 'P1D'],
      ]),
    );
  };
  const startCustomers = () => [
    ...Array.from({ length: concurrency }, () => untilStopping(runNextCustomer)),
    untilStopping(advanceClock),
  ];

  const now = async (sendOnce: SendOnce) => {
    const response = await sendOnce({ method: 'GET', path: '/_local/clock' });
    return instant(textIn(response?.body, 'now'));
  };
  /** Lets the system recover after a start, and then checks the table for the active customers. */
  const auditActiveCustomers = async (sendOnce: SendOnce): Promise<readonly string[]> => {
    await sendOnce({ method: 'POST', path: '/_local/clock', body: { advance: 'PT1S' } });
    const ids = [...activeCustomers].map(({ agreementId }) => agreementId);
    return auditTable(system.dynamoDbEndpoint(), folder, ids, await now(sendOnce), statistics);
  };
  const auditAll = async (isOver: boolean): Promise<readonly string[]> => {
    // The workflow is still processing the last decisions.
    await system.advanceClock('PT1S');
    const findings: string[] = [];
    for (const customerRecord of customerRecords)
      findings.push(...(await auditCustomer(system.send, customerRecord, isOver)));
    const tableFindings = await auditTable(
      system.dynamoDbEndpoint(),
      folder,
      undefined,
      await now(system.send),
      statistics,
    );
    return [...findings, ...tableFindings];
  };

  let startMilliseconds = 0;
  const start = async () => {
    const startedAt = performance.now();
    await system.start(auditActiveCustomers);
    startMilliseconds = performance.now() - startedAt;
  };
  let killsLeft = kills;
  const kill = async () => {
    await system.kill(prng);
    killsLeft -= 1;
  };
  await start();
  const customerRuns = startCustomers();
  while (killsLeft > 0 && problems.length === 0) {
    // The time until a kill is counted in operations, so that it does not depend on the speed of the machine.
    const acknowledgmentsBeforeKill = statistics.acknowledged + prng.below(acknowledgmentsPerProcessMax);
    while (statistics.acknowledged < acknowledgmentsBeforeKill && problems.length === 0 && !signal?.aborted)
      await sleep(1);
    await sleep(prng.below(30));
    await kill();
    // Some processes are killed before they are ready, or while they recover.
    while (killsLeft > 0 && prng.chance(0.2)) {
      const starting = system.start(auditActiveCustomers);
      await Promise.race([starting, sleep(startMilliseconds * prng.pick([0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9]))]);
      await kill();
      await starting;
    }
    await start();
  }
  if (problems.length > 0) return problems;

  // The active customers finish, and no new ones start.
  stopping = true;
  await Promise.race([Promise.all(customerRuns), sleep(completionTimeoutMilliseconds, undefined, { ref: false })]);
  for (const { agreementId } of activeCustomers) problems.push(`${agreementId} did not finish.`);
  if (problems.length === 0) problems.push(...(await auditAll(false)));
  if (problems.length > 0) return problems;
  for (const duration of finalAdvances) await system.advanceClock(duration);
  problems.push(...(await auditAll(true)));
  await recordOutcome(system, customerRecords, statistics);
  return problems;
}

/** Adds the outcomes of all customers to the totals. */
async function recordOutcome(
  { send }: SystemProcess,
  customerRecords: readonly CustomerRecord[],
  statistics: Statistics,
): Promise<void> {
  for (const { agreementId, computers } of customerRecords) {
    statistics.activations += [...computers.values()].filter(({ activationId }) => activationId !== null).length;
    const { body } = await send({ method: 'GET', path: `/exceptions?agreementId=${agreementId}`, caller: team });
    for (const request of itemsIn(body)) {
      const status = textIn(request, 'status');
      statistics.outcomes.set(status, (statistics.outcomes.get(status) ?? 0) + 1);
    }
  }
  const { body: emails } = await send({ method: 'GET', path: '/_local/mail' });
  statistics.duplicateEmails += countDuplicateEmails(itemsIn(emails));
}
