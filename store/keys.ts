import type { Agreement } from '../domain/agreement.ts';
import { groupsCovered, initialMakLimit } from '../domain/agreement.ts';
import type { Deed } from '../domain/audit-event.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { later } from '../domain/calendar/instant.ts';
import type { ProductGroup } from '../domain/catalog.ts';
import { products } from '../domain/catalog.ts';
import type { Context } from '../domain/context.ts';
import type { Grant } from '../domain/keys/grant.ts';
import { limitOf } from '../domain/keys/grant.ts';
import type { DraftAgreement, Key, KmsHost, KmsKey, Mak } from '../domain/keys/key.ts';
import type { HostActivation, OverrideAsk } from '../domain/keys/kms.ts';
import { activateHost, override, placesTaken, reportClients } from '../domain/keys/kms.ts';
import type { Increase } from '../domain/keys/mak.ts';
import { increase } from '../domain/keys/mak.ts';
import type { ProductKey } from '../domain/keys/product-key.ts';
import type { Refused } from '../domain/refusal.ts';
import { refuse } from '../domain/refusal.ts';
import { dueAttributes } from './dynamodb/due-items.ts';
import type { Page, PageAsk } from './dynamodb/page.ts';
import { beginning, pageOf } from './dynamodb/page.ts';
import type { ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import { Contention, get, getAll, putIfAbsent, query } from './dynamodb/table.ts';
import type { Attempt, Outcome, Owned, WriteContext, Writing } from './dynamodb/versioned-item.ts';
import { change, changeExisting, ownedFrom, read, unwritten, wasDone, writesOf } from './dynamodb/versioned-item.ts';
import {
  activationTimesOnMak,
  bucketCountFor,
  bucketCountGrown,
  bucketItems,
  reserveItem,
  reserveRaise,
  usedOnMak,
} from './mak-activations.ts';

/** What is kept with a key beside its state: the sealed key, and the facts of its agreement that never change. */
type Kept = { readonly sealed: string; readonly agreement: DraftAgreement; readonly bucketCount: number };

/** A key with what it was issued under. */
export type KeptKey = Owned<Key> & { readonly kept: Kept };

export function keyItem(keyId: string): ItemKey {
  return { PK: `KEY#${keyId}`, SK: 'KEY' };
}

/** After this the sweep completes a replacement that was begun and left (BLK-2). */
const replacementGraceSeconds = 60;

/** When the sweep has something to do with a key. It follows from the key, so that no change of it can lose it. */
export function keyAttributes({ status }: Key): Readonly<Record<string, string>> {
  const due = status.is === 'blocking' ? later(status.since, { seconds: replacementGraceSeconds }) : null;
  return dueAttributes('KEY', due);
}

/** Reads a key with its version. */
export async function readKey(store: Store, keyId: string): Promise<KeptKey | undefined> {
  const owned = await read<Key>(store, keyItem(keyId));
  return owned === undefined ? undefined : keptKey(owned);
}

/** A key's item is only ever written with all of `Kept`. */
export function keptKey(owned: Owned<Key>): KeptKey {
  return owned as KeptKey;
}

/** The key with this id; `undefined` when there is none. */
export async function findKey(store: Store, keyId: string): Promise<Key | undefined> {
  return (await readKey(store, keyId))?.state;
}

/** Says which MAK of an agreement is the live one for a product group: there is at most one (KEY-2). */
export function makSlot(agreementId: string, productGroup: ProductGroup): ItemKey {
  return { PK: `AGREEMENT#${agreementId}`, SK: `MAK#${productGroup}` };
}

/** The keys of an agreement, in the order of their ids. */
export async function keysOf(store: Store, agreementId: string, { limit, after }: PageAsk): Promise<Page<KeptKey>> {
  const pointers = await query(store, {
    partition: ['PK', `AGREEMENT#${agreementId}`],
    sort: {
      name: 'SK',
      condition: '#sort BETWEEN :after AND :end',
      // A position is the last key given, and the space sorts right after it and before any other key.
      values: { ':after': `${beginning(after, 'KEY#', 'KEY#~')} `, ':end': 'KEY#~' },
    },
    limit: limit + 1,
  });
  const page = pageOf(pointers, limit, ({ SK }) => SK);
  return {
    items: await keysAt(
      store,
      page.items.map(({ SK }) => SK.slice('KEY#'.length)),
    ),
    next: page.next,
  };
}

/** The keys with these last five, of one agreement or of any; live ones first. */
export async function keysEndingIn(
  store: Store,
  lastFive: string,
  agreementId: string | undefined,
  { limit, after }: PageAsk,
): Promise<Page<KeptKey>> {
  const begin = agreementId === undefined ? 'AGREEMENT#' : `AGREEMENT#${agreementId}#KEY#`;
  const end = `${begin}~`;
  const pointers = await query(store, {
    partition: ['PK', `LASTFIVE#${lastFive}`],
    sort: {
      name: 'SK',
      condition: '#sort BETWEEN :after AND :end',
      values: { ':after': `${beginning(after, begin, end)} `, ':end': end },
    },
    limit: limit + 1,
  });
  const page = pageOf(pointers, limit, ({ SK }) => SK);
  const keys = await keysAt(
    store,
    page.items.map(({ SK }) => SK.slice(SK.lastIndexOf('#') + 1)),
  );
  const liveFirst = keys.toSorted(
    (one, other) => Number(other.state.status.is === 'live') - Number(one.state.status.is === 'live'),
  );
  return { items: liveFirst, next: page.next };
}

async function keysAt(store: Store, keyIds: readonly string[]): Promise<readonly KeptKey[]> {
  const items = await getAll(store, keyIds.map(keyItem));
  return items.map((item) => keptKey(ownedFrom<Key>(item)));
}

/** What is used of a key's limit now, in its unit: activations of a MAK, host places of a KMS key (KEY-7). */
export async function usedOn(store: Store, { state, kept }: KeptKey): Promise<number> {
  return state.type === 'KMS'
    ? placesTaken(state)
    : usedOnMak(store, { keyId: state.keyId, bucketCount: kept.bucketCount });
}

/** When each unit of a key's limit was used: activations of a MAK, hosts of a KMS key by their first (ALR-2). */
export async function timesUsed(store: Store, { state, kept }: KeptKey): Promise<readonly Instant[]> {
  return state.type === 'KMS'
    ? state.hosts.filter(({ place }) => place === 'standard').map(({ firstActivatedAt }) => firstActivatedAt)
    : activationTimesOnMak(store, { keyId: state.keyId, bucketCount: kept.bucketCount });
}

/** The ways to find a key: by its agreement, and by its last five. */
export function keyPointers({ agreementId, keyId, lastFive }: Key): readonly ItemKey[] {
  return [
    { PK: `AGREEMENT#${agreementId}`, SK: `KEY#${keyId}` },
    { PK: `LASTFIVE#${lastFive}`, SK: `AGREEMENT#${agreementId}#KEY#${keyId}` },
  ];
}

/** Everything that issuing a key writes besides its buckets: the key, its history, and the ways to find it. */
export function issuingWrites(
  store: Store,
  issue: { readonly key: Key; readonly productKey: ProductKey; readonly agreement: Agreement },
  { actor, operationId, now }: Omit<Context, 'policy'>,
): TransactItem[] {
  const { key, productKey, agreement } = issue;
  const kept: Kept = {
    sealed: store.vault.seal(productKey.reveal(), key.keyId),
    agreement: { organization: { name: agreement.organization.name }, numbers: agreement.numbers },
    bucketCount: bucketCountFor(limitOf(key.grants)),
  };
  const deed = {
    actor,
    action: 'key-issued',
    detail: `A ${key.type} key for ${key.productGroup} was issued, ending in ${key.lastFive}, with a limit of ${limitOf(key.grants)}.`,
    reference: key.agreementId,
  };
  return [
    ...writesOf(unwritten<Key>(keyItem(key.keyId), key, kept), { operation: operationId, now, deed }),
    ...keyPointers(key).map((Item) => ({ Put: { TableName: '', Item } })),
  ];
}

/**
 * Issues a MAK for a product group of an agreement (KEY-2, KEY-4). Refuses a group that the agreement has no licenses of
 * and, while one is live, a second MAK for the group, naming the first. The same operation again answers with its key.
 */
export function issueMak(
  store: Store,
  agreement: Agreement,
  ask: { readonly productGroup: ProductGroup; readonly drawKey: () => ProductKey },
  context: Context,
): Promise<Outcome<Mak>> {
  const { productGroup, drawKey } = ask;
  const { actor, operationId, now, policy } = context;
  const slot = makSlot(agreement.agreementId, productGroup);
  return change(store, async (): Promise<Attempt<Mak>> => {
    const groups = groupsCovered(agreement, policy);
    if (!groups.includes(productGroup)) {
      const covers = products.filter((product) => groups.includes(policy.catalog[product].group));
      return {
        is: 'refused',
        refused: refuse(
          'product-not-covered',
          `The agreement has no licenses of the product group ${productGroup}. It has licenses of ${groups.join(', ')}.`,
          { covers },
        ),
      };
    }
    const taken = await get(store, slot);
    const existing = taken === undefined ? undefined : await readKey(store, String(taken.keyId));
    if (existing !== undefined) {
      if (existing.state.type === 'MAK' && wasDone(existing, operationId))
        return { is: 'settled', answer: existing.state };
      const { keyId, lastFive } = existing.state;
      return {
        is: 'refused',
        refused: refuse(
          'mak-already-issued',
          `The agreement has a MAK for ${productGroup} already, ending in ${lastFive}. Use that, or have its limit raised.`,
          { keyId },
        ),
      };
    }
    const productKey = drawKey();
    const limit = initialMakLimit(productGroup, agreement, policy);
    const mak: Mak = {
      type: 'MAK',
      keyId: store.vault.keyIdOf(productKey),
      agreementId: agreement.agreementId,
      productGroup,
      lastFive: productKey.lastFive,
      status: { is: 'live' },
      grants: [
        { kind: 'initial', amount: limit, at: now, by: actor, reference: agreement.agreementId, approvedBy: null },
      ],
      issuedAt: now,
      replaces: null,
    };
    // The buckets come first: until the key itself is there, nobody can know them. Those of a key that is there must not be
    // laid out again, so such a draw is drawn anew (KEY-5).
    if ((await get(store, keyItem(mak.keyId))) !== undefined) throw new Contention('The key drawn is in use already.');
    await putIfAbsent(store, bucketItems(mak.keyId, limit));
    return {
      is: 'to-write',
      answer: mak,
      writes: [
        ...issuingWrites(store, { key: mak, productKey, agreement }, context),
        {
          Put: { TableName: '', Item: reserveItem(mak.keyId, limit), ConditionExpression: 'attribute_not_exists(PK)' },
        },
        {
          Put: {
            TableName: '',
            Item: { ...slot, keyId: mak.keyId },
            ConditionExpression: 'attribute_not_exists(PK)',
          },
        },
      ],
    };
  });
}

/** What a change of a key came to; `undefined` when there is no such key. */
export type KeyOutcome<Answer> = Promise<Outcome<Answer> | undefined>;

type KeyWrite = { readonly key: Key; readonly deed: Deed | null; readonly raisedBy?: number };

type Decision<Answer> =
  | {
      readonly ok: true;
      readonly answer: Answer;
      /** Null when nothing changes. */
      readonly write: KeyWrite | null;
    }
  | Refused;

function changeKey<Answer>(
  store: Store,
  keyId: string,
  decide: (kept: KeptKey) => Decision<Answer>,
  { operationId: operation, now }: WriteContext,
): KeyOutcome<Answer> {
  return changeExisting<Key, Answer>(store, keyItem(keyId), (owned) => {
    const kept = keptKey(owned);
    const decided = decide(kept);
    if (!decided.ok) return { is: 'refused', refused: decided };
    if (decided.write === null) return { is: 'settled', answer: decided.answer };
    const { key, deed, raisedBy } = decided.write;
    const writes =
      raisedBy === undefined
        ? writesOf({ ...kept, state: key }, { operation, now, deed, attributes: keyAttributes(key) })
        : raisingWrites(kept, key, raisedBy, { operation, now, deed });
    return { is: 'to-write', answer: decided.answer, writes };
  });
}

/** What raising a key's limit writes: the grant with the key and, for a MAK, the places that it adds (KEY-8). */
export function raisingWrites(kept: KeptKey, key: Key, amount: number, writing: Writing): TransactItem[] {
  if (key.type === 'KMS') return writesOf({ ...kept, state: key }, writing);
  const bucketCount = bucketCountGrown(kept.kept.bucketCount, limitOf(key.grants));
  return [
    ...writesOf({ ...kept, state: key, kept: { ...kept.kept, bucketCount } }, writing),
    reserveRaise(key.keyId, amount),
  ];
}

/** What the call centre gave on the phone; `repeated` when the call of that reference was given it before. */
type Given = { readonly grant: Grant; readonly repeated: boolean };

/** Writes what a call is given unless it has it already. The same operation again answers as it did at first. */
function given(kept: KeptKey, operation: string, { grant, repeated }: Given, write: KeyWrite) {
  const answer = { grant, repeated: repeated && !wasDone(kept, operation) };
  return { ok: true, answer, write: repeated ? null : write } as const;
}

/** Gives an override to a KMS host, once for each call reference (OVR-1 to OVR-4). */
export function giveOverride(store: Store, keyId: string, ask: OverrideAsk, context: Context): KeyOutcome<Given> {
  return changeKey(
    store,
    keyId,
    (kept) => {
      const decided = override(kept.state, ask, kept.kept.agreement, context);
      if (!decided.ok) return decided;
      const deed = {
        actor: context.actor,
        action: 'override-granted',
        detail: `One more activation for the host ${ask.installationId}, asked for by ${ask.callerName} on the phone.`,
        reference: ask.callReference,
      };
      return given(kept, context.operationId, decided, { key: decided.key, deed });
    },
    context,
  );
}

/** Raises a MAK's limit by phone, once for each call reference (MAK-4, OVR-4). */
export function giveIncrease(store: Store, keyId: string, ask: Increase, context: Context): KeyOutcome<Given> {
  return changeKey(
    store,
    keyId,
    (kept) => {
      const decided = increase(kept.state, ask, kept.kept.agreement, context);
      if (!decided.ok) return decided;
      const { grant } = decided;
      const deed = {
        actor: context.actor,
        action: 'limit-raised',
        detail: `The limit was raised by ${grant.amount} to ${ask.newLimit}, asked for by ${ask.callerName} on the phone.`,
        reference: ask.callReference,
      };
      return given(kept, context.operationId, decided, { key: decided.key, deed, raisedBy: grant.amount });
    },
    context,
  );
}

/** Activates a KMS host by the ordinary handshake (KMS-1). An activation is no entry of the history (LED-1). */
export function activateKmsHost(
  store: Store,
  keyId: string,
  ask: HostActivation,
  context: Context,
): KeyOutcome<{ readonly host: KmsHost; readonly advisory?: 'kms-key-on-clients' }> {
  return changeKey(
    store,
    keyId,
    (kept) => {
      if (kept.state.type !== 'KMS') throw new Error(`Key ${keyId} is no KMS key; its type never changes.`);
      const known = kept.state.hosts.find((host) => host.installationId === ask.installationId);
      if (known !== undefined && wasDone(kept, context.operationId))
        return { ok: true, answer: { host: known }, write: null };
      const decided = activateHost(kept.state, ask, kept.kept.agreement, context);
      if (!decided.ok) return decided;
      const { host, advisory } = decided;
      return {
        ok: true,
        answer: advisory === undefined ? { host } : { host, advisory },
        write: { key: decided.key, deed: null },
      };
    },
    context,
  );
}

/** Records how many machines a KMS host serves (KMS-2). Answers whether the host is known. */
export function recordClients(
  store: Store,
  keyId: string,
  report: { readonly installationId: KmsHost['installationId']; readonly clients: number },
  context: Context,
): KeyOutcome<{ readonly known: boolean }> {
  return changeKey(
    store,
    keyId,
    ({ state }) => {
      const next: KmsKey | undefined =
        state.type === 'KMS' ? reportClients(state, report.installationId, report.clients) : undefined;
      return {
        ok: true,
        answer: { known: next !== undefined },
        write: next === undefined ? null : { key: next, deed: null },
      };
    },
    context,
  );
}

/** Shows the whole key to an authorized contact, and records to whom it was shown (KEY-6). */
export function revealKey(store: Store, keyId: string, context: Context): KeyOutcome<ProductKey> {
  return changeKey(
    store,
    keyId,
    (kept) => {
      const productKey = store.vault.openProductKey(kept.kept.sealed, keyId);
      const deed = {
        actor: context.actor,
        action: 'key-revealed',
        detail: `The whole key was shown to ${context.actor}.`,
        reference: context.operationId,
      };
      return {
        ok: true,
        answer: productKey,
        write: wasDone(kept, context.operationId) ? null : { key: kept.state, deed },
      };
    },
    context,
  );
}
