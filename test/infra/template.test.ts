import { CfnRoute } from 'aws-cdk-lib/aws-apigatewayv2';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { FunctionUrlAuthType, Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Bucket, CfnBucket } from 'aws-cdk-lib/aws-s3';
import { CfnConfigurationSetEventDestination } from 'aws-cdk-lib/aws-ses';
import { describe, expect, it, vi } from 'vitest';
import * as environment from '../../functions/environment.ts';
import { counted, hyphenated, manifest, needsToken, type Right } from '../../functions/manifest.ts';
import { tableSchema } from '../../store/dynamodb/schema.ts';
import asl from '../../workflows/exception-request.asl.json' with { type: 'json' };
import { readProjectFile } from '../project-files.ts';
import {
  flat,
  inside,
  list,
  type Manifest,
  ofType,
  type Resource,
  type Stack,
  stageNamed,
  synthesized,
  type Templates,
} from './synth.ts';

/** The manifest as anything may be asked of it. */
const entries: Manifest = manifest;
const honest = synthesized();

/** Rights of one role, by the function that has it. */
function statementsOf(stack: Stack, functionId: string): readonly unknown[] {
  const found = stack.resources.find(({ id }) => id === functionId);
  const role = inside(found?.Properties.Role, 'Fn::GetAtt', 0);
  return ofType(stack, 'AWS::IAM::Policy')
    .filter(({ Properties: policy }) => list(policy.Roles).some((each) => inside(each, 'Ref') === role))
    .flatMap(({ Properties: policy }) => list(inside(policy.PolicyDocument, 'Statement')));
}

/** The functions of a stack, by the name of their manifest entry. */
function functionsOf(stack: Stack, of: Manifest): readonly (Resource & { readonly name: string })[] {
  const byFunctionName = new Map(Object.keys(of).map((name) => [hyphenated(name), name]));
  return ofType(stack, 'AWS::Lambda::Function').map((resource) => {
    const hyphens = flat(resource.Properties.FunctionName).replace(/^volume-activation-(prod|dev)-/, '');
    return { ...resource, name: byFunctionName.get(hyphens) ?? hyphens };
  });
}

/** Which right of the manifest an action needs; `null` for what every function, or its event source, needs to run at all. */
function rightFor(action: string, resource: string): Right | 'none' | null {
  if (/^dynamodb:(GetItem|BatchGetItem|Query)$/.test(action)) return 'read-table';
  if (/^dynamodb:(PutItem|UpdateItem|DeleteItem|BatchWriteItem|ConditionCheckItem)$/.test(action)) return 'write-table';
  if (/^states:(StartExecution|DescribeExecution)$/.test(action)) return 'start-workflow';
  if (/^states:SendTask/.test(action)) return 'answer-task-token';
  if (/^ses:/.test(action)) return 'send-mail';
  if (/^s3:GetObject$/.test(action)) return 'read-inbound-mail';
  if (/^kms:(Encrypt|GenerateDataKey|ReEncryptFrom|ReEncryptTo)$/.test(action)) return 'write-table';
  if (/^kms:(Decrypt|DescribeKey)$|^logs:(CreateLogStream|PutLogEvents)$/.test(action)) return null;
  if (/^sqs:/.test(action) && /DeadLetters/.test(resource)) return null;
  if (/^dynamodb:(DescribeStream|GetRecords|GetShardIterator|ListStreams)$/.test(action) && /Stream/.test(resource))
    return null;
  return 'none';
}

/** What functions may do that their entries do not say. */
function unsaidRights({ running }: Templates, of: Manifest): readonly string[] {
  return functionsOf(running, of).flatMap(({ id, name }) =>
    statementsOf(running, id).flatMap((statement) =>
      list(inside(statement, 'Action')).flatMap((action) => {
        const right = rightFor(String(action), flat(inside(statement, 'Resource')));
        const said = right === null || (right !== 'none' && of[name]?.may.includes(right));
        return said ? [] : [`${name} may ${action}`];
      }),
    ),
  );
}

/** Every statement of every policy in a stack that lets somebody do something. */
function allowances(stack: Stack): readonly { readonly of: Resource; readonly statement: unknown }[] {
  return stack.resources.flatMap((of) =>
    ['PolicyDocument', 'KeyPolicy', 'AssumeRolePolicyDocument']
      .flatMap((document) => list(inside(of.Properties[document], 'Statement')))
      .filter((statement) => inside(statement, 'Effect') === 'Allow')
      .map((statement) => ({ of, statement })),
  );
}

function actionsIn(
  stack: Stack,
): readonly { readonly of: Resource; readonly action: string; readonly resource: string }[] {
  return allowances(stack).flatMap(({ of, statement }) =>
    list(inside(statement, 'Action')).map((action) => ({
      of,
      action: String(action),
      resource: flat(inside(statement, 'Resource')),
    })),
  );
}

/** Who may read the table as a whole, in whichever way. */
function scanners({ kept, running }: Templates): readonly string[] {
  return [...actionsIn(kept), ...actionsIn(running)]
    .filter(({ action }) => /^dynamodb:(Scan|PartiQL|Export|\*|.*\*)/i.test(action) || action === '*')
    .map(({ of, action }) => `${of.id} may ${action}`);
}

/** Rights without a bound: any action, or any resource. The root of the account must be let into its own key. */
function unbounded({ kept, running }: Templates): readonly string[] {
  return [...actionsIn(kept), ...actionsIn(running)]
    .filter(({ of, action, resource }) => {
      if (of.Type === 'AWS::KMS::Key') return action.includes('*') && action !== 'kms:*';
      return action.includes('*') || resource === '*';
    })
    .map(({ of, action }) => `${of.id} may ${action}`);
}

/** What the world can reach, but for the API. */
function public_({ kept, running }: Templates): readonly string[] {
  const everything = [...kept.resources, ...running.resources];
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
        const isService = /^(apigateway|events|ses)\.amazonaws\.com$/.test(flat(Principal));
        return !isService || (SourceArn === undefined && SourceAccount === undefined);
      })
      .map(({ id }) => `${id} lets more call than it names`),
    ...[...allowances(kept), ...allowances(running)]
      .filter(
        ({ statement }) =>
          flat(inside(statement, 'Principal')).includes('*') || flat(inside(statement, 'Principal', 'AWS')) === '*',
      )
      .map(({ of }) => `${of.id} lets in everybody`),
  ];
}

/** Routes whose gateway check is not what the manifest says: signed in, or with another credential. */
function unguarded({ running }: Templates, of: Manifest): readonly string[] {
  const who = new Map(Object.values(of).flatMap((entry) => (entry.is === 'api' ? Object.entries(entry.routes) : [])));
  return ofType(running, 'AWS::ApiGatewayV2::Route').flatMap(({ Properties: { RouteKey, AuthorizationType } }) => {
    const open = who.get(flat(RouteKey));
    const wanted = open !== undefined && needsToken(open) ? 'JWT' : 'NONE';
    const known = open !== undefined || RouteKey === '$default';
    return known && (AuthorizationType ?? 'NONE') === wanted ? [] : [`${RouteKey} is ${AuthorizationType}`];
  });
}

/** What is written down of calls that could hold the token of an approval link. */
function pathsInLogs({ running }: Templates): readonly string[] {
  return ofType(running, 'AWS::ApiGatewayV2::Stage').flatMap(({ id, Properties }) => {
    const format = flat(inside(Properties.AccessLogSettings, 'Format'));
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
    const { about, sweep } = manifest;
    const planted = synthesized({
      manifest: {
        ...entries,
        about: { ...about, may: ['write-table', 'answer-task-token', 'send-mail', 'read-inbound-mail'] },
        sweep: { ...sweep, may: ['read-table', 'write-table', 'start-workflow'] },
      },
    });
    expect(new Set(unsaidRights(planted, entries))).toEqual(
      new Set([
        ...['PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem', 'ConditionCheckItem'].map(
          (each) => `about may dynamodb:${each}`,
        ),
        ...['Encrypt', 'GenerateDataKey', 'ReEncryptFrom', 'ReEncryptTo'].map((each) => `about may kms:${each}`),
        'about may states:SendTaskSuccess',
        'about may ses:SendEmail',
        'about may s3:GetObject',
      ]),
    );
  });

  it('are there where the manifest says them, on the things that they are about', () => {
    const rights = functionsOf(honest.running, entries).flatMap(({ id, name }) =>
      statementsOf(honest.running, id).flatMap((statement) =>
        list(inside(statement, 'Action')).map((action) => `${name} ${action} ${flat(inside(statement, 'Resource'))}`),
      ),
    );
    expect(rights).toContainEqual(expect.stringMatching(/^sweep dynamodb:UpdateItem <[^>]*StoreTable[^>]*>$/));
    expect(rights).toContainEqual(expect.stringMatching(/^sweep dynamodb:Query .*\/index\/next-action/));
    expect(rights).toContainEqual(
      expect.stringMatching(/^sweep states:SendTaskSuccess .*:stateMachine:volume-activation-prod-exception-request$/),
    );
    expect(rights).toContainEqual(expect.stringMatching(/^sweep ses:SendEmail .*identity\/activation\.example\.com/));
    expect(rights).toContainEqual(
      expect.stringMatching(/^inboundMail s3:GetObject <[^>]*inbound-mail-arn>\/mails\/\*$/),
    );
    expect(rights.filter((each) => each.startsWith('about '))).toHaveLength(3);
  });

  it('are a role’s own: no two functions share one', () => {
    const roles = functionsOf(honest.running, entries).map(({ Properties }) => flat(Properties.Role));
    expect(new Set(roles).size).toBe(Object.keys(entries).length);
  });
});

describe('things that must not be', () => {
  const planted = synthesized({
    plant: ({ kept, running }) => {
      const functions = running.node.findAll().filter((each): each is LambdaFunction => each instanceof LambdaFunction);
      const [one] = functions;
      if (one === undefined) throw new Error('There is no function to plant something in.');
      one.addToRolePolicy(new PolicyStatement({ actions: ['dynamodb:Scan', 's3:*'], resources: ['*'] }));
      one.addFunctionUrl({ authType: FunctionUrlAuthType.NONE });
      for (const each of running.node.findAll()) {
        if (each instanceof CfnRoute && each.authorizationType === 'JWT') each.authorizationType = 'NONE';
        if (each instanceof CfnConfigurationSetEventDestination) {
          each.addPropertyOverride('EventDestination.MatchingEventTypes', ['bounce', 'click']);
        }
      }
      for (const each of kept.node.findAll()) {
        if (each instanceof CfnBucket) each.publicAccessBlockConfiguration = undefined;
      }
      new Bucket(running, 'Stray');
      const stage = running.node.findAll().find(({ node }) => node.path.endsWith('Api/Stage/Resource'));
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
    const tracked = ({ running }: Templates) =>
      ofType(running, 'AWS::SES::ConfigurationSetEventDestination').flatMap(({ Properties }) =>
        list(inside(Properties.EventDestination, 'MatchingEventTypes')).filter(
          (each) => each === 'open' || each === 'click',
        ),
      );
    expect(tracked(honest)).toEqual([]);
    expect(tracked(planted)).toEqual(['click']);
    expect(
      inside(ofType(honest.running, 'AWS::SES::ConfigurationSet')[0]?.Properties, 'TrackingOptions'),
    ).toBeUndefined();
  });

  it('nothing that keeps data is in the stack that may go', () => {
    const keepers = ({ running }: Templates) => running.resources.filter(({ Type }) => statefulTypes.includes(Type));
    expect(keepers(honest)).toEqual([]);
    expect(keepers(planted)).toHaveLength(1);
    expect(honest.kept.text).not.toMatch(/ImportValue/);
  });
});

describe('the table', () => {
  const [table] = ofType(honest.kept, 'AWS::DynamoDB::Table');
  const is = table?.Properties ?? {};

  it('is paid by use, restorable, kept from deletion, under our own key, and tells its changes', () => {
    expect(is.BillingMode).toBe('PAY_PER_REQUEST');
    expect(is.PointInTimeRecoverySpecification).toEqual({ PointInTimeRecoveryEnabled: true });
    expect(is.DeletionProtectionEnabled).toBe(true);
    expect(is.SSESpecification).toMatchObject({ SSEEnabled: true, SSEType: 'KMS' });
    expect(flat(inside(is.SSESpecification, 'KMSMasterKeyId'))).toMatch(/^<EncryptionKey/);
    expect(is.StreamSpecification).toEqual({ StreamViewType: tableSchema.stream });
    expect(is.TimeToLiveSpecification).toEqual({ AttributeName: tableSchema.timeToLive, Enabled: true });
    expect(honest.kept.text).toMatch(/"DeletionPolicy":"Retain"/);
  });

  it('has the indexes of its schema, with keys only', () => {
    expect(
      list(is.GlobalSecondaryIndexes).map((index) => [
        inside(index, 'IndexName'),
        inside(index, 'KeySchema', 0, 'AttributeName'),
        inside(index, 'KeySchema', 1, 'AttributeName'),
        inside(index, 'Projection', 'ProjectionType'),
      ]),
    ).toEqual(tableSchema.indexes.map(({ name, partitionKey, sortKey }) => [name, partitionKey, sortKey, 'KEYS_ONLY']));
  });
});

describe('a function', () => {
  const functions = functionsOf(honest.running, entries);

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
      expect([name, Properties.ReservedConcurrentExecutions]).toEqual([name, entries[name]?.atOnce?.most]);
    }
  });

  it('logs to a log of its own that is encrypted and forgets', () => {
    const logs = functions.map(({ Properties }) => flat(inside(Properties.LoggingConfig, 'LogGroup')));
    expect(new Set(logs).size).toBe(functions.length);
    for (const { Properties } of ofType(honest.running, 'AWS::Logs::LogGroup')) {
      expect(Properties.RetentionInDays).toBe(stageNamed('prod').logsForDays);
      expect(Properties.KmsKeyId).toBeDefined();
    }
  });

  it('is told what its rights need, and nothing that it has no right to', () => {
    const needs: Readonly<Record<string, readonly Right[]>> = {
      TABLE_NAME: ['read-table', 'write-table'],
      VAULT_SECRET: ['read-vault'],
      STATE_MACHINE_ARN: ['start-workflow', 'answer-task-token'],
      MAIL_FROM: ['send-mail'],
      PUBLIC_URL: ['send-mail'],
      INBOUND_MAIL_BUCKET: ['read-inbound-mail'],
    };
    for (const { name, Properties } of functions) {
      const told = Object.keys(inside(Properties.Environment, 'Variables') ?? {});
      const may = entries[name]?.may ?? [];
      for (const [variable, rights] of Object.entries(needs)) {
        const needed = rights.some((each) => may.includes(each));
        expect([name, variable, told.includes(variable)]).toEqual([name, variable, needed]);
      }
    }
  });

  it('finds all in its environment that it will look for', () => {
    const readers: Partial<Record<Right, () => unknown>> = {
      'read-table': environment.tableEnvironment,
      'write-table': environment.tableEnvironment,
      'send-mail': environment.mailEnvironment,
      'start-workflow': environment.engineEnvironment,
      'answer-task-token': environment.engineEnvironment,
      'read-inbound-mail': environment.inboundMailEnvironment,
    };
    for (const { name, Properties } of functions) {
      const told = Object.entries(inside(Properties.Environment, 'Variables') ?? {});
      for (const [variable, value] of told) vi.stubEnv(variable, flat(value));
      for (const right of entries[name]?.may ?? []) expect(readers[right] ?? (() => undefined)).not.toThrow();
      for (const [variable] of told) vi.stubEnv(variable, undefined);
    }
    // Nothing of it was there before, or is now.
    expect(environment.tableEnvironment).toThrow(/TABLE_NAME/);
    vi.unstubAllEnvs();
  });

  it('KEY-6 gets the root secret by a reference, and keeps its environment under our key', () => {
    for (const { Properties } of functions) {
      const secret = inside(Properties.Environment, 'Variables', 'VAULT_SECRET');
      if (secret !== undefined)
        expect(flat(secret)).toMatch(/^\{\{resolve:secretsmanager:<[^>]*VaultSecret[^>]*>:SecretString:::\}\}$/);
      expect(flat(Properties.KmsKeyArn)).toMatch(/EncryptionKey/);
    }
  });

  it('may open its own environment with our key, and nothing else but through the service that keeps it', () => {
    for (const { id, name, Properties } of functions) {
      const opens = statementsOf(honest.running, id).filter((statement) =>
        list(inside(statement, 'Action')).includes('kms:Decrypt'),
      );
      const own = opens.map((each) =>
        inside(each, 'Condition', 'StringEquals', 'kms:EncryptionContext:aws:lambda:FunctionArn'),
      );
      expect(own.filter((each) => each !== undefined).map(flat)).toEqual([
        expect.stringMatching(new RegExp(`:function:${flat(Properties.FunctionName)}$`)),
      ]);
      for (const each of opens) {
        expect([name, Object.keys(inside(each, 'Condition', 'StringEquals') ?? {})]).not.toEqual([name, []]);
      }
    }
  });

  it('that nobody waits for has somewhere to put what fails', () => {
    const queues = ofType(honest.running, 'AWS::SQS::Queue').map(({ id }) => id);
    const mappings = ofType(honest.running, 'AWS::Lambda::EventSourceMapping');
    for (const { id, name, Properties } of functions) {
      const kind = entries[name]?.is;
      const ofTheFunction = flat(inside(Properties.DeadLetterConfig, 'TargetArn'));
      const ofTheStream = flat(
        inside(
          mappings.find((each) => flat(each.Properties.FunctionName) === `<${id}>`)?.Properties,
          'DestinationConfig',
          'OnFailure',
          'Destination',
        ),
      );
      const has = queues.some((queue) => `<${queue}.Arn>` === ofTheFunction || `<${queue}.Arn>` === ofTheStream);
      expect([name, has]).toEqual([name, kind !== 'api' && kind !== 'step']);
    }
    for (const { Properties } of [
      ...ofType(honest.running, 'AWS::Scheduler::Schedule'),
      ...ofType(honest.running, 'AWS::Events::Rule'),
    ]) {
      const target = Properties.Target ?? inside(Properties.Targets, 0);
      expect(flat(inside(target, 'DeadLetterConfig', 'Arn'))).toMatch(/DeadLetters/);
    }
  });

  it('that reads the stream halves a batch that fails, and sets aside what keeps failing', () => {
    const mappings = ofType(honest.running, 'AWS::Lambda::EventSourceMapping');
    expect(mappings).toHaveLength(Object.values(entries).filter(({ is }) => is === 'stream').length);
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
      ofType(honest.running, 'AWS::Scheduler::Schedule').map(({ Properties }) => Properties.ScheduleExpression),
    ).toEqual(['rate(1 minute)']);
  });

  it('that reads mails is told of those to the exceptions address, once they are in the bucket', () => {
    const [rule] = ofType(honest.running, 'AWS::SES::ReceiptRule');
    const actions = list(inside(rule?.Properties, 'Rule', 'Actions'));
    expect(inside(rule?.Properties, 'Rule', 'Recipients')).toEqual(['exceptions@activation.example.com']);
    expect(actions.map((each) => Object.keys(each ?? {}))).toEqual([['S3Action'], ['LambdaAction']]);
    const [bucket] = ofType(honest.kept, 'AWS::S3::Bucket');
    expect(inside(bucket?.Properties, 'LifecycleConfiguration', 'Rules', 0, 'ExpirationInDays')).toBe(7);
  });
});

describe('the API', () => {
  it('has every route of the manifest, and one answer for all others', () => {
    const routes = ofType(honest.running, 'AWS::ApiGatewayV2::Route').map(({ Properties }) =>
      flat(Properties.RouteKey),
    );
    const said = Object.values(entries).flatMap((entry) => (entry.is === 'api' ? Object.keys(entry.routes) : []));
    expect(routes.toSorted()).toEqual([...said, '$default'].toSorted());
  });

  it('takes each route’s calls only as often as its entry says', () => {
    const [stage] = ofType(honest.running, 'AWS::ApiGatewayV2::Stage');
    for (const entry of Object.values(entries)) {
      if (entry.is !== 'api') continue;
      for (const route of Object.keys(entry.routes)) {
        const { perSecond, burst } = entry.rates?.[route] ?? entry.rate;
        expect(inside(stage?.Properties.RouteSettings, route)).toEqual({
          ThrottlingRateLimit: perSecond,
          ThrottlingBurstLimit: burst,
          DetailedMetricsEnabled: true,
        });
      }
    }
  });

  it('asks the user pool who is signed in', () => {
    const [authorizer] = ofType(honest.running, 'AWS::ApiGatewayV2::Authorizer');
    expect(authorizer?.Properties.AuthorizerType).toBe('JWT');
    expect(flat(inside(authorizer?.Properties.JwtConfiguration, 'Issuer'))).toMatch(
      /^https:\/\/cognito-idp\.us-east-1\.amazonaws\.com\/</,
    );
    expect(ofType(honest.kept, 'AWS::Cognito::UserPoolGroup').map(({ Properties }) => Properties.GroupName)).toEqual([
      'licensing-admins',
      'call-center',
      'exceptions-team',
    ]);
  });

  it('AGR-3 lets nobody write the address that access goes by', () => {
    const [client] = ofType(honest.kept, 'AWS::Cognito::UserPoolClient');
    const [pool] = ofType(honest.kept, 'AWS::Cognito::UserPool');
    expect(client?.Properties.WriteAttributes).toEqual(['name']);
    expect(pool?.Properties.UserAttributeUpdateSettings).toEqual({
      AttributesRequireVerificationBeforeUpdate: ['email'],
    });
  });
});

describe('the workflow', () => {
  const [machine] = ofType(honest.running, 'AWS::StepFunctions::StateMachine');

  it('is the file, its every placeholder filled with the function of that step', () => {
    const placeholders = [...JSON.stringify(asl).matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name ?? '');
    const filled = Object.entries(machine?.Properties.DefinitionSubstitutions ?? {});
    expect(filled.map(([name]) => name).toSorted()).toEqual([...new Set(placeholders)].toSorted());
    for (const [name, value] of filled) expect(flat(value)).toMatch(new RegExp(`^<${name}Function\\w+\\.Arn>$`));
    expect(JSON.parse(String(machine?.Properties.DefinitionString))).toEqual(asl);
  });

  it('is traced, and logs what went wrong without the data, where task tokens are', () => {
    expect(machine?.Properties.TracingConfiguration).toEqual({ Enabled: true });
    expect(machine?.Properties.LoggingConfiguration).toMatchObject({ Level: 'ERROR', IncludeExecutionData: false });
    expect(machine?.Properties.StateMachineType).toBe('STANDARD');
  });
});

describe('alarms', () => {
  const alarms = ofType(honest.running, 'AWS::CloudWatch::Alarm').map(({ Properties }) => Properties);
  const anchors = [...readProjectFile('docs/runbook.md').matchAll(/^## (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replace(/\s+/g, '-'),
  );

  it('say what it costs people, and link a paragraph that the runbook has', () => {
    const runbook = stageNamed('prod').runbook;
    for (const { AlarmDescription } of alarms) {
      const [, cost, paragraph] = /^(.{20,}\.) What to do: (?:\S+)#(\S+)$/.exec(flat(AlarmDescription)) ?? [];
      expect([flat(AlarmDescription), cost?.length ?? 0]).not.toEqual([flat(AlarmDescription), 0]);
      expect(flat(AlarmDescription)).toContain(runbook);
      expect(anchors).toContain(paragraph);
    }
  });

  it('leave no paragraph of the runbook without an alarm, but for those that begin with a person', () => {
    const linked = new Set(alarms.map(({ AlarmDescription }) => flat(AlarmDescription).split('#')[1]));
    expect(anchors.filter((each) => !linked.has(each))).toEqual(['the-root-secret-leaks']);
  });

  it('watch over every function in the words of its entry', () => {
    const descriptions = alarms.map(({ AlarmName, AlarmDescription }) => `${AlarmName}\n${AlarmDescription}`);
    for (const [name, { whenItFails }] of Object.entries(entries)) {
      expect(descriptions).toContainEqual(expect.stringContaining(`: ${name} fails\n${whenItFails}`));
    }
  });

  it.each([
    'sweep has not run',
    'sweep gave up on something',
    'activation is throttled',
    'workflows fail',
    'requests come due',
    'requests are late',
    'mails bounce',
    'most calls are refused',
    'somebody guesses product keys',
    'somebody guesses approval links or codes',
  ])('go off when %s', (title) => {
    expect(alarms.filter(({ AlarmName }) => flat(AlarmName) === `volume-activation-prod: ${title}`)).toHaveLength(1);
  });

  it('tell somebody', () => {
    for (const { AlarmActions } of alarms) expect(flat(AlarmActions)).toMatch(/^<AlarmsTopic/);
    const [subscription] = ofType(honest.running, 'AWS::SNS::Subscription');
    expect(subscription?.Properties).toMatchObject({ Protocol: 'email', Endpoint: stageNamed('prod').alarmsTo });
  });

  it('take silence for the alarm where something should happen', () => {
    const [notRun] = alarms.filter(({ AlarmName }) => flat(AlarmName).endsWith('has not run'));
    expect(notRun).toMatchObject({
      TreatMissingData: 'breaching',
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
    });
  });
});

describe('the dashboard', () => {
  it('shows all that is counted of the business', () => {
    const [dashboard] = ofType(honest.running, 'AWS::CloudWatch::Dashboard');
    const body = flat(dashboard?.Properties.DashboardBody);
    for (const [what, by] of Object.entries(counted)) {
      expect(body).toMatch(new RegExp(`SEARCH\\('[^']*${by}\\} MetricName=[^']*${what}[^']*'`));
    }
  });
});

describe('an emulated stage', () => {
  const emulated = synthesized({ stageName: 'dev', emulated: true });

  it('leaves out what an emulator cannot make', () => {
    const types = [...emulated.kept.resources, ...emulated.running.resources].map(({ Type }) => Type);
    expect(types.filter((type) => /^AWS::SES::Receipt|Alarm|MetricFilter|SES::Template/.test(type))).toEqual([]);
    expect(ofType(honest.running, 'AWS::SES::ReceiptRule')).not.toEqual([]);
    expect(`${emulated.kept.text}${emulated.running.text}`).not.toMatch(/DkimDNSToken/);
  });

  it('is else the same: every function, route and right', () => {
    for (const type of ['AWS::Lambda::Function', 'AWS::ApiGatewayV2::Route', 'AWS::IAM::Policy', 'AWS::SQS::Queue']) {
      expect(ofType(emulated.running, type)).toHaveLength(ofType(honest.running, type).length);
    }
  });
});

describe('a stage that may be deleted', () => {
  it('takes its table with it, where prod keeps it', () => {
    const dev = synthesized({ stageName: 'dev' });
    expect(ofType(dev.kept, 'AWS::DynamoDB::Table')[0]?.Properties.DeletionProtectionEnabled).toBe(false);
    expect(dev.kept.text).toMatch(/"DeletionPolicy":"Delete"/);
  });
});

describe('a stage that names a table that was restored', () => {
  const streamLabel = '2026-06-01T16:00:00.000';
  const { kept, running } = synthesized({ settings: { restoredTable: { name: 'restored', streamLabel } } });

  it('works on that one and its stream, and has no right to its own any more', () => {
    const functions = functionsOf(running, manifest);
    const names = functions.flatMap(({ Properties: { Environment } }) => {
      const name = inside(Environment, 'Variables', 'TABLE_NAME');
      return name === undefined ? [] : [flat(name)];
    });
    expect(new Set(names)).toEqual(new Set(['restored']));
    const resources = functions
      .flatMap(({ id }) => statementsOf(running, id))
      .filter((statement) => list(inside(statement, 'Action')).some((action) => String(action).startsWith('dynamodb:')))
      .flatMap((statement) => list(inside(statement, 'Resource')).map(flat));
    expect(resources.length).toBeGreaterThan(0);
    expect(resources.filter((arn) => !/:table\/restored(\/|$)/.test(arn))).toEqual([]);
    const [mapping] = ofType(running, 'AWS::Lambda::EventSourceMapping');
    expect(flat(mapping?.Properties.EventSourceArn)).toMatch(`:table/restored/stream/${streamLabel}`);
  });

  it('keeps its own as it is', () => {
    expect(ofType(kept, 'AWS::DynamoDB::Table')).toEqual(ofType(honest.kept, 'AWS::DynamoDB::Table'));
  });
});
