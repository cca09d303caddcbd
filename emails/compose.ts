import type { LetterKind, Recipient } from '../domain/exceptions/notification.ts';
import { correspondentLetters } from './correspondent.ts';
import type { Mail } from './layout.ts';
import { layOut } from './layout.ts';
import type { LetterFacts, Writer } from './request-email.ts';
import { requesterLetters } from './requester.ts';
import { say } from './say.ts';
import { supervisorLetters, teamLetters } from './staff.ts';

const letters: Readonly<Record<Recipient, Readonly<Partial<Record<LetterKind, Writer>>>>> = {
  requester: requesterLetters,
  correspondent: correspondentLetters,
  team: teamLetters,
  supervisors: supervisorLetters,
};

/**
 * Writes the letter of a kind to a reader (EXC-11, SLA-5, APR-1, APR-7).
 *
 * Answers `undefined` when there is nothing true left to say: a question that has been answered, an approval that is no
 * longer wanted. Such a letter is struck off unsent. Throws for a reader who never gets letters of that kind, and for an
 * approval without its link or its code.
 */
export function compose(kind: LetterKind, facts: LetterFacts): Mail | undefined {
  const write = letters[facts.to.role][kind];
  if (write === undefined) throw new Error(`The ${facts.to.role} gets no letter of the kind “${kind}”.`);
  const content = write(facts);
  return content && layOut(content, say`Hello ${facts.to.name},`, say`${facts.request.exceptionId}`);
}
