import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { recordDecision, requestApproval } from '../../../domain/exceptions/approval.ts';
import { withdrawRequest } from '../../../domain/exceptions/review.ts';
import { Secret } from '../../../domain/secret.ts';
import { entryNamesOf } from '../../../functions/manifest.ts';
import { deliverSignal, tryDeliverSignal } from '../../../functions/use-cases/signal-workflow.ts';
import { startStepFunctions } from '../../../local/emulators/step-functions.ts';
import { suspendExecution, transitionException, updateExecution } from '../../../store/exceptions.ts';
import type { Store } from '../../../store/store.ts';
import type { WorkflowClient } from '../../../workflows/client.ts';
import { createWorkflowClient } from '../../../workflows/client.ts';
import definition from '../../../workflows/exception-request.asl.json' with { type: 'json' };
import { context, ines, noor } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';
import { captureOutput } from '../captured-logs.ts';
import type { RequestFixture } from '../request-fixture.ts';
import { createRequestFixture, loadRequest } from '../request-fixture.ts';

const dynamoDb = await startTestDynamoDb();
const output = captureOutput();

// The real workflow file, with steps that only record the task tokens.
const taskTokens: string[] = [];
let nextStep = 'request-approval';
const handlers = Object.fromEntries(
  entryNamesOf('step').map((name) => [
    `\${${name}}`,
    async (input: unknown) => {
      const payload = input as { taskToken?: string };
      if (payload.taskToken !== undefined) taskTokens.push(payload.taskToken);
      return { ...payload, nextStep };
    },
  ]),
);
const workflows = await startStepFunctions({ definition, handlers, now: () => mondayTen });

/** Creates a client for an endpoint. The SDK reads the endpoint on the first call. */
async function createClientAt(endpoint: string): Promise<WorkflowClient> {
  process.env.AWS_ENDPOINT_URL_SFN = endpoint;
  const client = createWorkflowClient(workflows.stateMachineArn);
  await client.isRunning({ exceptionId: 'EX-nothing', executionNumber: 1 }).catch(() => undefined);
  return client;
}
const workflowClient = await createClientAt(workflows.endpoint);
const unreachableClient = await createClientAt('http://127.0.0.1:9');
afterAll(() => workflows.stop());

let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
  nextStep = 'request-approval';
});

const executionsOf = ({ exceptionId }: RequestFixture) =>
  workflows
    .executions()
    .filter(({ name }) => name.startsWith(`${exceptionId}-`))
    .map(({ name, status }) => `${name.slice(exceptionId.length + 1)} ${status}`);
const signal = (fixture: RequestFixture, now = mondayTen, client: WorkflowClient = workflowClient) =>
  deliverSignal(store, client, fixture.exceptionId, now);
const executionOf = async (fixture: RequestFixture) => (await loadRequest(store, fixture)).execution;

/** Creates a request whose execution waits for the decision of the Correspondent. */
async function createWaitingRequest(): Promise<RequestFixture & { readonly taskToken: Secret }> {
  const fixture = await createRequestFixture(store);
  await signal(fixture);
  await workflows.whenIdle();
  const taskToken = new Secret(taskTokens.at(-1) ?? '');
  await transitionException(
    store,
    fixture.exceptionId,
    (request) => requestApproval(request, context({ now: mondayTen })),
    { operationId: null, now: mondayTen },
  );
  const wait = { executionNumber: 1, nextStep: 'request-approval', taskToken } as const;
  expect(await suspendExecution(store, fixture.exceptionId, wait, mondayTen)).toBe('waiting');
  return { ...fixture, taskToken };
}

const approve = (fixture: RequestFixture) =>
  transitionException(
    store,
    fixture.exceptionId,
    (request) =>
      recordDecision(
        request,
        1,
        { decision: 'approve', comment: null },
        context({ actor: noor.email, now: mondayTen }),
      ),
    { operationId: 'approve', now: mondayTen },
  );

describe('a request whose execution is pending to start', () => {
  it('APR-6 starts it once, however often and concurrently the signal is delivered', async () => {
    const fixture = await createRequestFixture(store);
    await Promise.all([signal(fixture), signal(fixture), signal(fixture)]);
    await signal(fixture);
    expect(executionsOf(fixture)).toEqual(['1 RUNNING']);
  });

  it('APR-6 starts a new execution when the first has ended too early', async () => {
    const fixture = await createRequestFixture(store);
    nextStep = 'end';
    await signal(fixture);
    await workflows.whenIdle();
    nextStep = 'request-approval';
    await signal(fixture);
    expect(executionsOf(fixture)).toEqual(['1 SUCCEEDED', '2 RUNNING']);
    expect(await executionOf(fixture)).toMatchObject({ status: 'start-pending', executionNumber: 2 });
  });
});

describe('a request whose execution is pending to resume', () => {
  it('APR-6 resumes it with its token, and a later delivery has no effect', async () => {
    const fixture = await createWaitingRequest();
    await approve(fixture);
    expect((await executionOf(fixture)).status).toBe('resume-pending');
    nextStep = 'raise-limit';
    await Promise.all([signal(fixture), signal(fixture)]);
    await signal(fixture);
    await workflows.whenIdle();
    expect(
      workflows
        .history(`${fixture.exceptionId}-1`)
        ?.map(({ state }) => state)
        .slice(-2),
    ).toEqual(['Raise the limit', 'Send the outcome']);
  });

  it('APR-6 starts one new execution when the waiting one is lost', async () => {
    const fixture = await createWaitingRequest();
    await approve(fixture);
    // As after a restart of Step Functions that lost both the token and the execution.
    const lost: WorkflowClient = {
      ...workflowClient,
      resume: async () => 'not-waiting',
      isRunning: async () => false,
    };
    await Promise.all([signal(fixture, mondayTen, lost), signal(fixture, mondayTen, lost)]);
    await signal(fixture, mondayTen, lost);
    expect(await executionOf(fixture)).toMatchObject({ status: 'start-pending', executionNumber: 2 });
    expect(executionsOf(fixture).filter((each) => each.startsWith('2'))).toHaveLength(1);
  });

  it('APR-6 starts no new execution when the token was used a moment ago and the execution runs', async () => {
    const fixture = await createWaitingRequest();
    await approve(fixture);
    const running: WorkflowClient = {
      ...workflowClient,
      resume: async () => 'not-waiting',
      isRunning: async () => true,
    };
    await signal(fixture, mondayTen, running);
    expect(await executionOf(fixture)).toMatchObject({ status: 'resume-pending', executionNumber: 1 });
  });
});

describe('a request that changes while its signal is delivered', () => {
  it('APR-6 starts no new execution over the change', async () => {
    const fixture = await createWaitingRequest();
    await approve(fixture);
    const late: WorkflowClient = {
      ...workflowClient,
      resume: async () => 'not-waiting',
      isRunning: async () => {
        const expected = await executionOf(fixture);
        const nextExecution = { status: 'running', executionNumber: 1 } as const;
        await updateExecution(store, fixture.exceptionId, { expected, nextExecution }, mondayTen);
        return false;
      },
    };
    await signal(fixture, mondayTen, late);
    expect(await executionOf(fixture)).toMatchObject({ status: 'running', executionNumber: 1 });
    expect(executionsOf(fixture).filter((each) => each.startsWith('2'))).toEqual([]);
  });
});

describe('a request whose execution waits', () => {
  it('APR-6 checks the execution once a day, and starts a new one only if it is lost', async () => {
    const fixture = await createWaitingRequest();
    const lost: WorkflowClient = { ...workflowClient, isRunning: async () => false };
    const nextDay = addDuration(mondayTen, { hours: 24 });
    await signal(fixture, addDuration(nextDay, { seconds: -1 }), lost);
    expect(await executionOf(fixture)).toMatchObject({ status: 'waiting', executionNumber: 1 });
    await signal(fixture, nextDay);
    expect(await executionOf(fixture)).toMatchObject({ status: 'waiting', executionNumber: 1, since: nextDay });
    await signal(fixture, addDuration(nextDay, { hours: 24 }), lost);
    expect(await executionOf(fixture)).toMatchObject({ status: 'start-pending', executionNumber: 2 });
  });

  it('EXC-10 resumes the execution after any change, and does nothing once it has ended', async () => {
    const fixture = await createWaitingRequest();
    await transitionException(
      store,
      fixture.exceptionId,
      (request) => withdrawRequest(request, null, context({ actor: ines.email, now: mondayTen })),
      { operationId: 'withdraw', now: mondayTen },
    );
    expect((await executionOf(fixture)).status).toBe('resume-pending');
    nextStep = 'end';
    await signal(fixture);
    await workflows.whenIdle();
    expect(executionsOf(fixture)).toEqual(['1 SUCCEEDED']);
  });
});

describe('Step Functions that cannot be reached', () => {
  it('APR-6 does not fail the caller: the failure is logged, and a later delivery starts the execution', async () => {
    const fixture = await createRequestFixture(store);
    await expect(deliverSignal(store, unreachableClient, fixture.exceptionId, mondayTen)).rejects.toThrow();
    await tryDeliverSignal(store, unreachableClient, fixture.exceptionId, mondayTen);
    expect(output.text()).toContain('deferred to the sweep');
    expect(await executionOf(fixture)).toMatchObject({ status: 'start-pending', executionNumber: 1 });
    await signal(fixture);
    expect(executionsOf(fixture)).toEqual(['1 RUNNING']);
  });

  it('APR-1 does not put the task token in the log', async () => {
    const fixture = await createWaitingRequest();
    await approve(fixture);
    await tryDeliverSignal(store, unreachableClient, fixture.exceptionId, mondayTen);
    expect(output.text()).toContain('deferred to the sweep');
    expect(output.text()).not.toContain(fixture.taskToken.reveal());
  });

  it('is not called for a request that does not exist', async () => {
    await deliverSignal(store, unreachableClient, 'EX-nothing', mondayTen);
  });
});
