import middy from '@middy/core';
import * as z from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import { Secret } from '../../domain/secret.ts';
import type { ExecutionInput } from '../../workflows/client.ts';
import type { StepName } from '../manifest.ts';
import { countFunctionMetric, logger } from '../runtime/observability.ts';
import { runtime } from '../runtime/clock.ts';

/** What the workflow hands to every step, and with it a token to those that wait. */
const inputSchema = z.strictObject({
  exceptionId: z.string().min(1),
  executionNumber: z.int().min(1),
  taskToken: z
    .string()
    .min(1)
    .transform((token) => new Secret(token, '[task token]'))
    .optional(),
});

export type StepInput = ExecutionInput & { readonly now: Instant };

/** Makes the Lambda of a step: parses its input once, logs, and hands faults on to the workflow, which retries them. */
export function createStepHandler<Output>(
  name: StepName,
  runStep: (call: StepInput & { readonly taskToken: Secret | undefined }) => Promise<Output>,
) {
  return middy<unknown, Output>().handler(async (input) => {
    const { exceptionId, executionNumber, taskToken } = inputSchema.parse(input);
    try {
      const output = await runStep({ exceptionId, executionNumber, taskToken, now: runtime.now() });
      logger.info('step completed', { step: name, exceptionId, executionNumber });
      return output;
    } catch (error) {
      logger.error('step failed', { step: name, exceptionId, executionNumber, error: error as Error });
      countFunctionMetric({ faults: 1 });
      throw error;
    }
  });
}
