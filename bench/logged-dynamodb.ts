import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDynamoDb } from '../local/emulators/dynamodb.ts';

export type LoggedDynamoDb = {
  readonly endpoint: string;
  /** Returns the number of requests for each operation, from the emulator's request log. */
  operations(): Promise<ReadonlyMap<string, number>>;
  stop(): Promise<void>;
};

/** Starts a second DynamoDB emulator that writes a log of its requests. */
export async function startLoggedDynamoDb(): Promise<LoggedDynamoDb> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-'));
  const requestLog = join(folder, 'requests.log');
  const { endpoint, stop } = await startDynamoDb({ requestLog });
  return {
    endpoint,
    async operations() {
      const counts = new Map<string, number>();
      for (const [, operation = ''] of (await readFile(requestLog, 'utf8')).matchAll(/: request operation="(\w+)"/g)) {
        counts.set(operation, (counts.get(operation) ?? 0) + 1);
      }
      return counts;
    },
    async stop() {
      await stop();
      await rm(folder, { recursive: true });
    },
  };
}
