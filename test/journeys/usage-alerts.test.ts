import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { installationId } from '../builders.ts';
import {
  activatedMachineSchema,
  agreementSchema,
  expectStatus,
  grantSchema,
  keySchema,
  listOf,
  makSchema,
} from './contract.ts';
import type { Customer } from './customer.ts';
import { activate, activateAll, getKmsKey, issueMak, newCustomer, revealProductKey, signInStaff } from './customer.ts';
import { startSystem } from './system.ts';

const system = await startSystem();
const staff = await signInStaff(system);

/** Returns the subjects of the emails to a person, oldest first, without the agreement at their end. */
async function subjectsTo({ email }: { readonly email: string }): Promise<readonly string[]> {
  await system.settle();
  return (await system.mailsTo(email)).map(({ subject }) => subject.replace(/ \(agreement [^)]*\)$/, ''));
}

const raiseByPhone = (agent: typeof staff.agent, keyId: string, newLimit: number) =>
  agent.post(`/keys/${keyId}/increases`, { newLimit, callReference: `to ${newLimit}`, callerName: 'Inés Oliveira' });

const forecastSchema = z.strictObject({
  perDay: z.number().nullable(),
  runsOutOn: z.iso.date().nullable(),
  askBy: z.iso.date().nullable(),
  inWords: z.string().nullable(),
});

describe('a MAK that is used up, raised, and used up again', async () => {
  const customer = await newCustomer(system, staff);
  const mak = await issueMak(customer);
  const productKey = await revealProductKey(customer, mak);
  const usageSubject = (share: string) => `${share} of your MAK ending in ${mak.lastFive} are used`;
  const [at80, at95, all] = [
    usageSubject('80% of the activations'),
    usageSubject('95% of the activations'),
    usageSubject('All activations'),
  ];
  const use = async (from: number, to: number) => {
    for (const { status } of await activateAll(system, productKey, from, to)) expect(status).toBe(201);
  };

  it('ALR-1 sends each contact one alert at 80%, 95%, and 100%', async () => {
    await use(1, 39);
    expect(await subjectsTo(customer.ines)).toEqual([]);
    await use(40, 40);
    expect(await subjectsTo(customer.ines)).toEqual([at80]);
    // A machine that has already activated uses nothing.
    expect((await activate(system, productKey, 40)).status).toBe(200);
    await use(41, 47);
    expect(await subjectsTo(customer.ines)).toEqual([at80]);
    await use(48, 48);
    expect(await subjectsTo(customer.ines)).toEqual([at80, at95]);
    await use(49, 50);
    expect((await activate(system, productKey, 51)).status).toBe(409);
    expect(await subjectsTo(customer.ines)).toEqual([at80, at95, all]);
    expect(await subjectsTo(customer.jorge)).toEqual([at80, at95, all]);
    expect(await subjectsTo(customer.noor)).toEqual([]);
  });

  it('ALR-1 repeats only alerts whose threshold is above the usage after a raise', async () => {
    // 50 of 60 is still above 80%, and below 95%.
    expectStatus(await raiseByPhone(staff.agent, mak.keyId, 60), 201, grantSchema);
    await use(51, 56);
    expect(await subjectsTo(customer.ines)).toHaveLength(3);
    await use(57, 57);
    expect((await subjectsTo(customer.ines)).slice(3)).toEqual([at95]);
    expectStatus(await raiseByPhone(staff.agent, mak.keyId, 100), 201, grantSchema);
    await use(58, 79);
    expect(await subjectsTo(customer.ines)).toHaveLength(4);
    await use(80, 80);
    expect((await subjectsTo(customer.ines)).slice(4)).toEqual([at80]);
    expect(await subjectsTo(customer.jorge)).toEqual(await subjectsTo(customer.ines));
  });
});

describe('a KMS key', async () => {
  const customer = await newCustomer(system, staff);
  const productKey = await revealProductKey(customer, customer.kmsKey);
  const host = async (number: number) =>
    expect((await activate(system, productKey, number, 'windows-server-2008-standard')).status).toBe(201);
  const { lastFive } = customer.kmsKey;

  it('KMS-4 sends one warning for three new hosts within a day, and ALR-1 alerts about the number of hosts', async () => {
    await host(1);
    await host(2);
    expect(await subjectsTo(customer.ines)).toEqual([]);
    await host(3);
    const typed = `Is your KMS key ending in ${lastFive} being used on client computers?`;
    expect(await subjectsTo(customer.ines)).toEqual([typed]);
    await host(4);
    await host(1);
    expect(await subjectsTo(customer.ines)).toEqual([typed]);
    await host(5);
    await host(6);
    const subjects = await subjectsTo(customer.jorge);
    expect(subjects[0]).toBe(typed);
    expect(subjects.at(-1)).toBe(`All host slots of your KMS key ending in ${lastFive} are used`);
  });
});

describe('a replaced key', async () => {
  const customer = await newCustomer(system, staff);
  const { ines } = customer;
  const replace = async (keyId: string) => {
    const response = await ines.post(`/keys/${keyId}/replacements`, { reason: 'It leaked.' });
    return expectStatus(response, 201, z.looseObject({ blocked: keySchema, issued: keySchema })).issued;
  };
  const machinesOn = async (keyId: string) => {
    await system.settle();
    const listed = expectStatus(await ines.get(`/keys/${keyId}/activations`), 200, listOf(activatedMachineSchema));
    return listed.items.map((each) => each.installationId).toSorted();
  };
  const ids = (...numbers: number[]) => numbers.map((number) => installationId(number)).toSorted();

  it('BLK-3 lists the machines that still use it, until they activate with a newer key', async () => {
    const first = await issueMak(customer);
    await activateAll(system, await revealProductKey(customer, first), 1, 4);
    const second = await replace(first.keyId);
    expect(await machinesOn(first.keyId)).toEqual(ids(1, 2, 3, 4));
    await activate(system, await revealProductKey(customer, second), 1);
    await activate(system, await revealProductKey(customer, second), 2);
    expect(await machinesOn(first.keyId)).toEqual(ids(3, 4));
    const third = await replace(second.keyId);
    const productKey = await revealProductKey(customer, third);
    await activate(system, productKey, 1);
    await activate(system, productKey, 3);
    await activate(system, productKey, 9);
    expect(await machinesOn(first.keyId)).toEqual(ids(4));
    expect(await machinesOn(second.keyId)).toEqual(ids(2));
    expect(await machinesOn(third.keyId)).toEqual(ids(1, 3, 9));
    expect(expectStatus(await ines.get(`/keys/${first.keyId}`), 200, makSchema)).toMatchObject({
      status: 'blocked',
      used: 1,
    });
  });

  it('BLK-2 BLK-3 causes an email to the contacts, and a KMS key lists the hosts that still use it', async () => {
    const old = await revealProductKey(customer, customer.kmsKey);
    for (const number of [1, 2]) await activate(system, old, number, 'windows-server-2008-standard');
    const issued = await replace(customer.kmsKey.keyId);
    await activate(system, await revealProductKey(customer, issued), 2, 'windows-server-2008-standard');
    expect(await machinesOn(customer.kmsKey.keyId)).toEqual(ids(1));
    expect((await getKmsKey(customer)).hosts).toHaveLength(1);
    expect(await machinesOn(issued.keyId)).toEqual(ids(2));
    expect(await subjectsTo(customer.jorge)).toContain(
      `Your KMS key ending in ${customer.kmsKey.lastFive} was replaced`,
    );
  });
});

describe('a change of the Notices Correspondent', () => {
  it('AGR-4 causes one email to each contact and to both correspondents', async () => {
    const customer = await newCustomer(system, staff);
    const dora = {
      name: 'Dora Klein',
      email: `dora@${customer.agreementId.toLowerCase()}.example`,
      phone: '+1 425 555 0107',
    };
    const path = `/agreements/${customer.agreementId}/notices-correspondent`;
    expectStatus(await staff.admin.put(path, dora), 200, agreementSchema);
    const { name } = customer.registration.organization;
    for (const reader of [customer.ines, customer.jorge, customer.noor]) {
      expect(await subjectsTo(reader)).toEqual([`Dora Klein becomes the Notices Correspondent of ${name}`]);
    }
    expect(await subjectsTo(dora)).toEqual([`You become the Notices Correspondent of ${name}`]);
  });
});

describe('the forecast of a key', async () => {
  const customer = await newCustomer(system, staff);
  const mak = await issueMak(customer);
  const productKey = await revealProductKey(customer, mak);
  const forecast = async (caller: Customer['ines'] = customer.ines) =>
    expectStatus(await caller.get(`/keys/${mak.keyId}/forecast`), 200, forecastSchema);

  it('ALR-2 is empty while the history is too short, and then has the date for a request', async () => {
    const emptyForecast = { perDay: null, runsOutOn: null, askBy: null, inWords: null };
    expect(await forecast()).toEqual(emptyForecast);
    for (const day of [0, 1, 2, 3, 4, 5, 6]) {
      await activateAll(system, productKey, day * 3 + 1, day * 3 + 3);
      expect(await forecast()).toEqual(emptyForecast);
      await system.advanceClock('P1D');
    }
    const { perDay, runsOutOn, askBy, inWords } = await forecast();
    expect(perDay).toBeCloseTo(3, 0);
    expect(inWords).toMatch(/^At the pace of the last week, the key runs out on \d{1,2} \w+( \d{4})?\. /);
    expect(String(askBy) < String(runsOutOn)).toBe(true);
    expect(await forecast(staff.agent)).toEqual(await forecast());
  });
});

describe('a system that restarts with its data', () => {
  it('ALR-1 KMS-4 sends no alert twice, although the stream starts from its beginning', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'volume-activation-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const before = await startSystem({ folder });
    const customer = await newCustomer(before, await signInStaff(before));
    const mak = await issueMak(customer);
    await activateAll(before, await revealProductKey(customer, mak), 1, 48);
    const kmsKey = await revealProductKey(customer, customer.kmsKey);
    for (const host of [1, 2, 3]) await activate(before, kmsKey, host, 'windows-server-2008-standard');
    await before.settle();
    const emails = await before.mailsTo(customer.ines.email);
    expect(emails.length).toBeGreaterThanOrEqual(2);
    await before.stop();

    const after = await startSystem({ folder });
    await after.settle();
    expect(await after.mailsTo(customer.ines.email)).toEqual(emails);
    await after.stop();
  });
});
