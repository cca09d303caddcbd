import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Agreement } from '../../domain/agreement.ts';
import type { ProductGroup } from '../../domain/catalog.ts';
import type { Grant } from '../../domain/keys/grant.ts';
import type { KmsKey, Mak } from '../../domain/keys/key.ts';
import type { ProductKey } from '../../domain/keys/product-key.ts';
import { registerAgreement } from '../../store/agreements.ts';
import type { Store } from '../../store/dynamodb/table.ts';
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

const engine = await startTestDynamoDb();
let store: Store;
let drawn: ProductKey[];
beforeEach(async () => {
  store = await engine.newStore();
  drawn = [];
});

const firstPage = { limit: 100, after: null };

/** Draws keys that end differently, and remembers them. */
function draw(): ProductKey {
  const key = productKey(1_000_003 * (drawn.length + 1));
  drawn.push(key);
  return key;
}

function issue(agreement = anAgreement(), group: ProductGroup = 'client', operation = 'issue', drawKey = draw) {
  return issueMak(
    store,
    agreement,
    { productGroup: group, drawKey },
    context({ actor: ines.email, operationId: operation, now: mondayNine }),
  );
}

async function issued(agreement = anAgreement(), group: ProductGroup = 'client'): Promise<Mak> {
  return expectAccepted(await issue(agreement, group, `issue ${agreement.agreementId} ${group}`)).value;
}

async function issuedKms(agreement: Agreement = anAgreement()): Promise<KmsKey> {
  expectAccepted(
    await registerAgreement(
      store,
      agreement,
      draw,
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  const keys = (await listKeys(store, agreement.agreementId, firstPage)).items.map(({ value: state }) => state);
  const [kms] = keys.filter((key) => key.type === 'KMS');
  if (kms === undefined) throw new Error('no KMS key was issued');
  return kms;
}

const entries = async (keyId: string) => (await listLedgerEntries(store, `KEY#${keyId}`, firstPage)).items;
const actions = async (keyId: string) => (await entries(keyId)).map(({ action }) => action);

function numbered(agreementId: string): Agreement {
  return anAgreement({ agreementId, numbers: { agreementNumber: agreementId } });
}

describe('issuing a MAK', () => {
  it('KEY-2 KEY-4 gives the agreement a key of the group with the initial limit of its licenses', async () => {
    const mak = await issued();
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

  it('LED-1 begins its history', async () => {
    const { keyId } = await issued();
    expect(await entries(keyId)).toMatchObject([
      { sequence: 1, at: mondayNine, actor: ines.email, action: 'key-issued', reference: 'E-1001' },
    ]);
  });

  it('KEY-2 is refused for the group a second time, naming the first, and changes nothing', async () => {
    const { keyId } = await issued();
    const before = await scanAllItems(store);
    expect(expectRefusal(await issue(anAgreement(), 'client', 'again'))).toMatchObject({
      code: 'mak-already-issued',
      keyId,
    });
    expect(await scanAllItems(store)).toEqual(before);
    expect(drawn).toHaveLength(1);
  });

  it('KEY-2 is not refused for another group or another agreement', async () => {
    const [one, two, three] = [
      await issued(),
      await issued(anAgreement(), 'server-b'),
      await issued(numbered('E-1002')),
    ];
    expect(new Set([one.keyId, two.keyId, three.keyId]).size).toBe(3);
  });

  it('KEY-2 is refused for a group that the agreement has no licenses of', async () => {
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

  it('answers with the same key when the same operation comes again, however much was done meanwhile', async () => {
    const { value: mak } = expectAccepted(await issue());
    for (let call = 1; call <= 22; call += 1)
      await revealKey(store, mak.keyId, context({ actor: ines.email, operationId: `reveal ${call}`, now: mondayTen }));
    expect(await issue()).toEqual({ ok: true, value: mak });
    expect(drawn).toHaveLength(1);
  });

  it('KEY-2 happens once when it is asked for several times at once, and the others name it', async () => {
    const outcomes = await Promise.all(['a', 'b', 'c', 'd'].map((by) => issue(anAgreement(), 'client', by)));
    const [mak, ...more] = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.value] : []));
    expect(more).toEqual([]);
    const refusals = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.refusal]));
    expect(refusals).toHaveLength(3);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'mak-already-issued', keyId: mak?.keyId });
    expect((await listKeys(store, 'E-1001', firstPage)).items.map(({ value: state }) => state)).toEqual([mak]);
    await expectMakTotals(store, mak?.keyId ?? '');
  });

  it('happens once when one operation comes several times at once, and all get the same key', async () => {
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => issue()));
    const keyIds = outcomes.map((outcome) => expectAccepted(outcome).value.keyId);
    expect(new Set(keyIds).size).toBe(1);
  });

  it('KEY-5 draws again when a key is in use already, and takes nothing of what is counted on that', async () => {
    const mak = await issued();
    const activation = {
      installationId: installationId(1),
      product: 'windows-vista-business',
      machineName: null,
      activatedAt: mondayTen,
    } as const;
    const layout = { keyId: mak.keyId, bucketCount: 8 };
    await activateOnMak(store, layout, store.vault.digestOf(mak.keyId, activation.installationId), activation);
    const draws = [productKey(1_000_003), productKey(1_000_003), productKey(5)];
    const { value: answer } = expectAccepted(
      await issue(numbered('E-1002'), 'client', 'issue 2', () => draws.shift() ?? productKey(99)),
    );
    expect(answer.lastFive).toBe(productKey(5).lastFive);
    expect(await expectMakTotals(store, mak.keyId)).toMatchObject({ used: 1, available: 99 });
    expect(await findKey(store, mak.keyId)).toEqual(mak);
  });
});

describe('a key at rest', () => {
  it('KEY-6 is in no item, in whatever way it could be written', async () => {
    const kms = await issuedKms();
    const mak = await issued();
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
    expect(drawn).toHaveLength(2);
    for (const key of drawn) {
      const symbols = key.reveal().replaceAll('-', '');
      expect(text).toContain(key.lastFive);
      expect(text).not.toContain(symbols);
      expect(text).not.toContain([...symbols].toReversed().join(''));
      for (const group of key.reveal().split('-').slice(0, 4)) {
        expect(decoded.filter((word) => word.includes(group))).toEqual([]);
        expect(JSON.stringify(items)).not.toContain(group);
      }
    }
  });

  it('KEY-6 opens for nothing but itself', async () => {
    const [one, two] = [await issued(), await issued(numbered('E-1002'))];
    const sealed = (await readKey(store, one.keyId))?.internal.sealedKey ?? '';
    expect(store.vault.openProductKey(sealed, one.keyId).reveal()).toBe(drawn[0]?.reveal());
    expect(() => store.vault.openProductKey(sealed, two.keyId)).toThrow();
  });

  it('KEY-6 is shown whole on request, and it is recorded to whom, once for each request', async () => {
    const { keyId } = await issued();
    for (const operation of ['reveal', 'reveal', 'reveal again']) {
      const shown = expectAccepted(
        (await revealKey(store, keyId, context({ actor: ines.email, operationId: operation, now: mondayTen }))) ??
          notThere(),
      );
      expect(shown.value.reveal()).toBe(drawn[0]?.reveal());
      expect(`${shown.value} ${JSON.stringify(shown)}`).not.toContain(drawn[0]?.reveal());
    }
    expect((await entries(keyId)).slice(1)).toMatchObject([
      { at: mondayTen, actor: ines.email, action: 'key-revealed', reference: 'reveal' },
      { at: mondayTen, actor: ines.email, action: 'key-revealed', reference: 'reveal again' },
    ]);
    expect(JSON.stringify(await entries(keyId))).not.toContain(drawn[0]?.reveal());
  });

  it('KEY-6 that is not there is not shown', async () => {
    expect(
      await revealKey(store, 'nobody', context({ actor: ines.email, operationId: 'reveal', now: mondayTen })),
    ).toBeUndefined();
  });
});

function notThere(): never {
  throw new Error('there is no such key');
}

describe('the keys of an agreement', () => {
  it('are listed by id in pages of any size, each once, and no other of its items', async () => {
    const agreement = anAgreement({
      products: [
        { product: 'windows-vista-business', licenses: 80 },
        { product: 'windows-web-server-2008', licenses: 10 },
        { product: 'windows-server-2008-standard', licenses: 10 },
        { product: 'windows-server-2008-itanium', licenses: 10 },
      ],
    });
    await issuedKms(agreement);
    for (const group of ['client', 'server-a', 'server-b', 'server-c'] as const) await issued(agreement, group);
    await issued(numbered('E-10011'));
    const expected = drawn
      .slice(0, 5)
      .map((key) => store.vault.keyIdOf(key))
      .toSorted();
    for (const limit of [1, 2, 4, 5, 6]) {
      const listed = await readAllPages((ask) => listKeys(store, 'E-1001', ask), limit);
      expect(listed.map(({ value: state }) => state.keyId)).toEqual(expected);
    }
  });

  it.each(['', ' ', 'AGREEMENT', 'ENTRY#0000000001', 'KEY#', 'KEY#~', 'KEY#~~', 'zzz', '\u{10ffff}'])(
    'are a part of the list, or none, after a position that we never gave: %j',
    async (after) => {
      const { keyId } = await issued();
      const { items } = await listKeys(store, 'E-1001', { limit: 10, after });
      expect([[], [keyId]]).toContainEqual(items.map(({ value: state }) => state.keyId));
      const found = await listKeysByLastFive(store, drawn[0]?.lastFive ?? '', 'E-1001', { limit: 10, after });
      expect([[], [keyId]]).toContainEqual(found.items.map(({ value: state }) => state.keyId));
    },
  );
});

describe('keys by their last five', () => {
  // Keys of many agreements that all end alike.
  const alike = (number: number) => productKey(24 ** 5 * (number + 1));
  beforeEach(async () => {
    for (const number of [3, 1, 2]) {
      expectAccepted(await issue(numbered(`E-${number}`), 'client', `issue ${number}`, () => alike(number)));
    }
    expectAccepted(await issue(numbered('E-1'), 'server-b', 'issue 4', () => alike(4)));
    await issued(numbered('E-4'));
  });
  const found = async (agreementId: string | undefined, limit?: number) =>
    (await readAllPages((ask) => listKeysByLastFive(store, alike(0).lastFive, agreementId, ask), limit)).map(
      ({ value: state }) => state.keyId,
    );
  const ids = (...numbers: number[]) => numbers.map((number) => store.vault.keyIdOf(alike(number))).toSorted();

  it('are found in any agreement or in one, in pages of any size, each once', async () => {
    for (const limit of [1, 2, 3, 4, 100]) {
      expect((await found(undefined, limit)).toSorted()).toEqual(ids(1, 2, 3, 4));
      expect((await found('E-1', limit)).toSorted()).toEqual(ids(1, 4));
    }
    expect(await found('E-2')).toEqual(ids(2));
    expect(await found('E-4')).toEqual([]);
    expect(await found('E-')).toEqual([]);
  });
});

function override(facts: { callReference: string; installationId?: number }) {
  return {
    installationId: installationId(facts.installationId ?? 1),
    callReference: facts.callReference,
    callerName: 'Inés Oliveira',
  };
}

function increase(facts: { newLimit: number; callReference?: string }) {
  return { callReference: 'CALL-1', callerName: 'Inés Oliveira', ...facts };
}

describe('an override', () => {
  let kms: KmsKey;
  beforeEach(async () => {
    kms = await issuedKms();
  });
  const give = async (callReference: string, now = fridayNine, host = 1, operation = `call ${callReference}`) =>
    (await grantOverride(
      store,
      kms.keyId,
      override({ callReference, installationId: host }),
      context({ actor: agent, operationId: operation, now }),
    )) ?? notThere();
  const overrides = async () => {
    const key = await findKey(store, kms.keyId);
    return key?.type === 'KMS' ? key.overrides : [];
  };

  it('OVR-1 KEY-8 is a grant of its own, in the history under the call', async () => {
    const { value: answer } = expectAccepted(await give('CALL-1'));
    const grant: Grant = {
      kind: 'override',
      amount: 1,
      at: fridayNine,
      by: agent,
      reference: 'CALL-1',
      approvedBy: null,
    };
    expect(answer).toEqual({ grant, repeated: false });
    expect((await findKey(store, kms.keyId))?.grants).toEqual([...kms.grants, grant]);
    expect((await entries(kms.keyId)).slice(1)).toMatchObject([
      { at: fridayNine, actor: agent, action: 'override-granted', reference: 'CALL-1' },
    ]);
  });

  it('OVR-2 OVR-4 is given once when two agents give it on one day at once: the other is told when next', async () => {
    const outcomes = await Promise.all([give('CALL-1', mondayBeforeMidnight), give('CALL-2', mondayBeforeMidnight, 2)]);
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    const [refusal] = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.refusal]));
    expect(refusal).toMatchObject({ code: 'override-used-today', availableAt: tuesdayMidnight });
    expect(await overrides()).toHaveLength(1);
  });

  it('OVR-3 OVR-4 that is the last one is given once when two agents give it at once', async () => {
    for (const [index, day] of [mondayTen, tuesdayTen, wednesdayNoon, thursdayFive].entries()) {
      expectAccepted(await give(`CALL-${index}`, day));
    }
    const outcomes = await Promise.all([give('CALL-5'), give('CALL-6')]);
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    const [refusal] = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.refusal]));
    expect(refusal).toMatchObject({
      code: 'overrides-exhausted',
      draft: { kind: 'KMSADD', agreementNumber: 'E-1001', organizationName: 'Alder School District' },
    });
    expect(expectRefusal(await give('CALL-7', nextMondayNine))).toMatchObject({ code: 'overrides-exhausted' });
    expect(await overrides()).toHaveLength(5);
    expect(await actions(kms.keyId)).toEqual(['key-issued', ...Array.from({ length: 5 }, () => 'override-granted')]);
  });

  it('OVR-4 is given once when one call is sent several times at once, and all are answered with it', async () => {
    const given = Array.from({ length: 5 }, (_, time) => give('CALL-1', fridayNine, 1, `call ${time}`));
    const outcomes = (await Promise.all(given)).map((outcome) => expectAccepted(outcome).value);
    for (const { grant } of outcomes) expect(grant).toEqual(outcomes[0]?.grant);
    expect(outcomes.filter(({ repeated }) => !repeated)).toHaveLength(1);
    expect(await overrides()).toHaveLength(1);
    expect(expectAccepted(await give('CALL-1', nextMondayNine, 1, 'call on Monday')).value.repeated).toBe(true);
    expect(await overrides()).toHaveLength(1);
  });

  it('OVR-4 that is asked for again in the same operation is answered as at first, and given once', async () => {
    const { value: answer } = expectAccepted(await give('CALL-1'));
    expect(expectAccepted(await give('CALL-1', nextMondayNine)).value).toEqual(answer);
    expect(await overrides()).toHaveLength(1);
  });

  it('is not given to a key that is not there, nor to a MAK', async () => {
    const mak = await issued();
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
    expect(expectRefusal(onMak ?? notThere())).toMatchObject({ code: 'wrong-key-type' });
  });
});

describe('an increase by phone', () => {
  const give = async (keyId: string, newLimit: number, callReference: string, in_ = store) =>
    (await grantIncrease(
      in_,
      keyId,
      increase({ newLimit, callReference }),
      context({ actor: agent, operationId: `call ${callReference}`, now: mondayTen, policy: in_.policy }),
    )) ?? notThere();

  it('MAK-4 KEY-8 raises the limit and what is enforced together, with a grant and an entry', async () => {
    const { keyId, grants } = await issued();
    const { value: answer } = expectAccepted(await give(keyId, 130, 'CALL-1'));
    const grant: Grant = {
      kind: 'call-center',
      amount: 30,
      at: mondayTen,
      by: agent,
      reference: 'CALL-1',
      approvedBy: null,
    };
    expect(answer).toEqual({ grant, repeated: false });
    expect((await findKey(store, keyId))?.grants).toEqual([...grants, grant]);
    expect(await expectMakTotals(store, keyId)).toMatchObject({ granted: 130, enforced: 130, inReserve: 30 });
    expect((await entries(keyId)).slice(1)).toMatchObject([
      { at: mondayTen, actor: agent, action: 'limit-raised', reference: 'CALL-1' },
    ]);
  });

  it('OVR-4 that is asked for again in the same operation is answered as at first, and raises nothing more', async () => {
    const { keyId } = await issued();
    const { value: answer } = expectAccepted(await give(keyId, 130, 'CALL-1'));
    expect(expectAccepted(await give(keyId, 130, 'CALL-1')).value).toEqual(answer);
    expect(await expectMakTotals(store, keyId)).toMatchObject({ granted: 130 });
  });

  it('MAK-4 is refused above double, and nothing is raised', async () => {
    const { keyId } = await issued();
    expectAccepted(await give(keyId, 200, 'CALL-1'));
    expect(expectRefusal(await give(keyId, 201, 'CALL-2'))).toMatchObject({
      code: 'above-call-center-limit',
      maximumLimit: 200,
    });
    expect(await expectMakTotals(store, keyId)).toMatchObject({ granted: 200 });
  });

  it('OVR-4 MAK-4 KEY-8 add up whatever calls come at once, in whatever order the database hears of them', async () => {
    const calls = fc.array(fc.record({ newLimit: fc.integer({ min: 99, max: 202 }), apiRequest: fc.nat(3) }), {
      minLength: 2,
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), calls, async (scheduler, asked) => {
        store = await engine.newStore();
        drawn = [];
        const { keyId } = await issued();
        const at = withScheduler(store, scheduler);
        const outcomes = await scheduler.waitFor(
          Promise.all(asked.map(({ newLimit, apiRequest: call }) => give(keyId, newLimit, `CALL-${call}`, at))),
        );
        const account = await expectMakTotals(store, keyId);
        const grants = (await findKey(store, keyId))?.grants ?? [];
        expect(account.granted).toBeLessThanOrEqual(200);
        // One grant for each call that was granted anything, and everybody who asked under it was told of the same.
        const answered = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.value.grant] : []));
        expect(new Set(answered.map(({ reference }) => reference)).size).toBe(grants.length - 1);
        for (const grant of answered) expect(grants).toContainEqual(grant);
        expect(await actions(keyId)).toHaveLength(grants.length);
      }),
      { numRuns: 8 },
    );
  });
});

describe('a KMS key', () => {
  let keyId: string;
  let operations = 0;
  beforeEach(async () => {
    ({ keyId } = await issuedKms());
  });
  const nextOperation = () => `activation ${++operations}`;
  const activate = async (host: number, operation = nextOperation(), now = mondayTen) =>
    (await activateKmsHost(
      store,
      keyId,
      { installationId: installationId(host), product: 'windows-server-2008-standard', machineName: `host-${host}` },
      context({ operationId: operation, now }),
    )) ?? notThere();
  const hosts = async () => {
    const key = await findKey(store, keyId);
    return key?.type === 'KMS' ? key.hosts : [];
  };
  /** Ten activations of each of six hosts, all six at once each time. */
  const useUp = async () => {
    for (let use = 1; use <= 10; use += 1) {
      for (const outcome of await Promise.all([1, 2, 3, 4, 5, 6].map((host) => activate(host))))
        expectAccepted(outcome);
    }
  };

  it('KMS-1 KMS-3 activates six hosts ten times each, at once, and neither an eleventh time nor a seventh host', async () => {
    await useUp();
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
    const kept = await readKey(store, keyId);
    expect(kept && (await countUsed(store, kept))).toBe(6);
    // An activation is no entry of the history.
    expect(await actions(keyId)).toEqual(['key-issued']);
  });

  it('KMS-1 gives the sixth place once when two hosts want it at once', async () => {
    for (const host of [1, 2, 3, 4, 5]) expectAccepted(await activate(host));
    const outcomes = await Promise.all([activate(6), activate(7)]);
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await hosts()).toHaveLength(6);
  });

  it('OVR-1 spends an override by its host alone, once, however many ask at once', async () => {
    for (const host of [1, 2, 3, 4, 5, 6]) expectAccepted(await activate(host));
    await grantOverride(
      store,
      keyId,
      override({ callReference: 'CALL-1', installationId: 7 }),
      context({ actor: agent, operationId: 'call', now: mondayTen }),
    );
    const outcomes = await Promise.all([8, 7, 7, 8].map((host) => activate(host)));
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await hosts()).toMatchObject([
      ...Array.from({ length: 6 }, () => ({ slot: 'standard', overridesSpent: 0 })),
      { installationId: installationId(7), slot: 'override', uses: 1, overridesSpent: 1 },
    ]);
    const kept = await readKey(store, keyId);
    expect(kept && (await countUsed(store, kept))).toBe(6);
  });

  it('KMS-1 counts an activation once when the same operation comes again or several times at once', async () => {
    expectAccepted(await activate(1));
    await Promise.all([activate(1, 'once'), activate(1, 'once'), activate(1, 'once')]);
    const { value: answer } = expectAccepted(await activate(1, 'once'));
    expect(answer.host).toMatchObject({ uses: 2 });
    expect(await hosts()).toMatchObject([{ uses: 2 }]);
  });

  it('KMS-2 keeps what a host reports, and knows which hosts it does not know', async () => {
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

  it('cannot be mistaken for a MAK', async () => {
    const mak = await issued();
    const ask = {
      installationId: installationId(1),
      product: 'windows-vista-business',
      machineName: null,
    } as const;
    await expect(activateKmsHost(store, mak.keyId, ask, context({ operationId: 'a', now: mondayTen }))).rejects.toThrow(
      'is no KMS key',
    );
  });
});
