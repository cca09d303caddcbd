import { CannotStart } from './dynamodb.ts';
import { residents, seed } from './seed.ts';
import type { System } from './system.ts';
import { startSystem } from './system.ts';

/*
 * `npm start`: the whole service on this machine, until Ctrl-C. PORT chooses the port (3000), DATA a folder in which the
 * data is kept between runs, SEED=none an empty world.
 */

const port = Number(process.env['PORT'] ?? 3000);

async function main(): Promise<void> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new CannotStart('PORT must be a number from 1 to 65535.');
  // With it the mail box would send real mail.
  delete process.env['SMTP_TRANSPORT'];
  const system = await startSystem({
    port,
    folder: process.env['DATA'],
    dynamoDbEndpoint: process.env['AWS_ENDPOINT_URL_DYNAMODB'],
    environment: process.env,
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      system.stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
  if (process.env['SEED'] !== 'none') await seed((method, path, body, as) => ask(system, method, path, body, as));
  console.log(greeting(system, process.env['SEED'] !== 'none'));
  console.log(`ready ${system.address}`);
}

async function ask(
  { address, tokens }: System,
  method: string,
  path: string,
  body: unknown,
  as?: { readonly email: string; readonly roles: readonly string[] },
) {
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  if (as !== undefined) headers['Authorization'] = `Bearer ${await tokens.issue(as)}`;
  const response = await fetch(`${address}${path}`, { method, headers, body: JSON.stringify(body) });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

function greeting({ address, engines }: System, seeded: boolean): string {
  const people = residents.map(
    ({ email, roles, is }) => `  ${email.padEnd(30)} ${is}${roles.length > 0 ? ` (${roles})` : ''}`,
  );
  return [
    '',
    'Volume activation runs on this machine.',
    '',
    `  API             ${address}`,
    `  Mail box        ${address}/_local/mailbox`,
    `  DynamoDB        ${engines.dynamoDb}`,
    `  Step Functions  ${engines.workflows}`,
    `  SES             ${engines.mail}`,
    ...(seeded
      ? ['', 'Who can sign in:', ...people]
      : ['', 'The world is empty (SEED=none): register an agreement first.']),
    '',
    'Try it, in another terminal:',
    '',
    `  TOKEN=$(curl -s ${address}/_local/tokens -d '{"email":"ada.lind@contoso.example"}' | cut -d'"' -f4)`,
    `  curl -s ${address}/agreements/V4407182/keys -H "Authorization: Bearer $TOKEN"`,
    `  curl -s ${address}/_local/clock -d '{"advance":"P1D"}'`,
    '',
    'Ctrl-C stops everything.',
    '',
  ].join('\n');
}

main().catch((error: unknown) => {
  // What the user can mend is one line; anything else is our bug and is shown whole.
  console.error(error instanceof CannotStart ? error.message : error);
  process.exit(1);
});
