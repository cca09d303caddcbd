import { beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../domain/calendar/instant.ts';
import {
  claimNotification,
  dueIdOf,
  notificationWrite,
  removeNotification,
} from '../../store/agreement-notifications.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { commit } from '../../store/dynamodb/table.ts';
import { aNotification } from '../emails/contact-email-samples.ts';
import { mondayNine, mondayTen } from '../instants.ts';
import { startTestDynamoDb } from './dynamodb.ts';

const engine = await startTestDynamoDb();
const notice = aNotification({ kind: 'kms-key-on-clients', lastFive: 'HJKMP', hosts: 3, withinHours: 24 });
const id = dueIdOf(notice);
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
  expect(await commit(store, [notificationWrite(notice, mondayTen)])).toBe('committed');
});

describe('a notice that is owed', () => {
  it('is claimed when it is due, and not before', async () => {
    expect(await claimNotification(store, id, mondayNine)).toBeUndefined();
    expect(await claimNotification(store, id, mondayTen)).toEqual(notice);
  });

  it('is claimed by one of many who come at once', async () => {
    const claims = await Promise.all(Array.from({ length: 5 }, () => claimNotification(store, id, mondayTen)));
    expect(claims.filter((claim) => claim !== undefined)).toEqual([notice]);
  });

  it('is left to whoever claimed it for two minutes, and then to another', async () => {
    await claimNotification(store, id, mondayTen);
    expect(await claimNotification(store, id, addDuration(mondayTen, { seconds: 119 }))).toBeUndefined();
    expect(await claimNotification(store, id, addDuration(mondayTen, { seconds: 120 }))).toEqual(notice);
  });

  it('is nobody’s any more once it is struck off, nor is one that never was', async () => {
    await removeNotification(store, id);
    expect(await claimNotification(store, id, mondayTen)).toBeUndefined();
    expect(await claimNotification(store, 'nothing', mondayTen)).toBeUndefined();
  });
});
