import type { DirectRecipient, NotificationKind } from '../domain/exceptions/notification.ts';
import { correspondentEmails } from './correspondent.ts';
import type { Email } from './layout.ts';
import { layOutEmail } from './layout.ts';
import type { EmailContext, EmailTemplate } from './request-email.ts';
import { requesterEmails } from './requester.ts';
import { say } from './say.ts';
import { supervisorEmails, teamEmails } from './staff.ts';

const templates: Readonly<Record<DirectRecipient, Readonly<Partial<Record<NotificationKind, EmailTemplate>>>>> = {
  requester: requesterEmails,
  correspondent: correspondentEmails,
  team: teamEmails,
  supervisors: supervisorEmails,
};

/**
 * Renders the email of a notification kind for a recipient (EXC-11, SLA-5, APR-1, APR-7).
 *
 * Returns `undefined` when the email would no longer be true, as for a question that has been answered or an approval
 * that is no longer needed. The notification is then removed from the outbox unsent. Throws for a recipient who never
 * gets that kind, and for an approval email without its link or code.
 */
export function renderEmail(kind: NotificationKind, context: EmailContext): Email | undefined {
  const { to, request } = context;
  const template = templates[to.role][kind];
  if (template === undefined) throw new Error(`There is no “${kind}” email for the ${to.role}.`);
  const content = template(context);
  return content && layOutEmail(content, say`Hello ${to.name},`, say`${request.exceptionId}`);
}
