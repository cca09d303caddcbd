import { styleText } from 'node:util';

/** One line of the table: what was measured, beside what, and what is to be reached, if anything. */
export type Row = {
  readonly what: string;
  readonly measured: number;
  readonly unit: string;
  /** The plain or bare thing in the same run, and what it measured. */
  readonly beside?: { readonly what: string; readonly measured: number };
  readonly reach?: { readonly atLeast: number } | { readonly atMost: number };
  /** That it was counted and not timed, so that it is the same on every machine: to miss its figure is a failure. */
  readonly counted?: true;
};

/** How much work a part is to put in: a short run is for every day, a long one for figures to be quoted. */
export type Effort = {
  /** How many rounds of each thing are taken in turn. */
  readonly rounds: number;
  /** Whether things are grown as far as they are to be measured. */
  readonly long: boolean;
};

export type Measured = Readonly<Record<string, readonly Row[]>>;

export function isReached({ measured, reach }: Row): boolean | undefined {
  if (reach === undefined) return undefined;
  return 'atLeast' in reach ? measured >= reach.atLeast : measured <= reach.atMost;
}

/** The rows that miss their figure. */
export function missedIn(measured: Measured): readonly Row[] {
  return Object.values(measured)
    .flat()
    .filter((row) => isReached(row) === false);
}

const heads = ['', 'measured', 'beside', 'figure'] as const;

/** All that was measured as one table for a terminal, a heading for each part. */
export function table(measured: Measured): string {
  const parts = Object.entries(measured).map(([part, rows]) => ({
    part,
    rows: rows.map((row) => ({ row, cells: cellsOf(row) })),
  }));
  const all = [heads, ...parts.flatMap(({ rows }) => rows.map(({ cells }) => cells))];
  const widths = heads.map((_, column) => Math.max(...all.map((cells) => (cells[column] ?? '').length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === 1 ? cell.padStart(widths[1] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ');
  const marks = { true: styleText('green', '✓'), false: styleText('red', '✗ missed'), undefined: '' };
  return [
    styleText('dim', line(heads).trimEnd()),
    ...parts.flatMap(({ part, rows }) => [
      '',
      styleText('bold', part),
      ...rows.map(({ row, cells }) => `${line(cells)}  ${marks[`${isReached(row)}`]}`.trimEnd()),
    ]),
  ].join('\n');
}

/** The same for a page of the docs. */
export function markdown(measured: Measured): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return Object.entries(measured)
    .map(([part, rows]) =>
      [
        line([`**${part}**`, ...heads.slice(1)]),
        '|---|---:|---|---|',
        ...rows.map((row) => {
          const [what, value, beside, figure] = cellsOf(row);
          return line([what, value, beside, isReached(row) === false ? `${figure}, **missed**` : figure]);
        }),
      ].join('\n'),
    )
    .join('\n\n');
}

function cellsOf({ what, measured, unit, beside, reach }: Row) {
  const figure =
    reach === undefined ? '' : 'atLeast' in reach ? `≥ ${number(reach.atLeast)}` : `≤ ${number(reach.atMost)}`;
  return [
    what,
    `${number(measured)} ${unit}`,
    beside === undefined ? '' : `${number(beside.measured)} ${beside.what}`,
    figure,
  ] as const;
}

function number(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
