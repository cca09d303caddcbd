import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { manifest } from '../functions/manifest.ts';
import type { Counted } from './cost-counts.ts';
import { countActivations, countRequests } from './cost-counts.ts';

/*
 * `npm run cost`: counts on the local engine what an activation and an exception request use of each service of AWS, prices
 * it, and writes the tables of docs/cost.md. The prices are AWS's list prices, and the durations are assumed: both stand in
 * the page. Each part runs in a process of its own, since the handlers keep one table for as long as they live.
 */

/** List prices in dollars, in us-east-1, as known in 2025 and 2026. */
const prices = {
  writeUnits: { each: 0.625 / 1e6, said: 'DynamoDB on demand: $0.625 a million write units' },
  readUnits: { each: 0.125 / 1e6, said: 'DynamoDB on demand: $0.125 a million read units' },
  invocations: { each: 0.2 / 1e6, said: 'Lambda: $0.20 a million requests' },
  gigabyteSeconds: { each: 0.0000133334, said: 'Lambda on Arm: $0.0000133334 a GB-second' },
  httpRequests: { each: 1 / 1e6, said: 'API Gateway, HTTP API: $1.00 a million requests (up to 300 million a month)' },
  transitions: { each: 25 / 1e6, said: 'Step Functions, standard: $25 a million state transitions' },
  mails: { each: 0.1 / 1e3, said: 'SES: $0.10 a thousand mails' },
  logBytes: { each: 0.5 / 1e9, said: 'CloudWatch Logs: $0.50 a GB taken in (the first 10 TB a month)' },
} as const;
type Priced = keyof typeof prices;

/** How long a run is assumed to take on AWS once it is warm, in milliseconds: the database answers in five, SES in 60. */
const assumedMilliseconds = { activation: 15, api: 40, step: 120, watch: 25 } as const;
type Run = keyof typeof assumedMilliseconds;
const megabytes: Readonly<Record<Run, number>> = {
  activation: manifest.activation.size.memoryMegabytes,
  api: manifest.exceptions.size.memoryMegabytes,
  step: manifest.seeWhereItStands.size.memoryMegabytes,
  watch: manifest.warn.size.memoryMegabytes,
};

function usedOf({ runs, ...counted }: Counted): Readonly<Record<Priced, number>> {
  const kinds = Object.keys(assumedMilliseconds) as Run[];
  return {
    ...counted,
    invocations: kinds.reduce((sum, run) => sum + runs[run], 0),
    gigabyteSeconds: kinds.reduce(
      (sum, run) => sum + (runs[run] * assumedMilliseconds[run] * megabytes[run]) / 1024 / 1000,
      0,
    ),
  };
}

function dollarsOf(counted: Counted): number {
  const used = usedOf(counted);
  return (Object.keys(prices) as Priced[]).reduce((sum, name) => sum + used[name] * prices[name].each, 0);
}

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

const countedSchema = z.record(
  z.string(),
  z.object({
    writeUnits: z.number(),
    readUnits: z.number(),
    httpRequests: z.number(),
    runs: z.object({ activation: z.number(), api: z.number(), step: z.number(), watch: z.number() }),
    transitions: z.number(),
    mails: z.number(),
    logBytes: z.number(),
  }),
);

/** Counts one part in a process of its own; what its functions log goes to nobody. */
async function countApart(part: string): Promise<Readonly<Record<string, Counted>>> {
  const child = fork(import.meta.filename, [part], { silent: true });
  const complaints: string[] = [];
  child.stdout?.resume();
  child.stderr?.on('data', (chunk: Buffer) => complaints.push(chunk.toString()));
  const message = once(child, 'message');
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`Counting ${part} failed: ${complaints.join('').slice(-2_000)}`);
  return countedSchema.parse((await message)[0]);
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

async function main(part: string | undefined): Promise<void> {
  if (part !== undefined) {
    const counts = part === 'activations' ? await countActivations() : await countRequests();
    process.send?.(counts);
    return;
  }
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

await main(process.argv[2]);
process.exit(0);
