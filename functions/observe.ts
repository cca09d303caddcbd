import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { counted } from './manifest.ts';

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

/** One line for the whole stage, whichever function counts; made once for each kind, for it is counted on the hot path. */
const counters = new Map<string, Metrics>();

/** Counts what happened to the business, by its kind: never by a person, a key or a request. */
export function count(what: keyof typeof counted, kind: string, amount = 1): void {
  const counter = counters.get(`${what} ${kind}`) ?? newCounter(what, kind);
  counter.addMetric(what, MetricUnit.Count, amount);
  counter.publishStoredMetrics();
}

function newCounter(what: keyof typeof counted, kind: string): Metrics {
  const counter = new Metrics();
  counter.clearDefaultDimensions();
  counter.setDefaultDimensions({ [counted[what]]: kind });
  counters.set(`${what} ${kind}`, counter);
  return counter;
}
