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
import type { Counts, FaultKind, Service, Weather } from './faults.ts';
import { calm, likelihood, networkError } from './faults.ts';
import type { Dice } from './prng.ts';

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
  dead: boolean;
  readonly die: () => void;
};

export const current = new AsyncLocalStorage<Invocation>();

type Attributes = Record<string, AttributeValue>;
// biome-ignore lint/suspicious/noExplicitAny: a request of any of the services, as it goes over the wire.
type Body = Record<string, any>;
type Request = {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
};
type Asked = {
  readonly service: Service;
  readonly action: string;
  readonly text: string;
  readonly body: Body;
  readonly request: Request;
};
type Response = { readonly statusCode: number; readonly headers: Record<string, string>; readonly body: Uint8Array };

export type Change = { readonly key: string; readonly before: Item | undefined; readonly after: Item | undefined };
/** A change in the database's own notation, for the stream. */
export type Image = {
  readonly key: string;
  readonly before: Attributes | undefined;
  readonly after: Attributes | undefined;
};

export type Mail = {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly messageId: string;
  readonly at: number;
};

/** The run went wrong: a rule was broken, or something did not end. */
export class Broken extends Error {
  override readonly name = 'Broken';
  readonly rule: string;
  constructor(rule: string, about: string) {
    super(`${rule}: ${about}`);
    this.rule = rule;
  }
}

export type Clock = { milliseconds: number };

export type Wire = {
  readonly items: ReadonlyMap<string, Item>;
  readonly mails: readonly Mail[];
  /** What came to the mail service, whether it took it or not: which letter about which request, and for whom. */
  readonly handedOver: ReadonlySet<string>;
  readonly counts: Counts;
  /** What happened since it was last emptied, for who wants to read it. */
  readonly told: string[];
  conditions: { dice: Dice; weather: Weather };
  tally(kind: FaultKind): void;
  /** Lets everything go on until nothing is under way. */
  rest(): Promise<void>;
  /** Requests that were doubled and are still on their way arrive. */
  late(): Promise<void>;
  /** Somebody who is no function asks the workflow engine: the turn comes as any other. */
  tellWorkflows(action: string, body: Body): Promise<void>;
};

type Turn = { readonly invocation: Invocation | undefined; readonly what: string; waits: number; run(): Promise<void> };

const mostTurns = 6_000;
const writes = ['PutItem', 'UpdateItem', 'DeleteItem', 'TransactWriteItems', 'BatchWriteItem'];

export function layWire(options: {
  /** A request handler of the SDK; all of them are of one class. */
  readonly handler: object;
  readonly endpoints: () => { readonly table: string; readonly workflows: string };
  readonly clock: Clock;
  readonly dice: Dice;
  readonly onChange: (changes: readonly Change[], images: readonly Image[], by: string) => void;
}): Wire {
  const { endpoints, clock, onChange } = options;
  const images = new Map<string, Attributes>();
  const items = new Map<string, Item>();
  const undo: { key: string; before: Attributes | undefined }[] = [];
  const mails: Mail[] = [];
  const handedOver = new Set<string>();
  const counts: Counts = {};
  const told: string[] = [];
  const pending: Turn[] = [];
  const doubled: { readonly asked: Asked; readonly arrivesFrom: number }[] = [];
  const tokens = new Set<string>();
  let arrivals = 0;
  let turnsTaken = 0;
  let broken: Error | undefined;

  const wire: Wire = {
    items,
    mails,
    handedOver,
    counts,
    told,
    conditions: { dice: options.dice, weather: calm },
    tally: (kind) => {
      counts[kind] = (counts[kind] ?? 0) + 1;
    },
    async rest() {
      for (let turns = 0; ; turns += 1) {
        await idle();
        if (broken !== undefined) throw broken;
        if (pending.length === 0) return;
        if (turns > mostTurns) throw new Broken('everything comes to rest', pending.map(({ what }) => what).join(', '));
        const { dice } = wire.conditions;
        turnsTaken += 1;
        const arriving = doubled.findIndex(({ arrivesFrom }) => arrivesFrom <= turnsTaken);
        if (arriving >= 0 && dice.chance(0.07)) await arriveLate(arriving);
        const index = dice.below(pending.length);
        const turn = pending[index];
        if (turn === undefined) continue;
        if (turn.waits > 0 && pending.length > 1) {
          turn.waits -= 1;
          continue;
        }
        pending.splice(index, 1);
        if (turn.invocation?.dead) continue;
        clock.milliseconds += dice.below(12);
        await turn.run();
      }
    },
    async late() {
      while (doubled.length > 0) await arriveLate(wire.conditions.dice.below(doubled.length));
    },
    tellWorkflows: (action, body) =>
      new Promise((resolve, reject) => {
        const run = () => askWorkflows(action, body).then(resolve, reject);
        wait({ invocation: undefined, what: action, waits: 0, run });
      }),
  };

  const arriveLate = async (index: number) => {
    const [copy] = doubled.splice(index, 1);
    if (copy === undefined) return;
    const { asked } = copy;
    told.push(`    (again, late) ${asked.action}`);
    await perform(asked, 'a doubled request');
  };

  const wait = (turn: Turn) => {
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

  async function sendToWorkflows({ method, path, headers }: Request, text: string): Promise<Response> {
    const { hostname, port } = new URL(endpoints().workflows);
    const { 'content-length': _, ...kept } = headers;
    // On a connection of its own: one that waits for the next request is closed after some seconds of real time.
    const sent = httpRequest({ agent: false, hostname, port, method, path, headers: { ...kept, host: hostname } });
    const responding = once(sent, 'response');
    sent.end(text);
    const [response] = (await responding) as [IncomingMessage];
    const body = await buffer(response);
    // What the engine goes on with comes to its own rest first: otherwise the network would say which is sooner.
    await idle();
    const answered = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
    return { statusCode: response.statusCode ?? 0, headers: Object.fromEntries(answered), body };
  }

  async function askWorkflows(action: string, body: Body): Promise<void> {
    const request = { method: 'POST', path: '/', headers: unsigned(`AWSStepFunctions.${action}`) };
    await sendToWorkflows(request, JSON.stringify(body));
  }

  let line: ReturnType<typeof openLine> | undefined;
  const sendToTable = (action: string, text: string): Promise<Response> => {
    line ??= openLine(endpoints().table);
    return line(unsigned(`DynamoDB_20120810.${action}`), text);
  };

  async function askTable(action: string, body: Body): Promise<Body> {
    const answer = await sendToTable(action, JSON.stringify(body));
    if (answer.statusCode !== 200) throw new Error(`${action}: ${Buffer.from(answer.body)}`);
    return inOrder(answer.body);
  }

  async function perform(asked: Asked, by: string): Promise<Response> {
    if (asked.service === 'mail') return takeMail(asked);
    if (asked.service === 'workflows') return sendToWorkflows(asked.request, asked.text);
    const raw = await sendToTable(asked.action, asked.text);
    const answer = { ...raw, body: Buffer.from(JSON.stringify(inOrder(raw.body))) };
    if (answer.statusCode === 200 && writes.includes(asked.action)) await readBack(asked, by);
    return answer;
  }

  function takeMail({ body }: Asked): Response {
    const messageId = `mail-${mails.length + 1}`;
    const tags = tagsIn(body);
    handedOver.add(letterName(tags));
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
    return answered(200, { MessageId: messageId });
  }

  /** Reads what a write touched, and tells what it changed. */
  async function readBack({ body, action }: Asked, by: string): Promise<void> {
    const token = body.ClientRequestToken as string | undefined;
    // One that comes again with its token does nothing.
    if (token !== undefined && tokens.has(token)) return;
    if (token !== undefined) tokens.add(token);
    const keys = keysIn(action, body);
    const [table] = keys;
    const found = new Map<string, Attributes>();
    // What was put is known; what was updated is read.
    for (const { put } of keys) if (put !== undefined) found.set(keyOf(put), ordered(put));
    const unknown = keys.filter(({ known }) => !known);
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
    const seen: Image[] = [];
    for (const name of new Set(keys.map(({ key }) => keyOf(key)))) {
      const before = images.get(name);
      const after = found.get(name);
      if (!isDeepStrictEqual(before, after)) seen.push({ key: name, before, after });
    }
    const changes = seen.map(({ key, before, after }): Change => {
      const was = items.get(key);
      undo.push({ key, before });
      if (after === undefined) {
        images.delete(key);
        items.delete(key);
        return { key, before: was, after: undefined };
      }
      const is = unmarshall(after) as Item;
      images.set(key, after);
      items.set(key, is);
      return { key, before: was, after: is };
    });
    if (undo.length > 200) undo.splice(0, undo.length - 100);
    try {
      if (changes.length > 0) onChange(changes, seen, by);
    } catch (error) {
      broken ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  /** What an index would answer that is so many changes behind. */
  function indexBefore(behind: number, body: Body): Response | undefined {
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
    return answered(200, { Count: Items.length, ScannedCount: Items.length, Items });
  }

  // ---- What goes wrong on the way

  async function transmit(
    asked: Asked,
    invocation: Invocation,
    resolve: (response: Response) => void,
    reject: (error: Error) => void,
  ): Promise<void> {
    const { dice, weather } = wire.conditions;
    const line = (what: string) => told.push(`    ${invocation.name}: ${asked.action}${about(asked)}${what}`);
    const strikes = (kind: FaultKind, noticed = true, times = 1) => {
      if (!dice.chance(times * likelihood(kind, weather, asked.service))) return false;
      wire.tally(kind);
      if (noticed) invocation.faults += 1;
      line(` [${kind}]`);
      return true;
    };
    invocation.calls += 1;
    if (invocation.calls === invocation.killedAtCall) {
      const sent = dice.chance(0.5);
      wire.tally('function-killed');
      line(sent ? ' [killed after it]' : ' [killed before it]');
      if (sent) await perform(asked, invocation.name);
      invocation.dead = true;
      invocation.die();
      return;
    }
    const lost = () => networkError(dice.chance(0.7) ? 'TimeoutError' : 'ECONNRESET');
    if (strikes('request-lost')) return reject(lost());
    if (strikes('throttled')) return resolve(throttled(asked));
    if (strikes('server-error')) return resolve(refused(asked, 'InternalServerError', dice.chance(0.7) ? 500 : 503));
    if (asked.service === 'mail' && strikes('mail-refused', false)) {
      handedOver.add(letterName(tagsIn(asked.body)));
      return resolve(refused(asked, 'MessageRejected', 400));
    }
    if (writes.includes(asked.action) && asked.action !== 'BatchWriteItem' && strikes('transaction-conflict')) {
      return resolve(conflict(asked));
    }
    if (asked.action === 'SendTaskSuccess' && strikes('task-token-expired', false)) await expire(asked);
    let answer = asked.body.IndexName === undefined ? undefined : await stale(asked, line);
    answer ??=
      asked.action.startsWith('Batch') && strikes('batch-left-undone', false)
        ? await half(asked, invocation.name)
        : undefined;
    answer ??= await perform(asked, invocation.name);
    line(answer.statusCode === 200 ? '' : ` -> ${errorIn(answer)}`);
    if (asked.service === 'mail' && strikes('mail-doubled', false)) await perform(asked, invocation.name);
    if (strikes('answer-lost')) return reject(lost());
    // A write without a condition or a token has the most to lose by it, and there are few.
    const bare = asked.body.ConditionExpression === undefined && ['BatchWriteItem', 'PutItem'].includes(asked.action);
    if (asked.service !== 'mail' && strikes('request-doubled', false, bare ? 20 : 1)) {
      // Some copies come at once, others when people are long busy with what the first has brought about.
      doubled.push({ asked, arrivesFrom: turnsTaken + (dice.chance(0.5) ? 0 : dice.below(600)) });
    }
    const waits = strikes('answer-delayed', false) ? 1 + dice.below(8) : 0;
    if (waits === 0) return resolve(answer);
    const late = answer;
    wait({ invocation, what: `answer to ${asked.action}`, waits, run: async () => resolve(late) });
  }

  async function stale(asked: Asked, line: (what: string) => void): Promise<Response | undefined> {
    const { dice, weather } = wire.conditions;
    if (!dice.chance(likelihood('stale-index', weather, asked.service))) return undefined;
    const old = indexBefore(1 + dice.below(12), asked.body);
    const now = indexBefore(0, asked.body);
    if (old === undefined || Buffer.from(old.body).equals(Buffer.from(now?.body ?? []))) return undefined;
    wire.tally('stale-index');
    line(' [stale-index]');
    return old;
  }

  /** Does a part of a batch, and says which part was left. */
  async function half(asked: Asked, by: string): Promise<Response | undefined> {
    const [[table, what] = []] = Object.entries(asked.body.RequestItems as Record<string, Body>);
    if (table === undefined || what === undefined) return undefined;
    const all = (asked.action === 'BatchGetItem' ? what.Keys : what) as Body[];
    const done = all.slice(0, Math.floor(all.length / 2));
    const left = all.slice(done.length);
    const part = (some: Body[]) => ({ [table]: asked.action === 'BatchGetItem' ? { ...what, Keys: some } : some });
    const isGet = asked.action === 'BatchGetItem';
    const undone = isGet ? { UnprocessedKeys: part(left) } : { UnprocessedItems: part(left) };
    if (done.length === 0) return answered(200, isGet ? { Responses: {}, ...undone } : undone);
    const body = { ...asked.body, RequestItems: part(done) };
    const smaller = await perform({ ...asked, body, text: JSON.stringify(body) }, by);
    return answered(200, { ...JSON.parse(Buffer.from(smaller.body).toString()), ...undone });
  }

  /** The wait for a token runs out a moment before the token comes. */
  async function expire({ body }: Asked): Promise<void> {
    const failed = { taskToken: body.taskToken, error: 'States.Timeout', cause: 'It ran out.' };
    await askWorkflows('SendTaskFailure', failed);
  }

  // ---- In place of the SDK's own way out, and of every timer

  const prototype = Object.getPrototypeOf(options.handler) as { handle: unknown };
  prototype.handle = (request: Request) => {
    const asked = askedIn(request);
    const invocation = current.getStore();
    if (invocation === undefined) return perform(asked, 'the simulation').then((response) => ({ response }));
    return new Promise((resolve, reject) => {
      // A function that was killed is never answered again.
      if (invocation.dead) return;
      wait({
        invocation,
        what: `${invocation.name} ${asked.action}`,
        waits: 0,
        run: () => transmit(asked, invocation, (response) => resolve({ response }), reject),
      });
    });
  };

  // A function never runs out of its own time, which is longer than that: it is killed instead.
  const longestTimer = 25_000;
  const later = (milliseconds: number, fire: () => void) => {
    const timer = { cleared: false, ref: () => timer, unref: () => timer, hasRef: () => true };
    if (milliseconds > longestTimer) return timer;
    const invocation = current.getStore();
    wait({
      invocation,
      what: `a pause of ${invocation?.name ?? 'an engine'}`,
      waits: 0,
      run: async () => {
        if (timer.cleared) return;
        clock.milliseconds += Math.round(milliseconds);
        if (invocation === undefined) current.exit(fire);
        else current.run(invocation, fire);
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
  return wire;
}

/** One connection to an engine, for one request at a time: of so many small ones the way there is most of the work. */
function openLine(endpoint: string): (headers: Request['headers'], text: string) => Promise<Response> {
  const { hostname, port } = new URL(endpoint);
  const socket = connect(Number(port), hostname).setNoDelay(true);
  let answer = Promise.withResolvers<Response>();
  let got = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    got = Buffer.concat([got, chunk]);
    const end = got.indexOf('\r\n\r\n');
    const head = got.toString('latin1', 0, Math.max(0, end));
    const from = end + 4;
    const to = from + Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (end < 0 || got.length < to) return;
    const headers = { 'content-type': 'application/x-amz-json-1.0' };
    answer.resolve({ statusCode: Number(head.slice(9, 12)), headers, body: got.subarray(from, to) });
    got = got.subarray(to);
  });
  socket.on('error', (error) => answer.reject(error));
  let turn: Promise<unknown> = Promise.resolve();
  return (headers, text) => {
    const mine = turn.then(() => {
      answer = Promise.withResolvers();
      const named = { ...headers, host: hostname, 'content-length': String(Buffer.byteLength(text)) };
      const lines = Object.entries(named).map(([name, value]) => `${name}: ${value}`);
      socket.write(`POST / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${text}`);
      return answer.promise;
    });
    turn = mine.catch(() => undefined);
    return mine;
  };
}

/** Waits as the functions do: its turn comes when the seed says so. */
export async function pause(milliseconds: number): Promise<void> {
  await timers.setTimeout(milliseconds);
}

/** The engine gives the attributes of an item in an order of chance: here they come by their names. */
function inOrder(body: Uint8Array): Body {
  return ordered(JSON.parse(Buffer.from(body).toString()));
}

function ordered<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(ordered) as Value;
  const inside: Record<string, unknown> = {};
  for (const name of Object.keys(value).sort()) inside[name] = ordered((value as Record<string, unknown>)[name]);
  return inside as Value;
}

function askedIn(request: Request): Asked {
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

type Touched = {
  readonly table: string;
  readonly key: Attributes;
  readonly put: Attributes | undefined;
  /** Whether it is known without reading it how the item is afterwards. */
  readonly known: boolean;
};

function keysIn(action: string, body: Body): Touched[] {
  const keyIn = ({ PK, SK }: Attributes): Attributes => ({ ...(PK && { PK }), ...(SK && { SK }) });
  const touched = (table: string, put: Attributes | undefined, key: Attributes, known: boolean): Touched => ({
    table,
    key: keyIn(put ?? key),
    put,
    known,
  });
  if (action === 'TransactWriteItems') {
    return (body.TransactItems as Body[]).flatMap(({ Put, Update, Delete }) => {
      const one = Put ?? Update ?? Delete;
      return one === undefined ? [] : [touched(one.TableName, Put?.Item, one.Key, Update === undefined)];
    });
  }
  if (action === 'BatchWriteItem') {
    return Object.entries(body.RequestItems as Record<string, Body[]>).flatMap(([table, requests]) =>
      // Some of it may be left undone.
      requests.map(({ PutRequest, DeleteRequest }) =>
        touched(table, undefined, PutRequest?.Item ?? DeleteRequest?.Key, false),
      ),
    );
  }
  return [touched(body.TableName, body.Item, body.Key, action !== 'UpdateItem')];
}

function keyOf({ PK, SK }: Attributes): string {
  return `${PK?.S} ${SK?.S}`;
}

function tagsIn(body: Body): Record<string, string> {
  const tags = (body.EmailTags ?? []) as { Name: string; Value: string }[];
  return Object.fromEntries(tags.map(({ Name, Value }) => [Name, Value]));
}

export function letterName(tags: Readonly<Record<string, string>>): string {
  return `${tags.exception} ${tags.letter} ${tags.to}`;
}

function about({ action, body }: Asked): string {
  if (action === 'SendEmail') return ` ${(body.EmailTags ?? []).map((tag: Body) => tag.Value).join(' ')}`;
  const keys = writes.includes(action) ? keysIn(action, body).map(({ key }) => keyOf(key)) : [];
  const read = body.Key === undefined ? (body.IndexName ?? body.name ?? '') : keyOf(body.Key);
  return ` ${keys.length > 0 ? keys.slice(0, 4).join(', ') : read}`;
}

function answered(statusCode: number, body: object, headers: Record<string, string> = {}): Response {
  return {
    statusCode,
    headers: { 'content-type': 'application/x-amz-json-1.0', ...headers },
    body: Buffer.from(JSON.stringify(body)),
  };
}

function errorIn({ body }: Response): string {
  const { __type = '', CancellationReasons = [] } = JSON.parse(Buffer.from(body).toString() || '{}');
  const reasons = (CancellationReasons as Body[]).map(({ Code }) => Code);
  return `${String(__type).split('#').at(-1)} ${reasons.join(' ')}`;
}

function refused({ service }: Asked, name: string, status: number): Response {
  const message = 'It was made to fail.';
  return service === 'mail'
    ? answered(status, { message }, { 'x-amzn-errortype': name })
    : answered(status, { __type: name, message });
}

function throttled(asked: Asked): Response {
  return asked.service === 'mail'
    ? refused(asked, 'TooManyRequestsException', 429)
    : refused(asked, 'ThrottlingException', 400);
}

function conflict(asked: Asked): Response {
  if (asked.action !== 'TransactWriteItems') return refused(asked, 'TransactionConflictException', 400);
  const reasons = (asked.body.TransactItems as Body[]).map((_, index) => ({
    Code: index === 0 ? 'TransactionConflict' : 'None',
  }));
  return answered(400, {
    __type: 'TransactionCanceledException',
    Message: 'Transaction cancelled',
    CancellationReasons: reasons,
  });
}
