import { describe, expect, it } from 'vitest';
import { readProjectFile } from '../project-files.ts';
import { type Report, rowsOf, scoreOf, staticMutantsIn, tableOf } from './report.ts';

const file = 'domain/exceptions/notification.ts';
const source = readProjectFile(file);
const line = source.split('\n').findIndex((text) => text.includes("'due-soon'")) + 1;
const column = (source.split('\n')[line - 1] ?? '').indexOf("'due-soon'") + 1;
const location = { start: { line, column }, end: { line, column: column + "'due-soon'".length } };

const mutant = (id: string, status: string, isStatic = false) => ({
  id,
  mutatorName: 'StringLiteral',
  replacement: '""',
  status,
  static: isStatic,
  location,
});

const report: Report = {
  files: {
    [file]: {
      mutants: [
        mutant('killed', 'Killed'),
        mutant('endless', 'Timeout'),
        mutant('seen by nobody', 'NoCoverage'),
        mutant('unreadable', 'CompileError'),
        mutant('at load, one', 'Ignored', true),
        mutant('at load, other', 'Ignored', true),
      ],
    },
  },
};

describe('what Stryker reports', () => {
  it('names the mutants that are at work only while a file is loaded, with the part of the file that each replaces', () => {
    const found = staticMutantsIn(report);
    expect(found.map(({ id }) => id)).toEqual(['at load, one', 'at load, other']);
    const [{ mutant: first } = { mutant: undefined }] = found;
    expect(first && source.slice(first.start, first.end)).toBe("'due-soon'");
    expect(first).toMatchObject({ file, line, text: '""', what: 'StringLiteral: \'due-soon\' → ""' });
  });

  it('counts as noticed what failed or never ended, and as neither what could not be run', () => {
    const rows = rowsOf(report, new Map([['at load, one', true]]));
    expect(rows).toEqual([{ file, noticed: 3, survived: 2 }]);
    expect(scoreOf(rows)).toBe(60);
    expect(tableOf(rows)).toContain('| all | 5 | 2 | 60.0 |');
  });
});
