import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import {
  activatedMachineSchema,
  agreementSchema,
  exceptionSchema,
  expectProblem,
  expectStatus,
  fieldErrorsSchema,
  grantSchema,
  keySchema,
  ledgerEntrySchema,
  listOf,
} from './contract.ts';
import {
  activateAll,
  issueMak,
  kmsRequestFormOf,
  newCustomer,
  requestFormOf,
  revealProductKey,
  signInStaff,
  submitRequest,
} from './customer.ts';
import type { SignedInUser } from './system.ts';
import { startSystem } from './system.ts';

const system = await startSystem();
const staff = await signInStaff(system);

// Inés, a contact of the first agreement, is also a contact of two others.
const first = await newCustomer(system, staff);
const { ines } = first;
const others = [await newCustomer(system, staff), await newCustomer(system, staff)];
for (const { agreementId, registration } of others) {
  const contacts = [...first.registration.contacts, ...registration.contacts];
  expectStatus(await staff.admin.put(`/agreements/${agreementId}/contacts`, { contacts }), 200, agreementSchema);
}
const mak = await issueMak(first);
await issueMak(first, 'server-b');
for (const newLimit of [55, 60, 70]) {
  const call = { newLimit, callReference: `CALL-${newLimit}`, callerName: 'Inés Oliveira' };
  expectStatus(await staff.agent.post(`/keys/${mak.keyId}/increases`, call), 201, grantSchema);
}
const machines = await activateAll(system, await revealProductKey(first, mak), 1, 55);
expect(machines.map(({ status }) => status)).toEqual(Array.from({ length: 55 }, () => 201));

// Requests with different due times. The third is in another language; the fourth waits for its requester.
const requests = [
  await submitRequest(system, first, requestFormOf(first, mak)),
  await submitRequest(system, first, kmsRequestFormOf(first)),
  ...(await Promise.all(
    others.map(async (customer, index) =>
      submitRequest(system, customer, kmsRequestFormOf(customer, index === 0 ? { language: 'fr' } : {})),
    ),
  )),
];
const ids = requests.map(({ exceptionId }) => exceptionId);
await staff.team.post(`/exceptions/${ids[3]}/questions`, { text: 'Which schools?' });
await ines.post(`/exceptions/${ids[1]}/withdrawal`);
await system.settle();

type List = { readonly path: string; readonly by: SignedInUser; readonly entry: z.ZodType; readonly count: number };
const lists: readonly List[] = [
  { path: '/agreements', by: ines, entry: agreementSchema, count: 3 },
  { path: `/agreements/${first.agreementId}/keys`, by: ines, entry: keySchema, count: 3 },
  { path: `/keys/${mak.keyId}/activations`, by: ines, entry: activatedMachineSchema, count: 55 },
  { path: `/keys/${mak.keyId}/grants`, by: ines, entry: grantSchema, count: 4 },
  { path: `/keys/${mak.keyId}/history`, by: ines, entry: ledgerEntrySchema, count: 5 },
  { path: `/call-center/keys?agreementId=${first.agreementId}`, by: staff.agent, entry: keySchema, count: 3 },
  { path: `/call-center/keys?lastFive=${mak.lastFive}`, by: staff.agent, entry: keySchema, count: 1 },
  { path: '/exceptions', by: ines, entry: exceptionSchema, count: 4 },
  { path: '/exceptions?status=open', by: staff.team, entry: exceptionSchema, count: 3 },
  { path: '/exceptions?status=withdrawn', by: staff.team, entry: exceptionSchema, count: 1 },
  { path: `/exceptions?agreementId=${first.agreementId}`, by: staff.team, entry: exceptionSchema, count: 2 },
  { path: `/exceptions/${ids[0]}/history`, by: ines, entry: ledgerEntrySchema, count: 2 },
];

const getPage = ({ path, by }: List, more: Readonly<Record<string, string>>) =>
  by.get(`${path}${path.includes('?') ? '&' : '?'}${new URLSearchParams(more)}`);

async function expectPage(list: List, more: Readonly<Record<string, string>>) {
  return expectStatus(await getPage(list, more), 200, listOf(list.entry));
}

/** Returns all items of a list, read page by page. */
async function readAllPages(list: List, limit: number): Promise<unknown[]> {
  const items: unknown[] = [];
  let cursor: string | null = null;
  do {
    const page: { items: unknown[]; nextCursor: string | null } = await expectPage(list, {
      limit: String(limit),
      ...(cursor === null ? {} : { cursor }),
    });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    // Each page except the last is full, and the last is empty only if the list is.
    if (page.nextCursor !== null) expect(page.items).toHaveLength(limit);
    else if (items.length > 0) expect(page.items.length).toBeGreaterThan(0);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return items;
}

/** Removes the clocks of requests, which change by themselves between two reads. */
const withoutClocks = (items: unknown[]) =>
  JSON.parse(JSON.stringify(items, (key, value) => (key === 'clock' ? null : value)));

describe('a list', () => {
  it.each(lists)('has the same items with every page size: $path', async (list) => {
    const allItems = await readAllPages(list, 100);
    expect(allItems).toHaveLength(list.count);
    for (const limit of [1, 2, list.count, list.count + 1].filter(
      (each) => each > 0 && (each > 1 || list.count < 10),
    )) {
      expect(withoutClocks(await readAllPages(list, limit)), `in pages of ${limit}`).toEqual(withoutClocks(allItems));
    }
  });

  it('has 50 items per page by default, and a cursor for the next page', async () => {
    const list = lists.find(({ path }) => path.endsWith('/activations'));
    if (list === undefined) throw new Error('The list does not exist.');
    const { items, nextCursor } = await expectPage(list, {});
    expect(items).toHaveLength(50);
    expect((await expectPage(list, { cursor: String(nextCursor) })).items).toHaveLength(5);
  });

  it.each(lists)('accepts a limit from 1 to 100: $path', async (list) => {
    for (const limit of ['1', '100', '007']) expect((await getPage(list, { limit })).status, limit).toBe(200);
    for (const limit of ['0', '101', '-1', '+5', '1.5', '1e1', '0x5', 'abc', '', ' 5', '٣', '9'.repeat(500), '5,6']) {
      const { errors } = expectStatus(await getPage(list, { limit }), 422, fieldErrorsSchema);
      expect(errors, limit).toEqual([
        { pointer: '/query/limit', message: expect.stringMatching(/1 .*100|at (least|most)/) },
      ]);
    }
  });

  it.each(lists)('accepts only its own cursors: $path', async (list) => {
    const foreign = await Promise.all(
      lists
        .filter(({ path, by }) => path !== list.path || by !== list.by)
        .map(async (other) => (await expectPage(other, { limit: '1' })).nextCursor),
    );
    const own = (await expectPage(list, { limit: '1' })).nextCursor;
    const spoilt = own === null ? [] : [own.slice(1), own.slice(0, -3), `${own}AAAA`, own.toLowerCase(), `${own} `];
    const forged = ['AGREEMENT#', 'KEY#~~~', '999999999', '-1', '\u0000', 'x'.repeat(600)].map((position) =>
      Buffer.from(`${'0'.repeat(32)}${position}`).toString('base64url'),
    );
    for (const cursor of [...foreign, ...spoilt, ...forged, '', 'abc', 'null', '💥', 'x'.repeat(2_000)]) {
      if (cursor === null) continue;
      const { errors } = expectStatus(await getPage(list, { cursor }), 422, fieldErrorsSchema);
      expect(errors, cursor).toEqual([
        { pointer: '/query/cursor', message: 'is not a cursor that this list returned' },
      ]);
    }
  });

  it('refuses cursors of another agreement, caller, or filter', async () => {
    const [other] = others;
    if (other === undefined) throw new Error('There is no other agreement.');
    await issueMak(other);
    const keysOf = (agreementId: string): List => ({
      path: `/agreements/${agreementId}/keys`,
      by: ines,
      entry: keySchema,
      count: 0,
    });
    const { nextCursor } = await expectPage(keysOf(first.agreementId), { limit: '1' });
    const cursor = String(nextCursor);
    expect((await getPage(keysOf(first.agreementId), { cursor })).status).toBe(200);
    expectProblem(await getPage(keysOf(other.agreementId), { cursor }), 422, 'invalid-request');
    expectProblem(await getPage({ ...keysOf(first.agreementId), by: first.jorge }, { cursor }), 422, 'invalid-request');
    const open = await expectPage(
      { path: '/exceptions?status=open', by: staff.team, entry: exceptionSchema, count: 0 },
      { limit: '1' },
    );
    const all: List = { path: '/exceptions', by: staff.team, entry: exceptionSchema, count: 0 };
    expectProblem(await getPage(all, { cursor: String(open.nextCursor) }), 422, 'invalid-request');
  });
});

describe('the list of requests', () => {
  const list = listOf(exceptionSchema);

  it('SLA-7 EXC-12 has the requests in the order of their due times, and those with a paused clock last', async () => {
    const { items } = expectStatus(await staff.team.get('/exceptions?status=open'), 200, list);
    expect(items.map(({ exceptionId }) => exceptionId)).toEqual([ids[0], ids[2], ids[3]]);
    expect(items.map(({ dueAt }) => dueAt).toSorted()).toEqual(items.map(({ dueAt }) => dueAt));
    expect(items.at(-1)?.dueAt).toBeNull();
  });

  it('has only requests with the given status', async () => {
    for (const [status, expected] of [
      ['in-review', [ids[2]]],
      ['awaiting-approval', [ids[0]]],
      ['awaiting-requester', [ids[3]]],
      ['withdrawn', [ids[1]]],
      ['fulfilled', []],
    ] as const) {
      const { items } = expectStatus(await staff.team.get(`/exceptions?status=${status}`), 200, list);
      expect(
        items.map(({ exceptionId }) => exceptionId),
        status,
      ).toEqual(expected);
    }
    for (const status of ['closed', 'OPEN', '', 'open,withdrawn']) {
      const { errors } = expectStatus(await staff.team.get(`/exceptions?status=${status}`), 422, fieldErrorsSchema);
      expect(errors.map(({ pointer }) => pointer)).toEqual(['/query/status']);
    }
  });

  it('AGR-3 has only requests of the caller’s agreements', async () => {
    const { items } = expectStatus(
      (await others[1]?.ines.get('/exceptions')) ?? (await ines.get('/nowhere')),
      200,
      list,
    );
    expect(items.map(({ exceptionId }) => exceptionId)).toEqual([ids[3]]);
  });
});

describe('the search of the call center', () => {
  it('OVR-5 finds keys by agreement, by last five, or by both, and requires one of them', async () => {
    const list = listOf(keySchema);
    const search = async (query: string) =>
      expectStatus(await staff.agent.get(`/call-center/keys?${query}`), 200, list).items.map(({ keyId }) => keyId);
    expect(await search(`lastFive=${mak.lastFive.toLowerCase()}`)).toEqual([mak.keyId]);
    expect(await search(`agreementId=${first.agreementId}&lastFive=${mak.lastFive}`)).toEqual([mak.keyId]);
    expect(await search(`agreementId=${others[0]?.agreementId}&lastFive=${mak.lastFive}`)).toEqual([]);
    expect(await search('agreementId=E-nobody')).toEqual([]);
    const { errors } = expectStatus(await staff.agent.get('/call-center/keys'), 422, fieldErrorsSchema);
    expect(errors.map(({ pointer }) => pointer)).toEqual(['/query/lastFive']);
    expectProblem(await staff.agent.get('/call-center/keys?lastFive=ABCDE'), 422, 'invalid-request');
    expectProblem(await staff.agent.get('/call-center/keys?agreementId=a%23b'), 422, 'invalid-request');
  });
});
