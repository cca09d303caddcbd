import type { Agreement } from '../domain/agreement.ts';
import { noticesTo } from '../domain/agreement-notification.ts';
import { theService } from '../domain/audit-event.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import type { Context } from '../domain/context.ts';
import { isFinal, reject } from '../domain/exceptions/request.ts';
import { limitOf } from '../domain/keys/grant.ts';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import type { Key, Successor } from '../domain/keys/key.ts';
import type { ProductKey } from '../domain/keys/product-key.ts';
import type { Replacement } from '../domain/keys/replacement.ts';
import { beginReplacement, completeReplacement, withoutHosts } from '../domain/keys/replacement.ts';
import { noticeWrite } from './agreement-notifications.ts';
import { readAgreement } from './agreements.ts';
import type { Store, TransactItem } from './dynamodb/table.ts';
import { get, inParallel, putIfAbsent } from './dynamodb/table.ts';
import type { Outcome } from './dynamodb/versioned-item.ts';
import { change, changeExisting, wasDone, writesOf } from './dynamodb/versioned-item.ts';
import { moveException, openKey } from './exceptions.ts';
import { issuingWrites, keyAttributes, keyItem, makSlot, readKey } from './keys.ts';
import { blockBuckets, bucketItems, dropMark, reserveItem } from './mak-activations.ts';

/**
 * Begins to replace a key: from then on it is held, and its successor is drawn and kept, sealed. The same operation again
 * begins nothing more. `undefined` when there is no such key.
 */
export function holdForReplacement(
  store: Store,
  keyId: string,
  { drawKey, ...ask }: Replacement & { readonly drawKey: () => ProductKey },
  context: Context,
): Promise<Outcome<Key> | undefined> {
  const { operationId: operation, now } = context;
  return changeExisting<Key, Key>(store, keyItem(keyId), (owned) => {
    if (wasDone(owned, operation)) return { is: 'settled', answer: owned.state };
    const productKey = drawKey();
    const successor = { keyId: store.vault.keyIdOf(productKey), lastFive: productKey.lastFive };
    const begun = beginReplacement(owned.state, ask, successor, context);
    if (!begun.ok) return { is: 'refused', refused: begun };
    const successorSealed = store.vault.seal(productKey.reveal(), successor.keyId);
    return {
      is: 'to-write',
      answer: begun.key,
      writes: writesOf(
        { ...owned, state: begun.key, kept: { ...owned.kept, successorSealed } },
        { operation, now, deed: begun.deed, attributes: keyAttributes(begun.key) },
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
  const held = await readKey(store, keyId);
  if (held === undefined || held.state.status.is === 'live') return undefined;
  if (held.state.status.is === 'blocked') return held.state.status.replacedBy?.keyId;
  const agreement = await agreementOf(store, held.state);
  const { successor } = held.state.status;
  await closeRequestOf(store, held.state, successor, now);
  if (held.state.type === 'MAK') {
    await blockBuckets(store, { keyId, bucketCount: held.kept.bucketCount });
    const completed = completeReplacement(held.state, agreement, { now, policy: store.policy });
    if (completed !== undefined)
      await putIfAbsent(store, bucketItems(successor.keyId, limitOf(completed.issued.grants)));
  }
  await change<'done'>(store, async () => {
    const kept = await readKey(store, keyId);
    const completed =
      kept === undefined ? undefined : completeReplacement(kept.state, agreement, { now, policy: store.policy });
    if (kept === undefined || completed === undefined) return { is: 'settled', answer: 'done' };
    const { blocked, issued, deed } = completed;
    const productKey = store.vault.openProductKey(String(kept.kept.successorSealed), issued.keyId);
    const { successorSealed: _, ...rest } = kept.kept as typeof kept.kept & { readonly successorSealed?: string };
    const context = { actor: deed.actor, operationId: `replace ${keyId}`, now };
    const reason = kept.state.status.is === 'blocking' ? kept.state.status.reason : '';
    return {
      is: 'to-write',
      answer: 'done',
      writes: [
        ...writesOf({ ...kept, state: blocked, kept: rest }, { operation: null, now, deed }),
        ...issuingWrites(store, { key: issued, productKey, agreement }, context),
        ...(issued.type === 'MAK' ? makWrites(issued) : []),
        ...toldOf({ blocked, issued, reason }, agreement, now),
      ],
    };
  });
  return successor.keyId;
}

function makWrites(issued: Key): TransactItem[] {
  const slot = makSlot(issued.agreementId, issued.productGroup);
  return [
    {
      Put: {
        TableName: '',
        Item: reserveItem(issued.keyId, limitOf(issued.grants)),
        ConditionExpression: 'attribute_not_exists(PK)',
      },
    },
    { Put: { TableName: '', Item: { ...slot, keyId: issued.keyId } } },
  ];
}

function toldOf(
  { blocked, issued, reason }: { readonly blocked: Key; readonly issued: Key; readonly reason: string },
  agreement: Agreement,
  now: Instant,
): TransactItem[] {
  const about = {
    is: 'key-replaced',
    keyType: issued.type,
    blockedLastFive: blocked.lastFive,
    issuedLastFive: issued.lastFive,
    reason,
  } as const;
  return noticesTo(agreement.contacts, `replaced ${blocked.keyId}`, agreement, about).map((notice) =>
    noticeWrite(notice, now),
  );
}

async function agreementOf(store: Store, key: Key): Promise<Agreement> {
  const owned = await readAgreement(store, key.agreementId);
  if (owned === undefined) throw new Error(`Agreement ${key.agreementId} has gone; agreements are never deleted.`);
  return owned.state;
}

/**
 * Ends the request that is open for a key that is being replaced: nothing is granted on it any more, and no other can be
 * opened. The sweep tells people and wakes the workflow. Does nothing more when it is done again.
 */
async function closeRequestOf(store: Store, key: Key, successor: Successor, now: Instant): Promise<void> {
  const item = await get(store, openKey(key.keyId));
  if (item === undefined) return;
  const reason = `The key ending in ${key.lastFive} was blocked while the request was open. The key ending in ${successor.lastFive} took its place.`;
  const context = { actor: theService, operationId: `replaced ${key.keyId}`, now, policy: store.policy };
  await moveException(
    store,
    String(item.exceptionId),
    (request) => (isFinal(request) ? 'nothing' : reject(request, reason, context)),
    context,
  );
}

/**
 * Takes machines that have activated with a key off the ones that it replaced, one before the other (BLK-3). What is not
 * there is left, so that it may run any number of times. Like the activations that it follows from, it is no entry of the
 * history (LED-1).
 */
export async function dropFromReplaced(
  store: Store,
  key: Pick<Key, 'replaces'>,
  moved: readonly InstallationId[],
  now: Instant,
): Promise<void> {
  let keyId = moved.length === 0 ? null : key.replaces;
  while (keyId !== null) {
    const replaced = await readKey(store, keyId);
    if (replaced === undefined) throw new Error(`Key ${keyId} was replaced and has gone; keys are never deleted.`);
    const { state, kept } = replaced;
    if (state.type === 'MAK') {
      const layout = { keyId, bucketCount: kept.bucketCount };
      await inParallel(moved, (machine) =>
        dropMark(store, layout, store.vault.digestOf(layout.keyId, machine), machine),
      );
    } else {
      await dropHosts(store, keyId, moved, now);
    }
    keyId = state.replaces;
  }
}

async function dropHosts(store: Store, keyId: string, moved: readonly InstallationId[], now: Instant): Promise<void> {
  await changeExisting<Key, 'done'>(store, keyItem(keyId), (owned) => {
    const key = withoutHosts(owned.state, moved);
    if (key === undefined) return { is: 'settled', answer: 'done' };
    const attributes = keyAttributes(key);
    return {
      is: 'to-write',
      answer: 'done',
      writes: writesOf({ ...owned, state: key }, { operation: null, now, deed: null, attributes }),
    };
  });
}
