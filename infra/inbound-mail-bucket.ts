import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { inboundMailPrefix } from '../functions/manifest.ts';
import { suppressFindings } from './nag-suppressions.ts';

/** The bucket for inbound email to the exceptions address. Each email expires after a few days. */
export class InboundMailBucket extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, props: { readonly key: IKey; readonly retentionDays: number }) {
    super(scope, id);
    this.bucket = new Bucket(this, 'Bucket', {
      encryption: BucketEncryption.KMS,
      encryptionKey: props.key,
      bucketKeyEnabled: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      lifecycleRules: [
        { expiration: Duration.days(props.retentionDays), abortIncompleteMultipartUploadAfter: Duration.days(1) },
      ],
      // CloudFormation cannot delete a bucket that contains objects, and these objects expire within days.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const { account } = Stack.of(this);
    this.bucket.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('ses.amazonaws.com')],
        actions: ['s3:PutObject'],
        resources: [this.bucket.arnForObjects(`${inboundMailPrefix}*`)],
        conditions: { StringEquals: { 'aws:SourceAccount': account } },
      }),
    );
    const shortLivedReason =
      'Emails expire after a few days, and no other copy must outlive them. The table records the outcome of each email.';
    const singleReaderReason =
      'Only SES writes to the bucket and only one function reads from it. The function’s log records each invocation.';
    suppressFindings(this.bucket, {
      'AwsSolutions-S1': singleReaderReason,
      'NIST.800.53.R5-S3BucketLoggingEnabled': singleReaderReason,
      'NIST.800.53.R5-S3BucketReplicationEnabled': shortLivedReason,
      'NIST.800.53.R5-S3BucketVersioningEnabled': shortLivedReason,
    });
  }
}
