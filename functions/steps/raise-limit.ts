import { fulfilException } from '../../store/exceptions.ts';
import { theStore } from '../runtime/store.ts';
import { step } from './step-handler.ts';

/** Raises the limit by the number that was approved: once, whatever is retried (EXC-9). A request that ended meanwhile is left alone. */
export const handler = step('raiseTheLimit', async ({ exceptionId, attempt, now }) => {
  await fulfilException(theStore(), exceptionId, now);
  return { exceptionId, attempt };
});
