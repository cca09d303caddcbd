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

/** Returns the name of the state machine. It is fixed, because the steps need its ARN before it exists. */
export function stateMachineNameOf(prefix: string): string {
  return `${prefix}-exception-request`;
}

/** The workflow of an exception request: the definition file, with placeholders replaced by the ARNs of the steps. */
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
        // The execution data contains task tokens.
        includeExecutionData: false,
      },
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.stateMachine.addToRolePolicy(
      new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: Object.values(functionArns) }),
    );
    suppressFindings(this.stateMachine, {
      'AwsSolutions-SF1':
        'The ledger has the history of every request. The log is for errors; at another level, it would duplicate every step of every request.',
      'AwsSolutions-IAM5[Resource::*]': 'X-Ray and log delivery do not support resource-level permissions.',
      'NIST.800.53.R5-IAMNoInlinePolicy':
        'The permissions are specific to the state machine and are deleted with its role.',
    });
  }
}
