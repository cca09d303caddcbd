import type { RefusalResult } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';

/** Parses JSON. Refuses text that is not JSON, and an object with a duplicate name, because either value could be meant. */
export function parseJson(text: string): { readonly ok: true; readonly value: unknown } | RefusalResult {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return refuse('malformed-json', 'The body is not valid JSON. Check quotes, commas, and brackets.');
  }
  return countWrittenNames(text) === countParsedNames(value)
    ? { ok: true, value }
    : refuse('malformed-json', 'The body has the same field twice in one object. Send each field once.');
}

/** Counts the member names in a valid JSON text: the strings that a colon follows. */
function countWrittenNames(text: string): number {
  let names = 0;
  for (const [, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)) names += colon === undefined ? 0 : 1;
  return names;
}

/** Counts the member names in a parsed value, where duplicates are gone. It does not recurse, so depth cannot exhaust the stack. */
function countParsedNames(value: unknown): number {
  let names = 0;
  const pending = [value];
  while (pending.length > 0) {
    const each = pending.pop();
    if (typeof each !== 'object' || each === null) continue;
    const children = Object.values(each);
    if (!Array.isArray(each)) names += children.length;
    pending.push(...children);
  }
  return names;
}
