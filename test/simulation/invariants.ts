import { isDeepStrictEqual } from 'node:util';
import type { Agreement } from '../../domain/agreement.ts';
import { businessMinutesBetween, dayIn } from '../../domain/calendar/business-time.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { ExceptionStatus } from '../../domain/exception-status.ts';
import type { NotificationKind } from '../../domain/exceptions/notification.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import type { Grant } from '../../domain/keys/grant.ts';
import type { Key, KmsKey } from '../../domain/keys/key.ts';
import type { Item } from '../../store/dynamodb/table.ts';
import { ledgerEntryHash } from '../../store/dynamodb/versioned-item.ts';
import { policy } from '../builders.ts';
import type { Model, TrackedWrite } from './model.ts';
import { roundName } from './model.ts';
import type { ItemChange } from './network.ts';
import { emailName, InvariantViolation } from './network.ts';

/*
 * What must hold in the table whatever happened: after every single write (`judgeChanges`), and after every group of
 * operations (`judgeTable`). The rules are said here once more, without the product's own functions where it matters.
 */

export type Items = ReadonlyMap<string, Item>;
type StoredItem<State> = {
  readonly value: State;
  readonly internal: Readonly<Record<string, unknown>>;
  readonly version: number;
  readonly ledgerHead: { readonly sequence: number; readonly hash: string };
  readonly nextActionKey?: string;
  readonly nextActionAt?: Instant;
};

/** What a question to the Correspondent was about, as it was asked. */
export type RoundRecord = { readonly activations: number; readonly askedAt: Instant };

/** What is remembered of the table's past: what the table itself forgets. */
export type ObservedPast = {
  readonly rounds: Map<string, RoundRecord>;
  /** Every version of every agreement, oldest first. */
  readonly agreements: Map<string, { readonly at: number; readonly agreement: Agreement }[]>;
};

const calendar = policy.supportCalendar;
/** As far as the clocks of two functions are apart, and a little. */
const clockSkewMilliseconds = 8_000;
const hour = 3_600_000;

export function itemIn<State>(items: Items, key: string): StoredItem<State> | undefined {
  return ownedOf<State>(items.get(key));
}

/** Reads an item by the names of its attributes, said here once more. */
function ownedOf<State>(item: Item): StoredItem<State>;
function ownedOf<State>(item: Item | undefined): StoredItem<State> | undefined;
function ownedOf<State>(item: Item | undefined): StoredItem<State> | undefined {
  if (item === undefined) return undefined;
  const { value, internal, ledgerHead, ...rest } = item;
  return { ...rest, state: value, kept: internal, ledgerHead: ledgerHead } as unknown as StoredItem<State>;
}

export function valuesIn<State>(
  items: Items,
  sortKey: string,
): { readonly item: StoredItem<State>; readonly value: State }[] {
  const values: { readonly item: StoredItem<State>; readonly value: State }[] = [];
  for (const [key, item] of items) {
    if (!key.endsWith(` ${sortKey}`)) continue;
    const storedItem = ownedOf<State>(item);
    values.push({ item: storedItem, value: storedItem.value });
  }
  return values;
}

export function limitIn(grants: readonly Grant[]): number {
  return grants.reduce((sum, { kind, amount }) => sum + (kind === 'override' ? 0 : amount), 0);
}

export function bucketsIn(items: Items, keyId: string): Item[] {
  const buckets: Item[] = [];
  const count = Number(itemIn<Key>(items, `KEY#${keyId} KEY`)?.internal.bucketCount ?? 0);
  for (let number = 0; number < count; number += 1) {
    const bucket = items.get(`KEY#${keyId}#${number} BUCKET`);
    if (bucket !== undefined) buckets.push(bucket);
  }
  return buckets;
}

/** What is read again and again of an item, which is another one as soon as it is written. */
function memoizeByItem<Read>(read: (item: Item) => Read): (item: Item) => Read {
  const cache = new WeakMap<Item, Read>();
  return (item) => {
    const result = cache.get(item) ?? read(item);
    cache.set(item, result);
    return result;
  };
}

const activationRecordsIn = memoizeByItem((bucket): readonly string[] =>
  Object.keys(bucket).filter((name) => name.startsWith('+')),
);

export function activationRecordsOf(items: Items, keyId: string): string[] {
  return bucketsIn(items, keyId).flatMap(activationRecordsIn);
}

export function assertRule(holds: boolean, rule: string, about: string): asserts holds {
  if (!holds) throw new InvariantViolation(rule, about);
}

// ---- After every write

export function checkWrites(
  changes: readonly ItemChange[],
  items: Items,
  model: Model,
  past: ObservedPast,
  by: string,
  nowMilliseconds: number,
  attemptedEmails: ReadonlySet<string>,
): void {
  const touched = new Set<string>();
  for (const change of changes) {
    const { key, before, after } = change;
    const [partition = '', sort = ''] = key.split(' ');
    if (partition.startsWith('KEY#') && sort !== 'ALERTS') touched.add(partition.split('#')[1] ?? '');
    if (sort.startsWith('ENTRY#')) {
      assertRule(before === undefined && after !== undefined, 'LED-1 a history is only added to', `${key}, by ${by}`);
    } else if (sort === 'KEY') {
      checkKey(ownedOf<Key>(before), ownedOf<Key>(after), changes, model, by);
    } else if (sort === 'BUCKET') {
      checkBucket(partition.split('#')[1] ?? '', before, after, items, model, by);
    } else if (sort === 'EXCEPTION') {
      checkRequest(ownedOf<ExceptionRequest>(before), ownedOf<ExceptionRequest>(after), {
        changes,
        items,
        model,
        past,
        by,
        attemptedEmails,
      });
    } else if (sort === 'AGREEMENT' && partition.startsWith('AGREEMENT#')) {
      const agreement = ownedOf<Agreement>(after as Item).value;
      const versions = past.agreements.get(agreement.agreementId) ?? [];
      past.agreements.set(agreement.agreementId, [...versions, { at: nowMilliseconds, agreement }]);
    }
    if (['KEY', 'EXCEPTION', 'AGREEMENT'].includes(sort) && after !== undefined) checkVersionAndLedger(change, changes);
  }
  for (const keyId of touched) checkTotals(keyId, items, by);
}

/** What is written moves on by one version, and by one entry that carries the hash of the last (LED-1, LED-2). */
function checkVersionAndLedger({ key, before, after }: ItemChange, changes: readonly ItemChange[]): void {
  const previous = ownedOf<unknown>(before);
  const current = ownedOf<unknown>(after as Item);
  assertRule(
    current.version === (previous?.version ?? 0) + 1,
    'one write is one version',
    `${key} went from ${previous?.version} to ${current.version}`,
  );
  const owner = key.split(' ')[0] ?? '';
  const entries = changes.filter((each) => each.key.startsWith(`LEDGER#${owner} ENTRY#`));
  assertRule(
    entries.length === current.ledgerHead.sequence - (previous?.ledgerHead.sequence ?? 0),
    'LED-1 the history tells of the change',
    key,
  );
  for (const { after: entry } of entries) {
    const ledgerEntry = entry as unknown as Parameters<typeof ledgerEntryHash>[1] & { readonly hash: string };
    assertRule(
      ledgerEntry.previousHash === (previous?.ledgerHead.hash ?? ''),
      'LED-2 an entry carries the hash before it',
      key,
    );
    assertRule(
      ledgerEntry.hash === current.ledgerHead.hash && ledgerEntryHash(owner, ledgerEntry) === ledgerEntry.hash,
      'LED-2 a hash is of what is said',
      key,
    );
  }
}

function checkKey(
  before: StoredItem<Key> | undefined,
  after: StoredItem<Key> | undefined,
  changes: readonly ItemChange[],
  model: Model,
  by: string,
): void {
  assertRule(after !== undefined, 'keys are never deleted', by);
  const { value: currentKey } = after;
  const about = `${currentKey.type} key ${currentKey.keyId}, by ${by}`;
  const order = ['live', 'blocking', 'blocked'];
  const previous = before?.value;
  if (previous === undefined) {
    assertRule(currentKey.state.status === 'live', 'a key begins live', about);
    assertRule(
      currentKey.grants.length === 1 && currentKey.grants[0]?.kind === 'initial',
      'KEY-8 a key begins with one grant',
      about,
    );
  } else {
    assertRule(
      order.indexOf(currentKey.state.status) >= order.indexOf(previous.state.status),
      'BLK-2 a key that was held is never live again',
      about,
    );
    assertRule(
      isDeepStrictEqual(currentKey.grants.slice(0, previous.grants.length), previous.grants),
      'KEY-8 grants are only added',
      about,
    );
    const added = currentKey.grants.slice(previous.grants.length);
    assertRule(added.length === 0 || previous.state.status === 'live', 'BLK-1 nothing is granted after a block', about);
    for (const grant of added) checkGrant(grant, currentKey, changes, about);
    if (previous.type === 'KMS' && currentKey.type === 'KMS') checkHosts(previous, currentKey, model, about);
  }
  const names = currentKey.grants.map(({ kind, reference }) => `${kind} ${reference}`);
  assertRule(new Set(names).size === names.length, 'KEY-8 each grant is given once', `${about}: ${names.join(', ')}`);
  if (currentKey.type === 'MAK') {
    const [original] = currentKey.grants;
    const phoned = currentKey.grants.filter(({ kind }) => kind === 'call-center');
    const sums = phoned.map((grant) => limitIn(currentKey.grants.slice(0, currentKey.grants.indexOf(grant) + 1)));
    assertRule(
      sums.every((sum) => sum <= 2 * (original?.amount ?? 0)),
      'MAK-4 by phone up to double',
      about,
    );
  }
  if (currentKey.type === 'KMS') checkKmsKey(currentKey, about);
  if (currentKey.state.status === 'blocked' && previous?.state.status !== 'blocked') {
    const { replacedBy } = currentKey.state;
    const issued = changes.find(({ key }) => key === `KEY#${replacedBy?.keyId} KEY`);
    assertRule(
      issued?.after !== undefined && issued.before === undefined,
      'BLK-2 blocked and replaced in one step',
      about,
    );
  }
  if (currentKey.state.status === 'blocking') {
    assertRule(
      after.nextActionKey === 'KEY' &&
        Date.parse(String(after.nextActionAt)) <= Date.parse(currentKey.state.since) + 60_000,
      'BLK-2 a held key is on the sweep’s list',
      about,
    );
  }
}

function checkGrant(grant: Grant, key: Key, changes: readonly ItemChange[], about: string): void {
  if (grant.kind !== 'exception') return;
  const requestWrite = changes.find(({ key: name }) => name === `EXCEPTION#${grant.reference} EXCEPTION`);
  const request = ownedOf<ExceptionRequest>(requestWrite?.after)?.value;
  assertRule(request?.state.status === 'fulfilled', 'EXC-9 the limit is raised with the end of the request', about);
  assertRule(
    request.activations === grant.amount && request.keyId === key.keyId,
    'EXC-9 by the number approved',
    about,
  );
  assertRule(grant.approvedBy === request.state.round.decision?.by, 'EXC-6 a grant names who approved', about);
}

function checkHosts(previous: KmsKey, current: KmsKey, model: Model, about: string): void {
  const usesOf = (key: KmsKey) => new Map(key.hosts.map((host) => [host.installationId as string, host.uses]));
  const before = usesOf(previous);
  const machines = model.computers.get(current.keyId);
  for (const [host, uses] of usesOf(current)) {
    const more = uses - (before.get(host) ?? 0);
    assertRule(more >= 0 && more <= 1, 'KMS-1 one activation is one use', `${about}, host ${host}`);
    assertRule(more === 0 || previous.state.status === 'live', 'BLK-1 nothing is activated after a block', about);
    assertRule(
      uses <= (machines?.get(host)?.requests ?? 0),
      'KMS-1 no use that nobody asked for',
      `${about}, host ${host}`,
    );
  }
  const removed = [...before.keys()].filter((host) => !usesOf(current).has(host));
  assertRule(
    removed.length === 0 || current.state.status === 'blocked',
    'BLK-3 hosts leave a replaced key only',
    about,
  );
}

function checkKmsKey(key: KmsKey, about: string): void {
  const standard = key.hosts.filter(({ slot: place }) => place === 'standard');
  const limit = limitIn(key.grants);
  assertRule(standard.length <= limit, 'KMS-1 hosts within the places', `${about}: ${standard.length} of ${limit}`);
  assertRule(
    new Set(key.hosts.map(({ installationId }) => installationId)).size === key.hosts.length,
    'a host is there once',
    about,
  );
  for (const host of key.hosts) {
    assertRule(host.uses - host.overridesSpent <= 10, 'KMS-1 each host up to ten times', about);
    const used = key.overrides.filter((each) => each.installationId === host.installationId && each.usedAt !== null);
    assertRule(used.length === host.overridesSpent, 'OVR-1 an override is spent once, by its host', about);
  }
  const uses = key.hosts.reduce((sum, host) => sum + host.uses, 0);
  assertRule(uses <= limit * 10 + key.overrides.length, 'KMS-1 uses within places times ten and overrides', about);
  const days = key.overrides.map(({ at }) => dayIn(at, policy.callCenter.zone));
  assertRule(days.length <= 5, 'OVR-3 five overrides in all', about);
  assertRule(new Set(days).size === days.length, 'OVR-2 one override a day', `${about}: ${days.join(', ')}`);
  const overrideGrants = key.grants.filter(({ kind }) => kind === 'override');
  assertRule(overrideGrants.length === key.overrides.length, 'KEY-8 each override is a grant', about);
}

function checkBucket(
  keyId: string,
  before: Item | undefined,
  after: Item | undefined,
  items: Items,
  model: Model,
  by: string,
): void {
  assertRule(after !== undefined, 'buckets are never deleted', by);
  const key = itemIn<Key>(items, `KEY#${keyId} KEY`)?.value;
  const about = `MAK ${keyId}, by ${by}`;
  if (key === undefined) {
    assertRule(activationRecordsIn(after).length === 0, 'nothing is activated on a key that is not there', about);
    return;
  }
  const allRecords = new Set(activationRecordsOf(items, keyId));
  const previousRecords = new Set(before && activationRecordsIn(before));
  const lost = [...previousRecords].filter((record) => !allRecords.has(record));
  assertRule(
    lost.length === 0 || key.state.status === 'blocked',
    'MAK-1 what was activated stays',
    `${about}: ${lost.length} lost`,
  );
  const newRecords = activationRecordsIn(after).filter((record) => !previousRecords.has(record));
  assertRule(
    newRecords.length === 0 || key.state.status !== 'blocked',
    'BLK-1 nothing is activated after a block',
    `${about}: ${newRecords.length} machines`,
  );
  assertRule(before?.status !== 'blocked' || after.status === 'blocked', 'a bucket stays blocked', about);
  const machines = model.computers.get(keyId);
  assertRule(
    newRecords.every((record) => machines?.has(record)),
    'MAK-1 no machine that never asked',
    about,
  );
}

/** Grants, limit and places are the same sum, and the used ones are the machines (KEY-7, KEY-8, MAK-1). */
function checkTotals(keyId: string, items: Items, by: string): void {
  const key = itemIn<Key>(items, `KEY#${keyId} KEY`)?.value;
  if (key?.type !== 'MAK') return;
  const buckets = bucketsIn(items, keyId);
  const reserve = items.get(`KEY#${keyId} RESERVE`);
  const records = buckets.flatMap(activationRecordsIn);
  const sum = (name: string) => buckets.reduce((total, bucket) => total + Number(bucket[name]), 0);
  const limit = limitIn(key.grants);
  const about = `MAK ${keyId}, by ${by}: granted ${limit}, enforced ${reserve?.limit}, used ${sum('used')}, available ${sum('available')} and ${reserve?.available}, machines ${records.length}`;
  assertRule(new Set(records).size === records.length, 'MAK-2 a machine counts once', about);
  assertRule(sum('used') === records.length, 'KEY-7 used are the machines', about);
  assertRule(records.length <= limit, 'MAK-1 never past the limit', about);
  assertRule(Number(reserve?.limit) === limit, 'KEY-8 the limit is the sum of its grants', about);
  assertRule(
    sum('used') + sum('available') + Number(reserve?.available) === limit,
    'KEY-8 all places add up to the limit',
    about,
  );
  assertRule(buckets.every(({ available }) => Number(available) >= 0) && Number(reserve?.available) >= 0, 'no place is owed', about);
}

const legalTransitions: Readonly<Record<ExceptionStatus, readonly ExceptionStatus[]>> = {
  received: ['in-review', 'awaiting-approval', 'awaiting-requester', 'rejected', 'withdrawn'],
  'in-review': ['awaiting-requester', 'awaiting-approval', 'rejected', 'withdrawn'],
  'awaiting-requester': ['in-review', 'rejected', 'withdrawn', 'lapsed'],
  'awaiting-approval': [
    'awaiting-requester',
    'awaiting-approval',
    'in-review',
    'denied',
    'fulfilled',
    'rejected',
    'withdrawn',
    'lapsed',
  ],
  fulfilled: [],
  denied: [],
  rejected: [],
  withdrawn: [],
  lapsed: [],
};

export function isFinal(status: ExceptionStatus): boolean {
  return legalTransitions[status].length === 0;
}

type ChangeContext = {
  readonly changes: readonly ItemChange[];
  readonly items: Items;
  readonly model: Model;
  readonly past: ObservedPast;
  readonly by: string;
  readonly attemptedEmails: ReadonlySet<string>;
};

/** Letters that are true for ever, and so are never struck off before they were sent. */
const permanentNotifications: readonly NotificationKind[] = [
  'received',
  'fulfilled',
  'denied',
  'rejected',
  'withdrawn',
  'lapsed',
];

function checkRequest(
  before: StoredItem<ExceptionRequest> | undefined,
  after: StoredItem<ExceptionRequest> | undefined,
  context: ChangeContext,
): void {
  assertRule(after !== undefined, 'requests are never deleted', context.by);
  const { value: request } = after;
  const previous = before?.value;
  const about = `request ${request.exceptionId} (${previous?.state.status} to ${request.state.status}), by ${context.by}`;
  const round = 'round' in request.state ? request.state.round : null;
  const notificationIds = request.pendingNotifications.map(({ notificationId: letterId }) => letterId);
  assertRule(new Set(notificationIds).size === notificationIds.length, 'EXC-11 a letter is owed once', about);
  if (previous === undefined) {
    assertRule(request.state.status === 'received', 'EXC-12 a request begins received', about);
    const key = itemIn<Key>(context.items, `KEY#${request.keyId} KEY`)?.value;
    assertRule(key?.state.status === 'live', 'BLK-1 a request begins on a live key', about);
  } else {
    const { status: previousStatus } = previous.state;
    assertRule(
      previousStatus === request.state.status || legalTransitions[previousStatus].includes(request.state.status),
      'EXC-12 only legal moves',
      about,
    );
    if (isFinal(previousStatus)) {
      assertRule(isDeepStrictEqual(previous.state, request.state), 'EXC-12 a final state is never left', about);
      assertRule(previous.activations === request.activations, 'EXC-12 what has ended stays', about);
    }
    assertRule(
      request.rounds >= previous.rounds && request.rounds <= previous.rounds + 1,
      'EXC-7 one question at a time',
      about,
    );
    assertRule(
      request.activations === previous.activations || request.rounds === previous.rounds + 1,
      'EXC-7 a new number is a new question',
      about,
    );
    const notified = (request: ExceptionRequest) => request.reminded.team + request.reminded.supervisors;
    const previousRound = 'round' in previous.state ? previous.state.round : null;
    const roundReminders =
      round !== null && round.number === previousRound?.number ? round.remindersSent - previousRound.remindersSent : 0;
    const reminders = notified(request) - notified(previous) + roundReminders;
    assertRule(reminders >= 0 && reminders <= 1, 'SLA-5 one reminder at a time', about);
    const notificationsAdded = request.notificationCount - previous.notificationCount;
    assertRule(reminders === 0 || notificationsAdded === 1, 'SLA-5 a reminder is written when it is marked', about);
    for (const { notificationId: letterId, kind, to } of previous.pendingNotifications) {
      if (notificationIds.includes(letterId) || to === 'deputy' || !permanentNotifications.includes(kind)) continue;
      const name = emailName({ exception: request.exceptionId, letter: kind, to });
      assertRule(
        context.attemptedEmails.has(name),
        'EXC-11 a letter is struck off when it was sent',
        `${about}: ${letterId}`,
      );
    }
    const newNotifications = request.pendingNotifications.filter(
      ({ notificationId: letterId }) => !previous.pendingNotifications.some((each) => each.notificationId === letterId),
    );
    // A deputy gets a copy when the letter goes out (AGR-5).
    const isReminder = newNotifications.some(
      ({ kind, to }) => to !== 'deputy' && ['approval-reminder', 'due-soon', 'overdue'].includes(kind),
    );
    assertRule(!isReminder || reminders === 1, 'SLA-5 each reminder is sent once', about);
    if (previousRound?.decision != null && round?.number === previousRound.number) {
      assertRule(isDeepStrictEqual(previousRound.decision, round.decision), 'APR-3 one decision', about);
    }
    if (previous.state.status === 'awaiting-approval' && previous.state.round.decision?.decision === 'approve') {
      assertRule(
        ['awaiting-approval', 'fulfilled', 'rejected', 'in-review'].includes(request.state.status) &&
          request.rounds === previous.rounds,
        'EXC-8 after an approval there is only the team’s stop',
        about,
      );
    }
  }
  if (round !== null) {
    const name = roundName(request.exceptionId, round.number);
    if (!context.past.rounds.has(name))
      context.past.rounds.set(name, { activations: request.activations, askedAt: round.askedAt });
    const wasDecided = previous !== undefined && 'round' in previous.state && previous.state.round?.decision != null;
    if (round.decision !== null && !wasDecided) checkDecision(request, context, about);
  }
  if (request.state.status === 'fulfilled' && previous?.state.status !== 'fulfilled')
    checkFulfilled(request, context, about);
  if (previous !== undefined) checkClock(previous, request, about);
}

/** Decided by who was asked, by a right code, in time, about the exact number (EXC-6, EXC-7, AGR-4). */
function checkDecision(request: ExceptionRequest, { model, past }: ChangeContext, about: string): void {
  const round = 'round' in request.state ? request.state.round : null;
  const decision = round?.decision;
  if (round === null || decision === null || decision === undefined) return;
  const name = roundName(request.exceptionId, round.number);
  const record = past.rounds.get(name);
  assertRule(record?.activations === request.activations, 'EXC-7 the exact number is decided', about);
  const minutes = businessMinutesBetween(record.askedAt, decision.at, calendar);
  assertRule(minutes <= 10 * 8 * 60 + 1, 'SLA-6 nothing is decided after the time to answer', about);
  if (decision.decision === 'approve') {
    assertRule(model.approvers.get(name)?.has(decision.by) === true, 'EXC-6 approved by the code of the mail', about);
  }
  const at = Date.parse(decision.at);
  const versions = past.agreements.get(request.agreementId) ?? [];
  const currentVersions = versions.filter((version, index) => {
    const until = versions[index + 1]?.at ?? Number.POSITIVE_INFINITY;
    return version.at <= at + clockSkewMilliseconds && until >= at - clockSkewMilliseconds;
  });
  // Whoever decides goes by its own clock, and so does this; only which version was there then is a little uncertain.
  const wasApprover = currentVersions.some(({ agreement }) => isApprover(decision.by, agreement, at));
  assertRule(wasApprover, 'AGR-4 only who is the Correspondent decides', `${about}, ${decision.by}`);
}

function isApprover(email: string, agreement: Agreement, at: number): boolean {
  const pending = agreement.pendingNoticesCorrespondent;
  const isEffective = pending !== null && at >= Date.parse(pending.effectiveAt);
  const correspondent = isEffective ? pending.person : agreement.noticesCorrespondent;
  return correspondent.email === email || agreement.deputy?.person.email === email;
}

function checkFulfilled(request: ExceptionRequest, { changes, items }: ChangeContext, about: string): void {
  const decision = 'round' in request.state ? request.state.round?.decision : null;
  assertRule(decision?.decision === 'approve', 'EXC-6 nothing is granted without an approval', about);
  const key = itemIn<Key>(items, `KEY#${request.keyId} KEY`)?.value;
  assertRule(key?.state.status === 'live', 'EXC-9 only a live key is raised', about);
  const raised = changes.some(({ key: name }) => name === `KEY#${request.keyId} KEY`);
  const grants = key.grants.filter(({ kind, reference }) => kind === 'exception' && reference === request.exceptionId);
  assertRule(raised && grants.length === 1, 'EXC-9 the limit is raised with the end of the request', about);
}

/** The clock stands while the requester is asked, and nobody's time is counted twice or not at all (SLA-2, SLA-4). */
function checkClock(previous: ExceptionRequest, current: ExceptionRequest, about: string): void {
  const expectedAssignee = { 'awaiting-requester': 'requester' }[String(current.state.status)] ?? 'others';
  const state =
    current.clock.status === 'stopped' ? 'stopped' : current.clock.status === 'paused' ? 'requester' : 'others';
  assertRule(
    isFinal(current.state.status) ? state === 'stopped' : state === expectedAssignee,
    'SLA-2 the clock stands for the requester only',
    about,
  );
  if (previous.clock.status === 'stopped') {
    assertRule(isDeepStrictEqual(previous.clock, current.clock), 'SLA-2 a stopped clock stays', about);
    return;
  }
  const total = ({ clock }: ExceptionRequest) =>
    clock.elapsed.team + clock.elapsed.requester + clock.elapsed.correspondent;
  const since = current.clock.status === 'stopped' ? current.clock.at : current.clock.since;
  const passed = Math.max(0, businessMinutesBetween(previous.clock.since, since, calendar));
  assertRule(
    total(current) - total(previous) === passed,
    'SLA-4 each minute is somebody’s',
    `${about}: ${total(current) - total(previous)} of ${passed}`,
  );
  if (previous.clock.status === 'running' && current.clock.status === 'running') {
    assertRule(previous.clock.dueAt === current.clock.dueAt, 'SLA-1 the due time stays while the clock runs', about);
  }
  if (previous.clock.status === 'running' && current.clock.status === 'paused') {
    const left = businessMinutesBetween(current.clock.since, previous.clock.dueAt, calendar);
    assertRule(current.clock.remainingMinutes === left, 'SLA-2 the clock stands with what is left', about);
  }
  if (previous.clock.status === 'paused' && current.clock.status === 'running') {
    const left = businessMinutesBetween(current.clock.since, current.clock.dueAt, calendar);
    assertRule(left === previous.clock.remainingMinutes, 'SLA-2 it resumes with what was left', `${about}: ${left}`);
  }
}

// ---- After every group

export function checkTable(items: Items, model: Model, nowMilliseconds: number): void {
  const open = new Map<string, string>();
  for (const { value, item } of valuesIn<ExceptionRequest>(items, 'EXCEPTION')) {
    const about = `request ${value.exceptionId} (${value.state.status})`;
    if (isFinal(value.state.status)) {
      const hasPendingWork = value.pendingNotifications.length > 0 || value.execution.status !== 'ended';
      assertRule(
        !hasPendingWork || item.nextActionKey === 'EXCEPTION',
        'APR-6 what is owed is on the sweep’s list',
        about,
      );
      continue;
    }
    assertRule(!open.has(value.keyId), 'EXC-5 one open request per key', `${about} and ${open.get(value.keyId)}`);
    open.set(value.keyId, value.exceptionId);
    assertRule(
      items.get(`KEY#${value.keyId} OPEN-REQUEST`)?.exceptionId === value.exceptionId,
      'EXC-5 a key names its open request',
      about,
    );
    assertRule(item.nextActionKey === 'EXCEPTION', 'every open request is on the sweep’s list', about);
    const wait = Date.parse(String(item.nextActionAt)) - Date.parse(value.execution.since);
    assertRule(wait <= 24 * hour, 'every open request is on the sweep’s list within its time', about);
    const isSignalPending = ['start-pending', 'resume-pending'].includes(value.execution.status);
    assertRule(!isSignalPending || wait <= 30_000, 'APR-6 a signal that is owed is on the list at once', about);
  }
  for (const key of items.keys()) {
    if (!key.endsWith(' OPEN-REQUEST')) continue;
    assertRule(open.has(key.slice('KEY#'.length, -' OPEN-REQUEST'.length)), 'EXC-5 what is not open is not named', key);
  }
  const slots = new Map<string, string>();
  for (const { value } of valuesIn<Key>(items, 'KEY')) {
    if (value.type !== 'MAK' || value.state.status === 'blocked') continue;
    const slot = `${value.agreementId} ${value.productGroup}`;
    assertRule(!slots.has(slot), 'KEY-2 one live MAK per group', slot);
    slots.set(slot, value.keyId);
  }
  for (const { value, item } of valuesIn<Agreement>(items, 'AGREEMENT')) {
    const pending = value.pendingNoticesCorrespondent;
    assertRule(
      pending === null || (item.nextActionKey === 'AGREEMENT' && item.nextActionAt === pending.effectiveAt),
      'AGR-4 a change that is waiting is on the sweep’s list',
      value.agreementId,
    );
  }
  checkAcknowledged(items, model);
  for (const [key, { nextActionAt }] of items as Map<string, Item & { nextActionAt?: string }>) {
    if (!key.endsWith(' NOTIFICATION') || nextActionAt === undefined) continue;
    assertRule(Date.parse(nextActionAt) <= nowMilliseconds + 130_000, 'a notice is claimed for a moment only', key);
  }
}

/** What was acknowledged is there, and what was asked under one name happened once at most. */
function checkAcknowledged(items: Items, model: Model): void {
  for (const id of model.requests)
    assertRule(items.has(`EXCEPTION#${id} EXCEPTION`), 'an acknowledged request is kept', id);
  for (const id of model.agreements) assertRule(items.has(`AGREEMENT#${id} AGREEMENT`), 'an agreement is kept', id);
  for (const id of model.keys) assertRule(items.has(`KEY#${id} KEY`), 'an issued key is kept', id);
  for (const [keyId, machines] of model.computers) {
    const present = new Set(computersOn(items, keyId));
    for (const [name, machine] of machines) {
      if (machine.acknowledgments === 0) continue;
      assertRule(
        present.has(name) || hasMoved(items, keyId, name),
        'MAK-1 an acknowledged activation is kept',
        `${keyId} ${name}`,
      );
    }
    const key = itemIn<Key>(items, `KEY#${keyId} KEY`)?.value;
    if (key?.type !== 'KMS') continue;
    for (const { installationId, uses } of key.hosts) {
      const machine = machines.get(installationId);
      assertRule(
        uses >= (machine?.acknowledgments ?? 0),
        'KMS-1 an acknowledged use is kept',
        `${keyId} ${installationId}`,
      );
    }
  }
  const counts = countTrackedWrites(items);
  for (const { owner, recordedIn: where, text, isAcknowledged: promised } of model.trackedWrites.values()) {
    const times = counts.get(`${owner} ${where} ${text}`) ?? 0;
    assertRule(times <= 1, 'what is sent twice is done once', `${owner}: ${text} is there ${times} times`);
    assertRule(times === 1 || !promised, 'what was acknowledged is kept', `${owner}: ${text}`);
  }
}

/** Names in the simulation's texts are written so: `#12-3#`. */
const operationName = /#[\w-]+#/g;
/** Entries that tell once more what another has told: the one that came with it is the one that counts. */
const repeatedActions = ['limit-raised', 'key-blocked', 'fulfilled', 'correspondent-changed'];

const operationNamesIn = memoizeByItem(
  ({ action, detail }): ReadonlySet<string> =>
    repeatedActions.includes(String(action)) ? new Set() : new Set(String(detail).match(operationName)),
);

/** Whether something that was asked under a name of its own has been done. */
export function isRecorded(items: Items, { owner, recordedIn: where, text }: TrackedWrite): boolean {
  return countTrackedWrites(items).has(`${owner} ${where} ${text}`);
}

function countTrackedWrites(items: Items): Map<string, number> {
  const times = new Map<string, number>();
  const add = (name: string) => times.set(name, (times.get(name) ?? 0) + 1);
  for (const [key, item] of items) {
    const [partition = '', sort = ''] = key.split(' ');
    const [owner = ''] = partition.replace(/^LEDGER#/, '').split('#');
    if (sort.startsWith('ENTRY#')) {
      for (const name of operationNamesIn(item)) add(`${owner} entry ${name}`);
    }
    if (sort === 'KEY') {
      for (const { reference } of ownedOf<Key>(item).value.grants) add(`${owner} grant ${reference}`);
    }
  }
  return times;
}

export function computersOn(items: Items, keyId: string): readonly string[] {
  const key = itemIn<Key>(items, `KEY#${keyId} KEY`)?.value;
  if (key === undefined) return [];
  return key.type === 'KMS' ? key.hosts.map(({ installationId }) => installationId) : activationRecordsOf(items, keyId);
}

/** Whether a machine has left a replaced key for a successor of it (BLK-3). */
function hasMoved(items: Items, keyId: string, name: string): boolean {
  let status = itemIn<Key>(items, `KEY#${keyId} KEY`)?.value.state;
  while (status?.status === 'blocked' && status.replacedBy !== null) {
    const next = status.replacedBy.keyId;
    if (computersOn(items, next).includes(name)) return true;
    status = itemIn<Key>(items, `KEY#${next} KEY`)?.value.state;
  }
  return false;
}

/** What must hold when nothing goes wrong any more and all time has passed. */
export function checkFinalState(items: Items, attemptedEmails: ReadonlySet<string>): void {
  for (const { value } of valuesIn<ExceptionRequest>(items, 'EXCEPTION')) {
    const about = `request ${value.exceptionId} (${value.state.status}, ${value.execution.status})`;
    assertRule(isFinal(value.state.status), 'every request ends', about);
    assertRule(value.pendingNotifications.length === 0, 'EXC-11 every letter is sent in the end', about);
    const last = emailName({ exception: value.exceptionId, letter: value.state.status, to: 'requester' });
    assertRule(attemptedEmails.has(last), 'EXC-11 whoever asked is told how it ended', about);
    assertRule(value.execution.status === 'ended', 'every workflow comes to its end', about);
  }
  for (const { value } of valuesIn<Key>(items, 'KEY')) {
    assertRule(value.state.status !== 'blocking', 'BLK-2 every replacement is completed', value.keyId);
    const dead = value.state.status === 'blocked' && value.type === 'MAK';
    assertRule(
      !dead || bucketsIn(items, value.keyId).every(({ status }) => status === 'blocked'),
      'every bucket is blocked',
      value.keyId,
    );
  }
  for (const [key, item] of items) {
    assertRule(!key.endsWith(' NOTIFICATION'), 'every notice is sent in the end', key);
    assertRule(item.nextActionKey === undefined, 'nothing is left on the sweep’s list', key);
  }
}
