import type { Agreement } from '../agreement.ts';
import { isAuthorizedRequester, noticesCorrespondentAt, sameEmail } from '../agreement.ts';
import { dayIn } from '../calendar/business-time.ts';
import type { Context } from '../context.ts';
import type { Key } from '../keys/key.ts';
import { exceptionKindOf, refuseUnlessCovered, refuseUnlessLive } from '../keys/key.ts';
import { overrideAllowance, overrideRemedy } from '../keys/kms.ts';
import { callCenterHeadroom, callCenterMaximum } from '../keys/mak.ts';
import type { RefusalResult, Result } from '../refusal.ts';
import { refuse } from '../refusal.ts';
import { withNotification } from './notification.ts';
import type { ExceptionRequest, Flag, RequestForm, Transition } from './request.ts';
import { flags, isAboveReviewThreshold } from './request.ts';
import type { SlaClock } from './sla-clock.ts';
import { startClock } from './sla-clock.ts';

/** The stored data that a new request is checked against. */
export type IntakeContext = {
  /** The agreement with the numbers of the request, if the sender may see it. */
  readonly agreement: Agreement | undefined;
  /** The agreement's keys with the given last five characters, live keys first. */
  readonly keys: readonly Key[];
  /** Returns the id of the open request for a key, if there is one. */
  readonly openExceptionId: (keyId: string) => string | undefined;
};

/**
 * Receives a complete request and starts its SLA clock (SLA-1). The request schema has checked the form (EXC-1).
 *
 * Refuses a requester who is not on the Authorized Contact List (EXC-2), a key that does not belong to the agreement,
 * is not live, or is of another kind, a product that the key does not cover (EXC-3), a number that the call center can
 * still grant (EXC-4), and a second open request for the same key (EXC-5).
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
      'The requester’s name and email are not on the Authorized Contact List of this agreement. Check the agreement number and the requester’s details, or ask a listed contact to submit the request.',
    );
  }
  const key = intake.keys.find((each) => exceptionKindOf(each.type) === form.kind) ?? intake.keys[0];
  if (key === undefined) {
    return refuse(
      'key-not-found',
      `This agreement has no key that ends in ${form.keyLastFive}. Check the last five characters in the list of the agreement’s keys.`,
    );
  }
  if (exceptionKindOf(key.type) !== form.kind) {
    return refuse(
      'wrong-key-type',
      `The key ending in ${key.lastFive} is a ${key.type} key. Submit a ${exceptionKindOf(key.type)} request instead.`,
    );
  }
  const refusal =
    refuseUnlessLive(key) ??
    refuseUnlessCovered(key, form.product, policy) ??
    refuseIfCallCenterCanGrant(key, form.activationsRequested, context);
  if (refusal !== undefined) return refusal;
  const openExceptionId = intake.openExceptionId(key.keyId);
  if (openExceptionId !== undefined) return refuseSecondRequest(openExceptionId, key.lastFive);

  const clock = startClock(now, isEnglish(form.language), policy);
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

/** Refuses a second request for a key that has an open one (EXC-5). */
export function refuseSecondRequest(exceptionId: string, lastFive: string): RefusalResult {
  return refuse(
    'exception-already-open',
    `Request ${exceptionId} is already open for the key ending in ${lastFive}. Follow that request, or withdraw it before you submit another.`,
    { exceptionId },
  );
}

/** Refuses a number that the call center can still grant, and says what to ask for there (EXC-4). */
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
      `The call center can raise the limit of this key to ${callCenterMaximum(key, policy)}, which is ${headroom} more. Call the call center and ask for ${activations} more.`,
      { remedies: [{ kind: 'call-center-increase', available: true, maximum: headroom }] },
    );
  }
  const allowance = overrideAllowance(key, context);
  if (activations > allowance.remaining) return undefined;
  return refuse(
    'not-an-exception',
    `The call center can still grant ${allowance.remaining} overrides for this key, one a day. Call the call center while you are at the host.`,
    { remedies: [overrideRemedy(allowance)] },
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
    'above-review-threshold': isAboveReviewThreshold(form.kind, form.activationsRequested, policy),
    'correspondent-differs': namedCorrespondent !== null && !sameEmail(namedCorrespondent.email, correspondent.email),
    'required-before-due':
      clock.status === 'running' && form.requiredDate < dayIn(clock.dueAt, policy.supportCalendar.zone),
    'requester-is-correspondent': sameEmail(form.requester.email, correspondent.email),
    'approval-disputed': false,
  };
  return flags.filter((flag) => isRaised[flag]);
}
