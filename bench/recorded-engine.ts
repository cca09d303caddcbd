import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

export type RecordedEngine = {
  readonly endpoint: string;
  /** How often the engine, by its own record, was asked for each operation since it started. */
  operations(): Promise<ReadonlyMap<string, number>>;
  stop(): Promise<void>;
};

/** Ends the engine when the pipe to it closes: then this process has ended, however it ended. */
const leash = '"$@" </dev/null & read -r _; kill $!; wait';

/** Starts a second DynamoDB engine that writes every request that it takes into a file. */
export async function startRecordedEngine(): Promise<RecordedEngine> {
  const name = `@dynoxide/${process.platform}-${process.arch}`;
  const binary = join(createRequire(import.meta.url).resolve(`${name}/package.json`), '..', 'dynoxide');
  const folder = await mkdtemp(join(tmpdir(), 'bench-'));
  const path = join(folder, 'record');
  const file = await open(path, 'a');
  const port = await freePort();
  const child = spawn('/bin/sh', ['-c', leash, 'engine', binary, 'serve', '--port', String(port)], {
    stdio: ['pipe', file.fd, file.fd],
    env: { ...process.env, RUST_LOG: 'dynoxide::server=debug', NO_COLOR: '1' },
  });
  await file.close();
  const ended = once(child, 'close');
  const stop = async () => {
    child.stdin?.end();
    await ended;
    await rm(folder, { recursive: true });
  };
  for (let looks = 0; !(await readFile(path, 'utf8')).includes(' listening on '); looks += 1) {
    if (looks === 200) {
      const said = await readFile(path, 'utf8');
      await stop();
      throw new Error(`The engine did not start: ${said}`);
    }
    await wait(50);
  }
  return {
    endpoint: `http://127.0.0.1:${port}`,
    async operations() {
      const counts = new Map<string, number>();
      for (const [, operation = ''] of (await readFile(path, 'utf8')).matchAll(/: request operation="(\w+)"/g)) {
        counts.set(operation, (counts.get(operation) ?? 0) + 1);
      }
      return counts;
    },
    stop,
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('A TCP server has no port.');
  return address.port;
}
