import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
// biome-ignore lint/suspicious/noDeprecatedImports: only another of its signatures is deprecated.
import { createVitest, type TestRunResult, type TestSpecification } from 'vitest/node';
import { projectFiles, readProjectFile, root } from '../project-files.ts';
import { type Mutant, mutantsOf } from './conditions.ts';

/*
 * `npm run mutation` plants one small bug after another and runs the tests that should notice: in the rules of `domain/`,
 * with Stryker, and then in the conditions of the store's writes. `npm run mutation -- domain` and
 * `npm run mutation -- store` do one of the two; `-- store keys alerts` only the files whose names begin so, and
 * `-- domain -- --mutate domain/mak.ts` passes on to Stryker. Ends with 1 when too many bugs go unnoticed.
 */

const { positionals } = parseArgs({ allowPositionals: true });
const [room, ...rest] = positionals;
if (room !== undefined && room !== 'domain' && room !== 'store') {
  console.error('Say domain or store, or nothing for both: npm run mutation -- store');
  process.exit(2);
}
const held = [room === 'store' || (await mutateDomain()), room === 'domain' || (await mutateStore(rest))];
process.exitCode = held.every(Boolean) ? 0 : 1;

async function mutateDomain(): Promise<boolean> {
  const stryker = join(root, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  const [code] = await once(
    spawn(process.execPath, [stryker, 'run', ...rest], { cwd: root, stdio: 'inherit' }),
    'exit',
  );
  return code === 0;
}

/** Plants each bug of the store's conditions, and says which test notices it. */
async function mutateStore(beginnings: readonly string[]): Promise<boolean> {
  const isAsked = (file: string) =>
    beginnings.length === 0 || beginnings.some((beginning) => file.startsWith(`store/${beginning}`));
  const mutants = projectFiles('store')
    .filter((file) => file.endsWith('.ts') && isAsked(file))
    .flatMap((file) => mutantsOf(file, readProjectFile(file)));
  const untouched = await failureWith(null);
  if (untouched !== undefined) {
    console.error(`The tests of the store fail as it stands: ${untouched}`);
    return false;
  }
  let survivors = 0;
  for (const mutant of mutants) {
    const failure = await failureWith(mutant);
    if (failure === undefined) survivors += 1;
    const where = `${mutant.file}:${mutant.line} ${mutant.what}`;
    console.log(failure === undefined ? `SURVIVED ${where}` : `killed   ${where}: ${failure}`);
  }
  console.log(`${mutants.length - survivors} of ${mutants.length} weakened conditions were noticed.`);
  return survivors === 0;
}

/** The first test of the store that fails with a bug planted, those of its own file going first; `undefined` if none does. */
async function failureWith(mutant: Mutant | null): Promise<string | undefined> {
  let isPlanted = mutant === null;
  const vitest = await createVitest(
    {
      root,
      config: false,
      watch: false,
      bail: 1,
      // It would keep what has a bug planted, and give what has none.
      fsModuleCache: false,
      include: ['test/store/**/*.test.ts'],
      reporters: [{}],
      silent: true,
      testTimeout: 120_000,
      hookTimeout: 120_000,
    },
    {
      plugins: [
        {
          name: 'plant-a-bug',
          enforce: 'pre',
          transform(code, id) {
            if (mutant === null || id !== join(root, mutant.file)) return undefined;
            isPlanted = true;
            return code.slice(0, mutant.start) + mutant.text + code.slice(mutant.end);
          },
        },
      ],
    },
  );
  try {
    const tests = await vitest.globTestSpecifications();
    const isOwn = ({ moduleId }: TestSpecification) =>
      mutant !== null && basename(moduleId) === `${basename(mutant.file, '.ts')}.test.ts`;
    for (const some of [tests.filter(isOwn), tests.filter((test) => !isOwn(test))]) {
      const failure = some.length === 0 ? undefined : failureIn(await vitest.runTestSpecifications(some));
      if (failure !== undefined) return failure;
    }
    if (!isPlanted) throw new Error(`No test has loaded ${mutant?.file}.`);
    return undefined;
  } finally {
    await vitest.close();
    // What the tests ended with is not what this program ends with.
    process.exitCode = 0;
  }
}

/** The name of the first test that failed, or `undefined` when all passed. */
function failureIn({ testModules, unhandledErrors }: TestRunResult): string | undefined {
  if (testModules.length === 0) throw new Error('No test was run.');
  for (const module of testModules) {
    for (const test of module.children.allTests('failed')) {
      // A write that the database cannot read is a bug of the mutant, and notices nothing.
      const unreadable = test.result().errors?.find(({ message }) => message.includes('ValidationException'));
      if (unreadable !== undefined) throw new Error(unreadable.message);
      return test.fullName;
    }
    if (module.state() === 'failed') return module.relativeModuleId;
  }
  return unhandledErrors.length > 0 ? String(unhandledErrors[0]) : undefined;
}
