import { afterEach, beforeEach, vi } from 'vitest';

/** What the log and the metrics print while a test runs, line by line. */
export function whatIsPrinted(): { lines(): readonly string[]; text(): string } {
  const printed: string[] = [];
  const take = (chunk: unknown) => printed.push(String(chunk)) > 0;
  beforeEach(() => {
    printed.length = 0;
    // The library writes where it likes: its own console, ours, or the stream behind both.
    for (const stream of [process.stdout, process.stderr]) vi.spyOn(stream, 'write').mockImplementation(take);
    for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
      vi.spyOn(console, method).mockImplementation((...said: unknown[]) => void take(said.join(' ')));
    }
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });
  return { lines: () => printed, text: () => printed.join('\n') };
}
