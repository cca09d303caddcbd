import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration } from '../domain/calendar/instant.ts';
import type { ExceptionRequest } from '../domain/exceptions/request.ts';
import { isFinal } from '../domain/exceptions/request.ts';
import { exceptionKindOf } from '../domain/keys/key.ts';
import { itemIsAbsent } from './dynamodb/conditions.ts';
import type { Item, TransactItem } from './dynamodb/table.ts';
import { getAll } from './dynamodb/table.ts';
import type { Versioned } from './dynamodb/versioned-item.ts';
import { fromItem, requireUnchanged } from './dynamodb/versioned-item.ts';
import { claimSeconds, exceptionIndexKeys, exceptionKey, openRequestPointer } from './exceptions.ts';
import type { KeyRecord } from './keys.ts';
import type { Finding } from './reconcile-items.ts';
import { checkIndexKeys, checkLedger, queryAll, unrepairableFinding } from './reconcile-items.ts';
import type { Store } from './store.ts';

export type RequestWithItem = { readonly item: Item; readonly record: Versioned<ExceptionRequest> };

/** Reads the requests of an agreement from its index, and other requests by ID. */
export async function readAgreementRequests(
  store: Store,
  agreementId: string,
  otherIds: Iterable<string>,
): Promise<RequestWithItem[]> {
  const indexItems = await queryAll(store, {
    index: 'exceptions-by-agreement',
    partition: ['agreementKey', `AGREEMENT#${agreementId}`],
  });
  return readRequests(store, [...indexItems.map(({ PK }) => PK.slice('EXCEPTION#'.length)), ...otherIds]);
}

/** Reads requests by ID, without those that do not exist. */
export async function readRequests(store: Store, ids: readonly string[]): Promise<RequestWithItem[]> {
  const items = await getAll(store, [...new Set(ids)].map(exceptionKey));
  return items.map((item) => ({ item, record: fromItem<ExceptionRequest>(item) }));
}

/**
 * Checks a request: its ledger, its index keys, its key and grant, its outbox, and the pointer to the open request.
 * @param openExceptionIds the open request of each key, by the partition key of the pointer.
 */
export async function checkRequest(
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
  const problems = [...(key === undefined ? [] : checkRequestKey(request, key)), ...checkOutbox(request, now)];
  return [
    ...(await checkLedger(store, owner)),
    ...checkIndexKeys(owner, record, item, exceptionIndexKeys(request, store.policy)),
    ...problems.map((problem) => unrepairableFinding(owner, problem)),
    ...(isFinal(request) || key === undefined ? [] : checkOpenRequest(record, openExceptionIds)),
  ];
}

function checkRequestKey(request: ExceptionRequest, { value: key }: KeyRecord): readonly string[] {
  const { exceptionId, form, state, activations } = request;
  const grants = key.grants.filter(({ kind, reference }) => kind === 'exception' && reference === exceptionId);
  const isGranted = grants.length === 1 && grants[0]?.amount === activations;
  return [
    ...(exceptionKindOf(key.type) === form.kind ? [] : [`Its kind is ${form.kind}, but its key is a ${key.type} key.`]),
    ...(key.agreementId === request.agreementId ? [] : [`Its key belongs to agreement ${key.agreementId}.`]),
    ...(state.status !== 'fulfilled' || isGranted
      ? []
      : [`It is fulfilled, but its key does not have exactly one grant of ${activations} for it.`]),
  ];
}

function checkOutbox({ pendingNotifications }: ExceptionRequest, now: Instant): readonly string[] {
  const ids = pendingNotifications.map(({ notificationId }) => notificationId);
  const claimedUntilMax = addDuration(now, { seconds: claimSeconds });
  return [
    ...(new Set(ids).size < ids.length ? ['Its outbox contains the same notification twice.'] : []),
    ...pendingNotifications
      .filter(({ claimedUntil }) => claimedUntil !== null && claimedUntil > claimedUntilMax)
      .map(
        ({ notificationId, claimedUntil }) =>
          `Its notification ${notificationId} is claimed until ${claimedUntil}, longer than any claim lasts.`,
      ),
  ];
}

/** Checks that the pointer of the key names the open request (EXC-5). The repair adds a missing pointer. */
function checkOpenRequest(
  record: Versioned<ExceptionRequest>,
  openExceptionIds: ReadonlyMap<string, string>,
): Finding[] {
  const { exceptionId, keyId } = record.value;
  const pointer = openRequestPointer(keyId);
  const openExceptionId = openExceptionIds.get(pointer.PK);
  const owner = `EXCEPTION#${exceptionId}`;
  if (openExceptionId === exceptionId) return [];
  if (openExceptionId !== undefined)
    return [unrepairableFinding(owner, `It is open, but the open request of its key is ${openExceptionId}.`)];
  const put: TransactItem = {
    Put: { Item: { ...pointer, exceptionId }, ConditionExpression: itemIsAbsent },
  };
  return [
    {
      subject: owner,
      problem: 'It is open, but its key has no pointer to an open request.',
      repairs: [[put, requireUnchanged(record)]],
    },
  ];
}
