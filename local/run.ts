import { resolve } from 'node:path';
import { readStartOptions } from './options.ts';
import type { CallApi } from './seed.ts';
import { seed } from './seed.ts';
import { StartupError } from './startup-error.ts';
import { startupMessage } from './startup-message.ts';
import type { System } from './system.ts';
import { startSystem } from './system.ts';

type Environment = Record<string, string | undefined>;

const stopMillisecondsMax = 10_000;

/**
 * Runs the local system until SIGINT, SIGTERM or SIGHUP. These signals stop everything that it started, and it exits with
 * 0. With `endWithParent`, it also stops when its parent process ends. An error that the user can correct is printed in
 * one line, any other error with its stack. In both cases the exit code is 1.
 */
export async function run(environment: Environment, options: { readonly endWithParent: boolean }): Promise<void> {
  let system: System | undefined;
  let isEnding = false;
  const end = async (code: number): Promise<void> => {
    // npm forwards a Ctrl-C that the terminal has already sent to this process, so a second signal means nothing.
    if (isEnding) return;
    isEnding = true;
    setTimeout(() => process.exit(1), stopMillisecondsMax).unref();
    await system?.stop().catch((error: unknown) => console.error(error));
    process.exit(code);
  };
  const fail = async (error: unknown): Promise<void> => {
    // Pending work fails while the system stops.
    if (isEnding) return;
    console.error(error instanceof StartupError ? error.message : error);
    await end(1);
  };

  try {
    const { port, folder, withSeedData, dynamoDbEndpoint } = readStartOptions(environment);
    // With this variable, the SES emulator would send real email.
    delete environment.SMTP_TRANSPORT;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(0));
    system = await startSystem({ port, folder, dynamoDbEndpoint, environment });
    if (options.endWithParent) endWithParent(() => void end(0));
    void system.failure.then((reason) => fail(new StartupError(reason)));

    const callApi = createApiClient(system);
    if (withSeedData) await seed(callApi, folder);
    console.log(await startupMessage(system, callApi, folder === undefined ? undefined : resolve(folder)));
    console.log(`ready ${system.address}`);
  } catch (error) {
    await fail(error);
  }
}

/** Calls `end` when the parent process is gone. A parent that was killed cannot stop its children itself. */
function endWithParent(end: () => void): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, 1_000).unref();
}

function createApiClient({ address, tokens }: System): CallApi {
  const tokenOf = new Map<string, Promise<string>>();
  return async (method, path, body, as) => {
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (as !== undefined) {
      const token = tokenOf.get(as.email) ?? tokens.issue(as);
      tokenOf.set(as.email, token);
      headers.authorization = `Bearer ${await token}`;
    }
    const response = await fetch(`${address}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  };
}
