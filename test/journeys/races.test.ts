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

// Concurrent requests: together they do exactly what the rules allow, in any order.

const system = await startSystem();
const staff = await signInStaff(system);

const withStatus = (responses: readonly HttpResponse[], status: number) =>
  responses.filter((response) => response.status === status);
const historyOf = async ({ ines }: Customer, { exceptionId }: Exception) =>
  expectStatus(await ines.get(`/exceptions/${exceptionId}/history`), 200, listOf(ledgerEntrySchema)).items.map(
    ({ action }) => action,
  );

async function awaitingApproval() {
  const customer = await newCustomer(system, staff);
  const mak = await issueMak(customer);
  const request = await submitRequest(system, customer, requestFormOf(customer, mak));
  return { customer, mak, request, link: await newestLink(system, customer) };
}

describe('200 concurrent activations with a limit of 50', () => {
  it('MAK-1 MAK-5 KEY-7 succeed exactly 50 times, and all other responses have the remedies', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const responses = await activateAll(system, await revealProductKey(customer, mak), 1, 200);
    const activated = withStatus(responses, 201).map((response) => expectStatus(response, 201, activationSchema));
    expect(activated).toHaveLength(50);
    expect(new Set(activated.map(({ activationId }) => activationId)).size).toBe(50);
    expect(new Set(activated.map(({ confirmationId }) => confirmationId)).size).toBe(50);
    for (const response of responses.filter(({ status }) => status !== 201)) {
      const refused = expectProblem(response, 409, 'activation-limit-reached');
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

  it('MAK-2 count once if all are from one machine', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const productKey = await revealProductKey(customer, mak);
    const responses = await Promise.all(Array.from({ length: 20 }, () => activate(system, productKey, 1)));
    expect(withStatus(responses, 201)).toHaveLength(1);
    expect(withStatus(responses, 200)).toHaveLength(19);
    expect(new Set(responses.map(({ text }) => text)).size).toBe(1);
    expect(await getMak(customer, mak)).toMatchObject({ used: 1 });
  });

  it('KEY-8 MAK-4 succeed exactly as often as the limit allows while it is raised', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const productKey = await revealProductKey(customer, mak);
    const call = { newLimit: 100, callReference: 'CALL-1', callerName: 'Inés Oliveira' };
    const [responses, raised] = await Promise.all([
      activateAll(system, productKey, 1, 120),
      staff.agent.post(`/keys/${mak.keyId}/increases`, call),
    ]);
    expectStatus(raised, 201, grantSchema);
    const later = await activateAll(system, productKey, 1, 120);
    expect(withStatus(later, 200)).toHaveLength(withStatus(responses, 201).length);
    expect(withStatus(later, 200).length + withStatus(later, 201).length).toBe(100);
    expect(await getMak(customer, mak)).toMatchObject({ limit: 100, used: 100, remaining: 0 });
  });
});

describe('concurrent calls of agents for one key', () => {
  it('OVR-2 OVR-4 grant the last override of the day once, and the other response has the next time', async () => {
    const customer = await newCustomer(system, staff);
    const at = `/keys/${customer.kmsKey.keyId}/overrides`;
    const grantOverride = (host: number) =>
      staff.agent.post(at, {
        installationId: installationId(host),
        callReference: `CALL-${host}`,
        callerName: 'Jorge',
      });
    const responses = await Promise.all([grantOverride(1), grantOverride(2)]);
    expect(withStatus(responses, 201)).toHaveLength(1);
    const [other] = withStatus(responses, 409);
    if (other === undefined) throw new Error('No call was refused with 409.');
    expect(expectProblem(other, 409, 'override-used-today').availableAt).toEqual(expect.any(String));
    expect(await getKmsKey(customer)).toMatchObject({ overrides: { granted: 1, remaining: 4 } });
  });

  it('OVR-3 OVR-4 grant the last override of a key once, and the other response has a draft request', async () => {
    // The first four overrides need four days. No other test in this file advances the clock.
    const customer = await newCustomer(system, staff);
    const at = `/keys/${customer.kmsKey.keyId}/overrides`;
    const grantOverride = (host: number) =>
      staff.agent.post(at, {
        installationId: installationId(host),
        callReference: `CALL-${host}`,
        callerName: 'Jorge',
      });
    for (const host of [1, 2, 3, 4]) {
      expectStatus(await grantOverride(host), 201, grantSchema);
      await system.advanceClock('P1D');
    }
    const responses = await Promise.all([grantOverride(5), grantOverride(6)]);
    expect(withStatus(responses, 201)).toHaveLength(1);
    const [other] = withStatus(responses, 409);
    if (other === undefined) throw new Error('No call was refused with 409.');
    expect(draftSchema.parse(expectProblem(other, 409, 'overrides-exhausted').draft).kind).toBe('KMSADD');
    expect(await getKmsKey(customer)).toMatchObject({ overrides: { granted: 5, remaining: 0 } });
  });

  it('OVR-4 MAK-4 grant once if all are the same call', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const call = { newLimit: 60, callReference: 'CALL-1', callerName: 'Jorge Ruiz' };
    const responses = await Promise.all(
      Array.from({ length: 6 }, () => staff.agent.post(`/keys/${mak.keyId}/increases`, call)),
    );
    expect(withStatus(responses, 201)).toHaveLength(1);
    expect(withStatus(responses, 200)).toHaveLength(5);
    const [{ body } = { body: undefined }] = withStatus(responses, 201);
    for (const response of responses) expect(response.body).toEqual(body);
    expect(await getMak(customer, mak)).toMatchObject({ limit: 60 });
  });
});

describe('concurrent decisions', () => {
  it.each([
    ['approve', 'deny'],
    ['deny', 'approve'],
    ['approve', 'approve'],
  ] as const)('APR-4 to %s and to %s: one is recorded, and the other is refused', async (one, other) => {
    const { customer, mak, request, link } = await awaitingApproval();
    const responses = await Promise.all([decide(system, link, one), decide(system, link, other)]);
    expect(responses.map(({ status }) => status).toSorted()).toEqual([200, 409]);
    await system.settle();
    const { status, approval } = await getException(customer, request.exceptionId);
    const winner = responses[0]?.status === 200 ? one : other;
    expect([status, approval?.decision]).toEqual([winner === 'approve' ? 'fulfilled' : 'denied', winner]);
    expect(await getMak(customer, mak)).toMatchObject({ limit: winner === 'approve' ? 200 : 50 });
    const decisions = (await historyOf(customer, request)).filter((action) => /approved|denied/.test(action));
    expect(decisions).toHaveLength(1);
  });

  it('EXC-8 EXC-9 by the Correspondent and the team: the limit is raised only if the request is fulfilled', async () => {
    const { customer, mak, request, link } = await awaitingApproval();
    const review = { decision: 'reject', reason: 'Too many.' };
    const [approved, rejected] = await Promise.all([
      decide(system, link, 'approve'),
      staff.team.post(`/exceptions/${request.exceptionId}/review`, review),
    ]);
    await system.settle();
    const { status } = await getException(customer, request.exceptionId);
    expect(status).toBe(rejected.status === 202 ? 'rejected' : 'fulfilled');
    expect([200, 410]).toContain(approved.status);
    expect(await getMak(customer, mak)).toMatchObject({ limit: status === 'fulfilled' ? 200 : 50 });
  });

  it('EXC-10 with a withdrawal: exactly one takes effect', async () => {
    const { customer, mak, request, link } = await awaitingApproval();
    const [approved, withdrawn] = await Promise.all([
      decide(system, link, 'approve'),
      customer.ines.post(`/exceptions/${request.exceptionId}/withdrawal`),
    ]);
    await system.settle();
    const { status } = await getException(customer, request.exceptionId);
    expect([approved.status, withdrawn.status, status]).toEqual(
      withdrawn.status === 202 ? [410, 202, 'withdrawn'] : [200, 409, 'fulfilled'],
    );
    expect(await getMak(customer, mak)).toMatchObject({ limit: status === 'fulfilled' ? 200 : 50 });
  });
});

describe('concurrent guesses of a code', () => {
  it('APR-2 count at most five attempts, void the link, and send one new link', async () => {
    const { customer, request, link } = await awaitingApproval();
    const guess = { ...link, code: anotherCode(link.code) };
    const responses = await Promise.all(Array.from({ length: 12 }, () => decide(system, guess, 'approve')));
    expect(withStatus(responses, 422)).toHaveLength(4);
    expect(withStatus(responses, 410)).toHaveLength(8);
    await system.settle();
    expect((await decide(system, link, 'approve')).status).toBe(410);
    expect(await approvalLinksOf(system, customer)).toHaveLength(2);
    expect((await historyOf(customer, request)).filter((action) => action === 'link-voided')).toHaveLength(1);
  });
});

describe('concurrent questions and answers', () => {
  it('EXC-12 record one of two questions and one of two answers', async () => {
    const { customer, request } = await awaitingApproval();
    const at = `/exceptions/${request.exceptionId}`;
    const questions = await Promise.all([
      staff.team.post(`${at}/questions`, { text: 'Which schools?' }),
      staff.team.post(`${at}/questions`, { text: 'How many?' }),
    ]);
    expect(questions.map(({ status }) => status).toSorted()).toEqual([202, 409]);
    await system.settle();
    const responses = await Promise.all([
      customer.ines.post(`${at}/answers`, { text: 'Elm.' }),
      customer.jorge.post(`${at}/answers`, { text: 'Fir.' }),
    ]);
    expect(responses.map(({ status }) => status).toSorted()).toEqual([202, 409]);
    await system.settle();
    expect(expectStatus(await customer.ines.get(at), 200, exceptionSchema).status).toBe('in-review');
    const mails = (await system.mailsTo(customer.ines.email)).filter(({ subject }) => /^Question about/.test(subject));
    expect(mails).toHaveLength(1);
  });
});
