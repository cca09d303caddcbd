import type { Agreement } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import { askOf } from '../../domain/exceptions/request.ts';
import { isOverdue, remainingMinutes, spentUntil } from '../../domain/exceptions/sla-clock.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Key, KmsHost, KmsKey } from '../../domain/keys/key.ts';
import { maskOf } from '../../domain/keys/key.ts';
import { overrideAllowance, placesTaken, standardUsesLeft } from '../../domain/keys/kms.ts';
import type { Policy } from '../../domain/policy.ts';
import type { Entry } from '../../store/dynamodb/versioned-item.ts';
import type { AgreementAnswer, EntryAnswer, ExceptionAnswer, KeyAnswer } from './response-schemas.ts';

/* What callers see of our values: the bodies of the contract, field by field, as they are published. */

export function agreementView(agreement: Agreement): AgreementAnswer {
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

/** @param used activations of a MAK, counted by the store; a KMS key counts its own host places. */
export function keyView(key: Key, used: number, now: Instant, policy: Policy): KeyAnswer {
  const limit = limitOf(key.grants);
  const { status } = key;
  const common = {
    keyId: key.keyId,
    productGroup: key.productGroup,
    agreementId: key.agreementId,
    masked: maskOf(key),
    lastFive: key.lastFive,
    status: status.is === 'live' ? ('live' as const) : ('blocked' as const),
    limit,
    used,
    remaining: limit - used,
    issuedAt: key.issuedAt,
    replaces: key.replaces,
    replacedBy: status.is === 'blocked' ? (status.replacedBy?.keyId ?? null) : null,
    blockedAt: status.is === 'blocked' ? status.at : null,
  };
  return key.type === 'MAK'
    ? { ...common, type: key.type }
    : { ...common, type: key.type, ...kmsView(key, now, policy) };
}

function kmsView(key: KmsKey, now: Instant, policy: Policy) {
  return {
    used: placesTaken(key),
    remaining: limitOf(key.grants) - placesTaken(key),
    usesPerHost: policy.kms.usesPerHost,
    overrides: { granted: key.overrides.length, remaining: overrideAllowance(key, { now, policy }).remaining },
    hosts: key.hosts.map((host) => hostView(host, key, policy)),
  };
}

function hostView(host: KmsHost, key: KmsKey, policy: Policy) {
  const granted = key.overrides.filter(({ installationId }) => installationId === host.installationId);
  const unspent = granted.filter(({ spentAt }) => spentAt === null).length;
  return {
    installationId: host.installationId,
    machineName: host.machineName,
    uses: host.uses,
    usesRemaining: standardUsesLeft(host, policy) + unspent,
    overrides: { granted: granted.length, spent: host.overridesSpent },
    firstActivatedAt: host.firstActivatedAt,
    lastActivatedAt: host.lastActivatedAt,
    clientsReported: host.clientsReported,
  };
}

export function entryView({ sequence, at, actor, action, detail, reference, hash }: Entry): EntryAnswer {
  return { sequence, at, actor, action, detail, reference, hash };
}

export function exceptionView(request: ExceptionRequest, now: Instant, policy: Policy): ExceptionAnswer {
  const { clock, stage, intake } = request;
  const { noticesCorrespondent, ...facts } = intake;
  const ask = askOf(request);
  return {
    ...facts,
    ...(noticesCorrespondent === null ? {} : { noticesCorrespondent }),
    exceptionId: request.exceptionId,
    agreementId: request.agreementId,
    keyId: request.keyId,
    status: stage.is,
    flags: request.flags,
    activations: request.activations,
    receivedAt: request.receivedAt,
    dueAt: clock.is === 'standing' ? null : clock.dueAt,
    clock: {
      running: clock.is === 'running',
      remainingMinutes: Math.max(0, remainingMinutes(clock, now, policy)),
      ...spentUntil(clock, now, policy),
    },
    overdue: isOverdue(clock, now),
    question: stage.is === 'awaiting-requester' ? { text: stage.question, askedAt: stage.askedAt } : null,
    approval:
      ask === null
        ? null
        : {
            askedAt: ask.askedAt,
            remindersSent: ask.remindersSent,
            undeliverableAt: ask.undeliverableAt,
            decidedAt: ask.decision?.at ?? null,
            decision: ask.decision?.decision ?? null,
            comment: ask.decision?.comment ?? null,
          },
    decidedBy: stage.is === 'rejected' ? stage.by : (ask?.decision?.by ?? null),
    closedAt: 'at' in stage ? stage.at : null,
    reason: reasonOf(request, policy),
  };
}

/** Why a request ended as it did, where there is something to say beside its status. */
function reasonOf({ stage }: ExceptionRequest, policy: Policy): string | null {
  switch (stage.is) {
    case 'rejected':
    case 'withdrawn':
      return stage.reason;
    case 'denied':
      return stage.ask.decision?.comment ?? null;
    case 'lapsed': {
      const who = stage.silent === 'requester' ? 'The requester' : 'The Notices Correspondent';
      return `${who} did not answer within ${policy.exceptions.lapsesAfterBusinessDays} business days.`;
    }
    default:
      return null;
  }
}
