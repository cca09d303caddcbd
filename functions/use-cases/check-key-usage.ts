import type { AlertHistory } from '../../domain/keys/usage-alert.ts';
import { decideClientAlert, nextUsageAlertAt, limitIncreasesSince, decideUsageAlert } from '../../domain/keys/usage-alert.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Key } from '../../domain/keys/key.ts';
import type { AgreementNotificationContent } from '../../domain/agreement-notification.ts';
import { notificationsFor } from '../../domain/agreement-notification.ts';
import type { Policy } from '../../domain/policy.ts';
import { findAgreement } from '../../store/agreements.ts';
import type { AlertState, AlertDecision } from '../../store/usage-alerts.ts';
import { addReportedActivations, recordAlert } from '../../store/usage-alerts.ts';
import type { KeyRecord } from '../../store/keys.ts';
import { readKey, listUsageTimes, countUsed } from '../../store/keys.ts';
import { removeFromReplacedKeys } from '../../store/key-replacement.ts';
import type { KeyChange } from '../../store/key-changes.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { forecastKeyUsage } from './forecast-key-usage.ts';

/**
 * Sees to one key whose use changed: takes machines that have moved to it off the keys that it replaced (BLK-3), and owes
 * its contacts a notice when so much of the limit is used (ALR-1) or it looks as if it were typed on clients (KMS-4).
 *
 * May run any number of times, late, and several at once: a change only says which key to look at. What is decided is
 * decided from the key as it is, and written only if nobody else was faster.
 * @returns how many notices are owed by it.
 */
export async function checkKeyUsage(
  store: Store,
  { keyId, activationsAdded, newInstallations, keyItemChanged }: KeyChange,
  now: Instant,
): Promise<number> {
  const key = await readKey(store, keyId);
  if (key === undefined) throw new Error(`Key ${keyId} has gone; keys are never deleted.`);
  await removeFromReplacedKeys(store, key.value, newInstallations, now);
  if (key.value.state.status !== 'live') return 0;
  const alertState = activationsAdded === 0 ? undefined : await addReportedActivations(store, keyId, activationsAdded);
  if (!keyItemChanged && alertState !== undefined && isBelowNextAlert(alertState)) return 0;
  return recordAlert(store, keyId, now, (currentAlertState) => decideAlerts(store, keyId, currentAlertState, now));
}

/** Whether a count could only say that there is nothing to tell: what was seen is never less than what is used. */
function isBelowNextAlert({ version, activationsReported, nextAlertAt }: AlertState): boolean {
  return version > 0 && (nextAlertAt === null || activationsReported < nextAlertAt);
}

/** Reads a key and decides what there is to tell of it now; null when it is not live any more. */
async function decideAlerts(store: Store, keyId: string, { alertHistory: history }: AlertState, now: Instant): Promise<AlertDecision | null> {
  const key = await readKey(store, keyId);
  if (key?.value.state.status !== 'live') return null;
  const { policy } = store;
  const limit = limitOf(key.value.grants);
  const used = await countUsed(store, key);
  // How much was used when is only asked when a grant could have taken something that was told back below.
  const isLimitRaised = history.percents.length > 0 && limit !== history.limit;
  const raises = isLimitRaised ? limitIncreasesSince(history, key.value.grants, await listUsageTimes(store, key)) : [];
  const usageDecision = decideUsageAlert({ used, limit, limitIncreases: raises }, history, policy);
  const clientsDecision = clientsAlertOf(key.value, usageDecision.history, policy);
  const contents: readonly AgreementNotificationContent[] = [
    ...(usageDecision.alertPercent === null ? [] : [await limitUsedContent(store, key, { percent: usageDecision.alertPercent, used }, now)]),
    ...clientsDecision.contents,
  ];
  return {
    alertHistory: clientsDecision.history,
    nextAlertAt: nextUsageAlertAt(limit, clientsDecision.history, policy),
    activationsCounted: key.value.type === 'MAK' ? used : null,
    notificationsFor: contents.length === 0 ? () => [] : await notificationsForContacts(store, key.value.agreementId, contents),
  };
}

async function notificationsForContacts(
  store: Store,
  agreementId: string,
  contents: readonly AgreementNotificationContent[],
): Promise<AlertDecision['notificationsFor']> {
  const agreement = await findAgreement(store, agreementId);
  if (agreement === undefined) throw new Error(`Agreement ${agreementId} has gone; agreements are never deleted.`);
  return (dedupKey) =>
    contents.flatMap((each) => notificationsFor(agreement.contacts, `${dedupKey} ${each.kind}`, agreement, each));
}

function clientsAlertOf(
  key: Key,
  history: AlertHistory,
  policy: Policy,
): { readonly history: AlertHistory; readonly contents: readonly AgreementNotificationContent[] } {
  if (key.type === 'MAK') return { history, contents: [] };
  const { hosts, history: nextHistory } = decideClientAlert(key, history, policy);
  if (hosts === null) return { history: nextHistory, contents: [] };
  const { withinHours } = policy.kms.newHostsWarning;
  return { history: nextHistory, contents: [{ kind: 'kms-key-on-clients', lastFive: key.lastFive, hosts, withinHours }] };
}

async function limitUsedContent(
  store: Store,
  key: KeyRecord,
  { percent, used }: { readonly percent: number; readonly used: number },
  now: Instant,
): Promise<AgreementNotificationContent> {
  const { type, lastFive, grants } = key.value;
  const limit = limitOf(grants);
  // Of a limit that is gone there is nothing left to forecast.
  const forecast = used < limit ? (await forecastKeyUsage(store, key, now)).inWords : null;
  return { kind: 'limit-used', keyType: type, lastFive, percent, used, limit, forecast };
}
