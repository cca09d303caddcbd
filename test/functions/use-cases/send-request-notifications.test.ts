import { SESv2Client } from '@aws-sdk/client-sesv2';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { requestApproval } from '../../../domain/exceptions/approval.ts';
import { withdrawRequest } from '../../../domain/exceptions/review.ts';
import type { SendEmail } from '../../../emails/send.ts';
import { createSendEmail, SendFailedError, SendThrottledError } from '../../../emails/send.ts';
import type { Mailer } from '../../../functions/runtime/mailer.ts';
import { sendRequestNotifications } from '../../../functions/use-cases/send-request-notifications.ts';
import { startMailbox } from '../../../local/emulators/ses.ts';
import { claimPending, transitionException } from '../../../store/exceptions.ts';
import type { Store } from '../../../store/store.ts';
import { context, ines, noor } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { scanAllItems, startTestDynamoDb } from '../../store/dynamodb.ts';
import { captureOutput } from '../captured-logs.ts';
import type { RequestFixture } from '../request-fixture.ts';
import { createRequestFixture, loadRequest } from '../request-fixture.ts';

const dynamoDb = await startTestDynamoDb();
const mailbox = await startMailbox({ now: () => mondayTen });
const ses = new SESv2Client({ endpoint: mailbox.endpoint });
afterAll(async () => {
  ses.destroy();
  await mailbox.stop();
});
const output = captureOutput();

const addresses = {
  MAIL_FROM: 'no-reply@service.example',
  MAIL_TEAM: 'team@service.example',
  MAIL_SUPERVISORS: 'supervisors@service.example',
  MAIL_INBOUND: 'requests@service.example',
  PUBLIC_URL: 'https://service.example',
};
const workingMailer: Mailer = { send: createSendEmail({ from: addresses.MAIL_FROM }, ses), addresses };

/** Creates a mailer whose calls fail, before SES accepts the email, if `errorOf` returns an error for the call number. */
function createFailingMailer(errorOf: (call: number) => Error | undefined): Mailer {
  let calls = 0;
  const send: SendEmail = (...email) => {
    calls += 1;
    const error = errorOf(calls);
    return error === undefined ? workingMailer.send(...email) : Promise.reject(error);
  };
  return { send, addresses };
}

let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
});

const sendPending = (fixture: RequestFixture, mailer = workingMailer, now = mondayTen) =>
  sendRequestNotifications(store, mailer, fixture.exceptionId, now);

/** Returns the emails about a request, oldest first. */
const emailsAbout = ({ exceptionId }: RequestFixture) =>
  mailbox
    .mails()
    .toReversed()
    .filter(({ subject }) => subject.endsWith(`(${exceptionId})`));
const linesAbout = (fixture: RequestFixture) => emailsAbout(fixture).map(({ to, subject }) => `${to}: ${subject}`);
const pendingOf = async (fixture: RequestFixture) => (await loadRequest(store, fixture)).pendingNotifications;
const pendingIdsOf = async (fixture: RequestFixture) =>
  (await pendingOf(fixture)).map(({ notificationId }) => notificationId);

const requestApprovalOf = ({ exceptionId }: RequestFixture) =>
  transitionException(store, exceptionId, (request) => requestApproval(request, context({ now: mondayTen })), {
    operationId: 'ask',
    now: mondayTen,
  });

/** Creates a request with five pending emails: received, approval requested, and forwarded, then withdrawn. */
async function createRequestWithFivePending(): Promise<RequestFixture> {
  const fixture = await createRequestFixture(store);
  await requestApprovalOf(fixture);
  const throttledMailer = createFailingMailer(() => new SendThrottledError('later'));
  await sendPending(fixture, throttledMailer).catch(() => undefined);
  await transitionException(
    store,
    fixture.exceptionId,
    (request) => withdrawRequest(request, null, context({ actor: ines.email, now: mondayTen })),
    { operationId: 'withdraw', now: mondayTen },
  );
  return fixture;
}

describe('pending notifications', () => {
  it('EXC-11 are sent once each and removed from the outbox', async () => {
    const fixture = await createRequestFixture(store);
    const sentBefore = emailsAbout(fixture).length;
    expect(await pendingIdsOf(fixture)).toEqual(['1-received-requester']);
    await sendPending(fixture);
    await sendPending(fixture);
    expect(sentBefore).toBe(0);
    expect(linesAbout(fixture)).toEqual([expect.stringContaining(`${ines.email}: We received your request`)]);
    expect(await pendingOf(fixture)).toEqual([]);
  });

  it('EXC-11 are sent once each by concurrent callers', async () => {
    const fixture = await createRequestWithFivePending();
    await Promise.all(Array.from({ length: 5 }, () => sendPending(fixture)));
    expect(linesAbout(fixture)).toHaveLength(5);
    expect(new Set(linesAbout(fixture)).size).toBe(5);
    expect(await pendingOf(fixture)).toEqual([]);
  });

  it('EXC-11 stay pending one by one when SES fails, while the others are sent', async () => {
    const fixture = await createRequestWithFivePending();
    const pendingIds = await pendingIdsOf(fixture);
    const failingSecond = createFailingMailer((call) => (call === 2 ? new SendFailedError('no answer') : undefined));
    await expect(sendPending(fixture, failingSecond)).rejects.toThrow(SendFailedError);
    const stillPending = await pendingOf(fixture);
    expect(stillPending.map(({ notificationId }) => notificationId)).toEqual(pendingIds.slice(1, 2));
    // The claim is released at once, not only when it expires.
    expect(stillPending.map(({ claimedUntil }) => claimedUntil)).toEqual([null]);
    expect(emailsAbout(fixture)).toHaveLength(pendingIds.length - 1);
    await sendPending(fixture);
    expect(emailsAbout(fixture)).toHaveLength(pendingIds.length);
    expect(await pendingIdsOf(fixture)).toEqual([]);
  });

  it('EXC-11 are sent exactly once each, whichever calls of SES fail', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 8 }), async (failures) => {
        const fixture = await createRequestWithFivePending();
        const pendingIds = await pendingIdsOf(fixture);
        const mailer = createFailingMailer((call) =>
          failures[call - 1] ? new SendThrottledError('later') : undefined,
        );
        for (let run = 0; run <= failures.length; run += 1) await sendPending(fixture, mailer).catch(() => undefined);
        expect(await pendingIdsOf(fixture)).toEqual([]);
        expect(emailsAbout(fixture)).toHaveLength(pendingIds.length);
      }),
      { numRuns: 8 },
    );
  });

  it('EXC-11 of a sender that crashed are sent once its claim has expired, and not before', async () => {
    const fixture = await createRequestFixture(store);
    await claimPending(store, fixture.exceptionId, false, mondayTen);
    const [{ claimedUntil } = { claimedUntil: null }] = await pendingOf(fixture);
    if (claimedUntil === null) throw new Error('nothing was claimed');
    await sendPending(fixture, workingMailer, addDuration(claimedUntil, { seconds: -1 }));
    expect(emailsAbout(fixture)).toEqual([]);
    await sendPending(fixture, workingMailer, claimedUntil);
    expect(emailsAbout(fixture)).toHaveLength(1);
  });

  it('EXC-11 whose content is no longer true are removed unsent', async () => {
    const fixture = await createRequestFixture(store);
    await transitionException(
      store,
      fixture.exceptionId,
      (request) => {
        const transition = requestApproval(request, context({ now: mondayTen }));
        if (!transition.ok) return transition;
        // As if the notification had been claimed before this transition.
        const stale = {
          notificationId: '9-review-requested-team',
          kind: 'review-requested',
          to: 'team',
          claimedUntil: null,
        } as const;
        return { ...transition, request: { ...transition.request, pendingNotifications: [stale] } };
      },
      { operationId: 'ask', now: mondayTen },
    );
    await sendPending(fixture);
    expect(emailsAbout(fixture)).toEqual([]);
    expect(await pendingIdsOf(fixture)).toEqual([]);
  });
});

describe('a notification that SES rejects', () => {
  it('EXC-11 is removed, does not hold back the others, and is logged without the address', async () => {
    const requester = { ...ines, email: 'ines@nowhere' };
    const fixture = await createRequestFixture(store, { agreement: { contacts: [requester] }, form: { requester } });
    await requestApprovalOf(fixture);
    await sendPending(fixture);
    expect(emailsAbout(fixture).map(({ to }) => to)).toEqual([noor.email]);
    expect((await pendingIdsOf(fixture)).filter((id) => id.endsWith('-requester'))).toEqual([]);
    expect(output.text()).toMatch(/notification rejected/);
    expect(output.text()).not.toContain('nowhere');
  });
});

describe('the email that requests approval', () => {
  it('APR-1 has its own link and code; the table has only their hashes, and the log neither', async () => {
    const fixture = await createRequestFixture(store);
    await requestApprovalOf(fixture);
    await sendPending(fixture);
    const [email, ...others] = emailsAbout(fixture).filter(({ to }) => to === noor.email);
    expect(others).toEqual([]);
    const token = /https:\/\/service\.example\/approvals\/([\w-]{43})/.exec(email?.text ?? '')?.[1] ?? 'none';
    const code = /^Code: (\d{6})$/m.exec(email?.text ?? '')?.[1] ?? 'none';
    expect([token, code]).not.toContain('none');
    const table = JSON.stringify(await scanAllItems(store));
    expect(table).not.toContain(token);
    expect(table).not.toMatch(new RegExp(`"${code}"`));
    expect(output.text()).not.toContain(token);
    for (const { to, text, html, subject } of emailsAbout(fixture)) {
      if (to !== noor.email) expect(`${text} ${html}`).not.toContain(token);
      expect(subject).not.toContain(token);
      expect(subject).not.toContain(code);
    }
  });
});
