import { describe, expect, it } from 'vitest';
import { manifest } from '../../functions/manifest.ts';
import { readProjectFile } from '../project-files.ts';

const page = readProjectFile('docs/cost.md');

/** Returns the part of the page that the command generates under a name. */
function generatedPart(name: string): string {
  const part = new RegExp(`<!-- ${name}: made by npm run cost -->\n([^]*?)\n<!-- end of ${name} -->`).exec(page)?.[1];
  if (part === undefined || part.trim() === '') throw new Error(`The page has no table ${name}.`);
  return part;
}

/** Returns the rows of a table without its head, each as its label and the numbers after it. */
function rowsOf(name: string) {
  const [, , ...rows] = generatedPart(name).split('\n');
  return rows.map((row) => {
    const [label = '', ...cells] = row.split('|').slice(1, -1);
    return { label: label.trim(), numbers: cells.map((cell) => Number(cell.replace(/[^\d.]/g, ''))) };
  });
}

/** Returns the price of one unit of a service. */
function priceOf(service: string): number {
  const [, price, quantity] = new RegExp(`- ${service}: \\$([\\d.]+) per (\\S+)`).exec(generatedPart('prices')) ?? [];
  const units = { million: 1e6, thousand: 1e3, GB: 1e9, 'GB-second': 1_000 }[quantity ?? ''];
  if (price === undefined || units === undefined) throw new Error(`The page has no price for ${service}.`);
  return Number(price) / units;
}

describe('docs/cost.md', () => {
  const unitPrice = (unit: 'write' | 'read') =>
    Number(new RegExp(`\\$([\\d.]+) per million ${unit} units`).exec(generatedPart('prices'))?.[1]) / 1e6;
  const prices: readonly number[] = [
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
  ] as const)('has totals in the table of %s that follow from its own prices', (name, multiple, rowCount) => {
    const rows = rowsOf(name);
    expect(rows).toHaveLength(rowCount);
    for (const { label, numbers } of rows) {
      const dollars = prices.reduce((sum, price, column) => sum + price * (numbers[column] ?? Number.NaN), 0);
      const total = numbers.at(-1) ?? Number.NaN;
      expect(Math.abs(dollars * multiple - total), label).toBeLessThan(0.02 * total + 0.01);
    }
  });

  it('has shares of the gateway rate that follow from the manifest', () => {
    const { perSecond } = manifest.activation.rate;
    for (const { label, numbers } of rowsOf('rates'))
      expect(numbers[3]).toBeCloseTo(Number(label.replaceAll(',', '')) / perSecond, 2);
  });

  it('counts about one write unit for a new activation, and one for a repeated activation', () => {
    const [newActivation, repeatedActivation] = rowsOf('activations');
    expect(newActivation?.numbers[0]).toBeGreaterThanOrEqual(1);
    expect(newActivation?.numbers[0]).toBeLessThan(1.3);
    expect(repeatedActivation?.numbers[0]).toBe(1);
  });
});
