import type { Instant } from '../calendar/instant.ts';

/** Every kind of email about a request that the service sends (EXC-11, SLA-5). */
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
  /** The Correspondent reports that somebody else made the recorded decision (APR-8). */
  'disputed',
  /** A new code for the approval page, in strict mode (APR-7). */
  'approval-code',
  /** The email that asks for approval could not be delivered. */
  'undeliverable',
] as const;
export type NotificationKind = (typeof notificationKinds)[number];

/**
 * The possible recipients. A deputy gets a copy of what the Correspondent gets, as a notification of its own (AGR-5).
 */
export const recipients = ['requester', 'correspondent', 'team', 'supervisors', 'deputy'] as const;
export type Recipient = (typeof recipients)[number];

/** A recipient that a transition notifies. The address is looked up when the email is sent, so that it is current. */
export type DirectRecipient = Exclude<Recipient, 'deputy'>;

/**
 * A pending email about a request. A sender claims it for a short time first, so that two senders do not send it twice.
 */
export type RequestNotification = {
  readonly notificationId: string;
  readonly kind: NotificationKind;
  readonly to: Recipient;
  readonly claimedUntil: Instant | null;
};

/** The outbox of a request. */
export type Outbox = {
  /** Pending notifications, oldest first. Each is sent once and then removed from the outbox (EXC-11). */
  readonly pendingNotifications: readonly RequestNotification[];
  /** The number of notifications added so far. Ids are made from it, so that no id is used twice. */
  readonly notificationCount: number;
};

/**
 * Adds one pending notification for each recipient. It is stored in the same write as the decision that it tells about,
 * so that a decision is notified exactly once.
 */
export function withNotification<Owner extends Outbox>(
  owner: Owner,
  kind: NotificationKind,
  to: readonly Recipient[],
): Owner {
  const notifications = to.map((recipient, index) => ({
    notificationId: `${owner.notificationCount + index + 1}-${kind}-${recipient}`,
    kind,
    to: recipient,
    claimedUntil: null,
  }));
  return {
    ...owner,
    pendingNotifications: [...owner.pendingNotifications, ...notifications],
    notificationCount: owner.notificationCount + notifications.length,
  };
}

/** The kinds that ask somebody to act on the current state of a request. */
const actionRequestKinds: readonly NotificationKind[] = [
  'review-requested',
  'question',
  'approval-requested',
  'approval-reminder',
];

/** Drops the unsent notifications that ask for an action which the next state no longer needs. */
export function withoutActionRequests(notifications: readonly RequestNotification[]): readonly RequestNotification[] {
  return notifications.filter(({ kind }) => !actionRequestKinds.includes(kind));
}

/** Returns the pending notifications that no other sender has claimed. */
export function selectUnclaimed(
  notifications: readonly RequestNotification[],
  now: Instant,
): readonly RequestNotification[] {
  return notifications.filter(({ claimedUntil }) => claimedUntil === null || claimedUntil <= now);
}

/**
 * Adds a copy for the deputy to each notification for the Correspondent, while there is a deputy (AGR-5). The copy is a
 * notification of its own, so that a retry for one of the two does not send the other again.
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
