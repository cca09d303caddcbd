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
export type Decision = 'approve' | 'deny';

export const admin: Caller = { email: 'olga.berg@vendor.example', roles: ['licensing-admins'] };
export const agent: Caller = { email: 'carla.ortiz@vendor.example', roles: ['call-center'] };
export const team: Caller = { email: 'tomas.novak@vendor.example', roles: ['exceptions-team'] };

const phone = '+1 425 555 0101';

/** A simulated customer: a client of the system, with the record of its operations. */
export type Customer = {
  readonly number: number;
  readonly agreementId: string;
  readonly organization: { readonly name: string; readonly country: string; readonly language: string };
  readonly requester: Person;
  readonly noticesCorrespondent: Person;
  readonly system: SystemProcess;
  readonly prng: Prng;
  readonly record: CustomerRecord;
  /**
   * Posts with a new idempotency key. Sometimes repeats the request with the same key, which must not change anything.
   */
  post(caller: Caller, path: string, body?: unknown): Promise<HttpResponse>;
  /** Gets a resource, which must exist, and returns its body. */
  get(caller: Caller, path: string): Promise<unknown>;
};

type Person = { readonly name: string; readonly email: string; readonly phone: string };

export function createCustomer(system: SystemProcess, prng: Prng, number: number): Customer {
  const agreementId = `E-${number}`;
  const addressOf = (name: string) => ({ email: `${name}@e-${number}.example` });
  const people = { ines: addressOf('ines'), noor: addressOf('noor') };
  const record: CustomerRecord = {
    agreementId,
    people,
    keys: undefined,
    computers: new Map(),
    hosts: new Map(),
    calls: new Map(),
    requests: new Map(),
    emailsRead: new Set(),
    problems: [],
  };
  let postCount = 0;
  return {
    number,
    agreementId,
    organization: { name: `Alder ${number}`, country: 'US', language: 'en' },
    requester: { name: 'Inés Oliveira', email: people.ines.email, phone },
    noticesCorrespondent: { name: 'Noor Haddad', email: people.noor.email, phone },
    system,
    prng,
    record,
    async post(caller, path, body = {}) {
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
        record.problems.push(
          `POST ${path} returned ${response.status} ${response.text}, and then ${repeated.status} ${repeated.text}`,
        );
      }
      return response;
    },
    get: (caller, path) => expectStatus(200, system.send({ method: 'GET', path, caller })),
  };
}

/** Returns the body of a response, which must have a status. */
export async function expectStatus(status: number, sending: Promise<HttpResponse>): Promise<unknown> {
  const response = await sending;
  if (response.status === status) return response.body;
  throw new Error(`A response has the status ${response.status} instead of ${status}: ${response.text}`);
}

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
