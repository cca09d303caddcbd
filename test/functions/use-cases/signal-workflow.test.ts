import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { recordDecision, requestApproval, withdrawRequest } from '../../../domain/exceptions/request.ts';
import { Secret } from '../../../domain/secret.ts';
import { entryNamesOf } from '../../../functions/manifest.ts';
import { deliverSignal, tryDeliverSignal } from '../../../functions/use-cases/signal-workflow.ts';
import { startStepFunctions } from '../../../local/emulators/step-functions.ts';
import type { Store } from '../../../store/dynamodb/table.ts';
import { suspendExecution, transitionException, updateExecution } from '../../../store/exceptions.ts';
import type { WorkflowClient } from '../../../workflows/client.ts';
import { createWorkflowClient } from '../../../workflows/client.ts';
import definition from '../../../workflows/exception-request.asl.json' with { type: 'json' };
import { noor, context, ines } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';
import { captureOutput } from '../captured-logs.ts';
import type { RequestFixture } from '../request-fixture.ts';
import { createRequestFixture, loadRequest } from '../request-fixture.ts';

const tables = await startTestDynamoDb();
const printed = captureOutput();

// The real workflow, whose steps do nothing but show with which token they wait.
const tokens: string[] = [];
let nextStep = 'request-approval';
const handlers = Object.fromEntries(
  entryNamesOf('step').map((name) => [
    `\${${name}}`,
    async (input: unknown) => {
      const payload = input as { taskToken?: string };
      if (payload.taskToken !== undefined) tokens.push(payload.taskToken);
      return { ...payload, nextStep };
    },
  ]),
);
const workflows = await startStepFunctions({ definition, handlers, now: () => mondayTen });

/** The door to the engine at an address, which the client reads when it is first used. */
async function engineAt(address: string): Promise<WorkflowClient> {
  process.env.AWS_ENDPOINT_URL_SFN = address;
  const opened = createWorkflowClient(workflows.stateMachineArn);
  await opened.isRunning({ exceptionId: 'EX-nothing', executionNumber: 1 }).catch(() => undefined);
  return opened;
}
const engine = await engineAt(workflows.endpoint);
const unreachable = await engineAt('http://127.0.0.1:9');
afterAll(() => workflows.stop());

let store: Store;
beforeEach(async () => {
  store = await tables.newStore();
  nextStep = 'request-approval';
});

const executionsOf = ({ exceptionId }: RequestFixture) =>
  workflows
    .executions()
    .filter(({ name }) => name.startsWith(`${exceptionId}-`))
    .map(({ name, status }) => `${name.slice(exceptionId.length + 1)} ${status}`);
const pass = (asked: RequestFixture, now = mondayTen, by: WorkflowClient = engine) =>
  deliverSignal(store, by, asked.exceptionId, now);

/** A request whose execution waits with its token for the Correspondent. */
async function waiting(): Promise<RequestFixture & { readonly token: Secret }> {
  const asked = await createRequestFixture(store);
  await pass(asked);
  await workflows.whenIdle();
  const token = new Secret(tokens.at(-1) ?? '');
  await transitionException(
    store,
    asked.exceptionId,
    (request) => requestApproval(request, context({ now: mondayTen })),
    {
      operationId: null,
      now: mondayTen,
    },
  );
  const waits = { executionNumber: 1, nextStep: 'request-approval', taskToken: token } as const;
  expect(await suspendExecution(store, asked.exceptionId, waits, mondayTen)).toBe('waiting');
  return { ...asked, token };
}

const approve = (asked: RequestFixture) =>
  transitionException(
    store,
    asked.exceptionId,
    (request) =>
      recordDecision(
        request,
        1,
        { decision: 'approve', comment: null },
        context({ actor: noor.email, now: mondayTen }),
      ),
    { operationId: 'approve', now: mondayTen },
  );

describe('a request whose workflow is to be started', () => {
  it('APR-6 is started, once, whoever passes it on and however often', async () => {
    const asked = await createRequestFixture(store);
    await Promise.all([pass(asked), pass(asked), pass(asked)]);
    await pass(asked);
    expect(executionsOf(asked)).toEqual(['1 RUNNING']);
  });

  it('APR-6 is started anew when its execution has ended without it', async () => {
    const asked = await createRequestFixture(store);
    nextStep = 'end';
    await pass(asked);
    await workflows.whenIdle();
    nextStep = 'request-approval';
    await pass(asked);
    expect(executionsOf(asked)).toEqual(['1 SUCCEEDED', '2 RUNNING']);
    expect((await loadRequest(store, asked)).execution).toMatchObject({ status: 'start-pending', executionNumber: 2 });
  });
});

describe('a request whose workflow is to be woken', () => {
  it('APR-6 is woken with its token, and whoever comes later disturbs nothing', async () => {
    const asked = await waiting();
    await approve(asked);
    expect((await loadRequest(store, asked)).execution.status).toBe('resume-pending');
    nextStep = 'raise-limit';
    await Promise.all([pass(asked), pass(asked)]);
    await pass(asked);
    await workflows.whenIdle();
    expect(
      workflows
        .history(`${asked.exceptionId}-1`)
        ?.map(({ state }) => state)
        .slice(-2),
    ).toEqual(['Raise the limit', 'Send the outcome']);
  });

  it('APR-6 is started anew, once, when the execution that waited is lost', async () => {
    const asked = await waiting();
    await approve(asked);
    // As after a restart of the engine: nobody knows the token, and the execution is not there.
    const forgetful: WorkflowClient = { ...engine, resume: async () => 'not-waiting', isRunning: async () => false };
    await Promise.all([pass(asked, mondayTen, forgetful), pass(asked, mondayTen, forgetful)]);
    await pass(asked, mondayTen, forgetful);
    expect((await loadRequest(store, asked)).execution).toMatchObject({ status: 'start-pending', executionNumber: 2 });
    expect(executionsOf(asked).filter((each) => each.startsWith('2'))).toHaveLength(1);
  });

  it('APR-6 is left alone when its token was used a moment ago and the execution is on its way', async () => {
    const asked = await waiting();
    await approve(asked);
    const onItsWay: WorkflowClient = { ...engine, resume: async () => 'not-waiting', isRunning: async () => true };
    await pass(asked, mondayTen, onItsWay);
    expect((await loadRequest(store, asked)).execution).toMatchObject({ status: 'resume-pending', executionNumber: 1 });
  });
});

describe('a request that moved on while it was looked after', () => {
  it('APR-6 is not started anew over what happened meanwhile', async () => {
    const asked = await waiting();
    await approve(asked);
    const tooLate: WorkflowClient = {
      ...engine,
      resume: async () => 'not-waiting',
      isRunning: async () => {
        const { execution: seen } = await loadRequest(store, asked);
        await updateExecution(
          store,
          asked.exceptionId,
          { expected: seen, nextExecution: { status: 'running', executionNumber: 1 } },
          mondayTen,
        );
        return false;
      },
    };
    await pass(asked, mondayTen, tooLate);
    expect((await loadRequest(store, asked)).execution).toMatchObject({ status: 'running', executionNumber: 1 });
    expect(executionsOf(asked).filter((each) => each.startsWith('2'))).toEqual([]);
  });
});

describe('a request that waits', () => {
  it('APR-6 is looked after once a day: left alone while its execution is there, and started anew when it is not', async () => {
    const asked = await waiting();
    const lost: WorkflowClient = { ...engine, isRunning: async () => false };
    const day = addDuration(mondayTen, { hours: 24 });
    await pass(asked, addDuration(day, { seconds: -1 }), lost);
    expect((await loadRequest(store, asked)).execution).toMatchObject({ status: 'waiting', executionNumber: 1 });
    await pass(asked, day);
    expect((await loadRequest(store, asked)).execution).toMatchObject({
      status: 'waiting',
      executionNumber: 1,
      since: day,
    });
    await pass(asked, addDuration(day, { hours: 24 }), lost);
    expect((await loadRequest(store, asked)).execution).toMatchObject({ status: 'start-pending', executionNumber: 2 });
  });

  it('EXC-10 owes its workflow a wake-up whatever happens to it, and nothing once that has ended', async () => {
    const asked = await waiting();
    await transitionException(
      store,
      asked.exceptionId,
      (request) => withdrawRequest(request, null, context({ actor: ines.email, now: mondayTen })),
      { operationId: 'withdraw', now: mondayTen },
    );
    expect((await loadRequest(store, asked)).execution.status).toBe('resume-pending');
    nextStep = 'end';
    await pass(asked);
    await workflows.whenIdle();
    expect(executionsOf(asked)).toEqual(['1 SUCCEEDED']);
  });
});

describe('an engine that cannot be reached', () => {
  it('APR-6 is no concern of who has just decided: it is logged, and left to the sweep', async () => {
    const asked = await createRequestFixture(store);
    await expect(deliverSignal(store, unreachable, asked.exceptionId, mondayTen)).rejects.toThrow();
    await tryDeliverSignal(store, unreachable, asked.exceptionId, mondayTen);
    expect(printed.text()).toContain('deferred to the sweep');
    expect((await loadRequest(store, asked)).execution).toMatchObject({ status: 'start-pending', executionNumber: 1 });
    await pass(asked);
    expect(executionsOf(asked)).toEqual(['1 RUNNING']);
  });

  it('APR-1 is not told in the log with which token it was to be woken', async () => {
    const asked = await waiting();
    await approve(asked);
    await tryDeliverSignal(store, unreachable, asked.exceptionId, mondayTen);
    expect(printed.text()).toContain('deferred to the sweep');
    expect(printed.text()).not.toContain(asked.token.reveal());
  });

  it('is not asked about a request that is not there', async () => {
    await deliverSignal(store, unreachable, 'EX-nothing', mondayTen);
  });
});
