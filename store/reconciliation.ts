import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { Agreement } from '../domain/agreement.ts';
import { normalizeEmail } from '../domain/agreement.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration } from '../domain/calendar/instant.ts';
import type { ExceptionRequest } from '../domain/exceptions/request.ts';
import { isFinal } from '../domain/exceptions/request.ts';
import type { BucketCounters } from '../domain/keys/consistency.ts';
import { checkKmsConsistency, checkMakConsistency } from '../domain/keys/consistency.ts';
import { limitOf } from '../domain/keys/grant.ts';
import type { Mak } from '../domain/keys/key.ts';
import { exceptionKindOf } from '../domain/keys/key.ts';
import { agreementIndexKeys, agreementKey, personEmailsOf, personPointer } from './agreements.ts';
import { tableSchema } from './dynamodb/schema.ts';
import type { Item, ItemKey, Range, Store, TransactItem } from './dynamodb/table.ts';
import { checkFormat, commit, get, getAll, query, rethrowTransientAsContention } from './dynamodb/table.ts';
import type { Versioned } from './dynamodb/versioned-item.ts';
import { fromItem, requireUnchanged } from './dynamodb/versioned-item.ts';
import { claimSeconds, exceptionIndexKeys, exceptionKey, openRequestPointer } from './exceptions.ts';
import type { KeyRecord } from './keys.ts';
import { keyIndexKeys, keyItemKey, keyPointers, liveMakPointer, toKeyRecord } from './keys.ts';
import type { Owner } from './ledger.ts';
import { verifyLedger } from './ledger.ts';
import type { Bucket } from './mak-activations.ts';
import {
  bucketAttributeNames,
  bucketKey,
  bucketNumberOf,
  bucketNumbersFrom,
  homeBucketOf,
  installationsAdded,
  readBuckets,
  reserveKey,
} from './mak-activations.ts';
import { readAlertState } from './usage-alerts.ts';

/*
 * Whether what is in the table fits together. A copy of a table (a restore from point-in-time recovery or a backup) is
 * right for each item and nearly so for all: two items that were written in one transaction can be a moment apart in it.
 *
 * From an agreement everything of it is found by bounded reads. Only what has lost its way to it, or should never have
 * had one, has to be looked for in the whole table: `everythingSeen` pages through it, for an operator's command alone.
 */

/** One thing that is not as it should be. */
export type Finding = {
  /** The item, or whose items. */
  readonly subject: string;
  readonly problem: string;
  /** Transactions that put it right, in this order; none when that would take a guess. */
  readonly repairs: readonly (readonly TransactItem[])[];
};

/** What leads to or says that it belongs to an agreement, as it was seen in the whole table. */
export type AgreementReferences = {
  readonly keyIds: Set<string>;
  readonly exceptionIds: Set<string>;
  /** Ways to it, by a person or by last five, that were there. */
  readonly pointers: ItemKey[];
};

export type ReconciliationResult = {
  readonly findings: readonly Finding[];
  readonly keyCount: number;
  readonly requestCount: number;
};

const noReferences: AgreementReferences = { keyIds: new Set(), exceptionIds: new Set(), pointers: [] };

/**
 * Checks everything of one agreement: its people's ways to it, its keys with their places and hosts, its requests with
 * the lists that they are in, and the history of each (KEY-7, KEY-8, EXC-5, LED-2). Writes nothing.
 * @param references what was seen of it in the whole table, if that was looked through.
 */
export async function checkAgreement(
  store: Store,
  agreementId: string,
  now: Instant,
  references = noReferences,
): Promise<ReconciliationResult> {
  const agreementItem = await get(store, agreementKey(agreementId));
  if (agreementItem === undefined) {
    const referenceCount = references.keyIds.size + references.exceptionIds.size + references.pointers.length;
    const problem =
      referenceCount === 0
        ? 'It is not in the table.'
        : `It is not in the table, and ${referenceCount} things name it.`;
    return { findings: [unrepairableFinding(`AGREEMENT#${agreementId}`, problem)], keyCount: 0, requestCount: 0 };
  }
  const agreement = fromItem<Agreement>(agreementItem);
  const pointers = await queryAll(store, {
    partition: ['PK', `AGREEMENT#${agreementId}`],
    sort: { name: 'SK', condition: '#sort BETWEEN :from AND :to', values: { ':from': 'KEY#', ':to': 'MAK#~' } },
  });
  const liveMakPointers = pointers.filter(({ SK }) => SK.startsWith('MAK#'));
  const requests = await readAgreementRequests(store, agreementId, references);
  const keys = await readKeysWithNeighbors(store, [
    ...pointers.filter(({ SK }) => SK.startsWith('KEY#')).map(({ SK }) => SK.slice('KEY#'.length)),
    ...liveMakPointers.map(({ keyId }) => String(keyId)),
    ...requests.map(({ record }) => record.value.keyId),
    ...references.keyIds,
  ]);
  const openExceptionIds = new Map(
    (
      await getAll(
        store,
        keys.found.map(({ value }) => openRequestPointer(value.keyId)),
      )
    ).map((item) => [item.PK, String(item.exceptionId)]),
  );
  // A request that lost its place in the lists can still be the one that is open for its key.
  const unlistedIds = [...openExceptionIds.values()].filter(
    (id) => !requests.some(({ record }) => record.value.exceptionId === id),
  );
  requests.push(
    ...(await readRequests(store, unlistedIds)).filter(({ record }) => record.value.agreementId === agreementId),
  );

  const findings = [
    ...(await checkPersonPointers(store, agreementItem, agreement, references)),
    ...keys.missing.map((keyId) =>
      unrepairableFinding(`KEY#${keyId}`, `Something of agreement ${agreementId} leads to it, and it is not there.`),
    ),
    ...(await mapSequentially(keys.found, (key) =>
      checkKey(store, agreement, key, { liveMakPointers, requests, keys: keys.found, openExceptionIds }),
    )),
    ...checkLiveMakPointers(liveMakPointers, keys.found),
    ...(await mapSequentially(requests, (request) =>
      checkRequest(store, request, { keys: keys.found, openExceptionIds }, now),
    )),
    ...checkLastFivePointers(references, keys.found),
  ];
  return { findings, keyCount: keys.found.length, requestCount: requests.length };
}

/** Puts right what a finding names. Answers whether it was as it was found; if not, nothing more is written. */
export async function repair(store: Store, finding: Finding): Promise<boolean> {
  for (const writes of finding.repairs) if ((await commit(store, writes)) !== 'committed') return false;
  return finding.repairs.length > 0;
}

/**
 * Looks through the whole table, page by page, for what names an agreement. It reads every item once, which no function
 * of the service may: for a table that nobody uses, or in an hour in which there is little to do.
 */
export async function scanReferences(store: Store): Promise<ReadonlyMap<string, AgreementReferences>> {
  const referencesById = new Map<string, AgreementReferences>();
  const referencesOf = (agreementId: string): AgreementReferences => {
    const references = referencesById.get(agreementId) ?? { keyIds: new Set(), exceptionIds: new Set(), pointers: [] };
    referencesById.set(agreementId, references);
    return references;
  };
  let start: Record<string, unknown> | undefined;
  do {
    const page = await rethrowTransientAsContention(
      store.client.send(
        new ScanCommand({
          TableName: store.tableName,
          ConsistentRead: true,
          ProjectionExpression: '#pk, #sk, #format, #value.#agreementId',
          ExpressionAttributeNames: {
            '#pk': tableSchema.partitionKey,
            '#sk': tableSchema.sortKey,
            '#format': 'format',
            '#value': 'value',
            '#agreementId': 'agreementId',
          },
          ...(start === undefined ? {} : { ExclusiveStartKey: start }),
        }),
      ),
    );
    for (const item of (page.Items ?? []) as Item[]) addReference(checkFormat(item), referencesOf);
    start = page.LastEvaluatedKey;
  } while (start !== undefined);
  return referencesById;
}

function addReference(item: Item, referencesOf: (agreementId: string) => AgreementReferences): void {
  const { PK, SK } = item;
  const [kind, ...rest] = PK.split('#');
  const id = rest.join('#');
  if (SK === 'AGREEMENT') referencesOf(id);
  if (SK === 'KEY') referencesOf(agreementIdOfItem(item)).keyIds.add(id);
  if (SK === 'EXCEPTION') referencesOf(agreementIdOfItem(item)).exceptionIds.add(id);
  if (kind === 'PERSON') referencesOf(SK.slice('AGREEMENT#'.length)).pointers.push({ PK, SK });
  if (kind === 'LASTFIVE')
    referencesOf(SK.slice('AGREEMENT#'.length, SK.lastIndexOf('#KEY#'))).pointers.push({ PK, SK });
}

function agreementIdOfItem(item: Item): string {
  return fromItem<{ readonly agreementId: string }>(item).value.agreementId;
}

function unrepairableFinding(subject: string, problem: string): Finding {
  return { subject, problem, repairs: [] };
}

/** Reads all of a range, page by page. */
async function queryAll(store: Store, range: Omit<Range, 'limit' | 'startAfter'>): Promise<Item[]> {
  const limit = 100;
  const items: Item[] = [];
  for (let startAfter: Record<string, string> | undefined, more = true; more; ) {
    const page = await query(store, { ...range, limit, ...(startAfter === undefined ? {} : { startAfter }) });
    items.push(...page);
    const last = page.at(-1);
    more = page.length === limit && last !== undefined;
    if (last !== undefined) {
      const { PK, SK } = last;
      const [name] = range.partition;
      const index = range.index === undefined ? {} : { [name]: String(last[name]), dueKey: String(last.dueKey) };
      startAfter = { PK, SK, ...index };
    }
  }
  return items;
}

async function mapSequentially<Each>(
  items: readonly Each[],
  check: (item: Each) => Promise<readonly Finding[]>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const item of items) findings.push(...(await check(item)));
  return findings;
}

type KeyWithItem = KeyRecord & { readonly item: Item };

/** The keys with these ids, and those that came before and after them by replacement. */
async function readKeysWithNeighbors(store: Store, ids: readonly string[]) {
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
  return { found: [...keysById.values()], missing: [...missingIds] };
}

type RequestWithItem = { readonly item: Item; readonly record: Versioned<ExceptionRequest> };

async function readAgreementRequests(
  store: Store,
  agreementId: string,
  references: AgreementReferences,
): Promise<RequestWithItem[]> {
  const indexItems = await queryAll(store, {
    index: 'exceptions-by-agreement',
    partition: ['agreementKey', `AGREEMENT#${agreementId}`],
  });
  return readRequests(store, [
    ...indexItems.map(({ PK }) => PK.slice('EXCEPTION#'.length)),
    ...references.exceptionIds,
  ]);
}

async function readRequests(store: Store, ids: readonly string[]): Promise<RequestWithItem[]> {
  const items = await getAll(store, [...new Set(ids)].map(exceptionKey));
  return items.map((item) => ({ item, record: fromItem<ExceptionRequest>(item) }));
}

async function checkLedger(store: Store, owner: Owner): Promise<readonly Finding[]> {
  const verification = await verifyLedger(store, owner);
  return verification.kind === 'intact'
    ? []
    : [unrepairableFinding(owner, `Its history breaks at entry ${verification.sequence}: ${verification.because}`)];
}

/** What follows from an item's state and makes it found by the sweep and in lists: rewritten when it is otherwise. */
function checkIndexKeys(
  owner: string,
  record: Versioned<unknown>,
  item: Item,
  expected: Readonly<Record<string, string>>,
): Finding[] {
  const names = tableSchema.indexes.flatMap(({ partitionKey, sortKey }) => [partitionKey, sortKey]);
  const wrongNames = [...new Set(names)].filter((name) => item[name] !== expected[name]);
  if (wrongNames.length === 0) return [];
  const namesToSet = wrongNames.filter((name) => expected[name] !== undefined);
  const namesToRemove = wrongNames.filter((name) => expected[name] === undefined);
  const expression = [
    ...(namesToSet.length === 0 ? [] : [`SET ${namesToSet.map((name) => `#${name} = :${name}`).join(', ')}`]),
    ...(namesToRemove.length === 0 ? [] : [`REMOVE ${namesToRemove.map((name) => `#${name}`).join(', ')}`]),
  ].join(' ');
  const update: TransactItem = {
    Update: {
      TableName: '',
      Key: record.key,
      UpdateExpression: expression,
      ConditionExpression: '#version = :version',
      ExpressionAttributeNames: {
        '#version': 'version',
        ...Object.fromEntries(wrongNames.map((name) => [`#${name}`, name])),
      },
      ExpressionAttributeValues: {
        ':version': record.version,
        ...Object.fromEntries(namesToSet.map((name) => [`:${name}`, expected[name]])),
      },
    },
  };
  return [
    {
      subject: owner,
      problem: `It is not found where it should be: ${wrongNames.join(', ')} does not follow from it.`,
      repairs: [[update]],
    },
  ];
}

/** A way that should be there; put back while what it leads to is as it was read. */
async function checkPointers(
  store: Store,
  owner: string,
  pointers: readonly Item[],
  record: Versioned<unknown>,
): Promise<Finding[]> {
  const existing = new Set(
    (
      await getAll(
        store,
        pointers.map(({ PK, SK }) => ({ PK, SK })),
      )
    ).map(({ PK, SK }) => `${PK} ${SK}`),
  );
  return pointers
    .filter(({ PK, SK }) => !existing.has(`${PK} ${SK}`))
    .map((Item) => ({
      subject: owner,
      problem: `The way to it from ${Item.PK} is missing.`,
      repairs: [
        [{ Put: { TableName: '', Item, ConditionExpression: 'attribute_not_exists(PK)' } }, requireUnchanged(record)],
      ],
    }));
}

async function checkPersonPointers(
  store: Store,
  item: Item,
  record: Versioned<Agreement>,
  references: AgreementReferences,
): Promise<Finding[]> {
  const { agreementId } = record.value;
  const owner = `AGREEMENT#${agreementId}` as const;
  const emails = new Set(personEmailsOf(record.value));
  const strayPointers = await getAll(
    store,
    references.pointers.filter(
      ({ PK }) => PK.startsWith('PERSON#') && !emails.has(normalizeEmail(PK.slice('PERSON#'.length))),
    ),
  );
  return [
    ...(await checkLedger(store, owner)),
    ...checkIndexKeys(owner, record, item, agreementIndexKeys(record.value)),
    ...(await checkPointers(
      store,
      owner,
      [...emails].map((email) => personPointer(email, agreementId)),
      record,
    )),
    ...strayPointers.map(({ PK, SK }) => ({
      subject: owner,
      problem: `${PK} leads to it, and is not of its people.`,
      repairs: [[{ Delete: { TableName: '', Key: { PK, SK } } }, requireUnchanged(record)]],
    })),
  ];
}

type AgreementContext = {
  readonly liveMakPointers: readonly Item[];
  readonly requests: readonly RequestWithItem[];
  readonly keys: readonly KeyRecord[];
  /** Which request is open for a key, by the pointer's PK. */
  readonly openExceptionIds: ReadonlyMap<string, string>;
};

async function checkKey(
  store: Store,
  agreement: Versioned<Agreement>,
  key: KeyWithItem,
  context: AgreementContext,
): Promise<Finding[]> {
  const { value } = key;
  const owner = `KEY#${value.keyId}` as const;
  const { agreementId } = agreement.value;
  if (value.agreementId !== agreementId) {
    return [
      unrepairableFinding(
        owner,
        `Something of agreement ${agreementId} leads to it, and it is agreement ${value.agreementId}'s.`,
      ),
    ];
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

/** The secret that the environment names must be the one with which the table's keys were sealed. */
function checkSealedKey(store: Store, { value: key, internal }: KeyRecord): Finding[] {
  const owner = `KEY#${key.keyId}`;
  try {
    const productKey = store.vault.openProductKey(internal.sealedKey, key.keyId);
    if (store.vault.keyIdOf(productKey) === key.keyId && productKey.lastFive === key.lastFive) return [];
    return [unrepairableFinding(owner, 'What is sealed in it is another key.')];
  } catch {
    // Whatever the cipher says of it, it comes to this.
    return [unrepairableFinding(owner, 'Its seal does not open with this root secret.')];
  }
}

function checkReplacement({ value: key }: KeyRecord, keys: readonly KeyRecord[]): Finding[] {
  const byId = new Map(keys.map((each) => [each.value.keyId, each.value]));
  const predecessorState = key.replaces === null ? undefined : byId.get(key.replaces)?.state;
  const problems = [
    ...(predecessorState !== undefined &&
    !(predecessorState.status === 'blocked' && predecessorState.replacedBy?.keyId === key.keyId)
      ? [`It replaces the key ${key.replaces}, which does not say so.`]
      : []),
    ...(key.state.status === 'blocked' &&
    key.state.replacedBy !== null &&
    byId.get(key.state.replacedBy.keyId)?.replaces !== key.keyId
      ? [`It was replaced by the key ${key.state.replacedBy.keyId}, which does not say so.`]
      : []),
  ];
  return problems.map((each) => unrepairableFinding(`KEY#${key.keyId}`, each));
}

/** Each exception grant has its fulfilled request; the other way round is looked at with the request. */
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
        `It was granted ${amount} by request ${reference}, which is not fulfilled for it.`,
      ),
    );
}

/** A pointer to an open request that ends nowhere keeps the next request for the key away. */
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
  const reason = request === undefined ? 'is not in the table' : 'is not open for it';
  const removal: TransactItem = {
    Delete: {
      TableName: '',
      Key: pointer,
      ConditionExpression: '#exceptionId = :exceptionId',
      ExpressionAttributeNames: { '#exceptionId': 'exceptionId' },
      ExpressionAttributeValues: { ':exceptionId': exceptionId },
    },
  };
  const condition: TransactItem =
    request === undefined
      ? {
          ConditionCheck: {
            TableName: '',
            Key: exceptionKey(exceptionId),
            ConditionExpression: 'attribute_not_exists(PK)',
          },
        }
      : requireUnchanged(request.record);
  return [
    {
      subject: `KEY#${key.keyId}`,
      problem: `It says that request ${exceptionId} is open for it, which ${reason}.`,
      repairs: [[removal, condition]],
    },
  ];
}

/** The one MAK of a product group that is not blocked has the group's slot (KEY-2). */
function checkLiveMakPointer(mak: Mak, key: KeyRecord, pointers: readonly Item[]): Finding[] {
  if (mak.state.status === 'blocked') return [];
  const pointer = liveMakPointer(mak.agreementId, mak.productGroup);
  const existing = pointers.find(({ SK }) => SK === pointer.SK);
  if (existing?.keyId === mak.keyId) return [];
  const owner = `KEY#${mak.keyId}`;
  if (existing !== undefined) {
    return [
      unrepairableFinding(
        owner,
        `The place of the one MAK for ${mak.productGroup} is another key's: ${existing.keyId}.`,
      ),
    ];
  }
  const put = {
    Put: { TableName: '', Item: { ...pointer, keyId: mak.keyId }, ConditionExpression: 'attribute_not_exists(PK)' },
  };
  return [
    {
      subject: owner,
      problem: `The way to it as the one MAK for ${mak.productGroup} is missing.`,
      repairs: [[put, requireUnchanged(key)]],
    },
  ];
}

function checkLiveMakPointers(pointers: readonly Item[], keys: readonly KeyRecord[]): Finding[] {
  return pointers.flatMap(({ PK, SK, keyId }) => {
    const key = keys.find(({ value }) => value.keyId === keyId)?.value;
    // What is not there at all is named as missing.
    if (key === undefined) return [];
    const isValid = key.type === 'MAK' && `MAK#${key.productGroup}` === SK && key.state.status !== 'blocked';
    return isValid
      ? []
      : [unrepairableFinding(`${PK} ${SK}`, `It names the key ${keyId}, which is no live MAK of that group.`)];
  });
}

/** Ways by last five that lead to no key of the agreement: only a look through the whole table finds them. */
function checkLastFivePointers({ pointers }: AgreementReferences, keys: readonly KeyRecord[]): Finding[] {
  const expected = new Set(keys.flatMap(({ value: key }) => keyPointers(key)).map(({ PK, SK }) => `${PK} ${SK}`));
  return pointers
    .filter(({ PK, SK }) => PK.startsWith('LASTFIVE#') && !expected.has(`${PK} ${SK}`))
    .map(({ PK, SK }) =>
      unrepairableFinding(`${PK} ${SK}`, 'It leads to no key of that agreement with these last five.'),
    );
}

/** A transaction takes a hundred items; two of them are the key and the reserve. */
const bucketsPerTransaction = 98;

/**
 * The places of a MAK (see `judgeMak`). They are put right only while every bucket, the reserve and the key are as they were
 * read. Of a key of up to 98 buckets that is one transaction; of a larger one several, so nothing may be using it meanwhile.
 */
async function checkSlots(store: Store, key: KeyRecord): Promise<Finding[]> {
  const { keyId, grants, state: keyState } = key.value;
  const owner = `KEY#${keyId}`;
  const { bucketCount } = key.internal;
  const buckets = await readBuckets(store, keyId, bucketNumbersFrom(0, bucketCount));
  const reserve = await get(store, reserveKey(keyId));
  const counters = {
    granted: limitOf(grants),
    status: keyState.status,
    bucketCount,
    reserve: {
      available: Number(reserve?.available ?? 0),
      total: Number(reserve?.limit ?? 0),
      exhausted: reserve?.exhausted === true,
    },
    buckets: buckets.map((bucket) => countersOf(store, keyId, bucket)),
  };
  const consistency = checkMakConsistency(counters);
  const problems = [...(reserve === undefined ? ['its reserve is missing'] : []), ...consistency.inconsistencies];
  const findings: Finding[] = [];
  if (problems.length > 0) {
    const { repair: target } = consistency;
    const targetByBucket = new Map((target?.buckets ?? []).map((bucket) => [bucket.bucket, bucket]));
    const writes = buckets.map((bucket) =>
      bucketRepairWrite(bucket, targetByBucket.get(bucketNumberOf(bucket)) ?? bucket),
    );
    const batches = Array.from({ length: Math.ceil(writes.length / bucketsPerTransaction) }, (_, part) =>
      writes.slice(part * bucketsPerTransaction, (part + 1) * bucketsPerTransaction),
    );
    const repairs =
      target === null
        ? []
        : batches.map((part, index) => [
            ...part,
            requireUnchanged(key),
            // Last of all: until then another look finds the same sums wrong.
            ...(index === batches.length - 1
              ? [reserveRepairWrite(keyId, reserve, target.reserveAvailable, target.total)]
              : []),
          ]);
    findings.push({ subject: owner, problem: problems.map(toSentence).join(' '), repairs });
  }
  const liveBuckets = buckets.filter((bucket) => keyState.status === 'blocked' && bucket.status === 'live');
  if (liveBuckets.length > 0) {
    const blockWrites = liveBuckets.map((bucket) => ({
      Update: {
        TableName: '',
        Key: bucketKey(keyId, bucketNumberOf(bucket)),
        UpdateExpression: 'SET #status = :blocked',
        ConditionExpression: 'attribute_exists(PK)',
        ExpressionAttributeNames: { '#status': 'status' },
        ExpressionAttributeValues: { ':blocked': 'blocked' },
      },
    }));
    const repairs = Array.from({ length: Math.ceil(blockWrites.length / bucketsPerTransaction) }, (_, part) => [
      ...blockWrites.slice(part * bucketsPerTransaction, (part + 1) * bucketsPerTransaction),
      requireUnchanged(key),
    ]);
    findings.push({
      subject: owner,
      problem: `It is blocked, and ${liveBuckets.length} of its buckets are not.`,
      repairs,
    });
  }
  return [...findings, ...(await checkReportedActivations(store, key, buckets))];
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

function bucketRepairWrite(
  bucket: Bucket,
  target: { readonly used: number; readonly available: number },
): TransactItem {
  const unchangedSinceRead = {
    Key: { PK: bucket.PK, SK: bucket.SK },
    ConditionExpression:
      '#used = :used AND #available = :available AND #bucketCount = :bucketCount AND #status = :status',
    ExpressionAttributeNames: bucketAttributeNames,
  };
  const values = {
    ':used': bucket.used,
    ':available': bucket.available,
    ':bucketCount': bucket.bucketCount,
    ':status': bucket.status,
  };
  if (target.used === bucket.used && target.available === bucket.available) {
    return { ConditionCheck: { TableName: '', ...unchangedSinceRead, ExpressionAttributeValues: values } };
  }
  return {
    Update: {
      TableName: '',
      ...unchangedSinceRead,
      UpdateExpression: 'SET #used = :usedAfter, #available = :availableAfter',
      ExpressionAttributeValues: { ...values, ':usedAfter': target.used, ':availableAfter': target.available },
    },
  };
}

function reserveRepairWrite(keyId: string, reserve: Item | undefined, available: number, total: number): TransactItem {
  const Item = { ...reserveKey(keyId), available, limit: total };
  if (reserve === undefined) return { Put: { TableName: '', Item, ConditionExpression: 'attribute_not_exists(PK)' } };
  return {
    Put: {
      TableName: '',
      Item,
      ConditionExpression: '#available = :available AND #limit = :limit',
      ExpressionAttributeNames: { '#available': 'available', '#limit': 'limit' },
      ExpressionAttributeValues: { ':available': reserve.available, ':limit': reserve.limit },
    },
  };
}

/** What the watcher added up must not be less than what is used, or a warning would come late (ALR-1). */
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
      TableName: '',
      Key: { PK: `KEY#${key.keyId}`, SK: 'ALERTS' },
      UpdateExpression: 'SET #reported = :used',
      ConditionExpression: '#reported = :seen AND #version = :version',
      ExpressionAttributeNames: { '#reported': 'activationsReported', '#version': 'version' },
      ExpressionAttributeValues: { ':used': used, ':seen': activationsReported, ':version': version },
    },
  };
  const problem = `Whoever warns has seen ${activationsReported} activations, and ${used} are used.`;
  return [{ subject: `KEY#${key.keyId}`, problem, repairs: [[update]] }];
}

async function checkRequest(
  store: Store,
  { item, record }: RequestWithItem,
  {
    keys,
    openExceptionIds,
  }: { readonly keys: readonly KeyRecord[]; readonly openExceptionIds: ReadonlyMap<string, string> },
  now: Instant,
): Promise<Finding[]> {
  const request = record.value;
  const owner = `EXCEPTION#${request.exceptionId}` as const;
  const key = keys.find(({ value }) => value.keyId === request.keyId);
  return [
    ...(await checkLedger(store, owner)),
    ...checkIndexKeys(owner, record, item, exceptionIndexKeys(request, store.policy)),
    ...(key === undefined ? [] : checkRequestKey(request, key)).map((problem) => unrepairableFinding(owner, problem)),
    ...checkNotifications(request, now).map((problem) => unrepairableFinding(owner, problem)),
    ...(isFinal(request) || key === undefined ? [] : checkOpenRequest(record, openExceptionIds)),
  ];
}

function checkRequestKey(request: ExceptionRequest, { value: key }: KeyRecord): readonly string[] {
  const { exceptionId, form, state: requestState, activations } = request;
  const grants = key.grants.filter(({ kind, reference }) => kind === 'exception' && reference === exceptionId);
  return [
    ...(exceptionKindOf(key.type) === form.kind ? [] : [`It is ${form.kind}, for a ${key.type} key.`]),
    ...(key.agreementId === request.agreementId ? [] : [`Its key is agreement ${key.agreementId}'s.`]),
    ...(requestState.status !== 'fulfilled' || (grants.length === 1 && grants[0]?.amount === activations)
      ? []
      : [`It is fulfilled, and its key was not granted ${activations} by it.`]),
  ];
}

function checkNotifications(
  { pendingNotifications: notifications }: ExceptionRequest,
  now: Instant,
): readonly string[] {
  const ids = notifications.map(({ notificationId }) => notificationId);
  const claimedUntilMax = addDuration(now, { seconds: claimSeconds });
  return [
    ...(new Set(ids).size < ids.length ? ['It owes the same letter twice.'] : []),
    ...notifications
      .filter(({ claimedUntil }) => claimedUntil !== null && claimedUntil > claimedUntilMax)
      .map(
        ({ notificationId, claimedUntil }) =>
          `Its letter ${notificationId} is claimed until ${claimedUntil}, longer than anybody may.`,
      ),
  ];
}

/** An open request is the one that its key names (EXC-5). */
function checkOpenRequest(
  record: Versioned<ExceptionRequest>,
  openExceptionIds: ReadonlyMap<string, string>,
): Finding[] {
  const { exceptionId, keyId } = record.value;
  const pointer = openRequestPointer(keyId);
  const namedExceptionId = openExceptionIds.get(pointer.PK);
  const owner = `EXCEPTION#${exceptionId}`;
  if (namedExceptionId === exceptionId) return [];
  if (namedExceptionId !== undefined)
    return [unrepairableFinding(owner, `It is open, and its key names request ${namedExceptionId} as the open one.`)];
  const put: TransactItem = {
    Put: { TableName: '', Item: { ...pointer, exceptionId }, ConditionExpression: 'attribute_not_exists(PK)' },
  };
  return [
    { subject: owner, problem: 'It is open, and its key does not say so.', repairs: [[put, requireUnchanged(record)]] },
  ];
}
