import { createHash } from 'node:crypto';
import type { AuditEvent } from '../../domain/audit-event.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Context } from '../../domain/context.ts';
import type { RefusalResult } from '../../domain/refusal.ts';
import type { Item, ItemKey, Store, TransactItem } from './table.ts';
import { attemptsMax, ContentionError, commit, get, isTransient } from './table.ts';

/**
 * Something that has a history: an agreement, a key, a request. It is written only if it is still as it was read, with
 * the entry that tells of the change in the same transaction (LED-1), and remembers the last operations done to it, so
 * that one that arrives again does nothing more.
 */
export type Versioned<State> = {
  readonly key: ItemKey;
  readonly value: State;
  /** What is kept beside the state and never leaves the store by itself: a sealed key, a task token. */
  readonly internal: Readonly<Record<string, unknown>>;
  readonly version: number;
  readonly ledgerHead: LedgerHead;
  readonly operationIds: readonly string[];
};

/** The attributes of the item of something that has a history. */
type StoredAttributes<State> = {
  readonly value: State;
  readonly internal: Versioned<State>['internal'];
  readonly version: number;
  readonly ledgerHead: LedgerHead;
  readonly operationIds: readonly string[];
};

/** The end of a history: how many entries it has and the hash of the last one (LED-2). */
type LedgerHead = { readonly sequence: number; readonly hash: string };

const emptyLedgerHead: LedgerHead = { sequence: 0, hash: '' };
const operationIdsMax = 20;

/** Reads something with a history, as it is now. What its item holds was written by `writesOf` from the same type. */
export async function readItem<State>(store: Store, key: ItemKey): Promise<Versioned<State> | undefined> {
  const item = await get(store, key);
  return item === undefined ? undefined : fromItem<State>(item);
}

/** Reads an owned thing out of its item; the one place where an item is taken at its word. */
export function fromItem<State>(item: Item): Versioned<State> {
  const { PK, SK, value, internal, version, ledgerHead, operationIds } = item as Item & StoredAttributes<State>;
  return {
    key: { PK, SK },
    value: value,
    internal: internal,
    version,
    ledgerHead: ledgerHead,
    operationIds: operationIds,
  };
}

/** Something that is not there yet. */
export function newItem<State>(
  key: ItemKey,
  value: State,
  internal: Readonly<Record<string, unknown>> = {},
): Versioned<State> {
  return { key, value, internal, version: 0, ledgerHead: emptyLedgerHead, operationIds: [] };
}

/** Whether this operation was done to it already. */
export function isProcessed(record: Versioned<unknown>, operationId: string): boolean {
  return record.operationIds.includes(operationId);
}

/** When something is written, and under which operation: null for what the service does by itself and may do again. */
export type WriteContext = Pick<Context, 'now'> & { readonly operationId: string | null };

export type WriteOptions = {
  /** Null for what the service does by itself and may do again: it needs no remembering. */
  readonly operationId: string | null;
  readonly now: Instant;
  readonly event: AuditEvent | null;
  /** Index keys and other attributes beside the state. */
  readonly attributes?: Readonly<Record<string, unknown>>;
};

/** What one transaction must hold to move something on by one version, with its entry in the history. */
export function toWrites<State>(
  record: Versioned<State>,
  { operationId, now, event, attributes }: WriteOptions,
): TransactItem[] {
  const entry = event === null ? undefined : nextLedgerEntry(record, event, now);
  const operationIds = operationId === null ? record.operationIds : appendOperationId(record.operationIds, operationId);
  const ledgerHead = entry === undefined ? record.ledgerHead : { sequence: entry.sequence, hash: entry.hash };
  const stored: StoredAttributes<State> = {
    value: record.value,
    internal: record.internal,
    version: record.version + 1,
    ledgerHead: ledgerHead,
    operationIds: operationIds,
  };
  const item = { ...record.key, ...stored, ...attributes };
  const unchangedSinceRead =
    record.version === 0
      ? { ConditionExpression: 'attribute_not_exists(PK)' }
      : {
          ConditionExpression: '#version = :version',
          ExpressionAttributeNames: { '#version': 'version' },
          ExpressionAttributeValues: { ':version': record.version },
        };
  return [
    { Put: { TableName: '', Item: item, ...unchangedSinceRead } },
    ...(entry === undefined
      ? []
      : [
          {
            Put: {
              TableName: '',
              Item: { PK: ledgerPartition(record.key.PK), SK: ledgerEntrySortKey(entry.sequence), ...entry },
              ConditionExpression: 'attribute_not_exists(PK)',
            },
          },
        ]),
  ];
}

// The first operation, which brought the thing into being, is never forgotten: a mail can be delivered again days later.
function appendOperationId([first, ...rest]: readonly string[], operationId: string): readonly string[] {
  return first === undefined ? [operationId] : [first, ...[...rest, operationId].slice(-operationIdsMax)];
}

/** A condition for a transaction: what was read is still as it was, though the transaction does not change it. */
export function requireUnchanged(record: Versioned<unknown>): TransactItem {
  return {
    ConditionCheck: {
      TableName: '',
      Key: record.key,
      ConditionExpression: '#version = :version',
      ExpressionAttributeNames: { '#version': 'version' },
      ExpressionAttributeValues: { ':version': record.version },
    },
  };
}

/** One entry of a history, chained to the one before it by its hash (LED-1, LED-2). */
export type LedgerEntry = AuditEvent & {
  readonly sequence: number;
  readonly at: Instant;
  readonly previousHash: string;
  readonly hash: string;
};

function nextLedgerEntry(record: Versioned<unknown>, event: AuditEvent, at: Instant): LedgerEntry {
  const content = { ...event, sequence: record.ledgerHead.sequence + 1, at, previousHash: record.ledgerHead.hash };
  return { ...content, hash: ledgerEntryHash(record.key.PK, content) };
}

/** The hash of an entry: over whose history it is in, everything that it says, and the hash before it (LED-2). */
export function ledgerEntryHash(owner: string, entry: Omit<LedgerEntry, 'hash'>): string {
  const { sequence, at, actor, action, detail, reference, previousHash } = entry;
  const serializedEntry = JSON.stringify([owner, sequence, at, actor, action, detail, reference, previousHash]);
  return createHash('sha256').update(serializedEntry).digest('hex');
}

/**
 * The partition of a ledger: another than its owner's, so that rights can be given by leading key.
 * @param owner the partition key of the owner.
 */
export function ledgerPartition(owner: string): string {
  return `LEDGER#${owner}`;
}

/** The sort key of an entry: padded, so that text order is the order of the history. */
export function ledgerEntrySortKey(sequence: number): string {
  return `ENTRY#${String(sequence).padStart(10, '0')}`;
}

/** What one attempt at a change came to: nothing to write (with the answer), a refusal, or writes that bring the answer about. */
export type UpdateDecision<Answer> =
  | { readonly kind: 'no-change'; readonly value: Answer }
  | { readonly kind: 'refused'; readonly refusal: RefusalResult }
  | { readonly kind: 'write'; readonly writes: readonly TransactItem[]; readonly value: Answer };

export type UpdateResult<Answer> = { readonly ok: true; readonly value: Answer } | RefusalResult;

/**
 * The handshake with the store: reads, decides, and writes if nothing has changed since. When something has, or the
 * database is busy, it begins again from the reading, a bounded number of times with full jitter; anything else is thrown
 * at once. Throws `Contention` when the attempts are used up.
 */
export async function updateWithRetry<Answer>(
  store: Store,
  decide: () => Promise<UpdateDecision<Answer>>,
): Promise<UpdateResult<Answer>> {
  for (let attemptNumber = 1; attemptNumber <= attemptsMax; attemptNumber += 1) {
    if (attemptNumber > 1) await store.backOff(attemptNumber);
    const decision = await decideOnce(decide);
    if (decision === 'transient-failure') continue;
    if (decision.kind === 'refused') return decision.refusal;
    if (decision.kind === 'no-change') return { ok: true, value: decision.value };
    if ((await commit(store, decision.writes)) === 'committed') return { ok: true, value: decision.value };
  }
  throw new ContentionError(`Others kept changing the same thing during ${attemptsMax} attempts.`);
}

async function decideOnce<Answer>(
  decide: () => Promise<UpdateDecision<Answer>>,
): Promise<UpdateDecision<Answer> | 'transient-failure'> {
  try {
    return await decide();
  } catch (error) {
    if (isTransient(error)) return 'transient-failure';
    throw error;
  }
}

/** What a change of something that is there came to; in a box of its own, since an answer can be anything. */
type Found<Answer> = { readonly found: Answer };

/** The handshake with something that must be there already; `undefined` when it is not. */
export async function updateExisting<State, Answer>(
  store: Store,
  key: ItemKey,
  decide: (record: Versioned<State>) => UpdateDecision<Answer> | Promise<UpdateDecision<Answer>>,
): Promise<UpdateResult<Answer> | undefined> {
  const result = await updateWithRetry<Found<Answer> | null>(store, async () => {
    const record = await readItem<State>(store, key);
    if (record === undefined) return { kind: 'no-change', value: null };
    const attempted = await decide(record);
    return attempted.kind === 'refused' ? attempted : { ...attempted, value: { found: attempted.value } };
  });
  if (!result.ok) return result;
  return result.value === null ? undefined : { ok: true, value: result.value.found };
}
