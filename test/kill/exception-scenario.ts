import { setTimeout as sleep } from 'node:timers/promises';
import type { Customer, Decision, RequestRecord } from './customer.ts';
import { itemsIn, team, textIn } from './customer.ts';
import type { HttpResponse } from './system-process.ts';

const pollMilliseconds = 100;
const pollsBeforeAdvance = 60;

const scenarios = [
  'approve',
  'approve',
  'deny',
  'both',
  'question',
  'review',
  'withdraw',
  'reject',
  'silence',
] as const;
type Scenario = (typeof scenarios)[number];

/** An exception request of a customer, with the record of the acknowledged operations on it. */
type SubmittedRequest = {
  readonly exceptionId: string;
  readonly record: () => RequestRecord;
  updateRecord(changes: Partial<RequestRecord>): void;
};

type ApprovalLink = { readonly link: string; readonly code: string };

/** Submits an exception request and lets one of several scenarios happen to it. */
export async function runExceptionRequest(customer: Customer, kind: 'MAKADD' | 'KMSADD', key: unknown): Promise<void> {
  const { prng, record, post } = customer;
  const { ines } = record.people;
  const scenario = prng.pick(scenarios);
  const request = await submitRequest(customer, kind, key, scenario);
  const { updateRecord } = request;
  const path = `/exceptions/${request.exceptionId}`;

  if (scenario === 'silence') return;
  if (scenario === 'withdraw' || scenario === 'reject') {
    await sleep(prng.below(400));
    if (scenario === 'withdraw') updateRecord({ withdrawn: await isAccepted(post(ines, `${path}/withdrawal`)) });
    else {
      const review = { decision: 'reject', reason: 'The order was canceled.' };
      updateRecord({ rejected: await isAccepted(post(team, `${path}/review`, review)) });
    }
    return;
  }
  if (scenario === 'question') {
    if (await isAccepted(post(team, `${path}/questions`, { text: 'Which schools?' }))) updateRecord({ questions: 1 });
    if (await isAccepted(post(ines, `${path}/answers`, { text: 'Birch and Cedar.' }))) updateRecord({ answers: 1 });
  }
  if (scenario === 'question' || scenario === 'review') {
    const smallerNumber = { decision: 'forward', activations: kind === 'MAKADD' ? 120 : 8 };
    if (await isAccepted(post(team, `${path}/review`, smallerNumber))) updateRecord({ forwards: 1 });
  }
  const link = await waitForLink(customer, request, 0);
  if (link === undefined) return;
  const decision = scenario === 'deny' ? 'deny' : 'approve';
  if (scenario === 'both')
    await Promise.all([decide(customer, request, link, 'approve'), decide(customer, request, link, 'deny')]);
  else await decide(customer, request, link, decision);
  const { acknowledgedDecision, forwards } = request.record();
  if (acknowledgedDecision !== null || forwards === 0) return;
  // The team changed the number meanwhile, which voided the round. The new round has its own link.
  const newerLink = await waitForLink(customer, request, link.count);
  if (newerLink !== undefined) await decide(customer, request, newerLink, decision);
}

async function isAccepted(sending: Promise<HttpResponse>): Promise<boolean> {
  return (await sending).status === 202;
}

async function submitRequest(
  { agreementId, organization, requester, record, post }: Customer,
  kind: 'MAKADD' | 'KMSADD',
  key: unknown,
  scenario: Scenario,
): Promise<SubmittedRequest> {
  const amountForReview = kind === 'MAKADD' ? 1_200 : 30;
  const { status, body, text } = await post(record.people.ines, '/exceptions', {
    kind,
    organizationName: organization.name,
    agreementNumber: agreementId,
    requester,
    product: kind === 'MAKADD' ? 'windows-vista-business' : 'windows-server-2008-standard',
    keyLastFive: textIn(key, 'lastFive'),
    activationsRequested: scenario === 'review' ? amountForReview : kind === 'MAKADD' ? 150 : 10,
    businessReason: 'Two new schools open in autumn.',
    requiredDate: '2099-01-04',
  });
  if (status !== 202) throw new Error(`An exception request returned ${status}: ${text}`);
  const exceptionId = textIn(body, 'exceptionId');
  let requestRecord: RequestRecord = {
    questions: 0,
    answers: 0,
    forwards: 0,
    rejected: false,
    withdrawn: false,
    decisionsSent: [],
    acknowledgedDecision: null,
  };
  record.requests.set(exceptionId, requestRecord);
  return {
    exceptionId,
    record: () => requestRecord,
    updateRecord(changes) {
      requestRecord = { ...requestRecord, ...changes };
      record.requests.set(exceptionId, requestRecord);
    },
  };
}

/** Waits until there are more approval links than the given number, and returns the newest with its code. */
async function waitForLink(
  { system, record, get }: Customer,
  { exceptionId }: SubmittedRequest,
  knownLinks: number,
): Promise<(ApprovalLink & { readonly count: number }) | undefined> {
  for (let polls = 1; ; polls += 1) {
    const emails = itemsIn(await get(team, `/_local/mail?to=${encodeURIComponent(record.people.noor.email)}`));
    const links = emails.flatMap((email): ApprovalLink[] => {
      const text = textIn(email, 'text');
      record.emailsRead.add(textIn(email, 'messageId'));
      const link = /https?:\/\/[^/\s]+(\/approvals\/[\w-]+)/.exec(text)?.[1];
      const code = /^Code: (\d{6})$/m.exec(text)?.[1];
      return link === undefined || code === undefined || !text.includes(exceptionId) ? [] : [{ link, code }];
    });
    const [newest] = links;
    if (newest !== undefined && links.length > knownLinks) return { ...newest, count: links.length };
    const status = textIn(await get(team, `/exceptions/${exceptionId}`), 'status');
    if (!['received', 'in-review', 'awaiting-approval'].includes(status)) return undefined;
    if (polls === 4 * pollsBeforeAdvance) {
      record.problems.push(`${exceptionId} is ${status}, and there is no approval email after a day.`);
      return undefined;
    }
    if (polls % pollsBeforeAdvance === 0)
      await system.advanceClock(polls === 3 * pollsBeforeAdvance ? 'PT26H' : 'PT2M');
    else await sleep(pollMilliseconds);
  }
}

/** Sends a decision. If it is accepted, sends it again, which must be refused. */
async function decide(
  { system, record: { problems } }: Customer,
  { exceptionId, record, updateRecord }: SubmittedRequest,
  { link, code }: ApprovalLink,
  decision: Decision,
): Promise<void> {
  updateRecord({ decisionsSent: [...record().decisionsSent, decision] });
  const form = () => new URLSearchParams({ code, decision, comment: '' });
  const response = await system.send({ method: 'POST', path: link, body: form() });
  if (response.status === 200) {
    if (record().acknowledgedDecision !== null) problems.push(`${exceptionId} was decided twice.`);
    updateRecord({ acknowledgedDecision: decision });
    if (textIn(response.body, 'decision') !== decision)
      problems.push(`${exceptionId}: the response to ${decision} has another decision.`);
    const repeated = await system.send({ method: 'POST', path: link, body: form() });
    if (repeated.status === 200) problems.push(`${exceptionId} could be decided again.`);
  } else if (![409, 410].includes(response.status)) {
    problems.push(`A decision on ${exceptionId} returned ${response.status}: ${response.text}`);
  }
}
