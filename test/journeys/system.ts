import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { afterAll } from 'vitest';
import { z } from 'zod';
import { Secret } from '../../domain/secret.ts';
import type { StaffRole } from '../../functions/manifest.ts';
import type { Item } from '../../store/dynamodb/table.ts';
import type { Store } from '../../store/store.ts';
import { openVault } from '../../store/vault.ts';
import { policy } from '../builders.ts';
import { expectConformance } from '../openapi-conformance.ts';
import { root } from '../project-files.ts';
import { scanAllItems } from '../store/dynamodb.ts';
import type { Mail } from './contract.ts';
import { mailsSchema } from './contract.ts';
import type { HttpResponse } from './response.ts';
export type HttpRequest = {
  readonly method: string;
  readonly path: string;
  /** Values are sent as JSON. Strings and bytes are sent unchanged, with the content type in `headers`. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | undefined;
};

/** A user who is signed in. */
export type SignedInUser = {
  readonly email: string;
  readonly token: string;
  get(path: string): Promise<HttpResponse>;
  post(path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<HttpResponse>;
  put(path: string, body: unknown): Promise<HttpResponse>;
};

/** The complete service in a separate process, without data. It ends with this process. */
export type System = {
  readonly address: string;
  readonly dynamoDb: string;
  /** Returns all output so far, with the log. */
  output(): string;
  send(request: HttpRequest): Promise<HttpResponse>;
  /** Sends a path unchanged, where `fetch` would normalize it. */
  sendRaw(method: string, path: string, headers?: Readonly<Record<string, string>>): Promise<HttpResponse>;
  signIn(email: string, ...roles: readonly StaffRole[]): Promise<SignedInUser>;
  now(): Promise<string>;
  /** Advances the clock to an instant, and runs all work that is due until then. */
  advanceClockTo(target: string): Promise<void>;
  advanceClock(duration: string): Promise<void>;
  /** Waits until no work is pending. Does not run work that is due later. */
  settle(): Promise<void>;
  /** Returns the emails to an address, oldest first. */
  mailsTo(address: string): Promise<readonly Mail[]>;
  workflow(exceptionId: string): Promise<Workflow>;
  stop(): Promise<void>;
  /** Kills the process, like a power failure. */
  kill(): Promise<void>;
};

const workflowSchema = z.object({
  states: z.array(z.object({ state: z.string(), at: z.string() })),
  executions: z.array(z.object({ name: z.string(), status: z.string() })),
});
export type Workflow = z.infer<typeof workflowSchema>;

/** The functions that clean up at the end of this test file. */
const cleanups: (() => unknown)[] = [];
afterAll(async () => {
  await Promise.all(cleanups.map((end) => end()));
});

/**
 * Starts a system, and stops it at the end of the test file. With a `folder`, its data survives the stop. `environment` has
 * more variables for `npm start`. `onResponse` is called for every response.
 */
export async function startSystem({
  folder,
  environment = {},
  onResponse = () => undefined,
}: {
  folder?: string;
  environment?: Readonly<Record<string, string>>;
  onResponse?: (method: string, path: string, result: HttpResponse) => void;
} = {}): Promise<System> {
  const { AWS_ENDPOINT_URL_DYNAMODB: _, ...inherited } = process.env;
  const child = spawn(process.execPath, ['local/main.ts', '--end-with-parent'], {
    cwd: root,
    env: {
      ...inherited,
      PORT: '0',
      SEED: 'none',
      ...(folder === undefined ? {} : { DATA: folder }),
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'exit');
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exit;
  };
  cleanups.push(() => end('SIGTERM'));

  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const errorLines: string[] = [];
  createInterface(child.stderr).on('line', (line) => errorLines.push(line));
  let dynamoDb = '';
  let address = '';
  for await (const line of createInterface(child.stdout)) {
    dynamoDb ||= /DynamoDB\s+(http\S+)/.exec(line)?.[1] ?? '';
    address = /^ready (\S+)/.exec(line)?.[1] ?? '';
    if (address !== '') break;
  }
  child.stdout.resume();
  if (address === '') throw new Error(`The system did not start: ${errorLines.join('\n')}`);

  const send = async ({ method, path, body, headers = {}, token }: HttpRequest): Promise<HttpResponse> => {
    const isRaw = typeof body === 'string' || body instanceof Uint8Array || body instanceof URLSearchParams;
    const response = await fetch(`${address}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(body === undefined || isRaw ? {} : { 'Content-Type': 'application/json' }),
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body) }),
    });
    const result = toHttpResponse(response.status, response.headers, await response.text());
    onResponse(method, path, result);
    expectConformance(method, path, result);
    return result;
  };
  const sendLocal = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const result = await send({ method, path: `/_local/${path}`, body });
    if (result.status === 200) return result.body;
    throw new Error(
      `The local system responded with ${result.status}: ${result.text}\n${errorLines.slice(-20).join('\n')}`,
    );
  };

  return {
    address,
    dynamoDb,
    output: () => output,
    send,
    sendRaw: async (method, path, headers = {}) => {
      const { hostname, port } = new URL(address);
      const request = httpRequest({ host: hostname, port, method, path, headers });
      const [response] = await Promise.all([once(request, 'response').then(([each]) => each), request.end()]);
      const received = new Headers(
        Object.entries(response.headers).map(([name, value]): [string, string] => [name, String(value)]),
      );
      const result = toHttpResponse(response.statusCode, received, await text(response));
      expectConformance(method, path, result);
      return result;
    },
    signIn: async (email, ...roles) => {
      const { token } = z.object({ token: z.string() }).parse(await sendLocal('POST', 'tokens', { email, roles }));
      return {
        email,
        token,
        get: (path) => send({ method: 'GET', path, token }),
        post: (path, body, headers = {}) => send({ method: 'POST', path, body, headers, token }),
        put: (path, body) => send({ method: 'PUT', path, body, token }),
      };
    },
    now: async () => z.object({ now: z.string() }).parse(await sendLocal('GET', 'clock')).now,
    advanceClockTo: async (target) => void (await sendLocal('POST', 'clock', { now: target })),
    advanceClock: async (duration) => void (await sendLocal('POST', 'clock', { advance: duration })),
    settle: async () => void (await sendLocal('POST', 'clock', { advance: 'PT1S' })),
    mailsTo: async (to) => {
      const { items } = mailsSchema.parse(await sendLocal('GET', `mail?to=${encodeURIComponent(to)}`));
      return items.toReversed();
    },
    workflow: async (exceptionId) => workflowSchema.parse(await sendLocal('GET', `workflows/${exceptionId}`)),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

function toHttpResponse(status: number, headers: Headers, body: string): HttpResponse {
  const isJson = body !== '' && /[/+]json\b/.test(headers.get('content-type') ?? '');
  return { status, headers, text: body, body: isJson ? JSON.parse(body) : undefined };
}

/**
 * Opens the table of a running system directly. If the test writes to it, `rootSecret` must be the secret of the system.
 */
export async function openStore(
  { dynamoDb }: System,
  rootSecret = 'only to read what is not sealed in the table',
): Promise<Store> {
  const client = DynamoDBDocumentClient.from(
    new DynamoDBClient({
      endpoint: dynamoDb,
      region: 'us-east-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    }),
  );
  cleanups.push(() => client.destroy());
  const { TableNames = [] } = await client.send(new ListTablesCommand({}));
  const [tableName, ...others] = TableNames;
  if (tableName === undefined || others.length > 0) throw new Error(`The system has the tables ${TableNames}.`);
  return { client, tableName, vault: openVault(new Secret(rootSecret)), policy, backOff: () => wait(5) };
}

/** Returns all items of the table, in the order of their keys. */
export async function sortedItems(store: Store): Promise<readonly Item[]> {
  const items = await scanAllItems(store);
  return items.toSorted((one, other) => (`${one.PK} ${one.SK}` < `${other.PK} ${other.SK}` ? -1 : 1));
}
