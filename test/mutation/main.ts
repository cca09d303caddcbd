import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { projectFiles, readProjectFile, root } from '../project-files.ts';
import { mutantsOf, redundancyReasonOf } from './condition-mutants.ts';
import { findFailureWith } from './mutant-runner.ts';
import { type Report, rowsOf, scoreOf, staticMutantsIn, tableOf } from './report.ts';

/*
 * `npm run mutation` injects one small bug after another and runs the tests that should detect it: in the rules of
 * `domain/`, with Stryker, and then in the conditions of the store's writes. `npm run mutation -- domain` and `npm run
 * mutation -- store` run one part. `-- store keys mak` selects the files whose names start with these words, and `--
 * domain -- --mutate domain/keys/mak.ts` passes options to Stryker. Exits with code 1 if too many bugs are undetected.
 */

const reportFile = 'reports/mutation/mutation.json';
const concurrency = 2;
const scorePercentMin = 90;

const { positionals } = parseArgs({ allowPositionals: true });
const [target, ...rest] = positionals;
if (target !== undefined && target !== 'domain' && target !== 'store') {
  console.error('The argument is domain or store. Without one, both parts run. Example: npm run mutation -- store');
  process.exit(2);
}
const results = [target === 'store' || (await mutateDomain()), target === 'domain' || (await mutateStore(rest))];
process.exitCode = results.every(Boolean) ? 0 : 1;

/**
 * Mutates the rules. Stryker switches its mutants on while a test runs, which is too late for code that runs when a
 * file is loaded: for each such static mutant, it would restart and run every test. These are written into the file
 * instead.
 */
async function mutateDomain(): Promise<boolean> {
  const stryker = join(root, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  rmSync(join(root, reportFile), { force: true });
  await once(spawn(process.execPath, [stryker, 'run', ...rest], { cwd: root, stdio: 'inherit' }), 'exit');
  const report = JSON.parse(readProjectFile(reportFile)) as Report;
  const detectedById = new Map<string, boolean>();
  const remaining = staticMutantsIn(report).values();
  const runStaticMutants = async () => {
    for (const { id, mutant } of remaining) {
      const failure = await findFailureWith(mutant, 'test/domain');
      detectedById.set(id, failure !== undefined);
      if (failure === undefined) console.log(`UNDETECTED ${mutant.file}:${mutant.line} ${mutant.description}`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, runStaticMutants));
  const rows = rowsOf(report, detectedById);
  console.log(`\n${tableOf(rows)}`);
  return scoreOf(rows) >= scorePercentMin;
}

/** Mutates the conditions of the store, and prints the test that detects each mutant. */
async function mutateStore(filePrefixes: readonly string[]): Promise<boolean> {
  const isSelected = (file: string) =>
    filePrefixes.length === 0 || filePrefixes.some((prefix) => file.startsWith(`store/${prefix}`));
  const mutants = projectFiles('store')
    .filter((file) => file.endsWith('.ts') && isSelected(file))
    .flatMap((file) => mutantsOf(file, readProjectFile(file)));
  const baselineFailure = await findFailureWith(null, 'test/store');
  if (baselineFailure !== undefined) {
    console.error(`The tests of the store fail without a mutant: ${baselineFailure}`);
    return false;
  }
  const outcomes = { detected: 0, redundant: 0, UNDETECTED: 0 };
  for (const mutant of mutants) {
    const failure = await findFailureWith(mutant, 'test/store');
    const reason = redundancyReasonOf(mutant, mutants);
    const outcome = failure !== undefined ? 'detected' : reason !== undefined ? 'redundant' : 'UNDETECTED';
    outcomes[outcome] += 1;
    console.log(
      `${outcome.padEnd(10)} ${mutant.file}:${mutant.line} ${mutant.description}: ${failure ?? reason ?? 'by no test'}`,
    );
  }
  console.log(
    `${outcomes.detected} of ${mutants.length} weakened conditions were detected. ${outcomes.redundant} are redundant.`,
  );
  return outcomes.UNDETECTED === 0;
}
