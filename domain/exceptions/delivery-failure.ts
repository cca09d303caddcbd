import { serviceActor } from '../audit-event.ts';
import type { Instant } from '../calendar/instant.ts';
import type { NotificationKind, Recipient } from './notification.ts';
import { withNotification } from './notification.ts';
import type { ExceptionRequest, Transition } from './request.ts';
import { openRoundOf } from './request.ts';

/** A report of the mail service about a sent notification. */
export type DeliveryFailure = {
  readonly notificationKind: NotificationKind;
  readonly to: Recipient;
  /** The approval round that the email belongs to; null for an email that belongs to none. */
  readonly round: number | null;
  /**
   * `not-delivered` is permanent: the address does not work. `deferred` is temporary: the mailbox did not accept the
   * email for days, but can accept the next one. `complaint`: the recipient reported the email as spam.
   */
  readonly kind: 'not-delivered' | 'deferred' | 'complaint';
  /** The reason in the mail service's words, such as `Permanent/NoEmail`. */
  readonly because: string;
};

/** The ledger action for each kind of failure. */
const failureActions = {
  'not-delivered': 'mail-not-delivered',
  deferred: 'mail-put-off',
  complaint: 'mail-complained-of',
} as const;

const failureDescriptions = {
  'not-delivered': 'This email could not be delivered:',
  deferred: 'This email was not accepted for now:',
  complaint: 'The recipient reported this email as spam:',
} as const;

/** The notifications without which a Correspondent cannot decide. */
const approvalNotificationKinds: readonly NotificationKind[] = ['approval-requested', 'approval-reminder'];

/**
 * Records a delivery failure in the ledger (LED-1).
 *
 * If an email that asks the Correspondent for approval was not delivered and its round is still open, the request shows
 * it, and the team and the requester are notified, once a round. Somebody has to find the right address, and only a
 * change of the agreement can correct it (EXC-6).
 *
 * A deputy on duty is then asked again, because the deputy is now the only one who can decide (AGR-5). On other days
 * nobody is asked in the Correspondent's place: the customer named a deputy for certain days, and a broken mailbox does
 * not extend them.
 */
export function recordDeliveryEvent(
  request: ExceptionRequest,
  failure: DeliveryFailure,
  hasDeputy: boolean,
  now: Instant,
): Transition {
  const event = {
    actor: serviceActor,
    action: failureActions[failure.kind],
    detail: `${failureDescriptions[failure.kind]} “${failure.notificationKind}” to the ${failure.to} (${failure.because}).`,
    reference: request.exceptionId,
  };
  const isLostApprovalEmail =
    failure.kind === 'not-delivered' &&
    failure.to === 'correspondent' &&
    approvalNotificationKinds.includes(failure.notificationKind);
  const openRound = openRoundOf(request);
  const isFirstForOpenRound = openRound?.number === failure.round && openRound.undeliverableAt === null;
  // A new object makes the store write the request, and the ledger entry with it.
  if (openRound === null || !isLostApprovalEmail || !isFirstForOpenRound) return { request: { ...request }, event };
  const undeliverableRequest: ExceptionRequest = {
    ...request,
    state: { status: 'awaiting-approval', round: { ...openRound, undeliverableAt: now } },
  };
  const notifiedRequest = withNotification(undeliverableRequest, 'undeliverable', ['team', 'requester']);
  return {
    request: hasDeputy ? withNotification(notifiedRequest, 'approval-requested', ['deputy']) : notifiedRequest,
    event,
  };
}
