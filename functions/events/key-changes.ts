import middy from '@middy/core';
import type { DynamoDBBatchResponse } from 'aws-lambda';
import * as z from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import { mapInBatches } from '../../store/dynamodb/concurrency.ts';
import type { KeyChange } from '../../store/key-changes.ts';
import { keyChangeFrom, mergeKeyChanges } from '../../store/key-changes.ts';
import { removeFromReplacedKeys } from '../../store/key-replacement.ts';
import { readKey } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import { clock } from '../runtime/clock.ts';
import { logContext, logOutcome } from '../runtime/log-middleware.ts';
import { getMailer } from '../runtime/mailer.ts';
import { countFunctionMetric, logger } from '../runtime/observability.ts';
import { getStore } from '../runtime/store.ts';
import { recordUsageAlerts } from '../use-cases/record-usage-alerts.ts';
import { sendAgreementNotifications } from '../use-cases/send-agreement-notifications.ts';

const batchSchema = z.looseObject({
  Records: z.array(
    z.looseObject({
      dynamodb: z.looseObject({
        SequenceNumber: z.string().min(1),
        // Parsed one by one: an invalid image must not keep the other records from being read.
        NewImage: z.unknown().optional(),
        OldImage: z.unknown().optional(),
      }),
    }),
  ),
});
type StreamRecord = z.infer<typeof batchSchema>['Records'][number];

/**
 * Processes the changes of keys in the table stream, once for each key and batch, outside the path of activations (ALR-1,
 * KMS-4, BLK-3). The stream delivers at least once, late, and to several readers at once; everything that it calls allows
 * for that. A key that fails is reported by its first record, so that Lambda delivers that record and all later ones
 * again. The other keys of the batch are processed all the same.
 */
export const handler = middy<unknown, DynamoDBBatchResponse>()
  .use(logContext())
  .use(logOutcome({ failed: 'stream batch failed' }))
  .handler(async (event) => {
    const { changes, unreadable } = readKeyChanges(batchSchema.parse(event).Records);
    const store = getStore();
    const failed = [...unreadable];
    let pendingCount = 0;
    await mapInBatches(changes, async ({ change, sequenceNumber }) => {
      try {
        const addedCount = await processKeyChange(store, change, clock.now());
        pendingCount += addedCount;
      } catch (error) {
        failed.push(sequenceNumber);
        logger.error('key usage check failed', { keyId: change.keyId, sequenceNumber, error: error as Error });
      }
    });
    countFunctionMetric({ alertsPending: pendingCount, faults: failed.length });
    if (pendingCount > 0) await sendPendingNotifications(store);
    return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) };
  });

/** The merged changes of one key in a batch, and the sequence number of the first of them. */
type MergedChange = { readonly change: KeyChange; readonly sequenceNumber: string };

function readKeyChanges(records: readonly StreamRecord[]): {
  readonly changes: readonly MergedChange[];
  readonly unreadable: readonly string[];
} {
  const changesByKey = new Map<string, MergedChange>();
  const unreadable: string[] = [];
  for (const { dynamodb } of records) {
    const { SequenceNumber: sequenceNumber, OldImage: before, NewImage: after } = dynamodb;
    try {
      const change = keyChangeFrom({ before, after });
      if (change === undefined) continue;
      const merged = changesByKey.get(change.keyId);
      changesByKey.set(
        change.keyId,
        merged === undefined
          ? { change, sequenceNumber }
          : { ...merged, change: mergeKeyChanges(merged.change, change) },
      );
    } catch (error) {
      unreadable.push(sequenceNumber);
      logger.error('stream record not readable', { sequenceNumber, error: error as Error });
    }
  }
  return { changes: [...changesByKey.values()], unreadable };
}

/** Removes machines that moved to the key from the keys that it replaced, and records usage alerts. Returns their number. */
async function processKeyChange(store: Store, change: KeyChange, now: Instant): Promise<number> {
  const key = await readKey(store, change.keyId);
  if (key === undefined) throw new Error(`Key ${change.keyId} is missing; keys are never deleted.`);
  await removeFromReplacedKeys(store, key.value, change.newInstallations, now);
  return recordUsageAlerts(store, key.value, change, now);
}

/** Sends what was added. A failure does not fail the batch: the notifications stay pending, and the sweep sends them. */
async function sendPendingNotifications(store: Store): Promise<void> {
  try {
    await sendAgreementNotifications(store, getMailer(), () => clock.now());
  } catch (error) {
    logger.error('deferred to the sweep', { error: error as Error });
  }
}
