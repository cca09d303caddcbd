import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { StartupError } from './startup-error.ts';

/**
 * Locks the data folder for this process, and creates it if it does not exist. Returns a function that releases the
 * lock. The end of the process also releases it, even after a kill. Throws StartupError when the folder is not writable,
 * or when another system uses it.
 */
export async function lockDataFolder(folder: string): Promise<() => Promise<void>> {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    throw new StartupError(
      `DATA is ${resolve(folder)}, which cannot be used as a data folder${code}. Choose a folder that you can write to.`,
      {
        cause: error,
      },
    );
  }
  // Two clocks, mailboxes and workflow engines over the same data would contradict each other. Linux removes an abstract
  // socket when its owner ends, for whatever reason. Other systems have no such sockets, so there is no check on them.
  if (process.platform !== 'linux') return () => Promise.resolve();
  const name = createHash('sha256').update(realpathSync(folder)).digest('hex');
  const lock = createServer().listen(`\0volume-activation/${name}`);
  try {
    await once(lock, 'listening');
  } catch (error) {
    throw new StartupError(
      `Another system is using the data in ${resolve(folder)}. Stop it, or choose another folder with DATA=….`,
      {
        cause: error,
      },
    );
  }
  return async () => {
    lock.close();
    await once(lock, 'close');
  };
}
