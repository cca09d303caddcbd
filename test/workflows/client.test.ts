import { afterAll, describe, expect, it } from 'vitest';
import { Secret } from '../../domain/secret.ts';
import { startStepFunctions } from '../../local/emulators/step-functions.ts';
import { createWorkflowClient, executionName } from '../../workflows/client.ts';
import { mondayTen } from '../instants.ts';

// The client, against the emulator of Step Functions.
const tokens = new Map<string, string>();
const workflows = await startStepFunctions({
  definition: {
    StartAt: 'Wait',
    States: {
      Wait: {
        Type: 'Task',
        Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
        Parameters: {
          FunctionName: 'wait',
          Payload: { 'exceptionId.$': '$.exceptionId', 'taskToken.$': '$$.Task.Token' },
        },
        End: true,
      },
    },
  },
  handlers: {
    wait: (payload) => {
      const { exceptionId, taskToken } = payload as { exceptionId: string; taskToken: string };
      tokens.set(exceptionId, taskToken);
      return Promise.resolve({});
    },
  },
  now: () => mondayTen,
});
Object.assign(process.env, {
  AWS_ENDPOINT_URL_SFN: workflows.endpoint,
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'local',
  AWS_SECRET_ACCESS_KEY: 'local',
});
afterAll(() => workflows.stop());
const client = createWorkflowClient(workflows.stateMachineArn);
const tokenOf = (exceptionId: string) => new Secret(tokens.get(exceptionId) ?? '');

describe('the workflow client', () => {
  it('APR-6 starts an execution once, and does not start it again after it ended', async () => {
    const execution = { exceptionId: 'EX-1', executionNumber: 1 };
    expect(await client.isRunning(execution)).toBe(false);
    expect(await Promise.all([client.start(execution), client.start(execution)])).toEqual(['started', 'started']);
    expect(await client.isRunning(execution)).toBe(true);
    await workflows.whenIdle();
    expect(workflows.executions().map(({ name }) => name)).toEqual([executionName(execution)]);
    expect(await client.resume(tokenOf('EX-1'))).toBe('resumed');
    await workflows.whenIdle();
    expect(await client.isRunning(execution)).toBe(false);
    expect(await client.start(execution)).toBe('already-ended');
    expect(await client.start({ ...execution, executionNumber: 2 })).toBe('started');
  });

  it('APR-6 resumes the execution that waits with a token, once, and reports that none waits with any other token', async () => {
    await client.start({ exceptionId: 'EX-2', executionNumber: 1 });
    await workflows.whenIdle();
    const token = tokenOf('EX-2');
    expect(await Promise.all([client.resume(token), client.resume(token)])).toEqual(
      expect.arrayContaining(['resumed', 'not-waiting']),
    );
    expect(await client.resume(token)).toBe('not-waiting');
    expect(await client.resume(new Secret('no token at all'))).toBe('not-waiting');
    expect(await client.resume(new Secret('A'.repeat(64)))).toBe('not-waiting');
  });

  it('throws any other error, so that the caller retries', async () => {
    const otherClient = createWorkflowClient(workflows.stateMachineArn.replace('exception-request', 'another'));
    await expect(otherClient.start({ exceptionId: 'EX-3', executionNumber: 1 })).rejects.toThrow(/does not exist/i);
  });
});
