import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { addDuration, civilDate } from '../../../domain/calendar/instant.ts';
import type { ExceptionStatus, TransitionName } from '../../../domain/exception-status.ts';
import { exceptionStatuses, openStatuses, transitions, transitionTable } from '../../../domain/exception-status.ts';
import {
  disputeDecision,
  fulfillRequest,
  recordDecision,
  refuseUnlessRoundOpen,
  reissueApprovalLink,
  requestApproval,
  restartApproval,
} from '../../../domain/exceptions/approval.ts';
import type { IntakeContext } from '../../../domain/exceptions/intake.ts';
import { receiveRequest, refuseSecondRequest } from '../../../domain/exceptions/intake.ts';
import { withNotification } from '../../../domain/exceptions/notification.ts';
import type { ExceptionRequest, Flag, RequestForm, Transition } from '../../../domain/exceptions/request.ts';
import { allowedTransitions, approvalRoundOf, flags, isFinal, nextStepOf } from '../../../domain/exceptions/request.ts';
import {
  answerQuestion,
  askQuestion,
  forwardRequest,
  rejectRequest,
  requestReview,
  withdrawRequest,
} from '../../../domain/exceptions/review.ts';
import { lapseRequest } from '../../../domain/exceptions/schedule.ts';
import { limitOf } from '../../../domain/keys/grant.ts';
import type { Key } from '../../../domain/keys/key.ts';
import type { Result } from '../../../domain/refusal.ts';
import { exceptionKinds } from '../../../domain/remedy.ts';
import {
  aGrant,
  aKmsKey,
  aKmsRequestForm,
  aMak,
  anAgreement,
  anOverride,
  aRequest,
  aRequestForm,
  blockedState,
  blockingState,
  context,
  expectAccepted,
  expectRefusal,
  ines,
  intakeContext,
  jorge,
  mallory,
  noor,
  requestAnswered,
  requestApproved,
  requestAwaitingApproval,
  requestAwaitingRequester,
  requestDenied,
  requestFulfilled,
  requestInEachState,
  requestInReview,
  requestInSecondRound,
  requestLapsed,
  requestReceived,
  requestRejected,
  requestWithdrawn,
  reviewer,
  withWaitingExecution,
} from '../../builders.ts';
import * as on from '../../instants.ts';

const receiveOn = (intake: RequestForm, facts: Partial<IntakeContext> = {}, at: Instant = on.mondayTen) =>
  receiveRequest(intake, intakeContext(facts), 'X-1', context({ actor: ines.email, now: at }));
const statusOf = (request: ExceptionRequest): ExceptionStatus => request.state.status;
/** The letters that are owed, each as its kind and its recipient. */
const lettersOf = (request: ExceptionRequest) => request.pendingNotifications.map(({ kind, to }) => `${kind} to ${to}`);
/** The same request with no letter left to send. */
const allSent = (request: ExceptionRequest): ExceptionRequest => ({ ...request, pendingNotifications: [] });

describe('a new request', () => {
  it('EXC-1 SLA-1 is received with a running clock, a pending start, and a notification to the requester', () => {
    const intake = aRequestForm();
    expect(receiveOn(intake)).toEqual({
      ok: true,
      request: {
        exceptionId: 'X-1',
        agreementId: 'E-1001',
        keyId: 'mak-1',
        form: intake,
        flags: [],
        activations: 150,
        receivedAt: on.mondayTen,
        state: { status: 'received' },
        clock: {
          status: 'running',
          dueAt: on.nextMondayFive,
          assignee: 'team',
          since: on.mondayTen,
          elapsed: { team: 0, requester: 0, correspondent: 0 },
        },
        rounds: 0,
        reminded: { team: 0, supervisors: 0 },
        pendingNotifications: [
          { notificationId: '1-received-requester', kind: 'received', to: 'requester', claimedUntil: null },
        ],
        notificationCount: 1,
        execution: { status: 'start-pending', executionNumber: 1, since: on.mondayTen },
      },
      event: {
        actor: ines.email,
        action: 'received',
        detail: 'MAKADD for 150 on the key ending in BCDFG: Two new schools open in autumn.',
        reference: 'X-1',
      },
    });
  });

  it('EXC-2 is refused the same way for an unknown agreement and for an unlisted requester', () => {
    const refusal = {
      code: 'requester-not-authorized',
      detail:
        'The requester’s name and email are not on the Authorized Contact List of this agreement. Check the agreement number and the requester’s details, or ask a listed contact to submit the request.',
    };
    expect(expectRefusal(receiveOn(aRequestForm(), { agreement: undefined }))).toEqual(refusal);
    expect(expectRefusal(receiveOn(aRequestForm({ requester: mallory })))).toEqual(refusal);
    expect(expectRefusal(receiveOn(aRequestForm({ requester: { ...jorge, email: ines.email } })))).toEqual(refusal);
  });

  it('EXC-2 is received from a requester who writes the listed name in capitals and without accents', () => {
    const requester = { ...ines, name: 'INES  OLIVEIRA', email: 'Ines@Alder.example' };
    expect(expectAccepted(receiveOn(aRequestForm({ requester }))).request.form.requester).toEqual(requester);
  });

  it('EXC-3 is refused for last five characters that no key of the agreement has', () => {
    expect(expectRefusal(receiveOn(aRequestForm({ keyLastFive: 'YYYYY' }), { keys: [] }))).toEqual({
      code: 'key-not-found',
      detail:
        'This agreement has no key that ends in YYYYY. Check the last five characters in the list of the agreement’s keys.',
    });
  });

  it('EXC-3 is refused for a key of the other type, with the kind of request to submit', () => {
    expect(expectRefusal(receiveOn(aRequestForm(), { keys: [aKmsKey()] }))).toEqual({
      code: 'wrong-key-type',
      detail: 'The key ending in HJKMP is a KMS key. Submit a KMSADD request instead.',
    });
    expect(expectRefusal(receiveOn(aKmsRequestForm(), { keys: [aMak()] }))).toEqual({
      code: 'wrong-key-type',
      detail: 'The key ending in BCDFG is a MAK key. Submit a MAKADD request instead.',
    });
  });

  it('EXC-3 finds the key of its kind when two keys end alike, and the live key of two of one kind', () => {
    const keys = [aKmsKey({ lastFive: 'BCDFG' }), aMak(), aMak({ keyId: 'mak-0', state: blockingState })];
    expect(expectAccepted(receiveOn(aRequestForm(), { keys })).request.keyId).toBe('mak-1');
  });

  it('EXC-3 is refused for a blocked key, with the last five characters of its replacement', () => {
    expect(expectRefusal(receiveOn(aRequestForm(), { keys: [aMak({ state: blockedState() })] }))).toMatchObject({
      code: 'key-blocked',
      replacedBy: 'QRTVW',
    });
  });

  it('EXC-3 is refused for a product that the key does not cover', () => {
    expect(expectRefusal(receiveOn(aRequestForm({ product: 'windows-web-server-2008' })))).toMatchObject({
      code: 'product-not-covered',
      covers: ['windows-vista-business', 'windows-vista-enterprise'],
    });
  });

  it('EXC-5 is refused while another request is open for the same key, with the id of that request', () => {
    const openExceptionId = (keyId: string) => (keyId === 'mak-1' ? 'X-0' : undefined);
    const refusal = {
      code: 'exception-already-open',
      detail:
        'Request X-0 is already open for the key ending in BCDFG. Follow that request, or withdraw it before you submit another.',
      exceptionId: 'X-0',
    };
    expect(expectRefusal(receiveOn(aRequestForm(), { openExceptionId }))).toEqual(refusal);
    expect(refuseSecondRequest('X-0', 'BCDFG')).toEqual({ ok: false, refusal });
  });

  it('EXC-5 is received while a request is open for another key', () => {
    const openExceptionId = (keyId: string) => (keyId === 'kms-1' ? 'X-0' : undefined);
    expect(expectAccepted(receiveOn(aRequestForm(), { openExceptionId })).request.keyId).toBe('mak-1');
  });
});

describe('a number that the call center can still grant', () => {
  const raised = (byPhone: number) =>
    aMak({ grants: [aGrant({ amount: 100 }), aGrant({ kind: 'call-center', amount: byPhone })] });
  const overridden = (count: number) =>
    aKmsKey({ overrides: Array.from({ length: count }, () => anOverride({ at: on.sundayNoon })) });

  it('EXC-4 is refused for a MAK, with the new limit and the number to ask for', () => {
    expect(expectRefusal(receiveOn(aRequestForm({ activationsRequested: 100 })))).toEqual({
      code: 'not-an-exception',
      detail:
        'The call center can raise the limit of this key to 200, which is 100 more. Call the call center and ask for 100 more.',
      remedies: [{ kind: 'call-center-increase', available: true, maximum: 100 }],
    });
  });

  it.each([
    [0, 100, false],
    [0, 101, true],
    [60, 40, false],
    [60, 41, true],
    [100, 1, true],
  ])(
    'EXC-4 after %i more by phone on a limit of 100: a request for %i more is received: %s',
    (byPhone, activationsRequested, taken) => {
      expect(receiveOn(aRequestForm({ activationsRequested }), { keys: [raised(byPhone)] }).ok).toBe(taken);
    },
  );

  it('EXC-4 is refused for a KMS key, with the number of overrides left', () => {
    const intake = aKmsRequestForm({ activationsRequested: 5 });
    expect(expectRefusal(receiveOn(intake, { keys: [aKmsKey()] }))).toEqual({
      code: 'not-an-exception',
      detail:
        'The call center can still grant 5 overrides for this key, one a day. Call the call center while you are at the host.',
      remedies: [{ kind: 'override', available: true, maximum: 5 }],
    });
  });

  it('EXC-4 is refused with the time of the next override after one today', () => {
    const keys = [aKmsKey({ overrides: [anOverride({ at: on.mondayNine })] })];
    expect(expectRefusal(receiveOn(aKmsRequestForm({ activationsRequested: 1 }), { keys }))).toMatchObject({
      remedies: [{ kind: 'override', available: false, availableAt: on.tuesdayMidnight, maximum: 4 }],
    });
  });

  it.each([
    [0, 5, false],
    [0, 6, true],
    [4, 1, false],
    [4, 2, true],
    [5, 1, true],
  ])('EXC-4 after %i overrides: a request for %i more is received: %s', (given, activationsRequested, taken) => {
    expect(receiveOn(aKmsRequestForm({ activationsRequested }), { keys: [overridden(given)] }).ok).toBe(taken);
  });
});

describe('the flags of a new request', () => {
  const flagsFor = (facts: Partial<RequestForm>, about: Partial<IntakeContext> = {}) =>
    expectAccepted(receiveOn(aRequestForm(facts), about)).request.flags;
  const kmsFlagsFor = (activationsRequested: number) =>
    expectAccepted(receiveOn(aKmsRequestForm({ activationsRequested }), { keys: [aKmsKey()] })).request.flags;

  it('EXC-8 SLA-3 include a language other than English, which adds time', () => {
    const { request } = expectAccepted(receiveOn(aRequestForm({ language: 'pt-BR' })));
    expect(request.flags).toEqual(['not-english']);
    expect(request.clock).toMatchObject({ dueAt: on.mondayAfterNextFridayFive });
  });

  it.each(['en', 'en-US', 'EN-gb'])('EXC-8 SLA-3 do not include the language %s', (language) => {
    const { request } = expectAccepted(receiveOn(aRequestForm({ language })));
    expect(request.flags).toEqual([]);
    expect(request.clock).toMatchObject({ dueAt: on.nextMondayFive });
  });

  it.each(['enm', 'de-en', 'x-en', ''])('EXC-8 SLA-3 include the language “%s”', (language) => {
    expect(flagsFor({ language })).toEqual(['not-english']);
  });

  it('EXC-8 include more than 1,000 activations for MAKADD', () => {
    expect(flagsFor({ activationsRequested: 1000 })).toEqual([]);
    expect(flagsFor({ activationsRequested: 1001 })).toEqual(['above-review-threshold']);
  });

  it('EXC-8 include more than 20 hosts for KMSADD', () => {
    expect(kmsFlagsFor(20)).toEqual([]);
    expect(kmsFlagsFor(21)).toEqual(['above-review-threshold']);
  });

  it('EXC-6 include another Notices Correspondent than that of the agreement', () => {
    expect(flagsFor({ noticesCorrespondent: { ...noor, email: 'NOOR@alder.example ' } })).toEqual([]);
    expect(flagsFor({ noticesCorrespondent: { ...noor, email: mallory.email } })).toEqual(['correspondent-differs']);
  });

  it('EXC-6 AGR-4 compare with the Correspondent at that time', () => {
    const handedOver = { person: jorge, effectiveAt: on.mondayTen };
    const about = { agreement: anAgreement({ pendingNoticesCorrespondent: handedOver }) };
    expect(flagsFor({ noticesCorrespondent: jorge }, about)).toEqual([]);
    expect(flagsFor({ noticesCorrespondent: noor }, about)).toEqual(['correspondent-differs']);
    expect(flagsFor({ requester: jorge }, about)).toEqual(['requester-is-correspondent']);
  });

  it('SLA-7 include a required date before the due date', () => {
    expect(flagsFor({ requiredDate: civilDate('2026-06-08') })).toEqual([]);
    expect(flagsFor({ requiredDate: civilDate('2026-06-07') })).toEqual(['required-before-due']);
  });

  it('EXC-8 include a requester who is the Notices Correspondent', () => {
    const agreement = anAgreement({ contacts: [ines, noor] });
    expect(flagsFor({ requester: noor }, { agreement })).toEqual(['requester-is-correspondent']);
    expect(flagsFor({ requester: ines }, { agreement })).toEqual([]);
  });

  it('EXC-8 include all that apply, in a fixed order', () => {
    const everything = {
      requester: noor,
      language: 'fr',
      activationsRequested: 5000,
      noticesCorrespondent: mallory,
      requiredDate: civilDate('2026-06-02'),
    };
    expect(flagsFor(everything, { agreement: anAgreement({ contacts: [noor] }) })).toEqual(
      flags.filter((flag) => flag !== 'approval-disputed'),
    );
  });
});

describe('the next step', () => {
  it('EXC-8 is the approval without a flag, and the review with any flag', () => {
    expect(nextStepOf(requestReceived())).toBe('request-approval');
    for (const flag of flags) expect(nextStepOf(aRequest({ flags: [flag] }))).toBe('request-review');
  });

  it('EXC-12 follows from the state alone', () => {
    expect(requestInEachState.map((request) => `${statusOf(request)}: ${nextStepOf(request)}`)).toEqual([
      'received: request-approval',
      'in-review: request-review',
      'awaiting-requester: request-information',
      'awaiting-approval: request-approval',
      'fulfilled: end',
      'denied: end',
      'rejected: end',
      'withdrawn: end',
      'lapsed: end',
    ]);
    expect(nextStepOf(requestApproved())).toBe('raise-limit');
  });
});

describe('a review', () => {
  it('EXC-8 starts with a notification to the team, and records the flags', () => {
    const before = aRequest({ flags: ['not-english', 'above-review-threshold'] });
    expect(requestReview(before)).toEqual({
      ok: true,
      request: {
        ...before,
        state: { status: 'in-review', answeredQuestion: null },
        pendingNotifications: [
          ...before.pendingNotifications,
          { notificationId: '2-review-requested-team', kind: 'review-requested', to: 'team', claimedUntil: null },
        ],
        notificationCount: 2,
      },
      event: {
        actor: 'volume-activation',
        action: 'review-begun',
        detail: 'Sent to the exceptions team for review: not-english, above-review-threshold.',
        reference: 'X-1',
      },
    });
  });
});

describe('an approval round', () => {
  const before = allSent(requestReceived());

  it('EXC-6 EXC-11 SLA-4 assigns the request to the Correspondent, and notifies the Correspondent and the requester', () => {
    const { request, event: deed } = expectAccepted(requestApproval(before, context({ now: on.mondayNoon })));
    expect(request).toEqual({
      ...before,
      rounds: 1,
      state: {
        status: 'awaiting-approval',
        round: { number: 1, askedAt: on.mondayNoon, remindersSent: 0, undeliverableAt: null, decision: null },
      },
      clock: {
        status: 'running',
        dueAt: on.nextMondayFive,
        assignee: 'correspondent',
        since: on.mondayNoon,
        elapsed: { team: 120, requester: 0, correspondent: 0 },
      },
      pendingNotifications: [
        {
          notificationId: '2-approval-requested-correspondent',
          kind: 'approval-requested',
          to: 'correspondent',
          claimedUntil: null,
        },
        { notificationId: '3-forwarded-requester', kind: 'forwarded', to: 'requester', claimedUntil: null },
      ],
      notificationCount: 3,
    });
    expect(deed).toEqual({
      actor: 'volume-activation',
      action: 'approval-asked',
      detail: 'The Notices Correspondent was asked to approve 150.',
      reference: 'X-1',
    });
  });
});

describe('forwarding', () => {
  const forwardOn = (request: ExceptionRequest, activations?: number) =>
    forwardRequest(request, activations, context({ actor: reviewer, now: on.tuesdayTen }));

  it('EXC-7 asks for the requested number by default', () => {
    const { request, event: deed } = expectAccepted(forwardOn(allSent(requestInReview())));
    expect(request).toMatchObject({
      activations: 150,
      rounds: 1,
      state: { status: 'awaiting-approval', round: { number: 1, askedAt: on.tuesdayTen } },
      clock: { assignee: 'correspondent' },
    });
    expect(lettersOf(request)).toEqual(['approval-requested to correspondent', 'forwarded to requester']);
    expect(deed).toEqual({
      actor: reviewer,
      action: 'forwarded',
      detail: 'Forwarded to the Notices Correspondent for 150.',
      reference: 'X-1',
    });
  });

  it('EXC-7 can reduce the number to grant, and keeps the requested one', () => {
    const { request } = expectAccepted(forwardOn(requestInReview(), 120));
    expect(request.activations).toBe(120);
    expect(request.form.activationsRequested).toBe(150);
  });

  it('EXC-7 refuses a number above the requested one', () => {
    expect(expectAccepted(forwardOn(requestInReview(), 150)).request.activations).toBe(150);
    expect(expectRefusal(forwardOn(requestInReview(), 151))).toEqual({
      code: 'invalid-request',
      detail: 'The number to forward must be at most the requested 150; to get more, submit a new request.',
      errors: [
        {
          pointer: '/activations',
          message: 'must be at most the requested 150; to get more, submit a new request',
        },
      ],
    });
  });

  it('EXC-7 with a new number makes the open round void and starts a new one', () => {
    const asked = requestAwaitingApproval();
    const reminded = {
      ...asked,
      state: {
        status: 'awaiting-approval',
        round: { number: 1, askedAt: on.mondayTen, remindersSent: 2, undeliverableAt: null, decision: null },
      },
    } as const;
    const { request, event: deed } = expectAccepted(forwardOn(reminded, 120));
    expect(request).toMatchObject({ activations: 120, rounds: 2 });
    expect(approvalRoundOf(request)).toEqual({
      number: 2,
      askedAt: on.tuesdayTen,
      remindersSent: 0,
      undeliverableAt: null,
      decision: null,
    });
    expect(deed.detail).toBe('Forwarded to the Notices Correspondent for 120. The previous approval request is void.');
    const choice = { decision: 'approve', comment: null } as const;
    expect(
      expectRefusal(recordDecision(request, 1, choice, context({ actor: noor.email, now: on.tuesdayTen }))),
    ).toMatchObject({
      code: 'link-void',
      because: 'replaced',
    });
    expect(
      expectAccepted(recordDecision(request, 2, choice, context({ actor: noor.email, now: on.tuesdayTen }))).request
        .activations,
    ).toBe(120);
  });

  it('EXC-7 can go back up to the requested number in another round', () => {
    const smaller = expectAccepted(forwardOn(requestInReview(), 120)).request;
    expect(expectAccepted(forwardOn(smaller, 150)).request).toMatchObject({ activations: 150, rounds: 2 });
  });

  it('EXC-7 refuses the number of the open round, because that would make a link void for nothing', () => {
    const refusal = {
      code: 'not-in-that-state',
      detail:
        'The Notices Correspondent is already asked to approve 150. Forward a different number, or wait for the decision.',
      currentStatus: 'awaiting-approval',
      allowed: ['question', 'forward', 'reject', 'withdraw', 'approve', 'deny'],
    };
    expect(expectRefusal(forwardOn(requestAwaitingApproval()))).toEqual(refusal);
    expect(expectRefusal(forwardOn(requestAwaitingApproval(), 150))).toEqual(refusal);
  });

  it('EXC-8 is possible for a request that was only received', () => {
    expect(statusOf(expectAccepted(forwardOn(requestReceived(), 149)).request)).toBe('awaiting-approval');
  });
});

describe('a question to the requester', () => {
  it('EXC-7 SLA-2 pauses the clock, notifies the requester, and records who asked', () => {
    const before = allSent(requestInReview());
    const { request, event: deed } = expectAccepted(
      askQuestion(before, 'Which schools?', context({ actor: reviewer, now: on.mondayNoon })),
    );
    expect(request).toEqual({
      ...before,
      state: { status: 'awaiting-requester', question: 'Which schools?', askedAt: on.mondayNoon, askedBy: reviewer },
      clock: {
        status: 'paused',
        remainingMinutes: 5 * 480 + 300,
        since: on.mondayNoon,
        elapsed: { team: 120, requester: 0, correspondent: 0 },
      },
      pendingNotifications: [
        { notificationId: '3-question-requester', kind: 'question', to: 'requester', claimedUntil: null },
      ],
      notificationCount: 3,
    });
    expect(deed).toEqual({ actor: reviewer, action: 'question-put', detail: 'Which schools?', reference: 'X-1' });
  });

  it('EXC-7 makes the open approval round void', () => {
    const { request } = expectAccepted(
      askQuestion(requestAwaitingApproval(), 'Why?', context({ actor: reviewer, now: on.mondayNoon })),
    );
    expect(approvalRoundOf(request)).toBeNull();
    expect(refuseUnlessRoundOpen(request, 1)?.refusal).toMatchObject({ code: 'link-void', because: 'replaced' });
    const answered = expectAccepted(
      answerQuestion(request, 'So.', context({ actor: ines.email, now: on.mondayNoon })),
    ).request;
    expect(refuseUnlessRoundOpen(answered, 1)?.refusal).toMatchObject({ code: 'link-void', because: 'replaced' });
  });
});

describe('an answer of the requester', () => {
  it('EXC-14 SLA-2 returns the request to the team, and resumes the clock with the time left', () => {
    const before = allSent(requestAwaitingRequester({ at: on.mondayNoon }));
    const { request, event: deed } = expectAccepted(
      answerQuestion(before, 'Elm and Fir.', context({ actor: ines.email, now: on.wednesdayNoon })),
    );
    expect(request).toEqual({
      ...before,
      state: { status: 'in-review', answeredQuestion: { question: 'Which schools?', answer: 'Elm and Fir.' } },
      clock: {
        status: 'running',
        dueAt: on.nextWednesdayFive,
        assignee: 'team',
        since: on.wednesdayNoon,
        elapsed: { team: 0, requester: 960, correspondent: 0 },
      },
      pendingNotifications: [{ notificationId: '4-answered-team', kind: 'answered', to: 'team', claimedUntil: null }],
      notificationCount: 4,
    });
    expect(deed).toEqual({
      actor: ines.email,
      action: 'question-answered',
      detail: 'Elm and Fir.',
      reference: 'X-1',
    });
  });
});

describe('an answer without a question', () => {
  it('EXC-12 is refused with the transitions that are possible', () => {
    expect(
      expectRefusal(answerQuestion(requestInReview(), 'So.', context({ actor: ines.email, now: on.mondayNoon }))),
    ).toEqual({
      code: 'not-in-that-state',
      detail:
        'The request is in-review, so “answer” is not possible. Possible now: question, forward, reject, withdraw.',
      currentStatus: 'in-review',
      allowed: ['question', 'forward', 'reject', 'withdraw'],
    });
  });
});

describe('a request that is rejected', () => {
  const rejectOn = (request: ExceptionRequest) =>
    rejectRequest(request, 'Too many.', context({ actor: reviewer, now: on.tuesdayTen }));

  it('EXC-7 ends with the reason, stops its clock, and notifies the requester', () => {
    const before = allSent(requestInReview());
    const { request, event: deed } = expectAccepted(rejectOn(before));
    expect(request).toEqual({
      ...before,
      state: { status: 'rejected', at: on.tuesdayTen, by: reviewer, reason: 'Too many.', round: null },
      clock: {
        status: 'stopped',
        dueAt: on.nextMondayFive,
        at: on.tuesdayTen,
        breachedBy: null,
        elapsed: { team: 480, requester: 0, correspondent: 0 },
      },
      pendingNotifications: [
        { notificationId: '3-rejected-requester', kind: 'rejected', to: 'requester', claimedUntil: null },
      ],
      notificationCount: 3,
    });
    expect(deed).toEqual({ actor: reviewer, action: 'rejected', detail: 'Too many.', reference: 'X-1' });
  });

  it('EXC-8 can be rejected after the approval, until the limit is raised, and notifies the Correspondent too', () => {
    const approved = allSent(requestApproved());
    const { request } = expectAccepted(rejectOn(approved));
    expect(request.state).toMatchObject({ status: 'rejected', round: approvalRoundOf(approved) });
    expect(lettersOf(request)).toEqual(['rejected to requester', 'rejected to correspondent']);
    expect(expectRefusal(rejectOn(requestFulfilled()))).toMatchObject({ code: 'not-in-that-state', allowed: [] });
    expect(expectRefusal(fulfillRequest(request, aMak(), context({ now: on.tuesdayTen })))).toMatchObject({
      currentStatus: 'rejected',
    });
  });
});

describe('a request that is withdrawn', () => {
  const withdrawOn = (request: ExceptionRequest, reason: string | null = 'No longer needed.') =>
    withdrawRequest(request, reason, context({ actor: ines.email, now: on.tuesdayTen }));

  it('EXC-10 ends, and notifies the requester and the team', () => {
    const before = allSent(requestReceived());
    const { request, event: deed } = expectAccepted(withdrawOn(before));
    expect(request.state).toEqual({
      status: 'withdrawn',
      at: on.tuesdayTen,
      by: ines.email,
      reason: 'No longer needed.',
      round: null,
    });
    expect(request.clock.status).toBe('stopped');
    expect(lettersOf(request)).toEqual(['withdrawn to requester', 'withdrawn to team']);
    expect(deed).toEqual({ actor: ines.email, action: 'withdrawn', detail: 'No longer needed.', reference: 'X-1' });
  });

  it('EXC-10 needs no reason', () => {
    const { request, event: deed } = expectAccepted(withdrawOn(requestReceived(), null));
    expect(request.state).toMatchObject({ status: 'withdrawn', reason: null });
    expect(deed.detail).toBe('No reason was given.');
  });

  it('EXC-10 can be withdrawn during an approval round, which notifies the Correspondent and closes the link', () => {
    const { request } = expectAccepted(withdrawOn(allSent(requestAwaitingApproval())));
    expect(lettersOf(request)).toEqual(['withdrawn to requester', 'withdrawn to correspondent', 'withdrawn to team']);
    expect(refuseUnlessRoundOpen(request, 1)?.refusal).toEqual({
      code: 'link-void',
      detail: 'The request was closed before you decided. You do not need to do anything.',
      because: 'closed',
    });
  });

  it('EXC-10 cannot be withdrawn once it is decided', () => {
    expect(expectRefusal(withdrawOn(requestApproved()))).toEqual({
      code: 'not-in-that-state',
      detail: 'The request is awaiting-approval, so “withdraw” is not possible. Possible now: reject.',
      currentStatus: 'awaiting-approval',
      allowed: ['reject'],
    });
    expect(expectRefusal(withdrawOn(requestDenied()))).toEqual({
      code: 'not-in-that-state',
      detail: 'The request is denied, so “withdraw” is not possible. It has ended and cannot be changed.',
      currentStatus: 'denied',
      allowed: [],
    });
  });
});

describe('the decision of the Correspondent', () => {
  const choose = (decision: 'approve' | 'deny', comment: string | null = null) => ({ decision, comment }) as const;
  const decideOn = (
    request: ExceptionRequest,
    askNumber: number,
    decision: 'approve' | 'deny',
    comment: string | null = null,
  ) =>
    recordDecision(request, askNumber, choose(decision, comment), context({ actor: noor.email, now: on.tuesdayTen }));
  const asked = allSent(requestAwaitingApproval({ at: on.mondayNoon }));

  it('EXC-6 to approve is recorded, assigns the request to the team, notifies both parties, and raises no limit yet', () => {
    const { request, event: deed } = expectAccepted(decideOn(asked, 1, 'approve', 'Fine.'));
    expect(request).toEqual({
      ...asked,
      state: {
        status: 'awaiting-approval',
        round: {
          number: 1,
          askedAt: on.mondayNoon,
          remindersSent: 0,
          undeliverableAt: null,
          decision: { decision: 'approve', at: on.tuesdayTen, by: noor.email, comment: 'Fine.' },
        },
      },
      clock: {
        status: 'running',
        dueAt: on.nextMondayFive,
        assignee: 'team',
        since: on.tuesdayTen,
        elapsed: { team: 0, requester: 0, correspondent: 360 },
      },
      pendingNotifications: [
        { notificationId: '4-decided-requester', kind: 'decided', to: 'requester', claimedUntil: null },
        { notificationId: '5-decided-correspondent', kind: 'decided', to: 'correspondent', claimedUntil: null },
      ],
      notificationCount: 5,
    });
    expect(deed).toEqual({
      actor: noor.email,
      action: 'approved',
      detail: 'The Notices Correspondent approved 150 more. “Fine.”',
      reference: 'X-1',
    });
  });

  it('APR-8 to deny ends the request and notifies both parties', () => {
    const { request, event: deed } = expectAccepted(decideOn(asked, 1, 'deny'));
    expect(request.state).toEqual({
      status: 'denied',
      at: on.tuesdayTen,
      round: {
        number: 1,
        askedAt: on.mondayNoon,
        remindersSent: 0,
        undeliverableAt: null,
        decision: { decision: 'deny', at: on.tuesdayTen, by: noor.email, comment: null },
      },
    });
    expect(request.clock.status).toBe('stopped');
    expect(lettersOf(request)).toEqual(['denied to requester', 'decided to correspondent']);
    expect(deed).toEqual({
      actor: noor.email,
      action: 'denied',
      detail: 'The Notices Correspondent denied the request.',
      reference: 'X-1',
    });
  });

  it.each([
    ['approve', 'approved'],
    ['deny', 'denied'],
  ] as const)('APR-3 APR-4 to %s stays: a second decision is refused and changes nothing', (first, word) => {
    const once = expectAccepted(decideOn(asked, 1, first)).request;
    for (const second of ['approve', 'deny'] as const) {
      expect(
        expectRefusal(recordDecision(once, 1, choose(second), context({ actor: noor.email, now: on.wednesdayNoon }))),
      ).toEqual({
        code: 'already-decided',
        detail: `This request was already ${word}. Your answer changed nothing.`,
        decision: first,
        decidedAt: on.tuesdayTen,
      });
    }
  });

  it('APR-3 stays after the limit was raised, and after the team rejected an approved request', () => {
    const approved = expectAccepted(decideOn(asked, 1, 'approve')).request;
    const stopped = expectAccepted(
      rejectRequest(approved, 'Stop.', context({ actor: reviewer, now: on.tuesdayTen })),
    ).request;
    const raised = expectAccepted(fulfillRequest(approved, aMak(), context({ now: on.tuesdayTen }))).request;
    for (const request of [stopped, raised]) {
      expect(expectRefusal(decideOn(request, 1, 'deny'))).toMatchObject({
        code: 'already-decided',
        decision: 'approve',
      });
    }
  });

  it('APR-3 is refused as late once the request has lapsed', () => {
    expect(expectRefusal(decideOn(requestLapsed(), 1, 'approve'))).toEqual({
      code: 'link-void',
      detail: 'The request lapsed because nobody decided in time. The requester can submit a new request.',
      because: 'late',
    });
  });

  it('APR-3 is refused after the request changed', () => {
    const refusal = {
      code: 'link-void',
      detail:
        'The request changed after we sent this email. If it still needs your decision, use the link in our latest email.',
      because: 'replaced',
    };
    expect(expectRefusal(decideOn(requestInSecondRound(), 1, 'approve'))).toEqual(refusal);
    const denied = expectAccepted(decideOn(requestInSecondRound(), 2, 'deny')).request;
    expect(expectRefusal(decideOn(denied, 1, 'approve'))).toEqual(refusal);
  });

  it('APR-3 is refused as closed after a rejection, or after the requester did not answer', () => {
    const questioned = expectAccepted(
      askQuestion(asked, 'Why?', context({ actor: reviewer, now: on.tuesdayTen })),
    ).request;
    const ended = [
      expectAccepted(rejectRequest(asked, 'No.', context({ actor: reviewer, now: on.tuesdayTen }))).request,
      expectAccepted(rejectRequest(questioned, 'No.', context({ actor: reviewer, now: on.tuesdayTen }))).request,
      expectAccepted(lapseRequest(questioned, context({ now: on.nextFridayFive }))).request,
    ];
    for (const request of ended) {
      expect(expectRefusal(decideOn(request, 1, 'approve'))).toMatchObject({ code: 'link-void', because: 'closed' });
    }
  });

  it('EXC-6 cannot be made before approval was requested', () => {
    expect(expectRefusal(decideOn(requestReceived(), 1, 'approve'))).toMatchObject({
      code: 'link-void',
      because: 'closed',
    });
    expect(expectRefusal(decideOn(requestInReview(), 1, 'approve'))).toMatchObject({ code: 'link-void' });
    expect(expectRefusal(decideOn(asked, 2, 'approve'))).toMatchObject({ code: 'link-void', because: 'closed' });
  });

  it('APR-3 can be made while the round is open', () => {
    expect(refuseUnlessRoundOpen(asked, 1)).toBeUndefined();
    expect(refuseUnlessRoundOpen(requestInSecondRound(), 2)).toBeUndefined();
  });

  it('APR-2 gets a new link in the same round after too many wrong codes', () => {
    const { request, event: deed } = expectAccepted(reissueApprovalLink(asked));
    expect(request).toEqual({
      ...asked,
      pendingNotifications: [
        {
          notificationId: '4-approval-requested-correspondent',
          kind: 'approval-requested',
          to: 'correspondent',
          claimedUntil: null,
        },
      ],
      notificationCount: 4,
    });
    expect(deed).toEqual({
      actor: 'volume-activation',
      action: 'link-voided',
      detail: 'Too many wrong codes were entered. The link is void, and a new one is sent.',
      reference: 'X-1',
    });
  });

  it('APR-2 gets no new link when no round is open', () => {
    expect(expectRefusal(reissueApprovalLink(requestApproved())).code).toBe('already-decided');
    expect(expectRefusal(reissueApprovalLink(requestWithdrawn()))).toMatchObject({
      code: 'link-void',
      because: 'closed',
    });
    expect(expectRefusal(reissueApprovalLink(requestInReview()))).toMatchObject({ code: 'link-void' });
  });
});

describe('an approved request', () => {
  const approved = allSent(requestApproved());

  it('EXC-9 raises the limit by exactly the approved number, and records the approver and the request', () => {
    const mak = aMak();
    const grant = {
      kind: 'exception',
      amount: 150,
      at: on.tuesdayTen,
      by: 'volume-activation',
      reference: 'X-1',
      approvedBy: noor.email,
    };
    const outcome = expectAccepted(fulfillRequest(approved, mak, context({ now: on.tuesdayTen })));
    expect(outcome.granted).toEqual({
      key: { ...mak, grants: [...mak.grants, grant] },
      grant,
      event: {
        actor: noor.email,
        action: 'limit-raised',
        detail: 'The limit of the key ending in BCDFG was raised by 150. MAKADD X-1: Two new schools open in autumn.',
        reference: 'X-1',
      },
    });
    expect(outcome.request.state).toEqual({ status: 'fulfilled', at: on.tuesdayTen, round: approvalRoundOf(approved) });
    expect(outcome.request.clock.status).toBe('stopped');
    expect(lettersOf(outcome.request)).toEqual(['fulfilled to requester', 'fulfilled to correspondent']);
    expect(outcome.event).toEqual({
      actor: 'volume-activation',
      action: 'fulfilled',
      detail: 'The limit of the key ending in BCDFG was raised by 150.',
      reference: 'X-1',
    });
  });

  it('EXC-9 grants the smaller number that the team forwarded, not the requested one', () => {
    const smaller = expectAccepted(
      forwardRequest(requestInReview(), 120, context({ actor: reviewer, now: on.mondayTen })),
    ).request;
    const choice = { decision: 'approve', comment: null } as const;
    const decided = expectAccepted(
      recordDecision(smaller, 1, choice, context({ actor: noor.email, now: on.mondayTen })),
    ).request;
    const { granted } = expectAccepted(fulfillRequest(decided, aMak(), context({ now: on.tuesdayTen })));
    expect(limitOf(granted?.key.grants ?? [])).toBe(220);
  });

  it('EXC-9 adds host slots to a KMS key', () => {
    const request = requestApproved({ form: { kind: 'KMSADD' } });
    const { granted } = expectAccepted(fulfillRequest(request, aKmsKey(), context({ now: on.tuesdayTen })));
    expect(limitOf(granted?.key.grants ?? [])).toBe(16);
    expect(granted?.event.detail).toContain('KMSADD X-1');
  });

  it('EXC-9 is granted once, whatever is retried', () => {
    const once = expectAccepted(fulfillRequest(approved, aMak(), context({ now: on.tuesdayTen })));
    expect(
      expectRefusal(fulfillRequest(once.request, once.granted?.key ?? aMak(), context({ now: on.tuesdayTen }))),
    ).toEqual({
      code: 'not-in-that-state',
      detail: 'The request is fulfilled, so “fulfill” is not possible. It has ended and cannot be changed.',
      currentStatus: 'fulfilled',
      allowed: [],
    });
  });

  it('EXC-9 grants nothing to a key that was blocked meanwhile, ends, and notifies both parties of the reason', () => {
    const outcome = expectAccepted(
      fulfillRequest(approved, aMak({ state: blockedState() }), context({ now: on.tuesdayTen })),
    );
    const reason =
      'The key was blocked before the limit was raised. The key ending in BCDFG is blocked. Use the key ending in QRTVW, which replaced it.';
    expect(outcome.granted).toBeNull();
    expect(outcome.request.state).toMatchObject({ status: 'rejected', by: 'volume-activation', reason });
    expect(outcome.event).toEqual({ actor: 'volume-activation', action: 'rejected', detail: reason, reference: 'X-1' });
    expect(lettersOf(outcome.request)).toEqual(['rejected to requester', 'rejected to correspondent']);
  });

  it.each(requestInEachState.map((request) => [statusOf(request), request] as const))(
    'EXC-6 is required: a request that is %s, not approved, grants nothing',
    (status, request) => {
      expect(expectRefusal(fulfillRequest(request, aMak(), context({ now: on.tuesdayTen })))).toMatchObject({
        code: 'not-in-that-state',
        currentStatus: status,
        allowed: allowedTransitions(request),
      });
    },
  );
});

describe('a request without an answer', () => {
  it('SLA-6 lapses for an unresponsive Correspondent, and notifies everyone involved', () => {
    const before = allSent(requestAwaitingApproval());
    const { request, event: deed } = expectAccepted(lapseRequest(before, context({ now: on.nextFridayFive })));
    expect(request.state).toEqual({
      status: 'lapsed',
      at: on.nextFridayFive,
      unresponsiveParty: 'correspondent',
      round: approvalRoundOf(before),
    });
    expect(request.clock).toMatchObject({ status: 'stopped', breachedBy: 'correspondent' });
    expect(lettersOf(request)).toEqual(['lapsed to requester', 'lapsed to correspondent', 'lapsed to team']);
    expect(deed).toEqual({
      actor: 'volume-activation',
      action: 'lapsed',
      detail: 'The Notices Correspondent did not answer within 10 business days.',
      reference: 'X-1',
    });
  });

  it('SLA-6 lapses for an unresponsive requester, and notifies everyone involved', () => {
    const { request, event: deed } = expectAccepted(
      lapseRequest(allSent(requestAwaitingRequester()), context({ now: on.nextFridayFive })),
    );
    expect(request.state).toMatchObject({ status: 'lapsed', unresponsiveParty: 'requester', round: null });
    expect(lettersOf(request)).toEqual(['lapsed to requester', 'lapsed to team']);
    expect(deed.detail).toBe('The requester did not answer within 10 business days.');
  });
});

describe('the notifications of a request', () => {
  it('EXC-11 are numbered, so that no id is used twice', () => {
    const letters = withNotification(withNotification(allSent(requestReceived()), 'due-soon', ['team']), 'overdue', [
      'team',
      'supervisors',
    ]);
    expect(letters.pendingNotifications.map(({ notificationId: letterId }) => letterId)).toEqual([
      '2-due-soon-team',
      '3-overdue-team',
      '4-overdue-supervisors',
    ]);
    expect(letters.notificationCount).toBe(4);
  });

  it('EXC-11 at each step go to the parties that it concerns', () => {
    const steps = {
      received: requestReceived(),
      'in review': requestInReview(),
      questioned: requestAwaitingRequester(),
      answered: requestAnswered(),
      asked: requestAwaitingApproval(),
      approved: requestApproved(),
      fulfilled: requestFulfilled(),
      denied: requestDenied(),
      rejected: requestRejected(),
      withdrawn: requestWithdrawn(),
      lapsed: requestLapsed(),
    };
    expect(Object.entries(steps).map(([step, request]) => [step, ...lettersOf(request)])).toEqual([
      ['received', 'received to requester'],
      ['in review', 'received to requester', 'review-requested to team'],
      ['questioned', 'received to requester', 'question to requester'],
      ['answered', 'received to requester', 'answered to team'],
      ['asked', 'received to requester', 'approval-requested to correspondent', 'forwarded to requester'],
      [
        'approved',
        'received to requester',
        'forwarded to requester',
        'decided to requester',
        'decided to correspondent',
      ],
      [
        'fulfilled',
        'received to requester',
        'forwarded to requester',
        'decided to requester',
        'decided to correspondent',
        'fulfilled to requester',
        'fulfilled to correspondent',
      ],
      ['denied', 'received to requester', 'forwarded to requester', 'denied to requester', 'decided to correspondent'],
      ['rejected', 'received to requester', 'rejected to requester'],
      ['withdrawn', 'received to requester', 'withdrawn to requester', 'withdrawn to team'],
      [
        'lapsed',
        'received to requester',
        'forwarded to requester',
        'lapsed to requester',
        'lapsed to correspondent',
        'lapsed to team',
      ],
    ]);
  });

  it('EXC-11 that ask for an action are dropped unsent when the request moves on', () => {
    const asked = withNotification(requestAwaitingApproval(), 'approval-reminder', ['correspondent']);
    const choice = { decision: 'approve', comment: null } as const;
    const nowhere = [
      expectAccepted(askQuestion(asked, 'Why?', context({ actor: reviewer, now: on.tuesdayTen }))).request,
      expectAccepted(recordDecision(asked, 1, choice, context({ actor: noor.email, now: on.tuesdayTen }))).request,
      expectAccepted(withdrawRequest(asked, null, context({ actor: ines.email, now: on.tuesdayTen }))).request,
      expectAccepted(rejectRequest(asked, 'No.', context({ actor: reviewer, now: on.tuesdayTen }))).request,
    ].flatMap(lettersOf);
    expect(nowhere).not.toContain('approval-requested to correspondent');
    expect(nowhere).not.toContain('approval-reminder to correspondent');
  });

  it('EXC-11 ask the Correspondent once for the new number when the first email was not sent yet', () => {
    const wanted = lettersOf(requestInSecondRound()).filter((letter) => letter.startsWith('approval-requested'));
    expect(wanted).toEqual(['approval-requested to correspondent']);
  });

  it('EXC-11 that the answer is due soon are dropped when the request ends, and not before', () => {
    const dueSoon = withNotification(requestInReview(), 'due-soon', ['team']);
    const forwarded = expectAccepted(
      forwardRequest(dueSoon, undefined, context({ actor: reviewer, now: on.tuesdayTen })),
    ).request;
    const rejected = expectAccepted(
      rejectRequest(dueSoon, 'No.', context({ actor: reviewer, now: on.tuesdayTen })),
    ).request;
    expect(lettersOf(forwarded)).toContain('due-soon to team');
    expect(lettersOf(rejected)).not.toContain('due-soon to team');
  });

  it('EXC-11 go to the Correspondent who was once asked, even if a question made that round void', () => {
    const questioned = allSent(
      expectAccepted(askQuestion(requestAwaitingApproval(), 'Why?', context({ actor: reviewer, now: on.tuesdayTen })))
        .request,
    );
    const ends = [
      expectAccepted(withdrawRequest(questioned, null, context({ actor: ines.email, now: on.tuesdayTen }))),
      expectAccepted(rejectRequest(questioned, 'No.', context({ actor: reviewer, now: on.tuesdayTen }))),
      expectAccepted(lapseRequest(questioned, context({ now: on.nextFridayFive }))),
    ];
    expect(ends.map(({ request }) => lettersOf(request))).toEqual([
      ['withdrawn to requester', 'withdrawn to correspondent', 'withdrawn to team'],
      ['rejected to requester', 'rejected to correspondent'],
      ['lapsed to requester', 'lapsed to correspondent', 'lapsed to team'],
    ]);
  });
});

describe('the workflow execution of a request', () => {
  it('APR-6 gets a pending resume signal when a waiting request changes', () => {
    const { request } = expectAccepted(
      answerQuestion(
        withWaitingExecution(requestAwaitingRequester()),
        'So.',
        context({ actor: ines.email, now: on.tuesdayTen }),
      ),
    );
    expect(request.execution).toEqual({ status: 'resume-pending', executionNumber: 1, since: on.mondayTen });
  });

  it.each(['start-pending', 'running', 'resume-pending', 'ended'] as const)(
    'APR-6 stays as it is when it is %s',
    (status) => {
      const execution = { status, executionNumber: 2, since: on.mondayTen };
      const before = { ...requestAwaitingRequester(), execution };
      expect(
        expectAccepted(answerQuestion(before, 'So.', context({ actor: ines.email, now: on.tuesdayTen }))).request
          .execution,
      ).toEqual(execution);
    },
  );
});

describe('the transition table', () => {
  it('EXC-12 has the nine statuses, of which the last five are final', () => {
    expect(exceptionStatuses).toEqual([
      'received',
      'in-review',
      'awaiting-requester',
      'awaiting-approval',
      'fulfilled',
      'denied',
      'rejected',
      'withdrawn',
      'lapsed',
    ]);
    expect(openStatuses).toEqual(exceptionStatuses.slice(0, 4));
    expect(exceptionStatuses.filter((status) => Object.keys(transitionTable[status]).length === 0)).toEqual(
      exceptionStatuses.slice(4),
    );
    expect(requestInEachState.filter(isFinal).map(statusOf)).toEqual(exceptionStatuses.slice(4));
    expect(exceptionKinds).toEqual(['MAKADD', 'KMSADD']);
  });

  it('EXC-12 has exactly these transitions', () => {
    const table = Object.entries(transitionTable).flatMap(([from, ways]) =>
      Object.entries(ways).map(([move, to]) => `${from} –${move}→ ${to}`),
    );
    expect(table).toEqual([
      'received –review→ in-review',
      'received –ask→ awaiting-approval',
      'received –question→ awaiting-requester',
      'received –forward→ awaiting-approval',
      'received –reject→ rejected',
      'received –withdraw→ withdrawn',
      'in-review –question→ awaiting-requester',
      'in-review –forward→ awaiting-approval',
      'in-review –reject→ rejected',
      'in-review –withdraw→ withdrawn',
      'awaiting-requester –answer→ in-review',
      'awaiting-requester –reject→ rejected',
      'awaiting-requester –withdraw→ withdrawn',
      'awaiting-requester –lapse→ lapsed',
      'awaiting-approval –question→ awaiting-requester',
      'awaiting-approval –forward→ awaiting-approval',
      'awaiting-approval –approve→ awaiting-approval',
      'awaiting-approval –deny→ denied',
      'awaiting-approval –fulfill→ fulfilled',
      'awaiting-approval –reject→ rejected',
      'awaiting-approval –withdraw→ withdrawn',
      'awaiting-approval –lapse→ lapsed',
      'awaiting-approval –dispute→ in-review',
    ]);
  });

  it('EXC-12 reaches every status from received', () => {
    const reached = new Set<ExceptionStatus>(['received']);
    for (const status of reached) for (const to of Object.values(transitionTable[status])) reached.add(to);
    expect([...reached].toSorted()).toEqual([...exceptionStatuses].toSorted());
  });

  it('EXC-12 allows people exactly these transitions in each status', () => {
    expect(requestInEachState.map((request) => [statusOf(request), ...allowedTransitions(request)])).toEqual([
      ['received', 'question', 'forward', 'reject', 'withdraw'],
      ['in-review', 'question', 'forward', 'reject', 'withdraw'],
      ['awaiting-requester', 'answer', 'reject', 'withdraw'],
      ['awaiting-approval', 'question', 'forward', 'reject', 'withdraw', 'approve', 'deny'],
      ['fulfilled'],
      ['denied'],
      ['rejected'],
      ['withdrawn'],
      ['lapsed'],
    ]);
    expect(allowedTransitions(requestApproved())).toEqual(['reject']);
  });
});

describe('a decision that the Correspondent disputes', () => {
  const disputeOn = (request: ExceptionRequest) =>
    disputeDecision(request, context({ actor: noor.email, now: on.tuesdayTen }));

  it('APR-8 freezes a request whose limit was not raised yet: the approval is void, and the flagged request returns to the team', () => {
    const before = allSent(requestApproved());
    const { request, event: deed, frozen } = expectAccepted(disputeOn(before));
    expect(request).toEqual({
      ...before,
      flags: ['approval-disputed'],
      state: { status: 'in-review', answeredQuestion: null },
      pendingNotifications: [
        { notificationId: '6-disputed-team', kind: 'disputed', to: 'team', claimedUntil: null },
        { notificationId: '7-disputed-supervisors', kind: 'disputed', to: 'supervisors', claimedUntil: null },
      ],
      notificationCount: 7,
    });
    expect(frozen).toBe(true);
    expect(deed).toEqual({
      actor: noor.email,
      action: 'decision-disputed',
      detail: 'The Notices Correspondent reports that somebody else made this decision. The request is frozen.',
      reference: 'X-1',
    });
  });

  it('APR-8 grants nothing once frozen, and needs a new round and a new approval', () => {
    const { request } = expectAccepted(disputeOn(requestApproved()));
    expect(expectRefusal(fulfillRequest(request, aMak(), context({ now: on.tuesdayTen }))).code).toBe(
      'not-in-that-state',
    );
    expect(refuseUnlessRoundOpen(request, 1)?.refusal).toMatchObject({ code: 'link-void', because: 'replaced' });
    expect(nextStepOf(request)).toBe('request-review');
    expect(
      expectAccepted(forwardRequest(request, undefined, context({ actor: reviewer, now: on.tuesdayTen }))).request
        .rounds,
    ).toBe(2);
  });

  it.each([
    ['fulfilled', requestFulfilled()],
    ['denied', requestDenied()],
  ])('APR-8 alerts the team about a request that is already %s, and leaves it so', (_, ended) => {
    const before = allSent(ended);
    const { request, event: deed, frozen } = expectAccepted(disputeOn(before));
    expect(request).toMatchObject({ state: before.state, clock: before.clock, flags: ['approval-disputed'] });
    expect(lettersOf(request)).toEqual(['disputed to team', 'disputed to supervisors']);
    expect(frozen).toBe(false);
    expect(deed).toEqual({
      actor: noor.email,
      action: 'decision-disputed',
      detail: 'The Notices Correspondent reports that somebody else made this decision. The request had already ended.',
      reference: 'X-1',
    });
  });

  it('APR-8 keeps the other flags, in their order', () => {
    const before = { ...requestApproved(), flags: ['not-english', 'correspondent-differs'] as const };
    expect(expectAccepted(disputeOn(before)).request.flags).toEqual([
      'not-english',
      'correspondent-differs',
      'approval-disputed',
    ]);
  });

  it('APR-8 is refused while nothing is decided', () => {
    expect(expectRefusal(disputeOn(requestInReview())).detail).toBe(
      'The request is in-review, so “dispute” is not possible. Possible now: question, forward, reject, withdraw.',
    );
    for (const request of [requestReceived(), requestAwaitingApproval(), requestAwaitingRequester(), requestLapsed()]) {
      expect(expectRefusal(disputeOn(request))).toMatchObject({
        code: 'not-in-that-state',
        currentStatus: statusOf(request),
      });
    }
  });
});

describe('a new Notices Correspondent', () => {
  it('AGR-4 is asked about the same number in a new round, and the former one’s round is void', () => {
    const { request, event: deed } = expectAccepted(
      restartApproval(requestAwaitingApproval(), context({ now: on.tuesdayTen })),
    );
    expect(request).toMatchObject({ activations: 150, rounds: 2 });
    expect(approvalRoundOf(request)).toEqual({
      number: 2,
      askedAt: on.tuesdayTen,
      remindersSent: 0,
      undeliverableAt: null,
      decision: null,
    });
    expect(refuseUnlessRoundOpen(request, 1)?.refusal).toMatchObject({ code: 'link-void', because: 'replaced' });
    expect(lettersOf(request)).toContain('approval-requested to correspondent');
    expect(deed).toEqual({
      actor: 'volume-activation',
      action: 'approval-asked',
      detail: 'The Notices Correspondent has changed. The new one was asked.',
      reference: 'X-1',
    });
  });

  it('AGR-4 is not asked when the round is decided or no round is open', () => {
    expect(expectRefusal(restartApproval(requestInReview(), context({ now: on.tuesdayTen }))).detail).toContain(
      '“ask” is not possible',
    );
    for (const request of [requestApproved(), requestReceived(), requestAwaitingRequester(), requestDenied()]) {
      expect(expectRefusal(restartApproval(request, context({ now: on.tuesdayTen })))).toMatchObject({
        code: 'not-in-that-state',
        currentStatus: statusOf(request),
        allowed: allowedTransitions(request),
      });
    }
  });
});

/** A request on its way together with its key, as the store keeps them. */
type TransitionCase = { readonly request: ExceptionRequest; readonly key: Key };

/** Tries a move with whatever it needs; what it forwards is always a new number, so that only the state matters. */
function attempt(move: TransitionName, { request, key }: TransitionCase, now: Instant): Result<TransitionCase> {
  const newNumber = request.activations > 1 ? request.activations - 1 : request.form.activationsRequested;
  const choose = (decision: 'approve' | 'deny') =>
    recordDecision(request, request.rounds, { decision, comment: null }, context({ actor: noor.email, now }));
  const withKey = (tried: Result<Transition>): Result<TransitionCase> => (tried.ok ? { ...tried, key } : tried);
  switch (move) {
    case 'question':
      return withKey(askQuestion(request, 'Why?', context({ actor: reviewer, now })));
    case 'answer':
      return withKey(answerQuestion(request, 'So.', context({ actor: ines.email, now })));
    case 'forward':
      return withKey(forwardRequest(request, newNumber, context({ actor: reviewer, now })));
    case 'reject':
      return withKey(rejectRequest(request, 'No.', context({ actor: reviewer, now })));
    case 'withdraw':
      return withKey(withdrawRequest(request, null, context({ actor: ines.email, now })));
    case 'approve':
    case 'deny':
      return withKey(choose(move));
    case 'review':
      return withKey(requestReview(request));
    case 'ask':
      return withKey(requestApproval(request, context({ now })));
    case 'lapse':
      return withKey(lapseRequest(request, context({ now })));
    case 'dispute':
      return withKey(disputeDecision(request, context({ actor: noor.email, now })));
    case 'fulfill': {
      const tried = fulfillRequest(request, key, context({ now }));
      return tried.ok ? { ...tried, key: tried.granted?.key ?? key } : tried;
    }
  }
}

describe('any sequence of transitions', () => {
  const step = fc.record({ move: fc.constantFrom(...transitions), minutes: fc.integer({ min: 0, max: 3 * 24 * 60 }) });
  const start = fc.constantFrom<() => TransitionCase>(
    () => ({ request: requestReceived(), key: aMak() }),
    () => ({ request: requestReceived({ form: { kind: 'KMSADD' } }), key: aKmsKey() }),
    () => ({ request: requestInReview({ form: { language: 'fr' } }), key: aMak() }),
    () => ({ request: requestAwaitingApproval(), key: aMak() }),
    () => ({ request: requestApproved(), key: aMak() }),
  );

  /** Whether a move may be made: the table says it, and after an approval only the stop and the grant are left. */
  function isLegal(move: TransitionName, request: ExceptionRequest): boolean {
    const isDecided = approvalRoundOf(request)?.decision != null;
    if (move === 'dispute') return isDecided;
    if (statusOf(request) === 'awaiting-approval' && isDecided) return move === 'reject' || move === 'fulfill';
    return move !== 'fulfill' && transitionTable[statusOf(request)][move] !== undefined;
  }

  it('EXC-12 makes only the transitions of the table, each with its status', () => {
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 25, size: 'max' }), (begin, steps) => {
        let way = begin();
        let now = on.mondayTen;
        for (const { move, minutes } of steps) {
          now = addDuration(now, { minutes });
          const from = statusOf(way.request);
          const tried = attempt(move, way, now);
          expect(tried.ok).toBe(isLegal(move, way.request));
          if (tried.ok) {
            // Only a dispute may be raised about what has ended, and that stays ended.
            expect(statusOf(tried.request)).toBe(
              transitionTable[from][move] ?? (move === 'dispute' ? from : undefined),
            );
            way = tried;
          } else if (move === 'approve' || move === 'deny') {
            expect(tried.refusal.code).toMatch(/^(link-void|already-decided)$/);
          } else {
            expect(tried.refusal).toMatchObject({
              code: 'not-in-that-state',
              currentStatus: from,
              allowed: allowedTransitions(way.request),
            });
          }
        }
      }),
    );
  });

  it('EXC-12 lists as allowed exactly those transitions that succeed', () => {
    const byPeople: readonly TransitionName[] = [
      'question',
      'answer',
      'forward',
      'reject',
      'withdraw',
      'approve',
      'deny',
    ];
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 10 }), (begin, steps) => {
        let way = begin();
        for (const { move } of steps) {
          const tried = attempt(move, way, on.mondayNoon);
          if (tried.ok) way = tried;
          const succeed = byPeople.filter((each) => attempt(each, way, on.mondayNoon).ok);
          expect(allowedTransitions(way.request)).toEqual(succeed);
          if (isFinal(way.request)) expect(succeed).toEqual([]);
        }
      }),
    );
  });

  it('EXC-6 EXC-9 grants what the Correspondent approved, once, or nothing', () => {
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 25, size: 'max' }), (begin, steps) => {
        const first = begin();
        let way = first;
        let approvedNumber = first.request.activations;
        for (const { move } of steps) {
          const tried = attempt(move, way, on.mondayNoon);
          if (!tried.ok) continue;
          if (move === 'approve') approvedNumber = way.request.activations;
          way = tried;
        }
        const fulfilled = statusOf(way.request) === 'fulfilled';
        const raisedBy = limitOf(way.key.grants) - limitOf(first.key.grants);
        expect(raisedBy).toBe(fulfilled ? approvedNumber : 0);
        if (fulfilled)
          expect(approvalRoundOf(way.request)?.decision).toMatchObject({ decision: 'approve', by: noor.email });
      }),
    );
  });

  it('EXC-11 gives every notification an id of its own, and stops the clock with the request', () => {
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 25, size: 'max' }), (begin, steps) => {
        let way = begin();
        const written = new Set(way.request.pendingNotifications.map(({ notificationId: letterId }) => letterId));
        for (const { move } of steps) {
          const tried = attempt(move, way, on.mondayNoon);
          if (!tried.ok) continue;
          const fresh = tried.request.pendingNotifications.filter(
            (letter) => !way.request.pendingNotifications.includes(letter),
          );
          expect(fresh).toHaveLength(tried.request.notificationCount - way.request.notificationCount);
          for (const { notificationId: letterId } of fresh) {
            expect(written).not.toContain(letterId);
            written.add(letterId);
          }
          way = tried;
          expect(way.request.clock.status === 'stopped').toBe(isFinal(way.request));
          expect(way.request.clock.status === 'paused').toBe(statusOf(way.request) === 'awaiting-requester');
        }
      }),
    );
  });
});

describe('the vocabulary of a request', () => {
  it('EXC-8 APR-8 has five flags of the intake and one of a dispute', () => {
    const all: readonly Flag[] = [
      'not-english',
      'above-review-threshold',
      'correspondent-differs',
      'required-before-due',
      'requester-is-correspondent',
      'approval-disputed',
    ];
    expect(flags).toEqual(all);
  });
});
