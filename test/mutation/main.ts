import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { projectFiles, readProjectFile, root } from '../project-files.ts';
import { mutantsOf, reasonOf } from './condition-mutants.ts';
import { failureWith } from './mutant-runner.ts';
import { type Report, rowsOf, scoreOf, staticMutantsIn, tableOf } from './report.ts';

/*
 * `npm run mutation` plants one small bug after another and runs the tests that should notice: in the rules of `domain/`,
 * with Stryker, and then in the conditions of the store's writes. `npm run mutation -- domain` and
 * `npm run mutation -- store` do one of the two; `-- store keys alerts` only the files whose names begin so, and
 * `-- domain -- --mutate domain/keys/mak.ts` passes on to Stryker. Ends with 1 when too many bugs go unnoticed.
 */

const reportFile = 'reports/mutation/mutation.json';
const atOnce = 2;
/** In percent. */
const leastScore = 90;

const { positionals } = parseArgs({ allowPositionals: true });
const [room, ...rest] = positionals;
if (room !== undefined && room !== 'domain' && room !== 'store') {
  console.error('Say domain or store, or nothing for both: npm run mutation -- store');
  process.exit(2);
}
const held = [room === 'store' || (await mutateDomain()), room === 'domain' || (await mutateStore(rest))];
process.exitCode = held.every(Boolean) ? 0 : 1;

/**
 * Stryker switches its mutants on while a test runs. What is reckoned once, as a file is loaded, is over by then: for each
 * of these mutants it would start anew, and run every test there is. They are planted here instead, in the file itself.
 */
async function mutateDomain(): Promise<boolean> {
  const stryker = join(root, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  rmSync(join(root, reportFile), { force: true });
  await once(spawn(process.execPath, [stryker, 'run', ...rest], { cwd: root, stdio: 'inherit' }), 'exit');
  const report = JSON.parse(readProjectFile(reportFile)) as Report;
  const found = new Map<string, boolean>();
  const left = staticMutantsIn(report).values();
  const judgeTheRest = async () => {
    for (const { id, mutant } of left) {
      const failure = await failureWith(mutant, 'test/domain');
      found.set(id, failure !== undefined);
      if (failure === undefined) console.log(`SURVIVED ${mutant.file}:${mutant.line} ${mutant.what}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, judgeTheRest));
  const rows = rowsOf(report, found);
  console.log(`\n${tableOf(rows)}`);
  return scoreOf(rows) >= leastScore;
}

/** Plants each bug of the store's conditions, and says which test notices it. */
async function mutateStore(beginnings: readonly string[]): Promise<boolean> {
  const isAsked = (file: string) =>
    beginnings.length === 0 || beginnings.some((beginning) => file.startsWith(`store/${beginning}`));
  const mutants = projectFiles('store')
    .filter((file) => file.endsWith('.ts') && isAsked(file))
    .flatMap((file) => mutantsOf(file, readProjectFile(file)));
  const untouched = await failureWith(null, 'test/store');
  if (untouched !== undefined) {
    console.error(`The tests of the store fail as it stands: ${untouched}`);
    return false;
  }
  const outcomes = { noticed: 0, 'said twice': 0, 'NOT NOTICED': 0 };
  for (const mutant of mutants) {
    const failure = await failureWith(mutant, 'test/store');
    const reason = reasonOf(mutant, mutants);
    const outcome = failure !== undefined ? 'noticed' : reason !== undefined ? 'said twice' : 'NOT NOTICED';
    outcomes[outcome] += 1;
    console.log(
      `${outcome.padEnd(11)} ${mutant.file}:${mutant.line} ${mutant.what}: ${failure ?? reason ?? 'by no test'}`,
    );
  }
  console.log(
    `${outcomes.noticed} of ${mutants.length} weakened conditions were noticed; ${outcomes['said twice']} are said by another as well.`,
  );
  return outcomes['NOT NOTICED'] === 0;
}
