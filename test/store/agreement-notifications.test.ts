import { beforeEach, describe, expect, it } from 'vitest';
import { later } from '../../domain/calendar/instant.ts';
import { claimNotice, dueIdOf, noticeWrite, strikeNotice } from '../../store/agreement-notifications.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { commit } from '../../store/dynamodb/table.ts';
import { aNotice } from '../emails/contact-email-samples.ts';
import { mondayNine, mondayTen } from '../instants.ts';
import { startEngine } from './dynamodb.ts';

const engine = await startEngine();
const notice = aNotice({ is: 'kms-key-on-clients', lastFive: 'HJKMP', hosts: 3, withinHours: 24 });
const id = dueIdOf(notice);
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
  expect(await commit(store, [noticeWrite(notice, mondayTen)])).toBe('done');
});

describe('a notice that is owed', () => {
  it('is claimed when it is due, and not before', async () => {
    expect(await claimNotice(store, id, mondayNine)).toBeUndefined();
    expect(await claimNotice(store, id, mondayTen)).toEqual(notice);
  });

  it('is claimed by one of many who come at once', async () => {
    const claims = await Promise.all(Array.from({ length: 5 }, () => claimNotice(store, id, mondayTen)));
    expect(claims.filter((claim) => claim !== undefined)).toEqual([notice]);
  });

  it('is left to whoever claimed it for two minutes, and then to another', async () => {
    await claimNotice(store, id, mondayTen);
    expect(await claimNotice(store, id, later(mondayTen, { seconds: 119 }))).toBeUndefined();
    expect(await claimNotice(store, id, later(mondayTen, { seconds: 120 }))).toEqual(notice);
  });

  it('is nobody’s any more once it is struck off, nor is one that never was', async () => {
    await strikeNotice(store, id);
    expect(await claimNotice(store, id, mondayTen)).toBeUndefined();
    expect(await claimNotice(store, 'nothing', mondayTen)).toBeUndefined();
  });
});
