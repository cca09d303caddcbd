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

/** Host places that are taken: hosts that came in by an override alone take none. */
export function usedHostSlots(key: Pick<KmsKey, 'hosts'>): number {
  return key.hosts.filter((host) => host.slot === 'standard').length;
}

/** What a host has left of its standard allowance (KMS-1). */
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
 * Activates a KMS host. A known host uses its own ten; a new one takes a place; when neither is left, an override given
 * to this very host is spent (KMS-1, OVR-1). Refuses a blocked key, a product that the key does not cover, and a seventh
 * host or an eleventh use, with the remedies (KMS-3).
 * `advisory` is set when so many hosts are new that the key is probably typed on clients (KMS-4).
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
    // A host that came in by an override moves to a place of its own once there is one.
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

/** Whether so many hosts are new within the policy's hours that the key is probably used on clients (KMS-4). */
export function isProbablyOnClients(key: Pick<KmsKey, 'hosts'>, context: Pick<Context, 'now' | 'policy'>): boolean {
  return countNewHosts(key, context) >= context.policy.kms.newHostsWarning.hosts;
}

/** How many hosts of a key were new within the policy's hours (KMS-4). */
export function countNewHosts(key: Pick<KmsKey, 'hosts'>, { now, policy }: Pick<Context, 'now' | 'policy'>): number {
  const since = addDuration(now, { hours: -policy.kms.newHostsWarning.withinHours });
  return key.hosts.filter((host) => isBefore(since, host.firstActivatedAt)).length;
}

function refuseHost(
  key: KmsKey,
  about: {
    readonly existingHost: KmsHost | undefined;
    readonly request: HostActivationRequest;
    readonly agreement: DraftAgreement;
  },
  context: Pick<Context, 'now' | 'policy'>,
): RefusalResult {
  const { existingHost, request, agreement } = about;
  const limit = limitOf(key.grants);
  const reason =
    existingHost?.slot === 'standard'
      ? `This host has used its ${context.policy.kms.usesPerHost} activations of the key ending in ${key.lastFive}.`
      : `The key ending in ${key.lastFive} has activated its ${limit} hosts.`;
  return refuse(
    'activation-limit-reached',
    `${reason} Ask that activations be added to this key, or ask that it be blocked and a new one assigned.`,
    { limit, used: usedHostSlots(key), remedies: kmsRemedies(key, { agreement, product: request.product }, context) },
  );
}

/** The two remedies of a spent KMS key (KMS-3): more on this key (an override, else KMSADD), or a replacement. */
export function kmsRemedies(
  key: KmsKey,
  about: { readonly agreement: DraftAgreement; readonly product?: Product },
  context: Pick<Context, 'now' | 'policy'>,
): readonly Remedy[] {
  const allowance = overrideAllowance(key, context);
  return [
    {
      kind: 'override',
      available: allowance.available > 0,
      ...(allowance.availableAt === null ? {} : { availableAt: allowance.availableAt }),
      maximum: allowance.remaining,
    },
    {
      kind: 'KMSADD',
      available: true,
      draft: draftRequest(key, { ...about, activationsRequested: allowance.remaining + 1 }, context.policy),
    },
    { kind: 'replacement', available: true },
  ];
}

/** What may be granted by phone now and, if nothing, when next (OVR-2, OVR-3, OVR-5). */
export type OverrideAllowance = {
  readonly available: 0 | 1;
  /** When the next override can be given; null when one can be given now, or none ever again. */
  readonly availableAt: Instant | null;
  readonly remaining: number;
};

/** Decides what the call centre may still override on a live KMS key: one a day of its own days, five in all. */
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
 * Gives a KMS host one more activation (OVR-1): one a day per key (OVR-2), five in all (OVR-3). It can be spent by that
 * host alone. The same call reference answers with the grant it gave and gives no more (OVR-4).
 * Refuses a MAK, a blocked key, a second one on a day (with the instant of the next), and a sixth (with KMSADD, begun).
 */
export function grantOverride(
  key: Key,
  request: OverrideRequest,
  agreement: DraftAgreement,
  context: Pick<Context, 'actor' | 'now' | 'policy'>,
): Result<{ readonly grant: Grant; readonly key: KmsKey; readonly repeated: boolean }> {
  if (key.type !== 'KMS') {
    return refuse('wrong-key-type', 'Overrides are for KMS keys. The limit of a MAK can be increased instead.');
  }
  const existingGrant = findGrant(key.grants, 'override', request.callReference);
  if (existingGrant !== undefined) return { ok: true, grant: existingGrant, key, repeated: true };
  const refusal = refuseUnlessLive(key);
  if (refusal !== undefined) return refusal;
  const allowance = overrideAllowance(key, context);
  if (allowance.remaining === 0) {
    return refuse(
      'overrides-exhausted',
      `This key has had all of its ${context.policy.callCenter.overridesPerKey} overrides. For more, send a KMSADD request.`,
      { draft: draftRequest(key, { agreement, activationsRequested: 1 }, context.policy) },
    );
  }
  if (allowance.availableAt !== null) {
    return refuse(
      'override-used-today',
      `This key has had its override of today. The next can be given from ${allowance.availableAt} on.`,
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

/** Records how many machines a host says it serves: shown, never enforced (KMS-2). `undefined` for an unknown host. */
export function reportClients(key: KmsKey, installationId: InstallationId, clients: number): KmsKey | undefined {
  if (!key.hosts.some((host) => host.installationId === installationId)) return undefined;
  return {
    ...key,
    hosts: key.hosts.map((host) =>
      host.installationId === installationId ? { ...host, clientsReported: clients } : host,
    ),
  };
}
