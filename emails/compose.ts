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
 * Writes the letter of a kind to a reader (EXC-11, SLA-5, APR-1, APR-7).
 *
 * Answers `undefined` when there is nothing true left to say: a question that has been answered, an approval that is no
 * longer wanted. Such a letter is struck off unsent. Throws for a reader who never gets letters of that kind, and for an
 * approval without its link or its code.
 */
export function renderEmail(kind: NotificationKind, context: EmailContext): Email | undefined {
  const template = templates[context.to.role][kind];
  if (template === undefined) throw new Error(`The ${context.to.role} gets no letter of the kind “${kind}”.`);
  const content = template(context);
  return content && layOutEmail(content, say`Hello ${context.to.name},`, say`${context.request.exceptionId}`);
}
