import { CfnOutput, Duration } from 'aws-cdk-lib';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { ReceiptRuleSet, TlsPolicy } from 'aws-cdk-lib/aws-ses';
import { Lambda, LambdaInvocationType } from 'aws-cdk-lib/aws-ses-actions';
import { Construct } from 'constructs';
import { inboundMailPrefix } from '../functions/manifest.ts';

/**
 * Takes the mails to the exceptions address: each is put into the bucket, then a function is told of it, with what SES
 * found out about the sender (SPF, DKIM, DMARC). One rule set of an account is active at a time, and CloudFormation cannot
 * make it so: the deployment says how.
 */
export class InboundMailRule extends Construct {
  constructor(
    scope: Construct,
    id: string,
    props: {
      readonly prefix: string;
      readonly address: string;
      readonly bucketName: string;
      readonly function: LambdaFunction;
      readonly emulated: boolean;
    },
  ) {
    super(scope, id);
    props.function.configureAsyncInvoke({ retryAttempts: 2, maxEventAge: Duration.hours(6) });
    if (props.emulated) return;
    const ruleSet = new ReceiptRuleSet(this, 'RuleSet', { receiptRuleSetName: props.prefix });
    ruleSet.addRule('ExceptionsAddress', {
      // SES takes the address with anything behind a plus sign for the same: answers to questions come so.
      recipients: [props.address],
      scanEnabled: true,
      tlsPolicy: TlsPolicy.OPTIONAL,
      actions: [
        // The bucket’s own policy lets SES in: CDK’s action would write it from here, into a stack that comes first.
        { bind: () => ({ s3Action: { bucketName: props.bucketName, objectKeyPrefix: inboundMailPrefix } }) },
        new Lambda({ function: props.function, invocationType: LambdaInvocationType.EVENT }),
      ],
    });
    new CfnOutput(this, 'RuleSetName', { key: 'ReceiptRuleSetName', value: props.prefix });
  }
}
