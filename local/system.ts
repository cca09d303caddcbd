import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from 'aws-lambda';
import type { Instant } from '../domain/calendar/instant.ts';
import { entryNamesOf, fileOf } from '../functions/manifest.ts';
import definition from '../workflows/exception-request.asl.json' with { type: 'json' };
import { createAdvanceClock } from './advance-clock.ts';
import type { Clock } from './clock.ts';
import { createClock } from './clock.ts';
import { lockDataFolder } from './data-folder.ts';
import type { ApiHandler } from './emulators/api-gateway.ts';
import { createGateway, lambdaContext } from './emulators/api-gateway.ts';
import type { TokenService } from './emulators/cognito.ts';
import { createTokenService } from './emulators/cognito.ts';
import { startDynamoDb } from './emulators/dynamodb.ts';
import type { StreamHandler } from './emulators/dynamodb-stream.ts';
import { followStream } from './emulators/dynamodb-stream.ts';
import { startMailbox } from './emulators/ses.ts';
import type { InboundMailHandler } from './emulators/ses-inbound.ts';
import { startSesInbound } from './emulators/ses-inbound.ts';
import { startStepFunctions } from './emulators/step-functions.ts';
import { localRoutes } from './local-routes.ts';
import { reservePort } from './port.ts';

export type SystemOptions = {
  /** 0 selects a free port. */
  readonly port: number;
  /** The folder that keeps the data between runs. Without it, all data is in memory. */
  readonly folder: string | undefined;
  /** The endpoint of a DynamoDB that already runs. */
  readonly dynamoDbEndpoint: string | undefined;
  /** The environment that the handlers read. The start sets the endpoints of the emulators in it. */
  readonly environment: Record<string, string | undefined>;
};

export type System = {
  readonly address: string;
  readonly clock: Clock;
  readonly engines: { readonly dynamoDb: string; readonly workflows: string; readonly mail: string };
  readonly tokens: TokenService;
  /** Settles with a message only when an engine ends without a call of `stop`. */
  readonly failure: Promise<string>;
  /** Finishes pending work and stops everything that was started. */
  stop(): Promise<void>;
};

const sweepIntervalMilliseconds = 60_000;

/** The bucket and the address of emails to the exceptions team. */
const inboundMailbox = { bucket: 'inbound-mails', address: 'exceptions@volume-activation.example' };

/**
 * Starts the complete service on this machine: the emulators on loopback, the same handlers and workflow file as on AWS,
 * and the API gateway. When it returns, the service is ready. Throws `StartupError` with a one-line message when a
 * requirement is missing, and leaves nothing running.
 */
export async function startSystem({ port, folder, dynamoDbEndpoint, environment }: SystemOptions): Promise<System> {
  await using resources = new AsyncDisposableStack();
  const reservedPort = await reservePort(port);
  resources.defer(reservedPort.close);
  const address = `http://localhost:${reservedPort.port}`;
  if (folder !== undefined) resources.defer(await lockDataFolder(folder));

  const folderOption = folder === undefined ? {} : { folder };
  const secret = loadRootSecret(folder);
  // The keys in a table cannot be revealed without the secret that sealed them, so its name depends on the secret.
  const tableName = `volume-activation-${createHash('sha256').update(secret).digest('hex').slice(0, 12)}`;
  Object.assign(environment, {
    TABLE_NAME: tableName,
    ROOT_SECRET: secret,
    POLICY_FILE: environment.POLICY_FILE ?? new URL('../policy.json', import.meta.url).pathname,
    MAIL_FROM: 'Volume Activation <no-reply@volume-activation.example>',
    MAIL_TEAM: 'exceptions-team@volume-activation.example',
    MAIL_SUPERVISORS: 'supervisors@volume-activation.example',
    MAIL_INBOUND: inboundMailbox.address,
    INBOUND_MAIL_BUCKET: inboundMailbox.bucket,
    PUBLIC_URL: address,
    POWERTOOLS_LOG_LEVEL: environment.POWERTOOLS_LOG_LEVEL ?? 'ERROR',
    POWERTOOLS_METRICS_DISABLED: 'true',
    ...localAwsSettings,
  });
  delete environment.AWS_PROFILE;
  delete environment.AWS_SESSION_TOKEN;
  delete environment.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS;

  const clock = createClock(folderOption);
  const now = () => clock.now();
  const endpointOption = dynamoDbEndpoint === undefined ? {} : { externalEndpoint: dynamoDbEndpoint };
  // The handlers read the endpoints only when they first need them.
  const loading = Promise.all([
    import('../functions/runtime/clock.ts'),
    import('../functions/events/sweep.ts'),
    import('../store/dynamodb/create-table.ts'),
    loadHandlers<ApiHandler>('api'),
    loadHandlers<(input: unknown, context: Context) => Promise<unknown>>('step'),
    loadHandlers<StreamHandler>('stream'),
  ]);
  // The `await` below reports a failure to load.
  loading.catch(() => undefined);
  const dynamoDb = await startDynamoDb({ ...folderOption, ...endpointOption });
  resources.defer(dynamoDb.stop);
  const mailbox = await startMailbox({ now, ...folderOption });
  resources.defer(mailbox.stop);
  const tokens = await createTokenService({ now, ...folderOption });
  const sesInbound = await startSesInbound(inboundMailbox);
  resources.defer(sesInbound.stop);
  Object.assign(environment, {
    AWS_ENDPOINT_URL_DYNAMODB: dynamoDb.endpoint,
    AWS_ENDPOINT_URL_SESV2: mailbox.endpoint,
    AWS_ENDPOINT_URL_S3: sesInbound.endpoint,
  });
  const [runtimeClock, sweepFunction, { createTable }, api, steps, streamHandlers] = await loading;
  runtimeClock.setClock(now);
  await createTable(tableName);
  const stream = await followStream({ endpoint: dynamoDb.endpoint, tableName }, streamHandlers);
  resources.defer(stream.stop);

  const handlers = Object.fromEntries(
    // The workflow file has placeholders for its functions, which the deployment fills from the manifest.
    Object.entries(steps).map(([name, run]) => [`\${${name}}`, (input: unknown) => run(input, lambdaContext(name))]),
  );
  const workflows = await startStepFunctions({ definition, handlers, now, ...folderOption });
  resources.defer(workflows.stop);
  Object.assign(environment, {
    AWS_ENDPOINT_URL_SFN: workflows.endpoint,
    STATE_MACHINE_ARN: workflows.stateMachineArn,
  });
  workflows.resume();

  // One sweep at a time, like the deployed function, whose reserved concurrency is 1.
  let currentSweep: Promise<Instant | null> = Promise.resolve(null);
  const sweep = () => {
    const next = async () => (await sweepFunction.handler({}, lambdaContext('sweep'))).nextActionAt;
    currentSweep = currentSweep.then(next, next);
    return currentSweep;
  };
  const timer = setInterval(() => {
    sweep().catch((error: unknown) => console.error(String(error)));
  }, sweepIntervalMilliseconds);
  resources.defer(async () => {
    clearInterval(timer);
    await Promise.allSettled([currentSweep]);
    await workflows.whenIdle();
  });

  const whenIdle = async () => {
    await gateway.whenIdle();
    await workflows.whenIdle();
    await stream.whenIdle();
  };
  const deliverEmail = async (raw: Buffer, verdict: 'PASS' | 'FAIL') => {
    // The functions that parse emails take as long to load as all others together, so they load for the first email.
    const mailHandlers = await loadHandlers<InboundMailHandler>('inbound-mail');
    return sesInbound.deliver(raw, verdict, Object.values(mailHandlers));
  };
  const advanceClock = createAdvanceClock({ clock, sweep, timeouts: workflows, whenIdle });
  const routes = localRoutes({ address, clock, tokens, mailbox, deliverEmail, workflows, advanceClock });
  const gateway = createGateway(api, tokens, routes, now);
  reservedPort.open(gateway.listener);

  const startedResources = resources.move();
  return {
    address,
    clock,
    engines: { dynamoDb: dynamoDb.endpoint, workflows: workflows.endpoint, mail: mailbox.endpoint },
    tokens,
    failure: dynamoDb.unexpectedEnd.then(
      () => 'The DynamoDB engine ended unexpectedly, and the system cannot run without it. Start the system again.',
    ),
    stop: async () => {
      await reservedPort.close();
      await startedResources.disposeAsync();
    },
  };
}

/** The settings that keep the SDK from looking for credentials and endpoints elsewhere. */
const localAwsSettings = {
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'local',
  AWS_SECRET_ACCESS_KEY: 'local',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
};

/** Returns the root secret: the one in the data folder, or a new one. It is lost with the data if there is no folder. */
function loadRootSecret(folder: string | undefined): string {
  const generated = randomBytes(32).toString('hex');
  if (folder === undefined) return generated;
  const file = join(folder, 'root-secret');
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  // The rename is atomic: an incomplete secret would make the data unreadable.
  writeFileSync(`${file}.new`, generated, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return generated;
}

/** Loads the Lambda handlers of one kind, each from its file in the manifest. */
async function loadHandlers<Handler>(
  kind: 'api' | 'step' | 'stream' | 'inbound-mail',
): Promise<Record<string, Handler>> {
  const handlers = entryNamesOf(kind).map(
    async (name) => [name, (await import(`../${fileOf(name)}`)).handler] as const,
  );
  return Object.fromEntries(await Promise.all(handlers));
}
