import type { Policy } from '../policy.ts';
import { limitOf } from './grant.ts';
import type { Key, KmsKey } from './key.ts';
import { usedHostSlots } from './kms.ts';

/** The places of one bucket of a MAK, and the machines that have their mark in it. */
export type BucketCounters = {
  readonly bucket: number;
  readonly used: number;
  readonly available: number;
  /** The count of buckets that it is laid out for. */
  readonly modulus: number;
  readonly blocked: boolean;
  readonly machines: readonly string[];
  /** Machines with a mark here that belong into another bucket. */
  readonly misplaced: number;
};

/** All that a MAK's limit is made of and dealt out to. */
export type MakCounters = {
  /** What the grants add up to (KEY-8). */
  readonly granted: number;
  readonly status: Key['state']['status'];
  /** How many buckets the key knows of. */
  readonly bucketCount: number;
  readonly reserve: { readonly available: number; readonly total: number; readonly exhausted: boolean };
  readonly buckets: readonly BucketCounters[];
};

/** How a MAK's places are when they are in order again. */
export type RepairedCounters = {
  readonly reserveAvailable: number;
  readonly total: number;
  readonly buckets: readonly { readonly bucket: number; readonly used: number; readonly available: number }[];
};

/** What is wrong with a MAK's account, and how it is put right; null when that would take a guess. */
export type MakConsistencyResult = {
  readonly inconsistencies: readonly string[];
  readonly repair: RepairedCounters | null;
};

/**
 * Judges whether a MAK counts right (MAK-1, KEY-8): each used place has the mark of a machine, no machine has two, used
 * and free places add up to the limit that is enforced, and that is what was granted. The marks and the grants are facts;
 * the counts follow from them, and free places are all alike. So counts are put right by them, unless a bucket is missing
 * or there twice: then nobody can say which machines were in it.
 */
export function checkMakConsistency(counters: MakCounters): MakConsistencyResult {
  const { granted, bucketCount, reserve, buckets } = counters;
  const machines = buckets.flatMap((bucket) => bucket.machines);
  const ambiguous = [
    ...findCoverageGaps(counters),
    ...(new Set(machines).size < machines.length
      ? [`${machines.length - new Set(machines).size} machines have their mark in two buckets`]
      : []),
    ...buckets
      .filter(({ misplaced }) => misplaced > 0)
      .map(({ bucket, misplaced }) => `${misplaced} machines in bucket ${bucket} belong into another`),
    ...buckets
      .filter(({ modulus }) => modulus > bucketCount)
      .map(({ bucket }) => `bucket ${bucket} is laid out for more buckets than the key knows of`),
    ...(machines.length > granted ? [`${machines.length} machines are activated, and ${granted} were granted`] : []),
    ...(counters.status === 'live' && buckets.some(({ blocked }) => blocked)
      ? ['the key is live, and some of its buckets are blocked']
      : []),
  ];
  const slots = buckets.reduce((sum, { used, available }) => sum + used + available, reserve.available);
  const used = buckets.reduce((sum, bucket) => sum + bucket.used, 0);
  const countMismatches = [
    ...buckets
      .filter((bucket) => bucket.used !== bucket.machines.length)
      .map(
        ({ bucket, used: count, machines: activations }) =>
          `bucket ${bucket} counts ${count} and has ${activations.length} marks`,
      ),
    ...buckets
      .filter(({ available }) => available < 0)
      .map(({ bucket, available }) => `bucket ${bucket} has ${available} free places`),
    ...(reserve.available < 0 ? [`the reserve has ${reserve.available} free places`] : []),
    ...(reserve.total === granted ? [] : [`the reserve enforces ${reserve.total}, and ${granted} were granted`]),
    ...(slots === granted ? [] : [`its places add up to ${slots}, and ${granted} were granted`]),
    // Of a blocked key nobody asks any more: its machines leave it as they activate with its successor (BLK-3).
    ...(counters.status !== 'blocked' && reserve.exhausted && used < granted
      ? [`it is remembered as spent, and ${used} of ${granted} are used`]
      : []),
  ];
  return {
    inconsistencies: [...ambiguous, ...countMismatches],
    repair: ambiguous.length === 0 && countMismatches.length > 0 ? repairCounters(counters) : null,
  };
}

/** Which numbers are in no bucket, or in two: a bucket that is not split yet holds those of its halves as well. */
function findCoverageGaps({ bucketCount, buckets }: MakCounters): readonly string[] {
  const countHolders = (number: number) => buckets.filter(({ bucket, modulus }) => number % modulus === bucket).length;
  const numbers = Array.from({ length: bucketCount }, (_, number) => number);
  const missing = numbers.filter((number) => countHolders(number) === 0);
  const duplicated = numbers.filter((number) => countHolders(number) > 1);
  return [
    ...(missing.length === 0 ? [] : [`bucket ${missing.join(', ')} is missing, with the marks that were in it`]),
    ...(duplicated.length === 0 ? [] : [`bucket ${duplicated.join(', ')} is there whole and split`]),
  ];
}

/** Used places are the marks; free ones stay where they are while they fit, and what is over or wanting is the reserve's. */
function repairCounters({ granted, buckets }: MakCounters): RepairedCounters {
  let excess =
    buckets.reduce((sum, { machines, available }) => sum + machines.length + Math.max(0, available), 0) - granted;
  const reserveAvailable = Math.max(0, -excess);
  const availableByBucket = new Map<number, number>();
  for (const { bucket, available } of buckets.toSorted((one, other) => other.available - one.available)) {
    const reduction = Math.min(Math.max(0, excess), Math.max(0, available));
    excess -= reduction;
    availableByBucket.set(bucket, Math.max(0, available) - reduction);
  }
  return {
    reserveAvailable,
    total: granted,
    buckets: buckets.map(({ bucket, machines }) => ({
      bucket,
      used: machines.length,
      available: availableByBucket.get(bucket) ?? 0,
    })),
  };
}

/**
 * Names what does not fit together in a KMS key (KMS-1, OVR-1, OVR-3): more hosts than places, a host there twice or beyond
 * its uses, overrides without their grants. All of it is in one item, so nothing else could say how to put it right.
 */
export function checkKmsConsistency(key: KmsKey, policy: Policy): readonly string[] {
  const limit = limitOf(key.grants);
  const slotsUsed = usedHostSlots(key);
  const ids = key.hosts.map(({ installationId }) => installationId);
  const grantReferences = key.grants.filter(({ kind }) => kind === 'override').map(({ reference }) => reference);
  const overrideReferences = key.overrides.map(({ callReference }) => callReference);
  return [
    ...(slotsUsed > limit ? [`${slotsUsed} hosts have a place, and ${limit} places were granted`] : []),
    ...(new Set(ids).size < ids.length ? ['a host is there twice'] : []),
    ...(grantReferences.toSorted().join() === overrideReferences.toSorted().join()
      ? []
      : [
          `${grantReferences.length} overrides were granted and ${overrideReferences.length} are there, or under other references`,
        ]),
    ...key.hosts.flatMap(({ installationId, slot, uses, overridesSpent }) => {
      const usedOverrides = key.overrides.filter(
        (each) => each.installationId === installationId && each.usedAt !== null,
      );
      const usesMax = slot === 'standard' ? policy.kms.usesPerHost : 0;
      return [
        ...(overridesSpent === usedOverrides.length
          ? []
          : [
              `host ${installationId} has spent ${overridesSpent} overrides, and ${usedOverrides.length} are marked as spent`,
            ]),
        ...(uses - overridesSpent > usesMax || uses < overridesSpent
          ? [`host ${installationId} has ${uses} uses, ${overridesSpent} of them overrides`]
          : []),
      ];
    }),
  ];
}
