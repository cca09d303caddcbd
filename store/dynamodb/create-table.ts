import { CreateTableCommand, DynamoDBClient, ResourceInUseException } from '@aws-sdk/client-dynamodb';
import { tableSchema } from './schema.ts';

/**
 * Makes the table from its schema where no CloudFormation does it: locally and in tests. One that is there is left as it is.
 *
 * Whoever does not read its stream says so: at each write the local engine looks through all that a stream has told so far,
 * so that a table gets slower with every write, which one of DynamoDB does not.
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
