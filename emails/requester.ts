import type { NotificationKind } from '../domain/exceptions/notification.ts';
import { approvalRoundOf } from '../domain/exceptions/request.ts';
import { lapsesAt } from '../domain/exceptions/schedule.ts';
import { commentBlocks, requestAction, requestDetails, requestSummary } from './blocks.ts';
import type { EmailContent } from './layout.ts';
import { paragraph, quote } from './layout.ts';
import { agreement, amount, day, dueTime, increase, key, moment } from './phrases.ts';
import type { EmailContext, EmailTemplate } from './request-email.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress, sayAll } from './say.ts';

/** The emails to the requester: each step of the request, and what they can do about it (EXC-11). */
export const requesterEmails = {
  received: receivedEmail,
  question: questionEmail,
  forwarded: forwardedEmail,
  decided: approvedEmail,
  fulfilled: fulfilledEmail,
  denied: deniedEmail,
  rejected: rejectedEmail,
  withdrawn: withdrawnEmail,
  lapsed: lapsedEmail,
  undeliverable: undeliverableEmail,
} satisfies Partial<Record<NotificationKind, EmailTemplate>>;

function receivedEmail(context: EmailContext): EmailContent {
  const { request, policy, correspondentName } = context;
  const timing = [dueTime(context)];
  if (request.flags.includes('not-english')) {
    const extraDays = policy.exceptions.notEnglishExtraBusinessDays;
    timing.push(
      say`This is ${extraDays} business ${extraDays === 1 ? 'day' : 'days'} longer than usual because your request is not in English.`,
    );
  }
  if (request.flags.includes('required-before-due')) {
    timing.push(
      say`You need the increase by ${day(request.form.requiredDate)}, which is earlier. We handle the most urgent requests first, but we cannot promise to respond by then.`,
    );
  }
  const approval = say`ask ${correspondentName}, the Notices Correspondent of your agreement, to approve it by email. We raise the limit only after the approval. It may help to let them know that our email is coming.`;
  return {
    subject: say`We received your request for ${increase(context)}`,
    preheader: say`Your request is complete. ${dueTime(context)}`,
    title: say`We received your request`,
    blocks: [
      paragraph(say`Thank you. Your request ${request.exceptionId} for ${increase(context)} is complete.`),
      paragraph(sayAll(timing)),
      paragraph(
        request.flags.length > 0
          ? say`What happens next: our exceptions team reviews your request. If the team forwards it, we ${approval}`
          : say`What happens next: we ${approval}`,
      ),
      ...requestDetails(context),
      paragraph(say`You can withdraw the request until it is decided.`),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function questionEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy } = context;
  const { state } = request;
  if (state.status !== 'awaiting-requester') return undefined;
  return {
    subject: say`Question about your request for ${increase(context)}`,
    preheader: say`Reply to this email so that we can continue.`,
    title: say`We have a question about your request`,
    blocks: [
      paragraph(
        say`We need more information before we can continue with your request for ${increase(context)} on the ${key(context)}.`,
      ),
      quote(say`Question from the exceptions team:`, state.question),
      paragraph(
        say`Reply to this email with your answer. Write it above the quoted text: we do not read the quoted text or anything below it.`,
      ),
      ...requestAction(context, say`Answer online instead`),
      paragraph(
        say`${dueTime(context)} If we do not receive your answer by ${moment(lapsesAt(state.askedAt, policy), policy)}, the request lapses. You can then submit a new one.`,
      ),
    ],
    because: because(context),
  };
}

function forwardedEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy, correspondentName } = context;
  const round = approvalRoundOf(request);
  if (round === null) return undefined;
  const { activationsRequested } = request.form;
  const smallerAmountNote = say`You requested ${amount(activationsRequested, context)}. Our exceptions team forwarded a smaller number, ${request.activations}. If that is not enough, reply to this email.`;
  return {
    subject: say`Waiting for approval: your request for ${increase(context)}`,
    preheader: say`You do not need to do anything. We raise the limit after the approval.`,
    title: say`Your request is waiting for approval`,
    blocks: [
      paragraph(
        say`On ${moment(round.askedAt, policy)}, we asked ${correspondentName}, the Notices Correspondent of your agreement, to approve ${increase(context)} on your ${key(context)}.`,
      ),
      ...(request.activations < activationsRequested ? [paragraph(smallerAmountNote)] : []),
      paragraph(
        say`You do not need to do anything. We send ${correspondentName} reminders. Without a decision, the request lapses on ${moment(lapsesAt(round.askedAt, policy), policy)}, so it may help to contact them.`,
      ),
      paragraph(dueTime(context)),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function approvedEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy } = context;
  const decision = approvalRoundOf(request)?.decision;
  const { status } = request.state;
  if (decision?.decision !== 'approve' || (status !== 'awaiting-approval' && status !== 'fulfilled')) return undefined;
  const isRaised = status === 'fulfilled';
  return {
    subject: say`Approved: your request for ${increase(context)}`,
    preheader: isRaised ? say`The limit has been raised.` : say`We email you as soon as the limit has been raised.`,
    title: say`Your request is approved`,
    blocks: [
      paragraph(
        say`Your request for ${increase(context)} on your ${key(context)} was approved on ${moment(decision.at, policy)} by ${sayAddress(decision.by)} for ${context.organizationName}.`,
      ),
      ...commentBlocks(decision.comment),
      isRaised
        ? paragraph(say`The limit has been raised. You can use it right away.`)
        : paragraph(
            say`We will now raise the limit, which usually takes a few minutes, and email you when it is done.`,
          ),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function fulfilledEmail(context: EmailContext): EmailContent {
  const { keyType, limit, policy } = context;
  const hostUses =
    keyType === 'KMS' ? say` Each of these hosts can be activated up to ${policy.kms.usesPerHost} times.` : say``;
  return {
    subject: say`Limit raised: your request for ${increase(context)}`,
    preheader: say`Your new limit is ${amount(limit, context)}. You can use it right away.`,
    title: say`The limit has been raised`,
    blocks: [
      paragraph(
        say`Your request is complete. Your ${key(context)} now allows ${amount(limit, context)} in total.${hostUses}`,
      ),
      requestSummary(context, { label: say`Current limit`, value: amount(limit, context) }),
      paragraph(
        say`You can use the new limit right away with your existing key. You do not need to install or change anything.`,
      ),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function deniedEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy, correspondentName } = context;
  const decision = approvalRoundOf(request)?.decision;
  if (decision?.decision !== 'deny') return undefined;
  return {
    subject: say`Denied: your request for ${increase(context)}`,
    preheader: say`The limit of your key did not change.`,
    title: say`Your request was denied`,
    blocks: [
      paragraph(
        say`Your request for ${increase(context)} on your ${key(context)} was denied on ${moment(decision.at, policy)} by ${sayAddress(decision.by)} for ${context.organizationName}.`,
      ),
      ...commentBlocks(decision.comment),
      limitUnchanged,
      paragraph(
        say`If you have questions about this decision, contact ${correspondentName}, the Notices Correspondent of your agreement. You can submit a new request at any time.`,
      ),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function rejectedEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy } = context;
  const { state } = request;
  if (state.status !== 'rejected') return undefined;
  const approvalNote =
    state.round?.decision?.decision === 'approve'
      ? say` The request had already been approved, but the limit had not been raised yet.`
      : say``;
  return {
    subject: say`We could not grant your request for ${increase(context)}`,
    preheader: say`See the reason in this email. The limit of your key did not change.`,
    title: say`We could not grant your request`,
    blocks: [
      paragraph(
        say`We are sorry, but we could not grant your request for ${increase(context)} on your ${key(context)}. Our exceptions team closed it on ${moment(state.at, policy)}.${approvalNote}`,
      ),
      quote(say`Reason:`, state.reason),
      limitUnchanged,
      paragraph(say`If you have questions, reply to this email. You can submit a new request at any time.`),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function withdrawnEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy } = context;
  const { state } = request;
  if (state.status !== 'withdrawn') return undefined;
  return {
    subject: say`Withdrawn: your request for ${increase(context)}`,
    preheader: say`The limit of your key did not change.`,
    title: say`Your request was withdrawn`,
    blocks: [
      paragraph(
        say`Your request for ${increase(context)} on your ${key(context)} was withdrawn on ${moment(state.at, policy)} by ${sayAddress(state.by)}.`,
      ),
      ...(state.reason === null ? [] : [quote(say`Reason:`, state.reason)]),
      limitUnchanged,
      paragraph(say`If it was withdrawn by mistake, submit a new request.`),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function lapsedEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy, correspondentName } = context;
  const { state } = request;
  if (state.status !== 'lapsed') return undefined;
  const days = policy.exceptions.lapsesAfterBusinessDays;
  const [explanation, advice] =
    state.unresponsiveParty === 'requester'
      ? [
          say`We asked you a question and received no answer within ${days} business days.`,
          say`If you still need the increase, submit a new request and include the information that we asked for in the business reason.`,
        ]
      : [
          say`We asked ${correspondentName}, the Notices Correspondent of your agreement, to approve it and received no answer within ${days} business days.`,
          say`If you still need the increase, contact ${correspondentName} and then submit a new request.`,
        ];
  return {
    subject: say`Lapsed: your request for ${increase(context)}`,
    preheader: say`There was no answer in time. You can submit a new request.`,
    title: say`Your request has lapsed`,
    blocks: [
      paragraph(
        say`Your request for ${increase(context)} on your ${key(context)} lapsed on ${moment(state.at, policy)}. ${explanation}`,
      ),
      limitUnchanged,
      paragraph(advice),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function undeliverableEmail(context: EmailContext): EmailContent | undefined {
  const { request, correspondentName } = context;
  if (request.state.status !== 'awaiting-approval' || request.state.round.decision !== null) return undefined;
  return {
    subject: say`We cannot reach ${correspondentName} about your request`,
    preheader: say`Our email was not delivered. Without an approval, we cannot raise the limit.`,
    title: say`Our email to your Notices Correspondent was not delivered`,
    blocks: [
      paragraph(
        say`We need the approval of ${correspondentName}, the Notices Correspondent of your agreement, for ${increase(context)} on your ${key(context)}. Our email to them could not be delivered.`,
      ),
      paragraph(
        say`Ask them whether their mailbox works. If someone else has this role now, or if the address has changed, have it changed in the agreement. We then email the new address automatically.`,
      ),
      paragraph(dueTime(context)),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

const limitUnchanged = paragraph(say`The limit of your key did not change.`);

function because(context: EmailContext): Sentence {
  return say`You are receiving this email because you requested a higher limit for ${context.organizationName}, ${agreement(context)} (request ${context.request.exceptionId}).`;
}
