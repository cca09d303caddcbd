import type { ExceptionStatus } from '../domain/exception-status.ts';
import type { ExceptionRequest } from '../domain/exceptions/request.ts';
import type { FormLine } from '../domain/exceptions/request-form.ts';
import type { Policy } from '../domain/policy.ts';
import type { Block, Email, EmailContent } from './layout.ts';
import { layOutEmail, paragraph } from './layout.ts';
import { moment } from './phrases.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress, sayAll } from './say.ts';

/**
 * The reply to an email that arrived at the exceptions address. A request that was created is acknowledged by an email
 * of its own instead (EXC-13, EXC-14).
 */
export type InboundReply =
  /** The email is not from the requester, or its sender could not be verified. The reply says no more than that. */
  | { readonly kind: 'not-accepted' }
  | { readonly kind: 'too-large'; readonly megabytesMax: number }
  | {
      readonly kind: 'incomplete';
      readonly form: readonly FormLine[];
      /** Each missing or invalid field. */
      readonly validationErrors: readonly { readonly label: string; readonly message: string }[];
      /** True if the email had quoted text, which is not read. */
      readonly quotedTextRemoved: boolean;
    }
  | { readonly kind: 'refused'; readonly detail: string; readonly form: readonly FormLine[] }
  | { readonly kind: 'answer-accepted'; readonly request: ExceptionRequest; readonly policy: Policy }
  | { readonly kind: 'answer-not-expected'; readonly status: ExceptionStatus }
  | { readonly kind: 'answer-unreadable'; readonly message: string; readonly quotedTextRemoved: boolean };

export type InboundReplyContext = {
  /** The reader's name, if they gave one. */
  readonly name: string | null;
  /** The exceptions address. */
  readonly inbound: string;
  /** The id of the request that the email was about, or the name of the email in the log. */
  readonly reference: string;
};

/** Renders the reply to an inbound email. */
export function renderInboundReply(reply: InboundReply, context: InboundReplyContext): Email {
  const { name, reference } = context;
  return layOutEmail(contentOf(reply, context), name === null ? say`Hello,` : say`Hello ${name},`, say`${reference}`);
}

function contentOf(reply: InboundReply, context: InboundReplyContext): EmailContent {
  switch (reply.kind) {
    case 'not-accepted':
      return notAcceptedReply(context);
    case 'too-large':
      return tooLargeReply(reply, context);
    case 'incomplete':
      return incompleteReply(reply, context);
    case 'refused':
      return refusedReply(reply, context);
    case 'answer-accepted':
      return answerAcceptedReply(reply, context);
    case 'answer-not-expected':
      return answerNotExpectedReply(reply, context);
    case 'answer-unreadable':
      return answerUnreadableReply(reply, context);
  }
}

type ReplyOfKind<Kind extends InboundReply['kind']> = Extract<InboundReply, { readonly kind: Kind }>;

/** The same for every reason, so that nobody learns anything by trying addresses and numbers. */
function notAcceptedReply(context: InboundReplyContext): EmailContent {
  return {
    subject: say`We could not process your email`,
    preheader: say`Nothing was created or changed.`,
    title: say`We could not process your email`,
    blocks: [
      paragraph(
        say`We received an email at ${sayAddress(context.inbound)} with your address as the sender. We could not process it, and nothing was created or changed.`,
      ),
      paragraph(
        say`We process an email only if it comes from the address of the requester that it names, and only if the sending email system confirms that address. You can also sign in to Volume Activation or call the activation call center.`,
      ),
      paragraph(say`If you did not send this email, you do not need to do anything.`),
    ],
    because: because(context),
  };
}

function tooLargeReply({ megabytesMax }: ReplyOfKind<'too-large'>, context: InboundReplyContext): EmailContent {
  return {
    subject: say`Your email is too large`,
    preheader: say`We did not read it. Send it again without attachments.`,
    title: say`Your email is too large`,
    blocks: [
      paragraph(
        say`Your email is more than ${megabytesMax} megabytes in size or has too many lines. We did not read it, so no request was created.`,
      ),
      paragraph(say`Send it again without attachments. We need only the lines of the form.`),
    ],
    because: because(context),
  };
}

function incompleteReply(
  { form, validationErrors, quotedTextRemoved }: ReplyOfKind<'incomplete'>,
  context: InboundReplyContext,
): EmailContent {
  return {
    subject: say`Your request is not complete yet`,
    preheader: say`Complete the form in this email and send it back.`,
    title: say`Your request is not complete yet`,
    blocks: [
      paragraph(
        say`Thank you for your email. We could not create a request from it yet, because the following information is missing or could not be read:`,
      ),
      {
        kind: 'list',
        items: validationErrors.map(({ label, message }) => ({ label: say`${label}`, value: sayInFull(message) })),
      },
      ...(quotedTextRemoved ? [quotedTextNotice] : []),
      paragraph(
        say`This is the form, filled in with what you sent. Copy it into a new email or to the top of your reply, complete it, and send it to ${sayAddress(context.inbound)}.`,
      ),
      formBlock(form),
      paragraph(
        say`Identify the agreement by its agreement number. For an Open License, give the authorization number and the license number instead.`,
      ),
      paragraph(say`Our response time starts when we receive your complete request.`),
    ],
    because: because(context),
  };
}

function refusedReply({ detail, form }: ReplyOfKind<'refused'>, context: InboundReplyContext): EmailContent {
  return {
    subject: say`We could not accept your request`,
    preheader: say`See the reason in this email. No request was created.`,
    title: say`We could not accept your request`,
    blocks: [
      paragraph(say`Thank you for your email. Your request is complete, but we could not accept it.`),
      paragraph(sayInFull(detail)),
      paragraph(
        say`No request was created. This is what we read in your email. If something is wrong, correct it and send it to ${sayAddress(context.inbound)} again.`,
      ),
      formBlock(form),
    ],
    because: because(context),
  };
}

function answerAcceptedReply(
  { request: { clock }, policy }: ReplyOfKind<'answer-accepted'>,
  context: InboundReplyContext,
): EmailContent {
  const due =
    clock.status === 'running' ? say`Our response to your request is due by ${moment(clock.dueAt, policy)}.` : say``;
  return {
    subject: say`We received your answer`,
    preheader: say`Thank you. The exceptions team continues with your request.`,
    title: say`We received your answer`,
    blocks: [
      paragraph(
        sayAll([say`Thank you. The exceptions team will read your answer and continue with your request.`, due]),
      ),
      paragraph(say`You do not need to do anything else now.`),
    ],
    because: because(context),
  };
}

function answerNotExpectedReply(
  { status }: ReplyOfKind<'answer-not-expected'>,
  context: InboundReplyContext,
): EmailContent {
  return {
    subject: say`We no longer need your answer`,
    preheader: say`Nothing was changed.`,
    title: say`We no longer need your answer`,
    blocks: [
      paragraph(
        say`Thank you for your email. Request ${context.reference} is not waiting for an answer from you. ${statusSentences[status]}`,
      ),
      paragraph(say`We did not forward your email to the exceptions team, and nothing was changed.`),
    ],
    because: because(context),
  };
}

/** Describes the status of a request to somebody who believes that it is waiting for them. */
const statusSentences: Readonly<Record<ExceptionStatus, Sentence>> = {
  received: say`We received it and are processing it.`,
  'in-review': say`The exceptions team is reviewing it, and its earlier question has already been answered.`,
  'awaiting-requester': say`It was answered a moment ago.`,
  'awaiting-approval': say`It is waiting for the approval of the Notices Correspondent of your agreement.`,
  fulfilled: say`It was approved, and the limit has been raised.`,
  denied: say`The Notices Correspondent denied it. You can submit a new request.`,
  rejected: say`It was closed without being granted. You can submit a new request.`,
  withdrawn: say`It was withdrawn. You can submit a new request.`,
  lapsed: say`It lapsed because there was no answer in time. You can submit a new request.`,
};

function answerUnreadableReply(
  { message, quotedTextRemoved }: ReplyOfKind<'answer-unreadable'>,
  context: InboundReplyContext,
): EmailContent {
  return {
    subject: say`We could not read your answer`,
    preheader: say`Send it again.`,
    title: say`We could not read your answer`,
    blocks: [
      paragraph(say`Thank you for your email. We could not read your answer: the answer ${sayInFull(message)}.`),
      ...(quotedTextRemoved ? [quotedTextNotice] : []),
      paragraph(say`Reply to our question again, and write your answer above the quoted text.`),
    ],
    because: because(context),
  };
}

const quotedTextNotice = paragraph(
  say`We read only what you wrote in this email itself, not quoted text or earlier emails below it.`,
);

function formBlock(form: readonly FormLine[]): Block {
  return {
    kind: 'form',
    fields: form.map(({ field, label, value }) => ({
      label: say`${label}`,
      // The reader copies the form, so their address stays an address. Other values are escaped line by line, uncut.
      value: field === 'requesterEmail' ? sayAddress(value) : value,
    })),
  };
}

/** Returns a text of our own as a sentence without cutting it, however long it is. */
function sayInFull(text: string): Sentence {
  const chunks = text.match(/\S.{0,99}(?=\s|$)|\S{1,100}/gs) ?? [];
  return sayAll(chunks.map((chunk) => say`${chunk}`));
}

function because({ inbound }: InboundReplyContext): Sentence {
  return say`You are receiving this email because we received one at ${sayAddress(inbound)} with your address as the sender.`;
}
