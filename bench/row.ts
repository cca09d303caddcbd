/** One line of the table: what was measured, beside what, and what is to be reached, if anything. */
export type Row = {
  readonly what: string;
  readonly measured: number;
  readonly unit: string;
  /** The plain or bare thing in the same run, and what it measured. */
  readonly beside?: { readonly what: string; readonly measured: number };
  readonly reach?: { readonly atLeast: number } | { readonly atMost: number };
};

export function isReached({ measured, reach }: Row): boolean | undefined {
  if (reach === undefined) return undefined;
  return 'atLeast' in reach ? measured >= reach.atLeast : measured <= reach.atMost;
}

/** The table as text, in 100 columns. */
export function table(title: string, rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const reach =
      row.reach === undefined ? '' : 'atLeast' in row.reach ? `≥ ${row.reach.atLeast}` : `≤ ${row.reach.atMost}`;
    const mark = { true: 'reached', false: 'NOT REACHED', undefined: '' }[String(isReached(row)) as 'true'] ?? '';
    const beside = row.beside === undefined ? '' : `${number(row.beside.measured)} ${row.beside.what}`;
    return [
      row.what.padEnd(52),
      `${number(row.measured)} ${row.unit}`.padEnd(20),
      beside.padEnd(28),
      reach.padEnd(9),
      mark,
    ]
      .join(' ')
      .trimEnd();
  });
  return ['', title, '-'.repeat(title.length), ...lines].join('\n');
}

function number(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

/** How much work a part is to put in: a short run is for every day, a long one for figures to be quoted. */
export type Effort = {
  /** How many rounds of each thing are taken in turn. */
  readonly rounds: number;
  /** How far things are grown. */
  readonly long: boolean;
};
