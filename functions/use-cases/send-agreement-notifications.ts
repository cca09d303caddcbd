import type { Instant } from '../../domain/calendar/instant.ts';
import { renderAgreementEmail } from '../../emails/contacts.ts';
import { SendThrottledError } from '../../emails/send.ts';
import { listDueItems } from '../../store/dynamodb/due-items.ts';
import { claimNotification, removeNotification } from '../../store/agreement-notifications.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { countBusinessEvent, logger } from '../runtime/observability.ts';
import type { Mailer } from '../runtime/mailer.ts';

/** How many notices went out, and which could not; those stay owed. */
export type BatchSendResult = { readonly sent: number; readonly failed: readonly string[] };

const pageSize = 25;
/** What one run sends. More than this at once is a flood; the next run goes on. */
const notificationsPerRunMax = 1_000;

/**
 * Sends the notices that are owed (AGR-4, ALR-1, KMS-4, BLK-2), each once: it is claimed first, so that two never send the
 * same one at once, and struck off when it went out or never can. Only a crash between the two sends one again, when the
 * claim is over: twice is better than never. When the account may send no more just now, the rest stays owed.
 * @param clock what time it is, asked for each notice: a claim that is made late in a long run must not be over already.
 */
export async function sendAgreementNotifications(store: Store, mailer: Mailer, clock: () => Instant): Promise<BatchSendResult> {
  const failed: string[] = [];
  let sent = 0;
  let processed = 0;
  let after: string | null = null;
  do {
    const page = await listDueItems(store, 'NOTIFICATION', clock(), { limit: pageSize, after });
    for (const dueId of page.items) {
      try {
        if (await sendNotification(store, mailer, dueId, clock())) sent += 1;
      } catch (error) {
        if (error instanceof SendThrottledError) {
          logger.warn('sending throttled', { sent, failed: failed.length });
          return { sent, failed };
        }
        failed.push(dueId);
        logger.error('notification not sent', { dueId, error: error as Error });
      }
    }
    processed += page.items.length;
    after = page.next;
  } while (after !== null && processed < notificationsPerRunMax);
  return { sent, failed };
}

async function sendNotification(store: Store, mailer: Mailer, dueId: string, now: Instant): Promise<boolean> {
  const notification = await claimNotification(store, dueId, now);
  if (notification === undefined) return false;
  const mail = renderAgreementEmail(notification, { now, policy: store.policy });
  const result = await mailer.send(mail, notification.to.email, { tags: { agreementNotification: notification.content.kind } });
  const { agreementId, content } = notification;
  if (result.sent) countBusinessEvent('notifications', content.kind);
  else logger.error('notification rejected', { agreementId, notification: content.kind, because: result.because });
  await removeNotification(store, dueId);
  return result.sent;
}
