import type { Agreement } from '../domain/agreement.ts';
import { coveredProductGroups } from '../domain/agreement.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration } from '../domain/calendar/instant.ts';
import type { ProductGroup } from '../domain/catalog.ts';
import { products } from '../domain/catalog.ts';
import type { Context } from '../domain/context.ts';
import type { Grant } from '../domain/keys/grant.ts';
import { limitOf } from '../domain/keys/grant.ts';
import { issueMak as decideMak } from '../domain/keys/issue.ts';
import type { DraftAgreement, Key, KmsHost, KmsKey, Mak } from '../domain/keys/key.ts';
import type { HostActivationRequest, OverrideRequest } from '../domain/keys/kms.ts';
import { activateHost, grantOverride as decideOverride, reportClients, usedHostSlots } from '../domain/keys/kms.ts';
import type { IncreaseRequest } from '../domain/keys/mak.ts';
import { increaseLimit } from '../domain/keys/mak.ts';
import type { ProductKey } from '../domain/keys/product-key.ts';
import type { RefusalResult } from '../domain/refusal.ts';
import { refuse } from '../domain/refusal.ts';
import { itemIsAbsent } from './dynamodb/conditions.ts';
import { dueIndexKeys } from './dynamodb/due-items.ts';
import type { Page, PageRequest } from './dynamodb/page.ts';
import { pageOf, startAfter } from './dynamodb/page.ts';
import type { ItemKey, TransactItem } from './dynamodb/table.ts';
import { ContentionError, get, getAll, putIfAbsent, query } from './dynamodb/table.ts';
import type { Versioned, WriteContext, WriteOptions } from './dynamodb/versioned-item.ts';
import {
  fromItem,
  isProcessed,
  newItem,
  readItem,
  toWrites,
  updateExisting,
  updateWithRetry,
} from './dynamodb/versioned-item.ts';
import { reserveIncreaseWrite } from './mak-activations.ts';
import { bucketCountFor, grownBucketCountFor, newBucketItems, newReserveItem } from './mak-bucket.ts';
import { countUsedOnMak, listMakActivationTimes } from './mak-usage.ts';
import type { Store, UpdateDecision, UpdateResult } from './store.ts';

/** The internal data of a key: the sealed product key, and the members of its agreement that never change. */
type KeyInternal = { readonly sealedKey: string; readonly agreement: DraftAgreement; readonly bucketCount: number };

/** A key with its internal data. */
export type KeyRecord = Versioned<Key> & { readonly internal: KeyInternal };

export function keyItemKey(keyId: string): ItemKey {
  return { PK: `KEY#${keyId}`, SK: 'KEY' };
}

/** The time after which the sweep completes an unfinished replacement (BLK-2). */
const replacementGraceSeconds = 60;

/**
 * Returns the index keys of a key: its next action completes an unfinished replacement. They depend only on the key.
 */
export function keyIndexKeys({ state }: Key): Readonly<Record<string, string>> {
  const due = state.status === 'blocking' ? addDuration(state.since, { seconds: replacementGraceSeconds }) : null;
  return dueIndexKeys('KEY', due);
}

/** Reads a key with its version. */
export async function readKey(store: Store, keyId: string): Promise<KeyRecord | undefined> {
  const record = await readItem<Key>(store, keyItemKey(keyId));
  return record === undefined ? undefined : toKeyRecord(record);
}

/** Returns the record as a key record. Every item of a key is written with all of `KeyInternal`. */
export function toKeyRecord(record: Versioned<Key>): KeyRecord {
  return record as KeyRecord;
}

/** Returns the key with this ID, or `undefined` if there is none. */
export async function findKey(store: Store, keyId: string): Promise<Key | undefined> {
  return (await readKey(store, keyId))?.value;
}

/**
 * Returns the key of the pointer to the live MAK of a product group. An agreement has at most one per group (KEY-2).
 */
export function liveMakPointer(agreementId: string, productGroup: ProductGroup): ItemKey {
  return { PK: `AGREEMENT#${agreementId}`, SK: `MAK#${productGroup}` };
}

/** Returns a page of the keys of an agreement, ordered by ID. */
export async function listKeys(
  store: Store,
  agreementId: string,
  { limit, after }: PageRequest,
): Promise<Page<KeyRecord>> {
  const pointers = await query(store, {
    partition: ['PK', `AGREEMENT#${agreementId}`],
    sort: {
      name: 'SK',
      condition: '#sort BETWEEN :after AND :end',
      // The position is the last key of the previous page. With a space added, it sorts after that key and before any
      // other.
      values: { ':after': `${startAfter(after, 'KEY#', 'KEY#~')} `, ':end': 'KEY#~' },
    },
    limit: limit + 1,
  });
  const page = pageOf(pointers, limit, ({ SK }) => SK);
  return {
    items: await readKeys(
      store,
      page.items.map(({ SK }) => SK.slice('KEY#'.length)),
    ),
    next: page.next,
  };
}

/** Returns a page of the keys with these last five characters, of one agreement or of all; live keys first. */
export async function listKeysByLastFive(
  store: Store,
  lastFive: string,
  agreementId: string | undefined,
  { limit, after }: PageRequest,
): Promise<Page<KeyRecord>> {
  const rangeStart = agreementId === undefined ? 'AGREEMENT#' : `AGREEMENT#${agreementId}#KEY#`;
  const rangeEnd = `${rangeStart}~`;
  const pointers = await query(store, {
    partition: ['PK', `LASTFIVE#${lastFive}`],
    sort: {
      name: 'SK',
      condition: '#sort BETWEEN :after AND :end',
      values: { ':after': `${startAfter(after, rangeStart, rangeEnd)} `, ':end': rangeEnd },
    },
    limit: limit + 1,
  });
  const page = pageOf(pointers, limit, ({ SK }) => SK);
  const keys = await readKeys(
    store,
    page.items.map(({ SK }) => SK.slice(SK.lastIndexOf('#') + 1)),
  );
  const liveFirst = keys.toSorted(
    (first, second) => Number(second.value.state.status === 'live') - Number(first.value.state.status === 'live'),
  );
  return { items: liveFirst, next: page.next };
}

async function readKeys(store: Store, keyIds: readonly string[]): Promise<readonly KeyRecord[]> {
  const items = await getAll(store, keyIds.map(keyItemKey));
  return items.map((item) => toKeyRecord(fromItem<Key>(item)));
}

/** Returns how much of a key's limit is used: activations of a MAK, or host slots of a KMS key (KEY-7). */
export async function countUsed(store: Store, { value: key, internal }: KeyRecord): Promise<number> {
  return key.type === 'KMS'
    ? usedHostSlots(key)
    : countUsedOnMak(store, { keyId: key.keyId, bucketCount: internal.bucketCount });
}

/** Returns the times at which the limit was used: activations of a MAK, or first activations of KMS hosts (ALR-2). */
export async function listUsageTimes(store: Store, { value: key, internal }: KeyRecord): Promise<readonly Instant[]> {
  return key.type === 'KMS'
    ? key.hosts.filter(({ slot }) => slot === 'standard').map(({ firstActivatedAt }) => firstActivatedAt)
    : listMakActivationTimes(store, { keyId: key.keyId, bucketCount: internal.bucketCount });
}

/** Returns the pointers to a key: from its agreement, and from its last five characters. */
export function keyPointers({ agreementId, keyId, lastFive }: Key): readonly ItemKey[] {
  return [
    { PK: `AGREEMENT#${agreementId}`, SK: `KEY#${keyId}` },
    { PK: `LASTFIVE#${lastFive}`, SK: `AGREEMENT#${agreementId}#KEY#${keyId}` },
  ];
}

/**
 * Returns the writes that create a key, for one transaction: the key, its ledger, and its pointers, but not its
 * buckets.
 */
export function keyCreationWrites(
  store: Store,
  issue: { readonly key: Key; readonly productKey: ProductKey; readonly agreement: Agreement },
  { actor, operationId, now }: Omit<Context, 'policy'>,
): TransactItem[] {
  const { key, productKey, agreement } = issue;
  const internal: KeyInternal = {
    sealedKey: store.vault.seal(productKey.reveal(), key.keyId),
    agreement: { organization: { name: agreement.organization.name }, numbers: agreement.numbers },
    bucketCount: bucketCountFor(limitOf(key.grants)),
  };
  const event: AuditEvent = {
    actor,
    action: 'key-issued',
    detail: `A ${key.type} key for ${key.productGroup} was issued, ending in ${key.lastFive}, with a limit of ${limitOf(key.grants)}.`,
    reference: key.agreementId,
  };
  return [
    ...toWrites(newItem<Key>(keyItemKey(key.keyId), key, internal), { operationId, now, event }),
    ...keyPointers(key).map((Item) => ({ Put: { Item } })),
  ];
}

/**
 * Issues a MAK for a product group of an agreement (KEY-2, KEY-4). Refuses a group without licenses, and a second MAK
 * for a group with a live MAK; that refusal names the first. A repeated operation returns the key that it issued.
 */
export function issueMak(
  store: Store,
  agreement: Agreement,
  ask: { readonly productGroup: ProductGroup; readonly drawKey: () => ProductKey },
  context: Context,
): Promise<UpdateResult<Mak>> {
  const { productGroup, drawKey } = ask;
  const { operationId, policy } = context;
  const pointer = liveMakPointer(agreement.agreementId, productGroup);
  return updateWithRetry(store, async (): Promise<UpdateDecision<Mak>> => {
    const groups = coveredProductGroups(agreement, policy);
    if (!groups.includes(productGroup)) {
      const covers = products.filter((product) => groups.includes(policy.catalog[product].group));
      return {
        kind: 'refused',
        refusal: refuse(
          'product-not-covered',
          `The agreement has no licenses of the product group ${productGroup}. It has licenses of ${groups.join(', ')}.`,
          { covers },
        ),
      };
    }
    const existingPointer = await get(store, pointer);
    const existing = existingPointer === undefined ? undefined : await readKey(store, String(existingPointer.keyId));
    if (existing !== undefined) {
      if (existing.value.type === 'MAK' && isProcessed(existing, operationId))
        return { kind: 'no-change', value: existing.value };
      const { keyId, lastFive } = existing.value;
      return {
        kind: 'refused',
        refusal: refuse(
          'mak-already-issued',
          `The agreement already has a MAK for ${productGroup}, ending in ${lastFive}. Use that key, or ask to raise its limit.`,
          { keyId },
        ),
      };
    }
    const productKey = drawKey();
    const keyId = store.vault.keyIdOf(productKey);
    const newKey = { keyId, lastFive: productKey.lastFive, productGroup, replaces: null };
    const mak = decideMak(newKey, agreement, context);
    const limit = limitOf(mak.grants);
    // The buckets are written first; nothing reads them before the key exists. If the new product key is in use, its
    // buckets must not be created again: the error makes the update retry with another product key (KEY-5).
    if ((await get(store, keyItemKey(mak.keyId))) !== undefined)
      throw new ContentionError('The new product key is already in use.');
    await putIfAbsent(store, newBucketItems(mak.keyId, limit));
    return {
      kind: 'write',
      value: mak,
      writes: [
        ...keyCreationWrites(store, { key: mak, productKey, agreement }, context),
        {
          Put: {
            Item: newReserveItem(mak.keyId, limit),
            ConditionExpression: itemIsAbsent,
          },
        },
        {
          Put: {
            Item: { ...pointer, keyId: mak.keyId },
            ConditionExpression: itemIsAbsent,
          },
        },
      ],
    };
  });
}

/** The result of an update of a key; `undefined` if there is no such key. */
export type KeyUpdateResult<Answer> = Promise<UpdateResult<Answer> | undefined>;

type KeyWrite = { readonly key: Key; readonly event: AuditEvent | null; readonly increaseAmount?: number };

type KeyUpdateDecision<Answer> =
  | {
      readonly ok: true;
      readonly value: Answer;
      /** Null if nothing changes. */
      readonly write: KeyWrite | null;
    }
  | RefusalResult;

function updateKey<Answer>(
  store: Store,
  keyId: string,
  decide: (keyRecord: KeyRecord) => KeyUpdateDecision<Answer>,
  { operationId, now }: WriteContext,
): KeyUpdateResult<Answer> {
  return updateExisting(store, keyItemKey(keyId), (record: Versioned<Key>): UpdateDecision<Answer> => {
    const keyRecord = toKeyRecord(record);
    const decision = decide(keyRecord);
    if (!decision.ok) return { kind: 'refused', refusal: decision };
    if (decision.write === null) return { kind: 'no-change', value: decision.value };
    const { key, event, increaseAmount } = decision.write;
    const writes =
      increaseAmount === undefined
        ? toWrites({ ...keyRecord, value: key }, { operationId, now, event, attributes: keyIndexKeys(key) })
        : limitIncreaseWrites(keyRecord, key, increaseAmount, { operationId, now, event });
    return { kind: 'write', value: decision.value, writes };
  });
}

/**
 * Returns the writes that raise a key's limit, for one transaction: the key with the grant and, for a MAK, the added
 * slots (KEY-8).
 */
export function limitIncreaseWrites(
  keyRecord: KeyRecord,
  key: Key,
  amount: number,
  options: WriteOptions,
): TransactItem[] {
  if (key.type === 'KMS') return toWrites({ ...keyRecord, value: key }, options);
  const bucketCount = grownBucketCountFor(keyRecord.internal.bucketCount, limitOf(key.grants));
  return [
    ...toWrites({ ...keyRecord, value: key, internal: { ...keyRecord.internal, bucketCount } }, options),
    reserveIncreaseWrite(key.keyId, amount),
  ];
}

/** A grant of the call center; `isRepeat` if the same call reference already got it. */
type PhoneGrantResult = { readonly grant: Grant; readonly isRepeat: boolean };

/**
 * Decides to write a grant, unless its call reference already got it. A repeated operation returns the first result.
 */
function toPhoneGrantDecision(
  keyRecord: KeyRecord,
  operationId: string,
  { grant, repeated: isRepeat }: { readonly grant: Grant; readonly repeated: boolean },
  write: KeyWrite,
): KeyUpdateDecision<PhoneGrantResult> {
  const value = { grant, isRepeat: isRepeat && !isProcessed(keyRecord, operationId) };
  return { ok: true, value, write: isRepeat ? null : write };
}

/** Grants an override to a KMS host, once for each call reference (OVR-1 to OVR-4). */
export function grantOverride(
  store: Store,
  keyId: string,
  request: OverrideRequest,
  context: Context,
): KeyUpdateResult<PhoneGrantResult> {
  return updateKey(
    store,
    keyId,
    (keyRecord) => {
      const decision = decideOverride(keyRecord.value, request, keyRecord.internal.agreement, context);
      if (!decision.ok) return decision;
      const event: AuditEvent = {
        actor: context.actor,
        action: 'override-granted',
        detail: `The host ${request.installationId} got one more activation, requested by phone by ${request.callerName}.`,
        reference: request.callReference,
      };
      return toPhoneGrantDecision(keyRecord, context.operationId, decision, { key: decision.key, event });
    },
    context,
  );
}

/** Raises a MAK's limit by phone, once for each call reference (MAK-4, OVR-4). */
export function grantIncrease(
  store: Store,
  keyId: string,
  request: IncreaseRequest,
  context: Context,
): KeyUpdateResult<PhoneGrantResult> {
  return updateKey(
    store,
    keyId,
    (keyRecord) => {
      const decision = increaseLimit(keyRecord.value, request, keyRecord.internal.agreement, context);
      if (!decision.ok) return decision;
      const { grant } = decision;
      const event: AuditEvent = {
        actor: context.actor,
        action: 'limit-raised',
        detail: `The limit was raised by ${grant.amount} to ${request.newLimit}, requested by phone by ${request.callerName}.`,
        reference: request.callReference,
      };
      return toPhoneGrantDecision(keyRecord, context.operationId, decision, {
        key: decision.key,
        event,
        increaseAmount: grant.amount,
      });
    },
    context,
  );
}

/** Activates a KMS host (KMS-1). An activation adds no ledger entry (LED-1). */
export function activateKmsHost(
  store: Store,
  keyId: string,
  request: HostActivationRequest,
  context: Context,
): KeyUpdateResult<{ readonly host: KmsHost; readonly advisory?: 'kms-key-on-clients' }> {
  return updateKey(
    store,
    keyId,
    (keyRecord) => {
      if (keyRecord.value.type !== 'KMS')
        throw new Error(`Key ${keyId} is not a KMS key; the type of a key never changes.`);
      const existingHost = keyRecord.value.hosts.find((host) => host.installationId === request.installationId);
      if (existingHost !== undefined && isProcessed(keyRecord, context.operationId))
        return { ok: true, value: { host: existingHost }, write: null };
      const decision = activateHost(keyRecord.value, request, keyRecord.internal.agreement, context);
      if (!decision.ok) return decision;
      const { host, advisory } = decision;
      return {
        ok: true,
        value: advisory === undefined ? { host } : { host, advisory },
        write: { key: decision.key, event: null },
      };
    },
    context,
  );
}

/** Records the number of clients of a KMS host (KMS-2). Returns whether the host is known. */
export function recordClients(
  store: Store,
  keyId: string,
  report: { readonly installationId: KmsHost['installationId']; readonly clients: number },
  context: Context,
): KeyUpdateResult<{ readonly isKnown: boolean }> {
  return updateKey(
    store,
    keyId,
    ({ value: key }) => {
      const nextKey: KmsKey | undefined =
        key.type === 'KMS' ? reportClients(key, report.installationId, report.clients) : undefined;
      return {
        ok: true,
        value: { isKnown: nextKey !== undefined },
        write: nextKey === undefined ? null : { key: nextKey, event: null },
      };
    },
    context,
  );
}

/** Returns the complete product key, and records who saw it (KEY-6). */
export function revealKey(store: Store, keyId: string, context: Context): KeyUpdateResult<ProductKey> {
  return updateKey(
    store,
    keyId,
    (keyRecord) => {
      const productKey = store.vault.openProductKey(keyRecord.internal.sealedKey, keyId);
      const event: AuditEvent = {
        actor: context.actor,
        action: 'key-revealed',
        detail: `The complete key was shown to ${context.actor}.`,
        reference: context.operationId,
      };
      return {
        ok: true,
        value: productKey,
        write: isProcessed(keyRecord, context.operationId) ? null : { key: keyRecord.value, event },
      };
    },
    context,
  );
}
