import { nextStepOf } from '../../domain/exceptions/request.ts';
import { findException, updateExecution } from '../../store/exceptions.ts';
import { getMailer } from '../runtime/mailer.ts';
import { getStore } from '../runtime/store.ts';
import { recordRequestMetrics } from '../use-cases/record-request-metrics.ts';
import { trySendRequestNotifications } from '../use-cases/send-request-notifications.ts';
import { createStepHandler } from './step-handler.ts';

/**
 * Marks the execution as running and returns the next step of the request. Returns `end` for an execution that a newer
 * one has replaced. It sends the pending notifications only where the execution ends: every other next step sends them
 * after its own change, so that an approved limit rises before any email about it (EXC-9).
 */
export const handler = createStepHandler('chooseNextStep', async ({ exceptionId, executionNumber, now }) => {
  const store = getStore();
  const endResult = { exceptionId, executionNumber, nextStep: 'end' } as const;
  const initial = await findException(store, exceptionId);
  if (initial === undefined || initial.execution.executionNumber !== executionNumber) return endResult;
  const running = { status: 'running', executionNumber } as const;
  const execution = { expected: initial.execution, nextExecution: running };
  const request = await updateExecution(store, exceptionId, execution, now);
  if (request === undefined || request.execution.executionNumber !== executionNumber) return endResult;
  const nextStep = nextStepOf(request);
  if (nextStep === 'end') {
    const ended = { status: 'ended', executionNumber } as const;
    await updateExecution(store, exceptionId, { expected: request.execution, nextExecution: ended }, now);
    await trySendRequestNotifications(store, getMailer(), exceptionId, now);
  }
  recordRequestMetrics(request, now, store.policy);
  return { exceptionId, executionNumber, nextStep };
});
