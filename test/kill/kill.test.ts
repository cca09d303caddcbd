import { expect, it } from 'vitest';
import { runKillTest } from './kill.ts';
import { newStatistics, summaryOf } from './statistics.ts';

it('APR-6 EXC-9 MAK-2 OVR-4 loses nothing and does nothing twice when it is killed three times at work', async () => {
  const tally = newStatistics();
  const wrong = await runKillTest({ kills: 3, seed: 20_270_301, concurrency: 1, statistics: tally });
  expect(wrong, summaryOf(tally)).toEqual([]);
  expect(tally.kills).toBe(3);
  // It was killed while it was at something.
  expect(tally.unanswered, summaryOf(tally)).toBeGreaterThan(0);
}, 300_000);
