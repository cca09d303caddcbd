import type { Instant } from '../../domain/calendar/instant.ts';
import { composeNotice } from '../../emails/contacts.ts';
import { SendingThrottled } from '../../emails/send.ts';
import { claimNotice, strikeNotice } from '../../store/agreement-notifications.ts';
import { dueBy } from '../../store/dynamodb/due-items.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import type { Mailing } from '../runtime/mailer.ts';
import { count, logger } from '../runtime/observability.ts';

/** How many notices went out, and which could not; those stay owed. */
export type Delivered = { readonly sent: number; readonly failed: readonly string[] };

const pageSize = 25;
/** What one run sends. More than this at once is a flood; the next run goes on. */
const mostInOneRun = 1_000;

/**
 * Sends the notices that are owed (AGR-4, ALR-1, KMS-4, BLK-2), each once: it is claimed first, so that two never send the
 * same one at once, and struck off when it went out or never can. Only a crash between the two sends one again, when the
 * claim is over: twice is better than never. When the account may send no more just now, the rest stays owed.
 * @param clock what time it is, asked for each notice: a claim that is made late in a long run must not be over already.
 */
export async function deliverNotices(store: Store, mailing: Mailing, clock: () => Instant): Promise<Delivered> {
  const failed: string[] = [];
  let sent = 0;
  let seen = 0;
  let after: string | null = null;
  do {
    const page = await dueBy(store, 'NOTIFICATION', clock(), { limit: pageSize, after });
    for (const dueId of page.items) {
      try {
        if (await deliver(store, mailing, dueId, clock())) sent += 1;
      } catch (error) {
        if (error instanceof SendingThrottled) {
          logger.warn('no more mails just now', { sent, failed: failed.length });
          return { sent, failed };
        }
        failed.push(dueId);
        logger.error('could not send a notice', { dueId, error: error as Error });
      }
    }
    seen += page.items.length;
    after = page.next;
  } while (after !== null && seen < mostInOneRun);
  return { sent, failed };
}

async function deliver(store: Store, mailing: Mailing, dueId: string, now: Instant): Promise<boolean> {
  const notice = await claimNotice(store, dueId, now);
  if (notice === undefined) return false;
  const mail = composeNotice(notice, { now, policy: store.policy });
  const sent = await mailing.send(mail, notice.to.email, { tags: { notice: notice.about.is } });
  const { agreementId, about } = notice;
  if (sent.sent) count('letters', about.is);
  else logger.error('undeliverable', { agreementId, notice: about.is, because: sent.because });
  await strikeNotice(store, dueId);
  return sent.sent;
}
