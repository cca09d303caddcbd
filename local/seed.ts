import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StaffRole } from '../functions/manifest.ts';

/** A user of the sample data, with a description of the role. */
export type SeedUser = {
  readonly name: string;
  readonly email: string;
  readonly roles: readonly StaffRole[];
  readonly description: string;
};

export const ada: SeedUser = {
  name: 'Ada Lind',
  email: 'ada.lind@contoso.example',
  roles: [],
  description: 'license administrator of Contoso',
};
const mei: SeedUser = {
  name: 'Mei Tan',
  email: 'mei.tan@lakeside.example',
  roles: [],
  description: 'license administrator of Lakeside Schools',
};
export const olga: SeedUser = {
  name: 'Olga Berg',
  email: 'olga.berg@vendor.example',
  roles: ['licensing-admins'],
  description: 'registers agreements for the vendor',
};

export const seedUsers: readonly SeedUser[] = [
  ada,
  {
    name: 'Noor Haddad',
    email: 'noor.haddad@contoso.example',
    roles: [],
    description: 'Notices Correspondent of Contoso, who approves',
  },
  mei,
  {
    name: 'Carla Ortiz',
    email: 'carla.ortiz@vendor.example',
    roles: ['call-center'],
    description: 'answers the phone in the call center',
  },
  {
    name: 'Tomas Novak',
    email: 'tomas.novak@vendor.example',
    roles: ['exceptions-team'],
    description: 'reviews requests in the exceptions team',
  },
  olga,
];

const person = (name: string, email: string) => ({ name, email, phone: '+1 425 555 0100' });

/** The agreement of the first steps. */
export const contoso = {
  program: 'enterprise',
  level: 'A',
  agreementNumber: 'V4407182',
  organization: { name: 'Contoso Ltd', country: 'US', language: 'en' },
  products: [
    { product: 'windows-vista-enterprise', licenses: 40 },
    { product: 'windows-server-2008-standard', licenses: 6 },
  ],
  contacts: [person(ada.name, ada.email), person('Jorge Ruiz', 'jorge.ruiz@contoso.example')],
  noticesCorrespondent: person('Noor Haddad', 'noor.haddad@contoso.example'),
};

const lakeside = {
  program: 'campus-and-school',
  level: null,
  agreementNumber: 'C2290417',
  organization: { name: 'Lakeside Schools', country: 'US', language: 'en' },
  products: [{ product: 'windows-vista-business', licenses: 900 }],
  contacts: [person(mei.name, mei.email)],
  noticesCorrespondent: person('Ruth Okafor', 'ruth.okafor@lakeside.example'),
};

const fabrikam = {
  program: 'open',
  authorizationNumber: '61204577ZZE0912',
  licenseNumber: '41980233',
  organization: { name: 'Fabrikam Bakery', country: 'CA', language: 'en' },
  products: [{ product: 'windows-vista-business', licenses: 12 }],
  contacts: [person('Paul Roy', 'paul.roy@fabrikam.example')],
  noticesCorrespondent: person('Paul Roy', 'paul.roy@fabrikam.example'),
};

/** Contoso's MAK is almost used up, so that it takes few steps to reach the limit. */
const activationsUsed = 48;

/** Sends a request to the API as a user, or without a token, as machines do. */
export type CallApi = (
  method: string,
  path: string,
  body?: unknown,
  as?: SeedUser,
) => Promise<{ readonly status: number; readonly body: unknown }>;

/**
 * Creates the sample data through the API: three organizations, their keys, and machines that use them. In a `folder`, a
 * marker file prevents a second run. If a kill interrupts the seeding, the next start completes it.
 */
export async function seed(callApi: CallApi, folder: string | undefined): Promise<void> {
  const markerFile = folder === undefined ? undefined : join(folder, 'seeded');
  if (markerFile !== undefined && existsSync(markerFile)) return;

  const get = async (path: string, as: SeedUser) => expectStatus(await callApi('GET', path, undefined, as), 200);
  const post = async (path: string, body: unknown, ...more: [as?: SeedUser]) =>
    // A 409 is an item from an earlier start that was interrupted.
    expectStatus(await callApi('POST', path, body, ...more), 200, 201, 204, 409);

  await Promise.all([contoso, lakeside, fabrikam].map((agreement) => post('/agreements', agreement, olga)));
  await Promise.all([
    post(`/agreements/${contoso.agreementNumber}/keys`, { type: 'MAK', productGroup: 'client' }, ada),
    post(`/agreements/${lakeside.agreementNumber}/keys`, { type: 'MAK', productGroup: 'client' }, mei),
  ]);
  const keys = itemsIn(await get(`/agreements/${contoso.agreementNumber}/keys`, ada));
  const revealProductKey = async (type: string) => {
    const key = keys.find((each) => textIn(each, 'type') === type);
    return textIn(await post(`/keys/${textIn(key, 'keyId')}/reveal`, {}, ada), 'productKey');
  };
  const [mak, kms] = await Promise.all([revealProductKey('MAK'), revealProductKey('KMS')]);

  for (const [site, clients] of [
    ['SEATTLE', 31],
    ['TACOMA', 12],
  ] as const) {
    const installationId = installationIdOf(1_000 + clients);
    const machineName = `${site}-KMS`;
    const product = 'windows-server-2008-standard';
    await post('/activations', { productKey: kms, installationId, product, machineName });
    await post('/kms-hosts/client-reports', { productKey: kms, installationId, clients });
  }
  // The last request, because it leaves an alert in the outbox. Seeding does not wait for that email.
  const batch = await post('/activations/batch', {
    productKey: mak,
    activations: Array.from({ length: activationsUsed }, (_, index) => ({
      installationId: installationIdOf(index + 1),
      product: 'windows-vista-enterprise',
      machineName: `CONTOSO-PC-${String(index + 1).padStart(3, '0')}`,
    })),
  });
  if (JSON.stringify(batch).includes('"problem"'))
    throw new Error(`The API refused the sample data: ${JSON.stringify(batch)}`);
  if (markerFile !== undefined) writeFileSync(markerFile, '');
}

/**
 * Returns the installation ID of a sample machine, always the same for the same number: nine groups of five digits and a
 * Luhn check digit.
 */
export function installationIdOf(machine: number): string {
  return Array.from({ length: 9 }, (_, group) => {
    const digits = String((machine * 7_919 + group * 10_007) % 100_000).padStart(5, '0');
    const sum = [...digits].reduce((total, digit, index) => {
      const value = Number(digit) * (index % 2 === 0 ? 2 : 1);
      return total + (value > 9 ? value - 9 : value);
    }, 0);
    return `${digits}${(10 - (sum % 10)) % 10}`;
  }).join('');
}

function expectStatus({ status, body }: Awaited<ReturnType<CallApi>>, ...expected: readonly number[]): unknown {
  if (expected.includes(status)) return body;
  throw new Error(
    `The API refused the sample data with ${status} instead of ${expected.join(' or ')}: ${JSON.stringify(body)}`,
  );
}

/** Returns a string member of a response. Throws if there is none. */
export function textIn(body: unknown, name: string): string {
  const value = memberOf(body, name);
  if (typeof value !== 'string') throw new Error(`The response of the API has no ${name}.`);
  return value;
}

/** Returns the items of a response. Throws if there are none. */
export function itemsIn(body: unknown): readonly unknown[] {
  const items = memberOf(body, 'items');
  if (!Array.isArray(items)) throw new Error('The response of the API has no items.');
  return items;
}

function memberOf(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
}
