import { afterAll, describe, expect, it } from 'vitest';
import { Secret } from '../../domain/secret.ts';
import { startStepFunctions } from '../../local/emulators/step-functions.ts';
import { executionName, openEngine } from '../../workflows/client.ts';
import { mondayTen } from '../instants.ts';

// The door to Step Functions, with somebody behind it who answers as AWS does.
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
const engine = openEngine(workflows.stateMachineArn);
const tokenOf = (exceptionId: string) => new Secret(tokens.get(exceptionId) ?? '');

describe('the engine', () => {
  it('APR-6 starts an execution once, however often it is asked, and none again that has ended', async () => {
    const driven = { exceptionId: 'EX-1', attempt: 1 };
    expect(await engine.isRunning(driven)).toBe(false);
    expect(await Promise.all([engine.start(driven), engine.start(driven)])).toEqual(['started', 'started']);
    expect(await engine.isRunning(driven)).toBe(true);
    await workflows.quiet();
    expect(workflows.executions().map(({ name }) => name)).toEqual([executionName(driven)]);
    expect(await engine.wake(tokenOf('EX-1'))).toBe('woken');
    await workflows.quiet();
    expect(await engine.isRunning(driven)).toBe(false);
    expect(await engine.start(driven)).toBe('ended-already');
    expect(await engine.start({ ...driven, attempt: 2 })).toBe('started');
  });

  it('APR-6 wakes whoever waits with a token, once; of any other token it says that nobody waits', async () => {
    await engine.start({ exceptionId: 'EX-2', attempt: 1 });
    await workflows.quiet();
    const token = tokenOf('EX-2');
    expect(await Promise.all([engine.wake(token), engine.wake(token)])).toEqual(
      expect.arrayContaining(['woken', 'gone']),
    );
    expect(await engine.wake(token)).toBe('gone');
    expect(await engine.wake(new Secret('no token at all'))).toBe('gone');
    expect(await engine.wake(new Secret('A'.repeat(64)))).toBe('gone');
  });

  it('throws what is neither, so that it is tried again', async () => {
    const elsewhere = openEngine(workflows.stateMachineArn.replace('exception-request', 'another'));
    await expect(elsewhere.start({ exceptionId: 'EX-3', attempt: 1 })).rejects.toThrow(/does not exist/i);
  });
});
