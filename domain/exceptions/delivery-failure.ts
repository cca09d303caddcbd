import { serviceActor } from '../audit-event.ts';
import type { Instant } from '../calendar/instant.ts';
import type { NotificationKind, Recipient } from './notification.ts';
import type { ExceptionRequest, Transition } from './request.ts';
import { withNotification } from './request.ts';

/** What the mail service reported about a letter of a request that went out. */
export type DeliveryFailure = {
  readonly notificationKind: NotificationKind;
  readonly to: Recipient;
  /** Which question to the Correspondent the letter was about; null for a letter about none. */
  readonly round: number | null;
  /**
   * `not-delivered` is for good: nobody will ever read this letter there. `put-off` is a mailbox that took nothing for the
   * days in which it was tried, and may take the next letter. `complained` is a reader who called it spam.
   */
  readonly kind: 'not-delivered' | 'deferred' | 'complaint';
  /** The mail service's own word for why, such as `Permanent/NoEmail`. */
  readonly because: string;
};

/** The letters without which a Correspondent cannot decide. */
const approvalNotificationKinds: readonly NotificationKind[] = ['approval-requested', 'approval-reminder'];

/**
 * Writes down what became of a letter (LED-1). When the mail that asks the Correspondent did not get there, and the question
 * is still the one that is out, the request shows it, and the team and the requester are told: somebody has to find out the
 * right address, and only a change of the agreement puts it right (EXC-6). That is told once for each question.
 *
 * A deputy who stands in on this day is asked then, again if need be, since now it is for the deputy alone to answer
 * (AGR-5). Outside of the named days nobody is asked in the Correspondent's place: the customer gave the deputy these days
 * and no others, and a mailbox that is broken does not lengthen them.
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
  const { state } = request;
  const preventsApproval =
    failure.kind === 'not-delivered' &&
    failure.to === 'correspondent' &&
    approvalNotificationKinds.includes(failure.notificationKind) &&
    state.status === 'awaiting-approval' &&
    state.round.number === failure.round &&
    state.round.decision === null &&
    state.round.undeliverableAt === null;
  // What is only written down is a change too: of the history alone.
  if (!preventsApproval) return { request: { ...request }, event };
  const undeliverableRequest = { ...request, state: { ...state, round: { ...state.round, undeliverableAt: now } } };
  const notifiedRequest = withNotification(undeliverableRequest, 'undeliverable', ['team', 'requester']);
  return {
    request: hasDeputy ? withNotification(notifiedRequest, 'approval-requested', ['deputy']) : notifiedRequest,
    event,
  };
}

const failureActions = {
  'not-delivered': 'mail-not-delivered',
  deferred: 'mail-put-off',
  complaint: 'mail-complained-of',
} as const;

const failureDescriptions = {
  'not-delivered': 'Could not be delivered: the mail',
  deferred: 'Was not taken for now: the mail',
  complaint: 'The reader complained of the mail',
} as const;
