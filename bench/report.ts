import { styleText } from 'node:util';

/** One row of the table: a measured value, optionally with a baseline or detail, and a target. */
export type Measurement = {
  readonly label: string;
  readonly value: number;
  readonly unit: string;
  /** A value to compare with: usually the plain or bare implementation, measured in the same run. */
  readonly baseline?: { readonly label: string; readonly value: number };
  readonly target?: { readonly atLeast: number } | { readonly atMost: number };
  /** Set for a counted value, which is the same on every machine. Missing its target is a failure. */
  readonly isDeterministic?: true;
};

/** The effort of a part: short for daily use, long for numbers to quote. */
export type RunOptions = {
  /** The number of rounds. In each round, all sides of a comparison run once. */
  readonly rounds: number;
  /** True to measure at all sizes. */
  readonly isLong: boolean;
};

export type Report = Readonly<Record<string, readonly Measurement[]>>;

/** Returns undefined for a measurement without a target. */
export function meetsTarget({ value, target }: Measurement): boolean | undefined {
  if (target === undefined) return undefined;
  return 'atLeast' in target ? value >= target.atLeast : value <= target.atMost;
}

/** Returns the measurements that miss their target. */
export function missedTargets(report: Report): readonly Measurement[] {
  return Object.values(report)
    .flat()
    .filter((measurement) => meetsTarget(measurement) === false);
}

const columnHeadings = ['', 'measured', 'baseline or detail', 'target'] as const;

/** Formats a report as one table for the terminal, with a heading for each part. */
export function table(report: Report): string {
  const parts = Object.entries(report).map(([part, measurements]) => ({
    part,
    rows: measurements.map((measurement) => ({ measurement, cells: toCells(measurement) })),
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
      ...rows.map(({ measurement, cells }) => `${line(cells)}  ${marks[`${meetsTarget(measurement)}`]}`.trimEnd()),
    ]),
  ].join('\n');
}

/** Formats a report for docs/performance.md, with a table for each part. */
export function markdown(report: Report): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return Object.entries(report)
    .map(([part, measurements]) =>
      [
        line([`**${part}**`, ...columnHeadings.slice(1)]),
        '|---|---:|---|---|',
        ...measurements.map((measurement) => {
          const [label, value, baseline, target] = toCells(measurement);
          return line([label, value, baseline, meetsTarget(measurement) === false ? `${target}, **missed**` : target]);
        }),
      ].join('\n'),
    )
    .join('\n\n');
}

function toCells({ label, value, unit, baseline, target }: Measurement) {
  const targetText =
    target === undefined
      ? ''
      : 'atLeast' in target
        ? `≥ ${formatNumber(target.atLeast)}`
        : `≤ ${formatNumber(target.atMost)}`;
  return [
    label,
    `${formatNumber(value)} ${unit}`,
    baseline === undefined ? '' : `${formatNumber(baseline.value)} ${baseline.label}`,
    targetText,
  ] as const;
}

function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
