import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { inboundMailPrefix } from '../functions/manifest.ts';
import { suppressFindings } from './nag-suppressions.ts';

/** Where mails wait that came to the exceptions address: for days, until they are read and for as long as one may ask. */
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
      // A bucket with mails in it is not deleted with its stack; they are gone in days anyway.
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
      'Mails are here for days and then gone for good, as people may expect; what comes of one is in the table.';
    const singleReaderReason =
      'SES alone writes to it and one function alone reads; both leave their traces in CloudTrail and the log.';
    suppressFindings(this.bucket, {
      'AwsSolutions-S1': singleReaderReason,
      'NIST.800.53.R5-S3BucketLoggingEnabled': singleReaderReason,
      'NIST.800.53.R5-S3BucketReplicationEnabled': shortLivedReason,
      'NIST.800.53.R5-S3BucketVersioningEnabled': shortLivedReason,
    });
  }
}
