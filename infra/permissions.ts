import { Aws } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Permission } from '../functions/manifest.ts';

/** What rights are about, by its ARN. */
export type ResourceArns = {
  readonly tableArn: string;
  readonly indexArns: readonly string[];
  readonly keyArn: string;
  readonly stateMachineArn: string;
  /** Of any execution of the state machine. */
  readonly executionArn: string;
  readonly mailIdentityArn: string;
  readonly configurationSetArn: string;
  /** The bare address, as it must stand in the mails. */
  readonly mailFrom: string;
  /** Of any mail that came in. */
  readonly inboundMailObjectArn: string;
};

/**
 * What each right of the manifest comes to: these actions, spelled out, on these things, and nothing else. No action reads
 * the table as a whole. The root secret comes with the function's environment, so that reading it needs no right here.
 */
export function statementsFor(
  permissions: readonly Permission[],
  resourceArns: ResourceArns,
): readonly PolicyStatement[] {
  const statements: Readonly<Record<Permission, readonly PolicyStatement[]>> = {
    'read-table': [
      allow(dynamodbActions('GetItem', 'BatchGetItem', 'Query'), [resourceArns.tableArn]),
      allow(dynamodbActions('Query'), resourceArns.indexArns),
      allowThroughDynamoDb(['kms:Decrypt', 'kms:DescribeKey'], resourceArns.keyArn),
    ],
    'write-table': [
      allow(dynamodbActions('PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem', 'ConditionCheckItem'), [
        resourceArns.tableArn,
      ]),
      allowThroughDynamoDb(
        [
          'kms:Decrypt',
          'kms:DescribeKey',
          'kms:Encrypt',
          'kms:GenerateDataKey',
          'kms:ReEncryptFrom',
          'kms:ReEncryptTo',
        ],
        resourceArns.keyArn,
      ),
    ],
    'root-secret': [],
    'start-workflow': [
      allow(['states:StartExecution'], [resourceArns.stateMachineArn]),
      allow(['states:DescribeExecution'], [resourceArns.executionArn]),
    ],
    'answer-task-token': [allow(['states:SendTaskSuccess'], [resourceArns.stateMachineArn])],
    'send-mail': [
      allow(['ses:SendEmail'], [resourceArns.mailIdentityArn, resourceArns.configurationSetArn], {
        StringEquals: { 'ses:FromAddress': resourceArns.mailFrom },
      }),
    ],
    'read-inbound-mail': [
      allow(['s3:GetObject'], [resourceArns.inboundMailObjectArn]),
      allow(['kms:Decrypt'], [resourceArns.keyArn], {
        StringEquals: { 'kms:ViaService': `s3.${Aws.REGION}.amazonaws.com` },
      }),
    ],
  };
  return permissions.flatMap((permission) => statements[permission]);
}

function dynamodbActions(...actions: readonly string[]): readonly string[] {
  return actions.map((action) => `dynamodb:${action}`);
}

function allowThroughDynamoDb(actions: readonly string[], keyArn: string): PolicyStatement {
  return allow(actions, [keyArn], { StringEquals: { 'kms:ViaService': `dynamodb.${Aws.REGION}.amazonaws.com` } });
}

function allow(
  actions: readonly string[],
  resources: readonly string[],
  conditions: Record<string, Record<string, string>> = {},
): PolicyStatement {
  return new PolicyStatement({ actions: [...actions], resources: [...resources], conditions });
}
