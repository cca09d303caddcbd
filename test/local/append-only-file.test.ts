import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openAppendOnlyFile } from '../../local/append-only-file.ts';

const Line = z.strictObject({ text: z.string() });
let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'append-only-file-'));
  file = join(folder, 'not-there-yet', 'lines.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('an append-only file', () => {
  it('has its lines in order after a restart, and appends to them', () => {
    const first = openAppendOnlyFile(file, Line);
    expect(first.lines).toEqual([]);
    first.append({ text: 'one' });
    first.append({ text: 'two\nlines' });
    const second = openAppendOnlyFile(file, Line);
    second.append({ text: 'three' });
    expect(openAppendOnlyFile(file, Line).lines).toEqual([{ text: 'one' }, { text: 'two\nlines' }, { text: 'three' }]);
  });

  it('can be read only by its owner', () => {
    openAppendOnlyFile(file, Line).append({ text: 'one' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('removes an incomplete last line, whose writer was killed', () => {
    openAppendOnlyFile(file, Line).append({ text: 'ünö' });
    appendFileSync(file, '{"text":"tw');
    const reopened = openAppendOnlyFile(file, Line);
    reopened.append({ text: 'three' });
    expect(openAppendOnlyFile(file, Line).lines).toEqual([{ text: 'ünö' }, { text: 'three' }]);
    expect(readFileSync(file, 'utf8')).not.toContain('tw');
  });

  it.each(['{"text":1}\n', 'not JSON\n', '{}\n{"text":"two"}\n'])('does not open with the content %j', (text) => {
    openAppendOnlyFile(file, Line).append({ text: 'one' });
    writeFileSync(file, text);
    expect(() => openAppendOnlyFile(file, Line)).toThrow();
  });

  it('stores nothing without a file', () => {
    const appendOnlyFile = openAppendOnlyFile(undefined, Line);
    appendOnlyFile.append({ text: 'one' });
    expect(openAppendOnlyFile(undefined, Line).lines).toEqual([]);
  });
});
