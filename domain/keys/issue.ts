import type { Agreement } from '../agreement.ts';
import { initialMakLimit } from '../agreement.ts';
import type { Context } from '../context.ts';
import type { Grant } from './grant.ts';
import type { Key, KmsKey, Mak } from './key.ts';

/** The members of a new key that do not follow from its agreement. */
export type NewKey = Pick<Key, 'keyId' | 'lastFive' | 'productGroup' | 'replaces'>;

type IssueContext = Pick<Context, 'actor' | 'now' | 'policy'>;

/** Returns a live MAK with its initial limit, which follows from the agreement (KEY-4). */
export function issueMak(newKey: NewKey, agreement: Agreement, context: IssueContext): Mak {
  const limit = initialMakLimit(newKey.productGroup, agreement, context.policy);
  return { ...issuedKey(newKey, agreement, limit, context), type: 'MAK' };
}

/** Returns a live KMS key with the standard number of hosts (KMS-1). */
export function issueKmsKey(newKey: NewKey, agreement: Agreement, context: IssueContext): KmsKey {
  const limit = context.policy.kms.hostPlaces;
  return { ...issuedKey(newKey, agreement, limit, context), type: 'KMS', hosts: [], overrides: [] };
}

function issuedKey(newKey: NewKey, { agreementId }: Agreement, limit: number, { actor, now }: IssueContext) {
  const grant: Grant = {
    kind: 'initial',
    amount: limit,
    at: now,
    by: actor,
    reference: agreementId,
    approvedBy: null,
  };
  return { ...newKey, agreementId, state: { status: 'live' }, grants: [grant], issuedAt: now } as const;
}
