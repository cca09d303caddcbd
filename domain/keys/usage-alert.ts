import type { Instant } from '../calendar/instant.ts';
import { isBefore, later } from '../calendar/instant.ts';
import type { Policy } from '../policy.ts';
import type { Grant } from './grant.ts';
import { limitOf } from './grant.ts';
import type { KmsKey } from './key.ts';
import { looksLikeClients, newHosts } from './kms.ts';

/** What the contacts of a key have been told already, so that each crossing is told once (ALR-1, KMS-4). */
export type Told = {
  /** The shares of the limit that were told, in percent. */
  readonly percents: readonly number[];
  /** What the limit was when that was decided; 0 before anything was. */
  readonly limit: number;
  /** When they were last told that the key is probably used on clients; null when never. */
  readonly clientsAt: Instant | null;
};

export const nothingTold: Told = { percents: [], limit: 0, clientsAt: null };

/** How much of a limit is used. */
export type Use = {
  readonly used: number;
  readonly limit: number;
  /** Each limit that came after the one for which something was told, and how much was used when it was granted. */
  readonly raises: readonly { readonly limit: number; readonly used: number }[];
};

/**
 * Decides which share of a limit to tell of now (ALR-1): the highest that is reached and was not told. A share that a grant
 * took the use back below may be told again, even when the use has come to it once more before anybody looked.
 */
export function usageAlert(
  { used, limit, raises }: Use,
  told: Told,
  policy: Policy,
): { readonly tell: number | null; readonly told: Told } {
  const reached = policy.alerts.usedPercent.filter((percent) => isReached(percent, used, limit));
  const stillTold = told.percents.filter((percent) =>
    raises.every((raise) => isReached(percent, raise.used, raise.limit)),
  );
  const fresh = reached.filter((percent) => !stillTold.includes(percent));
  const tell = fresh.length === 0 ? null : Math.max(...fresh);
  return { tell, told: { ...told, percents: reached, limit } };
}

function isReached(percent: number, used: number, limit: number): boolean {
  return limit > 0 && used * 100 >= limit * percent;
}

/**
 * The limits that grants have made since the one for which something was told, and how much was used at each moment.
 * @param usedAt when each unit of the limit was used, in any order.
 */
export function raisesSince(
  told: Pick<Told, 'limit'>,
  grants: readonly Grant[],
  usedAt: readonly Instant[],
): Use['raises'] {
  return grants
    .map((grant, index) => ({ at: grant.at, limit: limitOf(grants.slice(0, index + 1)) }))
    .filter(({ limit }) => limit > told.limit)
    .map(({ at, limit }) => ({ limit, used: usedAt.filter((each) => !isBefore(at, each)).length }));
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
  if (at === undefined || !looksLikeClients(key, { now: at, policy })) return { hosts: null, told };
  const since = later(at, { hours: -policy.kms.newHostsWarning.withinHours });
  const recently = told.clientsAt !== null && isBefore(since, told.clientsAt);
  return recently
    ? { hosts: null, told }
    : { hosts: newHosts(key, { now: at, policy }), told: { ...told, clientsAt: at } };
}
