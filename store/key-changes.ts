import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import type { Key, KmsHost } from '../domain/keys/key.ts';
import { placesTaken } from '../domain/keys/kms.ts';
import type { Item } from './dynamodb/table.ts';
import { checkFormat } from './dynamodb/table.ts';
import { ownedFrom } from './dynamodb/versioned-item.ts';
import { machinesAdded } from './mak-activations.ts';

/** One change of the table as its stream tells it: the item before and after, each in the database's own notation. */
export type TableChange = { readonly before: unknown; readonly after: unknown };

/** What happened to the use of a key. */
export type KeyChange = {
  readonly keyId: string;
  /** How many more activations of a MAK are used than before. */
  readonly activated: number;
  /** Machines that were not on the key before. */
  readonly newcomers: readonly InstallationId[];
  /** Whether what there is to tell of its use follows from the key itself: its host places, or its grants, are others. */
  readonly keyItself: boolean;
};

/**
 * Reads out of a change of the table what happened to the use of a key; `undefined` when nothing did. What frees places,
 * moves them, or only tells more of a host is of no interest to anybody who warns. Throws for what is no item of our table.
 */
export function keyChangeIn({ before, after }: TableChange): KeyChange | undefined {
  // What appears is never news: a key with nothing on it, or a bucket that was split off another with what was in that.
  if (before === undefined || after === undefined) return undefined;
  const { PK, SK } = itemFrom(after);
  if (!PK.startsWith('KEY#') || (SK !== 'BUCKET' && SK !== 'KEY')) return undefined;
  const [was, is] = [checkFormat(itemFrom(before)), checkFormat(itemFrom(after))];
  return SK === 'BUCKET' ? bucketChange(was, is) : keyItemChange(was, is);
}

/** What two changes of one key come to. */
export function together(one: KeyChange, other: KeyChange): KeyChange {
  return {
    keyId: one.keyId,
    activated: one.activated + other.activated,
    newcomers: [...new Set([...one.newcomers, ...other.newcomers])],
    keyItself: one.keyItself || other.keyItself,
  };
}

function bucketChange(before: Item, after: Item): KeyChange | undefined {
  const activated = usedIn(after) - usedIn(before);
  // One that was split in two has fewer than before, and a machine that was dropped is no activation.
  if (activated <= 0) return undefined;
  const keyId = after.PK.slice('KEY#'.length, after.PK.lastIndexOf('#'));
  return { keyId, activated, newcomers: machinesAdded(before, after), keyItself: false };
}

function usedIn({ PK, used }: Item): number {
  if (typeof used !== 'number') throw new Error(`The bucket ${PK} does not say how many of its places are used.`);
  return used;
}

function keyItemChange(before: Item, after: Item): KeyChange | undefined {
  const was = ownedFrom<Key>(before).state;
  const is = ownedFrom<Key>(after).state;
  const known = new Set(hostsOf(was).map(({ installationId }) => installationId));
  const newcomers = hostsOf(is)
    .map(({ installationId }) => installationId)
    .filter((installationId) => !known.has(installationId));
  const granted = is.grants.length > was.grants.length;
  const placed = is.type === 'KMS' && was.type === 'KMS' && placesTaken(is) > placesTaken(was);
  if (newcomers.length === 0 && !granted && !placed) return undefined;
  return { keyId: is.keyId, activated: 0, newcomers, keyItself: true };
}

function hostsOf(key: Key): readonly KmsHost[] {
  return key.type === 'KMS' ? key.hosts : [];
}

function itemFrom(image: unknown): Item {
  // The stream hands over what we have written; its keys are looked at, in case it is another's.
  const item = unmarshall(image as Record<string, AttributeValue>) as Item;
  if (typeof item.PK !== 'string' || typeof item.SK !== 'string')
    throw new Error('A change is of no item of the table.');
  return item;
}
