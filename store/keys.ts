import type { Agreement } from '../domain/agreement.ts';
import { coveredProductGroups, initialMakLimit } from '../domain/agreement.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration } from '../domain/calendar/instant.ts';
import type { ProductGroup } from '../domain/catalog.ts';
import { products } from '../domain/catalog.ts';
import type { Context } from '../domain/context.ts';
import type { Grant } from '../domain/keys/grant.ts';
import { limitOf } from '../domain/keys/grant.ts';
import type { DraftAgreement, Key, KmsHost, KmsKey, Mak } from '../domain/keys/key.ts';
import type { HostActivationRequest, OverrideRequest } from '../domain/keys/kms.ts';
import { activateHost, override, reportClients, usedHostSlots } from '../domain/keys/kms.ts';
import type { IncreaseRequest } from '../domain/keys/mak.ts';
import { increase } from '../domain/keys/mak.ts';
import type { ProductKey } from '../domain/keys/product-key.ts';
import type { RefusalResult } from '../domain/refusal.ts';
import { refuse } from '../domain/refusal.ts';
import { dueIndexKeys } from './dynamodb/due-items.ts';
import type { Page, PageRequest } from './dynamodb/page.ts';
import { pageOf, startAfter } from './dynamodb/page.ts';
import type { ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import { ContentionError, get, getAll, putIfAbsent, query } from './dynamodb/table.ts';
import type { UpdateDecision, UpdateResult, Versioned, WriteContext, WriteOptions } from './dynamodb/versioned-item.ts';
import {
  fromItem,
  isProcessed,
  newItem,
  readItem,
  toWrites,
  updateExisting,
  updateWithRetry,
} from './dynamodb/versioned-item.ts';
import {
  bucketCountFor,
  countUsedOnMak,
  grownBucketCountFor,
  listMakActivationTimes,
  newBucketItems,
  newReserveItem,
  reserveIncreaseWrite,
} from './mak-activations.ts';

/** What is kept with a key beside its state: the sealed key, and the facts of its agreement that never change. */
type KeyInternal = { readonly sealedKey: string; readonly agreement: DraftAgreement; readonly bucketCount: number };

/** A key with what it was issued under. */
export type KeyRecord = Versioned<Key> & { readonly internal: KeyInternal };

export function keyItemKey(keyId: string): ItemKey {
  return { PK: `KEY#${keyId}`, SK: 'KEY' };
}

/** After this the sweep completes a replacement that was begun and left (BLK-2). */
const replacementGraceSeconds = 60;

/** When the sweep has something to do with a key. It follows from the key, so that no change of it can lose it. */
export function keyIndexKeys({ state }: Key): Readonly<Record<string, string>> {
  const due = state.status === 'blocking' ? addDuration(state.since, { seconds: replacementGraceSeconds }) : null;
  return dueIndexKeys('KEY', due);
}

/** Reads a key with its version. */
export async function readKey(store: Store, keyId: string): Promise<KeyRecord | undefined> {
  const record = await readItem<Key>(store, keyItemKey(keyId));
  return record === undefined ? undefined : toKeyRecord(record);
}

/** A key's item is only ever written with all of `Kept`. */
export function toKeyRecord(record: Versioned<Key>): KeyRecord {
  return record as KeyRecord;
}

/** The key with this id; `undefined` when there is none. */
export async function findKey(store: Store, keyId: string): Promise<Key | undefined> {
  return (await readKey(store, keyId))?.value;
}

/** Says which MAK of an agreement is the live one for a product group: there is at most one (KEY-2). */
export function liveMakPointer(agreementId: string, productGroup: ProductGroup): ItemKey {
  return { PK: `AGREEMENT#${agreementId}`, SK: `MAK#${productGroup}` };
}

/** The keys of an agreement, in the order of their ids. */
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
      // A position is the last key given, and the space sorts right after it and before any other key.
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

/** The keys with these last five, of one agreement or of any; live ones first. */
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

/** What is used of a key's limit now, in its unit: activations of a MAK, host places of a KMS key (KEY-7). */
export async function countUsed(store: Store, { value: key, internal }: KeyRecord): Promise<number> {
  return key.type === 'KMS'
    ? usedHostSlots(key)
    : countUsedOnMak(store, { keyId: key.keyId, bucketCount: internal.bucketCount });
}

/** When each unit of a key's limit was used: activations of a MAK, hosts of a KMS key by their first (ALR-2). */
export async function listUsageTimes(store: Store, { value: key, internal }: KeyRecord): Promise<readonly Instant[]> {
  return key.type === 'KMS'
    ? key.hosts.filter(({ slot }) => slot === 'standard').map(({ firstActivatedAt }) => firstActivatedAt)
    : listMakActivationTimes(store, { keyId: key.keyId, bucketCount: internal.bucketCount });
}

/** The ways to find a key: by its agreement, and by its last five. */
export function keyPointers({ agreementId, keyId, lastFive }: Key): readonly ItemKey[] {
  return [
    { PK: `AGREEMENT#${agreementId}`, SK: `KEY#${keyId}` },
    { PK: `LASTFIVE#${lastFive}`, SK: `AGREEMENT#${agreementId}#KEY#${keyId}` },
  ];
}

/** Everything that issuing a key writes besides its buckets: the key, its history, and the ways to find it. */
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
  const event = {
    actor,
    action: 'key-issued',
    detail: `A ${key.type} key for ${key.productGroup} was issued, ending in ${key.lastFive}, with a limit of ${limitOf(key.grants)}.`,
    reference: key.agreementId,
  };
  return [
    ...toWrites(newItem<Key>(keyItemKey(key.keyId), key, internal), { operationId: operationId, now, event }),
    ...keyPointers(key).map((Item) => ({ Put: { TableName: '', Item } })),
  ];
}

/**
 * Issues a MAK for a product group of an agreement (KEY-2, KEY-4). Refuses a group that the agreement has no licenses of
 * and, while one is live, a second MAK for the group, naming the first. The same operation again answers with its key.
 */
export function issueMak(
  store: Store,
  agreement: Agreement,
  ask: { readonly productGroup: ProductGroup; readonly drawKey: () => ProductKey },
  context: Context,
): Promise<UpdateResult<Mak>> {
  const { productGroup, drawKey } = ask;
  const { actor, operationId, now, policy } = context;
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
          `The agreement has a MAK for ${productGroup} already, ending in ${lastFive}. Use that, or have its limit raised.`,
          { keyId },
        ),
      };
    }
    const productKey = drawKey();
    const limit = initialMakLimit(productGroup, agreement, policy);
    const mak: Mak = {
      type: 'MAK',
      keyId: store.vault.keyIdOf(productKey),
      agreementId: agreement.agreementId,
      productGroup,
      lastFive: productKey.lastFive,
      state: { status: 'live' },
      grants: [
        { kind: 'initial', amount: limit, at: now, by: actor, reference: agreement.agreementId, approvedBy: null },
      ],
      issuedAt: now,
      replaces: null,
    };
    // The buckets come first: until the key itself is there, nobody can know them. Those of a key that is there must not be
    // laid out again, so such a draw is drawn anew (KEY-5).
    if ((await get(store, keyItemKey(mak.keyId))) !== undefined)
      throw new ContentionError('The key drawn is in use already.');
    await putIfAbsent(store, newBucketItems(mak.keyId, limit));
    return {
      kind: 'write',
      value: mak,
      writes: [
        ...keyCreationWrites(store, { key: mak, productKey, agreement }, context),
        {
          Put: {
            TableName: '',
            Item: newReserveItem(mak.keyId, limit),
            ConditionExpression: 'attribute_not_exists(PK)',
          },
        },
        {
          Put: {
            TableName: '',
            Item: { ...pointer, keyId: mak.keyId },
            ConditionExpression: 'attribute_not_exists(PK)',
          },
        },
      ],
    };
  });
}

/** What a change of a key came to; `undefined` when there is no such key. */
export type KeyUpdateResult<Answer> = Promise<UpdateResult<Answer> | undefined>;

type KeyWrite = { readonly key: Key; readonly event: AuditEvent | null; readonly increaseAmount?: number };

type KeyUpdateDecision<Answer> =
  | {
      readonly ok: true;
      readonly value: Answer;
      /** Null when nothing changes. */
      readonly write: KeyWrite | null;
    }
  | RefusalResult;

function updateKey<Answer>(
  store: Store,
  keyId: string,
  decide: (keyRecord: KeyRecord) => KeyUpdateDecision<Answer>,
  { operationId, now }: WriteContext,
): KeyUpdateResult<Answer> {
  return updateExisting<Key, Answer>(store, keyItemKey(keyId), (record) => {
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

/** What raising a key's limit writes: the grant with the key and, for a MAK, the places that it adds (KEY-8). */
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

/** What the call centre gave on the phone; `repeated` when the call of that reference was given it before. */
type PhoneGrantResult = { readonly grant: Grant; readonly repeated: boolean };

/** Writes what a call is given unless it has it already. The same operation again answers as it did at first. */
function toPhoneGrantDecision(
  keyRecord: KeyRecord,
  operationId: string,
  { grant, repeated }: PhoneGrantResult,
  write: KeyWrite,
) {
  const value = { grant, repeated: repeated && !isProcessed(keyRecord, operationId) };
  return { ok: true, value, write: repeated ? null : write } as const;
}

/** Gives an override to a KMS host, once for each call reference (OVR-1 to OVR-4). */
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
      const decision = override(keyRecord.value, request, keyRecord.internal.agreement, context);
      if (!decision.ok) return decision;
      const event = {
        actor: context.actor,
        action: 'override-granted',
        detail: `One more activation for the host ${request.installationId}, asked for by ${request.callerName} on the phone.`,
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
      const decision = increase(keyRecord.value, request, keyRecord.internal.agreement, context);
      if (!decision.ok) return decision;
      const { grant } = decision;
      const event = {
        actor: context.actor,
        action: 'limit-raised',
        detail: `The limit was raised by ${grant.amount} to ${request.newLimit}, asked for by ${request.callerName} on the phone.`,
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

/** Activates a KMS host by the ordinary handshake (KMS-1). An activation is no entry of the history (LED-1). */
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
      if (keyRecord.value.type !== 'KMS') throw new Error(`Key ${keyId} is no KMS key; its type never changes.`);
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

/** Records how many machines a KMS host serves (KMS-2). Answers whether the host is known. */
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

/** Shows the whole key to an authorized contact, and records to whom it was shown (KEY-6). */
export function revealKey(store: Store, keyId: string, context: Context): KeyUpdateResult<ProductKey> {
  return updateKey(
    store,
    keyId,
    (keyRecord) => {
      const productKey = store.vault.openProductKey(keyRecord.internal.sealedKey, keyId);
      const event = {
        actor: context.actor,
        action: 'key-revealed',
        detail: `The whole key was shown to ${context.actor}.`,
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
