import { beforeEach, describe, expect, it } from 'vitest';
import { addDuration, instant } from '../../../domain/calendar/instant.ts';
import { askQuestion, withdrawRequest } from '../../../domain/exceptions/review.ts';
import type { Email } from '../../../emails/layout.ts';
import { SendThrottledError } from '../../../emails/send.ts';
import { replyAddressFor } from '../../../functions/mail/reply-address.ts';
import type { Mailer } from '../../../functions/runtime/mailer.ts';
import type { InboundMessage, IntakeResult } from '../../../functions/use-cases/process-inbound-mail.ts';
import { processInboundMail } from '../../../functions/use-cases/process-inbound-mail.ts';
import { changeContacts, registerAgreement } from '../../../store/agreements.ts';
import { findException, listExceptions, transitionException } from '../../../store/exceptions.ts';
import { issueMak } from '../../../store/keys.ts';
import { listLedgerEntries } from '../../../store/ledger.ts';
import type { Store } from '../../../store/store.ts';
import type { WorkflowClient } from '../../../workflows/client.ts';
import { anAgreement, context, expectAccepted, ines, jorge, productKey, reviewer } from '../../builders.ts';
import { aMail, mailFile } from '../../fixtures/mails.ts';
import { mondayNine, mondayTen, tuesdayTen } from '../../instants.ts';
import { scanAllItems, startTestDynamoDb } from '../../store/dynamodb.ts';

const dynamoDb = await startTestDynamoDb();

const inbound = 'exceptions@volume-activation.example';
/** Ends in BCDFG, as the email fixtures say. */
const makKey = productKey(15_052);
/** Ends in BCDFH. */
const kmsKey = productKey(15_053);

type SentReply = { readonly to: string; readonly replyTo: string | undefined; readonly email: Email };

let store: Store;
let startedExceptionIds: string[];
let sentReplies: SentReply[];
/** Called before each email is sent; throws if SES shall not accept it. */
let beforeSend: () => void;

beforeEach(async () => {
  store = await dynamoDb.newStore();
  startedExceptionIds = [];
  sentReplies = [];
  beforeSend = () => undefined;
  const agreement = anAgreement();
  const registerContext = context({ actor: 'admin', operationId: 'register', now: mondayNine });
  expectAccepted(await registerAgreement(store, agreement, () => kmsKey, registerContext));
  const issueContext = context({ actor: ines.email, operationId: 'issue', now: mondayNine });
  expectAccepted(await issueMak(store, agreement, { productGroup: 'client', drawKey: () => makKey }, issueContext));
});

const workflowClient: WorkflowClient = {
  start: async ({ exceptionId }) => {
    startedExceptionIds.push(exceptionId);
    return 'started';
  },
  resume: async () => 'resumed',
  isRunning: async () => true,
};

const mailer: Mailer = {
  send: async (email, to, options) => {
    beforeSend();
    sentReplies.push({ to, email, replyTo: options?.replyTo });
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

function receive(raw: Buffer, overrides: Partial<InboundMessage> = {}, now = mondayTen): Promise<IntakeResult> {
  const envelope = { from: ines.email, to: [inbound] };
  return processInboundMail(
    { raw, isComplete: true, envelope, isVerified: true, ...overrides },
    { store, workflowClient, mailer },
    now,
  );
}

async function allRequests() {
  const page = { limit: 100, after: null };
  return (await listExceptions(store, { status: null, agreementIds: ['E-1001'] }, page)).items;
}

/** Returns the only reply, with its text in one line. */
function onlyReply(): SentReply & { readonly prose: string } {
  const [reply, ...others] = sentReplies;
  if (reply === undefined || others.length > 0)
    throw new Error(`Expected one reply, but ${sentReplies.length} were sent.`);
  return { ...reply, prose: reply.email.text.replace(/\s+/g, ' ') };
}

describe('an email with a complete request', () => {
  it('EXC-13 creates the same request as the API, and starts its workflow', async () => {
    const result = await receive(mailFile('plain'));
    const [request] = await allRequests();
    expect(result).toMatchObject({ kind: 'accepted', exceptionId: request?.exceptionId });
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
    expect(startedExceptionIds).toEqual([request?.exceptionId]);
  });

  it('EXC-13 is acknowledged by the notification that every request gets, and by no other email', async () => {
    await receive(mailFile('plain'));
    const [request] = await allRequests();
    expect(request?.pendingNotifications.map(({ kind, to }) => ({ kind, to }))).toEqual([
      { kind: 'received', to: 'requester' },
    ]);
    expect(sentReplies).toEqual([]);
  });

  it('LED-1 records the sender in the ledger of the request', async () => {
    const result = await receive(mailFile('plain'));
    const exceptionId = 'exceptionId' in result ? result.exceptionId : '';
    const { items } = await listLedgerEntries(store, `EXCEPTION#${exceptionId}`, { limit: 10, after: null });
    expect(items).toMatchObject([{ actor: ines.email, action: 'received' }]);
  });

  it.each([
    ['more for us', 'BCDFG', 'MAKADD'],
    ['more for us', 'BCDFH', 'KMSADD'],
  ])('EXC-13 takes the kind from the key if the email names none: %s, %s', async (subject, lastFive, kind) => {
    const product = kind === 'KMSADD' ? 'Windows Server 2008 Standard' : 'Windows Vista Business';
    const replace = { 'MAKADD for two new schools': subject, BCDFG: lastFive, 'Windows Vista Business': product };
    expect(await receive(mailFile('plain', replace))).toMatchObject({ kind: 'accepted' });
    expect((await allRequests())[0]?.form.kind).toBe(kind);
  });
});

describe('an email that is delivered again', () => {
  it('EXC-13 creates one request, though each delivery adds header lines', async () => {
    await receive(mailFile('plain'));
    const copy = Buffer.concat([
      Buffer.from('Received: by a detour; Tue, 2 Jun 2026 10:00:00 +0000\r\n'),
      mailFile('plain'),
    ]);
    expect(await receive(copy, {}, tuesdayTen)).toEqual({ kind: 'ignored', because: 'duplicate' });
    expect(await allRequests()).toHaveLength(1);
    expect(sentReplies).toEqual([]);
  });

  it('EXC-13 creates one request and sends one reply when copies arrive at once', async () => {
    const receiveThree = (name: string) => Promise.all([1, 2, 3].map(() => receive(mailFile(name))));
    const duplicate = { kind: 'ignored', because: 'duplicate' };
    expect((await receiveThree('incomplete')).filter(({ kind }) => kind === 'incomplete')).toHaveLength(1);
    expect(await receiveThree('incomplete')).toEqual([duplicate, duplicate, duplicate]);
    expect(sentReplies).toHaveLength(1);
    expect((await receiveThree('plain')).filter(({ kind }) => kind === 'accepted')).toHaveLength(1);
    expect(await allRequests()).toHaveLength(1);
  });

  it('EXC-13 creates one request even after the record of the email has expired', async () => {
    await receive(mailFile('plain'));
    const afterExpiry = addDuration(mondayTen, { days: 15 });
    expect(await receive(mailFile('plain'), {}, afterExpiry)).toMatchObject({ kind: 'accepted' });
    expect(await allRequests()).toHaveLength(1);
  });

  it('is processed again if the first time failed', async () => {
    beforeSend = () => {
      throw new SendThrottledError('SES throttles the account');
    };
    await expect(receive(mailFile('incomplete'))).rejects.toThrow(SendThrottledError);
    beforeSend = () => undefined;
    expect(await receive(mailFile('incomplete'))).toMatchObject({ kind: 'incomplete' });
    expect(sentReplies).toHaveLength(1);
  });

  it('EXC-5 is not a second email for the same key, which is refused and names the open request', async () => {
    await receive(mailFile('plain'));
    expect(await receive(mailFile('plain', { '<plain@': '<second@' }))).toMatchObject({
      kind: 'refused',
      code: 'exception-already-open',
    });
    const [request] = await allRequests();
    expect(onlyReply().prose).toContain(`Request ${request?.exceptionId} is already open for the key ending in BCDFG.`);
  });
});

describe('an email with an incomplete request', () => {
  it('EXC-13 gets the form back with its values, and all missing and invalid fields at once', async () => {
    expect(await receive(mailFile('incomplete'))).toMatchObject({ kind: 'incomplete' });
    const { to, replyTo, email, prose } = onlyReply();
    expect({ to, replyTo }).toEqual({ to: ines.email, replyTo: inbound });
    expect(prose).toMatch(
      /Requester’s phone number: is missing - Product: must be one of: Windows Vista Business, .* - Number of activations requested: must be a whole number, such as 1500 - Business reason for request: is missing - Required date: is ambiguous; write it as /,
    );
    const filledForm = email.text.slice(email.text.indexOf('\nOrganization name:') + 1).split('\n\n')[0];
    expect(filledForm).toBe(`Organization name: Alder School District
Agreement number: E-1001
Requester’s name: Inés Oliveira
Requester’s phone number:
Requester’s email address: ines@alder.example
Product: Windows Vista
Last five digits of product key: BCDFG
Number of activations requested: about 150
Business reason for request:
Required date: 06/07/2027`);
    expect(await allRequests()).toEqual([]);
  });

  it('EXC-13 can be completed and sent back in the form of the reply', async () => {
    await receive(mailFile('incomplete'));
    const completedForm = onlyReply()
      .email.text.slice(onlyReply().email.text.indexOf('\nOrganization name:'))
      .split('\n\n')[0]
      ?.replace('phone number:', 'phone number: +1 425 555 0101')
      .replace('Windows Vista', 'Windows Vista Enterprise')
      .replace('about ', '')
      .replace('for request:', 'for request: Two new schools.')
      .replace('06/07/2027', '6 July 2027');
    const raw = aMail(['From: ines@alder.example', 'Content-Type: text/plain; charset=utf-8'], completedForm);
    expect(await receive(raw)).toMatchObject({ kind: 'accepted' });
  });

  it.each(['empty', 'no-text', 'quoted-only'])('EXC-13 may have no field at all: %s', async (name) => {
    expect(await receive(mailFile(name))).toMatchObject({ kind: 'incomplete' });
    expect(onlyReply().prose).toContain('Agreement number: is missing');
    expect(onlyReply().prose.includes('quoted text or earlier emails')).toBe(name === 'quoted-only');
  });

  it('EXC-1 includes one that requests more than the maximum', async () => {
    await receive(mailFile('plain', { 'requested: 150': 'requested: 100001' }));
    expect(onlyReply().prose).toContain('Number of activations requested: must be at most 100000;');
    await receive(mailFile('plain', { 'requested: 150': 'requested: 100000', '<plain': '<most' }));
    expect(await allRequests()).toHaveLength(1);
  });

  it('AGR-1 includes one with the agreement numbers of two programs', async () => {
    await receive(mailFile('plain', { 'Product:': 'License number: 1\nProduct:' }));
    expect(onlyReply().prose).toMatch(/Agreement number: does not belong here.*Authorization number: is missing/);
  });
});

describe('an email with a complete request that a rule refuses', () => {
  it.each<[code: string, replace: Record<string, string>, sentence: string]>([
    ['not-an-exception', { 'requested: 150': 'requested: 100' }, 'Call the call center and ask for 100 more.'],
    ['key-not-found', { BCDFG: 'XXXXX' }, 'This agreement has no key that ends in XXXXX.'],
    ['product-not-covered', { 'Vista Business': 'Web Server 2008' }, 'Windows Web Server 2008'],
    ['wrong-key-type', { 'MAKADD for': 'KMSADD for' }, 'is a MAK key. Submit a MAKADD request instead.'],
    [
      'requester-not-authorized',
      { 'name: Inés Oliveira': 'name: Ian Oliver' },
      'ask a listed contact to submit the request.',
    ],
    ['requester-not-authorized', { 'E-1001': 'E-9999' }, 'ask a listed contact to submit the request.'],
  ])('EXC-13 gets the sentence of the refusal: %s', async (code, replace, sentence) => {
    expect(await receive(mailFile('plain', replace))).toMatchObject({ kind: 'refused', code });
    expect(onlyReply().prose).toContain(sentence);
    expect(onlyReply().prose).toContain('No request was created.');
    expect(await allRequests()).toEqual([]);
  });

  it('AGR-3 gets the same reply for an agreement of others and for one that does not exist', async () => {
    const stranger = { 'ines@alder.example': 'mallory@birch.example' };
    await receive(mailFile('plain', stranger));
    await receive(mailFile('plain', { ...stranger, 'E-1001': 'E-9999', '<plain@': '<other@' }));
    const [one, other] = sentReplies.map(({ email }) => email.text.replace('E-1001', 'E-9999'));
    expect(one).toBe(other);
    expect(sentReplies.map(({ to }) => to)).toEqual(['mallory@birch.example', 'mallory@birch.example']);
  });
});

describe('an email whose sender is not its requester', () => {
  it('EXC-13 creates nothing and gets a reply without details', async () => {
    const raw = mailFile('plain', { 'From: =?utf-8?q?In=C3=A9s_Oliveira?= <ines@': 'From: <jorge@' });
    expect(await receive(raw)).toMatchObject({ kind: 'not-accepted' });
    const { to, prose } = onlyReply();
    expect(to).toBe(jorge.email);
    expect(prose).toContain('could not process it, and nothing was created or changed');
    expect(prose).not.toMatch(/E-1001|Alder School|BCDFG|Inés|authorized|list/i);
    expect(await allRequests()).toEqual([]);
  });
});

describe('an email whose sender is not verified', () => {
  it('EXC-13 creates nothing, and its address gets a reply without details', async () => {
    expect(await receive(mailFile('plain'), { isVerified: false })).toMatchObject({ kind: 'not-accepted' });
    expect(onlyReply().to).toBe(ines.email);
    expect(onlyReply().prose).not.toMatch(/E-1001|Alder School|BCDFG|SPF|DKIM|DMARC/);
    expect(await allRequests()).toEqual([]);
  });

  it('EXC-13 gets the same reply, whatever its content', async () => {
    await receive(mailFile('plain'), { isVerified: false });
    await receive(mailFile('incomplete'), { isVerified: false });
    await receive(mailFile('plain', { 'address: ines@': 'address: jorge@' }));
    const texts = sentReplies.map(({ email }) => email.text);
    expect(new Set(texts).size).toBe(1);
  });

  it('gets no reply if no agreement names its address, and few replies a day otherwise', async () => {
    const victim = { 'ines@alder.example': 'victim@birch.example' };
    await receive(mailFile('plain', victim), { isVerified: false });
    expect(sentReplies).toEqual([]);
    for (let copy = 1; copy <= 10; copy += 1) {
      await receive(mailFile('plain', { '<plain@': `<copy-${copy}@` }), { isVerified: false });
    }
    expect(sentReplies).toHaveLength(3);
    const nextDay = instant('2026-06-03T00:00:00Z');
    await receive(mailFile('plain', { '<plain@': '<next-day@' }), { isVerified: false }, nextDay);
    expect(sentReplies).toHaveLength(4);
  });
});

describe('an automatic email', () => {
  it.each(['out-of-office', 'bounce', 'mailing-list'])('creates nothing and gets no reply: %s', async (name) => {
    expect(await receive(mailFile(name))).toEqual({ kind: 'ignored', because: 'automatic' });
    expect(sentReplies).toEqual([]);
    expect(await allRequests()).toEqual([]);
  });

  it.each(['', '<>', 'MAILER-DAEMON', 'mailer-daemon@alder.example'])(
    'is recognized by its envelope sender: %j',
    async (from) => {
      const envelope = { from, to: [inbound] };
      expect(await receive(mailFile('plain'), { envelope })).toEqual({ kind: 'ignored', because: 'automatic' });
    },
  );

  it.each([inbound, 'no-reply@volume-activation.example'])('is recognized by our own address: %s', async (from) => {
    const ownEmail = aMail([`From: Volume <${from}>`], 'hi');
    expect(await receive(ownEmail)).toEqual({ kind: 'ignored', because: 'automatic' });
  });

  it('gets a limited number of replies if it is not recognized and answers our replies', async () => {
    for (let turn = 0; turn < 60; turn += 1) {
      await receive(aMail(['From: robot@alder.example', `Message-ID: <${turn}@a>`], `Thank you for mail ${turn}`));
    }
    expect(sentReplies).toHaveLength(50);
  });
});

describe('an email that cannot be parsed', () => {
  it('creates nothing and gets no reply', async () => {
    const twoSenders = aMail(['From: ines@alder.example', 'From: jorge@alder.example'], 'hi');
    expect(await receive(twoSenders)).toEqual({ kind: 'ignored', because: 'ambiguous-sender' });
    expect(await receive(Buffer.alloc(0))).toEqual({ kind: 'ignored', because: 'ambiguous-sender' });
    expect(await receive(aMail(['From: ines@alder.example'], '\n'.repeat(300_000)))).toEqual({
      kind: 'ignored',
      because: 'unreadable',
    });
    expect(sentReplies).toEqual([]);
  });

  it('gets a reply with the maximum size if it is too large', async () => {
    const large = aMail(['From: ines@alder.example'], 'x'.repeat(10 * 1024 * 1024));
    const beginning = large.subarray(0, 10 * 1024 * 1024);
    expect(await receive(beginning, { isComplete: false })).toMatchObject({ kind: 'too-large' });
    expect(onlyReply().prose).toContain('more than 10 megabytes');
  });
});

describe('an email to the reply address of a question', () => {
  let exceptionId: string;
  let replyAddress: string;

  const transition = async (decide: Parameters<typeof transitionException>[2]) => {
    const result = await transitionException(store, exceptionId, decide, { operationId: null, now: mondayTen });
    if (result === undefined) throw new Error(`There is no request ${exceptionId}.`);
    expectAccepted(result);
  };
  const receiveAnswer = (raw: Buffer, to = replyAddress, overrides: Partial<InboundMessage> = {}) =>
    receive(raw, { envelope: { from: ines.email, to: [to] }, ...overrides }, tuesdayTen);
  const currentState = async () => (await findException(store, exceptionId))?.state;

  beforeEach(async () => {
    const result = await receive(mailFile('plain'));
    exceptionId = 'exceptionId' in result ? result.exceptionId : '';
    await transition((request) => askQuestion(request, 'Which schools?', context({ actor: reviewer, now: mondayTen })));
    replyAddress = replyAddressFor(exceptionId, inbound, store.vault);
  });

  it('EXC-14 answers the question with the text above the quoted email, and the request continues', async () => {
    expect(await receiveAnswer(mailFile('answer'))).toMatchObject({ kind: 'answer-accepted', exceptionId });
    expect(await currentState()).toEqual({
      status: 'in-review',
      answeredQuestion: {
        question: 'Which schools?',
        answer: 'Elm and Fir.\nElm has 80 seats, Fir has 70.\n\nInés',
      },
    });
    expect(onlyReply()).toMatchObject({ to: ines.email });
    expect(onlyReply().email.subject).toContain(exceptionId);
  });

  it('EXC-14 may come from any contact and email program, to the address in any case', async () => {
    const fromJorge = mailFile('answer-with-history', { 'ines@alder.example': jorge.email });
    expect(await receiveAnswer(fromJorge, replyAddress.toUpperCase())).toMatchObject({ kind: 'answer-accepted' });
    expect(await currentState()).toMatchObject({ status: 'in-review', answeredQuestion: { answer: 'Elm and Fir.' } });
  });

  it('EXC-14 answers once if it is delivered twice', async () => {
    await receiveAnswer(mailFile('answer'));
    expect(await receiveAnswer(mailFile('answer'))).toEqual({ kind: 'ignored', because: 'duplicate' });
    expect(sentReplies).toHaveLength(1);
  });

  it.each<[sender: string, raw: () => Buffer, overrides: Partial<InboundMessage>]>([
    ['an unverified sender', () => mailFile('answer'), { isVerified: false }],
    ['somebody on no list', () => mailFile('answer', { 'ines@alder.example': 'mallory@birch.example' }), {}],
    ['the Notices Correspondent', () => mailFile('answer', { 'ines@alder.example': 'noor@alder.example' }), {}],
  ])('EXC-14 is not accepted from %s', async (_, raw, overrides) => {
    expect(await receiveAnswer(raw(), replyAddress, overrides)).toMatchObject({ kind: 'not-accepted' });
    expect((await currentState())?.status).toBe('awaiting-requester');
    for (const { email } of sentReplies) expect(email.text).not.toContain(exceptionId);
  });

  it('EXC-14 is not accepted from a requester who is no longer a contact', async () => {
    const changeContext = context({ actor: 'admin', operationId: 'change', now: mondayTen });
    const result = await changeContacts(store, anAgreement().agreementId, [jorge], changeContext);
    if (result === undefined) throw new Error('There is no agreement.');
    expectAccepted(result);
    expect(await receiveAnswer(mailFile('answer'))).toMatchObject({ kind: 'not-accepted' });
    expect((await currentState())?.status).toBe('awaiting-requester');
  });

  it('EXC-14 is not accepted at a forged address', async () => {
    const forged = replyAddress.replace(/.@/, 'x@');
    expect(await receiveAnswer(mailFile('answer'), forged)).toMatchObject({ kind: 'not-accepted' });
    const unknown = replyAddressFor('EX-2222-2222-2222', inbound, store.vault);
    const otherEmail = mailFile('answer', { '<answer@': '<other@' });
    expect(await receiveAnswer(otherEmail, unknown)).toMatchObject({ kind: 'not-accepted' });
    expect((await currentState())?.status).toBe('awaiting-requester');
  });

  it('EXC-14 is ignored if it is automatic, such as an absence notice', async () => {
    expect(await receiveAnswer(mailFile('out-of-office'))).toEqual({ kind: 'ignored', because: 'automatic' });
    expect((await currentState())?.status).toBe('awaiting-requester');
  });

  it('EXC-14 gets the problem in the reply if the answer is empty or too long', async () => {
    const empty = aMail(['From: ines@alder.example'], '> Which schools?\n');
    expect(await receiveAnswer(empty)).toMatchObject({ kind: 'answer-unreadable' });
    expect(onlyReply().prose).toContain('the answer must not be empty');
    const tooLong = aMail(['From: ines@alder.example'], 'x'.repeat(4_001));
    expect(await receiveAnswer(tooLong)).toMatchObject({ kind: 'answer-unreadable' });
    const longest = aMail(['From: ines@alder.example'], 'x'.repeat(4_000));
    expect(await receiveAnswer(longest)).toMatchObject({ kind: 'answer-accepted' });
  });

  it('EXC-14 changes nothing if the question is already answered, and the reply says so', async () => {
    await receiveAnswer(mailFile('answer'));
    sentReplies.length = 0;
    const lateAnswer = mailFile('answer', { '<answer@': '<late@' });
    expect(await receiveAnswer(lateAnswer)).toMatchObject({ kind: 'answer-not-expected' });
    expect(onlyReply().prose).toContain(`Request ${exceptionId} is not waiting for an answer from you.`);
    expect(onlyReply().prose).toContain('its earlier question has already been answered');
  });

  it('EXC-14 gets the outcome in the reply if the request is closed', async () => {
    await transition((request) => withdrawRequest(request, null, context({ actor: ines.email, now: mondayTen })));
    expect(await receiveAnswer(mailFile('answer'))).toMatchObject({ kind: 'answer-not-expected' });
    expect(onlyReply().prose).toContain('It was withdrawn.');
  });
});

describe('the records of processed emails', () => {
  it('hold neither content nor addresses in the clear, and expire', async () => {
    await receive(mailFile('incomplete'));
    await receive(mailFile('plain', { 'address: ines@': 'address: nobody@' }));
    const records = (await scanAllItems(store)).filter(({ PK }) => /^(IDEMPOTENCY|REPLY-COUNT)#/.test(PK));
    expect(records.length).toBeGreaterThan(0);
    expect(JSON.stringify(records)).not.toMatch(/alder|Inés|150/);
    for (const item of records) expect(item).toHaveProperty('expiresAtEpochSeconds');
  });
});
