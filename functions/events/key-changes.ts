import type { DynamoDBBatchResponse } from 'aws-lambda';
import * as z from 'zod';
import type { KeyChange } from '../../store/key-changes.ts';
import { keyChangeFrom, mergeKeyChanges } from '../../store/key-changes.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { mapInBatches } from '../../store/dynamodb/table.ts';
import { sendAgreementNotifications } from '../use-cases/send-agreement-notifications.ts';
import { countFunctionMetric, logger } from '../runtime/observability.ts';
import { getMailer } from '../runtime/mailer.ts';
import { getStore } from '../runtime/store.ts';
import { checkKeyUsage } from '../use-cases/check-key-usage.ts';
import { runtime } from '../runtime/clock.ts';

const batchSchema = z.looseObject({
  Records: z.array(
    z.looseObject({
      dynamodb: z.looseObject({
        SequenceNumber: z.string().min(1),
        // Read one by one: an item that is none must not keep the others from being read.
        NewImage: z.unknown().optional(),
        OldImage: z.unknown().optional(),
      }),
    }),
  ),
});

/**
 * Watches the use of keys through the stream of the table, off the way of those who activate: once for each key and batch
 * (ALR-1, KMS-4, BLK-3). The stream delivers at least once, late, and to several at once; whoever sees to a key takes that.
 * A key that cannot be seen to is reported by its first change in the batch, which Lambda hands over again with all that
 * came after it; it keeps none of the others from being seen to now.
 */
export const handler = async (event: unknown, _context: unknown): Promise<DynamoDBBatchResponse> => {
  const { Records } = batchSchema.parse(event);
  const store = getStore();
  const failed: string[] = [];
  const changesByKey = new Map<string, { readonly change: KeyChange; readonly from: string }>();
  for (const { dynamodb } of Records) {
    try {
      const change = keyChangeFrom({ earlier: dynamodb.OldImage, after: dynamodb.NewImage });
      if (change === undefined) continue;
      const earlier = changesByKey.get(change.keyId);
      changesByKey.set(
        change.keyId,
        earlier === undefined
          ? { change, from: dynamodb.SequenceNumber }
          : { ...earlier, change: mergeKeyChanges(earlier.change, change) },
      );
    } catch (error) {
      failed.push(dynamodb.SequenceNumber);
      logger.error('stream record not readable', { sequenceNumber: dynamodb.SequenceNumber, error: error as Error });
    }
  }
  let pendingCount = 0;
  await mapInBatches([...changesByKey.values()], async ({ change, from }) => {
    try {
      const addedCount = await checkKeyUsage(store, change, runtime.now());
      pendingCount += addedCount;
    } catch (error) {
      failed.push(from);
      logger.error('key usage check failed', { keyId: change.keyId, sequenceNumber: from, error: error as Error });
    }
  });
  countFunctionMetric({ alertsPending: pendingCount, faults: failed.length });
  if (pendingCount > 0) await sendPendingNotifications(store);
  return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) };
};

/** A notice that cannot be sent now is no failure of the batch: it is owed, and the sweep sends it. */
async function sendPendingNotifications(store: Store): Promise<void> {
  try {
    await sendAgreementNotifications(store, getMailer(), () => runtime.now());
  } catch (error) {
    logger.error('deferred to the sweep', { error: error as Error });
  }
}
