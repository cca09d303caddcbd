import type { Instant } from './instant.ts';

/** Every letter about a request that the service writes (EXC-11, SLA-5). */
export const letterKinds = [
  'received',
  'review-wanted',
  'question',
  'answered',
  'forwarded',
  'approval-wanted',
  'approval-reminder',
  'decided',
  'fulfilled',
  'denied',
  'rejected',
  'withdrawn',
  'lapsed',
  'due-soon',
  'overdue',
] as const;
export type LetterKind = (typeof letterKinds)[number];

/** To whom: the address is looked up when the letter goes out, so that it goes to who it is then. */
export type Recipient = 'requester' | 'correspondent' | 'team' | 'supervisors';

/** A letter that is owed. Whoever sends it claims it first for a moment, so that two do not send it at once. */
export type Letter = {
  readonly letterId: string;
  readonly kind: LetterKind;
  readonly to: Recipient;
  readonly claimedUntil: Instant | null;
};

/** Which of the owed letters may be sent now: those that nobody else is sending. */
export function unclaimed(letters: readonly Letter[], now: Instant): readonly Letter[] {
  return letters.filter(({ claimedUntil }) => claimedUntil === null || claimedUntil <= now);
}
