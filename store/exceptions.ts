import type { Agreement } from '../domain/agreement.ts';
import { agreementIdOf } from '../domain/agreement.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration } from '../domain/calendar/instant.ts';
import type { Context } from '../domain/context.ts';
import type { ExceptionStatus } from '../domain/exception-status.ts';
import { exceptionStatuses, openStatuses } from '../domain/exception-status.ts';
import type { RequestNotification } from '../domain/exceptions/notification.ts';
import { selectUnclaimed, withDeputyNotifications } from '../domain/exceptions/notification.ts';
import type { ExceptionRequest, Execution, NextStep, RequestForm, Transition } from '../domain/exceptions/request.ts';
import { approvalRoundOf, fulfill, isFinal, nextStepOf, receiveRequest } from '../domain/exceptions/request.ts';
import { applyDueAction, nextActionAt } from '../domain/exceptions/schedule.ts';
import type { Policy } from '../domain/policy.ts';
import type { Result } from '../domain/refusal.ts';
import { Secret } from '../domain/secret.ts';
import { readAgreement } from './agreements.ts';
import { dueIndexKeys } from './dynamodb/due-items.ts';
import type { Page, PageRequest } from './dynamodb/page.ts';
import { pageOf } from './dynamodb/page.ts';
import type { Item, ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import { getAll, query } from './dynamodb/table.ts';
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
import { limitIncreaseWrites, listKeysByLastFive, readKey } from './keys.ts';

export function exceptionKey(exceptionId: string): ItemKey {
  return { PK: `EXCEPTION#${exceptionId}`, SK: 'EXCEPTION' };
}

/** Says which request is open for a key: there is at most one (EXC-5). */
export function openRequestPointer(keyId: string): ItemKey {
  return { PK: `KEY#${keyId}`, SK: 'OPEN-REQUEST' };
}

/** The request with this id; `undefined` when there is none. */
export async function findException(store: Store, exceptionId: string): Promise<ExceptionRequest | undefined> {
  return (await readItem<ExceptionRequest>(store, exceptionKey(exceptionId)))?.value;
}

/** Where a request is found besides by its id: by state, by agreement, and by when time will do something to it. */
export function exceptionIndexKeys(request: ExceptionRequest, policy: Policy): Readonly<Record<string, string>> {
  const { clock, exceptionId } = request;
  // While the clock stands there is no due time: such a request comes after all that have one.
  const due = clock.status === 'paused' ? '~' : clock.dueAt;
  return {
    statusKey: statusKey(request.state.status),
    agreementKey: `AGREEMENT#${request.agreementId}`,
    // Answers are due at the close of a day, so many are due at once: of those, the one required first comes first (SLA-7).
    dueKey: `${due}#${request.form.requiredDate}#${exceptionId}`,
    ...dueIndexKeys('EXCEPTION', nextActionAt(request, policy)),
  };
}

function statusKey(status: ExceptionStatus): string {
  return `EXCEPTION#${status}`;
}

/** What one transaction must hold to move a request on; one that ends makes room for the next request for its key. */
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
    ...(isClosing ? [{ Delete: { TableName: '', Key: openRequestPointer(request.keyId) } }] : []),
  ];
}

/** Which agreements whoever sends a request may speak for (AGR-3). */
export type Sender = { readonly maySpeakFor: (agreement: Agreement) => boolean };

/**
 * Takes a request in (EXC-2 to EXC-5, SLA-1): it is written together with its being the one open request for its key and
 * only while that key is live. The same operation again answers with the request that it made.
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
    // Read last: one that was sent twice at once must find itself rather than be refused for being open already.
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
            TableName: '',
            Item: { ...openRequestPointer(request.keyId), exceptionId },
            ConditionExpression: 'attribute_not_exists(PK)',
          },
        },
        requireLiveKey(request.keyId),
      ],
    };
  });
}

function requireLiveKey(keyId: string): TransactItem {
  return {
    ConditionCheck: {
      TableName: '',
      Key: { PK: `KEY#${keyId}`, SK: 'KEY' },
      ConditionExpression: '#value.#state.#status = :live',
      ExpressionAttributeNames: { '#value': 'value', '#state': 'state', '#status': 'status' },
      ExpressionAttributeValues: { ':live': 'live' },
    },
  };
}

/**
 * Moves a request on as the rule decides; `nothing` leaves it as it is. The same operation again changes nothing.
 * Answers `undefined` when there is no such request.
 */
export function transitionException(
  store: Store,
  exceptionId: string,
  decide: (request: ExceptionRequest) => Result<Transition> | 'no-change',
  context: WriteContext,
): Promise<UpdateResult<ExceptionRequest> | undefined> {
  const { operationId, now } = context;
  return updateExisting<ExceptionRequest, ExceptionRequest>(store, exceptionKey(exceptionId), (owned) => {
    const request = owned.value;
    if (operationId !== null && isProcessed(owned, operationId)) return { kind: 'no-change', value: request };
    const decision = decide(request);
    if (decision === 'no-change') return { kind: 'no-change', value: request };
    if (!decision.ok) return { kind: 'refused', refusal: decision };
    const { request: next, event: deed } = decision;
    return writtenIfChanged(store, owned, { next, answer: next }, { operationId, now, event: deed });
  });
}

/** Writes the request as it comes next, and answers; where nothing has changed there is nothing to write. */
function writtenIfChanged<Answer>(
  store: Store,
  owned: Versioned<ExceptionRequest>,
  { next, answer }: { readonly next: ExceptionRequest; readonly answer: Answer },
  writing: WriteOptions,
): UpdateDecision<Answer> {
  return next === owned.value
    ? { kind: 'no-change', value: answer }
    : { kind: 'write', value: answer, writes: requestWrites(store, owned, next, writing) };
}

/**
 * Raises the limit that was approved, and ends the request, in one transaction with the key and both histories (EXC-9):
 * whatever is retried, the grant is there once. A request that has ended already is answered as it is.
 */
export function fulfillException(
  store: Store,
  exceptionId: string,
  now: Instant,
): Promise<UpdateResult<ExceptionRequest> | undefined> {
  return updateExisting<ExceptionRequest, ExceptionRequest>(store, exceptionKey(exceptionId), async (record) => {
    if (isFinal(record.value)) return { kind: 'no-change', value: record.value };
    const keyRecord = await readKey(store, record.value.keyId);
    if (keyRecord === undefined)
      throw new Error(`Key ${record.value.keyId} of ${exceptionId} has gone; keys are never deleted.`);
    const decision = fulfill(record.value, keyRecord.value, { now, policy: store.policy });
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

/** How long whoever claims letters has to send them before another may try. */
export const claimSeconds = 120;

/** A request, and those of its letters that are claimed. */
type Claimed = { readonly request: ExceptionRequest; readonly claimed: readonly RequestNotification[] };

/**
 * Claims the letters that are owed and that nobody else is sending.
 * @param hasDeputy whether the Correspondent has a deputy now, to whom letters are owed as well (AGR-5).
 */
export async function claimPending(
  store: Store,
  exceptionId: string,
  hasDeputy: boolean,
  now: Instant,
): Promise<Claimed | undefined> {
  const result = await updateExisting<ExceptionRequest, Claimed>(store, exceptionKey(exceptionId), (owned) => {
    const request = owned.value;
    const pending = withDeputyNotifications(request.pendingNotifications, hasDeputy);
    const claimedNotifications = selectUnclaimed(pending, now);
    const claimedIds = new Set(claimedNotifications.map(({ notificationId }) => notificationId));
    const claimedUntil = addDuration(now, { seconds: claimSeconds });
    const pendingNotifications = pending.map((notification) =>
      claimedIds.has(notification.notificationId) ? { ...notification, claimedUntil } : notification,
    );
    const next = claimedNotifications.length === 0 ? request : { ...request, pendingNotifications };
    return writtenIfChanged(
      store,
      owned,
      { next, answer: { request: next, claimed: claimedNotifications } },
      { operationId: null, now, event: null },
    );
  });
  return result?.ok ? result.value : undefined;
}

/** Strikes off the letters that were settled, and lets go of those that were claimed and could not be sent. */
export async function completeDelivery(
  store: Store,
  exceptionId: string,
  { completedIds, releasedIds }: { readonly completedIds: readonly string[]; readonly releasedIds: readonly string[] },
  now: Instant,
): Promise<void> {
  await updateExisting<ExceptionRequest, 'done'>(store, exceptionKey(exceptionId), (owned) => {
    const request = owned.value;
    const pendingNotifications = request.pendingNotifications
      .filter(({ notificationId }) => !completedIds.includes(notificationId))
      .map((notification) =>
        releasedIds.includes(notification.notificationId) ? { ...notification, claimedUntil: null } : notification,
      );
    const next = { ...request, pendingNotifications };
    return writtenIfChanged(store, owned, { next, answer: 'done' }, { operationId: null, now, event: null });
  });
}

/** A request, and whether anything was due. */
type Ticked = { readonly request: ExceptionRequest; readonly ticked: boolean };

/** Does the next thing that time brings about for a request (SLA-5, SLA-6). Answers the request, and whether anything was due. */
export async function applyDueExceptionAction(
  store: Store,
  exceptionId: string,
  now: Instant,
): Promise<Ticked | undefined> {
  const result = await updateExisting<ExceptionRequest, Ticked>(store, exceptionKey(exceptionId), (owned) => {
    const transition = applyDueAction(owned.value, { now, policy: store.policy });
    if (transition === undefined) return { kind: 'no-change', value: { request: owned.value, ticked: false } };
    const { request, event: deed } = transition;
    return writtenIfChanged(
      store,
      owned,
      { next: request, answer: { request, ticked: true } },
      { operationId: null, now, event: deed },
    );
  });
  return result?.ok ? result.value : undefined;
}

/** What came of an execution's asking to wait: it waits, the request has moved on meanwhile, or another execution drives it now. */
export type SuspendResult = 'waiting' | 'moved-on' | 'superseded';

/** Lets an execution wait with its task token, if the request still stands where the execution believes it does. */
export async function suspendExecution(
  store: Store,
  exceptionId: string,
  wait: { readonly executionNumber: number; readonly nextStep: NextStep; readonly taskToken: Secret },
  now: Instant,
): Promise<SuspendResult> {
  const result = await updateExisting<ExceptionRequest, SuspendResult>(store, exceptionKey(exceptionId), (record) => {
    const request = record.value;
    if (request.execution.executionNumber !== wait.executionNumber) return { kind: 'no-change', value: 'superseded' };
    if (nextStepOf(request) !== wait.nextStep) return { kind: 'no-change', value: 'moved-on' };
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
 * Says how the workflow of a request is driven from now on, if it is still driven as the caller saw it. Answers the
 * request as it is then, so that the caller sees whether it was.
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
  const result = await updateExisting<ExceptionRequest, ExceptionRequest>(store, exceptionKey(exceptionId), (owned) => {
    const request = owned.value;
    const { status, executionNumber, since } = request.execution;
    const isAsExpected =
      status === expected.status && executionNumber === expected.executionNumber && since === expected.since;
    const driven = isAsExpected ? { ...request, execution: { ...nextExecution, since: now } } : request;
    return writtenIfChanged(store, owned, { next: driven, answer: driven }, { operationId: null, now, event: null });
  });
  return result?.ok ? result.value : undefined;
}

/** A request and the token with which its waiting execution can be woken, if one ever waited. */
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
  /** The agreements to which the list is confined; null for all of them. */
  readonly agreementIds: readonly string[] | null;
};

/**
 * Requests, soonest due first. Every list is merged from partitions of an index that are in that order already, so a
 * cursor is simply the last place in the order.
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
  // A request that moved on between two readings was found in both of its states.
  const uniqueItems = [...new Map(indexItems.flat().map((item) => [item.PK, item])).values()];
  const page = pageOf(uniqueItems.toSorted(compareByDueKey), limit, (item) => String(item.dueKey));
  // The index is a moment behind: what it found is read as it is now, and left out when it no longer belongs there.
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

/** The requests of one agreement in some states: pages of the index are read until there are enough. */
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

/** Of so many requests of an agreement, those due last, the decided ones are looked for. */
const requestsSearchedMax = 50;
const decisionsMax = 5;

/**
 * How long the last decided requests of an agreement lay with the Notices Correspondent, in business minutes, newest first
 * (ALR-2). None when nothing was decided yet.
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
