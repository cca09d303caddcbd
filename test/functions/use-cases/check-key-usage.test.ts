import { BatchGetCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { checkKeyUsage } from '../../../functions/use-cases/check-key-usage.ts';
import { readAlertState } from '../../../store/usage-alerts.ts';
import { readKey, countUsed } from '../../../store/keys.ts';
import { listMakActivations } from '../../../store/mak-activations.ts';
import type { KeyChange } from '../../../store/key-changes.ts';
import type { Store } from '../../../store/dynamodb/table.ts';
import { ines, installationId, policy, tom } from '../../builders.ts';
import { mondayTen, tuesdayTen, wednesdayNoon } from '../../instants.ts';
import { readAllPages, withScheduler, withInterceptor, startTestDynamoDb } from '../../store/dynamodb.ts';
import {
  activateHostOn,
  activateMachines,
  createKeyChangeFixture,
  readKeyChanges,
  pendingNotifications,
  raiseLimit,
  replaceKey,
  notificationsTo,
} from '../key-change-fixture.ts';

const engine = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

/** Hands the watcher every change that the stream has from one position on. */
async function watchFrom(position: number): Promise<number> {
  const changes = await readKeyChanges(store);
  for (const change of changes.slice(position)) await checkKeyUsage(store, change, mondayTen);
  return changes.length;
}

const activated = (keyId: string, count: number): KeyChange => ({
  keyId,
  activationsAdded: count,
  newInstallations: [],
  keyItemChanged: false,
});
const granted = (keyId: string): KeyChange => ({ keyId, activationsAdded: 0, newInstallations: [], keyItemChanged: true });

describe('a MAK of 100', () => {
  it('ALR-1 is told of at 80, 95 and 100, to each contact once, and between them nothing', async () => {
    const { mak } = await createKeyChangeFixture(store);
    const steps: [to: number, told: string[]][] = [
      [79, []],
      [80, ['80% of 100']],
      [94, ['80% of 100']],
      [95, ['80% of 100', '95% of 100']],
      [99, ['80% of 100', '95% of 100']],
      [100, ['100% of 100', '80% of 100', '95% of 100']],
    ];
    let position = 0;
    let used = 0;
    for (const [to, told] of steps) {
      await activateMachines(store, mak, used + 1, to - used);
      used = to;
      position = await watchFrom(position);
      expect(await notificationsTo(store, ines)).toEqual(told);
      expect(await notificationsTo(store, tom)).toEqual(told);
    }
  });

  it('ALR-1 is told of once, at what it has come to, when the stream is late', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 97);
    await watchFrom(0);
    expect(await notificationsTo(store)).toEqual(['95% of 100']);
    // And all of it comes once more.
    await watchFrom(0);
    expect(await notificationsTo(store)).toEqual(['95% of 100']);
    expect((await pendingNotifications(store)).map(({ content: about }) => about)).toContainEqual({
      kind: 'limit-used',
      keyType: 'MAK',
      lastFive: mak.lastFive,
      percent: 95,
      used: 97,
      limit: 100,
      forecast: null,
    });
  });

  it('ALR-1 is told of again only after a raise took the use back below', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 96);
    let position = await watchFrom(0);
    await raiseLimit(store, mak, 110);
    position = await watchFrom(position);
    expect(await notificationsTo(store)).toEqual(['95% of 100']);
    await activateMachines(store, mak, 97, 9);
    position = await watchFrom(position);
    // 105 of 110 are 95 % again; at 80 % it has been all the time.
    expect(await notificationsTo(store)).toEqual(['95% of 100', '95% of 110']);
    await raiseLimit(store, mak, 200);
    // Before anybody looks, the use comes to 80 % of the new limit as well.
    await activateMachines(store, mak, 106, 55, tuesdayTen);
    await watchFrom(position);
    expect(await notificationsTo(store)).toEqual(['80% of 200', '95% of 100', '95% of 110']);
  });

  it('ALR-2 is told of with the forecast from its own history', async () => {
    const { mak } = await createKeyChangeFixture(store);
    for (const day of Array.from({ length: 28 }, (_, index) => index + 1)) {
      await activateMachines(store, mak, day * 10, 3, addDuration(mondayTen, { days: -day }));
    }
    await watchFrom(0);
    const [notice] = await pendingNotifications(store);
    // Three a day, and 16 left.
    expect(notice?.content).toMatchObject({
      percent: 80,
      used: 84,
      forecast: 'At the pace of the last four weeks you run out on 6 June; ask for more now.',
    });
  });

  it('BLK-2 is told of no more once it is blocked', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 85);
    const changes = await readKeyChanges(store);
    await replaceKey(store, mak);
    for (const change of changes) await checkKeyUsage(store, change, mondayTen);
    expect(await notificationsTo(store)).toEqual(['key-replaced']);
  });

  it('ALR-1 is told of to forty contacts in one go', async () => {
    const contacts = Array.from({ length: 40 }, (_, index) => ({ ...ines, email: `contact-${index}@alder.example` }));
    const { mak } = await createKeyChangeFixture(store, { contacts });
    await activateMachines(store, mak, 1, 80);
    expect(await checkKeyUsage(store, activated(mak.keyId, 80), mondayTen)).toBe(40);
    expect(new Set((await pendingNotifications(store)).map(({ to }) => to.email)).size).toBe(40);
  });

  it('is not passed over when there is no such key', async () => {
    await expect(checkKeyUsage(store, activated('nowhere', 1), mondayTen)).rejects.toThrow('Key nowhere has gone');
  });
});

describe('counting', () => {
  /** How often the buckets are read by what is done. */
  async function counts(act: (heard: Store) => Promise<unknown>): Promise<number> {
    let reads = 0;
    const heard = withInterceptor(store, (command, send) => {
      if (command instanceof BatchGetCommand) reads += 1;
      return send();
    });
    await act(heard);
    return reads;
  }

  it('ALR-1 is left out while what was seen is less than there is to tell next', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 10);
    const seeing = (count: number) => counts((heard) => checkKeyUsage(heard, activated(mak.keyId, count), mondayTen));
    // The first time nothing is known of the key.
    expect(await seeing(10)).toBe(1);
    await activateMachines(store, mak, 11, 69);
    expect(await seeing(69)).toBe(0);
    await activateMachines(store, mak, 80, 1);
    expect(await seeing(1)).toBeGreaterThan(0);
    expect(await notificationsTo(store)).toEqual(['80% of 100']);
    await activateMachines(store, mak, 81, 14);
    expect(await seeing(14)).toBe(0);
    await activateMachines(store, mak, 95, 6);
    expect(await seeing(6)).toBe(1);
    // When all was told there is nothing to count for.
    expect(await seeing(1)).toBe(0);
  });

  it('ALR-1 puts right what was seen twice, and goes on from there', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 50);
    await checkKeyUsage(store, activated(mak.keyId, 50), mondayTen);
    await checkKeyUsage(store, activated(mak.keyId, 50), mondayTen);
    expect(await readAlertState(store, mak.keyId)).toMatchObject({ activationsReported: 50, nextAlertAt: 80 });
    expect(await notificationsTo(store)).toEqual([]);
  });

  it('ALR-1 takes in what was used before anybody watched', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 60);
    await checkKeyUsage(store, activated(mak.keyId, 1), mondayTen);
    expect(await readAlertState(store, mak.keyId)).toMatchObject({ activationsReported: 60, nextAlertAt: 80 });
  });

  it('ALR-1 a raise sets what there is to tell next', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 96);
    await checkKeyUsage(store, activated(mak.keyId, 96), mondayTen);
    expect(await readAlertState(store, mak.keyId)).toMatchObject({ nextAlertAt: 100, alertHistory: { percents: [80, 95] } });
    await raiseLimit(store, mak, 200);
    await checkKeyUsage(store, granted(mak.keyId), mondayTen);
    expect(await readAlertState(store, mak.keyId)).toMatchObject({ nextAlertAt: 160, alertHistory: { percents: [] } });
  });
});

describe('what is delivered twice, late, or to two at once', () => {
  it('ALR-1 is told once, whatever the order in which the database hears of it', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 78);
    await checkKeyUsage(store, activated(mak.keyId, 78), mondayTen);
    let machine = 78;
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        async (scheduler, rises, raises) => {
          const limit = 100 + 100 * machine;
          if (raises) await raiseLimit(store, mak, limit).catch(() => undefined);
          const at = withScheduler(store, scheduler);
          const acts = rises.map(async (rise) => {
            const from = machine + 1;
            machine += rise;
            await activateMachines(at, mak, from, rise).catch(() => undefined);
            // Each is reported, and some are twice.
            const reports = [activated(mak.keyId, rise), ...(rise % 2 === 0 ? [activated(mak.keyId, rise)] : [])];
            await Promise.all(reports.map((report) => checkKeyUsage(at, report, mondayTen)));
          });
          await scheduler.waitFor(Promise.all(acts));
          if (raises) await checkKeyUsage(store, granted(mak.keyId), mondayTen);
          const told = await notificationsTo(store);
          expect(told).toEqual([...new Set(told)]);
          const key = await readKey(store, mak.keyId);
          if (key === undefined) throw new Error('no key');
          const used = await countUsed(store, key);
          const now = key.value.grants.reduce((sum, { amount }) => sum + amount, 0);
          const reached = policy.alerts.usedPercent.findLast((percent) => used * 100 >= now * percent);
          const remembered = await readAlertState(store, mak.keyId);
          expect(remembered.alertHistory.percents.at(-1)).toBe(reached);
          expect(remembered.activationsReported).toBeGreaterThanOrEqual(used);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('ALR-1 is told once to each when twenty look at the same time', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 95);
    const looks = Array.from({ length: 20 }, () => checkKeyUsage(store, activated(mak.keyId, 5), mondayTen));
    expect((await Promise.all(looks)).reduce((sum, owed) => sum + owed, 0)).toBe(2);
    expect(await notificationsTo(store, ines)).toEqual(['95% of 100']);
    expect(await notificationsTo(store, tom)).toEqual(['95% of 100']);
  });
});

describe('a KMS key', () => {
  it('KMS-4 ALR-1 is told of for its new hosts and for its places, each once', async () => {
    const { kms } = await createKeyChangeFixture(store);
    let position = 0;
    const heard: (readonly string[])[] = [];
    for (const host of [1, 2, 3, 4, 5, 6]) {
      await activateHostOn(store, kms, host, addDuration(mondayTen, { hours: host }));
      position = await watchFrom(position);
      heard.push(await notificationsTo(store));
    }
    const clients = 'kms-key-on-clients';
    expect(heard).toEqual([[], [], [clients], [clients], ['80% of 6', clients], ['100% of 6', '80% of 6', clients]]);
    await watchFrom(0);
    expect(await notificationsTo(store)).toEqual(heard.at(-1));
  });

  it('KMS-4 is told of although the stream is days late, and once', async () => {
    const { kms } = await createKeyChangeFixture(store);
    for (const host of [1, 2, 3]) await activateHostOn(store, kms, host, mondayTen);
    const changes = await readKeyChanges(store);
    await Promise.all(changes.map((change) => checkKeyUsage(store, change, wednesdayNoon)));
    expect(await notificationsTo(store)).toEqual(['kms-key-on-clients']);
    expect((await pendingNotifications(store))[0]?.content).toEqual({
      kind: 'kms-key-on-clients',
      lastFive: kms.lastFive,
      hosts: 3,
      withinHours: 24,
    });
  });

  it('KMS-4 ALR-1 tells two things at once in one go', async () => {
    const { kms } = await createKeyChangeFixture(store);
    const tight = { ...store, policy: { ...policy, alerts: { ...policy.alerts, usedPercent: [50] } } };
    for (const host of [1, 2, 3]) await activateHostOn(store, kms, host, tuesdayTen);
    expect(await checkKeyUsage(tight, granted(kms.keyId), tuesdayTen)).toBe(4);
    expect(await notificationsTo(store)).toEqual(['50% of 6', 'kms-key-on-clients']);
  });
});

describe('a machine that moves to a key in the place of another', () => {
  const machinesOn = async (keyId: string) => {
    const key = await readKey(store, keyId);
    const layout = { keyId, bucketCount: key?.internal.bucketCount ?? 0 };
    const found = await readAllPages((ask) => listMakActivations(store, layout, ask));
    return found.map((each) => each.installationId).toSorted();
  };
  const ids = (...numbers: number[]) => numbers.map((number) => installationId(number)).toSorted();
  const kmsHostsOn = async (keyId: string) => {
    const key = await readKey(store, keyId);
    return key?.value.type === 'KMS' ? key.value.hosts.map((host) => host.installationId).toSorted() : undefined;
  };

  it('BLK-3 drops off the MAK that it was on, also off one two keys back, however often it is told', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 5);
    const second = await replaceKey(store, mak);
    await activateMachines(store, second, 1, 2);
    const third = await replaceKey(store, second);
    await activateMachines(store, third, 2, 2);
    for (const _ of [1, 2]) await watchFrom(0);
    expect(await machinesOn(mak.keyId)).toEqual(ids(4, 5));
    expect(await machinesOn(second.keyId)).toEqual(ids(1));
    expect(await machinesOn(third.keyId)).toEqual(ids(2, 3));
    const old = await readKey(store, mak.keyId);
    expect(old && (await countUsed(store, old))).toBe(2);
  });

  it('BLK-3 drops off the KMS key that it was on, and is no entry of its history', async () => {
    const { kms } = await createKeyChangeFixture(store);
    for (const host of [1, 2, 3]) await activateHostOn(store, kms, host);
    const second = await replaceKey(store, kms);
    const third = await replaceKey(store, second);
    const before = await readKey(store, kms.keyId);
    await activateHostOn(store, third, 2);
    const changes = (await readKeyChanges(store)).filter(({ keyId }) => keyId === third.keyId);
    expect(changes).toHaveLength(1);
    for (const change of [...changes, ...changes]) await checkKeyUsage(store, change, mondayTen);
    expect(await kmsHostsOn(kms.keyId)).toEqual(ids(1, 3));
    expect(await kmsHostsOn(third.keyId)).toEqual(ids(2));
    const after = await readKey(store, kms.keyId);
    expect(after?.ledgerHead).toEqual(before?.ledgerHead);
    expect(after?.value.state).toEqual(before?.value.state);
  });

  it('BLK-3 is not on a key that was not replaced', async () => {
    const { mak } = await createKeyChangeFixture(store);
    const { mak: other } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 1);
    await activateMachines(store, other, 1, 1);
    await watchFrom(0);
    expect(await machinesOn(mak.keyId)).toEqual(ids(1));
    expect(await machinesOn(other.keyId)).toEqual(ids(1));
  });
});
