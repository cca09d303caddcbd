import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Row } from './row.ts';
import { isReached, table } from './row.ts';
import { startEngine } from './world.ts';

/*
 * `npm run bench`: measures what is fast, prints one table, and writes it to bench/results.json. Every ratio is taken
 * within this run. Names after the command choose some of the parts.
 */

const parts = ['units', 'throughput', 'start'] as const;

async function main(): Promise<void> {
  const chosen = process.argv.slice(2);
  const engine = await startEngine();
  const measured: Record<string, readonly Row[]> = {};
  try {
    for (const part of parts.filter((name) => chosen.length === 0 || chosen.includes(name))) {
      const { measure } = (await import(`./${part}.ts`)) as { measure(): Promise<readonly Row[]> };
      const rows = await measure();
      measured[part] = rows;
      console.log(table(part, rows));
    }
  } finally {
    await engine.stop();
  }
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.version}`;
  writeFileSync('bench/results.json', JSON.stringify({ at: new Date().toISOString(), machine, measured }, null, 2));
  const missed = Object.values(measured)
    .flat()
    .filter((row) => isReached(row) === false);
  console.log(`\n${machine}`);
  console.log(missed.length === 0 ? 'Every figure is reached.' : `${missed.length} figures are not reached.`);
}

await main();
process.exit(0);
