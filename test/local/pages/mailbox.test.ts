import { describe, expect, it } from 'vitest';
import type { MailboxMessage } from '../../../local/emulators/ses.ts';
import { findMailByNumber, renderFramedMail, renderMailbox } from '../../../local/pages/mailbox.ts';
import { mondayNine, mondayTen, tuesdayNine } from '../../instants.ts';

const mail = (facts: Partial<MailboxMessage> = {}): MailboxMessage => ({
  to: 'ann@contoso.example',
  from: 'desk@activation.example',
  replyTo: [],
  subject: 'About your request',
  text: 'Dear Ann,\n\nread https://activation.example/a?b=1&c=2 please.\n',
  html: '<!doctype html><html><head><title>a</title></head><body><a href="https://activation.example">read</a></body></html>',
  headers: {},
  messageId: '1',
  at: mondayNine,
  ...facts,
});
const first = mail({ subject: 'First', at: mondayNine });
const second = mail({ subject: 'Second', to: 'Ben@contoso.example', at: mondayTen });
const third = mail({ subject: 'Third', at: tuesdayNine });
const mails = [third, second, first];
const view = { mails, to: undefined, open: undefined, as: 'html', now: tuesdayNine } as const;

const subjects = (html: string) => [...html.matchAll(/<strong>(.*?)<\/strong>/g)].map(([, subject]) => subject);
const links = (html: string) => [...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href);

describe('the list', () => {
  it('has every mail with its addressee and its time, newest first', () => {
    const page = renderMailbox(view);
    expect(subjects(page)).toEqual(['Third', 'Second', 'First']);
    expect(page).toContain('Ben@contoso.example');
    expect(page).toContain(`<time datetime="${mondayTen}">Mon, 1 Jun 2026, 17:00</time>`);
  });

  it('counts the mails of each addressee, whatever the case, and leads to them', () => {
    const page = renderMailbox({ ...view, mails: [mail({ to: 'ANN@contoso.example' }), ...mails] });
    expect(page).toMatch(/Everybody <span>4<\/span>/);
    expect(page).toMatch(/<a href="\/_local\/mailbox\?to=ann%40contoso.example">ann@contoso.example <span>3<\/span>/);
    expect(page).toMatch(/>ben@contoso.example <span>1<\/span>/);
  });

  it('shows those to one addressee alone, and keeps to them when one is opened', () => {
    const page = renderMailbox({ ...view, to: 'BEN@contoso.example' });
    expect(subjects(page)).toEqual(['Second']);
    expect(links(page)).toContain('/_local/mailbox/2?to=BEN%40contoso.example');
  });

  it('says when there is no mail at all, and when there is none to somebody', () => {
    expect(renderMailbox({ ...view, mails: [] })).toContain('No mail yet');
    const page = renderMailbox({ ...view, to: 'nobody@contoso.example' });
    expect(page).toContain('No mail to nobody@contoso.example');
    expect(links(page)).toContain('/_local/mailbox');
  });

  it('leads to itself, to see what has come since', () => {
    expect(renderMailbox({ ...view, to: 'a+b@contoso.example', open: 2, as: 'text' })).toContain(
      '<a href="/_local/mailbox/2?to=a%2Bb%40contoso.example&#38;as=text">Reload</a>',
    );
  });
});

describe('an open mail', () => {
  it('is known by the number in which it came, which stays when more come', () => {
    expect([1, 2, 3].map((number) => findMailByNumber(mails, number)?.subject)).toEqual(['First', 'Second', 'Third']);
    expect(findMailByNumber([mail(), ...mails], 1)?.subject).toBe('First');
    for (const number of [0, 4, -1, Number.NaN]) expect(findMailByNumber(mails, number)).toBeUndefined();
  });

  it('stands in a frame that runs nothing, and from which links lead to a tab of their own', () => {
    const page = renderMailbox({ ...view, open: 2 });
    expect(page).toMatch(/<iframe [^>]*src="\/_local\/mailbox\/2\/html"/);
    expect(page).toMatch(/sandbox="allow-popups allow-popups-to-escape-sandbox"/);
    expect(renderFramedMail(second)).toContain('<head><base target="_blank"><title>a</title>');
    expect(renderFramedMail(mail({ html: '<p>Dear Ann</p>' }))).toMatch(/^<base target="_blank"><p>/);
  });

  it('can be read as its plain text, where addresses can be followed', () => {
    const page = renderMailbox({ ...view, open: 1, as: 'text' });
    expect(page).not.toContain('<iframe');
    expect(page).toContain('Dear Ann,\n\nread <a href="https://activation.example/a?b=1&#38;c=2" target="_blank"');
  });

  it('is shown in the one form that it has', () => {
    expect(renderMailbox({ ...view, mails: [mail({ html: null })], open: 1 })).toMatch(/<pre class="text">Dear Ann/);
    const page = renderMailbox({ ...view, mails: [mail({ text: null })], open: 1, as: 'text' });
    expect(page).toContain('<iframe');
    expect(page).not.toContain('As plain text');
    expect(renderFramedMail(mail({ html: null, text: '<b>' }))).toContain('<pre>&#60;b&#62;</pre>');
  });

  it('is marked in the list', () => {
    expect(renderMailbox({ ...view, open: 2 })).toMatch(
      /href="\/_local\/mailbox\/2" aria-current="true">\s*<strong>Second/,
    );
  });
});

describe('what others wrote', () => {
  const hostile = `"><script>alert('x')</script>`;

  it('is only ever text on the page', () => {
    const page = renderMailbox({
      ...view,
      mails: [mail({ subject: hostile, to: hostile, from: hostile, replyTo: [hostile], text: hostile, html: null })],
      to: hostile,
      open: 1,
    });
    expect(page).not.toContain('<script');
    expect(page).toContain('&#60;script&#62;');
  });
});
