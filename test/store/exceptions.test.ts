import { QueryCommand, TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Instant } from '../../domain/calendar/instant.ts';
import { later } from '../../domain/calendar/instant.ts';
import type { ExceptionStatus } from '../../domain/exception-status.ts';
import { exceptionStatuses, openStatuses } from '../../domain/exception-status.ts';
import type { ExceptionRequest, Intake } from '../../domain/exceptions/request.ts';
import { askCorrespondent, decide, forward, question, reject, withdraw } from '../../domain/exceptions/request.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import { Secret } from '../../domain/secret.ts';
import { registerAgreement } from '../../store/agreements.ts';
import { dueBy, nextDueAt } from '../../store/dynamodb/due-items.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { change, read, unwritten } from '../../store/dynamodb/versioned-item.ts';
import type { ExceptionFilter, Sender } from '../../store/exceptions.ts';
import {
  claimLetters,
  drive,
  exceptionItem,
  findException,
  fulfilException,
  listExceptions,
  moveException,
  movingWrites,
  park,
  readForWaking,
  receiveException,
  settleLetters,
  tickException,
} from '../../store/exceptions.ts';
import { findKey, giveIncrease, issueMak, readKey } from '../../store/keys.ts';
import { historyOf } from '../../store/ledger.ts';
import { activateOnMak } from '../../store/mak-activations.ts';
import {
  accepted,
  agent,
  aKmsIntake,
  anAgreement,
  anIntake,
  aRequest,
  carla,
  context,
  ines,
  installationId,
  productKey,
  refusalOf,
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
import { everyItem, everyPage, interleaved, overheard, startEngine } from './dynamodb.ts';
import { accountOf } from './mak-totals.ts';

const engine = await startEngine();
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
  accepted(
    await registerAgreement(
      store,
      agreement,
      () => kmsKey,
      context({ actor: 'admin', operationId: 'register', now: mondayNine }),
    ),
  );
  accepted(
    await issueMak(
      store,
      agreement,
      { productGroup: 'client', drawKey: () => makKey },
      context({ actor: ines.email, operationId: 'issue', now: mondayNine }),
    ),
  );
}

const forMak = (facts: Partial<Intake> = {}) => anIntake({ keyLastFive: makKey.lastFive, ...facts });
const forKms = (facts: Partial<Intake> = {}) => aKmsIntake({ keyLastFive: kmsKey.lastFive, ...facts });

function receive(exceptionId = 'X-1', intake = forMak(), sender = open, in_ = store) {
  return receiveException(
    in_,
    { exceptionId, intake },
    sender,
    context({ operationId: `receive ${exceptionId}`, now: mondayTen, policy: in_.policy }),
  );
}

function notThere(): never {
  throw new Error('there is no such request');
}

async function move(
  decideOn: Parameters<typeof moveException>[2],
  { exceptionId = 'X-1', operation = 'move', now = mondayTen, in_ = store } = {},
) {
  return (await moveException(in_, exceptionId, decideOn, { operationId: operation, now })) ?? notThere();
}

const ask = (now: Instant) => (request: ExceptionRequest) => askCorrespondent(request, context({ now }));
const approve = (request: ExceptionRequest) =>
  decide(
    request,
    request.asks,
    { decision: 'approve', comment: null },
    context({ actor: carla.email, now: mondayTen }),
  );
const withdrawn = (request: ExceptionRequest) =>
  withdraw(request, null, context({ actor: ines.email, now: mondayTen }));

async function approved(exceptionId = 'X-1', intake = forMak()): Promise<void> {
  accepted(await receive(exceptionId, intake));
  accepted(await move(ask(mondayTen), { exceptionId, operation: 'ask' }));
  accepted(await move(approve, { exceptionId, operation: 'approve' }));
}

/** Keeps a request as it is, without the way that led there. */
async function keep(request: ExceptionRequest): Promise<void> {
  const owned = unwritten(exceptionItem(request.exceptionId), request);
  const writing = { operation: 'keep', now: request.receivedAt, deed: null };
  await change(store, async () => ({
    is: 'to-write',
    answer: null,
    writes: movingWrites(store, owned, request, writing),
  }));
}

const entries = async (owner: Parameters<typeof historyOf>[1]) => (await historyOf(store, owner, firstPage)).items;
const actions = async (owner: Parameters<typeof historyOf>[1]) => (await entries(owner)).map(({ action }) => action);
const limit = async (keyId: string) => limitOf((await findKey(store, keyId))?.grants ?? []);

async function blockKey(keyId: string): Promise<void> {
  await store.client.send(
    new UpdateCommand({
      TableName: store.tableName,
      Key: { PK: `KEY#${keyId}`, SK: 'KEY' },
      UpdateExpression: 'SET #value.#status = :blocked ADD #version :one',
      ExpressionAttributeNames: { '#value': 'value', '#status': 'status', '#version': 'version' },
      ExpressionAttributeValues: { ':blocked': { is: 'blocked', at: mondayTen, replacedBy: null }, ':one': 1 },
    }),
  );
}

describe('a request that comes in', () => {
  beforeEach(withKeys);

  it('LED-1 is kept with the entry that tells of it', async () => {
    const { answer } = accepted(await receive());
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
    expect(accepted(outcomes[0] ?? notThere()).answer.exceptionId).toBe('X-1');
    expect(await actions('EXCEPTION#X-1')).toEqual(['received']);
  });

  it('EXC-5 is answered as it stands when it comes again much later, after all that was done to it', async () => {
    accepted(await receive());
    for (let count = 1; count <= 11; count += 1) {
      await move((request) => question(request, `Which? ${count}`, context({ actor: reviewer, now: mondayTen })), {
        operation: `question ${count}`,
      });
      await move((request) => forward(request, 150 - count, context({ actor: reviewer, now: mondayTen })), {
        operation: `f ${count}`,
      });
    }
    accepted(await move(withdrawn, { operation: 'withdraw' }));
    expect(accepted(await receive()).answer).toMatchObject({ exceptionId: 'X-1', stage: { is: 'withdrawn' } });
  });

  it('EXC-5 is refused while another is open for its key, which it names', async () => {
    accepted(await receive('X-1'));
    expect(refusalOf(await receive('X-2'))).toMatchObject({ code: 'exception-already-open', exceptionId: 'X-1' });
    expect(await findException(store, 'X-2')).toBeUndefined();
  });

  it('EXC-5 is taken once when two different ones come at once, and the other names it', async () => {
    const outcomes = await Promise.all([receive('X-1'), receive('X-2'), receive('X-3')]);
    const [taken, ...more] = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.answer.exceptionId] : []));
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
    expect(accepted(outcomes[1] ?? notThere()).answer.keyId).toBe(keyIdOf(kmsKey));
  });

  it('EXC-5 is taken once the one before has ended', async () => {
    accepted(await receive('X-1'));
    accepted(await move(withdrawn));
    accepted(await receive('X-2'));
    expect(refusalOf(await receive('X-3'))).toMatchObject({ code: 'exception-already-open', exceptionId: 'X-2' });
  });

  it('AGR-3 EXC-2 is refused alike for an agreement that one may not speak for and for one that there is not', async () => {
    const stranger: Sender = { maySpeakFor: () => false };
    const hidden = refusalOf(await receive('X-1', forMak(), stranger));
    const missing = refusalOf(await receive('X-2', forMak({ agreementNumber: 'E-9999' })));
    expect(hidden).toEqual(missing);
    expect(hidden.code).toBe('requester-not-authorized');
  });

  it('EXC-3 is refused for a key that the agreement has not', async () => {
    accepted(
      await registerAgreement(
        store,
        anAgreement({ agreementId: 'E-1002', numbers: { agreementNumber: 'E-1002' } }),
        () => productKey(3),
        context({ actor: 'admin', operationId: 'register 2', now: mondayNine }),
      ),
    );
    for (const key of [productKey(3), productKey(4)]) {
      const intake = forKms({ keyLastFive: key.lastFive });
      expect(refusalOf(await receive('X-1', intake))).toMatchObject({ code: 'key-not-found' });
    }
  });

  it('EXC-3 is refused for a key that is blocked, even if that happens while it is being written', async () => {
    const meanwhile = overheard(store, async (command, send) => {
      if (command instanceof TransactWriteCommand) await blockKey(keyIdOf());
      return send();
    });
    expect(refusalOf(await receive('X-1', forMak(), open, meanwhile))).toMatchObject({ code: 'key-blocked' });
    expect(await findException(store, 'X-1')).toBeUndefined();
    expect(refusalOf(await receive('X-2'))).toMatchObject({ code: 'key-blocked' });
  });
});

describe('a move', () => {
  beforeEach(async () => {
    await withKeys();
    accepted(await receive());
  });

  it('LED-1 is written with its entry, once for each operation', async () => {
    const once = await move(ask(mondayNoon), { operation: 'ask', now: mondayNoon });
    expect(await move(ask(mondayNoon), { operation: 'ask', now: mondayNoon })).toEqual(once);
    expect(await findException(store, 'X-1')).toEqual(accepted(once).answer);
    expect((await entries('EXCEPTION#X-1')).slice(1)).toMatchObject([{ at: mondayNoon, action: 'approval-asked' }]);
  });

  it('is refused as the rule refuses it, and changes nothing', async () => {
    const before = await everyItem(store);
    expect(refusalOf(await move(approve))).toMatchObject({ code: 'link-void' });
    expect(await moveException(store, 'X-9', approve, { operationId: 'move', now: mondayTen })).toBeUndefined();
    expect(accepted(await move(() => 'nothing')).answer).toEqual(await findException(store, 'X-1'));
    expect(await everyItem(store)).toEqual(before);
  });

  it('EXC-8 EXC-10 of two at once is judged by what the first made of it', async () => {
    const rejected = (request: ExceptionRequest) =>
      reject(request, 'Too many.', context({ actor: reviewer, now: mondayTen }));
    const outcomes = await Promise.all([
      move(withdrawn, { operation: 'withdraw' }),
      move(rejected, { operation: 'reject' }),
    ]);
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    const [refusal] = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.refusal]));
    const { stage } = (await findException(store, 'X-1')) ?? notThere();
    expect(refusal).toMatchObject({ code: 'not-in-that-state', status: stage.is });
    expect(await actions('EXCEPTION#X-1')).toEqual(['received', stage.is]);
  });
});

describe('an approved request', () => {
  beforeEach(withKeys);

  it('EXC-9 KEY-8 MAKADD raises the limit by the number approved, with an entry in both histories', async () => {
    await approved();
    const { answer } = accepted((await fulfilException(store, 'X-1', mondayNoon)) ?? notThere());
    expect(answer.stage).toMatchObject({ is: 'fulfilled', at: mondayNoon });
    expect(await findException(store, 'X-1')).toEqual(answer);
    expect((await findKey(store, keyIdOf()))?.grants.slice(1)).toEqual([
      {
        kind: 'exception',
        amount: 150,
        at: mondayNoon,
        by: 'volume-activation',
        reference: 'X-1',
        approvedBy: carla.email,
      },
    ]);
    expect(await accountOf(store, keyIdOf())).toMatchObject({ granted: 250, enforced: 250, inReserve: 150 });
    expect((await entries(`KEY#${keyIdOf()}`)).at(-1)).toMatchObject({
      at: mondayNoon,
      actor: carla.email,
      action: 'limit-raised',
      reference: 'X-1',
    });
    expect(await actions('EXCEPTION#X-1')).toEqual(['received', 'approval-asked', 'approved', 'fulfilled']);
  });

  it('EXC-9 KMSADD adds host places', async () => {
    await approved('X-1', forKms());
    accepted((await fulfilException(store, 'X-1', mondayNoon)) ?? notThere());
    expect(await limit(keyIdOf(kmsKey))).toBe(16);
  });

  it('EXC-9 raises the limit once, however often it is fulfilled and at once', async () => {
    await approved();
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => fulfilException(store, 'X-1', mondayNoon)));
    outcomes.push(await fulfilException(store, 'X-1', tuesdayTen));
    for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0]);
    expect(await accountOf(store, keyIdOf())).toMatchObject({ granted: 250 });
    expect(await actions(`KEY#${keyIdOf()}`)).toEqual(['key-issued', 'limit-raised']);
  });

  it('EXC-5 makes room for another when it is fulfilled', async () => {
    await approved();
    await fulfilException(store, 'X-1', mondayNoon);
    accepted(await receive('X-2'));
  });

  it('EXC-6 is what it takes: before it, and after a denial, nothing is granted', async () => {
    accepted(await receive());
    for (const operation of ['ask', 'deny']) {
      const refused = refusalOf((await fulfilException(store, 'X-1', mondayNoon)) ?? notThere());
      expect(refused.code).toBe('not-in-that-state');
      const deny = (request: ExceptionRequest) =>
        decide(request, 1, { decision: 'deny', comment: null }, context({ actor: carla.email, now: mondayTen }));
      accepted(await move(operation === 'ask' ? ask(mondayTen) : deny, { operation }));
    }
    expect(await fulfilException(store, 'X-1', mondayNoon)).toMatchObject({
      ok: true,
      answer: { stage: { is: 'denied' } },
    });
    expect(await fulfilException(store, 'X-9', mondayNoon)).toBeUndefined();
    expect(await accountOf(store, keyIdOf())).toMatchObject({ granted: 100 });
  });

  it('EXC-8 is either stopped or fulfilled when both happen at once', async () => {
    await approved();
    const stop = (request: ExceptionRequest) => reject(request, 'Stop.', context({ actor: reviewer, now: mondayNoon }));
    await Promise.all([fulfilException(store, 'X-1', mondayNoon), move(stop, { operation: 'stop', now: mondayNoon })]);
    const { stage } = (await findException(store, 'X-1')) ?? notThere();
    expect(await accountOf(store, keyIdOf())).toMatchObject({ granted: stage.is === 'fulfilled' ? 250 : 100 });
    expect(['fulfilled', 'rejected']).toContain(stage.is);
  });

  it('EXC-9 grants nothing on a key that was blocked meanwhile: the request ends, rejected', async () => {
    await approved();
    await blockKey(keyIdOf());
    const { answer } = accepted((await fulfilException(store, 'X-1', mondayNoon)) ?? notThere());
    expect(answer.stage).toMatchObject({ is: 'rejected', by: 'volume-activation' });
    expect(await limit(keyIdOf())).toBe(100);
  });

  it('EXC-9 MAK-4 KEY-8 adds up with calls and activations, in whatever order the database hears of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 3 }), async (scheduler, machines) => {
        store = await engine.newStore();
        await withKeys();
        await approved();
        const at = interleaved(store, scheduler);
        const keyId = keyIdOf();
        const bucketCount = (await readKey(store, keyId))?.kept.bucketCount ?? 0;
        const call = { newLimit: 140, callReference: 'CALL-1', callerName: ines.name };
        const activation = (number: number) => ({
          installationId: installationId(number),
          product: 'windows-vista-business' as const,
          machineName: null,
          activatedAt: mondayNoon,
        });
        await scheduler.waitFor(
          Promise.all([
            fulfilException(at, 'X-1', mondayNoon),
            fulfilException(at, 'X-1', mondayNoon),
            giveIncrease(
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
        const { granted, used } = await accountOf(store, keyId);
        expect([250, 290]).toContain(granted);
        expect(used).toBe(machines);
      }),
      { numRuns: 5 },
    );
  });
});

describe('an execution that asks to wait', () => {
  const token = (name: string) => new Secret(`task token ${name}`);
  const wait = (facts: Partial<Parameters<typeof park>[2]> = {}, now: Instant = mondayNoon) =>
    park(store, 'X-1', { attempt: 1, standing: 'ask-correspondent', taskToken: token('a'), ...facts }, now);
  beforeEach(() => keep(aRequest({ status: 'awaiting-approval' })));

  it('APR-1 is parked, and its token is kept apart from the request', async () => {
    expect(await wait()).toBe('parked');
    const request = (await findException(store, 'X-1')) ?? notThere();
    expect(request.drive).toEqual({ is: 'parked', attempt: 1, since: mondayNoon });
    expect(JSON.stringify(request)).not.toContain('task token');
    const waking = (await readForWaking(store, 'X-1')) ?? notThere();
    expect(waking.request).toEqual(request);
    expect(waking.taskToken?.reveal()).toBe('task token a');
    expect(JSON.stringify(waking)).not.toContain('task token a');
  });

  it('waits with its newest token when it asks again', async () => {
    await wait();
    expect(await wait({ taskToken: token('b') })).toBe('parked');
    expect((await readForWaking(store, 'X-1'))?.taskToken?.reveal()).toBe('task token b');
  });

  it.each(['review', 'ask-requester', 'fulfil', 'end'] as const)(
    'is told that the request moved on when it believes it at %s',
    async (standing) => {
      expect(await wait({ standing })).toBe('moved-on');
      expect((await readForWaking(store, 'X-1'))?.taskToken).toBeNull();
    },
  );

  it('is told that the request moved on when a decision comes in between', async () => {
    await keep(aRequest({ exceptionId: 'X-2', status: 'awaiting-approval' }));
    let decided = false;
    const meanwhile = overheard(store, async (command, send) => {
      if (command instanceof TransactWriteCommand && !decided) {
        decided = true;
        accepted(await move(approve, { exceptionId: 'X-2' }));
      }
      return send();
    });
    const waits = { attempt: 1, standing: 'ask-correspondent', taskToken: token('a') } as const;
    expect(await park(meanwhile, 'X-2', waits, mondayNoon)).toBe('moved-on');
  });

  it('is told that it is superseded when another drives the request, or there is none', async () => {
    const other = { attempt: 1, standing: 'ask-correspondent', taskToken: token('a') } as const;
    expect(await park(store, 'X-9', other, mondayNoon)).toBe('superseded');
    const { drive: seen } = (await findException(store, 'X-1')) ?? notThere();
    await drive(store, 'X-1', { seen, next: { is: 'to-start', attempt: 2 } }, mondayNoon);
    expect(await wait()).toBe('superseded');
    expect(await wait({ attempt: 2 })).toBe('parked');
  });

  it('APR-6 owes the execution a wake-up from the next move on', async () => {
    await wait();
    accepted(await move(approve));
    expect((await findException(store, 'X-1'))?.drive).toMatchObject({ is: 'to-wake', attempt: 1 });
    expect((await readForWaking(store, 'X-1'))?.taskToken?.reveal()).toBe('task token a');
    expect(await readForWaking(store, 'X-9')).toBeUndefined();
  });
});

describe('how a request is driven', () => {
  beforeEach(() => keep(aRequest({ status: 'received' })));

  it('is changed by whoever saw it as it is, and by one of two who saw the same at once', async () => {
    const { drive: seen } = (await findException(store, 'X-1')) ?? notThere();
    const answers = await Promise.all([
      drive(store, 'X-1', { seen, next: { is: 'awake', attempt: 1 } }, mondayNoon),
      drive(store, 'X-1', { seen, next: { is: 'awake', attempt: 1 } }, tuesdayNine),
    ]);
    const won = (await findException(store, 'X-1'))?.drive;
    expect([mondayNoon, tuesdayNine]).toContain(won?.since);
    for (const answer of answers) expect(answer?.drive).toEqual(won);
  });

  it('is left as it is by whoever saw it otherwise', async () => {
    const before = await findException(store, 'X-1');
    const { drive: seen } = before ?? notThere();
    for (const other of [
      { ...seen, is: 'parked' as const },
      { ...seen, attempt: 2 },
      { ...seen, since: tuesdayTen },
    ]) {
      expect(await drive(store, 'X-1', { seen: other, next: { is: 'ended', attempt: 1 } }, tuesdayTen)).toEqual(before);
    }
    expect(await drive(store, 'X-9', { seen, next: { is: 'ended', attempt: 1 } }, tuesdayTen)).toBeUndefined();
  });
});

describe('letters that are owed', () => {
  const ids = (letters: readonly { readonly letterId: string }[] | undefined) =>
    letters?.map(({ letterId }) => letterId).toSorted();
  const claim = async (now: Instant = mondayTen, hasDeputy = false) =>
    ids((await claimLetters(store, 'X-1', hasDeputy, now))?.claimed);
  let owed: readonly string[];
  beforeEach(async () => {
    const request = aRequest({ status: 'awaiting-approval' });
    owed = ids(request.letters) ?? [];
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
    expect(await claim(later(mondayTen, { seconds: 119 }))).toEqual([]);
    expect(await claim(later(mondayTen, { seconds: 120 }))).toEqual(owed);
  });

  it('EXC-11 are struck off when they went out, and let go when they did not', async () => {
    const [first = '', second = '', third = ''] = owed;
    await claim();
    await settleLetters(store, 'X-1', { settled: [first], unsent: [second] }, mondayTen);
    expect(ids((await findException(store, 'X-1'))?.letters)).toEqual([second, third]);
    expect(await claim()).toEqual([second]);
    await settleLetters(store, 'X-1', { settled: [second, third], unsent: [] }, mondayTen);
    expect((await findException(store, 'X-1'))?.letters).toEqual([]);
    expect(await claim(tuesdayTen)).toEqual([]);
  });

  it('EXC-11 that are written while others are being sent are not struck off with them', async () => {
    await claim();
    accepted(await move(approve));
    await settleLetters(store, 'X-1', { settled: owed, unsent: [] }, mondayTen);
    const { letters } = (await findException(store, 'X-1')) ?? notThere();
    expect(letters.map(({ kind, to }) => [kind, to])).toEqual([
      ['decided', 'requester'],
      ['decided', 'correspondent'],
    ]);
  });

  it('AGR-5 are owed to the deputy as well', async () => {
    const claimed = await claimLetters(store, 'X-1', true, mondayTen);
    expect(claimed?.claimed.filter(({ to }) => to === 'deputy').length).toBeGreaterThan(0);
    expect(ids((await findException(store, 'X-1'))?.letters)).toEqual(ids(claimed?.claimed));
  });

  it('are nobody’s when there is no such request', async () => {
    expect(await claimLetters(store, 'X-9', false, mondayTen)).toBeUndefined();
    await settleLetters(store, 'X-9', { settled: ['a'], unsent: [] }, mondayTen);
    expect(await findException(store, 'X-9')).toBeUndefined();
  });
});

describe('what time brings about', () => {
  it('SLA-5 is written once when several tick at once', async () => {
    await keep({ ...aRequest({ status: 'awaiting-approval' }), letters: [] });
    const ticks = await Promise.all([1, 2, 3].map(() => tickException(store, 'X-1', tuesdayTen)));
    expect(ticks.filter((tick) => tick?.ticked)).toHaveLength(1);
    const { letters } = (await findException(store, 'X-1')) ?? notThere();
    expect(letters.map(({ kind, to }) => [kind, to])).toEqual([['approval-reminder', 'correspondent']]);
    expect(await actions('EXCEPTION#X-1')).toEqual(['correspondent-reminded']);
    expect(await tickException(store, 'X-9', tuesdayTen)).toBeUndefined();
  });

  it('SLA-5 is found when it is due and not before, and no longer when it was done', async () => {
    const due = async (now: Instant) => (await dueBy(store, 'EXCEPTION', now, firstPage)).items;
    const at = tuesdayFive;
    await keep({ ...aRequest(), letters: [], drive: { is: 'to-start', attempt: 1, since: at } });
    expect(await nextDueAt(store)).toBe(later(at, { seconds: 30 }));
    expect(await due(later(at, { seconds: 29 }))).toEqual([]);
    expect(await due(later(at, { seconds: 30 }))).toEqual(['X-1']);
    accepted(await move(withdrawn));
    const { letters, drive: seen } = (await findException(store, 'X-1')) ?? notThere();
    await settleLetters(store, 'X-1', { settled: letters.map(({ letterId }) => letterId), unsent: [] }, at);
    await drive(store, 'X-1', { seen, next: { is: 'ended', attempt: 1 } }, at);
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
      return { ...request, clock: clock.is === 'standing' ? clock : { ...clock, dueAt } };
    });
  }

  /** Soonest due first; requests whose clock stands, which have no due time, last; by id where that is the same. */
  function inOrder(requests: readonly ExceptionRequest[]): readonly string[] {
    const place = ({ clock, exceptionId }: ExceptionRequest) =>
      `${clock.is === 'standing' ? 'never' : clock.dueAt} ${exceptionId}`;
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
      ({ stage, agreementId }) =>
        (status === null || (status === 'open' ? openOnes.includes(stage.is) : stage.is === status)) &&
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
            const listed = await everyPage((page) => listExceptions(store, filter, page), pageLimit);
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
    const all = await everyPage((page) => listExceptions(store, { ...filter, status: null }, page), 50);
    expect(all).toHaveLength(112);
  });

  it('moves a request to its new place and state with every change', async () => {
    await withKeys();
    accepted(await receive());
    const found = async (status: ExceptionStatus | 'open') =>
      (await listExceptions(store, { status, agreementIds: null }, firstPage)).items.map(
        ({ exceptionId }) => exceptionId,
      );
    expect([await found('received'), await found('open')]).toEqual([['X-1'], ['X-1']]);
    accepted(await move(withdrawn));
    expect([await found('received'), await found('open'), await found('withdrawn')]).toEqual([[], [], ['X-1']]);
  });

  it('has a request once that moved on between two readings, and none that moved out of it', async () => {
    for (const exceptionId of ['X-1', 'X-2', 'X-3']) await keep(aRequest({ exceptionId, keyId: `key ${exceptionId}` }));
    const { promise: moved, resolve } = Promise.withResolvers<void>();
    const partitionOf = (command: unknown) =>
      command instanceof QueryCommand ? command.input.ExpressionAttributeValues?.[':partition'] : undefined;
    const meanwhile = overheard(store, async (command, send) => {
      // The other partition is read only after the requests that were read in the first have gone there, or have ended.
      if (partitionOf(command) === 'EXCEPTION#awaiting-approval') await moved;
      const answer = await send();
      if (partitionOf(command) === 'EXCEPTION#received') {
        accepted(await move(ask(mondayTen), { exceptionId: 'X-1' }));
        accepted(await move(withdrawn, { exceptionId: 'X-2' }));
        resolve();
      }
      return answer;
    });
    const listed = await listExceptions(meanwhile, { status: 'open', agreementIds: null }, firstPage);
    expect(listed.items.map(({ exceptionId, stage }) => [exceptionId, stage.is])).toEqual([
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
    expect(requestApproved().stage.is).toBe('awaiting-approval');
    expect(await read(store, exceptionItem('X-9'))).toBeUndefined();
  });
});
