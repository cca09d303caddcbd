import { describe, expect, it } from 'vitest';
import type { AlertHistory } from '../../domain/keys/usage-alert.ts';
import { emptyAlertHistory } from '../../domain/keys/usage-alert.ts';
import type { AlertDecision } from '../../store/usage-alerts.ts';
import { addReportedActivations, readAlertState, recordAlert } from '../../store/usage-alerts.ts';
import { aNotification } from '../emails/contact-email-samples.ts';
import { mondayNine } from '../instants.ts';
import { startTestDynamoDb } from './dynamodb.ts';

const dynamoDb = await startTestDynamoDb();
const keyId = 'key-1';
const notification = aNotification({ kind: 'kms-key-on-clients', lastFive: 'HJKMP', hosts: 3, withinHours: 24 });

/** Returns a function that waits until it was called this many times. */
function createBarrier(calls: number): () => Promise<void> {
  const barrier = Promise.withResolvers<void>();
  let callCount = 0;
  return () => {
    callCount += 1;
    if (callCount === calls) barrier.resolve();
    return barrier.promise;
  };
}

function alertDecision(alertHistory: AlertHistory, activationsCounted: number): AlertDecision {
  return { alertHistory, nextAlertAt: 90, activationsCounted, notificationsFor: () => [notification] };
}

describe('two simultaneous checks of a key', () => {
  it('record one alert and correct the sum once, for the first alert and for later ones', async () => {
    const store = await dynamoDb.newStore();
    await addReportedActivations(store, keyId, 10);
    for (const [percent, counted] of [
      [80, 7],
      [90, 5],
    ] as const) {
      const bothHaveRead = createBarrier(2);
      const decide = async () => {
        await bothHaveRead();
        return alertDecision({ ...emptyAlertHistory, percents: [percent] }, counted);
      };
      const notificationCounts = await Promise.all([
        recordAlert(store, keyId, mondayNine, decide),
        recordAlert(store, keyId, mondayNine, decide),
      ]);
      expect(notificationCounts.toSorted()).toEqual([0, 1]);
      expect((await readAlertState(store, keyId)).activationsReported).toBe(counted);
    }
  });

  it('keep the activations that are reported meanwhile', async () => {
    const store = await dynamoDb.newStore();
    await addReportedActivations(store, keyId, 10);
    await recordAlert(store, keyId, mondayNine, async () => {
      await addReportedActivations(store, keyId, 2);
      return alertDecision(emptyAlertHistory, 7);
    });
    expect((await readAlertState(store, keyId)).activationsReported).toBe(9);
  });
});
