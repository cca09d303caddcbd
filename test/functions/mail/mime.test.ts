import { describe, expect, it } from 'vitest';
import { extractReplyText } from '../../../domain/exceptions/reply-text.ts';
import { parseRequestForm, toRequestBody } from '../../../domain/exceptions/request-form.ts';
import type { ParsedMessage } from '../../../functions/mail/mime.ts';
import { mailBytesMax, messageHeaderOf, parseMessage } from '../../../functions/mail/mime.ts';
import { policy } from '../../builders.ts';
import { aMail, mailFile } from '../../fixtures/mails.ts';

async function reading(raw: Buffer): Promise<ParsedMessage> {
  const read = await parseMessage(raw);
  if (read === 'unreadable') throw new Error('The mail could not be read.');
  return read;
}

const intakeIn = async (name: string) => toRequestBody(parseRequestForm(await reading(mailFile(name)), policy).form);

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

describe('a mail with a complete form', () => {
  it.each(['plain', 'html-only', 'outlook-reply', 'attachments', 'below-the-quotation'])(
    'EXC-13 is read the same however it was written: %s',
    async (name) => {
      expect(await intakeIn(name)).toMatchObject(form);
      expect(await reading(mailFile(name))).toMatchObject({ from: 'ines@alder.example', isAutomatic: false });
    },
  );

  it.each<[name: string, facts: object]>([
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
  ])('EXC-13 is read in its encoding and character set: %s', async (name, facts) => {
    expect(await intakeIn(name)).toEqual({
      ...form,
      kind: 'MAKADD',
      ...facts,
    });
  });

  it('EXC-13 is read in other cases, with a subject and a name that are encoded', async () => {
    const { from, subject } = await reading(mailFile('base64'));
    expect({ from, subject }).toEqual({ from: 'ines@alder.example', subject: 'Mais ativações (MAKADD)' });
    expect(await intakeIn('base64')).toMatchObject({
      agreementNumber: 'E-1001',
      activationsRequested: 150,
      kind: 'MAKADD',
    });
  });

  it('EXC-13 is read in any order, as the published list puts the fields', async () => {
    expect(await intakeIn('any-order')).toEqual({
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

  it.each(['quoted-only', 'empty', 'no-text'])('EXC-13 is not there: %s', async (name) => {
    const { kind: _, ...read } = await intakeIn(name);
    expect(read).toEqual({ requester: {} });
  });
});

describe('an answer', () => {
  it('EXC-14 is what was written above the history', async () => {
    const { text } = await reading(mailFile('answer'));
    expect(extractReplyText(text).text).toBe('Elm and Fir.\nElm has 80 seats, Fir has 70.\n\nInés');
    expect(extractReplyText((await reading(mailFile('answer-with-history'))).text).text).toBe('Elm and Fir.');
  });
});

describe('the sender', () => {
  const from = async (...lines: readonly string[]) => (await reading(aMail([...lines, 'Subject: x'], 'hi'))).from;

  it.each([
    ['ines@alder.example'],
    ['<Ines@Alder.Example>'],
    ['Inés Oliveira <ines@alder.example>'],
    ['"Oliveira, Inés" <ines@alder.example>'],
    ['"a@b.example" <ines@alder.example>'],
    ['"\\"Inés\\" <x@y.example>" <ines@alder.example>'],
    ['=?utf-8?q?In=C3=A9s?= =?utf-8?q?_Oliveira?= <ines@alder.example>'],
    ['Inés Oliveira\r\n\t<ines@alder.example>'],
  ])('EXC-13 is the one address of the header: %s', async (value) => {
    expect(await from(`From: ${value}`)).toBe('ines@alder.example');
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
  ])('EXC-13 is nobody where two programs could read two: %s', async (value) => {
    expect(await from(`From: ${value}`)).toBeNull();
  });

  it('EXC-13 is nobody where the header is there twice, or not', async () => {
    expect(await from('From: ines@alder.example', 'From: jorge@alder.example')).toBeNull();
    expect(await from('From: ines@alder.example', 'FROM : ines@alder.example')).toBeNull();
    expect(await from('From: ines@alder.example', '\u00a0From: jorge@alder.example')).toBeNull();
    expect(await from('Sender: ines@alder.example')).toBeNull();
  });
});

describe('a machine’s mail', () => {
  it.each(['out-of-office', 'bounce', 'mailing-list'])('is known as such: %s', async (name) => {
    expect((await reading(mailFile(name))).isAutomatic).toBe(true);
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
  ])('is known by its header %s', async (line) => {
    expect((await reading(aMail(['From: ines@alder.example', line], 'hi'))).isAutomatic).toBe(true);
  });

  it.each(['mailer-daemon', 'MAILER-DAEMON', 'postmaster', 'no-reply', 'noreply+7', 'bounces-1'])(
    'is known by its sender %s',
    async (local) => {
      expect((await reading(aMail([`From: ${local}@alder.example`], 'hi'))).isAutomatic).toBe(true);
    },
  );

  it.each([
    ['Auto-Submitted: no'],
    ['Precedence: normal'],
    ['X-Auto-Response-Suppress: None'],
    ['Return-Path: <ines@alder.example>'],
    ['X-Mailer: List mailer'],
  ])('is not a person’s with the header %s', async (line) => {
    expect((await reading(aMail(['From: postmasters@alder.example', line], 'hi'))).isAutomatic).toBe(false);
  });
});

describe('the identity of a mail', () => {
  it('EXC-13 is the same however it is delivered', async () => {
    const raw = mailFile('plain');
    const again = Buffer.concat([Buffer.from('Received: by another; Tue, 2 Jun 2026 10:00:00 +0000\r\n'), raw]);
    expect((await reading(again)).identity).toEqual((await reading(raw)).identity);
  });

  it('EXC-13 is another with another text, subject, sender, date or id', async () => {
    const identities = await Promise.all(
      [
        {},
        { '150': '151' },
        { 'two new': 'three' },
        { 'ines@': 'jorge@' },
        { '1 Jun': '2 Jun' },
        { '<plain@': '<other@' },
      ].map(async (change) => JSON.stringify((await reading(mailFile('plain', change))).identity)),
    );
    expect(new Set(identities).size).toBe(6);
  });
});

describe('a mail beyond what mails are', () => {
  const head = ['From: ines@alder.example', 'MIME-Version: 1.0'];
  const text = 'Content-Type: text/plain';

  it('is not read when it is larger than the bound, and is at the bound', async () => {
    const atBound = aMail([...head, text], '');
    const filler = `${'x'.repeat(98)}\r\n`
      .repeat(Math.ceil(mailBytesMax / 100))
      .slice(0, mailBytesMax - atBound.length);
    expect((await reading(aMail([...head, text], filler))).text.length).toBeGreaterThan(10_000_000);
    expect(await parseMessage(aMail([...head, text], `${filler}x`))).toBe('unreadable');
  });

  it('is not read with more lines than an attachment of that size has', async () => {
    expect(await parseMessage(aMail([...head, text], '\n'.repeat(300_000)))).toBe('unreadable');
    expect((await reading(aMail([...head, text], '\n'.repeat(150_000)))).text.trim()).toBe('');
  });

  it('is not read when parts are nested in parts without end', async () => {
    let bomb = '';
    for (let depth = 0; depth < 5_000; depth += 1) {
      bomb += `--b${depth}\r\nContent-Type: multipart/mixed; boundary=b${depth + 1}\r\n\r\n`;
    }
    expect(await parseMessage(aMail([...head, 'Content-Type: multipart/mixed; boundary=b0'], bomb))).toBe('unreadable');
  });

  it('is not read with thousands of parts beside each other, and is with dozens', async () => {
    const parts = (count: number) => '--b\r\nContent-Type: image/png\r\n\r\nx\r\n'.repeat(count);
    const mixed = [...head, 'Content-Type: multipart/mixed; boundary=b'];
    expect(await parseMessage(aMail(mixed, parts(10_000)))).toBe('unreadable');
    expect((await reading(aMail(mixed, `--b\r\n\r\nhello\r\n${parts(50)}--b--`))).text.trim()).toBe('hello');
  });

  it('is not read with a header longer than any mail system makes', async () => {
    expect(
      await parseMessage(aMail([...Array.from({ length: 5_000 }, () => `X-A: ${'b'.repeat(60)}`), ...head], 'x')),
    ).toBe('unreadable');
  });

  it('is not read into a mail that it carries', async () => {
    const inner = `From: jorge@alder.example\r\nSubject: inner\r\n\r\nProduct: inner`;
    const mixed = [...head, 'Content-Type: multipart/mixed; boundary=b'];
    const raw = aMail(mixed, `--b\r\n\r\nouter\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n${inner}\r\n--b--`);
    expect((await reading(raw)).text.trim()).toBe('outer');
  });

  it.each([
    ['without end', '<b>'.repeat(80_000)],
    ['of quotations', `${'<blockquote>'.repeat(9_000)}x`],
    ['that is too long', `<p>${'x'.repeat(300_000)}</p>`],
  ])('has no text when its laid-out text is nested or long %s', async (_, html) => {
    expect((await reading(aMail([...head, 'Content-Type: text/html'], html))).text.replace(/[\s>]/g, '')).toBe('');
  });

  it('is read as far as it can be when it is only broken', async () => {
    const raw = aMail(
      [...head, 'Content-Type: text/plain; charset=x-unknown', 'Content-Transfer-Encoding: base65'],
      'Product: x',
    );
    expect((await reading(raw)).text).toBe('Product: x');
    expect((await reading(Buffer.from(''))).from).toBeNull();
    expect((await reading(Buffer.from('\u0000\u0001 not a mail \r\n\r\n'))).from).toBeNull();
  });

  it('still tells from its header alone who sent it', async () => {
    const raw = aMail([...head, 'Subject: large', 'Auto-Submitted: auto-replied'], 'x'.repeat(1_000_000));
    expect(messageHeaderOf(raw).length).toBeLessThan(200);
    expect(await reading(messageHeaderOf(raw))).toMatchObject({
      from: 'ines@alder.example',
      subject: 'large',
      isAutomatic: true,
    });
  });
});
