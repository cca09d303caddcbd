import type { Policy } from '../domain/policy.ts';
import type { RefusalResult } from '../domain/refusal.ts';
import type { Table } from './dynamodb/table.ts';
import type { WriteDecision, WriteResult } from './dynamodb/versioned-item.ts';
import type { Vault } from './vault.ts';

/** The first parameter of every function of the store: the table, the vault that seals secrets, and the policy. */
export type Store = Table & { readonly vault: Vault; readonly policy: Policy };

/** A decision about one update: no change, a refusal, or the writes. */
export type UpdateDecision<Value> = WriteDecision<Value, RefusalResult>;

/** The result of an update: its value, or the refusal. */
export type UpdateResult<Value> = WriteResult<Value, RefusalResult>;
