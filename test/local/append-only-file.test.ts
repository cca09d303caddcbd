import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openJournal } from '../../local/append-only-file.ts';

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
    const first = openJournal(file, Line);
    expect(first.kept).toEqual([]);
    first.write({ told: 'one' });
    first.write({ told: 'two\nlines' });
    const second = openJournal(file, Line);
    second.write({ told: 'three' });
    expect(openJournal(file, Line).kept).toEqual([{ told: 'one' }, { told: 'two\nlines' }, { told: 'three' }]);
  });

  it('can be read by its owner alone', () => {
    openJournal(file, Line).write({ told: 'one' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('strikes off a line whose writer was killed in the middle of it', () => {
    openJournal(file, Line).write({ told: 'ünö' });
    appendFileSync(file, '{"told":"tw');
    const again = openJournal(file, Line);
    again.write({ told: 'three' });
    expect(openJournal(file, Line).kept).toEqual([{ told: 'ünö' }, { told: 'three' }]);
    expect(readFileSync(file, 'utf8')).not.toContain('tw');
  });

  it.each(['{"told":1}\n', 'not JSON\n', '{}\n{"told":"two"}\n'])('is not opened where it says %j', (text) => {
    openJournal(file, Line).write({ told: 'one' });
    writeFileSync(file, text);
    expect(() => openJournal(file, Line)).toThrow();
  });

  it('without a file keeps nothing', () => {
    const journal = openJournal(undefined, Line);
    journal.write({ told: 'one' });
    expect(openJournal(undefined, Line).kept).toEqual([]);
  });
});
