import type { Block, Row } from './layout.ts';
import { quote } from './layout.ts';
import { agreement, amount, day, increase, key, keySpelledOut, requester } from './phrases.ts';
import type { EmailContext } from './request-email.ts';
import { say } from './say.ts';

/** Returns the complete request with its business reason: everything that a decision depends on. */
export function requestDetails(context: EmailContext, ...extraRows: readonly Row[]): readonly Block[] {
  const { form } = context.request;
  return [
    {
      kind: 'details',
      rows: [
        { label: say`Requested by`, value: requester(context) },
        { label: say`Organization`, value: say`${context.organizationName}, ${agreement(context)}` },
        { label: say`Product`, value: say`${context.productName}` },
        { label: say`Product key`, value: keySpelledOut(context) },
        { label: say`Requested`, value: increase(context) },
        ...originalAmountRows(context),
        { label: say`Needed by`, value: day(form.requiredDate) },
        ...extraRows,
      ],
    },
    quote(say`Business reason, as ${form.requester.name} gave it:`, form.businessReason),
  ];
}

/** Returns the request in a few lines, for readers who know it already. */
export function requestSummary(context: EmailContext, ...extraRows: readonly Row[]): Block {
  return {
    kind: 'details',
    rows: [
      { label: say`Request`, value: say`${context.request.exceptionId}` },
      { label: say`Organization`, value: say`${context.organizationName}` },
      { label: say`Product key`, value: say`${key(context)}, ${context.productName}` },
      { label: say`Requested`, value: increase(context) },
      ...originalAmountRows(context),
      ...extraRows,
    ],
  };
}

/** Returns the amount that the requester wanted, if the team forwarded a smaller one (EXC-7). */
function originalAmountRows(context: EmailContext): readonly Row[] {
  const { activations, form } = context.request;
  return activations === form.activationsRequested
    ? []
    : [{ label: say`Originally requested`, value: amount(form.activationsRequested, context) }];
}

/**
 * Returns the limit before and after an approval. Valid only while the request is undecided: later the limit may be
 * either.
 */
export function limitRows(context: EmailContext): readonly Row[] {
  return [
    { label: say`Current limit`, value: amount(context.limit, context) },
    { label: say`Limit if approved`, value: amount(context.limit + context.request.activations, context) },
  ];
}

/** Returns the button that opens the request in the console, if there is a console. */
export function requestAction({ consoleUrl }: EmailContext, label = say`View the request`): readonly Block[] {
  return consoleUrl === undefined ? [] : [{ kind: 'action', label, url: consoleUrl, showUrl: false }];
}

/** Returns the comment that came with a decision, if there is one. */
export function commentBlocks(comment: string | null): readonly Block[] {
  return comment === null || comment.trim() === '' ? [] : [quote(say`Comment:`, comment)];
}
