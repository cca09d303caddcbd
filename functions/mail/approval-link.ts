import type { Instant } from '../../domain/calendar/instant.ts';
import { addDuration } from '../../domain/calendar/instant.ts';
import { needsStrictApproval } from '../../domain/exceptions/approval.ts';
import type { RequestNotification } from '../../domain/exceptions/notification.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import { approvalRoundOf } from '../../domain/exceptions/request.ts';
import { lapsesAt } from '../../domain/exceptions/schedule.ts';
import { Secret } from '../../domain/secret.ts';
import type { EmailLink } from '../../emails/request-email.ts';
import { saveLink } from '../../store/approval-links.ts';
import type { Store } from '../../store/store.ts';
import type { Mailer } from '../runtime/mailer.ts';
import { random } from '../runtime/random.ts';

const codeDigits = 6;
/** The link in the email about a decision can dispute it for this long (APR-8). */
const disputeWindowDays = 90;

/**
 * Creates the link for an email and stores its hashes; only the email gets the link itself (APR-1). The link decides an
 * approval round, or, in the email about a decision, disputes it (APR-8). Every email gets its own link, which is valid
 * as long as its round. In strict mode the code is not in the email (APR-7). Returns null for an email without a link.
 */
export async function createLink(
  store: Store,
  mailer: Mailer,
  { kind: notificationKind, to }: RequestNotification,
  { request, email, now }: { readonly request: ExceptionRequest; readonly email: string; readonly now: Instant },
): Promise<EmailLink | null> {
  const round = approvalRoundOf(request);
  if (round === null) return null;
  const linkTarget = { exceptionId: request.exceptionId, round: round.number, to: email };
  const token = random.token();
  const url = (path: string) => new Secret(`${mailer.addresses.PUBLIC_URL}/${path}/${token.reveal()}`, '[link]');
  if (notificationKind === 'approval-requested' || notificationKind === 'approval-reminder') {
    const code = needsStrictApproval(request, store.policy) ? null : random.code(codeDigits);
    const expiresAt = lapsesAt(round.askedAt, store.policy);
    await saveLink(store, { token, code }, { ...linkTarget, kind: 'decision', expiresAt }, now);
    return { url: url('approvals'), code, expiresAt };
  }
  if (notificationKind === 'decided' && (to === 'correspondent' || to === 'deputy')) {
    const expiresAt = addDuration(now, { days: disputeWindowDays });
    await saveLink(store, { token, code: null }, { ...linkTarget, kind: 'dispute', expiresAt }, now);
    return { url: url('disputes'), code: null, expiresAt };
  }
  return null;
}
