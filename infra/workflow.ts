import { RemovalPolicy } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { DefinitionBody, LogLevel, StateMachine, StateMachineType } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import definition from '../workflows/exception-request.asl.json' with { type: 'json' };
import type { Deployment } from './deployment.ts';
import { suppressFindings } from './nag-suppressions.ts';

/** The state machine's name: it is fixed, since the steps must know it before it is there. */
export function stateMachineNameOf(prefix: string): string {
  return `${prefix}-exception-request`;
}

/** The workflow of an exception request: the file as it is, its placeholders filled with the functions of the steps. */
export class Workflow extends Construct {
  readonly stateMachine: StateMachine;

  constructor(
    scope: Construct,
    id: string,
    props: Pick<Deployment, 'prefix' | 'stage'> & {
      readonly key: IKey;
      readonly steps: Readonly<Record<string, IFunction>>;
    },
  ) {
    super(scope, id);
    const functionArns = Object.fromEntries(
      Object.entries(props.steps).map(([name, step]) => [name, step.functionArn]),
    );
    this.stateMachine = new StateMachine(this, 'StateMachine', {
      stateMachineName: stateMachineNameOf(props.prefix),
      stateMachineType: StateMachineType.STANDARD,
      definitionBody: DefinitionBody.fromString(JSON.stringify(definition)),
      definitionSubstitutions: functionArns,
      tracingEnabled: true,
      logs: {
        destination: new LogGroup(this, 'LogGroup', {
          logGroupName: `/aws/vendedlogs/states/${stateMachineNameOf(props.prefix)}`,
          retention: props.stage.logRetentionDays,
          encryptionKey: props.key,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
        level: LogLevel.ERROR,
        // The data of an execution has task tokens in it.
        includeExecutionData: false,
      },
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.stateMachine.addToRolePolicy(
      new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: Object.values(functionArns) }),
    );
    suppressFindings(this.stateMachine, {
      'AwsSolutions-SF1':
        'Every request’s history is in the ledger. The log is for what went wrong; at another level it would tell each step of each request again.',
      'AwsSolutions-IAM5[Resource::*]':
        'X-Ray and the delivery of logs know no resource that a right could be narrowed to.',
      'NIST.800.53.R5-IAMNoInlinePolicy': 'The rights are the state machine’s own and go with its role.',
    });
  }
}
