import { nextStepOf } from '../../domain/exceptions/request.ts';
import { updateExecution, findException } from '../../store/exceptions.ts';
import { recordRequestMetrics } from '../use-cases/record-request-metrics.ts';
import { sendRequestNotifications } from '../use-cases/send-request-notifications.ts';
import { createStepHandler } from './step-handler.ts';
import { getMailer } from '../runtime/mailer.ts';
import { getStore } from '../runtime/store.ts';

/**
 * Takes the request over for this execution, sends what is owed by mail, and says where the request goes from here. An
 * execution that another has taken over from is sent to its end.
 */
export const handler = createStepHandler('chooseNextStep', async ({ exceptionId, executionNumber, now }) => {
  const store = getStore();
  const endResult = { exceptionId, executionNumber, nextStep: 'end' } as const;
  const current = await findException(store, exceptionId);
  if (current === undefined || current.execution.executionNumber !== executionNumber) return endResult;
  await updateExecution(store, exceptionId, { expected: current.execution, nextExecution: { status: 'running', executionNumber } }, now);
  await sendRequestNotifications(store, getMailer(), exceptionId, now);
  const request = await findException(store, exceptionId);
  if (request === undefined || request.execution.executionNumber !== executionNumber) return endResult;
  const nextStep = nextStepOf(request);
  if (nextStep === 'end') await updateExecution(store, exceptionId, { expected: request.execution, nextExecution: { status: 'ended', executionNumber } }, now);
  recordRequestMetrics(request, now, store.policy);
  return { exceptionId, executionNumber, nextStep };
});
