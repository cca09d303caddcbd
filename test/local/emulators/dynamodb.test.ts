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

/** Starts an engine from a program of its own, which then goes on with `afterwards`. */
async function startElsewhere(afterwards: string, before = ''): Promise<{ child: Child; said: Promise<string> }> {
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
  const said = once(child.stdout, 'data').then(([endpoint]) => String(endpoint));
  return { child, said };
}

/**
 * The engine's own process: the one that was started, directly or not, by this process with that folder for its data.
 */
function enginePid(): number {
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [program = '', ...words] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return program.endsWith('/dynoxide') && words.includes(join(folder, 'dynamodb.sqlite'));
      } catch {
        // It ended while we looked.
        return false;
      }
    });
  expect(found).toHaveLength(1);
  return Number(found[0]);
}

describe('an engine without a folder', () => {
  it('takes what the SDK writes, and keeps it to itself', async () => {
    const [one, other] = await Promise.all([start(), start()]);
    await write(one.endpoint);
    expect(await readBack(one.endpoint)).toEqual({ N: '50' });
    expect((await clientFor(other.endpoint).send(new ListTablesCommand())).TableNames).toEqual([]);
  });

  it('is gone when it was stopped, once or twice, though a client is still connected', async () => {
    const engine = await start();
    await write(engine.endpoint);
    await Promise.all([engine.stop(), engine.stop()]);
    await engine.stop();
    expect(await listens(engine.endpoint)).toBe(false);
  });
});

describe('an engine with a record', () => {
  it('writes down what it was asked, each request once', async () => {
    const record = join(folder, 'record');
    const { endpoint } = await start({ requestLog: record });
    await clientFor(endpoint).send(new ListTablesCommand({}));
    const operations = readFileSync(record, 'utf8').matchAll(/: request operation="(\w+)"/g);
    expect([...operations].map(([, operation]) => operation)).toEqual(['ListTables']);
  });
});

describe('an engine with a folder', () => {
  it('has after a restart what was written before', async () => {
    const before = await start({ folder: join(folder, 'not-there-yet') });
    await write(before.endpoint);
    await before.stop();
    const after = await start({ folder: join(folder, 'not-there-yet') });
    expect(await readBack(after.endpoint)).toEqual({ N: '50' });
  });

  it('has what was written before both it and the system were killed outright', async () => {
    const { child, said } = await startElsewhere('setInterval(() => undefined, 1000);');
    const endpoint = await said;
    await write(endpoint);
    process.kill(enginePid(), 'SIGKILL');
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await readBack((await start({ folder })).endpoint)).toEqual({ N: '50' });
  });

  it('does not start in a folder that it cannot write to, and says so in one line', async () => {
    await expect(start({ folder: '/proc' })).rejects.toThrow(/^The DynamoDB engine did not start: [^\n]+$/);
  });
});

describe('when the system ends', () => {
  it.each([
    ['because it is done', 'process.exit(0);', undefined],
    ['because of an error that nobody caught', "throw new Error('planted');", undefined],
    ['by SIGTERM', 'setInterval(() => undefined, 1000);', 'SIGTERM'],
    ['by SIGINT', 'setInterval(() => undefined, 1000);', 'SIGINT'],
    ['by SIGKILL', 'setInterval(() => undefined, 1000);', 'SIGKILL'],
  ] as const)('%s, the engine ends too', async (_, afterwards, signal) => {
    const { child, said } = await startElsewhere(afterwards);
    const ended = once(child, 'exit');
    const endpoint = await said;
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
    const users = await start();
    const given = await startDynamoDb({ externalEndpoint: users.endpoint, folder });
    expect(given.endpoint).toBe(users.endpoint);
    await given.stop();
    expect(await listens(users.endpoint)).toBe(true);
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

describe('a machine for which no engine is installed', () => {
  it('reports the remedy in one line', async () => {
    const { child } = await startElsewhere('', "Object.defineProperty(process, 'arch', { value: 's390x' });");
    expect(await text(child.stderr)).toMatch(
      /StartupError: There is no DynamoDB engine for this machine \(@dynoxide\/linux-s390x is not installed\)\. [^\n]*AWS_ENDPOINT_URL_DYNAMODB[^\n]*\.\n/,
    );
  });
});
