import { manifest } from '../functions/manifest.ts';
import type { FunctionKind, ResourceUsage } from './resource-usage.ts';

/** List prices in dollars, in us-east-1, as known in 2025 and 2026. */
export const prices = {
  writeUnits: { each: 0.625 / 1e6, description: 'DynamoDB on demand: $0.625 per million write units' },
  readUnits: { each: 0.125 / 1e6, description: 'DynamoDB on demand: $0.125 per million read units' },
  invocations: { each: 0.2 / 1e6, description: 'Lambda: $0.20 per million requests' },
  gigabyteSeconds: { each: 0.0000133334, description: 'Lambda on Arm: $0.0000133334 per GB-second' },
  httpRequests: {
    each: 1 / 1e6,
    description: 'API Gateway, HTTP API: $1.00 per million requests (up to 300 million a month)',
  },
  transitions: { each: 25 / 1e6, description: 'Step Functions, standard: $25 per million state transitions' },
  emails: { each: 0.1 / 1e3, description: 'SES: $0.10 per thousand emails' },
  logBytes: { each: 0.5 / 1e9, description: 'CloudWatch Logs: $0.50 per GB ingested (the first 10 TB a month)' },
} as const;
export type PricedResource = keyof typeof prices;

/**
 * The assumed duration of a warm invocation on AWS, in milliseconds. A call of DynamoDB is assumed to take 5, and one
 * of SES 60.
 */
export const assumedMilliseconds: Readonly<Record<FunctionKind, number>> = {
  activation: 15,
  api: 40,
  step: 120,
  streamReader: 25,
};
export const functionLabels: Readonly<Record<FunctionKind, string>> = {
  activation: 'activation',
  api: 'other API functions',
  step: 'workflow steps',
  streamReader: 'stream reader',
};
export const memoryMegabytes: Readonly<Record<FunctionKind, number>> = {
  activation: manifest.activation.size.memoryMegabytes,
  api: manifest.exceptions.size.memoryMegabytes,
  step: manifest.chooseNextStep.size.memoryMegabytes,
  streamReader: manifest.keyChanges.size.memoryMegabytes,
};

export function billableUsageOf({ invocations, ...usage }: ResourceUsage): Readonly<Record<PricedResource, number>> {
  const kinds = Object.keys(assumedMilliseconds) as FunctionKind[];
  return {
    ...usage,
    invocations: kinds.reduce((sum, kind) => sum + invocations[kind], 0),
    gigabyteSeconds: kinds.reduce(
      (sum, kind) => sum + (invocations[kind] * assumedMilliseconds[kind] * memoryMegabytes[kind]) / 1024 / 1000,
      0,
    ),
  };
}

export function costInDollars(usage: ResourceUsage): number {
  const billable = billableUsageOf(usage);
  return (Object.keys(prices) as PricedResource[]).reduce((sum, name) => sum + billable[name] * prices[name].each, 0);
}
