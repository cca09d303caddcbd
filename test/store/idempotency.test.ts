import { GetCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { later } from '../../domain/calendar/instant.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import type { Repeatable } from '../../store/idempotency.ts';
import { abandon, begin, finish, operationOf } from '../../store/idempotency.ts';
import { productKey } from '../builders.ts';
import { mondayTen, tuesdayTen } from '../instants.ts';
import { everyItem, interrupted, overheard, startEngine } from './dynamodb.ts';

const engine = await startEngine();
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

const request: Repeatable = { caller: 'ines@alder.example', key: 'key-1', fingerprint: 'what was asked' };
const answer = { status: 201, headers: { location: '/keys/1' }, body: '{"keyId":"1"}' };
const inAMinute = later(mondayTen, { seconds: 60 });
const justAfterAMinute = later(mondayTen, { seconds: 61 });

describe('a request with an idempotency key', () => {
  it('is the first, and is answered as the first was from then on', async () => {
    expect(await begin(store, request, mondayTen)).toEqual({ is: 'first' });
    await finish(store, request, answer);
    for (const now of [mondayTen, justAfterAMinute, tuesdayTen]) {
      expect(await begin(store, request, now)).toEqual({ is: 'answered', answer });
    }
  });

  it('is the first again a day later, and is answered as that was', async () => {
    await begin(store, request, mondayTen);
    await finish(store, request, answer);
    expect(await begin(store, request, tuesdayTen)).toEqual({ is: 'answered', answer });
    const nextDay = later(tuesdayTen, { seconds: 1 });
    expect(await begin(store, request, nextDay)).toEqual({ is: 'first' });
    expect(await begin(store, request, nextDay)).toEqual({ is: 'in-progress' });
    await finish(store, request, { ...answer, status: 200 });
    expect(await begin(store, request, nextDay)).toEqual({ is: 'answered', answer: { ...answer, status: 200 } });
  });

  it('waits for the first to be answered', async () => {
    await begin(store, request, mondayTen);
    expect(await begin(store, request, mondayTen)).toEqual({ is: 'in-progress' });
    expect(await begin(store, request, inAMinute)).toEqual({ is: 'in-progress' });
  });

  it('is the first anew when the first was lost, for one of those who come then', async () => {
    await begin(store, request, mondayTen);
    const begun = await Promise.all([1, 2, 3, 4].map(() => begin(store, request, justAfterAMinute)));
    expect(begun.map(({ is }) => is).toSorted()).toEqual(['first', 'in-progress', 'in-progress', 'in-progress']);
    await finish(store, request, answer);
    expect(await begin(store, request, justAfterAMinute)).toEqual({ is: 'answered', answer });
  });

  it('keeps the first answer that is given when one that seemed lost answers as well', async () => {
    await begin(store, request, mondayTen);
    await begin(store, request, justAfterAMinute);
    await finish(store, request, answer);
    await finish(store, request, { ...answer, status: 500 });
    expect(await begin(store, request, justAfterAMinute)).toEqual({ is: 'answered', answer });
  });

  it('is the first once when it comes several times at once', async () => {
    const begun = await Promise.all(Array.from({ length: 6 }, () => begin(store, request, mondayTen)));
    expect(begun.filter(({ is }) => is === 'first')).toHaveLength(1);
    expect(begun.filter(({ is }) => is === 'in-progress')).toHaveLength(5);
  });

  it('is answered when the first begins and answers between its looking and its beginning', async () => {
    let looked = false;
    const meanwhile = overheard(store, async (command, send) => {
      const read = await send();
      if (command instanceof GetCommand && !looked) {
        looked = true;
        expect(await begin(store, request, mondayTen)).toEqual({ is: 'first' });
        await finish(store, request, answer);
      }
      return read;
    });
    expect(await begin(meanwhile, request, mondayTen)).toEqual({ is: 'answered', answer });
  });

  it('does not take the place of an answer that is given while it thinks that the first was lost', async () => {
    await begin(store, request, mondayTen);
    const meanwhile = overheard(store, async (command, send) => {
      if (command instanceof TransactWriteCommand) await finish(store, request, answer);
      return send();
    });
    expect(await begin(meanwhile, request, justAfterAMinute)).toEqual({ is: 'answered', answer });
  });

  it('is the first anew for one alone when two think at the same moment that the first was lost', async () => {
    await begin(store, request, mondayTen);
    const meanwhile = interrupted(store, TransactWriteCommand, async () => {
      expect(await begin(store, request, justAfterAMinute)).toEqual({ is: 'first' });
    });
    expect(await begin(meanwhile, request, justAfterAMinute)).toEqual({ is: 'in-progress' });
  });

  it('can be tried again at once when it came to nothing', async () => {
    await begin(store, request, mondayTen);
    await abandon(store, request);
    expect(await everyItem(store)).toEqual([]);
    expect(await begin(store, request, mondayTen)).toEqual({ is: 'first' });
  });

  it('cannot be taken back once it was answered', async () => {
    await begin(store, request, mondayTen);
    await finish(store, request, answer);
    await abandon(store, request);
    expect(await begin(store, request, mondayTen)).toEqual({ is: 'answered', answer });
  });
});

describe('an idempotency key that is used again', () => {
  const another = { ...request, fingerprint: 'something else' };

  it('for another request is refused, while the first runs and after', async () => {
    await begin(store, request, mondayTen);
    expect(await begin(store, another, mondayTen)).toEqual({ is: 'reused' });
    expect(await begin(store, another, justAfterAMinute)).toEqual({ is: 'reused' });
    await finish(store, request, answer);
    expect(await begin(store, another, justAfterAMinute)).toEqual({ is: 'reused' });
    expect(await begin(store, request, justAfterAMinute)).toEqual({ is: 'answered', answer });
  });

  it('for another request does not answer that of the first', async () => {
    await begin(store, request, mondayTen);
    await finish(store, another, answer);
    expect(await begin(store, request, mondayTen)).toEqual({ is: 'in-progress' });
  });

  it('for two different requests at once lets one of them be the first', async () => {
    const begun = await Promise.all([begin(store, request, mondayTen), begin(store, another, mondayTen)]);
    expect(begun.map(({ is }) => is).toSorted()).toEqual(['first', 'reused']);
  });

  it.each([
    ['another caller', { ...request, caller: 'tom@alder.example' }],
    ['another key', { ...request, key: 'key-2' }],
    ['a caller and key that only look the same together', { ...request, caller: 'ines@alder.examplek', key: 'ey-1' }],
  ])('is another request’s with %s', async (_, other) => {
    await begin(store, request, mondayTen);
    expect(await begin(store, other, mondayTen)).toEqual({ is: 'first' });
    expect(operationOf(other)).not.toBe(operationOf(request));
    expect(operationOf({ ...request })).toBe(operationOf(request));
  });
});

describe('what is kept of a request', () => {
  it('KEY-6 is sealed, so that an answer with a product key in it tells nothing', async () => {
    const key = productKey(1_000_003).reveal();
    const revealing = { ...answer, body: JSON.stringify({ productKey: key }) };
    await begin(store, request, mondayTen);
    await finish(store, request, revealing);
    const kept = JSON.stringify(await everyItem(store));
    for (const group of key.split('-')) expect(kept).not.toContain(group);
    expect(await begin(store, request, mondayTen)).toEqual({ is: 'answered', answer: revealing });
  });

  it('is forgotten by the table some time after it has expired', async () => {
    await begin(store, request, mondayTen);
    const [item] = await everyItem(store);
    expect(item?.expiresAtEpochSeconds).toBe(Date.parse(tuesdayTen) / 1_000);
  });
});
