import { expect, it } from 'vitest';
import { startSystem } from '../journeys/system.ts';
import { formatReport, fuzz } from './fuzz.ts';

it('answers five hundred requests, valid, nearly so and hostile, as the description says', async () => {
  const { address } = await startSystem();
  const report = await fuzz(address, 500, 20_270_301);
  expect(report.failures, formatReport(report)).toEqual([]);
  // They come through to the rules, and not to the door alone.
  const answered = (least: number, most: number) =>
    [...report.tally].filter(([, statuses]) =>
      [...statuses.keys()].some((status) => status >= least && status <= most),
    );
  expect(answered(200, 299).length).toBeGreaterThan(20);
  expect(report.codes.size).toBeGreaterThan(10);
}, 120_000);
