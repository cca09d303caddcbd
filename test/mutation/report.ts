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
/** The part of Stryker's JSON report that is read here. */
export type Report = { readonly files: Readonly<Record<string, { readonly mutants: readonly StrykerMutant[] }>> };

const isStaticMutant = ({ status, static: isStatic }: StrykerMutant) => status === 'Ignored' && isStatic === true;

/** Returns the mutants that Stryker skipped because they take effect only while a file is loaded. */
export function staticMutantsIn({ files }: Report): readonly { readonly id: string; readonly mutant: Mutant }[] {
  return Object.entries(files).flatMap(([file, { mutants }]) => {
    const source = readProjectFile(file);
    return mutants.filter(isStaticMutant).map(({ id, replacement = '', location, mutatorName }) => {
      const [start, end] = [offsetOf(source, location.start), offsetOf(source, location.end)];
      const description = `${mutatorName}: ${oneLine(source.slice(start, end))} → ${oneLine(replacement)}`;
      return { id, mutant: { file, line: location.start.line, description, start, end, text: replacement } };
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

export type Row = { readonly file: string; readonly detected: number; readonly undetected: number };

/**
 * Counts the detected and undetected mutants of each file. A mutant that the tests could not run with is not counted.
 */
export function rowsOf({ files }: Report, detectedById: ReadonlyMap<string, boolean>): readonly Row[] {
  return Object.entries(files).map(([file, { mutants }]) => {
    const outcomes = mutants.map((mutant) =>
      isStaticMutant(mutant) ? (detectedById.get(mutant.id) === true ? 'Killed' : 'Survived') : mutant.status,
    );
    const count = (...statuses: readonly string[]) => outcomes.filter((status) => statuses.includes(status)).length;
    return { file, detected: count('Killed', 'Timeout'), undetected: count('Survived', 'NoCoverage') };
  });
}

function totalOf(rows: readonly Row[]): Row {
  const sum = (column: 'detected' | 'undetected') => rows.reduce((total, row) => total + row[column], 0);
  return { file: 'all', detected: sum('detected'), undetected: sum('undetected') };
}

function percentOf({ detected, undetected }: Row): number {
  return detected + undetected === 0 ? 100 : (100 * detected) / (detected + undetected);
}

/** Returns the share of detected mutants of all files, in percent. */
export function scoreOf(rows: readonly Row[]): number {
  return percentOf(totalOf(rows));
}

/** Returns the table of docs/mutation.md. */
export function tableOf(rows: readonly Row[]): string {
  return [
    '| file | mutants | undetected | detected, % |',
    '|---|---:|---:|---:|',
    ...[...rows, totalOf(rows)].map(
      (row) => `| ${row.file} | ${row.detected + row.undetected} | ${row.undetected} | ${percentOf(row).toFixed(1)} |`,
    ),
  ].join('\n');
}
