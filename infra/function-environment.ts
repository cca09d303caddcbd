import type { Environment } from '../functions/environment.ts';
import type { Entry } from '../functions/manifest.ts';

/** What functions may be told: their own variables, and those that the runtime and the log and metrics library read. */
export type Told = Partial<Record<keyof Environment | OfTheRuntime, string>>;
type OfTheRuntime = 'NODE_OPTIONS' | 'POWERTOOLS_SERVICE_NAME' | 'POWERTOOLS_METRICS_NAMESPACE';

/** The values that a deployment has for them. */
export type Facts = {
  readonly version: string;
  readonly metricsNamespace: string;
  readonly tableName: string;
  readonly vaultSecret: string;
  readonly stateMachineArn: string;
  readonly mail: {
    readonly from: string;
    readonly team: string;
    readonly supervisors: string;
    readonly inbound: string;
  };
  readonly configurationSet: string;
  readonly publicUrl: string;
  readonly inboundMailBucket: string;
};

/** Tells an entry's function what its rights need, and nothing that it has no right to. */
export function environmentOf(name: string, { may }: Pick<Entry, 'may'>, facts: Facts): Told {
  const mayAny = (...rights: readonly Entry['may'][number][]) => rights.some((right) => may.includes(right));
  return {
    SERVICE_VERSION: facts.version,
    NODE_OPTIONS: '--enable-source-maps',
    POWERTOOLS_SERVICE_NAME: name,
    POWERTOOLS_METRICS_NAMESPACE: facts.metricsNamespace,
    ...(mayAny('read-table', 'write-table') && { TABLE_NAME: facts.tableName, POLICY_FILE: 'policy.json' }),
    ...(mayAny('read-vault') && { VAULT_SECRET: facts.vaultSecret }),
    ...(mayAny('start-workflow', 'answer-task-token') && { STATE_MACHINE_ARN: facts.stateMachineArn }),
    ...(mayAny('send-mail') && {
      MAIL_FROM: facts.mail.from,
      MAIL_TEAM: facts.mail.team,
      MAIL_SUPERVISORS: facts.mail.supervisors,
      MAIL_INBOUND: facts.mail.inbound,
      MAIL_CONFIGURATION_SET: facts.configurationSet,
      PUBLIC_URL: facts.publicUrl,
    }),
    ...(mayAny('read-inbound-mail') && { INBOUND_MAIL_BUCKET: facts.inboundMailBucket }),
  };
}
