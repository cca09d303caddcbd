import type { Instant } from './instant.ts';
import { isBefore, later } from './instant.ts';
import type { KmsKey } from './key.ts';
import { looksLikeClients, newHosts } from './kms.ts';
import type { Policy } from './policy.ts';

/** What the contacts of a key have been told already, so that each crossing is told once (ALR-1, KMS-4). */
export type Told = {
  /** The shares of the limit that were told, in percent. */
  readonly percents: readonly number[];
  /** When they were last told that the key is probably used on clients; null when never. */
  readonly clientsAt: Instant | null;
};

export const nothingTold: Told = { percents: [], clientsAt: null };

/**
 * Decides which share of a limit to tell of now (ALR-1): the highest that is reached and was not told. A share that is no
 * longer reached, because a grant took the use back below it, may be told again.
 */
export function usageAlert(
  used: number,
  limit: number,
  told: Told,
  policy: Policy,
): { readonly tell: number | null; readonly told: Told } {
  const reached = policy.alerts.usedPercent.filter((percent) => limit > 0 && used * 100 >= limit * percent);
  const fresh = reached.filter((percent) => !told.percents.includes(percent));
  const tell = fresh.length === 0 ? null : Math.max(...fresh);
  return { tell, told: { ...told, percents: reached } };
}

/**
 * The least use of a limit at which there is something to tell next (ALR-1); null when all was told that there is to tell
 * of this limit. Whoever knows that less than this is used need not count.
 */
export function nextUsageAlertAt(limit: number, told: Told, policy: Policy): number | null {
  const untold = policy.alerts.usedPercent.filter((percent) => limit > 0 && !told.percents.includes(percent));
  return untold.length === 0 ? null : Math.min(...untold.map((percent) => Math.ceil((limit * percent) / 100)));
}

/**
 * Decides whether to warn that a KMS key is probably typed on clients (KMS-4): once in the hours in which hosts are
 * counted. It is judged at the moment when the newest host came, whenever that is looked at: who looks late warns all the
 * same. `hosts` is how many were new then; null when there is nothing to tell.
 */
export function clientsAlert(
  key: Pick<KmsKey, 'hosts'>,
  told: Told,
  policy: Policy,
): { readonly hosts: number | null; readonly told: Told } {
  const at = key.hosts
    .map(({ firstActivatedAt }) => firstActivatedAt)
    .toSorted()
    .at(-1);
  if (at === undefined || !looksLikeClients(key, at, policy)) return { hosts: null, told };
  const since = later(at, { hours: -policy.kms.newHostsWarning.withinHours });
  const recently = told.clientsAt !== null && isBefore(since, told.clientsAt);
  return recently ? { hosts: null, told } : { hosts: newHosts(key, at, policy), told: { ...told, clientsAt: at } };
}
