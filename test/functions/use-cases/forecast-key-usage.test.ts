import { beforeEach, describe, expect, it } from 'vitest';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { addDuration } from '../../../domain/calendar/instant.ts';
import type { ExceptionRequest } from '../../../domain/exceptions/request.ts';
import type { Key } from '../../../domain/keys/key.ts';
import { forecastKeyUsage } from '../../../functions/use-cases/forecast-key-usage.ts';
import { commit } from '../../../store/dynamodb/table.ts';
import { newItem } from '../../../store/dynamodb/versioned-item.ts';
import { exceptionKey, listApprovalMinutes, requestWrites } from '../../../store/exceptions.ts';
import { readKey } from '../../../store/keys.ts';
import type { Store } from '../../../store/store.ts';
import { aRequest, requestApproved, requestDenied, requestFulfilled } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';
import { activateHostOn, activateMachines, createKeyChangeFixture, replaceKey } from '../key-change-fixture.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
});

const emptyForecast = { perDay: null, runsOutOn: null, askBy: null, inWords: null };
const daysBefore = (days: number) => addDuration(mondayTen, { days: -days });

async function forecastOf({ keyId }: Pick<Key, 'keyId'>, now: Instant = mondayTen) {
  const key = await readKey(store, keyId);
  if (key === undefined) throw new Error(`no key ${keyId}`);
  return forecastKeyUsage(store, key, now);
}

let requestCount = 0;
/** Stores a request that was with the Correspondent for this number of business days. */
async function storeRequest(
  request: ExceptionRequest,
  approvalDays: number,
  overrides: Partial<ExceptionRequest> = {},
): Promise<void> {
  requestCount += 1;
  const exceptionId = `X-${requestCount}`;
  const elapsed = { ...request.clock.elapsed, correspondent: approvalDays * 480 };
  const stored = {
    ...request,
    ...overrides,
    exceptionId,
    keyId: `key-${requestCount}`,
    clock: { ...request.clock, elapsed },
  };
  const event = { actor: 'test', action: 'received', detail: 'Stored.', reference: null } as const;
  const options = { operationId: null, now: mondayTen, event };
  const writes = requestWrites(store, newItem(exceptionKey(exceptionId), stored), stored, options);
  expect(
    await commit(
      store,
      writes.filter(({ Delete }) => Delete === undefined),
    ),
  ).toBe('committed');
}

describe('the forecast of a MAK', () => {
  it('ALR-2 follows from its activations, and is empty while there are too few', async () => {
    const { mak } = await createKeyChangeFixture(store);
    for (const day of [28, 21, 14, 7]) await activateMachines(store, mak, day, 1, daysBefore(day));
    expect(await forecastOf(mak)).toEqual(emptyForecast);
    await activateMachines(store, mak, 101, 52, daysBefore(3));
    // 56 in 28 days are two a day, and 44 of the 100 are left.
    expect(await forecastOf(mak)).toEqual({
      perDay: 2,
      runsOutOn: '2026-06-23',
      askBy: '2026-06-12',
      inWords: 'At the pace of the last four weeks, the key runs out on 23 June. Ask by 12 June.',
    });
  });

  it('ALR-2 allows for the usual approval time of the customer', async () => {
    const { mak, agreement } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 56, daysBefore(28));
    const { agreementId } = agreement;
    for (const days of [1, 2, 9]) await storeRequest(requestFulfilled(), days, { agreementId });
    expect(await forecastOf(mak)).toMatchObject({ runsOutOn: '2026-06-23', askBy: '2026-06-10' });
  });

  it('BLK-1 is empty for a blocked key', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 56, daysBefore(28));
    await replaceKey(store, mak);
    expect(await forecastOf(mak)).toEqual(emptyForecast);
  });
});

describe('the forecast of a KMS key', () => {
  it('ALR-2 follows from its hosts and their slots', async () => {
    const { kms } = await createKeyChangeFixture(store);
    for (const host of [1, 2, 3, 4, 5]) await activateHostOn(store, kms, host, daysBefore(25 - host * 5));
    // A further activation of a host takes no slot.
    await activateHostOn(store, kms, 1, daysBefore(1));
    expect(await forecastOf(kms)).toMatchObject({ perDay: 0.25, runsOutOn: '2026-06-05' });
  });
});

describe('the approval times of an agreement', () => {
  it('ALR-2 are those of the last five decided requests, approved or denied', async () => {
    expect(await listApprovalMinutes(store, 'E-1001')).toEqual([]);
    const at = (day: number): Instant => addDuration(mondayTen, { days: day });
    await storeRequest(aRequest({ status: 'awaiting-approval' }), 50);
    await storeRequest(aRequest({ status: 'withdrawn' }), 50);
    expect(await listApprovalMinutes(store, 'E-1001')).toEqual([]);
    await storeRequest(requestDenied({ at: at(1) }), 1);
    await storeRequest(requestApproved({ at: at(3) }), 3);
    await storeRequest(requestFulfilled({ at: at(2) }), 2);
    await storeRequest(requestFulfilled({ at: at(4) }), 40, { agreementId: 'E-1002' });
    expect(await listApprovalMinutes(store, 'E-1001')).toEqual([3 * 480, 2 * 480, 480]);
    for (const day of [4, 5, 6, 7]) await storeRequest(requestFulfilled({ at: at(day) }), day);
    expect(await listApprovalMinutes(store, 'E-1001')).toEqual([7, 6, 5, 4, 3].map((day) => day * 480));
  });
});
