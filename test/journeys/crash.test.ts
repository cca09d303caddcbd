import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { instant } from '../../domain/calendar/instant.ts';
import { Secret } from '../../domain/secret.ts';
import { decideByLink } from '../../store/approval-links.ts';
import type { Exception } from './contract.ts';
import { exceptionSchema, expectStatus, grantSchema, ledgerEntrySchema, listOf } from './contract.ts';
import type { ApprovalLink, Customer } from './customer.ts';
import {
  approvalLinksOf,
  decide,
  getException,
  getMak,
  issueMak,
  newCustomer,
  newestLink,
  requestFormOf,
  signInStaff,
  submitRequest,
} from './customer.ts';
import { openStore, startSystem } from './system.ts';

// Work that a crash interrupts continues after a restart: nothing is lost, and nothing happens twice.

// Advancing the clock by weeks and restarting take time on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const folder = mkdtempSync(join(tmpdir(), 'volume-activation-'));
afterAll(() => rmSync(folder, { recursive: true }));
let system = await startSystem({ folder });
let staff = await signInStaff(system);
const rootSecret = () => readFileSync(join(folder, 'root-secret'), 'utf8').trim();

async function awaitingApproval() {
  const customer = await newCustomer(system, staff);
  const mak = await issueMak(customer);
  const request = await submitRequest(system, customer, requestFormOf(customer, mak));
  return { customer, mak, request, link: await newestLink(system, customer) };
}

/** Records a decision like the approval page, without the callback to the workflow. */
async function decideWithoutCallback({ path, code }: ApprovalLink, decision: 'approve' | 'deny'): Promise<void> {
  const store = await openStore(system, rootSecret());
  const token = new Secret(path.slice('/approvals/'.length));
  const decisionInput = { code: new Secret(code), decision, comment: null };
  const outcome = await decideByLink(store, token, decisionInput, instant(await system.now()));
  expect(outcome).toMatchObject({ ok: true });
}

async function expectRaisedOnce({ ines }: Customer, keyId: string, request: Exception): Promise<void> {
  const grants = expectStatus(await ines.get(`/keys/${keyId}/grants`), 200, listOf(grantSchema)).items;
  expect(grants.map(({ kind, amount, reference }) => [kind, amount, reference]).slice(1)).toEqual([
    ['exception', 150, request.exceptionId],
  ]);
  const history = expectStatus(
    await ines.get(`/exceptions/${request.exceptionId}/history`),
    200,
    listOf(ledgerEntrySchema),
  ).items;
  expect(history.map(({ action }) => action).filter((action) => /approved|fulfilled/.test(action))).toEqual([
    'approved',
    'fulfilled',
  ]);
  const emails = (await system.mailsTo(ines.email)).filter(({ subject }) =>
    subject.endsWith(`(${request.exceptionId})`),
  );
  expect(emails.filter(({ subject }) => /^(Approved|Limit raised)/.test(subject))).toHaveLength(2);
}

/** Restarts the system with the data of the one that was killed, and signs the staff in. */
async function restart(): Promise<void> {
  system = await startSystem({ folder });
  staff = await signInStaff(system);
}
const signedIn = async (customer: Customer): Promise<Customer> => ({
  ...customer,
  ines: await system.signIn(customer.ines.email),
});

describe('a recorded decision without its callback', () => {
  it('APR-6 EXC-9 reaches the workflow by the next sweep, and the limit is raised once', async () => {
    const { customer, mak, request, link } = await awaitingApproval();
    await decideWithoutCallback(link, 'approve');
    await system.settle();
    expect(await getException(customer, request.exceptionId)).toMatchObject({
      status: 'awaiting-approval',
      approval: { decision: 'approve' },
    });
    expect(await getMak(customer, mak)).toMatchObject({ limit: 50 });
    await system.advanceClock('PT2M');
    expect(await getException(customer, request.exceptionId)).toMatchObject({ status: 'fulfilled' });
    await system.advanceClock('P2D');
    expect(await getMak(customer, mak)).toMatchObject({ limit: 200 });
    await expectRaisedOnce(customer, mak.keyId, request);
    expect((await system.workflow(request.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
  });

  it('APR-6 reaches the workflow by the next sweep if it is a denial', async () => {
    const { customer, mak, request, link } = await awaitingApproval();
    await decideWithoutCallback(link, 'deny');
    expect(await getException(customer, request.exceptionId)).toMatchObject({ status: 'denied' });
    await system.advanceClock('PT2M');
    expect((await system.workflow(request.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
    const emails = await system.mailsTo(customer.ines.email);
    expect(emails.filter(({ subject }) => subject.startsWith('Denied'))).toHaveLength(1);
    expect(await getMak(customer, mak)).toMatchObject({ limit: 50 });
  });

  it('EXC-8 can be overruled by a rejection of the team until the limit is raised', async () => {
    const { customer, mak, request, link } = await awaitingApproval();
    await decideWithoutCallback(link, 'approve');
    const review = { decision: 'reject', reason: 'The order was canceled.' };
    const rejected = await staff.team.post(`/exceptions/${request.exceptionId}/review`, review);
    expect(expectStatus(rejected, 202, exceptionSchema)).toMatchObject({ status: 'rejected' });
    await system.advanceClock('P2D');
    expect(await getException(customer, request.exceptionId)).toMatchObject({
      status: 'rejected',
      reason: 'The order was canceled.',
      approval: { decision: 'approve' },
      decidedBy: staff.team.email,
    });
    expect(await getMak(customer, mak)).toMatchObject({ limit: 50 });
    for (const { email } of [customer.ines, customer.noor]) {
      expect((await system.mailsTo(email)).at(-1)?.text, email).toContain('The order was canceled.');
    }
    expect((await system.workflow(request.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
  });
});

describe('a system that is killed', () => {
  it('APR-6 EXC-9 during a decision has recorded it or not, and continues from there', async () => {
    const requests = [await awaitingApproval(), await awaitingApproval(), await awaitingApproval()];
    const responses = requests.map(async ({ link }, index) => {
      await wait(index * 4);
      return decide(system, link, 'approve').then(
        ({ status }) => status,
        () => 'interrupted',
      );
    });
    await wait(12);
    await system.kill();
    const statuses = await Promise.all(responses);

    await restart();
    await system.advanceClock('P2D');
    for (const [index, { customer, mak, request, link }] of requests.entries()) {
      const customerAfter = await signedIn(customer);
      const { status } = await getException(customerAfter, request.exceptionId);
      // A confirmed decision is recorded.
      if (statuses[index] === 200) expect(status).toBe('fulfilled');
      expect(['fulfilled', 'awaiting-approval']).toContain(status);
      if (status === 'awaiting-approval') {
        expect((await decide(system, link, 'approve')).status).toBe(200);
        await system.settle();
      } else {
        expect((await decide(system, link, 'deny')).status).toBe(409);
      }
      expect(await getMak(customerAfter, mak)).toMatchObject({ limit: 200 });
      await expectRaisedOnce(customerAfter, mak.keyId, request);
    }
  });
});

describe('a lost workflow execution', () => {
  it('APR-6 is restarted by the sweep, sends no email twice, and continues', async () => {
    const { customer, mak, request, link } = await awaitingApproval();
    const decided = await awaitingApproval();
    await system.kill();
    rmSync(join(folder, 'executions.jsonl'));
    await restart();

    // A decision finds at once that its execution no longer exists.
    expect((await decide(system, decided.link, 'approve')).status).toBe(200);
    await system.settle();
    const decidedCustomer = await signedIn(decided.customer);
    expect(await getException(decidedCustomer, decided.request.exceptionId)).toMatchObject({ status: 'fulfilled' });
    await expectRaisedOnce(decidedCustomer, decided.mak.keyId, decided.request);

    // The sweep finds the other one.
    await system.advanceClock('PT25H');
    const { executions, states } = await system.workflow(request.exceptionId);
    expect(executions).toMatchObject([{ name: `${request.exceptionId}-2`, status: 'RUNNING' }]);
    expect(states.at(-1)?.state).toBe("Request the Correspondent's approval");
    const customerAfter = await signedIn(customer);
    expect(await getException(customerAfter, request.exceptionId)).toMatchObject({ status: 'awaiting-approval' });
    const [first] = await approvalLinksOf(system, customer);
    expect(first).toEqual(link);
    const subjects = (await system.mailsTo(customer.noor.email)).map(({ subject }) => subject);
    expect(subjects.filter((subject) => subject.startsWith('Decision needed'))).toHaveLength(1);
    expect((await decide(system, link, 'approve')).status).toBe(200);
    await system.settle();
    expect(await getMak(customerAfter, mak)).toMatchObject({ limit: 200 });
    await expectRaisedOnce(customerAfter, mak.keyId, request);
    expect((await system.workflow(request.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
  });
});
