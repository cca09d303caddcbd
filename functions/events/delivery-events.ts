import * as z from 'zod';
import { deputyAt } from '../../domain/agreement.ts';
import type { MailTrouble } from '../../domain/exceptions/delivery-failure.ts';
import { hearOfMail } from '../../domain/exceptions/delivery-failure.ts';
import { addressees, letterKinds } from '../../domain/exceptions/notification.ts';
import { findAgreement } from '../../store/agreements.ts';
import { findException, moveException } from '../../store/exceptions.ts';
import { world } from '../runtime/clock.ts';
import { count, logger } from '../runtime/observability.ts';
import { theStore } from '../runtime/store.ts';

/** The tags with which our letters go out; SES gives each as a list. */
const tagsSchema = z.object({
  letter: z.tuple([z.enum(letterKinds)]).optional(),
  exception: z.tuple([z.string().min(1)]).optional(),
  to: z.tuple([z.enum(addressees)]).optional(),
  ask: z.tuple([z.string().regex(/^\d+$/).transform(Number)]).optional(),
  notice: z.tuple([z.string().min(1)]).optional(),
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
type MailEvent = z.infer<typeof eventSchema>['detail'];

/**
 * Hears what SES reports of our mails: bounces, rejections, complaints, delays. All are logged and counted. What became of a
 * letter about a request is written in its history, and when the Correspondent cannot be asked, people are told, by the
 * sweep within a minute. Reports come at least once and in any order: the same one is heard once, and one about a question
 * that is no longer out changes nothing.
 */
export const handler = async (event: unknown, _context: unknown): Promise<void> => {
  const { detail } = eventSchema.parse(event);
  const { messageId, tags } = detail.mail;
  const [letter] = tags.letter ?? tags.notice ?? [];
  const because = reasonOf(detail);
  const [exceptionId] = tags.exception ?? [];
  logger.warn('mail event', { messageId, event: detail.eventType, because, letter, exceptionId });
  count('mailEvents', detail.eventType);
  const trouble = troubleOf(detail, because);
  if (trouble === undefined || exceptionId === undefined) return;

  const store = theStore();
  const now = world.now();
  const request = await findException(store, exceptionId);
  const agreement = request === undefined ? undefined : await findAgreement(store, request.agreementId);
  if (agreement === undefined) {
    logger.warn('mail event of an unknown request', { messageId, exceptionId });
    return;
  }
  const hasDeputy = deputyAt(agreement, now, store.policy) !== undefined;
  await moveException(store, exceptionId, (known) => ({ ok: true, ...hearOfMail(known, trouble, hasDeputy, now) }), {
    operationId: `mail ${messageId} ${detail.eventType}`,
    now,
  });
};

/** Why, in words of the mail service's own list: what other machines answered can hold anything, addresses among it. */
function reasonOf(event: MailEvent): string {
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
function troubleOf(event: MailEvent, because: string): MailTrouble | undefined {
  const { letter, to, ask } = event.mail.tags;
  if (letter === undefined || to === undefined) return undefined;
  const about = { letter: letter[0], to: to[0], askNumber: ask?.[0] ?? null, because };
  switch (event.eventType) {
    case 'Bounce':
      // What SES cannot tell to be for good may get there next time.
      return { ...about, is: event.bounce.bounceType === 'Permanent' ? 'not-delivered' : 'put-off' };
    case 'Reject':
      return { ...about, is: 'not-delivered' };
    case 'Complaint':
      return { ...about, is: 'complained' };
    case 'DeliveryDelay':
      return undefined;
  }
}
