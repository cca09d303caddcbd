import { type RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';

/**
 * The one key under which everything is encrypted at rest: table and stream, root secret, mails that came in, logs, alarms,
 * and what functions are given in their environment. Functions get their rights to it from their roles; here are only the
 * services of AWS that use it for themselves.
 */
export class EncryptionKey extends Construct {
  readonly key: Key;

  constructor(scope: Construct, id: string, props: { readonly prefix: string; readonly removalPolicy: RemovalPolicy }) {
    super(scope, id);
    const { account, region } = Stack.of(this);
    this.key = new Key(this, 'Key', {
      alias: props.prefix,
      description: `All that ${props.prefix} keeps`,
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
    // CloudWatch Logs has no source account to go by; the name of the log group is part of what it encrypts with.
    allow(
      `logs.${region}.amazonaws.com`,
      ['Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo', 'GenerateDataKey', 'DescribeKey'],
      { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': `arn:aws:logs:${region}:${account}:log-group:*` } },
    );
    allow('cloudwatch.amazonaws.com', ['Decrypt', 'GenerateDataKey'], fromThisAccount);
    allow('ses.amazonaws.com', ['Decrypt', 'GenerateDataKey'], fromThisAccount);
  }
}
