import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate as afterMicrotasks, setTimeout as sleep } from 'node:timers/promises';
import { ExecutionError, StateMachine, type StateMachineDefinition } from 'aws-local-stepfunctions';
import { z } from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';
import { openJournal } from '../append-only-file.ts';
import { Moment, momentAt } from '../clock.ts';

/**
 * What a Lambda does for a state: takes the Payload, gives the result, or throws an error whose name Retry and Catch
 * match.
 */
export type StepHandlers = Readonly<Record<string, (payload: unknown) => Promise<unknown>>>;

/** A state that an execution entered, and when by the system's clock. */
export type Step = { readonly state: string; readonly at: Instant };

export type Execution = {
  readonly name: string;
  readonly status: Outcome['status'];
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
  quiet(): Promise<void>;
  /** When the next wait for a token, or a whole execution, runs out of its TimeoutSeconds; null when none will. */
  nextTimeoutAt(): Instant | null;
  /**
   * Ends what has run out of its TimeoutSeconds by now, earliest first. It is done each second anyway; who winds the
   * clock on does it at once.
   */
  timeOut(): void;
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
  const { machine, states, tasks, timeoutSeconds } = prepare(options.definition, handlers);
  const timedOut = await engineTimeout();
  const stateMachineArn = `${ACCOUNT}:stateMachine:${machineName}`;
  const runs = new Map<string, Run>();
  const waits = new Map<string, Wait>();
  const busy = new Set<Promise<unknown>>();
  const journal = openJournal(folder === undefined ? undefined : join(folder, 'executions.jsonl'), Told);
  let stopping = false;

  /** Counts work as going on until it is settled, so that `quiet` waits for it. */
  const during = <T>(work: Promise<T>): Promise<T> => {
    const settled: Promise<unknown> = work.then(
      () => busy.delete(settled),
      () => busy.delete(settled),
    );
    busy.add(settled);
    return work;
  };

  const runsOut = (from: Instant, seconds: number | undefined): Instant | undefined =>
    seconds === undefined ? undefined : momentAt(Date.parse(from) + seconds * 1000);

  const end = (run: Run, outcome: Outcome) => {
    if (run.outcome.status !== 'RUNNING') return;
    run.outcome = outcome;
    if (!stopping && outcome.status !== 'RUNNING') journal.write({ name: run.name, ended: outcome });
    run.abort();
    for (const wait of waits.values()) if (wait.run === run) settle(wait, ({ reject }) => reject(new Ended()));
    onChange?.(view(run));
  };

  const invoke = async (run: Run, state: string, { FunctionName, Payload }: TaskInput): Promise<Json> => {
    const failures = run.failures.get(state) ?? 0;
    if (failures > 0) await sleep(Math.min(RETRY_PAUSE_MS * 2 ** (failures - 1), LONGEST_RETRY_PAUSE_MS));
    // The engine lets an aborted execution go through its retries still; the service does not call a function for one.
    if (run.outcome.status !== 'RUNNING') throw new Ended();
    const handler = handlers[FunctionName];
    if (handler === undefined) throw new Error(`there is no function ${FunctionName}`);
    try {
      return asJson(await handler(asJson(Payload)));
    } catch (error) {
      throw lambdaError(error);
    }
  };

  const invokeAndWait = (run: Run, task: Task, input: TaskInput, token: string | undefined): Promise<Json> => {
    if (token === undefined) throw new Error(`${task.state} hands no task token to ${input.FunctionName}`);
    const runsOutAt = runsOut(now(), task.timeoutSeconds);
    const wait: Wait = { run, runsOutAt, result: Promise.withResolvers(), open: true };
    waits.set(token, wait);
    // The token can come back before the handler has returned: the workflow then goes on at once, and the rest of the
    // handler changes nothing.
    during(invoke(run, task.state, input)).catch((error: unknown) => settle(wait, ({ reject }) => reject(error)));
    return wait.result.promise;
  };

  const attempt = async (run: Run, task: Task, input: TaskInput, issued: ReadonlySet<string>): Promise<Json> => {
    try {
      const result = task.waits
        ? await invokeAndWait(run, task, input, tokenIn(input.Payload, issued))
        : { ExecutedVersion: '$LATEST', Payload: await during(invoke(run, task.state, input)), StatusCode: 200 };
      run.failures.delete(task.state);
      return result;
    } catch (error) {
      run.failures.set(task.state, (run.failures.get(task.state) ?? 0) + 1);
      throw error;
    }
  };

  const enter = (name: string, input: string, startedAt: Instant): Run => {
    const run: Run = {
      arn: `${ACCOUNT}:execution:${machineName}:${name}`,
      name,
      input,
      startedAt,
      runsOutAt: runsOut(startedAt, timeoutSeconds),
      steps: [],
      failures: new Map(),
      outcome: { status: 'RUNNING' },
      abort: () => undefined,
    };
    runs.set(name, run);
    return run;
  };

  const start = (name: string, input: string): Run => {
    const run = enter(name, input, now());
    journal.write({ name, input, startedAt: run.startedAt });
    return drive(run);
  };

  /** Runs an execution from the first state on. */
  const drive = (run: Run): Run => {
    const issued = new Set<string>();
    const { result, abort, eventLogs } = machine.run(asJson(JSON.parse(run.input)), {
      context: {
        Execution: { Id: run.arn, Name: run.name },
        StateMachine: { Id: stateMachineArn, Name: machineName },
        Local: { StartTime: run.startedAt },
        Task: {
          // Read once for every attempt at a task, so that each has a token of its own.
          get Token() {
            const token = randomBytes(48).toString('base64url');
            issued.add(token);
            return token;
          },
        },
      },
      overrides: {
        taskResourceLocalHandlers: Object.fromEntries(
          tasks.map((task) => [task.state, (input) => attempt(run, task, TaskInput.parse(input), issued)]),
        ),
        // The engine retries at once and `invoke` does the waiting: there it counts as work, and `quiet` need not guess
        // about timers.
        retryIntervalOverrides: Object.fromEntries(states.map((state) => [state, 0])),
      },
    });
    run.abort = abort;
    const recorded = record(run, eventLogs);
    void result
      .then(
        (output) => ({ status: 'SUCCEEDED' as const, output: JSON.stringify(output) }),
        (error: unknown) => ({ status: 'FAILED' as const, ...failure(error) }),
      )
      .then(async (outcome) => {
        // The result is out before the last states are recorded; nobody is to see an end without them.
        await recorded;
        end(run, { ...outcome, at: now() });
      });
    return run;
  };

  const record = async (run: Run, events: ReturnType<StateMachine['run']>['eventLogs']) => {
    for await (const event of events) {
      if (event.type !== 'StateEntered') continue;
      const step = { state: event.state.name, at: now() };
      run.steps.push(step);
      if (!stopping) journal.write({ name: run.name, ...step });
      onChange?.(view(run));
    }
  };

  const runOf = (executionArn: string): Run => {
    const [, name] = /^arn:aws:states:[^:]+:\d{12}:execution:[^:]+:([^:]+)$/.exec(executionArn) ?? [];
    if (name === undefined) throw new ServiceError('InvalidArn', `Invalid Arn: '${executionArn}'`);
    const run = runs.get(name);
    if (run?.arn === executionArn) return run;
    throw new ServiceError('ExecutionDoesNotExist', `Execution Does Not Exist: '${executionArn}'`);
  };

  const waitOf = (taskToken: string): Wait => {
    if (!/^[\w-]{64}$/.test(taskToken)) throw new ServiceError('InvalidToken', "Invalid Token: 'Invalid token'");
    const wait = waits.get(taskToken);
    if (wait === undefined) throw new ServiceError('TaskDoesNotExist', "Task Does Not Exist: 'Task does not exist'");
    if (wait.open) return wait;
    throw new ServiceError('TaskTimedOut', "Task Timed Out: 'Provided task does not exist anymore'");
  };

  const operations: Operations = {
    StartExecution(body) {
      const { stateMachineArn: arn, name = randomUUID(), input } = read(Body.StartExecution, body);
      if (arn !== stateMachineArn) {
        throw new ServiceError('StateMachineDoesNotExist', `State Machine Does Not Exist: '${arn}'`);
      }
      if (!EXECUTION_NAME.test(name)) throw new ServiceError('InvalidName', `Invalid Name: '${name}'`);
      if (!isJson(input)) throw new ServiceError('InvalidExecutionInput', 'Invalid State Machine Execution Input');
      const before = runs.get(name);
      if (before !== undefined && (before.outcome.status !== 'RUNNING' || before.input !== input)) {
        throw new ServiceError('ExecutionAlreadyExists', `Execution Already Exists: '${before.arn}'`);
      }
      const run = before ?? start(name, input);
      return { executionArn: run.arn, startDate: epochSeconds(run.startedAt) };
    },

    DescribeExecution(body) {
      const run = runOf(read(Body.DescribeExecution, body).executionArn);
      const { outcome } = run;
      return {
        executionArn: run.arn,
        stateMachineArn,
        name: run.name,
        status: outcome.status,
        startDate: epochSeconds(run.startedAt),
        stopDate: outcome.status === 'RUNNING' ? undefined : epochSeconds(outcome.at),
        input: run.input,
        inputDetails: { included: true },
        ...(outcome.status === 'SUCCEEDED' && { output: outcome.output, outputDetails: { included: true } }),
        ...(hasFailed(outcome) && { error: outcome.error, cause: outcome.cause }),
        redriveCount: 0,
        redriveStatus: 'NOT_REDRIVABLE',
      };
    },

    StopExecution(body) {
      const { executionArn, error, cause } = read(Body.StopExecution, body);
      const run = runOf(executionArn);
      // What has ended already keeps its own end, and its time is the answer.
      end(run, { status: 'ABORTED', at: now(), error, cause });
      return { stopDate: epochSeconds(run.outcome.status === 'RUNNING' ? now() : run.outcome.at) };
    },

    SendTaskSuccess(body) {
      const { taskToken, output } = read(Body.SendTaskSuccess, body);
      const wait = waitOf(taskToken);
      if (!isJson(output)) throw new ServiceError('InvalidOutput', 'Invalid Output');
      settle(wait, ({ resolve }) => resolve(JSON.parse(output)));
      return {};
    },

    SendTaskFailure(body) {
      const { taskToken, error = 'States.TaskFailed', cause = '' } = read(Body.SendTaskFailure, body);
      settle(waitOf(taskToken), ({ reject }) => reject(namedError(error, cause)));
      return {};
    },
  };

  /** Everything that has an end by the clock, earliest first. */
  const deadlines = () =>
    [
      ...[...runs.values()].map((run) => ({
        at: run.outcome.status === 'RUNNING' ? run.runsOutAt : undefined,
        reach: () => end(run, { status: 'TIMED_OUT', at: now() }),
      })),
      ...[...waits.values()].map((wait) => ({
        at: wait.open ? wait.runsOutAt : undefined,
        reach: () => settle(wait, ({ reject }) => reject(timedOut)),
      })),
    ]
      .flatMap(({ at, reach }) => (at === undefined ? [] : [{ at, reach }]))
      .sort((a, b) => a.at.localeCompare(b.at));

  const timeOut = () => {
    for (const { at, reach } of deadlines()) if (at <= now()) reach();
  };

  const eachSecond = setInterval(timeOut, 1000).unref();
  const listener = await listen(operations, during);
  for (const line of journal.kept) retell(line, runs, enter);
  const unfinished = [...runs.values()].filter(({ outcome }) => outcome.status === 'RUNNING');

  return {
    endpoint: listener.endpoint,
    stateMachineArn,
    resume: () => {
      for (const run of unfinished.splice(0)) drive(run);
    },
    history: (executionName) => runs.get(executionName)?.steps.slice(),
    executions: () => [...runs.values()].map(view),
    async quiet() {
      do {
        await Promise.all(busy);
        // From the end of one handler to the start of the next the engine needs microtasks only, and this comes after
        // all of them.
        await afterMicrotasks();
      } while (busy.size > 0);
    },
    nextTimeoutAt: () => deadlines()[0]?.at ?? null,
    timeOut,
    async stop() {
      clearInterval(eachSecond);
      stopping = true;
      for (const run of runs.values()) {
        end(run, { status: 'ABORTED', at: now(), cause: 'the local system was stopped' });
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
const LONGEST_RETRY_PAUSE_MS = 200;

/**
 * The longest that a timer of Node can wait. The engine gives a task one minute unless told otherwise, and a longer
 * time than this no time at all.
 */
const LONGEST_TIMER_SECONDS = 2_147_483;

const EXECUTION_NAME = /^[^\s\p{Cc}<>{}[\]?*"#%\\^|~`$&,;:/]{1,80}$/u;

type Json = Parameters<StateMachine['run']>[0];

type Outcome =
  | { readonly status: 'RUNNING' }
  | { readonly status: 'SUCCEEDED'; readonly at: Instant; readonly output: string }
  | {
      readonly status: 'FAILED' | 'ABORTED' | 'TIMED_OUT';
      readonly at: Instant;
      readonly error?: string | undefined;
      readonly cause?: string | undefined;
    };

type Run = {
  readonly arn: string;
  readonly name: string;
  readonly input: string;
  readonly startedAt: Instant;
  readonly runsOutAt: Instant | undefined;
  readonly steps: Step[];
  /** How often in a row each state has failed: how long a retry waits follows from it. */
  readonly failures: Map<string, number>;
  outcome: Outcome;
  abort: () => void;
};

/** An attempt at a state that waits for its token to come back. A token is good once, and while its execution runs. */
type Wait = {
  readonly run: Run;
  readonly runsOutAt: Instant | undefined;
  readonly result: PromiseWithResolvers<Json>;
  open: boolean;
};

/** A line of what is kept: an execution began, entered a state, or ended. */
type Told = z.infer<typeof Told>;
const Told = z.union([
  z.strictObject({ name: z.string(), input: z.string(), startedAt: Moment }),
  z.strictObject({ name: z.string(), state: z.string(), at: Moment }),
  z.strictObject({
    name: z.string(),
    ended: z.union([
      z.strictObject({ status: z.literal('SUCCEEDED'), at: Moment, output: z.string() }),
      z.strictObject({
        status: z.enum(['FAILED', 'ABORTED', 'TIMED_OUT']),
        at: Moment,
        error: z.string().optional(),
        cause: z.string().optional(),
      }),
    ]),
  }),
]);

function retell(
  line: Told,
  runs: ReadonlyMap<string, Run>,
  enter: (name: string, input: string, startedAt: Instant) => Run,
): void {
  if ('input' in line) {
    enter(line.name, line.input, line.startedAt);
    return;
  }
  const run = runs.get(line.name);
  if (run === undefined) throw new Error(`The kept executions tell of ${line.name}, which never began.`);
  if ('ended' in line) run.outcome = line.ended;
  else run.steps.push({ state: line.state, at: line.at });
}

function settle(wait: Wait, how: (result: PromiseWithResolvers<Json>) => void): void {
  if (!wait.open) return;
  wait.open = false;
  how(wait.result);
}

function view({ name, outcome, startedAt, steps }: Run): Execution {
  const failed = hasFailed(outcome) ? { error: outcome.error ?? '', cause: outcome.cause ?? '' } : null;
  return { name, status: outcome.status, startedAt, steps: steps.slice(), failure: failed };
}

function hasFailed(outcome: Outcome): outcome is Extract<Outcome, { status: 'FAILED' | 'ABORTED' | 'TIMED_OUT' }> {
  return outcome.status !== 'RUNNING' && outcome.status !== 'SUCCEEDED';
}

function epochSeconds(at: Instant): number {
  return Date.parse(at) / 1000;
}

// What a workflow file may say

const INVOKE = 'arn:aws:states:::lambda:invoke';
const INVOKE_AND_WAIT = `${INVOKE}.waitForTaskToken`;

const unsupported = (why: string) => z.undefined({ error: why }).optional();

const EveryState = {
  QueryLanguage: z.literal('JSONPath', { error: 'the local engine knows JSONPath only' }).optional(),
  Assign: unsupported('the local engine has no variables'),
};

const TaskState = z.looseObject({
  ...EveryState,
  Type: z.literal('Task'),
  Resource: z.enum([INVOKE, INVOKE_AND_WAIT]),
  Parameters: z.looseObject({ FunctionName: z.string() }),
  TimeoutSeconds: z.int().positive().optional(),
  TimeoutSecondsPath: unsupported('the local engine runs TimeoutSeconds only'),
  HeartbeatSeconds: unsupported('the local engine does not listen for heartbeats'),
});

const State = z.discriminatedUnion(
  'Type',
  [TaskState, z.looseObject({ ...EveryState, Type: z.enum(['Pass', 'Choice', 'Parallel', 'Map', 'Succeed', 'Fail']) })],
  { error: 'the local engine runs no state of this Type (a Wait would not see the clock being wound on)' },
);

const Machine = z.looseObject({
  QueryLanguage: EveryState.QueryLanguage,
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

type Task = { readonly state: string; readonly waits: boolean; readonly timeoutSeconds: number | undefined };

/**
 * Checks a workflow for what would go wrong here, and makes of it what the engine runs as the service would run the
 * original.
 */
function prepare(
  definition: unknown,
  handlers: StepHandlers,
): {
  machine: StateMachine;
  states: readonly string[];
  tasks: readonly Task[];
  timeoutSeconds: number | undefined;
} {
  const named = statesOf(definition);
  const tasks: Task[] = [];
  for (const [name, value] of named) {
    const state = State.safeParse(value);
    if (!state.success) throw new Error(`The workflow's state "${name}" cannot run: ${z.prettifyError(state.error)}`);
    if (state.data.Type !== 'Task') continue;
    const { Resource, Parameters, TimeoutSeconds } = TaskState.parse(value);
    if (!Object.hasOwn(handlers, Parameters.FunctionName)) {
      throw new Error(
        `The workflow's state "${name}" calls ${Parameters.FunctionName}, and there is no such function.`,
      );
    }
    tasks.push({ state: name, waits: Resource === INVOKE_AND_WAIT, timeoutSeconds: TimeoutSeconds });
  }
  const { TimeoutSeconds: timeoutSeconds, ...rest } = Machine.parse(definition);
  const runnable = z.custom<StateMachineDefinition>((value) => Machine.safeParse(value).success);
  const adapted = runnable.parse(JSON.parse(JSON.stringify(rest), forTheEngine));
  return {
    machine: new StateMachine(adapted, { validationOptions: { noValidate: true } }),
    states: named.map(([name]) => name),
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
function forTheEngine(key: string, value: unknown): unknown {
  // It takes "$" for the name of a field; without a ResultPath it does what "$" means.
  if (key === 'ResultPath' && value === '$') return undefined;
  // It dates executions by the wall clock.
  if (typeof value === 'string') return value.replaceAll('$$.Execution.StartTime', () => '$$.Local.StartTime');
  const task = TaskState.safeParse(value);
  if (!task.success) return value;
  const { Resource, TimeoutSeconds = LONGEST_TIMER_SECONDS } = task.data;
  // Waiting for a token runs by the system's clock and is timed out by us.
  const seconds = Resource === INVOKE_AND_WAIT ? LONGEST_TIMER_SECONDS : TimeoutSeconds;
  return { ...task.data, TimeoutSeconds: Math.min(seconds, LONGEST_TIMER_SECONDS) };
}

type TaskInput = z.infer<typeof TaskInput>;
const TaskInput = z.object({ FunctionName: z.string(), Payload: z.unknown() });

/** The token among those issued that a Payload hands over, at whatever depth. */
function tokenIn(payload: unknown, issued: ReadonlySet<string>): string | undefined {
  if (typeof payload === 'string') return issued.has(payload) ? payload : undefined;
  if (typeof payload !== 'object' || payload === null) return undefined;
  for (const part of Object.values(payload)) {
    const token = tokenIn(part, issued);
    if (token !== undefined) return token;
  }
  return undefined;
}

// How things fail

/** What a state is left with when its execution has ended; no Retry and no Catch may take it up. */
class Ended extends Error {
  readonly isRetryable = false;
  readonly isCatchable = false;
}

function namedError(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

/** A function's failure as Step Functions reports it: the error is the exception's name, the cause is a JSON text. */
function lambdaError(thrown: unknown): Error {
  const { name, message, stack = '' } = thrown instanceof Error ? thrown : new Error(String(thrown));
  return namedError(name, JSON.stringify({ errorType: name, errorMessage: message, trace: stack.split('\n') }));
}

function failure(error: unknown): { error: string; cause: string } {
  const reason = error instanceof ExecutionError ? error.cause : error;
  return reason instanceof Error
    ? { error: reason.name, cause: reason.message }
    : { error: 'States.Runtime', cause: String(reason) };
}

/**
 * The engine's own timeout error, the one thing that `States.TaskFailed` does not match. It is not exported, so it is
 * had from a task that times out.
 */
async function engineTimeout(): Promise<unknown> {
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

const Body = {
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

type Operations = Readonly<Record<keyof typeof Body, (body: unknown) => object>>;

type Listener = { readonly endpoint: string; close(): Promise<void> };

async function listen(operations: Operations, during: <T>(work: Promise<T>) => Promise<T>): Promise<Listener> {
  const byTarget = new Map(Object.entries(operations).map(([name, run]) => [`AWSStepFunctions.${name}`, run]));

  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await text(request).catch(() => undefined);
    // The caller hung up in the middle of it: there is nobody to answer.
    if (body === undefined) return;
    const { status, answered } = answer(byTarget.get(String(request.headers['x-amz-target'])), body);
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0', 'x-amzn-requestid': randomUUID() });
    response.end(JSON.stringify(answered));
  };
  const server = createServer((request, response) => void during(respond(request, response)));
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

function answer(
  operation: ((body: unknown) => object) | undefined,
  body: string,
): { status: number; answered: object } {
  try {
    if (operation === undefined) throw new ServiceError('UnknownOperationException', 'not in the local system');
    if (!isJson(body)) throw new ServiceError('SerializationException', 'the body is not JSON');
    return { status: 200, answered: operation(JSON.parse(body)) };
  } catch (error) {
    if (error instanceof ServiceError) return { status: 400, answered: { __type: error.name, message: error.message } };
    throw error;
  }
}

function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const judged = schema.safeParse(body);
  if (judged.success) return judged.data;
  throw new ServiceError('ValidationException', z.prettifyError(judged.error));
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
