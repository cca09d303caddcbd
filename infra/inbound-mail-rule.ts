import { CfnOutput, Duration } from 'aws-cdk-lib';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { ReceiptRuleSet, TlsPolicy } from 'aws-cdk-lib/aws-ses';
import { Lambda, LambdaInvocationType } from 'aws-cdk-lib/aws-ses-actions';
import { Construct } from 'constructs';
import { inboundMailPrefix } from '../functions/manifest.ts';

/**
 * Receives email to the exceptions address. SES stores each email in the bucket, then invokes a function with its
 * verdicts on the sender (SPF, DKIM, DMARC). An account has one active rule set per Region, and CloudFormation cannot
 * activate it: `npm run deploy` prints the command.
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
      // SES also matches this address with a tag after a plus sign. Replies to questions have such a tag.
      recipients: [props.address],
      scanEnabled: true,
      tlsPolicy: TlsPolicy.OPTIONAL,
      actions: [
        // The bucket’s policy already allows SES. CDK’s action would change that policy, which is in the other stack.
        { bind: () => ({ s3Action: { bucketName: props.bucketName, objectKeyPrefix: inboundMailPrefix } }) },
        new Lambda({ function: props.function, invocationType: LambdaInvocationType.EVENT }),
      ],
    });
    new CfnOutput(this, 'RuleSetName', { key: 'ReceiptRuleSetName', value: props.prefix });
  }
}
