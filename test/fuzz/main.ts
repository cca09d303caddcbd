import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { policy } from '../builders.ts';
import { root } from '../project-files.ts';
import type { Report } from './fuzz.ts';
import { formatReport, fuzz, mergeReports } from './fuzz.ts';

/*
 * `npm run fuzz -- --requests N --seed S`: generates valid, nearly valid, and hostile requests from the OpenAPI
 * document and sends them to local systems that it starts. Exits with code 1 if a response is not as described.
 */

/** A system becomes slower as its data grows. */
const requestsPerSystem = 2_500;
const concurrency = 2;

const { values } = parseArgs({ options: { requests: { type: 'string' }, seed: { type: 'string' } } });
const requests = Number(values.requests ?? 20_000);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (![requests, seed].every(Number.isInteger) || requests < 1) {
  console.error('--requests and --seed require integers: npm run fuzz -- --requests 20000 --seed 1');
  process.exit(2);
}

// Every fourth system sends all codes separately from links (APR-7). One route succeeds only there.
const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
process.once('exit', () => rmSync(folder, { recursive: true }));
const strictPolicy = join(folder, 'policy.json');
writeFileSync(strictPolicy, JSON.stringify({ ...policy, approval: { ...policy.approval, strict: 'always' } }));
const isStrict = (part: number) => part % 4 === 1;

/** Starts an empty system, sends it a part of the requests, and stops it. */
async function runOne(part: number): Promise<Report> {
  const child = spawn(process.execPath, ['local/main.ts', '--end-with-parent'], {
    cwd: root,
    env: { ...process.env, PORT: '0', SEED: 'none', ...(isStrict(part) ? { POLICY_FILE: strictPolicy } : {}) },
    // The system ends when its standard input closes. Its log is shown, because it explains faults.
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let address = '';
  for await (const line of createInterface(child.stdout)) {
    address = /^ready (\S+)/.exec(line)?.[1] ?? '';
    if (address !== '') break;
  }
  child.stdout.resume();
  if (address === '') throw new Error('The system did not start.');
  try {
    const remaining = requests - part * requestsPerSystem;
    return await fuzz(address, Math.min(remaining, requestsPerSystem), seed + part * 1_000_003);
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}

const startedAt = performance.now();
const parts = Array.from({ length: Math.ceil(requests / requestsPerSystem) }, (_, part) => part).values();
const reports: Report[] = [];
await Promise.all(
  Array.from({ length: concurrency }, async () => {
    for (const part of parts) reports.push(await runOne(part));
  }),
);
const report = mergeReports(reports, seed);
console.log(formatReport(report));
console.log(`Duration: ${((performance.now() - startedAt) / 1000).toFixed(0)} s.`);
process.exitCode = report.failures.length === 0 ? 0 : 1;
