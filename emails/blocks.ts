import type { Block, Row } from './layout.ts';
import { quote } from './layout.ts';
import { agreement, amount, day, increase, key, keySpelledOut, requester } from './phrases.ts';
import type { EmailContext } from './request-email.ts';
import { say } from './say.ts';

/** The request as it came, reason included: nothing that a decision hangs on is left out. */
export function requestDetails(context: EmailContext, ...extraRows: readonly Row[]): readonly Block[] {
  const { form: intake } = context.request;
  return [
    {
      kind: 'details',
      rows: [
        { label: say`Asked by`, value: requester(context) },
        { label: say`Organization`, value: say`${context.organizationName}, ${agreement(context)}` },
        { label: say`Product`, value: say`${context.productName}` },
        { label: say`Key`, value: keySpelledOut(context) },
        { label: say`Asked for`, value: increase(context) },
        ...originalAmountRows(context),
        { label: say`Needed by`, value: day(intake.requiredDate) },
        ...extraRows,
      ],
    },
    quote(say`The reason, in the words of ${intake.requester.name}:`, intake.businessReason),
  ];
}

/** The request in a few lines, for those who know it already. */
export function requestSummary(context: EmailContext, ...extraRows: readonly Row[]): Block {
  return {
    kind: 'details',
    rows: [
      { label: say`Request`, value: say`${context.request.exceptionId}` },
      { label: say`Organization`, value: say`${context.organizationName}` },
      { label: say`Key`, value: say`${key(context)}, ${context.productName}` },
      { label: say`Asked for`, value: increase(context) },
      ...originalAmountRows(context),
      ...extraRows,
    ],
  };
}

/** What the requester wanted, where the team put forward less (EXC-7). */
function originalAmountRows(context: EmailContext): readonly Row[] {
  const { activations, form: intake } = context.request;
  return activations === intake.activationsRequested
    ? []
    : [{ label: say`Asked for at first`, value: amount(intake.activationsRequested, context) }];
}

/** The limit as it is and as it would be. Only for a request that is still undecided: afterwards the limit may be either. */
export function limitRows(context: EmailContext): readonly Row[] {
  return [
    { label: say`Limit now`, value: amount(context.limit, context) },
    { label: say`Limit if approved`, value: amount(context.limit + context.request.activations, context) },
  ];
}

/** Where to see the request, if there is such a place. */
export function requestAction({ consoleUrl }: EmailContext, label = say`See the request`): readonly Block[] {
  return consoleUrl === undefined ? [] : [{ kind: 'action', label, url: consoleUrl, showUrl: false }];
}

/** What the Notices Correspondent added to a decision, if anything. */
export function commentBlocks(comment: string | null): readonly Block[] {
  return comment === null || comment.trim() === '' ? [] : [quote(say`With this comment:`, comment)];
}
