import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Architecture, type Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { type ManifestEntry, toKebabCase } from '../functions/manifest.ts';
import { DeadLetterQueue } from './dead-letter-queue.ts';
import type { Deployment } from './deployment.ts';
import { environmentOf, type FunctionSettings } from './function-environment.ts';
import { suppressFindings, wildcardFinding } from './nag-suppressions.ts';
import { type ResourceArns, statementsFor } from './permissions.ts';

/** Returns true if no caller waits for the function. Its failed events must go to a dead-letter queue. */
function isAsynchronous({ kind }: ManifestEntry): boolean {
  return kind === 'schedule' || kind === 'stream' || kind === 'inbound-mail' || kind === 'delivery-events';
}

/** The Lambda of one manifest entry, with its own least-privilege role, log group, and environment. */
export class ServiceFunction extends Construct {
  readonly function: LambdaFunction;
  /** The queue for failed events of an asynchronous function. */
  readonly deadLetterQueue: Queue | undefined;

  constructor(
    scope: Construct,
    id: string,
    props: {
      readonly name: string;
      readonly entry: ManifestEntry;
      readonly code: Code;
      readonly key: IKey;
      readonly resourceArns: ResourceArns;
      readonly settings: FunctionSettings;
    } & Pick<Deployment, 'prefix' | 'stage'>,
  ) {
    super(scope, id);
    const { name, entry, key, stage } = props;
    const functionName = `${props.prefix}-${toKebabCase(name)}`;
    const logGroup = new LogGroup(this, 'LogGroup', {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: stage.logRetentionDays,
      encryptionKey: key,
      // The ledger in the table is the permanent record. The log is deleted with the function.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: `Permissions of ${functionName}`,
    });
    const functionArn = Stack.of(this).formatArn({
      service: 'lambda',
      resource: `function:${functionName}`,
    });
    const statements = [
      new PolicyStatement({
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [logGroup.logGroupArn],
      }),
      // The function decrypts its environment with the key at a cold start.
      new PolicyStatement({
        actions: ['kms:Decrypt'],
        resources: [key.keyArn],
        conditions: { StringEquals: { 'kms:EncryptionContext:aws:lambda:FunctionArn': functionArn } },
      }),
      ...statementsFor(entry.permissions, props.resourceArns),
    ];
    for (const statement of statements) role.addToPolicy(statement);

    this.deadLetterQueue = isAsynchronous(entry) ? new DeadLetterQueue(this, 'DeadLetter').queue : undefined;
    this.function = new LambdaFunction(this, 'Function', {
      functionName,
      description: entry.purpose,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      handler: 'index.handler',
      code: props.code,
      memorySize: entry.size.memoryMegabytes,
      timeout: Duration.seconds(entry.size.timeoutSeconds),
      role,
      logGroup,
      environment: environmentOf(name, entry, props.settings),
      environmentEncryption: key,
      ...(entry.maxConcurrency === undefined ? {} : { reservedConcurrentExecutions: entry.maxConcurrency.limit }),
      // For a stream, the event source mapping has the dead-letter queue.
      ...(this.deadLetterQueue === undefined || entry.kind === 'stream'
        ? {}
        : { deadLetterQueue: this.deadLetterQueue }),
    });
    suppressFindings(this, suppressionsFor(entry));
    const { executionArn, inboundMailObjectArn: inboundMailArn } = props.resourceArns;
    suppressFindings(this, {
      ...(entry.permissions.includes('start-workflow') && {
        [wildcardFinding(this, executionArn)]:
          'The function checks whether an execution of this one state machine is running. Each execution has its own name.',
      }),
      ...(entry.permissions.includes('read-inbound-mail') && {
        [wildcardFinding(this, inboundMailArn)]:
          'The function reads inbound emails and no other object of this bucket. Each email has its own name.',
      }),
    });
  }
}

function suppressionsFor({ kind, maxConcurrency }: ManifestEntry): Readonly<Record<string, string>> {
  return {
    'NIST.800.53.R5-LambdaInsideVPC':
      'The function calls only DynamoDB, Step Functions, SES, and S3, with IAM and TLS. It needs no resource in a VPC, and a VPC would add an egress path to secure.',
    'NIST.800.53.R5-IAMNoInlinePolicy':
      'The permissions are specific to this function. An inline policy cannot be attached to another role by mistake, and is deleted with its role.',
    ...(maxConcurrency === undefined && {
      'NIST.800.53.R5-LambdaConcurrency':
        'Reserved concurrency reduces the shared concurrency of the account, even when it is unused. The rates of the gateway, or the workflow, limit the concurrency.',
    }),
    ...((kind === 'api' || kind === 'step') && {
      'NIST.800.53.R5-LambdaDLQ':
        'The gateway or the workflow waits for the response and receives the error. A dead-letter queue serves only asynchronous invocations.',
    }),
    ...(kind === 'stream' && {
      'NIST.800.53.R5-LambdaDLQ':
        'The event source mapping has a queue for records that fail repeatedly. Lambda never uses a dead-letter queue of the function itself for a stream.',
    }),
  };
}

/** One function of the stack: its manifest entry and its construct. */
export type DeployedFunction<Kind extends ManifestEntry['kind'] = ManifestEntry['kind']> = {
  readonly name: string;
  readonly entry: ManifestEntry & { readonly kind: Kind };
  readonly construct: ServiceFunction;
};
