import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { buildSync } from 'esbuild';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { type EntryName, entryNamesOf, fileOf } from '../../functions/manifest.ts';
import { Bundles, bundleOptions } from '../../infra/bundling.ts';

const names: readonly EntryName[] = [
  ...entryNamesOf('api'),
  ...entryNamesOf('step'),
  ...entryNamesOf('schedule'),
  ...entryNamesOf('stream'),
  ...entryNamesOf('inbound-mail'),
  ...entryNamesOf('delivery-events'),
];

/**
 * The bundles of all handlers, built together as for a deployment, each with its packages, its size, and its imports.
 */
const bundles = (() => {
  const { metafile } = buildSync({
    ...bundleOptions,
    entryPoints: names.map(fileOf),
    outdir: 'bundles',
    metafile: true,
    write: false,
  });
  return new Map(
    names.map((name) => {
      const output = Object.values(metafile.outputs).find(({ entryPoint }) => entryPoint === fileOf(name));
      if (output === undefined) throw new Error(`The function ${name} has no bundle.`);
      const inputs = Object.keys(output.inputs);
      const packages = inputs.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
      return [
        name,
        { ...output, packages: new Set(packages), importedPaths: output.imports.map(({ path }) => path) },
      ] as const;
    }),
  );
})();

const clientsOf = (name: EntryName) =>
  [...(bundles.get(name)?.packages ?? [])].filter((each) => each.startsWith('@aws-sdk/client-')).toSorted();

describe('the code of two functions', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bundles-'));
  afterAll(() => {
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  it('is a separate module for each, with the policy file in the same folder', () => {
    // The CDK prints a line for each bundle.
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const app = new App({ outdir: folder });
    const stack = new Stack(app, 'S');
    const files = ['functions/api/admin.ts', 'functions/steps/raise-limit.ts'];
    const bundledCode = new Bundles(files, 'policy.json');
    for (const file of files) {
      const code = bundledCode.codeOf(file);
      new LambdaFunction(stack, file, { code, runtime: Runtime.NODEJS_24_X, handler: 'index.handler' });
    }
    app.synth();
    const assets = readdirSync(folder).filter((name) => name.startsWith('asset.'));
    expect(assets).toHaveLength(files.length);
    for (const asset of assets) {
      expect(readdirSync(join(folder, asset)).toSorted()).toEqual(['index.mjs', 'index.mjs.map', 'policy.json']);
      const file = JSON.stringify(join(folder, asset, 'index.mjs'));
      const script = `import * as code from ${file}; console.log(typeof code.handler);`;
      const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
      expect(stdout).toBe('function\n');
    }
  });
});

describe('the bundle of a function', () => {
  it('for activation has only the DynamoDB client, because each further client slows down a cold start', () => {
    expect(clientsOf('activation')).toEqual(['@aws-sdk/client-dynamodb']);
    // The same check finds the other clients in the functions that need them.
    expect(clientsOf('sweep')).toEqual(['@aws-sdk/client-dynamodb', '@aws-sdk/client-sesv2', '@aws-sdk/client-sfn']);
  });

  it.each(names)('of %s exports a handler and imports only built-in modules of Node', (name) => {
    const { exports, importedPaths, bytes } = bundles.get(name) ?? {
      exports: [],
      importedPaths: ['nothing'],
      bytes: 0,
    };
    expect(exports).toContain('handler');
    expect(importedPaths.filter((each) => !isBuiltin(each))).toEqual([]);
    expect(bytes).toBeLessThan(2.5 * 1024 * 1024);
  });
});
