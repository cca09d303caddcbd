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
 * `npm run mutation` plants one small bug after another and runs the tests that should notice: in the rules of `domain/`,
 * with Stryker, and then in the conditions of the store's writes. `npm run mutation -- domain` and
 * `npm run mutation -- store` do one of the two; `-- store keys alerts` only the files whose names begin so, and
 * `-- domain -- --mutate domain/keys/mak.ts` passes on to Stryker. Ends with 1 when too many bugs go unnoticed.
 */

const reportFile = 'reports/mutation/mutation.json';
const concurrency = 2;
/** In percent. */
const scoreMin = 90;

const { positionals } = parseArgs({ allowPositionals: true });
const [target, ...rest] = positionals;
if (target !== undefined && target !== 'domain' && target !== 'store') {
  console.error('Say domain or store, or nothing for both: npm run mutation -- store');
  process.exit(2);
}
const results = [target === 'store' || (await mutateDomain()), target === 'domain' || (await mutateStore(rest))];
process.exitCode = results.every(Boolean) ? 0 : 1;

/**
 * Stryker switches its mutants on while a test runs. What is reckoned once, as a file is loaded, is over by then: for each
 * of these mutants it would start anew, and run every test there is. They are planted here instead, in the file itself.
 */
async function mutateDomain(): Promise<boolean> {
  const stryker = join(root, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  rmSync(join(root, reportFile), { force: true });
  await once(spawn(process.execPath, [stryker, 'run', ...rest], { cwd: root, stdio: 'inherit' }), 'exit');
  const report = JSON.parse(readProjectFile(reportFile)) as Report;
  const killedById = new Map<string, boolean>();
  const remaining = staticMutantsIn(report).values();
  const runStaticMutants = async () => {
    for (const { id, mutant } of remaining) {
      const failure = await findFailureWith(mutant, 'test/domain');
      killedById.set(id, failure !== undefined);
      if (failure === undefined) console.log(`SURVIVED ${mutant.file}:${mutant.line} ${mutant.what}`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, runStaticMutants));
  const rows = rowsOf(report, killedById);
  console.log(`\n${tableOf(rows)}`);
  return scoreOf(rows) >= scoreMin;
}

/** Plants each bug of the store's conditions, and says which test notices it. */
async function mutateStore(filePrefixes: readonly string[]): Promise<boolean> {
  const isSelected = (file: string) =>
    filePrefixes.length === 0 || filePrefixes.some((beginning) => file.startsWith(`store/${beginning}`));
  const mutants = projectFiles('store')
    .filter((file) => file.endsWith('.ts') && isSelected(file))
    .flatMap((file) => mutantsOf(file, readProjectFile(file)));
  const baselineFailure = await findFailureWith(null, 'test/store');
  if (baselineFailure !== undefined) {
    console.error(`The tests of the store fail as it stands: ${baselineFailure}`);
    return false;
  }
  const outcomes = { noticed: 0, redundant: 0, 'NOT NOTICED': 0 };
  for (const mutant of mutants) {
    const failure = await findFailureWith(mutant, 'test/store');
    const reason = redundancyReasonOf(mutant, mutants);
    const outcome = failure !== undefined ? 'noticed' : reason !== undefined ? 'redundant' : 'NOT NOTICED';
    outcomes[outcome] += 1;
    console.log(
      `${outcome.padEnd(11)} ${mutant.file}:${mutant.line} ${mutant.what}: ${failure ?? reason ?? 'by no test'}`,
    );
  }
  console.log(
    `${outcomes.noticed} of ${mutants.length} weakened conditions were noticed; ${outcomes['redundant']} are said by another as well.`,
  );
  return outcomes['NOT NOTICED'] === 0;
}
