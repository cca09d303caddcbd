import { civilDate, instant, later } from '../../domain/calendar/instant.ts';
import type { LetterKind, Recipient } from '../../domain/exceptions/notification.ts';
import { decide, dispute, question, reject, withdraw } from '../../domain/exceptions/request.ts';
import { Secret } from '../../domain/secret.ts';
import type { LetterFacts } from '../../emails/request-email.ts';
import {
  accepted,
  carla,
  context,
  ines,
  mallory,
  policy,
  requestAnswered,
  requestApproved,
  requestAskedAnew,
  requestAwaitingApproval,
  requestDenied,
  requestFulfilled,
  requestInReview,
  requestLapsed,
  requestReceived,
  requestRejected,
  requestWithdrawn,
  reviewer,
  tom,
} from '../builders.ts';
import {
  mondayTen,
  nextMondayFive,
  nextThursdayFive,
  nextTuesdayNine,
  nextWednesdayFive,
  thursdayFive,
  tuesdayTen,
  wednesdayNoon,
} from '../instants.ts';

export const url = 'https://approve.licensing.example/approvals/q2Zf0m8xV1h3T7bKcYw5JdLr9NsPgEaUoIi4kXyHtMB';
export const code = '482916';
export const consoleUrl = 'https://portal.licensing.example/';

/** The facts of a letter to somebody: about the MAK of Alder School District unless the test says otherwise. */
export function someFacts(role: Recipient, facts: Partial<LetterFacts> = {}): LetterFacts {
  const name = {
    requester: ines.name,
    correspondent: carla.name,
    team: 'exceptions team',
    supervisors: 'supervisors',
  }[role];
  return {
    request: requestReceived(),
    to: { role, name },
    organizationName: 'Alder School District',
    lastFive: 'BCDFG',
    keyType: 'MAK',
    limit: 200,
    productName: 'Windows Vista Business',
    correspondentName: carla.name,
    answer: null,
    now: mondayTen,
    policy,
    consoleUrl,
    link: null,
    ...facts,
  };
}

export const link = { url: new Secret(url), code: new Secret(code), expiresAt: instant('2026-06-15T10:00:00-07:00') };
export const strictLink = { ...link, code: null };

const reason =
  'Two new schools, Elm and Fir, open in autumn. Each gets a computer room of 70 seats, and the machines have no connection to our KMS host.\n\nThe rooms must be ready a week before term begins.';
const made = { intake: { businessReason: reason } };
const kms = {
  intake: { kind: 'KMSADD', businessReason: 'Each of ten regional offices runs a network of its own.' },
} as const;
const kmsFacts = {
  keyType: 'KMS',
  lastFive: 'HJKMP',
  limit: 6,
  productName: 'Windows Server 2008 Standard',
} as const;
const flagged = {
  intake: {
    activationsRequested: 1200,
    language: 'pt-BR',
    requiredDate: civilDate('2026-06-03'),
    noticesCorrespondent: mallory,
    businessReason: reason,
  },
};
const awaiting = requestAwaitingApproval(made);
const commented = accepted(
  decide(
    awaiting,
    1,
    { decision: 'approve', comment: 'Agreed with the board.' },
    context({ actor: carla.email, now: tuesdayTen }),
  ),
).request;
const refused = accepted(
  decide(
    awaiting,
    1,
    { decision: 'deny', comment: 'Please use the KMS host.' },
    context({ actor: carla.email, now: tuesdayTen }),
  ),
).request;
const stopped = accepted(
  reject(
    commented,
    'The key was blocked before the limit was raised.',
    context({ actor: reviewer, now: wednesdayNoon }),
  ),
).request;
const withdrawnLate = accepted(withdraw(awaiting, null, context({ actor: tom.email, now: wednesdayNoon }))).request;
const asked = accepted(
  question(
    requestInReview(flagged),
    'Which schools?\nAnd how many seats has each?',
    context({ actor: reviewer, now: tuesdayTen }),
  ),
).request;

const disputedEarly = accepted(dispute(commented, context({ actor: carla.email, now: wednesdayNoon }))).request;
const disputedLate = accepted(
  dispute(requestFulfilled(made), context({ actor: carla.email, now: wednesdayNoon })),
).request;

/** Every letter that there is, each in the situations in which it is written: what the tests loop over. */
export const everyLetter: readonly { name: string; kind: LetterKind; facts: LetterFacts }[] = [
  letter('received, plain', 'received', 'requester', { request: requestReceived(made) }),
  letter('received, flagged', 'received', 'requester', { request: requestReceived(flagged) }),
  letter('received, KMS', 'received', 'requester', { request: requestReceived(kms), ...kmsFacts }),
  letter('question', 'question', 'requester', { request: asked, now: tuesdayTen }),
  letter('forwarded', 'forwarded', 'requester', { request: awaiting }),
  letter('forwarded, fewer', 'forwarded', 'requester', { request: requestAskedAnew(made) }),
  letter('approved', 'decided', 'requester', { request: commented, now: tuesdayTen }),
  letter('approved, no comment', 'decided', 'requester', { request: requestApproved() }),
  letter('fulfilled', 'fulfilled', 'requester', { request: requestFulfilled(made), limit: 350 }),
  letter('fulfilled, KMS', 'fulfilled', 'requester', { request: requestFulfilled(kms), ...kmsFacts, limit: 16 }),
  letter('denied', 'denied', 'requester', { request: refused, now: tuesdayTen }),
  letter('denied, no comment', 'denied', 'requester', { request: requestDenied() }),
  letter('rejected', 'rejected', 'requester', { request: requestRejected(made) }),
  letter('rejected after approval', 'rejected', 'requester', { request: stopped, now: wednesdayNoon }),
  letter('withdrawn', 'withdrawn', 'requester', { request: requestWithdrawn(made) }),
  letter('lapsed, correspondent silent', 'lapsed', 'requester', { request: requestLapsed(made) }),
  letter('lapsed, requester silent', 'lapsed', 'requester', {
    request: {
      ...requestLapsed(made),
      stage: { is: 'lapsed', at: nextMondayFive, silent: 'requester', ask: null },
    },
  }),
  letter('approval wanted', 'approval-wanted', 'correspondent', { request: awaiting, link }),
  letter('approval wanted, strict', 'approval-wanted', 'correspondent', { request: awaiting, link: strictLink }),
  letter('approval wanted, KMS', 'approval-wanted', 'correspondent', {
    request: requestAwaitingApproval(kms),
    link,
    ...kmsFacts,
  }),
  letter('approval wanted, deputy', 'approval-wanted', 'correspondent', {
    request: awaiting,
    link,
    to: { role: 'correspondent', name: tom.name, deputyOf: carla.name },
  }),
  letter('approval reminder', 'approval-reminder', 'correspondent', { request: awaiting, link, now: wednesdayNoon }),
  letter('approval reminder, late', 'approval-reminder', 'correspondent', {
    request: awaiting,
    link,
    now: nextTuesdayNine,
  }),
  letter('approval code', 'approval-code', 'correspondent', {
    request: awaiting,
    now: tuesdayTen,
    link: { ...link, code: new Secret('73051948'), expiresAt: later(tuesdayTen, { minutes: 10 }) },
  }),
  letter('decided, approved', 'decided', 'correspondent', { request: commented, now: tuesdayTen }),
  letter('decided, denied', 'decided', 'correspondent', { request: refused, now: tuesdayTen }),
  letter('decided, with a link to disown it', 'decided', 'correspondent', {
    request: commented,
    now: tuesdayTen,
    link: strictLink,
  }),
  letter('fulfilled', 'fulfilled', 'correspondent', { request: requestFulfilled(made), limit: 350 }),
  letter('rejected', 'rejected', 'correspondent', { request: stopped, now: wednesdayNoon }),
  letter('withdrawn', 'withdrawn', 'correspondent', { request: withdrawnLate, now: wednesdayNoon }),
  letter('lapsed', 'lapsed', 'correspondent', { request: requestLapsed(made) }),
  letter('review wanted', 'review-wanted', 'team', { request: requestInReview(flagged) }),
  letter('answered', 'answered', 'team', {
    request: requestAnswered(made),
    answer: 'Elm and Fir.\nElm has 80 seats, Fir has 70.',
  }),
  letter('answered, answer not at hand', 'answered', 'team', { request: requestAnswered(made) }),
  letter('rejected', 'rejected', 'team', { request: stopped, now: wednesdayNoon }),
  letter('withdrawn', 'withdrawn', 'team', { request: requestWithdrawn(made) }),
  letter('lapsed', 'lapsed', 'team', { request: requestLapsed(made) }),
  letter('due soon', 'due-soon', 'team', { request: awaiting, now: thursdayFive }),
  letter('due soon, in review', 'due-soon', 'team', { request: requestInReview(flagged), now: thursdayFive }),
  letter('overdue', 'overdue', 'team', { request: awaiting, now: nextMondayFive }),
  letter('disputed in time', 'disputed', 'team', { request: disputedEarly, now: wednesdayNoon }),
  letter('disputed too late', 'disputed', 'team', { request: disputedLate, limit: 350, now: wednesdayNoon }),
  letter('disputed', 'disputed', 'supervisors', { request: disputedLate, limit: 350, now: wednesdayNoon }),
  letter('undeliverable', 'undeliverable', 'team', { request: awaiting }),
  letter('undeliverable', 'undeliverable', 'requester', { request: awaiting }),
  letter('overdue at breach', 'overdue', 'supervisors', { request: awaiting, now: nextMondayFive }),
  letter('overdue, two days later', 'overdue', 'supervisors', { request: awaiting, now: nextWednesdayFive }),
  letter('overdue, closed meanwhile', 'overdue', 'supervisors', {
    request: accepted(reject(commented, 'Too late.', context({ actor: reviewer, now: nextWednesdayFive }))).request,
    now: nextThursdayFive,
  }),
];

function letter(
  name: string,
  kind: LetterKind,
  role: Recipient,
  facts: Partial<LetterFacts>,
): { name: string; kind: LetterKind; facts: LetterFacts } {
  return { name: `${role}: ${name}`, kind, facts: someFacts(role, facts) };
}
