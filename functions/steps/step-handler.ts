import middy from '@middy/core';
import * as z from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import { Secret } from '../../domain/secret.ts';
import type { Driven } from '../../workflows/client.ts';
import type { StepName } from '../manifest.ts';
import { world } from '../runtime/clock.ts';
import { countHere, logger } from '../runtime/observability.ts';

/** What the workflow hands to every step, and with it a token to those that wait. */
const inputSchema = z.strictObject({
  exceptionId: z.string().min(1),
  attempt: z.int().min(1),
  taskToken: z
    .string()
    .min(1)
    .transform((token) => new Secret(token, '[task token]'))
    .optional(),
});

export type StepCall = Driven & { readonly now: Instant };

/** Makes the Lambda of a step: parses its input once, logs, and hands faults on to the workflow, which retries them. */
export function step<Output>(
  name: StepName,
  run: (call: StepCall & { readonly taskToken: Secret | undefined }) => Promise<Output>,
) {
  return middy<unknown, Output>().handler(async (input) => {
    const { exceptionId, attempt, taskToken } = inputSchema.parse(input);
    try {
      const output = await run({ exceptionId, attempt, taskToken, now: world.now() });
      logger.info('step done', { step: name, exceptionId, attempt });
      return output;
    } catch (error) {
      logger.error('step failed', { step: name, exceptionId, attempt, error: error as Error });
      countHere({ faults: 1 });
      throw error;
    }
  });
}
