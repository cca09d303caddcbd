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

/** Sources of an empty handler, and of one that only sends an update with the unmodified SDK client. */
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
 * Measures the size and the load time of each Lambda function's bundle, compared with an empty handler and the bare
 * client, and the memory of the activation function over many requests. The bundles are built and loaded with their
 * deployment options.
 */
export async function measure({ rounds, isLong }: RunOptions): Promise<readonly Measurement[]> {
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
    // The rounds alternate, so that a slow moment of the machine affects all bundles.
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, path] of bundles) times.get(name)?.push(loadMilliseconds(path));
    }
    const loadingMeasurement = (name: string): Measurement => ({
      label: `loading ${name}`,
      value: median(times.get(name) ?? []),
      unit: 'ms',
      baseline: { label: 'KB', value: statSync(bundles.get(name) ?? '').size / 1024 },
    });
    // A load is short and easily disturbed. The two that are compared are loaded more often, one after the other.
    const load = (name: string) => loadMilliseconds(bundles.get(name) ?? '');
    const ratios = Array.from({ length: rounds * pairsPerRound }, () => load('activation') / load('bare'));
    return [
      ...['empty', 'bare', ...names].map(loadingMeasurement),
      {
        label: 'loading activation, relative to the bare client',
        value: median(ratios),
        unit: '×',
        target: { atMost: 1.2 },
      },
      ...(await measureMemory(folder, bundles, isLong ? 10_000 : 1_000)),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const deployedEnvironment = { NODE_OPTIONS: '--enable-source-maps' };

/** Loads a bundle in a new process and returns the load time. */
function loadMilliseconds(path: string): number {
  const script = `const startedAt = performance.now(); await import(${JSON.stringify(path)}); console.log(performance.now() - startedAt);`;
  return Number(
    execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, ...deployedEnvironment },
      encoding: 'utf8',
    }),
  );
}

/**
 * Calls the handler of a bundle with each line of a file, and sends the duration of the first call and the peak memory.
 */
const callerScript = `
  const [bundle, inputs] = process.argv.slice(1);
  const { createInterface } = await import('node:readline');
  const { createReadStream } = await import('node:fs');
  const { handler } = await import(bundle);
  let firstMilliseconds;
  for await (const line of createInterface(createReadStream(inputs))) {
    const startedAt = performance.now();
    const { statusCode = 201 } = await handler(JSON.parse(line), {});
    firstMilliseconds ??= performance.now() - startedAt;
    if (statusCode !== 201) throw new Error('A call returned ' + statusCode);
  }
  process.send({ firstMilliseconds, peakMegabytes: process.resourceUsage().maxRSS / 1024 });
`;

async function measureMemory(
  folder: string,
  bundles: ReadonlyMap<string, string>,
  requests: number,
): Promise<readonly Measurement[]> {
  const store = await newStore();
  // So large that no bucket becomes full, because the bare client does not look for slots in other buckets.
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
    if (code !== 0) throw new Error(`The process that called ${name} exited with code ${code}.`);
    return z.object({ firstMilliseconds: z.number(), peakMegabytes: z.number() }).parse((await message)[0]);
  };
  const bare = await runBundle('bare');
  const activation = await runBundle('activation');
  return [
    {
      label: 'the first activation after loading',
      value: activation.firstMilliseconds,
      unit: 'ms',
      baseline: { label: 'ms bare', value: bare.firstMilliseconds },
    },
    {
      label: `peak memory over ${requests.toLocaleString('en-US')} activations`,
      value: activation.peakMegabytes,
      unit: 'MB',
      baseline: { label: 'MB bare', value: bare.peakMegabytes },
    },
  ];
}
