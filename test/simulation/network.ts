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
 * What is between the SDK's clients and the wire. Every call of every function waits here for its turn, and so does every
 * timer: one goes on at a time, drawn by the seed, when nothing else can go on by itself. So one seed has one history.
 * Below it is the real DynamoDB engine, the real workflow engine, and a mail box; beside it a mirror of the table, read
 * back after each write, which says what changed in which step.
 */

/** One run of one function. */
export type Invocation = {
  readonly name: string;
  readonly skewMilliseconds: number;
  /** At which of its calls it is killed; null for one that lives. */
  readonly killedAtCall: number | null;
  calls: number;
  /** What went wrong on its way that it could notice. */
  faults: number;
  isKilled: boolean;
  readonly kill: () => void;
};

export const currentInvocation = new AsyncLocalStorage<Invocation>();

type Attributes = Record<string, AttributeValue>;
// biome-ignore lint/suspicious/noExplicitAny: a request of any of the services, as it goes over the wire.
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
/** A change in the database's own notation, for the stream. */
export type ItemImage = {
  readonly key: string;
  readonly before: Attributes | undefined;
  readonly after: Attributes | undefined;
};

export type SentMail = {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly messageId: string;
  readonly at: number;
};

/** The run went wrong: a rule was broken, or something did not end. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
  readonly rule: string;
  constructor(rule: string, about: string) {
    super(`${rule}: ${about}`);
    this.rule = rule;
  }
}

export type Clock = { milliseconds: number };

export type Network = {
  readonly items: ReadonlyMap<string, Item>;
  readonly mails: readonly SentMail[];
  /** What came to the mail service, whether it took it or not: which letter about which request, and for whom. */
  readonly attemptedEmails: ReadonlySet<string>;
  readonly counts: FaultCounts;
  /** What happened since it was last emptied, for who wants to read it. */
  readonly trace: string[];
  conditions: { prng: Prng; profile: FaultProfile };
  countFault(kind: FaultKind): void;
  /** Lets everything go on until nothing is under way. */
  runUntilIdle(): Promise<void>;
  /** Requests that were doubled and are still on their way arrive. */
  deliverLate(): Promise<void>;
  /** Somebody who is no function asks the workflow engine: the turn comes as any other. */
  callWorkflows(action: string, body: Body): Promise<void>;
};

type PendingStep = {
  readonly invocation: Invocation | undefined;
  readonly description: string;
  turnsToWait: number;
  run(): Promise<void>;
};

const turnsMax = 6_000;
const writes = ['PutItem', 'UpdateItem', 'DeleteItem', 'TransactWriteItems', 'BatchWriteItem'];

export function installNetwork(options: {
  /** A request handler of the SDK; all of them are of one class. */
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
  const mails: SentMail[] = [];
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
    mails,
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
            'everything comes to rest',
            pending.map(({ description }) => description).join(', '),
          );
        const { prng } = network.conditions;
        turnsTaken += 1;
        const arriving = duplicates.findIndex(({ arrivesFrom }) => arrivesFrom <= turnsTaken);
        if (arriving >= 0 && prng.chance(0.07)) await arriveLate(arriving);
        const index = prng.below(pending.length);
        const turn = pending[index];
        if (turn === undefined) continue;
        if (turn.turnsToWait > 0 && pending.length > 1) {
          turn.turnsToWait -= 1;
          continue;
        }
        pending.splice(index, 1);
        if (turn.invocation?.isKilled) continue;
        clock.milliseconds += prng.below(12);
        await turn.run();
      }
    },
    async deliverLate() {
      while (duplicates.length > 0) await arriveLate(network.conditions.prng.below(duplicates.length));
    },
    callWorkflows: (action, body) =>
      new Promise((resolve, reject) => {
        const run = () => askWorkflows(action, body).then(resolve, reject);
        enqueue({ invocation: undefined, description: action, turnsToWait: 0, run });
      }),
  };

  const arriveLate = async (index: number) => {
    const [copy] = duplicates.splice(index, 1);
    if (copy === undefined) return;
    const { call } = copy;
    trace.push(`    (again, late) ${call.action}`);
    await perform(call, 'a doubled request');
  };

  const enqueue = (turn: PendingStep) => {
    arrivals += 1;
    pending.push(turn);
  };

  async function idle(): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      const before = arrivals;
      await immediately();
      quiet = arrivals === before ? quiet + 1 : 0;
    }
  }

  // ---- The engines below

  async function sendToWorkflows({ method, path, headers }: ServiceRequest, text: string): Promise<Response> {
    const { hostname, port } = new URL(endpoints().workflows);
    const { 'content-length': _, ...forwardedHeaders } = headers;
    // On a connection of its own: one that waits for the next request is closed after some seconds of real time.
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
    // What the engine goes on with comes to its own rest first: otherwise the network would say which is sooner.
    await idle();
    const headerEntries = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
    return { statusCode: response.statusCode ?? 0, headers: Object.fromEntries(headerEntries), body };
  }

  async function askWorkflows(action: string, body: Body): Promise<void> {
    const request = { method: 'POST', path: '/', headers: unsigned(`AWSStepFunctions.${action}`) };
    await sendToWorkflows(request, JSON.stringify(body));
  }

  let line: ReturnType<typeof openConnection> | undefined;
  const sendToTable = (action: string, text: string): Promise<Response> => {
    line ??= openConnection(endpoints().table);
    return line(unsigned(`DynamoDB_20120810.${action}`), text);
  };

  async function askTable(action: string, body: Body): Promise<Body> {
    const answer = await sendToTable(action, JSON.stringify(body));
    if (answer.statusCode !== 200) throw new Error(`${action}: ${Buffer.from(answer.body)}`);
    return parseSorted(answer.body);
  }

  async function perform(call: ServiceCall, by: string): Promise<Response> {
    if (call.service === 'mail') return acceptMail(call);
    if (call.service === 'workflows') return sendToWorkflows(call.request, call.text);
    const raw = await sendToTable(call.action, call.text);
    const answer = { ...raw, body: Buffer.from(JSON.stringify(parseSorted(raw.body))) };
    if (answer.statusCode === 200 && writes.includes(call.action)) await readBack(call, by);
    return answer;
  }

  function acceptMail({ body }: ServiceCall): Response {
    const messageId = `mail-${mails.length + 1}`;
    const tags = tagsIn(body);
    attemptedEmails.add(emailName(tags));
    const { Subject, Body } = body.Content.Simple;
    for (const to of body.Destination.ToAddresses) {
      mails.push({
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

  /** Reads what a write touched, and tells what it changed. */
  async function readBack({ body, action }: ServiceCall, by: string): Promise<void> {
    const token = body.ClientRequestToken as string | undefined;
    // One that comes again with its token does nothing.
    if (token !== undefined && tokens.has(token)) return;
    if (token !== undefined) tokens.add(token);
    const keys = keysIn(action, body);
    const [table] = keys;
    const found = new Map<string, Attributes>();
    // What was put is known; what was updated is read.
    for (const { put } of keys) if (put !== undefined) found.set(keyOf(put), sortMembers(put));
    const unknown = keys.filter(({ isKnown: known }) => !known);
    for (let start = 0; start < unknown.length; start += 100) {
      let wanted: readonly Attributes[] = unknown.slice(start, start + 100).map(({ key }) => key);
      while (wanted.length > 0 && table !== undefined) {
        const { Responses, UnprocessedKeys } = await askTable('BatchGetItem', {
          RequestItems: { [table.table]: { Keys: wanted, ConsistentRead: true } },
        });
        for (const image of (Responses[table.table] ?? []) as Attributes[]) found.set(keyOf(image), image);
        wanted = UnprocessedKeys?.[table.table]?.Keys ?? [];
      }
    }
    const changedImages: ItemImage[] = [];
    for (const name of new Set(keys.map(({ key }) => keyOf(key)))) {
      const before = images.get(name);
      const after = found.get(name);
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
      const current = unmarshall(after) as Item;
      images.set(key, after);
      items.set(key, current);
      return { key, before: previous, after: current };
    });
    if (undo.length > 200) undo.splice(0, undo.length - 100);
    try {
      if (changes.length > 0) onChange(changes, changedImages, by);
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  /** What an index would answer that is so many changes behind. */
  function staleIndexResponse(behind: number, body: Body): Response | undefined {
    const schema = tableSchema.indexes.find(({ name }) => name === body.IndexName);
    if (schema === undefined) return undefined;
    const { partitionKey, sortKey } = schema;
    const then = new Map(images);
    for (const { key, before } of undo.slice(-behind).toReversed()) {
      if (before === undefined) then.delete(key);
      else then.set(key, before);
    }
    const values = body.ExpressionAttributeValues as Attributes;
    const condition = String(body.KeyConditionExpression);
    const [, comparison, bound] = /#sort (<=|>) (:\w+)/.exec(condition) ?? [];
    const limit = bound === undefined ? undefined : values[bound]?.S;
    const start = body.ExclusiveStartKey as Attributes | undefined;
    const place = (image: Attributes) => `${image[sortKey]?.S} ${image.PK?.S}`;
    const found = [...then.values()]
      .filter((image) => image[partitionKey]?.S === values[':partition']?.S && image[sortKey]?.S !== undefined)
      .filter((image) => {
        const sort = String(image[sortKey]?.S);
        return limit === undefined || (comparison === '<=' ? sort <= limit : sort > limit);
      })
      .filter((image) => start === undefined || place(image) > place(start))
      .toSorted((one, other) => (place(one) < place(other) ? -1 : 1));
    if (body.ScanIndexForward === false) found.reverse();
    const Items = found.slice(0, Number(body.Limit)).map((image) => ({
      PK: image.PK,
      SK: image.SK,
      [partitionKey]: image[partitionKey],
      [sortKey]: image[sortKey],
    }));
    return respondWith(200, { Count: Items.length, ScannedCount: Items.length, Items });
  }

  // ---- What goes wrong on the way

  async function transmit(
    call: ServiceCall,
    invocation: Invocation,
    resolve: (response: Response) => void,
    reject: (error: Error) => void,
  ): Promise<void> {
    const { prng, profile } = network.conditions;
    const line = (description: string) =>
      trace.push(`    ${invocation.name}: ${call.action}${describeCall(call)}${description}`);
    const injectFault = (kind: FaultKind, noticed = true, times = 1) => {
      if (!prng.chance(times * faultRate(kind, profile, call.service))) return false;
      network.countFault(kind);
      if (noticed) invocation.faults += 1;
      line(` [${kind}]`);
      return true;
    };
    invocation.calls += 1;
    if (invocation.calls === invocation.killedAtCall) {
      const sent = prng.chance(0.5);
      network.countFault('function-killed');
      line(sent ? ' [killed after it]' : ' [killed before it]');
      if (sent) await perform(call, invocation.name);
      invocation.isKilled = true;
      invocation.kill();
      return;
    }
    const connectionError = () => networkError(prng.chance(0.7) ? 'TimeoutError' : 'ECONNRESET');
    if (injectFault('request-lost')) return reject(connectionError());
    if (injectFault('throttled')) return resolve(throttledResponse(call));
    if (injectFault('server-error'))
      return resolve(errorResponse(call, 'InternalServerError', prng.chance(0.7) ? 500 : 503));
    if (call.service === 'mail' && injectFault('mail-refused', false)) {
      attemptedEmails.add(emailName(tagsIn(call.body)));
      return resolve(errorResponse(call, 'MessageRejected', 400));
    }
    if (writes.includes(call.action) && call.action !== 'BatchWriteItem' && injectFault('transaction-conflict')) {
      return resolve(conflictResponse(call));
    }
    if (call.action === 'SendTaskSuccess' && injectFault('task-token-expired', false)) await expireToken(call);
    let answer = call.body.IndexName === undefined ? undefined : await tryStaleIndex(call, line);
    answer ??=
      call.action.startsWith('Batch') && injectFault('batch-partial', false)
        ? await tryPartialBatch(call, invocation.name)
        : undefined;
    answer ??= await perform(call, invocation.name);
    line(answer.statusCode === 200 ? '' : ` -> ${errorCodeIn(answer)}`);
    if (call.service === 'mail' && injectFault('mail-duplicated', false)) await perform(call, invocation.name);
    if (injectFault('response-lost')) return reject(connectionError());
    // A write without a condition or a token has the most to lose by it, and there are few.
    const bare = call.body.ConditionExpression === undefined && ['BatchWriteItem', 'PutItem'].includes(call.action);
    if (call.service !== 'mail' && injectFault('request-duplicated', false, bare ? 20 : 1)) {
      // Some copies come at once, others when people are long busy with what the first has brought about.
      duplicates.push({ call, arrivesFrom: turnsTaken + (prng.chance(0.5) ? 0 : prng.below(600)) });
    }
    const waits = injectFault('response-delayed', false) ? 1 + prng.below(8) : 0;
    if (waits === 0) return resolve(answer);
    const late = answer;
    enqueue({
      invocation,
      description: `answer to ${call.action}`,
      turnsToWait: waits,
      run: async () => resolve(late),
    });
  }

  async function tryStaleIndex(call: ServiceCall, line: (description: string) => void): Promise<Response | undefined> {
    const { prng, profile } = network.conditions;
    if (!prng.chance(faultRate('stale-index', profile, call.service))) return undefined;
    const old = staleIndexResponse(1 + prng.below(12), call.body);
    const now = staleIndexResponse(0, call.body);
    if (old === undefined || Buffer.from(old.body).equals(Buffer.from(now?.body ?? []))) return undefined;
    network.countFault('stale-index');
    line(' [stale-index]');
    return old;
  }

  /** Does a part of a batch, and says which part was left. */
  async function tryPartialBatch(call: ServiceCall, by: string): Promise<Response | undefined> {
    const [[table, description] = []] = Object.entries(call.body.RequestItems as Record<string, Body>);
    if (table === undefined || description === undefined) return undefined;
    const all = (call.action === 'BatchGetItem' ? description.Keys : description) as Body[];
    const done = all.slice(0, Math.floor(all.length / 2));
    const left = all.slice(done.length);
    const part = (some: Body[]) => ({
      [table]: call.action === 'BatchGetItem' ? { ...description, Keys: some } : some,
    });
    const isGet = call.action === 'BatchGetItem';
    const undone = isGet ? { UnprocessedKeys: part(left) } : { UnprocessedItems: part(left) };
    if (done.length === 0) return respondWith(200, isGet ? { Responses: {}, ...undone } : undone);
    const body = { ...call.body, RequestItems: part(done) };
    const smaller = await perform({ ...call, body, text: JSON.stringify(body) }, by);
    return respondWith(200, { ...JSON.parse(Buffer.from(smaller.body).toString()), ...undone });
  }

  /** The wait for a token runs out a moment before the token comes. */
  async function expireToken({ body }: ServiceCall): Promise<void> {
    const failed = { taskToken: body.taskToken, error: 'States.Timeout', cause: 'It ran out.' };
    await askWorkflows('SendTaskFailure', failed);
  }

  // ---- In place of the SDK's own way out, and of every timer

  const prototype = Object.getPrototypeOf(options.handler) as { handle: unknown };
  prototype.handle = (request: ServiceRequest) => {
    const call = toServiceCall(request);
    const invocation = currentInvocation.getStore();
    if (invocation === undefined) return perform(call, 'the simulation').then((response) => ({ response }));
    return new Promise((resolve, reject) => {
      // A function that was killed is never answered again.
      if (invocation.isKilled) return;
      enqueue({
        invocation,
        description: `${invocation.name} ${call.action}`,
        turnsToWait: 0,
        run: () => transmit(call, invocation, (response) => resolve({ response }), reject),
      });
    });
  };

  // A function never runs out of its own time, which is longer than that: it is killed instead.
  const timerMillisecondsMax = 25_000;
  const later = (milliseconds: number, fire: () => void) => {
    const timer = { cleared: false, ref: () => timer, unref: () => timer, hasRef: () => true };
    if (milliseconds > timerMillisecondsMax) return timer;
    const invocation = currentInvocation.getStore();
    enqueue({
      invocation,
      description: `a pause of ${invocation?.name ?? 'an engine'}`,
      turnsToWait: 0,
      run: async () => {
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
  const all = {
    setTimeout: (fire: (...values: unknown[]) => void, milliseconds = 0, ...values: unknown[]) =>
      later(milliseconds, () => fire(...values)),
    clearTimeout: clear,
    // Nothing goes on by itself in a run: who would look every second is told when to look.
    setInterval: () => later(Number.POSITIVE_INFINITY, () => undefined),
    clearInterval: clear,
  };
  Object.assign(globalThis, all);
  Object.assign(callbackTimers, all);
  timers.setTimeout = ((milliseconds: number, value: unknown) =>
    new Promise<unknown>((resolve) => later(milliseconds, () => resolve(value)))) as typeof timers.setTimeout;
  syncBuiltinESMExports();
  return network;
}

/** One connection to an engine, for one request at a time: of so many small ones the way there is most of the work. */
function openConnection(endpoint: string): (headers: ServiceRequest['headers'], text: string) => Promise<Response> {
  const { hostname, port } = new URL(endpoint);
  const socket = connect(Number(port), hostname).setNoDelay(true);
  let answer = Promise.withResolvers<Response>();
  let received = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf('\r\n\r\n');
    const head = received.toString('latin1', 0, Math.max(0, end));
    const from = end + 4;
    const to = from + Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (end < 0 || received.length < to) return;
    const headers = { 'content-type': 'application/x-amz-json-1.0' };
    answer.resolve({ statusCode: Number(head.slice(9, 12)), headers, body: received.subarray(from, to) });
    received = received.subarray(to);
  });
  socket.on('error', (error) => answer.reject(error));
  let queue: Promise<unknown> = Promise.resolve();
  return (headers, text) => {
    const response = queue.then(() => {
      answer = Promise.withResolvers();
      const named = { ...headers, host: hostname, 'content-length': String(Buffer.byteLength(text)) };
      const lines = Object.entries(named).map(([name, value]) => `${name}: ${value}`);
      socket.write(`POST / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${text}`);
      return answer.promise;
    });
    queue = response.catch(() => undefined);
    return response;
  };
}

/** Waits as the functions do: its turn comes when the seed says so. */
export async function pause(milliseconds: number): Promise<void> {
  await timers.setTimeout(milliseconds);
}

/** The engine gives the attributes of an item in an order of chance: here they come by their names. */
function parseSorted(body: Uint8Array): Body {
  return sortMembers(JSON.parse(Buffer.from(body).toString()));
}

function sortMembers<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sortMembers) as Value;
  const inside: Record<string, unknown> = {};
  for (const name of Object.keys(value).sort()) inside[name] = sortMembers((value as Record<string, unknown>)[name]);
  return inside as Value;
}

function toServiceCall(request: ServiceRequest): ServiceCall {
  const {
    buffer: bytes = new ArrayBuffer(0),
    byteOffset = 0,
    byteLength = 0,
  } = (request.body ?? {}) as Partial<Uint8Array>;
  const written =
    typeof request.body === 'string' ? request.body : Buffer.from(bytes, byteOffset, byteLength).toString();
  const [service, action] = String(request.headers['x-amz-target'] ?? '').split('.');
  const body = written === '' ? {} : JSON.parse(written);
  // The engine is three times slower with a stream, and the mirror knows all that it would tell.
  const text = action === 'CreateTable' ? JSON.stringify({ ...body, StreamSpecification: undefined }) : written;
  if (service?.startsWith('DynamoDB')) return { service: 'table', action: action ?? '', text, body, request };
  if (service === 'AWSStepFunctions') return { service: 'workflows', action: action ?? '', text, body, request };
  if (request.path !== '/v2/email/outbound-emails') throw new Error(`Nobody answers ${request.path}.`);
  return { service: 'mail', action: 'SendEmail', text, body, request };
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
  /** Whether it is known without reading it how the item is afterwards. */
  readonly isKnown: boolean;
};

function keysIn(action: string, body: Body): TouchedItem[] {
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
      const one = Put ?? Update ?? Delete;
      return one === undefined ? [] : [toTouchedItem(one.TableName, Put?.Item, one.Key, Update === undefined)];
    });
  }
  if (action === 'BatchWriteItem') {
    return Object.entries(body.RequestItems as Record<string, Body[]>).flatMap(([table, requests]) =>
      // Some of it may be left undone.
      requests.map(({ PutRequest, DeleteRequest }) =>
        toTouchedItem(table, undefined, PutRequest?.Item ?? DeleteRequest?.Key, false),
      ),
    );
  }
  return [toTouchedItem(body.TableName, body.Item, body.Key, action !== 'UpdateItem')];
}

function keyOf({ PK, SK }: Attributes): string {
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
  const keys = writes.includes(action) ? keysIn(action, body).map(({ key }) => keyOf(key)) : [];
  const read = body.Key === undefined ? (body.IndexName ?? body.name ?? '') : keyOf(body.Key);
  return ` ${keys.length > 0 ? keys.slice(0, 4).join(', ') : read}`;
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
  const message = 'It was made to fail.';
  return service === 'mail'
    ? respondWith(status, { message }, { 'x-amzn-errortype': name })
    : respondWith(status, { __type: name, message });
}

function throttledResponse(asked: ServiceCall): Response {
  return asked.service === 'mail'
    ? errorResponse(asked, 'TooManyRequestsException', 429)
    : errorResponse(asked, 'ThrottlingException', 400);
}

function conflictResponse(asked: ServiceCall): Response {
  if (asked.action !== 'TransactWriteItems') return errorResponse(asked, 'TransactionConflictException', 400);
  const reasons = (asked.body.TransactItems as Body[]).map((_, index) => ({
    Code: index === 0 ? 'TransactionConflict' : 'None',
  }));
  return respondWith(400, {
    __type: 'TransactionCanceledException',
    Message: 'Transaction cancelled',
    CancellationReasons: reasons,
  });
}
