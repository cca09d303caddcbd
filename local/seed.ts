import { randomInt } from 'node:crypto';
import type { StaffRole } from '../functions/manifest.ts';

/** Who can sign in to the seeded world. */
export type Resident = { readonly email: string; readonly roles: readonly StaffRole[]; readonly is: string };

export const residents: readonly Resident[] = [
  {
    email: 'ada.lind@contoso.example',
    roles: [],
    is: 'license administrator of Contoso, on its Authorized Contact List',
  },
  { email: 'noor.haddad@contoso.example', roles: [], is: 'Notices Correspondent of Contoso: approves by mail' },
  { email: 'mei.tan@lakeside.example', roles: [], is: 'license administrator of Lakeside Schools' },
  { email: 'carla.agent@vendor.example', roles: ['call-center'], is: 'call-centre agent' },
  { email: 'tomas.team@vendor.example', roles: ['exceptions-team'], is: 'member of the exceptions team' },
  { email: 'olga.admin@vendor.example', roles: ['licensing-admins'], is: 'licensing administrator of the vendor' },
];

const person = (name: string, email: string) => ({ name, email, phone: '+1 425 555 0100' });

const agreements = [
  {
    program: 'enterprise',
    level: 'A',
    agreementNumber: 'V4407182',
    organization: { name: 'Contoso Ltd', country: 'US', language: 'en' },
    products: [
      { product: 'windows-vista-enterprise', licenses: 40 },
      { product: 'windows-server-2008-standard', licenses: 6 },
    ],
    contacts: [person('Ada Lind', 'ada.lind@contoso.example'), person('Jorge Ruiz', 'jorge.ruiz@contoso.example')],
    noticesCorrespondent: person('Noor Haddad', 'noor.haddad@contoso.example'),
  },
  {
    program: 'campus-and-school',
    level: null,
    agreementNumber: 'C2290417',
    organization: { name: 'Lakeside Schools', country: 'US', language: 'en' },
    products: [{ product: 'windows-vista-business', licenses: 900 }],
    contacts: [person('Mei Tan', 'mei.tan@lakeside.example')],
    noticesCorrespondent: person('Ruth Okafor', 'ruth.okafor@lakeside.example'),
  },
  {
    program: 'open',
    authorizationNumber: '61204577ZZE0912',
    licenseNumber: '41980233',
    organization: { name: 'Fabrikam Bakery', country: 'CA', language: 'en' },
    products: [{ product: 'windows-vista-business', licenses: 12 }],
    contacts: [person('Paul Roy', 'paul.roy@fabrikam.example')],
    noticesCorrespondent: person('Paul Roy', 'paul.roy@fabrikam.example'),
  },
];

/** Contoso's MAK is nearly used up, so that the way to more of it is short. */
const activationsUsed = 48;

type Ask = (method: string, path: string, body: unknown, as?: Resident) => Promise<{ status: number; body: unknown }>;

/**
 * Makes a small world through the API itself: three organizations, their keys, and machines that use them. A world that
 * is there already (the data were kept) is left as it is.
 */
export async function seed(ask: Ask): Promise<void> {
  const [ada, , mei, , , olga] = residents;
  for (const agreement of agreements) {
    const { status } = await ask('POST', '/agreements', agreement, olga);
    if (status === 409) return;
    expectStatus(status, 201);
  }
  const contoso = await ask('POST', '/agreements/V4407182/keys', { type: 'MAK', productGroup: 'client' }, ada);
  expectStatus(contoso.status, 201);
  await ask('POST', '/agreements/C2290417/keys', { type: 'MAK', productGroup: 'client' }, mei);
  const revealed = await ask('POST', `/keys/${text(contoso.body, 'keyId')}/reveal`, {}, ada);
  const productKey = text(revealed.body, 'productKey');
  for (let machine = 1; machine <= activationsUsed; machine += 1) {
    const activation = {
      productKey,
      installationId: someInstallationId(),
      product: 'windows-vista-enterprise',
      machineName: `CONTOSO-PC-${String(machine).padStart(3, '0')}`,
    };
    expectStatus((await ask('POST', '/activations', activation)).status, 201);
  }
}

/** An installation id of a machine that does not exist: nine groups of five digits and a Luhn check digit. */
export function someInstallationId(): string {
  return Array.from({ length: 9 }, () => {
    const digits = String(randomInt(100_000)).padStart(5, '0');
    const sum = [...digits].reduce((total, digit, index) => {
      const value = Number(digit) * (index % 2 === 0 ? 2 : 1);
      return total + (value > 9 ? value - 9 : value);
    }, 0);
    return `${digits}${(10 - (sum % 10)) % 10}`;
  }).join('');
}

function expectStatus(status: number, wanted: number): void {
  if (status !== wanted) throw new Error(`Seeding was answered ${status} where ${wanted} was expected.`);
}

function text(body: unknown, name: string): string {
  const value = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
  if (typeof value !== 'string') throw new Error(`Seeding was answered without ${name}.`);
  return value;
}
