import { styleText } from 'node:util';
import { addIsoDuration } from './clock.ts';
import { formatInstant } from './pages/layout.ts';
import type { CallApi } from './seed.ts';
import { ada, contoso, itemsIn, olga, seedUsers, textIn } from './seed.ts';
import type { System } from './system.ts';

/** A shell command to paste, and its description. */
type CommandExample = { readonly description: string; readonly command: readonly string[] };

/**
 * Returns the message for the terminal after the start: addresses, users, and three commands to paste, after which an
 * approval email is in the mailbox. Fits 80 columns.
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
    row('Clock', `${formatInstant(clock.now())} UTC; you can advance it`),
    row('Data', folder === undefined ? 'in memory, lost at the stop' : `in ${folder}`),
    styled('dim', row('DynamoDB', engines.dynamoDb)),
    styled('dim', row('Step Functions', engines.workflows)),
    styled('dim', row('SES', engines.mail)),
    '',
    ...(lastFive === undefined
      ? ['There is no sample data.']
      : [
          styled('bold', 'Who can sign in'),
          ...seedUsers.map(({ email, description }) => `  ${email.padEnd(30)}${description}`),
        ]),
    '',
    styled('bold', 'To paste into another terminal'),
    ...steps.flatMap(({ description, command }) => [
      '',
      styled('dim', `  # ${description}`),
      ...command.map((line) => `  ${line}`),
    ]),
    '',
    `  ${nextHint}`,
    '',
    'Ctrl-C stops everything.',
    '',
  ].join('\n');
}

function firstRequest(
  address: string,
  lastFive: string,
  now: ReturnType<System['clock']['now']>,
): [CommandExample[], string] {
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
        description: 'She lists her keys. The MAK is almost used up.',
        command: [
          `curl -s ${address}/agreements/${contoso.agreementNumber}/keys \\`,
          `  -H "Authorization: Bearer $TOKEN" ${filterOutput(['type', 'lastFive', 'limit', 'used'])}`,
        ],
      },
      post('She requests 150 more, which is above the call center maximum.', `${address}/exceptions`, body, [
        'exceptionId',
        'status',
        'dueAt',
      ]),
    ],
    'Now open the mailbox: Noor Haddad has an approval request.',
  ];
}

function firstAgreement(address: string): [CommandExample[], string] {
  const body = { ...contoso, products: contoso.products.slice(0, 1), contacts: contoso.contacts.slice(0, 1) };
  return [
    [
      signIn('A licensing administrator signs in.', address, { email: olga.email, roles: olga.roles }),
      post('She registers an agreement.', `${address}/agreements`, body, ['agreementId', 'lastFive']),
      {
        description: 'The agreement already has a KMS key.',
        command: [
          `curl -s ${address}/agreements/${contoso.agreementNumber}/keys \\`,
          `  -H "Authorization: Bearer $TOKEN" ${filterOutput(['type', 'lastFive', 'limit', 'used'])}`,
        ],
      },
    ],
    `Next: ${ada.email}, a contact of the agreement, can get a MAK for it.`,
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

/** Returns the end of a command that prints one line for each of these members of the response. */
function filterOutput(members: readonly string[]): string {
  return `| tr , '\\n' |\n    grep -E '"(${members.join('|')})"'`;
}

/** Returns the last five characters of Contoso's live MAK, or undefined without one. */
async function lastFiveOfMak(callApi: CallApi): Promise<string | undefined> {
  const { status, body } = await callApi('GET', `/agreements/${contoso.agreementNumber}/keys`, undefined, ada);
  if (status !== 200) return undefined;
  const mak = itemsIn(body).find((key) => textIn(key, 'type') === 'MAK' && textIn(key, 'status') === 'live');
  return mak === undefined ? undefined : textIn(mak, 'lastFive');
}
