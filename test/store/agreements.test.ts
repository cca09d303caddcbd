import { beforeEach, describe, expect, it } from 'vitest';
import type { Agreement, Person } from '../../domain/agreement.ts';
import { changeContacts, findAgreement, listAgreements, registerAgreement } from '../../store/agreements.ts';
import { listKeys } from '../../store/keys.ts';
import { listLedgerEntries } from '../../store/ledger.ts';
import type { Store } from '../../store/store.ts';
import {
  anAgreement,
  context,
  expectAccepted,
  expectRefusal,
  ines,
  jorge,
  mallory,
  noor,
  productKey,
} from '../builders.ts';
import { mondayNine, mondayTen } from '../instants.ts';
import { readAllPages, scanAllItems, startTestDynamoDb } from './dynamodb.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
let drawCount = 0;
beforeEach(async () => {
  store = await dynamoDb.newStore();
  drawCount = 0;
});

const admin = 'admin@licensing.example';
const draw = () => productKey(++drawCount);
const firstPage = { limit: 100, after: null };

function register(agreement: Agreement, operationId = 'register', drawKey = draw) {
  return registerAgreement(store, agreement, drawKey, context({ actor: admin, operationId, now: mondayNine }));
}

const keys = async (agreementId = 'E-1001') => (await listKeys(store, agreementId, firstPage)).items;
const entries = async (owner: Parameters<typeof listLedgerEntries>[1]) =>
  (await listLedgerEntries(store, owner, firstPage)).items;
const agreementIdsOf = async ({ email }: Pick<Person, 'email'>) =>
  (await listAgreements(store, email, firstPage)).items.map(({ agreementId }) => agreementId);

describe('registering an agreement', () => {
  it('KEY-1 issues its KMS key in the same transaction, for the highest group with licenses', async () => {
    const agreement = anAgreement();
    expect(await register(agreement)).toEqual({ ok: true, value: agreement });
    expect(await findAgreement(store, 'E-1001')).toEqual(agreement);
    const [keyRecord, ...others] = await keys();
    expect(others).toEqual([]);
    expect(keyRecord?.value).toEqual({
      type: 'KMS',
      keyId: store.vault.keyIdOf(productKey(1)),
      agreementId: 'E-1001',
      productGroup: 'server-b',
      lastFive: productKey(1).lastFive,
      state: { status: 'live' },
      grants: [
        { kind: 'initial', amount: 6, at: mondayNine, by: 'volume-activation', reference: 'E-1001', approvedBy: null },
      ],
      issuedAt: mondayNine,
      replaces: null,
      hosts: [],
      overrides: [],
    });
    expect(keyRecord?.internal.agreement).toEqual({
      organization: { name: 'Alder School District' },
      numbers: { agreementNumber: 'E-1001' },
    });
  });

  it('KEY-1 issues no key if the agreement does not cover Windows Vista', async () => {
    await register(anAgreement({ products: [{ product: 'windows-server-2008-standard', licenses: 10 }] }));
    expect(await findAgreement(store, 'E-1001')).toBeDefined();
    expect(await keys()).toEqual([]);
    expect(drawCount).toBe(0);
  });

  it('KEY-5 generates another product key if one is already in use, and leaves that key unchanged', async () => {
    const first = anAgreement();
    await register(first);
    const before = await keys();
    const draws = [productKey(1), productKey(1), productKey(7)];
    const second = anAgreement({ agreementId: 'E-1002', numbers: { agreementNumber: 'E-1002' } });
    expectAccepted(await register(second, 'register 2', () => draws.shift() ?? productKey(99)));
    expect((await keys('E-1002')).map(({ value }) => value.lastFive)).toEqual([productKey(7).lastFive]);
    expect(await keys()).toEqual(before);
  });

  it('LED-1 creates both ledgers', async () => {
    await register(anAgreement());
    const keyId = store.vault.keyIdOf(productKey(1));
    expect(await entries('AGREEMENT#E-1001')).toMatchObject([
      { sequence: 1, at: mondayNine, actor: admin, action: 'agreement-registered', reference: 'register' },
    ]);
    expect(await entries(`KEY#${keyId}`)).toMatchObject([
      { sequence: 1, at: mondayNine, actor: 'volume-activation', action: 'key-issued', reference: 'E-1001' },
    ]);
  });

  it('refuses an agreement that exists, and leaves it unchanged', async () => {
    await register(anAgreement());
    const before = await scanAllItems(store);
    const duplicate = anAgreement({
      organization: { name: 'Birch', country: 'US', language: 'en' },
      contacts: [mallory],
    });
    expect(expectRefusal(await register(duplicate, 'another'))).toMatchObject({
      code: 'agreement-exists',
      agreementId: 'E-1001',
    });
    expect(await scanAllItems(store)).toEqual(before);
    expect(drawCount).toBe(1);
  });

  it('returns the same result for a repeated operation', async () => {
    const agreement = anAgreement();
    await register(agreement);
    const before = await scanAllItems(store);
    expect(await register(agreement)).toEqual({ ok: true, value: agreement });
    expect(await scanAllItems(store)).toEqual(before);
  });

  it('registers once, with one key, when the same operation runs several times at once', async () => {
    const agreement = anAgreement();
    const results = await Promise.all(Array.from({ length: 4 }, () => register(agreement)));
    expect(results).toEqual(Array.from({ length: 4 }, () => ({ ok: true, value: agreement })));
    expect(await keys()).toHaveLength(1);
    expect(await entries('AGREEMENT#E-1001')).toHaveLength(1);
  });

  it('refuses one of two different operations that run at once', async () => {
    const results = await Promise.all([register(anAgreement(), 'one'), register(anAgreement(), 'two')]);
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await keys()).toHaveLength(1);
  });
});

describe('the people who may see an agreement', () => {
  it('AGR-3 are its contacts and its Notices Correspondent, regardless of case and spaces in the email', async () => {
    await register(anAgreement());
    for (const person of [ines, jorge, noor, { email: ' INES@Alder.Example ' }]) {
      expect(await agreementIdsOf(person)).toEqual(['E-1001']);
    }
    expect(await agreementIdsOf(mallory)).toEqual([]);
  });

  it('AGR-3 change with the Authorized Contact List', async () => {
    await register(anAgreement());
    const contacts = [{ ...ines, email: 'Ines@alder.example' }, mallory];
    const result = await changeContacts(
      store,
      'E-1001',
      contacts,
      context({ actor: admin, operationId: 'change', now: mondayTen }),
    );
    expect(result).toEqual({ ok: true, value: anAgreement({ contacts }) });
    expect(await findAgreement(store, 'E-1001')).toEqual(anAgreement({ contacts }));
    expect(await agreementIdsOf(ines)).toEqual(['E-1001']);
    expect(await agreementIdsOf(mallory)).toEqual(['E-1001']);
    expect(await agreementIdsOf(noor)).toEqual(['E-1001']);
    expect(await agreementIdsOf(jorge)).toEqual([]);
    expect(await entries('AGREEMENT#E-1001')).toMatchObject([
      { sequence: 1 },
      { sequence: 2, at: mondayTen, actor: admin, action: 'contacts-changed', reference: 'change' },
    ]);
  });

  it('AGR-3 still include a Notices Correspondent who is removed from the list', async () => {
    await register(anAgreement({ contacts: [ines, noor] }));
    await changeContacts(store, 'E-1001', [ines], context({ actor: admin, operationId: 'change', now: mondayTen }));
    expect(await agreementIdsOf(noor)).toEqual(['E-1001']);
  });

  it('AGR-3 do not change in another agreement', async () => {
    await register(anAgreement());
    await register(anAgreement({ agreementId: 'E-1002', numbers: { agreementNumber: 'E-1002' } }), 'register 2');
    await changeContacts(store, 'E-1001', [jorge], context({ actor: admin, operationId: 'change', now: mondayTen }));
    expect(await agreementIdsOf(ines)).toEqual(['E-1002']);
    expect(await agreementIdsOf(jorge)).toEqual(['E-1001', 'E-1002']);
  });

  it('do not change when an operation repeats, or for an unknown agreement', async () => {
    await register(anAgreement());
    await changeContacts(store, 'E-1001', [jorge], context({ actor: admin, operationId: 'change', now: mondayTen }));
    await changeContacts(store, 'E-1001', [ines], context({ actor: admin, operationId: 'change 2', now: mondayTen }));
    const before = await scanAllItems(store);
    expect(
      await changeContacts(store, 'E-1001', [jorge], context({ actor: admin, operationId: 'change', now: mondayTen })),
    ).toEqual({
      ok: true,
      value: anAgreement({ contacts: [ines] }),
    });
    expect(
      await changeContacts(store, 'E-9999', [jorge], context({ actor: admin, operationId: 'change', now: mondayTen })),
    ).toBeUndefined();
    expect(await scanAllItems(store)).toEqual(before);
  });

  it('AGR-3 match the list after simultaneous changes', async () => {
    await register(anAgreement());
    const lists = [[ines], [jorge], [mallory], [ines, jorge], [jorge, mallory]];
    await Promise.all(
      lists.map((contacts, number) =>
        changeContacts(store, 'E-1001', contacts, context({ actor: admin, operationId: `${number}`, now: mondayTen })),
      ),
    );
    const agreement = await findAgreement(store, 'E-1001');
    const listed = new Set([...(agreement?.contacts ?? []), noor].map(({ email }) => email));
    for (const person of [ines, jorge, mallory, noor]) {
      expect(await agreementIdsOf(person)).toEqual(listed.has(person.email) ? ['E-1001'] : []);
    }
  });
});

describe('the agreements of a person', () => {
  const ids = ['A-1', 'A-10', 'A-2', 'B#1', 'Ä-1'];
  beforeEach(async () => {
    for (const agreementId of ids.toReversed()) {
      const numbers = { agreementNumber: agreementId };
      await register(anAgreement({ agreementId, numbers }), `register ${agreementId}`);
    }
  });

  it('AGR-3 are listed by ID in pages of any size, each once', async () => {
    for (const limit of [1, 2, 4, 5, 6]) {
      const listed = await readAllPages((page) => listAgreements(store, ines.email, page), limit);
      expect(listed.map(({ agreementId }) => agreementId)).toEqual(ids);
    }
  });

  it('start again, or end, after a position that no page returned', async () => {
    for (const after of ['', ' ', 'AGREEMENT', 'AGREEMENT#~', 'PERSON#', 'zzz', '\u{10ffff}']) {
      const { items } = await listAgreements(store, ines.email, { limit: 3, after });
      expect(ids).toEqual(expect.arrayContaining(items.map(({ agreementId }) => agreementId)));
    }
  });
});
