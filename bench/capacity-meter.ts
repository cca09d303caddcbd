import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';

/** What was used of the database since the last reset: round trips, and units as DynamoDB bills them. */
export type Used = { roundTrips: number; writeUnits: number; readUnits: number };

const writes: readonly string[] = [
  'UpdateItemCommand',
  'PutItemCommand',
  'DeleteItemCommand',
  'TransactWriteItemsCommand',
  'BatchWriteItemCommand',
];

type Consumed = { CapacityUnits?: number };

/**
 * Counts every call of a client on its way to the wire, with the capacity that the engine says it consumed. A failed
 * conditional write is not told by the engine but billed by DynamoDB: by the size of the item it met, one unit a kilobyte,
 * and in a transaction two for each item.
 */
export function meter(client: DynamoDBDocumentClient): { readonly used: Used; reset(): void; scans(): number } {
  const used: Used = { roundTrips: 0, writeUnits: 0, readUnits: 0 };
  let scans = 0;
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const isWrite = writes.some((each) => sameCommand(each, String(context.commandName)));
      if (String(context.commandName).startsWith('Scan')) scans += 1;
      used.roundTrips += 1;
      const input = { ...(args.input as object), ReturnConsumedCapacity: 'TOTAL' };
      try {
        const result = await next({ ...args, input });
        const consumed = (result.output as { ConsumedCapacity?: Consumed | Consumed[] }).ConsumedCapacity;
        const units = [consumed ?? []].flat().reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0);
        if (isWrite) used.writeUnits += units;
        else used.readUnits += units;
        return result;
      } catch (error) {
        if (isWrite) used.writeUnits += unitsOfFailure(error, input);
        throw error;
      }
    },
    { step: 'initialize', name: 'meter', priority: 'low' },
  );
  return {
    used,
    reset: () => Object.assign(used, { roundTrips: 0, writeUnits: 0, readUnits: 0 }),
    scans: () => scans,
  };
}

/** The document client names a command without the word Item that the plain one has. */
function sameCommand(plain: string, given: string): boolean {
  return plain === given || plain.replace('ItemCommand', 'Command').replace('ItemsCommand', 'Command') === given;
}

function unitsOfFailure(error: unknown, input: object): number {
  if (!(error instanceof Error)) return 0;
  if (error.name === 'TransactionCanceledException' && 'TransactItems' in input && Array.isArray(input.TransactItems)) {
    return 2 * input.TransactItems.length;
  }
  if (error.name !== 'ConditionalCheckFailedException') return 0;
  const item = 'Item' in error && error.Item !== undefined ? JSON.stringify(error.Item).length : 1;
  return Math.max(1, Math.ceil(item / 1024 / 1.4));
}
