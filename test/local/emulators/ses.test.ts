import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SESv2Client, SendEmailCommand, type SendEmailCommandInput } from '@aws-sdk/client-sesv2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { addDuration, type Instant } from '../../../domain/calendar/instant.ts';
import { startMailbox } from '../../../local/emulators/ses.ts';
import { mondayNine, mondayTen, nextMondayNine } from '../../instants.ts';

const ends: (() => Promise<void> | void)[] = [];
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailbox-'));
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  rmSync(folder, { recursive: true });
});

async function open(options: { folder?: string } = {}) {
  let at: Instant = mondayNine;
  const box = await startMailbox({ now: () => at, ...options });
  ends.push(() => box.stop());
  const ses = new SESv2Client({
    endpoint: box.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts: 1,
  });
  ends.push(() => ses.destroy());
  return {
    ...box,
    setTime: (to: Instant) => {
      at = to;
    },
    send: (input: Partial<SendEmailCommandInput>) =>
      ses.send(new SendEmailCommand({ FromEmailAddress: 'desk@activation.example', Content: {}, ...input })),
  };
}

const simple = (subject: string, to: string[] = ['ann@contoso.example']): Partial<SendEmailCommandInput> => ({
  Destination: { ToAddresses: to },
  Content: { Simple: { Subject: { Data: subject }, Body: { Text: { Data: 'Dear Ann' } } } },
});

const raw = (lines: string[], to?: string[]): Partial<SendEmailCommandInput> => ({
  ...(to && { Destination: { ToAddresses: to } }),
  Content: { Raw: { Data: Buffer.from(lines.join('\r\n')) } },
});

describe('an email with parts', () => {
  it('is stored as sent, with bare addresses and the time of the system’s clock', async () => {
    const { send, mails } = await open();
    const { MessageId } = await send({
      FromEmailAddress: '"Activation, Exceptions" <desk@activation.example>',
      ReplyToAddresses: ['Answers <answers@activation.example>'],
      Destination: { ToAddresses: ['Ann Ésaïe <Ann@contoso.example>'] },
      Content: {
        Simple: {
          Subject: { Data: 'Grüße, “Ann”' },
          Body: { Text: { Data: 'Dear Ann,\n\nthank you.\n' }, Html: { Data: '<p>Dear <b>Ann</b></p>' } },
          Headers: [{ Name: 'In-Reply-To', Value: '<1@contoso.example>' }],
        },
      },
    });
    expect(mails()).toEqual([
      {
        to: 'Ann@contoso.example',
        from: 'desk@activation.example',
        replyTo: ['answers@activation.example'],
        subject: 'Grüße, “Ann”',
        text: 'Dear Ann,\n\nthank you.\n',
        html: '<p>Dear <b>Ann</b></p>',
        headers: { 'In-Reply-To': '<1@contoso.example>' },
        messageId: MessageId,
        at: mondayNine,
      },
    ]);
  });

  it('has null for a body that was not sent', async () => {
    const { send, mails } = await open();
    await send(simple('text only'));
    await send({
      Destination: { ToAddresses: ['ann@contoso.example'] },
      Content: { Simple: { Subject: { Data: 'HTML only' }, Body: { Html: { Data: '<p>Dear Ann</p>' } } } },
    });
    expect(mails()).toMatchObject([
      { subject: 'HTML only', text: null, html: '<p>Dear Ann</p>' },
      { subject: 'text only', text: 'Dear Ann', html: null },
    ]);
  });
});

describe('a raw email', () => {
  it('is parsed in every encoding', async () => {
    const { send, mails } = await open();
    await send(
      raw([
        'From: "Activation, Exceptions" <desk@activation.example>',
        'To: "Isaiah, Ann" <ann@contoso.example>',
        'Reply-To: answers@activation.example',
        'Subject: =?utf-8?B?R3LDvMOfZQ==?=',
        'MIME-Version: 1.0',
        'Content-Type: multipart/alternative; boundary=b',
        '',
        '--b',
        'Content-Type: text/plain; charset=utf-8',
        'Content-Transfer-Encoding: quoted-printable',
        '',
        'Sch=C3=B6n',
        '--b',
        'Content-Type: text/html; charset=utf-8',
        '',
        '<p>Schön</p>',
        '--b--',
      ]),
    );
    expect(mails()).toMatchObject([
      {
        to: 'ann@contoso.example',
        from: 'desk@activation.example',
        replyTo: ['answers@activation.example'],
        subject: 'Grüße',
        text: 'Schön',
        html: '<p>Schön</p>',
      },
    ]);
  });

  it('goes to the recipients of the request, not to those in its header', async () => {
    const { send, mails } = await open();
    const lines = ['From: desk@activation.example', 'To: everybody@contoso.example', 'Subject: Hello', '', 'Dear Ann'];
    await send(raw(lines, ['ann@contoso.example']));
    await send(raw(lines.toSpliced(1, 1), ['bob@contoso.example']));
    expect(mails().map(({ to }) => to)).toEqual(['bob@contoso.example', 'ann@contoso.example']);
  });
});

describe('the emails of one recipient', () => {
  it('are those sent to the address, alone or with others, in any case', async () => {
    const { send, mails } = await open();
    await send(simple('to both', ['ann@contoso.example', 'bob@contoso.example']));
    await send({
      ...simple('in copy', ['bob@contoso.example']),
      Destination: { ToAddresses: ['bob@contoso.example'], CcAddresses: ['ANN@contoso.example'] },
    });
    await send({
      ...simple('in secret'),
      Destination: { BccAddresses: ['ann@contoso.example'] },
    });
    await send(simple('to another', ['joann@contoso.example']));
    expect(mails('Ann@Contoso.example').map(({ subject }) => subject)).toEqual(['in secret', 'in copy', 'to both']);
    expect(mails('bob@contoso.example').map(({ subject }) => subject)).toEqual(['in copy', 'to both']);
    expect(mails('ann')).toEqual([]);
    expect(mails()).toHaveLength(6);
  });

  it('are newest first, also if all came at the same moment or the clock was advanced by weeks', async () => {
    const { send, mails, setTime } = await open();
    for (const subject of ['1', '2', '3']) await send(simple(subject));
    setTime(nextMondayNine);
    await send(simple('4'));
    expect(mails().map(({ subject, at }) => [subject, at])).toEqual([
      ['4', nextMondayNine],
      ['3', mondayNine],
      ['2', mondayNine],
      ['1', mondayNine],
    ]);
  });

  it('are complete if many are sent at once', async () => {
    const { send, mails } = await open();
    const subjects = Array.from({ length: 40 }, (_, number) => String(number));
    await Promise.all(
      subjects.map((subject, number) =>
        send(
          number % 2 === 0
            ? simple(subject, [`${subject}@contoso.example`])
            : raw([`From: a@b.example`, `Subject: ${subject}`, '', 'x'], [`${subject}@contoso.example`]),
        ),
      ),
    );
    const received = mails();
    expect(received.map(({ subject }) => subject).toSorted()).toEqual(subjects.toSorted());
    expect(received.filter(({ to, subject }) => to !== `${subject}@contoso.example`)).toEqual([]);
  });
});

describe('an email that SES would refuse', () => {
  it.each([
    ['without a sender', { FromEmailAddress: undefined, ...simple('Hello') }],
    ['without a subject', simple('')],
    ['without any content', { Destination: { ToAddresses: ['ann@contoso.example'] } }],
  ])('%s is refused and is not in the mailbox', async (_, input) => {
    const { send, mails } = await open();
    await expect(send(input)).rejects.toMatchObject({ $metadata: { httpStatusCode: 400 } });
    expect(mails()).toEqual([]);
  });
});

describe('a mailbox that is stored in a folder', () => {
  it('has the same emails after a restart, and only its owner can read the file', async () => {
    const before = await open({ folder: join(folder, 'new') });
    await before.send(simple('before'));
    const kept = before.mails();
    await before.stop();
    const after = await open({ folder: join(folder, 'new') });
    expect(after.mails()).toEqual(kept);
    after.setTime(mondayTen);
    await after.send(simple('after'));
    expect(after.mails().map(({ subject }) => subject)).toEqual(['after', 'before']);
    expect(statSync(join(folder, 'new', 'mails.jsonl')).mode & 0o777).toBe(0o600);
  });

  it('has all emails but the one during which its process was killed, and continues', async () => {
    const before = await open({ folder });
    await before.send(simple('before'));
    await before.stop();
    appendFileSync(join(folder, 'mails.jsonl'), '{"at":"2026-03-02T09:00:00.000Z","email":{"messa');
    const after = await open({ folder });
    expect(after.mails()).toMatchObject([{ subject: 'before' }]);
    await after.send(simple('after'));
    await after.stop();
    expect((await open({ folder })).mails()).toMatchObject([{ subject: 'after' }, { subject: 'before' }]);
  });

  it('does not start from a file with other content', async () => {
    writeFileSync(join(folder, 'mails.jsonl'), '{"subject":"Hello"}\n');
    await expect(open({ folder })).rejects.toThrow(/mails\.jsonl has an entry that is not an email\. Delete the file/);
  });
});

describe('the page of the mailbox', () => {
  const shown = z.object({ emails: z.array(z.object({ subject: z.string(), at: z.number() })) });
  const show = async (endpoint: string) => shown.parse(await (await fetch(`${endpoint}/store`)).json()).emails;

  it('shows each email with the time of the system’s clock', async () => {
    const { endpoint, send, setTime } = await open();
    const page = await fetch(endpoint);
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    setTime(addDuration(mondayNine, { days: 21 }));
    await send(simple('Hello'));
    expect(await show(endpoint)).toEqual([
      { subject: 'Hello', at: Date.parse(addDuration(mondayNine, { days: 21 })) / 1000 },
    ]);
  });

  it('shows earlier emails after a restart', async () => {
    const before = await open({ folder });
    await before.send(simple('before'));
    await before.stop();
    const after = await open({ folder });
    expect(await show(after.endpoint)).toMatchObject([{ subject: 'before' }]);
  });

  it('deletes all emails with Clear, and continues', async () => {
    const { endpoint, send, mails } = await open({ folder });
    await send(simple('gone'));
    await fetch(`${endpoint}/clear-store`, { method: 'POST' });
    expect(mails()).toEqual([]);
    expect(readFileSync(join(folder, 'mails.jsonl'), 'utf8')).toBe('');
    await send(simple('kept'));
    expect(mails()).toMatchObject([{ subject: 'kept' }]);
  });

  it('stops only after an email that is being received', async () => {
    const { send, mails, stop } = await open();
    const sent = await Promise.allSettled([...Array.from({ length: 5 }, (_, n) => send(simple(String(n)))), stop()]);
    const taken = sent.filter(({ status }) => status === 'fulfilled').length - 1;
    expect(mails().length).toBeGreaterThanOrEqual(taken);
  });

  it('is gone after the mailbox is stopped, once or twice; the emails are not', async () => {
    const { endpoint, send, mails, stop } = await open();
    await send(simple('Hello'));
    await Promise.all([stop(), stop()]);
    await stop();
    await expect(fetch(endpoint)).rejects.toThrow('fetch failed');
    expect(mails()).toMatchObject([{ subject: 'Hello' }]);
  });
});
