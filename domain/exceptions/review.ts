import { serviceActor } from '../audit-event.ts';
import type { Context } from '../context.ts';
import type { Result } from '../refusal.ts';
import { refuse } from '../refusal.ts';
import { withNotification } from './notification.ts';
import type { ExceptionRequest, RequestState, Transition } from './request.ts';
import { allowedTransitions, approvalRoundOf } from './request.ts';
import { assignTo } from './sla-clock.ts';
import {
  inFinalState,
  inNewApprovalRound,
  inState,
  involvedParties,
  refuseTransition,
  refuseUnlessAllowed,
  toTransition,
} from './transition.ts';

/** Sends a received request to the exceptions team for review (EXC-8). */
export function requestReview(request: ExceptionRequest): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'review');
  if (refusal !== undefined) return refusal;
  const nextRequest = inState({ status: 'in-review', answeredQuestion: null }, request);
  return toTransition(withNotification(nextRequest, 'review-requested', ['team']), {
    actor: serviceActor,
    action: 'review-begun',
    detail: `Sent to the exceptions team for review: ${request.flags.join(', ')}.`,
  });
}

/** Asks the requester a question from the team. The SLA clock is paused until the answer (EXC-7, SLA-2). */
export function askQuestion(
  request: ExceptionRequest,
  text: string,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'question');
  if (refusal !== undefined) return refusal;
  const { actor, now, policy } = context;
  const nextRequest: ExceptionRequest = {
    ...inState({ status: 'awaiting-requester', question: text, askedAt: now, askedBy: actor }, request),
    clock: assignTo(request.clock, 'requester', now, policy),
  };
  const notifiedRequest = withNotification(nextRequest, 'question', ['requester']);
  return toTransition(notifiedRequest, { actor, action: 'question-put', detail: text });
}

/**
 * Records the requester's answer. The request returns to the team, and the clock resumes with the time left (SLA-2).
 */
export function answerQuestion(
  request: ExceptionRequest,
  text: string,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const { state } = request;
  if (state.status !== 'awaiting-requester') return refuseTransition(request, 'answer');
  const { actor, now, policy } = context;
  const answeredQuestion = { question: state.question, answer: text };
  const nextRequest: ExceptionRequest = {
    ...inState({ status: 'in-review', answeredQuestion }, request),
    clock: assignTo(request.clock, 'team', now, policy),
  };
  const notifiedRequest = withNotification(nextRequest, 'answered', ['team']);
  return toTransition(notifiedRequest, { actor, action: 'question-answered', detail: text });
}

/**
 * Forwards a request from the team to the Correspondent, for the requested number or a smaller one (EXC-7). During an
 * approval round, only another number can be forwarded. It starts a new round and makes the links of the open one void.
 */
export function forwardRequest(
  request: ExceptionRequest,
  activations: number | undefined,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const number = activations ?? request.activations;
  const refusal = refuseUnlessAllowed(request, 'forward');
  if (refusal !== undefined) return refusal;
  const hasOpenRound = request.state.status === 'awaiting-approval';
  if (hasOpenRound && number === request.activations) {
    return refuse(
      'not-in-that-state',
      `The Notices Correspondent is already asked to approve ${number}. Forward a different number, or wait for the decision.`,
      { currentStatus: request.state.status, allowed: allowedTransitions(request) },
    );
  }
  const { activationsRequested } = request.form;
  if (number > activationsRequested) {
    const message = `must be at most the requested ${activationsRequested}; to get more, submit a new request`;
    return refuse('invalid-request', `The number to forward ${message}.`, {
      errors: [{ pointer: '/activations', message }],
    });
  }
  const nextRequest = inNewApprovalRound(request, number, context);
  const voidNote = hasOpenRound ? ' The previous approval request is void.' : '';
  return toTransition(nextRequest, {
    actor: context.actor,
    action: 'forwarded',
    detail: `Forwarded to the Notices Correspondent for ${number}.${voidNote}`,
  });
}

/**
 * Rejects a request with the team's reason, at any time until the limit is raised, even after an approval (EXC-7,
 * EXC-8).
 */
export function rejectRequest(
  request: ExceptionRequest,
  reason: string,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'reject');
  if (refusal !== undefined) return refusal;
  const { actor, now } = context;
  const state: RequestState = { status: 'rejected', at: now, by: actor, reason, round: approvalRoundOf(request) };
  const nextRequest = inFinalState(state, request, context);
  const notifiedRequest = withNotification(nextRequest, 'rejected', involvedParties(request));
  return toTransition(notifiedRequest, { actor, action: 'rejected', detail: reason });
}

/** Withdraws a request for its requester, at any time until it is decided (EXC-10). */
export function withdrawRequest(
  request: ExceptionRequest,
  reason: string | null,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'withdraw');
  if (refusal !== undefined) return refusal;
  const { actor, now } = context;
  const state: RequestState = { status: 'withdrawn', at: now, by: actor, reason, round: approvalRoundOf(request) };
  const nextRequest = inFinalState(state, request, context);
  const notifiedRequest = withNotification(nextRequest, 'withdrawn', [...involvedParties(request), 'team']);
  return toTransition(notifiedRequest, { actor, action: 'withdrawn', detail: reason ?? 'No reason was given.' });
}
