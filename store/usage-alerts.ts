import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { AgreementNotification } from '../domain/agreement-notification.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import type { AlertHistory } from '../domain/keys/usage-alert.ts';
import { emptyAlertHistory } from '../domain/keys/usage-alert.ts';
import { notificationWrite } from './agreement-notifications.ts';
import { itemFormat } from './dynamodb/schema.ts';
import type { ItemKey, Store } from './dynamodb/table.ts';
import { checkFormat, get, rethrowTransientAsContention } from './dynamodb/table.ts';
import type { UpdateDecision } from './dynamodb/versioned-item.ts';
import { updateWithRetry } from './dynamodb/versioned-item.ts';

/*
 * What the contacts of a key were told, beside the key. Counting a MAK means reading all of its buckets, up to 8,192 of
 * them, so whoever watches adds up what the stream reports (`seen`) and counts only when that has come to the use at which
 * there is something to tell next (`tellAt`).
 *
 * Why nothing is missed by that: the stream reports every activation at least once, and one that is reported twice is
 * added twice. So once all was reported, `seen` is never less than what is used; below `tellAt` nothing can be due. It may
 * be more; then a count shows it, and what was counted replaces what was added up. A count comes after the reading of the
 * sum that it replaces, so it holds all that was added to it.
 */

/** What is remembered of a key. */
export type AlertState = {
  readonly alertHistory: AlertHistory;
  /** 0 before anything was decided of the key. */
  readonly version: number;
  readonly activationsReported: number;
  /** At what use there is something to tell next; null when there is not, until something is granted. */
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
  // Written here alone, with all of these.
  const { alertHistory, version, activationsReported, nextAlertAt } = checkFormat(item ?? {}) as Partial<StoredAlerts>;
  return {
    alertHistory: alertHistory ?? emptyAlertHistory,
    version: version ?? 0,
    activationsReported: activationsReported ?? 0,
    nextAlertAt: nextAlertAt ?? null,
  };
}

/** What is remembered of a key, as it is now. */
export async function readAlertState(store: Store, keyId: string): Promise<AlertState> {
  return alertStateFrom(await get(store, alertStateKey(keyId)));
}

/** Adds up what the stream has reported, and answers what is remembered then. */
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

/** What came of looking at a key: what its contacts have been told from now on, and the notices that tell them. */
export type AlertDecision = {
  readonly alertHistory: AlertHistory;
  readonly nextAlertAt: number | null;
  /** What was counted; null when the use is not counted by adding up. */
  readonly activationsCounted: number | null;
  /** @param dedupKey names what is told now, and nothing else ever. */
  readonly notificationsFor: (dedupKey: string) => readonly AgreementNotification[];
};

/**
 * Remembers what is told of a key and owes the notices that tell it, in one transaction: a crossing is told once, whatever
 * is delivered twice, late, or to two at once.
 * @param decide reads the key and decides, from what was told so far. It is asked again whenever somebody else was faster;
 *   what it reads is then never older than what it is given. Null leaves everything as it is.
 * @returns how many notices are owed by it.
 */
export async function recordAlert(
  store: Store,
  keyId: string,
  now: Instant,
  decide: (alertState: AlertState) => Promise<AlertDecision | null>,
): Promise<number> {
  const result = await updateWithRetry<number>(store, async (): Promise<UpdateDecision<number>> => {
    const alertState = await readAlertState(store, keyId);
    const decision = await decide(alertState);
    if (decision === null || !isChanged(alertState, decision)) return { kind: 'no-change', value: 0 };
    const version = alertState.version + 1;
    const notifications = decision.notificationsFor(`alert ${keyId} ${version}`);
    const isFirst = alertState.version === 0;
    return {
      kind: 'write',
      value: notifications.length,
      writes: [
        {
          Update: {
            TableName: '',
            Key: alertStateKey(keyId),
            // Whoever adds meanwhile is not lost: only what was too much, or too little, is put right.
            UpdateExpression:
              'SET #history = :told, #version = :version, #next = :tellAt, #reported = if_not_exists(#reported, :none) + :correction, #format = if_not_exists(#format, :format)',
            ConditionExpression: isFirst ? 'attribute_not_exists(#version)' : '#version = :was',
            ExpressionAttributeNames: {
              '#history': 'alertHistory',
              '#version': 'version',
              '#next': 'nextAlertAt',
              '#reported': 'activationsReported',
              '#format': 'format',
            },
            ExpressionAttributeValues: {
              ':told': decision.alertHistory,
              ':version': version,
              ':tellAt': decision.nextAlertAt,
              ':format': itemFormat,
              ':none': 0,
              ':correction':
                decision.activationsCounted === null ? 0 : decision.activationsCounted - alertState.activationsReported,
              ...(isFirst ? {} : { ':was': alertState.version }),
            },
          },
        },
        ...notifications.map((notification) => notificationWrite(notification, now)),
      ],
    };
  });
  // Nothing here is ever refused.
  return result.ok ? result.value : 0;
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
