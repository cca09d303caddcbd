import type { AuditEvent } from '../audit-event.ts';
import { serviceActor } from '../audit-event.ts';
import type { Context } from '../context.ts';
import type { Grant } from '../keys/grant.ts';
import type { Key } from '../keys/key.ts';
import { refuseUnlessLive } from '../keys/key.ts';
import type { Policy } from '../policy.ts';
import type { RefusalResult, Result } from '../refusal.ts';
import { refuse } from '../refusal.ts';
import { withNotification } from './notification.ts';
import type { ApprovalDecision, ApprovalRound, ExceptionRequest, Transition } from './request.ts';
import { approvalRoundOf, flags, isAboveReviewThreshold, openRoundOf } from './request.ts';
import { rejectRequest } from './review.ts';
import { assignTo } from './sla-clock.ts';
import {
  inFinalState,
  inNewApprovalRound,
  inState,
  refuseTransition,
  refuseUnlessAllowed,
  toTransition,
} from './transition.ts';

/** Asks the Notices Correspondent to approve a received request that needs no review (EXC-6, EXC-8). */
export function requestApproval(
  request: ExceptionRequest,
  context: Pick<Context, 'now' | 'policy'>,
): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'ask');
  if (refusal !== undefined) return refusal;
  return toTransition(inNewApprovalRound(request, request.activations, context), {
    actor: serviceActor,
    action: 'approval-asked',
    detail: `The Notices Correspondent was asked to approve ${request.activations}.`,
  });
}

/**
 * Returns true if the code is sent separately from the link, on demand: strict mode (APR-7). The number that the
 * Correspondent is asked to approve decides, so that a larger request that the team forwards with a smaller number has
 * the code in its email.
 */
export function needsStrictApproval(
  { form, activations }: Pick<ExceptionRequest, 'form' | 'activations'>,
  policy: Policy,
): boolean {
  switch (policy.approval.strict) {
    case 'off':
      return false;
    case 'always':
      return true;
    case 'above-review-threshold':
      return isAboveReviewThreshold(form.kind, activations, policy);
  }
}

/**
 * Starts a new approval round because another person has become the Notices Correspondent (AGR-4). The links of the
 * open round become void. Refuses when no round is open: a recorded decision stays as it is.
 */
export function restartApproval(
  request: ExceptionRequest,
  context: Pick<Context, 'now' | 'policy'>,
): Result<Transition> {
  if (openRoundOf(request) === null) return refuseTransition(request, 'ask');
  return toTransition(inNewApprovalRound(request, request.activations, context), {
    actor: serviceActor,
    action: 'approval-asked',
    detail: 'The Notices Correspondent has changed. The new one was asked.',
  });
}

/**
 * Replaces an approval link that too many wrong codes made void: notifies the Correspondent with a new one (APR-2).
 * Refuses like `recordDecision` when no round is open.
 */
export function reissueApprovalLink(request: ExceptionRequest): Result<Transition> {
  const refusal = refuseUnlessRoundOpen(request, request.rounds);
  if (refusal !== undefined) return refusal;
  return toTransition(withNotification(request, 'approval-requested', ['correspondent']), {
    actor: serviceActor,
    action: 'link-voided',
    detail: 'Too many wrong codes were entered. The link is void, and a new one is sent.',
  });
}

/**
 * Records the decision of the Notices Correspondent in the open approval round (EXC-6, APR-3, APR-4). A denial ends the
 * request. After an approval, the workflow raises the limit.
 * Refuses a second decision (`already-decided`) and a decision in a void round (`link-void`).
 */
export function recordDecision(
  request: ExceptionRequest,
  roundNumber: number,
  choice: Pick<ApprovalDecision, 'decision' | 'comment'>,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const refusal = refuseUnlessRoundOpen(request, roundNumber);
  if (refusal !== undefined) return refusal;
  const openRound = openRoundOf(request);
  // Only for the compiler: `refuseUnlessRoundOpen` has refused every request without an open round.
  if (openRound === null) return refuseClosedRound();
  const { decision, comment } = choice;
  const { actor, now, policy } = context;
  const round: ApprovalRound = { ...openRound, decision: { decision, at: now, by: actor, comment } };
  const commentQuote = comment === null ? '' : ` “${comment}”`;
  if (decision === 'deny') {
    const nextRequest = inFinalState({ status: 'denied', at: now, round }, request, context);
    const requesterNotified = withNotification(nextRequest, 'denied', ['requester']);
    const notifiedRequest = withNotification(requesterNotified, 'decided', ['correspondent']);
    const detail = `The Notices Correspondent denied the request.${commentQuote}`;
    return toTransition(notifiedRequest, { actor, action: 'denied', detail });
  }
  const nextRequest: ExceptionRequest = {
    ...inState({ status: 'awaiting-approval', round }, request),
    clock: assignTo(request.clock, 'team', now, policy),
  };
  const notifiedRequest = withNotification(nextRequest, 'decided', ['requester', 'correspondent']);
  const detail = `The Notices Correspondent approved ${request.activations} more.${commentQuote}`;
  return toTransition(notifiedRequest, { actor, action: 'approved', detail });
}

/** Refuses a decision in a round that is decided, void, or not the open one; `undefined` while the round is open. */
export function refuseUnlessRoundOpen(request: ExceptionRequest, roundNumber: number): RefusalResult | undefined {
  const { status } = request.state;
  const round = approvalRoundOf(request);
  if (round === null || round.number !== roundNumber) {
    const isReplaced = request.rounds > roundNumber || status === 'awaiting-requester' || status === 'in-review';
    return isReplaced
      ? refuse(
          'link-void',
          'The request changed after we sent this email. If it still needs your decision, use the link in our latest email.',
          { because: 'replaced' },
        )
      : refuseClosedRound();
  }
  if (round.decision !== null) {
    return refuse(
      'already-decided',
      `This request was already ${round.decision.decision === 'approve' ? 'approved' : 'denied'}. Your answer changed nothing.`,
      { decision: round.decision.decision, decidedAt: round.decision.at },
    );
  }
  if (status === 'lapsed') {
    return refuse(
      'link-void',
      'The request lapsed because nobody decided in time. The requester can submit a new request.',
      { because: 'late' },
    );
  }
  return status === 'awaiting-approval' ? undefined : refuseClosedRound();
}

function refuseClosedRound(): RefusalResult {
  return refuse('link-void', 'The request was closed before you decided. You do not need to do anything.', {
    because: 'closed',
  });
}

/**
 * Records that the Correspondent did not make the recorded decision (APR-8). The request is flagged, and the team and
 * the supervisors are notified. An approval that has not raised the limit yet becomes void, and the request returns to
 * the team: it is `frozen`. A request that has ended stays as it is.
 */
export function disputeDecision(
  request: ExceptionRequest,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition & { readonly frozen: boolean }> {
  const { state } = request;
  const round = approvalRoundOf(request);
  if (round === null || round.decision === null) return refuseTransition(request, 'dispute');
  const { actor, now, policy } = context;
  const flaggedRequest: ExceptionRequest = {
    ...request,
    flags: flags.filter((flag) => flag === 'approval-disputed' || request.flags.includes(flag)),
  };
  const frozen = state.status === 'awaiting-approval';
  const nextRequest: ExceptionRequest = frozen
    ? {
        ...inState({ status: 'in-review', answeredQuestion: null }, flaggedRequest),
        clock: assignTo(request.clock, 'team', now, policy),
      }
    : flaggedRequest;
  const detail = frozen
    ? 'The Notices Correspondent reports that somebody else made this decision. The request is frozen.'
    : 'The Notices Correspondent reports that somebody else made this decision. The request had already ended.';
  const notifiedRequest = withNotification(nextRequest, 'disputed', ['team', 'supervisors']);
  return { ...toTransition(notifiedRequest, { actor, action: 'decision-disputed', detail }), frozen };
}

/**
 * Raises the limit by the approved number (EXC-9): MAKADD adds activations, KMSADD adds hosts. Refuses without a
 * recorded approval (EXC-6). If the key was blocked after the approval, the request ends as rejected and `granted` is
 * null.
 */
export function fulfillRequest(
  request: ExceptionRequest,
  key: Key,
  context: Pick<Context, 'now' | 'policy'>,
): Result<
  Transition & { readonly granted: { readonly key: Key; readonly grant: Grant; readonly event: AuditEvent } | null }
> {
  const { state } = request;
  if (state.status !== 'awaiting-approval' || state.round.decision?.decision !== 'approve') {
    return refuseTransition(request, 'fulfill');
  }
  const { decision } = state.round;
  const refusal = refuseUnlessLive(key);
  if (refusal !== undefined) {
    const reason = `The key was blocked before the limit was raised. ${refusal.refusal.detail}`;
    const rejection = rejectRequest(request, reason, { ...context, actor: serviceActor });
    return rejection.ok ? { ...rejection, granted: null } : rejection;
  }
  const grant: Grant = {
    kind: 'exception',
    amount: request.activations,
    at: context.now,
    by: serviceActor,
    reference: request.exceptionId,
    approvedBy: decision.by,
  };
  const summary = `The limit of the key ending in ${key.lastFive} was raised by ${grant.amount}.`;
  const nextRequest = inFinalState({ status: 'fulfilled', at: context.now, round: state.round }, request, context);
  const transition = toTransition(withNotification(nextRequest, 'fulfilled', ['requester', 'correspondent']), {
    actor: serviceActor,
    action: 'fulfilled',
    detail: summary,
  });
  const event: AuditEvent = {
    actor: decision.by,
    action: 'limit-raised',
    detail: `${summary} ${request.form.kind} ${request.exceptionId}: ${request.form.businessReason}`,
    reference: request.exceptionId,
  };
  return { ...transition, granted: { key: { ...key, grants: [...key.grants, grant] }, grant, event } };
}
