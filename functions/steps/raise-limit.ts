import { fulfillException } from '../../store/exceptions.ts';
import { getStore } from '../runtime/store.ts';
import { createStepHandler } from './step-handler.ts';

/** Raises the limit by the approved number, exactly once across retries (EXC-9). Does nothing if the request is closed. */
export const handler = createStepHandler('raiseLimit', async ({ exceptionId, executionNumber, now }) => {
  await fulfillException(getStore(), exceptionId, now);
  return { exceptionId, executionNumber };
});
