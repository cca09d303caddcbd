import { SESv2ServiceException, SendEmailCommand } from '@aws-sdk/client-sesv2';
import { SendTaskSuccessCommand, SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';
import { mockClient } from 'aws-sdk-client-mock';
import { beforeEach, describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { recordDecision } from '../../../domain/exceptions/approval.ts';
import { withdrawRequest } from '../../../domain/exceptions/review.ts';
import { limitOf } from '../../../domain/keys/grant.ts';
import { lambdaContext } from '../../../local/emulators/api-gateway.ts';
import { readForResume, transitionException } from '../../../store/exceptions.ts';
import { findKey } from '../../../store/keys.ts';
import { context, ines, noor } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';
import { setUpHandlerEnvironment } from '../handler-invocation.ts';
import type { RequestFixture } from '../request-fixture.ts';
import { createRequestFixture, loadRequest } from '../request-fixture.ts';

const { store, ses, setClock } = await setUpHandlerEnvironment(await startTestDynamoDb(), mondayTen);
const workflows = mockClient(SFNClient);
const { handler: chooseNextStep } = await import('../../../functions/steps/choose-next-step.ts');
const { handler: requestApproval } = await import('../../../functions/steps/request-approval.ts');
const { handler: raiseLimit } = await import('../../../functions/steps/raise-limit.ts');
const { handler: sendOutcome } = await import('../../../functions/steps/send-outcome.ts');
const { handler: sweep } = await import('../../../functions/events/sweep.ts');

const startOutage = () =>
  ses.on(SendEmailCommand).rejects(
    new SESv2ServiceException({
      name: 'InternalFailure',
      message: 'Service unavailable',
      $fault: 'server',
      $metadata: { httpStatusCode: 503 },
    }),
  );
const endOutage = () => {
  ses.reset();
  ses.on(SendEmailCommand).resolves({ MessageId: 'message-1' });
};
beforeEach(() => {
  setClock(mondayTen);
  endOutage();
  workflows.reset();
  workflows.on(SendTaskSuccessCommand).resolves({});
  workflows.on(StartExecutionCommand).resolves({});
});

const inputOf = ({ exceptionId }: RequestFixture) => ({ exceptionId, executionNumber: 1 });
const runWaitingStep = (fixture: RequestFixture) =>
  requestApproval({ ...inputOf(fixture), taskToken: 'task-token' }, lambdaContext('requestApproval'));
const chooseNext = (fixture: RequestFixture) => chooseNextStep(inputOf(fixture), lambdaContext('chooseNextStep'));
const runSweep = () => sweep({}, lambdaContext('sweep'));
const emailsAbout = ({ exceptionId }: RequestFixture) =>
  ses
    .commandCalls(SendEmailCommand)
    .map(({ args: [{ input }] }) => `${input.Destination?.ToAddresses}: ${input.Content?.Simple?.Subject?.Data}`)
    .filter((line) => line.includes(exceptionId));
const approve = ({ exceptionId }: RequestFixture) =>
  transitionException(
    store,
    exceptionId,
    (request) => recordDecision(request, 1, { decision: 'approve', comment: null }, context({ actor: noor.email })),
    { operationId: 'approve', now: mondayTen },
  );

describe('while emails cannot be sent', () => {
  it('EXC-9 a waiting step stores its task token, and the sweep sends the emails once, afterward', async () => {
    const fixture = await createRequestFixture(store);
    startOutage();
    expect(await chooseNext(fixture)).toMatchObject({ nextStep: 'request-approval' });
    expect(await runWaitingStep(fixture)).toEqual({ result: 'waiting' });
    const waiting = await readForResume(store, fixture.exceptionId);
    expect(waiting?.taskToken?.reveal()).toBe('task-token');
    expect(waiting?.request).toMatchObject({
      state: { status: 'awaiting-approval' },
      execution: { status: 'waiting' },
    });
    setClock(addDuration(mondayTen, { minutes: 1 }));
    await expect(runSweep()).rejects.toThrow('failed for 1 of 1 items');
    endOutage();
    setClock(addDuration(mondayTen, { minutes: 2 }));
    await runSweep();
    await runSweep();
    expect(emailsAbout(fixture)).toEqual([
      expect.stringContaining(`${ines.email}: We received`),
      expect.stringContaining(`${noor.email}: Decision needed`),
      expect.stringContaining(`${ines.email}: Waiting for approval`),
    ]);
  });

  it('EXC-9 an approved limit rises, the execution ends, and the sweep sends the outcome once, afterward', async () => {
    const fixture = await createRequestFixture(store);
    await runWaitingStep(fixture);
    startOutage();
    await approve(fixture);
    expect(await chooseNext(fixture)).toMatchObject({ nextStep: 'raise-limit' });
    await raiseLimit(inputOf(fixture), lambdaContext('raiseLimit'));
    const key = await findKey(store, fixture.mak.keyId);
    expect(limitOf(key?.grants ?? []) - limitOf(fixture.mak.grants)).toBeGreaterThan(0);
    await sendOutcome(inputOf(fixture), lambdaContext('sendOutcome'));
    expect(await loadRequest(store, fixture)).toMatchObject({
      state: { status: 'fulfilled' },
      execution: { status: 'ended' },
    });
    endOutage();
    setClock(addDuration(mondayTen, { minutes: 2 }));
    await runSweep();
    await runSweep();
    expect(emailsAbout(fixture)).toHaveLength(4);
    expect(new Set(emailsAbout(fixture)).size).toBe(4);
    expect((await loadRequest(store, fixture)).pendingNotifications).toEqual([]);
  });

  it('EXC-9 an execution ends after a withdrawal', async () => {
    const fixture = await createRequestFixture(store);
    await runWaitingStep(fixture);
    startOutage();
    const withdrawContext = context({ actor: ines.email });
    await transitionException(
      store,
      fixture.exceptionId,
      (request) => withdrawRequest(request, null, withdrawContext),
      {
        operationId: 'withdraw',
        now: mondayTen,
      },
    );
    expect(await chooseNext(fixture)).toMatchObject({ nextStep: 'end' });
    expect(await loadRequest(store, fixture)).toMatchObject({ execution: { status: 'ended' } });
    endOutage();
    setClock(addDuration(mondayTen, { minutes: 2 }));
    await runSweep();
  });

  it('EXC-9 APR-6 the sweep passes on a decision although it cannot send', async () => {
    const fixture = await createRequestFixture(store);
    await runWaitingStep(fixture);
    startOutage();
    await approve(fixture);
    setClock(addDuration(mondayTen, { minutes: 1 }));
    await expect(runSweep()).rejects.toThrow('failed for 1 of 1 items');
    expect(workflows.commandCalls(SendTaskSuccessCommand).map(({ args: [{ input }] }) => input.taskToken)).toEqual([
      'task-token',
    ]);
  });
});

it('EXC-9 no email about an approved limit is sent before the limit rises', async () => {
  const fixture = await createRequestFixture(store);
  await runWaitingStep(fixture);
  ses.resetHistory();
  await approve(fixture);
  await chooseNext(fixture);
  expect(emailsAbout(fixture)).toEqual([]);
});
