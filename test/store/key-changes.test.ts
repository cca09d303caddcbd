import { marshall } from '@aws-sdk/util-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../store/dynamodb/table.ts';
import { keyChangeFrom, mergeKeyChanges } from '../../store/key-changes.ts';
import { recordClients, revealKey } from '../../store/keys.ts';
import { context, ines, installationId } from '../builders.ts';
import {
  activateHostOn,
  activateMachines,
  createKeyChangeFixture,
  raiseLimit,
  readKeyChanges,
  replaceKey,
} from '../functions/key-change-fixture.ts';
import { mondayTen } from '../instants.ts';
import { startTestDynamoDb } from './dynamodb.ts';

const engine = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

describe('a change of the table', () => {
  it('ALR-1 tells how many more activations of a MAK are used, and by which machines', async () => {
    const { mak } = await createKeyChangeFixture(store);
    expect(await readKeyChanges(store)).toEqual([]);
    await activateMachines(store, mak, 1, 2);
    expect(await readKeyChanges(store)).toEqual([
      { keyId: mak.keyId, activationsAdded: 1, newInstallations: [installationId(1)], keyItemChanged: false },
      { keyId: mak.keyId, activationsAdded: 1, newInstallations: [installationId(2)], keyItemChanged: false },
    ]);
  });

  it('ALR-1 tells of every activation once, however the places are moved and the buckets split meanwhile', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 100);
    await raiseLimit(store, mak, 200);
    await activateMachines(store, mak, 101, 40);
    const changes = (await readKeyChanges(store)).filter(({ keyItemChanged: keyItself }) => !keyItself);
    const newcomers = changes.flatMap((change) => change.newInstallations);
    expect(changes.reduce((sum, { activationsAdded: activated }) => sum + activated, 0)).toBe(140);
    expect(new Set(newcomers).size).toBe(140);
    expect(newcomers).toHaveLength(140);
  });

  it('KMS-4 tells of a host that is new, and not of one that comes again or tells how many it serves', async () => {
    const { kms } = await createKeyChangeFixture(store);
    await activateHostOn(store, kms, 1);
    await activateHostOn(store, kms, 1);
    await recordClients(
      store,
      kms.keyId,
      { installationId: installationId(1), clients: 30 },
      context({ operationId: 'report', now: mondayTen }),
    );
    await activateHostOn(store, kms, 2);
    expect(await readKeyChanges(store)).toEqual([
      { keyId: kms.keyId, activationsAdded: 0, newInstallations: [installationId(1)], keyItemChanged: true },
      { keyId: kms.keyId, activationsAdded: 0, newInstallations: [installationId(2)], keyItemChanged: true },
    ]);
  });

  it('ALR-1 tells of a grant, and of nothing else that is done to a key', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await revealKey(store, mak.keyId, context({ actor: ines.email, operationId: 'reveal', now: mondayTen }));
    expect(await readKeyChanges(store)).toEqual([]);
    await raiseLimit(store, mak, 150);
    expect(await readKeyChanges(store)).toEqual([
      { keyId: mak.keyId, activationsAdded: 0, newInstallations: [], keyItemChanged: true },
    ]);
  });

  it('BLK-2 tells nothing of a replacement', async () => {
    const { mak, kms } = await createKeyChangeFixture(store);
    await replaceKey(store, mak);
    await replaceKey(store, kms);
    expect(await readKeyChanges(store)).toEqual([]);
  });

  it('is that of no key when it is of something else, appears, or goes', () => {
    const bucket = marshall({ PK: 'KEY#k#0', SK: 'BUCKET', used: 3 });
    const other = marshall({ PK: 'EXCEPTION#X-1', SK: 'EXCEPTION' });
    expect(keyChangeFrom({ earlier: undefined, after: bucket })).toBeUndefined();
    expect(keyChangeFrom({ earlier: bucket, after: undefined })).toBeUndefined();
    expect(keyChangeFrom({ earlier: other, after: other })).toBeUndefined();
    expect(keyChangeFrom({ earlier: bucket, after: bucket })).toBeUndefined();
  });

  it.each([
    ['no item', 'garbage'],
    ['an item of another table', marshall({ id: 1 })],
    ['a bucket without its count', marshall({ PK: 'KEY#k#0', SK: 'BUCKET' })],
  ])('is not read when it is %s', (_, after) => {
    expect(() => keyChangeFrom({ earlier: marshall({ PK: 'KEY#k#0', SK: 'BUCKET', used: 3 }), after })).toThrow();
  });

  it('puts two of the same key together', () => {
    const [one, two] = [installationId(1), installationId(2)];
    expect(
      mergeKeyChanges(
        { keyId: 'k', activationsAdded: 2, newInstallations: [one], keyItemChanged: false },
        { keyId: 'k', activationsAdded: 3, newInstallations: [one, two], keyItemChanged: true },
      ),
    ).toEqual({ keyId: 'k', activationsAdded: 5, newInstallations: [one, two], keyItemChanged: true });
  });
});
