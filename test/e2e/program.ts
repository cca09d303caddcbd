import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** An obstacle outside the project. The program prints it in one line. */
export class PrerequisiteError extends Error {}

export type Program = {
  readonly child: ChildProcess;
  /** The file with everything that it prints. */
  readonly log: string;
  /** Resolves when the program has ended, with its exit code or signal. */
  readonly ended: Promise<number | string | null>;
};

type Environment = Readonly<Record<string, string | undefined>>;

const running = new Set<Program>();
let isOver = false;

/**
 * Starts a program with its output in a file. It gets its own process group, so that its child processes end with it.
 */
export function start(
  command: string,
  args: readonly string[],
  { log, cwd, env }: { readonly log: string; readonly cwd: string; readonly env: Environment },
): Program {
  if (isOver) throw new Error(`${command} was not started, because the run is over.`);
  const out = openSync(log, 'a');
  // Its standard input stays open until this process ends.
  const child = spawn(command, args, { cwd, env: { ...env }, detached: true, stdio: ['pipe', out, out] });
  closeSync(out);
  const ended = once(child, 'exit').then(
    ([code, signal]) => code ?? signal,
    (error: Error) => error.message,
  );
  const program = { child, log, ended };
  running.add(program);
  return program;
}

/** Runs a program to its end, for at most the given number of seconds. Returns whether it succeeded. */
export async function run(
  command: string,
  args: readonly string[],
  {
    withinSeconds,
    ...options
  }: { readonly log: string; readonly cwd: string; readonly env: Environment; readonly withinSeconds: number },
): Promise<boolean> {
  const program = start(command, args, options);
  program.child.stdin?.end();
  const killTimer = setTimeout(() => kill(program), withinSeconds * 1_000);
  const code = await program.ended;
  clearTimeout(killTimer);
  kill(program);
  return code === 0;
}

/** Kills a program and its child processes. */
function kill(program: Program): void {
  running.delete(program);
  if (program.child.pid === undefined) return;
  try {
    process.kill(-program.child.pid, 'SIGKILL');
  } catch (error) {
    // The group has no processes left.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Kills all running programs. No program can start after that. */
export async function killAll(): Promise<void> {
  isOver = true;
  const all = [...running];
  for (const each of all) kill(each);
  await Promise.all(all.map(({ ended }) => ended));
}

/** Returns the last lines of a program's output, to explain a failure. */
export function lastLines(log: string, count: number): string {
  return readFileSync(log, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
}
