import type { Agreement } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import { approvalRoundOf } from '../../domain/exceptions/request.ts';
import { elapsedUntil, isOverdue, remainingMinutes } from '../../domain/exceptions/sla-clock.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Key, KmsHost, KmsKey } from '../../domain/keys/key.ts';
import { overrideAllowance, remainingStandardUses, usedHostSlots } from '../../domain/keys/kms.ts';
import { maskedKey } from '../../domain/keys/product-key.ts';
import type { Policy } from '../../domain/policy.ts';
import type { LedgerEntry } from '../../store/dynamodb/versioned-item.ts';
import type { KeyRecord } from '../../store/keys.ts';
import { countUsed } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import type { AgreementResponse, ExceptionResponse, KeyResponse, LedgerEntryResponse } from './response-schemas.ts';

/* The response bodies of the contract, field by field, from the values of the domain. */

export function agreementView(agreement: Agreement): AgreementResponse {
  const { agreementId, program, level, numbers, organization, products, contacts, noticesCorrespondent } = agreement;
  return {
    agreementId,
    program,
    level,
    ...numbers,
    organization,
    products,
    contacts,
    noticesCorrespondent,
    pendingNoticesCorrespondent: agreement.pendingNoticesCorrespondent,
    deputy: agreement.deputy,
  };
}

/** @param used The activations of a MAK, counted by the store, or the host slots in use of a KMS key. */
export function keyView(key: Key, used: number, now: Instant, policy: Policy): KeyResponse {
  const limit = limitOf(key.grants);
  const { state } = key;
  const common = {
    keyId: key.keyId,
    productGroup: key.productGroup,
    agreementId: key.agreementId,
    masked: maskedKey(key.lastFive),
    lastFive: key.lastFive,
    status: state.status === 'live' ? ('live' as const) : ('blocked' as const),
    limit,
    used,
    remaining: limit - used,
    issuedAt: key.issuedAt,
    replaces: key.replaces,
    replacedBy: state.status === 'blocked' ? (state.replacedBy?.keyId ?? null) : null,
    blockedAt: state.status === 'blocked' ? state.at : null,
  };
  return key.type === 'MAK'
    ? { ...common, type: key.type }
    : { ...common, type: key.type, ...kmsView(key, now, policy) };
}

function kmsView(key: KmsKey, now: Instant, policy: Policy) {
  return {
    used: usedHostSlots(key),
    remaining: limitOf(key.grants) - usedHostSlots(key),
    usesPerHost: policy.kms.usesPerHost,
    overrides: { granted: key.overrides.length, remaining: overrideAllowance(key, { now, policy }).remaining },
    hosts: key.hosts.map((host) => hostView(host, key, policy)),
  };
}

function hostView(host: KmsHost, key: KmsKey, policy: Policy) {
  const hostOverrides = key.overrides.filter(({ installationId }) => installationId === host.installationId);
  const unusedCount = hostOverrides.filter(({ usedAt }) => usedAt === null).length;
  return {
    installationId: host.installationId,
    machineName: host.machineName,
    uses: host.uses,
    usesRemaining: remainingStandardUses(host, policy) + unusedCount,
    overrides: { granted: hostOverrides.length, spent: host.overridesSpent },
    firstActivatedAt: host.firstActivatedAt,
    lastActivatedAt: host.lastActivatedAt,
    clientsReported: host.clientsReported,
  };
}

export function ledgerEntryView({
  sequence,
  at,
  actor,
  action,
  detail,
  reference,
  hash,
}: LedgerEntry): LedgerEntryResponse {
  return { sequence, at, actor, action, detail, reference, hash };
}

export function exceptionView(request: ExceptionRequest, now: Instant, policy: Policy): ExceptionResponse {
  const { clock, state, form } = request;
  const { noticesCorrespondent, ...formFields } = form;
  const round = approvalRoundOf(request);
  return {
    ...formFields,
    ...(noticesCorrespondent === null ? {} : { noticesCorrespondent }),
    exceptionId: request.exceptionId,
    agreementId: request.agreementId,
    keyId: request.keyId,
    status: state.status,
    flags: request.flags,
    activations: request.activations,
    receivedAt: request.receivedAt,
    dueAt: clock.status === 'paused' ? null : clock.dueAt,
    clock: {
      running: clock.status === 'running',
      remainingMinutes: Math.max(0, remainingMinutes(clock, now, policy)),
      ...elapsedUntil(clock, now, policy),
    },
    overdue: isOverdue(clock, now),
    question: state.status === 'awaiting-requester' ? { text: state.question, askedAt: state.askedAt } : null,
    approval:
      round === null
        ? null
        : {
            askedAt: round.askedAt,
            remindersSent: round.remindersSent,
            undeliverableAt: round.undeliverableAt,
            decidedAt: round.decision?.at ?? null,
            decision: round.decision?.decision ?? null,
            comment: round.decision?.comment ?? null,
          },
    decidedBy: state.status === 'rejected' ? state.by : (round?.decision?.by ?? null),
    closedAt: 'at' in state ? state.at : null,
    reason: closingReason(request, policy),
  };
}

/** Returns the reason for the outcome of a request, or null if its status is reason enough. */
function closingReason({ state }: ExceptionRequest, policy: Policy): string | null {
  switch (state.status) {
    case 'rejected':
    case 'withdrawn':
      return state.reason;
    case 'denied':
      return state.round.decision?.comment ?? null;
    case 'lapsed': {
      const silentParty = state.unresponsiveParty === 'requester' ? 'The requester' : 'The Notices Correspondent';
      return `${silentParty} did not answer within ${policy.exceptions.lapsesAfterBusinessDays} business days.`;
    }
    default:
      return null;
  }
}

/** Returns a key as callers see it, with the current use of its limit (KEY-7). */
export async function loadKeyView(store: Store, key: KeyRecord, now: Instant) {
  return keyView(key.value, await countUsed(store, key), now, store.policy);
}
