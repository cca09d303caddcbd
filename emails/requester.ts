import type { LetterKind } from '../domain/exceptions/notification.ts';
import { askOf } from '../domain/exceptions/request.ts';
import { lapsesAt } from '../domain/exceptions/schedule.ts';
import { commentOf, openRequest, requestInFull, requestInShort } from './blocks.ts';
import type { Content } from './layout.ts';
import { paragraph, quote } from './layout.ts';
import { agreement, amount, day, dueTime, increase, key, moment } from './phrases.ts';
import type { LetterFacts, Writer } from './request-email.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress, sayAll } from './say.ts';

/** What the person who asked is told: every turn that the request takes, and what they can do about it (EXC-11). */
export const requesterLetters = {
  received,
  question,
  forwarded,
  decided: approved,
  fulfilled,
  denied,
  rejected,
  withdrawn,
  lapsed,
  undeliverable,
} satisfies Partial<Record<LetterKind, Writer>>;

function received(facts: LetterFacts): Content {
  const { request, policy, correspondentName } = facts;
  const timing = [dueTime(facts)];
  if (request.flags.includes('not-english')) {
    const extra = policy.exceptions.notEnglishExtraBusinessDays;
    timing.push(
      say`That is ${extra} business ${extra === 1 ? 'day' : 'days'} more than usual, because your request is not in English.`,
    );
  }
  if (request.flags.includes('required-before-due')) {
    timing.push(
      say`You need it by ${day(request.intake.requiredDate)}, which is sooner. We look first at what is needed first, but cannot promise to be that fast.`,
    );
  }
  const first =
    request.flags.length > 0 ? say`our exceptions team reads it first. If they go ahead with it, we` : say`we`;
  return {
    subject: say`We have your request for ${increase(facts)}`,
    preheader: say`It is complete. ${dueTime(facts)}`,
    title: say`Your request has arrived`,
    blocks: [
      paragraph(say`Thank you. Your request is complete. Its number is ${request.exceptionId}.`),
      paragraph(sayAll(timing)),
      paragraph(
        say`What happens next: ${first} ask ${correspondentName}, the Notices Correspondent of your agreement, to approve it by e-mail. The limit is raised only after that. It may help to tell them that our mail is coming.`,
      ),
      ...requestInFull(facts),
      paragraph(say`You can withdraw the request until it is decided.`),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function question(facts: LetterFacts): Content | undefined {
  const { request, policy } = facts;
  const { stage } = request;
  if (stage.is !== 'awaiting-requester') return undefined;
  return {
    subject: say`A question about your request for ${increase(facts)}`,
    preheader: say`Please reply to this mail, so that we can go on.`,
    title: say`We have a question for you`,
    blocks: [
      paragraph(
        say`Before we can go on with your request for ${increase(facts)} on the ${key(facts)}, we need to know something from you.`,
      ),
      quote(say`The exceptions team asks:`, stage.question),
      paragraph(say`Please answer by replying to this mail. Write above our text: what stands below is left out.`),
      ...openRequest(facts, say`Or answer in the portal`),
      paragraph(
        say`${dueTime(facts)} If we hear nothing by ${moment(lapsesAt(stage.askedAt, policy), policy)}, the request lapses. You may then ask again.`,
      ),
    ],
    because: because(facts),
  };
}

function forwarded(facts: LetterFacts): Content | undefined {
  const { request, policy, correspondentName } = facts;
  const ask = askOf(request);
  if (ask === null) return undefined;
  const { activationsRequested } = request.intake;
  const smaller = say`You asked for ${amount(activationsRequested, facts)}. Our exceptions team put forward a smaller number, ${request.activations}. If that is not enough, reply to this mail.`;
  return {
    subject: say`We asked ${correspondentName} to approve ${increase(facts)}`,
    preheader: say`Nothing is needed from you. The limit is raised once they approve.`,
    title: say`Your request is with your Notices Correspondent`,
    blocks: [
      paragraph(
        say`On ${moment(ask.askedAt, policy)} we asked ${correspondentName}, the Notices Correspondent of your agreement, to approve ${increase(facts)} on your ${key(facts)}.`,
      ),
      ...(request.activations < activationsRequested ? [paragraph(smaller)] : []),
      paragraph(
        say`Nothing is needed from you. We remind them if they do not answer. Without an answer by ${moment(lapsesAt(ask.askedAt, policy), policy)} the request lapses, so a word to them may help.`,
      ),
      paragraph(dueTime(facts)),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function approved(facts: LetterFacts): Content | undefined {
  const { request, policy } = facts;
  const decision = askOf(request)?.decision;
  if (decision?.decision !== 'approve') return undefined;
  return {
    subject: say`Approved: ${increase(facts)}`,
    preheader: say`We write again as soon as the limit has been raised.`,
    title: say`Your request is approved`,
    blocks: [
      paragraph(
        say`Your request for ${increase(facts)} on your ${key(facts)} was approved on ${moment(decision.at, policy)} by ${sayAddress(decision.by)}, for ${facts.organizationName}.`,
      ),
      ...commentOf(decision.comment),
      paragraph(say`The limit is raised next, usually within minutes. We write again when it is done.`),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function fulfilled(facts: LetterFacts): Content {
  const { keyType, limit, policy } = facts;
  const uses =
    keyType === 'KMS' ? say` Each of these hosts can be activated up to ${policy.kms.usesPerHost} times.` : say``;
  return {
    subject: say`Done: ${increase(facts)} on the key ending in ${facts.lastFive}`,
    preheader: say`The limit is now ${amount(limit, facts)}. You can use it at once.`,
    title: say`The limit has been raised`,
    blocks: [
      paragraph(say`Your request is done. Your ${key(facts)} now allows ${amount(limit, facts)} in all.${uses}`),
      requestInShort(facts, { label: say`Limit now`, value: amount(limit, facts) }),
      paragraph(
        say`You can use it at once, with the key that you have. There is nothing to install and nothing to change.`,
      ),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function denied(facts: LetterFacts): Content | undefined {
  const { request, policy, correspondentName } = facts;
  const decision = askOf(request)?.decision;
  if (decision?.decision !== 'deny') return undefined;
  return {
    subject: say`Not approved: your request for ${increase(facts)}`,
    preheader: say`The limit of your key stays as it was.`,
    title: say`Your request was not approved`,
    blocks: [
      paragraph(
        say`Your request for ${increase(facts)} on your ${key(facts)} was denied on ${moment(decision.at, policy)} by ${sayAddress(decision.by)}, for ${facts.organizationName}.`,
      ),
      ...commentOf(decision.comment),
      nothingChanged,
      paragraph(
        say`If you think that this should be otherwise, please talk to ${correspondentName}, the Notices Correspondent of your agreement. You may ask again at any time.`,
      ),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function rejected(facts: LetterFacts): Content | undefined {
  const { request, policy } = facts;
  const { stage } = request;
  if (stage.is !== 'rejected') return undefined;
  const hadBeenApproved =
    stage.ask?.decision?.decision === 'approve'
      ? say` It had been approved before, but had not been carried out.`
      : say``;
  return {
    subject: say`We could not grant your request for ${increase(facts)}`,
    preheader: say`The reason is inside. The limit of your key stays as it was.`,
    title: say`We could not grant your request`,
    blocks: [
      paragraph(
        say`We are sorry: your request for ${increase(facts)} on your ${key(facts)} was closed on ${moment(stage.at, policy)}.${hadBeenApproved}`,
      ),
      quote(say`The reason:`, stage.reason),
      nothingChanged,
      paragraph(say`If something about this is not clear, reply to this mail. You may ask again at any time.`),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function withdrawn(facts: LetterFacts): Content | undefined {
  const { request, policy } = facts;
  const { stage } = request;
  if (stage.is !== 'withdrawn') return undefined;
  return {
    subject: say`Withdrawn: your request for ${increase(facts)}`,
    preheader: say`The limit of your key stays as it was.`,
    title: say`Your request was withdrawn`,
    blocks: [
      paragraph(
        say`Your request for ${increase(facts)} on your ${key(facts)} was withdrawn on ${moment(stage.at, policy)} by ${sayAddress(stage.by)}.`,
      ),
      ...(stage.reason === null ? [] : [quote(say`The reason given:`, stage.reason)]),
      nothingChanged,
      paragraph(say`If it was withdrawn by mistake, simply ask again.`),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function lapsed(facts: LetterFacts): Content | undefined {
  const { request, policy, correspondentName } = facts;
  const { stage } = request;
  if (stage.is !== 'lapsed') return undefined;
  const days = policy.exceptions.lapsesAfterBusinessDays;
  const why =
    stage.silent === 'requester'
      ? say`We put a question to you and have had no answer for ${days} business days.`
      : say`We asked ${correspondentName}, the Notices Correspondent of your agreement, to approve it, and have had no answer for ${days} business days.`;
  const next =
    stage.silent === 'requester'
      ? say`If you still need it, please ask again, and put what we wanted to know into the reason.`
      : say`If you still need it, please talk to ${correspondentName} and then ask again.`;
  return {
    subject: say`Lapsed: your request for ${increase(facts)}`,
    preheader: say`There was no answer in time. You may ask again.`,
    title: say`Your request has lapsed`,
    blocks: [
      paragraph(
        say`Your request for ${increase(facts)} on your ${key(facts)} lapsed on ${moment(stage.at, policy)}. ${why}`,
      ),
      nothingChanged,
      paragraph(next),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function undeliverable(facts: LetterFacts): Content | undefined {
  const { request, correspondentName } = facts;
  if (request.stage.is !== 'awaiting-approval' || request.stage.ask.decision !== null) return undefined;
  return {
    subject: say`We cannot reach ${correspondentName} about your request`,
    preheader: say`Our mail did not arrive. Without an approval the limit cannot be raised.`,
    title: say`Our mail to your Notices Correspondent did not arrive`,
    blocks: [
      paragraph(
        say`For ${increase(facts)} on your ${key(facts)} we need the approval of ${correspondentName}, the Notices Correspondent of your agreement. Our mail to them could not be delivered.`,
      ),
      paragraph(
        say`Please ask them whether their mailbox works. If somebody else holds that office by now, or the address has changed, have it changed in the agreement: we then write to the new address by ourselves.`,
      ),
      paragraph(dueTime(facts)),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

const nothingChanged = paragraph(say`The limit of your key stays as it was.`);

function because(facts: LetterFacts): Sentence {
  return say`You get this mail because you asked, for ${facts.organizationName}, ${agreement(facts)}, that a limit be raised (request ${facts.request.exceptionId}).`;
}
