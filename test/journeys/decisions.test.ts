import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { installationId } from '../builders.ts';
import type { Exception } from './contract.ts';
import {
  activationSchema,
  allowancesSchema,
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
  kmsRequestFormOf,
  newCustomer,
  newestLink,
  newestStrictLink,
  requestFormOf,
  revealProductKey,
  signInStaff,
  submitRequest,
} from './customer.ts';
import { startSystem } from './system.ts';

// The outcomes of requests. The clock runs at the speed of the wall clock, and each test has a customer of its own, so the
// tests run concurrently.

const system = await startSystem();
const staff = await signInStaff(system);

const grantsOf = async ({ ines }: Customer, keyId: string) =>
  expectStatus(await ines.get(`/keys/${keyId}/grants`), 200, listOf(grantSchema)).items;
const historyOf = async ({ ines }: Customer, path: string) =>
  expectStatus(await ines.get(`${path}/history`), 200, listOf(ledgerEntrySchema)).items;
const actionsOf = async (customer: Customer, { exceptionId }: Exception) =>
  (await historyOf(customer, `/exceptions/${exceptionId}`)).map(({ action }) => action);
const subjectsTo = async (address: string, { exceptionId }: Exception) =>
  (await system.mailsTo(address)).flatMap(({ subject }) =>
    subject.endsWith(` (${exceptionId})`) ? [subject.slice(0, -exceptionId.length - 3)] : [],
  );
const statesOf = async ({ exceptionId }: Exception) =>
  (await system.workflow(exceptionId)).states.map(({ state }) => state);

const teamAddress = 'exceptions-team@volume-activation.example';

describe.concurrent('a used-up MAK', () => {
  it('MAK-1 MAK-4 MAK-5 EXC-6 EXC-9 can be doubled by phone, and raised further by a MAKADD that the Correspondent approves', async () => {
    const customer = await newCustomer(system, staff);
    const { ines, noor } = customer;
    const mak = await issueMak(customer);
    expect(mak).toMatchObject({ limit: 50, used: 0, remaining: 50 });
    const productKey = await revealProductKey(customer, mak);
    for (const { status } of await activateAll(system, productKey, 1, 50)) expect(status).toBe(201);

    const full = expectProblem(await activate(system, productKey, 51), 409, 'activation-limit-reached');
    const [byPhone, byRequest] = z.array(remedySchema).parse(full.remedies);
    expect(full).toMatchObject({ limit: 50, used: 50 });
    expect(byPhone).toEqual({ kind: 'call-center-increase', available: true, maximum: 50 });
    expect(byRequest).toMatchObject({ kind: 'MAKADD', available: true });

    // The call center sees its maximum and can raise the limit up to it.
    const { agent } = staff;
    const allowances = async () =>
      expectStatus(await agent.get(`/keys/${mak.keyId}/allowances`), 200, allowancesSchema);
    expect(await allowances()).toEqual({
      override: null,
      increase: { maximumLimit: 100, available: 50 },
      exception: 'MAKADD',
    });
    const call = { newLimit: 100, callReference: 'CALL-1', callerName: 'Inés Oliveira' };
    const grant = expectStatus(await agent.post(`/keys/${mak.keyId}/increases`, call), 201, grantSchema);
    expect(grant).toMatchObject({
      kind: 'call-center',
      amount: 50,
      by: agent.email,
      reference: 'CALL-1',
      approvedBy: null,
    });
    expect(expectStatus(await agent.post(`/keys/${mak.keyId}/increases`, call), 200, grantSchema)).toEqual(grant);
    expect(await allowances()).toMatchObject({ increase: { maximumLimit: 100, available: 0 } });
    const tooMuch = { ...call, newLimit: 101, callReference: 'CALL-2' };
    const above = expectProblem(
      await agent.post(`/keys/${mak.keyId}/increases`, tooMuch),
      409,
      'above-call-center-limit',
    );
    expect(above.maximumLimit).toBe(100);
    const draft = draftSchema.parse(above.draft);

    // The draft in the refusal lacks only what the system cannot fill in.
    const { contacts } = customer.registration;
    const intake = { ...draft, requester: contacts[0], businessReason: 'A new lab.', requiredDate: '2099-01-04' };
    const request = await submitRequest(system, customer, { ...intake, activationsRequested: 150 });
    expect(request).toMatchObject({
      status: 'awaiting-approval',
      kind: 'MAKADD',
      activations: 150,
      flags: [],
      overdue: false,
    });
    expect(request.approval).toMatchObject({ remindersSent: 0, decidedAt: null, decision: null, comment: null });
    expect(await getMak(customer, mak)).toMatchObject({ limit: 100 });

    const link = await newestLink(system, customer);
    const page = await system.send({ method: 'GET', path: link.path });
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect((await decide(system, link, 'approve', 'For the new lab.')).status).toBe(200);
    await system.settle();

    expect(await getException(customer, request.exceptionId)).toMatchObject({
      status: 'fulfilled',
      activations: 150,
      approval: { decision: 'approve', comment: 'For the new lab.' },
      decidedBy: noor.email,
      closedAt: expect.any(String),
      clock: { running: false },
    });
    expect(await getMak(customer, mak)).toMatchObject({ limit: 250, used: 50, remaining: 200 });
    expect(await grantsOf(customer, mak.keyId)).toMatchObject([
      { kind: 'initial', amount: 50, by: ines.email },
      { kind: 'call-center', amount: 50, by: agent.email },
      { kind: 'exception', amount: 150, reference: request.exceptionId, approvedBy: noor.email },
    ]);
    expectStatus(await activate(system, productKey, 51), 201, activationSchema);
    expect(await subjectsTo(ines.email, request)).toEqual([
      'We received your request for 150 more activations',
      'Waiting for approval: your request for 150 more activations',
      'Approved: your request for 150 more activations',
      expect.stringMatching(/^Limit raised: your request for 150 more activations/),
    ]);
    expect(await subjectsTo(noor.email, request)).toEqual([
      expect.stringMatching(/^Decision needed: 150 more activations/),
      expect.stringMatching(/approved/i),
      expect.stringMatching(/^Limit raised: 150 more activations/),
    ]);
    expect(await actionsOf(customer, request)).toEqual(['received', 'approval-asked', 'approved', 'fulfilled']);
    expect((await historyOf(customer, `/keys/${mak.keyId}`)).map(({ action }) => action)).toEqual([
      'key-issued',
      'key-revealed',
      'limit-raised',
      'limit-raised',
    ]);
    expect((await system.workflow(request.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
  });

  it('MAK-2 MAK-3 counts a machine once, and does not count one with another product', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const productKey = await revealProductKey(customer, mak);
    const once = expectStatus(await activate(system, productKey, 1), 201, activationSchema);
    expect(once.keyType).toBe('MAK');
    expect(
      expectStatus(await activate(system, productKey.toLowerCase().replaceAll('-', ' '), 1), 200, activationSchema),
    ).toEqual(once);
    const spaced = installationId(1)
      .replace(/(.{6})/g, '$1-')
      .slice(0, -1);
    const body = { productKey, installationId: spaced, product: 'windows-vista-business' };
    expect(
      expectStatus(await system.send({ method: 'POST', path: '/activations', body }), 200, activationSchema),
    ).toEqual(once);
    const other = await activate(system, productKey, 2, 'windows-server-2008-standard');
    expect(expectProblem(other, 422, 'product-not-covered').covers).toEqual([
      'windows-vista-business',
      'windows-vista-enterprise',
    ]);
    const wrong = { ...body, installationId: `${installationId(1).slice(0, 23)}x${installationId(1).slice(24)}` };
    expectProblem(
      await system.send({ method: 'POST', path: '/activations', body: wrong }),
      422,
      'invalid-installation-id',
    );
    const digit = String((Number(installationId(1)[23]) + 1) % 10);
    const misread = {
      ...body,
      installationId: `${installationId(1).slice(0, 23)}${digit}${installationId(1).slice(24)}`,
    };
    const mistake = await system.send({ method: 'POST', path: '/activations', body: misread });
    expect(expectProblem(mistake, 422, 'invalid-installation-id').groups).toEqual([4]);
    expectProblem(await activate(system, 'BBBBB-BBBBB-BBBBB-BBBBB-BBBBB', 3), 404, 'unknown-key');
    expectProblem(await activate(system, 'not a key', 3), 404, 'unknown-key');
    expect(await getMak(customer, mak)).toMatchObject({ used: 1, remaining: 49 });
  });
});

describe.concurrent('a used-up KMS key', () => {
  it('KMS-1 KMS-3 OVR-1 OVR-2 EXC-9 accepts a seventh host once by an override, and more hosts by a KMSADD', async () => {
    const customer = await newCustomer(system, staff);
    const { kmsKey } = customer;
    const at = `/keys/${kmsKey.keyId}`;
    const productKey = await revealProductKey(customer, kmsKey);
    const host = (machine: number) => activate(system, productKey, machine, 'windows-server-2008-standard');
    for (let machine = 1; machine <= 6; machine += 1) {
      const { keyType, uses, advisory } = expectStatus(await host(machine), 201, activationSchema);
      expect({ keyType, uses }).toEqual({ keyType: 'KMS', uses: 1 });
      // KMS-4: three new hosts in a day indicate a KMS key on client computers.
      expect(advisory).toBe(machine < 3 ? undefined : 'kms-key-on-clients');
    }
    for (let use = 2; use <= 10; use += 1) expect(expectStatus(await host(1), 201, activationSchema).uses).toBe(use);
    const seventh = expectProblem(await host(7), 409, 'activation-limit-reached');
    expect(seventh).toMatchObject({ limit: 6, used: 6 });
    expect(z.array(remedySchema).parse(seventh.remedies)).toMatchObject([
      { kind: 'override', available: true, maximum: 5 },
      { kind: 'KMSADD', available: true, draft: { kind: 'KMSADD', activationsRequested: 6 } },
      { kind: 'replacement', available: true },
    ]);
    expectProblem(await host(1), 409, 'activation-limit-reached');

    const call = { installationId: installationId(7), callReference: 'CALL-1', callerName: 'Jorge Ruiz' };
    const grant = expectStatus(await staff.agent.post(`${at}/overrides`, call), 201, grantSchema);
    expect(grant).toMatchObject({ kind: 'override', amount: 1, reference: 'CALL-1' });
    expect(expectStatus(await staff.agent.post(`${at}/overrides`, call), 200, grantSchema)).toEqual(grant);
    const secondOverride = expectProblem(
      await staff.agent.post(`${at}/overrides`, { ...call, callReference: 'CALL-2' }),
      409,
      'override-used-today',
    );
    expect(secondOverride.availableAt).toMatch(/^\d{4}-\d\d-\d\dT0[78]:00:00\.000Z$/);
    const allowances = expectStatus(await staff.agent.get(`${at}/allowances`), 200, allowancesSchema);
    expect(allowances).toEqual({
      override: { available: 0, availableAt: secondOverride.availableAt, remaining: 4 },
      increase: null,
      exception: 'KMSADD',
    });
    // The override is for that host only, and for one activation.
    expectProblem(await host(8), 409, 'activation-limit-reached');
    expectStatus(await host(7), 201, activationSchema);
    expectProblem(await host(7), 409, 'activation-limit-reached');
    expect(await getKmsKey(customer)).toMatchObject({
      limit: 6,
      used: 6,
      remaining: 0,
      usesPerHost: 10,
      overrides: { granted: 1, remaining: 4 },
    });

    const request = await submitRequest(system, customer, kmsRequestFormOf(customer, { activationsRequested: 5 }));
    await decide(system, await newestLink(system, customer), 'approve');
    await system.settle();
    expect(await getException(customer, request.exceptionId)).toMatchObject({ status: 'fulfilled' });
    expect(await getKmsKey(customer)).toMatchObject({ limit: 11, used: 6, remaining: 5 });
    for (let use = 1; use <= 10; use += 1) expectStatus(await host(8), 201, activationSchema);
    expectProblem(await host(8), 409, 'activation-limit-reached');
    // The host of the override now counts as a regular host.
    expectStatus(await host(7), 201, activationSchema);
    const { hosts, used } = await getKmsKey(customer);
    expect(used).toBe(8);
    expect(hosts.find((each) => each.installationId === installationId(7))).toMatchObject({
      uses: 2,
      usesRemaining: 9,
      overrides: { granted: 1, spent: 1 },
    });
  });

  it('KMS-2 shows the number of clients of a host', async () => {
    const customer = await newCustomer(system, staff);
    const productKey = await revealProductKey(customer, customer.kmsKey);
    await activate(system, productKey, 1, 'windows-vista-business');
    const report = (machine: number, clients: number, key = productKey) =>
      system.send({
        method: 'POST',
        path: '/kms-hosts/client-reports',
        body: { productKey: key, installationId: installationId(machine), clients },
      });
    expect(await report(1, 25)).toMatchObject({ status: 204, text: '' });
    expect((await getKmsKey(customer)).hosts).toMatchObject([{ clientsReported: 25 }]);
    expectProblem(await report(2, 25), 404, 'not-found');
    expectProblem(await report(1, 25, 'BBBBB-BBBBB-BBBBB-BBBBB-BBBBB'), 404, 'unknown-key');
  });
});

describe.concurrent('an invalid request', () => {
  it('EXC-2 EXC-3 EXC-4 EXC-5 is refused with a specific reason and the remedies', async () => {
    const customer = await newCustomer(system, staff);
    const { ines } = customer;
    const [, jorge] = customer.registration.contacts;
    const mak = await issueMak(customer);
    const expectRefusal = async (intake: object, status: number, code: string) =>
      expectProblem(await ines.post('/exceptions', intake), status, code);
    const intake = requestFormOf(customer, mak);

    const stranger = { name: 'Mallory Crane', email: 'mallory@birch.example', phone: '1' };
    await expectRefusal({ ...intake, requester: stranger }, 422, 'requester-not-authorized');
    await expectRefusal({ ...intake, requester: { ...jorge, name: 'Inés Oliveira' } }, 422, 'requester-not-authorized');
    await expectRefusal({ ...intake, agreementNumber: 'E-nobody' }, 422, 'requester-not-authorized');
    await expectRefusal({ ...intake, keyLastFive: 'BBBBB' }, 422, 'key-not-found');
    const uncovered = await expectRefusal(
      { ...intake, product: 'windows-server-2008-standard' },
      422,
      'product-not-covered',
    );
    expect(uncovered.covers).toEqual(['windows-vista-business', 'windows-vista-enterprise']);
    await expectRefusal({ ...intake, kind: 'KMSADD' }, 409, 'wrong-key-type');
    await expectRefusal({ ...kmsRequestFormOf(customer), kind: 'MAKADD' }, 409, 'wrong-key-type');
    const byPhone = await expectRefusal({ ...intake, activationsRequested: 50 }, 409, 'not-an-exception');
    expect(byPhone.remedies).toEqual([{ kind: 'call-center-increase', available: true, maximum: 50 }]);
    const byOverride = await expectRefusal(
      kmsRequestFormOf(customer, { activationsRequested: 5 }),
      409,
      'not-an-exception',
    );
    expect(byOverride.remedies).toEqual([{ kind: 'override', available: true, maximum: 5 }]);
    await expectRefusal({ ...intake, activationsRequested: 100_001 }, 422, 'invalid-request');

    const openRequest = await submitRequest(system, customer, { ...intake, activationsRequested: 51 });
    expect((await expectRefusal(intake, 409, 'exception-already-open')).exceptionId).toBe(openRequest.exceptionId);
    // A blocked key accepts no requests.
    const replaced = await ines.post(`/keys/${customer.kmsKey.keyId}/replacements`, { reason: 'It was lost.' });
    if (replaced.status === 201) {
      const blocked = await expectRefusal(kmsRequestFormOf(customer), 409, 'key-blocked');
      expect(blocked.replacedBy).toMatch(/^\w{5}$/);
    }
  });

  it('EXC-2 ignores the letter case of the requester’s name and email address', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const [ines] = customer.registration.contacts;
    const requester = { name: '  INES  OLIVEIRA ', email: ines.email.toUpperCase(), phone: '1' };
    expect(await submitRequest(system, customer, requestFormOf(customer, mak, { requester }))).toMatchObject({
      status: 'awaiting-approval',
    });
  });
});

describe.concurrent('a request that the Correspondent denies', () => {
  it('EXC-6 APR-8 grants nothing, closes, and notifies both by email', async () => {
    const customer = await newCustomer(system, staff);
    const { ines, noor } = customer;
    const mak = await issueMak(customer);
    const request = await submitRequest(system, customer, requestFormOf(customer, mak));
    const response = await system.send({
      method: 'POST',
      path: (await newestLink(system, customer)).path,
      headers: { Accept: 'application/json' },
      body: { code: (await newestLink(system, customer)).code, decision: 'deny', comment: 'Not this year.' },
    });
    const { decision, decidedAt } = expectStatus(
      response,
      200,
      z.strictObject({ decision: z.string(), decidedAt: z.string() }),
    );
    expect(decision).toBe('deny');
    await system.settle();
    expect(await getException(customer, request.exceptionId)).toMatchObject({
      status: 'denied',
      approval: { decision: 'deny', comment: 'Not this year.', decidedAt },
      decidedBy: noor.email,
      closedAt: decidedAt,
      reason: 'Not this year.',
    });
    expect(await getMak(customer, mak)).toMatchObject({ limit: 50 });
    expect((await subjectsTo(ines.email, request)).at(-1)).toMatch(/^Denied/);
    expect((await subjectsTo(noor.email, request)).at(-1)).toMatch(/denied/i);
    expect((await system.workflow(request.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
    // The key accepts another request.
    expect(await submitRequest(system, customer, requestFormOf(customer, mak))).toMatchObject({
      status: 'awaiting-approval',
    });
  });
});

describe.concurrent('a request that needs a review', () => {
  it('EXC-6 EXC-8 APR-7 goes to the team first, sends nothing to the person that it names, and sends the code on demand', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const elsewhere = { name: 'Noor Haddad', email: `noor@elsewhere-${customer.agreementId}.example`, phone: '1' };
    const request = await submitRequest(
      system,
      customer,
      requestFormOf(customer, mak, { activationsRequested: 1_001, language: 'pt-BR', noticesCorrespondent: elsewhere }),
    );
    expect(request).toMatchObject({
      status: 'in-review',
      flags: ['not-english', 'above-review-threshold', 'correspondent-differs'],
      noticesCorrespondent: elsewhere,
      approval: null,
    });
    expect(await subjectsTo(teamAddress, request)).toEqual([expect.stringMatching(/^Review needed/)]);
    expect(await approvalLinksOf(system, customer)).toEqual([]);

    const forwarded = await staff.team.post(`/exceptions/${request.exceptionId}/review`, { decision: 'forward' });
    expectStatus(forwarded, 202, exceptionSchema);
    await system.settle();
    expect(await getException(customer, request.exceptionId)).toMatchObject({
      status: 'awaiting-approval',
      activations: 1_001,
    });
    // The email has the link without a code.
    expect(await approvalLinksOf(system, customer)).toEqual([]);
    expect(await system.mailsTo(elsewhere.email)).toEqual([]);
    const link = await newestStrictLink(system, customer);
    expect((await decide(system, link, 'approve')).status).toBe(200);
    await system.settle();
    expect(await getMak(customer, mak)).toMatchObject({ limit: 1_051 });
  });

  it('EXC-7 is rejected with a reason', async () => {
    const customer = await newCustomer(system, staff);
    const { ines, noor } = customer;
    const mak = await issueMak(customer);
    const request = await submitRequest(system, customer, requestFormOf(customer, mak, { language: 'fr' }));
    expect(request).toMatchObject({ status: 'in-review', flags: ['not-english'] });
    const review = { decision: 'reject', reason: 'Buy more licenses first.' };
    const rejected = expectStatus(
      await staff.team.post(`/exceptions/${request.exceptionId}/review`, review),
      202,
      exceptionSchema,
    );
    expect(rejected).toMatchObject({
      status: 'rejected',
      decidedBy: staff.team.email,
      reason: 'Buy more licenses first.',
      closedAt: expect.any(String),
    });
    await system.settle();
    const email = (await system.mailsTo(ines.email)).at(-1);
    expect(email?.text).toContain('Buy more licenses first.');
    // The Correspondent was not request and gets no email.
    expect(await system.mailsTo(noor.email)).toEqual([]);
    const after = expectProblem(
      await staff.team.post(`/exceptions/${request.exceptionId}/review`, { decision: 'forward' }),
      409,
      'not-in-that-state',
    );
    expect(after).toMatchObject({ currentStatus: 'rejected', allowed: [] });
    expect((await system.workflow(request.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
  });
});

describe.concurrent('a request that is withdrawn', () => {
  it('EXC-10 EXC-11 closes, voids its link, and notifies all by email', async () => {
    const customer = await newCustomer(system, staff);
    const { ines, jorge, noor } = customer;
    const mak = await issueMak(customer);
    const request = await submitRequest(system, customer, requestFormOf(customer, mak));
    const link = await newestLink(system, customer);
    const withdrawal = await jorge.post(`/exceptions/${request.exceptionId}/withdrawal`, {
      reason: 'No longer needed.',
    });
    expect(expectStatus(withdrawal, 202, exceptionSchema)).toMatchObject({
      status: 'withdrawn',
      reason: 'No longer needed.',
    });
    await system.settle();
    for (const address of [ines.email, noor.email, teamAddress]) {
      expect((await subjectsTo(address, request)).at(-1), address).toMatch(/^Withdrawn/);
    }
    expect((await system.send({ method: 'GET', path: link.path })).status).toBe(410);
    expect((await decide(system, link, 'approve')).status).toBe(410);
    const refusal = expectProblem(
      await ines.post(`/exceptions/${request.exceptionId}/withdrawal`),
      409,
      'not-in-that-state',
    );
    expect(refusal).toMatchObject({ currentStatus: 'withdrawn', allowed: [] });
    expect(await getMak(customer, mak)).toMatchObject({ limit: 50 });
    expect((await system.workflow(request.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
  });
});

describe.concurrent('a reduced number of activations', () => {
  it('EXC-7 voids the open link and sends a new approval email with that number', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const request = await submitRequest(system, customer, requestFormOf(customer, mak, { activationsRequested: 150 }));
    const at = `/exceptions/${request.exceptionId}/review`;
    const old = await newestLink(system, customer);
    const same = expectProblem(
      await staff.team.post(at, { decision: 'forward', activations: 150 }),
      409,
      'not-in-that-state',
    );
    expect(same).toMatchObject({
      currentStatus: 'awaiting-approval',
      allowed: expect.arrayContaining(['forward', 'reject']),
    });
    const more = expectProblem(
      await staff.team.post(at, { decision: 'forward', activations: 151 }),
      422,
      'invalid-request',
    );
    expect(more.errors).toMatchObject([{ pointer: '/activations' }]);

    const forwarded = expectStatus(
      await staff.team.post(at, { decision: 'forward', activations: 100 }),
      202,
      exceptionSchema,
    );
    expect(forwarded).toMatchObject({ status: 'awaiting-approval', activations: 100, activationsRequested: 150 });
    await system.settle();
    const asJson = { Accept: 'application/json' };
    expect((await system.send({ method: 'GET', path: old.path })).status).toBe(410);
    const voided = await system.send({ method: 'GET', path: old.path, headers: asJson });
    expect(expectProblem(voided, 410, 'link-void').because).toBe('replaced');
    expect((await decide(system, old, 'approve')).status).toBe(410);
    const newLink = await newestLink(system, customer);
    expect(newLink.path).not.toBe(old.path);
    const shown = await system.send({ method: 'GET', path: newLink.path, headers: asJson });
    expect(
      expectStatus(shown, 200, z.strictObject({ exception: z.looseObject({}), expiresAt: z.string() })).exception,
    ).toMatchObject({
      exceptionId: request.exceptionId,
      activations: 100,
    });
    expect((await decide(system, newLink, 'approve')).status).toBe(200);
    await system.settle();
    expect(await getMak(customer, mak)).toMatchObject({ limit: 150 });
    expect(await getException(customer, request.exceptionId)).toMatchObject({ status: 'fulfilled', activations: 100 });
  });
});

describe.concurrent('an approval link', () => {
  it('APR-2 changes nothing when anyone opens it, any number of times', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const request = await submitRequest(system, customer, requestFormOf(customer, mak));
    const link = await newestLink(system, customer);
    const before = await historyOf(customer, `/exceptions/${request.exceptionId}`);
    const opened = await Promise.all(
      Array.from({ length: 20 }, () =>
        system.send({ method: 'GET', path: link.path, headers: { 'User-Agent': 'scanner' } }),
      ),
    );
    expect(new Set(opened.map(({ status }) => status))).toEqual(new Set([200]));
    await system.settle();
    expect(await historyOf(customer, `/exceptions/${request.exceptionId}`)).toEqual(before);
    expect(await getException(customer, request.exceptionId)).toMatchObject({ status: 'awaiting-approval' });
  });

  it('APR-5 leads to pages without referrer, cache, frames, and scripts', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    await submitRequest(
      system,
      customer,
      requestFormOf(customer, mak, { businessReason: '<script>alert(1)</script> & <b>' }),
    );
    const link = await newestLink(system, customer);
    const pages = [
      await system.send({ method: 'GET', path: link.path }),
      await system.send({ method: 'GET', path: '/approvals/unknown' }),
      await decide(system, { ...link, code: anotherCode(link.code) }, 'approve'),
      await decide(system, link, 'deny'),
      await decide(system, link, 'deny'),
    ];
    expect(pages.map(({ status }) => status)).toEqual([200, 404, 422, 200, 409]);
    for (const { headers, text } of pages) {
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(text).not.toMatch(/<script/i);
      expect(text).not.toContain(link.code);
    }
  });

  it('APR-2 is void after five wrong codes, and a new link works', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const request = await submitRequest(system, customer, requestFormOf(customer, mak));
    const link = await newestLink(system, customer);
    const guess = { ...link, code: anotherCode(link.code) };
    const asJson = (each: typeof link) =>
      system.send({
        method: 'POST',
        path: each.path,
        headers: { Accept: 'application/json' },
        body: { code: each.code, decision: 'approve' },
      });
    for (const triesLeft of [4, 3, 2, 1]) {
      expect(expectProblem(await asJson(guess), 422, 'wrong-code').triesLeft).toBe(triesLeft);
    }
    expect(expectProblem(await asJson(guess), 410, 'link-void').because).toBe('too-many-wrong-codes');
    // The correct code no longer works either.
    expect(expectProblem(await asJson(link), 410, 'link-void').because).toBe('too-many-wrong-codes');
    expect((await decide(system, link, 'approve')).status).toBe(410);
    expect((await system.send({ method: 'GET', path: link.path })).status).toBe(410);
    await system.settle();
    expect(await getException(customer, request.exceptionId)).toMatchObject({ status: 'awaiting-approval' });

    const links = await approvalLinksOf(system, customer);
    expect(links).toHaveLength(2);
    const newLink = await newestLink(system, customer);
    expect(newLink.path).not.toBe(link.path);
    expect((await decide(system, newLink, 'approve')).status).toBe(200);
    await system.settle();
    expect(await getMak(customer, mak)).toMatchObject({ limit: 200 });
    expect(await actionsOf(customer, request)).toEqual([
      'received',
      'approval-asked',
      'link-voided',
      'approved',
      'fulfilled',
    ]);
  });

  it('APR-3 decides once: a later visitor sees the decision, and nothing changes', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const request = await submitRequest(system, customer, requestFormOf(customer, mak));
    const link = await newestLink(system, customer);
    expect((await decide(system, link, 'approve')).status).toBe(200);
    await system.settle();
    const before = await historyOf(customer, `/exceptions/${request.exceptionId}`);
    const json = { Accept: 'application/json' };
    const opened = await system.send({ method: 'GET', path: link.path, headers: json });
    expect(expectProblem(opened, 410, 'already-decided')).toMatchObject({
      decision: 'approve',
      decidedAt: expect.any(String),
    });
    const body = { code: link.code, decision: 'deny' };
    const secondDecision = await system.send({ method: 'POST', path: link.path, headers: json, body });
    expect(expectProblem(secondDecision, 409, 'already-decided').decision).toBe('approve');
    expect((await system.send({ method: 'GET', path: link.path })).status).toBe(410);
    expect((await decide(system, link, 'deny')).status).toBe(409);
    expect((await decide(system, { ...link, code: '' }, 'deny')).status).toBe(409);
    expectProblem(await system.send({ method: 'GET', path: '/approvals/unknown', headers: json }), 404, 'link-unknown');
    await system.settle();
    expect(await historyOf(customer, `/exceptions/${request.exceptionId}`)).toEqual(before);
  });
});

describe.concurrent('the possible actions of a request', () => {
  it('EXC-12 depend on its status, and a refusal lists them', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const request = await submitRequest(system, customer, requestFormOf(customer, mak));
    const at = `/exceptions/${request.exceptionId}`;
    const refusal = expectProblem(
      await customer.ines.post(`${at}/answers`, { text: 'Elm.' }),
      409,
      'not-in-that-state',
    );
    expect(refusal).toMatchObject({
      currentStatus: 'awaiting-approval',
      allowed: ['question', 'forward', 'reject', 'withdraw', 'approve', 'deny'],
    });
    expect(await statesOf(request)).toEqual([
      'Choose the next step',
      'Go to the next step',
      "Request the Correspondent's approval",
    ]);
  });
});
