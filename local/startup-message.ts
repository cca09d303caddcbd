import { styleText } from 'node:util';
import { momentAfter } from './clock.ts';
import { readable } from './pages/layout.ts';
import type { Ask } from './seed.ts';
import { ada, contoso, itemsIn, olga, residents, textIn } from './seed.ts';
import type { System } from './system.ts';

/** Something to paste into a shell, and what it does. */
type Step = { readonly what: string; readonly command: readonly string[] };

/**
 * What the terminal shows once all of it answers: what is where, who can sign in, and three commands to paste, after which
 * a mail waits for its reader. Fits 80 columns.
 */
export async function banner(system: System, ask: Ask, folder: string | undefined): Promise<string> {
  const { address, engines, clock } = system;
  const styled = (style: 'bold' | 'dim', text: string) => styleText(style, text, { stream: process.stdout });
  const row = (name: string, value: string) => `  ${name.padEnd(16)}${value}`;
  const lastFive = await lastFiveOfMak(ask);
  const [steps, then] =
    lastFive === undefined ? firstAgreement(address) : firstRequest(address, lastFive, system.clock.now());
  return [
    '',
    styled('bold', 'Volume Activation runs on this machine.'),
    '',
    row('API', address),
    row('Mail box', `${address}/_local/mailbox`),
    row('Its clock', `${readable(clock.now())} UTC; it can be wound on`),
    row('Its data', folder === undefined ? 'in memory, gone when it stops' : `kept in ${folder}`),
    styled('dim', row('DynamoDB', engines.dynamoDb)),
    styled('dim', row('Step Functions', engines.workflows)),
    styled('dim', row('SES', engines.mail)),
    '',
    ...(lastFive === undefined
      ? ['The world is empty.']
      : [styled('bold', 'Who can sign in'), ...residents.map(({ email, is }) => `  ${email.padEnd(30)}${is}`)]),
    '',
    styled('bold', 'To paste into another terminal'),
    ...steps.flatMap(({ what, command }) => ['', styled('dim', `  # ${what}`), ...command.map((line) => `  ${line}`)]),
    '',
    `  ${then}`,
    '',
    'Ctrl-C stops everything.',
    '',
  ].join('\n');
}

function firstRequest(address: string, lastFive: string, now: ReturnType<System['clock']['now']>): [Step[], string] {
  const inAMonth = (momentAfter(now, 'P30D') ?? now).slice(0, 10);
  const facts = {
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
        what: 'Her keys, and what is used of them: the MAK is nearly spent.',
        command: [
          `curl -s ${address}/agreements/${contoso.agreementNumber}/keys \\`,
          `  -H "Authorization: Bearer $TOKEN" ${only(['type', 'lastFive', 'limit', 'used'])}`,
        ],
      },
      post('She asks for 150 more, which is beyond what the call centre may give.', `${address}/exceptions`, facts, [
        'exceptionId',
        'status',
        'dueAt',
      ]),
    ],
    'Now look into the mail box: the decision is up to Noor Haddad.',
  ];
}

function firstAgreement(address: string): [Step[], string] {
  const facts = { ...contoso, products: contoso.products.slice(0, 1), contacts: contoso.contacts.slice(0, 1) };
  return [
    [
      signIn('A licensing administrator signs in.', address, { email: olga.email, roles: olga.roles }),
      post('She registers an agreement.', `${address}/agreements`, facts, ['agreementId', 'lastFive']),
      {
        what: 'It has a KMS key from the start.',
        command: [
          `curl -s ${address}/agreements/${contoso.agreementNumber}/keys \\`,
          `  -H "Authorization: Bearer $TOKEN" ${only(['type', 'lastFive', 'limit', 'used'])}`,
        ],
      },
    ],
    `The next step is its contact’s: ${ada.email} may get a MAK for it.`,
  ];
}

function signIn(what: string, address: string, body: unknown): Step {
  return {
    what,
    command: [`TOKEN=$(curl -s ${address}/_local/tokens \\`, `  -d '${JSON.stringify(body)}' | cut -d'"' -f4)`],
  };
}

function post(what: string, url: string, body: object, shown: readonly string[]): Step {
  const [, ...lines] = JSON.stringify(body, null, 2).split('\n');
  return {
    what,
    command: [
      `curl -s ${url} -H "Authorization: Bearer $TOKEN" \\`,
      `  -H 'Content-Type: application/json' -d '{`,
      ...lines.map((line, index) => `  ${line}${index < lines.length - 1 ? '' : `' ${only(shown)}`}`),
    ],
  };
}

/** The end of a command that leaves a line for each of these members of the answer. */
function only(members: readonly string[]): string {
  return `| tr , '\\n' |\n    grep -E '"(${members.join('|')})"'`;
}

/** The last five of Contoso's live MAK; undefined when the world has none. */
async function lastFiveOfMak(ask: Ask): Promise<string | undefined> {
  const { status, body } = await ask('GET', `/agreements/${contoso.agreementNumber}/keys`, undefined, ada);
  if (status !== 200) return undefined;
  const mak = itemsIn(body).find((key) => textIn(key, 'type') === 'MAK' && textIn(key, 'status') === 'live');
  return mak === undefined ? undefined : textIn(mak, 'lastFive');
}
