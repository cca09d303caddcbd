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

const expectSameResponse = (one: HttpResponse, other: HttpResponse) => {
  expect([other.status, other.text]).toEqual([one.status, one.text]);
  expect(other.headers.get('content-type')).toBe(one.headers.get('content-type'));
  expect(other.headers.get('x-request-id')).not.toBe(one.headers.get('x-request-id'));
};
const historyOf = async (keyId: string) =>
  expectStatus(await ines.get(`/keys/${keyId}/history`), 200, listOf(ledgerEntrySchema)).items.map(
    ({ action }) => action,
  );

describe('a request sent again with its idempotency key', () => {
  it('gets the first response, and creates nothing more', async () => {
    const header = newKey();
    const once = await ines.post(`/agreements/${agreementId}/keys`, { type: 'MAK', productGroup: 'server-b' }, header);
    const { keyId } = expectStatus(once, 201, makSchema);
    expectSameResponse(
      once,
      await ines.post(`/agreements/${agreementId}/keys`, { type: 'MAK', productGroup: 'server-b' }, header),
    );
    // Without the idempotency key, it is another request.
    const again = await ines.post(`/agreements/${agreementId}/keys`, { type: 'MAK', productGroup: 'server-b' });
    expect(expectProblem(again, 409, 'mak-already-issued').keyId).toBe(keyId);
  });

  it('gets the first response even if the data has changed since', async () => {
    const header = newKey();
    const call = { newLimit: 60, callReference: 'CALL-1', callerName: 'Inés Oliveira' };
    const once = await staff.agent.post(`/keys/${mak.keyId}/increases`, call, header);
    expectStatus(once, 201, grantSchema);
    expectSameResponse(once, await staff.agent.post(`/keys/${mak.keyId}/increases`, call, header));
    expect((await getMak(customer, mak)).limit).toBe(60);
  });

  it('gets the first response if that was a refusal, too', async () => {
    const header = newKey();
    const call = { newLimit: 60, callReference: 'CALL-2', callerName: 'Inés Oliveira' };
    const once = await staff.agent.post(`/keys/${mak.keyId}/increases`, call, header);
    expectProblem(once, 409, 'limit-not-raised');
    expectSameResponse(once, await staff.agent.post(`/keys/${mak.keyId}/increases`, call, header));
  });

  it('KEY-6 reveals the same key, records one reveal, and stores no key in plain text', async () => {
    const header = newKey();
    const before = (await historyOf(mak.keyId)).length;
    const once = await ines.post(`/keys/${mak.keyId}/reveal`, undefined, header);
    const { productKey } = expectStatus(once, 200, revealedSchema);
    expectSameResponse(once, await ines.post(`/keys/${mak.keyId}/reveal`, undefined, header));
    expect((await historyOf(mak.keyId)).slice(before)).toEqual(['key-revealed']);
    const stored = JSON.stringify(await sortedItems(await openStore(system)));
    expect(stored).not.toContain(productKey);
    expect(stored).not.toContain(productKey.replaceAll('-', ''));
    expect(stored).toContain('IDEMPOTENCY#');
  });

  it('EXC-5 creates one request', async () => {
    const header = newKey();
    const intake = requestFormOf(customer, mak);
    const once = await ines.post('/exceptions', intake, header);
    const { exceptionId } = expectStatus(once, 202, exceptionSchema);
    expectSameResponse(once, await ines.post('/exceptions', intake, header));
    const other = await ines.post('/exceptions', intake);
    expect(expectProblem(other, 409, 'exception-already-open').exceptionId).toBe(exceptionId);
  });
});

describe('a used idempotency key', () => {
  it('is refused with another body and at another address', async () => {
    const header = newKey();
    const at = `/keys/${mak.keyId}/increases`;
    const call = { newLimit: 70, callReference: 'CALL-3', callerName: 'Inés Oliveira' };
    expectStatus(await staff.agent.post(at, call, header), 201, grantSchema);
    for (const response of [
      await staff.agent.post(at, { ...call, newLimit: 80 }, header),
      await staff.agent.post(`/keys/${customer.kmsKey.keyId}/increases`, call, header),
      await staff.agent.post(
        `/keys/${mak.keyId}/overrides`,
        { ...call, newLimit: undefined, installationId: '1' },
        header,
      ),
    ]) {
      expectProblem(response, 409, 'idempotency-key-reused');
    }
    expect((await getMak(customer, mak)).limit).toBe(70);
  });

  it('can be used by another caller', async () => {
    const header = newKey();
    const [responseToInes, responseToJorge] = [
      await ines.post(`/keys/${mak.keyId}/reveal`, undefined, header),
      await jorge.post(`/keys/${mak.keyId}/reveal`, undefined, header),
    ];
    expect([responseToInes.status, responseToJorge.status]).toEqual([200, 200]);
    expect((await historyOf(mak.keyId)).slice(-2)).toEqual(['key-revealed', 'key-revealed']);
  });

  it('is not used by a request that fails validation or authorization', async () => {
    const header = newKey();
    const at = `/keys/${mak.keyId}/increases`;
    expectProblem(await staff.agent.post(at, {}, header), 422, 'invalid-request');
    expectProblem(await ines.post(at, {}, header), 403, 'forbidden');
    const call = { newLimit: 75, callReference: 'CALL-4', callerName: 'Inés Oliveira' };
    expectStatus(await staff.agent.post(at, call, header), 201, grantSchema);
  });

  it('can have 255 characters', async () => {
    const header = { 'Idempotency-Key': `${'x'.repeat(254)}~` };
    expectStatus(await ines.post(`/keys/${mak.keyId}/reveal`, undefined, header), 200, revealedSchema);
  });
});

describe('the same request, sent many times concurrently', () => {
  it('EXC-5 creates one request with an idempotency key; each response has it, or says that it is in progress', async () => {
    const header = newKey();
    const intake = kmsRequestFormOf(customer);
    const responses = await Promise.all(Array.from({ length: 10 }, () => ines.post('/exceptions', intake, header)));
    const created = responses
      .filter(({ status }) => status === 202)
      .map((response) => expectStatus(response, 202, exceptionSchema));
    for (const response of responses.filter(({ status }) => status !== 202))
      expectProblem(response, 409, 'request-in-progress');
    expect(new Set(created.map(({ exceptionId }) => exceptionId)).size).toBe(1);
    expectSameResponse(await ines.post('/exceptions', intake, header), await ines.post('/exceptions', intake, header));
    await system.settle();
    const emails = (await system.mailsTo(ines.email)).filter(({ text }) =>
      text?.includes(created[0]?.exceptionId ?? ''),
    );
    expect(emails.filter(({ subject }) => /^We received your request/.test(subject))).toHaveLength(1);
    await ines.post(`/exceptions/${created[0]?.exceptionId}/withdrawal`);
  });

  it('EXC-5 creates one request without an idempotency key; all other responses name the open one', async () => {
    const intake = kmsRequestFormOf(customer);
    const responses = await Promise.all(Array.from({ length: 10 }, () => ines.post('/exceptions', intake)));
    const created = responses
      .filter(({ status }) => status === 202)
      .map((response) => expectStatus(response, 202, exceptionSchema));
    expect(created).toHaveLength(1);
    for (const response of responses.filter(({ status }) => status !== 202)) {
      expect(expectProblem(response, 409, 'exception-already-open').exceptionId).toBe(created[0]?.exceptionId);
    }
    const open = expectStatus(await ines.get('/exceptions?status=open'), 200, listOf(exceptionSchema)).items;
    expect(open.filter(({ kind }) => kind === 'KMSADD')).toHaveLength(1);
  });
});

describe('an idempotency key on another route', () => {
  it('is ignored: GET, PUT, and the routes for machines are repeatable without it', async () => {
    const header = { 'Idempotency-Key': 'x'.repeat(300) };
    const activation = { productKey: 'none', installationId: '1', product: 'windows-vista-business' };
    const response = await system.send({ method: 'POST', path: '/activations', body: activation, headers: header });
    expectProblem(response, 422, 'invalid-installation-id');
    const read = await system.send({ method: 'GET', path: '/agreements', token: ines.token, headers: header });
    expect(read.status).toBe(200);
  });
});

describe('an idempotency key after 24 hours', () => {
  it('is deleted, so that a refused request can succeed', async () => {
    const header = newKey();
    const intake = kmsRequestFormOf(customer);
    const refused = await ines.post('/exceptions', intake, header);
    const { exceptionId } = expectProblem(refused, 409, 'exception-already-open');
    expectStatus(await ines.post(`/exceptions/${exceptionId}/withdrawal`), 202, exceptionSchema);
    await system.advanceClock('PT23H59M');
    expectSameResponse(refused, await ines.post('/exceptions', intake, header));
    await system.advanceClock('PT2M');
    expectStatus(await ines.post('/exceptions', intake, header), 202, exceptionSchema);
  });
});
