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
import type { Store } from '../../store/store.ts';
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

const engine = await startTestDynamoDb();
let store: Store;
beforeEach(async () => {
  store = await engine.newStore();
});

const firstPage = { limit: 100, after: null };
const open: Sender = { maySpeakFor: () => true };

// The district's two keys, as they are issued when its agreement is registered and a MAK is asked for.
const kmsKey = productKey(1);
const makKey = productKey(2);
const keyIdOf = (key = makKey) => store.vault.keyIdOf(key);

async function withKeys(): Promise<void> {
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

const forMak = (facts: Partial<RequestForm> = {}) => aRequestForm({ keyLastFive: makKey.lastFive, ...facts });
const forKms = (facts: Partial<RequestForm> = {}) => aKmsRequestForm({ keyLastFive: kmsKey.lastFive, ...facts });

function receive(exceptionId = 'X-1', intake = forMak(), sender = open, in_ = store) {
  return createException(
    in_,
    { exceptionId, form: intake },
    sender,
    context({ operationId: `receive ${exceptionId}`, now: mondayTen, policy: in_.policy }),
  );
}

function notThere(): never {
  throw new Error('there is no such request');
}

async function move(
  decideOn: Parameters<typeof transitionException>[2],
  { exceptionId = 'X-1', operation = 'move', now = mondayTen, in_ = store } = {},
) {
  return (await transitionException(in_, exceptionId, decideOn, { operationId: operation, now })) ?? notThere();
}

const ask = (now: Instant) => (request: ExceptionRequest) => requestApproval(request, context({ now }));
const approve = (request: ExceptionRequest) =>
  recordDecision(
    request,
    request.rounds,
    { decision: 'approve', comment: null },
    context({ actor: noor.email, now: mondayTen }),
  );
const withdrawn = (request: ExceptionRequest) =>
  withdrawRequest(request, null, context({ actor: ines.email, now: mondayTen }));

async function approved(exceptionId = 'X-1', intake = forMak()): Promise<void> {
  expectAccepted(await receive(exceptionId, intake));
  expectAccepted(await move(ask(mondayTen), { exceptionId, operation: 'ask' }));
  expectAccepted(await move(approve, { exceptionId, operation: 'approve' }));
}

/** Keeps a request as it is, without the way that led there. */
async function keep(request: ExceptionRequest): Promise<void> {
  const owned = newItem(exceptionKey(request.exceptionId), request);
  const writing = { operationId: 'keep', now: request.receivedAt, event: null };
  await updateWithRetry(store, async () => ({
    kind: 'write',
    value: null,
    writes: requestWrites(store, owned, request, writing),
  }));
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

describe('a request that comes in', () => {
  beforeEach(withKeys);

  it('LED-1 is kept with the entry that tells of it', async () => {
    const { value: answer } = expectAccepted(await receive());
    expect(answer).toMatchObject({ exceptionId: 'X-1', agreementId: 'E-1001', keyId: keyIdOf(), activations: 150 });
    expect(await findException(store, 'X-1')).toEqual(answer);
    expect(await entries('EXCEPTION#X-1')).toMatchObject([
      { sequence: 1, at: mondayTen, actor: ines.email, action: 'received', reference: 'X-1' },
    ]);
  });

  it('EXC-5 is taken once when the same operation comes again or several times at once', async () => {
    const outcomes = await Promise.all([receive(), receive(), receive()]);
    outcomes.push(await receive());
    for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0]);
    expect(expectAccepted(outcomes[0] ?? notThere()).value.exceptionId).toBe('X-1');
    expect(await actions('EXCEPTION#X-1')).toEqual(['received']);
  });

  it('EXC-5 is answered as it stands when it comes again much later, after all that was done to it', async () => {
    expectAccepted(await receive());
    for (let count = 1; count <= 11; count += 1) {
      await move((request) => askQuestion(request, `Which? ${count}`, context({ actor: reviewer, now: mondayTen })), {
        operation: `question ${count}`,
      });
      await move((request) => forwardRequest(request, 150 - count, context({ actor: reviewer, now: mondayTen })), {
        operation: `f ${count}`,
      });
    }
    expectAccepted(await move(withdrawn, { operation: 'withdraw' }));
    expect(expectAccepted(await receive()).value).toMatchObject({ exceptionId: 'X-1', state: { status: 'withdrawn' } });
  });

  it('EXC-5 is refused while another is open for its key, which it names', async () => {
    expectAccepted(await receive('X-1'));
    expect(expectRefusal(await receive('X-2'))).toMatchObject({ code: 'exception-already-open', exceptionId: 'X-1' });
    expect(await findException(store, 'X-2')).toBeUndefined();
  });

  it('EXC-5 is taken once when two different ones come at once, and the other names it', async () => {
    const outcomes = await Promise.all([receive('X-1'), receive('X-2'), receive('X-3')]);
    const [taken, ...more] = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.value.exceptionId] : []));
    expect(more).toEqual([]);
    const refusals = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.refusal]));
    expect(refusals).toMatchObject([
      { code: 'exception-already-open', exceptionId: taken },
      { code: 'exception-already-open', exceptionId: taken },
    ]);
  });

  it('EXC-5 is taken for another key of the agreement at the same time', async () => {
    const outcomes = await Promise.all([receive('X-1'), receive('X-2', forKms())]);
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true]);
    expect(expectAccepted(outcomes[1] ?? notThere()).value.keyId).toBe(keyIdOf(kmsKey));
  });

  it('EXC-5 is taken once the one before has ended', async () => {
    expectAccepted(await receive('X-1'));
    expectAccepted(await move(withdrawn));
    expectAccepted(await receive('X-2'));
    expect(expectRefusal(await receive('X-3'))).toMatchObject({ code: 'exception-already-open', exceptionId: 'X-2' });
  });

  it('AGR-3 EXC-2 is refused alike for an agreement that one may not speak for and for one that there is not', async () => {
    const stranger: Sender = { maySpeakFor: () => false };
    const hidden = expectRefusal(await receive('X-1', forMak(), stranger));
    const missing = expectRefusal(await receive('X-2', forMak({ agreementNumber: 'E-9999' })));
    expect(hidden).toEqual(missing);
    expect(hidden.code).toBe('requester-not-authorized');
  });

  it('EXC-3 is refused for a key that the agreement has not', async () => {
    expectAccepted(
      await registerAgreement(
        store,
        anAgreement({ agreementId: 'E-1002', numbers: { agreementNumber: 'E-1002' } }),
        () => productKey(3),
        context({ actor: 'admin', operationId: 'register 2', now: mondayNine }),
      ),
    );
    for (const key of [productKey(3), productKey(4)]) {
      const intake = forKms({ keyLastFive: key.lastFive });
      expect(expectRefusal(await receive('X-1', intake))).toMatchObject({ code: 'key-not-found' });
    }
  });

  it('EXC-3 is refused for a key that is blocked, even if that happens while it is being written', async () => {
    const meanwhile = withInterceptor(store, async (command, send) => {
      if (command instanceof TransactWriteCommand) await blockKey(keyIdOf());
      return send();
    });
    expect(expectRefusal(await receive('X-1', forMak(), open, meanwhile))).toMatchObject({ code: 'key-blocked' });
    expect(await findException(store, 'X-1')).toBeUndefined();
    expect(expectRefusal(await receive('X-2'))).toMatchObject({ code: 'key-blocked' });
  });
});

describe('a move', () => {
  beforeEach(async () => {
    await withKeys();
    expectAccepted(await receive());
  });

  it('LED-1 is written with its entry, once for each operation', async () => {
    const once = await move(ask(mondayNoon), { operation: 'ask', now: mondayNoon });
    expect(await move(ask(mondayNoon), { operation: 'ask', now: mondayNoon })).toEqual(once);
    expect(await findException(store, 'X-1')).toEqual(expectAccepted(once).value);
    expect((await entries('EXCEPTION#X-1')).slice(1)).toMatchObject([{ at: mondayNoon, action: 'approval-asked' }]);
  });

  it('is refused as the rule refuses it, and changes nothing', async () => {
    const before = await scanAllItems(store);
    expect(expectRefusal(await move(approve))).toMatchObject({ code: 'link-void' });
    expect(await transitionException(store, 'X-9', approve, { operationId: 'move', now: mondayTen })).toBeUndefined();
    expect(expectAccepted(await move(() => 'no-change')).value).toEqual(await findException(store, 'X-1'));
    expect(await scanAllItems(store)).toEqual(before);
  });

  it('EXC-8 EXC-10 of two at once is judged by what the first made of it', async () => {
    const rejected = (request: ExceptionRequest) =>
      rejectRequest(request, 'Too many.', context({ actor: reviewer, now: mondayTen }));
    const outcomes = await Promise.all([
      move(withdrawn, { operation: 'withdraw' }),
      move(rejected, { operation: 'reject' }),
    ]);
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    const [refusal] = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.refusal]));
    const { state: stage } = (await findException(store, 'X-1')) ?? notThere();
    expect(refusal).toMatchObject({ code: 'not-in-that-state', status: stage.status });
    expect(await actions('EXCEPTION#X-1')).toEqual(['received', stage.status]);
  });
});

describe('an approved request', () => {
  beforeEach(withKeys);

  it('EXC-9 KEY-8 MAKADD raises the limit by the number approved, with an entry in both histories', async () => {
    await approved();
    const { value: answer } = expectAccepted((await fulfillException(store, 'X-1', mondayNoon)) ?? notThere());
    expect(answer.state).toMatchObject({ status: 'fulfilled', at: mondayNoon });
    expect(await findException(store, 'X-1')).toEqual(answer);
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

  it('EXC-9 KMSADD adds host places', async () => {
    await approved('X-1', forKms());
    expectAccepted((await fulfillException(store, 'X-1', mondayNoon)) ?? notThere());
    expect(await limit(keyIdOf(kmsKey))).toBe(16);
  });

  it('EXC-9 raises the limit once, however often it is fulfilled and at once', async () => {
    await approved();
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => fulfillException(store, 'X-1', mondayNoon)));
    outcomes.push(await fulfillException(store, 'X-1', tuesdayTen));
    for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0]);
    expect(await expectMakTotals(store, keyIdOf())).toMatchObject({ granted: 250 });
    expect(await actions(`KEY#${keyIdOf()}`)).toEqual(['key-issued', 'limit-raised']);
  });

  it('EXC-5 makes room for another when it is fulfilled', async () => {
    await approved();
    await fulfillException(store, 'X-1', mondayNoon);
    expectAccepted(await receive('X-2'));
  });

  it('EXC-6 is what it takes: before it, and after a denial, nothing is granted', async () => {
    expectAccepted(await receive());
    for (const operation of ['ask', 'deny']) {
      const refused = expectRefusal((await fulfillException(store, 'X-1', mondayNoon)) ?? notThere());
      expect(refused.code).toBe('not-in-that-state');
      const deny = (request: ExceptionRequest) =>
        recordDecision(request, 1, { decision: 'deny', comment: null }, context({ actor: noor.email, now: mondayTen }));
      expectAccepted(await move(operation === 'ask' ? ask(mondayTen) : deny, { operation }));
    }
    expect(await fulfillException(store, 'X-1', mondayNoon)).toMatchObject({
      ok: true,
      value: { state: { status: 'denied' } },
    });
    expect(await fulfillException(store, 'X-9', mondayNoon)).toBeUndefined();
    expect(await expectMakTotals(store, keyIdOf())).toMatchObject({ granted: 100 });
  });

  it('EXC-8 is either stopped or fulfilled when both happen at once', async () => {
    await approved();
    const stop = (request: ExceptionRequest) =>
      rejectRequest(request, 'Stop.', context({ actor: reviewer, now: mondayNoon }));
    await Promise.all([fulfillException(store, 'X-1', mondayNoon), move(stop, { operation: 'stop', now: mondayNoon })]);
    const { state: stage } = (await findException(store, 'X-1')) ?? notThere();
    expect(await expectMakTotals(store, keyIdOf())).toMatchObject({
      granted: stage.status === 'fulfilled' ? 250 : 100,
    });
    expect(['fulfilled', 'rejected']).toContain(stage.status);
  });

  it('EXC-9 grants nothing on a key that was blocked meanwhile: the request ends, rejected', async () => {
    await approved();
    await blockKey(keyIdOf());
    const { value: answer } = expectAccepted((await fulfillException(store, 'X-1', mondayNoon)) ?? notThere());
    expect(answer.state).toMatchObject({ status: 'rejected', by: 'volume-activation' });
    expect(await limit(keyIdOf())).toBe(100);
  });

  it('EXC-9 MAK-4 KEY-8 adds up with calls and activations, in whatever order the database hears of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 3 }), async (scheduler, machines) => {
        store = await engine.newStore();
        await withKeys();
        await approved();
        const at = withScheduler(store, scheduler);
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
            fulfillException(at, 'X-1', mondayNoon),
            fulfillException(at, 'X-1', mondayNoon),
            grantIncrease(
              at,
              keyId,
              call,
              context({ actor: agent, operationId: 'call', now: mondayNoon, policy: at.policy }),
            ),
            ...Array.from({ length: machines }, (_, number) =>
              activateOnMak(
                at,
                { keyId, bucketCount },
                store.vault.digestOf(keyId, installationId(number)),
                activation(number),
              ),
            ),
          ]),
        );
        // The call raises to 140 if it comes first; after the exception 140 is no raise any more.
        const { granted, used } = await expectMakTotals(store, keyId);
        expect([250, 290]).toContain(granted);
        expect(used).toBe(machines);
      }),
      { numRuns: 5 },
    );
  });
});

describe('an execution that asks to wait', () => {
  const token = (name: string) => new Secret(`task token ${name}`);
  const wait = (facts: Partial<Parameters<typeof suspendExecution>[2]> = {}, now: Instant = mondayNoon) =>
    suspendExecution(
      store,
      'X-1',
      { executionNumber: 1, nextStep: 'request-approval', taskToken: token('a'), ...facts },
      now,
    );
  beforeEach(() => keep(aRequest({ status: 'awaiting-approval' })));

  it('APR-1 is parked, and its token is kept apart from the request', async () => {
    expect(await wait()).toBe('waiting');
    const request = (await findException(store, 'X-1')) ?? notThere();
    expect(request.execution).toEqual({ status: 'waiting', executionNumber: 1, since: mondayNoon });
    expect(JSON.stringify(request)).not.toContain('task token');
    const waking = (await readForResume(store, 'X-1')) ?? notThere();
    expect(waking.request).toEqual(request);
    expect(waking.taskToken?.reveal()).toBe('task token a');
    expect(JSON.stringify(waking)).not.toContain('task token a');
  });

  it('waits with its newest token when it asks again', async () => {
    await wait();
    expect(await wait({ taskToken: token('b') })).toBe('waiting');
    expect((await readForResume(store, 'X-1'))?.taskToken?.reveal()).toBe('task token b');
  });

  it.each(['request-review', 'request-information', 'raise-limit', 'end'] as const)(
    'is told that the request moved on when it believes it at %s',
    async (standing) => {
      expect(await wait({ nextStep: standing })).toBe('moved-on');
      expect((await readForResume(store, 'X-1'))?.taskToken).toBeNull();
    },
  );

  it('is told that the request moved on when a decision comes in between', async () => {
    await keep(aRequest({ exceptionId: 'X-2', status: 'awaiting-approval' }));
    let decided = false;
    const meanwhile = withInterceptor(store, async (command, send) => {
      if (command instanceof TransactWriteCommand && !decided) {
        decided = true;
        expectAccepted(await move(approve, { exceptionId: 'X-2' }));
      }
      return send();
    });
    const waits = { executionNumber: 1, nextStep: 'request-approval', taskToken: token('a') } as const;
    expect(await suspendExecution(meanwhile, 'X-2', waits, mondayNoon)).toBe('moved-on');
  });

  it('is told that it is superseded when another drives the request, or there is none', async () => {
    const other = { executionNumber: 1, nextStep: 'request-approval', taskToken: token('a') } as const;
    expect(await suspendExecution(store, 'X-9', other, mondayNoon)).toBe('superseded');
    const { execution: seen } = (await findException(store, 'X-1')) ?? notThere();
    await updateExecution(
      store,
      'X-1',
      { expected: seen, nextExecution: { status: 'start-pending', executionNumber: 2 } },
      mondayNoon,
    );
    expect(await wait()).toBe('superseded');
    expect(await wait({ executionNumber: 2 })).toBe('waiting');
  });

  it('APR-6 owes the execution a wake-up from the next move on', async () => {
    await wait();
    expectAccepted(await move(approve));
    expect((await findException(store, 'X-1'))?.execution).toMatchObject({
      status: 'resume-pending',
      executionNumber: 1,
    });
    expect((await readForResume(store, 'X-1'))?.taskToken?.reveal()).toBe('task token a');
    expect(await readForResume(store, 'X-9')).toBeUndefined();
  });
});

describe('how a request is driven', () => {
  beforeEach(() => keep(aRequest({ status: 'received' })));

  it('is changed by whoever saw it as it is, and by one of two who saw the same at once', async () => {
    const { execution: seen } = (await findException(store, 'X-1')) ?? notThere();
    const answers = await Promise.all([
      updateExecution(
        store,
        'X-1',
        { expected: seen, nextExecution: { status: 'running', executionNumber: 1 } },
        mondayNoon,
      ),
      updateExecution(
        store,
        'X-1',
        { expected: seen, nextExecution: { status: 'running', executionNumber: 1 } },
        tuesdayNine,
      ),
    ]);
    const won = (await findException(store, 'X-1'))?.execution;
    expect([mondayNoon, tuesdayNine]).toContain(won?.since);
    for (const answer of answers) expect(answer?.execution).toEqual(won);
  });

  it('is left as it is by whoever saw it otherwise', async () => {
    const before = await findException(store, 'X-1');
    const { execution: seen } = before ?? notThere();
    for (const other of [
      { ...seen, status: 'waiting' as const },
      { ...seen, executionNumber: 2 },
      { ...seen, since: tuesdayTen },
    ]) {
      expect(
        await updateExecution(
          store,
          'X-1',
          { expected: other, nextExecution: { status: 'ended', executionNumber: 1 } },
          tuesdayTen,
        ),
      ).toEqual(before);
    }
    expect(
      await updateExecution(
        store,
        'X-9',
        { expected: seen, nextExecution: { status: 'ended', executionNumber: 1 } },
        tuesdayTen,
      ),
    ).toBeUndefined();
  });
});

describe('letters that are owed', () => {
  const ids = (letters: readonly { readonly notificationId: string }[] | undefined) =>
    letters?.map(({ notificationId }) => notificationId).toSorted();
  const claim = async (now: Instant = mondayTen, hasDeputy = false) =>
    ids((await claimPending(store, 'X-1', hasDeputy, now))?.notifications);
  let owed: readonly string[];
  beforeEach(async () => {
    const request = aRequest({ status: 'awaiting-approval' });
    owed = ids(request.pendingNotifications) ?? [];
    await keep(request);
  });

  it('EXC-11 are claimed by one of those who want to send them at once', async () => {
    expect(owed).toHaveLength(3);
    const claimed = await Promise.all([claim(), claim(), claim()]);
    expect(claimed.filter((each) => each?.length === 3)).toEqual([owed]);
    expect(claimed.filter((each) => each?.length === 0)).toHaveLength(2);
  });

  it('EXC-11 are claimed by another when whoever claimed them did not send them in two minutes', async () => {
    expect(await claim(mondayTen)).toEqual(owed);
    expect(await claim(addDuration(mondayTen, { seconds: 119 }))).toEqual([]);
    expect(await claim(addDuration(mondayTen, { seconds: 120 }))).toEqual(owed);
  });

  it('EXC-11 are struck off when they went out, and let go when they did not', async () => {
    const [first = '', second = '', third = ''] = owed;
    await claim();
    await completeDelivery(store, 'X-1', { completedIds: [first], releasedIds: [second] }, mondayTen);
    expect(ids((await findException(store, 'X-1'))?.pendingNotifications)).toEqual([second, third]);
    expect(await claim()).toEqual([second]);
    await completeDelivery(store, 'X-1', { completedIds: [second, third], releasedIds: [] }, mondayTen);
    expect((await findException(store, 'X-1'))?.pendingNotifications).toEqual([]);
    expect(await claim(tuesdayTen)).toEqual([]);
  });

  it('EXC-11 that are written while others are being sent are not struck off with them', async () => {
    await claim();
    expectAccepted(await move(approve));
    await completeDelivery(store, 'X-1', { completedIds: owed, releasedIds: [] }, mondayTen);
    const { pendingNotifications: letters } = (await findException(store, 'X-1')) ?? notThere();
    expect(letters.map(({ kind, to }) => [kind, to])).toEqual([
      ['decided', 'requester'],
      ['decided', 'correspondent'],
    ]);
  });

  it('AGR-5 are owed to the deputy as well', async () => {
    const claimed = await claimPending(store, 'X-1', true, mondayTen);
    expect(claimed?.notifications.filter(({ to }) => to === 'deputy').length).toBeGreaterThan(0);
    expect(ids((await findException(store, 'X-1'))?.pendingNotifications)).toEqual(ids(claimed?.notifications));
  });

  it('are nobody’s when there is no such request', async () => {
    expect(await claimPending(store, 'X-9', false, mondayTen)).toBeUndefined();
    await completeDelivery(store, 'X-9', { completedIds: ['a'], releasedIds: [] }, mondayTen);
    expect(await findException(store, 'X-9')).toBeUndefined();
  });
});

describe('what time brings about', () => {
  it('SLA-5 is written once when several tick at once', async () => {
    await keep({ ...aRequest({ status: 'awaiting-approval' }), pendingNotifications: [] });
    const ticks = await Promise.all([1, 2, 3].map(() => applyDueExceptionAction(store, 'X-1', tuesdayTen)));
    expect(ticks.filter((tick) => tick?.wasDue)).toHaveLength(1);
    const { pendingNotifications: letters } = (await findException(store, 'X-1')) ?? notThere();
    expect(letters.map(({ kind, to }) => [kind, to])).toEqual([['approval-reminder', 'correspondent']]);
    expect(await actions('EXCEPTION#X-1')).toEqual(['correspondent-reminded']);
    expect(await applyDueExceptionAction(store, 'X-9', tuesdayTen)).toBeUndefined();
  });

  it('SLA-5 is found when it is due and not before, and no longer when it was done', async () => {
    const due = async (now: Instant) => (await listDueItems(store, 'EXCEPTION', now, firstPage)).items;
    const at = tuesdayFive;
    await keep({
      ...aRequest(),
      pendingNotifications: [],
      execution: { status: 'start-pending', executionNumber: 1, since: at },
    });
    expect(await nextDueAt(store)).toBe(addDuration(at, { seconds: 30 }));
    expect(await due(addDuration(at, { seconds: 29 }))).toEqual([]);
    expect(await due(addDuration(at, { seconds: 30 }))).toEqual(['X-1']);
    expectAccepted(await move(withdrawn));
    const { pendingNotifications: letters, execution: seen } = (await findException(store, 'X-1')) ?? notThere();
    await completeDelivery(
      store,
      'X-1',
      { completedIds: letters.map(({ notificationId: letterId }) => letterId), releasedIds: [] },
      at,
    );
    await updateExecution(store, 'X-1', { expected: seen, nextExecution: { status: 'ended', executionNumber: 1 } }, at);
    expect(await nextDueAt(store)).toBeNull();
    expect(await due(nextMondayFive)).toEqual([]);
  });
});

describe('a list of requests', () => {
  const due = fc.constantFrom(tuesdayFive, wednesdayNoon, fridayFive, nextMondayFive);
  const made = fc.record({
    status: fc.constantFrom(...exceptionStatuses),
    agreementId: fc.constantFrom('E-1', 'E-10', 'E-2'),
    dueAt: due,
  });
  const fleet = fc.array(made, { minLength: 1, maxLength: 14 });

  function requestsFrom(
    facts: readonly { status: ExceptionStatus; agreementId: string; dueAt: Instant }[],
  ): ExceptionRequest[] {
    return facts.map(({ status, agreementId, dueAt }, number) => {
      const request = aRequest({ status, agreementId, exceptionId: `X-${number}`, keyId: `key-${number}` });
      const { clock } = request;
      return { ...request, clock: clock.status === 'paused' ? clock : { ...clock, dueAt } };
    });
  }

  /** Soonest due first; requests whose clock stands, which have no due time, last; by id where that is the same. */
  function inOrder(requests: readonly ExceptionRequest[]): readonly string[] {
    const place = ({ clock, exceptionId }: ExceptionRequest) =>
      `${clock.status === 'paused' ? 'never' : clock.dueAt} ${exceptionId}`;
    return requests
      .toSorted((one, other) => (place(one) < place(other) ? -1 : 1))
      .map(({ exceptionId }) => exceptionId);
  }

  const filters: readonly ExceptionFilter[] = [null, 'open', ...exceptionStatuses].flatMap((status) =>
    [null, [], ['E-1'], ['E-2', 'E-10'], ['E-9']].map((agreementIds) => ({ status, agreementIds }) as ExceptionFilter),
  );

  function wanted(requests: readonly ExceptionRequest[], { status, agreementIds }: ExceptionFilter) {
    const openOnes: readonly ExceptionStatus[] = openStatuses;
    return requests.filter(
      ({ state: stage, agreementId }) =>
        (status === null || (status === 'open' ? openOnes.includes(stage.status) : stage.status === status)) &&
        (agreementIds === null || agreementIds.includes(agreementId)),
    );
  }

  it('SLA-7 AGR-3 is soonest due first, of the states and agreements asked for, the same in pages of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fleet,
        fc.shuffledSubarray([...filters], { minLength: 8, maxLength: 8 }),
        fc.integer({ min: 1, max: 5 }),
        async (facts, some, pageLimit) => {
          store = await engine.newStore();
          const requests = requestsFrom(facts);
          await Promise.all(requests.map(keep));
          for (const filter of some) {
            const listed = await readAllPages((page) => listExceptions(store, filter, page), pageLimit);
            expect(listed.map(({ exceptionId }) => exceptionId)).toEqual(inOrder(wanted(requests, filter)));
          }
        },
      ),
      { numRuns: 5 },
    );
  });

  it('AGR-3 of one agreement goes over many pages of the index', async () => {
    const facts = Array.from({ length: 112 }, (_, number) => ({
      status: number % 55 === 54 ? ('lapsed' as const) : ('received' as const),
      agreementId: 'E-1',
      dueAt: number % 2 === 0 ? fridayFive : tuesdayFive,
    }));
    const requests = requestsFrom(facts);
    await Promise.all(requests.map(keep));
    const filter: ExceptionFilter = { status: 'lapsed', agreementIds: ['E-1'] };
    expect((await listExceptions(store, filter, firstPage)).items.map(({ exceptionId }) => exceptionId)).toEqual(
      inOrder(wanted(requests, filter)),
    );
    const all = await readAllPages((page) => listExceptions(store, { ...filter, status: null }, page), 50);
    expect(all).toHaveLength(112);
  });

  it('moves a request to its new place and state with every change', async () => {
    await withKeys();
    expectAccepted(await receive());
    const found = async (status: ExceptionStatus | 'open') =>
      (await listExceptions(store, { status, agreementIds: null }, firstPage)).items.map(
        ({ exceptionId }) => exceptionId,
      );
    expect([await found('received'), await found('open')]).toEqual([['X-1'], ['X-1']]);
    expectAccepted(await move(withdrawn));
    expect([await found('received'), await found('open'), await found('withdrawn')]).toEqual([[], [], ['X-1']]);
  });

  it('has a request once that moved on between two readings, and none that moved out of it', async () => {
    for (const exceptionId of ['X-1', 'X-2', 'X-3']) await keep(aRequest({ exceptionId, keyId: `key ${exceptionId}` }));
    const { promise: moved, resolve } = Promise.withResolvers<void>();
    const partitionOf = (command: unknown) =>
      command instanceof QueryCommand ? command.input.ExpressionAttributeValues?.[':partition'] : undefined;
    const meanwhile = withInterceptor(store, async (command, send) => {
      // The other partition is read only after the requests that were read in the first have gone there, or have ended.
      if (partitionOf(command) === 'EXCEPTION#awaiting-approval') await moved;
      const answer = await send();
      if (partitionOf(command) === 'EXCEPTION#received') {
        expectAccepted(await move(ask(mondayTen), { exceptionId: 'X-1' }));
        expectAccepted(await move(withdrawn, { exceptionId: 'X-2' }));
        resolve();
      }
      return answer;
    });
    const listed = await listExceptions(meanwhile, { status: 'open', agreementIds: null }, firstPage);
    expect(listed.items.map(({ exceptionId, state: stage }) => [exceptionId, stage.status])).toEqual([
      ['X-1', 'awaiting-approval'],
      ['X-3', 'received'],
    ]);
  });

  it.each(['', ' ', '~', '~~', '2026', 'X-1', '\u{10ffff}'])(
    'is a part, or nothing, after a position that we never gave: %j',
    async (after) => {
      await keep(aRequest());
      for (const agreementIds of [null, ['E-1001']]) {
        const { items } = await listExceptions(store, { status: null, agreementIds }, { limit: 5, after });
        expect([[], ['X-1']]).toContainEqual(items.map(({ exceptionId }) => exceptionId));
      }
    },
  );
});

describe('a request that is kept', () => {
  it('reads as it was written, in each of its states', async () => {
    for (const status of exceptionStatuses) {
      const request = aRequest({ status, exceptionId: `X-${status}` });
      await keep(request);
      expect(await findException(store, `X-${status}`)).toEqual(request);
    }
    expect(requestApproved().state.status).toBe('awaiting-approval');
    expect(await readItem(store, exceptionKey('X-9'))).toBeUndefined();
  });
});
