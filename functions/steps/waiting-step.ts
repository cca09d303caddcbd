import type { Context } from '../../domain/context.ts';
import type { ExceptionRequest, NextStep, Transition } from '../../domain/exceptions/request.ts';
import type { Result } from '../../domain/refusal.ts';
import { suspendExecution, transitionException } from '../../store/exceptions.ts';
import type { StepName } from '../manifest.ts';
import { getMailer } from '../runtime/mailer.ts';
import { getStore } from '../runtime/store.ts';
import { getWorkflowClient } from '../runtime/workflow-client.ts';
import { trySendRequestNotifications } from '../use-cases/send-request-notifications.ts';
import { createStepHandler } from './step-handler.ts';

/**
 * Creates a step at which the execution waits. It applies `startTransition` to a newly received request, stores the task
 * token, and sends the pending notifications, which the sweep does if it fails. If the request has changed meanwhile, the
 * token is not stored. The step then resumes the execution itself, because nothing else can.
 */
export function createWaitingStep(
  name: StepName,
  nextStep: NextStep,
  startTransition: (
    request: ExceptionRequest,
    context: Pick<Context, 'now' | 'policy'>,
  ) => Result<Transition> | 'no-change',
) {
  return createStepHandler(name, async ({ exceptionId, executionNumber, taskToken, now }) => {
    if (taskToken === undefined) throw new Error(`The step ${name} waits, but its payload has no task token.`);
    const store = getStore();
    const context = { operationId: null, now, policy: store.policy };
    await transitionException(
      store,
      exceptionId,
      (request) =>
        request.state.status === 'received' && request.execution.executionNumber === executionNumber
          ? startTransition(request, context)
          : 'no-change',
      context,
    );
    const result = await suspendExecution(store, exceptionId, { executionNumber, nextStep, taskToken }, now);
    await trySendRequestNotifications(store, getMailer(), exceptionId, now);
    if (result !== 'waiting') await getWorkflowClient().resume(taskToken);
    return { result };
  });
}
