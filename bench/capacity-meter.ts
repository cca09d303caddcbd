import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';

/** The consumed capacity since the last reset: round trips, and units as DynamoDB bills them. */
export type CapacityUsage = { roundTrips: number; writeUnits: number; readUnits: number };

const writes: readonly string[] = [
  'UpdateItemCommand',
  'PutItemCommand',
  'DeleteItemCommand',
  'TransactWriteItemsCommand',
  'BatchWriteItemCommand',
];

type ConsumedCapacity = { CapacityUnits?: number };

/** The ratio between the length of an item as JSON and its size in DynamoDB. */
const jsonOverhead = 1.4;

/**
 * Counts every call of a client, with the capacity that the emulator reports. DynamoDB also bills failed conditional
 * writes, which the emulator does not report: one unit per kilobyte of the checked item, or two units for each item of
 * a transaction.
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

/** Compares command names. The document client omits the word Item of the plain client. */
function isSameCommand(plain: string, name: string): boolean {
  return plain === name || plain.replace('ItemCommand', 'Command').replace('ItemsCommand', 'Command') === name;
}

function failedWriteUnits(error: unknown, input: object): number {
  if (!(error instanceof Error)) return 0;
  if (error.name === 'TransactionCanceledException' && 'TransactItems' in input && Array.isArray(input.TransactItems)) {
    return 2 * input.TransactItems.length;
  }
  if (error.name !== 'ConditionalCheckFailedException') return 0;
  const jsonLength = 'Item' in error && error.Item !== undefined ? JSON.stringify(error.Item).length : 1;
  return Math.max(1, Math.ceil(jsonLength / 1024 / jsonOverhead));
}
