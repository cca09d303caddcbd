import { Duration } from 'aws-cdk-lib';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { suppressFindings } from './nag-suppressions.ts';

/** A queue for events that failed after all retries. It keeps them for 14 days, the maximum of SQS. */
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
      'AwsSolutions-SQS3': 'This queue is itself a dead-letter queue. An alarm reports the first message.',
    });
  }
}
