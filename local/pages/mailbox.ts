import type { MailboxMessage } from '../emulators/ses.ts';
import { escapeHtml, formatInstant, renderPage } from './layout.ts';

/** The state of the mailbox page: which emails it lists, and which one is open in which view. */
export type MailboxView = {
  /** All emails, newest first. */
  readonly emails: readonly MailboxMessage[];
  readonly to: string | undefined;
  /** The number of the open email. The oldest email has number 1. */
  readonly open: number | undefined;
  readonly as: 'html' | 'text';
  /** The current time of the local system. */
  readonly now: string;
};

/** Returns the email with that number, or undefined if there is none. */
export function findEmailByNumber(emails: readonly MailboxMessage[], number: number): MailboxMessage | undefined {
  return emails[emails.length - number];
}

/**
 * Returns the mailbox page: a list of emails, newest first, and the open email beside it, or instead of it on a narrow
 * screen.
 */
export function renderMailbox(view: MailboxView): string {
  const { emails, to, open, now } = view;
  const email = open === undefined ? undefined : findEmailByNumber(emails, open);
  const entries = emails
    .map((each, index) => ({ email: each, number: emails.length - index }))
    .filter(({ email: each }) => to === undefined || isSameAddress(each.to, to));
  const head = `<div class="head${email === undefined ? '' : ' aside'}">
<h1>Mailbox</h1>
<p class="muted">Emails from the service arrive here and go nowhere else. Last updated ${formatInstant(now, true)} UTC. <a href="${linkToSelf(view)}">Reload</a> to see newer emails.</p>
${emails.length === 0 ? '' : renderRecipientFilter(emails, to)}
</div>`;
  const list =
    entries.length === 0
      ? renderEmptyList(to)
      : `<ol class="list" reversed>${entries.map((each) => renderRow(each.email, each.number, view)).join('\n')}</ol>`;
  const openEmailHtml = email === undefined || open === undefined ? '' : renderOpenEmail(email, open, view);
  const title = email === undefined ? 'Mailbox' : email.subject;
  return renderPage(
    title,
    `${head}<div class="${openEmailHtml === '' ? 'all' : 'one'}"><nav aria-label="Emails">${list}</nav>${openEmailHtml}</div>`,
    style,
  );
}

/** Returns the document inside the frame of an open email. Its links open in a new tab, as in an email program. */
export function renderFramedEmail({ html, text }: MailboxMessage): string {
  const target = '<base target="_blank">';
  if (html === null) return `<!doctype html><meta charset="utf-8">${target}<pre>${linkify(text ?? '')}</pre>`;
  return /<head[^>]*>/i.test(html) ? html.replace(/<head[^>]*>/i, (head) => head + target) : target + html;
}

function renderRecipientFilter(emails: readonly MailboxMessage[], selected: string | undefined): string {
  const counts = new Map<string, number>();
  for (const { to } of emails) counts.set(to.toLowerCase(), (counts.get(to.toLowerCase()) ?? 0) + 1);
  const chip = (href: string, name: string, count: number, current: boolean) =>
    `<li><a href="${href}"${current ? ' aria-current="true"' : ''}>${escapeHtml(name)} <span>${count}</span></a></li>`;
  const chips = [...counts]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([to, count]) =>
      chip(mailboxLink(undefined, to), to, count, selected !== undefined && isSameAddress(to, selected)),
    );
  return `<ul class="chips" aria-label="Recipient">${chip(mailboxLink(undefined, undefined), 'Everyone', emails.length, selected === undefined)}${chips.join('')}</ul>`;
}

function renderRow({ to, subject, at }: MailboxMessage, number: number, view: MailboxView): string {
  return `<li><a href="${mailboxLink(number, view.to)}"${number === view.open ? ' aria-current="true"' : ''}>
<strong>${renderSubject(subject)}</strong>
<span>${escapeHtml(to)}</span>
<time datetime="${at}">${formatInstant(at)}</time></a></li>`;
}

function renderOpenEmail(
  { from, to, replyTo, subject, at, text, html }: MailboxMessage,
  number: number,
  view: MailboxView,
): string {
  const views = [
    { as: 'html', name: 'HTML', isAvailable: html !== null },
    { as: 'text', name: 'Plain text', isAvailable: text !== null },
  ] as const;
  const activeView =
    views.find(({ as, isAvailable }) => isAvailable && as === view.as) ?? views.find(({ isAvailable }) => isAvailable);
  const tabs = views
    .filter(({ isAvailable }) => isAvailable)
    .map(({ as, name }) => {
      const current = as === activeView?.as ? ' aria-current="true"' : '';
      return `<li><a href="${mailboxLink(number, view.to, as)}"${current}>${name}</a></li>`;
    });
  const headerFields = [
    ['From', from],
    ['To', to],
    ...(replyTo.length > 0 ? [['Reply to', replyTo.join(', ')] as const] : []),
    ['Sent', `${formatInstant(at, true)} UTC`],
  ] as const;
  // A frame cannot adapt to the height of its content. The number of text lines is a good enough estimate.
  const lines = (text ?? '').split('\n').length;
  const body =
    activeView?.as === 'html'
      ? `<iframe title="${escapeHtml(subject)}" src="/_local/mailbox/${number}/html" style="--lines:${lines}" sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>`
      : `<pre class="text">${linkify(text ?? '')}</pre>`;
  return `<article>
<p class="back"><a href="${mailboxLink(undefined, view.to)}">← All emails</a></p>
<h2>${renderSubject(subject)}</h2>
<dl>${headerFields.map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value)}</dd></div>`).join('')}</dl>
<ul class="tabs" aria-label="View">${tabs.join('')}</ul>
${body}
</article>`;
}

/** Escapes a subject and keeps the reference at its end, such as a request id, on one line. */
function renderSubject(subject: string): string {
  return escapeHtml(subject).replace(/\([^()\s]+\)$/, '<span class="reference">$&</span>');
}

function renderEmptyList(to: string | undefined): string {
  return to === undefined
    ? `<div class="empty"><p><strong>No emails yet.</strong></p><p>Submit a request for more activations first. The service then emails the requester and the Notices Correspondent.</p></div>`
    : `<div class="empty"><p><strong>No emails to ${escapeHtml(to)}.</strong></p><p><a href="/_local/mailbox">Show all emails</a></p></div>`;
}

function linkToSelf({ open, to, as }: MailboxView): string {
  return mailboxLink(open, to, as);
}

function mailboxLink(number: number | undefined, to: string | undefined, as: MailboxView['as'] = 'html'): string {
  const query = new URLSearchParams({ ...(to === undefined ? {} : { to }), ...(as === 'text' ? { as } : {}) });
  const path = number === undefined ? '/_local/mailbox' : `/_local/mailbox/${number}`;
  return escapeHtml(query.size === 0 ? path : `${path}?${query}`);
}

function isSameAddress(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Escapes text and turns web addresses into links, as email programs do. */
function linkify(text: string): string {
  return text
    .split(/(https?:\/\/[^\s<>"]+)/)
    .map((part, index) =>
      index % 2 === 0
        ? escapeHtml(part)
        : `<a href="${escapeHtml(part)}" target="_blank" rel="noreferrer">${escapeHtml(part)}</a>`,
    )
    .join('');
}

const style = `
.head p { max-width: 46rem }
ul, ol { margin: 0; padding: 0; list-style: none }
.chips { display: flex; flex-wrap: wrap; gap: .5rem; margin: 0 0 1rem }
.chips a { display: block; padding: .25rem .75rem; border: 1px solid var(--border); border-radius: 1rem; color: inherit; text-decoration: none }
.chips span { color: var(--muted); font-variant-numeric: tabular-nums }
.chips a:hover, .list a:hover { background: var(--surface) }
.chips a[aria-current], .list a[aria-current] { background: var(--selected) }
.chips a[aria-current] { border-color: var(--link) }
.list { border-top: 1px solid var(--border) }
.list li { border-bottom: 1px solid var(--border) }
.list a { display: grid; gap: 0 1rem; padding: .625rem .75rem; color: inherit; text-decoration: none }
.list strong { font-weight: 600; line-height: 1.35 }
.reference { white-space: nowrap }
.list a > span, .list time { color: var(--muted); font-size: .9375rem }
.list time { font-variant-numeric: tabular-nums }
.empty { padding: 2.5rem 1.5rem; background: var(--surface); text-align: center }
.empty p { max-width: 34rem; margin: 0 auto .5rem }
article h2 { margin: 0 0 .5rem; font-size: 1.25rem; line-height: 1.3 }
dl { margin: 0 0 1rem; font-size: .9375rem }
dl div { display: flex; gap: .75rem }
dt { flex: none; width: 5.5rem; color: var(--muted) }
dd { margin: 0; min-width: 0 }
.tabs { display: flex; gap: 1.5rem; border-bottom: 1px solid var(--border) }
.tabs a { display: block; padding: .375rem 0; border-bottom: 3px solid transparent; color: inherit; text-decoration: none }
.tabs a:hover { border-color: var(--border) }
.tabs a[aria-current] { border-color: var(--link); font-weight: 600 }
iframe { display: block; width: 100%; height: calc(var(--lines) * 2.75rem + 9rem); border: 1px solid var(--border); border-top: 0; background: #fff }
.text { margin: 0; padding: 1rem; border: 1px solid var(--border); border-top: 0; white-space: pre-wrap }
.aside, .one > nav { display: none }
@media (min-width: 48rem) {
  .all .list a { grid-template-columns: minmax(0, 1fr) 17rem 12.5rem; align-items: baseline }
  iframe { height: calc(var(--lines) * 1.7rem + 9rem) }
}
@media (min-width: 64rem) {
  .aside { display: block }
  .one { display: grid; grid-template-columns: 21rem minmax(0, 1fr); gap: 2rem; align-items: start }
  .one > nav { display: block; position: sticky; top: 1rem; max-height: calc(100vh - 2rem); overflow: auto }
  .back { display: none }
}
`;
