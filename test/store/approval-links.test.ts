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

const dynamoDb = await startTestDynamoDb();
let store: Store;

const token = new Secret('a-token-of-two-hundred-and-fifty-six-bits-or-so', '[token]');
const code = new Secret('493817', '[code]');
const wrongCode = (number = 0) => new Secret(String(100_000 + number), '[code]');

type LinkOptions = { token?: Secret; code?: Secret | null; round?: number; to?: string; expiresAt?: Instant };

/** Saves a link about the open round. */
function createLink(link: LinkOptions = {}) {
  const { round = 1, to = noor.email, expiresAt = nextMondayFive } = link;
  const details = { kind: 'decision', exceptionId: 'X-1', round, to, expiresAt } as const;
  return saveLink(store, { token, code, ...link }, details, mondayTen);
}

async function transition(
  decideTransition: Parameters<typeof transitionException>[2],
  operationId: string,
): Promise<ExceptionRequest> {
  const result = await transitionException(store, 'X-1', decideTransition, { operationId, now: mondayTen });
  if (result === undefined) throw new Error('there is no such request');
  return expectAccepted(result).value;
}

beforeEach(async () => {
  store = await dynamoDb.newStore();
  await createRequestWithLink();
});

/** Creates a request with an open approval round, and its link. */
async function createRequestWithLink(): Promise<void> {
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
  await transition((request) => requestApproval(request, context({ now: mondayTen })), 'ask');
  await createLink();
}

type DecideOptions = { code?: Secret; decision?: 'approve' | 'deny'; token?: Secret; now?: Instant; target?: Store };

function decide(options: DecideOptions = {}) {
  const { decision = 'approve', now = mondayNoon, target = store } = options;
  const input = { code: options.code ?? code, decision, comment: 'As planned.' };
  return decideByLink(target, options.token ?? token, input, now);
}

async function currentRequest(): Promise<ExceptionRequest> {
  const request = await findException(store, 'X-1');
  if (request === undefined) throw new Error('there is no such request');
  return request;
}

const decisionOf = ({ state }: ExceptionRequest) => ('round' in state ? (state.round?.decision ?? null) : null);
const actions = async () =>
  (await listLedgerEntries(store, 'EXCEPTION#X-1', { limit: 100, after: null })).items.map(({ action }) => action);
const countNewLinks = async () => (await actions()).filter((action) => action === 'link-voided').length;
const countWrongCodes = async () => (await openLink(store, 'decision', token))?.link.wrongCodes;

describe('an approval link and its code', () => {
  it('APR-2 EXC-6 decide in the name of the recipient, with a ledger entry', async () => {
    const { value: request } = expectAccepted(await decide());
    expect(decisionOf(request)).toEqual({
      decision: 'approve',
      at: mondayNoon,
      by: noor.email,
      comment: 'As planned.',
    });
    expect(await currentRequest()).toEqual(request);
    expect(await actions()).toEqual(['received', 'approval-asked', 'approved']);
    expect((await fulfillException(store, 'X-1', mondayNoon))?.ok).toBe(true);
  });

  it('APR-2 deny the request, which closes it', async () => {
    const { value: request } = expectAccepted(await decide({ decision: 'deny' }));
    expect(request.state).toMatchObject({
      status: 'denied',
      round: { decision: { decision: 'deny', by: noor.email } },
    });
  });

  it('APR-1 are stored only as hashes', async () => {
    await decide({ code: wrongCode() });
    await decide();
    const items = JSON.stringify(await scanAllItems(store));
    expect(items).toContain('APPROVAL#');
    for (const secret of [token, code]) expect(items).not.toContain(secret.reveal());
    // The same code has another hash with another link, and for another purpose.
    await createLink({ token: new Secret('another token') });
    const hashes = (await scanAllItems(store)).flatMap((item) => JSON.stringify(item).match(/\b[0-9a-f]{64}\b/g) ?? []);
    const links = (await scanAllItems(store)).filter(({ PK }) => PK.startsWith('APPROVAL#'));
    expect(links).toHaveLength(2);
    const codeHashes = links.map((item) => JSON.stringify(item.code));
    expect(new Set(codeHashes).size).toBe(2);
    expect(hashes).not.toContain(store.vault.hashOf('approval code', code));
  });

  it('APR-2 change nothing when the link is opened, no matter how often', async () => {
    const before = await scanAllItems(store);
    for (let count = 0; count < 3; count += 1) {
      expect(await openLink(store, 'decision', token)).toMatchObject({
        link: { exceptionId: 'X-1', to: noor.email, wrongCodes: 0 },
        request: { exceptionId: 'X-1' },
      });
    }
    expect(await scanAllItems(store)).toEqual(before);
  });

  it('APR-3 are unknown for another token or another kind of link', async () => {
    const other = new Secret('another token');
    expect(expectRefusal(await decide({ token: other })).code).toBe('link-unknown');
    expect(await openLink(store, 'decision', other)).toBeUndefined();
    expect(await openLink(store, 'dispute', token)).toBeUndefined();
  });
});

describe('a second decision', () => {
  it.each(['approve', 'deny'] as const)(
    'APR-3 after one to %s is refused with the first, and changes nothing',
    async (decision) => {
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
    },
  );

  it('APR-4 at the same time is refused with the one that succeeded', async () => {
    const results = await Promise.all([
      decide({ decision: 'approve' }),
      decide({ decision: 'deny' }),
      decide({ decision: 'approve', now: tuesdayNine }),
    ]);
    const decisions = results.flatMap((result) => (result.ok ? [decisionOf(result.value)] : []));
    expect(decisions).toHaveLength(1);
    expect(decisionOf(await currentRequest())).toEqual(decisions[0]);
    const refusals = results.flatMap((result) => (result.ok ? [] : [result.refusal]));
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({
        code: 'already-decided',
        decision: decisions[0]?.decision,
        decidedAt: decisions[0]?.at,
      });
    }
    expect((await actions()).filter((action) => action === 'approved' || action === 'denied')).toHaveLength(1);
  });

  it('APR-4 through another link of the same round is refused as well', async () => {
    const reminder = new Secret('the token of the reminder');
    await createLink({ token: reminder, code: wrongCode(7) });
    const results = await Promise.all([
      decide({ decision: 'approve' }),
      decide({ decision: 'deny', token: reminder, code: wrongCode(7) }),
    ]);
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    const [refusal] = results.flatMap((result) => (result.ok ? [] : [result.refusal]));
    expect(refusal?.code).toBe('already-decided');
  });
});

describe('wrong codes', () => {
  it('APR-2 are counted, and the fifth makes the link void and sends a new one', async () => {
    for (const triesLeft of [4, 3, 2, 1]) {
      expect(expectRefusal(await decide({ code: wrongCode(triesLeft) }))).toMatchObject({
        code: 'wrong-code',
        triesLeft,
      });
      expect(await countNewLinks()).toBe(0);
    }
    expect(expectRefusal(await decide({ code: wrongCode() }))).toMatchObject({
      code: 'link-void',
      because: 'too-many-wrong-codes',
    });
    expect(await countNewLinks()).toBe(1);
    expect(
      (await currentRequest()).pendingNotifications.filter(({ kind }) => kind === 'approval-requested'),
    ).toHaveLength(2);
  });

  it('APR-2 do not prevent a decision if there are fewer than five', async () => {
    for (const number of [1, 2, 3, 4]) await decide({ code: wrongCode(number) });
    expect(decisionOf(expectAccepted(await decide()).value)?.decision).toBe('approve');
  });

  it('APR-2 are counted up to five if twenty arrive at once, and send one new link', async () => {
    const results = await Promise.all(Array.from({ length: 20 }, (_, number) => decide({ code: wrongCode(number) })));
    const refusals = results.map((result) => expectRefusal(result));
    const triesLeft = refusals.flatMap((refusal) => (refusal.code === 'wrong-code' ? [refusal.triesLeft] : []));
    expect(triesLeft.toSorted()).toEqual([1, 2, 3, 4]);
    expect(refusals.filter((refusal) => refusal.code === 'link-void')).toHaveLength(16);
    expect(await countWrongCodes()).toBe(5);
    expect(await countNewLinks()).toBe(1);
    // After that, the correct code is refused as well, and no other link is sent.
    expect(expectRefusal(await decide())).toMatchObject({ code: 'link-void', because: 'too-many-wrong-codes' });
    expect(await countNewLinks()).toBe(1);
    expect(decisionOf(await currentRequest())).toBeNull();
  });

  it('APR-2 do not make the new link void, which has its own code', async () => {
    for (const number of [1, 2, 3, 4, 5]) await decide({ code: wrongCode(number) });
    const newToken = new Secret('a new token');
    await createLink({ token: newToken, code: wrongCode(9) });
    expect(expectRefusal(await decide({ token: newToken })).code).toBe('wrong-code');
    expectAccepted(await decide({ token: newToken, code: wrongCode(9) }));
  });

  it('APR-2 make the link void if the fifth arrives while the correct code is processed', async () => {
    for (const number of [1, 2, 3, 4]) await decide({ code: wrongCode(number) });
    const [link] = (await scanAllItems(store)).filter(({ PK }) => PK.startsWith('APPROVAL#'));
    if (link === undefined) throw new Error('there is no link');
    // This only counts the code. It does not send the new link.
    const fifth = new UpdateCommand({
      TableName: store.tableName,
      Key: { PK: link.PK, SK: link.SK },
      UpdateExpression: 'SET #wrong = :five',
      ExpressionAttributeNames: { '#wrong': 'wrongCodes' },
      ExpressionAttributeValues: { ':five': 5 },
    });
    const interruptedStore = withInterceptor(store, async (command, send) => {
      if (command instanceof TransactWriteCommand) await store.client.send(fifth);
      return send();
    });
    expect(expectRefusal(await decide({ target: interruptedStore }))).toMatchObject({
      code: 'link-void',
      because: 'too-many-wrong-codes',
    });
    expect(decisionOf(await currentRequest())).toBeNull();
    expect(await countNewLinks()).toBe(1);
  });

  it('APR-2 APR-4 and correct codes at once either decide the round or make the link void', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 3, max: 6 }), async (scheduler, wrongCount) => {
        store = await dynamoDb.newStore();
        await createRequestWithLink();
        const scheduledStore = withScheduler(store, scheduler);
        const results = await scheduler.waitFor(
          Promise.all([
            decide({ target: scheduledStore }),
            ...Array.from({ length: wrongCount }, (_, number) =>
              decide({ target: scheduledStore, code: wrongCode(number) }),
            ),
          ]),
        );
        const isDecided = decisionOf(await currentRequest()) !== null;
        expect(results.map(({ ok }) => ok)).toEqual([isDecided, ...Array.from({ length: wrongCount }, () => false)]);
        const counted = (await countWrongCodes()) ?? 0;
        expect(counted).toBeLessThanOrEqual(5);
        // Without a decision, the wrong codes make the link void.
        expect(isDecided || counted === 5).toBe(true);
        expect(await countNewLinks()).toBeLessThanOrEqual(1);
        if (!isDecided) expect(await countNewLinks()).toBe(1);
      }),
      { numRuns: 6 },
    );
  });
});

describe('a code on demand', () => {
  const strictToken = new Secret('the token of a link without a code', '[token]');
  const secondCode = new Secret('271828', '[code]');
  const minutesLater = (minutes: number) => addDuration(mondayTen, { minutes });
  const createStrictLink = () => createLink({ token: strictToken, code: null });

  async function requestCode(newCode: Secret, now: Instant) {
    const opened = await openLink(store, 'decision', strictToken);
    if (opened === undefined) throw new Error('there is no such link');
    return saveCode(store, opened.link, newCode, now);
  }

  it('APR-7 is valid for its minutes, and can be replaced after one minute', async () => {
    await createStrictLink();
    expect(await requestCode(code, mondayTen)).toBe(minutesLater(policy.approval.strictCodeMinutes));
    expect(await requestCode(secondCode, addDuration(mondayTen, { seconds: 59 }))).toBeUndefined();
    expect(await requestCode(secondCode, minutesLater(1))).toBe(minutesLater(1 + policy.approval.strictCodeMinutes));
    expect(expectRefusal(await decide({ token: strictToken, now: minutesLater(2) }))).toMatchObject({
      code: 'wrong-code',
    });
    expectAccepted(await decide({ token: strictToken, code: secondCode, now: minutesLater(2) }));
  });

  it('APR-7 is not overwritten by a late duplicate of the call that saved the link', async () => {
    await createStrictLink();
    await requestCode(code, mondayTen);
    await decide({ token: strictToken, code: wrongCode(), now: minutesLater(1) });
    await createStrictLink();
    expect((await openLink(store, 'decision', strictToken))?.link).toMatchObject({ wrongCodes: 1 });
    expectAccepted(await decide({ token: strictToken, now: minutesLater(1) }));
  });
});

describe('a link that is no longer valid', () => {
  it('APR-3 decides until it expires, and not after', async () => {
    const before = await scanAllItems(store);
    const late = expectRefusal(await decide({ now: nextMondayFive }));
    expect(late).toMatchObject({ code: 'link-void', because: 'late' });
    expect(await scanAllItems(store)).toEqual(before);
    expectAccepted(await decide({ now: addDuration(nextMondayFive, { seconds: -1 }) }));
  });

  it('EXC-7 is void if the number was changed, and only the new link decides', async () => {
    await transition(
      (request) => forwardRequest(request, 120, context({ actor: reviewer, now: mondayTen })),
      'forward',
    );
    const second = new Secret('the second token');
    await createLink({ token: second, round: 2 });
    expect(expectRefusal(await decide())).toMatchObject({ code: 'link-void', because: 'replaced' });
    const { value: request } = expectAccepted(await decide({ token: second }));
    expect(request.activations).toBe(120);
  });

  it('EXC-7 is void if the number is changed at the same time, or decides the earlier number', async () => {
    const [result] = await Promise.all([
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
    const request = await currentRequest();
    if (result.ok) {
      expect([request.activations, decisionOf(request)?.decision]).toEqual([150, 'approve']);
    } else {
      expect(result.refusal).toMatchObject({ code: 'link-void', because: 'replaced' });
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
      'returned to the requester with a question',
      'replaced',
      (request: ExceptionRequest) =>
        askQuestion(request, 'Which schools?', context({ actor: reviewer, now: mondayTen })),
    ],
  ] as const)('APR-3 is void if the request was %s', async (_, because, decideTransition) => {
    await transition(decideTransition, 'transition');
    expect(expectRefusal(await decide())).toMatchObject({ code: 'link-void', because });
    expect(await countNewLinks()).toBe(0);
  });

  it('AGR-5 is void if another deputy is named while the first one decides', async () => {
    const { agreementId } = anAgreement();
    const name = (person: typeof jorge, operationId: string) => {
      const days = { from: civilDate('2026-06-01'), to: civilDate('2026-06-05') };
      return nameDeputy(
        store,
        agreementId,
        { person, ...days },
        context({ actor: noor.email, operationId, now: mondayTen }),
      );
    };
    await name(jorge, 'one deputy');
    const deputyToken = new Secret('the token of the deputy', '[token]');
    await createLink({ token: deputyToken, to: jorge.email });
    const interruptedStore = withInterruption(store, TransactWriteCommand, () => name(ines, 'another deputy'));
    expect(expectRefusal(await decide({ token: deputyToken, target: interruptedStore }))).toMatchObject({
      code: 'link-void',
      because: 'replaced',
    });
    expect(decisionOf(await currentRequest())).toBeNull();
  });

  it('APR-2 does not count wrong codes', async () => {
    await transition(
      (request) => withdrawRequest(request, null, context({ actor: ines.email, now: mondayTen })),
      'withdraw',
    );
    for (const number of [1, 2, 3, 4, 5, 6]) await decide({ code: wrongCode(number) });
    expect(await countWrongCodes()).toBe(0);
    expect(await countNewLinks()).toBe(0);
  });

  it('APR-3 is deleted 180 days after it expires', async () => {
    const [link] = (await scanAllItems(store)).filter(({ PK }) => PK.startsWith('APPROVAL#'));
    const deletedAt = Number(link?.expiresAtEpochSeconds) * 1_000;
    expect(deletedAt).toBe(Date.parse(addDuration(nextMondayFive, { days: 180 })));
  });
});
