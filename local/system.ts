import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from 'aws-lambda';
import type { Instant } from '../domain/instant.ts';
import { fileOf, namesOf } from '../functions/manifest.ts';
import definition from '../workflows/exception-request.asl.json' with { type: 'json' };
import type { Clock } from './clock.ts';
import { makeClock } from './clock.ts';
import { CannotStart, startDynamoDb } from './dynamodb.ts';
import type { ApiHandler } from './gateway.ts';
import { contextOf, makeGateway } from './gateway.ts';
import { localRoutes } from './local-routes.ts';
import type { MailBox } from './mail-box.ts';
import { startMailBox } from './mail-box.ts';
import { startStepFunctions } from './step-functions.ts';
import type { Tokens } from './tokens.ts';
import { startTokens } from './tokens.ts';

export type SystemOptions = {
  readonly port: number;
  /** Keeps the data between runs; without it all is in memory. */
  readonly folder: string | undefined;
  /** A DynamoDB that is there already. */
  readonly dynamoDbEndpoint: string | undefined;
  /** The environment that the handlers will read: where the engines are is written into it. */
  readonly environment: Record<string, string | undefined>;
};

export type System = {
  readonly address: string;
  readonly engines: { readonly dynamoDb: string; readonly workflows: string; readonly mail: string };
  readonly clock: Clock;
  readonly tokens: Tokens;
  readonly mailBox: MailBox;
  stop(): Promise<void>;
};

const tableName = 'volume-activation';
const sweepEveryMilliseconds = 60_000;

/**
 * Starts the whole service on this machine: the engines on loopback, the same handlers and the same workflow file as on
 * AWS, and the gateway in front. Throws `CannotStart`, with one clear line, when something it needs is not to be had.
 */
export async function startSystem({ port, folder, dynamoDbEndpoint, environment }: SystemOptions): Promise<System> {
  if (folder !== undefined) mkdirSync(folder, { recursive: true });
  const kept = folder === undefined ? {} : { folder };
  const clock = makeClock(kept);
  const now = () => clock.now();
  const given = dynamoDbEndpoint === undefined ? {} : { given: dynamoDbEndpoint };
  const [dynamoDb, mailBox, tokens] = await Promise.all([
    startDynamoDb({ ...kept, ...given }),
    startMailBox({ now, ...kept }),
    startTokens({ now, ...kept }),
  ]);
  const address = `http://localhost:${port}`;
  Object.assign(environment, {
    AWS_ENDPOINT_URL_DYNAMODB: dynamoDb.endpoint,
    AWS_ENDPOINT_URL_SESV2: mailBox.endpoint,
    AWS_REGION: environment['AWS_REGION'] ?? 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_SESSION_TOKEN: undefined,
    TABLE_NAME: tableName,
    POLICY_FILE: environment['POLICY_FILE'] ?? new URL('../policy.json', import.meta.url).pathname,
    VAULT_SECRET: vaultSecret(folder),
    MAIL_FROM: 'Volume Activation <no-reply@volume-activation.example>',
    MAIL_TEAM: 'exceptions-team@volume-activation.example',
    MAIL_SUPERVISORS: 'supervisors@volume-activation.example',
    PUBLIC_URL: address,
    POWERTOOLS_LOG_LEVEL: environment['POWERTOOLS_LOG_LEVEL'] ?? 'ERROR',
    POWERTOOLS_METRICS_DISABLED: 'true',
  });
  for (const [name, value] of Object.entries(environment)) if (value === undefined) delete environment[name];

  // Only now may the handlers be loaded: they find the engines through the environment.
  const [world, { createTable }, api, steps, sweep] = await Promise.all([
    import('../functions/world.ts'),
    import('../store/create-table.ts'),
    load<ApiHandler>('api'),
    load<(input: unknown, context: Context) => Promise<unknown>>('step'),
    import('../functions/sweep.ts'),
  ]);
  world.keepTimeBy(now);
  await createTable(tableName);
  const handlers = Object.fromEntries(
    // The workflow file names its functions by placeholders, which the deployment fills from the manifest.
    Object.entries(steps).map(([name, run]) => [`\${${name}}`, (input: unknown) => run(input, contextOf(name))]),
  );
  const workflows = await startStepFunctions({ definition, handlers, now });
  environment['AWS_ENDPOINT_URL_SFN'] = workflows.endpoint;
  environment['STATE_MACHINE_ARN'] = workflows.stateMachineArn;

  let sweeping = Promise.resolve<Instant | null>(null);
  // One sweep at a time, as the schedule's function has room for one.
  const sweepOnce = (): Promise<Instant | null> => {
    sweeping = sweeping.then(
      async () => (await sweep.handler({}, contextOf('sweep'))).nextActionAt,
      async () => (await sweep.handler({}, contextOf('sweep'))).nextActionAt,
    );
    return sweeping;
  };
  const routes = localRoutes({
    clock,
    tokens,
    mailBox,
    workflows,
    sweep: sweepOnce,
    quiet: async () => {
      await gateway.quiet();
      await workflows.quiet();
    },
  });
  const gateway = makeGateway(api, tokens, routes, now);
  await listen(gateway.server, port);
  const timer = setInterval(() => {
    sweepOnce().catch((error: unknown) => console.error(String(error)));
  }, sweepEveryMilliseconds);

  return {
    address,
    engines: { dynamoDb: dynamoDb.endpoint, workflows: workflows.endpoint, mail: mailBox.endpoint },
    clock,
    tokens,
    mailBox,
    stop: async () => {
      clearInterval(timer);
      gateway.server.closeAllConnections();
      gateway.server.close();
      await workflows.stop();
      await mailBox.stop();
      await dynamoDb.stop();
    },
  };
}

async function listen(server: ReturnType<typeof makeGateway>['server'], port: number): Promise<void> {
  server.listen(port);
  try {
    await once(server, 'listening');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new CannotStart(`Port ${port} is in use. Stop what uses it, or choose another with PORT=…`);
    }
    throw error;
  }
}

/** The root secret: kept beside the data that it seals, or as fleeting as they are. */
function vaultSecret(folder: string | undefined): string {
  const fresh = randomBytes(32).toString('hex');
  if (folder === undefined) return fresh;
  const file = join(folder, 'vault-secret');
  if (!existsSync(file)) writeFileSync(file, fresh, { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

/** Loads the Lambdas of one sort, each from the file that the manifest names. */
async function load<Handler>(is: 'api' | 'step'): Promise<Record<string, Handler>> {
  const loaded = namesOf(is).map(async (name) => [name, (await import(`../${fileOf(name)}`)).handler] as const);
  return Object.fromEntries(await Promise.all(loaded));
}
