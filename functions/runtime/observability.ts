import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { EmfOutput } from '@aws-lambda-powertools/metrics/types';
import { epochMilliseconds } from '../../domain/calendar/instant.ts';
import { counted } from '../manifest.ts';
import { world } from './clock.ts';

/**
 * The log and the metrics of every function: structured, and never told a secret, a body, or the path of an approval link.
 * Whose they are (function and stage) the deployment says, in variables that the library reads for itself.
 */
export const logger = new Logger();
const here = new Metrics();

/** Counts what this function did, apart from what the others do. */
export function countHere(
  amounts: Readonly<Record<string, number>>,
  kinds: Readonly<Record<string, string>> = {},
): void {
  for (const [name, kind] of Object.entries(kinds)) here.addDimension(name, kind);
  for (const [what, amount] of Object.entries(amounts)) here.addMetric(what, MetricUnit.Count, amount);
  here.publishStoredMetrics();
}

const counters = new Map<string, Counter>();

/**
 * Counts what happened to the business, by its kind: never by a person, a key or a request. One line for the whole stage,
 * whichever function counts.
 */
export function count(what: keyof typeof counted, kind: string, amount = 1): void {
  const name = `${what} ${kind}`;
  const counter = counters.get(name) ?? new Counter(what, kind);
  counters.set(name, counter);
  counter.write(amount);
}

/**
 * A counter of one kind. What the library would write is made by it once, and written again with another time and amount:
 * this is on the hot path, where making it anew takes as long as all the hashes of an activation.
 */
class Counter extends Metrics {
  readonly #what: keyof typeof counted;
  #line: EmfOutput | undefined;

  constructor(what: keyof typeof counted, kind: string) {
    super();
    this.clearDefaultDimensions();
    this.setDefaultDimensions({ [counted[what]]: kind });
    this.addMetric(what, MetricUnit.Count, 1);
    this.#what = what;
  }

  write(amount: number): void {
    if (this.isDisabled()) return;
    this.#line ??= this.serializeMetrics();
    const { _aws, ...members } = this.#line;
    const line = { _aws: { ..._aws, Timestamp: epochMilliseconds(world.now()) }, ...members, [this.#what]: amount };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}
