import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
// biome-ignore lint/suspicious/noDeprecatedImports: only another of its signatures is deprecated.
import { createVitest, type TestRunResult, type TestSpecification, type Vitest } from 'vitest/node';
import { root } from '../project-files.ts';
import type { Mutant } from './condition-mutants.ts';

/** Much longer than all tests of a folder take. */
const runMillisecondsMax = 120_000;

/**
 * Returns the first test in a folder that fails with a mutant, or undefined. The tests of the mutated file run first.
 * Without a mutant, it runs the tests unchanged. Throws if no test loads the mutated file.
 */
export async function findFailureWith(mutant: Mutant | null, folder: string): Promise<string | undefined> {
  let isApplied = mutant === null;
  const vitest = await createVitest(
    {
      root,
      config: false,
      watch: false,
      bail: 1,
      // The cache would mix up files with and without a mutant.
      fsModuleCache: false,
      include: [`${folder}/**/*.test.ts`],
      // Only the tests that load the file, directly or indirectly.
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
    if (!isApplied) throw new Error(`No test loads ${mutant?.file}.`);
    return undefined;
  } finally {
    await vitest.close();
    // A failed test must not determine the exit code of this process.
    process.exitCode = 0;
  }
}

/** Runs tests until one fails. A run that never ends counts as a failure. */
async function runUntilFailure(vitest: Vitest, specifications: TestSpecification[]): Promise<string | undefined> {
  const timeout = new AbortController();
  const timedOut = wait(runMillisecondsMax, 'the tests never end', { signal: timeout.signal });
  try {
    return await Promise.race([vitest.runTestSpecifications(specifications).then(failureIn), timedOut]);
  } finally {
    timeout.abort();
    timedOut.catch(() => undefined);
  }
}

/** Returns the name of the first failed test, or undefined if all passed. */
function failureIn({ testModules, unhandledErrors }: TestRunResult): string | undefined {
  if (testModules.length === 0) throw new Error('No test ran.');
  for (const module of testModules) {
    for (const test of module.children.allTests('failed')) {
      // An invalid expression is a fault of the mutant itself, and detects nothing.
      const invalidExpression = test.result().errors?.find(({ message }) => message.includes('ValidationException'));
      if (invalidExpression !== undefined) throw new Error(invalidExpression.message);
      return test.fullName;
    }
    if (module.state() === 'failed') return module.relativeModuleId;
  }
  return unhandledErrors.length > 0 ? String(unhandledErrors[0]) : undefined;
}
