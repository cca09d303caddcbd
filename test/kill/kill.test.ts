import { expect, it } from 'vitest';
import { runKillTest } from './kill.ts';
import { newStatistics, summaryOf } from './statistics.ts';

it('APR-6 EXC-9 MAK-2 OVR-4 loses no change and applies none twice when it is killed three times under load', async () => {
  const statistics = newStatistics();
  const problems = await runKillTest({ kills: 3, seed: 20_270_301, concurrency: 1, statistics });
  expect(problems, summaryOf(statistics)).toEqual([]);
  expect(statistics.kills).toBe(3);
  // A kill interrupted at least one operation.
  expect(statistics.lostResponses, summaryOf(statistics)).toBeGreaterThan(0);
}, 300_000);
