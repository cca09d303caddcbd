import { CfnRoute } from 'aws-cdk-lib/aws-apigatewayv2';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { FunctionUrlAuthType, Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Bucket, CfnBucket } from 'aws-cdk-lib/aws-s3';
import { CfnConfigurationSetEventDestination } from 'aws-cdk-lib/aws-ses';
import { describe, expect, it, vi } from 'vitest';
import * as environment from '../../functions/environment.ts';
import { businessMetrics, manifest, needsToken, type Permission, toKebabCase } from '../../functions/manifest.ts';
import { tableSchema } from '../../store/dynamodb/schema.ts';
import asl from '../../workflows/exception-request.asl.json' with { type: 'json' };
import { readProjectFile } from '../project-files.ts';
import {
  flatten,
  type Manifest,
  ofType,
  type Resource,
  type Stack,
  stageNamed,
  synthesize,
  type Templates,
  toList,
  valueAt,
} from './synth.ts';

/** The manifest as anything may be asked of it. */
const entries: Manifest = manifest;
const honest = synthesize();

/** Rights of one role, by the function that has it. */
function statementsOf(stack: Stack, functionId: string): readonly unknown[] {
  const found = stack.resources.find(({ id }) => id === functionId);
  const role = valueAt(found?.Properties.Role, 'Fn::GetAtt', 0);
  return ofType(stack, 'AWS::IAM::Policy')
    .filter(({ Properties: policy }) => toList(policy.Roles).some((each) => valueAt(each, 'Ref') === role))
    .flatMap(({ Properties: policy }) => toList(valueAt(policy.PolicyDocument, 'Statement')));
}

/** The functions of a stack, by the name of their manifest entry. */
function functionsOf(stack: Stack, of: Manifest): readonly (Resource & { readonly name: string })[] {
  const byFunctionName = new Map(Object.keys(of).map((name) => [toKebabCase(name), name]));
  return ofType(stack, 'AWS::Lambda::Function').map((resource) => {
    const hyphens = flatten(resource.Properties.FunctionName).replace(/^volume-activation-(prod|dev)-/, '');
    return { ...resource, name: byFunctionName.get(hyphens) ?? hyphens };
  });
}

/** Which right of the manifest an action needs; `null` for what every function, or its event source, needs to run at all. */
function rightFor(action: string, resource: string): Permission | 'none' | null {
  if (/^dynamodb:(GetItem|BatchGetItem|Query)$/.test(action)) return 'read-table';
  if (/^dynamodb:(PutItem|UpdateItem|DeleteItem|BatchWriteItem|ConditionCheckItem)$/.test(action)) return 'write-table';
  if (/^states:(StartExecution|DescribeExecution)$/.test(action)) return 'start-workflow';
  if (/^states:SendTask/.test(action)) return 'answer-task-token';
  if (/^ses:/.test(action)) return 'send-mail';
  if (/^s3:GetObject$/.test(action)) return 'read-inbound-mail';
  if (/^kms:(Encrypt|GenerateDataKey|ReEncryptFrom|ReEncryptTo)$/.test(action)) return 'write-table';
  if (/^kms:(Decrypt|DescribeKey)$|^logs:(CreateLogStream|PutLogEvents)$/.test(action)) return null;
  if (/^sqs:/.test(action) && /DeadLetterQueue/.test(resource)) return null;
  if (/^dynamodb:(DescribeStream|GetRecords|GetShardIterator|ListStreams)$/.test(action) && /Stream/.test(resource))
    return null;
  return 'none';
}

/** What functions may do that their entries do not say. */
function unsaidRights({ service }: Templates, of: Manifest): readonly string[] {
  return functionsOf(service, of).flatMap(({ id, name }) =>
    statementsOf(service, id).flatMap((statement) =>
      toList(valueAt(statement, 'Action')).flatMap((action) => {
        const right = rightFor(String(action), flatten(valueAt(statement, 'Resource')));
        const said = right === null || (right !== 'none' && of[name]?.permissions.includes(right));
        return said ? [] : [`${name} may ${action}`];
      }),
    ),
  );
}

/** Every statement of every policy in a stack that lets somebody do something. */
function allowances(stack: Stack): readonly { readonly of: Resource; readonly statement: unknown }[] {
  return stack.resources.flatMap((of) =>
    ['PolicyDocument', 'KeyPolicy', 'AssumeRolePolicyDocument']
      .flatMap((document) => toList(valueAt(of.Properties[document], 'Statement')))
      .filter((statement) => valueAt(statement, 'Effect') === 'Allow')
      .map((statement) => ({ of, statement })),
  );
}

function actionsIn(
  stack: Stack,
): readonly { readonly of: Resource; readonly action: string; readonly resource: string }[] {
  return allowances(stack).flatMap(({ of, statement }) =>
    toList(valueAt(statement, 'Action')).map((action) => ({
      of,
      action: String(action),
      resource: flatten(valueAt(statement, 'Resource')),
    })),
  );
}

/** Who may read the table as a whole, in whichever way. */
function scanners({ stateful, service }: Templates): readonly string[] {
  return [...actionsIn(stateful), ...actionsIn(service)]
    .filter(({ action }) => /^dynamodb:(Scan|PartiQL|Export|\*|.*\*)/i.test(action) || action === '*')
    .map(({ of, action }) => `${of.id} may ${action}`);
}

/** Rights without a bound: any action, or any resource. The root of the account must be let into its own key. */
function unbounded({ stateful, service }: Templates): readonly string[] {
  return [...actionsIn(stateful), ...actionsIn(service)]
    .filter(({ of, action, resource }) => {
      if (of.Type === 'AWS::KMS::Key') return action.includes('*') && action !== 'kms:*';
      return action.includes('*') || resource === '*';
    })
    .map(({ of, action }) => `${of.id} may ${action}`);
}

/** What the world can reach, but for the API. */
function public_({ stateful, service }: Templates): readonly string[] {
  const everything = [...stateful.resources, ...service.resources];
  const block = { BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true };
  return [
    ...everything
      .filter(({ Type }) => Type === 'AWS::Lambda::Url')
      .map(({ id }) => `${id} is an address of a function`),
    ...everything
      .filter(
        ({ Type, Properties }) =>
          Type === 'AWS::S3::Bucket' &&
          JSON.stringify(Properties.PublicAccessBlockConfiguration) !== JSON.stringify(block),
      )
      .map(({ id }) => `${id} is a bucket that may be opened`),
    ...everything
      .filter(({ Type }) => Type === 'AWS::Lambda::Permission')
      .filter(({ Properties: { Principal, SourceArn, SourceAccount } }) => {
        const isService = /^(apigateway|events|ses)\.amazonaws\.com$/.test(flatten(Principal));
        return !isService || (SourceArn === undefined && SourceAccount === undefined);
      })
      .map(({ id }) => `${id} lets more call than it names`),
    ...[...allowances(stateful), ...allowances(service)]
      .filter(
        ({ statement }) =>
          flatten(valueAt(statement, 'Principal')).includes('*') ||
          flatten(valueAt(statement, 'Principal', 'AWS')) === '*',
      )
      .map(({ of }) => `${of.id} lets in everybody`),
  ];
}

/** Routes whose gateway check is not what the manifest says: signed in, or with another credential. */
function unguarded({ service }: Templates, of: Manifest): readonly string[] {
  const who = new Map(Object.values(of).flatMap((entry) => (entry.kind === 'api' ? Object.entries(entry.routes) : [])));
  return ofType(service, 'AWS::ApiGatewayV2::Route').flatMap(({ Properties: { RouteKey, AuthorizationType } }) => {
    const open = who.get(flatten(RouteKey).replace(/^HEAD /, 'GET '));
    const wanted = open !== undefined && needsToken(open) ? 'JWT' : 'NONE';
    const known = open !== undefined || RouteKey === '$default';
    return known && (AuthorizationType ?? 'NONE') === wanted ? [] : [`${RouteKey} is ${AuthorizationType}`];
  });
}

/** What is written down of calls that could hold the token of an approval link. */
function pathsInLogs({ service }: Templates): readonly string[] {
  return ofType(service, 'AWS::ApiGatewayV2::Stage').flatMap(({ id, Properties }) => {
    const format = flatten(valueAt(Properties.AccessLogSettings, 'Format'));
    const variables = format.match(/\$context\.[\w.]+/g) ?? [];
    return variables.length === 0 ||
      variables.some((each) => /path|querystring|header|request\.|integration\.request/i.test(each))
      ? [`${id} logs ${format}`]
      : [];
  });
}

/** Data that a stack would take with it. */
const statefulTypes = [
  'AWS::DynamoDB::Table',
  'AWS::S3::Bucket',
  'AWS::Cognito::UserPool',
  'AWS::SecretsManager::Secret',
  'AWS::KMS::Key',
  'AWS::SES::EmailIdentity',
];

describe('rights', () => {
  it('are only those that the manifest says', () => {
    expect(unsaidRights(honest, entries)).toEqual([]);
  });

  it('are noticed when the manifest does not say them', () => {
    const { meta, sweep } = manifest;
    const planted = synthesize({
      manifest: {
        ...entries,
        meta: { ...meta, permissions: ['write-table', 'answer-task-token', 'send-mail', 'read-inbound-mail'] },
        sweep: { ...sweep, permissions: ['read-table', 'write-table', 'start-workflow'] },
      },
    });
    expect(new Set(unsaidRights(planted, entries))).toEqual(
      new Set([
        ...['PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem', 'ConditionCheckItem'].map(
          (each) => `meta may dynamodb:${each}`,
        ),
        ...['Encrypt', 'GenerateDataKey', 'ReEncryptFrom', 'ReEncryptTo'].map((each) => `meta may kms:${each}`),
        'meta may states:SendTaskSuccess',
        'meta may ses:SendEmail',
        'meta may s3:GetObject',
      ]),
    );
  });

  it('are there where the manifest says them, on the things that they are about', () => {
    const rights = functionsOf(honest.service, entries).flatMap(({ id, name }) =>
      statementsOf(honest.service, id).flatMap((statement) =>
        toList(valueAt(statement, 'Action')).map(
          (action) => `${name} ${action} ${flatten(valueAt(statement, 'Resource'))}`,
        ),
      ),
    );
    expect(rights).toContainEqual(expect.stringMatching(/^sweep dynamodb:UpdateItem <[^>]*StoreTable[^>]*>$/));
    expect(rights).toContainEqual(expect.stringMatching(/^sweep dynamodb:Query .*\/index\/next-action/));
    expect(rights).toContainEqual(
      expect.stringMatching(/^sweep states:SendTaskSuccess .*:stateMachine:volume-activation-prod-exception-request$/),
    );
    expect(rights).toContainEqual(expect.stringMatching(/^sweep ses:SendEmail .*identity\/activation\.example\.com/));
    expect(rights).toContainEqual(
      expect.stringMatching(/^inboundMail s3:GetObject <[^>]*inbound-mail-bucket-arn>\/inbound\/\*$/),
    );
    expect(rights.filter((each) => each.startsWith('meta '))).toHaveLength(3);
  });

  it('are a role’s own: no two functions share one', () => {
    const roles = functionsOf(honest.service, entries).map(({ Properties }) => flatten(Properties.Role));
    expect(new Set(roles).size).toBe(Object.keys(entries).length);
  });
});

describe('things that must not be', () => {
  const planted = synthesize({
    modify: ({ stateful, service }) => {
      const functions = service.node.findAll().filter((each): each is LambdaFunction => each instanceof LambdaFunction);
      const [one] = functions;
      if (one === undefined) throw new Error('There is no function to plant something in.');
      one.addToRolePolicy(new PolicyStatement({ actions: ['dynamodb:Scan', 's3:*'], resources: ['*'] }));
      one.addFunctionUrl({ authType: FunctionUrlAuthType.NONE });
      for (const each of service.node.findAll()) {
        if (each instanceof CfnRoute && each.authorizationType === 'JWT') each.authorizationType = 'NONE';
        if (each instanceof CfnConfigurationSetEventDestination) {
          each.addPropertyOverride('EventDestination.MatchingEventTypes', ['bounce', 'click']);
        }
      }
      for (const each of stateful.node.findAll()) {
        if (each instanceof CfnBucket) each.publicAccessBlockConfiguration = undefined;
      }
      new Bucket(service, 'Stray');
      const stage = service.node.findAll().find(({ node }) => node.path.endsWith('Api/Stage/Resource'));
      if (stage !== undefined && 'addPropertyOverride' in stage && typeof stage.addPropertyOverride === 'function') {
        stage.addPropertyOverride('AccessLogSettings.Format', '$context.requestId $context.path');
      }
    },
  });

  it('nobody may read the table as a whole', () => {
    expect(scanners(honest)).toEqual([]);
    expect(scanners(planted)).toEqual([expect.stringMatching(/may dynamodb:Scan$/)]);
  });

  it('no right is without a bound, but for tracing and the delivery of the workflow’s log', () => {
    const bounded = (each: string) => !/^WorkflowStateMachineRole\w+ may (xray|logs):\w+$/.test(each);
    expect(unbounded(honest).filter(bounded)).toEqual([]);
    expect(unbounded(planted).filter(bounded)).toEqual([
      expect.stringMatching(/may dynamodb:Scan$/),
      expect.stringMatching(/may s3:\*$/),
    ]);
  });

  it('nothing is public but the API', () => {
    expect(public_(honest)).toEqual([]);
    const found = public_(planted).join('\n');
    expect(found).toMatch(/is an address of a function/);
    expect(found).toMatch(/is a bucket that may be opened/);
    expect(found).toMatch(/lets more call than it names/);
  });

  it('no route is open that asks for a person', () => {
    expect(unguarded(honest, entries)).toEqual([]);
    expect(unguarded(planted, entries)).toContain('GET /agreements is NONE');
  });

  it('APR-1 no path of a call is logged, for an approval link is one', () => {
    expect(pathsInLogs(honest)).toEqual([]);
    expect(pathsInLogs(planted)).toEqual([expect.stringContaining('$context.path')]);
  });

  it('no mail is tracked: neither opened mails nor clicked links', () => {
    const tracked = ({ service }: Templates) =>
      ofType(service, 'AWS::SES::ConfigurationSetEventDestination').flatMap(({ Properties }) =>
        toList(valueAt(Properties.EventDestination, 'MatchingEventTypes')).filter(
          (each) => each === 'open' || each === 'click',
        ),
      );
    expect(tracked(honest)).toEqual([]);
    expect(tracked(planted)).toEqual(['click']);
    expect(
      valueAt(ofType(honest.service, 'AWS::SES::ConfigurationSet')[0]?.Properties, 'TrackingOptions'),
    ).toBeUndefined();
  });

  it('nothing that keeps data is in the stack that may go', () => {
    const keepers = ({ service }: Templates) => service.resources.filter(({ Type }) => statefulTypes.includes(Type));
    expect(keepers(honest)).toEqual([]);
    expect(keepers(planted)).toHaveLength(1);
    expect(honest.stateful.text).not.toMatch(/ImportValue/);
  });
});

describe('the table', () => {
  const [table] = ofType(honest.stateful, 'AWS::DynamoDB::Table');
  const is = table?.Properties ?? {};

  it('is paid by use, restorable, kept from deletion, under our own key, and tells its changes', () => {
    expect(is.BillingMode).toBe('PAY_PER_REQUEST');
    expect(is.PointInTimeRecoverySpecification).toEqual({ PointInTimeRecoveryEnabled: true });
    expect(is.DeletionProtectionEnabled).toBe(true);
    expect(is.SSESpecification).toMatchObject({ SSEEnabled: true, SSEType: 'KMS' });
    expect(flatten(valueAt(is.SSESpecification, 'KMSMasterKeyId'))).toMatch(/^<EncryptionKey/);
    expect(is.StreamSpecification).toEqual({ StreamViewType: tableSchema.stream });
    expect(is.TimeToLiveSpecification).toEqual({ AttributeName: tableSchema.timeToLive, Enabled: true });
    expect(honest.stateful.text).toMatch(/"DeletionPolicy":"Retain"/);
  });

  it('has the indexes of its schema, with keys only', () => {
    expect(
      toList(is.GlobalSecondaryIndexes).map((index) => [
        valueAt(index, 'IndexName'),
        valueAt(index, 'KeySchema', 0, 'AttributeName'),
        valueAt(index, 'KeySchema', 1, 'AttributeName'),
        valueAt(index, 'Projection', 'ProjectionType'),
      ]),
    ).toEqual(tableSchema.indexes.map(({ name, partitionKey, sortKey }) => [name, partitionKey, sortKey, 'KEYS_ONLY']));
  });
});

describe('a function', () => {
  const functions = functionsOf(honest.service, entries);

  it('is made for every entry, as large as the entry says', () => {
    expect(functions.map(({ name, Properties: { MemorySize, Timeout } }) => [name, MemorySize, Timeout])).toEqual(
      Object.entries(entries).map(([name, { size }]) => [name, size.memoryMegabytes, size.timeoutSeconds]),
    );
    for (const { Properties } of functions) {
      expect(Properties).toMatchObject({ Runtime: 'nodejs24.x', Architectures: ['arm64'], Handler: 'index.handler' });
    }
  });

  it('runs only so many times at once where the entry says so', () => {
    for (const { name, Properties } of functions) {
      expect([name, Properties.ReservedConcurrentExecutions]).toEqual([name, entries[name]?.maxConcurrency?.limit]);
    }
  });

  it('logs to a log of its own that is encrypted and forgets', () => {
    const logs = functions.map(({ Properties }) => flatten(valueAt(Properties.LoggingConfig, 'LogGroup')));
    expect(new Set(logs).size).toBe(functions.length);
    for (const { Properties } of ofType(honest.service, 'AWS::Logs::LogGroup')) {
      expect(Properties.RetentionInDays).toBe(stageNamed('prod').logRetentionDays);
      expect(Properties.KmsKeyId).toBeDefined();
    }
  });

  it('is told what its rights need, and nothing that it has no right to', () => {
    const needs: Readonly<Record<string, readonly Permission[]>> = {
      TABLE_NAME: ['read-table', 'write-table'],
      ROOT_SECRET: ['root-secret'],
      STATE_MACHINE_ARN: ['start-workflow', 'answer-task-token'],
      MAIL_FROM: ['send-mail'],
      PUBLIC_URL: ['send-mail'],
      INBOUND_MAIL_BUCKET: ['read-inbound-mail'],
    };
    for (const { name, Properties } of functions) {
      const told = Object.keys(valueAt(Properties.Environment, 'Variables') ?? {});
      const may = entries[name]?.permissions ?? [];
      for (const [variable, rights] of Object.entries(needs)) {
        const needed = rights.some((each) => may.includes(each));
        expect([name, variable, told.includes(variable)]).toEqual([name, variable, needed]);
      }
    }
  });

  it('finds all in its environment that it will look for', () => {
    const readers: Partial<Record<Permission, () => unknown>> = {
      'read-table': environment.tableEnvironment,
      'write-table': environment.tableEnvironment,
      'send-mail': environment.mailEnvironment,
      'start-workflow': environment.workflowEnvironment,
      'answer-task-token': environment.workflowEnvironment,
      'read-inbound-mail': environment.inboundMailEnvironment,
    };
    for (const { name, Properties } of functions) {
      const told = Object.entries(valueAt(Properties.Environment, 'Variables') ?? {});
      for (const [variable, value] of told) vi.stubEnv(variable, flatten(value));
      for (const right of entries[name]?.permissions ?? []) expect(readers[right] ?? (() => undefined)).not.toThrow();
      for (const [variable] of told) vi.stubEnv(variable, undefined);
    }
    // Nothing of it was there before, or is now.
    expect(environment.tableEnvironment).toThrow(/TABLE_NAME/);
    vi.unstubAllEnvs();
  });

  it('KEY-6 gets the root secret by a reference, and keeps its environment under our key', () => {
    for (const { Properties } of functions) {
      const secret = valueAt(Properties.Environment, 'Variables', 'ROOT_SECRET');
      if (secret !== undefined)
        expect(flatten(secret)).toMatch(/^\{\{resolve:secretsmanager:<[^>]*RootSecret[^>]*>:SecretString:::\}\}$/);
      expect(flatten(Properties.KmsKeyArn)).toMatch(/EncryptionKey/);
    }
  });

  it('may open its own environment with our key, and nothing else but through the service that keeps it', () => {
    for (const { id, name, Properties } of functions) {
      const opens = statementsOf(honest.service, id).filter((statement) =>
        toList(valueAt(statement, 'Action')).includes('kms:Decrypt'),
      );
      const own = opens.map((each) =>
        valueAt(each, 'Condition', 'StringEquals', 'kms:EncryptionContext:aws:lambda:FunctionArn'),
      );
      expect(own.filter((each) => each !== undefined).map(flatten)).toEqual([
        expect.stringMatching(new RegExp(`:function:${flatten(Properties.FunctionName)}$`)),
      ]);
      for (const each of opens) {
        expect([name, Object.keys(valueAt(each, 'Condition', 'StringEquals') ?? {})]).not.toEqual([name, []]);
      }
    }
  });

  it('that nobody waits for has somewhere to put what fails', () => {
    const queues = ofType(honest.service, 'AWS::SQS::Queue').map(({ id }) => id);
    const mappings = ofType(honest.service, 'AWS::Lambda::EventSourceMapping');
    for (const { id, name, Properties } of functions) {
      const kind = entries[name]?.kind;
      const ofTheFunction = flatten(valueAt(Properties.DeadLetterConfig, 'TargetArn'));
      const ofTheStream = flatten(
        valueAt(
          mappings.find((each) => flatten(each.Properties.FunctionName) === `<${id}>`)?.Properties,
          'DestinationConfig',
          'OnFailure',
          'Destination',
        ),
      );
      const has = queues.some((queue) => `<${queue}.Arn>` === ofTheFunction || `<${queue}.Arn>` === ofTheStream);
      expect([name, has]).toEqual([name, kind !== 'api' && kind !== 'step']);
    }
    for (const { Properties } of [
      ...ofType(honest.service, 'AWS::Scheduler::Schedule'),
      ...ofType(honest.service, 'AWS::Events::Rule'),
    ]) {
      const target = Properties.Target ?? valueAt(Properties.Targets, 0);
      expect(flatten(valueAt(target, 'DeadLetterConfig', 'Arn'))).toMatch(/DeadLetterQueue/);
    }
  });

  it('that reads the stream halves a batch that fails, and sets aside what keeps failing', () => {
    const mappings = ofType(honest.service, 'AWS::Lambda::EventSourceMapping');
    expect(mappings).toHaveLength(Object.values(entries).filter(({ kind: is }) => is === 'stream').length);
    for (const { Properties } of mappings) {
      expect(Properties).toMatchObject({
        BisectBatchOnFunctionError: true,
        FunctionResponseTypes: ['ReportBatchItemFailures'],
      });
      expect(Properties.MaximumRetryAttempts).toBeGreaterThan(0);
    }
  });

  it('that runs by the clock is called as often as its entry says', () => {
    expect(
      ofType(honest.service, 'AWS::Scheduler::Schedule').map(({ Properties }) => Properties.ScheduleExpression),
    ).toEqual(['rate(1 minute)']);
  });

  it('that reads mails is told of those to the exceptions address, once they are in the bucket', () => {
    const [rule] = ofType(honest.service, 'AWS::SES::ReceiptRule');
    const actions = toList(valueAt(rule?.Properties, 'Rule', 'Actions'));
    expect(valueAt(rule?.Properties, 'Rule', 'Recipients')).toEqual(['exceptions@activation.example.com']);
    expect(actions.map((each) => Object.keys(each ?? {}))).toEqual([['S3Action'], ['LambdaAction']]);
    const [bucket] = ofType(honest.stateful, 'AWS::S3::Bucket');
    expect(valueAt(bucket?.Properties, 'LifecycleConfiguration', 'Rules', 0, 'ExpirationInDays')).toBe(7);
  });
});

describe('the API', () => {
  it('has every route of the manifest, and one answer for all others', () => {
    const routes = ofType(honest.service, 'AWS::ApiGatewayV2::Route').map(({ Properties }) =>
      flatten(Properties.RouteKey),
    );
    const said = Object.values(entries).flatMap((entry) => (entry.kind === 'api' ? Object.keys(entry.routes) : []));
    const heads = said.filter((each) => each.startsWith('GET ')).map((each) => each.replace('GET', 'HEAD'));
    expect(routes.toSorted()).toEqual([...said, ...heads, '$default'].toSorted());
  });

  it('takes each route’s calls only as often as its entry says', () => {
    const [stage] = ofType(honest.service, 'AWS::ApiGatewayV2::Stage');
    for (const entry of Object.values(entries)) {
      if (entry.kind !== 'api') continue;
      for (const route of Object.keys(entry.routes)) {
        const { perSecond, burst } = entry.rates?.[route] ?? entry.rate;
        expect(valueAt(stage?.Properties.RouteSettings, route)).toEqual({
          ThrottlingRateLimit: perSecond,
          ThrottlingBurstLimit: burst,
          DetailedMetricsEnabled: true,
        });
      }
    }
  });

  it('asks the user pool who is signed in', () => {
    const [authorizer] = ofType(honest.service, 'AWS::ApiGatewayV2::Authorizer');
    expect(authorizer?.Properties.AuthorizerType).toBe('JWT');
    expect(flatten(valueAt(authorizer?.Properties.JwtConfiguration, 'Issuer'))).toMatch(
      /^https:\/\/cognito-idp\.us-east-1\.amazonaws\.com\/</,
    );
    expect(
      ofType(honest.stateful, 'AWS::Cognito::UserPoolGroup').map(({ Properties }) => Properties.GroupName),
    ).toEqual(['licensing-admins', 'call-center', 'exceptions-team']);
  });

  it('AGR-3 lets nobody write the address that access goes by', () => {
    const [client] = ofType(honest.stateful, 'AWS::Cognito::UserPoolClient');
    const [pool] = ofType(honest.stateful, 'AWS::Cognito::UserPool');
    expect(client?.Properties.WriteAttributes).toEqual(['name']);
    expect(pool?.Properties.UserAttributeUpdateSettings).toEqual({
      AttributesRequireVerificationBeforeUpdate: ['email'],
    });
  });
});

describe('the workflow', () => {
  const [machine] = ofType(honest.service, 'AWS::StepFunctions::StateMachine');

  it('is the file, its every placeholder filled with the function of that step', () => {
    const placeholders = [...JSON.stringify(asl).matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name ?? '');
    const filled = Object.entries(machine?.Properties.DefinitionSubstitutions ?? {});
    expect(filled.map(([name]) => name).toSorted()).toEqual([...new Set(placeholders)].toSorted());
    for (const [name, value] of filled) expect(flatten(value)).toMatch(new RegExp(`^<${name}Function\\w+\\.Arn>$`));
    expect(JSON.parse(String(machine?.Properties.DefinitionString))).toEqual(asl);
  });

  it('is traced, and logs what went wrong without the data, where task tokens are', () => {
    expect(machine?.Properties.TracingConfiguration).toEqual({ Enabled: true });
    expect(machine?.Properties.LoggingConfiguration).toMatchObject({ Level: 'ERROR', IncludeExecutionData: false });
    expect(machine?.Properties.StateMachineType).toBe('STANDARD');
  });
});

describe('alarms', () => {
  const alarms = ofType(honest.service, 'AWS::CloudWatch::Alarm').map(({ Properties }) => Properties);
  const anchors = [...readProjectFile('docs/runbook.md').matchAll(/^## (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replace(/\s+/g, '-'),
  );

  it('say what it costs people, and link a paragraph that the runbook has', () => {
    const runbook = stageNamed('prod').runbook;
    for (const { AlarmDescription } of alarms) {
      const [, cost, paragraph] = /^(.{20,}\.) What to do: (?:\S+)#(\S+)$/.exec(flatten(AlarmDescription)) ?? [];
      expect([flatten(AlarmDescription), cost?.length ?? 0]).not.toEqual([flatten(AlarmDescription), 0]);
      expect(flatten(AlarmDescription)).toContain(runbook);
      expect(anchors).toContain(paragraph);
    }
  });

  it('leave no paragraph of the runbook without an alarm, but for those that begin with a person', () => {
    const linked = new Set(alarms.map(({ AlarmDescription }) => flatten(AlarmDescription).split('#')[1]));
    expect(anchors.filter((each) => !linked.has(each))).toEqual(['the-root-secret-leaks']);
  });

  it('watch over every function in the words of its entry', () => {
    const descriptions = alarms.map(({ AlarmName, AlarmDescription }) => `${AlarmName}\n${AlarmDescription}`);
    for (const [name, { failureImpact: whenItFails }] of Object.entries(entries)) {
      expect(descriptions).toContainEqual(expect.stringContaining(`: ${name} fails\n${whenItFails}`));
    }
  });

  it.each([
    'sweep has not run',
    'sweep has dead letters',
    'activation is throttled',
    'workflow executions fail',
    'requests are due soon',
    'requests are overdue',
    'emails bounce',
    'most API calls are refused',
    'product keys are being guessed',
    'approval links or codes are being guessed',
  ])('go off when %s', (title) => {
    expect(alarms.filter(({ AlarmName }) => flatten(AlarmName) === `volume-activation-prod: ${title}`)).toHaveLength(1);
  });

  it('tell somebody', () => {
    for (const { AlarmActions } of alarms) expect(flatten(AlarmActions)).toMatch(/^<AlarmsTopic/);
    const [subscription] = ofType(honest.service, 'AWS::SNS::Subscription');
    expect(subscription?.Properties).toMatchObject({ Protocol: 'email', Endpoint: stageNamed('prod').alarmEmail });
  });

  it('take silence for the alarm where something should happen', () => {
    const [notRun] = alarms.filter(({ AlarmName }) => flatten(AlarmName).endsWith('has not run'));
    expect(notRun).toMatchObject({
      TreatMissingData: 'breaching',
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
    });
  });
});

describe('the dashboard', () => {
  it('shows all that is counted of the business', () => {
    const [dashboard] = ofType(honest.service, 'AWS::CloudWatch::Dashboard');
    const body = flatten(dashboard?.Properties.DashboardBody);
    for (const [what, by] of Object.entries(businessMetrics)) {
      expect(body).toMatch(new RegExp(`SEARCH\\('[^']*${by}\\} MetricName=[^']*${what}[^']*'`));
    }
  });
});

describe('an emulated stage', () => {
  const emulated = synthesize({ stageName: 'dev', emulated: true });

  it('leaves out what an emulator cannot make', () => {
    const types = [...emulated.stateful.resources, ...emulated.service.resources].map(({ Type }) => Type);
    expect(types.filter((type) => /^AWS::SES::Receipt|Alarm|MetricFilter|SES::Template/.test(type))).toEqual([]);
    expect(ofType(honest.service, 'AWS::SES::ReceiptRule')).not.toEqual([]);
    expect(`${emulated.stateful.text}${emulated.service.text}`).not.toMatch(/DkimDNSToken/);
  });

  it('is else the same: every function, route and right', () => {
    for (const type of ['AWS::Lambda::Function', 'AWS::ApiGatewayV2::Route', 'AWS::IAM::Policy', 'AWS::SQS::Queue']) {
      expect(ofType(emulated.service, type)).toHaveLength(ofType(honest.service, type).length);
    }
  });
});

describe('a stage that may be deleted', () => {
  it('takes its table with it, where prod keeps it', () => {
    const dev = synthesize({ stageName: 'dev' });
    expect(ofType(dev.stateful, 'AWS::DynamoDB::Table')[0]?.Properties.DeletionProtectionEnabled).toBe(false);
    expect(dev.stateful.text).toMatch(/"DeletionPolicy":"Delete"/);
  });
});

describe('a stage that names a table that was restored', () => {
  const streamLabel = '2026-06-01T16:00:00.000';
  const { stateful, service } = synthesize({ settings: { restoredTable: { name: 'restored', streamLabel } } });

  it('works on that one and its stream, and has no right to its own any more', () => {
    const functions = functionsOf(service, manifest);
    const names = functions.flatMap(({ Properties: { Environment } }) => {
      const name = valueAt(Environment, 'Variables', 'TABLE_NAME');
      return name === undefined ? [] : [flatten(name)];
    });
    expect(new Set(names)).toEqual(new Set(['restored']));
    const resources = functions
      .flatMap(({ id }) => statementsOf(service, id))
      .filter((statement) =>
        toList(valueAt(statement, 'Action')).some((action) => String(action).startsWith('dynamodb:')),
      )
      .flatMap((statement) => toList(valueAt(statement, 'Resource')).map(flatten));
    expect(resources.length).toBeGreaterThan(0);
    expect(resources.filter((arn) => !/:table\/restored(\/|$)/.test(arn))).toEqual([]);
    const [mapping] = ofType(service, 'AWS::Lambda::EventSourceMapping');
    expect(flatten(mapping?.Properties.EventSourceArn)).toMatch(`:table/restored/stream/${streamLabel}`);
  });

  it('keeps its own as it is', () => {
    expect(ofType(stateful, 'AWS::DynamoDB::Table')).toEqual(ofType(honest.stateful, 'AWS::DynamoDB::Table'));
  });
});
