import { describe, expect, it } from 'vitest';
import type { AlertHistory } from '../../domain/keys/usage-alert.ts';
import { emptyAlertHistory } from '../../domain/keys/usage-alert.ts';
import type { AlertDecision } from '../../store/usage-alerts.ts';
import { addReportedActivations, readAlertState, recordAlert } from '../../store/usage-alerts.ts';
import { aNotification } from '../emails/contact-email-samples.ts';
import { mondayNine } from '../instants.ts';
import { startTestDynamoDb } from './dynamodb.ts';

const engine = await startTestDynamoDb();
const keyId = 'key-1';
const notice = aNotification({ kind: 'kms-key-on-clients', lastFive: 'HJKMP', hosts: 3, withinHours: 24 });

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

function looked(told: AlertHistory, counted: number): AlertDecision {
  return { alertHistory: told, nextAlertAt: 90, activationsCounted: counted, notificationsFor: () => [notice] };
}

describe('two who look at a key at the same moment', () => {
  it('tell of it once, and put right what was added up once, the first time and each time after', async () => {
    const store = await engine.newStore();
    await addReportedActivations(store, keyId, 10);
    for (const [percent, counted] of [
      [80, 7],
      [90, 5],
    ] as const) {
      const bothHaveRead = meeting(2);
      const look = async () => {
        await bothHaveRead();
        return looked({ ...emptyAlertHistory, percents: [percent] }, counted);
      };
      const owed = await Promise.all([
        recordAlert(store, keyId, mondayNine, look),
        recordAlert(store, keyId, mondayNine, look),
      ]);
      expect(owed.toSorted()).toEqual([0, 1]);
      expect((await readAlertState(store, keyId)).activationsReported).toBe(counted);
    }
  });

  it('lose nothing that was added meanwhile', async () => {
    const store = await engine.newStore();
    await addReportedActivations(store, keyId, 10);
    await recordAlert(store, keyId, mondayNine, async () => {
      await addReportedActivations(store, keyId, 2);
      return looked(emptyAlertHistory, 7);
    });
    expect((await readAlertState(store, keyId)).activationsReported).toBe(9);
  });
});
