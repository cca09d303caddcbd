import { beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../domain/calendar/instant.ts';
import {
  claimNotification,
  dueIdOf,
  notificationWrite,
  removeNotification,
} from '../../store/agreement-notifications.ts';
import { commit } from '../../store/dynamodb/table.ts';
import type { Store } from '../../store/store.ts';
import { aNotification } from '../emails/contact-email-samples.ts';
import { mondayNine, mondayTen } from '../instants.ts';
import { startTestDynamoDb } from './dynamodb.ts';

const dynamoDb = await startTestDynamoDb();
const notification = aNotification({ kind: 'kms-key-on-clients', lastFive: 'HJKMP', hosts: 3, withinHours: 24 });
const id = dueIdOf(notification);
let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
  expect(await commit(store, [notificationWrite(notification, mondayTen)])).toBe('committed');
});

describe('a pending agreement notification', () => {
  it('can be claimed when it is due, and not before', async () => {
    expect(await claimNotification(store, id, mondayNine)).toBeUndefined();
    expect(await claimNotification(store, id, mondayTen)).toEqual(notification);
  });

  it('is claimed by one of several simultaneous senders', async () => {
    const claims = await Promise.all(Array.from({ length: 5 }, () => claimNotification(store, id, mondayTen)));
    expect(claims.filter((claim) => claim !== undefined)).toEqual([notification]);
  });

  it('can be claimed by another sender after two minutes', async () => {
    await claimNotification(store, id, mondayTen);
    expect(await claimNotification(store, id, addDuration(mondayTen, { seconds: 119 }))).toBeUndefined();
    expect(await claimNotification(store, id, addDuration(mondayTen, { seconds: 120 }))).toEqual(notification);
  });

  it('cannot be claimed after it was removed from the outbox, or if it does not exist', async () => {
    await removeNotification(store, id);
    expect(await claimNotification(store, id, mondayTen)).toBeUndefined();
    expect(await claimNotification(store, 'unknown', mondayTen)).toBeUndefined();
  });
});
