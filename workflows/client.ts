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

/** Which execution of the workflow drives a request: its input, and what every step is told. */
export type Driven = { readonly exceptionId: string; readonly attempt: number };

/** The door to Step Functions. It carries no decision: whoever is woken reads the request and finds out. */
export type Engine = {
  /** Starts the execution, once: starting it again while it runs does nothing, and one that ended is not started again. */
  start(driven: Driven): Promise<'started' | 'ended-already'>;
  /** Wakes the execution that waits with this token. `gone` when none waits with it any more. */
  wake(taskToken: Secret): Promise<'woken' | 'gone'>;
  /** Whether the execution is alive. */
  isRunning(driven: Driven): Promise<boolean>;
};

/** The name of the execution; with the same one Step Functions starts nothing twice. */
export function executionName({ exceptionId, attempt }: Driven): string {
  return `${exceptionId}-${attempt}`;
}

/** Opens the door to the state machine with this ARN. */
export function openEngine(stateMachineArn: string): Engine {
  const client = new SFNClient({
    maxAttempts: 4,
    requestHandler: { connectionTimeout: 1_000, requestTimeout: 5_000 },
  });
  const executionArn = (driven: Driven) =>
    `${stateMachineArn.replace(':stateMachine:', ':execution:')}:${executionName(driven)}`;
  return {
    start: async (driven) => {
      try {
        await client.send(
          new StartExecutionCommand({ stateMachineArn, name: executionName(driven), input: JSON.stringify(driven) }),
        );
        return 'started';
      } catch (error) {
        if (error instanceof ExecutionAlreadyExists) return 'ended-already';
        throw error;
      }
    },
    wake: async (taskToken) => {
      try {
        await client.send(new SendTaskSuccessCommand({ taskToken: taskToken.reveal(), output: '{}' }));
        return 'woken';
      } catch (error) {
        if (error instanceof TaskTimedOut || error instanceof TaskDoesNotExist || error instanceof InvalidToken)
          return 'gone';
        throw error;
      }
    },
    isRunning: async (driven) => {
      try {
        const { status } = await client.send(new DescribeExecutionCommand({ executionArn: executionArn(driven) }));
        return status === 'RUNNING';
      } catch (error) {
        if (error instanceof ExecutionDoesNotExist) return false;
        throw error;
      }
    },
  };
}
