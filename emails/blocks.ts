import type { Block, Row } from './layout.ts';
import { quote } from './layout.ts';
import { agreement, amount, day, increase, key, keyInWords, requester } from './phrases.ts';
import type { LetterFacts } from './request-email.ts';
import { say } from './say.ts';

/** The request as it came, reason included: nothing that a decision hangs on is left out. */
export function requestInFull(facts: LetterFacts, ...more: readonly Row[]): readonly Block[] {
  const { intake } = facts.request;
  return [
    {
      is: 'facts',
      rows: [
        { label: say`Asked by`, value: requester(facts) },
        { label: say`Organization`, value: say`${facts.organizationName}, ${agreement(facts)}` },
        { label: say`Product`, value: say`${facts.productName}` },
        { label: say`Key`, value: keyInWords(facts) },
        { label: say`Asked for`, value: increase(facts) },
        ...askedAtFirst(facts),
        { label: say`Needed by`, value: day(intake.requiredDate) },
        ...more,
      ],
    },
    quote(say`The reason, in the words of ${intake.requester.name}:`, intake.businessReason),
  ];
}

/** The request in a few lines, for those who know it already. */
export function requestInShort(facts: LetterFacts, ...more: readonly Row[]): Block {
  return {
    is: 'facts',
    rows: [
      { label: say`Request`, value: say`${facts.request.exceptionId}` },
      { label: say`Organization`, value: say`${facts.organizationName}` },
      { label: say`Key`, value: say`${key(facts)}, ${facts.productName}` },
      { label: say`Asked for`, value: increase(facts) },
      ...askedAtFirst(facts),
      ...more,
    ],
  };
}

/** What the requester wanted, where the team put forward less (EXC-7). */
function askedAtFirst(facts: LetterFacts): readonly Row[] {
  const { activations, intake } = facts.request;
  return activations === intake.activationsRequested
    ? []
    : [{ label: say`Asked for at first`, value: amount(intake.activationsRequested, facts) }];
}

/** The limit as it is and as it would be. Only for a request that is still undecided: afterwards the limit may be either. */
export function limitBeforeAndAfter(facts: LetterFacts): readonly Row[] {
  return [
    { label: say`Limit now`, value: amount(facts.limit, facts) },
    { label: say`Limit if approved`, value: amount(facts.limit + facts.request.activations, facts) },
  ];
}

/** Where to see the request, if there is such a place. */
export function openRequest({ consoleUrl }: LetterFacts, label = say`See the request`): readonly Block[] {
  return consoleUrl === undefined ? [] : [{ is: 'action', label, url: consoleUrl, shown: false }];
}

/** What the Notices Correspondent added to a decision, if anything. */
export function commentOf(comment: string | null): readonly Block[] {
  return comment === null || comment.trim() === '' ? [] : [quote(say`With this comment:`, comment)];
}
