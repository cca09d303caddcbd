import { expect, it } from 'vitest';
import { startSystem } from '../journeys/system.ts';
import { formatReport, fuzz } from './fuzz.ts';

it('responds to 500 valid, nearly valid, and hostile requests as the OpenAPI document describes', async () => {
  const { address } = await startSystem();
  const report = await fuzz(address, 500, 20_270_301);
  expect(report.failures, formatReport(report)).toEqual([]);
  // The requests reach the business rules, and not only the input validation.
  const successfulRoutes = [...report.statusCounts].filter(([, statuses]) =>
    [...statuses.keys()].some((status) => status >= 200 && status <= 299),
  );
  expect(successfulRoutes.length).toBeGreaterThan(20);
  expect(report.codes.size).toBeGreaterThan(10);
}, 120_000);
