import { describe, expect, it } from 'vitest';
import { manifest } from '../../functions/manifest.ts';
import { readProjectFile } from '../project-files.ts';

const page = readProjectFile('docs/cost.md');

/** The part of the page that the command writes under a name. */
function made(name: string): string {
  const found = new RegExp(`<!-- ${name}: made by npm run cost -->\n([^]*?)\n<!-- end of ${name} -->`).exec(page)?.[1];
  if (found === undefined || found.trim() === '') throw new Error(`The page has no table ${name}.`);
  return found;
}

/** The rows of a table without its head, each as its first cell and the numbers after it. */
function rowsOf(name: string) {
  const [, , ...rows] = made(name).split('\n');
  return rows.map((row) => {
    const [what = '', ...cells] = row.split('|').slice(1, -1);
    return { what: what.trim(), numbers: cells.map((cell) => Number(cell.replace(/[^\d.]/g, ''))) };
  });
}

/** What one of it costs, by the name of the service. */
function priceOf(service: string): number {
  const [, price, of] = new RegExp(`- ${service}: \\$([\\d.]+) (a \\S+)`).exec(made('prices')) ?? [];
  const pieces = { 'a million': 1e6, 'a thousand': 1e3, 'a GB': 1e9, 'a GB-second': 1_000 }[of ?? ''];
  if (price === undefined || pieces === undefined) throw new Error(`The page has no price of ${service}.`);
  return Number(price) / pieces;
}

describe('the page of costs', () => {
  const unitPrice = (unit: 'write' | 'read') =>
    Number(new RegExp(`\\$([\\d.]+) a million ${unit} units`).exec(made('prices'))?.[1]) / 1e6;
  const each: readonly number[] = [
    unitPrice('write'),
    unitPrice('read'),
    priceOf('API Gateway, HTTP API'),
    priceOf('Lambda'),
    priceOf('Lambda on Arm'),
    priceOf('Step Functions, standard'),
    priceOf('SES'),
    priceOf('CloudWatch Logs'),
  ];

  it.each([
    ['activations', 1e6, 9],
    ['requests', 1e3, 2],
  ] as const)('adds up in the table of %s by its own prices', (name, many, count) => {
    const rows = rowsOf(name);
    expect(rows).toHaveLength(count);
    for (const { what, numbers } of rows) {
      const dollars = each.reduce((sum, price, column) => sum + price * (numbers[column] ?? Number.NaN), 0);
      const told = numbers.at(-1) ?? Number.NaN;
      expect(Math.abs(dollars * many - told), what).toBeLessThan(0.02 * told + 0.01);
    }
  });

  it('follows from the rate that the manifest has now', () => {
    const { perSecond } = manifest.activation.rate;
    for (const { what, numbers } of rowsOf('rates'))
      expect(numbers[3]).toBeCloseTo(Number(what.replaceAll(',', '')) / perSecond, 2);
  });

  it('counts a new activation as about one write, and a repeat as one', () => {
    const [added, repeated] = rowsOf('activations');
    expect(added?.numbers[0]).toBeGreaterThanOrEqual(1);
    expect(added?.numbers[0]).toBeLessThan(1.3);
    expect(repeated?.numbers[0]).toBe(1);
  });
});
