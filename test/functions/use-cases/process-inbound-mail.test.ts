import { beforeEach, describe, expect, it } from 'vitest';
import { addDuration, instant } from '../../../domain/calendar/instant.ts';
import { askQuestion, withdrawRequest } from '../../../domain/exceptions/request.ts';
import type { Email } from '../../../emails/layout.ts';
import { SendThrottledError } from '../../../emails/send.ts';
import { replyAddressFor } from '../../../functions/mail/reply-address.ts';
import type { Mailer } from '../../../functions/runtime/mailer.ts';
import type { InboundMessage, IntakeResult } from '../../../functions/use-cases/process-inbound-mail.ts';
import { processInboundMail } from '../../../functions/use-cases/process-inbound-mail.ts';
import { changeContacts, registerAgreement } from '../../../store/agreements.ts';
import type { Store } from '../../../store/dynamodb/table.ts';
import { findException, listExceptions, transitionException } from '../../../store/exceptions.ts';
import { issueMak } from '../../../store/keys.ts';
import { listLedgerEntries } from '../../../store/ledger.ts';
import type { WorkflowClient } from '../../../workflows/client.ts';
import { anAgreement, context, expectAccepted, ines, productKey, reviewer, jorge } from '../../builders.ts';
import { aMail, mailFile } from '../../fixtures/mails.ts';
import { mondayNine, mondayTen, tuesdayTen } from '../../instants.ts';
import { scanAllItems, startTestDynamoDb } from '../../store/dynamodb.ts';

const engine = await startTestDynamoDb();

const inbound = 'exceptions@volume-activation.example';
/** Ends in BCDFG, as the mails say. */
const makKey = productKey(15_052);
/** Ends in BCDFH. */
const kmsKey = productKey(15_053);

type SentMail = { readonly to: string; readonly replyTo: string | undefined; readonly mail: Email };

let store: Store;
let started: string[];
let sent: SentMail[];
/** What SES does with the next mails. */
let sending: () => void;

beforeEach(async () => {
  store = await engine.newStore();
  started = [];
  sent = [];
  sending = () => undefined;
  const agreement = anAgreement();
  expectAccepted(
    await registerAgreement(
      store,
      agreement,
      () => kmsKey,
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  expectAccepted(
    await issueMak(
      store,
      agreement,
      { productGroup: 'client', drawKey: () => makKey },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine }),
    ),
  );
});

const workflows: WorkflowClient = {
  start: async ({ exceptionId }) => {
    started.push(exceptionId);
    return 'started';
  },
  resume: async () => 'resumed',
  isRunning: async () => true,
};

const mailing: Mailer = {
  send: async (mail, to, options) => {
    sending();
    sent.push({ to, mail, replyTo: options?.replyTo });
    return { sent: true, messageId: 'm' };
  },
  addresses: {
    MAIL_FROM: 'Volume Activation <no-reply@volume-activation.example>',
    MAIL_TEAM: 'team@volume-activation.example',
    MAIL_SUPERVISORS: 'supervisors@volume-activation.example',
    MAIL_INBOUND: inbound,
    PUBLIC_URL: 'https://volume-activation.example',
  },
};

function receive(raw: Buffer, facts: Partial<InboundMessage> = {}, now = mondayTen): Promise<IntakeResult> {
  const envelope = { from: ines.email, to: [inbound] };
  return processInboundMail(
    { raw, isComplete: true, envelope, isVerified: true, ...facts },
    { store, workflowClient: workflows, mailer: mailing },
    now,
  );
}

async function requests() {
  return (await listExceptions(store, { status: null, agreementIds: ['E-1001'] }, { limit: 100, after: null })).items;
}

/** The one answer that was sent, in one line. */
function answer(): SentMail & { readonly prose: string } {
  const [only, ...more] = sent;
  if (only === undefined || more.length > 0) throw new Error(`Not one mail was sent, but ${sent.length}.`);
  return { ...only, prose: only.mail.text.replace(/\s+/g, ' ') };
}

describe('a complete request by mail', () => {
  it('EXC-13 is taken as one through the portal is, and its workflow started', async () => {
    const became = await receive(mailFile('plain'));
    const [request] = await requests();
    expect(became).toMatchObject({ kind: 'accepted', exceptionId: request?.exceptionId });
    expect(request?.exceptionId).toMatch(/^EX-/);
    expect(request?.form).toEqual({
      kind: 'MAKADD',
      organizationName: 'Alder School District',
      agreementNumber: 'E-1001',
      requester: ines,
      product: 'windows-vista-business',
      keyLastFive: 'BCDFG',
      activationsRequested: 150,
      businessReason: 'Two new schools open in autumn.',
      requiredDate: '2027-01-04',
      language: 'en',
      noticesCorrespondent: null,
    });
    expect(started).toEqual([request?.exceptionId]);
  });

  it('EXC-13 is acknowledged by the letter that every request is, and by no other', async () => {
    await receive(mailFile('plain'));
    const [request] = await requests();
    expect(request?.pendingNotifications.map(({ kind, to }) => ({ kind, to }))).toEqual([
      { kind: 'received', to: 'requester' },
    ]);
    expect(sent).toEqual([]);
  });

  it('LED-1 says in its history who sent it', async () => {
    const became = await receive(mailFile('plain'));
    const exceptionId = 'exceptionId' in became ? became.exceptionId : '';
    const { items } = await listLedgerEntries(store, `EXCEPTION#${exceptionId}`, { limit: 10, after: null });
    expect(items).toMatchObject([{ actor: ines.email, action: 'received' }]);
  });

  it.each([
    ['more for us', 'BCDFG', 'MAKADD'],
    ['more for us', 'BCDFH', 'KMSADD'],
  ])('EXC-13 is of its key’s kind when it says none: %s, %s', async (subject, lastFive, kind) => {
    const product = kind === 'KMSADD' ? 'Windows Server 2008 Standard' : 'Windows Vista Business';
    const replace = { 'MAKADD for two new schools': subject, BCDFG: lastFive, 'Windows Vista Business': product };
    expect(await receive(mailFile('plain', replace))).toMatchObject({ kind: 'accepted' });
    expect((await requests())[0]?.form.kind).toBe(kind);
  });
});

describe('the same mail, delivered again', () => {
  it('EXC-13 makes one request, though each delivery adds its own lines', async () => {
    await receive(mailFile('plain'));
    const again = Buffer.concat([
      Buffer.from('Received: by a detour; Tue, 2 Jun 2026 10:00:00 +0000\r\n'),
      mailFile('plain'),
    ]);
    expect(await receive(again, {}, tuesdayTen)).toEqual({ kind: 'ignored', because: 'duplicate' });
    expect(await requests()).toHaveLength(1);
    expect(sent).toEqual([]);
  });

  it('EXC-13 makes one request and one answer when both come at once', async () => {
    const same = (name: string) => Promise.all([1, 2, 3].map(() => receive(mailFile(name))));
    const again = { kind: 'ignored', because: 'duplicate' };
    expect((await same('incomplete')).filter(({ kind: is }) => is === 'incomplete')).toHaveLength(1);
    expect(await same('incomplete')).toEqual([again, again, again]);
    expect(sent).toHaveLength(1);
    expect((await same('plain')).filter(({ kind: is }) => is === 'accepted')).toHaveLength(1);
    expect(await requests()).toHaveLength(1);
  });

  it('EXC-13 makes one request even after the mail itself is forgotten', async () => {
    await receive(mailFile('plain'));
    expect(await receive(mailFile('plain'), {}, addDuration(mondayTen, { days: 15 }))).toMatchObject({
      kind: 'accepted',
    });
    expect(await requests()).toHaveLength(1);
  });

  it('is seen to once more when the first time came to nothing', async () => {
    sending = () => {
      throw new SendThrottledError('too many just now');
    };
    await expect(receive(mailFile('incomplete'))).rejects.toThrow(SendThrottledError);
    sending = () => undefined;
    expect(await receive(mailFile('incomplete'))).toMatchObject({ kind: 'incomplete' });
    expect(sent).toHaveLength(1);
  });

  it('EXC-5 is not another mail for the same key: that one is refused and names the open request', async () => {
    await receive(mailFile('plain'));
    expect(await receive(mailFile('plain', { '<plain@': '<second@' }))).toMatchObject({
      kind: 'refused',
      code: 'exception-already-open',
    });
    const [request] = await requests();
    expect(answer().prose).toContain(`Request ${request?.exceptionId} is already open for the key ending in BCDFG.`);
  });
});

describe('an incomplete request by mail', () => {
  it('EXC-13 is answered with the form, filled in as far as it was, and all that is missing or wrong at once', async () => {
    expect(await receive(mailFile('incomplete'))).toMatchObject({ kind: 'incomplete' });
    const { to, replyTo, mail, prose } = answer();
    expect({ to, replyTo }).toEqual({ to: ines.email, replyTo: inbound });
    expect(prose).toMatch(
      /Requester’s phone number: is missing - Product: must be one of: Windows Vista Business, .* - Number of activations requested: must be a whole number, such as 1500 - Business reason for request: is missing - Required date: could be read in two ways/,
    );
    const filledIn = mail.text.slice(mail.text.indexOf('\nOrganization name:') + 1).split('\n\n')[0];
    expect(filledIn).toBe(`Organization name: Alder School District
Agreement number: E-1001
Requester’s name: Inés Oliveira
Requester’s phone number:
Requester’s e-mail address: ines@alder.example
Product: Windows Vista
Last five digits of product key: BCDFG
Number of activations requested: about 150
Business reason for request:
Required date: 06/07/2027`);
    expect(await requests()).toEqual([]);
  });

  it('EXC-13 can be completed and sent back: the form that was sent is read as it stands', async () => {
    await receive(mailFile('incomplete'));
    const completed = answer()
      .mail.text.slice(answer().mail.text.indexOf('\nOrganization name:'))
      .split('\n\n')[0]
      ?.replace('phone number:', 'phone number: +1 425 555 0101')
      .replace('Windows Vista', 'Windows Vista Enterprise')
      .replace('about ', '')
      .replace('for request:', 'for request: Two new schools.')
      .replace('06/07/2027', '6 July 2027');
    const raw = aMail(['From: ines@alder.example', 'Content-Type: text/plain; charset=utf-8'], completed);
    expect(await receive(raw)).toMatchObject({ kind: 'accepted' });
  });

  it.each(['empty', 'no-text', 'quoted-only'])('EXC-13 is one with nothing in it as well: %s', async (name) => {
    expect(await receive(mailFile(name))).toMatchObject({ kind: 'incomplete' });
    expect(answer().prose).toContain('Agreement number: is missing');
    expect(answer().prose.includes('quoted text and earlier mails')).toBe(name === 'quoted-only');
  });

  it('EXC-1 is one that asks for more than any form takes', async () => {
    await receive(mailFile('plain', { 'requested: 150': 'requested: 100001' }));
    expect(answer().prose).toContain('Number of activations requested: must be at most 100000;');
    await receive(mailFile('plain', { 'requested: 150': 'requested: 100000', '<plain': '<most' }));
    expect(await requests()).toHaveLength(1);
  });

  it('AGR-1 is one with the numbers of two programs', async () => {
    await receive(mailFile('plain', { 'Product:': 'License number: 1\nProduct:' }));
    expect(answer().prose).toMatch(/Agreement number: does not belong here.*Authorization number: is missing/);
  });
});

describe('a complete request that the rules refuse', () => {
  it.each<[code: string, replace: Record<string, string>, sentence: string]>([
    ['not-an-exception', { 'requested: 150': 'requested: 100' }, 'Ask there for 100 more.'],
    ['key-not-found', { BCDFG: 'XXXXX' }, 'No key of this agreement ends in XXXXX.'],
    ['product-not-covered', { 'Vista Business': 'Web Server 2008' }, 'Windows Web Server 2008'],
    ['wrong-key-type', { 'MAKADD for': 'KMSADD for' }, 'is a MAK key; ask for it by MAKADD.'],
    ['requester-not-authorized', { 'name: Inés Oliveira': 'name: Ian Oliver' }, 'let a listed contact ask.'],
    ['requester-not-authorized', { 'E-1001': 'E-9999' }, 'let a listed contact ask.'],
  ])('EXC-13 is answered with the sentence of the refusal: %s', async (code, replace, sentence) => {
    expect(await receive(mailFile('plain', replace))).toMatchObject({ kind: 'refused', code });
    expect(answer().prose).toContain(sentence);
    expect(answer().prose).toContain('Nothing was made of your mail.');
    expect(await requests()).toEqual([]);
  });

  it('AGR-3 is answered alike for an agreement of others and for one that does not exist', async () => {
    const stranger = { 'ines@alder.example': 'mallory@birch.example' };
    await receive(mailFile('plain', stranger));
    await receive(mailFile('plain', { ...stranger, 'E-1001': 'E-9999', '<plain@': '<other@' }));
    const [one, other] = sent.map(({ mail }) => mail.text.replace('E-1001', 'E-9999'));
    expect(one).toBe(other);
    expect(sent.map(({ to }) => to)).toEqual(['mallory@birch.example', 'mallory@birch.example']);
  });
});

describe('a mail whose sender is not its requester', () => {
  it('EXC-13 makes nothing and is told no more than that', async () => {
    const raw = mailFile('plain', { 'From: =?utf-8?q?In=C3=A9s_Oliveira?= <ines@': 'From: <jorge@' });
    expect(await receive(raw)).toMatchObject({ kind: 'not-accepted' });
    const { to, prose } = answer();
    expect(to).toBe(jorge.email);
    expect(prose).toContain('could not accept it, and nothing was made of it');
    expect(prose).not.toMatch(/E-1001|Alder School|BCDFG|Inés|authorized|list/i);
    expect(await requests()).toEqual([]);
  });
});

describe('a mail that is not shown to be from its sender', () => {
  it('EXC-13 makes nothing, and the one whose address it has is told no more than that', async () => {
    expect(await receive(mailFile('plain'), { isVerified: false })).toMatchObject({ kind: 'not-accepted' });
    expect(answer().to).toBe(ines.email);
    expect(answer().prose).not.toMatch(/E-1001|Alder School|BCDFG|SPF|DKIM|DMARC/);
    expect(await requests()).toEqual([]);
  });

  it('EXC-13 is answered in the same words, whatever was wrong with it', async () => {
    await receive(mailFile('plain'), { isVerified: false });
    await receive(mailFile('incomplete'), { isVerified: false });
    await receive(mailFile('plain', { 'address: ines@': 'address: jorge@' }));
    const letters = sent.map(({ mail }) => mail.text);
    expect(new Set(letters).size).toBe(1);
  });

  it('is not answered to an address that no agreement names, nor often to one that some does', async () => {
    const stranger = { 'ines@alder.example': 'victim@birch.example' };
    await receive(mailFile('plain', stranger), { isVerified: false });
    expect(sent).toEqual([]);
    for (let copy = 1; copy <= 10; copy += 1) {
      await receive(mailFile('plain', { '<plain@': `<copy-${copy}@` }), { isVerified: false });
    }
    expect(sent).toHaveLength(3);
    await receive(
      mailFile('plain', { '<plain@': '<next-day@' }),
      { isVerified: false },
      instant('2026-06-03T00:00:00Z'),
    );
    expect(sent).toHaveLength(4);
  });
});

describe('a machine’s mail', () => {
  it.each(['out-of-office', 'bounce', 'mailing-list'])(
    'is not answered, and nothing is made of it: %s',
    async (name) => {
      expect(await receive(mailFile(name))).toEqual({ kind: 'ignored', because: 'automatic' });
      expect(sent).toEqual([]);
      expect(await requests()).toEqual([]);
    },
  );

  it.each(['', '<>', 'MAILER-DAEMON', 'mailer-daemon@alder.example'])('is one from nobody: %j', async (from) => {
    const envelope = { from, to: [inbound] };
    expect(await receive(mailFile('plain'), { envelope })).toEqual({ kind: 'ignored', because: 'automatic' });
  });

  it.each([inbound, 'no-reply@volume-activation.example'])('is one of our own: %s', async (from) => {
    const own = aMail([`From: Volume <${from}>`], 'hi');
    expect(await receive(own)).toEqual({ kind: 'ignored', because: 'automatic' });
  });

  it('comes to an end when it is not known as one and answers our answers', async () => {
    for (let turn = 0; turn < 60; turn += 1) {
      await receive(aMail(['From: robot@alder.example', `Message-ID: <${turn}@a>`], `Thank you for mail ${turn}`));
    }
    expect(sent).toHaveLength(50);
  });
});

describe('a mail that cannot be read', () => {
  it('makes nothing and is not answered', async () => {
    const two = aMail(['From: ines@alder.example', 'From: jorge@alder.example'], 'hi');
    expect(await receive(two)).toEqual({ kind: 'ignored', because: 'ambiguous-sender' });
    expect(await receive(Buffer.alloc(0))).toEqual({ kind: 'ignored', because: 'ambiguous-sender' });
    expect(await receive(aMail(['From: ines@alder.example'], '\n'.repeat(300_000)))).toEqual({
      kind: 'ignored',
      because: 'unreadable',
    });
    expect(sent).toEqual([]);
  });

  it('is told to be too large when it is', async () => {
    const large = aMail(['From: ines@alder.example'], 'x'.repeat(10 * 1024 * 1024));
    expect(await receive(large.subarray(0, 10 * 1024 * 1024), { isComplete: false })).toMatchObject({
      kind: 'too-large',
    });
    expect(answer().prose).toContain('more than 10 megabytes');
  });
});

describe('an answer to a question by mail', () => {
  let exceptionId: string;
  let replyAddress: string;

  const move = async (decide: Parameters<typeof transitionException>[2]) =>
    expectAccepted(
      (await transitionException(store, exceptionId, decide, { operationId: null, now: mondayTen })) ?? {
        ok: true,
        value: undefined,
      },
    );
  const reply = (raw: Buffer, to = replyAddress, facts: Partial<InboundMessage> = {}) =>
    receive(raw, { envelope: { from: ines.email, to: [to] }, ...facts }, tuesdayTen);
  const stage = async () => (await findException(store, exceptionId))?.state;

  beforeEach(async () => {
    const became = await receive(mailFile('plain'));
    exceptionId = 'exceptionId' in became ? became.exceptionId : '';
    await move((request) => askQuestion(request, 'Which schools?', context({ actor: reviewer, now: mondayTen })));
    replyAddress = replyAddressFor(exceptionId, inbound, store.vault);
  });

  it('EXC-14 is what was written above the history, and the request goes on with it', async () => {
    expect(await reply(mailFile('answer'))).toMatchObject({ kind: 'answer-accepted', exceptionId });
    expect(await stage()).toEqual({
      status: 'in-review',
      answered: { question: 'Which schools?', answer: 'Elm and Fir.\nElm has 80 seats, Fir has 70.\n\nInés' },
    });
    expect(answer()).toMatchObject({ to: ines.email });
    expect(answer().mail.subject).toContain(exceptionId);
  });

  it('EXC-14 is any contact’s, by whatever program it was written, and in whatever case the address comes back', async () => {
    const fromTom = mailFile('answer-with-history', { 'ines@alder.example': jorge.email });
    expect(await reply(fromTom, replyAddress.toUpperCase())).toMatchObject({ kind: 'answer-accepted' });
    expect(await stage()).toMatchObject({ status: 'in-review', answered: { answer: 'Elm and Fir.' } });
  });

  it('EXC-14 delivered twice is one answer', async () => {
    await reply(mailFile('answer'));
    expect(await reply(mailFile('answer'))).toEqual({ kind: 'ignored', because: 'duplicate' });
    expect(sent).toHaveLength(1);
  });

  it.each<[who: string, raw: () => Buffer, facts: Partial<InboundMessage>]>([
    ['somebody who is not verified', () => mailFile('answer'), { isVerified: false }],
    ['somebody on no list', () => mailFile('answer', { 'ines@alder.example': 'mallory@birch.example' }), {}],
    ['the Notices Correspondent', () => mailFile('answer', { 'ines@alder.example': 'noor@alder.example' }), {}],
  ])('EXC-14 is not taken from %s', async (_, raw, facts) => {
    expect(await reply(raw(), replyAddress, facts)).toMatchObject({ kind: 'not-accepted' });
    expect((await stage())?.status).toBe('awaiting-requester');
    for (const { mail } of sent) expect(mail.text).not.toContain(exceptionId);
  });

  it('EXC-14 is not taken from a requester who has left the list', async () => {
    const { ...agreement } = anAgreement();
    expectAccepted(
      (await changeContacts(
        store,
        agreement.agreementId,
        [jorge],
        context({ actor: 'admin', operationId: 'change', now: mondayTen }),
      )) ?? { ok: true },
    );
    expect(await reply(mailFile('answer'))).toMatchObject({ kind: 'not-accepted' });
    expect((await stage())?.status).toBe('awaiting-requester');
  });

  it('EXC-14 is not taken at an address that was made up', async () => {
    expect(await reply(mailFile('answer'), replyAddress.replace(/.@/, 'x@'))).toMatchObject({ kind: 'not-accepted' });
    const another = replyAddressFor('EX-2222-2222-2222', inbound, store.vault);
    expect(await reply(mailFile('answer', { '<answer@': '<other@' }), another)).toMatchObject({ kind: 'not-accepted' });
    expect((await stage())?.status).toBe('awaiting-requester');
  });

  it('EXC-14 is not a machine’s: an absence is no answer', async () => {
    expect(await reply(mailFile('out-of-office'))).toEqual({ kind: 'ignored', because: 'automatic' });
    expect((await stage())?.status).toBe('awaiting-requester');
  });

  it('EXC-14 that says nothing is asked for again', async () => {
    const nothing = aMail(['From: ines@alder.example'], '> Which schools?\n');
    expect(await reply(nothing)).toMatchObject({ kind: 'answer-unreadable' });
    expect(answer().prose).toContain('the answer must not be empty');
    const endless = aMail(['From: ines@alder.example'], 'x'.repeat(4_001));
    expect(await reply(endless)).toMatchObject({ kind: 'answer-unreadable' });
    const most = aMail(['From: ines@alder.example'], 'x'.repeat(4_000));
    expect(await reply(most)).toMatchObject({ kind: 'answer-accepted' });
  });

  it('EXC-14 to a question that is answered is told so, kindly, and changes nothing', async () => {
    await reply(mailFile('answer'));
    sent.length = 0;
    expect(await reply(mailFile('answer', { '<answer@': '<late@' }))).toMatchObject({ kind: 'answer-not-expected' });
    expect(answer().prose).toContain(`Request ${exceptionId} does not wait for an answer from you.`);
    expect(answer().prose).toContain('a question that was open has been answered already');
  });

  it('EXC-14 to a request that has ended is told how', async () => {
    await move((request) => withdrawRequest(request, null, context({ actor: ines.email, now: mondayTen })));
    expect(await reply(mailFile('answer'))).toMatchObject({ kind: 'answer-not-expected' });
    expect(answer().prose).toContain('It was withdrawn.');
  });
});

describe('what is kept of mails', () => {
  it('holds no mail and no address in the clear outside of what was made of it, and is forgotten in time', async () => {
    await receive(mailFile('incomplete'));
    await receive(mailFile('plain', { 'address: ines@': 'address: nobody@' }));
    const kept = (await scanAllItems(store)).filter(({ PK }) => /^(IDEMPOTENCY|REPLY-COUNT)#/.test(PK));
    expect(kept.length).toBeGreaterThan(0);
    expect(JSON.stringify(kept)).not.toMatch(/alder|Inés|150/);
    for (const item of kept) expect(item).toHaveProperty('expiresAtEpochSeconds');
  });
});
