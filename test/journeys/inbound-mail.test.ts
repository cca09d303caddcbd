import { beforeAll, describe, expect, it } from 'vitest';
import { aMail, mailFile } from '../fixtures/mails.ts';
import { exceptionSchema, expectStatus, listOf } from './contract.ts';
import type { Customer, Staff } from './customer.ts';
import {
  decide,
  getException,
  getMak,
  issueMak,
  kmsRequestFormOf,
  newCustomer,
  newestLink,
  signInStaff,
  submitRequest,
} from './customer.ts';
import type { System } from './system.ts';
import { startSystem } from './system.ts';

const system: System = await startSystem();
const staff: Staff = await signInStaff(system);
let customer: Customer;
let lastFive: string;
let mak: Awaited<ReturnType<typeof issueMak>>;

beforeAll(async () => {
  customer = await newCustomer(system, staff);
  mak = await issueMak(customer);
  lastFive = mak.lastFive;
});

/** A mail from its file, as if this customer’s people had written it. */
const theirs = (name: string, replace: Readonly<Record<string, string>> = {}) =>
  mailFile(name, {
    ...replace,
    'alder.example': customer.ines.email.split('@')[1] ?? '',
    'E-1001': customer.agreementId,
    BCDFG: lastFive,
  });

async function arrive(raw: Buffer, verdict = 'pass'): Promise<void> {
  const answer = await system.send({
    method: 'POST',
    path: `/_local/inbound-mail?verdict=${verdict}`,
    body: raw,
    headers: { 'Content-Type': 'message/rfc822' },
  });
  expect(answer.status, answer.text).toBe(202);
  await system.settle();
}

const requests = async () =>
  expectStatus(await customer.ines.get(`/exceptions?agreementId=${customer.agreementId}`), 200, listOf(exceptionSchema))
    .items;
const newestMail = async () => {
  const mail = (await system.mailsTo(customer.ines.email)).at(-1);
  if (mail === undefined) throw new Error('No mail came to the requester.');
  return { ...mail, prose: (mail.text ?? '').replace(/\s+/g, ' '), replyTo: String(mail.replyTo) };
};

describe('a request that comes by mail', () => {
  it('EXC-13 is answered with the form first, then acknowledged, asked about, approved and granted', async () => {
    await arrive(theirs('incomplete'));
    expect(await requests()).toEqual([]);
    const form = await newestMail();
    expect(form.prose).toContain('Business reason for request: is missing');
    expect(form.replyTo).toBe('exceptions@volume-activation.example');

    await arrive(theirs('plain'));
    const [taken_] = await requests();
    if (taken_ === undefined) throw new Error('Nothing came of the mail.');
    const { exceptionId } = taken_;
    expect(taken_).toMatchObject({ kind: 'MAKADD', activationsRequested: 150, status: 'awaiting-approval' });
    const receipt = await newestMail();
    const all = await system.mailsTo(customer.ines.email);
    expect(all.some(({ text }) => text?.includes(`Your request ${exceptionId} for`))).toBe(true);
    expect(receipt.prose).toMatch(/Our response is due by \w+ \d+ \w+ \d{4}/);

    const mails = all.length;
    await arrive(theirs('plain'));
    expect(await requests()).toHaveLength(1);
    expect(await system.mailsTo(customer.ines.email)).toHaveLength(mails);

    expect((await decide(system, await newestLink(system, customer), 'approve')).status).toBe(200);
    await system.settle();
    expect((await getException(customer, exceptionId)).status).toBe('fulfilled');
    expect((await getMak(customer, mak)).limit).toBe(mak.limit + 150);
  });

  it('EXC-13 makes nothing when it is not shown to be from its sender, and tells no more', async () => {
    const before = (await requests()).length;
    await arrive(theirs('plain', { '<plain@': '<forged@' }), 'fail');
    expect(await requests()).toHaveLength(before);
    const { prose } = await newestMail();
    expect(prose).toContain('nothing was created or changed');
    expect(prose).not.toContain(customer.agreementId);
  });

  it('is neither answered nor taken from a machine, whatever it sends', async () => {
    const before = (await system.mailsTo(customer.ines.email)).length;
    for (const name of ['out-of-office', 'bounce', 'mailing-list']) await arrive(theirs(name));
    expect(await system.mailsTo(customer.ines.email)).toHaveLength(before);
  });

  it('is read when it has ten megabytes, and does no harm', async () => {
    const head = [`From: ${customer.ines.email}`, 'Subject: large', 'Content-Type: text/plain'];
    await arrive(aMail(head, 'x'.repeat(10 * 1024 * 1024 - 200)));
    expect((await newestMail()).prose).toContain('Organization name: is missing');
    expect((await system.send({ method: 'GET', path: '/health' })).status).toBe(200);
  });
});

describe('a question that is answered by mail', () => {
  it('EXC-14 goes out with an address of its own, and what is written there is the answer', async () => {
    const { exceptionId } = await submitRequest(system, customer, kmsRequestFormOf(customer));
    expectStatus(
      await staff.team.post(`/exceptions/${exceptionId}/questions`, { text: 'Which schools?' }),
      202,
      exceptionSchema,
    );
    await system.settle();
    const { replyTo } = await newestMail();
    expect(replyTo).toMatch(new RegExp(`^exceptions\\+${exceptionId}\\.[0-9a-f]{24}@volume-activation\\.example$`));

    await arrive(theirs('answer', { 'REPLY-ADDRESS': replyTo.replace('.', '.0') }));
    expect((await getException(customer, exceptionId)).status).toBe('awaiting-requester');
    await arrive(theirs('answer', { 'REPLY-ADDRESS': replyTo, '<answer@': '<other@' }), 'fail');
    expect((await getException(customer, exceptionId)).status).toBe('awaiting-requester');

    await arrive(theirs('answer', { 'REPLY-ADDRESS': replyTo, '<answer@': '<good@' }));
    expect((await getException(customer, exceptionId)).status).toBe('in-review');
    expect((await newestMail()).subject).toBe(`We received your answer (${exceptionId})`);
    const toTeam = (await system.mailsTo('exceptions-team@volume-activation.example')).at(-1);
    expect(toTeam?.text).toContain('> Elm has 80 seats, Fir has 70.');

    await arrive(theirs('answer', { 'REPLY-ADDRESS': replyTo, '<answer@': '<late@' }));
    expect((await newestMail()).prose).toContain(`Request ${exceptionId} is not waiting for an answer from you.`);
  });
});
