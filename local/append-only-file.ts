import { appendFileSync, mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';
import type { z } from 'zod';

/** Lines that are only ever added to. */
export type AppendOnlyFile<Line> = {
  /** What was written before this start, in order. */
  readonly lines: readonly Line[];
  /** Has written the line when it comes back: from then on it outlives a kill of everything. */
  append(line: Line): void;
};

/**
 * Opens a file of JSON lines, readable by its owner alone; without a file nothing is kept. A last line without its end is
 * one whose writer was killed in the middle of it, and is struck off. Throws when any other line does not fit the schema:
 * the file is not one of ours.
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
