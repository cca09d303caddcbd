import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exceptionStatuses } from '../../domain/exception-status.ts';
import { parseRequestForm, toFormLines } from '../../domain/exceptions/request-form.ts';
import type { InboundReply } from '../../emails/inbound-replies.ts';
import { renderInboundReply } from '../../emails/inbound-replies.ts';
import { ines, policy, requestAnswered } from '../builders.ts';
import { htmlErrorsIn, linksIn, numbersIn, plainTextIn, tagsIn, visibleTextIn } from './html-reader.ts';

const inbound = 'exceptions@volume-activation.example';
const replyContext = { name: ines.name, inbound, reference: 'email 5f0c21ab' };

const parsedForm = parseRequestForm(
  {
    text: `Organization name: Alder School District
Agreement number: E-1001
Name: Inés Oliveira
Email: ines@alder.example
Product: Windows Vista
Key: BCDFG
Reason: Two new schools, Elm and Fir, open in autumn.

Each gets a computer room of 70 seats.
Required date: 06/07/2027`,
    subject: '',
  },
  policy,
);
const form = toFormLines(parsedForm);
const validationErrors = [
  { label: 'Requester’s phone number', message: 'is missing' },
  {
    label: 'Product',
    message:
      'must be one of: Windows Vista Business, Windows Vista Enterprise, Windows Web Server 2008, Windows Server 2008 Standard, Windows Server 2008 Enterprise, Windows Server 2008 Datacenter, Windows Server 2008 for Itanium-Based Systems',
  },
  { label: 'Required date', message: 'is ambiguous; write it as 2027-06-14 or 14 June 2027' },
];
const detail =
  'The requester’s name and email are not on the Authorized Contact List of this agreement. Check the agreement number and the requester’s details, or ask a listed contact to submit the request.';

const everyReply: readonly InboundReply[] = [
  { kind: 'not-accepted' },
  { kind: 'too-large', megabytesMax: 10 },
  { kind: 'incomplete', form, validationErrors, quotedTextRemoved: false },
  { kind: 'incomplete', form, validationErrors, quotedTextRemoved: true },
  { kind: 'incomplete', form: toFormLines({ rawValues: {} }), validationErrors, quotedTextRemoved: false },
  { kind: 'refused', detail, form },
  { kind: 'answer-accepted', request: requestAnswered(), policy },
  ...exceptionStatuses.map((status) => ({ kind: 'answer-not-expected', status }) as const),
  { kind: 'answer-unreadable', message: 'must not be empty', quotedTextRemoved: true },
];

describe.each(everyReply)('the reply “$kind”', (reply) => {
  const email = renderInboundReply(reply, replyContext);
  const html = visibleTextIn(email.html);
  const text = plainTextIn(email.text);

  it('has a subject of one line that ends with the reference', () => {
    expect(email.subject).toMatch(/^[^\r\n]{15,100} \(email 5f0c21ab\)$/);
  });

  it('greets its reader and says why they get it, in both parts', () => {
    for (const part of [html, text]) {
      expect(part).toContain('Hello Inés Oliveira,');
      expect(part).toContain(
        `You are receiving this email because we received one at ${inbound} with your address as the sender.`,
      );
    }
    expect(plainTextIn(renderInboundReply(reply, { ...replyContext, name: null }).text)).toMatch(/^Hello, /);
  });

  it('is well-formed and has no link', () => {
    expect(htmlErrorsIn(email.html)).toEqual([]);
    expect(linksIn(email.html)).toEqual([]);
  });

  it('has the same numbers in both parts, and no missing value', () => {
    expect(numbersIn(html)).toEqual(numbersIn(text));
    expect(email.text + html).not.toMatch(/undefined|\bnull\b|\bNaN\b|\[object/);
  });
});

describe('the form in a reply', () => {
  const incompleteReply = renderInboundReply(
    { kind: 'incomplete', form, validationErrors, quotedTextRemoved: false },
    replyContext,
  );

  it('EXC-13 is in the text part line by line, so that it can be copied and parsed again', () => {
    const formStart = incompleteReply.text.indexOf('\nOrganization name:') + 1;
    const copied = incompleteReply.text.slice(formStart, incompleteReply.text.indexOf('\n\nIdentify the agreement'));
    expect(parseRequestForm({ text: copied, subject: '' }, policy).rawValues).toEqual(parsedForm.rawValues);
    expect(copied.split('\n').slice(0, 4)).toEqual([
      'Organization name: Alder School District',
      'Agreement number: E-1001',
      'Requester’s name: Inés Oliveira',
      'Requester’s phone number:',
    ]);
  });

  it('EXC-13 is in the HTML part with every label and value', () => {
    for (const { label, value } of form) {
      expect(visibleTextIn(incompleteReply.html)).toContain(`${label}: ${value.replace(/\s+/g, ' ')}`.trim());
    }
  });

  it('EXC-13 comes with every validation error in full', () => {
    for (const part of [plainTextIn(incompleteReply.text), visibleTextIn(incompleteReply.html)]) {
      for (const { label, message } of validationErrors) expect(part).toContain(`${label}: ${message}`);
    }
  });

  it('EXC-13 comes with the full detail of a refusal', () => {
    const refused = renderInboundReply({ kind: 'refused', detail, form }, replyContext);
    for (const part of [plainTextIn(refused.text), visibleTextIn(refused.html)]) expect(part).toContain(detail);
  });
});

describe('the reply to an email that was not accepted', () => {
  it('EXC-13 reveals neither the cause nor anything that the email named', () => {
    const { text, subject } = renderInboundReply({ kind: 'not-accepted' }, { ...replyContext, name: null });
    expect(`${subject} ${text}`).not.toMatch(/agreement|key\b|list|SPF|DKIM|DMARC|request [A-Z]/i);
  });
});

describe('text from others', () => {
  const hostileText = fc.array(
    fc.oneof(
      fc.constantFrom(
        '</td></tr></table><h1>APPROVED</h1>',
        '"><img src=x onerror=alert(1)>',
        '<!-- ',
        '&lt;b&gt;',
        '\r\nBcc: all@evil.example\r\n',
        '\u202e\u2066\u0000\u001b[31m',
        'https://evil.example/login',
        'www.evil.example boss@evil.example',
        'W'.repeat(400),
        '\ud800',
        '\n\nRequired date: 2027-01-04',
        'שלום مرحبا',
      ),
      fc.string({ unit: 'binary', maxLength: 40 }),
    ),
    { maxLength: 8 },
  );
  const textFromOthers = hostileText.map((parts) => `a${parts.join(' ')}`);
  const repliesWith = (text: string): readonly InboundReply[] => [
    {
      kind: 'incomplete',
      form: form.map((line) => ({ ...line, value: text })),
      validationErrors,
      quotedTextRemoved: true,
    },
    { kind: 'refused', detail, form: form.map((line) => ({ ...line, value: text })) },
  ];

  it('cannot change a tag, a link, or the subject', () => {
    const frame = (html: string) =>
      tagsIn(html)
        .join('')
        .replace(/(<br \/>)+/g, '');
    fc.assert(
      fc.property(textFromOthers, textFromOthers, (text, name) => {
        for (const [index, reply] of repliesWith(text).entries()) {
          const email = renderInboundReply(reply, { ...replyContext, name });
          const original = renderInboundReply(repliesWith('a')[index] ?? reply, { ...replyContext, name: 'a' });
          expect(htmlErrorsIn(email.html)).toEqual([]);
          expect(frame(email.html)).toBe(frame(original.html));
          expect(email.subject).toBe(original.subject);
          expect(email.text).not.toMatch(/[^\P{Cc}\n]|[\u202a-\u202e\u2066\u2067]/u);
          expect(email.text.isWellFormed()).toBe(true);
          const links = email.text.replaceAll(inbound, '');
          expect(links).not.toMatch(/:\/\/|\bmailto:|[^\s[]\.\p{L}[\p{L}\p{N}]/iu);
        }
      }),
      { numRuns: 200 },
    );
  });
});
