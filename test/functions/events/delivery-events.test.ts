import { MessageRejected, SendEmailCommand } from '@aws-sdk/client-sesv2';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Agreement } from '../../../domain/agreement.ts';
import { civilDate } from '../../../domain/calendar/instant.ts';
import type { ExceptionRequest } from '../../../domain/exceptions/request.ts';
import {
  approvalRoundOf,
  recordDecision,
  requestApproval,
  restartApproval,
} from '../../../domain/exceptions/request.ts';
import { lambdaContext } from '../../../local/emulators/api-gateway.ts';
import { nameDeputy } from '../../../store/agreements.ts';
import { nextDueAt } from '../../../store/dynamodb/due-items.ts';
import { createException, findException, transitionException } from '../../../store/exceptions.ts';
import { listLedgerEntries } from '../../../store/ledger.ts';
import { aRequestForm, noor, context, expectAccepted, ines, mallory } from '../../builders.ts';
import { mondayNoon, mondayTen, tuesdayTen } from '../../instants.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';
import { setUpHandlerEnvironment } from '../handler-invocation.ts';
import { createKeyChangeFixture } from '../key-change-fixture.ts';

const { store, ses, setClock, mailsTo } = await setUpHandlerEnvironment(await startTestDynamoDb(), mondayTen);
const { handler } = await import('../../../functions/events/delivery-events.ts');
const { sendRequestNotifications: deliverLetters } = await import(
  '../../../functions/use-cases/send-request-notifications.ts'
);
const { getMailer: theMail } = await import('../../../functions/runtime/mailer.ts');

let requests = 0;
beforeEach(() => {
  ses.reset();
  setClock(mondayTen);
  let messages = 0;
  ses.on(SendEmailCommand).callsFake(() => ({ MessageId: `message-${requests}-${++messages}` }));
});

type RequestFixture = { readonly exceptionId: string; readonly agreement: Agreement };

/** A request about which the Correspondent is being asked, its letters sent. */
async function asked(): Promise<RequestFixture> {
  requests += 1;
  const { agreement, mak } = await createKeyChangeFixture(store);
  const exceptionId = `EX-${requests}`;
  const { agreementId } = agreement;
  const intake = aRequestForm({ agreementNumber: agreementId, keyLastFive: mak.lastFive });
  const sender = { maySpeakFor: () => true };
  expectAccepted(
    await createException(
      store,
      { exceptionId, form: intake },
      sender,
      context({ operationId: `receive ${exceptionId}`, now: mondayTen }),
    ),
  );
  await transitionException(
    store,
    exceptionId,
    (request) => requestApproval(request, context({ now: mondayTen, policy: store.policy })),
    { operationId: null, now: mondayTen },
  );
  await send(exceptionId);
  return { exceptionId, agreement };
}

const send = (exceptionId: string, at = mondayTen) => deliverLetters(store, theMail(), exceptionId, at);

async function requestNow(exceptionId: string): Promise<ExceptionRequest> {
  const request = await findException(store, exceptionId);
  if (request === undefined) throw new Error(`no request ${exceptionId}`);
  return request;
}

const actions = async (exceptionId: string) =>
  (await listLedgerEntries(store, `EXCEPTION#${exceptionId}`, { limit: 100, after: null })).items.map(
    ({ action }) => action,
  );
const owed = async (exceptionId: string) =>
  (await requestNow(exceptionId)).pendingNotifications.map(({ kind, to }) => `${kind} to ${to}`);

const bounced = { eventType: 'Bounce', bounce: { bounceType: 'Permanent', bounceSubType: 'NoEmail' } };
const full = { eventType: 'Bounce', bounce: { bounceType: 'Transient', bounceSubType: 'MailboxFull' } };
const rejected = { eventType: 'Reject', reject: { reason: 'Bad content' } };
const complained = { eventType: 'Complaint', complaint: { complaintFeedbackType: 'abuse' } };
const delayed = { eventType: 'DeliveryDelay', deliveryDelay: { delayType: 'MailboxFull' } };

/** What SES reports of the newest mail to an address, with the tags that it was sent with. */
function reportOf(address: string, what: object, letter = '') {
  const mails = ses
    .commandCalls(SendEmailCommand)
    .filter(
      ({ args: [{ input }] }) =>
        input.Destination?.ToAddresses?.includes(address) &&
        (letter === '' || input.EmailTags?.some(({ Name, Value }) => Name === 'notification' && Value === letter)),
    );
  const sent = mails.at(-1)?.args[0].input;
  if (sent === undefined) throw new Error(`no mail went to ${address}`);
  const tags = (sent.EmailTags ?? []).map(({ Name, Value }) => [String(Name), [String(Value)]] as const);
  return {
    version: '0',
    source: 'aws.ses',
    'detail-type': 'Email Bounced',
    detail: {
      ...what,
      mail: {
        messageId: `to-${address}-${requests}-${mails.length}`,
        destination: [address],
        tags: { 'ses:configuration-set': ['volume-activation'], ...Object.fromEntries(tags) },
      },
    },
  };
}

const hear = (report: unknown) => handler(report, lambdaContext('delivery-events'));

describe('a mail that asks the Correspondent and does not get there', () => {
  it.each([
    ['is bounced for good', bounced, 'Permanent/NoEmail'],
    ['is rejected', rejected, 'Bad content'],
  ])('EXC-6 %s: the request shows it, and the team and the requester are told once', async (_, what, because) => {
    const { exceptionId } = await asked();
    const report = reportOf(noor.email, what, 'approval-requested');
    setClock(mondayNoon);
    await hear(report);
    expect(approvalRoundOf(await requestNow(exceptionId))).toMatchObject({
      undeliverableAt: mondayNoon,
      decision: null,
    });
    const entries = (await listLedgerEntries(store, `EXCEPTION#${exceptionId}`, { limit: 100, after: null })).items;
    expect(entries.at(-1)).toMatchObject({
      at: mondayNoon,
      actor: 'volume-activation',
      action: 'mail-not-delivered',
      detail: `Could not be delivered: the mail “approval-requested” to the correspondent (${because}).`,
    });
    // The sweep has something to do, and does it.
    expect(String(await nextDueAt(store)) <= mondayNoon).toBe(true);
    await send(exceptionId, mondayNoon);
    expect(mailsTo('team@licensing.example').at(-1)).toContain('Not delivered: the approval of 150 more activations');
    expect(mailsTo(ines.email).at(-1)).toContain('We cannot reach Noor Haddad about your request');
    const before = ses.commandCalls(SendEmailCommand).length;

    // The same report comes again, by itself and several times at once.
    await hear(report);
    await Promise.all([hear(report), hear(report), hear(report)]);
    await send(exceptionId, mondayNoon);
    expect(await actions(exceptionId)).toEqual(['received', 'approval-asked', 'mail-not-delivered']);
    expect(ses.commandCalls(SendEmailCommand)).toHaveLength(before);
  });

  it('AGR-5 goes to the deputy who stands in on that day', async () => {
    const { exceptionId, agreement } = await asked();
    const deputy = { person: mallory, from: civilDate('2026-06-01'), to: civilDate('2026-06-05') };
    await nameDeputy(
      store,
      agreement.agreementId,
      deputy,
      context({ actor: noor.email, operationId: 'name', now: mondayTen }),
    );
    await hear(reportOf(noor.email, bounced, 'approval-requested'));
    expect(await owed(exceptionId)).toContain('approval-requested to deputy');
    await send(exceptionId);
    expect(mailsTo(mallory.email)).toEqual([expect.stringContaining('Your decision, please: 150 more activations')]);
  });

  it('AGR-5 goes to no deputy outside of the named days', async () => {
    const { exceptionId, agreement } = await asked();
    const deputy = { person: mallory, from: civilDate('2026-06-02'), to: civilDate('2026-06-05') };
    await nameDeputy(
      store,
      agreement.agreementId,
      deputy,
      context({ actor: noor.email, operationId: 'name', now: mondayTen }),
    );
    await hear(reportOf(noor.email, bounced, 'approval-requested'));
    expect(await owed(exceptionId)).toEqual(['undeliverable to team', 'undeliverable to requester']);
  });

  it('AGR-4 is of an earlier question: nothing is held against the one that is out', async () => {
    const { exceptionId } = await asked();
    const report = reportOf(noor.email, bounced, 'approval-requested');
    await transitionException(
      store,
      exceptionId,
      (request) => restartApproval(request, context({ now: tuesdayTen, policy: store.policy })),
      { operationId: null, now: tuesdayTen },
    );
    await hear(report);
    expect(approvalRoundOf(await requestNow(exceptionId))).toMatchObject({ number: 2, undeliverableAt: null });
    expect((await actions(exceptionId)).at(-1)).toBe('mail-not-delivered');
    expect(await owed(exceptionId)).not.toContain('undeliverable to team');
  });

  it('APR-3 is of a question that is decided: it is only written down', async () => {
    const { exceptionId } = await asked();
    const report = reportOf(noor.email, bounced, 'approval-requested');
    const choice = { decision: 'approve', comment: null } as const;
    await transitionException(
      store,
      exceptionId,
      (request) =>
        recordDecision(request, 1, choice, context({ actor: noor.email, now: mondayNoon, policy: store.policy })),
      { operationId: null, now: mondayNoon },
    );
    const before = await owed(exceptionId);
    await hear(report);
    expect(await owed(exceptionId)).toEqual(before);
    expect((await actions(exceptionId)).at(-1)).toBe('mail-not-delivered');
  });

  it('EXC-6 is refused by the mail service at once: the same, and no letter is lost over it', async () => {
    ses.on(SendEmailCommand).callsFake(({ Destination }) => {
      if (!Destination.ToAddresses.includes(noor.email)) return { MessageId: 'm' };
      throw new MessageRejected({ message: 'Address is on the list of the dead', $metadata: {} });
    });
    const { exceptionId } = await asked();
    expect(approvalRoundOf(await requestNow(exceptionId))?.undeliverableAt).toBe(mondayTen);
    expect(await owed(exceptionId)).toEqual(['undeliverable to team', 'undeliverable to requester']);
    await send(exceptionId);
    expect(mailsTo('team@licensing.example').at(-1)).toContain('Not delivered');
    expect(mailsTo(ines.email).at(-1)).toContain('We cannot reach Noor Haddad');
  });
});

describe('whatever else is reported of a mail', () => {
  it.each([
    ['a mailbox that is full', noor.email, full, 'approval-requested', 'mail-put-off'],
    ['a complaint', noor.email, complained, 'approval-requested', 'mail-complained-of'],
    ['a mail to the requester', ines.email, bounced, 'forwarded', 'mail-not-delivered'],
  ])('LED-1 is written in the history of the request: %s', async (_, address, what, letter, action) => {
    const { exceptionId } = await asked();
    const before = await requestNow(exceptionId);
    await hear(reportOf(address, what, letter));
    expect((await actions(exceptionId)).at(-1)).toBe(action);
    expect(await requestNow(exceptionId)).toEqual(before);
  });

  it('is only counted when it is a delay: the mail may be there in a moment', async () => {
    const { exceptionId } = await asked();
    await hear(reportOf(noor.email, delayed, 'approval-requested'));
    expect(await actions(exceptionId)).toEqual(['received', 'approval-asked']);
  });

  it.each([
    ['a notice', { agreementNotification: ['limit-used'] }],
    ['a code', { notification: ['approval-code'] }],
    [
      'a request that is not here',
      { notification: ['approval-requested'], to: ['correspondent'], round: ['1'], exception: ['EX-0'] },
    ],
    ['nothing of ours', {}],
  ])('is only logged and counted when it is of %s', async (_, tags) => {
    const report = { detail: { ...bounced, mail: { messageId: 'message', tags } } };
    await expect(hear(report)).resolves.toBeUndefined();
  });

  it('is thrown about when it is not what SES says', async () => {
    await expect(hear({ detail: { eventType: 'Bounce' } })).rejects.toThrow();
    await expect(
      hear({ detail: { ...bounced, mail: { messageId: 'm', tags: { notification: ['love'] } } } }),
    ).rejects.toThrow();
  });
});
