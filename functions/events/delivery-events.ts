import middy from '@middy/core';
import * as z from 'zod';
import { deputyAt } from '../../domain/agreement.ts';
import type { DeliveryFailure } from '../../domain/exceptions/delivery-failure.ts';
import { recordDeliveryEvent } from '../../domain/exceptions/delivery-failure.ts';
import { notificationKinds, recipients } from '../../domain/exceptions/notification.ts';
import { findAgreement } from '../../store/agreements.ts';
import { findException, transitionException } from '../../store/exceptions.ts';
import { clock } from '../runtime/clock.ts';
import { countFaults, logContext, logOutcome } from '../runtime/log-middleware.ts';
import { countBusinessEvent, logger } from '../runtime/observability.ts';
import { getStore } from '../runtime/store.ts';

/** The tags on our emails. SES returns the value of each as a list. */
const tagsSchema = z.object({
  notification: z.tuple([z.enum(notificationKinds)]).optional(),
  exception: z.tuple([z.string().min(1)]).optional(),
  to: z.tuple([z.enum(recipients)]).optional(),
  round: z.tuple([z.string().regex(/^\d+$/).transform(Number)]).optional(),
  agreementNotification: z.tuple([z.string().min(1)]).optional(),
});

/** The SES event that EventBridge delivers, reduced to the fields that are read. */
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
 * Processes the delivery events that SES reports for our emails: bounces, rejections, complaints, and delays. It logs and
 * counts all of them, and records failures of emails about a request in its ledger. If the Correspondent cannot be
 * reached, the sweep notifies people within a minute. Events arrive at least once and in any order: a repeated event has
 * no effect, and an event of an earlier approval round does not affect the open one.
 */
export const handler = middy<unknown, void>()
  .use(logContext())
  .use(logOutcome({ failed: 'delivery event failed' }))
  .use(countFaults())
  .handler(async (event) => {
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
    const now = clock.now();
    const request = await findException(store, exceptionId);
    const agreement = request === undefined ? undefined : await findAgreement(store, request.agreementId);
    if (agreement === undefined) {
      logger.warn('delivery event for unknown request', { messageId, exceptionId });
      return;
    }
    const hasDeputy = deputyAt(agreement, now, store.policy) !== undefined;
    await transitionException(
      store,
      exceptionId,
      (current) => ({ ok: true, ...recordDeliveryEvent(current, failure, hasDeputy, now) }),
      { operationId: `delivery-event ${messageId} ${detail.eventType}`, now },
    );
  });

/** Returns the reason from the fixed list of SES. The text that other servers send can contain anything, even addresses. */
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

/** Returns the failure of an email about a request. `undefined` for a delay, and for any other email. */
function deliveryFailureOf(event: DeliveryEvent, because: string): DeliveryFailure | undefined {
  const { notification, to, round } = event.mail.tags;
  if (notification === undefined || to === undefined) return undefined;
  const failure = { notificationKind: notification[0], to: to[0], round: round?.[0] ?? null, because };
  switch (event.eventType) {
    case 'Bounce':
      // A bounce that is not permanent may be delivered the next time.
      return { ...failure, kind: event.bounce.bounceType === 'Permanent' ? 'not-delivered' : 'deferred' };
    case 'Reject':
      return { ...failure, kind: 'not-delivered' };
    case 'Complaint':
      return { ...failure, kind: 'complaint' };
    case 'DeliveryDelay':
      return undefined;
  }
}
