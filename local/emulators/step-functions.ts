import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate as afterMicrotasks, setTimeout as sleep } from 'node:timers/promises';
import { ExecutionError, StateMachine, type StateMachineDefinition } from 'aws-local-stepfunctions';
import { z } from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import { openAppendOnlyFile } from '../append-only-file.ts';
import { IsoInstant, instantAt } from '../clock.ts';

/**
 * The Lambda of a state. It gets the Payload and returns the result, or throws an error whose name Retry and Catch match.
 */
export type StepHandlers = Readonly<Record<string, (payload: unknown) => Promise<unknown>>>;

/** A state that an execution entered, with the time of the system's clock. */
export type Step = { readonly state: string; readonly at: Instant };

export type Execution = {
  readonly name: string;
  readonly status: ExecutionOutcome['status'];
  readonly startedAt: Instant;
  readonly steps: readonly Step[];
  /** The error name and cause of an execution that failed or was stopped. */
  readonly failure: { readonly error: string; readonly cause: string } | null;
};

export type StepFunctions = {
  readonly endpoint: string;
  /** The ARN of the only state machine, for StartExecution. */
  readonly stateMachineArn: string;
  /** Restarts the executions that had not ended when the folder was last used. */
  resume(): void;
  /** Returns the states that an execution entered, in order, or undefined if it does not exist. */
  history(executionName: string): readonly Step[] | undefined;
  /** Returns all executions, in the order of their start. */
  executions(): readonly Execution[];
  /** Resolves when no handler runs, and every execution waits for a token or has ended. */
  whenIdle(): Promise<void>;
  /** Returns the time of the next timeout of a wait or an execution, or null if there is none. */
  nextTimeoutAt(): Instant | null;
  /**
   * Ends the waits and executions whose timeout has passed, earliest first. A timer does this every second; advancing the
   * clock does it at once.
   */
  expireTimeouts(): void;
  /** Stops listening and drops all executions. Stored executions are not ended. */
  stop(): Promise<void>;
};

/**
 * Runs a workflow as AWS Step Functions would, on loopback, for the real SDK client: AWS JSON 1.0 with StartExecution,
 * SendTaskSuccess, SendTaskFailure, DescribeExecution and StopExecution.
 *
 * With a `folder`, executions are stored in `executions.jsonl`. `resume` restarts those that had not ended from their first
 * state, with the same name and input. Their position is not stored, so the workflow must be restartable at any time, and
 * old task tokens are unknown. Without a folder, everything is in memory.
 *
 * `definition` is the parsed workflow file, in JSONPath. Each Task is a `lambda:invoke`, with or without a task token,
 * whose FunctionName is a name in `handlers`. `now` is the system's clock. It dates the histories and decides the
 * TimeoutSeconds of waits and executions. (The timeout of a plain `lambda:invoke` uses the wall clock, like its handler.)
 * `onChange` is called for every state that is entered and for every end.
 *
 * Throws if the definition uses a feature that this engine would silently run wrong, or a function that is not in
 * `handlers`. One difference remains: if a branch of a Parallel fails, the tokens of the other branches still look open.
 */
export async function startStepFunctions(options: {
  definition: unknown;
  handlers: StepHandlers;
  now: () => Instant;
  onChange?: (execution: Execution) => void;
  name?: string;
  folder?: string;
}): Promise<StepFunctions> {
  const { handlers, now, onChange, name: machineName = 'exception-request', folder } = options;
  const { machine, states, tasks, timeoutSeconds } = prepareWorkflow(options.definition, handlers);
  const timeoutError = await captureTimeoutError();
  const stateMachineArn = `${ACCOUNT}:stateMachine:${machineName}`;
  const executions = new Map<string, ExecutionState>();
  const waits = new Map<string, Wait>();
  const pendingWork = new Set<Promise<unknown>>();
  const executionLog = openAppendOnlyFile(
    folder === undefined ? undefined : join(folder, 'executions.jsonl'),
    ExecutionLogEntry,
  );
  let isStopping = false;

  /** Counts work as pending until it settles, so that `whenIdle` waits for it. */
  const track = <T>(work: Promise<T>): Promise<T> => {
    const settled: Promise<unknown> = work.then(
      () => pendingWork.delete(settled),
      () => pendingWork.delete(settled),
    );
    pendingWork.add(settled);
    return work;
  };

  const deadlineAfter = (from: Instant, seconds: number | undefined): Instant | undefined =>
    seconds === undefined ? undefined : instantAt(Date.parse(from) + seconds * 1000);

  const end = (execution: ExecutionState, outcome: ExecutionOutcome) => {
    if (execution.outcome.status !== 'RUNNING') return;
    execution.outcome = outcome;
    if (!isStopping && outcome.status !== 'RUNNING') executionLog.append({ name: execution.name, ended: outcome });
    execution.abort();
    for (const wait of waits.values())
      if (wait.execution === execution) settle(wait, ({ reject }) => reject(new ExecutionEndedError()));
    onChange?.(toExecution(execution));
  };

  const invoke = async (
    execution: ExecutionState,
    state: string,
    { FunctionName, Payload }: TaskInput,
  ): Promise<Json> => {
    const failures = execution.failures.get(state) ?? 0;
    if (failures > 0) await sleep(Math.min(RETRY_PAUSE_MS * 2 ** (failures - 1), RETRY_PAUSE_MS_MAX));
    // The engine still runs the retries of a stopped execution. AWS calls no function for one.
    if (execution.outcome.status !== 'RUNNING') throw new ExecutionEndedError();
    const handler = handlers[FunctionName];
    if (handler === undefined) throw new Error(`The function ${FunctionName} does not exist.`);
    try {
      return asJson(await handler(asJson(Payload)));
    } catch (error) {
      throw toLambdaError(error);
    }
  };

  const invokeAndWait = (
    execution: ExecutionState,
    task: Task,
    input: TaskInput,
    token: string | undefined,
  ): Promise<Json> => {
    if (token === undefined) throw new Error(`${task.state} passes no task token to ${input.FunctionName}.`);
    const deadlineAt = deadlineAfter(now(), task.timeoutSeconds);
    const wait: Wait = { execution, deadlineAt, result: Promise.withResolvers(), isOpen: true };
    waits.set(token, wait);
    // The token can come back before the handler returns. The workflow continues at once, and the rest of the handler has
    // no effect on it.
    track(invoke(execution, task.state, input)).catch((error: unknown) => settle(wait, ({ reject }) => reject(error)));
    return wait.result.promise;
  };

  const runTask = async (
    execution: ExecutionState,
    task: Task,
    input: TaskInput,
    issuedTokens: ReadonlySet<string>,
  ): Promise<Json> => {
    try {
      const result = task.waitsForToken
        ? await invokeAndWait(execution, task, input, findToken(input.Payload, issuedTokens))
        : { ExecutedVersion: '$LATEST', Payload: await track(invoke(execution, task.state, input)), StatusCode: 200 };
      execution.failures.delete(task.state);
      return result;
    } catch (error) {
      execution.failures.set(task.state, (execution.failures.get(task.state) ?? 0) + 1);
      throw error;
    }
  };

  const addExecution = (name: string, input: string, startedAt: Instant): ExecutionState => {
    const execution: ExecutionState = {
      arn: `${ACCOUNT}:execution:${machineName}:${name}`,
      name,
      input,
      startedAt,
      deadlineAt: deadlineAfter(startedAt, timeoutSeconds),
      steps: [],
      failures: new Map(),
      outcome: { status: 'RUNNING' },
      abort: () => undefined,
    };
    executions.set(name, execution);
    return execution;
  };

  const start = (name: string, input: string): ExecutionState => {
    const execution = addExecution(name, input, now());
    executionLog.append({ name, input, startedAt: execution.startedAt });
    return runExecution(execution);
  };

  /** Runs an execution from its first state. */
  const runExecution = (execution: ExecutionState): ExecutionState => {
    const issuedTokens = new Set<string>();
    const { result, abort, eventLogs } = machine.run(asJson(JSON.parse(execution.input)), {
      context: {
        Execution: { Id: execution.arn, Name: execution.name },
        StateMachine: { Id: stateMachineArn, Name: machineName },
        Local: { StartTime: execution.startedAt },
        Task: {
          // Read for each attempt of a task, so that each has its own token.
          get Token() {
            const token = randomBytes(48).toString('base64url');
            issuedTokens.add(token);
            return token;
          },
        },
      },
      overrides: {
        taskResourceLocalHandlers: Object.fromEntries(
          tasks.map((task) => [task.state, (input) => runTask(execution, task, TaskInput.parse(input), issuedTokens)]),
        ),
        // The engine retries at once, and `invoke` waits instead: there, the wait counts as pending work for `whenIdle`.
        retryIntervalOverrides: Object.fromEntries(states.map((state) => [state, 0])),
      },
    });
    execution.abort = abort;
    const stepsRecorded = recordSteps(execution, eventLogs);
    void result
      .then(
        (output) => ({ status: 'SUCCEEDED' as const, output: JSON.stringify(output) }),
        (error: unknown) => ({ status: 'FAILED' as const, ...describeFailure(error) }),
      )
      .then(async (outcome) => {
        // The result comes before the last states are recorded. An end without them must not be visible.
        await stepsRecorded;
        end(execution, { ...outcome, at: now() });
      });
    return execution;
  };

  const recordSteps = async (execution: ExecutionState, events: ReturnType<StateMachine['run']>['eventLogs']) => {
    for await (const event of events) {
      if (event.type !== 'StateEntered') continue;
      const step = { state: event.state.name, at: now() };
      execution.steps.push(step);
      if (!isStopping) executionLog.append({ name: execution.name, ...step });
      onChange?.(toExecution(execution));
    }
  };

  const findExecution = (executionArn: string): ExecutionState => {
    const [, name] = /^arn:aws:states:[^:]+:\d{12}:execution:[^:]+:([^:]+)$/.exec(executionArn) ?? [];
    if (name === undefined) throw new ServiceError('InvalidArn', `Invalid Arn: '${executionArn}'`);
    const execution = executions.get(name);
    if (execution?.arn === executionArn) return execution;
    throw new ServiceError('ExecutionDoesNotExist', `Execution Does Not Exist: '${executionArn}'`);
  };

  const findWait = (taskToken: string): Wait => {
    if (!/^[\w-]{64}$/.test(taskToken)) throw new ServiceError('InvalidToken', "Invalid Token: 'Invalid token'");
    const wait = waits.get(taskToken);
    if (wait === undefined) throw new ServiceError('TaskDoesNotExist', "Task Does Not Exist: 'Task does not exist'");
    if (wait.isOpen) return wait;
    throw new ServiceError('TaskTimedOut', "Task Timed Out: 'Provided task does not exist anymore'");
  };

  const operations: Operations = {
    StartExecution(body) {
      const { stateMachineArn: arn, name = randomUUID(), input } = parseBody(requestSchemas.StartExecution, body);
      if (arn !== stateMachineArn) {
        throw new ServiceError('StateMachineDoesNotExist', `State Machine Does Not Exist: '${arn}'`);
      }
      if (!EXECUTION_NAME.test(name)) throw new ServiceError('InvalidName', `Invalid Name: '${name}'`);
      if (!isJson(input)) throw new ServiceError('InvalidExecutionInput', 'Invalid State Machine Execution Input');
      const existing = executions.get(name);
      if (existing !== undefined && (existing.outcome.status !== 'RUNNING' || existing.input !== input)) {
        throw new ServiceError('ExecutionAlreadyExists', `Execution Already Exists: '${existing.arn}'`);
      }
      const execution = existing ?? start(name, input);
      return { executionArn: execution.arn, startDate: epochSeconds(execution.startedAt) };
    },

    DescribeExecution(body) {
      const execution = findExecution(parseBody(requestSchemas.DescribeExecution, body).executionArn);
      const { outcome } = execution;
      return {
        executionArn: execution.arn,
        stateMachineArn,
        name: execution.name,
        status: outcome.status,
        startDate: epochSeconds(execution.startedAt),
        stopDate: outcome.status === 'RUNNING' ? undefined : epochSeconds(outcome.at),
        input: execution.input,
        inputDetails: { included: true },
        ...(outcome.status === 'SUCCEEDED' && { output: outcome.output, outputDetails: { included: true } }),
        ...(hasFailed(outcome) && { error: outcome.error, cause: outcome.cause }),
        redriveCount: 0,
        redriveStatus: 'NOT_REDRIVABLE',
      };
    },

    StopExecution(body) {
      const { executionArn, error, cause } = parseBody(requestSchemas.StopExecution, body);
      const execution = findExecution(executionArn);
      // An execution that has ended keeps its end. The response has its time.
      end(execution, { status: 'ABORTED', at: now(), error, cause });
      return { stopDate: epochSeconds(execution.outcome.status === 'RUNNING' ? now() : execution.outcome.at) };
    },

    SendTaskSuccess(body) {
      const { taskToken, output } = parseBody(requestSchemas.SendTaskSuccess, body);
      const wait = findWait(taskToken);
      if (!isJson(output)) throw new ServiceError('InvalidOutput', 'Invalid Output');
      settle(wait, ({ resolve }) => resolve(JSON.parse(output)));
      return {};
    },

    SendTaskFailure(body) {
      const { taskToken, error = 'States.TaskFailed', cause = '' } = parseBody(requestSchemas.SendTaskFailure, body);
      settle(findWait(taskToken), ({ reject }) => reject(namedError(error, cause)));
      return {};
    },
  };

  /** Returns everything with a timeout, earliest first. */
  const deadlines = () =>
    [
      ...[...executions.values()].map((execution) => ({
        at: execution.outcome.status === 'RUNNING' ? execution.deadlineAt : undefined,
        reach: () => end(execution, { status: 'TIMED_OUT', at: now() }),
      })),
      ...[...waits.values()].map((wait) => ({
        at: wait.isOpen ? wait.deadlineAt : undefined,
        reach: () => settle(wait, ({ reject }) => reject(timeoutError)),
      })),
    ]
      .flatMap(({ at, reach: expire }) => (at === undefined ? [] : [{ at, reach: expire }]))
      .sort((a, b) => a.at.localeCompare(b.at));

  const expireTimeouts = () => {
    for (const { at, reach: expire } of deadlines()) if (at <= now()) expire();
  };

  const timeoutTimer = setInterval(expireTimeouts, 1000).unref();
  const listener = await startListener(operations, track);
  for (const entry of executionLog.lines) replay(entry, executions, addExecution);
  const unfinished = [...executions.values()].filter(({ outcome }) => outcome.status === 'RUNNING');

  return {
    endpoint: listener.endpoint,
    stateMachineArn,
    resume: () => {
      for (const execution of unfinished.splice(0)) runExecution(execution);
    },
    history: (executionName) => executions.get(executionName)?.steps.slice(),
    executions: () => [...executions.values()].map(toExecution),
    async whenIdle() {
      do {
        await Promise.all(pendingWork);
        // Between two handlers the engine needs only microtasks, and this runs after all of them.
        await afterMicrotasks();
      } while (pendingWork.size > 0);
    },
    nextTimeoutAt: () => deadlines()[0]?.at ?? null,
    expireTimeouts,
    async stop() {
      clearInterval(timeoutTimer);
      isStopping = true;
      for (const execution of executions.values()) {
        end(execution, { status: 'ABORTED', at: now(), cause: 'the local system was stopped' });
      }
      await listener.close();
    },
  };
}

const ACCOUNT = 'arn:aws:states:us-east-1:000000000000';

/**
 * A retry waits 20 ms, doubling to at most 200 ms, whatever IntervalSeconds and BackoffRate say: long enough for concurrent
 * work to finish, and short enough for advancing the clock by weeks.
 */
const RETRY_PAUSE_MS = 20;
const RETRY_PAUSE_MS_MAX = 200;

/**
 * The maximum delay of a Node timer. The engine's default timeout for a task is one minute; a longer delay than this would
 * fire at once.
 */
const TIMER_SECONDS_MAX = 2_147_483;

const EXECUTION_NAME = /^[^\s\p{Cc}<>{}[\]?*"#%\\^|~`$&,;:/]{1,80}$/u;

type Json = Parameters<StateMachine['run']>[0];

type ExecutionOutcome =
  | { readonly status: 'RUNNING' }
  | { readonly status: 'SUCCEEDED'; readonly at: Instant; readonly output: string }
  | {
      readonly status: 'FAILED' | 'ABORTED' | 'TIMED_OUT';
      readonly at: Instant;
      readonly error?: string | undefined;
      readonly cause?: string | undefined;
    };

type ExecutionState = {
  readonly arn: string;
  readonly name: string;
  readonly input: string;
  readonly startedAt: Instant;
  readonly deadlineAt: Instant | undefined;
  readonly steps: Step[];
  /** The number of consecutive failures of each state, from which the delay of a retry follows. */
  readonly failures: Map<string, number>;
  outcome: ExecutionOutcome;
  abort: () => void;
};

/** A state that waits for its task token. A token is valid once, and while its execution runs. */
type Wait = {
  readonly execution: ExecutionState;
  readonly deadlineAt: Instant | undefined;
  readonly result: PromiseWithResolvers<Json>;
  isOpen: boolean;
};

/** A stored line: an execution started, entered a state, or ended. */
type ExecutionLogEntry = z.infer<typeof ExecutionLogEntry>;
const ExecutionLogEntry = z.union([
  z.strictObject({ name: z.string(), input: z.string(), startedAt: IsoInstant }),
  z.strictObject({ name: z.string(), state: z.string(), at: IsoInstant }),
  z.strictObject({
    name: z.string(),
    ended: z.union([
      z.strictObject({ status: z.literal('SUCCEEDED'), at: IsoInstant, output: z.string() }),
      z.strictObject({
        status: z.enum(['FAILED', 'ABORTED', 'TIMED_OUT']),
        at: IsoInstant,
        error: z.string().optional(),
        cause: z.string().optional(),
      }),
    ]),
  }),
]);

function replay(
  entry: ExecutionLogEntry,
  executions: ReadonlyMap<string, ExecutionState>,
  addExecution: (name: string, input: string, startedAt: Instant) => ExecutionState,
): void {
  if ('input' in entry) {
    addExecution(entry.name, entry.input, entry.startedAt);
    return;
  }
  const execution = executions.get(entry.name);
  if (execution === undefined)
    throw new Error(`The stored executions have an entry of ${entry.name}, which never started.`);
  if ('ended' in entry) execution.outcome = entry.ended;
  else execution.steps.push({ state: entry.state, at: entry.at });
}

function settle(wait: Wait, settleResult: (result: PromiseWithResolvers<Json>) => void): void {
  if (!wait.isOpen) return;
  wait.isOpen = false;
  settleResult(wait.result);
}

function toExecution({ name, outcome, startedAt, steps }: ExecutionState): Execution {
  const failure = hasFailed(outcome) ? { error: outcome.error ?? '', cause: outcome.cause ?? '' } : null;
  return { name, status: outcome.status, startedAt, steps: steps.slice(), failure: failure };
}

function hasFailed(
  outcome: ExecutionOutcome,
): outcome is Extract<ExecutionOutcome, { status: 'FAILED' | 'ABORTED' | 'TIMED_OUT' }> {
  return outcome.status !== 'RUNNING' && outcome.status !== 'SUCCEEDED';
}

function epochSeconds(at: Instant): number {
  return Date.parse(at) / 1000;
}

// What a workflow file may say

const INVOKE = 'arn:aws:states:::lambda:invoke';
const INVOKE_AND_WAIT = `${INVOKE}.waitForTaskToken`;

const unsupported = (reason: string) => z.undefined({ error: reason }).optional();

const commonStateFields = {
  QueryLanguage: z.literal('JSONPath', { error: 'the local engine knows JSONPath only' }).optional(),
  Assign: unsupported('the local engine has no variables'),
};

const TaskState = z.looseObject({
  ...commonStateFields,
  Type: z.literal('Task'),
  Resource: z.enum([INVOKE, INVOKE_AND_WAIT]),
  Parameters: z.looseObject({ FunctionName: z.string() }),
  TimeoutSeconds: z.int().positive().optional(),
  TimeoutSecondsPath: unsupported('the local engine runs TimeoutSeconds only'),
  HeartbeatSeconds: unsupported('the local engine does not listen for heartbeats'),
});

const State = z.discriminatedUnion(
  'Type',
  [
    TaskState,
    z.looseObject({ ...commonStateFields, Type: z.enum(['Pass', 'Choice', 'Parallel', 'Map', 'Succeed', 'Fail']) }),
  ],
  { error: 'the local engine runs no state of this Type (a Wait would not notice that the clock is advanced)' },
);

const Machine = z.looseObject({
  QueryLanguage: commonStateFields.QueryLanguage,
  TimeoutSeconds: z.int().positive().optional(),
  StartAt: z.string(),
  States: z.record(
    z.string(),
    z.looseObject({
      Branches: z.array(z.unknown()).optional(),
      Iterator: z.unknown().optional(),
      ItemProcessor: z.unknown().optional(),
    }),
  ),
});

type Task = { readonly state: string; readonly waitsForToken: boolean; readonly timeoutSeconds: number | undefined };

/**
 * Checks a workflow for features that would run wrong here, and converts it so that the engine runs it as AWS runs the
 * original.
 */
function prepareWorkflow(
  definition: unknown,
  handlers: StepHandlers,
): {
  machine: StateMachine;
  states: readonly string[];
  tasks: readonly Task[];
  timeoutSeconds: number | undefined;
} {
  const states = statesOf(definition);
  const tasks: Task[] = [];
  for (const [name, value] of states) {
    const state = State.safeParse(value);
    if (!state.success) throw new Error(`The workflow's state "${name}" cannot run: ${z.prettifyError(state.error)}`);
    if (state.data.Type !== 'Task') continue;
    const { Resource, Parameters, TimeoutSeconds } = TaskState.parse(value);
    if (!Object.hasOwn(handlers, Parameters.FunctionName)) {
      throw new Error(
        `The workflow's state "${name}" calls ${Parameters.FunctionName}, and there is no such function.`,
      );
    }
    tasks.push({ state: name, waitsForToken: Resource === INVOKE_AND_WAIT, timeoutSeconds: TimeoutSeconds });
  }
  const { TimeoutSeconds: timeoutSeconds, ...rest } = Machine.parse(definition);
  const runnable = z.custom<StateMachineDefinition>((value) => Machine.safeParse(value).success);
  const adapted = runnable.parse(JSON.parse(JSON.stringify(rest), adaptForEngine));
  return {
    machine: new StateMachine(adapted, { validationOptions: { noValidate: true } }),
    states: states.map(([name]) => name),
    tasks,
    timeoutSeconds,
  };
}

/** Returns the states of a workflow with their names, including those inside Parallel and Map states. */
function statesOf(machine: unknown): [string, unknown][] {
  return Object.entries(Machine.parse(machine).States).flatMap(([name, state]): [string, unknown][] => {
    const inner = [...(state.Branches ?? []), state.Iterator, state.ItemProcessor].filter((one) => one !== undefined);
    return [[name, state], ...inner.flatMap(statesOf)];
  });
}

/** A JSON reviver for the differences between the engine and AWS. */
function adaptForEngine(key: string, value: unknown): unknown {
  // The engine treats "$" as a field name. Without a ResultPath, it does what "$" means.
  if (key === 'ResultPath' && value === '$') return undefined;
  // The engine dates executions by the wall clock.
  if (typeof value === 'string') return value.replaceAll('$$.Execution.StartTime', () => '$$.Local.StartTime');
  const task = TaskState.safeParse(value);
  if (!task.success) return value;
  const { Resource, TimeoutSeconds = TIMER_SECONDS_MAX } = task.data;
  // Waits for a token use the system's clock, so this file times them out.
  const seconds = Resource === INVOKE_AND_WAIT ? TIMER_SECONDS_MAX : TimeoutSeconds;
  return { ...task.data, TimeoutSeconds: Math.min(seconds, TIMER_SECONDS_MAX) };
}

type TaskInput = z.infer<typeof TaskInput>;
const TaskInput = z.object({ FunctionName: z.string(), Payload: z.unknown() });

/** Returns the issued token in a Payload, at any depth. */
function findToken(payload: unknown, issuedTokens: ReadonlySet<string>): string | undefined {
  if (typeof payload === 'string') return issuedTokens.has(payload) ? payload : undefined;
  if (typeof payload !== 'object' || payload === null) return undefined;
  for (const part of Object.values(payload)) {
    const token = findToken(part, issuedTokens);
    if (token !== undefined) return token;
  }
  return undefined;
}

// How things fail

/** The error of a state whose execution has ended. No Retry or Catch may match it. */
class ExecutionEndedError extends Error {
  readonly isRetryable = false;
  readonly isCatchable = false;
}

function namedError(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

/** Returns a function error as Step Functions reports it: the name of the exception, and a JSON cause. */
function toLambdaError(thrown: unknown): Error {
  const { name, message, stack = '' } = thrown instanceof Error ? thrown : new Error(String(thrown));
  return namedError(name, JSON.stringify({ errorType: name, errorMessage: message, trace: stack.split('\n') }));
}

function describeFailure(error: unknown): { error: string; cause: string } {
  const reason = error instanceof ExecutionError ? error.cause : error;
  return reason instanceof Error
    ? { error: reason.name, cause: reason.message }
    : { error: 'States.Runtime', cause: String(reason) };
}

/**
 * Returns the engine's timeout error, the only one that `States.TaskFailed` does not match. It is not exported, so a task
 * that times out provides it.
 */
async function captureTimeoutError(): Promise<unknown> {
  const never = { Type: 'Task', Resource: INVOKE, TimeoutSeconds: 0.001, End: true } as const;
  const machine = new StateMachine(
    { StartAt: 'Never', States: { Never: never } },
    { validationOptions: { noValidate: true } },
  );
  const { result } = machine.run(null, {
    overrides: { taskResourceLocalHandlers: { Never: () => Promise.withResolvers<null>().promise } },
  });
  try {
    return await result;
  } catch (error) {
    return error instanceof ExecutionError ? error.cause : error;
  }
}

// The wire

/** An error response of the service. */
class ServiceError extends Error {
  override readonly name: string;

  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

const requestSchemas = {
  StartExecution: z.object({
    stateMachineArn: z.string(),
    name: z.string().optional(),
    input: z.string().default('{}'),
  }),
  DescribeExecution: z.object({ executionArn: z.string() }),
  StopExecution: z.object({ executionArn: z.string(), error: z.string().optional(), cause: z.string().optional() }),
  SendTaskSuccess: z.object({ taskToken: z.string(), output: z.string() }),
  SendTaskFailure: z.object({ taskToken: z.string(), error: z.string().optional(), cause: z.string().optional() }),
};

type Operations = Readonly<Record<keyof typeof requestSchemas, (body: unknown) => object>>;

type Listener = { readonly endpoint: string; close(): Promise<void> };

async function startListener(operations: Operations, track: <T>(work: Promise<T>) => Promise<T>): Promise<Listener> {
  const byTarget = new Map(
    Object.entries(operations).map(([name, operation]) => [`AWSStepFunctions.${name}`, operation]),
  );

  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await text(request).catch(() => undefined);
    // The caller closed the connection, so there is no response to send.
    if (body === undefined) return;
    const { status, responseBody } = handleRequest(byTarget.get(String(request.headers['x-amz-target'])), body);
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0', 'x-amzn-requestid': randomUUID() });
    response.end(JSON.stringify(responseBody));
  };
  const server = createServer((request, response) => void track(respond(request, response)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');

  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    async close() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function handleRequest(
  operation: ((body: unknown) => object) | undefined,
  body: string,
): { status: number; responseBody: object } {
  try {
    if (operation === undefined)
      throw new ServiceError('UnknownOperationException', 'The local system does not support this operation.');
    if (!isJson(body)) throw new ServiceError('SerializationException', 'The body is not JSON.');
    return { status: 200, responseBody: operation(JSON.parse(body)) };
  } catch (error) {
    if (error instanceof ServiceError)
      return { status: 400, responseBody: { __type: error.name, message: error.message } };
    throw error;
  }
}

function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new ServiceError('ValidationException', z.prettifyError(result.error));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Returns a value after a round trip through JSON, which is how the service passes everything on. */
function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value ?? null));
}
