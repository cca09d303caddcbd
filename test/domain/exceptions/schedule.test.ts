import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { addDuration, isBefore } from '../../../domain/calendar/instant.ts';
import { recordDecision } from '../../../domain/exceptions/approval.ts';
import type { ExceptionRequest, Transition } from '../../../domain/exceptions/request.ts';
import { approvalRoundOf } from '../../../domain/exceptions/request.ts';
import { answerQuestion, askQuestion, forwardRequest } from '../../../domain/exceptions/review.ts';
import { applyDueAction, dueActions, lapseRequest, nextActionAt } from '../../../domain/exceptions/schedule.ts';
import type { Policy } from '../../../domain/policy.ts';
import {
  context,
  expectAccepted,
  ines,
  listNotifications,
  noor,
  policy,
  requestApproved,
  requestAwaitingApproval,
  requestAwaitingRequester,
  requestDenied,
  requestFulfilled,
  requestInReview,
  requestLapsed,
  requestReceived,
  requestRejected,
  requestWithdrawn,
  reviewer,
  withEmptyOutbox,
} from '../../builders.ts';
import * as on from '../../instants.ts';

/** Returns the request without pending notifications and with an ended workflow, so that only deadlines remain. */
const withDeadlinesOnly = (request: ExceptionRequest): ExceptionRequest => ({
  ...request,
  pendingNotifications: [],
  execution: { status: 'ended', executionNumber: 1, since: request.receivedAt },
});

/** Applies all actions that are due at an instant, one after the other, as a sweep does. */
function sweep(request: ExceptionRequest, at: Instant, activePolicy: Policy = policy) {
  const applied: Transition[] = [];
  for (
    let next = applyDueAction(request, context({ now: at, policy: activePolicy }));
    next !== undefined;
    next = applyDueAction(next.request, context({ now: at, policy: activePolicy }))
  ) {
    applied.push(next);
    if (applied.length > 50) throw new Error('The sweep does not end.');
  }
  return { request: applied.at(-1)?.request ?? request, events: applied.map(({ event }) => event) };
}

/** Runs a sweep at each due time up to an instant, and lists the notifications with their times. */
function sweepUntil(request: ExceptionRequest, until: Instant, activePolicy: Policy = policy) {
  const timeline: [Instant, ...string[]][] = [];
  let now = withDeadlinesOnly(request);
  for (
    let at = nextActionAt(now, activePolicy);
    at !== null && !isBefore(until, at);
    at = nextActionAt(now, activePolicy)
  ) {
    const transition = applyDueAction(now, context({ now: at, policy: activePolicy }));
    if (transition === undefined) throw new Error(`Nothing was applied at ${at}, although something is due.`);
    timeline.push([at, ...listNotifications(transition.request)]);
    if (timeline.length > 50) throw new Error('The sweep does not end.');
    now = withDeadlinesOnly(transition.request);
  }
  return { timeline, request: now };
}

/** Drops the notifications to the team and the supervisors about the due time. */
const withoutDue = (timeline: readonly [Instant, ...string[]][]) =>
  timeline.filter(([, notification = '']) => !/^(due-soon|overdue)/.test(notification));

const kinds = (request: ExceptionRequest) => dueActions(withDeadlinesOnly(request), policy).map(({ kind }) => kind);

describe('a Correspondent who does not answer', () => {
  const asked = requestAwaitingApproval({ at: on.mondayNoon });

  it('SLA-5 is reminded one, two, and four business days after being asked; SLA-6 after ten the request lapses', () => {
    const { timeline, request } = sweepUntil(asked, addDuration(on.mondayNoon, { days: 60 }));
    expect(withoutDue(timeline)).toEqual([
      [addDuration(on.tuesdayTen, { hours: 2 }), 'approval-reminder to correspondent'],
      [on.wednesdayNoon, 'approval-reminder to correspondent'],
      [on.fridayNoon, 'approval-reminder to correspondent'],
      [addDuration(on.mondayNoon, { days: 14 }), 'lapsed to requester', 'lapsed to correspondent', 'lapsed to team'],
    ]);
    expect(request.state).toMatchObject({
      status: 'lapsed',
      unresponsiveParty: 'correspondent',
      at: addDuration(on.mondayNoon, { days: 14 }),
    });
  });

  it('SLA-5 is not reminded a second early, is at the exact time, and not again at the same time', () => {
    const at = addDuration(on.mondayNoon, { days: 1 });
    const before = withDeadlinesOnly(asked);
    expect(applyDueAction(before, context({ now: addDuration(at, { seconds: -1 }) }))).toBeUndefined();
    const transition = applyDueAction(before, context({ now: at }));
    expect(transition).toEqual({
      request: {
        ...before,
        state: {
          status: 'awaiting-approval',
          round: { number: 1, askedAt: on.mondayNoon, remindersSent: 1, undeliverableAt: null, decision: null },
        },
        pendingNotifications: [
          {
            notificationId: '4-approval-reminder-correspondent',
            kind: 'approval-reminder',
            to: 'correspondent',
            claimedUntil: null,
          },
        ],
        notificationCount: 4,
      },
      event: {
        actor: 'volume-activation',
        action: 'correspondent-reminded',
        detail: 'The Notices Correspondent was reminded for the first time.',
        reference: 'X-1',
      },
    });
    expect(transition && applyDueAction(transition.request, context({ now: at }))).toBeUndefined();
  });

  it('SLA-5 has reminders that are counted in the ledger', () => {
    const exceptions = { ...policy.exceptions, correspondentRemindedAfterBusinessDays: [1, 2, 3, 4] };
    const { events } = sweep(withDeadlinesOnly(asked), on.fridayNoon, { ...policy, exceptions });
    expect(events.filter(({ action }) => action === 'correspondent-reminded').map(({ detail }) => detail)).toEqual(
      ['first', 'second', 'third', '4th'].map((nth) => `The Notices Correspondent was reminded for the ${nth} time.`),
    );
  });

  it('SLA-5 is reminded from the start in a new round, counted from its own start', () => {
    const reminded = sweepUntil(asked, on.wednesdayNoon).request;
    expect(approvalRoundOf(reminded)?.remindersSent).toBe(2);
    const forwarded = expectAccepted(
      forwardRequest(reminded, 120, context({ actor: reviewer, now: on.wednesdayFive })),
    ).request;
    const { timeline } = sweepUntil(forwarded, on.nextMondayNine);
    // Asked on Wednesday at closing, the count starts on Thursday at opening.
    expect(withoutDue(timeline)).toEqual([
      [on.fridayNine, 'approval-reminder to correspondent'],
      [on.nextMondayNine, 'approval-reminder to correspondent'],
    ]);
  });

  it('SLA-5 asked on a Saturday has all of Monday before the first reminder', () => {
    const { timeline } = sweepUntil(requestAwaitingApproval({ at: on.saturdayNoon }), on.nextTuesdayNine);
    expect(timeline).toEqual([[on.nextTuesdayNine, 'approval-reminder to correspondent']]);
  });

  it('SLA-5 gets no more reminders, and SLA-6 does not lapse, once the approval is recorded', () => {
    const choice = { decision: 'approve', comment: null } as const;
    const approved = expectAccepted(
      recordDecision(asked, 1, choice, context({ actor: noor.email, now: on.mondayNoon })),
    ).request;
    expect(kinds(asked)).toEqual(['remind-correspondent', 'lapse', 'remind-team', 'notify-supervisors']);
    expect(kinds(approved)).toEqual(['remind-team', 'notify-supervisors']);
  });
});

describe('a requester who does not answer', () => {
  const questioned = requestAwaitingRequester({ at: on.mondayNoon });

  it('SLA-6 lets the request lapse after ten business days, and everyone involved is notified', () => {
    const at = addDuration(on.mondayNoon, { days: 14 });
    const { timeline, request } = sweepUntil(questioned, addDuration(at, { days: 60 }));
    expect(timeline).toEqual([[at, 'lapsed to requester', 'lapsed to team']]);
    expect(request.state).toEqual({ status: 'lapsed', at, unresponsiveParty: 'requester', round: null });
  });

  it('SLA-6 does not lapse a second early', () => {
    const at = addDuration(on.mondayNoon, { days: 14 });
    expect(
      applyDueAction(withDeadlinesOnly(questioned), context({ now: addDuration(at, { seconds: -1 }) })),
    ).toBeUndefined();
    expect(applyDueAction(withDeadlinesOnly(questioned), context({ now: at }))?.event.action).toBe('lapsed');
  });

  it('SLA-2 SLA-5 causes no reminders to the team or the supervisors, because the clock is paused', () => {
    expect(kinds(questioned)).toEqual(['lapse']);
  });
});

describe('a team that does not answer', () => {
  const inReview = requestInReview({ at: on.mondayTen });
  const aDay = (days: number) => addDuration(on.nextMondayFive, { days });

  it('SLA-5 is reminded two and one business days before the due time and at it; supervisors are notified at the breach and each business day after', () => {
    expect(sweepUntil(inReview, addDuration(aDay(7), { seconds: 1 })).timeline).toEqual([
      [on.thursdayFive, 'due-soon to team'],
      [on.fridayFive, 'due-soon to team'],
      [on.nextMondayFive, 'overdue to team'],
      [on.nextMondayFive, 'overdue to supervisors'],
      [on.nextTuesdayFive, 'overdue to supervisors'],
      [on.nextWednesdayFive, 'overdue to supervisors'],
      [on.nextThursdayFive, 'overdue to supervisors'],
      [on.nextFridayFive, 'overdue to supervisors'],
      [on.mondayAfterNextFridayFive, 'overdue to supervisors'],
    ]);
  });

  it('SLA-5 is not reminded a second early, is at the exact time, and not again at the same time', () => {
    const before = withDeadlinesOnly(inReview);
    expect(applyDueAction(before, context({ now: addDuration(on.thursdayFive, { seconds: -1 }) }))).toBeUndefined();
    const transition = applyDueAction(before, context({ now: on.thursdayFive }));
    expect(transition).toEqual({
      request: {
        ...before,
        reminded: { team: 1, supervisors: 0 },
        pendingNotifications: [{ notificationId: '3-due-soon-team', kind: 'due-soon', to: 'team', claimedUntil: null }],
        notificationCount: 3,
      },
      event: {
        actor: 'volume-activation',
        action: 'team-reminded',
        detail: 'The answer is due soon.',
        reference: 'X-1',
      },
    });
    expect(transition && applyDueAction(transition.request, context({ now: on.thursdayFive }))).toBeUndefined();
  });

  it('SLA-5 is reminded at the due time, and the supervisors are notified, each in a change of its own', () => {
    const before = sweepUntil(inReview, on.fridayFive).request;
    const first = applyDueAction(before, context({ now: on.nextMondayFive }));
    expect(first?.event).toMatchObject({ action: 'team-reminded', detail: 'The answer is due now.' });
    const second = first && applyDueAction(first.request, context({ now: on.nextMondayFive }));
    expect(second?.event).toEqual({
      actor: 'volume-activation',
      action: 'supervisors-told',
      detail: 'The answer is overdue. The supervisors were notified.',
      reference: 'X-1',
    });
    expect(second?.request.reminded).toEqual({ team: 3, supervisors: 1 });
    expect(second && applyDueAction(second.request, context({ now: on.nextMondayFive }))).toBeUndefined();
  });

  it('SLA-5 notifies the supervisors as exceptions as the policy says', () => {
    const slowPolicy = { ...policy, exceptions: { ...policy.exceptions, supervisorsToldEveryBusinessDays: 3 } };
    const { timeline } = sweepUntil(inReview, aDay(7), slowPolicy);
    expect(timeline.filter(([, notification]) => notification === 'overdue to supervisors').map(([at]) => at)).toEqual([
      on.nextMondayFive,
      on.nextThursdayFive,
    ]);
  });

  it('SLA-5 SLA-4 is reminded while the request is assigned to the Correspondent, and after the approval', () => {
    const waiting = sweepUntil(requestAwaitingApproval({ at: on.mondayTen }), on.fridayFive).timeline.map(
      ([, notification]) => notification,
    );
    expect(waiting.filter((notification) => notification === 'due-soon to team')).toHaveLength(2);
    expect(sweepUntil(requestApproved({ at: on.mondayTen }), on.nextMondayFive).timeline).toEqual([
      [on.thursdayFive, 'due-soon to team'],
      [on.fridayFive, 'due-soon to team'],
      [on.nextMondayFive, 'overdue to team'],
      [on.nextMondayFive, 'overdue to supervisors'],
    ]);
  });
});

describe('a KMSADD request with a question and an answer, over a weekend and a holiday', () => {
  // Received on Friday 6 November at 10:00: due on Monday the 16th, since Wednesday the 11th is a holiday.
  const fridayTen = addDuration(on.fridayBeforeTheHolidayAlmostFive, { hours: -7, minutes: 1 });
  const fridayNoon = addDuration(fridayTen, { hours: 2 });
  const thursdayNoon = addDuration(on.thursdayAfterTheHolidayTen, { hours: 2 });
  const received = requestInReview({ form: { kind: 'KMSADD' }, at: fridayTen });
  const questioned = expectAccepted(
    askQuestion(received, 'Which labs?', context({ actor: reviewer, now: fridayNoon })),
  ).request;
  const answered = expectAccepted(
    answerQuestion(questioned, 'All 13.', context({ actor: ines.email, now: thursdayNoon })),
  ).request;

  it('SLA-1 without the question is due on Monday the 16th, with reminders on the business days before', () => {
    expect(sweepUntil(received, on.mondayAfterTheHolidayFive).timeline).toEqual([
      [on.thursdayAfterTheHolidayFive, 'due-soon to team'],
      [on.fridayAfterTheHolidayFive, 'due-soon to team'],
      [on.mondayAfterTheHolidayFive, 'overdue to team'],
      [on.mondayAfterTheHolidayFive, 'overdue to supervisors'],
    ]);
  });

  it('SLA-2 has no reminders while the requester is asked, over the holiday until the answer', () => {
    expect(sweepUntil(questioned, thursdayNoon).timeline).toEqual([]);
  });

  it('SLA-2 is due three business days later, as long as the answer took, and so are its reminders', () => {
    const thursdayFive = addDuration(on.mondayAfterTheHolidayFive, { days: 3 });
    expect(answered.clock).toMatchObject({ status: 'running', dueAt: thursdayFive });
    expect(sweepUntil(answered, thursdayFive).timeline).toEqual([
      [on.tuesdayAfterTheHolidayFive, 'due-soon to team'],
      [addDuration(thursdayFive, { days: -1 }), 'due-soon to team'],
      [thursdayFive, 'overdue to team'],
      [thursdayFive, 'overdue to supervisors'],
    ]);
  });

  it('SLA-2 SLA-5 has reminders at the time of day of its due time', () => {
    const fridayFour = addDuration(fridayNoon, { hours: 4 });
    const asked = expectAccepted(
      askQuestion(received, 'Which labs?', context({ actor: reviewer, now: fridayFour })),
    ).request;
    const back = expectAccepted(
      answerQuestion(asked, 'All 13.', context({ actor: ines.email, now: on.tuesdayBeforeTheHolidayTen })),
    ).request;
    // Friday 16:00 to Tuesday 10:00 are ten hours of work; from Monday 17:00 they lead to Wednesday 11:00.
    const due = addDuration(on.tuesdayAfterTheHolidayFive, { hours: 18 });
    expect(back.clock).toMatchObject({ status: 'running', dueAt: due });
    expect(sweepUntil(back, addDuration(due, { days: 5 })).timeline).toEqual([
      [addDuration(due, { days: -2 }), 'due-soon to team'],
      [addDuration(due, { days: -1 }), 'due-soon to team'],
      [due, 'overdue to team'],
      [due, 'overdue to supervisors'],
      [addDuration(due, { days: 1 }), 'overdue to supervisors'],
      [addDuration(due, { days: 2 }), 'overdue to supervisors'],
      [addDuration(due, { days: 5 }), 'overdue to supervisors'],
    ]);
  });

  it('SLA-5 does not repeat a reminder because the due time has moved', () => {
    const reminded = sweepUntil(received, on.thursdayAfterTheHolidayFive).request;
    const asked = expectAccepted(
      askQuestion(reminded, 'Why?', context({ actor: reviewer, now: on.fridayAfterTheHolidayNine })),
    ).request;
    const back = expectAccepted(
      answerQuestion(asked, 'So.', context({ actor: ines.email, now: on.mondayAfterTheHolidayFive })),
    ).request;
    expect(sweepUntil(back, addDuration(on.mondayAfterTheHolidayFive, { days: 2 })).timeline).toEqual([
      [on.tuesdayAfterTheHolidayFive, 'due-soon to team'],
      [addDuration(on.tuesdayAfterTheHolidayFive, { days: 1 }), 'overdue to team'],
      [addDuration(on.tuesdayAfterTheHolidayFive, { days: 1 }), 'overdue to supervisors'],
    ]);
  });
});

describe('a request without an answer', () => {
  it('SLA-6 lapses for an unresponsive Correspondent, and notifies everyone involved', () => {
    const before = withEmptyOutbox(requestAwaitingApproval());
    const { request, event } = expectAccepted(lapseRequest(before, context({ now: on.nextFridayFive })));
    expect(request.state).toEqual({
      status: 'lapsed',
      at: on.nextFridayFive,
      unresponsiveParty: 'correspondent',
      round: approvalRoundOf(before),
    });
    expect(request.clock).toMatchObject({ status: 'stopped', breachedBy: 'correspondent' });
    expect(listNotifications(request)).toEqual(['lapsed to requester', 'lapsed to correspondent', 'lapsed to team']);
    expect(event).toEqual({
      actor: 'volume-activation',
      action: 'lapsed',
      detail: 'The Notices Correspondent did not answer within 10 business days.',
      reference: 'X-1',
    });
  });

  it('SLA-6 lapses for an unresponsive requester, and notifies everyone involved', () => {
    const { request, event } = expectAccepted(
      lapseRequest(withEmptyOutbox(requestAwaitingRequester()), context({ now: on.nextFridayFive })),
    );
    expect(request.state).toMatchObject({ status: 'lapsed', unresponsiveParty: 'requester', round: null });
    expect(listNotifications(request)).toEqual(['lapsed to requester', 'lapsed to team']);
    expect(event.detail).toBe('The requester did not answer within 10 business days.');
  });
});

describe('a request that has ended', () => {
  it('SLA-5 has no due actions, however long ago it was due', () => {
    const ends = [requestFulfilled, requestDenied, requestRejected, requestWithdrawn, requestLapsed].map((end) =>
      withDeadlinesOnly(end()),
    );
    for (const end of ends) {
      expect(dueActions(end, policy)).toEqual([]);
      expect(nextActionAt(end, policy)).toBeNull();
      expect(applyDueAction(end, context({ now: addDuration(on.mondayTen, { days: 365 }) }))).toBeUndefined();
    }
  });
});

describe('a sweep that is late', () => {
  it('SLA-5 applies everything that became due, one action at a time and in order', () => {
    const { events } = sweep(withDeadlinesOnly(requestAwaitingApproval({ at: on.mondayNoon })), on.fridayFive);
    expect(events.map(({ action }) => action)).toEqual([
      'correspondent-reminded',
      'correspondent-reminded',
      'team-reminded',
      'correspondent-reminded',
      'team-reminded',
    ]);
  });

  it('SLA-5 SLA-6 has the same result in the same order, whenever it runs', () => {
    const starts = [
      requestAwaitingApproval({ at: on.saturdayBeforeTheHolidayNoon }),
      requestAwaitingApproval({ at: on.mondayNoon }),
      requestAwaitingRequester({ at: on.fridayAlmostFive }),
      requestInReview({ at: on.fridayBeforeFallBackTen, form: { language: 'pt' } }),
      requestApproved({ at: on.fridayBeforeSpringForwardTen }),
    ].map(withDeadlinesOnly);
    const sweeps = fc.array(fc.integer({ min: 0, max: 21 * 24 * 3600 }), { maxLength: 30 });
    fc.assert(
      fc.property(fc.constantFrom(...starts), sweeps, (start, seconds) => {
        const end = 22 * 24 * 3600;
        let now = start;
        let notificationCount = 0;
        for (const second of [...seconds.toSorted((one, other) => one - other), end]) {
          const at = addDuration(start.receivedAt, { seconds: second });
          const result = sweep(now, at);
          now = result.request;
          notificationCount += result.events.length;
          const next = nextActionAt(withDeadlinesOnly(now), policy);
          expect(next === null || isBefore(at, next)).toBe(true);
        }
        const punctualSweep = sweepUntil(start, addDuration(start.receivedAt, { seconds: end }));
        expect(notificationCount).toBe(punctualSweep.timeline.length);
        expect(now.notificationCount).toBe(punctualSweep.request.notificationCount);
        expect(now.reminded).toEqual(punctualSweep.request.reminded);
        expect(approvalRoundOf(now)).toEqual(approvalRoundOf(punctualSweep.request));
        expect(now.state.status).toBe(punctualSweep.request.state.status);
      }),
    );
  });
});

describe('a pending delivery', () => {
  const at = on.mondayTen;
  const execution = (status: ExceptionRequest['execution']['status']) =>
    ({ status, executionNumber: 1, since: at }) as const;
  const nextActionOf = (request: ExceptionRequest) => nextActionAt(request, policy);

  it.each([
    ['start-pending', addDuration(at, { seconds: 30 })],
    ['resume-pending', addDuration(at, { seconds: 30 })],
    ['running', addDuration(at, { minutes: 15 })],
    ['waiting', addDuration(at, { hours: 24 })],
  ] as const)('APR-6 is due for a workflow execution that is %s', (status, then) => {
    const request = { ...requestInReview(), pendingNotifications: [], execution: execution(status) };
    expect(nextActionOf(request)).toBe(then);
    expect(dueActions(request, policy)[0]).toEqual({ kind: 'deliver-pending', at: then });
  });

  it('APR-6 is not due for an execution that has ended', () => {
    expect(nextActionOf({ ...requestFulfilled(), pendingNotifications: [], execution: execution('ended') })).toBeNull();
    expect(nextActionOf({ ...requestInReview(), pendingNotifications: [], execution: execution('ended') })).toBe(
      on.thursdayFive,
    );
  });

  it('APR-6 is due for a request that has ended, until its execution has ended too', () => {
    expect(
      nextActionOf({ ...requestFulfilled(), pendingNotifications: [], execution: execution('resume-pending') }),
    ).toBe(addDuration(at, { seconds: 30 }));
  });

  it('EXC-11 of a notification is due after half a minute, or when the sender’s claim ends', () => {
    const [notification] = requestFulfilled().pendingNotifications;
    if (notification === undefined) throw new Error('A fulfilled request has pending notifications.');
    const requestWithClaims = (claims: readonly (Instant | null)[]) => ({
      ...requestFulfilled(),
      execution: execution('ended'),
      pendingNotifications: claims.map((claimedUntil) => ({ ...notification, claimedUntil })),
    });
    expect(nextActionOf(requestWithClaims([null]))).toBe(addDuration(at, { seconds: 30 }));
    expect(nextActionOf(requestWithClaims([on.mondayNoon]))).toBe(on.mondayNoon);
    expect(nextActionOf(requestWithClaims([on.tuesdayTen, on.mondayNoon, on.tuesdayFive]))).toBe(on.mondayNoon);
    expect(dueActions(requestWithClaims([on.mondayNoon, null]), policy)).toEqual([
      { kind: 'deliver-pending', at: on.mondayNoon },
      { kind: 'deliver-pending', at: addDuration(at, { seconds: 30 }) },
    ]);
  });

  it('APR-6 changes nothing in the request', () => {
    expect(applyDueAction(requestReceived({ at }), context({ now: addDuration(at, { hours: 25 }) }))).toBeUndefined();
  });
});
