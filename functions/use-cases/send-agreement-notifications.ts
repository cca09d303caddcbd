import type { Instant } from '../../domain/calendar/instant.ts';
import { renderAgreementEmail } from '../../emails/contacts.ts';
import { SendThrottledError } from '../../emails/send.ts';
import { claimNotification, removeNotification } from '../../store/agreement-notifications.ts';
import { listDueItems } from '../../store/dynamodb/due-items.ts';
import type { Store } from '../../store/store.ts';
import type { Mailer } from '../runtime/mailer.ts';
import { countBusinessEvent, logger } from '../runtime/observability.ts';

/** The number of notifications that were sent, and the ids of those that failed. The failed ones stay pending. */
export type BatchSendResult = { readonly sent: number; readonly failed: readonly string[] };

const pageSize = 25;
/** More notifications than this at once are a flood; the next run continues. */
const notificationsPerRunMax = 1_000;

/**
 * Sends the pending notifications of all agreements (AGR-4, ALR-1, KMS-4, BLK-2). It claims each one first, so that no two
 * callers send the same one, and removes it from the outbox once it is sent or can never be sent. Only a crash between
 * sending and removing sends one twice, after the claim has expired; that is better than never. When SES throttles the
 * account, the rest stays pending.
 * @param now returns the current time. It is read for each notification: a claim made late in a long run must not have
 *   expired already.
 */
export async function sendAgreementNotifications(
  store: Store,
  mailer: Mailer,
  now: () => Instant,
): Promise<BatchSendResult> {
  const failed: string[] = [];
  let sent = 0;
  let processed = 0;
  let after: string | null = null;
  do {
    const page = await listDueItems(store, 'NOTIFICATION', now(), { limit: pageSize, after });
    for (const dueId of page.items) {
      try {
        if (await sendNotification(store, mailer, dueId, now())) sent += 1;
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
  const { agreementId, content, to } = notification;
  const email = renderAgreementEmail(notification, { now, policy: store.policy });
  const result = await mailer.send(email, to.email, { tags: { agreementNotification: content.kind } });
  if (result.sent) countBusinessEvent('notifications', content.kind);
  else logger.error('notification rejected', { agreementId, notification: content.kind, because: result.because });
  await removeNotification(store, dueId);
  return result.sent;
}
