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
 * `npm run simulate`: 20 seeds and 20,000 operations. Each seed runs in a process of its own, two at a time. Exits with
 * code 1 if an invariant is violated, or if a kind of fault occurred too rarely.
 *   -- --seed N [--operations M]   one seed; prints the trace of a failure
 *   -- --seeds K [--first N]       K seeds from N on, with M operations each
 *   -- --bugs                      injects each of the bugs and finds it
 *   -- --seed N --bug NAME         one seed with one of those bugs
 *   -- --shrink S                  shortens the trace of a failure for up to S seconds
 */

const cliOptions = {
  seed: { type: 'string' },
  seeds: { type: 'string', default: '20' },
  first: { type: 'string', default: '1' },
  operations: { type: 'string', default: '950' },
  bugs: { type: 'boolean', default: false },
  bug: { type: 'string' },
  shrink: { type: 'string', default: '100' },
  // For the processes that this command starts.
  child: { type: 'string' },
} as const;

/** Returns the options of the command line. An invalid option ends the process with one line on the terminal. */
function parseOptions() {
  try {
    const { values } = parseArgs({ options: cliOptions });
    for (const name of ['seed', 'seeds', 'first', 'operations', 'shrink'] as const) {
      const number = values[name];
      if (number !== undefined && !/^[1-9]\d{0,8}$/.test(number)) {
        throw new Error(`--${name} requires an integer of 1 or more. Example: npm run simulate -- --${name} 7`);
      }
    }
    if (values.bug !== undefined) findInjectedBug(values.bug);
    return values;
  } catch (error) {
    console.error(String(error instanceof Error ? error.message : error).split('\n')[0]);
    process.exit(2);
  }
}

const values = parseOptions();

/** The options of a process that runs one seed, as JSON. */
type ChildOptions = Omit<SimulationOptions, 'skippedGroups'> & { readonly skippedGroups: readonly number[] };

const concurrency = 2;
const faultsPerKindMin = 50;

async function runAsChild({ skippedGroups, ...options }: ChildOptions, bugName: string | undefined): Promise<never> {
  enableCompileCache();
  // The product reads it while it is loaded.
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
  if (bugName !== undefined) installBug(findInjectedBug(bugName));
  // This loads the product, with or without the bug.
  const { runSimulation } = await import('./run.ts');
  const run = await runSimulation({ ...options, skippedGroups: new Set(skippedGroups) });
  process.stdout.write(`${JSON.stringify(run)}\n`, () => process.exit(0));
  return Promise.withResolvers<never>().promise;
}

async function runInChild(options: ChildOptions, bugName?: string): Promise<Run> {
  const bugArgs = bugName === undefined ? [] : ['--bug', bugName];
  const command = ['test/simulation/main.ts', '--child', JSON.stringify(options), ...bugArgs];
  const child = spawn(process.execPath, command, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, errorOutput] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  if (!line.startsWith('{"seed"'))
    throw new Error(`The process of seed ${options.seed} printed no result: ${output}\n${errorOutput}`);
  return JSON.parse(line) as Run;
}

async function main(): Promise<number> {
  const operations = Number(values.operations);
  if (values.bugs) return findInjectedBugs(operations);
  const first = Number(values.seed ?? values.first);
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  const startedAt = performance.now();
  const seeds = Array.from({ length: count }, (_, index) => first + index);
  const runs: Run[] = [];
  await runConcurrently(seeds, async (seed) => {
    const run = await runInChild({ seed, operations, skippedGroups: [], stopAfter: null }, values.bug);
    runs.push(run);
    const { failure, traceHash, calls } = run;
    const outcome = failure === null ? 'passed' : `FAILED at operation ${failure.operation}: ${failure.because}`;
    console.log(`seed ${seed}: ${run.operations} operations, ${calls} events, trace ${traceHash}: ${outcome}`);
  });
  const counts = total(runs);
  const operationsRun = runs.reduce((sum, run) => sum + run.operations, 0);
  console.log(`\n${runs.length} ${runs.length === 1 ? 'run' : 'runs'}, ${operationsRun} operations. Injected faults:`);
  for (const kind of faultKinds) console.log(`  ${kind.padEnd(24)}${String(counts[kind] ?? 0).padStart(6)}`);
  console.log(`Duration: ${((performance.now() - startedAt) / 1000).toFixed(0)} s.`);

  const [failedRun] = runs
    .filter(({ failure }) => failure !== null)
    .toSorted((one, other) => one.operations - other.operations);
  if (failedRun !== undefined) {
    await shrinkAndPrint(failedRun, operations);
    return 1;
  }
  const rare = values.seed === undefined ? faultKinds.filter((kind) => (counts[kind] ?? 0) < faultsPerKindMin) : [];
  if (rare.length > 0) console.error(`These faults occurred fewer than ${faultsPerKindMin} times: ${rare.join(', ')}.`);
  return rare.length > 0 ? 1 : 0;
}

function total(runs: readonly Run[]): FaultCounts {
  const sums: FaultCounts = {};
  for (const { counts } of runs) {
    for (const [kind, count] of Object.entries(counts)) sums[kind] = (sums[kind] ?? 0) + count;
  }
  return sums;
}

async function runConcurrently<Each>(all: readonly Each[], act: (each: Each) => Promise<void>): Promise<void> {
  const remaining = all.values();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const each of remaining) await act(each);
    }),
  );
}

/** Leaves out groups that do not matter to a failure, as long as there is time, and prints the shortened trace. */
async function shrinkAndPrint(failedRun: Run, operations: number): Promise<void> {
  const { seed, failure } = failedRun;
  if (failure === null) return;
  const stopAfter = { group: failure.group, ending: failure.ending };
  const deadline = performance.now() + Number(values.shrink) * 1_000;
  let keptGroups = Array.from({ length: failure.group - (failure.ending ? 0 : 1) }, (_, index) => index + 1);
  let shortest = failedRun;
  const fails = async (groups: readonly number[]): Promise<Run | undefined> => {
    const skippedGroups = Array.from({ length: failure.group }, (_, index) => index + 1).filter(
      (group) => !groups.includes(group) && (failure.ending || group !== failure.group),
    );
    const run = await runInChild({ seed, operations, skippedGroups, stopAfter }, values.bug);
    return run.failure?.invariant === failure.invariant ? run : undefined;
  };
  for (let size = Math.ceil(keptGroups.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < keptGroups.length && performance.now() < deadline; ) {
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
  console.log(`A shorter trace of the same failure, with ${keptGroups.length} of ${failure.group} groups:\n`);
  const lines = shortest.trace.flatMap((groupTrace) => groupTrace.lines);
  console.log(lines.slice(-400).join('\n'));
  const bugOption = values.bug === undefined ? '' : ` --bug "${values.bug}"`;
  console.log(
    `\n${shortest.failure?.because}\nTo reproduce: npm run simulate -- --seed ${seed} --operations ${operations}${bugOption}`,
  );
}

const seedsPerBug = 8;

/** Injects each bug and runs seeds until an invariant is violated. Prints the table of docs/simulation.md. */
async function findInjectedBugs(operations: number): Promise<number> {
  // Fails early if a bug no longer fits the source. Otherwise the search for it would take an hour.
  for (const bug of injectedBugs) sourceWithBug(bug);
  const rows = new Map<string, string>();
  await runConcurrently(injectedBugs, async (bug: InjectedBug) => {
    let operationsRun = 0;
    for (let seed = 1; seed <= Math.min(Number(values.seeds), seedsPerBug); seed += 1) {
      const run = await runInChild({ seed, operations, skippedGroups: [], stopAfter: null }, bug.name);
      operationsRun += run.operations;
      if (run.failure === null) continue;
      if (run.failure.invariant === null)
        throw new Error(`With “${bug.name}”, the simulation itself failed: ${run.failure.because}`);
      rows.set(bug.name, `| ${bug.name}. | ${bug.file} | ${operationsRun} | ${run.failure.invariant}. |`);
      console.log(`found   ${bug.name}, after ${operationsRun} operations: ${run.failure.because.slice(0, 200)}`);
      return;
    }
    console.log(`MISSED  ${bug.name}, in ${operationsRun} operations`);
  });
  console.log('\n| injected bug | file | found after operations | violated invariant |\n|---|---|---:|---|');
  for (const { name } of injectedBugs) if (rows.has(name)) console.log(rows.get(name));
  console.log(`\n${rows.size} of ${injectedBugs.length} injected bugs were found.`);
  return rows.size === injectedBugs.length ? 0 : 1;
}

if (values.child !== undefined) await runAsChild(JSON.parse(values.child) as ChildOptions, values.bug);
else process.exitCode = await main();
