import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { Notice } from '../domain/agreement-notification.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { later } from '../domain/calendar/instant.ts';
import { dueAttributes } from './dynamodb/due-items.ts';
import type { ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import { checkFormat, unlessBusy } from './dynamodb/table.ts';
import { fingerprintOf } from './vault.ts';

/** How long whoever claims a notice has to send it before another may try. */
const claimSeconds = 120;

/** What `dueBy` calls a notice: its id holds an address, and goes into no key. */
export function dueIdOf({ noticeId }: Notice): string {
  return fingerprintOf(noticeId);
}

function noticeKey(dueId: string): ItemKey {
  return { PK: `NOTIFICATION#${dueId}`, SK: 'NOTIFICATION' };
}

/** Owes a notice: goes into the transaction that makes it owed, so that it is owed if and only if that happened. */
export function noticeWrite(notice: Notice, now: Instant): TransactItem {
  return {
    Put: {
      TableName: '',
      Item: { ...noticeKey(dueIdOf(notice)), notification: notice, ...dueAttributes('NOTIFICATION', now) },
    },
  };
}

/** Claims a notice that is owed by now, for a moment; `undefined` when somebody else has it, or it was sent. */
export async function claimNotice(store: Store, dueId: string, now: Instant): Promise<Notice | undefined> {
  try {
    const { Attributes } = await unlessBusy(
      store.client.send(
        new UpdateCommand({
          TableName: store.tableName,
          Key: noticeKey(dueId),
          UpdateExpression: 'SET #next = :until',
          ConditionExpression: '#next <= :now',
          ExpressionAttributeNames: { '#next': 'nextActionAt' },
          ExpressionAttributeValues: { ':now': now, ':until': later(now, { seconds: claimSeconds }) },
          ReturnValues: 'ALL_NEW',
        }),
      ),
    );
    // A notice is only ever written by `noticeWrite`.
    return checkFormat(Attributes ?? {}).notification as Notice;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return undefined;
    throw error;
  }
}

/** Strikes off a notice that went out, or that never can. */
export async function strikeNotice(store: Store, dueId: string): Promise<void> {
  await unlessBusy(store.client.send(new DeleteCommand({ TableName: store.tableName, Key: noticeKey(dueId) })));
}
