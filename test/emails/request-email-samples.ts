import { addDuration, civilDate, instant } from '../../domain/calendar/instant.ts';
import { disputeDecision, recordDecision } from '../../domain/exceptions/approval.ts';
import type { DirectRecipient, NotificationKind } from '../../domain/exceptions/notification.ts';
import { askQuestion, rejectRequest, withdrawRequest } from '../../domain/exceptions/review.ts';
import { Secret } from '../../domain/secret.ts';
import type { EmailContext } from '../../emails/request-email.ts';
import {
  context,
  expectAccepted,
  ines,
  jorge,
  mallory,
  noor,
  policy,
  requestAnswered,
  requestApproved,
  requestAwaitingApproval,
  requestDenied,
  requestFulfilled,
  requestInReview,
  requestInSecondRound,
  requestLapsed,
  requestReceived,
  requestRejected,
  requestWithdrawn,
  reviewer,
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

/** Returns the context of an email to a role, about the MAK of Alder School District unless the test says otherwise. */
export function emailContext(role: DirectRecipient, overrides: Partial<EmailContext> = {}): EmailContext {
  const name = {
    requester: ines.name,
    correspondent: noor.name,
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
    correspondentName: noor.name,
    answer: null,
    now: mondayTen,
    policy,
    consoleUrl,
    link: null,
    ...overrides,
  };
}

export const link = { url: new Secret(url), code: new Secret(code), expiresAt: instant('2026-06-15T10:00:00-07:00') };
export const strictLink = { ...link, code: null };

const reason =
  'Two new schools, Elm and Fir, open in autumn. Each gets a computer room of 70 seats, and the machines have no connection to our KMS host.\n\nThe rooms must be ready a week before term begins.';
const withReason = { form: { businessReason: reason } };
const kms = {
  form: { kind: 'KMSADD', businessReason: 'Each of ten regional offices runs a network of its own.' },
} as const;
const kmsContext = {
  keyType: 'KMS',
  lastFive: 'HJKMP',
  limit: 6,
  productName: 'Windows Server 2008 Standard',
} as const;
const flagged = {
  form: {
    activationsRequested: 1200,
    language: 'pt-BR',
    requiredDate: civilDate('2026-06-03'),
    noticesCorrespondent: mallory,
    businessReason: reason,
  },
};
const awaiting = requestAwaitingApproval(withReason);
const approvedWithComment = expectAccepted(
  recordDecision(
    awaiting,
    1,
    { decision: 'approve', comment: 'Agreed with the board.' },
    context({ actor: noor.email, now: tuesdayTen }),
  ),
).request;
const deniedWithComment = expectAccepted(
  recordDecision(
    awaiting,
    1,
    { decision: 'deny', comment: 'Please use the KMS host.' },
    context({ actor: noor.email, now: tuesdayTen }),
  ),
).request;
const rejectedAfterApproval = expectAccepted(
  rejectRequest(
    approvedWithComment,
    'The key was blocked before the limit was raised.',
    context({ actor: reviewer, now: wednesdayNoon }),
  ),
).request;
const withdrawnLate = expectAccepted(
  withdrawRequest(awaiting, null, context({ actor: jorge.email, now: wednesdayNoon })),
).request;
const awaitingRequester = expectAccepted(
  askQuestion(
    requestInReview(flagged),
    'Which schools?\nAnd how many seats has each?',
    context({ actor: reviewer, now: tuesdayTen }),
  ),
).request;

const disputedEarly = expectAccepted(
  disputeDecision(approvedWithComment, context({ actor: noor.email, now: wednesdayNoon })),
).request;
const disputedLate = expectAccepted(
  disputeDecision(requestFulfilled(withReason), context({ actor: noor.email, now: wednesdayNoon })),
).request;

/** Every email about a request, in every situation in which it is sent. */
export const requestEmailSamples: readonly { name: string; kind: NotificationKind; context: EmailContext }[] = [
  sample('received, plain', 'received', 'requester', { request: requestReceived(withReason) }),
  sample('received, flagged', 'received', 'requester', { request: requestReceived(flagged) }),
  sample('received, KMS', 'received', 'requester', { request: requestReceived(kms), ...kmsContext }),
  sample('question', 'question', 'requester', { request: awaitingRequester, now: tuesdayTen }),
  sample('forwarded', 'forwarded', 'requester', { request: awaiting }),
  sample('forwarded, fewer', 'forwarded', 'requester', { request: requestInSecondRound(withReason) }),
  sample('approved', 'decided', 'requester', { request: approvedWithComment, now: tuesdayTen }),
  sample('approved, no comment', 'decided', 'requester', { request: requestApproved() }),
  sample('approved, limit raised', 'decided', 'requester', { request: requestFulfilled() }),
  sample('fulfilled', 'fulfilled', 'requester', { request: requestFulfilled(withReason), limit: 350 }),
  sample('fulfilled, KMS', 'fulfilled', 'requester', { request: requestFulfilled(kms), ...kmsContext, limit: 16 }),
  sample('denied', 'denied', 'requester', { request: deniedWithComment, now: tuesdayTen }),
  sample('denied, no comment', 'denied', 'requester', { request: requestDenied() }),
  sample('rejected', 'rejected', 'requester', { request: requestRejected(withReason) }),
  sample('rejected after approval', 'rejected', 'requester', { request: rejectedAfterApproval, now: wednesdayNoon }),
  sample('withdrawn', 'withdrawn', 'requester', { request: requestWithdrawn(withReason) }),
  sample('lapsed, no decision', 'lapsed', 'requester', { request: requestLapsed(withReason) }),
  sample('lapsed, no answer', 'lapsed', 'requester', {
    request: {
      ...requestLapsed(withReason),
      state: { status: 'lapsed', at: nextMondayFive, unresponsiveParty: 'requester', round: null },
    },
  }),
  sample('approval requested', 'approval-requested', 'correspondent', { request: awaiting, link }),
  sample('approval requested, strict', 'approval-requested', 'correspondent', { request: awaiting, link: strictLink }),
  sample('approval requested, KMS', 'approval-requested', 'correspondent', {
    request: requestAwaitingApproval(kms),
    link,
    ...kmsContext,
  }),
  sample('approval requested, deputy', 'approval-requested', 'correspondent', {
    request: awaiting,
    link,
    to: { role: 'correspondent', name: jorge.name, deputyOf: noor.name },
  }),
  sample('approval reminder', 'approval-reminder', 'correspondent', { request: awaiting, link, now: wednesdayNoon }),
  sample('approval reminder, late', 'approval-reminder', 'correspondent', {
    request: awaiting,
    link,
    now: nextTuesdayNine,
  }),
  sample('approval code', 'approval-code', 'correspondent', {
    request: awaiting,
    now: tuesdayTen,
    link: { ...link, code: new Secret('73051948'), expiresAt: addDuration(tuesdayTen, { minutes: 10 }) },
  }),
  sample('decided, limit raised', 'decided', 'correspondent', { request: requestFulfilled() }),
  sample('decided, approved', 'decided', 'correspondent', { request: approvedWithComment, now: tuesdayTen }),
  sample('decided, denied', 'decided', 'correspondent', { request: deniedWithComment, now: tuesdayTen }),
  sample('decided, with a dispute link', 'decided', 'correspondent', {
    request: approvedWithComment,
    now: tuesdayTen,
    link: strictLink,
  }),
  sample('fulfilled', 'fulfilled', 'correspondent', { request: requestFulfilled(withReason), limit: 350 }),
  sample('rejected', 'rejected', 'correspondent', { request: rejectedAfterApproval, now: wednesdayNoon }),
  sample('withdrawn', 'withdrawn', 'correspondent', { request: withdrawnLate, now: wednesdayNoon }),
  sample('lapsed', 'lapsed', 'correspondent', { request: requestLapsed(withReason) }),
  sample('review requested', 'review-requested', 'team', { request: requestInReview(flagged) }),
  sample('answered', 'answered', 'team', {
    request: requestAnswered(withReason),
    answer: 'Elm and Fir.\nElm has 80 seats, Fir has 70.',
  }),
  sample('answered, answer not loaded', 'answered', 'team', { request: requestAnswered(withReason) }),
  sample('rejected', 'rejected', 'team', { request: rejectedAfterApproval, now: wednesdayNoon }),
  sample('withdrawn', 'withdrawn', 'team', { request: requestWithdrawn(withReason) }),
  sample('lapsed', 'lapsed', 'team', { request: requestLapsed(withReason) }),
  sample('due soon', 'due-soon', 'team', { request: awaiting, now: thursdayFive }),
  sample('due soon, in review', 'due-soon', 'team', { request: requestInReview(flagged), now: thursdayFive }),
  sample('overdue', 'overdue', 'team', { request: awaiting, now: nextMondayFive }),
  sample('disputed in time', 'disputed', 'team', { request: disputedEarly, now: wednesdayNoon }),
  sample('disputed too late', 'disputed', 'team', { request: disputedLate, limit: 350, now: wednesdayNoon }),
  sample('disputed', 'disputed', 'supervisors', { request: disputedLate, limit: 350, now: wednesdayNoon }),
  sample('undeliverable', 'undeliverable', 'team', { request: awaiting }),
  sample('undeliverable', 'undeliverable', 'requester', { request: awaiting }),
  sample('overdue at breach', 'overdue', 'supervisors', { request: awaiting, now: nextMondayFive }),
  sample('overdue, two days later', 'overdue', 'supervisors', { request: awaiting, now: nextWednesdayFive }),
  sample('overdue, closed meanwhile', 'overdue', 'supervisors', {
    request: expectAccepted(
      rejectRequest(approvedWithComment, 'Too late.', context({ actor: reviewer, now: nextWednesdayFive })),
    ).request,
    now: nextThursdayFive,
  }),
];

function sample(
  name: string,
  kind: NotificationKind,
  role: DirectRecipient,
  context: Partial<EmailContext>,
): { name: string; kind: NotificationKind; context: EmailContext } {
  return { name: `${role}: ${name}`, kind, context: emailContext(role, context) };
}
