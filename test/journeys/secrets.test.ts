import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { installationId, policy } from '../builders.ts';
import { aMail } from '../fixtures/mails.ts';
import type { Mail } from './contract.ts';
import {
  exceptionSchema,
  expectProblem,
  expectStatus,
  keySchema,
  mailsSchema,
  makSchema,
  revealedSchema,
} from './contract.ts';
import type { Customer, Staff } from './customer.ts';
import {
  activate,
  activateAll,
  anotherCode,
  decide,
  issueMak,
  kmsRequestFormOf,
  newCustomer,
  newestLink,
  requestFormOf,
  signInStaff,
  submitRequest,
} from './customer.ts';
import type { Finding, SearchSource, SearchTarget } from './secret-search.ts';
import { findSecrets } from './secret-search.ts';
import type { SignedInUser, System } from './system.ts';
import { openStore, sortedItems, startSystem } from './system.ts';

/** A system that has lived through a story: all that was secret in it, and all that it said, kept and printed. */
type RunEvidence = {
  readonly secrets: readonly SearchTarget[];
  readonly places: readonly SearchSource[];
  readonly correspondent: string;
};

/** Follows a system, and knows what is secret in it without asking what it said of it. */
class Witness {
  readonly #folder: string;
  readonly #secrets = new Map<string, SearchTarget>();
  readonly #answers: SearchSource[] = [];
  #system: System | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async start(environment: Readonly<Record<string, string>> = {}): Promise<System> {
    this.#system = await startSystem({
      folder: this.#folder,
      environment: { POWERTOOLS_LOG_LEVEL: 'DEBUG', ...environment },
      onResponse: (method, path, { status, headers, text }) => {
        // What the local system answers under this path is its mail box and its sign-in, which are looked at by themselves.
        if (path.startsWith('/_local/') && !path.startsWith('/_local/workflows/')) return;
        const at = path.replace(/[\w-]{43}/, '{token}');
        this.#answers.push({
          name: `answer ${status} to ${method} ${at}`,
          text: JSON.stringify({ headers: [...headers], text }),
        });
      },
    });
    return this.#system;
  }

  keep(name: string, is: SearchTarget['kind'], value: string): void {
    this.#secrets.set(value, { name, kind: is, value });
  }

  /** Notes the task tokens that requests are waiting with just now: each is in its request's item only while it waits. */
  async noteTaskTokens(): Promise<void> {
    for (const { internal } of await sortedItems(await openStore(this.#running()))) {
      const { taskToken } = (internal ?? {}) as { readonly taskToken?: unknown };
      if (typeof taskToken === 'string') this.keep('task token', 'token', taskToken);
    }
  }

  #running(): System {
    if (this.#system === undefined) throw new Error('The system was not started.');
    return this.#system;
  }

  async mails(): Promise<readonly Mail[]> {
    return mailsSchema.parse((await this.#running().send({ method: 'GET', path: '/_local/mail' })).body).items;
  }

  /** Stops the system, and collects everything. */
  async collect(people: readonly SignedInUser[], correspondent: string): Promise<RunEvidence> {
    const system = this.#running();
    const mails = await this.mails();
    for (const { text, html } of mails) {
      for (const [, kind = '', token = ''] of `${text}${html}`.matchAll(/\/(approvals|disputes)\/([\w-]{43})/g))
        this.keep(`${kind} token`, 'token', token);
      for (const [, code = ''] of `${text}`.matchAll(/^Code: (\d+)$/gm)) this.keep('code', 'code', code);
    }
    for (const { token } of people) this.keep('bearer token', 'token', token);
    this.keep('vault secret', 'token', (await readFile(join(this.#folder, 'vault-secret'), 'utf8')).trim());
    const items = await sortedItems(await openStore(system));
    await system.stop();
    const files = (await readdir(this.#folder, { recursive: true, withFileTypes: true })).filter((each) =>
      each.isFile(),
    );
    const places = [
      { name: 'log', text: system.output() },
      ...this.#answers,
      ...mails.map((mail) => ({ name: `mail to ${mail.to}: ${mail.subject}`, text: JSON.stringify(mail) })),
      ...items.map((item) => ({
        name: `item ${item.SK === 'EXCEPTION' ? 'of a request' : `${item.PK} ${item.SK}`}`,
        text: JSON.stringify(item),
      })),
      ...(await Promise.all(
        files.map(async ({ parentPath, name }) => ({
          name: `file ${name}`,
          text: (await readFile(join(parentPath, name))).toString('latin1'),
        })),
      )),
    ];
    return { secrets: [...this.#secrets.values()], places, correspondent };
  }
}

/** Where a secret may be in the clear, and nowhere else. */
function isWhereItBelongs({ target, source }: Finding, { correspondent }: RunEvidence): boolean {
  const isIn = (...names: readonly string[]) => names.some((name) => source.name.startsWith(name));
  switch (target.name.replace(/ of .*/, '')) {
    case 'product key':
      // Shown on the explicit request for this very key, and on its repetition (KEY-6).
      return source.name === `answer 200 to POST /keys/${target.name.replace('product key of ', '')}/reveal`;
    case 'approvals token':
    case 'disputes token':
    case 'code':
      // In the Correspondent's own mail (APR-1), which the local mail box keeps; and a link's page leads to itself.
      return (
        isIn(`mail to ${correspondent}: `, 'file mails') ||
        (target.name === 'approvals token' && /^answer \d+ to (GET|POST) \/approvals\/\{token\}/.test(source.name))
      );
    case 'task token':
      // In the request's item, and thereby in the database's own file.
      return isIn('item of a request', 'file dynamodb');
    case 'vault secret':
      return isIn('file vault-secret');
    default:
      return false;
  }
}

const named = ({ target, source }: Finding) => `${target.name} in ${source.name}`;

/** The secrets that are where they must not be. */
function leaksOf(lived: RunEvidence): readonly string[] {
  return findSecrets(lived.secrets, lived.places)
    .filter((finding) => !isWhereItBelongs(finding, lived))
    .map(named);
}

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'secrets-'));
  folders.push(folder);
  return folder;
}

async function arrive(system: System, raw: Buffer, verdict = 'pass'): Promise<void> {
  const path = `/_local/inbound-mail?verdict=${verdict}`;
  const answer = await system.send({ method: 'POST', path, body: raw, headers: { 'Content-Type': 'message/rfc822' } });
  expect(answer.status, answer.text).toBe(202);
  await system.settle();
}

/** A request by mail, of Inés's, with what the test puts into its fields. */
function mailOf(customer: Customer, lastFive: string, number: number, more = ''): Buffer {
  const [requester] = customer.registration.contacts;
  const lines = [
    `From: Ines <${requester.email}>`,
    'To: exceptions@volume-activation.example',
    'Subject: MAKADD',
    `Message-ID: <${number}@mail.example>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
  ];
  const fields = {
    'Organization name': customer.registration.organization.name,
    'Agreement number': customer.agreementId,
    'Requester’s name': requester.name,
    'Requester’s phone number': requester.phone,
    'Requester’s email address': requester.email,
    Product: 'Windows Vista Business',
    'Last five digits of product key': lastFive,
    'Number of activations requested': '150',
    'Business reason for request': 'Two new schools open in autumn.',
    'Required date': '4 January 2099',
  };
  const text = Object.entries(fields).map(([label, value]) => `${label}: ${value}`);
  return aMail(lines, `${text.join('\r\n')}\r\n\r\n${more}\r\n`);
}

/** Reveals a key, twice with the same Idempotency-Key, and notes it. */
async function revealed(witness: Witness, { ines }: Customer, keyId: string): Promise<string> {
  const ask = () => ines.post(`/keys/${keyId}/reveal`, {}, { 'Idempotency-Key': `reveal ${keyId}` });
  const { productKey } = expectStatus(await ask(), 200, revealedSchema);
  expect(expectStatus(await ask(), 200, revealedSchema).productKey).toBe(productKey);
  witness.keep(`product key of ${keyId}`, 'product-key', productKey);
  return productKey;
}

describe('a system that has done one of everything', () => {
  let lived: RunEvidence;

  beforeAll(async () => {
    const witness = new Witness(await newFolder());
    const system = await witness.start();
    const staff: Staff = await signInStaff(system);
    const customer = await newCustomer(system, staff);
    const { ines, jorge, noor, kmsKey } = customer;
    const mak = await issueMak(customer);
    const makKey = await revealed(witness, customer, mak.keyId);
    const hostKey = await revealed(witness, customer, kmsKey.keyId);

    // Machines, in every way in which they can be answered.
    await activateAll(system, makKey, 1, mak.limit);
    for (const typed of [makKey, makKey.toLowerCase(), makKey.replaceAll('-', '')]) {
      await activate(system, typed, 1);
      expectProblem(await activate(system, typed, 999), 409, 'activation-limit-reached');
      expectProblem(await activate(system, typed, 3, 'windows-server-2008-standard'), 422, 'product-not-covered');
    }
    const device = (path: string, body: unknown) => system.send({ method: 'POST', path, body });
    expectProblem(
      await activate(system, `${makKey.slice(0, -1)}${makKey.endsWith('B') ? 'C' : 'B'}`, 5),
      404,
      'unknown-key',
    );
    await device('/activations', { productKey: makKey, installationId: '1', product: 'windows-vista-business' });
    await device('/activations', { productKey: makKey, installationId: installationId(1), product: 'no-such' });
    await device('/activations', { productKey: [makKey], installationId: installationId(1) });
    await device('/activations', `{ "productKey": "${makKey}", `);
    await device('/activations/batch', {
      productKey: makKey,
      activations: [1, 998].map((machine) => ({
        installationId: installationId(machine),
        product: 'windows-vista-business',
      })),
    });
    for (let host = 1; host <= 7; host += 1) await activate(system, hostKey, host, 'windows-server-2008-standard');
    await device('/kms-hosts/client-reports', { productKey: hostKey, installationId: installationId(1), clients: 40 });
    await device('/validations', { productKey: makKey, installationId: installationId(1) });
    // A whole key where none belongs: in an address, and as the name of a repetition.
    await ines.get(`/keys/${makKey}`);
    await ines.post(`/keys/${mak.keyId}/reveal`, {}, { 'Idempotency-Key': makKey });

    // The call centre.
    const call = (callReference: string) => ({ callReference, callerName: 'Inés Oliveira' });
    const { agent, team } = staff;
    await agent.post(`/keys/${kmsKey.keyId}/overrides`, { installationId: installationId(7), ...call('C-1') });
    expectProblem(
      await agent.post(`/keys/${kmsKey.keyId}/overrides`, { installationId: installationId(8), ...call('C-2') }),
      409,
      'override-used-today',
    );
    await agent.post(`/keys/${mak.keyId}/increases`, { newLimit: mak.limit * 2, ...call('C-3') });
    expectProblem(
      await agent.post(`/keys/${mak.keyId}/increases`, { newLimit: mak.limit * 3, ...call('C-4') }),
      409,
      'above-call-center-limit',
    );
    await agent.get(`/call-center/keys?agreementId=${customer.agreementId}&lastFive=${mak.lastFive}`);

    // A MAKADD: a question and its answer, reminders, wrong codes, an approval, and "this was not me".
    // A whole key is in all that people write, by mistake.
    const makadd = await submitRequest(
      system,
      customer,
      requestFormOf(customer, mak, { businessReason: `Our key ${makKey} is too small.` }),
    );
    await witness.noteTaskTokens();
    const question = { text: `Is it ${makKey.toLowerCase()}?` };
    expectStatus(await team.post(`/exceptions/${makadd.exceptionId}/questions`, question), 202, exceptionSchema);
    await system.settle();
    await witness.noteTaskTokens();
    expectStatus(
      await ines.post(`/exceptions/${makadd.exceptionId}/answers`, { text: `It is\n${makKey}` }),
      202,
      exceptionSchema,
    );
    await system.settle();
    await team.post(`/exceptions/${makadd.exceptionId}/review`, { decision: 'forward' });
    await system.advanceClock('P5D');
    await witness.noteTaskTokens();
    const first = await newestLink(system, customer);
    await system.send({ method: 'GET', path: first.path });
    for (let tries = 1; tries <= 5; tries += 1)
      await decide(system, { ...first, code: anotherCode(first.code) }, 'approve');
    await system.settle();
    const fresh = await newestLink(system, customer);
    expect(fresh.path).not.toBe(first.path);
    expect((await decide(system, fresh, 'approve', `Fine for ${makKey.replaceAll('-', ' ')}.`)).status).toBe(200);
    expect((await decide(system, fresh, 'deny')).status).toBe(409);
    await system.settle();
    const dispute = (await system.mailsTo(noor.email)).flatMap(
      ({ text }) => /\/disputes\/[\w-]+/.exec(text ?? '') ?? [],
    );
    for (const path of dispute.slice(0, 1)) {
      await system.send({ method: 'GET', path });
      await system.send({ method: 'POST', path, body: new URLSearchParams() });
    }
    expect(dispute).not.toEqual([]);

    // By mail, with a whole key by mistake: where its last five belong, below the fields, and from a sender that is not shown to be one.
    await arrive(system, mailOf(customer, makKey, 1));
    await arrive(system, mailOf(customer, mak.lastFive, 2, `The whole key is ${makKey}, if you need it.`), 'fail');
    await arrive(system, mailOf(customer, mak.lastFive, 3, `The whole key is ${makKey}, if you need it.`));
    await witness.noteTaskTokens();

    // A KMSADD that is open while its key is replaced; and the MAK is replaced, too.
    const kmsadd = await submitRequest(system, customer, kmsRequestFormOf(customer));
    await witness.noteTaskTokens();
    for (const [keyId, typed] of [
      [kmsKey.keyId, hostKey],
      [mak.keyId, makKey],
    ] as const) {
      const replaced = await ines.post(`/keys/${keyId}/replacements`, { reason: `${typed} leaked.` });
      const { issued } = expectStatus(replaced, 201, z.looseObject({ issued: keySchema }));
      const successor = await revealed(witness, customer, issued.keyId);
      expect(successor).not.toBe(typed);
      expectProblem(await activate(system, typed, 1), 403, 'key-blocked');
      await activate(system, successor, 1, keyId === mak.keyId ? undefined : 'windows-server-2008-standard');
      await device('/validations', { productKey: typed, installationId: installationId(2) });
    }
    await system.advanceClock('PT2M');
    const told = (await system.mailsTo(ines.email)).map(({ subject }) => subject);
    expect(told.filter((subject) => subject.includes(kmsadd.exceptionId))).toHaveLength(3);

    // All that there is to see.
    for (const person of [ines, jorge, agent, team]) {
      for (const keyId of [mak.keyId, kmsKey.keyId])
        for (const what of ['', '/activations', '/grants', '/history', '/forecast', '/allowances'])
          await person.get(`/keys/${keyId}${what}`);
      for (const { exceptionId } of [makadd, kmsadd]) {
        await person.get(`/exceptions/${exceptionId}`);
        await person.get(`/exceptions/${exceptionId}/history`);
        await system.workflow(exceptionId);
      }
      await person.get(`/agreements/${customer.agreementId}/keys`);
      await person.get('/exceptions');
    }
    expectStatus(await ines.get(`/keys/${mak.keyId}`), 200, makSchema);
    lived = await witness.collect([ines, jorge, noor, staff.admin, agent, team], noor.email);
  }, 120_000);

  it('KEY-6 APR-1 has no secret in the clear where it does not belong', () => {
    expect(leaksOf(lived)).toEqual([]);
  });

  it('KEY-6 APR-1 had all of them, and they are found where they do belong', () => {
    const kinds = lived.secrets.map(({ name }) => name.replace(/ of .*/, ''));
    const counted = Object.fromEntries(kinds.map((kind) => [kind, kinds.filter((each) => each === kind).length]));
    expect(counted).toMatchObject({ 'product key': 4, 'vault secret': 1, 'bearer token': 6 });
    expect(counted['disputes token']).toBe(1);
    for (const kind of ['approvals token', 'code', 'task token'])
      expect(counted[kind] ?? 0, kind).toBeGreaterThanOrEqual(4);
    const found = findSecrets(lived.secrets, lived.places).filter((finding) => isWhereItBelongs(finding, lived));
    const unfound = lived.secrets.filter(({ value }) => !found.some(({ target }) => target.value === value));
    // A token of a wait that is over is gone, and nobody keeps a bearer token.
    expect(unfound.filter(({ name }) => name !== 'bearer token' && name !== 'task token')).toEqual([]);
  });

  it('APR-1 mails every link in one mail alone', () => {
    for (const target of lived.secrets.filter(({ name }) => name.endsWith('s token'))) {
      const mails = lived.places.filter(({ name }) => name.startsWith('mail '));
      expect(findSecrets([target], mails)).toHaveLength(1);
    }
  });

  it('was looked through: its log at the level DEBUG, its mails, its table, its answers, and its files', () => {
    const count = (kind: string) => lived.places.filter(({ name }) => name.startsWith(`${kind} `)).length;
    expect(lived.places[0]?.text).toContain('"level":"INFO"');
    expect(count('answer')).toBeGreaterThan(150);
    expect(count('mail')).toBeGreaterThan(20);
    expect(count('item')).toBeGreaterThan(50);
    expect(lived.places.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['file vault-secret', 'file executions.jsonl', 'file sign-in-key.json']),
    );
  });

  it.each(['product key', 'approvals token', 'code', 'task token', 'bearer token', 'vault secret'])(
    'KEY-6 APR-1 would be told of a %s that is planted anywhere',
    (kind) => {
      const planted = lived.secrets.find(({ name }) => name.startsWith(kind));
      const places = ['log', 'item AGREEMENT#E-1 AGREEMENT', 'mail to ines@x.example: Hello', 'file executions.jsonl'];
      for (const name of places) {
        const source = { name, text: `{"reason":"It is ${planted?.value ?? ''}, by mistake"}` };
        expect(leaksOf({ ...lived, places: [source] })).toEqual([`${planted?.name} in ${name}`]);
      }
    },
  );
});

describe('a system in strict mode', () => {
  let lived: RunEvidence;
  let mails: readonly Mail[];

  beforeAll(async () => {
    const folder = await newFolder();
    const file = join(await newFolder(), 'policy.json');
    await writeFile(file, JSON.stringify({ ...policy, approval: { ...policy.approval, strict: 'always' } }));
    const witness = new Witness(folder);
    const system = await witness.start({ POLICY_FILE: file });
    const staff = await signInStaff(system);
    const customer = await newCustomer(system, staff);
    const { ines, jorge, noor } = customer;
    const mak = await issueMak(customer);
    await revealed(witness, customer, mak.keyId);
    await revealed(witness, customer, customer.kmsKey.keyId);
    const { exceptionId } = await submitRequest(system, customer, requestFormOf(customer, mak));
    await witness.noteTaskTokens();
    const wanted = (await system.mailsTo(noor.email)).at(-1);
    const [path = ''] = /\/approvals\/[\w-]{43}/.exec(wanted?.text ?? '') ?? [];
    expect((await system.send({ method: 'GET', path })).status).toBe(200);
    expect((await system.send({ method: 'POST', path: `${path}/codes`, body: new URLSearchParams() })).status).toBe(
      202,
    );
    const sent = (await system.mailsTo(noor.email)).at(-1);
    const [code = ''] = /(?<=^Code: )\d{8}$/m.exec(sent?.text ?? '') ?? [];
    const wrong = String((Number(code) + 1) % 100_000_000).padStart(8, '0');
    expect((await decide(system, { path, code: wrong }, 'approve')).status).toBe(422);
    expect((await decide(system, { path, code }, 'approve')).status).toBe(200);
    await system.settle();
    await ines.get(`/exceptions/${exceptionId}/history`);
    await system.workflow(exceptionId);
    mails = await witness.mails();
    lived = await witness.collect([ines, jorge, noor, staff.admin, staff.agent, staff.team], noor.email);
  }, 120_000);

  it('KEY-6 APR-1 APR-7 has no secret in the clear where it does not belong', () => {
    expect(leaksOf(lived)).toEqual([]);
  });

  it('APR-7 mails the link without a code, and the code without the link', () => {
    const [code, ...more] = lived.secrets.filter(({ kind: is }) => is === 'code');
    expect(more).toEqual([]);
    expect(code?.value).toMatch(/^\d{8}$/);
    const links = lived.secrets.filter(({ name }) => name === 'approvals token');
    expect(links).toHaveLength(1);
    for (const mail of mails) {
      const found = findSecrets(
        [...links, ...(code === undefined ? [] : [code])],
        [{ name: mail.subject, text: JSON.stringify(mail) }],
      );
      expect(found.length).toBeLessThanOrEqual(1);
    }
  });
});
