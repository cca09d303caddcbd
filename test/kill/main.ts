import { parseArgs } from 'node:util';
import { killAgainAndAgain } from './kill.ts';
import { newTally, summaryOf } from './statistics.ts';
import { Ended } from './system-process.ts';

/*
 * `npm run kill-test -- --kills N --seed S`: kills the local system as a power cut would, N times at random moments, while
 * customers deal with it. Ends with 1 when something was lost, is there twice, or does not fit together. The seed says who
 * does what and how long each life lasts; where exactly a kill strikes is up to the machine. Every twenty kills it begins
 * anew with an empty folder: a start hands over again what the table's stream still has, and would take ever longer.
 */

const killsOnOneFolder = 20;
const findingsShown = 20;

function choices(): { kills: number; seed: number } | undefined {
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
  const tally = newTally();
  for (let folder = 0; tally.kills < kills; folder += 1) {
    const some = Math.min(killsOnOneFolder, kills - tally.kills);
    const wrong = await killAgainAndAgain({ kills: some, seed: seed + folder, atOnce: 4, tally, signal });
    if (wrong.length > 0) {
      console.log(`${summaryOf(tally)}\n\nWRONG after ${tally.kills} kills:`);
      for (const finding of wrong.slice(0, findingsShown)) console.log(`  ${finding}`);
      if (wrong.length > findingsShown) console.log(`  … and ${wrong.length - findingsShown} more`);
      console.log(`Again: npm run kill-test -- --kills ${some} --seed ${seed + folder}`);
      return false;
    }
    console.log(`${tally.kills} kills, ${tally.acknowledged} operations acknowledged: all is well.`);
  }
  console.log(`\n${summaryOf(tally)}\nNothing is lost, nothing is there twice, and everything fits together.`);
  return true;
}

async function main(): Promise<number> {
  const chosen = choices();
  if (chosen === undefined) {
    console.error('Say whole numbers from 1 on: npm run kill-test -- --kills 100 --seed 1');
    return 2;
  }
  const stop = new AbortController();
  // npm passes a Ctrl-C on that the terminal has sent already.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  const began = performance.now();
  console.log(`${chosen.kills} kills to come, with seed ${chosen.seed}.`);
  try {
    const isWell = await run(chosen.kills, chosen.seed, stop.signal);
    console.log(`It took ${((performance.now() - began) / 1000).toFixed(0)} s.`);
    return isWell ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    return 130;
  }
}

process.exit(await main());
