import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Architecture, type Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { type Entry, hyphenated } from '../functions/manifest.ts';
import { DeadLetters } from './dead-letter-queue.ts';
import type { Deployment } from './deployment.ts';
import { environmentOf, type Facts } from './function-environment.ts';
import { acknowledge, rightToAnyOf } from './nag-suppressions.ts';
import { statementsFor, type Things } from './permissions.ts';

/** Which kinds nobody waits for when they are called, so that what fails must be kept somewhere. */
function isAsynchronous({ is }: Entry): boolean {
  return is === 'schedule' || is === 'stream' || is === 'inbound-mail' || is === 'mail-events';
}

/** The Lambda of one manifest entry, with a role, a log and an environment of its own, none of them wider than the entry says. */
export class EntryFunction extends Construct {
  readonly function: LambdaFunction;
  /** Where what failed is kept, for entries that nobody waits for. */
  readonly deadLetters: Queue | undefined;

  constructor(
    scope: Construct,
    id: string,
    props: {
      readonly name: string;
      readonly entry: Entry;
      readonly code: Code;
      readonly key: IKey;
      readonly things: Things;
      readonly facts: Facts;
    } & Pick<Deployment, 'prefix' | 'stage'>,
  ) {
    super(scope, id);
    const { name, entry, key, stage } = props;
    const functionName = `${props.prefix}-${hyphenated(name)}`;
    const logGroup = new LogGroup(this, 'Log', {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: stage.logsForDays,
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
      ...statementsFor(entry.may, props.things),
    ];
    for (const statement of statements) role.addToPolicy(statement);

    this.deadLetters = isAsynchronous(entry) ? new DeadLetters(this, 'DeadLetters').queue : undefined;
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
      environment: environmentOf(name, entry, props.facts),
      environmentEncryption: key,
      ...(entry.atOnce === undefined ? {} : { reservedConcurrentExecutions: entry.atOnce.most }),
      // A stream is read by Lambda itself, which is told of its own place for what fails.
      ...(this.deadLetters === undefined || entry.is === 'stream' ? {} : { deadLetterQueue: this.deadLetters }),
    });
    acknowledge(this, reasonsFor(entry));
    const { executionArn, inboundMailArn } = props.things;
    acknowledge(this, {
      ...(entry.may.includes('start-workflow') && {
        [rightToAnyOf(this, executionArn)]:
          'It asks whether an execution of this one state machine is alive; each has a name of its own.',
      }),
      ...(entry.may.includes('read-inbound-mail') && {
        [rightToAnyOf(this, inboundMailArn)]:
          'It reads the mails that came in and nothing else of this bucket; each has a name of its own.',
      }),
    });
  }
}

function reasonsFor({ is, atOnce }: Entry): Readonly<Record<string, string>> {
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
export type Standing<Is extends Entry['is'] = Entry['is']> = {
  readonly name: string;
  readonly entry: Entry & { readonly is: Is };
  readonly made: EntryFunction;
};
