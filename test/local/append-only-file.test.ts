import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openAppendOnlyFile } from '../../local/append-only-file.ts';

const Line = z.strictObject({ told: z.string() });
let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-'));
  file = join(folder, 'not-there-yet', 'lines.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a journal', () => {
  it('has after a restart what was written before it, in order, and goes on behind it', () => {
    const first = openAppendOnlyFile(file, Line);
    expect(first.lines).toEqual([]);
    first.append({ told: 'one' });
    first.append({ told: 'two\nlines' });
    const second = openAppendOnlyFile(file, Line);
    second.append({ told: 'three' });
    expect(openAppendOnlyFile(file, Line).lines).toEqual([{ told: 'one' }, { told: 'two\nlines' }, { told: 'three' }]);
  });

  it('can be read by its owner alone', () => {
    openAppendOnlyFile(file, Line).append({ told: 'one' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('strikes off a line whose writer was killed in the middle of it', () => {
    openAppendOnlyFile(file, Line).append({ told: 'ünö' });
    appendFileSync(file, '{"told":"tw');
    const again = openAppendOnlyFile(file, Line);
    again.append({ told: 'three' });
    expect(openAppendOnlyFile(file, Line).lines).toEqual([{ told: 'ünö' }, { told: 'three' }]);
    expect(readFileSync(file, 'utf8')).not.toContain('tw');
  });

  it.each(['{"told":1}\n', 'not JSON\n', '{}\n{"told":"two"}\n'])('is not opened where it says %j', (text) => {
    openAppendOnlyFile(file, Line).append({ told: 'one' });
    writeFileSync(file, text);
    expect(() => openAppendOnlyFile(file, Line)).toThrow();
  });

  it('without a file keeps nothing', () => {
    const journal = openAppendOnlyFile(undefined, Line);
    journal.append({ told: 'one' });
    expect(openAppendOnlyFile(undefined, Line).lines).toEqual([]);
  });
});
