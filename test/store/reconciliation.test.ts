import { DeleteCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../domain/calendar/instant.ts';
import { recordDecision, requestApproval } from '../../domain/exceptions/approval.ts';
import { withdrawRequest } from '../../domain/exceptions/review.ts';
import { Secret } from '../../domain/secret.ts';
import {
  applyCorrespondentChange,
  changeContacts,
  nameNewCorrespondent,
  registerAgreement,
} from '../../store/agreements.ts';
import type { Item, ItemKey } from '../../store/dynamodb/table.ts';
import { createException, fulfillException, transitionException } from '../../store/exceptions.ts';
import { finishReplacement, holdForReplacement } from '../../store/key-replacement.ts';
import { activateKmsHost, grantOverride, issueMak } from '../../store/keys.ts';
import { activateOnMak } from '../../store/mak-activations.ts';
import { attributeNameOf, homeBucketOf } from '../../store/mak-bucket.ts';
import { checkAgreement, repair } from '../../store/reconciliation.ts';
import type { Store } from '../../store/store.ts';
import { scanReferences } from '../../store/table-scan.ts';
import { openVault } from '../../store/vault.ts';
import {
  agent,
  aKmsRequestForm,
  anAgreement,
  aRequestForm,
  context,
  expectAccepted,
  ines,
  installationId,
  jorge,
  mallory,
  noor,
  policy,
  productKey,
} from '../builders.ts';
import { mondayNine, mondayTen } from '../instants.ts';
import { scanAllItems, startTestDynamoDb } from './dynamodb.ts';
import { bucketLayoutOf, raiseMakLimit } from './mak-fixture.ts';
import { expectMakTotals } from './mak-totals.ts';

const engine = await startTestDynamoDb();
const kmsKey = productKey(1);
const makKey = productKey(2);
const agreementId = anAgreement().agreementId;
const machines = 30;

let store: Store;
let makId: string;
let kmsId: string;

/** The district after a busy Monday: machines and hosts activated, one request fulfilled and one open. */
beforeEach(async () => {
  store = await engine.newStore();
  makId = store.vault.keyIdOf(makKey);
  kmsId = store.vault.keyIdOf(kmsKey);
  expectAccepted(
    await registerAgreement(
      store,
      anAgreement(),
      () => kmsKey,
      context({ actor: 'admin', operationId: 'register', now: mondayNine, policy: store.policy }),
    ),
  );
  expectAccepted(
    await issueMak(
      store,
      anAgreement(),
      { productGroup: 'client', drawKey: () => makKey },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine, policy: store.policy }),
    ),
  );
  const layout = await bucketLayoutOf(store, makId);
  for (let machine = 1; machine <= machines; machine += 1) {
    const activation = {
      installationId: installationId(machine),
      product: 'windows-vista-business',
      machineName: null,
      activatedAt: mondayTen,
    } as const;
    const digest = store.vault.digestOf(makId, activation.installationId);
    expect((await activateOnMak(store, layout, digest, activation)).kind).toBe('activated');
  }
  const host = { installationId: installationId(1), product: 'windows-vista-business', machineName: null } as const;
  await activateKmsHost(store, kmsId, host, context({ operationId: 'host', now: mondayTen, policy: store.policy }));
  await grantOverride(
    store,
    kmsId,
    { installationId: installationId(1), callReference: 'CALL-1', callerName: ines.name },
    context({ actor: agent, operationId: 'override', now: mondayTen, policy: store.policy }),
  );
  await receive('X-1', aRequestForm({ keyLastFive: makKey.lastFive }));
  await fulfilled('X-1');
  await receive('X-2', aRequestForm({ keyLastFive: makKey.lastFive }));
});

async function receive(exceptionId: string, intake: ReturnType<typeof aRequestForm>): Promise<void> {
  const sender = { maySpeakFor: () => true };
  expectAccepted(
    await createException(
      store,
      { exceptionId, form: intake },
      sender,
      context({ operationId: `receive ${exceptionId}`, now: mondayTen, policy: store.policy }),
    ),
  );
}

async function fulfilled(exceptionId: string): Promise<void> {
  const choice = { decision: 'approve', comment: null } as const;
  await transitionException(store, exceptionId, (request) => requestApproval(request, context({ now: mondayTen })), {
    operationId: 'ask',
    now: mondayTen,
  });
  await transitionException(
    store,
    exceptionId,
    (request) => recordDecision(request, 1, choice, context({ actor: noor.email, now: mondayTen })),
    { operationId: 'decide', now: mondayTen },
  );
  expectAccepted((await fulfillException(store, exceptionId, mondayTen)) ?? notThere());
}

function notThere(): never {
  throw new Error('there is no such request');
}

/** What is wrong by a check of the one agreement, or with what was seen in the whole table. */
async function wrongIn(where: 'agreement' | 'table' = 'agreement', in_ = store): Promise<readonly string[]> {
  return (await found(where, in_)).map(({ subject: about, problem: wrong }) => `${about}: ${wrong}`);
}

async function found(where: 'agreement' | 'table', in_ = store) {
  const seen = where === 'table' ? (await scanReferences(store)).get(agreementId) : undefined;
  return (await checkAgreement(in_, agreementId, mondayTen, seen)).findings;
}

/** Mends all that can be, and expects that nothing more is wrong then and that what the key counts is exact. */
async function mendsAll(where: 'agreement' | 'table' = 'agreement'): Promise<void> {
  for (const finding of await found(where)) expect(await repair(store, finding)).toBe(true);
  expect(await wrongIn(where)).toEqual([]);
  await expectMakTotals(store, makId);
}

/** Tries to mend, and expects that nothing at all is written. */
async function leavesAll(where: 'agreement' | 'table' = 'agreement'): Promise<void> {
  const before = await scanAllItems(store);
  for (const finding of await found(where)) expect(await repair(store, finding)).toBe(false);
  expect(await scanAllItems(store)).toEqual(before);
}

/** Lets something happen between the look and the mending, and expects that nothing at all is mended then. */
async function leavesWhen(
  meanwhile: () => Promise<unknown>,
  where: 'agreement' | 'table' = 'agreement',
): Promise<void> {
  const findings = await found(where);
  expect(findings.some((finding) => finding.repairs.length > 0)).toBe(true);
  await meanwhile();
  const before = await scanAllItems(store);
  for (const finding of findings) expect(await repair(store, finding)).toBe(false);
  expect(await scanAllItems(store)).toEqual(before);
}

function put(Item: Item): Promise<unknown> {
  return store.client.send(new PutCommand({ TableName: store.tableName, Item }));
}

async function set(key: ItemKey, values: Readonly<Record<string, unknown>>): Promise<void> {
  const names = Object.keys(values);
  const path = (name: string) => name.split('.').map((part) => `#${part.replace(/\W/g, 'p')}`);
  await store.client.send(
    new UpdateCommand({
      TableName: store.tableName,
      Key: key,
      UpdateExpression: `SET ${names.map((name, index) => `${path(name).join('.')} = :v${index}`).join(', ')}`,
      ExpressionAttributeNames: Object.fromEntries(
        names.flatMap((name) => name.split('.').map((part) => [`#${part.replace(/\W/g, 'p')}`, part])),
      ),
      ExpressionAttributeValues: Object.fromEntries(names.map((name, index) => [`:v${index}`, values[name]])),
    }),
  );
}

async function unset(key: ItemKey, name: string): Promise<void> {
  await store.client.send(
    new UpdateCommand({
      TableName: store.tableName,
      Key: key,
      UpdateExpression: 'REMOVE #name',
      ExpressionAttributeNames: { '#name': name },
    }),
  );
}

async function drop(key: ItemKey): Promise<void> {
  const { Attributes } = await store.client.send(
    new DeleteCommand({ TableName: store.tableName, Key: key, ReturnValues: 'ALL_OLD' }),
  );
  expect(Attributes).toBeDefined();
}

async function item({ PK, SK }: ItemKey) {
  const there = (await scanAllItems(store)).find((each) => each.PK === PK && each.SK === SK);
  if (there === undefined) throw new Error(`There is no item ${PK} ${SK}.`);
  return there;
}

const bucket = (number: number): ItemKey => ({ PK: `KEY#${makId}#${number}`, SK: 'BUCKET' });
const reserve = (): ItemKey => ({ PK: `KEY#${makId}`, SK: 'RESERVE' });
const key = (keyId: string): ItemKey => ({ PK: `KEY#${keyId}`, SK: 'KEY' });
const openPointer = (keyId: string): ItemKey => ({ PK: `KEY#${keyId}`, SK: 'OPEN-REQUEST' });
const request = (id: string): ItemKey => ({ PK: `EXCEPTION#${id}`, SK: 'EXCEPTION' });
const alerts = (): ItemKey => ({ PK: `KEY#${makId}`, SK: 'ALERTS' });
const agreement: ItemKey = { PK: `AGREEMENT#${agreementId}`, SK: 'AGREEMENT' };
const wayToMak = (): ItemKey => ({ PK: `AGREEMENT#${agreementId}`, SK: `KEY#${makId}` });
const slot: ItemKey = { PK: `AGREEMENT#${agreementId}`, SK: 'MAK#client' };
/** Somebody changes it, as every change of the service does. */
const change = (owner: ItemKey) => set(owner, { version: 1_000 });

describe('a table in which everything fits together', () => {
  it('KEY-8 is whole, seen from the agreement and from the whole table', async () => {
    expect(await checkAgreement(store, agreementId, mondayTen)).toEqual({ findings: [], keyCount: 2, requestCount: 2 });
    expect(await wrongIn('table')).toEqual([]);
    expect([...(await scanReferences(store)).keys()]).toEqual([agreementId]);
  });

  it('BLK-2 is whole after a key was replaced, and after one was raised far and split in part', async () => {
    const ask = { reason: 'It leaked.', reference: 'R-1' };
    await holdForReplacement(
      store,
      makId,
      { ...ask, drawKey: () => productKey(3) },
      context({ actor: ines.email, operationId: 'hold', now: mondayTen, policy: store.policy }),
    );
    expect(await wrongIn()).toEqual([]);
    const successor = await finishReplacement(store, makId, mondayTen);
    expect(await wrongIn()).toEqual([]);
    const generous = {
      ...store,
      policy: { ...policy, callCenter: { ...policy.callCenter, increaseUpToTimesOriginal: 99 } },
    };
    await raiseMakLimit(generous, String(successor), 2_000);
    const activation = {
      installationId: installationId(1),
      product: 'windows-vista-business',
      machineName: null,
      activatedAt: mondayTen,
    } as const;
    const digest = store.vault.digestOf(String(successor), activation.installationId);
    await activateOnMak(store, await bucketLayoutOf(store, String(successor)), digest, activation);
    expect(await wrongIn('table')).toEqual([]);
  });

  it('AGR-4 is whole through a change of the Correspondent, who then has the way to it that the former one loses', async () => {
    await nameNewCorrespondent(
      store,
      agreementId,
      mallory,
      context({ actor: 'admin', operationId: 'name', now: mondayTen, policy: store.policy }),
    );
    const over = addDuration(mondayTen, { hours: 25 });
    expect(await wrongIn('table')).toEqual([]);
    await applyCorrespondentChange(store, agreementId, over);
    expect(await wrongIn('table')).toEqual([]);
    const people = (await scanAllItems(store)).map(({ PK }) => PK).filter((PK) => PK.startsWith('PERSON#'));
    expect(people.toSorted()).toEqual([ines, mallory, jorge].map(({ email }) => `PERSON#${email}`).toSorted());
  });

  it('says of an agreement that is not there that it is not', async () => {
    const { findings } = await checkAgreement(store, 'E-9', mondayTen);
    expect(findings).toEqual([{ subject: 'AGREEMENT#E-9', problem: 'It is not in the table.', repairs: [] }]);
  });
});

describe('a count that does not follow from the marks and the grants', () => {
  it('MAK-1 is made from the marks when a bucket counts too few', async () => {
    const { used } = await item(bucket(0));
    await set(bucket(0), { used: Number(used) - 1 });
    const [wrong] = await wrongIn();
    expect(wrong).toContain(`Bucket 0 counts ${Number(used) - 1} and has ${used} marks.`);
    expect(wrong).toContain('Its places add up to');
    await mendsAll();
    expect((await item(bucket(0))).used).toBe(used);
  });

  it('MAK-1 gives to the reserve what places are wanting', async () => {
    const { available } = await item(bucket(1));
    await set(bucket(1), { available: Number(available) - 3 });
    const before = Number((await item(reserve())).available);
    await mendsAll();
    expect((await item(reserve())).available).toBe(before + 3);
  });

  it('MAK-1 takes free places back where there are too many, the reserve first', async () => {
    const reserved = Number((await item(reserve())).available);
    await set(bucket(0), { available: reserved + 5 + Number((await item(bucket(0))).available) });
    await mendsAll();
    expect((await item(reserve())).available).toBe(0);
  });

  it('MAK-1 leaves no free place below nothing', async () => {
    await set(bucket(0), { available: -2 });
    await set(reserve(), { available: -1 });
    const [wrong] = await wrongIn();
    expect(wrong).toContain('Bucket 0 has -2 free places.');
    expect(wrong).toContain('The reserve has -1 free places.');
    await mendsAll();
  });

  it('KEY-8 enforces again what was granted', async () => {
    await set(reserve(), { limit: 7 });
    expect((await wrongIn())[0]).toContain('The reserve enforces 7, and ');
    await mendsAll();
  });

  it('KEY-8 makes a reserve that is missing', async () => {
    await drop(reserve());
    expect((await wrongIn())[0]).toContain('Its reserve is missing.');
    await mendsAll();
  });

  it('MAK-1 forgets that a key is spent which is not', async () => {
    await set(reserve(), { exhausted: true });
    expect((await wrongIn())[0]).toContain('It is remembered as spent, and 30 of ');
    await mendsAll();
    expect(await item(reserve())).not.toHaveProperty('exhausted');
  });

  it('MAK-1 is mended in a key of more buckets than a transaction takes', async () => {
    const generous = {
      ...store,
      policy: { ...policy, callCenter: { ...policy.callCenter, increaseUpToTimesOriginal: 99 } },
    };
    await raiseMakLimit(generous, makId, 4_000);
    const layout = await bucketLayoutOf(store, makId);
    expect(layout.bucketCount).toBeGreaterThan(98);
    for (let machine = 31; machine <= 400; machine += 1) {
      const activation = {
        installationId: installationId(machine),
        product: 'windows-vista-business',
        machineName: null,
        activatedAt: mondayTen,
      } as const;
      await activateOnMak(store, layout, store.vault.digestOf(makId, activation.installationId), activation);
    }
    const [first, last] = [0, layout.bucketCount - 1].map(bucket);
    if (first === undefined || last === undefined) throw new Error('there are no buckets');
    await set(first, { used: 0 });
    await set(last, { available: 500 });
    await mendsAll();
  });

  it('MAK-1 is not mended when a machine activated between the look and the mending', async () => {
    await set(bucket(0), { available: 1_000 });
    const findings = await found('agreement');
    await set(bucket(1), { available: Number((await item(bucket(1))).available) - 1 });
    for (const finding of findings) expect(await repair(store, finding)).toBe(false);
    expect((await item(bucket(0))).available).toBe(1_000);
  });

  it('ALR-1 makes whoever warns know what is used', async () => {
    await store.client.send(
      new PutCommand({
        TableName: store.tableName,
        Item: { PK: `KEY#${makId}`, SK: 'ALERTS', version: 1, activationsReported: 29, nextAlertAt: 80 },
      }),
    );
    expect(await wrongIn()).toEqual([`KEY#${makId}: Whoever warns has seen 29 activations, and 30 are used.`]);
    await mendsAll();
  });
});

describe('a count of which nobody knows the truth', () => {
  it('MAK-1 is left when a bucket is missing', async () => {
    await drop(bucket(2));
    expect((await wrongIn())[0]).toContain('Bucket 2, 10 is missing, with the marks that were in it.');
    await leavesAll();
  });

  it('MAK-2 is left when a bucket is there whole and split', async () => {
    const whole = await item(bucket(0));
    const { bucketCount } = await bucketLayoutOf(store, makId);
    await set(key(makId), { 'internal.bucketCount': bucketCount * 2 });
    await store.client.send(
      new PutCommand({
        TableName: store.tableName,
        Item: { ...whole, ...bucket(bucketCount), bucketCount: bucketCount * 2 },
      }),
    );
    const [wrong] = await wrongIn();
    expect(wrong).toContain(`Bucket ${bucketCount} is there whole and split.`);
    expect(wrong).toMatch(/\d machines have activation records in two buckets\./);
    await leavesAll();
  });

  it('MAK-2 is left when a machine is in a bucket that is not its own', async () => {
    const { bucketCount } = await bucketLayoutOf(store, makId);
    const stranger = installationId(99);
    const home = homeBucketOf(store.vault.digestOf(makId, stranger), bucketCount);
    await set(bucket((home + 1) % bucketCount), { [attributeNameOf(stranger)]: 'mbdv1k00.1.' });
    expect((await wrongIn())[0]).toContain(
      `1 machines in bucket ${(home + 1) % bucketCount} belong in another bucket.`,
    );
    await leavesAll();
  });

  it('MAK-1 is left when more machines are activated than were granted', async () => {
    const { value: state } = (await item(key(makId))) as unknown as { value: { grants: readonly unknown[] } };
    await set(key(makId), { 'value.grants': [{ ...(state.grants[0] as object), amount: 10 }] });
    expect((await wrongIn()).join()).toContain('30 machines are activated, but 10 activations are granted.');
    await leavesAll();
  });

  it('BLK-1 is left when the buckets of a live key are blocked', async () => {
    await set(bucket(0), { status: 'blocked' });
    expect(await wrongIn()).toEqual([`KEY#${makId}: The key is live, and some of its buckets are blocked.`]);
    await leavesAll();
  });
});

describe('a replaced key', () => {
  beforeEach(async () => {
    const ask = { reason: 'It leaked.', reference: 'R-1' };
    await transitionException(
      store,
      'X-2',
      (each) => withdrawRequest(each, 'No.', context({ actor: ines.email, now: mondayTen })),
      {
        operationId: 'withdraw',
        now: mondayTen,
      },
    );
    await holdForReplacement(
      store,
      makId,
      { ...ask, drawKey: () => productKey(3) },
      context({ actor: ines.email, operationId: 'hold', now: mondayTen, policy: store.policy }),
    );
    await finishReplacement(store, makId, mondayTen);
  });

  it('BLK-1 gets those buckets blocked that are not', async () => {
    await set(bucket(1), { status: 'live' });
    expect(await wrongIn()).toEqual([`KEY#${makId}: It is blocked, and 1 of its buckets are not.`]);
    await mendsAll();
    expect((await item(bucket(1))).status).toBe('blocked');
  });

  it.each([
    ['the key has changed', () => change(key(makId))],
    ['the bucket has gone', () => drop(bucket(1))],
  ])('BLK-1 gets none blocked when %s meanwhile', async (_, meanwhile) => {
    await set(bucket(1), { status: 'live' });
    await leavesWhen(meanwhile);
  });

  it('BLK-2 is named when its successor does not know of it', async () => {
    const successor = store.vault.keyIdOf(productKey(3));
    await set(key(successor), { 'value.replaces': null });
    expect(await wrongIn()).toEqual([`KEY#${makId}: It was replaced by the key ${successor}, which does not say so.`]);
    await leavesAll();
  });

  it('BLK-2 is named when its successor has gone', async () => {
    const successor = store.vault.keyIdOf(productKey(3));
    await drop(key(successor));
    expect(await wrongIn()).toContain(
      `KEY#${successor}: Something of agreement E-1001 leads to it, and it is not there.`,
    );
    await leavesAll();
  });
});

describe('a KMS key', () => {
  it.each([
    [
      'KMS-1',
      'value.grants',
      (state: Kms) => state.grants.map((each) => ({ ...each, amount: 0 })),
      '1 hosts have a slot, but 0 slots are granted.',
    ],
    ['KMS-1', 'value.hosts', ({ hosts }: Kms) => [...hosts, ...hosts], 'A host is there twice.'],
    [
      'KMS-1',
      'value.hosts',
      ({ hosts }: Kms) => hosts.map((each) => ({ ...each, uses: 11 })),
      'has 11 uses, 0 of them overrides.',
    ],
    [
      'OVR-1',
      'value.hosts',
      ({ hosts }: Kms) => hosts.map((each) => ({ ...each, overridesSpent: 1 })),
      'has spent 1 overrides, and 0 are marked as spent.',
    ],
    ['OVR-3', 'value.overrides', () => [], '1 override grants do not match 0 overrides by their references.'],
  ])('%s is named, and left, when %s does not fit', async (_, path, wrong, sentence) => {
    const { value: state } = (await item(key(kmsId))) as unknown as { value: Kms };
    await set(key(kmsId), { [path]: wrong(state) });
    expect((await wrongIn()).join()).toContain(sentence);
    await leavesAll();
  });
});

type Kms = { readonly grants: readonly object[]; readonly hosts: readonly object[] };

describe('a way to something', () => {
  it.each([
    ['AGR-3', () => ({ PK: `PERSON#${jorge.email}`, SK: `AGREEMENT#${agreementId}` })],
    ['KEY-7', () => ({ PK: `AGREEMENT#${agreementId}`, SK: `KEY#${makId}` })],
    ['KEY-6', () => ({ PK: `LASTFIVE#${makKey.lastFive}`, SK: `AGREEMENT#${agreementId}#KEY#${makId}` })],
    ['KEY-2', () => ({ PK: `AGREEMENT#${agreementId}`, SK: 'MAK#client' })],
    ['EXC-5', () => openPointer(makId)],
  ])('%s is put back where it is missing', async (_, way) => {
    const before = await item(way());
    await drop(way());
    expect(await wrongIn()).toHaveLength(1);
    await mendsAll();
    expect(await item(way())).toEqual(before);
  });

  it('KEY-7 is put back for a key that nothing leads to, when the whole table is looked through', async () => {
    await drop({ PK: `AGREEMENT#${agreementId}`, SK: `KEY#${kmsId}` });
    await drop({ PK: `LASTFIVE#${kmsKey.lastFive}`, SK: `AGREEMENT#${agreementId}#KEY#${kmsId}` });
    expect(await wrongIn('agreement')).toEqual([]);
    expect(await wrongIn('table')).toHaveLength(2);
    await mendsAll('table');
    expect((await checkAgreement(store, agreementId, mondayTen)).keyCount).toBe(2);
  });

  it('AGR-3 is taken from somebody who is not of its people', async () => {
    const stranger = { PK: `PERSON#${mallory.email}`, SK: `AGREEMENT#${agreementId}` };
    await store.client.send(new PutCommand({ TableName: store.tableName, Item: stranger }));
    expect(await wrongIn('table')).toEqual([
      `AGREEMENT#E-1001: PERSON#${mallory.email} leads to it, and is not of its people.`,
    ]);
    await mendsAll('table');
    await expect(item(stranger)).rejects.toThrow('There is no item');
  });

  it('KEY-6 is named when its last five lead to no such key', async () => {
    const astray = { PK: 'LASTFIVE#QQQQQ', SK: `AGREEMENT#${agreementId}#KEY#${makId}` };
    await store.client.send(new PutCommand({ TableName: store.tableName, Item: astray }));
    expect(await wrongIn('table')).toEqual([
      `${astray.PK} ${astray.SK}: It leads to no key of that agreement with these last five.`,
    ]);
    await leavesAll('table');
  });

  it('KEY-2 is named when the place of the one MAK is another key’s', async () => {
    await set({ PK: `AGREEMENT#${agreementId}`, SK: 'MAK#client' }, { keyId: kmsId });
    expect(await wrongIn()).toEqual([
      `KEY#${makId}: The place of the one MAK for client is another key's: ${kmsId}.`,
      `AGREEMENT#E-1001 MAK#client: It names the key ${kmsId}, which is no live MAK of that group.`,
    ]);
    await leavesAll();
  });

  it('EXC-5 is struck off when the request that it calls open has ended', async () => {
    await store.client.send(
      new PutCommand({ TableName: store.tableName, Item: { ...openPointer(kmsId), exceptionId: 'X-1' } }),
    );
    expect(await wrongIn()).toEqual([
      `KEY#${kmsId}: It says that request X-1 is open for it, which is not open for it.`,
    ]);
    await mendsAll();
    await receive('X-3', aKmsRequestForm({ keyLastFive: kmsKey.lastFive }));
  });

  it('EXC-5 is struck off when the request that it calls open is not there', async () => {
    await store.client.send(
      new PutCommand({ TableName: store.tableName, Item: { ...openPointer(kmsId), exceptionId: 'X-9' } }),
    );
    expect(await wrongIn()).toEqual([
      `KEY#${kmsId}: It says that request X-9 is open for it, which is not in the table.`,
    ]);
    await mendsAll();
  });

  it('EXC-5 is named when two requests are open for one key', async () => {
    const { value: state } = await item(request('X-2'));
    await set(request('X-1'), { 'value.state': (state as { state: unknown }).state });
    expect((await wrongIn()).join()).toContain(
      'EXCEPTION#X-1: It is open, and its key names request X-2 as the open one.',
    );
  });
});

describe('an item that moves with its state', () => {
  it.each([
    ['EXC-8', 'statusKey', 'EXCEPTION#in-review'],
    ['SLA-7', 'dueKey', 'somewhere'],
    ['SLA-5', 'nextActionAt', '2099-01-01T00:00:00Z'],
  ])('%s is found again where it should be when %s is wrong', async (_, name, value) => {
    const before = await item(request('X-2'));
    await set(request('X-2'), { [name]: value });
    expect(await wrongIn()).toEqual([
      `EXCEPTION#X-2: It is not found where it should be: ${name} does not follow from it.`,
    ]);
    await mendsAll();
    expect(await item(request('X-2'))).toEqual(before);
  });

  it('SLA-5 is found again by the sweep, and not when time has nothing to do with it', async () => {
    await unset(request('X-2'), 'nextActionKey');
    await set(
      { PK: `AGREEMENT#${agreementId}`, SK: 'AGREEMENT' },
      { nextActionKey: 'AGREEMENT', nextActionAt: mondayTen },
    );
    expect(await wrongIn()).toHaveLength(2);
    await mendsAll();
    expect(await item({ PK: `AGREEMENT#${agreementId}`, SK: 'AGREEMENT' })).not.toHaveProperty('nextActionAt');
  });

  it('EXC-5 is found through its key when it has lost its place among the agreement’s requests', async () => {
    await unset(request('X-2'), 'agreementKey');
    expect(await wrongIn()).toEqual([
      'EXCEPTION#X-2: It is not found where it should be: agreementKey does not follow from it.',
    ]);
    await mendsAll();
  });
});

describe('a request and its key', () => {
  it('EXC-9 are named when it is fulfilled and nothing was granted', async () => {
    const { value: state } = (await item(key(makId))) as unknown as { value: { grants: readonly unknown[] } };
    await set(key(makId), { 'value.grants': state.grants.slice(0, 1) });
    expect((await wrongIn()).join()).toContain(
      'EXCEPTION#X-1: It is fulfilled, and its key was not granted 150 by it.',
    );
    const [places] = (await wrongIn()).filter((each) => each.startsWith('KEY#'));
    expect(places).toContain('The reserve enforces');
  });

  it('EXC-9 are named when something was granted and it is not fulfilled', async () => {
    await drop(request('X-1'));
    expect(await wrongIn()).toEqual([
      `KEY#${makId}: It was granted 150 by request X-1, which is not fulfilled for it.`,
    ]);
    await leavesAll();
  });

  it.each([
    ['twice', () => addDuration(mondayTen, { seconds: 1 }), 2, 'It owes the same letter twice.'],
    ['for ever', () => addDuration(mondayTen, { hours: 1 }), 1, 'longer than anybody may.'],
  ])('EXC-11 are named when a letter is owed %s', async (_, claimedUntil, times, sentence) => {
    const letter = {
      notificationId: '9-received-requester',
      kind: 'received',
      to: 'requester',
      claimedUntil: claimedUntil(),
    };
    await set(request('X-2'), { 'value.pendingNotifications': Array.from({ length: times }, () => letter) });
    expect((await wrongIn()).join()).toContain(sentence);
  });
});

describe('a history', () => {
  it.each([
    ['the agreement', () => `AGREEMENT#${agreementId}`],
    ['a key', () => `KEY#${makId}`],
    ['a request', () => 'EXCEPTION#X-1'],
  ])('LED-2 of %s is named where it breaks, and left', async (_, owner) => {
    await set({ PK: `LEDGER#${owner()}`, SK: 'ENTRY#0000000001' }, { detail: 'Nothing happened.' });
    expect(await wrongIn()).toEqual([
      `${owner()}: Its history breaks at entry 1: What it says is not what its hash was made of.`,
    ]);
    await leavesAll();
  });
});

describe('what has changed between the look and the mending', () => {
  const more = async (owner: ItemKey, name: string) => set(owner, { [name]: Number((await item(owner))[name]) + 1 });
  const tooFree = () => set(bucket(0), { available: 1_000 });
  const forgetful = () => put({ ...alerts(), version: 1, activationsReported: 29, nextAlertAt: 80 });
  const astray = (exceptionId: string) => () => put({ ...openPointer(kmsId), exceptionId });

  it.each<[rule: string, what: string, wrong: () => Promise<unknown>, meanwhile: () => Promise<unknown>]>([
    [
      'SLA-7',
      'an item that is to be found again',
      () => set(request('X-2'), { dueKey: 'x' }),
      () => change(request('X-2')),
    ],
    ['KEY-7', 'a way that somebody has put back', () => drop(wayToMak()), () => put({ ...wayToMak(), by: 'another' })],
    ['KEY-7', 'what a way leads to', () => drop(wayToMak()), () => change(key(makId))],
    ['KEY-2', 'the place of the one MAK', () => drop(slot), () => put({ ...slot, keyId: 'another' })],
    ['KEY-2', 'the one MAK', () => drop(slot), () => change(key(makId))],
    ['EXC-5', 'which request is called open', astray('X-1'), astray('X-3')],
    ['EXC-5', 'a request that has ended', astray('X-1'), () => change(request('X-1'))],
    ['EXC-5', 'a request that was not there', astray('X-9'), () => put({ ...request('X-9') })],
    [
      'EXC-5',
      'the open request of a key',
      () => drop(openPointer(makId)),
      () => put({ ...openPointer(makId), exceptionId: 'X-7' }),
    ],
    ['EXC-5', 'a request that is open', () => drop(openPointer(makId)), () => change(request('X-2'))],
    ['KEY-8', 'a key', tooFree, () => change(key(makId))],
    ['MAK-1', 'what is used of a bucket', tooFree, () => more(bucket(1), 'used')],
    ['MAK-1', 'what is free in a bucket', tooFree, () => more(bucket(1), 'available')],
    ['MAK-1', 'what a bucket is laid out for', tooFree, () => more(bucket(1), 'bucketCount')],
    ['BLK-1', 'whether a bucket is blocked', tooFree, () => set(bucket(1), { status: 'blocked' })],
    ['MAK-1', 'what is free in the reserve', tooFree, () => more(reserve(), 'available')],
    ['KEY-8', 'the limit in the reserve', tooFree, () => more(reserve(), 'limit')],
    ['KEY-8', 'a reserve that was missing', () => drop(reserve()), () => put({ ...reserve(), available: 1, limit: 1 })],
    ['ALR-1', 'what whoever warns has seen', forgetful, () => more(alerts(), 'activationsReported')],
    ['ALR-1', 'what was told', forgetful, () => more(alerts(), 'version')],
  ])('%s %s: nothing is mended', async (_, __, wrong, meanwhile) => {
    await wrong();
    await leavesWhen(meanwhile);
  });

  it('AGR-3 the people of an agreement: nobody’s way to it is taken', async () => {
    await put({ PK: `PERSON#${mallory.email}`, SK: `AGREEMENT#${agreementId}` });
    await leavesWhen(() => change(agreement), 'table');
  });
});

describe('what the table is opened with', () => {
  it('KEY-6 says of each key that the root secret is another one', async () => {
    const other = { ...store, vault: openVault(new Secret('another root secret, of more than 32 bytes')) };
    const wrong = await wrongIn('agreement', other);
    expect(wrong.filter((each) => each.endsWith('Its seal does not open with this root secret.'))).toHaveLength(2);
  });
});

describe('an agreement that has gone', () => {
  it('AGR-3 is named by what still names it', async () => {
    await changeContacts(
      store,
      agreementId,
      [ines],
      context({ actor: 'admin', operationId: 'contacts', now: mondayTen, policy: store.policy }),
    );
    await drop({ PK: `AGREEMENT#${agreementId}`, SK: 'AGREEMENT' });
    expect(await wrongIn('table')).toEqual(['AGREEMENT#E-1001: It is not in the table, and 8 things name it.']);
  });
});
