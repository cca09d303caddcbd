import { readFileSync, writeFileSync } from 'node:fs';
import { manifest } from '../functions/manifest.ts';
import { countInChildProcess } from './child-process-count.ts';

import {
  assumedMilliseconds,
  billableUsageOf,
  costInDollars,
  functionLabels,
  memoryMegabytes,
  prices,
} from './prices.ts';
import type { FunctionKind, ResourceUsage } from './resource-usage.ts';

/*
 * `npm run cost`: counts the AWS resources that an activation and an exception request use on the local emulators,
 * prices them, and writes the tables of docs/cost.md. The prices are AWS's list prices, and the durations are assumed.
 * The page shows both.
 */

const rounded = (value: number) => String(Math.round(value * 100) / 100);
const roundedUp = (value: number) => Math.ceil(value).toLocaleString('en-US');
const dollars = (value: number) =>
  value >= 100 ? `$${Math.round(value).toLocaleString('en-US')}` : `$${value.toFixed(value >= 1 ? 2 : 4)}`;

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

function priceTable(): string {
  const durations = (Object.keys(assumedMilliseconds) as FunctionKind[]).map(
    (kind) => `${functionLabels[kind]} ${assumedMilliseconds[kind]} ms at ${memoryMegabytes[kind]} MB`,
  );
  return `${Object.values(prices)
    .map(({ description }) => `- ${description}`)
    .join('\n')}\n\nAssumed durations of an invocation: ${durations.join(', ')}.`;
}

function countTable(counts: Readonly<Record<string, ResourceUsage>>, multiple: number, costHeading: string): string {
  const rows = Object.entries(counts).map(([label, usage]) => {
    const billable = billableUsageOf(usage);
    return [
      label,
      rounded(billable.writeUnits),
      rounded(billable.readUnits),
      rounded(billable.httpRequests),
      rounded(billable.invocations),
      rounded(billable.gigabyteSeconds * 1000),
      rounded(billable.transitions),
      rounded(billable.emails),
      roundedUp(billable.logBytes),
      dollars(costInDollars(usage) * multiple),
    ];
  });
  const head = [
    '',
    'write units',
    'read units',
    'HTTP',
    'invocations',
    'GB-ms',
    'transitions',
    'emails',
    'log bytes',
    costHeading,
  ];
  return markdown(head, rows);
}

/** Returns the table of the resources that a steady rate of new activations uses. */
function rateTable(activation: ResourceUsage, batchOf100: ResourceUsage): string {
  const { rate } = manifest.activation;
  const billable = billableUsageOf(activation);
  const batchBillable = billableUsageOf(batchOf100);
  const rows = [10, 1_000, 100_000].map((perSecond) => {
    const batches = Math.max(1, perSecond / 100);
    const writes = perSecond * billable.writeUnits + batches * batchBillable.writeUnits;
    const perHour = 3600 * (perSecond * costInDollars(activation) + batches * costInDollars(batchOf100));
    return [
      perSecond.toLocaleString('en-US'),
      roundedUp(writes),
      roundedUp(writes / 1_000),
      roundedUp((perSecond * assumedMilliseconds.activation) / 1000),
      rounded(perSecond / rate.perSecond),
      roundedUp(batches),
      `${rounded((perSecond * billable.logBytes * 3600) / 1e9)} GB`,
      dollars(perHour),
    ];
  });
  return markdown(
    [
      'per second',
      'write units',
      'partitions',
      'concurrent invocations',
      'share of the gateway rate',
      'stream batches',
      'logs per hour',
      'cost per hour',
    ],
    rows,
  );
}

/** Writes the tables into docs/cost.md, each between its two comments. */
function writeTables(tables: Readonly<Record<string, string>>): void {
  const path = 'docs/cost.md';
  const page = Object.entries(tables).reduce(
    (text, [name, table]) => {
      const pattern = new RegExp(`(<!-- ${name}: made by npm run cost -->\n)[^]*?(\n<!-- end of ${name} -->)`);
      if (!pattern.test(text)) throw new Error(`${path} has no comments for the table ${name}.`);
      return text.replace(pattern, (_, start: string, end: string) => `${start}${table}${end}`);
    },
    readFileSync(path, 'utf8'),
  );
  writeFileSync(path, page);
}

async function main(): Promise<void> {
  const activations = await countInChildProcess('activations');
  const requests = await countInChildProcess('requests');
  const { 'a new activation': newActivation, 'the stream reader, a batch of 100': batchOf100 } = activations;
  if (newActivation === undefined || batchOf100 === undefined) throw new Error('Activations were not counted.');
  const tables = {
    prices: priceTable(),
    activations: countTable(activations, 1e6, 'per million'),
    requests: countTable(requests, 1e3, 'per thousand'),
    rates: rateTable(newActivation, batchOf100),
  };
  writeTables(tables);
  for (const [name, table] of Object.entries(tables)) console.log(`\n${name}\n\n${table}`);
  console.log('\nThe tables are in docs/cost.md.');
}

await main();
