import type { NoticeAbout } from '../../domain/agreement-notification.ts';
import { noticesTo } from '../../domain/agreement-notification.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Key } from '../../domain/keys/key.ts';
import type { Told } from '../../domain/keys/usage-alert.ts';
import { clientsAlert, nextUsageAlertAt, raisesSince, usageAlert } from '../../domain/keys/usage-alert.ts';
import type { Policy } from '../../domain/policy.ts';
import { findAgreement } from '../../store/agreements.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import type { KeyChange } from '../../store/key-changes.ts';
import { dropFromReplaced } from '../../store/key-replacement.ts';
import type { KeptKey } from '../../store/keys.ts';
import { readKey, timesUsed, usedOn } from '../../store/keys.ts';
import type { Alerts, Looked } from '../../store/usage-alerts.ts';
import { addSeen, tell } from '../../store/usage-alerts.ts';
import { keyForecast } from './forecast-key-usage.ts';

/**
 * Sees to one key whose use changed: takes machines that have moved to it off the keys that it replaced (BLK-3), and owes
 * its contacts a notice when so much of the limit is used (ALR-1) or it looks as if it were typed on clients (KMS-4).
 *
 * May run any number of times, late, and several at once: a change only says which key to look at. What is decided is
 * decided from the key as it is, and written only if nobody else was faster.
 * @returns how many notices are owed by it.
 */
export async function watchKey(
  store: Store,
  { keyId, activated, newcomers, keyItself }: KeyChange,
  now: Instant,
): Promise<number> {
  const key = await readKey(store, keyId);
  if (key === undefined) throw new Error(`Key ${keyId} has gone; keys are never deleted.`);
  await dropFromReplaced(store, key.state, newcomers, now);
  if (key.state.status.is !== 'live') return 0;
  const alerts = activated === 0 ? undefined : await addSeen(store, keyId, activated);
  if (!keyItself && alerts !== undefined && cannotMatter(alerts)) return 0;
  return tell(store, keyId, now, (soFar) => look(store, keyId, soFar, now));
}

/** Whether a count could only say that there is nothing to tell: what was seen is never less than what is used. */
function cannotMatter({ version, seen, tellAt }: Alerts): boolean {
  return version > 0 && (tellAt === null || seen < tellAt);
}

/** Reads a key and decides what there is to tell of it now; null when it is not live any more. */
async function look(store: Store, keyId: string, { told: before }: Alerts, now: Instant): Promise<Looked | null> {
  const key = await readKey(store, keyId);
  if (key?.state.status.is !== 'live') return null;
  const { policy } = store;
  const limit = limitOf(key.state.grants);
  const used = await usedOn(store, key);
  // How much was used when is only asked when a grant could have taken something that was told back below.
  const raised = before.percents.length > 0 && limit !== before.limit;
  const raises = raised ? raisesSince(before, key.state.grants, await timesUsed(store, key)) : [];
  const usage = usageAlert({ used, limit, raises }, before, policy);
  const clients = clientsOf(key.state, usage.told, policy);
  const about: readonly NoticeAbout[] = [
    ...(usage.tell === null ? [] : [await limitUsed(store, key, { percent: usage.tell, used }, now)]),
    ...clients.about,
  ];
  return {
    told: clients.told,
    tellAt: nextUsageAlertAt(limit, clients.told, policy),
    counted: key.state.type === 'MAK' ? used : null,
    noticesFor: about.length === 0 ? () => [] : await tellingContacts(store, key.state.agreementId, about),
  };
}

async function tellingContacts(
  store: Store,
  agreementId: string,
  about: readonly NoticeAbout[],
): Promise<Looked['noticesFor']> {
  const agreement = await findAgreement(store, agreementId);
  if (agreement === undefined) throw new Error(`Agreement ${agreementId} has gone; agreements are never deleted.`);
  return (occasion) =>
    about.flatMap((each) => noticesTo(agreement.contacts, `${occasion} ${each.is}`, agreement, each));
}

function clientsOf(
  key: Key,
  told: Told,
  policy: Policy,
): { readonly told: Told; readonly about: readonly NoticeAbout[] } {
  if (key.type === 'MAK') return { told, about: [] };
  const { hosts, told: next } = clientsAlert(key, told, policy);
  if (hosts === null) return { told: next, about: [] };
  const { withinHours } = policy.kms.newHostsWarning;
  return { told: next, about: [{ is: 'kms-key-on-clients', lastFive: key.lastFive, hosts, withinHours }] };
}

async function limitUsed(
  store: Store,
  key: KeptKey,
  { percent, used }: { readonly percent: number; readonly used: number },
  now: Instant,
): Promise<NoticeAbout> {
  const { type, lastFive, grants } = key.state;
  const limit = limitOf(grants);
  // Of a limit that is gone there is nothing left to forecast.
  const forecast = used < limit ? (await keyForecast(store, key, now)).inWords : null;
  return { is: 'limit-used', keyType: type, lastFive, percent, used, limit, forecast };
}
