import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../port.ts';
import { StartupError } from '../startup-error.ts';

/** A DynamoDB engine that listens on loopback until it is stopped. Stopping it again does nothing. */
export type DynamoDb = {
  readonly endpoint: string;
  /** Settles only when the engine ends without a call of `stop`. Data in memory is lost in that case. */
  readonly unexpectedEnd: Promise<void>;
  stop(): Promise<void>;
};

/**
 * Starts a DynamoDB engine on a free port and returns once it accepts requests.
 *
 * With a `folder`, the tables are in its `dynamodb.sqlite`, written before each response, so they survive a kill of all
 * processes. Without one, they are in memory. With a `requestLog`, the engine appends each request to that file. With an
 * `externalEndpoint`, the function starts nothing and only checks that the endpoint responds. The engine ends with this
 * process, however this process ends.
 *
 * Throws StartupError when this machine has no engine, when the engine does not start, or when nothing responds at the
 * external endpoint.
 */
export async function startDynamoDb({
  folder,
  externalEndpoint,
  requestLog,
}: {
  folder?: string;
  externalEndpoint?: string;
  requestLog?: string;
} = {}): Promise<DynamoDb> {
  if (externalEndpoint !== undefined) return useExternalEndpoint(externalEndpoint);
  const binary = engineBinary();
  if (folder !== undefined) await mkdir(folder, { recursive: true });

  // Another process can take the port between the search and the start. Only that failure is worth a retry.
  for (let attemptsLeft = 3; ; attemptsLeft--) {
    const port = await freePort();
    const storage = folder === undefined ? [] : ['--db-path', join(folder, 'dynamodb.sqlite')];
    const launched = await launch(
      binary,
      ['serve', '--host', '127.0.0.1', '--port', String(port), ...storage],
      requestLog,
    );
    if (launched.ok)
      return { endpoint: `http://127.0.0.1:${port}`, unexpectedEnd: launched.unexpectedEnd, stop: launched.stop };
    if (attemptsLeft <= 1 || !launched.errorText.includes('already in use')) {
      throw new StartupError(`The DynamoDB engine did not start: ${launched.errorText}`);
    }
  }
}

async function useExternalEndpoint(endpoint: string): Promise<DynamoDb> {
  try {
    // Any response proves that a server is listening, even a refusal.
    await (await fetch(endpoint, { signal: AbortSignal.timeout(5_000) })).body?.cancel();
  } catch (error) {
    const message = `Nothing responds at ${endpoint}. Check AWS_ENDPOINT_URL_DYNAMODB, or unset it to use the bundled DynamoDB engine.`;
    throw new StartupError(message, { cause: error });
  }
  return { endpoint, unexpectedEnd: Promise.withResolvers<void>().promise, stop: () => Promise.resolve() };
}

function engineBinary(): string {
  const name = `@dynoxide/${process.platform}-${process.arch}`;
  try {
    return join(createRequire(import.meta.url).resolve(`${name}/package.json`), '..', 'dynoxide');
  } catch (error) {
    throw new StartupError(
      `There is no DynamoDB engine for this machine (${name} is not installed). Run another one, such as DynamoDB local, and set AWS_ENDPOINT_URL_DYNAMODB to its address.`,
      { cause: error },
    );
  }
}

/**
 * A shell that runs the engine and stops it when this process ends. After a SIGKILL of this process, only a third
 * process can stop the engine. The shell holds the reading end of a pipe, and this process holds the writing end. However
 * this process ends, the operating system closes the writing end, the read returns, and the shell kills the engine. So
 * this process needs no signal handler, and it stops the engine by closing the pipe.
 */
const watchdogScript = `
  log=$1; shift
  exec 3<&0
  "$@" </dev/null >>"$log" 3<&- & engine=$!
  { read -r _ <&3; kill "$engine"; } & watcher=$!
  exec 3<&-
  wait "$engine"; code=$?
  kill "$watcher" 2>/dev/null
  exit "$code"
`;

/** Makes the engine log its requests to standard output. */
const requestLogEnvironment = ['env', 'RUST_LOG=dynoxide::server=debug', 'NO_COLOR=1'];

type LaunchResult =
  | { ok: true; unexpectedEnd: Promise<void>; stop(): Promise<void> }
  | { ok: false; errorText: string };

async function launch(binary: string, args: readonly string[], requestLog: string | undefined): Promise<LaunchResult> {
  const command = [...(requestLog === undefined ? [] : requestLogEnvironment), binary, ...args];
  // A separate process group: Ctrl-C in a terminal reaches only this process, which can finish before the engine stops.
  const child = spawn('/bin/sh', ['-c', watchdogScript, 'dynamodb', requestLog ?? '/dev/null', ...command], {
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true,
  });
  const exit = once(child, 'close');
  let isStopping = false;
  const stop = async () => {
    isStopping = true;
    child.stdin.end();
    await exit;
  };

  const errorLines: string[] = [];
  let isListening = false;
  for await (const line of createInterface(child.stderr)) {
    isListening = line.includes(' listening on ');
    if (isListening) break;
    errorLines.push(line.replace(/^error: /, ''));
  }
  // Nobody needs the later output, but a full pipe would block the engine.
  child.stderr.resume();
  const unexpectedEnd = exit.then(() => (isStopping ? Promise.withResolvers<void>().promise : undefined));
  if (isListening) return { ok: true, unexpectedEnd, stop };
  await stop();
  return { ok: false, errorText: errorLines.join(' ') || 'it ended without an error message.' };
}
