import type { RemovalPolicy } from 'aws-cdk-lib';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { suppressFindings } from './nag-suppressions.ts';

/** The root secret of the vault. AWS generates it: 64 alphanumeric characters, about 380 bits of entropy. */
export class RootSecret extends Construct {
  readonly secret: Secret;

  constructor(scope: Construct, id: string, props: { readonly key: IKey; readonly removalPolicy: RemovalPolicy }) {
    super(scope, id);
    this.secret = new Secret(this, 'Secret', {
      description: 'The root secret of the vault. It seals and finds product keys. Never change its value.',
      // With a reference by ARN, CDK adds no statements to the key policy. The roles of the account do not need them.
      encryptionKey: Key.fromKeyArn(this, 'Key', props.key.keyArn),
      generateSecretString: { passwordLength: 64, excludePunctuation: true },
      removalPolicy: props.removalPolicy,
    });
    const reason =
      'A hash with this secret finds product keys, so a new value would make every key unfindable. The runbook explains what to do if it leaks. The KMS key that encrypts it rotates automatically.';
    suppressFindings(this.secret, {
      'AwsSolutions-SMG4': reason,
      'NIST.800.53.R5-SecretsManagerRotationEnabled': reason,
    });
  }
}
