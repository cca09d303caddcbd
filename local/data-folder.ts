import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { StartupError } from './startup-error.ts';

/**
 * Takes the folder in which the data are kept for this process alone, and makes it where there is none. Answers with how
 * to give it back; a process that is killed gives it back, too. Throws CannotStart when it cannot be written, or when
 * another system is using it.
 */
export async function lockDataFolder(folder: string): Promise<() => Promise<void>> {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    throw new StartupError(`DATA names ${resolve(folder)}, which cannot be used as a folder for the data${code}.`, {
      cause: error,
    });
  }
  // Two clocks, two mail boxes and two workflow engines over the same data would tell different stories. Linux forgets an
  // abstract socket with its owner, however that ends; other systems have none, and there it is not checked.
  if (process.platform !== 'linux') return () => Promise.resolve();
  const name = createHash('sha256').update(realpathSync(folder)).digest('hex');
  const lock = createServer().listen(`\0volume-activation/${name}`);
  try {
    await once(lock, 'listening');
  } catch (error) {
    throw new StartupError(`Another system is using the data in ${resolve(folder)}. Stop it, or name another folder.`, {
      cause: error,
    });
  }
  return async () => {
    lock.close();
    await once(lock, 'close');
  };
}
