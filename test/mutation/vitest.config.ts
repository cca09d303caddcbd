import { basename } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Runs the tests of the mutated file first, because they are the most likely to detect the mutant. */
class OwnTestsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const related = this.ctx.config.related ?? [];
    const own = Array.isArray(related) ? related.map((file) => basename(file).replace('.ts', '.test.ts')) : [];
    const isOwn = ({ moduleId }: TestSpecification) => own.includes(basename(moduleId));
    return files.toSorted((one, other) => Number(isOwn(other)) - Number(isOwn(one)));
  }
}

/** The tests that must detect a mutant of `domain/`: its own, without journeys through the complete system. */
export default defineConfig({
  test: {
    include: ['test/domain/**/*.test.ts'],
    silent: true,
    sequence: { sequencer: OwnTestsFirst },
    // Long enough for a busy machine, so that a slow test does not count as detection. Stryker ends a test that never
    // ends.
    testTimeout: 120_000,
  },
});
