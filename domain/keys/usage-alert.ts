import type { Instant } from '../calendar/instant.ts';
import { addDuration, isBefore } from '../calendar/instant.ts';
import type { Policy } from '../policy.ts';
import type { Grant } from './grant.ts';
import { limitOf } from './grant.ts';
import type { KmsKey } from './key.ts';
import { countNewHosts, isProbablyOnClients } from './kms.ts';

/** What the contacts of a key have been told already, so that each crossing is told once (ALR-1, KMS-4). */
export type AlertHistory = {
  /** The shares of the limit that were told, in percent. */
  readonly percents: readonly number[];
  /** What the limit was when that was decided; 0 before anything was. */
  readonly limit: number;
  /** When they were last told that the key is probably used on clients; null when never. */
  readonly clientsAlertedAt: Instant | null;
};

export const emptyAlertHistory: AlertHistory = { percents: [], limit: 0, clientsAlertedAt: null };

/** How much of a limit is used. */
export type KeyUsage = {
  readonly used: number;
  readonly limit: number;
  /** Each limit that came after the one for which something was told, and how much was used when it was granted. */
  readonly limitIncreases: readonly { readonly limit: number; readonly used: number }[];
};

/**
 * Decides which share of a limit to tell of now (ALR-1): the highest that is reached and was not told. A share that a grant
 * took the use back below may be told again, even when the use has come to it once more before anybody looked.
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
 * The limits that grants have made since the one for which something was told, and how much was used at each moment.
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
 * The least use of a limit at which there is something to tell next (ALR-1); null when all was told that there is to tell
 * of this limit. Whoever knows that less than this is used need not count.
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
 * Decides whether to warn that a KMS key is probably typed on clients (KMS-4): once in the hours in which hosts are
 * counted. It is judged at the moment when the newest host came, whenever that is looked at: who looks late warns all the
 * same. `hosts` is how many were new then; null when there is nothing to tell.
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
