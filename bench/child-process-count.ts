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
    runs: z.object({ activation: z.number(), api: z.number(), step: z.number(), watch: z.number() }),
    transitions: z.number(),
    mails: z.number(),
    logBytes: z.number(),
  }),
);

/**
 * Counts one part in a process of its own, since the handlers keep one table for as long as they live. What its functions
 * log goes to nobody.
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
