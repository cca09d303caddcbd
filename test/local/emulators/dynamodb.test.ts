import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ListTablesCommand,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DynamoDb, startDynamoDb } from '../../../local/emulators/dynamodb.ts';
import { root } from '../../project-files.ts';

const engines: DynamoDb[] = [];
const clients: DynamoDBClient[] = [];
const children: Child[] = [];
type Child = ChildProcessByStdio<null, Readable, Readable>;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dynamodb-'));
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
  rmSync(folder, { recursive: true });
});

async function start(options?: Parameters<typeof startDynamoDb>[0]): Promise<DynamoDb> {
  const engine = await startDynamoDb(options);
  engines.push(engine);
  return engine;
}

function clientFor(endpoint: string): DynamoDBClient {
  const client = new DynamoDBClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts: 1,
  });
  clients.push(client);
  return client;
}

async function write(endpoint: string): Promise<void> {
  const client = clientFor(endpoint);
  await client.send(
    new CreateTableCommand({
      TableName: 'keys',
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'PK', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'PK', KeyType: 'HASH' }],
    }),
  );
  await client.send(new PutItemCommand({ TableName: 'keys', Item: { PK: { S: 'KEY#1' }, limit: { N: '50' } } }));
}

const readBack = async (endpoint: string) =>
  (await clientFor(endpoint).send(new GetItemCommand({ TableName: 'keys', Key: { PK: { S: 'KEY#1' } } }))).Item?.limit;

const listens = (endpoint: string) =>
  fetch(endpoint).then(
    () => true,
    () => false,
  );

/** Starts an engine from a child process, which prints its endpoint and then runs `afterwards`. */
async function startInChild(
  afterwards: string,
  before = '',
): Promise<{ child: Child; endpointOutput: Promise<string> }> {
  const program = `
    ${before}
    const { startDynamoDb } = await import(${JSON.stringify(join(root, 'local/emulators/dynamodb.ts'))});
    const { endpoint } = await startDynamoDb({ folder: ${JSON.stringify(folder)} });
    process.stdout.write(endpoint);
    ${afterwards}
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const endpointOutput = once(child.stdout, 'data').then(([endpoint]) => String(endpoint));
  return { child, endpointOutput };
}

/** Returns the process ID of the engine that stores its data in the folder. */
function enginePid(): number {
  const enginePids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [program = '', ...words] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return program.endsWith('/dynoxide') && words.includes(join(folder, 'dynamodb.sqlite'));
      } catch {
        // The process has ended since the listing.
        return false;
      }
    });
  expect(enginePids).toHaveLength(1);
  return Number(enginePids[0]);
}

describe('an engine without a folder', () => {
  it('stores what the SDK writes, separately from other engines', async () => {
    const [one, other] = await Promise.all([start(), start()]);
    await write(one.endpoint);
    expect(await readBack(one.endpoint)).toEqual({ N: '50' });
    expect((await clientFor(other.endpoint).send(new ListTablesCommand())).TableNames).toEqual([]);
  });

  it('no longer listens after it is stopped, once or twice, although a client is still connected', async () => {
    const engine = await start();
    await write(engine.endpoint);
    await Promise.all([engine.stop(), engine.stop()]);
    await engine.stop();
    expect(await listens(engine.endpoint)).toBe(false);
  });
});

describe('an engine with a request log', () => {
  it('logs each request once', async () => {
    const requestLog = join(folder, 'requests.log');
    const { endpoint } = await start({ requestLog });
    await clientFor(endpoint).send(new ListTablesCommand({}));
    const operations = readFileSync(requestLog, 'utf8').matchAll(/: request operation="(\w+)"/g);
    expect([...operations].map(([, operation]) => operation)).toEqual(['ListTables']);
  });
});

describe('an engine with a folder', () => {
  it('has the same data after a restart', async () => {
    const before = await start({ folder: join(folder, 'not-there-yet') });
    await write(before.endpoint);
    await before.stop();
    const after = await start({ folder: join(folder, 'not-there-yet') });
    expect(await readBack(after.endpoint)).toEqual({ N: '50' });
  });

  it('has the same data after SIGKILL to the engine and the system', async () => {
    const { child, endpointOutput } = await startInChild('setInterval(() => undefined, 1000);');
    const endpoint = await endpointOutput;
    await write(endpoint);
    process.kill(enginePid(), 'SIGKILL');
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await readBack((await start({ folder })).endpoint)).toEqual({ N: '50' });
  });

  it('does not start in a folder that it cannot write to, and reports that in one line', async () => {
    await expect(start({ folder: '/proc' })).rejects.toThrow(/^The DynamoDB engine did not start: [^\n]+$/);
  });
});

describe('when the system ends', () => {
  it.each([
    ['by itself', 'process.exit(0);', undefined],
    ['by an uncaught error', "throw new Error('injected');", undefined],
    ['by SIGTERM', 'setInterval(() => undefined, 1000);', 'SIGTERM'],
    ['by SIGINT', 'setInterval(() => undefined, 1000);', 'SIGINT'],
    ['by SIGKILL', 'setInterval(() => undefined, 1000);', 'SIGKILL'],
  ] as const)('%s, the engine ends too', async (_, afterwards, signal) => {
    const { child, endpointOutput } = await startInChild(afterwards);
    const ended = once(child, 'exit');
    const endpoint = await endpointOutput;
    if (signal) child.kill(signal);
    await ended;
    for (let tries = 0; tries < 100 && (await listens(endpoint)); tries++) await sleep(20);
    expect(await listens(endpoint)).toBe(false);
  });
});

describe('when the engine ends by itself', () => {
  it('reports the unexpected end', async () => {
    const engine = await start({ folder });
    process.kill(enginePid(), 'SIGKILL');
    await engine.unexpectedEnd;
    expect(await listens(engine.endpoint)).toBe(false);
  });

  it('does not report an end that `stop` caused', async () => {
    const engine = await start();
    await engine.stop();
    expect(await Promise.race([engine.unexpectedEnd.then(() => 'failed'), sleep(50, 'nothing')])).toBe('nothing');
  });
});

describe('an external endpoint', () => {
  it('is used, and no engine is started or stopped', async () => {
    const external = await start();
    const used = await startDynamoDb({ externalEndpoint: external.endpoint, folder });
    expect(used.endpoint).toBe(external.endpoint);
    await used.stop();
    expect(await listens(external.endpoint)).toBe(true);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('can respond with any status', async () => {
    const server = createServer((_, response) => response.writeHead(400).end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const endpoint = `http://127.0.0.1:${address !== null && typeof address === 'object' && address.port}`;
    expect((await start({ externalEndpoint: endpoint })).endpoint).toBe(endpoint);
    server.close();
  });

  it.each(['http://127.0.0.1:1', 'not a URL'])(
    'fails in one line when nothing responds there: %s',
    async (endpoint) => {
      await expect(start({ externalEndpoint: endpoint })).rejects.toThrow(
        `Nothing responds at ${endpoint}. Check AWS_ENDPOINT_URL_DYNAMODB, or unset it to use the bundled DynamoDB engine.`,
      );
    },
  );
});

describe('a machine without an installed engine', () => {
  it('reports the remedy in one line', async () => {
    const { child } = await startInChild('', "Object.defineProperty(process, 'arch', { value: 's390x' });");
    expect(await text(child.stderr)).toMatch(
      /StartupError: There is no DynamoDB engine for this machine \(@dynoxide\/linux-s390x is not installed\)\. [^\n]*AWS_ENDPOINT_URL_DYNAMODB[^\n]*\.\n/,
    );
  });
});
