import { appendFileSync, mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';
import type { z } from 'zod';

/** A file of lines that can only grow. */
export type AppendOnlyFile<Line> = {
  /** The lines from before this start, in order. */
  readonly lines: readonly Line[];
  /** Writes a line before it returns. From then on, the line survives a kill of all processes. */
  append(line: Line): void;
};

/**
 * Opens a file of JSON lines that only its owner can read. Without a file, nothing is stored. An incomplete last line is
 * from a process that was killed while writing, and is removed. Throws when any other line does not match the schema.
 */
export function openAppendOnlyFile<Line>(file: string | undefined, schema: z.ZodType<Line>): AppendOnlyFile<Line> {
  if (file === undefined) return { lines: [], append: () => undefined };
  mkdirSync(dirname(file), { recursive: true });
  return {
    lines: readCompleteLines(file).map((line) => schema.parse(JSON.parse(line))),
    append: (line) => appendFileSync(file, `${JSON.stringify(line)}\n`, { mode: 0o600 }),
  };
}

function readCompleteLines(file: string): string[] {
  try {
    const text = readFileSync(file, 'utf8');
    const complete = text.slice(0, text.lastIndexOf('\n') + 1);
    if (complete !== text) truncateSync(file, Buffer.byteLength(complete));
    return complete.split('\n').filter((line) => line !== '');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
