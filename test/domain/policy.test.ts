import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { civilDate } from '../../domain/calendar/instant.ts';
import { productGroups, products } from '../../domain/catalog.ts';
import { policySchema } from '../../domain/policy.ts';
import { policy } from '../builders.ts';
import { readProjectFile } from '../project-files.ts';

const shippedPolicy: unknown = JSON.parse(readProjectFile('policy.json'));

/** Returns the shipped policy with the value at a JSON pointer replaced, or removed for `undefined`. */
function policyWith(pointer: string, value: unknown): unknown {
  return JSON.parse(JSON.stringify(withValueAt(pointer.split('/').slice(1), shippedPolicy, value)));
}

function withValueAt([name, ...names]: readonly string[], container: unknown, value: unknown): unknown {
  if (name === undefined) return value;
  if (Array.isArray(container)) {
    return container.map((each, index) => (String(index) === name ? withValueAt(names, each, value) : each));
  }
  const members = z.record(z.string(), z.unknown()).parse(container);
  return { ...members, [name]: withValueAt(names, members[name], value) };
}

/** Returns the validation errors of a policy, each with its pointer. */
function errorsOf(candidate: unknown): string[] {
  const { error } = policySchema.safeParse(candidate);
  return (error?.issues ?? []).map(({ path, message }) => `/${path.join('/')}: ${message}`);
}

/** Returns all descriptions in a JSON schema. */
function descriptionsIn(schema: unknown): unknown[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const own = 'description' in schema ? [schema.description] : [];
  return [...own, ...Object.values(schema).flatMap(descriptionsIn)];
}

describe('the shipped policy', () => {
  it('describes every number in a sentence', () => {
    const descriptions = descriptionsIn(z.toJSONSchema(policySchema, { io: 'input' }));
    expect(descriptions.length).toBeGreaterThan(30);
    for (const description of descriptions) expect(description).toMatch(/^[A-Z].+\.$/);
  });

  it('is unchanged by parsing', () => {
    expect(policy).toEqual(shippedPolicy);
  });

  it('has the numbers of the source document: six hosts with ten activations, five overrides, double by phone, five business days', () => {
    expect(policy.kms).toMatchObject({ hostPlaces: 6, usesPerHost: 10 });
    expect(policy.callCenter).toMatchObject({ overridesPerKey: 5, increaseUpToTimesOriginal: 2 });
    expect(policy.exceptions.answerWithinBusinessDays).toBe(5);
  });

  it('has the numbers of the rules where the source document has none', () => {
    expect(policy.kms.newHostsWarning).toEqual({ hosts: 3, withinHours: 24 });
    expect(policy.callCenter.zone).toBe('America/Los_Angeles');
    expect(policy.supportCalendar).toEqual({
      zone: 'America/Los_Angeles',
      opensAt: '09:00',
      closesAt: '17:00',
      holidays: 'united-states-federal',
      closedOn: [],
    });
    expect(policy.exceptions).toMatchObject({
      notEnglishExtraBusinessDays: 5,
      reviewAbove: { MAKADD: 1000, KMSADD: 20 },
      correspondentRemindedAfterBusinessDays: [1, 2, 4],
      teamRemindedBeforeDueBusinessDays: [2, 1, 0],
      supervisorsToldEveryBusinessDays: 1,
      lapsesAfterBusinessDays: 10,
    });
    expect(policy.approval).toEqual({ wrongCodesAllowed: 5, strict: 'above-review-threshold', strictCodeMinutes: 10 });
    expect(policy.noticesCorrespondent.waitingHours).toBe(24);
    expect(policy.validation.graceDays).toBe(30);
    expect(policy.alerts.usedPercent).toEqual([80, 95, 100]);
    expect(policy.alerts.forecast).toEqual({ windowDays: 28, leastDays: 7, leastActivations: 5 });
    expect(policy.plan.kmsThreshold).toEqual({ clients: 25, servers: 5 });
  });

  it('KEY-4 gives no MAK fewer than 50 activations', () => {
    expect(policy.initialMakLimit.floor).toBe(50);
  });

  it('KEY-3 names every product and assigns it to a group', () => {
    expect(Object.keys(policy.catalog)).toEqual([...products]);
    expect([...new Set(products.map((product) => policy.catalog[product].group))]).toEqual([...productGroups]);
  });
});

describe('a policy with a mistake', () => {
  it.each([
    // Missing and unknown members
    ['/kms', undefined, '/kms: '],
    ['/kms/hostPlaces', undefined, '/kms/hostPlaces: '],
    ['/catalog/windows-web-server-2008', undefined, '/catalog/windows-web-server-2008: '],
    ['/catalog/windows-xp', { group: 'client', name: 'Windows XP' }, '/catalog: '],
    ['/initialMakLimit/activationsPerLicense/open', undefined, '/initialMakLimit/activationsPerLicense/open: '],
    [
      '/initialMakLimit/activationsPerLicense/open/none',
      undefined,
      '/initialMakLimit/activationsPerLicense/open/none: ',
    ],
    ['/initialMakLimit/activationsPerLicense/open/E', 1, '/initialMakLimit/activationsPerLicense/open: '],
    ['/exceptions/reviewAbove/KMSADD', undefined, '/exceptions/reviewAbove/KMSADD: '],
    ['/exceptions/reviewAbove/XADD', 1, '/exceptions/reviewAbove: '],
    ['/exceptions/atMost/XADD', 1, '/exceptions/atMost: '],
    ['/exceptions/nap', 1, '/exceptions: '],
    ['/nap', 1, '/: '],
    ['/kms/nap', 1, '/kms: '],
    ['/kms/newHostsWarning/nap', 1, '/kms/newHostsWarning: '],
    ['/callCenter/nap', 1, '/callCenter: '],
    ['/supportCalendar/nap', 1, '/supportCalendar: '],
    ['/initialMakLimit/nap', 1, '/initialMakLimit: '],
    ['/catalog/windows-vista-business/nap', 1, '/catalog/windows-vista-business: '],
    ['/approval/nap', 1, '/approval: '],
    ['/noticesCorrespondent/nap', 1, '/noticesCorrespondent: '],
    ['/validation/nap', 1, '/validation: '],
    ['/alerts/nap', 1, '/alerts: '],
    ['/alerts/forecast/nap', 1, '/alerts/forecast: '],
    ['/plan/nap', 1, '/plan: '],
    ['/plan/kmsThreshold/nap', 1, '/plan/kmsThreshold: '],
    // Invalid numbers
    ['/kms/hostPlaces', 0, '/kms/hostPlaces: '],
    ['/kms/usesPerHost', 9.5, '/kms/usesPerHost: '],
    ['/kms/usesPerHost', '10', '/kms/usesPerHost: '],
    ['/callCenter/overridesPerKey', 0, '/callCenter/overridesPerKey: '],
    ['/exceptions/notEnglishExtraBusinessDays', -1, '/exceptions/notEnglishExtraBusinessDays: '],
    ['/exceptions/reviewAbove/MAKADD', -1, '/exceptions/reviewAbove/MAKADD: '],
    [
      '/exceptions/correspondentRemindedAfterBusinessDays/0',
      0,
      '/exceptions/correspondentRemindedAfterBusinessDays/0: ',
    ],
    ['/initialMakLimit/activationsPerLicense/open/A', 0, '/initialMakLimit/activationsPerLicense/open/A: '],
    ['/alerts/usedPercent/2', 101, '/alerts/usedPercent/2: '],
    ['/alerts/usedPercent/0', 0, '/alerts/usedPercent/0: '],
    ['/approval/strict', true, '/approval/strict: '],
    ['/catalog/windows-vista-business/group', 'phones', '/catalog/windows-vista-business/group: '],
    ['/catalog/windows-vista-business/name', '', '/catalog/windows-vista-business/name: '],
    ['/supportCalendar/holidays', 'martian', '/supportCalendar/holidays: '],
  ])('is refused with the pointer to the mistake: %s as %j', (pointer, value, prefix) => {
    expect(errorsOf(policyWith(pointer, value))).toEqual([expect.stringContaining(prefix)]);
  });

  it.each([
    [
      '/callCenter/zone',
      'Mars/Olympus',
      '/callCenter/zone: is not a time zone of the IANA database, such as America/Los_Angeles',
    ],
    [
      '/supportCalendar/zone',
      '',
      '/supportCalendar/zone: is not a time zone of the IANA database, such as America/Los_Angeles',
    ],
    ['/supportCalendar/opensAt', '9:00', '/supportCalendar/opensAt: is not a time of day such as 09:00'],
    ['/supportCalendar/closesAt', '24:00', '/supportCalendar/closesAt: is not a time of day such as 09:00'],
    ['/supportCalendar/closesAt', '17:60', '/supportCalendar/closesAt: is not a time of day such as 09:00'],
    ['/supportCalendar/closesAt', '17:00:00', '/supportCalendar/closesAt: is not a time of day such as 09:00'],
    ['/supportCalendar/closesAt', ' 17:00', '/supportCalendar/closesAt: is not a time of day such as 09:00'],
    ['/supportCalendar/closesAt', '09:00', '/supportCalendar: closesAt must be later than opensAt'],
    ['/supportCalendar/closesAt', '08:59', '/supportCalendar: closesAt must be later than opensAt'],
    ['/supportCalendar/closedOn', ['2027-02-29'], '/supportCalendar/closedOn/0: is not a date such as 2027-01-04'],
    [
      '/exceptions/correspondentRemindedAfterBusinessDays',
      [1, 1],
      '/exceptions/correspondentRemindedAfterBusinessDays: each must be later than the one before',
    ],
    [
      '/exceptions/teamRemindedBeforeDueBusinessDays',
      [0, 1],
      '/exceptions/teamRemindedBeforeDueBusinessDays: each must be closer to the due time than the one before',
    ],
    ['/alerts/usedPercent', [95, 80], '/alerts/usedPercent: each must be more than the one before'],
  ])('is refused with a message: %s as %j', (pointer, value, error) => {
    expect(errorsOf(policyWith(pointer, value))).toContain(error);
  });
});

describe('a policy that the vendor changes', () => {
  it.each([
    ['/supportCalendar/closesAt', '09:01'],
    ['/supportCalendar/opensAt', '00:00'],
    ['/supportCalendar/closesAt', '23:59'],
    ['/supportCalendar/holidays', 'none'],
    ['/supportCalendar/zone', 'Europe/Lisbon'],
    ['/callCenter/zone', 'UTC'],
    ['/kms/hostPlaces', 1],
    ['/exceptions/notEnglishExtraBusinessDays', 0],
    ['/exceptions/reviewAbove', { MAKADD: 0, KMSADD: 0 }],
    ['/exceptions/correspondentRemindedAfterBusinessDays', []],
    ['/exceptions/teamRemindedBeforeDueBusinessDays', [3, 0]],
    ['/noticesCorrespondent/waitingHours', 0],
    ['/validation/graceDays', 0],
    ['/alerts/usedPercent', [1, 100]],
    ['/approval/strict', 'off'],
    ['/approval/strict', 'always'],
  ])('can set %s to %j', (pointer, value) => {
    expect(errorsOf(policyWith(pointer, value))).toEqual([]);
  });

  it('SLA-1 can close support on extra days', () => {
    const changed = policySchema.parse(policyWith('/supportCalendar/closedOn', ['2028-02-29']));
    expect(changed.supportCalendar.closedOn).toEqual([civilDate('2028-02-29')]);
  });
});
