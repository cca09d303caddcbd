import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import { openStatuses } from '../../domain/exception-status.ts';
import { Secret } from '../../domain/secret.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { checkAgreement, scanReferences } from '../../store/reconciliation.ts';
import { openVault } from '../../store/vault.ts';
import { policy } from '../builders.ts';
import type { Statistics } from './statistics.ts';
import type { Caller, SystemProcess } from './system-process.ts';
import type { CustomerRecord } from './workload.ts';
import { itemsIn, membersOf, team } from './workload.ts';

const Key = z.object({ limit: z.int(), used: z.int(), remaining: z.int() });
const KmsKey = z.object({ hosts: z.array(z.object({ installationId: z.string(), uses: z.int() })) });
const Workflow = z.object({ executions: z.array(z.object({ status: z.string() })) });

/** The table of the system that runs, read past the service. */
async function openStore(
  engine: string,
  folder: string,
): Promise<{ readonly store: Store; readonly close: () => void }> {
  const client = DynamoDBDocumentClient.from(
    new DynamoDBClient({
      endpoint: engine,
      region: 'us-east-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      maxAttempts: 1,
    }),
  );
  const { TableNames: [tableName = ''] = [] } = await client.send(new ListTablesCommand({}));
  const vault = openVault(new Secret(readFileSync(join(folder, 'vault-secret'), 'utf8').trim()));
  return { store: { client, tableName, vault, policy, backOff: () => wait(5) }, close: () => client.destroy() };
}

/**
 * Checks what is in the table, agreement by agreement: that every key counts right, that lists and requests lead to each
 * other, and that every history is whole. Without ids it is all that is there. Answers with what is wrong.
 */
export async function auditTable(
  engine: string,
  folder: string,
  agreementIds: readonly string[] | undefined,
  now: Instant,
  statistics: Statistics,
): Promise<readonly string[]> {
  const { store, close } = await openStore(engine, folder);
  const problems: string[] = [];
  try {
    const scanned = agreementIds === undefined ? await scanReferences(store) : undefined;
    for (const id of agreementIds ?? scanned?.keys() ?? []) {
      const report = await checkAgreement(store, id, now, scanned?.get(id));
      problems.push(...report.findings.map(({ subject: about, problem }) => `${id}: ${about}: ${problem}`));
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
 * Holds what the system answers about a customer against what the customer was told: nothing that was acknowledged is
 * missing, nothing is there that was never asked for or was refused, and nothing is there twice.
 * @param isOver whether all that was begun must have come to its end.
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
    problems.push(
      `${agreementId}: ${description}: ${JSON.stringify(actual)} where it must be ${JSON.stringify(expected)}`,
    );
  };
  const get = async (path: string): Promise<unknown> => {
    const { status, text, body } = await send({ method: 'GET', path, as: team });
    if (status !== 200) throw new Error(`GET ${path} was answered ${status} ${text}`);
    return body;
  };
  const all = async (path: string): Promise<readonly Readonly<Record<string, unknown>>[]> => {
    const actual: unknown[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: unknown = await get(
        `${path}${path.includes('?') ? '&' : '?'}limit=100${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      actual.push(...itemsIn(page));
      const next = membersOf(page).nextCursor;
      cursor = typeof next === 'string' ? encodeURIComponent(next) : null;
    }
    return actual.map(membersOf);
  };
  const sum = (numbers: readonly unknown[]) => numbers.reduce<number>((total, each) => total + Number(each), 0);
  const names = (items: readonly Readonly<Record<string, unknown>>[], name: string) =>
    items.map((each) => String(each[name])).toSorted();

  expect('keys', names(await all(`/agreements/${agreementId}/keys`), 'keyId'), [keys.mak, keys.kms].toSorted());

  const mak = Key.parse(await get(`/keys/${keys.mak}`));
  const activated = names(await all(`/keys/${keys.mak}/activations`), 'installationId');
  expect('machines that are there twice', activated.length - new Set(activated).size, 0);
  expect('activations counted', mak.used, activated.length);
  expect('activations left', mak.remaining, mak.limit - mak.used);
  if (mak.used > mak.limit) problems.push(`${agreementId}: ${mak.used} of ${mak.limit} are used`);
  const listed = new Set(activated);
  for (const [machine, { activationId, refused }] of customerRecord.machines) {
    if (activationId !== null && !listed.has(machine))
      problems.push(`${agreementId}: machine ${machine} was activated and is not there`);
    if (activationId === null && refused && listed.has(machine))
      problems.push(`${agreementId}: machine ${machine} was refused and is there`);
  }
  for (const machine of activated)
    if (!customerRecord.machines.has(machine)) problems.push(`${agreementId}: machine ${machine} never asked`);

  const kms = KmsKey.parse(await get(`/keys/${keys.kms}`));
  const hosts = new Map(kms.hosts.map((host) => [host.installationId, host]));
  expect('hosts that are there twice', kms.hosts.length - hosts.size, 0);
  for (const [host, { asked: requestRecord, granted }] of customerRecord.hosts) {
    const uses = hosts.get(host)?.uses ?? 0;
    if (uses < granted || uses > requestRecord)
      problems.push(
        `${agreementId}: host ${host} asked ${requestRecord} times, was told yes ${granted} times, and ${uses} are counted`,
      );
  }

  const makGrants = await all(`/keys/${keys.mak}/grants`);
  const grants = [...makGrants, ...(await all(`/keys/${keys.kms}/grants`))];
  expect('what the MAK’s grants add up to', sum(makGrants.map(({ amount }) => amount)), mak.limit);
  const requests = await all(`/exceptions?agreementId=${agreementId}`);
  for (const [callReference, amount] of customerRecord.calls) {
    const actual = grants.filter(({ reference }) => reference === callReference).map((grant) => grant.amount);
    if (amount !== null) expect(`grants of call ${callReference}`, actual, amount === 0 ? [] : [amount]);
    else if (actual.length > 1) problems.push(`${agreementId}: call ${callReference} gave ${actual.length} grants`);
  }
  const fulfilled = requests.filter(({ status }) => status === 'fulfilled');
  expect(
    'what exceptions gave',
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
  expect('grants that nobody asked for', unrequestedGrants, []);

  const mailsTo = async ({ email }: Caller) =>
    itemsIn(await get(`/_local/mail?to=${encodeURIComponent(email)}`)).map(membersOf);
  const mailIds = new Set(names(await mailsTo(customerRecord.people.noor), 'messageId'));
  const lostMails = [...customerRecord.mailsRead].filter((mail) => !mailIds.has(mail));
  expect('mails that were there and are gone', lostMails, []);
  const toRequester = await mailsTo(customerRecord.people.ines);

  expect('requests', names(requests, 'exceptionId'), [...customerRecord.requests.keys()].toSorted());
  for (const request of requests) {
    const exceptionId = String(request.exceptionId);
    const requestRecord = customerRecord.requests.get(exceptionId);
    if (requestRecord === undefined) continue;
    const actions = (await all(`/exceptions/${exceptionId}/history`)).map(({ action }) => String(action));
    const count = (...some: readonly string[]) => actions.filter((action) => some.includes(action)).length;
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
        problems.push(`${agreementId}: ${about} was ${action} by nobody`);
      if (requestRecord.decisionTaken === decision) expect(`${about} ${action}`, count(action), 1);
    }
    const ends = count('limit-raised', 'fulfilled', 'denied', 'rejected', 'withdrawn', 'lapsed');
    const isOpen = openStatuses.some((status) => status === request.status);
    expect(`${about} ends`, ends, isOpen ? 0 : 1);
    if (!isOver) continue;
    if (isOpen) problems.push(`${agreementId}: ${about} never ended`);
    if (count('approved') === 1) expect(`${about} once approved`, request.status, 'fulfilled');
    const { executions } = Workflow.parse(await get(`/_local/workflows/${exceptionId}`));
    if (executions.at(-1)?.status !== 'SUCCEEDED')
      problems.push(`${agreementId}: ${about}: its workflow is ${executions.at(-1)?.status}`);
    // That it has come in, and how it ended.
    const mailContents = new Set(toRequester.filter(({ text }) => String(text).includes(exceptionId)).map(contentOf));
    if (mailContents.size < 2)
      problems.push(`${agreementId}: ${about}: its requester was written to ${mailContents.size} times`);
  }
  return problems;
}

/** The mails that went out more than once, of all that are in the box: a letter cut off after it went goes out again. */
export function repeatedMails(mails: readonly unknown[]): number {
  return mails.length - new Set(mails.map(contentOf)).size;
}

/** To whom a mail says what; the system's address, which every start changes, is left out. */
function contentOf(mail: unknown): string {
  const { to, subject, text } = membersOf(mail);
  return JSON.stringify([to, subject, text]).replaceAll(/http:\/\/localhost:\d+/g, '');
}
