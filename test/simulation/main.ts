import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { enableCompileCache } from 'node:module';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { root } from '../project-files.ts';
import type { FaultCounts } from './faults.ts';
import { faultKinds } from './faults.ts';
import type { InjectedBug } from './injected-bugs.ts';
import { findInjectedBug, injectedBugs, installBug, sourceWithBug } from './injected-bugs.ts';
import type { Run, SimulationOptions } from './run.ts';

/*
 * `npm run simulate`: twenty seeds and twenty thousand operations, each seed in a process of its own, two at a time. Ends
 * with 1 when a rule was broken or a kind of fault came too seldom to mean anything.
 *   -- --seed N [--operations M]   one seed, as it always goes; prints what led to a failure
 *   -- --seeds K [--first N]       so many seeds from N on, with M operations each
 *   -- --planted                   finds each of the bugs that are planted one by one
 *   -- --seed N --plant NAME       one seed with one of those bugs
 *   -- --shrink S                  looks so many seconds for a shorter history that fails as well
 */

const cliOptions = {
  seed: { type: 'string' },
  seeds: { type: 'string', default: '20' },
  first: { type: 'string', default: '1' },
  operations: { type: 'string', default: '950' },
  planted: { type: 'boolean', default: false },
  plant: { type: 'string' },
  shrink: { type: 'string', default: '100' },
  // What this command tells the processes that it starts.
  child: { type: 'string' },
} as const;

/** What was asked for. Whoever asks for what there is not is told so in one line. */
function parseOptions() {
  try {
    const { values } = parseArgs({ options: cliOptions });
    for (const name of ['seed', 'seeds', 'first', 'operations', 'shrink'] as const) {
      const number = values[name];
      if (number !== undefined && !/^[1-9]\d{0,8}$/.test(number)) {
        throw new Error(`--${name} takes a whole number from 1 on, such as: npm run simulate -- --${name} 7`);
      }
    }
    if (values.plant !== undefined) findInjectedBug(values.plant);
    return values;
  } catch (error) {
    console.error(String(error instanceof Error ? error.message : error).split('\n')[0]);
    process.exit(2);
  }
}

const values = parseOptions();

/** What a process of one seed is told. */
type ChildOptions = Omit<SimulationOptions, 'skippedGroups'> & { readonly skippedGroups: readonly number[] };

const concurrency = 2;
const faultsPerKindMin = 50;

async function runAsChild({ skippedGroups, ...options }: ChildOptions, bugName: string | undefined): Promise<never> {
  enableCompileCache();
  // It is read as the product is loaded.
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
  if (bugName !== undefined) installBug(findInjectedBug(bugName));
  // Only now is the product loaded, as it is or with the bug.
  const { runSimulation: run } = await import('./run.ts');
  const result = await run({ ...options, skippedGroups: new Set(skippedGroups) });
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  return Promise.withResolvers<never>().promise;
}

async function runInChild(options: ChildOptions, bugName?: string): Promise<Run> {
  const bugArgs = bugName === undefined ? [] : ['--plant', bugName];
  const command = ['test/simulation/main.ts', '--child', JSON.stringify(options), ...bugArgs];
  const child = spawn(process.execPath, command, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [printed, errorOutput] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const line = printed.trimEnd().split('\n').at(-1) ?? '';
  if (!line.startsWith('{"seed"')) throw new Error(`Seed ${options.seed} told nothing: ${printed}\n${errorOutput}`);
  return JSON.parse(line) as Run;
}

async function main(): Promise<number> {
  const operations = Number(values.operations);
  if (values.planted) return findInjectedBugs(operations);
  const first = Number(values.seed ?? values.first);
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  const startedAt = performance.now();
  const seeds = Array.from({ length: count }, (_, index) => first + index);
  const runs: Run[] = [];
  await runConcurrently(seeds, async (seed) => {
    const run = await runInChild({ seed, operations, skippedGroups: [], stopAfter: null }, values.plant);
    runs.push(run);
    const { failure, traceHash, calls } = run;
    const outcome = failure === null ? 'holds' : `FAILED at operation ${failure.operation}: ${failure.because}`;
    console.log(`seed ${seed}: ${run.operations} operations, ${calls} events, history ${traceHash}: ${outcome}`);
  });
  const counts = total(runs);
  console.log(
    `\n${runs.reduce((sum, run) => sum + run.operations, 0)} operations in ${runs.length} histories. What went wrong on the way:`,
  );
  for (const kind of faultKinds) console.log(`  ${kind.padEnd(24)}${String(counts[kind] ?? 0).padStart(6)}`);
  console.log(`It took ${((performance.now() - startedAt) / 1000).toFixed(0)} s.`);

  const [failedRun] = runs
    .filter(({ failure }) => failure !== null)
    .toSorted((one, other) => one.operations - other.operations);
  if (failedRun !== undefined) {
    await shrinkAndPrint(failedRun, operations);
    return 1;
  }
  const seldom = values.seed === undefined ? faultKinds.filter((kind) => (counts[kind] ?? 0) < faultsPerKindMin) : [];
  if (seldom.length > 0)
    console.error(`These came less than ${faultsPerKindMin} times, too seldom: ${seldom.join(', ')}.`);
  return seldom.length > 0 ? 1 : 0;
}

function total(runs: readonly Run[]): FaultCounts {
  const sums: FaultCounts = {};
  for (const { counts } of runs) {
    for (const [kind, count] of Object.entries(counts)) sums[kind] = (sums[kind] ?? 0) + count;
  }
  return sums;
}

async function runConcurrently<Each>(all: readonly Each[], act: (each: Each) => Promise<void>): Promise<void> {
  const left = all.values();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const each of left) await act(each);
    }),
  );
}

/** Leaves out what does not matter, as long as there is time, and prints what is left of the history. */
async function shrinkAndPrint(failedRun: Run, operations: number): Promise<void> {
  const { seed, failure } = failedRun;
  if (failure === null) return;
  const stopAfter = { group: failure.group, ending: failure.ending };
  const until = performance.now() + Number(values.shrink) * 1_000;
  let keptGroups = Array.from({ length: failure.group - (failure.ending ? 0 : 1) }, (_, index) => index + 1);
  let shortest = failedRun;
  const fails = async (groups: readonly number[]): Promise<Run | undefined> => {
    const skippedGroups = Array.from({ length: failure.group }, (_, index) => index + 1).filter(
      (group) => !groups.includes(group) && (failure.ending || group !== failure.group),
    );
    const run = await runInChild({ seed, operations, skippedGroups, stopAfter }, values.plant);
    return run.failure?.rule === failure.rule ? run : undefined;
  };
  for (let size = Math.ceil(keptGroups.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < keptGroups.length && performance.now() < until; ) {
      const fewer = [...keptGroups.slice(0, start), ...keptGroups.slice(start + size)];
      const run = await fails(fewer);
      if (run === undefined) start += size;
      else {
        keptGroups = fewer;
        shortest = run;
      }
    }
  }
  console.log(`\nSeed ${seed}, operation ${failure.operation}: ${failure.because}`);
  console.log(`A shorter history that fails as well: ${keptGroups.length} of ${failure.group} groups.\n`);
  const lines = shortest.trace.flatMap(({ lines: some }) => some);
  console.log(lines.slice(-400).join('\n'));
  console.log(`\n${shortest.failure?.because}\nAgain: npm run simulate -- --seed ${seed} --operations ${operations}`);
}

const seedsPerBug = 8;

/** Plants each bug in turn and lives through seeds until a rule says so. Prints the table of docs/simulation.md. */
async function findInjectedBugs(operations: number): Promise<number> {
  // One that no longer fits into the product would be looked for in vain, for an hour.
  for (const bug of injectedBugs) sourceWithBug(bug);
  const rows = new Map<string, string>();
  await runConcurrently(injectedBugs, async (bug: InjectedBug) => {
    let operationsRun = 0;
    for (let seed = 1; seed <= Math.min(Number(values.seeds), seedsPerBug); seed += 1) {
      const run = await runInChild({ seed, operations, skippedGroups: [], stopAfter: null }, bug.name);
      operationsRun += run.operations;
      if (run.failure === null) continue;
      if (run.failure.rule === null)
        throw new Error(`With “${bug.name}” it went wrong by itself: ${run.failure.because}`);
      rows.set(bug.name, `| ${bug.name} | ${bug.file} | ${operationsRun} | ${run.failure.rule} |`);
      console.log(`found   ${bug.name}, after ${operationsRun} operations: ${run.failure.because.slice(0, 200)}`);
      return;
    }
    console.log(`MISSED  ${bug.name}, in ${operationsRun} operations`);
  });
  console.log('\n| bug | where | found after operations | by the rule |\n|---|---|---|---|');
  for (const { name } of injectedBugs) if (rows.has(name)) console.log(rows.get(name));
  console.log(`\n${rows.size} of ${injectedBugs.length} planted bugs were found.`);
  return rows.size === injectedBugs.length ? 0 : 1;
}

if (values.child !== undefined) await runAsChild(JSON.parse(values.child) as ChildOptions, values.plant);
else process.exitCode = await main();
