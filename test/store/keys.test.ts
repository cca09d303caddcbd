import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Agreement } from '../../domain/agreement.ts';
import type { ProductGroup } from '../../domain/catalog.ts';
import type { Grant } from '../../domain/keys/grant.ts';
import type { KmsKey, Mak } from '../../domain/keys/key.ts';
import type { ProductKey } from '../../domain/keys/product-key.ts';
import { registerAgreement } from '../../store/agreements.ts';
import {
  activateKmsHost,
  countUsed,
  findKey,
  grantIncrease,
  grantOverride,
  issueMak,
  listKeys,
  listKeysByLastFive,
  readKey,
  recordClients,
  revealKey,
} from '../../store/keys.ts';
import { listLedgerEntries } from '../../store/ledger.ts';
import { activateOnMak } from '../../store/mak-activations.ts';
import type { Store } from '../../store/store.ts';
import {
  agent,
  anAgreement,
  context,
  expectAccepted,
  expectRefusal,
  ines,
  installationId,
  productKey,
} from '../builders.ts';
import {
  fridayNine,
  mondayBeforeMidnight,
  mondayNine,
  mondayTen,
  nextMondayNine,
  thursdayFive,
  tuesdayMidnight,
  tuesdayTen,
  wednesdayNoon,
} from '../instants.ts';
import { readAllPages, scanAllItems, startTestDynamoDb, withScheduler } from './dynamodb.ts';
import { expectMakTotals } from './mak-totals.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
let generatedKeys: ProductKey[];
beforeEach(async () => {
  store = await dynamoDb.newStore();
  generatedKeys = [];
});

const firstPage = { limit: 100, after: null };

/** Generates product keys with different last five characters, and records them. */
function draw(): ProductKey {
  const key = productKey(1_000_003 * (generatedKeys.length + 1));
  generatedKeys.push(key);
  return key;
}

function issue(agreement = anAgreement(), group: ProductGroup = 'client', operationId = 'issue', drawKey = draw) {
  return issueMak(
    store,
    agreement,
    { productGroup: group, drawKey },
    context({ actor: ines.email, operationId, now: mondayNine }),
  );
}

async function issueAccepted(agreement = anAgreement(), group: ProductGroup = 'client'): Promise<Mak> {
  return expectAccepted(await issue(agreement, group, `issue ${agreement.agreementId} ${group}`)).value;
}

async function issueKms(agreement: Agreement = anAgreement()): Promise<KmsKey> {
  expectAccepted(
    await registerAgreement(
      store,
      agreement,
      draw,
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  const keys = (await listKeys(store, agreement.agreementId, firstPage)).items.map(({ value }) => value);
  const [kms] = keys.filter((key) => key.type === 'KMS');
  if (kms === undefined) throw new Error('no KMS key was issued');
  return kms;
}

const entries = async (keyId: string) => (await listLedgerEntries(store, `KEY#${keyId}`, firstPage)).items;
const actions = async (keyId: string) => (await entries(keyId)).map(({ action }) => action);

function agreementNumbered(agreementId: string): Agreement {
  return anAgreement({ agreementId, numbers: { agreementNumber: agreementId } });
}

describe('issuing a MAK', () => {
  it('KEY-2 KEY-4 issues a key for the product group with the initial limit of its licenses', async () => {
    const mak = await issueAccepted();
    expect(mak).toEqual({
      type: 'MAK',
      keyId: store.vault.keyIdOf(productKey(1_000_003)),
      agreementId: 'E-1001',
      productGroup: 'client',
      lastFive: productKey(1_000_003).lastFive,
      state: { status: 'live' },
      // 80 licenses at 1.2 are 96, rounded up to a hundred.
      grants: [{ kind: 'initial', amount: 100, at: mondayNine, by: ines.email, reference: 'E-1001', approvedBy: null }],
      issuedAt: mondayNine,
      replaces: null,
    });
    expect(await findKey(store, mak.keyId)).toEqual(mak);
    expect(await expectMakTotals(store, mak.keyId)).toMatchObject({
      granted: 100,
      used: 0,
      available: 100,
      inReserve: 0,
    });
  });

  it('LED-1 creates its ledger', async () => {
    const { keyId } = await issueAccepted();
    expect(await entries(keyId)).toMatchObject([
      { sequence: 1, at: mondayNine, actor: ines.email, action: 'key-issued', reference: 'E-1001' },
    ]);
  });

  it('KEY-2 refuses a second MAK for the group, names the first, and changes nothing', async () => {
    const { keyId } = await issueAccepted();
    const before = await scanAllItems(store);
    expect(expectRefusal(await issue(anAgreement(), 'client', 'again'))).toMatchObject({
      code: 'mak-already-issued',
      keyId,
    });
    expect(await scanAllItems(store)).toEqual(before);
    expect(generatedKeys).toHaveLength(1);
  });

  it('KEY-2 accepts another group and another agreement', async () => {
    const [one, two, three] = [
      await issueAccepted(),
      await issueAccepted(anAgreement(), 'server-b'),
      await issueAccepted(agreementNumbered('E-1002')),
    ];
    expect(new Set([one.keyId, two.keyId, three.keyId]).size).toBe(3);
  });

  it('KEY-2 refuses a group without licenses', async () => {
    expect(expectRefusal(await issue(anAgreement(), 'server-c'))).toMatchObject({
      code: 'product-not-covered',
      covers: [
        'windows-vista-business',
        'windows-vista-enterprise',
        'windows-server-2008-standard',
        'windows-server-2008-enterprise',
      ],
    });
    expect(await scanAllItems(store)).toEqual([]);
  });

  it('returns the same key for a repeated operation, even after many other operations', async () => {
    const { value: mak } = expectAccepted(await issue());
    for (let call = 1; call <= 22; call += 1)
      await revealKey(store, mak.keyId, context({ actor: ines.email, operationId: `reveal ${call}`, now: mondayTen }));
    expect(await issue()).toEqual({ ok: true, value: mak });
    expect(generatedKeys).toHaveLength(1);
  });

  it('KEY-2 issues one of several simultaneous MAKs, and the refusals of the others name it', async () => {
    const results = await Promise.all(['a', 'b', 'c', 'd'].map((id) => issue(anAgreement(), 'client', id)));
    const [mak, ...others] = results.flatMap((result) => (result.ok ? [result.value] : []));
    expect(others).toEqual([]);
    const refusals = results.flatMap((result) => (result.ok ? [] : [result.refusal]));
    expect(refusals).toHaveLength(3);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'mak-already-issued', keyId: mak?.keyId });
    expect((await listKeys(store, 'E-1001', firstPage)).items.map(({ value }) => value)).toEqual([mak]);
    await expectMakTotals(store, mak?.keyId ?? '');
  });

  it('issues one key if one operation runs several times at once, and returns it to all', async () => {
    const results = await Promise.all(Array.from({ length: 4 }, () => issue()));
    const keyIds = results.map((result) => expectAccepted(result).value.keyId);
    expect(new Set(keyIds).size).toBe(1);
  });

  it('KEY-5 generates another product key if one is already in use, and leaves its activations unchanged', async () => {
    const mak = await issueAccepted();
    const activation = {
      installationId: installationId(1),
      product: 'windows-vista-business',
      machineName: null,
      activatedAt: mondayTen,
    } as const;
    const layout = { keyId: mak.keyId, bucketCount: 8 };
    await activateOnMak(store, layout, store.vault.digestOf(mak.keyId, activation.installationId), activation);
    const draws = [productKey(1_000_003), productKey(1_000_003), productKey(5)];
    const { value: issuedKey } = expectAccepted(
      await issue(agreementNumbered('E-1002'), 'client', 'issue 2', () => draws.shift() ?? productKey(99)),
    );
    expect(issuedKey.lastFive).toBe(productKey(5).lastFive);
    expect(await expectMakTotals(store, mak.keyId)).toMatchObject({ used: 1, available: 99 });
    expect(await findKey(store, mak.keyId)).toEqual(mak);
  });
});

describe('a product key at rest', () => {
  it('KEY-6 is in no item, in any encoding', async () => {
    const kms = await issueKms();
    const mak = await issueAccepted();
    await revealKey(store, mak.keyId, context({ actor: ines.email, operationId: 'reveal', now: mondayTen }));
    await grantOverride(
      store,
      kms.keyId,
      override({ callReference: 'CALL-1' }),
      context({ actor: agent, operationId: 'override', now: mondayTen }),
    );
    await grantIncrease(
      store,
      mak.keyId,
      increase({ newLimit: 120 }),
      context({ actor: agent, operationId: 'increase', now: mondayTen }),
    );
    const items = await scanAllItems(store);
    const text = JSON.stringify(items)
      .toUpperCase()
      .replaceAll(/[^A-Z0-9]/g, '');
    const decoded = items
      .flatMap((item) => JSON.stringify(item).match(/[\w+/-]{8,}/g) ?? [])
      .map((word) => Buffer.from(word, 'base64url').toString('latin1').toUpperCase());
    expect(items.length).toBeGreaterThan(10);
    expect(generatedKeys).toHaveLength(2);
    for (const key of generatedKeys) {
      const characters = key.reveal().replaceAll('-', '');
      expect(text).toContain(key.lastFive);
      expect(text).not.toContain(characters);
      expect(text).not.toContain([...characters].toReversed().join(''));
      for (const group of key.reveal().split('-').slice(0, 4)) {
        expect(decoded.filter((word) => word.includes(group))).toEqual([]);
        expect(JSON.stringify(items)).not.toContain(group);
      }
    }
  });

  it('KEY-6 opens only with its own key ID', async () => {
    const [one, two] = [await issueAccepted(), await issueAccepted(agreementNumbered('E-1002'))];
    const sealed = (await readKey(store, one.keyId))?.internal.sealedKey ?? '';
    expect(store.vault.openProductKey(sealed, one.keyId).reveal()).toBe(generatedKeys[0]?.reveal());
    expect(() => store.vault.openProductKey(sealed, two.keyId)).toThrow();
  });

  it('KEY-6 is revealed on request, and each request is recorded once with its actor', async () => {
    const { keyId } = await issueAccepted();
    for (const operationId of ['reveal', 'reveal', 'reveal again']) {
      const revealed = expectAccepted(
        (await revealKey(store, keyId, context({ actor: ines.email, operationId, now: mondayTen }))) ?? throwMissing(),
      );
      expect(revealed.value.reveal()).toBe(generatedKeys[0]?.reveal());
      expect(`${revealed.value} ${JSON.stringify(revealed)}`).not.toContain(generatedKeys[0]?.reveal());
    }
    expect((await entries(keyId)).slice(1)).toMatchObject([
      { at: mondayTen, actor: ines.email, action: 'key-revealed', reference: 'reveal' },
      { at: mondayTen, actor: ines.email, action: 'key-revealed', reference: 'reveal again' },
    ]);
    expect(JSON.stringify(await entries(keyId))).not.toContain(generatedKeys[0]?.reveal());
  });

  it('KEY-6 is undefined for an unknown key', async () => {
    expect(
      await revealKey(store, 'nobody', context({ actor: ines.email, operationId: 'reveal', now: mondayTen })),
    ).toBeUndefined();
  });
});

function throwMissing(): never {
  throw new Error('there is no such key');
}

describe('the keys of an agreement', () => {
  it('are listed by ID in pages of any size, each once, without other items of the agreement', async () => {
    const agreement = anAgreement({
      products: [
        { product: 'windows-vista-business', licenses: 80 },
        { product: 'windows-web-server-2008', licenses: 10 },
        { product: 'windows-server-2008-standard', licenses: 10 },
        { product: 'windows-server-2008-itanium', licenses: 10 },
      ],
    });
    await issueKms(agreement);
    for (const group of ['client', 'server-a', 'server-b', 'server-c'] as const) await issueAccepted(agreement, group);
    await issueAccepted(agreementNumbered('E-10011'));
    const expected = generatedKeys
      .slice(0, 5)
      .map((key) => store.vault.keyIdOf(key))
      .toSorted();
    for (const limit of [1, 2, 4, 5, 6]) {
      const listed = await readAllPages((page) => listKeys(store, 'E-1001', page), limit);
      expect(listed.map(({ value }) => value.keyId)).toEqual(expected);
    }
  });

  it.each(['', ' ', 'AGREEMENT', 'ENTRY#0000000001', 'KEY#', 'KEY#~', 'KEY#~~', 'zzz', '\u{10ffff}'])(
    'are part of the list, or empty, after a position that no page returned: %j',
    async (after) => {
      const { keyId } = await issueAccepted();
      const { items } = await listKeys(store, 'E-1001', { limit: 10, after });
      expect([[], [keyId]]).toContainEqual(items.map(({ value }) => value.keyId));
      const byLastFive = await listKeysByLastFive(store, generatedKeys[0]?.lastFive ?? '', 'E-1001', {
        limit: 10,
        after,
      });
      expect([[], [keyId]]).toContainEqual(byLastFive.items.map(({ value }) => value.keyId));
    },
  );
});

describe('keys by last five characters', () => {
  // Product keys with the same last five characters.
  const similarKey = (number: number) => productKey(24 ** 5 * (number + 1));
  beforeEach(async () => {
    for (const number of [3, 1, 2]) {
      expectAccepted(
        await issue(agreementNumbered(`E-${number}`), 'client', `issue ${number}`, () => similarKey(number)),
      );
    }
    expectAccepted(await issue(agreementNumbered('E-1'), 'server-b', 'issue 4', () => similarKey(4)));
    await issueAccepted(agreementNumbered('E-4'));
  });
  const listIds = async (agreementId: string | undefined, limit?: number) =>
    (await readAllPages((page) => listKeysByLastFive(store, similarKey(0).lastFive, agreementId, page), limit)).map(
      ({ value }) => value.keyId,
    );
  const ids = (...numbers: number[]) => numbers.map((number) => store.vault.keyIdOf(similarKey(number))).toSorted();

  it('are listed for all agreements or for one, in pages of any size, each once', async () => {
    for (const limit of [1, 2, 3, 4, 100]) {
      expect((await listIds(undefined, limit)).toSorted()).toEqual(ids(1, 2, 3, 4));
      expect((await listIds('E-1', limit)).toSorted()).toEqual(ids(1, 4));
    }
    expect(await listIds('E-2')).toEqual(ids(2));
    expect(await listIds('E-4')).toEqual([]);
    expect(await listIds('E-')).toEqual([]);
  });
});

function override(request: { callReference: string; installationId?: number }) {
  return {
    installationId: installationId(request.installationId ?? 1),
    callReference: request.callReference,
    callerName: 'Inés Oliveira',
  };
}

function increase(request: { newLimit: number; callReference?: string }) {
  return { callReference: 'CALL-1', callerName: 'Inés Oliveira', ...request };
}

describe('an override', () => {
  let kms: KmsKey;
  beforeEach(async () => {
    kms = await issueKms();
  });
  const grant = async (callReference: string, now = fridayNine, host = 1, operationId = `call ${callReference}`) =>
    (await grantOverride(
      store,
      kms.keyId,
      override({ callReference, installationId: host }),
      context({ actor: agent, operationId, now }),
    )) ?? throwMissing();
  const overrides = async () => {
    const key = await findKey(store, kms.keyId);
    return key?.type === 'KMS' ? key.overrides : [];
  };

  it('OVR-1 KEY-8 is a separate grant, in the ledger with the call reference', async () => {
    const { value } = expectAccepted(await grant('CALL-1'));
    const expectedGrant: Grant = {
      kind: 'override',
      amount: 1,
      at: fridayNine,
      by: agent,
      reference: 'CALL-1',
      approvedBy: null,
    };
    expect(value).toEqual({ grant: expectedGrant, isRepeat: false });
    expect((await findKey(store, kms.keyId))?.grants).toEqual([...kms.grants, expectedGrant]);
    expect((await entries(kms.keyId)).slice(1)).toMatchObject([
      { at: fridayNine, actor: agent, action: 'override-granted', reference: 'CALL-1' },
    ]);
  });

  it('OVR-2 OVR-4 is granted once on one day if two agents grant it at once, and the refusal names the next time', async () => {
    const results = await Promise.all([
      grant('CALL-1', mondayBeforeMidnight),
      grant('CALL-2', mondayBeforeMidnight, 2),
    ]);
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    const [refusal] = results.flatMap((result) => (result.ok ? [] : [result.refusal]));
    expect(refusal).toMatchObject({ code: 'override-used-today', availableAt: tuesdayMidnight });
    expect(await overrides()).toHaveLength(1);
  });

  it('OVR-3 OVR-4 is granted once if it is the last one and two agents grant it at once', async () => {
    for (const [index, day] of [mondayTen, tuesdayTen, wednesdayNoon, thursdayFive].entries()) {
      expectAccepted(await grant(`CALL-${index}`, day));
    }
    const results = await Promise.all([grant('CALL-5'), grant('CALL-6')]);
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    const [refusal] = results.flatMap((result) => (result.ok ? [] : [result.refusal]));
    expect(refusal).toMatchObject({
      code: 'overrides-exhausted',
      draft: { kind: 'KMSADD', agreementNumber: 'E-1001', organizationName: 'Alder School District' },
    });
    expect(expectRefusal(await grant('CALL-7', nextMondayNine))).toMatchObject({ code: 'overrides-exhausted' });
    expect(await overrides()).toHaveLength(5);
    expect(await actions(kms.keyId)).toEqual(['key-issued', ...Array.from({ length: 5 }, () => 'override-granted')]);
  });

  it('OVR-4 is granted once if one call is sent several times at once, and returned to all', async () => {
    const grants = Array.from({ length: 5 }, (_, index) => grant('CALL-1', fridayNine, 1, `call ${index}`));
    const results = (await Promise.all(grants)).map((result) => expectAccepted(result).value);
    for (const result of results) expect(result.grant).toEqual(results[0]?.grant);
    expect(results.filter(({ isRepeat }) => !isRepeat)).toHaveLength(1);
    expect(await overrides()).toHaveLength(1);
    expect(expectAccepted(await grant('CALL-1', nextMondayNine, 1, 'call on Monday')).value.isRepeat).toBe(true);
    expect(await overrides()).toHaveLength(1);
  });

  it('OVR-4 is granted once for a repeated operation, which returns the first result', async () => {
    const { value } = expectAccepted(await grant('CALL-1'));
    expect(expectAccepted(await grant('CALL-1', nextMondayNine)).value).toEqual(value);
    expect(await overrides()).toHaveLength(1);
  });

  it('is not granted to an unknown key or to a MAK', async () => {
    const mak = await issueAccepted();
    expect(
      await grantOverride(
        store,
        'nobody',
        override({ callReference: 'C' }),
        context({ actor: agent, operationId: 'o', now: mondayTen }),
      ),
    ).toBeUndefined();
    const onMak = await grantOverride(
      store,
      mak.keyId,
      override({ callReference: 'C' }),
      context({ actor: agent, operationId: 'o', now: mondayTen }),
    );
    expect(expectRefusal(onMak ?? throwMissing())).toMatchObject({ code: 'wrong-key-type' });
  });
});

describe('an increase by phone', () => {
  const grant = async (keyId: string, newLimit: number, callReference: string, target = store) =>
    (await grantIncrease(
      target,
      keyId,
      increase({ newLimit, callReference }),
      context({ actor: agent, operationId: `call ${callReference}`, now: mondayTen, policy: target.policy }),
    )) ?? throwMissing();

  it('MAK-4 KEY-8 raises the limit and the reserve together, with a grant and a ledger entry', async () => {
    const { keyId, grants } = await issueAccepted();
    const { value } = expectAccepted(await grant(keyId, 130, 'CALL-1'));
    const expectedGrant: Grant = {
      kind: 'call-center',
      amount: 30,
      at: mondayTen,
      by: agent,
      reference: 'CALL-1',
      approvedBy: null,
    };
    expect(value).toEqual({ grant: expectedGrant, isRepeat: false });
    expect((await findKey(store, keyId))?.grants).toEqual([...grants, expectedGrant]);
    expect(await expectMakTotals(store, keyId)).toMatchObject({ granted: 130, enforced: 130, inReserve: 30 });
    expect((await entries(keyId)).slice(1)).toMatchObject([
      { at: mondayTen, actor: agent, action: 'limit-raised', reference: 'CALL-1' },
    ]);
  });

  it('OVR-4 raises the limit once for a repeated operation, which returns the first result', async () => {
    const { keyId } = await issueAccepted();
    const { value } = expectAccepted(await grant(keyId, 130, 'CALL-1'));
    expect(expectAccepted(await grant(keyId, 130, 'CALL-1')).value).toEqual(value);
    expect(await expectMakTotals(store, keyId)).toMatchObject({ granted: 130 });
  });

  it('MAK-4 is refused above double the original limit, and changes nothing', async () => {
    const { keyId } = await issueAccepted();
    expectAccepted(await grant(keyId, 200, 'CALL-1'));
    expect(expectRefusal(await grant(keyId, 201, 'CALL-2'))).toMatchObject({
      code: 'above-call-center-limit',
      maximumLimit: 200,
    });
    expect(await expectMakTotals(store, keyId)).toMatchObject({ granted: 200 });
  });

  it('OVR-4 MAK-4 KEY-8 adds up for simultaneous calls, in every order of database operations', async () => {
    const calls = fc.array(fc.record({ newLimit: fc.integer({ min: 99, max: 202 }), call: fc.nat(3) }), {
      minLength: 2,
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), calls, async (scheduler, requests) => {
        store = await dynamoDb.newStore();
        generatedKeys = [];
        const { keyId } = await issueAccepted();
        const scheduledStore = withScheduler(store, scheduler);
        const results = await scheduler.waitFor(
          Promise.all(requests.map(({ newLimit, call }) => grant(keyId, newLimit, `CALL-${call}`, scheduledStore))),
        );
        const totals = await expectMakTotals(store, keyId);
        const grants = (await findKey(store, keyId))?.grants ?? [];
        expect(totals.granted).toBeLessThanOrEqual(200);
        // One grant for each successful call reference, which all of its requests return.
        const returnedGrants = results.flatMap((result) => (result.ok ? [result.value.grant] : []));
        expect(new Set(returnedGrants.map(({ reference }) => reference)).size).toBe(grants.length - 1);
        for (const each of returnedGrants) expect(grants).toContainEqual(each);
        expect(await actions(keyId)).toHaveLength(grants.length);
      }),
      { numRuns: 8 },
    );
  });
});

describe('a KMS key', () => {
  let keyId: string;
  let operationCount = 0;
  beforeEach(async () => {
    ({ keyId } = await issueKms());
  });
  const nextOperationId = () => `activation ${++operationCount}`;
  const activate = async (host: number, operationId = nextOperationId(), now = mondayTen) =>
    (await activateKmsHost(
      store,
      keyId,
      { installationId: installationId(host), product: 'windows-server-2008-standard', machineName: `host-${host}` },
      context({ operationId, now }),
    )) ?? throwMissing();
  const hosts = async () => {
    const key = await findKey(store, keyId);
    return key?.type === 'KMS' ? key.hosts : [];
  };
  /** Activates six hosts ten times each, all six at once. */
  const activateToLimit = async () => {
    for (let use = 1; use <= 10; use += 1) {
      for (const result of await Promise.all([1, 2, 3, 4, 5, 6].map((host) => activate(host)))) expectAccepted(result);
    }
  };

  it('KMS-1 KMS-3 activates six hosts ten times each, but not an eleventh time and not a seventh host', async () => {
    await activateToLimit();
    expect((await hosts()).map(({ installationId: id, uses }) => [id, uses]).toSorted()).toEqual(
      [1, 2, 3, 4, 5, 6].map((host) => [installationId(host), 10]),
    );
    for (const host of [1, 7]) {
      expect(expectRefusal(await activate(host))).toMatchObject({
        code: 'activation-limit-reached',
        limit: 6,
        used: 6,
      });
    }
    const keyRecord = await readKey(store, keyId);
    expect(keyRecord && (await countUsed(store, keyRecord))).toBe(6);
    // An activation adds no ledger entry.
    expect(await actions(keyId)).toEqual(['key-issued']);
  });

  it('KMS-1 gives the sixth slot to one of two hosts that activate at once', async () => {
    for (const host of [1, 2, 3, 4, 5]) expectAccepted(await activate(host));
    const results = await Promise.all([activate(6), activate(7)]);
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await hosts()).toHaveLength(6);
  });

  it('OVR-1 uses an override once and only for its host, no matter how many hosts activate at once', async () => {
    for (const host of [1, 2, 3, 4, 5, 6]) expectAccepted(await activate(host));
    await grantOverride(
      store,
      keyId,
      override({ callReference: 'CALL-1', installationId: 7 }),
      context({ actor: agent, operationId: 'call', now: mondayTen }),
    );
    const results = await Promise.all([8, 7, 7, 8].map((host) => activate(host)));
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await hosts()).toMatchObject([
      ...Array.from({ length: 6 }, () => ({ slot: 'standard', overridesSpent: 0 })),
      { installationId: installationId(7), slot: 'override', uses: 1, overridesSpent: 1 },
    ]);
    const keyRecord = await readKey(store, keyId);
    expect(keyRecord && (await countUsed(store, keyRecord))).toBe(6);
  });

  it('KMS-1 counts an activation once if its operation repeats, later or at the same time', async () => {
    expectAccepted(await activate(1));
    await Promise.all([activate(1, 'once'), activate(1, 'once'), activate(1, 'once')]);
    const { value } = expectAccepted(await activate(1, 'once'));
    expect(value.host).toMatchObject({ uses: 2 });
    expect(await hosts()).toMatchObject([{ uses: 2 }]);
  });

  it('KMS-2 stores the clients that a host reports, and returns whether the host is known', async () => {
    expectAccepted(await activate(1));
    const report = async (host: number, clients: number, of = keyId) =>
      recordClients(
        store,
        of,
        { installationId: installationId(host), clients },
        context({ operationId: `report ${host}`, now: tuesdayTen }),
      );
    expect(await report(1, 40)).toEqual({ ok: true, value: { isKnown: true } });
    expect(await report(2, 40)).toEqual({ ok: true, value: { isKnown: false } });
    expect(await report(1, 40, 'nobody')).toBeUndefined();
    expect(await hosts()).toMatchObject([{ clientsReported: 40, uses: 1 }]);
  });

  it('does not activate like a MAK', async () => {
    const mak = await issueAccepted();
    const request = {
      installationId: installationId(1),
      product: 'windows-vista-business',
      machineName: null,
    } as const;
    await expect(
      activateKmsHost(store, mak.keyId, request, context({ operationId: 'a', now: mondayTen })),
    ).rejects.toThrow('is not a KMS key');
  });
});
