import type { Agreement, AgreementNumbers, Person } from '../agreement.ts';
import { isAuthorizedRequester, noticesCorrespondentAt, sameEmail } from '../agreement.ts';
import type { Deed } from '../audit-event.ts';
import { theService } from '../audit-event.ts';
import { dayIn } from '../calendar/business-time.ts';
import type { CivilDate, Instant } from '../calendar/instant.ts';
import type { Product } from '../catalog.ts';
import type { Context } from '../context.ts';
import type { Move } from '../exception-status.ts';
import { legalMoves } from '../exception-status.ts';
import type { Grant } from '../keys/grant.ts';
import type { Key } from '../keys/key.ts';
import { exceptionKindOf, refusedUnlessCovered, refusedUnlessLive } from '../keys/key.ts';
import { overrideAllowance } from '../keys/kms.ts';
import { callCenterHeadroom, callCenterMaximum } from '../keys/mak.ts';
import type { Decided, Refused } from '../refusal.ts';
import { refuse } from '../refusal.ts';
import type { ExceptionKind } from '../remedy.ts';
import type { Addressee, Letter, LetterKind, Recipient } from './notification.ts';
import type { Clock } from './sla-clock.ts';
import { handOver, startClock, stopClock } from './sla-clock.ts';
/** The eight facts of a request (EXC-1), and its language and, if it named one, the Correspondent to ask. */
export type Intake = AgreementNumbers & {
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
export type Decision = {
  readonly decision: 'approve' | 'deny';
  readonly at: Instant;
  readonly by: string;
  readonly comment: string | null;
};

/** One question to the Notices Correspondent about one exact number (EXC-7). A new number is a new question. */
export type Ask = {
  readonly askNumber: number;
  readonly askedAt: Instant;
  readonly remindersSent: number;
  /** Since when we know that the mail which asks did not get to the Correspondent; null while nothing is known against it. */
  readonly undeliverableAt: Instant | null;
  readonly decision: Decision | null;
};

export type Stage =
  | { readonly is: 'received' }
  | {
      readonly is: 'in-review';
      /** What the requester answered to the team's last question, while it is being looked at. */
      readonly answered: { readonly question: string; readonly answer: string } | null;
    }
  | {
      readonly is: 'awaiting-requester';
      readonly question: string;
      readonly askedAt: Instant;
      readonly askedBy: string;
    }
  | { readonly is: 'awaiting-approval'; readonly ask: Ask }
  | { readonly is: 'fulfilled'; readonly at: Instant; readonly ask: Ask }
  | { readonly is: 'denied'; readonly at: Instant; readonly ask: Ask }
  | {
      readonly is: 'rejected';
      readonly at: Instant;
      readonly by: string;
      readonly reason: string;
      readonly ask: Ask | null;
    }
  | {
      readonly is: 'withdrawn';
      readonly at: Instant;
      readonly by: string;
      readonly reason: string | null;
      readonly ask: Ask | null;
    }
  | {
      readonly is: 'lapsed';
      readonly at: Instant;
      readonly silent: 'requester' | 'correspondent';
      readonly ask: Ask | null;
    };

/**
 * Where the workflow that drives the request is. It only drives: what is decided is decided by the request itself.
 * `to-start` and `to-wake` are signals that are owed; the sweep passes on what a crash left unsaid (APR-6).
 */
export type Drive = {
  readonly is: 'to-start' | 'awake' | 'parked' | 'to-wake' | 'ended';
  /** Which execution of the workflow this is; a new one is started when one was lost. */
  readonly attempt: number;
  readonly since: Instant;
};

export type ExceptionRequest = {
  readonly exceptionId: string;
  readonly agreementId: string;
  readonly keyId: string;
  readonly intake: Intake;
  readonly flags: readonly Flag[];
  /** What would be granted: as requested, unless the team forwarded a smaller number. */
  readonly activations: number;
  readonly receivedAt: Instant;
  readonly stage: Stage;
  readonly clock: Clock;
  /** How many questions the Correspondent has been asked about it. */
  readonly asks: number;
  /** How many of the scheduled reminders have been written to the team and to the supervisors (SLA-5). */
  readonly reminded: { readonly team: number; readonly supervisors: number };
  /** Letters that are owed, oldest first; each is sent once and then struck off (EXC-11). */
  readonly letters: readonly Letter[];
  readonly lettersWritten: number;
  readonly drive: Drive;
};

/** A request and what is to be told of the change in its history. */
export type Changed = { readonly request: ExceptionRequest; readonly deed: Deed };

/** The open question, or the last one that was asked before the request ended; null when none was. */
export function askOf(request: ExceptionRequest): Ask | null {
  return 'ask' in request.stage ? request.stage.ask : null;
}

/** Whether nothing can happen to the request any more (EXC-12). */
export function isFinal(request: ExceptionRequest): boolean {
  return Object.keys(legalMoves[request.stage.is]).length === 0;
}

/** The moves that a person could make now. A recorded approval leaves only the team's stop (EXC-8, EXC-10). */
export function allowedMoves(request: ExceptionRequest): readonly Move[] {
  const byPeople: readonly Move[] = ['question', 'answer', 'forward', 'reject', 'withdraw', 'approve', 'deny'];
  const { stage } = request;
  if (stage.is === 'awaiting-approval' && stage.ask.decision !== null) return ['reject'];
  return byPeople.filter((move) => legalMoves[stage.is][move] !== undefined);
}

/** What is known when a request comes in. */
export type Known = {
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
export function receive(
  intake: Intake,
  known: Known,
  exceptionId: string,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Decided<Changed> {
  const { actor, now, policy } = context;
  const { agreement } = known;
  if (agreement === undefined || !isAuthorizedRequester(intake.requester, agreement)) {
    return refuse(
      'requester-not-authorized',
      'The requester is not on the Authorized Contact List of this agreement, by e-mail and name. Check both numbers and names, or let a listed contact ask.',
    );
  }
  const key = known.keys.find((each) => exceptionKindOf(each.type) === intake.kind) ?? known.keys[0];
  if (key === undefined) {
    return refuse(
      'key-not-found',
      `No key of this agreement ends in ${intake.keyLastFive}. Look up the last five under the agreement's keys.`,
    );
  }
  if (exceptionKindOf(key.type) !== intake.kind) {
    return refuse(
      'wrong-key-type',
      `The key ending in ${key.lastFive} is a ${key.type} key; ask for it by ${exceptionKindOf(key.type)}.`,
    );
  }
  const no =
    refusedUnlessLive(key) ??
    refusedUnlessCovered(key, intake.product, policy) ??
    refusedIfCallCenterCanGive(key, intake.activationsRequested, context);
  if (no !== undefined) return no;
  const open = known.openExceptionId(key.keyId);
  if (open !== undefined) return refusedAsOpen(open, key.lastFive);

  const inEnglish = isEnglish(intake.language);
  const clock = startClock(now, inEnglish, policy);
  const request: ExceptionRequest = {
    exceptionId,
    agreementId: agreement.agreementId,
    keyId: key.keyId,
    intake,
    flags: flagsOf(intake, agreement, clock, context),
    activations: intake.activationsRequested,
    receivedAt: now,
    stage: { is: 'received' },
    clock,
    asks: 0,
    reminded: { team: 0, supervisors: 0 },
    letters: [],
    lettersWritten: 0,
    drive: { is: 'to-start', attempt: 1, since: now },
  };
  return {
    ok: true,
    request: write(request, 'received', ['requester']),
    deed: {
      actor,
      action: 'received',
      detail: `${intake.kind} for ${intake.activationsRequested} on the key ending in ${key.lastFive}: ${intake.businessReason}`,
      reference: exceptionId,
    },
  };
}

/** The refusal of a second request for a key that has one open (EXC-5). */
export function refusedAsOpen(exceptionId: string, lastFive: string): Refused {
  return refuse(
    'exception-already-open',
    `Request ${exceptionId} is already open for the key ending in ${lastFive}. Follow that one, or withdraw it first.`,
    { exceptionId },
  );
}

/** What a phone call could still give is no exception: the refusal says what to ask there and how much (EXC-4). */
function refusedIfCallCenterCanGive(
  key: Key,
  requested: number,
  context: Pick<Context, 'now' | 'policy'>,
): Refused | undefined {
  const { policy } = context;
  if (key.type === 'MAK') {
    const headroom = callCenterHeadroom(key, policy);
    if (requested > headroom) return undefined;
    return refuse(
      'not-an-exception',
      `The call centre can raise this key to ${callCenterMaximum(key, policy)} during a call, which is ${headroom} more. Ask there for ${requested} more.`,
      { remedies: [{ kind: 'call-center-increase', available: true, maximum: headroom }] },
    );
  }
  const allowance = overrideAllowance(key, context);
  if (requested > allowance.remaining) return undefined;
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
  intake: Intake,
  agreement: Agreement,
  clock: Clock,
  context: Pick<Context, 'now' | 'policy'>,
): readonly Flag[] {
  const { now, policy } = context;
  const correspondent = noticesCorrespondentAt(agreement, now);
  const named = intake.noticesCorrespondent;
  const raised: Record<Flag, boolean> = {
    'not-english': !isEnglish(intake.language),
    'above-review-threshold': intake.activationsRequested > policy.exceptions.reviewAbove[intake.kind],
    'correspondent-differs': named !== null && !sameEmail(named.email, correspondent.email),
    'required-before-due':
      clock.is === 'running' && intake.requiredDate < dayIn(clock.dueAt, policy.supportCalendar.zone),
    'requester-is-correspondent': sameEmail(intake.requester.email, correspondent.email),
    'approval-disputed': false,
  };
  return flags.filter((flag) => raised[flag]);
}

/** Where the workflow is to go from here. The state of the request alone says it. */
export type Standing = 'review' | 'ask-correspondent' | 'ask-requester' | 'fulfil' | 'end';

/** Says where a request stands: flagged ones go to the team first, any other straight to the Correspondent (EXC-8). */
export function standingOf(request: ExceptionRequest): Standing {
  const { stage } = request;
  switch (stage.is) {
    case 'received':
      return request.flags.length > 0 ? 'review' : 'ask-correspondent';
    case 'in-review':
      return 'review';
    case 'awaiting-requester':
      return 'ask-requester';
    case 'awaiting-approval':
      return stage.ask.decision === null ? 'ask-correspondent' : 'fulfil';
    default:
      return 'end';
  }
}

/** Puts a received request before the exceptions team (EXC-8). */
export function beginReview(request: ExceptionRequest): Decided<Changed> {
  const illegal = refusedUnlessLegal(request, 'review');
  if (illegal !== undefined) return illegal;
  const next = write(movedTo({ is: 'in-review', answered: null }, request), 'review-wanted', ['team']);
  const why = request.flags.join(', ');
  const detail = `Put before the exceptions team: ${why}.`;
  return changed(next, { actor: theService, action: 'review-begun', detail });
}

/** Asks the Notices Correspondent about a received request that needs no review (EXC-6, EXC-8). */
export function askCorrespondent(
  request: ExceptionRequest,
  context: Pick<Context, 'now' | 'policy'>,
): Decided<Changed> {
  const illegal = refusedUnlessLegal(request, 'ask');
  if (illegal !== undefined) return illegal;
  const next = asked(request, request.activations, context);
  const detail = `The Notices Correspondent was asked to approve ${next.activations}.`;
  return changed(next, { actor: theService, action: 'approval-asked', detail });
}

/**
 * The team forwards a request to the Correspondent, as it is or with a smaller number (EXC-7). While the Correspondent is
 * being asked already, only a change of the number is a new question: it voids the one that is out.
 */
export function forward(
  request: ExceptionRequest,
  activations: number | undefined,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Decided<Changed> {
  const number = activations ?? request.activations;
  const illegal = refusedUnlessLegal(request, 'forward');
  if (illegal !== undefined) return illegal;
  if (request.stage.is === 'awaiting-approval' && number === request.activations) {
    return refuse(
      'not-in-that-state',
      `The Notices Correspondent is being asked about ${number} already. Forward another number, or wait for the answer.`,
      { status: request.stage.is, allowed: allowedMoves(request) },
    );
  }
  if (number > request.intake.activationsRequested) {
    const most = request.intake.activationsRequested;
    const message = `must be at most the ${most} that were requested; a larger number is a new request`;
    return refuse('invalid-request', `The number to forward ${message}.`, {
      errors: [{ pointer: '/activations', message }],
    });
  }
  const next = asked(request, number, context);
  const told = request.stage.is === 'awaiting-approval' ? ' The question that was out is void.' : '';
  const detail = `Forwarded to the Notices Correspondent for ${number}.${told}`;
  return changed(next, { actor: context.actor, action: 'forwarded', detail });
}

function asked(
  request: ExceptionRequest,
  activations: number,
  context: Pick<Context, 'now' | 'policy'>,
): ExceptionRequest {
  const askNumber = request.asks + 1;
  const ask: Ask = { askNumber, askedAt: context.now, remindersSent: 0, undeliverableAt: null, decision: null };
  const next: ExceptionRequest = {
    ...movedTo({ is: 'awaiting-approval', ask }, request),
    activations,
    asks: askNumber,
    clock: handOver(request.clock, 'correspondent', context.now, context.policy),
  };
  return write(write(next, 'approval-wanted', ['correspondent']), 'forwarded', ['requester']);
}

/** The team puts a question to the requester; the clock stands until the answer (EXC-7, SLA-2). */
export function question(
  request: ExceptionRequest,
  text: string,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Decided<Changed> {
  const illegal = refusedUnlessLegal(request, 'question');
  if (illegal !== undefined) return illegal;
  const next = write(
    {
      ...movedTo({ is: 'awaiting-requester', question: text, askedAt: context.now, askedBy: context.actor }, request),
      clock: handOver(request.clock, 'requester', context.now, context.policy),
    },
    'question',
    ['requester'],
  );
  return changed(next, { actor: context.actor, action: 'question-put', detail: text });
}

/** The requester answers; the request is before the team again and the clock runs on with what was left (SLA-2). */
export function answer(
  request: ExceptionRequest,
  text: string,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Decided<Changed> {
  const { stage } = request;
  if (stage.is !== 'awaiting-requester') return refusedState(request, 'answer');
  const answered = { question: stage.question, answer: text };
  const next = write(
    {
      ...movedTo({ is: 'in-review', answered }, request),
      clock: handOver(request.clock, 'team', context.now, context.policy),
    },
    'answered',
    ['team'],
  );
  return changed(next, { actor: context.actor, action: 'question-answered', detail: text });
}

/** The team rejects with a reason: at any time until the limit was raised, even after an approval (EXC-7, EXC-8). */
export function reject(
  request: ExceptionRequest,
  reason: string,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Decided<Changed> {
  const illegal = refusedUnlessLegal(request, 'reject');
  if (illegal !== undefined) return illegal;
  const { actor, now } = context;
  const next = ended(request, { is: 'rejected', at: now, by: actor, reason, ask: askOf(request) }, context);
  return changed(write(next, 'rejected', partiesOf(request)), { actor, action: 'rejected', detail: reason });
}

/** The requester withdraws, until it is decided (EXC-10). */
export function withdraw(
  request: ExceptionRequest,
  reason: string | null,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Decided<Changed> {
  const illegal = refusedUnlessLegal(request, 'withdraw');
  if (illegal !== undefined) return illegal;
  const { actor, now } = context;
  const next = ended(request, { is: 'withdrawn', at: now, by: actor, reason, ask: askOf(request) }, context);
  const detail = reason ?? 'No reason was given.';
  return changed(write(next, 'withdrawn', [...partiesOf(request), 'team']), { actor, action: 'withdrawn', detail });
}

/**
 * Records what the Notices Correspondent decided about the question that is out (EXC-6, APR-3, APR-4).
 * A denial ends the request. An approval is recorded, and the limit is raised by the workflow after.
 * Refuses a second decision (`already-decided`) and one about a question that is void (`link-void`).
 */
export function decide(
  request: ExceptionRequest,
  askNumber: number,
  choice: { readonly decision: 'approve' | 'deny'; readonly comment: string | null },
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Decided<Changed> {
  const no = refusedUnlessAsking(request, askNumber);
  const { stage } = request;
  if (no !== undefined || stage.is !== 'awaiting-approval') return no ?? voidQuestion();
  const { decision, comment } = choice;
  const { actor, now } = context;
  const ask: Ask = { ...stage.ask, decision: { decision, at: now, by: actor, comment } };
  const said = comment === null ? '' : ` “${comment}”`;
  if (decision === 'deny') {
    const next = ended(request, { is: 'denied', at: now, ask }, context);
    const told = write(write(next, 'denied', ['requester']), 'decided', ['correspondent']);
    const detail = `The Notices Correspondent denied the request.${said}`;
    return changed(told, { actor, action: 'denied', detail });
  }
  const next: ExceptionRequest = {
    ...movedTo({ is: 'awaiting-approval', ask }, request),
    clock: handOver(request.clock, 'team', context.now, context.policy),
  };
  const told = write(next, 'decided', ['requester', 'correspondent']);
  const detail = `The Notices Correspondent approved ${request.activations} more.${said}`;
  return changed(told, { actor, action: 'approved', detail });
}

/** Refuses an answer to a question that is decided, void, or not the one that is out; `undefined` while it is out. */
export function refusedUnlessAsking(request: ExceptionRequest, askNumber: number): Refused | undefined {
  const ask = askOf(request);
  if (ask === null || ask.askNumber !== askNumber) {
    return request.asks > askNumber || request.stage.is === 'awaiting-requester' || request.stage.is === 'in-review'
      ? refuse(
          'link-void',
          'The request was changed after this mail was sent. If it still needs you, a newer mail asks.',
          {
            because: 'replaced',
          },
        )
      : voidQuestion();
  }
  if (ask.decision !== null) {
    return refuse(
      'already-decided',
      `This request was ${ask.decision.decision === 'approve' ? 'approved' : 'denied'} already. Nothing has been changed.`,
      { decision: ask.decision.decision, decidedAt: ask.decision.at },
    );
  }
  if (request.stage.is === 'lapsed') {
    return refuse('link-void', 'The time to answer is over, and the request has lapsed. It can be asked again.', {
      because: 'late',
    });
  }
  return request.stage.is === 'awaiting-approval' ? undefined : voidQuestion();
}

function voidQuestion(): Refused {
  return refuse('link-void', 'The request was closed before you answered. There is nothing left to decide.', {
    because: 'closed',
  });
}

/**
 * After too many wrong codes the link is void, and a new one is owed to the Correspondent (APR-2). Refuses, as a decision
 * would be, when nothing is being asked any more.
 */
export function mailNewLink(request: ExceptionRequest): Decided<Changed> {
  const no = refusedUnlessAsking(request, request.asks);
  if (no !== undefined) return no;
  const next = write(request, 'approval-wanted', ['correspondent']);
  const detail = 'Too many wrong codes were entered: the link is void, a new one is mailed.';
  return changed(next, { actor: theService, action: 'link-voided', detail });
}

/**
 * The Correspondent says that the recorded decision was somebody else's (APR-8). An approval that has not raised the limit
 * yet is void: the request is frozen, before the team again and flagged. What has ended stays as it is, and the team is
 * alarmed: `frozen` says which of the two it was.
 */
export function dispute(
  request: ExceptionRequest,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Decided<Changed & { readonly frozen: boolean }> {
  const { stage } = request;
  const ask = askOf(request);
  if (ask === null || ask.decision === null) return refusedState(request, 'dispute');
  const deed = { actor: context.actor, action: 'decision-disputed' };
  const flagged = {
    ...request,
    flags: flags.filter((flag) => flag === 'approval-disputed' || request.flags.includes(flag)),
  };
  if (stage.is !== 'awaiting-approval') {
    const told = write(flagged, 'disputed', ['team', 'supervisors']);
    const detail = 'The Correspondent says: “this was not me”, after it had ended.';
    return { ...changed(told, { ...deed, detail }), frozen: false };
  }
  const next = {
    ...movedTo({ is: 'in-review', answered: null }, flagged),
    clock: handOver(request.clock, 'team', context.now, context.policy),
  };
  const told = write(next, 'disputed', ['team', 'supervisors']);
  const detail = 'The Correspondent says: “this was not me”. The request is frozen.';
  return { ...changed(told, { ...deed, detail }), frozen: true };
}

/**
 * Asks anew when somebody else has become the Correspondent: the question that is out is void, and the new one is asked
 * (AGR-4). A question that is decided stays decided.
 */
export function askAnew(request: ExceptionRequest, context: Pick<Context, 'now' | 'policy'>): Decided<Changed> {
  const { stage } = request;
  if (stage.is !== 'awaiting-approval' || stage.ask.decision !== null) return refusedState(request, 'ask');
  const next = asked(request, request.activations, context);
  const detail = 'The Notices Correspondent has changed: the new one was asked.';
  return changed(next, { actor: theService, action: 'approval-asked', detail });
}

/**
 * Raises the limit by the number approved (EXC-9): MAKADD adds activations, KMSADD adds host places. Without a recorded
 * approval nothing is ever granted (EXC-6). A key that was blocked meanwhile gets nothing: the request ends, rejected.
 */
export function fulfil(
  request: ExceptionRequest,
  key: Key,
  context: Pick<Context, 'now' | 'policy'>,
): Decided<Changed & { readonly granted: { readonly key: Key; readonly grant: Grant; readonly deed: Deed } | null }> {
  const { stage } = request;
  if (stage.is !== 'awaiting-approval' || stage.ask.decision?.decision !== 'approve') {
    return refusedState(request, 'fulfil');
  }
  const { decision } = stage.ask;
  const notLive = refusedUnlessLive(key);
  if (notLive !== undefined) {
    const reason = `The key was blocked before the limit was raised. ${notLive.refusal.detail}`;
    const stopped = reject(request, reason, { ...context, actor: theService });
    return stopped.ok ? { ...stopped, granted: null } : stopped;
  }
  const grant: Grant = {
    kind: 'exception',
    amount: request.activations,
    at: context.now,
    by: theService,
    reference: request.exceptionId,
    approvedBy: decision.by,
  };
  const raised = `The limit of the key ending in ${key.lastFive} was raised by ${grant.amount}.`;
  const next = ended(request, { is: 'fulfilled', at: context.now, ask: stage.ask }, context);
  const told = changed(write(next, 'fulfilled', ['requester', 'correspondent']), {
    actor: theService,
    action: 'fulfilled',
    detail: raised,
  });
  const deed: Deed = {
    actor: decision.by,
    action: 'limit-raised',
    detail: `${raised} ${request.intake.kind} ${request.exceptionId}: ${request.intake.businessReason}`,
    reference: request.exceptionId,
  };
  return { ...told, granted: { key: { ...key, grants: [...key.grants, grant] }, grant, deed } };
}

/** Lets a request lapse whose requester or Correspondent did not answer (SLA-6). */
export function lapse(request: ExceptionRequest, context: Pick<Context, 'now' | 'policy'>): Decided<Changed> {
  const illegal = refusedUnlessLegal(request, 'lapse');
  if (illegal !== undefined) return illegal;
  const silent = request.stage.is === 'awaiting-requester' ? 'requester' : 'correspondent';
  const next = ended(request, { is: 'lapsed', at: context.now, silent, ask: askOf(request) }, context);
  const told = write(next, 'lapsed', [...partiesOf(request), 'team']);
  const who = silent === 'requester' ? 'requester' : 'Notices Correspondent';
  const days = context.policy.exceptions.lapsesAfterBusinessDays;
  const detail = `The ${who} did not answer within ${days} business days.`;
  return changed(told, { actor: theService, action: 'lapsed', detail });
}

/** Adds a letter that is owed; the same decision never writes it twice, since it is written with the decision. */
export function write(request: ExceptionRequest, kind: LetterKind, to: readonly Addressee[]): ExceptionRequest {
  const letters = to.map((recipient, index) => ({
    letterId: `${request.lettersWritten + index + 1}-${kind}-${recipient}`,
    kind,
    to: recipient,
    claimedUntil: null,
  }));
  return {
    ...request,
    letters: [...request.letters, ...letters],
    lettersWritten: request.lettersWritten + letters.length,
  };
}

/** Who has heard of the request so far: the requester, and the Correspondent if ever asked about it (EXC-11). */
function partiesOf(request: ExceptionRequest): readonly Recipient[] {
  return request.asks === 0 ? ['requester'] : ['requester', 'correspondent'];
}

/** Letters that ask somebody to act on the stage that a request is in. */
const callsToAct: readonly LetterKind[] = ['review-wanted', 'question', 'approval-wanted', 'approval-reminder'];

// A call to act that has not gone out yet is no longer true of a request that has moved on, and is never sent.
function movedTo(stage: Stage, request: ExceptionRequest): ExceptionRequest {
  return { ...request, stage, letters: request.letters.filter(({ kind }) => !callsToAct.includes(kind)) };
}

function ended(request: ExceptionRequest, stage: Stage, context: Pick<Context, 'now' | 'policy'>): ExceptionRequest {
  const moved = movedTo(stage, request);
  const letters = moved.letters.filter(({ kind }) => kind !== 'due-soon');
  return { ...moved, letters, clock: stopClock(request.clock, context.now, context.policy) };
}

/** Every move of a parked request owes its workflow a wake-up (APR-6). */
function changed(request: ExceptionRequest, deed: Omit<Deed, 'reference'>): { readonly ok: true } & Changed {
  const { drive } = request;
  const next: ExceptionRequest = drive.is === 'parked' ? { ...request, drive: { ...drive, is: 'to-wake' } } : request;
  return { ok: true, request: next, deed: { ...deed, reference: request.exceptionId } };
}

function refusedUnlessLegal(request: ExceptionRequest, move: Move): Refused | undefined {
  // Once an approval is recorded, `fulfil` and `dispute` look at that themselves; of all others the team's stop is left.
  const decided = request.stage.is === 'awaiting-approval' && request.stage.ask.decision !== null;
  const legal = decided ? move === 'reject' : legalMoves[request.stage.is][move] !== undefined;
  return legal ? undefined : refusedState(request, move);
}

function refusedState(request: ExceptionRequest, move: Move): Refused {
  const allowed = allowedMoves(request);
  const status = request.stage.is;
  const instead =
    allowed.length > 0 ? `What can be done now: ${allowed.join(', ')}.` : 'It has ended; nothing can be done to it.';
  return refuse('not-in-that-state', `A request that is ${status} does not take “${move}”. ${instead}`, {
    status,
    allowed,
  });
}
