import { fork } from 'node:child_process';
import { once } from 'node:events';
import { z } from 'zod';
import type { ResourceUsage } from './resource-usage.ts';
import { countActivations, countRequests } from './resource-usage.ts';

const parts = { activations: countActivations, requests: countRequests };

const resourceUsageSchema = z.record(
  z.string(),
  z.object({
    writeUnits: z.number(),
    readUnits: z.number(),
    httpRequests: z.number(),
    invocations: z.object({ activation: z.number(), api: z.number(), step: z.number(), streamReader: z.number() }),
    transitions: z.number(),
    emails: z.number(),
    logBytes: z.number(),
  }),
);

/**
 * Counts the resources of one part in a child process, because the handlers use the same table for the lifetime of a
 * process. Discards the log of the functions.
 */
export async function countInChildProcess(part: keyof typeof parts): Promise<Readonly<Record<string, ResourceUsage>>> {
  const child = fork(import.meta.filename, [part], { silent: true });
  const errorOutput: string[] = [];
  child.stdout?.resume();
  child.stderr?.on('data', (chunk: Buffer) => errorOutput.push(chunk.toString()));
  const message = once(child, 'message');
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`Counting ${part} failed: ${errorOutput.join('').slice(-2_000)}`);
  return resourceUsageSchema.parse((await message)[0]);
}

if (import.meta.main) {
  const counts = process.argv[2] === 'activations' ? await parts.activations() : await parts.requests();
  process.send?.(counts, () => process.exit(0));
}
