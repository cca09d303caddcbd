import { Aws, Duration } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { EventSourceMapping, type Function as LambdaFunction, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { SqsDlq } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

/**
 * Invokes a function with every change of the table. Lambda splits a failed batch in half until the failing change is
 * isolated. It retries that change and then moves it to the dead-letter queue, so that other changes are not delayed.
 */
export class StreamSource extends Construct {
  constructor(
    scope: Construct,
    id: string,
    props: {
      readonly function: LambdaFunction;
      readonly streamArn: string;
      readonly key: IKey;
      readonly deadLetterQueue: IQueue;
    },
  ) {
    super(scope, id);
    const statements = [
      new PolicyStatement({
        actions: [
          'dynamodb:DescribeStream',
          'dynamodb:GetRecords',
          'dynamodb:GetShardIterator',
          'dynamodb:ListStreams',
        ],
        resources: [props.streamArn],
      }),
      new PolicyStatement({
        actions: ['kms:Decrypt'],
        resources: [props.key.keyArn],
        conditions: { StringEquals: { 'kms:ViaService': `dynamodb.${Aws.REGION}.amazonaws.com` } },
      }),
    ];
    for (const statement of statements) props.function.addToRolePolicy(statement);
    new EventSourceMapping(this, 'Mapping', {
      target: props.function,
      eventSourceArn: props.streamArn,
      startingPosition: StartingPosition.TRIM_HORIZON,
      batchSize: 100,
      maxBatchingWindow: Duration.seconds(1),
      bisectBatchOnError: true,
      reportBatchItemFailures: true,
      retryAttempts: 5,
      // DynamoDB keeps stream records for 24 hours.
      maxRecordAge: Duration.hours(12),
      onFailure: new SqsDlq(props.deadLetterQueue),
    });
  }
}
