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

/** What can happen to a request. People make the first seven moves and the last; the service makes the others by itself. */
export const transitions = [
  'question',
  'answer',
  'forward',
  'reject',
  'withdraw',
  'approve',
  'deny',
  'review',
  'ask',
  'fulfill',
  'lapse',
  'dispute',
] as const;
export type TransitionName = (typeof transitions)[number];

/** The legal moves (EXC-12): from each state, where each move leads. The drawing in the docs is made from this table. */
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
