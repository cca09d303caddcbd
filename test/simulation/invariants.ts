import { isDeepStrictEqual } from 'node:util';
import type { Agreement } from '../../domain/agreement.ts';
import { businessMinutesBetween, dayIn } from '../../domain/calendar/business-time.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { ExceptionStatus } from '../../domain/exception-status.ts';
import type { LetterKind } from '../../domain/exceptions/notification.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import type { Grant } from '../../domain/keys/grant.ts';
import type { Key, KmsKey } from '../../domain/keys/key.ts';
import type { Item } from '../../store/dynamodb/table.ts';
import { entryHash } from '../../store/dynamodb/versioned-item.ts';
import { policy } from '../builders.ts';
import type { Deed, Model } from './model.ts';
import { askName } from './model.ts';
import type { Change } from './network.ts';
import { Broken, letterName } from './network.ts';

/*
 * What must hold in the table whatever happened: after every single write (`judgeChanges`), and after every group of
 * operations (`judgeTable`). The rules are said here once more, without the product's own functions where it matters.
 */

export type Items = ReadonlyMap<string, Item>;
type Owned<State> = {
  readonly state: State;
  readonly kept: Readonly<Record<string, unknown>>;
  readonly version: number;
  readonly head: { readonly sequence: number; readonly hash: string };
  readonly nextActionKey?: string;
  readonly nextActionAt?: Instant;
};

/** What a question to the Correspondent was about, as it was asked. */
export type Asked = { readonly activations: number; readonly askedAt: Instant };

/** What is remembered of the table's past: what the table itself forgets. */
export type Past = {
  readonly asked: Map<string, Asked>;
  /** Every version of every agreement, oldest first. */
  readonly agreements: Map<string, { readonly at: number; readonly agreement: Agreement }[]>;
};

const calendar = policy.supportCalendar;
/** As far as the clocks of two functions are apart, and a little. */
const apartMilliseconds = 8_000;
const hour = 3_600_000;

export function ownedIn<State>(items: Items, key: string): Owned<State> | undefined {
  return ownedOf<State>(items.get(key));
}

/** Reads an item by the names of its attributes, said here once more. */
function ownedOf<State>(item: Item): Owned<State>;
function ownedOf<State>(item: Item | undefined): Owned<State> | undefined;
function ownedOf<State>(item: Item | undefined): Owned<State> | undefined {
  if (item === undefined) return undefined;
  const { value, internal, ledgerHead, ...rest } = item;
  return { ...rest, state: value, kept: internal, head: ledgerHead } as unknown as Owned<State>;
}

export function statesIn<State>(
  items: Items,
  sortKey: string,
): { readonly item: Owned<State>; readonly state: State }[] {
  const found: { readonly item: Owned<State>; readonly state: State }[] = [];
  for (const [key, item] of items) {
    if (!key.endsWith(` ${sortKey}`)) continue;
    const owned = ownedOf<State>(item);
    found.push({ item: owned, state: owned.state });
  }
  return found;
}

export function limitIn(grants: readonly Grant[]): number {
  return grants.reduce((sum, { kind, amount }) => sum + (kind === 'override' ? 0 : amount), 0);
}

export function bucketsIn(items: Items, keyId: string): Item[] {
  const buckets: Item[] = [];
  const count = Number(ownedIn<Key>(items, `KEY#${keyId} KEY`)?.kept.bucketCount ?? 0);
  for (let number = 0; number < count; number += 1) {
    const bucket = items.get(`KEY#${keyId}#${number} BUCKET`);
    if (bucket !== undefined) buckets.push(bucket);
  }
  return buckets;
}

/** What is read again and again of an item, which is another one as soon as it is written. */
function ofEach<Read>(read: (item: Item) => Read): (item: Item) => Read {
  const known = new WeakMap<Item, Read>();
  return (item) => {
    const is = known.get(item) ?? read(item);
    known.set(item, is);
    return is;
  };
}

const marksIn = ofEach((bucket): readonly string[] => Object.keys(bucket).filter((name) => name.startsWith('+')));

export function marksOf(items: Items, keyId: string): string[] {
  return bucketsIn(items, keyId).flatMap(marksIn);
}

export function must(holds: boolean, rule: string, about: string): asserts holds {
  if (!holds) throw new Broken(rule, about);
}

// ---- After every write

export function judgeChanges(
  changes: readonly Change[],
  items: Items,
  model: Model,
  past: Past,
  by: string,
  nowMilliseconds: number,
  handedOver: ReadonlySet<string>,
): void {
  const touched = new Set<string>();
  for (const change of changes) {
    const { key, before, after } = change;
    const [partition = '', sort = ''] = key.split(' ');
    if (partition.startsWith('KEY#') && sort !== 'ALERTS') touched.add(partition.split('#')[1] ?? '');
    if (sort.startsWith('ENTRY#')) {
      must(before === undefined && after !== undefined, 'LED-1 a history is only added to', `${key}, by ${by}`);
    } else if (sort === 'KEY') {
      judgeKey(ownedOf<Key>(before), ownedOf<Key>(after), changes, model, by);
    } else if (sort === 'BUCKET') {
      judgeBucket(partition.split('#')[1] ?? '', before, after, items, model, by);
    } else if (sort === 'EXCEPTION') {
      judgeRequest(ownedOf<ExceptionRequest>(before), ownedOf<ExceptionRequest>(after), {
        changes,
        items,
        model,
        past,
        by,
        handedOver,
      });
    } else if (sort === 'AGREEMENT' && partition.startsWith('AGREEMENT#')) {
      const agreement = ownedOf<Agreement>(after as Item).state;
      const versions = past.agreements.get(agreement.agreementId) ?? [];
      past.agreements.set(agreement.agreementId, [...versions, { at: nowMilliseconds, agreement }]);
    }
    if (['KEY', 'EXCEPTION', 'AGREEMENT'].includes(sort) && after !== undefined) judgeHead(change, changes);
  }
  for (const keyId of touched) judgeCount(keyId, items, by);
}

/** What is written moves on by one version, and by one entry that carries the hash of the last (LED-1, LED-2). */
function judgeHead({ key, before, after }: Change, changes: readonly Change[]): void {
  const was = ownedOf<unknown>(before);
  const is = ownedOf<unknown>(after as Item);
  must(
    is.version === (was?.version ?? 0) + 1,
    'one write is one version',
    `${key} went from ${was?.version} to ${is.version}`,
  );
  const owner = key.split(' ')[0] ?? '';
  const entries = changes.filter((each) => each.key.startsWith(`LEDGER#${owner} ENTRY#`));
  must(entries.length === is.head.sequence - (was?.head.sequence ?? 0), 'LED-1 the history tells of the change', key);
  for (const { after: entry } of entries) {
    const told = entry as unknown as Parameters<typeof entryHash>[1] & { readonly hash: string };
    must(told.previousHash === (was?.head.hash ?? ''), 'LED-2 an entry carries the hash before it', key);
    must(told.hash === is.head.hash && entryHash(owner, told) === told.hash, 'LED-2 a hash is of what is said', key);
  }
}

function judgeKey(
  before: Owned<Key> | undefined,
  after: Owned<Key> | undefined,
  changes: readonly Change[],
  model: Model,
  by: string,
): void {
  must(after !== undefined, 'keys are never deleted', by);
  const { state } = after;
  const about = `${state.type} key ${state.keyId}, by ${by}`;
  const ways = ['live', 'blocking', 'blocked'];
  const was = before?.state;
  if (was === undefined) {
    must(state.status.is === 'live', 'a key begins live', about);
    must(state.grants.length === 1 && state.grants[0]?.kind === 'initial', 'KEY-8 a key begins with one grant', about);
  } else {
    must(
      ways.indexOf(state.status.is) >= ways.indexOf(was.status.is),
      'BLK-2 a key that was held is never live again',
      about,
    );
    must(isDeepStrictEqual(state.grants.slice(0, was.grants.length), was.grants), 'KEY-8 grants are only added', about);
    const added = state.grants.slice(was.grants.length);
    must(added.length === 0 || was.status.is === 'live', 'BLK-1 nothing is granted after a block', about);
    for (const grant of added) judgeGrant(grant, state, changes, about);
    if (was.type === 'KMS' && state.type === 'KMS') judgeHosts(was, state, model, about);
  }
  const names = state.grants.map(({ kind, reference }) => `${kind} ${reference}`);
  must(new Set(names).size === names.length, 'KEY-8 each grant is given once', `${about}: ${names.join(', ')}`);
  if (state.type === 'MAK') {
    const [original] = state.grants;
    const phoned = state.grants.filter(({ kind }) => kind === 'call-center');
    const sums = phoned.map((grant) => limitIn(state.grants.slice(0, state.grants.indexOf(grant) + 1)));
    must(
      sums.every((sum) => sum <= 2 * (original?.amount ?? 0)),
      'MAK-4 by phone up to double',
      about,
    );
  }
  if (state.type === 'KMS') judgeKms(state, about);
  if (state.status.is === 'blocked' && was?.status.is !== 'blocked') {
    const { replacedBy } = state.status;
    const issued = changes.find(({ key }) => key === `KEY#${replacedBy?.keyId} KEY`);
    must(issued?.after !== undefined && issued.before === undefined, 'BLK-2 blocked and replaced in one step', about);
  }
  if (state.status.is === 'blocking') {
    must(
      after.nextActionKey === 'KEY' &&
        Date.parse(String(after.nextActionAt)) <= Date.parse(state.status.since) + 60_000,
      'BLK-2 a held key is on the sweep’s list',
      about,
    );
  }
}

function judgeGrant(grant: Grant, key: Key, changes: readonly Change[], about: string): void {
  if (grant.kind !== 'exception') return;
  const written = changes.find(({ key: name }) => name === `EXCEPTION#${grant.reference} EXCEPTION`);
  const request = ownedOf<ExceptionRequest>(written?.after)?.state;
  must(request?.stage.is === 'fulfilled', 'EXC-9 the limit is raised with the end of the request', about);
  must(request.activations === grant.amount && request.keyId === key.keyId, 'EXC-9 by the number approved', about);
  must(grant.approvedBy === request.stage.ask.decision?.by, 'EXC-6 a grant names who approved', about);
}

function judgeHosts(was: KmsKey, is: KmsKey, model: Model, about: string): void {
  const usesOf = (key: KmsKey) => new Map(key.hosts.map((host) => [host.installationId as string, host.uses]));
  const before = usesOf(was);
  const asked = model.machines.get(is.keyId);
  for (const [host, uses] of usesOf(is)) {
    const more = uses - (before.get(host) ?? 0);
    must(more >= 0 && more <= 1, 'KMS-1 one activation is one use', `${about}, host ${host}`);
    must(more === 0 || was.status.is === 'live', 'BLK-1 nothing is activated after a block', about);
    must(uses <= (asked?.get(host)?.asked ?? 0), 'KMS-1 no use that nobody asked for', `${about}, host ${host}`);
  }
  const gone = [...before.keys()].filter((host) => !usesOf(is).has(host));
  must(gone.length === 0 || is.status.is === 'blocked', 'BLK-3 hosts leave a replaced key only', about);
}

function judgeKms(key: KmsKey, about: string): void {
  const standard = key.hosts.filter(({ place }) => place === 'standard');
  const limit = limitIn(key.grants);
  must(standard.length <= limit, 'KMS-1 hosts within the places', `${about}: ${standard.length} of ${limit}`);
  must(
    new Set(key.hosts.map(({ installationId }) => installationId)).size === key.hosts.length,
    'a host is there once',
    about,
  );
  for (const host of key.hosts) {
    must(host.uses - host.overridesSpent <= 10, 'KMS-1 each host up to ten times', about);
    const spent = key.overrides.filter((each) => each.installationId === host.installationId && each.spentAt !== null);
    must(spent.length === host.overridesSpent, 'OVR-1 an override is spent once, by its host', about);
  }
  const uses = key.hosts.reduce((sum, host) => sum + host.uses, 0);
  must(uses <= limit * 10 + key.overrides.length, 'KMS-1 uses within places times ten and overrides', about);
  const days = key.overrides.map(({ at }) => dayIn(at, policy.callCenter.zone));
  must(days.length <= 5, 'OVR-3 five overrides in all', about);
  must(new Set(days).size === days.length, 'OVR-2 one override a day', `${about}: ${days.join(', ')}`);
  const given = key.grants.filter(({ kind }) => kind === 'override');
  must(given.length === key.overrides.length, 'KEY-8 each override is a grant', about);
}

function judgeBucket(
  keyId: string,
  before: Item | undefined,
  after: Item | undefined,
  items: Items,
  model: Model,
  by: string,
): void {
  must(after !== undefined, 'buckets are never deleted', by);
  const key = ownedIn<Key>(items, `KEY#${keyId} KEY`)?.state;
  const about = `MAK ${keyId}, by ${by}`;
  if (key === undefined) {
    must(marksIn(after).length === 0, 'nothing is activated on a key that is not there', about);
    return;
  }
  const all = new Set(marksOf(items, keyId));
  const had = new Set(before && marksIn(before));
  const lost = [...had].filter((mark) => !all.has(mark));
  must(
    lost.length === 0 || key.status.is === 'blocked',
    'MAK-1 what was activated stays',
    `${about}: ${lost.length} lost`,
  );
  const fresh = marksIn(after).filter((mark) => !had.has(mark));
  must(
    fresh.length === 0 || key.status.is !== 'blocked',
    'BLK-1 nothing is activated after a block',
    `${about}: ${fresh.length} machines`,
  );
  must(before?.status !== 'blocked' || after.status === 'blocked', 'a bucket stays blocked', about);
  const asked = model.machines.get(keyId);
  must(
    fresh.every((mark) => asked?.has(mark)),
    'MAK-1 no machine that never asked',
    about,
  );
}

/** Grants, limit and places are the same sum, and the used ones are the machines (KEY-7, KEY-8, MAK-1). */
function judgeCount(keyId: string, items: Items, by: string): void {
  const key = ownedIn<Key>(items, `KEY#${keyId} KEY`)?.state;
  if (key?.type !== 'MAK') return;
  const buckets = bucketsIn(items, keyId);
  const reserve = items.get(`KEY#${keyId} RESERVE`);
  const marks = buckets.flatMap(marksIn);
  const sum = (name: string) => buckets.reduce((total, bucket) => total + Number(bucket[name]), 0);
  const limit = limitIn(key.grants);
  const about = `MAK ${keyId}, by ${by}: granted ${limit}, enforced ${reserve?.limit}, used ${sum('used')}, free ${sum('free')} and ${reserve?.free}, machines ${marks.length}`;
  must(new Set(marks).size === marks.length, 'MAK-2 a machine counts once', about);
  must(sum('used') === marks.length, 'KEY-7 used are the machines', about);
  must(marks.length <= limit, 'MAK-1 never past the limit', about);
  must(Number(reserve?.limit) === limit, 'KEY-8 the limit is the sum of its grants', about);
  must(sum('used') + sum('free') + Number(reserve?.free) === limit, 'KEY-8 all places add up to the limit', about);
  must(buckets.every(({ free }) => Number(free) >= 0) && Number(reserve?.free) >= 0, 'no place is owed', about);
}

const ways: Readonly<Record<ExceptionStatus, readonly ExceptionStatus[]>> = {
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
  return ways[status].length === 0;
}

type Around = {
  readonly changes: readonly Change[];
  readonly items: Items;
  readonly model: Model;
  readonly past: Past;
  readonly by: string;
  readonly handedOver: ReadonlySet<string>;
};

/** Letters that are true for ever, and so are never struck off before they were sent. */
const trueForEver: readonly LetterKind[] = ['received', 'fulfilled', 'denied', 'rejected', 'withdrawn', 'lapsed'];

function judgeRequest(
  before: Owned<ExceptionRequest> | undefined,
  after: Owned<ExceptionRequest> | undefined,
  around: Around,
): void {
  must(after !== undefined, 'requests are never deleted', around.by);
  const { state } = after;
  const was = before?.state;
  const about = `request ${state.exceptionId} (${was?.stage.is} to ${state.stage.is}), by ${around.by}`;
  const ask = 'ask' in state.stage ? state.stage.ask : null;
  const letterIds = state.letters.map(({ letterId }) => letterId);
  must(new Set(letterIds).size === letterIds.length, 'EXC-11 a letter is owed once', about);
  if (was === undefined) {
    must(state.stage.is === 'received', 'EXC-12 a request begins received', about);
    const key = ownedIn<Key>(around.items, `KEY#${state.keyId} KEY`)?.state;
    must(key?.status.is === 'live', 'BLK-1 a request begins on a live key', about);
  } else {
    const { is } = was.stage;
    must(is === state.stage.is || ways[is].includes(state.stage.is), 'EXC-12 only legal moves', about);
    if (isFinal(is)) {
      must(isDeepStrictEqual(was.stage, state.stage), 'EXC-12 a final state is never left', about);
      must(was.activations === state.activations, 'EXC-12 what has ended stays', about);
    }
    must(state.asks >= was.asks && state.asks <= was.asks + 1, 'EXC-7 one question at a time', about);
    must(
      state.activations === was.activations || state.asks === was.asks + 1,
      'EXC-7 a new number is a new question',
      about,
    );
    const told = (request: ExceptionRequest) => request.reminded.team + request.reminded.supervisors;
    const askedBefore = 'ask' in was.stage ? was.stage.ask : null;
    const reminded =
      ask !== null && ask.askNumber === askedBefore?.askNumber ? ask.remindersSent - askedBefore.remindersSent : 0;
    const reminders = told(state) - told(was) + reminded;
    must(reminders >= 0 && reminders <= 1, 'SLA-5 one reminder at a time', about);
    const written = state.lettersWritten - was.lettersWritten;
    must(reminders === 0 || written === 1, 'SLA-5 a reminder is written when it is marked', about);
    for (const { letterId, kind, to } of was.letters) {
      if (letterIds.includes(letterId) || to === 'deputy' || !trueForEver.includes(kind)) continue;
      const name = letterName({ exception: state.exceptionId, letter: kind, to });
      must(around.handedOver.has(name), 'EXC-11 a letter is struck off when it was sent', `${about}: ${letterId}`);
    }
    const fresh = state.letters.filter(({ letterId }) => !was.letters.some((each) => each.letterId === letterId));
    // A deputy gets a copy when the letter goes out (AGR-5).
    const isReminder = fresh.some(
      ({ kind, to }) => to !== 'deputy' && ['approval-reminder', 'due-soon', 'overdue'].includes(kind),
    );
    must(!isReminder || reminders === 1, 'SLA-5 each reminder is sent once', about);
    if (askedBefore?.decision != null && ask?.askNumber === askedBefore.askNumber) {
      must(isDeepStrictEqual(askedBefore.decision, ask.decision), 'APR-3 one decision', about);
    }
    if (was.stage.is === 'awaiting-approval' && was.stage.ask.decision?.decision === 'approve') {
      must(
        ['awaiting-approval', 'fulfilled', 'rejected', 'in-review'].includes(state.stage.is) && state.asks === was.asks,
        'EXC-8 after an approval there is only the team’s stop',
        about,
      );
    }
  }
  if (ask !== null) {
    const name = askName(state.exceptionId, ask.askNumber);
    if (!around.past.asked.has(name))
      around.past.asked.set(name, { activations: state.activations, askedAt: ask.askedAt });
    const decidedBefore = was !== undefined && 'ask' in was.stage && was.stage.ask?.decision != null;
    if (ask.decision !== null && !decidedBefore) judgeDecision(state, around, about);
  }
  if (state.stage.is === 'fulfilled' && was?.stage.is !== 'fulfilled') judgeFulfilled(state, around, about);
  if (was !== undefined) judgeClock(was, state, about);
}

/** Decided by who was asked, by a right code, in time, about the exact number (EXC-6, EXC-7, AGR-4). */
function judgeDecision(request: ExceptionRequest, { model, past }: Around, about: string): void {
  const ask = 'ask' in request.stage ? request.stage.ask : null;
  const decision = ask?.decision;
  if (ask === null || decision === null || decision === undefined) return;
  const name = askName(request.exceptionId, ask.askNumber);
  const asked = past.asked.get(name);
  must(asked?.activations === request.activations, 'EXC-7 the exact number is decided', about);
  const minutes = businessMinutesBetween(asked.askedAt, decision.at, calendar);
  must(minutes <= 10 * 8 * 60 + 1, 'SLA-6 nothing is decided after the time to answer', about);
  if (decision.decision === 'approve') {
    must(model.approving.get(name)?.has(decision.by) === true, 'EXC-6 approved by the code of the mail', about);
  }
  const at = Date.parse(decision.at);
  const versions = past.agreements.get(request.agreementId) ?? [];
  const then = versions.filter((version, index) => {
    const until = versions[index + 1]?.at ?? Number.POSITIVE_INFINITY;
    return version.at <= at + apartMilliseconds && until >= at - apartMilliseconds;
  });
  // Whoever decides goes by its own clock, and so does this; only which version was there then is a little uncertain.
  const was = then.some(({ agreement }) => isAsked(decision.by, agreement, at));
  must(was, 'AGR-4 only who is the Correspondent decides', `${about}, ${decision.by}`);
}

function isAsked(email: string, agreement: Agreement, at: number): boolean {
  const pending = agreement.pendingNoticesCorrespondent;
  const taken = pending !== null && at >= Date.parse(pending.effectiveAt);
  const correspondent = taken ? pending.person : agreement.noticesCorrespondent;
  return correspondent.email === email || agreement.deputy?.person.email === email;
}

function judgeFulfilled(request: ExceptionRequest, { changes, items }: Around, about: string): void {
  const decision = 'ask' in request.stage ? request.stage.ask?.decision : null;
  must(decision?.decision === 'approve', 'EXC-6 nothing is granted without an approval', about);
  const key = ownedIn<Key>(items, `KEY#${request.keyId} KEY`)?.state;
  must(key?.status.is === 'live', 'EXC-9 only a live key is raised', about);
  const raised = changes.some(({ key: name }) => name === `KEY#${request.keyId} KEY`);
  const grants = key.grants.filter(({ kind, reference }) => kind === 'exception' && reference === request.exceptionId);
  must(raised && grants.length === 1, 'EXC-9 the limit is raised with the end of the request', about);
}

/** The clock stands while the requester is asked, and nobody's time is counted twice or not at all (SLA-2, SLA-4). */
function judgeClock(was: ExceptionRequest, is: ExceptionRequest, about: string): void {
  const holder = { 'awaiting-requester': 'requester' }[String(is.stage.is)] ?? 'others';
  const state = is.clock.is === 'stopped' ? 'stopped' : is.clock.is === 'standing' ? 'requester' : 'others';
  must(
    isFinal(is.stage.is) ? state === 'stopped' : state === holder,
    'SLA-2 the clock stands for the requester only',
    about,
  );
  if (was.clock.is === 'stopped') {
    must(isDeepStrictEqual(was.clock, is.clock), 'SLA-2 a stopped clock stays', about);
    return;
  }
  const total = ({ clock }: ExceptionRequest) => clock.spent.team + clock.spent.requester + clock.spent.correspondent;
  const since = is.clock.is === 'stopped' ? is.clock.at : is.clock.since;
  const passed = Math.max(0, businessMinutesBetween(was.clock.since, since, calendar));
  must(
    total(is) - total(was) === passed,
    'SLA-4 each minute is somebody’s',
    `${about}: ${total(is) - total(was)} of ${passed}`,
  );
  if (was.clock.is === 'running' && is.clock.is === 'running') {
    must(was.clock.dueAt === is.clock.dueAt, 'SLA-1 the due time stays while the clock runs', about);
  }
  if (was.clock.is === 'running' && is.clock.is === 'standing') {
    const left = businessMinutesBetween(is.clock.since, was.clock.dueAt, calendar);
    must(is.clock.remainingMinutes === left, 'SLA-2 the clock stands with what is left', about);
  }
  if (was.clock.is === 'standing' && is.clock.is === 'running') {
    const left = businessMinutesBetween(is.clock.since, is.clock.dueAt, calendar);
    must(left === was.clock.remainingMinutes, 'SLA-2 it resumes with what was left', `${about}: ${left}`);
  }
}

// ---- After every group

export function judgeTable(items: Items, model: Model, nowMilliseconds: number): void {
  const open = new Map<string, string>();
  for (const { state, item } of statesIn<ExceptionRequest>(items, 'EXCEPTION')) {
    const about = `request ${state.exceptionId} (${state.stage.is})`;
    if (isFinal(state.stage.is)) {
      const owes = state.letters.length > 0 || state.drive.is !== 'ended';
      must(!owes || item.nextActionKey === 'EXCEPTION', 'APR-6 what is owed is on the sweep’s list', about);
      continue;
    }
    must(!open.has(state.keyId), 'EXC-5 one open request per key', `${about} and ${open.get(state.keyId)}`);
    open.set(state.keyId, state.exceptionId);
    must(
      items.get(`KEY#${state.keyId} OPEN-REQUEST`)?.exceptionId === state.exceptionId,
      'EXC-5 a key names its open request',
      about,
    );
    must(item.nextActionKey === 'EXCEPTION', 'every open request is on the sweep’s list', about);
    const wait = Date.parse(String(item.nextActionAt)) - Date.parse(state.drive.since);
    must(wait <= 24 * hour, 'every open request is on the sweep’s list within its time', about);
    const signalled = ['to-start', 'to-wake'].includes(state.drive.is);
    must(!signalled || wait <= 30_000, 'APR-6 a signal that is owed is on the list at once', about);
  }
  for (const key of items.keys()) {
    if (!key.endsWith(' OPEN-REQUEST')) continue;
    must(open.has(key.slice('KEY#'.length, -' OPEN-REQUEST'.length)), 'EXC-5 what is not open is not named', key);
  }
  const slots = new Map<string, string>();
  for (const { state } of statesIn<Key>(items, 'KEY')) {
    if (state.type !== 'MAK' || state.status.is === 'blocked') continue;
    const slot = `${state.agreementId} ${state.productGroup}`;
    must(!slots.has(slot), 'KEY-2 one live MAK per group', slot);
    slots.set(slot, state.keyId);
  }
  for (const { state, item } of statesIn<Agreement>(items, 'AGREEMENT')) {
    const pending = state.pendingNoticesCorrespondent;
    must(
      pending === null || (item.nextActionKey === 'AGREEMENT' && item.nextActionAt === pending.effectiveAt),
      'AGR-4 a change that is waiting is on the sweep’s list',
      state.agreementId,
    );
  }
  judgePromises(items, model);
  for (const [key, { nextActionAt }] of items as Map<string, Item & { nextActionAt?: string }>) {
    if (!key.endsWith(' NOTIFICATION') || nextActionAt === undefined) continue;
    must(Date.parse(nextActionAt) <= nowMilliseconds + 130_000, 'a notice is claimed for a moment only', key);
  }
}

/** What was acknowledged is there, and what was asked under one name happened once at most. */
function judgePromises(items: Items, model: Model): void {
  for (const id of model.requests) must(items.has(`EXCEPTION#${id} EXCEPTION`), 'an acknowledged request is kept', id);
  for (const id of model.agreements) must(items.has(`AGREEMENT#${id} AGREEMENT`), 'an agreement is kept', id);
  for (const id of model.keys) must(items.has(`KEY#${id} KEY`), 'an issued key is kept', id);
  for (const [keyId, machines] of model.machines) {
    const on = new Set(machinesOn(items, keyId));
    for (const [name, machine] of machines) {
      if (machine.promised === 0) continue;
      must(
        on.has(name) || hasMoved(items, keyId, name),
        'MAK-1 an acknowledged activation is kept',
        `${keyId} ${name}`,
      );
    }
    const key = ownedIn<Key>(items, `KEY#${keyId} KEY`)?.state;
    if (key?.type !== 'KMS') continue;
    for (const { installationId, uses } of key.hosts) {
      const machine = machines.get(installationId);
      must(uses >= (machine?.promised ?? 0), 'KMS-1 an acknowledged use is kept', `${keyId} ${installationId}`);
    }
  }
  const happened = countDeeds(items);
  for (const { owner, where, text, promised } of model.deeds.values()) {
    const times = happened.get(`${owner} ${where} ${text}`) ?? 0;
    must(times <= 1, 'what is sent twice is done once', `${owner}: ${text} is there ${times} times`);
    must(times === 1 || !promised, 'what was acknowledged is kept', `${owner}: ${text}`);
  }
}

/** Names in the simulation's texts are written so: `#12-3#`. */
const named = /#[\w-]+#/g;
/** Entries that tell once more what another has told: the one that came with it is the one that counts. */
const toldAgain = ['limit-raised', 'key-blocked', 'fulfilled', 'correspondent-changed'];

const namesIn = ofEach(
  ({ action, detail }): ReadonlySet<string> =>
    toldAgain.includes(String(action)) ? new Set() : new Set(String(detail).match(named)),
);

/** Whether something that was asked under a name of its own has been done. */
export function isDone(items: Items, { owner, where, text }: Deed): boolean {
  return countDeeds(items).has(`${owner} ${where} ${text}`);
}

function countDeeds(items: Items): Map<string, number> {
  const times = new Map<string, number>();
  const add = (name: string) => times.set(name, (times.get(name) ?? 0) + 1);
  for (const [key, item] of items) {
    const [partition = '', sort = ''] = key.split(' ');
    const [owner = ''] = partition.replace(/^LEDGER#/, '').split('#');
    if (sort.startsWith('ENTRY#')) {
      for (const name of namesIn(item)) add(`${owner} entry ${name}`);
    }
    if (sort === 'KEY') {
      for (const { reference } of ownedOf<Key>(item).state.grants) add(`${owner} grant ${reference}`);
    }
  }
  return times;
}

export function machinesOn(items: Items, keyId: string): readonly string[] {
  const key = ownedIn<Key>(items, `KEY#${keyId} KEY`)?.state;
  if (key === undefined) return [];
  return key.type === 'KMS' ? key.hosts.map(({ installationId }) => installationId) : marksOf(items, keyId);
}

/** Whether a machine has left a replaced key for a successor of it (BLK-3). */
function hasMoved(items: Items, keyId: string, name: string): boolean {
  let status = ownedIn<Key>(items, `KEY#${keyId} KEY`)?.state.status;
  while (status?.is === 'blocked' && status.replacedBy !== null) {
    const next = status.replacedBy.keyId;
    if (machinesOn(items, next).includes(name)) return true;
    status = ownedIn<Key>(items, `KEY#${next} KEY`)?.state.status;
  }
  return false;
}

/** What must hold when nothing goes wrong any more and all time has passed. */
export function judgeRest(items: Items, handedOver: ReadonlySet<string>): void {
  for (const { state } of statesIn<ExceptionRequest>(items, 'EXCEPTION')) {
    const about = `request ${state.exceptionId} (${state.stage.is}, ${state.drive.is})`;
    must(isFinal(state.stage.is), 'every request ends', about);
    must(state.letters.length === 0, 'EXC-11 every letter is sent in the end', about);
    const last = letterName({ exception: state.exceptionId, letter: state.stage.is, to: 'requester' });
    must(handedOver.has(last), 'EXC-11 whoever asked is told how it ended', about);
    must(state.drive.is === 'ended', 'every workflow comes to its end', about);
  }
  for (const { state } of statesIn<Key>(items, 'KEY')) {
    must(state.status.is !== 'blocking', 'BLK-2 every replacement is completed', state.keyId);
    const dead = state.status.is === 'blocked' && state.type === 'MAK';
    must(
      !dead || bucketsIn(items, state.keyId).every(({ status }) => status === 'blocked'),
      'every bucket is blocked',
      state.keyId,
    );
  }
  for (const [key, item] of items) {
    must(!key.endsWith(' NOTIFICATION'), 'every notice is sent in the end', key);
    must(item.nextActionKey === undefined, 'nothing is left on the sweep’s list', key);
  }
}
