import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { startEngine } from './fixture.ts';
import type { Effort, Row } from './report.ts';
import { isReached, markdown, missedIn, table } from './report.ts';

/*
 * `npm run bench`: measures what is fast, prints one table, and writes it to bench/results.json. Every ratio is taken
 * within this run. Names after the command choose some of the parts; `--long` takes longer, for figures to be quoted;
 * `--markdown` prints the table for a page.
 */

const parts = ['units', 'hot', 'growth', 'throughput', 'gateway', 'start', 'request', 'checks'] as const;
type Part = (typeof parts)[number];

type Choices = { readonly chosen: readonly Part[]; readonly effort: Effort; readonly asMarkdown: boolean };

/** What was chosen on the command line, or what is wrong with it. */
function choicesIn(words: readonly string[]): Choices | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: { long: { type: 'boolean', default: false }, markdown: { type: 'boolean', default: false } },
    });
    const unknown = positionals.find((name) => !parts.some((part) => part === name));
    if (unknown !== undefined) return `There is no part “${unknown}”. The parts are ${parts.join(', ')}.`;
    const chosen = parts.filter((part) => positionals.length === 0 || positionals.includes(part));
    return { chosen, effort: { rounds: values.long ? 25 : 5, long: values.long }, asMarkdown: values.markdown };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function main(words: readonly string[]): Promise<number> {
  const choices = choicesIn(words);
  if (typeof choices === 'string') {
    console.error(choices);
    return 2;
  }
  const { chosen, effort, asMarkdown } = choices;
  const began = performance.now();
  const engine = await startEngine();
  const measured: Record<string, readonly Row[]> = {};
  try {
    for (const part of chosen) {
      process.stderr.write(`measuring ${part} …\n`);
      const { measure } = (await import(`./${part}.ts`)) as { measure(effort: Effort): Promise<readonly Row[]> };
      measured[part] = await measure(effort);
    }
  } finally {
    await engine.stop();
  }
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.version}`;
  const at = new Date().toISOString();
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  writeFileSync('bench/results.json', `${JSON.stringify({ at, machine, effort, measured }, null, 2)}\n`);

  const missed = missedIn(measured);
  const failed = missed.filter(({ counted }) => counted);
  const withFigure = Object.values(measured)
    .flat()
    .filter((row) => isReached(row) !== undefined);
  console.log(`\n${asMarkdown ? markdown(measured) : table(measured)}`);
  console.log(`\n${at.slice(0, 10)}, ${machine}; ${effort.long ? 'a long' : 'a short'} run of ${minutes} minutes.`);
  console.log(
    `${withFigure.length - missed.length} of ${withFigure.length} figures are reached. All of it is in bench/results.json.`,
  );
  if (failed.length > 0) {
    console.log(`What is the same on every machine must be: ${failed.map(({ what }) => what).join('; ')}.`);
  }
  return failed.length > 0 ? 1 : 0;
}

process.exit(await main(process.argv.slice(2)));
