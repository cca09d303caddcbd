import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import { openStatuses } from '../../domain/exception-status.ts';
import { Secret } from '../../domain/secret.ts';
import { checkAgreement } from '../../store/reconciliation.ts';
import type { Store } from '../../store/store.ts';
import { scanReferences } from '../../store/table-scan.ts';
import { openVault } from '../../store/vault.ts';
import { policy } from '../builders.ts';
import type { CustomerRecord } from './customer.ts';
import { itemsIn, membersOf, team } from './customer.ts';
import type { Statistics } from './statistics.ts';
import type { Caller, SystemProcess } from './system-process.ts';

const Key = z.object({ limit: z.int(), used: z.int(), remaining: z.int() });
const KmsKey = z.object({ hosts: z.array(z.object({ installationId: z.string(), uses: z.int() })) });
const Workflow = z.object({ executions: z.array(z.object({ status: z.string() })) });

/** Opens the table of a running system directly, without the service. */
async function openStore(
  endpoint: string,
  folder: string,
): Promise<{ readonly store: Store; readonly close: () => void }> {
  const client = DynamoDBDocumentClient.from(
    new DynamoDBClient({
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      maxAttempts: 1,
    }),
  );
  const { TableNames: [tableName = ''] = [] } = await client.send(new ListTablesCommand({}));
  const vault = openVault(new Secret(readFileSync(join(folder, 'root-secret'), 'utf8').trim()));
  return { store: { client, tableName, vault, policy, backOff: () => wait(5) }, close: () => client.destroy() };
}

/**
 * Checks the table, agreement by agreement: the counts of every key, the pointers to requests, and every ledger.
 * Without ids, it checks all agreements. Returns the problems.
 */
export async function auditTable(
  endpoint: string,
  folder: string,
  agreementIds: readonly string[] | undefined,
  now: Instant,
  statistics: Statistics,
): Promise<readonly string[]> {
  const { store, close } = await openStore(endpoint, folder);
  const problems: string[] = [];
  try {
    const scanned = agreementIds === undefined ? await scanReferences(store) : undefined;
    for (const id of agreementIds ?? scanned?.keys() ?? []) {
      const report = await checkAgreement(store, id, now, scanned?.get(id));
      problems.push(...report.findings.map(({ subject, problem }) => `${id}: ${subject}: ${problem}`));
      statistics.agreements += 1;
      statistics.keys += report.keyCount;
      statistics.requests += report.requestCount;
    }
  } finally {
    close();
  }
  return problems;
}

/**
 * Compares the system's responses with the record of a customer: nothing acknowledged is missing, nothing is recorded
 * that was refused or never requested, and nothing is recorded twice. Returns the problems.
 * @param isOver true if all requests and workflows must have ended.
 */
export async function auditCustomer(
  send: SystemProcess['send'],
  customerRecord: CustomerRecord,
  isOver: boolean,
): Promise<readonly string[]> {
  const { agreementId, keys } = customerRecord;
  const problems = [...customerRecord.problems];
  if (keys === undefined) return problems;
  const expect = (description: string, actual: unknown, expected: unknown) => {
    if (JSON.stringify(actual) === JSON.stringify(expected)) return;
    problems.push(`${agreementId}: ${description}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
  };
  const get = async (path: string): Promise<unknown> => {
    const { status, text, body } = await send({ method: 'GET', path, caller: team });
    if (status !== 200) throw new Error(`GET ${path} returned ${status} ${text}`);
    return body;
  };
  const getAll = async (path: string): Promise<readonly Readonly<Record<string, unknown>>[]> => {
    const items: unknown[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: unknown = await get(
        `${path}${path.includes('?') ? '&' : '?'}limit=100${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      items.push(...itemsIn(page));
      const { nextCursor } = membersOf(page);
      cursor = typeof nextCursor === 'string' ? encodeURIComponent(nextCursor) : null;
    }
    return items.map(membersOf);
  };
  const sum = (numbers: readonly unknown[]) => numbers.reduce<number>((total, each) => total + Number(each), 0);
  const valuesOf = (items: readonly Readonly<Record<string, unknown>>[], name: string) =>
    items.map((each) => String(each[name])).toSorted();

  expect('keys', valuesOf(await getAll(`/agreements/${agreementId}/keys`), 'keyId'), [keys.mak, keys.kms].toSorted());

  const mak = Key.parse(await get(`/keys/${keys.mak}`));
  const activated = valuesOf(await getAll(`/keys/${keys.mak}/activations`), 'installationId');
  expect('computers recorded twice', activated.length - new Set(activated).size, 0);
  expect('activations used', mak.used, activated.length);
  expect('activations remaining', mak.remaining, mak.limit - mak.used);
  if (mak.used > mak.limit) problems.push(`${agreementId}: ${mak.used} of ${mak.limit} activations are used`);
  const recorded = new Set(activated);
  for (const [computer, { activationId, isRefused }] of customerRecord.computers) {
    if (activationId !== null && !recorded.has(computer))
      problems.push(`${agreementId}: computer ${computer} activated and is not recorded`);
    if (activationId === null && isRefused && recorded.has(computer))
      problems.push(`${agreementId}: computer ${computer} was refused and is recorded`);
  }
  for (const computer of activated) {
    if (!customerRecord.computers.has(computer))
      problems.push(`${agreementId}: computer ${computer} is recorded and never sent a request`);
  }

  const kms = KmsKey.parse(await get(`/keys/${keys.kms}`));
  const hosts = new Map(kms.hosts.map((host) => [host.installationId, host]));
  expect('hosts recorded twice', kms.hosts.length - hosts.size, 0);
  for (const [host, { requested, granted }] of customerRecord.hosts) {
    const uses = hosts.get(host)?.uses ?? 0;
    if (uses < granted || uses > requested)
      problems.push(`${agreementId}: host ${host} has ${uses} uses: requested ${requested}, granted ${granted}`);
  }

  const makGrants = await getAll(`/keys/${keys.mak}/grants`);
  const grants = [...makGrants, ...(await getAll(`/keys/${keys.kms}/grants`))];
  expect('sum of the MAK’s grants', sum(makGrants.map(({ amount }) => amount)), mak.limit);
  const requests = await getAll(`/exceptions?agreementId=${agreementId}`);
  for (const [callReference, amount] of customerRecord.calls) {
    const amounts = grants.filter(({ reference }) => reference === callReference).map((grant) => grant.amount);
    if (amount !== null) expect(`grants of call ${callReference}`, amounts, amount === 0 ? [] : [amount]);
    else if (amounts.length > 1) problems.push(`${agreementId}: call ${callReference} has ${amounts.length} grants`);
  }
  const fulfilled = requests.filter(({ status }) => status === 'fulfilled');
  expect(
    'grants of exception requests',
    grants
      .filter(({ kind }) => kind === 'exception')
      .map(({ reference, amount }) => `${reference} ${amount}`)
      .toSorted(),
    fulfilled.map(({ exceptionId, activations }) => `${exceptionId} ${activations}`).toSorted(),
  );
  const knownReferences = new Set([...customerRecord.calls.keys(), ...customerRecord.requests.keys()]);
  const unrequestedGrants = grants.filter(
    ({ kind, reference }) => kind !== 'initial' && !knownReferences.has(String(reference)),
  );
  expect('grants that nobody requested', unrequestedGrants, []);

  const emailsTo = async ({ email }: Caller) =>
    itemsIn(await get(`/_local/mail?to=${encodeURIComponent(email)}`)).map(membersOf);
  const messageIds = new Set(valuesOf(await emailsTo(customerRecord.people.noor), 'messageId'));
  const lostEmails = [...customerRecord.emailsRead].filter((messageId) => !messageIds.has(messageId));
  expect('emails that a client has read and that are missing', lostEmails, []);
  const toRequester = await emailsTo(customerRecord.people.ines);

  expect('requests', valuesOf(requests, 'exceptionId'), [...customerRecord.requests.keys()].toSorted());
  for (const request of requests) {
    const exceptionId = String(request.exceptionId);
    const requestRecord = customerRecord.requests.get(exceptionId);
    if (requestRecord === undefined) continue;
    const actions = (await getAll(`/exceptions/${exceptionId}/history`)).map(({ action }) => String(action));
    const count = (...names: readonly string[]) => actions.filter((action) => names.includes(action)).length;
    const about = `${exceptionId} (${request.status})`;
    expect(`${about} received`, count('received'), 1);
    expect(`${about} questions`, count('question-put'), requestRecord.questions);
    expect(`${about} answers`, count('question-answered'), requestRecord.answers);
    expect(`${about} forwards`, count('forwarded'), requestRecord.forwards);
    expect(`${about} rejected`, count('rejected'), requestRecord.rejected ? 1 : 0);
    expect(`${about} withdrawn`, count('withdrawn'), requestRecord.withdrawn ? 1 : 0);
    if (count('approved', 'denied') > 1)
      problems.push(`${agreementId}: ${about} was decided ${count('approved', 'denied')} times`);
    for (const [decision, action] of [
      ['approve', 'approved'],
      ['deny', 'denied'],
    ] as const) {
      if (count(action) === 1 && !requestRecord.decisionsSent.includes(decision))
        problems.push(`${agreementId}: ${about} was ${action}, and nobody sent that decision`);
      if (requestRecord.acknowledgedDecision === decision) expect(`${about} ${action}`, count(action), 1);
    }
    const ends = count('limit-raised', 'fulfilled', 'denied', 'rejected', 'withdrawn', 'lapsed');
    const isOpen = openStatuses.some((status) => status === request.status);
    expect(`${about} ends`, ends, isOpen ? 0 : 1);
    if (!isOver) continue;
    if (isOpen) problems.push(`${agreementId}: ${about} did not end`);
    if (count('approved') === 1) expect(`${about} status after the approval`, request.status, 'fulfilled');
    const { executions } = Workflow.parse(await get(`/_local/workflows/${exceptionId}`));
    if (executions.at(-1)?.status !== 'SUCCEEDED')
      problems.push(`${agreementId}: ${about}: the status of its execution is ${executions.at(-1)?.status}`);
    // One confirms the receipt, and one reports the outcome.
    const contents = new Set(toRequester.filter(({ text }) => String(text).includes(exceptionId)).map(contentOf));
    if (contents.size < 2)
      problems.push(`${agreementId}: ${about}: the number of emails to its requester is ${contents.size}`);
  }
  return problems;
}

/** Counts the emails in a mailbox that were sent more than once: a kill after sending an email repeats it. */
export function countDuplicateEmails(emails: readonly unknown[]): number {
  return emails.length - new Set(emails.map(contentOf)).size;
}

/** Returns the recipient and the content of an email, without the system's address, which changes at every start. */
function contentOf(email: unknown): string {
  const { to, subject, text } = membersOf(email);
  return JSON.stringify([to, subject, text]).replaceAll(/http:\/\/localhost:\d+/g, '');
}
