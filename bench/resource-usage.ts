import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Context } from 'aws-lambda';
import { z } from 'zod';
import { followStream } from '../local/emulators/dynamodb-stream.ts';
import { listKeys } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import { meterCapacity } from './capacity-meter.ts';
import type { ApiHandler } from './events.ts';
import { activationEvent, functionEnvironment, logSettings } from './events.ts';
import { issueMakWithLimit, newStore, randomInstallationId, revealProductKey, startEmulator } from './fixture.ts';

/** The kinds of Lambda functions that are counted separately. */
export type FunctionKind = 'activation' | 'api' | 'step' | 'streamReader';

/** The resources that an operation uses, by service. */
export type ResourceUsage = {
  readonly writeUnits: number;
  readonly readUnits: number;
  readonly httpRequests: number;
  /** Invocations of Lambda functions, by the kind of function. */
  readonly invocations: Readonly<Record<FunctionKind, number>>;
  readonly transitions: number;
  readonly emails: number;
  readonly logBytes: number;
};

const noInvocations = { activation: 0, api: 0, step: 0, streamReader: 0 };

/** Typical log lines that Lambda adds to an invocation, and that API Gateway writes for a call. */
const lambdaLogPerInvocation =
  'START RequestId: 8f5070e4-5c33-4e0c-9a46-9b1f7f9b1c11 Version: $LATEST\n' +
  'END RequestId: 8f5070e4-5c33-4e0c-9a46-9b1f7f9b1c11\n' +
  'REPORT RequestId: 8f5070e4-5c33-4e0c-9a46-9b1f7f9b1c11\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 1024 MB\tMax Memory Used: 128 MB\n';
const gatewayLogPerCall =
  '{"requestId":"K1x2yZ3aIAMEV9w=","at":"1780331400000","route":"POST /activations","status":"201","milliseconds":"18","functionMilliseconds":"16","bytes":"412","from":"203.0.113.7","error":"-","authorizerError":"-"}\n';

/** Captures everything that is written to the terminal from now on. */
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

/** Counts each kind of activation through the complete handler, and the stream reader that processes the changes. */
export async function countActivations(): Promise<Readonly<Record<string, ResourceUsage>>> {
  const emulator = await startEmulator();
  const store = await newStore({ hasStream: true });
  const limit = 500;
  const layout = await issueMakWithLimit(store, 'COST', limit);
  Object.assign(process.env, functionEnvironment(store));
  const logs = captureLogs();
  const { handler } = (await import('../functions/api/activation.ts')) as { handler: ApiHandler };
  const { handler: readStream } = (await import('../functions/events/key-changes.ts')) as { handler: StreamFunction };
  const { getStore } = await import('../functions/runtime/store.ts');
  const { usage, reset } = meterCapacity(getStore().client);

  const activate = async (productKey: string, installationId: string, status: number) => {
    const { statusCode, body } = await handler(activationEvent(productKey, installationId), {} as Context);
    if (statusCode !== status) throw new Error(`An activation returned ${statusCode}: ${body}`);
  };
  const averageOver = async (times: number, action: () => Promise<unknown>): Promise<ResourceUsage> => {
    reset();
    logs.reset();
    for (let time = 0; time < times; time += 1) await action();
    return {
      writeUnits: usage.writeUnits / times,
      readUnits: usage.readUnits / times,
      httpRequests: 1,
      invocations: { ...noInvocations, activation: 1 },
      transitions: 0,
      emails: 0,
      logBytes: logs.bytes() / times + lambdaLogPerInvocation.length + gatewayLogPerCall.length,
    };
  };
  const mak = await revealProductKey(store, layout.keyId);
  const computers = Array.from({ length: limit }, () => randomInstallationId());
  let activated = 0;
  const activateNext = () => activate(mak, computers[activated++] ?? '', 201);
  await activateNext();
  const newActivation = await averageOver(Math.floor(limit * 0.8) - 1, activateNext);
  const records = await readStreamRecords(store);
  const repeatedActivation = await averageOver(20, () => activate(mak, computers[0] ?? '', 200));
  await averageOver(limit - activated, activateNext);
  const firstRefusal = await averageOver(1, () => activate(mak, randomInstallationId(), 409));
  const laterRefusal = await averageOver(20, () => activate(mak, randomInstallationId(), 409));

  const keys = await listKeys(store, 'COST', { limit: 10, after: null });
  const kms = keys.items.find(({ value }) => value.type === 'KMS');
  if (kms === undefined) throw new Error('The agreement has no KMS key.');
  const kmsKey = await revealProductKey(store, kms.value.keyId);
  const hosts = Array.from({ length: 6 }, () => randomInstallationId());
  let host = 0;
  const newHost = await averageOver(6, () => activate(kmsKey, hosts[host++] ?? '', 201));
  const repeatedHost = await averageOver(6, () => activate(kmsKey, hosts[--host] ?? '', 201));
  const refusedHost = await averageOver(1, () => activate(kmsKey, randomInstallationId(), 409));

  const countBatch = async (size: number): Promise<ResourceUsage> => {
    const batch = { Records: records.slice(-size) };
    await readStream(batch, {} as Context);
    const batchUsage = await averageOver(1, () => readStream(batch, {} as Context));
    const logBytes = batchUsage.logBytes - gatewayLogPerCall.length;
    return { ...batchUsage, httpRequests: 0, invocations: { ...noInvocations, streamReader: 1 }, logBytes };
  };
  const counts = {
    'a new activation': newActivation,
    'a repeated activation': repeatedActivation,
    'the first refusal at the limit': firstRefusal,
    'a later refusal at the limit': laterRefusal,
    'a new KMS host': newHost,
    'a repeated KMS host': repeatedHost,
    'a refused KMS host': refusedHost,
    'the stream reader, a batch of 1': await countBatch(1),
    'the stream reader, a batch of 100': await countBatch(100),
  };
  await emulator.stop();
  return counts;
}

const streamEventSchema = z.object({ Records: z.array(z.unknown()) });

/** Returns all records of the table's stream. */
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

const mailboxSchema = z.object({ items: z.array(z.object({ text: z.string().nullable() })) });

/** Counts exception requests in the complete local system, from the submission to the last email. */
export async function countRequests(): Promise<Readonly<Record<string, ResourceUsage>>> {
  Object.assign(process.env, logSettings);
  const logs = captureLogs();
  await import('../functions/runtime/observability.ts');
  const { startSystem } = await import('../local/system.ts');
  const options = { port: 0, folder: undefined, dynamoDbEndpoint: undefined };
  const system = await startSystem({ ...options, environment: process.env });
  delete process.env.POWERTOOLS_METRICS_DISABLED;
  const { getStore } = await import('../functions/runtime/store.ts');
  const { usage, reset } = meterCapacity(getStore().client);

  /** Waits until the database had no requests for a while. Then the workflow, the stream, and the emails are done. */
  const whenIdle = async () => {
    for (let roundTripsBefore = -1; roundTripsBefore !== usage.roundTrips; ) {
      roundTripsBefore = usage.roundTrips;
      await wait(1_500);
    }
  };
  let httpRequests = 0;
  const token = (email: string, ...roles: string[]) => system.tokens.issue({ email, roles });
  const callApi = async (method: string, path: string, bearer: string | null, body?: unknown): Promise<unknown> => {
    httpRequests += 1;
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
    if (!response.ok) throw new Error(`${method} ${path} returned ${response.status}: ${text}`);
    return text.startsWith('{') ? JSON.parse(text) : text;
  };
  const emailsTo = async (to: string) => {
    const response = await fetch(`${system.address}/_local/mail?to=${to}`);
    return mailboxSchema.parse(await response.json()).items;
  };
  const countEmails = async () => {
    const response = await fetch(`${system.address}/_local/mail`);
    return mailboxSchema.parse(await response.json()).items.length;
  };

  const admin = await token('olga.berg@vendor.example', 'licensing-admins');
  const team = await token('tomas.novak@vendor.example', 'exceptions-team');
  const ines = await token('ines@alder.example');
  const requester = { name: 'Inés Oliveira', email: 'ines@alder.example', phone: '+1 425 555 0101' };
  const agreementSchema = z.object({ agreementId: z.string() });
  const { agreementId } = agreementSchema.parse(
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
  const mak = z
    .object({ lastFive: z.string() })
    .parse(await callApi('POST', `/agreements/${agreementId}/keys`, ines, { type: 'MAK', productGroup: 'client' }));

  const submit = async (activationsRequested: number): Promise<string> => {
    const { exceptionId } = z.object({ exceptionId: z.string() }).parse(
      await callApi('POST', '/exceptions', ines, {
        kind: 'MAKADD',
        organizationName: 'Alder School District',
        agreementNumber: 'E-COST',
        requester,
        product: 'windows-vista-business',
        keyLastFive: mak.lastFive,
        activationsRequested,
        businessReason: 'Two new schools open in autumn.',
        requiredDate: '2099-01-04',
      }),
    );
    await whenIdle();
    return `/exceptions/${exceptionId}`;
  };
  const approve = async () => {
    const [email] = await emailsTo('noor@alder.example');
    const path = /https?:\/\/[^/\s]+(\/approvals\/[\w-]+)/.exec(email?.text ?? '')?.[1] ?? '';
    const code = /^Code: (\d{6})$/m.exec(email?.text ?? '')?.[1] ?? '';
    await callApi('GET', path, null);
    await callApi('POST', path, null, new URLSearchParams({ code, decision: 'approve', comment: '' }));
    await whenIdle();
  };
  const statesSchema = z.object({ states: z.array(z.unknown()) });
  const countRequest = async (action: () => Promise<string>): Promise<ResourceUsage> => {
    await whenIdle();
    const emailsBefore = await countEmails();
    reset();
    logs.reset();
    httpRequests = 0;
    const path = await action();
    const invocations = {
      ...noInvocations,
      api: logs.count('"message":"request completed"'),
      step: logs.count('"message":"step completed"'),
      streamReader: logs.count('"alertsPending"'),
    };
    const invocationCount = invocations.api + invocations.step + invocations.streamReader;
    const { writeUnits, readUnits } = usage;
    const logBytes =
      logs.bytes() + invocationCount * lambdaLogPerInvocation.length + httpRequests * gatewayLogPerCall.length;
    const workflow = await fetch(`${system.address}/_local/workflows/${path.slice('/exceptions/'.length)}`);
    const { states } = statesSchema.parse(await workflow.json());
    return {
      writeUnits,
      readUnits,
      httpRequests,
      invocations,
      // Each state is one transition, and the end is one more.
      transitions: states.length + 1,
      emails: (await countEmails()) - emailsBefore,
      logBytes,
    };
  };

  const counts = {
    'approved without review': await countRequest(async () => {
      const path = await submit(150);
      await approve();
      return path;
    }),
    'with a question from the team': await countRequest(async () => {
      const path = await submit(1_500);
      await callApi('POST', `${path}/questions`, team, { text: 'Which schools?' });
      await whenIdle();
      await callApi('POST', `${path}/answers`, ines, { text: 'Elm and Fir.' });
      await whenIdle();
      // Not above the review threshold, so that the code is in the email (APR-7).
      await callApi('POST', `${path}/review`, team, { decision: 'forward', activations: 1_000 });
      await whenIdle();
      await approve();
      return path;
    }),
  };
  await system.stop();
  return counts;
}
