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

const engine = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

const agreement = anAgreement();
const kmsKey = productKey(1);
const makKey = productKey(2);
const ask = { reason: 'It leaked.', reference: 'CALL-1' };
let drawn = 1_000;
const draw = () => productKey(++drawn);

type Sort = 'MAK' | 'KMS';
const oldId = (sort: Sort) => store.vault.keyIdOf(sort === 'MAK' ? makKey : kmsKey);

/** The district's two keys, both live. */
async function withKeys(): Promise<void> {
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

async function keyNow(keyId: string): Promise<KeyRecord> {
  const kept = await readKey(store, keyId);
  if (kept === undefined) throw new Error(`There is no key ${keyId}.`);
  return kept;
}

const hold = (sort: Sort, { in_ = store, operation = 'replace', now = mondayTen } = {}) =>
  holdForReplacement(
    in_,
    oldId(sort),
    { ...ask, drawKey: draw },
    context({ actor: ines.email, operationId: operation, now, policy: in_.policy }),
  );
const finish = (sort: Sort, { in_ = store, now = mondayTen }: { in_?: Store; now?: Instant } = {}) =>
  finishReplacement(in_, oldId(sort), now);

/** Does both halves of a replacement, as one call does. */
async function replace(sort: Sort, in_ = store): Promise<string> {
  expectAccepted((await hold(sort, { in_ })) ?? missing());
  return (await finish(sort, { in_ })) ?? missing();
}

function missing(): never {
  throw new Error('there is no such key');
}

/** A request for the key, approved by the Correspondent and not fulfilled yet. */
async function withRequest(sort: Sort, { approved = true } = {}): Promise<string> {
  const id = `X-${sort}`;
  const sender = { maySpeakFor: () => true };
  const form =
    sort === 'MAK' ? aRequestForm({ keyLastFive: makKey.lastFive }) : aKmsRequestForm({ keyLastFive: kmsKey.lastFive });
  expectAccepted(
    await createException(
      store,
      { exceptionId: id, form },
      sender,
      context({ operationId: 'receive', now: mondayNine, policy: store.policy }),
    ),
  );
  if (!approved) return id;
  await transitionException(
    store,
    id,
    (request) => requestApproval(request, context({ now: mondayNine, policy: store.policy })),
    { operationId: 'ask', now: mondayNine },
  );
  const choice = { decision: 'approve', comment: null } as const;
  await transitionException(
    store,
    id,
    (request) =>
      recordDecision(
        request,
        request.rounds,
        choice,
        context({ actor: noor.email, now: mondayNine, policy: store.policy }),
      ),
    { operationId: 'decide', now: mondayNine },
  );
  return id;
}

async function activateMachine(machine: number, in_ = store): Promise<string> {
  const keyId = oldId('MAK');
  const { bucketCount } = (await keyNow(keyId)).internal;
  const asked = {
    installationId: installationId(machine),
    product: 'windows-vista-business',
    machineName: null,
    activatedAt: mondayTen,
  } as const;
  const digest = store.vault.digestOf(keyId, asked.installationId);
  return (await activateOnMak(in_, { keyId, bucketCount }, digest, asked)).kind;
}

async function activateHost(host: number, in_ = store): Promise<string> {
  const asked = {
    installationId: installationId(host),
    product: 'windows-server-2008-standard',
    machineName: null,
  } as const;
  const outcome = await activateKmsHost(
    in_,
    oldId('KMS'),
    asked,
    context({ operationId: `host ${host}`, now: mondayTen, policy: in_.policy }),
  );
  return outcome === undefined || outcome.ok ? 'activated' : outcome.refusal.code;
}

async function raise(in_ = store, newLimit = 150): Promise<string> {
  const asked = { newLimit, callReference: `CALL to ${newLimit}`, callerName: ines.name };
  const outcome = await grantIncrease(
    in_,
    oldId('MAK'),
    asked,
    context({ actor: agent, operationId: `raise to ${newLimit}`, now: mondayTen, policy: in_.policy }),
  );
  return outcome === undefined || outcome.ok ? 'granted' : outcome.refusal.code;
}

async function overrideFor(host: number, in_ = store): Promise<string> {
  const asked = {
    installationId: installationId(host),
    callReference: `CALL for ${host}`,
    callerName: ines.name,
  };
  const outcome = await grantOverride(
    in_,
    oldId('KMS'),
    asked,
    context({ actor: agent, operationId: `override for ${host}`, now: mondayTen, policy: in_.policy }),
  );
  return outcome === undefined || outcome.ok ? 'granted' : outcome.refusal.code;
}

/** All that says how a replacement stands, in the table and nowhere else. */
async function standing(sort: Sort) {
  const items = await scanAllItems(store);
  const keys = items
    .filter(({ SK, value }) => SK === 'KEY' && (value as Key | undefined)?.type === sort)
    .map(({ value }) => value as Key);
  const slot = await get(store, liveMakPointer(agreement.agreementId, 'client'));
  return {
    live: keys.filter(({ state: status }) => status.status === 'live'),
    blocking: keys.filter(({ state: status }) => status.status === 'blocking'),
    blocked: keys.filter(({ state: status }) => status.status === 'blocked'),
    inSlot: slot?.keyId,
    notifications: items.flatMap(({ SK, notification }) =>
      SK === 'NOTIFICATION' ? [notification as { readonly to: { email: string } }] : [],
    ),
    buckets: items.filter(({ PK, SK }) => SK === 'BUCKET' && PK.startsWith(`KEY#${oldId(sort)}#`)),
  };
}

/** What must be so when a replacement is over, whatever else was under way. Answers the successor. */
async function isReplacedOnce(sort: Sort): Promise<Key> {
  const { live, blocking, blocked, inSlot, notifications, buckets } = await standing(sort);
  expect(blocking).toEqual([]);
  expect(live).toHaveLength(1);
  expect(blocked.map(({ keyId }) => keyId)).toEqual([oldId(sort)]);
  const [successor] = live;
  const [old] = blocked;
  if (successor === undefined || old?.state.status !== 'blocked') throw new Error('there is no successor');
  expect(successor.replaces).toBe(old.keyId);
  expect(old.state.replacedBy).toEqual({ keyId: successor.keyId, lastFive: successor.lastFive });
  expect(successor.productGroup).toBe(old.productGroup);
  const listed = (await listKeys(store, agreement.agreementId, { limit: 100, after: null })).items;
  expect(listed.map(({ value: state }) => state.keyId)).toContain(successor.keyId);
  if (sort === 'MAK') {
    expect(inSlot).toBe(successor.keyId);
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
  // The sealed key is the one of the successor, and the old item keeps no second one.
  const kept = await keyNow(successor.keyId);
  expect(store.vault.keyIdOf(store.vault.openProductKey(kept.internal.sealedKey, successor.keyId))).toBe(
    successor.keyId,
  );
  expect(Object.keys((await keyNow(old.keyId)).internal)).not.toContain('sealedSuccessorKey');
  return successor;
}

describe.each(['MAK', 'KMS'] as const)('a %s that is replaced', (sort) => {
  beforeEach(withKeys);

  it('BLK-1 BLK-2 is blocked, and its successor of the same kind and group is live, in one step', async () => {
    const successor = await replace(sort);
    expect((await isReplacedOnce(sort)).keyId).toBe(successor);
    const { state: status } = (await keyNow(oldId(sort))).value;
    expect(status).toMatchObject({ status: 'blocked', at: mondayTen, validationAt: mondayTen });
    expect((await listDueItems(store, 'KEY', tuesdayTen, { limit: 10, after: null })).items).toEqual([]);
  });

  it('BLK-2 is held once by the same operation, with one successor, and not by another', async () => {
    const first = expectAccepted((await hold(sort)) ?? missing()).value;
    expect(expectAccepted((await hold(sort)) ?? missing()).value).toEqual(first);
    expect(await hold(sort, { operation: 'another' })).toMatchObject({ ok: false, refusal: { code: 'key-blocked' } });
    const successor = await finish(sort);
    expect(first.state).toMatchObject({ status: 'blocking', successor: { keyId: successor } });
    // It is settled that it was done, also when it is over.
    expect(expectAccepted((await hold(sort)) ?? missing()).value.state.status).toBe('blocked');
    expect(await finish(sort)).toBe(successor);
    await isReplacedOnce(sort);
  });

  it('BLK-2 is not finished before it was begun, and nobody begins with a key that is not there', async () => {
    expect(await finish(sort)).toBeUndefined();
    expect((await keyNow(oldId(sort))).value.state.status).toBe('live');
    expect(
      await holdForReplacement(
        store,
        'nobody',
        { ...ask, drawKey: draw },
        context({ actor: ines.email, operationId: 'replace', now: mondayTen, policy: store.policy }),
      ),
    ).toBeUndefined();
    expect(await finishReplacement(store, 'nobody', mondayTen)).toBeUndefined();
  });

  it('BLK-2 is finished once by three that do so at once, in whatever order the database hears of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        store = await engine.newStore();
        await withKeys();
        await hold(sort);
        const at = withScheduler(store, scheduler);
        const [one, ...others] = await scheduler.waitFor(
          Promise.all([finish(sort, { in_: at }), finish(sort, { in_: at }), finish(sort, { in_: at })]),
        );
        expect(others).toEqual([one, one]);
        expect((await isReplacedOnce(sort)).keyId).toBe(one);
      }),
      { numRuns: 8 },
    );
  });

  it('BLK-2 is begun by one of two who want it at once', async () => {
    const outcomes = await Promise.all(['one', 'other'].map((operation) => hold(sort, { operation })));
    expect(outcomes.map((outcome) => outcome?.ok).toSorted()).toEqual([false, true]);
    await finish(sort);
    await isReplacedOnce(sort);
  });

  it('BLK-2 is completed by whoever comes next, wherever a crash cut it off', async () => {
    for (let writes = 0; ; writes += 1) {
      store = await engine.newStore();
      await withKeys();
      await withRequest(sort, { approved: false });
      await hold(sort);
      let done = 0;
      const dying = withInterceptor(store, (command, send) => {
        const isWrite = [PutCommand, UpdateCommand, TransactWriteCommand].some((each) => command instanceof each);
        if (isWrite && done++ >= writes) throw new Error('the power went');
        return send();
      });
      const survived = await finish(sort, { in_: dying }).then(
        () => true,
        () => false,
      );
      if (!survived) {
        const { live, blocking } = await standing(sort);
        // Held and not yet replaced: known to the sweep after a minute, and nothing of the new one is live.
        expect(live).toEqual([]);
        expect(blocking.map(({ keyId }) => keyId)).toEqual([oldId(sort)]);
        expect(
          (await listDueItems(store, 'KEY', addDuration(mondayTen, { seconds: 59 }), { limit: 10, after: null })).items,
        ).toEqual([]);
        expect(
          (await listDueItems(store, 'KEY', addDuration(mondayTen, { seconds: 60 }), { limit: 10, after: null })).items,
        ).toEqual([oldId(sort)]);
        await finish(sort, { now: mondayNoon });
      }
      await isReplacedOnce(sort);
      expect((await findException(store, `X-${sort}`))?.state.status).toBe('rejected');
      if (survived) break;
      expect(writes).toBeLessThan(100);
    }
  });

  it('BLK-2 EXC-3 ends the request that was open, once, tells of it, and takes no other', async () => {
    const id = await withRequest(sort, { approved: false });
    await replace(sort);
    await finish(sort);
    const request = await findException(store, id);
    expect(request?.state).toMatchObject({
      status: 'rejected',
      reason: expect.stringMatching(
        /was blocked while the request was open\. The key ending in \w{5} took its place\.$/,
      ),
    });
    expect(request?.pendingNotifications.map(({ kind }) => kind)).toContain('rejected');
    const entries = (await listLedgerEntries(store, `EXCEPTION#${id}`, { limit: 100, after: null })).items;
    expect(entries.map(({ action }) => action)).toEqual(['received', 'rejected']);
    const open = (await scanAllItems(store)).filter(({ SK }) => SK === 'OPEN-REQUEST');
    expect(open).toEqual([]);
    expect(await nextDueAt(store)).not.toBeNull();
  });

  it('EXC-5 takes no request between the beginning and the end of it', async () => {
    await hold(sort);
    await expect(withRequest(sort, { approved: false })).rejects.toThrow('key-blocked');
    await finish(sort);
    await expect(withRequest(sort, { approved: false })).rejects.toThrow('key-blocked');
  });

  it('BLK-2 KEY-8 EXC-9 is raised by a request either before the block or not at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        store = await engine.newStore();
        await withKeys();
        const before = limitOf((await keyNow(oldId(sort))).value.grants);
        const id = await withRequest(sort);
        const at = withScheduler(store, scheduler);
        await scheduler.waitFor(Promise.all([replace(sort, at), fulfillException(at, id, mondayTen)]));
        await isReplacedOnce(sort);
        const request = await findException(store, id);
        const granted = limitOf((await keyNow(oldId(sort))).value.grants) - before;
        expect({ stage: request?.state.status, granted }).toEqual(
          granted === 0 ? { stage: 'rejected', granted } : { stage: 'fulfilled', granted: request?.activations },
        );
      }),
      { numRuns: 12 },
    );
  });

  it('BLK-2 never shows two live keys, or none that is live or held, to who looks on', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        store = await engine.newStore();
        await withKeys();
        const at = withScheduler(store, scheduler);
        const looking = (async () => {
          for (let looks = 0; looks < 6; looks += 1) {
            await scheduler.schedule(Promise.resolve());
            const { live, blocking, blocked } = await standing(sort);
            const known = [live.length, blocking.length, blocked.length];
            expect([
              [1, 0, 0],
              [0, 1, 0],
              [1, 0, 1],
            ]).toContainEqual(known);
          }
        })();
        await scheduler.waitFor(Promise.all([replace(sort, at), looking]));
        await isReplacedOnce(sort);
      }),
      { numRuns: 8 },
    );
  });
});

describe('what comes in while a MAK is being replaced', () => {
  beforeEach(withKeys);

  it('BLK-2 MAK-1 KEY-8 is activated or granted before the block or not at all, and the sums hold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 5 }), async (scheduler, machines) => {
        store = await engine.newStore();
        await withKeys();
        const at = withScheduler(store, scheduler);
        const activating = Promise.all(Array.from({ length: machines }, (_, each) => activateMachine(each, at)));
        const [, outcomes, raised] = await scheduler.waitFor(Promise.all([replace('MAK', at), activating, raise(at)]));
        await isReplacedOnce('MAK');
        const { bucketCount } = (await keyNow(oldId('MAK'))).internal;
        const used = await countUsedOnMak(store, { keyId: oldId('MAK'), bucketCount });
        expect(used).toBe(outcomes.filter((is) => is === 'activated').length);
        expect(outcomes.filter((is) => is !== 'activated' && is !== 'blocked')).toEqual([]);
        const limit = limitOf((await keyNow(oldId('MAK'))).value.grants);
        expect([raised, limit]).toEqual(raised === 'granted' ? ['granted', 150] : ['key-blocked', 100]);
        // And from here on, nothing.
        expect([await activateMachine(0), await activateMachine(99), await raise(store, 160)]).toEqual([
          'blocked',
          'blocked',
          'key-blocked',
        ]);
        expect(limitOf((await keyNow(oldId('MAK'))).value.grants)).toBe(limit);
        expect(await countUsedOnMak(store, { keyId: oldId('MAK'), bucketCount })).toBe(used);
      }),
      { numRuns: 15 },
    );
  });

  it('KEY-2 finds the successor in its place: a second MAK of the group is refused and names it', async () => {
    const during = async () =>
      issueMak(
        store,
        agreement,
        { productGroup: 'client', drawKey: draw },
        context({ actor: ines.email, operationId: 'issue again', now: mondayTen, policy: store.policy }),
      );
    await hold('MAK');
    expect(await during()).toMatchObject({ refusal: { code: 'mak-already-issued', keyId: oldId('MAK') } });
    const successor = await finish('MAK');
    expect(await during()).toMatchObject({ refusal: { code: 'mak-already-issued', keyId: successor } });
  });

  it('BLK-2 is not blocked behind the back of a bucket that is laid out anew meanwhile', async () => {
    // Raised past twice what its buckets were laid out for: activations split them while they are blocked.
    const { callCenter } = store.policy;
    store = { ...store, policy: { ...store.policy, callCenter: { ...callCenter, increaseUpToTimesOriginal: 1_000 } } };
    const asked = { newLimit: 900, callReference: 'CALL-9', callerName: ines.name };
    expectAccepted(
      (await grantIncrease(
        store,
        oldId('MAK'),
        asked,
        context({ actor: agent, operationId: 'raise far', now: mondayTen, policy: store.policy }),
      )) ?? missing(),
    );
    const outcomes = Promise.all(Array.from({ length: 60 }, (_, machine) => activateMachine(machine)));
    const [, activated] = await Promise.all([replace('MAK'), outcomes]);
    await isReplacedOnce('MAK');
    const { bucketCount } = (await keyNow(oldId('MAK'))).internal;
    expect(await countUsedOnMak(store, { keyId: oldId('MAK'), bucketCount })).toBe(
      activated.filter((is) => is === 'activated').length,
    );
  });
});

describe('what comes in while a KMS key is being replaced', () => {
  beforeEach(withKeys);

  it('BLK-2 KMS-1 OVR-1 is activated or given before the block or not at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 3 }), async (scheduler, count) => {
        store = await engine.newStore();
        await withKeys();
        const at = withScheduler(store, scheduler);
        const activating = Promise.all(Array.from({ length: count }, (_, each) => activateHost(each, at)));
        const [, outcomes, given] = await scheduler.waitFor(
          Promise.all([replace('KMS', at), activating, overrideFor(50, at)]),
        );
        await isReplacedOnce('KMS');
        const old = (await keyNow(oldId('KMS'))).value;
        if (old.type !== 'KMS') throw new Error('the key changed its type');
        expect(old.hosts).toHaveLength(outcomes.filter((is) => is === 'activated').length);
        expect(outcomes.filter((is) => is !== 'activated' && is !== 'key-blocked')).toEqual([]);
        expect([given, old.overrides.length]).toEqual(given === 'granted' ? ['granted', 1] : ['key-blocked', 0]);
        expect([await activateHost(60), await overrideFor(61)]).toEqual(['key-blocked', 'key-blocked']);
        expect((await keyNow(oldId('KMS'))).value).toEqual(old);
      }),
      { numRuns: 15 },
    );
  });
});

describe('machines that move to a successor', () => {
  beforeEach(withKeys);

  it('BLK-3 drop off the MAK that it replaced, and off the one before, once', async () => {
    for (const machine of [1, 2, 3]) await activateMachine(machine);
    const first = oldId('MAK');
    const second = await replace('MAK');
    await holdForReplacement(
      store,
      second,
      { ...ask, drawKey: draw },
      context({ actor: ines.email, operationId: 'replace the second', now: mondayNoon, policy: store.policy }),
    );
    const third = await finishReplacement(store, second, mondayNoon);
    const successor = (await keyNow(third ?? '')).value;
    const moved = [1, 9].map(installationId);
    await removeFromReplacedKeys(store, successor, moved, mondayNoon);
    await removeFromReplacedKeys(store, successor, moved, mondayNoon);
    const { bucketCount } = (await keyNow(first)).internal;
    expect(await countUsedOnMak(store, { keyId: first, bucketCount })).toBe(2);
    expect(await expectMakTotals(store, first)).toMatchObject({ granted: 100, used: 2 });
    // Nobody moved from a key that has no predecessor, and nobody at all is nobody.
    await removeFromReplacedKeys(store, (await keyNow(first)).value, moved, mondayNoon);
    await removeFromReplacedKeys(store, successor, [], mondayNoon);
    expect(await countUsedOnMak(store, { keyId: first, bucketCount })).toBe(2);
  });

  it('BLK-3 stay on a MAK that is live', async () => {
    await activateMachine(1);
    const { bucketCount } = (await keyNow(oldId('MAK'))).internal;
    const layout = { keyId: oldId('MAK'), bucketCount };
    await removeActivation(store, layout, store.vault.digestOf(layout.keyId, installationId(1)), installationId(1));
    expect(await countUsedOnMak(store, layout)).toBe(1);
  });

  it('BLK-3 drop off once when two take them off at the same moment', async () => {
    for (const machine of [1, 2]) await activateMachine(machine);
    await replace('MAK');
    const { bucketCount } = (await keyNow(oldId('MAK'))).internal;
    const layout = { keyId: oldId('MAK'), bucketCount };
    const drop = (in_: Store) =>
      removeActivation(in_, layout, store.vault.digestOf(layout.keyId, installationId(1)), installationId(1));
    await drop(withInterruption(store, UpdateCommand, () => drop(store)));
    expect(await expectMakTotals(store, layout.keyId)).toMatchObject({ granted: 100, used: 1 });
  });

  it('BLK-3 drop off a KMS key as hosts, and others stay', async () => {
    for (const host of [1, 2]) await activateHost(host);
    const successor = (await keyNow(await replace('KMS'))).value;
    const { version } = await keyNow(oldId('KMS'));
    await removeFromReplacedKeys(store, successor, [installationId(1)], mondayNoon);
    await removeFromReplacedKeys(store, successor, [installationId(1)], mondayNoon);
    const old = await keyNow(oldId('KMS'));
    expect(old.value.type === 'KMS' && old.value.hosts.map((host) => host.installationId)).toEqual([installationId(2)]);
    expect(old.version).toBe(version + 1);
  });
});

describe('a database that is too busy', () => {
  beforeEach(withKeys);

  const busy = (of: typeof PutCommand | typeof UpdateCommand) =>
    withInterceptor(store, async (command, send) => {
      if (!(command instanceof of)) return send();
      throw Object.assign(new Error('Throughput exceeds the current capacity.'), { name: 'ThrottlingException' });
    });

  it('BLK-2 is contention while buckets are blocked or laid out, and what was begun is completed after', async () => {
    await hold('MAK');
    await expect(finish('MAK', { in_: busy(UpdateCommand) })).rejects.toMatchObject({ name: 'ContentionError' });
    await expect(finish('MAK', { in_: busy(PutCommand) })).rejects.toMatchObject({ name: 'ContentionError' });
    await finish('MAK');
    await isReplacedOnce('MAK');
  });

  it('BLK-3 is contention while a machine is to drop off', async () => {
    await activateMachine(1);
    const successor = (await keyNow(await replace('MAK'))).value;
    const dropping = removeFromReplacedKeys(busy(UpdateCommand), successor, [installationId(1)], mondayNoon);
    await expect(dropping).rejects.toMatchObject({ name: 'ContentionError' });
  });
});
