import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
// biome-ignore lint/suspicious/noDeprecatedImports: only another of its signatures is deprecated.
import { createVitest, type TestRunResult, type TestSpecification, type Vitest } from 'vitest/node';
import { root } from '../project-files.ts';
import type { Mutant } from './condition-mutants.ts';

/** Far longer than all tests of a folder take. */
const runMillisecondsMax = 120_000;

/**
 * The first test in a folder that fails with a bug planted, those of its own file going first; `undefined` if none does.
 * With no bug it says whether the tests pass as they are. Throws when no test has loaded what the bug was planted in.
 */
export async function findFailureWith(mutant: Mutant | null, folder: string): Promise<string | undefined> {
  let isApplied = mutant === null;
  const vitest = await createVitest(
    {
      root,
      config: false,
      watch: false,
      bail: 1,
      // It would keep what has a bug planted, and give what has none.
      fsModuleCache: false,
      include: [`${folder}/**/*.test.ts`],
      // Those alone that load the file, whatever they load it through.
      ...(mutant !== null && { related: [join(root, mutant.file)] }),
      reporters: [{}],
      silent: true,
      testTimeout: 120_000,
      hookTimeout: 120_000,
    },
    {
      plugins: [
        {
          name: 'inject-mutant',
          enforce: 'pre',
          transform(code, id) {
            if (mutant === null || id !== join(root, mutant.file)) return undefined;
            isApplied = true;
            return code.slice(0, mutant.start) + mutant.text + code.slice(mutant.end);
          },
        },
      ],
    },
  );
  try {
    const tests = await vitest.getRelevantTestSpecifications();
    const isOwn = ({ moduleId }: TestSpecification) =>
      mutant !== null && basename(moduleId) === `${basename(mutant.file, '.ts')}.test.ts`;
    for (const specifications of [tests.filter(isOwn), tests.filter((test) => !isOwn(test))]) {
      const failure = specifications.length === 0 ? undefined : await runUntilFailure(vitest, specifications);
      if (failure !== undefined) return failure;
    }
    if (!isApplied) throw new Error(`No test has loaded ${mutant?.file}.`);
    return undefined;
  } finally {
    await vitest.close();
    // What the tests ended with is not what this program ends with.
    process.exitCode = 0;
  }
}

/** A test that never ends has noticed the bug, as one that fails. */
async function runUntilFailure(vitest: Vitest, specifications: TestSpecification[]): Promise<string | undefined> {
  const timeout = new AbortController();
  const timedOut = wait(runMillisecondsMax, 'it never ends', { signal: timeout.signal });
  try {
    return await Promise.race([vitest.runTestSpecifications(specifications).then(failureIn), timedOut]);
  } finally {
    timeout.abort();
    timedOut.catch(() => undefined);
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
