import { QueryCommand, TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Instant } from '../../domain/calendar/instant.ts';
import { addDuration } from '../../domain/calendar/instant.ts';
import type { ExceptionStatus } from '../../domain/exception-status.ts';
import { exceptionStatuses, openStatuses } from '../../domain/exception-status.ts';
import { recordDecision, requestApproval } from '../../domain/exceptions/approval.ts';
import type { ExceptionRequest, RequestForm } from '../../domain/exceptions/request.ts';
import { askQuestion, forwardRequest, rejectRequest, withdrawRequest } from '../../domain/exceptions/review.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import { Secret } from '../../domain/secret.ts';
import { registerAgreement } from '../../store/agreements.ts';
import { listDueItems, nextDueAt } from '../../store/dynamodb/due-items.ts';
import { newItem, readItem, updateWithRetry } from '../../store/dynamodb/versioned-item.ts';
import type { ExceptionFilter, Sender } from '../../store/exceptions.ts';
import {
  applyDueExceptionAction,
  claimPending,
  completeDelivery,
  createException,
  exceptionKey,
  findException,
  fulfillException,
  listExceptions,
  readForResume,
  requestWrites,
  suspendExecution,
  transitionException,
  updateExecution,
} from '../../store/exceptions.ts';
import { findKey, grantIncrease, issueMak, readKey } from '../../store/keys.ts';
import { listLedgerEntries } from '../../store/ledger.ts';
import { activateOnMak } from '../../store/mak-activations.ts';
import type { Store, UpdateDecision } from '../../store/store.ts';
import {
  agent,
  aKmsRequestForm,
  anAgreement,
  aRequest,
  aRequestForm,
  context,
  expectAccepted,
  expectRefusal,
  ines,
  installationId,
  noor,
  productKey,
  requestApproved,
  reviewer,
} from '../builders.ts';
import {
  fridayFive,
  mondayNine,
  mondayNoon,
  mondayTen,
  nextMondayFive,
  tuesdayFive,
  tuesdayNine,
  tuesdayTen,
  wednesdayNoon,
} from '../instants.ts';
import { readAllPages, scanAllItems, startTestDynamoDb, withInterceptor, withScheduler } from './dynamodb.ts';
import { expectMakTotals } from './mak-totals.ts';

const dynamoDb = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await dynamoDb.newStore();
});

const firstPage = { limit: 100, after: null };
const anySender: Sender = { maySpeakFor: () => true };

// The KMS key of the agreement, and a MAK.
const kmsKey = productKey(1);
const makKey = productKey(2);
const keyIdOf = (key = makKey) => store.vault.keyIdOf(key);

async function createKeys(): Promise<void> {
  const agreement = anAgreement();
  expectAccepted(
    await registerAgreement(
      store,
      agreement,
      () => kmsKey,
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  expectAccepted(
    await issueMak(
      store,
      agreement,
      { productGroup: 'client', drawKey: () => makKey },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine }),
    ),
  );
}

const makForm = (members: Partial<RequestForm> = {}) => aRequestForm({ keyLastFive: makKey.lastFive, ...members });
const kmsForm = (members: Partial<RequestForm> = {}) => aKmsRequestForm({ keyLastFive: kmsKey.lastFive, ...members });

function create(exceptionId = 'X-1', form = makForm(), sender = anySender, target = store) {
  return createException(
    target,
    { exceptionId, form },
    sender,
    context({ operationId: `create ${exceptionId}`, now: mondayTen, policy: target.policy }),
  );
}

function throwMissing(): never {
  throw new Error('there is no such request');
}

async function transition(
  decide: Parameters<typeof transitionException>[2],
  { exceptionId = 'X-1', operationId = 'transition', now = mondayTen } = {},
) {
  return (await transitionException(store, exceptionId, decide, { operationId, now })) ?? throwMissing();
}

const ask = (now: Instant) => (request: ExceptionRequest) => requestApproval(request, context({ now }));
const approve = (request: ExceptionRequest) =>
  recordDecision(
    request,
    request.rounds,
    { decision: 'approve', comment: null },
    context({ actor: noor.email, now: mondayTen }),
  );
const withdraw = (request: ExceptionRequest) =>
  withdrawRequest(request, null, context({ actor: ines.email, now: mondayTen }));

async function createApproved(exceptionId = 'X-1', form = makForm()): Promise<void> {
  expectAccepted(await create(exceptionId, form));
  expectAccepted(await transition(ask(mondayTen), { exceptionId, operationId: 'ask' }));
  expectAccepted(await transition(approve, { exceptionId, operationId: 'approve' }));
}

/** Stores a request in any state, without the transitions that lead there. */
async function save(request: ExceptionRequest): Promise<void> {
  const record = newItem(exceptionKey(request.exceptionId), request);
  const options = { operationId: 'save', now: request.receivedAt, event: null };
  await updateWithRetry(
    store,
    async (): Promise<UpdateDecision<null>> => ({
      kind: 'write',
      value: null,
      writes: requestWrites(store, record, request, options),
    }),
  );
}

const entries = async (owner: Parameters<typeof listLedgerEntries>[1]) =>
  (await listLedgerEntries(store, owner, firstPage)).items;
const actions = async (owner: Parameters<typeof listLedgerEntries>[1]) =>
  (await entries(owner)).map(({ action }) => action);
const limit = async (keyId: string) => limitOf((await findKey(store, keyId))?.grants ?? []);

async function blockKey(keyId: string): Promise<void> {
  await store.client.send(
    new UpdateCommand({
      TableName: store.tableName,
      Key: { PK: `KEY#${keyId}`, SK: 'KEY' },
      UpdateExpression: 'SET #value.#state = :blocked ADD #version :one',
      ExpressionAttributeNames: { '#value': 'value', '#state': 'state', '#version': 'version' },
      ExpressionAttributeValues: { ':blocked': { status: 'blocked', at: mondayTen, replacedBy: null }, ':one': 1 },
    }),
  );
}

describe('a new request', () => {
  beforeEach(createKeys);

  it('LED-1 is stored with its ledger entry', async () => {
    const { value: request } = expectAccepted(await create());
    expect(request).toMatchObject({ exceptionId: 'X-1', agreementId: 'E-1001', keyId: keyIdOf(), activations: 150 });
    expect(await findException(store, 'X-1')).toEqual(request);
    expect(await entries('EXCEPTION#X-1')).toMatchObject([
      { sequence: 1, at: mondayTen, actor: ines.email, action: 'received', reference: 'X-1' },
    ]);
  });

  it('EXC-5 is created once if its operation repeats, later or at the same time', async () => {
    const results = await Promise.all([create(), create(), create()]);
    results.push(await create());
    for (const result of results) expect(result).toEqual(results[0]);
    expect(expectAccepted(results[0] ?? throwMissing()).value.exceptionId).toBe('X-1');
    expect(await actions('EXCEPTION#X-1')).toEqual(['received']);
  });

  it('EXC-5 is returned in its current state if its operation repeats much later', async () => {
    expectAccepted(await create());
    for (let count = 1; count <= 11; count += 1) {
      await transition(
        (request) => askQuestion(request, `Which? ${count}`, context({ actor: reviewer, now: mondayTen })),
        {
          operationId: `question ${count}`,
        },
      );
      await transition(
        (request) => forwardRequest(request, 150 - count, context({ actor: reviewer, now: mondayTen })),
        {
          operationId: `forward ${count}`,
        },
      );
    }
    expectAccepted(await transition(withdraw, { operationId: 'withdraw' }));
    expect(expectAccepted(await create()).value).toMatchObject({ exceptionId: 'X-1', state: { status: 'withdrawn' } });
  });

  it('EXC-5 is refused while another is open for its key, and the refusal names that one', async () => {
    expectAccepted(await create('X-1'));
    expect(expectRefusal(await create('X-2'))).toMatchObject({ code: 'exception-already-open', exceptionId: 'X-1' });
    expect(await findException(store, 'X-2')).toBeUndefined();
  });

  it('EXC-5 is created once if several arrive at once, and the refusals of the others name it', async () => {
    const results = await Promise.all([create('X-1'), create('X-2'), create('X-3')]);
    const [createdId, ...otherIds] = results.flatMap((result) => (result.ok ? [result.value.exceptionId] : []));
    expect(otherIds).toEqual([]);
    const refusals = results.flatMap((result) => (result.ok ? [] : [result.refusal]));
    expect(refusals).toMatchObject([
      { code: 'exception-already-open', exceptionId: createdId },
      { code: 'exception-already-open', exceptionId: createdId },
    ]);
  });

  it('EXC-5 is created for another key of the agreement at the same time', async () => {
    const results = await Promise.all([create('X-1'), create('X-2', kmsForm())]);
    expect(results.map(({ ok }) => ok)).toEqual([true, true]);
    expect(expectAccepted(results[1] ?? throwMissing()).value.keyId).toBe(keyIdOf(kmsKey));
  });

  it('EXC-5 is created after the previous one was closed', async () => {
    expectAccepted(await create('X-1'));
    expectAccepted(await transition(withdraw));
    expectAccepted(await create('X-2'));
    expect(expectRefusal(await create('X-3'))).toMatchObject({ code: 'exception-already-open', exceptionId: 'X-2' });
  });

  it('AGR-3 EXC-2 gets the same refusal for an agreement of others and for an unknown agreement', async () => {
    const unauthorizedSender: Sender = { maySpeakFor: () => false };
    const hidden = expectRefusal(await create('X-1', makForm(), unauthorizedSender));
    const missing = expectRefusal(await create('X-2', makForm({ agreementNumber: 'E-9999' })));
    expect(hidden).toEqual(missing);
    expect(hidden.code).toBe('requester-not-authorized');
  });

  it('EXC-3 is refused for a key of another agreement and for an unknown key', async () => {
    expectAccepted(
      await registerAgreement(
        store,
        anAgreement({ agreementId: 'E-1002', numbers: { agreementNumber: 'E-1002' } }),
        () => productKey(3),
        context({ actor: 'admin', operationId: 'register 2', now: mondayNine }),
      ),
    );
    for (const key of [productKey(3), productKey(4)]) {
      const form = kmsForm({ keyLastFive: key.lastFive });
      expect(expectRefusal(await create('X-1', form))).toMatchObject({ code: 'key-not-found' });
    }
  });

  it('EXC-3 is refused for a blocked key, even if the key is blocked meanwhile', async () => {
    const interruptedStore = withInterceptor(store, async (command, send) => {
      if (command instanceof TransactWriteCommand) await blockKey(keyIdOf());
      return send();
    });
    expect(expectRefusal(await create('X-1', makForm(), anySender, interruptedStore))).toMatchObject({
      code: 'key-blocked',
    });
    expect(await findException(store, 'X-1')).toBeUndefined();
    expect(expectRefusal(await create('X-2'))).toMatchObject({ code: 'key-blocked' });
  });
});

describe('a transition', () => {
  beforeEach(async () => {
    await createKeys();
    expectAccepted(await create());
  });

  it('LED-1 is written with its ledger entry, once for each operation', async () => {
    const result = await transition(ask(mondayNoon), { operationId: 'ask', now: mondayNoon });
    expect(await transition(ask(mondayNoon), { operationId: 'ask', now: mondayNoon })).toEqual(result);
    expect(await findException(store, 'X-1')).toEqual(expectAccepted(result).value);
    expect((await entries('EXCEPTION#X-1')).slice(1)).toMatchObject([{ at: mondayNoon, action: 'approval-asked' }]);
  });

  it('is refused if the rule refuses it, and changes nothing', async () => {
    const before = await scanAllItems(store);
    expect(expectRefusal(await transition(approve))).toMatchObject({ code: 'link-void' });
    expect(
      await transitionException(store, 'X-9', approve, { operationId: 'transition', now: mondayTen }),
    ).toBeUndefined();
    expect(expectAccepted(await transition(() => 'no-change')).value).toEqual(await findException(store, 'X-1'));
    expect(await scanAllItems(store)).toEqual(before);
  });

  it('EXC-8 EXC-10 is decided from the state that a simultaneous transition left', async () => {
    const reject = (request: ExceptionRequest) =>
      rejectRequest(request, 'Too many.', context({ actor: reviewer, now: mondayTen }));
    const results = await Promise.all([
      transition(withdraw, { operationId: 'withdraw' }),
      transition(reject, { operationId: 'reject' }),
    ]);
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    const [refusal] = results.flatMap((result) => (result.ok ? [] : [result.refusal]));
    const { state } = (await findException(store, 'X-1')) ?? throwMissing();
    expect(refusal).toMatchObject({ code: 'not-in-that-state', currentStatus: state.status });
    expect(await actions('EXCEPTION#X-1')).toEqual(['received', state.status]);
  });
});

describe('an approved request', () => {
  beforeEach(createKeys);

  it('EXC-9 KEY-8 MAKADD raises the limit by the approved number, with an entry in both ledgers', async () => {
    await createApproved();
    const { value: request } = expectAccepted((await fulfillException(store, 'X-1', mondayNoon)) ?? throwMissing());
    expect(request.state).toMatchObject({ status: 'fulfilled', at: mondayNoon });
    expect(await findException(store, 'X-1')).toEqual(request);
    expect((await findKey(store, keyIdOf()))?.grants.slice(1)).toEqual([
      {
        kind: 'exception',
        amount: 150,
        at: mondayNoon,
        by: 'volume-activation',
        reference: 'X-1',
        approvedBy: noor.email,
      },
    ]);
    expect(await expectMakTotals(store, keyIdOf())).toMatchObject({ granted: 250, enforced: 250, inReserve: 150 });
    expect((await entries(`KEY#${keyIdOf()}`)).at(-1)).toMatchObject({
      at: mondayNoon,
      actor: noor.email,
      action: 'limit-raised',
      reference: 'X-1',
    });
    expect(await actions('EXCEPTION#X-1')).toEqual(['received', 'approval-asked', 'approved', 'fulfilled']);
  });

  it('EXC-9 KMSADD adds host slots', async () => {
    await createApproved('X-1', kmsForm());
    expectAccepted((await fulfillException(store, 'X-1', mondayNoon)) ?? throwMissing());
    expect(await limit(keyIdOf(kmsKey))).toBe(16);
  });

  it('EXC-9 raises the limit once, no matter how often it is fulfilled', async () => {
    await createApproved();
    const results = await Promise.all(Array.from({ length: 4 }, () => fulfillException(store, 'X-1', mondayNoon)));
    results.push(await fulfillException(store, 'X-1', tuesdayTen));
    for (const result of results) expect(result).toEqual(results[0]);
    expect(await expectMakTotals(store, keyIdOf())).toMatchObject({ granted: 250 });
    expect(await actions(`KEY#${keyIdOf()}`)).toEqual(['key-issued', 'limit-raised']);
  });

  it('EXC-5 frees its key for the next request when it is fulfilled', async () => {
    await createApproved();
    await fulfillException(store, 'X-1', mondayNoon);
    expectAccepted(await create('X-2'));
  });

  it('EXC-6 is required: nothing is granted before the approval or after a denial', async () => {
    expectAccepted(await create());
    for (const operationId of ['ask', 'deny']) {
      const refusal = expectRefusal((await fulfillException(store, 'X-1', mondayNoon)) ?? throwMissing());
      expect(refusal.code).toBe('not-in-that-state');
      const deny = (request: ExceptionRequest) =>
        recordDecision(request, 1, { decision: 'deny', comment: null }, context({ actor: noor.email, now: mondayTen }));
      expectAccepted(await transition(operationId === 'ask' ? ask(mondayTen) : deny, { operationId }));
    }
    expect(await fulfillException(store, 'X-1', mondayNoon)).toMatchObject({
      ok: true,
      value: { state: { status: 'denied' } },
    });
    expect(await fulfillException(store, 'X-9', mondayNoon)).toBeUndefined();
    expect(await expectMakTotals(store, keyIdOf())).toMatchObject({ granted: 100 });
  });

  it('EXC-8 is either rejected or fulfilled if both happen at once', async () => {
    await createApproved();
    const reject = (request: ExceptionRequest) =>
      rejectRequest(request, 'Stop.', context({ actor: reviewer, now: mondayNoon }));
    await Promise.all([
      fulfillException(store, 'X-1', mondayNoon),
      transition(reject, { operationId: 'reject', now: mondayNoon }),
    ]);
    const { state } = (await findException(store, 'X-1')) ?? throwMissing();
    expect(await expectMakTotals(store, keyIdOf())).toMatchObject({
      granted: state.status === 'fulfilled' ? 250 : 100,
    });
    expect(['fulfilled', 'rejected']).toContain(state.status);
  });

  it('EXC-9 is rejected without a grant if the key was blocked meanwhile', async () => {
    await createApproved();
    await blockKey(keyIdOf());
    const { value: request } = expectAccepted((await fulfillException(store, 'X-1', mondayNoon)) ?? throwMissing());
    expect(request.state).toMatchObject({ status: 'rejected', by: 'volume-activation' });
    expect(await limit(keyIdOf())).toBe(100);
  });

  it('EXC-9 MAK-4 KEY-8 adds up with calls and activations, in every order of database operations', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 3 }), async (scheduler, machines) => {
        store = await dynamoDb.newStore();
        await createKeys();
        await createApproved();
        const target = withScheduler(store, scheduler);
        const keyId = keyIdOf();
        const bucketCount = (await readKey(store, keyId))?.internal.bucketCount ?? 0;
        const call = { newLimit: 140, callReference: 'CALL-1', callerName: ines.name };
        const activation = (number: number) => ({
          installationId: installationId(number),
          product: 'windows-vista-business' as const,
          machineName: null,
          activatedAt: mondayNoon,
        });
        await scheduler.waitFor(
          Promise.all([
            fulfillException(target, 'X-1', mondayNoon),
            fulfillException(target, 'X-1', mondayNoon),
            grantIncrease(
              target,
              keyId,
              call,
              context({ actor: agent, operationId: 'call', now: mondayNoon, policy: target.policy }),
            ),
            ...Array.from({ length: machines }, (_, number) =>
              activateOnMak(
                target,
                { keyId, bucketCount },
                store.vault.digestOf(keyId, installationId(number)),
                activation(number),
              ),
            ),
          ]),
        );
        // The call raises the limit to 140 if it is first. After the exception, the limit is higher than 140 already.
        const { granted, used } = await expectMakTotals(store, keyId);
        expect([250, 290]).toContain(granted);
        expect(used).toBe(machines);
      }),
      { numRuns: 5 },
    );
  });
});

describe('an execution that suspends itself', () => {
  const token = (name: string) => new Secret(`task token ${name}`);
  const suspend = (wait: Partial<Parameters<typeof suspendExecution>[2]> = {}, now: Instant = mondayNoon) =>
    suspendExecution(
      store,
      'X-1',
      { executionNumber: 1, nextStep: 'request-approval', taskToken: token('a'), ...wait },
      now,
    );
  beforeEach(() => save(aRequest({ status: 'awaiting-approval' })));

  it('APR-1 waits, and its token is stored outside of the request', async () => {
    expect(await suspend()).toBe('waiting');
    const request = (await findException(store, 'X-1')) ?? throwMissing();
    expect(request.execution).toEqual({ status: 'waiting', executionNumber: 1, since: mondayNoon });
    expect(JSON.stringify(request)).not.toContain('task token');
    const resumption = (await readForResume(store, 'X-1')) ?? throwMissing();
    expect(resumption.request).toEqual(request);
    expect(resumption.taskToken?.reveal()).toBe('task token a');
    expect(JSON.stringify(resumption)).not.toContain('task token a');
  });

  it('waits with its newest token if it suspends itself again', async () => {
    await suspend();
    expect(await suspend({ taskToken: token('b') })).toBe('waiting');
    expect((await readForResume(store, 'X-1'))?.taskToken?.reveal()).toBe('task token b');
  });

  it.each(['request-review', 'request-information', 'raise-limit', 'end'] as const)(
    'does not wait if it performs the step %s and the request has another next step',
    async (nextStep) => {
      expect(await suspend({ nextStep })).toBe('next-step-changed');
      expect((await readForResume(store, 'X-1'))?.taskToken).toBeNull();
    },
  );

  it('does not wait if the request is decided meanwhile', async () => {
    await save(aRequest({ exceptionId: 'X-2', status: 'awaiting-approval' }));
    let isDecided = false;
    const interruptedStore = withInterceptor(store, async (command, send) => {
      if (command instanceof TransactWriteCommand && !isDecided) {
        isDecided = true;
        expectAccepted(await transition(approve, { exceptionId: 'X-2' }));
      }
      return send();
    });
    const wait = { executionNumber: 1, nextStep: 'request-approval', taskToken: token('a') } as const;
    expect(await suspendExecution(interruptedStore, 'X-2', wait, mondayNoon)).toBe('next-step-changed');
  });

  it('is superseded if a newer execution drives the request, or if there is no such request', async () => {
    const wait = { executionNumber: 1, nextStep: 'request-approval', taskToken: token('a') } as const;
    expect(await suspendExecution(store, 'X-9', wait, mondayNoon)).toBe('superseded');
    const { execution: expected } = (await findException(store, 'X-1')) ?? throwMissing();
    await updateExecution(
      store,
      'X-1',
      { expected, nextExecution: { status: 'start-pending', executionNumber: 2 } },
      mondayNoon,
    );
    expect(await suspend()).toBe('superseded');
    expect(await suspend({ executionNumber: 2 })).toBe('waiting');
  });

  it('APR-6 has to be resumed after the next transition', async () => {
    await suspend();
    expectAccepted(await transition(approve));
    expect((await findException(store, 'X-1'))?.execution).toMatchObject({
      status: 'resume-pending',
      executionNumber: 1,
    });
    expect((await readForResume(store, 'X-1'))?.taskToken?.reveal()).toBe('task token a');
    expect(await readForResume(store, 'X-9')).toBeUndefined();
  });
});

describe('the execution of a request', () => {
  beforeEach(() => save(aRequest({ status: 'received' })));

  it('is updated by one of two simultaneous callers that expect the same state', async () => {
    const { execution: expected } = (await findException(store, 'X-1')) ?? throwMissing();
    const requests = await Promise.all([
      updateExecution(store, 'X-1', { expected, nextExecution: { status: 'running', executionNumber: 1 } }, mondayNoon),
      updateExecution(
        store,
        'X-1',
        { expected, nextExecution: { status: 'running', executionNumber: 1 } },
        tuesdayNine,
      ),
    ]);
    const current = (await findException(store, 'X-1'))?.execution;
    expect([mondayNoon, tuesdayNine]).toContain(current?.since);
    for (const request of requests) expect(request?.execution).toEqual(current);
  });

  it('is not updated by a caller that expects another state', async () => {
    const before = await findException(store, 'X-1');
    const { execution } = before ?? throwMissing();
    for (const expected of [
      { ...execution, status: 'waiting' as const },
      { ...execution, executionNumber: 2 },
      { ...execution, since: tuesdayTen },
    ]) {
      expect(
        await updateExecution(
          store,
          'X-1',
          { expected, nextExecution: { status: 'ended', executionNumber: 1 } },
          tuesdayTen,
        ),
      ).toEqual(before);
    }
    expect(
      await updateExecution(
        store,
        'X-9',
        { expected: execution, nextExecution: { status: 'ended', executionNumber: 1 } },
        tuesdayTen,
      ),
    ).toBeUndefined();
  });
});

describe('pending notifications', () => {
  const ids = (notifications: readonly { readonly notificationId: string }[] | undefined) =>
    notifications?.map(({ notificationId }) => notificationId).toSorted();
  const claim = async (now: Instant = mondayTen, hasDeputy = false) =>
    ids((await claimPending(store, 'X-1', hasDeputy, now))?.notifications);
  let pendingIds: readonly string[];
  beforeEach(async () => {
    const request = aRequest({ status: 'awaiting-approval' });
    pendingIds = ids(request.pendingNotifications) ?? [];
    await save(request);
  });

  it('EXC-11 are claimed by one of several simultaneous senders', async () => {
    expect(pendingIds).toHaveLength(3);
    const claims = await Promise.all([claim(), claim(), claim()]);
    expect(claims.filter((each) => each?.length === 3)).toEqual([pendingIds]);
    expect(claims.filter((each) => each?.length === 0)).toHaveLength(2);
  });

  it('EXC-11 can be claimed by another sender after two minutes', async () => {
    expect(await claim(mondayTen)).toEqual(pendingIds);
    expect(await claim(addDuration(mondayTen, { seconds: 119 }))).toEqual([]);
    expect(await claim(addDuration(mondayTen, { seconds: 120 }))).toEqual(pendingIds);
  });

  it('EXC-11 are removed from the outbox once sent, and released if they could not be sent', async () => {
    const [first = '', second = '', third = ''] = pendingIds;
    await claim();
    await completeDelivery(store, 'X-1', { completedIds: [first], releasedIds: [second] }, mondayTen);
    expect(ids((await findException(store, 'X-1'))?.pendingNotifications)).toEqual([second, third]);
    expect(await claim()).toEqual([second]);
    await completeDelivery(store, 'X-1', { completedIds: [second, third], releasedIds: [] }, mondayTen);
    expect((await findException(store, 'X-1'))?.pendingNotifications).toEqual([]);
    expect(await claim(tuesdayTen)).toEqual([]);
  });

  it('EXC-11 are not removed if they were added while others were sent', async () => {
    await claim();
    expectAccepted(await transition(approve));
    await completeDelivery(store, 'X-1', { completedIds: pendingIds, releasedIds: [] }, mondayTen);
    const { pendingNotifications } = (await findException(store, 'X-1')) ?? throwMissing();
    expect(pendingNotifications.map(({ kind, to }) => [kind, to])).toEqual([
      ['decided', 'requester'],
      ['decided', 'correspondent'],
    ]);
  });

  it('AGR-5 are added for the deputy as well', async () => {
    const claim = await claimPending(store, 'X-1', true, mondayTen);
    expect(claim?.notifications.filter(({ to }) => to === 'deputy').length).toBeGreaterThan(0);
    expect(ids((await findException(store, 'X-1'))?.pendingNotifications)).toEqual(ids(claim?.notifications));
  });

  it('do not exist for an unknown request', async () => {
    expect(await claimPending(store, 'X-9', false, mondayTen)).toBeUndefined();
    await completeDelivery(store, 'X-9', { completedIds: ['a'], releasedIds: [] }, mondayTen);
    expect(await findException(store, 'X-9')).toBeUndefined();
  });
});

describe('a due action', () => {
  it('SLA-5 is applied once if several callers apply it at once', async () => {
    await save({ ...aRequest({ status: 'awaiting-approval' }), pendingNotifications: [] });
    const results = await Promise.all([1, 2, 3].map(() => applyDueExceptionAction(store, 'X-1', tuesdayTen)));
    expect(results.filter((result) => result?.wasDue)).toHaveLength(1);
    const { pendingNotifications } = (await findException(store, 'X-1')) ?? throwMissing();
    expect(pendingNotifications.map(({ kind, to }) => [kind, to])).toEqual([['approval-reminder', 'correspondent']]);
    expect(await actions('EXCEPTION#X-1')).toEqual(['correspondent-reminded']);
    expect(await applyDueExceptionAction(store, 'X-9', tuesdayTen)).toBeUndefined();
  });

  it('SLA-5 is listed when it is due, but not before and not after it was applied', async () => {
    const due = async (now: Instant) => (await listDueItems(store, 'EXCEPTION', now, firstPage)).items;
    const since = tuesdayFive;
    await save({
      ...aRequest(),
      pendingNotifications: [],
      execution: { status: 'start-pending', executionNumber: 1, since },
    });
    expect(await nextDueAt(store)).toBe(addDuration(since, { seconds: 30 }));
    expect(await due(addDuration(since, { seconds: 29 }))).toEqual([]);
    expect(await due(addDuration(since, { seconds: 30 }))).toEqual(['X-1']);
    expectAccepted(await transition(withdraw));
    const { pendingNotifications, execution } = (await findException(store, 'X-1')) ?? throwMissing();
    await completeDelivery(
      store,
      'X-1',
      { completedIds: pendingNotifications.map(({ notificationId }) => notificationId), releasedIds: [] },
      since,
    );
    await updateExecution(
      store,
      'X-1',
      { expected: execution, nextExecution: { status: 'ended', executionNumber: 1 } },
      since,
    );
    expect(await nextDueAt(store)).toBeNull();
    expect(await due(nextMondayFive)).toEqual([]);
  });
});

describe('a list of requests', () => {
  const dueTimes = fc.constantFrom(tuesdayFive, wednesdayNoon, fridayFive, nextMondayFive);
  const members = fc.record({
    status: fc.constantFrom(...exceptionStatuses),
    agreementId: fc.constantFrom('E-1', 'E-10', 'E-2'),
    dueAt: dueTimes,
  });
  const memberLists = fc.array(members, { minLength: 1, maxLength: 14 });

  function requestsFrom(
    memberList: readonly { status: ExceptionStatus; agreementId: string; dueAt: Instant }[],
  ): ExceptionRequest[] {
    return memberList.map(({ status, agreementId, dueAt }, number) => {
      const request = aRequest({ status, agreementId, exceptionId: `X-${number}`, keyId: `key-${number}` });
      const { clock } = request;
      return { ...request, clock: clock.status === 'paused' ? clock : { ...clock, dueAt } };
    });
  }

  /** Sorts by due time, requests with a paused clock last, then by ID. */
  function sortedIds(requests: readonly ExceptionRequest[]): readonly string[] {
    const sortKeyOf = ({ clock, exceptionId }: ExceptionRequest) =>
      `${clock.status === 'paused' ? 'never' : clock.dueAt} ${exceptionId}`;
    return requests
      .toSorted((one, other) => (sortKeyOf(one) < sortKeyOf(other) ? -1 : 1))
      .map(({ exceptionId }) => exceptionId);
  }

  const filters: readonly ExceptionFilter[] = [null, 'open', ...exceptionStatuses].flatMap((status) =>
    [null, [], ['E-1'], ['E-2', 'E-10'], ['E-9']].map((agreementIds) => ({ status, agreementIds }) as ExceptionFilter),
  );

  function matching(requests: readonly ExceptionRequest[], { status, agreementIds }: ExceptionFilter) {
    const statuses: readonly ExceptionStatus[] = openStatuses;
    return requests.filter(
      ({ state, agreementId }) =>
        (status === null || (status === 'open' ? statuses.includes(state.status) : state.status === status)) &&
        (agreementIds === null || agreementIds.includes(agreementId)),
    );
  }

  it('SLA-7 AGR-3 is ordered by due time and filtered by status and agreement, in pages of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        memberLists,
        fc.shuffledSubarray([...filters], { minLength: 8, maxLength: 8 }),
        fc.integer({ min: 1, max: 5 }),
        async (memberList, someFilters, pageLimit) => {
          store = await dynamoDb.newStore();
          const requests = requestsFrom(memberList);
          await Promise.all(requests.map(save));
          for (const filter of someFilters) {
            const listed = await readAllPages((page) => listExceptions(store, filter, page), pageLimit);
            expect(listed.map(({ exceptionId }) => exceptionId)).toEqual(sortedIds(matching(requests, filter)));
          }
        },
      ),
      { numRuns: 5 },
    );
  });

  it('AGR-3 of one agreement spans several pages of the index', async () => {
    const memberList = Array.from({ length: 112 }, (_, number) => ({
      status: number % 55 === 54 ? ('lapsed' as const) : ('received' as const),
      agreementId: 'E-1',
      dueAt: number % 2 === 0 ? fridayFive : tuesdayFive,
    }));
    const requests = requestsFrom(memberList);
    await Promise.all(requests.map(save));
    const filter: ExceptionFilter = { status: 'lapsed', agreementIds: ['E-1'] };
    expect((await listExceptions(store, filter, firstPage)).items.map(({ exceptionId }) => exceptionId)).toEqual(
      sortedIds(matching(requests, filter)),
    );
    const all = await readAllPages((page) => listExceptions(store, { ...filter, status: null }, page), 50);
    expect(all).toHaveLength(112);
  });

  it('shows a request with its current status', async () => {
    await createKeys();
    expectAccepted(await create());
    const listIds = async (status: ExceptionStatus | 'open') =>
      (await listExceptions(store, { status, agreementIds: null }, firstPage)).items.map(
        ({ exceptionId }) => exceptionId,
      );
    expect([await listIds('received'), await listIds('open')]).toEqual([['X-1'], ['X-1']]);
    expectAccepted(await transition(withdraw));
    expect([await listIds('received'), await listIds('open'), await listIds('withdrawn')]).toEqual([[], [], ['X-1']]);
  });

  it('contains a request once if its status changed between two queries, or not if it was closed', async () => {
    for (const exceptionId of ['X-1', 'X-2', 'X-3']) await save(aRequest({ exceptionId, keyId: `key ${exceptionId}` }));
    const { promise: changed, resolve } = Promise.withResolvers<void>();
    const partitionOf = (command: unknown) =>
      command instanceof QueryCommand ? command.input.ExpressionAttributeValues?.[':partition'] : undefined;
    const interruptedStore = withInterceptor(store, async (command, send) => {
      // The second partition is read only after the requests of the first one moved there, or were closed.
      if (partitionOf(command) === 'EXCEPTION#awaiting-approval') await changed;
      const result = await send();
      if (partitionOf(command) === 'EXCEPTION#received') {
        expectAccepted(await transition(ask(mondayTen), { exceptionId: 'X-1' }));
        expectAccepted(await transition(withdraw, { exceptionId: 'X-2' }));
        resolve();
      }
      return result;
    });
    const listed = await listExceptions(interruptedStore, { status: 'open', agreementIds: null }, firstPage);
    expect(listed.items.map(({ exceptionId, state }) => [exceptionId, state.status])).toEqual([
      ['X-1', 'awaiting-approval'],
      ['X-3', 'received'],
    ]);
  });

  it.each(['', ' ', '~', '~~', '2026', 'X-1', '\u{10ffff}'])(
    'is partial, or empty, after a position that no page returned: %j',
    async (after) => {
      await save(aRequest());
      for (const agreementIds of [null, ['E-1001']]) {
        const { items } = await listExceptions(store, { status: null, agreementIds }, { limit: 5, after });
        expect([[], ['X-1']]).toContainEqual(items.map(({ exceptionId }) => exceptionId));
      }
    },
  );
});

describe('a stored request', () => {
  it('is read as it was written, in every state', async () => {
    for (const status of exceptionStatuses) {
      const request = aRequest({ status, exceptionId: `X-${status}` });
      await save(request);
      expect(await findException(store, `X-${status}`)).toEqual(request);
    }
    expect(requestApproved().state.status).toBe('awaiting-approval');
    expect(await readItem(store, exceptionKey('X-9'))).toBeUndefined();
  });
});
