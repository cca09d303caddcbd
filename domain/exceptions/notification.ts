import type { Instant } from '../calendar/instant.ts';

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
  /** A Correspondent said that a recorded decision was not theirs (APR-8). */
  'disputed',
  /** A fresh code for the approval page, in strict mode (APR-7). */
  'approval-code',
  /** The approval mail could not be delivered. */
  'undeliverable',
] as const;
export type LetterKind = (typeof letterKinds)[number];

/** Whose letter it can be; the deputy gets what the Correspondent gets, in a letter of its own (AGR-5). */
export const addressees = ['requester', 'correspondent', 'team', 'supervisors', 'deputy'] as const;
export type Addressee = (typeof addressees)[number];

/** To whom: the address is looked up when the letter goes out, so that it goes to who it is then. */
export type Recipient = Exclude<Addressee, 'deputy'>;

/** A letter that is owed. Whoever sends it claims it first for a moment, so that two do not send it at once. */
export type Letter = {
  readonly letterId: string;
  readonly kind: LetterKind;
  readonly to: Addressee;
  readonly claimedUntil: Instant | null;
};

/** Which of the owed letters may be sent now: those that nobody else is sending. */
export function unclaimed(letters: readonly Letter[], now: Instant): readonly Letter[] {
  return letters.filter(({ claimedUntil }) => claimedUntil === null || claimedUntil <= now);
}

/**
 * While the Notices Correspondent has a deputy, each letter to the Correspondent is owed to the deputy as well (AGR-5):
 * a letter of its own, so that one that was sent is not sent again when the other could not be.
 */
export function withDeputy(letters: readonly Letter[], hasDeputy: boolean): readonly Letter[] {
  if (!hasDeputy) return letters;
  return letters.flatMap((letter): readonly Letter[] => {
    const letterId = `${letter.letterId}+deputy`;
    const isNew = letter.to === 'correspondent' && letter.claimedUntil === null;
    return isNew && !letters.some((each) => each.letterId === letterId)
      ? [letter, { ...letter, letterId, to: 'deputy' }]
      : [letter];
  });
}
