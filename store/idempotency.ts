import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration, epochMilliseconds, isBefore } from '../domain/calendar/instant.ts';
import { itemIsAbsent } from './dynamodb/conditions.ts';
import type { ItemKey } from './dynamodb/table.ts';
import { commit, get } from './dynamodb/table.ts';
import type { Store } from './store.ts';
import { fingerprintOf } from './vault.ts';

/** The caller of an idempotent request, its idempotency key, and a fingerprint of its content. */
export type IdempotencyKey = { readonly caller: string; readonly key: string; readonly fingerprint: string };

/** A response as it was sent. */
export type StoredResponse = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

export type ClaimResult =
  | { readonly kind: 'claimed' }
  | { readonly kind: 'completed'; readonly response: StoredResponse }
  | { readonly kind: 'reused' }
  | { readonly kind: 'in-progress' };

/** The time for which the response to an HTTP request is stored. */
const defaultRetentionHours = 24;
/**
 * Longer than the timeout of every function. After it, a request without a response counts as lost and can be claimed
 * again.
 */
const inProgressSeconds = 60;

/*
 * The states of an idempotency key over time.
 *
 * A request that completes:
 *
 *     claim             complete                          expiresAt
 *     |-- in progress --|-- duplicates get the response --|-- can be claimed again -->
 *
 * A request that is lost, because its function crashed:
 *
 *     claim             inProgressUntil
 *     |-- in progress --|-- can be claimed again -->
 *
 * A request that fails with a fault:
 *
 *     claim             release
 *     |-- in progress --|-- deleted, can be claimed again -->
 */

/** No other request claimed the key since it was read. */
const unchangedSinceRead = '#attempts = :attempts';

/** No response is stored. */
const notCompleted = 'attribute_not_exists(#response)';

/** The stored response is too old to be returned. */
const expired = '#expiresAt < :now';

/** The key still belongs to this request. */
const sameRequest = '#fingerprint = :fingerprint';

/**
 * Claims an idempotency key. `claimed`: process the request. `completed`: return the stored response. `reused`: the key
 * was used for a different request. `in-progress`: another process handles the request. A lost request can be claimed
 * again. That is safe, because every change stores the ID of its operation and is applied once.
 */
export async function claimIdempotencyKey(
  store: Store,
  idempotencyKey: IdempotencyKey,
  now: Instant,
  retentionHours = defaultRetentionHours,
): Promise<ClaimResult> {
  const key = itemKey(idempotencyKey);
  for (let attempt = 1; ; attempt += 1) {
    const existing = await get(store, key);
    const isUnexpired = existing !== undefined && !isBefore(existing.expiresAt as Instant, now);
    if (isUnexpired) {
      if (existing.fingerprint !== idempotencyKey.fingerprint) return { kind: 'reused' };
      if (typeof existing.response === 'string') {
        // Responses are sealed, because a response can contain a product key.
        return {
          kind: 'completed',
          response: JSON.parse(store.vault.open(existing.response, key.PK)) as StoredResponse,
        };
      }
      if (!isBefore(existing.inProgressUntil as Instant, now)) return { kind: 'in-progress' };
    }
    const expiresAt = addDuration(now, { hours: retentionHours });
    const commitResult = await commit(store, [
      {
        Put: {
          Item: {
            ...key,
            fingerprint: idempotencyKey.fingerprint,
            inProgressUntil: addDuration(now, { seconds: inProgressSeconds }),
            attempts: (Number(existing?.attempts) || 0) + 1,
            expiresAt,
            expiresAtEpochSeconds: Math.ceil(epochMilliseconds(expiresAt) / 1000),
          },
          ...(existing === undefined
            ? { ConditionExpression: itemIsAbsent }
            : {
                ConditionExpression: `${unchangedSinceRead} AND (${notCompleted} OR ${expired})`,
                ExpressionAttributeNames: {
                  '#attempts': 'attempts',
                  '#response': 'response',
                  '#expiresAt': 'expiresAt',
                },
                ExpressionAttributeValues: { ':attempts': existing.attempts, ':now': now },
              }),
        },
      },
    ]);
    if (commitResult === 'committed') return { kind: 'claimed' };
    if (attempt > 1) return { kind: 'in-progress' };
  }
}

/** Stores the response, sealed, for duplicates of the request. Does nothing if a response is stored already. */
export async function completeIdempotencyKey(
  store: Store,
  idempotencyKey: IdempotencyKey,
  response: StoredResponse,
): Promise<void> {
  const key = itemKey(idempotencyKey);
  await commit(store, [
    {
      Update: {
        Key: key,
        UpdateExpression: 'SET #response = :response',
        ConditionExpression: `${sameRequest} AND ${notCompleted}`,
        ExpressionAttributeNames: { '#response': 'response', '#fingerprint': 'fingerprint' },
        ExpressionAttributeValues: {
          ':response': store.vault.seal(JSON.stringify(response), key.PK),
          ':fingerprint': idempotencyKey.fingerprint,
        },
      },
    },
  ]);
}

/** Releases a key after a fault, so that the request can be retried immediately. */
export async function releaseIdempotencyKey(store: Store, idempotencyKey: IdempotencyKey): Promise<void> {
  await commit(store, [
    {
      Delete: {
        Key: itemKey(idempotencyKey),
        ConditionExpression: notCompleted,
        ExpressionAttributeNames: { '#response': 'response' },
      },
    },
  ]);
}

/** Returns the operation ID of a request. It is the same for all duplicates, so that their changes are applied once. */
export function operationIdOf({ caller, key, fingerprint }: IdempotencyKey): string {
  return fingerprintOf(JSON.stringify([caller, key, fingerprint])).slice(0, 32);
}

function itemKey({ caller, key }: IdempotencyKey): ItemKey {
  return { PK: `IDEMPOTENCY#${fingerprintOf(JSON.stringify([caller, key]))}`, SK: 'RESPONSE' };
}
