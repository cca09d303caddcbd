import type { Policy } from '../policy.ts';
import { limitOf } from './grant.ts';
import type { Key, KmsKey } from './key.ts';
import { placesTaken } from './kms.ts';

/** The places of one bucket of a MAK, and the machines that have their mark in it. */
export type BucketAccount = {
  readonly bucket: number;
  readonly used: number;
  readonly free: number;
  /** The count of buckets that it is laid out for. */
  readonly modulus: number;
  readonly blocked: boolean;
  readonly machines: readonly string[];
  /** Machines with a mark here that belong into another bucket. */
  readonly strangers: number;
};

/** All that a MAK's limit is made of and dealt out to. */
export type MakAccount = {
  /** What the grants add up to (KEY-8). */
  readonly granted: number;
  readonly status: Key['status']['is'];
  /** How many buckets the key knows of. */
  readonly bucketCount: number;
  readonly reserve: { readonly free: number; readonly total: number; readonly spent: boolean };
  readonly buckets: readonly BucketAccount[];
};

/** How a MAK's places are when they are in order again. */
export type Balanced = {
  readonly reserveFree: number;
  readonly total: number;
  readonly buckets: readonly { readonly bucket: number; readonly used: number; readonly free: number }[];
};

/** What is wrong with a MAK's account, and how it is put right; null when that would take a guess. */
export type MakJudged = { readonly wrong: readonly string[]; readonly balanced: Balanced | null };

/**
 * Judges whether a MAK counts right (MAK-1, KEY-8): each used place has the mark of a machine, no machine has two, used
 * and free places add up to the limit that is enforced, and that is what was granted. The marks and the grants are facts;
 * the counts follow from them, and free places are all alike. So counts are put right by them, unless a bucket is missing
 * or there twice: then nobody can say which machines were in it.
 */
export function judgeMak(account: MakAccount): MakJudged {
  const { granted, bucketCount, reserve, buckets } = account;
  const machines = buckets.flatMap((bucket) => bucket.machines);
  const guesses = [
    ...covering(account),
    ...(new Set(machines).size < machines.length
      ? [`${machines.length - new Set(machines).size} machines have their mark in two buckets`]
      : []),
    ...buckets
      .filter(({ strangers }) => strangers > 0)
      .map(({ bucket, strangers }) => `${strangers} machines in bucket ${bucket} belong into another`),
    ...buckets
      .filter(({ modulus }) => modulus > bucketCount)
      .map(({ bucket }) => `bucket ${bucket} is laid out for more buckets than the key knows of`),
    ...(machines.length > granted ? [`${machines.length} machines are activated, and ${granted} were granted`] : []),
    ...(account.status === 'live' && buckets.some(({ blocked }) => blocked)
      ? ['the key is live, and some of its buckets are blocked']
      : []),
  ];
  const places = buckets.reduce((sum, { used, free }) => sum + used + free, reserve.free);
  const used = buckets.reduce((sum, bucket) => sum + bucket.used, 0);
  const counts = [
    ...buckets
      .filter((bucket) => bucket.used !== bucket.machines.length)
      .map(
        ({ bucket, used: count, machines: there }) => `bucket ${bucket} counts ${count} and has ${there.length} marks`,
      ),
    ...buckets.filter(({ free }) => free < 0).map(({ bucket, free }) => `bucket ${bucket} has ${free} free places`),
    ...(reserve.free < 0 ? [`the reserve has ${reserve.free} free places`] : []),
    ...(reserve.total === granted ? [] : [`the reserve enforces ${reserve.total}, and ${granted} were granted`]),
    ...(places === granted ? [] : [`its places add up to ${places}, and ${granted} were granted`]),
    // Of a blocked key nobody asks any more: its machines leave it as they activate with its successor (BLK-3).
    ...(account.status !== 'blocked' && reserve.spent && used < granted
      ? [`it is remembered as spent, and ${used} of ${granted} are used`]
      : []),
  ];
  return {
    wrong: [...guesses, ...counts],
    balanced: guesses.length === 0 && counts.length > 0 ? balance(account) : null,
  };
}

/** Which numbers are in no bucket, or in two: a bucket that is not split yet holds those of its halves as well. */
function covering({ bucketCount, buckets }: MakAccount): readonly string[] {
  const holders = (number: number) => buckets.filter(({ bucket, modulus }) => number % modulus === bucket).length;
  const numbers = Array.from({ length: bucketCount }, (_, number) => number);
  const missing = numbers.filter((number) => holders(number) === 0);
  const twice = numbers.filter((number) => holders(number) > 1);
  return [
    ...(missing.length === 0 ? [] : [`bucket ${missing.join(', ')} is missing, with the marks that were in it`]),
    ...(twice.length === 0 ? [] : [`bucket ${twice.join(', ')} is there whole and split`]),
  ];
}

/** Used places are the marks; free ones stay where they are while they fit, and what is over or wanting is the reserve's. */
function balance({ granted, buckets }: MakAccount): Balanced {
  let over = buckets.reduce((sum, { machines, free }) => sum + machines.length + Math.max(0, free), 0) - granted;
  const reserveFree = Math.max(0, -over);
  const kept = new Map<number, number>();
  for (const { bucket, free } of buckets.toSorted((one, other) => other.free - one.free)) {
    const taken = Math.min(Math.max(0, over), Math.max(0, free));
    over -= taken;
    kept.set(bucket, Math.max(0, free) - taken);
  }
  return {
    reserveFree,
    total: granted,
    buckets: buckets.map(({ bucket, machines }) => ({ bucket, used: machines.length, free: kept.get(bucket) ?? 0 })),
  };
}

/**
 * Names what does not fit together in a KMS key (KMS-1, OVR-1, OVR-3): more hosts than places, a host there twice or beyond
 * its uses, overrides without their grants. All of it is in one item, so nothing else could say how to put it right.
 */
export function judgeKms(key: KmsKey, policy: Policy): readonly string[] {
  const limit = limitOf(key.grants);
  const taken = placesTaken(key);
  const ids = key.hosts.map(({ installationId }) => installationId);
  const granted = key.grants.filter(({ kind }) => kind === 'override').map(({ reference }) => reference);
  const given = key.overrides.map(({ callReference }) => callReference);
  return [
    ...(taken > limit ? [`${taken} hosts have a place, and ${limit} places were granted`] : []),
    ...(new Set(ids).size < ids.length ? ['a host is there twice'] : []),
    ...(granted.toSorted().join() === given.toSorted().join()
      ? []
      : [`${granted.length} overrides were granted and ${given.length} are there, or under other references`]),
    ...key.hosts.flatMap(({ installationId, place, uses, overridesSpent }) => {
      const spent = key.overrides.filter((each) => each.installationId === installationId && each.spentAt !== null);
      const most = place === 'standard' ? policy.kms.usesPerHost : 0;
      return [
        ...(overridesSpent === spent.length
          ? []
          : [`host ${installationId} has spent ${overridesSpent} overrides, and ${spent.length} are marked as spent`]),
        ...(uses - overridesSpent > most || uses < overridesSpent
          ? [`host ${installationId} has ${uses} uses, ${overridesSpent} of them overrides`]
          : []),
      ];
    }),
  ];
}
