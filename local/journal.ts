import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { z } from 'zod';

/** Lines that are only ever added to. */
export type Journal<Line> = {
  /** What was written before this start, in order. */
  readonly kept: readonly Line[];
  /** Has written the line when it comes back: it outlives a kill of everything from then on. */
  write(line: Line): void;
};

/**
 * Opens a file of JSON lines, readable by its owner alone, and makes it where there is none; without a file nothing is
 * kept. A last line without its end is one whose writer was killed in the middle of it, and is left out. Throws when any
 * other line does not fit the schema: the file is not one of ours.
 */
export function openJournal<Line>(file: string | undefined, schema: z.ZodType<Line>): Journal<Line> {
  if (file === undefined) return { kept: [], write: () => undefined };
  mkdirSync(dirname(file), { recursive: true });
  const text = read(file);
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  let kept: Line[];
  try {
    kept = whole.split('\n').flatMap((line) => (line === '' ? [] : [schema.parse(JSON.parse(line))]));
  } catch (error) {
    throw new Error(`${file} holds a line that is not one of ours.`, { cause: error });
  }
  // What was broken off must not run into the next line.
  let begin = text === whole ? '' : '\n';
  return {
    kept,
    write: (line) => {
      appendFileSync(file, `${begin}${JSON.stringify(line)}\n`, { mode: 0o600 });
      begin = '';
    },
  };
}
