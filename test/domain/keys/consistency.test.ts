import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MakAccount } from '../../../domain/keys/consistency.ts';
import { judgeKms, judgeMak } from '../../../domain/keys/consistency.ts';
import type { KmsKey } from '../../../domain/keys/key.ts';
import { aGrant, aHost, aKmsKey, anOverride, blocked, hosts, installationId, policy } from '../../builders.ts';
import { tuesdayTen } from '../../instants.ts';

const machinesOf = (bucket: number, count: number) => Array.from({ length: count }, (_, one) => `${bucket}-${one}`);

/** Buckets that hold these marks, whatever they count, under a limit that is no smaller than the marks. */
const anyAccount: fc.Arbitrary<MakAccount> = fc
  .record({
    marks: fc.array(fc.nat(20), { minLength: 1, maxLength: 12 }),
    counted: fc.array(fc.integer({ min: -5, max: 30 }), { minLength: 12, maxLength: 12 }),
    free: fc.array(fc.integer({ min: -5, max: 30 }), { minLength: 12, maxLength: 12 }),
    more: fc.nat(100),
    reserve: fc.record({ free: fc.integer({ min: -50, max: 500 }), total: fc.nat(500), spent: fc.boolean() }),
  })
  .map(({ marks, counted, free, more, reserve }) => ({
    granted: marks.reduce((sum, each) => sum + each, more),
    status: 'live',
    bucketCount: marks.length,
    reserve,
    buckets: marks.map((count, bucket) => ({
      bucket,
      used: counted[bucket] ?? 0,
      free: free[bucket] ?? 0,
      modulus: marks.length,
      blocked: false,
      machines: machinesOf(bucket, count),
      strangers: 0,
    })),
  }));

function isWhole({ granted, reserve, buckets }: MakAccount): boolean {
  const places = buckets.reduce((sum, { used, free }) => sum + used + free, reserve.free);
  const used = buckets.reduce((sum, bucket) => sum + bucket.used, 0);
  return (
    places === granted &&
    reserve.total === granted &&
    reserve.free >= 0 &&
    !(reserve.spent && used < granted) &&
    buckets.every((bucket) => bucket.used === bucket.machines.length && bucket.free >= 0)
  );
}

describe('any counts of a key whose marks are all there', () => {
  it('KEY-8 MAK-1 are wrong or right by the sums alone, and right after they are balanced', () => {
    fc.assert(
      fc.property(anyAccount, (account) => {
        const { wrong, balanced } = judgeMak(account);
        expect(wrong.length === 0).toBe(isWhole(account));
        if (balanced === null) {
          expect(wrong).toEqual([]);
          return;
        }
        const after = new Map(balanced.buckets.map((bucket) => [bucket.bucket, bucket]));
        const mended = {
          ...account,
          reserve: { free: balanced.reserveFree, total: balanced.total, spent: false },
          buckets: account.buckets.map((bucket) => ({ ...bucket, ...after.get(bucket.bucket) })),
        };
        expect(isWhole(mended)).toBe(true);
        expect(judgeMak(mended)).toEqual({ wrong: [], balanced: null });
        // No bucket gets places that it had not: what is wanting goes to the reserve.
        for (const { bucket, free } of balanced.buckets)
          expect(free).toBeLessThanOrEqual(Math.max(0, account.buckets[bucket]?.free ?? 0));
      }),
    );
  });
});

describe('a key of which a bucket is not split yet', () => {
  const bucket = { used: 0, free: 10, blocked: false, machines: [], strangers: 0 };
  const account = (buckets: MakAccount['buckets'], bucketCount = 4): MakAccount => ({
    granted: buckets.length * 10,
    status: 'live',
    bucketCount,
    reserve: { free: 0, total: buckets.length * 10, spent: false },
    buckets,
  });
  const split = [
    { ...bucket, bucket: 0, modulus: 4 },
    { ...bucket, bucket: 2, modulus: 4 },
  ];

  it('MAK-1 is whole: it holds what is of its halves', () => {
    expect(judgeMak(account([...split, { ...bucket, bucket: 1, modulus: 2 }])).wrong).toEqual([]);
  });

  it('MAK-1 misses a half, and finds one that is there twice', () => {
    expect(judgeMak(account(split)).wrong).toEqual(['bucket 1, 3 is missing, with the marks that were in it']);
    const twice = [...split, { ...bucket, bucket: 1, modulus: 2 }, { ...bucket, bucket: 3, modulus: 4 }];
    expect(judgeMak(account(twice)).wrong).toEqual(['bucket 3 is there whole and split']);
  });

  it('MAK-1 is laid out for no more buckets than the key knows of', () => {
    const far = [...split, { ...bucket, bucket: 1, modulus: 4 }, { ...bucket, bucket: 3, modulus: 4 }];
    expect(judgeMak(account(far, 2)).wrong.filter((each) => each.includes('laid out for more'))).toHaveLength(4);
  });
});

describe('a key that was spent, and replaced', () => {
  const account = (status: MakAccount['status']): MakAccount => ({
    granted: 10,
    status,
    bucketCount: 1,
    reserve: { free: 0, total: 10, spent: true },
    buckets: [{ bucket: 0, used: 9, free: 1, modulus: 1, blocked: true, machines: machinesOf(0, 9), strangers: 0 }],
  });

  it('BLK-3 is whole when a machine has left it, as it is not before it is blocked', () => {
    expect(judgeMak(account('blocked')).wrong).toEqual([]);
    expect(judgeMak(account('blocking')).wrong).toEqual(['it is remembered as spent, and 9 of 10 are used']);
  });
});

describe('a MAK of two buckets and twenty places', () => {
  const bucket = (number: number, machines: number) => ({
    bucket: number,
    used: machines,
    free: 8 - machines,
    modulus: 2,
    blocked: false,
    machines: machinesOf(number, machines),
    strangers: 0,
  });
  const [zero, one] = [bucket(0, 5), bucket(1, 3)];
  const whole: MakAccount = {
    granted: 20,
    status: 'live',
    bucketCount: 2,
    reserve: { free: 4, total: 20, spent: false },
    buckets: [zero, one],
  };
  const wrong = (facts: Partial<MakAccount>) => judgeMak({ ...whole, ...facts });
  const balancedAs = (reserveFree: number, first: number, second: number, total = 20) => ({
    reserveFree,
    total,
    buckets: [
      { bucket: 0, used: 5, free: first },
      { bucket: 1, used: 3, free: second },
    ],
  });

  it('MAK-1 KEY-8 is whole', () => {
    expect(judgeMak(whole)).toEqual({ wrong: [], balanced: null });
  });

  it('MAK-1 has a machine in two buckets, and nobody can say which is its own', () => {
    const buckets = [zero, { ...one, machines: ['0-0', '0-1', '1-2'] }];
    expect(wrong({ buckets })).toEqual({ wrong: ['2 machines have their mark in two buckets'], balanced: null });
  });

  it('MAK-1 has machines that belong into another bucket', () => {
    expect(wrong({ buckets: [zero, { ...one, strangers: 2 }] })).toEqual({
      wrong: ['2 machines in bucket 1 belong into another'],
      balanced: null,
    });
  });

  it('MAK-1 has one machine more than was granted, and is right with as many', () => {
    const full = { ...whole, reserve: { free: 0, total: 8, spent: true }, granted: 8 };
    const buckets = [zero, one].map((each) => ({ ...each, free: 0 }));
    expect(judgeMak({ ...full, buckets })).toEqual({ wrong: [], balanced: null });
    expect(judgeMak({ ...full, buckets, granted: 7 })).toEqual({
      wrong: [
        '8 machines are activated, and 7 were granted',
        'the reserve enforces 8, and 7 were granted',
        'its places add up to 8, and 7 were granted',
      ],
      balanced: null,
    });
  });

  it('BLK-2 is live with a blocked bucket, or blocked with all of them blocked, which is right', () => {
    expect(wrong({ buckets: [zero, { ...one, blocked: true }] })).toEqual({
      wrong: ['the key is live, and some of its buckets are blocked'],
      balanced: null,
    });
    const buckets = [zero, one].map((each) => ({ ...each, blocked: true }));
    expect(wrong({ status: 'blocked', buckets }).wrong).toEqual([]);
  });

  it('MAK-1 names the numbers that are missing or there twice, each by itself', () => {
    expect(wrong({ bucketCount: 4 }).wrong).toEqual([]);
    const oneOfFour = [{ ...zero, modulus: 4, free: 3 + 8 + 0 }];
    expect(wrong({ bucketCount: 4, buckets: oneOfFour }).wrong).toEqual([
      'bucket 1, 2, 3 is missing, with the marks that were in it',
    ]);
    const twice = [zero, one, ...[0, 1].map((number) => ({ ...bucket(number, 0), modulus: 1 + number, free: 0 }))];
    expect(wrong({ buckets: twice }).wrong).toContain('bucket 0, 1 is there whole and split');
  });

  it('MAK-1 counts another number than it has marks', () => {
    expect(wrong({ buckets: [{ ...zero, used: 6, free: 2 }, one] })).toEqual({
      wrong: ['bucket 0 counts 6 and has 5 marks'],
      balanced: balancedAs(5, 2, 5),
    });
  });

  it('KEY-8 has less than no place free, in a bucket or in the reserve', () => {
    expect(wrong({ buckets: [{ ...zero, free: -1 }, one], reserve: { free: 8, total: 20, spent: false } })).toEqual({
      wrong: ['bucket 0 has -1 free places'],
      balanced: balancedAs(7, 0, 5),
    });
    expect(wrong({ buckets: [{ ...zero, free: 8 }, one], reserve: { free: -1, total: 20, spent: false } })).toEqual({
      wrong: ['the reserve has -1 free places'],
      // The bucket with the most free places gives what is over.
      balanced: balancedAs(0, 7, 5),
    });
  });

  it('KEY-8 enforces another limit than was granted', () => {
    expect(wrong({ reserve: { free: 4, total: 19, spent: false } })).toEqual({
      wrong: ['the reserve enforces 19, and 20 were granted'],
      balanced: balancedAs(4, 3, 5),
    });
  });

  it('KEY-8 has places that do not add up to what was granted', () => {
    expect(wrong({ reserve: { free: 3, total: 20, spent: false } })).toEqual({
      wrong: ['its places add up to 19, and 20 were granted'],
      balanced: balancedAs(4, 3, 5),
    });
    expect(wrong({ granted: 12, reserve: { free: 1, total: 12, spent: false } })).toEqual({
      wrong: ['its places add up to 17, and 12 were granted'],
      // Four too many: all come off the bucket with the most, and none from where there are few.
      balanced: balancedAs(0, 3, 1, 12),
    });
    expect(wrong({ granted: 9, reserve: { free: 0, total: 9, spent: false } }).balanced).toEqual(
      balancedAs(0, 1, 0, 9),
    );
  });

  it('MAK-3 is remembered as spent with places left, and rightly when all are used', () => {
    expect(wrong({ reserve: { free: 4, total: 20, spent: true } }).wrong).toEqual([
      'it is remembered as spent, and 8 of 20 are used',
    ]);
    const buckets = [zero, one].map((each) => ({ ...each, free: 0 }));
    expect(wrong({ granted: 8, buckets, reserve: { free: 0, total: 8, spent: true } }).wrong).toEqual([]);
  });
});

describe('a KMS key', () => {
  const callReference = 'CALL-1';
  const spent = anOverride({ callReference, spentAt: tuesdayTen });
  const overrideGrant = aGrant({ kind: 'override', amount: 1, reference: callReference });
  const places = aGrant({ amount: policy.kms.hostPlaces });
  const wrong = (facts: Partial<KmsKey>) => judgeKms(aKmsKey(facts), policy);

  it('KMS-1 OVR-1 fits together with six hosts, each within its uses', () => {
    expect(wrong({})).toEqual([]);
    expect(wrong({ hosts: hosts(6, { uses: 10 }) })).toEqual([]);
    const overridden = aHost({ uses: 11, overridesSpent: 1 });
    expect(wrong({ hosts: [overridden], grants: [places, overrideGrant], overrides: [spent] })).toEqual([]);
    const placeless = aHost({ place: 'override', uses: 1, overridesSpent: 1 });
    expect(wrong({ hosts: [placeless], grants: [places, overrideGrant], overrides: [spent] })).toEqual([]);
  });

  it('KMS-1 has a host more than places, of which one by an override takes none', () => {
    expect(wrong({ hosts: hosts(7) })).toEqual(['7 hosts have a place, and 6 places were granted']);
    const placeless = aHost({ installationId: installationId(7), place: 'override', uses: 0 });
    expect(wrong({ hosts: [...hosts(6), placeless] })).toEqual([]);
  });

  it('KMS-1 has a host twice', () => {
    expect(wrong({ hosts: [aHost(), aHost()] })).toEqual(['a host is there twice']);
  });

  it('OVR-3 has an override without its grant, a grant without its override, or one under another reference', () => {
    const unspent = anOverride({ callReference });
    const [one, two] = ['CALL-1', 'CALL-2'].map((reference) => aGrant({ kind: 'override', amount: 1, reference }));
    if (one === undefined || two === undefined) throw new Error('two grants');
    const differ = (granted: number, given: number) => [
      `${granted} overrides were granted and ${given} are there, or under other references`,
    ];
    expect(wrong({ overrides: [unspent] })).toEqual(differ(0, 1));
    expect(wrong({ grants: [places, one] })).toEqual(differ(1, 0));
    expect(wrong({ grants: [places, two], overrides: [unspent] })).toEqual(differ(1, 1));
    // In whatever order: the same references are the same overrides.
    const both = [unspent, anOverride({ callReference: 'CALL-2' })];
    expect(wrong({ grants: [places, two, one], overrides: both })).toEqual([]);
    expect(wrong({ grants: [places, one, two], overrides: both.toReversed() })).toEqual([]);
  });

  it('OVR-1 has a host that spent another number of overrides than are marked as spent on it', () => {
    const granted = { grants: [places, overrideGrant] };
    const host = aHost({ uses: 2, overridesSpent: 1 });
    const sentence = (counted: number, marked: number) => [
      `host ${installationId(1)} has spent ${counted} overrides, and ${marked} are marked as spent`,
    ];
    expect(wrong({ ...granted, hosts: [host], overrides: [{ ...spent, spentAt: null }] })).toEqual(sentence(1, 0));
    expect(wrong({ ...granted, hosts: [{ ...host, overridesSpent: 0 }], overrides: [spent] })).toEqual(sentence(0, 1));
    // One that another host spent is not its own.
    const ofAnother = { ...spent, installationId: installationId(2) };
    expect(wrong({ ...granted, hosts: [host], overrides: [ofAnother] })).toEqual(sentence(1, 0));
  });

  it('KMS-1 OVR-1 has a host beyond its uses, or with fewer uses than overrides', () => {
    const beyond = (uses: number, overrides: number) => [
      `host ${installationId(1)} has ${uses} uses, ${overrides} of them overrides`,
    ];
    const overridden = { grants: [places, overrideGrant], overrides: [spent] };
    expect(wrong({ hosts: [aHost({ uses: 11 })] })).toEqual(beyond(11, 0));
    expect(wrong({ hosts: [aHost({ place: 'override', uses: 1 })] })).toEqual(beyond(1, 0));
    expect(wrong({ ...overridden, hosts: [aHost({ uses: 12, overridesSpent: 1 })] })).toEqual(beyond(12, 1));
    expect(wrong({ ...overridden, hosts: [aHost({ uses: 0, overridesSpent: 1 })] })).toEqual(beyond(0, 1));
  });

  it('BLK-1 is judged alike when it is blocked', () => {
    expect(wrong({ status: blocked(), hosts: hosts(7) })).toHaveLength(1);
  });
});
