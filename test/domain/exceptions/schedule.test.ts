import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { isBefore, later } from '../../../domain/calendar/instant.ts';
import type { Changed, ExceptionRequest } from '../../../domain/exceptions/request.ts';
import { answer, askOf, decide, forward, question } from '../../../domain/exceptions/request.ts';
import { nextActionAt, scheduled, tick } from '../../../domain/exceptions/schedule.ts';
import type { Policy } from '../../../domain/policy.ts';
import {
  accepted,
  carla,
  context,
  ines,
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
} from '../../builders.ts';
import * as on from '../../instants.ts';

/** The same request with nothing owed: its letters sent and its workflow at its end, so that only time is left to act. */
const settled = (request: ExceptionRequest): ExceptionRequest => ({
  ...request,
  letters: [],
  drive: { is: 'ended', attempt: 1, since: request.receivedAt },
});

/** Does all that is due at a moment, one thing after the other as a sweep does; says what was done. */
function sweep(request: ExceptionRequest, at: Instant, under: Policy = policy) {
  const done: Changed[] = [];
  for (
    let next = tick(request, context({ now: at, policy: under }));
    next !== undefined;
    next = tick(next.request, context({ now: at, policy: under }))
  ) {
    done.push(next);
    if (done.length > 50) throw new Error('the same is done over and over');
  }
  return { request: done.at(-1)?.request ?? request, deeds: done.map(({ deed }) => deed) };
}

/** Lets time pass up to a moment with a punctual sweep: says which letters were written, and when. */
function pass(request: ExceptionRequest, until: Instant, under: Policy = policy) {
  const told: [Instant, ...string[]][] = [];
  let now = settled(request);
  for (let at = nextActionAt(now, under); at !== null && !isBefore(until, at); at = nextActionAt(now, under)) {
    const done = tick(now, context({ now: at, policy: under }));
    if (done === undefined) throw new Error(`nothing is done at ${at}, for which something was scheduled`);
    told.push([at, ...done.request.letters.map(({ kind, to }) => `${kind} to ${to}`)]);
    if (told.length > 50) throw new Error('the same is done over and over');
    now = settled(done.request);
  }
  return { told, request: now };
}

/** The letters about a silent Correspondent, without those to the team and the supervisors that the answer is due. */
const withoutDue = (told: readonly [Instant, ...string[]][]) =>
  told.filter(([, letter = '']) => !/^(due-soon|overdue)/.test(letter));

const kinds = (request: ExceptionRequest) => scheduled(settled(request), policy).map(({ what }) => what);

describe('a Correspondent who does not answer', () => {
  const asked = requestAwaitingApproval({ at: on.mondayNoon });

  it('SLA-5 is reminded one, two and four business days after being asked; SLA-6 after ten the request lapses', () => {
    const { told, request } = pass(asked, later(on.mondayNoon, { days: 60 }));
    expect(withoutDue(told)).toEqual([
      [later(on.tuesdayTen, { hours: 2 }), 'approval-reminder to correspondent'],
      [on.wednesdayNoon, 'approval-reminder to correspondent'],
      [on.fridayNoon, 'approval-reminder to correspondent'],
      [later(on.mondayNoon, { days: 14 }), 'lapsed to requester', 'lapsed to correspondent', 'lapsed to team'],
    ]);
    expect(request.stage).toMatchObject({
      is: 'lapsed',
      silent: 'correspondent',
      at: later(on.mondayNoon, { days: 14 }),
    });
  });

  it('SLA-5 is not reminded a second before, is at the moment, and not again at the same moment', () => {
    const at = later(on.mondayNoon, { days: 1 });
    const before = settled(asked);
    expect(tick(before, context({ now: later(at, { seconds: -1 }) }))).toBeUndefined();
    const done = tick(before, context({ now: at }));
    expect(done).toEqual({
      request: {
        ...before,
        stage: {
          is: 'awaiting-approval',
          ask: { askNumber: 1, askedAt: on.mondayNoon, remindersSent: 1, undeliverableAt: null, decision: null },
        },
        letters: [
          {
            letterId: '4-approval-reminder-correspondent',
            kind: 'approval-reminder',
            to: 'correspondent',
            claimedUntil: null,
          },
        ],
        lettersWritten: 4,
      },
      deed: {
        actor: 'volume-activation',
        action: 'correspondent-reminded',
        detail: 'The Notices Correspondent was reminded for the first time.',
        reference: 'X-1',
      },
    });
    expect(done && tick(done.request, context({ now: at }))).toBeUndefined();
  });

  it('SLA-5 counts a reminder by its ordinal', () => {
    const often = { ...policy.exceptions, correspondentRemindedAfterBusinessDays: [1, 2, 3, 4] };
    const { deeds } = sweep(settled(asked), on.fridayNoon, { ...policy, exceptions: often });
    expect(deeds.filter(({ action }) => action === 'correspondent-reminded').map(({ detail }) => detail)).toEqual(
      ['first', 'second', 'third', '4th'].map((nth) => `The Notices Correspondent was reminded for the ${nth} time.`),
    );
  });

  it('SLA-5 is reminded from the beginning about a new question, counted from when that was asked', () => {
    const reminded = pass(asked, on.wednesdayNoon).request;
    expect(askOf(reminded)?.remindersSent).toBe(2);
    const anew = accepted(forward(reminded, 120, context({ actor: reviewer, now: on.wednesdayFive }))).request;
    const { told } = pass(anew, on.nextMondayNine);
    // Asked on Wednesday at closing, the count starts on Thursday at opening.
    expect(withoutDue(told)).toEqual([
      [on.fridayNine, 'approval-reminder to correspondent'],
      [on.nextMondayNine, 'approval-reminder to correspondent'],
    ]);
  });

  it('SLA-5 asked on a Saturday has the whole of Monday before the first reminder', () => {
    const { told } = pass(requestAwaitingApproval({ at: on.saturdayNoon }), on.nextTuesdayNine);
    expect(told).toEqual([[on.nextTuesdayNine, 'approval-reminder to correspondent']]);
  });

  it('SLA-5 is reminded no more, and SLA-6 does not lapse, once the approval is recorded', () => {
    const choice = { decision: 'approve', comment: null } as const;
    const approved = accepted(decide(asked, 1, choice, context({ actor: carla.email, now: on.mondayNoon }))).request;
    expect(kinds(asked)).toEqual(['remind-correspondent', 'lapse', 'remind-team', 'tell-supervisors']);
    expect(kinds(approved)).toEqual(['remind-team', 'tell-supervisors']);
  });
});

describe('a requester who does not answer', () => {
  const questioned = requestAwaitingRequester({ at: on.mondayNoon });

  it('SLA-6 lets the request lapse in ten business days, and all are told', () => {
    const at = later(on.mondayNoon, { days: 14 });
    const { told, request } = pass(questioned, later(at, { days: 60 }));
    expect(told).toEqual([[at, 'lapsed to requester', 'lapsed to team']]);
    expect(request.stage).toEqual({ is: 'lapsed', at, silent: 'requester', ask: null });
  });

  it('SLA-6 does not lapse a second before', () => {
    const at = later(on.mondayNoon, { days: 14 });
    expect(tick(settled(questioned), context({ now: later(at, { seconds: -1 }) }))).toBeUndefined();
    expect(tick(settled(questioned), context({ now: at }))?.deed.action).toBe('lapsed');
  });

  it('SLA-2 SLA-5 brings no reminder to the team or the supervisors: the clock stands', () => {
    expect(kinds(questioned)).toEqual(['lapse']);
  });
});

describe('a team that does not answer', () => {
  const inReview = requestInReview({ at: on.mondayTen });
  const aDay = (days: number) => later(on.nextMondayFive, { days });

  it('SLA-5 is reminded two and one business days before due and at due; supervisors are told at breach and each business day after', () => {
    expect(pass(inReview, later(aDay(7), { seconds: 1 })).told).toEqual([
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

  it('SLA-5 is not reminded a second before, is at the moment, and not again at the same moment', () => {
    const before = settled(inReview);
    expect(tick(before, context({ now: later(on.thursdayFive, { seconds: -1 }) }))).toBeUndefined();
    const done = tick(before, context({ now: on.thursdayFive }));
    expect(done).toEqual({
      request: {
        ...before,
        reminded: { team: 1, supervisors: 0 },
        letters: [{ letterId: '3-due-soon-team', kind: 'due-soon', to: 'team', claimedUntil: null }],
        lettersWritten: 3,
      },
      deed: {
        actor: 'volume-activation',
        action: 'team-reminded',
        detail: 'The answer is due soon.',
        reference: 'X-1',
      },
    });
    expect(done && tick(done.request, context({ now: on.thursdayFive }))).toBeUndefined();
  });

  it('SLA-5 is told at due that it is due, and the supervisors that it is late, each in a change of its own', () => {
    const before = pass(inReview, on.fridayFive).request;
    const first = tick(before, context({ now: on.nextMondayFive }));
    expect(first?.deed).toMatchObject({ action: 'team-reminded', detail: 'The answer is due now.' });
    const second = first && tick(first.request, context({ now: on.nextMondayFive }));
    expect(second?.deed).toEqual({
      actor: 'volume-activation',
      action: 'supervisors-told',
      detail: 'The answer is late; the supervisors were told.',
      reference: 'X-1',
    });
    expect(second?.request.reminded).toEqual({ team: 3, supervisors: 1 });
    expect(second && tick(second.request, context({ now: on.nextMondayFive }))).toBeUndefined();
  });

  it('SLA-5 tells the supervisors as often as the policy says', () => {
    const seldom = { ...policy, exceptions: { ...policy.exceptions, supervisorsToldEveryBusinessDays: 3 } };
    const { told } = pass(inReview, aDay(7), seldom);
    expect(told.filter(([, letter]) => letter === 'overdue to supervisors').map(([at]) => at)).toEqual([
      on.nextMondayFive,
      on.nextThursdayFive,
    ]);
  });

  it('SLA-5 SLA-4 is reminded while the Correspondent has the ball, and after the approval', () => {
    const waiting = pass(requestAwaitingApproval({ at: on.mondayTen }), on.fridayFive).told.map(([, letter]) => letter);
    expect(waiting.filter((letter) => letter === 'due-soon to team')).toHaveLength(2);
    expect(pass(requestApproved({ at: on.mondayTen }), on.nextMondayFive).told).toEqual([
      [on.thursdayFive, 'due-soon to team'],
      [on.fridayFive, 'due-soon to team'],
      [on.nextMondayFive, 'overdue to team'],
      [on.nextMondayFive, 'overdue to supervisors'],
    ]);
  });
});

describe('a KMSADD request with a question and an answer, over a weekend and a holiday', () => {
  // Received on Friday 6 November at 10:00: due on Monday the 16th, since Wednesday the 11th is a holiday.
  const fridayTen = later(on.fridayBeforeTheHolidayAlmostFive, { hours: -7, minutes: 1 });
  const fridayNoon = later(fridayTen, { hours: 2 });
  const thursdayNoon = later(on.thursdayAfterTheHolidayTen, { hours: 2 });
  const received = requestInReview({ intake: { kind: 'KMSADD' }, at: fridayTen });
  const questioned = accepted(question(received, 'Which labs?', context({ actor: reviewer, now: fridayNoon }))).request;
  const answered = accepted(answer(questioned, 'All 13.', context({ actor: ines.email, now: thursdayNoon }))).request;

  it('SLA-1 would have been due on Monday the 16th, and its reminders on the business days before', () => {
    expect(pass(received, on.mondayAfterTheHolidayFive).told).toEqual([
      [on.thursdayAfterTheHolidayFive, 'due-soon to team'],
      [on.fridayAfterTheHolidayFive, 'due-soon to team'],
      [on.mondayAfterTheHolidayFive, 'overdue to team'],
      [on.mondayAfterTheHolidayFive, 'overdue to supervisors'],
    ]);
  });

  it('SLA-2 brings no reminder while the requester is asked, over the holiday to the answer', () => {
    expect(pass(questioned, thursdayNoon).told).toEqual([]);
  });

  it('SLA-2 is due the three business days later that the answer took, and so are its reminders', () => {
    const thursdayFive = later(on.mondayAfterTheHolidayFive, { days: 3 });
    expect(answered.clock).toMatchObject({ is: 'running', dueAt: thursdayFive });
    expect(pass(answered, thursdayFive).told).toEqual([
      [on.tuesdayAfterTheHolidayFive, 'due-soon to team'],
      [later(thursdayFive, { days: -1 }), 'due-soon to team'],
      [thursdayFive, 'overdue to team'],
      [thursdayFive, 'overdue to supervisors'],
    ]);
  });

  it('SLA-2 SLA-5 due in the middle of a day, brings each reminder at that time of day', () => {
    const fridayFour = later(fridayNoon, { hours: 4 });
    const asked = accepted(question(received, 'Which labs?', context({ actor: reviewer, now: fridayFour }))).request;
    const back = accepted(
      answer(asked, 'All 13.', context({ actor: ines.email, now: on.tuesdayBeforeTheHolidayTen })),
    ).request;
    // Friday 16:00 to Tuesday 10:00 are ten hours of work; from Monday 17:00 they lead to Wednesday 11:00.
    const due = later(on.tuesdayAfterTheHolidayFive, { hours: 18 });
    expect(back.clock).toMatchObject({ is: 'running', dueAt: due });
    expect(pass(back, later(due, { days: 5 })).told).toEqual([
      [later(due, { days: -2 }), 'due-soon to team'],
      [later(due, { days: -1 }), 'due-soon to team'],
      [due, 'overdue to team'],
      [due, 'overdue to supervisors'],
      [later(due, { days: 1 }), 'overdue to supervisors'],
      [later(due, { days: 2 }), 'overdue to supervisors'],
      [later(due, { days: 5 }), 'overdue to supervisors'],
    ]);
  });

  it('SLA-5 does not repeat a reminder because the due time has moved', () => {
    const reminded = pass(received, on.thursdayAfterTheHolidayFive).request;
    const asked = accepted(
      question(reminded, 'Why?', context({ actor: reviewer, now: on.fridayAfterTheHolidayNine })),
    ).request;
    const back = accepted(
      answer(asked, 'So.', context({ actor: ines.email, now: on.mondayAfterTheHolidayFive })),
    ).request;
    expect(pass(back, later(on.mondayAfterTheHolidayFive, { days: 2 })).told).toEqual([
      [on.tuesdayAfterTheHolidayFive, 'due-soon to team'],
      [later(on.tuesdayAfterTheHolidayFive, { days: 1 }), 'overdue to team'],
      [later(on.tuesdayAfterTheHolidayFive, { days: 1 }), 'overdue to supervisors'],
    ]);
  });
});

describe('a request that has ended', () => {
  it('SLA-5 brings nothing more, however long ago it was due', () => {
    const ends = [requestFulfilled, requestDenied, requestRejected, requestWithdrawn, requestLapsed].map((end) =>
      settled(end()),
    );
    for (const end of ends) {
      expect(scheduled(end, policy)).toEqual([]);
      expect(nextActionAt(end, policy)).toBeNull();
      expect(tick(end, context({ now: later(on.mondayTen, { days: 365 }) }))).toBeUndefined();
    }
  });
});

describe('a sweep that comes late', () => {
  it('SLA-5 does all that fell due meanwhile, one thing at a time and in its order', () => {
    const { deeds } = sweep(settled(requestAwaitingApproval({ at: on.mondayNoon })), on.fridayFive);
    expect(deeds.map(({ action }) => action)).toEqual([
      'correspondent-reminded',
      'correspondent-reminded',
      'team-reminded',
      'correspondent-reminded',
      'team-reminded',
    ]);
  });

  it('SLA-5 SLA-6 does the same things in the same order whenever it comes', () => {
    const starts = [
      requestAwaitingApproval({ at: on.saturdayBeforeTheHolidayNoon }),
      requestAwaitingApproval({ at: on.mondayNoon }),
      requestAwaitingRequester({ at: on.fridayAlmostFive }),
      requestInReview({ at: on.fridayBeforeFallBackTen, intake: { language: 'pt' } }),
      requestApproved({ at: on.fridayBeforeSpringForwardTen }),
    ].map(settled);
    const sweeps = fc.array(fc.integer({ min: 0, max: 21 * 24 * 3600 }), { maxLength: 30 });
    fc.assert(
      fc.property(fc.constantFrom(...starts), sweeps, (start, seconds) => {
        const end = 22 * 24 * 3600;
        let now = start;
        let written = 0;
        for (const second of [...seconds.toSorted((one, other) => one - other), end]) {
          const at = later(start.receivedAt, { seconds: second });
          const swept = sweep(now, at);
          now = swept.request;
          written += swept.deeds.length;
          const next = nextActionAt(settled(now), policy);
          expect(next === null || isBefore(at, next)).toBe(true);
        }
        const punctual = pass(start, later(start.receivedAt, { seconds: end }));
        expect(written).toBe(punctual.told.length);
        expect(now.lettersWritten).toBe(punctual.request.lettersWritten);
        expect(now.reminded).toEqual(punctual.request.reminded);
        expect(askOf(now)).toEqual(askOf(punctual.request));
        expect(now.stage.is).toBe(punctual.request.stage.is);
      }),
    );
  });
});

describe('what is owed and not passed on', () => {
  const at = on.mondayTen;
  const drive = (is: ExceptionRequest['drive']['is']) => ({ is, attempt: 1, since: at }) as const;
  const nextOf = (request: ExceptionRequest) => nextActionAt(request, policy);

  it.each([
    ['to-start', later(at, { seconds: 30 })],
    ['to-wake', later(at, { seconds: 30 })],
    ['awake', later(at, { minutes: 15 })],
    ['parked', later(at, { hours: 24 })],
  ] as const)('APR-6 is looked after for a workflow that is %s', (is, then) => {
    const request = { ...requestInReview(), letters: [], drive: drive(is) };
    expect(nextOf(request)).toBe(then);
    expect(scheduled(request, policy)[0]).toEqual({ what: 'pass-on', at: then });
  });

  it('APR-6 is nothing for a workflow that has ended', () => {
    expect(nextOf({ ...requestFulfilled(), letters: [], drive: drive('ended') })).toBeNull();
    expect(nextOf({ ...requestInReview(), letters: [], drive: drive('ended') })).toBe(on.thursdayFive);
  });

  it('APR-6 is looked after for a request that has ended, until its workflow has too', () => {
    expect(nextOf({ ...requestFulfilled(), letters: [], drive: drive('to-wake') })).toBe(later(at, { seconds: 30 }));
  });

  it('EXC-11 is a letter: after half a minute, or when the claim of whoever sends it ends', () => {
    const [letter] = requestFulfilled().letters;
    if (letter === undefined) throw new Error('a fulfilled request owes letters');
    const owing = (claims: readonly (Instant | null)[]) => ({
      ...requestFulfilled(),
      drive: drive('ended'),
      letters: claims.map((claimedUntil) => ({ ...letter, claimedUntil })),
    });
    expect(nextOf(owing([null]))).toBe(later(at, { seconds: 30 }));
    expect(nextOf(owing([on.mondayNoon]))).toBe(on.mondayNoon);
    expect(nextOf(owing([on.tuesdayTen, on.mondayNoon, on.tuesdayFive]))).toBe(on.mondayNoon);
    expect(scheduled(owing([on.mondayNoon, null]), policy)).toEqual([
      { what: 'pass-on', at: on.mondayNoon },
      { what: 'pass-on', at: later(at, { seconds: 30 }) },
    ]);
  });

  it('APR-6 is no change of the request: the sweep passes it on, and time alone does nothing', () => {
    expect(tick(requestReceived({ at }), context({ now: later(at, { hours: 25 }) }))).toBeUndefined();
  });
});
