import { describe, expect, it } from 'vitest';
import { fulfillRequest, recordDecision, refuseUnlessRoundOpen } from '../../../domain/exceptions/approval.ts';
import type { ExceptionRequest } from '../../../domain/exceptions/request.ts';
import { approvalRoundOf } from '../../../domain/exceptions/request.ts';
import {
  answerQuestion,
  askQuestion,
  forwardRequest,
  rejectRequest,
  requestReview,
  withdrawRequest,
} from '../../../domain/exceptions/review.ts';
import {
  aMak,
  aRequest,
  context,
  expectAccepted,
  expectRefusal,
  ines,
  listNotifications,
  noor,
  requestApproved,
  requestAwaitingApproval,
  requestAwaitingRequester,
  requestDenied,
  requestFulfilled,
  requestInReview,
  requestReceived,
  reviewer,
  statusOf,
  withEmptyOutbox,
} from '../../builders.ts';
import * as on from '../../instants.ts';

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

describe('forwarding', () => {
  const forwardOn = (request: ExceptionRequest, activations?: number) =>
    forwardRequest(request, activations, context({ actor: reviewer, now: on.tuesdayTen }));

  it('EXC-7 asks for the requested number by default', () => {
    const { request, event } = expectAccepted(forwardOn(withEmptyOutbox(requestInReview())));
    expect(request).toMatchObject({
      activations: 150,
      rounds: 1,
      state: { status: 'awaiting-approval', round: { number: 1, askedAt: on.tuesdayTen } },
      clock: { assignee: 'correspondent' },
    });
    expect(listNotifications(request)).toEqual(['approval-requested to correspondent', 'forwarded to requester']);
    expect(event).toEqual({
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
    const { request, event } = expectAccepted(forwardOn(reminded, 120));
    expect(request).toMatchObject({ activations: 120, rounds: 2 });
    expect(approvalRoundOf(request)).toEqual({
      number: 2,
      askedAt: on.tuesdayTen,
      remindersSent: 0,
      undeliverableAt: null,
      decision: null,
    });
    expect(event.detail).toBe('Forwarded to the Notices Correspondent for 120. The previous approval request is void.');
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
    const before = withEmptyOutbox(requestInReview());
    const { request, event } = expectAccepted(
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
    expect(event).toEqual({ actor: reviewer, action: 'question-put', detail: 'Which schools?', reference: 'X-1' });
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
    const before = withEmptyOutbox(requestAwaitingRequester({ at: on.mondayNoon }));
    const { request, event } = expectAccepted(
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
    expect(event).toEqual({
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
    const before = withEmptyOutbox(requestInReview());
    const { request, event } = expectAccepted(rejectOn(before));
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
    expect(event).toEqual({ actor: reviewer, action: 'rejected', detail: 'Too many.', reference: 'X-1' });
  });

  it('EXC-8 can be rejected after the approval, until the limit is raised, and notifies the Correspondent too', () => {
    const approved = withEmptyOutbox(requestApproved());
    const { request } = expectAccepted(rejectOn(approved));
    expect(request.state).toMatchObject({ status: 'rejected', round: approvalRoundOf(approved) });
    expect(listNotifications(request)).toEqual(['rejected to requester', 'rejected to correspondent']);
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
    const before = withEmptyOutbox(requestReceived());
    const { request, event } = expectAccepted(withdrawOn(before));
    expect(request.state).toEqual({
      status: 'withdrawn',
      at: on.tuesdayTen,
      by: ines.email,
      reason: 'No longer needed.',
      round: null,
    });
    expect(request.clock.status).toBe('stopped');
    expect(listNotifications(request)).toEqual(['withdrawn to requester', 'withdrawn to team']);
    expect(event).toEqual({ actor: ines.email, action: 'withdrawn', detail: 'No longer needed.', reference: 'X-1' });
  });

  it('EXC-10 needs no reason', () => {
    const { request, event } = expectAccepted(withdrawOn(requestReceived(), null));
    expect(request.state).toMatchObject({ status: 'withdrawn', reason: null });
    expect(event.detail).toBe('No reason was given.');
  });

  it('EXC-10 can be withdrawn during an approval round, which notifies the Correspondent and closes the link', () => {
    const { request } = expectAccepted(withdrawOn(withEmptyOutbox(requestAwaitingApproval())));
    expect(listNotifications(request)).toEqual([
      'withdrawn to requester',
      'withdrawn to correspondent',
      'withdrawn to team',
    ]);
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
