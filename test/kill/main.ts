import { parseArgs } from 'node:util';
import { runKillTest } from './kill.ts';
import { newStatistics, summaryOf } from './statistics.ts';
import { RunEndedError } from './system-process.ts';

/*
 * `npm run kill-test -- --kills N --seed S`: kills the local system N times at random moments, as a power failure
 * would, while customers use it. Exits with code 1 if a change is lost, recorded twice, or inconsistent. The seed
 * determines the operations and the time between kills. The exact instruction at which a kill strikes depends on the
 * machine. Every twenty kills, the test continues with an empty folder: each start delivers the records of the table's
 * stream again, and would take longer and longer.
 */

const killsOnOneFolder = 20;
const problemsShown = 20;

function parseOptions(): { kills: number; seed: number } | undefined {
  const options = { kills: { type: 'string', default: '100' }, seed: { type: 'string' } } as const;
  try {
    const { values } = parseArgs({ options });
    const kills = Number(values.kills);
    const seed = Number(values.seed ?? Date.now() % 1_000_000);
    return [kills, seed].every((number) => Number.isInteger(number) && number > 0) ? { kills, seed } : undefined;
  } catch {
    return undefined;
  }
}

/** Returns true if there were no problems. */
async function run(kills: number, seed: number, signal: AbortSignal): Promise<boolean> {
  const statistics = newStatistics();
  for (let folder = 0; statistics.kills < kills; folder += 1) {
    const killsOnFolder = Math.min(killsOnOneFolder, kills - statistics.kills);
    const problems = await runKillTest({
      kills: killsOnFolder,
      seed: seed + folder,
      concurrency: 4,
      statistics,
      signal,
    });
    if (problems.length > 0) {
      console.log(`${summaryOf(statistics)}\n\nFAILED after ${statistics.kills} kills:`);
      for (const problem of problems.slice(0, problemsShown)) console.log(`  ${problem}`);
      if (problems.length > problemsShown) console.log(`  … and ${problems.length - problemsShown} more`);
      console.log(`To repeat: npm run kill-test -- --kills ${killsOnFolder} --seed ${seed + folder}`);
      return false;
    }
    console.log(`${statistics.kills} kills, ${statistics.acknowledged} acknowledged operations: no errors.`);
  }
  console.log(`\n${summaryOf(statistics)}\nNo errors: nothing is lost, recorded twice, or inconsistent.`);
  return true;
}

async function main(): Promise<number> {
  const options = parseOptions();
  if (options === undefined) {
    console.error('--kills and --seed require integers of 1 or more: npm run kill-test -- --kills 100 --seed 1');
    return 2;
  }
  const stop = new AbortController();
  // A Ctrl-C can arrive twice: from the terminal and from npm.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  const startedAt = performance.now();
  console.log(`${options.kills} kills with seed ${options.seed}`);
  try {
    const hasPassed = await run(options.kills, options.seed, stop.signal);
    console.log(`Duration: ${((performance.now() - startedAt) / 1000).toFixed(0)} s.`);
    return hasPassed ? 0 : 1;
  } catch (error) {
    if (!(error instanceof RunEndedError)) throw error;
    return 130;
  }
}

process.exit(await main());
