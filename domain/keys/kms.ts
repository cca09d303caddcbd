import { dayIn, startOfNextDay } from '../calendar/business-time.ts';
import type { Instant } from '../calendar/instant.ts';
import { addDuration, isBefore } from '../calendar/instant.ts';
import type { Product } from '../catalog.ts';
import type { Context } from '../context.ts';
import type { Policy } from '../policy.ts';
import type { RefusalResult, Result } from '../refusal.ts';
import { refuse } from '../refusal.ts';
import type { Remedy } from '../remedy.ts';
import type { Grant } from './grant.ts';
import { findGrant, limitOf } from './grant.ts';
import type { InstallationId } from './installation-id.ts';
import type { DraftAgreement, Key, KmsHost, KmsKey, Override } from './key.ts';
import { draftRequest, refuseUnlessCovered, refuseUnlessLive } from './key.ts';

/** Returns the number of used host slots. A host that activated only by overrides uses none. */
export function usedHostSlots(key: Pick<KmsKey, 'hosts'>): number {
  return key.hosts.filter((host) => host.slot === 'standard').length;
}

/** Returns how many standard activations a host has left (KMS-1). */
export function remainingStandardUses(host: KmsHost, policy: Policy): number {
  return host.slot === 'standard' ? policy.kms.usesPerHost - (host.uses - host.overridesSpent) : 0;
}

export type HostActivationRequest = {
  readonly installationId: InstallationId;
  readonly product: Product;
  readonly machineName: string | null;
};

type HostActivationResult = {
  readonly ok: true;
  readonly key: KmsKey;
  readonly host: KmsHost;
  readonly advisory?: 'kms-key-on-clients';
};

/**
 * Activates a KMS host. A host that has a slot uses one of its ten activations, and a new host takes a free slot. When
 * neither is left, the host spends an override that was granted to it (KMS-1, OVR-1).
 * Refuses a blocked key, a product that the key does not cover, and, with the remedies, a seventh host or an eleventh
 * activation (KMS-3).
 * `advisory` is set when so many hosts are new that the key is probably used on client computers (KMS-4).
 */
export function activateHost(
  key: KmsKey,
  request: HostActivationRequest,
  agreement: DraftAgreement,
  context: Pick<Context, 'now' | 'policy'>,
): HostActivationResult | RefusalResult {
  const { now, policy } = context;
  const refusal = refuseUnlessLive(key) ?? refuseUnlessCovered(key, request.product, policy);
  if (refusal !== undefined) return refusal;
  const existingHost = key.hosts.find((host) => host.installationId === request.installationId);
  const slotsLeft = limitOf(key.grants) - usedHostSlots(key);

  if (existingHost !== undefined && remainingStandardUses(existingHost, policy) > 0)
    return acceptActivation(key, recordUse(existingHost, request, now), context);
  if (slotsLeft > 0 && existingHost?.slot !== 'standard') {
    // A host that activated by an override takes a slot as soon as one is free.
    const host = recordUse(existingHost ?? createHost(request, 'standard', now), request, now);
    return acceptActivation(key, { ...host, slot: 'standard' }, context);
  }
  const override = key.overrides.find((each) => each.installationId === request.installationId && each.usedAt === null);
  if (override !== undefined) {
    const host = recordUse(existingHost ?? createHost(request, 'override', now), request, now);
    const overrides = key.overrides.map((each) => (each === override ? { ...each, usedAt: now } : each));
    return acceptActivation({ ...key, overrides }, { ...host, overridesSpent: host.overridesSpent + 1 }, context);
  }
  return refuseHost(key, { existingHost, request, agreement }, context);
}

function createHost(request: HostActivationRequest, slot: KmsHost['slot'], now: Instant): KmsHost {
  return {
    installationId: request.installationId,
    machineName: request.machineName,
    product: request.product,
    slot,
    uses: 0,
    overridesSpent: 0,
    firstActivatedAt: now,
    lastActivatedAt: now,
    clientsReported: null,
  };
}

function recordUse(host: KmsHost, request: HostActivationRequest, now: Instant): KmsHost {
  return {
    ...host,
    machineName: request.machineName ?? host.machineName,
    product: request.product,
    uses: host.uses + 1,
    lastActivatedAt: now,
  };
}

function acceptActivation(key: KmsKey, host: KmsHost, context: Pick<Context, 'now' | 'policy'>): HostActivationResult {
  const isSameHost = (each: KmsHost) => each.installationId === host.installationId;
  const hosts = key.hosts.some(isSameHost)
    ? key.hosts.map((each) => (isSameHost(each) ? host : each))
    : [...key.hosts, host];
  const nextKey: KmsKey = { ...key, hosts };
  const result = { ok: true, key: nextKey, host } as const;
  return isProbablyOnClients(nextKey, context) ? { ...result, advisory: 'kms-key-on-clients' } : result;
}

/** Returns true when so many hosts are new that the key is probably used on client computers (KMS-4). */
export function isProbablyOnClients(key: Pick<KmsKey, 'hosts'>, context: Pick<Context, 'now' | 'policy'>): boolean {
  return countNewHosts(key, context) >= context.policy.kms.newHostsWarning.hosts;
}

/** Counts the hosts that first activated within the hours that the policy sets (KMS-4). */
export function countNewHosts(key: Pick<KmsKey, 'hosts'>, { now, policy }: Pick<Context, 'now' | 'policy'>): number {
  const since = addDuration(now, { hours: -policy.kms.newHostsWarning.withinHours });
  return key.hosts.filter((host) => isBefore(since, host.firstActivatedAt)).length;
}

function refuseHost(
  key: KmsKey,
  details: {
    readonly existingHost: KmsHost | undefined;
    readonly request: HostActivationRequest;
    readonly agreement: DraftAgreement;
  },
  context: Pick<Context, 'now' | 'policy'>,
): RefusalResult {
  const { existingHost, request, agreement } = details;
  const limit = limitOf(key.grants);
  const reason =
    existingHost?.slot === 'standard'
      ? `This host has used all ${context.policy.kms.usesPerHost} of its activations with the key ending in ${key.lastFive}.`
      : `The key ending in ${key.lastFive} has activated all ${limit} of its hosts.`;
  return refuse(
    'activation-limit-reached',
    `${reason} Ask the call center for an override, submit a KMSADD request, or have the key replaced.`,
    { limit, used: usedHostSlots(key), remedies: kmsRemedies(key, { agreement, product: request.product }, context) },
  );
}

/** Lists the remedies for a KMS key at its limit (KMS-3): an override, a KMSADD request, or a replacement. */
export function kmsRemedies(
  key: KmsKey,
  details: { readonly agreement: DraftAgreement; readonly product?: Product },
  context: Pick<Context, 'now' | 'policy'>,
): readonly Remedy[] {
  const allowance = overrideAllowance(key, context);
  return [
    overrideRemedy(allowance),
    {
      kind: 'KMSADD',
      available: true,
      draft: draftRequest(key, { ...details, activationsRequested: allowance.remaining + 1 }, context.policy),
    },
    { kind: 'replacement', available: true },
  ];
}

/** Returns the remedy of a KMS key that can still get overrides by phone (KMS-3, EXC-4). */
export function overrideRemedy({ available, availableAt, remaining }: OverrideAllowance): Remedy {
  return {
    kind: 'override',
    available: available > 0,
    ...(availableAt === null ? {} : { availableAt }),
    maximum: remaining,
  };
}

/** The overrides that the call center can grant now, or when it can grant the next one (OVR-2, OVR-3, OVR-5). */
export type OverrideAllowance = {
  readonly available: 0 | 1;
  /** The time of the next override; null when one can be granted now, or when none is left. */
  readonly availableAt: Instant | null;
  readonly remaining: number;
};

/** Computes the override allowance of a live KMS key: one for each day of the call center, five in total. */
export function overrideAllowance(
  key: Pick<KmsKey, 'overrides'>,
  { now, policy }: Pick<Context, 'now' | 'policy'>,
): OverrideAllowance {
  const { overridesPerKey, zone } = policy.callCenter;
  const remaining = overridesPerKey - key.overrides.length;
  if (remaining <= 0) return { available: 0, availableAt: null, remaining: 0 };
  const today = dayIn(now, zone);
  const usedToday = key.overrides.some((override) => dayIn(override.at, zone) === today);
  return usedToday
    ? { available: 0, availableAt: startOfNextDay(now, zone), remaining }
    : { available: 1, availableAt: null, remaining };
}

export type OverrideRequest = {
  readonly installationId: InstallationId;
  readonly callReference: string;
  readonly callerName: string;
};

/**
 * Grants one more activation to a KMS host (OVR-1): one a day for each key (OVR-2), five in total (OVR-3). Only that
 * host can spend it. A repeated call reference returns the first grant and grants nothing more (OVR-4). Refuses a MAK,
 * a blocked key, a second override on a day (with the time of the next), and a sixth override (with the draft of a
 * KMSADD request).
 */
export function grantOverride(
  key: Key,
  request: OverrideRequest,
  agreement: DraftAgreement,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<{ readonly grant: Grant; readonly key: KmsKey; readonly repeated: boolean }> {
  if (key.type !== 'KMS') {
    return refuse('wrong-key-type', 'Only KMS keys have overrides, and this key is a MAK. Increase its limit instead.');
  }
  const existingGrant = findGrant(key.grants, 'override', request.callReference);
  if (existingGrant !== undefined) return { ok: true, grant: existingGrant, key, repeated: true };
  const refusal = refuseUnlessLive(key);
  if (refusal !== undefined) return refusal;
  const allowance = overrideAllowance(key, context);
  if (allowance.remaining === 0) {
    return refuse(
      'overrides-exhausted',
      `This key has used all ${context.policy.callCenter.overridesPerKey} of its overrides. To get more, submit a KMSADD request.`,
      { draft: draftRequest(key, { agreement, activationsRequested: 1 }, context.policy) },
    );
  }
  if (allowance.availableAt !== null) {
    return refuse(
      'override-used-today',
      `This key has already had its override for today. You can grant the next one from ${allowance.availableAt}.`,
      { availableAt: allowance.availableAt },
    );
  }
  const grant: Grant = {
    kind: 'override',
    amount: 1,
    at: context.now,
    by: context.actor,
    reference: request.callReference,
    approvedBy: null,
  };
  const newOverride: Override = {
    installationId: request.installationId,
    at: context.now,
    callReference: request.callReference,
    usedAt: null,
  };
  return {
    ok: true,
    grant,
    key: { ...key, grants: [...key.grants, grant], overrides: [...key.overrides, newOverride] },
    repeated: false,
  };
}

/**
 * Records how many clients a host reports. The number is shown, never enforced (KMS-2). `undefined` for an unknown
 * host.
 */
export function reportClients(key: KmsKey, installationId: InstallationId, clients: number): KmsKey | undefined {
  if (!key.hosts.some((host) => host.installationId === installationId)) return undefined;
  return {
    ...key,
    hosts: key.hosts.map((host) =>
      host.installationId === installationId ? { ...host, clientsReported: clients } : host,
    ),
  };
}
