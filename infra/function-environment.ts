import type { Environment } from '../functions/environment.ts';
import type { ManifestEntry } from '../functions/manifest.ts';

/** What functions may be told: their own variables, and those that the runtime and the log and metrics library read. */
export type FunctionEnvironment = Partial<Record<keyof Environment | RuntimeVariable, string>>;
type RuntimeVariable = 'NODE_OPTIONS' | 'POWERTOOLS_SERVICE_NAME' | 'POWERTOOLS_METRICS_NAMESPACE';

/** The values that a deployment has for them. */
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

/** Tells an entry's function what its rights need, and nothing that it has no right to. */
export function environmentOf(
  name: string,
  { permissions: may }: Pick<ManifestEntry, 'permissions'>,
  settings: FunctionSettings,
): FunctionEnvironment {
  const hasAny = (...anyOf: readonly ManifestEntry['permissions'][number][]) =>
    anyOf.some((permission) => may.includes(permission));
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
