import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import {
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
import { startSystem } from './system.ts';

// The clock stops at each of the outage's minutes, and at each the sweep tries to send.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

const folder = mkdtempSync(join(tmpdir(), 'ses-outage-'));
afterAll(() => rmSync(folder, { recursive: true }));
const outageFile = join(folder, 'outage');
const preload = new URL('ses-outage.ts', import.meta.url).pathname;
const system = await startSystem({
  environment: { NODE_OPTIONS: `--import ${preload}`, SES_OUTAGE_FILE: outageFile },
});
const staff = await signInStaff(system);

it('EXC-9 EXC-11 a request that is approved while SES is down for an hour is fulfilled within a minute, and its emails arrive once, afterward', async () => {
  const customer = await newCustomer(system, staff);
  const { ines, noor } = customer;
  const mak = await issueMak(customer);
  const { exceptionId } = await submitRequest(system, customer, requestFormOf(customer, mak));
  const link = await newestLink(system, customer);
  const subjectsTo = async (address: string) =>
    (await system.mailsTo(address)).map(({ subject }) => subject).filter((subject) => subject.includes(exceptionId));
  const before = { ines: await subjectsTo(ines.email), noor: await subjectsTo(noor.email) };

  writeFileSync(outageFile, '');
  const approvedAt = Date.parse(await system.now());
  expect((await decide(system, link, 'approve')).status).toBe(200);
  await system.settle();
  expect(await getException(customer, exceptionId)).toMatchObject({ status: 'fulfilled' });
  expect(await getMak(customer, mak)).toMatchObject({ limit: 200 });
  expect(Date.parse(await system.now()) - approvedAt).toBeLessThan(60_000);

  await system.advanceClock('PT1H');
  expect({ ines: await subjectsTo(ines.email), noor: await subjectsTo(noor.email) }).toEqual(before);
  expect(system.output()).toContain('notifications deferred to the sweep');
  expect((await system.workflow(exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);

  rmSync(outageFile);
  await system.advanceClock('PT2M');
  await system.advanceClock('P1D');
  const sent = {
    ines: (await subjectsTo(ines.email)).slice(before.ines.length),
    noor: (await subjectsTo(noor.email)).slice(before.noor.length),
  };
  expect(sent.ines).toEqual([expect.stringMatching(/^Approved: /), expect.stringMatching(/^Limit raised: /)]);
  expect(sent.noor).toEqual([expect.stringMatching(/^Approved: /), expect.stringMatching(/^Limit raised: /)]);
});

it('EXC-9 a request that is received while SES is down waits for its decision, and its approval email arrives once, afterward', async () => {
  writeFileSync(outageFile, '');
  const customer = await newCustomer(system, staff);
  const mak = await issueMak(customer);
  const { exceptionId, status } = await submitRequest(system, customer, requestFormOf(customer, mak));
  expect(status).toBe('awaiting-approval');
  expect((await system.workflow(exceptionId)).executions).toMatchObject([{ status: 'RUNNING' }]);
  rmSync(outageFile);
  await system.advanceClock('PT2M');
  const approvalEmails = (await system.mailsTo(customer.noor.email)).filter(({ text }) =>
    /^Code: \d{6}$/m.test(text ?? ''),
  );
  expect(approvalEmails).toHaveLength(1);
  expect((await decide(system, await newestLink(system, customer), 'approve')).status).toBe(200);
  await system.settle();
  expect(await getException(customer, exceptionId)).toMatchObject({ status: 'fulfilled' });
  expect((await system.workflow(exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
});
