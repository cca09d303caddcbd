import { defineConfig } from 'vitest/config';

/** The tests that must notice a bug in `domain/`: its own, and no journey that passes by. */
export default defineConfig({
  test: { include: ['test/domain/**/*.test.ts'], silent: true },
});
