import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instant } from '../../../domain/calendar/instant.ts';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { limitOf } from '../../../domain/keys/grant.ts';
import type { KmsKey } from '../../../domain/keys/key.ts';
import {
  activateHost,
  countNewHosts,
  grantOverride,
  isProbablyOnClients,
  kmsRemedies,
  overrideAllowance,
  remainingStandardUses,
  reportClients,
  usedHostSlots,
} from '../../../domain/keys/kms.ts';
import {
  aGrant,
  agent,
  aHost,
  aKmsKey,
  aMak,
  anAgreement,
  anOverride,
  blockedState,
  context,
  expectAccepted,
  expectRefusal,
  hosts,
  installationId,
  policy,
} from '../../builders.ts';
import * as on from '../../instants.ts';

const agreement = anAgreement();
const standard = 'windows-server-2008-standard';
/** Long before the week of these tests, so that no host counts as new. */
const longAgo = addDuration(on.mondayTen, { days: -100 });

const activation = (host: number) =>
  ({ installationId: installationId(host), product: standard, machineName: null }) as const;
const activate = (key: KmsKey, host: number, at: Instant = on.mondayTen) =>
  activateHost(key, activation(host), agreement, context({ now: at }));
const call = (host: number, callReference = 'CALL-1') => ({
  installationId: installationId(host),
  callReference,
  callerName: 'Inés Oliveira',
});
const grantTo = (key: KmsKey, host: number, at: Instant, callReference = `CALL at ${at}`) =>
  grantOverride(key, call(host, callReference), agreement, context({ actor: agent, now: at }));

/** Returns a key whose six slots are used by hosts 1 to 6, each without activations left. */
const exhaustedKey = (members: Partial<KmsKey> = {}) =>
  aKmsKey({ hosts: hosts(6, { uses: 10, firstActivatedAt: longAgo, lastActivatedAt: longAgo }), ...members });
/** Returns a key whose six slots are used, by hosts with activations left. */
const fullKey = (members: Partial<KmsKey> = {}) =>
  aKmsKey({ hosts: hosts(6, { firstActivatedAt: longAgo }), ...members });
const hostOf = (key: KmsKey, number: number) =>
  key.hosts.find((host) => host.installationId === installationId(number));

const draft = {
  kind: 'KMSADD',
  organizationName: 'Alder School District',
  agreementNumber: 'E-1001',
  product: standard,
  keyLastFive: 'HJKMP',
};

describe('a host that activates for the first time', () => {
  it('KMS-1 takes a slot and uses the first of its ten activations', () => {
    const request = { installationId: installationId(7), product: standard, machineName: 'kms-north' } as const;
    const host = {
      installationId: installationId(7),
      machineName: 'kms-north',
      product: standard,
      slot: 'standard',
      uses: 1,
      overridesSpent: 0,
      firstActivatedAt: on.mondayTen,
      lastActivatedAt: on.mondayTen,
      clientsReported: null,
    };
    const key = aKmsKey();
    expect(activateHost(key, request, agreement, context({ now: on.mondayTen }))).toEqual({
      ok: true,
      host,
      key: { ...key, hosts: [host] },
    });
  });

  it('KMS-1 gets a slot as the sixth host, but not as the seventh', () => {
    const five = aKmsKey({ hosts: hosts(5) });
    const six = expectAccepted(activate(five, 6)).key;
    expect(usedHostSlots(six)).toBe(6);
    expect(expectRefusal(activate(six, 7)).code).toBe('activation-limit-reached');
  });

  it('KMS-1 gets a slot as the seventh host after a KMSADD request added one, but not as the eighth', () => {
    const grants = [aGrant({ amount: 6 }), aGrant({ kind: 'exception', amount: 1 })];
    const seven = expectAccepted(activate(fullKey({ grants }), 7)).key;
    expect(hostOf(seven, 7)).toMatchObject({ slot: 'standard', uses: 1 });
    expect(expectRefusal(activate(seven, 8))).toMatchObject({ limit: 7, used: 7 });
  });

  it('KMS-3 is refused without a free slot, with the remedies and a draft', () => {
    expect(activate(fullKey(), 7)).toEqual({
      ok: false,
      refusal: {
        code: 'activation-limit-reached',
        detail:
          'The key ending in HJKMP has activated all 6 of its hosts. Ask the call center for an override, submit a KMSADD request, or have the key replaced.',
        limit: 6,
        used: 6,
        remedies: [
          { kind: 'override', available: true, maximum: 5 },
          { kind: 'KMSADD', available: true, draft: { ...draft, activationsRequested: 6 } },
          { kind: 'replacement', available: true },
        ],
      },
    });
  });
});

describe('a host that activates again', () => {
  it('KMS-1 uses one of its ten activations and no new slot, and keeps its name unless it sends one', () => {
    const knownHost = aHost({ uses: 3, machineName: 'kms-north', firstActivatedAt: longAgo, clientsReported: 80 });
    const key = aKmsKey({ hosts: [knownHost] });
    expect(expectAccepted(activate(key, 1)).host).toEqual({ ...knownHost, uses: 4, lastActivatedAt: on.mondayTen });
    const renamed = { ...activation(1), machineName: 'kms-south', product: 'windows-vista-business' } as const;
    expect(expectAccepted(activateHost(key, renamed, agreement, context({ now: on.mondayTen }))).host).toMatchObject({
      machineName: 'kms-south',
      product: 'windows-vista-business',
    });
  });

  it('KMS-1 activates even when every slot is used', () => {
    const key = expectAccepted(activate(fullKey(), 3)).key;
    expect(hostOf(key, 3)?.uses).toBe(2);
    expect(usedHostSlots(key)).toBe(6);
  });

  it('KMS-1 can use its tenth activation', () => {
    const key = aKmsKey({ hosts: [aHost({ uses: 9, firstActivatedAt: longAgo })] });
    expect(expectAccepted(activate(key, 1)).host.uses).toBe(10);
    expect(remainingStandardUses(aHost({ uses: 9 }), policy)).toBe(1);
  });

  it('KMS-3 is refused an eleventh activation, even with free slots, with the remedies', () => {
    const key = aKmsKey({ hosts: [aHost({ uses: 10, firstActivatedAt: longAgo })] });
    expect(remainingStandardUses(aHost({ uses: 10 }), policy)).toBe(0);
    expect(activate(key, 1)).toEqual({
      ok: false,
      refusal: {
        code: 'activation-limit-reached',
        detail:
          'This host has used all 10 of its activations with the key ending in HJKMP. Ask the call center for an override, submit a KMSADD request, or have the key replaced.',
        limit: 6,
        used: 1,
        remedies: [
          { kind: 'override', available: true, maximum: 5 },
          { kind: 'KMSADD', available: true, draft: { ...draft, activationsRequested: 6 } },
          { kind: 'replacement', available: true },
        ],
      },
    });
  });

  it('KMS-1 changes no other host, and keeps the order of hosts', () => {
    const keyWithNewHost = expectAccepted(activate(aKmsKey({ hosts: hosts(3, { firstActivatedAt: longAgo }) }), 9)).key;
    expect(keyWithNewHost.hosts.map(({ installationId: id }) => id)).toEqual([1, 2, 3, 9].map(installationId));
    const result = expectAccepted(activate(keyWithNewHost, 2, on.mondayNoon));
    const [one, , three, nine] = keyWithNewHost.hosts;
    expect(result.key.hosts).toEqual([one, result.host, three, nine]);
    expect(result.host).toMatchObject({ uses: 2, firstActivatedAt: longAgo, lastActivatedAt: on.mondayNoon });
  });
});

describe('a host that cannot activate', () => {
  it('BLK-1 is refused with a blocked key, even with a free slot', () => {
    const key = aKmsKey({ state: blockedState() });
    expect(expectRefusal(activate(key, 1))).toMatchObject({ code: 'key-blocked', replacedBy: 'QRTVW' });
  });

  it('KEY-3 is refused a product above the group of the key, and allowed one below', () => {
    const above = { ...activation(1), product: 'windows-server-2008-datacenter' } as const;
    const below = { ...activation(1), product: 'windows-vista-enterprise' } as const;
    expect(expectRefusal(activateHost(aKmsKey(), above, agreement, context({ now: on.mondayTen }))).code).toBe(
      'product-not-covered',
    );
    expect(expectAccepted(activateHost(aKmsKey(), below, agreement, context({ now: on.mondayTen }))).host.uses).toBe(1);
  });
});

describe('new hosts on one key', () => {
  it('KMS-4 cause an advisory at the third host within 24 hours, and not before', () => {
    const first = expectAccepted(activate(aKmsKey(), 1, on.mondayTen));
    const second = expectAccepted(activate(first.key, 2, on.mondayNoon));
    const third = expectAccepted(activate(second.key, 3, addDuration(on.tuesdayTen, { seconds: -1 })));
    expect(Object.keys(first)).not.toContain('advisory');
    expect(Object.keys(second)).not.toContain('advisory');
    expect(third.advisory).toBe('kms-key-on-clients');
  });

  it('KMS-4 cause no advisory when the third host comes after 24 hours', () => {
    const key = aKmsKey({ hosts: hosts(2, { firstActivatedAt: on.mondayTen }) });
    expect(expectAccepted(activate(key, 3, on.tuesdayTen)).advisory).toBeUndefined();
  });

  it('KMS-4 are new by their first activation, not by their last', () => {
    const old = hosts(5, { firstActivatedAt: longAgo, lastActivatedAt: on.mondayTen });
    expect(isProbablyOnClients({ hosts: old }, context({ now: on.mondayTen }))).toBe(false);
    expect(countNewHosts({ hosts: old }, context({ now: on.mondayTen }))).toBe(0);
    expect(countNewHosts({ hosts: hosts(3) }, context({ now: on.mondayTen }))).toBe(3);
    expect(isProbablyOnClients({ hosts: hosts(3) }, context({ now: on.mondayTen }))).toBe(true);
    expect(isProbablyOnClients({ hosts: hosts(2) }, context({ now: on.mondayTen }))).toBe(false);
  });

  it('KMS-4 include hosts that activated by an override', () => {
    const overrideHosts = hosts(3, { slot: 'override' });
    expect(isProbablyOnClients({ hosts: overrideHosts }, context({ now: on.mondayTen }))).toBe(true);
  });
});

describe('an override that is granted', () => {
  it('OVR-1 adds one activation for that host, and records the actor and the reference', () => {
    const key = fullKey();
    const grant = {
      kind: 'override',
      amount: 1,
      at: on.mondayTen,
      by: agent,
      reference: 'CALL-1',
      approvedBy: null,
    };
    expect(grantOverride(key, call(7), agreement, context({ actor: agent, now: on.mondayTen }))).toEqual({
      ok: true,
      grant,
      key: {
        ...key,
        grants: [...key.grants, grant],
        overrides: [{ installationId: installationId(7), at: on.mondayTen, callReference: 'CALL-1', usedAt: null }],
      },
      repeated: false,
    });
  });

  it('OVR-1 adds no host slot: the limit stays', () => {
    expect(limitOf(expectAccepted(grantTo(fullKey(), 7, on.mondayTen)).key.grants)).toBe(6);
  });

  it('OVR-1 is refused for a MAK', () => {
    expect(
      expectRefusal(grantOverride(aMak(), call(7), agreement, context({ actor: agent, now: on.mondayTen }))),
    ).toEqual({
      code: 'wrong-key-type',
      detail: 'Only KMS keys have overrides, and this key is a MAK. Increase its limit instead.',
    });
  });

  it('BLK-1 is refused for a blocked key, but a repeated call returns its grant', () => {
    const first = expectAccepted(
      grantOverride(fullKey(), call(7), agreement, context({ actor: agent, now: on.mondayTen })),
    );
    const key = { ...first.key, state: blockedState() };
    expect(
      expectRefusal(grantOverride(key, call(7, 'CALL-2'), agreement, context({ actor: agent, now: on.wednesdayNoon })))
        .code,
    ).toBe('key-blocked');
    expect(
      expectAccepted(grantOverride(key, call(7), agreement, context({ actor: agent, now: on.wednesdayNoon }))).repeated,
    ).toBe(true);
  });
});

describe('an override that is spent', () => {
  it('OVR-1 activates a seventh host once, without a slot', () => {
    const keyWithOverride = expectAccepted(grantTo(fullKey(), 7, on.mondayTen)).key;
    const activated = expectAccepted(activate(keyWithOverride, 7, on.mondayNoon));
    expect(activated.host).toMatchObject({ slot: 'override', uses: 1, overridesSpent: 1 });
    expect(activated.key.overrides).toEqual([{ ...keyWithOverride.overrides[0], usedAt: on.mondayNoon }]);
    expect(usedHostSlots(activated.key)).toBe(6);
    expect(expectRefusal(activate(activated.key, 7, on.mondayNoon))).toMatchObject({
      code: 'activation-limit-reached',
      detail: expect.stringContaining('has activated all 6 of its hosts'),
      limit: 6,
      used: 6,
    });
  });

  it('OVR-1 gives a known host an eleventh activation, but not a twelfth', () => {
    const keyWithOverride = expectAccepted(grantTo(exhaustedKey(), 2, on.mondayTen)).key;
    const used = expectAccepted(activate(keyWithOverride, 2, on.mondayNoon));
    expect(used.host).toMatchObject({ slot: 'standard', uses: 11, overridesSpent: 1 });
    expect(remainingStandardUses(used.host, policy)).toBe(0);
    expect(expectRefusal(activate(used.key, 2)).detail).toContain('This host has used all 10 of its activations');
  });

  it('OVR-1 cannot be spent by another host', () => {
    const keyWithOverride = expectAccepted(grantTo(exhaustedKey(), 2, on.mondayTen)).key;
    expect(expectRefusal(activate(keyWithOverride, 3)).code).toBe('activation-limit-reached');
    expect(expectRefusal(activate(keyWithOverride, 8)).code).toBe('activation-limit-reached');
    expect(expectAccepted(activate(keyWithOverride, 2)).host.uses).toBe(11);
  });

  it('OVR-1 is kept until the host has used its standard activations', () => {
    const key = aKmsKey({ hosts: [aHost({ uses: 9, firstActivatedAt: longAgo })], overrides: [anOverride()] });
    const tenth = expectAccepted(activate(key, 1));
    expect(tenth.host).toMatchObject({ uses: 10, overridesSpent: 0 });
    expect(tenth.key.overrides).toEqual([anOverride()]);
    const eleventh = expectAccepted(activate(tenth.key, 1, on.mondayNoon));
    expect(eleventh.host).toMatchObject({ uses: 11, overridesSpent: 1 });
    expect(eleventh.key.overrides).toEqual([anOverride({ usedAt: on.mondayNoon })]);
  });

  it('OVR-1 is kept while there is a free slot for the host', () => {
    const key = aKmsKey({ overrides: [anOverride()] });
    const activated = expectAccepted(activate(key, 1));
    expect(activated.host).toMatchObject({ slot: 'standard', overridesSpent: 0 });
    expect(activated.key.overrides).toEqual([anOverride()]);
  });

  it('OVR-1 is spent one at a time, the oldest first', () => {
    const older = anOverride({ at: on.mondayTen, callReference: 'CALL-1' });
    const newer = anOverride({ at: on.tuesdayTen, callReference: 'CALL-2' });
    const firstUse = expectAccepted(activate(exhaustedKey({ overrides: [older, newer] }), 1, on.wednesdayNoon));
    expect(firstUse.key.overrides).toEqual([{ ...older, usedAt: on.wednesdayNoon }, newer]);
    const secondUse = expectAccepted(activate(firstUse.key, 1, on.thursdayFive));
    expect(secondUse.host).toMatchObject({ uses: 12, overridesSpent: 2 });
    expect(expectRefusal(activate(secondUse.key, 1, on.thursdayFive)).code).toBe('activation-limit-reached');
  });
});

describe('a host that activated by an override', () => {
  const guest = aHost({
    installationId: installationId(7),
    slot: 'override',
    uses: 2,
    overridesSpent: 2,
    firstActivatedAt: longAgo,
  });

  it('KMS-1 has no standard activations', () => {
    expect(remainingStandardUses(guest, policy)).toBe(0);
  });

  it('EXC-9 takes a slot with ten activations once KMSADD has added one', () => {
    const grants = [aGrant({ amount: 6 }), aGrant({ kind: 'exception', amount: 1 })];
    const key = fullKey({ grants, hosts: [...hosts(6, { firstActivatedAt: longAgo }), guest] });
    const moved = expectAccepted(activate(key, 7));
    expect(moved.host).toEqual({ ...guest, slot: 'standard', uses: 3, lastActivatedAt: on.mondayTen });
    expect(remainingStandardUses(moved.host, policy)).toBe(9);
    expect(usedHostSlots(moved.key)).toBe(7);
  });

  it('EXC-9 keeps an unspent override when it takes a slot', () => {
    const grants = [aGrant({ amount: 6 }), aGrant({ kind: 'exception', amount: 1 })];
    const unspentOverride = anOverride({ installationId: installationId(7) });
    const key = fullKey({ grants, hosts: [...hosts(6), guest], overrides: [unspentOverride] });
    expect(expectAccepted(activate(key, 7)).key.overrides).toEqual([unspentOverride]);
  });

  it('OVR-1 can activate again by another override', () => {
    const unspentOverride = anOverride({ installationId: installationId(7) });
    const key = fullKey({ hosts: [...hosts(6, { firstActivatedAt: longAgo }), guest], overrides: [unspentOverride] });
    expect(expectAccepted(activate(key, 7)).host).toMatchObject({ slot: 'override', uses: 3, overridesSpent: 3 });
  });
});

describe('a second override on one day of the call center', () => {
  it('OVR-2 is refused, with the time of the next', () => {
    const keyWithOverride = expectAccepted(grantTo(fullKey(), 7, on.mondayTen)).key;
    expect(expectRefusal(grantTo(keyWithOverride, 8, on.mondayEvening))).toEqual({
      code: 'override-used-today',
      detail: `This key has already had its override for today. You can grant the next one from ${on.tuesdayMidnight}.`,
      availableAt: on.tuesdayMidnight,
    });
  });

  it.each([
    ['one midnight', on.mondayTen, on.mondayBeforeMidnight, on.tuesdayMidnight],
    [
      'a full day, granted at its start',
      on.tuesdayMidnight,
      addDuration(on.tuesdayMidnight, { hours: 23.99 }),
      addDuration(on.tuesdayMidnight, { hours: 24 }),
    ],
    [
      'a day of 23 hours, when the clocks go forward',
      on.springForwardSundayMidnight,
      addDuration(on.mondayAfterSpringForwardMidnight, { seconds: -1 }),
      on.mondayAfterSpringForwardMidnight,
    ],
    [
      'a day of 25 hours, when the clocks go back',
      on.fallBackSundayMidnight,
      addDuration(on.mondayAfterFallBackMidnight, { seconds: -1 }),
      on.mondayAfterFallBackMidnight,
    ],
  ])(
    'OVR-2 is refused until midnight in Los Angeles and granted from then on: %s',
    (_, grantedAt, sameDay, nextDay) => {
      const key = expectAccepted(grantTo(fullKey(), 7, grantedAt)).key;
      expect(expectRefusal(grantTo(key, 7, sameDay))).toMatchObject({
        code: 'override-used-today',
        availableAt: nextDay,
      });
      expect(expectAccepted(grantTo(key, 7, nextDay)).key.overrides).toHaveLength(2);
    },
  );

  it('OVR-2 is granted within an hour across midnight, on the same day in UTC', () => {
    const key = expectAccepted(grantTo(fullKey(), 7, on.mondayBeforeMidnight)).key;
    expect(on.mondayBeforeMidnight.slice(0, 10)).toBe(on.tuesdayMidnight.slice(0, 10));
    expect(expectAccepted(grantTo(key, 7, on.tuesdayMidnight)).repeated).toBe(false);
  });

  it('OVR-2 is refused on one day in Los Angeles that spans two in UTC', () => {
    const key = expectAccepted(grantTo(fullKey(), 7, on.mondayTen)).key;
    expect(on.mondayTen.slice(0, 10)).not.toBe(on.mondayEvening.slice(0, 10));
    expect(expectRefusal(grantTo(key, 7, on.mondayEvening)).code).toBe('override-used-today');
  });

  it('OVR-2 uses the time zone of the policy', () => {
    const inLisbon = { ...policy, callCenter: { ...policy.callCenter, zone: 'Europe/Lisbon' } };
    const key = { overrides: [anOverride({ at: on.mondayTen })] };
    // Monday 20:00 in Los Angeles is Tuesday 04:00 in Lisbon.
    expect(overrideAllowance(key, context({ now: on.mondayEvening, policy: inLisbon }))).toMatchObject({
      available: 1,
    });
  });

  it('OVR-2 is found behind an older override of the key', () => {
    const overrides = [anOverride({ at: longAgo }), anOverride({ at: on.mondayTen }), anOverride({ at: longAgo })];
    expect(overrideAllowance({ overrides }, context({ now: on.mondayNoon }))).toEqual({
      available: 0,
      availableAt: on.tuesdayMidnight,
      remaining: 2,
    });
  });
});

describe('overrides over the life of a key', () => {
  const overridesOf = (count: number) =>
    Array.from({ length: count }, (_, index) =>
      anOverride({ at: addDuration(longAgo, { days: index }), usedAt: longAgo }),
    );

  it('OVR-3 are five: the fifth is granted', () => {
    const key = expectAccepted(grantTo(fullKey({ overrides: overridesOf(4) }), 7, on.mondayTen)).key;
    expect(key.overrides).toHaveLength(5);
  });

  it('OVR-3 refuses a sixth, whether the others are spent or not, with the draft of a KMSADD request', () => {
    expect(expectRefusal(grantTo(fullKey({ overrides: overridesOf(5) }), 7, on.mondayTen))).toEqual({
      code: 'overrides-exhausted',
      detail: 'This key has used all 5 of its overrides. To get more, submit a KMSADD request.',
      draft: { ...draft, activationsRequested: 1 },
    });
  });

  it('OVR-3 refuses a sixth as exhausted, not as used today, on the day of the fifth', () => {
    const key = expectAccepted(grantTo(fullKey({ overrides: overridesOf(4) }), 7, on.mondayTen)).key;
    expect(expectRefusal(grantTo(key, 7, on.mondayNoon)).code).toBe('overrides-exhausted');
  });

  it('OVR-4 returns the first grant for a repeated reference and grants nothing more', () => {
    const first = expectAccepted(
      grantOverride(fullKey(), call(7), agreement, context({ actor: agent, now: on.mondayTen })),
    );
    const repeatedResult = { ok: true, grant: first.grant, key: first.key, repeated: true };
    expect(grantOverride(first.key, call(7), agreement, context({ actor: agent, now: on.mondayTen }))).toEqual(
      repeatedResult,
    );
    expect(grantOverride(first.key, call(7), agreement, context({ actor: agent, now: on.tuesdayTen }))).toEqual(
      repeatedResult,
    );
  });

  it('OVR-4 returns the fifth grant for its repeated reference, rather than refusing as exhausted', () => {
    const fifth = expectAccepted(grantTo(fullKey({ overrides: overridesOf(4) }), 7, on.mondayTen, 'CALL-5'));
    expect(expectAccepted(grantTo(fifth.key, 7, on.tuesdayTen, 'CALL-5'))).toMatchObject({
      repeated: true,
      grant: fifth.grant,
    });
  });

  it('OVR-5 shows the allowance: available now, the time of the next, and the number left', () => {
    expect(overrideAllowance({ overrides: [] }, context({ now: on.mondayTen }))).toEqual({
      available: 1,
      availableAt: null,
      remaining: 5,
    });
    expect(
      overrideAllowance({ overrides: [anOverride({ at: on.mondayTen })] }, context({ now: on.mondayNoon })),
    ).toEqual({
      available: 0,
      availableAt: on.tuesdayMidnight,
      remaining: 4,
    });
    expect(overrideAllowance({ overrides: overridesOf(5) }, context({ now: on.mondayTen }))).toEqual({
      available: 0,
      availableAt: null,
      remaining: 0,
    });
    expect(overrideAllowance({ overrides: overridesOf(6) }, context({ now: on.mondayTen }))).toEqual({
      available: 0,
      availableAt: null,
      remaining: 0,
    });
  });

  it('OVR-5 grants exactly what the allowance shows', () => {
    const days = fc.array(fc.integer({ min: 0, max: 20 * 24 * 60 }), { maxLength: 7 });
    fc.assert(
      fc.property(days, fc.integer({ min: 0, max: 20 * 24 * 60 }), (minutesOfOverrides, minutesLater) => {
        const overrides = minutesOfOverrides.map((minutes) =>
          anOverride({ at: addDuration(on.fridayBeforeSpringForwardTen, { minutes }) }),
        );
        const now = addDuration(on.fridayBeforeSpringForwardTen, { minutes: minutesLater });
        const allowance = overrideAllowance({ overrides }, context({ now }));
        const result = grantTo(fullKey({ overrides }), 7, now);
        expect(result.ok).toBe(allowance.available === 1);
        expect(allowance.remaining).toBe(Math.max(0, 5 - minutesOfOverrides.length));
        if (!result.ok) {
          expect(result.refusal).toMatchObject(
            allowance.availableAt === null
              ? { code: 'overrides-exhausted' }
              : { code: 'override-used-today', availableAt: allowance.availableAt },
          );
        }
      }),
    );
  });
});

describe('the remedies of an exhausted KMS key', () => {
  it('KMS-3 show the time of the next override after one today', () => {
    const key = fullKey({ overrides: [anOverride({ at: on.mondayTen })] });
    expect(kmsRemedies(key, { agreement, product: 'windows-vista-business' }, context({ now: on.mondayNoon }))).toEqual(
      [
        { kind: 'override', available: false, availableAt: on.tuesdayMidnight, maximum: 4 },
        {
          kind: 'KMSADD',
          available: true,
          draft: { ...draft, product: 'windows-vista-business', activationsRequested: 5 },
        },
        { kind: 'replacement', available: true },
      ],
    );
  });

  it('KMS-3 offer no override once all five are granted', () => {
    const overrides = Array.from({ length: 5 }, () => anOverride({ at: longAgo }));
    const [byPhone, byRequest] = kmsRemedies(fullKey({ overrides }), { agreement }, context({ now: on.mondayNoon }));
    expect(byPhone).toEqual({ kind: 'override', available: false, maximum: 0 });
    expect(byRequest?.draft?.activationsRequested).toBe(1);
  });
});

describe('the number of clients that a host reports', () => {
  it('KMS-2 is shown with the host, however large it is', () => {
    const key = aKmsKey({ hosts: hosts(2) });
    const [first, second] = key.hosts;
    expect(reportClients(key, installationId(2), 1_000_000)).toEqual({
      ...key,
      hosts: [first, { ...second, clientsReported: 1_000_000 }],
    });
  });

  it('KMS-2 uses no activations or slots', () => {
    const key = aKmsKey({ hosts: [aHost({ uses: 9, firstActivatedAt: longAgo })] });
    const reported = reportClients(key, installationId(1), 5000) ?? key;
    expect(expectAccepted(activate(reported, 1)).host).toMatchObject({ uses: 10, clientsReported: 5000 });
    expect(usedHostSlots(reported)).toBe(1);
  });

  it('KMS-2 is refused from a host that never activated', () => {
    expect(reportClients(aKmsKey({ hosts: hosts(2) }), installationId(3), 10)).toBeUndefined();
  });
});

/** A simple model of a KMS key: slots with ten activations each, and single activations for named hosts. */
class KmsKeyModel {
  slots = 6;
  readonly uses = new Map<number, number>();
  readonly pendingOverrides: number[] = [];
  overrideCount = 0;
  lastDay = -1;

  activate(host: number): boolean {
    const used = this.uses.get(host);
    const pendingIndex = this.pendingOverrides.indexOf(host);
    if (used === undefined ? this.uses.size < this.slots : used < 10) {
      this.uses.set(host, (used ?? 0) + 1);
    } else if (pendingIndex >= 0) {
      this.pendingOverrides.splice(pendingIndex, 1);
    } else {
      return false;
    }
    return true;
  }

  override(host: number, day: number): boolean {
    if (this.overrideCount === 5 || this.lastDay === day) return false;
    this.overrideCount += 1;
    this.lastDay = day;
    this.pendingOverrides.push(host);
    return true;
  }
}

describe('any sequence of operations on a KMS key', () => {
  const host = fc.nat(8);
  const step = fc.oneof(
    { weight: 12, arbitrary: fc.record({ kind: fc.constant('activate' as const), host }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('override' as const), host }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), hours: fc.integer({ min: 1, max: 30 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('add' as const), slots: fc.integer({ min: 1, max: 2 }) }) },
  );

  it('KMS-1 OVR-1 KEY-8 activates exactly what slots and overrides allow', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150, size: 'max' }), (steps) => {
        const model = new KmsKeyModel();
        let key = aKmsKey();
        let hoursPassed = 0;
        let activations = 0;
        for (const [index, each] of steps.entries()) {
          // Starts at midnight of 1 June 2026 in Los Angeles. No clock change is in the weeks after it.
          const now = addDuration(on.mondayTen, { hours: hoursPassed - 10 });
          const day = Math.floor(hoursPassed / 24);
          switch (each.kind) {
            case 'wait':
              hoursPassed += each.hours;
              break;
            case 'add': {
              model.slots += each.slots;
              key = { ...key, grants: [...key.grants, aGrant({ kind: 'exception', amount: each.slots })] };
              break;
            }
            case 'override': {
              const result = grantTo(key, each.host, now, `CALL-${index}`);
              expect(result.ok).toBe(model.override(each.host, day));
              if (result.ok) key = result.key;
              break;
            }
            case 'activate': {
              const result = activate(key, each.host, now);
              expect(result.ok).toBe(model.activate(each.host));
              if (result.ok) {
                key = result.key;
                activations += 1;
              }
            }
          }
          expect(limitOf(key.grants)).toBe(model.slots);
          expect(usedHostSlots(key)).toBe(model.uses.size);
          expect(usedHostSlots(key)).toBeLessThanOrEqual(limitOf(key.grants));
        }
        const usedOverrides = key.overrides.filter(({ usedAt }) => usedAt !== null);
        expect(key.hosts.reduce((sum, each) => sum + each.uses, 0)).toBe(activations);
        expect(activations).toBeLessThanOrEqual(limitOf(key.grants) * 10 + usedOverrides.length);
        expect(usedOverrides.length).toBe(key.hosts.reduce((sum, each) => sum + each.overridesSpent, 0));
        expect(key.overrides.length).toBe(key.grants.filter(({ kind }) => kind === 'override').length);
        expect(key.overrides.length).toBeLessThanOrEqual(5);
        for (const each of key.hosts) {
          expect(each.uses - each.overridesSpent).toBeLessThanOrEqual(each.slot === 'standard' ? 10 : 0);
        }
      }),
    );
  });
});
