import { BatchGetCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { limitOf } from '../../../domain/keys/grant.ts';
import { recordUsageAlerts } from '../../../functions/use-cases/record-usage-alerts.ts';
import type { KeyChange } from '../../../store/key-changes.ts';
import { countUsed, readKey } from '../../../store/keys.ts';
import type { Store } from '../../../store/store.ts';
import { readAlertState } from '../../../store/usage-alerts.ts';
import { ines, jorge, policy } from '../../builders.ts';
import { mondayTen, tuesdayTen, wednesdayNoon } from '../../instants.ts';
import { startTestDynamoDb, withInterceptor, withScheduler } from '../../store/dynamodb.ts';
import {
  activateHostOn,
  activateMachines,
  createKeyChangeFixture,
  notificationsTo,
  pendingNotifications,
  raiseLimit,
  readKeyChanges,
  replaceKey,
} from '../key-change-fixture.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
});

async function recordAlertsFor(change: KeyChange, now = mondayTen, target = store): Promise<number> {
  const key = await readKey(target, change.keyId);
  if (key === undefined) throw new Error(`There is no key ${change.keyId}.`);
  return recordUsageAlerts(target, key.value, change, now);
}

/** Records alerts for every change in the stream from a position on. Returns the position behind the last one. */
async function recordAlertsFrom(position: number): Promise<number> {
  const changes = await readKeyChanges(store);
  for (const change of changes.slice(position)) await recordAlertsFor(change);
  return changes.length;
}

const activationsAdded = (keyId: string, count: number): KeyChange => ({
  keyId,
  activationsAdded: count,
  newInstallations: [],
  keyItemChanged: false,
});
const keyItemChanged = (keyId: string): KeyChange => ({
  keyId,
  activationsAdded: 0,
  newInstallations: [],
  keyItemChanged: true,
});

describe('a MAK of 100', () => {
  it('ALR-1 alerts each contact once at 80, 95, and 100 percent, and at nothing in between', async () => {
    const { mak } = await createKeyChangeFixture(store);
    const steps: [used: number, alerts: string[]][] = [
      [79, []],
      [80, ['80% of 100']],
      [94, ['80% of 100']],
      [95, ['80% of 100', '95% of 100']],
      [99, ['80% of 100', '95% of 100']],
      [100, ['100% of 100', '80% of 100', '95% of 100']],
    ];
    let position = 0;
    let used = 0;
    for (const [nextUsed, alerts] of steps) {
      await activateMachines(store, mak, used + 1, nextUsed - used);
      used = nextUsed;
      position = await recordAlertsFrom(position);
      expect(await notificationsTo(store, ines)).toEqual(alerts);
      expect(await notificationsTo(store, jorge)).toEqual(alerts);
    }
  });

  it('ALR-1 alerts once, with the highest share reached, when the stream is late', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 97);
    await recordAlertsFrom(0);
    expect(await notificationsTo(store)).toEqual(['95% of 100']);
    // The stream delivers all of it again.
    await recordAlertsFrom(0);
    expect(await notificationsTo(store)).toEqual(['95% of 100']);
    expect((await pendingNotifications(store)).map(({ content }) => content)).toContainEqual({
      kind: 'limit-used',
      keyType: 'MAK',
      lastFive: mak.lastFive,
      percent: 95,
      used: 97,
      limit: 100,
      forecast: null,
    });
  });

  it('ALR-1 alerts at a share again only after an increase took the usage below it', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 96);
    let position = await recordAlertsFrom(0);
    await raiseLimit(store, mak, 110);
    position = await recordAlertsFrom(position);
    expect(await notificationsTo(store)).toEqual(['95% of 100']);
    await activateMachines(store, mak, 97, 9);
    position = await recordAlertsFrom(position);
    // 105 of 110 are 95% again; the usage never was below 80%.
    expect(await notificationsTo(store)).toEqual(['95% of 100', '95% of 110']);
    await raiseLimit(store, mak, 200);
    // The usage also reaches 80% of the new limit before the change is processed.
    await activateMachines(store, mak, 106, 55, tuesdayTen);
    await recordAlertsFrom(position);
    expect(await notificationsTo(store)).toEqual(['80% of 200', '95% of 100', '95% of 110']);
  });

  it('ALR-2 includes the forecast from the activations of the key', async () => {
    const { mak } = await createKeyChangeFixture(store);
    for (const day of Array.from({ length: 28 }, (_, index) => index + 1)) {
      await activateMachines(store, mak, day * 10, 3, addDuration(mondayTen, { days: -day }));
    }
    await recordAlertsFrom(0);
    const [notification] = await pendingNotifications(store);
    // Three a day, and 16 left.
    expect(notification?.content).toMatchObject({
      percent: 80,
      used: 84,
      forecast: 'At the pace of the last four weeks, the key runs out on 6 June. Ask for more now.',
    });
  });

  it('BLK-2 causes no alert once it is blocked', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 85);
    const changes = await readKeyChanges(store);
    await replaceKey(store, mak);
    for (const change of changes) await recordAlertsFor(change);
    expect(await notificationsTo(store)).toEqual(['key-replaced']);
  });

  it('ALR-1 alerts forty contacts in one transaction', async () => {
    const contacts = Array.from({ length: 40 }, (_, index) => ({ ...ines, email: `contact-${index}@alder.example` }));
    const { mak } = await createKeyChangeFixture(store, { contacts });
    await activateMachines(store, mak, 1, 80);
    expect(await recordAlertsFor(activationsAdded(mak.keyId, 80))).toBe(40);
    expect(new Set((await pendingNotifications(store)).map(({ to }) => to.email)).size).toBe(40);
  });
});

describe('counting the activations of a key', () => {
  /** Counts how often an action reads the buckets. */
  async function countBucketReads(action: (target: Store) => Promise<unknown>): Promise<number> {
    let reads = 0;
    const intercepted = withInterceptor(store, (command, send) => {
      if (command instanceof BatchGetCommand) reads += 1;
      return send();
    });
    await action(intercepted);
    return reads;
  }

  it('ALR-1 is skipped while the reported number is below the next alert', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 10);
    const readsFor = (count: number) =>
      countBucketReads((target) => recordAlertsFor(activationsAdded(mak.keyId, count), mondayTen, target));
    // The first change of a key always counts.
    expect(await readsFor(10)).toBe(1);
    await activateMachines(store, mak, 11, 69);
    expect(await readsFor(69)).toBe(0);
    await activateMachines(store, mak, 80, 1);
    expect(await readsFor(1)).toBeGreaterThan(0);
    expect(await notificationsTo(store)).toEqual(['80% of 100']);
    await activateMachines(store, mak, 81, 14);
    expect(await readsFor(14)).toBe(0);
    await activateMachines(store, mak, 95, 6);
    expect(await readsFor(6)).toBe(1);
    // After the last alert, nothing needs to be counted.
    expect(await readsFor(1)).toBe(0);
  });

  it('ALR-1 corrects a number that was reported twice', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 50);
    await recordAlertsFor(activationsAdded(mak.keyId, 50));
    await recordAlertsFor(activationsAdded(mak.keyId, 50));
    expect(await readAlertState(store, mak.keyId)).toMatchObject({ activationsReported: 50, nextAlertAt: 80 });
    expect(await notificationsTo(store)).toEqual([]);
  });

  it('ALR-1 includes activations from before the first report', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 60);
    await recordAlertsFor(activationsAdded(mak.keyId, 1));
    expect(await readAlertState(store, mak.keyId)).toMatchObject({ activationsReported: 60, nextAlertAt: 80 });
  });

  it('ALR-1 sets the next alert again after an increase', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 96);
    await recordAlertsFor(activationsAdded(mak.keyId, 96));
    const afterAlert = { nextAlertAt: 100, alertHistory: { percents: [80, 95] } };
    expect(await readAlertState(store, mak.keyId)).toMatchObject(afterAlert);
    await raiseLimit(store, mak, 200);
    await recordAlertsFor(keyItemChanged(mak.keyId));
    const afterIncrease = { nextAlertAt: 160, alertHistory: { percents: [] } };
    expect(await readAlertState(store, mak.keyId)).toMatchObject(afterIncrease);
  });
});

describe('changes that are delivered twice, late, or concurrently', () => {
  it('ALR-1 alerts once, in whatever order the database receives the requests', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 78);
    await recordAlertsFor(activationsAdded(mak.keyId, 78));
    let machine = 78;
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        async (scheduler, batchSizes, isRaised) => {
          const newLimit = 100 + 100 * machine;
          if (isRaised) await raiseLimit(store, mak, newLimit).catch(() => undefined);
          const scheduled = withScheduler(store, scheduler);
          const batches = batchSizes.map(async (batchSize) => {
            const from = machine + 1;
            machine += batchSize;
            await activateMachines(scheduled, mak, from, batchSize).catch(() => undefined);
            // Every batch is reported, and some twice.
            const report = activationsAdded(mak.keyId, batchSize);
            const reports = batchSize % 2 === 0 ? [report, report] : [report];
            await Promise.all(reports.map((each) => recordAlertsFor(each, mondayTen, scheduled)));
          });
          await scheduler.waitFor(Promise.all(batches));
          if (isRaised) await recordAlertsFor(keyItemChanged(mak.keyId));
          const alerts = await notificationsTo(store);
          expect(alerts).toEqual([...new Set(alerts)]);
          const key = await readKey(store, mak.keyId);
          if (key === undefined) throw new Error('no key');
          const used = await countUsed(store, key);
          const limit = limitOf(key.value.grants);
          const reached = policy.alerts.usedPercent.findLast((percent) => used * 100 >= limit * percent);
          const alertState = await readAlertState(store, mak.keyId);
          expect(alertState.alertHistory.percents.at(-1)).toBe(reached);
          expect(alertState.activationsReported).toBeGreaterThanOrEqual(used);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('ALR-1 alerts each contact once when twenty process a change at the same time', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 95);
    const runs = Array.from({ length: 20 }, () => recordAlertsFor(activationsAdded(mak.keyId, 5)));
    expect((await Promise.all(runs)).reduce((sum, added) => sum + added, 0)).toBe(2);
    expect(await notificationsTo(store, ines)).toEqual(['95% of 100']);
    expect(await notificationsTo(store, jorge)).toEqual(['95% of 100']);
  });
});

describe('a KMS key', () => {
  it('KMS-4 ALR-1 alerts once for its new hosts and once for each share of its host slots', async () => {
    const { kms } = await createKeyChangeFixture(store);
    let position = 0;
    const alertsByHost: (readonly string[])[] = [];
    for (const host of [1, 2, 3, 4, 5, 6]) {
      await activateHostOn(store, kms, host, addDuration(mondayTen, { hours: host }));
      position = await recordAlertsFrom(position);
      alertsByHost.push(await notificationsTo(store));
    }
    const clients = 'kms-key-on-clients';
    expect(alertsByHost).toEqual([
      [],
      [],
      [clients],
      [clients],
      ['80% of 6', clients],
      ['100% of 6', '80% of 6', clients],
    ]);
    await recordAlertsFrom(0);
    expect(await notificationsTo(store)).toEqual(alertsByHost.at(-1));
  });

  it('KMS-4 alerts once when the stream is days late', async () => {
    const { kms } = await createKeyChangeFixture(store);
    for (const host of [1, 2, 3]) await activateHostOn(store, kms, host, mondayTen);
    const changes = await readKeyChanges(store);
    await Promise.all(changes.map((change) => recordAlertsFor(change, wednesdayNoon)));
    expect(await notificationsTo(store)).toEqual(['kms-key-on-clients']);
    expect((await pendingNotifications(store))[0]?.content).toEqual({
      kind: 'kms-key-on-clients',
      lastFive: kms.lastFive,
      hosts: 3,
      withinHours: 24,
    });
  });

  it('KMS-4 ALR-1 records two alerts for one change', async () => {
    const { kms } = await createKeyChangeFixture(store);
    const tightPolicy = { ...policy, alerts: { ...policy.alerts, usedPercent: [50] } };
    for (const host of [1, 2, 3]) await activateHostOn(store, kms, host, tuesdayTen);
    const change = keyItemChanged(kms.keyId);
    expect(await recordAlertsFor(change, tuesdayTen, { ...store, policy: tightPolicy })).toBe(4);
    expect(await notificationsTo(store)).toEqual(['50% of 6', 'kms-key-on-clients']);
  });
});
