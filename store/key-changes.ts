import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import type { Key, KmsHost } from '../domain/keys/key.ts';
import { usedHostSlots } from '../domain/keys/kms.ts';
import type { Item } from './dynamodb/table.ts';
import { checkFormat } from './dynamodb/table.ts';
import { fromItem } from './dynamodb/versioned-item.ts';
import { installationsAdded } from './mak-bucket.ts';

/** One change of the table from its stream: the item before and after, both as DynamoDB attribute values. */
export type TableChange = { readonly before: unknown; readonly after: unknown };

/** A change in the usage of a key. */
export type KeyChange = {
  readonly keyId: string;
  /** The number of activations added to a MAK. */
  readonly activationsAdded: number;
  /** The installations that were not on the key before. */
  readonly newInstallations: readonly InstallationId[];
  /** True if the item of the key itself changed its usage: its host slots or its grants. */
  readonly keyItemChanged: boolean;
};

/**
 * Returns the change in the usage of a key, or `undefined` if the usage did not grow. Changes that free or transfer
 * slots, or that only update a host, are irrelevant for alerts. Throws if the change is not of an item of the table.
 */
export function keyChangeFrom({ before, after }: TableChange): KeyChange | undefined {
  // A new item is never a new use: it is a key without activations, or half of a split bucket with its activations.
  if (before === undefined || after === undefined) return undefined;
  const { PK, SK } = unmarshallItem(after);
  if (!PK.startsWith('KEY#') || (SK !== 'BUCKET' && SK !== 'KEY')) return undefined;
  const [oldItem, newItem] = [checkFormat(unmarshallItem(before)), checkFormat(unmarshallItem(after))];
  return SK === 'BUCKET' ? keyChangeFromBucket(oldItem, newItem) : keyChangeFromKeyItem(oldItem, newItem);
}

/** Merges two changes of the same key. */
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
  // A split bucket has fewer activations than before, and so has one from which an activation was removed.
  if (activationsAdded <= 0) return undefined;
  const keyId = after.PK.slice('KEY#'.length, after.PK.lastIndexOf('#'));
  return { keyId, activationsAdded, newInstallations: installationsAdded(before, after), keyItemChanged: false };
}

function usedSlotsOf({ PK, used }: Item): number {
  if (typeof used !== 'number') throw new Error(`The bucket ${PK} has no number of used slots.`);
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
  // The stream contains only items of this table. The keys are checked in case it is connected to another table.
  const item = unmarshall(image as Record<string, AttributeValue>) as Item;
  if (typeof item.PK !== 'string' || typeof item.SK !== 'string')
    throw new Error('The change is not of an item of this table.');
  return item;
}
