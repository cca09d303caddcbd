import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import callbackTimers from 'node:timers';
import timers, { setImmediate as immediately } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { tableSchema } from '../../store/dynamodb/schema.ts';
import type { Item } from '../../store/dynamodb/table.ts';
import type { FaultCounts, FaultKind, FaultProfile, Service } from './faults.ts';
import { faultRate, networkError, noFaults } from './faults.ts';
import type { Prng } from './prng.ts';

/*
 * The simulated network between the SDK's clients and the services. Every call and every timer of every function waits
 * here for its turn. When nothing can continue by itself, the seed selects the next one. One seed therefore produces
 * one run. Behind the network are the real DynamoDB emulator, the real Step Functions emulator, and a mailbox. A mirror
 * of the table is updated after each write and shows what each step changed.
 */

/** One invocation of one function. */
export type Invocation = {
  readonly name: string;
  readonly skewMilliseconds: number;
  /** The number of the call at which the function is killed; null if it is not killed. */
  readonly killedAtCall: number | null;
  calls: number;
  /** Injected faults that the function could notice. */
  faults: number;
  isKilled: boolean;
  readonly kill: () => void;
};

export const currentInvocation = new AsyncLocalStorage<Invocation>();

type Attributes = Record<string, AttributeValue>;
// biome-ignore lint/suspicious/noExplicitAny: a request to any of the services, as it is sent.
type Body = Record<string, any>;
type ServiceRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
};
type ServiceCall = {
  readonly service: Service;
  readonly action: string;
  readonly text: string;
  readonly body: Body;
  readonly request: ServiceRequest;
};
type Response = { readonly statusCode: number; readonly headers: Record<string, string>; readonly body: Uint8Array };

export type ItemChange = { readonly key: string; readonly before: Item | undefined; readonly after: Item | undefined };
/** A change in DynamoDB's notation, for the stream. */
export type ItemImage = {
  readonly key: string;
  readonly before: Attributes | undefined;
  readonly after: Attributes | undefined;
};

export type SentEmail = {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly messageId: string;
  readonly at: number;
};

/** An invariant was violated, or something did not end. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
  readonly invariant: string;
  constructor(invariant: string, details: string) {
    super(`${invariant}: ${details}`);
    this.invariant = invariant;
  }
}

export type Clock = { milliseconds: number };

export type Network = {
  readonly items: ReadonlyMap<string, Item>;
  readonly emails: readonly SentEmail[];
  /** The emails that reached the email service, accepted or not: request, kind of notification, and recipient. */
  readonly attemptedEmails: ReadonlySet<string>;
  readonly counts: FaultCounts;
  /** The events since the trace was last emptied. */
  readonly trace: string[];
  conditions: { prng: Prng; profile: FaultProfile };
  countFault(kind: FaultKind): void;
  /** Runs pending steps until none is left. */
  runUntilIdle(): Promise<void>;
  /** Delivers all duplicated requests that have not arrived yet. */
  deliverLate(): Promise<void>;
  /** Calls Step Functions on behalf of an operator. The call waits for its turn like any other. */
  callWorkflows(action: string, body: Body): Promise<void>;
};

type PendingStep = {
  readonly invocation: Invocation | undefined;
  readonly description: string;
  turnsToWait: number;
  take(): Promise<void>;
};

const turnsMax = 6_000;
const writes = ['PutItem', 'UpdateItem', 'DeleteItem', 'TransactWriteItems', 'BatchWriteItem'];

export function installNetwork(options: {
  /** A request handler of the SDK. All clients use one class. */
  readonly handler: object;
  readonly endpoints: () => { readonly table: string; readonly workflows: string };
  readonly clock: Clock;
  readonly prng: Prng;
  readonly onChange: (changes: readonly ItemChange[], images: readonly ItemImage[], by: string) => void;
}): Network {
  const { endpoints, clock, onChange } = options;
  const images = new Map<string, Attributes>();
  const items = new Map<string, Item>();
  const undo: { key: string; before: Attributes | undefined }[] = [];
  const emails: SentEmail[] = [];
  const attemptedEmails = new Set<string>();
  const counts: FaultCounts = {};
  const trace: string[] = [];
  const pending: PendingStep[] = [];
  const duplicates: { readonly call: ServiceCall; readonly arrivesFrom: number }[] = [];
  const tokens = new Set<string>();
  let arrivals = 0;
  let turnsTaken = 0;
  let failure: Error | undefined;

  const network: Network = {
    items,
    emails,
    attemptedEmails,
    counts,
    trace,
    conditions: { prng: options.prng, profile: noFaults },
    countFault: (kind) => {
      counts[kind] = (counts[kind] ?? 0) + 1;
    },
    async runUntilIdle() {
      for (let turns = 0; ; turns += 1) {
        await idle();
        if (failure !== undefined) throw failure;
        if (pending.length === 0) return;
        if (turns > turnsMax)
          throw new InvariantViolation(
            'Everything becomes idle',
            pending.map(({ description }) => description).join(', '),
          );
        const { prng } = network.conditions;
        turnsTaken += 1;
        const arriving = duplicates.findIndex(({ arrivesFrom }) => arrivesFrom <= turnsTaken);
        if (arriving >= 0 && prng.chance(0.07)) await arriveLate(arriving);
        const index = prng.below(pending.length);
        const step = pending[index];
        if (step === undefined) continue;
        if (step.turnsToWait > 0 && pending.length > 1) {
          step.turnsToWait -= 1;
          continue;
        }
        pending.splice(index, 1);
        if (step.invocation?.isKilled) continue;
        clock.milliseconds += prng.below(12);
        await step.take();
      }
    },
    async deliverLate() {
      while (duplicates.length > 0) await arriveLate(network.conditions.prng.below(duplicates.length));
    },
    callWorkflows: (action, body) =>
      new Promise((resolve, reject) => {
        const take = () => callStepFunctions(action, body).then(resolve, reject);
        enqueue({ invocation: undefined, description: action, turnsToWait: 0, take });
      }),
  };

  const arriveLate = async (index: number) => {
    const [duplicate] = duplicates.splice(index, 1);
    if (duplicate === undefined) return;
    const { call } = duplicate;
    trace.push(`    (duplicate, late) ${call.action}`);
    await perform(call, 'a duplicated request');
  };

  const enqueue = (step: PendingStep) => {
    arrivals += 1;
    pending.push(step);
  };

  async function idle(): Promise<void> {
    for (let idleTurns = 0; idleTurns < 2; ) {
      const arrivalsBefore = arrivals;
      await immediately();
      idleTurns = arrivals === arrivalsBefore ? idleTurns + 1 : 0;
    }
  }

  // ---- The emulators

  async function sendToWorkflows({ method, path, headers }: ServiceRequest, text: string): Promise<Response> {
    const { hostname, port } = new URL(endpoints().workflows);
    const { 'content-length': _, ...forwardedHeaders } = headers;
    // Each request has its own connection, because an idle one is closed after some seconds of real time.
    const sent = httpRequest({
      agent: false,
      hostname,
      port,
      method,
      path,
      headers: { ...forwardedHeaders, host: hostname },
    });
    const responding = once(sent, 'response');
    sent.end(text);
    const [response] = (await responding) as [IncomingMessage];
    const body = await buffer(response);
    // The emulator finishes its own work first. Otherwise the real network would determine the order.
    await idle();
    const headerEntries = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
    return { statusCode: response.statusCode ?? 0, headers: Object.fromEntries(headerEntries), body };
  }

  async function callStepFunctions(action: string, body: Body): Promise<void> {
    const request = { method: 'POST', path: '/', headers: unsigned(`AWSStepFunctions.${action}`) };
    await sendToWorkflows(request, JSON.stringify(body));
  }

  let connection: ReturnType<typeof openConnection> | undefined;
  const sendToTable = (action: string, text: string): Promise<Response> => {
    connection ??= openConnection(endpoints().table);
    return connection(unsigned(`DynamoDB_20120810.${action}`), text);
  };

  async function callTable(action: string, body: Body): Promise<Body> {
    const response = await sendToTable(action, JSON.stringify(body));
    if (response.statusCode !== 200) throw new Error(`${action}: ${Buffer.from(response.body)}`);
    return parseSorted(response.body);
  }

  async function perform(call: ServiceCall, by: string): Promise<Response> {
    if (call.service === 'email') return acceptEmail(call);
    if (call.service === 'workflows') return sendToWorkflows(call.request, call.text);
    const raw = await sendToTable(call.action, call.text);
    const response = { ...raw, body: Buffer.from(JSON.stringify(parseSorted(raw.body))) };
    if (response.statusCode === 200 && writes.includes(call.action)) await updateMirror(call, by);
    return response;
  }

  function acceptEmail({ body }: ServiceCall): Response {
    const messageId = `mail-${emails.length + 1}`;
    const tags = tagsIn(body);
    attemptedEmails.add(emailName(tags));
    const { Subject, Body } = body.Content.Simple;
    for (const to of body.Destination.ToAddresses) {
      emails.push({
        to,
        subject: Subject.Data,
        text: Body.Text.Data,
        tags,
        messageId,
        at: clock.milliseconds,
      });
    }
    return respondWith(200, { MessageId: messageId });
  }

  /** Reads the items that a write touched, updates the mirror, and reports the changes. */
  async function updateMirror({ body, action }: ServiceCall, by: string): Promise<void> {
    const token = body.ClientRequestToken as string | undefined;
    // A request that is repeated with its token changes nothing.
    if (token !== undefined && tokens.has(token)) return;
    if (token !== undefined) tokens.add(token);
    const touched = touchedItemsIn(action, body);
    const [{ table } = { table: '' }] = touched;
    const current = new Map<string, Attributes>();
    // An item that was put is known. An item that was updated must be read.
    for (const { put } of touched) if (put !== undefined) current.set(nameOf(put), sortMembers(put));
    const unknown = touched.filter(({ isKnown }) => !isKnown);
    for (let start = 0; start < unknown.length; start += 100) {
      let remaining: readonly Attributes[] = unknown.slice(start, start + 100).map(({ key }) => key);
      while (remaining.length > 0) {
        const { Responses, UnprocessedKeys } = await callTable('BatchGetItem', {
          RequestItems: { [table]: { Keys: remaining, ConsistentRead: true } },
        });
        for (const image of (Responses[table] ?? []) as Attributes[]) current.set(nameOf(image), image);
        remaining = UnprocessedKeys?.[table]?.Keys ?? [];
      }
    }
    const changedImages: ItemImage[] = [];
    for (const name of new Set(touched.map(({ key }) => nameOf(key)))) {
      const before = images.get(name);
      const after = current.get(name);
      if (!isDeepStrictEqual(before, after)) changedImages.push({ key: name, before, after });
    }
    const changes = changedImages.map(({ key, before, after }): ItemChange => {
      const previous = items.get(key);
      undo.push({ key, before });
      if (after === undefined) {
        images.delete(key);
        items.delete(key);
        return { key, before: previous, after: undefined };
      }
      const item = unmarshall(after) as Item;
      images.set(key, after);
      items.set(key, item);
      return { key, before: previous, after: item };
    });
    if (undo.length > 200) undo.splice(0, undo.length - 100);
    try {
      if (changes.length > 0) onChange(changes, changedImages, by);
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Returns the response of an index that is that many changes behind. */
  function indexResponse(changesBehind: number, body: Body): Response | undefined {
    const schema = tableSchema.indexes.find(({ name }) => name === body.IndexName);
    if (schema === undefined) return undefined;
    const { partitionKey, sortKey } = schema;
    const indexed = new Map(images);
    for (const { key, before } of undo.slice(-changesBehind).toReversed()) {
      if (before === undefined) indexed.delete(key);
      else indexed.set(key, before);
    }
    const values = body.ExpressionAttributeValues as Attributes;
    const condition = String(body.KeyConditionExpression);
    const [, comparison, bound] = /#sort (<=|>) (:\w+)/.exec(condition) ?? [];
    const limit = bound === undefined ? undefined : values[bound]?.S;
    const start = body.ExclusiveStartKey as Attributes | undefined;
    const position = (image: Attributes) => `${image[sortKey]?.S} ${image.PK?.S}`;
    const matching = [...indexed.values()]
      .filter((image) => image[partitionKey]?.S === values[':partition']?.S && image[sortKey]?.S !== undefined)
      .filter((image) => {
        const sort = String(image[sortKey]?.S);
        return limit === undefined || (comparison === '<=' ? sort <= limit : sort > limit);
      })
      .filter((image) => start === undefined || position(image) > position(start))
      .toSorted((one, other) => (position(one) < position(other) ? -1 : 1));
    if (body.ScanIndexForward === false) matching.reverse();
    const Items = matching.slice(0, Number(body.Limit)).map((image) => ({
      PK: image.PK,
      SK: image.SK,
      [partitionKey]: image[partitionKey],
      [sortKey]: image[sortKey],
    }));
    return respondWith(200, { Count: Items.length, ScannedCount: Items.length, Items });
  }

  // ---- Injected faults

  async function transmit(
    call: ServiceCall,
    invocation: Invocation,
    resolve: (response: Response) => void,
    reject: (error: Error) => void,
  ): Promise<void> {
    const { prng, profile } = network.conditions;
    const log = (event: string) => trace.push(`    ${invocation.name}: ${call.action}${describeCall(call)}${event}`);
    const injectFault = (kind: FaultKind, isNoticeable = true, times = 1) => {
      if (!prng.chance(times * faultRate(kind, profile, call.service))) return false;
      network.countFault(kind);
      if (isNoticeable) invocation.faults += 1;
      log(` [${kind}]`);
      return true;
    };
    invocation.calls += 1;
    if (invocation.calls === invocation.killedAtCall) {
      const isSent = prng.chance(0.5);
      network.countFault('function-killed');
      log(isSent ? ' [killed after the call]' : ' [killed before the call]');
      if (isSent) await perform(call, invocation.name);
      invocation.isKilled = true;
      invocation.kill();
      return;
    }
    const connectionError = () => networkError(prng.chance(0.7) ? 'TimeoutError' : 'ECONNRESET');
    if (injectFault('request-lost')) return reject(connectionError());
    if (injectFault('throttled')) return resolve(throttledResponse(call));
    if (injectFault('server-error'))
      return resolve(errorResponse(call, 'InternalServerError', prng.chance(0.7) ? 500 : 503));
    if (call.service === 'email' && injectFault('email-rejected', false)) {
      attemptedEmails.add(emailName(tagsIn(call.body)));
      return resolve(errorResponse(call, 'MessageRejected', 400));
    }
    if (writes.includes(call.action) && call.action !== 'BatchWriteItem' && injectFault('transaction-conflict')) {
      return resolve(conflictResponse(call));
    }
    if (call.action === 'SendTaskSuccess' && injectFault('task-token-expired', false)) await expireToken(call);
    let response = call.body.IndexName === undefined ? undefined : await tryStaleIndex(call, log);
    response ??=
      call.action.startsWith('Batch') && injectFault('batch-partial', false)
        ? await tryPartialBatch(call, invocation.name)
        : undefined;
    response ??= await perform(call, invocation.name);
    log(response.statusCode === 200 ? '' : ` -> ${errorCodeIn(response)}`);
    if (call.service === 'email' && injectFault('email-duplicated', false)) await perform(call, invocation.name);
    if (injectFault('response-lost')) return reject(connectionError());
    // A duplicate does the most harm to a write without a condition or a token, and there are few of these.
    const isUnprotected =
      call.body.ConditionExpression === undefined && ['BatchWriteItem', 'PutItem'].includes(call.action);
    if (call.service !== 'email' && injectFault('request-duplicated', false, isUnprotected ? 20 : 1)) {
      // Some duplicates arrive immediately, others when the result of the first request has long been in use.
      duplicates.push({ call, arrivesFrom: turnsTaken + (prng.chance(0.5) ? 0 : prng.below(600)) });
    }
    const turnsToWait = injectFault('response-delayed', false) ? 1 + prng.below(8) : 0;
    if (turnsToWait === 0) return resolve(response);
    const lateResponse = response;
    enqueue({
      invocation,
      description: `response to ${call.action}`,
      turnsToWait,
      take: async () => resolve(lateResponse),
    });
  }

  async function tryStaleIndex(call: ServiceCall, log: (event: string) => void): Promise<Response | undefined> {
    const { prng, profile } = network.conditions;
    if (!prng.chance(faultRate('stale-index', profile, call.service))) return undefined;
    const stale = indexResponse(1 + prng.below(12), call.body);
    const current = indexResponse(0, call.body);
    if (stale === undefined || Buffer.from(stale.body).equals(Buffer.from(current?.body ?? []))) return undefined;
    network.countFault('stale-index');
    log(' [stale-index]');
    return stale;
  }

  /** Performs the first half of a batch and returns the other half as unprocessed. */
  async function tryPartialBatch(call: ServiceCall, by: string): Promise<Response | undefined> {
    const [[table, requests] = []] = Object.entries(call.body.RequestItems as Record<string, Body>);
    if (table === undefined || requests === undefined) return undefined;
    const isGet = call.action === 'BatchGetItem';
    const all = (isGet ? requests.Keys : requests) as Body[];
    const firstHalf = all.slice(0, Math.floor(all.length / 2));
    const rest = all.slice(firstHalf.length);
    const part = (some: Body[]) => ({ [table]: isGet ? { ...requests, Keys: some } : some });
    const unprocessed = isGet ? { UnprocessedKeys: part(rest) } : { UnprocessedItems: part(rest) };
    if (firstHalf.length === 0) return respondWith(200, isGet ? { Responses: {}, ...unprocessed } : unprocessed);
    const body = { ...call.body, RequestItems: part(firstHalf) };
    const response = await perform({ ...call, body, text: JSON.stringify(body) }, by);
    return respondWith(200, { ...JSON.parse(Buffer.from(response.body).toString()), ...unprocessed });
  }

  /** Lets a task token expire a moment before it is used. */
  async function expireToken({ body }: ServiceCall): Promise<void> {
    const failure = { taskToken: body.taskToken, error: 'States.Timeout', cause: 'It expired.' };
    await callStepFunctions('SendTaskFailure', failure);
  }

  // ---- Replacements for the transport of the SDK and for the timers

  const prototype = Object.getPrototypeOf(options.handler) as { handle: unknown };
  prototype.handle = (request: ServiceRequest) => {
    const call = toServiceCall(request);
    const invocation = currentInvocation.getStore();
    if (invocation === undefined) return perform(call, 'the simulation').then((response) => ({ response }));
    return new Promise((resolve, reject) => {
      // A killed function gets no more responses.
      if (invocation.isKilled) return;
      enqueue({
        invocation,
        description: `${invocation.name} ${call.action}`,
        turnsToWait: 0,
        take: () => transmit(call, invocation, (response) => resolve({ response }), reject),
      });
    });
  };

  // Longer timers never fire. They are time limits of functions, and functions are killed instead.
  const timerMillisecondsMax = 25_000;
  const startTimer = (milliseconds: number, fire: () => void) => {
    const timer = { cleared: false, ref: () => timer, unref: () => timer, hasRef: () => true };
    if (milliseconds > timerMillisecondsMax) return timer;
    const invocation = currentInvocation.getStore();
    enqueue({
      invocation,
      description: `a timer of ${invocation?.name ?? 'an emulator'}`,
      turnsToWait: 0,
      take: async () => {
        if (timer.cleared) return;
        clock.milliseconds += Math.round(milliseconds);
        if (invocation === undefined) currentInvocation.exit(fire);
        else currentInvocation.run(invocation, fire);
      },
    });
    return timer;
  };
  const clear = (timer: { cleared?: boolean } | undefined) => {
    if (timer !== undefined && timer !== null) timer.cleared = true;
  };
  const replacements = {
    setTimeout: (fire: (...values: unknown[]) => void, milliseconds = 0, ...values: unknown[]) =>
      startTimer(milliseconds, () => fire(...values)),
    clearTimeout: clear,
    // Nothing is polled in a run. The operations of the run trigger what would otherwise run periodically.
    setInterval: () => startTimer(Number.POSITIVE_INFINITY, () => undefined),
    clearInterval: clear,
  };
  Object.assign(globalThis, replacements);
  Object.assign(callbackTimers, replacements);
  timers.setTimeout = ((milliseconds: number, value: unknown) =>
    new Promise<unknown>((resolve) => startTimer(milliseconds, () => resolve(value)))) as typeof timers.setTimeout;
  syncBuiltinESMExports();
  return network;
}

/**
 * Opens a connection to an emulator and returns a function that sends one request at a time. The requests are many and
 * small, so that an HTTP client would be most of the work.
 */
function openConnection(endpoint: string): (headers: ServiceRequest['headers'], text: string) => Promise<Response> {
  const { hostname, port } = new URL(endpoint);
  const socket = connect(Number(port), hostname).setNoDelay(true);
  let pendingResponse = Promise.withResolvers<Response>();
  let received = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf('\r\n\r\n');
    const head = received.toString('latin1', 0, Math.max(0, end));
    const from = end + 4;
    const to = from + Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (end < 0 || received.length < to) return;
    const headers = { 'content-type': 'application/x-amz-json-1.0' };
    pendingResponse.resolve({ statusCode: Number(head.slice(9, 12)), headers, body: received.subarray(from, to) });
    received = received.subarray(to);
  });
  socket.on('error', (error) => pendingResponse.reject(error));
  let queue: Promise<unknown> = Promise.resolve();
  return (headers, text) => {
    const response = queue.then(() => {
      pendingResponse = Promise.withResolvers();
      const allHeaders = { ...headers, host: hostname, 'content-length': String(Buffer.byteLength(text)) };
      const lines = Object.entries(allHeaders).map(([name, value]) => `${name}: ${value}`);
      socket.write(`POST / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${text}`);
      return pendingResponse.promise;
    });
    queue = response.catch(() => undefined);
    return response;
  };
}

/** Waits on a simulated timer, like the functions: the seed determines when it fires. */
export async function pause(milliseconds: number): Promise<void> {
  await timers.setTimeout(milliseconds);
}

/** Parses a response and sorts all members by name, because the emulator returns attributes in a random order. */
function parseSorted(body: Uint8Array): Body {
  return sortMembers(JSON.parse(Buffer.from(body).toString()));
}

function sortMembers<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sortMembers) as Value;
  const sorted: Record<string, unknown> = {};
  for (const name of Object.keys(value).sort()) sorted[name] = sortMembers((value as Record<string, unknown>)[name]);
  return sorted as Value;
}

function toServiceCall(request: ServiceRequest): ServiceCall {
  const {
    buffer: bytes = new ArrayBuffer(0),
    byteOffset = 0,
    byteLength = 0,
  } = (request.body ?? {}) as Partial<Uint8Array>;
  const requestText =
    typeof request.body === 'string' ? request.body : Buffer.from(bytes, byteOffset, byteLength).toString();
  const [service, action] = String(request.headers['x-amz-target'] ?? '').split('.');
  const body = requestText === '' ? {} : JSON.parse(requestText);
  // The emulator is three times slower with a stream, and the mirror has the same changes.
  const text = action === 'CreateTable' ? JSON.stringify({ ...body, StreamSpecification: undefined }) : requestText;
  if (service?.startsWith('DynamoDB')) return { service: 'table', action: action ?? '', text, body, request };
  if (service === 'AWSStepFunctions') return { service: 'workflows', action: action ?? '', text, body, request };
  if (request.path !== '/v2/email/outbound-emails') throw new Error(`No service has the path ${request.path}.`);
  return { service: 'email', action: 'SendEmail', text, body, request };
}

function unsigned(target: string): Record<string, string> {
  return {
    'content-type': 'application/x-amz-json-1.0',
    'x-amz-target': target,
    'x-amz-date': '20000101T000000Z',
    authorization:
      'AWS4-HMAC-SHA256 Credential=local/20000101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=none',
  };
}

type TouchedItem = {
  readonly table: string;
  readonly key: Attributes;
  readonly put: Attributes | undefined;
  /** True if the item after the write is known without reading it. */
  readonly isKnown: boolean;
};

function touchedItemsIn(action: string, body: Body): TouchedItem[] {
  const keyIn = ({ PK, SK }: Attributes): Attributes => ({ ...(PK && { PK }), ...(SK && { SK }) });
  const toTouchedItem = (
    table: string,
    put: Attributes | undefined,
    key: Attributes,
    isKnown: boolean,
  ): TouchedItem => ({
    table,
    key: keyIn(put ?? key),
    put,
    isKnown,
  });
  if (action === 'TransactWriteItems') {
    return (body.TransactItems as Body[]).flatMap(({ Put, Update, Delete }) => {
      const write = Put ?? Update ?? Delete;
      return write === undefined ? [] : [toTouchedItem(write.TableName, Put?.Item, write.Key, Update === undefined)];
    });
  }
  if (action === 'BatchWriteItem') {
    return Object.entries(body.RequestItems as Record<string, Body[]>).flatMap(([table, requests]) =>
      // A part of the batch can stay unprocessed, so the items must be read.
      requests.map(({ PutRequest, DeleteRequest }) =>
        toTouchedItem(table, undefined, PutRequest?.Item ?? DeleteRequest?.Key, false),
      ),
    );
  }
  return [toTouchedItem(body.TableName, body.Item, body.Key, action !== 'UpdateItem')];
}

function nameOf({ PK, SK }: Attributes): string {
  return `${PK?.S} ${SK?.S}`;
}

function tagsIn(body: Body): Record<string, string> {
  const tags = (body.EmailTags ?? []) as { Name: string; Value: string }[];
  return Object.fromEntries(tags.map(({ Name, Value }) => [Name, Value]));
}

export function emailName(tags: Readonly<Record<string, string>>): string {
  return `${tags.exception} ${tags.notification} ${tags.to}`;
}

function describeCall({ action, body }: ServiceCall): string {
  if (action === 'SendEmail') return ` ${(body.EmailTags ?? []).map((tag: Body) => tag.Value).join(' ')}`;
  const keys = writes.includes(action) ? touchedItemsIn(action, body).map(({ key }) => nameOf(key)) : [];
  const target = body.Key === undefined ? (body.IndexName ?? body.name ?? '') : nameOf(body.Key);
  return ` ${keys.length > 0 ? keys.slice(0, 4).join(', ') : target}`;
}

function respondWith(statusCode: number, body: object, headers: Record<string, string> = {}): Response {
  return {
    statusCode,
    headers: { 'content-type': 'application/x-amz-json-1.0', ...headers },
    body: Buffer.from(JSON.stringify(body)),
  };
}

function errorCodeIn({ body }: Response): string {
  const { __type = '', CancellationReasons = [] } = JSON.parse(Buffer.from(body).toString() || '{}');
  const reasons = (CancellationReasons as Body[]).map(({ Code }) => Code);
  return `${String(__type).split('#').at(-1)} ${reasons.join(' ')}`;
}

function errorResponse({ service }: ServiceCall, name: string, status: number): Response {
  const message = 'The simulation injected this error.';
  return service === 'email'
    ? respondWith(status, { message }, { 'x-amzn-errortype': name })
    : respondWith(status, { __type: name, message });
}

function throttledResponse(call: ServiceCall): Response {
  return call.service === 'email'
    ? errorResponse(call, 'TooManyRequestsException', 429)
    : errorResponse(call, 'ThrottlingException', 400);
}

function conflictResponse(call: ServiceCall): Response {
  if (call.action !== 'TransactWriteItems') return errorResponse(call, 'TransactionConflictException', 400);
  const reasons = (call.body.TransactItems as Body[]).map((_, index) => ({
    Code: index === 0 ? 'TransactionConflict' : 'None',
  }));
  return respondWith(400, {
    __type: 'TransactionCanceledException',
    Message: 'Transaction canceled',
    CancellationReasons: reasons,
  });
}
