import { BatchGetCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { later } from '../../../domain/calendar/instant.ts';
import { watchKey } from '../../../functions/use-cases/check-key-usage.ts';
import type { Store } from '../../../store/dynamodb/table.ts';
import type { KeyChange } from '../../../store/key-changes.ts';
import { readKey, usedOn } from '../../../store/keys.ts';
import { activationsOnMak } from '../../../store/mak-activations.ts';
import { readAlerts } from '../../../store/usage-alerts.ts';
import { ines, installationId, policy, tom } from '../../builders.ts';
import { mondayTen, tuesdayTen, wednesdayNoon } from '../../instants.ts';
import { everyPage, interleaved, overheard, startEngine } from '../../store/dynamodb.ts';
import {
  activateHostOn,
  activateMachines,
  aWatchable,
  changesOf,
  noticesKept,
  raise,
  replace,
  toldTo,
} from '../key-change-fixture.ts';

const engine = await startEngine();
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

/** Hands the watcher every change that the stream has from one position on. */
async function watchFrom(position: number): Promise<number> {
  const changes = await changesOf(store);
  for (const change of changes.slice(position)) await watchKey(store, change, mondayTen);
  return changes.length;
}

const activated = (keyId: string, count: number): KeyChange => ({
  keyId,
  activated: count,
  newcomers: [],
  keyItself: false,
});
const granted = (keyId: string): KeyChange => ({ keyId, activated: 0, newcomers: [], keyItself: true });

describe('a MAK of 100', () => {
  it('ALR-1 is told of at 80, 95 and 100, to each contact once, and between them nothing', async () => {
    const { mak } = await aWatchable(store);
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
      expect(await toldTo(store, ines)).toEqual(told);
      expect(await toldTo(store, tom)).toEqual(told);
    }
  });

  it('ALR-1 is told of once, at what it has come to, when the stream is late', async () => {
    const { mak } = await aWatchable(store);
    await activateMachines(store, mak, 1, 97);
    await watchFrom(0);
    expect(await toldTo(store)).toEqual(['95% of 100']);
    // And all of it comes once more.
    await watchFrom(0);
    expect(await toldTo(store)).toEqual(['95% of 100']);
    expect((await noticesKept(store)).map(({ about }) => about)).toContainEqual({
      is: 'limit-used',
      keyType: 'MAK',
      lastFive: mak.lastFive,
      percent: 95,
      used: 97,
      limit: 100,
      forecast: null,
    });
  });

  it('ALR-1 is told of again only after a raise took the use back below', async () => {
    const { mak } = await aWatchable(store);
    await activateMachines(store, mak, 1, 96);
    let position = await watchFrom(0);
    await raise(store, mak, 110);
    position = await watchFrom(position);
    expect(await toldTo(store)).toEqual(['95% of 100']);
    await activateMachines(store, mak, 97, 9);
    position = await watchFrom(position);
    // 105 of 110 are 95 % again; at 80 % it has been all the time.
    expect(await toldTo(store)).toEqual(['95% of 100', '95% of 110']);
    await raise(store, mak, 200);
    // Before anybody looks, the use comes to 80 % of the new limit as well.
    await activateMachines(store, mak, 106, 55, tuesdayTen);
    await watchFrom(position);
    expect(await toldTo(store)).toEqual(['80% of 200', '95% of 100', '95% of 110']);
  });

  it('ALR-2 is told of with the forecast from its own history', async () => {
    const { mak } = await aWatchable(store);
    for (const day of Array.from({ length: 28 }, (_, index) => index + 1)) {
      await activateMachines(store, mak, day * 10, 3, later(mondayTen, { days: -day }));
    }
    await watchFrom(0);
    const [notice] = await noticesKept(store);
    // Three a day, and 16 left.
    expect(notice?.about).toMatchObject({
      percent: 80,
      used: 84,
      forecast: 'At the pace of the last four weeks you run out on 6 June; ask for more now.',
    });
  });

  it('BLK-2 is told of no more once it is blocked', async () => {
    const { mak } = await aWatchable(store);
    await activateMachines(store, mak, 1, 85);
    const changes = await changesOf(store);
    await replace(store, mak);
    for (const change of changes) await watchKey(store, change, mondayTen);
    expect(await toldTo(store)).toEqual(['key-replaced']);
  });

  it('ALR-1 is told of to forty contacts in one go', async () => {
    const contacts = Array.from({ length: 40 }, (_, index) => ({ ...ines, email: `contact-${index}@alder.example` }));
    const { mak } = await aWatchable(store, { contacts });
    await activateMachines(store, mak, 1, 80);
    expect(await watchKey(store, activated(mak.keyId, 80), mondayTen)).toBe(40);
    expect(new Set((await noticesKept(store)).map(({ to }) => to.email)).size).toBe(40);
  });

  it('is not passed over when there is no such key', async () => {
    await expect(watchKey(store, activated('nowhere', 1), mondayTen)).rejects.toThrow('Key nowhere has gone');
  });
});

describe('counting', () => {
  /** How often the buckets are read by what is done. */
  async function counts(act: (heard: Store) => Promise<unknown>): Promise<number> {
    let reads = 0;
    const heard = overheard(store, (command, send) => {
      if (command instanceof BatchGetCommand) reads += 1;
      return send();
    });
    await act(heard);
    return reads;
  }

  it('ALR-1 is left out while what was seen is less than there is to tell next', async () => {
    const { mak } = await aWatchable(store);
    await activateMachines(store, mak, 1, 10);
    const seeing = (count: number) => counts((heard) => watchKey(heard, activated(mak.keyId, count), mondayTen));
    // The first time nothing is known of the key.
    expect(await seeing(10)).toBe(1);
    await activateMachines(store, mak, 11, 69);
    expect(await seeing(69)).toBe(0);
    await activateMachines(store, mak, 80, 1);
    expect(await seeing(1)).toBeGreaterThan(0);
    expect(await toldTo(store)).toEqual(['80% of 100']);
    await activateMachines(store, mak, 81, 14);
    expect(await seeing(14)).toBe(0);
    await activateMachines(store, mak, 95, 6);
    expect(await seeing(6)).toBe(1);
    // When all was told there is nothing to count for.
    expect(await seeing(1)).toBe(0);
  });

  it('ALR-1 puts right what was seen twice, and goes on from there', async () => {
    const { mak } = await aWatchable(store);
    await activateMachines(store, mak, 1, 50);
    await watchKey(store, activated(mak.keyId, 50), mondayTen);
    await watchKey(store, activated(mak.keyId, 50), mondayTen);
    expect(await readAlerts(store, mak.keyId)).toMatchObject({ seen: 50, tellAt: 80 });
    expect(await toldTo(store)).toEqual([]);
  });

  it('ALR-1 takes in what was used before anybody watched', async () => {
    const { mak } = await aWatchable(store);
    await activateMachines(store, mak, 1, 60);
    await watchKey(store, activated(mak.keyId, 1), mondayTen);
    expect(await readAlerts(store, mak.keyId)).toMatchObject({ seen: 60, tellAt: 80 });
  });

  it('ALR-1 a raise sets what there is to tell next', async () => {
    const { mak } = await aWatchable(store);
    await activateMachines(store, mak, 1, 96);
    await watchKey(store, activated(mak.keyId, 96), mondayTen);
    expect(await readAlerts(store, mak.keyId)).toMatchObject({ tellAt: 100, told: { percents: [80, 95] } });
    await raise(store, mak, 200);
    await watchKey(store, granted(mak.keyId), mondayTen);
    expect(await readAlerts(store, mak.keyId)).toMatchObject({ tellAt: 160, told: { percents: [] } });
  });
});

describe('what is delivered twice, late, or to two at once', () => {
  it('ALR-1 is told once, whatever the order in which the database hears of it', async () => {
    const { mak } = await aWatchable(store);
    await activateMachines(store, mak, 1, 78);
    await watchKey(store, activated(mak.keyId, 78), mondayTen);
    let machine = 78;
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        async (scheduler, rises, raises) => {
          const limit = 100 + 100 * machine;
          if (raises) await raise(store, mak, limit).catch(() => undefined);
          const at = interleaved(store, scheduler);
          const acts = rises.map(async (rise) => {
            const from = machine + 1;
            machine += rise;
            await activateMachines(at, mak, from, rise).catch(() => undefined);
            // Each is reported, and some are twice.
            const reports = [activated(mak.keyId, rise), ...(rise % 2 === 0 ? [activated(mak.keyId, rise)] : [])];
            await Promise.all(reports.map((report) => watchKey(at, report, mondayTen)));
          });
          await scheduler.waitFor(Promise.all(acts));
          if (raises) await watchKey(store, granted(mak.keyId), mondayTen);
          const told = await toldTo(store);
          expect(told).toEqual([...new Set(told)]);
          const key = await readKey(store, mak.keyId);
          if (key === undefined) throw new Error('no key');
          const used = await usedOn(store, key);
          const now = key.state.grants.reduce((sum, { amount }) => sum + amount, 0);
          const reached = policy.alerts.usedPercent.findLast((percent) => used * 100 >= now * percent);
          const remembered = await readAlerts(store, mak.keyId);
          expect(remembered.told.percents.at(-1)).toBe(reached);
          expect(remembered.seen).toBeGreaterThanOrEqual(used);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('ALR-1 is told once to each when twenty look at the same time', async () => {
    const { mak } = await aWatchable(store);
    await activateMachines(store, mak, 1, 95);
    const looks = Array.from({ length: 20 }, () => watchKey(store, activated(mak.keyId, 5), mondayTen));
    expect((await Promise.all(looks)).reduce((sum, owed) => sum + owed, 0)).toBe(2);
    expect(await toldTo(store, ines)).toEqual(['95% of 100']);
    expect(await toldTo(store, tom)).toEqual(['95% of 100']);
  });
});

describe('a KMS key', () => {
  it('KMS-4 ALR-1 is told of for its new hosts and for its places, each once', async () => {
    const { kms } = await aWatchable(store);
    let position = 0;
    const heard: (readonly string[])[] = [];
    for (const host of [1, 2, 3, 4, 5, 6]) {
      await activateHostOn(store, kms, host, later(mondayTen, { hours: host }));
      position = await watchFrom(position);
      heard.push(await toldTo(store));
    }
    const clients = 'kms-key-on-clients';
    expect(heard).toEqual([[], [], [clients], [clients], ['80% of 6', clients], ['100% of 6', '80% of 6', clients]]);
    await watchFrom(0);
    expect(await toldTo(store)).toEqual(heard.at(-1));
  });

  it('KMS-4 is told of although the stream is days late, and once', async () => {
    const { kms } = await aWatchable(store);
    for (const host of [1, 2, 3]) await activateHostOn(store, kms, host, mondayTen);
    const changes = await changesOf(store);
    await Promise.all(changes.map((change) => watchKey(store, change, wednesdayNoon)));
    expect(await toldTo(store)).toEqual(['kms-key-on-clients']);
    expect((await noticesKept(store))[0]?.about).toEqual({
      is: 'kms-key-on-clients',
      lastFive: kms.lastFive,
      hosts: 3,
      withinHours: 24,
    });
  });

  it('KMS-4 ALR-1 tells two things at once in one go', async () => {
    const { kms } = await aWatchable(store);
    const tight = { ...store, policy: { ...policy, alerts: { ...policy.alerts, usedPercent: [50] } } };
    for (const host of [1, 2, 3]) await activateHostOn(store, kms, host, tuesdayTen);
    expect(await watchKey(tight, granted(kms.keyId), tuesdayTen)).toBe(4);
    expect(await toldTo(store)).toEqual(['50% of 6', 'kms-key-on-clients']);
  });
});

describe('a machine that moves to a key in the place of another', () => {
  const machinesOn = async (keyId: string) => {
    const key = await readKey(store, keyId);
    const layout = { keyId, bucketCount: key?.kept.bucketCount ?? 0 };
    const found = await everyPage((ask) => activationsOnMak(store, layout, ask));
    return found.map((each) => each.installationId).toSorted();
  };
  const ids = (...numbers: number[]) => numbers.map((number) => installationId(number)).toSorted();
  const kmsHostsOn = async (keyId: string) => {
    const key = await readKey(store, keyId);
    return key?.state.type === 'KMS' ? key.state.hosts.map((host) => host.installationId).toSorted() : undefined;
  };

  it('BLK-3 drops off the MAK that it was on, also off one two keys back, however often it is told', async () => {
    const { mak } = await aWatchable(store);
    await activateMachines(store, mak, 1, 5);
    const second = await replace(store, mak);
    await activateMachines(store, second, 1, 2);
    const third = await replace(store, second);
    await activateMachines(store, third, 2, 2);
    for (const _ of [1, 2]) await watchFrom(0);
    expect(await machinesOn(mak.keyId)).toEqual(ids(4, 5));
    expect(await machinesOn(second.keyId)).toEqual(ids(1));
    expect(await machinesOn(third.keyId)).toEqual(ids(2, 3));
    const old = await readKey(store, mak.keyId);
    expect(old && (await usedOn(store, old))).toBe(2);
  });

  it('BLK-3 drops off the KMS key that it was on, and is no entry of its history', async () => {
    const { kms } = await aWatchable(store);
    for (const host of [1, 2, 3]) await activateHostOn(store, kms, host);
    const second = await replace(store, kms);
    const third = await replace(store, second);
    const before = await readKey(store, kms.keyId);
    await activateHostOn(store, third, 2);
    const changes = (await changesOf(store)).filter(({ keyId }) => keyId === third.keyId);
    expect(changes).toHaveLength(1);
    for (const change of [...changes, ...changes]) await watchKey(store, change, mondayTen);
    expect(await kmsHostsOn(kms.keyId)).toEqual(ids(1, 3));
    expect(await kmsHostsOn(third.keyId)).toEqual(ids(2));
    const after = await readKey(store, kms.keyId);
    expect(after?.head).toEqual(before?.head);
    expect(after?.state.status).toEqual(before?.state.status);
  });

  it('BLK-3 is not on a key that was not replaced', async () => {
    const { mak } = await aWatchable(store);
    const { mak: other } = await aWatchable(store);
    await activateMachines(store, mak, 1, 1);
    await activateMachines(store, other, 1, 1);
    await watchFrom(0);
    expect(await machinesOn(mak.keyId)).toEqual(ids(1));
    expect(await machinesOn(other.keyId)).toEqual(ids(1));
  });
});
