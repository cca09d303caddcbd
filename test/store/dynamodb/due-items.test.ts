import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { dueIndexKeys, listDueItems, nextDueAt } from '../../../store/dynamodb/due-items.ts';
import { dueKinds } from '../../../store/dynamodb/schema.ts';
import { putAll } from '../../../store/dynamodb/table.ts';
import type { Store } from '../../../store/store.ts';
import { mondayNine, mondayTen, tuesdayFive, tuesdayTen, wednesdayNoon } from '../../instants.ts';
import { readAllPages, startTestDynamoDb } from '../dynamodb.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
});

// Few times and many items: most are due at the same time, like reminders at the end of a business day.
const instant = fc.constantFrom(mondayTen, tuesdayTen, tuesdayFive, tuesdayFive, tuesdayFive, wednesdayNoon);
const newItem = fc.record({ kind: fc.constantFrom(...dueKinds), at: fc.option(instant, { freq: 5 }) });

describe('an item with a next action', () => {
  it('SLA-5 APR-6 is listed by its kind when it is due, earliest first, in pages of any size, once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(newItem, { minLength: 1, maxLength: 20 }),
        instant,
        fc.integer({ min: 1, max: 7 }),
        async (newItems, now, limit) => {
          store = await dynamoDb.newStore();
          const items = newItems.map((item, number) => ({ ...item, id: `id-${number}` }));
          await putAll(
            store,
            items.map(({ kind, at, id }) => ({ PK: `${kind}#${id}`, SK: kind, ...dueIndexKeys(kind, at) })),
          );
          for (const kind of dueKinds) {
            const due = items.filter((each) => each.kind === kind && each.at !== null && each.at <= now);
            const ids = await readAllPages((page) => listDueItems(store, kind, now, page), limit);
            expect(ids.toSorted()).toEqual(due.map(({ id }) => id).toSorted());
            const times = ids.map((id) => due.find((each) => each.id === id)?.at ?? '');
            expect(times).toEqual(times.toSorted());
          }
          const times = items.flatMap(({ at }) => at ?? []).toSorted();
          expect(await nextDueAt(store)).toBe(times[0] ?? null);
        },
      ),
      { numRuns: 8 },
    );
  });

  it('SLA-5 is listed once if many are due at the same time', async () => {
    const ids = ['1', '2', '3', '4', '5'];
    await putAll(
      store,
      ids.map((id) => ({ PK: `KEY#${id}`, SK: 'KEY', ...dueIndexKeys('KEY', tuesdayFive) })),
    );
    for (const limit of [1, 2, 3, 4, 5]) {
      const listed = await readAllPages((page) => listDueItems(store, 'KEY', wednesdayNoon, page), limit);
      expect(listed.toSorted()).toEqual(ids);
    }
  });

  it('SLA-5 is listed at its time and not before', async () => {
    await putAll(store, [{ PK: 'KEY#1', SK: 'KEY', ...dueIndexKeys('KEY', mondayTen) }]);
    const due = async (now = mondayTen) => (await listDueItems(store, 'KEY', now, { limit: 10, after: null })).items;
    expect(await due()).toEqual(['1']);
    expect(await due(mondayNine)).toEqual([]);
  });

  it('is not listed if it does not exist', async () => {
    expect(await nextDueAt(store)).toBeNull();
    expect(await listDueItems(store, 'AGREEMENT', wednesdayNoon, { limit: 10, after: null })).toEqual({
      items: [],
      next: null,
    });
  });
});
