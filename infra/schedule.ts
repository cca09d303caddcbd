import { Aws, Duration } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { type IScheduleTarget, ScheduleExpression, Schedule as SchedulerSchedule } from 'aws-cdk-lib/aws-scheduler';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { ManifestEntry } from '../functions/manifest.ts';
import { suppressFindings } from './nag-suppressions.ts';

/** Invokes a function on a schedule. A missed run is not rescheduled, because the next run does its work. */
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
      description: `Invokes on a schedule: ${props.entry.purpose}`,
    });
    role.addToPolicy(new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [functionArn] }));
    role.addToPolicy(new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [queueArn] }));
    suppressFindings(role, {
      'NIST.800.53.R5-IAMNoInlinePolicy':
        'The permissions are specific to this schedule and are deleted with its role.',
    });
    // CDK’s Lambda target would also allow it to invoke every version of the function.
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
    // Only one run is active at a time, and the next waits for it. A waiting run expires after the timeout.
    props.function.configureAsyncInvoke({
      retryAttempts: 0,
      maxEventAge: Duration.seconds(Math.max(60, props.entry.size.timeoutSeconds)),
    });
  }
}
