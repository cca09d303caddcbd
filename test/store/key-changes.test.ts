import { marshall } from '@aws-sdk/util-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../store/dynamodb/table.ts';
import { keyChangeIn, together } from '../../store/key-changes.ts';
import { recordClients, revealKey } from '../../store/keys.ts';
import { context, ines, installationId } from '../builders.ts';
import {
  activateHostOn,
  activateMachines,
  aWatchable,
  changesOf,
  raise,
  replace,
} from '../functions/key-change-fixture.ts';
import { mondayTen } from '../instants.ts';
import { startEngine } from './dynamodb.ts';

const engine = await startEngine();
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

describe('a change of the table', () => {
  it('ALR-1 tells how many more activations of a MAK are used, and by which machines', async () => {
    const { mak } = await aWatchable(store);
    expect(await changesOf(store)).toEqual([]);
    await activateMachines(store, mak, 1, 2);
    expect(await changesOf(store)).toEqual([
      { keyId: mak.keyId, activated: 1, newcomers: [installationId(1)], keyItself: false },
      { keyId: mak.keyId, activated: 1, newcomers: [installationId(2)], keyItself: false },
    ]);
  });

  it('ALR-1 tells of every activation once, however the places are moved and the buckets split meanwhile', async () => {
    const { mak } = await aWatchable(store);
    await activateMachines(store, mak, 1, 100);
    await raise(store, mak, 200);
    await activateMachines(store, mak, 101, 40);
    const changes = (await changesOf(store)).filter(({ keyItself }) => !keyItself);
    const newcomers = changes.flatMap((change) => change.newcomers);
    expect(changes.reduce((sum, { activated }) => sum + activated, 0)).toBe(140);
    expect(new Set(newcomers).size).toBe(140);
    expect(newcomers).toHaveLength(140);
  });

  it('KMS-4 tells of a host that is new, and not of one that comes again or tells how many it serves', async () => {
    const { kms } = await aWatchable(store);
    await activateHostOn(store, kms, 1);
    await activateHostOn(store, kms, 1);
    await recordClients(
      store,
      kms.keyId,
      { installationId: installationId(1), clients: 30 },
      context({ operationId: 'report', now: mondayTen }),
    );
    await activateHostOn(store, kms, 2);
    expect(await changesOf(store)).toEqual([
      { keyId: kms.keyId, activated: 0, newcomers: [installationId(1)], keyItself: true },
      { keyId: kms.keyId, activated: 0, newcomers: [installationId(2)], keyItself: true },
    ]);
  });

  it('ALR-1 tells of a grant, and of nothing else that is done to a key', async () => {
    const { mak } = await aWatchable(store);
    await revealKey(store, mak.keyId, context({ actor: ines.email, operationId: 'reveal', now: mondayTen }));
    expect(await changesOf(store)).toEqual([]);
    await raise(store, mak, 150);
    expect(await changesOf(store)).toEqual([{ keyId: mak.keyId, activated: 0, newcomers: [], keyItself: true }]);
  });

  it('BLK-2 tells nothing of a replacement', async () => {
    const { mak, kms } = await aWatchable(store);
    await replace(store, mak);
    await replace(store, kms);
    expect(await changesOf(store)).toEqual([]);
  });

  it('is that of no key when it is of something else, appears, or goes', () => {
    const bucket = marshall({ PK: 'KEY#k#0', SK: 'BUCKET', used: 3 });
    const other = marshall({ PK: 'EXCEPTION#X-1', SK: 'EXCEPTION' });
    expect(keyChangeIn({ before: undefined, after: bucket })).toBeUndefined();
    expect(keyChangeIn({ before: bucket, after: undefined })).toBeUndefined();
    expect(keyChangeIn({ before: other, after: other })).toBeUndefined();
    expect(keyChangeIn({ before: bucket, after: bucket })).toBeUndefined();
  });

  it.each([
    ['no item', 'garbage'],
    ['an item of another table', marshall({ id: 1 })],
    ['a bucket without its count', marshall({ PK: 'KEY#k#0', SK: 'BUCKET' })],
  ])('is not read when it is %s', (_, after) => {
    expect(() => keyChangeIn({ before: marshall({ PK: 'KEY#k#0', SK: 'BUCKET', used: 3 }), after })).toThrow();
  });

  it('puts two of the same key together', () => {
    const [one, two] = [installationId(1), installationId(2)];
    expect(
      together(
        { keyId: 'k', activated: 2, newcomers: [one], keyItself: false },
        { keyId: 'k', activated: 3, newcomers: [one, two], keyItself: true },
      ),
    ).toEqual({ keyId: 'k', activated: 5, newcomers: [one, two], keyItself: true });
  });
});
