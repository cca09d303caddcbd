import { manifest } from '../functions/manifest.ts';
import type { ResourceUsage } from './resource-usage.ts';

/** List prices in dollars, in us-east-1, as known in 2025 and 2026. */
export const prices = {
  writeUnits: { each: 0.625 / 1e6, said: 'DynamoDB on demand: $0.625 a million write units' },
  readUnits: { each: 0.125 / 1e6, said: 'DynamoDB on demand: $0.125 a million read units' },
  invocations: { each: 0.2 / 1e6, said: 'Lambda: $0.20 a million requests' },
  gigabyteSeconds: { each: 0.0000133334, said: 'Lambda on Arm: $0.0000133334 a GB-second' },
  httpRequests: { each: 1 / 1e6, said: 'API Gateway, HTTP API: $1.00 a million requests (up to 300 million a month)' },
  transitions: { each: 25 / 1e6, said: 'Step Functions, standard: $25 a million state transitions' },
  mails: { each: 0.1 / 1e3, said: 'SES: $0.10 a thousand mails' },
  logBytes: { each: 0.5 / 1e9, said: 'CloudWatch Logs: $0.50 a GB taken in (the first 10 TB a month)' },
} as const;
export type PricedResource = keyof typeof prices;

/** How long a run is assumed to take on AWS once it is warm, in milliseconds: the database answers in five, SES in 60. */
export const assumedMilliseconds = { activation: 15, api: 40, step: 120, watch: 25 } as const;
export type LambdaKind = keyof typeof assumedMilliseconds;
export const memoryMegabytes: Readonly<Record<LambdaKind, number>> = {
  activation: manifest.activation.size.memoryMegabytes,
  api: manifest.exceptions.size.memoryMegabytes,
  step: manifest.chooseNextStep.size.memoryMegabytes,
  watch: manifest.keyChanges.size.memoryMegabytes,
};

export function billableUsageOf({ runs, ...usage }: ResourceUsage): Readonly<Record<PricedResource, number>> {
  const kinds = Object.keys(assumedMilliseconds) as LambdaKind[];
  return {
    ...usage,
    invocations: kinds.reduce((sum, kind) => sum + runs[kind], 0),
    gigabyteSeconds: kinds.reduce(
      (sum, kind) => sum + (runs[kind] * assumedMilliseconds[kind] * memoryMegabytes[kind]) / 1024 / 1000,
      0,
    ),
  };
}

export function costInDollars(usage: ResourceUsage): number {
  const billable = billableUsageOf(usage);
  return (Object.keys(prices) as PricedResource[]).reduce((sum, name) => sum + billable[name] * prices[name].each, 0);
}
