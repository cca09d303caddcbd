import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { civilDate, later } from '../../../domain/calendar/instant.ts';
import type { ExceptionStatus, Move } from '../../../domain/exception-status.ts';
import { exceptionStatuses, legalMoves, moves, openStatuses } from '../../../domain/exception-status.ts';
import type { Changed, ExceptionRequest, Flag, Intake, Known } from '../../../domain/exceptions/request.ts';
import {
  allowedMoves,
  answer,
  askAnew,
  askCorrespondent,
  askOf,
  beginReview,
  decide,
  dispute,
  flags,
  forward,
  fulfil,
  isFinal,
  lapse,
  mailNewLink,
  question,
  receive,
  refusedAsOpen,
  refusedUnlessAsking,
  reject,
  standingOf,
  withdraw,
  write,
} from '../../../domain/exceptions/request.ts';
import { limitOf } from '../../../domain/keys/grant.ts';
import type { Key } from '../../../domain/keys/key.ts';
import type { Decided } from '../../../domain/refusal.ts';
import { exceptionKinds } from '../../../domain/remedy.ts';
import {
  accepted,
  aGrant,
  aKmsIntake,
  aKmsKey,
  aMak,
  anAgreement,
  anIntake,
  anOverride,
  aRequest,
  blocked,
  blocking,
  carla,
  context,
  ines,
  known,
  mallory,
  parked,
  refusalOf,
  requestAnswered,
  requestApproved,
  requestAskedAnew,
  requestAwaitingApproval,
  requestAwaitingRequester,
  requestDenied,
  requestFulfilled,
  requestInEachState,
  requestInReview,
  requestLapsed,
  requestReceived,
  requestRejected,
  requestWithdrawn,
  reviewer,
  tom,
} from '../../builders.ts';
import * as on from '../../instants.ts';

const receiveOn = (intake: Intake, facts: Partial<Known> = {}, at: Instant = on.mondayTen) =>
  receive(intake, known(facts), 'X-1', context({ actor: ines.email, now: at }));
const statusOf = (request: ExceptionRequest): ExceptionStatus => request.stage.is;
/** The letters that are owed, each as its kind and its recipient. */
const lettersOf = (request: ExceptionRequest) => request.letters.map(({ kind, to }) => `${kind} to ${to}`);
/** The same request with no letter left to send. */
const allSent = (request: ExceptionRequest): ExceptionRequest => ({ ...request, letters: [] });

describe('a request that comes in', () => {
  it('EXC-1 SLA-1 is received: with its clock started, its workflow to start and a letter owed to the requester', () => {
    const intake = anIntake();
    expect(receiveOn(intake)).toEqual({
      ok: true,
      request: {
        exceptionId: 'X-1',
        agreementId: 'E-1001',
        keyId: 'mak-1',
        intake,
        flags: [],
        activations: 150,
        receivedAt: on.mondayTen,
        stage: { is: 'received' },
        clock: {
          is: 'running',
          dueAt: on.nextMondayFive,
          holder: 'team',
          since: on.mondayTen,
          spent: { team: 0, requester: 0, correspondent: 0 },
        },
        asks: 0,
        reminded: { team: 0, supervisors: 0 },
        letters: [{ letterId: '1-received-requester', kind: 'received', to: 'requester', claimedUntil: null }],
        lettersWritten: 1,
        drive: { is: 'to-start', attempt: 1, since: on.mondayTen },
      },
      deed: {
        actor: ines.email,
        action: 'received',
        detail: 'MAKADD for 150 on the key ending in BCDFG: Two new schools open in autumn.',
        reference: 'X-1',
      },
    });
  });

  it('EXC-2 is refused for an agreement that there is not, as for one whose list the requester is not on', () => {
    const refusal = {
      code: 'requester-not-authorized',
      detail:
        'The requester is not on the Authorized Contact List of this agreement, by e-mail and name. Check both numbers and names, or let a listed contact ask.',
    };
    expect(refusalOf(receiveOn(anIntake(), { agreement: undefined }))).toEqual(refusal);
    expect(refusalOf(receiveOn(anIntake({ requester: mallory })))).toEqual(refusal);
    expect(refusalOf(receiveOn(anIntake({ requester: { ...tom, email: ines.email } })))).toEqual(refusal);
  });

  it('EXC-2 is taken from a requester who writes the listed name without accents and in capitals', () => {
    const requester = { ...ines, name: 'INES  OLIVEIRA', email: 'Ines@Alder.example' };
    expect(accepted(receiveOn(anIntake({ requester }))).request.intake.requester).toEqual(requester);
  });

  it('EXC-3 is refused for last five that no key of the agreement has', () => {
    expect(refusalOf(receiveOn(anIntake({ keyLastFive: 'YYYYY' }), { keys: [] }))).toEqual({
      code: 'key-not-found',
      detail: "No key of this agreement ends in YYYYY. Look up the last five under the agreement's keys.",
    });
  });

  it('EXC-3 is refused for a key of the other kind, saying which process it takes', () => {
    expect(refusalOf(receiveOn(anIntake(), { keys: [aKmsKey()] }))).toEqual({
      code: 'wrong-key-type',
      detail: 'The key ending in HJKMP is a KMS key; ask for it by KMSADD.',
    });
    expect(refusalOf(receiveOn(aKmsIntake(), { keys: [aMak()] }))).toEqual({
      code: 'wrong-key-type',
      detail: 'The key ending in BCDFG is a MAK key; ask for it by MAKADD.',
    });
  });

  it('EXC-3 finds the key of its kind when two keys end alike, and of one kind the live one', () => {
    const keys = [aKmsKey({ lastFive: 'BCDFG' }), aMak(), aMak({ keyId: 'mak-0', status: blocking })];
    expect(accepted(receiveOn(anIntake(), { keys })).request.keyId).toBe('mak-1');
  });

  it('EXC-3 is refused for a blocked key, naming the one that replaced it', () => {
    expect(refusalOf(receiveOn(anIntake(), { keys: [aMak({ status: blocked() })] }))).toMatchObject({
      code: 'key-blocked',
      replacedBy: 'QRTVW',
    });
  });

  it('EXC-3 is refused for a product that the key does not cover', () => {
    expect(refusalOf(receiveOn(anIntake({ product: 'windows-web-server-2008' })))).toMatchObject({
      code: 'product-not-covered',
      covers: ['windows-vista-business', 'windows-vista-enterprise'],
    });
  });

  it('EXC-5 is refused while one is open for the same key, naming that one', () => {
    const openExceptionId = (keyId: string) => (keyId === 'mak-1' ? 'X-0' : undefined);
    const refusal = {
      code: 'exception-already-open',
      detail: 'Request X-0 is already open for the key ending in BCDFG. Follow that one, or withdraw it first.',
      exceptionId: 'X-0',
    };
    expect(refusalOf(receiveOn(anIntake(), { openExceptionId }))).toEqual(refusal);
    expect(refusedAsOpen('X-0', 'BCDFG')).toEqual({ ok: false, refusal });
  });

  it('EXC-5 is taken while one is open for another key', () => {
    const openExceptionId = (keyId: string) => (keyId === 'kms-1' ? 'X-0' : undefined);
    expect(accepted(receiveOn(anIntake(), { openExceptionId })).request.keyId).toBe('mak-1');
  });
});

describe('what a phone call could still give', () => {
  const raised = (byPhone: number) =>
    aMak({ grants: [aGrant({ amount: 100 }), aGrant({ kind: 'call-center', amount: byPhone })] });
  const overridden = (count: number) =>
    aKmsKey({ overrides: Array.from({ length: count }, () => anOverride({ at: on.sundayNoon })) });

  it('EXC-4 is no exception for a MAK: the refusal says to what limit and how much to ask', () => {
    expect(refusalOf(receiveOn(anIntake({ activationsRequested: 100 })))).toEqual({
      code: 'not-an-exception',
      detail: 'The call centre can raise this key to 200 during a call, which is 100 more. Ask there for 100 more.',
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
    'EXC-4 after %i more by phone of 100, a request for %i more is taken: %s',
    (byPhone, activationsRequested, taken) => {
      expect(receiveOn(anIntake({ activationsRequested }), { keys: [raised(byPhone)] }).ok).toBe(taken);
    },
  );

  it('EXC-4 is no exception for a KMS key: the refusal says how many overrides it has left', () => {
    const intake = aKmsIntake({ activationsRequested: 5 });
    expect(refusalOf(receiveOn(intake, { keys: [aKmsKey()] }))).toEqual({
      code: 'not-an-exception',
      detail:
        'The call centre can still give this key 5 more by overrides, one a day. Call from beside the host and ask there.',
      remedies: [{ kind: 'override', available: true, maximum: 5 }],
    });
  });

  it('EXC-4 says when the next override can be given, if today has had its own', () => {
    const keys = [aKmsKey({ overrides: [anOverride({ at: on.mondayNine })] })];
    expect(refusalOf(receiveOn(aKmsIntake({ activationsRequested: 1 }), { keys }))).toMatchObject({
      remedies: [{ kind: 'override', available: false, availableAt: on.tuesdayMidnight, maximum: 4 }],
    });
  });

  it.each([
    [0, 5, false],
    [0, 6, true],
    [4, 1, false],
    [4, 2, true],
    [5, 1, true],
  ])('EXC-4 after %i overrides, a request for %i more is taken: %s', (given, activationsRequested, taken) => {
    expect(receiveOn(aKmsIntake({ activationsRequested }), { keys: [overridden(given)] }).ok).toBe(taken);
  });
});

describe('what is flagged when a request comes in', () => {
  const flagsFor = (facts: Partial<Intake>, about: Partial<Known> = {}) =>
    accepted(receiveOn(anIntake(facts), about)).request.flags;
  const kmsFlagsFor = (activationsRequested: number) =>
    accepted(receiveOn(aKmsIntake({ activationsRequested }), { keys: [aKmsKey()] })).request.flags;

  it('EXC-8 SLA-3 is a language other than English, in which more time is taken', () => {
    const { request } = accepted(receiveOn(anIntake({ language: 'pt-BR' })));
    expect(request.flags).toEqual(['not-english']);
    expect(request.clock).toMatchObject({ dueAt: on.mondayAfterNextFridayFive });
  });

  it.each(['en', 'en-US', 'EN-gb'])('EXC-8 SLA-3 is not English as in %s', (language) => {
    const { request } = accepted(receiveOn(anIntake({ language })));
    expect(request.flags).toEqual([]);
    expect(request.clock).toMatchObject({ dueAt: on.nextMondayFive });
  });

  it.each(['enm', 'de-en', 'x-en', ''])('EXC-8 SLA-3 is “%s”, which is not English', (language) => {
    expect(flagsFor({ language })).toEqual(['not-english']);
  });

  it('EXC-8 is more than 1,000 activations for MAKADD', () => {
    expect(flagsFor({ activationsRequested: 1000 })).toEqual([]);
    expect(flagsFor({ activationsRequested: 1001 })).toEqual(['above-review-threshold']);
  });

  it('EXC-8 is more than 20 hosts for KMSADD', () => {
    expect(kmsFlagsFor(20)).toEqual([]);
    expect(kmsFlagsFor(21)).toEqual(['above-review-threshold']);
  });

  it('EXC-6 is another Notices Correspondent in the request than the agreement has', () => {
    expect(flagsFor({ noticesCorrespondent: { ...carla, email: 'CARLA@alder.example ' } })).toEqual([]);
    expect(flagsFor({ noticesCorrespondent: { ...carla, email: mallory.email } })).toEqual(['correspondent-differs']);
  });

  it('EXC-6 AGR-4 goes by who the Correspondent is at that moment', () => {
    const handedOver = { person: tom, effectiveAt: on.mondayTen };
    const about = { agreement: anAgreement({ pendingNoticesCorrespondent: handedOver }) };
    expect(flagsFor({ noticesCorrespondent: tom }, about)).toEqual([]);
    expect(flagsFor({ noticesCorrespondent: carla }, about)).toEqual(['correspondent-differs']);
    expect(flagsFor({ requester: tom }, about)).toEqual(['requester-is-correspondent']);
  });

  it('SLA-7 is a required date before the day on which the answer is due', () => {
    expect(flagsFor({ requiredDate: civilDate('2026-06-08') })).toEqual([]);
    expect(flagsFor({ requiredDate: civilDate('2026-06-07') })).toEqual(['required-before-due']);
  });

  it('EXC-8 is a requester who is the Notices Correspondent', () => {
    const agreement = anAgreement({ contacts: [ines, carla] });
    expect(flagsFor({ requester: carla }, { agreement })).toEqual(['requester-is-correspondent']);
    expect(flagsFor({ requester: ines }, { agreement })).toEqual([]);
  });

  it('EXC-8 is all of it at once, in one order', () => {
    const everything = {
      requester: carla,
      language: 'fr',
      activationsRequested: 5000,
      noticesCorrespondent: mallory,
      requiredDate: civilDate('2026-06-02'),
    };
    expect(flagsFor(everything, { agreement: anAgreement({ contacts: [carla] }) })).toEqual(
      flags.filter((flag) => flag !== 'approval-disputed'),
    );
  });
});

describe('where a request goes', () => {
  it('EXC-8 is straight to the Correspondent without a flag, and to the team first with any', () => {
    expect(standingOf(requestReceived())).toBe('ask-correspondent');
    for (const flag of flags) expect(standingOf(aRequest({ flags: [flag] }))).toBe('review');
  });

  it('EXC-12 follows from its state alone', () => {
    expect(requestInEachState.map((request) => `${statusOf(request)}: ${standingOf(request)}`)).toEqual([
      'received: ask-correspondent',
      'in-review: review',
      'awaiting-requester: ask-requester',
      'awaiting-approval: ask-correspondent',
      'fulfilled: end',
      'denied: end',
      'rejected: end',
      'withdrawn: end',
      'lapsed: end',
    ]);
    expect(standingOf(requestApproved())).toBe('fulfil');
  });
});

describe('a review', () => {
  it('EXC-8 begins with a letter to the team, naming the flags', () => {
    const before = aRequest({ flags: ['not-english', 'above-review-threshold'] });
    expect(beginReview(before)).toEqual({
      ok: true,
      request: {
        ...before,
        stage: { is: 'in-review', answered: null },
        letters: [
          ...before.letters,
          { letterId: '2-review-wanted-team', kind: 'review-wanted', to: 'team', claimedUntil: null },
        ],
        lettersWritten: 2,
      },
      deed: {
        actor: 'volume-activation',
        action: 'review-begun',
        detail: 'Put before the exceptions team: not-english, above-review-threshold.',
        reference: 'X-1',
      },
    });
  });
});

describe('the Correspondent who is asked', () => {
  const before = allSent(requestReceived());

  it('EXC-6 EXC-11 SLA-4 gets the ball and a letter, and the requester is told', () => {
    const { request, deed } = accepted(askCorrespondent(before, context({ now: on.mondayNoon })));
    expect(request).toEqual({
      ...before,
      asks: 1,
      stage: {
        is: 'awaiting-approval',
        ask: { askNumber: 1, askedAt: on.mondayNoon, remindersSent: 0, undeliverableAt: null, decision: null },
      },
      clock: {
        is: 'running',
        dueAt: on.nextMondayFive,
        holder: 'correspondent',
        since: on.mondayNoon,
        spent: { team: 120, requester: 0, correspondent: 0 },
      },
      letters: [
        {
          letterId: '2-approval-wanted-correspondent',
          kind: 'approval-wanted',
          to: 'correspondent',
          claimedUntil: null,
        },
        { letterId: '3-forwarded-requester', kind: 'forwarded', to: 'requester', claimedUntil: null },
      ],
      lettersWritten: 3,
    });
    expect(deed).toEqual({
      actor: 'volume-activation',
      action: 'approval-asked',
      detail: 'The Notices Correspondent was asked to approve 150.',
      reference: 'X-1',
    });
  });
});

describe('the team that forwards', () => {
  const forwardOn = (request: ExceptionRequest, activations?: number) =>
    forward(request, activations, context({ actor: reviewer, now: on.tuesdayTen }));

  it('EXC-7 asks for what was requested, when it names no number', () => {
    const { request, deed } = accepted(forwardOn(allSent(requestInReview())));
    expect(request).toMatchObject({
      activations: 150,
      asks: 1,
      stage: { is: 'awaiting-approval', ask: { askNumber: 1, askedAt: on.tuesdayTen } },
      clock: { holder: 'correspondent' },
    });
    expect(lettersOf(request)).toEqual(['approval-wanted to correspondent', 'forwarded to requester']);
    expect(deed).toEqual({
      actor: reviewer,
      action: 'forwarded',
      detail: 'Forwarded to the Notices Correspondent for 150.',
      reference: 'X-1',
    });
  });

  it('EXC-7 may forward a smaller number, which is then what would be granted; what was requested stays', () => {
    const { request } = accepted(forwardOn(requestInReview(), 120));
    expect(request.activations).toBe(120);
    expect(request.intake.activationsRequested).toBe(150);
  });

  it('EXC-7 may not forward a larger number than was requested', () => {
    expect(accepted(forwardOn(requestInReview(), 150)).request.activations).toBe(150);
    expect(refusalOf(forwardOn(requestInReview(), 151))).toEqual({
      code: 'invalid-request',
      detail: 'The number to forward must be at most the 150 that were requested; a larger number is a new request.',
      errors: [
        {
          pointer: '/activations',
          message: 'must be at most the 150 that were requested; a larger number is a new request',
        },
      ],
    });
  });

  it('EXC-7 voids the question that is out by a new number, and asks anew from the beginning', () => {
    const asked = requestAwaitingApproval();
    const reminded = {
      ...asked,
      stage: {
        is: 'awaiting-approval',
        ask: { askNumber: 1, askedAt: on.mondayTen, remindersSent: 2, undeliverableAt: null, decision: null },
      },
    } as const;
    const { request, deed } = accepted(forwardOn(reminded, 120));
    expect(request).toMatchObject({ activations: 120, asks: 2 });
    expect(askOf(request)).toEqual({
      askNumber: 2,
      askedAt: on.tuesdayTen,
      remindersSent: 0,
      undeliverableAt: null,
      decision: null,
    });
    expect(deed.detail).toBe('Forwarded to the Notices Correspondent for 120. The question that was out is void.');
    const choice = { decision: 'approve', comment: null } as const;
    expect(refusalOf(decide(request, 1, choice, context({ actor: carla.email, now: on.tuesdayTen })))).toMatchObject({
      code: 'link-void',
      because: 'replaced',
    });
    expect(
      accepted(decide(request, 2, choice, context({ actor: carla.email, now: on.tuesdayTen }))).request.activations,
    ).toBe(120);
  });

  it('EXC-7 may go back up to what was requested by another new number', () => {
    const smaller = accepted(forwardOn(requestInReview(), 120)).request;
    expect(accepted(forwardOn(smaller, 150)).request).toMatchObject({ activations: 150, asks: 2 });
  });

  it('EXC-7 does not ask the same question twice, which would void the link for nothing', () => {
    const refusal = {
      code: 'not-in-that-state',
      detail:
        'The Notices Correspondent is being asked about 150 already. Forward another number, or wait for the answer.',
      status: 'awaiting-approval',
      allowed: ['question', 'forward', 'reject', 'withdraw', 'approve', 'deny'],
    };
    expect(refusalOf(forwardOn(requestAwaitingApproval()))).toEqual(refusal);
    expect(refusalOf(forwardOn(requestAwaitingApproval(), 150))).toEqual(refusal);
  });

  it('EXC-8 may forward a request straight away that was only received', () => {
    expect(statusOf(accepted(forwardOn(requestReceived(), 149)).request)).toBe('awaiting-approval');
  });
});

describe('a question to the requester', () => {
  it('EXC-7 SLA-2 stands the clock, goes to the requester and says who asked', () => {
    const before = allSent(requestInReview());
    const { request, deed } = accepted(
      question(before, 'Which schools?', context({ actor: reviewer, now: on.mondayNoon })),
    );
    expect(request).toEqual({
      ...before,
      stage: { is: 'awaiting-requester', question: 'Which schools?', askedAt: on.mondayNoon, askedBy: reviewer },
      clock: {
        is: 'standing',
        remainingMinutes: 5 * 480 + 300,
        since: on.mondayNoon,
        spent: { team: 120, requester: 0, correspondent: 0 },
      },
      letters: [{ letterId: '3-question-requester', kind: 'question', to: 'requester', claimedUntil: null }],
      lettersWritten: 3,
    });
    expect(deed).toEqual({ actor: reviewer, action: 'question-put', detail: 'Which schools?', reference: 'X-1' });
  });

  it('EXC-7 voids the question to the Correspondent that is out', () => {
    const { request } = accepted(
      question(requestAwaitingApproval(), 'Why?', context({ actor: reviewer, now: on.mondayNoon })),
    );
    expect(askOf(request)).toBeNull();
    expect(refusedUnlessAsking(request, 1)?.refusal).toMatchObject({ code: 'link-void', because: 'replaced' });
    const answered = accepted(answer(request, 'So.', context({ actor: ines.email, now: on.mondayNoon }))).request;
    expect(refusedUnlessAsking(answered, 1)?.refusal).toMatchObject({ code: 'link-void', because: 'replaced' });
  });
});

describe('an answer of the requester', () => {
  it('EXC-14 SLA-2 puts the request before the team again, and the clock runs on with what was left', () => {
    const before = allSent(requestAwaitingRequester({ at: on.mondayNoon }));
    const { request, deed } = accepted(
      answer(before, 'Elm and Fir.', context({ actor: ines.email, now: on.wednesdayNoon })),
    );
    expect(request).toEqual({
      ...before,
      stage: { is: 'in-review', answered: { question: 'Which schools?', answer: 'Elm and Fir.' } },
      clock: {
        is: 'running',
        dueAt: on.nextWednesdayFive,
        holder: 'team',
        since: on.wednesdayNoon,
        spent: { team: 0, requester: 960, correspondent: 0 },
      },
      letters: [{ letterId: '4-answered-team', kind: 'answered', to: 'team', claimedUntil: null }],
      lettersWritten: 4,
    });
    expect(deed).toEqual({
      actor: ines.email,
      action: 'question-answered',
      detail: 'Elm and Fir.',
      reference: 'X-1',
    });
  });
});

describe('an answer to no question', () => {
  it('EXC-12 is refused, saying what can be done instead', () => {
    expect(refusalOf(answer(requestInReview(), 'So.', context({ actor: ines.email, now: on.mondayNoon })))).toEqual({
      code: 'not-in-that-state',
      detail:
        'A request that is in-review does not take “answer”. What can be done now: question, forward, reject, withdraw.',
      status: 'in-review',
      allowed: ['question', 'forward', 'reject', 'withdraw'],
    });
  });
});

describe('a request that is rejected', () => {
  const rejectOn = (request: ExceptionRequest) =>
    reject(request, 'Too many.', context({ actor: reviewer, now: on.tuesdayTen }));

  it('EXC-7 ends with the reason, its clock stopped, and the requester told', () => {
    const before = allSent(requestInReview());
    const { request, deed } = accepted(rejectOn(before));
    expect(request).toEqual({
      ...before,
      stage: { is: 'rejected', at: on.tuesdayTen, by: reviewer, reason: 'Too many.', ask: null },
      clock: {
        is: 'stopped',
        dueAt: on.nextMondayFive,
        at: on.tuesdayTen,
        lateBecauseOf: null,
        spent: { team: 480, requester: 0, correspondent: 0 },
      },
      letters: [{ letterId: '3-rejected-requester', kind: 'rejected', to: 'requester', claimedUntil: null }],
      lettersWritten: 3,
    });
    expect(deed).toEqual({ actor: reviewer, action: 'rejected', detail: 'Too many.', reference: 'X-1' });
  });

  it('EXC-8 may be rejected even after the approval, until the limit was raised: the Correspondent is told too', () => {
    const approved = allSent(requestApproved());
    const { request } = accepted(rejectOn(approved));
    expect(request.stage).toMatchObject({ is: 'rejected', ask: askOf(approved) });
    expect(lettersOf(request)).toEqual(['rejected to requester', 'rejected to correspondent']);
    expect(refusalOf(rejectOn(requestFulfilled()))).toMatchObject({ code: 'not-in-that-state', allowed: [] });
    expect(refusalOf(fulfil(request, aMak(), context({ now: on.tuesdayTen })))).toMatchObject({ status: 'rejected' });
  });
});

describe('a request that is withdrawn', () => {
  const withdrawOn = (request: ExceptionRequest, reason: string | null = 'No longer needed.') =>
    withdraw(request, reason, context({ actor: ines.email, now: on.tuesdayTen }));

  it('EXC-10 ends, and the requester and the team are told', () => {
    const before = allSent(requestReceived());
    const { request, deed } = accepted(withdrawOn(before));
    expect(request.stage).toEqual({
      is: 'withdrawn',
      at: on.tuesdayTen,
      by: ines.email,
      reason: 'No longer needed.',
      ask: null,
    });
    expect(request.clock.is).toBe('stopped');
    expect(lettersOf(request)).toEqual(['withdrawn to requester', 'withdrawn to team']);
    expect(deed).toEqual({ actor: ines.email, action: 'withdrawn', detail: 'No longer needed.', reference: 'X-1' });
  });

  it('EXC-10 needs no reason', () => {
    const { request, deed } = accepted(withdrawOn(requestReceived(), null));
    expect(request.stage).toMatchObject({ is: 'withdrawn', reason: null });
    expect(deed.detail).toBe('No reason was given.');
  });

  it('EXC-10 may be withdrawn while the Correspondent is asked, who is told; the link is then closed', () => {
    const { request } = accepted(withdrawOn(allSent(requestAwaitingApproval())));
    expect(lettersOf(request)).toEqual(['withdrawn to requester', 'withdrawn to correspondent', 'withdrawn to team']);
    expect(refusedUnlessAsking(request, 1)?.refusal).toEqual({
      code: 'link-void',
      detail: 'The request was closed before you answered. There is nothing left to decide.',
      because: 'closed',
    });
  });

  it('EXC-10 may not be withdrawn once it is decided', () => {
    expect(refusalOf(withdrawOn(requestApproved()))).toEqual({
      code: 'not-in-that-state',
      detail: 'A request that is awaiting-approval does not take “withdraw”. What can be done now: reject.',
      status: 'awaiting-approval',
      allowed: ['reject'],
    });
    expect(refusalOf(withdrawOn(requestDenied()))).toEqual({
      code: 'not-in-that-state',
      detail: 'A request that is denied does not take “withdraw”. It has ended; nothing can be done to it.',
      status: 'denied',
      allowed: [],
    });
  });
});

describe('the Correspondent who decides', () => {
  const choose = (decision: 'approve' | 'deny', comment: string | null = null) => ({ decision, comment }) as const;
  const decideOn = (
    request: ExceptionRequest,
    askNumber: number,
    decision: 'approve' | 'deny',
    comment: string | null = null,
  ) => decide(request, askNumber, choose(decision, comment), context({ actor: carla.email, now: on.tuesdayTen }));
  const asked = allSent(requestAwaitingApproval({ at: on.mondayNoon }));

  it('EXC-6 approves: that is recorded, the team has the ball, both are told, and no limit is raised yet', () => {
    const { request, deed } = accepted(decideOn(asked, 1, 'approve', 'Fine.'));
    expect(request).toEqual({
      ...asked,
      stage: {
        is: 'awaiting-approval',
        ask: {
          askNumber: 1,
          askedAt: on.mondayNoon,
          remindersSent: 0,
          undeliverableAt: null,
          decision: { decision: 'approve', at: on.tuesdayTen, by: carla.email, comment: 'Fine.' },
        },
      },
      clock: {
        is: 'running',
        dueAt: on.nextMondayFive,
        holder: 'team',
        since: on.tuesdayTen,
        spent: { team: 0, requester: 0, correspondent: 360 },
      },
      letters: [
        { letterId: '4-decided-requester', kind: 'decided', to: 'requester', claimedUntil: null },
        { letterId: '5-decided-correspondent', kind: 'decided', to: 'correspondent', claimedUntil: null },
      ],
      lettersWritten: 5,
    });
    expect(deed).toEqual({
      actor: carla.email,
      action: 'approved',
      detail: 'The Notices Correspondent approved 150 more. “Fine.”',
      reference: 'X-1',
    });
  });

  it('APR-8 denies: the request ends and both are told', () => {
    const { request, deed } = accepted(decideOn(asked, 1, 'deny'));
    expect(request.stage).toEqual({
      is: 'denied',
      at: on.tuesdayTen,
      ask: {
        askNumber: 1,
        askedAt: on.mondayNoon,
        remindersSent: 0,
        undeliverableAt: null,
        decision: { decision: 'deny', at: on.tuesdayTen, by: carla.email, comment: null },
      },
    });
    expect(request.clock.is).toBe('stopped');
    expect(lettersOf(request)).toEqual(['denied to requester', 'decided to correspondent']);
    expect(deed).toEqual({
      actor: carla.email,
      action: 'denied',
      detail: 'The Notices Correspondent denied the request.',
      reference: 'X-1',
    });
  });

  it.each([
    ['approve', 'approved'],
    ['deny', 'denied'],
  ] as const)(
    'APR-3 APR-4 is told of the first decision, to %s, by any second one, which changes nothing',
    (first, word) => {
      const once = accepted(decideOn(asked, 1, first)).request;
      for (const second of ['approve', 'deny'] as const) {
        expect(
          refusalOf(decide(once, 1, choose(second), context({ actor: carla.email, now: on.wednesdayNoon }))),
        ).toEqual({
          code: 'already-decided',
          detail: `This request was ${word} already. Nothing has been changed.`,
          decision: first,
          decidedAt: on.tuesdayTen,
        });
      }
    },
  );

  it('APR-3 is told so still after the limit was raised, and after the team stopped an approved request', () => {
    const approved = accepted(decideOn(asked, 1, 'approve')).request;
    const stopped = accepted(reject(approved, 'Stop.', context({ actor: reviewer, now: on.tuesdayTen }))).request;
    const raised = accepted(fulfil(approved, aMak(), context({ now: on.tuesdayTen }))).request;
    for (const request of [stopped, raised]) {
      expect(refusalOf(decideOn(request, 1, 'deny'))).toMatchObject({ code: 'already-decided', decision: 'approve' });
    }
  });

  it('APR-3 is too late once the request has lapsed', () => {
    expect(refusalOf(decideOn(requestLapsed(), 1, 'approve'))).toEqual({
      code: 'link-void',
      detail: 'The time to answer is over, and the request has lapsed. It can be asked again.',
      because: 'late',
    });
  });

  it('APR-3 has a void link after the request was changed', () => {
    const refusal = {
      code: 'link-void',
      detail: 'The request was changed after this mail was sent. If it still needs you, a newer mail asks.',
      because: 'replaced',
    };
    expect(refusalOf(decideOn(requestAskedAnew(), 1, 'approve'))).toEqual(refusal);
    const denied = accepted(decideOn(requestAskedAnew(), 2, 'deny')).request;
    expect(refusalOf(decideOn(denied, 1, 'approve'))).toEqual(refusal);
  });

  it('APR-3 has a closed link after the team rejected or the requester let a question lapse', () => {
    const questioned = accepted(question(asked, 'Why?', context({ actor: reviewer, now: on.tuesdayTen }))).request;
    const ended = [
      accepted(reject(asked, 'No.', context({ actor: reviewer, now: on.tuesdayTen }))).request,
      accepted(reject(questioned, 'No.', context({ actor: reviewer, now: on.tuesdayTen }))).request,
      accepted(lapse(questioned, context({ now: on.nextFridayFive }))).request,
    ];
    for (const request of ended) {
      expect(refusalOf(decideOn(request, 1, 'approve'))).toMatchObject({ code: 'link-void', because: 'closed' });
    }
  });

  it('EXC-6 cannot approve what was never asked', () => {
    expect(refusalOf(decideOn(requestReceived(), 1, 'approve'))).toMatchObject({
      code: 'link-void',
      because: 'closed',
    });
    expect(refusalOf(decideOn(requestInReview(), 1, 'approve'))).toMatchObject({ code: 'link-void' });
    expect(refusalOf(decideOn(asked, 2, 'approve'))).toMatchObject({ code: 'link-void', because: 'closed' });
  });

  it('APR-3 is asked for as long as nothing has happened', () => {
    expect(refusedUnlessAsking(asked, 1)).toBeUndefined();
    expect(refusedUnlessAsking(requestAskedAnew(), 2)).toBeUndefined();
  });

  it('APR-2 gets a new mail after too many wrong codes; it is the same question', () => {
    const { request, deed } = accepted(mailNewLink(asked));
    expect(request).toEqual({
      ...asked,
      letters: [
        {
          letterId: '4-approval-wanted-correspondent',
          kind: 'approval-wanted',
          to: 'correspondent',
          claimedUntil: null,
        },
      ],
      lettersWritten: 4,
    });
    expect(deed).toEqual({
      actor: 'volume-activation',
      action: 'link-voided',
      detail: 'Too many wrong codes were entered: the link is void, a new one is mailed.',
      reference: 'X-1',
    });
  });

  it('APR-2 gets no new mail when nothing is asked any more', () => {
    expect(refusalOf(mailNewLink(requestApproved())).code).toBe('already-decided');
    expect(refusalOf(mailNewLink(requestWithdrawn()))).toMatchObject({ code: 'link-void', because: 'closed' });
    expect(refusalOf(mailNewLink(requestInReview()))).toMatchObject({ code: 'link-void' });
  });
});

describe('an approved request', () => {
  const approved = allSent(requestApproved());

  it('EXC-9 raises the limit by exactly the number approved, and records who approved and under which request', () => {
    const mak = aMak();
    const grant = {
      kind: 'exception',
      amount: 150,
      at: on.tuesdayTen,
      by: 'volume-activation',
      reference: 'X-1',
      approvedBy: carla.email,
    };
    const outcome = accepted(fulfil(approved, mak, context({ now: on.tuesdayTen })));
    expect(outcome.granted).toEqual({
      key: { ...mak, grants: [...mak.grants, grant] },
      grant,
      deed: {
        actor: carla.email,
        action: 'limit-raised',
        detail: 'The limit of the key ending in BCDFG was raised by 150. MAKADD X-1: Two new schools open in autumn.',
        reference: 'X-1',
      },
    });
    expect(outcome.request.stage).toEqual({ is: 'fulfilled', at: on.tuesdayTen, ask: askOf(approved) });
    expect(outcome.request.clock.is).toBe('stopped');
    expect(lettersOf(outcome.request)).toEqual(['fulfilled to requester', 'fulfilled to correspondent']);
    expect(outcome.deed).toEqual({
      actor: 'volume-activation',
      action: 'fulfilled',
      detail: 'The limit of the key ending in BCDFG was raised by 150.',
      reference: 'X-1',
    });
  });

  it('EXC-9 grants the smaller number that the team forwarded, and not what was requested', () => {
    const smaller = accepted(forward(requestInReview(), 120, context({ actor: reviewer, now: on.mondayTen }))).request;
    const choice = { decision: 'approve', comment: null } as const;
    const decided = accepted(decide(smaller, 1, choice, context({ actor: carla.email, now: on.mondayTen }))).request;
    const { granted } = accepted(fulfil(decided, aMak(), context({ now: on.tuesdayTen })));
    expect(limitOf(granted?.key.grants ?? [])).toBe(220);
  });

  it('EXC-9 adds host places to a KMS key', () => {
    const request = requestApproved({ intake: { kind: 'KMSADD' } });
    const { granted } = accepted(fulfil(request, aKmsKey(), context({ now: on.tuesdayTen })));
    expect(limitOf(granted?.key.grants ?? [])).toBe(16);
    expect(granted?.deed.detail).toContain('KMSADD X-1');
  });

  it('EXC-9 is granted once, whatever is retried', () => {
    const once = accepted(fulfil(approved, aMak(), context({ now: on.tuesdayTen })));
    expect(refusalOf(fulfil(once.request, once.granted?.key ?? aMak(), context({ now: on.tuesdayTen })))).toEqual({
      code: 'not-in-that-state',
      detail: 'A request that is fulfilled does not take “fulfil”. It has ended; nothing can be done to it.',
      status: 'fulfilled',
      allowed: [],
    });
  });

  it('EXC-9 gives nothing to a key that was blocked meanwhile: the request ends, and both are told why', () => {
    const outcome = accepted(fulfil(approved, aMak({ status: blocked() }), context({ now: on.tuesdayTen })));
    const reason =
      'The key was blocked before the limit was raised. The key ending in BCDFG is blocked. Use the key ending in QRTVW, which replaced it.';
    expect(outcome.granted).toBeNull();
    expect(outcome.request.stage).toMatchObject({ is: 'rejected', by: 'volume-activation', reason });
    expect(outcome.deed).toEqual({ actor: 'volume-activation', action: 'rejected', detail: reason, reference: 'X-1' });
    expect(lettersOf(outcome.request)).toEqual(['rejected to requester', 'rejected to correspondent']);
  });

  it.each(requestInEachState.map((request) => [statusOf(request), request] as const))(
    'EXC-6 is what it takes: a request that is %s, not approved, grants nothing',
    (status, request) => {
      expect(refusalOf(fulfil(request, aMak(), context({ now: on.tuesdayTen })))).toMatchObject({
        code: 'not-in-that-state',
        status,
        allowed: allowedMoves(request),
      });
    },
  );
});

describe('a request that nobody answers', () => {
  it('SLA-6 lapses for the silent Correspondent, and all are told', () => {
    const before = allSent(requestAwaitingApproval());
    const { request, deed } = accepted(lapse(before, context({ now: on.nextFridayFive })));
    expect(request.stage).toEqual({
      is: 'lapsed',
      at: on.nextFridayFive,
      silent: 'correspondent',
      ask: askOf(before),
    });
    expect(request.clock).toMatchObject({ is: 'stopped', lateBecauseOf: 'correspondent' });
    expect(lettersOf(request)).toEqual(['lapsed to requester', 'lapsed to correspondent', 'lapsed to team']);
    expect(deed).toEqual({
      actor: 'volume-activation',
      action: 'lapsed',
      detail: 'The Notices Correspondent did not answer within 10 business days.',
      reference: 'X-1',
    });
  });

  it('SLA-6 lapses for the silent requester, and all who heard of it are told', () => {
    const { request, deed } = accepted(lapse(allSent(requestAwaitingRequester()), context({ now: on.nextFridayFive })));
    expect(request.stage).toMatchObject({ is: 'lapsed', silent: 'requester', ask: null });
    expect(lettersOf(request)).toEqual(['lapsed to requester', 'lapsed to team']);
    expect(deed.detail).toBe('The requester did not answer within 10 business days.');
  });
});

describe('the letters of a request', () => {
  it('EXC-11 are numbered through, so that none is written twice under one id', () => {
    const letters = write(write(allSent(requestReceived()), 'due-soon', ['team']), 'overdue', ['team', 'supervisors']);
    expect(letters.letters.map(({ letterId }) => letterId)).toEqual([
      '2-due-soon-team',
      '3-overdue-team',
      '4-overdue-supervisors',
    ]);
    expect(letters.lettersWritten).toBe(4);
  });

  it('EXC-11 owed at each step are those to whom it concerns', () => {
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
      ['in review', 'received to requester', 'review-wanted to team'],
      ['questioned', 'received to requester', 'question to requester'],
      ['answered', 'received to requester', 'answered to team'],
      ['asked', 'received to requester', 'approval-wanted to correspondent', 'forwarded to requester'],
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

  it('EXC-11 that ask somebody to act are called off, if not sent yet, when the request moves on', () => {
    const asked = write(requestAwaitingApproval(), 'approval-reminder', ['correspondent']);
    const choice = { decision: 'approve', comment: null } as const;
    const nowhere = [
      accepted(question(asked, 'Why?', context({ actor: reviewer, now: on.tuesdayTen }))).request,
      accepted(decide(asked, 1, choice, context({ actor: carla.email, now: on.tuesdayTen }))).request,
      accepted(withdraw(asked, null, context({ actor: ines.email, now: on.tuesdayTen }))).request,
      accepted(reject(asked, 'No.', context({ actor: reviewer, now: on.tuesdayTen }))).request,
    ].flatMap(lettersOf);
    expect(nowhere).not.toContain('approval-wanted to correspondent');
    expect(nowhere).not.toContain('approval-reminder to correspondent');
  });

  it('EXC-11 ask the Correspondent once for the new number when the first mail had not been sent', () => {
    const wanted = lettersOf(requestAskedAnew()).filter((letter) => letter.startsWith('approval-wanted'));
    expect(wanted).toEqual(['approval-wanted to correspondent']);
  });

  it('EXC-11 to the team that the answer is due soon are called off when the request ends, and not before', () => {
    const dueSoon = write(requestInReview(), 'due-soon', ['team']);
    const forwarded = accepted(forward(dueSoon, undefined, context({ actor: reviewer, now: on.tuesdayTen }))).request;
    const rejected = accepted(reject(dueSoon, 'No.', context({ actor: reviewer, now: on.tuesdayTen }))).request;
    expect(lettersOf(forwarded)).toContain('due-soon to team');
    expect(lettersOf(rejected)).not.toContain('due-soon to team');
  });

  it('EXC-11 go to the Correspondent, who was asked once, even if a question voided that since', () => {
    const questioned = allSent(
      accepted(question(requestAwaitingApproval(), 'Why?', context({ actor: reviewer, now: on.tuesdayTen }))).request,
    );
    const ends = [
      accepted(withdraw(questioned, null, context({ actor: ines.email, now: on.tuesdayTen }))),
      accepted(reject(questioned, 'No.', context({ actor: reviewer, now: on.tuesdayTen }))),
      accepted(lapse(questioned, context({ now: on.nextFridayFive }))),
    ];
    expect(ends.map(({ request }) => lettersOf(request))).toEqual([
      ['withdrawn to requester', 'withdrawn to correspondent', 'withdrawn to team'],
      ['rejected to requester', 'rejected to correspondent'],
      ['lapsed to requester', 'lapsed to correspondent', 'lapsed to team'],
    ]);
  });
});

describe('the workflow of a request', () => {
  it('APR-6 is owed a wake-up when a request that it is parked on is changed', () => {
    const { request } = accepted(
      answer(parked(requestAwaitingRequester()), 'So.', context({ actor: ines.email, now: on.tuesdayTen })),
    );
    expect(request.drive).toEqual({ is: 'to-wake', attempt: 1, since: on.mondayTen });
  });

  it.each(['to-start', 'awake', 'to-wake', 'ended'] as const)('APR-6 is left as it is when it is %s', (is) => {
    const drive = { is, attempt: 2, since: on.mondayTen };
    const before = { ...requestAwaitingRequester(), drive };
    expect(accepted(answer(before, 'So.', context({ actor: ines.email, now: on.tuesdayTen }))).request.drive).toEqual(
      drive,
    );
  });
});

describe('the table of legal moves', () => {
  it('EXC-12 leads from and to the nine states, of which the last five are final', () => {
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
    expect(exceptionStatuses.filter((status) => Object.keys(legalMoves[status]).length === 0)).toEqual(
      exceptionStatuses.slice(4),
    );
    expect(requestInEachState.filter(isFinal).map(statusOf)).toEqual(exceptionStatuses.slice(4));
    expect(exceptionKinds).toEqual(['MAKADD', 'KMSADD']);
  });

  it('EXC-12 has these moves and no others', () => {
    const table = Object.entries(legalMoves).flatMap(([from, ways]) =>
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
      'awaiting-approval –fulfil→ fulfilled',
      'awaiting-approval –reject→ rejected',
      'awaiting-approval –withdraw→ withdrawn',
      'awaiting-approval –lapse→ lapsed',
      'awaiting-approval –dispute→ in-review',
    ]);
  });

  it('EXC-12 reaches every state from received', () => {
    const reached = new Set<ExceptionStatus>(['received']);
    for (const status of reached) for (const to of Object.values(legalMoves[status])) reached.add(to);
    expect([...reached].toSorted()).toEqual([...exceptionStatuses].toSorted());
  });

  it('EXC-12 allows people these moves, from each state', () => {
    expect(requestInEachState.map((request) => [statusOf(request), ...allowedMoves(request)])).toEqual([
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
    expect(allowedMoves(requestApproved())).toEqual(['reject']);
  });
});

describe('the Correspondent who says “this was not me”', () => {
  const disputeOn = (request: ExceptionRequest) =>
    dispute(request, context({ actor: carla.email, now: on.tuesdayTen }));

  it('APR-8 freezes a request whose limit was not raised yet: it is void, flagged, and before the team again', () => {
    const before = allSent(requestApproved());
    const { request, deed, frozen } = accepted(disputeOn(before));
    expect(request).toEqual({
      ...before,
      flags: ['approval-disputed'],
      stage: { is: 'in-review', answered: null },
      letters: [
        { letterId: '6-disputed-team', kind: 'disputed', to: 'team', claimedUntil: null },
        { letterId: '7-disputed-supervisors', kind: 'disputed', to: 'supervisors', claimedUntil: null },
      ],
      lettersWritten: 7,
    });
    expect(frozen).toBe(true);
    expect(deed).toEqual({
      actor: carla.email,
      action: 'decision-disputed',
      detail: 'The Correspondent says: “this was not me”. The request is frozen.',
      reference: 'X-1',
    });
  });

  it('APR-8 has frozen it: nothing is granted, and it takes a new question and a new approval', () => {
    const { request } = accepted(disputeOn(requestApproved()));
    expect(refusalOf(fulfil(request, aMak(), context({ now: on.tuesdayTen }))).code).toBe('not-in-that-state');
    expect(refusedUnlessAsking(request, 1)?.refusal).toMatchObject({ code: 'link-void', because: 'replaced' });
    expect(standingOf(request)).toBe('review');
    expect(accepted(forward(request, undefined, context({ actor: reviewer, now: on.tuesdayTen }))).request.asks).toBe(
      2,
    );
  });

  it.each([
    ['fulfilled', requestFulfilled()],
    ['denied', requestDenied()],
  ])('APR-8 alarms the team about a request that is %s already, and leaves it so', (_, ended) => {
    const before = allSent(ended);
    const { request, deed, frozen } = accepted(disputeOn(before));
    expect(request).toMatchObject({ stage: before.stage, clock: before.clock, flags: ['approval-disputed'] });
    expect(lettersOf(request)).toEqual(['disputed to team', 'disputed to supervisors']);
    expect(frozen).toBe(false);
    expect(deed).toEqual({
      actor: carla.email,
      action: 'decision-disputed',
      detail: 'The Correspondent says: “this was not me”, after it had ended.',
      reference: 'X-1',
    });
  });

  it('APR-8 keeps the other flags, in their order', () => {
    const before = { ...requestApproved(), flags: ['not-english', 'correspondent-differs'] as const };
    expect(accepted(disputeOn(before)).request.flags).toEqual([
      'not-english',
      'correspondent-differs',
      'approval-disputed',
    ]);
  });

  it('APR-8 is refused while nothing is decided', () => {
    expect(refusalOf(disputeOn(requestInReview())).detail).toBe(
      'A request that is in-review does not take “dispute”. What can be done now: question, forward, reject, withdraw.',
    );
    for (const request of [requestReceived(), requestAwaitingApproval(), requestAwaitingRequester(), requestLapsed()]) {
      expect(refusalOf(disputeOn(request))).toMatchObject({ code: 'not-in-that-state', status: statusOf(request) });
    }
  });
});

describe('a Correspondent who has become another', () => {
  it('AGR-4 is asked anew about the same number; the question to the former one is void', () => {
    const { request, deed } = accepted(askAnew(requestAwaitingApproval(), context({ now: on.tuesdayTen })));
    expect(request).toMatchObject({ activations: 150, asks: 2 });
    expect(askOf(request)).toEqual({
      askNumber: 2,
      askedAt: on.tuesdayTen,
      remindersSent: 0,
      undeliverableAt: null,
      decision: null,
    });
    expect(refusedUnlessAsking(request, 1)?.refusal).toMatchObject({ code: 'link-void', because: 'replaced' });
    expect(lettersOf(request)).toContain('approval-wanted to correspondent');
    expect(deed).toEqual({
      actor: 'volume-activation',
      action: 'approval-asked',
      detail: 'The Notices Correspondent has changed: the new one was asked.',
      reference: 'X-1',
    });
  });

  it('AGR-4 is not asked about what is decided, or not being asked', () => {
    expect(refusalOf(askAnew(requestInReview(), context({ now: on.tuesdayTen }))).detail).toContain(
      'does not take “ask”',
    );
    for (const request of [requestApproved(), requestReceived(), requestAwaitingRequester(), requestDenied()]) {
      expect(refusalOf(askAnew(request, context({ now: on.tuesdayTen })))).toMatchObject({
        code: 'not-in-that-state',
        status: statusOf(request),
        allowed: allowedMoves(request),
      });
    }
  });
});

/** A request on its way together with its key, as the store keeps them. */
type Way = { readonly request: ExceptionRequest; readonly key: Key };

/** Tries a move with whatever it needs; what it forwards is always a new number, so that only the state matters. */
function attempt(move: Move, { request, key }: Way, now: Instant): Decided<Way> {
  const newNumber = request.activations > 1 ? request.activations - 1 : request.intake.activationsRequested;
  const choose = (decision: 'approve' | 'deny') =>
    decide(request, request.asks, { decision, comment: null }, context({ actor: carla.email, now }));
  const withKey = (tried: Decided<Changed>): Decided<Way> => (tried.ok ? { ...tried, key } : tried);
  switch (move) {
    case 'question':
      return withKey(question(request, 'Why?', context({ actor: reviewer, now })));
    case 'answer':
      return withKey(answer(request, 'So.', context({ actor: ines.email, now })));
    case 'forward':
      return withKey(forward(request, newNumber, context({ actor: reviewer, now })));
    case 'reject':
      return withKey(reject(request, 'No.', context({ actor: reviewer, now })));
    case 'withdraw':
      return withKey(withdraw(request, null, context({ actor: ines.email, now })));
    case 'approve':
    case 'deny':
      return withKey(choose(move));
    case 'review':
      return withKey(beginReview(request));
    case 'ask':
      return withKey(askCorrespondent(request, context({ now })));
    case 'lapse':
      return withKey(lapse(request, context({ now })));
    case 'dispute':
      return withKey(dispute(request, context({ actor: carla.email, now })));
    case 'fulfil': {
      const tried = fulfil(request, key, context({ now }));
      return tried.ok ? { ...tried, key: tried.granted?.key ?? key } : tried;
    }
  }
}

describe('whatever is tried in turn', () => {
  const step = fc.record({ move: fc.constantFrom(...moves), minutes: fc.integer({ min: 0, max: 3 * 24 * 60 }) });
  const start = fc.constantFrom<() => Way>(
    () => ({ request: requestReceived(), key: aMak() }),
    () => ({ request: requestReceived({ intake: { kind: 'KMSADD' } }), key: aKmsKey() }),
    () => ({ request: requestInReview({ intake: { language: 'fr' } }), key: aMak() }),
    () => ({ request: requestAwaitingApproval(), key: aMak() }),
    () => ({ request: requestApproved(), key: aMak() }),
  );

  /** Whether a move may be made: the table says it, and after an approval only the stop and the grant are left. */
  function isLegal(move: Move, request: ExceptionRequest): boolean {
    const isDecided = askOf(request)?.decision != null;
    if (move === 'dispute') return isDecided;
    if (statusOf(request) === 'awaiting-approval' && isDecided) return move === 'reject' || move === 'fulfil';
    return move !== 'fulfil' && legalMoves[statusOf(request)][move] !== undefined;
  }

  it('EXC-12 makes the legal moves only, and each leads where the table says', () => {
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 25, size: 'max' }), (begin, steps) => {
        let way = begin();
        let now = on.mondayTen;
        for (const { move, minutes } of steps) {
          now = later(now, { minutes });
          const from = statusOf(way.request);
          const tried = attempt(move, way, now);
          expect(tried.ok).toBe(isLegal(move, way.request));
          if (tried.ok) {
            // Only a dispute may be raised about what has ended, and that stays ended.
            expect(statusOf(tried.request)).toBe(legalMoves[from][move] ?? (move === 'dispute' ? from : undefined));
            way = tried;
          } else if (move === 'approve' || move === 'deny') {
            expect(tried.refusal.code).toMatch(/^(link-void|already-decided)$/);
          } else {
            expect(tried.refusal).toMatchObject({
              code: 'not-in-that-state',
              status: from,
              allowed: allowedMoves(way.request),
            });
          }
        }
      }),
    );
  });

  it('EXC-12 tells the truth about what is allowed: that is just what then succeeds', () => {
    const byPeople: readonly Move[] = ['question', 'answer', 'forward', 'reject', 'withdraw', 'approve', 'deny'];
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 10 }), (begin, steps) => {
        let way = begin();
        for (const { move } of steps) {
          const tried = attempt(move, way, on.mondayNoon);
          if (tried.ok) way = tried;
          const succeed = byPeople.filter((each) => attempt(each, way, on.mondayNoon).ok);
          expect(allowedMoves(way.request)).toEqual(succeed);
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
        if (fulfilled) expect(askOf(way.request)?.decision).toMatchObject({ decision: 'approve', by: carla.email });
      }),
    );
  });

  it('EXC-11 writes every letter under an id of its own, and stops the clock with the request', () => {
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 25, size: 'max' }), (begin, steps) => {
        let way = begin();
        const written = new Set(way.request.letters.map(({ letterId }) => letterId));
        for (const { move } of steps) {
          const tried = attempt(move, way, on.mondayNoon);
          if (!tried.ok) continue;
          const fresh = tried.request.letters.filter((letter) => !way.request.letters.includes(letter));
          expect(fresh).toHaveLength(tried.request.lettersWritten - way.request.lettersWritten);
          for (const { letterId } of fresh) {
            expect(written).not.toContain(letterId);
            written.add(letterId);
          }
          way = tried;
          expect(way.request.clock.is === 'stopped').toBe(isFinal(way.request));
          expect(way.request.clock.is === 'standing').toBe(statusOf(way.request) === 'awaiting-requester');
        }
      }),
    );
  });
});

describe('the words of a request', () => {
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
