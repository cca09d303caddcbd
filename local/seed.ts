import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StaffRole } from '../functions/manifest.ts';

/** Somebody who can sign in to the seeded world, and who they are in it. */
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

/** The agreement that the first steps are shown on. */
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

/** Contoso's MAK is nearly used up, so that the way to more of it is short. */
const activationsUsed = 48;

/** Asks the API something, as somebody or as a machine, which is nobody. */
export type CallApi = (
  method: string,
  path: string,
  body?: unknown,
  as?: SeedUser,
) => Promise<{ readonly status: number; readonly body: unknown }>;

/**
 * Makes a small world through the API itself: three organizations, their keys, and machines that use them. In a `folder`
 * it leaves word that it has, and makes nothing there again; what a kill cut short is finished at the next start.
 */
export async function seed(callApi: CallApi, folder: string | undefined): Promise<void> {
  const markerFile = folder === undefined ? undefined : join(folder, 'seeded');
  if (markerFile !== undefined && existsSync(markerFile)) return;

  const get = async (path: string, as: SeedUser) => expectStatus(await callApi('GET', path, undefined, as), 200);
  const post = async (path: string, body: unknown, ...more: [as?: SeedUser]) =>
    // What is there already was made by a start that did not get to its end.
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
  // The last, because it leaves an alert owed, and nobody need wait for that mail.
  const batch = await post('/activations/batch', {
    productKey: mak,
    activations: Array.from({ length: activationsUsed }, (_, index) => ({
      installationId: installationIdOf(index + 1),
      product: 'windows-vista-enterprise',
      machineName: `CONTOSO-PC-${String(index + 1).padStart(3, '0')}`,
    })),
  });
  if (JSON.stringify(batch).includes('"problem"')) throw new Error(`Seeding was refused: ${JSON.stringify(batch)}`);
  if (markerFile !== undefined) writeFileSync(markerFile, '');
}

/**
 * The installation id of a machine that does not exist, always the same for the same number: nine groups of five digits
 * and a Luhn check digit.
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
  throw new Error(`Seeding was answered ${status} where ${expected.join(' or ')} was expected: ${JSON.stringify(body)}`);
}

/** A member of an answer that is a text. */
export function textIn(body: unknown, name: string): string {
  const value = memberOf(body, name);
  if (typeof value !== 'string') throw new Error(`The API answered without ${name}.`);
  return value;
}

/** The items of a list that was answered. */
export function itemsIn(body: unknown): readonly unknown[] {
  const items = memberOf(body, 'items');
  if (!Array.isArray(items)) throw new Error('The API answered without a list.');
  return items;
}

function memberOf(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
}
