import type { LetterKind } from '../domain/exceptions/notification.ts';
import type { Flag } from '../domain/exceptions/request.ts';
import { isFinal } from '../domain/exceptions/request.ts';
import { lapsesAt } from '../domain/exceptions/schedule.ts';
import type { Holder } from '../domain/exceptions/sla-clock.ts';
import { holderOf, longestHolder, remainingMinutes, spentUntil } from '../domain/exceptions/sla-clock.ts';
import { limitBeforeAndAfter, openRequest, requestInFull, requestInShort } from './blocks.ts';
import type { Block, Content, Row } from './layout.ts';
import { paragraph, quote } from './layout.ts';
import { amount, businessTime, day, dueTime, increase, moment, timeLeft } from './phrases.ts';
import type { LetterFacts, Writer } from './request-email.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress } from './say.ts';

/** What the exceptions team is told: what waits for it, and what has ended without it. */
export const teamLetters = {
  'review-wanted': reviewWanted,
  answered,
  rejected,
  withdrawn,
  lapsed,
  'due-soon': dueSoon,
  overdue: due,
  disputed,
  undeliverable,
} satisfies Partial<Record<LetterKind, Writer>>;

/**
 * What the supervisors are told: which answer is late, by how much, and with whom it lay (SLA-4, SLA-5), and which
 * decision was perhaps not the Correspondent's (APR-8).
 */
export const supervisorLetters = { overdue: breached, disputed } satisfies Partial<Record<LetterKind, Writer>>;

function reviewWanted(facts: LetterFacts): Content | undefined {
  const { request } = facts;
  if (request.stage.is !== 'in-review') return undefined;
  return {
    subject: say`For review: ${increase(facts)} for ${facts.organizationName}`,
    preheader: dueTime(facts),
    title: say`A request waits for your review`,
    blocks: [
      paragraph(
        say`${request.intake.requester.name} of ${facts.organizationName} asks for ${increase(facts)}. It comes to you before the Notices Correspondent, ${facts.correspondentName}, is asked, because:`,
      ),
      { is: 'list', items: request.flags.map((flag) => whyFlagged(flag, facts)) },
      paragraph(dueTime(facts)),
      ...requestInFull(facts, ...limitBeforeAndAfter(facts), phone(facts)),
      paragraph(
        say`You can forward it, as it is or with a smaller number, put a question to the requester, or reject it.`,
      ),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function whyFlagged(flag: Flag, { request, correspondentName, policy }: LetterFacts): Row {
  const { intake } = request;
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

function answered(facts: LetterFacts): Content {
  const { request, answer } = facts;
  const { requester } = request.intake;
  return {
    subject: say`Answered: ${increase(facts)} for ${facts.organizationName}`,
    preheader: say`The clock runs again. ${dueTime(facts)}`,
    title: say`Your question has been answered`,
    blocks: [
      paragraph(say`${requester.name} has answered, and the request is before you again. ${dueTime(facts)}`),
      answer === null
        ? paragraph(say`The answer stands in the history of the request.`)
        : quote(say`The answer, in the words of ${requester.name}:`, answer),
      ...requestInFull(facts, phone(facts)),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function rejected(facts: LetterFacts): Content | undefined {
  const { stage } = facts.request;
  if (stage.is !== 'rejected') return undefined;
  return ended(
    facts,
    say`Rejected`,
    say`It was rejected on ${moment(stage.at, facts.policy)} by ${sayAddress(stage.by)}.`,
    [quote(say`The reason:`, stage.reason)],
  );
}

function withdrawn(facts: LetterFacts): Content | undefined {
  const { stage } = facts.request;
  if (stage.is !== 'withdrawn') return undefined;
  return ended(
    facts,
    say`Withdrawn`,
    say`It was withdrawn on ${moment(stage.at, facts.policy)} by ${sayAddress(stage.by)}.`,
    stage.reason === null ? [] : [quote(say`The reason given:`, stage.reason)],
  );
}

function lapsed(facts: LetterFacts): Content | undefined {
  const { stage } = facts.request;
  if (stage.is !== 'lapsed') return undefined;
  const days = facts.policy.exceptions.lapsesAfterBusinessDays;
  return ended(
    facts,
    say`Lapsed`,
    say`It lapsed on ${moment(stage.at, facts.policy)}: ${partyNames[stage.silent]} did not answer within ${days} business days.`,
    [],
  );
}

function ended(facts: LetterFacts, how: Sentence, why: Sentence, words: readonly Block[]): Content {
  return {
    subject: say`${how}: ${increase(facts)} for ${facts.organizationName}`,
    preheader: say`Nothing is left to do.`,
    title: say`A request has ended: ${how}`,
    blocks: [paragraph(say`${why} Nothing is left to do.`), ...words, requestInShort(facts), ...openRequest(facts)],
    because: because(facts),
  };
}

function dueSoon(facts: LetterFacts): Content | undefined {
  const { request } = facts;
  if (isFinal(request)) return undefined;
  return {
    subject: say`Due soon: ${increase(facts)} for ${facts.organizationName}`,
    preheader: dueTime(facts),
    title: say`An answer is due soon`,
    blocks: [paragraph(say`${dueTime(facts)} ${ball(facts)}`), timing(facts), ...openRequest(facts)],
    because: because(facts),
  };
}

function due(facts: LetterFacts): Content | undefined {
  const { request, policy } = facts;
  if (isFinal(request) || !isLate(facts)) return undefined;
  const every = policy.exceptions.supervisorsToldEveryBusinessDays;
  const often = every === 1 ? say`on every business day` : say`every ${every} business days`;
  return {
    subject: say`Due now: ${increase(facts)} for ${facts.organizationName}`,
    preheader: ball(facts),
    title: say`An answer is due now`,
    blocks: [
      paragraph(say`${dueTime(facts)} ${ball(facts)}`),
      paragraph(say`From now on the supervisors are told of it ${often}, until it is answered.`),
      timing(facts),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function breached(facts: LetterFacts): Content | undefined {
  const { request, now, policy } = facts;
  if (!isLate(facts)) return undefined;
  const late = -remainingMinutes(request.clock, now, policy);
  const spent = spentUntil(request.clock, now, policy);
  const lay = longestHolder(spent);
  const is = request.clock.is === 'stopped' ? 'ended' : 'is';
  return {
    subject: say`Late: the answer on ${increase(facts)} for ${facts.organizationName}`,
    preheader: say`It lay longest with ${partyNames[lay]}.`,
    title: say`An answer is late`,
    blocks: [
      paragraph(
        late > 0
          ? say`${dueTime(facts)} It ${is} late by ${businessTime(late, policy)}.`
          : say`${dueTime(facts)} It ${is} late from now on.`,
      ),
      paragraph(say`It lay longest with ${partyNames[lay]}: ${businessTime(spent[lay], policy)}. ${ball(facts)}`),
      timing(facts),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

/** Somebody may have decided in the Correspondent's name (APR-8). What to do depends on how far it has come. */
function disputed(facts: LetterFacts): Content | undefined {
  const { request, correspondentName } = facts;
  if (!request.flags.includes('approval-disputed')) return undefined;
  const raised = request.stage.is === 'fulfilled';
  return {
    subject: say`Alarm: a decision on ${increase(facts)} for ${facts.organizationName} is disputed`,
    preheader: raised ? say`The limit was raised already.` : say`The limit was not raised.`,
    title: say`“This was not me”`,
    blocks: [
      paragraph(
        say`The Notices Correspondent, ${correspondentName}, or their deputy says that the decision that we recorded on this request was not theirs. Somebody else may be reading their mail.`,
      ),
      paragraph(raised ? afterTheFact(facts) : say`The limit was not raised. ${ball(facts)}`),
      paragraph(
        say`Please phone them, on the number that the agreement has, before anything else. Until their mailbox is safe do not ask for the approval again: it would go to the same place.`,
      ),
      timing(facts),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

function afterTheFact(facts: LetterFacts): Sentence {
  return say`The limit was raised already, and the key now allows ${amount(facts.limit, facts)} in all. If the approval was not theirs, the key can be blocked and a new one assigned, which starts with its standard limit.`;
}

function undeliverable(facts: LetterFacts): Content | undefined {
  const { request, correspondentName } = facts;
  if (request.stage.is !== 'awaiting-approval' || request.stage.ask.decision !== null) return undefined;
  return {
    subject: say`Not delivered: the approval of ${increase(facts)} for ${facts.organizationName}`,
    preheader: say`The Notices Correspondent has not got our mail.`,
    title: say`The Notices Correspondent has not got our mail`,
    blocks: [
      paragraph(
        say`Our mail that asks ${correspondentName}, the Notices Correspondent, for the approval could not be delivered. ${ball(facts)}`,
      ),
      paragraph(
        say`Please find out from the customer whether the address has changed. A licensing administrator has to change it in the agreement; our mail then goes to the new one.`,
      ),
      timing(facts),
      ...openRequest(facts),
    ],
    because: because(facts),
  };
}

/** Due this minute, or past it. A question to the requester, or the end, can have come between the reminder and its letter. */
function isLate({ request, now, policy }: LetterFacts): boolean {
  return remainingMinutes(request.clock, now, policy) <= 0;
}

const partyNames: Readonly<Record<Holder, string>> = {
  team: 'the exceptions team',
  requester: 'the requester',
  correspondent: 'the Notices Correspondent',
};

/** Who has the ball now, and what happens if they drop it. */
function ball({ request, policy, correspondentName }: LetterFacts): Sentence {
  const { stage } = request;
  const holder = holderOf(request.clock);
  if (holder === null) return say`The request has ended: it is ${stage.is}.`;
  if (stage.is === 'awaiting-approval' && stage.ask.decision === null) {
    return say`The request waits for the Notices Correspondent, ${correspondentName}, and lapses on ${moment(lapsesAt(stage.ask.askedAt, policy), policy)} without an answer.`;
  }
  if (stage.is === 'awaiting-approval') return say`The request is approved; the limit has still to be raised.`;
  if (stage.is === 'awaiting-requester') {
    return say`The request waits for the requester, ${request.intake.requester.name}, and lapses on ${moment(lapsesAt(stage.askedAt, policy), policy)} without an answer.`;
  }
  return say`The request waits for the exceptions team.`;
}

/** The request in short, with what there is to know about its time (SLA-4). */
function timing(facts: LetterFacts): Block {
  const { request, now, policy } = facts;
  const spent = spentUntil(request.clock, now, policy);
  return requestInShort(
    facts,
    { label: say`Needed by`, value: day(request.intake.requiredDate) },
    timeLeft(facts),
    { label: say`With the team`, value: businessTime(spent.team, policy) },
    { label: say`With the requester`, value: businessTime(spent.requester, policy) },
    { label: say`With the Correspondent`, value: businessTime(spent.correspondent, policy) },
  );
}

/** As the request gave it: it is not checked against the Authorized Contact List, and so is shown to staff only. */
function phone({ request }: LetterFacts): Row {
  return { label: say`Phone, as given`, value: say`${request.intake.requester.phone}` };
}

function because({ to, request }: LetterFacts): Sentence {
  const who = to.role === 'supervisors' ? say`supervisors of the exceptions team` : say`exceptions team`;
  return say`This mail went to the ${who}. It is about request ${request.exceptionId}.`;
}
