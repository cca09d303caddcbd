import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { installationId } from '../builders.ts';
import {
  activationSchema,
  agreementSchema,
  exceptionSchema,
  expectProblem,
  expectStatus,
  keySchema,
  kmsKeySchema,
  listOf,
  makSchema,
  problemSchema,
  registeredSchema,
} from './contract.ts';
import type { Customer } from './customer.ts';
import {
  activate,
  activateAll,
  getMak,
  issueMak,
  newCustomer,
  registrationOf,
  requestFormOf,
  revealProductKey,
  signInStaff,
  submitRequest,
} from './customer.ts';
import { startSystem } from './system.ts';

// The life cycle of agreements and keys, and the responses to devices. Only the last test advances the clock.

const system = await startSystem();
const staff = await signInStaff(system);

const post = (path: string, body: object) => system.send({ method: 'POST', path, body });
const verdictSchema = z.strictObject({
  genuine: z.boolean(),
  reason: z.enum(['unknown-key', 'key-blocked', 'never-activated']).nullable(),
  graceEndsAt: z.string().nullable(),
});
const validate = async (productKey: string, machine: number) =>
  expectStatus(await post('/validations', { productKey, installationId: installationId(machine) }), 200, verdictSchema);
const replacedSchema = z.looseObject({ blocked: keySchema, issued: keySchema });
const replace = (customer: Customer, keyId: string, more: object = {}) =>
  customer.ines.post(`/keys/${keyId}/replacements`, { reason: 'It was lost.', ...more });

describe('an agreement', () => {
  it('AGR-1 KEY-1 gets a KMS key of its highest group if it covers Windows Vista, and is registered once', async () => {
    const registration = registrationOf('E-first');
    const { keys, ...agreement } = expectStatus(
      await staff.admin.post('/agreements', registration),
      201,
      registeredSchema,
    );
    expect(agreement).toMatchObject({ agreementId: 'E-first', ...registration });
    expect(keys).toMatchObject([
      { type: 'KMS', productGroup: 'server-b', limit: 6, used: 0, remaining: 6, status: 'live' },
    ]);
    const duplicate = expectProblem(await staff.admin.post('/agreements', registration), 409, 'agreement-exists');
    expect(duplicate.agreementId).toBe('E-first');

    const serversOnly = registrationOf('E-servers', {
      products: [{ product: 'windows-server-2008-standard', licenses: 10 }],
    });
    expect(expectStatus(await staff.admin.post('/agreements', serversOnly), 201, registeredSchema).keys).toEqual([]);
  });

  it('AGR-1 of the program Open is identified by its two numbers together', async () => {
    const { agreementNumber: _, ...rest } = registrationOf('E-open');
    const registration = {
      ...rest,
      program: 'open',
      level: null,
      authorizationNumber: '61204577ZZE',
      licenseNumber: '4198',
    };
    const open = expectStatus(await staff.admin.post('/agreements', registration), 201, registeredSchema);
    expect(open).toMatchObject({
      agreementId: '61204577ZZE-4198',
      authorizationNumber: '61204577ZZE',
      licenseNumber: '4198',
    });
    expect(open).not.toHaveProperty('agreementNumber');
    const ines = await system.signIn(registration.contacts[0].email);
    expect(expectStatus(await ines.get('/agreements/61204577ZZE-4198'), 200, agreementSchema).program).toBe('open');
  });

  it('AGR-3 is visible to its current contacts, and not to former ones', async () => {
    const customer = await newCustomer(system, staff);
    const at = `/agreements/${customer.agreementId}`;
    const [, jorge] = customer.registration.contacts;
    expectStatus(await staff.admin.put(`${at}/contacts`, { contacts: [jorge] }), 200, agreementSchema);
    expectProblem(await customer.ines.get(at), 404, 'not-found');
    expect(expectStatus(await customer.ines.get('/agreements'), 200, listOf(agreementSchema)).items).toEqual([]);
    expect(expectStatus(await customer.jorge.get(at), 200, agreementSchema).contacts).toEqual([jorge]);
  });
});

describe('a MAK', () => {
  it('KEY-2 KEY-6 is issued on request, once for each group, and revealed only on request', async () => {
    const customer = await newCustomer(system, staff);
    const { ines, jorge, agreementId } = customer;
    const at = `/agreements/${agreementId}/keys`;
    const mak = await issueMak(customer);
    const taken409 = expectProblem(
      await jorge.post(at, { type: 'MAK', productGroup: 'client' }),
      409,
      'mak-already-issued',
    );
    expect(taken409.keyId).toBe(mak.keyId);
    const uncovered = expectProblem(
      await ines.post(at, { type: 'MAK', productGroup: 'server-c' }),
      422,
      'product-not-covered',
    );
    expect(uncovered.covers).toContain('windows-vista-business');
    const byAgent = await staff.agent.post(at, { type: 'MAK', productGroup: 'server-b' });
    const other = expectStatus(byAgent, 201, makSchema);
    const keys = expectStatus(await ines.get(at), 200, listOf(keySchema)).items.map(({ keyId }) => keyId);
    expect(keys.toSorted()).toEqual([customer.kmsKey.keyId, mak.keyId, other.keyId].toSorted());
    const productKey = await revealProductKey(customer, mak);
    expect(productKey.slice(-5)).toBe(mak.lastFive);
    for (const path of [at, `/keys/${mak.keyId}`, `/keys/${mak.keyId}/history`, `/keys/${mak.keyId}/grants`]) {
      expect((await ines.get(path)).text).not.toContain(productKey.slice(0, 23));
    }
  });
});

describe('machines without a connection', () => {
  const lineSchema = z.looseObject({
    installationId: z.string(),
    status: z.int(),
    activation: activationSchema.optional(),
    problem: problemSchema.optional(),
  });
  const batchSchema = z.looseObject({ results: z.array(lineSchema) });

  it('MAK-6 activate in one batch: each line has its own result, in order, and the batch uses all remaining activations', async () => {
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const productKey = await revealProductKey(customer, mak);
    await activateAll(system, productKey, 1, 46);
    const lines = [1, 47, 48, 47, 49, 50, 51, 52].map((machine) => ({
      installationId: installationId(machine),
      product: 'windows-vista-business',
    }));
    const odd = [
      { installationId: installationId(60), product: 'windows-server-2008-standard' },
      { installationId: '123', product: 'windows-vista-business' },
    ];
    const response = await post('/activations/batch', { productKey, activations: [...odd, ...lines] });
    const { results } = expectStatus(response, 200, batchSchema);
    expect(results.map((line) => line.installationId)).toEqual([...odd, ...lines].map((line) => line.installationId));
    expect(results.map(({ status, problem }) => problem?.code ?? status)).toEqual([
      'product-not-covered',
      'invalid-installation-id',
      200,
      201,
      201,
      200,
      201,
      201,
      'activation-limit-reached',
      'activation-limit-reached',
    ]);
    for (const { status, problem, activation } of results) {
      expect(problem === undefined).toBe(activation !== undefined);
      if (problem !== undefined) expect(problem.status).toBe(status);
    }
    expect(results[3]?.activation).toEqual(results[5]?.activation);
    expect(await getMak(customer, mak)).toMatchObject({ used: 50, remaining: 0 });
  });

  it('MAK-6 number from 1 to 90 in a batch', async () => {
    const customer = await newCustomer(system, staff);
    const productKey = await revealProductKey(customer, await issueMak(customer));
    const lines = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        installationId: installationId(index + 1),
        product: 'windows-vista-business',
      }));
    const batch = (count: number, key = productKey) =>
      post('/activations/batch', { productKey: key, activations: lines(count) });
    expect(expectStatus(await batch(90), 200, batchSchema).results.filter(({ status }) => status === 201)).toHaveLength(
      50,
    );
    for (const count of [0, 91]) expectProblem(await batch(count), 422, 'invalid-request');
    expectProblem(await batch(1, 'BBBBB-BBBBB-BBBBB-BBBBB-BBBBB'), 404, 'unknown-key');
  });
});

describe('a plan', () => {
  it('AGR-6 lists the keys for each site, and the requests beyond their initial limits', async () => {
    const planSchema = z.looseObject({
      advice: z.enum(['mix', 'kms', 'mak']),
      summary: z.string(),
      sites: z.array(z.looseObject({ name: z.string(), kmsHosts: z.int() })),
      keys: z.array(z.looseObject({ type: z.enum(['MAK', 'KMS']), needed: z.int(), startsWith: z.int() })),
    });
    const customer = await newCustomer(system, staff);
    const sites = [
      { name: 'Elm', client: 400, 'server-a': 0, 'server-b': 12, 'server-c': 0 },
      { name: 'Fir', client: 8, 'server-a': 0, 'server-b': 0, 'server-c': 0 },
    ];
    const mixed = expectStatus(await customer.ines.post('/plans', { program: 'enterprise', sites }), 200, planSchema);
    expect(mixed.advice).toBe('mix');
    expect(mixed.sites.map(({ name, kmsHosts }) => [name, kmsHosts > 0])).toEqual([
      ['Elm', true],
      ['Fir', false],
    ]);
    expect(new Set(mixed.keys.map(({ type }) => type))).toEqual(new Set(['MAK', 'KMS']));
    const small = expectStatus(
      await customer.ines.post('/plans', { program: 'open', sites: sites.slice(1) }),
      200,
      planSchema,
    );
    expect(small.advice).toBe('mak');
  });
});

describe('a forecast', () => {
  it('ALR-2 has no dates for an unused key', async () => {
    const forecastSchema = z.looseObject({
      perDay: z.number().min(0).nullable(),
      runsOutOn: z.iso.date().nullable(),
      askBy: z.iso.date().nullable(),
    });
    const customer = await newCustomer(system, staff);
    const mak = await issueMak(customer);
    const forecast = expectStatus(await customer.ines.get(`/keys/${mak.keyId}/forecast`), 200, forecastSchema);
    expect(forecast).toMatchObject({ runsOutOn: null, askBy: null });
  });
});

describe('the service', () => {
  it('reports its health, and has an OpenAPI document and a documentation page', async () => {
    const health = await system.send({ method: 'GET', path: '/health' });
    expect(expectStatus(health, 200, z.looseObject({ status: z.literal('ok'), version: z.string() })).status).toBe(
      'ok',
    );
    const described = await system.send({ method: 'GET', path: '/openapi.json' });
    expect(expectStatus(described, 200, z.looseObject({ openapi: z.string() })).openapi).toMatch(/^3\.1\./);
    const docs = await system.send({ method: 'GET', path: '/docs' });
    expect([docs.status, docs.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')]);
  });
});

describe('a replaced key', () => {
  it('BLK-1 BLK-2 VAL-1 is blocked and has a successor in one step; its machines stay genuine for the grace period', async () => {
    const customer = await newCustomer(system, staff);
    const { ines } = customer;
    const mak = await issueMak(customer);
    const productKey = await revealProductKey(customer, mak);
    await activateAll(system, productKey, 1, 3);
    expect(await validate(productKey, 1)).toEqual({ genuine: true, reason: null, graceEndsAt: null });
    expect(await validate(productKey, 9)).toEqual({ genuine: false, reason: 'never-activated', graceEndsAt: null });
    expect(await validate('BBBBB-BBBBB-BBBBB-BBBBB-BBBBB', 1)).toMatchObject({ reason: 'unknown-key' });
    const open = await submitRequest(system, customer, requestFormOf(customer, mak));

    const response = await replace(customer, mak.keyId, { callReference: 'CALL-1' });
    const { blocked, issued } = expectStatus(response, 201, replacedSchema);
    expect(blocked).toMatchObject({
      keyId: mak.keyId,
      status: 'blocked',
      replacedBy: issued.keyId,
      blockedAt: expect.any(String),
    });
    expect(issued).toMatchObject({
      type: 'MAK',
      productGroup: 'client',
      status: 'live',
      limit: 50,
      used: 0,
      replaces: mak.keyId,
      replacedBy: null,
      blockedAt: null,
    });
    // A repeated call returns the same replacement. Another call is refused.
    const repeated = await replace(customer, mak.keyId, { callReference: 'CALL-1' });
    expect(expectStatus(repeated, 201, replacedSchema).issued.keyId).toBe(issued.keyId);
    expect(expectProblem(await replace(customer, mak.keyId), 409, 'key-blocked').replacedBy).toBe(issued.lastFive);
    expect(expectProblem(await activate(system, productKey, 4), 403, 'key-blocked').replacedBy).toBe(issued.lastFive);

    const newKey = await revealProductKey(customer, issued);
    expectStatus(await activate(system, newKey, 1), 201, activationSchema);
    expect(await getMak(customer, issued)).toMatchObject({ used: 1 });

    // The request for the old key is closed, because its limit can no longer be raised.
    await system.advanceClock('PT5M');
    expect(expectStatus(await ines.get(`/exceptions/${open.exceptionId}`), 200, exceptionSchema).status).toBe(
      'rejected',
    );

    const inGrace = await validate(productKey, 2);
    expect(inGrace).toMatchObject({ genuine: true, reason: null, graceEndsAt: expect.any(String) });
    expect(await validate(productKey, 9)).toMatchObject({ genuine: false, reason: 'key-blocked' });
    await system.advanceClock('P30D');
    expect(await validate(productKey, 2)).toEqual({ ...inGrace, genuine: false, reason: 'key-blocked' });
    expect(await validate(newKey, 1)).toMatchObject({ genuine: true });
  });

  it('BLK-2 gives a replaced KMS key a successor with the standard limit', async () => {
    const customer = await newCustomer(system, await signInStaff(system));
    const productKey = await revealProductKey(customer, customer.kmsKey);
    await activate(system, productKey, 1, 'windows-server-2008-standard');
    const { issued } = expectStatus(await replace(customer, customer.kmsKey.keyId), 201, replacedSchema);
    expect(kmsKeySchema.parse(issued)).toMatchObject({
      limit: 6,
      used: 0,
      hosts: [],
      overrides: { granted: 0, remaining: 5 },
    });
    expectProblem(await activate(system, productKey, 1, 'windows-server-2008-standard'), 403, 'key-blocked');
  });
});
