import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeExecutionCommand,
  SendTaskFailureCommand,
  SendTaskSuccessCommand,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { addDuration, type Instant } from '../../../domain/calendar/instant.ts';
import {
  type Execution,
  type StepFunctions,
  type StepHandlers,
  startStepFunctions,
} from '../../../local/emulators/step-functions.ts';
import { mondayNine, nextMondayNine, tuesdayNine } from '../../instants.ts';

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** A task of a workflow: what is sent to the function, and what else the state says. */
const call = (FunctionName: string, rest: object = { End: true }, Payload: object = { 'request.$': '$' }) => ({
  Type: 'Task',
  Resource: 'arn:aws:states:::lambda:invoke',
  Parameters: { FunctionName, Payload },
  ...rest,
});
const ask = (FunctionName: string, rest: object = { End: true }) => ({
  ...call(FunctionName, rest, { 'taskToken.$': '$$.Task.Token', about: { 'request.$': '$' } }),
  Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
});
const workflow = (States: Record<string, object>) => ({ StartAt: Object.keys(States)[0] ?? '', States });

/** A handler that keeps the token of every attempt, in order. */
const keeper = () => {
  const tokens: string[] = [];
  const keep = async (payload: unknown) => {
    tokens.push(z.object({ taskToken: z.string() }).parse(payload).taskToken);
  };
  return { tokens, keep };
};

class RefusedError extends Error {
  override readonly name = 'Refused';
}
const refuse = () => Promise.reject(new RefusedError('not today'));

async function run(
  definition: object,
  handlers: StepHandlers = {},
  onChange?: (execution: Execution) => void,
  folder?: string,
) {
  let at: Instant = mondayNine;
  const engine: StepFunctions = await startStepFunctions({
    definition,
    handlers,
    now: () => at,
    ...(onChange && { onChange }),
    ...(folder === undefined ? {} : { folder }),
  });
  ends.push(() => engine.stop());
  const sfn = new SFNClient({
    endpoint: engine.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts: 1,
  });
  ends.push(() => sfn.destroy());
  const { stateMachineArn } = engine;
  const arnOf = (name: string) => stateMachineArn.replace(':stateMachine:', ':execution:').concat(`:${name}`);
  return {
    engine,
    sfn,
    setTime: (to: Instant) => {
      at = to;
    },
    start: (name = 'one', input: unknown = {}) =>
      sfn.send(new StartExecutionCommand({ stateMachineArn, name, input: JSON.stringify(input) })),
    succeed: (taskToken: string | undefined, output: unknown = {}) =>
      sfn.send(new SendTaskSuccessCommand({ taskToken, output: JSON.stringify(output) })),
    fail: (taskToken: string | undefined, error: string) =>
      sfn.send(new SendTaskFailureCommand({ taskToken, error, cause: 'they said so' })),
    stop: (name = 'one') => sfn.send(new StopExecutionCommand({ executionArn: arnOf(name), error: 'Stopped' })),
    /** Returns an execution with its parsed output. */
    look: async (name = 'one') => {
      const {
        $metadata: _,
        output,
        ...rest
      } = await sfn.send(new DescribeExecutionCommand({ executionArn: arnOf(name) }));
      return { ...rest, output: output === undefined ? undefined : JSON.parse(output) };
    },
  };
}

const states = (engine: StepFunctions, name = 'one') => engine.history(name)?.map(({ state }) => state);

describe('a workflow of functions', () => {
  it('gives each function its payload, and passes on its result as AWS wraps it', async () => {
    const definition = workflow({
      Add: call('add', { ResultSelector: { 'sum.$': '$.Payload.sum' }, ResultPath: '$.added', Next: 'Whole' }),
      Whole: call('whole', { ResultPath: '$.whole', End: true }, { 'both.$': '$.added.sum', fixed: [1, null] }),
    });
    const { engine, start, look } = await run(definition, {
      add: async (payload) => {
        const { request } = z.object({ request: z.object({ a: z.number(), b: z.number() }) }).parse(payload);
        return { sum: request.a + request.b, left: undefined, at: new Date(0) };
      },
      whole: async (payload) => payload,
    });
    await start('one', { a: 1, b: 2 });
    await engine.whenIdle();
    expect(await look()).toMatchObject({
      status: 'SUCCEEDED',
      output: {
        a: 1,
        b: 2,
        added: { sum: 3 },
        whole: { ExecutedVersion: '$LATEST', Payload: { both: 3, fixed: [1, null] }, StatusCode: 200 },
      },
    });
  });

  it('turns a missing result into null, and does not treat the ResultPath "$" as a field', async () => {
    const definition = workflow({ A: call('nothing', { ResultPath: '$', OutputPath: '$', End: true }) });
    const { engine, start, look } = await run(definition, { nothing: async () => undefined });
    await start('one', { a: 1 });
    await engine.whenIdle();
    expect((await look()).output).toEqual({ ExecutedVersion: '$LATEST', Payload: null, StatusCode: 200 });
  });

  it('isolates the input of each function', async () => {
    const seen: unknown[] = [];
    const meddle = async (payload: unknown) => {
      seen.push(structuredClone(payload));
      Object.assign(z.object({ request: z.looseObject({}) }).parse(payload).request, { a: 'changed' });
      return {};
    };
    const definition = workflow({
      A: call('meddle', { ResultPath: null, Next: 'B' }),
      B: call('meddle', { ResultPath: null, End: true }),
    });
    const { engine, start, look } = await run(definition, { meddle });
    await start('one', { a: 1 });
    await engine.whenIdle();
    expect(seen).toEqual([{ request: { a: 1 } }, { request: { a: 1 } }]);
    expect((await look()).output).toEqual({ a: 1 });
  });

  it('passes the name, ID, and start of the execution, on the system’s clock', async () => {
    const definition = workflow({
      A: {
        Type: 'Pass',
        Parameters: {
          'name.$': '$$.Execution.Name',
          'id.$': '$$.Execution.Id',
          'started.$': '$$.Execution.StartTime',
          'input.$': '$$.Execution.Input.a',
          'machine.$': '$$.StateMachine.Name',
        },
        End: true,
      },
    });
    const { engine, start, look } = await run(definition);
    const { executionArn } = await start('one', { a: 1 });
    await engine.whenIdle();
    expect((await look()).output).toEqual({
      name: 'one',
      id: executionArn,
      started: mondayNine,
      input: 1,
      machine: 'exception-request',
    });
  });

  it('runs the branches of a Parallel, including waiting ones', async () => {
    const { tokens, keep } = keeper();
    const definition = workflow({
      Both: { Type: 'Parallel', Branches: [workflow({ A: call('a') }), workflow({ B: ask('keep') })], End: true },
    });
    const { engine, start, succeed, look } = await run(definition, { keep, a: async () => 'a' });
    await start();
    await engine.whenIdle();
    expect(states(engine)).toEqual(['Both', 'A', 'B']);
    await succeed(tokens[0], 'b');
    await engine.whenIdle();
    expect((await look()).output).toMatchObject([{ Payload: 'a' }, 'b']);
  });
});

describe('a function that fails', () => {
  it.each([
    ['by its name', ['Other', 'Refused']],
    ['by States.TaskFailed', ['States.TaskFailed']],
    ['by States.ALL', ['States.ALL']],
  ])('is caught %s, with the cause of Lambda', async (_, ErrorEquals) => {
    const definition = workflow({
      A: call('refuse', { Catch: [{ ErrorEquals, ResultPath: '$.failed', Next: 'B' }], End: true }),
      B: {
        Type: 'Pass',
        Parameters: { 'error.$': '$.failed.Error', 'cause.$': 'States.StringToJson($.failed.Cause)' },
        End: true,
      },
    });
    const { engine, start, look } = await run(definition, { refuse });
    await start();
    await engine.whenIdle();
    expect((await look()).output).toMatchObject({
      error: 'Refused',
      cause: { errorType: 'Refused', errorMessage: 'not today', trace: expect.any(Array) },
    });
  });

  it('fails the execution if nothing catches it', async () => {
    const definition = workflow({ A: call('refuse', { Catch: [{ ErrorEquals: ['Other'], Next: 'A' }], End: true }) });
    const { engine, start, look } = await run(definition, { refuse });
    await start();
    await engine.whenIdle();
    const { status, error, cause, output } = await look();
    expect({ status, error, output }).toEqual({ status: 'FAILED', error: 'Refused', output: undefined });
    expect(engine.executions()).toMatchObject([{ status: 'FAILED', failure: { error, cause } }]);
    expect(JSON.parse(cause ?? '')).toMatchObject({ errorType: 'Refused', errorMessage: 'not today' });
  });

  it.each([
    [2, { calls: 3, status: 'SUCCEEDED' }],
    [3, { calls: 3, status: 'FAILED' }],
  ])('%i times is retried twice as defined, without the defined hours of waiting', async (times, end) => {
    let calls = 0;
    const failAtFirst = async () => {
      calls++;
      if (calls <= times) throw new RefusedError('not yet');
    };
    const Retry = [{ ErrorEquals: ['Refused'], IntervalSeconds: 3600, BackoffRate: 10, MaxAttempts: 2 }];
    const { engine, start, look } = await run(workflow({ A: call('failAtFirst', { Retry, End: true }) }), {
      failAtFirst,
    });
    await start();
    await engine.whenIdle();
    expect({ calls, status: (await look()).status }).toEqual(end);
  });

  it('in a branch of a Parallel retries all branches, also without the hours of waiting', async () => {
    const Retry = [{ ErrorEquals: ['States.ALL'], IntervalSeconds: 3600, MaxAttempts: 1 }];
    let calls = 0;
    const failOnce = async () => {
      calls++;
      if (calls === 1) throw new RefusedError('not yet');
    };
    const Branches = [workflow({ A: call('failOnce') })];
    const { engine, start, look } = await run(workflow({ P: { Type: 'Parallel', Branches, Retry, End: true } }), {
      failOnce,
    });
    await start();
    await engine.whenIdle();
    expect({ calls, status: (await look()).status }).toEqual({ calls: 2, status: 'SUCCEEDED' });
  });

  it('does not treat a thrown string as a result', async () => {
    const throwText = () => Promise.reject('a text');
    const { engine, start, look } = await run(workflow({ A: call('throwText') }), { throwText });
    await start();
    await engine.whenIdle();
    expect(await look()).toMatchObject({ status: 'FAILED', error: 'Error' });
  });

  it('is distinguished from a Fail state, which names its own error', async () => {
    const { engine, start, look } = await run(workflow({ A: { Type: 'Fail', Error: 'Lapsed', Cause: 'nobody came' } }));
    await start();
    await engine.whenIdle();
    expect(await look()).toMatchObject({ status: 'FAILED', error: 'Lapsed', cause: 'nobody came' });
  });
});

describe('a state that waits for its task token', () => {
  it('continues with the output that is sent for it', async () => {
    const { tokens, keep } = keeper();
    const definition = workflow({ A: ask('keep', { ResultPath: '$.answer', Next: 'B' }), B: { Type: 'Succeed' } });
    const { engine, start, succeed, look } = await run(definition, { keep });
    await start('one', { a: 1 });
    await engine.whenIdle();
    expect(await look()).toMatchObject({ status: 'RUNNING', output: undefined });
    await succeed(tokens[0], { decision: 'approve' });
    await engine.whenIdle();
    expect(await look()).toMatchObject({ status: 'SUCCEEDED', output: { a: 1, answer: { decision: 'approve' } } });
  });

  it('fails with the error that is sent, for Retry and Catch; each attempt has its own token', async () => {
    const { tokens, keep } = keeper();
    const definition = workflow({
      A: ask('keep', {
        Retry: [{ ErrorEquals: ['Again'], MaxAttempts: 1 }],
        Catch: [{ ErrorEquals: ['Lapsed'], Next: 'B' }],
        End: true,
      }),
      B: { Type: 'Pass', End: true },
    });
    const { engine, start, fail, succeed, look } = await run(definition, { keep });
    await start();
    await engine.whenIdle();
    await fail(tokens[0], 'Again');
    await engine.whenIdle();
    expect(new Set(tokens).size).toBe(2);
    await expect(succeed(tokens[0])).rejects.toMatchObject({ name: 'TaskTimedOut' });
    await fail(tokens[1], 'Lapsed');
    await engine.whenIdle();
    expect((await look()).output).toEqual({ Error: 'Lapsed', Cause: 'they said so' });
  });

  it('can get its token back before the function returns', async () => {
    let sendBack: (token: string) => Promise<unknown> = async () => undefined;
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const hurry = async (payload: unknown) => {
      await sendBack(z.object({ taskToken: z.string() }).parse(payload).taskToken);
      await held;
      throw new RefusedError('too late to matter');
    };
    const { engine, start, succeed, look } = await run(workflow({ A: ask('hurry') }), { hurry });
    sendBack = (token) => succeed(token, 'early');
    await start();
    for (let tries = 0; tries < 100 && (await look()).status === 'RUNNING'; tries++) await sleep(5);
    expect(await look()).toMatchObject({ status: 'SUCCEEDED', output: 'early' });
    letGo();
    await engine.whenIdle();
    expect(await look()).toMatchObject({ status: 'SUCCEEDED', output: 'early' });
  });

  it('fails if its function fails, and the token becomes void', async () => {
    let token = '';
    const refuseIt = async (payload: unknown) => {
      token = z.object({ taskToken: z.string() }).parse(payload).taskToken;
      throw new RefusedError('not today');
    };
    const { engine, start, succeed, look } = await run(workflow({ A: ask('refuseIt') }), { refuseIt });
    await start();
    await engine.whenIdle();
    expect(await look()).toMatchObject({ status: 'FAILED', error: 'Refused' });
    await expect(succeed(token)).rejects.toMatchObject({ name: 'TaskTimedOut' });
  });

  it('fails by name if the workflow does not pass the token', async () => {
    const definition = workflow({ A: { ...ask('keep'), Parameters: { FunctionName: 'keep', Payload: {} } } });
    const { engine, start, look } = await run(definition, { keep: async () => undefined });
    await start();
    await engine.whenIdle();
    expect(await look()).toMatchObject({ status: 'FAILED', cause: 'A passes no task token to keep.' });
  });
});

describe('a token', () => {
  it.each([
    ['not like any token', 'nonsense', 'InvalidToken'],
    ['of nobody', 'A'.repeat(64), 'TaskDoesNotExist'],
  ])('%s is refused like on AWS', async (_, token, name) => {
    const { succeed, fail } = await run(workflow({ A: { Type: 'Succeed' } }));
    await expect(succeed(token)).rejects.toMatchObject({ name });
    await expect(fail(token, 'Lapsed')).rejects.toMatchObject({ name });
  });

  it('is valid once: of two at the same time, one wins, and the other gets that the task is over', async () => {
    const { tokens, keep } = keeper();
    const { engine, start, succeed, fail } = await run(workflow({ A: ask('keep') }), { keep });
    await start();
    await engine.whenIdle();
    const both = await Promise.allSettled([succeed(tokens[0]), fail(tokens[0], 'Lapsed')]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    await expect(succeed(tokens[0])).rejects.toMatchObject({ name: 'TaskTimedOut' });
  });

  it('stays valid if the output is not JSON', async () => {
    const { tokens, keep } = keeper();
    const { engine, sfn, start, succeed } = await run(workflow({ A: ask('keep') }), { keep });
    await start();
    await engine.whenIdle();
    const taskToken = tokens[0];
    const notJson = sfn.send(new SendTaskSuccessCommand({ taskToken, output: 'not JSON' }));
    await expect(notJson).rejects.toMatchObject({ name: 'InvalidOutput' });
    await succeed(taskToken);
  });

  it('is void after its execution is stopped', async () => {
    const { tokens, keep } = keeper();
    const { engine, start, stop, succeed } = await run(workflow({ A: ask('keep') }), { keep });
    await start();
    await engine.whenIdle();
    await stop();
    await expect(succeed(tokens[0])).rejects.toMatchObject({ name: 'TaskTimedOut' });
  });
});

describe('starting an execution', () => {
  const waiting = workflow({ A: ask('keep') });

  it('twice with the same name and input starts one', async () => {
    const { tokens, keep } = keeper();
    const { engine, start } = await run(waiting, { keep });
    const [first, second] = await Promise.all([start('one', { a: 1 }), start('one', { a: 1 })]);
    expect(second).toMatchObject({ executionArn: first?.executionArn, startDate: new Date(mondayNine) });
    await engine.whenIdle();
    expect(tokens).toHaveLength(1);
  });

  it('with the name of another input, or of one that has ended, is refused', async () => {
    const { keep } = keeper();
    const { start, stop } = await run(waiting, { keep });
    await start('one', { a: 1 });
    await expect(start('one', { a: 2 })).rejects.toMatchObject({ name: 'ExecutionAlreadyExists' });
    await stop();
    await expect(start('one', { a: 1 })).rejects.toMatchObject({ name: 'ExecutionAlreadyExists' });
    await start('two', { a: 1 });
  });

  it('generates a name and has the input {} by default', async () => {
    const { engine, sfn } = await run(workflow({ A: { Type: 'Succeed' } }));
    const { stateMachineArn } = engine;
    const { executionArn = '' } = await sfn.send(new StartExecutionCommand({ stateMachineArn }));
    const described = await sfn.send(new DescribeExecutionCommand({ executionArn }));
    expect(described).toMatchObject({ input: '{}', output: '{}', name: executionArn.split(':').at(-1) });
  });

  it.each([
    [{ name: 'with space' }, 'InvalidName'],
    [{ name: 'a'.repeat(81) }, 'InvalidName'],
    [{ input: '{' }, 'InvalidExecutionInput'],
    [{ stateMachineArn: 'arn:aws:states:us-east-1:000000000000:stateMachine:other' }, 'StateMachineDoesNotExist'],
  ])('with %j is refused as %s', async (wrong, name) => {
    const { engine, sfn } = await run(workflow({ A: { Type: 'Succeed' } }));
    const { stateMachineArn } = engine;
    const sent = sfn.send(new StartExecutionCommand({ stateMachineArn, name: 'a'.repeat(80), ...wrong }));
    await expect(sent).rejects.toMatchObject({ name });
    expect(engine.executions()).toEqual([]);
  });
});

describe('describing an execution', () => {
  it('has dates of the system’s clock', async () => {
    const { tokens, keep } = keeper();
    const { engine, start, succeed, look, setTime } = await run(workflow({ A: ask('keep') }), { keep });
    await start('one', { a: 1 });
    const running = await look();
    expect(running).toMatchObject({ status: 'RUNNING', startDate: new Date(mondayNine), input: '{"a":1}' });
    expect(running.stopDate).toBeUndefined();
    await engine.whenIdle();
    setTime(nextMondayNine);
    await succeed(tokens[0]);
    await engine.whenIdle();
    expect(await look()).toMatchObject({ startDate: new Date(mondayNine), stopDate: new Date(nextMondayNine) });
  });

  it.each([
    ['arn:aws:states:us-east-1:000000000000:execution:exception-request:nobody', 'ExecutionDoesNotExist'],
    ['nonsense', 'InvalidArn'],
  ])('that does not exist, %s, is refused as %s', async (executionArn, name) => {
    const { sfn } = await run(workflow({ A: { Type: 'Succeed' } }));
    const refusal = { name };
    await expect(sfn.send(new DescribeExecutionCommand({ executionArn }))).rejects.toMatchObject(refusal);
    await expect(sfn.send(new StopExecutionCommand({ executionArn }))).rejects.toMatchObject(refusal);
  });

  it('shows the states that it entered, in order, with their times', async () => {
    const { tokens, keep } = keeper();
    const definition = workflow({
      Start: { Type: 'Pass', Next: 'Which' },
      Which: { Type: 'Choice', Choices: [{ Variable: '$.a', NumericEquals: 1, Next: 'Ask' }], Default: 'Done' },
      Ask: ask('keep', { ResultPath: '$', Next: 'Which' }),
      Done: { Type: 'Succeed' },
    });
    const changes: string[] = [];
    const { engine, start, succeed, setTime } = await run(definition, { keep }, ({ steps, status }) =>
      changes.push(`${steps.at(-1)?.state} ${status}`),
    );
    await start('one', { a: 1 });
    await engine.whenIdle();
    setTime(tuesdayNine);
    await succeed(tokens[0], { a: 1 });
    await engine.whenIdle();
    setTime(nextMondayNine);
    await succeed(tokens[1], { a: 2 });
    await engine.whenIdle();
    const steps = [
      { state: 'Start', at: mondayNine },
      { state: 'Which', at: mondayNine },
      { state: 'Ask', at: mondayNine },
      { state: 'Which', at: tuesdayNine },
      { state: 'Ask', at: tuesdayNine },
      { state: 'Which', at: nextMondayNine },
      { state: 'Done', at: nextMondayNine },
    ];
    expect(engine.history('one')).toEqual(steps);
    expect(engine.history('two')).toBeUndefined();
    expect(engine.executions()).toEqual([
      { name: 'one', status: 'SUCCEEDED', startedAt: mondayNine, steps, failure: null },
    ]);
    expect(changes).toEqual([...steps.map(({ state }) => `${state} RUNNING`), 'Done SUCCEEDED']);
  });
});

describe('stopping an execution', () => {
  it('aborts it with the given reason, and calls no more functions', async () => {
    let calls = 0;
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const wait = async () => {
      calls++;
      await held;
      throw new RefusedError('after all');
    };
    const Retry = [{ ErrorEquals: ['States.ALL'] }];
    const Catch = [{ ErrorEquals: ['States.ALL'], Next: 'A' }];
    const { engine, start, stop, look } = await run(workflow({ A: call('wait', { Retry, Catch, End: true }) }), {
      wait,
    });
    await start();
    const { stopDate } = await stop();
    letGo();
    await engine.whenIdle();
    expect({ calls, stopDate }).toEqual({ calls: 1, stopDate: new Date(mondayNine) });
    expect(await look()).toMatchObject({ status: 'ABORTED', error: 'Stopped', stopDate });
  });

  it('does not change one that has ended', async () => {
    const { engine, start, stop, look, setTime } = await run(workflow({ A: { Type: 'Succeed' } }));
    await start();
    await engine.whenIdle();
    setTime(tuesdayNine);
    expect((await stop()).stopDate).toEqual(new Date(mondayNine));
    expect(await look()).toMatchObject({ status: 'SUCCEEDED', stopDate: new Date(mondayNine) });
  });
});

describe('a wait that times out', () => {
  const Catch = [
    { ErrorEquals: ['States.TaskFailed'], Next: 'Failed' },
    { ErrorEquals: ['States.Timeout'], Next: 'Late' },
  ];
  const definition = workflow({
    A: ask('keep', { TimeoutSeconds: 30 * 86_400, Catch, End: true }),
    Failed: { Type: 'Succeed' },
    Late: ask('keep'),
  });

  it('does so by the system’s clock, to the millisecond, and its token becomes void', async () => {
    const { tokens, keep } = keeper();
    const { engine, start, succeed, setTime } = await run(definition, { keep });
    await start();
    await engine.whenIdle();
    const runsOutAt = addDuration(mondayNine, { days: 30 });
    expect(engine.nextTimeoutAt()).toBe(runsOutAt);
    setTime(addDuration(runsOutAt, { seconds: -1 }));
    engine.expireTimeouts();
    await engine.whenIdle();
    expect(states(engine)).toEqual(['A']);
    setTime(runsOutAt);
    engine.expireTimeouts();
    await engine.whenIdle();
    expect(states(engine)).toEqual(['A', 'Late']);
    expect(engine.nextTimeoutAt()).toBeNull();
    await expect(succeed(tokens[0])).rejects.toMatchObject({ name: 'TaskTimedOut' });
    await succeed(tokens[1]);
  });

  it('does so within a second or two if nothing reports that the clock was advanced', async () => {
    const { keep } = keeper();
    const { engine, start, setTime } = await run(definition, { keep });
    await start();
    await engine.whenIdle();
    setTime(addDuration(mondayNine, { days: 31 }));
    for (let tries = 0; tries < 200 && states(engine)?.length === 1; tries++) await sleep(25);
    expect(states(engine)).toEqual(['A', 'Late']);
  });

  it('never does without TimeoutSeconds, although the default of the engine is one minute', async () => {
    const { keep } = keeper();
    const { engine, start, setTime } = await run(workflow({ A: ask('keep') }), { keep });
    await start();
    await engine.whenIdle();
    setTime(addDuration(mondayNine, { days: 5_000 }));
    expect(engine.nextTimeoutAt()).toBeNull();
    engine.expireTimeouts();
    await engine.whenIdle();
    expect(engine.executions()).toMatchObject([{ status: 'RUNNING' }]);
  });

  it('ends the execution if the execution times out', async () => {
    const { tokens, keep } = keeper();
    const whole = { ...workflow({ A: ask('keep') }), TimeoutSeconds: 60 * 86_400 };
    const { engine, start, succeed, look, setTime } = await run(whole, { keep });
    await start();
    await engine.whenIdle();
    const runsOutAt = addDuration(mondayNine, { days: 60 });
    expect(engine.nextTimeoutAt()).toBe(runsOutAt);
    setTime(runsOutAt);
    engine.expireTimeouts();
    expect(await look()).toMatchObject({ status: 'TIMED_OUT', stopDate: new Date(runsOutAt) });
    await expect(succeed(tokens[0])).rejects.toMatchObject({ name: 'TaskTimedOut' });
  });

  it('of a function without a token uses the wall clock, like the function', async () => {
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const slow = workflow({ A: call('slow', { TimeoutSeconds: 1, End: true }) });
    const { engine, start, look } = await run(slow, { slow: () => held });
    await start();
    for (let tries = 0; tries < 200 && (await look()).status === 'RUNNING'; tries++) await sleep(25);
    expect(await look()).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
    letGo();
    await engine.whenIdle();
  });
});

describe('executions that are stored in a folder', () => {
  const definition = workflow({ Look: call('look', { Next: 'Ask' }), Ask: ask('keep') });
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'executions-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Starts the engine in the folder, and what waits in it with `resume`. */
  async function runAgain() {
    const looked: unknown[] = [];
    const { tokens, keep } = keeper();
    const look = async (payload: unknown) => {
      looked.push(payload);
      return {};
    };
    return { ...(await run(definition, { look, keep }, undefined, folder)), looked, tokens };
  }

  it('restart from the first state with their input if they had not ended', async () => {
    const before = await runAgain();
    await before.start('one', { exceptionId: 'EX-1' });
    await before.engine.whenIdle();
    await before.engine.stop();

    const after = await runAgain();
    after.setTime(tuesdayNine);
    expect(after.looked).toEqual([]);
    expect(await after.look()).toMatchObject({ status: 'RUNNING', startDate: new Date(mondayNine) });
    after.engine.resume();
    await after.engine.whenIdle();
    expect(after.looked).toEqual([{ request: { exceptionId: 'EX-1' } }]);
    expect(after.engine.history('one')).toEqual([
      { state: 'Look', at: mondayNine },
      { state: 'Ask', at: mondayNine },
      { state: 'Look', at: tuesdayNine },
      { state: 'Ask', at: tuesdayNine },
    ]);
    await expect(after.succeed(before.tokens[0])).rejects.toThrow('Task Does Not Exist');
    await after.succeed(after.tokens[0], { good: true });
    await after.engine.whenIdle();
    expect(await after.look()).toMatchObject({ status: 'SUCCEEDED', output: { good: true } });
  });

  it('keep their names: nothing starts twice under a running name', async () => {
    const before = await runAgain();
    await before.start('one', { exceptionId: 'EX-1' });
    await before.engine.whenIdle();
    await before.engine.stop();
    const after = await runAgain();
    after.engine.resume();
    await after.start('one', { exceptionId: 'EX-1' });
    await after.engine.whenIdle();
    expect(after.looked).toHaveLength(1);
  });

  it('stay ended if they had ended, in any way', async () => {
    const before = await runAgain();
    for (const name of ['good', 'bad', 'stopped']) {
      await before.start(name);
      await before.engine.whenIdle();
    }
    await before.succeed(before.tokens[0], { good: true });
    await before.fail(before.tokens[1], 'Refused');
    await before.stop('stopped');
    await before.engine.whenIdle();
    await before.engine.stop();

    const after = await runAgain();
    after.engine.resume();
    await after.engine.whenIdle();
    expect(after.looked).toEqual([]);
    expect(await after.look('good')).toMatchObject({ status: 'SUCCEEDED', output: { good: true } });
    expect(await after.look('bad')).toMatchObject({ status: 'FAILED', error: 'Refused', cause: 'they said so' });
    expect(await after.look('stopped')).toMatchObject({ status: 'ABORTED', error: 'Stopped' });
    expect(after.engine.executions().map(({ name }) => name)).toEqual(['good', 'bad', 'stopped']);
    await expect(after.start('good', { other: true })).rejects.toThrow('Execution Already Exists');
  });
});

describe('waiting until idle', () => {
  it('waits for all functions and for everything that they start', async () => {
    const done: string[] = [];
    const slowly = async (payload: unknown) => {
      await sleep(10);
      done.push(JSON.stringify(payload));
    };
    const States = Object.fromEntries(
      ['A', 'B', 'C'].map((name, index, all) => {
        const next = all[index + 1];
        return [name, call('slowly', next === undefined ? { End: true } : { Next: next, ResultPath: null }, { name })];
      }),
    );
    const { engine, start } = await run(workflow(States), { slowly });
    await Promise.all([start('one'), start('two')]);
    await engine.whenIdle();
    expect(done).toHaveLength(6);
    expect(engine.executions().map(({ status }) => status)).toEqual(['SUCCEEDED', 'SUCCEEDED']);
  });

  it('resolves at once if nothing was started, or if everything waits for a token', async () => {
    const { keep } = keeper();
    const { engine, start } = await run(workflow({ A: ask('keep') }), { keep });
    await engine.whenIdle();
    await start();
    await engine.whenIdle();
    await engine.whenIdle();
    expect(engine.executions()).toMatchObject([{ status: 'RUNNING' }]);
  });
});

describe('a workflow that the engine would run wrong', () => {
  it.each([
    ['A', { ...call('f'), QueryLanguage: 'JSONata' }, 'JSONPath only'],
    ['A', { ...call('f'), Assign: { a: 1 } }, 'no variables'],
    ['A', { ...ask('f'), HeartbeatSeconds: 60 }, 'heartbeats'],
    ['A', { ...ask('f'), TimeoutSecondsPath: '$.seconds' }, 'TimeoutSeconds only'],
    ['A', { ...call('f'), Resource: 'arn:aws:states:::sqs:sendMessage' }, 'Resource'],
    ['A', { Type: 'Wait', Seconds: 60, End: true }, 'a Wait would not notice that the clock is advanced'],
    ['B', { Type: 'Parallel', Branches: [workflow({ B: { ...call('f'), Assign: {} } })], End: true }, 'no variables'],
    ['B', { Type: 'Map', ItemProcessor: workflow({ B: { ...call('f'), Assign: {} } }), End: true }, 'no variables'],
  ])('does not start: in state %s %j is refused', async (name, state, why) => {
    const started = run(workflow({ A: state }), { f: async () => undefined });
    await expect(started).rejects.toThrow(`The workflow's state "${name}" cannot run`);
    await expect(started).rejects.toThrow(why);
  });

  it('does not start if it calls a function that does not exist', async () => {
    await expect(run(workflow({ A: call('g') }), { f: async () => undefined })).rejects.toThrow(
      'The workflow\'s state "A" calls g, and there is no such function.',
    );
  });
});

describe('the endpoint', () => {
  it.each([
    ['AWSStepFunctions.ListExecutions', '{}', 'UnknownOperationException'],
    ['AWSStepFunctions.DescribeExecution', '{}', 'ValidationException'],
    ['AWSStepFunctions.DescribeExecution', 'not JSON', 'SerializationException'],
  ])('answers %s with %s by %s', async (target, body, type) => {
    const { engine } = await run(workflow({ A: { Type: 'Succeed' } }));
    const answer = await fetch(engine.endpoint, { method: 'POST', headers: { 'x-amz-target': target }, body });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ __type: type });
  });

  it('is gone after the engine is stopped, once or twice, and so are all executions', async () => {
    const { keep } = keeper();
    const { engine, start } = await run(workflow({ A: ask('keep') }), { keep });
    await start();
    await Promise.all([engine.stop(), engine.stop()]);
    await engine.stop();
    expect(engine.executions()).toMatchObject([{ status: 'ABORTED' }]);
    await expect(fetch(engine.endpoint)).rejects.toThrow('fetch failed');
  });
});
