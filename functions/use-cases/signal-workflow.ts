import type { Execution } from '../../domain/exceptions/request.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import { isBefore } from '../../domain/calendar/instant.ts';
import { executionDueAt } from '../../domain/exceptions/schedule.ts';
import { updateExecution, readForResume } from '../../store/exceptions.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import type { WorkflowClient } from '../../workflows/client.ts';
import { logger } from '../runtime/observability.ts';

/**
 * Passes on to the workflow what a request owes it: starts it, wakes it, or starts a new execution where one was lost
 * (APR-6). May run any number of times, also at once: Step Functions starts no name twice and takes no token twice, and
 * whoever is woken for nothing finds the request as it was.
 */
export async function deliverSignal(store: Store, workflowClient: WorkflowClient, exceptionId: string, now: Instant): Promise<void> {
  const current = await readForResume(store, exceptionId);
  if (current === undefined) return;
  const { request, taskToken } = current;
  const execution = request.execution;
  const executionInput = { exceptionId, executionNumber: execution.executionNumber };
  switch (execution.status) {
    case 'start-pending': {
      const startResult = await workflowClient.start(executionInput);
      if (startResult === 'already-ended') await restartExecution(store, workflowClient, { exceptionId, execution }, now);
      return;
    }
    case 'resume-pending': {
      const resumeResult = taskToken === null ? 'not-waiting' : await workflowClient.resume(taskToken);
      // A token that is used may have been used a moment ago, by a run that is on its way to see the request.
      if (resumeResult === 'not-waiting' && !(await workflowClient.isRunning(executionInput)))
        await restartExecution(store, workflowClient, { exceptionId, execution }, now);
      return;
    }
    case 'running':
    case 'waiting': {
      const dueAt = executionDueAt(request);
      if (dueAt === null || isBefore(now, dueAt)) return;
      if (await workflowClient.isRunning(executionInput)) await updateExecution(store, exceptionId, { expected: execution, nextExecution: execution }, now);
      else await restartExecution(store, workflowClient, { exceptionId, execution }, now);
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
  const nextExecution = { status: 'start-pending', executionNumber: execution.executionNumber + 1 } as const;
  const request = await updateExecution(store, exceptionId, { expected: execution, nextExecution }, now);
  if (request?.execution.status !== 'start-pending' || request.execution.executionNumber !== nextExecution.executionNumber) return;
  logger.warn('workflow execution restarted', { exceptionId, executionNumber: nextExecution.executionNumber });
  await workflowClient.start({ exceptionId, executionNumber: nextExecution.executionNumber });
}

/** Signals after a decision was written. A signal that fails is not the caller's concern: the sweep passes it on. */
export async function tryDeliverSignal(store: Store, workflowClient: WorkflowClient, exceptionId: string, now: Instant): Promise<void> {
  try {
    await deliverSignal(store, workflowClient, exceptionId, now);
  } catch (error) {
    logger.error('deferred to the sweep', { exceptionId, error: error as Error });
  }
}
