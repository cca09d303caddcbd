import { MessageRejected, SendEmailCommand } from '@aws-sdk/client-sesv2';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Agreement } from '../../../domain/agreement.ts';
import { civilDate } from '../../../domain/calendar/instant.ts';
import { recordDecision, requestApproval, restartApproval } from '../../../domain/exceptions/approval.ts';
import type { ExceptionRequest } from '../../../domain/exceptions/request.ts';
import { approvalRoundOf } from '../../../domain/exceptions/request.ts';
import { lambdaContext } from '../../../local/emulators/api-gateway.ts';
import { nameDeputy } from '../../../store/agreements.ts';
import { nextDueAt } from '../../../store/dynamodb/due-items.ts';
import { createException, findException, transitionException } from '../../../store/exceptions.ts';
import { listLedgerEntries } from '../../../store/ledger.ts';
import { aRequestForm, context, expectAccepted, ines, mallory, noor } from '../../builders.ts';
import { mondayNoon, mondayTen, tuesdayTen } from '../../instants.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';
import { setUpHandlerEnvironment } from '../handler-invocation.ts';
import { createKeyChangeFixture } from '../key-change-fixture.ts';

const { store, ses, setClock, mailsTo } = await setUpHandlerEnvironment(await startTestDynamoDb(), mondayTen);
const { handler } = await import('../../../functions/events/delivery-events.ts');
const { sendRequestNotifications } = await import('../../../functions/use-cases/send-request-notifications.ts');
const { getMailer } = await import('../../../functions/runtime/mailer.ts');

let requestCount = 0;
beforeEach(() => {
  ses.reset();
  setClock(mondayTen);
  let messageCount = 0;
  ses.on(SendEmailCommand).callsFake(() => ({ MessageId: `message-${requestCount}-${++messageCount}` }));
});

type AwaitingRequest = { readonly exceptionId: string; readonly agreement: Agreement };

/** Creates a request that waits for the Correspondent, with its emails sent. */
async function createAwaitingRequest(): Promise<AwaitingRequest> {
  requestCount += 1;
  const { agreement, mak } = await createKeyChangeFixture(store);
  const exceptionId = `EX-${requestCount}`;
  const form = aRequestForm({ agreementNumber: agreement.agreementId, keyLastFive: mak.lastFive });
  const sender = { maySpeakFor: () => true };
  const createContext = context({ operationId: `receive ${exceptionId}`, now: mondayTen });
  expectAccepted(await createException(store, { exceptionId, form }, sender, createContext));
  await transitionException(
    store,
    exceptionId,
    (request) => requestApproval(request, context({ now: mondayTen, policy: store.policy })),
    { operationId: null, now: mondayTen },
  );
  await sendPending(exceptionId);
  return { exceptionId, agreement };
}

const sendPending = (exceptionId: string, at = mondayTen) =>
  sendRequestNotifications(store, getMailer(), exceptionId, at);

async function loadRequest(exceptionId: string): Promise<ExceptionRequest> {
  const request = await findException(store, exceptionId);
  if (request === undefined) throw new Error(`no request ${exceptionId}`);
  return request;
}

const ledgerOf = async (exceptionId: string) =>
  (await listLedgerEntries(store, `EXCEPTION#${exceptionId}`, { limit: 100, after: null })).items;
const actionsOf = async (exceptionId: string) => (await ledgerOf(exceptionId)).map(({ action }) => action);
const pendingOf = async (exceptionId: string) =>
  (await loadRequest(exceptionId)).pendingNotifications.map(({ kind, to }) => `${kind} to ${to}`);

const permanentBounce = { eventType: 'Bounce', bounce: { bounceType: 'Permanent', bounceSubType: 'NoEmail' } };
const transientBounce = { eventType: 'Bounce', bounce: { bounceType: 'Transient', bounceSubType: 'MailboxFull' } };
const rejection = { eventType: 'Reject', reject: { reason: 'Bad content' } };
const complaint = { eventType: 'Complaint', complaint: { complaintFeedbackType: 'abuse' } };
const delay = { eventType: 'DeliveryDelay', deliveryDelay: { delayType: 'MailboxFull' } };

/** Returns the event that SES reports for the newest email to an address, with the tags of that email. */
function eventFor(address: string, details: object, notification = '') {
  const emails = ses
    .commandCalls(SendEmailCommand)
    .filter(
      ({ args: [{ input }] }) =>
        input.Destination?.ToAddresses?.includes(address) &&
        (notification === '' ||
          input.EmailTags?.some(({ Name, Value }) => Name === 'notification' && Value === notification)),
    );
  const email = emails.at(-1)?.args[0].input;
  if (email === undefined) throw new Error(`no email was sent to ${address}`);
  const tags = (email.EmailTags ?? []).map(({ Name, Value }) => [String(Name), [String(Value)]] as const);
  return {
    version: '0',
    source: 'aws.ses',
    'detail-type': 'Email Bounced',
    detail: {
      ...details,
      mail: {
        messageId: `to-${address}-${requestCount}-${emails.length}`,
        destination: [address],
        tags: { 'ses:configuration-set': ['volume-activation'], ...Object.fromEntries(tags) },
      },
    },
  };
}

const handleEvent = (event: unknown) => handler(event, lambdaContext('delivery-events'));

describe('an approval email that does not reach the Correspondent', () => {
  it.each([
    ['bounces permanently', permanentBounce, 'Permanent/NoEmail'],
    ['is rejected', rejection, 'Bad content'],
  ])('EXC-6 marks the request and notifies the team and the requester once if it %s', async (_, details, because) => {
    const { exceptionId } = await createAwaitingRequest();
    const event = eventFor(noor.email, details, 'approval-requested');
    setClock(mondayNoon);
    await handleEvent(event);
    expect(approvalRoundOf(await loadRequest(exceptionId))).toMatchObject({
      undeliverableAt: mondayNoon,
      decision: null,
    });
    expect((await ledgerOf(exceptionId)).at(-1)).toMatchObject({
      at: mondayNoon,
      actor: 'volume-activation',
      action: 'mail-not-delivered',
      detail: `This email could not be delivered: “approval-requested” to the correspondent (${because}).`,
    });
    // The request is due, so the sweep sends the notifications.
    expect(String(await nextDueAt(store)) <= mondayNoon).toBe(true);
    await sendPending(exceptionId, mondayNoon);
    expect(mailsTo('team@licensing.example').at(-1)).toContain(
      'Not delivered: approval email for 150 more activations',
    );
    expect(mailsTo(ines.email).at(-1)).toContain('We cannot reach Noor Haddad about your request');
    const sentBefore = ses.commandCalls(SendEmailCommand).length;

    // The same event arrives again, alone and several times at once.
    await handleEvent(event);
    await Promise.all([handleEvent(event), handleEvent(event), handleEvent(event)]);
    await sendPending(exceptionId, mondayNoon);
    expect(await actionsOf(exceptionId)).toEqual(['received', 'approval-asked', 'mail-not-delivered']);
    expect(ses.commandCalls(SendEmailCommand)).toHaveLength(sentBefore);
  });

  it('AGR-5 is sent to the deputy of that day', async () => {
    const { exceptionId, agreement } = await createAwaitingRequest();
    const deputy = { person: mallory, from: civilDate('2026-06-01'), to: civilDate('2026-06-05') };
    const deputyContext = context({ actor: noor.email, operationId: 'name', now: mondayTen });
    await nameDeputy(store, agreement.agreementId, deputy, deputyContext);
    await handleEvent(eventFor(noor.email, permanentBounce, 'approval-requested'));
    expect(await pendingOf(exceptionId)).toContain('approval-requested to deputy');
    await sendPending(exceptionId);
    expect(mailsTo(mallory.email)).toEqual([expect.stringContaining('Decision needed: 150 more activations')]);
  });

  it('AGR-5 is sent to no deputy outside of the named days', async () => {
    const { exceptionId, agreement } = await createAwaitingRequest();
    const deputy = { person: mallory, from: civilDate('2026-06-02'), to: civilDate('2026-06-05') };
    const deputyContext = context({ actor: noor.email, operationId: 'name', now: mondayTen });
    await nameDeputy(store, agreement.agreementId, deputy, deputyContext);
    await handleEvent(eventFor(noor.email, permanentBounce, 'approval-requested'));
    expect(await pendingOf(exceptionId)).toEqual(['undeliverable to team', 'undeliverable to requester']);
  });

  it('AGR-4 does not affect the open round if it belongs to an earlier one', async () => {
    const { exceptionId } = await createAwaitingRequest();
    const event = eventFor(noor.email, permanentBounce, 'approval-requested');
    await transitionException(
      store,
      exceptionId,
      (request) => restartApproval(request, context({ now: tuesdayTen, policy: store.policy })),
      { operationId: null, now: tuesdayTen },
    );
    await handleEvent(event);
    expect(approvalRoundOf(await loadRequest(exceptionId))).toMatchObject({ number: 2, undeliverableAt: null });
    expect((await actionsOf(exceptionId)).at(-1)).toBe('mail-not-delivered');
    expect(await pendingOf(exceptionId)).not.toContain('undeliverable to team');
  });

  it('APR-3 is only recorded once the round is decided', async () => {
    const { exceptionId } = await createAwaitingRequest();
    const event = eventFor(noor.email, permanentBounce, 'approval-requested');
    const choice = { decision: 'approve', comment: null } as const;
    const decisionContext = context({ actor: noor.email, now: mondayNoon, policy: store.policy });
    await transitionException(store, exceptionId, (request) => recordDecision(request, 1, choice, decisionContext), {
      operationId: null,
      now: mondayNoon,
    });
    const pendingBefore = await pendingOf(exceptionId);
    await handleEvent(event);
    expect(await pendingOf(exceptionId)).toEqual(pendingBefore);
    expect((await actionsOf(exceptionId)).at(-1)).toBe('mail-not-delivered');
  });

  it('EXC-6 has the same effect if SES rejects it on sending, and no other email is lost', async () => {
    ses.on(SendEmailCommand).callsFake(({ Destination }) => {
      if (!Destination.ToAddresses.includes(noor.email)) return { MessageId: 'm' };
      throw new MessageRejected({ message: 'Address is on the suppression list', $metadata: {} });
    });
    const { exceptionId } = await createAwaitingRequest();
    expect(approvalRoundOf(await loadRequest(exceptionId))?.undeliverableAt).toBe(mondayTen);
    expect(await pendingOf(exceptionId)).toEqual(['undeliverable to team', 'undeliverable to requester']);
    await sendPending(exceptionId);
    expect(mailsTo('team@licensing.example').at(-1)).toContain('Not delivered');
    expect(mailsTo(ines.email).at(-1)).toContain('We cannot reach Noor Haddad');
  });
});

describe('any other delivery event', () => {
  it.each([
    ['a full mailbox', noor.email, transientBounce, 'approval-requested', 'mail-put-off'],
    ['a complaint', noor.email, complaint, 'approval-requested', 'mail-complained-of'],
    ['an email to the requester', ines.email, permanentBounce, 'forwarded', 'mail-not-delivered'],
  ])('LED-1 is recorded in the ledger of the request: %s', async (_, address, details, notification, action) => {
    const { exceptionId } = await createAwaitingRequest();
    const before = await loadRequest(exceptionId);
    await handleEvent(eventFor(address, details, notification));
    expect((await actionsOf(exceptionId)).at(-1)).toBe(action);
    expect(await loadRequest(exceptionId)).toEqual(before);
  });

  it('is only counted if it is a delay, because the email may still arrive', async () => {
    const { exceptionId } = await createAwaitingRequest();
    await handleEvent(eventFor(noor.email, delay, 'approval-requested'));
    expect(await actionsOf(exceptionId)).toEqual(['received', 'approval-asked']);
  });

  it.each([
    ['an agreement notification', { agreementNotification: ['limit-used'] }],
    ['an approval code', { notification: ['approval-code'] }],
    [
      'a request that does not exist',
      { notification: ['approval-requested'], to: ['correspondent'], round: ['1'], exception: ['EX-0'] },
    ],
    ['an email of another system', {}],
  ])('is only logged and counted for %s', async (_, tags) => {
    const event = { detail: { ...permanentBounce, mail: { messageId: 'message', tags } } };
    await expect(handleEvent(event)).resolves.toBeUndefined();
  });

  it('throws for an event that SES does not produce', async () => {
    await expect(handleEvent({ detail: { eventType: 'Bounce' } })).rejects.toThrow();
    const tags = { notification: ['love'] };
    await expect(handleEvent({ detail: { ...permanentBounce, mail: { messageId: 'm', tags } } })).rejects.toThrow();
  });
});
