import type { Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { setClock } from '../../../functions/runtime/clock.ts';
import { createStepHandler } from '../../../functions/steps/step-handler.ts';
import { mondayTen } from '../../instants.ts';
import { captureOutput } from '../captured-logs.ts';

setClock(() => mondayTen);
const printed = captureOutput();
const input = { exceptionId: 'EX-1', executionNumber: 2 };

describe('a step of the workflow', () => {
  it('is told which request and which execution, and when', async () => {
    const run = createStepHandler('sendOutcome', ({ exceptionId, executionNumber, taskToken, now }) =>
      Promise.resolve({ exceptionId, executionNumber, token: taskToken?.reveal(), now }),
    );
    expect(await run(input, {} as Context)).toEqual({ ...input, token: undefined, now: mondayTen });
    expect(await run({ ...input, taskToken: 'T-1' }, {} as Context)).toMatchObject({ token: 'T-1' });
  });

  it('hands a fault on to the workflow, which tries it again, and logs it', async () => {
    const run = createStepHandler('sendOutcome', () => Promise.reject(new Error('no mail just now')));
    await expect(run(input, {} as Context)).rejects.toThrow('no mail just now');
    expect(printed.text()).toContain('no mail just now');
    expect(printed.text()).toContain('EX-1');
  });

  it('APR-1 never shows the task token, whatever it logs', async () => {
    const run = createStepHandler('requestInformation', (call) =>
      Promise.reject(new Error(`cannot do ${JSON.stringify(call)}`)),
    );
    await expect(run({ ...input, taskToken: 'T-secret' }, {} as Context)).rejects.toThrow('[task token]');
    expect(printed.text()).toContain('EX-1');
    expect(printed.text()).not.toContain('T-secret');
  });

  it.each([
    {},
    null,
    { ...input, executionNumber: 0 },
    { ...input, exceptionId: '' },
    { ...input, taskToken: '' },
    { ...input, more: 1 },
  ])('is not run on what no workflow hands over: %j', async (wrong) => {
    const run = createStepHandler('sendOutcome', () => Promise.resolve('done'));
    await expect(run(wrong, {} as Context)).rejects.toThrow();
  });
});
