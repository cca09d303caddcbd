import { resolve } from 'node:path';
import { startupMessage } from './startup-message.ts';
import { readStartOptions } from './options.ts';
import { StartupError } from './startup-error.ts';
import type { CallApi } from './seed.ts';
import { seed } from './seed.ts';
import type { System } from './system.ts';
import { startSystem } from './system.ts';

type Environment = Record<string, string | undefined>;

const stopMillisecondsMax = 10_000;

/**
 * Runs the local system until it is told to stop: SIGINT, SIGTERM and SIGHUP stop everything that it started, and it ends
 * with 0. With `endWithParent` it ends as well when the process is gone that started it. What the user can mend is told in one line, and it ends with 1; any other fault is ours and is shown whole.
 */
export async function run(environment: Environment, options: { readonly endWithParent: boolean }): Promise<void> {
  let system: System | undefined;
  let isEnding = false;
  const end = async (code: number): Promise<void> => {
    // npm passes a Ctrl-C on that the terminal has sent us already: the second is no impatience.
    if (isEnding) return;
    isEnding = true;
    setTimeout(() => process.exit(1), stopMillisecondsMax).unref();
    await system?.stop().catch((error: unknown) => console.error(error));
    process.exit(code);
  };
  const fail = async (error: unknown): Promise<void> => {
    // What is under way while everything stops cannot but fail.
    if (isEnding) return;
    console.error(error instanceof StartupError ? error.message : error);
    await end(1);
  };

  try {
    const { port, folder, withSeedData: seeded, dynamoDbEndpoint } = readStartOptions(environment);
    // With it the mail box would send real mail.
    delete environment.SMTP_TRANSPORT;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(0));
    system = await startSystem({ port, folder, dynamoDbEndpoint, environment });
    if (options.endWithParent) endWithParent(() => void end(0));
    void system.failure.then((reason) => fail(new StartupError(reason)));

    const callApi = createApiClient(system);
    if (seeded) await seed(callApi, folder);
    console.log(await startupMessage(system, callApi, folder === undefined ? undefined : resolve(folder)));
    console.log(`ready ${system.address}`);
  } catch (error) {
    await fail(error);
  }
}

/** Whoever is killed outright takes nobody along: who was started by it looks whether it is still there. */
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
