import type { Instant } from '../calendar/instant.ts';
import { addDuration, isBefore } from '../calendar/instant.ts';
import type { Policy } from '../policy.ts';
import type { Grant } from './grant.ts';
import { limitOf } from './grant.ts';
import type { KmsKey } from './key.ts';
import { countNewHosts, isProbablyOnClients } from './kms.ts';

/** The alerts that the contacts of a key have received, so that each crossing is reported once (ALR-1, KMS-4). */
export type AlertHistory = {
  /** The reported shares of the limit, in percent. */
  readonly percents: readonly number[];
  /** The limit when the last decision was made; 0 before the first. */
  readonly limit: number;
  /** The time of the last alert about use on client computers; null when there was none. */
  readonly clientsAlertedAt: Instant | null;
};

export const emptyAlertHistory: AlertHistory = { percents: [], limit: 0, clientsAlertedAt: null };

/** The use of a key's limit. */
export type KeyUsage = {
  readonly used: number;
  readonly limit: number;
  /** Each limit that was granted since the last decision, and how much was used at that time. */
  readonly limitIncreases: readonly { readonly limit: number; readonly used: number }[];
};

/**
 * Decides which share of the limit to report now (ALR-1): the highest one that is reached and was not reported. If a
 * grant brought the use below a share, that share can be reported again, even if the use reached it again before this
 * check.
 */
export function decideUsageAlert(
  { used, limit, limitIncreases }: KeyUsage,
  history: AlertHistory,
  policy: Policy,
): { readonly alertPercent: number | null; readonly history: AlertHistory } {
  const reachedPercents = policy.alerts.usedPercent.filter((percent) => isReached(percent, used, limit));
  const alertedPercents = history.percents.filter((percent) =>
    limitIncreases.every((increase) => isReached(percent, increase.used, increase.limit)),
  );
  const newPercents = reachedPercents.filter((percent) => !alertedPercents.includes(percent));
  const alertPercent = newPercents.length === 0 ? null : Math.max(...newPercents);
  return { alertPercent, history: { ...history, percents: reachedPercents, limit } };
}

function isReached(percent: number, used: number, limit: number): boolean {
  return limit > 0 && used * 100 >= limit * percent;
}

/**
 * Returns the limits that were granted since the last decision, and how much was used at the time of each grant.
 * @param usageTimes when each unit of the limit was used, in any order.
 */
export function limitIncreasesSince(
  history: Pick<AlertHistory, 'limit'>,
  grants: readonly Grant[],
  usageTimes: readonly Instant[],
): KeyUsage['limitIncreases'] {
  return grants
    .map((grant, index) => ({ at: grant.at, limit: limitOf(grants.slice(0, index + 1)) }))
    .filter(({ limit }) => limit > history.limit)
    .map(({ at, limit }) => ({ limit, used: usageTimes.filter((each) => !isBefore(at, each)).length }));
}

/**
 * Returns the lowest use at which the next alert can be due (ALR-1); null when every share of this limit was reported.
 * A caller that knows that less is used does not need to count.
 */
export function nextUsageAlertAt(limit: number, history: AlertHistory, policy: Policy): number | null {
  const pendingPercents = policy.alerts.usedPercent.filter(
    (percent) => limit > 0 && !history.percents.includes(percent),
  );
  return pendingPercents.length === 0
    ? null
    : Math.min(...pendingPercents.map((percent) => Math.ceil((limit * percent) / 100)));
}

/**
 * Decides whether to warn that a KMS key is probably used on client computers (KMS-4), once in the hours in which hosts
 * are counted. It evaluates the key at the time of its newest host, so that a late check gives the same result. `hosts`
 * is the number of new hosts at that time; null when no alert is due.
 */
export function decideClientAlert(
  key: Pick<KmsKey, 'hosts'>,
  history: AlertHistory,
  policy: Policy,
): { readonly hosts: number | null; readonly history: AlertHistory } {
  const at = key.hosts
    .map(({ firstActivatedAt }) => firstActivatedAt)
    .toSorted()
    .at(-1);
  if (at === undefined || !isProbablyOnClients(key, { now: at, policy })) return { hosts: null, history };
  const since = addDuration(at, { hours: -policy.kms.newHostsWarning.withinHours });
  const isRecentlyAlerted = history.clientsAlertedAt !== null && isBefore(since, history.clientsAlertedAt);
  return isRecentlyAlerted
    ? { hosts: null, history }
    : { hosts: countNewHosts(key, { now: at, policy }), history: { ...history, clientsAlertedAt: at } };
}
