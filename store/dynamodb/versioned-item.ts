import { createHash } from 'node:crypto';
import type { Deed } from '../../domain/audit-event.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Context } from '../../domain/context.ts';
import type { Refused } from '../../domain/refusal.ts';
import type { Item, ItemKey, Store, TransactItem } from './table.ts';
import { Contention, commit, get, isPassing, maximumAttempts } from './table.ts';

/**
 * Something that has a history: an agreement, a key, a request. It is written only if it is still as it was read, with
 * the entry that tells of the change in the same transaction (LED-1), and remembers the last operations done to it, so
 * that one that arrives again does nothing more.
 */
export type Owned<State> = {
  readonly key: ItemKey;
  readonly state: State;
  /** What is kept beside the state and never leaves the store by itself: a sealed key, a task token. */
  readonly kept: Readonly<Record<string, unknown>>;
  readonly version: number;
  readonly head: Head;
  readonly operations: readonly string[];
};

/** The attributes of the item of something that has a history. */
type StoredAttributes<State> = {
  readonly value: State;
  readonly internal: Owned<State>['kept'];
  readonly version: number;
  readonly ledgerHead: Head;
  readonly operationIds: readonly string[];
};

/** The end of a history: how many entries it has and the hash of the last one (LED-2). */
type Head = { readonly sequence: number; readonly hash: string };

const noHistory: Head = { sequence: 0, hash: '' };
const operationsRemembered = 20;

/** Reads something with a history, as it is now. What its item holds was written by `writesOf` from the same type. */
export async function read<State>(store: Store, key: ItemKey): Promise<Owned<State> | undefined> {
  const item = await get(store, key);
  return item === undefined ? undefined : ownedFrom<State>(item);
}

/** Reads an owned thing out of its item; the one place where an item is taken at its word. */
export function ownedFrom<State>(item: Item): Owned<State> {
  const { PK, SK, value, internal, version, ledgerHead, operationIds } = item as Item & StoredAttributes<State>;
  return { key: { PK, SK }, state: value, kept: internal, version, head: ledgerHead, operations: operationIds };
}

/** Something that is not there yet. */
export function unwritten<State>(
  key: ItemKey,
  state: State,
  kept: Readonly<Record<string, unknown>> = {},
): Owned<State> {
  return { key, state, kept, version: 0, head: noHistory, operations: [] };
}

/** Whether this operation was done to it already. */
export function wasDone(owned: Owned<unknown>, operation: string): boolean {
  return owned.operations.includes(operation);
}

/** When something is written, and under which operation: null for what the service does by itself and may do again. */
export type WriteContext = Pick<Context, 'now'> & { readonly operationId: string | null };

export type Writing = {
  /** Null for what the service does by itself and may do again: it needs no remembering. */
  readonly operation: string | null;
  readonly now: Instant;
  readonly deed: Deed | null;
  /** Index keys and other attributes beside the state. */
  readonly attributes?: Readonly<Record<string, unknown>>;
};

/** What one transaction must hold to move something on by one version, with its entry in the history. */
export function writesOf<State>(owned: Owned<State>, { operation, now, deed, attributes }: Writing): TransactItem[] {
  const entry = deed === null ? undefined : entryAfter(owned, deed, now);
  const operations = operation === null ? owned.operations : remembering(owned.operations, operation);
  const head = entry === undefined ? owned.head : { sequence: entry.sequence, hash: entry.hash };
  const stored: StoredAttributes<State> = {
    value: owned.state,
    internal: owned.kept,
    version: owned.version + 1,
    ledgerHead: head,
    operationIds: operations,
  };
  const item = { ...owned.key, ...stored, ...attributes };
  const unchanged =
    owned.version === 0
      ? { ConditionExpression: 'attribute_not_exists(PK)' }
      : {
          ConditionExpression: '#version = :version',
          ExpressionAttributeNames: { '#version': 'version' },
          ExpressionAttributeValues: { ':version': owned.version },
        };
  return [
    { Put: { TableName: '', Item: item, ...unchanged } },
    ...(entry === undefined
      ? []
      : [
          {
            Put: {
              TableName: '',
              Item: { PK: ledgerPartition(owned.key.PK), SK: entryKey(entry.sequence), ...entry },
              ConditionExpression: 'attribute_not_exists(PK)',
            },
          },
        ]),
  ];
}

// The first operation, which brought the thing into being, is never forgotten: a mail can be delivered again days later.
function remembering([first, ...since]: readonly string[], operation: string): readonly string[] {
  return first === undefined ? [operation] : [first, ...[...since, operation].slice(-operationsRemembered)];
}

/** A condition for a transaction: what was read is still as it was, though the transaction does not change it. */
export function isUnchanged(owned: Owned<unknown>): TransactItem {
  return {
    ConditionCheck: {
      TableName: '',
      Key: owned.key,
      ConditionExpression: '#version = :version',
      ExpressionAttributeNames: { '#version': 'version' },
      ExpressionAttributeValues: { ':version': owned.version },
    },
  };
}

/** One entry of a history, chained to the one before it by its hash (LED-1, LED-2). */
export type Entry = Deed & {
  readonly sequence: number;
  readonly at: Instant;
  readonly previousHash: string;
  readonly hash: string;
};

function entryAfter(owned: Owned<unknown>, deed: Deed, at: Instant): Entry {
  const content = { ...deed, sequence: owned.head.sequence + 1, at, previousHash: owned.head.hash };
  return { ...content, hash: entryHash(owned.key.PK, content) };
}

/** The hash of an entry: over whose history it is in, everything that it says, and the hash before it (LED-2). */
export function entryHash(owner: string, entry: Omit<Entry, 'hash'>): string {
  const { sequence, at, actor, action, detail, reference, previousHash } = entry;
  const told = JSON.stringify([owner, sequence, at, actor, action, detail, reference, previousHash]);
  return createHash('sha256').update(told).digest('hex');
}

/**
 * The partition of a ledger: another than its owner's, so that rights can be given by leading key.
 * @param owner the partition key of the owner.
 */
export function ledgerPartition(owner: string): string {
  return `LEDGER#${owner}`;
}

/** The sort key of an entry: padded, so that text order is the order of the history. */
export function entryKey(sequence: number): string {
  return `ENTRY#${String(sequence).padStart(10, '0')}`;
}

/** What one attempt at a change came to: nothing to write (with the answer), a refusal, or writes that bring the answer about. */
export type Attempt<Answer> =
  | { readonly is: 'settled'; readonly answer: Answer }
  | { readonly is: 'refused'; readonly refused: Refused }
  | { readonly is: 'to-write'; readonly writes: readonly TransactItem[]; readonly answer: Answer };

export type Outcome<Answer> = { readonly ok: true; readonly answer: Answer } | Refused;

/**
 * The handshake with the store: reads, decides, and writes if nothing has changed since. When something has, or the
 * database is busy, it begins again from the reading, a bounded number of times with full jitter; anything else is thrown
 * at once. Throws `Contention` when the attempts are used up.
 */
export async function change<Answer>(store: Store, attempt: () => Promise<Attempt<Answer>>): Promise<Outcome<Answer>> {
  for (let count = 1; count <= maximumAttempts; count += 1) {
    if (count > 1) await store.pause(count);
    const tried = await attempting(attempt);
    if (tried === 'in-the-way') continue;
    if (tried.is === 'refused') return tried.refused;
    if (tried.is === 'settled') return { ok: true, answer: tried.answer };
    if ((await commit(store, tried.writes)) === 'done') return { ok: true, answer: tried.answer };
  }
  throw new Contention(`Others kept changing the same thing during ${maximumAttempts} attempts.`);
}

async function attempting<Answer>(attempt: () => Promise<Attempt<Answer>>): Promise<Attempt<Answer> | 'in-the-way'> {
  try {
    return await attempt();
  } catch (error) {
    if (isPassing(error)) return 'in-the-way';
    throw error;
  }
}

/** What a change of something that is there came to; in a box of its own, since an answer can be anything. */
type Found<Answer> = { readonly found: Answer };

/** The handshake with something that must be there already; `undefined` when it is not. */
export async function changeExisting<State, Answer>(
  store: Store,
  key: ItemKey,
  attempt: (owned: Owned<State>) => Attempt<Answer> | Promise<Attempt<Answer>>,
): Promise<Outcome<Answer> | undefined> {
  const outcome = await change<Found<Answer> | null>(store, async () => {
    const owned = await read<State>(store, key);
    if (owned === undefined) return { is: 'settled', answer: null };
    const attempted = await attempt(owned);
    return attempted.is === 'refused' ? attempted : { ...attempted, answer: { found: attempted.answer } };
  });
  if (!outcome.ok) return outcome;
  return outcome.answer === null ? undefined : { ok: true, answer: outcome.answer.found };
}
