export const exceptionStatuses = [
  'received',
  'in-review',
  'awaiting-requester',
  'awaiting-approval',
  'fulfilled',
  'denied',
  'rejected',
  'withdrawn',
  'lapsed',
] as const;
export type ExceptionStatus = (typeof exceptionStatuses)[number];

export const openStatuses = ['received', 'in-review', 'awaiting-requester', 'awaiting-approval'] as const;

/** The transitions that people make. Only these are offered as `allowed` in a refusal. */
export const manualTransitions = ['question', 'answer', 'forward', 'reject', 'withdraw', 'approve', 'deny'] as const;
export type ManualTransition = (typeof manualTransitions)[number];

/**
 * Every transition of a request. The service makes `review`, `ask`, `fulfill`, and `lapse` by itself. The Notices
 * Correspondent makes `dispute`, on a page of its own (APR-8).
 */
export const transitions = [...manualTransitions, 'review', 'ask', 'fulfill', 'lapse', 'dispute'] as const;
export type TransitionName = (typeof transitions)[number];

/**
 * The allowed transitions (EXC-12): for each status, the status that each transition leads to. The state diagram in the
 * documentation is generated from this table.
 */
export const transitionTable: Readonly<
  Record<ExceptionStatus, Readonly<Partial<Record<TransitionName, ExceptionStatus>>>>
> = {
  received: {
    review: 'in-review',
    ask: 'awaiting-approval',
    question: 'awaiting-requester',
    forward: 'awaiting-approval',
    reject: 'rejected',
    withdraw: 'withdrawn',
  },
  'in-review': {
    question: 'awaiting-requester',
    forward: 'awaiting-approval',
    reject: 'rejected',
    withdraw: 'withdrawn',
  },
  'awaiting-requester': {
    answer: 'in-review',
    reject: 'rejected',
    withdraw: 'withdrawn',
    lapse: 'lapsed',
  },
  'awaiting-approval': {
    question: 'awaiting-requester',
    forward: 'awaiting-approval',
    approve: 'awaiting-approval',
    deny: 'denied',
    fulfill: 'fulfilled',
    reject: 'rejected',
    withdraw: 'withdrawn',
    lapse: 'lapsed',
    dispute: 'in-review',
  },
  fulfilled: {},
  denied: {},
  rejected: {},
  withdrawn: {},
  lapsed: {},
};
