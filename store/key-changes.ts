import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import type { Key, KmsHost } from '../domain/keys/key.ts';
import { usedHostSlots } from '../domain/keys/kms.ts';
import type { Item } from './dynamodb/table.ts';
import { checkFormat } from './dynamodb/table.ts';
import { fromItem } from './dynamodb/versioned-item.ts';
import { installationsAdded } from './mak-activations.ts';

/** One change of the table as its stream tells it: the item before and after, each in the database's own notation. */
export type TableChange = { readonly earlier: unknown; readonly after: unknown };

/** What happened to the use of a key. */
export type KeyChange = {
  readonly keyId: string;
  /** How many more activations of a MAK are used than before. */
  readonly activationsAdded: number;
  /** Machines that were not on the key before. */
  readonly newInstallations: readonly InstallationId[];
  /** Whether what there is to tell of its use follows from the key itself: its host places, or its grants, are others. */
  readonly keyItemChanged: boolean;
};

/**
 * Reads out of a change of the table what happened to the use of a key; `undefined` when nothing did. What frees places,
 * moves them, or only tells more of a host is of no interest to anybody who warns. Throws for what is no item of our table.
 */
export function keyChangeFrom({ earlier: before, after }: TableChange): KeyChange | undefined {
  // What appears is never news: a key with nothing on it, or a bucket that was split off another with what was in that.
  if (before === undefined || after === undefined) return undefined;
  const { PK, SK } = unmarshallItem(after);
  if (!PK.startsWith('KEY#') || (SK !== 'BUCKET' && SK !== 'KEY')) return undefined;
  const [was, is] = [checkFormat(unmarshallItem(before)), checkFormat(unmarshallItem(after))];
  return SK === 'BUCKET' ? keyChangeFromBucket(was, is) : keyChangeFromKeyItem(was, is);
}

/** What two changes of one key come to. */
export function mergeKeyChanges(first: KeyChange, second: KeyChange): KeyChange {
  return {
    keyId: first.keyId,
    activationsAdded: first.activationsAdded + second.activationsAdded,
    newInstallations: [...new Set([...first.newInstallations, ...second.newInstallations])],
    keyItemChanged: first.keyItemChanged || second.keyItemChanged,
  };
}

function keyChangeFromBucket(before: Item, after: Item): KeyChange | undefined {
  const activationsAdded = usedSlotsOf(after) - usedSlotsOf(before);
  // One that was split in two has fewer than before, and a machine that was dropped is no activation.
  if (activationsAdded <= 0) return undefined;
  const keyId = after.PK.slice('KEY#'.length, after.PK.lastIndexOf('#'));
  return { keyId, activationsAdded, newInstallations: installationsAdded(before, after), keyItemChanged: false };
}

function usedSlotsOf({ PK, used }: Item): number {
  if (typeof used !== 'number') throw new Error(`The bucket ${PK} does not say how many of its places are used.`);
  return used;
}

function keyChangeFromKeyItem(before: Item, after: Item): KeyChange | undefined {
  const oldKey = fromItem<Key>(before).value;
  const newKey = fromItem<Key>(after).value;
  const oldInstallationIds = new Set(hostsOf(oldKey).map(({ installationId }) => installationId));
  const newInstallations = hostsOf(newKey)
    .map(({ installationId }) => installationId)
    .filter((installationId) => !oldInstallationIds.has(installationId));
  const hasNewGrant = newKey.grants.length > oldKey.grants.length;
  const hasNewHost = newKey.type === 'KMS' && oldKey.type === 'KMS' && usedHostSlots(newKey) > usedHostSlots(oldKey);
  if (newInstallations.length === 0 && !hasNewGrant && !hasNewHost) return undefined;
  return { keyId: newKey.keyId, activationsAdded: 0, newInstallations, keyItemChanged: true };
}

function hostsOf(key: Key): readonly KmsHost[] {
  return key.type === 'KMS' ? key.hosts : [];
}

function unmarshallItem(image: unknown): Item {
  // The stream hands over what we have written; its keys are looked at, in case it is another's.
  const item = unmarshall(image as Record<string, AttributeValue>) as Item;
  if (typeof item.PK !== 'string' || typeof item.SK !== 'string')
    throw new Error('A change is of no item of the table.');
  return item;
}
