import { SendEmailCommand, TooManyRequestsException } from '@aws-sdk/client-sesv2';
import { marshall } from '@aws-sdk/util-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Agreement } from '../../../domain/agreement.ts';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { lambdaContext } from '../../../local/emulators/api-gateway.ts';
import { ines, tom } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';
import { setUpHandlerEnvironment } from '../handler-invocation.ts';
import type { StreamRecord, KeyChangeFixture } from '../key-change-fixture.ts';
import { activateHostOn, activateMachines, createKeyChangeFixture, pendingNotifications, readStreamRecords } from '../key-change-fixture.ts';

const { store, ses, setClock, mailsTo } = await setUpHandlerEnvironment(await startTestDynamoDb(), mondayTen);
const { handler } = await import('../../../functions/events/key-changes.ts');
const { sendAgreementNotifications: deliverNotices } = await import('../../../functions/use-cases/send-agreement-notifications.ts');
const { getMailer: theMail } = await import('../../../functions/runtime/mailer.ts');

let customers = 0;
/** Somebody with addresses of their own, and the changes that the stream has had before. */
async function aCustomer(): Promise<KeyChangeFixture & { readonly email: string; readonly other: string }> {
  customers += 1;
  const email = `ines-${customers}@alder.example`;
  const other = `tom-${customers}@alder.example`;
  const contacts: Agreement['contacts'] = [
    { ...ines, email },
    { ...tom, email: other },
  ];
  return { ...(await createKeyChangeFixture(store, { contacts })), email, other };
}

let position = 0;
/** The changes since the last time. */
async function newRecords(): Promise<readonly StreamRecord[]> {
  const records = await readStreamRecords(store);
  const fresh = records.slice(position);
  position = records.length;
  return fresh;
}

const warn = (records: readonly StreamRecord[]) => handler({ Records: records }, lambdaContext('key-changes'));
const nothingFailed = { batchItemFailures: [] };
const subjects = (address: string) => mailsTo(address).map((subject) => subject.replace(/ of your .*$/, ''));

beforeEach(() => {
  setClock(mondayTen);
  ses.on(SendEmailCommand).resolves({ MessageId: 'message-1' });
});

describe('a batch of changes', () => {
  it('ALR-1 KMS-4 mails what there is to tell of each key, once to each contact', async () => {
    const one = await aCustomer();
    const two = await aCustomer();
    await activateMachines(store, one.mak, 1, 96);
    for (const host of [1, 2, 3]) await activateHostOn(store, two.kms, host);
    const records = await newRecords();
    expect(await warn(records)).toEqual(nothingFailed);
    const all95 = ['95% of the activations'];
    expect([subjects(one.email), subjects(one.other)]).toEqual([all95, all95]);
    expect(subjects(two.email)).toEqual([expect.stringContaining('typed on clients?')]);
    expect(await pendingNotifications(store)).toEqual([]);

    // The same batch again, by itself and several times at once.
    expect(await warn(records)).toEqual(nothingFailed);
    await Promise.all([warn(records), warn(records), warn(records)]);
    expect(subjects(one.email)).toEqual(all95);
    expect(subjects(two.other)).toHaveLength(1);
  });

  it('ALR-1 mails once when two have the same batch at the same time', async () => {
    const { mak, email, other } = await aCustomer();
    await activateMachines(store, mak, 1, 80);
    const records = await newRecords();
    const halves = [records.slice(0, 50), records.slice(30)];
    await Promise.all([...halves, records, records].map(warn));
    expect(subjects(email)).toEqual(['80% of the activations']);
    expect(subjects(other)).toEqual(['80% of the activations']);
  });

  it('is of no interest when it is of no key', async () => {
    const item = marshall({ PK: 'EXCEPTION#X-1', SK: 'EXCEPTION', version: 1 });
    const of = (sequence: string, images: object) => ({ dynamodb: { SequenceNumber: sequence, ...images } });
    const records = [
      of('1', { NewImage: item }),
      of('2', { NewImage: item, OldImage: item }),
      of('3', { OldImage: item }),
    ];
    expect(await warn(records)).toEqual(nothingFailed);
    expect(await warn([])).toEqual(nothingFailed);
  });
});

describe('what cannot be seen to', () => {
  const poisoned = (sequence: string): StreamRecord => ({
    dynamodb: {
      SequenceNumber: sequence,
      NewImage: marshall({ PK: 'KEY#k#0', SK: 'BUCKET', used: 'many' }),
      OldImage: marshall({ PK: 'KEY#k#0', SK: 'BUCKET', used: 1 }),
    },
  });

  it('is reported by itself, and keeps none of the others waiting', async () => {
    const { mak, email } = await aCustomer();
    await activateMachines(store, mak, 1, 80);
    const records = await newRecords();
    const batch = [...records.slice(0, 10), poisoned('poison-1'), ...records.slice(10), poisoned('poison-2')];
    expect(await warn(batch)).toEqual({
      batchItemFailures: [{ itemIdentifier: 'poison-1' }, { itemIdentifier: 'poison-2' }],
    });
    expect(subjects(email)).toEqual(['80% of the activations']);
  });

  it('is reported by the first change of its key', async () => {
    const { mak, email } = await aCustomer();
    await activateMachines(store, mak, 1, 80);
    const lost = (sequence: string, used: number): StreamRecord => ({
      dynamodb: {
        SequenceNumber: sequence,
        NewImage: marshall({ PK: 'KEY#nowhere#0', SK: 'BUCKET', used }),
        OldImage: marshall({ PK: 'KEY#nowhere#0', SK: 'BUCKET', used: used - 1 }),
      },
    });
    const batch = [lost('lost-1', 1), ...(await newRecords()), lost('lost-2', 2)];
    expect(await warn(batch)).toEqual({ batchItemFailures: [{ itemIdentifier: 'lost-1' }] });
    expect(subjects(email)).toEqual(['80% of the activations']);
  });

  it('is thrown about when it is no batch at all', async () => {
    await expect(handler({ detail: {} }, lambdaContext('key-changes'))).rejects.toThrow();
  });
});

describe('mails that cannot be sent now', () => {
  it('ALR-1 are no failure of the batch, and go out later', async () => {
    const { mak, email, other } = await aCustomer();
    await activateMachines(store, mak, 1, 80);
    ses
      .on(SendEmailCommand)
      .rejects(new TooManyRequestsException({ message: 'slow down', $metadata: { httpStatusCode: 429 } }));
    expect(await warn(await newRecords())).toEqual(nothingFailed);
    expect(await pendingNotifications(store)).toHaveLength(2);
    ses.reset();
    ses.on(SendEmailCommand).resolves({ MessageId: 'message-2' });
    setClock(addDuration(mondayTen, { minutes: 2 }));
    await deliverNotices(store, theMail(), () => addDuration(mondayTen, { minutes: 2 }));
    expect(subjects(email)).toEqual(['80% of the activations']);
    expect(subjects(other)).toEqual(['80% of the activations']);
  });
});
