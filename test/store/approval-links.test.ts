import { TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Instant } from '../../domain/calendar/instant.ts';
import { addDuration, civilDate } from '../../domain/calendar/instant.ts';
import { requestApproval } from '../../domain/exceptions/approval.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import { askQuestion, forwardRequest, withdrawRequest } from '../../domain/exceptions/review.ts';
import { lapseRequest } from '../../domain/exceptions/schedule.ts';
import { Secret } from '../../domain/secret.ts';
import { nameDeputy, registerAgreement } from '../../store/agreements.ts';
import { decideByLink, openLink, saveCode, saveLink } from '../../store/approval-links.ts';
import { createException, findException, fulfillException, transitionException } from '../../store/exceptions.ts';
import { issueMak } from '../../store/keys.ts';
import { listLedgerEntries } from '../../store/ledger.ts';
import type { Store } from '../../store/store.ts';
import {
  anAgreement,
  aRequestForm,
  context,
  expectAccepted,
  expectRefusal,
  ines,
  jorge,
  noor,
  policy,
  productKey,
  reviewer,
} from '../builders.ts';
import {
  mondayNine,
  mondayNoon,
  mondayTen,
  nextFridayFive,
  nextMondayFive,
  tuesdayNine,
  tuesdayTen,
} from '../instants.ts';
import { scanAllItems, startTestDynamoDb, withInterceptor, withInterruption, withScheduler } from './dynamodb.ts';

const engine = await startTestDynamoDb();
let store: Store;

const token = new Secret('a-token-of-two-hundred-and-fifty-six-bits-or-so', '[token]');
const code = new Secret('493817', '[code]');
const wrong = (number = 0) => new Secret(String(100_000 + number), '[code]');

/** Mails a link about the question that is out: keeps what is kept of it. */
function mail(facts: { token?: Secret; code?: Secret | null; round?: number; to?: string; expiresAt?: Instant } = {}) {
  const { token: itsToken = token, code: itsCode = code } = facts;
  const { round = 1, to = noor.email, expiresAt = nextMondayFive } = facts;
  const about = { kind: 'decision', exceptionId: 'X-1', round, to, expiresAt } as const;
  return saveLink(store, { token: itsToken, code: itsCode }, about, mondayTen);
}

async function move(decide: Parameters<typeof transitionException>[2], operation: string): Promise<ExceptionRequest> {
  const outcome = await transitionException(store, 'X-1', decide, { operationId: operation, now: mondayTen });
  if (outcome === undefined) throw new Error('there is no such request');
  return expectAccepted(outcome).value;
}

beforeEach(async () => {
  store = await engine.newStore();
  await begin();
});

/** A request about which the Correspondent is asked, and the link that was mailed. */
async function begin(): Promise<void> {
  const agreement = anAgreement();
  const makKey = productKey(2);
  expectAccepted(
    await registerAgreement(
      store,
      agreement,
      () => productKey(1),
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
  const sender = { maySpeakFor: () => true };
  const form = aRequestForm({ keyLastFive: makKey.lastFive });
  expectAccepted(
    await createException(
      store,
      { exceptionId: 'X-1', form },
      sender,
      context({ operationId: 'receive', now: mondayTen }),
    ),
  );
  await move((request) => requestApproval(request, context({ now: mondayTen })), 'ask');
  await mail();
}

type Choice = { code?: Secret; decision?: 'approve' | 'deny'; token?: Secret; now?: Instant; in_?: Store };

function decide({
  code: entered = code,
  decision = 'approve',
  token: at = token,
  now = mondayNoon,
  in_ = store,
}: Choice = {}) {
  return decideByLink(in_, at, { code: entered, decision, comment: 'As planned.' }, now);
}

async function found(): Promise<ExceptionRequest> {
  const request = await findException(store, 'X-1');
  if (request === undefined) throw new Error('there is no such request');
  return request;
}

const decisionOf = ({ state }: ExceptionRequest) => ('round' in state ? (state.round?.decision ?? null) : null);
const actions = async () =>
  (await listLedgerEntries(store, 'EXCEPTION#X-1', { limit: 100, after: null })).items.map(({ action }) => action);
const newLinksOwed = async () => (await actions()).filter((action) => action === 'link-voided').length;
const wrongCodes = async () => (await openLink(store, 'decision', token))?.link.wrongCodes;

describe('a link and its code', () => {
  it('APR-2 EXC-6 decide, in the name of whom they were mailed to, with an entry in the history', async () => {
    const { value: answer } = expectAccepted(await decide());
    expect(decisionOf(answer)).toEqual({
      decision: 'approve',
      at: mondayNoon,
      by: noor.email,
      comment: 'As planned.',
    });
    expect(await found()).toEqual(answer);
    expect(await actions()).toEqual(['received', 'approval-asked', 'approved']);
    expect((await fulfillException(store, 'X-1', mondayNoon))?.ok).toBe(true);
  });

  it('APR-2 deny as well, which ends the request', async () => {
    const { value: answer } = expectAccepted(await decide({ decision: 'deny' }));
    expect(answer.state).toMatchObject({
      status: 'denied',
      round: { decision: { decision: 'deny', by: noor.email } },
    });
  });

  it('APR-1 are kept as hashes that say nothing of them, and nowhere else', async () => {
    await decide({ code: wrong() });
    await decide();
    const items = JSON.stringify(await scanAllItems(store));
    expect(items).toContain('APPROVAL#');
    for (const secret of [token, code]) expect(items).not.toContain(secret.reveal());
    // The same code with another link, and the same token for another purpose, hash to something else.
    await mail({ token: new Secret('another token') });
    const hashes = (await scanAllItems(store)).flatMap((item) => JSON.stringify(item).match(/\b[0-9a-f]{64}\b/g) ?? []);
    const links = (await scanAllItems(store)).filter(({ PK }) => PK.startsWith('APPROVAL#'));
    expect(links).toHaveLength(2);
    const codeHashes = links.map((item) => JSON.stringify(item.code));
    expect(new Set(codeHashes).size).toBe(2);
    expect(hashes).not.toContain(store.vault.hashOf('approval code', code));
  });

  it('APR-2 change nothing by being opened, however often', async () => {
    const before = await scanAllItems(store);
    for (let time = 0; time < 3; time += 1) {
      expect(await openLink(store, 'decision', token)).toMatchObject({
        link: { exceptionId: 'X-1', to: noor.email, wrongCodes: 0 },
        request: { exceptionId: 'X-1' },
      });
    }
    expect(await scanAllItems(store)).toEqual(before);
  });

  it('APR-3 are not known when the token is another, or the link is for something else', async () => {
    const other = new Secret('another token');
    expect(expectRefusal(await decide({ token: other })).code).toBe('link-unknown');
    expect(await openLink(store, 'decision', other)).toBeUndefined();
    expect(await openLink(store, 'dispute', token)).toBeUndefined();
  });
});

describe('a second decision', () => {
  it.each(['approve', 'deny'] as const)('APR-3 after one to %s is told of it and changes nothing', async (decision) => {
    await decide({ decision });
    const before = await scanAllItems(store);
    for (const second of ['approve', 'deny'] as const) {
      expect(expectRefusal(await decide({ decision: second, now: tuesdayTen }))).toMatchObject({
        code: 'already-decided',
        decision,
        decidedAt: mondayNoon,
      });
    }
    expect(await scanAllItems(store)).toEqual(before);
  });

  it('APR-4 at once loses, and is told of the one that won', async () => {
    const outcomes = await Promise.all([
      decide({ decision: 'approve' }),
      decide({ decision: 'deny' }),
      decide({ decision: 'approve', now: tuesdayNine }),
    ]);
    const winners = outcomes.flatMap((outcome) => (outcome.ok ? [decisionOf(outcome.value)] : []));
    expect(winners).toHaveLength(1);
    expect(decisionOf(await found())).toEqual(winners[0]);
    const losers = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.refusal]));
    for (const refusal of losers) {
      expect(refusal).toMatchObject({
        code: 'already-decided',
        decision: winners[0]?.decision,
        decidedAt: winners[0]?.at,
      });
    }
    expect((await actions()).filter((action) => action === 'approved' || action === 'denied')).toHaveLength(1);
  });

  it('APR-4 through another link about the same question loses as well', async () => {
    const reminder = new Secret('the token of the reminder');
    await mail({ token: reminder, code: wrong(7) });
    const outcomes = await Promise.all([
      decide({ decision: 'approve' }),
      decide({ decision: 'deny', token: reminder, code: wrong(7) }),
    ]);
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    const [refusal] = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.refusal]));
    expect(refusal?.code).toBe('already-decided');
  });
});

describe('wrong codes', () => {
  it('APR-2 are counted down one by one, and the fifth voids the link and owes a new one', async () => {
    for (const triesLeft of [4, 3, 2, 1]) {
      expect(expectRefusal(await decide({ code: wrong(triesLeft) }))).toMatchObject({ code: 'wrong-code', triesLeft });
      expect(await newLinksOwed()).toBe(0);
    }
    expect(expectRefusal(await decide({ code: wrong() }))).toMatchObject({
      code: 'link-void',
      because: 'too-many-wrong-codes',
    });
    expect(await newLinksOwed()).toBe(1);
    expect((await found()).pendingNotifications.filter(({ kind }) => kind === 'approval-requested')).toHaveLength(2);
  });

  it('APR-2 fewer than five do no harm', async () => {
    for (const number of [1, 2, 3, 4]) await decide({ code: wrong(number) });
    expect(decisionOf(expectAccepted(await decide()).value)?.decision).toBe('approve');
  });

  it('APR-2 that come twenty at once are five, and owe one new link', async () => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, (_, number) => decide({ code: wrong(number) })));
    const refusals = outcomes.map((outcome) => expectRefusal(outcome));
    const triesLeft = refusals.flatMap((refusal) => (refusal.code === 'wrong-code' ? [refusal.triesLeft] : []));
    expect(triesLeft.toSorted()).toEqual([1, 2, 3, 4]);
    expect(refusals.filter(({ code: why }) => why === 'link-void')).toHaveLength(16);
    expect(await wrongCodes()).toBe(5);
    expect(await newLinksOwed()).toBe(1);
    // From then on the right one is refused as well, and owes nothing more.
    expect(expectRefusal(await decide())).toMatchObject({ code: 'link-void', because: 'too-many-wrong-codes' });
    expect(await newLinksOwed()).toBe(1);
    expect(decisionOf(await found())).toBeNull();
  });

  it('APR-2 do not void the new link, with its own code', async () => {
    for (const number of [1, 2, 3, 4, 5]) await decide({ code: wrong(number) });
    const fresh = new Secret('a fresh token');
    await mail({ token: fresh, code: wrong(9) });
    expect(expectRefusal(await decide({ token: fresh })).code).toBe('wrong-code');
    expectAccepted(await decide({ token: fresh, code: wrong(9) }));
  });

  it('APR-2 of which the fifth comes while the right one is being written void the link all the same', async () => {
    for (const number of [1, 2, 3, 4]) await decide({ code: wrong(number) });
    const [link] = (await scanAllItems(store)).filter(({ PK }) => PK.startsWith('APPROVAL#'));
    if (link === undefined) throw new Error('there is no link');
    // Only counted as yet: the new link that it makes owed is not written.
    const fifth = new UpdateCommand({
      TableName: store.tableName,
      Key: { PK: link.PK, SK: link.SK },
      UpdateExpression: 'SET #wrong = :five',
      ExpressionAttributeNames: { '#wrong': 'wrongCodes' },
      ExpressionAttributeValues: { ':five': 5 },
    });
    const in_ = withInterceptor(store, async (command, send) => {
      if (command instanceof TransactWriteCommand) await store.client.send(fifth);
      return send();
    });
    expect(expectRefusal(await decide({ in_ }))).toMatchObject({ code: 'link-void', because: 'too-many-wrong-codes' });
    expect(decisionOf(await found())).toBeNull();
    expect(await newLinksOwed()).toBe(1);
  });

  it('APR-2 APR-4 and right ones at once: in whatever order the database hears of them, either it is decided or it is void', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 3, max: 6 }), async (scheduler, guesses) => {
        store = await engine.newStore();
        await begin();
        const in_ = withScheduler(store, scheduler);
        const outcomes = await scheduler.waitFor(
          Promise.all([
            decide({ in_ }),
            ...Array.from({ length: guesses }, (_, number) => decide({ in_, code: wrong(number) })),
          ]),
        );
        const decided = decisionOf(await found()) !== null;
        expect(outcomes.map(({ ok }) => ok)).toEqual([decided, ...Array.from({ length: guesses }, () => false)]);
        const counted = (await wrongCodes()) ?? 0;
        expect(counted).toBeLessThanOrEqual(5);
        // Only a decision can keep five guesses from voiding the link, and only a void link from being decided.
        expect(decided || counted === 5).toBe(true);
        expect(await newLinksOwed()).toBeLessThanOrEqual(1);
        if (!decided) expect(await newLinksOwed()).toBe(1);
      }),
      { numRuns: 6 },
    );
  });
});

describe('a code that is sent on demand', () => {
  const onDemand = new Secret('the token of a link without a code', '[token]');
  const second = new Secret('271828', '[code]');
  const minutesLater = (minutes: number) => addDuration(mondayTen, { minutes });
  const keep = () => mail({ token: onDemand, code: null });

  async function ask(fresh: Secret, now: Instant) {
    const opened = await openLink(store, 'decision', onDemand);
    if (opened === undefined) throw new Error('there is no such link');
    return saveCode(store, opened.link, fresh, now);
  }

  it('APR-7 is good for its minutes, and may be asked for again after one, which voids it', async () => {
    await keep();
    expect(await ask(code, mondayTen)).toBe(minutesLater(policy.approval.strictCodeMinutes));
    expect(await ask(second, addDuration(mondayTen, { seconds: 59 }))).toBeUndefined();
    expect(await ask(second, minutesLater(1))).toBe(minutesLater(1 + policy.approval.strictCodeMinutes));
    expect(expectRefusal(await decide({ token: onDemand, now: minutesLater(2) }))).toMatchObject({
      code: 'wrong-code',
    });
    expectAccepted(await decide({ token: onDemand, code: second, now: minutesLater(2) }));
  });

  it('APR-7 is not taken back by a late copy of the call that kept the link', async () => {
    await keep();
    await ask(code, mondayTen);
    await decide({ token: onDemand, code: wrong(), now: minutesLater(1) });
    await keep();
    expect((await openLink(store, 'decision', onDemand))?.link).toMatchObject({ wrongCodes: 1 });
    expectAccepted(await decide({ token: onDemand, now: minutesLater(1) }));
  });
});

describe('a link that is no longer good', () => {
  it('APR-3 decides until the last moment of its time, and not from then on', async () => {
    const before = await scanAllItems(store);
    const late = expectRefusal(await decide({ now: nextMondayFive }));
    expect(late).toMatchObject({ code: 'link-void', because: 'late' });
    expect(await scanAllItems(store)).toEqual(before);
    expectAccepted(await decide({ now: addDuration(nextMondayFive, { seconds: -1 }) }));
  });

  it('EXC-7 is void when the number was changed, and only the new one decides', async () => {
    await move((request) => forwardRequest(request, 120, context({ actor: reviewer, now: mondayTen })), 'forward');
    const second = new Secret('the second token');
    await mail({ token: second, round: 2 });
    expect(expectRefusal(await decide())).toMatchObject({ code: 'link-void', because: 'replaced' });
    const { value: answer } = expectAccepted(await decide({ token: second }));
    expect(answer.activations).toBe(120);
  });

  it('EXC-7 is void when the number is changed at the same moment, or decides what it asked', async () => {
    const [outcome] = await Promise.all([
      decide(),
      transitionException(
        store,
        'X-1',
        (request) => forwardRequest(request, 120, context({ actor: reviewer, now: mondayTen })),
        {
          operationId: 'forward',
          now: mondayTen,
        },
      ),
    ]);
    const request = await found();
    if (outcome.ok) {
      expect([request.activations, decisionOf(request)?.decision]).toEqual([150, 'approve']);
    } else {
      expect(outcome.refusal).toMatchObject({ code: 'link-void', because: 'replaced' });
      expect([request.activations, decisionOf(request)]).toEqual([120, null]);
    }
  });

  it.each([
    [
      'withdrawn',
      'closed',
      (request: ExceptionRequest) => withdrawRequest(request, null, context({ actor: ines.email, now: mondayTen })),
    ],
    ['lapsed', 'late', (request: ExceptionRequest) => lapseRequest(request, context({ now: nextFridayFive }))],
    [
      'put to the requester again',
      'replaced',
      (request: ExceptionRequest) =>
        askQuestion(request, 'Which schools?', context({ actor: reviewer, now: mondayTen })),
    ],
  ] as const)('APR-3 is void when the request was %s', async (_, because, decideOn) => {
    await move(decideOn, 'move');
    expect(expectRefusal(await decide())).toMatchObject({ code: 'link-void', because });
    expect(await newLinksOwed()).toBe(0);
  });

  it('AGR-5 is void when another deputy is named while the first one’s answer is being written', async () => {
    const { agreementId } = anAgreement();
    const named = (person: typeof jorge, operation: string) => {
      const days = { from: civilDate('2026-06-01'), to: civilDate('2026-06-05') };
      return nameDeputy(
        store,
        agreementId,
        { person, ...days },
        context({ actor: noor.email, operationId: operation, now: mondayTen }),
      );
    };
    await named(jorge, 'one deputy');
    const toDeputy = new Secret('the token of the deputy', '[token]');
    await mail({ token: toDeputy, to: jorge.email });
    const in_ = withInterruption(store, TransactWriteCommand, () => named(ines, 'another deputy'));
    expect(expectRefusal(await decide({ token: toDeputy, in_ }))).toMatchObject({
      code: 'link-void',
      because: 'replaced',
    });
    expect(decisionOf(await found())).toBeNull();
  });

  it('APR-2 does not count wrong codes any more', async () => {
    await move((request) => withdrawRequest(request, null, context({ actor: ines.email, now: mondayTen })), 'withdraw');
    for (const number of [1, 2, 3, 4, 5, 6]) await decide({ code: wrong(number) });
    expect(await wrongCodes()).toBe(0);
    expect(await newLinksOwed()).toBe(0);
  });

  it('APR-3 is forgotten in the end', async () => {
    const [link] = (await scanAllItems(store)).filter(({ PK }) => PK.startsWith('APPROVAL#'));
    const forgotten = Number(link?.expiresAtEpochSeconds) * 1_000;
    expect(forgotten).toBe(Date.parse(addDuration(nextMondayFive, { days: 180 })));
  });
});
