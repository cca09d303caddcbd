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
 * The invariants of the table: after every write (`checkWrites`), after every group of operations (`checkTable`), and
 * at the end (`checkFinalState`). They are written independently: where it matters, they do not use the product's
 * functions.
 */

export type Items = ReadonlyMap<string, Item>;
/** The stored attributes of an item that has a ledger. */
type StoredItem<Value> = {
  readonly value: Value;
  readonly internal: Readonly<Record<string, unknown>>;
  readonly version: number;
  readonly ledgerHead: { readonly sequence: number; readonly hash: string };
  readonly nextActionKey?: string;
  readonly nextActionAt?: Instant;
};

/** An approval round as it started. */
export type RoundRecord = { readonly activations: number; readonly askedAt: Instant };

/** Earlier contents of the table that the table does not keep. */
export type ObservedPast = {
  readonly rounds: Map<string, RoundRecord>;
  /** Every version of every agreement, oldest first. */
  readonly agreements: Map<string, { readonly at: number; readonly agreement: Agreement }[]>;
};

const calendar = policy.supportCalendar;
/** The largest difference between the clocks of two functions, and two seconds more. */
const clockSkewMilliseconds = 8_000;
const hour = 3_600_000;

export function itemIn<Value>(items: Items, key: string): StoredItem<Value> | undefined {
  return toStoredItem<Value>(items.get(key));
}

/** Reads an item with a ledger by the names of its stored attributes. */
function toStoredItem<Value>(item: Item): StoredItem<Value>;
function toStoredItem<Value>(item: Item | undefined): StoredItem<Value> | undefined;
function toStoredItem<Value>(item: Item | undefined): StoredItem<Value> | undefined {
  return item as unknown as StoredItem<Value> | undefined;
}

export function valuesIn<Value>(
  items: Items,
  sortKey: string,
): { readonly item: StoredItem<Value>; readonly value: Value }[] {
  const values: { readonly item: StoredItem<Value>; readonly value: Value }[] = [];
  for (const [key, item] of items) {
    if (!key.endsWith(` ${sortKey}`)) continue;
    const storedItem = toStoredItem<Value>(item);
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

/** Caches what is read from an item. Each write creates a new item object, so that the cache is never stale. */
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

export function check(holds: boolean, invariant: string, details: string): asserts holds {
  if (!holds) throw new InvariantViolation(invariant, details);
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
      check(before === undefined && after !== undefined, 'LED-1 A ledger entry never changes', `${key}, by ${by}`);
    } else if (sort === 'KEY') {
      checkKey(toStoredItem<Key>(before), toStoredItem<Key>(after), changes, model, by);
    } else if (sort === 'BUCKET') {
      checkBucket(partition.split('#')[1] ?? '', before, after, items, model, by);
    } else if (sort === 'EXCEPTION') {
      checkRequest(toStoredItem<ExceptionRequest>(before), toStoredItem<ExceptionRequest>(after), {
        changes,
        items,
        model,
        past,
        by,
        attemptedEmails,
      });
    } else if (sort === 'AGREEMENT' && partition.startsWith('AGREEMENT#')) {
      const agreement = toStoredItem<Agreement>(after as Item).value;
      const versions = past.agreements.get(agreement.agreementId) ?? [];
      past.agreements.set(agreement.agreementId, [...versions, { at: nowMilliseconds, agreement }]);
    }
    if (['KEY', 'EXCEPTION', 'AGREEMENT'].includes(sort) && after !== undefined) checkVersionAndLedger(change, changes);
  }
  for (const keyId of touched) checkTotals(keyId, items, by);
}

/** Each write adds one version and one ledger entry, which carries the hash of the previous one (LED-1, LED-2). */
function checkVersionAndLedger({ key, before, after }: ItemChange, changes: readonly ItemChange[]): void {
  const previous = toStoredItem<unknown>(before);
  const current = toStoredItem<unknown>(after as Item);
  check(
    current.version === (previous?.version ?? 0) + 1,
    'A write adds one version',
    `${key}: from ${previous?.version} to ${current.version}`,
  );
  const owner = key.split(' ')[0] ?? '';
  const entries = changes.filter((each) => each.key.startsWith(`LEDGER#${owner} ENTRY#`));
  check(
    entries.length === current.ledgerHead.sequence - (previous?.ledgerHead.sequence ?? 0),
    'LED-1 A change has its ledger entry',
    key,
  );
  for (const { after: entry } of entries) {
    const ledgerEntry = entry as unknown as Parameters<typeof ledgerEntryHash>[1] & { readonly hash: string };
    check(
      ledgerEntry.previousHash === (previous?.ledgerHead.hash ?? ''),
      'LED-2 An entry carries the hash of the previous one',
      key,
    );
    check(
      ledgerEntry.hash === current.ledgerHead.hash && ledgerEntryHash(owner, ledgerEntry) === ledgerEntry.hash,
      'LED-2 A hash covers its entry',
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
  check(after !== undefined, 'Keys are never deleted', by);
  const { value: currentKey } = after;
  const about = `${currentKey.type} key ${currentKey.keyId}, by ${by}`;
  const order = ['live', 'blocking', 'blocked'];
  const previous = before?.value;
  if (previous === undefined) {
    check(currentKey.state.status === 'live', 'A key starts live', about);
    check(
      currentKey.grants.length === 1 && currentKey.grants[0]?.kind === 'initial',
      'KEY-8 A key starts with one grant',
      about,
    );
  } else {
    check(
      order.indexOf(currentKey.state.status) >= order.indexOf(previous.state.status),
      'BLK-2 A held key never becomes live again',
      about,
    );
    check(
      isDeepStrictEqual(currentKey.grants.slice(0, previous.grants.length), previous.grants),
      'KEY-8 A grant never changes',
      about,
    );
    const added = currentKey.grants.slice(previous.grants.length);
    check(added.length === 0 || previous.state.status === 'live', 'BLK-1 Nothing is granted after a block', about);
    for (const grant of added) checkGrant(grant, currentKey, changes, about);
    if (previous.type === 'KMS' && currentKey.type === 'KMS') checkHosts(previous, currentKey, model, about);
  }
  const names = currentKey.grants.map(({ kind, reference }) => `${kind} ${reference}`);
  check(new Set(names).size === names.length, 'KEY-8 Each grant is applied once', `${about}: ${names.join(', ')}`);
  if (currentKey.type === 'MAK') {
    const [initial] = currentKey.grants;
    const callCenterGrants = currentKey.grants.filter(({ kind }) => kind === 'call-center');
    const sums = callCenterGrants.map((grant) =>
      limitIn(currentKey.grants.slice(0, currentKey.grants.indexOf(grant) + 1)),
    );
    check(
      sums.every((sum) => sum <= 2 * (initial?.amount ?? 0)),
      'MAK-4 The call center grants at most twice the original limit',
      about,
    );
  }
  if (currentKey.type === 'KMS') checkKmsKey(currentKey, about);
  if (currentKey.state.status === 'blocked' && previous?.state.status !== 'blocked') {
    const { replacedBy } = currentKey.state;
    const issued = changes.find(({ key }) => key === `KEY#${replacedBy?.keyId} KEY`);
    check(
      issued?.after !== undefined && issued.before === undefined,
      'BLK-2 A key is blocked and replaced in one step',
      about,
    );
  }
  if (currentKey.state.status === 'blocking') {
    check(
      after.nextActionKey === 'KEY' &&
        Date.parse(String(after.nextActionAt)) <= Date.parse(currentKey.state.since) + 60_000,
      "BLK-2 A held key is in the sweep's index",
      about,
    );
  }
}

function checkGrant(grant: Grant, key: Key, changes: readonly ItemChange[], about: string): void {
  if (grant.kind !== 'exception') return;
  const requestWrite = changes.find(({ key: name }) => name === `EXCEPTION#${grant.reference} EXCEPTION`);
  const request = toStoredItem<ExceptionRequest>(requestWrite?.after)?.value;
  check(request?.state.status === 'fulfilled', 'EXC-9 The limit rises when the request closes', about);
  check(
    request.activations === grant.amount && request.keyId === key.keyId,
    'EXC-9 The limit rises by the approved number',
    about,
  );
  check(grant.approvedBy === request.state.round.decision?.by, 'EXC-6 A grant names its approver', about);
}

function checkHosts(previous: KmsKey, current: KmsKey, model: Model, about: string): void {
  const usesOf = (key: KmsKey) => new Map(key.hosts.map((host) => [host.installationId as string, host.uses]));
  const before = usesOf(previous);
  const computers = model.computers.get(current.keyId);
  for (const [host, uses] of usesOf(current)) {
    const added = uses - (before.get(host) ?? 0);
    check(added >= 0 && added <= 1, 'KMS-1 One activation is one use', `${about}, host ${host}`);
    check(added === 0 || previous.state.status === 'live', 'BLK-1 Nothing activates after a block', about);
    check(uses <= (computers?.get(host)?.requests ?? 0), 'KMS-1 Each use was requested', `${about}, host ${host}`);
  }
  const removed = [...before.keys()].filter((host) => !usesOf(current).has(host));
  check(removed.length === 0 || current.state.status === 'blocked', 'BLK-3 Hosts leave only a replaced key', about);
}

function checkKmsKey(key: KmsKey, about: string): void {
  const standardHosts = key.hosts.filter(({ slot }) => slot === 'standard');
  const limit = limitIn(key.grants);
  check(
    standardHosts.length <= limit,
    'KMS-1 Hosts stay within the host slots',
    `${about}: ${standardHosts.length} of ${limit}`,
  );
  check(
    new Set(key.hosts.map(({ installationId }) => installationId)).size === key.hosts.length,
    'KMS-1 Each host is recorded once',
    about,
  );
  for (const host of key.hosts) {
    check(host.uses - host.overridesSpent <= 10, 'KMS-1 Each host has ten uses', about);
    const used = key.overrides.filter((each) => each.installationId === host.installationId && each.usedAt !== null);
    check(used.length === host.overridesSpent, 'OVR-1 An override is used once, by its host', about);
  }
  const uses = key.hosts.reduce((sum, host) => sum + host.uses, 0);
  check(uses <= limit * 10 + key.overrides.length, 'KMS-1 Uses stay within ten for each slot and the overrides', about);
  const days = key.overrides.map(({ at }) => dayIn(at, policy.callCenter.zone));
  check(days.length <= 5, 'OVR-3 Five overrides in total', about);
  check(new Set(days).size === days.length, 'OVR-2 One override per day', `${about}: ${days.join(', ')}`);
  const overrideGrants = key.grants.filter(({ kind }) => kind === 'override');
  check(overrideGrants.length === key.overrides.length, 'KEY-8 Each override is a grant', about);
}

function checkBucket(
  keyId: string,
  before: Item | undefined,
  after: Item | undefined,
  items: Items,
  model: Model,
  by: string,
): void {
  check(after !== undefined, 'Buckets are never deleted', by);
  const key = itemIn<Key>(items, `KEY#${keyId} KEY`)?.value;
  const about = `MAK ${keyId}, by ${by}`;
  if (key === undefined) {
    check(activationRecordsIn(after).length === 0, 'Nothing activates on a missing key', about);
    return;
  }
  const allRecords = new Set(activationRecordsOf(items, keyId));
  const previousRecords = new Set(before && activationRecordsIn(before));
  const lost = [...previousRecords].filter((record) => !allRecords.has(record));
  check(
    lost.length === 0 || key.state.status === 'blocked',
    'MAK-1 Activations persist',
    `${about}: ${lost.length} lost`,
  );
  const newRecords = activationRecordsIn(after).filter((record) => !previousRecords.has(record));
  check(
    newRecords.length === 0 || key.state.status !== 'blocked',
    'BLK-1 Nothing activates after a block',
    `${about}: ${newRecords.length} computers`,
  );
  check(before?.status !== 'blocked' || after.status === 'blocked', 'BLK-1 A blocked bucket stays blocked', about);
  const computers = model.computers.get(keyId);
  check(
    newRecords.every((record) => computers?.has(record)),
    'MAK-1 Each activation was requested',
    about,
  );
}

/** The slots and the grants add up to the limit, and the used slots equal the computers (KEY-7, KEY-8, MAK-1). */
function checkTotals(keyId: string, items: Items, by: string): void {
  const key = itemIn<Key>(items, `KEY#${keyId} KEY`)?.value;
  if (key?.type !== 'MAK') return;
  const buckets = bucketsIn(items, keyId);
  const reserve = items.get(`KEY#${keyId} RESERVE`);
  const records = buckets.flatMap(activationRecordsIn);
  const sum = (name: string) => buckets.reduce((total, bucket) => total + Number(bucket[name]), 0);
  const limit = limitIn(key.grants);
  const reserveAvailable = Number(reserve?.available);
  const about =
    `MAK ${keyId}, by ${by}: granted ${limit}, enforced ${reserve?.limit}, used ${sum('used')}, available ` +
    `${sum('available')}, in the reserve ${reserveAvailable}, computers ${records.length}`;
  check(new Set(records).size === records.length, 'MAK-2 A computer counts once', about);
  check(sum('used') === records.length, 'KEY-7 Used slots equal the activated computers', about);
  check(records.length <= limit, 'MAK-1 Activations never exceed the limit', about);
  check(Number(reserve?.limit) === limit, 'KEY-8 The limit is the sum of the grants', about);
  check(sum('used') + sum('available') + reserveAvailable === limit, 'KEY-8 All slots add up to the limit', about);
  const isAnyNegative = buckets.some(({ available }) => Number(available) < 0) || reserveAvailable < 0;
  check(!isAnyNegative, 'No slot count is negative', about);
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

/** Notifications that stay true forever. They are never removed before they were sent. */
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
  check(after !== undefined, 'Requests are never deleted', context.by);
  const { value: request } = after;
  const previous = before?.value;
  const about = `request ${request.exceptionId} (${previous?.state.status} to ${request.state.status}), by ${context.by}`;
  const round = 'round' in request.state ? request.state.round : null;
  const notificationIds = request.pendingNotifications.map(({ notificationId }) => notificationId);
  check(new Set(notificationIds).size === notificationIds.length, 'EXC-11 A notification is pending once', about);
  if (previous === undefined) {
    check(request.state.status === 'received', 'EXC-12 A request starts as received', about);
    const key = itemIn<Key>(context.items, `KEY#${request.keyId} KEY`)?.value;
    check(key?.state.status === 'live', 'BLK-1 A request starts on a live key', about);
  } else {
    const { status: previousStatus } = previous.state;
    check(
      previousStatus === request.state.status || legalTransitions[previousStatus].includes(request.state.status),
      'EXC-12 Every transition is legal',
      about,
    );
    if (isFinal(previousStatus)) {
      check(isDeepStrictEqual(previous.state, request.state), 'EXC-12 A final state never changes', about);
      check(previous.activations === request.activations, 'EXC-12 The number of an ended request never changes', about);
    }
    check(
      request.rounds >= previous.rounds && request.rounds <= previous.rounds + 1,
      'EXC-7 Approval rounds are numbered in order',
      about,
    );
    check(
      request.activations === previous.activations || request.rounds === previous.rounds + 1,
      'EXC-7 A new number starts a new approval round',
      about,
    );
    const overdueNotices = ({ reminded }: ExceptionRequest) => reminded.team + reminded.supervisors;
    const previousRound = 'round' in previous.state ? previous.state.round : null;
    const roundReminders =
      round !== null && round.number === previousRound?.number ? round.remindersSent - previousRound.remindersSent : 0;
    const reminders = overdueNotices(request) - overdueNotices(previous) + roundReminders;
    check(reminders >= 0 && reminders <= 1, 'SLA-5 A write adds at most one reminder', about);
    const notificationsAdded = request.notificationCount - previous.notificationCount;
    check(reminders === 0 || notificationsAdded === 1, 'SLA-5 A reminder is recorded when it is written', about);
    for (const { notificationId, kind, to } of previous.pendingNotifications) {
      if (notificationIds.includes(notificationId) || to === 'deputy' || !permanentNotifications.includes(kind))
        continue;
      check(
        context.attemptedEmails.has(emailName({ exception: request.exceptionId, notification: kind, to })),
        'EXC-11 A notification is removed only after it was sent',
        `${about}: ${notificationId}`,
      );
    }
    const previousIds = previous.pendingNotifications.map(({ notificationId }) => notificationId);
    // A deputy gets a copy when the notification is sent (AGR-5).
    const hasNewReminder = request.pendingNotifications.some(
      ({ notificationId, kind, to }) =>
        !previousIds.includes(notificationId) &&
        to !== 'deputy' &&
        ['approval-reminder', 'due-soon', 'overdue'].includes(kind),
    );
    check(!hasNewReminder || reminders === 1, 'SLA-5 Each reminder is sent once', about);
    if (previousRound?.decision != null && round?.number === previousRound.number) {
      check(
        isDeepStrictEqual(previousRound.decision, round.decision),
        'APR-3 An approval round has one decision',
        about,
      );
    }
    if (previous.state.status === 'awaiting-approval' && previous.state.round.decision?.decision === 'approve') {
      check(
        ['awaiting-approval', 'fulfilled', 'rejected', 'in-review'].includes(request.state.status) &&
          request.rounds === previous.rounds,
        'EXC-8 After an approval, only the team can stop the request',
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

/**
 * A decision comes from the Correspondent, with the right code, in time, about the exact number (EXC-6, EXC-7, AGR-4).
 */
function checkDecision(request: ExceptionRequest, { model, past }: ChangeContext, about: string): void {
  const round = 'round' in request.state ? request.state.round : null;
  const decision = round?.decision;
  if (round === null || decision === null || decision === undefined) return;
  const name = roundName(request.exceptionId, round.number);
  const record = past.rounds.get(name);
  check(record?.activations === request.activations, 'EXC-7 The decision is about the exact number', about);
  const minutes = businessMinutesBetween(record.askedAt, decision.at, calendar);
  check(minutes <= 10 * 8 * 60 + 1, 'SLA-6 Nothing is decided after the approval round lapses', about);
  if (decision.decision === 'approve') {
    check(model.approvers.get(name)?.has(decision.by) === true, 'EXC-6 The code of the email approves', about);
  }
  const at = Date.parse(decision.at);
  const versions = past.agreements.get(request.agreementId) ?? [];
  const currentVersions = versions.filter((version, index) => {
    const until = versions[index + 1]?.at ?? Number.POSITIVE_INFINITY;
    return version.at <= at + clockSkewMilliseconds && until >= at - clockSkewMilliseconds;
  });
  // The decision's own time counts. The skew only makes uncertain which version of the agreement it was based on.
  const wasApprover = currentVersions.some(({ agreement }) => isApprover(decision.by, agreement, at));
  check(wasApprover, 'AGR-4 Only the current Correspondent decides', `${about}, ${decision.by}`);
}

function isApprover(email: string, agreement: Agreement, at: number): boolean {
  const pending = agreement.pendingNoticesCorrespondent;
  const isEffective = pending !== null && at >= Date.parse(pending.effectiveAt);
  const correspondent = isEffective ? pending.person : agreement.noticesCorrespondent;
  return correspondent.email === email || agreement.deputy?.person.email === email;
}

function checkFulfilled(request: ExceptionRequest, { changes, items }: ChangeContext, about: string): void {
  const decision = 'round' in request.state ? request.state.round?.decision : null;
  check(decision?.decision === 'approve', 'EXC-6 Nothing is granted without an approval', about);
  const key = itemIn<Key>(items, `KEY#${request.keyId} KEY`)?.value;
  check(key?.state.status === 'live', 'EXC-9 Only the limit of a live key rises', about);
  const isRaised = changes.some(({ key: name }) => name === `KEY#${request.keyId} KEY`);
  const grants = key.grants.filter(({ kind, reference }) => kind === 'exception' && reference === request.exceptionId);
  check(isRaised && grants.length === 1, 'EXC-9 The limit rises when the request closes', about);
}

/**
 * The SLA clock is paused only while the requester is the assignee, and each minute has one assignee (SLA-2, SLA-4).
 */
function checkClock(previous: ExceptionRequest, current: ExceptionRequest, about: string): void {
  const expectedAssignee = { 'awaiting-requester': 'requester' }[String(current.state.status)] ?? 'others';
  const assignee =
    current.clock.status === 'stopped' ? 'nobody' : current.clock.status === 'paused' ? 'requester' : 'others';
  check(
    isFinal(current.state.status) ? assignee === 'nobody' : assignee === expectedAssignee,
    'SLA-2 The clock is paused only for the requester',
    about,
  );
  if (previous.clock.status === 'stopped') {
    check(isDeepStrictEqual(previous.clock, current.clock), 'SLA-2 A stopped clock never changes', about);
    return;
  }
  const total = ({ clock }: ExceptionRequest) =>
    clock.elapsed.team + clock.elapsed.requester + clock.elapsed.correspondent;
  const since = current.clock.status === 'stopped' ? current.clock.at : current.clock.since;
  const passed = Math.max(0, businessMinutesBetween(previous.clock.since, since, calendar));
  check(
    total(current) - total(previous) === passed,
    'SLA-4 Each minute has one assignee',
    `${about}: ${total(current) - total(previous)} of ${passed}`,
  );
  if (previous.clock.status === 'running' && current.clock.status === 'running') {
    check(previous.clock.dueAt === current.clock.dueAt, 'SLA-1 The due time of a running clock never changes', about);
  }
  if (previous.clock.status === 'running' && current.clock.status === 'paused') {
    const remaining = businessMinutesBetween(current.clock.since, previous.clock.dueAt, calendar);
    check(current.clock.remainingMinutes === remaining, 'SLA-2 A paused clock keeps the remaining time', about);
  }
  if (previous.clock.status === 'paused' && current.clock.status === 'running') {
    const remaining = businessMinutesBetween(current.clock.since, current.clock.dueAt, calendar);
    check(
      remaining === previous.clock.remainingMinutes,
      'SLA-2 The clock resumes with the remaining time',
      `${about}: ${remaining}`,
    );
  }
}

// ---- After every group

export function checkTable(items: Items, model: Model, nowMilliseconds: number): void {
  const open = new Map<string, string>();
  for (const { value, item } of valuesIn<ExceptionRequest>(items, 'EXCEPTION')) {
    const about = `request ${value.exceptionId} (${value.state.status})`;
    if (isFinal(value.state.status)) {
      const hasPendingWork = value.pendingNotifications.length > 0 || value.execution.status !== 'ended';
      check(!hasPendingWork || item.nextActionKey === 'EXCEPTION', "APR-6 Pending work is in the sweep's index", about);
      continue;
    }
    check(!open.has(value.keyId), 'EXC-5 A key has at most one open request', `${about} and ${open.get(value.keyId)}`);
    open.set(value.keyId, value.exceptionId);
    check(
      items.get(`KEY#${value.keyId} OPEN-REQUEST`)?.exceptionId === value.exceptionId,
      'EXC-5 A key references its open request',
      about,
    );
    check(item.nextActionKey === 'EXCEPTION', "Every open request is in the sweep's index", about);
    const wait = Date.parse(String(item.nextActionAt)) - Date.parse(value.execution.since);
    check(wait <= 24 * hour, "Every open request is in the sweep's index within its time", about);
    const isSignalPending = ['start-pending', 'resume-pending'].includes(value.execution.status);
    check(!isSignalPending || wait <= 30_000, "APR-6 A pending signal is in the sweep's index immediately", about);
  }
  for (const key of items.keys()) {
    if (!key.endsWith(' OPEN-REQUEST')) continue;
    const keyId = key.slice('KEY#'.length, -' OPEN-REQUEST'.length);
    check(open.has(keyId), 'EXC-5 A closed request is not referenced', key);
  }
  const liveMaks = new Set<string>();
  for (const { value } of valuesIn<Key>(items, 'KEY')) {
    if (value.type !== 'MAK' || value.state.status === 'blocked') continue;
    const group = `${value.agreementId} ${value.productGroup}`;
    check(!liveMaks.has(group), 'KEY-2 A product group has one live MAK', group);
    liveMaks.add(group);
  }
  for (const { value, item } of valuesIn<Agreement>(items, 'AGREEMENT')) {
    const pending = value.pendingNoticesCorrespondent;
    check(
      pending === null || (item.nextActionKey === 'AGREEMENT' && item.nextActionAt === pending.effectiveAt),
      "AGR-4 A pending change of the Correspondent is in the sweep's index",
      value.agreementId,
    );
  }
  checkAcknowledged(items, model);
  for (const [key, { nextActionAt }] of items as Map<string, Item & { nextActionAt?: string }>) {
    if (!key.endsWith(' NOTIFICATION') || nextActionAt === undefined) continue;
    check(
      Date.parse(nextActionAt) <= nowMilliseconds + 130_000,
      'A notification is claimed only for a short time',
      key,
    );
  }
}

/** Acknowledged changes are stored, and an operation under one idempotency key took effect at most once. */
function checkAcknowledged(items: Items, model: Model): void {
  for (const id of model.requests) check(items.has(`EXCEPTION#${id} EXCEPTION`), 'A submitted request is stored', id);
  for (const id of model.agreements)
    check(items.has(`AGREEMENT#${id} AGREEMENT`), 'A registered agreement is stored', id);
  for (const id of model.keys) check(items.has(`KEY#${id} KEY`), 'An issued key is stored', id);
  for (const [keyId, computers] of model.computers) {
    const recorded = new Set(computersOn(items, keyId));
    for (const [name, computer] of computers) {
      if (computer.acknowledgments === 0) continue;
      check(
        recorded.has(name) || hasMoved(items, keyId, name),
        'MAK-1 Acknowledged activations are stored',
        `${keyId} ${name}`,
      );
    }
    const key = itemIn<Key>(items, `KEY#${keyId} KEY`)?.value;
    if (key?.type !== 'KMS') continue;
    for (const { installationId, uses } of key.hosts) {
      const acknowledgments = computers.get(installationId)?.acknowledgments ?? 0;
      check(uses >= acknowledgments, 'KMS-1 Acknowledged uses are stored', `${keyId} ${installationId}`);
    }
  }
  const counts = countTrackedWrites(items);
  for (const { owner, recordedIn, text, isAcknowledged } of model.trackedWrites.values()) {
    const count = counts.get(`${owner} ${recordedIn} ${text}`) ?? 0;
    check(count <= 1, 'A repeated operation takes effect once', `${owner}: ${text} is recorded ${count} times`);
    check(count === 1 || !isAcknowledged, 'Acknowledged changes are stored', `${owner}: ${text}`);
  }
}

/** The names of operations in the texts of the simulation, such as `#12-3#`. */
const operationName = /#[\w-]+#/g;
/** The actions of entries that repeat the text of another entry. Only the other entry counts. */
const repeatedActions = ['limit-raised', 'key-blocked', 'fulfilled', 'correspondent-changed'];

const operationNamesIn = memoizeByItem(
  ({ action, detail }): ReadonlySet<string> =>
    repeatedActions.includes(String(action)) ? new Set() : new Set(String(detail).match(operationName)),
);

/** Returns true if the table records a tracked write. */
export function isRecorded(items: Items, { owner, recordedIn, text }: TrackedWrite): boolean {
  return countTrackedWrites(items).has(`${owner} ${recordedIn} ${text}`);
}

function countTrackedWrites(items: Items): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const [key, item] of items) {
    const [partition = '', sort = ''] = key.split(' ');
    const [owner = ''] = partition.replace(/^LEDGER#/, '').split('#');
    if (sort.startsWith('ENTRY#')) {
      for (const name of operationNamesIn(item)) add(`${owner} entry ${name}`);
    }
    if (sort === 'KEY') {
      for (const { reference } of toStoredItem<Key>(item).value.grants) add(`${owner} grant ${reference}`);
    }
  }
  return counts;
}

export function computersOn(items: Items, keyId: string): readonly string[] {
  const key = itemIn<Key>(items, `KEY#${keyId} KEY`)?.value;
  if (key === undefined) return [];
  return key.type === 'KMS' ? key.hosts.map(({ installationId }) => installationId) : activationRecordsOf(items, keyId);
}

/** Returns true if a computer moved from a replaced key to one of its successors (BLK-3). */
function hasMoved(items: Items, keyId: string, name: string): boolean {
  let state = itemIn<Key>(items, `KEY#${keyId} KEY`)?.value.state;
  while (state?.status === 'blocked' && state.replacedBy !== null) {
    const successorId = state.replacedBy.keyId;
    if (computersOn(items, successorId).includes(name)) return true;
    state = itemIn<Key>(items, `KEY#${successorId} KEY`)?.value.state;
  }
  return false;
}

/** Checks the table at the end, when there are no more faults and nothing is due. */
export function checkFinalState(items: Items, attemptedEmails: ReadonlySet<string>): void {
  for (const { value } of valuesIn<ExceptionRequest>(items, 'EXCEPTION')) {
    const about = `request ${value.exceptionId} (${value.state.status}, ${value.execution.status})`;
    check(isFinal(value.state.status), 'Every request ends', about);
    check(value.pendingNotifications.length === 0, 'EXC-11 Every notification is sent', about);
    const outcome = emailName({ exception: value.exceptionId, notification: value.state.status, to: 'requester' });
    check(attemptedEmails.has(outcome), 'EXC-11 The requester is notified of the outcome', about);
    check(value.execution.status === 'ended', 'Every execution ends', about);
  }
  for (const { value } of valuesIn<Key>(items, 'KEY')) {
    check(value.state.status !== 'blocking', 'BLK-2 Every replacement is completed', value.keyId);
    const isBlockedMak = value.state.status === 'blocked' && value.type === 'MAK';
    check(
      !isBlockedMak || bucketsIn(items, value.keyId).every(({ status }) => status === 'blocked'),
      'BLK-1 Every bucket of a blocked key is blocked',
      value.keyId,
    );
  }
  for (const [key, item] of items) {
    check(!key.endsWith(' NOTIFICATION'), 'EXC-11 Every notification is sent', key);
    check(item.nextActionKey === undefined, "Nothing is left in the sweep's index", key);
  }
}
