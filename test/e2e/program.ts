import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** An obstacle outside the project. The program prints it in one line. */
export class PrerequisiteError extends Error {}

export type Program = {
  readonly child: ChildProcess;
  /** Where all that it prints is. */
  readonly log: string;
  /** Resolves once it has ended: with its exit code, or the signal that it died of. */
  readonly ended: Promise<number | string | null>;
};

type Environment = Readonly<Record<string, string | undefined>>;

const running = new Set<Program>();
let isOver = false;

/**
 * Starts a program that prints into a file. It leads a group of its own, so that whatever it starts ends with it.
 */
export function start(
  command: string,
  args: readonly string[],
  { log, cwd, env }: { readonly log: string; readonly cwd: string; readonly env: Environment },
): Program {
  if (isOver) throw new Error(`${command} is not started any more: the run is over.`);
  const out = openSync(log, 'a');
  // What it reads from stays open for as long as we live.
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

/** Runs a program to its end, which is due in so many seconds. Answers whether it ended well. */
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

/** Ends a program and all that it started, at once. */
function kill(program: Program): void {
  running.delete(program);
  if (program.child.pid === undefined) return;
  try {
    process.kill(-program.child.pid, 'SIGKILL');
  } catch (error) {
    // A group in which nobody is left has ended already.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Ends every program that is still running; none is started after that. */
export async function killAll(): Promise<void> {
  isOver = true;
  const all = [...running];
  for (const each of all) kill(each);
  await Promise.all(all.map(({ ended }) => ended));
}

/** The last lines that a program printed, for whoever looks for what went wrong. */
export function lastLines(log: string, count: number): string {
  return readFileSync(log, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
}
