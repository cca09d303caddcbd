import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { Agreement } from '../domain/agreement.ts';
import { isAskedAt } from '../domain/agreement.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { epochMilliseconds, isBefore, later } from '../domain/calendar/instant.ts';
import type { ExceptionRequest } from '../domain/exceptions/request.ts';
import { decide, dispute, mailNewLink, refusedUnlessAsking } from '../domain/exceptions/request.ts';
import type { Refused } from '../domain/refusal.ts';
import { refuse } from '../domain/refusal.ts';
import type { Secret } from '../domain/secret.ts';
import { findAgreement, readAgreement } from './agreements.ts';
import type { ItemKey, Store } from './dynamodb/table.ts';
import { get, putIfAbsent, unlessBusy } from './dynamodb/table.ts';
import type { Attempt, Outcome } from './dynamodb/versioned-item.ts';
import { change, isUnchanged, read } from './dynamodb/versioned-item.ts';
import { exceptionItem, findException, moveException, movingWrites } from './exceptions.ts';
import { sameHash } from './vault.ts';

/**
 * A link that was mailed to somebody about one question: to decide it, or to say that its decision was somebody else's
 * (APR-8). Only hashes of its token and code are kept (APR-1). It is as good as its question: when that is decided,
 * changed or over, or when its reader is no longer who is asked, it decides nothing.
 */
export type Link = {
  readonly tokenHash: string;
  readonly is: 'decision' | 'dispute';
  readonly exceptionId: string;
  readonly askNumber: number;
  /** To whom it was mailed: whoever decides with it decides in this name. */
  readonly to: string;
  readonly expiresAt: Instant;
  /** The code that goes with it; null for a dispute, and in strict mode until one is asked for (APR-7). */
  readonly code: { readonly hash: string; readonly expiresAt: Instant; readonly sentAt: Instant } | null;
  readonly wrongCodes: number;
};

/** For how long a link that has expired still says what became of its question. */
const rememberedDays = 180;

function linkKey(tokenHash: string): ItemKey {
  return { PK: `APPROVAL#${tokenHash}`, SK: 'APPROVAL' };
}

function tokenHashOf(store: Store, token: Secret): string {
  return store.vault.hashOf('approval token', token);
}

/** A code is short, so its hash is bound to its link's: a code that leaks from one says nothing about another. */
function codeHash(store: Store, tokenHash: string, code: Secret): string {
  return store.vault.hashOf(`approval code for ${tokenHash}`, code);
}

/** Keeps a new link before it is mailed, with its code if one is mailed with it. */
export async function keepLink(
  store: Store,
  { token, code }: { readonly token: Secret; readonly code: Secret | null },
  about: Pick<Link, 'is' | 'exceptionId' | 'askNumber' | 'to' | 'expiresAt'>,
  now: Instant,
): Promise<void> {
  const tokenHash = tokenHashOf(store, token);
  const forgottenAt = later(about.expiresAt, { days: rememberedDays });
  const kept = code && { hash: codeHash(store, tokenHash, code), expiresAt: about.expiresAt, sentAt: now };
  const item = {
    ...linkKey(tokenHash),
    link: about,
    code: kept,
    wrongCodes: 0,
    expiresAtEpochSeconds: Math.ceil(epochMilliseconds(forgottenAt) / 1000),
  };
  // A copy of the call that arrives late must take back no code that was sent since, and no wrong one that was counted.
  await putIfAbsent(store, [item]);
}

/** A code on demand may be asked for again after this, so that nobody's mail box is flooded. */
const codeAgainSeconds = 60;

/**
 * Keeps a fresh code for a link in strict mode, before it is mailed; the one before it is void (APR-7). Answers until when
 * it is good, or `undefined` when one was sent just before.
 */
export async function keepCode(store: Store, link: Link, code: Secret, now: Instant): Promise<Instant | undefined> {
  const expiresAt = later(now, { minutes: store.policy.approval.strictCodeMinutes });
  try {
    await unlessBusy(
      store.client.send(
        new UpdateCommand({
          TableName: store.tableName,
          Key: linkKey(link.tokenHash),
          UpdateExpression: 'SET #code = :code',
          ConditionExpression: 'attribute_type(#code, :null) OR #code.#sentAt <= :before',
          ExpressionAttributeNames: { '#code': 'code', '#sentAt': 'sentAt' },
          ExpressionAttributeValues: {
            ':code': { hash: codeHash(store, link.tokenHash, code), expiresAt, sentAt: now },
            ':null': 'NULL',
            ':before': later(now, { seconds: -codeAgainSeconds }),
          },
        }),
      ),
    );
    return expiresAt;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return undefined;
    throw error;
  }
}

/** A link with what it is about. */
export type Opened = { readonly link: Link; readonly request: ExceptionRequest; readonly agreement: Agreement };

/**
 * Opens a link: reads it and what it is about; `undefined` for one that is not known. Nothing changes, however often and
 * by whomever it is opened (APR-2). Whether it can still decide is for `refusedUnlessGood` to say.
 */
export async function openLink(store: Store, is: Link['is'], token: Secret): Promise<Opened | undefined> {
  const link = await readLink(store, tokenHashOf(store, token));
  if (link === undefined || link.is !== is) return undefined;
  const request = await findException(store, link.exceptionId);
  const agreement = request === undefined ? undefined : await findAgreement(store, request.agreementId);
  if (request === undefined || agreement === undefined)
    throw new Error(`What a link to ${link.exceptionId} is about has gone.`);
  return { link, request, agreement };
}

async function readLink(store: Store, tokenHash: string): Promise<Link | undefined> {
  const item = await get(store, linkKey(tokenHash));
  if (item === undefined) return undefined;
  // A link is only ever written by `keepLink` and `keepCode`.
  const about = item.link as Pick<Link, 'is' | 'exceptionId' | 'askNumber' | 'to' | 'expiresAt'>;
  return { ...about, tokenHash, code: item.code as Link['code'], wrongCodes: Number(item.wrongCodes) };
}

/** The refusal of a link that is not known. */
export function unknownLink(): Refused {
  return refuse(
    'link-unknown',
    'We do not know this link. Mail programs sometimes cut long links in two: copy all of it into the address bar.',
  );
}

/**
 * Refuses a link that can no longer decide, saying what happened: its question is decided or changed (APR-3), its reader is
 * no longer who is asked (AGR-4), it is late, or too many wrong codes were entered. `undefined` for a good one.
 */
export function refusedUnlessGood(
  store: Store,
  { link, request, agreement }: Opened,
  now: Instant,
): Refused | undefined {
  const notAsked = refusedUnlessAsking(request, link.askNumber);
  if (notAsked !== undefined) return notAsked;
  if (!isAskedAt(link.to, agreement, now, store.policy)) {
    return refuse(
      'link-void',
      'Somebody else is asked for the organization now, so this link decides nothing any more.',
      {
        because: 'replaced',
      },
    );
  }
  if (!isBefore(now, link.expiresAt)) {
    return refuse(
      'link-void',
      'The time to answer is over. If the increase is still wanted, it can be asked for again.',
      {
        because: 'late',
      },
    );
  }
  return link.wrongCodes >= store.policy.approval.wrongCodesAllowed ? tooManyWrongCodes() : undefined;
}

function tooManyWrongCodes(): Refused {
  return refuse(
    'link-void',
    'Too many wrong codes were entered, so this link no longer works. A new one is on its way to the Notices Correspondent.',
    { because: 'too-many-wrong-codes' },
  );
}

export type Answer = { readonly code: Secret; readonly decision: 'approve' | 'deny'; readonly comment: string | null };

/**
 * Decides through a link (APR-2): with the right code, the decision is written on the request while its question is still
 * out and its reader is still who is asked, so that of two at once one wins and the other is told so (APR-4). A wrong code
 * is counted; after as many as the policy allows the link is void and a new one is owed by mail.
 */
export async function decideByLink(
  store: Store,
  token: Secret,
  answer: Answer,
  now: Instant,
): Promise<Outcome<ExceptionRequest>> {
  const tokenHash = tokenHashOf(store, token);
  const outcome = await change(store, async (): Promise<Attempt<ExceptionRequest>> => {
    const link = await readLink(store, tokenHash);
    if (link === undefined || link.is !== 'decision') return { is: 'refused', refused: unknownLink() };
    const owned = await read<ExceptionRequest>(store, exceptionItem(link.exceptionId));
    const agreement = owned === undefined ? undefined : await readAgreement(store, owned.state.agreementId);
    if (owned === undefined || agreement === undefined)
      throw new Error(`What a link to ${link.exceptionId} is about has gone.`);
    const no = refusedUnlessGood(store, { link, request: owned.state, agreement: agreement.state }, now);
    if (no !== undefined) return { is: 'refused', refused: no };
    const { code } = link;
    if (code === null || !isBefore(now, code.expiresAt)) return { is: 'refused', refused: noCodeOut(store, link) };
    if (!sameHash(code.hash, codeHash(store, tokenHash, answer.code))) {
      return { is: 'refused', refused: await countWrongCode(store, link) };
    }
    const { decision, comment } = answer;
    const context = { actor: link.to, now, policy: store.policy };
    const decided = decide(owned.state, link.askNumber, { decision, comment }, context);
    if (!decided.ok) return { is: 'refused', refused: decided };
    const operation = `decide ${tokenHash}`;
    return {
      is: 'to-write',
      answer: decided.request,
      writes: [
        ...movingWrites(store, owned, decided.request, { operation, now, deed: decided.deed }),
        {
          ConditionCheck: {
            TableName: '',
            Key: linkKey(tokenHash),
            ConditionExpression: '#wrong < :allowed',
            ExpressionAttributeNames: { '#wrong': 'wrongCodes' },
            ExpressionAttributeValues: { ':allowed': store.policy.approval.wrongCodesAllowed },
          },
        },
        isUnchanged(agreement),
      ],
    };
  });
  if (!outcome.ok && outcome.refusal.code === 'link-void' && outcome.refusal.because === 'too-many-wrong-codes') {
    await oweNewLink(store, tokenHash, now);
  }
  return outcome;
}

/** Where no code is out, no guess can be right, and none is counted. */
function noCodeOut(store: Store, { wrongCodes }: Link): Refused {
  return refuse('wrong-code', 'The code is no longer good. Ask for a new one on the page, and enter that.', {
    triesLeft: store.policy.approval.wrongCodesAllowed - wrongCodes,
  });
}

/** Counts one more wrong code, atomically, so that guesses sent all at once are counted one by one. */
async function countWrongCode(store: Store, link: Link): Promise<Refused> {
  const { wrongCodesAllowed } = store.policy.approval;
  try {
    const { Attributes } = await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: linkKey(link.tokenHash),
        UpdateExpression: 'SET #wrong = #wrong + :one',
        ConditionExpression: '#wrong < :allowed',
        ExpressionAttributeNames: { '#wrong': 'wrongCodes' },
        ExpressionAttributeValues: { ':one': 1, ':allowed': wrongCodesAllowed },
        ReturnValues: 'UPDATED_NEW',
      }),
    );
    const triesLeft = wrongCodesAllowed - Number(Attributes?.wrongCodes);
    if (triesLeft <= 0) return tooManyWrongCodes();
    const left = `${triesLeft} ${triesLeft === 1 ? 'try' : 'tries'} left`;
    return refuse(
      'wrong-code',
      `That is not the code from the mail. Look at the newest mail about this request and try again: ${left}.`,
      { triesLeft },
    );
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return tooManyWrongCodes();
    throw error;
  }
}

/** A link that became void by wrong codes owes its reader a new one: once, however often the void one is tried. */
async function oweNewLink(store: Store, tokenHash: string, now: Instant): Promise<void> {
  const link = await readLink(store, tokenHash);
  if (link === undefined) return;
  await moveException(
    store,
    link.exceptionId,
    (request) => refusedUnlessAsking(request, link.askNumber) ?? mailNewLink(request),
    { operationId: `new link for ${tokenHash}`, now },
  );
}

/** Disputes a decision through the link in its mail (APR-8): once, however often it is said. */
export async function disputeByLink(
  store: Store,
  { link }: Opened,
  now: Instant,
): Promise<Outcome<ExceptionRequest> | undefined> {
  const context = { actor: link.to, operationId: `dispute ${link.tokenHash}`, now, policy: store.policy };
  return moveException(store, link.exceptionId, (request) => dispute(request, context), context);
}
