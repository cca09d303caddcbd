import { describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { policy, requestAwaitingApproval, requestFulfilled, requestWithdrawn } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { captureOutput } from '../captured-logs.ts';

process.env.POWERTOOLS_METRICS_NAMESPACE = 'record-request-metrics';
const { recordRequestMetrics } = await import('../../../functions/use-cases/record-request-metrics.ts');
const output = captureOutput();

/** Returns each metric line as its metric with the amount, and its dimension. */
const recordedMetrics = () =>
  output
    .lines()
    .flatMap((line) => line.trim().split('\n'))
    .map((line): string => {
      const { _aws, ...members } = JSON.parse(line) as Record<string, unknown>;
      return Object.entries(members)
        .map(([name, value]) => `${name} ${value}`)
        .toSorted()
        .join(', ');
    });

const anHourLater = addDuration(mondayTen, { hours: 1 });

describe('a request in a new state', () => {
  it('is counted by its state alone while it is open', () => {
    recordRequestMetrics(requestAwaitingApproval(), anHourLater, policy);
    expect(recordedMetrics()).toEqual(['requests 1, state awaiting-approval']);
  });

  it('SLA-4 is counted by its final state, its decision, and the elapsed minutes of each assignee', () => {
    recordRequestMetrics(requestFulfilled(), anHourLater, policy);
    expect(recordedMetrics()).toEqual([
      'requests 1, state fulfilled',
      'approvals 1, outcome approve',
      expect.stringMatching(/^assignee \w+, elapsedMinutes \d+$/),
      expect.stringMatching(/^assignee \w+, elapsedMinutes \d+$/),
      expect.stringMatching(/^assignee \w+, elapsedMinutes \d+$/),
    ]);
  });

  it('SLA-4 is counted without a decision if nobody decided', () => {
    recordRequestMetrics(requestWithdrawn(), anHourLater, policy);
    expect(recordedMetrics().filter((line) => line.startsWith('approvals'))).toEqual([]);
    expect(recordedMetrics()).toContain('requests 1, state withdrawn');
  });
});
