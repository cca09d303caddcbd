import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readStage, stagesInCdkJson } from '../infra/stage.ts';
import { addressIn, outputsFile } from './deploy.ts';

/*
 * `npm run smoke -- --stage X`, or `--url https://…`: asks a deployed stage three questions that change nothing, and says
 * whether it answered each as it should.
 */

/** What the user can mend: told in one line. */
class CannotAsk extends Error {}

type Answer = { readonly status: number; readonly body: unknown };

type Question = {
  readonly asks: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly expects: string;
  readonly isRight: (answer: Answer) => boolean;
};

export const questions: readonly Question[] = [
  {
    asks: 'the service is there',
    method: 'GET',
    path: '/health',
    expects: '200 with status ok',
    isRight: ({ status, body }) => status === 200 && member(body, 'status') === 'ok',
  },
  {
    asks: 'nobody sees agreements without signing in',
    method: 'GET',
    path: '/agreements',
    // The gateway checks tokens, and has words of its own for that.
    expects: '401, in the service’s words or the gateway’s',
    isRight: ({ status, body }) =>
      status === 401 && (member(body, 'code') === 'unauthenticated' || member(body, 'message') === 'Unauthorized'),
  },
  {
    asks: 'a key that was never issued activates nothing',
    method: 'POST',
    path: '/activations',
    body: {
      productKey: 'BBBBB-BBBBB-BBBBB-BBBBB-BBBBB',
      installationId: '0'.repeat(54),
      product: 'windows-vista-business',
    },
    expects: '404 with code unknown-key',
    isRight: ({ status, body }) => status === 404 && member(body, 'code') === 'unknown-key',
  },
];

/** Asks all of it, telling each answer as it comes. Answers whether all were right. */
export async function smoke(address: string, tell: (line: string) => void): Promise<boolean> {
  let allRight = true;
  for (const question of questions) {
    const answer = await ask(address, question);
    const right = typeof answer !== 'string' && question.isRight(answer);
    allRight &&= right;
    const got = typeof answer === 'string' ? answer : `${answer.status} ${JSON.stringify(answer.body)}`.slice(0, 300);
    const mark = right ? 'ok    ' : 'WRONG ';
    tell(`${mark} ${question.method} ${question.path}: ${question.asks}`);
    if (!right) tell(`       expected ${question.expects}, got ${got}`);
  }
  return allRight;
}

async function ask(address: string, { method, path, body }: Question): Promise<Answer | string> {
  try {
    const response = await fetch(`${address.replace(/\/$/, '')}${path}`, {
      method,
      signal: AbortSignal.timeout(15_000),
      ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: parsed(text) };
  } catch (error) {
    const { message, cause } = error instanceof Error ? error : new Error(String(error));
    return `no answer: ${cause instanceof Error ? cause.message : message}`;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function member(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null
    ? Object.entries(body).find(([key]) => key === name)?.[1]
    : undefined;
}

function addressFrom(args: readonly string[]): string {
  const { values } = parseArgs({ args: [...args], options: { stage: { type: 'string' }, url: { type: 'string' } } });
  if (values.url !== undefined) {
    if (!URL.canParse(values.url))
      throw new CannotAsk('--url must be an address such as https://activation.example.com');
    return values.url;
  }
  const read = readStage(stagesInCdkJson(), values.stage);
  if (!read.ok) throw new CannotAsk(read.problem);
  if (read.stage.domain !== null) return `https://${read.stage.domain.name}`;
  const file = outputsFile(read.name);
  const address = existsSync(file) ? addressIn(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
  if (address === undefined) {
    throw new CannotAsk(`No deployment of stage ${read.name} was made from here: give its address with --url.`);
  }
  return address;
}

if (import.meta.main) {
  try {
    const address = addressFrom(process.argv.slice(2));
    process.stdout.write(`Asking ${address}\n\n`);
    const allRight = await smoke(address, (line) => process.stdout.write(`${line}\n`));
    process.stdout.write(allRight ? '\nIt stands.\n' : '\nSomething is wrong with it.\n');
    process.exitCode = allRight ? 0 : 1;
  } catch (error) {
    if (!(error instanceof CannotAsk) && !(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
