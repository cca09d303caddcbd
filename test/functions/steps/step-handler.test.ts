import type { Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { setClock } from '../../../functions/runtime/clock.ts';
import { createStepHandler } from '../../../functions/steps/step-handler.ts';
import { mondayTen } from '../../instants.ts';
import { captureOutput } from '../captured-logs.ts';

setClock(() => mondayTen);
const output = captureOutput();
const payload = { exceptionId: 'EX-1', executionNumber: 2 };
const lambdaContext = { awsRequestId: 'request-1', functionName: 'send-outcome' } as Context;

describe('a step of the workflow', () => {
  it('receives the request, the execution number, and the time', async () => {
    const handler = createStepHandler('sendOutcome', ({ exceptionId, executionNumber, taskToken, now }) =>
      Promise.resolve({ exceptionId, executionNumber, token: taskToken?.reveal(), now }),
    );
    expect(await handler(payload, lambdaContext)).toEqual({ ...payload, token: undefined, now: mondayTen });
    expect(await handler({ ...payload, taskToken: 'T-1' }, lambdaContext)).toMatchObject({ token: 'T-1' });
  });

  it('logs its completion with the Lambda context', async () => {
    const handler = createStepHandler('sendOutcome', () => Promise.resolve('done'));
    await handler(payload, lambdaContext);
    expect(output.lines().map((line) => JSON.parse(line))).toMatchObject([
      {
        level: 'INFO',
        message: 'step completed',
        step: 'sendOutcome',
        ...payload,
        function_name: 'send-outcome',
        function_request_id: 'request-1',
      },
    ]);
  });

  it('logs and counts an error, and rethrows it, so that the workflow retries', async () => {
    const handler = createStepHandler('sendOutcome', () => Promise.reject(new Error('SES is busy')));
    await expect(handler(payload, lambdaContext)).rejects.toThrow('SES is busy');
    expect(output.text()).toContain('SES is busy');
    expect(output.text()).toContain('EX-1');
    expect(output.text()).toContain('"faults":1');
  });

  it('APR-1 never logs the task token', async () => {
    const handler = createStepHandler('requestInformation', (input) =>
      Promise.reject(new Error(`failed with ${JSON.stringify(input)}`)),
    );
    const run = handler({ ...payload, taskToken: 'T-secret' }, lambdaContext);
    await expect(run).rejects.toThrow('[task token]');
    expect(output.text()).toContain('EX-1');
    expect(output.text()).not.toContain('T-secret');
  });

  it.each([
    {},
    null,
    { ...payload, executionNumber: 0 },
    { ...payload, exceptionId: '' },
    { ...payload, taskToken: '' },
    { ...payload, more: 1 },
  ])('throws for a payload that the workflow file cannot produce: %j', async (invalid) => {
    const handler = createStepHandler('sendOutcome', () => Promise.resolve('done'));
    await expect(handler(invalid, lambdaContext)).rejects.toThrow();
  });
});
