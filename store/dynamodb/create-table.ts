import { CreateTableCommand, DynamoDBClient, ResourceInUseException } from '@aws-sdk/client-dynamodb';
import { tableSchema } from './schema.ts';

/**
 * Creates the table from its schema where CloudFormation does not: on a local machine and in tests. Does nothing if the
 * table exists.
 * @param hasStream set to false if nothing reads the stream. The local emulator searches all stream records at each
 *   write, so a table with a stream slows down with every write. DynamoDB on AWS does not.
 */
export async function createTable(tableName: string, { hasStream = true } = {}): Promise<void> {
  const { partitionKey, sortKey, stream, indexes } = tableSchema;
  const attributes = new Set([
    partitionKey,
    sortKey,
    ...indexes.flatMap((index) => [index.partitionKey, index.sortKey]),
  ]);
  const client = new DynamoDBClient({});
  try {
    await client.send(
      new CreateTableCommand({
        TableName: tableName,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [...attributes].map((name) => ({ AttributeName: name, AttributeType: 'S' })),
        KeySchema: keySchema(partitionKey, sortKey),
        GlobalSecondaryIndexes: indexes.map((index) => ({
          IndexName: index.name,
          KeySchema: keySchema(index.partitionKey, index.sortKey),
          Projection: { ProjectionType: 'KEYS_ONLY' },
        })),
        StreamSpecification: hasStream ? { StreamEnabled: true, StreamViewType: stream } : { StreamEnabled: false },
      }),
    );
  } catch (error) {
    if (!(error instanceof ResourceInUseException)) throw error;
  } finally {
    client.destroy();
  }
}

function keySchema(partitionKey: string, sortKey: string) {
  return [
    { AttributeName: partitionKey, KeyType: 'HASH' as const },
    { AttributeName: sortKey, KeyType: 'RANGE' as const },
  ];
}
