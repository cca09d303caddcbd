import type { Agreement } from '../domain/agreement.ts';
import { notificationsFor } from '../domain/agreement-notification.ts';
import { serviceActor } from '../domain/audit-event.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import type { Context } from '../domain/context.ts';
import { isFinal } from '../domain/exceptions/request.ts';
import { rejectRequest } from '../domain/exceptions/review.ts';
import { limitOf } from '../domain/keys/grant.ts';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import type { Key, Successor } from '../domain/keys/key.ts';
import type { ProductKey } from '../domain/keys/product-key.ts';
import type { ReplacementRequest } from '../domain/keys/replacement.ts';
import { beginReplacement, completeReplacement, withoutMovedHosts } from '../domain/keys/replacement.ts';
import { notificationWrite } from './agreement-notifications.ts';
import { readAgreement } from './agreements.ts';
import { mapInBatches } from './dynamodb/concurrency.ts';
import { itemIsAbsent } from './dynamodb/conditions.ts';
import type { TransactItem } from './dynamodb/table.ts';
import { get, putIfAbsent } from './dynamodb/table.ts';
import type { Versioned } from './dynamodb/versioned-item.ts';
import { isProcessed, toWrites, updateExisting, updateWithRetry } from './dynamodb/versioned-item.ts';
import { openRequestPointer, transitionException } from './exceptions.ts';
import { keyCreationWrites, keyIndexKeys, keyItemKey, liveMakPointer, readKey } from './keys.ts';
import { newBucketItems, newReserveItem } from './mak-bucket.ts';
import { blockBuckets, removeActivation } from './mak-usage.ts';
import type { Store, UpdateDecision, UpdateResult } from './store.ts';

/**
 * Starts the replacement of a key: the key is on hold from then on, and the product key of its successor is stored,
 * sealed. A repeated operation changes nothing. Returns `undefined` if there is no such key.
 */
export function holdForReplacement(
  store: Store,
  keyId: string,
  { drawKey, ...request }: ReplacementRequest & { readonly drawKey: () => ProductKey },
  context: Context,
): Promise<UpdateResult<Key> | undefined> {
  const { operationId, now } = context;
  return updateExisting(store, keyItemKey(keyId), (record: Versioned<Key>): UpdateDecision<Key> => {
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
 * Completes a replacement: rejects the open request of the key, blocks every bucket of a MAK, and creates the buckets
 * of the successor. Then one transaction blocks the old key and issues the new one, so that both are never live, and
 * one of them always exists (BLK-2). That transaction is the last step: until it is committed, the sweep finds the key
 * and runs all steps again. It is safe to repeat and to run in parallel. Returns the ID of the successor, or
 * `undefined` if the key is not on hold and not replaced.
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
  await updateWithRetry(store, async (): Promise<UpdateDecision<null>> => {
    const keyRecord = await readKey(store, keyId);
    const completion =
      keyRecord === undefined
        ? undefined
        : completeReplacement(keyRecord.value, agreement, { now, policy: store.policy });
    if (keyRecord === undefined || completion === undefined) return { kind: 'no-change', value: null };
    const { blocked: blockedKey, issued: issuedKey, event } = completion;
    const productKey = store.vault.openProductKey(String(keyRecord.internal.sealedSuccessorKey), issuedKey.keyId);
    const { sealedSuccessorKey: _, ...internal } = keyRecord.internal as typeof keyRecord.internal & {
      readonly sealedSuccessorKey?: string;
    };
    const context = { actor: event.actor, operationId: `replace ${keyId}`, now };
    const reason = keyRecord.value.state.status === 'blocking' ? keyRecord.value.state.reason : '';
    return {
      kind: 'write',
      value: null,
      writes: [
        ...toWrites({ ...keyRecord, value: blockedKey, internal }, { operationId: null, now, event }),
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
        Item: newReserveItem(issuedKey.keyId, limitOf(issuedKey.grants)),
        ConditionExpression: itemIsAbsent,
      },
    },
    { Put: { Item: { ...pointer, keyId: issuedKey.keyId } } },
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
  if (record === undefined) throw new Error(`Agreement ${key.agreementId} is missing; agreements are never deleted.`);
  return record.value;
}

/**
 * Rejects the open request of a key that is being replaced: the key gets no more grants and no new request. The sweep
 * sends the notifications and resumes the workflow. It is safe to repeat.
 */
async function rejectOpenRequest(store: Store, key: Key, successor: Successor, now: Instant): Promise<void> {
  const item = await get(store, openRequestPointer(key.keyId));
  if (item === undefined) return;
  const reason = `The key ending in ${key.lastFive} was blocked while the request was open. The key ending in ${successor.lastFive} replaced it.`;
  const context = { actor: serviceActor, operationId: `replaced ${key.keyId}`, now, policy: store.policy };
  await transitionException(
    store,
    String(item.exceptionId),
    (request) => (isFinal(request) ? 'no-change' : rejectRequest(request, reason, context)),
    context,
  );
}

/**
 * Removes installations that activated with a key from all keys that it replaced, newest first (BLK-3). It is safe to
 * repeat. Like the activations that cause it, it adds no ledger entry (LED-1).
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
    if (replacedKey === undefined) throw new Error(`Key ${keyId} was replaced and is missing; keys are never deleted.`);
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
  await updateExisting(store, keyItemKey(keyId), (record: Versioned<Key>): UpdateDecision<null> => {
    const key = withoutMovedHosts(record.value, installationIds);
    if (key === undefined) return { kind: 'no-change', value: null };
    const attributes = keyIndexKeys(key);
    return {
      kind: 'write',
      value: null,
      writes: toWrites({ ...record, value: key }, { operationId: null, now, event: null, attributes }),
    };
  });
}
