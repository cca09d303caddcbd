import { PutCommand, TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Instant } from '../../domain/calendar/instant.ts';
import { addDuration } from '../../domain/calendar/instant.ts';
import { recordDecision, requestApproval } from '../../domain/exceptions/approval.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Key } from '../../domain/keys/key.ts';
import { registerAgreement } from '../../store/agreements.ts';
import { listDueItems, nextDueAt } from '../../store/dynamodb/due-items.ts';
import { get } from '../../store/dynamodb/table.ts';
import { createException, findException, fulfillException, transitionException } from '../../store/exceptions.ts';
import { finishReplacement, holdForReplacement, removeFromReplacedKeys } from '../../store/key-replacement.ts';
import type { KeyRecord } from '../../store/keys.ts';
import {
  activateKmsHost,
  grantIncrease,
  grantOverride,
  issueMak,
  listKeys,
  liveMakPointer,
  readKey,
} from '../../store/keys.ts';
import { listLedgerEntries, verifyLedger } from '../../store/ledger.ts';
import { activateOnMak } from '../../store/mak-activations.ts';
import { countUsedOnMak, removeActivation } from '../../store/mak-usage.ts';
import type { Store } from '../../store/store.ts';
import {
  agent,
  aKmsRequestForm,
  anAgreement,
  aRequestForm,
  context,
  expectAccepted,
  ines,
  installationId,
  jorge,
  noor,
  productKey,
} from '../builders.ts';
import { mondayNine, mondayNoon, mondayTen, tuesdayTen } from '../instants.ts';
import { scanAllItems, startTestDynamoDb, withInterceptor, withInterruption, withScheduler } from './dynamodb.ts';
import { expectMakTotals } from './mak-totals.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
});

const agreement = anAgreement();
const kmsKey = productKey(1);
const makKey = productKey(2);
const replacementRequest = { reason: 'It leaked.', reference: 'CALL-1' };
let drawCount = 1_000;
const draw = () => productKey(++drawCount);

type KeyType = 'MAK' | 'KMS';
const oldKeyId = (type: KeyType) => store.vault.keyIdOf(type === 'MAK' ? makKey : kmsKey);

/** Creates a KMS key and a MAK, both live. */
async function createKeys(): Promise<void> {
  expectAccepted(
    await registerAgreement(
      store,
      agreement,
      () => kmsKey,
      context({ actor: 'admin', operationId: 'register', now: mondayNine, policy: store.policy }),
    ),
  );
  expectAccepted(
    await issueMak(
      store,
      agreement,
      { productGroup: 'client', drawKey: () => makKey },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine, policy: store.policy }),
    ),
  );
}

async function currentKey(keyId: string): Promise<KeyRecord> {
  const keyRecord = await readKey(store, keyId);
  if (keyRecord === undefined) throw new Error(`There is no key ${keyId}.`);
  return keyRecord;
}

const hold = (type: KeyType, { target = store, operationId = 'replace', now = mondayTen } = {}) =>
  holdForReplacement(
    target,
    oldKeyId(type),
    { ...replacementRequest, drawKey: draw },
    context({ actor: ines.email, operationId, now, policy: target.policy }),
  );
const finish = (type: KeyType, { target = store, now = mondayTen }: { target?: Store; now?: Instant } = {}) =>
  finishReplacement(target, oldKeyId(type), now);

/** Starts and finishes a replacement, like one API call. */
async function replace(type: KeyType, target = store): Promise<string> {
  expectAccepted((await hold(type, { target })) ?? throwMissing());
  return (await finish(type, { target })) ?? throwMissing();
}

function throwMissing(): never {
  throw new Error('there is no such key');
}

/** Creates a request for the key, approved unless stated otherwise, and not fulfilled. */
async function createRequest(type: KeyType, { isApproved = true } = {}): Promise<string> {
  const id = `X-${type}`;
  const sender = { maySpeakFor: () => true };
  const form =
    type === 'MAK' ? aRequestForm({ keyLastFive: makKey.lastFive }) : aKmsRequestForm({ keyLastFive: kmsKey.lastFive });
  expectAccepted(
    await createException(
      store,
      { exceptionId: id, form },
      sender,
      context({ operationId: 'create', now: mondayNine, policy: store.policy }),
    ),
  );
  if (!isApproved) return id;
  await transitionException(
    store,
    id,
    (request) => requestApproval(request, context({ now: mondayNine, policy: store.policy })),
    { operationId: 'ask', now: mondayNine },
  );
  const decision = { decision: 'approve', comment: null } as const;
  await transitionException(
    store,
    id,
    (request) =>
      recordDecision(
        request,
        request.rounds,
        decision,
        context({ actor: noor.email, now: mondayNine, policy: store.policy }),
      ),
    { operationId: 'decide', now: mondayNine },
  );
  return id;
}

async function activateMachine(machine: number, target = store): Promise<string> {
  const keyId = oldKeyId('MAK');
  const { bucketCount } = (await currentKey(keyId)).internal;
  const activation = {
    installationId: installationId(machine),
    product: 'windows-vista-business',
    machineName: null,
    activatedAt: mondayTen,
  } as const;
  const digest = store.vault.digestOf(keyId, activation.installationId);
  return (await activateOnMak(target, { keyId, bucketCount }, digest, activation)).kind;
}

async function activateHost(host: number, target = store): Promise<string> {
  const request = {
    installationId: installationId(host),
    product: 'windows-server-2008-standard',
    machineName: null,
  } as const;
  const result = await activateKmsHost(
    target,
    oldKeyId('KMS'),
    request,
    context({ operationId: `host ${host}`, now: mondayTen, policy: target.policy }),
  );
  return result === undefined || result.ok ? 'activated' : result.refusal.code;
}

async function raise(target = store, newLimit = 150): Promise<string> {
  const request = { newLimit, callReference: `CALL to ${newLimit}`, callerName: ines.name };
  const result = await grantIncrease(
    target,
    oldKeyId('MAK'),
    request,
    context({ actor: agent, operationId: `raise to ${newLimit}`, now: mondayTen, policy: target.policy }),
  );
  return result === undefined || result.ok ? 'granted' : result.refusal.code;
}

async function overrideFor(host: number, target = store): Promise<string> {
  const request = {
    installationId: installationId(host),
    callReference: `CALL for ${host}`,
    callerName: ines.name,
  };
  const result = await grantOverride(
    target,
    oldKeyId('KMS'),
    request,
    context({ actor: agent, operationId: `override for ${host}`, now: mondayTen, policy: target.policy }),
  );
  return result === undefined || result.ok ? 'granted' : result.refusal.code;
}

/** Reads the state of a replacement from the table. */
async function readState(type: KeyType) {
  const items = await scanAllItems(store);
  const keys = items
    .filter(({ SK, value }) => SK === 'KEY' && (value as Key | undefined)?.type === type)
    .map(({ value }) => value as Key);
  const pointer = await get(store, liveMakPointer(agreement.agreementId, 'client'));
  return {
    live: keys.filter(({ state }) => state.status === 'live'),
    blocking: keys.filter(({ state }) => state.status === 'blocking'),
    blocked: keys.filter(({ state }) => state.status === 'blocked'),
    liveMakId: pointer?.keyId,
    notifications: items.flatMap(({ SK, notification }) =>
      SK === 'NOTIFICATION' ? [notification as { readonly to: { email: string } }] : [],
    ),
    buckets: items.filter(({ PK, SK }) => SK === 'BUCKET' && PK.startsWith(`KEY#${oldKeyId(type)}#`)),
  };
}

/** Expects the state after one replacement, no matter what else ran at the same time. Returns the successor. */
async function expectReplacedOnce(type: KeyType): Promise<Key> {
  const { live, blocking, blocked, liveMakId, notifications, buckets } = await readState(type);
  expect(blocking).toEqual([]);
  expect(live).toHaveLength(1);
  expect(blocked.map(({ keyId }) => keyId)).toEqual([oldKeyId(type)]);
  const [successor] = live;
  const [old] = blocked;
  if (successor === undefined || old?.state.status !== 'blocked') throw new Error('there is no successor');
  expect(successor.replaces).toBe(old.keyId);
  expect(old.state.replacedBy).toEqual({ keyId: successor.keyId, lastFive: successor.lastFive });
  expect(successor.productGroup).toBe(old.productGroup);
  const listed = (await listKeys(store, agreement.agreementId, { limit: 100, after: null })).items;
  expect(listed.map(({ value }) => value.keyId)).toContain(successor.keyId);
  if (type === 'MAK') {
    expect(liveMakId).toBe(successor.keyId);
    expect(buckets.map(({ status }) => status)).toEqual(buckets.map(() => 'blocked'));
    expect(await expectMakTotals(store, old.keyId)).toMatchObject({ granted: limitOf(old.grants) });
    expect(await expectMakTotals(store, successor.keyId)).toMatchObject({ granted: 100, used: 0, available: 100 });
  } else {
    expect(limitOf(successor.grants)).toBe(6);
  }
  expect(notifications.map(({ to }) => to.email).toSorted()).toEqual([ines.email, jorge.email]);
  for (const keyId of [old.keyId, successor.keyId])
    expect(await verifyLedger(store, `KEY#${keyId}`)).toMatchObject({ kind: 'intact' });
  const entries = (await listLedgerEntries(store, `KEY#${old.keyId}`, { limit: 100, after: null })).items;
  expect(entries.filter(({ action }) => action === 'replacement-begun')).toHaveLength(1);
  expect(entries.filter(({ action }) => action === 'key-blocked')).toMatchObject([{ reference: successor.keyId }]);
  // The successor has its own sealed product key, and the old item no longer contains it.
  const successorRecord = await currentKey(successor.keyId);
  expect(store.vault.keyIdOf(store.vault.openProductKey(successorRecord.internal.sealedKey, successor.keyId))).toBe(
    successor.keyId,
  );
  expect(Object.keys((await currentKey(old.keyId)).internal)).not.toContain('sealedSuccessorKey');
  return successor;
}

describe.each(['MAK', 'KMS'] as const)('the replacement of a %s', (type) => {
  beforeEach(createKeys);

  it('BLK-1 BLK-2 blocks the key and issues a successor of the same type and group in one transaction', async () => {
    const successor = await replace(type);
    expect((await expectReplacedOnce(type)).keyId).toBe(successor);
    const { state } = (await currentKey(oldKeyId(type))).value;
    expect(state).toMatchObject({ status: 'blocked', at: mondayTen, validationAt: mondayTen });
    expect((await listDueItems(store, 'KEY', tuesdayTen, { limit: 10, after: null })).items).toEqual([]);
  });

  it('BLK-2 starts once for a repeated operation, with one successor, and is refused for another operation', async () => {
    const first = expectAccepted((await hold(type)) ?? throwMissing()).value;
    expect(expectAccepted((await hold(type)) ?? throwMissing()).value).toEqual(first);
    expect(await hold(type, { operationId: 'another' })).toMatchObject({ ok: false, refusal: { code: 'key-blocked' } });
    const successor = await finish(type);
    expect(first.state).toMatchObject({ status: 'blocking', successor: { keyId: successor } });
    // A repeated operation changes nothing after the replacement either.
    expect(expectAccepted((await hold(type)) ?? throwMissing()).value.state.status).toBe('blocked');
    expect(await finish(type)).toBe(successor);
    await expectReplacedOnce(type);
  });

  it('BLK-2 cannot be finished before it started, and cannot start for an unknown key', async () => {
    expect(await finish(type)).toBeUndefined();
    expect((await currentKey(oldKeyId(type))).value.state.status).toBe('live');
    expect(
      await holdForReplacement(
        store,
        'nobody',
        { ...replacementRequest, drawKey: draw },
        context({ actor: ines.email, operationId: 'replace', now: mondayTen, policy: store.policy }),
      ),
    ).toBeUndefined();
    expect(await finishReplacement(store, 'nobody', mondayTen)).toBeUndefined();
  });

  it('BLK-2 is finished once by three simultaneous callers, in every order of database operations', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        store = await dynamoDb.newStore();
        await createKeys();
        await hold(type);
        const target = withScheduler(store, scheduler);
        const [one, ...others] = await scheduler.waitFor(
          Promise.all([finish(type, { target }), finish(type, { target }), finish(type, { target })]),
        );
        expect(others).toEqual([one, one]);
        expect((await expectReplacedOnce(type)).keyId).toBe(one);
      }),
      { numRuns: 8 },
    );
  });

  it('BLK-2 is started by one of two simultaneous callers', async () => {
    const results = await Promise.all(['one', 'other'].map((operationId) => hold(type, { operationId })));
    expect(results.map((result) => result?.ok).toSorted()).toEqual([false, true]);
    await finish(type);
    await expectReplacedOnce(type);
  });

  it('BLK-2 is completed by the next caller after a crash at any write', async () => {
    for (let writes = 0; ; writes += 1) {
      store = await dynamoDb.newStore();
      await createKeys();
      await createRequest(type, { isApproved: false });
      await hold(type);
      let writeCount = 0;
      const crashingStore = withInterceptor(store, (command, send) => {
        const isWrite = [PutCommand, UpdateCommand, TransactWriteCommand].some((each) => command instanceof each);
        if (isWrite && writeCount++ >= writes) throw new Error('crash');
        return send();
      });
      const isFinished = await finish(type, { target: crashingStore }).then(
        () => true,
        () => false,
      );
      if (!isFinished) {
        const { live, blocking } = await readState(type);
        // The key is on hold, the sweep finds it after a minute, and the successor is not live.
        expect(live).toEqual([]);
        expect(blocking.map(({ keyId }) => keyId)).toEqual([oldKeyId(type)]);
        expect(
          (await listDueItems(store, 'KEY', addDuration(mondayTen, { seconds: 59 }), { limit: 10, after: null })).items,
        ).toEqual([]);
        expect(
          (await listDueItems(store, 'KEY', addDuration(mondayTen, { seconds: 60 }), { limit: 10, after: null })).items,
        ).toEqual([oldKeyId(type)]);
        await finish(type, { now: mondayNoon });
      }
      await expectReplacedOnce(type);
      expect((await findException(store, `X-${type}`))?.state.status).toBe('rejected');
      if (isFinished) break;
      expect(writes).toBeLessThan(100);
    }
  });

  it('BLK-2 EXC-3 rejects the open request once, with a notification, and frees its pointer', async () => {
    const id = await createRequest(type, { isApproved: false });
    await replace(type);
    await finish(type);
    const request = await findException(store, id);
    expect(request?.state).toMatchObject({
      status: 'rejected',
      reason: expect.stringMatching(/was blocked while the request was open\. The key ending in \w{5} replaced it\.$/),
    });
    expect(request?.pendingNotifications.map(({ kind }) => kind)).toContain('rejected');
    const entries = (await listLedgerEntries(store, `EXCEPTION#${id}`, { limit: 100, after: null })).items;
    expect(entries.map(({ action }) => action)).toEqual(['received', 'rejected']);
    const openRequests = (await scanAllItems(store)).filter(({ SK }) => SK === 'OPEN-REQUEST');
    expect(openRequests).toEqual([]);
    expect(await nextDueAt(store)).not.toBeNull();
  });

  it('EXC-5 refuses a new request from its start on', async () => {
    await hold(type);
    await expect(createRequest(type, { isApproved: false })).rejects.toThrow('key-blocked');
    await finish(type);
    await expect(createRequest(type, { isApproved: false })).rejects.toThrow('key-blocked');
  });

  it('BLK-2 KEY-8 EXC-9 lets a request raise the limit either before the block or not at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        store = await dynamoDb.newStore();
        await createKeys();
        const before = limitOf((await currentKey(oldKeyId(type))).value.grants);
        const id = await createRequest(type);
        const target = withScheduler(store, scheduler);
        await scheduler.waitFor(Promise.all([replace(type, target), fulfillException(target, id, mondayTen)]));
        await expectReplacedOnce(type);
        const request = await findException(store, id);
        const granted = limitOf((await currentKey(oldKeyId(type))).value.grants) - before;
        expect({ status: request?.state.status, granted }).toEqual(
          granted === 0 ? { status: 'rejected', granted } : { status: 'fulfilled', granted: request?.activations },
        );
      }),
      { numRuns: 12 },
    );
  });

  it('BLK-2 never shows two live keys, and always one that is live or on hold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        store = await dynamoDb.newStore();
        await createKeys();
        const target = withScheduler(store, scheduler);
        const observation = (async () => {
          for (let reads = 0; reads < 6; reads += 1) {
            await scheduler.schedule(Promise.resolve());
            const { live, blocking, blocked } = await readState(type);
            const counts = [live.length, blocking.length, blocked.length];
            expect([
              [1, 0, 0],
              [0, 1, 0],
              [1, 0, 1],
            ]).toContainEqual(counts);
          }
        })();
        await scheduler.waitFor(Promise.all([replace(type, target), observation]));
        await expectReplacedOnce(type);
      }),
      { numRuns: 8 },
    );
  });
});

describe('requests during the replacement of a MAK', () => {
  beforeEach(createKeys);

  it('BLK-2 MAK-1 KEY-8 activate or raise the limit before the block or not at all, and the sums are correct', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 5 }), async (scheduler, machines) => {
        store = await dynamoDb.newStore();
        await createKeys();
        const target = withScheduler(store, scheduler);
        const activations = Promise.all(
          Array.from({ length: machines }, (_, machine) => activateMachine(machine, target)),
        );
        const [, kinds, raiseResult] = await scheduler.waitFor(
          Promise.all([replace('MAK', target), activations, raise(target)]),
        );
        await expectReplacedOnce('MAK');
        const { bucketCount } = (await currentKey(oldKeyId('MAK'))).internal;
        const used = await countUsedOnMak(store, { keyId: oldKeyId('MAK'), bucketCount });
        expect(used).toBe(kinds.filter((kind) => kind === 'activated').length);
        expect(kinds.filter((kind) => kind !== 'activated' && kind !== 'blocked')).toEqual([]);
        const limit = limitOf((await currentKey(oldKeyId('MAK'))).value.grants);
        expect([raiseResult, limit]).toEqual(raiseResult === 'granted' ? ['granted', 150] : ['key-blocked', 100]);
        // After the block, every request is refused.
        expect([await activateMachine(0), await activateMachine(99), await raise(store, 160)]).toEqual([
          'blocked',
          'blocked',
          'key-blocked',
        ]);
        expect(limitOf((await currentKey(oldKeyId('MAK'))).value.grants)).toBe(limit);
        expect(await countUsedOnMak(store, { keyId: oldKeyId('MAK'), bucketCount })).toBe(used);
      }),
      { numRuns: 15 },
    );
  });

  it('KEY-2 are refused for a second MAK of the group, and the refusal names the current key', async () => {
    const issueAgain = async () =>
      issueMak(
        store,
        agreement,
        { productGroup: 'client', drawKey: draw },
        context({ actor: ines.email, operationId: 'issue again', now: mondayTen, policy: store.policy }),
      );
    await hold('MAK');
    expect(await issueAgain()).toMatchObject({ refusal: { code: 'mak-already-issued', keyId: oldKeyId('MAK') } });
    const successor = await finish('MAK');
    expect(await issueAgain()).toMatchObject({ refusal: { code: 'mak-already-issued', keyId: successor } });
  });

  it('BLK-2 do not leave a bucket live that is split meanwhile', async () => {
    // The limit is raised so far that activations split the buckets while they are blocked.
    const { callCenter } = store.policy;
    store = { ...store, policy: { ...store.policy, callCenter: { ...callCenter, increaseUpToTimesOriginal: 1_000 } } };
    const request = { newLimit: 900, callReference: 'CALL-9', callerName: ines.name };
    expectAccepted(
      (await grantIncrease(
        store,
        oldKeyId('MAK'),
        request,
        context({ actor: agent, operationId: 'raise far', now: mondayTen, policy: store.policy }),
      )) ?? throwMissing(),
    );
    const activations = Promise.all(Array.from({ length: 60 }, (_, machine) => activateMachine(machine)));
    const [, kinds] = await Promise.all([replace('MAK'), activations]);
    await expectReplacedOnce('MAK');
    const { bucketCount } = (await currentKey(oldKeyId('MAK'))).internal;
    expect(await countUsedOnMak(store, { keyId: oldKeyId('MAK'), bucketCount })).toBe(
      kinds.filter((kind) => kind === 'activated').length,
    );
  });
});

describe('requests during the replacement of a KMS key', () => {
  beforeEach(createKeys);

  it('BLK-2 KMS-1 OVR-1 activate or grant an override before the block or not at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 3 }), async (scheduler, count) => {
        store = await dynamoDb.newStore();
        await createKeys();
        const target = withScheduler(store, scheduler);
        const activations = Promise.all(Array.from({ length: count }, (_, host) => activateHost(host, target)));
        const [, results, overrideResult] = await scheduler.waitFor(
          Promise.all([replace('KMS', target), activations, overrideFor(50, target)]),
        );
        await expectReplacedOnce('KMS');
        const old = (await currentKey(oldKeyId('KMS'))).value;
        if (old.type !== 'KMS') throw new Error('the key changed its type');
        expect(old.hosts).toHaveLength(results.filter((result) => result === 'activated').length);
        expect(results.filter((result) => result !== 'activated' && result !== 'key-blocked')).toEqual([]);
        expect([overrideResult, old.overrides.length]).toEqual(
          overrideResult === 'granted' ? ['granted', 1] : ['key-blocked', 0],
        );
        expect([await activateHost(60), await overrideFor(61)]).toEqual(['key-blocked', 'key-blocked']);
        expect((await currentKey(oldKeyId('KMS'))).value).toEqual(old);
      }),
      { numRuns: 15 },
    );
  });
});

describe('machines that activate with a successor', () => {
  beforeEach(createKeys);

  it('BLK-3 are removed once from the replaced MAK and from its predecessor', async () => {
    for (const machine of [1, 2, 3]) await activateMachine(machine);
    const first = oldKeyId('MAK');
    const second = await replace('MAK');
    await holdForReplacement(
      store,
      second,
      { ...replacementRequest, drawKey: draw },
      context({ actor: ines.email, operationId: 'replace the second', now: mondayNoon, policy: store.policy }),
    );
    const third = await finishReplacement(store, second, mondayNoon);
    const successor = (await currentKey(third ?? '')).value;
    const movedIds = [1, 9].map(installationId);
    await removeFromReplacedKeys(store, successor, movedIds, mondayNoon);
    await removeFromReplacedKeys(store, successor, movedIds, mondayNoon);
    const { bucketCount } = (await currentKey(first)).internal;
    expect(await countUsedOnMak(store, { keyId: first, bucketCount })).toBe(2);
    expect(await expectMakTotals(store, first)).toMatchObject({ granted: 100, used: 2 });
    // A key without a predecessor, and an empty list, change nothing.
    await removeFromReplacedKeys(store, (await currentKey(first)).value, movedIds, mondayNoon);
    await removeFromReplacedKeys(store, successor, [], mondayNoon);
    expect(await countUsedOnMak(store, { keyId: first, bucketCount })).toBe(2);
  });

  it('BLK-3 are not removed from a live MAK', async () => {
    await activateMachine(1);
    const { bucketCount } = (await currentKey(oldKeyId('MAK'))).internal;
    const layout = { keyId: oldKeyId('MAK'), bucketCount };
    await removeActivation(store, layout, store.vault.digestOf(layout.keyId, installationId(1)), installationId(1));
    expect(await countUsedOnMak(store, layout)).toBe(1);
  });

  it('BLK-3 are removed once by two simultaneous callers', async () => {
    for (const machine of [1, 2]) await activateMachine(machine);
    await replace('MAK');
    const { bucketCount } = (await currentKey(oldKeyId('MAK'))).internal;
    const layout = { keyId: oldKeyId('MAK'), bucketCount };
    const remove = (target: Store) =>
      removeActivation(target, layout, store.vault.digestOf(layout.keyId, installationId(1)), installationId(1));
    await remove(withInterruption(store, UpdateCommand, () => remove(store)));
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ granted: 100, used: 1 });
  });

  it('BLK-3 are removed as hosts from a KMS key, without other hosts', async () => {
    for (const host of [1, 2]) await activateHost(host);
    const successor = (await currentKey(await replace('KMS'))).value;
    const { version } = await currentKey(oldKeyId('KMS'));
    await removeFromReplacedKeys(store, successor, [installationId(1)], mondayNoon);
    await removeFromReplacedKeys(store, successor, [installationId(1)], mondayNoon);
    const old = await currentKey(oldKeyId('KMS'));
    expect(old.value.type === 'KMS' && old.value.hosts.map((host) => host.installationId)).toEqual([installationId(2)]);
    expect(old.version).toBe(version + 1);
  });
});

describe('a busy database', () => {
  beforeEach(createKeys);

  const throttledStore = (throttled: typeof PutCommand | typeof UpdateCommand) =>
    withInterceptor(store, async (command, send) => {
      if (!(command instanceof throttled)) return send();
      throw Object.assign(new Error('Throughput exceeds the current capacity.'), { name: 'ThrottlingException' });
    });

  it('BLK-2 causes a ContentionError while buckets are blocked or created, and the replacement can be completed later', async () => {
    await hold('MAK');
    await expect(finish('MAK', { target: throttledStore(UpdateCommand) })).rejects.toMatchObject({
      name: 'ContentionError',
    });
    await expect(finish('MAK', { target: throttledStore(PutCommand) })).rejects.toMatchObject({
      name: 'ContentionError',
    });
    await finish('MAK');
    await expectReplacedOnce('MAK');
  });

  it('BLK-3 causes a ContentionError while an activation is removed', async () => {
    await activateMachine(1);
    const successor = (await currentKey(await replace('MAK'))).value;
    const removal = removeFromReplacedKeys(throttledStore(UpdateCommand), successor, [installationId(1)], mondayNoon);
    await expect(removal).rejects.toMatchObject({ name: 'ContentionError' });
  });
});
