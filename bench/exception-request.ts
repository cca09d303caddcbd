import { countInChildProcess } from './child-process-count.ts';
import { costInDollars } from './prices.ts';
import type { Measurement } from './report.ts';

/** What an exception request takes, from the call that sends it to the last mail, through the whole local system. */
export async function measure(): Promise<readonly Measurement[]> {
  const counts = await countInChildProcess('requests');
  return Object.entries(counts).flatMap(([what, usage]): Measurement[] => [
    {
      what: `${what}: state transitions`,
      value: usage.transitions,
      unit: 'transitions',
      // The team’s question and its answer are two more waits than the straight way has.
      ...(what === 'approved straight' ? { target: { atMost: 8 }, isDeterministic: true } : {}),
    },
    { what: `${what}: mails`, value: usage.mails, unit: 'mails' },
    {
      what: `${what}: written`,
      value: usage.writeUnits,
      unit: 'WCU',
      baseline: { what: 'RCU', value: usage.readUnits },
    },
    { what: `${what}: cost on AWS`, value: costInDollars(usage) * 100, unit: 'US cents' },
  ]);
}
