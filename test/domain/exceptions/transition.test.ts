import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { addDuration } from '../../../domain/calendar/instant.ts';
import type { TransitionName } from '../../../domain/exception-status.ts';
import { transitions, transitionTable } from '../../../domain/exception-status.ts';
import {
  disputeDecision,
  fulfillRequest,
  recordDecision,
  requestApproval,
} from '../../../domain/exceptions/approval.ts';
import { withNotification } from '../../../domain/exceptions/notification.ts';
import type { ExceptionRequest, Transition } from '../../../domain/exceptions/request.ts';
import { allowedTransitions, approvalRoundOf, isFinal } from '../../../domain/exceptions/request.ts';
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
import {
  aKmsKey,
  aMak,
  context,
  expectAccepted,
  ines,
  listNotifications,
  noor,
  requestAnswered,
  requestApproved,
  requestAwaitingApproval,
  requestAwaitingRequester,
  requestDenied,
  requestFulfilled,
  requestInReview,
  requestInSecondRound,
  requestLapsed,
  requestReceived,
  requestRejected,
  requestWithdrawn,
  reviewer,
  statusOf,
  withEmptyOutbox,
  withWaitingExecution,
} from '../../builders.ts';
import * as on from '../../instants.ts';

describe('the notifications of a request', () => {
  it('EXC-11 are numbered, so that no id is used twice', () => {
    const withNotifications = withNotification(
      withNotification(withEmptyOutbox(requestReceived()), 'due-soon', ['team']),
      'overdue',
      ['team', 'supervisors'],
    );
    expect(withNotifications.pendingNotifications.map(({ notificationId }) => notificationId)).toEqual([
      '2-due-soon-team',
      '3-overdue-team',
      '4-overdue-supervisors',
    ]);
    expect(withNotifications.notificationCount).toBe(4);
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
    expect(Object.entries(steps).map(([step, request]) => [step, ...listNotifications(request)])).toEqual([
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
    const remaining = [
      expectAccepted(askQuestion(asked, 'Why?', context({ actor: reviewer, now: on.tuesdayTen }))).request,
      expectAccepted(recordDecision(asked, 1, choice, context({ actor: noor.email, now: on.tuesdayTen }))).request,
      expectAccepted(withdrawRequest(asked, null, context({ actor: ines.email, now: on.tuesdayTen }))).request,
      expectAccepted(rejectRequest(asked, 'No.', context({ actor: reviewer, now: on.tuesdayTen }))).request,
    ].flatMap(listNotifications);
    expect(remaining).not.toContain('approval-requested to correspondent');
    expect(remaining).not.toContain('approval-reminder to correspondent');
  });

  it('EXC-11 ask the Correspondent once for the new number when the first email was not sent yet', () => {
    const approvalRequests = listNotifications(requestInSecondRound()).filter((notification) =>
      notification.startsWith('approval-requested'),
    );
    expect(approvalRequests).toEqual(['approval-requested to correspondent']);
  });

  it('EXC-11 that the answer is due soon are dropped when the request ends, and not before', () => {
    const dueSoon = withNotification(requestInReview(), 'due-soon', ['team']);
    const forwarded = expectAccepted(
      forwardRequest(dueSoon, undefined, context({ actor: reviewer, now: on.tuesdayTen })),
    ).request;
    const rejected = expectAccepted(
      rejectRequest(dueSoon, 'No.', context({ actor: reviewer, now: on.tuesdayTen })),
    ).request;
    expect(listNotifications(forwarded)).toContain('due-soon to team');
    expect(listNotifications(rejected)).not.toContain('due-soon to team');
  });

  it('EXC-11 go to the Correspondent who was once asked, even if a question made that round void', () => {
    const questioned = withEmptyOutbox(
      expectAccepted(askQuestion(requestAwaitingApproval(), 'Why?', context({ actor: reviewer, now: on.tuesdayTen })))
        .request,
    );
    const ends = [
      expectAccepted(withdrawRequest(questioned, null, context({ actor: ines.email, now: on.tuesdayTen }))),
      expectAccepted(rejectRequest(questioned, 'No.', context({ actor: reviewer, now: on.tuesdayTen }))),
      expectAccepted(lapseRequest(questioned, context({ now: on.nextFridayFive }))),
    ];
    expect(ends.map(({ request }) => listNotifications(request))).toEqual([
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

/** A request on its current together with its key, as the store keeps them. */
type TransitionCase = { readonly request: ExceptionRequest; readonly key: Key };

/**
 * Tries a transition with whatever it needs; what it forwards is always a new number, so that only the state matters.
 */
function attempt(transition: TransitionName, { request, key }: TransitionCase, now: Instant): Result<TransitionCase> {
  const newNumber = request.activations > 1 ? request.activations - 1 : request.form.activationsRequested;
  const choose = (decision: 'approve' | 'deny') =>
    recordDecision(request, request.rounds, { decision, comment: null }, context({ actor: noor.email, now }));
  const withKey = (result: Result<Transition>): Result<TransitionCase> => (result.ok ? { ...result, key } : result);
  switch (transition) {
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
      return withKey(choose(transition));
    case 'review':
      return withKey(requestReview(request));
    case 'ask':
      return withKey(requestApproval(request, context({ now })));
    case 'lapse':
      return withKey(lapseRequest(request, context({ now })));
    case 'dispute':
      return withKey(disputeDecision(request, context({ actor: noor.email, now })));
    case 'fulfill': {
      const result = fulfillRequest(request, key, context({ now }));
      return result.ok ? { ...result, key: result.granted?.key ?? key } : result;
    }
  }
}

describe('any sequence of transitions', () => {
  const step = fc.record({
    transition: fc.constantFrom(...transitions),
    minutes: fc.integer({ min: 0, max: 3 * 24 * 60 }),
  });
  const start = fc.constantFrom<() => TransitionCase>(
    () => ({ request: requestReceived(), key: aMak() }),
    () => ({ request: requestReceived({ form: { kind: 'KMSADD' } }), key: aKmsKey() }),
    () => ({ request: requestInReview({ form: { language: 'fr' } }), key: aMak() }),
    () => ({ request: requestAwaitingApproval(), key: aMak() }),
    () => ({ request: requestApproved(), key: aMak() }),
  );

  /**
   * Whether a transition may be made: the table says it, and after an approval only the stop and the grant are left.
   */
  function isAllowed(transition: TransitionName, request: ExceptionRequest): boolean {
    const isDecided = approvalRoundOf(request)?.decision != null;
    if (transition === 'dispute') return isDecided;
    if (statusOf(request) === 'awaiting-approval' && isDecided)
      return transition === 'reject' || transition === 'fulfill';
    return transition !== 'fulfill' && transitionTable[statusOf(request)][transition] !== undefined;
  }

  it('EXC-12 makes only the transitions of the table, each with its status', () => {
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 25, size: 'max' }), (createStart, steps) => {
        let current = createStart();
        let now = on.mondayTen;
        for (const { transition, minutes } of steps) {
          now = addDuration(now, { minutes });
          const from = statusOf(current.request);
          const result = attempt(transition, current, now);
          expect(result.ok).toBe(isAllowed(transition, current.request));
          if (result.ok) {
            // Only a dispute may be raised about what has ended, and that stays ended.
            expect(statusOf(result.request)).toBe(
              transitionTable[from][transition] ?? (transition === 'dispute' ? from : undefined),
            );
            current = result;
          } else if (transition === 'approve' || transition === 'deny') {
            expect(result.refusal.code).toMatch(/^(link-void|already-decided)$/);
          } else {
            expect(result.refusal).toMatchObject({
              code: 'not-in-that-state',
              currentStatus: from,
              allowed: allowedTransitions(current.request),
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
      fc.property(start, fc.array(step, { maxLength: 10 }), (createStart, steps) => {
        let current = createStart();
        for (const { transition } of steps) {
          const result = attempt(transition, current, on.mondayNoon);
          if (result.ok) current = result;
          const succeed = byPeople.filter((each) => attempt(each, current, on.mondayNoon).ok);
          expect(allowedTransitions(current.request)).toEqual(succeed);
          if (isFinal(current.request)) expect(succeed).toEqual([]);
        }
      }),
    );
  });

  it('EXC-6 EXC-9 grants what the Correspondent approved, once, or nothing', () => {
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 25, size: 'max' }), (createStart, steps) => {
        const first = createStart();
        let current = first;
        let approvedNumber = first.request.activations;
        for (const { transition } of steps) {
          const result = attempt(transition, current, on.mondayNoon);
          if (!result.ok) continue;
          if (transition === 'approve') approvedNumber = current.request.activations;
          current = result;
        }
        const fulfilled = statusOf(current.request) === 'fulfilled';
        const raisedBy = limitOf(current.key.grants) - limitOf(first.key.grants);
        expect(raisedBy).toBe(fulfilled ? approvedNumber : 0);
        if (fulfilled)
          expect(approvalRoundOf(current.request)?.decision).toMatchObject({ decision: 'approve', by: noor.email });
      }),
    );
  });

  it('EXC-11 gives every notification an id of its own, and stops the clock with the request', () => {
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 25, size: 'max' }), (createStart, steps) => {
        let current = createStart();
        const usedIds = new Set(current.request.pendingNotifications.map(({ notificationId }) => notificationId));
        for (const { transition } of steps) {
          const result = attempt(transition, current, on.mondayNoon);
          if (!result.ok) continue;
          const added = result.request.pendingNotifications.filter(
            (notification) => !current.request.pendingNotifications.includes(notification),
          );
          expect(added).toHaveLength(result.request.notificationCount - current.request.notificationCount);
          for (const { notificationId } of added) {
            expect(usedIds).not.toContain(notificationId);
            usedIds.add(notificationId);
          }
          current = result;
          expect(current.request.clock.status === 'stopped').toBe(isFinal(current.request));
          expect(current.request.clock.status === 'paused').toBe(statusOf(current.request) === 'awaiting-requester');
        }
      }),
    );
  });
});
