import type { RemovalPolicy } from 'aws-cdk-lib';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { suppressFindings } from './nag-suppressions.ts';

/** The root secret of the vault, made by AWS and seen by nobody: 64 symbols of 62, some 380 bits. */
export class RootSecret extends Construct {
  readonly secret: Secret;

  constructor(scope: Construct, id: string, props: { readonly key: IKey; readonly removalPolicy: RemovalPolicy }) {
    super(scope, id);
    this.secret = new Secret(this, 'Secret', {
      description:
        'The root secret of the vault: product keys are found by it and sealed with it. Never change its value.',
      // By its ARN only: else CDK would add rights to the key’s policy that the account’s own roles have anyway.
      encryptionKey: Key.fromKeyArn(this, 'Key', props.key.keyArn),
      generateSecretString: { passwordLength: 64, excludePunctuation: true },
      removalPolicy: props.removalPolicy,
    });
    const reason =
      'Product keys are found by a hash under this secret, so that a new value would lose every key. The runbook says what to do when it leaks; the key that encrypts it rotates by itself.';
    suppressFindings(this.secret, {
      'AwsSolutions-SMG4': reason,
      'NIST.800.53.R5-SecretsManagerRotationEnabled': reason,
    });
  }
}
