import { describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { policy, requestAwaitingApproval, requestFulfilled, requestWithdrawn } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { captureOutput } from '../captured-logs.ts';

process.env.POWERTOOLS_METRICS_NAMESPACE = 'counted';
const { recordRequestMetrics: countRequest } = await import('../../../functions/use-cases/record-request-metrics.ts');
const printed = captureOutput();

/** What was counted, each as its metric, its kind and its amount. */
const counted = () =>
  printed
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

describe('a request that came into a state', () => {
  it('is counted there, and nothing more while it is open', () => {
    countRequest(requestAwaitingApproval(), anHourLater, policy);
    expect(counted()).toEqual(['requests 1, state awaiting-approval']);
  });

  it('SLA-4 is counted by its end, by what was decided, and by how long it was with whom', () => {
    countRequest(requestFulfilled(), anHourLater, policy);
    expect(counted()).toEqual([
      'requests 1, state fulfilled',
      'approvals 1, outcome approve',
      expect.stringMatching(/^answerMinutes \d+, ball \w+$/),
      expect.stringMatching(/^answerMinutes \d+, ball \w+$/),
      expect.stringMatching(/^answerMinutes \d+, ball \w+$/),
    ]);
  });

  it('SLA-4 is counted without a decision where nobody decided', () => {
    countRequest(requestWithdrawn(), anHourLater, policy);
    expect(counted().filter((line) => line.startsWith('approvals'))).toEqual([]);
    expect(counted()).toContain('requests 1, state withdrawn');
  });
});
