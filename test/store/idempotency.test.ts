import { GetCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../domain/calendar/instant.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import type { IdempotencyKey } from '../../store/idempotency.ts';
import {
  claimIdempotencyKey,
  completeIdempotencyKey,
  operationIdOf,
  releaseIdempotencyKey,
} from '../../store/idempotency.ts';
import { productKey } from '../builders.ts';
import { mondayTen, tuesdayTen } from '../instants.ts';
import { scanAllItems, startTestDynamoDb, withInterceptor, withInterruption } from './dynamodb.ts';

const engine = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

const request: IdempotencyKey = { caller: 'ines@alder.example', key: 'key-1', fingerprint: 'what was asked' };
const answer = { status: 201, headers: { location: '/keys/1' }, body: '{"keyId":"1"}' };
const inAMinute = addDuration(mondayTen, { seconds: 60 });
const justAfterAMinute = addDuration(mondayTen, { seconds: 61 });

describe('a request with an idempotency key', () => {
  it('is the first, and is answered as the first was from then on', async () => {
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'claimed' });
    await completeIdempotencyKey(store, request, answer);
    for (const now of [mondayTen, justAfterAMinute, tuesdayTen]) {
      expect(await claimIdempotencyKey(store, request, now)).toEqual({ kind: 'completed', response: answer });
    }
  });

  it('is the first again a day later, and is answered as that was', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    await completeIdempotencyKey(store, request, answer);
    expect(await claimIdempotencyKey(store, request, tuesdayTen)).toEqual({ kind: 'completed', response: answer });
    const nextDay = addDuration(tuesdayTen, { seconds: 1 });
    expect(await claimIdempotencyKey(store, request, nextDay)).toEqual({ kind: 'claimed' });
    expect(await claimIdempotencyKey(store, request, nextDay)).toEqual({ kind: 'in-progress' });
    await completeIdempotencyKey(store, request, { ...answer, status: 200 });
    expect(await claimIdempotencyKey(store, request, nextDay)).toEqual({
      kind: 'completed',
      response: { ...answer, status: 200 },
    });
  });

  it('waits for the first to be answered', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'in-progress' });
    expect(await claimIdempotencyKey(store, request, inAMinute)).toEqual({ kind: 'in-progress' });
  });

  it('is the first anew when the first was lost, for one of those who come then', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    const begun = await Promise.all([1, 2, 3, 4].map(() => claimIdempotencyKey(store, request, justAfterAMinute)));
    expect(begun.map(({ kind: is }) => is).toSorted()).toEqual([
      'claimed',
      'in-progress',
      'in-progress',
      'in-progress',
    ]);
    await completeIdempotencyKey(store, request, answer);
    expect(await claimIdempotencyKey(store, request, justAfterAMinute)).toEqual({
      kind: 'completed',
      response: answer,
    });
  });

  it('keeps the first answer that is given when one that seemed lost answers as well', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    await claimIdempotencyKey(store, request, justAfterAMinute);
    await completeIdempotencyKey(store, request, answer);
    await completeIdempotencyKey(store, request, { ...answer, status: 500 });
    expect(await claimIdempotencyKey(store, request, justAfterAMinute)).toEqual({
      kind: 'completed',
      response: answer,
    });
  });

  it('is the first once when it comes several times at once', async () => {
    const begun = await Promise.all(Array.from({ length: 6 }, () => claimIdempotencyKey(store, request, mondayTen)));
    expect(begun.filter(({ kind: is }) => is === 'claimed')).toHaveLength(1);
    expect(begun.filter(({ kind: is }) => is === 'in-progress')).toHaveLength(5);
  });

  it('is answered when the first begins and answers between its looking and its beginning', async () => {
    let looked = false;
    const meanwhile = withInterceptor(store, async (command, send) => {
      const read = await send();
      if (command instanceof GetCommand && !looked) {
        looked = true;
        expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'claimed' });
        await completeIdempotencyKey(store, request, answer);
      }
      return read;
    });
    expect(await claimIdempotencyKey(meanwhile, request, mondayTen)).toEqual({ kind: 'completed', response: answer });
  });

  it('does not take the place of an answer that is given while it thinks that the first was lost', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    const meanwhile = withInterceptor(store, async (command, send) => {
      if (command instanceof TransactWriteCommand) await completeIdempotencyKey(store, request, answer);
      return send();
    });
    expect(await claimIdempotencyKey(meanwhile, request, justAfterAMinute)).toEqual({
      kind: 'completed',
      response: answer,
    });
  });

  it('is the first anew for one alone when two think at the same moment that the first was lost', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    const meanwhile = withInterruption(store, TransactWriteCommand, async () => {
      expect(await claimIdempotencyKey(store, request, justAfterAMinute)).toEqual({ kind: 'claimed' });
    });
    expect(await claimIdempotencyKey(meanwhile, request, justAfterAMinute)).toEqual({ kind: 'in-progress' });
  });

  it('can be tried again at once when it came to nothing', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    await releaseIdempotencyKey(store, request);
    expect(await scanAllItems(store)).toEqual([]);
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'claimed' });
  });

  it('cannot be taken back once it was answered', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    await completeIdempotencyKey(store, request, answer);
    await releaseIdempotencyKey(store, request);
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'completed', response: answer });
  });
});

describe('an idempotency key that is used again', () => {
  const another = { ...request, fingerprint: 'something else' };

  it('for another request is refused, while the first runs and after', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    expect(await claimIdempotencyKey(store, another, mondayTen)).toEqual({ kind: 'reused' });
    expect(await claimIdempotencyKey(store, another, justAfterAMinute)).toEqual({ kind: 'reused' });
    await completeIdempotencyKey(store, request, answer);
    expect(await claimIdempotencyKey(store, another, justAfterAMinute)).toEqual({ kind: 'reused' });
    expect(await claimIdempotencyKey(store, request, justAfterAMinute)).toEqual({
      kind: 'completed',
      response: answer,
    });
  });

  it('for another request does not answer that of the first', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    await completeIdempotencyKey(store, another, answer);
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'in-progress' });
  });

  it('for two different requests at once lets one of them be the first', async () => {
    const begun = await Promise.all([
      claimIdempotencyKey(store, request, mondayTen),
      claimIdempotencyKey(store, another, mondayTen),
    ]);
    expect(begun.map(({ kind: is }) => is).toSorted()).toEqual(['claimed', 'reused']);
  });

  it.each([
    ['another caller', { ...request, caller: 'jorge@alder.example' }],
    ['another key', { ...request, key: 'key-2' }],
    ['a caller and key that only look the same together', { ...request, caller: 'ines@alder.examplek', key: 'ey-1' }],
  ])('is another request’s with %s', async (_, other) => {
    await claimIdempotencyKey(store, request, mondayTen);
    expect(await claimIdempotencyKey(store, other, mondayTen)).toEqual({ kind: 'claimed' });
    expect(operationIdOf(other)).not.toBe(operationIdOf(request));
    expect(operationIdOf({ ...request })).toBe(operationIdOf(request));
  });
});

describe('what is kept of a request', () => {
  it('KEY-6 is sealed, so that an answer with a product key in it tells nothing', async () => {
    const key = productKey(1_000_003).reveal();
    const revealing = { ...answer, body: JSON.stringify({ productKey: key }) };
    await claimIdempotencyKey(store, request, mondayTen);
    await completeIdempotencyKey(store, request, revealing);
    const kept = JSON.stringify(await scanAllItems(store));
    for (const group of key.split('-')) expect(kept).not.toContain(group);
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'completed', response: revealing });
  });

  it('is forgotten by the table some time after it has expired', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    const [item] = await scanAllItems(store);
    expect(item?.expiresAtEpochSeconds).toBe(Date.parse(tuesdayTen) / 1_000);
  });
});
