import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { z } from 'zod';
import type { EntryName } from '../functions/manifest.ts';
import { fileOf, manifest } from '../functions/manifest.ts';
import { bundleOptions } from '../infra/bundling.ts';
import { activationEvent, functionEnvironment } from './events.ts';
import { issueMakWithLimit, median, newStore, randomActivation, revealProductKey } from './fixture.ts';
import type { Measurement, RunOptions } from './report.ts';
import { activationUpdate } from './write-path.ts';

/** An empty handler, and one that has the SDK's client as it comes and does nothing but send it an update. */
const baselineSources = {
  empty: 'export const handler = async () => ({ statusCode: 204 });',
  bare: [
    "import { DynamoDBClient } from '@aws-sdk/client-dynamodb';",
    "import { DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';",
    'const client = DynamoDBDocumentClient.from(new DynamoDBClient({}));',
    'export const handler = (input) => client.send(new UpdateCommand(input));',
  ].join('\n'),
};

const pairsPerRound = 5;

/**
 * How large each Lambda's bundle is and how long it takes to load, beside an empty handler and the bare client; and how much
 * memory an activation function takes over many requests. The bundles are those that are deployed, and are loaded under the
 * options that Lambda is told.
 */
export async function measure({ rounds, isLong: long }: RunOptions): Promise<readonly Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-start-'));
  try {
    const names = Object.keys(manifest) as EntryName[];
    const bundles = new Map<string, string>();
    for (const [name, source] of Object.entries(baselineSources)) {
      const entry = join(folder, `${name}.source.mjs`);
      writeFileSync(entry, source);
      const outfile = join(folder, `${name}.mjs`);
      buildSync({ ...bundleOptions, entryPoints: [entry], outfile, nodePaths: ['node_modules'] });
      bundles.set(name, outfile);
    }
    for (const name of names) {
      const outfile = join(folder, `${name}.mjs`);
      buildSync({ ...bundleOptions, entryPoints: [fileOf(name)], outfile });
      bundles.set(name, outfile);
    }

    const times = new Map([...bundles.keys()].map((name) => [name, [] as number[]]));
    // Rounds are interleaved, so that a slow moment of the machine slows all alike.
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, path] of bundles) times.get(name)?.push(loadMilliseconds(path));
    }
    const loadingMeasurement = (name: string): Measurement => ({
      what: `loading ${name}`,
      value: median(times.get(name) ?? []),
      unit: 'ms',
      baseline: { what: 'KB', value: statSync(bundles.get(name) ?? '').size / 1024 },
    });
    // A start is short and easily disturbed, so the two that are compared are loaded more often, one after the other.
    const load = (name: string) => loadMilliseconds(bundles.get(name) ?? '');
    const ratios = Array.from({ length: rounds * pairsPerRound }, () => load('activation') / load('bare'));
    return [
      ...['empty', 'bare', ...names].map(loadingMeasurement),
      { what: 'loading activation, of the bare client', value: median(ratios), unit: '×', target: { atMost: 1.2 } },
      ...(await measureMemory(folder, bundles, long ? 10_000 : 1_000)),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const deployedEnvironment = { NODE_OPTIONS: '--enable-source-maps' };

/** Loads a bundle in a process of its own, and tells how long that alone took. */
function loadMilliseconds(path: string): number {
  const script = `const before = performance.now(); await import(${JSON.stringify(path)}); console.log(performance.now() - before);`;
  return Number(
    execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, ...deployedEnvironment },
      encoding: 'utf8',
    }),
  );
}

/** Calls the handler of a bundle with each line of a file, and tells the first call's time and the peak of the memory. */
const callerScript = `
  const [bundle, inputs] = process.argv.slice(1);
  const { createInterface } = await import('node:readline');
  const { createReadStream } = await import('node:fs');
  const { handler } = await import(bundle);
  let firstMilliseconds;
  for await (const line of createInterface(createReadStream(inputs))) {
    const before = performance.now();
    const { statusCode = 201 } = await handler(JSON.parse(line), {});
    firstMilliseconds ??= performance.now() - before;
    if (statusCode !== 201) throw new Error('A call was answered ' + statusCode);
  }
  process.send({ firstMilliseconds, peakMegabytes: process.resourceUsage().maxRSS / 1024 });
`;

async function measureMemory(
  folder: string,
  bundles: ReadonlyMap<string, string>,
  requests: number,
): Promise<readonly Measurement[]> {
  const store = await newStore();
  // So large that no bucket runs full: the bare client would not know where else to look.
  const layout = await issueMakWithLimit(store, 'MEMORY', requests * 6);
  const bareLayout = await issueMakWithLimit(store, 'BARE', requests * 6);
  const productKey = await revealProductKey(store, layout.keyId);
  const inputs = {
    activation: () => activationEvent(productKey),
    bare: () => activationUpdate(store, bareLayout, randomActivation()),
  };
  const runBundle = async (name: keyof typeof inputs) => {
    const file = join(folder, `${name}.jsonl`);
    writeFileSync(file, Array.from({ length: requests }, () => JSON.stringify(inputs[name]())).join('\n'));
    const child = spawn(process.execPath, ['--input-type=module', '-e', callerScript, bundles.get(name) ?? '', file], {
      env: { ...process.env, ...deployedEnvironment, ...functionEnvironment(store) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const message = once(child, 'message');
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`Calling ${name} over and over ended with ${code}.`);
    return z.object({ firstMilliseconds: z.number(), peakMegabytes: z.number() }).parse((await message)[0]);
  };
  const bare = await runBundle('bare');
  const activation = await runBundle('activation');
  return [
    {
      what: 'the first activation after loading',
      value: activation.firstMilliseconds,
      unit: 'ms',
      baseline: { what: 'ms bare', value: bare.firstMilliseconds },
    },
    {
      what: `peak memory over ${requests.toLocaleString('en-US')} activations`,
      value: activation.peakMegabytes,
      unit: 'MB',
      baseline: { what: 'MB bare', value: bare.peakMegabytes },
    },
  ];
}
