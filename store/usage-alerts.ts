import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { Notice } from '../domain/agreement-notification.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import type { Told } from '../domain/keys/usage-alert.ts';
import { nothingTold } from '../domain/keys/usage-alert.ts';
import { noticeWrite } from './agreement-notifications.ts';
import { itemFormat } from './dynamodb/schema.ts';
import type { ItemKey, Store } from './dynamodb/table.ts';
import { checkFormat, get, unlessBusy } from './dynamodb/table.ts';
import type { Attempt } from './dynamodb/versioned-item.ts';
import { change } from './dynamodb/versioned-item.ts';

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
export type Alerts = {
  readonly told: Told;
  /** 0 before anything was decided of the key. */
  readonly version: number;
  readonly seen: number;
  /** At what use there is something to tell next; null when there is not, until something is granted. */
  readonly tellAt: number | null;
};

/** The attributes of the item. */
type StoredAlerts = {
  readonly alertHistory: Told;
  readonly version: number;
  readonly activationsReported: number;
  readonly nextAlertAt: number | null;
};

function alertsKey(keyId: string): ItemKey {
  return { PK: `KEY#${keyId}`, SK: 'ALERTS' };
}

function alertsFrom(item: Readonly<Record<string, unknown>> | undefined): Alerts {
  // Written here alone, with all of these.
  const { alertHistory, version, activationsReported, nextAlertAt } = checkFormat(item ?? {}) as Partial<StoredAlerts>;
  return {
    told: alertHistory ?? nothingTold,
    version: version ?? 0,
    seen: activationsReported ?? 0,
    tellAt: nextAlertAt ?? null,
  };
}

/** What is remembered of a key, as it is now. */
export async function readAlerts(store: Store, keyId: string): Promise<Alerts> {
  return alertsFrom(await get(store, alertsKey(keyId)));
}

/** Adds up what the stream has reported, and answers what is remembered then. */
export async function addSeen(store: Store, keyId: string, activated: number): Promise<Alerts> {
  const { Attributes } = await unlessBusy(
    store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: alertsKey(keyId),
        UpdateExpression: 'ADD #reported :activated SET #format = if_not_exists(#format, :format)',
        ExpressionAttributeNames: { '#reported': 'activationsReported', '#format': 'format' },
        ExpressionAttributeValues: { ':activated': activated, ':format': itemFormat },
        ReturnValues: 'ALL_NEW',
      }),
    ),
  );
  return alertsFrom(Attributes);
}

/** What came of looking at a key: what its contacts have been told from now on, and the notices that tell them. */
export type Looked = {
  readonly told: Told;
  readonly tellAt: number | null;
  /** What was counted; null when the use is not counted by adding up. */
  readonly counted: number | null;
  /** @param occasion names what is told now, and nothing else ever. */
  readonly noticesFor: (occasion: string) => readonly Notice[];
};

/**
 * Remembers what is told of a key and owes the notices that tell it, in one transaction: a crossing is told once, whatever
 * is delivered twice, late, or to two at once.
 * @param look reads the key and decides, from what was told so far. It is asked again whenever somebody else was faster;
 *   what it reads is then never older than what it is given. Null leaves everything as it is.
 * @returns how many notices are owed by it.
 */
export async function tell(
  store: Store,
  keyId: string,
  now: Instant,
  look: (alerts: Alerts) => Promise<Looked | null>,
): Promise<number> {
  const outcome = await change<number>(store, async (): Promise<Attempt<number>> => {
    const alerts = await readAlerts(store, keyId);
    const looked = await look(alerts);
    if (looked === null || !isNews(alerts, looked)) return { is: 'settled', answer: 0 };
    const version = alerts.version + 1;
    const notices = looked.noticesFor(`alert ${keyId} ${version}`);
    const first = alerts.version === 0;
    return {
      is: 'to-write',
      answer: notices.length,
      writes: [
        {
          Update: {
            TableName: '',
            Key: alertsKey(keyId),
            // Whoever adds meanwhile is not lost: only what was too much, or too little, is put right.
            UpdateExpression:
              'SET #history = :told, #version = :version, #next = :tellAt, #reported = if_not_exists(#reported, :none) + :correction, #format = if_not_exists(#format, :format)',
            ConditionExpression: first ? 'attribute_not_exists(#version)' : '#version = :was',
            ExpressionAttributeNames: {
              '#history': 'alertHistory',
              '#version': 'version',
              '#next': 'nextAlertAt',
              '#reported': 'activationsReported',
              '#format': 'format',
            },
            ExpressionAttributeValues: {
              ':told': looked.told,
              ':version': version,
              ':tellAt': looked.tellAt,
              ':format': itemFormat,
              ':none': 0,
              ':correction': looked.counted === null ? 0 : looked.counted - alerts.seen,
              ...(first ? {} : { ':was': alerts.version }),
            },
          },
        },
        ...notices.map((notice) => noticeWrite(notice, now)),
      ],
    };
  });
  // Nothing here is ever refused.
  return outcome.ok ? outcome.answer : 0;
}

function isNews({ told, version, tellAt, seen }: Alerts, looked: Looked): boolean {
  const tooMuch = looked.counted !== null && seen > looked.counted;
  const written = ({ percents, limit, clientsAt }: Told) => JSON.stringify([percents, limit, clientsAt]);
  const other = written(told) !== written(looked.told);
  return version === 0 || tooMuch || other || tellAt !== looked.tellAt;
}
