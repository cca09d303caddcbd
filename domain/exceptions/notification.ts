import type { Instant } from '../calendar/instant.ts';

/** Every letter about a request that the service writes (EXC-11, SLA-5). */
export const notificationKinds = [
  'received',
  'review-requested',
  'question',
  'answered',
  'forwarded',
  'approval-requested',
  'approval-reminder',
  'decided',
  'fulfilled',
  'denied',
  'rejected',
  'withdrawn',
  'lapsed',
  'due-soon',
  'overdue',
  /** A Correspondent said that a recorded decision was not theirs (APR-8). */
  'disputed',
  /** A fresh code for the approval page, in strict mode (APR-7). */
  'approval-code',
  /** The approval mail could not be delivered. */
  'undeliverable',
] as const;
export type NotificationKind = (typeof notificationKinds)[number];

/** Whose letter it can be; the deputy gets what the Correspondent gets, in a letter of its own (AGR-5). */
export const recipients = ['requester', 'correspondent', 'team', 'supervisors', 'deputy'] as const;
export type Recipient = (typeof recipients)[number];

/** To whom: the address is looked up when the letter goes out, so that it goes to who it is then. */
export type DirectRecipient = Exclude<Recipient, 'deputy'>;

/** A letter that is owed. Whoever sends it claims it first for a moment, so that two do not send it at once. */
export type RequestNotification = {
  readonly notificationId: string;
  readonly kind: NotificationKind;
  readonly to: Recipient;
  readonly claimedUntil: Instant | null;
};

/** Which of the owed letters may be sent now: those that nobody else is sending. */
export function selectUnclaimed(
  notifications: readonly RequestNotification[],
  now: Instant,
): readonly RequestNotification[] {
  return notifications.filter(({ claimedUntil }) => claimedUntil === null || claimedUntil <= now);
}

/**
 * While the Notices Correspondent has a deputy, each letter to the Correspondent is owed to the deputy as well (AGR-5):
 * a letter of its own, so that one that was sent is not sent again when the other could not be.
 */
export function withDeputyNotifications(
  notifications: readonly RequestNotification[],
  hasDeputy: boolean,
): readonly RequestNotification[] {
  if (!hasDeputy) return notifications;
  return notifications.flatMap((notification): readonly RequestNotification[] => {
    const notificationId = `${notification.notificationId}+deputy`;
    const isNew = notification.to === 'correspondent' && notification.claimedUntil === null;
    return isNew && !notifications.some((each) => each.notificationId === notificationId)
      ? [notification, { ...notification, notificationId, to: 'deputy' }]
      : [notification];
  });
}
