import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { Agreement } from '../domain/agreement.ts';
import { normalizeEmail } from '../domain/agreement.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { later } from '../domain/calendar/instant.ts';
import type { ExceptionRequest } from '../domain/exceptions/request.ts';
import { isFinal } from '../domain/exceptions/request.ts';
import type { BucketAccount } from '../domain/keys/consistency.ts';
import { judgeKms, judgeMak } from '../domain/keys/consistency.ts';
import { limitOf } from '../domain/keys/grant.ts';
import type { Mak } from '../domain/keys/key.ts';
import { exceptionKindOf } from '../domain/keys/key.ts';
import { agreementAttributes, agreementKey, peopleOf, personPointer } from './agreements.ts';
import { tableSchema } from './dynamodb/schema.ts';
import type { Item, ItemKey, Range, Store, TransactItem } from './dynamodb/table.ts';
import { checkFormat, commit, get, getAll, query, unlessBusy } from './dynamodb/table.ts';
import type { Owned } from './dynamodb/versioned-item.ts';
import { isUnchanged, ownedFrom } from './dynamodb/versioned-item.ts';
import { claimSeconds, exceptionAttributes, exceptionItem, openKey } from './exceptions.ts';
import type { KeptKey } from './keys.ts';
import { keptKey, keyAttributes, keyItem, keyPointers, makSlot } from './keys.ts';
import type { Owner } from './ledger.ts';
import { verifyHistory } from './ledger.ts';
import type { Bucket } from './mak-activations.ts';
import {
  bucketKey,
  bucketNames,
  bucketsAt,
  homeOf,
  machinesAdded,
  numberOf,
  numbersFrom,
  reserveKey,
} from './mak-activations.ts';
import { readAlerts } from './usage-alerts.ts';

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
  readonly about: string;
  readonly wrong: string;
  /** Transactions that put it right, in this order; none when that would take a guess. */
  readonly mend: readonly (readonly TransactItem[])[];
};

/** What leads to or says that it belongs to an agreement, as it was seen in the whole table. */
export type Seen = {
  readonly keyIds: Set<string>;
  readonly exceptionIds: Set<string>;
  /** Ways to it, by a person or by last five, that were there. */
  readonly pointers: ItemKey[];
};

export type Checked = { readonly findings: readonly Finding[]; readonly keys: number; readonly requests: number };

const nothingSeen: Seen = { keyIds: new Set(), exceptionIds: new Set(), pointers: [] };

/**
 * Checks everything of one agreement: its people's ways to it, its keys with their places and hosts, its requests with
 * the lists that they are in, and the history of each (KEY-7, KEY-8, EXC-5, LED-2). Writes nothing.
 * @param seen what was seen of it in the whole table, if that was looked through.
 */
export async function checkAgreement(
  store: Store,
  agreementId: string,
  now: Instant,
  seen = nothingSeen,
): Promise<Checked> {
  const agreementItem = await get(store, agreementKey(agreementId));
  if (agreementItem === undefined) {
    const things = seen.keyIds.size + seen.exceptionIds.size + seen.pointers.length;
    const wrong = things === 0 ? 'It is not in the table.' : `It is not in the table, and ${things} things name it.`;
    return { findings: [left(`AGREEMENT#${agreementId}`, wrong)], keys: 0, requests: 0 };
  }
  const agreement = ownedFrom<Agreement>(agreementItem);
  const ways = await collect(store, {
    partition: ['PK', `AGREEMENT#${agreementId}`],
    sort: { name: 'SK', condition: '#sort BETWEEN :from AND :to', values: { ':from': 'KEY#', ':to': 'MAK#~' } },
  });
  const slots = ways.filter(({ SK }) => SK.startsWith('MAK#'));
  const requests = await requestsOf(store, agreementId, seen);
  const keys = await keysOf(store, [
    ...ways.filter(({ SK }) => SK.startsWith('KEY#')).map(({ SK }) => SK.slice('KEY#'.length)),
    ...slots.map(({ keyId }) => String(keyId)),
    ...requests.map(({ owned }) => owned.state.keyId),
    ...seen.keyIds,
  ]);
  const open = new Map(
    (
      await getAll(
        store,
        keys.found.map(({ state }) => openKey(state.keyId)),
      )
    ).map((item) => [item.PK, String(item.exceptionId)]),
  );
  // A request that lost its place in the lists can still be the one that is open for its key.
  const unlisted = [...open.values()].filter((id) => !requests.some(({ owned }) => owned.state.exceptionId === id));
  requests.push(
    ...(await readRequests(store, unlisted)).filter(({ owned }) => owned.state.agreementId === agreementId),
  );

  const findings = [
    ...(await ofPeople(store, agreementItem, agreement, seen)),
    ...keys.missing.map((keyId) =>
      left(`KEY#${keyId}`, `Something of agreement ${agreementId} leads to it, and it is not there.`),
    ),
    ...(await inTurn(keys.found, (key) => ofKey(store, agreement, key, { slots, requests, keys: keys.found, open }))),
    ...ofSlots(slots, keys.found),
    ...(await inTurn(requests, (request) => ofRequest(store, request, { keys: keys.found, open }, now))),
    ...ofLastFives(seen, keys.found),
  ];
  return { findings, keys: keys.found.length, requests: requests.length };
}

/** Puts right what a finding names. Answers whether it was as it was found; if not, nothing more is written. */
export async function mend(store: Store, finding: Finding): Promise<boolean> {
  for (const writes of finding.mend) if ((await commit(store, writes)) !== 'done') return false;
  return finding.mend.length > 0;
}

/**
 * Looks through the whole table, page by page, for what names an agreement. It reads every item once, which no function
 * of the service may: for a table that nobody uses, or in an hour in which there is little to do.
 */
export async function everythingSeen(store: Store): Promise<ReadonlyMap<string, Seen>> {
  const seen = new Map<string, Seen>();
  const of = (agreementId: string): Seen => {
    const known = seen.get(agreementId) ?? { keyIds: new Set(), exceptionIds: new Set(), pointers: [] };
    seen.set(agreementId, known);
    return known;
  };
  let start: Record<string, unknown> | undefined;
  do {
    const page = await unlessBusy(
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
    for (const item of (page.Items ?? []) as Item[]) note(checkFormat(item), of);
    start = page.LastEvaluatedKey;
  } while (start !== undefined);
  return seen;
}

function note(item: Item, of: (agreementId: string) => Seen): void {
  const { PK, SK } = item;
  const [kind, ...rest] = PK.split('#');
  const id = rest.join('#');
  if (SK === 'AGREEMENT') of(id);
  if (SK === 'KEY') of(agreementIn(item)).keyIds.add(id);
  if (SK === 'EXCEPTION') of(agreementIn(item)).exceptionIds.add(id);
  if (kind === 'PERSON') of(SK.slice('AGREEMENT#'.length)).pointers.push({ PK, SK });
  if (kind === 'LASTFIVE') of(SK.slice('AGREEMENT#'.length, SK.lastIndexOf('#KEY#'))).pointers.push({ PK, SK });
}

function agreementIn(item: Item): string {
  return ownedFrom<{ readonly agreementId: string }>(item).state.agreementId;
}

function left(about: string, wrong: string): Finding {
  return { about, wrong, mend: [] };
}

/** Reads all of a range, page by page. */
async function collect(store: Store, range: Omit<Range, 'limit' | 'startAfter'>): Promise<Item[]> {
  const limit = 100;
  const found: Item[] = [];
  for (let startAfter: Record<string, string> | undefined, more = true; more; ) {
    const page = await query(store, { ...range, limit, ...(startAfter === undefined ? {} : { startAfter }) });
    found.push(...page);
    const last = page.at(-1);
    more = page.length === limit && last !== undefined;
    if (last !== undefined) {
      const { PK, SK } = last;
      const [name] = range.partition;
      const index = range.index === undefined ? {} : { [name]: String(last[name]), dueKey: String(last.dueKey) };
      startAfter = { PK, SK, ...index };
    }
  }
  return found;
}

async function inTurn<Each>(
  all: readonly Each[],
  check: (each: Each) => Promise<readonly Finding[]>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const each of all) findings.push(...(await check(each)));
  return findings;
}

type FoundKey = KeptKey & { readonly item: Item };

/** The keys with these ids, and those that came before and after them by replacement. */
async function keysOf(store: Store, ids: readonly string[]) {
  const found = new Map<string, FoundKey>();
  const missing = new Set<string>();
  for (let wanted = [...new Set(ids)]; wanted.length > 0; ) {
    const items = await getAll(store, wanted.map(keyItem));
    const keys = items.map((item) => ({ ...keptKey(ownedFrom(item)), item }));
    for (const key of keys) found.set(key.state.keyId, key);
    for (const id of wanted) if (!found.has(id)) missing.add(id);
    const neighbours = keys.flatMap(({ state }) => [
      ...(state.replaces === null ? [] : [state.replaces]),
      ...(state.status.is === 'blocked' && state.status.replacedBy !== null ? [state.status.replacedBy.keyId] : []),
    ]);
    wanted = [...new Set(neighbours)].filter((id) => !found.has(id) && !missing.has(id));
  }
  return { found: [...found.values()], missing: [...missing] };
}

type Request = { readonly item: Item; readonly owned: Owned<ExceptionRequest> };

async function requestsOf(store: Store, agreementId: string, seen: Seen): Promise<Request[]> {
  const listed = await collect(store, {
    index: 'exceptions-by-agreement',
    partition: ['agreementKey', `AGREEMENT#${agreementId}`],
  });
  return readRequests(store, [...listed.map(({ PK }) => PK.slice('EXCEPTION#'.length)), ...seen.exceptionIds]);
}

async function readRequests(store: Store, ids: readonly string[]): Promise<Request[]> {
  const items = await getAll(store, [...new Set(ids)].map(exceptionItem));
  return items.map((item) => ({ item, owned: ownedFrom<ExceptionRequest>(item) }));
}

async function ofHistory(store: Store, owner: Owner): Promise<readonly Finding[]> {
  const verified = await verifyHistory(store, owner);
  return verified.is === 'whole'
    ? []
    : [left(owner, `Its history breaks at entry ${verified.sequence}: ${verified.because}`)];
}

/** What follows from an item's state and makes it found by the sweep and in lists: rewritten when it is otherwise. */
function ofAttributes(
  owner: string,
  owned: Owned<unknown>,
  item: Item,
  wanted: Readonly<Record<string, string>>,
): Finding[] {
  const names = tableSchema.indexes.flatMap(({ partitionKey, sortKey }) => [partitionKey, sortKey]);
  const wrong = [...new Set(names)].filter((name) => item[name] !== wanted[name]);
  if (wrong.length === 0) return [];
  const set = wrong.filter((name) => wanted[name] !== undefined);
  const gone = wrong.filter((name) => wanted[name] === undefined);
  const expression = [
    ...(set.length === 0 ? [] : [`SET ${set.map((name) => `#${name} = :${name}`).join(', ')}`]),
    ...(gone.length === 0 ? [] : [`REMOVE ${gone.map((name) => `#${name}`).join(', ')}`]),
  ].join(' ');
  const update: TransactItem = {
    Update: {
      TableName: '',
      Key: owned.key,
      UpdateExpression: expression,
      ConditionExpression: '#version = :version',
      ExpressionAttributeNames: {
        '#version': 'version',
        ...Object.fromEntries(wrong.map((name) => [`#${name}`, name])),
      },
      ExpressionAttributeValues: {
        ':version': owned.version,
        ...Object.fromEntries(set.map((name) => [`:${name}`, wanted[name]])),
      },
    },
  };
  return [
    {
      about: owner,
      wrong: `It is not found where it should be: ${wrong.join(', ')} does not follow from it.`,
      mend: [[update]],
    },
  ];
}

/** A way that should be there; put back while what it leads to is as it was read. */
async function ofWays(store: Store, owner: string, ways: readonly Item[], owned: Owned<unknown>): Promise<Finding[]> {
  const there = new Set(
    (
      await getAll(
        store,
        ways.map(({ PK, SK }) => ({ PK, SK })),
      )
    ).map(({ PK, SK }) => `${PK} ${SK}`),
  );
  return ways
    .filter(({ PK, SK }) => !there.has(`${PK} ${SK}`))
    .map((Item) => ({
      about: owner,
      wrong: `The way to it from ${Item.PK} is missing.`,
      mend: [[{ Put: { TableName: '', Item, ConditionExpression: 'attribute_not_exists(PK)' } }, isUnchanged(owned)]],
    }));
}

async function ofPeople(store: Store, item: Item, owned: Owned<Agreement>, seen: Seen): Promise<Finding[]> {
  const { agreementId } = owned.state;
  const owner = `AGREEMENT#${agreementId}` as const;
  const people = new Set(peopleOf(owned.state));
  const strangers = await getAll(
    store,
    seen.pointers.filter(
      ({ PK }) => PK.startsWith('PERSON#') && !people.has(normalizeEmail(PK.slice('PERSON#'.length))),
    ),
  );
  return [
    ...(await ofHistory(store, owner)),
    ...ofAttributes(owner, owned, item, agreementAttributes(owned.state)),
    ...(await ofWays(
      store,
      owner,
      [...people].map((email) => personPointer(email, agreementId)),
      owned,
    )),
    ...strangers.map(({ PK, SK }) => ({
      about: owner,
      wrong: `${PK} leads to it, and is not of its people.`,
      mend: [[{ Delete: { TableName: '', Key: { PK, SK } } }, isUnchanged(owned)]],
    })),
  ];
}

type Around = {
  readonly slots: readonly Item[];
  readonly requests: readonly Request[];
  readonly keys: readonly KeptKey[];
  /** Which request is open for a key, by the pointer's PK. */
  readonly open: ReadonlyMap<string, string>;
};

async function ofKey(store: Store, agreement: Owned<Agreement>, key: FoundKey, around: Around): Promise<Finding[]> {
  const { state } = key;
  const owner = `KEY#${state.keyId}` as const;
  const { agreementId } = agreement.state;
  if (state.agreementId !== agreementId) {
    return [
      left(owner, `Something of agreement ${agreementId} leads to it, and it is agreement ${state.agreementId}'s.`),
    ];
  }
  return [
    ...(await ofHistory(store, owner)),
    ...ofAttributes(owner, key, key.item, keyAttributes(state)),
    ...(await ofWays(store, owner, keyPointers(state), key)),
    ...ofSeal(store, key),
    ...ofReplacement(key, around.keys),
    ...ofGrants(key, around.requests),
    ...(await ofOpenPointer(store, key, around)),
    ...(state.type === 'KMS'
      ? judgeKms(state, store.policy).map((wrong) => left(owner, sentence(wrong)))
      : [...ofSlot(state, key, around.slots), ...(await ofPlaces(store, key))]),
  ];
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

/** The secret that the environment names must be the one with which the table's keys were sealed. */
function ofSeal(store: Store, { state, kept }: KeptKey): Finding[] {
  const owner = `KEY#${state.keyId}`;
  try {
    const productKey = store.vault.openProductKey(kept.sealed, state.keyId);
    if (store.vault.keyIdOf(productKey) === state.keyId && productKey.lastFive === state.lastFive) return [];
    return [left(owner, 'What is sealed in it is another key.')];
  } catch {
    // Whatever the cipher says of it, it comes to this.
    return [left(owner, 'Its seal does not open with this root secret.')];
  }
}

function ofReplacement({ state }: KeptKey, keys: readonly KeptKey[]): Finding[] {
  const byId = new Map(keys.map((each) => [each.state.keyId, each.state]));
  const replaced = state.replaces === null ? undefined : byId.get(state.replaces)?.status;
  const wrong = [
    ...(replaced !== undefined && !(replaced.is === 'blocked' && replaced.replacedBy?.keyId === state.keyId)
      ? [`It replaces the key ${state.replaces}, which does not say so.`]
      : []),
    ...(state.status.is === 'blocked' &&
    state.status.replacedBy !== null &&
    byId.get(state.status.replacedBy.keyId)?.replaces !== state.keyId
      ? [`It was replaced by the key ${state.status.replacedBy.keyId}, which does not say so.`]
      : []),
  ];
  return wrong.map((each) => left(`KEY#${state.keyId}`, each));
}

/** Each exception grant has its fulfilled request; the other way round is looked at with the request. */
function ofGrants({ state }: KeptKey, requests: readonly Request[]): Finding[] {
  return state.grants
    .filter(({ kind }) => kind === 'exception')
    .filter(({ reference }) => {
      const request = requests.find(({ owned }) => owned.state.exceptionId === reference)?.owned.state;
      return request?.stage.is !== 'fulfilled' || request.keyId !== state.keyId;
    })
    .map(({ amount, reference }) =>
      left(`KEY#${state.keyId}`, `It was granted ${amount} by request ${reference}, which is not fulfilled for it.`),
    );
}

/** A pointer to an open request that ends nowhere keeps the next request for the key away. */
async function ofOpenPointer(store: Store, { state }: KeptKey, { open, requests }: Around): Promise<Finding[]> {
  const pointer = openKey(state.keyId);
  const exceptionId = open.get(pointer.PK);
  if (exceptionId === undefined) return [];
  const [request = requests.find(({ owned }) => owned.state.exceptionId === exceptionId)] = await readRequests(store, [
    exceptionId,
  ]);
  if (request !== undefined && !isFinal(request.owned.state) && request.owned.state.keyId === state.keyId) return [];
  const why = request === undefined ? 'is not in the table' : 'is not open for it';
  const drop: TransactItem = {
    Delete: {
      TableName: '',
      Key: pointer,
      ConditionExpression: '#exceptionId = :exceptionId',
      ExpressionAttributeNames: { '#exceptionId': 'exceptionId' },
      ExpressionAttributeValues: { ':exceptionId': exceptionId },
    },
  };
  const stays: TransactItem =
    request === undefined
      ? {
          ConditionCheck: {
            TableName: '',
            Key: exceptionItem(exceptionId),
            ConditionExpression: 'attribute_not_exists(PK)',
          },
        }
      : isUnchanged(request.owned);
  return [
    {
      about: `KEY#${state.keyId}`,
      wrong: `It says that request ${exceptionId} is open for it, which ${why}.`,
      mend: [[drop, stays]],
    },
  ];
}

/** The one MAK of a product group that is not blocked has the group's slot (KEY-2). */
function ofSlot(state: Mak, key: KeptKey, slots: readonly Item[]): Finding[] {
  if (state.status.is === 'blocked') return [];
  const slot = makSlot(state.agreementId, state.productGroup);
  const there = slots.find(({ SK }) => SK === slot.SK);
  if (there?.keyId === state.keyId) return [];
  const owner = `KEY#${state.keyId}`;
  if (there !== undefined) {
    return [left(owner, `The place of the one MAK for ${state.productGroup} is another key's: ${there.keyId}.`)];
  }
  const put = {
    Put: { TableName: '', Item: { ...slot, keyId: state.keyId }, ConditionExpression: 'attribute_not_exists(PK)' },
  };
  return [
    {
      about: owner,
      wrong: `The way to it as the one MAK for ${state.productGroup} is missing.`,
      mend: [[put, isUnchanged(key)]],
    },
  ];
}

function ofSlots(slots: readonly Item[], keys: readonly KeptKey[]): Finding[] {
  return slots.flatMap(({ PK, SK, keyId }) => {
    const key = keys.find(({ state }) => state.keyId === keyId)?.state;
    // What is not there at all is named as missing.
    if (key === undefined) return [];
    const fits = key.type === 'MAK' && `MAK#${key.productGroup}` === SK && key.status.is !== 'blocked';
    return fits ? [] : [left(`${PK} ${SK}`, `It names the key ${keyId}, which is no live MAK of that group.`)];
  });
}

/** Ways by last five that lead to no key of the agreement: only a look through the whole table finds them. */
function ofLastFives({ pointers }: Seen, keys: readonly KeptKey[]): Finding[] {
  const right = new Set(keys.flatMap(({ state }) => keyPointers(state)).map(({ PK, SK }) => `${PK} ${SK}`));
  return pointers
    .filter(({ PK, SK }) => PK.startsWith('LASTFIVE#') && !right.has(`${PK} ${SK}`))
    .map(({ PK, SK }) => left(`${PK} ${SK}`, 'It leads to no key of that agreement with these last five.'));
}

/** A transaction takes a hundred items; two of them are the key and the reserve. */
const bucketsPerTransaction = 98;

/**
 * The places of a MAK (see `judgeMak`). They are put right only while every bucket, the reserve and the key are as they were
 * read. Of a key of up to 98 buckets that is one transaction; of a larger one several, so nothing may be using it meanwhile.
 */
async function ofPlaces(store: Store, key: KeptKey): Promise<Finding[]> {
  const { keyId, grants, status } = key.state;
  const owner = `KEY#${keyId}`;
  const { bucketCount } = key.kept;
  const found = await bucketsAt(store, keyId, numbersFrom(0, bucketCount));
  const reserve = await get(store, reserveKey(keyId));
  const account = {
    granted: limitOf(grants),
    status: status.is,
    bucketCount,
    reserve: {
      free: Number(reserve?.free ?? 0),
      total: Number(reserve?.limit ?? 0),
      spent: reserve?.exhausted === true,
    },
    buckets: found.map((bucket) => accountOf(store, keyId, bucket)),
  };
  const judged = judgeMak(account);
  const wrong = [...(reserve === undefined ? ['its reserve is missing'] : []), ...judged.wrong];
  const findings: Finding[] = [];
  if (wrong.length > 0) {
    const { balanced } = judged;
    const target = new Map((balanced?.buckets ?? []).map((bucket) => [bucket.bucket, bucket]));
    const writes = found.map((bucket) => toPlaces(bucket, target.get(numberOf(bucket)) ?? bucket));
    const parts = Array.from({ length: Math.ceil(writes.length / bucketsPerTransaction) }, (_, part) =>
      writes.slice(part * bucketsPerTransaction, (part + 1) * bucketsPerTransaction),
    );
    const mend =
      balanced === null
        ? []
        : parts.map((part, index) => [
            ...part,
            isUnchanged(key),
            // Last of all: until then another look finds the same sums wrong.
            ...(index === parts.length - 1 ? [toReserve(keyId, reserve, balanced.reserveFree, balanced.total)] : []),
          ]);
    findings.push({ about: owner, wrong: wrong.map(sentence).join(' '), mend });
  }
  const open = found.filter((bucket) => status.is === 'blocked' && bucket.status === 'live');
  if (open.length > 0) {
    const block = open.map((bucket) => ({
      Update: {
        TableName: '',
        Key: bucketKey(keyId, numberOf(bucket)),
        UpdateExpression: 'SET #status = :blocked',
        ConditionExpression: 'attribute_exists(PK)',
        ExpressionAttributeNames: { '#status': 'status' },
        ExpressionAttributeValues: { ':blocked': 'blocked' },
      },
    }));
    const mend = Array.from({ length: Math.ceil(block.length / bucketsPerTransaction) }, (_, part) => [
      ...block.slice(part * bucketsPerTransaction, (part + 1) * bucketsPerTransaction),
      isUnchanged(key),
    ]);
    findings.push({ about: owner, wrong: `It is blocked, and ${open.length} of its buckets are not.`, mend });
  }
  return [...findings, ...(await ofSeen(store, key, found))];
}

function accountOf(store: Store, keyId: string, bucket: Bucket): BucketAccount {
  const { PK, SK, used, free, bucketCount: modulus, status } = bucket;
  const machines = machinesAdded({ PK, SK }, bucket);
  const strangers = machines.filter(
    (machine) => homeOf(store.vault.digestOf(keyId, machine), modulus) !== numberOf(bucket),
  ).length;
  return { bucket: numberOf(bucket), used, free, modulus, blocked: status === 'blocked', machines, strangers };
}

function toPlaces(bucket: Bucket, to: { readonly used: number; readonly free: number }): TransactItem {
  const asRead = {
    Key: { PK: bucket.PK, SK: bucket.SK },
    ConditionExpression: '#used = :used AND #free = :free AND #bucketCount = :bucketCount AND #status = :status',
    ExpressionAttributeNames: bucketNames,
  };
  const values = {
    ':used': bucket.used,
    ':free': bucket.free,
    ':bucketCount': bucket.bucketCount,
    ':status': bucket.status,
  };
  if (to.used === bucket.used && to.free === bucket.free) {
    return { ConditionCheck: { TableName: '', ...asRead, ExpressionAttributeValues: values } };
  }
  return {
    Update: {
      TableName: '',
      ...asRead,
      UpdateExpression: 'SET #used = :usedThen, #free = :freeThen',
      ExpressionAttributeValues: { ...values, ':usedThen': to.used, ':freeThen': to.free },
    },
  };
}

function toReserve(keyId: string, reserve: Item | undefined, free: number, total: number): TransactItem {
  const Item = { ...reserveKey(keyId), free, limit: total };
  if (reserve === undefined) return { Put: { TableName: '', Item, ConditionExpression: 'attribute_not_exists(PK)' } };
  return {
    Put: {
      TableName: '',
      Item,
      ConditionExpression: '#free = :free AND #limit = :limit',
      ExpressionAttributeNames: { '#free': 'free', '#limit': 'limit' },
      ExpressionAttributeValues: { ':free': reserve.free, ':limit': reserve.limit },
    },
  };
}

/** What the watcher added up must not be less than what is used, or a warning would come late (ALR-1). */
async function ofSeen(store: Store, { state }: KeptKey, buckets: readonly Bucket[]): Promise<Finding[]> {
  const { version, seen } = await readAlerts(store, state.keyId);
  const used = buckets.reduce((sum, bucket) => sum + machinesAdded({ PK: '', SK: '' }, bucket).length, 0);
  if (state.status.is !== 'live' || version === 0 || seen >= used) return [];
  const update: TransactItem = {
    Update: {
      TableName: '',
      Key: { PK: `KEY#${state.keyId}`, SK: 'ALERTS' },
      UpdateExpression: 'SET #reported = :used',
      ConditionExpression: '#reported = :seen AND #version = :version',
      ExpressionAttributeNames: { '#reported': 'activationsReported', '#version': 'version' },
      ExpressionAttributeValues: { ':used': used, ':seen': seen, ':version': version },
    },
  };
  const wrong = `Whoever warns has seen ${seen} activations, and ${used} are used.`;
  return [{ about: `KEY#${state.keyId}`, wrong, mend: [[update]] }];
}

async function ofRequest(
  store: Store,
  { item, owned }: Request,
  { keys, open }: { readonly keys: readonly KeptKey[]; readonly open: ReadonlyMap<string, string> },
  now: Instant,
): Promise<Finding[]> {
  const request = owned.state;
  const owner = `EXCEPTION#${request.exceptionId}` as const;
  const key = keys.find(({ state }) => state.keyId === request.keyId);
  return [
    ...(await ofHistory(store, owner)),
    ...ofAttributes(owner, owned, item, exceptionAttributes(request, store.policy)),
    ...(key === undefined ? [] : ofItsKey(request, key)).map((wrong) => left(owner, wrong)),
    ...ofLetters(request, now).map((wrong) => left(owner, wrong)),
    ...(isFinal(request) || key === undefined ? [] : ofBeingOpen(owned, open)),
  ];
}

function ofItsKey(request: ExceptionRequest, { state }: KeptKey): readonly string[] {
  const { exceptionId, intake, stage, activations } = request;
  const granted = state.grants.filter(({ kind, reference }) => kind === 'exception' && reference === exceptionId);
  return [
    ...(exceptionKindOf(state.type) === intake.kind ? [] : [`It is ${intake.kind}, for a ${state.type} key.`]),
    ...(state.agreementId === request.agreementId ? [] : [`Its key is agreement ${state.agreementId}'s.`]),
    ...(stage.is !== 'fulfilled' || (granted.length === 1 && granted[0]?.amount === activations)
      ? []
      : [`It is fulfilled, and its key was not granted ${activations} by it.`]),
  ];
}

function ofLetters({ letters }: ExceptionRequest, now: Instant): readonly string[] {
  const ids = letters.map(({ letterId }) => letterId);
  const longest = later(now, { seconds: claimSeconds });
  return [
    ...(new Set(ids).size < ids.length ? ['It owes the same letter twice.'] : []),
    ...letters
      .filter(({ claimedUntil }) => claimedUntil !== null && claimedUntil > longest)
      .map(
        ({ letterId, claimedUntil }) =>
          `Its letter ${letterId} is claimed until ${claimedUntil}, longer than anybody may.`,
      ),
  ];
}

/** An open request is the one that its key names (EXC-5). */
function ofBeingOpen(owned: Owned<ExceptionRequest>, open: ReadonlyMap<string, string>): Finding[] {
  const { exceptionId, keyId } = owned.state;
  const pointer = openKey(keyId);
  const named = open.get(pointer.PK);
  const owner = `EXCEPTION#${exceptionId}`;
  if (named === exceptionId) return [];
  if (named !== undefined) return [left(owner, `It is open, and its key names request ${named} as the open one.`)];
  const put: TransactItem = {
    Put: { TableName: '', Item: { ...pointer, exceptionId }, ConditionExpression: 'attribute_not_exists(PK)' },
  };
  return [{ about: owner, wrong: 'It is open, and its key does not say so.', mend: [[put, isUnchanged(owned)]] }];
}
