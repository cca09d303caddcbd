import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Grant } from '../../../domain/keys/grant.ts';
import { findGrant, limitOf, originalLimitOf } from '../../../domain/keys/grant.ts';
import { aGrant } from '../../builders.ts';

const initial = aGrant({ kind: 'initial', amount: 100, reference: 'E-1001' });
const byPhone = aGrant({ kind: 'call-center', amount: 40, reference: 'CALL-1' });
const byException = aGrant({ kind: 'exception', amount: 500, reference: 'X-1' });
const override = aGrant({ kind: 'override', amount: 1, reference: 'CALL-1' });

const anyGrants = fc.array(
  fc.record({
    kind: fc.constantFrom<Grant['kind']>('initial', 'override', 'call-center', 'exception'),
    amount: fc.nat(100_000),
  }),
);

describe('the limit of a key', () => {
  it('KEY-8 is the sum of the initial, call center, and exception grants', () => {
    expect(limitOf([initial, byPhone, byException])).toBe(640);
  });

  it('KEY-8 does not count overrides, which are activations of one host', () => {
    expect(limitOf([initial, override, override])).toBe(100);
    expect(limitOf([override])).toBe(0);
  });

  it('KEY-8 is zero without a grant', () => {
    expect(limitOf([])).toBe(0);
    expect(originalLimitOf([])).toBe(0);
  });

  it('KEY-8 is the same sum for any order and division of the grants', () => {
    fc.assert(
      fc.property(anyGrants, anyGrants, (some, others) => {
        const [one, other] = [some.map(aGrant), others.map(aGrant)];
        expect(limitOf([...one, ...other])).toBe(limitOf(other) + limitOf(one));
        expect(limitOf(one.toReversed())).toBe(limitOf(one));
      }),
    );
  });

  it('KEY-8 rises by exactly the amount of each new grant that is not an override', () => {
    fc.assert(
      fc.property(anyGrants, fc.nat(100_000), (grants, amount) => {
        const before = grants.map(aGrant);
        const raisedBy = (kind: Grant['kind']) => limitOf([...before, aGrant({ kind, amount })]) - limitOf(before);
        expect([raisedBy('initial'), raisedBy('call-center'), raisedBy('exception')]).toEqual([amount, amount, amount]);
        expect(raisedBy('override')).toBe(0);
      }),
    );
  });
});

describe('the original limit of a key', () => {
  it('MAK-4 is the limit that it was issued with, whatever was added since', () => {
    expect(originalLimitOf([initial, byPhone, byException, override])).toBe(100);
  });
});

describe('a repeated call', () => {
  it('OVR-4 is found by its reference among the grants of its kind', () => {
    const grants = [initial, byPhone, override];
    expect(findGrant(grants, 'call-center', 'CALL-1')).toBe(byPhone);
    expect(findGrant(grants, 'override', 'CALL-1')).toBe(override);
  });

  it('OVR-4 is not found for another reference or another kind', () => {
    const grants = [initial, byPhone];
    expect(findGrant(grants, 'call-center', 'CALL-2')).toBeUndefined();
    expect(findGrant(grants, 'override', 'CALL-1')).toBeUndefined();
    expect(findGrant([], 'override', 'CALL-1')).toBeUndefined();
  });
});
