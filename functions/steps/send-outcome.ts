import { isFinal } from '../../domain/exceptions/request.ts';
import { findException, updateExecution } from '../../store/exceptions.ts';
import { getMailer } from '../runtime/mailer.ts';
import { getStore } from '../runtime/store.ts';
import { recordRequestMetrics } from '../use-cases/record-request-metrics.ts';
import { trySendRequestNotifications } from '../use-cases/send-request-notifications.ts';
import { createStepHandler } from './step-handler.ts';

/**
 * Sends the outcome to everybody whom the request concerns (EXC-11), and marks the execution as ended. The sweep sends
 * what cannot be sent now (EXC-9).
 */
export const handler = createStepHandler('sendOutcome', async ({ exceptionId, executionNumber, now }) => {
  const store = getStore();
  await trySendRequestNotifications(store, getMailer(), exceptionId, now);
  const request = await findException(store, exceptionId);
  if (request !== undefined && isFinal(request) && request.execution.executionNumber === executionNumber) {
    const ended = { status: 'ended', executionNumber } as const;
    await updateExecution(store, exceptionId, { expected: request.execution, nextExecution: ended }, now);
    recordRequestMetrics(request, now, store.policy);
  }
  return { exceptionId, executionNumber };
});
