import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { AgreementNotification } from '../domain/agreement-notification.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration } from '../domain/calendar/instant.ts';
import { dueIndexKeys } from './dynamodb/due-items.ts';
import type { ItemKey, TransactItem } from './dynamodb/table.ts';
import { checkFormat, rethrowTransientAsContention } from './dynamodb/table.ts';
import type { Store } from './store.ts';
import { fingerprintOf } from './vault.ts';

/** The time that a sender has for a notification it claimed. After that, another sender can claim it. */
const claimSeconds = 120;

/**
 * Returns the ID of a notification in `listDueItems`: a fingerprint, because the notification ID contains an email
 * address.
 */
export function dueIdOf({ notificationId }: AgreementNotification): string {
  return fingerprintOf(notificationId);
}

/** The next action is due: the notification is pending, and no claim of it is valid. */
const dueNow = '#next <= :now';

function notificationKey(dueId: string): ItemKey {
  return { PK: `NOTIFICATION#${dueId}`, SK: 'NOTIFICATION' };
}

/**
 * Returns the write that adds a notification to the outbox. It belongs in the transaction of the change that it
 * reports, so that the notification is pending if and only if the change is committed.
 */
export function notificationWrite(notification: AgreementNotification, now: Instant): TransactItem {
  return {
    Put: {
      Item: {
        ...notificationKey(dueIdOf(notification)),
        notification,
        ...dueIndexKeys('NOTIFICATION', now),
      },
    },
  };
}

/** Claims a due notification for two minutes. Returns `undefined` if another sender claimed it, or if it was sent. */
export async function claimNotification(
  store: Store,
  dueId: string,
  now: Instant,
): Promise<AgreementNotification | undefined> {
  try {
    const { Attributes } = await rethrowTransientAsContention(
      store.client.send(
        new UpdateCommand({
          TableName: store.tableName,
          Key: notificationKey(dueId),
          UpdateExpression: 'SET #next = :until',
          ConditionExpression: dueNow,
          ExpressionAttributeNames: { '#next': 'nextActionAt' },
          ExpressionAttributeValues: { ':now': now, ':until': addDuration(now, { seconds: claimSeconds }) },
          ReturnValues: 'ALL_NEW',
        }),
      ),
    );
    // Only `notificationWrite` writes this attribute.
    return checkFormat(Attributes ?? {}).notification as AgreementNotification;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return undefined;
    throw error;
  }
}

/** Removes a notification from the outbox: it was sent, or it can never be sent. */
export async function removeNotification(store: Store, dueId: string): Promise<void> {
  await rethrowTransientAsContention(
    store.client.send(new DeleteCommand({ TableName: store.tableName, Key: notificationKey(dueId) })),
  );
}
