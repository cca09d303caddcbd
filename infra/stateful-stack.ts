import { CfnOutput, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Deployment } from './deployment.ts';
import { EncryptionKey } from './encryption-key.ts';
import { InboundMailBucket } from './inbound-mail-bucket.ts';
import { MailIdentity } from './mail-identity.ts';
import { VaultSecret } from './root-secret.ts';
import { TheTable } from './table.ts';
import { People } from './user-pool.ts';

/** What must outlive every deployment: the data, the secret and key that open them, who may sign in, the mail domain. */
export class KeptStack extends Stack {
  readonly encryption: EncryptionKey;
  readonly table: TheTable;
  readonly vault: VaultSecret;
  readonly people: People;
  readonly inboundMail: InboundMailBucket;
  /** The bucket’s ARN as the other stack knows it: under a name that can be read where a right to it is explained. */
  readonly inboundMailArn: string;
  readonly mail: MailIdentity;

  constructor(scope: Construct, id: string, { prefix, stage, env, emulated }: Deployment) {
    const keep = stage.whenRemoved === 'keep';
    super(scope, id, {
      env,
      description: `What ${prefix} keeps: table, key, root secret, accounts, mail domain`,
      terminationProtection: keep,
    });
    const removal = {
      whenRemoved: keep ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      deletionProtection: keep,
    };
    this.encryption = new EncryptionKey(this, 'Encryption', { prefix, ...removal });
    const { key } = this.encryption;
    this.table = new TheTable(this, 'Store', { key, ...removal, restored: stage.restoredTable });
    this.vault = new VaultSecret(this, 'Vault', { key, ...removal });
    this.people = new People(this, 'People', { prefix, signIn: stage.signIn, ...removal });
    this.inboundMail = new InboundMailBucket(this, 'InboundMail', { key, keptForDays: stage.inboundMailForDays });
    this.inboundMailArn = this.exportValue(this.inboundMail.bucket.bucketArn, { name: `${prefix}-inbound-mail-arn` });
    this.mail = new MailIdentity(this, 'Mail', { ...stage, emulated });

    new CfnOutput(this, 'TableName', { value: this.table.table.tableName });
    new CfnOutput(this, 'UserPoolId', { value: this.people.userPool.userPoolId });
    new CfnOutput(this, 'ClientId', { value: this.people.client.userPoolClientId });
    new CfnOutput(this, 'SignInAddress', { value: this.people.signInAddress });
  }
}
