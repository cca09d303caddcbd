import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  exceptionSchema,
  expectProblem,
  expectStatus,
  grantSchema,
  ledgerEntrySchema,
  listOf,
  makSchema,
  revealedSchema,
} from './contract.ts';
import { getMak, issueMak, kmsRequestFormOf, newCustomer, requestFormOf, signInStaff } from './customer.ts';
import type { HttpResponse } from './response.ts';
import { openStore, sortedItems, startSystem } from './system.ts';

const system = await startSystem();
const staff = await signInStaff(system);
const customer = await newCustomer(system, staff);
const { ines, jorge, agreementId } = customer;
const mak = await issueMak(customer);
const newKey = () => ({ 'Idempotency-Key': `key ${randomUUID()}` });

const same = (one: HttpResponse, other: HttpResponse) => {
  expect([other.status, other.text]).toEqual([one.status, one.text]);
  expect(other.headers.get('content-type')).toBe(one.headers.get('content-type'));
  expect(other.headers.get('x-request-id')).not.toBe(one.headers.get('x-request-id'));
};
const historyOf = async (keyId: string) =>
  expectStatus(await ines.get(`/keys/${keyId}/history`), 200, listOf(ledgerEntrySchema)).items.map(
    ({ action }) => action,
  );

describe('a request sent again with its idempotency key', () => {
  it('answers as the first time, and makes nothing more', async () => {
    const header = newKey();
    const once = await ines.post(`/agreements/${agreementId}/keys`, { type: 'MAK', productGroup: 'server-b' }, header);
    const { keyId } = expectStatus(once, 201, makSchema);
    same(once, await ines.post(`/agreements/${agreementId}/keys`, { type: 'MAK', productGroup: 'server-b' }, header));
    // Without it, it is another request.
    const again = await ines.post(`/agreements/${agreementId}/keys`, { type: 'MAK', productGroup: 'server-b' });
    expect(expectProblem(again, 409, 'mak-already-issued').keyId).toBe(keyId);
  });

  it('answers as the first time although the world has moved on', async () => {
    const header = newKey();
    const call = { newLimit: 60, callReference: 'CALL-1', callerName: 'Inés Oliveira' };
    const once = await staff.agent.post(`/keys/${mak.keyId}/increases`, call, header);
    expectStatus(once, 201, grantSchema);
    same(once, await staff.agent.post(`/keys/${mak.keyId}/increases`, call, header));
    expect((await getMak(customer, mak)).limit).toBe(60);
  });

  it('answers a no as the first time, too', async () => {
    const header = newKey();
    const call = { newLimit: 60, callReference: 'CALL-2', callerName: 'Inés Oliveira' };
    const once = await staff.agent.post(`/keys/${mak.keyId}/increases`, call, header);
    expectProblem(once, 409, 'limit-not-raised');
    same(once, await staff.agent.post(`/keys/${mak.keyId}/increases`, call, header));
  });

  it('KEY-6 shows the same key again, records one showing, and keeps no key in the clear', async () => {
    const header = newKey();
    const before = (await historyOf(mak.keyId)).length;
    const once = await ines.post(`/keys/${mak.keyId}/reveal`, undefined, header);
    const { productKey } = expectStatus(once, 200, revealedSchema);
    same(once, await ines.post(`/keys/${mak.keyId}/reveal`, undefined, header));
    expect((await historyOf(mak.keyId)).slice(before)).toEqual(['key-revealed']);
    const kept = JSON.stringify(await sortedItems(await openStore(system)));
    expect(kept).not.toContain(productKey);
    expect(kept).not.toContain(productKey.replaceAll('-', ''));
    expect(kept).toContain('IDEMPOTENCY#');
  });

  it('EXC-5 makes one request', async () => {
    const header = newKey();
    const intake = requestFormOf(customer, mak);
    const once = await ines.post('/exceptions', intake, header);
    const { exceptionId } = expectStatus(once, 202, exceptionSchema);
    same(once, await ines.post('/exceptions', intake, header));
    const other = await ines.post('/exceptions', intake);
    expect(expectProblem(other, 409, 'exception-already-open').exceptionId).toBe(exceptionId);
  });
});

describe('an idempotency key that was used', () => {
  it('is refused with another body, at another address, and with the same body in other words', async () => {
    const header = newKey();
    const at = `/keys/${mak.keyId}/increases`;
    const call = { newLimit: 70, callReference: 'CALL-3', callerName: 'Inés Oliveira' };
    expectStatus(await staff.agent.post(at, call, header), 201, grantSchema);
    for (const answer of [
      await staff.agent.post(at, { ...call, newLimit: 80 }, header),
      await staff.agent.post(`/keys/${customer.kmsKey.keyId}/increases`, call, header),
      await staff.agent.post(
        `/keys/${mak.keyId}/overrides`,
        { ...call, newLimit: undefined, installationId: '1' },
        header,
      ),
    ]) {
      expectProblem(answer, 409, 'idempotency-key-reused');
    }
    expect((await getMak(customer, mak)).limit).toBe(70);
  });

  it('is free for everybody else', async () => {
    const header = newKey();
    const [hers, his] = [
      await ines.post(`/keys/${mak.keyId}/reveal`, undefined, header),
      await jorge.post(`/keys/${mak.keyId}/reveal`, undefined, header),
    ];
    expect([hers.status, his.status]).toEqual([200, 200]);
    expect((await historyOf(mak.keyId)).slice(-2)).toEqual(['key-revealed', 'key-revealed']);
  });

  it('is not used up by what was refused at the door', async () => {
    const header = newKey();
    const at = `/keys/${mak.keyId}/increases`;
    expectProblem(await staff.agent.post(at, {}, header), 422, 'invalid-request');
    expectProblem(await ines.post(at, {}, header), 403, 'forbidden');
    const call = { newLimit: 75, callReference: 'CALL-4', callerName: 'Inés Oliveira' };
    expectStatus(await staff.agent.post(at, call, header), 201, grantSchema);
  });

  it('may be 255 characters long', async () => {
    const header = { 'Idempotency-Key': `${'x'.repeat(254)}~` };
    expectStatus(await ines.post(`/keys/${mak.keyId}/reveal`, undefined, header), 200, revealedSchema);
  });
});

describe('the same request sent many times at once', () => {
  it('EXC-5 makes one with an idempotency key: each is told of it, or that it still runs', async () => {
    const header = newKey();
    const intake = kmsRequestFormOf(customer);
    const answers = await Promise.all(Array.from({ length: 10 }, () => ines.post('/exceptions', intake, header)));
    const made = answers
      .filter(({ status }) => status === 202)
      .map((answer) => expectStatus(answer, 202, exceptionSchema));
    for (const answer of answers.filter(({ status }) => status !== 202))
      expectProblem(answer, 409, 'request-in-progress');
    expect(new Set(made.map(({ exceptionId }) => exceptionId)).size).toBe(1);
    same(await ines.post('/exceptions', intake, header), await ines.post('/exceptions', intake, header));
    await system.settle();
    const mails = (await system.mailsTo(ines.email)).filter(({ text }) => text?.includes(made[0]?.exceptionId ?? ''));
    expect(mails.filter(({ subject }) => /^We received your request/.test(subject))).toHaveLength(1);
    await ines.post(`/exceptions/${made[0]?.exceptionId}/withdrawal`);
  });

  it('EXC-5 makes one without: all others are told which is open', async () => {
    const intake = kmsRequestFormOf(customer);
    const answers = await Promise.all(Array.from({ length: 10 }, () => ines.post('/exceptions', intake)));
    const made = answers
      .filter(({ status }) => status === 202)
      .map((answer) => expectStatus(answer, 202, exceptionSchema));
    expect(made).toHaveLength(1);
    for (const answer of answers.filter(({ status }) => status !== 202)) {
      expect(expectProblem(answer, 409, 'exception-already-open').exceptionId).toBe(made[0]?.exceptionId);
    }
    const open = expectStatus(await ines.get('/exceptions?status=open'), 200, listOf(exceptionSchema)).items;
    expect(open.filter(({ kind }) => kind === 'KMSADD')).toHaveLength(1);
  });
});

describe('an idempotency key where there is none to give', () => {
  it('is not looked at: reading, putting, and calling as a machine are repeatable anyway', async () => {
    const header = { 'Idempotency-Key': 'x'.repeat(300) };
    const activation = { productKey: 'none', installationId: '1', product: 'windows-vista-business' };
    const answer = await system.send({ method: 'POST', path: '/activations', body: activation, headers: header });
    expectProblem(answer, 422, 'invalid-installation-id');
    const read = await system.send({ method: 'GET', path: '/agreements', token: ines.token, headers: header });
    expect(read.status).toBe(200);
  });
});

describe('an idempotency key of yesterday', () => {
  it('is forgotten after 24 hours: what was refused then is asked anew', async () => {
    const header = newKey();
    const intake = kmsRequestFormOf(customer);
    const refused = await ines.post('/exceptions', intake, header);
    const { exceptionId } = expectProblem(refused, 409, 'exception-already-open');
    expectStatus(await ines.post(`/exceptions/${exceptionId}/withdrawal`), 202, exceptionSchema);
    await system.advanceClock('PT23H59M');
    same(refused, await ines.post('/exceptions', intake, header));
    await system.advanceClock('PT2M');
    expectStatus(await ines.post('/exceptions', intake, header), 202, exceptionSchema);
  });
});
