import * as z from 'zod';
import { deputyAt } from '../../domain/agreement.ts';
import { recipients, notificationKinds } from '../../domain/exceptions/notification.ts';
import type { DeliveryFailure } from '../../domain/exceptions/delivery-failure.ts';
import { recordDeliveryEvent } from '../../domain/exceptions/delivery-failure.ts';
import { findAgreement } from '../../store/agreements.ts';
import { findException, transitionException } from '../../store/exceptions.ts';
import { countBusinessEvent, logger } from '../runtime/observability.ts';
import { getStore } from '../runtime/store.ts';
import { runtime } from '../runtime/clock.ts';

/** The tags with which our letters go out; SES gives each as a list. */
const tagsSchema = z.object({
  notification: z.tuple([z.enum(notificationKinds)]).optional(),
  exception: z.tuple([z.string().min(1)]).optional(),
  to: z.tuple([z.enum(recipients)]).optional(),
  round: z.tuple([z.string().regex(/^\d+$/).transform(Number)]).optional(),
  agreementNotification: z.tuple([z.string().min(1)]).optional(),
});

/** What SES says of a mail of ours, as EventBridge hands it over. What is not told here is not needed. */
const eventSchema = z.object({
  detail: z.intersection(
    z.object({ mail: z.object({ messageId: z.string().min(1), tags: tagsSchema }) }),
    z.discriminatedUnion('eventType', [
      z.object({
        eventType: z.literal('Bounce'),
        bounce: z.object({ bounceType: z.string(), bounceSubType: z.string() }),
      }),
      z.object({
        eventType: z.literal('Complaint'),
        complaint: z.object({ complaintFeedbackType: z.string().nullish() }),
      }),
      z.object({ eventType: z.literal('Reject'), reject: z.object({ reason: z.string() }) }),
      z.object({ eventType: z.literal('DeliveryDelay'), deliveryDelay: z.object({ delayType: z.string() }) }),
    ]),
  ),
});
type DeliveryEvent = z.infer<typeof eventSchema>['detail'];

/**
 * Hears what SES reports of our mails: bounces, rejections, complaints, delays. All are logged and counted. What became of a
 * letter about a request is written in its history, and when the Correspondent cannot be asked, people are told, by the
 * sweep within a minute. Reports come at least once and in any order: the same one is heard once, and one about a question
 * that is no longer out changes nothing.
 */
export const handler = async (event: unknown, _context: unknown): Promise<void> => {
  const { detail } = eventSchema.parse(event);
  const { messageId, tags } = detail.mail;
  const [notification] = tags.notification ?? tags.agreementNotification ?? [];
  const because = deliveryReasonOf(detail);
  const [exceptionId] = tags.exception ?? [];
  logger.warn('delivery event', { messageId, event: detail.eventType, because, notification, exceptionId });
  countBusinessEvent('deliveryEvents', detail.eventType);
  const failure = deliveryFailureOf(detail, because);
  if (failure === undefined || exceptionId === undefined) return;

  const store = getStore();
  const now = runtime.now();
  const request = await findException(store, exceptionId);
  const agreement = request === undefined ? undefined : await findAgreement(store, request.agreementId);
  if (agreement === undefined) {
    logger.warn('delivery event for unknown request', { messageId, exceptionId });
    return;
  }
  const hasDeputy = deputyAt(agreement, now, store.policy) !== undefined;
  await transitionException(store, exceptionId, (current) => ({ ok: true, ...recordDeliveryEvent(current, failure, hasDeputy, now) }), {
    operationId: `delivery-event ${messageId} ${detail.eventType}`,
    now,
  });
};

/** Why, in words of the mail service's own list: what other machines answered can hold anything, addresses among it. */
function deliveryReasonOf(event: DeliveryEvent): string {
  switch (event.eventType) {
    case 'Bounce':
      return `${event.bounce.bounceType}/${event.bounce.bounceSubType}`;
    case 'Complaint':
      return event.complaint.complaintFeedbackType ?? 'no reason given';
    case 'Reject':
      return event.reject.reason;
    case 'DeliveryDelay':
      return event.deliveryDelay.delayType;
  }
}

/** What it means for a letter about a request; `undefined` for a mere delay, and for mails that are no such letter. */
function deliveryFailureOf(event: DeliveryEvent, because: string): DeliveryFailure | undefined {
  const { notification: notificationKind, to, round } = event.mail.tags;
  if (notificationKind === undefined || to === undefined) return undefined;
  const failure = { notificationKind: notificationKind[0], to: to[0], round: round?.[0] ?? null, because };
  switch (event.eventType) {
    case 'Bounce':
      // What SES cannot tell to be for good may get there next time.
      return { ...failure, kind: event.bounce.bounceType === 'Permanent' ? 'not-delivered' : 'deferred' };
    case 'Reject':
      return { ...failure, kind: 'not-delivered' };
    case 'Complaint':
      return { ...failure, kind: 'complaint' };
    case 'DeliveryDelay':
      return undefined;
  }
}
