import { styleText } from 'node:util';

/** One line of the table: what was measured, beside what, and what is to be reached, if anything. */
export type Measurement = {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** The plain or bare thing in the same run, and what it measured. */
  readonly baseline?: { readonly what: string; readonly value: number };
  readonly target?: { readonly atLeast: number } | { readonly atMost: number };
  /** That it was counted and not timed, so that it is the same on every machine: to miss its figure is a failure. */
  readonly isDeterministic?: true;
};

/** How much work a part is to put in: a short run is for every day, a long one for figures to be quoted. */
export type RunOptions = {
  /** How many rounds of each thing are taken in turn. */
  readonly rounds: number;
  /** Whether things are grown as far as they are to be measured. */
  readonly isLong: boolean;
};

export type Report = Readonly<Record<string, readonly Measurement[]>>;

export function meetsTarget({ value: measured, target: reach }: Measurement): boolean | undefined {
  if (reach === undefined) return undefined;
  return 'atLeast' in reach ? measured >= reach.atLeast : measured <= reach.atMost;
}

/** The rows that miss their figure. */
export function missedTargets(measured: Report): readonly Measurement[] {
  return Object.values(measured)
    .flat()
    .filter((row) => meetsTarget(row) === false);
}

const columnHeadings = ['', 'measured', 'beside', 'figure'] as const;

/** All that was measured as one table for a terminal, a heading for each part. */
export function table(measured: Report): string {
  const parts = Object.entries(measured).map(([part, rows]) => ({
    part,
    rows: rows.map((row) => ({ row, cells: toCells(row) })),
  }));
  const all = [columnHeadings, ...parts.flatMap(({ rows }) => rows.map(({ cells }) => cells))];
  const widths = columnHeadings.map((_, column) => Math.max(...all.map((cells) => (cells[column] ?? '').length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === 1 ? cell.padStart(widths[1] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ');
  const marks = { true: styleText('green', '✓'), false: styleText('red', '✗ missed'), undefined: '' };
  return [
    styleText('dim', line(columnHeadings).trimEnd()),
    ...parts.flatMap(({ part, rows }) => [
      '',
      styleText('bold', part),
      ...rows.map(({ row, cells }) => `${line(cells)}  ${marks[`${meetsTarget(row)}`]}`.trimEnd()),
    ]),
  ].join('\n');
}

/** The same for a page of the docs. */
export function markdown(measured: Report): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return Object.entries(measured)
    .map(([part, rows]) =>
      [
        line([`**${part}**`, ...columnHeadings.slice(1)]),
        '|---|---:|---|---|',
        ...rows.map((row) => {
          const [what, value, beside, figure] = toCells(row);
          return line([what, value, beside, meetsTarget(row) === false ? `${figure}, **missed**` : figure]);
        }),
      ].join('\n'),
    )
    .join('\n\n');
}

function toCells({ what, value: measured, unit, baseline: beside, target: reach }: Measurement) {
  const figure =
    reach === undefined
      ? ''
      : 'atLeast' in reach
        ? `≥ ${formatNumber(reach.atLeast)}`
        : `≤ ${formatNumber(reach.atMost)}`;
  return [
    what,
    `${formatNumber(measured)} ${unit}`,
    beside === undefined ? '' : `${formatNumber(beside.value)} ${beside.what}`,
    figure,
  ] as const;
}

function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
