import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Agreement } from '../../domain/agreement.ts';
import {
  agreementIdOf,
  coveredProductGroups,
  deputyAt,
  findContact,
  initialMakLimit,
  isApproverAt,
  isAuthorizedRequester,
  isCustomerOf,
  kmsGroupOf,
  licensesOf,
  makLimitFor,
  nameCorrespondent,
  normalizeEmail,
  noticesCorrespondentAt,
  sameEmail,
  withEffectiveCorrespondent,
} from '../../domain/agreement.ts';
import { addDuration, civilDate } from '../../domain/calendar/instant.ts';
import type { Level, Product, Program } from '../../domain/catalog.ts';
import { levels, programs } from '../../domain/catalog.ts';
import type { Policy } from '../../domain/policy.ts';
import { anAgreement, ines, jorge, mallory, noor, policy } from '../builders.ts';
import { mondayBeforeMidnight, mondayNoon, mondayTen, tuesdayMidnight, tuesdayTen } from '../instants.ts';

const dora = { name: 'Dora Lindt', email: 'dora@alder.example', phone: '+1 425 555 0104' };

/** Returns an agreement with these numbers of licenses. */
function licensed(products: Partial<Record<Product, number>>, members: Partial<Agreement> = {}): Agreement {
  const entries = Object.entries(products) as [Product, number][];
  return anAgreement({ products: entries.map(([product, licenses]) => ({ product, licenses })), ...members });
}

describe('the id of an agreement', () => {
  it('AGR-1 is the agreement number', () => {
    expect(agreementIdOf({ agreementNumber: 'E-1001' })).toBe('E-1001');
  });

  it('AGR-1 joins the authorization number and the license number for Open', () => {
    expect(agreementIdOf({ authorizationNumber: '65432100', licenseNumber: '45678901' })).toBe('65432100-45678901');
  });

  it('AGR-1 has four programs and four price levels', () => {
    expect(programs).toEqual(['enterprise', 'select', 'campus-and-school', 'open']);
    expect(levels).toEqual(['A', 'B', 'C', 'D']);
  });
});

describe('an email address', () => {
  it('EXC-2 equals another that differs only in case and surrounding spaces', () => {
    expect(sameEmail('Ines@Alder.example', ' ines@alder.EXAMPLE\n')).toBe(true);
    expect(normalizeEmail(' Ines@Alder.example ')).toBe('ines@alder.example');
  });

  it('EXC-2 differs from another with a different letter, accent, or inner space', () => {
    expect(sameEmail('ines@alder.example', 'inez@alder.example')).toBe(false);
    expect(sameEmail('ines@alder.example', 'inés@alder.example')).toBe(false);
    expect(sameEmail('ines@alder.example', 'in es@alder.example')).toBe(false);
  });
});

describe('a person on the Authorized Contact List', () => {
  it('AGR-2 is found by email, in any case', () => {
    expect(findContact('JORGE@alder.example', anAgreement())).toBe(jorge);
  });

  it('AGR-2 is not found for another email, even the Notices Correspondent’s', () => {
    expect(findContact(noor.email, anAgreement())).toBeUndefined();
    expect(findContact(mallory.email, anAgreement())).toBeUndefined();
  });
});

describe('a requester with a different spelling of the listed name', () => {
  it.each([
    ['as listed', 'Inés Oliveira', 'Inés Oliveira'],
    ['in capitals', 'Inés Oliveira', 'INÉS OLIVEIRA'],
    ['without the accent', 'Inés Oliveira', 'Ines Oliveira'],
    ['with an accent that is not listed', 'Ines Oliveira', 'Inès Oliveira'],
    ['with the accent as a combining character', 'In\u00e9s Oliveira', 'Ine\u0301s Oliveira'],
    ['with more spaces', 'Inés Oliveira', '  Inés \t Oliveira\n'],
    ['with a no-break space', 'Inés Oliveira', 'Inés\u00a0Oliveira'],
    ['without the space', 'Inés Oliveira', 'InésOliveira'],
    ['without the strokes of Polish letters', 'Łukasz Żak', 'Lukasz Zak'],
    ['without the strokes of Danish letters', 'Søren Ærø', 'Soren Aero'],
    ['with ss for the sharp s', 'Anna Groß', 'ANNA GROSS'],
    ['in Greek capitals, without the final form of sigma', 'Νίκος Παπάς', 'ΝΙΚΟΣ ΠΑΠΑΣ'],
    ['in full-width letters', 'Li Ming', 'Ｌｉ Ｍｉｎｇ'],
  ])('EXC-2 matches %s', (_, listedName, writtenName) => {
    const agreement = anAgreement({ contacts: [jorge, { ...ines, name: listedName }] });
    expect(isAuthorizedRequester({ name: writtenName, email: 'INES@alder.example' }, agreement)).toBe(true);
  });

  it.each([
    ['with another letter', 'Inés Oliveira', 'Inez Oliveira'],
    ['with one name fewer', 'Inés Oliveira', 'Inés'],
    ['with one name more', 'Inés Oliveira', 'Inés Maria Oliveira'],
    ['in another order', 'Inés Oliveira', 'Oliveira Inés'],
    ['with another vowel sign in Hindi, which is not an accent', 'राम', 'रमी'],
    ['with an empty name', 'Inés Oliveira', ''],
  ])('EXC-2 does not match %s', (_, listedName, writtenName) => {
    const agreement = anAgreement({ contacts: [jorge, { ...ines, name: listedName }] });
    expect(isAuthorizedRequester({ name: writtenName, email: ines.email }, agreement)).toBe(false);
  });

  it('EXC-2 matches name and email of one contact, not of two', () => {
    expect(isAuthorizedRequester({ name: jorge.name, email: ines.email }, anAgreement())).toBe(false);
    expect(isAuthorizedRequester({ name: ines.name, email: mallory.email }, anAgreement())).toBe(false);
  });

  it('EXC-2 is not authorized as the Notices Correspondent only', () => {
    expect(isAuthorizedRequester(noor, anAgreement())).toBe(false);
  });
});

describe('a Notices Correspondent with a named successor', () => {
  const handedOver = anAgreement({ pendingNoticesCorrespondent: { person: dora, effectiveAt: tuesdayTen } });

  it('AGR-4 stays the Correspondent until the waiting period ends', () => {
    expect(noticesCorrespondentAt(handedOver, mondayTen)).toBe(noor);
    expect(noticesCorrespondentAt(handedOver, addDuration(tuesdayTen, { seconds: -1 }))).toBe(noor);
  });

  it('AGR-4 is replaced at the instant at which the waiting period ends', () => {
    expect(noticesCorrespondentAt(handedOver, tuesdayTen)).toBe(dora);
    expect(noticesCorrespondentAt(handedOver, addDuration(tuesdayTen, { days: 1 }))).toBe(dora);
  });

  it('AGR-4 stays without a successor', () => {
    expect(noticesCorrespondentAt(anAgreement(), mondayNoon)).toBe(noor);
  });

  it('AGR-3 can see the agreement until the successor takes over', () => {
    expect(isCustomerOf(noor.email, handedOver, mondayTen)).toBe(true);
    expect(isCustomerOf(dora.email, handedOver, mondayTen)).toBe(false);
    expect(isCustomerOf(noor.email, handedOver, tuesdayTen)).toBe(false);
    expect(isCustomerOf(dora.email, handedOver, tuesdayTen)).toBe(true);
  });
});

describe('naming a new Notices Correspondent', () => {
  it('AGR-4 takes effect after the waiting period and changes nothing before', () => {
    const agreement = anAgreement();
    expect(nameCorrespondent(agreement, dora, mondayTen, policy)).toEqual({
      ...agreement,
      pendingNoticesCorrespondent: { person: dora, effectiveAt: tuesdayTen },
    });
  });

  it('AGR-4 replaces a successor who is waiting, and restarts the waiting period', () => {
    const named = nameCorrespondent(anAgreement(), jorge, mondayTen, policy);
    expect(nameCorrespondent(named, dora, mondayNoon, policy)).toMatchObject({
      noticesCorrespondent: noor,
      pendingNoticesCorrespondent: { person: dora, effectiveAt: addDuration(mondayNoon, { hours: 24 }) },
    });
  });

  it('AGR-4 replaces a successor who has taken over', () => {
    const named = nameCorrespondent(anAgreement(), jorge, mondayTen, policy);
    expect(nameCorrespondent(named, dora, tuesdayTen, policy)).toMatchObject({
      noticesCorrespondent: jorge,
      pendingNoticesCorrespondent: { person: dora, effectiveAt: addDuration(tuesdayTen, { hours: 24 }) },
    });
  });

  it('AGR-4 completes when the waiting period ends, and ends the former Correspondent’s deputy', () => {
    const deputy = { person: jorge, from: civilDate('2026-06-01'), to: civilDate('2026-06-12') };
    const waiting = nameCorrespondent(anAgreement({ deputy }), dora, mondayTen, policy);
    expect(withEffectiveCorrespondent(waiting, addDuration(tuesdayTen, { seconds: -1 }))).toBe(waiting);
    expect(withEffectiveCorrespondent(waiting, tuesdayTen)).toEqual({
      ...waiting,
      noticesCorrespondent: dora,
      pendingNoticesCorrespondent: null,
      deputy: null,
    });
    expect(withEffectiveCorrespondent(anAgreement({ deputy }), tuesdayTen).deputy).toEqual(deputy);
  });
});

describe('a deputy of the Notices Correspondent', () => {
  const deputy = { person: dora, from: civilDate('2026-06-01'), to: civilDate('2026-06-02') };
  const withDeputy = anAgreement({ deputy });
  const dayBefore = addDuration(mondayBeforeMidnight, { days: -1 });
  const dayAfter = addDuration(tuesdayMidnight, { days: 1 });

  it('AGR-5 is asked from the start of the first day to the end of the last day in Los Angeles', () => {
    expect(deputyAt(withDeputy, dayBefore, policy)).toBeUndefined();
    expect(deputyAt(withDeputy, addDuration(dayBefore, { seconds: 1 }), policy)).toBe(dora);
    expect(deputyAt(withDeputy, tuesdayTen, policy)).toBe(dora);
    expect(deputyAt(withDeputy, addDuration(dayAfter, { seconds: -1 }), policy)).toBe(dora);
    expect(deputyAt(withDeputy, dayAfter, policy)).toBeUndefined();
  });

  it('AGR-5 is undefined when none is named', () => {
    expect(deputyAt(anAgreement(), mondayTen, policy)).toBeUndefined();
  });

  it('AGR-5 can approve beside the Correspondent on these days only, and nobody else can', () => {
    expect(isApproverAt('DORA@alder.example', withDeputy, mondayTen, policy)).toBe(true);
    expect(isApproverAt(noor.email, withDeputy, mondayTen, policy)).toBe(true);
    expect(isApproverAt(dora.email, withDeputy, dayAfter, policy)).toBe(false);
    expect(isApproverAt(noor.email, withDeputy, dayAfter, policy)).toBe(true);
    expect(isApproverAt(ines.email, withDeputy, mondayTen, policy)).toBe(false);
  });

  it('AGR-4 keeps no rights for the former Correspondent after the change', () => {
    const handedOver = nameCorrespondent(anAgreement(), dora, mondayTen, policy);
    expect(isApproverAt(noor.email, handedOver, tuesdayTen, policy)).toBe(false);
    expect(isApproverAt(dora.email, handedOver, tuesdayTen, policy)).toBe(true);
    expect(isApproverAt(dora.email, handedOver, mondayTen, policy)).toBe(false);
  });
});

describe('a customer of an agreement', () => {
  it('AGR-3 is a contact or the Notices Correspondent, by email in any case', () => {
    expect(isCustomerOf('INES@alder.example', anAgreement(), mondayTen)).toBe(true);
    expect(isCustomerOf(jorge.email, anAgreement(), mondayTen)).toBe(true);
    expect(isCustomerOf(' Noor@alder.example', anAgreement(), mondayTen)).toBe(true);
  });

  it('AGR-3 is nobody else, not even a deputy', () => {
    const deputy = { person: dora, from: civilDate('2026-06-01'), to: civilDate('2026-06-12') };
    expect(isCustomerOf(mallory.email, anAgreement(), mondayTen)).toBe(false);
    expect(isCustomerOf(dora.email, anAgreement({ deputy }), mondayTen)).toBe(false);
  });
});

describe('the licenses of an agreement', () => {
  const agreement = licensed({
    'windows-vista-business': 30,
    'windows-vista-enterprise': 12,
    'windows-server-2008-datacenter': 4,
    'windows-server-2008-itanium': 0,
  });

  it('KEY-4 add up over all products of a group', () => {
    expect(licensesOf('client', agreement, policy)).toBe(42);
    expect(licensesOf('server-a', agreement, policy)).toBe(0);
    expect(licensesOf('server-c', agreement, policy)).toBe(4);
  });

  it('KEY-4 cover the groups with at least one license, lowest first', () => {
    expect(coveredProductGroups(agreement, policy)).toEqual(['client', 'server-c']);
    expect(coveredProductGroups(licensed({ 'windows-web-server-2008': 1 }), policy)).toEqual(['server-a']);
    expect(coveredProductGroups(licensed({}), policy)).toEqual([]);
  });
});

describe('the KMS key that is issued automatically', () => {
  it.each([
    ['client', { 'windows-vista-business': 1 }],
    ['client', { 'windows-vista-enterprise': 1 }],
    ['server-a', { 'windows-vista-business': 1, 'windows-web-server-2008': 1 }],
    ['server-b', { 'windows-server-2008-enterprise': 1, 'windows-vista-business': 1 }],
    ['server-c', { 'windows-vista-business': 1, 'windows-server-2008-itanium': 1, 'windows-web-server-2008': 1 }],
  ] as const)('KEY-1 has the group %s, the highest with licenses in %j', (group, products) => {
    expect(kmsGroupOf(licensed(products), policy)).toBe(group);
  });

  it.each([
    ['nothing', {}],
    ['servers only', { 'windows-server-2008-standard': 50, 'windows-server-2008-datacenter': 2 }],
    ['Windows Vista without licenses', { 'windows-vista-business': 0, 'windows-web-server-2008': 1 }],
  ] as const)('KEY-1 is not issued when the agreement covers %s', (_, products) => {
    expect(kmsGroupOf(licensed(products), policy)).toBeUndefined();
  });
});

describe('the initial limit of a MAK', () => {
  const limitFor = (program: Program, level: Level | null, licenses: number) =>
    initialMakLimit('client', licensed({ 'windows-vista-business': licenses }, { program, level }), policy);

  it.each([
    ['enterprise', null, 1000, 1200],
    ['enterprise', 'A', 1000, 1200],
    ['enterprise', 'B', 1000, 1250],
    ['enterprise', 'C', 1000, 1300],
    ['enterprise', 'D', 1000, 1400],
    ['select', null, 1000, 1200],
    ['select', 'B', 1000, 1250],
    ['select', 'D', 1000, 1400],
    ['campus-and-school', null, 1000, 1500],
    ['campus-and-school', 'C', 1000, 1600],
    ['open', null, 1000, 1250],
    ['open', 'C', 1000, 1250],
  ] as const)('KEY-4 is, for %s at level %s with %i licenses, %i', (program, level, licenses, limit) => {
    expect(limitFor(program, level, licenses)).toBe(limit);
  });

  it.each([
    [0, 50],
    [1, 50],
    [41, 50],
    [42, 60],
    [50, 60],
    [51, 70],
  ])('KEY-4 is rounded up to tens and at least 50: %i licenses at 1.2 give %i', (licenses, limit) => {
    expect(limitFor('enterprise', 'A', licenses)).toBe(limit);
  });

  it('AGR-6 can be computed for a number of licenses without an agreement', () => {
    expect(makLimitFor(1000, 'select', null, policy)).toBe(1200);
    expect(makLimitFor(1000, 'campus-and-school', 'D', policy)).toBe(1600);
    expect(makLimitFor(0, 'open', null, policy)).toBe(50);
  });

  it('KEY-4 counts the licenses of its own group only', () => {
    const agreement = licensed({ 'windows-vista-business': 1000, 'windows-server-2008-standard': 100 });
    expect(initialMakLimit('server-b', agreement, policy)).toBe(120);
    expect(initialMakLimit('server-c', agreement, policy)).toBe(50);
  });

  it('KEY-4 is not one step too high because 100 times 1.1 exceeds 110 in floating point', () => {
    const activationsPerLicense = { ...policy.initialMakLimit.activationsPerLicense };
    activationsPerLicense.enterprise = { none: 1.1, A: 1.1, B: 1.1, C: 1.1, D: 1.1 };
    const other: Policy = { ...policy, initialMakLimit: { ...policy.initialMakLimit, activationsPerLicense } };
    expect(initialMakLimit('client', licensed({ 'windows-vista-business': 100 }), other)).toBe(110);
  });

  it('KEY-4 is sufficient and a multiple of ten for any program, level, and number of licenses', () => {
    const level = fc.constantFrom(...levels, null);
    fc.assert(
      fc.property(fc.constantFrom(...programs), level, fc.nat(200_000), (program, of, licenses) => {
        const limit = limitFor(program, of, licenses);
        expect(limit).toBeGreaterThanOrEqual(Math.max(50, licenses + 1));
        expect(limit % 10).toBe(0);
        expect(limitFor(program, of, licenses + 1)).toBeGreaterThanOrEqual(limit);
      }),
    );
  });
});
