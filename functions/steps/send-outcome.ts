import { isFinal } from '../../domain/exceptions/request.ts';
import { updateExecution, findException } from '../../store/exceptions.ts';
import { recordRequestMetrics } from '../use-cases/record-request-metrics.ts';
import { sendRequestNotifications } from '../use-cases/send-request-notifications.ts';
import { createStepHandler } from './step-handler.ts';
import { getMailer } from '../runtime/mailer.ts';
import { getStore } from '../runtime/store.ts';

/** Tells everybody whom it concerns how the request ended (EXC-11); with that the workflow has done its work. */
export const handler = createStepHandler('sendOutcome', async ({ exceptionId, executionNumber, now }) => {
  const store = getStore();
  await sendRequestNotifications(store, getMailer(), exceptionId, now);
  const request = await findException(store, exceptionId);
  if (request !== undefined && isFinal(request) && request.execution.executionNumber === executionNumber) {
    await updateExecution(store, exceptionId, { expected: request.execution, nextExecution: { status: 'ended', executionNumber } }, now);
    recordRequestMetrics(request, now, store.policy);
  }
  return { exceptionId, executionNumber };
});
