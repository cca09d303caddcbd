import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from 'aws-lambda';
import type { Instant } from '../domain/calendar/instant.ts';
import { fileOf, entryNamesOf } from '../functions/manifest.ts';
import definition from '../workflows/exception-request.asl.json' with { type: 'json' };
import type { Clock } from './clock.ts';
import { createClock } from './clock.ts';
import { reservePort } from './port.ts';
import { startDynamoDb } from './emulators/dynamodb.ts';
import { lockDataFolder } from './data-folder.ts';
import type { ApiHandler } from './emulators/api-gateway.ts';
import { lambdaContext, createGateway } from './emulators/api-gateway.ts';
import type { InboundMailHandler } from './emulators/ses-inbound.ts';
import { startSesInbound } from './emulators/ses-inbound.ts';
import { localRoutes } from './local-routes.ts';
import { startMailbox } from './emulators/ses.ts';
import { startStepFunctions } from './emulators/step-functions.ts';
import type { StreamHandler } from './emulators/dynamodb-stream.ts';
import { followStream } from './emulators/dynamodb-stream.ts';
import type { TokenService } from './emulators/cognito.ts';
import { createTokenService } from './emulators/cognito.ts';
import { createAdvanceClock } from './advance-clock.ts';

export type SystemOptions = {
  /** 0 is any free one. */
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
  readonly clock: Clock;
  readonly engines: { readonly dynamoDb: string; readonly workflows: string; readonly mail: string };
  readonly tokens: TokenService;
  /** Settles when an engine has ended though nobody stopped it, and never otherwise. */
  readonly failure: Promise<string>;
  /** Stops everything that was started, what is under way first. */
  stop(): Promise<void>;
};

const sweepIntervalMilliseconds = 60_000;

/** Where mails to the exceptions address arrive. */
const inboundMailbox = { bucket: 'inbound-mails', address: 'exceptions@volume-activation.example' };

/**
 * Starts the whole service on this machine: the engines on loopback, the same handlers and the same workflow file as on
 * AWS, and the gateway in front. When it comes back, all of it answers. Throws `CannotStart`, with one clear line, when
 * something it needs is not to be had; nothing is left running then.
 */
export async function startSystem({ port, folder, dynamoDbEndpoint, environment }: SystemOptions): Promise<System> {
  await using resources = new AsyncDisposableStack();
  const reservedPort = await reservePort(port);
  resources.defer(reservedPort.close);
  const address = `http://localhost:${reservedPort.port}`;
  if (folder !== undefined) resources.defer(await lockDataFolder(folder));

  const folderOption = folder === undefined ? {} : { folder };
  const secret = loadRootSecret(folder);
  // A table is of no use without the secret that its keys are sealed with, so it is named after it.
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
  // The handlers look for the engines only when they first need them.
  const loading = Promise.all([
    import('../functions/runtime/clock.ts'),
    import('../functions/events/sweep.ts'),
    import('../store/dynamodb/create-table.ts'),
    loadHandlers<ApiHandler>('api'),
    loadHandlers<(input: unknown, context: Context) => Promise<unknown>>('step'),
    loadHandlers<StreamHandler>('stream'),
  ]);
  // If they do not load, that is told below, after what is started meanwhile.
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
    // The workflow file names its functions by placeholders, which the deployment fills from the manifest.
    Object.entries(steps).map(([name, run]) => [`\${${name}}`, (input: unknown) => run(input, lambdaContext(name))]),
  );
  const workflows = await startStepFunctions({ definition, handlers, now, ...folderOption });
  resources.defer(workflows.stop);
  Object.assign(environment, {
    AWS_ENDPOINT_URL_SFN: workflows.endpoint,
    STATE_MACHINE_ARN: workflows.stateMachineArn,
  });
  workflows.resume();

  // One sweep at a time, as the schedule's function has room for one.
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
  const deliverMail = async (raw: Buffer, verdict: 'PASS' | 'FAIL') => {
    // What reads mails takes as long to load as all other functions together, so it waits for the first mail.
    const mailHandlers = await loadHandlers<InboundMailHandler>('inbound-mail');
    return sesInbound.deliver(raw, verdict, Object.values(mailHandlers));
  };
  const advanceClock = createAdvanceClock({ clock, sweep, timeouts: workflows, whenIdle });
  const routes = localRoutes({ address, clock, tokens, mailBox: mailbox, deliverMail, workflows, advanceClock });
  const gateway = createGateway(api, tokens, routes, now);
  reservedPort.open(gateway.listener);

  const startedResources = resources.move();
  return {
    address,
    clock,
    engines: { dynamoDb: dynamoDb.endpoint, workflows: workflows.endpoint, mail: mailbox.endpoint },
    tokens,
    failure: dynamoDb.unexpectedEnd.then(() => 'The DynamoDB engine has ended by itself, and nothing can go on without it.'),
    stop: async () => {
      await reservedPort.close();
      await startedResources.disposeAsync();
    },
  };
}

/** What keeps the SDK from asking anybody else who we are and where to go. */
const localAwsSettings = {
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'local',
  AWS_SECRET_ACCESS_KEY: 'local',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
};

/** The root secret: kept beside the data that it seals, or as fleeting as they are. */
function loadRootSecret(folder: string | undefined): string {
  const generated = randomBytes(32).toString('hex');
  if (folder === undefined) return generated;
  const file = join(folder, 'vault-secret');
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  // Written beside and put in its place in one step: half a secret would lock the data for ever.
  writeFileSync(`${file}.new`, generated, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return generated;
}

/** Loads the Lambdas of one sort, each from the file that the manifest names. */
async function loadHandlers<Handler>(kind: 'api' | 'step' | 'stream' | 'inbound-mail'): Promise<Record<string, Handler>> {
  const handlers = entryNamesOf(kind).map(async (name) => [name, (await import(`../${fileOf(name)}`)).handler] as const);
  return Object.fromEntries(await Promise.all(handlers));
}
