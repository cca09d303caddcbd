import type { MailboxMessage } from '../emulators/ses.ts';
import { escapeHtml, formatInstant, renderPage } from './layout.ts';

/** What the mail box page is to show: the mails to somebody or to all, and the one that is open, in which of its views. */
export type MailboxView = {
  /** All mails, newest first. */
  readonly mails: readonly MailboxMessage[];
  readonly to: string | undefined;
  /** The number of the open mail: the first that came is 1. */
  readonly open: number | undefined;
  readonly as: 'html' | 'text';
  /** The time in the local system. */
  readonly now: string;
};

/** The mail with that number, or undefined when there is none. */
export function findMailByNumber(mails: readonly MailboxMessage[], number: number): MailboxMessage | undefined {
  return mails[mails.length - number];
}

/**
 * The mail box as its readers would have it: a list, newest first, and one mail open beside it (on a narrow screen in its
 * place).
 */
export function renderMailbox(view: MailboxView): string {
  const { mails, to, open, now } = view;
  const mail = open === undefined ? undefined : findMailByNumber(mails, open);
  const entries = mails
    .map((each, index) => ({ mail: each, number: mails.length - index }))
    .filter(({ mail: each }) => to === undefined || isSameAddress(each.to, to));
  const head = `<div class="head${mail === undefined ? '' : ' aside'}">
<h1>Mail box</h1>
<p class="quiet">What the service sends arrives here and goes nowhere else. As of ${formatInstant(now, true)} UTC. <a href="${linkToSelf(view)}">Reload</a> to see what has come since.</p>
${mails.length === 0 ? '' : renderRecipientFilter(mails, to)}
</div>`;
  const list =
    entries.length === 0
      ? renderEmptyList(to)
      : `<ol class="list" reversed>${entries.map((each) => renderRow(each.mail, each.number, view)).join('\n')}</ol>`;
  const openMailHtml = mail === undefined || open === undefined ? '' : renderMail(mail, open, view);
  const title = mail === undefined ? 'Mail box' : mail.subject;
  return renderPage(
    title,
    `${head}<div class="${openMailHtml === '' ? 'all' : 'one'}"><nav aria-label="Mails">${list}</nav>${openMailHtml}</div>`,
    style,
  );
}

/** A mail as it stands in its frame: its links open in a tab of their own, as those of a mail program do. */
export function renderFramedMail({ html, text }: MailboxMessage): string {
  const target = '<base target="_blank">';
  if (html === null) return `<!doctype html><meta charset="utf-8">${target}<pre>${linkify(text ?? '')}</pre>`;
  return /<head[^>]*>/i.test(html) ? html.replace(/<head[^>]*>/i, (head) => head + target) : target + html;
}

function renderRecipientFilter(mails: readonly MailboxMessage[], selected: string | undefined): string {
  const counts = new Map<string, number>();
  for (const { to } of mails) counts.set(to.toLowerCase(), (counts.get(to.toLowerCase()) ?? 0) + 1);
  const chip = (href: string, name: string, count: number, current: boolean) =>
    `<li><a href="${href}"${current ? ' aria-current="true"' : ''}>${escapeHtml(name)} <span>${count}</span></a></li>`;
  const chips = [...counts]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([to, count]) =>
      chip(mailboxLink(undefined, to), to, count, selected !== undefined && isSameAddress(to, selected)),
    );
  return `<ul class="chips" aria-label="To whom">${chip(mailboxLink(undefined, undefined), 'Everybody', mails.length, selected === undefined)}${chips.join('')}</ul>`;
}

function renderRow({ to, subject, at }: MailboxMessage, number: number, view: MailboxView): string {
  return `<li><a href="${mailboxLink(number, view.to)}"${number === view.open ? ' aria-current="true"' : ''}>
<strong>${escapeHtml(subject)}</strong>
<span>${escapeHtml(to)}</span>
<time datetime="${at}">${formatInstant(at)}</time></a></li>`;
}

function renderMail(
  { from, to, replyTo, subject, at, text, html }: MailboxMessage,
  number: number,
  view: MailboxView,
): string {
  const views = [
    { as: 'html', name: 'As it looks', there: html !== null },
    { as: 'text', name: 'As plain text', there: text !== null },
  ] as const;
  const activeView =
    views.find(({ as, there: isAvailable }) => isAvailable && as === view.as) ??
    views.find(({ there: isAvailable }) => isAvailable);
  const tabs = views
    .filter(({ there: isAvailable }) => isAvailable)
    .map(({ as, name }) => {
      const current = as === activeView?.as ? ' aria-current="true"' : '';
      return `<li><a href="${mailboxLink(number, view.to, as)}"${current}>${name}</a></li>`;
    });
  const headerFields = [
    ['From', from],
    ['To', to],
    ...(replyTo.length > 0 ? [['Replies to', replyTo.join(', ')] as const] : []),
    ['Sent', `${formatInstant(at, true)} UTC`],
  ] as const;
  // A frame cannot be as high as what is in it. The lines of the text part tell how high that is, near enough.
  const lines = (text ?? '').split('\n').length;
  const body =
    activeView?.as === 'html'
      ? `<iframe title="${escapeHtml(subject)}" src="/_local/mailbox/${number}/html" style="--lines:${lines}" sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>`
      : `<pre class="text">${linkify(text ?? '')}</pre>`;
  return `<article>
<p class="back"><a href="${mailboxLink(undefined, view.to)}">← All mails</a></p>
<h2>${escapeHtml(subject)}</h2>
<dl>${headerFields.map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value)}</dd></div>`).join('')}</dl>
<ul class="tabs" aria-label="How to read it">${tabs.join('')}</ul>
${body}
</article>`;
}

function renderEmptyList(to: string | undefined): string {
  return to === undefined
    ? `<div class="empty"><p><strong>No mail yet.</strong></p><p>Somebody has to ask for something first: a request for more activations brings one to the requester and one to the Notices Correspondent.</p></div>`
    : `<div class="empty"><p><strong>No mail to ${escapeHtml(to)}.</strong></p><p><a href="/_local/mailbox">Show everybody’s</a></p></div>`;
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

/** Text with its addresses made links, as mail programs do. */
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
.chips a { display: block; padding: .25rem .75rem; border: 1px solid var(--line); border-radius: 1rem; color: inherit; text-decoration: none }
.chips span { color: var(--quiet); font-variant-numeric: tabular-nums }
.chips a:hover, .list a:hover { background: var(--raised) }
.chips a[aria-current], .list a[aria-current] { background: var(--chosen) }
.chips a[aria-current] { border-color: var(--link) }
.list { border-top: 1px solid var(--line) }
.list li { border-bottom: 1px solid var(--line) }
.list a { display: grid; gap: 0 1rem; padding: .625rem .75rem; color: inherit; text-decoration: none }
.list strong { font-weight: 600; line-height: 1.35 }
.list span, .list time { color: var(--quiet); font-size: .9375rem }
.list time { font-variant-numeric: tabular-nums }
.empty { padding: 2.5rem 1.5rem; background: var(--raised); text-align: center }
.empty p { max-width: 34rem; margin: 0 auto .5rem }
article h2 { margin: 0 0 .5rem; font-size: 1.25rem; line-height: 1.3 }
dl { margin: 0 0 1rem; font-size: .9375rem }
dl div { display: flex; gap: .75rem }
dt { flex: none; width: 5.5rem; color: var(--quiet) }
dd { margin: 0; min-width: 0 }
.tabs { display: flex; gap: 1.5rem; border-bottom: 1px solid var(--line) }
.tabs a { display: block; padding: .375rem 0; border-bottom: 3px solid transparent; color: inherit; text-decoration: none }
.tabs a:hover { border-color: var(--line) }
.tabs a[aria-current] { border-color: var(--link); font-weight: 600 }
iframe { display: block; width: 100%; height: calc(var(--lines) * 2.75rem + 9rem); border: 1px solid var(--line); border-top: 0; background: #fff }
.text { margin: 0; padding: 1rem; border: 1px solid var(--line); border-top: 0; white-space: pre-wrap }
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
