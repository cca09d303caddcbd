import type { APIGatewayProxyEventV2, DynamoDBBatchResponse } from 'aws-lambda';
import { fromEpochMilliseconds, type Instant } from '../../domain/calendar/instant.ts';
import { Secret } from '../../domain/secret.ts';
import type { StaffRole } from '../../functions/manifest.ts';
import { allRoutes } from '../../functions/manifest.ts';
import { clock as runtimeClock } from '../../functions/runtime/clock.ts';
import { logger } from '../../functions/runtime/observability.ts';
import { random } from '../../functions/runtime/random.ts';
import { getStore } from '../../functions/runtime/store.ts';
import { lambdaContext } from '../../local/emulators/api-gateway.ts';
import { startDynamoDb } from '../../local/emulators/dynamodb.ts';
import type { StepFunctions } from '../../local/emulators/step-functions.ts';
import { startStepFunctions } from '../../local/emulators/step-functions.ts';
import { createTable } from '../../store/dynamodb/create-table.ts';
import type { Store } from '../../store/store.ts';
import definition from '../../workflows/exception-request.asl.json' with { type: 'json' };
import type { InvocationResult } from './function-invoker.ts';
import { createFunctionInvoker, loadHandlers, unexplainedFailure } from './function-invoker.ts';
import type { Clock, ItemChange, ItemImage, Network } from './network.ts';
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
  sweep(): Promise<InvocationResult['kind']>;
  /** Delivers changes to the functions that read the table's stream. Returns true if they processed all of them. */
  deliverChanges(images: readonly (ItemImage & { readonly sequence: string })[]): Promise<boolean>;
  /** Delivers a delivery event of SES. */
  sendDeliveryEvent(event: unknown): Promise<boolean>;
  /** Stops a running execution, as an operator or an outage does. */
  loseExecution(name: string): Promise<void>;
  stop(): Promise<void>;
};

export async function startSimulatedSystem(
  seed: number,
  onChange: (changes: readonly ItemChange[], images: readonly ItemImage[], by: string) => void,
): Promise<SimulatedSystem> {
  const dynamoDb = await startDynamoDb();
  setEnvironment(dynamoDb.endpoint);
  // A Monday morning in Los Angeles.
  const clock: Clock = { milliseconds: Date.parse('2027-03-01T17:30:00.000Z') };
  const now = () => fromEpochMilliseconds(clock.milliseconds);
  const store = getStore();
  let workflowsEndpoint = '';
  const network = installNetwork({
    handler: store.client.config.requestHandler,
    endpoints: () => ({ table: dynamoDb.endpoint, workflows: workflowsEndpoint }),
    clock,
    prng: createPrng(seed, 2),
    onChange,
  });
  // The emulator does not check signatures, and making them would take a sixth of a run.
  store.client.middlewareStack.remove('httpSigningMiddleware');
  seedRuntime(createPrng(seed, 1), clock);
  traceLogs(network);
  await createTable('simulation');

  const [api, steps, streams, deliveryEvents, schedules] = await Promise.all([
    loadHandlers('api'),
    loadHandlers('step'),
    loadHandlers('stream'),
    loadHandlers('delivery-events'),
    loadHandlers('schedule'),
  ]);
  const entries = new Map(allRoutes().map(({ route, entry }) => [String(route), entry]));
  const invoker = createFunctionInvoker(network);
  const stepHandlers = Object.fromEntries(
    Object.entries(steps).map(([name, handler]) => [`\${${name}}`, invoker.toStepHandler(name, handler)]),
  );
  const starting = startStepFunctions({ definition, handlers: stepHandlers, now });
  // While it starts, it waits for a timer of its own once.
  await network.runUntilIdle();
  const workflows = await starting;
  workflowsEndpoint = workflows.endpoint;
  process.env.STATE_MACHINE_ARN = workflows.stateMachineArn;
  let requests = 0;

  return {
    network,
    clock,
    store,
    workflows,
    now,
    async send(request) {
      const handler = api[entries.get(request.route) ?? ''];
      if (handler === undefined) throw new Error(`There is no route ${request.route}.`);
      requests += 1;
      const requestId = `request-${requests}`;
      const event = eventOf(request, requestId, now());
      const result = await invoker.invoke(request.route, () => handler(event, lambdaContext(requestId)));
      if (result.kind === 'killed') return 'killed';
      if (result.kind === 'failed') throw result.error;
      const { statusCode, headers, body } = result.output as {
        statusCode: number;
        headers: Record<string, string>;
        body: string;
      };
      if (statusCode === 500 && !result.hadFaults)
        throw new InvariantViolation(unexplainedFailure, `${request.route} returned 500`);
      invoker.checkSteps();
      const isJson = /json/.test(headers['content-type'] ?? '');
      return { status: statusCode, body: isJson ? JSON.parse(body) : body };
    },
    async sweep() {
      const { sweep } = schedules;
      if (sweep === undefined) throw new Error('There is no sweep.');
      return (await invoker.invokeChecked('sweep', sweep, {})).kind;
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
        const result = await invoker.invokeChecked(name, handler, { Records });
        if (result.kind !== 'done') areAllProcessed = false;
        else if ((result.output as DynamoDBBatchResponse).batchItemFailures.length > 0) areAllProcessed = false;
      }
      return areAllProcessed;
    },
    async sendDeliveryEvent(event) {
      const [[name, handler] = []] = Object.entries(deliveryEvents);
      if (name === undefined || handler === undefined) throw new Error('No function handles delivery events.');
      return (await invoker.invokeChecked(name, handler, event)).kind === 'done';
    },
    async loseExecution(name) {
      const arn = workflows.stateMachineArn.replace(':stateMachine:', ':execution:');
      await network.callWorkflows('StopExecution', { executionArn: `${arn}:${name}`, cause: 'It was lost.' });
    },
    async stop() {
      await workflows.stop();
      store.client.destroy();
      await dynamoDb.stop();
    },
  };
}

/**
 * Sets the environment of all functions. All endpoints are that of DynamoDB, because the network replaces them anyway.
 */
function setEnvironment(endpoint: string): void {
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
    AWS_ENDPOINT_URL_DYNAMODB: endpoint,
    AWS_ENDPOINT_URL_SESV2: endpoint,
    AWS_ENDPOINT_URL_SFN: endpoint,
  });
}

/** Writes the warnings and errors of the functions to the trace, and discards their other log lines. */
function traceLogs(network: Network): void {
  // The logger resets its level on every invocation, so the method itself is replaced.
  logger.info = () => undefined;
  for (const level of ['warn', 'error'] as const) {
    logger[level] = (message, ...more: readonly unknown[]) => {
      const error = more.map((each) => (each as { error?: Error }).error).find((each) => each !== undefined);
      const details = error === undefined ? JSON.stringify(more) : String(error);
      network.trace.push(`    ${currentInvocation.getStore()?.name}: ${level}: ${String(message)} ${details}`);
    };
  }
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
