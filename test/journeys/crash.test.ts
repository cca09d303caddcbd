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

// Whatever is cut off in the middle goes on after: nothing is lost, and nothing is done twice.

// Winding over weeks and starting anew take their time on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const folder = mkdtempSync(join(tmpdir(), 'volume-activation-'));
afterAll(() => rmSync(folder, { recursive: true }));
let system = await startSystem({ folder });
let staff = await signInStaff(system);
const vaultSecret = () => readFileSync(join(folder, 'vault-secret'), 'utf8').trim();

async function awaitingApproval() {
  const customer = await newCustomer(system, staff);
  const mak = await issueMak(customer);
  const asked = await submitRequest(system, customer, requestFormOf(customer, mak));
  return { customer, mak, asked, link: await newestLink(system, customer) };
}

/** Records a decision as the approval page does, and dies before the workflow hears of it. */
async function decideAndDie({ path, code }: ApprovalLink, decision: 'approve' | 'deny'): Promise<void> {
  const store = await openStore(system, vaultSecret());
  const token = new Secret(path.slice('/approvals/'.length));
  const answer = { code: new Secret(code), decision, comment: null };
  const outcome = await decideByLink(store, token, answer, instant(await system.now()));
  expect(outcome).toMatchObject({ ok: true });
}

async function expectRaisedOnce({ ines }: Customer, keyId: string, asked: Exception): Promise<void> {
  const grants = expectStatus(await ines.get(`/keys/${keyId}/grants`), 200, listOf(grantSchema)).items;
  expect(grants.map(({ kind, amount, reference }) => [kind, amount, reference]).slice(1)).toEqual([
    ['exception', 150, asked.exceptionId],
  ]);
  const history = expectStatus(
    await ines.get(`/exceptions/${asked.exceptionId}/history`),
    200,
    listOf(ledgerEntrySchema),
  ).items;
  expect(history.map(({ action }) => action).filter((action) => /approved|fulfilled/.test(action))).toEqual([
    'approved',
    'fulfilled',
  ]);
  const mails = (await system.mailsTo(ines.email)).filter(({ subject }) => subject.endsWith(`(${asked.exceptionId})`));
  expect(mails.filter(({ subject }) => /^(Approved|Done)/.test(subject))).toHaveLength(2);
}

/** Starts the system again with the data of the one that was killed, and signs everybody in anew. */
async function startAgain(): Promise<void> {
  system = await startSystem({ folder });
  staff = await signInStaff(system);
}
const signedIn = async (customer: Customer): Promise<Customer> => ({
  ...customer,
  ines: await system.signIn(customer.ines.email),
});

describe('a decision that was recorded and not passed on', () => {
  it('APR-6 EXC-9 is passed on by the next sweep, and the limit is raised once', async () => {
    const { customer, mak, asked, link } = await awaitingApproval();
    await decideAndDie(link, 'approve');
    await system.settle();
    expect(await getException(customer, asked.exceptionId)).toMatchObject({
      status: 'awaiting-approval',
      approval: { decision: 'approve' },
    });
    expect(await getMak(customer, mak)).toMatchObject({ limit: 50 });
    await system.advanceClock('PT2M');
    expect(await getException(customer, asked.exceptionId)).toMatchObject({ status: 'fulfilled' });
    await system.advanceClock('P2D');
    expect(await getMak(customer, mak)).toMatchObject({ limit: 200 });
    await expectRaisedOnce(customer, mak.keyId, asked);
    expect((await system.workflow(asked.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
  });

  it('APR-6 is passed on when it was a denial, too', async () => {
    const { customer, mak, asked, link } = await awaitingApproval();
    await decideAndDie(link, 'deny');
    expect(await getException(customer, asked.exceptionId)).toMatchObject({ status: 'denied' });
    await system.advanceClock('PT2M');
    expect((await system.workflow(asked.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
    const mails = await system.mailsTo(customer.ines.email);
    expect(mails.filter(({ subject }) => subject.startsWith('Denied'))).toHaveLength(1);
    expect(await getMak(customer, mak)).toMatchObject({ limit: 50 });
  });

  it('EXC-8 can still be stopped by the team, after the approval and before the limit is raised', async () => {
    const { customer, mak, asked, link } = await awaitingApproval();
    await decideAndDie(link, 'approve');
    const review = { decision: 'reject', reason: 'The order was cancelled.' };
    const rejected = await staff.team.post(`/exceptions/${asked.exceptionId}/review`, review);
    expect(expectStatus(rejected, 202, exceptionSchema)).toMatchObject({ status: 'rejected' });
    await system.advanceClock('P2D');
    expect(await getException(customer, asked.exceptionId)).toMatchObject({
      status: 'rejected',
      reason: 'The order was cancelled.',
      approval: { decision: 'approve' },
      decidedBy: staff.team.email,
    });
    expect(await getMak(customer, mak)).toMatchObject({ limit: 50 });
    for (const { email } of [customer.ines, customer.noor]) {
      expect((await system.mailsTo(email)).at(-1)?.text, email).toContain('The order was cancelled.');
    }
    expect((await system.workflow(asked.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
  });
});

describe('a system that is killed', () => {
  it('APR-6 EXC-9 in the midst of a decision has recorded it or has not, and goes on from there', async () => {
    const stories = [await awaitingApproval(), await awaitingApproval(), await awaitingApproval()];
    const deciding = stories.map(async ({ link }, index) => {
      await wait(index * 4);
      return decide(system, link, 'approve').then(
        ({ status }) => status,
        () => 'cut off',
      );
    });
    await wait(12);
    await system.kill();
    const answered = await Promise.all(deciding);

    await startAgain();
    await system.advanceClock('P2D');
    for (const [index, { customer, mak, asked, link }] of stories.entries()) {
      const again = await signedIn(customer);
      const { status } = await getException(again, asked.exceptionId);
      // What was told to be recorded is.
      if (answered[index] === 200) expect(status).toBe('fulfilled');
      expect(['fulfilled', 'awaiting-approval']).toContain(status);
      if (status === 'awaiting-approval') {
        expect((await decide(system, link, 'approve')).status).toBe(200);
        await system.settle();
      } else {
        expect((await decide(system, link, 'deny')).status).toBe(409);
      }
      expect(await getMak(again, mak)).toMatchObject({ limit: 200 });
      await expectRaisedOnce(again, mak.keyId, asked);
    }
  });
});

describe('a workflow execution that was lost', () => {
  it('APR-6 is started anew by the sweep, asks nobody twice, and goes on', async () => {
    const { customer, mak, asked, link } = await awaitingApproval();
    const decided = await awaitingApproval();
    await system.kill();
    rmSync(join(folder, 'executions.jsonl'));
    await startAgain();

    // One whose decision comes meanwhile finds out at once that nobody is there to be woken.
    expect((await decide(system, decided.link, 'approve')).status).toBe(200);
    await system.settle();
    const hers = await signedIn(decided.customer);
    expect(await getException(hers, decided.asked.exceptionId)).toMatchObject({ status: 'fulfilled' });
    await expectRaisedOnce(hers, decided.mak.keyId, decided.asked);

    // The other is found by the sweep, which looks in from time to time.
    await system.advanceClock('PT25H');
    const { executions, states } = await system.workflow(asked.exceptionId);
    expect(executions).toMatchObject([{ name: `${asked.exceptionId}-2`, status: 'RUNNING' }]);
    expect(states.at(-1)?.state).toBe('Ask the Correspondent and wait');
    const again = await signedIn(customer);
    expect(await getException(again, asked.exceptionId)).toMatchObject({ status: 'awaiting-approval' });
    const [first] = await approvalLinksOf(system, customer);
    expect(first).toEqual(link);
    const subjects = (await system.mailsTo(customer.noor.email)).map(({ subject }) => subject);
    expect(subjects.filter((subject) => subject.startsWith('Decision needed'))).toHaveLength(1);
    expect((await decide(system, link, 'approve')).status).toBe(200);
    await system.settle();
    expect(await getMak(again, mak)).toMatchObject({ limit: 200 });
    await expectRaisedOnce(again, mak.keyId, asked);
    expect((await system.workflow(asked.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
  });
});
