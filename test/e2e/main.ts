import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { smoke } from '../../commands/smoke-test.ts';
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
import { anotherCode, linkIn, registrationOf } from '../journeys/customer.ts';
import { root } from '../project-files.ts';
import type { Cloud, Deployed, SentMail } from './cloud.ts';
import { cloudAt } from './cloud.ts';
import { installed, startEmulator } from './emulator.ts';
import { CannotRun, endAll } from './program.ts';

/*
 * `npm run e2e`: deploys the app, as CloudFormation gets it, to an emulator of AWS on this machine, and goes through the
 * main job on it by HTTP. Each line that it prints was checked; it ends with 0 only if all of it happened.
 */

// ---- What the terminal shows

/** Something that should have happened and did not, with what was seen instead. */
class DidNotHappen extends Error {}

let steps = 0;
let current = '';

/** Does one step and says that it went well; `tell` makes the line of what came out. */
async function step<Outcome>(
  what: string,
  does: () => Promise<Outcome>,
  tell: (outcome: Outcome) => string = () => '',
): Promise<Outcome> {
  current = what;
  const began = performance.now();
  // Some take a minute; who watches sees what they wait for.
  if (process.stdout.isTTY) process.stdout.write(`…            ${what}`);
  const outcome = await does();
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  steps += 1;
  const told = tell(outcome);
  const seconds = ((performance.now() - began) / 1_000).toFixed(1).padStart(6);
  print(`ok ${seconds} s  ${what}${told === '' ? '' : `: ${told}`}`);
  return outcome;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

// ---- Asking the deployed API

type Answer = { readonly status: number; readonly text: string };
type Ask = (method: string, path: string, body?: unknown) => Promise<Answer>;

/** The API as somebody asks it who has this token, or none. */
function askerAt({ address }: Deployed, token?: string): Ask {
  return async (method, path, body) => {
    const response = await fetch(`${address}${path}`, {
      method,
      // A function starts anew on a busy machine.
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

/** The body of an answer that came with the status and in the shape that it should have. */
function expected<Body extends z.ZodType>({ status, text }: Answer, wanted: number, body: Body): z.output<Body> {
  if (status !== wanted) throw new DidNotHappen(`expected status ${wanted}, got ${status} ${text.slice(0, 1_000)}`);
  const parsed = body.safeParse(JSON.parse(text));
  if (!parsed.success) throw new DidNotHappen(`${z.prettifyError(parsed.error)}\nin ${text.slice(0, 1_000)}`);
  return parsed.data;
}

function check(holds: boolean, wanted: string, seen: unknown): void {
  if (!holds)
    throw new DidNotHappen(`expected ${wanted}, got ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`);
}

/** Asks again and again until there is an answer, for so many seconds. */
async function until<Found>(
  what: string,
  seconds: number,
  find: () => Promise<Found | undefined>,
  seen: () => Promise<unknown>,
): Promise<Found> {
  const deadline = performance.now() + seconds * 1_000;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > deadline) check(false, `${what} within ${seconds} s`, await seen());
    await sleep(250);
  }
}

const refusedSchema = problemSchema.extend({ remedies: z.array(remedySchema) });
const batchSchema = z.looseObject({ results: z.array(z.looseObject({ status: z.int() })) });

// ---- The main job

const product = 'windows-vista-business';
const limit = 50;
const asked = 150;

async function mainJob(cloud: Cloud, deployed: Deployed): Promise<void> {
  const registration = registrationOf('E-2E');
  const { contacts, noticesCorrespondent: carla } = registration;
  const [ines] = contacts;
  const olga = 'olga@vendor.example';
  const anyone = askerAt(deployed);

  const [asOlga, asInes] = await step(
    'People sign in at Cognito, an administrator and a customer',
    async () => {
      await cloud.addUser(deployed, olga, ['licensing-admins']);
      await cloud.addUser(deployed, ines.email, []);
      const [one, other] = [await cloud.signIn(deployed, olga), await cloud.signIn(deployed, ines.email)];
      const forged = `${one.slice(0, one.lastIndexOf('.'))}.${other.slice(other.lastIndexOf('.') + 1)}`;
      const { status } = await askerAt(deployed, forged)('GET', '/agreements');
      check(status === 401, '401 for a token with another signature', status);
      return [askerAt(deployed, one), askerAt(deployed, other)] as const;
    },
    () => 'their tokens are taken, a forged one is not',
  );

  const registered = await step(
    'The administrator registers an agreement',
    async () => {
      const { status } = await asInes('POST', '/agreements', registration);
      check(status === 403, '403 for a customer', status);
      return expected(await asOlga('POST', '/agreements', registration), 201, registeredSchema);
    },
    ({ agreementId, keys }) => `${agreementId}, with ${keys.length} key; a customer may not`,
  );
  const kmsKey = kmsKeySchema.parse(registered.keys[0]);

  const kmsRequest = await step(
    'Step Functions cannot be reached as the customer asks for more KMS hosts',
    async () => {
      await cloud.cutOff('exceptions', true);
      const taken = await asInes('POST', '/exceptions', {
        kind: 'KMSADD',
        organizationName: registration.organization.name,
        agreementNumber: registration.agreementNumber,
        requester: ines,
        product: 'windows-server-2008-standard',
        keyLastFive: kmsKey.lastFive,
        activationsRequested: 10,
        businessReason: 'Every school gets a host of its own.',
        requiredDate: '2099-01-04',
      });
      await cloud.cutOff('exceptions', false);
      const request = expected(taken, 202, exceptionSchema);
      check(request.status === 'received', 'a request that nobody has seen to', request);
      return request;
    },
    () => 'the request is taken all the same, and waits',
  );

  const mak = await step(
    'The customer is issued a MAK',
    async () => {
      const at = `/agreements/${registered.agreementId}`;
      expected(await asInes('GET', at), 200, agreementSchema);
      return expected(await asInes('POST', `${at}/keys`, { type: 'MAK', productGroup: 'client' }), 201, makSchema);
    },
    (key) => `limit ${key.limit}`,
  );
  check(mak.limit === limit && mak.used === 0, `a limit of ${limit}, unused`, mak);
  const { productKey } = expected(await asInes('POST', `/keys/${mak.keyId}/reveal`, {}), 200, revealedSchema);
  const makNow = async () => expected(await asInes('GET', `/keys/${mak.keyId}`), 200, makSchema);
  const activate = (machine: number) =>
    anyone('POST', '/activations', { productKey, installationId: installationId(machine), product });

  await step(
    'Machines activate up to the limit',
    async () => {
      const activations = Array.from({ length: limit - 2 }, (_, n) => ({
        installationId: installationId(n + 1),
        product,
      }));
      const batch = await anyone('POST', '/activations/batch', { productKey, activations });
      const { results } = expected(batch, 200, batchSchema);
      check(results.length === limit - 2 && results.every(({ status }) => status === 201), 'all activated', results);
      const first = expected(await activate(limit - 1), 201, activationSchema);
      const again = expected(await activate(limit - 1), 200, activationSchema);
      check(first.confirmationId === again.confirmationId, 'the same confirmation for the same machine', again);
      expected(await activate(limit), 201, activationSchema);
      const { used, remaining } = await makNow();
      check(used === limit && remaining === 0, `${limit} used`, { used, remaining });
    },
    () => `${limit - 2} at once, 2 alone, one of them twice; ${limit} are counted`,
  );

  const draft = await step(
    'One machine too many is refused',
    async () => {
      const { code, remedies } = expected(await activate(limit + 1), 409, refusedSchema);
      check(code === 'activation-limit-reached', 'activation-limit-reached', code);
      const byPhone = remedies.find(({ kind }) => kind === 'call-center-increase');
      check(byPhone?.available === true && byPhone.maximum === limit, `${limit} more on the phone`, remedies);
      const byRequest = remedies.find(({ kind }) => kind === 'MAKADD');
      if (byRequest?.draft === undefined)
        throw new DidNotHappen(`no draft of a request in ${JSON.stringify(remedies)}`);
      return byRequest.draft;
    },
    () => 'the remedies are the call centre and a request, begun',
  );

  const exceptionNow = async (id: string) => expected(await asInes('GET', `/exceptions/${id}`), 200, exceptionSchema);
  const { exceptionId } = await step(
    `The customer completes it, a MAKADD for ${asked} more`,
    async () => {
      const intake = {
        ...draft,
        requester: ines,
        activationsRequested: asked,
        businessReason: 'Two new schools open in autumn.',
        requiredDate: '2099-01-04',
      };
      return expected(await asInes('POST', '/exceptions', intake), 202, exceptionSchema);
    },
    ({ dueAt }) => `taken, the answer is due by ${dueAt}`,
  );

  const approvalMail = (about: RegExp, seconds: number, id: string) =>
    until(
      'a mail that asks the Notices Correspondent',
      seconds,
      async () => (await cloud.mailsTo(carla.email)).find(({ text }) => about.test(text) && linkOf(text) !== undefined),
      async () => ({
        status: (await exceptionNow(id)).status,
        mails: (await cloud.mailsTo(carla.email)).map(({ subject }) => subject),
      }),
    );
  const mail = await step(
    'The workflow asks the Notices Correspondent by mail',
    () => approvalMail(/MAK\b/, 60, exceptionId),
    ({ subject }) => subject,
  );

  await step(
    'She approves by its link and code',
    async () => {
      const link = linkOf(mail.text);
      if (link === undefined) throw new DidNotHappen('the mail has no link');
      check(
        mail.text.includes(`${deployed.publicAddress}${link.path}`),
        'a link to the address of the stage',
        mail.subject,
      );
      const page = await anyone('GET', link.path);
      check(page.status === 200 && page.text.includes('<form'), 'a page with a form', page);
      const { status } = await exceptionNow(exceptionId);
      check(status === 'awaiting-approval', 'nothing decided by opening the link', status);
      const decide = (code: string) =>
        anyone('POST', link.path, new URLSearchParams({ code, decision: 'approve', comment: 'In the budget.' }));
      for (const [code, wanted] of [
        [anotherCode(link.code), 422],
        [link.code, 200],
        [link.code, 409],
      ] as const) {
        const answer = await decide(code);
        check(answer.status === wanted, `${wanted} from the page`, answer);
      }
    },
    () => 'opening it decided nothing, a wrong code neither; once is once',
  );

  await step(
    'The limit rises',
    async () => {
      await until(
        'a fulfilled request',
        60,
        async () => ((await exceptionNow(exceptionId)).status === 'fulfilled' ? true : undefined),
        () => exceptionNow(exceptionId),
      );
      const raised = await makNow();
      check(raised.limit === limit + asked, `a limit of ${limit + asked}`, raised);
      const { items } = expected(await asInes('GET', `/keys/${mak.keyId}/grants`), 200, listOf(grantSchema));
      const [initial, exception, ...more] = items;
      check(
        initial?.kind === 'initial' && initial.amount === limit && more.length === 0,
        'the initial grant, and one more',
        items,
      );
      check(
        exception?.kind === 'exception' && exception.amount === asked && exception.approvedBy === carla.email,
        'a grant that she approved',
        items,
      );
      expected(await activate(limit + 1), 201, activationSchema);
    },
    () => `to ${limit + asked}, the sum of its grants; the machine that was refused activates`,
  );

  await step(
    'Both are told by mail',
    () =>
      until<readonly SentMail[]>(
        `mails that tell of the limit of ${limit + asked}`,
        60,
        async () => {
          const told = await Promise.all([cloud.mailsTo(ines.email), cloud.mailsTo(carla.email)]);
          const about = told.map((mails) =>
            mails.find(({ text }) => new RegExp(`\\b${limit + asked}\\b`).test(text) && !linkOf(text)),
          );
          return about.every((each) => each !== undefined) ? about : undefined;
        },
        async () => (await Promise.all([cloud.mailsTo(ines.email), cloud.mailsTo(carla.email)])).flat(),
      ),
    ([toInes]) => toInes?.subject ?? '',
  );

  await step(
    'The sweep, by its schedule, starts what could not be started',
    async () => {
      await approvalMail(/KMS\b/, 150, kmsRequest.exceptionId);
      const { status, approval } = await exceptionNow(kmsRequest.exceptionId);
      check(status === 'awaiting-approval' && approval !== null, 'a request that awaits approval', status);
      return Math.round((Date.parse(approval?.askedAt ?? '') - Date.parse(kmsRequest.receivedAt)) / 1_000);
    },
    (seconds) => `the Notices Correspondent was asked about the KMS hosts ${seconds} s after the request`,
  );
}

/** The way to the approval page and its code, in a mail that asks for a decision. */
function linkOf(text: string) {
  return linkIn({ text, to: '', from: '', subject: '', html: null, at: '' });
}

// ---- The run

async function wholeRun(folder: string, emulators: string): Promise<void> {
  const { python } = await step(
    'The emulator of AWS is installed',
    () => installed(emulators),
    ({ wasThere }) => (wasThere ? 'it was already' : 'from PyPI, into .e2e'),
  );
  const emulator = await step(
    'It answers',
    () => startEmulator(python, folder),
    (address) => address,
  );
  const cloud = cloudAt(emulator, folder);
  await step('The account is bootstrapped, and the templates are made', () => cloud.bootstrapAndSynthesize());
  const deployed = await step(
    'The stage is deployed by CloudFormation',
    () => cloud.deploy(),
    ({ publicAddress }) => publicAddress,
  );
  await step('The smoke test passes', async () => {
    const lines: string[] = [];
    check(await smoke(deployed.address, (line) => lines.push(line)), 'three right answers', lines.join('\n'));
  });
  await mainJob(cloud, deployed);
}

async function main(): Promise<void> {
  const began = performance.now();
  const emulators = join(root, '.e2e');
  mkdirSync(emulators, { recursive: true });
  const folder = mkdtempSync(join(emulators, 'run-'));
  let stopped = false;
  const keepLogsOnly = () => {
    for (const name of readdirSync(folder)) {
      if (!name.endsWith('.log')) rmSync(join(folder, name), { recursive: true, force: true });
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      stopped = true;
      process.stderr.write(`\nStopped at: ${current}\n`);
      void endAll().then(() => {
        rmSync(folder, { recursive: true, force: true });
        process.exit(1);
      });
    });
  }
  try {
    await wholeRun(folder, emulators);
    await endAll();
    rmSync(folder, { recursive: true, force: true });
    print(`\nAll ${steps} steps happened, in ${Math.round((performance.now() - began) / 1_000)} seconds.`);
  } catch (error) {
    if (stopped) return;
    process.exitCode = 1;
    await endAll();
    if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
    if (error instanceof CannotRun) {
      rmSync(folder, { recursive: true, force: true });
      process.stderr.write(`${error.message}\n`);
      return;
    }
    keepLogsOnly();
    const what = error instanceof DidNotHappen ? error.message : error instanceof Error ? error.stack : String(error);
    process.stderr.write(`FAILED     ${current}\n\n${what}\n\n`);
    process.stderr.write(
      `${steps} steps happened, and then this one did not. Logs: ${join(folder, 'ministack.log')}\n`,
    );
  }
}

await main();
