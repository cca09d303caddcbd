import type { Agreement } from '../domain/agreement.ts';
import { isFinal } from '../domain/exceptions/request.ts';
import type { BucketCounters } from '../domain/keys/consistency.ts';
import { checkKmsConsistency, checkMakConsistency } from '../domain/keys/consistency.ts';
import { limitOf } from '../domain/keys/grant.ts';
import type { Mak } from '../domain/keys/key.ts';
import { itemExists, itemIsAbsent } from './dynamodb/conditions.ts';
import type { Item, TransactItem } from './dynamodb/table.ts';
import { get, getAll } from './dynamodb/table.ts';
import type { Versioned } from './dynamodb/versioned-item.ts';
import { fromItem, requireUnchanged } from './dynamodb/versioned-item.ts';
import { exceptionKey, openRequestPointer } from './exceptions.ts';
import type { KeyRecord } from './keys.ts';
import { keyIndexKeys, keyItemKey, keyPointers, liveMakPointer, toKeyRecord } from './keys.ts';
import type { Bucket } from './mak-bucket.ts';
import {
  bucketAttributeNames,
  bucketNumberOf,
  bucketNumbersFrom,
  homeBucketOf,
  installationsAdded,
  readBuckets,
  reserveKey,
} from './mak-bucket.ts';
import type { RequestWithItem } from './reconcile-exceptions.ts';
import { readRequests } from './reconcile-exceptions.ts';
import type { Finding } from './reconcile-items.ts';
import { checkIndexKeys, checkLedger, checkPointers, unrepairableFinding } from './reconcile-items.ts';
import type { Store } from './store.ts';
import type { AgreementReferences } from './table-scan.ts';
import { readAlertState } from './usage-alerts.ts';

export type KeyWithItem = KeyRecord & { readonly item: Item };

/** The other items of the agreement of a key. */
export type AgreementContext = {
  readonly liveMakPointers: readonly Item[];
  readonly requests: readonly RequestWithItem[];
  readonly keys: readonly KeyRecord[];
  /** The open request of each key, by the partition key of the pointer. */
  readonly openExceptionIds: ReadonlyMap<string, string>;
};

/** The pointer still names the same request. */
const sameRequest = '#exceptionId = :exceptionId';

/** The bucket is as it was read. */
const bucketUnchanged =
  '#used = :used AND #available = :available AND #bucketCount = :bucketCount AND #status = :status';

/** The reserve is as it was read. */
const reserveUnchanged = '#available = :available AND #limit = :limit';

/** No activations were reported since the alert state was read, and no decision was recorded. */
const alertStateUnchanged = '#reported = :reported AND #version = :version';

/** Reads keys by ID, with their predecessors and successors. Returns those that exist, and the IDs of the others. */
export async function readKeysWithNeighbors(
  store: Store,
  ids: readonly string[],
): Promise<{ readonly keys: readonly KeyWithItem[]; readonly missingIds: readonly string[] }> {
  const keysById = new Map<string, KeyWithItem>();
  const missingIds = new Set<string>();
  for (let pendingIds = [...new Set(ids)]; pendingIds.length > 0; ) {
    const items = await getAll(store, pendingIds.map(keyItemKey));
    const keys = items.map((item) => ({ ...toKeyRecord(fromItem(item)), item }));
    for (const key of keys) keysById.set(key.value.keyId, key);
    for (const id of pendingIds) if (!keysById.has(id)) missingIds.add(id);
    const neighborIds = keys.flatMap(({ value }) => [
      ...(value.replaces === null ? [] : [value.replaces]),
      ...(value.state.status === 'blocked' && value.state.replacedBy !== null ? [value.state.replacedBy.keyId] : []),
    ]);
    pendingIds = [...new Set(neighborIds)].filter((id) => !keysById.has(id) && !missingIds.has(id));
  }
  return { keys: [...keysById.values()], missingIds: [...missingIds] };
}

/** Checks a key: its ledger, index keys, pointers, sealed product key, replacement, grants, and slots. */
export async function checkKey(
  store: Store,
  agreement: Versioned<Agreement>,
  key: KeyWithItem,
  context: AgreementContext,
): Promise<Finding[]> {
  const { value } = key;
  const owner = `KEY#${value.keyId}` as const;
  const { agreementId } = agreement.value;
  if (value.agreementId !== agreementId) {
    const problem = `An item of agreement ${agreementId} refers to it, but it belongs to agreement ${value.agreementId}.`;
    return [unrepairableFinding(owner, problem)];
  }
  return [
    ...(await checkLedger(store, owner)),
    ...checkIndexKeys(owner, key, key.item, keyIndexKeys(value)),
    ...(await checkPointers(store, owner, keyPointers(value), key)),
    ...checkSealedKey(store, key),
    ...checkReplacement(key, context.keys),
    ...checkGrants(key, context.requests),
    ...(await checkOpenRequestPointer(store, key, context)),
    ...(value.type === 'KMS'
      ? checkKmsConsistency(value, store.policy).map((problem) => unrepairableFinding(owner, toSentence(problem)))
      : [...checkLiveMakPointer(value, key, context.liveMakPointers), ...(await checkSlots(store, key))]),
  ];
}

function toSentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/**
 * Checks that the sealed product key opens with the root secret of the environment, and is the product key of this ID.
 */
function checkSealedKey(store: Store, { value: key, internal }: KeyRecord): Finding[] {
  const owner = `KEY#${key.keyId}`;
  try {
    const productKey = store.vault.openProductKey(internal.sealedKey, key.keyId);
    if (store.vault.keyIdOf(productKey) === key.keyId && productKey.lastFive === key.lastFive) return [];
    return [unrepairableFinding(owner, 'Its sealed product key is the product key of another key.')];
  } catch {
    // The message of the cipher would not help an operator.
    return [unrepairableFinding(owner, 'Its sealed product key does not open with this root secret.')];
  }
}

/** Checks that a key and its predecessor, and a key and its successor, refer to each other. */
function checkReplacement({ value: key }: KeyRecord, keys: readonly KeyRecord[]): Finding[] {
  const byId = new Map(keys.map((each) => [each.value.keyId, each.value]));
  const predecessorState = key.replaces === null ? undefined : byId.get(key.replaces)?.state;
  const successor = key.state.status === 'blocked' ? key.state.replacedBy : null;
  const problems = [
    ...(predecessorState !== undefined &&
    !(predecessorState.status === 'blocked' && predecessorState.replacedBy?.keyId === key.keyId)
      ? [`It replaces the key ${key.replaces}, but that key does not refer to it.`]
      : []),
    ...(successor !== null && byId.get(successor.keyId)?.replaces !== key.keyId
      ? [`It was replaced by the key ${successor.keyId}, but that key does not refer to it.`]
      : []),
  ];
  return problems.map((problem) => unrepairableFinding(`KEY#${key.keyId}`, problem));
}

/** Checks that each exception grant has a fulfilled request. `checkRequest` checks the reverse. */
function checkGrants({ value: key }: KeyRecord, requests: readonly RequestWithItem[]): Finding[] {
  return key.grants
    .filter(({ kind }) => kind === 'exception')
    .filter(({ reference }) => {
      const request = requests.find(({ record }) => record.value.exceptionId === reference)?.record.value;
      return request?.state.status !== 'fulfilled' || request.keyId !== key.keyId;
    })
    .map(({ amount, reference }) =>
      unrepairableFinding(
        `KEY#${key.keyId}`,
        `It has a grant of ${amount} from request ${reference}, but that request is not fulfilled for this key.`,
      ),
    );
}

/**
 * Checks that the pointer to the open request names one. A stale pointer prevents the next request; the repair deletes
 * it.
 */
async function checkOpenRequestPointer(
  store: Store,
  { value: key }: KeyRecord,
  { openExceptionIds, requests }: AgreementContext,
): Promise<Finding[]> {
  const pointer = openRequestPointer(key.keyId);
  const exceptionId = openExceptionIds.get(pointer.PK);
  if (exceptionId === undefined) return [];
  const [request = requests.find(({ record }) => record.value.exceptionId === exceptionId)] = await readRequests(
    store,
    [exceptionId],
  );
  if (request !== undefined && !isFinal(request.record.value) && request.record.value.keyId === key.keyId) return [];
  const reason = request === undefined ? 'is not in the table' : 'is not an open request for this key';
  const removal: TransactItem = {
    Delete: {
      Key: pointer,
      ConditionExpression: sameRequest,
      ExpressionAttributeNames: { '#exceptionId': 'exceptionId' },
      ExpressionAttributeValues: { ':exceptionId': exceptionId },
    },
  };
  const condition: TransactItem =
    request === undefined
      ? { ConditionCheck: { Key: exceptionKey(exceptionId), ConditionExpression: itemIsAbsent } }
      : requireUnchanged(request.record);
  return [
    {
      subject: `KEY#${key.keyId}`,
      problem: `Its open request is ${exceptionId}, but that ${reason}.`,
      repairs: [[removal, condition]],
    },
  ];
}

/**
 * Checks that the pointer of the product group names a MAK that is not blocked (KEY-2). The repair adds a missing
 * pointer.
 */
function checkLiveMakPointer(mak: Mak, key: KeyRecord, pointers: readonly Item[]): Finding[] {
  if (mak.state.status === 'blocked') return [];
  const pointer = liveMakPointer(mak.agreementId, mak.productGroup);
  const existing = pointers.find(({ SK }) => SK === pointer.SK);
  if (existing?.keyId === mak.keyId) return [];
  const owner = `KEY#${mak.keyId}`;
  if (existing !== undefined) {
    const problem = `The pointer to the live MAK for ${mak.productGroup} names another key: ${existing.keyId}.`;
    return [unrepairableFinding(owner, problem)];
  }
  const put = {
    Put: { Item: { ...pointer, keyId: mak.keyId }, ConditionExpression: itemIsAbsent },
  };
  return [
    {
      subject: owner,
      problem: `The pointer to it as the live MAK for ${mak.productGroup} is missing.`,
      repairs: [[put, requireUnchanged(key)]],
    },
  ];
}

/** Checks that every pointer to a live MAK names one of its product group. */
export function checkLiveMakPointers(pointers: readonly Item[], keys: readonly KeyRecord[]): Finding[] {
  return pointers.flatMap(({ PK, SK, keyId }) => {
    const key = keys.find(({ value }) => value.keyId === keyId)?.value;
    // A key that is not in the table has its own finding.
    if (key === undefined) return [];
    const isValid = key.type === 'MAK' && `MAK#${key.productGroup}` === SK && key.state.status !== 'blocked';
    const problem = `It names the key ${keyId}, which is not a live MAK of this product group.`;
    return isValid ? [] : [unrepairableFinding(`${PK} ${SK}`, problem)];
  });
}

/**
 * Checks that every pointer by last five characters names a key of the agreement. Only a table scan finds wrong ones.
 */
export function checkLastFivePointers({ pointers }: AgreementReferences, keys: readonly KeyRecord[]): Finding[] {
  const expected = new Set(keys.flatMap(({ value: key }) => keyPointers(key)).map(({ PK, SK }) => `${PK} ${SK}`));
  return pointers
    .filter(({ PK, SK }) => PK.startsWith('LASTFIVE#') && !expected.has(`${PK} ${SK}`))
    .map(({ PK, SK }) =>
      unrepairableFinding(`${PK} ${SK}`, 'It names no key of this agreement with these last five characters.'),
    );
}

/** A transaction has at most 100 items; two of them are the key and the reserve. */
const bucketsPerTransaction = 98;

/**
 * Checks the slots of a MAK (see `checkMakConsistency`). The repair requires that every bucket, the reserve, and the
 * key are unchanged since the read. With up to 98 buckets it is one transaction. With more it is several, so the key
 * must not be in use during the repair.
 */
async function checkSlots(store: Store, key: KeyRecord): Promise<Finding[]> {
  const { keyId, grants, state } = key.value;
  const owner = `KEY#${keyId}`;
  const { bucketCount } = key.internal;
  const buckets = await readBuckets(store, keyId, bucketNumbersFrom(0, bucketCount));
  const reserve = await get(store, reserveKey(keyId));
  const consistency = checkMakConsistency({
    granted: limitOf(grants),
    status: state.status,
    bucketCount,
    reserve: {
      available: Number(reserve?.available ?? 0),
      total: Number(reserve?.limit ?? 0),
      exhausted: reserve?.exhausted === true,
    },
    buckets: buckets.map((bucket) => countersOf(store, keyId, bucket)),
  });
  const problems = [...(reserve === undefined ? ['its reserve is missing'] : []), ...consistency.inconsistencies];
  const findings: Finding[] = [];
  if (problems.length > 0) {
    const { repair: target } = consistency;
    const targetByBucket = new Map((target?.buckets ?? []).map((bucket) => [bucket.bucket, bucket]));
    const parts = partsOf(
      buckets.map((bucket) => bucketRepairWrite(bucket, targetByBucket.get(bucketNumberOf(bucket)) ?? bucket)),
    );
    const repairs =
      target === null
        ? []
        : parts.map((writes, index) => [
            ...writes,
            requireUnchanged(key),
            // The reserve is last: until it is written, another check finds the same sums wrong.
            ...(index === parts.length - 1
              ? [reserveRepairWrite(keyId, reserve, target.reserveAvailable, target.total)]
              : []),
          ]);
    findings.push({ subject: owner, problem: problems.map(toSentence).join(' '), repairs });
  }
  const liveBuckets = buckets.filter((bucket) => state.status === 'blocked' && bucket.status === 'live');
  if (liveBuckets.length > 0) {
    const parts = partsOf(liveBuckets.map(bucketBlockWrite));
    findings.push({
      subject: owner,
      problem: `It is blocked, but ${liveBuckets.length} of its buckets are live.`,
      repairs: parts.map((writes) => [...writes, requireUnchanged(key)]),
    });
  }
  return [...findings, ...(await checkReportedActivations(store, key, buckets))];
}

function partsOf(writes: readonly TransactItem[]): readonly (readonly TransactItem[])[] {
  return Array.from({ length: Math.ceil(writes.length / bucketsPerTransaction) }, (_, part) =>
    writes.slice(part * bucketsPerTransaction, (part + 1) * bucketsPerTransaction),
  );
}

function countersOf(store: Store, keyId: string, bucket: Bucket): BucketCounters {
  const { PK, SK, used, available, bucketCount: modulus, status } = bucket;
  const installationIds = installationsAdded({ PK, SK }, bucket);
  const misplaced = installationIds.filter(
    (installationId) => homeBucketOf(store.vault.digestOf(keyId, installationId), modulus) !== bucketNumberOf(bucket),
  ).length;
  return {
    bucket: bucketNumberOf(bucket),
    used,
    available,
    modulus,
    blocked: status === 'blocked',
    machines: installationIds,
    misplaced,
  };
}

function bucketBlockWrite({ PK, SK }: Bucket): TransactItem {
  return {
    Update: {
      Key: { PK, SK },
      UpdateExpression: 'SET #status = :blocked',
      ConditionExpression: itemExists,
      ExpressionAttributeNames: { '#status': 'status' },
      ExpressionAttributeValues: { ':blocked': 'blocked' },
    },
  };
}

function bucketRepairWrite(
  bucket: Bucket,
  target: { readonly used: number; readonly available: number },
): TransactItem {
  const condition = {
    Key: { PK: bucket.PK, SK: bucket.SK },
    ConditionExpression: bucketUnchanged,
    ExpressionAttributeNames: bucketAttributeNames,
  };
  const values = {
    ':used': bucket.used,
    ':available': bucket.available,
    ':bucketCount': bucket.bucketCount,
    ':status': bucket.status,
  };
  if (target.used === bucket.used && target.available === bucket.available) {
    return { ConditionCheck: { ...condition, ExpressionAttributeValues: values } };
  }
  return {
    Update: {
      ...condition,
      UpdateExpression: 'SET #used = :usedAfter, #available = :availableAfter',
      ExpressionAttributeValues: { ...values, ':usedAfter': target.used, ':availableAfter': target.available },
    },
  };
}

function reserveRepairWrite(keyId: string, reserve: Item | undefined, available: number, limit: number): TransactItem {
  const Item = { ...reserveKey(keyId), available, limit };
  if (reserve === undefined) return { Put: { Item, ConditionExpression: itemIsAbsent } };
  return {
    Put: {
      Item,
      ConditionExpression: reserveUnchanged,
      ExpressionAttributeNames: { '#available': 'available', '#limit': 'limit' },
      ExpressionAttributeValues: { ':available': reserve.available, ':limit': reserve.limit },
    },
  };
}

/** Checks that the reported activations are not fewer than those used; otherwise an alert would be late (ALR-1). */
async function checkReportedActivations(
  store: Store,
  { value: key }: KeyRecord,
  buckets: readonly Bucket[],
): Promise<Finding[]> {
  const { version, activationsReported } = await readAlertState(store, key.keyId);
  const used = buckets.reduce((sum, bucket) => sum + installationsAdded({ PK: '', SK: '' }, bucket).length, 0);
  if (key.state.status !== 'live' || version === 0 || activationsReported >= used) return [];
  const update: TransactItem = {
    Update: {
      Key: { PK: `KEY#${key.keyId}`, SK: 'ALERTS' },
      UpdateExpression: 'SET #reported = :used',
      ConditionExpression: alertStateUnchanged,
      ExpressionAttributeNames: { '#reported': 'activationsReported', '#version': 'version' },
      ExpressionAttributeValues: { ':used': used, ':reported': activationsReported, ':version': version },
    },
  };
  const problem = `Its alert state has ${activationsReported} reported activations, but ${used} are used.`;
  return [{ subject: `KEY#${key.keyId}`, problem, repairs: [[update]] }];
}
