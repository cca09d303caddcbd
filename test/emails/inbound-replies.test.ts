import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exceptionStatuses } from '../../domain/exception-status.ts';
import { parseRequestForm, toFormLines } from '../../domain/exceptions/request-form.ts';
import type { InboundReply } from '../../emails/inbound-replies.ts';
import { renderInboundReply } from '../../emails/inbound-replies.ts';
import { ines, policy, requestAnswered } from '../builders.ts';
import { htmlErrorsIn, linksIn, numbersIn, plainTextIn, tagsIn, visibleTextIn } from './html-reader.ts';

const inbound = 'exceptions@volume-activation.example';
const facts = { name: ines.name, inbound, reference: 'mail 5f0c21ab' };

const read = parseRequestForm(
  {
    text: `Organization name: Alder School District
Agreement number: E-1001
Name: Inés Oliveira
E-mail: ines@alder.example
Product: Windows Vista
Key: BCDFG
Reason: Two new schools, Elm and Fir, open in autumn.

Each gets a computer room of 70 seats.
Required date: 06/07/2027`,
    subject: '',
  },
  policy,
);
const form = toFormLines(read);
const validationErrors = [
  { label: 'Requester’s phone number', message: 'is missing' },
  {
    label: 'Product',
    message:
      'must be one of: Windows Vista Business, Windows Vista Enterprise, Windows Web Server 2008, Windows Server 2008 Standard, Windows Server 2008 Enterprise, Windows Server 2008 Datacenter, Windows Server 2008 for Itanium-Based Systems',
  },
  { label: 'Required date', message: 'could be read in two ways; write it as 2027-06-14 or 14 June 2027' },
];
const detail =
  'The requester’s name and email are not on the Authorized Contact List of this agreement. Check the agreement number and the requester’s details, or ask a listed contact to submit the request.';

const everyAnswer: readonly InboundReply[] = [
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

describe.each(everyAnswer)('the answer “$kind”', (answer) => {
  const mail = renderInboundReply(answer, facts);
  const html = visibleTextIn(mail.html);
  const text = plainTextIn(mail.text);

  it('names the mail in a subject of one line that says what it is about', () => {
    expect(mail.subject).toMatch(/^[^\r\n]{15,100} \(mail 5f0c21ab\)$/);
  });

  it('greets its reader and says why they get it, in both parts', () => {
    for (const part of [html, text]) {
      expect(part).toContain('Hello Inés Oliveira,');
      expect(part).toContain(`You get this mail because one with your address as its sender came to ${inbound}.`);
    }
    expect(plainTextIn(renderInboundReply(answer, { ...facts, name: null }).text)).toMatch(/^Hello, /);
  });

  it('is well-formed and has no link', () => {
    expect(htmlErrorsIn(mail.html)).toEqual([]);
    expect(linksIn(mail.html)).toEqual([]);
  });

  it('says the same numbers in both parts, and has no hole', () => {
    expect(numbersIn(html)).toEqual(numbersIn(text));
    expect(mail.text + html).not.toMatch(/undefined|\bnull\b|\bNaN\b|\[object/);
  });
});

describe('the form in an answer', () => {
  const answered = renderInboundReply({ kind: 'incomplete', form, validationErrors, quotedTextRemoved: false }, facts);

  it('EXC-13 stands in the text line by line, so that it can be copied and read again', () => {
    const at = answered.text.indexOf('\nOrganization name:') + 1;
    const copied = answered.text.slice(at, answered.text.indexOf('\n\nThe agreement is named'));
    expect(parseRequestForm({ text: copied, subject: '' }, policy).rawValues).toEqual(read.rawValues);
    expect(copied.split('\n').slice(0, 4)).toEqual([
      'Organization name: Alder School District',
      'Agreement number: E-1001',
      'Requester’s name: Inés Oliveira',
      'Requester’s phone number:',
    ]);
  });

  it('EXC-13 stands in the page as well, with every label and value', () => {
    for (const { label, value } of form) {
      expect(visibleTextIn(answered.html)).toContain(`${label}: ${value.replace(/\s+/g, ' ')}`.trim());
    }
  });

  it('EXC-13 comes after all that is missing or wrong, told whole', () => {
    for (const part of [plainTextIn(answered.text), visibleTextIn(answered.html)]) {
      for (const { label, message } of validationErrors) expect(part).toContain(`${label}: ${message}`);
    }
  });

  it('EXC-13 comes with the whole sentence of a refusal', () => {
    const refused = renderInboundReply({ kind: 'refused', detail, form }, facts);
    for (const part of [plainTextIn(refused.text), visibleTextIn(refused.html)]) expect(part).toContain(detail);
  });
});

describe('the answer to a mail that was not accepted', () => {
  it('EXC-13 tells nothing of why, nor of anything that the mail named', () => {
    const { text, subject } = renderInboundReply({ kind: 'not-accepted' }, { ...facts, name: null });
    expect(`${subject} ${text}`).not.toMatch(/agreement|key\b|list|SPF|DKIM|DMARC|request [A-Z]/i);
  });
});

describe('words of others', () => {
  const nasty = fc.array(
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
  const words = nasty.map((parts) => `a${parts.join(' ')}`);
  const spoiled = (word: string): readonly InboundReply[] => [
    {
      kind: 'incomplete',
      form: form.map((line) => ({ ...line, value: word })),
      validationErrors,
      quotedTextRemoved: true,
    },
    { kind: 'refused', detail, form: form.map((line) => ({ ...line, value: word })) },
  ];

  it('cannot change a tag, a link, the subject or our own words', () => {
    const frame = (html: string) =>
      tagsIn(html)
        .join('')
        .replace(/(<br \/>)+/g, '');
    fc.assert(
      fc.property(words, words, (word, name) => {
        for (const [index, answer] of spoiled(word).entries()) {
          const mail = renderInboundReply(answer, { ...facts, name });
          const calm = renderInboundReply(spoiled('a')[index] ?? answer, { ...facts, name: 'a' });
          expect(htmlErrorsIn(mail.html)).toEqual([]);
          expect(frame(mail.html)).toBe(frame(calm.html));
          expect(mail.subject).toBe(calm.subject);
          expect(mail.text).not.toMatch(/[^\P{Cc}\n]|[\u202a-\u202e\u2066\u2067]/u);
          expect(mail.text.isWellFormed()).toBe(true);
          const links = mail.text.replaceAll(inbound, '');
          expect(links).not.toMatch(/:\/\/|\bmailto:|[^\s[]\.\p{L}[\p{L}\p{N}]/iu);
        }
      }),
      { numRuns: 200 },
    );
  });
});
