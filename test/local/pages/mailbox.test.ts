import { describe, expect, it } from 'vitest';
import type { MailboxMessage } from '../../../local/emulators/ses.ts';
import { findEmailByNumber, renderFramedEmail, renderMailbox } from '../../../local/pages/mailbox.ts';
import { mondayNine, mondayTen, tuesdayNine } from '../../instants.ts';

const emailWith = (members: Partial<MailboxMessage> = {}): MailboxMessage => ({
  to: 'ann@contoso.example',
  from: 'desk@activation.example',
  replyTo: [],
  subject: 'About your request',
  text: 'Dear Ann,\n\nread https://activation.example/a?b=1&c=2 please.\n',
  html: '<!doctype html><html><head><title>a</title></head><body><a href="https://activation.example">read</a></body></html>',
  headers: {},
  messageId: '1',
  at: mondayNine,
  ...members,
});
const first = emailWith({ subject: 'First', at: mondayNine });
const second = emailWith({ subject: 'Second', to: 'Ben@contoso.example', at: mondayTen });
const third = emailWith({ subject: 'Third', at: tuesdayNine });
const emails = [third, second, first];
const view = { emails, to: undefined, open: undefined, as: 'html', now: tuesdayNine } as const;

const subjects = (html: string) => [...html.matchAll(/<strong>(.*?)<\/strong>/g)].map(([, subject]) => subject);
const links = (html: string) => [...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href);

describe('the list of emails', () => {
  it('has every email with its recipient and time, newest first', () => {
    const page = renderMailbox(view);
    expect(subjects(page)).toEqual(['Third', 'Second', 'First']);
    expect(page).toContain('Ben@contoso.example');
    expect(page).toContain(`<time datetime="${mondayTen}">Mon, 1 Jun 2026, 17:00</time>`);
  });

  it('links to the emails of each recipient with their number, ignoring case', () => {
    const page = renderMailbox({ ...view, emails: [emailWith({ to: 'ANN@contoso.example' }), ...emails] });
    expect(page).toMatch(/Everyone <span>4<\/span>/);
    expect(page).toMatch(/<a href="\/_local\/mailbox\?to=ann%40contoso.example">ann@contoso.example <span>3<\/span>/);
    expect(page).toMatch(/>ben@contoso.example <span>1<\/span>/);
  });

  it('shows only the emails to the selected recipient, and keeps the selection in its links', () => {
    const page = renderMailbox({ ...view, to: 'BEN@contoso.example' });
    expect(subjects(page)).toEqual(['Second']);
    expect(links(page)).toContain('/_local/mailbox/2?to=BEN%40contoso.example');
  });

  it('says if there are no emails at all, or none to the selected recipient', () => {
    expect(renderMailbox({ ...view, emails: [] })).toContain('No emails yet');
    const page = renderMailbox({ ...view, to: 'nobody@contoso.example' });
    expect(page).toContain('No emails to nobody@contoso.example');
    expect(links(page)).toContain('/_local/mailbox');
  });

  it('keeps the reference at the end of a subject on one line', () => {
    const subject = 'We received your request (EX-MKFG-RBMB-6D6G)';
    const page = renderMailbox({ ...view, emails: [emailWith({ subject })] });
    expect(page).toContain('We received your request <span class="reference">(EX-MKFG-RBMB-6D6G)</span></strong>');
  });

  it('has a link that reloads it', () => {
    expect(renderMailbox({ ...view, to: 'a+b@contoso.example', open: 2, as: 'text' })).toContain(
      '<a href="/_local/mailbox/2?to=a%2Bb%40contoso.example&#38;as=text">Reload</a>',
    );
  });
});

describe('an open email', () => {
  it('has a number in the order of arrival, which does not change when newer emails arrive', () => {
    expect([1, 2, 3].map((number) => findEmailByNumber(emails, number)?.subject)).toEqual(['First', 'Second', 'Third']);
    expect(findEmailByNumber([emailWith(), ...emails], 1)?.subject).toBe('First');
    for (const number of [0, 4, -1, Number.NaN]) expect(findEmailByNumber(emails, number)).toBeUndefined();
  });

  it('is in a frame that runs nothing and opens links in a new tab', () => {
    const page = renderMailbox({ ...view, open: 2 });
    expect(page).toMatch(/<iframe [^>]*src="\/_local\/mailbox\/2\/html"/);
    expect(page).toMatch(/sandbox="allow-popups allow-popups-to-escape-sandbox"/);
    expect(renderFramedEmail(second)).toContain('<head><base target="_blank"><title>a</title>');
    expect(renderFramedEmail(emailWith({ html: '<p>Dear Ann</p>' }))).toMatch(/^<base target="_blank"><p>/);
  });

  it('has a plain-text view with links', () => {
    const page = renderMailbox({ ...view, open: 1, as: 'text' });
    expect(page).not.toContain('<iframe');
    expect(page).toContain('Dear Ann,\n\nread <a href="https://activation.example/a?b=1&#38;c=2" target="_blank"');
  });

  it('has only the view of the part that exists', () => {
    expect(renderMailbox({ ...view, emails: [emailWith({ html: null })], open: 1 })).toMatch(
      /<pre class="text">Dear Ann/,
    );
    const page = renderMailbox({ ...view, emails: [emailWith({ text: null })], open: 1, as: 'text' });
    expect(page).toContain('<iframe');
    expect(page).not.toContain('Plain text');
    expect(renderFramedEmail(emailWith({ html: null, text: '<b>' }))).toContain('<pre>&#60;b&#62;</pre>');
  });

  it('is marked in the list', () => {
    expect(renderMailbox({ ...view, open: 2 })).toMatch(
      /href="\/_local\/mailbox\/2" aria-current="true">\s*<strong>Second/,
    );
  });
});

describe('text from others', () => {
  const hostile = `"><script>alert('x')</script>`;

  it('is always escaped', () => {
    const page = renderMailbox({
      ...view,
      emails: [
        emailWith({ subject: hostile, to: hostile, from: hostile, replyTo: [hostile], text: hostile, html: null }),
      ],
      to: hostile,
      open: 1,
    });
    expect(page).not.toContain('<script');
    expect(page).toContain('&#60;script&#62;');
  });
});
