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

const dynamoDb = await startTestDynamoDb();
const kmsKey = productKey(1);
const makKey = productKey(2);
const agreementId = anAgreement().agreementId;
const machineCount = 30;

let store: Store;
let makId: string;
let kmsId: string;

/** Creates an agreement with activated machines and hosts, a fulfilled request, and an open one. */
beforeEach(async () => {
  store = await dynamoDb.newStore();
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
  for (let machine = 1; machine <= machineCount; machine += 1) {
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
  await createRequest('X-1', aRequestForm({ keyLastFive: makKey.lastFive }));
  await approveAndFulfill('X-1');
  await createRequest('X-2', aRequestForm({ keyLastFive: makKey.lastFive }));
});

async function createRequest(exceptionId: string, form: ReturnType<typeof aRequestForm>): Promise<void> {
  const sender = { maySpeakFor: () => true };
  expectAccepted(
    await createException(
      store,
      { exceptionId, form },
      sender,
      context({ operationId: `create ${exceptionId}`, now: mondayTen, policy: store.policy }),
    ),
  );
}

async function approveAndFulfill(exceptionId: string): Promise<void> {
  const decision = { decision: 'approve', comment: null } as const;
  await transitionException(store, exceptionId, (request) => requestApproval(request, context({ now: mondayTen })), {
    operationId: 'ask',
    now: mondayTen,
  });
  await transitionException(
    store,
    exceptionId,
    (request) => recordDecision(request, 1, decision, context({ actor: noor.email, now: mondayTen })),
    { operationId: 'decide', now: mondayTen },
  );
  expectAccepted((await fulfillException(store, exceptionId, mondayTen)) ?? throwMissing());
}

function throwMissing(): never {
  throw new Error('there is no such request');
}

/** A check of the agreement alone, or with the references of a table scan. */
type Scope = 'agreement' | 'table';

/** Returns the problems that a check finds. */
async function findProblems(scope: Scope = 'agreement', target = store): Promise<readonly string[]> {
  return (await findingsOf(scope, target)).map(({ subject, problem }) => `${subject}: ${problem}`);
}

async function findingsOf(scope: Scope, target = store) {
  const references = scope === 'table' ? (await scanReferences(store)).get(agreementId) : undefined;
  return (await checkAgreement(target, agreementId, mondayTen, references)).findings;
}

/** Repairs all findings, and expects that no problem remains and that the counters of the MAK are exact. */
async function expectRepaired(scope: Scope = 'agreement'): Promise<void> {
  for (const finding of await findingsOf(scope)) expect(await repair(store, finding)).toBe(true);
  expect(await findProblems(scope)).toEqual([]);
  await expectMakTotals(store, makId);
}

/** Tries to repair all findings, and expects that nothing is written. */
async function expectNotRepaired(scope: Scope = 'agreement'): Promise<void> {
  const before = await scanAllItems(store);
  for (const finding of await findingsOf(scope)) expect(await repair(store, finding)).toBe(false);
  expect(await scanAllItems(store)).toEqual(before);
}

/** Changes something between the check and the repair, and expects that nothing is repaired. */
async function expectNotRepairedAfter(meanwhile: () => Promise<unknown>, scope: Scope = 'agreement'): Promise<void> {
  const findings = await findingsOf(scope);
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

async function removeAttribute(key: ItemKey, name: string): Promise<void> {
  await store.client.send(
    new UpdateCommand({
      TableName: store.tableName,
      Key: key,
      UpdateExpression: 'REMOVE #name',
      ExpressionAttributeNames: { '#name': name },
    }),
  );
}

async function deleteItem(key: ItemKey): Promise<void> {
  const { Attributes } = await store.client.send(
    new DeleteCommand({ TableName: store.tableName, Key: key, ReturnValues: 'ALL_OLD' }),
  );
  expect(Attributes).toBeDefined();
}

async function item({ PK, SK }: ItemKey) {
  const existing = (await scanAllItems(store)).find((each) => each.PK === PK && each.SK === SK);
  if (existing === undefined) throw new Error(`There is no item ${PK} ${SK}.`);
  return existing;
}

const bucket = (number: number): ItemKey => ({ PK: `KEY#${makId}#${number}`, SK: 'BUCKET' });
const reserve = (): ItemKey => ({ PK: `KEY#${makId}`, SK: 'RESERVE' });
const key = (keyId: string): ItemKey => ({ PK: `KEY#${keyId}`, SK: 'KEY' });
const openRequestPointer = (keyId: string): ItemKey => ({ PK: `KEY#${keyId}`, SK: 'OPEN-REQUEST' });
const request = (id: string): ItemKey => ({ PK: `EXCEPTION#${id}`, SK: 'EXCEPTION' });
const alerts = (): ItemKey => ({ PK: `KEY#${makId}`, SK: 'ALERTS' });
const agreement: ItemKey = { PK: `AGREEMENT#${agreementId}`, SK: 'AGREEMENT' };
const pointerToMak = (): ItemKey => ({ PK: `AGREEMENT#${agreementId}`, SK: `KEY#${makId}` });
const liveMakPointer: ItemKey = { PK: `AGREEMENT#${agreementId}`, SK: 'MAK#client' };
/** Changes the version of an item, like every update of the service. */
const change = (owner: ItemKey) => set(owner, { version: 1_000 });

describe('a consistent table', () => {
  it('KEY-8 has no findings, with and without a table scan', async () => {
    expect(await checkAgreement(store, agreementId, mondayTen)).toEqual({ findings: [], keyCount: 2, requestCount: 2 });
    expect(await findProblems('table')).toEqual([]);
    expect([...(await scanReferences(store)).keys()]).toEqual([agreementId]);
  });

  it('BLK-2 has no findings after a replacement, or while some buckets of a key are not split yet', async () => {
    const replacement = { reason: 'It leaked.', reference: 'R-1' };
    await holdForReplacement(
      store,
      makId,
      { ...replacement, drawKey: () => productKey(3) },
      context({ actor: ines.email, operationId: 'hold', now: mondayTen, policy: store.policy }),
    );
    expect(await findProblems()).toEqual([]);
    const successor = await finishReplacement(store, makId, mondayTen);
    expect(await findProblems()).toEqual([]);
    const generousStore = {
      ...store,
      policy: { ...policy, callCenter: { ...policy.callCenter, increaseUpToTimesOriginal: 99 } },
    };
    await raiseMakLimit(generousStore, String(successor), 2_000);
    const activation = {
      installationId: installationId(1),
      product: 'windows-vista-business',
      machineName: null,
      activatedAt: mondayTen,
    } as const;
    const digest = store.vault.digestOf(String(successor), activation.installationId);
    await activateOnMak(store, await bucketLayoutOf(store, String(successor)), digest, activation);
    expect(await findProblems('table')).toEqual([]);
  });

  it('AGR-4 has no findings before and after a change of the Correspondent, which moves the pointer', async () => {
    await nameNewCorrespondent(
      store,
      agreementId,
      mallory,
      context({ actor: 'admin', operationId: 'name', now: mondayTen, policy: store.policy }),
    );
    const afterWaitingPeriod = addDuration(mondayTen, { hours: 25 });
    expect(await findProblems('table')).toEqual([]);
    await applyCorrespondentChange(store, agreementId, afterWaitingPeriod);
    expect(await findProblems('table')).toEqual([]);
    const people = (await scanAllItems(store)).map(({ PK }) => PK).filter((PK) => PK.startsWith('PERSON#'));
    expect(people.toSorted()).toEqual([ines, mallory, jorge].map(({ email }) => `PERSON#${email}`).toSorted());
  });

  it('has a finding for an unknown agreement', async () => {
    const { findings } = await checkAgreement(store, 'E-9', mondayTen);
    expect(findings).toEqual([{ subject: 'AGREEMENT#E-9', problem: 'It is not in the table.', repairs: [] }]);
  });
});

describe('counters that do not match activation records and grants', () => {
  it('MAK-1 are repaired from the activation records if a bucket counts too few', async () => {
    const { used } = await item(bucket(0));
    await set(bucket(0), { used: Number(used) - 1 });
    const [problem] = await findProblems();
    expect(problem).toContain(`Bucket 0 counts ${Number(used) - 1} activations and has ${used} activation records.`);
    expect(problem).toContain('The slots add up to');
    await expectRepaired();
    expect((await item(bucket(0))).used).toBe(used);
  });

  it('MAK-1 are repaired in the reserve if slots are missing', async () => {
    const { available } = await item(bucket(1));
    await set(bucket(1), { available: Number(available) - 3 });
    const before = Number((await item(reserve())).available);
    await expectRepaired();
    expect((await item(reserve())).available).toBe(before + 3);
  });

  it('MAK-1 are repaired by removing excess slots, first from the reserve', async () => {
    const reserved = Number((await item(reserve())).available);
    await set(bucket(0), { available: reserved + 5 + Number((await item(bucket(0))).available) });
    await expectRepaired();
    expect((await item(reserve())).available).toBe(0);
  });

  it('MAK-1 are repaired if available slots are negative', async () => {
    await set(bucket(0), { available: -2 });
    await set(reserve(), { available: -1 });
    const [problem] = await findProblems();
    expect(problem).toContain('Bucket 0 has -2 available slots.');
    expect(problem).toContain('The reserve has -1 available slots.');
    await expectRepaired();
  });

  it('KEY-8 are repaired if the limit of the reserve differs from the grants', async () => {
    await set(reserve(), { limit: 7 });
    expect((await findProblems())[0]).toContain('The reserve enforces 7, but ');
    await expectRepaired();
  });

  it('KEY-8 are repaired if the reserve is missing', async () => {
    await deleteItem(reserve());
    expect((await findProblems())[0]).toContain('Its reserve is missing.');
    await expectRepaired();
  });

  it('MAK-1 are repaired if the key is marked as exhausted but is not', async () => {
    await set(reserve(), { exhausted: true });
    expect((await findProblems())[0]).toContain('The key is marked as exhausted, but only 30 of ');
    await expectRepaired();
    expect(await item(reserve())).not.toHaveProperty('exhausted');
  });

  it('MAK-1 are repaired in a key with more buckets than one transaction can write', async () => {
    const generousStore = {
      ...store,
      policy: { ...policy, callCenter: { ...policy.callCenter, increaseUpToTimesOriginal: 99 } },
    };
    await raiseMakLimit(generousStore, makId, 4_000);
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
    await expectRepaired();
  });

  it('MAK-1 are not repaired if a machine activates between the check and the repair', async () => {
    await set(bucket(0), { available: 1_000 });
    const findings = await findingsOf('agreement');
    await set(bucket(1), { available: Number((await item(bucket(1))).available) - 1 });
    for (const finding of findings) expect(await repair(store, finding)).toBe(false);
    expect((await item(bucket(0))).available).toBe(1_000);
  });

  it('ALR-1 are repaired if fewer activations were reported than are used', async () => {
    await store.client.send(
      new PutCommand({
        TableName: store.tableName,
        Item: { PK: `KEY#${makId}`, SK: 'ALERTS', version: 1, activationsReported: 29, nextAlertAt: 80 },
      }),
    );
    expect(await findProblems()).toEqual([
      `KEY#${makId}: Its alert state has 29 reported activations, but 30 are used.`,
    ]);
    await expectRepaired();
  });
});

describe('counters that cannot be repaired', () => {
  it('MAK-1 are not repaired if a bucket is missing', async () => {
    await deleteItem(bucket(2));
    expect((await findProblems())[0]).toContain('Bucket 2, 10 is missing, with its activation records.');
    await expectNotRepaired();
  });

  it('MAK-2 are not repaired if a bucket exists both split and unsplit', async () => {
    const unsplit = await item(bucket(0));
    const { bucketCount } = await bucketLayoutOf(store, makId);
    await set(key(makId), { 'internal.bucketCount': bucketCount * 2 });
    await store.client.send(
      new PutCommand({
        TableName: store.tableName,
        Item: { ...unsplit, ...bucket(bucketCount), bucketCount: bucketCount * 2 },
      }),
    );
    const [problem] = await findProblems();
    expect(problem).toContain(`Bucket ${bucketCount} exists both split and unsplit.`);
    expect(problem).toMatch(/\d machines have activation records in two buckets\./);
    await expectNotRepaired();
  });

  it('MAK-2 are not repaired if an activation record is in the wrong bucket', async () => {
    const { bucketCount } = await bucketLayoutOf(store, makId);
    const misplaced = installationId(99);
    const homeBucket = homeBucketOf(store.vault.digestOf(makId, misplaced), bucketCount);
    await set(bucket((homeBucket + 1) % bucketCount), { [attributeNameOf(misplaced)]: 'mbdv1k00.1.' });
    expect((await findProblems())[0]).toContain(
      `1 machines in bucket ${(homeBucket + 1) % bucketCount} belong in another bucket.`,
    );
    await expectNotRepaired();
  });

  it('MAK-1 are not repaired if more machines are activated than granted', async () => {
    const { value } = (await item(key(makId))) as unknown as { value: { grants: readonly unknown[] } };
    await set(key(makId), { 'value.grants': [{ ...(value.grants[0] as object), amount: 10 }] });
    expect((await findProblems()).join()).toContain('30 machines are activated, but 10 activations are granted.');
    await expectNotRepaired();
  });

  it('BLK-1 are not repaired if the buckets of a live key are blocked', async () => {
    await set(bucket(0), { status: 'blocked' });
    expect(await findProblems()).toEqual([`KEY#${makId}: The key is live, but some of its buckets are blocked.`]);
    await expectNotRepaired();
  });
});

describe('a replaced key', () => {
  beforeEach(async () => {
    const replacement = { reason: 'It leaked.', reference: 'R-1' };
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
      { ...replacement, drawKey: () => productKey(3) },
      context({ actor: ines.email, operationId: 'hold', now: mondayTen, policy: store.policy }),
    );
    await finishReplacement(store, makId, mondayTen);
  });

  it('BLK-1 is repaired if some of its buckets are live', async () => {
    await set(bucket(1), { status: 'live' });
    expect(await findProblems()).toEqual([`KEY#${makId}: It is blocked, but 1 of its buckets are live.`]);
    await expectRepaired();
    expect((await item(bucket(1))).status).toBe('blocked');
  });

  it.each([
    ['the key changes', () => change(key(makId))],
    ['the bucket is deleted', () => deleteItem(bucket(1))],
  ])('BLK-1 is not repaired if %s meanwhile', async (_, meanwhile) => {
    await set(bucket(1), { status: 'live' });
    await expectNotRepairedAfter(meanwhile);
  });

  it('BLK-2 has a finding if its successor does not refer to it', async () => {
    const successor = store.vault.keyIdOf(productKey(3));
    await set(key(successor), { 'value.replaces': null });
    expect(await findProblems()).toEqual([
      `KEY#${makId}: It was replaced by the key ${successor}, but that key does not refer to it.`,
    ]);
    await expectNotRepaired();
  });

  it('BLK-2 has a finding if its successor is missing', async () => {
    const successor = store.vault.keyIdOf(productKey(3));
    await deleteItem(key(successor));
    expect(await findProblems()).toContain(
      `KEY#${successor}: It is not in the table, but an item of agreement E-1001 refers to it.`,
    );
    await expectNotRepaired();
  });
});

describe('a KMS key', () => {
  it.each([
    [
      'KMS-1',
      'value.grants',
      ({ grants }: Kms) => grants.map((each) => ({ ...each, amount: 0 })),
      '1 hosts have a slot, but 0 slots are granted.',
    ],
    ['KMS-1', 'value.hosts', ({ hosts }: Kms) => [...hosts, ...hosts], 'A host is listed twice.'],
    [
      'KMS-1',
      'value.hosts',
      ({ hosts }: Kms) => hosts.map((each) => ({ ...each, uses: 11 })),
      'has 11 activations, 0 of them overrides.',
    ],
    [
      'OVR-1',
      'value.hosts',
      ({ hosts }: Kms) => hosts.map((each) => ({ ...each, overridesSpent: 1 })),
      'has spent 1 overrides, but 0 are marked as used.',
    ],
    ['OVR-3', 'value.overrides', () => [], '1 override grants do not match 0 overrides by their references.'],
  ])('%s has a finding without a repair if %s is inconsistent', async (_, path, corrupt, sentence) => {
    const { value } = (await item(key(kmsId))) as unknown as { value: Kms };
    await set(key(kmsId), { [path]: corrupt(value) });
    expect((await findProblems()).join()).toContain(sentence);
    await expectNotRepaired();
  });
});

type Kms = { readonly grants: readonly object[]; readonly hosts: readonly object[] };

describe('a pointer', () => {
  it.each([
    ['AGR-3', () => ({ PK: `PERSON#${jorge.email}`, SK: `AGREEMENT#${agreementId}` })],
    ['KEY-7', () => ({ PK: `AGREEMENT#${agreementId}`, SK: `KEY#${makId}` })],
    ['KEY-6', () => ({ PK: `LASTFIVE#${makKey.lastFive}`, SK: `AGREEMENT#${agreementId}#KEY#${makId}` })],
    ['KEY-2', () => ({ PK: `AGREEMENT#${agreementId}`, SK: 'MAK#client' })],
    ['EXC-5', () => openRequestPointer(makId)],
  ])('%s is added if it is missing', async (_, pointer) => {
    const before = await item(pointer());
    await deleteItem(pointer());
    expect(await findProblems()).toHaveLength(1);
    await expectRepaired();
    expect(await item(pointer())).toEqual(before);
  });

  it('KEY-7 is added after a table scan if no pointer to the key exists', async () => {
    await deleteItem({ PK: `AGREEMENT#${agreementId}`, SK: `KEY#${kmsId}` });
    await deleteItem({ PK: `LASTFIVE#${kmsKey.lastFive}`, SK: `AGREEMENT#${agreementId}#KEY#${kmsId}` });
    expect(await findProblems('agreement')).toEqual([]);
    expect(await findProblems('table')).toHaveLength(2);
    await expectRepaired('table');
    expect((await checkAgreement(store, agreementId, mondayTen)).keyCount).toBe(2);
  });

  it('AGR-3 is deleted for a person who is neither a contact nor the Notices Correspondent', async () => {
    const strayPointer = { PK: `PERSON#${mallory.email}`, SK: `AGREEMENT#${agreementId}` };
    await store.client.send(new PutCommand({ TableName: store.tableName, Item: strayPointer }));
    expect(await findProblems('table')).toEqual([
      `AGREEMENT#E-1001: PERSON#${mallory.email} has a pointer to it, but is neither a contact nor the Notices Correspondent.`,
    ]);
    await expectRepaired('table');
    await expect(item(strayPointer)).rejects.toThrow('There is no item');
  });

  it('KEY-6 has a finding if its last five characters match no key', async () => {
    const strayPointer = { PK: 'LASTFIVE#QQQQQ', SK: `AGREEMENT#${agreementId}#KEY#${makId}` };
    await store.client.send(new PutCommand({ TableName: store.tableName, Item: strayPointer }));
    expect(await findProblems('table')).toEqual([
      `${strayPointer.PK} ${strayPointer.SK}: It names no key of this agreement with these last five characters.`,
    ]);
    await expectNotRepaired('table');
  });

  it('KEY-2 has a finding if it names another key than the live MAK', async () => {
    await set({ PK: `AGREEMENT#${agreementId}`, SK: 'MAK#client' }, { keyId: kmsId });
    expect(await findProblems()).toEqual([
      `KEY#${makId}: The pointer to the live MAK for client names another key: ${kmsId}.`,
      `AGREEMENT#E-1001 MAK#client: It names the key ${kmsId}, which is not a live MAK of this product group.`,
    ]);
    await expectNotRepaired();
  });

  it('EXC-5 is deleted if its request is closed', async () => {
    await store.client.send(
      new PutCommand({ TableName: store.tableName, Item: { ...openRequestPointer(kmsId), exceptionId: 'X-1' } }),
    );
    expect(await findProblems()).toEqual([
      `KEY#${kmsId}: Its open request is X-1, but that is not an open request for this key.`,
    ]);
    await expectRepaired();
    await createRequest('X-3', aKmsRequestForm({ keyLastFive: kmsKey.lastFive }));
  });

  it('EXC-5 is deleted if its request is missing', async () => {
    await store.client.send(
      new PutCommand({ TableName: store.tableName, Item: { ...openRequestPointer(kmsId), exceptionId: 'X-9' } }),
    );
    expect(await findProblems()).toEqual([`KEY#${kmsId}: Its open request is X-9, but that is not in the table.`]);
    await expectRepaired();
  });

  it('EXC-5 has a finding if two requests are open for one key', async () => {
    const { value } = await item(request('X-2'));
    await set(request('X-1'), { 'value.state': (value as { state: unknown }).state });
    expect((await findProblems()).join()).toContain(
      'EXCEPTION#X-1: It is open, but the open request of its key is X-2.',
    );
  });
});

describe('an item with index keys', () => {
  it.each([
    ['EXC-8', 'statusKey', 'EXCEPTION#in-review'],
    ['SLA-7', 'dueKey', 'wrong'],
    ['SLA-5', 'nextActionAt', '2099-01-01T00:00:00Z'],
  ])('%s is repaired if its %s is wrong', async (_, name, value) => {
    const before = await item(request('X-2'));
    await set(request('X-2'), { [name]: value });
    expect(await findProblems()).toEqual([`EXCEPTION#X-2: It has wrong index keys: ${name}.`]);
    await expectRepaired();
    expect(await item(request('X-2'))).toEqual(before);
  });

  it('SLA-5 is repaired if the key of its next action is missing, or if it has one without a next action', async () => {
    await removeAttribute(request('X-2'), 'nextActionKey');
    await set(
      { PK: `AGREEMENT#${agreementId}`, SK: 'AGREEMENT' },
      { nextActionKey: 'AGREEMENT', nextActionAt: mondayTen },
    );
    expect(await findProblems()).toHaveLength(2);
    await expectRepaired();
    expect(await item({ PK: `AGREEMENT#${agreementId}`, SK: 'AGREEMENT' })).not.toHaveProperty('nextActionAt');
  });

  it('EXC-5 is found through its key if it is not in the index of the agreement', async () => {
    await removeAttribute(request('X-2'), 'agreementKey');
    expect(await findProblems()).toEqual(['EXCEPTION#X-2: It has wrong index keys: agreementKey.']);
    await expectRepaired();
  });
});

describe('a request and its key', () => {
  it('EXC-9 have a finding if the request is fulfilled without a grant', async () => {
    const { value } = (await item(key(makId))) as unknown as { value: { grants: readonly unknown[] } };
    await set(key(makId), { 'value.grants': value.grants.slice(0, 1) });
    expect((await findProblems()).join()).toContain(
      'EXCEPTION#X-1: It is fulfilled, but its key does not have exactly one grant of 150 for it.',
    );
    const [keyProblem] = (await findProblems()).filter((each) => each.startsWith('KEY#'));
    expect(keyProblem).toContain('The reserve enforces');
  });

  it('EXC-9 have a finding if there is a grant without a fulfilled request', async () => {
    await deleteItem(request('X-1'));
    expect(await findProblems()).toEqual([
      `KEY#${makId}: It has a grant of 150 from request X-1, but that request is not fulfilled for this key.`,
    ]);
    await expectNotRepaired();
  });

  it.each([
    [
      'in the outbox twice',
      () => addDuration(mondayTen, { seconds: 1 }),
      2,
      'Its outbox contains the same notification twice.',
    ],
    ['claimed too long', () => addDuration(mondayTen, { hours: 1 }), 1, 'longer than any claim lasts.'],
  ])('EXC-11 have a finding if a notification is %s', async (_, claimedUntil, count, sentence) => {
    const notification = {
      notificationId: '9-received-requester',
      kind: 'received',
      to: 'requester',
      claimedUntil: claimedUntil(),
    };
    await set(request('X-2'), { 'value.pendingNotifications': Array.from({ length: count }, () => notification) });
    expect((await findProblems()).join()).toContain(sentence);
  });
});

describe('a ledger', () => {
  it.each([
    ['the agreement', () => `AGREEMENT#${agreementId}`],
    ['a key', () => `KEY#${makId}`],
    ['a request', () => 'EXCEPTION#X-1'],
  ])('LED-2 of %s has a finding without a repair if it is broken', async (_, owner) => {
    await set({ PK: `LEDGER#${owner()}`, SK: 'ENTRY#0000000001' }, { detail: 'Nothing happened.' });
    expect(await findProblems()).toEqual([
      `${owner()}: Its ledger is broken at entry 1. Its content does not match its hash.`,
    ]);
    await expectNotRepaired();
  });
});

describe('a change between the check and the repair', () => {
  const increment = async (owner: ItemKey, name: string) =>
    set(owner, { [name]: Number((await item(owner))[name]) + 1 });
  const corruptSlots = () => set(bucket(0), { available: 1_000 });
  const corruptAlerts = () => put({ ...alerts(), version: 1, activationsReported: 29, nextAlertAt: 80 });
  const setOpenRequest = (exceptionId: string) => () => put({ ...openRequestPointer(kmsId), exceptionId });

  it.each<[rule: string, change: string, corrupt: () => Promise<unknown>, meanwhile: () => Promise<unknown>]>([
    [
      'SLA-7',
      'of an item with wrong index keys',
      () => set(request('X-2'), { dueKey: 'x' }),
      () => change(request('X-2')),
    ],
    [
      'KEY-7',
      'that adds the missing pointer',
      () => deleteItem(pointerToMak()),
      () => put({ ...pointerToMak(), changedBy: 'another' }),
    ],
    ['KEY-7', 'of the key of a missing pointer', () => deleteItem(pointerToMak()), () => change(key(makId))],
    [
      'KEY-2',
      'of the pointer to the live MAK',
      () => deleteItem(liveMakPointer),
      () => put({ ...liveMakPointer, keyId: 'another' }),
    ],
    ['KEY-2', 'of the live MAK', () => deleteItem(liveMakPointer), () => change(key(makId))],
    ['EXC-5', 'of the pointer to the open request', setOpenRequest('X-1'), setOpenRequest('X-3')],
    ['EXC-5', 'of a closed request', setOpenRequest('X-1'), () => change(request('X-1'))],
    ['EXC-5', 'that creates a missing request', setOpenRequest('X-9'), () => put({ ...request('X-9') })],
    [
      'EXC-5',
      'that adds another open request of a key',
      () => deleteItem(openRequestPointer(makId)),
      () => put({ ...openRequestPointer(makId), exceptionId: 'X-7' }),
    ],
    ['EXC-5', 'of an open request', () => deleteItem(openRequestPointer(makId)), () => change(request('X-2'))],
    ['KEY-8', 'of a key', corruptSlots, () => change(key(makId))],
    ['MAK-1', 'of the used slots of a bucket', corruptSlots, () => increment(bucket(1), 'used')],
    ['MAK-1', 'of the available slots of a bucket', corruptSlots, () => increment(bucket(1), 'available')],
    ['MAK-1', 'of the bucket count of a bucket', corruptSlots, () => increment(bucket(1), 'bucketCount')],
    ['BLK-1', 'of the status of a bucket', corruptSlots, () => set(bucket(1), { status: 'blocked' })],
    ['MAK-1', 'of the available slots of the reserve', corruptSlots, () => increment(reserve(), 'available')],
    ['KEY-8', 'of the limit of the reserve', corruptSlots, () => increment(reserve(), 'limit')],
    [
      'KEY-8',
      'that creates a missing reserve',
      () => deleteItem(reserve()),
      () => put({ ...reserve(), available: 1, limit: 1 }),
    ],
    ['ALR-1', 'of the reported activations', corruptAlerts, () => increment(alerts(), 'activationsReported')],
    ['ALR-1', 'of the alert state', corruptAlerts, () => increment(alerts(), 'version')],
  ])('%s %s prevents the repair', async (_, __, corrupt, meanwhile) => {
    await corrupt();
    await expectNotRepairedAfter(meanwhile);
  });

  it('AGR-3 of an agreement prevents the deletion of a stray pointer', async () => {
    await put({ PK: `PERSON#${mallory.email}`, SK: `AGREEMENT#${agreementId}` });
    await expectNotRepairedAfter(() => change(agreement), 'table');
  });
});

describe('a wrong root secret', () => {
  it('KEY-6 causes a finding for each key', async () => {
    const otherStore = { ...store, vault: openVault(new Secret('another root secret, of more than 32 bytes')) };
    const problems = await findProblems('agreement', otherStore);
    const sentence = 'Its sealed product key does not open with this root secret.';
    expect(problems.filter((each) => each.endsWith(sentence))).toHaveLength(2);
  });
});

describe('a missing agreement', () => {
  it('AGR-3 has a finding with the number of items that refer to it', async () => {
    await changeContacts(
      store,
      agreementId,
      [ines],
      context({ actor: 'admin', operationId: 'contacts', now: mondayTen, policy: store.policy }),
    );
    await deleteItem({ PK: `AGREEMENT#${agreementId}`, SK: 'AGREEMENT' });
    expect(await findProblems('table')).toEqual(['AGREEMENT#E-1001: It is not in the table, but 8 items refer to it.']);
  });
});
