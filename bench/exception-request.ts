import { countApart } from './child-process-count.ts';
import { dollarsOf } from './prices.ts';
import type { Row } from './report.ts';

/** What an exception request takes, from the call that sends it to the last mail, through the whole local system. */
export async function measure(): Promise<readonly Row[]> {
  const counts = await countApart('requests');
  return Object.entries(counts).flatMap(([what, counted]): Row[] => [
    {
      what: `${what}: state transitions`,
      measured: counted.transitions,
      unit: 'transitions',
      // The team’s question and its answer are two more waits than the straight way has.
      ...(what === 'approved straight' ? { reach: { atMost: 8 }, counted: true } : {}),
    },
    { what: `${what}: mails`, measured: counted.mails, unit: 'mails' },
    {
      what: `${what}: written`,
      measured: counted.writeUnits,
      unit: 'WCU',
      beside: { what: 'RCU', measured: counted.readUnits },
    },
    { what: `${what}: cost on AWS`, measured: dollarsOf(counted) * 100, unit: 'US cents' },
  ]);
}
