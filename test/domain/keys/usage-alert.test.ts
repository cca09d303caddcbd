import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { addDuration } from '../../../domain/calendar/instant.ts';
import type { KeyUsage } from '../../../domain/keys/usage-alert.ts';
import {
  decideClientAlert,
  decideUsageAlert,
  emptyAlertHistory,
  limitIncreasesSince,
  nextUsageAlertAt,
} from '../../../domain/keys/usage-alert.ts';
import { aGrant, aHost, installationId, policy } from '../../builders.ts';
import { mondayTen, tuesdayTen } from '../../instants.ts';

const alertedAt = (...percents: number[]) => ({ percents, limit: 50, clientsAlertedAt: null });
const usage = (used: number, limit: number, limitIncreases: KeyUsage['limitIncreases'] = []): KeyUsage => ({
  used,
  limit,
  limitIncreases,
});

describe('the use of a limit', () => {
  it.each<[used: number, limit: number, percent: number | null]>([
    [0, 50, null],
    [39, 50, null],
    [40, 50, 80],
    [47, 50, 80],
    [48, 50, 95],
    [49, 50, 95],
    [50, 50, 100],
    // 5 of 6 is above 80 %, and only 6 of 6 is above 95 %.
    [4, 6, null],
    [5, 6, 80],
    [6, 6, 100],
    [1, 1, 100],
    [0, 0, null],
  ])('ALR-1 of %i of %i reports %s percent', (used, limit, percent) => {
    expect(decideUsageAlert(usage(used, limit), emptyAlertHistory, policy).alertPercent).toBe(percent);
  });

  it('ALR-1 reports once: only the highest share, and no lower ones after it', () => {
    const first = decideUsageAlert(usage(48, 50), emptyAlertHistory, policy);
    expect(first).toEqual({ alertPercent: 95, history: alertedAt(80, 95) });
    expect(decideUsageAlert(usage(48, 50), first.history, policy)).toEqual({
      alertPercent: null,
      history: alertedAt(80, 95),
    });
    expect(decideUsageAlert(usage(50, 50), first.history, policy)).toEqual({
      alertPercent: 100,
      history: alertedAt(80, 95, 100),
    });
  });

  it('ALR-1 reports a share again only after a grant brought the use below it', () => {
    // 50 of 60 is below 95 % and above 80 %.
    const to60 = { limit: 60, used: 50 };
    const afterGrant = decideUsageAlert(usage(50, 60, [to60]), alertedAt(80, 95, 100), policy);
    expect(afterGrant).toEqual({ alertPercent: null, history: { ...alertedAt(80), limit: 60 } });
    expect(decideUsageAlert(usage(57, 60), afterGrant.history, policy).alertPercent).toBe(95);
    const to100 = { limit: 100, used: 50 };
    expect(decideUsageAlert(usage(50, 100, [to100]), alertedAt(80, 95, 100), policy).history.percents).toEqual([]);
    expect(decideUsageAlert(usage(80, 100), alertedAt(), policy).alertPercent).toBe(80);
  });

  it('ALR-1 reports a share again when the use reached it again before a check after the grant', () => {
    expect(
      decideUsageAlert(usage(80, 100, [{ limit: 100, used: 50 }]), alertedAt(80, 95, 100), policy).alertPercent,
    ).toBe(80);
    expect(decideUsageAlert(usage(60, 60, [{ limit: 60, used: 50 }]), alertedAt(80), policy).alertPercent).toBe(100);
    // Two grants: the first brought the use below 80 %, the second came when the use had reached it again.
    const twoGrants = [
      { limit: 100, used: 50 },
      { limit: 110, used: 100 },
    ];
    expect(decideUsageAlert(usage(100, 110, twoGrants), alertedAt(80), policy).alertPercent).toBe(80);
    // The use was at 80 % all the time.
    expect(decideUsageAlert(usage(50, 60, [{ limit: 60, used: 48 }]), alertedAt(80), policy).alertPercent).toBeNull();
  });

  it('KEY-8 ALR-1 computes the use at the time of each later limit', () => {
    const hour = (hours: number) => addDuration(mondayTen, { hours });
    const grants = [
      aGrant({ amount: 50, at: hour(0) }),
      aGrant({ kind: 'override', amount: 1, at: hour(1) }),
      aGrant({ kind: 'call-center', amount: 10, at: hour(2) }),
      aGrant({ kind: 'exception', amount: 40, at: hour(4) }),
    ];
    const usedAt = [hour(5), hour(1), hour(2), hour(3), hour(4)];
    expect(limitIncreasesSince({ limit: 50 }, grants, usedAt)).toEqual([
      { limit: 60, used: 2 },
      { limit: 100, used: 4 },
    ]);
    expect(limitIncreasesSince({ limit: 60 }, grants, usedAt)).toEqual([{ limit: 100, used: 4 }]);
    expect(limitIncreasesSince({ limit: 100 }, grants, usedAt)).toEqual([]);
  });

  it('ALR-1 keeps the time of the last client alert', () => {
    const previous = { ...alertedAt(), clientsAlertedAt: mondayTen };
    expect(decideUsageAlert(usage(50, 50), previous, policy).history).toEqual({
      ...alertedAt(80, 95, 100),
      clientsAlertedAt: mondayTen,
    });
  });

  const limits = fc.integer({ min: 1, max: 1_000_000 });
  const histories = fc.subarray([80, 95, 100]).map((percents) => alertedAt(...percents));

  it('ALR-1 returns the exact lowest use of the next alert', () => {
    fc.assert(
      fc.property(limits, histories, (limit, previous) => {
        const at = nextUsageAlertAt(limit, previous, policy);
        if (at === null) {
          expect(decideUsageAlert(usage(limit, limit), previous, policy).alertPercent).toBeNull();
        } else {
          expect(decideUsageAlert(usage(at, limit), previous, policy).alertPercent).not.toBeNull();
          expect(decideUsageAlert(usage(at - 1, limit), previous, policy).alertPercent).toBeNull();
        }
      }),
    );
    expect(nextUsageAlertAt(0, emptyAlertHistory, policy)).toBeNull();
  });

  it('ALR-1 reports each share once between two grants, in whatever steps the use rises', () => {
    const steps = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 30 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), steps, (limit, increments) => {
        let previous = emptyAlertHistory;
        let used = 0;
        const alertPercents: number[] = [];
        for (const increment of increments) {
          used = Math.min(limit, used + increment);
          const { alertPercent, history } = decideUsageAlert(usage(used, limit), previous, policy);
          if (alertPercent !== null) alertPercents.push(alertPercent);
          previous = history;
        }
        expect(alertPercents).toEqual([...new Set(alertPercents)].toSorted((one, other) => one - other));
        const highest = policy.alerts.usedPercent.findLast((percent) => used * 100 >= limit * percent);
        expect(alertPercents.at(-1)).toBe(highest);
      }),
    );
  });
});

describe('new hosts on a KMS key', () => {
  const since = (...times: Instant[]) => ({
    hosts: times.map((at, index) => aHost({ installationId: installationId(index), firstActivatedAt: at })),
  });
  const hours = (count: number, seconds = 0) => addDuration(mondayTen, { hours: count, seconds });

  it.each([
    ['two hosts within the hours as no alert', since(mondayTen, hours(1)), null],
    ['three hosts within the hours', since(mondayTen, hours(1), hours(2)), 3],
    ['four hosts within the hours', since(mondayTen, hours(1), hours(2), hours(3)), 4],
    ['the third host a second before the hours end', since(mondayTen, hours(1), hours(24, -1)), 3],
    ['the third host at the end of the hours as no alert', since(mondayTen, hours(1), hours(24)), null],
    [
      'three hosts within the hours, without those long before',
      since(addDuration(mondayTen, { days: -9 }), hours(0), hours(1), hours(2)),
      3,
    ],
    ['no hosts as no alert', since(), null],
  ])('KMS-4 counts %s', (_, key, count) => {
    expect(decideClientAlert(key, emptyAlertHistory, policy).hosts).toBe(count);
  });

  it('KMS-4 alerts once within the hours, however many more hosts come, and again after them', () => {
    const first = decideClientAlert(since(mondayTen, hours(1), hours(2)), emptyAlertHistory, policy);
    expect(first.history).toEqual({ ...emptyAlertHistory, clientsAlertedAt: hours(2) });
    expect(decideClientAlert(since(mondayTen, hours(1), hours(2)), first.history, policy)).toEqual({
      hosts: null,
      history: first.history,
    });
    expect(decideClientAlert(since(hours(1), hours(2), hours(26, -1)), first.history, policy).hosts).toBeNull();
    const dayAfter = since(hours(24), hours(25), hours(26));
    expect(decideClientAlert(dayAfter, first.history, policy)).toEqual({
      hosts: 3,
      history: { ...emptyAlertHistory, clientsAlertedAt: hours(26) },
    });
  });

  it('KMS-4 keeps the reported shares of the limit', () => {
    const previous = alertedAt(80);
    expect(decideClientAlert(since(tuesdayTen, tuesdayTen, tuesdayTen), previous, policy).history).toEqual({
      ...previous,
      clientsAlertedAt: tuesdayTen,
    });
  });
});
