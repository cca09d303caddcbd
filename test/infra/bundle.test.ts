import { builtinModules } from 'node:module';
import { buildSync } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { type EntryName, fileOf, manifest } from '../../functions/manifest.ts';
import { bundleOptions } from '../../infra/bundle.ts';

const builtin = new Set(builtinModules);

/** The packages that end up in the bundle of an entry, and its size in bytes. */
function bundled(name: EntryName) {
  const { metafile, outputFiles } = buildSync({
    ...bundleOptions,
    entryPoints: [fileOf(name)],
    outfile: 'index.mjs',
    metafile: true,
    write: false,
  });
  const inputs = Object.keys(metafile.inputs);
  const packages = new Set(inputs.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []));
  const code = outputFiles.find(({ path }) => path.endsWith('.mjs'));
  return { packages, bytes: code?.contents.length ?? 0, text: code?.text ?? '' };
}

describe('the bundle of a function', () => {
  it('for activation has no client that it does not need: each costs every start', () => {
    const { packages } = bundled('activation');
    expect(packages).toContain('@aws-sdk/client-dynamodb');
    expect([...packages].filter((each) => /client-(sfn|sesv2|s3|secrets-manager)/.test(each))).toEqual([]);
    // The same look finds them where they belong.
    expect(bundled('sweep').packages).toContain('@aws-sdk/client-sfn');
    expect(bundled('sweep').packages).toContain('@aws-sdk/client-sesv2');
  });

  it.each(Object.keys(manifest) as EntryName[])(
    'of %s is whole: a module with a handler and nothing left to install',
    (name) => {
      const { text, bytes } = bundled(name);
      const left = [...text.matchAll(/(?:from|import)\s*"([^"]+)"/g)].map(([, from = '']) => from);
      expect(left.filter((from) => !from.startsWith('node:') && !builtin.has(from))).toEqual([]);
      expect(text).toMatch(/export\s*\{[^}]*as handler[^}]*\}/);
      expect(bytes).toBeLessThan(2 * 1024 * 1024);
    },
  );
});
