import { Aws } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Permission } from '../functions/manifest.ts';

/** The ARNs of the resources that permissions apply to. */
export type ResourceArns = {
  readonly tableArn: string;
  readonly indexArns: readonly string[];
  readonly keyArn: string;
  readonly stateMachineArn: string;
  /** Matches all executions of the state machine. */
  readonly executionArn: string;
  readonly mailIdentityArn: string;
  readonly configurationSetArn: string;
  /** The sender address that SES requires, without the display name. */
  readonly mailFrom: string;
  /** Matches all inbound emails. */
  readonly inboundMailObjectArn: string;
};

/**
 * Returns the IAM statements for permissions of the manifest. Each statement lists its actions and resources
 * explicitly. No permission allows a scan of the table. The root secret is in the function's environment, so
 * `root-secret` needs no statement.
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
