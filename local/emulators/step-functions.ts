import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate as afterMicrotasks, setTimeout as sleep } from 'node:timers/promises';
import { ExecutionError, StateMachine, type StateMachineDefinition } from 'aws-local-stepfunctions';
import { z } from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import { IsoInstant, instantAt } from '../clock.ts';
import { openAppendOnlyFile } from '../append-only-file.ts';

/**
 * What a Lambda does for a state: takes the Payload, gives the result, or throws an error whose name Retry and Catch
 * match.
 */
export type StepHandlers = Readonly<Record<string, (payload: unknown) => Promise<unknown>>>;

/** A state that an execution entered, and when by the system's clock. */
export type Step = { readonly state: string; readonly at: Instant };

export type Execution = {
  readonly name: string;
  readonly status: ExecutionOutcome['status'];
  readonly startedAt: Instant;
  readonly steps: readonly Step[];
  /** Why it ended, unless it still runs or succeeded: the error's name and what is known of it. */
  readonly failure: { readonly error: string; readonly cause: string } | null;
};

export type StepFunctions = {
  readonly endpoint: string;
  /** The only state machine there is, for StartExecution. */
  readonly stateMachineArn: string;
  /** Begins those executions again that had not ended when the folder was last in use. */
  resume(): void;
  /** The states that the execution of that name entered, in order; undefined when there is no such execution. */
  history(executionName: string): readonly Step[] | undefined;
  /** Every execution, in the order in which they began. */
  executions(): readonly Execution[];
  /** Answers when no handler is running, and every execution waits for a token or has ended. */
  whenIdle(): Promise<void>;
  /** When the next wait for a token, or a whole execution, runs out of its TimeoutSeconds; null when none will. */
  nextTimeoutAt(): Instant | null;
  /**
   * Ends what has run out of its TimeoutSeconds by now, earliest first. It is done each second anyway; who winds the
   * clock on does it at once.
   */
  expireTimeouts(): void;
  /** Lets go of every execution and stops listening. Those that are kept are not ended by it. */
  stop(): Promise<void>;
};

/**
 * Runs a workflow as AWS Step Functions would, on loopback, for the real SDK client: AWS JSON 1.0 with StartExecution,
 * SendTaskSuccess, SendTaskFailure, DescribeExecution and StopExecution.
 *
 * With a `folder`, what came of the executions is kept there in `executions.jsonl`. On `resume`, one that had not ended
 * begins again from its first state, with its input, under its name: where it stood in the middle of things is not kept,
 * so the workflow must be one that can be started again at any time. Its old task tokens are unknown then. Without a
 * folder all is in memory.
 *
 * `definition` is the parsed workflow file, in JSONPath. Each Task is a `lambda:invoke`, with or without a task token,
 * whose FunctionName is a name in `handlers`. `now` is the system's clock: it dates the histories, and the
 * TimeoutSeconds of a wait for a token and of an execution run by it. (That of a plain `lambda:invoke` runs by the wall
 * clock, as its handler does.) `onChange` is told of every state entered and every end.
 *
 * Throws when the definition uses what this engine would silently get wrong, or a function that is not in `handlers`.
 * One thing it does get wrong remains: when a branch of a Parallel fails, the tokens of the other branches still look
 * open.
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
  const executionLog = openAppendOnlyFile(folder === undefined ? undefined : join(folder, 'executions.jsonl'), ExecutionLogEntry);
  let isStopping = false;

  /** Counts work as going on until it is settled, so that `quiet` waits for it. */
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
    for (const wait of waits.values()) if (wait.execution === execution) settle(wait, ({ reject }) => reject(new ExecutionEndedError()));
    onChange?.(toExecution(execution));
  };

  const invoke = async (execution: ExecutionState, state: string, { FunctionName, Payload }: TaskInput): Promise<Json> => {
    const failures = execution.failures.get(state) ?? 0;
    if (failures > 0) await sleep(Math.min(RETRY_PAUSE_MS * 2 ** (failures - 1), RETRY_PAUSE_MS_MAX));
    // The engine lets an aborted execution go through its retries still; the service does not call a function for one.
    if (execution.outcome.status !== 'RUNNING') throw new ExecutionEndedError();
    const handler = handlers[FunctionName];
    if (handler === undefined) throw new Error(`there is no function ${FunctionName}`);
    try {
      return asJson(await handler(asJson(Payload)));
    } catch (error) {
      throw toLambdaError(error);
    }
  };

  const invokeAndWait = (execution: ExecutionState, task: Task, input: TaskInput, token: string | undefined): Promise<Json> => {
    if (token === undefined) throw new Error(`${task.state} hands no task token to ${input.FunctionName}`);
    const deadlineAt = deadlineAfter(now(), task.timeoutSeconds);
    const wait: Wait = { execution, deadlineAt, result: Promise.withResolvers(), isOpen: true };
    waits.set(token, wait);
    // The token can come back before the handler has returned: the workflow then goes on at once, and the rest of the
    // handler changes nothing.
    track(invoke(execution, task.state, input)).catch((error: unknown) => settle(wait, ({ reject }) => reject(error)));
    return wait.result.promise;
  };

  const runTask = async (execution: ExecutionState, task: Task, input: TaskInput, issuedTokens: ReadonlySet<string>): Promise<Json> => {
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

  /** Runs an execution from the first state on. */
  const runExecution = (execution: ExecutionState): ExecutionState => {
    const issuedTokens = new Set<string>();
    const { result, abort, eventLogs } = machine.run(asJson(JSON.parse(execution.input)), {
      context: {
        Execution: { Id: execution.arn, Name: execution.name },
        StateMachine: { Id: stateMachineArn, Name: machineName },
        Local: { StartTime: execution.startedAt },
        Task: {
          // Read once for every attempt at a task, so that each has a token of its own.
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
        // The engine retries at once and `invoke` does the waiting: there it counts as work, and `quiet` need not guess
        // about timers.
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
        // The result is out before the last states are recorded; nobody is to see an end without them.
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
      // What has ended already keeps its own end, and its time is the answer.
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

  /** Everything that has an end by the clock, earliest first. */
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
        // From the end of one handler to the start of the next the engine needs microtasks only, and this comes after
        // all of them.
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
 * A retry waits 20 ms, twice as long each further time, and 200 ms at most, whatever IntervalSeconds and BackoffRate
 * say: long enough for others to get on meanwhile, and short enough that a clock wound on by weeks need not stand still
 * for it.
 */
const RETRY_PAUSE_MS = 20;
const RETRY_PAUSE_MS_MAX = 200;

/**
 * The longest that a timer of Node can wait. The engine gives a task one minute unless told otherwise, and a longer
 * time than this no time at all.
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
  /** How often in a row each state has failed: how long a retry waits follows from it. */
  readonly failures: Map<string, number>;
  outcome: ExecutionOutcome;
  abort: () => void;
};

/** An attempt at a state that waits for its token to come back. A token is good once, and while its execution runs. */
type Wait = {
  readonly execution: ExecutionState;
  readonly deadlineAt: Instant | undefined;
  readonly result: PromiseWithResolvers<Json>;
  isOpen: boolean;
};

/** A line of what is kept: an execution began, entered a state, or ended. */
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
  if (execution === undefined) throw new Error(`The kept executions tell of ${entry.name}, which never began.`);
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

function hasFailed(outcome: ExecutionOutcome): outcome is Extract<ExecutionOutcome, { status: 'FAILED' | 'ABORTED' | 'TIMED_OUT' }> {
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
  [TaskState, z.looseObject({ ...commonStateFields, Type: z.enum(['Pass', 'Choice', 'Parallel', 'Map', 'Succeed', 'Fail']) })],
  { error: 'the local engine runs no state of this Type (a Wait would not see the clock being wound on)' },
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
 * Checks a workflow for what would go wrong here, and makes of it what the engine runs as the service would run the
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

/** The states of a workflow with their names, those inside of Parallel and Map states too. */
function statesOf(machine: unknown): [string, unknown][] {
  return Object.entries(Machine.parse(machine).States).flatMap(([name, state]): [string, unknown][] => {
    const inner = [...(state.Branches ?? []), state.Iterator, state.ItemProcessor].filter((one) => one !== undefined);
    return [[name, state], ...inner.flatMap(statesOf)];
  });
}

/** A JSON reviver for what the engine does differently from the service. */
function adaptForEngine(key: string, value: unknown): unknown {
  // It takes "$" for the name of a field; without a ResultPath it does what "$" means.
  if (key === 'ResultPath' && value === '$') return undefined;
  // It dates executions by the wall clock.
  if (typeof value === 'string') return value.replaceAll('$$.Execution.StartTime', () => '$$.Local.StartTime');
  const task = TaskState.safeParse(value);
  if (!task.success) return value;
  const { Resource, TimeoutSeconds = TIMER_SECONDS_MAX } = task.data;
  // Waiting for a token runs by the system's clock and is timed out by us.
  const seconds = Resource === INVOKE_AND_WAIT ? TIMER_SECONDS_MAX : TimeoutSeconds;
  return { ...task.data, TimeoutSeconds: Math.min(seconds, TIMER_SECONDS_MAX) };
}

type TaskInput = z.infer<typeof TaskInput>;
const TaskInput = z.object({ FunctionName: z.string(), Payload: z.unknown() });

/** The token among those issued that a Payload hands over, at whatever depth. */
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

/** What a state is left with when its execution has ended; no Retry and no Catch may take it up. */
class ExecutionEndedError extends Error {
  readonly isRetryable = false;
  readonly isCatchable = false;
}

function namedError(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

/** A function's failure as Step Functions reports it: the error is the exception's name, the cause is a JSON text. */
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
 * The engine's own timeout error, the one thing that `States.TaskFailed` does not match. It is not exported, so it is
 * had from a task that times out.
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

/** An answer of the service's that says no. */
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
  const byTarget = new Map(Object.entries(operations).map(([name, operation]) => [`AWSStepFunctions.${name}`, operation]));

  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await text(request).catch(() => undefined);
    // The caller hung up in the middle of it: there is nobody to answer.
    if (body === undefined) return;
    const { status, responseBody } = handleRequest(byTarget.get(String(request.headers['x-amz-target'])), body);
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0', 'x-amzn-requestid': randomUUID() });
    response.end(JSON.stringify(responseBody));
  };
  const server = createServer((request, response) => void track(respond(request, response)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');

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
    if (operation === undefined) throw new ServiceError('UnknownOperationException', 'not in the local system');
    if (!isJson(body)) throw new ServiceError('SerializationException', 'the body is not JSON');
    return { status: 200, responseBody: operation(JSON.parse(body)) };
  } catch (error) {
    if (error instanceof ServiceError) return { status: 400, responseBody: { __type: error.name, message: error.message } };
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

/** A value as it is after a journey as JSON, which is how the service hands everything on. */
function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value ?? null));
}
