import type { ExceptionStatus } from '../domain/exception-status.ts';
import type { ExceptionRequest } from '../domain/exceptions/request.ts';
import type { FormLine } from '../domain/exceptions/request-form.ts';
import type { Policy } from '../domain/policy.ts';
import type { Block, Email, EmailContent } from './layout.ts';
import { layOutEmail, paragraph } from './layout.ts';
import { moment } from './phrases.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress, sayAll } from './say.ts';

/** What a mail to the exceptions address is answered with, where the answer is no letter of a request (EXC-13, EXC-14). */
export type InboundReply =
  /** Not from the requester, or not shown to be: says no more than that. */
  | { readonly kind: 'not-accepted' }
  | { readonly kind: 'too-large'; readonly megabytesMax: number }
  | {
      readonly kind: 'incomplete';
      readonly form: readonly FormLine[];
      /** What is missing or wrong, field by field. */
      readonly validationErrors: readonly { readonly label: string; readonly message: string }[];
      /** Whether the mail had quoted text, which was not read. */
      readonly quotedTextRemoved: boolean;
    }
  | { readonly kind: 'refused'; readonly detail: string; readonly form: readonly FormLine[] }
  | { readonly kind: 'answer-accepted'; readonly request: ExceptionRequest; readonly policy: Policy }
  | { readonly kind: 'answer-not-expected'; readonly status: ExceptionStatus }
  | { readonly kind: 'answer-unreadable'; readonly message: string; readonly quotedTextRemoved: boolean };

export type InboundReplyContext = {
  /** The reader's name, where they gave one. */
  readonly name: string | null;
  /** The exceptions address. */
  readonly inbound: string;
  /** The request that the mail was about, or how the mail is named in the log. */
  readonly reference: string;
};

/** Writes the answer to a mail that came in. */
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

type ReplyOfKind<Is extends InboundReply['kind']> = Extract<InboundReply, { readonly kind: Is }>;

/** The same whatever the reason was: whoever tries addresses and numbers learns nothing. */
function notAcceptedReply(context: InboundReplyContext): EmailContent {
  return {
    subject: say`We could not accept your mail`,
    preheader: say`Nothing was made of it.`,
    title: say`We could not accept your mail`,
    blocks: [
      paragraph(
        say`A mail with your address as its sender came to ${sayAddress(context.inbound)}. We could not accept it, and nothing was made of it.`,
      ),
      paragraph(
        say`A mail is accepted only from the address of the requester whom it names, and only when the sending mail system shows that it comes from there. You can also ask in the portal, or phone the activation call centre.`,
      ),
      paragraph(say`If you did not send this mail, nothing is needed from you.`),
    ],
    because: because(context),
  };
}

function tooLargeReply(
  { megabytesMax: mostMegabytes }: ReplyOfKind<'too-large'>,
  context: InboundReplyContext,
): EmailContent {
  return {
    subject: say`Your mail is too large`,
    preheader: say`Nothing was made of it. Please send it again without attachments.`,
    title: say`Your mail is too large`,
    blocks: [
      paragraph(
        say`Your mail has more than ${mostMegabytes} megabytes or very many lines. We did not read it, and nothing was made of it.`,
      ),
      paragraph(say`Please send it again without attachments: we only need the lines of the form.`),
    ],
    because: because(context),
  };
}

function incompleteReply(
  { form, validationErrors: faults, quotedTextRemoved: leftOut }: ReplyOfKind<'incomplete'>,
  context: InboundReplyContext,
): EmailContent {
  return {
    subject: say`Your request is not complete yet`,
    preheader: say`Please complete the form inside and send it back.`,
    title: say`Your request is not complete yet`,
    blocks: [
      paragraph(
        say`Thank you for your mail. We could not take it as a request yet. This is missing or could not be read:`,
      ),
      {
        kind: 'list',
        items: faults.map(({ label, message }) => ({ label: say`${label}`, value: sayInFull(message) })),
      },
      ...(leftOut ? [quotedTextNotice] : []),
      paragraph(
        say`Here is the form, filled in as far as you did. Please copy it into a new mail, or above everything else in your reply, complete it, and send it to ${sayAddress(context.inbound)}.`,
      ),
      formBlock(form),
      paragraph(
        say`The agreement is named by its agreement number or, for an Open License, by the authorization number and the license number together.`,
      ),
      paragraph(say`The time for our answer begins when your complete request arrives.`),
    ],
    because: because(context),
  };
}

function refusedReply({ detail, form }: ReplyOfKind<'refused'>, context: InboundReplyContext): EmailContent {
  return {
    subject: say`We could not take your request`,
    preheader: say`The reason is inside. Nothing was made of your mail.`,
    title: say`We could not take your request`,
    blocks: [
      paragraph(say`Thank you for your mail. Your request is complete, but we could not take it.`),
      paragraph(sayInFull(detail)),
      paragraph(
        say`Nothing was made of your mail. This is what we read in it; if something in it is wrong, correct it and send it to ${sayAddress(context.inbound)} again.`,
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
    clock.status === 'running' ? say`Our answer to your request is due by ${moment(clock.dueAt, policy)}.` : say``;
  return {
    subject: say`We have your answer`,
    preheader: say`Thank you. The exceptions team goes on with your request.`,
    title: say`We have your answer`,
    blocks: [
      paragraph(sayAll([say`Thank you. The exceptions team reads your answer and goes on with your request.`, due])),
      paragraph(say`Nothing more is needed from you now.`),
    ],
    because: because(context),
  };
}

function answerNotExpectedReply(
  { status }: ReplyOfKind<'answer-not-expected'>,
  context: InboundReplyContext,
): EmailContent {
  return {
    subject: say`Your answer was not needed any more`,
    preheader: say`Nothing was changed by it.`,
    title: say`Your answer was not needed any more`,
    blocks: [
      paragraph(
        say`Thank you for your mail. Request ${context.reference} does not wait for an answer from you. ${statusSentences[status]}`,
      ),
      paragraph(say`Your mail was not passed on, and nothing was changed by it.`),
    ],
    because: because(context),
  };
}

/** What is the case with a request, to somebody who believes that it waits for them. */
const statusSentences: Readonly<Record<ExceptionStatus, Sentence>> = {
  received: say`It has arrived and is on its way.`,
  'in-review': say`The exceptions team is looking at it; a question that was open has been answered already.`,
  'awaiting-requester': say`It was answered a moment ago.`,
  'awaiting-approval': say`It is with the Notices Correspondent of your agreement.`,
  fulfilled: say`It was approved, and the limit has been raised.`,
  denied: say`The Notices Correspondent denied it. You may ask again.`,
  rejected: say`It was closed without being granted. You may ask again.`,
  withdrawn: say`It was withdrawn. You may ask again.`,
  lapsed: say`It has lapsed, since there was no answer in time. You may ask again.`,
};

function answerUnreadableReply(
  { message, quotedTextRemoved: leftOut }: ReplyOfKind<'answer-unreadable'>,
  context: InboundReplyContext,
): EmailContent {
  return {
    subject: say`We could not read your answer`,
    preheader: say`Please send it once more.`,
    title: say`We could not read your answer`,
    blocks: [
      paragraph(say`Thank you for your mail. We could not take your answer from it: the answer ${sayInFull(message)}.`),
      ...(leftOut ? [quotedTextNotice] : []),
      paragraph(say`Please reply to our question once more, and write above everything else.`),
    ],
    because: because(context),
  };
}

const quotedTextNotice = paragraph(
  say`We read only what you wrote in this mail itself: quoted text and earlier mails below it are left out.`,
);

function formBlock(form: readonly FormLine[]): Block {
  return {
    kind: 'form',
    fields: form.map(({ field, label, value }) => ({
      label: say`${label}`,
      // An address must stay one to be copied; all else is made harmless as lines, and kept whole.
      value: field === 'requesterEmail' ? sayAddress(value) : value,
    })),
  };
}

/** A text of our own that was not written as a sentence here: whole, however long. */
function sayInFull(text: string): Sentence {
  const chunks = text.match(/\S.{0,99}(?=\s|$)|\S{1,100}/gs) ?? [];
  return sayAll(chunks.map((chunk) => say`${chunk}`));
}

function because({ inbound }: InboundReplyContext): Sentence {
  return say`You get this mail because one with your address as its sender came to ${sayAddress(inbound)}.`;
}
