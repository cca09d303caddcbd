import { isBefore } from '../domain/calendar/instant.ts';
import type { NotificationKind } from '../domain/exceptions/notification.ts';
import type { ApprovalRound } from '../domain/exceptions/request.ts';
import { approvalRoundOf } from '../domain/exceptions/request.ts';
import { lapsesAt } from '../domain/exceptions/schedule.ts';
import { commentBlocks, limitRows, requestDetails, requestSummary } from './blocks.ts';
import type { Block, EmailContent, Row } from './layout.ts';
import { heading, paragraph, quote } from './layout.ts';
import { agreement, amount, increase, key, limitName, moment } from './phrases.ts';
import type { EmailContext, EmailLink, EmailTemplate } from './request-email.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress } from './say.ts';

/**
 * The emails to the Notices Correspondent and their deputy. They may never have heard of the service and did not ask
 * for anything. Every email therefore says who requests what, what a decision changes, and that doing nothing changes
 * nothing.
 */
export const correspondentEmails = {
  'approval-requested': (context) => approvalRequestEmail(context, null),
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

/** Asks for the decision (APR-1, APR-2, APR-7). A reminder says when the first email was sent. */
function approvalRequestEmail(
  context: EmailContext,
  firstAskedAt: EmailContext['now'] | null,
): EmailContent | undefined {
  const { request, organizationName, policy, link } = context;
  const { state, form } = request;
  if (state.status !== 'awaiting-approval' || state.round.decision !== null) return undefined;
  if (link === null) throw new Error(`The approval email of ${request.exceptionId} has no link.`);
  const isReminder = firstAskedAt !== null;
  const requesterName = form.requester.name;
  const codeAdvice = link.code === null ? say`` : say` Use each link with the code from the same email.`;
  return {
    subject: isReminder
      ? say`Reminder: decision needed on ${increase(context)} for ${organizationName}`
      : say`Decision needed: ${increase(context)} for ${organizationName}`,
    preheader: say`Requested by ${requesterName}. Nothing changes unless you approve.`,
    title: isReminder
      ? say`Reminder: approve or deny ${increase(context)}`
      : say`Please approve or deny ${increase(context)}`,
    blocks: [
      paragraph(
        say`${requesterName} of ${organizationName} has requested ${increase(context)} under your volume license agreement. ${readerRole(context)} Nothing changes unless you approve.`,
      ),
      ...(isReminder
        ? [
            paragraph(
              say`We first asked you on ${moment(firstAskedAt, policy)}. The links in our earlier emails about this request still work.${codeAdvice}`,
            ),
          ]
        : []),
      ...requestDetails(context, ...limitRows(context), decideByRow(context)),
      heading(say`What your decision does`),
      {
        kind: 'list',
        items: [
          {
            label: say`Approve`,
            value: say`We raise the ${limitName(context)} of this key from ${context.limit} to ${amount(context.limit + request.activations, context)} right away. ${limitMeaning(context)}`,
          },
          {
            label: say`Deny`,
            value: say`The limit stays at ${amount(context.limit, context)}, and we close the request.`,
          },
        ],
      },
      paragraph(
        say`In both cases, we email your decision and your comment, if you add one, to ${requesterName}, and we send you a confirmation.`,
      ),
      ...linkBlocks(link, context),
      paragraph(linkExpiry(context, state.round, link)),
      heading(say`If you were not expecting this`),
      paragraph(
        say`You do not have to do anything: without your approval, nothing changes. You can also deny the request, or call ${requesterName} first on a phone number that you already have.`,
      ),
      paragraph(
        say`Do not forward this email. Anyone who can read ${link.code === null ? 'your email' : 'it'} can decide in your name. We never ask for a code by phone or by email.`,
      ),
    ],
    because: because(context),
  };
}

function decideByRow({ request: { clock }, now, policy }: EmailContext): Row {
  return clock.status === 'running' && !isBefore(clock.dueAt, now)
    ? { label: say`Decide by`, value: moment(clock.dueAt, policy) }
    : { label: say`Decide by`, value: say`as soon as possible, because our response is overdue` };
}

function linkExpiry({ policy }: EmailContext, { askedAt }: ApprovalRound, { expiresAt }: EmailLink): Sentence {
  const lapse = lapsesAt(askedAt, policy);
  return expiresAt === lapse
    ? say`The link expires on ${moment(lapse, policy)}. Without a decision, the request lapses at the same time.`
    : say`The link expires on ${moment(expiresAt, policy)}. Without a decision, the request lapses on ${moment(lapse, policy)}.`;
}

/** Returns the button to the approval page, with the link and the code written out (APR-1). */
function linkBlocks({ url, code }: EmailLink, { policy }: EmailContext): readonly Block[] {
  const action: Block = { kind: 'action', label: say`Review the request`, url: url.reveal(), showUrl: true };
  return code === null
    ? [
        action,
        paragraph(
          say`Opening the link changes nothing. The page shows the request again. To decide, you need a code: the page can send one to this address, and it is valid for ${policy.approval.strictCodeMinutes} minutes.`,
        ),
      ]
    : [
        { kind: 'code', code: code.reveal() },
        action,
        paragraph(
          say`Opening the link changes nothing. The page shows the request again and asks for this code and your decision.`,
        ),
      ];
}

/**
 * Brings the code that somebody requested on the page in strict mode (APR-7). It has no link, so that neither this
 * email nor the first one is enough to decide.
 */
function approvalCodeEmail(context: EmailContext): EmailContent | undefined {
  const { request, organizationName, policy, link } = context;
  const { state, form } = request;
  if (state.status !== 'awaiting-approval' || state.round.decision !== null) return undefined;
  if (link === null || link.code === null) throw new Error(`The code email of ${request.exceptionId} has no code.`);
  const minutes = policy.approval.strictCodeMinutes;
  return {
    subject: say`Your code to approve or deny ${increase(context)} for ${organizationName}`,
    preheader: say`The code is valid for ${minutes} minutes. If you did not request it, do not share it.`,
    title: say`Your code`,
    blocks: [
      paragraph(
        say`Someone who has the link from our earlier email asked for this code, to approve or deny the request from ${form.requester.name} for ${increase(context)}.`,
      ),
      paragraph(say`If this was you, enter the code on the page that you have open.`),
      { kind: 'code', code: link.code.reveal() },
      paragraph(say`The code expires on ${moment(link.expiresAt, policy)}, ${minutes} minutes after we sent it.`),
      heading(say`If this was not you`),
      paragraph(
        say`Do not share the code with anyone. Without it, nobody can decide, and nothing changes. Someone else has the link that we sent you, so contact your email administrator.`,
      ),
    ],
    because: because(context),
  };
}

function decidedEmail(context: EmailContext): EmailContent | undefined {
  const { request, policy, link } = context;
  const decision = approvalRoundOf(request)?.decision ?? null;
  if (decision === null) return undefined;
  const isApproved = decision.decision === 'approve';
  const outcome = isApproved ? say`Approved` : say`Denied`;
  const nextStep = !isApproved
    ? say`The request is closed, and the limit does not change.`
    : request.state.status === 'awaiting-approval'
      ? say`We will now raise the limit and email you when it is done.`
      : request.state.status === 'fulfilled'
        ? say`The limit has been raised.`
        : say`The request has been closed since, and the limit does not change.`;
  return {
    subject: say`${outcome}: ${increase(context)} for ${context.organizationName}`,
    preheader: say`If you did not make this decision, tell us right away.`,
    title: say`Decision recorded: ${isApproved ? 'approved' : 'denied'}`,
    blocks: [
      paragraph(
        say`The request from ${request.form.requester.name} was ${isApproved ? 'approved' : 'denied'} by ${sayAddress(decision.by)} on ${moment(decision.at, policy)}, through the link in our email to the Notices Correspondent. ${nextStep}`,
      ),
      requestSummary(context, { label: say`Decision`, value: outcome }),
      ...commentBlocks(decision.comment),
      heading(say`If this was not you`),
      ...disputeBlocks(link),
    ],
    because: because(context),
  };
}

/** Says what to do about a decision that somebody else made in the reader's name (APR-8). */
function disputeBlocks(link: EmailLink | null): readonly Block[] {
  return link === null
    ? [
        paragraph(
          say`Call the activation call center right away on a phone number that you already have, and ask for the exceptions team. The team can stop a request until the limit is raised, and can still act after that. Also tell your email administrator: someone else can read your mailbox.`,
        ),
      ]
    : [
        paragraph(
          say`Tell us with this link right away. If the limit has not been raised yet, we stop the request. If it has, we alert our team. Also tell your email administrator: someone else can read your mailbox.`,
        ),
        { kind: 'action', label: say`This was not me`, url: link.url.reveal(), showUrl: true },
      ];
}

function fulfilledEmail(context: EmailContext): EmailContent {
  const { limit } = context;
  return {
    subject: say`Limit raised: ${increase(context)} for ${context.organizationName}`,
    preheader: say`The limit has been raised as approved. You do not need to do anything.`,
    title: say`The limit has been raised`,
    blocks: [
      paragraph(
        say`The approved increase is complete. The ${key(context)} now allows ${amount(limit, context)} in total. You do not need to do anything.`,
      ),
      requestSummary(context, { label: say`Current limit`, value: amount(limit, context) }),
    ],
    because: because(context),
  };
}

function rejectedEmail(context: EmailContext): EmailContent | undefined {
  const { state } = context.request;
  if (state.status !== 'rejected') return undefined;
  return closedEmail(context, {
    outcome: say`Closed`,
    explanation: say`Our exceptions team closed it on ${moment(state.at, context.policy)}, and the limit was not raised.`,
    quotes: [quote(say`Reason:`, state.reason)],
  });
}

function withdrawnEmail(context: EmailContext): EmailContent | undefined {
  const { state } = context.request;
  if (state.status !== 'withdrawn') return undefined;
  return closedEmail(context, {
    outcome: say`Withdrawn`,
    explanation: say`Your organization withdrew it on ${moment(state.at, context.policy)}.`,
    quotes: state.reason === null ? [] : [quote(say`Reason:`, state.reason)],
  });
}

function lapsedEmail(context: EmailContext): EmailContent | undefined {
  const { state } = context.request;
  if (state.status !== 'lapsed') return undefined;
  const days = context.policy.exceptions.lapsesAfterBusinessDays;
  return closedEmail(context, {
    outcome: say`Lapsed`,
    explanation: say`It lapsed on ${moment(state.at, context.policy)} because there was no decision within ${days} business days.`,
    quotes: [],
  });
}

function closedEmail(
  context: EmailContext,
  closure: { readonly outcome: Sentence; readonly explanation: Sentence; readonly quotes: readonly Block[] },
): EmailContent {
  const { request, organizationName } = context;
  return {
    subject: say`${closure.outcome}: request for ${increase(context)} for ${organizationName}`,
    preheader: say`You no longer need to decide. The limit does not change.`,
    title: say`You no longer need to decide`,
    blocks: [
      paragraph(
        say`We asked you to approve or deny a request from ${request.form.requester.name} for ${increase(context)}. ${closure.explanation}`,
      ),
      ...closure.quotes,
      paragraph(
        say`You no longer need to decide, and the links in our earlier emails about this request no longer work.`,
      ),
      requestSummary(context),
    ],
    because: because(context),
  };
}

/** Explains what an approval allows, for readers who do not know what the limit counts. */
function limitMeaning({ keyType, productName, policy }: EmailContext): Sentence {
  return keyType === 'MAK'
    ? say`Each activation lets one more computer run ${productName}.`
    : say`A KMS host is a server that activates the computers of your organization. Each host can itself be activated up to ${policy.kms.usesPerHost} times.`;
}

/** Says why this reader is asked. */
function readerRole(context: EmailContext): Sentence {
  const role = say`the Notices Correspondent of ${agreement(context)}, the person named in the contract to approve or deny such requests.`;
  return context.to.deputyOf === undefined
    ? say`You are ${role}`
    : say`You are the deputy of ${context.to.deputyOf}, ${role}`;
}

function because(context: EmailContext): Sentence {
  const role =
    context.to.deputyOf === undefined ? say`the Notices Correspondent` : say`the deputy of the Notices Correspondent`;
  return say`This service manages your organization’s volume license keys. You are receiving this email because you are ${role} of ${context.organizationName}, ${agreement(context)} (request ${context.request.exceptionId}).`;
}
