import type { Context } from '../../domain/context.ts';
import type { Transition, ExceptionRequest, NextStep } from '../../domain/exceptions/request.ts';
import type { Result } from '../../domain/refusal.ts';
import { transitionException, suspendExecution } from '../../store/exceptions.ts';
import { sendRequestNotifications } from '../use-cases/send-request-notifications.ts';
import type { StepName } from '../manifest.ts';
import { createStepHandler } from './step-handler.ts';
import { getWorkflowClient } from '../runtime/workflow-client.ts';
import { getMailer } from '../runtime/mailer.ts';
import { getStore } from '../runtime/store.ts';

/**
 * Makes a step at which the workflow waits: moves a request that has only been received, lets the execution wait with its
 * token, and sends what that makes owed. Where the request has moved on meanwhile, the step wakes itself: nobody else
 * knows the token yet.
 */
export function createWaitingStep(
  name: StepName,
  nextStep: NextStep,
  startTransition: (request: ExceptionRequest, context: Pick<Context, 'now' | 'policy'>) => Result<Transition> | 'no-change',
) {
  return createStepHandler(name, async ({ exceptionId, executionNumber, taskToken, now }) => {
    if (taskToken === undefined) throw new Error(`The step ${name} waits, but was given no task token.`);
    const store = getStore();
    const context = { operationId: null, now, policy: store.policy };
    await transitionException(
      store,
      exceptionId,
      (request) =>
        request.state.status === 'received' && request.execution.executionNumber === executionNumber ? startTransition(request, context) : 'no-change',
      context,
    );
    const suspendResult = await suspendExecution(store, exceptionId, { executionNumber, nextStep, taskToken }, now);
    await sendRequestNotifications(store, getMailer(), exceptionId, now);
    if (suspendResult !== 'waiting') await getWorkflowClient().resume(taskToken);
    return { result: suspendResult };
  });
}
