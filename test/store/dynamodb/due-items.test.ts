import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { dueIndexKeys, dueKinds, listDueItems, nextDueAt } from '../../../store/dynamodb/due-items.ts';
import type { Store } from '../../../store/dynamodb/table.ts';
import { putAll } from '../../../store/dynamodb/table.ts';
import { mondayNine, mondayTen, tuesdayFive, tuesdayTen, wednesdayNoon } from '../../instants.ts';
import { readAllPages, startTestDynamoDb } from '../dynamodb.ts';

const engine = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

// Few moments and many items: most are due together, as reminders at closing time are.
const moment = fc.constantFrom(mondayTen, tuesdayTen, tuesdayFive, tuesdayFive, tuesdayFive, wednesdayNoon);
const made = fc.record({ kind: fc.constantFrom(...dueKinds), at: fc.option(moment, { freq: 5 }) });

describe('what time has something to do with', () => {
  it('SLA-5 APR-6 is found by its sort when it is due, earliest first, in pages of any size, each once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(made, { minLength: 1, maxLength: 20 }),
        moment,
        fc.integer({ min: 1, max: 7 }),
        async (things, now, limit) => {
          store = await engine.newStore();
          const named = things.map((thing, number) => ({ ...thing, id: `id-${number}` }));
          await putAll(
            store,
            named.map(({ kind, at, id }) => ({ PK: `${kind}#${id}`, SK: kind, ...dueIndexKeys(kind, at) })),
          );
          for (const kind of dueKinds) {
            const due = named.filter((each) => each.kind === kind && each.at !== null && each.at <= now);
            const found = await readAllPages((page) => listDueItems(store, kind, now, page), limit);
            expect(found.toSorted()).toEqual(due.map(({ id }) => id).toSorted());
            const times = found.map((id) => due.find((each) => each.id === id)?.at ?? '');
            expect(times).toEqual(times.toSorted());
          }
          const times = named.flatMap(({ at }) => at ?? []).toSorted();
          expect(await nextDueAt(store)).toBe(times[0] ?? null);
        },
      ),
      { numRuns: 8 },
    );
  });

  it('SLA-5 is found once each when many are due at one closing time', async () => {
    const ids = ['1', '2', '3', '4', '5'];
    await putAll(
      store,
      ids.map((id) => ({ PK: `KEY#${id}`, SK: 'KEY', ...dueIndexKeys('KEY', tuesdayFive) })),
    );
    for (const limit of [1, 2, 3, 4, 5]) {
      const found = await readAllPages((page) => listDueItems(store, 'KEY', wednesdayNoon, page), limit);
      expect(found.toSorted()).toEqual(ids);
    }
  });

  it('SLA-5 is found at its moment and not before', async () => {
    await putAll(store, [{ PK: 'KEY#1', SK: 'KEY', ...dueIndexKeys('KEY', mondayTen) }]);
    const due = async (now = mondayTen) => (await listDueItems(store, 'KEY', now, { limit: 10, after: null })).items;
    expect(await due()).toEqual(['1']);
    expect(await due(mondayNine)).toEqual([]);
  });

  it('is nothing when there is nothing', async () => {
    expect(await nextDueAt(store)).toBeNull();
    expect(await listDueItems(store, 'AGREEMENT', wednesdayNoon, { limit: 10, after: null })).toEqual({
      items: [],
      next: null,
    });
  });
});
