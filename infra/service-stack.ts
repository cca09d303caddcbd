import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { fileOf, inboundMailPrefix, type ManifestEntry } from '../functions/manifest.ts';
import { tableSchema } from '../store/dynamodb/schema.ts';
import { Alarms } from './alarms.ts';
import { Api } from './api.ts';
import { Bundles } from './bundling.ts';
import { MailConfigurationSet } from './configuration-set.ts';
import { Dashboard } from './dashboard.ts';
import { DeliveryEventRule } from './delivery-event-rule.ts';
import type { Deployment } from './deployment.ts';
import { InboundMailRule } from './inbound-mail-rule.ts';
import { Metrics, metricsNamespaceOf } from './metrics.ts';
import { Schedule } from './schedule.ts';
import type { DeployedFunction } from './service-function.ts';
import { ServiceFunction } from './service-function.ts';
import { bareAddress, domainOf } from './stage.ts';
import type { StatefulStack } from './stateful-stack.ts';
import { StreamSource } from './stream-source.ts';
import { stateMachineNameOf, Workflow } from './workflow.ts';

/** The service stack: functions, API, workflow, schedule, email, alarms, and dashboard. It stores no data. */
export class ServiceStack extends Stack {
  constructor(scope: Construct, id: string, deployment: Deployment, stateful: StatefulStack) {
    const { prefix, stage, manifest, env } = deployment;
    super(scope, id, { env, description: `Service of ${prefix}: functions, API, workflow, schedule, email, alarms` });
    const { key } = stateful.encryption;
    const { table } = stateful.table;
    const { bucket } = stateful.inboundMail;
    const states = { service: 'states', resourceName: stateMachineNameOf(prefix) };
    const stateMachineArn = this.formatArn({
      ...states,
      resource: 'stateMachine',
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    const api = new Api(this, 'Api', { prefix, stage, key });
    const mailSending = new MailConfigurationSet(this, 'Mail', { prefix });

    const resourceArns = {
      tableArn: table.tableArn,
      indexArns: tableSchema.indexes.map(({ name }) => `${table.tableArn}/index/${name}`),
      keyArn: key.keyArn,
      stateMachineArn,
      executionArn: `${this.formatArn({ ...states, resource: 'execution', arnFormat: ArnFormat.COLON_RESOURCE_NAME })}:*`,
      mailIdentityArn: this.formatArn({
        service: 'ses',
        resource: 'identity',
        resourceName: domainOf(stage.mail.from),
      }),
      configurationSetArn: mailSending.configurationSetArn,
      mailFrom: bareAddress(stage.mail.from),
      inboundMailObjectArn: `${stateful.inboundMailBucketArn}/${inboundMailPrefix}*`,
    };
    const settings = {
      version: deployment.version,
      metricsNamespace: metricsNamespaceOf(deployment),
      tableName: table.tableName,
      // CloudFormation resolves the value when it creates the function. The template holds only a reference.
      rootSecret: stateful.rootSecret.secret.secretValue.unsafeUnwrap(),
      stateMachineArn,
      mail: stage.mail,
      configurationSet: mailSending.configurationSetName,
      publicUrl: api.publicUrl,
      inboundMailBucket: bucket.bucketName,
    };
    const bundles = new Bundles(Object.keys(manifest).map(fileOf), stage.policyFile);
    const functions = Object.entries(manifest).map(([name, entry]): DeployedFunction => {
      const code = bundles.codeOf(fileOf(name));
      return {
        name,
        entry,
        construct: new ServiceFunction(this, name, { name, entry, code, key, prefix, stage, resourceArns, settings }),
      };
    });

    api.addRoutes(
      functionsOfKind('api', functions).map(({ name, entry, construct }) => ({
        name,
        entry,
        function: construct.function,
      })),
      stateful.users,
    );
    const workflow = new Workflow(this, 'Workflow', {
      prefix,
      stage,
      key,
      steps: Object.fromEntries(
        functionsOfKind('step', functions).map(({ name, construct }) => [name, construct.function]),
      ),
    });
    for (const { name, entry, construct } of functionsOfKind('schedule', functions)) {
      new Schedule(this, `${name}Schedule`, {
        entry,
        function: construct.function,
        deadLetterQueue: deadLetterQueueOf(construct),
      });
    }
    for (const { name, construct } of functionsOfKind('stream', functions)) {
      const { tableStreamArn } = table;
      if (tableStreamArn === undefined) throw new Error('The table has no stream.');
      new StreamSource(this, `${name}Stream`, {
        function: construct.function,
        streamArn: tableStreamArn,
        key,
        deadLetterQueue: deadLetterQueueOf(construct),
      });
    }
    for (const { name, construct } of functionsOfKind('inbound-mail', functions)) {
      const { emulated } = deployment;
      const address = stage.mail.inbound;
      const { bucketName } = bucket;
      new InboundMailRule(this, `${name}Rule`, { prefix, address, bucketName, function: construct.function, emulated });
    }
    for (const { name, construct } of functionsOfKind('delivery-events', functions)) {
      new DeliveryEventRule(this, `${name}Rule`, {
        function: construct.function,
        configurationSetName: mailSending.configurationSetName,
        deadLetterQueue: deadLetterQueueOf(construct),
      });
    }

    // An emulator has no metrics and supports no metric math in alarms.
    if (deployment.emulated) return;
    const metrics = new Metrics(deployment, { functions, api: api.api, stateMachine: workflow.stateMachine, table });
    const alarms = new Alarms(this, 'Alarms', { prefix, stage, key, functions, metrics });
    new Dashboard(this, 'Dashboard', { prefix, functions, metrics, alarms: alarms.all });
  }
}

function functionsOfKind<Kind extends ManifestEntry['kind']>(
  kind: Kind,
  functions: readonly DeployedFunction[],
): readonly DeployedFunction<Kind>[] {
  return functions.filter((deployed): deployed is DeployedFunction<Kind> => deployed.entry.kind === kind);
}

function deadLetterQueueOf({ deadLetterQueue, node }: ServiceFunction) {
  if (deadLetterQueue === undefined) throw new Error(`${node.path} has no dead-letter queue.`);
  return deadLetterQueue;
}
