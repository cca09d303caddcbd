import type { CivilDate, Instant } from '../../domain/calendar/instant.ts';
import { epochMilliseconds } from '../../domain/calendar/instant.ts';
import type { ApprovalDecision } from '../../domain/exceptions/request.ts';
import type { RefusalMembers } from '../../domain/refusal.ts';
import type { ExceptionKind } from '../../domain/remedy.ts';
import type { Markup } from '../../emails/html.ts';
import { html } from '../../emails/html.ts';
import { stylesheet, stylesheetHash } from './approval-page-style.ts';

/**
 * The pages behind an approval link, for a person who may never have heard of us (APR-2, APR-3, APR-5). Pure: facts in,
 * a whole page out. They need no script, fetch nothing, and carry no code; the link's token is in a page only where a
 * form of the strict mode cannot be addressed without it.
 */
export type Page = { readonly html: string };

/** The headers that every one of these pages is served with (APR-5). The policy allows their one stylesheet by its hash. */
export const approvalPageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': [
    "default-src 'none'",
    `style-src '${stylesheetHash}'`,
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

/** Which request a page is about. `activations` is what would be granted: activations, or host places for KMSADD. */
export type RequestSummary = {
  readonly exceptionId: string;
  readonly kind: ExceptionKind;
  readonly organizationName: string;
  readonly requesterName: string;
  readonly productName: string;
  readonly lastFive: string;
  readonly activations: number;
};

/** Where the code comes from. The addresses are as seen from the page that carries them; tokens in them are secret. */
export type CodeSource =
  /** Six digits, in the mail that brought the link. */
  | { readonly kind: 'mailed' }
  /** Strict mode: eight digits, sent when the form that posts to `codesAddress` asks for them (APR-7). */
  | { readonly kind: 'on-demand'; readonly codesAddress: string; readonly goodForMinutes: number }
  /** Strict mode, as the answer to that form: the decision goes to `decisionAddress`, the link's own. */
  | {
      readonly kind: 'sent';
      readonly decisionAddress: string;
      readonly goodForMinutes: number;
      readonly goodUntil: Instant;
    };

/** What was wrong with the form that was just sent, and the comment to keep. Nothing was recorded of it. */
export type InvalidSubmission = {
  readonly comment: string;
  readonly problem:
    | { readonly kind: 'wrong-code'; readonly triesLeft: number }
    | { readonly kind: 'incomplete'; readonly fields: readonly Field[] };
};

export type Field = 'code' | 'decision' | 'comment';

/** The exact question, as the Notices Correspondent is to see it. Limits count what `activations` counts. */
export type ApprovalPageData = RequestSummary & {
  readonly correspondentName: string;
  readonly requesterEmail: string;
  readonly requesterPhone: string;
  readonly limitNow: number;
  readonly limitAfter: number;
  readonly businessReason: string;
  readonly requiredDate: CivilDate;
  readonly askedAt: Instant;
  readonly expiresAt: Instant;
  /** The IANA time zone that times are told in. */
  readonly zone: string;
  readonly code: CodeSource;
  /** `null` when the page is opened, not sent. */
  readonly invalidSubmission: InvalidSubmission | null;
};

/** The most characters that a comment may have, a line break counting as one. */
export const commentCharactersMax = 1_000;

const serviceName = 'Volume Activation';

const emptyMarkup = html``;

/**
 * Shows the exact request and asks for the code and a decision (APR-2); with `attempt`, what to put right. The form posts
 * `code` (digits, perhaps with spaces or hyphens), `decision` (`approve` or `deny`) and `comment` to the page's own address.
 */
export function approvalPage(data: ApprovalPageData): Page {
  const { invalidSubmission, code } = data;
  const heading = `Do you approve ${quantityPhrase(data)}?`;
  const problems = invalidSubmission === null ? [] : fieldProblemsOf(invalidSubmission, code);
  return renderPage({
    title: problems.length > 0 ? `Error: ${heading}` : code.kind === 'sent' ? `Code sent – ${heading}` : heading,
    zone: data.zone,
    main: html`
${problems.length > 0 ? problemSummary(problems) : emptyMarkup}
${code.kind === 'sent' ? codeSentNotice(code, data.zone) : emptyMarkup}
<h1>${heading}</h1>
<p>We keep the product keys with which your organization activates Windows. ${isolatedText(data.requesterName)} asks us to raise
the limit of one of them. Your agreement names you, ${isolatedText(data.correspondentName)}, as the person who confirms such a
change: the Notices Correspondent or the deputy. Without your approval, the limit stays as it is.</p>
<div class="notice">
<p><strong>Nothing has changed so far.</strong> Opening this page changes nothing. Something happens only when you enter
the code from our e-mail at the end of this page and press one of the two buttons there.</p>
</div>
<h2>What would change</h2>
${limitChange(data)}
<p>${limitExplanation(data.kind)}</p>
${detailList([
  ['Product key ends in', html`<span class="key">${data.lastFive}</span>`],
  ['Product', isolatedText(data.productName)],
  ['Organization', isolatedText(data.organizationName)],
  ['Needed by', formatDay(data.requiredDate)],
  ['Request', html`${data.exceptionId}`],
  ['Sent to you', formatTime(data.askedAt, data.zone)],
  ['This link works until', formatTime(data.expiresAt, data.zone)],
])}
<h2>Who asks, and why</h2>
${detailList([
  ['Name', isolatedText(data.requesterName)],
  ['E-mail', isolatedText(data.requesterEmail)],
  ['Phone', isolatedText(data.requesterPhone)],
])}
<figure>
<figcaption>The reason, in the words of the person who asks:</figcaption>
<blockquote dir="auto">${sanitizeText(data.businessReason)}</blockquote>
</figure>
<h2>If you know nothing of this</h2>
<p>Before you decide, ask ${isolatedText(data.requesterName)} by a phone number or address that you already had, not one from
this page or the e-mail. If you cannot, or if something is not right, deny the request.</p>
<p>If you do nothing, nothing changes, and the request ends by itself.</p>
<section class="screen" aria-labelledby="your-decision">
<h2 id="your-decision">Your decision</h2>
${code.kind === 'on-demand' ? codeForm(code) : emptyMarkup}
${decisionForm(data, problems)}
${code.kind === 'sent' ? codeForm(code) : emptyMarkup}
</section>`,
  });
}

export type DecisionDetails = RequestSummary & {
  readonly decision: ApprovalDecision['decision'];
  readonly decidedAt: Instant;
  readonly zone: string;
};

/** Confirms a decision that was just recorded, and says what follows from it. */
export function decisionRecordedPage(details: DecisionDetails): Page {
  const isApproved = details.decision === 'approve';
  const heading = isApproved ? `You approved ${quantityPhrase(details)}` : `You denied ${quantityPhrase(details)}`;
  return renderPage({
    title: heading,
    zone: details.zone,
    main: html`
<h1>${heading}</h1>
<div class="notice done" role="status">
<p><strong>Your decision has been recorded.</strong> You can close this page.</p>
</div>
${decisionSummary(details)}
<h2>What happens next</h2>
<ul>
<li>${
      isApproved
        ? html`We raise the key’s limit by ${quantityPhrase({ ...details, more: false })}. This usually takes a few minutes.`
        : html`The request is closed, and the key’s limit stays as it is.`
    }</li>
<li>We send an e-mail about your decision to you and to ${isolatedText(details.requesterName)}.</li>
<li>If you did not mean this, or did not do it, use the link “this was not me” in that e-mail at once.</li>
</ul>`,
  });
}

/** Tells whoever comes after the decision, or at the same moment, what it was (APR-3, APR-4). */
export function alreadyDecidedPage(details: DecisionDetails): Page {
  const heading = `This request was ${details.decision === 'approve' ? 'approved' : 'denied'} already`;
  return renderPage({
    title: heading,
    zone: details.zone,
    main: html`
<h1>${heading}</h1>
<p>A request can be decided once. The decision below stands, and nothing on this page changes it.</p>
${decisionSummary(details)}
<h2>If this surprises you</h2>
<p>If you pressed a button twice, the first press counted. A deputy, or the person whose deputy you are, may also have answered
before you.</p>
<p>An e-mail about the decision went to the Notices Correspondent. If nobody among you made it, use the link “this was not
me” in that e-mail at once.</p>`,
  });
}

export type VoidLink = {
  readonly because: RefusalMembers['link-void']['because'];
  readonly exceptionId: string;
};

/** Says why a link decides nothing any more and what to do instead (APR-2, APR-3). Shows no more of the request. */
export function voidLinkPage({ because, exceptionId }: VoidLink): Page {
  const { heading, paragraphs } = voidLinkText[because];
  return renderPage({
    title: heading,
    main: html`
<h1>${heading}</h1>
${paragraphs.map((paragraph) => html`<p>${paragraph}</p>`)}
${detailList([['Request', html`${exceptionId}`]])}`,
  });
}

const voidLinkText: Readonly<
  Record<VoidLink['because'], { readonly heading: string; readonly paragraphs: readonly string[] }>
> = {
  replaced: {
    heading: 'This link has been replaced',
    paragraphs: [
      'The request was changed after this link was sent, or is now put to somebody else. Nothing was decided with this link.',
      'Look in your mailbox for a newer e-mail from us about the same request and use the link in that one. If there is none, nothing is needed from you.',
    ],
  },
  'too-many-wrong-codes': {
    heading: 'This link has been switched off',
    paragraphs: [
      'A wrong code was entered too many times. To protect your organization, the link no longer works. Nothing was decided.',
      'We have sent a new link by e-mail to the address that your agreement names for you. Use that one.',
      'If it was not you who entered the codes, somebody else has seen the old e-mail. The new link went to you alone; please do not forward it.',
    ],
  },
  late: {
    heading: 'The time to answer is over',
    paragraphs: [
      'The request was not answered in time and has ended. Nothing was decided, and no limit was changed.',
      'If the change is still wanted, the person who asked can send a new request. You then get a new e-mail from us.',
    ],
  },
  closed: {
    heading: 'This request has been closed',
    paragraphs: [
      'It was withdrawn, or ended by the team that handles it, before you answered. No limit was changed by it.',
      'Nothing is needed from you.',
    ],
  },
};

/** For a link that is not known: most often one that a mail program cut off. */
export function unknownLinkPage(): Page {
  const heading = 'We do not know this link';
  return renderPage({
    title: `Error: ${heading}`,
    main: html`
<h1>${heading}</h1>
<p>Nothing has been changed by opening it.</p>
<h2>What to do</h2>
<p>The link in our e-mail is long, and some mail programs cut it off at the end of a line.</p>
<ol>
<li>Open the e-mail again.</li>
<li>Copy all of the link, to the last character, also where it runs over two lines.</li>
<li>Paste it into the address bar of your browser.</li>
</ol>
<p>If the whole link is not known either, it is not from us, or it is so old that we no longer keep it. Then nothing is needed
from you.</p>`,
  });
}

/**
 * Asks whoever says "this was not me" to confirm it (APR-8). Mail scanners open links, so opening the page disputes nothing.
 */
export function disputePage(details: DecisionDetails): Page {
  const heading = 'Was this decision not yours?';
  return renderPage({
    title: heading,
    zone: details.zone,
    main: html`
<h1>${heading}</h1>
<p>A request was ${details.decision === 'approve' ? 'approved' : 'denied'} in your name. If you did not do that, tell us here.</p>
${decisionSummary(details)}
<h2>What happens then</h2>
<ul>
<li>If the limit has not been raised yet, the request is stopped, and our team looks into it.</li>
<li>If it has, our team and its supervisors are alarmed and get in touch with you.</li>
</ul>
<p><strong>Nothing has happened so far.</strong> Only the button below tells us.</p>
<form method="post"><button type="submit">This was not me</button></form>`,
  });
}

/** Confirms that a decision was disputed, and says what follows (APR-8). */
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
<p><strong>${frozen ? 'The request is stopped.' : 'Our team has been alarmed.'}</strong> You can close this page.</p>
</div>
<p>Somebody who could read your mail has decided in your name. Change the password of your mail box, and tell your own
security people.</p>
<p>Our team gets in touch with you at the address that your agreement names.</p>
${detailList([['Request', html`${exceptionId}`]])}`,
  });
}

/** For a fault of ours. `requestId` is what the `X-Request-Id` header of the same answer says. */
export function faultPage({ requestId }: { readonly requestId: string }): Page {
  const heading = 'Something went wrong on our side';
  return renderPage({
    title: `Error: ${heading}`,
    main: html`
<h1>${heading}</h1>
<p>This was not your doing, and <strong>nothing was recorded</strong>.</p>
<h2>What to do</h2>
<p>Wait a minute, open the link in our e-mail again, and try once more. The page that you then see always tells how things
stand, and nobody can decide twice.</p>
${detailList([['Reference', html`<span class="key">${requestId}</span>`]])}`,
  });
}

type FieldProblem = { readonly field: Field; readonly message: string };

function fieldProblemsOf({ problem }: InvalidSubmission, code: CodeSource): readonly FieldProblem[] {
  if (problem.kind === 'wrong-code') {
    const message =
      code.kind === 'mailed'
        ? 'That is not the code in our newest e-mail about this request'
        : 'That is not the code that we sent last, or it is too old';
    return [{ field: 'code', message: message }];
  }
  const messages: Readonly<Record<Field, string>> = {
    code: `Enter the code of ${digitsOf(code).word} digits from our e-mail`,
    comment: `Use at most ${formatNumber(commentCharactersMax)} characters of plain text in your comment`,
    decision: 'Press one of the two buttons: approve or deny',
  };
  const inOrder: readonly Field[] = ['code', 'comment', 'decision'];
  return inOrder
    .filter((field) => problem.fields.includes(field))
    .map((field) => ({ field, message: messages[field] }));
}

/** The one thing that somebody whose form came back must hear first; so it takes the focus, which needs no script. */
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
<p><strong>We have sent you a code.</strong> It goes to the e-mail address that your agreement names for you and is good until
${formatTime(goodUntil, zone)}. <a href="#code">Enter it below</a>. Nothing has been decided.</p>
</div>`;
}

function codeForm(code: Exclude<CodeSource, { readonly kind: 'mailed' }>): Markup {
  // The answer to this form is at the form's own address already, where a form without an action posts to.
  const action = code.kind === 'on-demand' ? html` action="${code.codesAddress}"` : emptyMarkup;
  const [heading, button] =
    code.kind === 'on-demand'
      ? ['First, get a code', 'Send me a code']
      : ['If the code does not arrive', 'Send me another code'];
  return html`<form class="step" method="post"${action}>
<h3>${heading}</h3>
<p>We send ${digitsOf(code).word} digits to the e-mail address that your agreement names for you. They are good for
${code.goodForMinutes} minutes; only the code sent last counts. Asking for one decides nothing.</p>
<button type="submit">${button}</button>
</form>`;
}

function decisionForm(data: ApprovalPageData, problems: readonly FieldProblem[]): Markup {
  const { invalidSubmission, code } = data;
  const action = code.kind === 'sent' ? html` action="${code.decisionAddress}"` : emptyMarkup;
  const digits = digitsOf(code);
  const messageFor = (field: Field) => problems.find((problem) => problem.field === field)?.message;
  const wrongCode = invalidSubmission?.problem.kind === 'wrong-code' ? invalidSubmission.problem : undefined;
  return html`<form method="post"${action}>
${
  // Pressing Enter in the code field presses the first submit button of the form. Neither decision may be taken like
  // that, so the first one is a button that cannot be pressed, and Enter does nothing.
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
  hint: html`Up to ${formatNumber(commentCharactersMax)} characters. The person who asks can read it.`,
  // The first line break in a textarea is not part of its text, so one is spent there.
  control: (
    ariaAttributes,
  ) => html`<textarea id="comment" name="comment" rows="3" maxlength="${commentCharactersMax}" dir="auto"
${ariaAttributes}>
${invalidSubmission?.comment ?? ''}</textarea>`,
})}
<div class="field${messageFor('decision') === undefined ? '' : ' wrong'}" id="decision" role="group" tabindex="-1"
aria-labelledby="decision-label"${messageFor('decision') === undefined ? emptyMarkup : html` aria-describedby="decision-error"`}>
<h3 id="decision-label">Do you approve ${quantityPhrase(data)}?</h3>
${renderFieldError('decision', messageFor('decision'))}
<div class="choices">
<div>
<button class="approve" type="submit" name="decision" value="approve" aria-describedby="if-approved">Approve ${quantityPhrase(data)}</button>
<p id="if-approved">The key’s limit rises from ${formatNumber(data.limitNow)} to ${formatNumber(data.limitAfter)}.</p>
</div>
<div>
<button type="submit" name="decision" value="deny" aria-describedby="if-denied">Deny</button>
<p id="if-denied">The request is closed. The key’s limit stays at ${formatNumber(data.limitNow)}.</p>
</div>
</div>
</div>
<p class="quiet">You can decide once. We then send an e-mail that says what was decided to you and to
${isolatedText(data.requesterName)}.</p>
</form>`;
}

/** A labelled control with its hint and, if something is wrong with it, the message; the control names both of them. */
function formField(
  name: Field,
  message: string | undefined,
  parts: { readonly label: string; readonly hint: Markup; readonly control: (ariaAttributes: Markup) => Markup },
): Markup {
  const ariaAttributes =
    message === undefined
      ? html`aria-describedby="${name}-hint"`
      : html`aria-describedby="${name}-hint ${name}-error" aria-invalid="true"`;
  return html`<div class="field${message === undefined ? '' : ' wrong'}">
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
  mailed: 'the e-mail that brought you to this page',
  'on-demand': 'the e-mail that you get when you ask for a code',
  sent: 'the e-mail that we have just sent',
};

function triesLeft(tries: number, code: CodeSource): string {
  const remaining = tries === 1 ? 'You have one try left.' : `You have ${formatNumber(tries)} tries left.`;
  const replacementPhrase = code.kind === 'mailed' ? 'a new link and code' : 'a new link';
  return `${remaining} After that this link stops working, and we mail you ${replacementPhrase}.`;
}

function digitsOf(code: CodeSource): { readonly number: number; readonly word: string; readonly sentence: string } {
  return code.kind === 'mailed'
    ? { number: 6, word: 'six', sentence: 'Six' }
    : { number: 8, word: 'eight', sentence: 'Eight' };
}

function limitChange({ limitNow, activations, limitAfter, kind }: ApprovalPageData): Markup {
  const unit = kind === 'MAKADD' ? 'activations' : 'KMS hosts';
  return html`<dl class="change">
<div><dt>Limit now</dt><dd>${formatNumber(limitNow)}</dd></div>
<div><dt>More ${unit}</dt><dd>+${formatNumber(activations)}</dd></div>
<div class="after"><dt>Limit if you approve</dt><dd>${formatNumber(limitAfter)}</dd></div>
</dl>`;
}

function limitExplanation(kind: ExceptionKind): string {
  return kind === 'MAKADD'
    ? 'The limit counts activations. One is used whenever the key activates Windows on a computer for the first time.'
    : 'The limit counts KMS hosts: computers that use the key to activate the others in their network. Each takes one host place, in which the key can be used up to ten times.';
}

/** How many of what, as `150 more activations`. */
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
    ['Decided', formatTime(details.decidedAt, details.zone)],
    ['Product key ends in', html`<span class="key">${details.lastFive}</span>`],
    ['Product', isolatedText(details.productName)],
    ['Organization', isolatedText(details.organizationName)],
    ['Asked by', isolatedText(details.requesterName)],
    ['Request', html`${details.exceptionId}`],
  ]);
}

function detailList(rows: readonly (readonly [name: string, value: Markup])[]): Markup {
  return html`<dl class="facts">
${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
</dl>`;
}

/** A name, an address or a number that came from outside: kept apart, so that its direction is its own matter. */
function isolatedText(text: string): Markup {
  return html`<bdi dir="auto">${sanitizeText(text)}</bdi>`;
}

/**
 * Text from outside without what would let it reach beyond its place: control characters, marks that turn the direction
 * of whatever follows, and more accents on one letter than any script has.
 */
function sanitizeText(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?|[\u2028\u2029]/g, '\n')
    .replace(/[^\P{Cc}\n\t]|[\u202A-\u202E\u2066-\u2069]/gu, '')
    .replace(/(\p{M}{6})\p{M}+/gu, '$1');
}

function formatNumber(number: number): string {
  return new Intl.NumberFormat('en-GB').format(number);
}

/** A day of the calendar, which no time zone can move. */
function formatDay(date: CivilDate): Markup {
  return html`<time datetime="${date}">${formatDayIn('UTC', Date.parse(date))}</time>`;
}

/** A moment on the clocks of the zone, which it names: `Monday 1 June 2026, 12:00 Pacific Daylight Time`. */
function formatTime(at: Instant, zone: string): Markup {
  const milliseconds = epochMilliseconds(at);
  const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'full', timeZone: zone })
    .formatToParts(milliseconds)
    .filter(({ type }) => type === 'hour' || type === 'minute' || type === 'timeZoneName')
    .map(({ type, value }) => (type === 'minute' ? `:${value}` : type === 'timeZoneName' ? ` ${value}` : value));
  return html`<time datetime="${at}">${formatDayIn(zone, milliseconds)}, ${clock.join('')}</time>`;
}

/** A day as our letters write it, with no comma behind its name. */
function formatDayIn(zone: string, milliseconds: number): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeZone: zone }).format(milliseconds).replace(',', '');
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
<style>${stylesheet}</style>
</head>
<body>
<header><p>${serviceName}</p></header>
<main>${main}
</main>
<footer>
${zone === undefined ? emptyMarkup : html`<p>Times on this page are told in the time zone ${zone}.</p>`}
<p>${serviceName} issues your organization’s volume license keys, counts what they activate, and raises their limits when the
person named in your agreement approves. We never ask for a password or for a whole product key.</p>
</footer>
</body>
</html>
`;
  return { html: document.toString() };
}
