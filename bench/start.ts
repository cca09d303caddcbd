import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { fileOf, manifest } from '../functions/manifest.ts';
import type { Row } from './row.ts';
import { median } from './world.ts';

const rounds = 15;

/** How large each Lambda's bundle is and how long it takes to load, beside an empty handler and the bare SDK client. */
export async function measure(): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-start-'));
  try {
    const plain = {
      empty: 'export const handler = async () => ({ statusCode: 204 });',
      bare: [
        "import { DynamoDBClient } from '@aws-sdk/client-dynamodb';",
        "import { DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';",
        'const client = DynamoDBDocumentClient.from(new DynamoDBClient({}));',
        'export const handler = (input) => client.send(new UpdateCommand(input));',
      ].join('\n'),
    };
    const bundles = new Map<string, string>();
    for (const [name, source] of Object.entries(plain)) {
      const entry = join(folder, `${name}.src.mjs`);
      writeFileSync(entry, source);
      bundles.set(name, bundle(entry, join(folder, `${name}.mjs`)));
    }
    const names = Object.keys(manifest) as (keyof typeof manifest)[];
    for (const name of names) bundles.set(name, bundle(fileOf(name), join(folder, `${name}.mjs`)));

    const times = new Map([...bundles.keys()].map((name) => [name, [] as number[]]));
    // Rounds are interleaved, so that a slow moment of the machine slows all alike.
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, path] of bundles) times.get(name)?.push(loadMilliseconds(path));
    }
    const time = (name: string) => median(times.get(name) ?? []);
    const kilobytes = (name: string) => statSync(bundles.get(name) ?? '').size / 1024;
    return [
      { what: 'loading an empty handler', measured: time('empty'), unit: 'ms' },
      {
        what: 'loading the bare SDK client',
        measured: time('bare'),
        unit: 'ms',
        beside: { what: 'KB', measured: kilobytes('bare') },
      },
      ...names.map((name) => ({
        what: `loading ${name}`,
        measured: time(name),
        unit: 'ms',
        beside: { what: 'KB', measured: kilobytes(name) },
      })),
      {
        what: 'activation beside the bare client',
        measured: time('activation') / time('bare'),
        unit: '×',
        reach: { atMost: 1.2 },
      },
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function bundle(entry: string, outfile: string): string {
  buildSync({
    entryPoints: [entry],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    nodePaths: ['node_modules'],
    logLevel: 'error',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  return outfile;
}

/** Loads a bundle in a process of its own, and tells how long the import alone took. */
function loadMilliseconds(path: string): number {
  const script = `const before = performance.now(); await import(${JSON.stringify(path)}); console.log(performance.now() - before);`;
  const environment = { ...process.env, AWS_REGION: 'us-east-1' };
  return Number(
    execFileSync(process.execPath, ['--input-type=module', '-e', script], { env: environment, encoding: 'utf8' }),
  );
}
