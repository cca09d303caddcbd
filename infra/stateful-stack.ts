import { CfnOutput, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Deployment } from './deployment.ts';
import { EncryptionKey } from './encryption-key.ts';
import { InboundMailBucket } from './inbound-mail-bucket.ts';
import { MailIdentity } from './mail-identity.ts';
import { RootSecret } from './root-secret.ts';
import { StoreTable } from './table.ts';
import { ServiceUserPool } from './user-pool.ts';

/**
 * The stateful stack, which outlives every deployment: data, root secret, encryption key, accounts, and email domain.
 */
export class StatefulStack extends Stack {
  readonly encryption: EncryptionKey;
  readonly table: StoreTable;
  readonly rootSecret: RootSecret;
  readonly users: ServiceUserPool;
  readonly inboundMail: InboundMailBucket;
  /** The bucket’s ARN, exported under a readable name. The acknowledgement of a wildcard finding contains this name. */
  readonly inboundMailBucketArn: string;
  readonly mail: MailIdentity;

  constructor(scope: Construct, id: string, { prefix, stage, env, emulated }: Deployment) {
    const isRetained = stage.removalPolicy === 'retain';
    super(scope, id, {
      env,
      description: `Data of ${prefix}: table, key, root secret, accounts, email domain`,
      terminationProtection: isRetained,
    });
    const removalOptions = {
      removalPolicy: isRetained ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      deletionProtection: isRetained,
    };
    this.encryption = new EncryptionKey(this, 'Encryption', { prefix, ...removalOptions });
    const { key } = this.encryption;
    this.table = new StoreTable(this, 'Store', { key, ...removalOptions, restoredTable: stage.restoredTable });
    this.rootSecret = new RootSecret(this, 'RootSecret', { key, ...removalOptions });
    this.users = new ServiceUserPool(this, 'UserPool', { prefix, signIn: stage.signIn, ...removalOptions });
    this.inboundMail = new InboundMailBucket(this, 'InboundMail', {
      key,
      retentionDays: stage.inboundMailRetentionDays,
    });
    this.inboundMailBucketArn = this.exportValue(this.inboundMail.bucket.bucketArn, {
      name: `${prefix}-inbound-mail-bucket-arn`,
    });
    this.mail = new MailIdentity(this, 'Mail', { ...stage, emulated });

    new CfnOutput(this, 'TableName', { value: this.table.table.tableName });
    new CfnOutput(this, 'UserPoolId', { value: this.users.userPool.userPoolId });
    new CfnOutput(this, 'UserPoolClientId', { value: this.users.client.userPoolClientId });
    new CfnOutput(this, 'SignInUrl', { value: this.users.signInUrl });
  }
}
