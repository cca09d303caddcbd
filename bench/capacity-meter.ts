import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';

/** What was used of the database since the last reset: round trips, and units as DynamoDB bills them. */
export type CapacityUsage = { roundTrips: number; writeUnits: number; readUnits: number };

const writes: readonly string[] = [
  'UpdateItemCommand',
  'PutItemCommand',
  'DeleteItemCommand',
  'TransactWriteItemsCommand',
  'BatchWriteItemCommand',
];

type ConsumedCapacity = { CapacityUnits?: number };

/**
 * Counts every call of a client on its way to the wire, with the capacity that the engine says it consumed. A failed
 * conditional write is not told by the engine but billed by DynamoDB: by the size of the item it met, one unit a kilobyte,
 * and in a transaction two for each item.
 */
export function meterCapacity(client: DynamoDBDocumentClient): {
  readonly usage: CapacityUsage;
  reset(): void;
  scans(): number;
} {
  const usage: CapacityUsage = { roundTrips: 0, writeUnits: 0, readUnits: 0 };
  let scans = 0;
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const isWrite = writes.some((each) => isSameCommand(each, String(context.commandName)));
      if (String(context.commandName).startsWith('Scan')) scans += 1;
      usage.roundTrips += 1;
      const input = { ...(args.input as object), ReturnConsumedCapacity: 'TOTAL' };
      try {
        const result = await next({ ...args, input });
        const consumed = (result.output as { ConsumedCapacity?: ConsumedCapacity | ConsumedCapacity[] })
          .ConsumedCapacity;
        const units = [consumed ?? []].flat().reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0);
        if (isWrite) usage.writeUnits += units;
        else usage.readUnits += units;
        return result;
      } catch (error) {
        if (isWrite) usage.writeUnits += failedWriteUnits(error, input);
        throw error;
      }
    },
    { step: 'initialize', name: 'meter', priority: 'low' },
  );
  return {
    usage,
    reset: () => Object.assign(usage, { roundTrips: 0, writeUnits: 0, readUnits: 0 }),
    scans: () => scans,
  };
}

/** The document client names a command without the word Item that the plain one has. */
function isSameCommand(plain: string, given: string): boolean {
  return plain === given || plain.replace('ItemCommand', 'Command').replace('ItemsCommand', 'Command') === given;
}

function failedWriteUnits(error: unknown, input: object): number {
  if (!(error instanceof Error)) return 0;
  if (error.name === 'TransactionCanceledException' && 'TransactItems' in input && Array.isArray(input.TransactItems)) {
    return 2 * input.TransactItems.length;
  }
  if (error.name !== 'ConditionalCheckFailedException') return 0;
  const item = 'Item' in error && error.Item !== undefined ? JSON.stringify(error.Item).length : 1;
  return Math.max(1, Math.ceil(item / 1024 / 1.4));
}
