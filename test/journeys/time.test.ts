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

// What time brings, on one clock that is only ever wound on: the stories are told in the order in which they happen. They
// happen in 2037, whose days fall on the same dates as those of the named instants of 2026.

// Winding over weeks and starting anew take their time on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const in2037 = (named: Instant): Instant => instant(named.replace(/^2026/, '2037'));
const system = await startSystem();

/** Tokens last ninety days: everybody signs in anew for each story. */
async function newStory(facts: Parameters<typeof newCustomer>[2] = {}) {
  const staff = await signInStaff(system);
  return { staff, customer: await newCustomer(system, staff, facts) };
}

const teamMail = 'exceptions-team@volume-activation.example';
const supervisorMail = 'supervisors@volume-activation.example';

const mailsAbout = async (address: string, { exceptionId }: Exception): Promise<readonly Mail[]> =>
  (await system.mailsTo(address)).filter(({ subject }) => subject.endsWith(`(${exceptionId})`));

/** The schedule looks each minute: what falls due within one is done at its end. */
function expectSentAt(mails: readonly Mail[], moments: readonly Instant[]): void {
  const sent = mails.map(({ at }) => at);
  expect(sent, `sent at ${sent}, due at ${moments}`).toHaveLength(moments.length);
  for (const [index, at] of sent.entries()) {
    const late = Date.parse(at) - Date.parse(moments[index] ?? '');
    expect(late, `${at} for ${moments[index]}`).toBeGreaterThanOrEqual(0);
    expect(late, `${at} for ${moments[index]}`).toBeLessThan(120_000);
  }
}

const of = (mails: readonly Mail[], subject: RegExp) => mails.filter((mail) => subject.test(mail.subject));

describe('requests to which nobody answers', () => {
  let unapproved: { customer: Customer; asked: Exception };
  let unanswered: { customer: Customer; asked: Exception };

  beforeAll(async () => {
    await system.advanceClockTo(in2037(mondayTen));
    const first = await newStory();
    const mak = await issueMak(first.customer);
    unapproved = { ...first, asked: await submitRequest(system, first.customer, requestFormOf(first.customer, mak)) };
    const second = await newStory();
    const asked = await submitRequest(system, second.customer, kmsRequestFormOf(second.customer));
    const put = await second.staff.team.post(`/exceptions/${asked.exceptionId}/questions`, { text: 'Which schools?' });
    unanswered = { ...second, asked: expectStatus(put, 202, exceptionSchema) };
    await system.advanceClockTo(instant('2037-06-16T12:00:00-07:00'));
  });

  it('SLA-5 the Correspondent is reminded one, two and four business days after being asked, once each', async () => {
    const { customer, asked } = unapproved;
    const mails = await mailsAbout(customer.noor.email, asked);
    expectSentAt(of(mails, /^Reminder/), [
      in2037(tuesdayTen),
      instant('2037-06-03T10:00:00-07:00'),
      instant('2037-06-05T10:00:00-07:00'),
    ]);
    expectSentAt(of(mails, /^Decision needed/), [in2037(mondayTen)]);
    // Each carries a link of its own.
    expect(new Set((await approvalLinksOf(system, customer)).map(({ path }) => path)).size).toBe(4);
  });

  it('SLA-5 the team is reminded two and one business days before the answer is due, and when it is', async () => {
    expect(unapproved.asked.dueAt).toBe(in2037(nextMondayFive));
    const mails = await mailsAbout(teamMail, unapproved.asked);
    expectSentAt(of(mails, /^Due soon/), [in2037(thursdayFive), in2037(fridayFive)]);
    expectSentAt(of(mails, /^Due now/), [in2037(nextMondayFive)]);
  });

  it('SLA-4 SLA-5 the supervisors hear of it at the breach and each business day after, and with whom it lay', async () => {
    const mails = await mailsAbout(supervisorMail, unapproved.asked);
    expectSentAt(mails, [
      in2037(nextMondayFive),
      in2037(nextTuesdayFive),
      in2037(nextWednesdayFive),
      in2037(nextThursdayFive),
      in2037(nextFridayFive),
    ]);
    for (const { text } of mails) expect(text).toMatch(/It lay longest with the Notices Correspondent/);
  });

  it('SLA-6 it lapses after ten business days of the Correspondent’s silence, and all are told', async () => {
    const { customer, asked } = unapproved;
    const lapsed = await getException(await signedIn(customer), asked.exceptionId);
    expect(lapsed).toMatchObject({ status: 'lapsed', overdue: true, decidedBy: null, dueAt: in2037(nextMondayFive) });
    expect(lapsed.reason).toMatch(/^The Notices Correspondent did not answer within 10 business days/);
    for (const address of [customer.ines.email, customer.noor.email, teamMail]) {
      expectSentAt(of(await mailsAbout(address, asked), /^Lapsed/), [instant('2037-06-15T10:00:00-07:00')]);
    }
    expect((await system.workflow(asked.exceptionId)).executions).toMatchObject([{ status: 'SUCCEEDED' }]);
  });

  it('APR-3 no link that was mailed for it decides anything any more', async () => {
    for (const link of await approvalLinksOf(system, unapproved.customer)) {
      expect((await system.send({ method: 'GET', path: link.path })).status).toBe(410);
      expect((await decide(system, link, 'approve')).status).toBe(410);
    }
  });

  it('SLA-2 SLA-6 it lapses after ten business days of the requester’s silence, and meanwhile nobody is hurried', async () => {
    const { customer, asked } = unanswered;
    const lapsed = await getException(await signedIn(customer), asked.exceptionId);
    expect(lapsed).toMatchObject({ status: 'lapsed', overdue: false });
    expect(lapsed.reason).toMatch(/^The requester did not answer within 10 business days/);
    // It lapses at the end of the minute in which it is due.
    expect([4_800, 4_801]).toContain(lapsed.clock.requester);
    const mails = await mailsAbout(teamMail, asked);
    expectSentAt(mails, [instant('2037-06-15T10:00:00-07:00')]);
    expect(mails[0]?.subject).toMatch(/^Lapsed/);
    expect(await mailsAbout(supervisorMail, asked)).toEqual([]);
    expect(of(await mailsAbout(customer.ines.email, asked), /^Question about/)).toHaveLength(1);
  });
});

describe('a reminder', () => {
  it('APR-1 SLA-5 carries a link that decides as well as the first, and none is sent after the decision', async () => {
    const { customer } = await newStory();
    const mak = await issueMak(customer);
    const asked = await submitRequest(system, customer, requestFormOf(customer, mak));
    await system.advanceClock('P1DT1H');
    const links = await approvalLinksOf(system, customer);
    expect(links).toHaveLength(2);
    const [first, reminder] = links;
    if (first === undefined || reminder === undefined) throw new Error('two links were expected');
    // The code is bound to its own link.
    expect((await decide(system, { path: reminder.path, code: first.code }, 'approve')).status).toBe(422);
    expect((await decide(system, reminder, 'approve')).status).toBe(200);
    await system.advanceClock('P7D');
    expect((await decide(system, first, 'deny')).status).toBe(409);
    expect(await getMak(customer, mak)).toMatchObject({ limit: 200 });
    expect(of(await mailsAbout(customer.noor.email, asked), /^Reminder/)).toHaveLength(1);
    expect(await mailsAbout(teamMail, asked)).toEqual([]);
  });
});

describe('a new Notices Correspondent', () => {
  it('AGR-4 takes over after a day, and whoever was asked before is asked no more', async () => {
    const { staff, customer } = await newStory();
    const mak = await issueMak(customer);
    const asked = await submitRequest(system, customer, requestFormOf(customer, mak));
    const old = await newestLink(system, customer);
    const dora = { name: 'Dora Lund', email: `dora@${customer.agreementId.toLowerCase()}.example`, phone: '1' };
    const named = await staff.admin.put(`/agreements/${customer.agreementId}/notices-correspondent`, dora);
    const { pendingNoticesCorrespondent } = expectStatus(named, 200, agreementSchema);
    expect(pendingNoticesCorrespondent).toMatchObject({ person: dora });
    for (const address of [customer.ines.email, customer.jorge.email, customer.noor.email, dora.email]) {
      await system.settle();
      expect((await system.mailsTo(address)).length, address).toBeGreaterThan(0);
    }
    expect((await system.send({ method: 'GET', path: old.path })).status).toBe(200);
    await system.advanceClock('PT25H');
    expect((await system.send({ method: 'GET', path: old.path })).status).toBe(410);
    expect((await decide(system, old, 'approve')).status).toBe(410);
    const mails = await mailsAbout(dora.email, asked);
    expect(mails.map(({ subject }) => subject)).toContainEqual(expect.stringMatching(/^Decision needed/));
    expect(await getException(customer, asked.exceptionId)).toMatchObject({ status: 'awaiting-approval' });
  });
});

describe('the overrides of a KMS key', () => {
  it('OVR-2 OVR-3 are one a day of the call centre’s, five in all, and then a KMSADD', async () => {
    const { staff, customer } = await newStory();
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
  it('SLA-1 SLA-2 SLA-4 EXC-7 the clock stands while the requester is asked, and due moves to the minute', async () => {
    await system.advanceClockTo(in2037(fridayBeforeTheHolidayAlmostFive));
    const { staff, customer } = await newStory();
    const { ines } = customer;
    const at = (more: string, { exceptionId }: Exception) => `/exceptions/${exceptionId}${more}`;
    const asked = await submitRequest(system, customer, kmsRequestFormOf(customer, { activationsRequested: 25 }));
    expect(asked).toMatchObject({ status: 'in-review', flags: ['above-review-threshold'] });
    // Received on a Friday at 16:59, a Wednesday's holiday in between.
    expect(asked.dueAt).toBe(in2037(mondayAfterTheHolidayFive));

    // One received that Saturday is due a business day later.
    await system.advanceClockTo(in2037(saturdayBeforeTheHolidayNoon));
    const saturday = await newCustomer(system, staff);
    const late = await submitRequest(system, saturday, kmsRequestFormOf(saturday));
    expect(late.dueAt).toBe(in2037(tuesdayAfterTheHolidayFive));
    expectStatus(await saturday.ines.post(at('/withdrawal', late)), 202, exceptionSchema);

    await system.advanceClockTo(in2037(tuesdayBeforeTheHolidayTen));
    const put = await staff.team.post(at('/questions', asked), { text: 'Which hosts?' });
    const standing = expectStatus(put, 202, exceptionSchema);
    const hours = 60;
    // What is left: Tuesday from ten, Thursday, Friday, and Monday.
    const remainingMinutes = (7 + 8 + 8 + 8) * hours;
    expect(standing).toMatchObject({ status: 'awaiting-requester', dueAt: null, overdue: false });
    expect(standing.clock).toEqual({
      running: false,
      remainingMinutes,
      team: 1 + (8 + 1) * hours,
      requester: 0,
      correspondent: 0,
    });
    expectProblem(await staff.team.post(at('/questions', asked), { text: 'And?' }), 409, 'not-in-that-state');
    await system.settle();
    const [question] = of(await mailsAbout(ines.email, asked), /^Question about/);
    expect(question?.text).toContain('Which hosts?');

    await system.advanceClockTo(instant('2037-11-16T10:00:00-08:00'));
    expect(await getException(customer, asked.exceptionId)).toMatchObject({
      dueAt: null,
      clock: { running: false, remainingMinutes, requester: (7 + 8 + 8 + 1) * hours },
    });
    const answered = expectStatus(
      await ines.post(at('/answers', asked), { text: 'Those in the lab.' }),
      202,
      exceptionSchema,
    );
    // From Monday at ten: Monday's seven hours, Tuesday, Wednesday and Thursday.
    expect(answered).toMatchObject({ status: 'in-review', dueAt: instant('2037-11-19T17:00:00-08:00') });
    expect(answered.clock).toEqual({
      running: true,
      remainingMinutes,
      team: 1 + (8 + 1) * hours,
      requester: (7 + 8 + 8 + 1) * hours,
      correspondent: 0,
    });
    await system.settle();
    const [told] = of(await mailsAbout(teamMail, asked), /^Answered/);
    expect(told?.text).toContain('Those in the lab.');

    expectStatus(await staff.team.post(at('/review', asked), { decision: 'forward' }), 202, exceptionSchema);
    await system.advanceClockTo(instant('2037-11-17T11:00:00-08:00'));
    expect((await decide(system, await newestStrictLink(system, customer), 'approve')).status).toBe(200);
    await system.settle();
    const done = await getException(customer, asked.exceptionId);
    expect(done).toMatchObject({ status: 'fulfilled', overdue: false, dueAt: instant('2037-11-19T17:00:00-08:00') });
    expect(done.clock).toMatchObject({ running: false, requester: 24 * hours, correspondent: (7 + 2) * hours });
    expect(await getKmsKey(customer)).toMatchObject({ limit: 31, used: 0, remaining: 31 });
    const productKey = await revealProductKey(customer, customer.kmsKey);
    expectStatus(await activate(system, productKey, 1, 'windows-server-2008-standard'), 201, activationSchema);
  });
});

/** The customer, signed in anew. */
async function signedIn(customer: Customer): Promise<Customer> {
  return { ...customer, ines: await system.signIn(customer.ines.email) };
}
