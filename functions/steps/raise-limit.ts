import { fulfillException } from '../../store/exceptions.ts';
import { createStepHandler } from './step-handler.ts';
import { getStore } from '../runtime/store.ts';

/** Raises the limit by the number that was approved: once, whatever is retried (EXC-9). A request that ended meanwhile is left alone. */
export const handler = createStepHandler('raiseLimit', async ({ exceptionId, executionNumber, now }) => {
  await fulfillException(getStore(), exceptionId, now);
  return { exceptionId, executionNumber };
});
