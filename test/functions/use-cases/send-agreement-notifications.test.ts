import { DeleteCommand } from '@aws-sdk/lib-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import type { AgreementNotification } from '../../../domain/agreement-notification.ts';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { addDuration } from '../../../domain/calendar/instant.ts';
import type { SendResult } from '../../../emails/send.ts';
import { SendFailedError, SendThrottledError } from '../../../emails/send.ts';
import type { Mailer } from '../../../functions/runtime/mailer.ts';
import { dueIdOf, notificationWrite } from '../../../store/agreement-notifications.ts';
import { nextDueAt } from '../../../store/dynamodb/due-items.ts';
import type { Store } from '../../../store/dynamodb/table.ts';
import { commit } from '../../../store/dynamodb/table.ts';
import { ines } from '../../builders.ts';
import { aNotification, onClients } from '../../emails/contact-email-samples.ts';
import { mondayNine, mondayTen } from '../../instants.ts';
import { startTestDynamoDb, withInterceptor } from '../../store/dynamodb.ts';
import { pendingNotifications } from '../key-change-fixture.ts';

const engine = await startTestDynamoDb();
// What is logged and counted is looked at by no test here. It is read when the functions are imported.
Object.assign(process.env, { POWERTOOLS_LOG_LEVEL: 'SILENT', POWERTOOLS_METRICS_DISABLED: 'true' });
const { sendAgreementNotifications: deliverNotices } = await import(
  '../../../functions/use-cases/send-agreement-notifications.ts'
);

let store: Store;
let mailed: { readonly to: string; readonly subject: string; readonly tags: unknown }[];
beforeEach(async () => {
  store = await engine.newStore();
  mailed = [];
});

const addresses = {
  MAIL_FROM: 'no-reply@licensing.example',
  MAIL_TEAM: 'team@licensing.example',
  MAIL_SUPERVISORS: 'supervisors@licensing.example',
  MAIL_INBOUND: 'requests@licensing.example',
  PUBLIC_URL: 'https://approve.licensing.example',
};

/** Mails what it is told to, as the answer for each address says. */
function mailing(answer: (to: string) => SendResult = () => ({ sent: true, messageId: 'm' })): Mailer {
  return {
    addresses,
    send: async ({ subject }, to, options) => {
      const sent = answer(to);
      mailed.push({ to, subject, tags: options?.tags });
      return sent;
    },
  };
}

async function owe(count: number, at: Instant = mondayNine): Promise<readonly AgreementNotification[]> {
  const notices = Array.from({ length: count }, (_, index) => {
    const email = `contact-${index}@alder.example`;
    return aNotification(onClients, { notificationId: `hosts of kms-1#${email}`, to: { name: ines.name, email } });
  });
  for (const notice of notices) expect(await commit(store, [notificationWrite(notice, at)])).toBe('committed');
  return notices;
}

const deliver = (by = mailing(), at: Instant = mondayTen, in_ = store) => deliverNotices(in_, by, () => at);
const readers = () => mailed.map(({ to }) => to).toSorted();

describe('notices that are owed', () => {
  it('ALR-1 go out, each once, and are struck off', async () => {
    const notices = await owe(60);
    expect(await deliver()).toEqual({ sent: 60, failed: [] });
    expect(readers()).toEqual(notices.map(({ to }) => to.email).toSorted());
    expect(mailed[0]).toMatchObject({
      subject: 'Is your KMS key ending in HJKMP typed on clients? (agreement E-1001)',
      tags: { agreementNotification: 'kms-key-on-clients' },
    });
    expect(await pendingNotifications(store)).toEqual([]);
    expect(await deliver()).toEqual({ sent: 0, failed: [] });
    expect(await nextDueAt(store)).toBeNull();
  });

  it('ALR-1 go out once when several deliver at the same time', async () => {
    await owe(20);
    const delivered = await Promise.all([deliver(), deliver(), deliver(), deliver()]);
    expect(delivered.reduce((sum, { sent }) => sum + sent, 0)).toBe(20);
    expect(new Set(readers()).size).toBe(20);
    expect(mailed).toHaveLength(20);
  });

  it('AGR-4 do not go out before they are owed', async () => {
    await owe(1, mondayTen);
    expect(await deliver(mailing(), mondayNine)).toEqual({ sent: 0, failed: [] });
    expect(await nextDueAt(store)).toBe(mondayTen);
    expect((await deliver(mailing(), mondayTen)).sent).toBe(1);
  });

  it('AGR-4 are owed once, however often the same one is written', async () => {
    await owe(2);
    await owe(2);
    expect((await deliver()).sent).toBe(2);
  });
});

describe('a notice that cannot be sent', () => {
  it('for good is struck off: it would never get there', async () => {
    await owe(3);
    const refusing = mailing((to) =>
      to.startsWith('contact-1') ? { sent: false, because: 'SES rejected it' } : { sent: true, messageId: 'm' },
    );
    expect(await deliver(refusing)).toEqual({ sent: 2, failed: [] });
    expect(await pendingNotifications(store)).toEqual([]);
  });

  it('just now stays owed, and so do all after it; when the account may send again they go out', async () => {
    await owe(3);
    const throttled = mailing(() => {
      throw new SendThrottledError('SES takes no more mails just now.');
    });
    expect(await deliver(throttled)).toEqual({ sent: 0, failed: [] });
    expect(await pendingNotifications(store)).toHaveLength(3);
    // The one that was tried is claimed for two minutes.
    expect((await deliver(mailing(), addDuration(mondayTen, { seconds: 119 }))).sent).toBe(2);
    expect((await deliver(mailing(), addDuration(mondayTen, { seconds: 120 }))).sent).toBe(1);
    expect(new Set(readers()).size).toBe(3);
  });

  it('for another reason is told of, stays owed, and keeps none of the others waiting', async () => {
    const notices = await owe(3);
    const failing = mailing((to) => {
      if (to.startsWith('contact-1')) throw new SendFailedError('The mail could not be handed over to SES.');
      return { sent: true, messageId: 'm' };
    });
    expect(await deliver(failing)).toEqual({ sent: 2, failed: [dueIdOf(notices[1]!)] });
    expect(await deliver(mailing(), addDuration(mondayTen, { seconds: 119 }))).toEqual({ sent: 0, failed: [] });
    expect((await deliver(mailing(), addDuration(mondayTen, { seconds: 120 }))).sent).toBe(1);
    expect(mailed).toHaveLength(3);
  });
});

describe('a crash', () => {
  it('between sending and striking off is the one case in which a notice goes out twice', async () => {
    await owe(1);
    const dying = withInterceptor(store, (command, send) => {
      if (command instanceof DeleteCommand) throw new Error('the process died');
      return send();
    });
    expect((await deliver(mailing(), mondayTen, dying)).failed).toHaveLength(1);
    expect(mailed).toHaveLength(1);
    expect((await deliver(mailing(), addDuration(mondayTen, { seconds: 119 }))).sent).toBe(0);
    expect((await deliver(mailing(), addDuration(mondayTen, { seconds: 120 }))).sent).toBe(1);
    expect(mailed).toHaveLength(2);
    expect(await pendingNotifications(store)).toEqual([]);
  });

  it('before sending loses nothing', async () => {
    await owe(1);
    const dying = mailing(() => {
      throw new Error('the process died');
    });
    expect((await deliver(dying)).failed).toHaveLength(1);
    expect((await deliver(mailing(), addDuration(mondayTen, { minutes: 2 }))).sent).toBe(1);
    expect(mailed).toHaveLength(1);
  });
});
