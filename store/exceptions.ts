import type { Agreement } from '../domain/agreement.ts';
import { agreementIdOf } from '../domain/agreement.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration } from '../domain/calendar/instant.ts';
import type { Context } from '../domain/context.ts';
import type { ExceptionStatus } from '../domain/exception-status.ts';
import { exceptionStatuses, openStatuses } from '../domain/exception-status.ts';
import { fulfillRequest } from '../domain/exceptions/approval.ts';
import { receiveRequest } from '../domain/exceptions/intake.ts';
import type { RequestNotification } from '../domain/exceptions/notification.ts';
import { selectUnclaimed, withDeputyNotifications } from '../domain/exceptions/notification.ts';
import type { ExceptionRequest, Execution, NextStep, RequestForm, Transition } from '../domain/exceptions/request.ts';
import { approvalRoundOf, isFinal, nextStepOf } from '../domain/exceptions/request.ts';
import { applyDueAction, nextActionAt } from '../domain/exceptions/schedule.ts';
import type { Policy } from '../domain/policy.ts';
import type { Result } from '../domain/refusal.ts';
import { Secret } from '../domain/secret.ts';
import { readAgreement } from './agreements.ts';
import { itemIsAbsent } from './dynamodb/conditions.ts';
import { dueIndexKeys } from './dynamodb/due-items.ts';
import type { Page, PageRequest } from './dynamodb/page.ts';
import { pageOf } from './dynamodb/page.ts';
import type { Item, ItemKey, TransactItem } from './dynamodb/table.ts';
import { getAll, query } from './dynamodb/table.ts';
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
import { limitIncreaseWrites, listKeysByLastFive, readKey } from './keys.ts';
import type { Store, UpdateDecision, UpdateResult } from './store.ts';

export function exceptionKey(exceptionId: string): ItemKey {
  return { PK: `EXCEPTION#${exceptionId}`, SK: 'EXCEPTION' };
}

/** Returns the key of the pointer to the open request of a key. A key has at most one open request (EXC-5). */
export function openRequestPointer(keyId: string): ItemKey {
  return { PK: `KEY#${keyId}`, SK: 'OPEN-REQUEST' };
}

/** Returns the request with this ID, or `undefined` if there is none. */
export async function findException(store: Store, exceptionId: string): Promise<ExceptionRequest | undefined> {
  return (await readItem<ExceptionRequest>(store, exceptionKey(exceptionId)))?.value;
}

/** Returns the index keys of a request: by status, by agreement, and by its next action. */
export function exceptionIndexKeys(request: ExceptionRequest, policy: Policy): Readonly<Record<string, string>> {
  const { clock, exceptionId } = request;
  // A paused clock has no due time. Such a request sorts after all others.
  const due = clock.status === 'paused' ? '~' : clock.dueAt;
  return {
    statusKey: statusKey(request.state.status),
    agreementKey: `AGREEMENT#${request.agreementId}`,
    // Answers are due at the close of a business day, so many due times are equal: then the earliest required date is
    // first (SLA-7).
    dueKey: `${due}#${request.form.requiredDate}#${exceptionId}`,
    ...dueIndexKeys('EXCEPTION', nextActionAt(request, policy)),
  };
}

function statusKey(status: ExceptionStatus): string {
  return `EXCEPTION#${status}`;
}

/**
 * Returns the writes that store a changed request, for one transaction. A request that closes frees its key for the
 * next one.
 */
export function requestWrites(
  store: Store,
  record: Versioned<ExceptionRequest>,
  request: ExceptionRequest,
  options: WriteOptions,
): TransactItem[] {
  const attributes = exceptionIndexKeys(request, store.policy);
  const isClosing = isFinal(request) && !isFinal(record.value);
  return [
    ...toWrites({ ...record, value: request }, { ...options, attributes }),
    ...(isClosing ? [{ Delete: { Key: openRequestPointer(request.keyId) } }] : []),
  ];
}

/** The sender of a request, who may submit requests only for some agreements (AGR-3). */
export type Sender = { readonly maySpeakFor: (agreement: Agreement) => boolean };

/**
 * Creates a request (EXC-2 to EXC-5, SLA-1). The same transaction sets the pointer to the open request of the key, and
 * checks that the key is live. A repeated operation returns the request that it created.
 */
export function createException(
  store: Store,
  { exceptionId, form }: { readonly exceptionId: string; readonly form: RequestForm },
  sender: Sender,
  context: Context,
): Promise<UpdateResult<ExceptionRequest>> {
  const { operationId, now } = context;
  return updateWithRetry(store, async (): Promise<UpdateDecision<ExceptionRequest>> => {
    const agreement = (await readAgreement(store, agreementIdOf(form)))?.value;
    const visibleAgreement = agreement !== undefined && sender.maySpeakFor(agreement) ? agreement : undefined;
    const keys =
      visibleAgreement === undefined
        ? []
        : (
            await listKeysByLastFive(store, form.keyLastFive, visibleAgreement.agreementId, { limit: 25, after: null })
          ).items.map(({ value: key }) => key);
    const pointers = await getAll(
      store,
      keys.map(({ keyId }) => openRequestPointer(keyId)),
    );
    // Read last: a duplicate sent at the same time must find its own request, and not be refused because that is open.
    const existing = await readItem<ExceptionRequest>(store, exceptionKey(exceptionId));
    if (existing !== undefined && isProcessed(existing, operationId))
      return { kind: 'no-change', value: existing.value };
    const openExceptionIds = new Map(pointers.map(({ PK, exceptionId: id }) => [PK, String(id)]));
    const decision = receiveRequest(
      form,
      {
        agreement: visibleAgreement,
        keys,
        openExceptionId: (keyId) => openExceptionIds.get(openRequestPointer(keyId).PK),
      },
      exceptionId,
      context,
    );
    if (!decision.ok) return { kind: 'refused', refusal: decision };
    const { request, event } = decision;
    const record = newItem(exceptionKey(exceptionId), request);
    return {
      kind: 'write',
      value: request,
      writes: [
        ...requestWrites(store, record, request, { operationId, now, event }),
        {
          Put: {
            Item: { ...openRequestPointer(request.keyId), exceptionId },
            ConditionExpression: itemIsAbsent,
          },
        },
        requireLiveKey(request.keyId),
      ],
    };
  });
}

/** The key is live. */
const keyIsLive = '#value.#state.#status = :live';

function requireLiveKey(keyId: string): TransactItem {
  return {
    ConditionCheck: {
      Key: { PK: `KEY#${keyId}`, SK: 'KEY' },
      ConditionExpression: keyIsLive,
      ExpressionAttributeNames: { '#value': 'value', '#state': 'state', '#status': 'status' },
      ExpressionAttributeValues: { ':live': 'live' },
    },
  };
}

/**
 * Applies a transition to a request. `decide` returns `no-change` to leave the request unchanged. A repeated operation
 * changes nothing. Returns `undefined` if there is no such request.
 */
export function transitionException(
  store: Store,
  exceptionId: string,
  decide: (request: ExceptionRequest) => Result<Transition> | 'no-change',
  context: WriteContext,
): Promise<UpdateResult<ExceptionRequest> | undefined> {
  const { operationId, now } = context;
  return updateRequest(store, exceptionId, (record): UpdateDecision<ExceptionRequest> => {
    const request = record.value;
    if (operationId !== null && isProcessed(record, operationId)) return { kind: 'no-change', value: request };
    const decision = decide(request);
    if (decision === 'no-change') return { kind: 'no-change', value: request };
    if (!decision.ok) return { kind: 'refused', refusal: decision };
    const { request: changed, event } = decision;
    return writeIfChanged(store, record, { request: changed, value: changed }, { operationId, now, event });
  });
}

function updateRequest<Value>(
  store: Store,
  exceptionId: string,
  decide: (record: Versioned<ExceptionRequest>) => UpdateDecision<Value> | Promise<UpdateDecision<Value>>,
): Promise<UpdateResult<Value> | undefined> {
  return updateExisting(store, exceptionKey(exceptionId), decide);
}

/** Decides to write the request, and to return the value. Writes nothing if the request is unchanged. */
function writeIfChanged<Value>(
  store: Store,
  record: Versioned<ExceptionRequest>,
  { request, value }: { readonly request: ExceptionRequest; readonly value: Value },
  options: WriteOptions,
): UpdateDecision<Value> {
  return request === record.value
    ? { kind: 'no-change', value }
    : { kind: 'write', value, writes: requestWrites(store, record, request, options) };
}

/**
 * Raises the limit by the approved number and closes the request. One transaction writes the request, the key, and both
 * ledgers, so a retry cannot grant twice (EXC-9). Returns a closed request unchanged.
 */
export function fulfillException(
  store: Store,
  exceptionId: string,
  now: Instant,
): Promise<UpdateResult<ExceptionRequest> | undefined> {
  return updateRequest(store, exceptionId, async (record): Promise<UpdateDecision<ExceptionRequest>> => {
    if (isFinal(record.value)) return { kind: 'no-change', value: record.value };
    const keyRecord = await readKey(store, record.value.keyId);
    if (keyRecord === undefined)
      throw new Error(`Key ${record.value.keyId} of ${exceptionId} is missing; keys are never deleted.`);
    const decision = fulfillRequest(record.value, keyRecord.value, { now, policy: store.policy });
    if (!decision.ok) return { kind: 'refused', refusal: decision };
    const operationId = `fulfill ${exceptionId}`;
    const { request, event, granted } = decision;
    return {
      kind: 'write',
      value: request,
      writes: [
        ...requestWrites(store, record, request, { operationId, now, event }),
        ...(granted === null
          ? []
          : limitIncreaseWrites(keyRecord, granted.key, granted.grant.amount, {
              operationId,
              now,
              event: granted.event,
            })),
      ],
    };
  });
}

/** The time that a sender has for notifications it claimed. After that, another sender can claim them. */
export const claimSeconds = 120;

type ClaimedNotifications = {
  readonly request: ExceptionRequest;
  readonly notifications: readonly RequestNotification[];
};

/**
 * Claims the pending notifications that no other sender has claimed. Returns the request with the claimed
 * notifications.
 * @param hasDeputy whether the Correspondent has a deputy now, who gets notifications as well (AGR-5).
 */
export async function claimPending(
  store: Store,
  exceptionId: string,
  hasDeputy: boolean,
  now: Instant,
): Promise<ClaimedNotifications | undefined> {
  const result = await updateRequest(store, exceptionId, (record): UpdateDecision<ClaimedNotifications> => {
    const pending = withDeputyNotifications(record.value.pendingNotifications, hasDeputy);
    const notifications = selectUnclaimed(pending, now);
    const claimedIds = new Set(notifications.map(({ notificationId }) => notificationId));
    const claimedUntil = addDuration(now, { seconds: claimSeconds });
    const pendingNotifications = pending.map((notification) =>
      claimedIds.has(notification.notificationId) ? { ...notification, claimedUntil } : notification,
    );
    const request = notifications.length === 0 ? record.value : { ...record.value, pendingNotifications };
    return writeIfChanged(
      store,
      record,
      { request, value: { request, notifications } },
      { operationId: null, now, event: null },
    );
  });
  return result?.ok ? result.value : undefined;
}

/** Removes the completed notifications from the outbox, and releases the claims on those that could not be sent. */
export async function completeDelivery(
  store: Store,
  exceptionId: string,
  { completedIds, releasedIds }: { readonly completedIds: readonly string[]; readonly releasedIds: readonly string[] },
  now: Instant,
): Promise<void> {
  await updateRequest(store, exceptionId, (record): UpdateDecision<null> => {
    const pendingNotifications = record.value.pendingNotifications
      .filter(({ notificationId }) => !completedIds.includes(notificationId))
      .map((notification) =>
        releasedIds.includes(notification.notificationId) ? { ...notification, claimedUntil: null } : notification,
      );
    const request = { ...record.value, pendingNotifications };
    return writeIfChanged(store, record, { request, value: null }, { operationId: null, now, event: null });
  });
}

type DueActionResult = { readonly request: ExceptionRequest; readonly wasDue: boolean };

/** Applies the next due action of a request (SLA-5, SLA-6). Returns the request, and whether an action was due. */
export async function applyDueExceptionAction(
  store: Store,
  exceptionId: string,
  now: Instant,
): Promise<DueActionResult | undefined> {
  const result = await updateRequest(store, exceptionId, (record): UpdateDecision<DueActionResult> => {
    const transition = applyDueAction(record.value, { now, policy: store.policy });
    if (transition === undefined) return { kind: 'no-change', value: { request: record.value, wasDue: false } };
    const { request, event } = transition;
    return writeIfChanged(
      store,
      record,
      { request, value: { request, wasDue: true } },
      { operationId: null, now, event },
    );
  });
  return result?.ok ? result.value : undefined;
}

/**
 * `waiting`: the execution waits. `next-step-changed`: the request has another next step. `superseded`: a newer
 * execution drives the request.
 */
export type SuspendResult = 'waiting' | 'next-step-changed' | 'superseded';

/**
 * Stores the task token of an execution that waits, if the request still has the next step that the execution performs.
 */
export async function suspendExecution(
  store: Store,
  exceptionId: string,
  wait: { readonly executionNumber: number; readonly nextStep: NextStep; readonly taskToken: Secret },
  now: Instant,
): Promise<SuspendResult> {
  const result = await updateRequest(store, exceptionId, (record): UpdateDecision<SuspendResult> => {
    const request = record.value;
    if (request.execution.executionNumber !== wait.executionNumber) return { kind: 'no-change', value: 'superseded' };
    if (nextStepOf(request) !== wait.nextStep) return { kind: 'no-change', value: 'next-step-changed' };
    const execution: Execution = { status: 'waiting', executionNumber: wait.executionNumber, since: now };
    const internal = { ...record.internal, taskToken: wait.taskToken.reveal() };
    return {
      kind: 'write',
      value: 'waiting',
      writes: requestWrites(
        store,
        { ...record, internal },
        { ...request, execution },
        { operationId: null, now, event: null },
      ),
    };
  });
  return result?.ok ? result.value : 'superseded';
}

/**
 * Sets the state of the workflow execution of a request, if that is still as the caller expects. Returns the request
 * after that, so that the caller sees which execution drives it. Returns `undefined` if there is no such request.
 */
export async function updateExecution(
  store: Store,
  exceptionId: string,
  {
    expected,
    nextExecution,
  }: { readonly expected: Execution; readonly nextExecution: Pick<Execution, 'status' | 'executionNumber'> },
  now: Instant,
): Promise<ExceptionRequest | undefined> {
  const result = await updateRequest(store, exceptionId, (record): UpdateDecision<ExceptionRequest> => {
    const { status, executionNumber, since } = record.value.execution;
    const isAsExpected =
      status === expected.status && executionNumber === expected.executionNumber && since === expected.since;
    const request = isAsExpected ? { ...record.value, execution: { ...nextExecution, since: now } } : record.value;
    return writeIfChanged(store, record, { request, value: request }, { operationId: null, now, event: null });
  });
  return result?.ok ? result.value : undefined;
}

/** Returns a request and the task token of its execution; the token is null if no execution ever waited. */
export async function readForResume(
  store: Store,
  exceptionId: string,
): Promise<{ readonly request: ExceptionRequest; readonly taskToken: Secret | null } | undefined> {
  const record = await readItem<ExceptionRequest>(store, exceptionKey(exceptionId));
  if (record === undefined) return undefined;
  const { taskToken } = record.internal;
  return {
    request: record.value,
    taskToken: typeof taskToken === 'string' ? new Secret(taskToken, '[task token]') : null,
  };
}

export type ExceptionFilter = {
  readonly status: ExceptionStatus | 'open' | null;
  /** The agreements whose requests are listed; null for all agreements. */
  readonly agreementIds: readonly string[] | null;
};

/**
 * Returns a page of requests, earliest due time first. It merges partitions of an index that have this order, so a
 * cursor is the sort key of the last request.
 */
export async function listExceptions(
  store: Store,
  { status, agreementIds }: ExceptionFilter,
  { limit, after }: PageRequest,
): Promise<Page<ExceptionRequest>> {
  const statuses: readonly ExceptionStatus[] =
    status === null ? exceptionStatuses : status === 'open' ? openStatuses : [status];
  const indexItems =
    agreementIds === null
      ? await Promise.all(
          statuses.map((each) =>
            queryByDueKey(store, {
              index: 'exceptions-by-status',
              partition: statusKey(each),
              after: after ?? '',
              limit: limit + 1,
            }),
          ),
        )
      : await Promise.all(
          agreementIds.map((id) =>
            queryAgreementExceptions(store, id, statuses, { after: after ?? '', limit: limit + 1 }),
          ),
        );
  // A request whose status changed between two queries is in both results.
  const uniqueItems = [...new Map(indexItems.flat().map((item) => [item.PK, item])).values()];
  const page = pageOf(uniqueItems.toSorted(compareByDueKey), limit, (item) => String(item.dueKey));
  // The index is eventually consistent: read the current items, and leave out those whose status no longer matches.
  const items = await getAll(
    store,
    page.items.map(({ PK, SK }) => ({ PK, SK })),
  );
  const requests = items.map((item) => fromItem<ExceptionRequest>(item).value);
  return { items: requests.filter(({ state }) => statuses.includes(state.status)), next: page.next };
}

function compareByDueKey(one: Item, other: Item): number {
  return String(one.dueKey) < String(other.dueKey) ? -1 : 1;
}

function queryByDueKey(
  store: Store,
  part: {
    readonly index: 'exceptions-by-status' | 'exceptions-by-agreement';
    readonly partition: string;
    readonly after: string;
    readonly limit: number;
  },
): Promise<Item[]> {
  const { index, partition, after, limit } = part;
  const name = index === 'exceptions-by-status' ? 'statusKey' : 'agreementKey';
  return query(store, {
    index,
    partition: [name, partition],
    ...(after === '' ? {} : { sort: { name: 'dueKey', condition: '#sort > :after', values: { ':after': after } } }),
    limit,
  });
}

/** Returns the requests of one agreement with one of the statuses. Reads pages of the index until it has enough. */
async function queryAgreementExceptions(
  store: Store,
  agreementId: string,
  statuses: readonly ExceptionStatus[],
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<Item[]> {
  const matches: Item[] = [];
  for (let position = after; matches.length < limit; ) {
    const indexItems = await queryByDueKey(store, {
      index: 'exceptions-by-agreement',
      partition: `AGREEMENT#${agreementId}`,
      after: position,
      limit: 100,
    });
    const items = await getAll(
      store,
      indexItems.map(({ PK, SK }) => ({ PK, SK })),
    );
    matches.push(...items.filter((item) => statuses.includes(fromItem<ExceptionRequest>(item).value.state.status)));
    const last = indexItems.at(-1);
    if (last === undefined || indexItems.length < 100) break;
    position = String(last.dueKey);
  }
  return matches.slice(0, limit);
}

/** The maximum number of requests that are searched for decisions, latest due time first. */
const requestsSearchedMax = 50;
const decisionsMax = 5;

/**
 * Returns how long the Notices Correspondent took for the last decisions of an agreement, in business minutes, newest
 * first (ALR-2). Empty if there is no decision yet.
 */
export async function listApprovalMinutes(store: Store, agreementId: string): Promise<readonly number[]> {
  const indexItems = await query(store, {
    index: 'exceptions-by-agreement',
    partition: ['agreementKey', `AGREEMENT#${agreementId}`],
    limit: requestsSearchedMax,
    newestFirst: true,
  });
  const items = await getAll(
    store,
    indexItems.map(({ PK, SK }) => ({ PK, SK })),
  );
  return items
    .map((item) => fromItem<ExceptionRequest>(item).value)
    .flatMap((request) => {
      const decision = approvalRoundOf(request)?.decision ?? null;
      return decision === null ? [] : [{ at: decision.at, minutes: request.clock.elapsed.correspondent }];
    })
    .toSorted((one, other) => (one.at > other.at ? -1 : 1))
    .slice(0, decisionsMax)
    .map(({ minutes }) => minutes);
}
