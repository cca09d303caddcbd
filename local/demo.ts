import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { styleText } from 'node:util';
import { z } from 'zod';
import { installationIdOf } from './seed.ts';

/*
 * `npm run demo`: shows the main use case in the terminal, on a system that it starts and stops. It uses that system only
 * by HTTP, and checks every sentence that it prints against the response. It exits with 0 only if everything happened.
 */

// ---- Terminal output

const columns = 78;
const bold = (text: string) => styleText('bold', text, { stream: process.stdout });
const dim = (text: string) => styleText('dim', text, { stream: process.stdout });
const green = (text: string) => styleText('green', text, { stream: process.stdout });
const yellow = (text: string) => styleText('yellow', text, { stream: process.stdout });

/** Wraps text into lines of at most `columnsMax` columns. A longer word has a line of its own. */
function wrapText(text: string, columnsMax: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columnsMax) lines.push(`${lines.pop()} ${word}`);
    else lines.push(word);
  }
  return lines;
}

function print(...lines: readonly string[]): void {
  console.log(lines.join('\n'));
}

let chapterCount = 0;
/** True right after a title. All other blocks start with an empty line. */
let isBelowTitle = false;

function chapter(title: string): void {
  chapterCount += 1;
  print('', bold(`${chapterCount}  ${title}`));
  isBelowTitle = true;
}

function printBlock(...lines: readonly string[]): void {
  print(...(isBelowTitle ? [] : ['']), ...lines);
  isBelowTitle = false;
}

function printParagraph(text: string): void {
  printBlock(...wrapText(text, columns - 3).map((line) => `   ${line}`));
}

function printRequest(request: string, note: string): void {
  printBlock(`   → ${request.padEnd(30)} ${dim(note)}`);
}

function printResponse(status: number, text: string): void {
  const [first = '', ...rest] = wrapText(text, columns - 9);
  const color = status < 400 ? green : yellow;
  print(`   ${color(`← ${status}`)} ${first}`, ...rest.map((line) => `         ${line}`));
}

/** Prints an email in a frame. The frame has no right side, so that a long link is not broken. */
function printEmail(lines: readonly string[]): void {
  const rule = '─'.repeat(columns - 3);
  printBlock(dim(`  ┌${rule}`), ...lines.map((line) => `${dim('  │')} ${line}`), dim(`  └${rule}`));
}

/** Formats an instant in the time zone of the support team, such as `Tuesday, March 3 at 9:00 AM PST`. */
function formatInLosAngeles(at: string): string {
  const parts = {
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    hour: 'numeric',
    minute: '2-digit',
    timeZoneName: 'short',
  } as const;
  return new Intl.DateTimeFormat('en-US', { timeZone: 'America/Los_Angeles', ...parts }).format(new Date(at));
}

// ---- Requests and responses

/** A step of the demo had another result than expected. */
class ExpectationError extends Error {
  override readonly name = 'ExpectationError';
}

function check(condition: boolean, expectation: string): void {
  if (!condition) throw new ExpectationError(expectation);
}

type ApiResponse = { readonly status: number; readonly text: string };

let address = '';

async function callApi(method: string, path: string, body?: unknown, token?: string): Promise<ApiResponse> {
  const response = await fetch(new URL(path, address), {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}

/** Checks the status and parses the response. */
function parseResponse<Value>({ status, text }: ApiResponse, expectedStatus: number, schema: z.ZodType<Value>): Value {
  check(status === expectedStatus, `the status is ${expectedStatus}, not ${status}: ${text.slice(0, 300)}`);
  const result = schema.safeParse(JSON.parse(text));
  if (result.success) return result.data;
  throw new ExpectationError(`the response has the expected members: ${z.prettifyError(result.error)}`);
}

/** Polls until there is a value, because background work takes a moment. */
async function waitFor<Value>(expectation: string, poll: () => Promise<Value | undefined>): Promise<Value> {
  for (let waited = 0; waited < 20_000; waited += 100) {
    const value = await poll();
    if (value !== undefined) return value;
    await sleep(100);
  }
  throw new ExpectationError(`${expectation} within 20 seconds`);
}

const listOf = <Item>(item: z.ZodType<Item>) => z.object({ items: z.array(item) }).transform(({ items }) => items);

const Token = z.object({ token: z.string() });
const Key = z.object({
  keyId: z.string(),
  type: z.enum(['MAK', 'KMS']),
  lastFive: z.string(),
  limit: z.number(),
  used: z.number(),
  remaining: z.number(),
});
const RevealedKey = z.object({ productKey: z.string() });
const Activation = z.object({ confirmationId: z.string() });
const Remedy = z.object({
  kind: z.string(),
  available: z.boolean(),
  maximum: z.number().optional(),
  draft: z.record(z.string(), z.unknown()).optional(),
});
const Problem = z.object({ code: z.string(), detail: z.string(), remedies: z.array(Remedy).default([]) });
const Exception = z.object({ exceptionId: z.string(), status: z.string(), dueAt: z.string().nullable() });
const Grant = z.object({
  kind: z.string(),
  amount: z.number(),
  at: z.string(),
  reference: z.string(),
  approvedBy: z.string().nullable(),
});
const LedgerEntry = z.object({ at: z.string(), actor: z.string(), detail: z.string() });
const Email = z.object({ to: z.string(), subject: z.string(), text: z.string(), at: z.string() });
type Email = z.infer<typeof Email>;
const ClockReading = z.object({ now: z.string() });

const listEmailsTo = async (to: string) =>
  parseResponse(await callApi('GET', `/_local/mail?to=${encodeURIComponent(to)}`), 200, listOf(Email));

// ---- The demo

const agreement = 'V4407182';
const ada = 'ada.lind@contoso.example';
const noor = 'noor.haddad@contoso.example';

async function runDemo(): Promise<void> {
  const token = parseResponse(await callApi('POST', '/_local/tokens', { email: ada }), 200, Token).token;

  chapter('A key that many computers share');
  printParagraph(
    'Contoso Ltd has a volume license for Windows. Its computers share one product key, a multiple activation key (MAK). Each computer that activates with the key uses one of its activations. Ada Lind, the license administrator, checks the key:',
  );
  const getMak = async () => {
    const keys = parseResponse(
      await callApi('GET', `/agreements/${agreement}/keys`, undefined, token),
      200,
      listOf(Key),
    );
    const mak = keys.find(({ type }) => type === 'MAK');
    if (mak === undefined) throw new ExpectationError('Contoso has a MAK');
    return mak;
  };
  printRequest(`GET /agreements/${agreement}/keys`, 'as Ada');
  const key = await getMak();
  check(key.limit === 50 && key.used === 48 && key.remaining === 2, 'the MAK has 2 of 50 activations left');
  printResponse(200, `The MAK ending in ${key.lastFive}: limit ${key.limit}, used ${key.used}, ${key.remaining} left.`);
  const { productKey } = parseResponse(await callApi('POST', `/keys/${key.keyId}/reveal`, {}, token), 200, RevealedKey);

  chapter('One computer too many');
  const activate = (machine: number) => {
    printRequest('POST /activations', `from computer number ${machine}`);
    return callApi('POST', '/activations', {
      productKey,
      installationId: installationIdOf(machine),
      product: 'windows-vista-enterprise',
      machineName: `CONTOSO-PC-${String(machine).padStart(3, '0')}`,
    });
  };
  for (const machine of [49, 50]) {
    const { confirmationId } = parseResponse(await activate(machine), 201, Activation);
    printResponse(201, `Activated. The confirmation ID begins with ${confirmationId.slice(0, 6)}.`);
  }
  const refusal = parseResponse(await activate(51), 409, Problem);
  check(refusal.code === 'activation-limit-reached', 'the 51st computer is refused because the limit is reached');
  printResponse(409, refusal.detail);
  const callCenterRemedy = refusal.remedies.find(({ kind }) => kind === 'call-center-increase');
  const requestRemedy = refusal.remedies.find(({ kind }) => kind === 'MAKADD');
  check(callCenterRemedy?.maximum === 50 && callCenterRemedy.available, 'the call center can add 50');
  const draft = requestRemedy?.draft;
  if (draft === undefined) throw new ExpectationError('the refusal includes a draft of a request for more');
  printParagraph(
    'The refusal lists two remedies and includes a draft request (MAKADD) with everything that the system can fill in.',
  );

  chapter('Ada requests more activations');
  printParagraph('The call center can add 50 by phone. Ada needs 150, so she completes the request and sends it.');
  const requestForm = {
    ...draft,
    requester: { name: 'Ada Lind', email: ada, phone: '+1 425 555 0100' },
    activationsRequested: 150,
    businessReason: 'A new computer lab with 150 seats opens in spring.',
    requiredDate: dateAfter(parseResponse(await callApi('GET', '/_local/clock'), 200, ClockReading).now, 30),
  };
  printRequest('POST /exceptions', '150 more activations, as Ada');
  const request = parseResponse(await callApi('POST', '/exceptions', requestForm, token), 202, Exception);
  const { exceptionId, dueAt } = request;
  if (dueAt === null) throw new ExpectationError('the request has a due time');
  printResponse(202, `Request ${exceptionId} is accepted. The decision is due by ${formatInLosAngeles(dueAt)}.`);
  printRequest('POST /exceptions', 'the same request again');
  const secondRequest = parseResponse(await callApi('POST', '/exceptions', requestForm, token), 409, Problem);
  check(secondRequest.code === 'exception-already-open', 'a second request for the same key is refused');
  printResponse(409, secondRequest.detail);

  chapter('The Notices Correspondent gets an email');
  printParagraph(
    'Ada alone cannot raise the limit. Contoso’s contract names a person who approves such changes, the Notices Correspondent: Noor Haddad. She gets this email:',
  );
  const email = await waitFor('Noor Haddad gets an email', async () => (await listEmailsTo(noor)).at(0));
  check(email.subject.includes('150 more activations'), 'the subject names the 150 activations');
  const link = extractFromEmail(email, /^http\S+\/approvals\/\S+$/m);
  const code = extractFromEmail(email, /^Code: (\d{6})$/m);
  const paragraphs = email.text.trim().split(/\n{2,}/);
  const details = paragraphs.find((each) => each.includes('Limit if approved')) ?? '';
  check(
    details.includes('50 activations') && details.includes('200 activations'),
    'the email has the current and the new limit',
  );
  printEmail([
    `To:      ${email.to}`,
    `Subject: ${truncate(email.subject, columns - 11)}`,
    '',
    ...(paragraphs[1] ?? '').split('\n'),
    '',
    ...details.split('\n').filter((line) => /^ {2}(Product|Requested:|Current limit|Limit)/.test(line)),
    '',
    `Code: ${bold(code)}`,
    '',
    'Review the request:',
    link,
  ]);
  printParagraph('This is an excerpt. You can see the code and the link because the system runs on your machine.');

  chapter('No response yet');
  const before = await listEmailsTo(noor);
  printRequest('POST /_local/clock', 'advance the clock, one day at a time');
  let days = 0;
  let reminders: readonly Email[] = [];
  let now = '';
  while (reminders.length === 0 && days < 7) {
    ({ now } = parseResponse(await callApi('POST', '/_local/clock', { advance: 'P1D' }), 200, ClockReading));
    days += 1;
    reminders = (await listEmailsTo(noor)).slice(0, -before.length);
  }
  const [reminder] = reminders;
  if (reminder === undefined) throw new ExpectationError('Noor Haddad gets a reminder after a business day');
  check(reminders.length === 1, `she gets one reminder, not ${reminders.length}`);
  printResponse(200, `The clock is at ${formatInLosAngeles(now)}.`);
  printParagraph(
    `One business day after the first email, Noor got one reminder, on ${formatInLosAngeles(reminder.at)}:`,
  );
  printParagraph(`“${reminder.subject}”`);

  chapter('Noor decides');
  printRequest('GET /approvals/…', 'Noor opens the link');
  const page = await fetch(link);
  check(page.status === 200 && (await page.text()).includes('<form'), 'the link shows a page with the approval form');
  const status = async () =>
    parseResponse(await callApi('GET', `/exceptions/${exceptionId}`, undefined, token), 200, Exception).status;
  check((await status()) === 'awaiting-approval', 'opening the link decides nothing');
  printResponse(
    200,
    'A page shows the request. Opening the link is not a decision, because email scanners open links, too.',
  );
  const decide = async (enteredCode: string) => {
    const body = new URLSearchParams({ code: enteredCode, decision: 'approve', comment: 'The lab is in the budget.' });
    const response = await fetch(link, { method: 'POST', body });
    return { status: response.status, text: await response.text() };
  };
  printRequest('POST /approvals/…', 'with a wrong code');
  const wrong = await decide(code === '000000' ? '111111' : '000000');
  check(wrong.status === 422, 'a wrong code is refused');
  printResponse(422, 'The decision requires the code from the email.');
  printRequest('POST /approvals/…', 'approve, with the right code');
  const right = await decide(code);
  check(right.status === 200, `the decision is recorded (status ${right.status})`);
  printResponse(200, `“${headingOf(right.text)}”`);
  printRequest('POST /approvals/…', 'again, by mistake');
  const twice = await decide(code);
  check(twice.status === 409, `a second decision is refused (status ${twice.status})`);
  printResponse(409, 'Noor has already decided. Nothing changes.');

  chapter('The limit is higher');
  await waitFor('the request is fulfilled', async () => ((await status()) === 'fulfilled' ? true : undefined));
  printRequest('GET /keys/…/grants', 'the grants behind the limit');
  const raised = await getMak();
  const grants = parseResponse(await callApi('GET', `/keys/${key.keyId}/grants`, undefined, token), 200, listOf(Grant));
  check(raised.limit === 200 && raised.used === 50, 'the limit is 200, and 50 activations are used');
  check(grants.reduce((sum, { amount }) => sum + amount, 0) === raised.limit, 'the grants add up to the limit');
  printResponse(200, `The MAK ending in ${raised.lastFive}: limit ${raised.limit}, used ${raised.used}.`);
  printBlock();
  for (const { kind, amount, reference, approvedBy } of grants) {
    const approved = approvedBy === null ? '' : `, approved by ${approvedBy}`;
    print(`   ${String(amount).padStart(5)}  ${kind.padEnd(10)} ${reference}${approved}`);
  }
  check(grants.at(-1)?.approvedBy === noor, 'the last grant names its approver');
  print(`   ${dim('─────')}`, `   ${bold(String(raised.limit).padStart(5))}`);
  parseResponse(await activate(51), 201, Activation);
  printResponse(201, 'Activated.');

  chapter('Everything is on record');
  const ledger = parseResponse(
    await callApi('GET', `/exceptions/${exceptionId}/history`, undefined, token),
    200,
    listOf(LedgerEntry),
  );
  printRequest('GET /exceptions/…/history', 'who did what, and when');
  check(ledger.length >= 5, 'the history has at least five entries');
  for (const { at, actor, detail } of ledger) {
    printBlock(
      `   ${dim(formatInLosAngeles(at))}  ${actor}`,
      ...wrapText(detail, columns - 5).map((line) => `     ${line}`),
    );
  }
  const [toAda, toNoor] = await Promise.all([countEmailsOnceNotified(ada, now), countEmailsOnceNotified(noor, now)]);
  printParagraph(`The system sent ${toAda + toNoor} emails: ${toAda} to Ada and ${toNoor} to Noor.`);
}

/** Waits for the email about the new limit, and returns the number of emails to the recipient. */
function countEmailsOnceNotified(recipient: string, since: string): Promise<number> {
  return waitFor(`${recipient} gets an email about the new limit`, async () => {
    const emails = await listEmailsTo(recipient);
    return emails.some(({ at, text }) => at > since && /\b200\b/.test(text)) ? emails.length : undefined;
  });
}

function dateAfter(at: string, days: number): string {
  return new Date(Date.parse(at) + days * 24 * 60 * 60 * 1000).toISOString().slice(0, 10);
}

function extractFromEmail({ text }: Email, pattern: RegExp): string {
  const match = pattern.exec(text);
  if (match === null) throw new ExpectationError(`the email matches ${pattern}`);
  return match[1] ?? match[0];
}

function truncate(text: string, charactersMax: number): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax - 1)}…`;
}

function headingOf(html: string): string {
  return (/<h1[^>]*>(.*?)<\/h1>/s.exec(html)?.[1] ?? '').replace(/<[^>]+>/g, '').trim();
}

// ---- The system

type System = ChildProcessByStdio<null, Readable, Readable>;

let system: System | undefined;
/** The end of the system's error output. */
let errorOutput = '';

/** Starts the system on a free port and in memory, whatever the environment of the caller sets. */
async function start(): Promise<void> {
  const main = join(import.meta.dirname, 'main.ts');
  const environmentArgs = ['-u', 'DATA', '-u', 'SEED', 'PORT=0'];
  system = spawn('env', [...environmentArgs, process.execPath, main, '--end-with-parent'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  system.stderr.on('data', (chunk: Buffer) => {
    errorOutput = (errorOutput + chunk.toString()).slice(-4_000);
  });
  for await (const line of createInterface(system.stdout)) {
    const [, ready] = /^ready (\S+)/.exec(line) ?? [];
    if (ready === undefined) continue;
    address = ready;
    system.stdout.resume();
    return;
  }
  throw new ExpectationError('the system starts');
}

async function stop(): Promise<void> {
  if (system === undefined || system.exitCode !== null || system.signalCode !== null) return;
  const ended = once(system, 'exit');
  system.kill('SIGTERM');
  await ended;
}

async function main(): Promise<void> {
  const startedAt = Date.now();
  // Ctrl-C also reaches the system. After a kill of this process, the system ends because of --end-with-parent.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stop().then(() => process.exit(1)));
  }
  print(
    '',
    bold('Volume Activation: a demo'),
    ...wrapText(
      'A company runs out of activations for Windows and requests more. It gets them after the approval of the person whom its contract names. The complete system runs on this machine, and you see its real responses.',
      columns,
    ),
  );
  try {
    await start();
    await runDemo();
    await stop();
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    printBlock(
      green(`The demo completed in ${seconds} seconds, and all checks passed.`),
      'To try it yourself: npm start',
      '',
    );
  } catch (error) {
    process.exitCode = 1;
    await stop();
    const where = chapterCount === 0 ? 'Before chapter 1,' : `In chapter ${chapterCount},`;
    const what =
      error instanceof ExpectationError ? `a check failed. Expected: ${error.message}` : 'an error occurred:';
    console.error(`\n${where} ${what}`);
    if (!(error instanceof ExpectationError)) console.error(error);
    if (errorOutput !== '') console.error(`\nError output of the system:\n${errorOutput.trim()}`);
  }
}

await main();
