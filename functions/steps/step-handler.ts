import middy from '@middy/core';
import * as z from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import { Secret } from '../../domain/secret.ts';
import type { ExecutionInput } from '../../workflows/client.ts';
import type { StepName } from '../manifest.ts';
import { clock } from '../runtime/clock.ts';
import { countFaults, logContext, logOutcome } from '../runtime/log-middleware.ts';

/** The payload of every step in the workflow file. Steps that wait also get a task token. */
const inputSchema = z.strictObject({
  exceptionId: z.string().min(1),
  executionNumber: z.int().min(1),
  taskToken: z
    .string()
    .min(1)
    .transform((token) => new Secret(token, '[task token]'))
    .optional(),
});

const loggedFieldsSchema = z.object({ exceptionId: z.unknown(), executionNumber: z.unknown() });

export type StepInput = ExecutionInput & { readonly taskToken: Secret | undefined; readonly now: Instant };

/** Creates the Lambda of a step. It validates the payload, and leaves retries to the workflow. */
export function createStepHandler<Output>(name: StepName, runStep: (input: StepInput) => Promise<Output>) {
  const fieldsOf = (payload: unknown) => ({ step: name, ...loggedFieldsSchema.safeParse(payload).data });
  return middy<unknown, Output>()
    .use(logContext())
    .use(logOutcome({ completed: 'step completed', failed: 'step failed', fieldsOf }))
    .use(countFaults())
    .handler(async (payload) => {
      const { exceptionId, executionNumber, taskToken } = inputSchema.parse(payload);
      return runStep({ exceptionId, executionNumber, taskToken, now: clock.now() });
    });
}
