import type { AgreementNotificationContent } from '../../domain/agreement-notification.ts';
import { notificationsFor } from '../../domain/agreement-notification.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Key } from '../../domain/keys/key.ts';
import type { AlertHistory } from '../../domain/keys/usage-alert.ts';
import {
  decideClientAlert,
  decideUsageAlert,
  limitIncreasesSince,
  nextUsageAlertAt,
} from '../../domain/keys/usage-alert.ts';
import type { Policy } from '../../domain/policy.ts';
import { findAgreement } from '../../store/agreements.ts';
import type { KeyChange } from '../../store/key-changes.ts';
import type { KeyRecord } from '../../store/keys.ts';
import { countUsed, listUsageTimes, readKey } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import type { AlertDecision, AlertState } from '../../store/usage-alerts.ts';
import { addReportedActivations, recordAlert } from '../../store/usage-alerts.ts';
import { forecastKeyUsage } from './forecast-key-usage.ts';

/**
 * Records the usage alerts of a key whose usage changed: adds a pending notification for each contact when the usage
 * crosses a share of the limit (ALR-1), or when a KMS key appears to be entered on clients (KMS-4).
 *
 * It may run any number of times, late, and concurrently. The change only says which key to check: every alert is decided
 * from the current key, and written only if nothing has changed meanwhile.
 * @returns the number of notifications that it added.
 */
export async function recordUsageAlerts(
  store: Store,
  key: Key,
  { activationsAdded, keyItemChanged }: KeyChange,
  now: Instant,
): Promise<number> {
  if (key.state.status !== 'live') return 0;
  const { keyId } = key;
  const alertState = activationsAdded === 0 ? undefined : await addReportedActivations(store, keyId, activationsAdded);
  if (!keyItemChanged && alertState !== undefined && isBelowNextAlert(alertState)) return 0;
  return recordAlert(store, keyId, now, (currentAlertState) => decideAlerts(store, keyId, currentAlertState, now));
}

/** Tells whether counting can be skipped: the reported number is never below the used one, and no alert is due below it. */
function isBelowNextAlert({ version, activationsReported, nextAlertAt }: AlertState): boolean {
  return version > 0 && (nextAlertAt === null || activationsReported < nextAlertAt);
}

/** Reads a key and decides its alerts. Returns null when it is no longer live. */
async function decideAlerts(
  store: Store,
  keyId: string,
  { alertHistory: history }: AlertState,
  now: Instant,
): Promise<AlertDecision | null> {
  const key = await readKey(store, keyId);
  if (key?.value.state.status !== 'live') return null;
  const { policy } = store;
  const limit = limitOf(key.value.grants);
  const used = await countUsed(store, key);
  // The times of use matter only if an increase could have taken an alerted share below its threshold again.
  const isLimitRaised = history.percents.length > 0 && limit !== history.limit;
  const limitIncreases = isLimitRaised
    ? limitIncreasesSince(history, key.value.grants, await listUsageTimes(store, key))
    : [];
  const usageDecision = decideUsageAlert({ used, limit, limitIncreases }, history, policy);
  const { alertPercent: percent } = usageDecision;
  const clientsDecision = clientsAlertOf(key.value, usageDecision.history, policy);
  const contents: readonly AgreementNotificationContent[] = [
    ...(percent === null ? [] : [await limitUsedContent(store, key, { percent, used }, now)]),
    ...clientsDecision.contents,
  ];
  return {
    alertHistory: clientsDecision.history,
    nextAlertAt: nextUsageAlertAt(limit, clientsDecision.history, policy),
    activationsCounted: key.value.type === 'MAK' ? used : null,
    notificationsFor:
      contents.length === 0 ? () => [] : await notificationsForContacts(store, key.value.agreementId, contents),
  };
}

async function notificationsForContacts(
  store: Store,
  agreementId: string,
  contents: readonly AgreementNotificationContent[],
): Promise<AlertDecision['notificationsFor']> {
  const agreement = await findAgreement(store, agreementId);
  if (agreement === undefined) throw new Error(`Agreement ${agreementId} is missing; agreements are never deleted.`);
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
  return {
    history: nextHistory,
    contents: [{ kind: 'kms-key-on-clients', lastFive: key.lastFive, hosts, withinHours }],
  };
}

async function limitUsedContent(
  store: Store,
  key: KeyRecord,
  { percent, used }: { readonly percent: number; readonly used: number },
  now: Instant,
): Promise<AgreementNotificationContent> {
  const { type, lastFive, grants } = key.value;
  const limit = limitOf(grants);
  // Once the limit is used up, there is nothing left to forecast.
  const forecast = used < limit ? (await forecastKeyUsage(store, key, now)).inWords : null;
  return { kind: 'limit-used', keyType: type, lastFive, percent, used, limit, forecast };
}
