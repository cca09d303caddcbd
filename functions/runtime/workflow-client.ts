import type { WorkflowClient } from '../../workflows/client.ts';
import { createWorkflowClient } from '../../workflows/client.ts';
import { workflowEnvironment } from '../environment.ts';

let cachedClient: WorkflowClient | undefined;

/** The door to the workflow engine, made at its first use and kept while the function is warm. */
export function getWorkflowClient(): WorkflowClient {
  cachedClient ??= createWorkflowClient(workflowEnvironment().STATE_MACHINE_ARN);
  return cachedClient;
}
