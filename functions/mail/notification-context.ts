import type { Agreement } from '../../domain/agreement.ts';
import { noticesCorrespondentAt } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Recipient } from '../../domain/exceptions/notification.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Key } from '../../domain/keys/key.ts';
import type { EmailContext, EmailLink } from '../../emails/request-email.ts';
import type { Store } from '../../store/store.ts';

/** A request with its agreement and key, at the time of sending. */
export type NotificationSubject = {
  readonly request: ExceptionRequest;
  readonly now: Instant;
  readonly agreement: Agreement;
  readonly key: Key;
};

/** Returns the context from which every email about a request is rendered. */
export function emailContextFor(
  store: Store,
  { request, now, agreement, key }: NotificationSubject,
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
