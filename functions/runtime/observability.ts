import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { EmfOutput } from '@aws-lambda-powertools/metrics/types';
import { epochMilliseconds } from '../../domain/calendar/instant.ts';
import { businessMetrics } from '../manifest.ts';
import { clock } from './clock.ts';

/**
 * The structured log of every function. It never contains a secret, a body, or the path of an approval link. The library
 * reads the names of the function and the stage from variables that the deployment sets.
 */
export const logger = new Logger();
const functionMetrics = new Metrics();

/** Adds amounts to metrics of this function. */
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
 * Counts a business event of the stage, in whichever function it happens. The one dimension is a kind, never a person, a
 * key, or a request.
 */
export function countBusinessEvent(metric: keyof typeof businessMetrics, kind: string, amount = 1): void {
  const name = `${metric} ${kind}`;
  const counter = businessCounters.get(name) ?? new BusinessCounter(metric, kind);
  businessCounters.set(name, counter);
  counter.write(amount);
}

/**
 * A counter of one metric and kind. The library builds the log line once; every count reuses it with the time and amount
 * replaced. This is on the hot path: building the line takes as long as all hashes of an activation.
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
    const line = { _aws: { ..._aws, Timestamp: epochMilliseconds(clock.now()) }, ...members, [this.#metric]: amount };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}
