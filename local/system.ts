import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from 'aws-lambda';
import type { Instant } from '../domain/calendar/instant.ts';
import { fileOf, namesOf } from '../functions/manifest.ts';
import definition from '../workflows/exception-request.asl.json' with { type: 'json' };
import { makeWindOn } from './advance-clock.ts';
import type { Clock } from './clock.ts';
import { makeClock } from './clock.ts';
import { takeFolder } from './data-folder.ts';
import type { ApiHandler } from './emulators/api-gateway.ts';
import { contextOf, makeGateway } from './emulators/api-gateway.ts';
import type { Tokens } from './emulators/cognito.ts';
import { startTokens } from './emulators/cognito.ts';
import { startDynamoDb } from './emulators/dynamodb.ts';
import type { StreamHandler } from './emulators/dynamodb-stream.ts';
import { followStream } from './emulators/dynamodb-stream.ts';
import { startMailBox } from './emulators/ses.ts';
import type { InboundMailHandler } from './emulators/ses-inbound.ts';
import { startMailIntake } from './emulators/ses-inbound.ts';
import { startStepFunctions } from './emulators/step-functions.ts';
import { localRoutes } from './local-routes.ts';
import { takePort } from './port.ts';

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
  readonly tokens: Tokens;
  /** Settles when an engine has ended though nobody stopped it, and never otherwise. */
  readonly failed: Promise<string>;
  /** Stops everything that was started, what is under way first. */
  stop(): Promise<void>;
};

const sweepEveryMilliseconds = 60_000;

/** Where mails to the exceptions address arrive. */
const mailDesk = { bucket: 'inbound-mails', address: 'exceptions@volume-activation.example' };

/**
 * Starts the whole service on this machine: the engines on loopback, the same handlers and the same workflow file as on
 * AWS, and the gateway in front. When it comes back, all of it answers. Throws `CannotStart`, with one clear line, when
 * something it needs is not to be had; nothing is left running then.
 */
export async function startSystem({ port, folder, dynamoDbEndpoint, environment }: SystemOptions): Promise<System> {
  await using starting = new AsyncDisposableStack();
  const door = await takePort(port);
  starting.defer(door.close);
  const address = `http://localhost:${door.port}`;
  if (folder !== undefined) starting.defer(await takeFolder(folder));

  const kept = folder === undefined ? {} : { folder };
  const secret = vaultSecret(folder);
  // A table is of no use without the secret that its keys are sealed with, so it is named after it.
  const tableName = `volume-activation-${createHash('sha256').update(secret).digest('hex').slice(0, 12)}`;
  Object.assign(environment, {
    TABLE_NAME: tableName,
    VAULT_SECRET: secret,
    POLICY_FILE: environment.POLICY_FILE ?? new URL('../policy.json', import.meta.url).pathname,
    MAIL_FROM: 'Volume Activation <no-reply@volume-activation.example>',
    MAIL_TEAM: 'exceptions-team@volume-activation.example',
    MAIL_SUPERVISORS: 'supervisors@volume-activation.example',
    MAIL_INBOUND: mailDesk.address,
    INBOUND_MAIL_BUCKET: mailDesk.bucket,
    PUBLIC_URL: address,
    POWERTOOLS_LOG_LEVEL: environment.POWERTOOLS_LOG_LEVEL ?? 'ERROR',
    POWERTOOLS_METRICS_DISABLED: 'true',
    ...nobodyAtAws,
  });
  delete environment.AWS_PROFILE;
  delete environment.AWS_SESSION_TOKEN;
  delete environment.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS;

  const clock = makeClock(kept);
  const now = () => clock.now();
  const given = dynamoDbEndpoint === undefined ? {} : { given: dynamoDbEndpoint };
  // The handlers look for the engines only when they first need them.
  const loading = Promise.all([
    import('../functions/runtime/clock.ts'),
    import('../functions/events/sweep.ts'),
    import('../store/dynamodb/create-table.ts'),
    load<ApiHandler>('api'),
    load<(input: unknown, context: Context) => Promise<unknown>>('step'),
    load<StreamHandler>('stream'),
  ]);
  // If they do not load, that is told below, after what is started meanwhile.
  loading.catch(() => undefined);
  const dynamoDb = await startDynamoDb({ ...kept, ...given });
  starting.defer(dynamoDb.stop);
  const mailBox = await startMailBox({ now, ...kept });
  starting.defer(mailBox.stop);
  const tokens = await startTokens({ now, ...kept });
  const mailIntake = await startMailIntake(mailDesk);
  starting.defer(mailIntake.stop);
  Object.assign(environment, {
    AWS_ENDPOINT_URL_DYNAMODB: dynamoDb.endpoint,
    AWS_ENDPOINT_URL_SESV2: mailBox.endpoint,
    AWS_ENDPOINT_URL_S3: mailIntake.endpoint,
  });
  const [world, sweeper, { createTable }, api, steps, watchers] = await loading;
  world.keepTimeBy(now);
  await createTable(tableName);
  const stream = await followStream({ endpoint: dynamoDb.endpoint, tableName }, watchers);
  starting.defer(stream.stop);

  const handlers = Object.fromEntries(
    // The workflow file names its functions by placeholders, which the deployment fills from the manifest.
    Object.entries(steps).map(([name, run]) => [`\${${name}}`, (input: unknown) => run(input, contextOf(name))]),
  );
  const workflows = await startStepFunctions({ definition, handlers, now, ...kept });
  starting.defer(workflows.stop);
  Object.assign(environment, {
    AWS_ENDPOINT_URL_SFN: workflows.endpoint,
    STATE_MACHINE_ARN: workflows.stateMachineArn,
  });
  workflows.resume();

  // One sweep at a time, as the schedule's function has room for one.
  let sweeping: Promise<Instant | null> = Promise.resolve(null);
  const sweep = () => {
    const next = async () => (await sweeper.handler({}, contextOf('sweep'))).nextActionAt;
    sweeping = sweeping.then(next, next);
    return sweeping;
  };
  const timer = setInterval(() => {
    sweep().catch((error: unknown) => console.error(String(error)));
  }, sweepEveryMilliseconds);
  starting.defer(async () => {
    clearInterval(timer);
    await Promise.allSettled([sweeping]);
    await workflows.quiet();
  });

  const quiet = async () => {
    await gateway.quiet();
    await workflows.quiet();
    await stream.quiet();
  };
  const arrive = async (raw: Buffer, verdict: 'PASS' | 'FAIL') => {
    // What reads mails takes as long to load as all other functions together, so it waits for the first mail.
    const readers = await load<InboundMailHandler>('inbound-mail');
    return mailIntake.arrive(raw, verdict, Object.values(readers));
  };
  const windOn = makeWindOn({ clock, sweep, waits: workflows, quiet });
  const routes = localRoutes({ address, clock, tokens, mailBox, arrive, workflows, windOn });
  const gateway = makeGateway(api, tokens, routes, now);
  door.open(gateway.listener);

  const running = starting.move();
  return {
    address,
    clock,
    engines: { dynamoDb: dynamoDb.endpoint, workflows: workflows.endpoint, mail: mailBox.endpoint },
    tokens,
    failed: dynamoDb.failed.then(() => 'The DynamoDB engine has ended by itself, and nothing can go on without it.'),
    stop: async () => {
      await door.close();
      await running.disposeAsync();
    },
  };
}

/** What keeps the SDK from asking anybody else who we are and where to go. */
const nobodyAtAws = {
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'local',
  AWS_SECRET_ACCESS_KEY: 'local',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
};

/** The root secret: kept beside the data that it seals, or as fleeting as they are. */
function vaultSecret(folder: string | undefined): string {
  const fresh = randomBytes(32).toString('hex');
  if (folder === undefined) return fresh;
  const file = join(folder, 'vault-secret');
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  // Written beside and put in its place in one step: half a secret would lock the data for ever.
  writeFileSync(`${file}.new`, fresh, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return fresh;
}

/** Loads the Lambdas of one sort, each from the file that the manifest names. */
async function load<Handler>(is: 'api' | 'step' | 'stream' | 'inbound-mail'): Promise<Record<string, Handler>> {
  const loaded = namesOf(is).map(async (name) => [name, (await import(`../${fileOf(name)}`)).handler] as const);
  return Object.fromEntries(await Promise.all(loaded));
}
