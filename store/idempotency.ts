import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration, epochMilliseconds, isBefore } from '../domain/calendar/instant.ts';
import type { ItemKey, Store } from './dynamodb/table.ts';
import { commit, get } from './dynamodb/table.ts';
import { fingerprintOf } from './vault.ts';

/** A request that may be sent again: who sent it, under which key, and a fingerprint of all that it asked. */
export type IdempotencyKey = { readonly caller: string; readonly key: string; readonly fingerprint: string };

/** What was answered, as it went out. */
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

/** For how long the answer to a request over HTTP is kept. */
const defaultRetentionHours = 24;
/** Longer than any function may run: after it, one that never answered counts as lost and may be done again. */
const inProgressSeconds = 60;

/**
 * Begins a request that carries an idempotency key. Answers that it is the first, what the first was answered, that the
 * key was used for another request, or that the first still runs. A first that was lost may be begun again; doing it
 * twice is safe, since what it does knows the operation that it belongs to.
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
        // Answers are sealed: one of them may hold a product key.
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
          TableName: '',
          Item: {
            ...key,
            fingerprint: idempotencyKey.fingerprint,
            inProgressUntil: addDuration(now, { seconds: inProgressSeconds }),
            attempts: (Number(existing?.attempts) || 0) + 1,
            expiresAt,
            expiresAtEpochSeconds: Math.ceil(epochMilliseconds(expiresAt) / 1000),
          },
          ...(existing === undefined
            ? { ConditionExpression: 'attribute_not_exists(PK)' }
            : {
                ConditionExpression: '#attempts = :attempts AND (attribute_not_exists(#response) OR #expiresAt < :now)',
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

/** Keeps what the first was answered, sealed, for those who ask again. */
export async function completeIdempotencyKey(
  store: Store,
  idempotencyKey: IdempotencyKey,
  response: StoredResponse,
): Promise<void> {
  const key = itemKey(idempotencyKey);
  await commit(store, [
    {
      Update: {
        TableName: '',
        Key: key,
        UpdateExpression: 'SET #response = :response',
        ConditionExpression: '#fingerprint = :fingerprint AND attribute_not_exists(#response)',
        ExpressionAttributeNames: { '#response': 'response', '#fingerprint': 'fingerprint' },
        ExpressionAttributeValues: {
          ':response': store.vault.seal(JSON.stringify(response), key.PK),
          ':fingerprint': idempotencyKey.fingerprint,
        },
      },
    },
  ]);
}

/** Forgets a first that came to nothing (a fault), so that it can be tried again at once. */
export async function releaseIdempotencyKey(store: Store, idempotencyKey: IdempotencyKey): Promise<void> {
  await commit(store, [
    {
      Delete: {
        TableName: '',
        Key: itemKey(idempotencyKey),
        ConditionExpression: 'attribute_not_exists(#response)',
        ExpressionAttributeNames: { '#response': 'response' },
      },
    },
  ]);
}

/** The name of the operation that all repetitions of a request are: what it does remembers it. */
export function operationIdOf({ caller, key, fingerprint }: IdempotencyKey): string {
  return fingerprintOf(JSON.stringify([caller, key, fingerprint])).slice(0, 32);
}

function itemKey({ caller, key }: IdempotencyKey): ItemKey {
  return { PK: `IDEMPOTENCY#${fingerprintOf(JSON.stringify([caller, key]))}`, SK: 'RESPONSE' };
}
