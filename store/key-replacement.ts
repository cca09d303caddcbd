import type { Agreement } from '../domain/agreement.ts';
import { notificationsFor } from '../domain/agreement-notification.ts';
import { serviceActor } from '../domain/audit-event.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import type { Context } from '../domain/context.ts';
import { isFinal, rejectRequest } from '../domain/exceptions/request.ts';
import { limitOf } from '../domain/keys/grant.ts';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import type { Key, Successor } from '../domain/keys/key.ts';
import type { ProductKey } from '../domain/keys/product-key.ts';
import type { ReplacementRequest } from '../domain/keys/replacement.ts';
import { beginReplacement, completeReplacement, withoutMovedHosts } from '../domain/keys/replacement.ts';
import { notificationWrite } from './agreement-notifications.ts';
import { readAgreement } from './agreements.ts';
import type { Store, TransactItem } from './dynamodb/table.ts';
import { get, mapInBatches, putIfAbsent } from './dynamodb/table.ts';
import type { UpdateResult } from './dynamodb/versioned-item.ts';
import { isProcessed, toWrites, updateExisting, updateWithRetry } from './dynamodb/versioned-item.ts';
import { openRequestPointer, transitionException } from './exceptions.ts';
import { keyCreationWrites, keyIndexKeys, keyItemKey, liveMakPointer, readKey } from './keys.ts';
import { blockBuckets, newBucketItems, newReserveItem, removeActivation } from './mak-activations.ts';

/**
 * Begins to replace a key: from then on it is held, and its successor is drawn and kept, sealed. The same operation again
 * begins nothing more. `undefined` when there is no such key.
 */
export function holdForReplacement(
  store: Store,
  keyId: string,
  { drawKey, ...request }: ReplacementRequest & { readonly drawKey: () => ProductKey },
  context: Context,
): Promise<UpdateResult<Key> | undefined> {
  const { operationId, now } = context;
  return updateExisting<Key, Key>(store, keyItemKey(keyId), (record) => {
    if (isProcessed(record, operationId)) return { kind: 'no-change', value: record.value };
    const productKey = drawKey();
    const successor = { keyId: store.vault.keyIdOf(productKey), lastFive: productKey.lastFive };
    const transition = beginReplacement(record.value, request, successor, context);
    if (!transition.ok) return { kind: 'refused', refusal: transition };
    const sealedSuccessorKey = store.vault.seal(productKey.reveal(), successor.keyId);
    return {
      kind: 'write',
      value: transition.key,
      writes: toWrites(
        { ...record, value: transition.key, internal: { ...record.internal, sealedSuccessorKey } },
        { operationId, now, event: transition.event, attributes: keyIndexKeys(transition.key) },
      ),
    };
  });
}

/**
 * Completes a replacement that was begun: ends the request that is open for the key, marks every bucket of a MAK as
 * blocked, lays out the successor's, and then, in one transaction, blocks the old key and issues the new one, so that never
 * both are live and never neither is known (BLK-2). That transaction comes last: until it is done, the sweep finds the key
 * and does all of it. May run any number of times and at once. Answers the successor's id, or `undefined` when none was begun.
 */
export async function finishReplacement(store: Store, keyId: string, now: Instant): Promise<string | undefined> {
  const heldKey = await readKey(store, keyId);
  if (heldKey === undefined || heldKey.value.state.status === 'live') return undefined;
  if (heldKey.value.state.status === 'blocked') return heldKey.value.state.replacedBy?.keyId;
  const agreement = await readKeyAgreement(store, heldKey.value);
  const { successor } = heldKey.value.state;
  await rejectOpenRequest(store, heldKey.value, successor, now);
  if (heldKey.value.type === 'MAK') {
    await blockBuckets(store, { keyId, bucketCount: heldKey.internal.bucketCount });
    const completion = completeReplacement(heldKey.value, agreement, { now, policy: store.policy });
    if (completion !== undefined)
      await putIfAbsent(store, newBucketItems(successor.keyId, limitOf(completion.issued.grants)));
  }
  await updateWithRetry<'done'>(store, async () => {
    const keyRecord = await readKey(store, keyId);
    const completion =
      keyRecord === undefined
        ? undefined
        : completeReplacement(keyRecord.value, agreement, { now, policy: store.policy });
    if (keyRecord === undefined || completion === undefined) return { kind: 'no-change', value: 'done' };
    const { blocked: blockedKey, issued: issuedKey, event } = completion;
    const productKey = store.vault.openProductKey(String(keyRecord.internal.sealedSuccessorKey), issuedKey.keyId);
    const { sealedSuccessorKey: _, ...internal } = keyRecord.internal as typeof keyRecord.internal & {
      readonly sealedSuccessorKey?: string;
    };
    const context = { actor: event.actor, operationId: `replace ${keyId}`, now };
    const reason = keyRecord.value.state.status === 'blocking' ? keyRecord.value.state.reason : '';
    return {
      kind: 'write',
      value: 'done',
      writes: [
        ...toWrites({ ...keyRecord, value: blockedKey, internal: internal }, { operationId: null, now, event }),
        ...keyCreationWrites(store, { key: issuedKey, productKey, agreement }, context),
        ...(issuedKey.type === 'MAK' ? liveMakWrites(issuedKey) : []),
        ...replacementNotificationWrites({ blockedKey, issuedKey, reason }, agreement, now),
      ],
    };
  });
  return successor.keyId;
}

function liveMakWrites(issuedKey: Key): TransactItem[] {
  const pointer = liveMakPointer(issuedKey.agreementId, issuedKey.productGroup);
  return [
    {
      Put: {
        TableName: '',
        Item: newReserveItem(issuedKey.keyId, limitOf(issuedKey.grants)),
        ConditionExpression: 'attribute_not_exists(PK)',
      },
    },
    { Put: { TableName: '', Item: { ...pointer, keyId: issuedKey.keyId } } },
  ];
}

function replacementNotificationWrites(
  { blockedKey, issuedKey, reason }: { readonly blockedKey: Key; readonly issuedKey: Key; readonly reason: string },
  agreement: Agreement,
  now: Instant,
): TransactItem[] {
  const content = {
    kind: 'key-replaced',
    keyType: issuedKey.type,
    blockedLastFive: blockedKey.lastFive,
    issuedLastFive: issuedKey.lastFive,
    reason,
  } as const;
  return notificationsFor(agreement.contacts, `replaced ${blockedKey.keyId}`, agreement, content).map((notification) =>
    notificationWrite(notification, now),
  );
}

async function readKeyAgreement(store: Store, key: Key): Promise<Agreement> {
  const record = await readAgreement(store, key.agreementId);
  if (record === undefined) throw new Error(`Agreement ${key.agreementId} has gone; agreements are never deleted.`);
  return record.value;
}

/**
 * Ends the request that is open for a key that is being replaced: nothing is granted on it any more, and no other can be
 * opened. The sweep tells people and wakes the workflow. Does nothing more when it is done again.
 */
async function rejectOpenRequest(store: Store, key: Key, successor: Successor, now: Instant): Promise<void> {
  const item = await get(store, openRequestPointer(key.keyId));
  if (item === undefined) return;
  const reason = `The key ending in ${key.lastFive} was blocked while the request was open. The key ending in ${successor.lastFive} took its place.`;
  const context = { actor: serviceActor, operationId: `replaced ${key.keyId}`, now, policy: store.policy };
  await transitionException(
    store,
    String(item.exceptionId),
    (request) => (isFinal(request) ? 'no-change' : rejectRequest(request, reason, context)),
    context,
  );
}

/**
 * Takes machines that have activated with a key off the ones that it replaced, one before the other (BLK-3). What is not
 * there is left, so that it may run any number of times. Like the activations that it follows from, it is no entry of the
 * history (LED-1).
 */
export async function removeFromReplacedKeys(
  store: Store,
  key: Pick<Key, 'replaces'>,
  installationIds: readonly InstallationId[],
  now: Instant,
): Promise<void> {
  let keyId = installationIds.length === 0 ? null : key.replaces;
  while (keyId !== null) {
    const replacedKey = await readKey(store, keyId);
    if (replacedKey === undefined) throw new Error(`Key ${keyId} was replaced and has gone; keys are never deleted.`);
    const { value, internal } = replacedKey;
    if (value.type === 'MAK') {
      const layout = { keyId, bucketCount: internal.bucketCount };
      await mapInBatches(installationIds, (installationId) =>
        removeActivation(store, layout, store.vault.digestOf(layout.keyId, installationId), installationId),
      );
    } else {
      await removeHosts(store, keyId, installationIds, now);
    }
    keyId = value.replaces;
  }
}

async function removeHosts(
  store: Store,
  keyId: string,
  installationIds: readonly InstallationId[],
  now: Instant,
): Promise<void> {
  await updateExisting<Key, 'done'>(store, keyItemKey(keyId), (record) => {
    const key = withoutMovedHosts(record.value, installationIds);
    if (key === undefined) return { kind: 'no-change', value: 'done' };
    const attributes = keyIndexKeys(key);
    return {
      kind: 'write',
      value: 'done',
      writes: toWrites({ ...record, value: key }, { operationId: null, now, event: null, attributes }),
    };
  });
}
