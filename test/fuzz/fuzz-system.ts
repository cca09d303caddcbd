import type { StaffRole } from '../../functions/manifest.ts';

// The system under test, as far as a run knows it: the registered customers with their keys and requests, and values
// from earlier responses. A request is generated before these exist. It refers to them by number, and the number is
// resolved when the request is sent.

export type CallApi = (
  method: string,
  path: string,
  body?: unknown,
  token?: string,
) => Promise<{ readonly status: number; readonly body: unknown }>;

export type KnownKey = {
  readonly keyId: string;
  readonly type: 'MAK' | 'KMS';
  readonly productGroup: string;
  readonly status: string;
  readonly lastFive: string;
  /** Undefined for a key that was never revealed. */
  readonly productKey: string | undefined;
};

export type KnownPerson = { readonly name: string; readonly email: string; readonly phone: string };

export type Customer = {
  readonly agreementId: string;
  readonly numbers: Readonly<Record<string, string>>;
  readonly organizationName: string;
  readonly contacts: readonly KnownPerson[];
  readonly correspondent: KnownPerson;
  readonly keys: KnownKey[];
  readonly exceptionIds: string[];
  /** Approval links from emails to the Correspondent, with their codes. */
  readonly links: { readonly token: string; readonly code: string }[];
  readonly disputes: string[];
};

/** A caller of the API, with the token that the caller sends. */
export type Caller = {
  readonly name: string;
  readonly roles: readonly StaffRole[];
  readonly token: string | undefined;
};

export type FuzzSystem = {
  readonly customers: Customer[];
  readonly staff: Readonly<Record<StaffRole, Caller>>;
  /** Signed in, and not on any agreement. */
  readonly outsider: Caller;
  /** Callers without a valid token: none, malformed, expired, or changed after signing. */
  readonly unauthenticated: readonly Caller[];
  readonly tokens: Map<string, string>;
  /** The values of `nextCursor` in earlier responses. */
  readonly cursors: string[];
  /** Ids of the keys that a contact has tried to reveal. */
  readonly revealAttempts: Set<string>;
};

const phone = '+1 425 555 0100';
const productsOf: Readonly<Record<string, string>> = {
  client: 'windows-vista-business',
  'server-a': 'windows-web-server-2008',
  'server-b': 'windows-server-2008-standard',
  'server-c': 'windows-server-2008-datacenter',
};

/** Returns a product that a key covers. */
export function productFor({ productGroup }: Pick<KnownKey, 'productGroup'>): string {
  return productsOf[productGroup] ?? 'windows-vista-business';
}

/** Returns the customer with that number, modulo the number of customers. */
export function customerAt({ customers }: FuzzSystem, number: number): Customer {
  return pick(customers, number);
}

export function pick<Each>(list: readonly Each[], number: number): Each {
  const element = list[number % list.length];
  if (element === undefined) throw new Error('The list is empty.');
  return element;
}

/** Registers customers through the API of an empty system, issues their keys, and signs in all callers. */
export async function setUpFuzzSystem(callApi: CallApi): Promise<FuzzSystem> {
  const signIn = async (email: string, ...roles: readonly StaffRole[]): Promise<Caller> => {
    const { body } = await callApi('POST', '/_local/tokens', { email, roles });
    return { name: email, roles, token: textOf(body, 'token') };
  };
  const expired = { ...(await signIn('ines@fuzz-0.example')), name: 'ines@fuzz-0.example, three months ago' };
  const { status, body } = await callApi('POST', '/_local/clock', { advance: 'P91D' });
  if (status !== 200) throw new Error(`The clock did not advance: ${JSON.stringify(body)}`);
  const staff = {
    'licensing-admins': await signIn('olga.berg@vendor.example', 'licensing-admins'),
    'call-center': await signIn('carla.ortiz@vendor.example', 'call-center'),
    'exceptions-team': await signIn('tomas.novak@vendor.example', 'exceptions-team'),
  };
  const outsider = await signIn('mallory@nowhere.example');
  const system: FuzzSystem = {
    customers: [],
    staff,
    outsider,
    unauthenticated: [
      { name: 'a caller without a token', roles: [], token: undefined },
      expired,
      { name: 'a caller with a changed token', roles: [], token: tamperedToken(staff['licensing-admins'].token ?? '') },
      { name: 'a caller with an unsigned token', roles: [], token: unsignedToken(outsider.token ?? '') },
      { name: 'a caller with a malformed token', roles: [], token: 'admin' },
    ],
    tokens: new Map(),
    cursors: [],
    revealAttempts: new Set(),
  };
  for (const program of ['enterprise', 'open', 'campus-and-school', 'select'])
    await registerCustomer(system, callApi, program);
  for (const { contacts, correspondent } of system.customers) {
    for (const { email } of [...contacts, correspondent]) {
      system.tokens.set(email, (await signIn(email)).token ?? '');
    }
  }
  for (const customer of system.customers) await revealKeysOf(system, callApi, customer);
  return system;
}

async function registerCustomer(system: FuzzSystem, callApi: CallApi, program: string): Promise<void> {
  const number = system.customers.length;
  const at = (name: string) => `${name.toLowerCase()}@fuzz-${number}.example`;
  const person = (name: string) => ({ name, email: at(name), phone });
  const numbers: Record<string, string> =
    program === 'open'
      ? { authorizationNumber: `AUTH${number}`, licenseNumber: `LIC${number}` }
      : { agreementNumber: `FUZZ-${number}` };
  const contacts = [person('Ines'), person('Jorge')];
  const correspondent = person('Noor');
  const agreement = {
    program,
    ...numbers,
    organization: { name: `Fuzz ${number}`, country: 'US', language: 'en' },
    products: Object.values(productsOf).map((product) => ({ product, licenses: 10 })),
    contacts,
    noticesCorrespondent: correspondent,
  };
  const { status, body } = await callApi('POST', '/agreements', agreement, system.staff['licensing-admins'].token);
  if (status !== 201) throw new Error(`Registering an agreement returned ${status}: ${JSON.stringify(body)}`);
  system.customers.push({
    agreementId: textOf(body, 'agreementId'),
    numbers,
    organizationName: `Fuzz ${number}`,
    contacts,
    correspondent,
    keys: [],
    exceptionIds: [],
    links: [],
    disputes: [],
  });
}

/** Issues a MAK and reveals all keys of a customer. */
async function revealKeysOf(system: FuzzSystem, callApi: CallApi, customer: Customer): Promise<void> {
  const token = system.tokens.get(customer.contacts[0]?.email ?? '');
  const { agreementId } = customer;
  await callApi('POST', `/agreements/${agreementId}/keys`, { type: 'MAK', productGroup: 'client' }, token);
  const { body } = await callApi('GET', `/agreements/${agreementId}/keys`, undefined, token);
  for (const key of itemsIn(body)) {
    const keyId = textOf(key, 'keyId');
    const revealed = await callApi('POST', `/keys/${keyId}/reveal`, {}, token);
    recordKey(customer, key, textOf(revealed.body, 'productKey'));
  }
}

function recordKey(customer: Customer, key: unknown, productKey?: string): void {
  const keyId = textOf(key, 'keyId');
  const index = customer.keys.findIndex((each) => each.keyId === keyId);
  const knownKey = {
    keyId,
    type: textOf(key, 'type') === 'KMS' ? 'KMS' : 'MAK',
    productGroup: textOf(key, 'productGroup'),
    status: textOf(key, 'status'),
    lastFive: textOf(key, 'lastFive'),
    productKey: productKey ?? customer.keys[index]?.productKey,
  } as const;
  if (index >= 0) customer.keys[index] = knownKey;
  else customer.keys.push(knownKey);
}

/** Records the keys, requests, and cursors in a response, so that later requests can refer to them. */
export function recordResponse(system: FuzzSystem, body: unknown): void {
  if (typeof body !== 'object' || body === null) return;
  const cursor = member(body, 'nextCursor');
  if (typeof cursor === 'string' && system.cursors.length < 500) system.cursors.push(cursor);
  const candidates = [
    body,
    member(body, 'issued'),
    member(body, 'blocked'),
    ...itemsIn(body),
    ...arrayIn(body, 'keys'),
  ];
  for (const each of candidates) {
    const customer = system.customers.find(({ agreementId }) => agreementId === member(each, 'agreementId'));
    if (customer === undefined) continue;
    if (member(each, 'masked') !== undefined) recordKey(customer, each);
    const exceptionId = member(each, 'exceptionId');
    if (typeof exceptionId === 'string' && !customer.exceptionIds.includes(exceptionId)) {
      customer.exceptionIds.push(exceptionId);
    }
  }
}

/** Records a revealed product key. */
export function recordProductKey(system: FuzzSystem, keyId: string, productKey: string): void {
  for (const { keys } of system.customers) {
    const index = keys.findIndex((key) => key.keyId === keyId);
    const key = keys[index];
    if (key !== undefined) keys[index] = { ...key, productKey };
  }
}

/** Reveals the keys that were issued since the last call. */
export async function revealNewKeys(system: FuzzSystem, callApi: CallApi): Promise<void> {
  for (const { keys, contacts } of system.customers) {
    for (const { keyId, productKey } of keys) {
      if (productKey !== undefined || system.revealAttempts.has(keyId)) continue;
      system.revealAttempts.add(keyId);
      const revealed = await callApi('POST', `/keys/${keyId}/reveal`, {}, system.tokens.get(contacts[0]?.email ?? ''));
      if (revealed.status === 200) recordProductKey(system, keyId, textOf(revealed.body, 'productKey'));
    }
  }
}

/** Records the new approval and dispute links in the mailbox of a customer's Correspondent. */
export async function collectLinks({ correspondent, links, disputes }: Customer, callApi: CallApi): Promise<void> {
  const { body } = await callApi('GET', `/_local/mail?to=${encodeURIComponent(correspondent.email)}`);
  // The newest email comes first, and the newest link must be the last.
  for (const email of itemsIn(body).toReversed()) {
    const text = String(member(email, 'text') ?? '');
    const token = /\/approvals\/([\w-]+)/.exec(text)?.[1];
    const code = /^Code: (\d{6})$/m.exec(text)?.[1];
    // With a strict policy, the code is sent separately and the email contains only the link.
    if (token !== undefined && !links.some((link) => link.token === token)) {
      links.push({ token, code: code ?? '00000000' });
    }
    const dispute = /\/disputes\/([\w-]+)/.exec(text)?.[1];
    if (dispute !== undefined && !disputes.includes(dispute)) disputes.push(dispute);
  }
}

/** Returns a token whose claims were changed after it was signed. */
function tamperedToken(token: string): string {
  const [head = '', claims = '', signature = ''] = token.split('.');
  const originalClaims = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'));
  return [
    head,
    encodeBase64Url({ ...originalClaims, email: 'olga.berg@vendor.example', sub: 'changed' }),
    signature,
  ].join('.');
}

/** Returns a token with the same claims and without a signature. */
function unsignedToken(token: string): string {
  const [, claims = ''] = token.split('.');
  return [encodeBase64Url({ alg: 'none', typ: 'JWT' }), claims, ''].join('.');
}

function encodeBase64Url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

// ---- Reading responses

export function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

export function textOf(value: unknown, name: string): string {
  const text = member(value, name);
  if (typeof text !== 'string') throw new Error(`A response has no ${name}: ${JSON.stringify(value)}`);
  return text;
}

function arrayIn(value: unknown, name: string): readonly unknown[] {
  const list = member(value, name);
  return Array.isArray(list) ? list : [];
}

export function itemsIn(value: unknown): readonly unknown[] {
  return arrayIn(value, 'items');
}
