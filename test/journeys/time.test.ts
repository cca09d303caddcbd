import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { Instant } from '../../domain/calendar/instant.ts';
import { instant } from '../../domain/calendar/instant.ts';
import { installationId } from '../builders.ts';
import {
  fridayBeforeTheHolidayAlmostFive,
  fridayFive,
  mondayAfterTheHolidayFive,
  mondayTen,
  nextFridayFive,
  nextMondayFive,
  nextThursdayFive,
  nextTuesdayFive,
  nextWednesdayFive,
  saturdayBeforeTheHolidayNoon,
  thursdayFive,
  tuesdayAfterTheHolidayFive,
  tuesdayBeforeTheHolidayTen,
  tuesdayTen,
} from '../instants.ts';
import type { Exception, Mail } from './contract.ts';
import {
  activationSchema,
  agreementSchema,
  draftSchema,
  exceptionSchema,
  expectProblem,
  expectStatus,
  grantSchema,
} from './contract.ts';
import type { Customer } from './customer.ts';
import {
  activate,
  approvalLinksOf,
  decide,
  getException,
  getKmsKey,
  getMak,
  issueMak,
  kmsRequestFormOf,
  newCustomer,
  newestLink,
  newestStrictLink,
  requestFormOf,
  revealProductKey,
  signInStaff,
  submitRequest,
} from './customer.ts';
import { startSystem } from './system.ts';

// Deadlines and reminders, with one clock that only advances, so the tests run in the order of their dates. They run in
// 2037, which has the same weekdays as 2026, the year of the named instants.

// Advancing the clock by weeks takes time on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const in2037 = (at: Instant): Instant => instant(at.replace(/^2026/, '2037'));
const system = await startSystem();

/** Registers a new customer and signs the staff in again, because tokens expire after 90 days. */
async function newScenario(overrides: Parameters<typeof newCustomer>[2] = {}) {
  const staff = await signInStaff(system);
  return { staff, customer: await newCustomer(system, staff, overrides) };
}

const teamAddress = 'exceptions-team@volume-activation.example';
const supervisorAddress = 'supervisors@volume-activation.example';

const emailsAbout = async (address: string, { exceptionId }: Exception): Promise<readonly Mail[]> =>
  (await system.mailsTo(address)).filter(({ subject }) => subject.endsWith(`(${exceptionId})`));

/** Checks the times of emails. The sweep runs every minute, so each is sent up to two minutes after its due time. */
function expectSentAt(emails: readonly Mail[], dueTimes: readonly Instant[]): void {
  const sent = emails.map(({ at }) => at);
  expect(sent, `sent at ${sent}, due at ${dueTimes}`).toHaveLength(dueTimes.length);
  for (const [index, at] of sent.entries()) {
    const late = Date.parse(at) - Date.parse(dueTimes[index] ?? '');
    expect(late, `${at} for ${dueTimes[index]}`).toBeGreaterThanOrEqual(0);
    expect(late, `${at} for ${dueTimes[index]}`).toBeLessThan(120_000);
  }
}

const withSubject = (emails: readonly Mail[], pattern: RegExp) => emails.filter(({ subject }) => pattern.test(subject));

describe('requests without a response', () => {
  let unapproved: { customer: Customer; request: Exception };
  let unanswered: { customer: Customer; request: Exception };

  beforeAll(async () => {
    await system.advanceClockTo(in2037(mondayTen));
    const first = await newScenario();
    const mak = await issueMak(first.customer);
    unapproved = { ...first, request: await submitRequest(system, first.customer, requestFormOf(first.customer, mak)) };
    const second = await newScenario();
    const request = await submitRequest(system, second.customer, kmsRequestFormOf(second.customer));
    const questionResponse = await second.staff.team.post(`/exceptions/${request.exceptionId}/questions`, {
      text: 'Which schools?',
    });
    unanswered = { ...second, request: expectStatus(questionResponse, 202, exceptionSchema) };
    await system.advanceClockTo(instant('2037-06-16T12:00:00-07:00'));
  });

  it('SLA-5 send the Correspondent a reminder one, two and four business days after the approval email', async () => {
    const { customer, request } = unapproved;
    const emails = await emailsAbout(customer.noor.email, request);
    expectSentAt(withSubject(emails, /^Reminder/), [
      in2037(tuesdayTen),
      instant('2037-06-03T10:00:00-07:00'),
      instant('2037-06-05T10:00:00-07:00'),
    ]);
    expectSentAt(withSubject(emails, /^Decision needed/), [in2037(mondayTen)]);
    // Each email has its own link.
    expect(new Set((await approvalLinksOf(system, customer)).map(({ path }) => path)).size).toBe(4);
  });

  it('SLA-5 send the team a reminder two and one business days before the due time, and at the due time', async () => {
    expect(unapproved.request.dueAt).toBe(in2037(nextMondayFive));
    const emails = await emailsAbout(teamAddress, unapproved.request);
    expectSentAt(withSubject(emails, /^Due soon/), [in2037(thursdayFive), in2037(fridayFive)]);
    expectSentAt(withSubject(emails, /^Due now/), [in2037(nextMondayFive)]);
  });

  it('SLA-4 SLA-5 alert the supervisors at the breach and each business day after, with the longest wait', async () => {
    const emails = await emailsAbout(supervisorAddress, unapproved.request);
    expectSentAt(emails, [
      in2037(nextMondayFive),
      in2037(nextTuesdayFive),
      in2037(nextWednesdayFive),
      in2037(nextThursdayFive),
      in2037(nextFridayFive),
    ]);
    for (const { text } of emails)
      expect(text).toMatch(/The request spent the most time with the Notices\s+Correspondent/);
  });

  it('SLA-6 lapse after ten business days without a decision, and all get an email', async () => {
    const { customer, request } = unapproved;
    const lapsed = await getException(await signedIn(customer), request.exceptionId);
    expect(lapsed).toMatchObject({ status: 'lapsed', overdue: true, decidedBy: null, dueAt: in2037(nextMondayFive) });
    expect(lapsed.reason).toMatch(/^The Notices Correspondent did not answer within 10 business days/);
    for (const address of [customer.ines.email, customer.noor.email, teamAddress]) {
      expectSentAt(withSubject(await emailsAbout(address, request), /^Lapsed/), [instant('2037-06-15T10:00:00-07:00')]);
    }
    expect((await system.workflow(request.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
  });

  it('APR-3 accept no decision by an earlier link after that', async () => {
    for (const link of await approvalLinksOf(system, unapproved.customer)) {
      expect((await system.send({ method: 'GET', path: link.path })).status).toBe(410);
      expect((await decide(system, link, 'approve')).status).toBe(410);
    }
  });

  it('SLA-2 SLA-6 lapse after ten business days without an answer, without reminders to the team', async () => {
    const { customer, request } = unanswered;
    const lapsed = await getException(await signedIn(customer), request.exceptionId);
    expect(lapsed).toMatchObject({ status: 'lapsed', overdue: false });
    expect(lapsed.reason).toMatch(/^The requester did not answer within 10 business days/);
    // The request lapses at the end of the minute in which it is due.
    expect([4_800, 4_801]).toContain(lapsed.clock.requester);
    const emails = await emailsAbout(teamAddress, request);
    expectSentAt(emails, [instant('2037-06-15T10:00:00-07:00')]);
    expect(emails[0]?.subject).toMatch(/^Lapsed/);
    expect(await emailsAbout(supervisorAddress, request)).toEqual([]);
    expect(withSubject(await emailsAbout(customer.ines.email, request), /^Question about/)).toHaveLength(1);
  });
});

describe('a reminder', () => {
  it('APR-1 SLA-5 has a link that works like the first one, and is not sent after the decision', async () => {
    const { customer } = await newScenario();
    const mak = await issueMak(customer);
    const request = await submitRequest(system, customer, requestFormOf(customer, mak));
    await system.advanceClock('P1DT1H');
    const links = await approvalLinksOf(system, customer);
    expect(links).toHaveLength(2);
    const [first, reminder] = links;
    if (first === undefined || reminder === undefined) throw new Error('two links were expected');
    // Each code works only with its own link.
    expect((await decide(system, { path: reminder.path, code: first.code }, 'approve')).status).toBe(422);
    expect((await decide(system, reminder, 'approve')).status).toBe(200);
    await system.advanceClock('P7D');
    expect((await decide(system, first, 'deny')).status).toBe(409);
    expect(await getMak(customer, mak)).toMatchObject({ limit: 200 });
    expect(withSubject(await emailsAbout(customer.noor.email, request), /^Reminder/)).toHaveLength(1);
    expect(await emailsAbout(teamAddress, request)).toEqual([]);
  });
});

describe('a new Notices Correspondent', () => {
  it('AGR-4 takes over after a day, and the previous one gets no more approval emails', async () => {
    const { staff, customer } = await newScenario();
    const mak = await issueMak(customer);
    const request = await submitRequest(system, customer, requestFormOf(customer, mak));
    const old = await newestLink(system, customer);
    const dora = { name: 'Dora Lund', email: `dora@${customer.agreementId.toLowerCase()}.example`, phone: '1' };
    const changeResponse = await staff.admin.put(`/agreements/${customer.agreementId}/notices-correspondent`, dora);
    const { pendingNoticesCorrespondent } = expectStatus(changeResponse, 200, agreementSchema);
    expect(pendingNoticesCorrespondent).toMatchObject({ person: dora });
    for (const address of [customer.ines.email, customer.jorge.email, customer.noor.email, dora.email]) {
      await system.settle();
      expect((await system.mailsTo(address)).length, address).toBeGreaterThan(0);
    }
    expect((await system.send({ method: 'GET', path: old.path })).status).toBe(200);
    await system.advanceClock('PT25H');
    expect((await system.send({ method: 'GET', path: old.path })).status).toBe(410);
    expect((await decide(system, old, 'approve')).status).toBe(410);
    const emails = await emailsAbout(dora.email, request);
    expect(emails.map(({ subject }) => subject)).toContainEqual(expect.stringMatching(/^Decision needed/));
    expect(await getException(customer, request.exceptionId)).toMatchObject({ status: 'awaiting-approval' });
  });
});

describe('the overrides of a KMS key', () => {
  it('OVR-2 OVR-3 number one per day at the call center and five in total; after that, only a KMSADD is possible', async () => {
    const { staff, customer } = await newScenario();
    const at = `/keys/${customer.kmsKey.keyId}`;
    const give = (host: number) =>
      staff.agent.post(`${at}/overrides`, {
        installationId: installationId(host),
        callReference: `CALL-${host}`,
        callerName: 'Jorge Ruiz',
      });
    await system.advanceClockTo(instant('2037-08-03T23:59:00-07:00'));
    expectStatus(await give(1), 201, grantSchema);
    const today = expectProblem(await give(2), 409, 'override-used-today');
    expect(today.availableAt).toBe(instant('2037-08-04T00:00:00-07:00'));
    await system.advanceClockTo(instant('2037-08-04T00:00:00-07:00'));
    for (const host of [2, 3, 4, 5]) {
      expectStatus(await give(host), 201, grantSchema);
      expectProblem(await give(9), 409, host === 5 ? 'overrides-exhausted' : 'override-used-today');
      await system.advanceClock('P1D');
    }
    const { draft } = expectProblem(await give(6), 409, 'overrides-exhausted');
    expect(draftSchema.parse(draft)).toMatchObject({ kind: 'KMSADD', keyLastFive: customer.kmsKey.lastFive });
    const [requester] = customer.registration.contacts;
    const intake = { ...draftSchema.parse(draft), requester, businessReason: 'One more.', requiredDate: '2099-01-04' };
    expect(await submitRequest(system, customer, intake)).toMatchObject({
      status: 'awaiting-approval',
      activations: 1,
    });
  });
});

describe('a KMSADD with a question, across a holiday and a weekend', () => {
  it('SLA-1 SLA-2 SLA-4 EXC-7 pauses its clock until the answer, and its due time moves to the minute', async () => {
    await system.advanceClockTo(in2037(fridayBeforeTheHolidayAlmostFive));
    const { staff, customer } = await newScenario();
    const { ines } = customer;
    const at = (more: string, { exceptionId }: Exception) => `/exceptions/${exceptionId}${more}`;
    const request = await submitRequest(system, customer, kmsRequestFormOf(customer, { activationsRequested: 25 }));
    expect(request).toMatchObject({ status: 'in-review', flags: ['above-review-threshold'] });
    // Received on a Friday at 16:59; the next Wednesday is a holiday.
    expect(request.dueAt).toBe(in2037(mondayAfterTheHolidayFive));

    // A request from that Saturday is due one business day later.
    await system.advanceClockTo(in2037(saturdayBeforeTheHolidayNoon));
    const saturday = await newCustomer(system, staff);
    const late = await submitRequest(system, saturday, kmsRequestFormOf(saturday));
    expect(late.dueAt).toBe(in2037(tuesdayAfterTheHolidayFive));
    expectStatus(await saturday.ines.post(at('/withdrawal', late)), 202, exceptionSchema);

    await system.advanceClockTo(in2037(tuesdayBeforeTheHolidayTen));
    const questionResponse = await staff.team.post(at('/questions', request), { text: 'Which hosts?' });
    const standing = expectStatus(questionResponse, 202, exceptionSchema);
    const hours = 60;
    // Remaining time: Tuesday from 10:00, Thursday, Friday, and Monday.
    const remainingMinutes = (7 + 8 + 8 + 8) * hours;
    expect(standing).toMatchObject({ status: 'awaiting-requester', dueAt: null, overdue: false });
    expect(standing.clock).toEqual({
      running: false,
      remainingMinutes,
      team: 1 + (8 + 1) * hours,
      requester: 0,
      correspondent: 0,
    });
    expectProblem(await staff.team.post(at('/questions', request), { text: 'And?' }), 409, 'not-in-that-state');
    await system.settle();
    const [question] = withSubject(await emailsAbout(ines.email, request), /^Question about/);
    expect(question?.text).toContain('Which hosts?');

    await system.advanceClockTo(instant('2037-11-16T10:00:00-08:00'));
    expect(await getException(customer, request.exceptionId)).toMatchObject({
      dueAt: null,
      clock: { running: false, remainingMinutes, requester: (7 + 8 + 8 + 1) * hours },
    });
    const resumed = expectStatus(
      await ines.post(at('/answers', request), { text: 'Those in the lab.' }),
      202,
      exceptionSchema,
    );
    // From Monday at 10:00: seven hours of Monday, Tuesday, Wednesday and Thursday.
    expect(resumed).toMatchObject({ status: 'in-review', dueAt: instant('2037-11-19T17:00:00-08:00') });
    expect(resumed.clock).toEqual({
      running: true,
      remainingMinutes,
      team: 1 + (8 + 1) * hours,
      requester: (7 + 8 + 8 + 1) * hours,
      correspondent: 0,
    });
    await system.settle();
    const [email] = withSubject(await emailsAbout(teamAddress, request), /^Answered/);
    expect(email?.text).toContain('Those in the lab.');

    expectStatus(await staff.team.post(at('/review', request), { decision: 'forward' }), 202, exceptionSchema);
    await system.advanceClockTo(instant('2037-11-17T11:00:00-08:00'));
    expect((await decide(system, await newestStrictLink(system, customer), 'approve')).status).toBe(200);
    await system.settle();
    const done = await getException(customer, request.exceptionId);
    expect(done).toMatchObject({ status: 'fulfilled', overdue: false, dueAt: instant('2037-11-19T17:00:00-08:00') });
    expect(done.clock).toMatchObject({ running: false, requester: 24 * hours, correspondent: (7 + 2) * hours });
    expect(await getKmsKey(customer)).toMatchObject({ limit: 31, used: 0, remaining: 31 });
    const productKey = await revealProductKey(customer, customer.kmsKey);
    expectStatus(await activate(system, productKey, 1, 'windows-server-2008-standard'), 201, activationSchema);
  });
});

/** Returns the customer with a new sign-in. */
async function signedIn(customer: Customer): Promise<Customer> {
  return { ...customer, ines: await system.signIn(customer.ines.email) };
}
