import { styleText } from 'node:util';
import { addIsoDuration } from './clock.ts';
import { formatInstant } from './pages/layout.ts';
import type { CallApi } from './seed.ts';
import { ada, contoso, itemsIn, olga, seedUsers, textIn } from './seed.ts';
import type { System } from './system.ts';

/** Something to paste into a shell, and what it does. */
type CommandExample = { readonly description: string; readonly command: readonly string[] };

/**
 * What the terminal shows once all of it answers: what is where, who can sign in, and three commands to paste, after which
 * a mail waits for its reader. Fits 80 columns.
 */
export async function startupMessage(system: System, callApi: CallApi, folder: string | undefined): Promise<string> {
  const { address, engines, clock } = system;
  const styled = (style: 'bold' | 'dim', text: string) => styleText(style, text, { stream: process.stdout });
  const row = (name: string, value: string) => `  ${name.padEnd(16)}${value}`;
  const lastFive = await lastFiveOfMak(callApi);
  const [steps, nextHint] =
    lastFive === undefined ? firstAgreement(address) : firstRequest(address, lastFive, system.clock.now());
  return [
    '',
    styled('bold', 'Volume Activation runs on this machine.'),
    '',
    row('API', address),
    row('Mailbox', `${address}/_local/mailbox`),
    row('Its clock', `${formatInstant(clock.now())} UTC; it can be wound on`),
    row('Its data', folder === undefined ? 'in memory, gone when it stops' : `kept in ${folder}`),
    styled('dim', row('DynamoDB', engines.dynamoDb)),
    styled('dim', row('Step Functions', engines.workflows)),
    styled('dim', row('SES', engines.mail)),
    '',
    ...(lastFive === undefined
      ? ['The world is empty.']
      : [styled('bold', 'Who can sign in'), ...seedUsers.map(({ email, description: role }) => `  ${email.padEnd(30)}${role}`)]),
    '',
    styled('bold', 'To paste into another terminal'),
    ...steps.flatMap(({ description: what, command }) => ['', styled('dim', `  # ${what}`), ...command.map((line) => `  ${line}`)]),
    '',
    `  ${nextHint}`,
    '',
    'Ctrl-C stops everything.',
    '',
  ].join('\n');
}

function firstRequest(address: string, lastFive: string, now: ReturnType<System['clock']['now']>): [CommandExample[], string] {
  const inAMonth = (addIsoDuration(now, 'P30D') ?? now).slice(0, 10);
  const body = {
    kind: 'MAKADD',
    organizationName: contoso.organization.name,
    agreementNumber: contoso.agreementNumber,
    requester: contoso.contacts[0],
    product: 'windows-vista-enterprise',
    keyLastFive: lastFive,
    activationsRequested: 150,
    businessReason: 'A new computer lab',
    requiredDate: inAMonth,
  };
  return [
    [
      signIn('Ada signs in.', address, { email: ada.email }),
      {
        description: 'Her keys, and what is used of them: the MAK is nearly spent.',
        command: [
          `curl -s ${address}/agreements/${contoso.agreementNumber}/keys \\`,
          `  -H "Authorization: Bearer $TOKEN" ${filterOutput(['type', 'lastFive', 'limit', 'used'])}`,
        ],
      },
      post('She asks for 150 more, which is beyond what the call centre may give.', `${address}/exceptions`, body, [
        'exceptionId',
        'status',
        'dueAt',
      ]),
    ],
    'Now look into the mail box: the decision is up to Noor Haddad.',
  ];
}

function firstAgreement(address: string): [CommandExample[], string] {
  const body = { ...contoso, products: contoso.products.slice(0, 1), contacts: contoso.contacts.slice(0, 1) };
  return [
    [
      signIn('A licensing administrator signs in.', address, { email: olga.email, roles: olga.roles }),
      post('She registers an agreement.', `${address}/agreements`, body, ['agreementId', 'lastFive']),
      {
        description: 'It has a KMS key from the start.',
        command: [
          `curl -s ${address}/agreements/${contoso.agreementNumber}/keys \\`,
          `  -H "Authorization: Bearer $TOKEN" ${filterOutput(['type', 'lastFive', 'limit', 'used'])}`,
        ],
      },
    ],
    `The next step is its contact’s: ${ada.email} may get a MAK for it.`,
  ];
}

function signIn(description: string, address: string, body: unknown): CommandExample {
  return {
    description,
    command: [`TOKEN=$(curl -s ${address}/_local/tokens \\`, `  -d '${JSON.stringify(body)}' | cut -d'"' -f4)`],
  };
}

function post(description: string, url: string, body: object, members: readonly string[]): CommandExample {
  const [, ...lines] = JSON.stringify(body, null, 2).split('\n');
  return {
    description,
    command: [
      `curl -s ${url} -H "Authorization: Bearer $TOKEN" \\`,
      `  -H 'Content-Type: application/json' -d '{`,
      ...lines.map((line, index) => `  ${line}${index < lines.length - 1 ? '' : `' ${filterOutput(members)}`}`),
    ],
  };
}

/** The end of a command that leaves a line for each of these members of the answer. */
function filterOutput(members: readonly string[]): string {
  return `| tr , '\\n' |\n    grep -E '"(${members.join('|')})"'`;
}

/** The last five of Contoso's live MAK; undefined when the world has none. */
async function lastFiveOfMak(callApi: CallApi): Promise<string | undefined> {
  const { status, body } = await callApi('GET', `/agreements/${contoso.agreementNumber}/keys`, undefined, ada);
  if (status !== 200) return undefined;
  const mak = itemsIn(body).find((key) => textIn(key, 'type') === 'MAK' && textIn(key, 'status') === 'live');
  return mak === undefined ? undefined : textIn(mak, 'lastFive');
}
