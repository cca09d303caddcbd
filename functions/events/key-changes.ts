import type { DynamoDBBatchResponse } from 'aws-lambda';
import * as z from 'zod';
import type { Store } from '../../store/dynamodb/table.ts';
import { inParallel } from '../../store/dynamodb/table.ts';
import type { KeyChange } from '../../store/key-changes.ts';
import { keyChangeIn, together } from '../../store/key-changes.ts';
import { world } from '../runtime/clock.ts';
import { theMail } from '../runtime/mailer.ts';
import { countHere, logger } from '../runtime/observability.ts';
import { theStore } from '../runtime/store.ts';
import { watchKey } from '../use-cases/check-key-usage.ts';
import { deliverNotices } from '../use-cases/send-agreement-notifications.ts';

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
  const store = theStore();
  const failed: string[] = [];
  const watched = new Map<string, { readonly change: KeyChange; readonly from: string }>();
  for (const { dynamodb } of Records) {
    try {
      const change = keyChangeIn({ before: dynamodb.OldImage, after: dynamodb.NewImage });
      if (change === undefined) continue;
      const before = watched.get(change.keyId);
      watched.set(
        change.keyId,
        before === undefined
          ? { change, from: dynamodb.SequenceNumber }
          : { ...before, change: together(before.change, change) },
      );
    } catch (error) {
      failed.push(dynamodb.SequenceNumber);
      logger.error('a change of the table cannot be read', { from: dynamodb.SequenceNumber, error: error as Error });
    }
  }
  let owed = 0;
  await inParallel([...watched.values()], async ({ change, from }) => {
    try {
      const notices = await watchKey(store, change, world.now());
      owed += notices;
    } catch (error) {
      failed.push(from);
      logger.error('could not watch a key', { keyId: change.keyId, from, error: error as Error });
    }
  });
  countHere({ warnings: owed, faults: failed.length });
  if (owed > 0) await sendNow(store);
  return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) };
};

/** A notice that cannot be sent now is no failure of the batch: it is owed, and the sweep sends it. */
async function sendNow(store: Store): Promise<void> {
  try {
    await deliverNotices(store, theMail(), () => world.now());
  } catch (error) {
    logger.error('left to the sweep', { error: error as Error });
  }
}
