import type { Person } from '../../domain/agreement.ts';
import { deputyAt, noticesCorrespondentAt } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { RequestNotification } from '../../domain/exceptions/notification.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import { approvalRoundOf } from '../../domain/exceptions/request.ts';
import { renderEmail } from '../../emails/compose.ts';
import { findAgreement } from '../../store/agreements.ts';
import { claimPending, completeDelivery, findException } from '../../store/exceptions.ts';
import { findKey } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import { createLink } from '../mail/approval-link.ts';
import type { NotificationSubject } from '../mail/notification-context.ts';
import { emailContextFor } from '../mail/notification-context.ts';
import { replyAddressFor } from '../mail/reply-address.ts';
import type { Mailer } from '../runtime/mailer.ts';
import { countBusinessEvent, countFunctionMetric, logger } from '../runtime/observability.ts';
import { recordRejectedNotification } from './record-rejected-notification.ts';

/**
 * Sends the pending notifications of a request (EXC-11). It claims them first, so that no two callers send the same one,
 * and removes each from the outbox once it is sent or can never be sent. If others fail, it releases the claim on them
 * and throws: the sweep sends them.
 */
export async function sendRequestNotifications(
  store: Store,
  mailer: Mailer,
  exceptionId: string,
  now: Instant,
): Promise<void> {
  const pendingRequest = await findException(store, exceptionId);
  if (pendingRequest === undefined || pendingRequest.pendingNotifications.length === 0) return;
  const { agreement, key } = await loadAgreementAndKey(store, pendingRequest);
  const claim = await claimPending(store, exceptionId, deputyAt(agreement, now, store.policy) !== undefined, now);
  if (claim === undefined || claim.notifications.length === 0) return;
  const { request, notifications } = claim;
  const subject = { request, now, agreement, key };
  const completedIds: string[] = [];
  const failures: unknown[] = [];
  for (const notification of notifications) {
    try {
      await sendNotification(store, mailer, notification, subject);
      completedIds.push(notification.notificationId);
    } catch (error) {
      // A failure does not keep the others from being sent.
      failures.push(error);
    }
  }
  const claimedIds = notifications.map(({ notificationId }) => notificationId);
  const releasedIds = claimedIds.filter((notificationId) => !completedIds.includes(notificationId));
  await completeDelivery(store, exceptionId, { completedIds, releasedIds }, now);
  if (failures.length > 0) throw failures[0];
}

/**
 * Sends the pending notifications after a step has changed the request. It logs and counts a failure and never throws: no
 * state of a request waits for email (EXC-9), and the sweep sends what is left.
 */
export async function trySendRequestNotifications(
  store: Store,
  mailer: Mailer,
  exceptionId: string,
  now: Instant,
): Promise<void> {
  try {
    await sendRequestNotifications(store, mailer, exceptionId, now);
  } catch (error) {
    logger.error('notifications deferred to the sweep', { exceptionId, error: error as Error });
    countFunctionMetric({ faults: 1 });
  }
}

async function loadAgreementAndKey(store: Store, { agreementId, keyId }: ExceptionRequest) {
  const [agreement, key] = await Promise.all([findAgreement(store, agreementId), findKey(store, keyId)]);
  if (agreement === undefined || key === undefined) {
    throw new Error(`Agreement ${agreementId} or key ${keyId} of a request is missing; they are never deleted.`);
  }
  return { agreement, key };
}

async function sendNotification(
  store: Store,
  mailer: Mailer,
  notification: RequestNotification,
  subject: NotificationSubject,
): Promise<void> {
  const { request, now } = subject;
  const recipient = recipientOf(notification, subject, store, mailer);
  // The term of a deputy can end before the email is sent; then nobody gets it.
  if (recipient === undefined) return;
  const link = await createLink(store, mailer, notification, { request, email: recipient.email, now });
  const context = emailContextFor(store, subject, { to: notification.to, name: recipient.name }, link);
  const email = renderEmail(notification.kind, context);
  // An email whose content is no longer true is not sent.
  if (email === undefined) return;
  const roundNumber = approvalRoundOf(request)?.number ?? null;
  const result = await mailer.send(email, recipient.email, {
    tags: {
      notification: notification.kind,
      exception: request.exceptionId,
      to: notification.to,
      ...(roundNumber === null ? {} : { round: String(roundNumber) }),
    },
    ...replyToOption(notification, request, store, mailer),
  });
  if (result.sent) {
    countBusinessEvent('notifications', notification.kind);
  } else {
    const { notificationId, kind, to } = notification;
    await recordRejectedNotification(store, subject, { notificationId, kind, to, because: result.because });
  }
}

/**
 * Returns where replies to an email go. Replies to the team's question go to an address of the request (EXC-14), other
 * replies of the requester to the team. Nobody reads the address that the service sends from.
 */
function replyToOption(
  { kind: notificationKind, to }: RequestNotification,
  { exceptionId }: ExceptionRequest,
  { vault }: Store,
  { addresses }: Mailer,
): { readonly replyTo?: string } {
  if (notificationKind === 'question') return { replyTo: replyAddressFor(exceptionId, addresses.MAIL_INBOUND, vault) };
  return to === 'requester' ? { replyTo: addresses.MAIL_TEAM } : {};
}

function recipientOf(
  { to }: RequestNotification,
  { request, agreement, now }: NotificationSubject,
  { policy }: Store,
  { addresses }: Mailer,
): Pick<Person, 'name' | 'email'> | undefined {
  switch (to) {
    case 'requester':
      return request.form.requester;
    case 'correspondent':
      return noticesCorrespondentAt(agreement, now);
    case 'deputy':
      return deputyAt(agreement, now, policy);
    case 'team':
      return { name: 'exceptions team', email: addresses.MAIL_TEAM };
    case 'supervisors':
      return { name: 'supervisors', email: addresses.MAIL_SUPERVISORS };
  }
}
