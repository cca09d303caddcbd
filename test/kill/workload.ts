import { installationId } from '../builders.ts';
import type { Prng } from '../simulation/prng.ts';
import type { Customer, CustomerRecord } from './customer.ts';
import { admin, agent, createCustomer, expectStatus, membersOf, textIn } from './customer.ts';
import { runExceptionRequest } from './exception-scenario.ts';
import type { SystemProcess } from './system-process.ts';

/** Runs all operations of one customer and returns the record of them. The system can be killed meanwhile. */
export async function runCustomer(
  system: SystemProcess,
  prng: Prng,
  number: number,
  onStart: (customerRecord: CustomerRecord) => void,
): Promise<CustomerRecord> {
  const customer = createCustomer(system, prng, number);
  const { agreementId, organization, requester, noticesCorrespondent, record, post } = customer;
  const { ines } = record.people;
  const agreement = await expectStatus(
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
      noticesCorrespondent,
    }),
  );
  onStart(record);
  const mak = await expectStatus(
    201,
    post(ines, `/agreements/${agreementId}/keys`, { type: 'MAK', productGroup: 'client' }),
  );
  const [kms] = membersOf(agreement).keys as readonly unknown[];
  const keys = { mak: textIn(mak, 'keyId'), kms: textIn(kms, 'keyId') };
  record.keys = keys;
  const reveal = async (keyId: string) =>
    textIn(await expectStatus(200, post(ines, `/keys/${keyId}/reveal`)), 'productKey');
  const makProductKey = await reveal(keys.mak);
  const kmsProductKey = await reveal(keys.kms);
  await Promise.all([
    activateComputers(customer, makProductKey),
    activateHosts(customer, kmsProductKey),
    callCallCenter(customer, keys),
    runExceptionRequest(customer, 'MAKADD', mak),
    runExceptionRequest(customer, 'KMSADD', kms),
  ]);
  return record;
}

function installationIdOf({ number }: Customer, index: number): string {
  return installationId(number * 1_000 + index);
}

/** Activates computers individually and in a batch, some of them twice at the same time. */
async function activateComputers(customer: Customer, productKey: string): Promise<void> {
  const { system, prng, record } = customer;
  const product = 'windows-vista-business';
  const count = 15 + prng.below(55);
  const batchSize = prng.chance(0.4) ? Math.min(count, 10 + prng.below(40)) : 0;
  for (let index = 0; index < count; index += 1)
    record.computers.set(installationIdOf(customer, index), { activationId: null, isRefused: false });
  const activateBatch = async () => {
    const activations = Array.from({ length: batchSize }, (_, index) => ({
      installationId: installationIdOf(customer, index),
      product,
    }));
    if (batchSize === 0) return;
    const body = await expectStatus(
      200,
      system.send({ method: 'POST', path: '/activations/batch', body: { productKey, activations } }),
    );
    for (const item of membersOf(body).results as readonly unknown[]) {
      const { installationId: computer, status, activation } = membersOf(item);
      recordActivation(record, String(computer), Number(status), membersOf(activation).activationId, false);
    }
  };
  // Some computers are in the batch and activate individually as well. They must count once.
  const singles = Array.from({ length: count }, (_, index) => index)
    .filter((index) => index >= batchSize || prng.chance(0.2))
    .flatMap((index) => (prng.chance(0.15) ? [index, index] : [index]))
    .values();
  const activateSingles = async () => {
    for (const index of singles) {
      const computer = installationIdOf(customer, index);
      const body = { productKey, installationId: computer, product, machineName: `PC-${index}` };
      // Of two concurrent requests, one can be refused and the other accepted, if the limit rises in between.
      const wasActivated = (record.computers.get(computer)?.activationId ?? null) !== null;
      const { status, body: response } = await system.send({ method: 'POST', path: '/activations', body });
      recordActivation(record, computer, status, membersOf(response).activationId, wasActivated);
    }
  };
  await Promise.all([activateBatch(), activateSingles(), activateSingles(), activateSingles()]);
}

function recordActivation(
  { agreementId, computers, problems }: CustomerRecord,
  computer: string,
  status: number,
  activationId: unknown,
  wasActivated: boolean,
): void {
  const computerRecord = computers.get(computer) ?? { activationId: null, isRefused: false };
  if (status === 200 || status === 201) {
    if (typeof activationId !== 'string') throw new Error('An activation has no id.');
    if (computerRecord.activationId !== null && computerRecord.activationId !== activationId) {
      problems.push(`${computer} of ${agreementId} activated as ${computerRecord.activationId} and as ${activationId}`);
    }
    computers.set(computer, { activationId, isRefused: false });
  } else if (status === 409) {
    if (wasActivated) problems.push(`${computer} of ${agreementId} activated and was then refused`);
    computers.set(computer, { activationId: computerRecord.activationId, isRefused: true });
  } else throw new Error(`An activation returned ${status}.`);
}

async function activateHosts(customer: Customer, productKey: string): Promise<void> {
  const { system, prng, record } = customer;
  for (let index = 0, count = 3 + prng.below(6); index < count; index += 1) {
    const host = installationIdOf(customer, 500 + index);
    const uses = { requested: 0, granted: 0 };
    record.hosts.set(host, uses);
    for (let use = 1 + prng.below(3); use > 0; use -= 1) {
      const body = { productKey, installationId: host, product: 'windows-server-2008-standard' };
      uses.requested += 1;
      const { status, lostResponses } = await system.send({ method: 'POST', path: '/activations', body });
      // A host whose response is lost and that retries can use two of its ten uses.
      uses.requested += lostResponses;
      if (status === 200 || status === 201) uses.granted += 1;
    }
  }
}

/** Phones the call center for overrides and increases, some of them twice with the same call reference. */
async function callCallCenter(customer: Customer, keys: { readonly mak: string; readonly kms: string }): Promise<void> {
  const { number, prng, record, post } = customer;
  const makeCall = async (path: string, members: object) => {
    const callReference = `C-${number}-${record.calls.size + 1}`;
    record.calls.set(callReference, null);
    const body = { ...members, callReference, callerName: 'Inés Oliveira' };
    const { status, body: grant } = await post(agent, path, body);
    const isGranted = status === 201 || status === 200;
    record.calls.set(callReference, isGranted ? Number(membersOf(grant).amount) : 0);
    if (!isGranted || !prng.chance(0.5)) return;
    // The same call under another idempotency key is the same call (OVR-4).
    const repeated = await post(agent, path, body);
    if (repeated.status !== 200)
      record.problems.push(`Call ${callReference} returned ${status}, and then ${repeated.status}`);
  };
  for (let count = 1 + prng.below(3); count > 0; count -= 1) {
    await makeCall(`/keys/${keys.kms}/overrides`, { installationId: installationIdOf(customer, 500 + prng.below(9)) });
    if (prng.chance(0.6)) await makeCall(`/keys/${keys.mak}/increases`, { newLimit: 55 + prng.below(46) });
  }
}
