import { beforeEach, describe, expect, it } from 'vitest';
import type { Agreement, Person } from '../../domain/agreement.ts';
import { changeContacts, findAgreement, listAgreements, registerAgreement } from '../../store/agreements.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { listKeys } from '../../store/keys.ts';
import { listLedgerEntries } from '../../store/ledger.ts';
import {
  anAgreement,
  noor,
  context,
  expectAccepted,
  expectRefusal,
  ines,
  mallory,
  productKey,
  jorge,
} from '../builders.ts';
import { mondayNine, mondayTen } from '../instants.ts';
import { readAllPages, scanAllItems, startTestDynamoDb } from './dynamodb.ts';

const engine = await startTestDynamoDb();
let store: Store;
let drawn = 0;
beforeEach(async () => {
  store = await engine.newStore();
  drawn = 0;
});

const admin = 'admin@licensing.example';
const draw = () => productKey(++drawn);
const firstPage = { limit: 100, after: null };

function register(agreement: Agreement, operation = 'register', drawKey = draw) {
  return registerAgreement(
    store,
    agreement,
    drawKey,
    context({ actor: admin, operationId: operation, now: mondayNine }),
  );
}

const keys = async (agreementId = 'E-1001') => (await listKeys(store, agreementId, firstPage)).items;
const entries = async (owner: Parameters<typeof listLedgerEntries>[1]) =>
  (await listLedgerEntries(store, owner, firstPage)).items;
const whose = async ({ email }: Pick<Person, 'email'>) =>
  (await listAgreements(store, email, firstPage)).items.map(({ agreementId }) => agreementId);

describe('registering an agreement', () => {
  it('KEY-1 issues its KMS key in the same step, for the highest group it has licenses of', async () => {
    const agreement = anAgreement();
    expect(await register(agreement)).toEqual({ ok: true, value: agreement });
    expect(await findAgreement(store, 'E-1001')).toEqual(agreement);
    const [kept, ...more] = await keys();
    expect(more).toEqual([]);
    expect(kept?.value).toEqual({
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
    expect(kept?.internal.agreement).toEqual({
      organization: { name: 'Alder School District' },
      numbers: { agreementNumber: 'E-1001' },
    });
  });

  it('KEY-1 issues none when the agreement does not cover Windows Vista', async () => {
    await register(anAgreement({ products: [{ product: 'windows-server-2008-standard', licenses: 10 }] }));
    expect(await findAgreement(store, 'E-1001')).toBeDefined();
    expect(await keys()).toEqual([]);
    expect(drawn).toBe(0);
  });

  it('KEY-5 draws again when a key is in use already, and changes nothing of whose it is', async () => {
    const first = anAgreement();
    await register(first);
    const before = await keys();
    const draws = [productKey(1), productKey(1), productKey(7)];
    const second = anAgreement({ agreementId: 'E-1002', numbers: { agreementNumber: 'E-1002' } });
    expectAccepted(await register(second, 'register 2', () => draws.shift() ?? productKey(99)));
    expect((await keys('E-1002')).map(({ value: state }) => state.lastFive)).toEqual([productKey(7).lastFive]);
    expect(await keys()).toEqual(before);
  });

  it('LED-1 begins both histories', async () => {
    await register(anAgreement());
    const keyId = store.vault.keyIdOf(productKey(1));
    expect(await entries('AGREEMENT#E-1001')).toMatchObject([
      { sequence: 1, at: mondayNine, actor: admin, action: 'agreement-registered', reference: 'register' },
    ]);
    expect(await entries(`KEY#${keyId}`)).toMatchObject([
      { sequence: 1, at: mondayNine, actor: 'volume-activation', action: 'key-issued', reference: 'E-1001' },
    ]);
  });

  it('is refused when it exists, and leaves it as it is', async () => {
    await register(anAgreement());
    const before = await scanAllItems(store);
    const again = anAgreement({ organization: { name: 'Birch', country: 'US', language: 'en' }, contacts: [mallory] });
    expect(expectRefusal(await register(again, 'another'))).toMatchObject({
      code: 'agreement-exists',
      agreementId: 'E-1001',
    });
    expect(await scanAllItems(store)).toEqual(before);
    expect(drawn).toBe(1);
  });

  it('answers the same when the same operation comes again', async () => {
    const agreement = anAgreement();
    await register(agreement);
    const before = await scanAllItems(store);
    expect(await register(agreement)).toEqual({ ok: true, value: agreement });
    expect(await scanAllItems(store)).toEqual(before);
  });

  it('happens once, with one key, when the same operation comes several times at once', async () => {
    const agreement = anAgreement();
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => register(agreement)));
    expect(outcomes).toEqual(Array.from({ length: 4 }, () => ({ ok: true, value: agreement })));
    expect(await keys()).toHaveLength(1);
    expect(await entries('AGREEMENT#E-1001')).toHaveLength(1);
  });

  it('happens once when two different operations come at once: the other is refused', async () => {
    const outcomes = await Promise.all([register(anAgreement(), 'one'), register(anAgreement(), 'two')]);
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await keys()).toHaveLength(1);
  });
});

describe('who may see an agreement', () => {
  it('AGR-3 is everyone on its list and its Notices Correspondent, however they write their address', async () => {
    await register(anAgreement());
    for (const person of [ines, jorge, noor, { email: ' INES@Alder.Example ' }]) {
      expect(await whose(person)).toEqual(['E-1001']);
    }
    expect(await whose(mallory)).toEqual([]);
  });

  it('AGR-3 changes with the Authorized Contact List', async () => {
    await register(anAgreement());
    const contacts = [{ ...ines, email: 'Ines@alder.example' }, mallory];
    const changed = await changeContacts(
      store,
      'E-1001',
      contacts,
      context({ actor: admin, operationId: 'change', now: mondayTen }),
    );
    expect(changed).toEqual({ ok: true, value: anAgreement({ contacts }) });
    expect(await findAgreement(store, 'E-1001')).toEqual(anAgreement({ contacts }));
    expect(await whose(ines)).toEqual(['E-1001']);
    expect(await whose(mallory)).toEqual(['E-1001']);
    expect(await whose(noor)).toEqual(['E-1001']);
    expect(await whose(jorge)).toEqual([]);
    expect(await entries('AGREEMENT#E-1001')).toMatchObject([
      { sequence: 1 },
      { sequence: 2, at: mondayTen, actor: admin, action: 'contacts-changed', reference: 'change' },
    ]);
  });

  it('AGR-3 still includes a Notices Correspondent who is taken off the list', async () => {
    await register(anAgreement({ contacts: [ines, noor] }));
    await changeContacts(store, 'E-1001', [ines], context({ actor: admin, operationId: 'change', now: mondayTen }));
    expect(await whose(noor)).toEqual(['E-1001']);
  });

  it('AGR-3 in another agreement stays as it is', async () => {
    await register(anAgreement());
    await register(anAgreement({ agreementId: 'E-1002', numbers: { agreementNumber: 'E-1002' } }), 'register 2');
    await changeContacts(store, 'E-1001', [jorge], context({ actor: admin, operationId: 'change', now: mondayTen }));
    expect(await whose(ines)).toEqual(['E-1002']);
    expect(await whose(jorge)).toEqual(['E-1001', 'E-1002']);
  });

  it('changes nothing when the same change comes again, or names no agreement', async () => {
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

  it('AGR-3 follows the list whatever changes come at once', async () => {
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
      expect(await whose(person)).toEqual(listed.has(person.email) ? ['E-1001'] : []);
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

  it('AGR-3 are listed by id in pages of any size, each once', async () => {
    for (const limit of [1, 2, 4, 5, 6]) {
      const listed = await readAllPages((ask) => listAgreements(store, ines.email, ask), limit);
      expect(listed.map(({ agreementId }) => agreementId)).toEqual(ids);
    }
  });

  it('begin anew, or end, after a position that we never gave', async () => {
    for (const after of ['', ' ', 'AGREEMENT', 'AGREEMENT#~', 'PERSON#', 'zzz', '\u{10ffff}']) {
      const { items } = await listAgreements(store, ines.email, { limit: 3, after });
      expect(ids).toEqual(expect.arrayContaining(items.map(({ agreementId }) => agreementId)));
    }
  });
});
