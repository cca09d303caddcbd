import { Duration } from 'aws-cdk-lib';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { suppressFindings } from './nag-suppressions.ts';

/** Where what failed for good is kept for two weeks, the longest there is, until somebody has looked. */
export class DeadLetterQueue extends Construct {
  readonly queue: Queue;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.queue = new Queue(this, 'Queue', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    suppressFindings(this.queue, {
      'AwsSolutions-SQS3': 'It is itself where dead letters go; an alarm tells of the first.',
    });
  }
}
