import type { ProductGroup } from '../domain/catalog.ts';
import { confirmationIdFrom, type InstallationId, parseInstallationId } from '../domain/installation-id.ts';
import type { Instant } from '../domain/instant.ts';
import { refusedUnlessCovered, refusedUnlessLive } from '../domain/key.ts';
import { refusedAtLimit } from '../domain/mak.ts';
import { parseProductKey } from '../domain/product-key.ts';
import { refuse } from '../domain/refusal.ts';
import type { Secret } from '../domain/secret.ts';
import type { KeptKey } from '../store/keys.ts';
import { activateKmsHost, readKey, recordClients } from '../store/keys.ts';
import type { Activation } from '../store/mak-buckets.ts';
import { activateOnMak } from '../store/mak-buckets.ts';
import type { Store } from '../store/table.ts';
import type { Answer, RefusedAs } from './http.ts';
import { http } from './http.ts';
import { theStore } from './the-store.ts';

export const handler = http('activation', {
  'POST /activations': async ({ body, operation, now }) => {
    const store = theStore();
    const installation = parseInstallationId(body.installationId);
    if (!installation.ok) return installation;
    const keyId = keyIdFrom(store, body.productKey);
    if (keyId === undefined) return unknownKey();
    const { installationId } = installation;
    const { product, machineName = null } = body;
    return activate(store, keyId, { installationId, product, machineName, activatedAt: now }, operation);
  },

  'POST /kms-hosts/client-reports': async ({ body, operation, now }) => {
    const store = theStore();
    const installation = parseInstallationId(body.installationId);
    if (!installation.ok) return installation;
    const keyId = keyIdFrom(store, body.productKey);
    if (keyId === undefined) return unknownKey();
    const report = { installationId: installation.installationId, clients: body.clients };
    const outcome = await recordClients(store, keyId, report, operation, now);
    if (outcome === undefined) return unknownKey();
    if (!outcome.ok) return outcome;
    return outcome.answer.known
      ? { status: 204 }
      : refuse(
          'not-found',
          'No KMS host with this installation id has activated with this key. Activate the host first.',
        );
  },
});

function keyIdFrom(store: Store, typed: Secret): string | undefined {
  const productKey = parseProductKey(typed.reveal());
  return productKey === undefined ? undefined : store.vault.keyIdOf(productKey);
}

function unknownKey(): RefusedAs {
  return refuse(
    'unknown-key',
    'No key like this was ever issued. Check each of its 25 symbols; a key has no 0, 1, 5, A, E, I, L, N, O, S, U or Z.',
  );
}

/**
 * What a warm function remembers of a key: only what never changes, or is found out to have changed by the write itself.
 * With it a machine's activation is one conditional write.
 */
type Remembered = {
  readonly type: 'MAK' | 'KMS';
  readonly productGroup: ProductGroup;
  readonly lastFive: string;
  readonly bucketCount: number;
};
const remembered = new Map<string, Remembered>();
const rememberedAtMost = 10_000;

async function recall(store: Store, keyId: string): Promise<Remembered | undefined> {
  const known = remembered.get(keyId);
  if (known !== undefined) return known;
  const key = await readKey(store, keyId);
  return key === undefined ? undefined : remember(key);
}

function remember({ state, kept }: KeptKey): Remembered {
  const { keyId, type, productGroup, lastFive } = state;
  const facts = { type, productGroup, lastFive, bucketCount: kept.bucketCount };
  if (remembered.size >= rememberedAtMost) remembered.clear();
  remembered.set(keyId, facts);
  return facts;
}

async function activate(
  store: Store,
  keyId: string,
  asked: Activation,
  operation: string,
): Promise<Answer | RefusedAs> {
  const facts = await recall(store, keyId);
  if (facts === undefined) return unknownKey();
  return facts.type === 'KMS' ? onKms(store, keyId, asked, operation) : onMak(store, keyId, facts, asked);
}

async function onMak(store: Store, keyId: string, facts: Remembered, asked: Activation): Promise<Answer | RefusedAs> {
  const notCovered = refusedUnlessCovered(facts, asked.product, store.policy);
  if (notCovered !== undefined) return notCovered;
  const digest = store.vault.digestOf(keyId, asked.installationId);
  const outcome = await activateOnMak(store, { keyId, bucketCount: facts.bucketCount }, digest, asked);
  switch (outcome.is) {
    case 'activated':
      return activated(store, 'MAK', keyId, asked.installationId, outcome.activation.activatedAt, 201);
    case 'known':
      return activated(store, 'MAK', keyId, asked.installationId, outcome.activation.activatedAt, 200);
    case 'laid-out-anew':
      return onMak(store, keyId, remember(await readAgain(store, keyId)), asked);
    case 'blocked':
    case 'spent': {
      const { state, kept } = await readAgain(store, keyId);
      const notLive = refusedUnlessLive(state);
      if (notLive !== undefined) return blocked(notLive);
      if (state.type !== 'MAK' || outcome.is === 'blocked') throw new Error(`Key ${keyId} and its buckets disagree.`);
      return refusedAtLimit(state, outcome.used, kept.agreement, store.policy, asked.product);
    }
  }
}

async function onKms(store: Store, keyId: string, asked: Activation, operation: string): Promise<Answer | RefusedAs> {
  const outcome = await activateKmsHost(store, keyId, asked, operation, asked.activatedAt);
  if (outcome === undefined) return unknownKey();
  if (!outcome.ok) return outcome.refusal.code === 'key-blocked' ? blocked(outcome) : outcome;
  const { host, advisory } = outcome.answer;
  const more = { uses: host.uses, ...(advisory === undefined ? {} : { advisory }) };
  return activated(store, 'KMS', keyId, asked.installationId, asked.activatedAt, 201, more);
}

/** A device may not use a blocked key: for it that is forbidden, where staff hear of a conflict. */
function blocked(refused: RefusedAs): RefusedAs {
  return { ...refused, status: 403 };
}

async function readAgain(store: Store, keyId: string): Promise<KeptKey> {
  const key = await readKey(store, keyId);
  if (key === undefined) throw new Error(`Key ${keyId} has gone; keys are never deleted.`);
  return key;
}

function activated(
  store: Store,
  keyType: 'MAK' | 'KMS',
  keyId: string,
  installationId: InstallationId,
  activatedAt: Instant,
  status: 200 | 201,
  more: object = {},
): Answer {
  const digest = store.vault.digestOf(keyId, installationId);
  const activationId = digest.subarray(0, 16).toString('hex');
  return { status, body: { activationId, confirmationId: confirmationIdFrom(digest), keyType, activatedAt, ...more } };
}
