import { describe, expect, it } from 'vitest';
import { extractReplyText } from '../../../domain/exceptions/reply-text.ts';
import { parseRequestForm, toRequestBody } from '../../../domain/exceptions/request-form.ts';
import type { ParsedMessage } from '../../../functions/mail/mime.ts';
import { mailBytesMax, messageHeaderOf, parseMessage } from '../../../functions/mail/mime.ts';
import { policy } from '../../builders.ts';
import { aMail, mailFile } from '../../fixtures/mails.ts';

async function parse(raw: Buffer): Promise<ParsedMessage> {
  const message = await parseMessage(raw);
  if (message === 'unreadable') throw new Error('The email is unreadable.');
  return message;
}

const parseFormOf = async (name: string) => toRequestBody(parseRequestForm(await parse(mailFile(name)), policy).form);

const form = {
  organizationName: 'Alder School District',
  agreementNumber: 'E-1001',
  requester: { name: 'Inés Oliveira', phone: '+1 425 555 0101', email: 'ines@alder.example' },
  product: 'windows-vista-business',
  keyLastFive: 'BCDFG',
  activationsRequested: 150,
  businessReason: 'Two new schools open in autumn.',
  requiredDate: '2027-01-04',
};

describe('an email with a complete form', () => {
  it.each(['plain', 'html-only', 'outlook-reply', 'attachments', 'below-the-quotation'])(
    'EXC-13 is parsed alike from any email program: %s',
    async (name) => {
      expect(await parseFormOf(name)).toMatchObject(form);
      expect(await parse(mailFile(name))).toMatchObject({ from: 'ines@alder.example', isAutomatic: false });
    },
  );

  it.each<[name: string, values: object]>([
    ['quoted-printable', {}],
    ['flowed', { businessReason: 'Two new schools, Elm and Fir, open in autumn.' }],
    ['iso-8859-1', { businessReason: 'Duas escolas novas: São João e Fénix.' }],
    ['windows-1252', { businessReason: 'Two new schools – “Elm” and “Fir” – cost 500 €.' }],
    ['utf-16', { businessReason: 'Δύο νέα σχολεία.' }],
    [
      'koi8-r',
      {
        requester: { ...form.requester, name: 'Инес Оливейра' },
        businessReason: 'Две новые школы открываются осенью.',
      },
    ],
    [
      'shift-jis',
      {
        requester: { ...form.requester, name: 'イネス・オリヴェイラ' },
        businessReason: '秋に二つの学校が開校します。',
      },
    ],
  ])('EXC-13 is parsed in its encoding and character set: %s', async (name, values) => {
    expect(await parseFormOf(name)).toEqual({
      ...form,
      kind: 'MAKADD',
      ...values,
    });
  });

  it('EXC-13 is parsed with labels in any case, and with an encoded subject and name', async () => {
    const { from, subject } = await parse(mailFile('base64'));
    expect({ from, subject }).toEqual({ from: 'ines@alder.example', subject: 'Mais ativações (MAKADD)' });
    expect(await parseFormOf('base64')).toMatchObject({
      agreementNumber: 'E-1001',
      activationsRequested: 150,
      kind: 'MAKADD',
    });
  });

  it('EXC-13 is parsed in any order of the fields', async () => {
    expect(await parseFormOf('any-order')).toEqual({
      organizationName: 'Alder School District',
      authorizationNumber: '98765432ZZZ',
      licenseNumber: '12345678',
      requester: form.requester,
      product: 'windows-vista-enterprise',
      keyLastFive: 'bcdfg',
      activationsRequested: 1500,
      businessReason:
        'Two new schools, Elm and Fir, open in autumn.\n\nNote: each gets a computer room of 70 seats.\nThe rooms must be ready a week before term begins.',
      requiredDate: '2027-06-14',
      language: 'pt',
      noticesCorrespondent: { name: 'Noor Haddad', phone: '+1 425 555 0103', email: 'noor@alder.example' },
    });
  });

  it.each(['quoted-only', 'empty', 'no-text'])('EXC-13 is empty without a form: %s', async (name) => {
    const { kind: _, ...body } = await parseFormOf(name);
    expect(body).toEqual({ requester: {} });
  });
});

describe('an answer to a question', () => {
  it('EXC-14 is the text above the quoted email', async () => {
    const { text } = await parse(mailFile('answer'));
    expect(extractReplyText(text).text).toBe('Elm and Fir.\nElm has 80 seats, Fir has 70.\n\nInés');
    expect(extractReplyText((await parse(mailFile('answer-with-history'))).text).text).toBe('Elm and Fir.');
  });
});

describe('the sender of an email', () => {
  const senderOf = async (...lines: readonly string[]) => (await parse(aMail([...lines, 'Subject: x'], 'hi'))).from;

  it.each([
    ['ines@alder.example'],
    ['<Ines@Alder.Example>'],
    ['Inés Oliveira <ines@alder.example>'],
    ['"Oliveira, Inés" <ines@alder.example>'],
    ['"a@b.example" <ines@alder.example>'],
    ['"\\"Inés\\" <x@y.example>" <ines@alder.example>'],
    ['=?utf-8?q?In=C3=A9s?= =?utf-8?q?_Oliveira?= <ines@alder.example>'],
    ['Inés Oliveira\r\n\t<ines@alder.example>'],
  ])('EXC-13 is the address in the header: %s', async (value) => {
    expect(await senderOf(`From: ${value}`)).toBe('ines@alder.example');
  });

  it.each([
    ['ines@alder.example, jorge@alder.example'],
    ['<jorge@alder.example> <ines@alder.example>'],
    ['ines@alder.example <jorge@alder.example>'],
    ['ines@alder.example (jorge@alder.example)'],
    ['Alder: ines@alder.example;'],
    ['Inés Oliveira, <ines@alder.example>'],
    ['Inés Oliveira'],
    ['ines@jorge@alder.example'],
    ['"ines@alder.example'],
    ['<ines@alder.example'],
    [''],
    [`${'a'.repeat(1_000)} <ines@alder.example>`],
  ])('EXC-13 is null if two programs could read different addresses: %s', async (value) => {
    expect(await senderOf(`From: ${value}`)).toBeNull();
  });

  it('EXC-13 is null if the header is missing or present twice', async () => {
    expect(await senderOf('From: ines@alder.example', 'From: jorge@alder.example')).toBeNull();
    expect(await senderOf('From: ines@alder.example', 'FROM : ines@alder.example')).toBeNull();
    expect(await senderOf('From: ines@alder.example', '\u00a0From: jorge@alder.example')).toBeNull();
    expect(await senderOf('Sender: ines@alder.example')).toBeNull();
  });
});

describe('an automatic email', () => {
  it.each(['out-of-office', 'bounce', 'mailing-list'])('is recognized: %s', async (name) => {
    expect((await parse(mailFile(name))).isAutomatic).toBe(true);
  });

  it.each([
    ['Auto-Submitted: auto-generated'],
    ['auto-submitted: Auto-Replied (vacation)'],
    ['Precedence: bulk'],
    ['Precedence: auto_reply'],
    ['X-Auto-Response-Suppress: DR, OOF, AutoReply'],
    ['X-Auto-Response-Suppress: All'],
    ['List-Id: <a.b.example>'],
    ['List-Unsubscribe: <mailto:a@b.example>'],
    ['X-Autoreply: yes'],
    ['Return-Path: <>'],
    ['Content-Type: multipart/report; boundary=a'],
  ])('is recognized by its header %s', async (line) => {
    expect((await parse(aMail(['From: ines@alder.example', line], 'hi'))).isAutomatic).toBe(true);
  });

  it.each(['mailer-daemon', 'MAILER-DAEMON', 'postmaster', 'no-reply', 'noreply+7', 'bounces-1'])(
    'is recognized by its sender %s',
    async (local) => {
      expect((await parse(aMail([`From: ${local}@alder.example`], 'hi'))).isAutomatic).toBe(true);
    },
  );

  it.each([
    ['Auto-Submitted: no'],
    ['Precedence: normal'],
    ['X-Auto-Response-Suppress: None'],
    ['Return-Path: <ines@alder.example>'],
    ['X-Mailer: List mailer'],
  ])('is not one with the header %s', async (line) => {
    expect((await parse(aMail(['From: postmasters@alder.example', line], 'hi'))).isAutomatic).toBe(false);
  });
});

describe('the identity of an email', () => {
  it('EXC-13 is the same for every delivery', async () => {
    const raw = mailFile('plain');
    const copy = Buffer.concat([Buffer.from('Received: by another; Tue, 2 Jun 2026 10:00:00 +0000\r\n'), raw]);
    expect((await parse(copy)).identity).toEqual((await parse(raw)).identity);
  });

  it('EXC-13 differs with the text, subject, sender, date, or id', async () => {
    const identities = await Promise.all(
      [
        {},
        { '150': '151' },
        { 'two new': 'three' },
        { 'ines@': 'jorge@' },
        { '1 Jun': '2 Jun' },
        { '<plain@': '<other@' },
      ].map(async (change) => JSON.stringify((await parse(mailFile('plain', change))).identity)),
    );
    expect(new Set(identities).size).toBe(6);
  });
});

describe('an email beyond the limits', () => {
  const head = ['From: ines@alder.example', 'MIME-Version: 1.0'];
  const text = 'Content-Type: text/plain';

  it('is unreadable above the maximum size, and readable at it', async () => {
    const withoutText = aMail([...head, text], '');
    const filler = `${'x'.repeat(98)}\r\n`
      .repeat(Math.ceil(mailBytesMax / 100))
      .slice(0, mailBytesMax - withoutText.length);
    expect((await parse(aMail([...head, text], filler))).text.length).toBeGreaterThan(10_000_000);
    expect(await parseMessage(aMail([...head, text], `${filler}x`))).toBe('unreadable');
  });

  it('is unreadable with more lines than an attachment of the maximum size has', async () => {
    expect(await parseMessage(aMail([...head, text], '\n'.repeat(300_000)))).toBe('unreadable');
    expect((await parse(aMail([...head, text], '\n'.repeat(150_000)))).text.trim()).toBe('');
  });

  it('is unreadable with deeply nested parts', async () => {
    let bomb = '';
    for (let depth = 0; depth < 5_000; depth += 1) {
      bomb += `--b${depth}\r\nContent-Type: multipart/mixed; boundary=b${depth + 1}\r\n\r\n`;
    }
    expect(await parseMessage(aMail([...head, 'Content-Type: multipart/mixed; boundary=b0'], bomb))).toBe('unreadable');
  });

  it('is unreadable with thousands of parts, and readable with dozens', async () => {
    const parts = (count: number) => '--b\r\nContent-Type: image/png\r\n\r\nx\r\n'.repeat(count);
    const mixed = [...head, 'Content-Type: multipart/mixed; boundary=b'];
    expect(await parseMessage(aMail(mixed, parts(10_000)))).toBe('unreadable');
    expect((await parse(aMail(mixed, `--b\r\n\r\nhello\r\n${parts(50)}--b--`))).text.trim()).toBe('hello');
  });

  it('is unreadable with a header longer than any mail server writes', async () => {
    expect(
      await parseMessage(aMail([...Array.from({ length: 5_000 }, () => `X-A: ${'b'.repeat(60)}`), ...head], 'x')),
    ).toBe('unreadable');
  });

  it('is read without the text of an attached email', async () => {
    const inner = `From: jorge@alder.example\r\nSubject: inner\r\n\r\nProduct: inner`;
    const mixed = [...head, 'Content-Type: multipart/mixed; boundary=b'];
    const raw = aMail(mixed, `--b\r\n\r\nouter\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n${inner}\r\n--b--`);
    expect((await parse(raw)).text.trim()).toBe('outer');
  });

  it.each([
    ['nested too deeply', '<b>'.repeat(80_000)],
    ['nested quotations', `${'<blockquote>'.repeat(9_000)}x`],
    ['too long', `<p>${'x'.repeat(300_000)}</p>`],
  ])('has no text if its HTML is %s', async (_, html) => {
    expect((await parse(aMail([...head, 'Content-Type: text/html'], html))).text.replace(/[\s>]/g, '')).toBe('');
  });

  it('is read as far as possible if it is malformed', async () => {
    const raw = aMail(
      [...head, 'Content-Type: text/plain; charset=x-unknown', 'Content-Transfer-Encoding: base65'],
      'Product: x',
    );
    expect((await parse(raw)).text).toBe('Product: x');
    expect((await parse(Buffer.from(''))).from).toBeNull();
    expect((await parse(Buffer.from('\u0000\u0001 not an email \r\n\r\n'))).from).toBeNull();
  });

  it('has a sender and a subject in its header alone', async () => {
    const raw = aMail([...head, 'Subject: large', 'Auto-Submitted: auto-replied'], 'x'.repeat(1_000_000));
    expect(messageHeaderOf(raw).length).toBeLessThan(200);
    expect(await parse(messageHeaderOf(raw))).toMatchObject({
      from: 'ines@alder.example',
      subject: 'large',
      isAutomatic: true,
    });
  });
});
