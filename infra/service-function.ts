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

/** Which kinds nobody waits for when they are called, so that what fails must be kept somewhere. */
function isAsynchronous({ kind: is }: ManifestEntry): boolean {
  return is === 'schedule' || is === 'stream' || is === 'inbound-mail' || is === 'delivery-events';
}

/** The Lambda of one manifest entry, with a role, a log and an environment of its own, none of them wider than the entry says. */
export class ServiceFunction extends Construct {
  readonly function: LambdaFunction;
  /** Where what failed is kept, for entries that nobody waits for. */
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
      // What must be remembered is in the ledger of the table; the log goes with the function.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: `What ${functionName} may do`,
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
      // Its environment is encrypted under the key, and the function itself opens it when it starts.
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
      // A stream is read by Lambda itself, which is told of its own place for what fails.
      ...(this.deadLetterQueue === undefined || entry.kind === 'stream'
        ? {}
        : { deadLetterQueue: this.deadLetterQueue }),
    });
    suppressFindings(this, suppressionsFor(entry));
    const { executionArn, inboundMailObjectArn: inboundMailArn } = props.resourceArns;
    suppressFindings(this, {
      ...(entry.permissions.includes('start-workflow') && {
        [wildcardFinding(this, executionArn)]:
          'It asks whether an execution of this one state machine is alive; each has a name of its own.',
      }),
      ...(entry.permissions.includes('read-inbound-mail') && {
        [wildcardFinding(this, inboundMailArn)]:
          'It reads the mails that came in and nothing else of this bucket; each has a name of its own.',
      }),
    });
  }
}

function suppressionsFor({ kind: is, maxConcurrency: atOnce }: ManifestEntry): Readonly<Record<string, string>> {
  return {
    'NIST.800.53.R5-LambdaInsideVPC':
      'It talks to DynamoDB, Step Functions, SES and S3 only, each by IAM and TLS. There is nothing in a VPC to reach, and a VPC would add a way out that needs guarding.',
    'NIST.800.53.R5-IAMNoInlinePolicy':
      'The rights are this function’s own. An inline policy cannot be attached to anything else by mistake, and goes with the role.',
    ...(atOnce === undefined && {
      'NIST.800.53.R5-LambdaConcurrency':
        'A number of its own is taken from what the account has, used or not. The gateway’s rates, or the workflow, bound how many run.',
    }),
    ...((is === 'api' || is === 'step') && {
      'NIST.800.53.R5-LambdaDLQ':
        'It is called by who waits for its answer, the gateway or the workflow, and hears of the failure. A dead-letter queue serves only calls that nobody waits for.',
    }),
    ...(is === 'stream' && {
      'NIST.800.53.R5-LambdaDLQ':
        'Lambda reads the stream for it and puts what keeps failing on the queue of the event source mapping; a dead-letter queue of the function is never used.',
    }),
  };
}

/** One function as it stands in the stack: its entry, and what was made of it. */
export type DeployedFunction<Is extends ManifestEntry['kind'] = ManifestEntry['kind']> = {
  readonly name: string;
  readonly entry: ManifestEntry & { readonly kind: Is };
  readonly construct: ServiceFunction;
};
