import type { Instant } from '../domain/calendar/instant.ts';
import { epochMilliseconds, isBefore, later } from '../domain/calendar/instant.ts';
import type { ItemKey, Store } from './dynamodb/table.ts';
import { commit, get } from './dynamodb/table.ts';
import { fingerprintOf } from './vault.ts';

/** A request that may be sent again: who sent it, under which key, and a fingerprint of all that it asked. */
export type Repeatable = { readonly caller: string; readonly key: string; readonly fingerprint: string };

/** What was answered, as it went out. */
export type Answered = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

export type Begun =
  | { readonly is: 'first' }
  | { readonly is: 'answered'; readonly answer: Answered }
  | { readonly is: 'reused' }
  | { readonly is: 'in-progress' };

/** For how long the answer to a request over HTTP is kept. */
const ordinarilyKeptHours = 24;
/** Longer than any function may run: after it, one that never answered counts as lost and may be done again. */
const inProgressSeconds = 60;

/**
 * Begins a request that carries an idempotency key. Answers that it is the first, what the first was answered, that the
 * key was used for another request, or that the first still runs. A first that was lost may be begun again; doing it
 * twice is safe, since what it does knows the operation that it belongs to.
 */
export async function begin(
  store: Store,
  repeatable: Repeatable,
  now: Instant,
  keptHours = ordinarilyKeptHours,
): Promise<Begun> {
  const key = itemKey(repeatable);
  for (let attempt = 1; ; attempt += 1) {
    const found = await get(store, key);
    const alive = found !== undefined && !isBefore(found.expiresAt as Instant, now);
    if (alive) {
      if (found.fingerprint !== repeatable.fingerprint) return { is: 'reused' };
      if (typeof found.response === 'string') {
        // Answers are sealed: one of them may hold a product key.
        return { is: 'answered', answer: JSON.parse(store.vault.open(found.response, key.PK)) as Answered };
      }
      if (!isBefore(found.inProgressUntil as Instant, now)) return { is: 'in-progress' };
    }
    const expiresAt = later(now, { hours: keptHours });
    const committed = await commit(store, [
      {
        Put: {
          TableName: '',
          Item: {
            ...key,
            fingerprint: repeatable.fingerprint,
            inProgressUntil: later(now, { seconds: inProgressSeconds }),
            attempts: (Number(found?.attempts) || 0) + 1,
            expiresAt,
            expiresAtEpochSeconds: Math.ceil(epochMilliseconds(expiresAt) / 1000),
          },
          ...(found === undefined
            ? { ConditionExpression: 'attribute_not_exists(PK)' }
            : {
                ConditionExpression: '#attempts = :attempts AND (attribute_not_exists(#response) OR #expiresAt < :now)',
                ExpressionAttributeNames: {
                  '#attempts': 'attempts',
                  '#response': 'response',
                  '#expiresAt': 'expiresAt',
                },
                ExpressionAttributeValues: { ':attempts': found.attempts, ':now': now },
              }),
        },
      },
    ]);
    if (committed === 'done') return { is: 'first' };
    if (attempt > 1) return { is: 'in-progress' };
  }
}

/** Keeps what the first was answered, sealed, for those who ask again. */
export async function finish(store: Store, repeatable: Repeatable, answer: Answered): Promise<void> {
  const key = itemKey(repeatable);
  await commit(store, [
    {
      Update: {
        TableName: '',
        Key: key,
        UpdateExpression: 'SET #response = :response',
        ConditionExpression: '#fingerprint = :fingerprint AND attribute_not_exists(#response)',
        ExpressionAttributeNames: { '#response': 'response', '#fingerprint': 'fingerprint' },
        ExpressionAttributeValues: {
          ':response': store.vault.seal(JSON.stringify(answer), key.PK),
          ':fingerprint': repeatable.fingerprint,
        },
      },
    },
  ]);
}

/** Forgets a first that came to nothing (a fault), so that it can be tried again at once. */
export async function abandon(store: Store, repeatable: Repeatable): Promise<void> {
  await commit(store, [
    {
      Delete: {
        TableName: '',
        Key: itemKey(repeatable),
        ConditionExpression: 'attribute_not_exists(#response)',
        ExpressionAttributeNames: { '#response': 'response' },
      },
    },
  ]);
}

/** The name of the operation that all repetitions of a request are: what it does remembers it. */
export function operationOf({ caller, key, fingerprint }: Repeatable): string {
  return fingerprintOf(JSON.stringify([caller, key, fingerprint])).slice(0, 32);
}

function itemKey({ caller, key }: Repeatable): ItemKey {
  return { PK: `IDEMPOTENCY#${fingerprintOf(JSON.stringify([caller, key]))}`, SK: 'RESPONSE' };
}
