import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { instant } from '../../domain/calendar/instant.ts';
import { createPrng } from '../simulation/prng.ts';
import { auditCustomer, auditTable, repeatedMails } from './audit.ts';
import type { Statistics } from './statistics.ts';
import type { SendOnce, SystemProcess } from './system-process.ts';
import { createSystemProcess, RunEndedError } from './system-process.ts';
import type { CustomerRecord } from './workload.ts';
import { itemsIn, runCustomer, team, textIn } from './workload.ts';

export type KillTestOptions = {
  readonly kills: number;
  readonly seed: number;
  /** How many customers deal with the system at once. */
  readonly concurrency: number;
  /** What happens is added to it. */
  readonly statistics: Statistics;
  /** Breaks it off: what comes of it is `Ended` then. */
  readonly signal?: AbortSignal;
};

/** Longer than any request may be open, with what a lost workflow takes to be found. */
const finalAdvances = ['P20D', 'P20D', 'P20D'];

/** In operations that are acknowledged. */
const acknowledgmentsPerLifeMax = 80;

/** What a customer needs to come to an end, ten times over. */
const completionTimeoutMilliseconds = 600_000;

/**
 * Kills the local system again and again while customers deal with it, at any moment of its life, and checks after each
 * start that everything fits together; in the end, that nothing that was acknowledged is lost, nothing is there twice, and
 * all that was begun came to its end. Stops at the first thing that is wrong, and answers with what is. Leaves no process
 * and no folder behind.
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
    // An engine that was just being started ends a moment after who started it.
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
  const timePrng = createPrng(seed, 3);
  // What is wound on far lets requests lapse that people are about to decide; both are wanted.
  const advanceTime = async () => {
    await sleep(400 + timePrng.below(1_200));
    await system.advanceClock(
      timePrng.weighted([
        [6, 'PT10M'],
        [3, 'PT3H'],
        [1, 'P1D'],
      ]),
    );
  };
  const startCustomers = () => [
    ...Array.from({ length: concurrency }, () => untilStopping(runNextCustomer)),
    untilStopping(advanceTime),
  ];

  const now = async (sendOnce: SendOnce) => {
    const response = await sendOnce({ method: 'GET', path: '/_local/clock' });
    return instant(textIn(response?.body, 'now'));
  };
  /** Lets what is begun again after a start come to rest, and looks whether what customers are at fits together. */
  const auditActiveCustomers = async (sendOnce: SendOnce): Promise<readonly string[]> => {
    await sendOnce({ method: 'POST', path: '/_local/clock', body: { advance: 'PT1S' } });
    const ids = [...activeCustomers].map(({ agreementId }) => agreementId);
    return auditTable(system.engine(), folder, ids, await now(sendOnce), statistics);
  };
  const auditAll = async (isOver: boolean): Promise<readonly string[]> => {
    // What was decided last is still being passed on.
    await system.advanceClock('PT1S');
    const findings: string[] = [];
    for (const customerRecord of customerRecords)
      findings.push(...(await auditCustomer(system.send, customerRecord, isOver)));
    return [...findings, ...(await auditTable(system.engine(), folder, undefined, await now(system.send), statistics))];
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
    // A life is as long as what is done in it, so that a slow machine has as much to lose.
    const acknowledgmentsBeforeKill = statistics.acknowledged + prng.below(acknowledgmentsPerLifeMax);
    while (statistics.acknowledged < acknowledgmentsBeforeKill && problems.length === 0 && !signal?.aborted)
      await sleep(1);
    await sleep(prng.below(30));
    await kill();
    // Some are killed before they are up, or while they take up again what was left.
    while (killsLeft > 0 && prng.chance(0.2)) {
      const starting = system.start(auditActiveCustomers);
      await Promise.race([starting, sleep(startMilliseconds * prng.pick([0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9]))]);
      await kill();
      await starting;
    }
    await start();
  }
  if (problems.length > 0) return problems;

  // What was begun is finished, and nothing is begun any more.
  stopping = true;
  await Promise.race([Promise.all(customerRuns), sleep(completionTimeoutMilliseconds, undefined, { ref: false })]);
  for (const { agreementId } of activeCustomers) problems.push(`${agreementId} did not come to an end.`);
  if (problems.length === 0) problems.push(...(await auditAll(false)));
  if (problems.length > 0) return problems;
  for (const duration of finalAdvances) await system.advanceClock(duration);
  problems.push(...(await auditAll(true)));
  await recordOutcome(system, customerRecords, statistics);
  return problems;
}

/** Adds up what came of it all. */
async function recordOutcome(
  { send }: SystemProcess,
  customerRecords: readonly CustomerRecord[],
  statistics: Statistics,
): Promise<void> {
  for (const { agreementId, machines } of customerRecords) {
    statistics.activations += [...machines.values()].filter(({ activationId }) => activationId !== null).length;
    const { body } = await send({ method: 'GET', path: `/exceptions?agreementId=${agreementId}`, as: team });
    for (const request of itemsIn(body)) {
      const status = textIn(request, 'status');
      statistics.outcomes.set(status, (statistics.outcomes.get(status) ?? 0) + 1);
    }
  }
  const { body: mails } = await send({ method: 'GET', path: '/_local/mail' });
  statistics.repeatedMails += repeatedMails(itemsIn(mails));
}
