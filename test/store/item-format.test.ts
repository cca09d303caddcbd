import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { beforeAll, describe, expect, it } from 'vitest';
import { addDuration } from '../../domain/calendar/instant.ts';
import { Secret } from '../../domain/secret.ts';
import { claimNotification } from '../../store/agreement-notifications.ts';
import { nameNewCorrespondent } from '../../store/agreements.ts';
import { openLink, saveLink } from '../../store/approval-links.ts';
import { itemFormat } from '../../store/dynamodb/schema.ts';
import type { Item } from '../../store/dynamodb/table.ts';
import { get, putAll, query } from '../../store/dynamodb/table.ts';
import { ledgerPartition, updateExisting } from '../../store/dynamodb/versioned-item.ts';
import { createException } from '../../store/exceptions.ts';
import { claimIdempotencyKey } from '../../store/idempotency.ts';
import { consumeReplyQuota } from '../../store/inbound-mail.ts';
import { keyChangeFrom } from '../../store/key-changes.ts';
import { keyItemKey, listKeys, readKey } from '../../store/keys.ts';
import { listLedgerEntries } from '../../store/ledger.ts';
import { activateOnMak, splitBucket } from '../../store/mak-activations.ts';
import { bucketNumbersFrom, readBuckets } from '../../store/mak-bucket.ts';
import { blockBuckets } from '../../store/mak-usage.ts';
import type { Store } from '../../store/store.ts';
import { scanReferences } from '../../store/table-scan.ts';
import { addReportedActivations, readAlertState, recordAlert } from '../../store/usage-alerts.ts';
import { aRequestForm, context, expectAccepted, ines, installationId, jorge, noor } from '../builders.ts';
import { mondayNine, mondayNoon, mondayTen, tuesdayTen } from '../instants.ts';
import { scanAllItems, startTestDynamoDb } from './dynamodb.ts';
import { createLedgers } from './ledger-fixture.ts';
import { bucketLayoutOf } from './mak-fixture.ts';

const dynamoDb = await startTestDynamoDb();
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

/** Creates at least one item of every kind, through the functions of the store. */
beforeAll(async () => {
  store = await dynamoDb.newStore();
  const { agreement, key } = await createLedgers(store);
  ({ id: keyId } = key);
  ({ id: agreementId } = agreement);
  await nameNewCorrespondent(store, agreementId, jorge, context({ actor: 'admin', operationId: 'name' }));
  const { lastFive } = (await readKey(store, keyId))?.value ?? { lastFive: '' };
  const sender = { maySpeakFor: () => true };
  const form = aRequestForm({ keyLastFive: lastFive });
  const requestContext = context({ operationId: 'receive 2', now: tuesdayTen });
  expectAccepted(await createException(store, { exceptionId: 'X-2', form }, sender, requestContext));
  const link = { kind: 'decision', exceptionId: 'X-2', round: 1, to: noor.email, expiresAt: tuesdayTen } as const;
  await saveLink(store, { token, code: null }, link, mondayNoon);
  await claimIdempotencyKey(store, { caller: ines.email, key: 'key', fingerprint: 'fingerprint' }, mondayNine);
  await consumeReplyQuota(store, { category: 'answer', address: ines.email, repliesMax: 3 }, mondayNine);
  // The limit is now so high that the buckets have to be split.
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
  it('has a format version, for every kind of item', async () => {
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

  it('has a format version if it is written in a batch', async () => {
    const key = { PK: 'BATCH#1', SK: 'BATCH' };
    await putAll(store, [key]);
    expect(await get(store, key)).toEqual({ ...key, format: 1 });
    await putAll(store, [{ ...key, format: 7 }]);
    expect(await get(store, key)).toEqual({ ...key, format: 1 });
  });

  it('LED-1 is in a separate partition if it is a ledger entry', async () => {
    const entries = (await scanAllItems(store)).filter(({ SK }) => SK.startsWith('ENTRY#'));
    expect(entries.length).toBeGreaterThan(12);
    for (const { PK } of entries) expect(PK).toMatch(/^LEDGER#(AGREEMENT|KEY|EXCEPTION)#/);
    expect(entries.map(({ PK }) => PK)).toContain(ledgerPartition(`KEY#${keyId}`));
  });
});

describe('an item of a newer format', () => {
  const newer = /^The item \S+ \S+ has format 2\. This code reads formats up to 1: deploy the newer code\.$/;

  /** Copies the table, and sets a newer format for the items of one kind. */
  async function copyWithNewerFormat(kind: string): Promise<Store> {
    const copy = await dynamoDb.newStore();
    for (const item of await scanAllItems(store)) {
      const Item = kindOf(item) === kind ? { ...item, format: 2 } : item;
      await copy.client.send(new PutCommand({ TableName: copy.tableName, Item }));
    }
    return copy;
  }

  const firstPage = { limit: 10, after: null };
  it.each<[string, string, (copy: Store) => Promise<unknown>]>([
    ['KEY KEY', 'read', (copy) => readKey(copy, keyId)],
    [
      'KEY KEY',
      'changed',
      (copy) => updateExisting(copy, keyItemKey(keyId), () => ({ kind: 'no-change', value: null })),
    ],
    ['KEY KEY', 'read with others', (copy) => listKeys(copy, agreementId, firstPage)],
    ['AGREEMENT KEY', 'listed', (copy) => listKeys(copy, agreementId, firstPage)],
    ['LEDGER ENTRY', 'listed', (copy) => listLedgerEntries(copy, `KEY#${keyId}`, firstPage)],
    ['KEY BUCKET', 'counted', (copy) => readBuckets(copy, keyId, [0])],
    ['KEY ALERTS', 'read', (copy) => readAlertState(copy, keyId)],
    ['KEY ALERTS', 'added to', (copy) => addReportedActivations(copy, keyId, 1)],
    ['APPROVAL APPROVAL', 'opened', (copy) => openLink(copy, 'decision', token)],
    [
      'IDEMPOTENCY RESPONSE',
      'found',
      (copy) => claimIdempotencyKey(copy, { caller: ines.email, key: 'key', fingerprint: 'fingerprint' }, mondayNine),
    ],
    ['EXCEPTION EXCEPTION', 'scanned', (copy) => scanReferences(copy)],
  ])('is refused: %s, if it is %s', async (kind, _, act) => {
    await expect(act(await copyWithNewerFormat(kind))).rejects.toThrow(newer);
  });

  it('is refused: a bucket that an activation updates', async () => {
    const copy = await copyWithNewerFormat('KEY BUCKET');
    const layout = await bucketLayoutOf(copy, keyId);
    const digest = copy.vault.digestOf(keyId, activation.installationId);
    await expect(activateOnMak(copy, layout, digest, activation)).rejects.toThrow(newer);
    await expect(blockBuckets(copy, layout)).rejects.toThrow(newer);
  });

  it('is refused: a notification that is claimed', async () => {
    const copy = await copyWithNewerFormat('NOTIFICATION NOTIFICATION');
    const [item] = (await scanAllItems(copy)).filter(({ SK }) => SK === 'NOTIFICATION');
    const dueId = String(item?.PK).slice('NOTIFICATION#'.length);
    await expect(claimNotification(copy, dueId, addDuration(mondayTen, { days: 1 }))).rejects.toThrow(newer);
  });

  it('is refused: a key or a bucket in the stream, but no other item', () => {
    const changeOf = (PK: string, SK: string) => {
      const image = marshall({ PK, SK, used: 1, format: 2 });
      return () => keyChangeFrom({ before: image, after: image });
    };
    expect(changeOf('KEY#k', 'KEY')).toThrow(newer);
    expect(changeOf('KEY#k#0', 'BUCKET')).toThrow(newer);
    expect(changeOf('KEY#k', 'ALERTS')()).toBeUndefined();
    expect(changeOf('EXCEPTION#X-1', 'EXCEPTION')()).toBeUndefined();
  });

  it('is not refused in an index, which contains only keys', async () => {
    const copy = await copyWithNewerFormat('EXCEPTION EXCEPTION');
    const items = await query(copy, {
      index: 'exceptions-by-agreement',
      partition: ['agreementKey', `AGREEMENT#${agreementId}`],
      limit: 10,
    });
    expect(items.length).toBeGreaterThan(0);
  });
});
