import { setTimeout as sleep } from 'node:timers/promises';
import { installationId } from '../builders.ts';
import type { Prng } from '../simulation/prng.ts';
import type { AnsweredRequest, Caller, SystemProcess } from './system-process.ts';

/** One customer's dealings with the system, and what of them was acknowledged: the book that the audit holds it against. */
export type CustomerRecord = {
  readonly agreementId: string;
  readonly people: { readonly ines: Caller; readonly noor: Caller };
  keys: { readonly mak: string; readonly kms: string } | undefined;
  /** By installation id, what each machine was told in the end; null while it has no answer. */
  readonly machines: Map<string, { activationId: string | null; refused: boolean }>;
  /** By installation id, how often a host asked and how often it was told that it may. */
  readonly hosts: Map<string, { asked: number; granted: number }>;
  /** By call reference, what the call centre gave; null while it has no answer, 0 when it was refused. */
  readonly calls: Map<string, number | null>;
  readonly requests: Map<string, RequestRecord>;
  /** The ids of the mails that the Correspondent has looked into. */
  readonly mailsRead: Set<string>;
  /** What was seen on the way that may not be. */
  readonly problems: string[];
};

/** What people did to one request, as far as they were told that it was done. */
export type RequestRecord = {
  readonly questions: number;
  readonly answers: number;
  readonly forwards: number;
  readonly rejected: boolean;
  readonly withdrawn: boolean;
  /** The decisions that were sent, and the one that was taken. */
  readonly decisionsSent: readonly Decision[];
  readonly decisionTaken: Decision | null;
};
type Decision = 'approve' | 'deny';

const admin: Caller = { email: 'olga.berg@vendor.example', roles: ['licensing-admins'] };
const agent: Caller = { email: 'carla.ortiz@vendor.example', roles: ['call-center'] };
export const team: Caller = { email: 'tomas.novak@vendor.example', roles: ['exceptions-team'] };

const phone = '+1 425 555 0101';
const pollMilliseconds = 100;
const pollsBeforeAdvance = 60;

/** The members of an answer; none of what has none. */
export function membersOf(body: unknown): Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null ? { ...body } : {};
}

export function textIn(body: unknown, name: string): string {
  const value = membersOf(body)[name];
  if (typeof value !== 'string') throw new Error(`An answer has no ${name}: ${JSON.stringify(body)}`);
  return value;
}

export function itemsIn(body: unknown): readonly unknown[] {
  const { items } = membersOf(body);
  if (!Array.isArray(items)) throw new Error(`An answer is no list: ${JSON.stringify(body)}`);
  return items;
}

/** Lives through the dealings of one customer, whatever is killed meanwhile, and answers with the book that was kept. */
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
    machines: new Map(),
    hosts: new Map(),
    calls: new Map(),
    requests: new Map(),
    mailsRead: new Set(),
    problems: [],
  };

  let postCount = 0;
  /** Posts under an idempotency key of its own; now and then once more under the same, for the same answer. */
  const post = async (as: Caller, path: string, body: unknown = {}): Promise<AnsweredRequest> => {
    postCount += 1;
    const call = { method: 'POST', path, body, as, idempotencyKey: `${agreementId}-${postCount}` } as const;
    const response = await system.send(call);
    const before = { ...system.statistics };
    // A no can be a yes once its answer is kept no longer, a day later.
    if (response.status >= 400 || !prng.chance(0.1)) return response;
    const again = await system.send(call);
    // An answer that was no longer kept, or could not be because the engine was killed first, is made anew: in the same
    // status, and from how things stand by then.
    const isKept = before.kills === system.statistics.kills && before.clockAdvances === system.statistics.clockAdvances;
    if (again.status !== response.status || (isKept && again.text !== response.text)) {
      customerRecord.problems.push(
        `POST ${path} was answered ${response.status} ${response.text}, and then ${again.status} ${again.text}`,
      );
    }
    return response;
  };
  const expectStatus = async (status: number, response: Promise<AnsweredRequest>): Promise<unknown> => {
    const reply = await response;
    if (reply.status === status) return reply.body;
    throw new Error(`${agreementId} was answered ${reply.status} where it must be ${status}: ${reply.text}`);
  };
  const get = (as: Caller, path: string) => expectStatus(200, system.send({ method: 'GET', path, as }));

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

  const isActivated = (machine: string) => (customerRecord.machines.get(machine)?.activationId ?? null) !== null;
  const machineOf = (index: number) => installationId(number * 1_000 + index);
  const recordActivation = (machine: string, status: number, activationId: unknown, wasActivated: boolean): void => {
    const machineRecord = customerRecord.machines.get(machine) ?? { activationId: null, refused: false };
    if (status === 200 || status === 201) {
      if (typeof activationId !== 'string') throw new Error('An activation has no id.');
      if (machineRecord.activationId !== null && machineRecord.activationId !== activationId) {
        customerRecord.problems.push(
          `${machine} of ${agreementId} was activated as ${machineRecord.activationId} and as ${activationId}`,
        );
      }
      customerRecord.machines.set(machine, { activationId, refused: false });
    } else if (status === 409) {
      if (wasActivated) customerRecord.problems.push(`${machine} of ${agreementId} was activated and then refused`);
      customerRecord.machines.set(machine, { activationId: machineRecord.activationId, refused: true });
    } else throw new Error(`A machine was answered ${status}.`);
  };

  async function machines(): Promise<void> {
    const product = 'windows-vista-business';
    const count = 15 + prng.below(55);
    const inBatch = prng.chance(0.4) ? Math.min(count, 10 + prng.below(40)) : 0;
    for (let index = 0; index < count; index += 1)
      customerRecord.machines.set(machineOf(index), { activationId: null, refused: false });
    const batch = async () => {
      const activations = Array.from({ length: inBatch }, (_, index) => ({
        installationId: machineOf(index),
        product,
      }));
      if (inBatch === 0) return;
      const body = await expectStatus(
        200,
        system.send({ method: 'POST', path: '/activations/batch', body: { productKey: makKey, activations } }),
      );
      for (const line of membersOf(body).results as readonly unknown[]) {
        const { installationId: machine, status, activation } = membersOf(line);
        recordActivation(String(machine), Number(status), membersOf(activation).activationId, false);
      }
    };
    // Those that are in the batch and are asked for alone besides must count once.
    const singles = Array.from({ length: count }, (_, index) => index)
      .filter((index) => index >= inBatch || prng.chance(0.2))
      .flatMap((index) => (prng.chance(0.15) ? [index, index] : [index]))
      .values();
    const activateSingles = async () => {
      for (const index of singles) {
        const machine = machineOf(index);
        const body = { productKey: makKey, installationId: machine, product, machineName: `PC-${index}` };
        // Of two that are under way at once one may be refused and the other not, when the limit rises between them.
        const wasActivated = isActivated(machine);
        const { status, body: reply } = await system.send({ method: 'POST', path: '/activations', body });
        recordActivation(machine, status, membersOf(reply).activationId, wasActivated);
      }
    };
    await Promise.all([batch(), activateSingles(), activateSingles(), activateSingles()]);
  }

  async function hosts(): Promise<void> {
    for (let index = 0, count = 3 + prng.below(6); index < count; index += 1) {
      const host = machineOf(500 + index);
      const uses = { asked: 0, granted: 0 };
      customerRecord.hosts.set(host, uses);
      for (let use = 1 + prng.below(3); use > 0; use -= 1) {
        const body = { productKey: kmsKey, installationId: host, product: 'windows-server-2008-standard' };
        uses.asked += 1;
        const { status, lost } = await system.send({ method: 'POST', path: '/activations', body });
        // A host that lost its answer and asks again may have used two of its ten.
        uses.asked += lost;
        if (status === 200 || status === 201) uses.granted += 1;
      }
    }
  }

  async function calls(): Promise<void> {
    const recordCall = async (path: string, facts: object, amount: (body: unknown) => number) => {
      const callReference = `C-${number}-${customerRecord.calls.size + 1}`;
      customerRecord.calls.set(callReference, null);
      const body = { ...facts, callReference, callerName: 'Inés Oliveira' };
      const { status, body: grant } = await post(agent, path, body);
      const granted = status === 201 || status === 200;
      customerRecord.calls.set(callReference, granted ? amount(grant) : 0);
      if (!granted || !prng.chance(0.5)) return;
      // The same call under another idempotency key is the same call (OVR-4).
      const again = await post(agent, path, body);
      if (again.status !== 200)
        customerRecord.problems.push(`Call ${callReference} was answered ${status} and then ${again.status}`);
    };
    const amountIn = (body: unknown) => Number(membersOf(body).amount);
    for (let count = 1 + prng.below(3); count > 0; count -= 1) {
      await recordCall(`/keys/${ids.kms}/overrides`, { installationId: machineOf(500 + prng.below(9)) }, amountIn);
      if (prng.chance(0.6)) {
        await recordCall(`/keys/${ids.mak}/increases`, { newLimit: 55 + prng.below(46) }, amountIn);
      }
    }
  }

  async function request(kind: 'MAKADD' | 'KMSADD', key: unknown): Promise<void> {
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
    if (status !== 202) throw new Error(`A request was answered ${status}: ${text}`);
    const exceptionId = textIn(body, 'exceptionId');
    let requestRecord: RequestRecord = {
      questions: 0,
      answers: 0,
      forwards: 0,
      rejected: false,
      withdrawn: false,
      decisionsSent: [],
      decisionTaken: null,
    };
    const updateRecord = (facts: Partial<RequestRecord>) => {
      requestRecord = { ...requestRecord, ...facts };
      customerRecord.requests.set(exceptionId, requestRecord);
    };
    updateRecord({});
    const path = `/exceptions/${exceptionId}`;
    const isAccepted = async (response: Promise<AnsweredRequest>) => (await response).status === 202;

    /** The newest way to decide, once there is one that was not known before. */
    const linkAfter = async (machineRecord: number) => {
      for (let polls = 1; ; polls += 1) {
        const mails = itemsIn(await get(team, `/_local/mail?to=${encodeURIComponent(noor.email)}`));
        const links = mails.flatMap((mail) => {
          const words = textIn(mail, 'text');
          customerRecord.mailsRead.add(textIn(mail, 'messageId'));
          const link = /https?:\/\/[^/\s]+(\/approvals\/[\w-]+)/.exec(words)?.[1];
          const code = /\b(\d{6})\b/.exec(words.replaceAll(/\S*\/\S*/g, ''))?.[1];
          return link === undefined || code === undefined || !words.includes(exceptionId) ? [] : [{ link, code }];
        });
        const [newest] = links;
        if (newest !== undefined && links.length > machineRecord) return { ...newest, count: links.length };
        const now = textIn(await get(team, path), 'status');
        if (!['received', 'in-review', 'awaiting-approval'].includes(now)) return undefined;
        if (polls === 4 * pollsBeforeAdvance) {
          customerRecord.problems.push(`${exceptionId} is ${now}, and after a day nobody has been asked.`);
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
        if (requestRecord.decisionTaken !== null) customerRecord.problems.push(`${exceptionId} was decided twice.`);
        updateRecord({ decisionTaken: decision });
        if (textIn(response.body, 'decision') !== decision)
          customerRecord.problems.push(`${exceptionId}: ${decision} was told otherwise.`);
        const again = await system.send({ method: 'POST', path: link, body: form() });
        if (again.status === 200) customerRecord.problems.push(`${exceptionId} could be decided once more.`);
      } else if (![409, 410].includes(response.status)) {
        customerRecord.problems.push(`A decision of ${exceptionId} was answered ${response.status}: ${response.text}`);
      }
    };

    if (scenario === 'silence') return;
    if (scenario === 'withdraw' || scenario === 'reject') {
      await sleep(prng.below(400));
      if (scenario === 'withdraw') updateRecord({ withdrawn: await isAccepted(post(ines, `${path}/withdrawal`, {})) });
      else {
        const review = { decision: 'reject', reason: 'The order was cancelled.' };
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
    if (requestRecord.decisionTaken !== null || requestRecord.forwards === 0) return;
    // That question was void, because the team had changed the number: another was asked.
    const newer = await linkAfter(link.count);
    if (newer !== undefined) await decide(newer, decision);
  }

  await Promise.all([machines(), hosts(), calls(), request('MAKADD', mak), request('KMSADD', kms)]);
  return customerRecord;
}
