import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { installationId } from '../builders.ts';
import type { Exception } from './contract.ts';
import {
  activatedMachineSchema,
  activationSchema,
  draftSchema,
  exceptionSchema,
  expectProblem,
  expectStatus,
  grantSchema,
  ledgerEntrySchema,
  listOf,
  remedySchema,
} from './contract.ts';
import type { Customer } from './customer.ts';
import {
  activate,
  activateAll,
  anotherCode,
  approvalLinksOf,
  decide,
  getException,
  getKmsKey,
  getMak,
  issueMak,
  newCustomer,
  newestLink,
  requestFormOf,
  revealProductKey,
  signInStaff,
  submitRequest,
} from './customer.ts';
import type { HttpResponse } from './response.ts';
import { startSystem } from './system.ts';

// Many at once: what they add up to is what the rules allow, whoever comes first.

const system = await startSystem();
const staff = await signInStaff(system);

const withStatus = (answers: readonly HttpResponse[], status: number) =>
  answers.filter((answer) => answer.status === status);
const historyOf = async ({ ines }: Customer, { exceptionId }: Exception) =>
  expectStatus(await ines.get(`/exceptions/${exceptionId}/history`), 200, listOf(ledgerEntrySchema)).items.map(
    ({ action }) => action,
  );

async function awaitingApproval() {
  const customer = await newCustomer(system, staff);
  const mak = await issueMak(customer);
  const asked = await submitRequest(system, customer, requestFormOf(customer, mak));
  return { customer, mak, asked, link: await newestLink(system, customer) };
}

describe('two hundred machines at once on a MAK of fifty', () => {
  it('MAK-1 MAK-5 KEY-7 exactly fifty are activated, and every other is told the way out', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const answers = await activateAll(system, await revealProductKey(customer, mak), 1, 200);
    const activated = withStatus(answers, 201).map((answer) => expectStatus(answer, 201, activationSchema));
    expect(activated).toHaveLength(50);
    expect(new Set(activated.map(({ activationId }) => activationId)).size).toBe(50);
    expect(new Set(activated.map(({ confirmationId }) => confirmationId)).size).toBe(50);
    for (const answer of answers.filter(({ status }) => status !== 201)) {
      const refused = expectProblem(answer, 409, 'activation-limit-reached');
      expect(refused).toMatchObject({ limit: 50, used: 50 });
      const [byPhone, byRequest] = z.array(remedySchema).parse(refused.remedies);
      expect(byPhone).toEqual({ kind: 'call-center-increase', available: true, maximum: 50 });
      expect(draftSchema.parse(byRequest?.draft).keyLastFive).toBe(mak.lastFive);
    }
    expect(await getMak(customer, mak)).toMatchObject({ limit: 50, used: 50, remaining: 0 });
    const listed = await customer.ines.get(`/keys/${mak.keyId}/activations?limit=100`);
    const machines = expectStatus(listed, 200, listOf(activatedMachineSchema)).items;
    expect(new Set(machines.map((each) => each.installationId)).size).toBe(50);
  });

  it('MAK-2 one machine that asks twenty times at once counts once', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const productKey = await revealProductKey(customer, mak);
    const answers = await Promise.all(Array.from({ length: 20 }, () => activate(system, productKey, 1)));
    expect(withStatus(answers, 201)).toHaveLength(1);
    expect(withStatus(answers, 200)).toHaveLength(19);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(await getMak(customer, mak)).toMatchObject({ used: 1 });
  });

  it('KEY-8 MAK-4 while the limit is raised, no more and no fewer than it allows', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const productKey = await revealProductKey(customer, mak);
    const call = { newLimit: 100, callReference: 'CALL-1', callerName: 'Inés Oliveira' };
    const [answers, raised] = await Promise.all([
      activateAll(system, productKey, 1, 120),
      staff.agent.post(`/keys/${mak.keyId}/increases`, call),
    ]);
    expectStatus(raised, 201, grantSchema);
    const later = await activateAll(system, productKey, 1, 120);
    expect(withStatus(later, 200)).toHaveLength(withStatus(answers, 201).length);
    expect(withStatus(later, 200).length + withStatus(later, 201).length).toBe(100);
    expect(await getMak(customer, mak)).toMatchObject({ limit: 100, used: 100, remaining: 0 });
  });
});

describe('agents at once on one key', () => {
  it('OVR-2 OVR-4 two who give the last override of the day: one does, the other is told when', async () => {
    const customer = await newCustomer(system, staff);
    const at = `/keys/${customer.kmsKey.keyId}/overrides`;
    const give = (host: number) =>
      staff.agent.post(at, {
        installationId: installationId(host),
        callReference: `CALL-${host}`,
        callerName: 'Jorge',
      });
    const answers = await Promise.all([give(1), give(2)]);
    expect(withStatus(answers, 201)).toHaveLength(1);
    const [other] = withStatus(answers, 409);
    if (other === undefined) throw new Error('both were told something else');
    expect(expectProblem(other, 409, 'override-used-today').availableAt).toEqual(expect.any(String));
    expect(await getKmsKey(customer)).toMatchObject({ overrides: { granted: 1, remaining: 4 } });
  });

  it('OVR-3 OVR-4 two who give the very last override: one does, the other is given the request, begun', async () => {
    // The days of a key's first four overrides need a clock that is wound on; nobody else uses it in this file.
    const customer = await newCustomer(system, staff);
    const at = `/keys/${customer.kmsKey.keyId}/overrides`;
    const give = (host: number) =>
      staff.agent.post(at, {
        installationId: installationId(host),
        callReference: `CALL-${host}`,
        callerName: 'Jorge',
      });
    for (const host of [1, 2, 3, 4]) {
      expectStatus(await give(host), 201, grantSchema);
      await system.advanceClock('P1D');
    }
    const answers = await Promise.all([give(5), give(6)]);
    expect(withStatus(answers, 201)).toHaveLength(1);
    const [other] = withStatus(answers, 409);
    if (other === undefined) throw new Error('both were told something else');
    expect(draftSchema.parse(expectProblem(other, 409, 'overrides-exhausted').draft).kind).toBe('KMSADD');
    expect(await getKmsKey(customer)).toMatchObject({ overrides: { granted: 5, remaining: 0 } });
  });

  it('OVR-4 MAK-4 one call that is entered many times at once grants once', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const call = { newLimit: 60, callReference: 'CALL-1', callerName: 'Jorge Ruiz' };
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => staff.agent.post(`/keys/${mak.keyId}/increases`, call)),
    );
    expect(withStatus(answers, 201)).toHaveLength(1);
    expect(withStatus(answers, 200)).toHaveLength(5);
    const [{ body } = { body: undefined }] = withStatus(answers, 201);
    for (const answer of answers) expect(answer.body).toEqual(body);
    expect(await getMak(customer, mak)).toMatchObject({ limit: 60 });
  });
});

describe('two decisions at once', () => {
  it.each([
    ['approve', 'deny'],
    ['deny', 'approve'],
    ['approve', 'approve'],
  ] as const)('APR-4 to %s and to %s: one wins, and the other is told so', async (one, other) => {
    const { customer, mak, asked, link } = await awaitingApproval();
    const answers = await Promise.all([decide(system, link, one), decide(system, link, other)]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409]);
    await system.settle();
    const { status, approval } = await getException(customer, asked.exceptionId);
    const winner = answers[0]?.status === 200 ? one : other;
    expect([status, approval?.decision]).toEqual([winner === 'approve' ? 'fulfilled' : 'denied', winner]);
    expect(await getMak(customer, mak)).toMatchObject({ limit: winner === 'approve' ? 200 : 50 });
    const decisions = (await historyOf(customer, asked)).filter((action) => /approved|denied/.test(action));
    expect(decisions).toHaveLength(1);
  });

  it('EXC-8 EXC-9 an approval and the team’s rejection: the limit is raised only if the request was fulfilled', async () => {
    const { customer, mak, asked, link } = await awaitingApproval();
    const review = { decision: 'reject', reason: 'Too many.' };
    const [approved, rejected] = await Promise.all([
      decide(system, link, 'approve'),
      staff.team.post(`/exceptions/${asked.exceptionId}/review`, review),
    ]);
    await system.settle();
    const { status } = await getException(customer, asked.exceptionId);
    expect(status).toBe(rejected.status === 202 ? 'rejected' : 'fulfilled');
    expect([200, 410]).toContain(approved.status);
    expect(await getMak(customer, mak)).toMatchObject({ limit: status === 'fulfilled' ? 200 : 50 });
  });

  it('EXC-10 an approval and the withdrawal: one of them happens', async () => {
    const { customer, mak, asked, link } = await awaitingApproval();
    const [approved, withdrawn] = await Promise.all([
      decide(system, link, 'approve'),
      customer.ines.post(`/exceptions/${asked.exceptionId}/withdrawal`),
    ]);
    await system.settle();
    const { status } = await getException(customer, asked.exceptionId);
    expect([approved.status, withdrawn.status, status]).toEqual(
      withdrawn.status === 202 ? [410, 202, 'withdrawn'] : [200, 409, 'fulfilled'],
    );
    expect(await getMak(customer, mak)).toMatchObject({ limit: status === 'fulfilled' ? 200 : 50 });
  });
});

describe('guesses at a code, all at once', () => {
  it('APR-2 no more than five are tried, the link is void, and one new link is mailed', async () => {
    const { customer, asked, link } = await awaitingApproval();
    const guess = { ...link, code: anotherCode(link.code) };
    const answers = await Promise.all(Array.from({ length: 12 }, () => decide(system, guess, 'approve')));
    expect(withStatus(answers, 422)).toHaveLength(4);
    expect(withStatus(answers, 410)).toHaveLength(8);
    await system.settle();
    expect((await decide(system, link, 'approve')).status).toBe(410);
    expect(await approvalLinksOf(system, customer)).toHaveLength(2);
    expect((await historyOf(customer, asked)).filter((action) => action === 'link-voided')).toHaveLength(1);
  });
});

describe('questions and answers at once', () => {
  it('EXC-12 one of two questions is put, and one of two answers is taken', async () => {
    const { customer, asked } = await awaitingApproval();
    const at = `/exceptions/${asked.exceptionId}`;
    const questions = await Promise.all([
      staff.team.post(`${at}/questions`, { text: 'Which schools?' }),
      staff.team.post(`${at}/questions`, { text: 'How many?' }),
    ]);
    expect(questions.map(({ status }) => status).toSorted()).toEqual([202, 409]);
    await system.settle();
    const answers = await Promise.all([
      customer.ines.post(`${at}/answers`, { text: 'Elm.' }),
      customer.jorge.post(`${at}/answers`, { text: 'Fir.' }),
    ]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([202, 409]);
    await system.settle();
    expect(expectStatus(await customer.ines.get(at), 200, exceptionSchema).status).toBe('in-review');
    const mails = (await system.mailsTo(customer.ines.email)).filter(({ subject }) => /^A question/.test(subject));
    expect(mails).toHaveLength(1);
  });
});
