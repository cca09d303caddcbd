import type { CivilDate, Instant } from '../../domain/calendar/instant.ts';
import type { ApprovalDecision } from '../../domain/exceptions/request.ts';
import type { RefusalMembers } from '../../domain/refusal.ts';
import type { ExceptionKind } from '../../domain/remedy.ts';
import { formatDay, formatInstant, zoneName } from '../../emails/dates.ts';
import type { Markup } from '../../emails/html.ts';
import { html } from '../../emails/html.ts';
import { stylesheet, stylesheetHash } from './approval-page-style.ts';
import { faviconAddress } from './favicon.ts';

/**
 * A page behind an approval link, for a reader who may never have heard of the service (APR-2, APR-3, APR-5). Pages
 * need no script, fetch nothing, and contain no code. A page contains the token of its link only in strict mode, where
 * a form needs it in its address.
 */
export type Page = { readonly html: string };

/**
 * The headers of every page (APR-5). The policy allows one stylesheet, by its hash, and the icon in the page itself.
 */
export const approvalPageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': [
    "default-src 'none'",
    `style-src '${stylesheetHash}'`,
    'img-src data:',
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'x-robots-tag': 'noindex, nofollow, noarchive',
};

/** The request that a page is about. `activations` is the increase: activations, or hosts for KMSADD. */
export type RequestSummary = {
  readonly exceptionId: string;
  readonly kind: ExceptionKind;
  readonly organizationName: string;
  readonly requesterName: string;
  readonly productName: string;
  readonly lastFive: string;
  readonly activations: number;
};

/** The source of the code. Addresses are relative to the page, and tokens in them are secret. */
export type CodeSource =
  /** Six digits, in the email that contains the link. */
  | { readonly kind: 'emailed' }
  /** Strict mode: eight digits, sent when the reader posts the form for `codesAddress` (APR-7). */
  | { readonly kind: 'on-demand'; readonly codesAddress: string; readonly goodForMinutes: number }
  /**
   * Strict mode, in the response to that form. The decision is posted to `decisionAddress`, the address of the link.
   */
  | {
      readonly kind: 'sent';
      readonly decisionAddress: string;
      readonly goodForMinutes: number;
      readonly goodUntil: Instant;
    };

/** The problem with a form that was just posted, and its comment. Nothing was recorded. */
export type InvalidSubmission = {
  readonly comment: string;
  readonly problem:
    | { readonly kind: 'wrong-code'; readonly triesLeft: number }
    | { readonly kind: 'incomplete'; readonly fields: readonly Field[] };
};

export type Field = 'code' | 'decision' | 'comment';

/** The request exactly as the Notices Correspondent sees it. Limits have the unit of `activations`. */
export type ApprovalPageContent = RequestSummary & {
  readonly correspondentName: string;
  readonly requesterEmail: string;
  readonly requesterPhone: string;
  readonly limitNow: number;
  readonly limitAfter: number;
  readonly businessReason: string;
  readonly requiredDate: CivilDate;
  readonly askedAt: Instant;
  readonly expiresAt: Instant;
  /** The IANA time zone of the times on the page. */
  readonly zone: string;
  readonly code: CodeSource;
  /** `null` unless a form was posted. */
  readonly invalidSubmission: InvalidSubmission | null;
};

/** The maximum length of a comment. A line break counts as one character. */
export const commentCharactersMax = 1_000;

const serviceName = 'Volume Activation';

const emptyMarkup = html``;

/**
 * Shows the exact request and asks for the code and a decision (APR-2). With `invalidSubmission`, it also shows what to
 * correct. The form posts `code` (digits, spaces and hyphens allowed), `decision` (`approve` or `deny`), and `comment`
 * to the address of the page.
 */
export function approvalPage(content: ApprovalPageContent): Page {
  const { invalidSubmission, code } = content;
  const heading = `Do you approve ${quantityPhrase(content)}?`;
  const problems = invalidSubmission === null ? [] : fieldProblemsOf(invalidSubmission, code);
  return renderPage({
    title: problems.length > 0 ? `Error: ${heading}` : code.kind === 'sent' ? `Code sent – ${heading}` : heading,
    zone: content.zone,
    main: html`
${problems.length > 0 ? problemSummary(problems) : emptyMarkup}
${code.kind === 'sent' ? codeSentNotice(code, content.zone) : emptyMarkup}
<h1>${heading}</h1>
<p>Volume Activation manages the product keys that your organization uses to activate Windows.
${isolatedText(content.requesterName)} requests a higher limit for one of them. Your agreement names
${isolatedText(content.correspondentName)} as the Notices Correspondent, the person who approves or denies such requests. You
received the link as the Notices Correspondent or as their deputy. Nothing changes unless you approve.</p>
<div class="notice">
<p><strong>Nothing has changed yet.</strong> Opening this page changes nothing. To decide, enter the code from our email at
the end of this page, and press Approve or Deny.</p>
<p><a href="#your-decision">Go to your decision</a></p>
</div>
<h2>What changes if you approve</h2>
${limitChange(content)}
<p>${limitExplanation(content.kind)}</p>
${detailList([
  ['Product key', keyEndingIn(content.lastFive)],
  ['Product', isolatedText(content.productName)],
  ['Organization', isolatedText(content.organizationName)],
  ['Needed by', renderDay(content.requiredDate)],
  ['Request', requestId(content.exceptionId)],
  ['Sent to you', renderTime(content.askedAt, content.zone)],
  ['Link expires', renderTime(content.expiresAt, content.zone)],
])}
<h2>Who requested it, and why</h2>
${detailList([
  ['Name', isolatedText(content.requesterName)],
  ['Email', isolatedText(content.requesterEmail)],
  ['Phone', isolatedText(content.requesterPhone)],
])}
<figure>
<figcaption>Business reason, as the requester gave it:</figcaption>
<blockquote dir="auto">${sanitizeText(content.businessReason)}</blockquote>
</figure>
<h2>If you were not expecting this</h2>
<p>Before you decide, contact ${isolatedText(content.requesterName)} at a phone number or address that you already have, not one
from this page or the email. If you cannot reach them, or if something is not right, deny the request.</p>
<p>If you do nothing, nothing changes, and the request lapses.</p>
<section class="screen" aria-labelledby="your-decision">
<h2 id="your-decision">Your decision</h2>
${code.kind === 'on-demand' ? codeForm(code) : emptyMarkup}
${decisionForm(content, problems)}
${code.kind === 'sent' ? codeForm(code) : emptyMarkup}
</section>`,
  });
}

export type DecisionDetails = RequestSummary & {
  readonly decision: ApprovalDecision['decision'];
  readonly decidedAt: Instant;
  readonly zone: string;
};

/** Confirms a decision that was just recorded, and says what happens next. */
export function decisionRecordedPage(details: DecisionDetails): Page {
  const isApproved = details.decision === 'approve';
  const heading = isApproved ? `You approved ${quantityPhrase(details)}` : `You denied ${quantityPhrase(details)}`;
  return renderPage({
    title: heading,
    zone: details.zone,
    main: html`
<h1>${heading}</h1>
<div class="notice done" role="status">
<p><strong>Your decision is recorded.</strong> You can close this page.</p>
</div>
${decisionSummary(details)}
<h2>What happens next</h2>
<ul>
<li>${
      isApproved
        ? html`We raise the key’s limit by ${quantityPhrase({ ...details, more: false })}. This usually takes a few minutes.`
        : html`We close the request. The key’s limit does not change.`
    }</li>
<li>We email the decision to you and to ${isolatedText(details.requesterName)}.</li>
<li>If you pressed the wrong button, or if this was not you, use the link “This was not me” in that email right away.</li>
</ul>`,
  });
}

/** Shows the recorded decision to a reader who comes after it, or at the same moment (APR-3, APR-4). */
export function alreadyDecidedPage(details: DecisionDetails): Page {
  const heading = `This request was already ${details.decision === 'approve' ? 'approved' : 'denied'}`;
  return renderPage({
    title: heading,
    zone: details.zone,
    main: html`
<h1>${heading}</h1>
<p>A request can be decided only once. This is the recorded decision, and this page cannot change it.</p>
${decisionSummary(details)}
<h2>If you were not expecting this</h2>
<p>If you pressed a button twice, only the first time counted. The Notices Correspondent or their deputy may also have decided
before you.</p>
<p>We emailed the decision to the Notices Correspondent. If neither of you made it, use the link “This was not me” in that
email right away.</p>`,
  });
}

export type VoidLink = {
  readonly because: RefusalMembers['link-void']['because'];
  readonly exceptionId: string;
};

/** Says why a link can no longer be used to decide, and what to do (APR-2, APR-3). Shows only the id of the request. */
export function voidLinkPage({ because, exceptionId }: VoidLink): Page {
  const { heading, paragraphs } = voidLinkText[because];
  return renderPage({
    title: heading,
    main: html`
<h1>${heading}</h1>
${paragraphs.map((paragraph) => html`<p>${paragraph}</p>`)}
${detailList([['Request', requestId(exceptionId)]])}`,
  });
}

const voidLinkText: Readonly<
  Record<VoidLink['because'], { readonly heading: string; readonly paragraphs: readonly string[] }>
> = {
  replaced: {
    heading: 'This link has been replaced',
    paragraphs: [
      'After we sent this link, the request was changed, or someone else was asked to decide. Nothing was decided with this link.',
      'Look in your mailbox for a newer email from us about the same request, and use the link in that email. If there is none, you do not need to do anything.',
    ],
  },
  'too-many-wrong-codes': {
    heading: 'This link is disabled',
    paragraphs: [
      'A wrong code was entered too many times. To protect your organization, the link no longer works. Nothing was decided.',
      'We have sent a new link by email to your address in the agreement. Use that link.',
      'If you did not enter the codes, someone else has seen the earlier email. Only you received the new link: do not forward it.',
    ],
  },
  late: {
    heading: 'The time to decide is over',
    paragraphs: [
      'There was no decision in time, and the request has ended. Nothing was decided, and no limit was changed.',
      'If the change is still needed, the requester can submit a new request. You then receive a new email from us.',
    ],
  },
  closed: {
    heading: 'This request is closed',
    paragraphs: [
      'It was withdrawn, or our team closed it, before you decided. It did not change any limit.',
      'You do not need to do anything.',
    ],
  },
};

/** Explains that the form of another website changed nothing (APR-5). */
export function crossSitePage(): Page {
  const heading = 'Another website sent this form';
  return renderPage({
    title: `Error: ${heading}`,
    main: html`
<h1>${heading}</h1>
<p>Nothing was changed. A form on another website tried to answer in your name.</p>
<h2>What to do</h2>
<p>Open the link in our email, and answer on the page that it opens. If you did not follow a link from another website, tell
your license administrator.</p>`,
  });
}

/** Tells a reader in a browser that the address does not exist. */
export function unknownAddressPage(): Page {
  const heading = 'This page does not exist';
  return renderPage({
    title: heading,
    main: html`
<h1>${heading}</h1>
<p>Check the address. If you followed a link in an email, copy all of it into the address bar, to the last character.</p>
<p>The routes of the API are described at <a href="/docs">/docs</a>.</p>`,
  });
}

/** Explains what to do about a link that is not known, usually because an email program cut it off. */
export function unknownLinkPage(): Page {
  const heading = 'We do not recognize this link';
  return renderPage({
    title: `Error: ${heading}`,
    main: html`
<h1>${heading}</h1>
<p>Opening it changed nothing.</p>
<h2>What to do</h2>
<p>The link in our email is long, and some email programs cut it off at the end of a line.</p>
<ol>
<li>Open the email again.</li>
<li>Copy all of the link, to the last character, even if it continues on a second line.</li>
<li>Paste it into the address bar of your browser.</li>
</ol>
<p>If the complete link does not work either, it is not from us, or it has expired. You do not need to do anything.</p>`,
  });
}

/**
 * Asks the reader to confirm “This was not me” (APR-8). Mail scanners open links, so opening the page disputes nothing.
 */
export function disputePage(details: DecisionDetails): Page {
  const heading = 'Did someone else make this decision?';
  return renderPage({
    title: heading,
    zone: details.zone,
    main: html`
<h1>${heading}</h1>
<p>This request was ${details.decision === 'approve' ? 'approved' : 'denied'} in your name. If you did not make this decision,
tell us here.</p>
${decisionSummary(details)}
<h2>What happens when you tell us</h2>
<ul>
<li>If the limit has not been raised yet, we stop the request, and our team investigates.</li>
<li>If it has, we alert our team and its supervisors, and they contact you.</li>
</ul>
<p><strong>Opening this page reports nothing.</strong> Only the button below does.</p>
<form method="post"><button type="submit">This was not me</button></form>`,
  });
}

/**
 * Confirms that a decision was disputed, and says what happens next (APR-8). `frozen`: the request was stopped in time.
 */
export function disputeRecordedPage({
  exceptionId,
  frozen,
}: {
  readonly exceptionId: string;
  readonly frozen: boolean;
}): Page {
  const heading = 'Thank you for telling us';
  return renderPage({
    title: heading,
    main: html`
<h1>${heading}</h1>
<div class="notice done" role="status">
<p><strong>${frozen ? 'We have stopped the request.' : 'We have alerted our team.'}</strong> You can close this page.</p>
</div>
<p>Someone who can read your email may have decided in your name. Change the password of your mailbox, and tell your
organization’s security team.</p>
<p>Our team will contact you at your address in the agreement.</p>
${detailList([['Request', requestId(exceptionId)]])}`,
  });
}

/** Reports a fault of the service. `requestId` is also in the `X-Request-Id` header of the response. */
export function faultPage({ requestId }: { readonly requestId: string }): Page {
  const heading = 'Something went wrong on our side';
  return renderPage({
    title: `Error: ${heading}`,
    main: html`
<h1>${heading}</h1>
<p>You did nothing wrong, and <strong>nothing was recorded</strong>.</p>
<h2>What to do</h2>
<p>Wait a minute, open the link in our email again, and try once more. The page always shows the current state of the request,
and nobody can decide twice.</p>
${detailList([['Reference', html`<span class="key">${requestId}</span>`]])}`,
  });
}

type FieldProblem = { readonly field: Field; readonly message: string };

function fieldProblemsOf({ problem }: InvalidSubmission, code: CodeSource): readonly FieldProblem[] {
  if (problem.kind === 'wrong-code') {
    const message =
      code.kind === 'emailed'
        ? 'This code is not correct: enter the code from the email that brought you to this page'
        : 'This code is not correct, is not the newest one, or has expired';
    return [{ field: 'code', message }];
  }
  const messages: Readonly<Record<Field, string>> = {
    code: `Enter the ${digitsOf(code).word}-digit code from our email`,
    comment: `Use at most ${formatNumber(commentCharactersMax)} characters of plain text in your comment`,
    decision: 'Press Approve or Deny',
  };
  const inOrder: readonly Field[] = ['code', 'comment', 'decision'];
  return inOrder
    .filter((field) => problem.fields.includes(field))
    .map((field) => ({ field, message: messages[field] }));
}

/**
 * Lists the problems with a posted form. It takes the focus, without script, so that a screen reader reads it first.
 */
function problemSummary(problems: readonly FieldProblem[]): Markup {
  return html`<div class="problems" tabindex="-1" autofocus>
<div role="alert">
<h2>There is a problem</h2>
<ul>
${problems.map(({ field, message }) => html`<li><a href="#${field}">${message}</a></li>`)}
</ul>
<p>Nothing has been decided.</p>
</div>
</div>`;
}

function codeSentNotice({ goodUntil }: CodeSource & { readonly kind: 'sent' }, zone: string): Markup {
  return html`<div class="notice done" role="status">
<p><strong>We have sent you a code.</strong> We sent it to your email address in the agreement. It expires on
${renderTime(goodUntil, zone)}. <a href="#code">Enter it below</a>. Nothing has been decided.</p>
</div>`;
}

function codeForm(code: Exclude<CodeSource, { readonly kind: 'emailed' }>): Markup {
  // The page after a sent code is at the address for codes already, so its form needs no action.
  const action = code.kind === 'on-demand' ? html` action="${code.codesAddress}"` : emptyMarkup;
  const [heading, button] =
    code.kind === 'on-demand'
      ? ['Get a code first', 'Send me a code']
      : ['If the code does not arrive', 'Send me another code'];
  return html`<form class="step" method="post"${action}>
<h3>${heading}</h3>
<p>We send a code of ${digitsOf(code).word} digits to your email address in the agreement. It is valid for
${code.goodForMinutes} minutes, and only the newest code works. Requesting a code decides nothing.</p>
<button type="submit">${button}</button>
</form>`;
}

function decisionForm(content: ApprovalPageContent, problems: readonly FieldProblem[]): Markup {
  const { invalidSubmission, code } = content;
  const action = code.kind === 'sent' ? html` action="${code.decisionAddress}"` : emptyMarkup;
  const digits = digitsOf(code);
  const messageFor = (field: Field) => problems.find((problem) => problem.field === field)?.message;
  const wrongCode = invalidSubmission?.problem.kind === 'wrong-code' ? invalidSubmission.problem : undefined;
  return html`<form method="post"${action}>
${
  // Enter in the code field presses the first submit button of the form. It must not decide, so the first button is a
  // disabled one, and Enter does nothing.
  html`<button type="submit" disabled hidden></button>`
}
${formField('code', messageFor('code'), {
  label: 'Code',
  hint: html`${digits.sentence} digits, from ${codeEmailDescription[code.kind]}.${wrongCode === undefined ? emptyMarkup : html` <strong>${triesLeft(wrongCode.triesLeft, code)}</strong>`}`,
  control: (
    ariaAttributes,
  ) => html`<input id="code" name="code" type="text" inputmode="numeric" autocomplete="one-time-code"
spellcheck="false" pattern="[\\s\\-]*([0-9][\\s\\-]*){${digits.number}}" maxlength="${2 * digits.number}" title="${digits.sentence} digits" required
${ariaAttributes}>`,
})}
${formField('comment', messageFor('comment'), {
  label: 'Comment (optional)',
  hint: html`Up to ${formatNumber(commentCharactersMax)} characters. The requester can read it.`,
  // Browsers drop the first line break in a textarea, so there is an additional one.
  control: (
    ariaAttributes,
  ) => html`<textarea id="comment" name="comment" rows="3" maxlength="${commentCharactersMax}" dir="auto"
${ariaAttributes}>
${invalidSubmission?.comment ?? ''}</textarea>`,
})}
<div class="field${messageFor('decision') === undefined ? '' : ' invalid'}" id="decision" role="group" tabindex="-1"
aria-labelledby="decision-label"${messageFor('decision') === undefined ? emptyMarkup : html` aria-describedby="decision-error"`}>
<h3 id="decision-label">Do you approve ${quantityPhrase(content)}?</h3>
${renderFieldError('decision', messageFor('decision'))}
<div class="choices">
<div>
<button class="approve" type="submit" name="decision" value="approve" aria-describedby="if-approved">Approve ${quantityPhrase(content)}</button>
<p id="if-approved">We raise the key’s limit from ${formatNumber(content.limitNow)} to ${formatNumber(content.limitAfter)}.</p>
</div>
<div>
<button type="submit" name="decision" value="deny" aria-describedby="if-denied">Deny</button>
<p id="if-denied">We close the request. The key’s limit stays at ${formatNumber(content.limitNow)}.</p>
</div>
</div>
</div>
<p class="muted">You can decide only once. We then email the decision to you and to ${isolatedText(content.requesterName)}.</p>
</form>`;
}

/** Returns a labeled control with its hint and error message. The control refers to both. */
function formField(
  name: Field,
  message: string | undefined,
  parts: { readonly label: string; readonly hint: Markup; readonly control: (ariaAttributes: Markup) => Markup },
): Markup {
  const ariaAttributes =
    message === undefined
      ? html`aria-describedby="${name}-hint"`
      : html`aria-describedby="${name}-hint ${name}-error" aria-invalid="true"`;
  return html`<div class="field${message === undefined ? '' : ' invalid'}">
<label for="${name}">${parts.label}</label>
<p class="hint" id="${name}-hint">${parts.hint}</p>
${renderFieldError(name, message)}
${parts.control(ariaAttributes)}
</div>`;
}

function renderFieldError(name: Field, message: string | undefined): Markup {
  return message === undefined ? emptyMarkup : html`<p class="error" id="${name}-error">Error: ${message}</p>`;
}

const codeEmailDescription: Readonly<Record<CodeSource['kind'], string>> = {
  emailed: 'the email that brought you to this page',
  'on-demand': 'the email that we send when you request a code',
  sent: 'the email that we have just sent',
};

function triesLeft(tries: number, code: CodeSource): string {
  const remaining = tries === 1 ? 'You have one try left.' : `You have ${formatNumber(tries)} tries left.`;
  const replacementPhrase = code.kind === 'emailed' ? 'a new link and code' : 'a new link';
  return `${remaining} After that, this link stops working, and we email you ${replacementPhrase}.`;
}

function digitsOf(code: CodeSource): { readonly number: number; readonly word: string; readonly sentence: string } {
  return code.kind === 'emailed'
    ? { number: 6, word: 'six', sentence: 'Six' }
    : { number: 8, word: 'eight', sentence: 'Eight' };
}

function limitChange({ limitNow, activations, limitAfter, kind }: ApprovalPageContent): Markup {
  const unit = kind === 'MAKADD' ? 'activations' : 'KMS hosts';
  return html`<dl class="change">
<div><dt>Current limit</dt><dd>${formatNumber(limitNow)}</dd></div>
<div><dt>More ${unit}</dt><dd>+${formatNumber(activations)}</dd></div>
<div class="after"><dt>Limit if approved</dt><dd>${formatNumber(limitAfter)}</dd></div>
</dl>`;
}

function limitExplanation(kind: ExceptionKind): string {
  return kind === 'MAKADD'
    ? 'The limit counts activations. The key uses one activation when it activates Windows on a computer for the first time.'
    : 'The limit counts KMS hosts: computers that activate other computers on their network. Each host uses one host slot, and the key can activate it up to ten times.';
}

/** Returns an increase with its unit: `150 more activations`. */
function quantityPhrase({
  activations,
  kind,
  more = true,
}: Pick<RequestSummary, 'activations' | 'kind'> & { readonly more?: boolean }): string {
  const [one, many] = kind === 'MAKADD' ? ['activation', 'activations'] : ['KMS host', 'KMS hosts'];
  return `${formatNumber(activations)} ${more ? 'more ' : ''}${activations === 1 ? one : many}`;
}

function decisionSummary(details: DecisionDetails): Markup {
  const decision = details.decision === 'approve' ? 'Approved' : 'Denied';
  return detailList([
    ['Decision', html`<strong>${decision}</strong>: ${quantityPhrase(details)}`],
    ['Decided', renderTime(details.decidedAt, details.zone)],
    ['Product key', keyEndingIn(details.lastFive)],
    ['Product', isolatedText(details.productName)],
    ['Organization', isolatedText(details.organizationName)],
    ['Requested by', isolatedText(details.requesterName)],
    ['Request', requestId(details.exceptionId)],
  ]);
}

function keyEndingIn(lastFive: string): Markup {
  return html`ending in <span class="key">${lastFive}</span>`;
}

function requestId(exceptionId: string): Markup {
  return html`<span class="id">${exceptionId}</span>`;
}

function detailList(rows: readonly (readonly [name: string, value: Markup])[]): Markup {
  return html`<dl class="details">
${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
</dl>`;
}

/** Returns a name, an address, or a number from others, isolated so that its writing direction affects nothing else. */
function isolatedText(text: string): Markup {
  return html`<bdi dir="auto">${sanitizeText(text)}</bdi>`;
}

/**
 * Removes from others' text what could affect the text around it: control characters, direction changes, and more
 * combining marks on one character than any script uses.
 */
function sanitizeText(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?|[\u2028\u2029]/g, '\n')
    .replace(/[^\P{Cc}\n\t]|[\u202A-\u202E\u2066-\u2069]/gu, '')
    .replace(/(\p{M}{6})\p{M}+/gu, '$1');
}

function formatNumber(number: number): string {
  return new Intl.NumberFormat('en-US').format(number);
}

function renderDay(date: CivilDate): Markup {
  return html`<time datetime="${date}">${formatDay(date)}</time>`;
}

/** Returns a time as our emails show it. A line can break only between the day and the time. */
function renderTime(at: Instant, zone: string): Markup {
  const { day, time } = formatInstant(at, zone);
  return html`<time datetime="${at}"><span>${day},</span> <span>${time}</span></time>`;
}

function renderPage({
  title,
  zone,
  main,
}: {
  readonly title: string;
  readonly zone?: string;
  readonly main: Markup;
}): Page {
  const document = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no">
<title>${title} – ${serviceName}</title>
<link rel="icon" href="${faviconAddress}">
<style>${stylesheet}</style>
</head>
<body>
<header><p>${serviceName}</p></header>
<main>${main}
</main>
<footer>
${zone === undefined ? emptyMarkup : html`<p>Times are shown in ${zoneName(zone)}.</p>`}
<p>${serviceName} issues your organization’s volume license keys, counts their activations, and raises their limits when the
person named in your agreement approves. We never ask for a password or for a complete product key.</p>
</footer>
</body>
</html>
`;
  return { html: document.toString() };
}
