import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MakCounters } from '../../../domain/keys/consistency.ts';
import { checkKmsConsistency, checkMakConsistency } from '../../../domain/keys/consistency.ts';
import type { KmsKey } from '../../../domain/keys/key.ts';
import { aGrant, aHost, aKmsKey, anOverride, blockedState, hosts, installationId, policy } from '../../builders.ts';
import { tuesdayTen } from '../../instants.ts';

const machinesOf = (bucket: number, count: number) => Array.from({ length: count }, (_, one) => `${bucket}-${one}`);

/** Buckets that hold these marks, whatever they count, under a limit that is no smaller than the marks. */
const anyAccount: fc.Arbitrary<MakCounters> = fc
  .record({
    marks: fc.array(fc.nat(20), { minLength: 1, maxLength: 12 }),
    counted: fc.array(fc.integer({ min: -5, max: 30 }), { minLength: 12, maxLength: 12 }),
    available: fc.array(fc.integer({ min: -5, max: 30 }), { minLength: 12, maxLength: 12 }),
    more: fc.nat(100),
    reserve: fc.record({ available: fc.integer({ min: -50, max: 500 }), total: fc.nat(500), exhausted: fc.boolean() }),
  })
  .map(({ marks, counted, available, more, reserve }) => ({
    granted: marks.reduce((sum, each) => sum + each, more),
    status: 'live',
    bucketCount: marks.length,
    reserve,
    buckets: marks.map((count, bucket) => ({
      bucket,
      used: counted[bucket] ?? 0,
      available: available[bucket] ?? 0,
      modulus: marks.length,
      blocked: false,
      machines: machinesOf(bucket, count),
      misplaced: 0,
    })),
  }));

function isWhole({ granted, reserve, buckets }: MakCounters): boolean {
  const places = buckets.reduce((sum, { used, available: free }) => sum + used + free, reserve.available);
  const used = buckets.reduce((sum, bucket) => sum + bucket.used, 0);
  return (
    places === granted &&
    reserve.total === granted &&
    reserve.available >= 0 &&
    !(reserve.exhausted && used < granted) &&
    buckets.every((bucket) => bucket.used === bucket.machines.length && bucket.available >= 0)
  );
}

describe('any counters of a key with all its activation records', () => {
  it('KEY-8 MAK-1 are inconsistent exactly when the sums are, and consistent after the repair', () => {
    fc.assert(
      fc.property(anyAccount, (account) => {
        const { inconsistencies: wrong, repair: balanced } = checkMakConsistency(account);
        expect(wrong.length === 0).toBe(isWhole(account));
        if (balanced === null) {
          expect(wrong).toEqual([]);
          return;
        }
        const after = new Map(balanced.buckets.map((bucket) => [bucket.bucket, bucket]));
        const mended = {
          ...account,
          reserve: { available: balanced.reserveAvailable, total: balanced.total, exhausted: false },
          buckets: account.buckets.map((bucket) => ({ ...bucket, ...after.get(bucket.bucket) })),
        };
        expect(isWhole(mended)).toBe(true);
        expect(checkMakConsistency(mended)).toEqual({ inconsistencies: [], repair: null });
        // No bucket gets places that it had not: what is wanting goes to the reserve.
        for (const { bucket, available: free } of balanced.buckets)
          expect(free).toBeLessThanOrEqual(Math.max(0, account.buckets[bucket]?.available ?? 0));
      }),
    );
  });
});

describe('a key with a bucket that is not split yet', () => {
  const bucket = { used: 0, available: 10, blocked: false, machines: [], misplaced: 0 };
  const account = (buckets: MakCounters['buckets'], bucketCount = 4): MakCounters => ({
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
    expect(checkMakConsistency(account([...split, { ...bucket, bucket: 1, modulus: 2 }])).inconsistencies).toEqual([]);
  });

  it('MAK-1 reports a missing half, and a half that exists twice', () => {
    expect(checkMakConsistency(account(split)).inconsistencies).toEqual([
      'bucket 1, 3 is missing, with its activation records',
    ]);
    const twice = [...split, { ...bucket, bucket: 1, modulus: 2 }, { ...bucket, bucket: 3, modulus: 4 }];
    expect(checkMakConsistency(account(twice)).inconsistencies).toEqual(['bucket 3 exists both split and unsplit']);
  });

  it('MAK-1 reports buckets that are split for more buckets than the key has', () => {
    const far = [...split, { ...bucket, bucket: 1, modulus: 4 }, { ...bucket, bucket: 3, modulus: 4 }];
    expect(
      checkMakConsistency(account(far, 2)).inconsistencies.filter((each) => each.includes('is split for more')),
    ).toHaveLength(4);
  });
});

describe('a key that was exhausted, and replaced', () => {
  const account = (status: MakCounters['status']): MakCounters => ({
    granted: 10,
    status,
    bucketCount: 1,
    reserve: { available: 0, total: 10, exhausted: true },
    buckets: [
      { bucket: 0, used: 9, available: 1, modulus: 1, blocked: true, machines: machinesOf(0, 9), misplaced: 0 },
    ],
  });

  it('BLK-3 is consistent after a machine has moved, but not before the key is blocked', () => {
    expect(checkMakConsistency(account('blocked')).inconsistencies).toEqual([]);
    expect(checkMakConsistency(account('blocking')).inconsistencies).toEqual([
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
  const whole: MakCounters = {
    granted: 20,
    status: 'live',
    bucketCount: 2,
    reserve: { available: 4, total: 20, exhausted: false },
    buckets: [zero, one],
  };
  const wrong = (facts: Partial<MakCounters>) => checkMakConsistency({ ...whole, ...facts });
  const balancedAs = (reserveFree: number, first: number, second: number, total = 20) => ({
    reserveAvailable: reserveFree,
    total,
    buckets: [
      { bucket: 0, used: 5, available: first },
      { bucket: 1, used: 3, available: second },
    ],
  });

  it('MAK-1 KEY-8 is consistent', () => {
    expect(checkMakConsistency(whole)).toEqual({ inconsistencies: [], repair: null });
  });

  it('MAK-1 cannot be repaired when a machine is in two buckets', () => {
    const buckets = [zero, { ...one, machines: ['0-0', '0-1', '1-2'] }];
    expect(wrong({ buckets })).toEqual({
      inconsistencies: ['2 machines have activation records in two buckets'],
      repair: null,
    });
  });

  it('MAK-1 cannot be repaired when machines belong in another bucket', () => {
    expect(wrong({ buckets: [zero, { ...one, misplaced: 2 }] })).toEqual({
      inconsistencies: ['2 machines in bucket 1 belong in another bucket'],
      repair: null,
    });
  });

  it('MAK-1 cannot be repaired when one machine more than granted is activated', () => {
    const full = { ...whole, reserve: { available: 0, total: 8, exhausted: true }, granted: 8 };
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
    expect(wrong({ buckets: [zero, { ...one, blocked: true }] })).toEqual({
      inconsistencies: ['the key is live, but some of its buckets are blocked'],
      repair: null,
    });
    const buckets = [zero, one].map((each) => ({ ...each, blocked: true }));
    expect(wrong({ status: 'blocked', buckets }).inconsistencies).toEqual([]);
  });

  it('MAK-1 lists every missing bucket number and every duplicate one', () => {
    expect(wrong({ bucketCount: 4 }).inconsistencies).toEqual([]);
    const oneOfFour = [{ ...zero, modulus: 4, available: 3 + 8 + 0 }];
    expect(wrong({ bucketCount: 4, buckets: oneOfFour }).inconsistencies).toEqual([
      'bucket 1, 2, 3 is missing, with its activation records',
    ]);
    const twice = [zero, one, ...[0, 1].map((number) => ({ ...bucket(number, 0), modulus: 1 + number, available: 0 }))];
    expect(wrong({ buckets: twice }).inconsistencies).toContain('bucket 0, 1 exists both split and unsplit');
  });

  it('MAK-1 repairs a count that differs from the number of activation records', () => {
    expect(wrong({ buckets: [{ ...zero, used: 6, available: 2 }, one] })).toEqual({
      inconsistencies: ['bucket 0 counts 6 activations and has 5 activation records'],
      repair: balancedAs(5, 2, 5),
    });
  });

  it('KEY-8 repairs a negative number of available slots, in a bucket or in the reserve', () => {
    expect(
      wrong({ buckets: [{ ...zero, available: -1 }, one], reserve: { available: 8, total: 20, exhausted: false } }),
    ).toEqual({
      inconsistencies: ['bucket 0 has -1 available slots'],
      repair: balancedAs(7, 0, 5),
    });
    expect(
      wrong({ buckets: [{ ...zero, available: 8 }, one], reserve: { available: -1, total: 20, exhausted: false } }),
    ).toEqual({
      inconsistencies: ['the reserve has -1 available slots'],
      // The bucket with the most free places gives what is over.
      repair: balancedAs(0, 7, 5),
    });
  });

  it('KEY-8 repairs an enforced limit that differs from the grants', () => {
    expect(wrong({ reserve: { available: 4, total: 19, exhausted: false } })).toEqual({
      inconsistencies: ['the reserve enforces 19, but 20 activations are granted'],
      repair: balancedAs(4, 3, 5),
    });
  });

  it('KEY-8 repairs slots that do not add up to the grants', () => {
    expect(wrong({ reserve: { available: 3, total: 20, exhausted: false } })).toEqual({
      inconsistencies: ['the slots add up to 19, but 20 activations are granted'],
      repair: balancedAs(4, 3, 5),
    });
    expect(wrong({ granted: 12, reserve: { available: 1, total: 12, exhausted: false } })).toEqual({
      inconsistencies: ['the slots add up to 17, but 12 activations are granted'],
      // Four too many: all come off the bucket with the most, and none from where there are few.
      repair: balancedAs(0, 3, 1, 12),
    });
    expect(wrong({ granted: 9, reserve: { available: 0, total: 9, exhausted: false } }).repair).toEqual(
      balancedAs(0, 1, 0, 9),
    );
  });

  it('MAK-3 reports an exhausted mark while slots are left, and accepts it when all are used', () => {
    expect(wrong({ reserve: { available: 4, total: 20, exhausted: true } }).inconsistencies).toEqual([
      'the key is marked as exhausted, but only 8 of 20 activations are used',
    ]);
    const buckets = [zero, one].map((each) => ({ ...each, available: 0 }));
    expect(
      wrong({ granted: 8, buckets, reserve: { available: 0, total: 8, exhausted: true } }).inconsistencies,
    ).toEqual([]);
  });
});

describe('a KMS key', () => {
  const callReference = 'CALL-1';
  const spent = anOverride({ callReference, usedAt: tuesdayTen });
  const overrideGrant = aGrant({ kind: 'override', amount: 1, reference: callReference });
  const places = aGrant({ amount: policy.kms.hostPlaces });
  const wrong = (facts: Partial<KmsKey>) => checkKmsConsistency(aKmsKey(facts), policy);

  it('KMS-1 OVR-1 is consistent with six hosts within their activations', () => {
    expect(wrong({})).toEqual([]);
    expect(wrong({ hosts: hosts(6, { uses: 10 }) })).toEqual([]);
    const overridden = aHost({ uses: 11, overridesSpent: 1 });
    expect(wrong({ hosts: [overridden], grants: [places, overrideGrant], overrides: [spent] })).toEqual([]);
    const placeless = aHost({ slot: 'override', uses: 1, overridesSpent: 1 });
    expect(wrong({ hosts: [placeless], grants: [places, overrideGrant], overrides: [spent] })).toEqual([]);
  });

  it('KMS-1 reports one host more than slots, without counting hosts that activated by override', () => {
    expect(wrong({ hosts: hosts(7) })).toEqual(['7 hosts have a slot, but 6 slots are granted']);
    const placeless = aHost({ installationId: installationId(7), slot: 'override', uses: 0 });
    expect(wrong({ hosts: [...hosts(6), placeless] })).toEqual([]);
  });

  it('KMS-1 reports a duplicate host', () => {
    expect(wrong({ hosts: [aHost(), aHost()] })).toEqual(['a host is listed twice']);
  });

  it('OVR-3 reports an override without its grant, a grant without its override, and different references', () => {
    const unspent = anOverride({ callReference });
    const [one, two] = ['CALL-1', 'CALL-2'].map((reference) => aGrant({ kind: 'override', amount: 1, reference }));
    if (one === undefined || two === undefined) throw new Error('two grants');
    const differ = (granted: number, given: number) => [
      `${granted} override grants do not match ${given} overrides by their references`,
    ];
    expect(wrong({ overrides: [unspent] })).toEqual(differ(0, 1));
    expect(wrong({ grants: [places, one] })).toEqual(differ(1, 0));
    expect(wrong({ grants: [places, two], overrides: [unspent] })).toEqual(differ(1, 1));
    // In whatever order: the same references are the same overrides.
    const both = [unspent, anOverride({ callReference: 'CALL-2' })];
    expect(wrong({ grants: [places, two, one], overrides: both })).toEqual([]);
    expect(wrong({ grants: [places, one, two], overrides: both.toReversed() })).toEqual([]);
  });

  it('OVR-1 reports a host whose spent overrides differ from those marked as used', () => {
    const granted = { grants: [places, overrideGrant] };
    const host = aHost({ uses: 2, overridesSpent: 1 });
    const sentence = (counted: number, marked: number) => [
      `host ${installationId(1)} has spent ${counted} overrides, but ${marked} are marked as used`,
    ];
    expect(wrong({ ...granted, hosts: [host], overrides: [{ ...spent, usedAt: null }] })).toEqual(sentence(1, 0));
    expect(wrong({ ...granted, hosts: [{ ...host, overridesSpent: 0 }], overrides: [spent] })).toEqual(sentence(0, 1));
    // One that another host spent is not its own.
    const ofAnother = { ...spent, installationId: installationId(2) };
    expect(wrong({ ...granted, hosts: [host], overrides: [ofAnother] })).toEqual(sentence(1, 0));
  });

  it('KMS-1 OVR-1 reports a host with too many activations, or fewer activations than overrides', () => {
    const beyond = (uses: number, overrides: number) => [
      `host ${installationId(1)} has ${uses} activations, ${overrides} of them overrides`,
    ];
    const overridden = { grants: [places, overrideGrant], overrides: [spent] };
    expect(wrong({ hosts: [aHost({ uses: 11 })] })).toEqual(beyond(11, 0));
    expect(wrong({ hosts: [aHost({ slot: 'override', uses: 1 })] })).toEqual(beyond(1, 0));
    expect(wrong({ ...overridden, hosts: [aHost({ uses: 12, overridesSpent: 1 })] })).toEqual(beyond(12, 1));
    expect(wrong({ ...overridden, hosts: [aHost({ uses: 0, overridesSpent: 1 })] })).toEqual(beyond(0, 1));
  });

  it('BLK-1 is checked the same way when it is blocked', () => {
    expect(wrong({ state: blockedState(), hosts: hosts(7) })).toHaveLength(1);
  });
});
