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

/** Returns an email from its file, with the addresses and numbers of this customer. */
const customerEmail = (name: string, replace: Readonly<Record<string, string>> = {}) =>
  mailFile(name, {
    ...replace,
    'alder.example': customer.ines.email.split('@')[1] ?? '',
    'E-1001': customer.agreementId,
    BCDFG: lastFive,
  });

async function deliver(raw: Buffer, verdict = 'pass'): Promise<void> {
  const response = await system.send({
    method: 'POST',
    path: `/_local/inbound-mail?verdict=${verdict}`,
    body: raw,
    headers: { 'Content-Type': 'message/rfc822' },
  });
  expect(response.status, response.text).toBe(202);
  await system.settle();
}

const requests = async () =>
  expectStatus(await customer.ines.get(`/exceptions?agreementId=${customer.agreementId}`), 200, listOf(exceptionSchema))
    .items;
const newestEmail = async () => {
  const email = (await system.mailsTo(customer.ines.email)).at(-1);
  if (email === undefined) throw new Error('No email came to the requester.');
  return { ...email, prose: (email.text ?? '').replace(/\s+/g, ' '), replyTo: String(email.replyTo) };
};

describe('a request by email', () => {
  it('EXC-13 gets the form if it is incomplete, and is then acknowledged, approved and granted', async () => {
    await deliver(customerEmail('incomplete'));
    expect(await requests()).toEqual([]);
    const form = await newestEmail();
    expect(form.prose).toContain('Business reason for request: is missing');
    expect(form.replyTo).toBe('exceptions@volume-activation.example');

    await deliver(customerEmail('plain'));
    const [created] = await requests();
    if (created === undefined) throw new Error('The email created no request.');
    const { exceptionId } = created;
    expect(created).toMatchObject({ kind: 'MAKADD', activationsRequested: 150, status: 'awaiting-approval' });
    const receipt = await newestEmail();
    const all = await system.mailsTo(customer.ines.email);
    expect(all.some(({ text }) => text?.includes(`Your request ${exceptionId} for`))).toBe(true);
    expect(receipt.prose).toMatch(/Our response is due by \w+ \d+ \w+ \d{4}/);

    const emailCount = all.length;
    await deliver(customerEmail('plain'));
    expect(await requests()).toHaveLength(1);
    expect(await system.mailsTo(customer.ines.email)).toHaveLength(emailCount);

    expect((await decide(system, await newestLink(system, customer), 'approve')).status).toBe(200);
    await system.settle();
    expect((await getException(customer, exceptionId)).status).toBe('fulfilled');
    expect((await getMak(customer, mak)).limit).toBe(mak.limit + 150);
  });

  it('EXC-13 creates nothing if the sender is not verified, and reveals nothing', async () => {
    const before = (await requests()).length;
    await deliver(customerEmail('plain', { '<plain@': '<forged@' }), 'fail');
    expect(await requests()).toHaveLength(before);
    const { prose } = await newestEmail();
    expect(prose).toContain('nothing was created or changed');
    expect(prose).not.toContain(customer.agreementId);
  });

  it('is ignored if a machine sent it', async () => {
    const before = (await system.mailsTo(customer.ines.email)).length;
    for (const name of ['out-of-office', 'bounce', 'mailing-list']) await deliver(customerEmail(name));
    expect(await system.mailsTo(customer.ines.email)).toHaveLength(before);
  });

  it('is processed if it has 10 MB, and does no harm', async () => {
    const head = [`From: ${customer.ines.email}`, 'Subject: large', 'Content-Type: text/plain'];
    await deliver(aMail(head, 'x'.repeat(10 * 1024 * 1024 - 200)));
    expect((await newestEmail()).prose).toContain('Organization name: is missing');
    expect((await system.send({ method: 'GET', path: '/health' })).status).toBe(200);
  });
});

describe('a question and its answer by email', () => {
  it('EXC-14 has a reply address of its own, and an email to it is the answer', async () => {
    const { exceptionId } = await submitRequest(system, customer, kmsRequestFormOf(customer));
    expectStatus(
      await staff.team.post(`/exceptions/${exceptionId}/questions`, { text: 'Which schools?' }),
      202,
      exceptionSchema,
    );
    await system.settle();
    const { replyTo } = await newestEmail();
    expect(replyTo).toMatch(new RegExp(`^exceptions\\+${exceptionId}\\.[0-9a-f]{24}@volume-activation\\.example$`));

    await deliver(customerEmail('answer', { 'REPLY-ADDRESS': replyTo.replace('.', '.0') }));
    expect((await getException(customer, exceptionId)).status).toBe('awaiting-requester');
    await deliver(customerEmail('answer', { 'REPLY-ADDRESS': replyTo, '<answer@': '<other@' }), 'fail');
    expect((await getException(customer, exceptionId)).status).toBe('awaiting-requester');

    await deliver(customerEmail('answer', { 'REPLY-ADDRESS': replyTo, '<answer@': '<good@' }));
    expect((await getException(customer, exceptionId)).status).toBe('in-review');
    expect((await newestEmail()).subject).toBe(`We received your answer (${exceptionId})`);
    const toTeam = (await system.mailsTo('exceptions-team@volume-activation.example')).at(-1);
    expect(toTeam?.text).toContain('> Elm has 80 seats, Fir has 70.');

    await deliver(customerEmail('answer', { 'REPLY-ADDRESS': replyTo, '<answer@': '<late@' }));
    expect((await newestEmail()).prose).toContain(`Request ${exceptionId} is not waiting for an answer from you.`);
  });
});
