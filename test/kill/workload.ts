import { setTimeout as sleep } from 'node:timers/promises';
import { installationId } from '../builders.ts';
import type { Dice } from '../simulation/prng.ts';
import type { Asker, Heard, Victim } from './system-process.ts';

/** One customer's dealings with the system, and what of them was acknowledged: the book that the audit holds it against. */
export type Book = {
  readonly agreementId: string;
  readonly people: { readonly ines: Asker; readonly carla: Asker };
  keys: { readonly mak: string; readonly kms: string } | undefined;
  /** By installation id, what each machine was told in the end; null while it has no answer. */
  readonly machines: Map<string, { activationId: string | null; refused: boolean }>;
  /** By installation id, how often a host asked and how often it was told that it may. */
  readonly hosts: Map<string, { asked: number; granted: number }>;
  /** By call reference, what the call centre gave; null while it has no answer, 0 when it was refused. */
  readonly calls: Map<string, number | null>;
  readonly requests: Map<string, Asked>;
  /** The ids of the mails that the Correspondent has looked into. */
  readonly mailsRead: Set<string>;
  /** What was seen on the way that may not be. */
  readonly wrong: string[];
};

/** What people did to one request, as far as they were told that it was done. */
export type Asked = {
  readonly questions: number;
  readonly answers: number;
  readonly forwards: number;
  readonly rejected: boolean;
  readonly withdrawn: boolean;
  /** The decisions that were sent, and the one that was taken. */
  readonly sent: readonly Decision[];
  readonly decided: Decision | null;
};
type Decision = 'approve' | 'deny';

const admin: Asker = { email: 'olga@vendor.example', roles: ['licensing-admins'] };
const agent: Asker = { email: 'ada@callcenter.example', roles: ['call-center'] };
export const team: Asker = { email: 'rui@licensing.example', roles: ['exceptions-team'] };

const phone = '+1 425 555 0101';
const pollMilliseconds = 100;
const pollsBeforeWinding = 60;

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
export async function liveStory(
  victim: Victim,
  dice: Dice,
  number: number,
  begun: (book: Book) => void,
): Promise<Book> {
  const agreementId = `E-${number}`;
  const at = (name: string) => ({ email: `${name}@e-${number}.example` });
  const ines = at('ines');
  const carla = at('carla');
  const book: Book = {
    agreementId,
    people: { ines, carla },
    keys: undefined,
    machines: new Map(),
    hosts: new Map(),
    calls: new Map(),
    requests: new Map(),
    mailsRead: new Set(),
    wrong: [],
  };

  let sent = 0;
  /** Posts under an idempotency key of its own; now and then once more under the same, for the same answer. */
  const post = async (as: Asker, path: string, body: unknown = {}): Promise<Heard> => {
    sent += 1;
    const asking = { method: 'POST', path, body, as, idempotencyKey: `${agreementId}-${sent}` } as const;
    const heard = await victim.ask(asking);
    const before = { ...victim.tally };
    // A no can be a yes once its answer is kept no longer, a day later.
    if (heard.status >= 400 || !dice.chance(0.1)) return heard;
    const again = await victim.ask(asking);
    // An answer that was no longer kept, or could not be because the engine was killed first, is made anew: in the same
    // status, and from how things stand by then.
    const isKept = before.kills === victim.tally.kills && before.windings === victim.tally.windings;
    if (again.status !== heard.status || (isKept && again.text !== heard.text)) {
      book.wrong.push(
        `POST ${path} was answered ${heard.status} ${heard.text}, and then ${again.status} ${again.text}`,
      );
    }
    return heard;
  };
  const must = async (status: number, heard: Promise<Heard>): Promise<unknown> => {
    const answer = await heard;
    if (answer.status === status) return answer.body;
    throw new Error(`${agreementId} was answered ${answer.status} where it must be ${status}: ${answer.text}`);
  };
  const get = (as: Asker, path: string) => must(200, victim.ask({ method: 'GET', path, as }));

  const requester = { name: 'Inés Oliveira', email: ines.email, phone };
  const organization = { name: `Alder ${number}`, country: 'US', language: 'en' };
  const registered = await must(
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
      noticesCorrespondent: { name: 'Carla Weiss', email: carla.email, phone },
    }),
  );
  begun(book);
  const mak = await must(201, post(ines, `/agreements/${agreementId}/keys`, { type: 'MAK', productGroup: 'client' }));
  const [kms] = membersOf(registered).keys as readonly unknown[];
  const ids = { mak: textIn(mak, 'keyId'), kms: textIn(kms, 'keyId') };
  book.keys = ids;
  const reveal = async (keyId: string) => textIn(await must(200, post(ines, `/keys/${keyId}/reveal`)), 'productKey');
  const makKey = await reveal(ids.mak);
  const kmsKey = await reveal(ids.kms);

  const isActivated = (machine: string) => (book.machines.get(machine)?.activationId ?? null) !== null;
  const machineOf = (index: number) => installationId(number * 1_000 + index);
  const told = (machine: string, status: number, activationId: unknown, wasActivated: boolean): void => {
    const known = book.machines.get(machine) ?? { activationId: null, refused: false };
    if (status === 200 || status === 201) {
      if (typeof activationId !== 'string') throw new Error('An activation has no id.');
      if (known.activationId !== null && known.activationId !== activationId) {
        book.wrong.push(`${machine} of ${agreementId} was activated as ${known.activationId} and as ${activationId}`);
      }
      book.machines.set(machine, { activationId, refused: false });
    } else if (status === 409) {
      if (wasActivated) book.wrong.push(`${machine} of ${agreementId} was activated and then refused`);
      book.machines.set(machine, { activationId: known.activationId, refused: true });
    } else throw new Error(`A machine was answered ${status}.`);
  };

  async function machines(): Promise<void> {
    const product = 'windows-vista-business';
    const count = 15 + dice.below(55);
    const inBatch = dice.chance(0.4) ? Math.min(count, 10 + dice.below(40)) : 0;
    for (let index = 0; index < count; index += 1)
      book.machines.set(machineOf(index), { activationId: null, refused: false });
    const batch = async () => {
      const activations = Array.from({ length: inBatch }, (_, index) => ({
        installationId: machineOf(index),
        product,
      }));
      if (inBatch === 0) return;
      const body = await must(
        200,
        victim.ask({ method: 'POST', path: '/activations/batch', body: { productKey: makKey, activations } }),
      );
      for (const line of membersOf(body).results as readonly unknown[]) {
        const { installationId: machine, status, activation } = membersOf(line);
        told(String(machine), Number(status), membersOf(activation).activationId, false);
      }
    };
    // Those that are in the batch and are asked for alone besides must count once.
    const alone = Array.from({ length: count }, (_, index) => index)
      .filter((index) => index >= inBatch || dice.chance(0.2))
      .flatMap((index) => (dice.chance(0.15) ? [index, index] : [index]))
      .values();
    const one = async () => {
      for (const index of alone) {
        const machine = machineOf(index);
        const body = { productKey: makKey, installationId: machine, product, machineName: `PC-${index}` };
        // Of two that are under way at once one may be refused and the other not, when the limit rises between them.
        const wasActivated = isActivated(machine);
        const { status, body: answer } = await victim.ask({ method: 'POST', path: '/activations', body });
        told(machine, status, membersOf(answer).activationId, wasActivated);
      }
    };
    await Promise.all([batch(), one(), one(), one()]);
  }

  async function hosts(): Promise<void> {
    for (let index = 0, count = 3 + dice.below(6); index < count; index += 1) {
      const host = machineOf(500 + index);
      const uses = { asked: 0, granted: 0 };
      book.hosts.set(host, uses);
      for (let use = 1 + dice.below(3); use > 0; use -= 1) {
        const body = { productKey: kmsKey, installationId: host, product: 'windows-server-2008-standard' };
        uses.asked += 1;
        const { status, lost } = await victim.ask({ method: 'POST', path: '/activations', body });
        // A host that lost its answer and asks again may have used two of its ten.
        uses.asked += lost;
        if (status === 200 || status === 201) uses.granted += 1;
      }
    }
  }

  async function calls(): Promise<void> {
    const calling = async (path: string, facts: object, amount: (body: unknown) => number) => {
      const callReference = `C-${number}-${book.calls.size + 1}`;
      book.calls.set(callReference, null);
      const body = { ...facts, callReference, callerName: 'Inés Oliveira' };
      const { status, body: grant } = await post(agent, path, body);
      const granted = status === 201 || status === 200;
      book.calls.set(callReference, granted ? amount(grant) : 0);
      if (!granted || !dice.chance(0.5)) return;
      // The same call under another idempotency key is the same call (OVR-4).
      const again = await post(agent, path, body);
      if (again.status !== 200)
        book.wrong.push(`Call ${callReference} was answered ${status} and then ${again.status}`);
    };
    const amountIn = (body: unknown) => Number(membersOf(body).amount);
    for (let count = 1 + dice.below(3); count > 0; count -= 1) {
      await calling(`/keys/${ids.kms}/overrides`, { installationId: machineOf(500 + dice.below(9)) }, amountIn);
      if (dice.chance(0.6)) {
        await calling(`/keys/${ids.mak}/increases`, { newLimit: 55 + dice.below(46) }, amountIn);
      }
    }
  }

  async function request(kind: 'MAKADD' | 'KMSADD', key: unknown): Promise<void> {
    const course = dice.of([
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
    const many = kind === 'MAKADD' ? 1_200 : 30;
    const { status, body, text } = await post(ines, '/exceptions', {
      kind,
      organizationName: organization.name,
      agreementNumber: agreementId,
      requester,
      product: kind === 'MAKADD' ? 'windows-vista-business' : 'windows-server-2008-standard',
      keyLastFive: textIn(key, 'lastFive'),
      activationsRequested: course === 'review' ? many : kind === 'MAKADD' ? 150 : 10,
      businessReason: 'Two new schools open in autumn.',
      requiredDate: '2099-01-04',
    });
    if (status !== 202) throw new Error(`A request was answered ${status}: ${text}`);
    const exceptionId = textIn(body, 'exceptionId');
    let asked: Asked = {
      questions: 0,
      answers: 0,
      forwards: 0,
      rejected: false,
      withdrawn: false,
      sent: [],
      decided: null,
    };
    const note = (facts: Partial<Asked>) => {
      asked = { ...asked, ...facts };
      book.requests.set(exceptionId, asked);
    };
    note({});
    const path = `/exceptions/${exceptionId}`;
    const done = async (heard: Promise<Heard>) => (await heard).status === 202;

    /** The newest way to decide, once there is one that was not known before. */
    const linkAfter = async (known: number) => {
      for (let polls = 1; ; polls += 1) {
        const mails = itemsIn(await get(team, `/_local/mail?to=${encodeURIComponent(carla.email)}`));
        const links = mails.flatMap((mail) => {
          const words = textIn(mail, 'text');
          book.mailsRead.add(textIn(mail, 'messageId'));
          const link = /https?:\/\/[^/\s]+(\/approvals\/[\w-]+)/.exec(words)?.[1];
          const code = /\b(\d{6})\b/.exec(words.replaceAll(/\S*\/\S*/g, ''))?.[1];
          return link === undefined || code === undefined || !words.includes(exceptionId) ? [] : [{ link, code }];
        });
        const [newest] = links;
        if (newest !== undefined && links.length > known) return { ...newest, count: links.length };
        const now = textIn(await get(team, path), 'status');
        if (!['received', 'in-review', 'awaiting-approval'].includes(now)) return undefined;
        if (polls === 4 * pollsBeforeWinding) {
          book.wrong.push(`${exceptionId} is ${now}, and after a day nobody has been asked.`);
          return undefined;
        }
        if (polls % pollsBeforeWinding === 0) await victim.wind(polls === 3 * pollsBeforeWinding ? 'PT26H' : 'PT2M');
        else await sleep(pollMilliseconds);
      }
    };
    const decide = async ({ link, code }: { link: string; code: string }, decision: Decision) => {
      note({ sent: [...asked.sent, decision] });
      const form = () => new URLSearchParams({ code, decision, comment: '' });
      const heard = await victim.ask({ method: 'POST', path: link, body: form() });
      if (heard.status === 200) {
        if (asked.decided !== null) book.wrong.push(`${exceptionId} was decided twice.`);
        note({ decided: decision });
        if (textIn(heard.body, 'decision') !== decision)
          book.wrong.push(`${exceptionId}: ${decision} was told otherwise.`);
        const again = await victim.ask({ method: 'POST', path: link, body: form() });
        if (again.status === 200) book.wrong.push(`${exceptionId} could be decided once more.`);
      } else if (![409, 410].includes(heard.status)) {
        book.wrong.push(`A decision of ${exceptionId} was answered ${heard.status}: ${heard.text}`);
      }
    };

    if (course === 'silence') return;
    if (course === 'withdraw' || course === 'reject') {
      await sleep(dice.below(400));
      if (course === 'withdraw') note({ withdrawn: await done(post(ines, `${path}/withdrawal`, {})) });
      else {
        const review = { decision: 'reject', reason: 'The order was cancelled.' };
        note({ rejected: await done(post(team, `${path}/review`, review)) });
      }
      return;
    }
    if (course === 'question' || course === 'review') {
      if (course === 'question') {
        if (await done(post(team, `${path}/questions`, { text: 'Which schools?' }))) note({ questions: 1 });
        if (await done(post(ines, `${path}/answers`, { text: 'Birch and Cedar.' }))) note({ answers: 1 });
      }
      const smaller = { decision: 'forward', activations: kind === 'MAKADD' ? 120 : 8 };
      if (await done(post(team, `${path}/review`, smaller))) note({ forwards: 1 });
    }
    const link = await linkAfter(0);
    if (link === undefined) return;
    const decision = course === 'deny' ? 'deny' : 'approve';
    if (course === 'both') await Promise.all([decide(link, 'approve'), decide(link, 'deny')]);
    else await decide(link, decision);
    if (asked.decided !== null || asked.forwards === 0) return;
    // That question was void, because the team had changed the number: another was asked.
    const newer = await linkAfter(link.count);
    if (newer !== undefined) await decide(newer, decision);
  }

  await Promise.all([machines(), hosts(), calls(), request('MAKADD', mak), request('KMSADD', kms)]);
  return book;
}
