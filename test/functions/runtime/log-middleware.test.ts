import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { captureOutput } from '../captured-logs.ts';

// The library reads this variable on import.
process.env.POWERTOOLS_LOGGER_LOG_EVENT = 'true';
const { countFaults, logContext, logOutcome } = await import('../../../functions/runtime/log-middleware.ts');
const output = captureOutput();
const lambdaContext = { awsRequestId: 'request-1', functionName: 'sweep' } as Context;

const createHandler = (handle: () => Promise<string>) =>
  middy<unknown, string>()
    .use(logContext())
    .use(logOutcome({ completed: 'completed', failed: 'failed', fieldsOf: () => ({ exceptionId: 'EX-1' }) }))
    .use(countFaults())
    .handler(handle);
const handler = createHandler(() => Promise.resolve('done'));
const failingHandler = createHandler(() => Promise.reject(new Error('SES is busy')));
const logLines = () =>
  output
    .lines()
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));

describe('a handler with the log middlewares', () => {
  it('logs its completion with its fields and the Lambda context, and returns its result', async () => {
    expect(await handler({}, lambdaContext)).toBe('done');
    expect(logLines()).toEqual([
      expect.objectContaining({
        level: 'INFO',
        message: 'completed',
        exceptionId: 'EX-1',
        function_name: 'sweep',
        function_request_id: 'request-1',
      }),
    ]);
  });

  it('logs an error, counts it as a fault, and rethrows it', async () => {
    await expect(failingHandler({}, lambdaContext)).rejects.toThrow('SES is busy');
    expect(logLines()).toContainEqual(
      expect.objectContaining({
        level: 'ERROR',
        message: 'failed',
        exceptionId: 'EX-1',
        error: expect.objectContaining({ message: 'SES is busy' }),
      }),
    );
    expect(output.text()).toContain('"faults":1');
  });

  it('APR-1 never logs the event, even if the environment asks for it', async () => {
    await handler({ taskToken: 'T-secret' }, lambdaContext);
    await expect(failingHandler({ taskToken: 'T-secret' }, lambdaContext)).rejects.toThrow();
    expect(output.text()).not.toContain('T-secret');
  });
});
