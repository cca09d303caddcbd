import type { AuditEvent } from '../audit-event.ts';
import type { Context } from '../context.ts';
import type { TransitionName } from '../exception-status.ts';
import type { RefusalResult } from '../refusal.ts';
import { refuse } from '../refusal.ts';
import type { DirectRecipient } from './notification.ts';
import { withNotification, withoutActionRequests } from './notification.ts';
import type { ApprovalRound, ExceptionRequest, RequestState, Transition } from './request.ts';
import { allowedTransitions, isAllowed } from './request.ts';
import { assignTo, stopClock } from './sla-clock.ts';

/**
 * Refuses a transition that the status, or a recorded decision, does not allow (EXC-12); `undefined` when it is
 * allowed.
 */
export function refuseUnlessAllowed(request: ExceptionRequest, transition: TransitionName): RefusalResult | undefined {
  return isAllowed(request, transition) ? undefined : refuseTransition(request, transition);
}

/** Builds the refusal of a transition that is not allowed now, with those that are. */
export function refuseTransition(request: ExceptionRequest, transition: TransitionName): RefusalResult {
  const { status } = request.state;
  const allowed = allowedTransitions(request);
  const alternatives =
    allowed.length > 0 ? `Possible now: ${allowed.join(', ')}.` : 'It has ended and cannot be changed.';
  return refuse('not-in-that-state', `The request is ${status}, so “${transition}” is not possible. ${alternatives}`, {
    currentStatus: status,
    allowed,
  });
}

/** Moves a request to a state. Unsent notifications that ask for an action in the former state are dropped. */
export function inState(state: RequestState, request: ExceptionRequest): ExceptionRequest {
  return { ...request, state, pendingNotifications: withoutActionRequests(request.pendingNotifications) };
}

/** Ends a request: moves it to a final state and stops its SLA clock. */
export function inFinalState(
  state: RequestState,
  request: ExceptionRequest,
  context: Pick<Context, 'now' | 'policy'>,
): ExceptionRequest {
  const nextRequest = inState(state, request);
  const pendingNotifications = nextRequest.pendingNotifications.filter(({ kind }) => kind !== 'due-soon');
  return { ...nextRequest, pendingNotifications, clock: stopClock(request.clock, context.now, context.policy) };
}

/** Starts a new approval round for a number (EXC-7). It makes the links of the previous round void. */
export function inNewApprovalRound(
  request: ExceptionRequest,
  activations: number,
  context: Pick<Context, 'now' | 'policy'>,
): ExceptionRequest {
  const roundNumber = request.rounds + 1;
  const round: ApprovalRound = {
    number: roundNumber,
    askedAt: context.now,
    remindersSent: 0,
    undeliverableAt: null,
    decision: null,
  };
  const nextRequest: ExceptionRequest = {
    ...inState({ status: 'awaiting-approval', round }, request),
    activations,
    rounds: roundNumber,
    clock: assignTo(request.clock, 'correspondent', context.now, context.policy),
  };
  return withNotification(withNotification(nextRequest, 'approval-requested', ['correspondent']), 'forwarded', [
    'requester',
  ]);
}

/** Completes a transition. If the workflow execution is waiting, the change makes a resume signal pending (APR-6). */
export function toTransition(
  request: ExceptionRequest,
  event: Omit<AuditEvent, 'reference'>,
): { readonly ok: true } & Transition {
  const { execution } = request;
  const nextRequest: ExceptionRequest =
    execution.status === 'waiting' ? { ...request, execution: { ...execution, status: 'resume-pending' } } : request;
  return { ok: true, request: nextRequest, event: { ...event, reference: request.exceptionId } };
}

/** Lists who has received emails about the request: the requester, and the Correspondent once asked (EXC-11). */
export function involvedParties(request: ExceptionRequest): readonly DirectRecipient[] {
  return request.rounds === 0 ? ['requester'] : ['requester', 'correspondent'];
}
