import type { Agreement, Person } from '../../domain/agreement.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import { installationIdFrom } from '../../domain/keys/installation-id.ts';
import type { Key } from '../../domain/keys/key.ts';
import { markNameOf } from '../../store/mak-activations.ts';
import { isDone, isFinal, limitIn, machinesOn, marksOf, must, ownedIn, statesIn } from './invariants.ts';
import type { Deed, Link, Model } from './model.ts';
import { askName, deedOf, machineOf } from './model.ts';
import type { Image, Mail } from './network.ts';
import type { Dice } from './prng.ts';
import type { Answer, Asking, World } from './system.ts';

/*
 * Everybody who does something: customers, machines, agents, the exceptions team, Correspondents, the schedule, the stream.
 * They choose by what is in the table, so that most of what they do is worth doing, and now and then they do what is not.
 */

export type Change = Image & { readonly sequence: string };

/** One thing that somebody does, and what they make of the answer. */
export type Operation = { readonly what: string; run(): Promise<void> };

export type Life = {
  readonly world: World;
  readonly model: Model;
  /** Changes of keys that the stream has not handed over yet. */
  readonly stream: Change[];
  /** What may be sent again as it was. */
  readonly again: Operation[];
  /** What can be judged only when all that runs at once is done. */
  readonly afterwards: (() => void)[];
};

const admin = { email: 'olga@vendor.example', roles: ['licensing-admins'] } as const;
const agent = { email: 'ada@callcenter.example', roles: ['call-center'] } as const;
const team = { email: 'rui@licensing.example', roles: ['exceptions-team'] } as const;
const phone = '+1 425 555 0101';

type Name = string;

function customer(person: Person) {
  return { email: person.email, roles: [] } as const;
}

/** The agreement's first contact, who never changes. */
function ines(agreementId: string): Person {
  return { name: 'Inés Oliveira', email: `ines@${agreementId.toLowerCase()}.example`, phone };
}

// ---- Asking, and asking again

type Heard = (body: Answer['body'], status: number) => void;

/**
 * Asks once; answers undefined when it was killed, and nobody hears of it. What was done before under the same name answers
 * so when it is asked again (MAK-4, OVR-4).
 */
async function ask(life: Life, what: string, asked: Asking, deed?: Deed): Promise<Answer | undefined> {
  const { items, told } = life.world.wire;
  const done = deed !== undefined && isDone(items, deed);
  const answer = await life.world.ask(asked);
  const heard = answer === 'killed' ? 'nothing (killed)' : `${answer.status} ${answer.body?.code ?? ''}`;
  told.push(`  ${what}: ${heard}`);
  if (answer === 'killed') return undefined;
  const refused = answer.status >= 400 && answer.status < 500 && answer.body?.code !== 'request-in-progress';
  must(!done || !refused, 'what was done is not refused when it is asked again', `${what}: ${heard}`);
  return answer;
}

/** Asks once, hears the answer if there is one, and may ask the same again later. */
function asking(life: Life, what: string, asked: Asking, promised: Heard = () => undefined, repeats = true): Operation {
  const operation: Operation = {
    what,
    run: async () => {
      const answer = await ask(life, what, asked, life.model.deeds.get(asked.idempotencyKey ?? ''));
      if (answer !== undefined && answer.status >= 200 && answer.status < 300) promised(answer.body, answer.status);
    },
  };
  if (repeats && asked.idempotencyKey !== undefined) {
    life.again.push({ ...operation, what: `${what} (again)` });
    if (life.again.length > 24) life.again.shift();
  }
  return operation;
}

// ---- Customers and their keys

export function register(life: Life, name: Name): Operation {
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
    noticesCorrespondent: { name: 'Carla Weiss', email: `carla@${agreementId.toLowerCase()}.example`, phone },
  };
  const deed = deedOf(life.model, 'AGREEMENT', 'entry', name);
  return asking(
    life,
    `register ${agreementId}`,
    { route: 'POST /agreements', body, caller: admin, idempotencyKey: name },
    () => {
      deed.promised = true;
      life.model.agreements.add(agreementId);
    },
  );
}

function issueMak(life: Life, { agreementId }: Agreement, dice: Dice, name: Name): Operation {
  const productGroup = dice.chance(0.7) ? 'client' : 'server-b';
  return asking(
    life,
    `a MAK for ${productGroup} of ${agreementId}`,
    {
      route: 'POST /agreements/{agreementId}/keys',
      params: { agreementId },
      body: { type: 'MAK', productGroup },
      caller: dice.chance(0.7) ? customer(ines(agreementId)) : agent,
      idempotencyKey: name,
    },
    ({ keyId }) => life.model.keys.add(keyId),
  );
}

function replace(life: Life, key: Key, name: Name): Operation {
  const deed = deedOf(life.model, 'KEY', 'entry', name);
  return asking(
    life,
    `replace ${key.type} ${key.lastFive}`,
    {
      route: 'POST /keys/{keyId}/replacements',
      params: { keyId: key.keyId },
      body: { reason: `It leaked ${name}` },
      caller: customer(ines(key.agreementId)),
      idempotencyKey: name,
    },
    ({ issued, blocked }) => {
      deed.promised = true;
      life.model.keys.add(issued.keyId);
      const now = ownedIn<Key>(life.world.wire.items, `KEY#${blocked.keyId} KEY`)?.state;
      must(now?.status.is === 'blocked', 'BLK-2 a replaced key is blocked when it is said to be', blocked.keyId);
    },
  );
}

function reveal(life: Life, key: Key, name: Name): Operation {
  const caller = customer(ines(key.agreementId));
  const asked = { route: 'POST /keys/{keyId}/reveal', params: { keyId: key.keyId }, body: {}, caller };
  return asking(life, `reveal ${key.lastFive}`, { ...asked, idempotencyKey: name }, ({ productKey }) => {
    must(productKey === secretOf(life, key.keyId), 'KEY-6 the key that was asked for is shown', key.keyId);
  });
}

function look(life: Life, dice: Dice, keys: readonly Key[], requests: readonly ExceptionRequest[]): Operation {
  const key = dice.of(keys);
  const params = { keyId: key.keyId, agreementId: key.agreementId, exceptionId: requests[0]?.exceptionId ?? 'none' };
  const route = dice.of([
    'GET /keys/{keyId}',
    'GET /keys/{keyId}/allowances',
    'GET /keys/{keyId}/forecast',
    'GET /keys/{keyId}/activations',
    'GET /keys/{keyId}/history',
    'GET /agreements/{agreementId}/keys',
    'GET /exceptions',
    'GET /exceptions/{exceptionId}',
  ]);
  return asking(life, `look at ${route}`, { route, params, caller: customer(ines(key.agreementId)) }, (body) => {
    const shown = `${key.keyId} ${body.used} of ${body.limit}`;
    must(route !== 'GET /keys/{keyId}' || body.used <= body.limit, 'MAK-1 no more is shown than the limit', shown);
  });
}

// ---- Machines

const machinesOfKey = 1_000_000;

function machine(keyNumber: number, number: number) {
  return installationIdFrom(String(keyNumber * machinesOfKey + number).padStart(45, '0'));
}

function secretOf({ world: { store, wire } }: Life, keyId: string): string {
  const key = ownedIn<Key>(wire.items, `KEY#${keyId} KEY`);
  if (key === undefined) throw new Error(`There is no key ${keyId}.`);
  return store.vault.openProductKey(String(key.kept.sealed), keyId).reveal();
}

/** The machines of an agreement are numbered from its own number on, so that a machine can move to a successor key. */
function numberOf(agreementId: string): number {
  return [...agreementId].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1_000_003, 7);
}

function productOf(key: Key): string {
  return key.productGroup === 'client' ? 'windows-vista-business' : 'windows-server-2008-standard';
}

/** A machine: mostly a new one, now and then one that is known, of this key or of the one it replaced. */
function someMachine(life: Life, key: Key, dice: Dice, most = 400) {
  const known = life.model.machines.get(key.replaces !== null && dice.chance(0.5) ? key.replaces : key.keyId);
  const of = key.type === 'KMS' ? 9 : Math.max(20, (known?.size ?? 0) + 25);
  return machine(numberOf(key.agreementId), dice.below(Math.min(of, most)));
}

function activate(life: Life, key: Key, dice: Dice, installationId = someMachine(life, key, dice)): Operation {
  const name = key.type === 'MAK' ? markNameOf(installationId) : installationId;
  const body = { productKey: secretOf(life, key.keyId), installationId, product: productOf(key), machineName: 'PC' };
  const what = `activate ${installationId.slice(-8)} on ${key.type} ${key.lastFive}`;
  return {
    what,
    run: async () => {
      const known = machineOf(life.model, key.keyId, name);
      known.asked += 1;
      const limit = limitNow(life, key.keyId);
      const before = known.promised > 0;
      const answer = await life.world.ask({ route: 'POST /activations', body });
      life.world.wire.told.push(
        `  ${what}: ${answer === 'killed' ? answer : `${answer.status} ${answer.body?.code ?? ''}`}`,
      );
      if (answer === 'killed') return;
      heardOfActivation(life, key, name, answer.status, answer.body, limit, before);
    },
  };
}

function limitNow({ world: { wire } }: Life, keyId: string): number {
  return limitIn(ownedIn<Key>(wire.items, `KEY#${keyId} KEY`)?.state.grants ?? []);
}

function heardOfActivation(
  life: Life,
  key: Key,
  name: string,
  status: number,
  body: Answer['body'],
  limitBefore: number,
  knownBefore: boolean,
): void {
  const { items } = life.world.wire;
  const known = machineOf(life.model, key.keyId, name);
  if (status === 200 || status === 201) {
    if (key.type === 'MAK') {
      const same = known.activatedAt === null || known.activatedAt === body.activatedAt;
      must(same, 'MAK-2 a machine hears the same time', `${name}: ${known.activatedAt} and ${body.activatedAt}`);
      must(status === 200 || !knownBefore, 'MAK-2 a known machine is not counted again', name);
      known.activatedAt = body.activatedAt;
    }
    const same = known.activationId === null || known.activationId === body.activationId;
    must(same, 'MAK-2 a machine hears the same activation id', name);
    known.activationId = body.activationId;
    known.promised += 1;
    must(machinesOn(items, key.keyId).includes(name), 'MAK-1 an acknowledged activation is there', name);
    return;
  }
  if (status === 409 && body.code === 'activation-limit-reached') {
    if (key.type === 'MAK') {
      must(!knownBefore, 'MAK-2 a known machine is never refused', name);
      life.afterwards.push(() => {
        const used = marksOf(items, key.keyId).length;
        must(used >= limitBefore, 'MAK-1 refused only when it is spent', `${key.keyId} ${used} of ${limitBefore}`);
      });
    }
    return;
  }
  const isLive = ownedIn<Key>(items, `KEY#${key.keyId} KEY`)?.state.status.is === 'live';
  must(status !== 403 || !isLive, 'BLK-1 only a blocked key is called blocked', key.keyId);
}

function activateBatch(life: Life, key: Key, dice: Dice, size: number, first = -1): Operation {
  const lines = Array.from({ length: size }, (_, index) =>
    first >= 0 ? machine(numberOf(key.agreementId), first + index) : someMachine(life, key, dice),
  );
  const activations = lines.map((installationId) => ({ installationId, product: productOf(key) }));
  const what = `activate a batch of ${size} on ${key.type} ${key.lastFive}`;
  return {
    what,
    run: async () => {
      const names = lines.map((each) => (key.type === 'MAK' ? markNameOf(each) : each));
      const before = names.map((name) => machineOf(life.model, key.keyId, name).promised > 0);
      for (const name of names) machineOf(life.model, key.keyId, name).asked += 1;
      const limit = limitNow(life, key.keyId);
      const productKey = secretOf(life, key.keyId);
      const answer = await life.world.ask({ route: 'POST /activations/batch', body: { productKey, activations } });
      life.world.wire.told.push(`  ${what}: ${answer === 'killed' ? answer : answer.status}`);
      if (answer === 'killed' || answer.status !== 200) return;
      for (const [index, name] of names.entries()) {
        const { status, activation, problem } = answer.body.results[index];
        heardOfActivation(life, key, name, status, activation ?? problem, limit, before[index] ?? false);
      }
    },
  };
}

function validate(life: Life, key: Key, dice: Dice): Operation {
  const installationId = someMachine(life, key, dice);
  const name = key.type === 'MAK' ? markNameOf(installationId) : installationId;
  const body = { productKey: secretOf(life, key.keyId), installationId };
  const promised = machineOf(life.model, key.keyId, name).promised > 0;
  return asking(life, `validate on ${key.lastFive}`, { route: 'POST /validations', body }, ({ genuine, reason }) => {
    const is = ownedIn<Key>(life.world.wire.items, `KEY#${key.keyId} KEY`)?.state.status.is;
    must(!promised || is !== 'live' || genuine, 'VAL-1 who has activated is genuine', `${name}: ${reason}`);
  });
}

function reportClients(life: Life, key: Key, dice: Dice): Operation {
  const body = {
    productKey: secretOf(life, key.keyId),
    installationId: someMachine(life, key, dice),
    clients: dice.below(500),
  };
  return asking(life, `report clients on ${key.lastFive}`, { route: 'POST /kms-hosts/client-reports', body });
}

// ---- The call centre

/** A call is known by its reference, without a key for the repetition too. */
function sameCall(life: Life, call: string, asked: Asking, deed: Deed): Operation {
  const what = `${call} (the same call)`;
  return { what, run: async () => void (await ask(life, what, asked, deed)) };
}

function override(life: Life, key: Key, dice: Dice, name: Name): Operation {
  const deed = deedOf(life.model, 'KEY', 'grant', name);
  const body = { installationId: someMachine(life, key, dice), callReference: name, callerName: 'Inés' };
  const asked = { route: 'POST /keys/{keyId}/overrides', params: { keyId: key.keyId }, body, caller: agent };
  const operation = asking(life, `override on ${key.lastFive} ${name}`, { ...asked, idempotencyKey: name }, () => {
    deed.promised = true;
  });
  life.again.push(sameCall(life, operation.what, asked, deed));
  return operation;
}

function increase(life: Life, key: Key, dice: Dice, name: Name): Operation {
  const limit = limitIn(key.grants);
  const most = 2 * (key.grants[0]?.amount ?? 0);
  const newLimit = dice.chance(0.15) ? most + 1 : limit + 1 + dice.below(Math.max(1, Math.min(20, most - limit)));
  const deed = deedOf(life.model, 'KEY', 'grant', name);
  const body = { newLimit, callReference: name, callerName: 'Inés' };
  const asked = { route: 'POST /keys/{keyId}/increases', params: { keyId: key.keyId }, body, caller: agent };
  const operation = asking(
    life,
    `increase ${key.lastFive} to ${newLimit} ${name}`,
    { ...asked, idempotencyKey: name },
    () => {
      deed.promised = true;
    },
  );
  life.again.push(sameCall(life, operation.what, asked, deed));
  return operation;
}

// ---- Requests

function request(life: Life, key: Key, dice: Dice, name: Name): Operation {
  const limit = limitIn(key.grants);
  const headroom = 2 * (key.grants[0]?.amount ?? 0) - limit;
  const large = dice.chance(0.15);
  const wanted =
    key.type === 'MAK' ? (large ? 1_001 : Math.max(1, headroom + 1 + dice.below(30))) : large ? 21 : 6 + dice.below(5);
  const foreign = dice.chance(0.1);
  const wrong = dice.chance(0.1);
  const body = {
    kind: key.type === 'MAK' ? 'MAKADD' : 'KMSADD',
    organizationName: 'Alder',
    agreementNumber: key.agreementId,
    requester: ines(key.agreementId),
    product: productOf(key),
    keyLastFive: key.lastFive,
    activationsRequested: wanted,
    businessReason: `Two new schools ${name}`,
    requiredDate: '2099-01-04',
    ...(foreign ? { language: 'de' } : {}),
    ...(wrong ? { noticesCorrespondent: { name: 'Mallory', email: 'mallory@birch.example', phone } } : {}),
  };
  const deed = deedOf(life.model, 'EXCEPTION', 'entry', name);
  let id: string | undefined;
  const caller = dice.chance(0.8) ? customer(ines(key.agreementId)) : agent;
  return asking(
    life,
    `${body.kind} for ${wanted} on ${key.lastFive} ${name}`,
    { route: 'POST /exceptions', body, caller, idempotencyKey: name },
    ({ exceptionId }) => {
      deed.promised = true;
      must(id === undefined || id === exceptionId, 'EXC-5 one request has one id', `${id} and ${exceptionId}`);
      id = exceptionId;
      life.model.requests.add(exceptionId);
    },
  );
}

function move(
  life: Life,
  { exceptionId, activations, agreementId }: ExceptionRequest,
  dice: Dice,
  name: Name,
  kind: string,
): Operation {
  const less = dice.chance(0.5) ? { activations: Math.max(1, activations - dice.below(5)) } : {};
  const [path, body, caller] = (
    {
      question: ['questions', { text: `Which schools? ${name}` }, team],
      answer: ['answers', { text: `Elm and Fir ${name}` }, customer(ines(agreementId))],
      forward: ['review', { decision: 'forward', ...less }, team],
      reject: ['review', { decision: 'reject', reason: `Too many ${name}` }, team],
      withdraw: ['withdrawal', { reason: `No longer ${name}` }, customer(ines(agreementId))],
    } as const
  )[kind as 'question'];
  const deed = kind === 'forward' ? undefined : deedOf(life.model, 'EXCEPTION', 'entry', name);
  const route = `POST /exceptions/{exceptionId}/${path}`;
  return asking(
    life,
    `${kind} ${exceptionId} ${name}`,
    { route, params: { exceptionId }, body, caller, idempotencyKey: name },
    () => {
      if (deed !== undefined) deed.promised = true;
    },
  );
}

// ---- The Notices Correspondent

const linksSeen = new WeakMap<Mail, { readonly link: Link | undefined }>();

/** The link in a mail, if it carries one. */
function linkIn(mail: Mail): Link | undefined {
  const seen = linksSeen.get(mail) ?? { link: readLink(mail) };
  linksSeen.set(mail, seen);
  return seen.link;
}

function readLink({ text, to, tags }: Mail): Link | undefined {
  const token = /https?:\/\/[^/\s]+\/approvals\/([\w-]+)/.exec(text)?.[1];
  const code = /\b(\d{6})\b/.exec(text.replaceAll(/\S*\/\S*/g, ''))?.[1];
  const { exception, ask } = tags;
  if (token === undefined || code === undefined || exception === undefined || ask === undefined) return undefined;
  return { token, code, to, exceptionId: exception, askNumber: Number(ask) };
}

function links(life: Life, exceptionId: string): readonly Link[] {
  return life.world.wire.mails
    .filter(({ tags }) => tags.exception === exceptionId)
    .flatMap((mail) => linkIn(mail) ?? []);
}

function decide(
  life: Life,
  link: Link,
  dice: Dice,
  name: Name,
  decision: 'approve' | 'deny' = dice.chance(0.8) ? 'approve' : 'deny',
): Operation {
  const wrong = dice.chance(0.12);
  const code = wrong ? String((Number(link.code) + 1) % 1_000_000).padStart(6, '0') : link.code;
  const asked = askName(link.exceptionId, link.askNumber);
  const deed = deedOf(life.model, 'EXCEPTION', 'entry', name);
  const what = `${decision} ${asked} as ${link.to}${wrong ? ' with a wrong code' : ''} ${name}`;
  const form = { code, decision, comment: `Yes ${name}` };
  const operation = asking(
    life,
    what,
    { route: 'POST /approvals/{token}', params: { token: link.token }, form },
    () => {
      must(!wrong, 'APR-2 a wrong code decides nothing', asked);
      deed.promised = true;
    },
    false,
  );
  return {
    what,
    run: async () => {
      if (!wrong && decision === 'approve') {
        const people = life.model.approving.get(asked) ?? new Set();
        life.model.approving.set(asked, people.add(link.to));
      }
      await operation.run();
    },
  };
}

function openLink(life: Life, link: Link): Operation {
  return asking(life, 'open a link', { route: 'GET /approvals/{token}', params: { token: link.token } });
}

function dispute(life: Life, mail: Mail): Operation {
  const token = /\/disputes\/([\w-]+)/.exec(mail.text)?.[1] ?? 'none';
  return asking(life, `dispute ${mail.tags.exception}`, { route: 'POST /disputes/{token}', params: { token } });
}

// ---- Agreements

function newCorrespondent(life: Life, { agreementId }: Agreement, name: Name): Operation {
  const short = name.replaceAll('#', '');
  const body = { name: `Carla ${name}`, email: `carla-${short}@${agreementId.toLowerCase()}.example`, phone };
  const deed = deedOf(life.model, 'AGREEMENT', 'entry', name);
  const route = 'PUT /agreements/{agreementId}/notices-correspondent';
  return asking(
    life,
    `new Correspondent of ${agreementId}`,
    { route, params: { agreementId }, body, caller: admin },
    () => {
      deed.promised = true;
    },
  );
}

function newContacts(life: Life, { agreementId }: Agreement, name: Name): Operation {
  const extra = { name: `Tom ${name}`, email: `tom-${name.replaceAll('#', '')}@alder.example`, phone };
  const deed = deedOf(life.model, 'AGREEMENT', 'entry', name);
  const route = 'PUT /agreements/{agreementId}/contacts';
  const body = { contacts: [ines(agreementId), extra] };
  return asking(life, `new contacts of ${agreementId}`, { route, params: { agreementId }, body, caller: admin }, () => {
    deed.promised = true;
  });
}

function nameDeputy(life: Life, agreement: Agreement, name: Name): Operation {
  const { agreementId } = agreement;
  const today = life.world.now().slice(0, 10);
  const until = new Date(life.world.clock.milliseconds + 5 * 86_400_000).toISOString().slice(0, 10);
  const person = { name: `Dana ${name}`, email: `dana@${agreementId.toLowerCase()}.example`, phone };
  const deed = deedOf(life.model, 'AGREEMENT', 'entry', name);
  return asking(
    life,
    `a deputy in ${agreementId}`,
    {
      route: 'PUT /agreements/{agreementId}/deputy',
      params: { agreementId },
      body: { person, from: today, to: until },
      caller: customer(agreement.noticesCorrespondent),
    },
    () => {
      deed.promised = true;
    },
  );
}

// ---- What runs by itself

export function sweep(life: Life): Operation {
  return {
    what: 'sweep',
    run: async () => {
      const swept = await life.world.sweep();
      life.world.wire.told.push(`  sweep: ${typeof swept === 'string' ? swept : 'done'}`);
    },
  };
}

export function deliver(life: Life, dice: Dice): Operation {
  return {
    what: 'deliver changes',
    run: async () => {
      const some = life.stream.slice(0, 1 + dice.below(40));
      if (some.length === 0) return;
      const twice = life.world.wire.conditions.weather.is !== 'calm' && dice.chance(0.15);
      const seen = await life.world.deliver(some);
      if (twice) life.world.wire.tally('stream-doubled');
      if (!seen || twice) return;
      for (const each of some) {
        const index = life.stream.indexOf(each);
        if (index >= 0) life.stream.splice(index, 1);
      }
    },
  };
}

/** SES reports of a mail that it took long ago. */
function bounce(life: Life, dice: Dice): Operation {
  const mail = dice.of(life.world.wire.mails.slice(-40));
  const tags = Object.fromEntries(Object.entries(mail.tags).map(([name, value]) => [name, [value]]));
  const bounceType = dice.chance(0.6) ? 'Permanent' : 'Transient';
  const detail = {
    eventType: 'Bounce',
    bounce: { bounceType, bounceSubType: 'General' },
    mail: { messageId: mail.messageId, tags },
  };
  return {
    what: `a ${bounceType} bounce of ${mail.tags.letter ?? 'a notice'}`,
    run: async () => {
      life.world.wire.tally('mail-bounced-late');
      await life.world.tellOfMail({ detail });
    },
  };
}

function loseExecution(life: Life, name: string): Operation {
  return {
    what: `lose the execution ${name}`,
    run: async () => {
      life.world.wire.tally('execution-lost');
      await life.world.loseExecution(name);
    },
  };
}

// ---- What happens next

type Scene = {
  readonly keys: readonly Key[];
  readonly live: readonly Key[];
  readonly requests: readonly ExceptionRequest[];
  readonly open: readonly ExceptionRequest[];
  readonly agreements: readonly Agreement[];
};

export function sceneOf({ world: { wire } }: Life): Scene {
  const keys = statesIn<Key>(wire.items, 'KEY').map(({ state }) => state);
  const requests = statesIn<ExceptionRequest>(wire.items, 'EXCEPTION').map(({ state }) => state);
  return {
    keys,
    live: keys.filter(({ status }) => status.is === 'live'),
    requests,
    open: requests.filter(({ stage }) => !isFinal(stage.is)),
    agreements: statesIn<Agreement>(wire.items, 'AGREEMENT')
      .filter(({ item }) => 'head' in item)
      .map(({ state }) => state),
  };
}

const mostAgreements = 5;

/** What a few do at once. Names are unique, so that what came of each can be told. */
export function drawGroup(life: Life, dice: Dice, group: number): readonly Operation[] {
  const scene = sceneOf(life);
  const name = (index: number) => `#${group}-${index}#`;
  if (scene.agreements.length === 0 || (scene.agreements.length < mostAgreements && dice.chance(0.04))) {
    return [register(life, name(0))];
  }
  const crowd = dice.chance(0.08) ? crowdAtOne(life, scene, dice, name) : [];
  if (crowd.length > 0) return crowd;
  const worst = dice.chance(0.3) ? worstMoment(life, scene, dice, name) : [];
  if (worst.length > 0) return worst;
  // What a key is issued for is waiting for it.
  const rush = scene.live
    .filter(({ type, keyId }) => type === 'MAK' && !life.model.machines.has(keyId) && dice.chance(0.8))
    .map((key) => activateBatch(life, key, dice, 2 + dice.below(20)));
  if (rush.length > 0) return rush;
  const size = 2 + dice.below(3);
  const drawn = Array.from({ length: size }, (_, index) => drawOne(life, scene, dice, name(index)));
  const operations = drawn.flatMap((operation) => operation ?? []);
  const hasSweep = operations.some(({ what }) => what === 'sweep');
  if (hasSweep && dice.chance(0.35)) {
    life.world.wire.tally('sweep-twice');
    operations.push(sweep(life));
  }
  return operations;
}

function drawOne(life: Life, scene: Scene, dice: Dice, name: Name): Operation | undefined {
  const { live, keys, requests, open, agreements } = scene;
  const maks = live.filter(({ type }) => type === 'MAK');
  const kms = live.filter(({ type }) => type === 'KMS');
  const one =
    <Each>(some: readonly Each[], act: (each: Each) => Operation | undefined) =>
    () =>
      some.length === 0 ? undefined : act(dice.of(some));
  const fresh = open.flatMap(({ exceptionId }) => links(life, exceptionId).slice(-2));
  const old = life.world.wire.mails.slice(-200).flatMap((mail) => linkIn(mail) ?? []);
  const disputable = life.world.wire.mails.filter(({ text }) => text.includes('/disputes/')).slice(-10);
  const inStage = (...stages: readonly string[]) => open.filter(({ stage }) => stages.includes(stage.is));
  const running = life.world.workflows.executions().filter(({ status }) => status === 'RUNNING');
  const draw = dice.weighed<() => Operation | undefined>([
    [22, one(maks, (key) => activate(life, key, dice))],
    [4, one(maks, (key) => activateBatch(life, key, dice, 2 + dice.below(20)))],
    [7, one(kms, (key) => activate(life, key, dice))],
    [1, one(kms, (key) => activateBatch(life, key, dice, 2 + dice.below(3)))],
    [3, one(keys, (key) => activate(life, key, dice))],
    [2, one(keys, (key) => validate(life, key, dice))],
    [1, one(kms, (key) => reportClients(life, key, dice))],
    [4, one(agreements, (agreement) => issueMak(life, agreement, dice, name))],
    [1, one(live, (key) => replace(life, key, name))],
    [1, one(live, (key) => reveal(life, key, name))],
    [3, () => look(life, dice, keys, requests)],
    [4, one(kms, (key) => override(life, key, dice, name))],
    [4, one(maks, (key) => increase(life, key, dice, name))],
    [6, one(live, (key) => request(life, key, dice, name))],
    [3, one(inStage('received', 'in-review', 'awaiting-approval'), (each) => move(life, each, dice, name, 'question'))],
    [4, one(inStage('awaiting-requester'), (each) => move(life, each, dice, name, 'answer'))],
    [5, one(inStage('in-review', 'awaiting-approval'), (each) => move(life, each, dice, name, 'forward'))],
    [1, one(open, (each) => move(life, each, dice, name, 'reject'))],
    [1, one(open, (each) => move(life, each, dice, name, 'withdraw'))],
    [
      1,
      one(requests, (each) =>
        move(life, each, dice, name, dice.of(['question', 'answer', 'forward', 'reject', 'withdraw'])),
      ),
    ],
    [8, one(fresh, (link) => decide(life, link, dice, name))],
    [2, one(old, (link) => decide(life, link, dice, name))],
    [1, one(old, (link) => openLink(life, link))],
    [1, one(disputable, (mail) => dispute(life, mail))],
    [1.5, one(agreements, (agreement) => newCorrespondent(life, agreement, name))],
    [1, one(agreements, (agreement) => newContacts(life, agreement, name))],
    [1, one(agreements, (agreement) => nameDeputy(life, agreement, name))],
    [8, () => sweep(life)],
    [6, () => deliver(life, dice)],
    [2, () => (life.world.wire.mails.length === 0 ? undefined : bounce(life, dice))],
    [1.5, one(running, (execution) => loseExecution(life, execution.name))],
    [7, one(life.again, (operation) => operation)],
  ]);
  return draw();
}

/** Several who want the same at once: the last places of a MAK, or to be the one open request for a key. */
function crowdAtOne(life: Life, scene: Scene, dice: Dice, name: (index: number) => Name): readonly Operation[] {
  if (scene.live.length === 0) return [];
  if (dice.chance(0.3)) {
    const key = dice.of(scene.live);
    return [request(life, key, dice, name(0)), request(life, key, dice, name(1))];
  }
  const { items } = life.world.wire;
  const left = (key: Key) => limitIn(key.grants) - marksOf(items, key.keyId).length;
  const maks = scene.live
    .filter((key) => key.type === 'MAK' && left(key) > 0)
    .toSorted((one, other) => left(one) - left(other));
  const [key] = dice.chance(0.7) ? maks : maks.toReversed();
  if (key === undefined) return [];
  const first = 100_000 + dice.below(800_000);
  const fresh = (index: number) => machine(numberOf(key.agreementId), first + index);
  const some = Array.from({ length: 3 }, (_, index) => activate(life, key, dice, fresh(index)));
  return [...some, activateBatch(life, key, dice, 1 + dice.below(Math.min(60, left(key))), first + 10)];
}

/** Two or three that must not meet, meeting. */
function worstMoment(life: Life, scene: Scene, dice: Dice, name: (index: number) => Name): readonly Operation[] {
  const { wire, clock } = life.world;
  const asked = scene.open.flatMap((request) => {
    const link = links(life, request.exceptionId).at(-1);
    return request.stage.is === 'awaiting-approval' && link !== undefined ? [{ request, link }] : [];
  });
  const waiting = scene.agreements.filter(({ pendingNoticesCorrespondent }) => pendingNoticesCorrespondent !== null);
  const changing = asked.filter(({ request }) =>
    waiting.some(({ agreementId }) => agreementId === request.agreementId),
  );
  const drawn = dice.of(['key-replaced', 'correspondent-changed', 'request-withdrawn', 'key-replaced-in-use'] as const);
  // A change that waits is not there for long.
  const kind = changing.length > 0 && dice.chance(0.7) ? 'correspondent-changed' : drawn;
  if (kind === 'key-replaced-in-use') {
    const key = scene.live.length === 0 ? undefined : dice.of(scene.live);
    if (key === undefined || dice.chance(0.6)) return [];
    wire.tally('key-replaced');
    const raise = key.type === 'MAK' ? increase(life, key, dice, name(2)) : override(life, key, dice, name(2));
    return [replace(life, key, name(0)), activate(life, key, dice), raise, request(life, key, dice, name(3))];
  }
  if (asked.length === 0) return [];
  const { request: open, link } = dice.of(kind === 'correspondent-changed' && changing.length > 0 ? changing : asked);
  const key = scene.keys.find(({ keyId }) => keyId === open.keyId);
  const approve = decide(life, link, dice, name(0), 'approve');
  if (kind === 'key-replaced' && key !== undefined) {
    wire.tally(kind);
    return [approve, replace(life, key, name(1)), sweep(life)];
  }
  if (kind === 'request-withdrawn') {
    wire.tally(kind);
    return [approve, move(life, open, dice, name(1), dice.chance(0.7) ? 'withdraw' : 'reject')];
  }
  const agreement = scene.agreements.find(({ agreementId }) => agreementId === open.agreementId);
  if (kind !== 'correspondent-changed' || agreement === undefined) return [];
  const pending = agreement.pendingNoticesCorrespondent;
  if (pending === null) return [approve, newCorrespondent(life, agreement, name(1))];
  wire.tally(kind);
  // Within seconds of the moment at which the other takes over.
  clock.milliseconds = Math.max(clock.milliseconds, Date.parse(pending.effectiveAt) - dice.below(3_000) + 1_000);
  return [approve, sweep(life), move(life, open, dice, name(1), 'forward')];
}

// ---- When all is calm

/** Fills a MAK to its limit: the last place can always be used, and not one more (MAK-1). */
export function fill(life: Life, key: Key, dice: Dice): Operation | undefined {
  const { items } = life.world.wire;
  const limit = limitIn(key.grants);
  const left = limit - marksOf(items, key.keyId).length;
  if (left > 160) return undefined;
  return {
    what: `fill ${key.lastFive} with ${left} more`,
    run: async () => {
      const first = 2_000 + dice.below(80_000);
      // The last of them and one too many come one by one: a batch finds its places in another way.
      const together = Math.max(0, left - 5);
      for (let done = 0; done < together; done += 90) {
        await activateBatch(life, key, dice, Math.min(90, together - done), first + done).run();
      }
      for (let done = together; done < left + 1; done += 1) {
        await activate(life, key, dice, machine(numberOf(key.agreementId), first + done)).run();
      }
      const used = marksOf(items, key.keyId).length;
      must(used === limit, 'MAK-1 the last place can be used', `${key.keyId} ${used} of ${limit}`);
    },
  };
}

/** The team decides what nobody else will. */
export function settle(life: Life, dice: Dice, name: Name): readonly Operation[] {
  return sceneOf(life)
    .open.filter(({ stage }) => stage.is === 'in-review')
    .map((request, index) => move(life, request, dice, `${name}${index}#`, 'forward'));
}
