import {
  DescribeExecutionCommand,
  ExecutionAlreadyExists,
  ExecutionDoesNotExist,
  InvalidToken,
  SendTaskSuccessCommand,
  SFNClient,
  StartExecutionCommand,
  TaskDoesNotExist,
  TaskTimedOut,
} from '@aws-sdk/client-sfn';
import type { Secret } from '../domain/secret.ts';

/** The input of an execution, and of each of its steps: the request that it drives, and the number of the execution. */
export type ExecutionInput = { readonly exceptionId: string; readonly executionNumber: number };

/** The client of Step Functions. It carries no decision: an execution that resumes reads the request again. */
export type WorkflowClient = {
  /** Starts the execution once. Does nothing while it runs, and does not start it again once it ended. */
  start(execution: ExecutionInput): Promise<'started' | 'already-ended'>;
  /** Resumes the execution that waits with this token. `not-waiting` if no execution waits with it. */
  resume(taskToken: Secret): Promise<'resumed' | 'not-waiting'>;
  /** Returns true while the execution runs or waits. */
  isRunning(execution: ExecutionInput): Promise<boolean>;
};

/** Returns the name of the execution. Step Functions does not start a second execution with the same name. */
export function executionName({ exceptionId, executionNumber }: ExecutionInput): string {
  return `${exceptionId}-${executionNumber}`;
}

/** Returns a client of the state machine with this ARN. */
export function createWorkflowClient(stateMachineArn: string): WorkflowClient {
  const client = new SFNClient({
    maxAttempts: 4,
    requestHandler: { connectionTimeout: 1_000, requestTimeout: 5_000 },
  });
  const executionArn = (execution: ExecutionInput) =>
    `${stateMachineArn.replace(':stateMachine:', ':execution:')}:${executionName(execution)}`;
  return {
    start: async (execution) => {
      try {
        await client.send(
          new StartExecutionCommand({
            stateMachineArn,
            name: executionName(execution),
            input: JSON.stringify(execution),
          }),
        );
        return 'started';
      } catch (error) {
        if (error instanceof ExecutionAlreadyExists) return 'already-ended';
        throw error;
      }
    },
    resume: async (taskToken) => {
      try {
        await client.send(new SendTaskSuccessCommand({ taskToken: taskToken.reveal(), output: '{}' }));
        return 'resumed';
      } catch (error) {
        if (error instanceof TaskTimedOut || error instanceof TaskDoesNotExist || error instanceof InvalidToken)
          return 'not-waiting';
        throw error;
      }
    },
    isRunning: async (execution) => {
      try {
        const { status } = await client.send(new DescribeExecutionCommand({ executionArn: executionArn(execution) }));
        return status === 'RUNNING';
      } catch (error) {
        if (error instanceof ExecutionDoesNotExist) return false;
        throw error;
      }
    },
  };
}
