import { readProjectFile } from '../project-files.ts';
import type { Mutant } from './condition-mutants.ts';

type Position = { readonly line: number; readonly column: number };
type StrykerMutant = {
  readonly id: string;
  readonly mutatorName: string;
  readonly replacement?: string;
  readonly status: string;
  readonly static?: boolean;
  readonly location: { readonly start: Position; readonly end: Position };
};
/** What Stryker writes about its mutants, as far as it is read here. */
export type Report = { readonly files: Readonly<Record<string, { readonly mutants: readonly StrykerMutant[] }>> };

const isLeftToRunner = ({ status, static: isStatic }: StrykerMutant) => status === 'Ignored' && isStatic === true;

/** The mutants that Stryker has left alone because they are at work only while a file is loaded. */
export function staticMutantsIn({ files }: Report): readonly { readonly id: string; readonly mutant: Mutant }[] {
  return Object.entries(files).flatMap(([file, { mutants }]) => {
    const source = readProjectFile(file);
    return mutants.filter(isLeftToRunner).map(({ id, replacement = '', location, mutatorName }) => {
      const [start, end] = [offsetOf(source, location.start), offsetOf(source, location.end)];
      const what = `${mutatorName}: ${oneLine(source.slice(start, end))} → ${oneLine(replacement)}`;
      return { id, mutant: { file, line: location.start.line, what, start, end, text: replacement } };
    });
  });
}

function offsetOf(source: string, { line, column }: Position): number {
  const before = source.split('\n').slice(0, line - 1);
  return before.reduce((sum, text) => sum + text.length + 1, 0) + column - 1;
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

export type Row = { readonly file: string; readonly noticed: number; readonly survived: number };

/** How many mutants of each file a test has noticed. Those that the tests could not even be run with count as neither. */
export function rowsOf({ files }: Report, killedById: ReadonlyMap<string, boolean>): readonly Row[] {
  return Object.entries(files).map(([file, { mutants }]) => {
    const outcomes = mutants.map((mutant) =>
      isLeftToRunner(mutant) ? (killedById.get(mutant.id) === true ? 'Killed' : 'Survived') : mutant.status,
    );
    const count = (...statuses: readonly string[]) => outcomes.filter((status) => statuses.includes(status)).length;
    return { file, noticed: count('Killed', 'Timeout'), survived: count('Survived', 'NoCoverage') };
  });
}

function totalOf(rows: readonly Row[]): Row {
  const sum = (of: (row: Row) => number) => rows.reduce((total, row) => total + of(row), 0);
  return { file: 'all', noticed: sum(({ noticed }) => noticed), survived: sum(({ survived }) => survived) };
}

function percentOf({ noticed, survived }: Row): number {
  return noticed + survived === 0 ? 100 : (100 * noticed) / (noticed + survived);
}

/** How many of all mutants were noticed, in percent. */
export function scoreOf(rows: readonly Row[]): number {
  return percentOf(totalOf(rows));
}

/** The table of docs/mutation.md. */
export function tableOf(rows: readonly Row[]): string {
  return [
    '| file | mutants | not noticed | noticed, % |',
    '|---|---:|---:|---:|',
    ...[...rows, totalOf(rows)].map(
      (row) => `| ${row.file} | ${row.noticed + row.survived} | ${row.survived} | ${percentOf(row).toFixed(1)} |`,
    ),
  ].join('\n');
}
