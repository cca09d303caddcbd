import { parseArgs } from 'node:util';
import { runKillTest } from './kill.ts';
import { newStatistics, summaryOf } from './statistics.ts';
import { RunEndedError } from './system-process.ts';

/*
 * `npm run kill-test -- --kills N --seed S`: kills the local system as a power cut would, N times at random moments, while
 * customers deal with it. Ends with 1 when something was lost, is there twice, or does not fit together. The seed says who
 * does what and how long each life lasts; where exactly a kill strikes is up to the machine. Every twenty kills it begins
 * anew with an empty folder: a start hands over again what the table's stream still has, and would take ever longer.
 */

const killsOnOneFolder = 20;
const findingsShown = 20;

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

/** Answers with whether all was well. */
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
      console.log(`${summaryOf(statistics)}\n\nWRONG after ${statistics.kills} kills:`);
      for (const finding of problems.slice(0, findingsShown)) console.log(`  ${finding}`);
      if (problems.length > findingsShown) console.log(`  … and ${problems.length - findingsShown} more`);
      console.log(`Again: npm run kill-test -- --kills ${killsOnFolder} --seed ${seed + folder}`);
      return false;
    }
    console.log(`${statistics.kills} kills, ${statistics.acknowledged} operations acknowledged: all is well.`);
  }
  console.log(`\n${summaryOf(statistics)}\nNothing is lost, nothing is there twice, and everything fits together.`);
  return true;
}

async function main(): Promise<number> {
  const options = parseOptions();
  if (options === undefined) {
    console.error('Say whole numbers from 1 on: npm run kill-test -- --kills 100 --seed 1');
    return 2;
  }
  const stop = new AbortController();
  // npm passes a Ctrl-C on that the terminal has sent already.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  const startedAt = performance.now();
  console.log(`${options.kills} kills to come, with seed ${options.seed}.`);
  try {
    const isWell = await run(options.kills, options.seed, stop.signal);
    console.log(`It took ${((performance.now() - startedAt) / 1000).toFixed(0)} s.`);
    return isWell ? 0 : 1;
  } catch (error) {
    if (!(error instanceof RunEndedError)) throw error;
    return 130;
  }
}

process.exit(await main());
