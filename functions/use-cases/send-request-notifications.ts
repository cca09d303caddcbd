import type { Agreement, Person } from '../../domain/agreement.ts';
import { deputyAt, noticesCorrespondentAt } from '../../domain/agreement.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import { approvalRoundOf } from '../../domain/exceptions/request.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import { addDuration } from '../../domain/calendar/instant.ts';
import type { Key } from '../../domain/keys/key.ts';
import type { Recipient, RequestNotification } from '../../domain/exceptions/notification.ts';
import { recordDeliveryEvent } from '../../domain/exceptions/delivery-failure.ts';
import { lapsesAt } from '../../domain/exceptions/schedule.ts';
import { Secret } from '../../domain/secret.ts';
import { renderEmail } from '../../emails/compose.ts';
import type { EmailContext, EmailLink } from '../../emails/request-email.ts';
import { findAgreement } from '../../store/agreements.ts';
import { saveLink } from '../../store/approval-links.ts';
import { claimPending, findException, transitionException, completeDelivery } from '../../store/exceptions.ts';
import { findKey } from '../../store/keys.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { countBusinessEvent, logger } from '../runtime/observability.ts';
import { replyAddressFor } from '../mail/reply-address.ts';
import type { Mailer } from '../runtime/mailer.ts';
import { runtime } from '../runtime/clock.ts';

/**
 * Sends the letters that a request owes (EXC-11). They are claimed first, so that two never send the same one at once,
 * and struck off when they went out or never can. What could not be sent just now is let go of and thrown about: the
 * step is retried, and the sweep sends it in the end.
 */
export async function sendRequestNotifications(store: Store, mailer: Mailer, exceptionId: string, now: Instant): Promise<void> {
  const pendingRequest = await findException(store, exceptionId);
  if (pendingRequest === undefined || pendingRequest.pendingNotifications.length === 0) return;
  const { agreement, key } = await loadEmailContext(store, pendingRequest);
  const claim = await claimPending(store, exceptionId, deputyAt(agreement, now, store.policy) !== undefined, now);
  if (claim === undefined || claim.claimed.length === 0) return;
  const { request, claimed: claimedNotifications } = claim;
  const subject = { request, now, agreement, key };
  const completedIds: string[] = [];
  const failures: unknown[] = [];
  for (const notification of claimedNotifications) {
    try {
      await sendNotification(store, mailer, notification, subject);
      completedIds.push(notification.notificationId);
    } catch (error) {
      // One that cannot be sent keeps none of the others waiting.
      failures.push(error);
    }
  }
  const releasedIds = claimedNotifications.map(({ notificationId }) => notificationId).filter((notificationId) => !completedIds.includes(notificationId));
  await completeDelivery(store, exceptionId, { completedIds, releasedIds }, now);
  if (failures.length > 0) throw failures[0];
}

type Subject = {
  readonly request: ExceptionRequest;
  readonly now: Instant;
  readonly agreement: Agreement;
  readonly key: Key;
};

async function loadEmailContext(store: Store, { agreementId, keyId }: ExceptionRequest) {
  const [agreement, key] = await Promise.all([findAgreement(store, agreementId), findKey(store, keyId)]);
  if (agreement === undefined || key === undefined) {
    throw new Error(`Agreement ${agreementId} or key ${keyId} of a request has gone; they are never deleted.`);
  }
  return { agreement, key };
}

async function sendNotification(store: Store, mailer: Mailer, notification: RequestNotification, subject: Subject): Promise<void> {
  const { request, now } = subject;
  const recipient = recipientOf(notification, subject, store, mailer);
  // A deputy whose days ended before the letter went out has no more to do with it.
  if (recipient === undefined) return;
  const link = await createLink(store, mailer, notification, { request, email: recipient.email, now });
  const mail = renderEmail(notification.kind, emailContextFor(store, subject, { to: notification.to, name: recipient.name }, link));
  // A letter that would no longer be true is not sent.
  if (mail === undefined) return;
  const roundNumber = approvalRoundOf(request)?.number ?? null;
  const result = await mailer.send(mail, recipient.email, {
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
 * Logs and records in the request's history that the mail service refused a letter at once, which no retry would change.
 * The same letter is recorded once.
 */
export async function recordRejectedNotification(
  store: Store,
  { request, agreement, now }: Pick<Subject, 'request' | 'agreement' | 'now'>,
  { notificationId, kind, to, because }: Pick<RequestNotification, 'notificationId' | 'kind' | 'to'> & { readonly because: string },
): Promise<void> {
  logger.error('notification rejected', { exceptionId: request.exceptionId, notificationId, because });
  const round = approvalRoundOf(request)?.number ?? null;
  const failure = { notificationKind: kind, to, round, kind: 'not-delivered', because: 'rejected immediately' } as const;
  const hasDeputy = deputyAt(agreement, now, store.policy) !== undefined;
  await transitionException(
    store,
    request.exceptionId,
    (current) => ({ ok: true, ...recordDeliveryEvent(current, failure, hasDeputy, now) }),
    { operationId: `rejected ${notificationId}`, now },
  );
}

/**
 * Where an answer to a letter arrives: that to the team’s question at the request itself (EXC-14), any other of the
 * requester’s with the team. Our own address reads no mail.
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

/** What every letter about a request is written from. */
export function emailContextFor(
  store: Store,
  { request, now, agreement, key }: Subject,
  { to, name }: { readonly to: Recipient; readonly name: string },
  link: EmailLink | null,
): EmailContext {
  const correspondentName = noticesCorrespondentAt(agreement, now).name;
  return {
    request,
    to: to === 'deputy' ? { role: 'correspondent', name, deputyOf: correspondentName } : { role: to, name },
    organizationName: agreement.organization.name,
    lastFive: key.lastFive,
    keyType: key.type,
    limit: limitOf(key.grants),
    productName: store.policy.catalog[request.form.product].name,
    correspondentName,
    answer: request.state.status === 'in-review' ? (request.state.answeredQuestion?.answer ?? null) : null,
    now,
    policy: store.policy,
    link,
  };
}

function recipientOf(
  { to }: RequestNotification,
  { request, agreement, now }: Subject,
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

const codeDigits = 6;
/** For how long a decision can be disputed with the link in its mail (APR-8). */
const disputeWindowDays = 90;

/**
 * Makes the link that a mail carries, keeps its hashes, and gives it to the mail alone (APR-1): to decide, or, in the mail
 * that tells of a decision, to say "this was not me" (APR-8). Each mail has its own; every link to a question is as good
 * as the question. In strict mode the code is not in the mail (APR-7).
 */
async function createLink(
  store: Store,
  mailer: Mailer,
  { kind: notificationKind, to }: RequestNotification,
  { request, email, now }: Pick<Subject, 'request' | 'now'> & { readonly email: string },
): Promise<EmailLink | null> {
  const round = approvalRoundOf(request);
  if (round === null) return null;
  const linkTarget = { exceptionId: request.exceptionId, roundNumber: round.number, to: email };
  const token = runtime.randomToken();
  const url = (path: string) => new Secret(`${mailer.addresses.PUBLIC_URL}/${path}/${token.reveal()}`, '[link]');
  if (notificationKind === 'approval-requested' || notificationKind === 'approval-reminder') {
    const code = store.policy.approval.strict ? null : runtime.randomCode(codeDigits);
    const expiresAt = lapsesAt(round.askedAt, store.policy);
    await saveLink(store, { token, code }, { ...linkTarget, kind: 'decision', expiresAt }, now);
    return { url: url('approvals'), code, expiresAt };
  }
  if (notificationKind === 'decided' && (to === 'correspondent' || to === 'deputy')) {
    const expiresAt = addDuration(now, { days: disputeWindowDays });
    await saveLink(store, { token, code: null }, { ...linkTarget, kind: 'dispute', expiresAt }, now);
    return { url: url('disputes'), code: null, expiresAt };
  }
  return null;
}
