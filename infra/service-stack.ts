import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type Entry, fileOf, inboundMailPrefix } from '../functions/manifest.ts';
import { tableSchema } from '../store/dynamodb/schema.ts';
import { Alarms } from './alarms.ts';
import { Api } from './api.ts';
import { Bundles } from './bundling.ts';
import { Sending } from './configuration-set.ts';
import { Dashboard } from './dashboard.ts';
import { MailEvents } from './delivery-event-rule.ts';
import type { Deployment } from './deployment.ts';
import { InboundMail } from './inbound-mail-rule.ts';
import { Meters, metricsNamespaceOf } from './metrics.ts';
import { Schedule } from './schedule.ts';
import type { Standing } from './service-function.ts';
import { EntryFunction } from './service-function.ts';
import { bareAddress, domainOf } from './stage.ts';
import type { KeptStack } from './stateful-stack.ts';
import { StreamReader } from './stream-source.ts';
import { stateMachineNameOf, Workflow } from './workflow.ts';

/** What runs: functions, API, workflow, schedule, mail, and those who watch over them. It keeps nothing. */
export class RunningStack extends Stack {
  constructor(scope: Construct, id: string, deployment: Deployment, kept: KeptStack) {
    const { prefix, stage, manifest, env } = deployment;
    super(scope, id, { env, description: `What ${prefix} runs: functions, API, workflow, schedule, mail, alarms` });
    const { key } = kept.encryption;
    const { table } = kept.table;
    const { bucket } = kept.inboundMail;
    const states = { service: 'states', resourceName: stateMachineNameOf(prefix) };
    const stateMachineArn = this.formatArn({
      ...states,
      resource: 'stateMachine',
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    const api = new Api(this, 'Api', { prefix, stage, key });
    const sending = new Sending(this, 'Sending', { prefix });

    const things = {
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
      configurationSetArn: sending.configurationSetArn,
      mailFrom: bareAddress(stage.mail.from),
      inboundMailArn: `${kept.inboundMailArn}/${inboundMailPrefix}*`,
    };
    const facts = {
      version: deployment.version,
      metricsNamespace: metricsNamespaceOf(deployment),
      tableName: table.tableName,
      // CloudFormation puts the value in as it makes the function; the template has a reference to it only.
      vaultSecret: kept.vault.secret.secretValue.unsafeUnwrap(),
      stateMachineArn,
      mail: stage.mail,
      configurationSet: sending.configurationSetName,
      publicUrl: api.publicUrl,
      inboundMailBucket: bucket.bucketName,
    };
    const bundles = new Bundles(Object.keys(manifest).map(fileOf), stage.policyFile);
    const standing = Object.entries(manifest).map(([name, entry]): Standing => {
      const code = bundles.codeOf(fileOf(name));
      return {
        name,
        entry,
        made: new EntryFunction(this, name, { name, entry, code, key, prefix, stage, things, facts }),
      };
    });

    api.answer(
      thoseThatAre('api', standing).map(({ name, entry, made }) => ({ name, entry, function: made.function })),
      kept.people,
    );
    const workflow = new Workflow(this, 'Workflow', {
      prefix,
      stage,
      key,
      steps: Object.fromEntries(thoseThatAre('step', standing).map(({ name, made }) => [name, made.function])),
    });
    for (const { name, entry, made } of thoseThatAre('schedule', standing)) {
      new Schedule(this, `${name}Schedule`, { entry, function: made.function, deadLetters: deadLettersOf(made) });
    }
    for (const { name, made } of thoseThatAre('stream', standing)) {
      const { tableStreamArn } = table;
      if (tableStreamArn === undefined) throw new Error('The table has no stream.');
      new StreamReader(this, `${name}Stream`, {
        function: made.function,
        streamArn: tableStreamArn,
        key,
        deadLetters: deadLettersOf(made),
      });
    }
    for (const { name, made } of thoseThatAre('inbound-mail', standing)) {
      const { emulated } = deployment;
      const address = stage.mail.inbound;
      const { bucketName } = bucket;
      new InboundMail(this, `${name}Rule`, { prefix, address, bucketName, function: made.function, emulated });
    }
    for (const { name, made } of thoseThatAre('mail-events', standing)) {
      new MailEvents(this, `${name}Rule`, {
        function: made.function,
        configurationSetName: sending.configurationSetName,
        deadLetters: deadLettersOf(made),
      });
    }

    // An emulator measures nothing, and takes no alarm that adds up.
    if (deployment.emulated) return;
    const meters = new Meters(deployment, { standing, api: api.api, stateMachine: workflow.stateMachine, table });
    const alarms = new Alarms(this, 'Alarms', { prefix, stage, key, standing, meters });
    new Dashboard(this, 'Dashboard', { prefix, standing, meters, alarms: alarms.all });
  }
}

function thoseThatAre<Is extends Entry['is']>(is: Is, standing: readonly Standing[]): readonly Standing<Is>[] {
  return standing.filter((each): each is Standing<Is> => each.entry.is === is);
}

function deadLettersOf({ deadLetters, node }: EntryFunction) {
  if (deadLetters === undefined) throw new Error(`${node.path} has nowhere to put what fails.`);
  return deadLetters;
}
