import type { Instant } from '../../domain/calendar/instant.ts';
import type { Product, ProductGroup } from '../../domain/catalog.ts';
import type { Context } from '../../domain/context.ts';
import { confirmationIdFrom, type InstallationId, parseInstallationId } from '../../domain/keys/installation-id.ts';
import { refuseUnlessCovered, refuseUnlessLive } from '../../domain/keys/key.ts';
import { refuseAtLimit } from '../../domain/keys/mak.ts';
import { parseProductKey } from '../../domain/keys/product-key.ts';
import { validateInstallation } from '../../domain/keys/validation.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Secret } from '../../domain/secret.ts';
import { ContentionError } from '../../store/dynamodb/table.ts';
import type { KeyRecord } from '../../store/keys.ts';
import { activateKmsHost, readKey, recordClients } from '../../store/keys.ts';
import type { MakActivationResult } from '../../store/mak-activations.ts';
import { activateOnMak } from '../../store/mak-activations.ts';
import { activateBatchOnMak } from '../../store/mak-batch-activations.ts';
import type { Activation, BucketLayout } from '../../store/mak-bucket.ts';
import { isActivated } from '../../store/mak-usage.ts';
import type { Store } from '../../store/store.ts';
import { createApiHandler } from '../http/handler.ts';
import type { ApiRequest } from '../http/parse-request.ts';
import { problemOf } from '../http/problems.ts';
import type { HttpResponse, RefusalResponse } from '../http/response.ts';
import { countBusinessEvent } from '../runtime/observability.ts';
import { getStore } from '../runtime/store.ts';

/** Activation, validation, and client reports, for machines. */
export const handler = createApiHandler('activation', {
  'POST /activations': postActivation,
  'POST /activations/batch': postBatch,
  'POST /validations': postValidation,
  'POST /kms-hosts/client-reports': postClientReport,
});

async function postActivation({ body, now, context }: ApiRequest<'POST /activations'>) {
  const store = getStore();
  const installation = parseInstallationId(body.installationId);
  if (!installation.ok) return installation;
  const keyId = keyIdOf(store, body.productKey);
  if (keyId === undefined) return unknownKeyRefusal();
  const { installationId } = installation;
  const { product, machineName = null } = body;
  return activate(store, keyId, { installationId, product, machineName, activatedAt: now }, context);
}

/** Activates a batch. Each line gets its own result (MAK-6). */
async function postBatch({ body, now, context }: ApiRequest<'POST /activations/batch'>) {
  const store = getStore();
  const keyId = keyIdOf(store, body.productKey);
  const cachedKey = keyId === undefined ? undefined : await getCachedKey(store, keyId);
  if (keyId === undefined || cachedKey === undefined) return unknownKeyRefusal();
  const responses =
    cachedKey.type === 'MAK'
      ? await handleMakBatch(store, { keyId, cachedKey }, body.activations, now)
      : await handleKmsBatch(store, keyId, body.activations, context);
  const results = body.activations.map(({ installationId }, index) => toBatchResult(installationId, responses[index]));
  return { status: 200, body: { results } };
}

async function postValidation({ body, context }: ApiRequest<'POST /validations'>) {
  const store = getStore();
  const installation = parseInstallationId(body.installationId);
  if (!installation.ok) return installation;
  const { installationId } = installation;
  const keyId = keyIdOf(store, body.productKey);
  const key = keyId === undefined ? undefined : await readKey(store, keyId);
  const hasBeenActivated = key !== undefined && (await hasActivationOf(store, key, installationId));
  return { status: 200, body: validateInstallation(key?.value, hasBeenActivated, context) };
}

/** Records the number of machines that a KMS host serves (KMS-2). */
async function postClientReport({ body, context }: ApiRequest<'POST /kms-hosts/client-reports'>) {
  const store = getStore();
  const installation = parseInstallationId(body.installationId);
  if (!installation.ok) return installation;
  const keyId = keyIdOf(store, body.productKey);
  if (keyId === undefined) return unknownKeyRefusal();
  const report = { installationId: installation.installationId, clients: body.clients };
  const outcome = await recordClients(store, keyId, report, context);
  if (outcome === undefined) return unknownKeyRefusal();
  if (!outcome.ok) return outcome;
  return outcome.value.isKnown
    ? { status: 204 }
    : refuse(
        'not-found',
        'No KMS host with this installation ID was activated with this key. Activate the host first.',
      );
}

function keyIdOf(store: Store, typedKey: Secret): string | undefined {
  const productKey = parseProductKey(typedKey.reveal());
  return productKey === undefined ? undefined : store.vault.keyIdOf(productKey);
}

function unknownKeyRefusal(): RefusalResponse {
  return refuse(
    'unknown-key',
    'This product key was never issued. Check its 25 characters. A key never has 0, 1, 5, A, E, I, L, N, O, S, U, or Z.',
  );
}

/**
 * The data of a key that a warm function caches. It never changes, or the conditional write detects the change. With
 * it, an activation is one conditional write.
 */
type CachedKey = {
  readonly type: 'MAK' | 'KMS';
  readonly productGroup: ProductGroup;
  readonly lastFive: string;
  readonly bucketCount: number;
};
const keyCache = new Map<string, CachedKey>();
const keyCacheSizeMax = 10_000;

async function getCachedKey(store: Store, keyId: string): Promise<CachedKey | undefined> {
  const cachedKey = keyCache.get(keyId);
  if (cachedKey !== undefined) return cachedKey;
  const key = await readKey(store, keyId);
  return key === undefined ? undefined : cacheKey(key);
}

function cacheKey({ value: key, internal }: KeyRecord): CachedKey {
  const { keyId, type, productGroup, lastFive } = key;
  const cachedKey = { type, productGroup, lastFive, bucketCount: internal.bucketCount };
  if (keyCache.size >= keyCacheSizeMax) keyCache.clear();
  keyCache.set(keyId, cachedKey);
  return cachedKey;
}

async function activate(
  store: Store,
  keyId: string,
  request: Activation,
  context: Context,
): Promise<HttpResponse | RefusalResponse> {
  const cachedKey = await getCachedKey(store, keyId);
  if (cachedKey === undefined) return unknownKeyRefusal();
  return cachedKey.type === 'KMS'
    ? handleKmsActivation(store, keyId, request, context)
    : handleMakActivation(store, keyId, cachedKey, request);
}

/**
 * The maximum number of reads of the key for one activation. One is usual, and two after the limit was raised. A key that
 * is still behind its buckets after that, as after a restore from a backup, is reported as contention.
 */
const layoutReadsMax = 4;

/**
 * Activates with the cached layout, and reads the key again while that layout is stale. Throws `ContentionError` if the
 * key and its buckets still disagree after `layoutReadsMax` reads.
 */
async function withCurrentLayout<Outcome>(
  store: Store,
  { keyId, cachedKey }: { readonly keyId: string; readonly cachedKey: CachedKey },
  activateWith: (layout: BucketLayout) => Promise<Outcome | 'stale-layout'>,
): Promise<Outcome> {
  let { bucketCount } = cachedKey;
  for (let reads = 1; reads <= layoutReadsMax; reads += 1) {
    // One read repairs a cached layout. If it is stale again, another request is changing the buckets: back off.
    if (reads > 2) await store.backOff(reads);
    const outcome = await activateWith({ keyId, bucketCount });
    if (outcome !== 'stale-layout') return outcome;
    ({ bucketCount } = cacheKey(await reloadKey(store, keyId)));
  }
  throw new ContentionError(`Key ${keyId} and its buckets still disagree after ${layoutReadsMax} reads.`);
}

async function handleMakActivation(
  store: Store,
  keyId: string,
  cachedKey: CachedKey,
  request: Activation,
): Promise<HttpResponse | RefusalResponse> {
  const refusal = refuseUnlessCovered(cachedKey, request.product, store.policy);
  if (refusal !== undefined) return refusal;
  const digest = store.vault.digestOf(keyId, request.installationId);
  const outcome = await withCurrentLayout(store, { keyId, cachedKey }, async (layout) => {
    const result = await activateOnMak(store, layout, digest, request);
    return result.kind === 'stale-layout' ? result.kind : result;
  });
  return toMakResponse(store, { keyId, digest, request }, outcome);
}

/** Returns the response to the outcome of an activation. */
async function toMakResponse(
  store: Store,
  { keyId, digest, request }: { readonly keyId: string; readonly digest: Buffer; readonly request: Activation },
  outcome: Exclude<MakActivationResult, { kind: 'stale-layout' }>,
): Promise<HttpResponse | RefusalResponse> {
  switch (outcome.kind) {
    case 'activated':
      return activationResponse({ keyType: 'MAK', digest, activatedAt: outcome.activation.activatedAt }, 201);
    case 'already-activated':
      return activationResponse({ keyType: 'MAK', digest, activatedAt: outcome.activation.activatedAt }, 200);
    case 'blocked':
    case 'exhausted': {
      const { value: key, internal } = await reloadKey(store, keyId);
      const refusal = refuseUnlessLive(key);
      if (refusal !== undefined) return blockedRefusal(refusal);
      if (key.type !== 'MAK' || outcome.kind === 'blocked') throw new Error(`Key ${keyId} and its buckets disagree.`);
      return refuseAtLimit(
        key,
        outcome.used,
        { agreement: internal.agreement, product: request.product },
        store.policy,
      );
    }
  }
}

async function handleKmsActivation(
  store: Store,
  keyId: string,
  request: Activation,
  context: Context,
): Promise<HttpResponse | RefusalResponse> {
  const outcome = await activateKmsHost(store, keyId, request, context);
  if (outcome === undefined) return unknownKeyRefusal();
  if (!outcome.ok) return outcome.refusal.code === 'key-blocked' ? blockedRefusal(outcome) : outcome;
  const { host, advisory } = outcome.value;
  const kmsFields = { uses: host.uses, ...(advisory === undefined ? {} : { advisory }) };
  const digest = store.vault.digestOf(keyId, request.installationId);
  return activationResponse({ keyType: 'KMS', digest, activatedAt: request.activatedAt }, 201, kmsFields);
}

type BatchRequestItem = {
  readonly installationId: string;
  readonly product: Product;
  readonly machineName?: string | undefined;
};

/** Returns a response for each line, in order. An error in one line does not affect the others (MAK-6). */
async function handleMakBatch(
  store: Store,
  { keyId, cachedKey }: { readonly keyId: string; readonly cachedKey: CachedKey },
  items: readonly BatchRequestItem[],
  now: Instant,
): Promise<readonly (HttpResponse | RefusalResponse)[]> {
  const parsed = items.map(({ installationId: text, product, machineName = null }) => {
    const installation = parseInstallationId(text);
    if (!installation.ok) return installation;
    const refusal = refuseUnlessCovered(cachedKey, product, store.policy);
    if (refusal !== undefined) return refusal;
    const { installationId } = installation;
    const digest = store.vault.digestOf(keyId, installationId);
    return {
      ok: true,
      line: { digest, activation: { installationId, product, machineName, activatedAt: now } },
    } as const;
  });
  const lines = parsed.flatMap((each) => (each.ok ? [each.line] : []));
  const outcomes =
    lines.length === 0
      ? []
      : await withCurrentLayout(store, { keyId, cachedKey }, (layout) => activateBatchOnMak(store, layout, lines));
  const outcomesInOrder = outcomes.values();
  return Promise.all(
    parsed.map((each) => {
      if (!each.ok) return each;
      const outcome = outcomesInOrder.next().value;
      if (outcome === undefined) throw new Error('A line of the batch has no result.');
      const { digest, activation } = each.line;
      // One line can have a stale layout after the other lines of its batch are done.
      if (outcome.kind === 'stale-layout') return handleMakActivation(store, keyId, cachedKey, activation);
      return toMakResponse(store, { keyId, digest, request: activation }, outcome);
    }),
  );
}

/** Activates hosts one after the other: they are few, and share one item. */
async function handleKmsBatch(
  store: Store,
  keyId: string,
  items: readonly BatchRequestItem[],
  context: Context,
): Promise<readonly (HttpResponse | RefusalResponse)[]> {
  const responses: (HttpResponse | RefusalResponse)[] = [];
  for (const [index, { installationId: text, product, machineName = null }] of items.entries()) {
    const installation = parseInstallationId(text);
    if (!installation.ok) {
      responses.push(installation);
      continue;
    }
    const { installationId } = installation;
    const request = { installationId, product, machineName, activatedAt: context.now };
    responses.push(
      await handleKmsActivation(store, keyId, request, {
        ...context,
        operationId: `${context.operationId} line ${index}`,
      }),
    );
  }
  return responses;
}

function toBatchResult(installationId: string, response: HttpResponse | RefusalResponse | undefined) {
  if (response === undefined) throw new Error('A line of the batch has no result.');
  if ('ok' in response) {
    const problem = problemOf(response.refusal, response.status);
    return { installationId, status: problem.status, problem };
  }
  return { installationId, status: response.status, activation: response.body };
}

async function hasActivationOf(
  store: Store,
  { value: key, internal }: KeyRecord,
  installationId: InstallationId,
): Promise<boolean> {
  if (key.type === 'KMS') return key.hosts.some((host) => host.installationId === installationId);
  const { keyId } = key;
  const digest = store.vault.digestOf(keyId, installationId);
  return isActivated(store, { keyId, bucketCount: internal.bucketCount }, digest, installationId);
}

/** Answers a blocked key with 403 to a device, where staff get 409. */
function blockedRefusal(refusalResult: RefusalResponse): RefusalResponse {
  return { ...refusalResult, status: 403 };
}

async function reloadKey(store: Store, keyId: string): Promise<KeyRecord> {
  const key = await readKey(store, keyId);
  if (key === undefined) throw new Error(`Key ${keyId} is missing. Keys are never deleted.`);
  return key;
}

function activationResponse(
  {
    keyType,
    digest,
    activatedAt,
  }: { readonly keyType: 'MAK' | 'KMS'; readonly digest: Buffer; readonly activatedAt: Instant },
  status: 200 | 201,
  extraFields: object = {},
): HttpResponse {
  const activationId = digest.subarray(0, 16).toString('hex');
  if (status === 201) countBusinessEvent('activations', keyType);
  return {
    status,
    body: { activationId, confirmationId: confirmationIdFrom(digest), keyType, activatedAt, ...extraFields },
  };
}
