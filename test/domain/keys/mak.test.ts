import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limitOf } from '../../../domain/keys/grant.ts';
import {
  callCenterHeadroom,
  callCenterMaximum,
  increaseLimit,
  makRemedies,
  refuseAtLimit,
} from '../../../domain/keys/mak.ts';
import {
  aGrant,
  agent,
  aKmsKey,
  aMak,
  anAgreement,
  blockedState,
  context,
  expectAccepted,
  expectRefusal,
  policy,
} from '../../builders.ts';
import { mondayTen, tuesdayTen } from '../../instants.ts';

const agreement = anAgreement();
const call = (newLimit: number, callReference = 'CALL-1') => ({
  newLimit,
  callReference,
  callerName: 'Inés Oliveira',
});
const byException = aGrant({ kind: 'exception', amount: 500, reference: 'X-1' });

describe('the headroom of the call center for a MAK', () => {
  it('MAK-4 is up to double the original limit', () => {
    expect(callCenterMaximum(aMak({ original: 100 }), policy)).toBe(200);
    expect(callCenterHeadroom(aMak({ original: 100 }), policy)).toBe(100);
  });

  it('MAK-4 is reduced by previous calls', () => {
    const raisedMak = aMak({ grants: [aGrant({ amount: 100 }), aGrant({ kind: 'call-center', amount: 60 })] });
    expect(callCenterMaximum(raisedMak, policy)).toBe(200);
    expect(callCenterHeadroom(raisedMak, policy)).toBe(40);
  });

  it('MAK-4 is zero, not negative, after an exception raised the limit above double', () => {
    const raisedMak = aMak({ grants: [aGrant({ amount: 100 }), byException] });
    expect(callCenterMaximum(raisedMak, policy)).toBe(200);
    expect(callCenterHeadroom(raisedMak, policy)).toBe(0);
  });
});

describe('an increase by phone', () => {
  it('MAK-4 sets the requested limit, and records the actor and the reference', () => {
    const grant = {
      kind: 'call-center',
      amount: 50,
      at: tuesdayTen,
      by: agent,
      reference: 'CALL-1',
      approvedBy: null,
    };
    const mak = aMak();
    expect(increaseLimit(mak, call(150), agreement, context({ actor: agent, now: tuesdayTen }))).toEqual({
      ok: true,
      grant,
      key: { ...mak, grants: [...mak.grants, grant] },
      repeated: false,
    });
  });

  it('MAK-4 can go to exactly double, or add as little as one', () => {
    expect(
      limitOf(
        expectAccepted(increaseLimit(aMak(), call(200), agreement, context({ actor: agent, now: mondayTen }))).key
          .grants,
      ),
    ).toBe(200);
    expect(
      limitOf(
        expectAccepted(increaseLimit(aMak(), call(101), agreement, context({ actor: agent, now: mondayTen }))).key
          .grants,
      ),
    ).toBe(101);
  });

  it('MAK-5 is refused above double, with a draft of a MAKADD request for the difference', () => {
    expect(
      expectRefusal(increaseLimit(aMak(), call(201), agreement, context({ actor: agent, now: mondayTen }))),
    ).toEqual({
      code: 'above-call-center-limit',
      detail: 'The call center can raise this key to at most 200. For a higher limit, submit a MAKADD request.',
      maximumLimit: 200,
      draft: {
        kind: 'MAKADD',
        organizationName: 'Alder School District',
        agreementNumber: 'E-1001',
        product: 'windows-vista-business',
        keyLastFive: 'BCDFG',
        activationsRequested: 101,
      },
    });
  });

  it('MAK-4 is limited to double over all calls together', () => {
    const afterFirstCall = expectAccepted(
      increaseLimit(aMak(), call(160), agreement, context({ actor: agent, now: mondayTen })),
    ).key;
    expect(
      expectRefusal(
        increaseLimit(afterFirstCall, call(201, 'CALL-2'), agreement, context({ actor: agent, now: tuesdayTen })),
      ),
    ).toMatchObject({
      code: 'above-call-center-limit',
      maximumLimit: 200,
      draft: { activationsRequested: 41 },
    });
    const afterSecondCall = expectAccepted(
      increaseLimit(afterFirstCall, call(200, 'CALL-2'), agreement, context({ actor: agent, now: tuesdayTen })),
    ).key;
    expect(limitOf(afterSecondCall.grants)).toBe(200);
    expect(afterSecondCall.grants.map(({ amount }) => amount)).toEqual([100, 60, 40]);
  });

  it.each([100, 99, 0])('MAK-4 to %i is refused as not above the limit of 100, with the current limit', (newLimit) => {
    expect(
      expectRefusal(increaseLimit(aMak(), call(newLimit), agreement, context({ actor: agent, now: mondayTen }))),
    ).toEqual({
      code: 'limit-not-raised',
      detail: 'The limit is already 100. Enter a new limit above 100.',
      limit: 100,
    });
  });

  it('MAK-4 on a key above double is refused as no increase, or as above the call center’s limit', () => {
    const raisedMak = aMak({ grants: [aGrant({ amount: 100 }), byException] });
    const codeOf = (newLimit: number) =>
      expectRefusal(increaseLimit(raisedMak, call(newLimit), agreement, context({ actor: agent, now: mondayTen })))
        .code;
    expect([codeOf(200), codeOf(600), codeOf(601)]).toEqual([
      'limit-not-raised',
      'limit-not-raised',
      'above-call-center-limit',
    ]);
  });

  it('OVR-4 returns the first grant for a repeated reference and grants nothing more', () => {
    const first = expectAccepted(
      increaseLimit(aMak(), call(150), agreement, context({ actor: agent, now: mondayTen })),
    );
    expect(increaseLimit(first.key, call(180), agreement, context({ actor: agent, now: tuesdayTen }))).toEqual({
      ok: true,
      grant: first.grant,
      key: first.key,
      repeated: true,
    });
  });

  it('OVR-4 does not treat the reference of an exception grant as repeated', () => {
    const raisedMak = aMak({ grants: [aGrant({ amount: 100 }), { ...byException, amount: 10, reference: 'CALL-1' }] });
    expect(
      expectAccepted(increaseLimit(raisedMak, call(150), agreement, context({ actor: agent, now: mondayTen }))),
    ).toMatchObject({
      repeated: false,
      grant: { kind: 'call-center', amount: 40 },
    });
  });

  it('BLK-1 is refused for a blocked key, but a repeated call returns its grant', () => {
    const first = expectAccepted(
      increaseLimit(aMak(), call(150), agreement, context({ actor: agent, now: mondayTen })),
    );
    const mak = { ...first.key, state: blockedState() };
    expect(
      expectRefusal(increaseLimit(mak, call(160, 'CALL-2'), agreement, context({ actor: agent, now: tuesdayTen })))
        .code,
    ).toBe('key-blocked');
    expect(
      expectAccepted(increaseLimit(mak, call(150), agreement, context({ actor: agent, now: tuesdayTen }))).repeated,
    ).toBe(true);
  });

  it('KMS-1 is refused for a KMS key, with advice to grant an override', () => {
    expect(
      expectRefusal(increaseLimit(aKmsKey(), call(12), agreement, context({ actor: agent, now: mondayTen }))),
    ).toEqual({
      code: 'wrong-key-type',
      detail: 'The call center cannot raise the limit of a KMS key. Grant an override to its host instead.',
    });
  });

  it('MAK-4 KEY-8 never exceeds double, and the limit is the sum of the grants, for any sequence of calls', () => {
    const calls = fc.array(
      fc.record({ newLimit: fc.integer({ min: -5, max: 500 }), callReference: fc.nat(5).map(String) }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), calls, (original, requests) => {
        const amounts = new Map<string, number>();
        const end = requests.reduce((mak, { newLimit, callReference }) => {
          const limit = limitOf(mak.grants);
          const result = increaseLimit(
            mak,
            call(newLimit, callReference),
            agreement,
            context({ actor: agent, now: mondayTen }),
          );
          const firstAmount = amounts.get(callReference);
          if (firstAmount === undefined) expect(result.ok).toBe(newLimit > limit && newLimit <= 2 * original);
          if (!result.ok) return mak;
          expect(result.grant.amount).toBe(firstAmount ?? newLimit - limit);
          expect(limitOf(result.key.grants)).toBe(firstAmount === undefined ? newLimit : limit);
          amounts.set(callReference, result.grant.amount);
          return result.key;
        }, aMak({ original }));
        expect(limitOf(end.grants)).toBeLessThanOrEqual(2 * original);
        expect(limitOf(end.grants)).toBe(original + [...amounts.values()].reduce((sum, amount) => sum + amount, 0));
      }),
    );
  });
});

describe('a MAK at its limit', () => {
  const draft = {
    kind: 'MAKADD',
    organizationName: 'Alder School District',
    agreementNumber: 'E-1001',
    product: 'windows-vista-enterprise',
    keyLastFive: 'BCDFG',
  };

  it('MAK-5 is refused with both remedies: an increase by phone, or a draft of a MAKADD request', () => {
    expect(refuseAtLimit(aMak(), 100, { agreement, product: 'windows-vista-enterprise' }, policy)).toEqual({
      ok: false,
      refusal: {
        code: 'activation-limit-reached',
        detail:
          'All 100 activations of the key ending in BCDFG are used. Ask the call center to add up to 100, or submit a MAKADD request for more.',
        limit: 100,
        used: 100,
        remedies: [
          { kind: 'call-center-increase', available: true, maximum: 100 },
          { kind: 'MAKADD', available: true, draft: { ...draft, activationsRequested: 101 } },
        ],
      },
    });
  });

  it('MAK-5 is refused with MAKADD as the only remedy when the call center has no headroom', () => {
    const raisedMak = aMak({ grants: [aGrant({ amount: 100 }), aGrant({ kind: 'call-center', amount: 100 })] });
    expect(refuseAtLimit(raisedMak, 200, { agreement, product: 'windows-vista-enterprise' }, policy)).toEqual({
      ok: false,
      refusal: {
        code: 'activation-limit-reached',
        detail:
          'All 200 activations of the key ending in BCDFG are used. The call center cannot add any more. Submit a MAKADD request.',
        limit: 200,
        used: 200,
        remedies: [
          { kind: 'call-center-increase', available: false, maximum: 0 },
          { kind: 'MAKADD', available: true, draft: { ...draft, activationsRequested: 100 } },
        ],
      },
    });
  });

  it('EXC-4 drafts a request for a number that is an exception, whatever was granted before', () => {
    const added = fc.array(fc.record({ kind: fc.constantFrom('call-center', 'exception'), amount: fc.nat(150) }));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), added, (original, grants) => {
        const mak = aMak({ grants: [aGrant({ amount: original }), ...grants.map(aGrant)] });
        const [byPhone, byRequest] = makRemedies(mak, { agreement }, policy);
        expect(byRequest?.draft?.activationsRequested).toBeGreaterThan(byPhone?.maximum ?? 0);
        expect(byRequest?.draft?.activationsRequested).toBeGreaterThanOrEqual(original);
        expect(byPhone?.available).toBe(limitOf(mak.grants) < 2 * original);
      }),
    );
  });
});
