import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { Instant } from '../domain/instant.ts';
import { later } from '../domain/instant.ts';
import type { Notice } from '../domain/notice.ts';
import type { ItemKey, Store, TransactItem } from './table.ts';
import { getAll, query } from './table.ts';
import { fingerprintOf } from './vault.ts';

const nextActionKey = 'NOTICE';

/** How long whoever claims a notice has to send it before another may try. */
const claimSeconds = 60;

function noticeKey({ noticeId }: Notice): ItemKey {
  return { PK: `NOTICE#${fingerprintOf(noticeId)}`, SK: 'NOTICE' };
}

/** Owes a notice: goes into the transaction that makes it owed, so that it is owed if and only if that happened. */
export function noticeWrite(notice: Notice, now: Instant): TransactItem {
  return { Put: { TableName: '', Item: { ...noticeKey(notice), notice, nextActionKey, nextActionAt: now } } };
}

/** The notices that are owed by now and that nobody else is sending. */
export async function noticesOwed(store: Store, now: Instant, limit: number): Promise<readonly Notice[]> {
  const found = await query(store, {
    index: 'next-action',
    partition: ['nextActionKey', nextActionKey],
    sort: { name: 'nextActionAt', condition: '#sort <= :now', values: { ':now': now } },
    limit,
  });
  const items = await getAll(
    store,
    found.map(({ PK, SK }) => ({ PK, SK })),
  );
  // A notice is only ever written by `noticeWrite`.
  return items.map((item) => item.notice as Notice);
}

/** Claims a notice for a moment; false when somebody else has it, or it was sent. */
export async function claimNotice(store: Store, notice: Notice, now: Instant): Promise<boolean> {
  try {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: noticeKey(notice),
        UpdateExpression: 'SET #next = :until',
        ConditionExpression: '#next <= :now',
        ExpressionAttributeNames: { '#next': 'nextActionAt' },
        ExpressionAttributeValues: { ':now': now, ':until': later(now, { seconds: claimSeconds }) },
      }),
    );
    return true;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return false;
    throw error;
  }
}

/** Strikes off a notice that went out, or that never can. */
export async function strikeNotice(store: Store, notice: Notice): Promise<void> {
  await store.client.send(new DeleteCommand({ TableName: store.tableName, Key: noticeKey(notice) }));
}

/** When a notice is owed next; null when none is. */
export async function nextNoticeAt(store: Store): Promise<Instant | null> {
  const [first] = await query(store, { index: 'next-action', partition: ['nextActionKey', nextActionKey], limit: 1 });
  return first === undefined ? null : (first.nextActionAt as Instant);
}
