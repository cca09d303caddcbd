import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { Agreement } from '../../domain/agreement.ts';
import type { Product, ProductGroup } from '../../domain/catalog.ts';
import { installationId } from '../builders.ts';
import type { Exception, Mail } from './contract.ts';
import { exceptionSchema, kmsKeySchema, makSchema, registeredSchema, revealedSchema, taken } from './contract.ts';
import type { Answer } from './response.ts';
import type { Person, System } from './system.ts';

/** The people of the vendor, signed in. */
export type Staff = { readonly admin: Person; readonly agent: Person; readonly team: Person };

export async function signInStaff(system: System): Promise<Staff> {
  const [admin, agent, team] = await Promise.all([
    system.signIn('olga@vendor.example', 'licensing-admins'),
    system.signIn('ada@callcenter.example', 'call-center'),
    system.signIn('rui@licensing.example', 'exceptions-team'),
  ]);
  return { admin, agent, team };
}

/** One organization with an agreement and a KMS key; its addresses are its own, so that its mails are too. */
export type Customer = {
  readonly agreementId: string;
  /** What it was registered with. */
  readonly registration: ReturnType<typeof registrationOf>;
  readonly kmsKey: z.infer<typeof kmsKeySchema>;
  /** On the Authorized Contact List, both of them. */
  readonly ines: Person;
  readonly tom: Person;
  /** The Notices Correspondent, on no list. */
  readonly carla: Person;
};

const phone = '+1 425 555 0101';

export function registrationOf(agreementNumber: string, facts: Partial<Pick<Agreement, 'level' | 'products'>> = {}) {
  const at = `${agreementNumber.toLowerCase()}.example`;
  return {
    program: 'enterprise',
    level: 'A',
    agreementNumber,
    organization: { name: `Alder ${agreementNumber}`, country: 'US', language: 'en' },
    products: [
      { product: 'windows-vista-business', licenses: 20 },
      { product: 'windows-server-2008-standard', licenses: 10 },
    ],
    contacts: [
      { name: 'Inés Oliveira', email: `ines@${at}`, phone },
      { name: 'Tom Brandt', email: `tom@${at}`, phone },
    ],
    noticesCorrespondent: { name: 'Carla Weiss', email: `carla@${at}`, phone },
    ...facts,
  } as const;
}

/** Registers an agreement that no other test has. Its KMS key is of the group server-b. */
export async function newCustomer(
  system: System,
  { admin }: Staff,
  facts: Parameters<typeof registrationOf>[1] = {},
): Promise<Customer> {
  const registration = registrationOf(`E-${randomUUID().slice(0, 8)}`, facts);
  const registered = taken(await admin.post('/agreements', registration), 201, registeredSchema);
  const [kmsKey] = registered.keys;
  const at = (name: string) => `${name}@${registration.agreementNumber.toLowerCase()}.example`;
  const [ines, tom, carla] = await Promise.all(['ines', 'tom', 'carla'].map((name) => system.signIn(at(name))));
  if (ines === undefined || tom === undefined || carla === undefined) throw new Error('not all are signed in');
  return { agreementId: registered.agreementId, registration, kmsKey: kmsKeySchema.parse(kmsKey), ines, tom, carla };
}

/** Gets the customer a MAK; with 20 licenses or fewer of its group it allows 50 activations. */
export async function issueMak({ agreementId, ines }: Customer, productGroup: ProductGroup = 'client') {
  return taken(await ines.post(`/agreements/${agreementId}/keys`, { type: 'MAK', productGroup }), 201, makSchema);
}

export async function reveal({ ines }: Customer, { keyId }: { readonly keyId: string }): Promise<string> {
  return taken(await ines.post(`/keys/${keyId}/reveal`), 200, revealedSchema).productKey;
}

export async function makNow({ ines }: Customer, { keyId }: { readonly keyId: string }) {
  return taken(await ines.get(`/keys/${keyId}`), 200, makSchema);
}

export async function kmsKeyNow({ ines, kmsKey }: Customer) {
  return taken(await ines.get(`/keys/${kmsKey.keyId}`), 200, kmsKeySchema);
}

/** A machine that activates: each number is one machine. */
export function activate(
  { ask }: System,
  productKey: string,
  machine: number,
  product: Product = 'windows-vista-business',
): Promise<Answer> {
  const body = { productKey, installationId: installationId(machine), product, machineName: `PC-${machine}` };
  return ask({ method: 'POST', path: '/activations', body });
}

/** Activates the machines from one number to another, all at once. */
export function activateAll(system: System, productKey: string, from: number, to: number): Promise<Answer[]> {
  return Promise.all(Array.from({ length: to - from + 1 }, (_, index) => activate(system, productKey, from + index)));
}

/** A complete request of Inés's: MAKADD, more than the call centre can give, nothing to flag. */
export function intakeOf(
  { registration }: Customer,
  { lastFive }: { readonly lastFive: string },
  facts: Readonly<Record<string, unknown>> = {},
) {
  const [requester] = registration.contacts;
  return {
    kind: 'MAKADD',
    organizationName: registration.organization.name,
    agreementNumber: registration.agreementNumber,
    requester,
    product: 'windows-vista-business',
    keyLastFive: lastFive,
    activationsRequested: 150,
    businessReason: 'Two new schools open in autumn.',
    requiredDate: '2099-01-04',
    ...facts,
  };
}

/** The same for the customer's KMS key: ten more host places. */
export function kmsIntakeOf(customer: Customer, facts: Readonly<Record<string, unknown>> = {}) {
  return intakeOf(customer, customer.kmsKey, {
    kind: 'KMSADD',
    product: 'windows-server-2008-standard',
    activationsRequested: 10,
    ...facts,
  });
}

/** Sends a request that is taken, and waits until its workflow waits for somebody. Answers how it stands then. */
export async function request(
  system: System,
  customer: Customer,
  intake: Readonly<Record<string, unknown>>,
): Promise<Exception> {
  const { exceptionId } = taken(await customer.ines.post('/exceptions', intake), 202, exceptionSchema);
  await system.settle();
  return exceptionNow(customer, exceptionId);
}

export async function exceptionNow({ ines }: Customer, exceptionId: string): Promise<Exception> {
  return taken(await ines.get(`/exceptions/${exceptionId}`), 200, exceptionSchema);
}

/** What an approval mail carries: the way to the page, and the code for it. */
export type Link = { readonly path: string; readonly code: string };

/** The link in a mail; undefined in one that carries none. */
export function linkIn({ text }: Mail): Link | undefined {
  const path = /https?:\/\/[^/\s]+(\/approvals\/[\w-]+)/.exec(text ?? '')?.[1];
  const code = /\b(\d{6})\b/.exec(text?.replaceAll(/\S*\/\S*/g, '') ?? '')?.[1];
  return path === undefined || code === undefined ? undefined : { path, code };
}

/** The links that the Notices Correspondent has been mailed, oldest first. */
export async function linksOf(system: System, { carla }: Customer): Promise<readonly Link[]> {
  return (await system.mailsTo(carla.email)).flatMap((mail) => linkIn(mail) ?? []);
}

export async function newestLink(system: System, customer: Customer): Promise<Link> {
  const newest = (await linksOf(system, customer)).at(-1);
  if (newest === undefined) throw new Error(`No approval mail came to ${customer.carla.email}.`);
  return newest;
}

/** Decides by the form of the page. */
export function decide(
  { ask }: System,
  { path, code }: Link,
  decision: 'approve' | 'deny',
  comment = '',
): Promise<Answer> {
  return ask({ method: 'POST', path, body: new URLSearchParams({ code, decision, comment }) });
}

/** A six-digit code that is not this one. */
export function anotherCode(code: string): string {
  return String((Number(code) + 1) % 1_000_000).padStart(6, '0');
}
