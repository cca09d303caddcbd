import { countInChildProcess } from './child-process-count.ts';
import { costInDollars } from './prices.ts';
import type { Measurement } from './report.ts';

/** Counts the resources of an exception request in the complete local system, from its submission to its last email. */
export async function measure(): Promise<readonly Measurement[]> {
  const counts = await countInChildProcess('requests');
  return Object.entries(counts).flatMap(([label, usage]): Measurement[] => [
    {
      label: `${label}: state transitions`,
      value: usage.transitions,
      unit: 'transitions',
      // The question and the answer add two waits, so that the target applies only without them.
      ...(label === 'approved without review' ? { target: { atMost: 8 }, isDeterministic: true } : {}),
    },
    { label: `${label}: emails`, value: usage.emails, unit: 'emails' },
    {
      label: `${label}: database units`,
      value: usage.writeUnits,
      unit: 'WCU',
      baseline: { label: 'RCU', value: usage.readUnits },
    },
    { label: `${label}: cost on AWS`, value: costInDollars(usage) * 100, unit: 'US cents' },
  ]);
}
