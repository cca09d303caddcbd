import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readStage, readStages } from '../infra/stage.ts';
import { findApiUrl, outputsFile } from './deploy.ts';

/*
 * `npm run smoke -- --stage X`, or `--url https://…`: sends a deployed stage three requests that change nothing, and
 * prints a pass or a failure for each response.
 */

/** An error that the user can fix. The command prints its message on one line, without a stack trace. */
class UsageError extends Error {}

type HttpResponse = { readonly status: number; readonly body: unknown };

type SmokeCheck = {
  readonly description: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly expected: string;
  readonly isExpected: (response: HttpResponse) => boolean;
};

export const smokeChecks: readonly SmokeCheck[] = [
  {
    description: 'the service is healthy',
    method: 'GET',
    path: '/health',
    expected: '200 with status ok',
    isExpected: ({ status, body }) => status === 200 && memberOf(body, 'status') === 'ok',
  },
  {
    description: 'agreements require a sign-in',
    method: 'GET',
    path: '/agreements',
    // The gateway checks tokens first, and its response has another format.
    expected: '401 with code unauthenticated, or with message Unauthorized from the gateway',
    isExpected: ({ status, body }) =>
      status === 401 && (memberOf(body, 'code') === 'unauthenticated' || memberOf(body, 'message') === 'Unauthorized'),
  },
  {
    description: 'an invented key activates nothing',
    method: 'POST',
    path: '/activations',
    body: {
      productKey: 'BBBBB-BBBBB-BBBBB-BBBBB-BBBBB',
      installationId: '0'.repeat(54),
      product: 'windows-vista-business',
    },
    expected: '404 with code unknown-key',
    isExpected: ({ status, body }) => status === 404 && memberOf(body, 'code') === 'unknown-key',
  },
];

/** Runs all checks and prints each result as it arrives. Returns true if all checks passed. */
export async function runSmokeTest(baseUrl: string, printLine: (line: string) => void): Promise<boolean> {
  let allPassed = true;
  for (const check of smokeChecks) {
    const response = await sendRequest(baseUrl, check);
    const passed = typeof response !== 'string' && check.isExpected(response);
    allPassed &&= passed;
    const actual =
      typeof response === 'string' ? response : `${response.status} ${JSON.stringify(response.body)}`.slice(0, 300);
    const label = passed ? 'ok    ' : 'FAILED';
    printLine(`${label} ${check.method} ${check.path}: ${check.description}`);
    if (!passed) printLine(`       expected ${check.expected}, got ${actual}`);
  }
  return allPassed;
}

async function sendRequest(baseUrl: string, { method, path, body }: SmokeCheck): Promise<HttpResponse | string> {
  try {
    const response = await fetch(`${baseUrl.replace(/\/$/, '')}${path}`, {
      method,
      signal: AbortSignal.timeout(15_000),
      ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: parseBody(text) };
  } catch (error) {
    const { message, cause } = error instanceof Error ? error : new Error(String(error));
    return `no response: ${cause instanceof Error ? cause.message : message}`;
  }
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function memberOf(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null
    ? Object.entries(body).find(([key]) => key === name)?.[1]
    : undefined;
}

function baseUrlFrom(args: readonly string[]): string {
  const { values } = parseArgs({ args: [...args], options: { stage: { type: 'string' }, url: { type: 'string' } } });
  if (values.url !== undefined) {
    if (!URL.canParse(values.url)) throw new UsageError('--url must be a URL such as https://activation.example.com');
    return values.url;
  }
  const stageResult = readStage(readStages(), values.stage);
  if (!stageResult.ok) throw new UsageError(stageResult.problem);
  if (stageResult.stage.domain !== null) return `https://${stageResult.stage.domain.name}`;
  const file = outputsFile(stageResult.name);
  const baseUrl = existsSync(file) ? findApiUrl(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
  if (baseUrl === undefined) {
    throw new UsageError(`Stage ${stageResult.name} was not deployed from this machine. Give its address with --url.`);
  }
  return baseUrl;
}

if (import.meta.main) {
  try {
    const baseUrl = baseUrlFrom(process.argv.slice(2));
    process.stdout.write(`Testing ${baseUrl}\n\n`);
    const allPassed = await runSmokeTest(baseUrl, (line) => process.stdout.write(`${line}\n`));
    process.stdout.write(allPassed ? '\nAll checks passed.\n' : '\nSome checks failed.\n');
    process.exitCode = allPassed ? 0 : 1;
  } catch (error) {
    if (!(error instanceof UsageError) && !(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
