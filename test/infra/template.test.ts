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
  type Manifest,
  ofType,
  type Resource,
  type StackTemplate,
  stageNamed,
  synthesize,
  type Templates,
  toList,
  toText,
  valueAt,
} from './synth.ts';

/** The manifest with its general type, so that every property can be read. */
const entries: Manifest = manifest;
const prod = synthesize();

/** Returns the policy statements of a function's role. */
function statementsOf(stack: StackTemplate, functionId: string): readonly unknown[] {
  const found = stack.resources.find(({ id }) => id === functionId);
  const role = valueAt(found?.Properties.Role, 'Fn::GetAtt', 0);
  return ofType(stack, 'AWS::IAM::Policy')
    .filter(({ Properties: policy }) => toList(policy.Roles).some((each) => valueAt(each, 'Ref') === role))
    .flatMap(({ Properties: policy }) => toList(valueAt(policy.PolicyDocument, 'Statement')));
}

/** Returns the functions of a stack, with the names of their manifest entries. */
function functionsOf(
  stack: StackTemplate,
  manifestEntries: Manifest,
): readonly (Resource & { readonly name: string })[] {
  const byFunctionName = new Map(Object.keys(manifestEntries).map((name) => [toKebabCase(name), name]));
  return ofType(stack, 'AWS::Lambda::Function').map((resource) => {
    const kebabName = toText(resource.Properties.FunctionName).replace(/^volume-activation-(prod|dev)-/, '');
    return { ...resource, name: byFunctionName.get(kebabName) ?? kebabName };
  });
}

/** Returns the permission that an action requires, or null if every function or its event source needs the action. */
function permissionFor(action: string, resource: string): Permission | 'none' | null {
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

/** Returns the actions that functions can do without a permission in their entries. */
function undeclaredActions({ service }: Templates, manifestEntries: Manifest): readonly string[] {
  return functionsOf(service, manifestEntries).flatMap(({ id, name }) =>
    statementsOf(service, id).flatMap((statement) =>
      toList(valueAt(statement, 'Action')).flatMap((action) => {
        const permission = permissionFor(String(action), toText(valueAt(statement, 'Resource')));
        const isDeclared =
          permission === null || (permission !== 'none' && manifestEntries[name]?.permissions.includes(permission));
        return isDeclared ? [] : [`${name} may ${action}`];
      }),
    ),
  );
}

/** Returns every Allow statement of every policy in a stack, with its resource. */
function allowStatements(stack: StackTemplate): readonly { readonly owner: Resource; readonly statement: unknown }[] {
  return stack.resources.flatMap((owner) =>
    ['PolicyDocument', 'KeyPolicy', 'AssumeRolePolicyDocument']
      .flatMap((document) => toList(valueAt(owner.Properties[document], 'Statement')))
      .filter((statement) => valueAt(statement, 'Effect') === 'Allow')
      .map((statement) => ({ owner, statement })),
  );
}

function actionsIn(
  stack: StackTemplate,
): readonly { readonly owner: Resource; readonly action: string; readonly resource: string }[] {
  return allowStatements(stack).flatMap(({ owner, statement }) =>
    toList(valueAt(statement, 'Action')).map((action) => ({
      owner,
      action: String(action),
      resource: toText(valueAt(statement, 'Resource')),
    })),
  );
}

/** Returns the resources that allow a scan or an export of the table. */
function tableScans({ stateful, service }: Templates): readonly string[] {
  return [...actionsIn(stateful), ...actionsIn(service)]
    .filter(({ action }) => /^dynamodb:(Scan|PartiQL|Export|\*|.*\*)/i.test(action) || action === '*')
    .map(({ owner, action }) => `${owner.id} may ${action}`);
}

/** Returns the actions that allow any action or any resource. The root of the account needs `kms:*` on its own key. */
function wildcardActions({ stateful, service }: Templates): readonly string[] {
  return [...actionsIn(stateful), ...actionsIn(service)]
    .filter(({ owner, action, resource }) => {
      if (owner.Type === 'AWS::KMS::Key') return action.includes('*') && action !== 'kms:*';
      return action.includes('*') || resource === '*';
    })
    .map(({ owner, action }) => `${owner.id} may ${action}`);
}

/** Returns the resources other than the API that are open to the public. */
function publicResources({ stateful, service }: Templates): readonly string[] {
  const resources = [...stateful.resources, ...service.resources];
  const block = { BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true };
  return [
    ...resources.filter(({ Type }) => Type === 'AWS::Lambda::Url').map(({ id }) => `${id} is a function URL`),
    ...resources
      .filter(
        ({ Type, Properties }) =>
          Type === 'AWS::S3::Bucket' &&
          JSON.stringify(Properties.PublicAccessBlockConfiguration) !== JSON.stringify(block),
      )
      .map(({ id }) => `${id} is a bucket that can be public`),
    ...resources
      .filter(({ Type }) => Type === 'AWS::Lambda::Permission')
      .filter(({ Properties: { Principal, SourceArn, SourceAccount } }) => {
        const isService = /^(apigateway|events|ses)\.amazonaws\.com$/.test(toText(Principal));
        return !isService || (SourceArn === undefined && SourceAccount === undefined);
      })
      .map(({ id }) => `${id} allows more callers than it names`),
    ...[...allowStatements(stateful), ...allowStatements(service)]
      .filter(
        ({ statement }) =>
          toText(valueAt(statement, 'Principal')).includes('*') ||
          toText(valueAt(statement, 'Principal', 'AWS')) === '*',
      )
      .map(({ owner }) => `${owner.id} allows everybody`),
  ];
}

/** Returns the routes whose gateway authorization differs from the manifest. */
function wronglyAuthorizedRoutes({ service }: Templates, manifestEntries: Manifest): readonly string[] {
  const audiencesByRoute = new Map(
    Object.values(manifestEntries).flatMap((entry) => (entry.kind === 'api' ? Object.entries(entry.routes) : [])),
  );
  return ofType(service, 'AWS::ApiGatewayV2::Route').flatMap(({ Properties: { RouteKey, AuthorizationType } }) => {
    const audiences = audiencesByRoute.get(toText(RouteKey).replace(/^HEAD /, 'GET '));
    const expected = audiences !== undefined && needsToken(audiences) ? 'JWT' : 'NONE';
    const isKnown = audiences !== undefined || RouteKey === '$default';
    return isKnown && (AuthorizationType ?? 'NONE') === expected ? [] : [`${RouteKey} is ${AuthorizationType}`];
  });
}

/** Returns the access-log formats that could contain the token of an approval link. */
function pathsInLogs({ service }: Templates): readonly string[] {
  return ofType(service, 'AWS::ApiGatewayV2::Stage').flatMap(({ id, Properties }) => {
    const format = toText(valueAt(Properties.AccessLogSettings, 'Format'));
    const variables = format.match(/\$context\.[\w.]+/g) ?? [];
    return variables.length === 0 ||
      variables.some((each) => /path|querystring|header|request\.|integration\.request/i.test(each))
      ? [`${id} logs ${format}`]
      : [];
  });
}

/** The types of resources that store data. */
const statefulTypes = [
  'AWS::DynamoDB::Table',
  'AWS::S3::Bucket',
  'AWS::Cognito::UserPool',
  'AWS::SecretsManager::Secret',
  'AWS::KMS::Key',
  'AWS::SES::EmailIdentity',
];

describe('the permissions of functions', () => {
  it('are only those in the manifest', () => {
    expect(undeclaredActions(prod, entries)).toEqual([]);
  });

  it('are reported when they are not in the manifest', () => {
    const { meta, sweep } = manifest;
    const planted = synthesize({
      manifest: {
        ...entries,
        meta: { ...meta, permissions: ['write-table', 'answer-task-token', 'send-mail', 'read-inbound-mail'] },
        sweep: { ...sweep, permissions: ['read-table', 'write-table', 'start-workflow'] },
      },
    });
    expect(new Set(undeclaredActions(planted, entries))).toEqual(
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

  it('cover the permissions in the manifest, on specific resources', () => {
    const allowed = functionsOf(prod.service, entries).flatMap(({ id, name }) =>
      statementsOf(prod.service, id).flatMap((statement) =>
        toList(valueAt(statement, 'Action')).map(
          (action) => `${name} ${action} ${toText(valueAt(statement, 'Resource'))}`,
        ),
      ),
    );
    expect(allowed).toContainEqual(expect.stringMatching(/^sweep dynamodb:UpdateItem <[^>]*StoreTable[^>]*>$/));
    expect(allowed).toContainEqual(expect.stringMatching(/^sweep dynamodb:Query .*\/index\/next-action/));
    expect(allowed).toContainEqual(
      expect.stringMatching(/^sweep states:SendTaskSuccess .*:stateMachine:volume-activation-prod-exception-request$/),
    );
    expect(allowed).toContainEqual(expect.stringMatching(/^sweep ses:SendEmail .*identity\/activation\.example\.com/));
    expect(allowed).toContainEqual(
      expect.stringMatching(/^inboundMail s3:GetObject <[^>]*inbound-mail-bucket-arn>\/inbound\/\*$/),
    );
    expect(allowed.filter((each) => each.startsWith('meta '))).toHaveLength(3);
  });

  it('belong to a separate role for each function', () => {
    const roles = functionsOf(prod.service, entries).map(({ Properties }) => toText(Properties.Role));
    expect(new Set(roles).size).toBe(Object.keys(entries).length);
  });
});

describe('the templates, compared with templates that have planted mistakes', () => {
  const planted = synthesize({
    modify: ({ stateful, service }) => {
      const functions = service.node.findAll().filter((each): each is LambdaFunction => each instanceof LambdaFunction);
      const [target] = functions;
      if (target === undefined) throw new Error('The stack has no function to modify.');
      target.addToRolePolicy(new PolicyStatement({ actions: ['dynamodb:Scan', 's3:*'], resources: ['*'] }));
      target.addFunctionUrl({ authType: FunctionUrlAuthType.NONE });
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

  it('let no role scan the table', () => {
    expect(tableScans(prod)).toEqual([]);
    expect(tableScans(planted)).toEqual([expect.stringMatching(/may dynamodb:Scan$/)]);
  });

  it('have no wildcard permissions, except for tracing and log delivery of the workflow', () => {
    const isUnexpected = (each: string) => !/^WorkflowStateMachineRole\w+ may (xray|logs):\w+$/.test(each);
    expect(wildcardActions(prod).filter(isUnexpected)).toEqual([]);
    expect(wildcardActions(planted).filter(isUnexpected)).toEqual([
      expect.stringMatching(/may dynamodb:Scan$/),
      expect.stringMatching(/may s3:\*$/),
    ]);
  });

  it('make only the API public', () => {
    expect(publicResources(prod)).toEqual([]);
    const findings = publicResources(planted).join('\n');
    expect(findings).toMatch(/is a function URL/);
    expect(findings).toMatch(/is a bucket that can be public/);
    expect(findings).toMatch(/allows more callers than it names/);
  });

  it('require a token on the routes for people', () => {
    expect(wronglyAuthorizedRoutes(prod, entries)).toEqual([]);
    expect(wronglyAuthorizedRoutes(planted, entries)).toContain('GET /agreements is NONE');
  });

  it('APR-1 keep paths out of the access log, because the path of an approval link is a secret', () => {
    expect(pathsInLogs(prod)).toEqual([]);
    expect(pathsInLogs(planted)).toEqual([expect.stringContaining('$context.path')]);
  });

  it('track neither opens nor clicks of emails', () => {
    const trackedEvents = ({ service }: Templates) =>
      ofType(service, 'AWS::SES::ConfigurationSetEventDestination').flatMap(({ Properties }) =>
        toList(valueAt(Properties.EventDestination, 'MatchingEventTypes')).filter(
          (each) => each === 'open' || each === 'click',
        ),
      );
    expect(trackedEvents(prod)).toEqual([]);
    expect(trackedEvents(planted)).toEqual(['click']);
    expect(
      valueAt(ofType(prod.service, 'AWS::SES::ConfigurationSet')[0]?.Properties, 'TrackingOptions'),
    ).toBeUndefined();
  });

  it('store no data in the service stack', () => {
    const dataResources = ({ service }: Templates) =>
      service.resources.filter(({ Type }) => statefulTypes.includes(Type));
    expect(dataResources(prod)).toEqual([]);
    expect(dataResources(planted)).toHaveLength(1);
    expect(prod.stateful.text).not.toMatch(/ImportValue/);
  });
});

describe('the table', () => {
  const [table] = ofType(prod.stateful, 'AWS::DynamoDB::Table');
  const properties = table?.Properties ?? {};

  it('is pay-per-request, restorable, protected from deletion, encrypted with our key, and has a stream', () => {
    expect(properties.BillingMode).toBe('PAY_PER_REQUEST');
    expect(properties.PointInTimeRecoverySpecification).toEqual({ PointInTimeRecoveryEnabled: true });
    expect(properties.DeletionProtectionEnabled).toBe(true);
    expect(properties.SSESpecification).toMatchObject({ SSEEnabled: true, SSEType: 'KMS' });
    expect(toText(valueAt(properties.SSESpecification, 'KMSMasterKeyId'))).toMatch(/^<EncryptionKey/);
    expect(properties.StreamSpecification).toEqual({ StreamViewType: tableSchema.stream });
    expect(properties.TimeToLiveSpecification).toEqual({ AttributeName: tableSchema.timeToLive, Enabled: true });
    expect(prod.stateful.text).toMatch(/"DeletionPolicy":"Retain"/);
  });

  it('has the indexes of its schema, with keys-only projections', () => {
    expect(
      toList(properties.GlobalSecondaryIndexes).map((index) => [
        valueAt(index, 'IndexName'),
        valueAt(index, 'KeySchema', 0, 'AttributeName'),
        valueAt(index, 'KeySchema', 1, 'AttributeName'),
        valueAt(index, 'Projection', 'ProjectionType'),
      ]),
    ).toEqual(tableSchema.indexes.map(({ name, partitionKey, sortKey }) => [name, partitionKey, sortKey, 'KEYS_ONLY']));
  });
});

describe('a function', () => {
  const functions = functionsOf(prod.service, entries);

  it('exists for every entry, with the size in the entry', () => {
    expect(functions.map(({ name, Properties: { MemorySize, Timeout } }) => [name, MemorySize, Timeout])).toEqual(
      Object.entries(entries).map(([name, { size }]) => [name, size.memoryMegabytes, size.timeoutSeconds]),
    );
    for (const { Properties } of functions) {
      expect(Properties).toMatchObject({ Runtime: 'nodejs24.x', Architectures: ['arm64'], Handler: 'index.handler' });
    }
  });

  it('has reserved concurrency only if the entry has a maximum', () => {
    for (const { name, Properties } of functions) {
      expect([name, Properties.ReservedConcurrentExecutions]).toEqual([name, entries[name]?.maxConcurrency?.limit]);
    }
  });

  it('has its own log group, encrypted and with a retention period', () => {
    const logs = functions.map(({ Properties }) => toText(valueAt(Properties.LoggingConfig, 'LogGroup')));
    expect(new Set(logs).size).toBe(functions.length);
    for (const { Properties } of ofType(prod.service, 'AWS::Logs::LogGroup')) {
      expect(Properties.RetentionInDays).toBe(stageNamed('prod').logRetentionDays);
      expect(Properties.KmsKeyId).toBeDefined();
    }
  });

  it('has only the environment variables that its permissions need', () => {
    const permissionsByVariable: Readonly<Record<string, readonly Permission[]>> = {
      TABLE_NAME: ['read-table', 'write-table'],
      ROOT_SECRET: ['root-secret'],
      STATE_MACHINE_ARN: ['start-workflow', 'answer-task-token'],
      MAIL_FROM: ['send-mail'],
      PUBLIC_URL: ['send-mail'],
      INBOUND_MAIL_BUCKET: ['read-inbound-mail'],
    };
    for (const { name, Properties } of functions) {
      const variables = Object.keys(valueAt(Properties.Environment, 'Variables') ?? {});
      const permissions = entries[name]?.permissions ?? [];
      for (const [variable, anyOf] of Object.entries(permissionsByVariable)) {
        const isNeeded = anyOf.some((permission) => permissions.includes(permission));
        expect([name, variable, variables.includes(variable)]).toEqual([name, variable, isNeeded]);
      }
    }
  });

  it('finds all the environment variables that it reads', () => {
    const readers: Partial<Record<Permission, () => unknown>> = {
      'read-table': environment.tableEnvironment,
      'write-table': environment.tableEnvironment,
      'send-mail': environment.mailEnvironment,
      'start-workflow': environment.workflowEnvironment,
      'answer-task-token': environment.workflowEnvironment,
      'read-inbound-mail': environment.inboundMailEnvironment,
    };
    for (const { name, Properties } of functions) {
      const variables = Object.entries(valueAt(Properties.Environment, 'Variables') ?? {});
      for (const [variable, value] of variables) vi.stubEnv(variable, toText(value));
      for (const permission of entries[name]?.permissions ?? [])
        expect(readers[permission] ?? (() => undefined)).not.toThrow();
      for (const [variable] of variables) vi.stubEnv(variable, undefined);
    }
    // The process itself does not have these variables, so the stubs were effective.
    expect(environment.tableEnvironment).toThrow(/TABLE_NAME/);
    vi.unstubAllEnvs();
  });

  it('KEY-6 gets the root secret by a reference, and has an environment that is encrypted with our key', () => {
    for (const { Properties } of functions) {
      const secret = valueAt(Properties.Environment, 'Variables', 'ROOT_SECRET');
      if (secret !== undefined)
        expect(toText(secret)).toMatch(/^\{\{resolve:secretsmanager:<[^>]*RootSecret[^>]*>:SecretString:::\}\}$/);
      expect(toText(Properties.KmsKeyArn)).toMatch(/EncryptionKey/);
    }
  });

  it('can decrypt its own environment with our key, and other data only through the service that stores it', () => {
    for (const { id, name, Properties } of functions) {
      const decryptStatements = statementsOf(prod.service, id).filter((statement) =>
        toList(valueAt(statement, 'Action')).includes('kms:Decrypt'),
      );
      const functionArns = decryptStatements.map((each) =>
        valueAt(each, 'Condition', 'StringEquals', 'kms:EncryptionContext:aws:lambda:FunctionArn'),
      );
      expect(functionArns.filter((each) => each !== undefined).map(toText)).toEqual([
        expect.stringMatching(new RegExp(`:function:${toText(Properties.FunctionName)}$`)),
      ]);
      for (const each of decryptStatements) {
        expect([name, Object.keys(valueAt(each, 'Condition', 'StringEquals') ?? {})]).not.toEqual([name, []]);
      }
    }
  });

  it('that is asynchronous has a dead-letter queue', () => {
    const queues = ofType(prod.service, 'AWS::SQS::Queue').map(({ id }) => id);
    const mappings = ofType(prod.service, 'AWS::Lambda::EventSourceMapping');
    for (const { id, name, Properties } of functions) {
      const kind = entries[name]?.kind;
      const functionQueue = toText(valueAt(Properties.DeadLetterConfig, 'TargetArn'));
      const streamQueue = toText(
        valueAt(
          mappings.find((each) => toText(each.Properties.FunctionName) === `<${id}>`)?.Properties,
          'DestinationConfig',
          'OnFailure',
          'Destination',
        ),
      );
      const hasQueue = queues.some((queue) => `<${queue}.Arn>` === functionQueue || `<${queue}.Arn>` === streamQueue);
      expect([name, hasQueue]).toEqual([name, kind !== 'api' && kind !== 'step']);
    }
    for (const { Properties } of [
      ...ofType(prod.service, 'AWS::Scheduler::Schedule'),
      ...ofType(prod.service, 'AWS::Events::Rule'),
    ]) {
      const target = Properties.Target ?? valueAt(Properties.Targets, 0);
      expect(toText(valueAt(target, 'DeadLetterConfig', 'Arn'))).toMatch(/DeadLetterQueue/);
    }
  });

  it('that reads the stream has its failed batches split in half and retried', () => {
    const mappings = ofType(prod.service, 'AWS::Lambda::EventSourceMapping');
    expect(mappings).toHaveLength(Object.values(entries).filter(({ kind }) => kind === 'stream').length);
    for (const { Properties } of mappings) {
      expect(Properties).toMatchObject({
        BisectBatchOnFunctionError: true,
        FunctionResponseTypes: ['ReportBatchItemFailures'],
      });
      expect(Properties.MaximumRetryAttempts).toBeGreaterThan(0);
    }
  });

  it('with a schedule runs at the interval in its entry', () => {
    expect(
      ofType(prod.service, 'AWS::Scheduler::Schedule').map(({ Properties }) => Properties.ScheduleExpression),
    ).toEqual(['rate(1 minute)']);
  });

  it('that reads email is invoked for the exceptions address, after the email is in the bucket', () => {
    const [rule] = ofType(prod.service, 'AWS::SES::ReceiptRule');
    const actions = toList(valueAt(rule?.Properties, 'Rule', 'Actions'));
    expect(valueAt(rule?.Properties, 'Rule', 'Recipients')).toEqual(['exceptions@activation.example.com']);
    expect(actions.map((each) => Object.keys(each ?? {}))).toEqual([['S3Action'], ['LambdaAction']]);
    const [bucket] = ofType(prod.stateful, 'AWS::S3::Bucket');
    expect(valueAt(bucket?.Properties, 'LifecycleConfiguration', 'Rules', 0, 'ExpirationInDays')).toBe(7);
  });
});

describe('the API', () => {
  it('has every route of the manifest, and a default route', () => {
    const routes = ofType(prod.service, 'AWS::ApiGatewayV2::Route').map(({ Properties }) =>
      toText(Properties.RouteKey),
    );
    const declared = Object.values(entries).flatMap((entry) => (entry.kind === 'api' ? Object.keys(entry.routes) : []));
    const heads = declared.filter((each) => each.startsWith('GET ')).map((each) => each.replace('GET', 'HEAD'));
    expect(routes.toSorted()).toEqual([...declared, ...heads, '$default'].toSorted());
  });

  it('limits the rate of each route to that in its entry', () => {
    const [stage] = ofType(prod.service, 'AWS::ApiGatewayV2::Stage');
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

  it('verifies tokens of the user pool', () => {
    const [authorizer] = ofType(prod.service, 'AWS::ApiGatewayV2::Authorizer');
    expect(authorizer?.Properties.AuthorizerType).toBe('JWT');
    expect(toText(valueAt(authorizer?.Properties.JwtConfiguration, 'Issuer'))).toMatch(
      /^https:\/\/cognito-idp\.us-east-1\.amazonaws\.com\/</,
    );
    expect(ofType(prod.stateful, 'AWS::Cognito::UserPoolGroup').map(({ Properties }) => Properties.GroupName)).toEqual([
      'licensing-admins',
      'call-center',
      'exceptions-team',
    ]);
  });

  it('AGR-3 lets no user change the email address that access depends on', () => {
    const [client] = ofType(prod.stateful, 'AWS::Cognito::UserPoolClient');
    const [pool] = ofType(prod.stateful, 'AWS::Cognito::UserPool');
    expect(client?.Properties.WriteAttributes).toEqual(['name']);
    expect(pool?.Properties.UserAttributeUpdateSettings).toEqual({
      AttributesRequireVerificationBeforeUpdate: ['email'],
    });
  });
});

describe('the workflow', () => {
  const [machine] = ofType(prod.service, 'AWS::StepFunctions::StateMachine');

  it('is the definition file, with each placeholder replaced by the function of that step', () => {
    const placeholders = [...JSON.stringify(asl).matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name ?? '');
    const substitutions = Object.entries(machine?.Properties.DefinitionSubstitutions ?? {});
    expect(substitutions.map(([name]) => name).toSorted()).toEqual([...new Set(placeholders)].toSorted());
    for (const [name, value] of substitutions)
      expect(toText(value)).toMatch(new RegExp(`^<${name}Function\\w+\\.Arn>$`));
    expect(JSON.parse(String(machine?.Properties.DefinitionString))).toEqual(asl);
  });

  it('is traced, and logs errors without execution data, which contains task tokens', () => {
    expect(machine?.Properties.TracingConfiguration).toEqual({ Enabled: true });
    expect(machine?.Properties.LoggingConfiguration).toMatchObject({ Level: 'ERROR', IncludeExecutionData: false });
    expect(machine?.Properties.StateMachineType).toBe('STANDARD');
  });
});

describe('alarms', () => {
  const alarms = ofType(prod.service, 'AWS::CloudWatch::Alarm').map(({ Properties }) => Properties);
  const anchors = [...readProjectFile('docs/runbook.md').matchAll(/^## (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replace(/\s+/g, '-'),
  );

  it('state the impact on people, and link to a section of the runbook', () => {
    const runbook = stageNamed('prod').runbook;
    for (const { AlarmDescription } of alarms) {
      const [, impact, anchor] = /^(.{20,}\.) What to do: (?:\S+)#(\S+)$/.exec(toText(AlarmDescription)) ?? [];
      expect([toText(AlarmDescription), impact?.length ?? 0]).not.toEqual([toText(AlarmDescription), 0]);
      expect(toText(AlarmDescription)).toContain(runbook);
      expect(anchors).toContain(anchor);
    }
  });

  it('exist for every section of the runbook, except the one that starts with a person’s report', () => {
    const linked = new Set(alarms.map(({ AlarmDescription }) => toText(AlarmDescription).split('#')[1]));
    expect(anchors.filter((each) => !linked.has(each))).toEqual(['the-root-secret-leaks']);
  });

  it('exist for every function, with the failure impact in its entry', () => {
    const descriptions = alarms.map(({ AlarmName, AlarmDescription }) => `${AlarmName}\n${AlarmDescription}`);
    for (const [name, { failureImpact }] of Object.entries(entries)) {
      expect(descriptions).toContainEqual(expect.stringContaining(`: ${name} fails\n${failureImpact}`));
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
    expect(alarms.filter(({ AlarmName }) => toText(AlarmName) === `volume-activation-prod: ${title}`)).toHaveLength(1);
  });

  it('send an email', () => {
    for (const { AlarmActions } of alarms) expect(toText(AlarmActions)).toMatch(/^<AlarmsTopic/);
    const [subscription] = ofType(prod.service, 'AWS::SNS::Subscription');
    expect(subscription?.Properties).toMatchObject({ Protocol: 'email', Endpoint: stageNamed('prod').alarmEmail });
  });

  it('go off without data for a run that must happen', () => {
    const [notRun] = alarms.filter(({ AlarmName }) => toText(AlarmName).endsWith('has not run'));
    expect(notRun).toMatchObject({
      TreatMissingData: 'breaching',
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
    });
  });
});

describe('the dashboard', () => {
  it('shows every business metric', () => {
    const [dashboard] = ofType(prod.service, 'AWS::CloudWatch::Dashboard');
    const body = toText(dashboard?.Properties.DashboardBody);
    for (const [metricName, dimension] of Object.entries(businessMetrics)) {
      expect(body).toMatch(new RegExp(`SEARCH\\('[^']*${dimension}\\} MetricName=[^']*${metricName}[^']*'`));
    }
  });
});

describe('an emulated stage', () => {
  const emulated = synthesize({ stageName: 'dev', emulated: true });

  it('leaves out the resources that an emulator does not support', () => {
    const types = [...emulated.stateful.resources, ...emulated.service.resources].map(({ Type }) => Type);
    expect(types.filter((type) => /^AWS::SES::Receipt|Alarm|MetricFilter|SES::Template/.test(type))).toEqual([]);
    expect(ofType(prod.service, 'AWS::SES::ReceiptRule')).not.toEqual([]);
    expect(`${emulated.stateful.text}${emulated.service.text}`).not.toMatch(/DkimDNSToken/);
  });

  it('has the same functions, routes, policies, and queues', () => {
    for (const type of ['AWS::Lambda::Function', 'AWS::ApiGatewayV2::Route', 'AWS::IAM::Policy', 'AWS::SQS::Queue']) {
      expect(ofType(emulated.service, type)).toHaveLength(ofType(prod.service, type).length);
    }
  });
});

describe('a stage with the removal policy destroy', () => {
  it('deletes its table with the stack, in contrast to prod', () => {
    const dev = synthesize({ stageName: 'dev' });
    expect(ofType(dev.stateful, 'AWS::DynamoDB::Table')[0]?.Properties.DeletionProtectionEnabled).toBe(false);
    expect(dev.stateful.text).toMatch(/"DeletionPolicy":"Delete"/);
  });
});

describe('a stage with a restored table', () => {
  const streamLabel = '2026-06-01T16:00:00.000';
  const { stateful, service } = synthesize({ settings: { restoredTable: { name: 'restored', streamLabel } } });

  it('uses that table and its stream, and has no permission on its own table', () => {
    const functions = functionsOf(service, manifest);
    const names = functions.flatMap(({ Properties: { Environment } }) => {
      const name = valueAt(Environment, 'Variables', 'TABLE_NAME');
      return name === undefined ? [] : [toText(name)];
    });
    expect(new Set(names)).toEqual(new Set(['restored']));
    const resources = functions
      .flatMap(({ id }) => statementsOf(service, id))
      .filter((statement) =>
        toList(valueAt(statement, 'Action')).some((action) => String(action).startsWith('dynamodb:')),
      )
      .flatMap((statement) => toList(valueAt(statement, 'Resource')).map(toText));
    expect(resources.length).toBeGreaterThan(0);
    expect(resources.filter((arn) => !/:table\/restored(\/|$)/.test(arn))).toEqual([]);
    const [mapping] = ofType(service, 'AWS::Lambda::EventSourceMapping');
    expect(toText(mapping?.Properties.EventSourceArn)).toMatch(`:table/restored/stream/${streamLabel}`);
  });

  it('leaves its own table unchanged', () => {
    expect(ofType(stateful, 'AWS::DynamoDB::Table')).toEqual(ofType(prod.stateful, 'AWS::DynamoDB::Table'));
  });
});
