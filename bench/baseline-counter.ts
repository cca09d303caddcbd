import { PutCommand } from '@aws-sdk/lib-dynamodb';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import type { CommitResult } from '../store/dynamodb/table.ts';
import { commit } from '../store/dynamodb/table.ts';
import type { Store } from '../store/store.ts';

/* The plain design, with which the buckets are compared: one counter, and one record per computer. */

const counter = { PK: 'PLAIN', SK: 'COUNTER' };

export async function putCounter({ client, tableName }: Store): Promise<void> {
  await client.send(new PutCommand({ TableName: tableName, Item: { ...counter, used: 0 } }));
}

/** Tries once to activate a computer within the limit, in a transaction of two items. */
export function activateOnBaseline(store: Store, installationId: InstallationId, limit: number): Promise<CommitResult> {
  return commit(store, [
    {
      Update: {
        Key: counter,
        UpdateExpression: 'SET #used = #used + :one',
        ConditionExpression: '#used < :limit',
        ExpressionAttributeNames: { '#used': 'used' },
        ExpressionAttributeValues: { ':one': 1, ':limit': limit },
      },
    },
    {
      Put: {
        Item: { PK: `PLAIN#${installationId}`, SK: 'COMPUTER' },
        ConditionExpression: 'attribute_not_exists(PK)',
      },
    },
  ]);
}
