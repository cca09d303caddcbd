import { describe, expect, it } from 'vitest';
import type { Told } from '../../domain/keys/usage-alert.ts';
import { nothingTold } from '../../domain/keys/usage-alert.ts';
import type { Looked } from '../../store/usage-alerts.ts';
import { addSeen, readAlerts, tell } from '../../store/usage-alerts.ts';
import { aNotice } from '../emails/contact-email-samples.ts';
import { mondayNine } from '../instants.ts';
import { startEngine } from './dynamodb.ts';

const engine = await startEngine();
const keyId = 'key-1';
const notice = aNotice({ is: 'kms-key-on-clients', lastFive: 'HJKMP', hosts: 3, withinHours: 24 });

/** Where a number of people wait for each other, once. */
function meeting(people: number): () => Promise<void> {
  const all = Promise.withResolvers<void>();
  let come = 0;
  return () => {
    come += 1;
    if (come === people) all.resolve();
    return all.promise;
  };
}

function looked(told: Told, counted: number): Looked {
  return { told, tellAt: 90, counted, noticesFor: () => [notice] };
}

describe('two who look at a key at the same moment', () => {
  it('tell of it once, and put right what was added up once, the first time and each time after', async () => {
    const store = await engine.newStore();
    await addSeen(store, keyId, 10);
    for (const [percent, counted] of [
      [80, 7],
      [90, 5],
    ] as const) {
      const bothHaveRead = meeting(2);
      const look = async () => {
        await bothHaveRead();
        return looked({ ...nothingTold, percents: [percent] }, counted);
      };
      const owed = await Promise.all([tell(store, keyId, mondayNine, look), tell(store, keyId, mondayNine, look)]);
      expect(owed.toSorted()).toEqual([0, 1]);
      expect((await readAlerts(store, keyId)).seen).toBe(counted);
    }
  });

  it('lose nothing that was added meanwhile', async () => {
    const store = await engine.newStore();
    await addSeen(store, keyId, 10);
    await tell(store, keyId, mondayNine, async () => {
      await addSeen(store, keyId, 2);
      return looked(nothingTold, 7);
    });
    expect((await readAlerts(store, keyId)).seen).toBe(9);
  });
});
