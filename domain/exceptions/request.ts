import type { Agreement, AgreementNumbers, Person } from '../agreement.ts';
import { isAuthorizedRequester, noticesCorrespondentAt, sameEmail } from '../agreement.ts';
import type { AuditEvent } from '../audit-event.ts';
import { serviceActor } from '../audit-event.ts';
import { dayIn } from '../calendar/business-time.ts';
import type { CivilDate, Instant } from '../calendar/instant.ts';
import type { Product } from '../catalog.ts';
import type { Context } from '../context.ts';
import type { TransitionName } from '../exception-status.ts';
import { transitionTable } from '../exception-status.ts';
import type { Grant } from '../keys/grant.ts';
import type { Key } from '../keys/key.ts';
import { exceptionKindOf, refuseUnlessCovered, refuseUnlessLive } from '../keys/key.ts';
import { overrideAllowance } from '../keys/kms.ts';
import { callCenterHeadroom, callCenterMaximum } from '../keys/mak.ts';
import type { RefusalResult, Result } from '../refusal.ts';
import { refuse } from '../refusal.ts';
import type { ExceptionKind } from '../remedy.ts';
import type { DirectRecipient, NotificationKind, Recipient, RequestNotification } from './notification.ts';
import type { SlaClock } from './sla-clock.ts';
import { assignTo, startClock, stopClock } from './sla-clock.ts';
/** The eight facts of a request (EXC-1), and its language and, if it named one, the Correspondent to ask. */
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
export const flags = [
  'not-english',
  'above-review-threshold',
  'correspondent-differs',
  'required-before-due',
  'requester-is-correspondent',
  /** The Correspondent said that the recorded decision was somebody else's (APR-8). */
  'approval-disputed',
] as const;
export type Flag = (typeof flags)[number];
/** What the Notices Correspondent decided: once per question (APR-3). */
export type ApprovalDecision = {
  readonly decision: 'approve' | 'deny';
  readonly at: Instant;
  readonly by: string;
  readonly comment: string | null;
};

/** One question to the Notices Correspondent about one exact number (EXC-7). A new number is a new question. */
export type ApprovalRound = {
  readonly number: number;
  readonly askedAt: Instant;
  readonly remindersSent: number;
  /** Since when we know that the mail which asks did not get to the Correspondent; null while nothing is known against it. */
  readonly undeliverableAt: Instant | null;
  readonly decision: ApprovalDecision | null;
};

export type RequestState =
  | { readonly status: 'received' }
  | {
      readonly status: 'in-review';
      /** What the requester answered to the team's last question, while it is being looked at. */
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
 * Where the workflow that drives the request is. It only drives: what is decided is decided by the request itself.
 * `to-start` and `to-wake` are signals that are owed; the sweep passes on what a crash left unsaid (APR-6).
 */
export type Execution = {
  readonly status: 'start-pending' | 'running' | 'waiting' | 'resume-pending' | 'ended';
  /** Which execution of the workflow this is; a new one is started when one was lost. */
  readonly executionNumber: number;
  readonly since: Instant;
};

export type ExceptionRequest = {
  readonly exceptionId: string;
  readonly agreementId: string;
  readonly keyId: string;
  readonly form: RequestForm;
  readonly flags: readonly Flag[];
  /** What would be granted: as requested, unless the team forwarded a smaller number. */
  readonly activations: number;
  readonly receivedAt: Instant;
  readonly state: RequestState;
  readonly clock: SlaClock;
  /** How many questions the Correspondent has been asked about it. */
  readonly rounds: number;
  /** How many of the scheduled reminders have been written to the team and to the supervisors (SLA-5). */
  readonly reminded: { readonly team: number; readonly supervisors: number };
  /** Letters that are owed, oldest first; each is sent once and then struck off (EXC-11). */
  readonly pendingNotifications: readonly RequestNotification[];
  readonly notificationCount: number;
  readonly execution: Execution;
};

/** A request and what is to be told of the change in its history. */
export type Transition = { readonly request: ExceptionRequest; readonly event: AuditEvent };

/** The open question, or the last one that was asked before the request ended; null when none was. */
export function approvalRoundOf(request: ExceptionRequest): ApprovalRound | null {
  return 'round' in request.state ? request.state.round : null;
}

/** Whether nothing can happen to the request any more (EXC-12). */
export function isFinal(request: ExceptionRequest): boolean {
  return Object.keys(transitionTable[request.state.status]).length === 0;
}

/** The moves that a person could make now. A recorded approval leaves only the team's stop (EXC-8, EXC-10). */
export function allowedTransitions(request: ExceptionRequest): readonly TransitionName[] {
  const manualTransitions: readonly TransitionName[] = [
    'question',
    'answer',
    'forward',
    'reject',
    'withdraw',
    'approve',
    'deny',
  ];
  const { state } = request;
  if (state.status === 'awaiting-approval' && state.round.decision !== null) return ['reject'];
  return manualTransitions.filter((transition) => transitionTable[state.status][transition] !== undefined);
}

/** What is known when a request comes in. */
export type IntakeContext = {
  /** The agreement that its numbers name, if there is one that the sender may see. */
  readonly agreement: Agreement | undefined;
  /** The agreement's keys that have those last five, live ones first. */
  readonly keys: readonly Key[];
  /** The request that is already open for the key, if any. */
  readonly openExceptionId: (keyId: string) => string | undefined;
};

/**
 * Takes a complete request (EXC-1 is settled at the door by its schema). Refuses a requester who is not on the list
 * (EXC-2), a key that is not the agreement's, live, and of the kind, or a product that it does not cover (EXC-3),
 * what the call centre could still give (EXC-4), and a second open request for a key (EXC-5). Starts the clock (SLA-1).
 */
export function receiveRequest(
  form: RequestForm,
  intake: IntakeContext,
  exceptionId: string,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const { actor, now, policy } = context;
  const { agreement } = intake;
  if (agreement === undefined || !isAuthorizedRequester(form.requester, agreement)) {
    return refuse(
      'requester-not-authorized',
      'The requester is not on the Authorized Contact List of this agreement, by e-mail and name. Check both numbers and names, or let a listed contact ask.',
    );
  }
  const key = intake.keys.find((each) => exceptionKindOf(each.type) === form.kind) ?? intake.keys[0];
  if (key === undefined) {
    return refuse(
      'key-not-found',
      `No key of this agreement ends in ${form.keyLastFive}. Look up the last five under the agreement's keys.`,
    );
  }
  if (exceptionKindOf(key.type) !== form.kind) {
    return refuse(
      'wrong-key-type',
      `The key ending in ${key.lastFive} is a ${key.type} key; ask for it by ${exceptionKindOf(key.type)}.`,
    );
  }
  const refusal =
    refuseUnlessLive(key) ??
    refuseUnlessCovered(key, form.product, policy) ??
    refuseIfCallCenterCanGrant(key, form.activationsRequested, context);
  if (refusal !== undefined) return refusal;
  const openExceptionId = intake.openExceptionId(key.keyId);
  if (openExceptionId !== undefined) return refuseSecondRequest(openExceptionId, key.lastFive);

  const isInEnglish = isEnglish(form.language);
  const clock = startClock(now, isInEnglish, policy);
  const request: ExceptionRequest = {
    exceptionId,
    agreementId: agreement.agreementId,
    keyId: key.keyId,
    form,
    flags: flagsOf(form, agreement, clock, context),
    activations: form.activationsRequested,
    receivedAt: now,
    state: { status: 'received' },
    clock,
    rounds: 0,
    reminded: { team: 0, supervisors: 0 },
    pendingNotifications: [],
    notificationCount: 0,
    execution: { status: 'start-pending', executionNumber: 1, since: now },
  };
  return {
    ok: true,
    request: withNotification(request, 'received', ['requester']),
    event: {
      actor,
      action: 'received',
      detail: `${form.kind} for ${form.activationsRequested} on the key ending in ${key.lastFive}: ${form.businessReason}`,
      reference: exceptionId,
    },
  };
}

/** The refusal of a second request for a key that has one open (EXC-5). */
export function refuseSecondRequest(exceptionId: string, lastFive: string): RefusalResult {
  return refuse(
    'exception-already-open',
    `Request ${exceptionId} is already open for the key ending in ${lastFive}. Follow that one, or withdraw it first.`,
    { exceptionId },
  );
}

/** What a phone call could still give is no exception: the refusal says what to ask there and how much (EXC-4). */
function refuseIfCallCenterCanGrant(
  key: Key,
  activations: number,
  context: Pick<Context, 'now' | 'policy'>,
): RefusalResult | undefined {
  const { policy } = context;
  if (key.type === 'MAK') {
    const headroom = callCenterHeadroom(key, policy);
    if (activations > headroom) return undefined;
    return refuse(
      'not-an-exception',
      `The call centre can raise this key to ${callCenterMaximum(key, policy)} during a call, which is ${headroom} more. Ask there for ${activations} more.`,
      { remedies: [{ kind: 'call-center-increase', available: true, maximum: headroom }] },
    );
  }
  const allowance = overrideAllowance(key, context);
  if (activations > allowance.remaining) return undefined;
  return refuse(
    'not-an-exception',
    `The call centre can still give this key ${allowance.remaining} more by overrides, one a day. Call from beside the host and ask there.`,
    {
      remedies: [
        {
          kind: 'override',
          available: allowance.available > 0,
          ...(allowance.availableAt === null ? {} : { availableAt: allowance.availableAt }),
          maximum: allowance.remaining,
        },
      ],
    },
  );
}

function isEnglish(language: string): boolean {
  return language.toLowerCase().split('-')[0] === 'en';
}

function flagsOf(
  form: RequestForm,
  agreement: Agreement,
  clock: SlaClock,
  context: Pick<Context, 'now' | 'policy'>,
): readonly Flag[] {
  const { now, policy } = context;
  const correspondent = noticesCorrespondentAt(agreement, now);
  const namedCorrespondent = form.noticesCorrespondent;
  const isRaised: Record<Flag, boolean> = {
    'not-english': !isEnglish(form.language),
    'above-review-threshold': form.activationsRequested > policy.exceptions.reviewAbove[form.kind],
    'correspondent-differs': namedCorrespondent !== null && !sameEmail(namedCorrespondent.email, correspondent.email),
    'required-before-due':
      clock.status === 'running' && form.requiredDate < dayIn(clock.dueAt, policy.supportCalendar.zone),
    'requester-is-correspondent': sameEmail(form.requester.email, correspondent.email),
    'approval-disputed': false,
  };
  return flags.filter((flag) => isRaised[flag]);
}

/** Where the workflow is to go from here. The state of the request alone says it. */
export type NextStep = 'request-review' | 'request-approval' | 'request-information' | 'raise-limit' | 'end';

/** Says where a request stands: flagged ones go to the team first, any other straight to the Correspondent (EXC-8). */
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

/** Puts a received request before the exceptions team (EXC-8). */
export function requestReview(request: ExceptionRequest): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'review');
  if (refusal !== undefined) return refusal;
  const nextRequest = withNotification(
    inState({ status: 'in-review', answeredQuestion: null }, request),
    'review-requested',
    ['team'],
  );
  const reasons = request.flags.join(', ');
  const detail = `Put before the exceptions team: ${reasons}.`;
  return toTransition(nextRequest, { actor: serviceActor, action: 'review-begun', detail });
}

/** Asks the Notices Correspondent about a received request that needs no review (EXC-6, EXC-8). */
export function requestApproval(
  request: ExceptionRequest,
  context: Pick<Context, 'now' | 'policy'>,
): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'ask');
  if (refusal !== undefined) return refusal;
  const nextRequest = startApprovalRound(request, request.activations, context);
  const detail = `The Notices Correspondent was asked to approve ${nextRequest.activations}.`;
  return toTransition(nextRequest, { actor: serviceActor, action: 'approval-asked', detail });
}

/**
 * The team forwards a request to the Correspondent, as it is or with a smaller number (EXC-7). While the Correspondent is
 * being asked already, only a change of the number is a new question: it voids the one that is out.
 */
export function forwardRequest(
  request: ExceptionRequest,
  activations: number | undefined,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const number = activations ?? request.activations;
  const refusal = refuseUnlessAllowed(request, 'forward');
  if (refusal !== undefined) return refusal;
  if (request.state.status === 'awaiting-approval' && number === request.activations) {
    return refuse(
      'not-in-that-state',
      `The Notices Correspondent is being asked about ${number} already. Forward another number, or wait for the answer.`,
      { status: request.state.status, allowed: allowedTransitions(request) },
    );
  }
  if (number > request.form.activationsRequested) {
    const requestedActivations = request.form.activationsRequested;
    const message = `must be at most the ${requestedActivations} that were requested; a larger number is a new request`;
    return refuse('invalid-request', `The number to forward ${message}.`, {
      errors: [{ pointer: '/activations', message }],
    });
  }
  const nextRequest = startApprovalRound(request, number, context);
  const voidNote = request.state.status === 'awaiting-approval' ? ' The question that was out is void.' : '';
  const detail = `Forwarded to the Notices Correspondent for ${number}.${voidNote}`;
  return toTransition(nextRequest, { actor: context.actor, action: 'forwarded', detail });
}

function startApprovalRound(
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

/** The team puts a question to the requester; the clock stands until the answer (EXC-7, SLA-2). */
export function askQuestion(
  request: ExceptionRequest,
  text: string,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'question');
  if (refusal !== undefined) return refusal;
  const nextRequest = withNotification(
    {
      ...inState(
        { status: 'awaiting-requester', question: text, askedAt: context.now, askedBy: context.actor },
        request,
      ),
      clock: assignTo(request.clock, 'requester', context.now, context.policy),
    },
    'question',
    ['requester'],
  );
  return toTransition(nextRequest, { actor: context.actor, action: 'question-put', detail: text });
}

/** The requester answers; the request is before the team again and the clock runs on with what was left (SLA-2). */
export function answerQuestion(
  request: ExceptionRequest,
  text: string,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const { state } = request;
  if (state.status !== 'awaiting-requester') return refuseTransition(request, 'answer');
  const answeredQuestion = { question: state.question, answer: text };
  const nextRequest = withNotification(
    {
      ...inState({ status: 'in-review', answeredQuestion }, request),
      clock: assignTo(request.clock, 'team', context.now, context.policy),
    },
    'answered',
    ['team'],
  );
  return toTransition(nextRequest, { actor: context.actor, action: 'question-answered', detail: text });
}

/** The team rejects with a reason: at any time until the limit was raised, even after an approval (EXC-7, EXC-8). */
export function rejectRequest(
  request: ExceptionRequest,
  reason: string,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'reject');
  if (refusal !== undefined) return refusal;
  const { actor, now } = context;
  const nextRequest = inFinalState(
    request,
    { status: 'rejected', at: now, by: actor, reason, round: approvalRoundOf(request) },
    context,
  );
  return toTransition(withNotification(nextRequest, 'rejected', involvedParties(request)), {
    actor,
    action: 'rejected',
    detail: reason,
  });
}

/** The requester withdraws, until it is decided (EXC-10). */
export function withdrawRequest(
  request: ExceptionRequest,
  reason: string | null,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'withdraw');
  if (refusal !== undefined) return refusal;
  const { actor, now } = context;
  const nextRequest = inFinalState(
    request,
    { status: 'withdrawn', at: now, by: actor, reason, round: approvalRoundOf(request) },
    context,
  );
  const detail = reason ?? 'No reason was given.';
  return toTransition(withNotification(nextRequest, 'withdrawn', [...involvedParties(request), 'team']), {
    actor,
    action: 'withdrawn',
    detail,
  });
}

/**
 * Records what the Notices Correspondent decided about the question that is out (EXC-6, APR-3, APR-4).
 * A denial ends the request. An approval is recorded, and the limit is raised by the workflow after.
 * Refuses a second decision (`already-decided`) and one about a question that is void (`link-void`).
 */
export function recordDecision(
  request: ExceptionRequest,
  roundNumber: number,
  choice: { readonly decision: 'approve' | 'deny'; readonly comment: string | null },
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition> {
  const refusal = refuseUnlessRoundOpen(request, roundNumber);
  const { state } = request;
  if (refusal !== undefined || state.status !== 'awaiting-approval') return refusal ?? refuseClosedRound();
  const { decision, comment } = choice;
  const { actor, now } = context;
  const round: ApprovalRound = { ...state.round, decision: { decision, at: now, by: actor, comment } };
  const commentQuote = comment === null ? '' : ` “${comment}”`;
  if (decision === 'deny') {
    const nextRequest = inFinalState(request, { status: 'denied', at: now, round }, context);
    const notifiedRequest = withNotification(withNotification(nextRequest, 'denied', ['requester']), 'decided', [
      'correspondent',
    ]);
    const detail = `The Notices Correspondent denied the request.${commentQuote}`;
    return toTransition(notifiedRequest, { actor, action: 'denied', detail });
  }
  const nextRequest: ExceptionRequest = {
    ...inState({ status: 'awaiting-approval', round }, request),
    clock: assignTo(request.clock, 'team', context.now, context.policy),
  };
  const notifiedRequest = withNotification(nextRequest, 'decided', ['requester', 'correspondent']);
  const detail = `The Notices Correspondent approved ${request.activations} more.${commentQuote}`;
  return toTransition(notifiedRequest, { actor, action: 'approved', detail });
}

/** Refuses an answer to a question that is decided, void, or not the one that is out; `undefined` while it is out. */
export function refuseUnlessRoundOpen(request: ExceptionRequest, roundNumber: number): RefusalResult | undefined {
  const round = approvalRoundOf(request);
  if (round === null || round.number !== roundNumber) {
    return request.rounds > roundNumber ||
      request.state.status === 'awaiting-requester' ||
      request.state.status === 'in-review'
      ? refuse(
          'link-void',
          'The request was changed after this mail was sent. If it still needs you, a newer mail asks.',
          {
            because: 'replaced',
          },
        )
      : refuseClosedRound();
  }
  if (round.decision !== null) {
    return refuse(
      'already-decided',
      `This request was ${round.decision.decision === 'approve' ? 'approved' : 'denied'} already. Nothing has been changed.`,
      { decision: round.decision.decision, decidedAt: round.decision.at },
    );
  }
  if (request.state.status === 'lapsed') {
    return refuse('link-void', 'The time to answer is over, and the request has lapsed. It can be asked again.', {
      because: 'late',
    });
  }
  return request.state.status === 'awaiting-approval' ? undefined : refuseClosedRound();
}

function refuseClosedRound(): RefusalResult {
  return refuse('link-void', 'The request was closed before you answered. There is nothing left to decide.', {
    because: 'closed',
  });
}

/**
 * After too many wrong codes the link is void, and a new one is owed to the Correspondent (APR-2). Refuses, as a decision
 * would be, when nothing is being asked any more.
 */
export function reissueApprovalLink(request: ExceptionRequest): Result<Transition> {
  const refusal = refuseUnlessRoundOpen(request, request.rounds);
  if (refusal !== undefined) return refusal;
  const nextRequest = withNotification(request, 'approval-requested', ['correspondent']);
  const detail = 'Too many wrong codes were entered: the link is void, a new one is mailed.';
  return toTransition(nextRequest, { actor: serviceActor, action: 'link-voided', detail });
}

/**
 * The Correspondent says that the recorded decision was somebody else's (APR-8). An approval that has not raised the limit
 * yet is void: the request is frozen, before the team again and flagged. What has ended stays as it is, and the team is
 * alarmed: `frozen` says which of the two it was.
 */
export function disputeDecision(
  request: ExceptionRequest,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<Transition & { readonly frozen: boolean }> {
  const { state } = request;
  const round = approvalRoundOf(request);
  if (round === null || round.decision === null) return refuseTransition(request, 'dispute');
  const deed = { actor: context.actor, action: 'decision-disputed' };
  const flaggedRequest = {
    ...request,
    flags: flags.filter((flag) => flag === 'approval-disputed' || request.flags.includes(flag)),
  };
  if (state.status !== 'awaiting-approval') {
    const notifiedRequest = withNotification(flaggedRequest, 'disputed', ['team', 'supervisors']);
    const detail = 'The Correspondent says: “this was not me”, after it had ended.';
    return { ...toTransition(notifiedRequest, { ...deed, detail }), frozen: false };
  }
  const nextRequest = {
    ...inState({ status: 'in-review', answeredQuestion: null }, flaggedRequest),
    clock: assignTo(request.clock, 'team', context.now, context.policy),
  };
  const notifiedRequest = withNotification(nextRequest, 'disputed', ['team', 'supervisors']);
  const detail = 'The Correspondent says: “this was not me”. The request is frozen.';
  return { ...toTransition(notifiedRequest, { ...deed, detail }), frozen: true };
}

/**
 * Asks anew when somebody else has become the Correspondent: the question that is out is void, and the new one is asked
 * (AGR-4). A question that is decided stays decided.
 */
export function restartApproval(
  request: ExceptionRequest,
  context: Pick<Context, 'now' | 'policy'>,
): Result<Transition> {
  const { state } = request;
  if (state.status !== 'awaiting-approval' || state.round.decision !== null) return refuseTransition(request, 'ask');
  const nextRequest = startApprovalRound(request, request.activations, context);
  const detail = 'The Notices Correspondent has changed: the new one was asked.';
  return toTransition(nextRequest, { actor: serviceActor, action: 'approval-asked', detail });
}

/**
 * Raises the limit by the number approved (EXC-9): MAKADD adds activations, KMSADD adds host places. Without a recorded
 * approval nothing is ever granted (EXC-6). A key that was blocked meanwhile gets nothing: the request ends, rejected.
 */
export function fulfill(
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
  const nextRequest = inFinalState(request, { status: 'fulfilled', at: context.now, round: state.round }, context);
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

/** Lets a request lapse whose requester or Correspondent did not answer (SLA-6). */
export function lapseRequest(request: ExceptionRequest, context: Pick<Context, 'now' | 'policy'>): Result<Transition> {
  const refusal = refuseUnlessAllowed(request, 'lapse');
  if (refusal !== undefined) return refusal;
  const unresponsiveParty = request.state.status === 'awaiting-requester' ? 'requester' : 'correspondent';
  const nextRequest = inFinalState(
    request,
    { status: 'lapsed', at: context.now, unresponsiveParty, round: approvalRoundOf(request) },
    context,
  );
  const notifiedRequest = withNotification(nextRequest, 'lapsed', [...involvedParties(request), 'team']);
  const partyName = unresponsiveParty === 'requester' ? 'requester' : 'Notices Correspondent';
  const days = context.policy.exceptions.lapsesAfterBusinessDays;
  const detail = `The ${partyName} did not answer within ${days} business days.`;
  return toTransition(notifiedRequest, { actor: serviceActor, action: 'lapsed', detail });
}

/** Adds a letter that is owed; the same decision never writes it twice, since it is written with the decision. */
export function withNotification(
  request: ExceptionRequest,
  kind: NotificationKind,
  to: readonly Recipient[],
): ExceptionRequest {
  const notifications = to.map((recipient, index) => ({
    notificationId: `${request.notificationCount + index + 1}-${kind}-${recipient}`,
    kind,
    to: recipient,
    claimedUntil: null,
  }));
  return {
    ...request,
    pendingNotifications: [...request.pendingNotifications, ...notifications],
    notificationCount: request.notificationCount + notifications.length,
  };
}

/** Who has heard of the request so far: the requester, and the Correspondent if ever asked about it (EXC-11). */
function involvedParties(request: ExceptionRequest): readonly DirectRecipient[] {
  return request.rounds === 0 ? ['requester'] : ['requester', 'correspondent'];
}

/** Letters that ask somebody to act on the stage that a request is in. */
const actionNotificationKinds: readonly NotificationKind[] = [
  'review-requested',
  'question',
  'approval-requested',
  'approval-reminder',
];

// A call to act that has not gone out yet is no longer true of a request that has moved on, and is never sent.
function inState(state: RequestState, request: ExceptionRequest): ExceptionRequest {
  return {
    ...request,
    state,
    pendingNotifications: request.pendingNotifications.filter(({ kind }) => !actionNotificationKinds.includes(kind)),
  };
}

function inFinalState(
  request: ExceptionRequest,
  state: RequestState,
  context: Pick<Context, 'now' | 'policy'>,
): ExceptionRequest {
  const nextRequest = inState(state, request);
  const pendingNotifications = nextRequest.pendingNotifications.filter(({ kind }) => kind !== 'due-soon');
  return { ...nextRequest, pendingNotifications, clock: stopClock(request.clock, context.now, context.policy) };
}

/** Every move of a parked request owes its workflow a wake-up (APR-6). */
function toTransition(
  request: ExceptionRequest,
  deed: Omit<AuditEvent, 'reference'>,
): { readonly ok: true } & Transition {
  const { execution } = request;
  const nextRequest: ExceptionRequest =
    execution.status === 'waiting' ? { ...request, execution: { ...execution, status: 'resume-pending' } } : request;
  return { ok: true, request: nextRequest, event: { ...deed, reference: request.exceptionId } };
}

function refuseUnlessAllowed(request: ExceptionRequest, transition: TransitionName): RefusalResult | undefined {
  // Once an approval is recorded, `fulfil` and `dispute` look at that themselves; of all others the team's stop is left.
  const isDecided = request.state.status === 'awaiting-approval' && request.state.round.decision !== null;
  const isAllowed = isDecided
    ? transition === 'reject'
    : transitionTable[request.state.status][transition] !== undefined;
  return isAllowed ? undefined : refuseTransition(request, transition);
}

function refuseTransition(request: ExceptionRequest, transition: TransitionName): RefusalResult {
  const allowed = allowedTransitions(request);
  const status = request.state.status;
  const alternatives =
    allowed.length > 0 ? `What can be done now: ${allowed.join(', ')}.` : 'It has ended; nothing can be done to it.';
  return refuse('not-in-that-state', `A request that is ${status} does not take “${transition}”. ${alternatives}`, {
    status,
    allowed,
  });
}
