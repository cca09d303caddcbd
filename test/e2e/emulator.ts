import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../local/port.ts';
import { lastLines, PrerequisiteError, run, start } from './program.ts';

/*
 * The emulator of AWS for the deployment: ministack, a Python program that npm cannot install. It is installed once, into
 * a folder of the project, and serves one run on loopback.
 */

const requirements = join(import.meta.dirname, 'requirements.txt');

/**
 * Returns the Python with the emulator, and installs it into the folder unless it has the exact versions of
 * `requirements.txt`. Throws {@link PrerequisiteError} if there is no Python, or if the installation fails.
 */
export async function installEmulator(
  folder: string,
): Promise<{ readonly python: string; readonly wasInstalled: boolean }> {
  const version = spawnSync('python3', ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  const [, minor] = /^Python 3\.(\d+)/.exec(version) ?? [];
  if (minor === undefined || Number(minor) < 10) {
    const actual = version === '' ? 'there is no python3' : `this is ${version}`;
    throw new PrerequisiteError(`The AWS emulator requires Python 3.10 or later, but ${actual}.`);
  }
  const environment = join(folder, 'python');
  const python = join(environment, 'bin', 'python');
  const markerFile = join(environment, 'installed.txt');
  const expected = `${version}\n${readFileSync(requirements, 'utf8')}`;
  if (existsSync(python) && existsSync(markerFile) && readFileSync(markerFile, 'utf8') === expected)
    return { python, wasInstalled: true };

  mkdirSync(folder, { recursive: true });
  const log = join(folder, 'install.log');
  writeFileSync(log, '');
  const options = { log, cwd: folder, env: process.env, withinSeconds: 180 };
  if (!(await run('python3', ['-m', 'venv', '--clear', environment], options))) {
    throw new PrerequisiteError(
      `Python cannot create a virtual environment. On Debian, install the package python3-venv. Log: ${log}`,
    );
  }
  const args = ['install', '--no-input', '--disable-pip-version-check', '--progress-bar=off', '-r', requirements];
  if (!(await run(python, ['-m', 'pip', ...args], options))) {
    throw new PrerequisiteError(`The AWS emulator cannot be installed from PyPI (${lastLines(log, 1)}). Log: ${log}`);
  }
  writeFileSync(markerFile, expected);
  return { python, wasInstalled: false };
}

/** The emulator ends, with its functions, as soon as the other end of its standard input is closed. */
const launcherScript = `
import os, signal, sys, threading
from ministack.app import main

def end_with_parent():
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=end_with_parent, daemon=True).start()
main()
`;

/** Starts the emulator on loopback, with all of its files in the folder. Returns its address once it is ready. */
export async function startEmulator(python: string, folder: string): Promise<string> {
  // The emulator writes CommonJS files for its functions. The package.json of the project would make them ES modules.
  writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const program = start(python, ['-c', launcherScript], {
    log: join(folder, 'ministack.log'),
    cwd: folder,
    env: {
      // The emulator runs functions with the first Node in PATH, which must be this one.
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      HOME: folder,
      TMPDIR: folder,
      STATE_DIR: join(folder, 'state'),
      S3_DATA_DIR: join(folder, 's3'),
      BIND_HOST: '127.0.0.1',
      GATEWAY_PORT: String(port),
      IOT_MTLS_PORT: '0',
      LAMBDA_EXECUTOR: 'local',
      PYTHONUNBUFFERED: '1',
    },
  });
  let hasEnded = false;
  void program.ended.then(() => {
    hasEnded = true;
  });
  const deadline = performance.now() + 60_000;
  while (!hasEnded && performance.now() < deadline) {
    if (await isReady(address)) return address;
    await sleep(100);
  }
  throw new Error(`The emulator ${hasEnded ? 'ended' : 'is not ready after a minute'}:\n${lastLines(program.log, 10)}`);
}

async function isReady(address: string): Promise<boolean> {
  try {
    const { ok } = await fetch(`${address}/_ministack/health`, { signal: AbortSignal.timeout(5_000) });
    return ok;
  } catch {
    // The emulator does not listen yet.
    return false;
  }
}
