import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { startEmulator } from './fixture.ts';
import type { Measurement, RunOptions } from './report.ts';
import { markdown, meetsTarget, missedTargets, table } from './report.ts';

/*
 * `npm run bench`: measures, prints one table, and writes it to bench/results.json. Every ratio comes from one run.
 * Names after the command select parts. `--long` takes longer and gives the numbers to quote. `--markdown` prints the
 * table for docs/performance.md.
 */

const parts = [
  'units',
  'activation-throughput',
  'growth',
  'write-path',
  'gateway',
  'cold-start',
  'exception-request',
  'pure-functions',
] as const;
type Part = (typeof parts)[number];

type CommandLine = { readonly selected: readonly Part[]; readonly options: RunOptions; readonly asMarkdown: boolean };

/** Returns the command line, or a sentence that says what is wrong with it. */
function parseCommandLine(args: readonly string[]): CommandLine | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { long: { type: 'boolean', default: false }, markdown: { type: 'boolean', default: false } },
    });
    const unknown = positionals.find((name) => !parts.some((part) => part === name));
    if (unknown !== undefined) return `There is no part “${unknown}”. The parts are ${parts.join(', ')}.`;
    const selected = parts.filter((part) => positionals.length === 0 || positionals.includes(part));
    return { selected, options: { rounds: values.long ? 25 : 5, isLong: values.long }, asMarkdown: values.markdown };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function main(args: readonly string[]): Promise<number> {
  const commandLine = parseCommandLine(args);
  if (typeof commandLine === 'string') {
    console.error(commandLine);
    return 2;
  }
  const { selected, options, asMarkdown } = commandLine;
  const startedAt = performance.now();
  const emulator = await startEmulator();
  const report: Record<string, readonly Measurement[]> = {};
  try {
    for (const part of selected) {
      process.stderr.write(`measuring ${part} …\n`);
      const { measure } = (await import(`./${part}.ts`)) as {
        measure(options: RunOptions): Promise<readonly Measurement[]>;
      };
      report[part] = await measure(options);
    }
  } finally {
    await emulator.stop();
  }
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.version}`;
  const at = new Date().toISOString();
  const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
  writeFileSync('bench/results.json', `${JSON.stringify({ at, machine, options, report }, null, 2)}\n`);

  const missed = missedTargets(report);
  const failed = missed.filter(({ isDeterministic }) => isDeterministic);
  const withTarget = Object.values(report)
    .flat()
    .filter((measurement) => meetsTarget(measurement) !== undefined);
  console.log(`\n${asMarkdown ? markdown(report) : table(report)}`);
  console.log(`\n${at.slice(0, 10)}, ${machine}, ${options.isLong ? 'long' : 'short'} run, ${minutes} minutes.`);
  console.log(
    `${withTarget.length - missed.length} of ${withTarget.length} targets are met. The results are in bench/results.json.`,
  );
  if (failed.length > 0) {
    console.log(`Counted values that miss their target: ${failed.map(({ label }) => label).join('; ')}.`);
  }
  return failed.length > 0 ? 1 : 0;
}

process.exit(await main(process.argv.slice(2)));
