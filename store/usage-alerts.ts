import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { AgreementNotification } from '../domain/agreement-notification.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import type { AlertHistory } from '../domain/keys/usage-alert.ts';
import { emptyAlertHistory } from '../domain/keys/usage-alert.ts';
import { notificationWrite } from './agreement-notifications.ts';
import { itemFormat } from './dynamodb/schema.ts';
import type { ItemKey } from './dynamodb/table.ts';
import { checkFormat, get, rethrowTransientAsContention } from './dynamodb/table.ts';
import type { WriteDecision } from './dynamodb/versioned-item.ts';
import { updateWithRetry } from './dynamodb/versioned-item.ts';
import type { Store } from './store.ts';

/*
 * The alerts that the contacts of a key received, in an item beside the key. To count the activations of a MAK means to
 * read all of its buckets, up to 8,192. So this item adds up the activations that the stream reports
 * (`activationsReported`), and the buckets are counted only when that sum reaches the next alert threshold
 * (`nextAlertAt`).
 *
 * No alert is missed: the stream reports every activation at least once, and a duplicate report is added again. So once
 * all activations are reported, `activationsReported` is never less than the number used, and below `nextAlertAt` no
 * alert can be due. The sum can be too high; then a count shows it, and the count replaces the sum. A count starts
 * after the sum that it replaces was read, so it includes every activation of that sum.
 */

/** The alert state of a key. */
export type AlertState = {
  readonly alertHistory: AlertHistory;
  /** 0 before the first decision. */
  readonly version: number;
  readonly activationsReported: number;
  /** The number of activations at which the next alert is due; null if none is due before the next grant. */
  readonly nextAlertAt: number | null;
};

/** The attributes of the item. */
type StoredAlerts = {
  readonly alertHistory: AlertHistory;
  readonly version: number;
  readonly activationsReported: number;
  readonly nextAlertAt: number | null;
};

function alertStateKey(keyId: string): ItemKey {
  return { PK: `KEY#${keyId}`, SK: 'ALERTS' };
}

function alertStateFrom(item: Readonly<Record<string, unknown>> | undefined): AlertState {
  // Only this file writes the item, with all of these attributes.
  const { alertHistory, version, activationsReported, nextAlertAt } = checkFormat(item ?? {}) as Partial<StoredAlerts>;
  return {
    alertHistory: alertHistory ?? emptyAlertHistory,
    version: version ?? 0,
    activationsReported: activationsReported ?? 0,
    nextAlertAt: nextAlertAt ?? null,
  };
}

/** Reads the alert state of a key with strong consistency. */
export async function readAlertState(store: Store, keyId: string): Promise<AlertState> {
  return alertStateFrom(await get(store, alertStateKey(keyId)));
}

/** Adds activations that the stream reported. Returns the alert state after that. */
export async function addReportedActivations(
  store: Store,
  keyId: string,
  activationsAdded: number,
): Promise<AlertState> {
  const { Attributes } = await rethrowTransientAsContention(
    store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: alertStateKey(keyId),
        UpdateExpression: 'ADD #reported :activated SET #format = if_not_exists(#format, :format)',
        ExpressionAttributeNames: { '#reported': 'activationsReported', '#format': 'format' },
        ExpressionAttributeValues: { ':activated': activationsAdded, ':format': itemFormat },
        ReturnValues: 'ALL_NEW',
      }),
    ),
  );
  return alertStateFrom(Attributes);
}

/** The new alert history of a key, and the notifications to send. */
export type AlertDecision = {
  readonly alertHistory: AlertHistory;
  readonly nextAlertAt: number | null;
  /** The activations counted in the buckets; null if the usage was not counted. */
  readonly activationsCounted: number | null;
  /** @param dedupKey a key that is unique to this alert. */
  readonly notificationsFor: (dedupKey: string) => readonly AgreementNotification[];
};

/** No decision was recorded for the key. */
const noDecisionYet = 'attribute_not_exists(#version)';

/** No other decision was recorded since the alert state was read. */
const unchangedSinceRead = '#version = :versionRead';

/**
 * Records an alert and adds its notifications to the outbox in one transaction. So each threshold is reported once,
 * even if stream records arrive twice, late, or in parallel.
 * @param decide reads the key, and decides from the alert state. After a conflict it is called again, with a newer
 *   state; the key it reads is never older than the state. Null leaves everything unchanged.
 * @returns the number of notifications added to the outbox.
 */
export async function recordAlert(
  store: Store,
  keyId: string,
  now: Instant,
  decide: (alertState: AlertState) => Promise<AlertDecision | null>,
): Promise<number> {
  const result = await updateWithRetry(store, async (): Promise<WriteDecision<number, never>> => {
    const alertState = await readAlertState(store, keyId);
    const decision = await decide(alertState);
    if (decision === null || !isChanged(alertState, decision)) return { kind: 'no-change', value: 0 };
    const version = alertState.version + 1;
    const notifications = decision.notificationsFor(`alert ${keyId} ${version}`);
    const isFirst = alertState.version === 0;
    const { alertHistory, nextAlertAt, activationsCounted } = decision;
    return {
      kind: 'write',
      value: notifications.length,
      writes: [
        {
          Update: {
            Key: alertStateKey(keyId),
            // Adding a correction, instead of setting the sum, keeps the activations that are reported meanwhile.
            UpdateExpression:
              'SET #history = :history, #version = :version, #next = :next, #reported = if_not_exists(#reported, :zero) + :correction, #format = if_not_exists(#format, :format)',
            ConditionExpression: isFirst ? noDecisionYet : unchangedSinceRead,
            ExpressionAttributeNames: {
              '#history': 'alertHistory',
              '#version': 'version',
              '#next': 'nextAlertAt',
              '#reported': 'activationsReported',
              '#format': 'format',
            },
            ExpressionAttributeValues: {
              ':history': alertHistory,
              ':version': version,
              ':next': nextAlertAt,
              ':format': itemFormat,
              ':zero': 0,
              ':correction': activationsCounted === null ? 0 : activationsCounted - alertState.activationsReported,
              ...(isFirst ? {} : { ':versionRead': alertState.version }),
            },
          },
        },
        ...notifications.map((notification) => notificationWrite(notification, now)),
      ],
    };
  });
  return result.value;
}

function isChanged(
  { alertHistory, version, nextAlertAt, activationsReported }: AlertState,
  decision: AlertDecision,
): boolean {
  const isOverReported = decision.activationsCounted !== null && activationsReported > decision.activationsCounted;
  const serialize = ({ percents, limit, clientsAlertedAt }: AlertHistory) =>
    JSON.stringify([percents, limit, clientsAlertedAt]);
  const isHistoryChanged = serialize(alertHistory) !== serialize(decision.alertHistory);
  return version === 0 || isOverReported || isHistoryChanged || nextAlertAt !== decision.nextAlertAt;
}
