import type { Policy } from '../policy.ts';
import { limitOf } from './grant.ts';
import type { Key, KmsKey } from './key.ts';
import { usedHostSlots } from './kms.ts';

/** The slots of one bucket of a MAK, and the machines with an activation record in it. */
export type BucketCounters = {
  readonly bucket: number;
  readonly used: number;
  readonly available: number;
  /** The number of buckets that its machines are distributed over. */
  readonly modulus: number;
  readonly blocked: boolean;
  readonly machines: readonly string[];
  /** The number of activation records in this bucket that belong in another bucket. */
  readonly misplaced: number;
};

/** The counters that a MAK's limit is split across. */
export type MakCounters = {
  /** The sum of the grants (KEY-8). */
  readonly granted: number;
  readonly status: Key['state']['status'];
  /** The number of buckets in the key's item. */
  readonly bucketCount: number;
  readonly reserve: { readonly available: number; readonly total: number; readonly exhausted: boolean };
  readonly buckets: readonly BucketCounters[];
};

/** The counters of a MAK after a repair. */
export type RepairedCounters = {
  readonly reserveAvailable: number;
  readonly total: number;
  readonly buckets: readonly { readonly bucket: number; readonly used: number; readonly available: number }[];
};

/** The inconsistencies of a MAK's counters, and their repair; null when a repair would be a guess. */
export type MakConsistencyResult = {
  readonly inconsistencies: readonly string[];
  readonly repair: RepairedCounters | null;
};

/**
 * Checks that the counters of a MAK are consistent (MAK-1, KEY-8). Each used slot has the activation record of one
 * machine, and no machine has two. Used and available slots add up to the enforced limit, which is the sum of the
 * grants.
 *
 * Activation records and grants are the truth. Counters follow from them, and available slots are interchangeable, so
 * counters can be repaired. They cannot be repaired when a bucket is missing or exists twice, because nobody can say
 * which machines were in it.
 */
export function checkMakConsistency(counters: MakCounters): MakConsistencyResult {
  const { granted, bucketCount, reserve, buckets } = counters;
  const machines = buckets.flatMap((bucket) => bucket.machines);
  const ambiguous = [
    ...findCoverageGaps(counters),
    ...(new Set(machines).size < machines.length
      ? [`${machines.length - new Set(machines).size} machines have activation records in two buckets`]
      : []),
    ...buckets
      .filter(({ misplaced }) => misplaced > 0)
      .map(({ bucket, misplaced }) => `${misplaced} machines in bucket ${bucket} belong in another bucket`),
    ...buckets
      .filter(({ modulus }) => modulus > bucketCount)
      .map(({ bucket }) => `bucket ${bucket} is split for more buckets than the key has`),
    ...(machines.length > granted
      ? [`${machines.length} machines are activated, but ${granted} activations are granted`]
      : []),
    ...(counters.status === 'live' && buckets.some(({ blocked }) => blocked)
      ? ['the key is live, but some of its buckets are blocked']
      : []),
  ];
  const slots = buckets.reduce((sum, { used, available }) => sum + used + available, reserve.available);
  const used = buckets.reduce((sum, bucket) => sum + bucket.used, 0);
  const countMismatches = [
    ...buckets
      .filter((bucket) => bucket.used !== bucket.machines.length)
      .map(
        ({ bucket, used: count, machines: activations }) =>
          `bucket ${bucket} counts ${count} activations and has ${activations.length} activation records`,
      ),
    ...buckets
      .filter(({ available }) => available < 0)
      .map(({ bucket, available }) => `bucket ${bucket} has ${available} available slots`),
    ...(reserve.available < 0 ? [`the reserve has ${reserve.available} available slots`] : []),
    ...(reserve.total === granted
      ? []
      : [`the reserve enforces ${reserve.total}, but ${granted} activations are granted`]),
    ...(slots === granted ? [] : [`the slots add up to ${slots}, but ${granted} activations are granted`]),
    // The mark does not matter for a blocked key: its machines are removed as they activate with its successor (BLK-3).
    ...(counters.status !== 'blocked' && reserve.exhausted && used < granted
      ? [`the key is marked as exhausted, but only ${used} of ${granted} activations are used`]
      : []),
  ];
  return {
    inconsistencies: [...ambiguous, ...countMismatches],
    repair: ambiguous.length === 0 && countMismatches.length > 0 ? repairCounters(counters) : null,
  };
}

/**
 * Finds bucket numbers that no bucket covers, or two. A bucket that is not split yet covers the numbers of both halves.
 */
function findCoverageGaps({ bucketCount, buckets }: MakCounters): readonly string[] {
  const countHolders = (number: number) => buckets.filter(({ bucket, modulus }) => number % modulus === bucket).length;
  const numbers = Array.from({ length: bucketCount }, (_, number) => number);
  const missing = numbers.filter((number) => countHolders(number) === 0);
  const duplicated = numbers.filter((number) => countHolders(number) > 1);
  return [
    ...(missing.length === 0 ? [] : [`bucket ${missing.join(', ')} is missing, with its activation records`]),
    ...(duplicated.length === 0 ? [] : [`bucket ${duplicated.join(', ')} exists both split and unsplit`]),
  ];
}

/**
 * Sets the used slots to the activation records. Available slots stay in place while they fit; the reserve takes the
 * difference.
 */
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
 * Lists the inconsistencies of a KMS key (KMS-1, OVR-1, OVR-3): more hosts than slots, a duplicate host, a host with
 * too many activations, overrides without their grants. There is no repair, because a KMS key is one item and no other
 * item holds the same facts.
 */
export function checkKmsConsistency(key: KmsKey, policy: Policy): readonly string[] {
  const limit = limitOf(key.grants);
  const slotsUsed = usedHostSlots(key);
  const ids = key.hosts.map(({ installationId }) => installationId);
  const grantReferences = key.grants.filter(({ kind }) => kind === 'override').map(({ reference }) => reference);
  const overrideReferences = key.overrides.map(({ callReference }) => callReference);
  return [
    ...(slotsUsed > limit ? [`${slotsUsed} hosts have a slot, but ${limit} slots are granted`] : []),
    ...(new Set(ids).size < ids.length ? ['a host is listed twice'] : []),
    ...(grantReferences.toSorted().join() === overrideReferences.toSorted().join()
      ? []
      : [
          `${grantReferences.length} override grants do not match ${overrideReferences.length} overrides by their references`,
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
              `host ${installationId} has spent ${overridesSpent} overrides, but ${usedOverrides.length} are marked as used`,
            ]),
        ...(uses - overridesSpent > usesMax || uses < overridesSpent
          ? [`host ${installationId} has ${uses} activations, ${overridesSpent} of them overrides`]
          : []),
      ];
    }),
  ];
}
