import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readProjectFile, root } from './project-files.ts';

describe('the linter', () => {
  const report = z.object({ diagnostics: z.array(z.object({ category: z.string() })) });

  /**
   * Returns the rules that a file of `domain` with this source violates, under the Biome configuration of this project.
   */
  function lint(source: string): string[] {
    const folder = mkdtempSync(join(tmpdir(), 'lint-'));
    try {
      for (const file of ['biome.json', 'package.json']) copyFileSync(join(root, file), join(folder, file));
      mkdirSync(join(folder, 'domain'));
      writeFileSync(join(folder, 'domain', 'planted.ts'), source);
      const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
      const options = ['lint', '--reporter=json', '--vcs-enabled=false', 'domain'];
      const { stdout } = spawnSync(process.execPath, [biome, ...options], { cwd: folder, encoding: 'utf8' });
      return report.parse(JSON.parse(stdout)).diagnostics.map(({ category }) => category.replace('lint/', ''));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  it.each([
    ['export const a = (b: any): unknown => b;', 'suspicious/noExplicitAny'],
    ['export const a = (b?: string): string => b!;', 'style/noNonNullAssertion'],
    ['// @ts-ignore\nexport const a: string = 1;', 'suspicious/noTsIgnore'],
    ['export enum A { B }', 'style/noEnum'],
    ['import { z } from "zod";', 'correctness/noUnusedImports'],
    ['import { z } from "zod"; export type A = z.ZodType;', 'style/useImportType'],
    ['const a = 1;', 'correctness/noUnusedVariables'],
    [
      'async function a(): Promise<void> {\n await 1;\n}\nexport function b(): void {\n a();\n}',
      'nursery/noFloatingPromises',
    ],
    ['import a from "not-declared"; export const b: unknown = a;', 'correctness/noUndeclaredDependencies'],
  ])('refuses %s', (source, rule) => {
    expect(lint(source)).toEqual([rule]);
  });

  it('accepts a valid file', () => {
    expect(lint('export const a = (b: string): string => b;\n')).toEqual([]);
  });
});

describe('the commands', () => {
  const manifest = z.object({
    scripts: z.record(z.string(), z.string()),
    dependencies: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
    optionalDependencies: z.record(z.string(), z.string()),
  });
  const { scripts, dependencies, devDependencies, optionalDependencies } = manifest.parse(
    JSON.parse(readProjectFile('package.json')),
  );

  /** Runs the version check as if Node had this version. */
  const checkVersion = (version: string) =>
    spawnSync(
      process.execPath,
      [
        '--import',
        `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`,
        join(root, 'local/require-node.js'),
      ],
      { encoding: 'utf8' },
    );

  it.each(Object.entries(scripts))('check the version of Node first: %s', (_, command) => {
    expect(command).toMatch(/^(node local\/require-node\.js && |npm run )/);
  });

  it.each(['start', 'demo'])('replace the shell with Node, because the shell does not forward signals: %s', (name) => {
    expect(scripts[name]).toMatch(/&& exec node /);
  });

  it('that `npm run check` runs are all in .ci/run', () => {
    const checked = [...(scripts.check ?? '').matchAll(/npm (?:run )?(\w+)/g)].map(([, name]) => name);
    expect(checked).toContain('lint');
    const run = readProjectFile('.ci/run');
    expect(checked.filter((name) => !new RegExp(`npm (run )?${name}\\b`).test(run))).toEqual([]);
  });

  it('refuse Node 23 with one line', () => {
    const { status, stdout, stderr } = checkVersion('23.11.1');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^This project requires Node 24 or later, but this is Node 23\.11\.1\. .+\n$/);
  });

  it.each(['24.0.0', '25.1.0'])('accept Node %s without output', (version) => {
    expect(checkVersion(version)).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  it('depend on packages with exact versions, each with a reason in docs/dependencies.md', () => {
    const packages = { ...dependencies, ...devDependencies, ...optionalDependencies };
    expect(Object.values(packages).filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
    const reasons = [...readProjectFile('docs/dependencies.md').matchAll(/^\| `(.+?)` \|/gm)].map(([, name]) => name);
    expect(reasons.toSorted()).toEqual(Object.keys(packages).toSorted());
  });
});
