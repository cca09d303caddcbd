import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Context } from 'aws-lambda';
import { z } from 'zod';
import { followStream } from '../local/emulators/dynamodb-stream.ts';
import type { Store } from '../store/dynamodb/table.ts';
import { listKeys } from '../store/keys.ts';
import { meterCapacity } from './capacity-meter.ts';
import type { ApiHandler } from './events.ts';
import { activationEvent, functionEnvironment, logSettings } from './events.ts';
import { issueMakWithLimit, newStore, randomInstallationId, revealProductKey, startEngine } from './fixture.ts';

/** What something uses of each service. */
export type ResourceUsage = {
  readonly writeUnits: number;
  readonly readUnits: number;
  readonly httpRequests: number;
  /** Runs of Lambdas, by what they do. */
  readonly runs: { readonly activation: number; readonly api: number; readonly step: number; readonly watch: number };
  readonly transitions: number;
  readonly mails: number;
  readonly logBytes: number;
};

const noRuns = { activation: 0, api: 0, step: 0, watch: 0 };

/** What Lambda itself logs of a run, and what the gateway logs of a call, as long as they usually are. */
const lambdaLogPerRun =
  'START RequestId: 8f5070e4-5c33-4e0c-9a46-9b1f7f9b1c11 Version: $LATEST\n' +
  'END RequestId: 8f5070e4-5c33-4e0c-9a46-9b1f7f9b1c11\n' +
  'REPORT RequestId: 8f5070e4-5c33-4e0c-9a46-9b1f7f9b1c11\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 1024 MB\tMax Memory Used: 128 MB\n';
const gatewayLogPerCall =
  '{"requestId":"K1x2yZ3aIAMEV9w=","at":"1780331400000","route":"POST /activations","status":"201","milliseconds":"18","functionMilliseconds":"16","bytes":"412","from":"203.0.113.7","error":"-","authorizerError":"-"}\n';

/** The lines that functions log from now on, instead of in the terminal. */
function captureLogs() {
  const lines: string[] = [];
  const capture = (chunk: string | Uint8Array): boolean => {
    lines.push(String(chunk));
    return true;
  };
  process.stdout.write = capture as typeof process.stdout.write;
  process.stderr.write = capture as typeof process.stderr.write;
  return {
    reset: () => lines.splice(0),
    bytes: () => lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0),
    count: (words: string) => lines.filter((line) => line.includes(words)).length,
  };
}

type StreamFunction = (event: unknown, context: Context) => Promise<unknown>;

/** Activations through the whole handler, each sort by itself, and the watcher that the stream calls after them. */
export async function countActivations(): Promise<Readonly<Record<string, ResourceUsage>>> {
  const engine = await startEngine();
  const store = await newStore();
  const limit = 500;
  const layout = await issueMakWithLimit(store, 'COST', limit);
  Object.assign(process.env, functionEnvironment(store));
  const logs = captureLogs();
  const { handler } = (await import('../functions/api/activation.ts')) as { handler: ApiHandler };
  const { handler: watch } = (await import('../functions/events/key-changes.ts')) as { handler: StreamFunction };
  const { getStore: theStore } = await import('../functions/runtime/store.ts');
  const { usage: used, reset } = meterCapacity(theStore().client);

  const activate = async (productKey: string, installationId: string, status: number) => {
    const { statusCode, body: answer } = await handler(activationEvent(productKey, installationId), {} as Context);
    if (statusCode !== status) throw new Error(`An activation was answered ${statusCode}: ${answer}`);
  };
  const averageOver = async (times: number, action: () => Promise<unknown>): Promise<ResourceUsage> => {
    reset();
    logs.reset();
    for (let time = 0; time < times; time += 1) await action();
    return {
      writeUnits: used.writeUnits / times,
      readUnits: used.readUnits / times,
      httpRequests: 1,
      runs: { ...noRuns, activation: 1 },
      transitions: 0,
      mails: 0,
      logBytes: logs.bytes() / times + lambdaLogPerRun.length + gatewayLogPerCall.length,
    };
  };
  const mak = await revealProductKey(store, layout.keyId);
  const machines = Array.from({ length: limit }, () => randomInstallationId());
  const newOne = () => activate(mak, machines[next++] ?? '', 201);
  let next = 0;
  await newOne();
  const added = await averageOver(Math.floor(limit * 0.8) - 1, newOne);
  const records = await readStreamRecords(store);
  const repeated = await averageOver(20, () => activate(mak, machines[0] ?? '', 200));
  await averageOver(limit - next, newOne);
  const refusedFirst = await averageOver(1, () => activate(mak, randomInstallationId(), 409));
  const refused = await averageOver(20, () => activate(mak, randomInstallationId(), 409));

  const kms = (await listKeys(store, 'COST', { limit: 10, after: null })).items.find(
    ({ value: state }) => state.type === 'KMS',
  );
  if (kms === undefined) throw new Error('The agreement has no KMS key.');
  const kmsKey = await revealProductKey(store, kms.value.keyId);
  const hosts = Array.from({ length: 6 }, () => randomInstallationId());
  let host = 0;
  const hostAdded = await averageOver(6, () => activate(kmsKey, hosts[host++] ?? '', 201));
  const hostAgain = await averageOver(6, () => activate(kmsKey, hosts[--host] ?? '', 201));
  const hostRefused = await averageOver(1, () => activate(kmsKey, randomInstallationId(), 409));

  const batch = async (size: number): Promise<ResourceUsage> => {
    const batchRecords = records.slice(-size);
    await watch({ Records: batchRecords }, {} as Context);
    const usage = await averageOver(1, () => watch({ Records: batchRecords }, {} as Context));
    const logBytes = usage.logBytes - gatewayLogPerCall.length;
    return { ...usage, httpRequests: 0, runs: { ...noRuns, watch: 1 }, logBytes };
  };
  const counts = {
    'a new machine': added,
    'the same machine again': repeated,
    'refused at the limit, the first time': refusedFirst,
    'refused at the limit, later': refused,
    'a new KMS host': hostAdded,
    'a KMS host again': hostAgain,
    'a KMS host refused': hostRefused,
    'the watcher, a batch of 1': await batch(1),
    'the watcher, a batch of 100': await batch(100),
  };
  await engine.stop();
  return counts;
}

const streamEventSchema = z.object({ Records: z.array(z.unknown()) });

/** What the stream of the table has told so far, change by change. */
async function readStreamRecords({ tableName }: Store): Promise<readonly unknown[]> {
  const records: unknown[] = [];
  const endpoint = process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '';
  const collect = (event: unknown) => {
    records.push(...streamEventSchema.parse(event).Records);
    return Promise.resolve({ batchItemFailures: [] });
  };
  const stream = await followStream({ endpoint, tableName }, { collect });
  await stream.whenIdle();
  await stream.stop();
  return records;
}

const mailsSchema = z.object({ items: z.array(z.object({ text: z.string().nullable() })) });

/** Exception requests through the whole local system, from the call that sends one to the last mail. */
export async function countRequests(): Promise<Readonly<Record<string, ResourceUsage>>> {
  Object.assign(process.env, logSettings);
  const logs = captureLogs();
  await import('../functions/runtime/observability.ts');
  const { startSystem } = await import('../local/system.ts');
  const options = { port: 0, folder: undefined, dynamoDbEndpoint: undefined };
  const system = await startSystem({ ...options, environment: process.env });
  delete process.env.POWERTOOLS_METRICS_DISABLED;
  const { getStore: theStore } = await import('../functions/runtime/store.ts');
  const { usage: used, reset } = meterCapacity(theStore().client);

  /** Answers when nothing has asked the database for a while: then workflow, stream and mails have done their part. */
  const whenIdle = async () => {
    for (let before = -1; before !== used.roundTrips; ) {
      before = used.roundTrips;
      await wait(1_500);
    }
  };
  let calls = 0;
  const token = (email: string, ...roles: string[]) => system.tokens.issue({ email, roles });
  const callApi = async (method: string, path: string, bearer: string | null, body?: unknown): Promise<unknown> => {
    calls += 1;
    const isForm = body instanceof URLSearchParams;
    const response = await fetch(`${system.address}${path}`, {
      method,
      headers: {
        ...(body === undefined || isForm ? {} : { 'Content-Type': 'application/json' }),
        ...(bearer === null ? {} : { Authorization: `Bearer ${bearer}` }),
        ...(bearer === null || method === 'GET' ? {} : { 'Idempotency-Key': randomUUID() }),
      },
      ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text}`);
    return text.startsWith('{') ? JSON.parse(text) : text;
  };
  const mailsTo = async (to: string) => {
    const response = await fetch(`${system.address}/_local/mail?to=${to}`);
    return mailsSchema.parse(await response.json()).items;
  };
  const mailsSent = async () => {
    const response = await fetch(`${system.address}/_local/mail`);
    return mailsSchema.parse(await response.json()).items.length;
  };

  const admin = await token('olga.berg@vendor.example', 'licensing-admins');
  const team = await token('tomas.novak@vendor.example', 'exceptions-team');
  const ines = await token('ines@alder.example');
  const requester = { name: 'Inés Oliveira', email: 'ines@alder.example', phone: '+1 425 555 0101' };
  const registeredSchema = z.object({ agreementId: z.string() });
  const registered = registeredSchema.parse(
    await callApi('POST', '/agreements', admin, {
      program: 'enterprise',
      level: 'A',
      agreementNumber: 'E-COST',
      organization: { name: 'Alder School District', country: 'US', language: 'en' },
      products: [{ product: 'windows-vista-business', licenses: 20 }],
      contacts: [requester],
      noticesCorrespondent: { name: 'Noor Haddad', email: 'noor@alder.example', phone: '+1 425 555 0103' },
    }),
  );
  const keys = `/agreements/${registered.agreementId}/keys`;
  const issued = z
    .object({ lastFive: z.string() })
    .parse(await callApi('POST', keys, ines, { type: 'MAK', productGroup: 'client' }));

  const send = async (activationsRequested: number): Promise<string> => {
    const { exceptionId } = z.object({ exceptionId: z.string() }).parse(
      await callApi('POST', '/exceptions', ines, {
        kind: 'MAKADD',
        organizationName: 'Alder School District',
        agreementNumber: 'E-COST',
        requester,
        product: 'windows-vista-business',
        keyLastFive: issued.lastFive,
        activationsRequested,
        businessReason: 'Two new schools open in autumn.',
        requiredDate: '2099-01-04',
      }),
    );
    await whenIdle();
    return `/exceptions/${exceptionId}`;
  };
  const approve = async () => {
    const [mail] = await mailsTo('noor@alder.example');
    const path = /https?:\/\/[^/\s]+(\/approvals\/[\w-]+)/.exec(mail?.text ?? '')?.[1] ?? '';
    const code = /\b(\d{6})\b/.exec(mail?.text?.replaceAll(/\S*\/\S*/g, '') ?? '')?.[1] ?? '';
    await callApi('GET', path, null);
    await callApi('POST', path, null, new URLSearchParams({ code, decision: 'approve', comment: '' }));
    await whenIdle();
  };
  const statesSchema = z.object({ states: z.array(z.unknown()) });
  const measureOne = async (action: () => Promise<string>): Promise<ResourceUsage> => {
    await whenIdle();
    const mailsBefore = await mailsSent();
    reset();
    logs.reset();
    calls = 0;
    const path = await action();
    const httpRequests = calls;
    const runs = {
      ...noRuns,
      api: logs.count('"message":"request completed"'),
      step: logs.count('"message":"step completed"'),
      watch: logs.count('"alertsPending"'),
    };
    const allRuns = runs.api + runs.step + runs.watch;
    const units = { writeUnits: used.writeUnits, readUnits: used.readUnits };
    const logBytes = logs.bytes() + allRuns * lambdaLogPerRun.length + httpRequests * gatewayLogPerCall.length;
    const workflow = await fetch(`${system.address}/_local/workflows/${path.slice('/exceptions/'.length)}`);
    const { states } = statesSchema.parse(await workflow.json());
    return {
      ...units,
      httpRequests,
      runs,
      // Each state that was entered, and the end.
      transitions: states.length + 1,
      mails: (await mailsSent()) - mailsBefore,
      logBytes,
    };
  };

  const counts = {
    'approved straight': await measureOne(async () => {
      const path = await send(150);
      await approve();
      return path;
    }),
    'with the team’s question': await measureOne(async () => {
      const path = await send(1_500);
      await callApi('POST', `${path}/questions`, team, { text: 'Which schools?' });
      await whenIdle();
      await callApi('POST', `${path}/answers`, ines, { text: 'Elm and Fir.' });
      await whenIdle();
      await callApi('POST', `${path}/review`, team, { decision: 'forward', activations: 1_500 });
      await whenIdle();
      await approve();
      return path;
    }),
  };
  await system.stop();
  return counts;
}
