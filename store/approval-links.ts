import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { Agreement } from '../domain/agreement.ts';
import { isApproverAt } from '../domain/agreement.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { addDuration, epochMilliseconds, isBefore } from '../domain/calendar/instant.ts';
import {
  disputeDecision,
  recordDecision,
  refuseUnlessRoundOpen,
  reissueApprovalLink,
} from '../domain/exceptions/approval.ts';
import type { ExceptionRequest } from '../domain/exceptions/request.ts';
import type { RefusalResult } from '../domain/refusal.ts';
import { refuse } from '../domain/refusal.ts';
import type { Secret } from '../domain/secret.ts';
import { findAgreement, readAgreement } from './agreements.ts';
import type { ItemKey } from './dynamodb/table.ts';
import { get, putIfAbsent, rethrowTransientAsContention } from './dynamodb/table.ts';
import { readItem, requireUnchanged, updateWithRetry } from './dynamodb/versioned-item.ts';
import { exceptionKey, findException, requestWrites, transitionException } from './exceptions.ts';
import type { Store, UpdateDecision, UpdateResult } from './store.ts';
import { sameHash } from './vault.ts';

/**
 * A link in an email about one approval round: to decide, or to report that somebody else decided (APR-8). The store
 * keeps only hashes of its token and code (APR-1). A link is valid only as long as its round: once the round is
 * decided, replaced, or closed, or its recipient is no longer the approver, the link decides nothing.
 */
export type ApprovalLink = {
  readonly tokenHash: string;
  readonly kind: 'decision' | 'dispute';
  readonly exceptionId: string;
  readonly round: number;
  /** The email address of the recipient. A decision through the link is made in this name. */
  readonly to: string;
  readonly expiresAt: Instant;
  /** The current code; null for a dispute, and in strict mode until a code is requested (APR-7). */
  readonly code: { readonly hash: string; readonly expiresAt: Instant; readonly sentAt: Instant } | null;
  readonly wrongCodes: number;
};

/** The time for which an expired link still shows the outcome of its round. */
const retentionDays = 180;

function linkKey(tokenHash: string): ItemKey {
  return { PK: `APPROVAL#${tokenHash}`, SK: 'APPROVAL' };
}

function tokenHashOf(store: Store, token: Secret): string {
  return store.vault.hashOf('approval token', token);
}

/**
 * Returns the hash of a code, bound to its link: a code is short, so equal codes of two links must not have equal
 * hashes.
 */
function codeHash(store: Store, tokenHash: string, code: Secret): string {
  return store.vault.hashOf(`approval code for ${tokenHash}`, code);
}

/** Saves a new link, and its code if it has one, before the email is sent. */
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
  // A late duplicate of this call must not overwrite a newer code or the number of wrong codes.
  await putIfAbsent(store, [item]);
}

/** The minimum time between two codes on demand, so that nobody can flood a mailbox. */
const codeResendSeconds = 60;

/** There is no code yet. */
const noCode = 'attribute_type(#code, :null)';

/** The last code was sent long enough ago. */
const resendAllowed = '#code.#sentAt <= :before';

/**
 * Saves a new code for a link in strict mode before the email is sent, and so invalidates the previous code (APR-7).
 * Returns the expiry of the code, or `undefined` if the previous code was sent less than a minute ago.
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
          ConditionExpression: `${noCode} OR ${resendAllowed}`,
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

/** A link with its request and its agreement. */
export type LinkContext = {
  readonly link: ApprovalLink;
  readonly request: ExceptionRequest;
  readonly agreement: Agreement;
};

/**
 * Returns a link with its request and its agreement, or `undefined` if the token is unknown. Opening a link changes
 * nothing (APR-2). It does not check that the link is valid; `refuseUnlessLinkValid` does.
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
    throw new Error(
      `The request ${link.exceptionId} of a link, or its agreement, is missing; neither is ever deleted.`,
    );
  return { link, request, agreement };
}

async function readLink(store: Store, tokenHash: string): Promise<ApprovalLink | undefined> {
  const item = await get(store, linkKey(tokenHash));
  if (item === undefined) return undefined;
  // Only `saveLink` and `saveCode` write these attributes.
  const details = item.link as Pick<ApprovalLink, 'kind' | 'exceptionId' | 'round' | 'to' | 'expiresAt'>;
  return { ...details, tokenHash, code: item.code as ApprovalLink['code'], wrongCodes: Number(item.wrongCodes) };
}

/** Returns the refusal of an unknown link. */
export function refuseUnknownLink(): RefusalResult {
  return refuse(
    'link-unknown',
    'This link is not valid. Email programs sometimes split long links: copy the complete link into the address bar.',
  );
}

/**
 * Refuses a link that is no longer valid, with the reason: its round is decided or replaced (APR-3), its recipient is
 * no longer the approver (AGR-4), it expired, or too many wrong codes were entered. Returns `undefined` for a valid
 * link.
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
      'This link is no longer valid, because another person now approves requests for the organization.',
      {
        because: 'replaced',
      },
    );
  }
  if (!isBefore(now, link.expiresAt)) {
    return refuse('link-void', 'The time to answer is over. If the increase is still needed, submit a new request.', {
      because: 'late',
    });
  }
  return link.wrongCodes >= store.policy.approval.wrongCodesAllowed ? refuseTooManyWrongCodes() : undefined;
}

function refuseTooManyWrongCodes(): RefusalResult {
  return refuse(
    'link-void',
    'Too many wrong codes were entered, so this link is no longer valid. We are sending a new link to the Notices Correspondent.',
    { because: 'too-many-wrong-codes' },
  );
}

export type DecisionInput = {
  readonly code: Secret;
  readonly decision: 'approve' | 'deny';
  readonly comment: string | null;
};

/** Fewer wrong codes were entered than the policy allows. */
const triesRemain = '#wrong < :allowed';

/**
 * Decides through a link (APR-2). With the correct code, it records the decision on the request, provided that the
 * round is still open and the recipient is still the approver. If two decisions arrive at the same time, one succeeds
 * and the other is refused (APR-4). Counts a wrong code; after as many as the policy allows, the link is void and a new
 * link is sent.
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
      throw new Error(
        `The request ${link.exceptionId} of a link, or its agreement, is missing; neither is ever deleted.`,
      );
    const refusal = refuseUnlessLinkValid(store, { link, request: record.value, agreement: agreement.value }, now);
    if (refusal !== undefined) return { kind: 'refused', refusal };
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
            Key: linkKey(tokenHash),
            ConditionExpression: triesRemain,
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

/** Returns the refusal if there is no valid code. No guess can be correct then, so none is counted. */
function refuseExpiredCode(store: Store, { wrongCodes }: ApprovalLink): RefusalResult {
  return refuse('wrong-code', 'The code has expired. Request a new code on this page, and enter it.', {
    triesLeft: store.policy.approval.wrongCodesAllowed - wrongCodes,
  });
}

/** Counts a wrong code atomically, so that simultaneous guesses are all counted. Returns the refusal. */
async function countWrongCode(store: Store, link: ApprovalLink): Promise<RefusalResult> {
  const { wrongCodesAllowed } = store.policy.approval;
  try {
    const { Attributes } = await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: linkKey(link.tokenHash),
        UpdateExpression: 'SET #wrong = #wrong + :one',
        ConditionExpression: triesRemain,
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
      `The code is not correct. Use the code that was sent for this link, and try again: ${triesLeftText}.`,
      { triesLeft },
    );
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return refuseTooManyWrongCodes();
    throw error;
  }
}

/** Sends a new link in place of a link that wrong codes made void: once, no matter how often the void link is used. */
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

/** Disputes a decision through the link in its email (APR-8). It is safe to repeat. */
export async function disputeByLink(
  store: Store,
  { link }: LinkContext,
  now: Instant,
): Promise<UpdateResult<ExceptionRequest> | undefined> {
  const context = { actor: link.to, operationId: `dispute ${link.tokenHash}`, now, policy: store.policy };
  return transitionException(store, link.exceptionId, (request) => disputeDecision(request, context), context);
}
