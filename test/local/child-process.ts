import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '../project-files.ts';

/** A process that runs `local/main.ts`. */
export type SpawnedSystem = {
  readonly pid: number;
  /** The standard output so far. */
  readonly out: () => string;
  readonly err: () => string;
  /** The address on the ready line; undefined when the process ended without one. */
  readonly ready: Promise<string | undefined>;
  /** The exit code, or the signal that ended the process. */
  readonly ended: Promise<number | string | null>;
  kill(signal: NodeJS.Signals): void;
};

const running = new Set<SpawnedSystem>();

/** Kills all systems that still run, at the end of a test or a file. */
export async function stopAll(): Promise<void> {
  for (const each of running) each.kill('SIGKILL');
  await Promise.all([...running].map(({ ended }) => ended));
}

/**
 * Starts `local/main.ts` on a free port without sample data, unless the environment has other values. It ends with this
 * process. Node runs the `preload` code first. `wrapper` is a command that runs the system.
 */
export function spawnSystem(
  environment: Readonly<Record<string, string | undefined>> = {},
  { preload, wrapper }: { preload?: string; wrapper?: readonly string[] } = {},
): SpawnedSystem {
  const inherited = { ...process.env };
  for (const name of ['DATA', 'AWS_ENDPOINT_URL_DYNAMODB', 'FORCE_COLOR']) delete inherited[name];
  const [program = '', ...args] = [
    ...(wrapper ?? []),
    process.execPath,
    ...(preload === undefined ? [] : ['--import', `data:text/javascript,${encodeURIComponent(preload)}`]),
    'local/main.ts',
    '--end-with-parent',
  ];
  const child = spawn(program, args, {
    cwd: root,
    env: { ...inherited, PORT: '0', SEED: 'none', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  const ready = Promise.withResolvers<string | undefined>();
  createInterface(child.stdout).on('line', (line) => {
    out += `${line}\n`;
    const [, address] = /^ready (\S+)$/.exec(line) ?? [];
    if (address !== undefined) ready.resolve(address);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = once(child, 'close').then(([code, signal]) => {
    running.delete(spawned);
    ready.resolve(undefined);
    return code ?? signal;
  });
  const spawned: SpawnedSystem = {
    pid: child.pid ?? 0,
    out: () => out,
    err: () => err,
    ready: ready.promise,
    ended,
    kill: (signal) => void child.kill(signal),
  };
  running.add(spawned);
  return spawned;
}

/** Returns the address of a system once it is ready. Throws if it does not start. */
export async function waitForAddress(system: SpawnedSystem): Promise<string> {
  const address = await system.ready;
  if (address === undefined) throw new Error(`The system did not start: ${system.err()}`);
  return address;
}

/** True if curl is installed. The commands in the documentation use it. */
export const hasCurl = (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, 'curl')));

/** Returns the IDs of the running descendants of a process. */
export function descendantsOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => parentOf(Number(name)) === pid)
    .map(Number);
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    // The process has ended meanwhile.
    return undefined;
  }
}

export const isRunning = (pid: number) => parentOf(pid) !== undefined;
