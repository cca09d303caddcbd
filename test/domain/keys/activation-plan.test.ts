import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ProductGroup, Program } from '../../../domain/catalog.ts';
import { productGroups, programs } from '../../../domain/catalog.ts';
import type { Site } from '../../../domain/keys/activation-plan.ts';
import { planActivations } from '../../../domain/keys/activation-plan.ts';
import { policy } from '../../builders.ts';

const none = { client: 0, 'server-a': 0, 'server-b': 0, 'server-c': 0 };

function site(machines: Partial<Record<ProductGroup, number>>, name = 'Elm'): Site {
  return { name, machines: { ...none, ...machines } };
}

const sites = (count: number, machines: Partial<Record<ProductGroup, number>>) =>
  Array.from({ length: count }, (_, index) => site(machines, `site ${index}`));
const planned = (all: readonly Site[], program: Program = 'enterprise') => planActivations(program, all, policy);
const keyTypes = (machines: Partial<Record<ProductGroup, number>>) =>
  Object.fromEntries(planned([site(machines)]).sites[0]?.parts.map((part) => [part.productGroup, part.keyType]) ?? []);

describe('the machines of a site', () => {
  it.each([
    [24, 'MAK'],
    [25, 'KMS'],
  ])('AGR-6 with %i clients activate by %s', (client, keyType) => {
    expect(keyTypes({ client })).toEqual({ client: keyType });
  });

  it.each([
    ['4 of one group', { 'server-b': 4 }, { 'server-b': 'MAK' }],
    ['5 of one group', { 'server-b': 5 }, { 'server-b': 'KMS' }],
    [
      '4 of three groups',
      { 'server-a': 1, 'server-b': 2, 'server-c': 1 },
      { 'server-a': 'MAK', 'server-b': 'MAK', 'server-c': 'MAK' },
    ],
    [
      '5 of three groups',
      { 'server-a': 2, 'server-b': 2, 'server-c': 1 },
      { 'server-a': 'KMS', 'server-b': 'KMS', 'server-c': 'KMS' },
    ],
  ] as const)('AGR-6 with servers, %s, are counted together', (_, machines, expected) => {
    expect(keyTypes(machines)).toEqual(expected);
  });

  it('AGR-6 are counted as clients and as servers, with one host for both', () => {
    expect(keyTypes({ client: 25, 'server-b': 4 })).toEqual({ client: 'KMS', 'server-b': 'MAK' });
    expect(keyTypes({ client: 24, 'server-b': 5 })).toEqual({ client: 'MAK', 'server-b': 'KMS' });
    expect(planned([site({ client: 25, 'server-b': 5 })]).sites[0]?.kmsHosts).toBe(1);
    expect(planned([site({ client: 24, 'server-b': 4 })]).sites[0]?.kmsHosts).toBe(0);
  });

  it('AGR-6 do not reach a threshold together with those of another site', () => {
    const { keys, advice } = planned(sites(3, { client: 24 }));
    expect(advice).toBe('mak');
    expect(keys).toMatchObject([{ type: 'MAK', productGroup: 'client', needed: 72 }]);
  });
});

describe('the reasons for a site', () => {
  const reasons = (machines: Partial<Record<ProductGroup, number>>) => planned([site(machines)]).sites[0]?.reasons;

  it('AGR-6 compare each count with its threshold', () => {
    expect(reasons({ client: 25, 'server-a': 1, 'server-c': 3 })).toEqual([
      '25 clients reach the KMS threshold of 25: use one KMS host for them at this site.',
      '4 servers are below the KMS threshold of 5: activate each with a MAK.',
    ]);
    expect(reasons({ client: 24, 'server-b': 5 })).toEqual([
      '24 clients are below the KMS threshold of 25: activate each with a MAK.',
      '5 servers reach the KMS threshold of 5: use one KMS host for them at this site.',
    ]);
  });

  it('AGR-6 leave out machines that the site does not have', () => {
    expect(reasons({ client: 1 })).toHaveLength(1);
    expect(reasons({ 'server-a': 1 })).toEqual([expect.stringContaining('1 servers')]);
    expect(reasons({})).toEqual([]);
  });
});

describe('the advice', () => {
  const large = site({ client: 25 });
  const small = site({ client: 24 });

  it.each(['enterprise', 'select', 'campus-and-school'] as const)('AGR-6 for %s is a mix of both', (program) => {
    const { advice, summary } = planned([large, small], program);
    expect(advice).toBe('mix');
    expect(summary).toBe(
      'We recommend KMS at sites that are large enough, and MAKs everywhere else. You need 1 KMS host and 24 MAK activations.',
    );
  });

  it('AGR-6 for Open is MAK, unless a site reaches a threshold', () => {
    expect(planned([small], 'open')).toMatchObject({
      advice: 'mak',
      summary: 'We recommend MAKs for Open agreements. You need 0 KMS hosts and 24 MAK activations.',
    });
    expect(planned([large, small], 'open')).toMatchObject({
      advice: 'mix',
      summary: expect.stringContaining('except at sites that are large enough for a KMS host'),
    });
  });
});

describe('the KMS key', () => {
  it('AGR-6 KEY-3 has the highest group that any site activates by KMS', () => {
    const [key] = planned([site({ client: 30 }), site({ 'server-a': 5 }), site({ 'server-c': 4 })]).keys;
    expect(key).toMatchObject({ type: 'KMS', productGroup: 'server-a', needed: 2 });
  });

  it.each([
    [6, null],
    [7, { amount: 1, ask: 'call-center' }],
    [11, { amount: 5, ask: 'call-center' }],
    [12, { amount: 6, ask: 'KMSADD' }],
  ])('AGR-6 KMS-1 OVR-3 for %i hosts starts with six hosts and needs %j more', (hosts, beyond) => {
    const [key] = planned(sites(hosts, { client: 25 })).keys;
    expect(key).toMatchObject({ type: 'KMS', needed: hosts, startsWith: 6 });
    if (beyond === null) expect(key?.beyond).toBeNull();
    else expect(key?.beyond).toMatchObject(beyond);
  });

  it('AGR-6 OVR-3 says how to get more hosts: a call for each, or one request', () => {
    expect(planned(sites(11, { client: 25 })).keys[0]?.beyond?.how).toBe(
      'Call the call center while you are at each additional host: one override a day, 5 in total.',
    );
    expect(planned(sites(12, { client: 25 })).keys[0]?.beyond?.how).toBe('Submit a KMSADD request for 6 more hosts.');
  });
});

describe('a MAK', () => {
  // 24 machines at each site, and as many licenses: the initial limit is 1.2 times that number.
  it('AGR-6 KEY-4 with a sufficient initial limit needs nothing more', () => {
    expect(planned(sites(10, { client: 24 })).keys).toMatchObject([{ needed: 240, startsWith: 290, beyond: null }]);
  });

  // A policy in which every MAK starts with the floor, 50.
  const flat = { none: 0.01, A: 0.01, B: 0.01, C: 0.01, D: 0.01 };
  const initialMakLimit = {
    ...policy.initialMakLimit,
    activationsPerLicense: { enterprise: flat, select: flat, 'campus-and-school': flat, open: flat },
  };
  const unreachable = { kmsThreshold: { clients: 1_000, servers: 1_000 } };
  const ofFifty = (machines: number, callCenter = policy.callCenter) => {
    const itsPolicy = { ...policy, initialMakLimit, plan: unreachable, callCenter };
    return planActivations('select', [site({ client: machines })], itsPolicy).keys;
  };

  it.each([
    [50, null],
    [51, { amount: 1, ask: 'call-center', how: 'Ask the call center for 1 more activations.' }],
    [100, { amount: 50, ask: 'call-center', how: 'Ask the call center for 50 more activations.' }],
    [101, { amount: 51, ask: 'MAKADD', how: 'Submit a MAKADD request for 51 more activations.' }],
  ])('AGR-6 MAK-4 MAK-5 with an initial limit of 50 for %i machines needs %j more', (machines, beyond) => {
    expect(ofFifty(machines)).toEqual([
      { type: 'MAK', productGroup: 'client', needed: machines, startsWith: 50, beyond },
    ]);
  });

  it('AGR-6 MAK-4 can be raised by phone up to the factor of the policy, such as three', () => {
    const threefold = { ...policy.callCenter, increaseUpToTimesOriginal: 3 };
    expect(ofFifty(150, threefold)).toMatchObject([{ beyond: { amount: 100, ask: 'call-center' } }]);
    expect(ofFifty(151, threefold)).toMatchObject([{ beyond: { amount: 101, ask: 'MAKADD' } }]);
  });
});

it('AGR-6 covers every machine in exactly one part, and plans enough for all parts', () => {
  const count = fc.nat(60);
  const anySite = fc
    .record({ client: count, 'server-a': count, 'server-b': fc.nat(5), 'server-c': fc.nat(5) })
    .map((machines) => site(machines));
  fc.assert(
    fc.property(fc.constantFrom(...programs), fc.array(anySite, { minLength: 1, maxLength: 8 }), (program, all) => {
      const { sites: plans, keys, advice } = planned(all, program);
      expect(plans.map(({ parts }) => parts.map((part) => [part.productGroup, part.machines]))).toEqual(
        all.map(({ machines }) =>
          productGroups.filter((group) => machines[group] > 0).map((group) => [group, machines[group]]),
        ),
      );
      const parts = plans.flatMap((each) => each.parts);
      for (const group of productGroups) {
        const byMak = parts.filter((part) => part.productGroup === group && part.keyType === 'MAK');
        const needed = keys.find(({ type, productGroup }) => type === 'MAK' && productGroup === group)?.needed ?? 0;
        expect(needed).toBe(byMak.reduce((sum, { machines }) => sum + machines, 0));
      }
      const hosts = plans.filter((each) => each.parts.some(({ keyType }) => keyType === 'KMS')).length;
      const kms = keys.filter(({ type }) => type === 'KMS');
      expect(kms.map(({ needed }) => needed)).toEqual(hosts === 0 ? [] : [hosts]);
      for (const { needed, startsWith, beyond } of keys)
        expect(startsWith + (beyond?.amount ?? 0)).toBeGreaterThanOrEqual(needed);
      const types = new Set(parts.map(({ keyType }) => keyType));
      expect(advice).toBe(types.size === 2 ? 'mix' : types.has('KMS') ? 'kms' : 'mak');
    }),
  );
});
