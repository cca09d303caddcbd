import { setTimeout as sleep } from 'node:timers/promises';
import { installationId } from '../builders.ts';
import type { Prng } from '../simulation/prng.ts';
import type { Caller, HttpResponse, SystemProcess } from './system-process.ts';

/** The operations of one customer and the responses. The audit compares the system with it. */
export type CustomerRecord = {
  readonly agreementId: string;
  readonly people: { readonly ines: Caller; readonly noor: Caller };
  keys: { readonly mak: string; readonly kms: string } | undefined;
  /** By installation id, the last response to each computer. The activation id is null without an activation. */
  readonly computers: Map<string, { activationId: string | null; isRefused: boolean }>;
  /** By installation id, the number of requested and of granted uses of a host. */
  readonly hosts: Map<string, { requested: number; granted: number }>;
  /** By call reference, the granted amount: null without a response, 0 for a refusal. */
  readonly calls: Map<string, number | null>;
  readonly requests: Map<string, RequestRecord>;
  /** The ids of the emails that the Correspondent has read. */
  readonly emailsRead: Set<string>;
  /** Wrong responses. */
  readonly problems: string[];
};

/** The acknowledged operations on one exception request. */
export type RequestRecord = {
  readonly questions: number;
  readonly answers: number;
  readonly forwards: number;
  readonly rejected: boolean;
  readonly withdrawn: boolean;
  /** The decisions that were sent, and the acknowledged one. */
  readonly decisionsSent: readonly Decision[];
  readonly acknowledgedDecision: Decision | null;
};
type Decision = 'approve' | 'deny';

const admin: Caller = { email: 'olga.berg@vendor.example', roles: ['licensing-admins'] };
const agent: Caller = { email: 'carla.ortiz@vendor.example', roles: ['call-center'] };
export const team: Caller = { email: 'tomas.novak@vendor.example', roles: ['exceptions-team'] };

const phone = '+1 425 555 0101';
const pollMilliseconds = 100;
const pollsBeforeAdvance = 60;

/** Returns the members of a response body; none if it is not an object. */
export function membersOf(body: unknown): Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null ? { ...body } : {};
}

export function textIn(body: unknown, name: string): string {
  const value = membersOf(body)[name];
  if (typeof value !== 'string') throw new Error(`A response has no ${name}: ${JSON.stringify(body)}`);
  return value;
}

export function itemsIn(body: unknown): readonly unknown[] {
  const { items } = membersOf(body);
  if (!Array.isArray(items)) throw new Error(`A response is not a list: ${JSON.stringify(body)}`);
  return items;
}

/** Runs all operations of one customer and returns the record of them. The system can be killed meanwhile. */
export async function runCustomer(
  system: SystemProcess,
  prng: Prng,
  number: number,
  onStart: (customerRecord: CustomerRecord) => void,
): Promise<CustomerRecord> {
  const agreementId = `E-${number}`;
  const at = (name: string) => ({ email: `${name}@e-${number}.example` });
  const ines = at('ines');
  const noor = at('noor');
  const customerRecord: CustomerRecord = {
    agreementId,
    people: { ines, noor },
    keys: undefined,
    computers: new Map(),
    hosts: new Map(),
    calls: new Map(),
    requests: new Map(),
    emailsRead: new Set(),
    problems: [],
  };

  let postCount = 0;
  /** Posts with a new idempotency key. Sometimes repeats the request with the same key, which must not change anything. */
  const post = async (caller: Caller, path: string, body: unknown = {}): Promise<HttpResponse> => {
    postCount += 1;
    const request = { method: 'POST', path, body, caller, idempotencyKey: `${agreementId}-${postCount}` } as const;
    const response = await system.send(request);
    const before = { ...system.statistics };
    // A refusal is not repeated: after a day, when its idempotency key has expired, the same request can be accepted.
    if (response.status >= 400 || !prng.chance(0.1)) return response;
    const repeated = await system.send(request);
    // A response that has expired, or that a kill prevented from being stored, is computed again. Its status is the
    // same, and its body shows the state at that time.
    const isStored =
      before.kills === system.statistics.kills && before.clockAdvances === system.statistics.clockAdvances;
    if (repeated.status !== response.status || (isStored && repeated.text !== response.text)) {
      customerRecord.problems.push(
        `POST ${path} returned ${response.status} ${response.text}, and then ${repeated.status} ${repeated.text}`,
      );
    }
    return response;
  };
  const expectStatus = async (status: number, sending: Promise<HttpResponse>): Promise<unknown> => {
    const response = await sending;
    if (response.status === status) return response.body;
    throw new Error(`${agreementId} got ${response.status} instead of ${status}: ${response.text}`);
  };
  const get = (caller: Caller, path: string) => expectStatus(200, system.send({ method: 'GET', path, caller }));

  const requester = { name: 'Inés Oliveira', email: ines.email, phone };
  const organization = { name: `Alder ${number}`, country: 'US', language: 'en' };
  const registered = await expectStatus(
    201,
    post(admin, '/agreements', {
      program: 'enterprise',
      level: 'A',
      agreementNumber: agreementId,
      organization,
      products: [
        { product: 'windows-vista-business', licenses: 20 },
        { product: 'windows-server-2008-standard', licenses: 10 },
      ],
      contacts: [requester],
      noticesCorrespondent: { name: 'Noor Haddad', email: noor.email, phone },
    }),
  );
  onStart(customerRecord);
  const mak = await expectStatus(
    201,
    post(ines, `/agreements/${agreementId}/keys`, { type: 'MAK', productGroup: 'client' }),
  );
  const [kms] = membersOf(registered).keys as readonly unknown[];
  const ids = { mak: textIn(mak, 'keyId'), kms: textIn(kms, 'keyId') };
  customerRecord.keys = ids;
  const reveal = async (keyId: string) =>
    textIn(await expectStatus(200, post(ines, `/keys/${keyId}/reveal`)), 'productKey');
  const makKey = await reveal(ids.mak);
  const kmsKey = await reveal(ids.kms);

  const isActivated = (computer: string) => (customerRecord.computers.get(computer)?.activationId ?? null) !== null;
  const installationIdOf = (index: number) => installationId(number * 1_000 + index);
  const recordActivation = (computer: string, status: number, activationId: unknown, wasActivated: boolean): void => {
    const computerRecord = customerRecord.computers.get(computer) ?? { activationId: null, isRefused: false };
    if (status === 200 || status === 201) {
      if (typeof activationId !== 'string') throw new Error('An activation has no id.');
      if (computerRecord.activationId !== null && computerRecord.activationId !== activationId) {
        customerRecord.problems.push(
          `${computer} of ${agreementId} activated as ${computerRecord.activationId} and as ${activationId}`,
        );
      }
      customerRecord.computers.set(computer, { activationId, isRefused: false });
    } else if (status === 409) {
      if (wasActivated) customerRecord.problems.push(`${computer} of ${agreementId} activated and was then refused`);
      customerRecord.computers.set(computer, { activationId: computerRecord.activationId, isRefused: true });
    } else throw new Error(`An activation returned ${status}.`);
  };

  async function activateComputers(): Promise<void> {
    const product = 'windows-vista-business';
    const count = 15 + prng.below(55);
    const batchSize = prng.chance(0.4) ? Math.min(count, 10 + prng.below(40)) : 0;
    for (let index = 0; index < count; index += 1)
      customerRecord.computers.set(installationIdOf(index), { activationId: null, isRefused: false });
    const activateBatch = async () => {
      const activations = Array.from({ length: batchSize }, (_, index) => ({
        installationId: installationIdOf(index),
        product,
      }));
      if (batchSize === 0) return;
      const body = await expectStatus(
        200,
        system.send({ method: 'POST', path: '/activations/batch', body: { productKey: makKey, activations } }),
      );
      for (const item of membersOf(body).results as readonly unknown[]) {
        const { installationId: computer, status, activation } = membersOf(item);
        recordActivation(String(computer), Number(status), membersOf(activation).activationId, false);
      }
    };
    // Some computers are in the batch and activate individually as well. They must count once.
    const singles = Array.from({ length: count }, (_, index) => index)
      .filter((index) => index >= batchSize || prng.chance(0.2))
      .flatMap((index) => (prng.chance(0.15) ? [index, index] : [index]))
      .values();
    const activateSingles = async () => {
      for (const index of singles) {
        const computer = installationIdOf(index);
        const body = { productKey: makKey, installationId: computer, product, machineName: `PC-${index}` };
        // Of two concurrent requests, one can be refused and the other accepted, if the limit rises in between.
        const wasActivated = isActivated(computer);
        const { status, body: response } = await system.send({ method: 'POST', path: '/activations', body });
        recordActivation(computer, status, membersOf(response).activationId, wasActivated);
      }
    };
    await Promise.all([activateBatch(), activateSingles(), activateSingles(), activateSingles()]);
  }

  async function activateHosts(): Promise<void> {
    for (let index = 0, count = 3 + prng.below(6); index < count; index += 1) {
      const host = installationIdOf(500 + index);
      const uses = { requested: 0, granted: 0 };
      customerRecord.hosts.set(host, uses);
      for (let use = 1 + prng.below(3); use > 0; use -= 1) {
        const body = { productKey: kmsKey, installationId: host, product: 'windows-server-2008-standard' };
        uses.requested += 1;
        const { status, lostResponses } = await system.send({ method: 'POST', path: '/activations', body });
        // A host whose response is lost and that retries can use two of its ten uses.
        uses.requested += lostResponses;
        if (status === 200 || status === 201) uses.granted += 1;
      }
    }
  }

  async function callCallCenter(): Promise<void> {
    const makeCall = async (path: string, members: object) => {
      const callReference = `C-${number}-${customerRecord.calls.size + 1}`;
      customerRecord.calls.set(callReference, null);
      const body = { ...members, callReference, callerName: 'Inés Oliveira' };
      const { status, body: grant } = await post(agent, path, body);
      const isGranted = status === 201 || status === 200;
      customerRecord.calls.set(callReference, isGranted ? Number(membersOf(grant).amount) : 0);
      if (!isGranted || !prng.chance(0.5)) return;
      // The same call under another idempotency key is the same call (OVR-4).
      const repeated = await post(agent, path, body);
      if (repeated.status !== 200)
        customerRecord.problems.push(`Call ${callReference} returned ${status}, and then ${repeated.status}`);
    };
    for (let count = 1 + prng.below(3); count > 0; count -= 1) {
      await makeCall(`/keys/${ids.kms}/overrides`, { installationId: installationIdOf(500 + prng.below(9)) });
      if (prng.chance(0.6)) await makeCall(`/keys/${ids.mak}/increases`, { newLimit: 55 + prng.below(46) });
    }
  }

  async function requestException(kind: 'MAKADD' | 'KMSADD', key: unknown): Promise<void> {
    const scenario = prng.pick([
      'approve',
      'approve',
      'deny',
      'both',
      'question',
      'review',
      'withdraw',
      'reject',
      'silence',
    ] as const);
    const amountNeedingReview = kind === 'MAKADD' ? 1_200 : 30;
    const { status, body, text } = await post(ines, '/exceptions', {
      kind,
      organizationName: organization.name,
      agreementNumber: agreementId,
      requester,
      product: kind === 'MAKADD' ? 'windows-vista-business' : 'windows-server-2008-standard',
      keyLastFive: textIn(key, 'lastFive'),
      activationsRequested: scenario === 'review' ? amountNeedingReview : kind === 'MAKADD' ? 150 : 10,
      businessReason: 'Two new schools open in autumn.',
      requiredDate: '2099-01-04',
    });
    if (status !== 202) throw new Error(`An exception request returned ${status}: ${text}`);
    const exceptionId = textIn(body, 'exceptionId');
    let requestRecord: RequestRecord = {
      questions: 0,
      answers: 0,
      forwards: 0,
      rejected: false,
      withdrawn: false,
      decisionsSent: [],
      acknowledgedDecision: null,
    };
    const updateRecord = (changes: Partial<RequestRecord>) => {
      requestRecord = { ...requestRecord, ...changes };
      customerRecord.requests.set(exceptionId, requestRecord);
    };
    updateRecord({});
    const path = `/exceptions/${exceptionId}`;
    const isAccepted = async (sending: Promise<HttpResponse>) => (await sending).status === 202;

    /** Waits until there are more approval links than the given number, and returns the newest with its code. */
    const linkAfter = async (knownLinks: number) => {
      for (let polls = 1; ; polls += 1) {
        const emails = itemsIn(await get(team, `/_local/mail?to=${encodeURIComponent(noor.email)}`));
        const links = emails.flatMap((email) => {
          const text = textIn(email, 'text');
          customerRecord.emailsRead.add(textIn(email, 'messageId'));
          const link = /https?:\/\/[^/\s]+(\/approvals\/[\w-]+)/.exec(text)?.[1];
          const code = /^Code: (\d{6})$/m.exec(text)?.[1];
          return link === undefined || code === undefined || !text.includes(exceptionId) ? [] : [{ link, code }];
        });
        const [newest] = links;
        if (newest !== undefined && links.length > knownLinks) return { ...newest, count: links.length };
        const current = textIn(await get(team, path), 'status');
        if (!['received', 'in-review', 'awaiting-approval'].includes(current)) return undefined;
        if (polls === 4 * pollsBeforeAdvance) {
          customerRecord.problems.push(`${exceptionId} is ${current}, and there is no approval email after a day.`);
          return undefined;
        }
        if (polls % pollsBeforeAdvance === 0)
          await system.advanceClock(polls === 3 * pollsBeforeAdvance ? 'PT26H' : 'PT2M');
        else await sleep(pollMilliseconds);
      }
    };
    const decide = async ({ link, code }: { link: string; code: string }, decision: Decision) => {
      updateRecord({ decisionsSent: [...requestRecord.decisionsSent, decision] });
      const form = () => new URLSearchParams({ code, decision, comment: '' });
      const response = await system.send({ method: 'POST', path: link, body: form() });
      if (response.status === 200) {
        if (requestRecord.acknowledgedDecision !== null)
          customerRecord.problems.push(`${exceptionId} was decided twice.`);
        updateRecord({ acknowledgedDecision: decision });
        if (textIn(response.body, 'decision') !== decision)
          customerRecord.problems.push(`${exceptionId}: the response to ${decision} has another decision.`);
        const repeated = await system.send({ method: 'POST', path: link, body: form() });
        if (repeated.status === 200) customerRecord.problems.push(`${exceptionId} could be decided again.`);
      } else if (![409, 410].includes(response.status)) {
        customerRecord.problems.push(`A decision on ${exceptionId} returned ${response.status}: ${response.text}`);
      }
    };

    if (scenario === 'silence') return;
    if (scenario === 'withdraw' || scenario === 'reject') {
      await sleep(prng.below(400));
      if (scenario === 'withdraw') updateRecord({ withdrawn: await isAccepted(post(ines, `${path}/withdrawal`, {})) });
      else {
        const review = { decision: 'reject', reason: 'The order was canceled.' };
        updateRecord({ rejected: await isAccepted(post(team, `${path}/review`, review)) });
      }
      return;
    }
    if (scenario === 'question' || scenario === 'review') {
      if (scenario === 'question') {
        if (await isAccepted(post(team, `${path}/questions`, { text: 'Which schools?' })))
          updateRecord({ questions: 1 });
        if (await isAccepted(post(ines, `${path}/answers`, { text: 'Birch and Cedar.' }))) updateRecord({ answers: 1 });
      }
      const smaller = { decision: 'forward', activations: kind === 'MAKADD' ? 120 : 8 };
      if (await isAccepted(post(team, `${path}/review`, smaller))) updateRecord({ forwards: 1 });
    }
    const link = await linkAfter(0);
    if (link === undefined) return;
    const decision = scenario === 'deny' ? 'deny' : 'approve';
    if (scenario === 'both') await Promise.all([decide(link, 'approve'), decide(link, 'deny')]);
    else await decide(link, decision);
    if (requestRecord.acknowledgedDecision !== null || requestRecord.forwards === 0) return;
    // The team changed the number meanwhile, which voided the round. The new round has its own link.
    const newer = await linkAfter(link.count);
    if (newer !== undefined) await decide(newer, decision);
  }

  await Promise.all([
    activateComputers(),
    activateHosts(),
    callCallCenter(),
    requestException('MAKADD', mak),
    requestException('KMSADD', kms),
  ]);
  return customerRecord;
}
