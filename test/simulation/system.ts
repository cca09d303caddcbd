import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import { fromEpochMilliseconds, type Instant } from '../../domain/calendar/instant.ts';
import { Secret } from '../../domain/secret.ts';
import { SendThrottledError } from '../../emails/send.ts';
import type { StaffRole } from '../../functions/manifest.ts';
import { allRoutes, entryNamesOf, fileOf } from '../../functions/manifest.ts';
import { clock as runtimeClock } from '../../functions/runtime/clock.ts';
import { logger } from '../../functions/runtime/observability.ts';
import { random } from '../../functions/runtime/random.ts';
import { getStore } from '../../functions/runtime/store.ts';
import { lambdaContext } from '../../local/emulators/api-gateway.ts';
import { startDynamoDb } from '../../local/emulators/dynamodb.ts';
import type { StepFunctions } from '../../local/emulators/step-functions.ts';
import { startStepFunctions } from '../../local/emulators/step-functions.ts';
import { createTable } from '../../store/dynamodb/create-table.ts';
import { ContentionError } from '../../store/dynamodb/table.ts';
import type { Store } from '../../store/store.ts';
import definition from '../../workflows/exception-request.asl.json' with { type: 'json' };
import type { Clock, Invocation, ItemChange, ItemImage, Network } from './network.ts';
import { currentInvocation, InvariantViolation, installNetwork, pause } from './network.ts';
import type { Prng } from './prng.ts';
import { createPrng } from './prng.ts';

export type HttpResponse = {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the body depends on the route; the caller knows its shape.
  readonly body: any;
};

export type HttpRequest = {
  readonly route: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly form?: Readonly<Record<string, string>>;
  readonly caller?: { readonly email: string; readonly roles: readonly StaffRole[] };
  readonly idempotencyKey?: string;
};

/** The complete service in this process. A seed determines everything that happens between its parts. */
export type SimulatedSystem = {
  readonly network: Network;
  readonly clock: Clock;
  readonly store: Store;
  readonly workflows: StepFunctions;
  now(): Instant;
  /** Calls a route as the gateway does. Returns `killed` when the function was killed: the caller gets no response. */
  send(request: HttpRequest): Promise<HttpResponse | 'killed'>;
  sweep(): Promise<{ readonly nextActionAt: Instant | null } | 'killed' | 'failed'>;
  /** Delivers changes to the functions that read the table's stream. Returns true if they processed all of them. */
  deliverChanges(images: readonly (ItemImage & { readonly sequence: string })[]): Promise<boolean>;
  /** Delivers a delivery event of SES. */
  sendDeliveryEvent(event: unknown): Promise<boolean>;
  /** Stops a running execution, as an operator or an outage does. */
  loseExecution(name: string): Promise<void>;
  stop(): Promise<void>;
};

type Handler = (event: unknown, context: Context) => Promise<unknown>;

/** The probabilities that a function is killed, and that its clock differs from the others. */
const killRate = 0.03;
const clockSkewRate = 0.12;

const noCause = 'Nothing fails without a fault';

export async function startSimulatedSystem(
  seed: number,
  onChange: (changes: readonly ItemChange[], images: readonly ItemImage[], by: string) => void,
): Promise<SimulatedSystem> {
  const dynamoDb = await startDynamoDb();
  Object.assign(process.env, {
    TABLE_NAME: 'simulation',
    ROOT_SECRET: 'a root secret for simulations, of more than 32 bytes',
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
  // A Monday morning in Los Angeles.
  const clock: Clock = { milliseconds: Date.parse('2027-03-01T17:30:00.000Z') };
  const prng = createPrng(seed, 1);
  const store = getStore();
  let workflows: StepFunctions | undefined;
  const network = installNetwork({
    handler: store.client.config.requestHandler,
    endpoints: () => ({ table: dynamoDb.endpoint, workflows: workflows?.endpoint ?? '' }),
    clock,
    prng: createPrng(seed, 2),
    onChange,
  });
  // The emulator does not check signatures, and making them would take a sixth of a run.
  store.client.middlewareStack.remove('httpSigningMiddleware');
  seedRuntime(prng, clock);
  // The logger resets its level on every invocation, so the method itself is replaced.
  logger.info = () => undefined;
  for (const level of ['warn', 'error'] as const) {
    logger[level] = (message, ...more: readonly unknown[]) => {
      const error = more.map((each) => (each as { error?: Error }).error).find((each) => each !== undefined);
      network.trace.push(
        `    ${currentInvocation.getStore()?.name}: ${level}: ${String(message)} ${error === undefined ? JSON.stringify(more) : String(error)}`,
      );
    };
  }
  await createTable('simulation');

  const load = async (kind: Parameters<typeof entryNamesOf>[0]): Promise<Record<string, Handler>> =>
    Object.fromEntries(
      await Promise.all(
        entryNamesOf(kind).map(async (name) => [name, (await import(`../../${fileOf(name)}`)).handler] as const),
      ),
    );
  const [api, steps, streams, deliveryEvents, schedules] = await Promise.all([
    load('api'),
    load('step'),
    load('stream'),
    load('delivery-events'),
    load('schedule'),
  ]);
  const entries = new Map(allRoutes().map(({ route, entry }) => [String(route), entry]));

  /** Invokes a function once. It can be killed, and its clock can differ from the others. */
  async function invoke<Result>(
    name: string,
    call: () => Promise<Result>,
  ): Promise<{ readonly result: Result | 'killed'; readonly hadFaults: boolean }> {
    const { prng, profile } = network.conditions;
    const isFaultFree = profile.kind === 'none';
    const skewSeconds = !isFaultFree && prng.chance(clockSkewRate) ? prng.below(7) - 3 : 0;
    if (skewSeconds !== 0) network.countFault('clock-skew');
    const killSignal = Promise.withResolvers<'killed'>();
    const invocation: Invocation = {
      name,
      skewMilliseconds: skewSeconds * 1_000,
      killedAtCall: !isFaultFree && prng.chance(killRate) ? 1 + prng.below(name === 'sweep' ? 25 : 6) : null,
      calls: 0,
      faults: 0,
      isKilled: false,
      kill: () => killSignal.resolve('killed'),
    };
    const result = await Promise.race([currentInvocation.run(invocation, call), killSignal.promise]);
    return { result, hadFaults: invocation.faults > 0 };
  }

  /** Invokes a function once. A failure that no injected fault explains is a bug. */
  async function invokeChecked(name: string, call: () => Promise<unknown>): Promise<'done' | 'killed' | 'failed'> {
    let fault: unknown;
    const { result, hadFaults } = await invoke(name, () =>
      call().then(
        () => 'done' as const,
        (error: unknown) => {
          fault = error;
          return 'failed' as const;
        },
      ),
    );
    if (result === 'failed') {
      network.trace.push(`    ${name}: failed: ${String(fault)}`);
      if (!hadFaults && !isContention(fault)) throw new InvariantViolation(noCause, `${name}: ${describeError(fault)}`);
    }
    return result;
  }

  const stepHandlers = Object.fromEntries(
    Object.entries(steps).map(([name, handler]) => [
      `\${${name}}`,
      async (input: unknown) => {
        let failure: unknown;
        let output: unknown;
        const { result, hadFaults } = await invoke(name, () =>
          handler(input, lambdaContext(name)).then(
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
          network.trace.push(`    ${name}: failed: ${String(failure)}`);
          if (!hadFaults && !isContention(failure)) {
            network.trace.push(`    ${name}: and no fault explains it: ${describeError(failure)}`);
            unexplained.push(`${name}: ${describeError(failure)}`);
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
  // While it starts, it waits for a timer of its own once.
  await network.runUntilIdle();
  workflows = await starting;
  process.env.STATE_MACHINE_ARN = workflows.stateMachineArn;
  const runningWorkflows = workflows;
  let requests = 0;

  return {
    network,
    clock,
    store,
    workflows,
    now,
    async send(request) {
      const entry = entries.get(request.route);
      const handler = entry === undefined ? undefined : api[entry];
      if (handler === undefined) throw new Error(`There is no route ${request.route}.`);
      requests += 1;
      const event = eventOf(request, `request-${requests}`, now());
      const { result, hadFaults } = await invoke(request.route, () =>
        handler(event, lambdaContext(`request-${requests}`)),
      );
      if (result === 'killed') return result;
      const { statusCode, headers, body } = result as {
        statusCode: number;
        headers: Record<string, string>;
        body: string;
      };
      const isJson = /json/.test(headers['content-type'] ?? '');
      const response = { status: statusCode, body: isJson ? JSON.parse(body) : body };
      if (response.status === 500 && !hadFaults) throw new InvariantViolation(noCause, `${request.route} returned 500`);
      if (unexplained.length > 0) throw new InvariantViolation(noCause, String(unexplained[0]));
      return response;
    },
    async sweep() {
      let output: { readonly nextActionAt: Instant | null } | undefined;
      const result = await invokeChecked('sweep', async () => {
        output = (await schedules.sweep?.({}, lambdaContext('sweep'))) as typeof output;
      });
      return result === 'done' && output !== undefined ? output : result === 'killed' ? 'killed' : 'failed';
    },
    async deliverChanges(images) {
      const Records = images.map(({ sequence, before, after }) => ({
        dynamodb: {
          SequenceNumber: sequence,
          ...(before === undefined ? {} : { OldImage: before }),
          ...(after === undefined ? {} : { NewImage: after }),
        },
      }));
      let areAllProcessed = true;
      for (const [name, handler] of Object.entries(streams)) {
        const result = await invokeChecked(name, async () => {
          const { batchItemFailures } = (await handler({ Records }, lambdaContext(name))) as {
            batchItemFailures: unknown[];
          };
          if (batchItemFailures.length > 0) areAllProcessed = false;
        });
        if (result !== 'done') areAllProcessed = false;
      }
      return areAllProcessed;
    },
    async sendDeliveryEvent(event) {
      const [[name, handler] = []] = Object.entries(deliveryEvents);
      if (name === undefined || handler === undefined) throw new Error('No function handles delivery events.');
      return (await invokeChecked(name, () => handler(event, lambdaContext(name)))) === 'done';
    },
    async loseExecution(name) {
      const arn = runningWorkflows.stateMachineArn.replace(':stateMachine:', ':execution:');
      await network.callWorkflows('StopExecution', { executionArn: `${arn}:${name}`, cause: 'It was lost.' });
    },
    async stop() {
      await runningWorkflows.stop();
      store.client.destroy();
      await dynamoDb.stop();
    },
  };
}

function isContention(error: unknown): boolean {
  return error instanceof ContentionError || error instanceof SendThrottledError;
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 4).join(' | ') : String(error);
}

/** Replaces the clock and the random values of the functions, so that the seed determines them. */
function seedRuntime(prng: Prng, clock: Clock): void {
  const digits = (count: number) => Array.from({ length: count }, () => prng.below(10)).join('');
  const characters = (count: number) =>
    Array.from({ length: count }, () =>
      'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'.charAt(prng.below(62)),
    ).join('');
  Object.assign(runtimeClock, {
    now: () => fromEpochMilliseconds(clock.milliseconds + (currentInvocation.getStore()?.skewMilliseconds ?? 0)),
    backOff: (retry: number) => pause(prng.below(20 * 2 ** retry)),
  } satisfies typeof runtimeClock);
  Object.assign(random, {
    below: (bound: number) => prng.below(bound),
    token: () => new Secret(characters(43), '[token]'),
    code: (count: number) => new Secret(digits(count), '[code]'),
  } satisfies typeof random);
  // The SDK uses it for the time that it waits before a retry.
  Math.random = () => prng.below(1_000_000) / 1_000_000;
}

/** Returns an event in the form in which an HTTP API of AWS makes it (payload format 2.0). */
function eventOf(
  { route, params = {}, body, form, caller, idempotencyKey }: HttpRequest,
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
