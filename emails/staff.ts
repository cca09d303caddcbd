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

/** What the exceptions team is told: what waits for it, and what has ended without it. */
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
 * What the supervisors are told: which answer is late, by how much, and with whom it lay (SLA-4, SLA-5), and which
 * decision was perhaps not the Correspondent's (APR-8).
 */
export const supervisorEmails = { overdue: slaBreachEmail, disputed: disputedEmail } satisfies Partial<
  Record<NotificationKind, EmailTemplate>
>;

function reviewRequestEmail(context: EmailContext): EmailContent | undefined {
  const { request } = context;
  if (request.state.status !== 'in-review') return undefined;
  return {
    subject: say`For review: ${increase(context)} for ${context.organizationName}`,
    preheader: dueTime(context),
    title: say`A request waits for your review`,
    blocks: [
      paragraph(
        say`${request.form.requester.name} of ${context.organizationName} asks for ${increase(context)}. It comes to you before the Notices Correspondent, ${context.correspondentName}, is asked, because:`,
      ),
      { kind: 'list', items: request.flags.map((flag) => flagRow(flag, context)) },
      paragraph(dueTime(context)),
      ...requestDetails(context, ...limitRows(context), phoneRow(context)),
      paragraph(
        say`You can forward it, as it is or with a smaller number, put a question to the requester, or reject it.`,
      ),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function flagRow(flag: Flag, { request, correspondentName, policy }: EmailContext): Row {
  const { form: intake } = request;
  switch (flag) {
    case 'not-english':
      return { label: say`Language`, value: say`it is not in English but in “${intake.language}”.` };
    case 'above-review-threshold':
      return {
        label: say`Size`,
        value: say`it is for more than ${policy.exceptions.reviewAbove[intake.kind]}.`,
      };
    case 'correspondent-differs':
      return {
        label: say`Another Correspondent`,
        value: say`it names ${intake.noticesCorrespondent?.name ?? ''} (${intake.noticesCorrespondent?.email ?? ''}). Only the one of the agreement, ${correspondentName}, will be asked.`,
      };
    case 'required-before-due':
      return {
        label: say`Date`,
        value: say`it is needed by ${day(intake.requiredDate)}, before our answer is due.`,
      };
    case 'requester-is-correspondent':
      return {
        label: say`Same person`,
        value: say`the requester is the Notices Correspondent as well, so that no second person would decide.`,
      };
    case 'approval-disputed':
      return {
        label: say`Disputed`,
        value: say`the Notices Correspondent said of a recorded decision: “this was not me”.`,
      };
  }
}

function answeredEmail(context: EmailContext): EmailContent {
  const { request, answer } = context;
  const { requester } = request.form;
  return {
    subject: say`Answered: ${increase(context)} for ${context.organizationName}`,
    preheader: say`The clock runs again. ${dueTime(context)}`,
    title: say`Your question has been answered`,
    blocks: [
      paragraph(say`${requester.name} has answered, and the request is before you again. ${dueTime(context)}`),
      answer === null
        ? paragraph(say`The answer stands in the history of the request.`)
        : quote(say`The answer, in the words of ${requester.name}:`, answer),
      ...requestDetails(context, phoneRow(context)),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function rejectedEmail(context: EmailContext): EmailContent | undefined {
  const { state: stage } = context.request;
  if (stage.status !== 'rejected') return undefined;
  return closedEmail(
    context,
    say`Rejected`,
    say`It was rejected on ${moment(stage.at, context.policy)} by ${sayAddress(stage.by)}.`,
    [quote(say`The reason:`, stage.reason)],
  );
}

function withdrawnEmail(context: EmailContext): EmailContent | undefined {
  const { state: stage } = context.request;
  if (stage.status !== 'withdrawn') return undefined;
  return closedEmail(
    context,
    say`Withdrawn`,
    say`It was withdrawn on ${moment(stage.at, context.policy)} by ${sayAddress(stage.by)}.`,
    stage.reason === null ? [] : [quote(say`The reason given:`, stage.reason)],
  );
}

function lapsedEmail(context: EmailContext): EmailContent | undefined {
  const { state: stage } = context.request;
  if (stage.status !== 'lapsed') return undefined;
  const days = context.policy.exceptions.lapsesAfterBusinessDays;
  return closedEmail(
    context,
    say`Lapsed`,
    say`It lapsed on ${moment(stage.at, context.policy)}: ${assigneeNames[stage.unresponsiveParty]} did not answer within ${days} business days.`,
    [],
  );
}

function closedEmail(
  context: EmailContext,
  outcome: Sentence,
  explanation: Sentence,
  quotes: readonly Block[],
): EmailContent {
  return {
    subject: say`${outcome}: ${increase(context)} for ${context.organizationName}`,
    preheader: say`Nothing is left to do.`,
    title: say`A request has ended: ${outcome}`,
    blocks: [
      paragraph(say`${explanation} Nothing is left to do.`),
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
    title: say`An answer is due soon`,
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
  const frequency = interval === 1 ? say`on every business day` : say`every ${interval} business days`;
  return {
    subject: say`Due now: ${increase(context)} for ${context.organizationName}`,
    preheader: assigneeStatus(context),
    title: say`An answer is due now`,
    blocks: [
      paragraph(say`${dueTime(context)} ${assigneeStatus(context)}`),
      paragraph(say`From now on the supervisors are told of it ${frequency}, until it is answered.`),
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
  const responsible = longestAssignee(elapsed);
  const verb = request.clock.status === 'stopped' ? 'ended' : 'is';
  return {
    subject: say`Late: the answer on ${increase(context)} for ${context.organizationName}`,
    preheader: say`It lay longest with ${assigneeNames[responsible]}.`,
    title: say`An answer is late`,
    blocks: [
      paragraph(
        minutesLate > 0
          ? say`${dueTime(context)} It ${verb} late by ${businessTime(minutesLate, policy)}.`
          : say`${dueTime(context)} It ${verb} late from now on.`,
      ),
      paragraph(
        say`It lay longest with ${assigneeNames[responsible]}: ${businessTime(elapsed[responsible], policy)}. ${assigneeStatus(context)}`,
      ),
      timingSummary(context),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

/** Somebody may have decided in the Correspondent's name (APR-8). What to do depends on how far it has come. */
function disputedEmail(context: EmailContext): EmailContent | undefined {
  const { request, correspondentName } = context;
  if (!request.flags.includes('approval-disputed')) return undefined;
  const isRaised = request.state.status === 'fulfilled';
  return {
    subject: say`Alarm: a decision on ${increase(context)} for ${context.organizationName} is disputed`,
    preheader: isRaised ? say`The limit was raised already.` : say`The limit was not raised.`,
    title: say`“This was not me”`,
    blocks: [
      paragraph(
        say`The Notices Correspondent, ${correspondentName}, or their deputy says that the decision that we recorded on this request was not theirs. Somebody else may be reading their mail.`,
      ),
      paragraph(isRaised ? alreadyRaised(context) : say`The limit was not raised. ${assigneeStatus(context)}`),
      paragraph(
        say`Please phone them, on the number that the agreement has, before anything else. Until their mailbox is safe do not ask for the approval again: it would go to the same place.`,
      ),
      timingSummary(context),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function alreadyRaised(context: EmailContext): Sentence {
  return say`The limit was raised already, and the key now allows ${amount(context.limit, context)} in all. If the approval was not theirs, the key can be blocked and a new one assigned, which starts with its standard limit.`;
}

function undeliverableEmail(context: EmailContext): EmailContent | undefined {
  const { request, correspondentName } = context;
  if (request.state.status !== 'awaiting-approval' || request.state.round.decision !== null) return undefined;
  return {
    subject: say`Not delivered: the approval of ${increase(context)} for ${context.organizationName}`,
    preheader: say`The Notices Correspondent has not got our mail.`,
    title: say`The Notices Correspondent has not got our mail`,
    blocks: [
      paragraph(
        say`Our mail that asks ${correspondentName}, the Notices Correspondent, for the approval could not be delivered. ${assigneeStatus(context)}`,
      ),
      paragraph(
        say`Please find out from the customer whether the address has changed. A licensing administrator has to change it in the agreement; our mail then goes to the new one.`,
      ),
      timingSummary(context),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

/** Due this minute, or past it. A question to the requester, or the end, can have come between the reminder and its letter. */
function isLate({ request, now, policy }: EmailContext): boolean {
  return remainingMinutes(request.clock, now, policy) <= 0;
}

const assigneeNames: Readonly<Record<Assignee, string>> = {
  team: 'the exceptions team',
  requester: 'the requester',
  correspondent: 'the Notices Correspondent',
};

/** Who has the ball now, and what happens if they drop it. */
function assigneeStatus({ request, policy, correspondentName }: EmailContext): Sentence {
  const { state: stage } = request;
  const assignee = assigneeOf(request.clock);
  if (assignee === null) return say`The request has ended: it is ${stage.status}.`;
  if (stage.status === 'awaiting-approval' && stage.round.decision === null) {
    return say`The request waits for the Notices Correspondent, ${correspondentName}, and lapses on ${moment(lapsesAt(stage.round.askedAt, policy), policy)} without an answer.`;
  }
  if (stage.status === 'awaiting-approval') return say`The request is approved; the limit has still to be raised.`;
  if (stage.status === 'awaiting-requester') {
    return say`The request waits for the requester, ${request.form.requester.name}, and lapses on ${moment(lapsesAt(stage.askedAt, policy), policy)} without an answer.`;
  }
  return say`The request waits for the exceptions team.`;
}

/** The request in short, with what there is to know about its time (SLA-4). */
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

/** As the request gave it: it is not checked against the Authorized Contact List, and so is shown to staff only. */
function phoneRow({ request }: EmailContext): Row {
  return { label: say`Phone, as given`, value: say`${request.form.requester.phone}` };
}

function because({ to, request }: EmailContext): Sentence {
  const recipients = to.role === 'supervisors' ? say`supervisors of the exceptions team` : say`exceptions team`;
  return say`This mail went to the ${recipients}. It is about request ${request.exceptionId}.`;
}
