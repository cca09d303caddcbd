import { isBefore } from '../domain/calendar/instant.ts';
import type { LetterKind } from '../domain/exceptions/notification.ts';
import type { Ask } from '../domain/exceptions/request.ts';
import { askOf } from '../domain/exceptions/request.ts';
import { lapsesAt } from '../domain/exceptions/schedule.ts';
import { commentOf, limitBeforeAndAfter, requestInFull, requestInShort } from './blocks.ts';
import type { Block, Content, Row } from './layout.ts';
import { heading, paragraph, quote } from './layout.ts';
import { agreement, amount, increase, key, moment } from './phrases.ts';
import type { LetterFacts, Link, Writer } from './request-email.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress } from './say.ts';

/**
 * What the Notices Correspondent is told. They may never have heard of us and did not ask for anything: every letter
 * says who asks, for what, what it does, and that doing nothing changes nothing.
 */
export const correspondentLetters = {
  'approval-wanted': (facts) => approval(facts, null),
  'approval-reminder': reminder,
  'approval-code': freshCode,
  decided,
  fulfilled,
  rejected,
  withdrawn,
  lapsed,
} satisfies Partial<Record<LetterKind, Writer>>;

function reminder(facts: LetterFacts): Content | undefined {
  const ask = askOf(facts.request);
  return ask === null ? undefined : approval(facts, ask.askedAt);
}

/** Asks for the decision (APR-1, APR-2, APR-7). A reminder says when it was asked first. */
function approval(facts: LetterFacts, remindedOf: LetterFacts['now'] | null): Content | undefined {
  const { request, organizationName, policy, link } = facts;
  const { stage, intake } = request;
  if (stage.is !== 'awaiting-approval' || stage.ask.decision !== null) return undefined;
  if (link === null) throw new Error(`The approval letter of ${request.exceptionId} has no link.`);
  const asker = say`${intake.requester.name} of ${organizationName}`;
  const opening = say`${asker} has asked for ${increase(facts)} under your volume license agreement. ${role(facts)} Nothing is raised unless you approve.`;
  const earlier =
    remindedOf === null
      ? []
      : [
          paragraph(
            say`We asked you first on ${moment(remindedOf, policy)}. The links in our earlier mails about this request still work, too.`,
          ),
        ];
  return {
    subject:
      remindedOf === null
        ? say`Your decision, please: ${increase(facts)} for ${organizationName}`
        : say`Reminder: your decision, please, on ${increase(facts)} for ${organizationName}`,
    preheader: say`${intake.requester.name} asks. Approve or deny: opening the link changes nothing.`,
    title:
      remindedOf === null
        ? say`Please approve or deny ${increase(facts)}`
        : say`Still waiting for your decision on ${increase(facts)}`,
    blocks: [
      paragraph(opening),
      ...earlier,
      ...requestInFull(facts, ...limitBeforeAndAfter(facts), decideBy(facts)),
      heading(say`What your decision does`),
      {
        is: 'list',
        items: [
          {
            label: say`Approve`,
            value: say`the limit of this key rises from ${facts.limit} to ${amount(facts.limit + request.activations, facts)}, at once. ${meaning(facts)}`,
          },
          {
            label: say`Deny`,
            value: say`the limit stays at ${amount(facts.limit, facts)}, and the request is closed.`,
          },
        ],
      },
      paragraph(
        say`Either way ${intake.requester.name} is told, with whatever comment you add, and you get a confirmation.`,
      ),
      ...way(link, facts),
      paragraph(howLong(facts, stage.ask, link)),
      heading(say`If you did not expect this`),
      paragraph(
        say`You need not do anything: without your approval nothing changes. You can deny the request. Or phone ${intake.requester.name} first, on a number that you already have.`,
      ),
      paragraph(
        say`Please do not forward this mail. Whoever can read ${link.code === null ? 'your mail' : 'it'} can decide in your name. We never ask for a code by phone or by mail.`,
      ),
    ],
    because: because(facts),
  };
}

function decideBy({ request: { clock }, now, policy }: LetterFacts): Row {
  return clock.is === 'running' && !isBefore(clock.dueAt, now)
    ? { label: say`Decide by`, value: moment(clock.dueAt, policy) }
    : { label: say`Decide`, value: say`as soon as you can: our answer is late already` };
}

function howLong({ policy }: LetterFacts, { askedAt }: Ask, { expiresAt }: Link): Sentence {
  const lapse = lapsesAt(askedAt, policy);
  return expiresAt === lapse
    ? say`The link works until ${moment(lapse, policy)}. Without a decision by then the request lapses.`
    : say`The link works until ${moment(expiresAt, policy)}. Without a decision by ${moment(lapse, policy)} the request lapses.`;
}

/** The way to the page, link and code written out (APR-1). */
function way({ url, code }: Link, { policy }: LetterFacts): readonly Block[] {
  const page = say`Opening the link changes nothing. The page shows the request once more and asks for your decision`;
  const action: Block = { is: 'action', label: say`Read the request and decide`, url: url.reveal(), shown: true };
  return code === null
    ? [
        action,
        paragraph(
          say`${page}. It can send a code to this address, good for ${policy.approval.strictCodeMinutes} minutes, that you need for it.`,
        ),
      ]
    : [
        { is: 'code', whatFor: say`Your code for the page`, code: code.reveal() },
        action,
        paragraph(say`${page} and this code.`),
      ];
}

/**
 * The code that the page asks for in strict mode, sent when somebody asks for it there (APR-7). It comes without the link, so
 * that neither this mail nor the first is enough by itself.
 */
function freshCode(facts: LetterFacts): Content | undefined {
  const { request, organizationName, policy, link } = facts;
  const { stage, intake } = request;
  if (stage.is !== 'awaiting-approval' || stage.ask.decision !== null) return undefined;
  if (link === null || link.code === null) throw new Error(`The code letter of ${request.exceptionId} has no code.`);
  return {
    subject: say`Your code to decide on ${increase(facts)} for ${organizationName}`,
    preheader: say`It is good for ${policy.approval.strictCodeMinutes} minutes. If you did not ask for it, give it to nobody.`,
    title: say`Your code`,
    blocks: [
      paragraph(
        say`Somebody who has the link of our earlier mail asked for a code, to decide on the request of ${intake.requester.name} for ${increase(facts)}.`,
      ),
      paragraph(say`If it was you, enter it on the page that is still open.`),
      { is: 'code', whatFor: say`Your code for the page`, code: link.code.reveal() },
      paragraph(
        say`It is good until ${moment(link.expiresAt, policy)}, which is ${policy.approval.strictCodeMinutes} minutes after it was asked for.`,
      ),
      heading(say`If it was not you`),
      paragraph(
        say`Give the code to nobody. Without it nothing is decided and nothing changes. Somebody has the link that we sent to you, so please tell the person who looks after your mailbox.`,
      ),
    ],
    because: because(facts),
  };
}

function decided(facts: LetterFacts): Content | undefined {
  const { request, policy, link } = facts;
  const decision = askOf(request)?.decision ?? null;
  if (decision === null) return undefined;
  const did = decision.decision === 'approve' ? 'approved' : 'denied';
  const next =
    did === 'approved'
      ? say`The limit is raised next, and we write again when that is done.`
      : say`The request is closed, and the limit stays as it is.`;
  return {
    subject: say`Recorded: ${increase(facts)} for ${facts.organizationName} ${did}`,
    preheader: say`If this was not you, please tell us at once.`,
    title: say`The decision is recorded: ${did}`,
    blocks: [
      paragraph(
        say`On ${moment(decision.at, policy)} the request of ${request.intake.requester.name} was ${did} by ${sayAddress(decision.by)}, through our mail to the Notices Correspondent. ${next}`,
      ),
      requestInShort(facts, { label: say`Decision`, value: say`${did}` }),
      ...commentOf(decision.comment),
      heading(say`If this was not you`),
      ...disown(link),
    ],
    because: because(facts),
  };
}

/** What to do about a decision that somebody else made in one's name (APR-8). */
function disown(link: Link | null): readonly Block[] {
  return link === null
    ? [
        paragraph(
          say`Reply to this mail at once, and tell the person who looks after your mailbox: somebody else can read it. Our team can stop a request until the limit is raised, and acts on it afterwards as well.`,
        ),
      ]
    : [
        paragraph(
          say`Tell us with this link at once. It stops the request; if the limit was raised already, our team is alarmed. And tell the person who looks after your mailbox: somebody else can read it.`,
        ),
        { is: 'action', label: say`This was not me`, url: link.url.reveal(), shown: true },
      ];
}

function fulfilled(facts: LetterFacts): Content {
  const { limit } = facts;
  return {
    subject: say`Done: ${increase(facts)} for ${facts.organizationName}`,
    preheader: say`The limit that you approved has been raised. Nothing is needed from you.`,
    title: say`What you approved is done`,
    blocks: [
      paragraph(
        say`The limit has been raised by what you approved. The ${key(facts)} now allows ${amount(limit, facts)} in all. Nothing more is needed from you.`,
      ),
      requestInShort(facts, { label: say`Limit now`, value: amount(limit, facts) }),
    ],
    because: because(facts),
  };
}

function rejected(facts: LetterFacts): Content | undefined {
  const { stage } = facts.request;
  if (stage.is !== 'rejected') return undefined;
  return closed(facts, {
    how: say`Closed by us`,
    why: say`Our exceptions team closed it on ${moment(stage.at, facts.policy)}, and the limit was not raised.`,
    words: [quote(say`The reason:`, stage.reason)],
  });
}

function withdrawn(facts: LetterFacts): Content | undefined {
  const { stage } = facts.request;
  if (stage.is !== 'withdrawn') return undefined;
  return closed(facts, {
    how: say`Withdrawn`,
    why: say`It was withdrawn on ${moment(stage.at, facts.policy)} by those who asked.`,
    words: stage.reason === null ? [] : [quote(say`The reason given:`, stage.reason)],
  });
}

function lapsed(facts: LetterFacts): Content | undefined {
  const { stage } = facts.request;
  if (stage.is !== 'lapsed') return undefined;
  const days = facts.policy.exceptions.lapsesAfterBusinessDays;
  return closed(facts, {
    how: say`Lapsed`,
    why: say`It lapsed on ${moment(stage.at, facts.policy)}, because there was no decision within ${days} business days.`,
    words: [],
  });
}

function closed(facts: LetterFacts, end: { how: Sentence; why: Sentence; words: readonly Block[] }): Content {
  const { request, organizationName } = facts;
  return {
    subject: say`${end.how}: the request for ${increase(facts)} for ${organizationName}`,
    preheader: say`Nothing is needed from you any more, and the limit stays as it is.`,
    title: say`Nothing is needed from you any more`,
    blocks: [
      paragraph(
        say`We had asked you to decide on a request of ${request.intake.requester.name} for ${increase(facts)}. ${end.why}`,
      ),
      ...end.words,
      paragraph(say`Nothing is needed from you any more: the links in our earlier mails about it decide nothing now.`),
      requestInShort(facts),
    ],
    because: because(facts),
  };
}

/** What an approval means to somebody who does not know what is being counted. */
function meaning({ keyType, productName, policy }: LetterFacts): Sentence {
  return keyType === 'MAK'
    ? say`Each activation lets one more computer run ${productName}.`
    : say`A KMS host is a server that activates the computers of your organization; each can itself be activated up to ${policy.kms.usesPerHost} times.`;
}

/** Why it is this reader who is asked. */
function role(facts: LetterFacts): Sentence {
  const named = say`the Notices Correspondent of ${agreement(facts)}: the person whom the contract names to confirm such changes.`;
  return facts.to.deputyOf === undefined
    ? say`You are ${named}`
    : say`You stand in for ${facts.to.deputyOf}, who is ${named}`;
}

function because(facts: LetterFacts): Sentence {
  const who =
    facts.to.deputyOf === undefined ? say`the Notices Correspondent` : say`deputy of the Notices Correspondent`;
  return say`We count what volume license keys activate. You get this mail as ${who} of ${facts.organizationName}, ${agreement(facts)} (request ${facts.request.exceptionId}).`;
}
