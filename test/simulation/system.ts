import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import { fromEpochMilliseconds, type Instant } from '../../domain/calendar/instant.ts';
import { Secret } from '../../domain/secret.ts';
import type { StaffRole } from '../../functions/manifest.ts';
import { allRoutes, fileOf, namesOf } from '../../functions/manifest.ts';
import { world } from '../../functions/runtime/clock.ts';
import { logger } from '../../functions/runtime/observability.ts';
import { theStore } from '../../functions/runtime/store.ts';
import { contextOf } from '../../local/emulators/api-gateway.ts';
import { startDynamoDb } from '../../local/emulators/dynamodb.ts';
import type { StepFunctions } from '../../local/emulators/step-functions.ts';
import { startStepFunctions } from '../../local/emulators/step-functions.ts';
import { createTable } from '../../store/dynamodb/create-table.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import definition from '../../workflows/exception-request.asl.json' with { type: 'json' };
import type { Change, Clock, Image, Invocation, Wire } from './network.ts';
import { Broken, current, layWire, pause } from './network.ts';
import type { Dice } from './prng.ts';
import { diceOf } from './prng.ts';

export type Answer = {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever a route answers; whoever asked knows what it is.
  readonly body: any;
  /** Whether something on its way went wrong that it could notice. */
  readonly troubled: boolean;
};

export type Asking = {
  readonly route: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly form?: Readonly<Record<string, string>>;
  readonly caller?: { readonly email: string; readonly roles: readonly StaffRole[] };
  readonly idempotencyKey?: string;
};

/** The whole service in this process, with everything between its parts in the hands of a seed. */
export type World = {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly store: Store;
  readonly workflows: StepFunctions;
  now(): Instant;
  /** Calls a route as the gateway does. `killed` when the function was killed: the caller hears nothing. */
  ask(asking: Asking): Promise<Answer | 'killed'>;
  sweep(): Promise<{ readonly nextActionAt: Instant | null } | 'killed' | 'failed'>;
  /** Hands changes to what watches the table. Answers whether all were seen to. */
  deliver(images: readonly (Image & { readonly sequence: string })[]): Promise<boolean>;
  tellOfMail(event: unknown): Promise<boolean>;
  /** Ends a running execution, as an operator or an outage does. */
  loseExecution(name: string): Promise<void>;
  stop(): Promise<void>;
};

type Handler = (event: unknown, context: Context) => Promise<unknown>;

/** How likely a function is killed, and how likely its clock is another than the others'. */
const killed = 0.03;
const clockApart = 0.12;

export async function startWorld(
  seed: number,
  onChange: (changes: readonly Change[], images: readonly Image[], by: string) => void,
): Promise<World> {
  const dynamoDb = await startDynamoDb();
  Object.assign(process.env, {
    TABLE_NAME: 'simulation',
    VAULT_SECRET: 'a root secret for simulations, of more than 32 bytes',
    POLICY_FILE: new URL('../../policy.json', import.meta.url).pathname,
    MAIL_FROM: 'Volume Activation <no-reply@volume-activation.example>',
    MAIL_TEAM: 'exceptions-team@volume-activation.example',
    MAIL_SUPERVISORS: 'supervisors@volume-activation.example',
    MAIL_INBOUND: 'exceptions@volume-activation.example',
    PUBLIC_URL: 'http://localhost:3000',
    POWERTOOLS_METRICS_DISABLED: 'true',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_ENDPOINT_URL_DYNAMODB: dynamoDb.endpoint,
    AWS_ENDPOINT_URL_SESV2: dynamoDb.endpoint,
    AWS_ENDPOINT_URL_SFN: dynamoDb.endpoint,
  });
  // On a Monday morning in Los Angeles.
  const clock: Clock = { milliseconds: Date.parse('2027-03-01T17:30:00.000Z') };
  const chance = diceOf(seed, 1);
  const store = theStore();
  let workflows: StepFunctions | undefined;
  const wire = layWire({
    handler: store.client.config.requestHandler,
    endpoints: () => ({ table: dynamoDb.endpoint, workflows: workflows?.endpoint ?? '' }),
    clock,
    dice: diceOf(seed, 2),
    onChange,
  });
  // The engine looks at no signature, and to make them would take a sixth of a run.
  store.client.middlewareStack.remove('httpSigningMiddleware');
  takeWorld(chance, clock);
  logger.setLogLevel('SILENT');
  for (const level of ['warn', 'error'] as const) {
    logger[level] = (message, ...more: readonly unknown[]) => {
      const error = more.map((each) => (each as { error?: Error }).error).find((each) => each !== undefined);
      wire.told.push(
        `    ${current.getStore()?.name}: ${level}: ${String(message)} ${error === undefined ? JSON.stringify(more) : String(error)}`,
      );
    };
  }
  await createTable('simulation');

  const load = async (is: Parameters<typeof namesOf>[0]): Promise<Record<string, Handler>> =>
    Object.fromEntries(
      await Promise.all(
        namesOf(is).map(async (name) => [name, (await import(`../../${fileOf(name)}`)).handler] as const),
      ),
    );
  const [api, steps, streams, mailEvents, schedules] = await Promise.all([
    load('api'),
    load('step'),
    load('stream'),
    load('mail-events'),
    load('schedule'),
  ]);
  const entries = new Map(allRoutes().map(({ route, entry }) => [String(route), entry]));

  /** Runs a function once, which may be killed and whose clock may be apart. */
  async function invoke<Result>(
    name: string,
    run: () => Promise<Result>,
  ): Promise<{ readonly result: Result | 'killed'; readonly troubled: boolean }> {
    const { dice, weather } = wire.conditions;
    const isCalm = weather.is === 'calm';
    const apart = !isCalm && dice.chance(clockApart) ? dice.below(7) - 3 : 0;
    if (apart !== 0) wire.tally('clocks-apart');
    const death = Promise.withResolvers<'killed'>();
    const invocation: Invocation = {
      name,
      skewMilliseconds: apart * 1_000,
      killedAtCall: !isCalm && dice.chance(killed) ? 1 + dice.below(name === 'sweep' ? 25 : 6) : null,
      calls: 0,
      faults: 0,
      dead: false,
      die: () => death.resolve('killed'),
    };
    const result = await Promise.race([current.run(invocation, run), death.promise]);
    return { result, troubled: invocation.faults > 0 };
  }

  /** A failure that nothing on the way explains is a bug. */
  async function guarded(name: string, run: () => Promise<unknown>): Promise<'done' | 'killed' | 'failed'> {
    let fault: unknown;
    const { result, troubled } = await invoke(name, () =>
      run().then(
        () => 'done' as const,
        (error: unknown) => {
          fault = error;
          return 'failed' as const;
        },
      ),
    );
    if (result === 'failed') {
      wire.told.push(`    ${name}: failed: ${String(fault)}`);
      if (!troubled && !isBusy(fault)) throw new Broken('nothing fails without a cause', `${name}: ${describe(fault)}`);
    }
    return result;
  }

  const stepHandlers = Object.fromEntries(
    Object.entries(steps).map(([name, run]) => [
      `\${${name}}`,
      async (input: unknown) => {
        let failure: unknown;
        let output: unknown;
        const { result, troubled } = await invoke(name, () =>
          run(input, contextOf(name)).then(
            (value) => {
              output = value;
              return 'done' as const;
            },
            (error: unknown) => {
              failure = error;
              return 'failed' as const;
            },
          ),
        );
        if (result === 'killed')
          throw Object.assign(new Error('The function was killed.'), { name: 'Sandbox.Timedout' });
        if (result === 'failed') {
          wire.told.push(`    ${name}: failed: ${String(failure)}`);
          if (!troubled && !isBusy(failure)) {
            wire.told.push(`    ${name}: and nothing had gone wrong: ${describe(failure)}`);
            unexplained.push(`${name}: ${describe(failure)}`);
          }
          throw failure;
        }
        return output;
      },
    ]),
  );
  const unexplained: string[] = [];
  const now = () => fromEpochMilliseconds(clock.milliseconds);
  const starting = startStepFunctions({ definition, handlers: stepHandlers, now });
  // It waits for a timer of its own, once.
  await wire.rest();
  workflows = await starting;
  process.env.STATE_MACHINE_ARN = workflows.stateMachineArn;
  const engine = workflows;
  let requests = 0;

  return {
    wire,
    clock,
    store,
    workflows,
    now,
    async ask(asking) {
      const entry = entries.get(asking.route);
      const handler = entry === undefined ? undefined : api[entry];
      if (handler === undefined) throw new Error(`There is no route ${asking.route}.`);
      requests += 1;
      const event = eventOf(asking, `request-${requests}`, now());
      const { result, troubled } = await invoke(asking.route, () => handler(event, contextOf(`request-${requests}`)));
      if (result === 'killed') return result;
      const { statusCode, headers, body } = result as {
        statusCode: number;
        headers: Record<string, string>;
        body: string;
      };
      const isJson = /json/.test(headers['content-type'] ?? '');
      const answer = { status: statusCode, body: isJson ? JSON.parse(body) : body, troubled };
      if (answer.status === 500 && !troubled)
        throw new Broken('nothing fails without a cause', `${asking.route} answered 500`);
      if (unexplained.length > 0) throw new Broken('nothing fails without a cause', String(unexplained[0]));
      return answer;
    },
    async sweep() {
      let next: { readonly nextActionAt: Instant | null } | undefined;
      const ended = await guarded('sweep', async () => {
        next = (await schedules.sweep?.({}, contextOf('sweep'))) as typeof next;
      });
      return ended === 'done' && next !== undefined ? next : ended === 'killed' ? 'killed' : 'failed';
    },
    async deliver(images) {
      const Records = images.map(({ sequence, before, after }) => ({
        dynamodb: {
          SequenceNumber: sequence,
          ...(before === undefined ? {} : { OldImage: before }),
          ...(after === undefined ? {} : { NewImage: after }),
        },
      }));
      let all = true;
      for (const [name, handler] of Object.entries(streams)) {
        const ended = await guarded(name, async () => {
          const { batchItemFailures } = (await handler({ Records }, contextOf(name))) as {
            batchItemFailures: unknown[];
          };
          if (batchItemFailures.length > 0) all = false;
        });
        if (ended !== 'done') all = false;
      }
      return all;
    },
    async tellOfMail(event) {
      const [[name, handler] = []] = Object.entries(mailEvents);
      if (name === undefined || handler === undefined) throw new Error('Nobody hears of mails.');
      return (await guarded(name, () => handler(event, contextOf(name)))) === 'done';
    },
    async loseExecution(name) {
      const arn = engine.stateMachineArn.replace(':stateMachine:', ':execution:');
      await wire.tellWorkflows('StopExecution', { executionArn: `${arn}:${name}`, cause: 'It was lost.' });
    },
    async stop() {
      await engine.stop();
      store.client.destroy();
      await dynamoDb.stop();
    },
  };
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && /Contention|SendingThrottled/.test(error.name);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 4).join(' | ') : String(error);
}

/** Time and chance, as the functions see them, follow from the seed. */
function takeWorld(chance: Dice, clock: Clock): void {
  const digits = (count: number) => Array.from({ length: count }, () => chance.below(10)).join('');
  const letters = (count: number) =>
    Array.from({ length: count }, () =>
      'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'.charAt(chance.below(62)),
    ).join('');
  Object.assign(world, {
    now: () => fromEpochMilliseconds(clock.milliseconds + (current.getStore()?.skewMilliseconds ?? 0)),
    below: (bound: number) => chance.below(bound),
    token: () => new Secret(letters(43), '[token]'),
    code: (count: number) => new Secret(digits(count), '[code]'),
    uniqueId: () => letters(20),
    pause: (attempt: number) => pause(chance.below(20 * 2 ** attempt)),
  } satisfies Partial<typeof world>);
  // The SDK draws from it how long it waits before it tries again.
  Math.random = () => chance.below(1_000_000) / 1_000_000;
}

/** An event as the HTTP API of AWS makes it (payload format 2.0). */
function eventOf(
  { route, params = {}, body, form, caller, idempotencyKey }: Asking,
  requestId: string,
  now: Instant,
): APIGatewayProxyEventV2 {
  const [method = '', pattern = ''] = route.split(' ');
  const path = pattern.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  const text =
    form !== undefined ? String(new URLSearchParams(form)) : body === undefined ? undefined : JSON.stringify(body);
  const claims = caller && { email: caller.email, 'cognito:groups': `[${caller.roles.join(' ')}]` };
  return {
    version: '2.0',
    routeKey: route,
    rawPath: path,
    rawQueryString: '',
    headers: {
      accept: route.includes('{token}') ? 'application/json' : '*/*',
      'content-type': form === undefined ? 'application/json' : 'application/x-www-form-urlencoded',
      ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
    },
    pathParameters: { ...params },
    requestContext: {
      accountId: '000000000000',
      apiId: 'local',
      domainName: 'localhost',
      domainPrefix: 'local',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: '' },
      requestId,
      routeKey: route,
      stage: '$default',
      time: now,
      timeEpoch: Date.parse(now),
      ...(claims === undefined ? {} : { authorizer: { jwt: { claims, scopes: null } } }),
    } as APIGatewayProxyEventV2['requestContext'],
    ...(text === undefined ? {} : { body: text }),
    isBase64Encoded: false,
  };
}
