import { theService } from '../audit-event.ts';
import type { Instant } from '../calendar/instant.ts';
import type { Addressee, LetterKind } from './notification.ts';
import type { Changed, ExceptionRequest } from './request.ts';
import { write } from './request.ts';

/** What the mail service reported about a letter of a request that went out. */
export type MailTrouble = {
  readonly letter: LetterKind;
  readonly to: Addressee;
  /** Which question to the Correspondent the letter was about; null for a letter about none. */
  readonly askNumber: number | null;
  /**
   * `not-delivered` is for good: nobody will ever read this letter there. `put-off` is a mailbox that took nothing for the
   * days in which it was tried, and may take the next letter. `complained` is a reader who called it spam.
   */
  readonly is: 'not-delivered' | 'put-off' | 'complained';
  /** The mail service's own word for why, such as `Permanent/NoEmail`. */
  readonly because: string;
};

/** The letters without which a Correspondent cannot decide. */
const asking: readonly LetterKind[] = ['approval-wanted', 'approval-reminder'];

/**
 * Writes down what became of a letter (LED-1). When the mail that asks the Correspondent did not get there, and the question
 * is still the one that is out, the request shows it, and the team and the requester are told: somebody has to find out the
 * right address, and only a change of the agreement puts it right (EXC-6). That is told once for each question.
 *
 * A deputy who stands in on this day is asked then, again if need be, since now it is for the deputy alone to answer
 * (AGR-5). Outside of the named days nobody is asked in the Correspondent's place: the customer gave the deputy these days
 * and no others, and a mailbox that is broken does not lengthen them.
 */
export function hearOfMail(request: ExceptionRequest, trouble: MailTrouble, hasDeputy: boolean, now: Instant): Changed {
  const deed = {
    actor: theService,
    action: trouble.is === 'complained' ? 'mail-complained-of' : `mail-${trouble.is}`,
    detail: `${happenings[trouble.is]} “${trouble.letter}” to the ${trouble.to} (${trouble.because}).`,
    reference: request.exceptionId,
  };
  const { stage } = request;
  const concerns =
    trouble.is === 'not-delivered' &&
    trouble.to === 'correspondent' &&
    asking.includes(trouble.letter) &&
    stage.is === 'awaiting-approval' &&
    stage.ask.askNumber === trouble.askNumber &&
    stage.ask.decision === null &&
    stage.ask.undeliverableAt === null;
  // What is only written down is a change too: of the history alone.
  if (!concerns) return { request: { ...request }, deed };
  const known = { ...request, stage: { ...stage, ask: { ...stage.ask, undeliverableAt: now } } };
  const told = write(known, 'undeliverable', ['team', 'requester']);
  return { request: hasDeputy ? write(told, 'approval-wanted', ['deputy']) : told, deed };
}

const happenings = {
  'not-delivered': 'Could not be delivered: the mail',
  'put-off': 'Was not taken for now: the mail',
  complained: 'The reader complained of the mail',
} as const;
