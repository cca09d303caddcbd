import { GetCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../domain/calendar/instant.ts';
import type { IdempotencyKey } from '../../store/idempotency.ts';
import {
  claimIdempotencyKey,
  completeIdempotencyKey,
  operationIdOf,
  releaseIdempotencyKey,
} from '../../store/idempotency.ts';
import type { Store } from '../../store/store.ts';
import { productKey } from '../builders.ts';
import { mondayTen, tuesdayTen } from '../instants.ts';
import { scanAllItems, startTestDynamoDb, withInterceptor, withInterruption } from './dynamodb.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
});

const request: IdempotencyKey = { caller: 'ines@alder.example', key: 'key-1', fingerprint: 'content' };
const response = { status: 201, headers: { location: '/keys/1' }, body: '{"keyId":"1"}' };
const afterAMinute = addDuration(mondayTen, { seconds: 60 });
const afterInProgressTimeout = addDuration(mondayTen, { seconds: 61 });

describe('an idempotent request', () => {
  it('claims its key, and its duplicates get the same response', async () => {
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'claimed' });
    await completeIdempotencyKey(store, request, response);
    for (const now of [mondayTen, afterInProgressTimeout, tuesdayTen]) {
      expect(await claimIdempotencyKey(store, request, now)).toEqual({ kind: 'completed', response });
    }
  });

  it('claims its key again after a day, and its duplicates get the new response', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    await completeIdempotencyKey(store, request, response);
    expect(await claimIdempotencyKey(store, request, tuesdayTen)).toEqual({ kind: 'completed', response });
    const nextDay = addDuration(tuesdayTen, { seconds: 1 });
    expect(await claimIdempotencyKey(store, request, nextDay)).toEqual({ kind: 'claimed' });
    expect(await claimIdempotencyKey(store, request, nextDay)).toEqual({ kind: 'in-progress' });
    await completeIdempotencyKey(store, request, { ...response, status: 200 });
    expect(await claimIdempotencyKey(store, request, nextDay)).toEqual({
      kind: 'completed',
      response: { ...response, status: 200 },
    });
  });

  it('is in progress until the response is stored', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'in-progress' });
    expect(await claimIdempotencyKey(store, request, afterAMinute)).toEqual({ kind: 'in-progress' });
  });

  it('is lost after the timeout, and one of its duplicates claims the key again', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    const claims = await Promise.all(
      [1, 2, 3, 4].map(() => claimIdempotencyKey(store, request, afterInProgressTimeout)),
    );
    expect(claims.map(({ kind }) => kind).toSorted()).toEqual(['claimed', 'in-progress', 'in-progress', 'in-progress']);
    await completeIdempotencyKey(store, request, response);
    expect(await claimIdempotencyKey(store, request, afterInProgressTimeout)).toEqual({
      kind: 'completed',
      response,
    });
  });

  it('keeps the first response if a request that seemed lost completes as well', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    await claimIdempotencyKey(store, request, afterInProgressTimeout);
    await completeIdempotencyKey(store, request, response);
    await completeIdempotencyKey(store, request, { ...response, status: 500 });
    expect(await claimIdempotencyKey(store, request, afterInProgressTimeout)).toEqual({
      kind: 'completed',
      response,
    });
  });

  it('claims its key once if it arrives several times at once', async () => {
    const claims = await Promise.all(Array.from({ length: 6 }, () => claimIdempotencyKey(store, request, mondayTen)));
    expect(claims.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
    expect(claims.filter(({ kind }) => kind === 'in-progress')).toHaveLength(5);
  });

  it('gets the response of another request that completes between its read and its write', async () => {
    let isRead = false;
    const interruptedStore = withInterceptor(store, async (command, send) => {
      const result = await send();
      if (command instanceof GetCommand && !isRead) {
        isRead = true;
        expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'claimed' });
        await completeIdempotencyKey(store, request, response);
      }
      return result;
    });
    expect(await claimIdempotencyKey(interruptedStore, request, mondayTen)).toEqual({ kind: 'completed', response });
  });

  it('does not overwrite a response that is stored while it claims a lost key', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    const interruptedStore = withInterceptor(store, async (command, send) => {
      if (command instanceof TransactWriteCommand) await completeIdempotencyKey(store, request, response);
      return send();
    });
    expect(await claimIdempotencyKey(interruptedStore, request, afterInProgressTimeout)).toEqual({
      kind: 'completed',
      response,
    });
  });

  it('claims a lost key once if two duplicates try at the same time', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    const interruptedStore = withInterruption(store, TransactWriteCommand, async () => {
      expect(await claimIdempotencyKey(store, request, afterInProgressTimeout)).toEqual({ kind: 'claimed' });
    });
    expect(await claimIdempotencyKey(interruptedStore, request, afterInProgressTimeout)).toEqual({
      kind: 'in-progress',
    });
  });

  it('can be retried immediately after its key was released', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    await releaseIdempotencyKey(store, request);
    expect(await scanAllItems(store)).toEqual([]);
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'claimed' });
  });

  it('cannot be released after it was completed', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    await completeIdempotencyKey(store, request, response);
    await releaseIdempotencyKey(store, request);
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'completed', response });
  });
});

describe('an idempotency key that is reused', () => {
  const another = { ...request, fingerprint: 'other content' };

  it('is refused for a different request, before and after the first one completes', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    expect(await claimIdempotencyKey(store, another, mondayTen)).toEqual({ kind: 'reused' });
    expect(await claimIdempotencyKey(store, another, afterInProgressTimeout)).toEqual({ kind: 'reused' });
    await completeIdempotencyKey(store, request, response);
    expect(await claimIdempotencyKey(store, another, afterInProgressTimeout)).toEqual({ kind: 'reused' });
    expect(await claimIdempotencyKey(store, request, afterInProgressTimeout)).toEqual({
      kind: 'completed',
      response,
    });
  });

  it('does not store the response of a different request', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    await completeIdempotencyKey(store, another, response);
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({ kind: 'in-progress' });
  });

  it('is claimed by one of two different requests that arrive at once', async () => {
    const claims = await Promise.all([
      claimIdempotencyKey(store, request, mondayTen),
      claimIdempotencyKey(store, another, mondayTen),
    ]);
    expect(claims.map(({ kind }) => kind).toSorted()).toEqual(['claimed', 'reused']);
  });

  it.each([
    ['another caller', { ...request, caller: 'jorge@alder.example' }],
    ['another key', { ...request, key: 'key-2' }],
    ['a caller and a key whose concatenation is the same', { ...request, caller: 'ines@alder.examplek', key: 'ey-1' }],
  ])('is independent of %s', async (_, other) => {
    await claimIdempotencyKey(store, request, mondayTen);
    expect(await claimIdempotencyKey(store, other, mondayTen)).toEqual({ kind: 'claimed' });
    expect(operationIdOf(other)).not.toBe(operationIdOf(request));
    expect(operationIdOf({ ...request })).toBe(operationIdOf(request));
  });
});

describe('a stored response', () => {
  it('KEY-6 is sealed, so that it does not reveal a product key', async () => {
    const key = productKey(1_000_003).reveal();
    const responseWithKey = { ...response, body: JSON.stringify({ productKey: key }) };
    await claimIdempotencyKey(store, request, mondayTen);
    await completeIdempotencyKey(store, request, responseWithKey);
    const stored = JSON.stringify(await scanAllItems(store));
    for (const group of key.split('-')) expect(stored).not.toContain(group);
    expect(await claimIdempotencyKey(store, request, mondayTen)).toEqual({
      kind: 'completed',
      response: responseWithKey,
    });
  });

  it('has the time to live of its expiry', async () => {
    await claimIdempotencyKey(store, request, mondayTen);
    const [item] = await scanAllItems(store);
    expect(item?.expiresAtEpochSeconds).toBe(Date.parse(tuesdayTen) / 1_000);
  });
});
