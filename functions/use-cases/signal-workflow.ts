import type { Instant } from '../../domain/calendar/instant.ts';
import { isBefore } from '../../domain/calendar/instant.ts';
import type { Execution } from '../../domain/exceptions/request.ts';
import { executionDueAt } from '../../domain/exceptions/schedule.ts';
import { readForResume, updateExecution } from '../../store/exceptions.ts';
import type { Store } from '../../store/store.ts';
import type { WorkflowClient } from '../../workflows/client.ts';
import { logger } from '../runtime/observability.ts';

/**
 * Delivers the pending signal of a request to the workflow: starts its execution, resumes it, or starts a new one if the
 * execution was lost (APR-6). It may run any number of times, also concurrently: Step Functions starts each name once and
 * accepts each token once, and an execution that is resumed without need finds the request unchanged.
 */
export async function deliverSignal(
  store: Store,
  workflowClient: WorkflowClient,
  exceptionId: string,
  now: Instant,
): Promise<void> {
  const current = await readForResume(store, exceptionId);
  if (current === undefined) return;
  const { request, taskToken } = current;
  const { execution } = request;
  const executionInput = { exceptionId, executionNumber: execution.executionNumber };
  const restart = () => restartExecution(store, workflowClient, { exceptionId, execution }, now);
  switch (execution.status) {
    case 'start-pending': {
      const startResult = await workflowClient.start(executionInput);
      if (startResult === 'already-ended') await restart();
      return;
    }
    case 'resume-pending': {
      const resumeResult = taskToken === null ? 'not-waiting' : await workflowClient.resume(taskToken);
      // Somebody else may have used the token a moment ago: then the execution is running and will read the request.
      if (resumeResult === 'not-waiting' && !(await workflowClient.isRunning(executionInput))) await restart();
      return;
    }
    case 'running':
    case 'waiting': {
      const dueAt = executionDueAt(request);
      if (dueAt === null || isBefore(now, dueAt)) return;
      if (await workflowClient.isRunning(executionInput)) {
        await updateExecution(store, exceptionId, { expected: execution, nextExecution: execution }, now);
      } else {
        await restart();
      }
      return;
    }
    case 'ended':
      return;
  }
}

async function restartExecution(
  store: Store,
  workflowClient: WorkflowClient,
  { exceptionId, execution }: { readonly exceptionId: string; readonly execution: Execution },
  now: Instant,
): Promise<void> {
  const executionNumber = execution.executionNumber + 1;
  const nextExecution = { status: 'start-pending', executionNumber } as const;
  const request = await updateExecution(store, exceptionId, { expected: execution, nextExecution }, now);
  if (request?.execution.status !== 'start-pending' || request.execution.executionNumber !== executionNumber) return;
  logger.warn('workflow execution restarted', { exceptionId, executionNumber });
  await workflowClient.start({ exceptionId, executionNumber });
}

/** Delivers the signal after a decision was written. It logs a failure and never throws: the sweep delivers the signal. */
export async function tryDeliverSignal(
  store: Store,
  workflowClient: WorkflowClient,
  exceptionId: string,
  now: Instant,
): Promise<void> {
  try {
    await deliverSignal(store, workflowClient, exceptionId, now);
  } catch (error) {
    logger.error('deferred to the sweep', { exceptionId, error: error as Error });
  }
}
