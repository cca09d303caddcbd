import { createHash } from 'node:crypto';
import type { AuditEvent } from '../../domain/audit-event.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import { itemIsAbsent, versionUnchanged } from './conditions.ts';
import type { Item, ItemKey, Table, TransactItem } from './table.ts';
import { attemptsMax, ContentionError, commit, get, isTransient } from './table.ts';

/**
 * A value with optimistic concurrency control and a ledger. A write succeeds only if the version is unchanged since the
 * read, and adds the ledger entry in the same transaction (LED-1). The item stores the IDs of recent operations, so
 * that a repeated operation changes nothing.
 */
export type Versioned<State> = {
  readonly key: ItemKey;
  readonly value: State;
  /** Data that never leaves the store, such as sealed secrets and tokens. */
  readonly internal: Readonly<Record<string, unknown>>;
  readonly version: number;
  readonly ledgerHead: LedgerHead;
  readonly operationIds: readonly string[];
};

/** The attributes of the item of a versioned value. */
type StoredAttributes<State> = {
  readonly value: State;
  readonly internal: Versioned<State>['internal'];
  readonly version: number;
  readonly ledgerHead: LedgerHead;
  readonly operationIds: readonly string[];
};

/** The sequence number and the hash of the newest ledger entry (LED-2). */
type LedgerHead = { readonly sequence: number; readonly hash: string };

const emptyLedgerHead: LedgerHead = { sequence: 0, hash: '' };
const operationIdsMax = 20;

/** Reads a versioned value with strong consistency. Returns `undefined` if its item does not exist. */
export async function readItem<State>(table: Table, key: ItemKey): Promise<Versioned<State> | undefined> {
  const item = await get(table, key);
  return item === undefined ? undefined : fromItem<State>(item);
}

/** Returns the versioned value of an item. It trusts the item, because only `toWrites` writes such items. */
export function fromItem<State>(item: Item): Versioned<State> {
  const { PK, SK, value, internal, version, ledgerHead, operationIds } = item as Item & StoredAttributes<State>;
  return { key: { PK, SK }, value, internal, version, ledgerHead, operationIds };
}

/** Returns a versioned value that is not in the table yet. */
export function newItem<State>(
  key: ItemKey,
  value: State,
  internal: Readonly<Record<string, unknown>> = {},
): Versioned<State> {
  return { key, value, internal, version: 0, ledgerHead: emptyLedgerHead, operationIds: [] };
}

/** Returns true if this operation already changed the value. */
export function isProcessed(record: Versioned<unknown>, operationId: string): boolean {
  return record.operationIds.includes(operationId);
}

export type WriteContext = {
  /** Null for an operation of the service itself, which is safe to repeat. */
  readonly operationId: string | null;
  readonly now: Instant;
};

export type WriteOptions = WriteContext & {
  /** The event to add to the ledger; null for a change without an entry. */
  readonly event: AuditEvent | null;
  /** Index keys and other attributes besides the value. */
  readonly attributes?: Readonly<Record<string, unknown>>;
};

/** Returns the writes that store the next version of a value and add its ledger entry, for one transaction. */
export function toWrites<State>(
  record: Versioned<State>,
  { operationId, now, event, attributes }: WriteOptions,
): TransactItem[] {
  const entry = event === null ? undefined : nextLedgerEntry(record, event, now);
  const stored: StoredAttributes<State> = {
    value: record.value,
    internal: record.internal,
    version: record.version + 1,
    ledgerHead: entry === undefined ? record.ledgerHead : { sequence: entry.sequence, hash: entry.hash },
    operationIds: operationId === null ? record.operationIds : appendOperationId(record.operationIds, operationId),
  };
  const item = { ...record.key, ...stored, ...attributes };
  const condition =
    record.version === 0
      ? { ConditionExpression: itemIsAbsent }
      : {
          ConditionExpression: versionUnchanged,
          ExpressionAttributeNames: { '#version': 'version' },
          ExpressionAttributeValues: { ':version': record.version },
        };
  return [
    { Put: { Item: item, ...condition } },
    ...(entry === undefined
      ? []
      : [
          {
            Put: {
              Item: { PK: ledgerPartition(record.key.PK), SK: ledgerEntrySortKey(entry.sequence), ...entry },
              ConditionExpression: itemIsAbsent,
            },
          },
        ]),
  ];
}

// The first operation, which created the item, is never removed: its request can be delivered again days later.
function appendOperationId([first, ...rest]: readonly string[], operationId: string): readonly string[] {
  return first === undefined ? [operationId] : [first, ...[...rest, operationId].slice(-operationIdsMax)];
}

/** Returns a condition for a transaction: a value that the transaction does not write is unchanged since the read. */
export function requireUnchanged(record: Versioned<unknown>): TransactItem {
  return {
    ConditionCheck: {
      Key: record.key,
      ConditionExpression: versionUnchanged,
      ExpressionAttributeNames: { '#version': 'version' },
      ExpressionAttributeValues: { ':version': record.version },
    },
  };
}

/** One entry of a ledger. Its hash covers the hash of the previous entry (LED-1, LED-2). */
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

/**
 * Returns the hash of a ledger entry: over the owner, the content of the entry, and the hash of the previous entry
 * (LED-2).
 */
export function ledgerEntryHash(owner: string, entry: Omit<LedgerEntry, 'hash'>): string {
  const { sequence, at, actor, action, detail, reference, previousHash } = entry;
  const serializedEntry = JSON.stringify([owner, sequence, at, actor, action, detail, reference, previousHash]);
  return createHash('sha256').update(serializedEntry).digest('hex');
}

/**
 * Returns the partition of a ledger. It is not the partition of its owner, so that permissions can be granted by
 * leading key.
 * @param owner the partition key of the owner.
 */
export function ledgerPartition(owner: string): string {
  return `LEDGER#${owner}`;
}

/**
 * Returns the sort key of a ledger entry, padded with zeros so that the order of the keys is the order of the entries.
 */
export function ledgerEntrySortKey(sequence: number): string {
  return `ENTRY#${String(sequence).padStart(10, '0')}`;
}

/** A result that refuses the update. */
type RefusedResult = { readonly ok: false };

/** A decision about one update: no change, a refusal, or writes with the value that the update returns. */
export type WriteDecision<Value, Refusal> =
  | { readonly kind: 'no-change'; readonly value: Value }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'write'; readonly writes: readonly TransactItem[]; readonly value: Value };

/** The result of an update: its value, or the refusal. */
export type WriteResult<Value, Refusal> = { readonly ok: true; readonly value: Value } | Refusal;

/**
 * Runs the optimistic concurrency loop: `decide` reads and decides, and its writes are committed if nothing it read has
 * changed. After a conflict or a transient failure the loop backs off with full jitter and calls `decide` again, so
 * `decide` must not assign outer variables. Throws other errors at once, and a `ContentionError` after the last
 * attempt.
 */
export async function updateWithRetry<Value, Refusal extends RefusedResult>(
  table: Table,
  decide: () => Promise<WriteDecision<Value, Refusal>>,
): Promise<WriteResult<Value, Refusal>> {
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    if (attempt > 1) await table.backOff(attempt);
    const decision = await decideOnce(decide);
    if (decision === 'transient-failure') continue;
    if (decision.kind === 'refused') return decision.refusal;
    if (decision.kind === 'no-change') return { ok: true, value: decision.value };
    if ((await commit(table, decision.writes)) === 'committed') return { ok: true, value: decision.value };
  }
  throw new ContentionError(`All ${attemptsMax} attempts conflicted with other writes.`);
}

async function decideOnce<Decision>(decide: () => Promise<Decision>): Promise<Decision | 'transient-failure'> {
  try {
    return await decide();
  } catch (error) {
    if (isTransient(error)) return 'transient-failure';
    throw error;
  }
}

/** Runs the optimistic concurrency loop on an existing value. Returns `undefined` if its item does not exist. */
export async function updateExisting<State, Value, Refusal extends RefusedResult>(
  table: Table,
  key: ItemKey,
  decide: (record: Versioned<State>) => WriteDecision<Value, Refusal> | Promise<WriteDecision<Value, Refusal>>,
): Promise<WriteResult<Value, Refusal> | undefined> {
  // The wrapper distinguishes an absent item from a value that is `null` or `undefined`.
  type Wrapped = { readonly content: Value } | null;
  const result = await updateWithRetry(table, async (): Promise<WriteDecision<Wrapped, Refusal>> => {
    const record = await readItem<State>(table, key);
    if (record === undefined) return { kind: 'no-change', value: null };
    const decision = await decide(record);
    return decision.kind === 'refused' ? decision : { ...decision, value: { content: decision.value } };
  });
  if (!result.ok) return result;
  return result.value === null ? undefined : { ok: true, value: result.value.content };
}
