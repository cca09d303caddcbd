import { afterEach, beforeEach, vi } from 'vitest';

/** Captures what the log and the metrics print during each test, line by line. */
export function captureOutput(): { lines(): readonly string[]; text(): string } {
  const chunks: string[] = [];
  const capture = (chunk: unknown) => chunks.push(String(chunk)) > 0;
  beforeEach(() => {
    chunks.length = 0;
    // The library writes to its own console, to the global one, or to the stream behind both.
    for (const stream of [process.stdout, process.stderr]) vi.spyOn(stream, 'write').mockImplementation(capture);
    for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
      vi.spyOn(console, method).mockImplementation((...values: unknown[]) => void capture(values.join(' ')));
    }
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });
  return { lines: () => chunks, text: () => chunks.join('\n') };
}
