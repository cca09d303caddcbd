import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '../project-files.ts';

/** `local/main.ts` in a process of its own, as it was started. */
export type SpawnedSystem = {
  readonly pid: number;
  /** All that it printed so far. */
  readonly out: () => string;
  readonly err: () => string;
  /** The address on its ready line; undefined when it ended without one. */
  readonly ready: Promise<string | undefined>;
  /** Its exit code, or the signal that it died of. */
  readonly ended: Promise<number | string | null>;
  kill(signal: NodeJS.Signals): void;
};

const running = new Set<SpawnedSystem>();

/** Ends whatever is still running: for the end of a test, or of a file. */
export async function stopAll(): Promise<void> {
  for (const each of running) each.kill('SIGKILL');
  await Promise.all([...running].map(({ ended }) => ended));
}

/**
 * Starts `local/main.ts` on a free port with an empty world, or as the environment says. It does not outlive this
 * process. `before` is what Node runs first in it.
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

/** The address of a system that must start. */
export async function waitForAddress(system: SpawnedSystem): Promise<string> {
  const address = await system.ready;
  if (address === undefined) throw new Error(`The system did not start: ${system.err()}`);
  return address;
}

/** Whether commands for a shell can be tried here: they use curl, as people would. */
export const hasCurl = (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, 'curl')));

/** The processes that descend from one, as far as they are still there. */
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
    // It ended while we looked.
    return undefined;
  }
}

export const isRunning = (pid: number) => parentOf(pid) !== undefined;
