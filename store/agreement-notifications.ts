import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { AgreementNotification } from '../domain/agreement-notification.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration } from '../domain/calendar/instant.ts';
import { dueIndexKeys } from './dynamodb/due-items.ts';
import type { ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import { checkFormat, rethrowTransientAsContention } from './dynamodb/table.ts';
import { fingerprintOf } from './vault.ts';

/** How long whoever claims a notice has to send it before another may try. */
const claimSeconds = 120;

/** What `dueBy` calls a notice: its id holds an address, and goes into no key. */
export function dueIdOf({ notificationId }: AgreementNotification): string {
  return fingerprintOf(notificationId);
}

function notificationKey(dueId: string): ItemKey {
  return { PK: `NOTIFICATION#${dueId}`, SK: 'NOTIFICATION' };
}

/** Owes a notice: goes into the transaction that makes it owed, so that it is owed if and only if that happened. */
export function notificationWrite(notification: AgreementNotification, now: Instant): TransactItem {
  return {
    Put: {
      TableName: '',
      Item: {
        ...notificationKey(dueIdOf(notification)),
        notification: notification,
        ...dueIndexKeys('NOTIFICATION', now),
      },
    },
  };
}

/** Claims a notice that is owed by now, for a moment; `undefined` when somebody else has it, or it was sent. */
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
          ConditionExpression: '#next <= :now',
          ExpressionAttributeNames: { '#next': 'nextActionAt' },
          ExpressionAttributeValues: { ':now': now, ':until': addDuration(now, { seconds: claimSeconds }) },
          ReturnValues: 'ALL_NEW',
        }),
      ),
    );
    // A notice is only ever written by `noticeWrite`.
    return checkFormat(Attributes ?? {}).notification as AgreementNotification;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return undefined;
    throw error;
  }
}

/** Strikes off a notice that went out, or that never can. */
export async function removeNotification(store: Store, dueId: string): Promise<void> {
  await rethrowTransientAsContention(
    store.client.send(new DeleteCommand({ TableName: store.tableName, Key: notificationKey(dueId) })),
  );
}
