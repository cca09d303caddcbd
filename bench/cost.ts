import { readFileSync, writeFileSync } from 'node:fs';
import { manifest } from '../functions/manifest.ts';
import { countApart } from './child-process-count.ts';
import type { Run } from './prices.ts';
import { assumedMilliseconds, dollarsOf, megabytes, prices, usedOf } from './prices.ts';
import type { Counted } from './resource-usage.ts';

/*
 * `npm run cost`: counts on the local engine what an activation and an exception request use of each service of AWS, prices
 * it, and writes the tables of docs/cost.md. The prices are AWS's list prices, and the durations are assumed: both stand in
 * the page.
 */

const plain = (value: number) => String(Math.round(value * 100) / 100);
const whole = (value: number) => Math.ceil(value).toLocaleString('en-US');
const dollars = (value: number) =>
  value >= 100 ? `$${Math.round(value).toLocaleString('en-US')}` : `$${value.toFixed(value >= 1 ? 2 : 4)}`;

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

function priceTable(): string {
  const runs = (Object.keys(assumedMilliseconds) as Run[]).map(
    (run) => `${run} ${assumedMilliseconds[run]} ms at ${megabytes[run]} MB`,
  );
  return `${Object.values(prices)
    .map(({ said }) => `- ${said}`)
    .join('\n')}\n\nAssumed durations of a run: ${runs.join(', ')}.`;
}

function countTable(counts: Readonly<Record<string, Counted>>, many: number, said: string): string {
  const rows = Object.entries(counts).map(([what, counted]) => {
    const used = usedOf(counted);
    return [
      what,
      plain(used.writeUnits),
      plain(used.readUnits),
      plain(used.httpRequests),
      plain(used.invocations),
      plain(used.gigabyteSeconds * 1000),
      plain(used.transitions),
      plain(used.mails),
      whole(used.logBytes),
      dollars(dollarsOf(counted) * many),
    ];
  });
  const head = ['', 'write units', 'read units', 'HTTP', 'runs', 'GB-ms', 'transitions', 'mails', 'log bytes', said];
  return markdown(head, rows);
}

/** What a steady rate of new activations takes. */
function rateTable(activation: Counted, watchOfHundred: Counted): string {
  const { rate } = manifest.activation;
  const used = usedOf(activation);
  const watched = usedOf(watchOfHundred);
  const rows = [10, 1_000, 100_000].map((perSecond) => {
    const batches = Math.max(1, perSecond / 100);
    const writes = perSecond * used.writeUnits + batches * watched.writeUnits;
    const perHour = 3600 * (perSecond * dollarsOf(activation) + batches * dollarsOf(watchOfHundred));
    return [
      perSecond.toLocaleString('en-US'),
      whole(writes),
      whole(writes / 1_000),
      whole((perSecond * assumedMilliseconds.activation) / 1000),
      plain(perSecond / rate.perSecond),
      whole(batches),
      `${plain((perSecond * used.logBytes * 3600) / 1e9)} GB`,
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
function intoPage(tables: Readonly<Record<string, string>>): void {
  const path = 'docs/cost.md';
  const page = Object.entries(tables).reduce(
    (text, [name, table]) => {
      const marks = new RegExp(`(<!-- ${name}: made by npm run cost -->\n)[^]*?(\n<!-- end of ${name} -->)`);
      if (!marks.test(text)) throw new Error(`${path} has no place for the table ${name}.`);
      return text.replace(marks, (_, begin: string, end: string) => `${begin}${table}${end}`);
    },
    readFileSync(path, 'utf8'),
  );
  writeFileSync(path, page);
}

async function main(): Promise<void> {
  const activations = await countApart('activations');
  const requests = await countApart('requests');
  const { 'a new machine': aNewMachine, 'the watcher, a batch of 100': watchOfHundred } = activations;
  if (aNewMachine === undefined || watchOfHundred === undefined) throw new Error('Activations were not counted.');
  const tables = {
    prices: priceTable(),
    activations: countTable(activations, 1e6, 'a million'),
    requests: countTable(requests, 1e3, 'a thousand'),
    rates: rateTable(aNewMachine, watchOfHundred),
  };
  intoPage(tables);
  for (const [name, table] of Object.entries(tables)) console.log(`\n${name}\n\n${table}`);
  console.log('\nThey are in docs/cost.md.');
}

await main();
