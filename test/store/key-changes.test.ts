import { marshall } from '@aws-sdk/util-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { keyChangeFrom, mergeKeyChanges } from '../../store/key-changes.ts';
import { recordClients, revealKey } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
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

const dynamoDb = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
});

describe('a change of the table in the stream', () => {
  it('ALR-1 contains the activations added to a MAK and their installations', async () => {
    const { mak } = await createKeyChangeFixture(store);
    expect(await readKeyChanges(store)).toEqual([]);
    await activateMachines(store, mak, 1, 2);
    expect(await readKeyChanges(store)).toEqual([
      { keyId: mak.keyId, activationsAdded: 1, newInstallations: [installationId(1)], keyItemChanged: false },
      { keyId: mak.keyId, activationsAdded: 1, newInstallations: [installationId(2)], keyItemChanged: false },
    ]);
  });

  it('ALR-1 contains every activation once, while slots are transferred and buckets are split', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await activateMachines(store, mak, 1, 100);
    await raiseLimit(store, mak, 200);
    await activateMachines(store, mak, 101, 40);
    const changes = (await readKeyChanges(store)).filter(({ keyItemChanged }) => !keyItemChanged);
    const newInstallations = changes.flatMap((change) => change.newInstallations);
    expect(changes.reduce((sum, { activationsAdded }) => sum + activationsAdded, 0)).toBe(140);
    expect(new Set(newInstallations).size).toBe(140);
    expect(newInstallations).toHaveLength(140);
  });

  it('KMS-4 contains a new host, but neither a known host nor a client report', async () => {
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

  it('ALR-1 contains a grant, but no other change of a key', async () => {
    const { mak } = await createKeyChangeFixture(store);
    await revealKey(store, mak.keyId, context({ actor: ines.email, operationId: 'reveal', now: mondayTen }));
    expect(await readKeyChanges(store)).toEqual([]);
    await raiseLimit(store, mak, 150);
    expect(await readKeyChanges(store)).toEqual([
      { keyId: mak.keyId, activationsAdded: 0, newInstallations: [], keyItemChanged: true },
    ]);
  });

  it('BLK-2 does not contain a replacement', async () => {
    const { mak, kms } = await createKeyChangeFixture(store);
    await replaceKey(store, mak);
    await replaceKey(store, kms);
    expect(await readKeyChanges(store)).toEqual([]);
  });

  it('is ignored if the item is of another kind, is new, or was deleted', () => {
    const bucket = marshall({ PK: 'KEY#k#0', SK: 'BUCKET', used: 3 });
    const other = marshall({ PK: 'EXCEPTION#X-1', SK: 'EXCEPTION' });
    expect(keyChangeFrom({ before: undefined, after: bucket })).toBeUndefined();
    expect(keyChangeFrom({ before: bucket, after: undefined })).toBeUndefined();
    expect(keyChangeFrom({ before: other, after: other })).toBeUndefined();
    expect(keyChangeFrom({ before: bucket, after: bucket })).toBeUndefined();
  });

  it.each([
    ['not an item', 'garbage'],
    ['an item of another table', marshall({ id: 1 })],
    ['a bucket without its count', marshall({ PK: 'KEY#k#0', SK: 'BUCKET' })],
  ])('throws if the item is %s', (_, after) => {
    expect(() => keyChangeFrom({ before: marshall({ PK: 'KEY#k#0', SK: 'BUCKET', used: 3 }), after })).toThrow();
  });

  it('is merged with another change of the same key', () => {
    const [one, two] = [installationId(1), installationId(2)];
    expect(
      mergeKeyChanges(
        { keyId: 'k', activationsAdded: 2, newInstallations: [one], keyItemChanged: false },
        { keyId: 'k', activationsAdded: 3, newInstallations: [one, two], keyItemChanged: true },
      ),
    ).toEqual({ keyId: 'k', activationsAdded: 5, newInstallations: [one, two], keyItemChanged: true });
  });
});
