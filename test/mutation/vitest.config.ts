import { basename } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Begins with the tests of the very file that a bug was planted in, since they are the first to notice. */
class OwnTestsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const related = this.ctx.config.related ?? [];
    const own = Array.isArray(related) ? related.map((file) => basename(file).replace('.ts', '.test.ts')) : [];
    const isOwn = ({ moduleId }: TestSpecification) => own.includes(basename(moduleId));
    return files.toSorted((one, other) => Number(isOwn(other)) - Number(isOwn(one)));
  }
}

/** The tests that must notice a bug in `domain/`: its own, and no journey that passes by. */
export default defineConfig({
  test: {
    include: ['test/domain/**/*.test.ts'],
    silent: true,
    sequence: { sequencer: OwnTestsFirst },
    // A test that is slow on a busy machine has found no bug; one that never ends is ended by Stryker.
    testTimeout: 120_000,
  },
});
