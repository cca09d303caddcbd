import { type RemovalPolicy, Stack } from 'aws-cdk-lib';
import {
  AttributeType,
  BillingMode,
  type ITable,
  ProjectionType,
  StreamViewType,
  Table,
  TableEncryption,
} from 'aws-cdk-lib/aws-dynamodb';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { tableSchema } from '../store/dynamodb/schema.ts';
import { suppressFindings } from './nag-suppressions.ts';
import type { Stage } from './stage.ts';

/**
 * The table, as its schema defines it, with point-in-time recovery for the last 35 days and optional deletion
 * protection. If the stage names a restored table, the service uses that one, and the stage's own table is unchanged.
 */
export class StoreTable extends Construct {
  readonly table: Table | ITable;

  constructor(
    scope: Construct,
    id: string,
    props: {
      readonly key: IKey;
      readonly removalPolicy: RemovalPolicy;
      readonly deletionProtection: boolean;
      readonly restoredTable: Stage['restoredTable'];
    },
  ) {
    super(scope, id);
    const { partitionKey, sortKey, timeToLive, stream, indexes } = tableSchema;
    const ownTable = new Table(this, 'Table', {
      partitionKey: { name: partitionKey, type: AttributeType.STRING },
      sortKey: { name: sortKey, type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      encryption: TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: props.key,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute: timeToLive,
      stream: StreamViewType[stream],
      deletionProtection: props.deletionProtection,
      removalPolicy: props.removalPolicy,
    });
    for (const index of indexes) {
      ownTable.addGlobalSecondaryIndex({
        indexName: index.name,
        partitionKey: { name: index.partitionKey, type: AttributeType.STRING },
        sortKey: { name: index.sortKey, type: AttributeType.STRING },
        projectionType: ProjectionType.KEYS_ONLY,
      });
    }
    suppressFindings(ownTable, {
      'NIST.800.53.R5-DynamoDBInBackupPlan':
        'Point-in-time recovery restores any second of the last 35 days. For longer retention, the organization adds the table to its own backup plan.',
    });
    this.table = props.restoredTable === undefined ? ownTable : this.restoredTable(props.restoredTable, props.key);
  }

  private restoredTable({ name, streamLabel }: NonNullable<Stage['restoredTable']>, encryptionKey: IKey): ITable {
    const tableArn = Stack.of(this).formatArn({ service: 'dynamodb', resource: 'table', resourceName: name });
    return Table.fromTableAttributes(this, 'RestoredTable', {
      tableArn,
      tableStreamArn: `${tableArn}/stream/${streamLabel}`,
      encryptionKey,
      globalIndexes: tableSchema.indexes.map((index) => index.name),
    });
  }
}
