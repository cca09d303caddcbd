import { readFileSync, writeFileSync } from 'node:fs';
import { manifest } from '../functions/manifest.ts';
import { countInChildProcess } from './child-process-count.ts';
import type { LambdaKind } from './prices.ts';
import { assumedMilliseconds, billableUsageOf, costInDollars, memoryMegabytes, prices } from './prices.ts';
import type { ResourceUsage } from './resource-usage.ts';

/*
 * `npm run cost`: counts on the local engine what an activation and an exception request use of each service of AWS, prices
 * it, and writes the tables of docs/cost.md. The prices are AWS's list prices, and the durations are assumed: both stand in
 * the page.
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
  const runs = (Object.keys(assumedMilliseconds) as LambdaKind[]).map(
    (run) => `${run} ${assumedMilliseconds[run]} ms at ${memoryMegabytes[run]} MB`,
  );
  return `${Object.values(prices)
    .map(({ said }) => `- ${said}`)
    .join('\n')}\n\nAssumed durations of a run: ${runs.join(', ')}.`;
}

function countTable(counts: Readonly<Record<string, ResourceUsage>>, many: number, costHeading: string): string {
  const rows = Object.entries(counts).map(([what, usage]) => {
    const billable = billableUsageOf(usage);
    return [
      what,
      rounded(billable.writeUnits),
      rounded(billable.readUnits),
      rounded(billable.httpRequests),
      rounded(billable.invocations),
      rounded(billable.gigabyteSeconds * 1000),
      rounded(billable.transitions),
      rounded(billable.mails),
      roundedUp(billable.logBytes),
      dollars(costInDollars(usage) * many),
    ];
  });
  const head = [
    '',
    'write units',
    'read units',
    'HTTP',
    'runs',
    'GB-ms',
    'transitions',
    'mails',
    'log bytes',
    costHeading,
  ];
  return markdown(head, rows);
}

/** What a steady rate of new activations takes. */
function rateTable(activation: ResourceUsage, watchOfHundred: ResourceUsage): string {
  const { rate } = manifest.activation;
  const billable = billableUsageOf(activation);
  const watchBillable = billableUsageOf(watchOfHundred);
  const rows = [10, 1_000, 100_000].map((perSecond) => {
    const batches = Math.max(1, perSecond / 100);
    const writes = perSecond * billable.writeUnits + batches * watchBillable.writeUnits;
    const perHour = 3600 * (perSecond * costInDollars(activation) + batches * costInDollars(watchOfHundred));
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
      'a second',
      'write units',
      'partitions',
      'runs at once',
      'of the gateway’s rate',
      'batches of the stream',
      'logs an hour',
      'an hour',
    ],
    rows,
  );
}

/** Puts tables into the page, each between its marks. */
function writeTables(tables: Readonly<Record<string, string>>): void {
  const path = 'docs/cost.md';
  const page = Object.entries(tables).reduce(
    (text, [name, table]) => {
      const pattern = new RegExp(`(<!-- ${name}: made by npm run cost -->\n)[^]*?(\n<!-- end of ${name} -->)`);
      if (!pattern.test(text)) throw new Error(`${path} has no place for the table ${name}.`);
      return text.replace(pattern, (_, begin: string, end: string) => `${begin}${table}${end}`);
    },
    readFileSync(path, 'utf8'),
  );
  writeFileSync(path, page);
}

async function main(): Promise<void> {
  const activations = await countInChildProcess('activations');
  const requests = await countInChildProcess('requests');
  const { 'a new machine': aNewMachine, 'the watcher, a batch of 100': watchOfHundred } = activations;
  if (aNewMachine === undefined || watchOfHundred === undefined) throw new Error('Activations were not counted.');
  const tables = {
    prices: priceTable(),
    activations: countTable(activations, 1e6, 'a million'),
    requests: countTable(requests, 1e3, 'a thousand'),
    rates: rateTable(aNewMachine, watchOfHundred),
  };
  writeTables(tables);
  for (const [name, table] of Object.entries(tables)) console.log(`\n${name}\n\n${table}`);
  console.log('\nThey are in docs/cost.md.');
}

await main();
