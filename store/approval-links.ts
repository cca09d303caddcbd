import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { Agreement } from '../domain/agreement.ts';
import { isApproverAt } from '../domain/agreement.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration, epochMilliseconds, isBefore } from '../domain/calendar/instant.ts';
import type { ExceptionRequest } from '../domain/exceptions/request.ts';
import {
  disputeDecision,
  recordDecision,
  refuseUnlessRoundOpen,
  reissueApprovalLink,
} from '../domain/exceptions/request.ts';
import type { RefusalResult } from '../domain/refusal.ts';
import { refuse } from '../domain/refusal.ts';
import type { Secret } from '../domain/secret.ts';
import { findAgreement, readAgreement } from './agreements.ts';
import type { ItemKey, Store } from './dynamodb/table.ts';
import { get, putIfAbsent, rethrowTransientAsContention } from './dynamodb/table.ts';
import type { UpdateDecision, UpdateResult } from './dynamodb/versioned-item.ts';
import { readItem, requireUnchanged, updateWithRetry } from './dynamodb/versioned-item.ts';
import { exceptionKey, findException, requestWrites, transitionException } from './exceptions.ts';
import { sameHash } from './vault.ts';

/**
 * A link that was mailed to somebody about one question: to decide it, or to say that its decision was somebody else's
 * (APR-8). Only hashes of its token and code are kept (APR-1). It is as good as its question: when that is decided,
 * changed or over, or when its reader is no longer who is asked, it decides nothing.
 */
export type ApprovalLink = {
  readonly tokenHash: string;
  readonly kind: 'decision' | 'dispute';
  readonly exceptionId: string;
  readonly round: number;
  /** To whom it was mailed: whoever decides with it decides in this name. */
  readonly to: string;
  readonly expiresAt: Instant;
  /** The code that goes with it; null for a dispute, and in strict mode until one is asked for (APR-7). */
  readonly code: { readonly hash: string; readonly expiresAt: Instant; readonly sentAt: Instant } | null;
  readonly wrongCodes: number;
};

/** For how long a link that has expired still says what became of its question. */
const retentionDays = 180;

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
export async function saveLink(
  store: Store,
  { token, code }: { readonly token: Secret; readonly code: Secret | null },
  details: Pick<ApprovalLink, 'kind' | 'exceptionId' | 'round' | 'to' | 'expiresAt'>,
  now: Instant,
): Promise<void> {
  const tokenHash = tokenHashOf(store, token);
  const deletableAt = addDuration(details.expiresAt, { days: retentionDays });
  const codeRecord = code && { hash: codeHash(store, tokenHash, code), expiresAt: details.expiresAt, sentAt: now };
  const item = {
    ...linkKey(tokenHash),
    link: details,
    code: codeRecord,
    wrongCodes: 0,
    expiresAtEpochSeconds: Math.ceil(epochMilliseconds(deletableAt) / 1000),
  };
  // A copy of the call that arrives late must take back no code that was sent since, and no wrong one that was counted.
  await putIfAbsent(store, [item]);
}

/** A code on demand may be asked for again after this, so that nobody's mail box is flooded. */
const codeResendSeconds = 60;

/**
 * Keeps a fresh code for a link in strict mode, before it is mailed; the one before it is void (APR-7). Answers until when
 * it is good, or `undefined` when one was sent just before.
 */
export async function saveCode(
  store: Store,
  link: ApprovalLink,
  code: Secret,
  now: Instant,
): Promise<Instant | undefined> {
  const expiresAt = addDuration(now, { minutes: store.policy.approval.strictCodeMinutes });
  try {
    await rethrowTransientAsContention(
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
            ':before': addDuration(now, { seconds: -codeResendSeconds }),
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
export type LinkContext = {
  readonly link: ApprovalLink;
  readonly request: ExceptionRequest;
  readonly agreement: Agreement;
};

/**
 * Opens a link: reads it and what it is about; `undefined` for one that is not known. Nothing changes, however often and
 * by whomever it is opened (APR-2). Whether it can still decide is for `refusedUnlessGood` to say.
 */
export async function openLink(
  store: Store,
  kind: ApprovalLink['kind'],
  token: Secret,
): Promise<LinkContext | undefined> {
  const link = await readLink(store, tokenHashOf(store, token));
  if (link === undefined || link.kind !== kind) return undefined;
  const request = await findException(store, link.exceptionId);
  const agreement = request === undefined ? undefined : await findAgreement(store, request.agreementId);
  if (request === undefined || agreement === undefined)
    throw new Error(`What a link to ${link.exceptionId} is about has gone.`);
  return { link, request, agreement };
}

async function readLink(store: Store, tokenHash: string): Promise<ApprovalLink | undefined> {
  const item = await get(store, linkKey(tokenHash));
  if (item === undefined) return undefined;
  // A link is only ever written by `keepLink` and `keepCode`.
  const details = item.link as Pick<ApprovalLink, 'kind' | 'exceptionId' | 'round' | 'to' | 'expiresAt'>;
  return { ...details, tokenHash, code: item.code as ApprovalLink['code'], wrongCodes: Number(item.wrongCodes) };
}

/** The refusal of a link that is not known. */
export function refuseUnknownLink(): RefusalResult {
  return refuse(
    'link-unknown',
    'We do not know this link. Mail programs sometimes cut long links in two: copy all of it into the address bar.',
  );
}

/**
 * Refuses a link that can no longer decide, saying what happened: its question is decided or changed (APR-3), its reader is
 * no longer who is asked (AGR-4), it is late, or too many wrong codes were entered. `undefined` for a good one.
 */
export function refuseUnlessLinkValid(
  store: Store,
  { link, request, agreement }: LinkContext,
  now: Instant,
): RefusalResult | undefined {
  const refusal = refuseUnlessRoundOpen(request, link.round);
  if (refusal !== undefined) return refusal;
  if (!isApproverAt(link.to, agreement, now, store.policy)) {
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
  return link.wrongCodes >= store.policy.approval.wrongCodesAllowed ? refuseTooManyWrongCodes() : undefined;
}

function refuseTooManyWrongCodes(): RefusalResult {
  return refuse(
    'link-void',
    'Too many wrong codes were entered, so this link no longer works. A new one is on its way to the Notices Correspondent.',
    { because: 'too-many-wrong-codes' },
  );
}

export type DecisionInput = {
  readonly code: Secret;
  readonly decision: 'approve' | 'deny';
  readonly comment: string | null;
};

/**
 * Decides through a link (APR-2): with the right code, the decision is written on the request while its question is still
 * out and its reader is still who is asked, so that of two at once one wins and the other is told so (APR-4). A wrong code
 * is counted; after as many as the policy allows the link is void and a new one is owed by mail.
 */
export async function decideByLink(
  store: Store,
  token: Secret,
  input: DecisionInput,
  now: Instant,
): Promise<UpdateResult<ExceptionRequest>> {
  const tokenHash = tokenHashOf(store, token);
  const result = await updateWithRetry(store, async (): Promise<UpdateDecision<ExceptionRequest>> => {
    const link = await readLink(store, tokenHash);
    if (link === undefined || link.kind !== 'decision') return { kind: 'refused', refusal: refuseUnknownLink() };
    const record = await readItem<ExceptionRequest>(store, exceptionKey(link.exceptionId));
    const agreement = record === undefined ? undefined : await readAgreement(store, record.value.agreementId);
    if (record === undefined || agreement === undefined)
      throw new Error(`What a link to ${link.exceptionId} is about has gone.`);
    const refusal = refuseUnlessLinkValid(store, { link, request: record.value, agreement: agreement.value }, now);
    if (refusal !== undefined) return { kind: 'refused', refusal: refusal };
    const { code } = link;
    if (code === null || !isBefore(now, code.expiresAt))
      return { kind: 'refused', refusal: refuseExpiredCode(store, link) };
    if (!sameHash(code.hash, codeHash(store, tokenHash, input.code))) {
      return { kind: 'refused', refusal: await countWrongCode(store, link) };
    }
    const { decision, comment } = input;
    const context = { actor: link.to, now, policy: store.policy };
    const transition = recordDecision(record.value, link.round, { decision, comment }, context);
    if (!transition.ok) return { kind: 'refused', refusal: transition };
    const operationId = `decide ${tokenHash}`;
    return {
      kind: 'write',
      value: transition.request,
      writes: [
        ...requestWrites(store, record, transition.request, { operationId, now, event: transition.event }),
        {
          ConditionCheck: {
            TableName: '',
            Key: linkKey(tokenHash),
            ConditionExpression: '#wrong < :allowed',
            ExpressionAttributeNames: { '#wrong': 'wrongCodes' },
            ExpressionAttributeValues: { ':allowed': store.policy.approval.wrongCodesAllowed },
          },
        },
        requireUnchanged(agreement),
      ],
    };
  });
  if (!result.ok && result.refusal.code === 'link-void' && result.refusal.because === 'too-many-wrong-codes') {
    await reissueLink(store, tokenHash, now);
  }
  return result;
}

/** Where no code is out, no guess can be right, and none is counted. */
function refuseExpiredCode(store: Store, { wrongCodes }: ApprovalLink): RefusalResult {
  return refuse('wrong-code', 'The code is no longer good. Ask for a new one on the page, and enter that.', {
    triesLeft: store.policy.approval.wrongCodesAllowed - wrongCodes,
  });
}

/** Counts one more wrong code, atomically, so that guesses sent all at once are counted one by one. */
async function countWrongCode(store: Store, link: ApprovalLink): Promise<RefusalResult> {
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
    if (triesLeft <= 0) return refuseTooManyWrongCodes();
    const triesLeftText = `${triesLeft} ${triesLeft === 1 ? 'try' : 'tries'} left`;
    return refuse(
      'wrong-code',
      `That is not the code from the mail. Look at the newest mail about this request and try again: ${triesLeftText}.`,
      { triesLeft },
    );
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return refuseTooManyWrongCodes();
    throw error;
  }
}

/** A link that became void by wrong codes owes its reader a new one: once, however often the void one is tried. */
async function reissueLink(store: Store, tokenHash: string, now: Instant): Promise<void> {
  const link = await readLink(store, tokenHash);
  if (link === undefined) return;
  await transitionException(
    store,
    link.exceptionId,
    (request) => refuseUnlessRoundOpen(request, link.round) ?? reissueApprovalLink(request),
    { operationId: `new link for ${tokenHash}`, now },
  );
}

/** Disputes a decision through the link in its mail (APR-8): once, however often it is said. */
export async function disputeByLink(
  store: Store,
  { link }: LinkContext,
  now: Instant,
): Promise<UpdateResult<ExceptionRequest> | undefined> {
  const context = { actor: link.to, operationId: `dispute ${link.tokenHash}`, now, policy: store.policy };
  return transitionException(store, link.exceptionId, (request) => disputeDecision(request, context), context);
}
