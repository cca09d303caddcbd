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
import { commit } from '../../../store/dynamodb/table.ts';
import type { Store } from '../../../store/store.ts';
import { ines } from '../../builders.ts';
import { aNotification, onClients } from '../../emails/contact-email-samples.ts';
import { mondayNine, mondayTen } from '../../instants.ts';
import { startTestDynamoDb, withInterceptor } from '../../store/dynamodb.ts';
import { pendingNotifications } from '../key-change-fixture.ts';

const dynamoDb = await startTestDynamoDb();
// No test here reads the log or the metrics. The library reads these variables on import.
Object.assign(process.env, { POWERTOOLS_LOG_LEVEL: 'SILENT', POWERTOOLS_METRICS_DISABLED: 'true' });
const { sendAgreementNotifications } = await import('../../../functions/use-cases/send-agreement-notifications.ts');

let store: Store;
let sentEmails: { readonly to: string; readonly subject: string; readonly tags: unknown }[];
beforeEach(async () => {
  store = await dynamoDb.newStore();
  sentEmails = [];
});

const addresses = {
  MAIL_FROM: 'no-reply@licensing.example',
  MAIL_TEAM: 'team@licensing.example',
  MAIL_SUPERVISORS: 'supervisors@licensing.example',
  MAIL_INBOUND: 'requests@licensing.example',
  PUBLIC_URL: 'https://approve.licensing.example',
};

/** Creates a mailer that records emails and returns the given result for each address. */
function createMailer(resultFor: (to: string) => SendResult = () => ({ sent: true, messageId: 'm' })): Mailer {
  return {
    addresses,
    send: async ({ subject }, to, options) => {
      const result = resultFor(to);
      sentEmails.push({ to, subject, tags: options?.tags });
      return result;
    },
  };
}

async function addPending(count: number, at: Instant = mondayNine): Promise<readonly AgreementNotification[]> {
  const notifications = Array.from({ length: count }, (_, index) => {
    const email = `contact-${index}@alder.example`;
    return aNotification(onClients, { notificationId: `hosts of kms-1#${email}`, to: { name: ines.name, email } });
  });
  for (const notification of notifications) {
    expect(await commit(store, [notificationWrite(notification, at)])).toBe('committed');
  }
  return notifications;
}

const sendPending = (mailer = createMailer(), at: Instant = mondayTen, target = store) =>
  sendAgreementNotifications(target, mailer, () => at);
const recipientsOfSent = () => sentEmails.map(({ to }) => to).toSorted();

describe('pending notifications', () => {
  it('ALR-1 are sent once each and removed from the outbox', async () => {
    const notifications = await addPending(60);
    expect(await sendPending()).toEqual({ sent: 60, failed: [] });
    expect(recipientsOfSent()).toEqual(notifications.map(({ to }) => to.email).toSorted());
    expect(sentEmails[0]).toMatchObject({
      subject: 'Is your KMS key ending in HJKMP being used on client computers? (agreement E-1001)',
      tags: { agreementNotification: 'kms-key-on-clients' },
    });
    expect(await pendingNotifications(store)).toEqual([]);
    expect(await sendPending()).toEqual({ sent: 0, failed: [] });
    expect(await nextDueAt(store)).toBeNull();
  });

  it('ALR-1 are sent once each by concurrent callers', async () => {
    await addPending(20);
    const results = await Promise.all([sendPending(), sendPending(), sendPending(), sendPending()]);
    expect(results.reduce((sum, { sent }) => sum + sent, 0)).toBe(20);
    expect(new Set(recipientsOfSent()).size).toBe(20);
    expect(sentEmails).toHaveLength(20);
  });

  it('AGR-4 are not sent before they are due', async () => {
    await addPending(1, mondayTen);
    expect(await sendPending(createMailer(), mondayNine)).toEqual({ sent: 0, failed: [] });
    expect(await nextDueAt(store)).toBe(mondayTen);
    expect((await sendPending(createMailer(), mondayTen)).sent).toBe(1);
  });

  it('AGR-4 are pending once, however often the same one is written', async () => {
    await addPending(2);
    await addPending(2);
    expect((await sendPending()).sent).toBe(2);
  });
});

describe('a notification that cannot be sent', () => {
  it('is removed if SES rejects it, because it could never be delivered', async () => {
    await addPending(3);
    const mailer = createMailer((to) =>
      to.startsWith('contact-1') ? { sent: false, because: 'SES rejected it' } : { sent: true, messageId: 'm' },
    );
    expect(await sendPending(mailer)).toEqual({ sent: 2, failed: [] });
    expect(await pendingNotifications(store)).toEqual([]);
  });

  it('stays pending with all after it if SES throttles the account, and is sent later', async () => {
    await addPending(3);
    const throttled = createMailer(() => {
      throw new SendThrottledError('SES throttles the account.');
    });
    expect(await sendPending(throttled)).toEqual({ sent: 0, failed: [] });
    expect(await pendingNotifications(store)).toHaveLength(3);
    // The one that was tried is claimed for two minutes.
    expect((await sendPending(createMailer(), addDuration(mondayTen, { seconds: 119 }))).sent).toBe(2);
    expect((await sendPending(createMailer(), addDuration(mondayTen, { seconds: 120 }))).sent).toBe(1);
    expect(new Set(recipientsOfSent()).size).toBe(3);
  });

  it('is reported and stays pending after any other failure, while the others are sent', async () => {
    const notifications = await addPending(3);
    const failing = createMailer((to) => {
      if (to.startsWith('contact-1')) throw new SendFailedError('SES did not answer.');
      return { sent: true, messageId: 'm' };
    });
    expect(await sendPending(failing)).toEqual({ sent: 2, failed: [dueIdOf(notifications[1]!)] });
    const stillClaimed = addDuration(mondayTen, { seconds: 119 });
    expect(await sendPending(createMailer(), stillClaimed)).toEqual({ sent: 0, failed: [] });
    expect((await sendPending(createMailer(), addDuration(mondayTen, { seconds: 120 }))).sent).toBe(1);
    expect(sentEmails).toHaveLength(3);
  });
});

describe('a crash', () => {
  it('sends a notification twice only if it happens between sending and removing', async () => {
    await addPending(1);
    const crashing = withInterceptor(store, (command, send) => {
      if (command instanceof DeleteCommand) throw new Error('the process died');
      return send();
    });
    expect((await sendPending(createMailer(), mondayTen, crashing)).failed).toHaveLength(1);
    expect(sentEmails).toHaveLength(1);
    expect((await sendPending(createMailer(), addDuration(mondayTen, { seconds: 119 }))).sent).toBe(0);
    expect((await sendPending(createMailer(), addDuration(mondayTen, { seconds: 120 }))).sent).toBe(1);
    expect(sentEmails).toHaveLength(2);
    expect(await pendingNotifications(store)).toEqual([]);
  });

  it('loses nothing if it happens before sending', async () => {
    await addPending(1);
    const crashing = createMailer(() => {
      throw new Error('the process died');
    });
    expect((await sendPending(crashing)).failed).toHaveLength(1);
    expect((await sendPending(createMailer(), addDuration(mondayTen, { minutes: 2 }))).sent).toBe(1);
    expect(sentEmails).toHaveLength(1);
  });
});
