import { nextStepOf } from '../../domain/exceptions/request.ts';
import { findException, updateExecution } from '../../store/exceptions.ts';
import { getMailer } from '../runtime/mailer.ts';
import { getStore } from '../runtime/store.ts';
import { recordRequestMetrics } from '../use-cases/record-request-metrics.ts';
import { sendRequestNotifications } from '../use-cases/send-request-notifications.ts';
import { createStepHandler } from './step-handler.ts';

/**
 * Marks the execution as running, sends the pending notifications, and returns the next step of the request. Returns
 * `end` for an execution that a newer one has replaced.
 */
export const handler = createStepHandler('chooseNextStep', async ({ exceptionId, executionNumber, now }) => {
  const store = getStore();
  const endResult = { exceptionId, executionNumber, nextStep: 'end' } as const;
  const initial = await findException(store, exceptionId);
  if (initial === undefined || initial.execution.executionNumber !== executionNumber) return endResult;
  const running = { status: 'running', executionNumber } as const;
  await updateExecution(store, exceptionId, { expected: initial.execution, nextExecution: running }, now);
  await sendRequestNotifications(store, getMailer(), exceptionId, now);
  const request = await findException(store, exceptionId);
  if (request === undefined || request.execution.executionNumber !== executionNumber) return endResult;
  const nextStep = nextStepOf(request);
  if (nextStep === 'end') {
    const ended = { status: 'ended', executionNumber } as const;
    await updateExecution(store, exceptionId, { expected: request.execution, nextExecution: ended }, now);
  }
  recordRequestMetrics(request, now, store.policy);
  return { exceptionId, executionNumber, nextStep };
});
