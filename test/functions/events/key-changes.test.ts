import { SendEmailCommand, TooManyRequestsException } from '@aws-sdk/client-sesv2';
import { marshall } from '@aws-sdk/util-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Agreement } from '../../../domain/agreement.ts';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { lambdaContext } from '../../../local/emulators/api-gateway.ts';
import { countUsed, readKey } from '../../../store/keys.ts';
import { listMakActivations } from '../../../store/mak-usage.ts';
import { ines, installationId, jorge } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { readAllPages, startTestDynamoDb } from '../../store/dynamodb.ts';
import { setUpHandlerEnvironment } from '../handler-invocation.ts';
import type { KeyChangeFixture, StreamRecord } from '../key-change-fixture.ts';
import {
  activateHostOn,
  activateMachines,
  createKeyChangeFixture,
  pendingNotifications,
  readStreamRecords,
  replaceKey,
} from '../key-change-fixture.ts';

const { store, ses, setClock, mailsTo } = await setUpHandlerEnvironment(await startTestDynamoDb(), mondayTen);
const { handler } = await import('../../../functions/events/key-changes.ts');
const { sendAgreementNotifications } = await import('../../../functions/use-cases/send-agreement-notifications.ts');
const { getMailer } = await import('../../../functions/runtime/mailer.ts');

let customerCount = 0;
/** Creates a customer whose contacts have email addresses of their own. */
async function createCustomer(): Promise<KeyChangeFixture & { readonly email: string; readonly otherEmail: string }> {
  customerCount += 1;
  const email = `ines-${customerCount}@alder.example`;
  const otherEmail = `jorge-${customerCount}@alder.example`;
  const contacts: Agreement['contacts'] = [
    { ...ines, email },
    { ...jorge, email: otherEmail },
  ];
  return { ...(await createKeyChangeFixture(store, { contacts })), email, otherEmail };
}

let position = 0;
/** Returns the stream records since the last call. */
async function newRecords(): Promise<readonly StreamRecord[]> {
  const records = await readStreamRecords(store);
  const fresh = records.slice(position);
  position = records.length;
  return fresh;
}

const processBatch = (records: readonly StreamRecord[]) => handler({ Records: records }, lambdaContext('key-changes'));
const noFailures = { batchItemFailures: [] };
const subjectsTo = (address: string) => mailsTo(address).map((subject) => subject.replace(/ of your .*$/, ''));

beforeEach(() => {
  setClock(mondayTen);
  ses.on(SendEmailCommand).resolves({ MessageId: 'message-1' });
});

describe('a batch of changes', () => {
  it('ALR-1 KMS-4 sends the alerts of every key, once to each contact', async () => {
    const one = await createCustomer();
    const two = await createCustomer();
    await activateMachines(store, one.mak, 1, 96);
    for (const host of [1, 2, 3]) await activateHostOn(store, two.kms, host);
    const records = await newRecords();
    expect(await processBatch(records)).toEqual(noFailures);
    const at95 = ['95% of the activations'];
    expect([subjectsTo(one.email), subjectsTo(one.otherEmail)]).toEqual([at95, at95]);
    expect(subjectsTo(two.email)).toEqual([expect.stringContaining('being used on client computers?')]);
    expect(await pendingNotifications(store)).toEqual([]);

    // The same batch arrives again, alone and several times at once.
    expect(await processBatch(records)).toEqual(noFailures);
    await Promise.all([processBatch(records), processBatch(records), processBatch(records)]);
    expect(subjectsTo(one.email)).toEqual(at95);
    expect(subjectsTo(two.otherEmail)).toHaveLength(1);
  });

  it('ALR-1 sends each alert once when overlapping batches are processed concurrently', async () => {
    const { mak, email, otherEmail } = await createCustomer();
    await activateMachines(store, mak, 1, 80);
    const records = await newRecords();
    const halves = [records.slice(0, 50), records.slice(30)];
    await Promise.all([...halves, records, records].map(processBatch));
    expect(subjectsTo(email)).toEqual(['80% of the activations']);
    expect(subjectsTo(otherEmail)).toEqual(['80% of the activations']);
  });

  it('ignores changes of items that are not keys', async () => {
    const item = marshall({ PK: 'EXCEPTION#X-1', SK: 'EXCEPTION', version: 1 });
    const recordOf = (sequenceNumber: string, images: object) => ({
      dynamodb: { SequenceNumber: sequenceNumber, ...images },
    });
    const records = [
      recordOf('1', { NewImage: item }),
      recordOf('2', { NewImage: item, OldImage: item }),
      recordOf('3', { OldImage: item }),
    ];
    expect(await processBatch(records)).toEqual(noFailures);
    expect(await processBatch([])).toEqual(noFailures);
  });
});

describe('a machine that moves to a key that replaced another', () => {
  const machinesOn = async (keyId: string) => {
    const key = await readKey(store, keyId);
    const layout = { keyId, bucketCount: key?.internal.bucketCount ?? 0 };
    const activations = await readAllPages((page) => listMakActivations(store, layout, page));
    return activations.map((activation) => activation.installationId).toSorted();
  };
  const kmsHostsOn = async (keyId: string) => {
    const key = await readKey(store, keyId);
    return key?.value.type === 'KMS' ? key.value.hosts.map((host) => host.installationId).toSorted() : undefined;
  };
  const ids = (...numbers: number[]) => numbers.map((number) => installationId(number)).toSorted();

  it('BLK-3 is removed from its MAK, and from a MAK two keys back, however often the change is delivered', async () => {
    const { mak } = await createCustomer();
    await activateMachines(store, mak, 1, 5);
    const second = await replaceKey(store, mak);
    await activateMachines(store, second, 1, 2);
    const third = await replaceKey(store, second);
    await activateMachines(store, third, 2, 2);
    const records = await newRecords();
    for (const _ of [1, 2]) expect(await processBatch(records)).toEqual(noFailures);
    expect(await machinesOn(mak.keyId)).toEqual(ids(4, 5));
    expect(await machinesOn(second.keyId)).toEqual(ids(1));
    expect(await machinesOn(third.keyId)).toEqual(ids(2, 3));
    const oldKey = await readKey(store, mak.keyId);
    expect(oldKey && (await countUsed(store, oldKey))).toBe(2);
  });

  it('BLK-3 is removed from its KMS key without a ledger entry', async () => {
    const { kms } = await createCustomer();
    for (const host of [1, 2, 3]) await activateHostOn(store, kms, host);
    const second = await replaceKey(store, kms);
    const third = await replaceKey(store, second);
    const before = await readKey(store, kms.keyId);
    await newRecords();
    await activateHostOn(store, third, 2);
    const records = await newRecords();
    expect(records).not.toEqual([]);
    for (const _ of [1, 2]) expect(await processBatch(records)).toEqual(noFailures);
    expect(await kmsHostsOn(kms.keyId)).toEqual(ids(1, 3));
    expect(await kmsHostsOn(third.keyId)).toEqual(ids(2));
    const after = await readKey(store, kms.keyId);
    expect(after?.ledgerHead).toEqual(before?.ledgerHead);
    expect(after?.value.state).toEqual(before?.value.state);
  });

  it('BLK-3 stays on a key that was not replaced', async () => {
    const { mak } = await createCustomer();
    const { mak: otherMak } = await createCustomer();
    await activateMachines(store, mak, 1, 1);
    await activateMachines(store, otherMak, 1, 1);
    expect(await processBatch(await newRecords())).toEqual(noFailures);
    expect(await machinesOn(mak.keyId)).toEqual(ids(1));
    expect(await machinesOn(otherMak.keyId)).toEqual(ids(1));
  });
});

describe('a change that cannot be processed', () => {
  const malformed = (sequenceNumber: string): StreamRecord => ({
    dynamodb: {
      SequenceNumber: sequenceNumber,
      NewImage: marshall({ PK: 'KEY#k#0', SK: 'BUCKET', used: 'many' }),
      OldImage: marshall({ PK: 'KEY#k#0', SK: 'BUCKET', used: 1 }),
    },
  });

  it('is reported alone if it is malformed, and the other keys are processed', async () => {
    const { mak, email } = await createCustomer();
    await activateMachines(store, mak, 1, 80);
    const records = await newRecords();
    const batch = [...records.slice(0, 10), malformed('malformed-1'), ...records.slice(10), malformed('malformed-2')];
    expect(await processBatch(batch)).toEqual({
      batchItemFailures: [{ itemIdentifier: 'malformed-1' }, { itemIdentifier: 'malformed-2' }],
    });
    expect(subjectsTo(email)).toEqual(['80% of the activations']);
  });

  it('is reported by the first change of its key, such as a key that does not exist', async () => {
    const { mak, email } = await createCustomer();
    await activateMachines(store, mak, 1, 80);
    const unknownKeyRecord = (sequenceNumber: string, used: number): StreamRecord => ({
      dynamodb: {
        SequenceNumber: sequenceNumber,
        NewImage: marshall({ PK: 'KEY#nowhere#0', SK: 'BUCKET', used }),
        OldImage: marshall({ PK: 'KEY#nowhere#0', SK: 'BUCKET', used: used - 1 }),
      },
    });
    const batch = [unknownKeyRecord('unknown-1', 1), ...(await newRecords()), unknownKeyRecord('unknown-2', 2)];
    expect(await processBatch(batch)).toEqual({ batchItemFailures: [{ itemIdentifier: 'unknown-1' }] });
    expect(subjectsTo(email)).toEqual(['80% of the activations']);
  });

  it('throws if the event is not a batch', async () => {
    await expect(handler({ detail: {} }, lambdaContext('key-changes'))).rejects.toThrow();
  });
});

describe('alerts that SES does not accept now', () => {
  it('ALR-1 do not fail the batch, and are sent later', async () => {
    const { mak, email, otherEmail } = await createCustomer();
    await activateMachines(store, mak, 1, 80);
    ses
      .on(SendEmailCommand)
      .rejects(new TooManyRequestsException({ message: 'slow down', $metadata: { httpStatusCode: 429 } }));
    expect(await processBatch(await newRecords())).toEqual(noFailures);
    expect(await pendingNotifications(store)).toHaveLength(2);
    ses.reset();
    ses.on(SendEmailCommand).resolves({ MessageId: 'message-2' });
    const later = addDuration(mondayTen, { minutes: 2 });
    setClock(later);
    await sendAgreementNotifications(store, getMailer(), () => later);
    expect(subjectsTo(email)).toEqual(['80% of the activations']);
    expect(subjectsTo(otherEmail)).toEqual(['80% of the activations']);
  });
});
