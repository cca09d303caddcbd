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
        mutant('not covered', 'NoCoverage'),
        mutant('invalid', 'CompileError'),
        mutant('static, detected', 'Ignored', true),
        mutant('static, undetected', 'Ignored', true),
      ],
    },
  },
};

describe('a report of Stryker', () => {
  it('lists the mutants that take effect only while a file is loaded, with the text that each replaces', () => {
    const staticMutants = staticMutantsIn(report);
    expect(staticMutants.map(({ id }) => id)).toEqual(['static, detected', 'static, undetected']);
    const [{ mutant: first } = { mutant: undefined }] = staticMutants;
    expect(first && source.slice(first.start, first.end)).toBe("'due-soon'");
    expect(first).toMatchObject({ file, line, text: '""', description: 'StringLiteral: \'due-soon\' → ""' });
  });

  it('counts a failed or endless run as detected, and does not count an invalid mutant', () => {
    const rows = rowsOf(report, new Map([['static, detected', true]]));
    expect(rows).toEqual([{ file, detected: 3, undetected: 2 }]);
    expect(scoreOf(rows)).toBe(60);
    expect(tableOf(rows)).toContain('| all | 5 | 2 | 60.0 |');
  });
});
