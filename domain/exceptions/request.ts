import type { AgreementNumbers, Person } from '../agreement.ts';
import type { AuditEvent } from '../audit-event.ts';
import type { CivilDate, Instant } from '../calendar/instant.ts';
import type { Product } from '../catalog.ts';
import type { ManualTransition, TransitionName } from '../exception-status.ts';
import { manualTransitions, transitionTable } from '../exception-status.ts';
import type { Policy } from '../policy.ts';
import type { ExceptionKind } from '../remedy.ts';
import type { Outbox } from './notification.ts';
import type { SlaClock } from './sla-clock.ts';

/** The eight items of a request (EXC-1), its language, and the Correspondent that it names, if any. */
export type RequestForm = AgreementNumbers & {
  readonly kind: ExceptionKind;
  readonly organizationName: string;
  readonly requester: Person;
  readonly product: Product;
  readonly keyLastFive: string;
  readonly activationsRequested: number;
  readonly businessReason: string;
  readonly requiredDate: CivilDate;
  readonly language: string;
  readonly noticesCorrespondent: Person | null;
};

/** The reasons for which the exceptions team reviews a request before the Correspondent is asked (EXC-8). */
export const flags = [
  'not-english',
  'above-review-threshold',
  'correspondent-differs',
  'required-before-due',
  'requester-is-correspondent',
  /** The Correspondent reports that somebody else made the recorded decision (APR-8). */
  'approval-disputed',
] as const;
export type Flag = (typeof flags)[number];

/** The decision of the Notices Correspondent: one for each approval round (APR-3). */
export type ApprovalDecision = {
  readonly decision: 'approve' | 'deny';
  readonly at: Instant;
  readonly by: string;
  readonly comment: string | null;
};

/**
 * One round of asking the Notices Correspondent to approve one exact number (EXC-7). A new number starts a new round.
 */
export type ApprovalRound = {
  readonly number: number;
  readonly askedAt: Instant;
  readonly remindersSent: number;
  /** The time of the report that the email did not reach the Correspondent; null without such a report. */
  readonly undeliverableAt: Instant | null;
  readonly decision: ApprovalDecision | null;
};

export type RequestState =
  | { readonly status: 'received' }
  | {
      readonly status: 'in-review';
      /** The team's last question and the requester's answer, while the team looks at the answer. */
      readonly answeredQuestion: { readonly question: string; readonly answer: string } | null;
    }
  | {
      readonly status: 'awaiting-requester';
      readonly question: string;
      readonly askedAt: Instant;
      readonly askedBy: string;
    }
  | { readonly status: 'awaiting-approval'; readonly round: ApprovalRound }
  | { readonly status: 'fulfilled'; readonly at: Instant; readonly round: ApprovalRound }
  | { readonly status: 'denied'; readonly at: Instant; readonly round: ApprovalRound }
  | {
      readonly status: 'rejected';
      readonly at: Instant;
      readonly by: string;
      readonly reason: string;
      readonly round: ApprovalRound | null;
    }
  | {
      readonly status: 'withdrawn';
      readonly at: Instant;
      readonly by: string;
      readonly reason: string | null;
      readonly round: ApprovalRound | null;
    }
  | {
      readonly status: 'lapsed';
      readonly at: Instant;
      readonly unresponsiveParty: 'requester' | 'correspondent';
      readonly round: ApprovalRound | null;
    };

/**
 * The workflow execution of a request. It only drives the request; every decision is made on the request itself.
 * `start-pending` and `resume-pending` are signals not yet delivered. The sweep delivers those that a crash lost
 * (APR-6).
 */
export type Execution = {
  readonly status: 'start-pending' | 'running' | 'waiting' | 'resume-pending' | 'ended';
  /** Counts the executions of this request. A lost execution is replaced by a new one. */
  readonly executionNumber: number;
  readonly since: Instant;
};

export type ExceptionRequest = Outbox & {
  readonly exceptionId: string;
  readonly agreementId: string;
  readonly keyId: string;
  readonly form: RequestForm;
  readonly flags: readonly Flag[];
  /** The number to grant: as requested, unless the team forwarded a smaller one. */
  readonly activations: number;
  readonly receivedAt: Instant;
  readonly state: RequestState;
  readonly clock: SlaClock;
  /** The number of approval rounds so far. */
  readonly rounds: number;
  /** The number of scheduled reminders sent to the team and to the supervisors (SLA-5). */
  readonly reminded: { readonly team: number; readonly supervisors: number };
  readonly execution: Execution;
};

/** A changed request, and the event to record in its ledger. */
export type Transition = { readonly request: ExceptionRequest; readonly event: AuditEvent };

/** Returns the open approval round, or the last one of a request that ended; null when there was none. */
export function approvalRoundOf(request: ExceptionRequest): ApprovalRound | null {
  return 'round' in request.state ? request.state.round : null;
}

/** Returns true when the request has ended: no transition leads out of its status (EXC-12). */
export function isFinal(request: ExceptionRequest): boolean {
  return Object.keys(transitionTable[request.state.status]).length === 0;
}

/** Returns the approval round that waits for a decision; null when there is none, or when it is decided. */
export function openRoundOf({ state }: ExceptionRequest): ApprovalRound | null {
  return state.status === 'awaiting-approval' && state.round.decision === null ? state.round : null;
}

/**
 * Returns true when a transition is allowed now (EXC-12). After a recorded approval only the team can reject (EXC-8,
 * EXC-10). `fulfill` and `dispute` need a decision: their rules check it themselves.
 */
export function isAllowed(request: ExceptionRequest, transition: TransitionName): boolean {
  const { status } = request.state;
  const isDecided = status === 'awaiting-approval' && openRoundOf(request) === null;
  return isDecided ? transition === 'reject' : transitionTable[status][transition] !== undefined;
}

/** Lists the transitions that people can make now. */
export function allowedTransitions(request: ExceptionRequest): readonly ManualTransition[] {
  return manualTransitions.filter((transition) => isAllowed(request, transition));
}

/** Returns true when the exceptions team reviews a request of this kind for this number (EXC-8). */
export function isAboveReviewThreshold(kind: ExceptionKind, activations: number, policy: Policy): boolean {
  return activations > policy.exceptions.reviewAbove[kind];
}

/** The next step of the workflow. It follows from the state of the request alone. */
export type NextStep = 'request-review' | 'request-approval' | 'request-information' | 'raise-limit' | 'end';

/** Chooses the next step: a flagged request goes to the team first, any other to the Correspondent (EXC-8). */
export function nextStepOf(request: ExceptionRequest): NextStep {
  const { state } = request;
  switch (state.status) {
    case 'received':
      return request.flags.length > 0 ? 'request-review' : 'request-approval';
    case 'in-review':
      return 'request-review';
    case 'awaiting-requester':
      return 'request-information';
    case 'awaiting-approval':
      return state.round.decision === null ? 'request-approval' : 'raise-limit';
    default:
      return 'end';
  }
}
