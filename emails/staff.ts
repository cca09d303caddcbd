import type { NotificationKind } from '../domain/exceptions/notification.ts';
import type { Flag } from '../domain/exceptions/request.ts';
import { isFinal } from '../domain/exceptions/request.ts';
import { lapsesAt } from '../domain/exceptions/schedule.ts';
import type { Assignee } from '../domain/exceptions/sla-clock.ts';
import { assigneeOf, elapsedUntil, longestAssignee, remainingMinutes } from '../domain/exceptions/sla-clock.ts';
import { limitRows, requestAction, requestDetails, requestSummary } from './blocks.ts';
import type { Block, EmailContent, Row } from './layout.ts';
import { paragraph, quote } from './layout.ts';
import { amount, businessTime, day, dueTime, increase, moment, timeLeft } from './phrases.ts';
import type { EmailContext, EmailTemplate } from './request-email.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress } from './say.ts';

/** The emails to the exceptions team: requests that need its work, and requests that ended without it. */
export const teamEmails = {
  'review-requested': reviewRequestEmail,
  answered: answeredEmail,
  rejected: rejectedEmail,
  withdrawn: withdrawnEmail,
  lapsed: lapsedEmail,
  'due-soon': dueSoonEmail,
  overdue: overdueEmail,
  disputed: disputedEmail,
  undeliverable: undeliverableEmail,
} satisfies Partial<Record<NotificationKind, EmailTemplate>>;

/**
 * The emails to the supervisors: overdue responses, with how late they are and who had the request longest (SLA-4,
 * SLA-5), and disputed decisions (APR-8).
 */
export const supervisorEmails = {
  overdue: slaBreachEmail,
  disputed: disputedEmail,
} satisfies Partial<Record<NotificationKind, EmailTemplate>>;

function reviewRequestEmail(context: EmailContext): EmailContent | undefined {
  const { request } = context;
  if (request.state.status !== 'in-review') return undefined;
  return {
    subject: say`Review needed: ${increase(context)} for ${context.organizationName}`,
    preheader: dueTime(context),
    title: say`A request needs your review`,
    blocks: [
      paragraph(
        say`${request.form.requester.name} of ${context.organizationName} requests ${increase(context)}. Review it before we ask the Notices Correspondent, ${context.correspondentName}. Reasons for the review:`,
      ),
      { kind: 'list', items: request.flags.map((flag) => flagRow(flag, context)) },
      paragraph(dueTime(context)),
      ...requestDetails(context, ...limitRows(context), phoneRow(context)),
      paragraph(
        say`You can forward the request with the same or a smaller number, ask the requester a question, or reject the request.`,
      ),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function flagRow(flag: Flag, context: EmailContext): Row {
  const { request, correspondentName, policy } = context;
  const { form } = request;
  switch (flag) {
    case 'not-english':
      return { label: say`Language`, value: say`The request is in “${form.language}”, not in English.` };
    case 'above-review-threshold':
      return {
        label: say`Size`,
        value: say`The request is for more than ${amount(policy.exceptions.reviewAbove[form.kind], context)}.`,
      };
    case 'correspondent-differs':
      return {
        label: say`Different Correspondent`,
        value: say`The request names ${form.noticesCorrespondent?.name ?? ''} (${form.noticesCorrespondent?.email ?? ''}). We ask only the Notices Correspondent of the agreement, ${correspondentName}.`,
      };
    case 'required-before-due':
      return {
        label: say`Date`,
        value: say`The increase is needed by ${day(form.requiredDate)}, before our response is due.`,
      };
    case 'requester-is-correspondent':
      return {
        label: say`Same person`,
        value: say`The requester is also the Notices Correspondent, so no second person would decide.`,
      };
    case 'approval-disputed':
      return {
        label: say`Disputed`,
        value: say`The Notices Correspondent reported a recorded decision as not theirs (“This was not me”).`,
      };
  }
}

function answeredEmail(context: EmailContext): EmailContent {
  const { request, answer } = context;
  const { requester } = request.form;
  return {
    subject: say`Answered: ${increase(context)} for ${context.organizationName}`,
    preheader: say`The deadline is no longer paused. ${dueTime(context)}`,
    title: say`The requester answered your question`,
    blocks: [
      paragraph(say`${requester.name} has answered, and the request needs your review again. ${dueTime(context)}`),
      answer === null
        ? paragraph(say`You can find the answer in the history of the request.`)
        : quote(say`Answer from ${requester.name}:`, answer),
      ...requestDetails(context, phoneRow(context)),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function rejectedEmail(context: EmailContext): EmailContent | undefined {
  const { state } = context.request;
  if (state.status !== 'rejected') return undefined;
  return closedEmail(context, {
    outcome: 'rejected',
    explanation: say`The request was rejected on ${moment(state.at, context.policy)} by ${sayAddress(state.by)}.`,
    quotes: [quote(say`Reason:`, state.reason)],
  });
}

function withdrawnEmail(context: EmailContext): EmailContent | undefined {
  const { state } = context.request;
  if (state.status !== 'withdrawn') return undefined;
  return closedEmail(context, {
    outcome: 'withdrawn',
    explanation: say`The request was withdrawn on ${moment(state.at, context.policy)} by ${sayAddress(state.by)}.`,
    quotes: state.reason === null ? [] : [quote(say`Reason:`, state.reason)],
  });
}

function lapsedEmail(context: EmailContext): EmailContent | undefined {
  const { state } = context.request;
  if (state.status !== 'lapsed') return undefined;
  const days = context.policy.exceptions.lapsesAfterBusinessDays;
  return closedEmail(context, {
    outcome: 'lapsed',
    explanation: say`The request lapsed on ${moment(state.at, context.policy)} because ${assigneeNames[state.unresponsiveParty]} did not answer within ${days} business days.`,
    quotes: [],
  });
}

function closedEmail(
  context: EmailContext,
  closure: {
    readonly outcome: 'rejected' | 'withdrawn' | 'lapsed';
    readonly explanation: Sentence;
    readonly quotes: readonly Block[];
  },
): EmailContent {
  const { outcome, explanation, quotes } = closure;
  const outcomeLabel = { rejected: 'Rejected', withdrawn: 'Withdrawn', lapsed: 'Lapsed' }[outcome];
  return {
    subject: say`${outcomeLabel}: ${increase(context)} for ${context.organizationName}`,
    preheader: say`You do not need to do anything.`,
    title: say`Request ${outcome}`,
    blocks: [
      paragraph(say`${explanation} You do not need to do anything.`),
      ...quotes,
      requestSummary(context),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function dueSoonEmail(context: EmailContext): EmailContent | undefined {
  const { request } = context;
  if (isFinal(request)) return undefined;
  return {
    subject: say`Due soon: ${increase(context)} for ${context.organizationName}`,
    preheader: dueTime(context),
    title: say`A response is due soon`,
    blocks: [
      paragraph(say`${dueTime(context)} ${assigneeStatus(context)}`),
      timingSummary(context),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function overdueEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy } = context;
  if (isFinal(request) || !isLate(context)) return undefined;
  const interval = policy.exceptions.supervisorsToldEveryBusinessDays;
  const frequency = interval === 1 ? say`every business day` : say`every ${interval} business days`;
  return {
    subject: say`Due now: ${increase(context)} for ${context.organizationName}`,
    preheader: assigneeStatus(context),
    title: say`A response is due now`,
    blocks: [
      paragraph(say`${dueTime(context)} ${assigneeStatus(context)}`),
      paragraph(say`From now on, we notify the supervisors ${frequency} until the request is closed.`),
      timingSummary(context),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function slaBreachEmail(context: EmailContext): EmailContent | undefined {
  const { request, now, policy } = context;
  if (!isLate(context)) return undefined;
  const minutesLate = -remainingMinutes(request.clock, now, policy);
  const elapsed = elapsedUntil(request.clock, now, policy);
  const assignee = longestAssignee(elapsed);
  const delay =
    request.clock.status === 'stopped'
      ? say`The request was closed ${minutesLate > 0 ? say`${businessTime(minutesLate, policy)} late` : 'at the deadline'}.`
      : minutesLate > 0
        ? say`It is overdue by ${businessTime(minutesLate, policy)}.`
        : say`The deadline has been reached.`;
  return {
    subject: say`Overdue: ${increase(context)} for ${context.organizationName}`,
    preheader: say`The request spent the most time with ${assigneeNames[assignee]}.`,
    title: say`A response is overdue`,
    blocks: [
      paragraph(say`${dueTime(context)} ${delay}`),
      paragraph(
        say`The request spent the most time with ${assigneeNames[assignee]}: ${businessTime(elapsed[assignee], policy)}. ${assigneeStatus(context)}`,
      ),
      timingSummary(context),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

/**
 * Reports that somebody may have decided in the Correspondent's name (APR-8). The advice depends on the request's
 * state.
 */
function disputedEmail(context: EmailContext): EmailContent | undefined {
  const { request, correspondentName } = context;
  if (!request.flags.includes('approval-disputed')) return undefined;
  const isRaised = request.state.status === 'fulfilled';
  return {
    subject: say`Urgent: disputed decision on ${increase(context)} for ${context.organizationName}`,
    preheader: isRaised ? say`The limit has already been raised.` : say`The limit has not been raised.`,
    title: say`A decision is disputed: “This was not me”`,
    blocks: [
      paragraph(
        say`The Notices Correspondent, ${correspondentName}, or their deputy reports that the decision recorded on this request was not theirs. Someone else may be reading their email.`,
      ),
      paragraph(isRaised ? limitRaisedAdvice(context) : say`The limit has not been raised. ${assigneeStatus(context)}`),
      paragraph(
        say`Before anything else, call them on the phone number in the agreement. Do not ask for the approval again until their mailbox is secure, because our email would go to the same mailbox.`,
      ),
      timingSummary(context),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function limitRaisedAdvice(context: EmailContext): Sentence {
  return say`The limit has already been raised, and the key now allows ${amount(context.limit, context)} in total. If the approval was not theirs, the key can be blocked and replaced with a new one, which starts with its standard limit.`;
}

function undeliverableEmail(context: EmailContext): EmailContent | undefined {
  const { request, correspondentName } = context;
  if (request.state.status !== 'awaiting-approval' || request.state.round.decision !== null) return undefined;
  return {
    subject: say`Not delivered: approval email for ${increase(context)} for ${context.organizationName}`,
    preheader: say`The Notices Correspondent did not receive our email.`,
    title: say`The Notices Correspondent did not receive our email`,
    blocks: [
      paragraph(
        say`Our email that asks ${correspondentName}, the Notices Correspondent, for approval could not be delivered. ${assigneeStatus(context)}`,
      ),
      paragraph(
        say`Ask the customer whether the address has changed. If it has, a licensing administrator must change it in the agreement. We then email the new address.`,
      ),
      timingSummary(context),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

/**
 * Returns whether the response is due or overdue. A question to the requester or the end of the request can come
 * between the reminder and its email.
 */
function isLate({ request, now, policy }: EmailContext): boolean {
  return remainingMinutes(request.clock, now, policy) <= 0;
}

const assigneeNames: Readonly<Record<Assignee, string>> = {
  team: 'the exceptions team',
  requester: 'the requester',
  correspondent: 'the Notices Correspondent',
};

/** Says who has to act next, and what happens if they do not. */
function assigneeStatus({ request, policy, correspondentName }: EmailContext): Sentence {
  const { state } = request;
  const assignee = assigneeOf(request.clock);
  if (assignee === null) return say`The request is closed with the status “${state.status}”.`;
  if (state.status === 'awaiting-approval' && state.round.decision === null) {
    return say`The request is waiting for the Notices Correspondent, ${correspondentName}. Without a decision, it lapses on ${moment(lapsesAt(state.round.askedAt, policy), policy)}.`;
  }
  if (state.status === 'awaiting-approval') return say`The request is approved, but the limit has not been raised yet.`;
  if (state.status === 'awaiting-requester') {
    return say`The request is waiting for the requester, ${request.form.requester.name}. Without an answer, it lapses on ${moment(lapsesAt(state.askedAt, policy), policy)}.`;
  }
  return say`The request is waiting for the exceptions team.`;
}

/** Returns the request in a few lines, with the time left and the time that each party has had it (SLA-4). */
function timingSummary(context: EmailContext): Block {
  const { request, now, policy } = context;
  const elapsed = elapsedUntil(request.clock, now, policy);
  return requestSummary(
    context,
    { label: say`Needed by`, value: day(request.form.requiredDate) },
    timeLeft(context),
    { label: say`With the team`, value: businessTime(elapsed.team, policy) },
    { label: say`With the requester`, value: businessTime(elapsed.requester, policy) },
    { label: say`With the Correspondent`, value: businessTime(elapsed.correspondent, policy) },
  );
}

/**
 * Returns the phone number in the request. It is not checked against the Authorized Contact List, so only staff see it.
 */
function phoneRow({ request }: EmailContext): Row {
  return { label: say`Phone (as given)`, value: say`${request.form.requester.phone}` };
}

function because({ to, request }: EmailContext): Sentence {
  const recipients = to.role === 'supervisors' ? say`supervisors of the exceptions team` : say`exceptions team`;
  return say`This email was sent to the ${recipients}. It is about request ${request.exceptionId}.`;
}
