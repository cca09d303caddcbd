import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../free-port.ts';

/**
 * The system cannot start on this machine as it is. The message is one line and says what to do; no stack is needed.
 */
export class CannotStart extends Error {
  override readonly name = 'CannotStart';
}

/** An engine that listens on loopback until it is stopped. Stopping it twice is the same as once. */
export type DynamoDb = {
  readonly endpoint: string;
  /** Settles when the engine ends though nobody stopped it, and never otherwise. What it had in memory is lost then. */
  readonly failed: Promise<void>;
  stop(): Promise<void>;
};

/**
 * Starts a DynamoDB engine of its own on a free port and answers once it takes requests.
 *
 * With a `folder` its tables are kept there in `dynamodb.sqlite`, written before each answer, so that they outlive even
 * a kill of everything; without one they are in memory. With a `record` it writes each request that it takes into that
 * file. With an endpoint `given` by the user nothing is started, and that one is only asked whether it is there. The
 * engine ends with this process, however this process ends. Throws CannotStart when there is no engine for this machine,
 * when it does not start, or when nothing answers at the given endpoint.
 */
export async function startDynamoDb({
  folder,
  given,
  record,
}: {
  folder?: string;
  given?: string;
  record?: string;
} = {}): Promise<DynamoDb> {
  if (given !== undefined) return useGiven(given);
  const binary = engineBinary();
  if (folder !== undefined) await mkdir(folder, { recursive: true });

  // Between finding a port and taking it somebody else can take it: only then is another try worth it.
  for (let triesLeft = 3; ; triesLeft--) {
    const port = await freePort();
    const storage = folder === undefined ? [] : ['--db-path', join(folder, 'dynamodb.sqlite')];
    const started = await launch(binary, ['serve', '--host', '127.0.0.1', '--port', String(port), ...storage], record);
    if (started.ok) return { endpoint: `http://127.0.0.1:${port}`, failed: started.failed, stop: started.stop };
    if (triesLeft <= 1 || !started.complaint.includes('already in use')) {
      throw new CannotStart(`The DynamoDB engine did not start: ${started.complaint}`);
    }
  }
}

async function useGiven(endpoint: string): Promise<DynamoDb> {
  try {
    // Any answer will do, a refusal too: it is only asked whether somebody is there.
    await (await fetch(endpoint, { signal: AbortSignal.timeout(5_000) })).body?.cancel();
  } catch (error) {
    const message = `Nothing answers at ${endpoint}, which AWS_ENDPOINT_URL_DYNAMODB names as the DynamoDB to use.`;
    throw new CannotStart(message, { cause: error });
  }
  return { endpoint, failed: Promise.withResolvers<void>().promise, stop: () => Promise.resolve() };
}

function engineBinary(): string {
  const name = `@dynoxide/${process.platform}-${process.arch}`;
  try {
    return join(createRequire(import.meta.url).resolve(`${name}/package.json`), '..', 'dynoxide');
  } catch (error) {
    throw new CannotStart(
      `There is no DynamoDB engine for this machine (${name} is not installed): run any DynamoDB you like, such as DynamoDB local, and name its address in AWS_ENDPOINT_URL_DYNAMODB.`,
      { cause: error },
    );
  }
}

/**
 * A shell stands between this process and the engine, because only a third party can end the engine after this process
 * was killed outright. It holds the reading end of a pipe whose writing end is ours. However we end, the system closes
 * our end, the read comes back, and the engine is told to stop: so no signal of ours has to be caught, and stopping is
 * closing the pipe.
 */
const leash = `
  record=$1; shift
  exec 3<&0
  "$@" </dev/null >>"$record" 3<&- & engine=$!
  { read -r _ <&3; kill "$engine"; } & watcher=$!
  exec 3<&-
  wait "$engine"; code=$?
  kill "$watcher" 2>/dev/null
  exit "$code"
`;

/** Lets the engine say on its output what it is asked. */
const recording = ['env', 'RUST_LOG=dynoxide::server=debug', 'NO_COLOR=1'];

type Launched = { ok: true; failed: Promise<void>; stop(): Promise<void> } | { ok: false; complaint: string };

async function launch(binary: string, args: readonly string[], record: string | undefined): Promise<Launched> {
  const command = [...(record === undefined ? [] : recording), binary, ...args];
  // In a process group of its own, so that Ctrl-C in a terminal reaches us alone and we can finish before the engine
  // goes.
  const child = spawn('/bin/sh', ['-c', leash, 'dynamodb', record ?? '/dev/null', ...command], {
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true,
  });
  const ended = once(child, 'close');
  let stopping = false;
  const stop = async () => {
    stopping = true;
    child.stdin.end();
    await ended;
  };

  const complaints: string[] = [];
  let listening = false;
  for await (const line of createInterface(child.stderr)) {
    listening = line.includes(' listening on ');
    if (listening) break;
    complaints.push(line.replace(/^error: /, ''));
  }
  // What it has to say later is of no use to anybody, but a full pipe would stop it.
  child.stderr.resume();
  const failed = ended.then(() => (stopping ? Promise.withResolvers<void>().promise : undefined));
  if (listening) return { ok: true, failed, stop };
  await stop();
  return { ok: false, complaint: complaints.join(' ') || 'it ended without a word.' };
}
