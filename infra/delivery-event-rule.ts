import { Duration } from 'aws-cdk-lib';
import { Rule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

/** Invokes a function with the delivery failures and complaints that SES reports about our emails. */
export class DeliveryEventRule extends Construct {
  constructor(
    scope: Construct,
    id: string,
    props: {
      readonly function: LambdaFunction;
      readonly configurationSetName: string;
      readonly deadLetterQueue: IQueue;
    },
  ) {
    super(scope, id);
    new Rule(this, 'Rule', {
      description: 'Delivery failures and complaints about the emails of this stage',
      eventPattern: {
        source: ['aws.ses'],
        detailType: ['Email Bounced', 'Email Complaint Received', 'Email Rejected', 'Email Delivery Delayed'],
        detail: { mail: { tags: { 'ses:configuration-set': [props.configurationSetName] } } },
      },
      targets: [
        new LambdaTarget(props.function, {
          deadLetterQueue: props.deadLetterQueue,
          retryAttempts: 10,
          maxEventAge: Duration.hours(6),
        }),
      ],
    });
    props.function.configureAsyncInvoke({ retryAttempts: 2, maxEventAge: Duration.hours(6) });
  }
}
