import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { EmfOutput } from '@aws-lambda-powertools/metrics/types';
import { epochMilliseconds } from '../../domain/calendar/instant.ts';
import { businessMetrics } from '../manifest.ts';
import { runtime } from './clock.ts';

/**
 * The log and the metrics of every function: structured, and never told a secret, a body, or the path of an approval link.
 * Whose they are (function and stage) the deployment says, in variables that the library reads for itself.
 */
export const logger = new Logger();
const functionMetrics = new Metrics();

/** Counts what this function did, apart from what the others do. */
export function countFunctionMetric(
  amounts: Readonly<Record<string, number>>,
  dimensions: Readonly<Record<string, string>> = {},
): void {
  for (const [name, value] of Object.entries(dimensions)) functionMetrics.addDimension(name, value);
  for (const [metric, amount] of Object.entries(amounts)) functionMetrics.addMetric(metric, MetricUnit.Count, amount);
  functionMetrics.publishStoredMetrics();
}

const businessCounters = new Map<string, BusinessCounter>();

/**
 * Counts what happened to the business, by its kind: never by a person, a key or a request. One line for the whole stage,
 * whichever function counts.
 */
export function countBusinessEvent(metric: keyof typeof businessMetrics, kind: string, amount = 1): void {
  const name = `${metric} ${kind}`;
  const counter = businessCounters.get(name) ?? new BusinessCounter(metric, kind);
  businessCounters.set(name, counter);
  counter.write(amount);
}

/**
 * A counter of one kind. What the library would write is made by it once, and written again with another time and amount:
 * this is on the hot path, where making it anew takes as long as all the hashes of an activation.
 */
class BusinessCounter extends Metrics {
  readonly #metric: keyof typeof businessMetrics;
  #line: EmfOutput | undefined;

  constructor(metric: keyof typeof businessMetrics, value: string) {
    super();
    this.clearDefaultDimensions();
    this.setDefaultDimensions({ [businessMetrics[metric]]: value });
    this.addMetric(metric, MetricUnit.Count, 1);
    this.#metric = metric;
  }

  write(amount: number): void {
    if (this.isDisabled()) return;
    this.#line ??= this.serializeMetrics();
    const { _aws, ...members } = this.#line;
    const line = { _aws: { ..._aws, Timestamp: epochMilliseconds(runtime.now()) }, ...members, [this.#metric]: amount };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}
