import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MakAccount } from '../../domain/account.ts';
import { judgeMak } from '../../domain/account.ts';

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
