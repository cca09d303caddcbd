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

/** The secrets of a system after a run, and all its responses, stored data, and output. */
type RunEvidence = {
  readonly secrets: readonly SearchTarget[];
  readonly sources: readonly SearchSource[];
  readonly correspondent: string;
};

/** Collects the secrets and the output of a system. */
class EvidenceCollector {
  readonly #folder: string;
  readonly #secrets = new Map<string, SearchTarget>();
  readonly #responses: SearchSource[] = [];
  #system: System | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async start(environment: Readonly<Record<string, string>> = {}): Promise<System> {
    this.#system = await startSystem({
      folder: this.#folder,
      environment: { POWERTOOLS_LOG_LEVEL: 'DEBUG', ...environment },
      onResponse: (method, path, { status, headers, text }) => {
        // The local routes return emails and tokens, which the search covers separately.
        if (path.startsWith('/_local/') && !path.startsWith('/_local/workflows/')) return;
        const at = path.replace(/[\w-]{43}/, '{token}');
        this.#responses.push({
          name: `response ${status} to ${method} ${at}`,
          text: JSON.stringify({ headers: [...headers], text }),
        });
      },
    });
    return this.#system;
  }

  addSecret(name: string, kind: SearchTarget['kind'], value: string): void {
    this.#secrets.set(value, { name, kind, value });
  }

  /** Adds the current task tokens. Each is in the item of its request only while the workflow waits. */
  async addTaskTokens(): Promise<void> {
    for (const { internal } of await sortedItems(await openStore(this.#running()))) {
      const { taskToken } = (internal ?? {}) as { readonly taskToken?: unknown };
      if (typeof taskToken === 'string') this.addSecret('task token', 'token', taskToken);
    }
  }

  #running(): System {
    if (this.#system === undefined) throw new Error('The system was not started.');
    return this.#system;
  }

  async mails(): Promise<readonly Mail[]> {
    return mailsSchema.parse((await this.#running().send({ method: 'GET', path: '/_local/mail' })).body).items;
  }

  /** Stops the system, and returns all evidence. */
  async collect(users: readonly SignedInUser[], correspondent: string): Promise<RunEvidence> {
    const system = this.#running();
    const mails = await this.mails();
    for (const { text, html } of mails) {
      for (const [, kind = '', token = ''] of `${text}${html}`.matchAll(/\/(approvals|disputes)\/([\w-]{43})/g))
        this.addSecret(`${kind} token`, 'token', token);
      for (const [, code = ''] of `${text}`.matchAll(/^Code: (\d+)$/gm)) this.addSecret('code', 'code', code);
    }
    for (const { token } of users) this.addSecret('bearer token', 'token', token);
    this.addSecret('root secret', 'token', (await readFile(join(this.#folder, 'root-secret'), 'utf8')).trim());
    const items = await sortedItems(await openStore(system));
    await system.stop();
    const files = (await readdir(this.#folder, { recursive: true, withFileTypes: true })).filter((each) =>
      each.isFile(),
    );
    const sources = [
      { name: 'log', text: system.output() },
      ...this.#responses,
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
    return { secrets: [...this.#secrets.values()], sources, correspondent };
  }
}

/** Returns true if a secret may be in plain text in this source. */
function isAllowed({ target, source }: Finding, { correspondent }: RunEvidence): boolean {
  const isIn = (...names: readonly string[]) => names.some((name) => source.name.startsWith(name));
  switch (target.name.replace(/ of .*/, '')) {
    case 'product key':
      // Only the explicit request for this key reveals it, also when repeated (KEY-6).
      return source.name === `response 200 to POST /keys/${target.name.replace('product key of ', '')}/reveal`;
    case 'approvals token':
    case 'disputes token':
    case 'code':
      // The Correspondent's own email has it (APR-1), which the local mailbox stores. The approval page links to itself.
      return (
        isIn(`mail to ${correspondent}: `, 'file mails') ||
        (target.name === 'approvals token' && /^response \d+ to (GET|POST) \/approvals\/\{token\}/.test(source.name))
      );
    case 'task token':
      // The item of the request has it, and so does the file of the database.
      return isIn('item of a request', 'file dynamodb');
    case 'root secret':
      return isIn('file root-secret');
    default:
      return false;
  }
}

const toText = ({ target, source }: Finding) => `${target.name} in ${source.name}`;

/** Returns the secrets in sources where they must not be. */
function leaksOf(evidence: RunEvidence): readonly string[] {
  return findSecrets(evidence.secrets, evidence.sources)
    .filter((finding) => !isAllowed(finding, evidence))
    .map(toText);
}

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'secrets-'));
  folders.push(folder);
  return folder;
}

async function deliver(system: System, raw: Buffer, verdict = 'pass'): Promise<void> {
  const path = `/_local/inbound-mail?verdict=${verdict}`;
  const response = await system.send({
    method: 'POST',
    path,
    body: raw,
    headers: { 'Content-Type': 'message/rfc822' },
  });
  expect(response.status, response.text).toBe(202);
  await system.settle();
}

/** Returns an email of Inés with a request, with these values and this text below the fields. */
function requestEmailOf(customer: Customer, lastFive: string, number: number, more = ''): Buffer {
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

/** Reveals a key, twice with the same Idempotency-Key, and adds it to the secrets. */
async function revealAndRecord(collector: EvidenceCollector, { ines }: Customer, keyId: string): Promise<string> {
  const reveal = () => ines.post(`/keys/${keyId}/reveal`, {}, { 'Idempotency-Key': `reveal ${keyId}` });
  const { productKey } = expectStatus(await reveal(), 200, revealedSchema);
  expect(expectStatus(await reveal(), 200, revealedSchema).productKey).toBe(productKey);
  collector.addSecret(`product key of ${keyId}`, 'product-key', productKey);
  return productKey;
}

describe('a system after one of each operation', () => {
  let evidence: RunEvidence;

  beforeAll(async () => {
    const collector = new EvidenceCollector(await newFolder());
    const system = await collector.start();
    const staff: Staff = await signInStaff(system);
    const customer = await newCustomer(system, staff);
    const { ines, jorge, noor, kmsKey } = customer;
    const mak = await issueMak(customer);
    const makKey = await revealAndRecord(collector, customer, mak.keyId);
    const hostKey = await revealAndRecord(collector, customer, kmsKey.keyId);

    // Machines, with every kind of response.
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
    // A complete key in a path, and as an idempotency key.
    await ines.get(`/keys/${makKey}`);
    await ines.post(`/keys/${mak.keyId}/reveal`, {}, { 'Idempotency-Key': makKey });

    // The call center.
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

    // A MAKADD with a question and its answer, reminders, wrong codes, an approval, and a dispute. All texts that people
    // write contain a complete key by mistake.
    const makadd = await submitRequest(
      system,
      customer,
      requestFormOf(customer, mak, { businessReason: `Our key ${makKey} is too small.` }),
    );
    await collector.addTaskTokens();
    const question = { text: `Is it ${makKey.toLowerCase()}?` };
    expectStatus(await team.post(`/exceptions/${makadd.exceptionId}/questions`, question), 202, exceptionSchema);
    await system.settle();
    await collector.addTaskTokens();
    expectStatus(
      await ines.post(`/exceptions/${makadd.exceptionId}/answers`, { text: `It is\n${makKey}` }),
      202,
      exceptionSchema,
    );
    await system.settle();
    await team.post(`/exceptions/${makadd.exceptionId}/review`, { decision: 'forward' });
    await system.advanceClock('P5D');
    await collector.addTaskTokens();
    const first = await newestLink(system, customer);
    await system.send({ method: 'GET', path: first.path });
    for (let tries = 1; tries <= 5; tries += 1)
      await decide(system, { ...first, code: anotherCode(first.code) }, 'approve');
    await system.settle();
    const newLink = await newestLink(system, customer);
    expect(newLink.path).not.toBe(first.path);
    expect((await decide(system, newLink, 'approve', `Fine for ${makKey.replaceAll('-', ' ')}.`)).status).toBe(200);
    expect((await decide(system, newLink, 'deny')).status).toBe(409);
    await system.settle();
    const dispute = (await system.mailsTo(noor.email)).flatMap(
      ({ text }) => /\/disputes\/[\w-]+/.exec(text ?? '') ?? [],
    );
    for (const path of dispute.slice(0, 1)) {
      await system.send({ method: 'GET', path });
      await system.send({ method: 'POST', path, body: new URLSearchParams() });
    }
    expect(dispute).not.toEqual([]);

    // By email, with a complete key by mistake: in place of its last five, below the fields, and from an unverified sender.
    await deliver(system, requestEmailOf(customer, makKey, 1));
    await deliver(
      system,
      requestEmailOf(customer, mak.lastFive, 2, `The complete key is ${makKey}, if you need it.`),
      'fail',
    );
    await deliver(system, requestEmailOf(customer, mak.lastFive, 3, `The complete key is ${makKey}, if you need it.`));
    await collector.addTaskTokens();

    // A KMSADD that is open while its key is replaced. The MAK is replaced, too.
    const kmsadd = await submitRequest(system, customer, kmsRequestFormOf(customer));
    await collector.addTaskTokens();
    for (const [keyId, typed] of [
      [kmsKey.keyId, hostKey],
      [mak.keyId, makKey],
    ] as const) {
      const replaced = await ines.post(`/keys/${keyId}/replacements`, { reason: `${typed} leaked.` });
      const { issued } = expectStatus(replaced, 201, z.looseObject({ issued: keySchema }));
      const successor = await revealAndRecord(collector, customer, issued.keyId);
      expect(successor).not.toBe(typed);
      expectProblem(await activate(system, typed, 1), 403, 'key-blocked');
      await activate(system, successor, 1, keyId === mak.keyId ? undefined : 'windows-server-2008-standard');
      await device('/validations', { productKey: typed, installationId: installationId(2) });
    }
    await system.advanceClock('PT2M');
    const subjects = (await system.mailsTo(ines.email)).map(({ subject }) => subject);
    expect(subjects.filter((subject) => subject.includes(kmsadd.exceptionId))).toHaveLength(3);

    // All routes that read data.
    for (const person of [ines, jorge, agent, team]) {
      for (const keyId of [mak.keyId, kmsKey.keyId])
        for (const path of ['', '/activations', '/grants', '/history', '/forecast', '/allowances'])
          await person.get(`/keys/${keyId}${path}`);
      for (const { exceptionId } of [makadd, kmsadd]) {
        await person.get(`/exceptions/${exceptionId}`);
        await person.get(`/exceptions/${exceptionId}/history`);
        await system.workflow(exceptionId);
      }
      await person.get(`/agreements/${customer.agreementId}/keys`);
      await person.get('/exceptions');
    }
    expectStatus(await ines.get(`/keys/${mak.keyId}`), 200, makSchema);
    evidence = await collector.collect([ines, jorge, noor, staff.admin, agent, team], noor.email);
  }, 120_000);

  it('KEY-6 APR-1 has no secret in plain text where it must not be', () => {
    expect(leaksOf(evidence)).toEqual([]);
  });

  it('KEY-6 APR-1 has used all kinds of secrets, and the search finds them where they may be', () => {
    const kinds = evidence.secrets.map(({ name }) => name.replace(/ of .*/, ''));
    const counts = Object.fromEntries(kinds.map((kind) => [kind, kinds.filter((each) => each === kind).length]));
    expect(counts).toMatchObject({ 'product key': 4, 'root secret': 1, 'bearer token': 6 });
    expect(counts['disputes token']).toBe(1);
    for (const kind of ['approvals token', 'code', 'task token'])
      expect(counts[kind] ?? 0, kind).toBeGreaterThanOrEqual(4);
    const found = findSecrets(evidence.secrets, evidence.sources).filter((finding) => isAllowed(finding, evidence));
    const unfound = evidence.secrets.filter(({ value }) => !found.some(({ target }) => target.value === value));
    // The system deletes the task token of an ended wait, and stores no bearer tokens.
    expect(unfound.filter(({ name }) => name !== 'bearer token' && name !== 'task token')).toEqual([]);
  });

  it('APR-1 sends each link in only one email', () => {
    for (const target of evidence.secrets.filter(({ name }) => name.endsWith('s token'))) {
      const mails = evidence.sources.filter(({ name }) => name.startsWith('mail '));
      expect(findSecrets([target], mails)).toHaveLength(1);
    }
  });

  it('is searched completely: log at level DEBUG, emails, table, responses, and files', () => {
    const count = (kind: string) => evidence.sources.filter(({ name }) => name.startsWith(`${kind} `)).length;
    expect(evidence.sources[0]?.text).toContain('"level":"INFO"');
    expect(count('response')).toBeGreaterThan(150);
    expect(count('mail')).toBeGreaterThan(20);
    expect(count('item')).toBeGreaterThan(50);
    expect(evidence.sources.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['file root-secret', 'file executions.jsonl', 'file sign-in-key.json']),
    );
  });

  it.each(['product key', 'approvals token', 'code', 'task token', 'bearer token', 'root secret'])(
    'KEY-6 APR-1 causes a finding for a planted %s in any source',
    (kind) => {
      const planted = evidence.secrets.find(({ name }) => name.startsWith(kind));
      const names = ['log', 'item AGREEMENT#E-1 AGREEMENT', 'mail to ines@x.example: Hello', 'file executions.jsonl'];
      for (const name of names) {
        const source = { name, text: `{"reason":"It is ${planted?.value ?? ''}, by mistake"}` };
        expect(leaksOf({ ...evidence, sources: [source] })).toEqual([`${planted?.name} in ${name}`]);
      }
    },
  );
});

describe('a system in strict mode', () => {
  let evidence: RunEvidence;
  let mails: readonly Mail[];

  beforeAll(async () => {
    const folder = await newFolder();
    const file = join(await newFolder(), 'policy.json');
    await writeFile(file, JSON.stringify({ ...policy, approval: { ...policy.approval, strict: 'always' } }));
    const collector = new EvidenceCollector(folder);
    const system = await collector.start({ POLICY_FILE: file });
    const staff = await signInStaff(system);
    const customer = await newCustomer(system, staff);
    const { ines, jorge, noor } = customer;
    const mak = await issueMak(customer);
    await revealAndRecord(collector, customer, mak.keyId);
    await revealAndRecord(collector, customer, customer.kmsKey.keyId);
    const { exceptionId } = await submitRequest(system, customer, requestFormOf(customer, mak));
    await collector.addTaskTokens();
    const approvalEmail = (await system.mailsTo(noor.email)).at(-1);
    const [path = ''] = /\/approvals\/[\w-]{43}/.exec(approvalEmail?.text ?? '') ?? [];
    expect((await system.send({ method: 'GET', path })).status).toBe(200);
    expect((await system.send({ method: 'POST', path: `${path}/codes`, body: new URLSearchParams() })).status).toBe(
      202,
    );
    const codeEmail = (await system.mailsTo(noor.email)).at(-1);
    const [code = ''] = /(?<=^Code: )\d{8}$/m.exec(codeEmail?.text ?? '') ?? [];
    const wrong = String((Number(code) + 1) % 100_000_000).padStart(8, '0');
    expect((await decide(system, { path, code: wrong }, 'approve')).status).toBe(422);
    expect((await decide(system, { path, code }, 'approve')).status).toBe(200);
    await system.settle();
    await ines.get(`/exceptions/${exceptionId}/history`);
    await system.workflow(exceptionId);
    mails = await collector.mails();
    evidence = await collector.collect([ines, jorge, noor, staff.admin, staff.agent, staff.team], noor.email);
  }, 120_000);

  it('KEY-6 APR-1 APR-7 has no secret in plain text where it must not be', () => {
    expect(leaksOf(evidence)).toEqual([]);
  });

  it('APR-7 sends the link without a code, and the code without the link', () => {
    const [code, ...more] = evidence.secrets.filter(({ kind }) => kind === 'code');
    expect(more).toEqual([]);
    expect(code?.value).toMatch(/^\d{8}$/);
    const links = evidence.secrets.filter(({ name }) => name === 'approvals token');
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
