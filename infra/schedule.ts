import { Aws, Duration } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { type IScheduleTarget, ScheduleExpression, Schedule as SchedulerSchedule } from 'aws-cdk-lib/aws-scheduler';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { ManifestEntry } from '../functions/manifest.ts';
import { suppressFindings } from './nag-suppressions.ts';

/** Calls a function by the clock. A call that could not be made is not made up for: the next one does its work. */
export class Schedule extends Construct {
  constructor(
    scope: Construct,
    id: string,
    props: {
      readonly entry: ManifestEntry & { readonly kind: 'schedule' };
      readonly function: LambdaFunction;
      readonly deadLetterQueue: IQueue;
    },
  ) {
    super(scope, id);
    const { functionArn } = props.function;
    const { queueArn } = props.deadLetterQueue;
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
      description: `Calls by the clock: ${props.entry.purpose}`,
    });
    role.addToPolicy(new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [functionArn] }));
    role.addToPolicy(new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [queueArn] }));
    suppressFindings(role, {
      'NIST.800.53.R5-IAMNoInlinePolicy': 'The rights are this schedule’s own and go with its role.',
    });
    // CDK’s target for Lambda would also let it call any version of the function.
    const target: IScheduleTarget = {
      bind: () => ({
        arn: functionArn,
        role,
        deadLetterConfig: { arn: queueArn },
        retryPolicy: { maximumRetryAttempts: 2, maximumEventAgeInSeconds: 120 },
      }),
    };
    new SchedulerSchedule(this, 'Schedule', {
      description: props.entry.purpose,
      schedule: ScheduleExpression.rate(Duration.parse(props.entry.every)),
      target,
    });
    // While one run has the only place, the next waits for it; what has waited for as long as a run may take is too many.
    props.function.configureAsyncInvoke({
      retryAttempts: 0,
      maxEventAge: Duration.seconds(Math.max(60, props.entry.size.timeoutSeconds)),
    });
  }
}
