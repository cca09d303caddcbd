import { DeleteCommand } from '@aws-sdk/lib-dynamodb';
import type { Context } from 'aws-lambda';
import { afterAll, describe, expect, it } from 'vitest';
import { askCorrespondent } from '../../domain/exception.ts';
import type { Instant } from '../../domain/instant.ts';
import { isBefore } from '../../domain/instant.ts';
import { handler as sweep } from '../../functions/sweep.ts';
import { theStore } from '../../functions/the-store.ts';
import { startSystem } from '../../local/system.ts';
import { moveException } from '../../store/exceptions.ts';
import { policy } from '../builders.ts';
import type { Asked } from './asked.ts';
import { aRequestTaken, kept } from './asked.ts';
import { whatIsPrinted } from './printed.ts';

// The sweep itself, among the engines of the local system; its own timer comes far too seldom to be in the way.
const system = await startSystem({
  port: 0,
  folder: undefined,
  dynamoDbEndpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB,
  environment: process.env,
});
afterAll(() => system.stop());
const printed = whatIsPrinted();
const store = theStore();
const now = () => system.clock.now();
const run = () => sweep({}, {} as Context);

/** A request, taken just now, that was asked about and of which nobody has been told yet. */
async function asking(): Promise<Asked> {
  const asked = await aRequestTaken(store, { at: now() });
  await moveException(store, asked.exceptionId, 'ask', now(), (request) => askCorrespondent(request, now(), policy));
  return asked;
}

function windOn(minutes: number): Instant {
  const moment = new Date(Date.parse(now()) + minutes * 60_000).toISOString() as Instant;
  system.clock.moveTo(moment);
  return moment;
}

describe('the sweep', () => {
  it('says when there is something to do next, and does nothing before', async () => {
    expect(await run()).toEqual({ seen: 0, nextActionAt: null });
    const asked = await asking();
    const { seen, nextActionAt } = await run();
    expect(seen).toBe(0);
    expect(nextActionAt !== null && isBefore(now(), nextActionAt)).toBe(true);
    expect((await kept(store, asked)).drive.is).toBe('to-start');
    windOn(1);
    expect(await run()).toMatchObject({ seen: 1 });
    expect((await kept(store, asked)).letters).toEqual([]);
  });

  it('is not stopped by a request that it cannot see to: it sees to all others, names that one, and fails as a whole', async () => {
    const before = await asking();
    const poisoned = await asking();
    const after = await asking();
    // What can not be: its agreement is gone.
    const gone = { PK: `AGREEMENT#${poisoned.agreement.agreementId}`, SK: 'AGREEMENT' };
    await store.client.send(new DeleteCommand({ TableName: store.tableName, Key: gone }));
    windOn(1);
    const failure = await run().then(
      () => 'it did not fail',
      (error: unknown) => String(error),
    );
    expect(failure).toMatch(/could not see to 1 of \d/);
    expect(failure).toContain(poisoned.exceptionId);
    expect(failure).not.toContain(before.exceptionId);
    expect(printed.text()).toContain(poisoned.exceptionId);
    for (const asked of [before, after]) {
      const { letters, drive } = await kept(store, asked);
      expect(letters).toEqual([]);
      expect(drive.is).not.toBe('to-start');
    }
    // It stays, and is tried again.
    expect((await kept(store, poisoned)).letters).not.toEqual([]);
    await expect(run()).rejects.toThrow(poisoned.exceptionId);
  });
});
