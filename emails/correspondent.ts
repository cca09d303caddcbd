import { isBefore } from '../domain/calendar/instant.ts';
import type { NotificationKind } from '../domain/exceptions/notification.ts';
import type { ApprovalRound } from '../domain/exceptions/request.ts';
import { approvalRoundOf } from '../domain/exceptions/request.ts';
import { lapsesAt } from '../domain/exceptions/schedule.ts';
import { commentBlocks, limitRows, requestDetails, requestSummary } from './blocks.ts';
import type { Block, EmailContent, Row } from './layout.ts';
import { heading, paragraph, quote } from './layout.ts';
import { agreement, amount, increase, key, moment } from './phrases.ts';
import type { EmailContext, EmailLink, EmailTemplate } from './request-email.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress } from './say.ts';

/**
 * What the Notices Correspondent is told. They may never have heard of us and did not ask for anything: every letter
 * says who asks, for what, what it does, and that doing nothing changes nothing.
 */
export const correspondentEmails = {
  'approval-requested': (facts) => approvalRequestEmail(facts, null),
  'approval-reminder': approvalReminderEmail,
  'approval-code': approvalCodeEmail,
  decided: decidedEmail,
  fulfilled: fulfilledEmail,
  rejected: rejectedEmail,
  withdrawn: withdrawnEmail,
  lapsed: lapsedEmail,
} satisfies Partial<Record<NotificationKind, EmailTemplate>>;

function approvalReminderEmail(context: EmailContext): EmailContent | undefined {
  const round = approvalRoundOf(context.request);
  return round === null ? undefined : approvalRequestEmail(context, round.askedAt);
}

/** Asks for the decision (APR-1, APR-2, APR-7). A reminder says when it was asked first. */
function approvalRequestEmail(
  context: EmailContext,
  firstAskedAt: EmailContext['now'] | null,
): EmailContent | undefined {
  const { request, organizationName, policy, link } = context;
  const { state: stage, form: intake } = request;
  if (stage.status !== 'awaiting-approval' || stage.round.decision !== null) return undefined;
  if (link === null) throw new Error(`The approval letter of ${request.exceptionId} has no link.`);
  const requesterName = say`${intake.requester.name} of ${organizationName}`;
  const opening = say`${requesterName} has asked for ${increase(context)} under your volume license agreement. ${readerRole(context)} Nothing is raised unless you approve.`;
  const reminderNote =
    firstAskedAt === null
      ? []
      : [
          paragraph(
            say`We asked you first on ${moment(firstAskedAt, policy)}. The links in our earlier mails about this request still work, too.`,
          ),
        ];
  return {
    subject:
      firstAskedAt === null
        ? say`Your decision, please: ${increase(context)} for ${organizationName}`
        : say`Reminder: your decision, please, on ${increase(context)} for ${organizationName}`,
    preheader: say`${intake.requester.name} asks. Approve or deny: opening the link changes nothing.`,
    title:
      firstAskedAt === null
        ? say`Please approve or deny ${increase(context)}`
        : say`Still waiting for your decision on ${increase(context)}`,
    blocks: [
      paragraph(opening),
      ...reminderNote,
      ...requestDetails(context, ...limitRows(context), decideByRow(context)),
      heading(say`What your decision does`),
      {
        kind: 'list',
        items: [
          {
            label: say`Approve`,
            value: say`the limit of this key rises from ${context.limit} to ${amount(context.limit + request.activations, context)}, at once. ${limitMeaning(context)}`,
          },
          {
            label: say`Deny`,
            value: say`the limit stays at ${amount(context.limit, context)}, and the request is closed.`,
          },
        ],
      },
      paragraph(
        say`Either way ${intake.requester.name} is told, with whatever comment you add, and you get a confirmation.`,
      ),
      ...linkBlocks(link, context),
      paragraph(linkExpiry(context, stage.round, link)),
      heading(say`If you did not expect this`),
      paragraph(
        say`You need not do anything: without your approval nothing changes. You can deny the request. Or phone ${intake.requester.name} first, on a number that you already have.`,
      ),
      paragraph(
        say`Please do not forward this mail. Whoever can read ${link.code === null ? 'your mail' : 'it'} can decide in your name. We never ask for a code by phone or by mail.`,
      ),
    ],
    because: because(context),
  };
}

function decideByRow({ request: { clock }, now, policy }: EmailContext): Row {
  return clock.status === 'running' && !isBefore(clock.dueAt, now)
    ? { label: say`Decide by`, value: moment(clock.dueAt, policy) }
    : { label: say`Decide`, value: say`as soon as you can: our answer is late already` };
}

function linkExpiry({ policy }: EmailContext, { askedAt }: ApprovalRound, { expiresAt }: EmailLink): Sentence {
  const lapse = lapsesAt(askedAt, policy);
  return expiresAt === lapse
    ? say`The link works until ${moment(lapse, policy)}. Without a decision by then the request lapses.`
    : say`The link works until ${moment(expiresAt, policy)}. Without a decision by ${moment(lapse, policy)} the request lapses.`;
}

/** The way to the page, link and code written out (APR-1). */
function linkBlocks({ url, code }: EmailLink, { policy }: EmailContext): readonly Block[] {
  const page = say`Opening the link changes nothing. The page shows the request once more and asks for your decision`;
  const action: Block = { kind: 'action', label: say`Read the request and decide`, url: url.reveal(), showUrl: true };
  return code === null
    ? [
        action,
        paragraph(
          say`${page}. It can send a code to this address, good for ${policy.approval.strictCodeMinutes} minutes, that you need for it.`,
        ),
      ]
    : [
        { kind: 'code', label: say`Your code for the page`, code: code.reveal() },
        action,
        paragraph(say`${page} and this code.`),
      ];
}

/**
 * The code that the page asks for in strict mode, sent when somebody asks for it there (APR-7). It comes without the link, so
 * that neither this mail nor the first is enough by itself.
 */
function approvalCodeEmail(context: EmailContext): EmailContent | undefined {
  const { request, organizationName, policy, link } = context;
  const { state: stage, form: intake } = request;
  if (stage.status !== 'awaiting-approval' || stage.round.decision !== null) return undefined;
  if (link === null || link.code === null) throw new Error(`The code letter of ${request.exceptionId} has no code.`);
  return {
    subject: say`Your code to decide on ${increase(context)} for ${organizationName}`,
    preheader: say`It is good for ${policy.approval.strictCodeMinutes} minutes. If you did not ask for it, give it to nobody.`,
    title: say`Your code`,
    blocks: [
      paragraph(
        say`Somebody who has the link of our earlier mail asked for a code, to decide on the request of ${intake.requester.name} for ${increase(context)}.`,
      ),
      paragraph(say`If it was you, enter it on the page that is still open.`),
      { kind: 'code', label: say`Your code for the page`, code: link.code.reveal() },
      paragraph(
        say`It is good until ${moment(link.expiresAt, policy)}, which is ${policy.approval.strictCodeMinutes} minutes after it was asked for.`,
      ),
      heading(say`If it was not you`),
      paragraph(
        say`Give the code to nobody. Without it nothing is decided and nothing changes. Somebody has the link that we sent to you, so please tell the person who looks after your mailbox.`,
      ),
    ],
    because: because(context),
  };
}

function decidedEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy, link } = context;
  const decision = approvalRoundOf(request)?.decision ?? null;
  if (decision === null) return undefined;
  const outcome = decision.decision === 'approve' ? 'approved' : 'denied';
  const nextStep =
    outcome === 'approved'
      ? say`The limit is raised next, and we write again when that is done.`
      : say`The request is closed, and the limit stays as it is.`;
  return {
    subject: say`Recorded: ${increase(context)} for ${context.organizationName} ${outcome}`,
    preheader: say`If this was not you, please tell us at once.`,
    title: say`The decision is recorded: ${outcome}`,
    blocks: [
      paragraph(
        say`On ${moment(decision.at, policy)} the request of ${request.form.requester.name} was ${outcome} by ${sayAddress(decision.by)}, through our mail to the Notices Correspondent. ${nextStep}`,
      ),
      requestSummary(context, { label: say`Decision`, value: say`${outcome}` }),
      ...commentBlocks(decision.comment),
      heading(say`If this was not you`),
      ...disputeBlocks(link),
    ],
    because: because(context),
  };
}

/** What to do about a decision that somebody else made in one's name (APR-8). */
function disputeBlocks(link: EmailLink | null): readonly Block[] {
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
        { kind: 'action', label: say`This was not me`, url: link.url.reveal(), showUrl: true },
      ];
}

function fulfilledEmail(context: EmailContext): EmailContent {
  const { limit } = context;
  return {
    subject: say`Done: ${increase(context)} for ${context.organizationName}`,
    preheader: say`The limit that you approved has been raised. Nothing is needed from you.`,
    title: say`What you approved is done`,
    blocks: [
      paragraph(
        say`The limit has been raised by what you approved. The ${key(context)} now allows ${amount(limit, context)} in all. Nothing more is needed from you.`,
      ),
      requestSummary(context, { label: say`Limit now`, value: amount(limit, context) }),
    ],
    because: because(context),
  };
}

function rejectedEmail(context: EmailContext): EmailContent | undefined {
  const { state: stage } = context.request;
  if (stage.status !== 'rejected') return undefined;
  return closedEmail(context, {
    outcome: say`Closed by us`,
    explanation: say`Our exceptions team closed it on ${moment(stage.at, context.policy)}, and the limit was not raised.`,
    quotes: [quote(say`The reason:`, stage.reason)],
  });
}

function withdrawnEmail(context: EmailContext): EmailContent | undefined {
  const { state: stage } = context.request;
  if (stage.status !== 'withdrawn') return undefined;
  return closedEmail(context, {
    outcome: say`Withdrawn`,
    explanation: say`It was withdrawn on ${moment(stage.at, context.policy)} by those who asked.`,
    quotes: stage.reason === null ? [] : [quote(say`The reason given:`, stage.reason)],
  });
}

function lapsedEmail(context: EmailContext): EmailContent | undefined {
  const { state: stage } = context.request;
  if (stage.status !== 'lapsed') return undefined;
  const days = context.policy.exceptions.lapsesAfterBusinessDays;
  return closedEmail(context, {
    outcome: say`Lapsed`,
    explanation: say`It lapsed on ${moment(stage.at, context.policy)}, because there was no decision within ${days} business days.`,
    quotes: [],
  });
}

function closedEmail(
  context: EmailContext,
  closure: { outcome: Sentence; explanation: Sentence; quotes: readonly Block[] },
): EmailContent {
  const { request, organizationName } = context;
  return {
    subject: say`${closure.outcome}: the request for ${increase(context)} for ${organizationName}`,
    preheader: say`Nothing is needed from you any more, and the limit stays as it is.`,
    title: say`Nothing is needed from you any more`,
    blocks: [
      paragraph(
        say`We had asked you to decide on a request of ${request.form.requester.name} for ${increase(context)}. ${closure.explanation}`,
      ),
      ...closure.quotes,
      paragraph(say`Nothing is needed from you any more: the links in our earlier mails about it decide nothing now.`),
      requestSummary(context),
    ],
    because: because(context),
  };
}

/** What an approval means to somebody who does not know what is being counted. */
function limitMeaning({ keyType, productName, policy }: EmailContext): Sentence {
  return keyType === 'MAK'
    ? say`Each activation lets one more computer run ${productName}.`
    : say`A KMS host is a server that activates the computers of your organization; each can itself be activated up to ${policy.kms.usesPerHost} times.`;
}

/** Why it is this reader who is asked. */
function readerRole(context: EmailContext): Sentence {
  const roleName = say`the Notices Correspondent of ${agreement(context)}: the person whom the contract names to confirm such changes.`;
  return context.to.deputyOf === undefined
    ? say`You are ${roleName}`
    : say`You stand in for ${context.to.deputyOf}, who is ${roleName}`;
}

function because(context: EmailContext): Sentence {
  const readerRole =
    context.to.deputyOf === undefined ? say`the Notices Correspondent` : say`deputy of the Notices Correspondent`;
  return say`We count what volume license keys activate. You get this mail as ${readerRole} of ${context.organizationName}, ${agreement(context)} (request ${context.request.exceptionId}).`;
}
