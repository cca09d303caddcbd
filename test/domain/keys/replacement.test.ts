import { describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { limitOf } from '../../../domain/keys/grant.ts';
import type { Key } from '../../../domain/keys/key.ts';
import { beginReplacement, completeReplacement, withoutMovedHosts } from '../../../domain/keys/replacement.ts';
import { validateInstallation } from '../../../domain/keys/validation.ts';
import {
  aGrant,
  aKmsKey,
  aMak,
  anAgreement,
  anOverride,
  blockedState,
  blockingState,
  context,
  expectAccepted,
  expectRefusal,
  hosts,
  ines,
  installationId,
  policy,
  successor,
} from '../../builders.ts';
import { mondayTen, tuesdayTen } from '../../instants.ts';

const request = { reason: 'It leaked.', reference: 'CALL-1' };

describe('a live key', () => {
  it.each<Key>([aMak(), aKmsKey({ hosts: hosts(2) })])(
    'BLK-2 stops at the start of its replacement, with a fixed successor: $type',
    (key) => {
      const started = expectAccepted(
        beginReplacement(key, request, successor, context({ actor: ines.email, now: tuesdayTen })),
      );
      const state = { status: 'blocking', since: tuesdayTen, by: ines.email, reason: 'It leaked.', successor };
      expect(started.key).toEqual({ ...key, state });
      expect(started.event).toMatchObject({ actor: ines.email, action: 'replacement-begun', reference: 'CALL-1' });
      expect(started.event.detail).toContain(`ending in ${key.lastFive} is being replaced by one ending in QRTVW`);
    },
  );

  it('BLK-2 has no replacement to complete', () => {
    expect(completeReplacement(aMak(), anAgreement(), context({ now: tuesdayTen }))).toBeUndefined();
  });
});

describe('a key that is being replaced, or blocked', () => {
  it.each([
    ['held', blockingState, null],
    ['blocked', blockedState(), successor.lastFive],
    ['blocked without a successor', blockedState(null), null],
  ] as const)('BLK-2 cannot be replaced again while it is %s', (_, status, replacedBy) => {
    const refusal = expectRefusal(
      beginReplacement(
        aMak({ state: status }),
        request,
        { keyId: 'key-3', lastFive: 'CCCCC' },
        context({ actor: ines.email, now: tuesdayTen }),
      ),
    );
    expect(refusal).toMatchObject({ code: 'key-blocked', replacedBy });
  });

  it('BLK-2 cannot be completed twice', () => {
    expect(
      completeReplacement(aMak({ state: blockedState() }), anAgreement(), context({ now: tuesdayTen })),
    ).toBeUndefined();
  });
});

describe('a completed replacement', () => {
  it('BLK-2 LED-1 is recorded in the ledger with the limit of the new key and the reason', () => {
    const key = aMak({ state: blockingState });
    expect(completeReplacement(key, anAgreement(), context({ now: tuesdayTen }))?.event).toMatchObject({
      action: 'key-blocked',
      detail: `The key ending in ${key.lastFive} was blocked and replaced by the one ending in QRTVW, with a limit of ${limitOf(key.grants)}: It leaked.`,
    });
  });

  const raised = [
    aGrant({ amount: 100 }),
    aGrant({ kind: 'exception', amount: 500, approvedBy: 'noor@alder.example' }),
  ];

  it('BLK-1 sets both timestamps, for activation and for validation, and names the successor', () => {
    const key = aMak({ state: blockingState, grants: raised });
    const completed = completeReplacement(key, anAgreement(), context({ now: tuesdayTen }));
    const state = { status: 'blocked', at: tuesdayTen, validationAt: tuesdayTen, replacedBy: successor };
    expect(completed?.blocked).toEqual({ ...key, state });
    expect(completed?.event).toMatchObject({ actor: ines.email, action: 'key-blocked', reference: successor.keyId });
  });

  it('BLK-2 KEY-4 gives a MAK the standard allowance of its group, whatever limit the old key had', () => {
    const key = aMak({ state: blockingState, grants: raised });
    const issued = completeReplacement(key, anAgreement(), context({ now: tuesdayTen }))?.issued;
    // 80 licenses of the group by 1.2, rounded up to the next ten.
    expect(issued).toEqual({
      type: 'MAK',
      keyId: successor.keyId,
      lastFive: successor.lastFive,
      agreementId: key.agreementId,
      productGroup: key.productGroup,
      state: { status: 'live' },
      grants: [{ kind: 'initial', amount: 100, at: tuesdayTen, by: ines.email, reference: 'E-1001', approvedBy: null }],
      issuedAt: tuesdayTen,
      replaces: key.keyId,
    });
  });

  it('BLK-2 KMS-1 OVR-3 gives a KMS key six slots, five overrides, and no hosts', () => {
    const key = aKmsKey({ state: blockingState, hosts: hosts(6), overrides: [anOverride(), anOverride()] });
    const issued = completeReplacement(key, anAgreement(), context({ now: tuesdayTen }))?.issued;
    expect(issued).toMatchObject({
      type: 'KMS',
      productGroup: 'server-b',
      hosts: [],
      overrides: [],
      replaces: 'kms-1',
    });
    expect(issued && limitOf(issued.grants)).toBe(6);
  });
});

describe('an installation that is validated', () => {
  const good = { genuine: true, reason: null, graceEndsAt: null };

  it('VAL-1 is genuine when it has activated, and not when it never has', () => {
    expect(validateInstallation(aMak(), true, context({ now: mondayTen }))).toEqual(good);
    expect(validateInstallation(aMak(), false, context({ now: mondayTen }))).toEqual({
      ...good,
      genuine: false,
      reason: 'never-activated',
    });
  });

  it('VAL-1 is not genuine with a key that was never issued', () => {
    expect(validateInstallation(undefined, false, context({ now: mondayTen }))).toEqual({
      ...good,
      genuine: false,
      reason: 'unknown-key',
    });
  });

  it('VAL-1 BLK-1 stays genuine while its key is being replaced', () => {
    expect(validateInstallation(aMak({ state: blockingState }), true, context({ now: tuesdayTen }))).toEqual(good);
  });

  it('VAL-1 stays genuine for thirty days after the block, and not a second longer', () => {
    const key = aMak({ state: blockedState() });
    const graceEndsAt = addDuration(mondayTen, { days: 30 });
    const inGrace = { genuine: true, reason: null, graceEndsAt };
    const after = { genuine: false, reason: 'key-blocked', graceEndsAt };
    expect(validateInstallation(key, true, context({ now: mondayTen }))).toEqual(inGrace);
    expect(validateInstallation(key, true, context({ now: addDuration(graceEndsAt, { seconds: -1 }) }))).toEqual(
      inGrace,
    );
    expect(validateInstallation(key, true, context({ now: graceEndsAt }))).toEqual(after);
    expect(validateInstallation(key, true, context({ now: addDuration(graceEndsAt, { seconds: 1 }) }))).toEqual(after);
  });

  it('VAL-1 uses the grace period of the policy, from the timestamp for validation', () => {
    const short = { ...policy, validation: { graceDays: 0 } };
    expect(
      validateInstallation(aMak({ state: blockedState() }), true, context({ now: mondayTen, policy: short })),
    ).toMatchObject({
      genuine: false,
    });
    const laterMarked = aMak({
      state: { status: 'blocked', at: mondayTen, validationAt: tuesdayTen, replacedBy: successor },
    });
    expect(validateInstallation(laterMarked, true, context({ now: tuesdayTen })).graceEndsAt).toBe(
      addDuration(tuesdayTen, { days: 30 }),
    );
  });

  it('VAL-1 has no grace period when it never activated with the blocked key', () => {
    expect(validateInstallation(aMak({ state: blockedState() }), false, context({ now: mondayTen }))).toMatchObject({
      genuine: false,
      reason: 'key-blocked',
    });
  });
});

describe('a KMS key that was replaced', () => {
  const key = aKmsKey({ state: blockedState(), hosts: hosts(3) });

  it('BLK-3 loses the hosts that have activated with its successor, and nothing else', () => {
    const [first, , third] = key.hosts;
    expect(withoutMovedHosts(key, [installationId(2), installationId(9)])).toEqual({ ...key, hosts: [first, third] });
    expect(withoutMovedHosts(key, [1, 2, 3].map(installationId))).toEqual({ ...key, hosts: [] });
  });

  it('BLK-3 is unchanged when it has none of these hosts', () => {
    expect(withoutMovedHosts(key, [installationId(9)])).toBeUndefined();
    expect(withoutMovedHosts(key, [])).toBeUndefined();
  });

  it('BLK-3 keeps its hosts while it is live or being replaced, and does not apply to a MAK', () => {
    expect(withoutMovedHosts(aKmsKey({ hosts: hosts(3) }), [installationId(2)])).toBeUndefined();
    expect(withoutMovedHosts(aKmsKey({ state: blockingState, hosts: hosts(3) }), [installationId(2)])).toBeUndefined();
    expect(withoutMovedHosts(aMak({ state: blockedState() }), [installationId(2)])).toBeUndefined();
  });
});
