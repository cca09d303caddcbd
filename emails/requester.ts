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

/** What the person who asked is told: every turn that the request takes, and what they can do about it (EXC-11). */
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
      say`That is ${extraDays} business ${extraDays === 1 ? 'day' : 'days'} more than usual, because your request is not in English.`,
    );
  }
  if (request.flags.includes('required-before-due')) {
    timing.push(
      say`You need it by ${day(request.form.requiredDate)}, which is sooner. We look first at what is needed first, but cannot promise to be that fast.`,
    );
  }
  const approvalAsker =
    request.flags.length > 0 ? say`our exceptions team reads it first. If they go ahead with it, we` : say`we`;
  return {
    subject: say`We have your request for ${increase(context)}`,
    preheader: say`It is complete. ${dueTime(context)}`,
    title: say`Your request has arrived`,
    blocks: [
      paragraph(say`Thank you. Your request is complete. Its number is ${request.exceptionId}.`),
      paragraph(sayAll(timing)),
      paragraph(
        say`What happens next: ${approvalAsker} ask ${correspondentName}, the Notices Correspondent of your agreement, to approve it by e-mail. The limit is raised only after that. It may help to tell them that our mail is coming.`,
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
  const { state: stage } = request;
  if (stage.status !== 'awaiting-requester') return undefined;
  return {
    subject: say`A question about your request for ${increase(context)}`,
    preheader: say`Please reply to this mail, so that we can go on.`,
    title: say`We have a question for you`,
    blocks: [
      paragraph(
        say`Before we can go on with your request for ${increase(context)} on the ${key(context)}, we need to know something from you.`,
      ),
      quote(say`The exceptions team asks:`, stage.question),
      paragraph(say`Please answer by replying to this mail. Write above our text: what stands below is left out.`),
      ...requestAction(context, say`Or answer in the portal`),
      paragraph(
        say`${dueTime(context)} If we hear nothing by ${moment(lapsesAt(stage.askedAt, policy), policy)}, the request lapses. You may then ask again.`,
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
  const reducedNote = say`You asked for ${amount(activationsRequested, context)}. Our exceptions team put forward a smaller number, ${request.activations}. If that is not enough, reply to this mail.`;
  return {
    subject: say`We asked ${correspondentName} to approve ${increase(context)}`,
    preheader: say`Nothing is needed from you. The limit is raised once they approve.`,
    title: say`Your request is with your Notices Correspondent`,
    blocks: [
      paragraph(
        say`On ${moment(round.askedAt, policy)} we asked ${correspondentName}, the Notices Correspondent of your agreement, to approve ${increase(context)} on your ${key(context)}.`,
      ),
      ...(request.activations < activationsRequested ? [paragraph(reducedNote)] : []),
      paragraph(
        say`Nothing is needed from you. We remind them if they do not answer. Without an answer by ${moment(lapsesAt(round.askedAt, policy), policy)} the request lapses, so a word to them may help.`,
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
  if (decision?.decision !== 'approve') return undefined;
  return {
    subject: say`Approved: ${increase(context)}`,
    preheader: say`We write again as soon as the limit has been raised.`,
    title: say`Your request is approved`,
    blocks: [
      paragraph(
        say`Your request for ${increase(context)} on your ${key(context)} was approved on ${moment(decision.at, policy)} by ${sayAddress(decision.by)}, for ${context.organizationName}.`,
      ),
      ...commentBlocks(decision.comment),
      paragraph(say`The limit is raised next, usually within minutes. We write again when it is done.`),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function fulfilledEmail(context: EmailContext): EmailContent {
  const { keyType, limit, policy } = context;
  const uses =
    keyType === 'KMS' ? say` Each of these hosts can be activated up to ${policy.kms.usesPerHost} times.` : say``;
  return {
    subject: say`Done: ${increase(context)} on the key ending in ${context.lastFive}`,
    preheader: say`The limit is now ${amount(limit, context)}. You can use it at once.`,
    title: say`The limit has been raised`,
    blocks: [
      paragraph(say`Your request is done. Your ${key(context)} now allows ${amount(limit, context)} in all.${uses}`),
      requestSummary(context, { label: say`Limit now`, value: amount(limit, context) }),
      paragraph(
        say`You can use it at once, with the key that you have. There is nothing to install and nothing to change.`,
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
    subject: say`Not approved: your request for ${increase(context)}`,
    preheader: say`The limit of your key stays as it was.`,
    title: say`Your request was not approved`,
    blocks: [
      paragraph(
        say`Your request for ${increase(context)} on your ${key(context)} was denied on ${moment(decision.at, policy)} by ${sayAddress(decision.by)}, for ${context.organizationName}.`,
      ),
      ...commentBlocks(decision.comment),
      limitUnchanged,
      paragraph(
        say`If you think that this should be otherwise, please talk to ${correspondentName}, the Notices Correspondent of your agreement. You may ask again at any time.`,
      ),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function rejectedEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy } = context;
  const { state: stage } = request;
  if (stage.status !== 'rejected') return undefined;
  const approvalNote =
    stage.round?.decision?.decision === 'approve'
      ? say` It had been approved before, but had not been carried out.`
      : say``;
  return {
    subject: say`We could not grant your request for ${increase(context)}`,
    preheader: say`The reason is inside. The limit of your key stays as it was.`,
    title: say`We could not grant your request`,
    blocks: [
      paragraph(
        say`We are sorry: your request for ${increase(context)} on your ${key(context)} was closed on ${moment(stage.at, policy)}.${approvalNote}`,
      ),
      quote(say`The reason:`, stage.reason),
      limitUnchanged,
      paragraph(say`If something about this is not clear, reply to this mail. You may ask again at any time.`),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function withdrawnEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy } = context;
  const { state: stage } = request;
  if (stage.status !== 'withdrawn') return undefined;
  return {
    subject: say`Withdrawn: your request for ${increase(context)}`,
    preheader: say`The limit of your key stays as it was.`,
    title: say`Your request was withdrawn`,
    blocks: [
      paragraph(
        say`Your request for ${increase(context)} on your ${key(context)} was withdrawn on ${moment(stage.at, policy)} by ${sayAddress(stage.by)}.`,
      ),
      ...(stage.reason === null ? [] : [quote(say`The reason given:`, stage.reason)]),
      limitUnchanged,
      paragraph(say`If it was withdrawn by mistake, simply ask again.`),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

function lapsedEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy, correspondentName } = context;
  const { state: stage } = request;
  if (stage.status !== 'lapsed') return undefined;
  const days = policy.exceptions.lapsesAfterBusinessDays;
  const explanation =
    stage.unresponsiveParty === 'requester'
      ? say`We put a question to you and have had no answer for ${days} business days.`
      : say`We asked ${correspondentName}, the Notices Correspondent of your agreement, to approve it, and have had no answer for ${days} business days.`;
  const advice =
    stage.unresponsiveParty === 'requester'
      ? say`If you still need it, please ask again, and put what we wanted to know into the reason.`
      : say`If you still need it, please talk to ${correspondentName} and then ask again.`;
  return {
    subject: say`Lapsed: your request for ${increase(context)}`,
    preheader: say`There was no answer in time. You may ask again.`,
    title: say`Your request has lapsed`,
    blocks: [
      paragraph(
        say`Your request for ${increase(context)} on your ${key(context)} lapsed on ${moment(stage.at, policy)}. ${explanation}`,
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
    preheader: say`Our mail did not arrive. Without an approval the limit cannot be raised.`,
    title: say`Our mail to your Notices Correspondent did not arrive`,
    blocks: [
      paragraph(
        say`For ${increase(context)} on your ${key(context)} we need the approval of ${correspondentName}, the Notices Correspondent of your agreement. Our mail to them could not be delivered.`,
      ),
      paragraph(
        say`Please ask them whether their mailbox works. If somebody else holds that office by now, or the address has changed, have it changed in the agreement: we then write to the new address by ourselves.`,
      ),
      paragraph(dueTime(context)),
      ...requestAction(context),
    ],
    because: because(context),
  };
}

const limitUnchanged = paragraph(say`The limit of your key stays as it was.`);

function because(context: EmailContext): Sentence {
  return say`You get this mail because you asked, for ${context.organizationName}, ${agreement(context)}, that a limit be raised (request ${context.request.exceptionId}).`;
}
