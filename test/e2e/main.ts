import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { runSmokeTest } from '../../commands/smoke-test.ts';
import { installationId } from '../builders.ts';
import {
  activationSchema,
  agreementSchema,
  exceptionSchema,
  grantSchema,
  kmsKeySchema,
  listOf,
  makSchema,
  problemSchema,
  registeredSchema,
  remedySchema,
  revealedSchema,
} from '../journeys/contract.ts';
import { anotherCode, approvalLinkIn, registrationOf } from '../journeys/customer.ts';
import { root } from '../project-files.ts';
import type { Deployment, EmulatedAccount, SentMail } from './cloud.ts';
import { openEmulatedAccount } from './cloud.ts';
import { installEmulator, startEmulator } from './emulator.ts';
import { killAll, PrerequisiteError } from './program.ts';

/*
 * `npm run e2e`: deploys the app with CloudFormation to an emulator of AWS on this machine, and runs the main scenario on it
 * over HTTP. Every line that it prints is a passed check. The exit code is 0 only if all checks pass.
 */

// ---- Terminal output

/** A failed expectation, with the actual value. */
class ExpectationError extends Error {}

let steps = 0;
let currentStep = '';

/** Runs one step and prints a line, which `tell` makes from the result. */
async function step<Outcome>(
  description: string,
  action: () => Promise<Outcome>,
  summarize: (outcome: Outcome) => string = () => '',
): Promise<Outcome> {
  currentStep = description;
  const startedAt = performance.now();
  // A step can take a minute, so the terminal shows the current one.
  if (process.stdout.isTTY) process.stdout.write(`…            ${description}`);
  const outcome = await action();
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  steps += 1;
  const summary = summarize(outcome);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6);
  print(`ok ${seconds} s  ${description}${summary === '' ? '' : `: ${summary}`}`);
  return outcome;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

// ---- Requests to the deployed API

type HttpResponse = { readonly status: number; readonly text: string };
type CallApi = (method: string, path: string, body?: unknown) => Promise<HttpResponse>;

/** Returns a client of the API with this token, or with none. */
function createApiClient({ address }: Deployment, token?: string): CallApi {
  return async (method, path, body) => {
    const response = await fetch(`${address}${path}`, {
      method,
      // A function can have a cold start on a busy machine.
      signal: AbortSignal.timeout(60_000),
      headers: {
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(body === undefined || body instanceof URLSearchParams ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: body instanceof URLSearchParams ? body : JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  };
}

/** Returns the parsed body of a response. Throws if its status or shape is not as expected. */
function parseResponse<Body extends z.ZodType>(
  { status, text }: HttpResponse,
  expectedStatus: number,
  body: Body,
): z.output<Body> {
  if (status !== expectedStatus)
    throw new ExpectationError(`expected status ${expectedStatus}, got ${status} ${text.slice(0, 1_000)}`);
  const parsed = body.safeParse(JSON.parse(text));
  if (!parsed.success) throw new ExpectationError(`${z.prettifyError(parsed.error)}\nin ${text.slice(0, 1_000)}`);
  return parsed.data;
}

function check(condition: boolean, expectation: string, actual: unknown): void {
  if (!condition)
    throw new ExpectationError(
      `expected ${expectation}, got ${typeof actual === 'string' ? actual : JSON.stringify(actual)}`,
    );
}

/** Polls until there is a value, for at most the given number of seconds. */
async function waitFor<Found>(
  expectation: string,
  seconds: number,
  find: () => Promise<Found | undefined>,
  describeActual: () => Promise<unknown>,
): Promise<Found> {
  const deadline = performance.now() + seconds * 1_000;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > deadline) check(false, `${expectation} within ${seconds} s`, await describeActual());
    await sleep(250);
  }
}

const refusalSchema = problemSchema.extend({ remedies: z.array(remedySchema) });
const batchSchema = z.looseObject({ results: z.array(z.looseObject({ status: z.int() })) });

// ---- The main use case

const product = 'windows-vista-business';
const limit = 50;
const requestedActivations = 150;

async function runMainUseCase(account: EmulatedAccount, deployment: Deployment): Promise<void> {
  const registration = registrationOf('E-2E');
  const { contacts, noticesCorrespondent: noor } = registration;
  const [ines] = contacts;
  const olga = 'olga.berg@vendor.example';
  const anonymous = createApiClient(deployment);

  const [asOlga, asInes] = await step(
    'An administrator and a customer sign in with Cognito',
    async () => {
      await account.addUser(deployment, olga, ['licensing-admins']);
      await account.addUser(deployment, ines.email, []);
      const [one, other] = [await account.signIn(deployment, olga), await account.signIn(deployment, ines.email)];
      const forged = `${one.slice(0, one.lastIndexOf('.'))}.${other.slice(other.lastIndexOf('.') + 1)}`;
      const { status } = await createApiClient(deployment, forged)('GET', '/agreements');
      check(status === 401, '401 for a token with another signature', status);
      return [createApiClient(deployment, one), createApiClient(deployment, other)] as const;
    },
    () => 'the API accepts their tokens, and refuses a forged one',
  );

  const registered = await step(
    'The administrator registers an agreement',
    async () => {
      const { status } = await asInes('POST', '/agreements', registration);
      check(status === 403, '403 for a customer', status);
      return parseResponse(await asOlga('POST', '/agreements', registration), 201, registeredSchema);
    },
    ({ agreementId, keys }) => `${agreementId}, with ${keys.length} key; a customer gets 403`,
  );
  const kmsKey = kmsKeySchema.parse(registered.keys[0]);

  const kmsRequest = await step(
    'The customer requests more KMS hosts while Step Functions is unreachable',
    async () => {
      await account.disconnectStepFunctions('exceptions', true);
      const response = await asInes('POST', '/exceptions', {
        kind: 'KMSADD',
        organizationName: registration.organization.name,
        agreementNumber: registration.agreementNumber,
        requester: ines,
        product: 'windows-server-2008-standard',
        keyLastFive: kmsKey.lastFive,
        activationsRequested: 10,
        businessReason: 'Each school gets a host.',
        requiredDate: '2099-01-04',
      });
      await account.disconnectStepFunctions('exceptions', false);
      const request = parseResponse(response, 202, exceptionSchema);
      check(request.status === 'received', 'a request that nobody handles', request);
      return request;
    },
    () => 'the request is accepted, and waits',
  );

  const mak = await step(
    'The customer gets a MAK',
    async () => {
      const at = `/agreements/${registered.agreementId}`;
      parseResponse(await asInes('GET', at), 200, agreementSchema);
      return parseResponse(await asInes('POST', `${at}/keys`, { type: 'MAK', productGroup: 'client' }), 201, makSchema);
    },
    (key) => `limit ${key.limit}`,
  );
  check(mak.limit === limit && mak.used === 0, `a limit of ${limit}, unused`, mak);
  const { productKey } = parseResponse(await asInes('POST', `/keys/${mak.keyId}/reveal`, {}), 200, revealedSchema);
  const getMak = async () => parseResponse(await asInes('GET', `/keys/${mak.keyId}`), 200, makSchema);
  const activate = (machine: number) =>
    anonymous('POST', '/activations', { productKey, installationId: installationId(machine), product });

  await step(
    'Machines activate up to the limit',
    async () => {
      const activations = Array.from({ length: limit - 2 }, (_, n) => ({
        installationId: installationId(n + 1),
        product,
      }));
      const batch = await anonymous('POST', '/activations/batch', { productKey, activations });
      const { results } = parseResponse(batch, 200, batchSchema);
      check(results.length === limit - 2 && results.every(({ status }) => status === 201), 'all activated', results);
      const first = parseResponse(await activate(limit - 1), 201, activationSchema);
      const again = parseResponse(await activate(limit - 1), 200, activationSchema);
      check(first.confirmationId === again.confirmationId, 'the same confirmation for the same machine', again);
      parseResponse(await activate(limit), 201, activationSchema);
      const { used, remaining } = await getMak();
      check(used === limit && remaining === 0, `${limit} used`, { used, remaining });
    },
    () => `${limit - 2} in a batch, 2 individually, one of them twice; the key counts ${limit}`,
  );

  const draft = await step(
    'The API refuses one more machine',
    async () => {
      const { code, remedies } = parseResponse(await activate(limit + 1), 409, refusalSchema);
      check(code === 'activation-limit-reached', 'activation-limit-reached', code);
      const callCenterRemedy = remedies.find(({ kind }) => kind === 'call-center-increase');
      check(
        callCenterRemedy?.available === true && callCenterRemedy.maximum === limit,
        `${limit} more by phone`,
        remedies,
      );
      const requestRemedy = remedies.find(({ kind }) => kind === 'MAKADD');
      if (requestRemedy?.draft === undefined)
        throw new ExpectationError(`no draft of a request in ${JSON.stringify(remedies)}`);
      return requestRemedy.draft;
    },
    () => 'the remedies are the call center and a pre-filled request',
  );

  const getException = async (id: string) =>
    parseResponse(await asInes('GET', `/exceptions/${id}`), 200, exceptionSchema);
  const { exceptionId } = await step(
    `The customer completes the draft, a MAKADD for ${requestedActivations} more`,
    async () => {
      const form = {
        ...draft,
        requester: ines,
        activationsRequested: requestedActivations,
        businessReason: 'Two new schools open in autumn.',
        requiredDate: '2099-01-04',
      };
      return parseResponse(await asInes('POST', '/exceptions', form), 202, exceptionSchema);
    },
    ({ dueAt }) => `accepted, the decision is due by ${dueAt}`,
  );

  const waitForApprovalEmail = (about: RegExp, seconds: number, id: string) =>
    waitFor(
      'an approval email to the Notices Correspondent',
      seconds,
      async () =>
        (await account.mailsTo(noor.email)).find(({ text }) => about.test(text) && approvalLinkOf(text) !== undefined),
      async () => ({
        status: (await getException(id)).status,
        mails: (await account.mailsTo(noor.email)).map(({ subject }) => subject),
      }),
    );
  const email = await step(
    'The workflow sends the Notices Correspondent an approval email',
    () => waitForApprovalEmail(/MAK\b/, 60, exceptionId),
    ({ subject }) => subject,
  );

  await step(
    'The Notices Correspondent approves with its link and code',
    async () => {
      const link = approvalLinkOf(email.text);
      if (link === undefined) throw new ExpectationError('the email has no link');
      check(
        email.text.includes(`${deployment.publicAddress}${link.path}`),
        'a link to the address of the stage',
        email.subject,
      );
      const page = await anonymous('GET', link.path);
      check(page.status === 200 && page.text.includes('<form'), 'a page with a form', page);
      const { status } = await getException(exceptionId);
      check(status === 'awaiting-approval', 'nothing decided by opening the link', status);
      const decide = (code: string) =>
        anonymous('POST', link.path, new URLSearchParams({ code, decision: 'approve', comment: 'In the budget.' }));
      for (const [code, expectedStatus] of [
        [anotherCode(link.code), 422],
        [link.code, 200],
        [link.code, 409],
      ] as const) {
        const response = await decide(code);
        check(response.status === expectedStatus, `${expectedStatus} from the page`, response);
      }
    },
    () => 'no decision by opening the link or with a wrong code; a second decision is refused',
  );

  await step(
    'The limit is higher',
    async () => {
      await waitFor(
        'a fulfilled request',
        60,
        async () => ((await getException(exceptionId)).status === 'fulfilled' ? true : undefined),
        () => getException(exceptionId),
      );
      const raised = await getMak();
      check(raised.limit === limit + requestedActivations, `a limit of ${limit + requestedActivations}`, raised);
      const { items } = parseResponse(await asInes('GET', `/keys/${mak.keyId}/grants`), 200, listOf(grantSchema));
      const [initial, exception, ...more] = items;
      check(
        initial?.kind === 'initial' && initial.amount === limit && more.length === 0,
        'the initial grant, and one more',
        items,
      );
      check(
        exception?.kind === 'exception' &&
          exception.amount === requestedActivations &&
          exception.approvedBy === noor.email,
        'a grant with her as the approver',
        items,
      );
      parseResponse(await activate(limit + 1), 201, activationSchema);
    },
    () => `to ${limit + requestedActivations}, the sum of the grants; the refused machine activates`,
  );

  await step(
    'Both get an email',
    () =>
      waitFor<readonly SentMail[]>(
        `emails about the limit of ${limit + requestedActivations}`,
        60,
        async () => {
          const mailboxes = await Promise.all([account.mailsTo(ines.email), account.mailsTo(noor.email)]);
          const about = mailboxes.map((mails) =>
            mails.find(
              ({ text }) => new RegExp(`\\b${limit + requestedActivations}\\b`).test(text) && !approvalLinkOf(text),
            ),
          );
          return about.every((each) => each !== undefined) ? about : undefined;
        },
        async () => (await Promise.all([account.mailsTo(ines.email), account.mailsTo(noor.email)])).flat(),
      ),
    ([toInes]) => toInes?.subject ?? '',
  );

  await step(
    'The scheduled sweep starts the workflow that could not start',
    async () => {
      await waitForApprovalEmail(/KMS\b/, 150, kmsRequest.exceptionId);
      const { status, approval } = await getException(kmsRequest.exceptionId);
      check(status === 'awaiting-approval' && approval !== null, 'a request that awaits approval', status);
      return Math.round((Date.parse(approval?.askedAt ?? '') - Date.parse(kmsRequest.receivedAt)) / 1_000);
    },
    (seconds) => `the approval email about the KMS hosts came ${seconds} s after the request`,
  );
}

/** Returns the address of the approval page and the code, from an approval email. */
function approvalLinkOf(text: string) {
  return approvalLinkIn({ text, to: '', from: '', subject: '', html: null, at: '' });
}

// ---- The run

async function runAll(folder: string, emulators: string): Promise<void> {
  const { python } = await step(
    'The AWS emulator is installed',
    () => installEmulator(emulators),
    ({ wasInstalled }) => (wasInstalled ? 'already installed' : 'from PyPI, into .e2e'),
  );
  const emulator = await step(
    'The emulator is ready',
    () => startEmulator(python, folder),
    (address) => address,
  );
  const account = openEmulatedAccount(emulator, folder);
  await step('The account is bootstrapped, and the templates are synthesized', () => account.bootstrapAndSynthesize());
  const deployment = await step(
    'CloudFormation deploys the stage',
    () => account.deploy(),
    ({ publicAddress }) => publicAddress,
  );
  await step('The smoke test passes', async () => {
    const lines: string[] = [];
    check(
      await runSmokeTest(deployment.address, (line) => lines.push(line)),
      'three correct responses',
      lines.join('\n'),
    );
  });
  await runMainUseCase(account, deployment);
}

async function main(): Promise<void> {
  const startedAt = performance.now();
  const emulators = join(root, '.e2e');
  mkdirSync(emulators, { recursive: true });
  const folder = mkdtempSync(join(emulators, 'run-'));
  let isStopped = false;
  const keepLogsOnly = () => {
    for (const name of readdirSync(folder)) {
      if (!name.endsWith('.log')) rmSync(join(folder, name), { recursive: true, force: true });
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      isStopped = true;
      process.stderr.write(`\nStopped during: ${currentStep}\n`);
      void killAll().then(() => {
        rmSync(folder, { recursive: true, force: true });
        process.exit(1);
      });
    });
  }
  try {
    await runAll(folder, emulators);
    await killAll();
    rmSync(folder, { recursive: true, force: true });
    print(`\nAll ${steps} steps succeeded in ${Math.round((performance.now() - startedAt) / 1_000)} seconds.`);
  } catch (error) {
    if (isStopped) return;
    process.exitCode = 1;
    await killAll();
    if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
    if (error instanceof PrerequisiteError) {
      rmSync(folder, { recursive: true, force: true });
      process.stderr.write(`${error.message}\n`);
      return;
    }
    keepLogsOnly();
    const what =
      error instanceof ExpectationError ? error.message : error instanceof Error ? error.stack : String(error);
    process.stderr.write(`FAILED     ${currentStep}\n\n${what}\n\n`);
    process.stderr.write(`${steps} steps succeeded before this one. Logs: ${join(folder, 'ministack.log')}\n`);
  }
}

await main();
