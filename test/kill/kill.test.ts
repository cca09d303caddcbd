import { expect, it } from 'vitest';
import { killAgainAndAgain } from './kill.ts';
import { newTally, summaryOf } from './statistics.ts';

it('APR-6 EXC-9 MAK-2 OVR-4 loses nothing and does nothing twice when it is killed three times at work', async () => {
  const tally = newTally();
  const wrong = await killAgainAndAgain({ kills: 3, seed: 20_270_301, atOnce: 1, tally });
  expect(wrong, summaryOf(tally)).toEqual([]);
  expect(tally.kills).toBe(3);
  // It was killed while it was at something.
  expect(tally.inDoubt, summaryOf(tally)).toBeGreaterThan(0);
}, 300_000);
