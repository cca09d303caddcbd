import { type RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';

/**
 * The KMS key that encrypts all data at rest: the table and its stream, the root secret, inbound email, logs, alarms,
 * and the environments of functions. The key policy covers only the AWS services that use the key directly. Functions
 * get their permissions from their roles.
 */
export class EncryptionKey extends Construct {
  readonly key: Key;

  constructor(scope: Construct, id: string, props: { readonly prefix: string; readonly removalPolicy: RemovalPolicy }) {
    super(scope, id);
    const { account, region } = Stack.of(this);
    this.key = new Key(this, 'Key', {
      alias: props.prefix,
      description: `Encrypts all data of ${props.prefix}`,
      enableKeyRotation: true,
      removalPolicy: props.removalPolicy,
    });
    const allow = (service: string, actions: readonly string[], conditions: Record<string, Record<string, string>>) =>
      this.key.addToResourcePolicy(
        new PolicyStatement({
          principals: [new ServicePrincipal(service)],
          actions: actions.map((action) => `kms:${action}`),
          resources: ['*'],
          conditions,
        }),
      );
    const fromThisAccount = { StringEquals: { 'aws:SourceAccount': account } };
    // CloudWatch Logs sends no source account. Its encryption context contains the ARN of the log group.
    allow(
      `logs.${region}.amazonaws.com`,
      ['Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo', 'GenerateDataKey', 'DescribeKey'],
      { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': `arn:aws:logs:${region}:${account}:log-group:*` } },
    );
    allow('cloudwatch.amazonaws.com', ['Decrypt', 'GenerateDataKey'], fromThisAccount);
    allow('ses.amazonaws.com', ['Decrypt', 'GenerateDataKey'], fromThisAccount);
  }
}
