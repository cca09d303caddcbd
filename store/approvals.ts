import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { ExceptionRequest } from '../domain/exception.ts';
import { decide, mailNewLink, refusedUnlessAsking } from '../domain/exception.ts';
import type { Instant } from '../domain/instant.ts';
import { epochMilliseconds, isBefore, later } from '../domain/instant.ts';
import type { Refused } from '../domain/refusal.ts';
import { refuse } from '../domain/refusal.ts';
import type { Secret } from '../domain/secret.ts';
import type { Attempt, Outcome } from './change.ts';
import { change, read } from './change.ts';
import { exceptionItem, findException, moveException, movingWrites } from './exceptions.ts';
import type { ItemKey, Store } from './table.ts';
import { get, unlessBusy } from './table.ts';
import { sameHash } from './vault.ts';

/**
 * A link that was mailed to somebody about one question. Only hashes of its token and code are kept (APR-1). It is as
 * good as its question: when that is decided, changed or over, so is every link to it.
 */
export type Link = {
  readonly tokenHash: string;
  readonly exceptionId: string;
  readonly askNumber: number;
  /** To whom it was mailed: whoever decides with it decides in this name. */
  readonly to: string;
  readonly codeHash: string;
  readonly wrongCodes: number;
  readonly expiresAt: Instant;
};

/** For how long a link that has expired still says what became of its question. */
const rememberedDays = 180;

function linkKey(tokenHash: string): ItemKey {
  return { PK: `APPROVAL#${tokenHash}`, SK: 'LINK' };
}

/** Keeps a new link, before it is mailed. */
export async function keepLink(
  store: Store,
  token: Secret,
  code: Secret,
  about: Pick<Link, 'exceptionId' | 'askNumber' | 'to' | 'expiresAt'>,
): Promise<void> {
  const tokenHash = store.vault.hashOf('approval token', token);
  const forgottenAt = later(about.expiresAt, { days: rememberedDays });
  await unlessBusy(
    store.client.send(
      new PutCommand({
        TableName: store.tableName,
        Item: {
          ...linkKey(tokenHash),
          link: { ...about, codeHash: codeHash(store, tokenHash, code) },
          wrongCodes: 0,
          expiresAtEpochSeconds: Math.ceil(epochMilliseconds(forgottenAt) / 1000),
        },
      }),
    ),
  );
}

/** A code is short, so its hash is bound to its link's: a code that leaks from one says nothing about another. */
function codeHash(store: Store, tokenHash: string, code: Secret): string {
  return store.vault.hashOf(`approval code for ${tokenHash}`, code);
}

/**
 * Opens a link: reads it and the request that it is about; `undefined` for one that is not known. Nothing changes, however
 * often and by whomever it is opened (APR-2). Whether it can still decide is for `refusedUnlessGood` to say.
 */
export async function openLink(
  store: Store,
  token: Secret,
): Promise<{ readonly link: Link; readonly request: ExceptionRequest } | undefined> {
  const link = await readLink(store, store.vault.hashOf('approval token', token));
  if (link === undefined) return undefined;
  const request = await findException(store, link.exceptionId);
  if (request === undefined)
    throw new Error(`Request ${link.exceptionId} of a link has gone; requests are never deleted.`);
  return { link, request };
}

async function readLink(store: Store, tokenHash: string): Promise<Link | undefined> {
  const item = await get(store, linkKey(tokenHash));
  if (item === undefined) return undefined;
  const kept = item.link as Omit<Link, 'tokenHash' | 'wrongCodes'>;
  return { ...kept, tokenHash, wrongCodes: Number(item.wrongCodes) };
}

/** The refusal of a link that is not known. */
export function unknownLink(): Refused {
  return refuse(
    'link-unknown',
    'We do not know this link. Mail programs sometimes cut long links in two: copy all of it into the address bar.',
  );
}

/** Refuses a link that is void or late, or whose question is decided (APR-3), saying what happened; `undefined` for a good one. */
export function refusedUnlessGood(
  store: Store,
  link: Link,
  request: ExceptionRequest,
  now: Instant,
): Refused | undefined {
  const notAsked = refusedUnlessAsking(request, link.askNumber);
  if (notAsked !== undefined) return notAsked;
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
 * out, so that of two at once one wins and the other is told so (APR-4). A wrong code is counted; after as many as the
 * policy allows the link is void and a new one is owed by mail.
 */
export async function decideByLink(
  store: Store,
  token: Secret,
  answer: Answer,
  now: Instant,
): Promise<Outcome<ExceptionRequest>> {
  const tokenHash = store.vault.hashOf('approval token', token);
  const outcome = await change(store, async (): Promise<Attempt<ExceptionRequest>> => {
    const link = await readLink(store, tokenHash);
    if (link === undefined) return { is: 'refused', refused: unknownLink() };
    const owned = await read<ExceptionRequest>(store, exceptionItem(link.exceptionId));
    if (owned === undefined)
      throw new Error(`Request ${link.exceptionId} of a link has gone; requests are never deleted.`);
    const no = refusedUnlessGood(store, link, owned.state, now);
    if (no !== undefined) return { is: 'refused', refused: no };
    if (!sameHash(link.codeHash, codeHash(store, tokenHash, answer.code))) {
      return { is: 'refused', refused: await countWrongCode(store, link) };
    }
    const { decision, comment } = answer;
    const decided = decide(owned.state, link.askNumber, { decision, comment, by: link.to }, now, store.policy);
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
      ],
    };
  });
  if (!outcome.ok && outcome.refusal.code === 'link-void' && outcome.refusal.because === 'too-many-wrong-codes') {
    await oweNewLink(store, tokenHash, now);
  }
  return outcome;
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
    return refuse(
      'wrong-code',
      `That is not the code from the mail. Look at the newest mail about this request and try again: ${triesLeft} ${triesLeft === 1 ? 'try' : 'tries'} left.`,
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
    `new link for ${tokenHash}`,
    now,
    (request) => refusedUnlessAsking(request, link.askNumber) ?? mailNewLink(request),
  );
}
