import { Aws } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Right } from '../functions/manifest.ts';

/** What rights are about, by its ARN. */
export type Things = {
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
  readonly inboundMailArn: string;
};

/**
 * What each right of the manifest comes to: these actions, spelled out, on these things, and nothing else. No action reads
 * the table as a whole. The root secret comes with the function's environment, so that reading it needs no right here.
 */
export function statementsFor(may: readonly Right[], things: Things): readonly PolicyStatement[] {
  const statements: Readonly<Record<Right, readonly PolicyStatement[]>> = {
    'read-table': [
      allow(dynamodb('GetItem', 'BatchGetItem', 'Query'), [things.tableArn]),
      allow(dynamodb('Query'), things.indexArns),
      throughDynamoDb(['kms:Decrypt', 'kms:DescribeKey'], things.keyArn),
    ],
    'write-table': [
      allow(dynamodb('PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem', 'ConditionCheckItem'), [things.tableArn]),
      throughDynamoDb(
        [
          'kms:Decrypt',
          'kms:DescribeKey',
          'kms:Encrypt',
          'kms:GenerateDataKey',
          'kms:ReEncryptFrom',
          'kms:ReEncryptTo',
        ],
        things.keyArn,
      ),
    ],
    'read-vault': [],
    'start-workflow': [
      allow(['states:StartExecution'], [things.stateMachineArn]),
      allow(['states:DescribeExecution'], [things.executionArn]),
    ],
    'answer-task-token': [allow(['states:SendTaskSuccess'], [things.stateMachineArn])],
    'send-mail': [
      allow(['ses:SendEmail'], [things.mailIdentityArn, things.configurationSetArn], {
        StringEquals: { 'ses:FromAddress': things.mailFrom },
      }),
    ],
    'read-inbound-mail': [
      allow(['s3:GetObject'], [things.inboundMailArn]),
      allow(['kms:Decrypt'], [things.keyArn], {
        StringEquals: { 'kms:ViaService': `s3.${Aws.REGION}.amazonaws.com` },
      }),
    ],
  };
  return may.flatMap((right) => statements[right]);
}

function dynamodb(...actions: readonly string[]): readonly string[] {
  return actions.map((action) => `dynamodb:${action}`);
}

function throughDynamoDb(actions: readonly string[], keyArn: string): PolicyStatement {
  return allow(actions, [keyArn], { StringEquals: { 'kms:ViaService': `dynamodb.${Aws.REGION}.amazonaws.com` } });
}

function allow(
  actions: readonly string[],
  resources: readonly string[],
  conditions: Record<string, Record<string, string>> = {},
): PolicyStatement {
  return new PolicyStatement({ actions: [...actions], resources: [...resources], conditions });
}
