import { describe, expect, it } from 'vitest';
import {
  disputeDecision,
  fulfillRequest,
  needsStrictApproval,
  recordDecision,
  refuseUnlessRoundOpen,
  reissueApprovalLink,
  requestApproval,
  restartApproval,
} from '../../../domain/exceptions/approval.ts';
import type { ExceptionRequest } from '../../../domain/exceptions/request.ts';
import { allowedTransitions, approvalRoundOf, nextStepOf } from '../../../domain/exceptions/request.ts';
import { askQuestion, forwardRequest, rejectRequest } from '../../../domain/exceptions/review.ts';
import { lapseRequest } from '../../../domain/exceptions/schedule.ts';
import { limitOf } from '../../../domain/keys/grant.ts';
import type { Policy } from '../../../domain/policy.ts';
import {
  aKmsKey,
  aMak,
  blockedState,
  context,
  expectAccepted,
  expectRefusal,
  listNotifications,
  noor,
  policy,
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
  requestWithdrawn,
  reviewer,
  statusOf,
  withEmptyOutbox,
} from '../../builders.ts';
import * as on from '../../instants.ts';

describe('an approval round', () => {
  const before = withEmptyOutbox(requestReceived());

  it('EXC-6 EXC-11 SLA-4 assigns the request to the Correspondent, and notifies the Correspondent and the requester', () => {
    const { request, event } = expectAccepted(requestApproval(before, context({ now: on.mondayNoon })));
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
    expect(event).toEqual({
      actor: 'volume-activation',
      action: 'approval-asked',
      detail: 'The Notices Correspondent was asked to approve 150.',
      reference: 'X-1',
    });
  });
});

describe('strict mode', () => {
  const withStrict = (strict: Policy['approval']['strict']): Policy => ({
    ...policy,
    approval: { ...policy.approval, strict },
  });
  const requestFor = (kind: 'MAKADD' | 'KMSADD', activations: number): ExceptionRequest => {
    const request = requestAwaitingApproval();
    return { ...request, form: { ...request.form, kind }, activations };
  };

  it.each([
    ['MAKADD', 1_000, false],
    ['MAKADD', 1_001, true],
    ['KMSADD', 20, false],
    ['KMSADD', 21, true],
  ] as const)('APR-7 by default, %s for %i: %s', (kind, activations, isStrict) => {
    expect(policy.approval.strict).toBe('above-review-threshold');
    expect(needsStrictApproval(requestFor(kind, activations), policy)).toBe(isStrict);
  });

  it.each([
    ['off', false],
    ['always', true],
  ] as const)('APR-7 %s does not depend on the number', (strict, isStrict) => {
    for (const activations of [1, 1_001, 100_000]) {
      expect(needsStrictApproval(requestFor('MAKADD', activations), withStrict(strict))).toBe(isStrict);
    }
  });

  it('APR-7 depends on the number to approve, not on the number requested', () => {
    const forwarded = {
      ...requestFor('MAKADD', 1_000),
      form: { ...requestReceived().form, activationsRequested: 5_000 },
    };
    expect(needsStrictApproval(forwarded, policy)).toBe(false);
  });
});

describe('the decision of the Correspondent', () => {
  const choose = (decision: 'approve' | 'deny', comment: string | null = null) => ({ decision, comment }) as const;
  const decideOn = (
    request: ExceptionRequest,
    roundNumber: number,
    decision: 'approve' | 'deny',
    comment: string | null = null,
  ) =>
    recordDecision(request, roundNumber, choose(decision, comment), context({ actor: noor.email, now: on.tuesdayTen }));
  const asked = withEmptyOutbox(requestAwaitingApproval({ at: on.mondayNoon }));

  it('EXC-6 to approve is recorded, assigns the request to the team, notifies both parties, and raises no limit yet', () => {
    const { request, event } = expectAccepted(decideOn(asked, 1, 'approve', 'Fine.'));
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
    expect(event).toEqual({
      actor: noor.email,
      action: 'approved',
      detail: 'The Notices Correspondent approved 150 more. “Fine.”',
      reference: 'X-1',
    });
  });

  it('APR-8 to deny ends the request and notifies both parties', () => {
    const { request, event } = expectAccepted(decideOn(asked, 1, 'deny'));
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
    expect(listNotifications(request)).toEqual(['denied to requester', 'decided to correspondent']);
    expect(event).toEqual({
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
    const { request, event } = expectAccepted(reissueApprovalLink(asked));
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
    expect(event).toEqual({
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
  const approved = withEmptyOutbox(requestApproved());

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
    const result = expectAccepted(fulfillRequest(approved, mak, context({ now: on.tuesdayTen })));
    expect(result.granted).toEqual({
      key: { ...mak, grants: [...mak.grants, grant] },
      grant,
      event: {
        actor: noor.email,
        action: 'limit-raised',
        detail: 'The limit of the key ending in BCDFG was raised by 150. MAKADD X-1: Two new schools open in autumn.',
        reference: 'X-1',
      },
    });
    expect(result.request.state).toEqual({ status: 'fulfilled', at: on.tuesdayTen, round: approvalRoundOf(approved) });
    expect(result.request.clock.status).toBe('stopped');
    expect(listNotifications(result.request)).toEqual(['fulfilled to requester', 'fulfilled to correspondent']);
    expect(result.event).toEqual({
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
    const result = expectAccepted(
      fulfillRequest(approved, aMak({ state: blockedState() }), context({ now: on.tuesdayTen })),
    );
    const reason =
      'The key was blocked before the limit was raised. The key ending in BCDFG is blocked. Use the key ending in QRTVW, which replaced it.';
    expect(result.granted).toBeNull();
    expect(result.request.state).toMatchObject({ status: 'rejected', by: 'volume-activation', reason });
    expect(result.event).toEqual({ actor: 'volume-activation', action: 'rejected', detail: reason, reference: 'X-1' });
    expect(listNotifications(result.request)).toEqual(['rejected to requester', 'rejected to correspondent']);
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

describe('a decision that the Correspondent disputes', () => {
  const disputeOn = (request: ExceptionRequest) =>
    disputeDecision(request, context({ actor: noor.email, now: on.tuesdayTen }));

  it('APR-8 freezes a request whose limit was not raised yet: the approval is void, and the flagged request returns to the team', () => {
    const before = withEmptyOutbox(requestApproved());
    const { request, event, frozen } = expectAccepted(disputeOn(before));
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
    expect(event).toEqual({
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
    const before = withEmptyOutbox(ended);
    const { request, event, frozen } = expectAccepted(disputeOn(before));
    expect(request).toMatchObject({ state: before.state, clock: before.clock, flags: ['approval-disputed'] });
    expect(listNotifications(request)).toEqual(['disputed to team', 'disputed to supervisors']);
    expect(frozen).toBe(false);
    expect(event).toEqual({
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
    const { request, event } = expectAccepted(
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
    expect(listNotifications(request)).toContain('approval-requested to correspondent');
    expect(event).toEqual({
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
