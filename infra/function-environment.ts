import type { Environment } from '../functions/environment.ts';
import type { ManifestEntry } from '../functions/manifest.ts';

/** The environment of a function: its own variables, and those that Node and Powertools read. */
export type FunctionEnvironment = Partial<Record<keyof Environment | RuntimeVariable, string>>;
type RuntimeVariable = 'NODE_OPTIONS' | 'POWERTOOLS_SERVICE_NAME' | 'POWERTOOLS_METRICS_NAMESPACE';

/** The values that a deployment has for these variables. */
export type FunctionSettings = {
  readonly version: string;
  readonly metricsNamespace: string;
  readonly tableName: string;
  readonly rootSecret: string;
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

/** Returns the environment of an entry's function. It contains only the variables that the entry's permissions need. */
export function environmentOf(
  name: string,
  { permissions }: Pick<ManifestEntry, 'permissions'>,
  settings: FunctionSettings,
): FunctionEnvironment {
  const hasAny = (...anyOf: readonly ManifestEntry['permissions'][number][]) =>
    anyOf.some((permission) => permissions.includes(permission));
  return {
    SERVICE_VERSION: settings.version,
    NODE_OPTIONS: '--enable-source-maps',
    POWERTOOLS_SERVICE_NAME: name,
    POWERTOOLS_METRICS_NAMESPACE: settings.metricsNamespace,
    ...(hasAny('read-table', 'write-table') && { TABLE_NAME: settings.tableName, POLICY_FILE: 'policy.json' }),
    ...(hasAny('root-secret') && { ROOT_SECRET: settings.rootSecret }),
    ...(hasAny('start-workflow', 'answer-task-token') && { STATE_MACHINE_ARN: settings.stateMachineArn }),
    ...(hasAny('send-mail') && {
      MAIL_FROM: settings.mail.from,
      MAIL_TEAM: settings.mail.team,
      MAIL_SUPERVISORS: settings.mail.supervisors,
      MAIL_INBOUND: settings.mail.inbound,
      MAIL_CONFIGURATION_SET: settings.configurationSet,
      PUBLIC_URL: settings.publicUrl,
    }),
    ...(hasAny('read-inbound-mail') && { INBOUND_MAIL_BUCKET: settings.inboundMailBucket }),
  };
}
