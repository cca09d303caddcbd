import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MakCounters } from '../../../domain/keys/consistency.ts';
import { checkKmsConsistency, checkMakConsistency } from '../../../domain/keys/consistency.ts';
import type { KmsKey } from '../../../domain/keys/key.ts';
import { aGrant, aHost, aKmsKey, anOverride, blockedState, hosts, installationId, policy } from '../../builders.ts';
import { tuesdayTen } from '../../instants.ts';

const machinesOf = (bucket: number, count: number) => Array.from({ length: count }, (_, one) => `${bucket}-${one}`);

/** Buckets with all their activation records and any counters, and a limit that is not below the number of records. */
const anyCounters: fc.Arbitrary<MakCounters> = fc
  .record({
    recordCounts: fc.array(fc.nat(20), { minLength: 1, maxLength: 12 }),
    usedCounts: fc.array(fc.integer({ min: -5, max: 30 }), { minLength: 12, maxLength: 12 }),
    available: fc.array(fc.integer({ min: -5, max: 30 }), { minLength: 12, maxLength: 12 }),
    extra: fc.nat(100),
    reserve: fc.record({ available: fc.integer({ min: -50, max: 500 }), total: fc.nat(500), exhausted: fc.boolean() }),
  })
  .map(({ recordCounts, usedCounts, available, extra, reserve }) => ({
    granted: recordCounts.reduce((sum, each) => sum + each, extra),
    status: 'live',
    bucketCount: recordCounts.length,
    reserve,
    buckets: recordCounts.map((count, bucket) => ({
      bucket,
      used: usedCounts[bucket] ?? 0,
      available: available[bucket] ?? 0,
      modulus: recordCounts.length,
      blocked: false,
      machines: machinesOf(bucket, count),
      misplaced: 0,
    })),
  }));

function isConsistent({ granted, reserve, buckets }: MakCounters): boolean {
  const slots = buckets.reduce((sum, { used, available }) => sum + used + available, reserve.available);
  const used = buckets.reduce((sum, bucket) => sum + bucket.used, 0);
  return (
    slots === granted &&
    reserve.total === granted &&
    reserve.available >= 0 &&
    !(reserve.exhausted && used < granted) &&
    buckets.every((bucket) => bucket.used === bucket.machines.length && bucket.available >= 0)
  );
}

describe('any counters of a key with all its activation records', () => {
  it('KEY-8 MAK-1 are inconsistent exactly when the sums are, and consistent after the repair', () => {
    fc.assert(
      fc.property(anyCounters, (counters) => {
        const { inconsistencies, repair } = checkMakConsistency(counters);
        expect(inconsistencies.length === 0).toBe(isConsistent(counters));
        if (repair === null) {
          expect(inconsistencies).toEqual([]);
          return;
        }
        const after = new Map(repair.buckets.map((bucket) => [bucket.bucket, bucket]));
        const repaired = {
          ...counters,
          reserve: { available: repair.reserveAvailable, total: repair.total, exhausted: false },
          buckets: counters.buckets.map((bucket) => ({ ...bucket, ...after.get(bucket.bucket) })),
        };
        expect(isConsistent(repaired)).toBe(true);
        expect(checkMakConsistency(repaired)).toEqual({ inconsistencies: [], repair: null });
        // No bucket gets more available slots than it had: the reserve gets missing slots.
        for (const { bucket, available } of repair.buckets)
          expect(available).toBeLessThanOrEqual(Math.max(0, counters.buckets[bucket]?.available ?? 0));
      }),
    );
  });
});

describe('a key with a bucket that is not split yet', () => {
  const bucket = { used: 0, available: 10, blocked: false, machines: [], misplaced: 0 };
  const counters = (buckets: MakCounters['buckets'], bucketCount = 4): MakCounters => ({
    granted: buckets.length * 10,
    status: 'live',
    bucketCount,
    reserve: { available: 0, total: buckets.length * 10, exhausted: false },
    buckets,
  });
  const split = [
    { ...bucket, bucket: 0, modulus: 4 },
    { ...bucket, bucket: 2, modulus: 4 },
  ];

  it('MAK-1 is consistent: the bucket covers both halves', () => {
    expect(checkMakConsistency(counters([...split, { ...bucket, bucket: 1, modulus: 2 }])).inconsistencies).toEqual([]);
  });

  it('MAK-1 reports a missing half, and a half that exists twice', () => {
    expect(checkMakConsistency(counters(split)).inconsistencies).toEqual([
      'bucket 1, 3 is missing, with its activation records',
    ]);
    const duplicated = [...split, { ...bucket, bucket: 1, modulus: 2 }, { ...bucket, bucket: 3, modulus: 4 }];
    expect(checkMakConsistency(counters(duplicated)).inconsistencies).toEqual([
      'bucket 3 exists both split and unsplit',
    ]);
  });

  it('MAK-1 reports buckets that are split for more buckets than the key has', () => {
    const splitTooFar = [...split, { ...bucket, bucket: 1, modulus: 4 }, { ...bucket, bucket: 3, modulus: 4 }];
    expect(
      checkMakConsistency(counters(splitTooFar, 2)).inconsistencies.filter((each) =>
        each.includes('is split for more'),
      ),
    ).toHaveLength(4);
  });
});

describe('a key that was exhausted, and replaced', () => {
  const counters = (status: MakCounters['status']): MakCounters => ({
    granted: 10,
    status,
    bucketCount: 1,
    reserve: { available: 0, total: 10, exhausted: true },
    buckets: [
      { bucket: 0, used: 9, available: 1, modulus: 1, blocked: true, machines: machinesOf(0, 9), misplaced: 0 },
    ],
  });

  it('BLK-3 is consistent after a machine has moved, but not before the key is blocked', () => {
    expect(checkMakConsistency(counters('blocked')).inconsistencies).toEqual([]);
    expect(checkMakConsistency(counters('blocking')).inconsistencies).toEqual([
      'the key is marked as exhausted, but only 9 of 10 activations are used',
    ]);
  });
});

describe('a MAK of two buckets and twenty slots', () => {
  const bucket = (number: number, machines: number) => ({
    bucket: number,
    used: machines,
    available: 8 - machines,
    modulus: 2,
    blocked: false,
    machines: machinesOf(number, machines),
    misplaced: 0,
  });
  const [zero, one] = [bucket(0, 5), bucket(1, 3)];
  const consistentCounters: MakCounters = {
    granted: 20,
    status: 'live',
    bucketCount: 2,
    reserve: { available: 4, total: 20, exhausted: false },
    buckets: [zero, one],
  };
  const check = (members: Partial<MakCounters>) => checkMakConsistency({ ...consistentCounters, ...members });
  const repairedTo = (reserveAvailable: number, first: number, second: number, total = 20) => ({
    reserveAvailable,
    total,
    buckets: [
      { bucket: 0, used: 5, available: first },
      { bucket: 1, used: 3, available: second },
    ],
  });

  it('MAK-1 KEY-8 is consistent', () => {
    expect(checkMakConsistency(consistentCounters)).toEqual({ inconsistencies: [], repair: null });
  });

  it('MAK-1 cannot be repaired when a machine is in two buckets', () => {
    const buckets = [zero, { ...one, machines: ['0-0', '0-1', '1-2'] }];
    expect(check({ buckets })).toEqual({
      inconsistencies: ['2 machines have activation records in two buckets'],
      repair: null,
    });
  });

  it('MAK-1 cannot be repaired when machines belong in another bucket', () => {
    expect(check({ buckets: [zero, { ...one, misplaced: 2 }] })).toEqual({
      inconsistencies: ['2 machines in bucket 1 belong in another bucket'],
      repair: null,
    });
  });

  it('MAK-1 cannot be repaired when one machine more than granted is activated', () => {
    const full = { ...consistentCounters, reserve: { available: 0, total: 8, exhausted: true }, granted: 8 };
    const buckets = [zero, one].map((each) => ({ ...each, available: 0 }));
    expect(checkMakConsistency({ ...full, buckets })).toEqual({ inconsistencies: [], repair: null });
    expect(checkMakConsistency({ ...full, buckets, granted: 7 })).toEqual({
      inconsistencies: [
        '8 machines are activated, but 7 activations are granted',
        'the reserve enforces 8, but 7 activations are granted',
        'the slots add up to 8, but 7 activations are granted',
      ],
      repair: null,
    });
  });

  it('BLK-2 reports a live key with a blocked bucket, and accepts a blocked key with all buckets blocked', () => {
    expect(check({ buckets: [zero, { ...one, blocked: true }] })).toEqual({
      inconsistencies: ['the key is live, but some of its buckets are blocked'],
      repair: null,
    });
    const buckets = [zero, one].map((each) => ({ ...each, blocked: true }));
    expect(check({ status: 'blocked', buckets }).inconsistencies).toEqual([]);
  });

  it('MAK-1 lists every missing bucket number and every duplicate one', () => {
    expect(check({ bucketCount: 4 }).inconsistencies).toEqual([]);
    const oneOfFour = [{ ...zero, modulus: 4, available: 3 + 8 + 0 }];
    expect(check({ bucketCount: 4, buckets: oneOfFour }).inconsistencies).toEqual([
      'bucket 1, 2, 3 is missing, with its activation records',
    ]);
    const duplicated = [
      zero,
      one,
      ...[0, 1].map((number) => ({ ...bucket(number, 0), modulus: 1 + number, available: 0 })),
    ];
    expect(check({ buckets: duplicated }).inconsistencies).toContain('bucket 0, 1 exists both split and unsplit');
  });

  it('MAK-1 repairs a count that differs from the number of activation records', () => {
    expect(check({ buckets: [{ ...zero, used: 6, available: 2 }, one] })).toEqual({
      inconsistencies: ['bucket 0 counts 6 activations and has 5 activation records'],
      repair: repairedTo(5, 2, 5),
    });
  });

  it('KEY-8 repairs a negative number of available slots, in a bucket or in the reserve', () => {
    expect(
      check({ buckets: [{ ...zero, available: -1 }, one], reserve: { available: 8, total: 20, exhausted: false } }),
    ).toEqual({
      inconsistencies: ['bucket 0 has -1 available slots'],
      repair: repairedTo(7, 0, 5),
    });
    expect(
      check({ buckets: [{ ...zero, available: 8 }, one], reserve: { available: -1, total: 20, exhausted: false } }),
    ).toEqual({
      inconsistencies: ['the reserve has -1 available slots'],
      // The excess is taken from the bucket with the most available slots.
      repair: repairedTo(0, 7, 5),
    });
  });

  it('KEY-8 repairs an enforced limit that differs from the grants', () => {
    expect(check({ reserve: { available: 4, total: 19, exhausted: false } })).toEqual({
      inconsistencies: ['the reserve enforces 19, but 20 activations are granted'],
      repair: repairedTo(4, 3, 5),
    });
  });

  it('KEY-8 repairs slots that do not add up to the grants', () => {
    expect(check({ reserve: { available: 3, total: 20, exhausted: false } })).toEqual({
      inconsistencies: ['the slots add up to 19, but 20 activations are granted'],
      repair: repairedTo(4, 3, 5),
    });
    expect(check({ granted: 12, reserve: { available: 1, total: 12, exhausted: false } })).toEqual({
      inconsistencies: ['the slots add up to 17, but 12 activations are granted'],
      // Four too many: all are taken from the bucket with the most available slots.
      repair: repairedTo(0, 3, 1, 12),
    });
    expect(check({ granted: 9, reserve: { available: 0, total: 9, exhausted: false } }).repair).toEqual(
      repairedTo(0, 1, 0, 9),
    );
  });

  it('MAK-3 reports an exhausted mark while slots are left, and accepts it when all are used', () => {
    expect(check({ reserve: { available: 4, total: 20, exhausted: true } }).inconsistencies).toEqual([
      'the key is marked as exhausted, but only 8 of 20 activations are used',
    ]);
    const buckets = [zero, one].map((each) => ({ ...each, available: 0 }));
    expect(
      check({ granted: 8, buckets, reserve: { available: 0, total: 8, exhausted: true } }).inconsistencies,
    ).toEqual([]);
  });
});

describe('a KMS key', () => {
  const callReference = 'CALL-1';
  const spentOverride = anOverride({ callReference, usedAt: tuesdayTen });
  const overrideGrant = aGrant({ kind: 'override', amount: 1, reference: callReference });
  const slotGrant = aGrant({ amount: policy.kms.hostPlaces });
  const check = (members: Partial<KmsKey>) => checkKmsConsistency(aKmsKey(members), policy);

  it('KMS-1 OVR-1 is consistent with six hosts within their activations', () => {
    expect(check({})).toEqual([]);
    expect(check({ hosts: hosts(6, { uses: 10 }) })).toEqual([]);
    const hostWithOverride = aHost({ uses: 11, overridesSpent: 1 });
    expect(
      check({ hosts: [hostWithOverride], grants: [slotGrant, overrideGrant], overrides: [spentOverride] }),
    ).toEqual([]);
    const hostWithoutSlot = aHost({ slot: 'override', uses: 1, overridesSpent: 1 });
    expect(check({ hosts: [hostWithoutSlot], grants: [slotGrant, overrideGrant], overrides: [spentOverride] })).toEqual(
      [],
    );
  });

  it('KMS-1 reports one host more than slots, without counting hosts that activated by override', () => {
    expect(check({ hosts: hosts(7) })).toEqual(['7 hosts have a slot, but 6 slots are granted']);
    const hostWithoutSlot = aHost({ installationId: installationId(7), slot: 'override', uses: 0 });
    expect(check({ hosts: [...hosts(6), hostWithoutSlot] })).toEqual([]);
  });

  it('KMS-1 reports a duplicate host', () => {
    expect(check({ hosts: [aHost(), aHost()] })).toEqual(['a host is listed twice']);
  });

  it('OVR-3 reports an override without its grant, a grant without its override, and different references', () => {
    const unspentOverride = anOverride({ callReference });
    const [one, two] = ['CALL-1', 'CALL-2'].map((reference) => aGrant({ kind: 'override', amount: 1, reference }));
    if (one === undefined || two === undefined) throw new Error('two grants');
    const mismatch = (grantCount: number, overrideCount: number) => [
      `${grantCount} override grants do not match ${overrideCount} overrides by their references`,
    ];
    expect(check({ overrides: [unspentOverride] })).toEqual(mismatch(0, 1));
    expect(check({ grants: [slotGrant, one] })).toEqual(mismatch(1, 0));
    expect(check({ grants: [slotGrant, two], overrides: [unspentOverride] })).toEqual(mismatch(1, 1));
    // The order of the references does not matter.
    const both = [unspentOverride, anOverride({ callReference: 'CALL-2' })];
    expect(check({ grants: [slotGrant, two, one], overrides: both })).toEqual([]);
    expect(check({ grants: [slotGrant, one, two], overrides: both.toReversed() })).toEqual([]);
  });

  it('OVR-1 reports a host whose spent overrides differ from those marked as used', () => {
    const granted = { grants: [slotGrant, overrideGrant] };
    const host = aHost({ uses: 2, overridesSpent: 1 });
    const sentence = (spentCount: number, usedCount: number) => [
      `host ${installationId(1)} has spent ${spentCount} overrides, but ${usedCount} are marked as used`,
    ];
    expect(check({ ...granted, hosts: [host], overrides: [{ ...spentOverride, usedAt: null }] })).toEqual(
      sentence(1, 0),
    );
    expect(check({ ...granted, hosts: [{ ...host, overridesSpent: 0 }], overrides: [spentOverride] })).toEqual(
      sentence(0, 1),
    );
    // An override that another host spent does not count.
    const ofAnother = { ...spentOverride, installationId: installationId(2) };
    expect(check({ ...granted, hosts: [host], overrides: [ofAnother] })).toEqual(sentence(1, 0));
  });

  it('KMS-1 OVR-1 reports a host with too many activations, or fewer activations than overrides', () => {
    const beyond = (uses: number, overrides: number) => [
      `host ${installationId(1)} has ${uses} activations, ${overrides} of them overrides`,
    ];
    const hostWithOverride = { grants: [slotGrant, overrideGrant], overrides: [spentOverride] };
    expect(check({ hosts: [aHost({ uses: 11 })] })).toEqual(beyond(11, 0));
    expect(check({ hosts: [aHost({ slot: 'override', uses: 1 })] })).toEqual(beyond(1, 0));
    expect(check({ ...hostWithOverride, hosts: [aHost({ uses: 12, overridesSpent: 1 })] })).toEqual(beyond(12, 1));
    expect(check({ ...hostWithOverride, hosts: [aHost({ uses: 0, overridesSpent: 1 })] })).toEqual(beyond(0, 1));
  });

  it('BLK-1 is checked the same way when it is blocked', () => {
    expect(check({ state: blockedState(), hosts: hosts(7) })).toHaveLength(1);
  });
});
