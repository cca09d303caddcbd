import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { root } from '../project-files.ts';
import { fuzz, printed } from './fuzz.ts';

/*
 * `npm run fuzz -- --requests N --seed S`: requests made of the published description, valid, nearly so and hostile,
 * against a local system that is started for it. Ends with 1 when an answer is not as described.
 */

const { values } = parseArgs({ options: { requests: { type: 'string' }, seed: { type: 'string' } } });
const requests = Number(values.requests ?? 20_000);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (![requests, seed].every(Number.isInteger)) {
  console.error('Say how many requests and which seed: npm run fuzz -- --requests 20000 --seed 1');
  process.exit(2);
}

const child = spawn(process.execPath, ['local/main.ts', '--end-with-parent'], {
  cwd: root,
  env: { ...process.env, PORT: '0', SEED: 'none' },
  // Its standard input tells it when we are gone, and the faults that it logs are what we are looking for.
  stdio: ['pipe', 'pipe', 'inherit'],
});
let address = '';
for await (const line of createInterface(child.stdout)) {
  address = /^ready (\S+)/.exec(line)?.[1] ?? '';
  if (address !== '') break;
}
child.stdout.resume();
if (address === '') throw new Error('The system did not start.');

const report = await fuzz(address, requests, seed);
console.log(printed(report));
child.kill('SIGTERM');
await once(child, 'exit');
process.exitCode = report.failures.length === 0 ? 0 : 1;
