import type { Agreement, Person } from '../../domain/agreement.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import { installationIdFrom } from '../../domain/keys/installation-id.ts';
import type { Key } from '../../domain/keys/key.ts';
import { attributeNameOf } from '../../store/mak-bucket.ts';
import {
  activationRecordsOf,
  check,
  computersOn,
  isFinal,
  isRecorded,
  itemIn,
  limitIn,
  valuesIn,
} from './invariants.ts';
import type { ApprovalLink, Model, TrackedWrite } from './model.ts';
import { computerOf, roundName, trackWrite } from './model.ts';
import type { ItemImage, SentEmail } from './network.ts';
import type { Prng } from './prng.ts';
import type { HttpRequest, HttpResponse, SimulatedSystem } from './system.ts';

/*
 * The workload: the operations of customers, computers, agents, the exceptions team, Correspondents, the schedule, and
 * the stream. They are drawn from the contents of the table, so that most of them are accepted and some are refused.
 */

export type Change = ItemImage & { readonly sequence: string };

/** One operation of one client, with the checks of its response. */
export type Operation = { readonly description: string; run(): Promise<void> };

export type RunContext = {
  readonly system: SimulatedSystem;
  readonly model: Model;
  /** Changes of keys that the stream has not delivered yet. */
  readonly pendingChanges: Change[];
  /** Operations that can be sent again unchanged. */
  readonly repeatable: Operation[];
  /** Checks that wait until all concurrent operations are done. */
  readonly deferredChecks: (() => void)[];
};

const admin = { email: 'olga.berg@vendor.example', roles: ['licensing-admins'] } as const;
const agent = { email: 'carla.ortiz@vendor.example', roles: ['call-center'] } as const;
const team = { email: 'tomas.novak@vendor.example', roles: ['exceptions-team'] } as const;
const phone = '+1 425 555 0101';

type OperationName = string;

function customer(person: Person) {
  return { email: person.email, roles: [] } as const;
}

/** The agreement's first contact, who never changes. */
function ines(agreementId: string): Person {
  return { name: 'Inés Oliveira', email: `ines@${agreementId.toLowerCase()}.example`, phone };
}

// ---- Requests and repeated requests

type OnSuccess = (body: HttpResponse['body'], status: number) => void;

/**
 * Sends a request once. Returns undefined when the function was killed, so that the client gets no response. A write
 * that is already recorded under the same name must not be refused (MAK-4, OVR-4).
 */
async function sendOnce(
  context: RunContext,
  description: string,
  request: HttpRequest,
  trackedWrite?: TrackedWrite,
): Promise<HttpResponse | undefined> {
  const { items, trace } = context.system.network;
  const isCompleted = trackedWrite !== undefined && isRecorded(items, trackedWrite);
  const response = await context.system.send(request);
  const outcome = response === 'killed' ? 'no response (killed)' : `${response.status} ${response.body?.code ?? ''}`;
  trace.push(`  ${description}: ${outcome}`);
  if (response === 'killed') return undefined;
  const isRefused = response.status >= 400 && response.status < 500 && response.body?.code !== 'request-in-progress';
  check(!isCompleted || !isRefused, 'A completed operation is not refused when repeated', `${description}: ${outcome}`);
  return response;
}

/** Returns an operation that sends a request once, and that can be repeated later. */
function requestOperation(
  context: RunContext,
  description: string,
  request: HttpRequest,
  onSuccess: OnSuccess = () => undefined,
  repeats = true,
): Operation {
  const operation: Operation = {
    description,
    run: async () => {
      const response = await sendOnce(
        context,
        description,
        request,
        context.model.trackedWrites.get(request.idempotencyKey ?? ''),
      );
      if (response !== undefined && response.status >= 200 && response.status < 300)
        onSuccess(response.body, response.status);
    },
  };
  if (repeats && request.idempotencyKey !== undefined) {
    context.repeatable.push({ ...operation, description: `${description} (again)` });
    if (context.repeatable.length > 24) context.repeatable.shift();
  }
  return operation;
}

// ---- Customers and their keys

export function register(context: RunContext, name: OperationName): Operation {
  const agreementId = `E-${name.replaceAll('#', '')}`;
  const body = {
    program: 'enterprise',
    level: 'A',
    agreementNumber: agreementId,
    organization: { name: `Alder ${name}`, country: 'US', language: 'en' },
    products: [
      { product: 'windows-vista-business', licenses: 20 },
      { product: 'windows-server-2008-standard', licenses: 10 },
    ],
    contacts: [ines(agreementId)],
    noticesCorrespondent: { name: 'Noor Haddad', email: `noor@${agreementId.toLowerCase()}.example`, phone },
  };
  const trackedWrite = trackWrite(context.model, 'AGREEMENT', 'entry', name);
  return requestOperation(
    context,
    `register ${agreementId}`,
    { route: 'POST /agreements', body, caller: admin, idempotencyKey: name },
    () => {
      trackedWrite.isAcknowledged = true;
      context.model.agreements.add(agreementId);
    },
  );
}

function issueMak(context: RunContext, { agreementId }: Agreement, prng: Prng, name: OperationName): Operation {
  const productGroup = prng.chance(0.7) ? 'client' : 'server-b';
  return requestOperation(
    context,
    `a MAK for ${productGroup} of ${agreementId}`,
    {
      route: 'POST /agreements/{agreementId}/keys',
      params: { agreementId },
      body: { type: 'MAK', productGroup },
      caller: prng.chance(0.7) ? customer(ines(agreementId)) : agent,
      idempotencyKey: name,
    },
    ({ keyId }) => context.model.keys.add(keyId),
  );
}

function replaceKey(context: RunContext, key: Key, name: OperationName): Operation {
  const trackedWrite = trackWrite(context.model, 'KEY', 'entry', name);
  return requestOperation(
    context,
    `replace ${key.type} ${key.lastFive}`,
    {
      route: 'POST /keys/{keyId}/replacements',
      params: { keyId: key.keyId },
      body: { reason: `It leaked ${name}` },
      caller: customer(ines(key.agreementId)),
      idempotencyKey: name,
    },
    ({ issued, blocked }) => {
      trackedWrite.isAcknowledged = true;
      context.model.keys.add(issued.keyId);
      const replaced = itemIn<Key>(context.system.network.items, `KEY#${blocked.keyId} KEY`)?.value;
      check(replaced?.state.status === 'blocked', 'BLK-2 An acknowledged replacement blocks the key', blocked.keyId);
    },
  );
}

function reveal(context: RunContext, key: Key, name: OperationName): Operation {
  const caller = customer(ines(key.agreementId));
  const request = { route: 'POST /keys/{keyId}/reveal', params: { keyId: key.keyId }, body: {}, caller };
  return requestOperation(context, `reveal ${key.lastFive}`, { ...request, idempotencyKey: name }, ({ productKey }) => {
    check(productKey === productKeyOf(context, key.keyId), 'KEY-6 The requested key is revealed', key.keyId);
  });
}

function read(context: RunContext, prng: Prng, keys: readonly Key[], requests: readonly ExceptionRequest[]): Operation {
  const key = prng.pick(keys);
  const params = { keyId: key.keyId, agreementId: key.agreementId, exceptionId: requests[0]?.exceptionId ?? 'none' };
  const route = prng.pick([
    'GET /keys/{keyId}',
    'GET /keys/{keyId}/allowances',
    'GET /keys/{keyId}/forecast',
    'GET /keys/{keyId}/activations',
    'GET /keys/{keyId}/history',
    'GET /agreements/{agreementId}/keys',
    'GET /exceptions',
    'GET /exceptions/{exceptionId}',
  ]);
  return requestOperation(context, route, { route, params, caller: customer(ines(key.agreementId)) }, (body) => {
    check(
      route !== 'GET /keys/{keyId}' || body.used <= body.limit,
      'MAK-1 The usage never exceeds the limit',
      `${key.keyId} ${body.used} of ${body.limit}`,
    );
  });
}

// ---- Computers

const computersPerAgreement = 1_000_000;

function installationIdAt(agreementNumber: number, number: number) {
  return installationIdFrom(String(agreementNumber * computersPerAgreement + number).padStart(45, '0'));
}

function productKeyOf({ system: { store, network } }: RunContext, keyId: string): string {
  const key = itemIn<Key>(network.items, `KEY#${keyId} KEY`);
  if (key === undefined) throw new Error(`There is no key ${keyId}.`);
  return store.vault.openProductKey(String(key.internal.sealedKey), keyId).reveal();
}

/** Returns the number of an agreement, which its installation ids contain: a computer can move to a successor key. */
function agreementNumberOf(agreementId: string): number {
  return [...agreementId].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 1_000_003, 7);
}

function productOf(key: Key): string {
  return key.productGroup === 'client' ? 'windows-vista-business' : 'windows-server-2008-standard';
}

/** Returns the id of an installation: often a new one, sometimes one that this key or its predecessor activated. */
function drawInstallationId(context: RunContext, key: Key, prng: Prng, computersMax = 400) {
  const computers = context.model.computers.get(key.replaces !== null && prng.chance(0.5) ? key.replaces : key.keyId);
  const count = key.type === 'KMS' ? 9 : Math.max(20, (computers?.size ?? 0) + 25);
  return installationIdAt(agreementNumberOf(key.agreementId), prng.below(Math.min(count, computersMax)));
}

function activate(
  context: RunContext,
  key: Key,
  prng: Prng,
  installationId = drawInstallationId(context, key, prng),
): Operation {
  const name = key.type === 'MAK' ? attributeNameOf(installationId) : installationId;
  const body = {
    productKey: productKeyOf(context, key.keyId),
    installationId,
    product: productOf(key),
    machineName: 'PC',
  };
  const description = `activate ${installationId.slice(-8)} on ${key.type} ${key.lastFive}`;
  return {
    description,
    run: async () => {
      const computer = computerOf(context.model, key.keyId, name);
      computer.requests += 1;
      const limit = currentLimit(context, key.keyId);
      const wasActivated = computer.acknowledgments > 0;
      const response = await context.system.send({ route: 'POST /activations', body });
      context.system.network.trace.push(
        `  ${description}: ${response === 'killed' ? response : `${response.status} ${response.body?.code ?? ''}`}`,
      );
      if (response === 'killed') return;
      checkActivation(context, key, name, response, { limit, wasActivated });
    },
  };
}

function currentLimit({ system: { network } }: RunContext, keyId: string): number {
  return limitIn(itemIn<Key>(network.items, `KEY#${keyId} KEY`)?.value.grants ?? []);
}

/** Checks the response of an activation and records it in the model. `before` is the state before the request. */
function checkActivation(
  context: RunContext,
  key: Key,
  name: string,
  { status, body }: HttpResponse,
  before: { readonly limit: number; readonly wasActivated: boolean },
): void {
  const { items } = context.system.network;
  const computer = computerOf(context.model, key.keyId, name);
  if (status === 200 || status === 201) {
    if (key.type === 'MAK') {
      check(
        computer.activatedAt === null || computer.activatedAt === body.activatedAt,
        'MAK-2 A repeated activation has the same time',
        `${name}: ${computer.activatedAt} and ${body.activatedAt}`,
      );
      check(status === 200 || !before.wasActivated, 'MAK-2 A repeated activation does not count again', name);
      computer.activatedAt = body.activatedAt;
    }
    check(
      computer.activationId === null || computer.activationId === body.activationId,
      'MAK-2 A repeated activation has the same id',
      name,
    );
    computer.activationId = body.activationId;
    computer.acknowledgments += 1;
    check(computersOn(items, key.keyId).includes(name), 'MAK-1 Acknowledged activations are stored', name);
    return;
  }
  if (status === 409 && body.code === 'activation-limit-reached') {
    if (key.type === 'MAK') {
      check(!before.wasActivated, 'MAK-2 A repeated activation is not refused', name);
      context.deferredChecks.push(() => {
        const used = activationRecordsOf(items, key.keyId).length;
        check(
          used >= before.limit,
          'MAK-1 A key refuses only when it is exhausted',
          `${key.keyId} ${used} of ${before.limit}`,
        );
      });
    }
    return;
  }
  const isLive = itemIn<Key>(items, `KEY#${key.keyId} KEY`)?.value.state.status === 'live';
  check(status !== 403 || !isLive, 'BLK-1 Only a blocked key is refused as blocked', key.keyId);
}

function activateBatch(context: RunContext, key: Key, prng: Prng, size: number, first = -1): Operation {
  const installationIds = Array.from({ length: size }, (_, index) =>
    first >= 0
      ? installationIdAt(agreementNumberOf(key.agreementId), first + index)
      : drawInstallationId(context, key, prng),
  );
  const activations = installationIds.map((installationId) => ({ installationId, product: productOf(key) }));
  const description = `activate a batch of ${size} on ${key.type} ${key.lastFive}`;
  return {
    description,
    run: async () => {
      const names = installationIds.map((each) => (key.type === 'MAK' ? attributeNameOf(each) : each));
      const wereActivated = names.map((name) => computerOf(context.model, key.keyId, name).acknowledgments > 0);
      for (const name of names) computerOf(context.model, key.keyId, name).requests += 1;
      const limit = currentLimit(context, key.keyId);
      const productKey = productKeyOf(context, key.keyId);
      const response = await context.system.send({
        route: 'POST /activations/batch',
        body: { productKey, activations },
      });
      context.system.network.trace.push(`  ${description}: ${response === 'killed' ? response : response.status}`);
      if (response === 'killed' || response.status !== 200) return;
      for (const [index, name] of names.entries()) {
        const { status, activation, problem } = response.body.results[index];
        const before = { limit, wasActivated: wereActivated[index] ?? false };
        checkActivation(context, key, name, { status, body: activation ?? problem }, before);
      }
    },
  };
}

function validate(context: RunContext, key: Key, prng: Prng): Operation {
  const installationId = drawInstallationId(context, key, prng);
  const name = key.type === 'MAK' ? attributeNameOf(installationId) : installationId;
  const body = { productKey: productKeyOf(context, key.keyId), installationId };
  const isActivated = computerOf(context.model, key.keyId, name).acknowledgments > 0;
  return requestOperation(
    context,
    `validate on ${key.lastFive}`,
    { route: 'POST /validations', body },
    ({ genuine, reason }) => {
      const keyStatus = itemIn<Key>(context.system.network.items, `KEY#${key.keyId} KEY`)?.value.state.status;
      check(
        !isActivated || keyStatus !== 'live' || genuine,
        'VAL-1 An installation that activated is genuine',
        `${name}: ${reason}`,
      );
    },
  );
}

function reportClients(context: RunContext, key: Key, prng: Prng): Operation {
  const body = {
    productKey: productKeyOf(context, key.keyId),
    installationId: drawInstallationId(context, key, prng),
    clients: prng.below(500),
  };
  return requestOperation(context, `report clients on ${key.lastFive}`, {
    route: 'POST /kms-hosts/client-reports',
    body,
  });
}

// ---- The call center

/** Repeats a phone call without its idempotency key: its call reference identifies it. */
function repeatCall(context: RunContext, call: string, request: HttpRequest, trackedWrite: TrackedWrite): Operation {
  const description = `${call} (the same call)`;
  return { description, run: async () => void (await sendOnce(context, description, request, trackedWrite)) };
}

function override(context: RunContext, key: Key, prng: Prng, name: OperationName): Operation {
  const trackedWrite = trackWrite(context.model, 'KEY', 'grant', name);
  const body = { installationId: drawInstallationId(context, key, prng), callReference: name, callerName: 'Inés' };
  const request = { route: 'POST /keys/{keyId}/overrides', params: { keyId: key.keyId }, body, caller: agent };
  const operation = requestOperation(
    context,
    `override on ${key.lastFive} ${name}`,
    { ...request, idempotencyKey: name },
    () => {
      trackedWrite.isAcknowledged = true;
    },
  );
  context.repeatable.push(repeatCall(context, operation.description, request, trackedWrite));
  return operation;
}

function increase(context: RunContext, key: Key, prng: Prng, name: OperationName): Operation {
  const limit = limitIn(key.grants);
  const limitMax = 2 * (key.grants[0]?.amount ?? 0);
  const newLimit = prng.chance(0.15)
    ? limitMax + 1
    : limit + 1 + prng.below(Math.max(1, Math.min(20, limitMax - limit)));
  const trackedWrite = trackWrite(context.model, 'KEY', 'grant', name);
  const body = { newLimit, callReference: name, callerName: 'Inés' };
  const request = { route: 'POST /keys/{keyId}/increases', params: { keyId: key.keyId }, body, caller: agent };
  const operation = requestOperation(
    context,
    `increase ${key.lastFive} to ${newLimit} ${name}`,
    { ...request, idempotencyKey: name },
    () => {
      trackedWrite.isAcknowledged = true;
    },
  );
  context.repeatable.push(repeatCall(context, operation.description, request, trackedWrite));
  return operation;
}

// ---- Requests

function submitRequest(context: RunContext, key: Key, prng: Prng, name: OperationName): Operation {
  const limit = limitIn(key.grants);
  const headroom = 2 * (key.grants[0]?.amount ?? 0) - limit;
  const needsReview = prng.chance(0.15);
  const amount =
    key.type === 'MAK'
      ? needsReview
        ? 1_003
        : Math.max(1, headroom + 1 + prng.below(30))
      : needsReview
        ? 23
        : 6 + prng.below(5);
  const hasOtherLanguage = prng.chance(0.1);
  const hasWrongCorrespondent = prng.chance(0.1);
  const body = {
    kind: key.type === 'MAK' ? 'MAKADD' : 'KMSADD',
    organizationName: 'Alder',
    agreementNumber: key.agreementId,
    requester: ines(key.agreementId),
    product: productOf(key),
    keyLastFive: key.lastFive,
    activationsRequested: amount,
    businessReason: `Two new schools ${name}`,
    requiredDate: '2099-01-04',
    ...(hasOtherLanguage ? { language: 'de' } : {}),
    ...(hasWrongCorrespondent
      ? { noticesCorrespondent: { name: 'Mallory', email: 'mallory@birch.example', phone } }
      : {}),
  };
  const trackedWrite = trackWrite(context.model, 'EXCEPTION', 'entry', name);
  let id: string | undefined;
  const caller = prng.chance(0.8) ? customer(ines(key.agreementId)) : agent;
  return requestOperation(
    context,
    `${body.kind} for ${amount} on ${key.lastFive} ${name}`,
    { route: 'POST /exceptions', body, caller, idempotencyKey: name },
    ({ exceptionId }) => {
      trackedWrite.isAcknowledged = true;
      check(id === undefined || id === exceptionId, 'EXC-5 A request has one id', `${id} and ${exceptionId}`);
      id = exceptionId;
      context.model.requests.add(exceptionId);
    },
  );
}

function transition(
  context: RunContext,
  { exceptionId, activations, agreementId }: ExceptionRequest,
  prng: Prng,
  name: OperationName,
  kind: string,
): Operation {
  const smallerNumber = prng.chance(0.5) ? { activations: Math.max(1, activations - prng.below(5)) } : {};
  const [path, body, caller] = (
    {
      question: ['questions', { text: `Which schools? ${name}` }, team],
      answer: ['answers', { text: `Elm and Fir ${name}` }, customer(ines(agreementId))],
      forward: ['review', { decision: 'forward', ...smallerNumber }, team],
      reject: ['review', { decision: 'reject', reason: `Too many ${name}` }, team],
      withdraw: ['withdrawal', { reason: `No longer ${name}` }, customer(ines(agreementId))],
    } as const
  )[kind as 'question'];
  const trackedWrite = kind === 'forward' ? undefined : trackWrite(context.model, 'EXCEPTION', 'entry', name);
  const route = `POST /exceptions/{exceptionId}/${path}`;
  return requestOperation(
    context,
    `${kind} ${exceptionId} ${name}`,
    { route, params: { exceptionId }, body, caller, idempotencyKey: name },
    () => {
      if (trackedWrite !== undefined) trackedWrite.isAcknowledged = true;
    },
  );
}

// ---- The Notices Correspondent

const linkCache = new WeakMap<SentEmail, { readonly link: ApprovalLink | undefined }>();

/** Returns the approval link in an email, if it contains one. */
function linkIn(email: SentEmail): ApprovalLink | undefined {
  const cached = linkCache.get(email) ?? { link: parseLink(email) };
  linkCache.set(email, cached);
  return cached.link;
}

function parseLink({ text, to, tags }: SentEmail): ApprovalLink | undefined {
  const token = /https?:\/\/[^/\s]+\/approvals\/([\w-]+)/.exec(text)?.[1];
  const code = /^Code: (\d{6})$/m.exec(text)?.[1] ?? null;
  const { exception, round } = tags;
  if (token === undefined || exception === undefined || round === undefined) return undefined;
  return { token, code, to, exceptionId: exception, roundNumber: Number(round) };
}

function linksFor(context: RunContext, exceptionId: string): readonly ApprovalLink[] {
  return context.system.network.emails
    .filter(({ tags }) => tags.exception === exceptionId)
    .flatMap((email) => linkIn(email) ?? []);
}

/** Requests a code for a link in strict mode (APR-7), and returns the last code that was sent to its recipient. */
async function requestCode(context: RunContext, { token, to }: ApprovalLink): Promise<string | undefined> {
  const request = { route: 'POST /approvals/{token}/codes', params: { token }, form: {} };
  await sendOnce(context, `request a code as ${to}`, request);
  const codes = context.system.network.emails
    .filter((email) => email.to === to && email.tags.notification === 'approval-code')
    .flatMap(({ text }) => /^Code: (\d{8})$/m.exec(text)?.[1] ?? []);
  return codes.at(-1);
}

function decide(
  context: RunContext,
  link: ApprovalLink,
  prng: Prng,
  name: OperationName,
  decision: 'approve' | 'deny' = prng.chance(0.8) ? 'approve' : 'deny',
): Operation {
  const hasWrongCode = prng.chance(0.12);
  const round = roundName(link.exceptionId, link.roundNumber);
  const trackedWrite = trackWrite(context.model, 'EXCEPTION', 'entry', name);
  const description = `${decision} ${round} as ${link.to}${hasWrongCode ? ' with a wrong code' : ''} ${name}`;
  return {
    description,
    run: async () => {
      const rightCode = link.code ?? (await requestCode(context, link));
      if (rightCode === undefined) return;
      const code = hasWrongCode ? differentCode(rightCode) : rightCode;
      if (!hasWrongCode && decision === 'approve') {
        const approvers = context.model.approvers.get(round) ?? new Set();
        context.model.approvers.set(round, approvers.add(link.to));
      }
      const form = { code, decision, comment: `Yes ${name}` };
      const request = { route: 'POST /approvals/{token}', params: { token: link.token }, form };
      const response = await sendOnce(context, description, request);
      if (response === undefined || response.status >= 300) return;
      check(!hasWrongCode, 'APR-2 A wrong code decides nothing', round);
      trackedWrite.isAcknowledged = true;
    },
  };
}

function differentCode(code: string): string {
  return String((Number(code) + 1) % 10 ** code.length).padStart(code.length, '0');
}

function openLink(context: RunContext, link: ApprovalLink): Operation {
  return requestOperation(context, 'open a link', { route: 'GET /approvals/{token}', params: { token: link.token } });
}

function dispute(context: RunContext, email: SentEmail): Operation {
  const token = /\/disputes\/([\w-]+)/.exec(email.text)?.[1] ?? 'none';
  return requestOperation(context, `dispute ${email.tags.exception}`, {
    route: 'POST /disputes/{token}',
    params: { token },
  });
}

// ---- Agreements

function changeCorrespondent(context: RunContext, { agreementId }: Agreement, name: OperationName): Operation {
  const nameInEmail = name.replaceAll('#', '');
  const body = { name: `Noor ${name}`, email: `noor-${nameInEmail}@${agreementId.toLowerCase()}.example`, phone };
  const trackedWrite = trackWrite(context.model, 'AGREEMENT', 'entry', name);
  const route = 'PUT /agreements/{agreementId}/notices-correspondent';
  return requestOperation(
    context,
    `new Correspondent of ${agreementId}`,
    { route, params: { agreementId }, body, caller: admin },
    () => {
      trackedWrite.isAcknowledged = true;
    },
  );
}

function changeContacts(context: RunContext, { agreementId }: Agreement, name: OperationName): Operation {
  const extra = { name: `Jorge ${name}`, email: `jorge-${name.replaceAll('#', '')}@alder.example`, phone };
  const trackedWrite = trackWrite(context.model, 'AGREEMENT', 'entry', name);
  const route = 'PUT /agreements/{agreementId}/contacts';
  const body = { contacts: [ines(agreementId), extra] };
  return requestOperation(
    context,
    `new contacts of ${agreementId}`,
    { route, params: { agreementId }, body, caller: admin },
    () => {
      trackedWrite.isAcknowledged = true;
    },
  );
}

function nameDeputy(context: RunContext, agreement: Agreement, name: OperationName): Operation {
  const { agreementId } = agreement;
  const today = context.system.now().slice(0, 10);
  const until = new Date(context.system.clock.milliseconds + 5 * 86_400_000).toISOString().slice(0, 10);
  const person = { name: `Dana ${name}`, email: `dana@${agreementId.toLowerCase()}.example`, phone };
  const trackedWrite = trackWrite(context.model, 'AGREEMENT', 'entry', name);
  return requestOperation(
    context,
    `a deputy in ${agreementId}`,
    {
      route: 'PUT /agreements/{agreementId}/deputy',
      params: { agreementId },
      body: { person, from: today, to: until },
      caller: customer(agreement.noticesCorrespondent),
    },
    () => {
      trackedWrite.isAcknowledged = true;
    },
  );
}

// ---- The schedule, the stream, and events

export function sweep(context: RunContext): Operation {
  return {
    description: 'sweep',
    run: async () => {
      const result = await context.system.sweep();
      context.system.network.trace.push(`  sweep: ${result}`);
    },
  };
}

export function deliverChanges(context: RunContext, prng: Prng): Operation {
  return {
    description: 'deliver changes',
    run: async () => {
      const some = context.pendingChanges.slice(0, 1 + prng.below(40));
      if (some.length === 0) return;
      const isDuplicated = context.system.network.conditions.profile.kind !== 'none' && prng.chance(0.15);
      const isProcessed = await context.system.deliverChanges(some);
      if (isDuplicated) context.system.network.countFault('stream-duplicated');
      if (!isProcessed || isDuplicated) return;
      for (const each of some) {
        const index = context.pendingChanges.indexOf(each);
        if (index >= 0) context.pendingChanges.splice(index, 1);
      }
    },
  };
}

/** Reports the bounce of an email that SES accepted some time ago. */
function bounceEmail(context: RunContext, prng: Prng): Operation {
  const email = prng.pick(context.system.network.emails.slice(-40));
  const tags = Object.fromEntries(Object.entries(email.tags).map(([name, value]) => [name, [value]]));
  const bounceType = prng.chance(0.6) ? 'Permanent' : 'Transient';
  const detail = {
    eventType: 'Bounce',
    bounce: { bounceType, bounceSubType: 'General' },
    mail: { messageId: email.messageId, tags },
  };
  return {
    description: `a ${bounceType} bounce of ${email.tags.notification ?? 'an agreement notification'}`,
    run: async () => {
      context.system.network.countFault('email-bounced-late');
      await context.system.sendDeliveryEvent({ detail });
    },
  };
}

function loseExecution(context: RunContext, name: string): Operation {
  return {
    description: `lose the execution ${name}`,
    run: async () => {
      context.system.network.countFault('execution-lost');
      await context.system.loseExecution(name);
    },
  };
}

// ---- Drawing operations

type TableSnapshot = {
  readonly keys: readonly Key[];
  readonly live: readonly Key[];
  readonly requests: readonly ExceptionRequest[];
  readonly open: readonly ExceptionRequest[];
  readonly agreements: readonly Agreement[];
};

export function snapshotOf({ system: { network } }: RunContext): TableSnapshot {
  const keys = valuesIn<Key>(network.items, 'KEY').map(({ value }) => value);
  const requests = valuesIn<ExceptionRequest>(network.items, 'EXCEPTION').map(({ value }) => value);
  return {
    keys,
    live: keys.filter(({ state }) => state.status === 'live'),
    requests,
    open: requests.filter(({ state }) => !isFinal(state.status)),
    agreements: valuesIn<Agreement>(network.items, 'AGREEMENT')
      .filter(({ item }) => 'ledgerHead' in item)
      .map(({ value }) => value),
  };
}

const agreementsMax = 5;

/** Returns a few operations to run at the same time. Their names are unique, so that each can be found in the table. */
export function drawGroup(context: RunContext, prng: Prng, group: number): readonly Operation[] {
  const snapshot = snapshotOf(context);
  const name = (index: number) => `#${group}-${index}#`;
  if (snapshot.agreements.length === 0 || (snapshot.agreements.length < agreementsMax && prng.chance(0.04))) {
    return [register(context, name(0))];
  }
  const contention = prng.chance(0.08) ? drawContention(context, snapshot, prng, name) : [];
  if (contention.length > 0) return contention;
  const conflict = prng.chance(0.3) ? drawConflict(context, snapshot, prng, name) : [];
  if (conflict.length > 0) return conflict;
  // Computers are waiting for a new key.
  const firstActivations = snapshot.live
    .filter(({ type, keyId }) => type === 'MAK' && !context.model.computers.has(keyId) && prng.chance(0.8))
    .map((key) => activateBatch(context, key, prng, 2 + prng.below(20)));
  if (firstActivations.length > 0) return firstActivations;
  const size = 2 + prng.below(3);
  const drawn = Array.from({ length: size }, (_, index) => drawOne(context, snapshot, prng, name(index)));
  const operations = drawn.flatMap((operation) => operation ?? []);
  const hasSweep = operations.some(({ description }) => description === 'sweep');
  if (hasSweep && prng.chance(0.35)) {
    context.system.network.countFault('sweep-twice');
    operations.push(sweep(context));
  }
  return operations;
}

function drawOne(context: RunContext, snapshot: TableSnapshot, prng: Prng, name: OperationName): Operation | undefined {
  const { live, keys, requests, open, agreements } = snapshot;
  const maks = live.filter(({ type }) => type === 'MAK');
  const kms = live.filter(({ type }) => type === 'KMS');
  const forOneOf =
    <Each>(choices: readonly Each[], operationFor: (each: Each) => Operation | undefined) =>
    () =>
      choices.length === 0 ? undefined : operationFor(prng.pick(choices));
  const recentLinks = open.flatMap(({ exceptionId }) => linksFor(context, exceptionId).slice(-2));
  const anyLinks = context.system.network.emails.slice(-200).flatMap((email) => linkIn(email) ?? []);
  const disputable = context.system.network.emails.filter(({ text }) => text.includes('/disputes/')).slice(-10);
  const inState = (...statuses: readonly string[]) => open.filter(({ state }) => statuses.includes(state.status));
  const running = context.system.workflows.executions().filter(({ status }) => status === 'RUNNING');
  const draw = prng.weighted<() => Operation | undefined>([
    [22, forOneOf(maks, (key) => activate(context, key, prng))],
    [4, forOneOf(maks, (key) => activateBatch(context, key, prng, 2 + prng.below(20)))],
    [7, forOneOf(kms, (key) => activate(context, key, prng))],
    [1, forOneOf(kms, (key) => activateBatch(context, key, prng, 2 + prng.below(3)))],
    [3, forOneOf(keys, (key) => activate(context, key, prng))],
    [2, forOneOf(keys, (key) => validate(context, key, prng))],
    [1, forOneOf(kms, (key) => reportClients(context, key, prng))],
    [4, forOneOf(agreements, (agreement) => issueMak(context, agreement, prng, name))],
    [1, forOneOf(live, (key) => replaceKey(context, key, name))],
    [1, forOneOf(live, (key) => reveal(context, key, name))],
    [3, () => read(context, prng, keys, requests)],
    [4, forOneOf(kms, (key) => override(context, key, prng, name))],
    [4, forOneOf(maks, (key) => increase(context, key, prng, name))],
    [6, forOneOf(live, (key) => submitRequest(context, key, prng, name))],
    [
      3,
      forOneOf(inState('received', 'in-review', 'awaiting-approval'), (each) =>
        transition(context, each, prng, name, 'question'),
      ),
    ],
    [4, forOneOf(inState('awaiting-requester'), (each) => transition(context, each, prng, name, 'answer'))],
    [
      5,
      forOneOf(inState('in-review', 'awaiting-approval'), (each) => transition(context, each, prng, name, 'forward')),
    ],
    [1, forOneOf(open, (each) => transition(context, each, prng, name, 'reject'))],
    [1, forOneOf(open, (each) => transition(context, each, prng, name, 'withdraw'))],
    [
      1,
      forOneOf(requests, (each) =>
        transition(context, each, prng, name, prng.pick(['question', 'answer', 'forward', 'reject', 'withdraw'])),
      ),
    ],
    [8, forOneOf(recentLinks, (link) => decide(context, link, prng, name))],
    [2, forOneOf(anyLinks, (link) => decide(context, link, prng, name))],
    [1, forOneOf(anyLinks, (link) => openLink(context, link))],
    [1, forOneOf(disputable, (email) => dispute(context, email))],
    [1.5, forOneOf(agreements, (agreement) => changeCorrespondent(context, agreement, name))],
    [1, forOneOf(agreements, (agreement) => changeContacts(context, agreement, name))],
    [1, forOneOf(agreements, (agreement) => nameDeputy(context, agreement, name))],
    [8, () => sweep(context)],
    [6, () => deliverChanges(context, prng)],
    [2, () => (context.system.network.emails.length === 0 ? undefined : bounceEmail(context, prng))],
    [1.5, forOneOf(running, (execution) => loseExecution(context, execution.name))],
    [7, forOneOf(context.repeatable, (operation) => operation)],
  ]);
  return draw();
}

/** Returns operations that compete: for the last slots of a MAK, or for the one open request of a key. */
function drawContention(
  context: RunContext,
  snapshot: TableSnapshot,
  prng: Prng,
  name: (index: number) => OperationName,
): readonly Operation[] {
  if (snapshot.live.length === 0) return [];
  if (prng.chance(0.3)) {
    const key = prng.pick(snapshot.live);
    return [submitRequest(context, key, prng, name(0)), submitRequest(context, key, prng, name(1))];
  }
  const { items } = context.system.network;
  const remaining = (key: Key) => limitIn(key.grants) - activationRecordsOf(items, key.keyId).length;
  const maks = snapshot.live
    .filter((key) => key.type === 'MAK' && remaining(key) > 0)
    .toSorted((one, other) => remaining(one) - remaining(other));
  const [key] = prng.chance(0.7) ? maks : maks.toReversed();
  if (key === undefined) return [];
  const first = 100_000 + prng.below(800_000);
  const newInstallationId = (index: number) => installationIdAt(agreementNumberOf(key.agreementId), first + index);
  const some = Array.from({ length: 3 }, (_, index) => activate(context, key, prng, newInstallationId(index)));
  return [...some, activateBatch(context, key, prng, 1 + prng.below(Math.min(60, remaining(key))), first + 10)];
}

/** Returns conflicting operations: each would prevent the others if it came first. */
function drawConflict(
  context: RunContext,
  snapshot: TableSnapshot,
  prng: Prng,
  name: (index: number) => OperationName,
): readonly Operation[] {
  const { network, clock } = context.system;
  const awaitingApproval = snapshot.open.flatMap((request) => {
    const link = linksFor(context, request.exceptionId).at(-1);
    return request.state.status === 'awaiting-approval' && link !== undefined ? [{ request, link }] : [];
  });
  const agreementsWithPendingChange = snapshot.agreements.filter(
    ({ pendingNoticesCorrespondent }) => pendingNoticesCorrespondent !== null,
  );
  const withPendingChange = awaitingApproval.filter(({ request }) =>
    agreementsWithPendingChange.some(({ agreementId }) => agreementId === request.agreementId),
  );
  const drawnKind = prng.pick([
    'key-replaced',
    'correspondent-changed',
    'request-withdrawn',
    'key-replaced-in-use',
  ] as const);
  // A pending change of the Correspondent is rare and does not last long.
  const kind = withPendingChange.length > 0 && prng.chance(0.7) ? 'correspondent-changed' : drawnKind;
  if (kind === 'key-replaced-in-use') {
    const key = snapshot.live.length === 0 ? undefined : prng.pick(snapshot.live);
    if (key === undefined || prng.chance(0.6)) return [];
    network.countFault('key-replaced');
    const raise = key.type === 'MAK' ? increase(context, key, prng, name(2)) : override(context, key, prng, name(2));
    return [
      replaceKey(context, key, name(0)),
      activate(context, key, prng),
      raise,
      submitRequest(context, key, prng, name(3)),
    ];
  }
  if (awaitingApproval.length === 0) return [];
  const { request: open, link } = prng.pick(
    kind === 'correspondent-changed' && withPendingChange.length > 0 ? withPendingChange : awaitingApproval,
  );
  const key = snapshot.keys.find(({ keyId }) => keyId === open.keyId);
  const approve = decide(context, link, prng, name(0), 'approve');
  if (kind === 'key-replaced' && key !== undefined) {
    network.countFault(kind);
    return [approve, replaceKey(context, key, name(1)), sweep(context)];
  }
  if (kind === 'request-withdrawn') {
    network.countFault(kind);
    return [approve, transition(context, open, prng, name(1), prng.chance(0.7) ? 'withdraw' : 'reject')];
  }
  const agreement = snapshot.agreements.find(({ agreementId }) => agreementId === open.agreementId);
  if (kind !== 'correspondent-changed' || agreement === undefined) return [];
  const pending = agreement.pendingNoticesCorrespondent;
  if (pending === null) return [approve, changeCorrespondent(context, agreement, name(1))];
  network.countFault(kind);
  // Within seconds of the moment at which the new Correspondent takes over.
  clock.milliseconds = Math.max(clock.milliseconds, Date.parse(pending.effectiveAt) - prng.below(3_000) + 1_000);
  return [approve, sweep(context), transition(context, open, prng, name(1), 'forward')];
}

// ---- Without faults

/**
 * Returns an operation that fills a MAK to its limit: the last slot can be used, and one more activation cannot
 * (MAK-1).
 */
export function fillToLimit(context: RunContext, key: Key, prng: Prng): Operation | undefined {
  const { items } = context.system.network;
  const limit = limitIn(key.grants);
  const remaining = limit - activationRecordsOf(items, key.keyId).length;
  if (remaining > 160) return undefined;
  return {
    description: `fill ${key.lastFive} with ${remaining} activations`,
    run: async () => {
      const first = 2_000 + prng.below(80_000);
      // The last few, and one too many, activate one by one: a batch finds its slots in another way.
      const inBatches = Math.max(0, remaining - 5);
      for (let count = 0; count < inBatches; count += 90) {
        await activateBatch(context, key, prng, Math.min(90, inBatches - count), first + count).run();
      }
      for (let count = inBatches; count < remaining + 1; count += 1) {
        await activate(context, key, prng, installationIdAt(agreementNumberOf(key.agreementId), first + count)).run();
      }
      const used = activationRecordsOf(items, key.keyId).length;
      check(used === limit, 'MAK-1 The last slot can be used', `${key.keyId} ${used} of ${limit}`);
    },
  };
}

/** Returns operations of the team that forward every request in review, so that each request can end. */
export function forwardPending(context: RunContext, prng: Prng, name: OperationName): readonly Operation[] {
  return snapshotOf(context)
    .open.filter(({ state }) => state.status === 'in-review')
    .map((request, index) => transition(context, request, prng, `${name}${index}#`, 'forward'));
}
