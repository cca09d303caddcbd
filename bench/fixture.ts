import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { Agreement } from '../domain/agreement.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { instant } from '../domain/calendar/instant.ts';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import { installationIdFrom } from '../domain/keys/installation-id.ts';
import { generateProductKey } from '../domain/keys/product-key.ts';
import type { Policy } from '../domain/policy.ts';
import { policySchema } from '../domain/policy.ts';
import { Secret } from '../domain/secret.ts';
import { startDynamoDb } from '../local/emulators/dynamodb.ts';
import { registerAgreement } from '../store/agreements.ts';
import { createTable } from '../store/dynamodb/create-table.ts';
import { createDocumentClient } from '../store/dynamodb/table.ts';
import { issueMak, readKey } from '../store/keys.ts';
import type { Activation, BucketLayout } from '../store/mak-bucket.ts';
import type { Store } from '../store/store.ts';
import { openVault } from '../store/vault.ts';

/* The fixture of every measurement: the DynamoDB emulator, an empty table, and keys of a chosen size. */

export const fixedNow: Instant = instant('2026-06-01T16:00:00Z');
export const policy: Policy = policySchema.parse(JSON.parse(readFileSync('policy.json', 'utf8')));
export const rootSecret = 'a root secret for measurements, longer than 32 bytes';

export async function startEmulator(): Promise<{ stop(): Promise<void> }> {
  const dynamoDb = await startDynamoDb({});
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_DYNAMODB: dynamoDb.endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  });
  return dynamoDb;
}

let tables = 0;

/** Returns a store with an empty table of its own. By default it has no stream, which would slow down the emulator. */
export async function newStore({ hasStream = false } = {}): Promise<Store> {
  tables += 1;
  const tableName = `bench-${process.pid}-${tables}`;
  await createTable(tableName, { hasStream });
  return {
    client: createDocumentClient(),
    tableName,
    vault: openVault(new Secret(rootSecret)),
    policy,
    backOff: (attempt) => wait(randomInt(5 * 2 ** Math.min(attempt, 6))),
  };
}

export function anAgreement(agreementId: string, licenses: number): Agreement {
  const person = { name: 'Ada Lind', email: `ada@${agreementId.toLowerCase()}.example`, phone: '1' };
  return {
    agreementId,
    program: 'open',
    level: null,
    numbers: { agreementNumber: agreementId },
    organization: { name: `Organization ${agreementId}`, country: 'US', language: 'en' },
    products: [{ product: 'windows-vista-enterprise', licenses }],
    contacts: [person],
    noticesCorrespondent: { ...person, email: `noor@${agreementId.toLowerCase()}.example` },
    pendingNoticesCorrespondent: null,
    deputy: null,
  };
}

export const drawKey = () => generateProductKey(randomInt);

/** Registers an agreement and issues a MAK with exactly that limit, which is at least 50. */
export async function issueMakWithLimit(store: Store, agreementId: string, limit: number): Promise<BucketLayout> {
  const agreement = anAgreement(agreementId, 1);
  const { floor } = store.policy.initialMakLimit;
  const sizedStore = {
    ...store,
    policy: { ...store.policy, initialMakLimit: { ...store.policy.initialMakLimit, floor: limit || floor } },
  };
  await registerAgreement(sizedStore, agreement, drawKey, {
    actor: 'bench',
    operationId: agreementId,
    now: fixedNow,
    policy: sizedStore.policy,
  });
  const issued = await issueMak(
    sizedStore,
    agreement,
    { productGroup: 'client', drawKey: drawKey },
    { actor: 'bench', operationId: `mak ${agreementId}`, now: fixedNow, policy: sizedStore.policy },
  );
  if (!issued.ok) throw new Error(issued.refusal.detail);
  const key = await readKey(store, issued.value.keyId);
  if (key === undefined) throw new Error('The issued key is missing.');
  return { keyId: key.value.keyId, bucketCount: key.internal.bucketCount };
}

/** Returns the full product key. */
export async function revealProductKey(store: Store, keyId: string): Promise<string> {
  const key = await readKey(store, keyId);
  if (key === undefined) throw new Error('There is no such key.');
  return store.vault.openProductKey(key.internal.sealedKey, keyId).reveal();
}

/** Returns an integer from 0 up to but not including the bound. */
type RandomBelow = (bound: number) => number;

export function randomInstallationId(below: RandomBelow = randomInt): InstallationId {
  return installationIdFrom(Array.from({ length: 9 }, () => String(below(100_000)).padStart(5, '0')).join(''));
}

export function randomActivation(below: RandomBelow = randomInt): Activation {
  return {
    installationId: randomInstallationId(below),
    product: 'windows-vista-enterprise',
    machineName: `CONTOSO-PC-${below(10_000)}`,
    activatedAt: fixedNow,
  };
}

export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

/** Returns the smallest of the numbers that is not exceeded by the given share of them. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
