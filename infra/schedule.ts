import { Duration } from 'aws-cdk-lib';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { ScheduleExpression, Schedule as SchedulerSchedule } from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Entry } from '../functions/manifest.ts';

/** Calls a function by the clock. A call that could not be made is not made up for: the next one does its work. */
export class Schedule extends Construct {
  constructor(
    scope: Construct,
    id: string,
    props: {
      readonly entry: Entry & { readonly is: 'schedule' };
      readonly function: LambdaFunction;
      readonly deadLetters: IQueue;
    },
  ) {
    super(scope, id);
    const { every } = props.entry;
    new SchedulerSchedule(this, 'Schedule', {
      description: props.entry.purpose,
      schedule: ScheduleExpression.rate(Duration.parse(every)),
      target: new LambdaInvoke(props.function, {
        deadLetterQueue: props.deadLetters,
        retryAttempts: 2,
        maxEventAge: Duration.minutes(2),
      }),
    });
    // While one run has the only place, the next waits for it; what has waited for as long as a run may take is too many.
    props.function.configureAsyncInvoke({
      retryAttempts: 0,
      maxEventAge: Duration.seconds(Math.max(60, props.entry.size.timeoutSeconds)),
    });
  }
}
