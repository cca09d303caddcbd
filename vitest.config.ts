import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The default leaves one core idle, which on a machine of two is half of it.
    maxWorkers: '100%',
    // Long enough for a journey through the engines on a busy machine; a rule takes milliseconds.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // What a test prints is worth reading only where it failed.
    silent: 'passed-only',
    reporters: ['default'],
  },
});
