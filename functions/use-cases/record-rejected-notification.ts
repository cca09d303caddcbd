import { deputyAt } from '../../domain/agreement.ts';
import { recordDeliveryEvent } from '../../domain/exceptions/delivery-failure.ts';
import type { RequestNotification } from '../../domain/exceptions/notification.ts';
import { approvalRoundOf } from '../../domain/exceptions/request.ts';
import { transitionException } from '../../store/exceptions.ts';
import type { Store } from '../../store/store.ts';
import type { NotificationSubject } from '../mail/notification-context.ts';
import { logger } from '../runtime/observability.ts';

/**
 * Logs and records in the request's ledger that SES rejected an email, which no retry would change. Records the same
 * notification once.
 */
export async function recordRejectedNotification(
  store: Store,
  { request, agreement, now }: Pick<NotificationSubject, 'request' | 'agreement' | 'now'>,
  {
    notificationId,
    kind,
    to,
    because,
  }: Pick<RequestNotification, 'notificationId' | 'kind' | 'to'> & { readonly because: string },
): Promise<void> {
  logger.error('notification rejected', { exceptionId: request.exceptionId, notificationId, because });
  const round = approvalRoundOf(request)?.number ?? null;
  const failure = {
    notificationKind: kind,
    to,
    round,
    kind: 'not-delivered',
    because: 'rejected immediately',
  } as const;
  const hasDeputy = deputyAt(agreement, now, store.policy) !== undefined;
  await transitionException(
    store,
    request.exceptionId,
    (current) => ({ ok: true, ...recordDeliveryEvent(current, failure, hasDeputy, now) }),
    { operationId: `rejected ${notificationId}`, now },
  );
}
