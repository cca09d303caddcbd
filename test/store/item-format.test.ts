import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { beforeAll, describe, expect, it } from 'vitest';
import { addDuration } from '../../domain/calendar/instant.ts';
import { Secret } from '../../domain/secret.ts';
import { claimNotification } from '../../store/agreement-notifications.ts';
import { nameNewCorrespondent } from '../../store/agreements.ts';
import { openLink, saveLink } from '../../store/approval-links.ts';
import { itemFormat } from '../../store/dynamodb/schema.ts';
import type { Item, Store } from '../../store/dynamodb/table.ts';
import { get, putAll, query } from '../../store/dynamodb/table.ts';
import { ledgerPartition, updateExisting } from '../../store/dynamodb/versioned-item.ts';
import { createException } from '../../store/exceptions.ts';
import { claimIdempotencyKey } from '../../store/idempotency.ts';
import { consumeReplyQuota } from '../../store/inbound-mail.ts';
import { keyChangeFrom } from '../../store/key-changes.ts';
import { keyItemKey, listKeys, readKey } from '../../store/keys.ts';
import { listLedgerEntries } from '../../store/ledger.ts';
import {
  activateOnMak,
  blockBuckets,
  bucketNumbersFrom,
  readBuckets,
  splitBucket,
} from '../../store/mak-activations.ts';
import { scanReferences } from '../../store/reconciliation.ts';
import { addReportedActivations, readAlertState, recordAlert } from '../../store/usage-alerts.ts';
import { aRequestForm, noor, context, expectAccepted, ines, installationId, jorge } from '../builders.ts';
import { mondayNine, mondayNoon, mondayTen, tuesdayTen } from '../instants.ts';
import { scanAllItems, startTestDynamoDb } from './dynamodb.ts';
import { createLedgers } from './ledger-fixture.ts';
import { bucketLayoutOf } from './mak-fixture.ts';

const engine = await startTestDynamoDb();
const token = new Secret('a token');
let store: Store;
let keyId: string;
let agreementId: string;

const activation = {
  installationId: installationId(1),
  product: 'windows-vista-business',
  machineName: 'PC-1',
  activatedAt: tuesdayTen,
} as const;

/** One item at least of every kind, written as the service writes it. */
beforeAll(async () => {
  store = await engine.newStore();
  const { agreement, key } = await createLedgers(store);
  ({ id: keyId } = key);
  ({ id: agreementId } = agreement);
  await nameNewCorrespondent(store, agreementId, jorge, context({ actor: 'admin', operationId: 'name' }));
  const { lastFive } = (await readKey(store, keyId))?.value ?? { lastFive: '' };
  const sender = { maySpeakFor: () => true };
  const form = aRequestForm({ keyLastFive: lastFive });
  const receiving = context({ operationId: 'receive 2', now: tuesdayTen });
  expectAccepted(await createException(store, { exceptionId: 'X-2', form }, sender, receiving));
  const about = { kind: 'decision', exceptionId: 'X-2', round: 1, to: noor.email, expiresAt: tuesdayTen } as const;
  await saveLink(store, { token, code: null }, about, mondayNoon);
  await claimIdempotencyKey(store, { caller: ines.email, key: 'key', fingerprint: 'fingerprint' }, mondayNine);
  await consumeReplyQuota(store, { category: 'answer', address: ines.email, repliesMax: 3 }, mondayNine);
  // The request has raised the limit so far that the buckets are split.
  const layout = await bucketLayoutOf(store, keyId);
  await activateOnMak(store, layout, store.vault.digestOf(keyId, activation.installationId), activation);
  for (const bucket of bucketNumbersFrom(0, layout.bucketCount)) await splitBucket(store, layout, bucket);
  await addReportedActivations(store, keyId, 1);
  const alertHistory = { percents: [], limit: 200, clientsAlertedAt: null };
  const decision = { alertHistory, nextAlertAt: 160, activationsCounted: null, notificationsFor: () => [] };
  await recordAlert(store, 'another-key', mondayNine, () => Promise.resolve(decision));
});

const kindOf = ({ PK, SK }: Item) => `${PK.split('#')[0]} ${SK.split('#')[0]}`;

describe('every item', () => {
  it('carries its format, of whatever kind it is', async () => {
    const items = await scanAllItems(store);
    expect([...new Set(items.map(kindOf))].toSorted()).toEqual([
      'AGREEMENT AGREEMENT',
      'AGREEMENT KEY',
      'AGREEMENT MAK',
      'APPROVAL APPROVAL',
      'EXCEPTION EXCEPTION',
      'IDEMPOTENCY RESPONSE',
      'KEY ALERTS',
      'KEY BUCKET',
      'KEY KEY',
      'KEY OPEN-REQUEST',
      'KEY RESERVE',
      'LASTFIVE AGREEMENT',
      'LEDGER ENTRY',
      'NOTIFICATION NOTIFICATION',
      'PERSON AGREEMENT',
      `REPLY-COUNT ${mondayNine.slice(0, 10)}`,
    ]);
    expect(items.filter(({ format }) => format !== itemFormat)).toEqual([]);
    expect(itemFormat).toBe(1);
  });

  it('carries it when it is put in a batch', async () => {
    const key = { PK: 'BATCH#1', SK: 'BATCH' };
    await putAll(store, [key]);
    expect(await get(store, key)).toEqual({ ...key, format: 1 });
    await putAll(store, [{ ...key, format: 7 }]);
    expect(await get(store, key)).toEqual({ ...key, format: 1 });
  });

  it('LED-1 of a ledger is in a partition of its own', async () => {
    const entries = (await scanAllItems(store)).filter(({ SK }) => SK.startsWith('ENTRY#'));
    expect(entries.length).toBeGreaterThan(12);
    for (const { PK } of entries) expect(PK).toMatch(/^LEDGER#(AGREEMENT|KEY|EXCEPTION)#/);
    expect(entries.map(({ PK }) => PK)).toContain(ledgerPartition(`KEY#${keyId}`));
  });
});

describe('an item of a newer format', () => {
  const newer = /^The item \S+ \S+ has format 2\. This code reads formats up to 1: deploy the newer code\.$/;

  /** The table as it is, but for the items of one kind, which newer code has written. */
  async function newerKind(kind: string): Promise<Store> {
    const changed = await engine.newStore();
    for (const item of await scanAllItems(store)) {
      const Item = kindOf(item) === kind ? { ...item, format: 2 } : item;
      await changed.client.send(new PutCommand({ TableName: changed.tableName, Item }));
    }
    return changed;
  }

  const first = { limit: 10, after: null };
  const kms = 'no such key';
  it.each<[string, string, (in_: Store) => Promise<unknown>]>([
    ['KEY KEY', 'read', (in_) => readKey(in_, keyId)],
    ['KEY KEY', 'changed', (in_) => updateExisting(in_, keyItemKey(keyId), () => ({ kind: 'no-change', value: kms }))],
    ['KEY KEY', 'read with others', (in_) => listKeys(in_, agreementId, first)],
    ['AGREEMENT KEY', 'listed', (in_) => listKeys(in_, agreementId, first)],
    ['LEDGER ENTRY', 'listed', (in_) => listLedgerEntries(in_, `KEY#${keyId}`, first)],
    ['KEY BUCKET', 'counted', (in_) => readBuckets(in_, keyId, [0])],
    ['KEY ALERTS', 'read', (in_) => readAlertState(in_, keyId)],
    ['KEY ALERTS', 'added to', (in_) => addReportedActivations(in_, keyId, 1)],
    ['APPROVAL APPROVAL', 'opened', (in_) => openLink(in_, 'decision', token)],
    [
      'IDEMPOTENCY RESPONSE',
      'found',
      (in_) => claimIdempotencyKey(in_, { caller: ines.email, key: 'key', fingerprint: 'fingerprint' }, mondayNine),
    ],
    ['EXCEPTION EXCEPTION', 'seen in the whole table', (in_) => scanReferences(in_)],
  ])('is refused: %s, when it is %s', async (kind, _, act) => {
    await expect(act(await newerKind(kind))).rejects.toThrow(newer);
  });

  it('is refused: a bucket that an activation meets', async () => {
    const changed = await newerKind('KEY BUCKET');
    const layout = await bucketLayoutOf(changed, keyId);
    const digest = changed.vault.digestOf(keyId, activation.installationId);
    await expect(activateOnMak(changed, layout, digest, activation)).rejects.toThrow(newer);
    await expect(blockBuckets(changed, layout)).rejects.toThrow(newer);
  });

  it('is refused: a notification that is claimed', async () => {
    const changed = await newerKind('NOTIFICATION NOTIFICATION');
    const [item] = (await scanAllItems(changed)).filter(({ SK }) => SK === 'NOTIFICATION');
    const dueId = String(item?.PK).slice('NOTIFICATION#'.length);
    await expect(claimNotification(changed, dueId, addDuration(mondayTen, { days: 1 }))).rejects.toThrow(newer);
  });

  it('is refused: a key or a bucket whose change the stream reports, and no other', () => {
    const changed = (PK: string, SK: string) => {
      const image = marshall({ PK, SK, used: 1, format: 2 });
      return () => keyChangeFrom({ earlier: image, after: image });
    };
    expect(changed('KEY#k', 'KEY')).toThrow(newer);
    expect(changed('KEY#k#0', 'BUCKET')).toThrow(newer);
    expect(changed('KEY#k', 'ALERTS')()).toBeUndefined();
    expect(changed('EXCEPTION#X-1', 'EXCEPTION')()).toBeUndefined();
  });

  it('is not looked for in an index, which holds keys only', async () => {
    const changed = await newerKind('EXCEPTION EXCEPTION');
    const found = await query(changed, {
      index: 'exceptions-by-agreement',
      partition: ['agreementKey', `AGREEMENT#${agreementId}`],
      limit: 10,
    });
    expect(found.length).toBeGreaterThan(0);
  });
});
