import type { WorkflowClient } from '../../workflows/client.ts';
import { createWorkflowClient } from '../../workflows/client.ts';
import { workflowEnvironment } from '../environment.ts';

let cachedClient: WorkflowClient | undefined;

/** Returns the Step Functions client of this function. It is created on first use and reused while the function is warm. */
export function getWorkflowClient(): WorkflowClient {
  cachedClient ??= createWorkflowClient(workflowEnvironment().STATE_MACHINE_ARN);
  return cachedClient;
}
