import type { Agreement } from '../domain/agreement.ts';
import { agreementIdOf } from '../domain/agreement.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { later } from '../domain/calendar/instant.ts';
import type { Context } from '../domain/context.ts';
import type { ExceptionStatus } from '../domain/exception-status.ts';
import { exceptionStatuses, openStatuses } from '../domain/exception-status.ts';
import type { Letter } from '../domain/exceptions/notification.ts';
import { unclaimed, withDeputy } from '../domain/exceptions/notification.ts';
import type { Changed, Drive, ExceptionRequest, Intake, Standing } from '../domain/exceptions/request.ts';
import { askOf, fulfil, isFinal, receive, standingOf } from '../domain/exceptions/request.ts';
import { nextActionAt, tick } from '../domain/exceptions/schedule.ts';
import type { Policy } from '../domain/policy.ts';
import type { Decided } from '../domain/refusal.ts';
import { Secret } from '../domain/secret.ts';
import { readAgreement } from './agreements.ts';
import { dueAttributes } from './dynamodb/due-items.ts';
import type { Page, PageAsk } from './dynamodb/page.ts';
import { pageOf } from './dynamodb/page.ts';
import type { Item, ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import { getAll, query } from './dynamodb/table.ts';
import type { Attempt, Outcome, Owned, WriteContext, Writing } from './dynamodb/versioned-item.ts';
import { change, changeExisting, ownedFrom, read, unwritten, wasDone, writesOf } from './dynamodb/versioned-item.ts';
import { keysEndingIn, raisingWrites, readKey } from './keys.ts';

export function exceptionItem(exceptionId: string): ItemKey {
  return { PK: `EXCEPTION#${exceptionId}`, SK: 'EXCEPTION' };
}

/** Says which request is open for a key: there is at most one (EXC-5). */
export function openKey(keyId: string): ItemKey {
  return { PK: `KEY#${keyId}`, SK: 'OPEN-REQUEST' };
}

/** The request with this id; `undefined` when there is none. */
export async function findException(store: Store, exceptionId: string): Promise<ExceptionRequest | undefined> {
  return (await read<ExceptionRequest>(store, exceptionItem(exceptionId)))?.state;
}

/** Where a request is found besides by its id: by state, by agreement, and by when time will do something to it. */
export function exceptionAttributes(request: ExceptionRequest, policy: Policy): Readonly<Record<string, string>> {
  const { clock, exceptionId } = request;
  // While the clock stands there is no due time: such a request comes after all that have one.
  const due = clock.is === 'standing' ? '~' : clock.dueAt;
  return {
    statusKey: statusKey(request.stage.is),
    agreementKey: `AGREEMENT#${request.agreementId}`,
    // Answers are due at the close of a day, so many are due at once: of those, the one required first comes first (SLA-7).
    dueKey: `${due}#${request.intake.requiredDate}#${exceptionId}`,
    ...dueAttributes('EXCEPTION', nextActionAt(request, policy)),
  };
}

function statusKey(status: ExceptionStatus): string {
  return `EXCEPTION#${status}`;
}

/** What one transaction must hold to move a request on; one that ends makes room for the next request for its key. */
export function movingWrites(
  store: Store,
  owned: Owned<ExceptionRequest>,
  request: ExceptionRequest,
  writing: Writing,
): TransactItem[] {
  const attributes = exceptionAttributes(request, store.policy);
  const closes = isFinal(request) && !isFinal(owned.state);
  return [
    ...writesOf({ ...owned, state: request }, { ...writing, attributes }),
    ...(closes ? [{ Delete: { TableName: '', Key: openKey(request.keyId) } }] : []),
  ];
}

/** Which agreements whoever sends a request may speak for (AGR-3). */
export type Sender = { readonly maySpeakFor: (agreement: Agreement) => boolean };

/**
 * Takes a request in (EXC-2 to EXC-5, SLA-1): it is written together with its being the one open request for its key and
 * only while that key is live. The same operation again answers with the request that it made.
 */
export function receiveException(
  store: Store,
  { exceptionId, intake }: { readonly exceptionId: string; readonly intake: Intake },
  sender: Sender,
  context: Context,
): Promise<Outcome<ExceptionRequest>> {
  const { operationId: operation, now } = context;
  return change(store, async (): Promise<Attempt<ExceptionRequest>> => {
    const agreement = (await readAgreement(store, agreementIdOf(intake)))?.state;
    const known = agreement !== undefined && sender.maySpeakFor(agreement) ? agreement : undefined;
    const keys =
      known === undefined
        ? []
        : (await keysEndingIn(store, intake.keyLastFive, known.agreementId, { limit: 25, after: null })).items.map(
            ({ state }) => state,
          );
    const pointers = await getAll(
      store,
      keys.map(({ keyId }) => openKey(keyId)),
    );
    // Read last: one that was sent twice at once must find itself rather than be refused for being open already.
    const existing = await read<ExceptionRequest>(store, exceptionItem(exceptionId));
    if (existing !== undefined && wasDone(existing, operation)) return { is: 'settled', answer: existing.state };
    const open = new Map(pointers.map(({ PK, exceptionId: id }) => [PK, String(id)]));
    const decided = receive(
      intake,
      { agreement: known, keys, openExceptionId: (keyId) => open.get(openKey(keyId).PK) },
      exceptionId,
      context,
    );
    if (!decided.ok) return { is: 'refused', refused: decided };
    const { request, deed } = decided;
    const owned = unwritten(exceptionItem(exceptionId), request);
    return {
      is: 'to-write',
      answer: request,
      writes: [
        ...movingWrites(store, owned, request, { operation, now, deed }),
        {
          Put: {
            TableName: '',
            Item: { ...openKey(request.keyId), exceptionId },
            ConditionExpression: 'attribute_not_exists(PK)',
          },
        },
        keyIsLive(request.keyId),
      ],
    };
  });
}

function keyIsLive(keyId: string): TransactItem {
  return {
    ConditionCheck: {
      TableName: '',
      Key: { PK: `KEY#${keyId}`, SK: 'KEY' },
      ConditionExpression: '#value.#status.#is = :live',
      ExpressionAttributeNames: { '#value': 'value', '#status': 'status', '#is': 'is' },
      ExpressionAttributeValues: { ':live': 'live' },
    },
  };
}

/**
 * Moves a request on as the rule decides; `nothing` leaves it as it is. The same operation again changes nothing.
 * Answers `undefined` when there is no such request.
 */
export function moveException(
  store: Store,
  exceptionId: string,
  decide: (request: ExceptionRequest) => Decided<Changed> | 'nothing',
  context: WriteContext,
): Promise<Outcome<ExceptionRequest> | undefined> {
  const { operationId: operation, now } = context;
  return changeExisting<ExceptionRequest, ExceptionRequest>(store, exceptionItem(exceptionId), (owned) => {
    const request = owned.state;
    if (operation !== null && wasDone(owned, operation)) return { is: 'settled', answer: request };
    const decided = decide(request);
    if (decided === 'nothing') return { is: 'settled', answer: request };
    if (!decided.ok) return { is: 'refused', refused: decided };
    const { request: next, deed } = decided;
    return writtenIfChanged(store, owned, { next, answer: next }, { operation, now, deed });
  });
}

/** Writes the request as it comes next, and answers; where nothing has changed there is nothing to write. */
function writtenIfChanged<Answer>(
  store: Store,
  owned: Owned<ExceptionRequest>,
  { next, answer }: { readonly next: ExceptionRequest; readonly answer: Answer },
  writing: Writing,
): Attempt<Answer> {
  return next === owned.state
    ? { is: 'settled', answer }
    : { is: 'to-write', answer, writes: movingWrites(store, owned, next, writing) };
}

/**
 * Raises the limit that was approved, and ends the request, in one transaction with the key and both histories (EXC-9):
 * whatever is retried, the grant is there once. A request that has ended already is answered as it is.
 */
export function fulfilException(
  store: Store,
  exceptionId: string,
  now: Instant,
): Promise<Outcome<ExceptionRequest> | undefined> {
  return changeExisting<ExceptionRequest, ExceptionRequest>(store, exceptionItem(exceptionId), async (owned) => {
    if (isFinal(owned.state)) return { is: 'settled', answer: owned.state };
    const kept = await readKey(store, owned.state.keyId);
    if (kept === undefined)
      throw new Error(`Key ${owned.state.keyId} of ${exceptionId} has gone; keys are never deleted.`);
    const decided = fulfil(owned.state, kept.state, { now, policy: store.policy });
    if (!decided.ok) return { is: 'refused', refused: decided };
    const operation = `fulfil ${exceptionId}`;
    const { request, deed, granted } = decided;
    return {
      is: 'to-write',
      answer: request,
      writes: [
        ...movingWrites(store, owned, request, { operation, now, deed }),
        ...(granted === null
          ? []
          : raisingWrites(kept, granted.key, granted.grant.amount, { operation, now, deed: granted.deed })),
      ],
    };
  });
}

/** How long whoever claims letters has to send them before another may try. */
export const claimSeconds = 120;

/** A request, and those of its letters that are claimed. */
type Claimed = { readonly request: ExceptionRequest; readonly claimed: readonly Letter[] };

/**
 * Claims the letters that are owed and that nobody else is sending.
 * @param hasDeputy whether the Correspondent has a deputy now, to whom letters are owed as well (AGR-5).
 */
export async function claimLetters(
  store: Store,
  exceptionId: string,
  hasDeputy: boolean,
  now: Instant,
): Promise<Claimed | undefined> {
  const outcome = await changeExisting<ExceptionRequest, Claimed>(store, exceptionItem(exceptionId), (owned) => {
    const request = owned.state;
    const owed = withDeputy(request.letters, hasDeputy);
    const claimed = unclaimed(owed, now);
    const mine = new Set(claimed.map(({ letterId }) => letterId));
    const claimedUntil = later(now, { seconds: claimSeconds });
    const letters = owed.map((letter) => (mine.has(letter.letterId) ? { ...letter, claimedUntil } : letter));
    const next = claimed.length === 0 ? request : { ...request, letters };
    return writtenIfChanged(
      store,
      owned,
      { next, answer: { request: next, claimed } },
      { operation: null, now, deed: null },
    );
  });
  return outcome?.ok ? outcome.answer : undefined;
}

/** Strikes off the letters that were settled, and lets go of those that were claimed and could not be sent. */
export async function settleLetters(
  store: Store,
  exceptionId: string,
  { settled, unsent }: { readonly settled: readonly string[]; readonly unsent: readonly string[] },
  now: Instant,
): Promise<void> {
  await changeExisting<ExceptionRequest, 'done'>(store, exceptionItem(exceptionId), (owned) => {
    const request = owned.state;
    const letters = request.letters
      .filter(({ letterId }) => !settled.includes(letterId))
      .map((letter) => (unsent.includes(letter.letterId) ? { ...letter, claimedUntil: null } : letter));
    const next = { ...request, letters };
    return writtenIfChanged(store, owned, { next, answer: 'done' }, { operation: null, now, deed: null });
  });
}

/** A request, and whether anything was due. */
type Ticked = { readonly request: ExceptionRequest; readonly ticked: boolean };

/** Does the next thing that time brings about for a request (SLA-5, SLA-6). Answers the request, and whether anything was due. */
export async function tickException(store: Store, exceptionId: string, now: Instant): Promise<Ticked | undefined> {
  const outcome = await changeExisting<ExceptionRequest, Ticked>(store, exceptionItem(exceptionId), (owned) => {
    const due = tick(owned.state, { now, policy: store.policy });
    if (due === undefined) return { is: 'settled', answer: { request: owned.state, ticked: false } };
    const { request, deed } = due;
    return writtenIfChanged(
      store,
      owned,
      { next: request, answer: { request, ticked: true } },
      { operation: null, now, deed },
    );
  });
  return outcome?.ok ? outcome.answer : undefined;
}

/** What came of an execution's asking to wait: it waits, the request has moved on meanwhile, or another execution drives it now. */
export type Parked = 'parked' | 'moved-on' | 'superseded';

/** Lets an execution wait with its task token, if the request still stands where the execution believes it does. */
export async function park(
  store: Store,
  exceptionId: string,
  waits: { readonly attempt: number; readonly standing: Standing; readonly taskToken: Secret },
  now: Instant,
): Promise<Parked> {
  const outcome = await changeExisting<ExceptionRequest, Parked>(store, exceptionItem(exceptionId), (owned) => {
    const request = owned.state;
    if (request.drive.attempt !== waits.attempt) return { is: 'settled', answer: 'superseded' };
    if (standingOf(request) !== waits.standing) return { is: 'settled', answer: 'moved-on' };
    const drive: Drive = { is: 'parked', attempt: waits.attempt, since: now };
    const kept = { ...owned.kept, taskToken: waits.taskToken.reveal() };
    return {
      is: 'to-write',
      answer: 'parked',
      writes: movingWrites(store, { ...owned, kept }, { ...request, drive }, { operation: null, now, deed: null }),
    };
  });
  return outcome?.ok ? outcome.answer : 'superseded';
}

/**
 * Says how the workflow of a request is driven from now on, if it is still driven as the caller saw it. Answers the
 * request as it is then, so that the caller sees whether it was.
 */
export async function drive(
  store: Store,
  exceptionId: string,
  { seen, next }: { readonly seen: Drive; readonly next: Pick<Drive, 'is' | 'attempt'> },
  now: Instant,
): Promise<ExceptionRequest | undefined> {
  const outcome = await changeExisting<ExceptionRequest, ExceptionRequest>(
    store,
    exceptionItem(exceptionId),
    (owned) => {
      const request = owned.state;
      const { is, attempt, since } = request.drive;
      const asSeen = is === seen.is && attempt === seen.attempt && since === seen.since;
      const driven = asSeen ? { ...request, drive: { ...next, since: now } } : request;
      return writtenIfChanged(store, owned, { next: driven, answer: driven }, { operation: null, now, deed: null });
    },
  );
  return outcome?.ok ? outcome.answer : undefined;
}

/** A request and the token with which its waiting execution can be woken, if one ever waited. */
export async function readForWaking(
  store: Store,
  exceptionId: string,
): Promise<{ readonly request: ExceptionRequest; readonly taskToken: Secret | null } | undefined> {
  const owned = await read<ExceptionRequest>(store, exceptionItem(exceptionId));
  if (owned === undefined) return undefined;
  const { taskToken } = owned.kept;
  return {
    request: owned.state,
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
  { limit, after }: PageAsk,
): Promise<Page<ExceptionRequest>> {
  const statuses: readonly ExceptionStatus[] =
    status === null ? exceptionStatuses : status === 'open' ? openStatuses : [status];
  const found =
    agreementIds === null
      ? await Promise.all(
          statuses.map((each) =>
            inOrder(store, {
              index: 'exceptions-by-status',
              partition: statusKey(each),
              after: after ?? '',
              limit: limit + 1,
            }),
          ),
        )
      : await Promise.all(
          agreementIds.map((id) => ofAgreement(store, id, statuses, { after: after ?? '', limit: limit + 1 })),
        );
  // A request that moved on between two readings was found in both of its states.
  const places = [...new Map(found.flat().map((item) => [item.PK, item])).values()];
  const page = pageOf(places.toSorted(byDue), limit, (item) => String(item.dueKey));
  // The index is a moment behind: what it found is read as it is now, and left out when it no longer belongs there.
  const items = await getAll(
    store,
    page.items.map(({ PK, SK }) => ({ PK, SK })),
  );
  const requests = items.map((item) => ownedFrom<ExceptionRequest>(item).state);
  return { items: requests.filter(({ stage }) => statuses.includes(stage.is)), next: page.next };
}

function byDue(one: Item, other: Item): number {
  return String(one.dueKey) < String(other.dueKey) ? -1 : 1;
}

function inOrder(
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
async function ofAgreement(
  store: Store,
  agreementId: string,
  statuses: readonly ExceptionStatus[],
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<Item[]> {
  const found: Item[] = [];
  for (let position = after; found.length < limit; ) {
    const read = await inOrder(store, {
      index: 'exceptions-by-agreement',
      partition: `AGREEMENT#${agreementId}`,
      after: position,
      limit: 100,
    });
    const items = await getAll(
      store,
      read.map(({ PK, SK }) => ({ PK, SK })),
    );
    found.push(...items.filter((item) => statuses.includes(ownedFrom<ExceptionRequest>(item).state.stage.is)));
    const last = read.at(-1);
    if (last === undefined || read.length < 100) break;
    position = String(last.dueKey);
  }
  return found.slice(0, limit);
}

/** Of so many requests of an agreement, those due last, the decided ones are looked for. */
const decidedAmong = 50;
const decisionsLookedAt = 5;

/**
 * How long the last decided requests of an agreement lay with the Notices Correspondent, in business minutes, newest first
 * (ALR-2). None when nothing was decided yet.
 */
export async function approvalMinutes(store: Store, agreementId: string): Promise<readonly number[]> {
  const found = await query(store, {
    index: 'exceptions-by-agreement',
    partition: ['agreementKey', `AGREEMENT#${agreementId}`],
    limit: decidedAmong,
    newestFirst: true,
  });
  const items = await getAll(
    store,
    found.map(({ PK, SK }) => ({ PK, SK })),
  );
  return items
    .map((item) => ownedFrom<ExceptionRequest>(item).state)
    .flatMap((request) => {
      const decision = askOf(request)?.decision ?? null;
      return decision === null ? [] : [{ at: decision.at, minutes: request.clock.spent.correspondent }];
    })
    .toSorted((one, other) => (one.at > other.at ? -1 : 1))
    .slice(0, decisionsLookedAt)
    .map(({ minutes }) => minutes);
}
