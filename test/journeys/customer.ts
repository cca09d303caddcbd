import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { Agreement } from '../../domain/agreement.ts';
import type { Product, ProductGroup } from '../../domain/catalog.ts';
import { installationId } from '../builders.ts';
import type { Exception, Mail } from './contract.ts';
import {
  exceptionSchema,
  expectStatus,
  kmsKeySchema,
  makSchema,
  registeredSchema,
  revealedSchema,
} from './contract.ts';
import type { HttpResponse } from './response.ts';
import type { SignedInUser, System } from './system.ts';

/** The users of the vendor, signed in. */
export type Staff = { readonly admin: SignedInUser; readonly agent: SignedInUser; readonly team: SignedInUser };

export async function signInStaff(system: System): Promise<Staff> {
  const [admin, agent, team] = await Promise.all([
    system.signIn('olga.berg@vendor.example', 'licensing-admins'),
    system.signIn('carla.ortiz@vendor.example', 'call-center'),
    system.signIn('tomas.novak@vendor.example', 'exceptions-team'),
  ]);
  return { admin, agent, team };
}

/** An organization with an agreement and a KMS key. No other customer has its email addresses. */
export type Customer = {
  readonly agreementId: string;
  /** The body of its registration. */
  readonly registration: ReturnType<typeof registrationOf>;
  readonly kmsKey: z.infer<typeof kmsKeySchema>;
  /** Two contacts on the Authorized Contact List. */
  readonly ines: SignedInUser;
  readonly jorge: SignedInUser;
  /** The Notices Correspondent, who is not on the list. */
  readonly noor: SignedInUser;
};

const phone = '+1 425 555 0101';

export function registrationOf(
  agreementNumber: string,
  overrides: Partial<Pick<Agreement, 'level' | 'products'>> = {},
) {
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
      { name: 'Jorge Ruiz', email: `jorge@${at}`, phone },
    ],
    noticesCorrespondent: { name: 'Noor Haddad', email: `noor@${at}`, phone },
    ...overrides,
  } as const;
}

/** Registers an agreement with a unique number. Its KMS key is for the group server-b. */
export async function newCustomer(
  system: System,
  { admin }: Staff,
  overrides: Parameters<typeof registrationOf>[1] = {},
): Promise<Customer> {
  const registration = registrationOf(`E-${randomUUID().slice(0, 8)}`, overrides);
  const registered = expectStatus(await admin.post('/agreements', registration), 201, registeredSchema);
  const [kmsKey] = registered.keys;
  const at = (name: string) => `${name}@${registration.agreementNumber.toLowerCase()}.example`;
  const [ines, jorge, noor] = await Promise.all(['ines', 'jorge', 'noor'].map((name) => system.signIn(at(name))));
  if (ines === undefined || jorge === undefined || noor === undefined) throw new Error('A sign-in failed.');
  return { agreementId: registered.agreementId, registration, kmsKey: kmsKeySchema.parse(kmsKey), ines, jorge, noor };
}

/** Issues a MAK to a customer. With at most 20 licenses in its group, its limit is 50 activations. */
export async function issueMak({ agreementId, ines }: Customer, productGroup: ProductGroup = 'client') {
  return expectStatus(
    await ines.post(`/agreements/${agreementId}/keys`, { type: 'MAK', productGroup }),
    201,
    makSchema,
  );
}

export async function revealProductKey({ ines }: Customer, { keyId }: { readonly keyId: string }): Promise<string> {
  return expectStatus(await ines.post(`/keys/${keyId}/reveal`), 200, revealedSchema).productKey;
}

export async function getMak({ ines }: Customer, { keyId }: { readonly keyId: string }) {
  return expectStatus(await ines.get(`/keys/${keyId}`), 200, makSchema);
}

export async function getKmsKey({ ines, kmsKey }: Customer) {
  return expectStatus(await ines.get(`/keys/${kmsKey.keyId}`), 200, kmsKeySchema);
}

/** Activates a machine. Each number is one machine. */
export function activate(
  { send }: System,
  productKey: string,
  machine: number,
  product: Product = 'windows-vista-business',
): Promise<HttpResponse> {
  const body = { productKey, installationId: installationId(machine), product, machineName: `PC-${machine}` };
  return send({ method: 'POST', path: '/activations', body });
}

/** Activates a range of machines concurrently. */
export function activateAll(system: System, productKey: string, from: number, to: number): Promise<HttpResponse[]> {
  return Promise.all(Array.from({ length: to - from + 1 }, (_, index) => activate(system, productKey, from + index)));
}

/** Returns a complete MAKADD of Inés: more than the call center maximum, and without flags. */
export function requestFormOf(
  { registration }: Customer,
  { lastFive }: { readonly lastFive: string },
  overrides: Readonly<Record<string, unknown>> = {},
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
    ...overrides,
  };
}

/** Returns a complete KMSADD for the customer's KMS key: ten more hosts. */
export function kmsRequestFormOf(customer: Customer, overrides: Readonly<Record<string, unknown>> = {}) {
  return requestFormOf(customer, customer.kmsKey, {
    kind: 'KMSADD',
    product: 'windows-server-2008-standard',
    activationsRequested: 10,
    ...overrides,
  });
}

/** Submits a request, waits until its workflow is idle, and returns the request. */
export async function submitRequest(
  system: System,
  customer: Customer,
  form: Readonly<Record<string, unknown>>,
): Promise<Exception> {
  const { exceptionId } = expectStatus(await customer.ines.post('/exceptions', form), 202, exceptionSchema);
  await system.settle();
  return getException(customer, exceptionId);
}

export async function getException({ ines }: Customer, exceptionId: string): Promise<Exception> {
  return expectStatus(await ines.get(`/exceptions/${exceptionId}`), 200, exceptionSchema);
}

/** The path and the code in an approval email. */
export type ApprovalLink = { readonly path: string; readonly code: string };

/** Returns the approval link of an email, or undefined if it has none. */
export function approvalLinkIn({ text }: Mail): ApprovalLink | undefined {
  const path = /https?:\/\/[^/\s]+(\/approvals\/[\w-]+)/.exec(text ?? '')?.[1];
  const code = /^Code: (\d{6})$/m.exec(text ?? '')?.[1];
  return path === undefined || code === undefined ? undefined : { path, code };
}

/** Returns the links in the emails to the Notices Correspondent, oldest first. */
export async function approvalLinksOf(system: System, { noor }: Customer): Promise<readonly ApprovalLink[]> {
  return (await system.mailsTo(noor.email)).flatMap((mail) => approvalLinkIn(mail) ?? []);
}

export async function newestLink(system: System, customer: Customer): Promise<ApprovalLink> {
  const newest = (await approvalLinksOf(system, customer)).at(-1);
  if (newest === undefined) throw new Error(`No approval email came to ${customer.noor.email}.`);
  return newest;
}

/** Requests a code on the page of the newest approval email, as strict mode asks for, and returns the link with it. */
export async function newestStrictLink(system: System, { noor }: Customer): Promise<ApprovalLink> {
  const texts = async () => (await system.mailsTo(noor.email)).map(({ text }) => text ?? '');
  const paths = (await texts()).flatMap((text) => /https?:\/\/[^/\s]+(\/approvals\/[\w-]+)/.exec(text)?.[1] ?? []);
  const path = paths.at(-1);
  if (path === undefined) throw new Error(`No approval email came to ${noor.email}.`);
  const { status } = await system.send({ method: 'POST', path: `${path}/codes`, body: new URLSearchParams() });
  if (status !== 202) throw new Error(`The code was refused with ${status}.`);
  const code = (await texts()).flatMap((text) => /^Code: (\d{8})$/m.exec(text)?.[1] ?? []).at(-1);
  if (code === undefined) throw new Error(`No code came to ${noor.email}.`);
  return { path, code };
}

/** Submits a decision in the form of the approval page. */
export function decide(
  { send }: System,
  { path, code }: ApprovalLink,
  decision: 'approve' | 'deny',
  comment = '',
): Promise<HttpResponse> {
  return send({ method: 'POST', path, body: new URLSearchParams({ code, decision, comment }) });
}

/** Returns another six-digit code. */
export function anotherCode(code: string): string {
  return String((Number(code) + 1) % 1_000_000).padStart(6, '0');
}
