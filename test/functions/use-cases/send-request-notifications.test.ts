import { SESv2Client } from '@aws-sdk/client-sesv2';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { requestApproval, withdrawRequest } from '../../../domain/exceptions/request.ts';
import type { SendEmail } from '../../../emails/send.ts';
import { createSendEmail, SendFailedError, SendThrottledError } from '../../../emails/send.ts';
import type { Mailer } from '../../../functions/runtime/mailer.ts';
import { sendRequestNotifications } from '../../../functions/use-cases/send-request-notifications.ts';
import { startMailbox } from '../../../local/emulators/ses.ts';
import type { Store } from '../../../store/dynamodb/table.ts';
import { claimPending, transitionException } from '../../../store/exceptions.ts';
import { noor, context, ines } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { scanAllItems, startTestDynamoDb } from '../../store/dynamodb.ts';
import { captureOutput } from '../captured-logs.ts';
import type { RequestFixture } from '../request-fixture.ts';
import { createRequestFixture, loadRequest } from '../request-fixture.ts';

const engine = await startTestDynamoDb();
const mailBox = await startMailbox({ now: () => mondayTen });
const ses = new SESv2Client({ endpoint: mailBox.endpoint });
afterAll(async () => {
  ses.destroy();
  await mailBox.stop();
});
const printed = captureOutput();

const addresses = {
  MAIL_FROM: 'no-reply@service.example',
  MAIL_TEAM: 'team@service.example',
  MAIL_SUPERVISORS: 'supervisors@service.example',
  MAIL_INBOUND: 'requests@service.example',
  PUBLIC_URL: 'https://service.example',
};
const mailing: Mailer = { send: createSendEmail({ from: addresses.MAIL_FROM }, ses), addresses };

/** The same way to mail, of which some calls fail before SES has taken anything. */
function failing(fails: (call: number) => Error | undefined): Mailer {
  let calls = 0;
  const send: SendEmail = (...mail) => {
    calls += 1;
    const error = fails(calls);
    return error === undefined ? mailing.send(...mail) : Promise.reject(error);
  };
  return { send, addresses };
}

let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

const deliver = (asked: RequestFixture, way = mailing, now = mondayTen) =>
  sendRequestNotifications(store, way, asked.exceptionId, now);

/** The mails about a request: to whom, and the beginning of the subject. */
const sentAbout = ({ exceptionId }: RequestFixture) =>
  mailBox
    .mails()
    .toReversed()
    .filter(({ subject }) => subject.endsWith(`(${exceptionId})`));
const toldAbout = (asked: RequestFixture) => sentAbout(asked).map(({ to, subject }) => `${to}: ${subject}`);
const owed = async (asked: RequestFixture) =>
  (await loadRequest(store, asked)).pendingNotifications.map(({ notificationId: letterId }) => letterId);

/** A request that owes five letters: received; asked and forwarded; withdrawn, to all three. */
async function owingFive(): Promise<RequestFixture> {
  const asked = await createRequestFixture(store);
  const { exceptionId } = asked;
  await transitionException(store, exceptionId, (request) => requestApproval(request, context({ now: mondayTen })), {
    operationId: 'ask',
    now: mondayTen,
  });
  await deliver(
    asked,
    failing(() => new SendThrottledError('later')),
  ).catch(() => undefined);
  await transitionException(
    store,
    exceptionId,
    (request) => withdrawRequest(request, null, context({ actor: ines.email, now: mondayTen })),
    { operationId: 'withdraw', now: mondayTen },
  );
  return asked;
}

describe('letters that are owed', () => {
  it('EXC-11 are sent once each, and struck off', async () => {
    const asked = await createRequestFixture(store);
    const before = sentAbout(asked).length;
    expect(await owed(asked)).toEqual(['1-received-requester']);
    await deliver(asked);
    await deliver(asked);
    expect(before).toBe(0);
    expect(toldAbout(asked)).toEqual([expect.stringContaining(`${ines.email}: We have your request`)]);
    expect((await loadRequest(store, asked)).pendingNotifications).toEqual([]);
  });

  it('EXC-11 are sent once when many send them at once', async () => {
    const asked = await owingFive();
    await Promise.all(Array.from({ length: 5 }, () => deliver(asked)));
    expect(toldAbout(asked)).toHaveLength(5);
    expect(new Set(toldAbout(asked)).size).toBe(5);
    expect((await loadRequest(store, asked)).pendingNotifications).toEqual([]);
  });

  it('EXC-11 stay owed one by one when SES fails in the midst of them; it keeps none of the others, and none is lost', async () => {
    const asked = await owingFive();
    const letters = await owed(asked);
    const second = failing((call) => (call === 2 ? new SendFailedError('no answer') : undefined));
    await expect(deliver(asked, second)).rejects.toThrow(SendFailedError);
    const left = (await loadRequest(store, asked)).pendingNotifications;
    expect(left.map(({ notificationId: letterId }) => letterId)).toEqual(letters.slice(1, 2));
    // Free for the next at once, not only when a claim has run out.
    expect(left.map(({ claimedUntil }) => claimedUntil)).toEqual([null]);
    expect(sentAbout(asked)).toHaveLength(letters.length - 1);
    await deliver(asked);
    expect(sentAbout(asked)).toHaveLength(letters.length);
    expect(await owed(asked)).toEqual([]);
  });

  it('EXC-11 are each sent exactly once however often SES fails in between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 8 }), async (failures) => {
        const asked = await owingFive();
        const letters = await owed(asked);
        const way = failing((call) => (failures[call - 1] ? new SendThrottledError('later') : undefined));
        for (let tries = 0; tries <= failures.length; tries += 1) await deliver(asked, way).catch(() => undefined);
        expect(await owed(asked)).toEqual([]);
        expect(sentAbout(asked)).toHaveLength(letters.length);
      }),
      { numRuns: 8 },
    );
  });

  it('EXC-11 of one who died while sending are sent by another once the claim is over, and not before', async () => {
    const asked = await createRequestFixture(store);
    await claimPending(store, asked.exceptionId, false, mondayTen);
    const [{ claimedUntil } = { claimedUntil: null }] = (await loadRequest(store, asked)).pendingNotifications;
    if (claimedUntil === null) throw new Error('nothing was claimed');
    await deliver(asked, mailing, addDuration(claimedUntil, { seconds: -1 }));
    expect(sentAbout(asked)).toEqual([]);
    await deliver(asked, mailing, claimedUntil);
    expect(sentAbout(asked)).toHaveLength(1);
  });

  it('EXC-11 that are no longer true are struck off unsent', async () => {
    const asked = await createRequestFixture(store);
    await transitionException(
      store,
      asked.exceptionId,
      (request) => {
        const next = requestApproval(request, context({ now: mondayTen }));
        // As if the letter had been claimed before the request moved on.
        if (!next.ok) return next;
        const stale = {
          notificationId: '9-review-requested-team',
          kind: 'review-requested',
          to: 'team',
          claimedUntil: null,
        } as const;
        return { ...next, request: { ...next.request, pendingNotifications: [stale] } };
      },
      { operationId: 'ask', now: mondayTen },
    );
    await deliver(asked);
    expect(sentAbout(asked)).toEqual([]);
    expect(await owed(asked)).toEqual([]);
  });
});

describe('a letter that can never be delivered', () => {
  it('EXC-11 is struck off, keeps no other back, and is logged without the address', async () => {
    const unreachable = { ...ines, email: 'ines@nowhere' };
    const asked = await createRequestFixture(store, {
      agreement: { contacts: [unreachable] },
      form: { requester: unreachable },
    });
    await transitionException(
      store,
      asked.exceptionId,
      (request) => requestApproval(request, context({ now: mondayTen })),
      {
        operationId: 'ask',
        now: mondayTen,
      },
    );
    await deliver(asked);
    expect(sentAbout(asked).map(({ to }) => to)).toEqual([noor.email]);
    expect((await owed(asked)).filter((letterId) => letterId.endsWith('-requester'))).toEqual([]);
    expect(printed.text()).toMatch(/notification rejected/);
    expect(printed.text()).not.toContain('nowhere');
  });
});

describe('the mail that asks for approval', () => {
  it('APR-1 carries a link and a code of its own, of which the table keeps hashes and the log nothing', async () => {
    const asked = await createRequestFixture(store);
    await transitionException(
      store,
      asked.exceptionId,
      (request) => requestApproval(request, context({ now: mondayTen })),
      {
        operationId: 'ask',
        now: mondayTen,
      },
    );
    await deliver(asked);
    const [mail, ...others] = sentAbout(asked).filter(({ to }) => to === noor.email);
    expect(others).toEqual([]);
    const token = /https:\/\/service\.example\/approvals\/([\w-]{43})/.exec(mail?.text ?? '')?.[1] ?? 'none';
    const code = /\b\d{6}\b/.exec(mail?.text?.replaceAll(/\S*\/\S*/g, '') ?? '')?.[0] ?? 'none';
    expect([token, code]).not.toContain('none');
    const table = JSON.stringify(await scanAllItems(store));
    expect(table).not.toContain(token);
    expect(table).not.toMatch(new RegExp(`"${code}"`));
    expect(printed.text()).not.toContain(token);
    for (const { to, text, html, subject } of sentAbout(asked)) {
      if (to !== noor.email) expect(`${text} ${html}`).not.toContain(token);
      expect(subject).not.toContain(token);
      expect(subject).not.toContain(code);
    }
  });
});
